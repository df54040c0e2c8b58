/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams of the udp driver's tests, as the data path sees them: with the headers in front. */
#ifndef UDP_FRAMES_H
#define UDP_FRAMES_H

#include <string.h>

#include <rte_mbuf.h>

#include <omni_addr.h>

#define V4_HDR 42
#define V6_HDR 62

static struct rte_mempool *pool;
static struct omni_ip lo4, lo6; /* loopback addresses */
static uint16_t port_a;		/* where frames come from */

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* Byte k of datagram number i. */
static uint8_t pattern(unsigned int i, unsigned int k)
{
	return (uint8_t)(i * 7 + k + (k >> 8));
}

static struct rte_mbuf *frame(bool v6, const struct omni_ip *from, const struct omni_ip *to,
			      uint16_t to_port, uint16_t len, unsigned int i)
{
	uint16_t hdr = v6 ? V6_HDR : V4_HDR;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *p, *udp;

	assert_non_null(m);
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(hdr + len));
	assert_non_null(p);
	memset(p, 0, hdr);
	put16(p + 12, v6 ? 0x86dd : 0x0800);
	p[14] = v6 ? 0x60 : 0x45;
	memcpy(p + (v6 ? 22 : 26), from->b + (v6 ? 0 : 12), v6 ? 16 : 4);
	memcpy(p + (v6 ? 38 : 30), to->b + (v6 ? 0 : 12), v6 ? 16 : 4);
	udp = p + hdr - 8;
	put16(udp, port_a);
	put16(udp + 2, to_port);
	put16(udp + 4, len + 8u);
	for (unsigned int k = 0; k < len; k++)
		p[hdr + k] = pattern(i, k);
	return m;
}

static struct rte_mbuf *v4_frame(uint16_t to_port, uint16_t len, unsigned int i)
{
	return frame(false, &lo4, &lo4, to_port, len, i);
}

/* That m is datagram number i as it was sent, behind a good header. */
static void assert_frame(const struct rte_mbuf *m, bool v6, uint16_t from_port, uint16_t to_port,
			 uint16_t len, unsigned int i)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *), *ip = p + 14, *udp;
	uint16_t hdr = v6 ? V6_HDR : V4_HDR;

	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(m->pkt_len, m->data_len);
	assert_int_equal(m->data_len, hdr + len);
	assert_true(m->data_off >= RTE_PKTMBUF_HEADROOM);
	assert_int_equal(get16(p + 12), v6 ? 0x86dd : 0x0800);
	assert_int_equal(ip[0] >> 4, v6 ? 6 : 4);
	assert_int_equal(v6 ? ip[6] : ip[9], 17);
	assert_int_equal(get16(ip + (v6 ? 4 : 2)), v6 ? len + 8 : len + 28);
	assert_memory_equal(ip + (v6 ? 8 : 12), v6 ? lo6.b : lo4.b + 12, v6 ? 16 : 4);
	assert_memory_equal(ip + (v6 ? 24 : 16), v6 ? lo6.b : lo4.b + 12, v6 ? 16 : 4);
	udp = p + hdr - 8;
	assert_int_equal(get16(udp), from_port);
	assert_int_equal(get16(udp + 2), to_port);
	assert_int_equal(get16(udp + 4), len + 8);
	for (unsigned int k = 0; k < len; k++)
		assert_int_equal(p[hdr + k], pattern(i, k));
}

/* TOS or traffic class of a frame, read and set. */
static uint8_t get_tos(const struct rte_mbuf *m, bool v6)
{
	return (uint8_t)(get16(rte_pktmbuf_mtod_offset(m, const uint8_t *, 14)) >> (v6 ? 4 : 0));
}

static void set_tos(struct rte_mbuf *m, bool v6, uint8_t tos)
{
	put16(rte_pktmbuf_mtod_offset(m, uint8_t *, 14), v6 ? 0x6000U | tos * 16U : 0x4500U | tos);
}

#endif
