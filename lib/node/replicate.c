/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * replicate: a flooded frame for each peer and port of its cluster. The frame is read-only:
 * each peer gets an mbuf of its own, into which seal writes straight from the frame. One burst
 * may become many, so the stage is called until it returns 0: it fills m from w->flood. Local
 * ports come last, when nothing reads the frame any more, and the last one gets the frame.
 */
#include "worker.h"

/* The copy for one peer, ready for encap; NULL, and counted, where there is none. */
static struct rte_mbuf *copy_for(struct omni_worker *w, struct rte_mbuf *frame, uint32_t index,
				 uint32_t generation)
{
	struct omni_peer *peer = peer_get(w, index, generation);
	uint32_t len = rte_pktmbuf_data_len(frame);
	struct rte_mbuf *m;
	unsigned int why;

	if (peer == NULL) {
		count(w, OMNI_STAT_drop_no_peer, 1);
		return NULL;
	}
	m = rte_pktmbuf_alloc(w->conf.pool);
	if (m == NULL) {
		count(w, OMNI_STAT_drop_no_mbuf, 1);
		return NULL;
	}
	*omni_meta(m) = (struct omni_meta){.cluster = omni_meta(frame)->cluster};
	why = len > rte_pktmbuf_tailroom(m)
		      ? (unsigned int)OMNI_STAT_drop_too_long
		      : omni_node_address(w, m, peer, rte_pktmbuf_mtod(frame, uint8_t *), len);
	if (why != KEEP) {
		omni_node_drop(w, m, why);
		return NULL;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	return m;
}

unsigned int omni_node_replicate(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	w->must_cut = false;
	w->n_short = 0;
	while (left < n && w->copy.at < w->flood.n) {
		struct rte_mbuf *frame = w->flood.m[w->copy.at], *copy;
		const struct omni_meta *meta = omni_meta(frame);
		const struct omni_flood *to = w->copy.to;

		if (w->copy.peer == 0)
			to = w->copy.to = omni_bridge_flood(w->conf.bridges, meta->cluster);
		if ((meta->flags & OMNI_META_FROM_PEER) != 0 || to == NULL ||
		    w->copy.peer == to->n_peers) {
			w->copy.at++;
			w->copy.peer = 0;
			continue;
		}
		copy = copy_for(w, frame, to->peer[w->copy.peer].index,
				to->peer[w->copy.peer].generation);
		w->copy.peer++;
		if (copy != NULL)
			m[left++] = copy;
	}
	count(w, OMNI_STAT_flooded, left);
	stage_end(w, OMNI_STAGE_replicate, left);
	return left;
}

static void send_local(struct omni_worker *w, struct rte_mbuf *m, uint16_t port)
{
	omni_meta(m)->port = port;
	omni_node_tx(w, &m, 1);
	count(w, OMNI_STAT_flooded, 1);
}

/* May a flooded frame leave by that port? Not where it came in. */
static const struct omni_port *exit_port(const struct omni_worker *w, struct rte_mbuf *frame,
					 uint16_t id)
{
	const struct omni_meta *meta = omni_meta(frame);
	const struct omni_port *port = port_get(w, id);

	if (port == NULL || domain_of_port(w, id) != meta->cluster)
		return NULL;
	return id == meta->port && (meta->flags & OMNI_META_FROM_PEER) == 0 ? NULL : port;
}

static void to_ports(struct omni_worker *w, struct rte_mbuf *frame)
{
	const struct omni_meta *meta = omni_meta(frame);
	const struct omni_flood *to = omni_bridge_flood(w->conf.bridges, meta->cluster);
	bool from_peer = (meta->flags & OMNI_META_FROM_PEER) != 0;
	bool counted = to != NULL && to->n_peers > 0 && !from_peer; /* copies, or their drops */
	uint8_t *data = rte_pktmbuf_mtod(frame, uint8_t *);
	uint32_t len = rte_pktmbuf_data_len(frame);
	int last = -1;

	for (uint16_t i = 0; to != NULL && i < to->n_ports; i++) {
		const struct omni_port *port = exit_port(w, frame, to->port[i]);
		struct rte_mbuf *copy;

		if (port == NULL)
			continue;
		if (!port_carries(port, len)) {
			count(w, OMNI_STAT_drop_too_long, 1);
			counted = true;
			continue;
		}
		copy = last >= 0 ? omni_node_copy(w, meta, data, len) : NULL;
		if (copy != NULL)
			send_local(w, copy, (uint16_t)last);
		last = port->id;
	}
	if (last >= 0)
		send_local(w, frame, (uint16_t)last);
	else if (counted)
		omni_node_release(w, frame);
	else
		omni_node_drop(w, frame, OMNI_STAT_drop_nobody);
}

void omni_node_replicate_local(struct omni_worker *w)
{
	for (unsigned int i = 0; i < w->flood.n; i++)
		to_ports(w, w->flood.m[i]);
	stage_end(w, OMNI_STAGE_replicate, w->flood.n);
	w->flood.n = 0;
}
