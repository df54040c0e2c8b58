/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hand_off: what another worker must do is handed to it through its inbox, once per turn and in
 * order: datagrams of a lane that it owns, before they are opened, and finished frames for a port
 * of which it has a queue. It finds everything again by the ids in the frame: no pointer into a
 * table leaves the turn. What a full inbox does not take is dropped.
 */
#include "worker.h"

static unsigned int hand(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			 unsigned int to)
{
	w->handed_to |= UINT64_C(1) << to;
	return omni_xring_hand(w->conf.xrings[to], m, n);
}

static void hand_datagrams(struct omni_worker *w, unsigned int to)
{
	struct burst *b = &w->hand[to];
	unsigned int taken = hand(w, b->m, b->n, to);

	count(w, OMNI_STAT_handed_datagrams, taken);
	for (unsigned int i = taken; i < b->n; i++)
		omni_node_drop(w, b->m[i], OMNI_STAT_drop_inbox_full);
	stage_end(w, OMNI_STAGE_hand_off, b->n);
	b->n = 0;
	w->hand_pending &= ~(UINT64_C(1) << to);
}

void omni_node_hand_datagram(struct omni_worker *w, struct rte_mbuf *m, unsigned int to)
{
	struct omni_meta *meta = omni_meta(m);
	struct burst *b;

	/* Once only; an owner lasts for the life of its key. */
	if (unlikely((meta->flags & OMNI_META_HANDED) != 0 || to >= w->conf.workers)) {
		omni_node_drop(w, m, OMNI_STAT_drop_lane_owner);
		return;
	}
	meta->flags |= OMNI_META_HANDED;
	meta->kp = NULL;
	b = &w->hand[to];
	b->m[b->n++] = m;
	w->hand_pending |= UINT64_C(1) << to;
	if (unlikely(b->n == BURST))
		hand_datagrams(w, to);
}

unsigned int omni_node_hand_frames(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				   unsigned int to)
{
	unsigned int taken = hand(w, m, n, to);

	count(w, OMNI_STAT_handed_frames, taken);
	return taken;
}

void omni_node_hand_flush(struct omni_worker *w)
{
	while (w->hand_pending != 0)
		hand_datagrams(w, (unsigned int)__builtin_ctzll(w->hand_pending));
	for (; w->handed_to != 0; w->handed_to &= w->handed_to - 1)
		omni_xring_wake(w->conf.xrings[__builtin_ctzll(w->handed_to)]);
}

unsigned int omni_node_hand_off(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *frame[BURST];
	unsigned int left = 0, frames = 0;

	n = omni_xring_take(w->conf.xring->inbox, m, n);
	for (unsigned int i = 0; i < n; i++) {
		rte_prefetch0(omni_meta(m[i]));
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	}
	for (unsigned int i = 0; i < n; i++) {
		if ((omni_meta(m[i])->flags & OMNI_META_HANDED) != 0)
			m[left++] = m[i];
		else
			frame[frames++] = m[i];
	}
	stage_end(w, OMNI_STAGE_hand_off, n);
	omni_node_tx(w, frame, frames);
	return left;
}
