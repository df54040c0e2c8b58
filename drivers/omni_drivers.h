/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kinds of port that exist, and what single kinds offer beyond struct omni_port_ops. */
#ifndef OMNI_DRIVERS_H
#define OMNI_DRIVERS_H

#include <omni_addr.h>
#include <omni_port.h>

/*
 * Operations of a driver by name. NULL and a sentence in err for one that is unknown
 * ("unknown driver \"floppy\" (have: ...)").
 */
const struct omni_port_ops *omni_driver_find(const char *name, struct omni_err *err);

/* Names of all drivers, NULL-terminated. */
const char *const *omni_driver_names(void);

/* MTU of a kernel interface of this network namespace, or -errno. Control. */
int omni_driver_interface_mtu(const char *interface);

/*
 * Add an address with its prefix to the kernel's side of a tap or tun port, wherever that interface
 * is in this network namespace. 0 or -errno with a sentence in err. Control.
 */
int omni_tap_set_address(struct omni_port *port, const struct omni_prefix *prefix,
			 struct omni_err *err);

/*
 * The far end of a ring port, for tests and benches: what the port sent, and what it is to
 * receive. Same ownership rules as rx and tx. Any one thread per direction and queue.
 */
uint16_t omni_ring_port_far_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			       uint16_t n);
uint16_t omni_ring_port_far_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			       uint16_t n);

#endif
