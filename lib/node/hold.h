/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets that wait for a key, a member or a neighbour: one worker's. */
#ifndef OMNI_NODE_HOLD_H
#define OMNI_NODE_HOLD_H

#include "l3.h"

/* What is waited for: equal for the packets that wait together. */
struct wanted {
	omni_dest dest;
	uint16_t cluster;
	struct omni_ip ip; /* none where dest says it all */
};

#define HELD_LATE UINT64_C(1) /* of a deadline: the sender was told, and it waits all the same */

struct held {
	struct rte_mbuf *m;
	uint64_t deadline;
	uint64_t session; /* our id of the one that it came in by; 0: from a local port */
	struct wanted wanted;
	uint32_t told_s; /* when control was told last */
	uint8_t dialect; /* of the session */
	bool own;	 /* we made it: nobody hears of its end */
};

struct hold {
	uint64_t timeout, late_more, nap;
	uint64_t next;	  /* the first deadline; UINT64_MAX: none */
	uint32_t version; /* of the routes, when all were tried last */
	unsigned int n;
	unsigned int strangers; /* of them those that wait for no peer */
	unsigned int late;
	unsigned int n_again, at;
	struct held held[OMNI_HOLD_MAX];
	struct held again[OMNI_HOLD_MAX]; /* those that are being tried, from `at` on */
};

/*
 * Keep m until what it waits for is there: PUNT, or why not. type: the event that tells control,
 * once a second, or OMNI_EVENT_WANT_KEY: the caller does.
 */
unsigned int omni_node_hold(struct omni_worker *w, struct rte_mbuf *m, const struct wanted *wanted,
			    enum omni_event_type type);

/* m comes from here, and its time was over once. */
static inline bool is_late_again(struct rte_mbuf *m)
{
	return (omni_meta(m)->sequence & HELD_LATE) != 0;
}

#endif
