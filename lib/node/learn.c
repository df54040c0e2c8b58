/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * learn: where source addresses live. The table is control's; here the age of those that are
 * where they belong is stamped, and what is new or elsewhere is reported, each address once a
 * burst. While the headers are at hand: may a TCP connection begin here, so that clamp must look?
 */
#include "clamp.h"
#include "worker.h"

#define MULTICAST_BIT (UINT64_C(1) << 40) /* of a key */
#define KEYSET_SHIFT 58			  /* leaves an index below BURST */

static_assert(UINT64_MAX >> KEYSET_SHIFT == BURST - 1, "keyset's table has BURST entries");

/*
 * The different (key, tag) of one burst, in the order of their first frame. at is a small hash
 * table of indices; what it says counts only where the entry agrees, so it may forget.
 */
struct keyset {
	unsigned int n;
	uint8_t at[BURST];
	uint64_t key[BURST], tag[BURST];
};

static void keyset_init(struct keyset *s)
{
	s->n = 0;
	memset(s->at, 0, sizeof(s->at));
}

/* The index of (key, tag), which is entered where it is new. */
static unsigned int keyset_index(struct keyset *s, uint64_t key, uint64_t tag)
{
	uint8_t *at = &s->at[key * UINT64_C(0x9e3779b97f4a7c15) >> KEYSET_SHIFT];

	if (*at < s->n && s->key[*at] == key && s->tag[*at] == tag)
		return *at;
	*at = (uint8_t)s->n;
	s->key[s->n] = key;
	s->tag[s->n] = tag;
	return s->n++;
}

static inline omni_dest seen_at(const struct omni_worker *w, const struct omni_meta *meta)
{
	if ((meta->flags & OMNI_META_FROM_PEER) != 0)
		return omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen);
	return omni_dest_make(OMNI_DEST_PORT, meta->port, w->rx.port->generation);
}

/* Why a frame has no sender; KEEP where it has one. */
static inline unsigned int check(struct rte_mbuf *m, uint64_t key)
{
	if (unlikely(rte_pktmbuf_data_len(m) < OMNI_ETHER_HDR_LEN))
		return OMNI_STAT_drop_runt;
	if (unlikely((key & MULTICAST_BIT) != 0 || key << 16 == 0))
		return OMNI_STAT_drop_bad_source;
	return KEEP;
}

/* The frames of m that are marked in bad are dropped. */
static unsigned int drop_bad(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			     uint64_t *key, omni_dest *from, uint64_t bad)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		if ((bad >> i & 1) != 0) {
			omni_node_drop(w, m[i], check(m[i], key[i]));
			continue;
		}
		key[left] = key[i];
		from[left] = from[i];
		m[left++] = m[i];
	}
	return left;
}

/* A source that the table does not have where it was seen: true where its frames are dropped. */
static bool report(struct omni_worker *w, uint64_t key, omni_dest from)
{
	enum omni_fdb_where where = omni_fdb_where(w->conf.fdb, key);
	const struct omni_event ev = {
		.type = where == OMNI_FDB_NOWHERE ? OMNI_EVENT_LEARN : OMNI_EVENT_MOVE,
		.cluster = (uint16_t)(key >> 48),
		.mac = key & UINT64_C(0xffffffffffff),
		.dest = from,
	};

	if (where == OMNI_FDB_HELD)
		return true;
	omni_node_event(w, &ev);
	return false;
}

/* The frames of m that are marked in other: reports, drops those of held addresses. */
static unsigned int settle(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			   const uint64_t *key, const omni_dest *from, uint64_t other)
{
	unsigned int left = 0;
	bool held[BURST];
	struct keyset s; /* tag: where it was seen */

	keyset_init(&s);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int before = s.n, at;

		if ((other >> i & 1) != 0) {
			at = keyset_index(&s, key[i], from[i]);
			if (at == before)
				held[at] = report(w, key[i], from[i]);
			if (held[at]) {
				omni_node_drop(w, m[i], OMNI_STAT_drop_mac_damped);
				continue;
			}
		}
		m[left++] = m[i];
	}
	return left;
}

unsigned int omni_node_learn(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	uint64_t key[BURST] = {0}, bad = 0, other;
	omni_dest from[BURST] = {0};
	unsigned int left = n;
	bool syn = false;

	for (unsigned int i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);
		const uint8_t *eth = rte_pktmbuf_mtod(m[i], const uint8_t *);

		key[i] = fdb_key(meta->cluster, eth + 6);
		from[i] = seen_at(w, meta);
		bad |= (uint64_t)(check(m[i], key[i]) != KEEP) << i;
		syn |= rte_pktmbuf_data_len(m[i]) >= TCP_FRAME_MIN && may_be_syn(eth);
	}
	w->any_syn = syn;
	if (unlikely(bad != 0))
		left = drop_bad(w, m, n, key, from, bad);
	other = omni_fdb_seen(w->conf.fdb, key, from, left, w->now_s);
	if (unlikely(other != 0))
		left = settle(w, m, left, key, from, other);
	stage_end(w, OMNI_STAGE_learn, n);
	return left;
}
