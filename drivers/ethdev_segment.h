/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Segments of up to 64 KB on virtio queues: cut on their way in, joined on their way out. Runs on
 * the queue's worker.
 */
#ifndef OMNI_ETHDEV_SEGMENT_H
#define OMNI_ETHDEV_SEGMENT_H

#include "ethdev_priv.h"

/* Frames of a queue, segments cut; what does not fit into n waits in the queue. */
uint16_t ethdev_rx_segments(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			    uint16_t n);

/* True where frames wait in the queue. */
bool ethdev_has_waiting(const struct ethdev_queue *q);

/* Give back what waits in the queue. */
void ethdev_drop_waiting(struct ethdev_queue *q);

/*
 * Send n frames, those of a TCP flow joined. All are taken: joined frames cannot be given back, so
 * what the device does not take after a few tries is dropped and counted.
 */
uint16_t ethdev_tx_segments(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			    uint16_t n);

#endif
