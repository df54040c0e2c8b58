/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * TOS byte and traffic class between the inner and the outer header (RFC 6040, normal mode): what
 * goes on the outer one, and what its ECN field means for the packet that comes out.
 */
#ifndef OMNI_NODE_ECN_H
#define OMNI_NODE_ECN_H

#include "worker.h"

#define ECN_MASK 3U
#define ECN_NONE 0U
#define ECN_ONE 1U
#define ECN_CE 3U

/* TOS byte or traffic class of the packet at ip; reads its first two bytes. */
static inline uint8_t ip_tos(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[1] : (uint8_t)(omni_load_be16(ip) >> 4);
}

/* Of the inner one's bits, those in copy; the others are fixed. */
struct tos_policy {
	uint8_t copy, fixed;
};

/* Of a cluster; of one that is not L3, nothing. */
static inline struct tos_policy tos_policy(const struct omni_worker *w, uint16_t cluster)
{
	const struct omni_l3 *l3 =
		w->conf.fib != NULL ? omni_fib_cluster(w->conf.fib, cluster) : NULL;
	struct tos_policy p = {0};

	if (l3 == NULL)
		return p;
	p.copy = l3->ecn ? ECN_MASK : 0;
	if (l3->dscp == OMNI_FIB_DSCP_COPY)
		p.copy |= (uint8_t)~ECN_MASK;
	else
		p.fixed = (uint8_t)(l3->dscp << 2);
	return p;
}

/* New ECN bits in the header at ip, and in IPv4's checksum (RFC 1624, equation 3). */
static inline void ecn_set(uint8_t *ip, uint8_t ecn)
{
	uint16_t was = omni_load_be16(ip), is;
	uint32_t sum;

	if (ip[0] >> 4 != 4) {
		omni_store_be16(ip, (uint16_t)((was & ~(ECN_MASK << 4)) | (uint32_t)ecn << 4));
		return;
	}
	is = (uint16_t)((was & ~ECN_MASK) | ecn);
	sum = (uint32_t)(uint16_t)~omni_load_be16(ip + 10) + (uint16_t)~was + is;
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	omni_store_be16(ip, is);
	omni_store_be16(ip + 10, (uint16_t)~sum);
}

/*
 * The packet at ip came in a datagram with these bits: RFC 6040, figure 4. KEEP, or why it cannot
 * pass on: it was marked, and its sender would not understand.
 */
static inline unsigned int ecn_arrived(uint8_t *ip, uint8_t outer)
{
	uint8_t inner;

	if (likely(outer == ECN_NONE))
		return KEEP;
	inner = ip_tos(ip) & ECN_MASK;
	if (inner == ECN_NONE)
		return unlikely(outer == ECN_CE) ? OMNI_STAT_drop_ecn : KEEP;
	/* Of the two codepoints of capable senders, 1 is the graver one, and 2 changes nothing. */
	if (inner != ECN_CE && inner != outer && (outer & ECN_ONE) != 0)
		ecn_set(ip, outer);
	return KEEP;
}

#endif
