/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "netlink.h"

#define BUFFER_LEN 32768
#define WATCH_BUFFER (1024 * 1024)
#define SAME_RULES_MAX 64

union buffer {
	struct nlmsghdr align;
	char b[BUFFER_LEN];
};

struct mnl_socket *netlink_open(unsigned int groups)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int size = WATCH_BUFFER;

	if (nl == NULL)
		return NULL;
	if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(nl);
		return NULL;
	}
	/* As much as the kernel lets us have; an overflow is noticed and made good. */
	if (groups != 0 &&
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		errno = 0;
	return nl;
}

void netlink_close(struct mnl_socket *nl)
{
	if (nl != NULL)
		mnl_socket_close(nl);
}

/* ---- One request and its answer ---- */

/* What an earlier request, given up after an error, left behind. */
static void drain(const struct mnl_socket *nl)
{
	char byte;

	while (recv(mnl_socket_get_fd(nl), &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
		continue;
}

/* h stands in buf, which is used for the answer too. */
static int request(struct mnl_socket *nl, union buffer *buf, struct nlmsghdr *h, mnl_cb_t cb,
		   void *arg)
{
	static unsigned int seq;
	int rc = MNL_CB_OK, err = 0;

	drain(nl);
	h->nlmsg_flags |= NLM_F_REQUEST;
	h->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	while (rc > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(*buf));

		if (n <= 0)
			return n < 0 && errno != EAGAIN ? -errno : -EIO;
		rc = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), cb, arg);
		err = errno;
	}
	return rc < 0 ? -err : 0;
}

static void put_ip(struct nlmsghdr *h, uint16_t type, const struct omni_ip *ip)
{
	if (omni_ip_is_v4(ip))
		mnl_attr_put(h, type, 4, ip->b + 12);
	else
		mnl_attr_put(h, type, sizeof(ip->b), ip->b);
}

static bool get_ip(struct omni_ip *ip, const void *at, size_t len)
{
	uint32_t be;

	if (len == sizeof(be)) {
		memcpy(&be, at, sizeof(be));
		*ip = omni_ip_from_v4(be);
		return true;
	}
	if (len != sizeof(ip->b))
		return false;
	memcpy(ip->b, at, sizeof(ip->b));
	return true;
}

static bool attr_ip(struct omni_ip *ip, const struct nlattr *a)
{
	return get_ip(ip, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
}

/* ---- Routes ---- */

static int on_route(const struct nlmsghdr *h, void *arg)
{
	struct netlink_route *route = arg;
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->type = rtm->rtm_type;
	route->dst_len = rtm->rtm_dst_len;
	mnl_attr_for_each(a, h, sizeof(*rtm))
	{
		size_t len = mnl_attr_get_payload_len(a);
		const uint8_t *p = mnl_attr_get_payload(a);

		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			if (len == sizeof(uint32_t))
				route->ifindex = mnl_attr_get_u32(a);
			break;
		case RTA_GATEWAY:
			attr_ip(&route->gateway, a);
			break;
		case RTA_VIA: /* struct rtvia: family, address */
			if (len > sizeof(struct rtvia))
				get_ip(&route->gateway, p + sizeof(struct rtvia),
				       len - sizeof(struct rtvia));
			break;
		case RTA_PREFSRC:
			attr_ip(&route->source, a);
			break;
		default:
			break;
		}
	}
	return MNL_CB_OK;
}

int netlink_route_get(struct mnl_socket *nl, const struct omni_ip *to, unsigned int ifindex,
		      uint32_t mark, bool match_only, struct netlink_route *route)
{
	union buffer buf;
	struct nlmsghdr *h = mnl_nlmsg_put_header(&buf);
	struct rtmsg *rtm;
	int rc;

	memset(route, 0, sizeof(*route));
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_ACK;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = omni_ip_is_v4(to) ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = omni_ip_is_v4(to) ? 32 : 128;
	rtm->rtm_flags = match_only ? RTM_F_FIB_MATCH : 0;
	put_ip(h, RTA_DST, to);
	if (ifindex != 0)
		mnl_attr_put_u32(h, RTA_OIF, ifindex);
	if (mark != 0)
		mnl_attr_put_u32(h, RTA_MARK, mark);
	rc = request(nl, &buf, h, on_route, route);
	return rc == -EHOSTUNREACH || rc == -ENODEV ? -ENETUNREACH : rc;
}

int netlink_route_change(struct mnl_socket *nl, bool add, const struct omni_prefix *prefix,
			 unsigned int ifindex, uint32_t table)
{
	union buffer buf;
	struct nlmsghdr *h = mnl_nlmsg_put_header(&buf);
	struct rtmsg *rtm;

	h->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
	h->nlmsg_flags = (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = omni_ip_is_v4(&prefix->ip) ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = prefix->len;
	rtm->rtm_table = table <= UINT8_MAX ? (uint8_t)table : RT_TABLE_UNSPEC;
	rtm->rtm_protocol = RTPROT_STATIC;
	rtm->rtm_scope = RT_SCOPE_LINK;
	rtm->rtm_type = RTN_UNICAST;
	put_ip(h, RTA_DST, &prefix->ip);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	mnl_attr_put_u32(h, RTA_TABLE, table);
	return request(nl, &buf, h, NULL, NULL);
}

/* The one that asks the table, or the one before it. */
static int rule_change(struct mnl_socket *nl, bool add, uint8_t family, uint32_t mark,
		       uint32_t table)
{
	union buffer buf;
	struct nlmsghdr *h = mnl_nlmsg_put_header(&buf);
	bool ask = table != RT_TABLE_MAIN;
	struct fib_rule_hdr *rule;

	h->nlmsg_type = add ? RTM_NEWRULE : RTM_DELRULE;
	h->nlmsg_flags = (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
	rule = mnl_nlmsg_put_extra_header(h, sizeof(*rule));
	rule->family = family;
	rule->action = FR_ACT_TO_TBL;
	rule->flags = ask ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(h, FRA_TABLE, table);
	if (ask)
		mnl_attr_put_u32(h, FRA_FWMARK, mark);
	else
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, 0);
	return request(nl, &buf, h, NULL, NULL);
}

/* With others of the same words, which an earlier life left behind. */
static int rule_remove(struct mnl_socket *nl, uint8_t family, uint32_t mark, uint32_t table)
{
	int rc = 0;

	for (unsigned int i = 0; i < SAME_RULES_MAX && rc == 0; i++)
		rc = rule_change(nl, false, family, mark, table);
	return rc == -ENOENT ? 0 : rc;
}

static int rule_add(struct mnl_socket *nl, uint8_t family, uint32_t mark, uint32_t table)
{
	int rc = rule_change(nl, true, family, mark, table);

	return rc == -EEXIST ? 0 : rc;
}

int netlink_default_rules(struct mnl_socket *nl, bool add, uint8_t family, uint32_t mark,
			  uint32_t table)
{
	int rc;

	if (!add) {
		rc = rule_remove(nl, family, mark, table);
		return rc != 0 ? rc : rule_remove(nl, family, mark, RT_TABLE_MAIN);
	}
	/* The kernel puts the later one before the other. */
	rc = rule_add(nl, family, mark, table);
	if (rc == 0)
		rc = rule_add(nl, family, mark, RT_TABLE_MAIN);
	if (rc != 0)
		(void)rule_remove(nl, family, mark, table);
	return rc;
}

/* ---- Neighbours ---- */

static bool parse_neigh(const struct nlmsghdr *h, struct netlink_neigh *neigh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(h);
	struct nlattr *a;
	bool has_ip = false;

	memset(neigh, 0, sizeof(*neigh));
	if (mnl_nlmsg_get_payload_len(h) < sizeof(*ndm))
		return false;
	neigh->ifindex = (unsigned int)ndm->ndm_ifindex;
	neigh->state = h->nlmsg_type == RTM_DELNEIGH ? NUD_NONE : ndm->ndm_state;
	mnl_attr_for_each(a, h, sizeof(*ndm))
	{
		if (mnl_attr_get_type(a) == NDA_DST) {
			has_ip = attr_ip(&neigh->ip, a);
		} else if (mnl_attr_get_type(a) == NDA_LLADDR &&
			   mnl_attr_get_payload_len(a) == sizeof(neigh->mac)) {
			memcpy(neigh->mac, mnl_attr_get_payload(a), sizeof(neigh->mac));
			neigh->has_mac = (neigh->state & ~(NUD_INCOMPLETE | NUD_FAILED)) != 0;
		}
	}
	return has_ip;
}

static int on_neigh(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWNEIGH && !parse_neigh(h, arg))
		return MNL_CB_ERROR;
	return MNL_CB_OK;
}

static struct nlmsghdr *neigh_header(union buffer *buf, uint16_t type, unsigned int ifindex,
				     const struct omni_ip *ip, struct ndmsg **ndm)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_ACK;
	*ndm = mnl_nlmsg_put_extra_header(h, sizeof(**ndm));
	(*ndm)->ndm_family = omni_ip_is_v4(ip) ? AF_INET : AF_INET6;
	(*ndm)->ndm_ifindex = (int)ifindex;
	put_ip(h, NDA_DST, ip);
	return h;
}

int netlink_neigh_get(struct mnl_socket *nl, unsigned int ifindex, const struct omni_ip *ip,
		      struct netlink_neigh *neigh)
{
	union buffer buf;
	struct ndmsg *ndm;
	struct nlmsghdr *h = neigh_header(&buf, RTM_GETNEIGH, ifindex, ip, &ndm);

	memset(neigh, 0, sizeof(*neigh));
	return request(nl, &buf, h, on_neigh, neigh);
}

int netlink_neigh_use(struct mnl_socket *nl, unsigned int ifindex, const struct omni_ip *ip)
{
	union buffer buf;
	struct ndmsg *ndm;
	struct nlmsghdr *h = neigh_header(&buf, RTM_NEWNEIGH, ifindex, ip, &ndm);

	h->nlmsg_flags |= NLM_F_CREATE | NLM_F_REPLACE;
	ndm->ndm_flags = NTF_USE;
	return request(nl, &buf, h, NULL, NULL);
}

/* ---- Addresses ---- */

struct address_list {
	struct netlink_address *out;
	unsigned int n, max;
};

static int on_address(const struct nlmsghdr *h, void *arg)
{
	struct address_list *list = arg;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	struct netlink_address *to;
	uint32_t flags = ifa->ifa_flags;
	struct nlattr *a;
	bool has_local = false;

	if (h->nlmsg_type != RTM_NEWADDR || list->n == list->max)
		return MNL_CB_OK;
	to = &list->out[list->n];
	memset(to, 0, sizeof(*to));
	to->ifindex = ifa->ifa_index;
	mnl_attr_for_each(a, h, sizeof(*ifa))
	{
		uint16_t type = mnl_attr_get_type(a);

		/* IFA_ADDRESS is the far end of a point-to-point link, where both are there. */
		if (type == IFA_LOCAL)
			has_local = attr_ip(&to->ip, a);
		else if (type == IFA_ADDRESS && !has_local)
			attr_ip(&to->ip, a);
		else if (type == IFA_FLAGS && mnl_attr_get_payload_len(a) == sizeof(flags))
			flags = mnl_attr_get_u32(a);
	}
	to->usable = ifa->ifa_scope == RT_SCOPE_UNIVERSE &&
		     (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) == 0;
	list->n += omni_ip_is_none(&to->ip) ? 0 : 1;
	return MNL_CB_OK;
}

int netlink_addresses(struct mnl_socket *nl, struct netlink_address *out, unsigned int max)
{
	struct address_list list = {.out = out, .max = max};
	union buffer buf;
	struct nlmsghdr *h = mnl_nlmsg_put_header(&buf);
	struct ifaddrmsg *ifa;
	int rc;

	h->nlmsg_type = RTM_GETADDR;
	h->nlmsg_flags = NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(h, sizeof(*ifa));
	ifa->ifa_family = AF_UNSPEC;
	rc = request(nl, &buf, h, on_address, &list);
	return rc < 0 ? rc : (int)list.n;
}

/* ---- News ---- */

static int on_news(const struct nlmsghdr *h, void *arg)
{
	struct netlink_news *news = arg;
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct netlink_neigh neigh;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (parse_neigh(h, &neigh))
			news->neigh(news->arg, &neigh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		news->addresses = true;
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
		news->routes = true;
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if ((unsigned int)ifi->ifi_index == news->ifindex)
			news->links = true;
		if (news->link != NULL)
			news->link(news->arg, (unsigned int)ifi->ifi_index,
				   (ifi->ifi_flags & IFF_UP) != 0);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

void netlink_read(struct mnl_socket *nl, struct netlink_news *news)
{
	union buffer buf;

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl, &buf, sizeof(buf));

		if (n > 0) {
			mnl_cb_run(&buf, (size_t)n, 0, 0, on_news, news);
			continue;
		}
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			news->lost = true;
			continue;
		}
		return;
	}
}
