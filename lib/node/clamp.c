/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * clamp: TCP connections that begin across the cluster, in either direction, are told by their
 * MSS option (RFC 9293 section 3.7.1) what the peer's path carries in one datagram. It is never
 * raised, and an option that is not there is not put in: 536 bytes, the default, always fit. What
 * is a fragment, or contradicts itself, passes as it is.
 */
#include "clamp.h"
#include "worker.h"

#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define IPV6_EXTENSIONS_MAX 4
#define TCP_HDR_LEN 20
#define TCP_CHECKSUM 16
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define OPTION_MSS_LEN 4

struct segment {
	uint8_t *tcp;
	uint32_t len;	 /* from tcp on */
	uint32_t around; /* Ethernet, tags and IP without its options: what RFC 6691 counts */
};

static bool in_ipv4(struct segment *s, uint8_t *ip, uint32_t room)
{
	uint32_t hdr_len = (ip[0] & 0xfU) * 4, len = omni_load_be16(ip + 2);

	if (room < OMNI_IPV4_HDR_LEN || ip[0] >> 4 != 4 || hdr_len < OMNI_IPV4_HDR_LEN ||
	    len < hdr_len || len > room || ip[9] != IP_PROTO_TCP ||
	    (omni_load_be16(ip + 6) & IPV4_FRAGMENT) != 0)
		return false;
	s->tcp = ip + hdr_len;
	s->len = len - hdr_len;
	s->around += OMNI_IPV4_HDR_LEN;
	return true;
}

/* Behind hop-by-hop options, routing and destination options; nothing else is looked behind. */
static bool in_ipv6(struct segment *s, uint8_t *ip, uint32_t room)
{
	uint32_t at = OMNI_IPV6_HDR_LEN, end;
	uint8_t next = ip[6];

	if (room < OMNI_IPV6_HDR_LEN || ip[0] >> 4 != 6)
		return false;
	end = OMNI_IPV6_HDR_LEN + omni_load_be16(ip + 4);
	if (end > room)
		return false;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && (next == 0 || next == 43 || next == 60); i++) {
		if (at + 8 > end)
			return false;
		next = ip[at];
		at += (ip[at + 1] + 1U) * 8;
	}
	if (next != IP_PROTO_TCP || at > end)
		return false;
	s->tcp = ip + at;
	s->len = end - at;
	s->around += OMNI_IPV6_HDR_LEN;
	return true;
}

static bool in_packet(struct segment *s, uint8_t *ip, uint32_t len)
{
	s->around = 0;
	return ip[0] >> 4 == 6 ? in_ipv6(s, ip, len) : in_ipv4(s, ip, len);
}

static bool find_tcp(struct segment *s, uint8_t *eth, uint32_t len)
{
	uint16_t type = omni_load_be16(eth + 12);

	s->around = OMNI_ETHER_HDR_LEN;
	for (unsigned int tags = 0; is_tag(type) && tags < 2; tags++) {
		type = omni_load_be16(eth + s->around + 2);
		s->around += 4;
	}
	if (type == ETHERTYPE_IPV4)
		return in_ipv4(s, eth + s->around, len - s->around);
	return type == ETHERTYPE_IPV6 && in_ipv6(s, eth + s->around, len - s->around);
}

/* RFC 1624, equation 3. A value at an odd offset counts with its bytes exchanged. */
static void set_mss(uint8_t *tcp, uint32_t at, uint16_t mss)
{
	uint16_t was = omni_load_be16(tcp + at), is = mss;
	uint32_t sum = (uint16_t)~omni_load_be16(tcp + TCP_CHECKSUM);

	omni_store_be16(tcp + at, mss);
	if ((at & 1) != 0) {
		was = __builtin_bswap16(was);
		is = __builtin_bswap16(is);
	}
	sum += (uint16_t)~was;
	sum += is;
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	omni_store_be16(tcp + TCP_CHECKSUM, (uint16_t)~sum);
}

/* Lower what is over most; true where something was. Stops where a host would stop reading. */
static bool clamp_options(uint8_t *tcp, uint32_t end, uint32_t most)
{
	bool lowered = false;

	for (uint32_t at = TCP_HDR_LEN; at < end && tcp[at] != OPTION_END;) {
		if (tcp[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end)
			break;
		if (tcp[at] == OPTION_MSS && tcp[at + 1] == OPTION_MSS_LEN &&
		    omni_load_be16(tcp + at + 2) > most) {
			set_mss(tcp, at + 2, (uint16_t)most);
			lowered = true;
		}
		at += tcp[at + 1];
	}
	return lowered;
}

/*
 * Others who speak WireGuard pad to a multiple of 16 up to the MTU of their interface, which is
 * mostly the default, whatever the path carries.
 */
static uint32_t as_padded(const struct omni_keypair *kp, uint32_t text)
{
	bool beyond = kp->dialect == OMNI_DIALECT_WIREGUARD && text < OMNI_WG_MTU_DEFAULT;

	return beyond ? text & ~(OMNI_WG_PADDING - 1U) : text;
}

/* The largest MSS for the peer's path; UINT32_MAX: any. around: as in struct segment. */
static uint32_t most_for(const struct omni_worker *w, const struct omni_keypair *kp,
			 uint32_t around)
{
	uint32_t most = atomic_load_explicit(&w->conf.bridges->at[kp->cluster].tcp_mss,
					     memory_order_relaxed);
	const struct omni_peer *peer;
	const struct omni_path *path;
	uint32_t mtu;

	if (most == OMNI_MSS_OFF)
		return UINT32_MAX;
	if (most != OMNI_MSS_AUTO)
		return most;
	peer = peer_get(w, kp->peer, kp->peer_gen);
	path = peer != NULL ? atomic_load_explicit(&peer->path, memory_order_acquire) : NULL;
	if (path == NULL)
		return UINT32_MAX;
	mtu = path->tcp_mtu != 0 ? path->tcp_mtu : path->mtu;
	mtu -= OMNI_MIN(mtu, path->hdr_len - OMNI_ETHER_HDR_LEN + overhead_of(kp));
	mtu = as_padded(kp, mtu);
	around += TCP_HDR_LEN;
	return mtu > around ? mtu - around : UINT32_MAX;
}

/* The same of an L3 cluster, where packets between members may have less. */
static uint32_t most_packet(const struct omni_worker *w, const struct omni_keypair *kp,
			    uint32_t around)
{
	const struct omni_l3 *l3 = omni_fib_cluster(w->conf.fib, kp->cluster);
	uint32_t most = most_for(w, kp, around);

	around += TCP_HDR_LEN;
	if (most == UINT32_MAX || l3 == NULL || l3->mtu <= around)
		return most;
	return OMNI_MIN(most, l3->mtu - around);
}

/* A flooded frame's copy becomes the peer's own: the others go over other paths. */
static void make_own(struct rte_mbuf *m)
{
	struct omni_meta *meta = omni_meta(m);

	memcpy(rte_pktmbuf_mtod(m, uint8_t *), meta->src, rte_pktmbuf_data_len(m));
	meta->src = NULL;
}

static bool clamp_tcp(const struct segment *s, uint32_t most)
{
	uint32_t hdr_len = s->len >= TCP_HDR_LEN ? (s->tcp[12] >> 4) * 4U : 0;

	return hdr_len > TCP_HDR_LEN && hdr_len <= s->len && (s->tcp[TCP_FLAGS] & TCP_SYN) != 0 &&
	       clamp_options(s->tcp, hdr_len, most);
}

static bool clamp_packet(const struct omni_worker *w, struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	const struct omni_keypair *kp = omni_meta(m)->kp;
	struct segment s;

	return kp != NULL && may_be_syn_packet(ip) && in_packet(&s, ip, rte_pktmbuf_data_len(m)) &&
	       clamp_tcp(&s, most_packet(w, kp, s.around));
}

static bool clamp_frame(const struct omni_worker *w, struct rte_mbuf *m)
{
	struct omni_meta *meta = omni_meta(m);
	bool elsewhere = (meta->flags & OMNI_META_FROM_PEER) == 0 && meta->src != NULL;
	uint32_t len = rte_pktmbuf_data_len(m);
	struct segment s;

	/* From a local port to local ports, no path is in between. */
	if (meta->kp == NULL || len < TCP_FRAME_MIN ||
	    !may_be_syn(elsewhere ? meta->src : rte_pktmbuf_mtod(m, const uint8_t *)))
		return false;
	if (elsewhere)
		make_own(m);
	return find_tcp(&s, rte_pktmbuf_mtod(m, uint8_t *), len) &&
	       clamp_tcp(&s, most_for(w, meta->kp, s.around));
}

unsigned int omni_node_clamp(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int clamped = 0;

	for (unsigned int i = 0; i < n; i++)
		clamped += (omni_meta(m[i])->flags & OMNI_META_L3) != 0 ? clamp_packet(w, m[i])
									: clamp_frame(w, m[i]);
	count(w, OMNI_STAT_mss_clamped, clamped);
	stage_end(w, OMNI_STAGE_clamp, n);
	return n;
}
