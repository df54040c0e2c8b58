/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The cache of ways to addresses. A hop is one remote address, a neigh one MAC on the link. */
#ifndef CTL_NEXTHOP_H
#define CTL_NEXTHOP_H

#include "ctl_priv.h"
#include "netlink.h"

#define HOPS_IDLE_MAX 8192 /* remembered, and held by nobody */
#define NEIGH_ASK_NS OMNI_NS_PER_S
#define NEIGH_REFRESH_NS (10 * OMNI_NS_PER_S)
#define HOP_WANTED_NS (10 * OMNI_NS_PER_S) /* after it was last asked for */
#define ROUTES_CALM_NS OMNI_NS_PER_S	   /* between two times that all routes are looked up */
#define ADDRESSES_MAX 1024

struct neigh {
	struct ctl_link link; /* by ip */
	TAILQ_ENTRY(neigh) entry;
	TAILQ_HEAD(, hop) hops;
	struct omni_ip ip;
	bool has_mac; /* the last one known, even while the kernel has none */
	bool announce;
	uint8_t mac[6];
	uint64_t asked_ns;
};

struct hop {
	struct ctl_link link;	/* by ip */
	TAILQ_ENTRY(hop) entry; /* of the idle (longest unused first) or of the held */
	TAILQ_ENTRY(hop) of_via;
	struct neigh *via; /* NULL: no route, or the kernel's own business */
	bool reached;	   /* there is a route */
	struct omni_ip ip, source;
	uint32_t routes; /* generation of the routes that this follows from; 0: none yet */
	uint32_t held;
	bool looped; /* but it leads into a port of ours */
	bool warned;
	uint64_t wanted_ns, looked_ns;
};

struct ctl_nexthops {
	struct mnl_socket *ask, *watch;
	uv_poll_t poll;
	bool polling;
	struct omni_port *port;
	uint32_t mark;		     /* of our datagrams, for the kernel's rules */
	struct omni_port_info known; /* of port, as last acted on */
	struct ctl_index hops, neighs;
	TAILQ_HEAD(hop_list, hop) idle, held;
	TAILQ_HEAD(, neigh) all;
	unsigned int n_idle;
	uint32_t routes; /* generation */
	bool routes_dirty, addresses_dirty;
	uint64_t routes_ns, swept_ns;
	struct netlink_address address[ADDRESSES_MAX];
	unsigned int n_addresses;
};

#endif
