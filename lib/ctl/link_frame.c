/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>

#include <omni_base.h>
#include <omni_cursor.h>
#include <omni_sum.h>
#include <omni_wire.h>

#include "link_frame.h"

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd
#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define PROTO_ICMPV6 58
#define HOPS 255 /* so it crossed no router */
#define ND_SOLICITATION 135
#define ND_ADVERTISEMENT 136
#define ND_LEN 24 /* header and target */
#define ND_ROUTER 0x80
#define ND_SOLICITED 0x40
#define ND_OVERRIDE 0x20
#define OPTION_SOURCE 1
#define OPTION_TARGET 2

/* An address that one interface can have. */
static bool is_mac(const uint8_t *mac)
{
	static const uint8_t zero[6];

	return (mac[0] & 1) == 0 && memcmp(mac, zero, sizeof(zero)) != 0;
}

static struct omni_ip ip_v4(const uint8_t *p)
{
	uint32_t be;

	memcpy(&be, p, sizeof(be));
	/* 0.0.0.0 stands as none: the prober of RFC 5227. */
	return be != 0 ? omni_ip_from_v4(be) : (struct omni_ip){0};
}

/* ---- ARP ---- */

static int parse_arp(struct link_frame *f, struct omni_reader *r)
{
	uint16_t hardware = omni_read_be16(r), protocol = omni_read_be16(r);
	uint8_t hlen = omni_read_u8(r), plen = omni_read_u8(r);
	uint16_t op = omni_read_be16(r);
	const uint8_t *sender = omni_read(r, 10), *target = omni_read(r, 10);

	if (r->failed || hardware != ARP_ETHERNET || protocol != TYPE_IPV4 || hlen != 6 ||
	    plen != 4 || (op != ARP_REQUEST && op != ARP_REPLY) || !is_mac(sender))
		return -EBADMSG;
	memcpy(f->mac, sender, sizeof(f->mac));
	f->has_mac = true;
	f->from = ip_v4(sender + 6);
	f->kind = op == ARP_REQUEST ? LINK_ASK : LINK_ANSWER;
	f->target = ip_v4(op == ARP_REQUEST ? target + 6 : sender + 6);
	f->solicited = f->override = op == ARP_REPLY;
	if ((!omni_ip_is_none(&f->from) && !omni_ip_is_unicast(&f->from)) ||
	    !omni_ip_is_unicast(&f->target))
		return -EBADMSG;
	return 0;
}

/* ---- Building: every frame is shorter than its room ---- */

static uint8_t *put(uint8_t *at, const void *src, size_t len)
{
	memcpy(at, src, len);
	return at + len;
}

static uint8_t *put16(uint8_t *at, uint16_t v)
{
	omni_store_be16(at, v);
	return at + 2;
}

static uint8_t *build_arp(uint8_t *at, const struct link_frame *f)
{
	static const uint8_t unknown[6];
	bool ask = f->kind == LINK_ASK;

	at = put16(at, ARP_ETHERNET);
	at = put16(at, TYPE_IPV4);
	at = put16(at, 6 << 8 | 4); /* lengths of both kinds of address */
	at = put16(at, ask ? ARP_REQUEST : ARP_REPLY);
	at = put(at, f->mac, 6);
	at = put(at, (ask ? &f->from : &f->target)->b + 12, 4);
	at = put(at, ask ? unknown : f->to_mac, 6);
	return put(at, (ask ? &f->target : &f->to)->b + 12, 4);
}

/* ---- Neighbour discovery ---- */

/* Of source, destination, length, next header and the message. */
static uint16_t nd_sum(const uint8_t *ip, size_t len)
{
	uint64_t sum = omni_sum(ip + 8, 32) + omni_sum(ip + OMNI_IPV6_HDR_LEN, len);

	return omni_sum_fold(sum + omni_sum_of16((uint32_t)len) + omni_sum_of16(PROTO_ICMPV6));
}

static int parse_options(struct link_frame *f, struct omni_reader *r, uint8_t wanted)
{
	while (omni_reader_left(r) > 0) {
		uint8_t type = omni_read_u8(r), units = omni_read_u8(r);
		const uint8_t *body = units > 0 ? omni_read(r, units * 8U - 2) : NULL;

		if (body == NULL)
			return -EBADMSG;
		if (type != wanted)
			continue;
		if (units != 1 || !is_mac(body))
			return -EBADMSG;
		memcpy(f->mac, body, sizeof(f->mac));
		f->has_mac = true;
	}
	return 0;
}

/* RFC 4861, sections 7.1.1 and 7.1.2. */
static int check_nd(const struct link_frame *f, const struct omni_ip *to)
{
	bool group = to->b[0] == 0xff;

	if (!omni_ip_is_unicast(&f->target) || omni_ip_is_v4(&f->target) || f->from.b[0] == 0xff)
		return -EBADMSG;
	if (f->kind == LINK_ANSWER)
		return group && f->solicited ? -EBADMSG : 0;
	if (omni_ip_is_none(&f->from)) {
		struct omni_ip solicited;
		uint8_t mac[6];

		link_solicited_node(&solicited, mac, &f->target);
		return f->has_mac || !omni_ip_equal(&solicited, to) ? -EBADMSG : 0;
	}
	return 0;
}

static int parse_nd(struct link_frame *f, const uint8_t *ip, size_t room)
{
	struct omni_reader r = omni_reader_init(ip, room);
	const uint8_t *head = omni_read(&r, OMNI_IPV6_HDR_LEN), *nd;
	struct omni_ip to;
	size_t len;
	int rc;

	if (head == NULL || head[0] >> 4 != 6 || head[6] != PROTO_ICMPV6)
		return -ENOMSG;
	len = omni_load_be16(head + 4);
	if (len > omni_reader_left(&r) || len < 8)
		return -EBADMSG;
	nd = head + OMNI_IPV6_HDR_LEN;
	if (nd[0] != ND_SOLICITATION && nd[0] != ND_ADVERTISEMENT)
		return -ENOMSG;
	if (len < ND_LEN || head[7] != HOPS || nd[1] != 0 || nd_sum(head, len) != 0xffff)
		return -EBADMSG;
	f->kind = nd[0] == ND_SOLICITATION ? LINK_ASK : LINK_ANSWER;
	f->router = (nd[4] & ND_ROUTER) != 0;
	f->solicited = (nd[4] & ND_SOLICITED) != 0;
	f->override = (nd[4] & ND_OVERRIDE) != 0;
	memcpy(f->from.b, head + 8, sizeof(f->from.b));
	memcpy(to.b, head + 24, sizeof(to.b));
	memcpy(f->target.b, nd + 8, sizeof(f->target.b));
	r = omni_reader_init(nd + ND_LEN, len - ND_LEN);
	rc = parse_options(f, &r, f->kind == LINK_ASK ? OPTION_SOURCE : OPTION_TARGET);
	return rc == 0 ? check_nd(f, &to) : rc;
}

static uint8_t *build_nd(uint8_t *ip, const struct link_frame *f)
{
	bool ask = f->kind == LINK_ASK, option = !ask || !omni_ip_is_none(&f->from);
	uint16_t len = ND_LEN + (option ? 8 : 0), sum;
	uint8_t *at = ip;

	at = put16(at, 6 << 12);
	at = put16(at, 0);
	at = put16(at, len);
	at = put16(at, PROTO_ICMPV6 << 8 | HOPS);
	at = put(at, f->from.b, sizeof(f->from.b));
	at = put(at, f->to.b, sizeof(f->to.b));
	at = put16(at, (ask ? ND_SOLICITATION : ND_ADVERTISEMENT) << 8);
	at = put16(at, 0);
	at = put16(at, (uint16_t)(((f->router ? ND_ROUTER : 0) | (f->solicited ? ND_SOLICITED : 0) |
				   (f->override ? ND_OVERRIDE : 0))
				  << 8));
	at = put16(at, 0);
	at = put(at, f->target.b, sizeof(f->target.b));
	if (option) {
		at = put16(at, (ask ? OPTION_SOURCE : OPTION_TARGET) << 8 | 1);
		at = put(at, f->mac, sizeof(f->mac));
	}
	sum = (uint16_t)~nd_sum(ip, len);
	memcpy(ip + OMNI_IPV6_HDR_LEN + 2, &sum, sizeof(sum));
	return at;
}

void link_solicited_node(struct omni_ip *group, uint8_t mac[6], const struct omni_ip *ip)
{
	static const struct omni_ip base = {.b = {0xff, 0x02, [11] = 1, [12] = 0xff}};

	*group = base;
	memcpy(group->b + 13, ip->b + 13, 3);
	mac[0] = mac[1] = 0x33;
	memcpy(mac + 2, group->b + 12, 4);
}

struct omni_ip link_local(const uint8_t mac[6])
{
	struct omni_ip ip = {.b = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};

	memcpy(ip.b + 8, mac, 3);
	ip.b[8] ^= 0x02;
	memcpy(ip.b + 13, mac + 3, 3);
	return ip;
}

/* ---- Both ---- */

int link_frame_parse(struct link_frame *f, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	uint16_t type;

	memset(f, 0, sizeof(*f));
	omni_read_copy(&r, f->to_mac, sizeof(f->to_mac));
	omni_read_copy(&r, f->from_mac, sizeof(f->from_mac));
	type = omni_read_be16(&r);
	if (r.failed || !is_mac(f->from_mac))
		return -EBADMSG;
	if (type == TYPE_ARP)
		return parse_arp(f, &r);
	return type == TYPE_IPV6 ? parse_nd(f, r.p, omni_reader_left(&r)) : -ENOMSG;
}

size_t link_frame_build(uint8_t out[LINK_FRAME_MAX], const struct link_frame *f)
{
	bool v4 = omni_ip_is_v4(&f->target);
	uint8_t *at = out;

	memset(out, 0, LINK_FRAME_MAX);
	at = put(at, f->to_mac, 6);
	at = put(at, f->from_mac, 6);
	at = put16(at, v4 ? TYPE_ARP : TYPE_IPV6);
	at = v4 ? build_arp(at, f) : build_nd(at, f);
	return OMNI_MAX((size_t)(at - out), (size_t)LINK_FRAME_MIN);
}
