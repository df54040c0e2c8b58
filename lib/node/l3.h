/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* IP headers as the stages of L3 clusters read them. A packet's mbuf begins at its header. */
#ifndef OMNI_NODE_L3_H
#define OMNI_NODE_L3_H

#include "worker.h"

/* Where the destination stands in the headers. */
#define V4_DEST 16
#define V6_DEST 24
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IPV6 0x86dd

#define IP_PROTO_ICMP 1
#define IP_PROTO_TCP 6
#define IP_PROTO_UDP 17
#define IP_PROTO_ICMPV6 58

#define IPV4_HEADER_MAX 60
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET 0x1fff
#define IPV6_MTU_MIN 1280

static inline bool is_v6(const uint8_t *ip)
{
	return ip[0] >> 4 == 6;
}

static inline uint32_t v4_header_len(const uint8_t *ip)
{
	return (ip[0] & 0xfU) * 4;
}

/* Zero where the header's checksum is right; reads 20 bytes, or all of it. */
static inline uint16_t v4_sum(const uint8_t *ip, uint32_t hdr_len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (uint32_t at = 0; at < hdr_len; at += sizeof(word)) {
		memcpy(&word, ip + at, sizeof(word));
		sum += word;
	}
	return (uint16_t)~omni_sum_fold(sum);
}

/* The checksum of a header that changed. */
static inline void v4_set_sum(uint8_t *ip)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = v4_sum(ip, v4_header_len(ip));
	memcpy(ip + 10, &sum, sizeof(sum));
}

/* The packet is what its header says; what comes behind it is padding. */
static inline void trim(struct rte_mbuf *m, uint32_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
}

/* The same of what may be a whole segment, which has none: KEEP, or why not. */
static inline unsigned int fit(struct rte_mbuf *m, uint32_t len)
{
	if (unlikely(omni_is_segment(m)))
		return len == m->pkt_len ? KEEP : (unsigned int)OMNI_STAT_drop_bad_ip;
	if (unlikely(len > rte_pktmbuf_data_len(m)))
		return OMNI_STAT_drop_bad_ip;
	trim(m, len);
	return KEEP;
}

/* Senders that no packet may have: RFC 1122, section 3.2.1.3. */
static inline unsigned int check_v4(struct rte_mbuf *m, const uint8_t *ip)
{
	uint32_t hdr_len = v4_header_len(ip), len = omni_load_be16(ip + 2);

	if (unlikely(hdr_len < OMNI_IPV4_HDR_LEN || len < hdr_len || len > m->pkt_len))
		return OMNI_STAT_drop_bad_ip;
	if (unlikely((likely(hdr_len == OMNI_IPV4_HDR_LEN) ? v4_sum(ip, OMNI_IPV4_HDR_LEN)
							   : v4_sum(ip, hdr_len)) != 0))
		return OMNI_STAT_drop_ip_checksum;
	if (unlikely(ip[12] == 0 || ip[12] == 127 || ip[12] >= 224))
		return OMNI_STAT_drop_ip_source;
	return fit(m, len);
}

/* Unspecified, loopback, and IPv4's in their mapped form: RFC 4291, sections 2.5.2, 2.5.3, 2.5.5 */
static inline bool is_v6_special(const uint8_t *a)
{
	return omni_load_be64(a) == 0 &&
	       (omni_load_be64(a + 8) <= 1 || omni_load_be32(a + 8) == 0xffff);
}

static inline unsigned int check_v6(struct rte_mbuf *m, const uint8_t *ip)
{
	uint32_t len = OMNI_IPV6_HDR_LEN + omni_load_be16(ip + 4);

	if (unlikely(len > m->pkt_len))
		return OMNI_STAT_drop_bad_ip;
	if (unlikely(ip[8] == 0xff || is_v6_special(ip + 8)))
		return OMNI_STAT_drop_ip_source;
	return fit(m, len);
}

/*
 * Is m a packet that a router takes: version, lengths, IPv4's checksum, a sender that can be?
 * What follows it in the mbuf is cut off. KEEP, or why not.
 */
static inline unsigned int check_ip(struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (unlikely(rte_pktmbuf_data_len(m) < OMNI_IPV4_HDR_LEN))
		return OMNI_STAT_drop_bad_ip;
	if (ip[0] >> 4 == 4)
		return check_v4(m, ip);
	return likely(is_v6(ip)) ? check_v6(m, ip) : (unsigned int)OMNI_STAT_drop_bad_ip;
}

/*
 * Addresses of packets of one cluster with where they are, each looked up once for those that
 * follow each other.
 */
struct lookups {
	unsigned int n4, n6;
	uint32_t v4[BURST];
	const uint8_t *v6[BURST];
	omni_dest dest4[BURST], dest6[BURST];
	uint8_t at[BURST]; /* by packet: index in dest4, or dest6 */
};

static_assert(BURST <= OMNI_FIB_BULK, "one lookup a family and burst");

static inline void add_v4(struct lookups *l, unsigned int i, uint32_t v4)
{
	if (unlikely(l->n4 == 0 || l->v4[l->n4 - 1] != v4))
		l->v4[l->n4++] = v4;
	l->at[i] = (uint8_t)(l->n4 - 1);
}

static inline void add_v6(struct lookups *l, unsigned int i, const uint8_t *v6)
{
	if (unlikely(l->n6 == 0 || memcmp(l->v6[l->n6 - 1], v6, 16) != 0))
		l->v6[l->n6++] = v6;
	l->at[i] = (uint8_t)(l->n6 - 1);
}

/*
 * Look up those at the beginning of m that are of the first one's cluster; how many they are. off4,
 * off6: of the address in the headers.
 */
static inline unsigned int look_up(const struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				   unsigned int off4, unsigned int off6, struct lookups *l)
{
	uint16_t cluster = omni_meta(m[0])->cluster;
	unsigned int i;

	l->n4 = l->n6 = 0;
	for (i = 0; i < n && likely(omni_meta(m[i])->cluster == cluster); i++) {
		const uint8_t *ip = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (likely(!is_v6(ip)))
			add_v4(l, i, omni_load_be32(ip + off4));
		else
			add_v6(l, i, ip + off6);
	}
	if (likely(l->n4 > 0))
		omni_fib_lookup4(w->conf.fib, cluster, l->v4, l->n4, l->dest4);
	if (l->n6 > 0)
		omni_fib_lookup6(w->conf.fib, cluster, l->v6, l->n6, l->dest6);
	return i;
}

static inline omni_dest dest_of(const struct lookups *l, unsigned int i, bool v6)
{
	/* v6 is what look_up saw of the packet. */
	/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn) */
	return v6 ? l->dest6[l->at[i]] : l->dest4[l->at[i]];
}

/* Why the sender of a packet is told that it went no further. */
enum icmp_cause {
	ICMP_SELF,    /* it is for us: an echo, or nothing that we serve */
	ICMP_TTL,     /* it has passed through too many routers */
	ICMP_NET,     /* no route */
	ICMP_HOST,    /* nobody is there, or nobody answers */
	ICMP_POLICY,  /* the cluster does not relay */
	ICMP_TOO_BIG, /* and must not be cut */
};

/* m leaves at icmp, which says why; mtu: of ICMP_TOO_BIG. w->icmp has room. */
void omni_node_tell(struct omni_worker *w, struct rte_mbuf *m, enum icmp_cause cause, uint32_t mtu);

#endif
