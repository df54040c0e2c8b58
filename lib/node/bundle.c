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
	uint32_t around, front, buffer = head->buf_len - head->data_off + OMNI_BUNDLE_LEN_LEN;

	if (path == NULL)
		return 0;
	around = path->hdr_len - OMNI_ETHER_HDR_LEN + OMNI_DATA_OVERHEAD;
	front = path->hdr_len + OMNI_DATA_HDR_LEN + OMNI_BUNDLE_LEN_LEN;
	if (path->mtu <= around || rte_pktmbuf_headroom(head) < front ||
	    buffer <= OMNI_POOL_TAILROOM)
		return 0;
	return OMNI_MIN(path->mtu - around, buffer - OMNI_POOL_TAILROOM);
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

/* Copy m behind o's frames; false where it does not fit. */
static inline bool join(const struct omni_worker *w, struct open *o, struct rte_mbuf *m)
{
	const uint8_t *src = omni_meta(m)->src;
	uint32_t len = rte_pktmbuf_data_len(m), need = OMNI_BUNDLE_LEN_LEN + len;

	if (o->end == NULL ? !begin(w, o, need) : o->room < need)
		return false;
	omni_store_be16(o->end, (uint16_t)len);
	if (unlikely(src != NULL || rte_pktmbuf_tailroom(m) < COPY_SLACK))
		memcpy(o->end + OMNI_BUNDLE_LEN_LEN,
		       src != NULL ? src : rte_pktmbuf_mtod(m, uint8_t *), len);
	else
		copy_slack(o->end + OMNI_BUNDLE_LEN_LEN, rte_pktmbuf_mtod(m, uint8_t *), len);
	o->end += need;
	o->room -= need;
	o->head->data_len = (uint16_t)(o->end - rte_pktmbuf_mtod(o->head, uint8_t *));
	o->head->pkt_len = o->head->data_len;
	return true;
}

static inline bool goes_alone(struct rte_mbuf *m)
{
	return rte_pktmbuf_data_len(m) > BUNDLE_FRAME_MAX || omni_meta(m)->kind != OMNI_KIND_FRAME;
}

unsigned int omni_node_bundle(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, joined = 0, bundles = 0;
	struct collection all;
	struct open *o = NULL;

	all.n = 0;
	memset(all.at, 0, sizeof(all.at));
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);
		bool lone;

		if (o == NULL || o->kp != meta->kp)
			o = open_of(&all, meta);
		if (goes_alone(m[i])) {
			o->head = NULL;
			m[left++] = m[i];
			continue;
		}
		lone = o->end == NULL;
		if (o->head != NULL && join(w, o, m[i])) {
			bundles += lone;
			joined += 1 + lone;
			omni_node_release(w, m[i]);
			continue;
		}
		o->head = m[i];
		o->end = NULL;
		m[left++] = m[i];
	}
	count(w, OMNI_STAT_bundles_sent, bundles);
	count(w, OMNI_STAT_bundled_frames, joined);
	stage_end(w, OMNI_STAGE_bundle, n);
	return left;
}
