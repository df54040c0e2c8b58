/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * icmp: answers in the place of the packets that ended here: echoes of who asks us, and errors as
 * RFC 1812 (section 4.3) and RFC 4443 want them of a router. An error never answers an error, and
 * there is a limit to how many are made in a second, for all and for each sender: the rest still
 * hear.
 */
#include "content.h"

/*
 * Errors of one worker to one sender in a second, how many of them at once, and for how many
 * senders that is enough.
 */
#define ERRORS_PER_S 1000
#define ERRORS_AT_ONCE 50
#define ERRORS_SENDERS 4

#define HOPS 64
#define V4_FRONT (OMNI_IPV4_HDR_LEN + ICMP_HDR_LEN)
#define V6_FRONT (OMNI_IPV6_HDR_LEN + ICMP_HDR_LEN)
/* An error with what it quotes. */
#define V4_ERROR_MAX 576
#define V6_ERROR_MAX IPV6_MTU_MIN
#define TOS_INTERNETWORK_CONTROL 0xc0

enum {
	V4_ECHO_REPLY = 0,
	V4_UNREACHABLE = 3,
	V4_ECHO = 8,
	V4_TIME_EXCEEDED = 11
};
enum {
	V6_UNREACHABLE = 1,
	V6_TOO_BIG = 2,
	V6_TIME_EXCEEDED = 3,
	V6_ECHO = 128,
	V6_REPLY = 129
};

struct say {
	uint8_t type, code;
};

static const struct say v4_says[] = {
	[ICMP_SELF] = {V4_UNREACHABLE, 3},    /* port */
	[ICMP_TTL] = {V4_TIME_EXCEEDED, 0},   /* in transit */
	[ICMP_NET] = {V4_UNREACHABLE, 0},     /* network */
	[ICMP_HOST] = {V4_UNREACHABLE, 1},    /* host */
	[ICMP_POLICY] = {V4_UNREACHABLE, 13}, /* administratively prohibited */
	[ICMP_TOO_BIG] = {V4_UNREACHABLE, 4}, /* fragmentation needed */
};

static const struct say v6_says[] = {
	[ICMP_SELF] = {V6_UNREACHABLE, 4},				       /* port */
	[ICMP_TTL] = {V6_TIME_EXCEEDED, 0},  [ICMP_NET] = {V6_UNREACHABLE, 0}, /* no route */
	[ICMP_HOST] = {V6_UNREACHABLE, 3},				       /* address */
	[ICMP_POLICY] = {V6_UNREACHABLE, 1}, /* administratively prohibited */
	[ICMP_TOO_BIG] = {V6_TOO_BIG, 0},
};

static bool is_icmp(const struct content *c, bool v6)
{
	return c->proto == (v6 ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP);
}

/* RFC 1812, section 4.3.2.7; RFC 4443, section 2.4 (e). */
static bool may_tell(const struct content *c, const uint8_t *ip)
{
	uint8_t type;

	if (c->later || !c->known || (is_v6(ip) ? ip[V6_DEST] == 0xff : ip[V4_DEST] >= 224))
		return false;
	if (!is_icmp(c, is_v6(ip)))
		return true;
	if (!c->readable)
		return false;
	type = ip[c->at];
	if (is_v6(ip))
		return type >= V6_ECHO && type != 137;
	return type != V4_UNREACHABLE && type != 4 && type != 5 && type != V4_TIME_EXCEEDED &&
	       type != 12;
}

/* One of a second's errors, of which there are `times` as many; false where they are used up. */
static bool take(const struct omni_worker *w, struct flood_budget *b, uint64_t times)
{
	uint64_t passed = OMNI_MIN(w->turn_tsc - b->tsc, w->hz);

	b->credit =
		OMNI_MIN(b->credit + passed * ERRORS_PER_S * times, ERRORS_AT_ONCE * times * w->hz);
	b->tsc = w->turn_tsc;
	if (b->credit < w->hz)
		return false;
	b->credit -= w->hz;
	return true;
}

/* Peers and ports are senders. */
static bool may_send(struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	bool from_peer = (meta->flags & OMNI_META_FROM_PEER) != 0;
	uint32_t from = from_peer ? meta->peer : UINT32_MAX - meta->port;

	return take(w, &w->icmp_from[from % OMNI_ARRAY_SIZE(w->icmp_from)], 1) &&
	       take(w, &w->icmp_all, ERRORS_SENDERS);
}

/* As much in front of the data as headers up to the uplink's need, and so many bytes more. */
static bool make_front(struct rte_mbuf *m, uint32_t front)
{
	uint32_t need = front + OMNI_OUTER_HDR_MAX + OMNI_DATA_HDR_LEN + OMNI_FRAGMENT_HDR_LEN;
	uint32_t have = rte_pktmbuf_headroom(m);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	if (have < need) {
		if (rte_pktmbuf_tailroom(m) < need - have)
			return false;
		memmove(data + (need - have), data, rte_pktmbuf_data_len(m));
		m->data_off = (uint16_t)(m->data_off + need - have);
	}
	m->data_off = (uint16_t)(m->data_off - front);
	trim(m, rte_pktmbuf_data_len(m) + front);
	return true;
}

static void set_sum(uint8_t *at, uint64_t sum)
{
	uint16_t folded = (uint16_t)~omni_sum_fold(sum);

	memcpy(at, &folded, sizeof(folded));
}

static void put_v4(const struct omni_worker *w, uint8_t *ip, uint32_t len, uint8_t tos)
{
	ip[0] = 0x45;
	ip[1] = tos;
	omni_store_be16(ip + 2, (uint16_t)len);
	omni_store_be16(ip + 4, w->ip_id);
	omni_store_be16(ip + 6, 0);
	ip[8] = HOPS;
	ip[9] = IP_PROTO_ICMP;
	v4_set_sum(ip);
}

static void put_v6(uint8_t *ip, uint32_t len, uint8_t class)
{
	omni_store_be32(ip, UINT32_C(6) << 28 | (uint32_t) class << 20);
	omni_store_be16(ip + 4, (uint16_t)(len - OMNI_IPV6_HDR_LEN));
	ip[6] = IP_PROTO_ICMPV6;
	ip[7] = HOPS;
}

/* Of the pseudo header, RFC 8200 section 8.1, and the message. */
static uint64_t v6_sum(const uint8_t *ip, uint32_t at, uint32_t len)
{
	return omni_sum(ip + 8, 32) + omni_sum_of16(len - at) + omni_sum_of16(IP_PROTO_ICMPV6) +
	       omni_sum(ip + at, len - at);
}

/*
 * Whose word the error is. The kernel behind a tun port takes no packet from there that has an
 * address of its own, ours, as the source: it hears from whom it spoke to.
 */
static bool is_hosts(struct rte_mbuf *m)
{
	return (omni_meta(m)->flags & OMNI_META_HOST) != 0;
}

static bool make_v4_error(struct omni_worker *w, struct rte_mbuf *m, const struct omni_l3 *l3,
			  struct say say, uint16_t mtu)
{
	uint32_t quote = OMNI_MIN((uint32_t)rte_pktmbuf_data_len(m), V4_ERROR_MAX - V4_FRONT);
	uint8_t from[4], to[4], *ip = rte_pktmbuf_mtod(m, uint8_t *), *icmp;

	memcpy(from, is_hosts(m) ? ip + V4_DEST : l3->v4, sizeof(from));
	memcpy(to, ip + 12, sizeof(to));
	trim(m, quote);
	if (!make_front(m, V4_FRONT))
		return false;
	ip = rte_pktmbuf_mtod(m, uint8_t *);
	icmp = ip + OMNI_IPV4_HDR_LEN;
	memcpy(ip + 12, from, sizeof(from));
	memcpy(ip + 16, to, sizeof(to));
	w->ip_id++;
	put_v4(w, ip, V4_FRONT + quote, TOS_INTERNETWORK_CONTROL);
	memset(icmp, 0, ICMP_HDR_LEN);
	icmp[0] = say.type;
	icmp[1] = say.code;
	omni_store_be16(icmp + 6, mtu);
	set_sum(icmp + 2, omni_sum(icmp, ICMP_HDR_LEN + quote));
	return true;
}

static bool make_v6_error(struct rte_mbuf *m, const struct omni_l3 *l3, struct say say,
			  uint32_t mtu)
{
	uint32_t quote = OMNI_MIN((uint32_t)rte_pktmbuf_data_len(m), V6_ERROR_MAX - V6_FRONT);
	uint8_t from[16], to[16], *ip = rte_pktmbuf_mtod(m, uint8_t *), *icmp;

	memcpy(from, is_hosts(m) ? ip + V6_DEST : l3->v6, sizeof(from));
	memcpy(to, ip + 8, sizeof(to));
	trim(m, quote);
	if (!make_front(m, V6_FRONT))
		return false;
	ip = rte_pktmbuf_mtod(m, uint8_t *);
	icmp = ip + OMNI_IPV6_HDR_LEN;
	memcpy(ip + 8, from, sizeof(from));
	memcpy(ip + 24, to, sizeof(to));
	put_v6(ip, V6_FRONT + quote, 0);
	memset(icmp, 0, ICMP_HDR_LEN);
	icmp[0] = say.type;
	icmp[1] = say.code;
	omni_store_be32(icmp + 4, mtu);
	set_sum(icmp + 2, v6_sum(ip, OMNI_IPV6_HDR_LEN, V6_FRONT + quote));
	return true;
}

/* m becomes the error; false where none is made. */
static bool tell(struct omni_worker *w, struct rte_mbuf *m, const struct omni_l3 *l3,
		 const struct content *c, struct say say, uint16_t mtu)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	static const uint8_t none[16];
	bool v6 = is_v6(ip), made;
	bool nobody = v6 ? memcmp(l3->v6, none, 16) == 0 : memcmp(l3->v4, none, 4) == 0;

	if (!may_tell(c, ip) || (nobody && !is_hosts(m))) {
		count(w, OMNI_STAT_icmp_withheld, 1);
		return false;
	}
	if (!may_send(w, m)) {
		count(w, OMNI_STAT_icmp_limited, 1);
		return false;
	}
	made = v6 ? make_v6_error(m, l3, say, mtu) : make_v4_error(w, m, l3, say, mtu);
	count(w, made ? OMNI_STAT_icmp_sent : OMNI_STAT_icmp_withheld, 1);
	return made;
}

/* Add to a checksum what is taken from a word under it. */
static void adjust(uint8_t *sum, uint32_t less)
{
	uint32_t s = omni_load_be16(sum) + less;

	omni_store_be16(sum, (uint16_t)((s & 0xffff) + (s >> 16)));
}

/* The fixed header directly before what begins at `at`: options and extensions go. */
static uint8_t *close_up(struct rte_mbuf *m, uint32_t at, uint32_t hdr_len)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	if (at > hdr_len)
		memmove(ip + (at - hdr_len), ip, hdr_len);
	m->data_off = (uint16_t)(m->data_off + at - hdr_len);
	trim(m, rte_pktmbuf_data_len(m) - (at - hdr_len));
	return ip + (at - hdr_len);
}

static void exchange(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t was[16];

	memcpy(was, a, len);
	memcpy(a, b, len);
	memcpy(b, was, len);
}

static bool echo_v4(struct omni_worker *w, struct rte_mbuf *m, const struct content *c)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *icmp = ip + c->at;
	uint32_t len = rte_pktmbuf_data_len(m);

	if (icmp[0] != V4_ECHO || icmp[1] != 0 ||
	    omni_sum_fold(omni_sum(icmp, len - c->at)) != 0xffff)
		return false;
	ip = close_up(m, c->at, OMNI_IPV4_HDR_LEN);
	exchange(ip + 12, ip + 16, 4);
	w->ip_id++;
	put_v4(w, ip, rte_pktmbuf_data_len(m), ip[1] & 0xfc);
	icmp[0] = V4_ECHO_REPLY;
	adjust(icmp + 2, V4_ECHO << 8);
	return true;
}

static bool echo_v6(struct rte_mbuf *m, const struct content *c)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *icmp = ip + c->at;
	uint32_t len = rte_pktmbuf_data_len(m);

	if (icmp[0] != V6_ECHO || icmp[1] != 0 || omni_sum_fold(v6_sum(ip, c->at, len)) != 0xffff)
		return false;
	ip = close_up(m, c->at, OMNI_IPV6_HDR_LEN);
	exchange(ip + 8, ip + 24, 16);
	put_v6(ip, rte_pktmbuf_data_len(m), (uint8_t)(omni_load_be16(ip) >> 4 & 0xfc));
	icmp[0] = V6_REPLY;
	adjust(icmp + 2, 0xffff - ((V6_REPLY - V6_ECHO) << 8));
	return true;
}

/* For us: true where m became an answer. */
static bool serve(struct omni_worker *w, struct rte_mbuf *m, const struct omni_l3 *l3,
		  const struct content *c)
{
	bool v6 = is_v6(rte_pktmbuf_mtod(m, const uint8_t *)), whole = c->known && !c->fragment;
	struct say say = v6 ? v6_says[ICMP_SELF] : v4_says[ICMP_SELF];

	if (whole && c->readable && is_icmp(c, v6) && (v6 ? echo_v6(m, c) : echo_v4(w, m, c))) {
		count(w, OMNI_STAT_icmp_echoed, 1);
		return true;
	}
	count(w, OMNI_STAT_drop_not_served, 1);
	if (!whole || is_icmp(c, v6))
		return false;
	if (c->proto != IP_PROTO_UDP && c->proto != IP_PROTO_TCP) {
		if (v6)
			return false;
		say.code = 2; /* protocol */
	}
	return tell(w, m, l3, c, say, 0);
}

static bool answer(struct omni_worker *w, struct rte_mbuf *m, enum icmp_cause cause, uint16_t mtu)
{
	const struct omni_l3 *l3 = omni_fib_cluster(w->conf.fib, omni_meta(m)->cluster);
	bool v6 = is_v6(rte_pktmbuf_mtod(m, const uint8_t *));
	struct content c;

	if (l3 == NULL)
		return false;
	omni_node_look_in(&c, m);
	if (cause == ICMP_SELF)
		return serve(w, m, l3, &c);
	return tell(w, m, l3, &c, v6 ? v6_says[cause] : v4_says[cause], mtu);
}

unsigned int omni_node_icmp(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct omni_meta *meta = omni_meta(m[i]);

		if (!answer(w, m[i], (enum icmp_cause)w->icmp_why[i], w->icmp_mtu[i])) {
			omni_node_release(w, m[i]);
			continue;
		}
		*omni_meta(m[i]) = (struct omni_meta){
			.port = meta->port, .cluster = meta->cluster, .flags = OMNI_META_L3};
		m[left++] = m[i];
	}
	stage_end(w, OMNI_STAGE_icmp, n);
	return left;
}
