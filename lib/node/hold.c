/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hold: packets wait here, a few seconds at most, for a key, for control to find a member, or for a
 * neighbour to answer. All are tried again when something changed in the routes or in what peers
 * can be reached by; those whose time is over leave at icmp, but for the last ones to a peer: they
 * stay while it may be called. Bounded in number, by destination, and in what addresses nobody
 * knows may take of it.
 */
#include "hold.h"

#define LATE_NAPS 50   /* of the naps that fresh packets are worth */
#define OVER HELD_LATE /* the deadline of a late one that is to go */

static bool is_late(const struct held *e)
{
	return (e->deadline & HELD_LATE) != 0;
}

static bool same(const struct wanted *a, const struct wanted *b)
{
	return a->dest == b->dest && a->cluster == b->cluster &&
	       memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0;
}

/* How many wait for the same, without late ones; *told: control heard of it in this second. */
static unsigned int waiting(const struct omni_worker *w, const struct wanted *wanted, bool *told)
{
	const struct hold *h = w->hold;
	unsigned int n = 0;

	*told = false;
	for (unsigned int i = 0; i < h->n; i++) {
		if (is_late(&h->held[i]) || !same(&h->held[i].wanted, wanted))
			continue;
		n++;
		*told |= h->held[i].told_s == w->now_s;
	}
	return n;
}

static bool is_stranger(const struct held *e)
{
	return omni_dest_kind(e->wanted.dest) != OMNI_DEST_PEER;
}

static void tell(struct omni_worker *w, const struct wanted *wanted, enum omni_event_type type)
{
	const struct omni_event ev = {
		.type = (uint8_t)type,
		.cluster = wanted->cluster,
		.dest = wanted->dest,
		.from = {.ip = wanted->ip},
	};

	omni_node_event(w, &ev);
}

static void put(struct omni_worker *w, struct rte_mbuf *m, const struct wanted *wanted)
{
	const struct omni_meta *meta = omni_meta(m);
	struct hold *h = w->hold;
	struct held *e = &h->held[h->n++];

	*e = (struct held){
		.m = m,
		.deadline = meta->sequence != 0 ? meta->sequence
						: (w->turn_tsc + h->timeout) & ~HELD_LATE,
		.wanted = *wanted,
		.told_s = meta->sequence != 0 ? 0 : w->now_s,
		.own = w->pass != ROUTE_FIRST,
	};
	if ((meta->flags & OMNI_META_FROM_PEER) != 0) {
		e->session = meta->kp->local_id;
		e->dialect = meta->kp->dialect;
	}
	h->strangers += is_stranger(e);
	h->late += is_late(e);
	h->next = OMNI_MIN(h->next, e->deadline);
}

/* How many may wait for the same. */
static unsigned int share(const struct hold *h, bool peer)
{
	return peer && h->n < OMNI_HOLD_MAX / 2 ? OMNI_HOLD_PEER_MAX : OMNI_HOLD_DEST_MAX;
}

unsigned int omni_node_hold(struct omni_worker *w, struct rte_mbuf *m, const struct wanted *wanted,
			    enum omni_event_type type)
{
	struct hold *h = w->hold;
	bool peer = omni_dest_kind(wanted->dest) == OMNI_DEST_PEER, told;

	if (h->n == OMNI_HOLD_MAX)
		return OMNI_STAT_drop_held_full;
	if (omni_meta(m)->sequence != 0) { /* it waited before, and has its place */
		put(w, m, wanted);
		return PUNT;
	}
	if (!peer && h->strangers >= OMNI_HOLD_STRANGERS_MAX)
		return OMNI_STAT_drop_held_full;
	if (waiting(w, wanted, &told) >= share(h, peer))
		return OMNI_STAT_drop_held_full;
	if (!told && type != OMNI_EVENT_WANT_KEY)
		tell(w, wanted, type);
	count(w, OMNI_STAT_held, 1);
	put(w, m, wanted);
	return PUNT;
}

/* What it came in by, which may have gone since. */
static bool find_session(const struct omni_worker *w, const struct held *e)
{
	struct omni_meta *meta = omni_meta(e->m);

	meta->kp = NULL;
	if (e->session == 0)
		return true;
	meta->kp = e->dialect == OMNI_DIALECT_WIREGUARD
			   ? omni_sessions_lookup_wg(w->conf.sessions, (uint32_t)e->session)
			   : omni_sessions_lookup(w->conf.sessions, e->session);
	return meta->kp != NULL;
}

bool omni_node_hold_due(struct omni_worker *w)
{
	struct hold *h = w->hold;
	uint32_t version;

	if (likely(h->n == 0))
		return false;
	version = omni_fib_version(w->conf.fib);
	if (version == h->version)
		return false;
	h->version = version;
	memcpy(h->again, h->held, h->n * sizeof(h->held[0]));
	h->n_again = h->n;
	h->at = h->n = h->strangers = h->late = 0;
	h->next = UINT64_MAX;
	return true;
}

unsigned int omni_node_hold_again(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct hold *h = w->hold;
	unsigned int left = 0;

	while (left < n && h->at < h->n_again) {
		const struct held *e = &h->again[h->at];

		if (left > 0 && e->own != (w->pass != ROUTE_FIRST))
			break;
		w->pass = e->own ? ROUTE_OWN : ROUTE_FIRST;
		h->at++;
		if (!find_session(w, e)) {
			omni_node_drop(w, e->m, OMNI_STAT_drop_no_session);
			continue;
		}
		omni_meta(e->m)->sequence = e->deadline;
		m[left++] = e->m;
	}
	stage_end(w, OMNI_STAGE_hold, left);
	return left;
}

/* The oldest of the late ones to a peer, which are too many, goes for another. */
static void make_room(struct hold *h, unsigned int n, const struct held *e)
{
	struct held *oldest = NULL;
	unsigned int others = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct held *x = &h->held[i];

		if (!is_late(x) || x->deadline == OVER || !same(&x->wanted, &e->wanted))
			continue;
		others++;
		if (oldest == NULL || x->deadline < oldest->deadline)
			oldest = x;
	}
	if (others >= OMNI_HOLD_LATE_DEST_MAX)
		oldest->deadline = h->next = OVER;
}

/* Its sender hears that the time is over; it goes on waiting itself, behind the n of before. */
static bool stays(struct omni_worker *w, struct held *e, unsigned int n)
{
	struct hold *h = w->hold;
	struct rte_mbuf *copy;

	if (e->own || is_stranger(e) || is_late(e) || h->late >= OMNI_HOLD_LATE_MAX)
		return false;
	copy = rte_pktmbuf_copy(e->m, e->m->pool, 0, UINT32_MAX);
	if (copy == NULL)
		return false;
	omni_node_tell(w, copy, ICMP_HOST, 0);
	make_room(h, n, e);
	e->deadline = (e->deadline + h->late_more) | HELD_LATE;
	return true;
}

/*
 * Control has those refused who are on a link and do not answer. About whom it does not ask for, as
 * a subnet's broadcast, no error is due (RFC 1812, section 4.3.2.7).
 */
static bool is_on_link(const struct held *e)
{
	return omni_dest_kind(e->wanted.dest) == OMNI_DEST_PORT;
}

/* Its time is over. It leaves at icmp, for which there is room. */
static void expire(struct omni_worker *w, const struct held *e)
{
	if (e->own || is_late(e) || is_on_link(e)) {
		omni_node_drop(w, e->m, OMNI_STAT_drop_held_timeout);
		return;
	}
	count(w, OMNI_STAT_drop_held_timeout, 1);
	omni_node_tell(w, e->m, ICMP_HOST, 0);
}

void omni_node_hold_expire(struct omni_worker *w)
{
	struct hold *h = w->hold;
	unsigned int left = 0, n = h->n;

	if (likely(h->next > w->turn_tsc))
		return;
	h->next = UINT64_MAX;
	h->strangers = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct held e = h->held[i];

		if (e.deadline <= w->turn_tsc && w->icmp.n < BURST && !stays(w, &e, left)) {
			h->late -= is_late(&e);
			expire(w, &e);
			continue;
		}
		h->late += is_late(&e) - is_late(&h->held[i]);
		h->next = OMNI_MIN(h->next, e.deadline);
		h->strangers += is_stranger(&e);
		h->held[left++] = e;
	}
	h->n = left;
	stage_end(w, OMNI_STAGE_hold, w->icmp.n);
}

uint64_t omni_node_hold_deadline(const struct omni_worker *w)
{
	const struct hold *h = w->hold;
	uint64_t nap = h->n == h->late ? h->nap * LATE_NAPS : h->nap;

	/* Control does not ring when a route changes. */
	return h->n == 0 ? 0 : OMNI_MIN(h->next, w->turn_tsc + nap);
}
