/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Routes of the kernel over our tap and tun ports: what the workers' table sends to others, the
 * host's own packets have to come to us for. A default route is never set in the main table, nor
 * one that would swallow the datagrams that carry the tunnel. A port with `routes: default` has it
 * in a table of its own, which rules ask for all but those datagrams; the table's number is their
 * mark, as wg-quick(8) does it.
 */
#include <glob.h>
#include <linux/rtnetlink.h>

#include "l3.h"
#include "netlink.h"

#define CALM_NS OMNI_NS_PER_S /* between two looks at a large table */
#define SMALL 1024	      /* routes of a table that is looked at in every tick */
#define NUCLEUS_ADDRESSES_MAX 64
#define RP_FILTER "/proc/sys/net/ipv4/conf/"
#define CHANGES_MAX 1024 /* requests in one tick */

enum {
	V4,
	V6,
	FAMILIES
};

/* Sorted prefixes. */
struct set {
	struct omni_prefix *at;
	uint32_t n, room;
	bool failed;
};

/* One port. */
struct kernel_port {
	struct ctl_cluster *cluster;
	const struct ctl_l3_port *port;
	struct set have;
	bool has_default[FAMILIES]; /* in the table of its own */
	bool was_down;
	bool told_default, told_swallow, told_refused;
};

struct ctl_kernel {
	struct mnl_socket *nl;
	struct mnl_socket *watch; /* links */
	struct kernel_port *port;
	unsigned int n_ports;
	uint32_t version; /* of the workers' table, as last acted on */
	uint32_t mark;	  /* of our datagrams */
	bool dirty, more; /* more: changes are left for the next tick */
	bool rules[FAMILIES];
	uint64_t looked_ns;
};

/* ---- Sets ---- */

static void set_add(struct set *s, const struct omni_prefix *prefix)
{
	if (s->n == s->room) {
		uint32_t room = s->room * 2 + 64;
		struct omni_prefix *more = realloc(s->at, room * sizeof(*more));

		s->failed |= more == NULL;
		if (more == NULL)
			return;
		s->at = more;
		s->room = room;
	}
	s->at[s->n++] = *prefix;
}

static void set_sort(struct set *s)
{
	if (s->n > 1)
		qsort(s->at, s->n, sizeof(s->at[0]), omni_prefix_compare);
}

/* ---- What there should be ---- */

struct want {
	struct omni_ctl *ctl;
	struct kernel_port *kp;
	struct set set;
};

/* Does it lead to somebody else than the host behind this port? */
static bool leads_away(const struct want *w, omni_dest dest)
{
	const struct omni_adjacency *a;

	switch (omni_dest_kind(dest)) {
	case OMNI_DEST_PEER:
	case OMNI_DEST_ASK:
		return true;
	case OMNI_DEST_PORT:
		return omni_dest_index(dest) != w->kp->port->id;
	case OMNI_DEST_HOST:
		a = omni_fib_adjacency(w->ctl->conf.fib, dest);
		return a != NULL && a->port != w->kp->port->id;
	default:
		return false;
	}
}

/* The kernel made a route to the subnet of each address itself. */
static bool is_on_link(const struct kernel_port *kp, const struct omni_prefix *prefix)
{
	const struct omni_config_port *conf = kp->port->conf;
	struct omni_prefix own;

	if (conf->carries == OMNI_ADDRESS_OWN)
		return ctl_prefix_covers(&conf->address, prefix);
	for (unsigned int i = 0;
	     conf->carries == OMNI_ADDRESS_VIP && i <= kp->cluster->conf->n_addresses &&
	     ctl_l3_address(kp->cluster, i, &own);
	     i++)
		if (ctl_prefix_covers(&own, prefix))
			return true;
	return false;
}

static void told_default(struct kernel_port *kp)
{
	if (kp->told_default)
		return;
	kp->told_default = true;
	omni_log_info(
		LOG_CTL,
		"a peer has all addresses: the kernel's default route is left to you; routes: "
		"default of the port would set it",
		"cluster=%s port=%s", kp->cluster->conf->name, kp->port->conf->name);
}

/* Its name is still looked up, by the default route that the host had. */
static bool is_looked_up(const struct want *w, omni_dest dest)
{
	const struct ctl_peer *peer;

	if (omni_dest_kind(dest) != OMNI_DEST_PEER)
		return false;
	TAILQ_FOREACH (peer, &w->kp->cluster->peers, entry)
		if (peer->pub->index == omni_dest_index(dest))
			return peer->dns != NULL && peer->endpoint.port == 0;
	return false;
}

static int on_route(const struct omni_fib_entry *e, void *arg)
{
	struct want *w = arg;
	struct omni_prefix prefix = omni_prefix_masked(&e->prefix);

	if (e->cluster != w->kp->cluster->number || !leads_away(w, e->dest))
		return 0;
	if (prefix.len == 0 && w->kp->port->conf->routes_table == OMNI_CONFIG_TABLE_MAIN)
		told_default(w->kp);
	else if (!is_on_link(w->kp, &prefix) && !(prefix.len == 0 && is_looked_up(w, e->dest)))
		set_add(&w->set, &prefix);
	return 0;
}

/* ---- What there must not be ---- */

/* A route that is longer than the one by which the kernel reaches ip now takes its place. */
static bool swallows(const struct ctl_kernel *k, const struct omni_prefix *prefix,
		     const struct omni_ip *ip, unsigned int ifindex)
{
	struct netlink_route route;

	if (!omni_prefix_contains(prefix, ip))
		return false;
	if (netlink_route_get(k->nl, ip, 0, k->mark, true, &route) != 0)
		return true;
	return route.ifindex == ifindex || route.dst_len < prefix->len;
}

static void left_out(struct want *w, const struct omni_prefix *prefix, const struct omni_ip *ip)
{
	char text[OMNI_PREFIX_TEXT_LEN], at[OMNI_IP_TEXT_LEN];

	ctl_count(w->ctl, OMNI_STAT_ctl_routes_swallowing);
	if (!w->kp->told_swallow)
		omni_log_warn(LOG_CTL,
			      "kernel route left out: it would swallow the tunnel's own datagrams",
			      "port=%s prefix=%s endpoint=%s", w->kp->port->conf->name,
			      omni_prefix_text(text, prefix), omni_ip_text(at, ip));
	w->kp->told_swallow = true;
}

/* Of the sorted set, the prefixes around an address, one of each length at most, but for but's. */
static void drop_swallowing(struct want *w, const struct ctl_kernel *k, const struct omni_ip *ip,
			    omni_dest but)
{
	const struct omni_port *port = omni_port_get(w->ctl->conf.ports, w->kp->port->id);
	struct omni_prefix p = ctl_l3_host(ip);

	if (ctl_l3_lookup(w->ctl, w->kp->cluster, ip) == OMNI_DEST_MISS)
		return;
	for (; p.len > 0 && w->set.n > 0; p.len--) {
		struct omni_prefix masked = omni_prefix_masked(&p), *at;

		at = bsearch(&masked, w->set.at, w->set.n, sizeof(masked), omni_prefix_compare);
		if (at == NULL ||
		    (but != OMNI_DEST_MISS &&
		     omni_fib_get(w->ctl->conf.fib, w->kp->cluster->number, at) == but) ||
		    !swallows(k, at, ip, port->info.ifindex))
			continue;
		left_out(w, at, ip);
		w->set.n--;
		memmove(at, at + 1, (size_t)(w->set.at + w->set.n - at) * sizeof(*at));
	}
}

static void check_peer(struct want *w, const struct ctl_kernel *k, const struct ctl_peer *peer)
{
	/* Its box's address in the subnet behind it, which it listed too, is not in use. */
	omni_dest own = peer->origin != CTL_ORIGIN_STATIC ? ctl_l3_peer_dest(peer) : OMNI_DEST_MISS;

	if (peer->endpoint.port != 0)
		drop_swallowing(w, k, &peer->endpoint.ip, OMNI_DEST_MISS);
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (!omni_ip_equal(&peer->candidate[i].ip, &peer->endpoint.ip))
			drop_swallowing(w, k, &peer->candidate[i].ip, own);
}

/* Only where the kernel routes our datagrams, by whatever interface it likes. */
static void check_underlay(struct want *w, const struct ctl_kernel *k)
{
	const struct omni_port *up = omni_port_get(w->ctl->conf.ports, w->ctl->uplink);
	struct omni_ip ip[NUCLEUS_ADDRESSES_MAX];
	unsigned int n;

	if (up == NULL || !up->info.kernel_routes || up->info.ifindex != 0)
		return;
	for (unsigned int i = 0; i < w->ctl->n_clusters; i++) {
		const struct ctl_peer *peer;

		TAILQ_FOREACH (peer, &w->ctl->cluster[i].peers, entry)
			check_peer(w, k, peer);
	}
	n = ctl_nucleus_addresses(w->ctl, ip, NUCLEUS_ADDRESSES_MAX);
	for (unsigned int i = 0; i < n; i++)
		drop_swallowing(w, k, &ip[i], OMNI_DEST_MISS);
}

/* ---- The difference ---- */

static int family_of(const struct omni_prefix *prefix)
{
	return omni_ip_is_v4(&prefix->ip) ? V4 : V6;
}

static uint32_t table_of(const struct ctl_kernel *k, const struct kernel_port *kp,
			 const struct omni_prefix *prefix)
{
	uint32_t table = kp->port->conf->routes_table;

	if (table != OMNI_CONFIG_TABLE_DEFAULT)
		return table;
	return prefix->len == 0 ? k->mark : RT_TABLE_MAIN;
}

static void change(struct omni_ctl *ctl, struct kernel_port *kp, bool add,
		   const struct omni_prefix *prefix, unsigned int ifindex)
{
	int rc = netlink_route_change(ctl->kernel->nl, add, prefix, ifindex,
				      table_of(ctl->kernel, kp, prefix));
	char text[OMNI_PREFIX_TEXT_LEN];

	if (prefix->len == 0 && kp->port->conf->routes_table == OMNI_CONFIG_TABLE_DEFAULT)
		kp->has_default[family_of(prefix)] = add && rc == 0;
	if (rc == 0 || (!add && rc == -ESRCH))
		return;
	ctl_count(ctl, OMNI_STAT_ctl_kernel_routes_refused);
	if (add && !kp->told_refused)
		omni_log_warn(LOG_CTL, "the kernel refused a route",
			      "port=%s prefix=%s error=\"%s\"", kp->port->conf->name,
			      omni_prefix_text(text, prefix), strerror(-rc));
	kp->told_refused |= add;
}

/* Both are sorted; true where changes are left for the next tick. */
static bool apply(struct omni_ctl *ctl, struct kernel_port *kp, const struct set *want,
		  unsigned int ifindex)
{
	unsigned int budget = CHANGES_MAX;
	struct set now = {0};
	uint32_t h = 0, n = 0;

	while (h < kp->have.n || n < want->n) {
		int c = h == kp->have.n ? 1
			: n == want->n	? -1
					: omni_prefix_compare(&kp->have.at[h], &want->at[n]);

		if (c == 0) {
			set_add(&now, &want->at[n]);
		} else if (budget == 0) {
			if (c < 0) /* stays for now */
				set_add(&now, &kp->have.at[h]);
		} else {
			budget--;
			change(ctl, kp, c > 0, c > 0 ? &want->at[n] : &kp->have.at[h], ifindex);
			if (c > 0) /* what was refused is not asked for again */
				set_add(&now, &want->at[n]);
		}
		h += c <= 0;
		n += c >= 0;
	}
	free(kp->have.at);
	kp->have = now;
	return budget == 0;
}

static bool sync_port(struct omni_ctl *ctl, struct kernel_port *kp)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, kp->port->id);
	struct want w = {.ctl = ctl, .kp = kp};
	bool more = false;

	if (port == NULL || port->info.ifindex == 0 || !port->info.link_up)
		return false;
	if (kp->was_down) {
		kp->was_down = false;
		kp->have.n = 0;
		memset(kp->has_default, 0, sizeof(kp->has_default));
	}
	omni_fib_walk(ctl->conf.fib, on_route, &w);
	set_sort(&w.set);
	check_underlay(&w, ctl->kernel);
	if (!w.set.failed)
		more = apply(ctl, kp, &w.set, port->info.ifindex);
	free(w.set.at);
	return more;
}

/* ---- The rules of a default route ---- */

/* 0: off, 1: strict, 2: loose. */
static int read_rp_filter(const char *path)
{
	FILE *f = fopen(path, "re");
	int value = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%d", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

/* Strict filters look for the way back without the mark, and find the tunnel. */
static void check_reverse_path(void)
{
	int all = read_rp_filter(RP_FILTER "all/rp_filter");
	glob_t found;

	if (glob(RP_FILTER "*/rp_filter", 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (strstr(found.gl_pathv[i], "/default/") != NULL || /* of those to come */
		    OMNI_MAX(all, read_rp_filter(found.gl_pathv[i])) != 1)
			continue;
		omni_log_warn(LOG_CTL,
			      "the kernel's strict rp_filter drops what peers send; 2 would not",
			      "sysctl=%s", found.gl_pathv[i]);
		break;
	}
	globfree(&found);
}

static void change_rules(struct ctl_kernel *k, int family, bool add)
{
	uint8_t af = family == V4 ? AF_INET : AF_INET6;
	int rc = netlink_default_rules(k->nl, add, af, k->mark, k->mark);

	k->rules[family] = add; /* what was refused is not asked for again */
	if (rc != 0) {
		omni_log_warn(LOG_CTL, "the kernel refused the rules of a default route",
			      "family=%s table=%u error=\"%s\"", family == V4 ? "IPv4" : "IPv6",
			      k->mark, strerror(-rc));
		return;
	}
	omni_log_info(LOG_CTL,
		      add ? "the host's default route is a peer"
			  : "the host's default route is its own again",
		      "family=%s table=%u", family == V4 ? "IPv4" : "IPv6", k->mark);
	if (add && family == V4)
		check_reverse_path();
}

/* They stand as long as a default route does. */
static void sync_rules(struct ctl_kernel *k)
{
	for (int f = 0; f < FAMILIES; f++) {
		bool want = false;

		for (unsigned int i = 0; i < k->n_ports; i++)
			want |= k->port[i].has_default[f];
		if (want != k->rules[f])
			change_rules(k, f, want);
	}
}

/* ---- Links ---- */

/* However short: with an interface that goes down the kernel forgets its routes. */
static void on_link(void *arg, unsigned int ifindex, bool up)
{
	struct omni_ctl *ctl = arg;
	struct ctl_kernel *k = ctl->kernel;

	for (unsigned int i = 0; i < k->n_ports; i++) {
		struct omni_port *port = omni_port_get(ctl->conf.ports, k->port[i].port->id);

		if (port == NULL || port->info.ifindex != ifindex)
			continue;
		k->port[i].was_down |= !up;
		k->dirty |= k->port[i].was_down;
		omni_port_refresh(port);
	}
}

/* ---- The tick ---- */

void ctl_kernel_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct netlink_news news = {.link = on_link, .arg = ctl};
	struct ctl_kernel *k = ctl->kernel;
	uint32_t version;

	if (k == NULL)
		return;
	netlink_read(k->watch, &news);
	version = omni_fib_version(ctl->conf.fib);
	if ((version == k->version && !k->dirty) ||
	    (omni_fib_count(ctl->conf.fib) > SMALL && !k->more && now - k->looked_ns < CALM_NS))
		return;
	k->version = version;
	k->looked_ns = now;
	k->more = false;
	for (unsigned int i = 0; i < k->n_ports; i++)
		k->more |= sync_port(ctl, &k->port[i]);
	sync_rules(k);
	k->dirty = k->more;
	for (unsigned int i = 0; i < k->n_ports; i++)
		k->dirty |= k->port[i].was_down; /* until it is up */
}

void ctl_kernel_touch(struct omni_ctl *ctl)
{
	if (ctl->kernel != NULL)
		ctl->kernel->dirty = true;
}

/* ---- Begin and end ---- */

static void add_ports(struct ctl_kernel *k, struct ctl_cluster *c)
{
	for (unsigned int i = 0; c->l3 != NULL && i < c->l3->n_ports; i++)
		if (c->l3->port[i].has_kernel_routes)
			k->port[k->n_ports++] =
				(struct kernel_port){.cluster = c, .port = &c->l3->port[i]};
}

int ctl_kernel_init(struct omni_ctl *ctl, struct omni_err *err)
{
	struct ctl_kernel *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->port = calloc(OMNI_PORTS_MAX, sizeof(*k->port));
	ctl->kernel = k;
	if (k == NULL || k->port == NULL)
		return omni_fail(err, -ENOMEM, "no memory for routes of the kernel");
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		add_ports(k, &ctl->cluster[i]);
	k->mark = ctl->conf.config->underlay.fwmark;
	k->dirty = true;
	if (k->n_ports == 0) {
		ctl_kernel_fini(ctl);
		return 0;
	}
	k->nl = netlink_open(0);
	k->watch = netlink_open(RTMGRP_LINK);
	if (k->nl == NULL || k->watch == NULL)
		return omni_fail(err, -errno, "cannot set routes (netlink): %s", strerror(errno));
	return 0;
}

void ctl_kernel_fini(struct omni_ctl *ctl)
{
	struct ctl_kernel *k = ctl->kernel;

	if (k == NULL)
		return;
	for (int f = 0; f < FAMILIES; f++)
		if (k->rules[f])
			change_rules(k, f, false);
	for (unsigned int i = 0; k->port != NULL && i < k->n_ports; i++)
		free(k->port[i].have.at);
	netlink_close(k->nl);
	netlink_close(k->watch);
	free(k->port);
	free(k);
	ctl->kernel = NULL;
}
