/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * learn: where source addresses live. The table is control's; here its entries are looked up,
 * their age is stamped, and what is new or elsewhere is reported. Each source of a burst is
 * looked up once.
 */
#include "worker.h"

#define MULTICAST_BIT 0x01

struct sources {
	struct keyset set;     /* tag: where it was seen */
	omni_dest dest[BURST]; /* where the table has it */
	uint32_t slot[BURST];
};

static inline omni_dest seen_at(const struct omni_worker *w, const struct omni_meta *meta)
{
	if ((meta->flags & OMNI_META_FROM_PEER) != 0)
		return omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen);
	return omni_dest_make(OMNI_DEST_PORT, meta->port, w->rx.port->generation);
}

/* Where the frame's source stands among the burst's; KEEP, or why not. */
static inline unsigned int enter(const struct omni_worker *w, struct sources *s, struct rte_mbuf *m,
				 uint8_t *of)
{
	const struct omni_meta *meta = omni_meta(m);
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t key;

	if (unlikely(rte_pktmbuf_data_len(m) < OMNI_ETHER_HDR_LEN))
		return OMNI_STAT_drop_runt;
	key = omni_fdb_key(meta->cluster, eth + 6);
	if (unlikely((eth[6] & MULTICAST_BIT) != 0 || key << 16 == 0))
		return OMNI_STAT_drop_bad_source;
	*of = (uint8_t)keyset_index(&s->set, key, seen_at(w, meta));
	return KEEP;
}

static void report(struct omni_worker *w, const struct sources *s, unsigned int i,
		   enum omni_event_type type)
{
	const struct omni_event ev = {
		.type = (uint8_t)type,
		.cluster = (uint16_t)(s->set.key[i] >> 48),
		.mac = s->set.key[i] & UINT64_C(0xffffffffffff),
		.dest = s->set.tag[i],
	};

	omni_node_event(w, &ev);
}

/* False where the source's frames are dropped. */
static inline bool settle(struct omni_worker *w, const struct sources *s, unsigned int i)
{
	if (likely(s->dest[i] == s->set.tag[i])) {
		omni_fdb_touch(w->conf.fdb, s->slot[i], w->now_s);
		return true;
	}
	if (s->slot[i] == OMNI_FDB_MISS || s->dest[i] == OMNI_DEST_MISS) {
		report(w, s, i, OMNI_EVENT_LEARN);
		return true;
	}
	if (omni_fdb_is_damped(w->conf.fdb, s->slot[i]))
		return false;
	report(w, s, i, OMNI_EVENT_MOVE);
	return true;
}

unsigned int omni_node_learn(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, kept = 0;
	uint64_t damped = 0;
	uint8_t of[BURST];
	struct sources s;

	keyset_init(&s.set);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = enter(w, &s, m[i], &of[left]);

		if (likely(why == KEEP))
			m[left++] = m[i];
		else
			omni_node_drop(w, m[i], why);
	}
	omni_fdb_lookup(w->conf.fdb, s.set.key, s.set.n, s.dest, s.slot);
	for (unsigned int i = 0; i < s.set.n; i++)
		damped |= (uint64_t)!settle(w, &s, i) << i;
	if (likely(damped == 0)) {
		stage_end(w, OMNI_STAGE_learn, n);
		return left;
	}
	for (unsigned int i = 0; i < left; i++) {
		if ((damped >> of[i] & 1) != 0)
			omni_node_drop(w, m[i], OMNI_STAT_drop_mac_damped);
		else
			m[kept++] = m[i];
	}
	stage_end(w, OMNI_STAGE_learn, n);
	return kept;
}
