/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * decap_prepare: shape, session, key age, lane and replay peek of each data message, and the
 * AEAD operations of the burst. Nothing is authenticated yet, so nothing changes here. What
 * another worker must open leaves at hand_off.
 */
#include "worker.h"

/* Of the nonce word in host order: all but lane and kind. */
#define RESERVED UINT64_C(0x0000ffff00ffffff)

/* May this worker open the lane, and would its window (NULL: its own) take the sequence? */
static inline unsigned int lane_check(const struct omni_worker *w, const struct omni_lane_rx *lane,
				      const struct omni_replay_wide *window, uint64_t sequence)
{
	uint32_t owner = atomic_load_explicit(&lane->owner, memory_order_acquire);

	if (unlikely(owner == OMNI_NO_OWNER))
		return KEEP; /* nothing was marked yet, and the window is nobody's to read */
	if (unlikely(owner != w->conf.id + 1))
		return HAND;
	return likely(window != NULL ? omni_replay_wide_peek(window, sequence)
				     : omni_replay_peek(&lane->window, sequence))
		       ? KEEP
		       : OMNI_STAT_drop_replayed;
}

/*
 * A session, looked up once for the messages that follow each other in it. The top bit tells an id
 * of Omni's from an index of WireGuard's.
 */
struct run {
	uint64_t id;
	struct omni_keypair *kp;
	unsigned int why; /* KEEP, or why none of them passes */
};

static inline void find_session(const struct omni_worker *w, struct run *r, uint64_t id,
				bool wireguard)
{
	if (likely(r->id == id))
		return;
	r->id = id;
	r->kp = wireguard ? omni_sessions_lookup_wg(w->conf.sessions, (uint32_t)id)
			  : omni_sessions_lookup(w->conf.sessions, id);
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
	find_session(w, r, omni_load_be64(h), false);
	if (unlikely(r->why != KEEP))
		return r->why;
	kp = meta->kp = r->kp;
	meta->lane = (uint16_t)(word >> 48);
	meta->kind = (uint8_t)(word >> 24);
	meta->sequence = omni_load_be64(h + offsetof(struct omni_data_hdr, sequence));
	if (unlikely(meta->lane >= kp->lanes_rx))
		return OMNI_STAT_drop_bad_lane;
	return lane_check(w, &kp->rx[meta->lane], NULL, meta->sequence);
}

/* The same for WireGuard, whose messages are packets, or keepalives without content. */
static inline unsigned int check_wg(const struct omni_worker *w, struct run *r,
				    struct omni_meta *meta, const uint8_t *h)
{
	find_session(w, r, omni_load_le32(h + offsetof(struct omni_wg_data_hdr, receiver)), true);
	if (unlikely(r->why != KEEP))
		return r->why;
	meta->kp = r->kp;
	meta->kind = likely(meta->payload_len > OMNI_WG_DATA_MIN_LEN) ? OMNI_KIND_FRAME
								      : OMNI_KIND_KEEPALIVE;
	meta->sequence = omni_load_le64(h + offsetof(struct omni_wg_data_hdr, counter));
	if (unlikely(meta->sequence >= OMNI_WG_REJECT_AFTER_MESSAGES))
		return OMNI_STAT_drop_key_expired;
	return lane_check(w, &r->kp->rx[0], omni_keypair_window(r->kp), meta->sequence);
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

static inline void operation_wg(struct omni_aead_op *op, const struct omni_meta *meta, uint8_t *h)
{
	static const uint8_t zeros[4];

	op->key = meta->kp->rx_key;
	op->aad = NULL;
	op->aad_len = 0;
	op->src = h + OMNI_WG_DATA_HDR_LEN;
	op->dst = h + OMNI_WG_DATA_HDR_LEN;
	op->len = meta->payload_len - OMNI_WG_DATA_OVERHEAD;
	op->tag = op->dst + op->len;
	omni_aead_op_nonce(op, zeros, h + offsetof(struct omni_wg_data_hdr, counter));
}

static void hand_off(struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const struct omni_lane_rx *lane = &meta->kp->rx[meta->lane];

	omni_node_hand_datagram(w, m, atomic_load_explicit(&lane->owner, memory_order_acquire) - 1);
}

/* The session of a message whose header is not checked yet, and the lane that it says. */
static const struct omni_keypair *claimed(const struct omni_worker *w, const struct omni_meta *meta,
					  const uint8_t *h, uint64_t *id, uint16_t *lane)
{
	if ((meta->flags & OMNI_META_WG) != 0) {
		*id = omni_load_le32(h + offsetof(struct omni_wg_data_hdr, receiver));
		*lane = 0;
		return omni_sessions_at_wg(w->conf.sessions, (uint32_t)*id);
	}
	*id = omni_load_be64(h);
	*lane = omni_load_be16(h + offsetof(struct omni_data_hdr, lane));
	return omni_sessions_at(w->conf.sessions, *id);
}

static void fetch_window(const struct omni_keypair *kp, uint16_t lane)
{
	if (kp->dialect == OMNI_DIALECT_WIREGUARD)
		omni_replay_wide_fetch(omni_keypair_window(kp));
	else if (likely(lane < kp->lanes_rx))
		omni_replay_fetch(&kp->rx[lane].window);
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
	uint64_t last = 0, id;

	for (unsigned int i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);
		const uint8_t *h = rte_pktmbuf_mtod_offset(m[i], uint8_t *, meta->payload_off);

		kp[sessions] = claimed(w, meta, h, &id, &lane[sessions]);
		if (likely(id == last))
			continue;
		last = id;
		omni_keypair_fetch(kp[sessions]);
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
		fetch_window(kp[i], lane[i]);
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
		bool wireguard = (meta->flags & OMNI_META_WG) != 0;
		unsigned int why = wireguard ? check_wg(w, &run, meta, h) : check(w, &run, meta, h);

		if (unlikely(why == HAND)) {
			hand_off(w, m[i]);
			continue;
		}
		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		if (wireguard)
			operation_wg(&w->op[left], meta, h);
		else
			operation(&w->op[left], meta, h);
		m[left++] = m[i];
	}
	stage_end(w, OMNI_STAGE_decap_prepare, n);
	return left;
}
