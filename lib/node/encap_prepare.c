/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * encap_prepare: lane and sequence, data header, outer headers, and the AEAD operations of the
 * burst. All headers are written before the first one is read by the cipher.
 */
#include "encap.h"

#define GCM_BLOCK_SHIFT 4
#define GCM_BLOCKS_PER_MESSAGE 2
/* Far under 2^64, far over any number of messages that is ever sent after OMNI_MESSAGES_REKEY. */
#define MESSAGES_STOP (OMNI_MESSAGES_REKEY * 2)

/*
 * What frames to one peer have in common, looked up once for those that follow each other; and the
 * lane's counters, which are written back at the end of the run unless workers share it.
 */
struct run {
	struct omni_keypair *kp;
	const struct omni_path *path;
	struct omni_lane_tx *tx;
	uint64_t sequence, blocks, frames, bytes; /* next, and of this run */
	uint64_t be_id, be_lane;		  /* in the data header, as it is sent */
	struct tos_policy tos;
	uint16_t lane;
	uint16_t source; /* UDP port to leave from; 0: the path's */
	bool shared;
	unsigned int why; /* KEEP, or why nothing goes there */
};

/* Limits of one lane, checked once a run: a burst more or less does not matter to them. */
static unsigned int check_wear(struct omni_worker *w, const struct run *r)
{
	uint64_t blocks = r->kp->cipher == OMNI_CIPHER_AESGCM
				  ? __atomic_load_n(&r->tx->blocks, __ATOMIC_RELAXED)
				  : 0;
	uint64_t messages = r->sequence;

	if (likely(blocks < OMNI_GCM_BLOCKS_REKEY && messages < OMNI_MESSAGES_REKEY))
		return KEEP;
	encap_report_worn(w, r->kp, r->lane);
	return blocks >= OMNI_GCM_BLOCKS_STOP || messages >= MESSAGES_STOP
		       ? (unsigned int)OMNI_STAT_drop_key_worn
		       : KEEP;
}

/* A lane that workers share leaves from the one port that they share. */
static uint16_t source_of(const struct omni_worker *w, const struct run *r)
{
	const struct omni_lane_ports *ports = omni_path_lane_ports(r->path);

	return ports != NULL && !r->shared && (ports->own >> r->lane & 1) != 0 ? w->conf.lane_port
									       : 0;
}

static void begin_run(struct omni_worker *w, struct run *r, struct omni_keypair *kp)
{
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);

	r->kp = kp;
	r->lane = lane_of(w, kp, &r->shared);
	r->tx = &kp->tx[r->lane];
	r->tos = tos_policy(w, kp->cluster);
	r->be_id = __builtin_bswap64(kp->remote_id);
	r->be_lane = __builtin_bswap64((uint64_t)r->lane << 48);
	r->sequence = __atomic_load_n(&r->tx->sequence, __ATOMIC_RELAXED);
	r->blocks = r->frames = r->bytes = 0;
	r->path = peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire) : NULL;
	if (unlikely(peer == NULL))
		r->why = OMNI_STAT_drop_no_peer;
	else if (unlikely(r->path == NULL))
		r->why = OMNI_STAT_drop_no_path;
	else if (unlikely(r->lane == 0))
		r->why = OMNI_STAT_drop_no_lane;
	else
		r->why = check_wear(w, r);
	r->source = r->path != NULL ? source_of(w, r) : 0;
}

static void end_run(const struct omni_worker *w, const struct run *r)
{
	if (r->frames != 0)
		omni_lane_sent(r->tx, r->sequence, r->blocks, r->frames, r->bytes, w->turn_tsc);
}

/* The next sequence of the lane. */
static inline uint64_t take_sequence(const struct omni_worker *w, struct run *r, uint32_t len)
{
	uint64_t blocks = ((len + 15) >> GCM_BLOCK_SHIFT) + GCM_BLOCKS_PER_MESSAGE;

	if (unlikely(r->shared))
		return omni_lane_take_shared(r->tx, blocks, len, w->turn_tsc);
	r->blocks += blocks;
	r->frames++;
	r->bytes += len;
	return r->sequence++;
}

/* Where the kind stands in the nonce word as it is sent. */
#define BE_KIND_SHIFT 32

/* The data header at h, in three stores. */
static inline void put_header(uint8_t *h, struct omni_aead_op *op, const struct run *r,
			      uint8_t kind, uint64_t sequence)
{
	uint64_t be_word = r->be_lane | (uint64_t)kind << BE_KIND_SHIFT;
	uint64_t be_sequence = __builtin_bswap64(sequence);

	memcpy(h, &r->be_id, 8);
	memcpy(h + 8, &be_sequence, 8);
	memcpy(h + 16, &be_word, 8);
	omni_aead_op_nonce(op, &be_word, &be_sequence);
}

static_assert(offsetof(struct omni_data_hdr, kind) - offsetof(struct omni_data_hdr, lane) ==
		      BE_KIND_SHIFT / 8,
	      "x86 is little-endian");

static inline unsigned int encap(struct omni_worker *w, struct run *r, struct rte_mbuf *m,
				 unsigned int at)
{
	struct omni_meta *meta = omni_meta(m);
	uint16_t front = (uint16_t)(r->path->hdr_len + OMNI_DATA_HDR_LEN);
	uint32_t len = rte_pktmbuf_data_len(m);
	struct omni_aead_op *op = &w->op[at];
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *h = data - OMNI_DATA_HDR_LEN;

	if (unlikely(rte_pktmbuf_headroom(m) < front || rte_pktmbuf_tailroom(m) < OMNI_TAG_LEN))
		return OMNI_STAT_drop_too_long;
	put_outer(r->path, data - front, (uint16_t)(len + OMNI_DATA_OVERHEAD), w->ip_id++, 0);
	if (r->source != 0)
		omni_store_be16(h - OMNI_UDP_HDR_LEN, r->source);
	put_header(h, op, r, meta->kind, take_sequence(w, r, len));
	op->key = r->kp->tx_key;
	op->aad = h;
	op->aad_len = OMNI_DATA_HDR_LEN;
	op->src = meta->src != NULL ? meta->src : data;
	op->dst = data;
	op->len = len;
	op->tag = data + len;
	w->path[at] = r->path;
	meta->lane = r->lane;
	set_datagram(m, r->path, front, len);
	return KEEP;
}

/* Of L3 clusters, apart: frames of all others would pay for it. */
static void __attribute__((noinline)) copy_tos(const struct run *r, struct rte_mbuf *m)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	const uint8_t *text = at + r->path->hdr_len + OMNI_DATA_HDR_LEN;

	set_outer_tos(r->path, at, outer_tos(r->tos, omni_meta(m), text));
}

unsigned int omni_node_encap_prepare(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct run run = {.kp = NULL};
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct omni_keypair *kp = omni_meta(m[i])->kp;
		unsigned int why;

		if (kp != run.kp) {
			end_run(w, &run);
			if (kp->dialect == OMNI_DIALECT_WIREGUARD) {
				run.kp = NULL;
				run.frames = 0;
				i += omni_node_encap_wg(w, m + i, n - i, m, &left) - 1;
				continue;
			}
			begin_run(w, &run, kp);
		}
		why = likely(run.why == KEEP) ? encap(w, &run, m[i], left) : run.why;
		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		if (unlikely((run.tos.copy | run.tos.fixed) != 0))
			copy_tos(&run, m[i]);
		m[left++] = m[i];
	}
	end_run(w, &run);
	stage_end(w, OMNI_STAGE_encap_prepare, n);
	return left;
}
