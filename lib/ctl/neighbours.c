/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ARP and neighbour discovery on the Ethernet ports of L3 clusters: questions for what is ours,
 * or is reached through us, are answered; hosts that packets are routed to are asked for, looked
 * after, and forgotten. Hosts on one link have to trust each other, so what they say moves nothing
 * but the addresses that are routed to that link.
 */
#include <rte_mbuf.h>

#include "link_frame.h"
#include "neighbours.h"

#define EXPECTED 1024
#define SALT 3

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const struct omni_ip all_nodes = {.b = {0xff, 0x02, [15] = 1}};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, [5] = 1};

/* ---- Sending ---- */

static void send_frame(struct omni_ctl *ctl, const struct omni_port *port,
		       const struct link_frame *f)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ctl->conf.pool);
	uint8_t frame[LINK_FRAME_MAX];
	size_t len = link_frame_build(frame, f);
	char *at;

	if (m == NULL) {
		ctl_count(ctl, OMNI_STAT_ctl_no_mbuf);
		return;
	}
	at = rte_pktmbuf_append(m, (uint16_t)len);
	memcpy(at, frame, len); /* a pool holds datagrams of the uplink */
	memset(omni_meta(m), 0, sizeof(*omni_meta(m)));
	omni_meta(m)->port = port->id;
	/* Who has the port's first queue. */
	if (omni_xring_send(ctl->conf.xrings[port->first_worker % ctl->conf.n_workers], m) == 0)
		return;
	rte_pktmbuf_free(m);
	ctl_count(ctl, OMNI_STAT_ctl_ring_full);
}

/* Whom a question of ours for `for_ip` names: an address in its subnet, or at least of IPv4. */
static struct omni_ip asker(const struct ctl_cluster *c, const struct omni_ip *for_ip)
{
	struct omni_ip any = {0};
	struct omni_prefix own;

	for (unsigned int i = 0; ctl_l3_address(c, i, &own); i++) {
		if (!omni_ip_is_v4(&own.ip))
			continue;
		if (omni_prefix_contains(&own, for_ip))
			return own.ip;
		if (omni_ip_is_none(&any))
			any = own.ip;
	}
	return any;
}

/* mac NULL: whoever it is. */
static void ask(struct omni_ctl *ctl, const struct ctl_neigh *n, const uint8_t *mac)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, n->port);
	struct link_frame f = {.kind = LINK_ASK, .target = n->ip, .to = n->ip};

	if (port == NULL)
		return;
	memcpy(f.mac, port->info.l3_mac, sizeof(f.mac));
	memcpy(f.from_mac, f.mac, sizeof(f.from_mac));
	if (omni_ip_is_v4(&n->ip)) {
		f.from = asker(n->cluster, &n->ip);
		memcpy(f.to_mac, broadcast, sizeof(f.to_mac));
	} else {
		f.from = link_local(f.mac);
		link_solicited_node(&f.to, f.to_mac, &n->ip);
	}
	if (mac != NULL) {
		memcpy(f.to_mac, mac, sizeof(f.to_mac));
		f.to = n->ip;
	}
	send_frame(ctl, port, &f);
}

/* ---- The table ---- */

static uint64_t hash_of(const struct ctl_neighbours *t, const struct ctl_cluster *c,
			const struct omni_ip *ip)
{
	return ctl_index_hash(&t->by_ip, ip, sizeof(*ip), SALT + c->number);
}

static struct ctl_neigh *find(const struct ctl_neighbours *t, const struct ctl_cluster *c,
			      const struct omni_ip *ip)
{
	struct ctl_link *l = ctl_index_first(&t->by_ip, hash_of(t, c, ip));

	for (; l != NULL; l = ctl_index_next(l)) {
		struct ctl_neigh *n = ctl_container(l, struct ctl_neigh, link);

		if (n->cluster == c && omni_ip_equal(&n->ip, ip))
			return n;
	}
	return NULL;
}

static void set_state(struct omni_ctl *ctl, struct ctl_neigh *n, enum ctl_neigh_state state)
{
	struct ctl_neigh_port *p = &ctl->neighbours->port[n->port];

	p->asked += (state == CTL_NEIGH_ASKED) - (n->state == CTL_NEIGH_ASKED);
	n->state = state;
}

/* What is behind n, if it is a router; true where it is one. */
static bool lead_behind(struct omni_ctl *ctl, const struct ctl_neigh *n, omni_dest dest)
{
	const struct ctl_l3_port *lp = ctl_l3_port_of(n->cluster, n->port);
	bool is_router = false;

	for (unsigned int i = 0; lp != NULL && i < lp->conf->n_via; i++) {
		const struct omni_config_via *via = &lp->conf->via[i];

		if (!omni_ip_equal(&via->gateway, &n->ip))
			continue;
		is_router = true;
		if (omni_fib_set(ctl->conf.fib, n->cluster->number, &via->to, dest) != 0)
			ctl_count(ctl, OMNI_STAT_ctl_routes_full);
	}
	return is_router;
}

/* Packets to it go to dest from now on; MISS: they are asked about again. */
static void lead(struct omni_ctl *ctl, struct ctl_neigh *n, omni_dest dest)
{
	struct omni_prefix host = ctl_l3_host(&n->ip);
	omni_dest was = omni_fib_get(ctl->conf.fib, n->cluster->number, &host);
	const struct omni_port *port = omni_port_get(ctl->conf.ports, n->port);
	omni_dest asked = port != NULL ? ctl_l3_port_dest(port) : OMNI_DEST_MISS;

	if (lead_behind(ctl, n, dest != OMNI_DEST_MISS ? dest : asked) && dest == OMNI_DEST_MISS)
		dest = asked;

	/* A peer, or we ourselves, have it since: that is not undone by who is on the link. */
	if (omni_dest_kind(was) == OMNI_DEST_PEER || omni_dest_kind(was) == OMNI_DEST_SELF)
		return;
	if (dest != OMNI_DEST_MISS) {
		if (omni_fib_set(ctl->conf.fib, n->cluster->number, &host, dest) != 0)
			ctl_count(ctl, OMNI_STAT_ctl_routes_full);
	} else if (was != OMNI_DEST_MISS &&
		   (was == n->dest || omni_dest_kind(was) == OMNI_DEST_REJECT)) {
		(void)omni_fib_del(ctl->conf.fib, n->cluster->number, &host, was);
	}
}

static void drop_adjacency(struct omni_ctl *ctl, struct ctl_neigh *n)
{
	if (n->dest != OMNI_DEST_MISS)
		omni_fib_adjacency_del(ctl->conf.fib, n->dest);
	n->dest = OMNI_DEST_MISS;
}

static void neigh_free(struct omni_ctl *ctl, struct ctl_neigh *n)
{
	struct ctl_neighbours *t = ctl->neighbours;

	lead(ctl, n, OMNI_DEST_MISS);
	drop_adjacency(ctl, n);
	set_state(ctl, n, CTL_NEIGH_FAILED);
	t->port[n->port].n--;
	ctl_index_del(&t->by_ip, &n->link);
	TAILQ_REMOVE(&t->all, n, entry);
	free(n);
}

/* Make room on a port: of those that nobody answers for, the oldest goes. */
static bool give_way(struct omni_ctl *ctl, uint16_t port)
{
	struct ctl_neigh *n;

	TAILQ_FOREACH (n, &ctl->neighbours->all, entry) {
		if (n->port != port ||
		    (n->state != CTL_NEIGH_FAILED && n->state != CTL_NEIGH_ASKED))
			continue;
		neigh_free(ctl, n);
		return true;
	}
	return false;
}

/*
 * The same where all are there: one of the MAC that has the most, so that who answers for everybody
 * locks nobody out; of its own the one that was not heard for longest.
 */
static bool give_way_of_many(struct omni_ctl *ctl, uint16_t port)
{
	struct ctl_neighbours *t = ctl->neighbours;
	struct ctl_neigh *n, *goes = NULL;
	uint16_t of_mac[NEIGH_MACS] = {0};

	TAILQ_FOREACH (n, &t->all, entry)
		if (n->port == port && n->dest != OMNI_DEST_MISS)
			of_mac[n->mac_slot]++;
	TAILQ_FOREACH (n, &t->all, entry) {
		int more;

		if (n->port != port || n->dest == OMNI_DEST_MISS)
			continue;
		more = goes != NULL ? of_mac[n->mac_slot] - of_mac[goes->mac_slot] : 1;
		if (more > 0 || (more == 0 && n->heard_ns < goes->heard_ns))
			goes = n;
	}
	if (goes != NULL)
		neigh_free(ctl, goes);
	return goes != NULL;
}

/* Is there room for one more on the port, of whom nobody has heard yet? */
static bool make_room(struct omni_ctl *ctl, uint16_t port)
{
	const struct ctl_neigh_port *p = &ctl->neighbours->port[port];

	if (p->n < NEIGH_PORT_MAX && p->asked < NEIGH_ASKED_MAX)
		return true;
	if (give_way(ctl, port))
		return true;
	ctl_count(ctl, OMNI_STAT_ctl_neighbours_full);
	return give_way_of_many(ctl, port);
}

static struct ctl_neigh *neigh_new(struct omni_ctl *ctl, struct ctl_cluster *c, uint16_t port,
				   const struct omni_ip *ip)
{
	struct ctl_neighbours *t = ctl->neighbours;
	struct ctl_neigh_port *p = &t->port[port];
	struct ctl_neigh *n = make_room(ctl, port) ? calloc(1, sizeof(*n)) : NULL;

	if (n == NULL)
		return NULL;
	n->cluster = c;
	n->port = port;
	n->ip = *ip;
	n->state = CTL_NEIGH_FAILED;
	set_state(ctl, n, CTL_NEIGH_ASKED);
	p->n++;
	ctl_index_add(&t->by_ip, &n->link, hash_of(t, c, ip));
	TAILQ_INSERT_TAIL(&t->all, n, entry);
	return n;
}

/* It is there, and has that MAC. */
static void heard(struct omni_ctl *ctl, struct ctl_neigh *n, const uint8_t mac[6], uint64_t now)
{
	omni_dest old = n->dest;

	n->heard_ns = now;
	n->due_ns = now + NEIGH_FRESH_NS;
	n->tries = 0;
	set_state(ctl, n, CTL_NEIGH_REACHABLE);
	if (old != OMNI_DEST_MISS && memcmp(n->mac, mac, sizeof(n->mac)) == 0)
		return;
	memcpy(n->mac, mac, sizeof(n->mac));
	n->mac_slot =
		(uint16_t)(ctl_index_hash(&ctl->neighbours->by_ip, mac, 6, SALT) % NEIGH_MACS);
	n->dest = omni_fib_adjacency_add(ctl->conf.fib, n->port, mac);
	if (n->dest == OMNI_DEST_MISS)
		ctl_count(ctl, OMNI_STAT_ctl_neighbours_full);
	lead(ctl, n, n->dest);
	if (old != OMNI_DEST_MISS)
		omni_fib_adjacency_del(ctl->conf.fib, old);
}

/* ---- Whose is it? ---- */

static bool is_on_link(const struct omni_ctl *ctl, omni_dest dest, uint16_t port)
{
	const struct omni_adjacency *a;

	if (omni_dest_kind(dest) == OMNI_DEST_PORT)
		return omni_dest_index(dest) == port;
	if (omni_dest_kind(dest) != OMNI_DEST_HOST)
		return false;
	a = omni_fib_adjacency(ctl->conf.fib, dest);
	return a != NULL && a->port == port;
}

/* Do we answer for it on that port: it is ours, or behind us? */
static bool is_answered(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const struct omni_port *port, const struct link_frame *f, bool *ours)
{
	const struct omni_ip local = link_local(port->info.l3_mac);
	omni_dest dest = ctl_l3_lookup(ctl, c, &f->target);

	*ours = omni_dest_kind(dest) == OMNI_DEST_SELF || omni_ip_equal(&f->target, &local);
	if (*ours)
		return true;
	/* Who looks for a free address, or says it is his, must not hear that all are taken. */
	if (omni_ip_is_none(&f->from) || omni_ip_equal(&f->from, &f->target))
		return false;
	switch (omni_dest_kind(dest)) {
	case OMNI_DEST_PEER:
	case OMNI_DEST_ASK:
		return true;
	case OMNI_DEST_PORT:
	case OMNI_DEST_HOST:
		return !is_on_link(ctl, dest, port->id);
	default:
		return false;
	}
}

/* ---- What others say ---- */

static void answer(struct omni_ctl *ctl, const struct omni_port *port, const struct link_frame *q,
		   bool ours)
{
	struct ctl_neigh_port *p = &ctl->neighbours->port[port->id];
	bool known = !omni_ip_is_none(&q->from);
	struct link_frame f = {
		.kind = LINK_ANSWER,
		.from = q->target,
		.target = q->target,
		.to = known || omni_ip_is_v4(&q->target) ? q->from : all_nodes,
		.solicited = known,
		.override = ours,
		.router = ours,
	};

	if (!ctl_bucket_take(&p->answers, ctl_now(ctl), NEIGH_ANSWERS_PER_S, NEIGH_ANSWERS_BURST)) {
		ctl_count(ctl, OMNI_STAT_ctl_link_limited);
		return;
	}
	memcpy(f.mac, port->info.l3_mac, sizeof(f.mac));
	memcpy(f.from_mac, f.mac, sizeof(f.from_mac));
	memcpy(f.to_mac, q->has_mac ? q->mac : q->from_mac, sizeof(f.to_mac));
	if (!known && !omni_ip_is_v4(&q->target))
		memcpy(f.to_mac, all_nodes_mac, sizeof(f.to_mac));
	ctl_count(ctl, OMNI_STAT_ctl_link_answered);
	send_frame(ctl, port, &f);
}

/* Somebody else on the link says that it has an address of ours. */
static bool is_duplicate(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_port *port,
			 const struct omni_ip *ip, const uint8_t mac[6])
{
	const struct ctl_l3_port *lp = ctl_l3_port_of(c, port->id);
	struct ctl_neigh_port *p = &ctl->neighbours->port[port->id];
	char text[OMNI_IP_TEXT_LEN];

	if (!ctl_l3_is_ours(c, ip) ||
	    (lp->side != OMNI_DEST_MISS && memcmp(lp->side_mac, mac, 6) == 0))
		return false;
	ctl_count(ctl, OMNI_STAT_ctl_neighbours_duplicate);
	if (p->told_ns == 0 || ctl_now(ctl) - p->told_ns >= NEIGH_TOLD_NS) {
		p->told_ns = ctl_now(ctl);
		omni_log_warn(LOG_CTL, "an address of ours is used by another host on the link",
			      "port=%s address=%s mac=%02x:%02x:%02x:%02x:%02x:%02x", port->name,
			      omni_ip_text(text, ip), mac[0], mac[1], mac[2], mac[3], mac[4],
			      mac[5]);
	}
	return true;
}

/* No host has it: the number of a subnet on the link, or its broadcast (RFC 1812, 5.3.5). */
static bool is_nobodys(const struct ctl_cluster *c, const struct omni_ip *ip)
{
	struct omni_prefix own;

	for (unsigned int i = 0; ctl_l3_address(c, i, &own); i++)
		if (omni_prefix_is_edge(&own, ip))
			return true;
	return false;
}

/* May what is said about ip on that port be believed? */
static bool is_believed(const struct omni_ctl *ctl, struct ctl_cluster *c,
			const struct omni_port *port, const struct omni_ip *ip,
			const struct ctl_neigh *n)
{
	omni_dest dest = ctl_l3_lookup(ctl, c, ip);

	if (dest == ctl_l3_port_of(c, port->id)->side || is_nobodys(c, ip))
		return false;
	return is_on_link(ctl, dest, port->id) ||
	       (n != NULL && omni_dest_kind(dest) == OMNI_DEST_REJECT);
}

static void learn(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_port *port,
		  const struct link_frame *f, bool to_us)
{
	const struct omni_ip *ip = f->kind == LINK_ASK ? &f->from : &f->target;
	struct ctl_neigh *n;

	if (omni_ip_is_none(ip) ||
	    is_duplicate(ctl, c, port, ip, f->has_mac ? f->mac : f->from_mac))
		return;
	n = find(ctl->neighbours, c, ip);
	if (!f->has_mac || (n != NULL && n->port != port->id) || !is_believed(ctl, c, port, ip, n))
		return;
	/* Who asks for us will be answered to soon; nobody else is remembered unasked. */
	if (n == NULL && f->kind == LINK_ASK && to_us)
		n = neigh_new(ctl, c, port->id, ip);
	if (n == NULL)
		return;
	/* RFC 4861, section 7.2.5: without the flag another MAC is a reason to ask again. */
	if (f->kind == LINK_ANSWER && !f->override && n->state == CTL_NEIGH_REACHABLE &&
	    memcmp(n->mac, f->mac, sizeof(n->mac)) != 0) {
		n->due_ns = ctl_now(ctl);
		return;
	}
	heard(ctl, n, f->mac, ctl_now(ctl));
}

void ctl_neighbour_frame(struct omni_ctl *ctl, struct rte_mbuf *m)
{
	uint16_t id = omni_meta(m)->port, number = omni_meta(m)->cluster;
	const struct omni_port *port = omni_port_get(ctl->conf.ports, id);
	struct ctl_cluster *c = number < ctl->n_clusters ? &ctl->cluster[number] : NULL;
	struct link_frame f;
	bool ours = false, answered;
	int rc;

	if (c == NULL || port == NULL || port->info.raw_ip || ctl_l3_port_of(c, id) == NULL)
		return;
	rc = link_frame_parse(&f, rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));
	if (rc != 0) {
		ctl_count(ctl, rc == -EBADMSG ? OMNI_STAT_ctl_link_malformed
					      : OMNI_STAT_ctl_link_ignored);
		return;
	}
	if (memcmp(f.from_mac, port->info.l3_mac, sizeof(f.from_mac)) == 0)
		return; /* our own, come back */
	answered = f.kind == LINK_ASK && is_answered(ctl, c, port, &f, &ours);
	learn(ctl, c, port, &f, answered);
	if (answered)
		answer(ctl, port, &f, ours);
}

/* ---- What packets want ---- */

void ctl_neighbour_want(struct omni_ctl *ctl, uint16_t cluster, const struct omni_ip *ip)
{
	struct ctl_cluster *c = cluster < ctl->n_clusters ? &ctl->cluster[cluster] : NULL;
	omni_dest dest = c != NULL && c->l3 != NULL ? ctl_l3_lookup(ctl, c, ip) : OMNI_DEST_MISS;
	uint16_t id = (uint16_t)omni_dest_index(dest);
	const struct omni_port *port = omni_port_get(ctl->conf.ports, id);
	const struct omni_config_via *via;
	struct ctl_neigh *n;

	if (omni_dest_kind(dest) != OMNI_DEST_PORT || port == NULL || port->info.raw_ip ||
	    !omni_ip_is_unicast(ip) || ctl_l3_port_of(c, id) == NULL)
		return;
	via = ctl_l3_via(ctl_l3_port_of(c, id), ip);
	if (via != NULL)
		ip = &via->gateway;
	else if (is_nobodys(c, ip))
		return; /* and no error is about a broadcast */
	n = find(ctl->neighbours, c, ip);
	if (n != NULL && n->dest != OMNI_DEST_MISS)
		lead(ctl, n, n->dest);
	if (n != NULL)
		return;
	if (!ctl_bucket_take(&ctl->neighbours->port[id].asks, ctl_now(ctl), NEIGH_ASKS_PER_S,
			     NEIGH_ASKS_BURST)) {
		ctl_count(ctl, OMNI_STAT_ctl_link_limited);
		return;
	}
	n = neigh_new(ctl, c, id, ip);
	if (n == NULL)
		return;
	n->tries = 1;
	n->due_ns = ctl_now(ctl) + NEIGH_TRY_NS;
	ask(ctl, n, NULL);
}

/* ---- Time ---- */

/* Nobody answers: senders hear so for a while. */
static void give_up(struct omni_ctl *ctl, struct ctl_neigh *n, uint64_t now)
{
	ctl_count(ctl, OMNI_STAT_ctl_neighbours_failed);
	lead(ctl, n, omni_dest_make(OMNI_DEST_REJECT, 0, 0));
	drop_adjacency(ctl, n);
	set_state(ctl, n, CTL_NEIGH_FAILED);
	n->due_ns = now + NEIGH_FAILED_NS;
}

static void look_at(struct omni_ctl *ctl, struct ctl_neigh *n, uint64_t now)
{
	if (n->state == CTL_NEIGH_FAILED) {
		neigh_free(ctl, n);
		return;
	}
	if (n->tries >= NEIGH_TRIES) {
		give_up(ctl, n, now);
		return;
	}
	if (n->state == CTL_NEIGH_REACHABLE)
		set_state(ctl, n, CTL_NEIGH_STALE);
	n->tries++;
	n->due_ns = now + NEIGH_TRY_NS;
	/* The last question to one that had a MAC goes to everybody: it may have another. */
	ask(ctl, n, n->state == CTL_NEIGH_STALE && n->tries < NEIGH_TRIES ? n->mac : NULL);
}

/* Gratuitous ARP, unsolicited advertisements: so that nobody goes on with an old MAC of ours. */
static void announce(struct omni_ctl *ctl, const struct ctl_cluster *c,
		     const struct omni_port *port)
{
	struct omni_prefix own;

	for (unsigned int i = 0; ctl_l3_address(c, i, &own); i++) {
		bool v4 = omni_ip_is_v4(&own.ip);
		struct link_frame f = {
			.kind = v4 ? LINK_ASK : LINK_ANSWER,
			.from = own.ip,
			.target = own.ip,
			.to = all_nodes,
			.override = true,
			.router = true,
		};

		if (omni_dest_kind(ctl_l3_lookup(ctl, c, &own.ip)) != OMNI_DEST_SELF)
			continue; /* its interface says so itself */
		memcpy(f.mac, port->info.l3_mac, sizeof(f.mac));
		memcpy(f.from_mac, f.mac, sizeof(f.from_mac));
		memcpy(f.to_mac, v4 ? broadcast : all_nodes_mac, sizeof(f.to_mac));
		send_frame(ctl, port, &f);
	}
}

static void announce_port(struct omni_ctl *ctl, const struct ctl_cluster *c, uint16_t id,
			  uint64_t now)
{
	const struct omni_port *port = omni_port_get(ctl->conf.ports, id);
	struct ctl_neigh_port *p = &ctl->neighbours->port[id];

	if (p->announce == 0 || now < p->announce_ns || port == NULL || port->info.raw_ip)
		return;
	p->announce--;
	p->announce_ns = now + NEIGH_TRY_NS;
	announce(ctl, c, port);
}

void ctl_neighbours_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_neigh *n, *next;

	if (ctl->neighbours == NULL)
		return;
	for (n = TAILQ_FIRST(&ctl->neighbours->all); n != NULL; n = next) {
		next = TAILQ_NEXT(n, entry);
		if (now >= n->due_ns)
			look_at(ctl, n, now);
	}
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		const struct ctl_cluster *c = &ctl->cluster[i];

		for (unsigned int k = 0; c->l3 != NULL && k < c->l3->n_ports; k++)
			announce_port(ctl, c, c->l3->port[k].id, now);
	}
}

void ctl_neighbours_link(struct omni_ctl *ctl, uint16_t port, bool up)
{
	struct ctl_neigh *n, *next;

	if (ctl->neighbours == NULL)
		return;
	ctl->neighbours->port[port].announce = up ? NEIGH_ANNOUNCED : 0;
	ctl->neighbours->port[port].announce_ns = 0;
	for (n = TAILQ_FIRST(&ctl->neighbours->all); !up && n != NULL; n = next) {
		next = TAILQ_NEXT(n, entry);
		if (n->port == port)
			neigh_free(ctl, n);
	}
}

/* ---- Begin and end ---- */

int ctl_neighbours_init(struct omni_ctl *ctl, struct omni_err *err)
{
	struct ctl_neighbours *t = calloc(1, sizeof(*t));

	ctl->neighbours = t;
	if (t == NULL || ctl_index_init(&t->by_ip, EXPECTED) != 0)
		return omni_fail(err, -ENOMEM, "no memory for neighbours");
	TAILQ_INIT(&t->all);
	for (unsigned int i = 0; i < OMNI_PORTS_MAX; i++)
		t->port[i].announce = NEIGH_ANNOUNCED;
	return 0;
}

void ctl_neighbours_fini(struct omni_ctl *ctl)
{
	struct ctl_neighbours *t = ctl->neighbours;
	struct ctl_neigh *n;

	if (t == NULL)
		return;
	while (t->by_ip.bucket != NULL && (n = TAILQ_FIRST(&t->all)) != NULL)
		neigh_free(ctl, n);
	ctl_index_fini(&t->by_ip);
	free(t);
	ctl->neighbours = NULL;
}
