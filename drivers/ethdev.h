/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ports on DPDK's own devices. */
#ifndef OMNI_ETHDEV_H
#define OMNI_ETHDEV_H

#include "drivers.h"

/* Which device a port stands on; created at run time where it is not there yet. */
struct ethdev_device {
	const char *bus;  /* "vdev", "pci" */
	const char *name; /* DPDK's name of it */
	const char *args; /* "" for none */
	bool interrupts;  /* its receive queues can wake a sleeper */
	bool checksums;	  /* where it offers to make UDP checksums, it does so itself */
	bool segments;	  /* it gives segments of up to 64 KB, and may take some */
	/* Does it just now? Any thread. NULL: where its offloads say so. */
	bool (*takes_segments)(uint16_t dev);
};

/*
 * Open port on a device. DPDK answers a bare -1 to most mistakes, so the caller has checked
 * every argument. 0 or -errno. Control.
 */
int ethdev_open(struct omni_port *port, const struct omni_port_conf *conf, struct rte_mempool *pool,
		const struct ethdev_device *device, struct omni_err *err);
void ethdev_close(struct omni_port *port);
uint16_t ethdev_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
uint16_t ethdev_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
int ethdev_rx_fd(struct omni_port *port, uint16_t queue);
bool ethdev_arm(struct omni_port *port, uint16_t queue);
void ethdev_stats(struct omni_port *port, struct omni_port_stats *stats);
void ethdev_refresh(struct omni_port *port);

/* The operations of a kind of port on a DPDK device; kinds differ in what they check and open. */
#define ETHDEV_OPS(name, check_conf, open_port)                                                 \
	{                                                                                       \
		.driver = (name), .check = (check_conf), .open = (open_port),                   \
		.close = ethdev_close, .rx = ethdev_rx, .tx = ethdev_tx, .rx_fd = ethdev_rx_fd, \
		.arm = ethdev_arm, .stats = ethdev_stats, .refresh = ethdev_refresh,            \
	}

#endif
