/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tx: frames are collected per port (meta->port) and sent in one burst per port and turn, by
 * another worker where this one has no queue of the port. What a port does not take after a few
 * tries is dropped.
 */
#include "worker.h"

#define TRIES 3

static unsigned int send_burst(struct omni_worker *w, struct omni_port *port, uint16_t queue,
			       struct tx_queue *q)
{
	unsigned int sent = 0;

	for (int i = 0; i < TRIES && sent < q->n; i++)
		sent += omni_port_tx(port, queue, q->m + sent, (uint16_t)(q->n - sent));
	count(w, port->id == w->conf.uplink ? OMNI_STAT_uplink_tx : OMNI_STAT_local_tx, sent);
	return sent;
}

static void flush(struct omni_worker *w, uint16_t id)
{
	struct omni_port *port = port_get(w, id);
	unsigned int sent = 0, why = OMNI_STAT_drop_port_gone;
	struct tx_queue *q = &w->txq[id];
	uint16_t queue;

	if (likely(port != NULL && own_queue(w, port, &queue))) {
		sent = send_burst(w, port, queue, q);
		why = OMNI_STAT_drop_tx_full;
	} else if (port != NULL) {
		sent = omni_node_hand_frames(w, q->m, q->n, sender_for(w, port));
		why = OMNI_STAT_drop_inbox_full;
	}
	for (unsigned int i = sent; i < q->n; i++)
		omni_node_drop(w, q->m[i], why);
	stage_end(w, OMNI_STAGE_tx, q->n);
	q->n = 0;
	w->tx_pending &= ~(UINT64_C(1) << id);
}

/* Frames for one port, behind those that wait already. */
static void append(struct omni_worker *w, uint16_t id, struct rte_mbuf **m, unsigned int n)
{
	struct tx_queue *q = &w->txq[id];

	if (unlikely(q->n + n > TX_QUEUE))
		flush(w, id);
	for (unsigned int i = 0; i < n; i++)
		q->m[q->n + i] = m[i];
	q->n += n;
	w->tx_pending |= UINT64_C(1) << id;
}

static_assert(BURST <= TX_QUEUE, "a burst finds room once the queue is flushed");

unsigned int omni_node_tx(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int i = 0;

	while (i < n) {
		uint16_t id = omni_meta(m[i])->port;
		unsigned int begin = i++;

		while (i < n && omni_meta(m[i])->port == id)
			i++;
		if (likely(id < OMNI_PORTS_MAX)) {
			append(w, id, m + begin, i - begin);
			continue;
		}
		while (begin < i)
			omni_node_drop(w, m[begin++], OMNI_STAT_drop_port_gone);
	}
	return 0;
}

void omni_node_tx_flush(struct omni_worker *w)
{
	while (w->tx_pending != 0)
		flush(w, (uint16_t)__builtin_ctzll(w->tx_pending));
}
