/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * encap_prepare: lane and sequence, data header, outer headers, and the AEAD operations of the
 * burst. All headers are written before the first one is read by the cipher.
 */
#include "ecn.h"
#include "worker.h"

#define GCM_BLOCK_SHIFT 4
#define GCM_BLOCKS_PER_MESSAGE 2
/* Far under 2^64, far over any number of messages that is ever sent after OMNI_MESSAGES_REKEY. */
#define MESSAGES_STOP (OMNI_MESSAGES_REKEY * 2)

/*
 * What frames to one peer have in common, looked up once for those that follow each other; and the
 * lane's counters, which are written back at the end of the run unless workers share it.
 * WireGuard's one lane is shared by all and by control: a run takes its sequences at its beginning,
 * all at once.
 */
struct run {
	struct omni_keypair *kp;
	const struct omni_path *path;
	struct omni_lane_tx *tx;
	uint64_t sequence, blocks, frames, bytes; /* next, and of this run */
	uint64_t be_id, be_lane;		  /* in the data header, as it is sent */
	uint64_t wg_head;			  /* the same, of WireGuard's */
	uint32_t text;				  /* bytes that a datagram carries; WireGuard */
	struct tos_policy tos;			  /* of L3 clusters */
	uint16_t lane;
	uint16_t source; /* UDP port to leave from; 0: the path's */
	bool shared, wireguard, l3;
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

/* Frames at the beginning of m that leave under kp. */
static inline unsigned int run_len(struct rte_mbuf **m, unsigned int n,
				   const struct omni_keypair *kp)
{
	unsigned int i = 1;

	while (i < n && omni_meta(m[i])->kp == kp)
		i++;
	return i;
}

/* Sequences of WireGuard's for n frames, and its limits. */
static unsigned int take_run(struct omni_worker *w, struct run *r, unsigned int n)
{
	uint64_t next = __atomic_load_n(&r->tx->sequence, __ATOMIC_RELAXED);

	if (unlikely(next >= OMNI_MESSAGES_REKEY)) {
		report_worn(w, r->kp, r->lane);
		if (!omni_lane_has_run(next, n))
			return OMNI_STAT_drop_key_worn;
	}
	r->sequence = omni_lane_take_run(r->tx, n);
	return likely(omni_lane_has_run(r->sequence, n)) ? KEEP
							 : (unsigned int)OMNI_STAT_drop_key_worn;
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

/* A lane that workers share leaves from the one port that they share. */
static uint16_t source_of(const struct omni_worker *w, const struct run *r)
{
	const struct omni_lane_ports *ports = omni_path_lane_ports(r->path);

	return ports != NULL && !r->shared && (ports->own >> r->lane & 1) != 0 ? w->conf.lane_port
									       : 0;
}

/* What stands in the data header, and in the outer one's TOS byte. */
static void set_dialect(const struct omni_worker *w, struct run *r, const struct omni_keypair *kp)
{
	const struct omni_l3 *l3 =
		w->conf.fib != NULL ? omni_fib_cluster(w->conf.fib, kp->cluster) : NULL;

	r->l3 = l3 != NULL;
	r->tos = tos_policy(l3);
	r->wireguard = kp->dialect == OMNI_DIALECT_WIREGUARD;
	r->wg_head = OMNI_TYPE_WG_DATA | kp->remote_id << 32;
	r->be_id = __builtin_bswap64(kp->remote_id);
	r->be_lane = __builtin_bswap64((uint64_t)r->lane << 48);
}

/* A lane of Omni's is ours, or workers share it; control's own is not for us. */
static unsigned int begin_lane(struct omni_worker *w, struct run *r)
{
	if (unlikely(r->lane == 0))
		return OMNI_STAT_drop_no_lane;
	r->sequence = r->tx->sequence;
	return check_wear(w, r);
}

/* With the first of the n frames of m. */
static void begin_run(struct omni_worker *w, struct run *r, struct rte_mbuf **m, unsigned int n)
{
	struct omni_keypair *kp = omni_meta(m[0])->kp;
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);

	r->kp = kp;
	r->lane = lane_of(w, kp, &r->shared);
	r->tx = &kp->tx[r->lane];
	set_dialect(w, r, kp);
	r->blocks = r->frames = r->bytes = 0;
	r->path = peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire) : NULL;
	if (unlikely(peer == NULL))
		r->why = OMNI_STAT_drop_no_peer;
	else if (unlikely(r->path == NULL))
		r->why = OMNI_STAT_drop_no_path;
	else
		r->why = r->wireguard ? take_run(w, r, run_len(m, n, kp)) : begin_lane(w, r);
	if (likely(r->path != NULL)) {
		r->source = source_of(w, r);
		r->text = text_for(r->path, kp);
	}
}

/* Of a lane that others may be sending on. */
static void end_shared_run(const struct omni_worker *w, const struct run *r)
{
	struct omni_lane_tx *tx = r->tx;

	__atomic_store_n(&tx->last_any, w->turn_tsc, __ATOMIC_RELAXED);
	__atomic_store_n(&tx->last_tsc, w->turn_tsc, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tx->frames, r->frames, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tx->bytes, r->bytes, __ATOMIC_RELAXED);
}

static void end_run(const struct omni_worker *w, const struct run *r)
{
	struct omni_lane_tx *tx = r->tx;

	if (r->frames == 0)
		return;
	if (r->wireguard) {
		end_shared_run(w, r);
		return;
	}
	tx->last_any = tx->last_tsc = w->turn_tsc;
	tx->sequence = r->sequence;
	tx->blocks += r->blocks;
	tx->frames += r->frames;
	tx->bytes += r->bytes;
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

/* The first bytes of the outer headers as path.c has them: no options, don't fragment; no label. */
#define IPV4_BEGIN UINT64_C(0x4500000000004000)
#define IPV6_BEGIN 0x6000

/* Whole vectors, from the path's first cache line. */
#define TEMPLATE_COPY 48

static_assert(TEMPLATE_COPY >= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN &&
		      offsetof(struct omni_path, hdr) + TEMPLATE_COPY <= OMNI_CACHE_LINE,
	      "the template for IPv4, and no other line");
static_assert(TEMPLATE_COPY <= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN +
				       OMNI_WG_DATA_HDR_LEN,
	      "the template ends before the payload");

/*
 * omni_path_write for IPv4 without a call, and with a TOS byte or traffic class: what is copied too
 * much of the template lies where the data header comes next.
 */
static inline void put_outer(const struct omni_path *path, uint8_t *at, uint16_t payload_len,
			     uint16_t ip_id, uint8_t tos)
{
	uint32_t udp_len = payload_len + OMNI_UDP_HDR_LEN, len = udp_len + OMNI_IPV4_HDR_LEN;
	uint32_t sum = path->ip_sum + tos + len + ip_id;
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;

	if (unlikely(path->v6)) {
		omni_path_write(path, at, payload_len, ip_id);
		omni_store_be16(ip, (uint16_t)(IPV6_BEGIN | tos << 4));
		return;
	}
	memcpy(at, path->hdr, TEMPLATE_COPY);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	omni_store_be64(ip, IPV4_BEGIN | (uint64_t)tos << 48 | (uint64_t)len << 32 |
				    (uint64_t)ip_id << 16);
	omni_store_be16(ip + 10, (uint16_t)~sum);
	omni_store_be16(ip + OMNI_IPV4_HDR_LEN + 4, (uint16_t)udp_len);
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

/* Packets in bundles and fragments do not show what they are: nothing is copied of them. */
static inline uint8_t tos_of(const struct run *r, const struct omni_meta *meta, const uint8_t *data)
{
	uint8_t copied;

	if (likely(!r->l3))
		return 0;
	copied = meta->kind == OMNI_KIND_FRAME ? ip_tos(data) & r->tos.copy : 0;
	return copied | r->tos.fixed;
}

/* The datagram begins front bytes before the text, and ends with the tag. */
static inline void set_datagram(const struct run *r, struct rte_mbuf *m, uint16_t front,
				uint32_t text)
{
	struct omni_meta *meta = omni_meta(m);

	meta->lane = r->lane;
	meta->port = r->path->port;
	m->data_off -= front;
	m->data_len = (uint16_t)(front + text + OMNI_TAG_LEN);
	m->pkt_len = front + text + OMNI_TAG_LEN;
}

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
	put_outer(r->path, data - front, (uint16_t)(len + OMNI_DATA_OVERHEAD), w->ip_id++,
		  tos_of(r, meta, data));
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
	set_datagram(r, m, front, len);
	return KEEP;
}

/* With zeros to a multiple of 16, but not beyond what the path carries. */
static inline uint32_t padded(const struct run *r, uint32_t len)
{
	uint32_t most = OMNI_MAX(len, r->text);
	uint32_t want = (len + OMNI_WG_PADDING - 1) & ~(OMNI_WG_PADDING - 1U);

	return OMNI_MIN(want, most);
}

/* A packet is sealed where it lies, with its padding: what lies elsewhere is copied before. */
static inline unsigned int encap_wg(struct omni_worker *w, struct run *r, struct rte_mbuf *m,
				    unsigned int at)
{
	uint16_t front = (uint16_t)(r->path->hdr_len + OMNI_WG_DATA_HDR_LEN);
	uint32_t len = rte_pktmbuf_data_len(m), text = padded(r, len);
	struct omni_aead_op *op = &w->op[at];
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *), *h = data - OMNI_WG_DATA_HDR_LEN;
	static const uint8_t zeros[4];
	const uint8_t *src = omni_meta(m)->src;
	uint64_t sequence = r->sequence++;

	if (unlikely(rte_pktmbuf_headroom(m) < front ||
		     rte_pktmbuf_tailroom(m) < text - len + OMNI_TAG_LEN))
		return OMNI_STAT_drop_too_long;
	if (unlikely(src != NULL))
		memcpy(data, src, len);
	put_outer(r->path, data - front, (uint16_t)(text + OMNI_WG_DATA_OVERHEAD), w->ip_id++,
		  tos_of(r, omni_meta(m), data));
	memcpy(h, &r->wg_head, 8);
	memcpy(h + 8, &sequence, 8);
	/* The tag overwrites what is more than the padding. */
	memset(data + len, 0, OMNI_WG_PADDING);
	op->key = r->kp->tx_key;
	op->aad = NULL;
	op->aad_len = 0;
	op->src = data;
	op->dst = data;
	op->len = text;
	op->tag = data + text;
	omni_aead_op_nonce(op, zeros, &sequence);
	w->path[at] = r->path;
	r->frames++;
	r->bytes += text;
	set_datagram(r, m, front, text);
	return KEEP;
}

static_assert(OMNI_WG_PADDING <= OMNI_TAG_LEN, "padding is written where the tag has room");

static inline unsigned int encap_any(struct omni_worker *w, struct run *r, struct rte_mbuf *m,
				     unsigned int at)
{
	return r->wireguard ? encap_wg(w, r, m, at) : encap(w, r, m, at);
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
			begin_run(w, &run, m + i, n - i);
		}
		why = likely(run.why == KEEP) ? encap_any(w, &run, m[i], left) : run.why;
		if (likely(why == KEEP))
			m[left++] = m[i];
		else
			omni_node_drop(w, m[i], why);
	}
	end_run(w, &run);
	stage_end(w, OMNI_STAGE_encap_prepare, n);
	return left;
}
