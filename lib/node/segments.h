/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whole TCP segments: one worker's, made by control before it starts. */
#ifndef OMNI_NODE_SEGMENTS_H
#define OMNI_NODE_SEGMENTS_H

#include <omni_chain.h>
#include <omni_segment.h>

#include "worker.h"

/* A segment of which some pieces have come, each where the one before ended. */
struct gathering {
	uint64_t session; /* our id of it; 0: the entry is free */
	uint64_t deadline;
	struct rte_mbuf *head, *tail;
	uint32_t id, peer, peer_gen;
	uint16_t lane, whole;
};

struct segments {
	/* gather */
	uint64_t timeout, told_tsc;
	unsigned int open; /* entries that are not free */
	struct gathering at_work[OMNI_GATHER_MAX];

	/* split: where it goes on */
	struct rte_mbuf **m;
	unsigned int n, at;
	bool cutting; /* the one at `at`, from `piece` on */
	uint32_t piece;
	struct omni_split split;
	uint8_t payload[OMNI_SEGMENT_MAX]; /* of it */
};

/* How m, a frame or a packet of an L3 cluster, is cut into tso_segsz bytes each: 0 or -EINVAL. */
static inline int omni_node_read_segment(struct omni_split *s, struct rte_mbuf *m)
{
	const uint8_t *head = rte_pktmbuf_mtod(m, const uint8_t *);

	return (omni_meta(m)->flags & OMNI_META_L3) != 0
		       ? omni_split_packet(s, m->tso_segsz, head, m->data_len, m->pkt_len)
		       : omni_split_tcp(s, m->tso_segsz, head, m->data_len, m->pkt_len);
}

/* May m go to the peer as it is, in pieces? */
bool omni_node_whole_to_peer(const struct omni_worker *w, const struct rte_mbuf *m,
			     const struct omni_peer *peer);

#endif
