/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * TCP segments that are longer than a frame and stay whole between ports: a chain of buffers, the
 * first of which holds all headers, with checksums as unfinished as in a virtio-net queue. DPDK's
 * flags and lengths for segmentation say what it is. Any thread.
 */
#ifndef OMNI_CHAIN_H
#define OMNI_CHAIN_H

#include <stdbool.h>

#include <linux/virtio_net.h>

#include <rte_mbuf.h>

/* Buffers of a chain. */
#define OMNI_CHAIN_MAX 64

static inline bool omni_is_segment(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0;
}

/*
 * m, whole, stands for frames of size bytes of payload each. Where its headers begin: l3 (IP), l4
 * (TCP); hdr_len is of all of them.
 */
static inline void omni_segment_mark(struct rte_mbuf *m, bool v6, uint16_t size, uint16_t l3,
				     uint16_t l4, uint16_t hdr_len)
{
	m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->tso_segsz = size;
	m->l2_len = l3;
	m->l3_len = (uint16_t)(l4 - l3);
	m->l4_len = (uint8_t)(hdr_len - l4);
}

/* A frame again, or a piece of something. */
static inline void omni_segment_unmark(struct rte_mbuf *m)
{
	m->ol_flags = 0;
	m->tx_offload = 0;
}

static inline uint32_t omni_segment_hdr_len(const struct rte_mbuf *m)
{
	return (uint32_t)m->l2_len + m->l3_len + m->l4_len;
}

/* The same in the words of virtio-net. */
static inline void omni_segment_describe(const struct rte_mbuf *m, struct virtio_net_hdr *h)
{
	uint16_t l4 = (uint16_t)(m->l2_len + m->l3_len);
	const uint8_t *flags = rte_pktmbuf_mtod_offset(m, const uint8_t *, l4 + 13);
	bool v6 = (m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0;

	*h = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)omni_segment_hdr_len(m),
		.gso_size = m->tso_segsz,
		.csum_start = l4,
		.csum_offset = 16,
	};
	/* CWR is said once: in the first frame alone. */
	if ((*flags & 0x80) != 0)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
}

#endif
