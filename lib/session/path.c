/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>

#include <omni_cursor.h>
#include <omni_session.h>
#include <omni_sum.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IP_PROTO_UDP 17
#define IPV4_DONT_FRAGMENT 0x4000
#define OUTER_TTL 64
#define UDP_SUM 6

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

static_assert(sizeof(struct omni_path) % OMNI_CACHE_LINE == 0, "whole cache lines");

/* Bytes of struct omni_lane_ports in whole cache lines. */
#define LANE_PORTS_LEN \
	((sizeof(struct omni_lane_ports) + OMNI_CACHE_LINE - 1) / OMNI_CACHE_LINE * OMNI_CACHE_LINE)

struct omni_path *omni_path_copy(const struct omni_path *path, const struct omni_lane_ports *ports)
{
	size_t len = sizeof(*path) + (ports != NULL ? LANE_PORTS_LEN : 0);
	struct omni_path *copy = aligned_alloc(OMNI_CACHE_LINE, len);

	if (copy == NULL)
		return NULL;
	*copy = *path;
	copy->lane_ports = ports != NULL;
	if (ports != NULL)
		memcpy(copy + 1, ports, sizeof(*ports));
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

static uint16_t pseudo_sum(const struct omni_path *path, const uint8_t *ip)
{
	uint64_t addresses = path->v6 ? omni_sum(ip + 8, 32) : omni_sum(ip + 12, 8);

	return omni_sum_fold(addresses + omni_sum_of16(IP_PROTO_UDP));
}

void omni_path_build(struct omni_path *path, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		     const struct omni_endpoint *local, const struct omni_endpoint *remote)
{
	uint8_t *ip = path->hdr + OMNI_ETHER_HDR_LEN, *udp;

	memset(path->hdr, 0, sizeof(path->hdr));
	path->remote = *remote;
	path->v6 = !omni_ip_is_v4(&remote->ip);
	path->checksum = path->v6 ? OMNI_CHECKSUM_OURS : OMNI_CHECKSUM_NONE;
	memcpy(path->hdr, dst_mac, 6);
	memcpy(path->hdr + 6, src_mac, 6);
	omni_store_be16(path->hdr + 12, path->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	udp = path->v6 ? put_ipv6(ip, &local->ip, &remote->ip)
		       : put_ipv4(ip, &local->ip, &remote->ip);
	path->ip_sum = path->v6 ? 0 : omni_sum_of16(omni_sum_fold(omni_sum(ip, OMNI_IPV4_HDR_LEN)));
	path->udp_sum = pseudo_sum(path, ip);
	omni_store_be16(udp, local->port);
	omni_store_be16(udp + 2, remote->port);
	path->hdr_len = (uint8_t)(udp + OMNI_UDP_HDR_LEN - path->hdr);
}

void omni_path_set_source(struct omni_path *path, uint16_t port)
{
	omni_store_be16(path->hdr + path->hdr_len - OMNI_UDP_HDR_LEN, port);
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
	uint8_t *udp = at + path->hdr_len - OMNI_UDP_HDR_LEN;
	uint16_t len = (uint16_t)(payload_len + OMNI_UDP_HDR_LEN), sum;

	sum = (uint16_t)~omni_sum_fold((uint64_t)path->udp_sum + omni_sum_of16(len) +
				       omni_sum(udp, len));
	/* Zero means "none": its other form stands for it. */
	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + UDP_SUM, &sum, sizeof(sum));
}

void omni_path_ask_checksum(const struct omni_path *path, struct rte_mbuf *m)
{
	uint8_t *udp = rte_pktmbuf_mtod_offset(m, uint8_t *, path->hdr_len - OMNI_UDP_HDR_LEN);
	uint32_t len = rte_pktmbuf_data_len(m) - path->hdr_len + OMNI_UDP_HDR_LEN;
	uint16_t sum = omni_sum_fold((uint64_t)path->udp_sum + omni_sum_of16(len));

	memcpy(udp + UDP_SUM, &sum, sizeof(sum));
	m->ol_flags |=
		RTE_MBUF_F_TX_UDP_CKSUM | (path->v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	m->l2_len = OMNI_ETHER_HDR_LEN;
	m->l3_len = path->v6 ? OMNI_IPV6_HDR_LEN : OMNI_IPV4_HDR_LEN;
}
