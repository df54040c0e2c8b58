/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The kernel's routes, neighbours and addresses by rtnetlink (rtnetlink(7)). Requests are
 * answered by the kernel before sendto() returns, so nothing here waits. Control.
 */
#ifndef CTL_NETLINK_H
#define CTL_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_addr.h>

struct mnl_socket;

struct netlink_route {
	struct omni_ip gateway; /* none: on the link */
	struct omni_ip source;	/* preferred; none: not said */
	unsigned int ifindex;
	uint8_t type;	 /* RTN_* */
	uint8_t dst_len; /* bits of the route that matched; with match_only */
};

struct netlink_neigh {
	struct omni_ip ip;
	unsigned int ifindex;
	uint16_t state; /* NUD_*; 0 (NUD_NONE): there is none */
	bool has_mac;
	uint8_t mac[6];
};

struct netlink_address {
	struct omni_ip ip;
	unsigned int ifindex;
	bool usable; /* of global scope, not tentative, failed or deprecated */
};

/* groups: a mask as of struct sockaddr_nl. NULL and errno. */
struct mnl_socket *netlink_open(unsigned int groups);
void netlink_close(struct mnl_socket *nl); /* NULL is fine */

/*
 * The route to an address out of an interface (0: out of any) for what has that mark. 0,
 * -ENETUNREACH where there is none, other -errno. match_only: only say whether a route stands in a
 * table, since IPv4 takes every address for one on the link where the tables say nothing about that
 * interface.
 */
int netlink_route_get(struct mnl_socket *nl, const struct omni_ip *to, unsigned int ifindex,
		      uint32_t mark, bool match_only, struct netlink_route *route);

/*
 * Add a route to prefix out of an interface, or take ours away again. 0, -EEXIST where somebody
 * else's is there, -ESRCH where there is none, other -errno.
 */
int netlink_route_change(struct mnl_socket *nl, bool add, const struct omni_prefix *prefix,
			 unsigned int ifindex, uint32_t table);

/*
 * Add or take away the two routing rules of one family (AF_*) that make a table the way for what
 * has not that mark, behind all routes of the main table but the default one: "not fwmark MARK
 * lookup TABLE", and before it "lookup main suppress_prefixlength 0", as wg-quick(8) has them. 0
 * also where they are there already, or not any more; other -errno, and none was added.
 */
int netlink_default_rules(struct mnl_socket *nl, bool add, uint8_t family, uint32_t mark,
			  uint32_t table);

/* -ENOENT: the kernel has no such entry. */
int netlink_neigh_get(struct mnl_socket *nl, unsigned int ifindex, const struct omni_ip *ip,
		      struct netlink_neigh *neigh);

/* Make the kernel resolve it, as `ip neigh replace IP dev X use` does. */
int netlink_neigh_use(struct mnl_socket *nl, unsigned int ifindex, const struct omni_ip *ip);

/* Up to max addresses of every interface; returns how many, or -errno. */
int netlink_addresses(struct mnl_socket *nl, struct netlink_address *out, unsigned int max);

/* What the groups told. */
struct netlink_news {
	bool routes, addresses, links, lost; /* lost: some news were */
	void (*neigh)(void *arg, const struct netlink_neigh *neigh);
	void (*link)(void *arg, unsigned int ifindex, bool up); /* of every one; or NULL */
	unsigned int ifindex;					/* links of this one only */
	void *arg;
};

/* Read all that waits. */
void netlink_read(struct mnl_socket *nl, struct netlink_news *news);

#endif
