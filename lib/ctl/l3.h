/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * L3 clusters: whose an address is. Routes to ourselves, to our ports and to members' VIPs in the
 * workers' table, and what the kernel is told of it where one of our ports is a kernel interface.
 */
#ifndef CTL_L3_H
#define CTL_L3_H

#include "ctl_priv.h"

#define CTL_ADVERTISE_MAX OMNI_CONFIG_ADVERTISE_MAX /* prefixes of a member */

/* A port of an L3 cluster. */
struct ctl_l3_port {
	const struct omni_config_port *conf;
	uint16_t id;
	bool up;
	omni_dest side;		/* tap: the kernel's interface; MISS: not known or none */
	uint8_t side_mac[6];	/* of it */
	bool has_kernel_routes; /* the kernel is told what is routed to others */
};

struct ctl_l3 {
	struct ctl_l3_port port[OMNI_BRIDGE_PORTS_MAX];
	unsigned int n_ports;
	bool asks; /* a Nucleus is asked for members: by addresses in `ask` */
	struct omni_prefix ask;
	struct omni_prefix *told; /* prefixes behind us, as members are told: advertise.c */
	uint32_t n_told;
	uint64_t told_version; /* 0: never any */
};

/* The route to one address. */
static inline struct omni_prefix ctl_l3_host(const struct omni_ip *ip)
{
	return (struct omni_prefix){.ip = *ip, .len = omni_ip_is_v4(ip) ? 32 : 128};
}

static inline omni_dest ctl_l3_peer_dest(const struct ctl_peer *peer)
{
	return omni_dest_make(OMNI_DEST_PEER, peer->pub->index, peer->pub->generation);
}

static inline omni_dest ctl_l3_port_dest(const struct omni_port *port)
{
	return omni_dest_make(OMNI_DEST_PORT, port->id, port->generation);
}

/* Every address of inner lies in outer. */
bool ctl_prefix_covers(const struct omni_prefix *outer, const struct omni_prefix *inner);

/* Where packets to ip go; OMNI_DEST_MISS. */
omni_dest ctl_l3_lookup(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const struct omni_ip *ip);

/*
 * Our address number i, with the length of its subnet: the VIP, then those beside it, then those
 * of ports. False where there are fewer.
 */
bool ctl_l3_address(const struct ctl_cluster *c, unsigned int i, struct omni_prefix *out);
/* One of them? */
bool ctl_l3_is_ours(const struct ctl_cluster *c, const struct omni_ip *ip);
/* The port of that id in the cluster; NULL. */
struct ctl_l3_port *ctl_l3_port_of(struct ctl_cluster *c, uint16_t id);

/* The port that a prefix is behind: by its own subnet, else the host's, else the first; NULL. */
const struct ctl_l3_port *ctl_l3_behind(const struct ctl_cluster *c,
					const struct omni_prefix *prefix);

/* The router on the port's link that ip is behind; NULL: none. */
const struct omni_config_via *ctl_l3_via(const struct ctl_l3_port *p, const struct omni_ip *ip);

/* ---- Prefixes behind members: advertise.c ---- */

/* Tell members where what is behind us has changed. */
void ctl_advertise_look(struct omni_ctl *ctl, struct ctl_cluster *c);

/* ---- Whose an address is: holders.c ---- */

/*
 * Why a prefix may not be routed to the member that tells of it: it holds where datagrams to a
 * peer go, or the VIP of another member of its cluster. NULL: it holds nobody's. An address that
 * somebody has for less than a second may be overlooked. Costs about the logarithm of the number
 * of peers, and each second at most once a sorting of all their addresses.
 */
const char *ctl_holders_why(struct omni_ctl *ctl, const struct ctl_peer *teller,
			    const struct omni_prefix *prefix);
void ctl_holders_fini(struct omni_ctl *ctl);

/* ---- Members on demand: ask.c ---- */

#define CTL_ASKS_MAX 256 /* of one cluster, those answered with no included */
#define CTL_ASKS_PER_S 50
#define CTL_ASKS_BURST 100
#define CTL_ASK_NS (5 * OMNI_NS_PER_S)		 /* as long as packets wait */
#define CTL_ASK_REJECTED_NS (10 * OMNI_NS_PER_S) /* senders are refused for so long */

/* Somebody who is looked for. Servers are bits, by their index in the configuration. */
struct ctl_ask {
	struct ctl_link link; /* by cluster and address */
	TAILQ_ENTRY(ctl_ask) entry;
	struct ctl_cluster *cluster;
	struct omni_ip vip;
	uint32_t asked, answered;
	bool rejected; /* nobody knows it */
	uint64_t due_ns;
};

TAILQ_HEAD(ctl_ask_list, ctl_ask);

int ctl_asks_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_asks_fini(struct omni_ctl *ctl);
void ctl_asks_tick(struct omni_ctl *ctl, uint64_t now);
/* The oldest that this server has yet to be asked for; NULL. */
struct ctl_ask *ctl_ask_next(struct omni_ctl *ctl, const struct ctl_cluster *c, uint32_t server);
/* The server answered; found: and the member is a peer now. */
void ctl_ask_answered(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		      uint32_t server, bool found);
/* The question was lost with the session: it is asked again. */
void ctl_ask_lost(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		  uint32_t server);
/* Somebody has registered with that address: refuse packets to it no longer. */
void ctl_ask_news(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip);

/* ---- kernel_routes.c ---- */

int ctl_kernel_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_kernel_fini(struct omni_ctl *ctl);
/* Bring the kernel's routes over our ports in line with the workers'. */
void ctl_kernel_tick(struct omni_ctl *ctl, uint64_t now);

#endif
