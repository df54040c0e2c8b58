/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ip_fragment: IPv4 packets that are longer than what is ahead, and may be cut, become fragments as
 * RFC 791 has them. One may become many, so the stage is called until it returns 0: it fills m from
 * w->chop. They are copies, and routed like any packet.
 */
#include "l3.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_COPIED 0x80

/* The header of all fragments but the first: of the options those that go with each. */
static uint32_t later_header(uint8_t *to, const uint8_t *ip, uint32_t hdr_len)
{
	uint32_t len = OMNI_IPV4_HDR_LEN, at = OMNI_IPV4_HDR_LEN;

	memcpy(to, ip, OMNI_IPV4_HDR_LEN);
	while (at < hdr_len && ip[at] != OPTION_END) {
		uint32_t n = 1;

		if (ip[at] != OPTION_NOP)
			n = at + 1 < hdr_len ? ip[at + 1] : 0;
		if (n == 0 || (n == 1 && ip[at] != OPTION_NOP) || at + n > hdr_len)
			break;
		if ((ip[at] & OPTION_COPIED) != 0) {
			memcpy(to + len, ip + at, n);
			len += n;
		}
		at += n;
	}
	while (len % 4 != 0)
		to[len++] = OPTION_END;
	to[0] = (uint8_t)(0x40 | len / 4);
	return len;
}

/* Bytes of payload in a fragment behind a header of that length. */
static uint32_t piece_len(uint32_t mtu, uint32_t hdr_len)
{
	return mtu > hdr_len ? (mtu - hdr_len) & ~7U : 0;
}

/* The fragment at off of the payload into f; returns the bytes of payload in it, or 0. */
static uint32_t cut(struct rte_mbuf *m, struct rte_mbuf *f, uint32_t off, uint32_t mtu)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t was = v4_header_len(ip), rest = rte_pktmbuf_data_len(m) - was - off;
	uint8_t *to = rte_pktmbuf_mtod(f, uint8_t *), hdr[IPV4_HEADER_MAX];
	uint32_t hdr_len = off == 0 ? was : later_header(hdr, ip, was);
	uint32_t len = OMNI_MIN(piece_len(mtu, hdr_len), rest);
	uint16_t frag = omni_load_be16(ip + 6);

	if (len == 0 || hdr_len + len > rte_pktmbuf_tailroom(f))
		return 0;
	memcpy(to, off == 0 ? ip : hdr, hdr_len);
	memcpy(to + hdr_len, ip + was + off, len);
	frag = (uint16_t)((frag & ~IPV4_OFFSET) | ((frag & IPV4_OFFSET) + off / 8));
	if (len < rest)
		frag |= IPV4_MORE_FRAGMENTS;
	omni_store_be16(to + 2, (uint16_t)(hdr_len + len));
	omni_store_be16(to + 6, frag);
	v4_set_sum(to);
	trim(f, hdr_len + len);
	*omni_meta(f) = *omni_meta(m);
	return len;
}

/* The packet's next fragment; NULL where it was given up. */
static struct rte_mbuf *next(struct omni_worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *f = rte_pktmbuf_alloc(w->conf.pool);
	uint32_t len;

	if (f == NULL) {
		count(w, OMNI_STAT_drop_no_mbuf, 1);
		return NULL;
	}
	len = cut(m, f, w->chop_off, w->chop_mtu[w->chop_at]);
	if (len == 0) {
		omni_node_drop(w, f, OMNI_STAT_drop_too_long);
		return NULL;
	}
	w->chop_off += len;
	return f;
}

unsigned int omni_node_ip_fragment(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	while (left < n && w->chop_at < w->chop.n) {
		struct rte_mbuf *packet = w->chop.m[w->chop_at], *f = next(w, packet);
		uint32_t hdr_len = v4_header_len(rte_pktmbuf_mtod(packet, const uint8_t *));

		if (f != NULL)
			m[left++] = f;
		if (f != NULL && hdr_len + w->chop_off < rte_pktmbuf_data_len(packet))
			continue;
		omni_node_release(w, packet);
		w->chop_off = 0;
		w->chop_at++;
	}
	count(w, OMNI_STAT_ip_fragments_sent, left);
	stage_end(w, OMNI_STAGE_ip_fragment, left);
	return left;
}
