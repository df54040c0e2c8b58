/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames as they are sent: headers once per size, a few fields per frame. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_hash_crc.h>

#include <omni_cursor.h>

#include "traffic_priv.h"

#define ETH_LEN 14
#define VLAN_LEN 4
#define IP4_LEN 20
#define IP6_LEN 40
#define UDP_LEN 8
#define TTL 64
/* Many hosts, then many ports: 250 addresses on each side. */
#define HOSTS 250
#define PORT_FIRST 1024
#define PORT_ECHO 7

static const uint16_t imix[TRAFFIC_SIZES_MAX] = {64, 576, 64, 64,  576, 64,
						 64, 576, 64, 576, 64,	1420};

static_assert(sizeof(struct traffic_stamp) == 18, "a UDP frame of 60 bytes holds it");
static_assert(TRAFFIC_FLOWS_MAX / HOSTS + PORT_FIRST <= UINT16_MAX, "ports for all flows");

void traffic_mac(uint8_t mac[6], unsigned int side, uint32_t i)
{
	const uint8_t m[6] = {2,	 0x0b, (uint8_t)side, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
			      (uint8_t)i};

	memcpy(mac, m, sizeof(m));
}

static uint16_t ip_len(const struct traffic *t)
{
	return t->conf.kind == TRAFFIC_UDP4 ? IP4_LEN : t->conf.kind == TRAFFIC_UDP6 ? IP6_LEN : 0;
}

/* Sum of 16-bit words; len is even. */
static uint32_t sum(uint32_t start, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		start += omni_load_be16(p + i);
	return start;
}

static uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static uint8_t *put_ethernet(const struct traffic *t, uint8_t *p)
{
	static const uint16_t type[] = {
		[TRAFFIC_L2] = TRAFFIC_ETHERTYPE, [TRAFFIC_UDP4] = 0x0800, [TRAFFIC_UDP6] = 0x86dd};

	p += 12;
	if (t->conf.vlan >= 0) {
		omni_store_be16(p, 0x8100);
		omni_store_be16(p + 2, (uint16_t)t->conf.vlan);
		p += VLAN_LEN;
	}
	omni_store_be16(p, type[t->conf.kind]);
	return p + 2;
}

/* RFC 2544's 198.18.0.0/15: a /16 for each side. The last byte comes with the flow. */
static void put_ip4(uint8_t *p, unsigned int direction, uint16_t len)
{
	const uint8_t from[4] = {198, (uint8_t)(18 + direction), 0, 0};
	const uint8_t to[4] = {198, (uint8_t)(19 - direction), 0, 0};

	p[0] = 0x45;
	omni_store_be16(p + 2, len);
	p[6] = 0x40; /* do not fragment */
	p[8] = TTL;
	p[9] = 17;
	memcpy(p + 12, from, 4);
	memcpy(p + 16, to, 4);
}

/* RFC 5180's 2001:2::/48: a /64 for each side. */
static void put_ip6(uint8_t *p, unsigned int direction, uint16_t len)
{
	const uint8_t from[8] = {0x20, 1, 0, 2, 0, 0, 0, (uint8_t)direction};
	const uint8_t to[8] = {0x20, 1, 0, 2, 0, 0, 0, (uint8_t)(1 - direction)};

	p[0] = 0x60;
	omni_store_be16(p + 4, (uint16_t)(len - IP6_LEN));
	p[6] = 17;
	p[7] = TTL;
	memcpy(p + 8, from, 8);
	memcpy(p + 24, to, 8);
}

static void put_head(struct traffic *t, unsigned int direction, unsigned int which)
{
	uint8_t *p = t->head[direction][which], *ip = put_ethernet(t, p);
	uint16_t len = (uint16_t)(t->size[which] - (ip - p));

	if (t->conf.kind == TRAFFIC_L2)
		return;
	if (t->conf.kind == TRAFFIC_UDP4)
		put_ip4(ip, direction, len);
	else
		put_ip6(ip, direction, len);
	omni_store_be16(ip + ip_len(t) + 4, (uint16_t)(len - ip_len(t)));
}

static int check_sizes(const struct traffic *t, struct omni_err *err)
{
	unsigned int need = t->head_len + (unsigned int)sizeof(struct traffic_stamp);

	for (unsigned int i = 0; i < t->sizes; i++)
		if (t->size[i] < need || t->size[i] < TRAFFIC_FRAME_MIN ||
		    t->size[i] > TRAFFIC_FRAME_MAX)
			return omni_fail(err, -EINVAL,
					 "frames of %u bytes are not possible, expected %u to %u "
					 "with these headers",
					 t->size[i], OMNI_MAX(need, TRAFFIC_FRAME_MIN + 0u),
					 TRAFFIC_FRAME_MAX);
	return 0;
}

static void choose_sizes(struct traffic *t)
{
	unsigned int total = 0;

	t->sizes = t->conf.imix ? TRAFFIC_SIZES_MAX : 1;
	for (unsigned int i = 0; i < t->sizes; i++) {
		t->size[i] = t->conf.imix ? imix[i] : t->conf.size;
		total += t->size[i];
	}
	t->size_mean = (double)total / t->sizes;
}

int traffic_init(struct traffic *t, const struct traffic_conf *conf, struct omni_err *err)
{
	uint32_t x = 0x6f6d6e69;

	memset(t, 0, sizeof(*t));
	t->conf = *conf;
	t->head_len = (uint16_t)(ETH_LEN + (conf->vlan >= 0 ? VLAN_LEN : 0) + ip_len(t) +
				 (conf->kind == TRAFFIC_L2 ? 0 : UDP_LEN));
	choose_sizes(t);
	if (check_sizes(t, err) != 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(t->body); i++) {
		x = x * 1664525 + 1013904223;
		t->body[i] = (uint8_t)(x >> 24);
	}
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int i = 0; i < t->sizes; i++)
			put_head(t, d, i);
	return 0;
}

static void put_macs(const struct traffic *t, unsigned int direction, uint32_t flow, uint8_t *frame)
{
	uint32_t pair = t->conf.macs == t->conf.flows ? flow : flow % t->conf.macs;

	if (t->conf.has_to[direction])
		memcpy(frame, t->conf.to[direction], 6);
	else
		traffic_mac(frame, 1 - direction, pair);
	traffic_mac(frame + 6, direction, pair);
}

/* Host number and port of the flow: the port is side 0's, side 1 is the echo service. */
static void put_flow(const struct traffic *t, unsigned int direction, uint32_t flow, uint8_t *ip)
{
	uint8_t host = (uint8_t)(1 + flow % HOSTS), *udp = ip + ip_len(t);
	uint16_t port = (uint16_t)(PORT_FIRST + flow / HOSTS);

	omni_store_be16(udp, direction == 0 ? port : PORT_ECHO);
	omni_store_be16(udp + 2, direction == 0 ? PORT_ECHO : port);
	if (t->conf.kind == TRAFFIC_UDP6) {
		ip[23] = host;
		ip[39] = host;
		return;
	}
	ip[15] = host;
	ip[19] = host;
	omni_store_be16(ip + 10, fold(sum(0, ip, IP4_LEN)));
}

uint16_t traffic_write(const struct traffic *t, unsigned int direction,
		       const struct traffic_place *place, uint8_t *frame)
{
	uint16_t size = t->size[place->which];
	size_t body = t->head_len + sizeof(struct traffic_stamp);

	memcpy(frame, t->head[direction][place->which], t->head_len);
	put_macs(t, direction, place->flow, frame);
	if (t->conf.kind != TRAFFIC_L2)
		put_flow(t, direction, place->flow, frame + t->head_len - UDP_LEN - ip_len(t));
	memcpy(frame + body, t->body, size - body);
	return size;
}

/* CRC-32C of bytes that are aligned to nothing. */
static uint32_t crc_of(const uint8_t *at, size_t len, uint32_t crc)
{
	uint64_t word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		crc = rte_hash_crc_8byte(word, crc);
	}
	for (; len > 0; at++, len--)
		crc = rte_hash_crc_1byte(*at, crc);
	return crc;
}

uint32_t traffic_check(const struct traffic *t, const uint8_t *frame)
{
	/* Addresses and ports: the last of both headers but UDP's length and checksum. */
	uint32_t len = t->conf.kind == TRAFFIC_L2 ? 0 : t->conf.kind == TRAFFIC_UDP4 ? 12 : 36;
	const uint8_t *stamp = frame + t->head_len;
	uint32_t crc = t->conf.key;

	if (len > 0)
		crc = crc_of(stamp - 4 - len, len, crc);
	return crc_of(stamp, offsetof(struct traffic_stamp, check), crc);
}

/* IPv6 wants a UDP checksum: of the pseudo header, the UDP header and all behind it. */
static void put_udp6_checksum(const struct traffic *t, uint8_t *frame)
{
	uint8_t *udp = frame + t->head_len - UDP_LEN;
	uint16_t len = omni_load_be16(udp + 4);
	uint32_t s = sum(17u + len, udp - 32, 32);
	uint16_t result;

	omni_store_be16(udp + 6, 0);
	s = sum(s, udp, len & ~1u);
	if ((len & 1) != 0)
		s += (uint32_t)udp[len - 1] << 8;
	result = fold(s);
	omni_store_be16(udp + 6, result != 0 ? result : 0xffff);
}

void traffic_stamp(const struct traffic *t, unsigned int direction,
		   const struct traffic_place *place, uint8_t epoch, uint64_t tsc, uint8_t *frame)
{
	struct traffic_stamp *s = (struct traffic_stamp *)(frame + t->head_len);
	uint32_t flow = place->flow | direction << DIRECTION_SHIFT;

	omni_store_be16(s->magic, MAGIC_TEST);
	s->epoch = epoch;
	s->flow[0] = (uint8_t)(flow >> 16);
	omni_store_be16(s->flow + 1, (uint16_t)flow);
	omni_store_be32(s->number, place->number);
	omni_store_be32(s->tsc, (uint32_t)(tsc >> TRAFFIC_TSC_SHIFT));
	omni_store_be32(s->check, traffic_check(t, frame));
	if (t->conf.kind == TRAFFIC_UDP6)
		put_udp6_checksum(t, frame);
}

uint16_t traffic_write_learning(const struct traffic *t, unsigned int side, uint32_t i,
				uint8_t *frame)
{
	uint8_t *p;

	memset(frame, 0, TRAFFIC_FRAME_MIN);
	traffic_mac(frame, 1 - side, i);
	traffic_mac(frame + 6, side, i);
	p = put_ethernet(t, frame);
	omni_store_be16(p - 2, TRAFFIC_ETHERTYPE);
	omni_store_be16(p, MAGIC_LEARN);
	return TRAFFIC_FRAME_MIN;
}
