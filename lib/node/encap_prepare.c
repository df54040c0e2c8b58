/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * encap_prepare: lane and sequence, data header, outer headers, and the AEAD operations of the
 * burst. All headers are written before the first one is read by the cipher.
 */
#include "worker.h"

#define GCM_BLOCK_SHIFT 4
#define GCM_BLOCKS_PER_MESSAGE 2
/* Far under 2^64, far over any number of messages that is ever sent after OMNI_MESSAGES_REKEY. */
#define MESSAGES_STOP (OMNI_MESSAGES_REKEY * 2)

/* What frames to one peer have in common; looked up once for those that follow each other. */
struct run {
	struct omni_keypair *kp;
	const struct omni_path *path;
	struct omni_lane_tx *tx;
	uint16_t lane;
	bool shared;
	unsigned int why; /* KEEP, or why nothing goes there */
};

static void report_worn(struct omni_worker *w, const struct omni_keypair *kp, uint16_t lane)
{
	const struct omni_event ev = {
		.type = OMNI_EVENT_WORN,
		.lane = (uint8_t)lane,
		.cluster = kp->cluster,
		.peer = kp->peer,
		.peer_gen = kp->peer_gen,
		.session_id = kp->local_id,
	};

	omni_node_event(w, &ev);
}

/* Limits of one lane, checked once a run: a burst more or less does not matter to them. */
static unsigned int check_wear(struct omni_worker *w, const struct run *r)
{
	uint64_t blocks = r->kp->cipher == OMNI_CIPHER_AESGCM ? r->tx->blocks : 0;
	uint64_t messages = r->tx->sequence;

	if (likely(blocks < OMNI_GCM_BLOCKS_REKEY && messages < OMNI_MESSAGES_REKEY))
		return KEEP;
	report_worn(w, r->kp, r->lane);
	return blocks >= OMNI_GCM_BLOCKS_STOP || messages >= MESSAGES_STOP
		       ? (unsigned int)OMNI_STAT_drop_key_worn
		       : KEEP;
}

static void begin_run(struct omni_worker *w, struct run *r, struct omni_keypair *kp)
{
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);

	r->kp = kp;
	r->lane = lane_of(w, kp, &r->shared);
	r->tx = &kp->tx[r->lane];
	r->path = peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire) : NULL;
	if (unlikely(peer == NULL))
		r->why = OMNI_STAT_drop_no_peer;
	else if (unlikely(r->path == NULL))
		r->why = OMNI_STAT_drop_no_path;
	else if (unlikely(r->lane == 0))
		r->why = OMNI_STAT_drop_no_lane;
	else
		r->why = check_wear(w, r);
}

/* The next sequence, and the lane's counters. */
static inline uint64_t take_sequence(struct omni_worker *w, const struct run *r, uint32_t len)
{
	uint64_t blocks = ((len + 15) >> GCM_BLOCK_SHIFT) + GCM_BLOCKS_PER_MESSAGE;
	struct omni_lane_tx *tx = r->tx;

	if (unlikely(r->shared))
		return omni_lane_take_shared(tx, blocks, len, w->turn_tsc);
	tx->last_any = tx->last_tsc = w->turn_tsc;
	tx->blocks += blocks;
	tx->frames++;
	tx->bytes += len;
	return tx->sequence++;
}

/* Whole vectors, from the path's first cache line. */
#define TEMPLATE_COPY 48

static_assert(TEMPLATE_COPY >= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN &&
		      offsetof(struct omni_path, hdr) + TEMPLATE_COPY <= OMNI_CACHE_LINE,
	      "the template for IPv4, and no other line");
static_assert(TEMPLATE_COPY <=
		      OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN + OMNI_DATA_HDR_LEN,
	      "the template ends before the payload");

/*
 * omni_path_write for IPv4 without a call: the template is copied whole, because what is too
 * much of it lies where the data header comes next.
 */
static inline void put_outer(const struct omni_path *path, uint8_t *at, uint16_t payload_len,
			     uint16_t ip_id)
{
	uint32_t udp_len = payload_len + OMNI_UDP_HDR_LEN, len = udp_len + OMNI_IPV4_HDR_LEN;
	uint32_t sum = path->ip_sum + len + ip_id;
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;

	if (unlikely(path->v6)) {
		omni_path_write(path, at, payload_len, ip_id);
		return;
	}
	memcpy(at, path->hdr, TEMPLATE_COPY);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	omni_store_be32(ip + 2, len << 16 | ip_id);
	omni_store_be16(ip + 10, (uint16_t)~sum);
	omni_store_be16(ip + OMNI_IPV4_HDR_LEN + 4, (uint16_t)udp_len);
}

/* The data header at h, in three stores. */
static inline void put_header(uint8_t *h, struct omni_aead_op *op, const struct omni_keypair *kp,
			      uint16_t lane, uint8_t kind, uint64_t sequence)
{
	uint64_t word = (uint64_t)lane << 48 | (uint64_t)kind << 24;
	uint64_t be_word = __builtin_bswap64(word), be_sequence = __builtin_bswap64(sequence);

	omni_store_be64(h, kp->remote_id);
	memcpy(h + 8, &be_sequence, 8);
	memcpy(h + 16, &be_word, 8);
	omni_aead_op_nonce(op, &be_word, &be_sequence);
}

static inline unsigned int encap(struct omni_worker *w, const struct run *r, struct rte_mbuf *m,
				 unsigned int at)
{
	struct omni_meta *meta = omni_meta(m);
	uint16_t front = (uint16_t)(r->path->hdr_len + OMNI_DATA_HDR_LEN);
	uint32_t len = rte_pktmbuf_data_len(m);
	struct omni_aead_op *op = &w->op[at];
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *h = data - OMNI_DATA_HDR_LEN;

	if (unlikely(rte_pktmbuf_headroom(m) < front || rte_pktmbuf_tailroom(m) < OMNI_TAG_LEN))
		return OMNI_STAT_drop_too_long;
	put_outer(r->path, data - front, (uint16_t)(len + OMNI_DATA_OVERHEAD), w->ip_id++);
	put_header(h, op, r->kp, r->lane, meta->kind, take_sequence(w, r, len));
	op->key = r->kp->tx_key;
	op->aad = h;
	op->aad_len = OMNI_DATA_HDR_LEN;
	op->src = meta->src != NULL ? meta->src : data;
	op->dst = data;
	op->len = len;
	op->tag = data + len;
	w->path[at] = r->path;
	meta->lane = r->lane;
	meta->port = r->path->port;
	m->data_off -= front;
	m->data_len = (uint16_t)(front + len + OMNI_TAG_LEN);
	m->pkt_len = front + len + OMNI_TAG_LEN;
	return KEEP;
}

unsigned int omni_node_encap_prepare(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct run run = {.kp = NULL};
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct omni_keypair *kp = omni_meta(m[i])->kp;
		unsigned int why;

		if (kp != run.kp)
			begin_run(w, &run, kp);
		why = likely(run.why == KEEP) ? encap(w, &run, m[i], left) : run.why;
		if (likely(why == KEEP))
			m[left++] = m[i];
		else
			omni_node_drop(w, m[i], why);
	}
	stage_end(w, OMNI_STAGE_encap_prepare, n);
	return left;
}
