/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * classify: outer Ethernet, IP and UDP headers, and what the datagram claims to be. Data of both
 * dialects passes on, handshakes leave at punt, IP fragments at outer_reassemble, the rest is
 * dropped by name. UDP checksums are not
 * looked at: everything is authenticated later.
 */
#include "worker.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IP_PROTO_UDP 17
#define IP_PROTO_FRAGMENT 44
#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */

static const uint16_t fate[] = {
	[OMNI_CLASS_DATA] = KEEP,
	[OMNI_CLASS_INITIATION] = PUNT,
	[OMNI_CLASS_RESPONSE] = PUNT,
	[OMNI_CLASS_COOKIE] = PUNT,
	[OMNI_CLASS_HELLO] = OMNI_STAT_drop_hello,
	[OMNI_CLASS_HELLO_ANSWER] = PUNT,
	[OMNI_CLASS_STUN] = OMNI_STAT_drop_stun,
	[OMNI_CLASS_WG_DATA] = KEEP,
	[OMNI_CLASS_WG_INITIATION] = PUNT,
	[OMNI_CLASS_WG_RESPONSE] = PUNT,
	[OMNI_CLASS_WG_COOKIE] = PUNT,
	[OMNI_CLASS_CIRCUIT] = OMNI_STAT_drop_circuit,
	[OMNI_CLASS_BAD_SUITE] = OMNI_STAT_drop_bad_suite,
	[OMNI_CLASS_BAD_LEN] = OMNI_STAT_drop_bad_length,
	[OMNI_CLASS_UNKNOWN] = OMNI_STAT_drop_unknown_type,
};

/* The ECN bits of a TOS byte, for what comes out of the datagram. */
static inline void keep_ecn(struct rte_mbuf *m, unsigned int tos)
{
	omni_meta(m)->flags = (uint8_t)(tos << OMNI_META_ECN_SHIFT);
}

static inline bool is_ours(const struct omni_worker *w, uint16_t udp_port)
{
	for (unsigned int i = 0; i < w->conf.n_udp_ports; i++)
		if (w->conf.udp_port[i] == udp_port)
			return true;
	return false;
}

/* at: the UDP header, off bytes into the frame, with room bytes of IP payload. */
static inline unsigned int udp(const struct omni_worker *w, struct rte_mbuf *m, unsigned int off,
			       unsigned int room)
{
	const uint8_t *at = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	struct omni_meta *meta = omni_meta(m);
	unsigned int len;

	if (unlikely(room < OMNI_UDP_HDR_LEN))
		return OMNI_STAT_drop_malformed;
	if (unlikely(!is_ours(w, omni_load_be16(at + 2))))
		return OMNI_STAT_drop_not_ours;
	len = omni_load_be16(at + 4);
	if (unlikely(len < OMNI_UDP_HDR_LEN || len > room))
		return OMNI_STAT_drop_malformed;
	meta->payload_off = (uint16_t)(off + OMNI_UDP_HDR_LEN);
	meta->payload_len = (uint16_t)(len - OMNI_UDP_HDR_LEN);
	/* Off with padding, so that the mbuf ends where the datagram ends. */
	m->data_len = (uint16_t)(off + len);
	m->pkt_len = off + len;
	return KEEP;
}

static inline unsigned int ipv4(const struct omni_worker *w, struct rte_mbuf *m, unsigned int room)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	unsigned int hdr_len = (ip[0] & 0xfU) * 4, len = omni_load_be16(ip + 2);

	if (unlikely(ip[0] >> 4 != 4 || hdr_len < OMNI_IPV4_HDR_LEN || len < hdr_len || len > room))
		return OMNI_STAT_drop_malformed;
	if (unlikely(ip[9] != IP_PROTO_UDP))
		return OMNI_STAT_drop_not_udp;
	if (unlikely((omni_load_be16(ip + 6) & IPV4_FRAGMENT) != 0))
		return PIECE;
	keep_ecn(m, ip[1]);
	return udp(w, m, OMNI_ETHER_HDR_LEN + hdr_len, len - hdr_len);
}

static inline unsigned int ipv6(const struct omni_worker *w, struct rte_mbuf *m, unsigned int room)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	unsigned int len = omni_load_be16(ip + 4);

	if (unlikely(ip[0] >> 4 != 6 || OMNI_IPV6_HDR_LEN + len > room))
		return OMNI_STAT_drop_malformed;
	if (unlikely(ip[6] != IP_PROTO_UDP))
		return ip[6] == IP_PROTO_FRAGMENT ? PIECE : (unsigned int)OMNI_STAT_drop_not_udp;
	keep_ecn(m, ip[1] >> 4U);
	omni_meta(m)->flags |= OMNI_META_V6;
	return udp(w, m, OMNI_ETHER_HDR_LEN + OMNI_IPV6_HDR_LEN, len);
}

/* Bytes 12 to 27 of nearly every frame: IPv4 without options, UDP, not a fragment. */
#define PLAIN_12 UINT64_C(0x0800450000000000)
#define PLAIN_12_MASK UINT64_C(0xffffff0000000000)
#define PLAIN_20 ((uint64_t)IP_PROTO_UDP << 32)
#define PLAIN_20_MASK ((uint64_t)IPV4_FRAGMENT << 48 | UINT64_C(0xff) << 32)

static inline bool is_plain(const uint8_t *eth)
{
	return (omni_load_be64(eth + 12) & PLAIN_12_MASK) == PLAIN_12 &&
	       (omni_load_be64(eth + 20) & PLAIN_20_MASK) == PLAIN_20;
}

static inline unsigned int plain(const struct omni_worker *w, struct rte_mbuf *m, unsigned int room)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	unsigned int len = omni_load_be16(ip + 2);

	if (unlikely(len < OMNI_IPV4_HDR_LEN || len > room))
		return OMNI_STAT_drop_malformed;
	keep_ecn(m, ip[1]);
	return udp(w, m, OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN, len - OMNI_IPV4_HDR_LEN);
}

static inline unsigned int outer(const struct omni_worker *w, struct rte_mbuf *m)
{
	unsigned int len = rte_pktmbuf_data_len(m);
	uint16_t type;

	if (likely(len >= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN &&
		   is_plain(rte_pktmbuf_mtod(m, const uint8_t *))))
		return plain(w, m, len - OMNI_ETHER_HDR_LEN);
	if (unlikely(len < OMNI_ETHER_HDR_LEN))
		return OMNI_STAT_drop_malformed;
	type = omni_load_be16(rte_pktmbuf_mtod_offset(m, const uint8_t *, 12));
	len -= OMNI_ETHER_HDR_LEN;
	if (type == ETHERTYPE_IPV4)
		return len < OMNI_IPV4_HDR_LEN ? OMNI_STAT_drop_malformed : ipv4(w, m, len);
	if (type == ETHERTYPE_IPV6)
		return len < OMNI_IPV6_HDR_LEN ? OMNI_STAT_drop_malformed : ipv6(w, m, len);
	return OMNI_STAT_drop_not_ip;
}

/* Type and reserved bytes of WireGuard's data as they stand in the datagram. */
#define WG_DATA ((uint32_t)OMNI_TYPE_WG_DATA)

static inline unsigned int payload(struct rte_mbuf *m)
{
	struct omni_meta *meta = omni_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->payload_off);

	if (likely(meta->payload_len >= OMNI_DATA_MIN_LEN && (p[0] & OMNI_TYPE_DATA_BIT) != 0))
		return KEEP;
	if (likely(meta->payload_len >= OMNI_WG_DATA_MIN_LEN && omni_load_le32(p) == WG_DATA)) {
		meta->flags |= OMNI_META_WG;
		return KEEP;
	}
	return fate[omni_wire_classify(p, meta->payload_len)];
}

unsigned int omni_node_classify(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = outer(w, m[i]);

		if (likely(why == KEEP))
			why = payload(m[i]);
		if (likely(why == KEEP))
			m[left++] = m[i];
		else if (why == PUNT)
			w->punt.m[w->punt.n++] = m[i];
		else if (why == PIECE)
			w->pieces.m[w->pieces.n++] = m[i];
		else
			omni_node_drop(w, m[i], why);
	}
	stage_end(w, OMNI_STAGE_classify, n);
	return left;
}
