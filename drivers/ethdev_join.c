/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * To a virtio queue: frames of a TCP flow in a burst leave as one chain of buffers with one
 * header, for the other side to take whole. Payloads are not copied.
 */
#include <string.h>

#include "ethdev_segment.h"

#define TRIES 3

static void find_groups(struct omni_join *j, struct rte_mbuf **m, uint16_t n, bool join)
{
	omni_join_begin(j);
	for (uint16_t i = 0; i < n; i++) {
		/* A buffer that goes elsewhere too is not ours to change. */
		if (join && m[i]->nb_segs == 1 && rte_mbuf_refcnt_read(m[i]) == 1)
			omni_join_add(j, rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len);
		else
			omni_join_add_opaque(j);
	}
}

static void set_offload(struct rte_mbuf *m, const struct omni_join_group *g,
			const struct virtio_net_hdr *h)
{
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM |
		      (g->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->l2_len = g->l3;
	m->l3_len = (uint64_t)(g->l4 - g->l3) & 0x1ff;
	m->l4_len = (uint64_t)(g->hdr_len - g->l4) & 0xff;
	m->tso_segsz = h->gso_size;
}

/* The frames of a group as one. */
static struct rte_mbuf *chain(const struct omni_join *j, const struct omni_join_group *g,
			      struct rte_mbuf **m)
{
	struct rte_mbuf *whole = m[g->first], *last = whole;
	uint8_t head[OMNI_SEGMENT_HDR_MAX];
	struct virtio_net_hdr h;
	uint32_t hdr;

	if (g->n == 1)
		return whole;
	hdr = omni_join_head(j, g, &h, head);
	memcpy(rte_pktmbuf_mtod(whole, uint8_t *), head, hdr);
	for (unsigned int i = j->next[g->first]; i != OMNI_JOIN_END; i = j->next[i]) {
		(void)rte_pktmbuf_adj(m[i], (uint16_t)hdr);
		last->next = m[i];
		last = m[i];
		whole->nb_segs++;
		whole->pkt_len += m[i]->data_len;
	}
	set_offload(whole, g, &h);
	return whole;
}

static void push(struct ethdev_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t sent = 0;

	for (int i = 0; i < TRIES && sent < n; i++)
		sent = (uint16_t)(sent + ethdev_send(p, queue, m + sent, (uint16_t)(n - sent)));
	for (uint16_t i = sent; i < n; i++) {
		driver_count(&p->q[queue].tx_full, m[i]->nb_segs);
		rte_pktmbuf_free(m[i]);
	}
}

static void send_some(struct ethdev_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n,
		      bool join)
{
	struct rte_mbuf *out[OMNI_JOIN_MAX];
	struct omni_join j;

	find_groups(&j, m, n, join);
	for (unsigned int i = 0; i < j.n; i++) {
		out[i] = chain(&j, &j.group[i], m);
		driver_count(&p->q[queue].tx_segments, j.group[i].n > 1);
	}
	push(p, queue, out, (uint16_t)j.n);
}

uint16_t ethdev_tx_segments(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ethdev_port *p = port->priv;
	bool join = p->takes_segments != NULL ? p->takes_segments(p->dev) : p->tso;

	for (uint16_t at = 0, some; at < n; at = (uint16_t)(at + some)) {
		some = RTE_MIN((uint16_t)(n - at), (uint16_t)OMNI_JOIN_MAX);
		send_some(p, queue, m + at, some, join);
	}
	return n;
}
