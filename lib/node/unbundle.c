/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unbundle: bundles become the frames in them. Each is copied into an mbuf of its own, as ports
 * want them, but for the last, which stays in the bundle's. One burst may become many, so the
 * stage is called until it returns 0: it fills m from w->split, whatever n is. A bundle whose
 * lengths do not add up is dropped as a whole.
 */
#include "copy.h"
#include "worker.h"

/* How many frames the bundle has; 0 where its lengths do not add up. */
static unsigned int frames_in(struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t end = rte_pktmbuf_data_len(m), at = 0;
	unsigned int n = 0;

	do {
		uint32_t len;

		if (end - at < OMNI_BUNDLE_LEN_LEN)
			return 0;
		len = omni_load_be16(data + at);
		at += OMNI_BUNDLE_LEN_LEN + len;
		if (len == 0 || at > end)
			return 0;
		n++;
	} while (at < end);
	return n;
}

/* Up to n mbufs as they lie in the pool; what it does not give is counted as frames lost. */
static unsigned int get_mbufs(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int got = 0;

	if (likely(rte_mempool_get_bulk(w->conf.pool, (void **)m, n) == 0))
		return n;
	while (got < n && (m[got] = rte_mbuf_raw_alloc(w->conf.pool)) != NULL)
		got++;
	count(w, OMNI_STAT_drop_no_mbuf, n - got);
	return got;
}

/* What each copy of a bundle's frames has in common. */
struct copies {
	struct omni_meta meta;
	uint32_t to_data; /* from an mbuf of the pool to its frame */
	uint32_t len_max;
	bool slack; /* behind the bundle, for copy_slack */
};

static inline struct copies copies_of(const struct omni_worker *w, struct rte_mbuf *bundle)
{
	const struct omni_meta *meta = omni_meta(bundle);
	struct rte_mempool *pool = w->conf.pool;
	uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM - COPY_SLACK;
	struct copies c = {
		.meta = *meta,
		.to_data = (uint32_t)sizeof(*bundle) + rte_pktmbuf_priv_size(pool) +
			   RTE_PKTMBUF_HEADROOM,
		.len_max = OMNI_MIN(meta->kp->frame_max, room),
		.slack = rte_pktmbuf_tailroom(bundle) >= COPY_SLACK,
	};

	c.meta.kind = OMNI_KIND_FRAME;
	return c;
}

/*
 * m, as it lies in the pool, becomes a frame. Its lines are not in the cache: all are written and
 * none is read, so that nothing waits for them.
 */
static inline void fill(const struct copies *c, struct rte_mbuf *m, const uint8_t *frame,
			uint32_t len)
{
	uint8_t *to = (uint8_t *)m + c->to_data;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->port = RTE_MBUF_PORT_INVALID;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = len;
	m->data_len = (uint16_t)len;
	m->vlan_tci = 0;
	m->vlan_tci_outer = 0;
	m->tx_offload = 0;
	*omni_meta(m) = c->meta;
	if (likely(c->slack))
		copy_slack(to, frame, len);
	else
		memcpy(to, frame, len);
}

/* The next n frames of the bundle into as many mbufs of m; returns how many it needed. */
static unsigned int copy_out(struct omni_worker *w, struct rte_mbuf *bundle, struct rte_mbuf **m,
			     unsigned int n)
{
	const uint8_t *begin = rte_pktmbuf_mtod_offset(bundle, uint8_t *, w->split.off);
	const struct copies c = copies_of(w, bundle);
	const uint8_t *at = begin;
	unsigned int used = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = omni_load_be16(at);

		if (likely(len <= c.len_max))
			fill(&c, m[used++], at + OMNI_BUNDLE_LEN_LEN, len);
		at += OMNI_BUNDLE_LEN_LEN + len;
	}
	count(w, OMNI_STAT_drop_too_long, n - used);
	w->split.off += (unsigned int)(at - begin);
	w->split.frames -= n;
	return used;
}

/* The next frame of the bundle: its bytes, and its length in *len. */
static inline uint8_t *next(struct omni_worker *w, struct rte_mbuf *bundle, uint32_t *len)
{
	uint8_t *at = rte_pktmbuf_mtod_offset(bundle, uint8_t *, w->split.off);

	*len = omni_load_be16(at);
	w->split.off += OMNI_BUNDLE_LEN_LEN + *len;
	w->split.frames--;
	return at + OMNI_BUNDLE_LEN_LEN;
}

/* The last frame, where it lies. */
static bool keep_last(struct omni_worker *w, struct rte_mbuf *bundle)
{
	uint32_t len;
	const uint8_t *frame = next(w, bundle, &len);

	if (unlikely(len > omni_meta(bundle)->kp->frame_max)) {
		omni_node_drop(w, bundle, OMNI_STAT_drop_too_long);
		return false;
	}
	bundle->data_off = (uint16_t)(frame - (const uint8_t *)bundle->buf_addr);
	bundle->data_len = (uint16_t)len;
	bundle->pkt_len = len;
	omni_meta(bundle)->kind = OMNI_KIND_FRAME;
	return true;
}

/* Up to n frames of the bundle into m; returns how many. */
static unsigned int take(struct omni_worker *w, struct rte_mbuf *bundle, struct rte_mbuf **m,
			 unsigned int n)
{
	bool all = w->split.frames <= n;
	unsigned int copies = all ? w->split.frames - 1 : n;
	unsigned int got = get_mbufs(w, m, copies), used = copy_out(w, bundle, m, got);
	uint32_t len;

	if (unlikely(used < got))
		rte_mempool_put_bulk(w->conf.pool, (void **)m + used, got - used);
	for (unsigned int i = got; i < copies; i++)
		(void)next(w, bundle, &len);
	if (all && keep_last(w, bundle))
		m[used++] = bundle;
	return used;
}

unsigned int omni_node_unbundle(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, bundles = 0;

	while (left < n && w->split.at < w->split.n) {
		struct rte_mbuf *bundle = w->split.m[w->split.at];

		if (omni_meta(bundle)->kind != OMNI_KIND_BUNDLE) {
			m[left++] = bundle;
			w->split.at++;
			continue;
		}
		if (w->split.frames == 0) {
			w->split.frames = frames_in(bundle);
			w->split.off = 0;
			bundles += w->split.frames != 0;
		}
		if (unlikely(w->split.frames == 0))
			omni_node_drop(w, bundle, OMNI_STAT_drop_bad_bundle);
		else
			left += take(w, bundle, m + left, n - left);
		w->split.at += w->split.frames == 0;
	}
	count(w, OMNI_STAT_bundles_received, bundles);
	stage_end(w, OMNI_STAGE_unbundle, left);
	return left;
}
