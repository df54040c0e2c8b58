/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * outer_fragment: datagrams that their path does not carry become fragments of IP (RFC 791; RFC
 * 8200, section 4.5): route lets that happen where nothing else helps. The datagram's own mbuf
 * becomes the first fragment, the others are copies. The stage is called until it returns 0: it
 * fills m from w->outer.
 */
#include <rte_random.h>

#include "l3.h"

#define V6_FRAGMENT 44
#define V6_FRAGMENT_LEN 8
#define V6_MORE 1

/* The IP payload of a datagram, and how much of it a fragment carries. */
struct cut {
	const struct omni_path *path;
	uint32_t ip_len; /* Ethernet and IP header */
	uint32_t whole, size, pieces;
	uint32_t id;
};

static bool fits(const struct omni_path *path, const struct rte_mbuf *m)
{
	return rte_pktmbuf_data_len(m) <= (uint32_t)path->mtu + OMNI_ETHER_HDR_LEN;
}

/* False where it cannot be cut. */
static bool plan(struct cut *c, const struct omni_path *path, const struct rte_mbuf *m)
{
	uint32_t around = path->v6 ? OMNI_IPV6_HDR_LEN + V6_FRAGMENT_LEN : OMNI_IPV4_HDR_LEN;

	c->path = path;
	c->ip_len = path->hdr_len - OMNI_UDP_HDR_LEN;
	c->whole = rte_pktmbuf_data_len(m) - c->ip_len;
	c->size = path->mtu > around ? (path->mtu - around) & ~7U : 0;
	if (c->size == 0 || (path->v6 && rte_pktmbuf_headroom(m) < V6_FRAGMENT_LEN))
		return false;
	c->pieces = 0;
	for (uint32_t at = 0; at < c->whole; at += c->size)
		c->pieces++;
	return c->pieces <= BURST;
}

/* What a device or the kernel would have done of the UDP checksum, they cannot in fragments. */
static void finish_checksum(const struct omni_path *path, struct rte_mbuf *m)
{
	if (!path->v6 && path->checksum == OMNI_CHECKSUM_NONE)
		return;
	memset(rte_pktmbuf_mtod_offset(m, uint8_t *, path->hdr_len - 2), 0, 2);
	omni_path_checksum(path, rte_pktmbuf_mtod(m, uint8_t *),
			   (uint16_t)(rte_pktmbuf_data_len(m) - path->hdr_len));
	m->ol_flags &= ~(RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
}

/* IPv4's is to differ between the workers; IPv6's is not to be guessed (RFC 7739). */
static uint32_t next_id(struct omni_worker *w, bool v6)
{
	if (v6)
		return (uint32_t)rte_rand();
	w->fragment_id += (uint16_t)w->conf.workers;
	return (uint16_t)(w->fragment_id + w->conf.id);
}

/* Of the fragment that begins at off of the payload and has len bytes of it. */
static void set_header(uint8_t *ip, const struct cut *c, uint32_t off, uint32_t len)
{
	bool more = off + len < c->whole;

	if (c->path->v6) {
		uint8_t *h = ip + OMNI_IPV6_HDR_LEN;

		omni_store_be16(ip + 4, (uint16_t)(V6_FRAGMENT_LEN + len));
		ip[6] = V6_FRAGMENT;
		h[0] = IP_PROTO_UDP;
		h[1] = 0;
		omni_store_be16(h + 2, (uint16_t)(off | (more ? V6_MORE : 0)));
		omni_store_be32(h + 4, c->id);
		return;
	}
	omni_store_be16(ip + 2, (uint16_t)(OMNI_IPV4_HDR_LEN + len));
	omni_store_be16(ip + 4, (uint16_t)c->id);
	omni_store_be16(ip + 6, (uint16_t)(off / 8 | (more ? IPV4_MORE_FRAGMENTS : 0)));
	v4_set_sum(ip);
}

/* A copy of the fragment at off into f. */
static void later(struct rte_mbuf *f, struct rte_mbuf *m, const struct cut *c, uint32_t off)
{
	uint32_t front = c->ip_len + (c->path->v6 ? V6_FRAGMENT_LEN : 0);
	uint32_t len = OMNI_MIN(c->size, c->whole - off);
	const uint8_t *from = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t *to = rte_pktmbuf_mtod(f, uint8_t *);

	*omni_meta(f) = *omni_meta(m);
	memcpy(to, from, c->ip_len);
	memcpy(to + front, from + c->ip_len + off, len);
	trim(f, front + len);
	set_header(to + OMNI_ETHER_HDR_LEN, c, off, len);
}

static void first(struct rte_mbuf *m, const struct cut *c)
{
	uint32_t front = c->path->v6 ? V6_FRAGMENT_LEN : 0;
	uint8_t *from = rte_pktmbuf_mtod(m, uint8_t *);

	if (front != 0)
		memmove(from - front, from, c->ip_len);
	m->data_off -= (uint16_t)front;
	trim(m, c->ip_len + front + c->size);
	set_header(from - front + OMNI_ETHER_HDR_LEN, c, 0, c->size);
}

/* One datagram into out, which has room; returns the fragments, or 0 where it was dropped. */
static unsigned int cut(struct omni_worker *w, struct rte_mbuf *m, struct cut *c,
			struct rte_mbuf **out)
{
	uint32_t off = c->size;

	if (rte_pktmbuf_alloc_bulk(w->conf.pool, out + 1, c->pieces - 1) != 0) {
		omni_node_drop(w, m, OMNI_STAT_drop_no_mbuf);
		return 0;
	}
	c->id = next_id(w, c->path->v6);
	finish_checksum(c->path, m);
	for (uint32_t i = 1; i < c->pieces; i++, off += c->size)
		later(out[i], m, c, off);
	first(m, c);
	out[0] = m;
	count(w, OMNI_STAT_outer_fragments_sent, c->pieces);
	return c->pieces;
}

unsigned int omni_node_outer_fragment(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	for (; left < n && w->outer.at < w->outer.n; w->outer.at++) {
		struct rte_mbuf *datagram = w->outer.m[w->outer.at];
		const struct omni_path *path = w->path[w->outer.at];
		struct cut c;

		if (fits(path, datagram)) {
			m[left++] = datagram;
			continue;
		}
		if (!plan(&c, path, datagram)) {
			omni_node_drop(w, datagram, OMNI_STAT_drop_too_long);
			continue;
		}
		if (left + c.pieces > n)
			break;
		left += cut(w, datagram, &c, m + left);
	}
	stage_end(w, OMNI_STAGE_outer_fragment, left);
	return left;
}
