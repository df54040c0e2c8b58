/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * decap_prepare: shape, session, key age, lane and replay peek of each data message, and the
 * AEAD operations of the burst. Nothing is authenticated yet, so nothing changes here. What
 * another worker must open leaves at hand_off.
 */
#include "worker.h"

/* Of the nonce word in host order: all but lane and kind. */
#define RESERVED UINT64_C(0x0000ffff00ffffff)

/* May this worker open the lane, and would its window take the sequence? */
static inline unsigned int lane_check(const struct omni_worker *w, const struct omni_lane_rx *lane,
				      uint64_t sequence)
{
	uint32_t owner = atomic_load_explicit(&lane->owner, memory_order_acquire);

	if (unlikely(owner == OMNI_NO_OWNER))
		return KEEP; /* nothing was marked yet, and the window is nobody's to read */
	if (unlikely(owner != w->conf.id + 1))
		return HAND;
	return likely(omni_replay_peek(&lane->window, sequence)) ? KEEP : OMNI_STAT_drop_replayed;
}

/* A session, looked up once for the messages that follow each other in it. */
struct run {
	uint64_t id;
	struct omni_keypair *kp;
	unsigned int why; /* KEEP, or why none of them passes */
};

static inline void find_session(const struct omni_worker *w, struct run *r, uint64_t id)
{
	if (likely(r->id == id))
		return;
	r->id = id;
	r->kp = omni_sessions_lookup(w->conf.sessions, id);
	if (unlikely(r->kp == NULL))
		r->why = OMNI_STAT_drop_no_session;
	else if (unlikely((omni_keypair_marks(r->kp) & OMNI_KEYPAIR_NO_RX) != 0))
		r->why = OMNI_STAT_drop_key_expired;
	else
		r->why = KEEP;
}

static inline unsigned int check(const struct omni_worker *w, struct run *r, struct omni_meta *meta,
				 const uint8_t *h)
{
	uint64_t word = omni_load_be64(h + offsetof(struct omni_data_hdr, lane));
	struct omni_keypair *kp;

	if (unlikely((word & RESERVED) != 0))
		return OMNI_STAT_drop_bad_header;
	find_session(w, r, omni_load_be64(h));
	if (unlikely(r->why != KEEP))
		return r->why;
	kp = meta->kp = r->kp;
	meta->lane = (uint16_t)(word >> 48);
	meta->kind = (uint8_t)(word >> 24);
	meta->sequence = omni_load_be64(h + offsetof(struct omni_data_hdr, sequence));
	if (unlikely(meta->lane >= kp->lanes_rx))
		return OMNI_STAT_drop_bad_lane;
	return lane_check(w, &kp->rx[meta->lane], meta->sequence);
}

/* In place, behind the header; classify made sure that the tag is there. */
static inline void operation(struct omni_aead_op *op, const struct omni_meta *meta, uint8_t *h)
{
	op->key = meta->kp->rx_key;
	op->aad = h;
	op->aad_len = OMNI_DATA_HDR_LEN;
	op->src = h + OMNI_DATA_HDR_LEN;
	op->dst = h + OMNI_DATA_HDR_LEN;
	op->len = meta->payload_len - OMNI_DATA_OVERHEAD;
	op->tag = op->dst + op->len;
	omni_aead_op_nonce(op, h + offsetof(struct omni_data_hdr, lane),
			   h + offsetof(struct omni_data_hdr, sequence));
}

static void hand_off(struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const struct omni_lane_rx *lane = &meta->kp->rx[meta->lane];

	omni_node_hand_datagram(w, m, atomic_load_explicit(&lane->owner, memory_order_acquire) - 1);
}

/*
 * What stands behind different sessions is fetched in passes over the burst, see forward. The
 * headers are not checked yet, and nothing but the fetching depends on them.
 */
static void fetch(const struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	const struct omni_keypair *kp[BURST];
	const struct omni_peer *peer[BURST];
	uint16_t lane[BURST], len[BURST];
	unsigned int sessions = 0;
	uint64_t last = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);
		const uint8_t *h = rte_pktmbuf_mtod_offset(m[i], uint8_t *, meta->payload_off);
		uint64_t id = omni_load_be64(h);

		if (likely(id == last))
			continue;
		last = id;
		kp[sessions] = omni_sessions_at(w->conf.sessions, id);
		omni_keypair_fetch(kp[sessions]);
		lane[sessions] = omni_load_be16(h + offsetof(struct omni_data_hdr, lane));
		len[sessions] = meta->payload_len - OMNI_DATA_OVERHEAD;
		sessions += kp[sessions] != NULL;
	}
	if (likely(sessions < FETCH_MIN))
		return;
	for (unsigned int i = 0; i < sessions; i++) {
		omni_keypair_fetch_rx(kp[i], lane[i], len[i]);
		peer[i] = omni_peers_fetch(w->conf.peers, kp[i]->peer);
	}
	for (unsigned int i = 0; i < sessions; i++) {
		omni_path_fetch(atomic_load_explicit(&peer[i]->path, memory_order_acquire));
		if (likely(lane[i] < kp[i]->lanes_rx))
			omni_replay_fetch(&kp[i]->rx[lane[i]].window);
	}
}

unsigned int omni_node_decap_prepare(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct run run = {.id = 0, .why = OMNI_STAT_drop_no_session};
	unsigned int left = 0;

	if (unlikely(many_peers(w)))
		fetch(w, m, n);
	for (unsigned int i = 0; i < n; i++) {
		struct omni_meta *meta = omni_meta(m[i]);
		uint8_t *h = rte_pktmbuf_mtod_offset(m[i], uint8_t *, meta->payload_off);
		unsigned int why = check(w, &run, meta, h);

		if (unlikely(why == HAND)) {
			hand_off(w, m[i]);
			continue;
		}
		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		operation(&w->op[left], meta, h);
		m[left++] = m[i];
	}
	stage_end(w, OMNI_STAGE_decap_prepare, n);
	return left;
}
