/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Cutting a segment into frames. What all of them have in common is summed once; a frame then
 * costs its payload's sum and a few additions.
 */
#include <errno.h>

#include "headers.h"

#define IPV6_HOP_BY_HOP 0
#define IPV6_DESTINATION 60
#define IPV6_EXTENSIONS_MAX 4

/* Behind extension headers that do not change the pseudo header; 0 where there is no such. */
static uint16_t ipv6_l4(const uint8_t *head, uint32_t len, uint16_t l3, uint8_t proto)
{
	uint8_t next = head[l3 + IPV6_NEXT];
	uint32_t at = l3 + OMNI_IPV6_HDR_LEN;

	for (int i = 0; next == IPV6_HOP_BY_HOP || next == IPV6_DESTINATION; i++) {
		if (i == IPV6_EXTENSIONS_MAX || at + 8 > len)
			return 0;
		next = head[at];
		at += (head[at + 1] + 1u) * 8;
	}
	return next == proto && at <= len ? (uint16_t)at : 0;
}

static uint16_t ipv4_l4(const uint8_t *head, uint32_t len, uint16_t l3, uint8_t proto)
{
	const uint8_t *ip = head + l3;
	uint32_t hdr = (ip[0] & 15u) * 4;

	if (ip[0] >> 4 != 4 || hdr < OMNI_IPV4_HDR_LEN || l3 + hdr > len || ip[IPV4_PROTO] != proto)
		return 0;
	if ((omni_load_be16(ip + IPV4_FRAG) & IPV4_FRAGMENT_MASK) != 0)
		return 0;
	return (uint16_t)(l3 + hdr);
}

/* Fills l3 and v6; false where the frame is neither IPv4 nor IPv6. */
static bool skip_link(struct omni_split *s, const uint8_t *head, uint32_t len)
{
	uint16_t type = ether_type(head, len, &s->l3);

	s->v6 = type == TYPE_IPV6;
	return type == TYPE_IPV4 || type == TYPE_IPV6;
}

/* Fills l4; false where the frame is not of the protocol. */
static bool find_l4(struct omni_split *s, const uint8_t *head, uint32_t len, uint8_t proto)
{
	if (!reaches(len, s->l3 + (s->v6 ? OMNI_IPV6_HDR_LEN : OMNI_IPV4_HDR_LEN)))
		return false;
	if (s->v6 && head[s->l3] >> 4 != 6)
		return false;
	s->l4 = s->v6 ? ipv6_l4(head, len, s->l3, proto) : ipv4_l4(head, len, s->l3, proto);
	return s->l4 != 0;
}

/* The header of the transport, whose length the frame must hold. */
static bool find_payload(struct omni_split *s, const uint8_t *head, uint32_t len)
{
	uint32_t need = s->l4 + (s->udp ? OMNI_UDP_HDR_LEN : TCP_HDR_LEN);

	if (len < need)
		return false;
	if (!s->udp) {
		uint32_t hdr = (head[s->l4 + TCP_FLAGS] >> 4) * 4u;

		if (hdr < TCP_HDR_LEN)
			return false;
		need = s->l4 + hdr;
	}
	s->hdr_len = (uint16_t)need;
	return need <= len && need <= OMNI_SEGMENT_HDR_MAX;
}

/* The headers with zeros where pieces differ, and the sums over them. */
static void take_template(struct omni_split *s, const uint8_t *head)
{
	uint8_t *ip = s->head + s->l3, *l4 = s->head + s->l4;

	memcpy(s->head, head, s->hdr_len);
	if (s->v6) {
		memset(ip + IPV6_LEN, 0, 2);
	} else {
		s->ip_id = omni_load_be16(ip + IPV4_ID);
		memset(ip + IPV4_LEN, 0, 4);
		memset(ip + IPV4_SUM, 0, 2);
		s->ip_sum = omni_sum_fold(omni_sum(ip, (size_t)(s->l4 - s->l3)));
	}
	if (s->udp) {
		memset(l4 + UDP_LEN, 0, 4);
	} else {
		s->sequence = omni_load_be32(l4 + TCP_SEQUENCE);
		s->tcp_flags = omni_load_be16(l4 + TCP_FLAGS);
		memset(l4 + TCP_SEQUENCE, 0, 4);
		memset(l4 + TCP_FLAGS, 0, 2);
		memset(l4 + TCP_SUM, 0, 2);
	}
	s->l4_sum = omni_sum_fold(pseudo_sum(ip, s->v6, s->udp ? PROTO_UDP : PROTO_TCP) +
				  omni_sum(l4, (size_t)(s->hdr_len - s->l4)));
}

/* Headers from l3 on that may be cut behind, of a frame that is no shorter than they say. */
static bool find_headers(struct omni_split *s, const uint8_t *head, uint32_t head_len, uint32_t len)
{
	head_len = OMNI_MIN(head_len, len);
	return len <= OMNI_SEGMENT_MAX &&
	       find_l4(s, head, head_len, s->udp ? PROTO_UDP : PROTO_TCP) &&
	       find_payload(s, head, head_len) && len > s->hdr_len;
}

static void plan(struct omni_split *s, uint16_t size, const uint8_t *head, uint32_t len)
{
	s->size = size;
	s->payload_len = len - s->hdr_len;
	s->pieces = (s->payload_len + s->size - 1) / s->size;
	take_template(s, head);
}

int omni_split_begin(struct omni_split *s, const struct virtio_net_hdr *h, const uint8_t *head,
		     uint32_t head_len, uint32_t len)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6 &&
	    type != OMNI_GSO_UDP_L4)
		return -EINVAL;
	s->udp = type == OMNI_GSO_UDP_L4;
	if (h->hdr_len > len || h->gso_size < OMNI_GSO_SIZE_MIN ||
	    !skip_link(s, head, OMNI_MIN(head_len, len)) ||
	    (!s->udp && s->v6 != (type == VIRTIO_NET_HDR_GSO_TCPV6)) ||
	    !find_headers(s, head, head_len, len))
		return -EINVAL;
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 || h->csum_start != s->l4 ||
	    h->csum_offset != (s->udp ? UDP_SUM : TCP_SUM))
		return -EINVAL;
	plan(s, h->gso_size, head, len);
	return 0;
}

int omni_split_tcp(struct omni_split *s, uint16_t size, const uint8_t *head, uint32_t head_len,
		   uint32_t len)
{
	s->udp = false;
	if (size < OMNI_GSO_SIZE_MIN || !skip_link(s, head, OMNI_MIN(head_len, len)) ||
	    !find_headers(s, head, head_len, len))
		return -EINVAL;
	plan(s, size, head, len);
	return 0;
}

int omni_split_packet(struct omni_split *s, uint16_t size, const uint8_t *head, uint32_t head_len,
		      uint32_t len)
{
	s->udp = false;
	s->l3 = 0;
	s->v6 = reaches(OMNI_MIN(head_len, len), 1) && head[0] >> 4 == 6;
	if (size < OMNI_GSO_SIZE_MIN || !find_headers(s, head, head_len, len))
		return -EINVAL;
	plan(s, size, head, len);
	return 0;
}

static void put_ip(const struct omni_split *s, uint32_t piece, uint8_t *ip, uint32_t l4_len)
{
	uint32_t len = (uint32_t)(s->l4 - s->l3) + l4_len, id = s->ip_id + piece;

	if (s->v6) {
		omni_store_be16(ip + IPV6_LEN, (uint16_t)(len - OMNI_IPV6_HDR_LEN));
		return;
	}
	omni_store_be16(ip + IPV4_LEN, (uint16_t)len);
	omni_store_be16(ip + IPV4_ID, (uint16_t)id);
	put_sum(ip + IPV4_SUM, (uint16_t)~omni_sum_fold((uint64_t)s->ip_sum + omni_sum_of16(len) +
							omni_sum_of16(id)));
}

/* CWR says something once, PSH and FIN are about the end of the data. */
static uint16_t flags_of(const struct omni_split *s, uint32_t piece)
{
	uint16_t flags = s->tcp_flags;

	if (piece > 0)
		flags &= (uint16_t)~TCP_CWR;
	if (piece + 1 < s->pieces)
		flags &= (uint16_t) ~(TCP_PSH | TCP_FIN);
	return flags;
}

static void put_tcp(const struct omni_split *s, uint32_t piece, uint8_t *tcp, uint64_t sum)
{
	uint32_t sequence = __builtin_bswap32(s->sequence + piece * s->size);
	uint16_t flags = __builtin_bswap16(flags_of(s, piece));

	memcpy(tcp + TCP_SEQUENCE, &sequence, sizeof(sequence));
	memcpy(tcp + TCP_FLAGS, &flags, sizeof(flags));
	put_sum(tcp + TCP_SUM, (uint16_t)~omni_sum_fold(sum + sequence + flags));
}

static void put_udp(uint8_t *udp, uint32_t len, uint64_t sum)
{
	uint16_t field;

	omni_store_be16(udp + UDP_LEN, (uint16_t)len);
	field = (uint16_t)~omni_sum_fold(sum + omni_sum_of16(len));
	put_sum(udp + UDP_SUM, field != 0 ? field : 0xffff);
}

uint32_t omni_split_head(const struct omni_split *s, uint32_t piece, uint8_t *frame, uint64_t sum)
{
	uint32_t len = s->hdr_len + omni_split_payload(s, piece), l4_len = len - s->l4;

	memcpy(frame, s->head, s->hdr_len);
	put_ip(s, piece, frame + s->l3, l4_len);
	sum += (uint64_t)s->l4_sum + omni_sum_of16(l4_len);
	if (s->udp)
		put_udp(frame + s->l4, l4_len, sum);
	else
		put_tcp(s, piece, frame + s->l4, sum);
	return len;
}

uint32_t omni_split_piece(const struct omni_split *s, uint32_t piece, const uint8_t *payload,
			  uint8_t *frame)
{
	uint64_t sum = omni_sum_copy(frame + s->hdr_len, payload + (size_t)piece * s->size,
				     omni_split_payload(s, piece));

	return omni_split_head(s, piece, frame, sum);
}
