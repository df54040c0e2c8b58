/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Next hops of the underlay: what the kernel knows where the port is a kernel interface, the
 * configuration's static ones where it is not. Where the kernel itself routes what the port
 * sends, the way is a local address and nothing else.
 */
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <libmnl/libmnl.h>

#include "nexthop.h"

#define LOOPBACK_INDEX 1 /* the kernel always has it there */
#define SALT_HOP 1
#define SALT_NEIGH 2
#define EXPECTED 1024
#define ANNOUNCED_MAX 256
#define GROUPS                                                                  \
	(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | \
	 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | 1U << (RTNLGRP_IPV6_RULE - 1))

void ctl_path_checksum(const struct omni_ctl *ctl, struct omni_path *path)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, ctl->uplink);

	if (port != NULL && port->info.kernel_routes)
		path->checksum = OMNI_CHECKSUM_NONE;
	else if (port != NULL && port->info.udp_checksum)
		path->checksum = OMNI_CHECKSUM_PORT;
	else if (path->v6 || ctl->conf.config->underlay.udp_checksum)
		path->checksum = OMNI_CHECKSUM_OURS;
}

/* ---- Static ---- */

static int static_resolve(const struct omni_ctl *ctl, const struct omni_endpoint *remote,
			  struct omni_path *path)
{
	const struct omni_config_underlay *u = &ctl->conf.config->underlay;
	const struct omni_port *port = omni_port_get(ctl->conf.ports, ctl->uplink);
	struct omni_endpoint local = {.ip = u->address.ip, .port = ctl->listen};

	if (port == NULL || !u->has_address ||
	    omni_ip_is_v4(&u->address.ip) != omni_ip_is_v4(&remote->ip))
		return -ENETUNREACH;
	for (unsigned int i = 0; i < u->n_next_hops; i++) {
		const struct omni_config_next_hop *n = &u->next_hops[i];

		if (!n->any && !omni_prefix_contains(&n->to, &remote->ip))
			continue;
		omni_path_build(path, port->info.mac, n->mac, &local, remote);
		ctl_path_checksum(ctl, path);
		path->port = ctl->uplink;
		path->mtu = port->info.mtu;
		return 0;
	}
	return -ENETUNREACH;
}

/* ---- Neighbours ---- */

static struct neigh *neigh_find(const struct ctl_nexthops *nh, const struct omni_ip *ip)
{
	uint64_t hash = ctl_index_hash(&nh->neighs, ip, sizeof(*ip), SALT_NEIGH);
	struct ctl_link *l = ctl_index_first(&nh->neighs, hash);

	for (; l != NULL; l = ctl_index_next(l)) {
		struct neigh *n = ctl_container(l, struct neigh, link);

		if (omni_ip_equal(&n->ip, ip))
			return n;
	}
	return NULL;
}

static struct neigh *neigh_get(struct ctl_nexthops *nh, const struct omni_ip *ip)
{
	struct neigh *n = neigh_find(nh, ip);

	if (n != NULL)
		return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->ip = *ip;
	TAILQ_INIT(&n->hops);
	ctl_index_add(&nh->neighs, &n->link,
		      ctl_index_hash(&nh->neighs, ip, sizeof(*ip), SALT_NEIGH));
	TAILQ_INSERT_TAIL(&nh->all, n, entry);
	return n;
}

static void neigh_take(struct neigh *n, const struct netlink_neigh *k)
{
	/* A MAC is kept while the kernel has none: no better one is known. */
	if (!k->has_mac || (n->has_mac && memcmp(n->mac, k->mac, sizeof(n->mac)) == 0))
		return;
	memcpy(n->mac, k->mac, sizeof(n->mac));
	n->has_mac = true;
	n->announce = true;
}

/* Read what the kernel has, and make it look unless that is fresh. */
static void neigh_ask(struct ctl_nexthops *nh, struct neigh *n, uint64_t now)
{
	struct netlink_neigh k;
	int rc;

	if (n->asked_ns != 0 && now - n->asked_ns < (n->has_mac ? NEIGH_REFRESH_NS : NEIGH_ASK_NS))
		return;
	n->asked_ns = now;
	rc = netlink_neigh_get(nh->ask, nh->port->info.ifindex, &n->ip, &k);
	if (rc == 0)
		neigh_take(n, &k);
	if (rc == 0 && (k.state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP)) != 0)
		return;
	rc = netlink_neigh_use(nh->ask, nh->port->info.ifindex, &n->ip);
	if (rc != 0) {
		char text[OMNI_IP_TEXT_LEN];

		omni_log_debug(LOG_CTL, "the kernel does not resolve a neighbour",
			       "address=%s error=%s", omni_ip_text(text, &n->ip), strerror(-rc));
	}
}

static void neigh_put(struct ctl_nexthops *nh, struct neigh *n)
{
	if (n == NULL || !TAILQ_EMPTY(&n->hops))
		return;
	ctl_index_del(&nh->neighs, &n->link);
	TAILQ_REMOVE(&nh->all, n, entry);
	free(n);
}

/* ---- Hops ---- */

static struct hop *hop_find(const struct ctl_nexthops *nh, const struct omni_ip *ip)
{
	uint64_t hash = ctl_index_hash(&nh->hops, ip, sizeof(*ip), SALT_HOP);
	struct ctl_link *l = ctl_index_first(&nh->hops, hash);

	for (; l != NULL; l = ctl_index_next(l)) {
		struct hop *h = ctl_container(l, struct hop, link);

		if (omni_ip_equal(&h->ip, ip))
			return h;
	}
	return NULL;
}

static void hop_via(struct ctl_nexthops *nh, struct hop *h, struct neigh *via)
{
	struct neigh *old = h->via;

	if (old == via)
		return;
	if (old != NULL)
		TAILQ_REMOVE(&old->hops, h, of_via);
	h->via = via;
	if (via != NULL)
		TAILQ_INSERT_TAIL(&via->hops, h, of_via);
	neigh_put(nh, old);
}

static void hop_idle(struct ctl_nexthops *nh, struct hop *h)
{
	TAILQ_REMOVE(&nh->held, h, entry);
	TAILQ_INSERT_TAIL(&nh->idle, h, entry);
	nh->n_idle++;
}

static void hop_busy(struct ctl_nexthops *nh, struct hop *h)
{
	TAILQ_REMOVE(&nh->idle, h, entry);
	TAILQ_INSERT_TAIL(&nh->held, h, entry);
	nh->n_idle--;
}

/* h is idle. */
static void hop_free(struct ctl_nexthops *nh, struct hop *h)
{
	TAILQ_REMOVE(&nh->idle, h, entry);
	nh->n_idle--;
	hop_via(nh, h, NULL);
	ctl_index_del(&nh->hops, &h->link);
	free(h);
}

static struct hop *hop_get(struct ctl_nexthops *nh, const struct omni_ip *ip)
{
	struct hop *h = hop_find(nh, ip);

	if (h != NULL)
		return h;
	if (nh->n_idle >= HOPS_IDLE_MAX)
		hop_free(nh, TAILQ_FIRST(&nh->idle));
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->ip = *ip;
	ctl_index_add(&nh->hops, &h->link, ctl_index_hash(&nh->hops, ip, sizeof(*ip), SALT_HOP));
	TAILQ_INSERT_TAIL(&nh->idle, h, entry);
	nh->n_idle++;
	return h;
}

/* ---- Routes ---- */

static void warn_elsewhere(struct ctl_nexthops *nh, struct hop *h)
{
	char ip[OMNI_IP_TEXT_LEN], name[IF_NAMESIZE];
	struct netlink_route any;

	if (h->warned)
		return;
	h->warned = true;
	if (netlink_route_get(nh->ask, &h->ip, 0, nh->mark, false, &any) == 0 &&
	    any.ifindex != nh->port->info.ifindex && if_indextoname(any.ifindex, name) != NULL)
		omni_log_warn(LOG_CTL,
			      "the kernel's route to an address does not leave by the underlay",
			      "address=%s interface=%s underlay=%s", omni_ip_text(ip, &h->ip), name,
			      nh->port->name);
	else
		omni_log_warn(LOG_CTL, "no route to an address out of the underlay",
			      "address=%s underlay=%s", omni_ip_text(ip, &h->ip), nh->port->name);
}

/* The first address on the interface, for a route that names none. */
static bool any_source(const struct ctl_nexthops *nh, bool v4, struct omni_ip *source)
{
	for (unsigned int i = 0; i < nh->n_addresses; i++) {
		const struct netlink_address *a = &nh->address[i];

		if (a->ifindex == nh->port->info.ifindex && a->usable &&
		    omni_ip_is_v4(&a->ip) == v4) {
			*source = a->ip;
			return true;
		}
	}
	return false;
}

static bool is_our_port(const struct omni_ctl *ctl, unsigned int ifindex)
{
	for (uint16_t id = 0; id < OMNI_PORTS_MAX; id++) {
		const struct omni_port *port = omni_port_get(ctl->conf.ports, id);

		if (port != NULL && id != ctl->uplink && port->info.ifindex == ifindex)
			return true;
	}
	return false;
}

/* The tunnel's own datagrams would enter the tunnel. */
static void warn_loop(struct omni_ctl *ctl, const struct hop *h, unsigned int ifindex)
{
	char ip[OMNI_IP_TEXT_LEN], name[IF_NAMESIZE];

	ctl_count(ctl, OMNI_STAT_ctl_routing_loop);
	if (!h->warned)
		omni_log_warn(LOG_CTL, "routing loop: the way to an address leads into the overlay",
			      "address=%s interface=%s", omni_ip_text(ip, &h->ip),
			      if_indextoname(ifindex, name) != NULL ? name : "?");
}

static int route_read(const struct ctl_nexthops *nh, const struct hop *h,
		      struct netlink_route *route)
{
	unsigned int ifindex = nh->port->info.ifindex;
	struct netlink_route match;
	int rc = netlink_route_get(nh->ask, &h->ip, ifindex, nh->mark, false, route);

	if (rc != 0)
		return rc;
	if (ifindex == 0) /* a peer on this host is reached too */
		return (route->type == RTN_UNICAST || route->type == RTN_LOCAL) &&
				       !omni_ip_is_none(&route->source)
			       ? 0
			       : -ENETUNREACH;
	if (route->type != RTN_UNICAST || route->ifindex != ifindex)
		return -ENETUNREACH;
	if (omni_ip_is_none(&route->gateway)) {
		rc = netlink_route_get(nh->ask, &h->ip, ifindex, nh->mark, true, &match);
		if (rc == -ENETUNREACH)
			return rc;
	}
	if (omni_ip_is_none(&route->source) &&
	    !any_source(nh, omni_ip_is_v4(&h->ip), &route->source))
		return -ENETUNREACH;
	return 0;
}

static void hop_look(struct omni_ctl *ctl, struct hop *h, uint64_t now)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct netlink_route route;

	if (h->routes == nh->routes && (h->reached || now - h->looked_ns < NEIGH_ASK_NS))
		return;
	h->looked_ns = now;
	h->routes = nh->routes;
	h->reached = route_read(nh, h, &route) == 0;
	h->looped = h->reached && nh->port->info.ifindex == 0 && is_our_port(ctl, route.ifindex);
	if (h->looped) {
		warn_loop(ctl, h, route.ifindex);
		h->warned = true;
		h->reached = false;
		hop_via(nh, h, NULL);
		return;
	}
	if (!h->reached) {
		warn_elsewhere(nh, h);
		hop_via(nh, h, NULL);
		return;
	}
	h->warned = false;
	h->source = route.source;
	if (nh->port->info.kernel_routes)
		return;
	hop_via(nh, h, neigh_get(nh, omni_ip_is_none(&route.gateway) ? &h->ip : &route.gateway));
}

/* A path on which the kernel finds the way: from an address of ours to the remote one. */
static int kernel_path(const struct omni_ctl *ctl, const struct hop *h,
		       const struct omni_endpoint *remote, struct omni_path *path)
{
	static const uint8_t no_mac[6];
	const struct omni_config_underlay *u = &ctl->conf.config->underlay;
	struct omni_endpoint local = {.ip = h->source, .port = ctl->listen};

	if (u->has_address)
		local.ip = u->address.ip;
	if (omni_ip_is_v4(&local.ip) != omni_ip_is_v4(&remote->ip))
		return -ENETUNREACH;
	omni_path_build(path, no_mac, no_mac, &local, remote);
	ctl_path_checksum(ctl, path);
	path->port = ctl->uplink;
	path->mtu = ctl->nexthops->port->info.mtu;
	return 0;
}

int ctl_nexthop_resolve(struct omni_ctl *ctl, const struct omni_endpoint *remote,
			struct omni_path *path)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct omni_endpoint local = {.port = ctl->listen};
	uint64_t now = ctl_now(ctl);
	struct hop *h;

	if (nh == NULL || nh->ask == NULL)
		return static_resolve(ctl, remote, path);
	h = hop_get(nh, &remote->ip);
	if (h == NULL)
		return -ENETUNREACH;
	h->wanted_ns = now;
	if (h->held == 0) {
		TAILQ_REMOVE(&nh->idle, h, entry);
		TAILQ_INSERT_TAIL(&nh->idle, h, entry);
	}
	hop_look(ctl, h, now);
	if (!h->reached)
		return h->looped ? -ELOOP : -ENETUNREACH;
	if (nh->port->info.kernel_routes)
		return kernel_path(ctl, h, remote, path);
	if (h->via == NULL)
		return -ENETUNREACH;
	neigh_ask(nh, h->via, now);
	if (!h->via->has_mac)
		return -EAGAIN;
	local.ip = h->source;
	omni_path_build(path, nh->port->info.mac, h->via->mac, &local, remote);
	ctl_path_checksum(ctl, path);
	path->port = ctl->uplink;
	path->mtu = nh->port->info.mtu;
	return 0;
}

void ctl_nexthop_hold(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct hop *h;

	if (nh == NULL || nh->ask == NULL)
		return;
	h = hop_get(nh, ip);
	if (h != NULL && h->held++ == 0)
		hop_busy(nh, h);
}

void ctl_nexthop_release(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct hop *h;

	if (nh == NULL || nh->ask == NULL)
		return;
	h = hop_find(nh, ip);
	if (h != NULL && h->held > 0 && --h->held == 0)
		hop_idle(nh, h);
}

/* ---- Own addresses ---- */

bool ctl_nexthop_is_own(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	const struct omni_config_underlay *u = &ctl->conf.config->underlay;
	const struct ctl_nexthops *nh = ctl->nexthops;

	if (u->has_address && omni_ip_equal(&u->address.ip, ip))
		return true;
	for (unsigned int i = 0; nh != NULL && i < nh->n_addresses; i++) {
		if (omni_ip_equal(&nh->address[i].ip, ip))
			return true;
	}
	return false;
}

/* The interface that has the address; 0: not known. */
static unsigned int interface_of(const struct ctl_nexthops *nh, const struct omni_ip *ip)
{
	for (unsigned int i = 0; i < nh->n_addresses; i++)
		if (omni_ip_equal(&nh->address[i].ip, ip))
			return nh->address[i].ifindex;
	return 0;
}

bool ctl_nexthop_may_answer(const struct omni_ctl *ctl, const struct omni_ip *called,
			    const struct omni_ip *routed)
{
	unsigned int at, out;

	if (ctl->nexthops == NULL)
		return true;
	at = interface_of(ctl->nexthops, called);
	out = interface_of(ctl->nexthops, routed);
	return at == 0 || at == LOOPBACK_INDEX || out == 0 || at == out;
}

/* Of the underlay; where that is any interface, of none that we made ourselves. */
static bool on_underlay(const struct omni_ctl *ctl, unsigned int ifindex)
{
	unsigned int own = ctl->nexthops->port->info.ifindex;

	return own != 0 ? ifindex == own : !is_our_port(ctl, ifindex);
}

unsigned int ctl_nexthop_addresses(struct omni_ctl *ctl, struct omni_ip *out, unsigned int max)
{
	const struct omni_config_underlay *u = &ctl->conf.config->underlay;
	const struct ctl_nexthops *nh = ctl->nexthops;
	unsigned int n = 0;

	if (u->has_address && n < max)
		out[n++] = u->address.ip;
	if (u->has_address)
		return n;
	for (unsigned int i = 0; nh != NULL && i < nh->n_addresses && n < max; i++) {
		const struct netlink_address *a = &nh->address[i];

		if (a->usable && on_underlay(ctl, a->ifindex) && omni_ip_is_unicast(&a->ip))
			out[n++] = a->ip;
	}
	return n;
}

static void addresses_read(struct ctl_nexthops *nh)
{
	int n = netlink_addresses(nh->ask, nh->address, ADDRESSES_MAX);

	nh->addresses_dirty = n < 0; /* a dump that a change interrupted: again at the next tick */
	nh->n_addresses = n < 0 ? 0 : (unsigned int)n;
}

/* ---- Changes ---- */

static void tell(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	ctl_nexthop_changed(ctl, ip);
	ctl_nucleus_nexthop_changed(ctl, ip);
}

/* Whom it concerns may hold, release and resolve: work on a copy. */
static void announce(struct omni_ctl *ctl, struct neigh *n)
{
	struct omni_ip ip[ANNOUNCED_MAX];
	unsigned int count = 0;
	const struct hop *h;

	n->announce = false;
	TAILQ_FOREACH (h, &n->hops, of_via) {
		if (count == ANNOUNCED_MAX) {
			tell(ctl, NULL);
			return;
		}
		ip[count++] = h->ip;
	}
	for (unsigned int i = 0; i < count; i++)
		tell(ctl, &ip[i]);
}

static void announce_all(struct omni_ctl *ctl)
{
	struct neigh *n;

again:
	TAILQ_FOREACH (n, &ctl->nexthops->all, entry) {
		if (n->announce) {
			announce(ctl, n); /* n may be gone after it */
			goto again;
		}
	}
}

static void routes_apply(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_nexthops *nh = ctl->nexthops;

	if (!nh->routes_dirty || (nh->routes_ns != 0 && now - nh->routes_ns < ROUTES_CALM_NS))
		return;
	if (nh->addresses_dirty)
		addresses_read(nh);
	nh->routes_dirty = nh->addresses_dirty;
	nh->routes_ns = now;
	nh->routes++;
	tell(ctl, NULL);
}

static void on_neigh(void *arg, const struct netlink_neigh *k)
{
	struct ctl_nexthops *nh = arg;
	struct neigh *n;

	if (k->ifindex != nh->port->info.ifindex)
		return;
	n = neigh_find(nh, &k->ip);
	if (n == NULL)
		return;
	neigh_take(n, k);
	if (!k->has_mac)
		n->asked_ns = 0; /* it has failed: ask again at the next tick */
}

static void link_apply(struct omni_ctl *ctl)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct omni_port_info was = nh->known;
	const struct omni_port_info *is = &nh->port->info;

	omni_port_refresh(nh->port); /* management does so too: compare with what was acted on */
	nh->known = *is;
	if (was.link_up != is->link_up)
		omni_log_warn(LOG_CTL, is->link_up ? "underlay is up" : "underlay is down",
			      "port=%s", nh->port->name);
	if (was.link_up != is->link_up || was.mtu != is->mtu ||
	    memcmp(was.mac, is->mac, sizeof(was.mac)) != 0)
		nh->routes_dirty = true;
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct omni_ctl *ctl = handle->data;
	struct ctl_nexthops *nh = ctl->nexthops;
	struct netlink_news news = {
		.neigh = on_neigh, .arg = nh, .ifindex = nh->port->info.ifindex};

	(void)status;
	(void)events;
	netlink_read(nh->watch, &news);
	nh->addresses_dirty |= news.addresses || news.lost;
	nh->routes_dirty |= news.routes || nh->addresses_dirty;
	/* An interface that was made anew has another index, but it brings its addresses. */
	if (news.links || news.lost || (news.addresses && nh->port->info.kernel_routes))
		link_apply(ctl);
	routes_apply(ctl, ctl_now(ctl));
	announce_all(ctl);
}

static bool neigh_wanted(const struct neigh *n, uint64_t now)
{
	const struct hop *h;

	TAILQ_FOREACH (h, &n->hops, of_via) {
		if (h->held > 0 || now - h->wanted_ns < HOP_WANTED_NS)
			return true;
	}
	return false;
}

void ctl_nexthop_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct neigh *n;

	if (nh == NULL || nh->ask == NULL)
		return;
	routes_apply(ctl, now);
	if (now - nh->swept_ns >= NEIGH_ASK_NS) {
		nh->swept_ns = now;
		TAILQ_FOREACH (n, &nh->all, entry) {
			if (neigh_wanted(n, now))
				neigh_ask(nh, n, now);
		}
	}
	announce_all(ctl);
}

/* ---- Begin and end ---- */

int ctl_nexthop_init(struct omni_ctl *ctl, struct omni_err *err)
{
	struct omni_port *port = omni_port_get(ctl->conf.ports, ctl->uplink);
	struct ctl_nexthops *nh;

	if (port == NULL || (port->info.ifindex == 0 && !port->info.kernel_routes))
		return 0;
	nh = ctl->nexthops = calloc(1, sizeof(*nh));
	if (nh == NULL)
		return omni_fail(err, -ENOMEM, "out of memory");
	nh->port = port;
	nh->mark = ctl->conf.config->underlay.fwmark;
	nh->known = port->info;
	nh->routes = 1;
	TAILQ_INIT(&nh->idle);
	TAILQ_INIT(&nh->held);
	TAILQ_INIT(&nh->all);
	if (ctl_index_init(&nh->hops, EXPECTED) != 0 || ctl_index_init(&nh->neighs, EXPECTED) != 0)
		return omni_fail(err, -ENOMEM, "out of memory");
	nh->watch = netlink_open(GROUPS); /* before anything is read: no change is missed */
	nh->ask = nh->watch != NULL ? netlink_open(0) : NULL;
	if (nh->ask == NULL)
		return omni_fail(err, -errno, "cannot read routes and neighbours (netlink): %s",
				 strerror(errno));
	addresses_read(nh);
	nh->routes_dirty = nh->addresses_dirty;
	return 0;
}

int ctl_nexthop_start(struct omni_ctl *ctl, struct omni_err *err)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	int rc;

	if (nh == NULL || ctl->conf.loop == NULL)
		return 0;
	rc = uv_poll_init(ctl->conf.loop, &nh->poll, mnl_socket_get_fd(nh->watch));
	if (rc == 0) {
		nh->poll.data = ctl;
		nh->polling = true;
		ctl->handles++;
		rc = uv_poll_start(&nh->poll, UV_READABLE, on_readable);
	}
	return rc == 0 ? 0 : omni_fail(err, rc, "netlink: %s", uv_strerror(rc));
}

void ctl_nexthop_stop(struct omni_ctl *ctl)
{
	struct ctl_nexthops *nh = ctl->nexthops;

	if (nh == NULL || !nh->polling)
		return;
	nh->polling = false;
	uv_poll_stop(&nh->poll);
	uv_close((uv_handle_t *)&nh->poll, ctl_handle_closed);
}

void ctl_nexthop_fini(struct omni_ctl *ctl)
{
	struct ctl_nexthops *nh = ctl->nexthops;
	struct hop *h;

	if (nh == NULL)
		return;
	while ((h = TAILQ_FIRST(&nh->held)) != NULL)
		hop_idle(nh, h);
	while ((h = TAILQ_FIRST(&nh->idle)) != NULL)
		hop_free(nh, h);
	ctl_index_fini(&nh->hops);
	ctl_index_fini(&nh->neighs);
	netlink_close(nh->watch);
	netlink_close(nh->ask);
	free(nh);
	ctl->nexthops = NULL;
}
