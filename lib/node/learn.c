/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * learn: where source addresses live. The table is control's; here its entries are looked up,
 * their age is stamped, and what is new or elsewhere is reported. Frames of one source that
 * follow each other are looked up once.
 */
#include "worker.h"

#define MULTICAST_BIT 0x01

struct sources {
	unsigned int n;
	uint64_t key[BURST];
	omni_dest from[BURST]; /* where it was seen */
	omni_dest dest[BURST]; /* where the table has it */
	uint32_t slot[BURST];
};

static inline omni_dest seen_at(const struct omni_worker *w, const struct omni_meta *meta)
{
	if ((meta->flags & OMNI_META_FROM_PEER) != 0)
		return omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen);
	return omni_dest_make(OMNI_DEST_PORT, meta->port, w->rx.port->generation);
}

/* Enter the frame's source unless it is that of the frame before. KEEP, or why not. */
static inline unsigned int enter(const struct omni_worker *w, struct sources *s, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	omni_dest from;
	uint64_t key;

	if (unlikely(rte_pktmbuf_data_len(m) < OMNI_ETHER_HDR_LEN))
		return OMNI_STAT_drop_runt;
	key = omni_fdb_key(meta->cluster, eth + 6);
	if (unlikely((eth[6] & MULTICAST_BIT) != 0 || key << 16 == 0))
		return OMNI_STAT_drop_bad_source;
	from = seen_at(w, meta);
	if (s->n > 0 && key == s->key[s->n - 1] && from == s->from[s->n - 1])
		return KEEP;
	s->key[s->n] = key;
	s->from[s->n++] = from;
	return KEEP;
}

static void report(struct omni_worker *w, const struct sources *s, unsigned int i,
		   enum omni_event_type type)
{
	const struct omni_event ev = {
		.type = (uint8_t)type,
		.cluster = (uint16_t)(s->key[i] >> 48),
		.mac = s->key[i] & UINT64_C(0xffffffffffff),
		.dest = s->from[i],
	};

	omni_node_event(w, &ev);
}

/* False where the source's frames are dropped. */
static inline bool settle(struct omni_worker *w, const struct sources *s, unsigned int i)
{
	if (likely(s->dest[i] == s->from[i])) {
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

	s.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = enter(w, &s, m[i]);

		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		of[left] = (uint8_t)(s.n - 1);
		m[left++] = m[i];
	}
	omni_fdb_lookup(w->conf.fdb, s.key, s.n, s.dest, s.slot);
	for (unsigned int i = 0; i < s.n; i++)
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
