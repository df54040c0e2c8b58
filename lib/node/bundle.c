/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle: short frames of one burst that go to the same peer share a datagram, as many as its
 * path carries. The first frame's mbuf becomes the bundle, the others are copied behind it. It
 * leaves in the first one's place; what goes alone closes its peer's bundle, so that no frame
 * overtakes an earlier one. Nothing waits for a later burst, and a lone frame stays as it is.
 */
#include "copy.h"
#include "worker.h"

#define SLOTS (2 * BURST)
/* Where a bundle is written, so many bytes behind it are on their way into the cache. */
#define AHEAD 256

/* What one peer's frames are collected in; of each key that the burst's frames leave under. */
struct open {
	const struct omni_keypair *kp;
	struct rte_mbuf *head; /* its first frame; NULL: none */
	uint8_t *end;	       /* of the bundle; NULL: head is still a lone frame */
	uint32_t room;	       /* bytes behind end */
};

struct collection {
	unsigned int n;
	uint8_t at[SLOTS]; /* by peer, the next one where it is taken: index in open and 1; 0: none
			    */
	struct open open[BURST];
	unsigned int bundles, joined;
	struct rte_mbuf *copied[BURST]; /* the joined ones, to be freed */
};

static inline struct open *open_of(struct collection *c, const struct omni_meta *meta)
{
	for (uint32_t h = meta->peer;; h++) {
		uint8_t *at = &c->at[h % SLOTS];

		if (likely(*at != 0 && c->open[*at - 1].kp == meta->kp))
			return &c->open[*at - 1];
		if (*at != 0)
			continue;
		c->open[c->n] = (struct open){.kp = meta->kp};
		*at = (uint8_t)++c->n;
		return &c->open[c->n - 1];
	}
}

/* Bytes of plain text that a datagram to the peer of head may have, and its mbuf holds. */
static uint32_t room_of(const struct omni_worker *w, struct rte_mbuf *head)
{
	const struct omni_keypair *kp = omni_meta(head)->kp;
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);
	const struct omni_path *path =
		peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire) : NULL;
	uint32_t front, text, buffer = head->buf_len - head->data_off + OMNI_BUNDLE_LEN_LEN;

	if (path == NULL || kp->dialect == OMNI_DIALECT_WIREGUARD)
		return 0;
	text = text_for(path, kp);
	front = path->hdr_len + OMNI_DATA_HDR_LEN + OMNI_BUNDLE_LEN_LEN;
	if (rte_pktmbuf_headroom(head) < front || buffer <= OMNI_POOL_TAILROOM)
		return 0;
	return OMNI_MIN(text, buffer - OMNI_POOL_TAILROOM);
}

static_assert(OMNI_POOL_TAILROOM >= COPY_SLACK && OMNI_POOL_TAILROOM >= OMNI_TAG_LEN,
	      "what stands behind a full bundle");

/* The lone head becomes a bundle that has room for next bytes more; false where it has none. */
static bool begin(const struct omni_worker *w, struct open *o, uint32_t next)
{
	uint32_t room = room_of(w, o->head), len = rte_pktmbuf_data_len(o->head);
	struct omni_meta *meta = omni_meta(o->head);
	uint8_t *at;

	if (room < OMNI_BUNDLE_LEN_LEN + len + next)
		return false;
	o->head->data_off -= OMNI_BUNDLE_LEN_LEN;
	at = rte_pktmbuf_mtod(o->head, uint8_t *);
	omni_store_be16(at, (uint16_t)len);
	at += OMNI_BUNDLE_LEN_LEN;
	if (meta->src != NULL)
		memcpy(at, meta->src, len);
	meta->src = NULL;
	meta->kind = OMNI_KIND_BUNDLE;
	o->end = at + len;
	o->room = room - OMNI_BUNDLE_LEN_LEN - len;
	return true;
}

/* m is the next head; where its headers and other frames will stand is on its way. */
static void open_head(struct open *o, struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	o->head = m;
	o->end = NULL;
	fetch_front(m);
	for (uint32_t at = RTE_CACHE_LINE_SIZE; at <= AHEAD; at += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(data + at, 1);
}

/* What was put in the bundle is its length. */
static inline void close_bundle(struct open *o)
{
	if (o->end != NULL) {
		o->head->data_len = (uint16_t)(o->end - rte_pktmbuf_mtod(o->head, uint8_t *));
		o->head->pkt_len = o->head->data_len;
	}
	o->head = NULL;
	o->end = NULL;
}

static inline bool goes_alone(struct rte_mbuf *m)
{
	return rte_pktmbuf_data_len(m) > OMNI_NODE_BUNDLE_FRAME_MAX ||
	       omni_meta(m)->kind != OMNI_KIND_FRAME;
}

static inline void put(uint8_t *at, struct rte_mbuf *m, const uint8_t *src, uint32_t len)
{
	omni_store_be16(at, (uint16_t)len);
	at += OMNI_BUNDLE_LEN_LEN;
	for (uint32_t i = 0; i < len; i += RTE_CACHE_LINE_SIZE)
		__builtin_prefetch(at + AHEAD + i, 1);
	if (likely(src == NULL && rte_pktmbuf_tailroom(m) >= COPY_SLACK))
		copy_slack(at, rte_pktmbuf_mtod(m, uint8_t *), len);
	else
		memcpy(at, src != NULL ? src : rte_pktmbuf_mtod(m, uint8_t *), len);
}

/* Copies of m behind o's frames, as long as they are for its peer and fit; returns how many. */
static inline unsigned int join(struct open *o, struct rte_mbuf **m, unsigned int n)
{
	const struct omni_keypair *kp = o->kp;
	uint8_t *end = o->end, *full = end + o->room;
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);
		uint32_t len = rte_pktmbuf_data_len(m[i]);

		if (meta->kp != kp || goes_alone(m[i]) || OMNI_BUNDLE_LEN_LEN + len > full - end)
			break;
		put(end, m[i], meta->src, len);
		end += OMNI_BUNDLE_LEN_LEN + len;
	}
	o->end = end;
	o->room = (uint32_t)(full - end);
	return i;
}

/* As many of m as join o's head, which becomes a bundle with the first one. */
static inline unsigned int collect(const struct omni_worker *w, struct collection *c,
				   struct open *o, struct rte_mbuf **m, unsigned int n)
{
	unsigned int joined;

	if (o->head == NULL || goes_alone(m[0]))
		return 0;
	if (o->end == NULL) {
		if (!begin(w, o, OMNI_BUNDLE_LEN_LEN + rte_pktmbuf_data_len(m[0])))
			return 0;
		c->bundles++;
	}
	joined = join(o, m, n);
	memcpy(c->copied + c->joined, m, joined * sizeof(void *));
	c->joined += joined;
	return joined;
}

/* rte_pktmbuf_free_bulk for n frames of one segment; m is used up. */
static inline void give_back(struct rte_mbuf **m, unsigned int n)
{
	struct rte_mempool *pool = NULL;
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *f = rte_pktmbuf_prefree_seg(m[i]);

		if (unlikely(f == NULL))
			continue;
		if (unlikely(f->pool != pool)) {
			if (k != 0)
				rte_mempool_put_bulk(pool, (void **)m, k);
			pool = f->pool;
			k = 0;
		}
		m[k++] = f;
	}
	if (likely(k != 0))
		rte_mempool_put_bulk(pool, (void **)m, k);
}

unsigned int omni_node_bundle(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;
	struct collection all;

	all.n = all.bundles = all.joined = 0;
	memset(all.at, 0, sizeof(all.at));
	for (unsigned int i = 0; i < n;) {
		struct open *o = open_of(&all, omni_meta(m[i]));
		unsigned int joined = collect(w, &all, o, m + i, n - i);

		i += joined;
		if (joined != 0)
			continue;
		close_bundle(o);
		if (!goes_alone(m[i]))
			open_head(o, m[i]);
		m[left++] = m[i++];
	}
	for (unsigned int i = 0; i < all.n; i++)
		close_bundle(&all.open[i]);
	give_back(all.copied, all.joined);
	count(w, OMNI_STAT_bundles_sent, all.bundles);
	count(w, OMNI_STAT_bundled_frames, all.joined + all.bundles);
	stage_end(w, OMNI_STAGE_bundle, n);
	return left;
}
