/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* drop: where frames end that are not passed on, each under one name. */
#include "worker.h"

void omni_node_release(struct omni_worker *w, struct rte_mbuf *m)
{
	if (w->n_dropped == DROP_QUEUE)
		omni_node_drop_flush(w);
	w->dropped[w->n_dropped++] = m;
}

void omni_node_drop(struct omni_worker *w, struct rte_mbuf *m, unsigned int why)
{
	assert(why < OMNI_STAT_COUNT);
	omni_stats_add(w->conf.stats, (enum omni_stat)why, 1);
	omni_node_release(w, m);
}

void omni_node_drop_flush(struct omni_worker *w)
{
	if (w->n_dropped == 0)
		return;
	rte_pktmbuf_free_bulk(w->dropped, w->n_dropped);
	w->n_dropped = 0;
}

void omni_node_event(struct omni_worker *w, const struct omni_event *ev)
{
	if (!omni_xring_event(w->conf.xring, ev))
		omni_stats_add(w->conf.stats, OMNI_STAT_event_lost, 1);
}

struct rte_mbuf *omni_node_copy(struct omni_worker *w, const struct omni_meta *meta,
				const uint8_t *data, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->conf.pool);

	if (m == NULL) {
		count(w, OMNI_STAT_drop_no_mbuf, 1);
		return NULL;
	}
	if (len > rte_pktmbuf_tailroom(m)) {
		omni_node_drop(w, m, OMNI_STAT_drop_too_long);
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(m, void *), data, len);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	*omni_meta(m) = *meta;
	return m;
}
