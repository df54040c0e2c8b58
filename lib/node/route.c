/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * route: by the longest prefix of the destination. Packets to peers pass on, ready for encap; those
 * to local ports leave in w->local, with their link header in front; in w->icmp those that end
 * here, in w->chop those of IPv4 that are cut. What nobody can be sent now waits in hold.
 */
#include "hold.h"
#include "way.h"

void omni_node_tell(struct omni_worker *w, struct rte_mbuf *m, enum icmp_cause cause, uint32_t mtu)
{
	w->icmp_why[w->icmp.n] = (uint8_t)cause;
	w->icmp_mtu[w->icmp.n] = (uint16_t)OMNI_MIN(mtu, UINT16_MAX);
	w->icmp.m[w->icmp.n++] = m;
}

/* m ends here, which its sender hears; what we made ourselves ends in silence. */
static unsigned int tell(struct omni_worker *w, struct rte_mbuf *m, enum icmp_cause cause,
			 uint32_t mtu, enum omni_stat why)
{
	if (w->pass != ROUTE_FIRST)
		return why;
	count(w, why, 1);
	omni_node_tell(w, m, cause, mtu);
	return PUNT;
}

/* One hop less; false where that was the last one. RFC 1624. */
static inline bool take_hop(uint8_t *ip, bool v6)
{
	uint32_t sum;

	if (v6) {
		if (unlikely(ip[7] <= 1))
			return false;
		ip[7]--;
		return true;
	}
	if (unlikely(ip[8] <= 1))
		return false;
	ip[8]--;
	sum = omni_load_be16(ip + 10) + 0x100U;
	omni_store_be16(ip + 10, (uint16_t)(sum + (sum >= 0xffff)));
	return true;
}

/*
 * Too long for what is ahead, of which most bytes go: IPv4's routers may cut it. IPv6's minimum
 * must come through; where it does not, there is nothing to be told that would help.
 */
static unsigned int cut_or_tell(struct omni_worker *w, struct rte_mbuf *m, uint32_t most)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (is_v6(ip))
		return tell(w, m, ICMP_TOO_BIG, OMNI_MAX(most, IPV6_MTU_MIN),
			    rte_pktmbuf_data_len(m) > IPV6_MTU_MIN ? OMNI_STAT_drop_too_big
								   : OMNI_STAT_drop_under_minimum);
	if ((omni_load_be16(ip + 6) & IPV4_DONT_FRAGMENT) != 0)
		return tell(w, m, ICMP_TOO_BIG, most, OMNI_STAT_drop_too_big);
	if (w->pass == ROUTE_PIECES)
		return OMNI_STAT_drop_too_long;
	w->chop_mtu[w->chop.n] = (uint16_t)OMNI_MIN(most, UINT16_MAX);
	w->chop.m[w->chop.n++] = m;
	return PUNT;
}

/* May the overlay carry it in pieces, rather than IP? IPv6's minimum must come through. */
static bool may_fragment(const struct way *way, const uint8_t *ip, uint32_t len)
{
	uint32_t whole = way->kp->frame_max;

	if ((way->kp->features & OMNI_FEATURE_FRAGMENTS) == 0 ||
	    way->kp->dialect == OMNI_DIALECT_WIREGUARD)
		return false;
	if (way->l3->mtu != 0)
		whole = OMNI_MIN(whole, way->l3->mtu);
	if (is_v6(ip))
		return len <= IPV6_MTU_MIN && len <= way->kp->frame_max;
	return len <= whole && (omni_load_be16(ip + 6) & IPV4_DONT_FRAGMENT) == 0;
}

/*
 * IPv6's minimum, for which WireGuard has no pieces of its own: the datagram goes in fragments of
 * the outer IP, as from any other WireGuard.
 */
static bool may_exceed(const struct way *way, const uint8_t *ip, uint32_t len)
{
	return is_v6(ip) && len <= IPV6_MTU_MIN && way->kp->dialect == OMNI_DIALECT_WIREGUARD;
}

static unsigned int long_to_peer(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	uint32_t len = rte_pktmbuf_data_len(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (may_exceed(way, ip, len)) {
		set_out(w, m, way->peer, way->kp, NULL, len);
		w->long_datagrams = true;
		return KEEP;
	}
	if (!may_fragment(way, ip, len))
		return cut_or_tell(w, m, way->most);
	set_out(w, m, way->peer, way->kp, NULL, len);
	omni_meta(m)->flags |= OMNI_META_CUT;
	w->must_cut = true;
	return KEEP;
}

/* From a peer to a peer: where the cluster relays, and never back. */
static unsigned int may_relay(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	const struct omni_meta *meta = omni_meta(m);

	if (omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen) == way->dest)
		return OMNI_STAT_drop_same_peer;
	return way->l3->relay ? KEEP : tell(w, m, ICMP_POLICY, 0, OMNI_STAT_drop_relay_refused);
}

/* A whole segment, which fragment takes apart. */
static void whole_to_peer(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	set_out(w, m, way->peer, way->kp, NULL, m->pkt_len);
	omni_meta(m)->kind = OMNI_KIND_SEGMENT;
	omni_meta(m)->flags |= OMNI_META_CUT;
	w->must_cut = true;
}

static inline unsigned int to_peer(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	struct omni_meta *meta = omni_meta(m);
	uint32_t len = rte_pktmbuf_data_len(m);
	unsigned int why;

	if (unlikely((meta->flags & OMNI_META_FROM_PEER) != 0)) {
		why = may_relay(w, m, way);
		if (why != KEEP)
			return why;
	}
	if (likely(w->pass == ROUTE_FIRST && (meta->flags & OMNI_META_HOST) == 0) &&
	    unlikely(!take_hop(ip, is_v6(ip))))
		return tell(w, m, ICMP_TTL, 0, OMNI_STAT_drop_ttl);
	if (unlikely(omni_is_segment(m))) {
		whole_to_peer(w, m, way);
		return KEEP;
	}
	if (unlikely(len > way->most))
		return long_to_peer(w, m, way);
	set_out(w, m, way->peer, way->kp, NULL, len);
	return KEEP;
}

static inline unsigned int to_port(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	struct omni_meta *meta = omni_meta(m);
	bool v6 = is_v6(ip);

	if (w->pass == ROUTE_FIRST) {
		if (unlikely(way->raw && way->port->id == meta->port &&
			     (meta->flags & OMNI_META_FROM_PEER) == 0))
			return OMNI_STAT_drop_same_port;
		if (likely(!way->raw) && unlikely(!take_hop(ip, v6)))
			return tell(w, m, ICMP_TTL, 0, OMNI_STAT_drop_ttl);
	}
	if (unlikely(omni_is_segment(m)))
		m->l2_len = OMNI_ETHER_HDR_LEN;
	else if (unlikely(rte_pktmbuf_data_len(m) > way->most))
		return cut_or_tell(w, m, way->most);
	if (unlikely(rte_pktmbuf_headroom(m) < LINK_LEN))
		return OMNI_STAT_drop_too_long;
	memcpy(ip - LINK_LEN, way->link[v6], LINK_LEN);
	m->data_off -= OMNI_ETHER_HDR_LEN;
	m->data_len += OMNI_ETHER_HDR_LEN;
	m->pkt_len += OMNI_ETHER_HDR_LEN;
	meta->port = way->port->id;
	w->local.m[w->local.n++] = m;
	return PUNT;
}

static struct omni_ip dest_ip(const uint8_t *ip)
{
	struct omni_ip a;

	if (is_v6(ip))
		memcpy(a.b, ip + V6_DEST, sizeof(a.b));
	else {
		uint32_t v4;

		memcpy(&v4, ip + V4_DEST, sizeof(v4));
		a = omni_ip_from_v4(v4);
	}
	return a;
}

static unsigned int wait_for(struct omni_worker *w, struct rte_mbuf *m, const struct way *way,
			     enum omni_event_type type)
{
	struct wanted wanted = {.dest = way->dest, .cluster = way->cluster};

	if (type != OMNI_EVENT_WANT_KEY)
		wanted.ip = dest_ip(rte_pktmbuf_mtod(m, const uint8_t *));
	else if (!way->moves && !is_late_again(m))
		omni_node_want_key(w, way->peer);
	return omni_node_hold(w, m, &wanted, type);
}

/* To a peer without a key or an address, or where members may be that we do not know. */
static unsigned int to_nobody_yet(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	bool ask = omni_dest_kind(way->dest) == OMNI_DEST_ASK;
	unsigned int why = KEEP;

	if ((omni_meta(m)->flags & OMNI_META_FROM_PEER) != 0)
		why = may_relay(w, m, way);
	if (why != KEEP)
		return why;
	if (!ask && way->peer == NULL)
		return tell(w, m, ICMP_HOST, 0, OMNI_STAT_drop_no_peer);
	/* As WireGuard says where it has no endpoint. */
	if (!ask && (omni_peer_marks(way->peer) & OMNI_PEER_UNREACHABLE) != 0)
		return tell(w, m, ICMP_HOST, 0, OMNI_STAT_drop_no_path);
	return wait_for(w, m, way, ask ? OMNI_EVENT_WANT_ROUTE : OMNI_EVENT_WANT_KEY);
}

static unsigned int to_unknown_host(struct omni_worker *w, struct rte_mbuf *m,
				    const struct way *way)
{
	uint32_t id = omni_dest_index(way->dest);
	const struct omni_port *port = id < OMNI_PORTS_MAX ? port_get(w, (uint16_t)id) : NULL;

	if (port == NULL || port->generation != omni_dest_gen(way->dest) ||
	    domain_of_port(w, port->id) != way->cluster)
		return tell(w, m, ICMP_HOST, 0, OMNI_STAT_drop_port_gone);
	return wait_for(w, m, way, OMNI_EVENT_WANT_NEIGHBOUR);
}

/* Neither a peer with a key nor a host on a link. */
static unsigned int elsewhere(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	bool from_peer = (omni_meta(m)->flags & OMNI_META_FROM_PEER) != 0;

	switch (omni_dest_kind(way->dest)) {
	case OMNI_DEST_PEER:
	case OMNI_DEST_ASK:
		return to_nobody_yet(w, m, way);
	case OMNI_DEST_PORT:
		return to_unknown_host(w, m, way);
	case OMNI_DEST_HOST:
		return tell(w, m, ICMP_HOST, 0, OMNI_STAT_drop_no_neighbour);
	case OMNI_DEST_SELF:
		if (w->pass != ROUTE_FIRST)
			return OMNI_STAT_drop_not_served;
		omni_node_tell(w, m, ICMP_SELF, 0);
		return PUNT;
	case OMNI_DEST_REJECT:
		return tell(w, m, ICMP_HOST, 0, OMNI_STAT_drop_rejected);
	default:
		/* A host hears what it does of WireGuard's interface. */
		return tell(w, m, from_peer ? ICMP_NET : ICMP_HOST, 0, OMNI_STAT_drop_no_route);
	}
}

/* RFC 4291, section 2.5.6: such packets stay on their link, which a raw port and its peers are. */
static bool leaves_link(const struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	const struct omni_meta *meta = omni_meta(m);

	if ((meta->flags & OMNI_META_FROM_PEER) != 0)
		return !way->raw;
	return (meta->flags & OMNI_META_HOST) == 0 && w->pass == ROUTE_FIRST;
}

static bool is_link_local(const uint8_t *v6)
{
	return v6[0] == 0xfe && (v6[1] & 0xc0) == 0x80;
}

/* IPv4's broadcast and what is reserved are among them. */
static inline bool is_group(const uint8_t *ip)
{
	return is_v6(ip) ? ip[V6_DEST] == 0xff : ip[V4_DEST] >= 224;
}

/*
 * Groups are not ours to spread. Between the kernel behind a raw port and a peer they go as any
 * address does: routing protocols in a tunnel.
 */
static bool may_pass_group(struct rte_mbuf *m, const struct way *way)
{
	if ((omni_meta(m)->flags & OMNI_META_FROM_PEER) != 0)
		return way->raw;
	return (omni_meta(m)->flags & OMNI_META_HOST) != 0 &&
	       omni_dest_kind(way->dest) == OMNI_DEST_PEER;
}

/*
 * Does m leave to the kernel behind us, rather than to dest? As from WireGuard's interface, where
 * the kernel says what becomes of all that a peer sends.
 */
static inline bool is_for_kernel(struct rte_mbuf *m, omni_dest dest, const struct omni_l3 *l3)
{
	enum omni_dest_kind kind = omni_dest_kind(dest);

	if (l3->host == OMNI_DEST_MISS || (omni_meta(m)->flags & OMNI_META_FROM_PEER) == 0)
		return false;
	if (unlikely(dest == OMNI_DEST_MISS || is_group(rte_pktmbuf_mtod(m, const uint8_t *))))
		return true;
	return l3->by_host && (kind == OMNI_DEST_PEER || kind == OMNI_DEST_ASK);
}

/* Where no route leads, whatever the table says: KEEP, or why. */
static inline unsigned int check_dest(const struct omni_worker *w, struct rte_mbuf *m,
				      const uint8_t *ip, const struct way *way)
{
	if (unlikely(is_group(ip)))
		return may_pass_group(m, way) ? KEEP : (unsigned int)OMNI_STAT_drop_multicast;
	if (likely(!is_v6(ip)))
		return likely(ip[V4_DEST] != 0 && ip[V4_DEST] != 127)
			       ? KEEP
			       : (unsigned int)OMNI_STAT_drop_ip_dest;
	if (unlikely(is_v6_special(ip + V6_DEST)))
		return OMNI_STAT_drop_ip_dest;
	if (unlikely(is_link_local(ip + V6_DEST) || is_link_local(ip + 8)) &&
	    leaves_link(w, m, way))
		return OMNI_STAT_drop_ip_link_local;
	return KEEP;
}

static inline unsigned int place(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	unsigned int why = check_dest(w, m, rte_pktmbuf_mtod(m, const uint8_t *), way);

	if (unlikely(why != KEEP))
		return why;
	/* split let it pass, so this was its way a moment ago. */
	if (unlikely(omni_is_segment(m)) && unlikely(!omni_node_whole_packet(w, m, way)))
		return OMNI_STAT_drop_too_long;
	if (way->kp != NULL)
		return to_peer(w, m, way);
	return likely(way->port != NULL) ? to_port(w, m, way) : elsewhere(w, m, way);
}

/* The n packets of m, which are of one cluster; those to peers go to out. */
static unsigned int route(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			  const struct lookups *to, struct rte_mbuf **out)
{
	uint16_t cluster = omni_meta(m[0])->cluster;
	const struct omni_l3 *l3 = omni_fib_cluster(w->conf.fib, cluster);
	struct way way = {.cluster = OMNI_BRIDGE_NONE};
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = OMNI_STAT_drop_no_cluster;

		if (likely(l3 != NULL)) {
			bool v6 = is_v6(rte_pktmbuf_mtod(m[i], const uint8_t *));
			omni_dest dest = dest_of(to, i, v6);

			if (unlikely(is_for_kernel(m[i], dest, l3)))
				dest = l3->host;
			find_way(w, &way, dest, l3, cluster);
			why = place(w, m[i], &way);
		}
		if (likely(why == KEEP))
			out[left++] = m[i];
		else if (why != PUNT)
			omni_node_drop(w, m[i], why);
	}
	return left;
}

unsigned int omni_node_route(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;
	struct lookups to;

	w->must_cut = false;
	w->n_short = 0;
	for (unsigned int i = 0, run; i < n; i += run) {
		run = look_up(w, m + i, n - i, V4_DEST, V6_DEST, &to);
		left += route(w, m + i, run, &to, m + left);
	}
	stage_end(w, OMNI_STAGE_route, n);
	return left;
}
