/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ip_input: packets from a local port of an L3 cluster. The link header comes off; ARP and
 * neighbour discovery leave for control; what is not for us, or no packet that a router takes, is
 * dropped.
 */
#include "clamp.h"
#include "l3.h"

/* Router solicitation to redirect: RFC 4861. */
#define ND_FIRST 133
#define ND_LAST 137

static bool is_nd(const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	const uint8_t *icmp = ip + OMNI_IPV6_HDR_LEN;

	return rte_pktmbuf_data_len(m) >= OMNI_ETHER_HDR_LEN + OMNI_IPV6_HDR_LEN + 8 && is_v6(ip) &&
	       ip[6] == IP_PROTO_ICMPV6 && ip[7] == 255 && icmp[0] >= ND_FIRST &&
	       icmp[0] <= ND_LAST;
}

static unsigned int to_control(struct omni_worker *w, struct rte_mbuf *m)
{
	if (w->rx.port->info.raw_ip)
		return OMNI_STAT_drop_multicast; /* there are no neighbours */
	if (!omni_xring_punt(w->conf.xring, w->conf.xring->link, m))
		return OMNI_STAT_drop_punt_full;
	count(w, OMNI_STAT_punted_link, 1);
	return PUNT;
}

/* What does not go through: for control, to a group, or not for us. */
static unsigned int aside(struct omni_worker *w, struct rte_mbuf *m, uint16_t type, bool ours)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	bool group = (eth[0] & 1) != 0;

	if (!ours && !group)
		return OMNI_STAT_drop_not_our_mac;
	if (type == ETHERTYPE_ARP || (type == ETHERTYPE_IPV6 && is_nd(m)))
		return to_control(w, m);
	return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 ? OMNI_STAT_drop_multicast
								: OMNI_STAT_drop_not_routed;
}

/* It comes from the kernel behind a tun or tap, not from somebody on a tap's link. */
static inline bool is_hosts(const struct omni_port_info *info, const uint8_t *from)
{
	return info->raw_ip || (info->mac_is_far && memcmp(from, info->mac, 6) == 0);
}

/* Nobody on a link has our address; from the kernel it comes all the time. */
static inline bool is_ours(const struct rte_mbuf *m, const struct omni_l3 *l3)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	return is_v6(ip) ? memcmp(ip + 8, l3->v6, sizeof(l3->v6)) == 0
			 : memcmp(ip + 12, l3->v4, sizeof(l3->v4)) == 0;
}

static inline unsigned int input(struct omni_worker *w, struct rte_mbuf *m,
				 const struct omni_l3 *l3)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type = omni_load_be16(eth + 12);
	bool v6 = type == ETHERTYPE_IPV6, ours;
	unsigned int why;

	if (unlikely(rte_pktmbuf_data_len(m) < OMNI_ETHER_HDR_LEN))
		return OMNI_STAT_drop_runt;
	ours = memcmp(eth, w->rx.port->info.l3_mac, 6) == 0;
	if (unlikely(!ours || !(type == ETHERTYPE_IPV4 || v6) ||
		     (v6 && !w->rx.port->info.raw_ip && is_nd(m))))
		return aside(w, m, type, ours);
	m->data_off += OMNI_ETHER_HDR_LEN;
	m->data_len -= OMNI_ETHER_HDR_LEN;
	m->pkt_len -= OMNI_ETHER_HDR_LEN;
	if (unlikely(omni_is_segment(m)))
		m->l2_len = 0;
	if (unlikely(is_v6(eth + OMNI_ETHER_HDR_LEN) != v6))
		return OMNI_STAT_drop_bad_ip;
	omni_meta(m)->flags = OMNI_META_L3;
	if (is_hosts(&w->rx.port->info, eth + 6))
		omni_meta(m)->flags |= OMNI_META_HOST;
	why = check_ip(m);
	if (unlikely(why == KEEP && (omni_meta(m)->flags & OMNI_META_HOST) == 0 && l3 != NULL &&
		     is_ours(m, l3)))
		return OMNI_STAT_drop_ip_source;
	return why;
}

unsigned int omni_node_ip_input(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	const struct omni_l3 *l3 = omni_fib_cluster(w->conf.fib, omni_meta(m[0])->cluster);
	unsigned int left = 0;
	bool syn = false;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = input(w, m[i], l3);

		if (likely(why == KEEP)) {
			syn |= may_be_syn_packet(rte_pktmbuf_mtod(m[i], const uint8_t *));
			m[left++] = m[i];
		} else if (why != PUNT) {
			omni_node_drop(w, m[i], why);
		}
	}
	w->any_syn = syn;
	stage_end(w, OMNI_STAGE_ip_input, n);
	return left;
}
