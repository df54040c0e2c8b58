/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Offsets in the headers of a frame, and the sums that both directions need. */
#ifndef OMNI_SEGMENT_HEADERS_H
#define OMNI_SEGMENT_HEADERS_H

#include <string.h>

#include <omni_cursor.h>
#include <omni_segment.h>
#include <omni_wire.h>

#define VLAN_TAG_LEN 4
#define VLAN_TAGS_MAX 2
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8
#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd

#define PROTO_TCP 6
#define PROTO_UDP 17
#define TCP_HDR_LEN 20

/* Offsets: IPv4, IPv6, TCP, UDP. */
#define IPV4_LEN 2
#define IPV4_ID 4
#define IPV4_FRAG 6
#define IPV4_PROTO 9
#define IPV4_SUM 10
#define IPV4_ADDRESSES 12
#define IPV6_LEN 4
#define IPV6_NEXT 6
#define IPV6_ADDRESSES 8
#define TCP_SEQUENCE 4
#define TCP_ACK 8
#define TCP_FLAGS 12 /* with the data offset, 16 bits */
#define TCP_WINDOW 14
#define TCP_SUM 16
#define UDP_LEN 4
#define UDP_SUM 6

#define IPV4_DF 0x4000
#define IPV4_FRAGMENT_MASK 0xbfff

#define TCP_FIN 0x001
#define TCP_PSH 0x008
#define TCP_ACK_BIT 0x010
#define TCP_CWR 0x080
#define TCP_FLAGS_MASK 0x0fff

/* Do the bytes up to that offset lie in a frame of len? */
static inline bool reaches(uint32_t len, uint32_t to)
{
	return to <= len;
}

/* Skips VLAN tags: EtherType, and in *l3 where its payload begins; 0 where the frame ends. */
static inline uint16_t ether_type(const uint8_t *frame, uint32_t len, uint16_t *l3)
{
	uint16_t at = OMNI_ETHER_HDR_LEN, type;

	if (len < at)
		return 0;
	type = omni_load_be16(frame + at - 2);
	for (int tags = 0; (type == TYPE_VLAN || type == TYPE_QINQ) && tags < VLAN_TAGS_MAX;
	     tags++) {
		at += VLAN_TAG_LEN;
		if (len < at)
			return 0;
		type = omni_load_be16(frame + at - 2);
	}
	*l3 = at;
	return type;
}

/* Addresses and protocol of the pseudo header, without the length (RFC 793, RFC 8200 8.1). */
static inline uint64_t pseudo_sum(const uint8_t *ip, bool v6, uint8_t proto)
{
	return (v6 ? omni_sum(ip + IPV6_ADDRESSES, 32) : omni_sum(ip + IPV4_ADDRESSES, 8)) +
	       omni_sum_of16(proto);
}

static inline void put_sum(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, sizeof(sum));
}

#endif
