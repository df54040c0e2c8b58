/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * learn: where source addresses live. The table is control's; here its entries are looked up,
 * their age is stamped, and what is new or elsewhere is reported. Each source of a burst is
 * looked up once.
 */
#include "worker.h"

#define MULTICAST_BIT 0x01

static inline omni_dest seen_at(const struct omni_worker *w, const struct omni_meta *meta)
{
	if ((meta->flags & OMNI_META_FROM_PEER) != 0)
		return omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen);
	return omni_dest_make(OMNI_DEST_PORT, meta->port, w->rx.port->generation);
}

/* Where the frame's source stands among the burst's; KEEP, or why not. */
static inline unsigned int enter(const struct omni_worker *w, struct keyset *s, struct rte_mbuf *m,
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
	*of = (uint8_t)keyset_index(s, key, seen_at(w, meta));
	return KEEP;
}

static void report(struct omni_worker *w, uint64_t key, omni_dest from, enum omni_event_type type)
{
	const struct omni_event ev = {
		.type = (uint8_t)type,
		.cluster = (uint16_t)(key >> 48),
		.mac = key & UINT64_C(0xffffffffffff),
		.dest = from,
	};

	omni_node_event(w, &ev);
}

/*
 * A source that was seen at from and that the table (entry slot) has at dest. False where its
 * frames are dropped.
 */
static inline bool settle(struct omni_worker *w, uint64_t key, omni_dest from, omni_dest dest,
			  uint32_t slot)
{
	if (likely(dest == from)) {
		omni_fdb_touch(w->conf.fdb, slot, w->now_s);
		return true;
	}
	if (slot == OMNI_FDB_MISS || dest == OMNI_DEST_MISS) {
		report(w, key, from, OMNI_EVENT_LEARN);
		return true;
	}
	if (omni_fdb_is_damped(w->conf.fdb, slot))
		return false;
	report(w, key, from, OMNI_EVENT_MOVE);
	return true;
}

unsigned int omni_node_learn(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, kept = 0;
	uint64_t damped = 0;
	omni_dest dest[BURST];
	uint32_t slot[BURST];
	uint8_t of[BURST];
	struct keyset s; /* tag: where it was seen */

	keyset_init(&s);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = enter(w, &s, m[i], &of[left]);

		if (likely(why == KEEP))
			m[left++] = m[i];
		else
			omni_node_drop(w, m[i], why);
	}
	if (s.n > 0)
		omni_fdb_lookup(w->conf.fdb, s.key, s.n, dest, slot);
	for (unsigned int i = 0; i < s.n; i++)
		damped |= (uint64_t)!settle(w, s.key[i], s.tag[i], dest[i], slot[i]) << i;
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
