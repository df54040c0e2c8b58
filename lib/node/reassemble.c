/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reassemble: fragments become frames, in the place of the piece that completes them, so that
 * frames of one flow keep their order. Pieces are copied to their offset in a fresh mbuf. A
 * frame whose pieces contradict each other is dropped, and stays known as dead until its time
 * is over, so that its other pieces begin nothing. Bounded in number, time and per peer.
 */
#include "reassemble.h"

/* One piece as its header describes it. */
struct piece {
	uint32_t id;
	uint16_t begin, end, whole;
	const uint8_t *data;
};

static struct frame *set_of(struct reassembly *r, uint64_t session, uint16_t lane, uint32_t id)
{
	uint64_t h = (session ^ r->salt) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 32 ^ id ^ (uint64_t)lane << 32) * UINT64_C(0xff51afd7ed558ccd);
	return r->frame[h >> 32 & (REASSEMBLY_SETS - 1)];
}

static struct frame *find_free(struct frame *set)
{
	for (unsigned int i = 0; i < REASSEMBLY_WAYS; i++)
		if (set[i].session == 0)
			return &set[i];
	return NULL;
}

static struct frame *find(struct frame *set, uint64_t session, uint16_t lane, uint32_t id)
{
	for (unsigned int i = 0; i < REASSEMBLY_WAYS; i++)
		if (set[i].session == session && set[i].id == id && set[i].lane == lane)
			return &set[i];
	return NULL;
}

static void forget(struct reassembly *r, struct frame *f)
{
	TAILQ_REMOVE(&r->by_age, f, by_age);
	r->of_peer[f->peer]--;
	f->session = 0;
	f->m = NULL;
}

/* A new entry with its mbuf; NULL, and why in *why. */
static struct frame *begin(struct omni_worker *w, struct frame *set, const struct omni_meta *meta,
			   const struct piece *p, unsigned int *why)
{
	struct reassembly *r = w->reassembly;
	struct frame *f = find_free(set);

	*why = OMNI_STAT_drop_reassembly_full;
	if (f == NULL || r->of_peer[meta->peer] >= OMNI_REASSEMBLY_PEER_MAX)
		return NULL;
	*why = OMNI_STAT_drop_no_mbuf;
	f->m = rte_pktmbuf_alloc(w->conf.pool);
	if (f->m == NULL)
		return NULL;
	*why = OMNI_STAT_drop_too_long;
	if (p->whole > rte_pktmbuf_tailroom(f->m)) {
		omni_node_release(w, f->m);
		f->m = NULL;
		return NULL;
	}
	f->session = meta->kp->local_id;
	f->id = p->id;
	f->lane = meta->lane;
	f->peer = meta->peer;
	f->whole = p->whole;
	f->got = f->pieces = 0;
	f->deadline = w->turn_tsc + r->timeout;
	r->of_peer[f->peer]++;
	TAILQ_INSERT_TAIL(&r->by_age, f, by_age);
	return f;
}

static bool read_piece(struct piece *p, struct rte_mbuf *m)
{
	uint32_t len = rte_pktmbuf_data_len(m), end;
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	if (len <= OMNI_FRAGMENT_HDR_LEN)
		return false;
	len -= OMNI_FRAGMENT_HDR_LEN;
	p->id = omni_load_be32(at);
	p->begin = omni_load_be16(at + 4);
	p->whole = omni_load_be16(at + 6);
	p->data = at + OMNI_FRAGMENT_HDR_LEN;
	end = p->begin + len;
	p->end = (uint16_t)end;
	return end == p->whole || (end < p->whole && len >= OMNI_FRAGMENT_MIN_PIECE);
}

static bool fits(const struct frame *f, const struct piece *p)
{
	if (f->whole != p->whole || f->pieces == OMNI_FRAGMENT_MAX_PIECES)
		return false;
	for (unsigned int i = 0; i < f->pieces; i++)
		if (p->begin < f->end[i] && f->begin[i] < p->end)
			return false;
	return true;
}

static void put(struct frame *f, const struct piece *p)
{
	uint16_t len = (uint16_t)(p->end - p->begin);

	memcpy(rte_pktmbuf_mtod_offset(f->m, uint8_t *, p->begin), p->data, len);
	f->begin[f->pieces] = p->begin;
	f->end[f->pieces++] = p->end;
	f->got = (uint16_t)(f->got + len);
}

/* Take one fragment: KEEP, or why not. *whole: the frame that it completed, or NULL. */
static unsigned int take(struct omni_worker *w, struct rte_mbuf *m, struct rte_mbuf **whole)
{
	const struct omni_meta *meta = omni_meta(m);
	struct reassembly *r = w->reassembly;
	unsigned int why = OMNI_STAT_drop_bad_fragment;
	struct frame *set, *f;
	struct piece p;

	*whole = NULL;
	if (!read_piece(&p, m))
		return why;
	if (p.whole > meta->kp->frame_max)
		return OMNI_STAT_drop_too_long;
	set = set_of(r, meta->kp->local_id, meta->lane, p.id);
	f = find(set, meta->kp->local_id, meta->lane, p.id);
	if (f == NULL)
		f = begin(w, set, meta, &p, &why);
	if (f == NULL || f->m == NULL)
		return why;
	if (!fits(f, &p)) {
		omni_node_release(w, f->m);
		f->m = NULL;
		return why;
	}
	put(f, &p);
	if (f->got == f->whole) {
		*whole = f->m;
		*omni_meta(f->m) = *meta;
		omni_meta(f->m)->kind = OMNI_KIND_FRAME;
		f->m->data_len = f->whole;
		f->m->pkt_len = f->whole;
		forget(r, f);
	}
	return KEEP;
}

unsigned int omni_node_reassemble(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, taken = 0, done = 0;
	struct rte_mbuf *whole;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why;

		if (omni_meta(m[i])->kind != OMNI_KIND_FRAGMENT) {
			m[left++] = m[i];
			continue;
		}
		why = take(w, m[i], &whole);
		if (why != KEEP) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		taken++;
		omni_node_release(w, m[i]);
		if (whole != NULL) {
			m[left++] = whole;
			done++;
		}
	}
	count(w, OMNI_STAT_fragments_received, taken);
	count(w, OMNI_STAT_reassembled, done);
	stage_end(w, OMNI_STAGE_reassemble, n);
	return left;
}

void omni_node_reassemble_expire(struct omni_worker *w)
{
	struct reassembly *r = w->reassembly;
	struct frame *f;

	while ((f = TAILQ_FIRST(&r->by_age)) != NULL && f->deadline <= w->turn_tsc) {
		if (f->m != NULL)
			omni_node_drop(w, f->m, OMNI_STAT_drop_reassembly_timeout);
		forget(r, f);
	}
}

uint64_t omni_node_reassemble_deadline(const struct omni_worker *w)
{
	const struct frame *f = TAILQ_FIRST(&w->reassembly->by_age);

	return f != NULL ? f->deadline : 0;
}
