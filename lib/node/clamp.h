/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which frames clamp must look at: a glance at their headers. */
#ifndef OMNI_NODE_CLAMP_H
#define OMNI_NODE_CLAMP_H

#include <rte_branch_prediction.h>

#include <omni_cursor.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define IP_PROTO_TCP 6
#define TCP_SYN 0x02
#define TCP_FLAGS 13

/* The shortest frame with a TCP header; what is read beyond it lies in the buffer's tailroom. */
#define TCP_FRAME_MIN 54

static inline bool is_tag(uint16_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ;
}

/* The same of an IP packet, which begins at ip. */
static inline bool may_be_syn_packet(const uint8_t *ip)
{
	if (ip[0] >> 4 == 6)
		return ip[6] == IP_PROTO_TCP ? (ip[40 + TCP_FLAGS] & TCP_SYN) != 0
					     : ip[6] == 0 || ip[6] == 43 || ip[6] == 60;
	return ip[9] == IP_PROTO_TCP && (ip[0] != 0x45 || (ip[20 + TCP_FLAGS] & TCP_SYN) != 0);
}

/*
 * May this be a TCP segment with SYN? Never wrongly no, but where headers are optional, yes. eth
 * is followed by 24 readable bytes behind the shortest frame.
 */
static inline bool may_be_syn(const uint8_t *eth)
{
	uint16_t type = omni_load_be16(eth + 12);
	const uint8_t *ip = eth + 14;

	for (unsigned int tags = 0; unlikely(is_tag(type)) && tags < 2; tags++) {
		type = omni_load_be16(ip + 2);
		ip += 4;
	}
	if (type == ETHERTYPE_IPV4)
		return ip[9] == IP_PROTO_TCP &&
		       (ip[0] != 0x45 || (ip[20 + TCP_FLAGS] & TCP_SYN) != 0);
	if (type == ETHERTYPE_IPV6)
		return ip[6] == IP_PROTO_TCP ? (ip[40 + TCP_FLAGS] & TCP_SYN) != 0
					     : ip[6] == 0 || ip[6] == 43 || ip[6] == 60;
	return false;
}

#endif
