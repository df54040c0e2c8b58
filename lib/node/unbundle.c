/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unbundle: bundles become the frames in them. One burst may become many, so the stage is
 * called until it returns 0: it fills m from w->split, whatever n is. A bundle whose lengths do
 * not add up is dropped as a whole.
 */
#include "worker.h"

static bool adds_up(struct rte_mbuf *m)
{
	struct omni_reader r =
		omni_reader_init(rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));

	do {
		uint16_t len = omni_read_be16(&r);

		if (len == 0 || omni_read(&r, len) == NULL)
			return false;
	} while (omni_reader_left(&r) > 0);
	return true;
}

/* The bundle's next frame, or NULL where it is dropped. *done: it was the last one. */
static struct rte_mbuf *next(struct omni_worker *w, struct rte_mbuf *m, bool *done)
{
	const uint8_t *at = rte_pktmbuf_mtod_offset(m, const uint8_t *, w->split.off);
	struct omni_meta meta = *omni_meta(m);
	uint16_t len = omni_load_be16(at);

	w->split.off += OMNI_BUNDLE_LEN_LEN + len;
	*done = w->split.off == rte_pktmbuf_data_len(m);
	if (len > meta.kp->frame_max) {
		count(w, OMNI_STAT_drop_too_long, 1);
		return NULL;
	}
	meta.kind = OMNI_KIND_FRAME;
	return omni_node_copy(w, &meta, at + OMNI_BUNDLE_LEN_LEN, len);
}

/* One step: a frame that was none, a frame of a bundle, or nothing. */
static struct rte_mbuf *step(struct omni_worker *w)
{
	struct rte_mbuf *m = w->split.m[w->split.at], *out;
	bool done = true;

	if (omni_meta(m)->kind != OMNI_KIND_BUNDLE) {
		w->split.at++;
		return m;
	}
	if (w->split.off == 0 && !adds_up(m)) {
		w->split.at++;
		omni_node_drop(w, m, OMNI_STAT_drop_bad_bundle);
		return NULL;
	}
	if (w->split.off == 0)
		count(w, OMNI_STAT_bundles_received, 1);
	out = next(w, m, &done);
	if (done) {
		w->split.at++;
		w->split.off = 0;
		omni_node_release(w, m);
	}
	return out;
}

unsigned int omni_node_unbundle(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	while (left < n && w->split.at < w->split.n) {
		struct rte_mbuf *out = step(w);

		if (out != NULL)
			m[left++] = out;
	}
	stage_end(w, OMNI_STAGE_unbundle, left);
	return left;
}
