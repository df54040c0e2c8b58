/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Control planes in one process, joined by a wire that the test owns. There are no workers: the
 * rig takes what a site's control puts on its ring, carries it by its outer address, decrypts
 * data as a worker would, and puts events and messages on the other site's rings. Time stands
 * still unless rig_run() moves it, or each look at the clock does (net.look_ns).
 */
#ifndef TESTS_CTL_RIG_H
#define TESTS_CTL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <ctl_priv.h>
#include <omni_cursor.h>

#include "eal.h"

#define SITES 4
#define SECRET "correct horse battery staple"
#define STEP_NS (100 * OMNI_NS_PER_MS)
#ifndef RIG_MBUFS
#define RIG_MBUFS 1023
#endif
#ifndef PEERS /* a test may want more */
#define PEERS 8
#endif

struct site {
	const char *name;
	struct omni_identity identity;
	struct omni_config config;
	struct omni_config_port port[2];
	struct omni_config_cluster cluster;
	struct omni_config_peer peer[SITES];
	struct omni_key deny[1];
	char secret[64];
	struct omni_endpoint address;
	/* Of its one worker, or 0; what a NAT adds to it, and whether that lets nothing back in. */
	uint16_t lane_port, nat;
	bool lane_filtered;
	unsigned int from_lane_port; /* datagrams sent from there */
	unsigned int lane_mtu;	     /* longer IP packets from lane_port vanish; 0: as path_mtu */
	struct omni_port up, lan;
	struct omni_port_table ports;
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_fib *fib;
	struct omni_rcu *rcu;
	struct omni_aead *aead;
	struct omni_xring *xring;
	struct omni_stats worker, *workers[1];
	struct omni_ctl *ctl; /* NULL: not running */
	bool no_neighbour;    /* next hops are being asked for */
	bool no_route;
	unsigned int frames_in, datagrams_in;
	unsigned int keepalives_in;			  /* WireGuard's */
	unsigned int n_initiations, n_cookies, n_answers; /* received by this site */
	uint32_t max_datagram;				  /* IP length of the longest received */
};

static struct {
	struct rte_mempool *pool;
	struct site site[SITES];
	unsigned int n;
	uint64_t now_ns, real_offset_ns;
	uint64_t look_ns;      /* that a look at the clock takes */
	unsigned int path_mtu; /* longer IP packets vanish */
	bool (*drops)(const struct site *from, const struct site *to, const uint8_t *p, size_t len);
	uint8_t last_initiation[OMNI_INITIATION_LEN];
	struct omni_endpoint last_initiation_from;
	unsigned int held; /* initiations kept back, to be let go together */
	struct rte_mbuf *hold[16];
	bool hold_initiations;
	/* What goes to no site: a Nucleus, if the test has one. */
	void (*elsewhere)(const struct omni_endpoint *from, const struct omni_endpoint *to,
			  const uint8_t *p, size_t len);
} net;

static inline uint64_t rig_boot_ns(void *arg)
{
	(void)arg;
	net.now_ns += net.look_ns;
	return net.now_ns;
}

static inline uint64_t rig_real_ns(void *arg)
{
	(void)arg;
	return UINT64_C(1700000000) * OMNI_NS_PER_S + net.now_ns + net.real_offset_ns;
}

static inline int rig_resolve(void *arg, const struct omni_endpoint *remote, struct omni_path *path)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	struct site *s = arg;

	if (s->no_route)
		return -ENETUNREACH;
	if (s->no_neighbour)
		return -EAGAIN;
	omni_path_build(path, mac[0], mac[1], &s->address, remote);
	path->mtu = 1500;
	path->port = 0;
	return 0;
}

static inline int rig_setup(void **state)
{
	if (eal_setup(state) < 0 || omni_meta_register() < 0 || omni_crypto_init() < 0)
		return -1;
	net.pool = rte_pktmbuf_pool_create("rig", RIG_MBUFS, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM,
					   SOCKET_ID_ANY);
	return net.pool != NULL ? 0 : -1;
}

/* A site with one L2 cluster, "lab", that knows nobody. Change ->config before site_start. */
static inline struct site *site_new(const char *address, const char *vip)
{
	struct site *s = &net.site[net.n];
	struct omni_key seed = {.b = {(uint8_t)(1 + net.n), 7}};

	memset(s, 0, sizeof(*s));
	net.n++;
	s->name = address;
	omni_identity_from_seed(&s->identity, &seed);
	assert_int_equal(omni_endpoint_parse(&s->address, address), 0);
	memcpy(s->port[0].name, "up", 3);
	memcpy(s->port[1].name, "lan", 4);
	memcpy(s->cluster.name, "lab", 4);
	memcpy(s->secret, SECRET, sizeof(SECRET));
	s->cluster.secret = s->secret;
	s->cluster.mode = OMNI_MODE_L2;
	s->cluster.dialects = OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD;
	s->cluster.ports[0] = 1;
	s->cluster.n_ports = 1;
	s->cluster.peers = s->peer;
	s->cluster.deny = s->deny;
	s->cluster.fdb_ageing_s = 300;
	assert_int_equal(omni_prefix_parse(&s->cluster.vip, vip, 24, 64), 0);
	s->config.ports = s->port;
	s->config.n_ports = 2;
	s->config.underlay.listen = s->address.port;
	s->config.clusters = &s->cluster;
	s->config.n_clusters = 1;
	s->config.limits.peers = PEERS;
	s->config.limits.lanes = 8;
	s->config.limits.mesh = PEERS;
	return s;
}

/* s lists other as a static peer; with its address or without. */
static inline struct omni_config_peer *site_lists(struct site *s, const struct site *other,
						  bool with_address)
{
	struct omni_config_peer *p = &s->peer[s->cluster.n_peers++];
	char text[OMNI_IP_TEXT_LEN];

	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "site%d", (int)(other - net.site));
	p->key = other->identity.dh.public;
	p->keepalive_s = OMNI_MESH_KEEPALIVE_S;
	if (with_address) {
		omni_ip_text(text, &other->address.ip);
		memcpy(p->host, text, sizeof(text));
		p->port = other->address.port;
	}
	return p;
}

static inline void port_init(struct site *s, struct omni_port *p, uint16_t id, const char *name)
{
	static const struct omni_port_ops ops = {.driver = "rig"};

	memset(p, 0, sizeof(*p));
	p->id = id;
	p->generation = 1;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->info.mtu = 1500;
	p->ops = &ops;
	s->ports.slot[id] = s->ports.open[id] = p;
}

/* The tables and the control plane; the ports are there. */
static inline void site_control(struct site *s)
{
	static unsigned int serial;
	struct omni_err err = {""};
	char name[16];
	struct omni_ctl_conf conf = {
		.config = &s->config,
		.identity = &s->identity,
		.ports = &s->ports,
		.sessions = s->sessions = omni_sessions_create(32 * PEERS),
		.peers = s->peers = omni_peers_create(PEERS),
		.bridges = s->bridges = omni_bridges_create(),
		.rcu = s->rcu = omni_rcu_create(2),
		.aead = s->aead = omni_aead_create(0),
		.pool = net.pool,
		.xrings = &s->xring,
		.worker_stats = s->workers,
		.n_workers = 1,
		.lane_ports = s->lane_port != 0 ? &s->lane_port : NULL,
		.bell = -1,
		.version = "test",
		.world = {rig_boot_ns, rig_real_ns, rig_resolve, s},
	};

	snprintf(name, sizeof(name), "rig%u", serial++);
	s->workers[0] = &s->worker;
	conf.fdb = s->fdb = omni_fdb_create(4096, s->rcu);
	conf.fib = s->fib = omni_fib_create(4096, 2048, s->rcu);
	s->xring = omni_xring_create(name, -1);
	assert_non_null(s->fdb);
	assert_non_null(s->xring);
	s->ctl = omni_ctl_create(&conf, &err);
	if (s->ctl == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(omni_ctl_start(s->ctl, &err), 0);
}

static inline void site_start(struct site *s)
{
	port_init(s, &s->up, 0, "up");
	port_init(s, &s->lan, 1, "lan");
	site_control(s);
}

static inline void site_free_tables(struct site *s)
{
	omni_fib_free(s->fib);
	omni_fdb_free(s->fdb);
	omni_rcu_free(s->rcu);
	omni_bridges_free(s->bridges);
	omni_peers_free(s->peers);
	omni_sessions_free(s->sessions);
	omni_xring_free(s->xring);
	omni_aead_free(s->aead);
}

/* As kill -9: nothing is said. */
static inline void site_kill(struct site *s)
{
	if (s->ctl == NULL)
		return;
	omni_ctl_free(s->ctl);
	s->ctl = NULL;
	site_free_tables(s);
}

static inline uint64_t count_of(const struct site *s, enum omni_stat which)
{
	return omni_ctl_stats(s->ctl)->count[which];
}

static inline struct ctl_peer *peer_of(const struct site *s, const struct site *other)
{
	return ctl_peer_find(s->ctl, &s->ctl->cluster[0], &other->identity.dh.public);
}

static inline bool has_session(const struct site *s, const struct site *other)
{
	const struct ctl_peer *peer = peer_of(s, other);

	return peer != NULL && ctl_peer_has_key(peer);
}

/* ---- The receiving worker ---- */

static inline void tell(struct site *s, const struct omni_keypair *kp, uint8_t type,
			const struct omni_endpoint *from, size_t len)
{
	struct omni_event ev = {
		.type = type,
		.cluster = kp->cluster,
		.peer = kp->peer,
		.peer_gen = kp->peer_gen,
		.datagram_len = (uint32_t)len,
		.session_id = kp->local_id,
		.from = *from,
	};

	assert_true(omni_xring_event(s->xring, &ev));
}

static inline void take_data(struct site *s, struct rte_mbuf *m, struct omni_data_hdr *h,
			     size_t len, const struct omni_endpoint *from)
{
	struct omni_keypair *kp = omni_sessions_lookup(s->sessions, omni_load_be64(h->session_id));
	size_t plain = len - OMNI_DATA_OVERHEAD;
	const struct omni_peer *peer;
	const struct omni_path *path;
	struct omni_aead_op op;

	if (kp == NULL || (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_RX) != 0) {
		rte_pktmbuf_free(m);
		return;
	}
	op = (struct omni_aead_op){
		.key = kp->rx_key,
		.aad = (uint8_t *)h,
		.src = (uint8_t *)(h + 1),
		.dst = (uint8_t *)(h + 1),
		.tag = (uint8_t *)(h + 1) + plain,
		.len = (uint32_t)plain,
		.aad_len = sizeof(*h),
	};
	omni_aead_op_nonce(&op, h->lane, h->sequence);
	assert_int_equal(omni_aead_open_burst(s->aead, &op, 1), 1);
	assert_true(omni_replay_mark(&kp->rx[0].window, omni_load_be64(h->sequence)));
	kp->rx[0].last_any = rte_rdtsc();
	if ((omni_keypair_marks(kp) & OMNI_KEYPAIR_UNCONFIRMED) != 0)
		tell(s, kp, OMNI_EVENT_CONFIRM, from, len);
	peer = omni_peers_get(s->peers, kp->peer);
	path = peer != NULL ? atomic_load(&peer->path) : NULL;
	if (path == NULL || !omni_endpoint_equal(&path->remote, from))
		tell(s, kp, OMNI_EVENT_ROAM, from, len);
	if (h->kind == OMNI_KIND_FRAME) {
		kp->rx[0].last_tsc = kp->rx[0].last_any;
		s->frames_in++;
	}
	omni_meta(m)->payload_off += OMNI_DATA_HDR_LEN;
	omni_meta(m)->payload_len = (uint16_t)plain;
	if (h->kind != OMNI_KIND_CONTROL || !omni_xring_punt(s->xring, s->xring->control, m))
		rte_pktmbuf_free(m);
}

/* The replay window is a stage's matter. */
static inline void take_wireguard(struct site *s, struct rte_mbuf *m, struct omni_wg_data_hdr *h,
				  size_t len, const struct omni_endpoint *from)
{
	struct omni_keypair *kp = omni_sessions_lookup_wg(s->sessions, omni_load_le32(h->receiver));
	size_t plain = len - OMNI_WG_DATA_OVERHEAD;
	const struct omni_path *path;
	struct omni_aead_op op;

	if (kp == NULL || (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_RX) != 0)
		goto out;
	op = (struct omni_aead_op){
		.key = kp->rx_key,
		.src = (uint8_t *)(h + 1),
		.dst = (uint8_t *)(h + 1),
		.tag = (uint8_t *)(h + 1) + plain,
		.len = (uint32_t)plain,
	};
	omni_aead_op_nonce(&op, "\0\0\0", h->counter);
	if (omni_aead_open_burst(s->aead, &op, 1) != 1)
		goto out;
	kp->rx[0].last_any = rte_rdtsc();
	if ((omni_keypair_marks(kp) & OMNI_KEYPAIR_UNCONFIRMED) != 0)
		tell(s, kp, OMNI_EVENT_CONFIRM, from, len);
	path = atomic_load(&omni_peers_get(s->peers, kp->peer)->path);
	if (path == NULL || !omni_endpoint_equal(&path->remote, from))
		tell(s, kp, OMNI_EVENT_ROAM, from, len);
	s->keepalives_in += plain == 0;
	s->frames_in += plain != 0;
	if (plain != 0)
		kp->rx[0].last_tsc = kp->rx[0].last_any;
out:
	rte_pktmbuf_free(m);
}

static inline void arrive(struct site *s, struct rte_mbuf *m, const struct omni_endpoint *from)
{
	struct omni_meta *meta = omni_meta(m);
	uint8_t *p;

	memset(meta, 0, sizeof(*meta));
	meta->payload_off = OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN;
	meta->payload_len = (uint16_t)(m->data_len - meta->payload_off);
	p = rte_pktmbuf_mtod_offset(m, uint8_t *, meta->payload_off);
	s->datagrams_in++;
	s->max_datagram = OMNI_MAX(s->max_datagram, (uint32_t)m->data_len - OMNI_ETHER_HDR_LEN);
	switch (omni_wire_classify(p, meta->payload_len)) {
	case OMNI_CLASS_DATA:
		take_data(s, m, (struct omni_data_hdr *)p, meta->payload_len, from);
		return;
	case OMNI_CLASS_WG_DATA:
		take_wireguard(s, m, (struct omni_wg_data_hdr *)p, meta->payload_len, from);
		return;
	case OMNI_CLASS_INITIATION:
	case OMNI_CLASS_WG_INITIATION:
		s->n_initiations++;
		break;
	case OMNI_CLASS_RESPONSE:
	case OMNI_CLASS_WG_RESPONSE:
		s->n_answers++;
		break;
	case OMNI_CLASS_COOKIE:
	case OMNI_CLASS_WG_COOKIE:
		s->n_cookies++;
		break;
	case OMNI_CLASS_HELLO_ANSWER:
		break;
	default:
		fail_msg("a site sent what is no message of ours");
	}
	assert_true(omni_xring_punt(s->xring, s->xring->handshake, m));
}

/* ---- The wire ---- */

static inline struct site *site_at(const struct omni_endpoint *ep)
{
	for (unsigned int i = 0; i < net.n; i++) {
		struct site *s = &net.site[i];

		if (omni_endpoint_equal(&s->address, ep) ||
		    (s->lane_port != 0 && !s->lane_filtered &&
		     omni_ip_equal(&s->address.ip, &ep->ip) && ep->port == s->lane_port + s->nat))
			return s;
	}
	return NULL;
}

/* Its lane's port, as it is seen from outside, or whatever its main one is now. */
static inline uint16_t source_port(const struct site *s, uint16_t inside)
{
	return s->lane_port != 0 && inside == s->lane_port ? (uint16_t)(s->lane_port + s->nat)
							   : s->address.port;
}

static inline void carry(struct site *s, struct rte_mbuf *m)
{
	uint8_t *p = rte_pktmbuf_mtod_offset(m, uint8_t *, 42);
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, OMNI_ETHER_HDR_LEN);
	struct omni_endpoint from, to;
	size_t len = m->data_len - 42u;
	uint16_t inside = omni_load_be16(ip + OMNI_IPV4_HDR_LEN);
	struct site *dst;

	if (omni_meta(m)->port != s->up.id) { /* to hosts on the link of a local port */
		rte_pktmbuf_free(m);
		return;
	}
	s->from_lane_port += s->lane_port != 0 && inside == s->lane_port;
	/* Whatever the path says, it comes from where the site is now: a NAT in front. */
	memcpy(ip + 12, s->address.ip.b + 12, 4);
	omni_store_be16(ip + OMNI_IPV4_HDR_LEN, source_port(s, inside));
	omni_punt_addresses(m, &from, &to);
	dst = site_at(&to);
	if (p[0] == OMNI_TYPE_INITIATION && len == OMNI_INITIATION_LEN) {
		memcpy(net.last_initiation, p, len);
		net.last_initiation_from = from;
		if (net.hold_initiations) {
			net.hold[net.held++] = m;
			return;
		}
	}
	if (dst == NULL && net.elsewhere != NULL)
		net.elsewhere(&from, &to, p, len);
	if (dst == NULL || dst->ctl == NULL || m->data_len - 14u > net.path_mtu ||
	    (s->lane_mtu != 0 && from.port != s->address.port && m->data_len - 14u > s->lane_mtu) ||
	    (net.drops != NULL && net.drops(s, dst, p, len)))
		rte_pktmbuf_free(m);
	else
		arrive(dst, m, &from);
}

static inline bool net_turn(void)
{
	bool moved = false;

	for (unsigned int i = 0; i < net.n; i++) {
		struct rte_mbuf *m;

		while (net.site[i].ctl != NULL && omni_xring_take(net.site[i].xring->tx, &m, 1)) {
			moved = true;
			carry(&net.site[i], m);
		}
	}
	for (unsigned int i = 0; i < net.n; i++)
		while (net.site[i].ctl != NULL && ctl_rings_poll(net.site[i].ctl))
			;
	return moved;
}

/* Let everything arrive that is on its way. */
static inline void net_settle(void)
{
	(void)net_turn();
	for (unsigned int i = 0; net_turn() && i < 1000; i++)
		;
}

static inline void rig_run(uint64_t ms)
{
	for (uint64_t end = net.now_ns + ms * OMNI_NS_PER_MS; net.now_ns < end;) {
		net.now_ns += STEP_NS;
		for (unsigned int i = 0; i < net.n; i++)
			if (net.site[i].ctl != NULL)
				ctl_tick(net.site[i].ctl);
		net_settle();
	}
}

/* Put a datagram on the wire by hand. */
static inline void inject(struct site *to, const struct omni_endpoint *from, const void *p,
			  size_t len)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pool);
	struct omni_path path = {0};
	uint8_t *at;

	omni_path_build(&path, mac, mac, from, &to->address);
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(path.hdr_len + len));
	omni_path_write(&path, at, (uint16_t)len, 0);
	memcpy(at + path.hdr_len, p, len);
	arrive(to, m, from);
}

/* The worker of `from` sends a frame to `to`, which gets it, or not. */
static inline bool frame(struct site *from, struct site *to)
{
	struct ctl_peer *peer = peer_of(from, to);
	unsigned int before = to->frames_in;
	static const uint8_t ethernet[60];
	struct omni_keypair *kp = peer != NULL ? atomic_load(&peer->pub->tx) : NULL;

	if (kp == NULL ||
	    ctl_send_peer(from->ctl, peer, OMNI_KIND_FRAME, ethernet, sizeof(ethernet)) < 0)
		return false;
	kp->tx[0].last_tsc = kp->tx[0].last_any;
	net_settle();
	return to->frames_in == before + 1;
}

static inline int rig_begin(void **state)
{
	(void)state;
	net.n = net.held = 0;
	net.path_mtu = 1500;
	net.drops = NULL;
	net.elsewhere = NULL;
	net.hold_initiations = false;
	net.real_offset_ns = 0;
	net.look_ns = 0;
	net.now_ns += 1000 * OMNI_NS_PER_S;
	return 0;
}

/* Every buffer is back, whatever happened. */
static inline int rig_end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < net.held; i++)
		rte_pktmbuf_free(net.hold[i]);
	for (unsigned int i = 0; i < net.n; i++)
		site_kill(&net.site[i]);
	return rte_mempool_in_use_count(net.pool) == 0 ? 0 : -1;
}

#endif
