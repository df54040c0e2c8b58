/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A slow reference for tests of cutting and joining that shares no code with it: headers are
 * written and read here byte by byte, and checksums are added up two bytes at a time.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni_segment.h>

#define ROUNDS 3000
#define FIN 0x01
#define SYN 0x02
#define PSH 0x08
#define ACK 0x10
#define ECE 0x40
#define CWR 0x80

/* What a test frame looks like. */
struct shape {
	bool v6, udp;
	unsigned int tags, ip_options, tcp_options, extension;
	uint8_t flow; /* addresses and ports follow from it */
	uint8_t flags;
	uint16_t id, window;
	uint32_t sequence, ack, stamp;
	size_t payload;
};

static uint64_t seed;

static inline uint32_t rnd(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % below);
}

static inline unsigned int be16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static inline void set16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v / 256);
	p[1] = (uint8_t)v;
}

static inline void set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v & 0xffff);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static inline unsigned int add(unsigned int sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2) {
		sum += p[i] * 256u + (i + 1 < len ? p[i + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline size_t l3_of(const uint8_t *f)
{
	size_t at = 14;

	while (be16(f + at - 2) == 0x8100 || be16(f + at - 2) == 0x88a8)
		at += 4;
	return at;
}

static inline size_t l4_of(const uint8_t *f)
{
	size_t l3 = l3_of(f);

	if (f[l3] >> 4 == 4)
		return l3 + (f[l3] & 15u) * 4;
	return l3 + 40 + (f[l3 + 6] == 0 ? (f[l3 + 41] + 1u) * 8 : 0);
}

/* What the pseudo header of RFC 793 and RFC 8200 adds up to. */
static inline unsigned int pseudo(const uint8_t *f, size_t len, unsigned int proto)
{
	size_t l3 = l3_of(f), l4 = l4_of(f);
	uint8_t tail[4];
	bool v6 = f[l3] >> 4 == 6;

	set16(tail, (unsigned int)(len - l4));
	set16(tail + 2, proto);
	return add(v6 ? add(0, f + l3 + 8, 32) : add(0, f + l3 + 12, 8), tail, 4);
}

static inline unsigned int proto_of(const uint8_t *f)
{
	size_t l3 = l3_of(f);

	if (f[l3] >> 4 == 4)
		return f[l3 + 9];
	return f[l3 + 6] == 0 ? f[l3 + 40] : f[l3 + 6];
}

static inline void assert_checksums(const uint8_t *f, size_t len)
{
	size_t l3 = l3_of(f), l4 = l4_of(f);

	if (f[l3] >> 4 == 4) {
		assert_int_equal(be16(f + l3 + 2), len - l3);
		assert_int_equal(add(0, f + l3, l4 - l3), 0xffff);
	} else {
		assert_int_equal(be16(f + l3 + 4), len - l3 - 40);
	}
	assert_int_equal(add(pseudo(f, len, proto_of(f)), f + l4, len - l4), 0xffff);
}

static inline void put_checksum(uint8_t *f, size_t len, bool partial)
{
	size_t l4 = l4_of(f);
	uint8_t *field = f + l4 + (proto_of(f) == 17 ? 6 : 16);
	unsigned int sum;

	set16(field, 0);
	sum = pseudo(f, len, proto_of(f));
	set16(field, partial ? sum : ~add(sum, f + l4, len - l4) & 0xffff);
}

static inline void put_ip(const struct shape *s, uint8_t *ip, size_t len)
{
	size_t hdr = 20 + s->ip_options;

	if (s->v6) {
		set32(ip, 0x60012345);
		set16(ip + 4, (unsigned int)(len - 40));
		ip[6] = s->extension > 0 ? 0 : s->udp ? 17 : 6;
		ip[7] = 64;
		memset(ip + 8, 0xfd, 32);
		ip[23] = s->flow;
		if (s->extension > 0) {
			ip[40] = s->udp ? 17 : 6;
			ip[41] = (uint8_t)(s->extension / 8 - 1);
		}
		return;
	}
	ip[0] = (uint8_t)(0x40 + hdr / 4);
	set16(ip + 2, (unsigned int)len);
	set16(ip + 4, s->id);
	set16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = s->udp ? 17 : 6;
	set32(ip + 12, 0x0ac80001);
	set32(ip + 16, 0x0ac80100u + s->flow);
	memset(ip + 20, 1, s->ip_options);
	set16(ip + 10, ~add(0, ip, hdr) & 0xffff);
}

static inline void put_l4(const struct shape *s, uint8_t *l4)
{
	set16(l4, 40000u + s->flow);
	set16(l4 + 2, 5201);
	if (s->udp) {
		set16(l4 + 4, (unsigned int)(8 + s->payload));
		return;
	}
	set32(l4 + 4, s->sequence);
	set32(l4 + 8, s->ack);
	l4[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
	l4[13] = s->flags;
	set16(l4 + 14, s->window);
	memset(l4 + 20, 1, s->tcp_options);
	if (s->tcp_options >= 12) {
		l4[22] = 8;
		l4[23] = 10;
		set32(l4 + 24, s->stamp);
	}
}

static inline size_t headers_of(const struct shape *s)
{
	return 14 + 4 * s->tags + (s->v6 ? 40 + s->extension : 20 + s->ip_options) +
	       (s->udp ? 8 : 20 + s->tcp_options);
}

/* A frame in an allocation of exactly its size, so that ASan sees a byte too far. */
static inline uint8_t *make(const struct shape *s, size_t *len, bool partial)
{
	size_t l3 = 14 + 4 * s->tags, hdr = headers_of(s);
	uint8_t *f;

	*len = hdr + s->payload;
	f = calloc(1, *len);
	assert_non_null(f);
	memset(f, 2, 12);
	for (unsigned int i = 0; i < s->tags; i++)
		set32(f + 12 + 4 * i, (i + 1 < s->tags ? 0x88a80000 : 0x81000000) + 7 + i);
	set16(f + l3 - 2, s->v6 ? 0x86dd : 0x0800);
	put_ip(s, f + l3, *len - l3);
	put_l4(s, f + l4_of(f));
	for (size_t i = 0; i < s->payload; i++)
		f[hdr + i] = (uint8_t)rnd(256);
	put_checksum(f, *len, partial);
	return f;
}

static inline struct virtio_net_hdr header_for(const struct shape *s, uint16_t size)
{
	size_t l4 = headers_of(s) - (s->udp ? 8 : 20 + s->tcp_options);

	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = s->udp  ? OMNI_GSO_UDP_L4
			    : s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
				    : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)headers_of(s),
		.gso_size = size,
		.csum_start = (uint16_t)l4,
		.csum_offset = s->udp ? 6 : 16,
	};
}

static inline struct shape any_shape(void)
{
	struct shape s = {
		.v6 = rnd(2) != 0,
		.tags = rnd(3),
		.tcp_options = 4 * rnd(11),
		.flags = ACK,
		.flow = (uint8_t)rnd(8),
		.id = (uint16_t)rnd(0x10000),
		.window = (uint16_t)rnd(0x10000),
		.sequence = rnd(2) ? rnd(UINT32_MAX) : UINT32_MAX - rnd(70000),
		.ack = rnd(UINT32_MAX),
		.stamp = rnd(1000),
	};

	return s;
}

static inline int start(void **state)
{
	(void)state;
	seed = 20240229;
	return 0;
}

#endif
