/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The state of a port on a DPDK device. */
#ifndef OMNI_ETHDEV_PRIV_H
#define OMNI_ETHDEV_PRIV_H

#include <rte_ethdev.h>

#include <omni_segment.h>

#include "ethdev.h"

/* Owner of the queue: all fields. */
struct ethdev_queue {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_chained, tx_refused;
	/* With segments only: */
	uint64_t rx_segments, tx_segments, rx_offload, rx_no_buffer, tx_full;
	struct rte_mbuf *wait[DRIVER_BURST]; /* received, from next to waiting not looked at yet */
	uint16_t next, waiting;
	uint32_t piece; /* of the segment that is being cut, from where on they have yet to leave */
	struct omni_split split;
	uint8_t *room; /* that segment */
	bool armed;    /* the device was asked to wake us */
	int set;       /* epoll: what the device wakes us by */
} __rte_cache_aligned;

struct ethdev_port {
	uint16_t dev; /* DPDK's port id */
	bool created; /* by us: remove it again */
	bool interrupts;
	uint16_t frame_max;
	bool segments, tso;
	bool checksum; /* frames may ask the device for their UDP checksums */
	bool (*takes_segments)(uint16_t dev);
	char bus[8];
	char name[RTE_DEV_NAME_MAX_LEN];
	struct ethdev_queue q[OMNI_PORT_QUEUES_MAX];
};

/*
 * As rte_eth_tx_burst. A frame that the device refuses to finish is dropped and counted, and ends
 * the burst. Owner of the queue.
 */
uint16_t ethdev_send(struct ethdev_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);

/* ethdev_intr.c: frames came while the queue was armed. Owner of the queue. */
void ethdev_disarm(struct ethdev_port *p, uint16_t queue);

#endif
