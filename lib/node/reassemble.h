/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames of which some pieces have come: one worker's, made by control before it starts. */
#ifndef OMNI_NODE_REASSEMBLE_H
#define OMNI_NODE_REASSEMBLE_H

#include <sys/queue.h>

#include "worker.h"

#define REASSEMBLY_WAYS 8
#define REASSEMBLY_SETS (OMNI_REASSEMBLY_MAX / REASSEMBLY_WAYS)

static_assert((REASSEMBLY_SETS & (REASSEMBLY_SETS - 1)) == 0, "sets are picked by a mask");

struct frame {
	TAILQ_ENTRY(frame) by_age;
	uint64_t session; /* our id of it; 0: the entry is free */
	uint64_t deadline;
	struct rte_mbuf *m; /* NULL: dead */
	uint32_t id, peer;
	uint16_t lane, whole, got, pieces;
	uint16_t begin[OMNI_FRAGMENT_MAX_PIECES], end[OMNI_FRAGMENT_MAX_PIECES];
};

struct reassembly {
	uint64_t salt, timeout;
	TAILQ_HEAD(, frame) by_age; /* the oldest first */
	uint8_t *of_peer;	    /* frames of each peer */
	struct frame frame[REASSEMBLY_SETS][REASSEMBLY_WAYS];
};

static_assert(OMNI_REASSEMBLY_PEER_MAX <= UINT8_MAX, "of_peer counts in bytes");

#endif
