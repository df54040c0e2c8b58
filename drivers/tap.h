/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * State of the TAP and TUN drivers: one descriptor per queue, a virtio-net header before each
 * frame. A TUN's kernel knows no link header: what is made up in its place stands in front of the
 * packet in our buffers and is never read or written.
 */
#ifndef OMNI_TAP_H
#define OMNI_TAP_H

#include <net/if.h>

#include <rte_ether.h>

#include <omni_chain.h>
#include <omni_segment.h>

#include "drivers.h"

/* As TUNSETVNETHDRSZ: with the buffer count, which is not used. */
#define TAP_VNET_HDR_LEN sizeof(struct virtio_net_hdr_mrg_rxbuf)

struct tap_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_no_buffer; /* reads not tried because the pool was empty */
	uint64_t rx_bad_len;   /* dropped: shorter than a header or longer than a buffer */
	uint64_t rx_not_ip;    /* TUN, dropped: neither IPv4 nor IPv6 */
	uint64_t rx_offload;   /* dropped: an offload that we did not ask for, or a lie in it */
	uint64_t rx_checksums; /* finished by us */
	uint64_t rx_segments;  /* large ones, cut by us into rx_frames or given whole */
	uint64_t rx_whole;     /* of those, given whole */
	uint64_t tx_segments;  /* large ones, joined by us from tx_frames or given to us whole */
	uint64_t tx_whole;     /* of those, given to us whole */
	uint64_t tx_not_ip;    /* TUN, dropped: neither IPv4 nor IPv6 */
	uint64_t tx_failed;    /* dropped: the kernel refused (interface down, bad frame) */
};

struct tap_queue {
	int fd;
	/* Empty buffers, of which a read takes the last one first. */
	uint16_t have;
	uint16_t piece; /* bytes for each buffer of a chain; 0: segments are cut */
	uint16_t more;	/* so many more for the first one */
	uint16_t trust; /* so many reads more begin with a chain of buffers */
	struct rte_mbuf *next[OMNI_CHAIN_MAX];
	/* The segment that was read last, of which the pieces from piece_at on have yet to leave.
	 */
	uint32_t piece_at;
	uint32_t expected; /* frames that a read gives: as many as the last one */
	const uint8_t *payload;
	uint8_t *room; /* what does not fit in the first buffer: front_len bytes into it */
	struct omni_split split;
	struct tap_counters count;
} __rte_cache_aligned;

struct tap_port {
	char interface[IFNAMSIZ];
	uint16_t queues;
	uint16_t frame_max;
	uint32_t front_len; /* in front of a queue's room, for what the first buffer holds */
	bool join;	    /* frames to the kernel leave joined */
	/* Bytes in front of each frame that the kernel does not know: link's, or none. */
	uint16_t made_up;
	uint8_t link[RTE_ETHER_HDR_LEN]; /* of received frames */
	struct rte_mempool *pool;
	struct tap_queue q[OMNI_PORT_QUEUES_MAX];
};

int tap_check(const struct omni_port_conf *conf, struct omni_err *err);
/* As TAP, or as TUN with a link header of link's addresses. */
int tap_open_as(struct omni_port *port, const struct omni_port_conf *conf, struct rte_mempool *pool,
		const uint8_t *link, struct omni_err *err);
void tap_close(struct omni_port *port);
int tap_rx_fd(struct omni_port *port, uint16_t queue);
void tap_stats(struct omni_port *port, struct omni_port_stats *s);
void tap_refresh(struct omni_port *port);
uint16_t tap_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
uint16_t tap_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
void tap_whole(struct omni_port *port, uint16_t queue, uint16_t piece, uint16_t more);
bool tap_arm(struct omni_port *port, uint16_t queue);

#endif
