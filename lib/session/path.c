/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <omni_cursor.h>
#include <omni_session.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IP_PROTO_UDP 17
#define IPV4_DONT_FRAGMENT 0x4000
#define OUTER_TTL 64

static uint32_t sum_words(const uint8_t *p, size_t len, uint32_t sum)
{
	uint64_t s = sum;

	for (; len >= 4; p += 4, len -= 4)
		s += omni_load_be32(p);
	if (len >= 2) {
		s += omni_load_be16(p);
		p += 2;
		len -= 2;
	}
	if (len == 1)
		s += (uint32_t)p[0] << 8;
	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

static uint8_t *put_ipv4(uint8_t *ip, const struct omni_ip *local, const struct omni_ip *remote)
{
	ip[0] = 0x45;
	omni_store_be16(ip + 6, IPV4_DONT_FRAGMENT);
	ip[8] = OUTER_TTL;
	ip[9] = IP_PROTO_UDP;
	memcpy(ip + 12, local->b + 12, 4);
	memcpy(ip + 16, remote->b + 12, 4);
	return ip + OMNI_IPV4_HDR_LEN;
}

static uint8_t *put_ipv6(uint8_t *ip, const struct omni_ip *local, const struct omni_ip *remote)
{
	ip[0] = 0x60;
	ip[6] = IP_PROTO_UDP;
	ip[7] = OUTER_TTL;
	memcpy(ip + 8, local->b, 16);
	memcpy(ip + 24, remote->b, 16);
	return ip + OMNI_IPV6_HDR_LEN;
}

struct omni_path *omni_path_copy(const struct omni_path *path)
{
	struct omni_path *copy = aligned_alloc(OMNI_CACHE_LINE, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *path;
	memset(&copy->rcu, 0, sizeof(copy->rcu));
	return copy;
}

void omni_path_local(const struct omni_path *path, struct omni_endpoint *local)
{
	const uint8_t *ip = path->hdr + OMNI_ETHER_HDR_LEN;

	memset(local, 0, sizeof(*local));
	if (path->v6) {
		memcpy(local->ip.b, ip + 8, 16);
		local->port = omni_load_be16(ip + OMNI_IPV6_HDR_LEN);
		return;
	}
	local->ip.b[10] = local->ip.b[11] = 0xff;
	memcpy(local->ip.b + 12, ip + 12, 4);
	local->port = omni_load_be16(ip + OMNI_IPV4_HDR_LEN);
}

static_assert(sizeof(struct omni_path) % OMNI_CACHE_LINE == 0, "whole cache lines");

void omni_path_build(struct omni_path *path, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		     const struct omni_endpoint *local, const struct omni_endpoint *remote)
{
	uint8_t *ip = path->hdr + OMNI_ETHER_HDR_LEN, *udp;

	memset(path->hdr, 0, sizeof(path->hdr));
	path->remote = *remote;
	path->v6 = !omni_ip_is_v4(&remote->ip);
	path->udp_checksum = path->v6;
	memcpy(path->hdr, dst_mac, 6);
	memcpy(path->hdr + 6, src_mac, 6);
	omni_store_be16(path->hdr + 12, path->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	udp = path->v6 ? put_ipv6(ip, &local->ip, &remote->ip)
		       : put_ipv4(ip, &local->ip, &remote->ip);
	path->ip_sum = path->v6 ? 0 : sum_words(ip, OMNI_IPV4_HDR_LEN, 0);
	omni_store_be16(udp, local->port);
	omni_store_be16(udp + 2, remote->port);
	path->hdr_len = (uint8_t)(udp + OMNI_UDP_HDR_LEN - path->hdr);
}

void omni_path_write(const struct omni_path *path, uint8_t *at, uint16_t payload_len,
		     uint16_t ip_id)
{
	uint16_t udp_len = (uint16_t)(payload_len + OMNI_UDP_HDR_LEN);
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;

	if (path->v6) {
		memcpy(at, path->hdr, OMNI_OUTER_HDR_MAX);
		omni_store_be16(ip + 4, udp_len);
		omni_store_be16(ip + OMNI_IPV6_HDR_LEN + 4, udp_len);
		return;
	}
	memcpy(at, path->hdr, OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN);
	omni_store_be16(ip + 2, (uint16_t)(udp_len + OMNI_IPV4_HDR_LEN));
	omni_store_be16(ip + 4, ip_id);
	omni_store_be16(ip + 10, fold(path->ip_sum + udp_len + OMNI_IPV4_HDR_LEN + ip_id));
	omni_store_be16(ip + OMNI_IPV4_HDR_LEN + 4, udp_len);
}

void omni_path_checksum(const struct omni_path *path, uint8_t *at, uint16_t payload_len)
{
	uint16_t udp_len = (uint16_t)(payload_len + OMNI_UDP_HDR_LEN), sum;
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;
	uint8_t *addresses = path->v6 ? ip + 8 : ip + 12;
	size_t addresses_len = path->v6 ? 32 : 8;
	uint8_t *udp = ip + (path->v6 ? OMNI_IPV6_HDR_LEN : OMNI_IPV4_HDR_LEN);

	omni_store_be16(udp + 6, 0);
	sum = fold(sum_words(udp, udp_len,
			     sum_words(addresses, addresses_len, IP_PROTO_UDP + udp_len)));
	/* Zero means "none": its other form stands for it. */
	omni_store_be16(udp + 6, sum == 0 ? 0xffff : sum);
}
