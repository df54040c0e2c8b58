/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * encap_prepare for WireGuard: 16 bytes of header, no additional data, padding. The one lane is
 * everybody's, control's too, so that a run takes its sequences at its beginning, all at once.
 */
#include "encap.h"

/* What packets to one peer have in common. */
struct run {
	const struct omni_keypair *kp;
	const struct omni_path *path;
	uint64_t head;	   /* of the data header, as it is sent */
	uint64_t sequence; /* next */
	uint64_t frames, bytes;
	uint32_t text; /* bytes that padding may reach */
	struct tos_policy tos;
};

/* Frames at the beginning of m that leave under kp. */
static inline unsigned int run_len(struct rte_mbuf **m, unsigned int n,
				   const struct omni_keypair *kp)
{
	unsigned int i = 1;

	while (i < n && omni_meta(m[i])->kp == kp)
		i++;
	return i;
}

/* Sequences for n packets, within the limits: KEEP, or why not. */
static unsigned int take_run(struct omni_worker *w, struct run *r, struct omni_lane_tx *tx,
			     unsigned int n)
{
	uint64_t next = __atomic_load_n(&tx->sequence, __ATOMIC_RELAXED);

	if (unlikely(next >= OMNI_MESSAGES_REKEY)) {
		encap_report_worn(w, r->kp, 0);
		if (!omni_lane_has_run(next, n))
			return OMNI_STAT_drop_key_worn;
	}
	r->sequence = omni_lane_take_run(tx, n);
	return likely(omni_lane_has_run(r->sequence, n)) ? KEEP
							 : (unsigned int)OMNI_STAT_drop_key_worn;
}

/* As every WireGuard does: its datagrams may have to cross another tunnel of that MTU. */
static uint32_t pad_to(const struct omni_worker *w, const struct omni_path *path,
		       const struct omni_keypair *kp)
{
	const struct omni_l3 *l3 =
		w->conf.fib != NULL ? omni_fib_cluster(w->conf.fib, kp->cluster) : NULL;
	uint32_t text = text_for(path, kp);

	return l3 != NULL && l3->mtu != 0 ? OMNI_MIN(text, l3->mtu) : text;
}

static unsigned int begin_run(struct omni_worker *w, struct run *r, struct omni_keypair *kp,
			      unsigned int n)
{
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);

	if (unlikely(peer == NULL))
		return OMNI_STAT_drop_no_peer;
	r->path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (unlikely(r->path == NULL))
		return OMNI_STAT_drop_no_path;
	r->kp = kp;
	r->head = OMNI_TYPE_WG_DATA | kp->remote_id << 32;
	r->text = pad_to(w, r->path, kp);
	r->tos = tos_policy(w, kp->cluster);
	r->frames = r->bytes = 0;
	return take_run(w, r, &kp->tx[0], n);
}

static void end_run(const struct omni_worker *w, const struct run *r, struct omni_lane_tx *tx)
{
	if (unlikely(r->frames == 0))
		return;
	__atomic_store_n(&tx->last_any, w->turn_tsc, __ATOMIC_RELAXED);
	__atomic_store_n(&tx->last_tsc, w->turn_tsc, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tx->frames, r->frames, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tx->bytes, r->bytes, __ATOMIC_RELAXED);
}

/* With zeros to a multiple of 16, but not beyond what the path carries, nor the cluster's MTU. */
static inline uint32_t padded(const struct run *r, uint32_t len)
{
	uint32_t most = OMNI_MAX(len, r->text);
	uint32_t want = (len + OMNI_WG_PADDING - 1) & ~(OMNI_WG_PADDING - 1U);

	return OMNI_MIN(want, most);
}

static inline void operation(struct omni_aead_op *op, const struct run *r, uint8_t *data,
			     uint32_t text, uint64_t sequence)
{
	static const uint8_t zeros[4];

	op->key = r->kp->tx_key;
	op->aad = NULL;
	op->aad_len = 0;
	op->src = data;
	op->dst = data;
	op->len = text;
	op->tag = data + text;
	omni_aead_op_nonce(op, zeros, &sequence);
}

/* A packet is sealed where it lies, with its padding: what lies elsewhere is copied before. */
static inline unsigned int encap(struct omni_worker *w, struct run *r, struct rte_mbuf *m,
				 unsigned int at)
{
	uint16_t front = (uint16_t)(r->path->hdr_len + OMNI_WG_DATA_HDR_LEN);
	uint32_t len = rte_pktmbuf_data_len(m), text = padded(r, len);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *h = data - OMNI_WG_DATA_HDR_LEN;
	struct omni_meta *meta = omni_meta(m);
	uint64_t sequence = r->sequence++;

	if (unlikely(rte_pktmbuf_headroom(m) < front ||
		     rte_pktmbuf_tailroom(m) < text - len + OMNI_TAG_LEN))
		return OMNI_STAT_drop_too_long;
	if (unlikely(meta->src != NULL))
		memcpy(data, meta->src, len);
	put_outer(r->path, data - front, (uint16_t)(text + OMNI_WG_DATA_OVERHEAD), w->ip_id++,
		  outer_tos(r->tos, meta, data));
	memcpy(h, &r->head, 8);
	memcpy(h + 8, &sequence, 8);
	/* The tag overwrites what is more than the padding. */
	memset(data + len, 0, OMNI_WG_PADDING);
	operation(&w->op[at], r, data, text, sequence);
	w->path[at] = r->path;
	r->frames++;
	r->bytes += text;
	meta->lane = 0;
	set_datagram(m, r->path, front, text);
	return KEEP;
}

static_assert(OMNI_WG_PADDING <= OMNI_TAG_LEN, "padding is written where the tag has room");

unsigned int omni_node_encap_wg(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				struct rte_mbuf **out, unsigned int *left)
{
	struct omni_keypair *kp = omni_meta(m[0])->kp;
	struct run run = {.frames = 0};
	unsigned int taken = run_len(m, n, kp), at = *left;
	unsigned int why = begin_run(w, &run, kp, taken);

	for (unsigned int i = 0; i < taken; i++) {
		unsigned int verdict = likely(why == KEEP) ? encap(w, &run, m[i], at) : why;

		if (likely(verdict == KEEP))
			out[at++] = m[i];
		else
			omni_node_drop(w, m[i], verdict);
	}
	end_run(w, &run, &kp->tx[0]);
	*left = at;
	return taken;
}
