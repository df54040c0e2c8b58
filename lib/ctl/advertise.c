/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Prefixes behind members of L3 clusters (docs/protocol.md, "Routes"): ours are told to every
 * peer with a session, as long as the port that they are behind is up; theirs are routed to them
 * where the configuration accepts that, and where they take nothing that is somebody else's.
 */
#include "l3.h"

#define REPEAT_NS (10 * OMNI_NS_PER_S)
#define ASK_NS                                                                            \
	OMNI_NS_PER_S /* between two requests, two tables of a peer, two tellings of ours \
		       */
/* Between two tables of ours: a peer takes none that comes within ASK_NS of the last. */
#define SPACING_NS (ASK_NS + ASK_NS / 4)
#define ROUTES_LEN_MAX 512 /* of a message with OMNI_CONTROL_PREFIXES_MAX prefixes */
#define OWN_MAX 16	   /* addresses of the underlay */

struct heard {
	struct omni_prefix prefix;
	bool set; /* it is routed to the peer, by us */
};

/* What a peer has said, and what it was told. */
struct ctl_routes {
	uint64_t told_version, repeat_ns, told_ns;
	uint64_t version; /* of the table that is in force; 0: none */
	struct heard *at;
	uint32_t n;
	uint64_t next_version; /* of the one that is coming in; 0: none */
	struct heard *next;
	uint32_t n_next, total;
	uint64_t asked_ns, changed_ns, applied_ns;
	bool told_refused;
};

static struct ctl_routes *routes_of(struct ctl_peer *peer)
{
	if (peer->routes == NULL)
		peer->routes = calloc(1, sizeof(*peer->routes));
	return peer->routes;
}

static bool speaks(const struct ctl_peer *peer)
{
	return peer->cluster->l3 != NULL && peer->wg == NULL && ctl_peer_has_key(peer) &&
	       ctl_peer_kp(peer, CTL_CURRENT) != NULL;
}

static void send_control(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *m)
{
	uint8_t out[ROUTES_LEN_MAX];
	int len = omni_control_encode(out, sizeof(out), m, 0);

	if (len > 0)
		(void)ctl_send_peer(ctl, peer, OMNI_KIND_CONTROL, out, (size_t)len);
}

/* ---- Ours ---- */

/* The version alone, or with it all prefixes. */
static void tell(struct omni_ctl *ctl, struct ctl_peer *peer, bool all)
{
	const struct ctl_l3 *l3 = peer->cluster->l3;
	struct omni_control m = {
		.type = OMNI_CONTROL_ROUTES, .version = l3->told_version, .total = l3->n_told};
	struct ctl_routes *r = l3->told_version != 0 && speaks(peer) ? routes_of(peer) : NULL;

	if (r == NULL)
		return;
	r->repeat_ns = ctl_now(ctl) + REPEAT_NS;
	if (all) {
		r->told_version = l3->told_version;
		r->told_ns = ctl_now(ctl);
	}
	if (!all || l3->n_told == 0) {
		send_control(ctl, peer, &m);
		return;
	}
	for (; m.first < m.total; m.first += (uint32_t)m.n_prefixes) {
		m.n_prefixes =
			OMNI_MIN((size_t)(m.total - m.first), (size_t)OMNI_CONTROL_PREFIXES_MAX);
		memcpy(m.prefixes, l3->told + m.first, m.n_prefixes * sizeof(m.prefixes[0]));
		send_control(ctl, peer, &m);
	}
}

/* As a link that goes and comes makes two tables in a moment: the second one waits a little. */
static void tell_new(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_routes *r = peer->routes;

	if (r == NULL || r->told_ns == 0 || ctl_now(ctl) - r->told_ns >= SPACING_NS) {
		tell(ctl, peer, true);
		return;
	}
	r->repeat_ns = r->told_ns + SPACING_NS; /* the peer is looked at every second */
}

/* The port that a prefix of ours is behind is up. */
static bool is_up(const struct ctl_cluster *c, const struct omni_prefix *prefix)
{
	const struct ctl_l3_port *p = ctl_l3_behind(c, prefix);

	return p != NULL && p->up;
}

void ctl_advertise_look(struct omni_ctl *ctl, struct ctl_cluster *c)
{
	struct omni_prefix now[CTL_ADVERTISE_MAX];
	struct ctl_l3 *l3 = c->l3;
	struct ctl_peer *peer;
	uint32_t n = 0;

	if (c->conf->n_advertise == 0)
		return;
	for (unsigned int i = 0; i < c->conf->n_advertise && n < CTL_ADVERTISE_MAX; i++)
		if (is_up(c, &c->conf->advertise[i]))
			now[n++] = omni_prefix_masked(&c->conf->advertise[i]);
	if (l3->told_version != 0 && n == l3->n_told &&
	    memcmp(now, l3->told, n * sizeof(now[0])) == 0)
		return;
	memcpy(l3->told, now, n * sizeof(now[0]));
	l3->n_told = n;
	l3->told_version = OMNI_MAX(l3->told_version + 1, ctl_real_now(ctl) / OMNI_NS_PER_MS);
	TAILQ_FOREACH (peer, &c->peers, entry)
		tell_new(ctl, peer);
}

void ctl_advertise_session(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_l3 *l3 = peer->cluster->l3;

	if (l3 != NULL)
		tell(ctl, peer,
		     peer->routes == NULL || peer->routes->told_version != l3->told_version);
}

/* ---- Theirs: what is taken ---- */

static bool same_prefix(const struct omni_prefix *a, const struct omni_prefix *b)
{
	return a->len == b->len && omni_ip_equal(&a->ip, &b->ip);
}

static bool overlap(const struct omni_prefix *a, const struct omni_prefix *b)
{
	return ctl_prefix_covers(a, b) || ctl_prefix_covers(b, a);
}

/* A router on one of our links leads there, whether we say so to others or not. */
static bool is_via_us(const struct ctl_cluster *c, const struct omni_prefix *prefix)
{
	for (unsigned int p = 0; p < c->l3->n_ports; p++) {
		const struct omni_config_port *conf = c->l3->port[p].conf;

		/* A default route is no subnet of anybody's. */
		for (unsigned int i = 0; i < conf->n_via; i++)
			if (conf->via[i].to.len > 0 && overlap(prefix, &conf->via[i].to))
				return true;
	}
	return false;
}

static const char *takes_of_ours(struct omni_ctl *ctl, const struct ctl_cluster *c,
				 const struct omni_prefix *prefix)
{
	struct omni_ip ip[OWN_MAX];
	unsigned int n = ctl_nexthop_addresses(ctl, ip, OWN_MAX);
	struct omni_prefix own;

	for (unsigned int i = 0; i < n; i++)
		if (omni_prefix_contains(prefix, &ip[i]))
			return "it holds an underlay address of ours";
	for (unsigned int i = 0; ctl_l3_address(c, i, &own); i++) {
		if (omni_prefix_contains(prefix, &own.ip))
			return "it holds an address of ours";
		/* Derived addresses are single ones: their common /8 is nobody's. */
		if ((i > 0 || !c->conf->vip_auto) && overlap(prefix, &own))
			return "it overlaps a subnet of ours";
	}
	for (unsigned int i = 0; i < c->conf->n_advertise; i++)
		if (overlap(prefix, &c->conf->advertise[i]))
			return "it overlaps what is behind us";
	return is_via_us(c, prefix) ? "it overlaps what is behind us" : NULL;
}

/* NULL: it is taken. */
static const char *why_not(struct omni_ctl *ctl, const struct ctl_peer *peer,
			   const struct omni_prefix *prefix)
{
	const struct ctl_cluster *c = peer->cluster;
	bool accepted = false;
	const char *why;
	omni_dest dest;

	for (unsigned int i = 0; i < c->conf->n_accept && !accepted; i++)
		accepted = ctl_prefix_covers(&c->conf->accept[i], prefix);
	if (!accepted)
		return "it is not accepted here";
	why = takes_of_ours(ctl, c, prefix);
	if (why == NULL)
		why = ctl_holders_why(ctl, peer, prefix);
	if (why != NULL)
		return why;
	dest = omni_fib_get(ctl->conf.fib, c->number, prefix);
	return dest == OMNI_DEST_MISS || dest == ctl_l3_peer_dest(peer)
		       ? NULL
		       : "somebody else has it already";
}

static void refused(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_prefix *prefix,
		    const char *why)
{
	char text[OMNI_PREFIX_TEXT_LEN], key[OMNI_KEY_B64_LEN];

	ctl_count(ctl, OMNI_STAT_ctl_routes_refused);
	if (peer->routes->told_refused)
		return;
	peer->routes->told_refused = true;
	omni_log_warn(LOG_CTL, "prefix of a member not taken",
		      "cluster=%s peer=%s prefix=%s reason=\"%s\"", peer->cluster->conf->name,
		      ctl_peer_text(key, peer), omni_prefix_text(text, prefix), why);
}

static void unset(struct omni_ctl *ctl, struct ctl_peer *peer, struct heard *h)
{
	if (h->set)
		(void)omni_fib_del(ctl->conf.fib, peer->cluster->number, &h->prefix,
				   ctl_l3_peer_dest(peer));
	h->set = false;
}

/* Route what may be, and no more of what may not be any longer. */
static void apply(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_routes *r = peer->routes;
	omni_dest dest = ctl_l3_peer_dest(peer);

	r->applied_ns = ctl_now(ctl);
	for (uint32_t i = 0; i < r->n; i++) {
		struct heard *h = &r->at[i];
		const char *why = why_not(ctl, peer, &h->prefix);

		if (why != NULL) {
			refused(ctl, peer, &h->prefix, why);
			unset(ctl, peer, h);
			continue;
		}
		/* Among its allowed IPs: it is the configuration's. */
		if (omni_fib_get(ctl->conf.fib, peer->cluster->number, &h->prefix) == dest)
			continue;
		h->set = omni_fib_set(ctl->conf.fib, peer->cluster->number, &h->prefix, dest) == 0;
		if (!h->set)
			ctl_count(ctl, OMNI_STAT_ctl_routes_full);
	}
}

void ctl_routes_configured(const struct ctl_peer *peer, const struct omni_prefix *prefix)
{
	const struct omni_prefix p = omni_prefix_masked(prefix);
	struct ctl_routes *r = peer->routes;

	for (uint32_t i = 0; r != NULL && i < r->n; i++)
		r->at[i].set &= !same_prefix(&r->at[i].prefix, &p);
}

/* ---- Theirs: what comes in ---- */

static void want_all(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	const struct omni_control m = {.type = OMNI_CONTROL_WANT_ROUTES};

	if (peer->routes->asked_ns != 0 && now - peer->routes->asked_ns < ASK_NS)
		return;
	peer->routes->asked_ns = now;
	send_control(ctl, peer, &m);
}

/* The entry of the table in force for a prefix; NULL. */
static struct heard *find(struct ctl_routes *r, const struct omni_prefix *prefix, uint32_t hint)
{
	for (uint32_t k = 0; k < r->n; k++) {
		struct heard *h = &r->at[(hint + k) % r->n];

		if (same_prefix(&h->prefix, prefix))
			return h;
	}
	return NULL;
}

/* The new table is whole: what both have stays as it is. */
static void take_over(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct ctl_routes *r = peer->routes;

	for (uint32_t i = 0; i < r->n_next; i++) {
		struct heard *old = find(r, &r->next[i].prefix, i);

		if (old == NULL)
			continue;
		r->next[i].set = old->set;
		old->set = false;
	}
	for (uint32_t i = 0; i < r->n; i++)
		unset(ctl, peer, &r->at[i]);
	free(r->at);
	r->at = r->next;
	r->n = r->n_next;
	r->version = r->next_version;
	r->next = NULL;
	r->n_next = 0;
	r->next_version = 0;
	r->changed_ns = now;
	r->told_refused = false;
	ctl_count(ctl, OMNI_STAT_ctl_routes_learned);
	apply(ctl, peer);
}

static bool begin_table(struct ctl_routes *r, const struct omni_control *m)
{
	free(r->next);
	r->next = calloc(OMNI_MAX(m->total, 1u), sizeof(*r->next));
	r->n_next = 0;
	r->total = m->total;
	r->next_version = r->next != NULL ? m->version : 0;
	return r->next != NULL;
}

static void take_page(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *m,
		      uint64_t now)
{
	struct ctl_routes *r = peer->routes;

	if ((r->next_version != m->version || r->total != m->total) && !begin_table(r, m))
		return;
	if (m->n_prefixes > 0 && m->first == r->n_next) {
		for (size_t i = 0; i < m->n_prefixes; i++)
			r->next[r->n_next++] = (struct heard){.prefix = m->prefixes[i]};
	} else if (m->n_prefixes == 0 || m->first > r->n_next) {
		if (r->n_next < r->total)
			want_all(ctl, peer, now);
	}
	if (r->n_next == r->total)
		take_over(ctl, peer, now);
}

void ctl_routes_heard(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *m)
{
	uint64_t now = ctl_now(ctl);
	struct ctl_routes *r = peer->cluster->l3 != NULL ? routes_of(peer) : NULL;

	if (r == NULL || m->version == 0 || m->total > CTL_ADVERTISE_MAX) {
		ctl_count(ctl, OMNI_STAT_ctl_routes_refused);
		return;
	}
	if (m->version < r->version)
		return;
	/* A table is work: one that comes or changes all the time waits for the next repetition. */
	if (m->version == r->version) {
		if (r->applied_ns == 0 || now - r->applied_ns >= ASK_NS)
			apply(ctl, peer); /* what was in its way may be gone */
		return;
	}
	if (r->changed_ns != 0 && now - r->changed_ns < ASK_NS)
		return;
	take_page(ctl, peer, m, now);
}

void ctl_routes_wanted(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_routes *r = peer->cluster->l3 != NULL ? routes_of(peer) : NULL;
	uint64_t now = ctl_now(ctl);

	if (r == NULL || now < r->told_ns + ASK_NS / 2)
		return;
	r->told_ns = now;
	tell(ctl, peer, true);
}

/* ---- Time, and the end of a session ---- */

void ctl_advertise_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now, bool idle)
{
	const struct ctl_routes *r = peer->routes;
	/* Only those in L3 clusters have any. */
	bool is_new = r != NULL && r->told_version != peer->cluster->l3->told_version;

	if (r != NULL && r->repeat_ns != 0 && (is_new || !idle) && now >= r->repeat_ns)
		tell(ctl, peer, is_new);
}

void ctl_routes_drop(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_routes *r = peer->routes;

	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->n; i++)
		unset(ctl, peer, &r->at[i]);
	free(r->at);
	free(r->next);
	free(r);
	peer->routes = NULL;
}
