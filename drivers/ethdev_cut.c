/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From a virtio queue: single frames with their checksums finished, and segments, which come as
 * chains of buffers. A segment is made one piece first, then cut.
 */
#include <string.h>

#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "ethdev_segment.h"

/* What the device says of a frame, as a virtio-net header; false where it makes no sense. */
static bool describe(struct virtio_net_hdr *h, const struct rte_mbuf *m)
{
	struct rte_net_hdr_lens len;
	uint32_t type = rte_net_get_ptype(m, &len, RTE_PTYPE_ALL_MASK);
	uint32_t l4 = type & RTE_PTYPE_L4_MASK;

	memset(h, 0, sizeof(*h));
	if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return true;
	if (l4 != RTE_PTYPE_L4_TCP && l4 != RTE_PTYPE_L4_UDP)
		return false;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = (uint16_t)(len.l2_len + len.l3_len);
	h->csum_offset = l4 == RTE_PTYPE_L4_TCP ? offsetof(struct rte_tcp_hdr, cksum)
						: offsetof(struct rte_udp_hdr, dgram_cksum);
	if ((m->ol_flags & RTE_MBUF_F_RX_LRO) == 0)
		return true;
	h->gso_type =
		RTE_ETH_IS_IPV6_HDR(type) ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = m->tso_segsz;
	h->hdr_len = (uint16_t)(h->csum_start + len.l4_len);
	return l4 == RTE_PTYPE_L4_TCP;
}

/* The chain's bytes into the queue's room. */
static void linearize(struct ethdev_queue *q, const struct rte_mbuf *m)
{
	uint8_t *at = q->room;

	for (; m != NULL; m = m->next)
		at = (uint8_t *)memcpy(at, rte_pktmbuf_mtod(m, const void *), m->data_len) +
		     m->data_len;
}

static void begin_segment(const struct ethdev_port *p, struct ethdev_queue *q,
			  const struct virtio_net_hdr *h, const struct rte_mbuf *m)
{
	struct omni_split *s = &q->split;

	q->piece = s->pieces = 0;
	if (m->pkt_len > OMNI_SEGMENT_MAX) {
		driver_count(&q->rx_chained, 1);
		return;
	}
	linearize(q, m);
	if (omni_split_begin(s, h, q->room, m->pkt_len, m->pkt_len) < 0) {
		s->pieces = 0;
		driver_count(&q->rx_offload, 1);
	} else if (s->hdr_len + omni_split_payload(s, 0) > p->frame_max) {
		s->pieces = 0;
		driver_count(&q->rx_chained, 1);
	} else {
		driver_count(&q->rx_segments, 1);
	}
}

/* m becomes a frame in *out (true), or the segment that is cut next, or is dropped. */
static bool take(const struct ethdev_port *p, struct ethdev_queue *q, struct rte_mbuf *m,
		 struct rte_mbuf **out)
{
	struct virtio_net_hdr h;

	if (!describe(&h, m)) {
		driver_count(&q->rx_offload, 1);
	} else if (h.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		begin_segment(p, q, &h, m);
	} else if (m->nb_segs != 1) {
		driver_count(&q->rx_chained, 1);
	} else if (h.flags != 0 &&
		   !omni_finish_checksum(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, h.csum_start,
					 h.csum_offset)) {
		driver_count(&q->rx_offload, 1);
	} else {
		*out = m;
		return true;
	}
	rte_pktmbuf_free(m);
	return false;
}

static uint16_t take_pieces(struct ethdev_queue *q, struct rte_mempool *pool, struct rte_mbuf **m,
			    uint16_t n)
{
	uint32_t count = RTE_MIN(q->split.pieces - q->piece, n);

	if (count == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(pool, m, count) != 0) {
		driver_count(&q->rx_no_buffer, 1);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		m[i]->data_len = (uint16_t)omni_split_piece(&q->split, q->piece + i,
							    q->room + q->split.hdr_len,
							    rte_pktmbuf_mtod(m[i], uint8_t *));
		m[i]->pkt_len = m[i]->data_len;
	}
	q->piece += count;
	return (uint16_t)count;
}

static bool has_pieces(const struct ethdev_queue *q)
{
	return q->piece < q->split.pieces;
}

bool ethdev_has_waiting(const struct ethdev_queue *q)
{
	return has_pieces(q) || q->next < q->waiting;
}

void ethdev_drop_waiting(struct ethdev_queue *q)
{
	rte_pktmbuf_free_bulk(q->wait + q->next, (unsigned int)(q->waiting - q->next));
	q->next = q->waiting = 0;
}

uint16_t ethdev_rx_segments(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ethdev_port *p = port->priv;
	struct ethdev_queue *q = &p->q[queue];
	uint16_t got = take_pieces(q, port->pool, m, n);

	if (q->next == q->waiting) {
		q->next = 0;
		q->waiting = rte_eth_rx_burst(p->dev, queue, q->wait, DRIVER_BURST);
	}
	while (got < n && !has_pieces(q) && q->next < q->waiting) {
		got = (uint16_t)(got + take(p, q, q->wait[q->next++], &m[got]));
		got = (uint16_t)(got + take_pieces(q, port->pool, m + got, (uint16_t)(n - got)));
	}
	return got;
}
