/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hosts on the links of L3 clusters' Ethernet ports: what rpc_tables.c reads of neighbours.c. */
#ifndef CTL_NEIGHBOURS_H
#define CTL_NEIGHBOURS_H

#include "l3.h"

#define NEIGH_PORT_MAX 1024 /* of one port */
#define NEIGH_ASKED_MAX 256 /* of them those that nobody has answered for */
#define NEIGH_MACS 1024	    /* their MACs are counted in so many places */
#define NEIGH_TRIES 3
#define NEIGH_TRY_NS OMNI_NS_PER_S
#define NEIGH_FRESH_NS (30 * OMNI_NS_PER_S) /* from when it was heard to the next question */
#define NEIGH_FAILED_NS (5 * OMNI_NS_PER_S) /* packets to it are refused for so long */
#define NEIGH_ASKS_PER_S 100		    /* of one port, first questions */
#define NEIGH_ASKS_BURST 256
#define NEIGH_ANSWERS_PER_S 1000 /* of one port */
#define NEIGH_ANSWERS_BURST 256
#define NEIGH_ANNOUNCED 3		   /* times, NEIGH_TRY_NS apart, when a link comes up */
#define NEIGH_TOLD_NS (60 * OMNI_NS_PER_S) /* between two lines about duplicates */

enum ctl_neigh_state {
	CTL_NEIGH_ASKED, /* nobody has answered yet */
	CTL_NEIGH_REACHABLE,
	CTL_NEIGH_STALE, /* asked again, before it is given up */
	CTL_NEIGH_FAILED,
};

struct ctl_neigh {
	struct ctl_link link; /* by cluster and address */
	TAILQ_ENTRY(ctl_neigh) entry;
	struct ctl_cluster *cluster;
	struct omni_ip ip;
	uint16_t port;
	uint8_t mac[6];
	uint16_t mac_slot; /* of NEIGH_MACS; several MACs may share one */
	enum ctl_neigh_state state;
	unsigned int tries;
	uint64_t due_ns, heard_ns; /* heard_ns 0: never */
	omni_dest dest;		   /* its adjacency; MISS: none */
};

TAILQ_HEAD(ctl_neigh_list, ctl_neigh);

/* What belongs to a port. */
struct ctl_neigh_port {
	unsigned int n, asked, announce;
	uint64_t announce_ns;
	uint64_t told_ns;
	struct ctl_bucket asks, answers;
};

struct ctl_neighbours {
	struct ctl_index by_ip;
	struct ctl_neigh_list all; /* oldest first */
	struct ctl_neigh_port port[OMNI_PORTS_MAX];
};

int ctl_neighbours_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_neighbours_fini(struct omni_ctl *ctl);
void ctl_neighbours_tick(struct omni_ctl *ctl, uint64_t now);
/* The link of a port came up: say who we are. Or went down: forget who is there. */
void ctl_neighbours_link(struct omni_ctl *ctl, uint16_t port, bool up);

#endif
