/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "neighbours.h"

#define AUTO_FIRST_BYTE 0xfd /* of derived addresses */

/* ---- Prefixes ---- */

bool ctl_prefix_covers(const struct omni_prefix *outer, const struct omni_prefix *inner)
{
	return outer->len <= inner->len && omni_prefix_contains(outer, &inner->ip);
}

omni_dest ctl_l3_lookup(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const struct omni_ip *ip)
{
	const uint8_t *v6 = ip->b;
	omni_dest dest = OMNI_DEST_MISS;
	uint32_t v4;

	if (omni_ip_is_v4(ip)) {
		v4 = __builtin_bswap32(omni_ip_to_v4(ip));
		omni_fib_lookup4(ctl->conf.fib, c->number, &v4, 1, &dest);
	} else {
		omni_fib_lookup6(ctl->conf.fib, c->number, &v6, 1, &dest);
	}
	return dest;
}

/* ---- Our addresses ---- */

bool ctl_l3_address(const struct ctl_cluster *c, unsigned int i, struct omni_prefix *out)
{
	if (i == 0) {
		*out = (struct omni_prefix){.ip = c->vip, .len = c->conf->vip.len};
		return true;
	}
	if (--i < c->conf->n_addresses) {
		*out = c->conf->addresses[i];
		return true;
	}
	i -= c->conf->n_addresses;
	for (unsigned int p = 0; p < c->l3->n_ports; p++) {
		const struct omni_config_port *conf = c->l3->port[p].conf;

		if (conf->carries != OMNI_ADDRESS_OWN || i-- > 0)
			continue;
		*out = conf->address;
		return true;
	}
	return false;
}

bool ctl_l3_is_ours(const struct ctl_cluster *c, const struct omni_ip *ip)
{
	struct omni_prefix own;

	for (unsigned int i = 0; c->l3 != NULL && ctl_l3_address(c, i, &own); i++)
		if (omni_ip_equal(&own.ip, ip))
			return true;
	return false;
}

struct ctl_l3_port *ctl_l3_port_of(struct ctl_cluster *c, uint16_t id)
{
	for (unsigned int i = 0; c->l3 != NULL && i < c->l3->n_ports; i++)
		if (c->l3->port[i].id == id)
			return &c->l3->port[i];
	return NULL;
}

static void set_route(struct omni_ctl *ctl, const struct ctl_cluster *c,
		      const struct omni_prefix *prefix, omni_dest dest)
{
	char text[OMNI_PREFIX_TEXT_LEN];
	int rc;

	if (omni_fib_get(ctl->conf.fib, c->number, prefix) == dest)
		return;
	rc = omni_fib_set(ctl->conf.fib, c->number, prefix, dest);
	if (rc == 0)
		return;
	ctl_count(ctl, OMNI_STAT_ctl_routes_full);
	omni_log_warn(LOG_CTL, "no room for a route", "cluster=%s prefix=%s error=\"%s\"",
		      c->conf->name, omni_prefix_text(text, prefix), strerror(-rc));
}

/* Does the kernel's interface of a port carry addresses of ours? */
static bool is_carried(const struct ctl_l3_port *p, enum omni_config_address which)
{
	return p->conf->carries == which && omni_config_is_host(p->conf);
}

/* Where packets to an address on the kernel's interface of a port go. */
static omni_dest kernel_side(const struct omni_ctl *ctl, const struct ctl_l3_port *p)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, p->id);

	if (port == NULL)
		return OMNI_DEST_MISS;
	return port->info.raw_ip ? ctl_l3_port_dest(port) : p->side;
}

/* The first port whose interface carries the VIP; else workers answer for it themselves. */
static omni_dest our_dest(const struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	for (unsigned int i = 0; i < c->l3->n_ports; i++)
		if (is_carried(&c->l3->port[i], OMNI_ADDRESS_VIP))
			return kernel_side(ctl, &c->l3->port[i]);
	return omni_dest_make(OMNI_DEST_SELF, 0, 0);
}

/* Where the kernel takes what peers send to addresses that nobody here has. */
static omni_dest host_dest(const struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	for (unsigned int i = 0; i < c->l3->n_ports; i++)
		if (omni_config_is_host(c->l3->port[i].conf))
			return kernel_side(ctl, &c->l3->port[i]);
	return OMNI_DEST_MISS;
}

const struct omni_config_via *ctl_l3_via(const struct ctl_l3_port *p, const struct omni_ip *ip)
{
	const struct omni_config_via *best = NULL;

	for (unsigned int i = 0; i < p->conf->n_via; i++) {
		const struct omni_config_via *via = &p->conf->via[i];

		if (omni_prefix_contains(&via->to, ip) &&
		    (best == NULL || via->to.len > best->to.len))
			best = via;
	}
	return best;
}

/* Of routers on the link and what is behind them the MAC is asked for first. */
static void route_via(struct omni_ctl *ctl, const struct ctl_cluster *c,
		      const struct ctl_l3_port *p, const struct omni_port *port)
{
	for (unsigned int i = 0; i < p->conf->n_via; i++) {
		const struct omni_config_via *via = &p->conf->via[i];
		struct omni_prefix gateway = ctl_l3_host(&via->gateway);

		if (omni_fib_get(ctl->conf.fib, c->number, &gateway) == OMNI_DEST_MISS)
			set_route(ctl, c, &gateway, ctl_l3_port_dest(port));
		if (omni_fib_get(ctl->conf.fib, c->number, &via->to) == OMNI_DEST_MISS)
			set_route(ctl, c, &via->to, ctl_l3_port_dest(port));
	}
}

static void route_port(struct omni_ctl *ctl, const struct ctl_cluster *c, struct ctl_l3_port *p)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, p->id);
	struct omni_prefix own = ctl_l3_host(&p->conf->address.ip);

	if (port != NULL)
		route_via(ctl, c, p, port);
	if (p->conf->carries != OMNI_ADDRESS_OWN || port == NULL)
		return;
	set_route(ctl, c, &own,
		  is_carried(p, OMNI_ADDRESS_OWN) ? kernel_side(ctl, p)
						  : omni_dest_make(OMNI_DEST_SELF, 0, 0));
	if (p->conf->address.len < own.len)
		set_route(ctl, c, &p->conf->address, ctl_l3_port_dest(port));
}

const struct ctl_l3_port *ctl_l3_behind(const struct ctl_cluster *c,
					const struct omni_prefix *prefix)
{
	const struct ctl_l3_port *host = NULL, *p;

	for (unsigned int i = 0; i < c->l3->n_ports; i++) {
		p = &c->l3->port[i];
		if (ctl_l3_via(p, &prefix->ip) != NULL)
			return p;
		if (p->conf->carries == OMNI_ADDRESS_OWN &&
		    (ctl_prefix_covers(&p->conf->address, prefix) ||
		     ctl_prefix_covers(prefix, &p->conf->address)))
			return p;
		if (host == NULL && omni_config_is_host(p->conf))
			host = p;
	}
	return host != NULL || c->l3->n_ports == 0 ? host : &c->l3->port[0];
}

/* What is advertised is behind a port, or behind the host whose interface that is. */
static void route_advertised(struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	for (unsigned int i = 0; i < c->conf->n_advertise; i++) {
		const struct omni_prefix *prefix = &c->conf->advertise[i];
		const struct ctl_l3_port *p = ctl_l3_behind(c, prefix);
		const struct omni_port *port =
			p != NULL ? omni_port_get(ctl->conf.ports, p->id) : NULL;
		bool known = p != NULL && (ctl_l3_via(p, &prefix->ip) != NULL ||
					   (p->conf->carries == OMNI_ADDRESS_OWN &&
					    ctl_prefix_covers(&p->conf->address, prefix)));

		if (port == NULL || known)
			continue;
		set_route(ctl, c, prefix,
			  omni_config_is_host(p->conf) && p->conf->carries != OMNI_ADDRESS_NONE
				  ? kernel_side(ctl, p)
				  : ctl_l3_port_dest(port));
	}
}

/* Every route that follows from our configuration and our ports alone. */
static void route_ours(struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	omni_dest dest = our_dest(ctl, c);
	struct omni_prefix own;

	for (unsigned int i = 0; i <= c->conf->n_addresses; i++) {
		(void)ctl_l3_address(c, i, &own);
		own = ctl_l3_host(&own.ip);
		set_route(ctl, c, &own, dest);
	}
	for (unsigned int i = 0; i < c->l3->n_ports; i++)
		route_port(ctl, c, &c->l3->port[i]);
	route_advertised(ctl, c);
	if (c->l3->asks)
		set_route(ctl, c, &c->l3->ask, omni_dest_make(OMNI_DEST_ASK, 0, 0));
}

/* ---- What workers know of the cluster ---- */

static void set_sources(const struct ctl_cluster *c, struct omni_l3 *l3)
{
	struct omni_prefix own;
	bool v4 = false, v6 = false;

	for (unsigned int i = 0; ctl_l3_address(c, i, &own); i++) {
		bool is_v4 = omni_ip_is_v4(&own.ip);

		if (is_v4 && !v4)
			memcpy(l3->v4, own.ip.b + 12, sizeof(l3->v4));
		else if (!is_v4 && !v6)
			memcpy(l3->v6, own.ip.b, sizeof(l3->v6));
		v4 |= is_v4;
		v6 |= !is_v4;
	}
}

static int publish(struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	const struct omni_config_cluster *conf = c->conf;
	struct omni_l3 l3 = {
		.host = host_dest(ctl, c),
		.relay = conf->relay == OMNI_RELAY_PEERS,
		.by_host = conf->relay == OMNI_RELAY_HOST,
		.ecn = conf->ecn,
		.dscp = conf->dscp,
		.mtu = conf->mtu,
	};

	set_sources(c, &l3);
	return omni_fib_set_cluster(ctl->conf.fib, c->number, &l3);
}

/* ---- Ports ---- */

/* The kernel's own interface of a tap is a host on the tap's link, whose MAC we know. */
static bool look_at_side(struct omni_ctl *ctl, struct ctl_l3_port *p, const struct omni_port *port)
{
	omni_dest old = p->side;

	if (strcmp(p->conf->driver, "tap") != 0 ||
	    (old != OMNI_DEST_MISS && memcmp(p->side_mac, port->info.mac, 6) == 0))
		return false;
	memcpy(p->side_mac, port->info.mac, sizeof(p->side_mac));
	p->side = omni_fib_adjacency_add(ctl->conf.fib, port->id, p->side_mac);
	if (old != OMNI_DEST_MISS)
		omni_fib_adjacency_del(ctl->conf.fib, old);
	return true;
}

static void add_port(struct omni_ctl *ctl, struct ctl_cluster *c, unsigned int index)
{
	const struct omni_config_port *conf = &ctl->conf.config->ports[index];
	const struct omni_port *port = omni_port_find(ctl->conf.ports, conf->name);
	struct ctl_l3_port *p = &c->l3->port[c->l3->n_ports++];

	p->conf = conf;
	p->id = port->id;
	p->up = port->info.link_up;
	p->has_kernel_routes = conf->routes_table != 0 && omni_config_is_host(conf);
	(void)look_at_side(ctl, p, port);
}

static void link_changed(struct omni_ctl *ctl, struct ctl_l3_port *p, bool up)
{
	p->up = up;
	ctl_neighbours_link(ctl, p->id, up);
}

void ctl_l3_ports(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_cluster *c = &ctl->cluster[i];
		bool changed = false;

		for (unsigned int k = 0; c->l3 != NULL && k < c->l3->n_ports; k++) {
			struct ctl_l3_port *p = &c->l3->port[k];
			const struct omni_port *port = omni_port_get(ctl->conf.ports, p->id);

			if (port == NULL)
				continue;
			changed |= look_at_side(ctl, p, port);
			if (p->up != port->info.link_up)
				link_changed(ctl, p, port->info.link_up);
		}
		if (changed) {
			route_ours(ctl, c);
			(void)publish(ctl, c);
		}
		if (c->l3 != NULL)
			ctl_advertise_look(ctl, c);
	}
}

/* ---- Members' VIPs ---- */

/* In a part of the VIPs' subnet that lies behind a port of ours. */
static bool is_part(const struct ctl_cluster *c, const struct omni_prefix *part,
		    const struct omni_ip *ip)
{
	return part->len > c->conf->vip.len && omni_prefix_contains(part, ip);
}

static bool is_on_our_link(const struct ctl_cluster *c, const struct omni_ip *ip)
{
	for (unsigned int i = 0; i < c->conf->n_advertise; i++)
		if (is_part(c, &c->conf->advertise[i], ip))
			return true;
	for (unsigned int p = 0; p < c->l3->n_ports; p++) {
		const struct omni_config_port *conf = c->l3->port[p].conf;

		if (conf->carries == OMNI_ADDRESS_OWN && is_part(c, &conf->address, ip))
			return true;
		for (unsigned int i = 0; i < conf->n_via; i++)
			if (is_part(c, &conf->via[i].to, ip))
				return true;
	}
	return false;
}

/*
 * A secret's holder may claim any address: one that nobody configured counts only in our own
 * subnet, or where it follows from the key.
 */
static bool is_fit(const struct ctl_peer *peer)
{
	const struct ctl_cluster *c = peer->cluster;
	struct omni_ip derived;

	if (peer->vip_bound)
		return true;
	if (!c->conf->vip_auto && omni_prefix_contains(&c->conf->vip, &peer->vip))
		return !is_on_our_link(c, &peer->vip);
	if (peer->vip.b[0] != AUTO_FIRST_BYTE)
		return false;
	derived = omni_vip_auto(&peer->key);
	return omni_ip_equal(&peer->vip, &derived);
}

void ctl_l3_vip(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_ip *vip)
{
	struct omni_prefix host = ctl_l3_host(vip);
	const struct ctl_peer *holder, *now;
	omni_dest dest;

	if (c->l3 == NULL || omni_ip_is_none(vip) || ctl_l3_is_ours(c, vip))
		return;
	dest = omni_fib_get(ctl->conf.fib, c->number, &host);
	now = omni_dest_kind(dest) == OMNI_DEST_PEER
		      ? ctl_peer_of_index(ctl, omni_dest_index(dest), omni_dest_gen(dest))
		      : NULL;
	holder = ctl_peer_by_vip(ctl, c, vip);
	if (now != NULL && now != holder && now->origin == CTL_ORIGIN_STATIC &&
	    !(now->has_vip && omni_ip_equal(&now->vip, vip)) &&
	    (holder == NULL || !holder->vip_bound))
		return; /* among its allowed IPs */
	if (holder != NULL && is_fit(holder))
		set_route(ctl, c, &host, ctl_l3_peer_dest(holder));
	else if (omni_dest_kind(dest) == OMNI_DEST_PEER)
		(void)omni_fib_del(ctl->conf.fib, c->number, &host, dest);
}

/* ---- Begin and end ---- */

int ctl_l3_init(struct omni_ctl *ctl, struct ctl_cluster *c, struct omni_err *err)
{
	const struct omni_config_cluster *conf = c->conf;
	int rc;

	if (conf->mode != OMNI_MODE_L3)
		return 0;
	c->l3 = calloc(1, sizeof(*c->l3));
	if (c->l3 != NULL)
		c->l3->told = calloc(CTL_ADVERTISE_MAX, sizeof(*c->l3->told));
	if (c->l3 == NULL || c->l3->told == NULL)
		return omni_fail(err, -ENOMEM, "cluster %s: no memory", conf->name);
	for (unsigned int i = 0; i < conf->n_ports; i++)
		add_port(ctl, c, conf->ports[i]);
	c->l3->asks = ctl->conf.config->n_nucleus > 0 && (conf->secret != NULL || conf->open);
	c->l3->ask = (struct omni_prefix){.ip = c->vip, .len = conf->vip.len};
	rc = publish(ctl, c);
	if (rc < 0)
		return omni_fail(err, rc, "cluster %s: no memory for routes", conf->name);
	route_ours(ctl, c);
	return 0;
}

void ctl_l3_fini(struct omni_ctl *ctl, struct ctl_cluster *c)
{
	if (c->l3 == NULL)
		return;
	for (unsigned int i = 0; i < c->l3->n_ports; i++)
		if (c->l3->port[i].side != OMNI_DEST_MISS)
			omni_fib_adjacency_del(ctl->conf.fib, c->l3->port[i].side);
	(void)omni_fib_set_cluster(ctl->conf.fib, c->number, NULL);
	free(c->l3->told);
	free(c->l3);
	c->l3 = NULL;
}
