/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gather: the pieces of a TCP segment become a chain, without a copy. They come one after the
 * other, and one segment of a lane at a time; where one is missing, the segment is given up at
 * once and control hears of it, so that the peer sends frames instead.
 */
#include "ecn.h"
#include "segments.h"

/* One piece as its header describes it. */
struct piece {
	uint32_t id;
	uint16_t begin, whole, size;
};

static bool read_piece(struct piece *p, const struct rte_mbuf *m)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(m);

	if (len <= OMNI_PIECE_HDR_LEN)
		return false;
	p->id = omni_load_be32(at);
	p->begin = omni_load_be16(at + 4);
	p->whole = omni_load_be16(at + 6);
	p->size = omni_load_be16(at + 8);
	return omni_load_be16(at + 10) == 0 && p->begin + len - OMNI_PIECE_HDR_LEN <= p->whole;
}

static struct gathering *find(struct segments *s, const struct omni_meta *meta)
{
	for (unsigned int i = 0; s->open > 0 && i < OMNI_GATHER_MAX; i++)
		if (s->at_work[i].session == meta->kp->local_id && s->at_work[i].lane == meta->lane)
			return &s->at_work[i];
	return NULL;
}

static struct gathering *find_free(struct segments *s)
{
	for (unsigned int i = 0; i < OMNI_GATHER_MAX; i++)
		if (s->at_work[i].session == 0)
			return &s->at_work[i];
	return NULL;
}

static void forget(struct segments *s, struct gathering *g)
{
	s->open--;
	g->session = 0;
	g->head = NULL;
}

/* Once a turn: the event is a level. */
static void report(struct omni_worker *w, uint32_t peer, uint32_t peer_gen)
{
	const struct omni_event ev = {
		.type = OMNI_EVENT_BROKEN,
		.peer = peer,
		.peer_gen = peer_gen,
	};

	if (w->segments->told_tsc == w->turn_tsc)
		return;
	w->segments->told_tsc = w->turn_tsc;
	omni_node_event(w, &ev);
}

static void give_up(struct omni_worker *w, struct gathering *g)
{
	report(w, g->peer, g->peer_gen);
	count(w, OMNI_STAT_drop_broken_segment, g->head->nb_segs - 1);
	omni_node_drop(w, g->head, OMNI_STAT_drop_broken_segment);
	forget(w->segments, g);
}

static void begin(struct omni_worker *w, struct gathering *g, const struct omni_meta *meta,
		  const struct piece *p, struct rte_mbuf *m)
{
	*g = (struct gathering){
		.session = meta->kp->local_id,
		.deadline = w->turn_tsc + w->segments->timeout,
		.head = m,
		.tail = m,
		.id = p->id,
		.peer = meta->kp->peer,
		.peer_gen = meta->kp->peer_gen,
		.lane = meta->lane,
		.whole = p->whole,
	};
	m->tso_segsz = p->size;
	w->segments->open++;
}

static bool continues(const struct gathering *g, const struct piece *p)
{
	return g->id == p->id && g->whole == p->whole && g->head->pkt_len == p->begin &&
	       g->head->tso_segsz == p->size && g->head->nb_segs < OMNI_PIECES_MAX;
}

/* RFC 3168, section 5.3: a mark on one datagram is one on all that came in them. */
static void merge_ecn(struct omni_meta *head, const struct omni_meta *piece)
{
	if (piece->flags >> OMNI_META_ECN_SHIFT == ECN_CE)
		head->flags |= (uint8_t)(ECN_CE << OMNI_META_ECN_SHIFT);
}

static void append(struct gathering *g, struct rte_mbuf *m)
{
	merge_ecn(omni_meta(g->head), omni_meta(m));
	g->tail->next = m;
	g->tail = m;
	g->head->nb_segs++;
	g->head->pkt_len += m->data_len;
}

/* Is this what a port may be given? Its headers are looked at once, here: KEEP, or why not. */
static unsigned int check_whole(struct rte_mbuf *m)
{
	struct omni_split s;

	if (omni_node_read_segment(&s, m) < 0)
		return OMNI_STAT_drop_bad_fragment;
	if (s.hdr_len + omni_split_payload(&s, 0) > omni_meta(m)->kp->frame_max)
		return OMNI_STAT_drop_too_long;
	omni_segment_mark(m, s.v6, s.size, s.l3, s.l4, s.hdr_len);
	return KEEP;
}

/* Take one piece: KEEP, or why not. *whole: the segment that it completed, or NULL. */
static unsigned int take(struct omni_worker *w, struct rte_mbuf *m, struct rte_mbuf **whole)
{
	const struct omni_meta *meta = omni_meta(m);
	struct segments *s = w->segments;
	struct gathering *g = find(s, meta);
	struct piece p;

	*whole = NULL;
	if (!read_piece(&p, m))
		return OMNI_STAT_drop_bad_fragment;
	if (g != NULL && (p.begin == 0 || !continues(g, &p))) {
		give_up(w, g);
		g = NULL;
	}
	rte_pktmbuf_adj(m, OMNI_PIECE_HDR_LEN);
	if (g != NULL) {
		append(g, m);
	} else {
		if (p.begin != 0) {
			report(w, meta->kp->peer, meta->kp->peer_gen);
			return OMNI_STAT_drop_broken_segment;
		}
		g = find_free(s);
		if (g == NULL)
			return OMNI_STAT_drop_reassembly_full;
		begin(w, g, meta, &p, m);
	}
	if (g->head->pkt_len < g->whole)
		return KEEP;
	*whole = g->head;
	omni_meta(g->head)->kind = OMNI_KIND_FRAME;
	forget(s, g);
	return KEEP;
}

unsigned int omni_node_gather(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, taken = 0, done = 0;
	struct rte_mbuf *whole;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why;

		if (omni_meta(m[i])->kind != OMNI_KIND_SEGMENT) {
			m[left++] = m[i];
			continue;
		}
		why = take(w, m[i], &whole);
		if (why != KEEP) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		taken++;
		if (whole == NULL)
			continue;
		why = check_whole(whole);
		if (why != KEEP) {
			omni_node_drop(w, whole, why);
			continue;
		}
		m[left++] = whole;
		done++;
	}
	count(w, OMNI_STAT_pieces_received, taken);
	count(w, OMNI_STAT_segments_received, done);
	stage_end(w, OMNI_STAGE_gather, n);
	return left;
}

void omni_node_gather_expire(struct omni_worker *w)
{
	struct segments *s = w->segments;

	for (unsigned int i = 0; unlikely(s->open > 0) && i < OMNI_GATHER_MAX; i++) {
		struct gathering *g = &s->at_work[i];

		if (g->session != 0 && g->deadline <= w->turn_tsc)
			give_up(w, g);
	}
}

uint64_t omni_node_gather_deadline(const struct omni_worker *w)
{
	const struct segments *s = w->segments;
	uint64_t first = 0;

	for (unsigned int i = 0; s->open > 0 && i < OMNI_GATHER_MAX; i++) {
		const struct gathering *g = &s->at_work[i];

		if (g->session != 0 && (first == 0 || g->deadline < first))
			first = g->deadline;
	}
	return first;
}
