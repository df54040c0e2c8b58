/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams of which some IP fragments have come: one worker's, made by control before it starts.
 */
#ifndef OMNI_NODE_OUTER_REASSEMBLE_H
#define OMNI_NODE_OUTER_REASSEMBLE_H

#include <sys/queue.h>

#include "worker.h"

#define OUTER_WAYS 8
#define OUTER_SETS (OMNI_OUTER_MAX / OUTER_WAYS)
#define OUTER_SOURCES 256 /* counted apart; several addresses may share one */
#define OUTER_PIECES 16

static_assert((OUTER_SETS & (OUTER_SETS - 1)) == 0, "sets are picked by a mask");

/* IPv4's addresses are the first 8 bytes, with zeros behind them. */
struct outer_key {
	uint8_t addresses[32];
	uint32_t id;
	bool v6;
};

struct outer_entry {
	TAILQ_ENTRY(outer_entry) by_age;
	struct outer_key key;
	bool used;
	struct rte_mbuf *m; /* begins at the IP payload; NULL: dead */
	uint64_t deadline;
	uint16_t source;     /* in of_source */
	uint16_t front;	     /* Ethernet and IP header before the payload; 0: not come yet */
	uint16_t got, whole; /* bytes of payload; whole 0: not known yet */
	uint8_t pieces;
	uint8_t ecn; /* codepoints seen, a bit each */
	uint16_t begin[OUTER_PIECES], end[OUTER_PIECES];
};

struct outer_table {
	uint64_t salt, timeout;
	TAILQ_HEAD(, outer_entry) by_age; /* the oldest first */
	uint8_t of_source[OUTER_SOURCES];
	struct outer_entry entry[OUTER_SETS][OUTER_WAYS];
};

#endif
