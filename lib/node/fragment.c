/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fragment: frames that exceed their path's MTU become pieces of nearly equal length, each with
 * an 8-byte header, all on one session and lane. The frame's own mbuf becomes the first piece,
 * the others are copied out before anything is sealed. One burst may become many, so the stage
 * is called until it returns 0: it fills m from w->cut.
 */
#include "ecn.h"

/* 65536 / n, rounded up: the data path does not divide. */
#define R(n) (uint32_t)((65536 + (n)-1) / (n))
#define R8(n) \
	R(n), R((n) + 1), R((n) + 2), R((n) + 3), R((n) + 4), R((n) + 5), R((n) + 6), R((n) + 7)
static const uint32_t reciprocal[OMNI_FRAGMENT_MAX_PIECES + 1] = {
	0, R8(1), R8(9), R8(17), R8(25), R8(33), R8(41), R8(49), R8(57),
};

struct cut {
	uint32_t whole, pieces, size;
	uint32_t id;
};

/* How a frame of len bytes is cut for a path; false where that takes too many pieces. */
static bool plan(struct cut *c, const struct omni_path *path, uint32_t len)
{
	uint32_t around =
		path->hdr_len - OMNI_ETHER_HDR_LEN + OMNI_DATA_OVERHEAD + OMNI_FRAGMENT_HDR_LEN;
	uint32_t most = path->mtu > around ? path->mtu - around : 0;

	if (most < OMNI_FRAGMENT_MIN_PIECE)
		return false;
	c->whole = len;
	c->pieces = 1;
	while (c->pieces * most < len)
		c->pieces++;
	if (c->pieces > OMNI_FRAGMENT_MAX_PIECES)
		return false;
	c->size = OMNI_MIN((len * reciprocal[c->pieces] >> 16) + 1, most);
	c->size = OMNI_MAX(c->size, OMNI_FRAGMENT_MIN_PIECE);
	return true;
}

static uint32_t next_id(const struct omni_worker *w, struct omni_keypair *kp)
{
	bool shared;
	struct omni_lane_tx *tx = &kp->tx[lane_of(w, kp, &shared)];

	return shared ? __atomic_fetch_add(&tx->frame_id, 1, __ATOMIC_RELAXED) : tx->frame_id++;
}

static void set_header(uint8_t *at, const struct cut *c, uint32_t begin)
{
	omni_store_be32(at, c->id);
	omni_store_be16(at + 4, (uint16_t)begin);
	omni_store_be16(at + 6, (uint16_t)c->whole);
}

static void set_len(struct rte_mbuf *m, uint32_t len)
{
	m->data_len = (uint16_t)(OMNI_FRAGMENT_HDR_LEN + len);
	m->pkt_len = OMNI_FRAGMENT_HDR_LEN + len;
}

/* The piece at begin into a fresh mbuf. */
static void copy_piece(struct rte_mbuf *m, const struct omni_meta *meta, const struct cut *c,
		       const uint8_t *src, uint32_t begin)
{
	uint32_t len = OMNI_MIN(c->size, c->whole - begin);
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);

	*omni_meta(m) = *meta;
	set_header(at, c, begin);
	memcpy(at + OMNI_FRAGMENT_HDR_LEN, src + begin, len);
	set_len(m, len);
}

/* The frame's mbuf as the first piece: its content is there already, or comes from elsewhere. */
static void first_piece(struct rte_mbuf *m, const struct cut *c, const uint8_t *elsewhere)
{
	m->data_off -= OMNI_FRAGMENT_HDR_LEN;
	set_header(rte_pktmbuf_mtod(m, uint8_t *), c, 0);
	if (elsewhere != NULL)
		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, OMNI_FRAGMENT_HDR_LEN), elsewhere,
		       c->size);
	set_len(m, c->size);
}

/* Cut one frame into out, which has room; returns the pieces, or 0 where it was dropped. */
static unsigned int cut(struct omni_worker *w, struct rte_mbuf *m, struct rte_mbuf **out,
			struct cut *c)
{
	struct omni_meta *meta = omni_meta(m);
	const uint8_t *elsewhere = meta->src;
	const uint8_t *src = elsewhere != NULL ? elsewhere : rte_pktmbuf_mtod(m, uint8_t *);
	unsigned int n = 1;

	if (rte_pktmbuf_headroom(m) < OMNI_FRAGMENT_HDR_LEN ||
	    rte_pktmbuf_alloc_bulk(w->conf.pool, out + 1, c->pieces - 1) != 0) {
		omni_node_drop(w, m, OMNI_STAT_drop_no_mbuf);
		return 0;
	}
	c->id = next_id(w, meta->kp);
	meta->kind = OMNI_KIND_FRAGMENT;
	meta->flags &= (uint8_t)~OMNI_META_CUT;
	meta->src = NULL;
	for (uint32_t begin = c->size; begin < c->whole; begin += c->size)
		copy_piece(out[n++], meta, c, src, begin);
	/* Rounding up may have left nothing for the last. */
	for (unsigned int i = n; i < c->pieces; i++)
		omni_node_release(w, out[i]);
	first_piece(m, c, elsewhere);
	out[0] = m;
	count(w, OMNI_STAT_fragments_sent, n);
	return n;
}

/* A whole segment's buffers as its pieces, which split found to fit the path. */
static unsigned int take_apart(struct omni_worker *w, struct rte_mbuf *m, struct rte_mbuf **out)
{
	struct omni_meta meta = *omni_meta(m);
	uint32_t whole = m->pkt_len, begin = 0, id = next_id(w, meta.kp);
	uint16_t size = m->tso_segsz;
	unsigned int n = 0;

	meta.flags &= (uint8_t)~OMNI_META_CUT;
	if ((meta.flags & OMNI_META_L3) != 0)
		meta.tos = ip_tos(rte_pktmbuf_mtod(m, const uint8_t *));
	for (struct rte_mbuf *next; m != NULL; m = next) {
		uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *) - OMNI_PIECE_HDR_LEN;

		next = m->next;
		omni_store_be32(h, id);
		omni_store_be16(h + 4, (uint16_t)begin);
		omni_store_be16(h + 6, (uint16_t)whole);
		omni_store_be32(h + 8, (uint32_t)size << 16);
		begin += m->data_len;
		omni_segment_unmark(m);
		m->next = NULL;
		m->nb_segs = 1;
		m->data_off -= OMNI_PIECE_HDR_LEN;
		m->data_len += OMNI_PIECE_HDR_LEN;
		m->pkt_len = m->data_len;
		*omni_meta(m) = meta;
		out[n++] = m;
	}
	count(w, OMNI_STAT_segments_sent, 1);
	count(w, OMNI_STAT_pieces_sent, n);
	return n;
}

unsigned int omni_node_fragment(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;
	struct cut c;

	while (left < n && w->cut.at < w->cut.n) {
		struct rte_mbuf *frame = w->cut.m[w->cut.at];
		const struct omni_meta *meta = omni_meta(frame);
		const struct omni_peer *peer;
		const struct omni_path *path;

		if ((meta->flags & OMNI_META_CUT) == 0) {
			m[left++] = frame;
			w->cut.at++;
			continue;
		}
		if (meta->kind == OMNI_KIND_SEGMENT) {
			if (left + frame->nb_segs > n)
				break;
			left += take_apart(w, frame, m + left);
			w->cut.at++;
			continue;
		}
		peer = peer_get(w, meta->peer, meta->kp->peer_gen);
		path = peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire)
				    : NULL;
		if (path == NULL || !plan(&c, path, rte_pktmbuf_data_len(frame))) {
			omni_node_drop(w, frame, OMNI_STAT_drop_too_long);
			w->cut.at++;
			continue;
		}
		if (left + c.pieces > n)
			break;
		left += cut(w, frame, m + left, &c);
		w->cut.at++;
	}
	stage_end(w, OMNI_STAGE_fragment, left);
	return left;
}
