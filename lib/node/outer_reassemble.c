/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * outer_reassemble: IP fragments of datagrams become datagrams (RFC 791; RFC 8200, section 4.5),
 * which classify then sees. Nothing here is authenticated: number, time and what one source may
 * hold are bounded, what overlaps is dead (RFC 5722), and stays known as dead until its time is
 * over. Ports with a kernel behind them bring no fragments; it does the same for them.
 */
#include "outer_reassemble.h"
#include "ecn.h"
#include "l3.h"

#define V6_FRAGMENT_LEN 8
#define V6_MORE 1
#define ECN_BIT(ecn) (1U << (ecn))

/* One fragment, as its headers describe it. */
struct piece {
	struct outer_key key;
	const uint8_t *eth, *data;
	uint32_t begin, end;
	uint16_t front; /* Ethernet and IP header, without IPv6's fragment header */
	bool more;
};

static void read_v4(struct piece *p, const uint8_t *ip)
{
	uint32_t hdr_len = v4_header_len(ip), word = omni_load_be16(ip + 6);

	memcpy(p->key.addresses, ip + 12, 8);
	p->key.id = omni_load_be16(ip + 4);
	p->front = (uint16_t)(OMNI_ETHER_HDR_LEN + hdr_len);
	p->data = ip + hdr_len;
	p->begin = (word & IPV4_OFFSET) * 8;
	p->end = p->begin + omni_load_be16(ip + 2) - hdr_len;
	p->more = (word & IPV4_MORE_FRAGMENTS) != 0;
}

static bool read_v6(struct piece *p, const uint8_t *ip)
{
	const uint8_t *h = ip + OMNI_IPV6_HDR_LEN;
	uint32_t len = omni_load_be16(ip + 4);

	if (len < V6_FRAGMENT_LEN || h[0] != IP_PROTO_UDP)
		return false;
	memcpy(p->key.addresses, ip + 8, 32);
	p->key.id = omni_load_be32(h + 4);
	p->key.v6 = true;
	p->front = OMNI_ETHER_HDR_LEN + OMNI_IPV6_HDR_LEN;
	p->data = h + V6_FRAGMENT_LEN;
	p->begin = omni_load_be16(h + 2) & 0xfff8U;
	p->end = p->begin + len - V6_FRAGMENT_LEN;
	p->more = (h[3] & V6_MORE) != 0;
	return true;
}

/* classify saw to the lengths of the IP headers. */
static bool read_piece(struct piece *p, struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);

	memset(&p->key, 0, sizeof(p->key));
	p->eth = rte_pktmbuf_mtod(m, const uint8_t *);
	if (!is_v6(ip))
		read_v4(p, ip);
	else if (!read_v6(p, ip))
		return false;
	return p->end > p->begin && p->end <= UINT16_MAX &&
	       (!p->more || (p->end - p->begin) % 8 == 0);
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

/* By the source alone, whose IPv6 is its /64, and by the whole key. */
static uint64_t hash_source(const struct outer_table *t, const struct outer_key *key)
{
	return mix(t->salt,
		   key->v6 ? omni_load_be64(key->addresses) : omni_load_be32(key->addresses));
}

static uint64_t hash_key(const struct outer_table *t, const struct outer_key *key)
{
	uint64_t h = mix(t->salt, key->id);

	for (unsigned int i = 0; i < sizeof(key->addresses); i += 8)
		h = mix(h, omni_load_be64(key->addresses + i));
	return h;
}

static bool same(const struct outer_key *a, const struct outer_key *b)
{
	return a->id == b->id && a->v6 == b->v6 &&
	       memcmp(a->addresses, b->addresses, sizeof(a->addresses)) == 0;
}

static struct outer_entry *find(struct outer_entry *set, const struct outer_key *key)
{
	for (unsigned int i = 0; i < OUTER_WAYS; i++)
		if (set[i].used && same(&set[i].key, key))
			return &set[i];
	return NULL;
}

static void forget(struct outer_table *t, struct outer_entry *e)
{
	TAILQ_REMOVE(&t->by_age, e, by_age);
	t->of_source[e->source]--;
	e->used = false;
	e->m = NULL;
}

/* For a newer one: where some are lost, the oldest will hardly be completed. */
static void give_way(struct omni_worker *w, struct outer_entry *e)
{
	if (e->m != NULL)
		omni_node_drop(w, e->m, OMNI_STAT_drop_outer_full);
	forget(w->outer_table, e);
}

/* Its source has one less then, if it has too many. */
static void limit_source(struct omni_worker *w, uint16_t source)
{
	struct outer_table *t = w->outer_table;
	struct outer_entry *e;

	if (t->of_source[source] < OMNI_OUTER_SOURCE_MAX)
		return;
	TAILQ_FOREACH (e, &t->by_age, by_age)
		if (e->source == source)
			break;
	if (e != NULL)
		give_way(w, e);
}

/* A free place, if need be the one of the oldest. */
static struct outer_entry *make_room(struct omni_worker *w, struct outer_entry *set)
{
	struct outer_entry *oldest = &set[0];

	for (unsigned int i = 0; i < OUTER_WAYS; i++) {
		if (!set[i].used)
			return &set[i];
		if (set[i].deadline < oldest->deadline)
			oldest = &set[i];
	}
	give_way(w, oldest);
	return oldest;
}

/* A new entry with its mbuf; NULL: there is none. */
static struct outer_entry *begin(struct omni_worker *w, struct outer_entry *set,
				 const struct outer_key *key)
{
	struct outer_table *t = w->outer_table;
	uint16_t source = (uint16_t)(hash_source(t, key) % OUTER_SOURCES);
	struct outer_entry *e;

	limit_source(w, source);
	e = make_room(w, set);
	e->m = rte_pktmbuf_alloc(w->conf.pool);
	if (e->m == NULL)
		return NULL;
	e->key = *key;
	e->used = true;
	e->source = source;
	e->front = e->got = e->whole = 0;
	e->pieces = e->ecn = 0;
	e->deadline = w->turn_tsc + t->timeout;
	t->of_source[source]++;
	TAILQ_INSERT_TAIL(&t->by_age, e, by_age);
	return e;
}

/* Has it come before, as it is? Networks duplicate. */
static bool is_repeated(const struct outer_entry *e, const struct piece *p)
{
	for (unsigned int i = 0; i < e->pieces; i++)
		if (p->begin == e->begin[i] && p->end == e->end[i])
			return true;
	return false;
}

static bool fits(const struct outer_entry *e, const struct piece *p)
{
	if (e->pieces == OUTER_PIECES || p->end + OMNI_POOL_TAILROOM > rte_pktmbuf_tailroom(e->m))
		return false;
	if (e->whole != 0 && (p->end > e->whole || !p->more))
		return false;
	for (unsigned int i = 0; i < e->pieces; i++)
		if ((p->begin < e->end[i] && e->begin[i] < p->end) ||
		    (!p->more && e->end[i] > p->end))
			return false;
	return true;
}

static void put(struct outer_entry *e, const struct piece *p)
{
	uint16_t len = (uint16_t)(p->end - p->begin);
	uint8_t *payload = rte_pktmbuf_mtod(e->m, uint8_t *);

	memcpy(payload + p->begin, p->data, len);
	if (p->begin == 0) {
		memcpy(payload - p->front, p->eth, p->front);
		e->front = p->front;
	}
	if (!p->more)
		e->whole = (uint16_t)p->end;
	e->begin[e->pieces] = (uint16_t)p->begin;
	e->end[e->pieces++] = (uint16_t)p->end;
	e->got = (uint16_t)(e->got + len);
	e->ecn |= (uint8_t)ECN_BIT(ip_tos(p->eth + OMNI_ETHER_HDR_LEN) & ECN_MASK);
}

static_assert(OMNI_ETHER_HDR_LEN + IPV4_HEADER_MAX <= RTE_PKTMBUF_HEADROOM,
	      "the headers find room before the payload");

/* The datagram as if it had come whole. RFC 3168, section 5.3: a mark on one is a mark on all. */
static void finish(struct outer_entry *e, struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *) - e->front + OMNI_ETHER_HDR_LEN;

	if (e->key.v6) {
		omni_store_be16(ip + 4, e->whole);
		ip[6] = IP_PROTO_UDP;
	} else {
		omni_store_be16(ip + 2, (uint16_t)(e->front - OMNI_ETHER_HDR_LEN + e->whole));
		omni_store_be16(ip + 6, 0);
		v4_set_sum(ip);
	}
	if ((e->ecn & ECN_BIT(ECN_CE)) != 0)
		ecn_set(ip, ECN_CE);
	m->data_off -= e->front;
	trim(m, (uint32_t)e->front + e->whole);
}

/* Take one fragment: KEEP, or why not. *whole: the datagram that it completed, or NULL. */
static unsigned int take(struct omni_worker *w, struct rte_mbuf *m, struct rte_mbuf **whole)
{
	struct outer_table *t = w->outer_table;
	struct outer_entry *set, *e;
	struct piece p;

	*whole = NULL;
	if (!read_piece(&p, m))
		return OMNI_STAT_drop_outer_fragment;
	set = t->entry[hash_key(t, &p.key) & (OUTER_SETS - 1)];
	e = find(set, &p.key);
	if (e == NULL)
		e = begin(w, set, &p.key);
	if (e == NULL)
		return OMNI_STAT_drop_no_mbuf;
	if (e->m == NULL || is_repeated(e, &p))
		return OMNI_STAT_drop_outer_fragment;
	if (!fits(e, &p)) {
		omni_node_release(w, e->m);
		e->m = NULL;
		return OMNI_STAT_drop_outer_fragment;
	}
	put(e, &p);
	if (e->got != e->whole)
		return KEEP;
	*whole = e->m;
	*omni_meta(e->m) = *omni_meta(m);
	finish(e, e->m);
	forget(t, e);
	return KEEP;
}

unsigned int omni_node_outer_reassemble(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int taken = 0, done = 0;
	struct rte_mbuf *whole;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = take(w, m[i], &whole);

		if (why != KEEP) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		taken++;
		omni_node_release(w, m[i]);
		if (whole != NULL)
			m[done++] = whole;
	}
	count(w, OMNI_STAT_outer_fragments_received, taken);
	count(w, OMNI_STAT_outer_reassembled, done);
	stage_end(w, OMNI_STAGE_outer_reassemble, n);
	return done;
}

void omni_node_outer_expire(struct omni_worker *w)
{
	struct outer_table *t = w->outer_table;
	struct outer_entry *e;

	while ((e = TAILQ_FIRST(&t->by_age)) != NULL && e->deadline <= w->turn_tsc) {
		if (e->m != NULL)
			omni_node_drop(w, e->m, OMNI_STAT_drop_outer_timeout);
		forget(t, e);
	}
}

uint64_t omni_node_outer_deadline(const struct omni_worker *w)
{
	const struct outer_entry *e = TAILQ_FIRST(&w->outer_table->by_age);

	return e != NULL ? e->deadline : 0;
}
