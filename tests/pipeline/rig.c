/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <omni_clock.h>
#include <omni_secret.h>

#include "rig.h"

static struct rte_mempool *pool;

int rig_group_setup(void **state)
{
	static char arg[][40] = {"pipeline",
				 "--no-huge",
				 "-m",
				 "512",
				 "--no-shconf",
				 "--no-pci",
				 "-l",
				 "0",
				 "--iova-mode=va",
				 "",
				 "--log-level=3",
				 "--no-telemetry"};
	char *argv[OMNI_ARRAY_SIZE(arg) + 1] = {NULL};
	struct omni_err err;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(arg); i++) {
		if (arg[i][0] == 0)
			snprintf(arg[i], sizeof(arg[i]), "--file-prefix=omni_rig_%d", getpid());
		argv[i] = arg[i];
	}
	if (rte_eal_init(OMNI_ARRAY_SIZE(arg), argv) < 0 || omni_meta_register() != 0)
		return -1;
	pool = omni_pool_create("rig", OMNI_POOL_PLAIN, POOL_SIZE, FRAME_MAX, 0, &err);
	return pool != NULL ? 0 : -1;
}

int rig_group_teardown(void **state)
{
	char left[64];
	int rc;

	(void)state;
	rte_mempool_free(pool);
	rc = rte_eal_cleanup();
	/* EAL leaves its directory behind. */
	snprintf(left, sizeof(left), "/run/dpdk/omni_rig_%d", getpid());
	(void)rmdir(left);
	return rc;
}

static struct omni_port *open_ring(struct site *s, const char *name)
{
	struct omni_port_conf conf = {
		.driver = "ring",
		.mtu = FRAME_MAX - OMNI_PORT_L2_OVERHEAD,
		.queues = WORKERS,
	};
	struct omni_port *port;
	struct omni_err err;

	snprintf(conf.name, sizeof(conf.name), "%s", name);
	port = omni_port_open(&s->ports, omni_driver_find("ring", &err), &conf, pool, &err);
	assert_non_null(port);
	port->queues = 1;
	omni_port_publish(&s->ports, port);
	return port;
}

/* Everybody that the site is connected to, and its local ports. */
static void set_flood(struct site *s)
{
	uint16_t ports[LOCALS];
	uint32_t index[SITES], gen[SITES], n = 0;

	for (unsigned int i = 0; i < LOCALS; i++)
		ports[i] = s->local[i]->id;
	for (unsigned int i = 0; i < SITES; i++) {
		if (s->peer[i] == NULL)
			continue;
		index[n] = s->peer[i]->index;
		gen[n++] = s->peer[i]->generation;
	}
	assert_int_equal(omni_bridge_set(s->bridges, DOMAIN, ports, LOCALS, index, gen, n, s->rcu),
			 0);
}

static void worker_open(struct site *s, unsigned int id, unsigned int workers)
{
	struct omni_worker_conf conf = {
		.id = id,
		.workers = workers,
		.ports = &s->ports,
		.sessions = s->sessions,
		.peers = s->peers,
		.bridges = s->bridges,
		.fdb = s->fdb,
		.fib = s->fib,
		.rcu = s->rcu,
		.xring = s->xrings[id],
		.xrings = s->xrings,
		.stats = &s->stats[id],
		.aead = s->aead[id],
		.pool = pool,
		.uplink = s->uplink->id,
		.udp_port = {UDP_PORT},
		.n_udp_ports = 1,
		.lane_port = (uint16_t)(LANE_PORT + id),
	};

	for (unsigned int i = 0; i < workers; i++)
		conf.udp_port[conf.n_udp_ports++] = (uint16_t)(LANE_PORT + i);
	s->worker_of[id] = omni_node_worker_create(&conf);
	assert_non_null(s->worker_of[id]);
	omni_rcu_join(s->rcu, id);
}

static void workers_open(struct site *s, unsigned int workers)
{
	s->workers = workers;
	for (unsigned int i = 0; i < workers; i++)
		worker_open(s, i, workers);
	s->worker = s->worker_of[0];
}

static void workers_close(struct site *s)
{
	for (unsigned int i = 0; i < s->workers; i++) {
		omni_rcu_leave(s->rcu, i);
		omni_node_worker_free(s->worker_of[i]);
	}
}

void rig_set_workers(struct rig *r, unsigned int site, unsigned int n)
{
	workers_close(&r->site[site]);
	workers_open(&r->site[site], n);
}

void rig_set_queues(struct omni_port *port, uint16_t queues, uint16_t first_worker)
{
	port->queues = queues;
	port->first_worker = first_worker;
}

/* What each worker keeps, whether there are so many or not. */
static void parts_open(struct site *s)
{
	char name[32];

	for (unsigned int i = 0; i < WORKERS; i++) {
		snprintf(name, sizeof(name), "rig%uw%u", s->number, i);
		s->xrings[i] = omni_xring_create(name, s->bell);
		s->aead[i] = omni_aead_create(0);
		assert_non_null(s->xrings[i]);
		assert_non_null(s->aead[i]);
	}
	s->xring = s->xrings[0];
}

static void site_open(struct site *s, unsigned int number)
{
	char name[32];

	s->number = number;
	snprintf(name, sizeof(name), "site%u", number);
	s->address = (struct omni_endpoint){.port = UDP_PORT};
	snprintf(name, sizeof(name), "10.9.0.%u", number + 1);
	assert_int_equal(omni_ip_parse(&s->address.ip, name), 0);
	s->uplink = open_ring(s, "uplink");
	s->sessions = omni_sessions_create(64);
	s->peers = omni_peers_create(64);
	s->bridges = omni_bridges_create();
	s->rcu = omni_rcu_create(WORKERS);
	snprintf(name, sizeof(name), "rig%u", number);
	s->fdb = omni_fdb_create(1024, s->rcu);
	s->fib = omni_fib_create(1024, 64, s->rcu);
	s->bell = eventfd(0, EFD_NONBLOCK);
	s->control_aead = omni_aead_create(0);
	parts_open(s);
	for (unsigned int i = 0; i < LOCALS; i++) {
		snprintf(name, sizeof(name), "local%u", i);
		s->local[i] = open_ring(s, name);
		atomic_store(&s->bridges->of_port[s->local[i]->id], DOMAIN);
	}
	set_flood(s);
	workers_open(s, 1);
}

static void site_close(struct site *s)
{
	workers_close(s);
	for (unsigned int i = 0; i < SITES; i++) {
		if (s->key[i] != NULL)
			omni_sessions_release(s->sessions, s->key[i]->local_id);
		omni_keypair_free(s->key[i]);
	}
	for (unsigned int i = 0; i < LOCALS; i++)
		omni_port_close(&s->ports, s->local[i]);
	omni_port_close(&s->ports, s->uplink);
	for (unsigned int i = 0; i < WORKERS; i++) {
		omni_aead_free(s->aead[i]);
		omni_xring_free(s->xrings[i]);
	}
	omni_aead_free(s->control_aead);
	close(s->bell);
	omni_fib_free(s->fib);
	omni_fdb_free(s->fdb);
	omni_rcu_free(s->rcu);
	omni_bridges_free(s->bridges);
	omni_peers_free(s->peers);
	omni_sessions_free(s->sessions);
}

int rig_setup(void **state)
{
	struct rig *r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);

	memset(r, 0, sizeof(*r));
	r->pool = pool;
	r->n = SITES;
	r->free_before = rte_mempool_avail_count(pool);
	for (unsigned int i = 0; i < r->n; i++)
		site_open(&r->site[i], i);
	*state = r;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *r = *state;
	unsigned int missing;

	for (unsigned int i = 0; i < r->n; i++)
		site_close(&r->site[i]);
	missing = r->free_before - rte_mempool_avail_count(pool);
	free(r);
	if (missing != 0)
		print_error("%u mbufs are missing\n", missing);
	return missing == 0 ? 0 : -1;
}

static void set_path(struct site *from, const struct site *to, const struct link *link)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 9, 9};
	struct omni_endpoint local = from->address, remote = to->address;
	struct omni_path path = {0};

	if (link->v6) {
		assert_int_equal(omni_ip_parse(&local.ip, "fd00::1"), 0);
		assert_int_equal(omni_ip_parse(&remote.ip, "fd00::1"), 0);
		local.ip.b[15] = (uint8_t)from->number;
		remote.ip.b[15] = (uint8_t)to->number;
	}
	omni_path_build(&path, mac, mac, &local, &remote);
	if (link->checksum != 0)
		path.checksum = link->checksum;
	path.port = from->uplink->id;
	path.mtu = link->mtu != 0 ? link->mtu : 1500;
	omni_peer_set_path(from->peer[to->number], omni_path_copy(&path, NULL), from->rcu);
}

static void set_key(struct site *s, const struct site *other, const struct link *link,
		    uint64_t local_id, uint64_t remote_id, const struct omni_key *rx,
		    const struct omni_key *tx)
{
	bool wireguard = link->dialect == OMNI_DIALECT_WIREGUARD;
	uint16_t lanes = link->lanes != 0 ? link->lanes : wireguard ? 1 : 2;
	const struct omni_keypair_conf conf = {
		.local_id = local_id,
		.remote_id = remote_id,
		.dialect = link->dialect,
		.peer = s->peer[other->number]->index,
		.peer_gen = s->peer[other->number]->generation,
		.cluster = DOMAIN,
		.lanes_tx = lanes,
		.lanes_rx = lanes,
		.frame_max = link->frame_max != 0 ? link->frame_max : FRAME_MAX,
		.features = link->features != 0 || wireguard ? link->features : ALL_FEATURES,
		.cipher = link->cipher != 0 ? link->cipher
			  : wireguard	    ? OMNI_CIPHER_CHACHAPOLY
					    : OMNI_CIPHER_AESGCM,
		.confirmed = !link->unconfirmed || s->number < other->number,
		.rx_key = rx,
		.tx_key = tx,
	};
	struct omni_keypair *kp = omni_keypair_create(s->control_aead, &conf);

	assert_non_null(kp);
	s->key[other->number] = kp;
	s->secret[other->number] = *tx;
	omni_sessions_publish(s->sessions, kp);
	if (conf.confirmed)
		omni_peer_set_tx(s->peer[other->number], kp);
}

static uint64_t reserve(const struct site *s, const struct link *link)
{
	return link->dialect == OMNI_DIALECT_WIREGUARD ? omni_sessions_reserve_wg(s->sessions)
						       : omni_sessions_reserve(s->sessions);
}

void rig_connect(struct rig *r, unsigned int a, unsigned int b, const struct link *link)
{
	static const struct link plain;
	struct site *sa = &r->site[a], *sb = &r->site[b];
	struct omni_key one, two;
	uint64_t id_a, id_b;

	link = link != NULL ? link : &plain;
	id_a = reserve(sa, link);
	id_b = reserve(sb, link);
	omni_random(&one, sizeof(one));
	omni_random(&two, sizeof(two));
	sa->peer[b] = omni_peers_add(sa->peers, DOMAIN);
	sb->peer[a] = omni_peers_add(sb->peers, DOMAIN);
	set_path(sa, sb, link);
	set_path(sb, sa, link);
	set_key(sa, sb, link, id_a, id_b, &one, &two);
	set_key(sb, sa, link, id_b, id_a, &two, &one);
	set_flood(sa);
	set_flood(sb);
}

void rig_set_path(struct rig *r, unsigned int from, unsigned int to, const struct link *link)
{
	set_path(&r->site[from], &r->site[to], link);
}

void rig_rekey(struct rig *r, unsigned int a, unsigned int b, const struct link *link,
	       struct omni_keypair *old[2])
{
	static const struct link plain;
	struct site *sa = &r->site[a], *sb = &r->site[b];
	struct omni_key one, two;
	uint64_t id_a, id_b;

	link = link != NULL ? link : &plain;
	id_a = reserve(sa, link);
	id_b = reserve(sb, link);
	omni_random(&one, sizeof(one));
	omni_random(&two, sizeof(two));
	old[0] = sa->key[b];
	old[1] = sb->key[a];
	set_key(sa, sb, link, id_a, id_b, &one, &two);
	set_key(sb, sa, link, id_b, id_a, &two, &one);
}

void rig_retire(struct rig *r, unsigned int site, struct omni_keypair *old)
{
	struct site *s = &r->site[site];

	omni_sessions_release(s->sessions, old->local_id);
	omni_rcu_defer(s->rcu, &old->rcu, omni_keypair_free, old);
}

static void control(struct rig *r, struct site *s)
{
	uint32_t now_s = (uint32_t)(omni_clock_boot_ns() / OMNI_NS_PER_S);
	struct omni_event ev;

	for (unsigned int i = 0; i < s->workers; i++)
		while (omni_xring_take_events(s->xrings[i], &ev, 1) == 1) {
			if (s->n_events < EVENTS)
				s->event[s->n_events++] = ev;
			if (!r->no_control &&
			    (ev.type == OMNI_EVENT_LEARN || ev.type == OMNI_EVENT_MOVE))
				omni_fdb_learn(s->fdb, (uint64_t)ev.cluster << 48 | ev.mac, ev.dest,
					       now_s);
		}
	omni_rcu_poll(s->rcu);
}

void rig_turn_of(struct rig *r, unsigned int site, unsigned int worker)
{
	omni_node_turn(r->site[site].worker_of[worker]);
	control(r, &r->site[site]);
}

void rig_turn(struct rig *r, unsigned int site)
{
	rig_turn_of(r, site, 0);
}

/* The datagram to the site whose address it names. */
static void carry(struct rig *r, struct rte_mbuf *m)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	unsigned int to = eth[12] == 0x86 ? eth[14 + 39] : (unsigned int)eth[14 + 19] - 1;

	assert_true(to < r->n);
	rig_in(r->site[to].uplink, m);
}

void rig_run(struct rig *r)
{
	bool moved;

	do {
		moved = false;
		for (unsigned int i = 0; i < r->n; i++) {
			struct rte_mbuf *m;

			for (unsigned int w = 0; w < r->site[i].workers; w++)
				moved |= omni_node_turn(r->site[i].worker_of[w]) > 0;
			control(r, &r->site[i]);
			while (!r->unplugged && (m = rig_out(r->site[i].uplink)) != NULL) {
				carry(r, m);
				moved = true;
			}
		}
	} while (moved);
}

uint64_t rig_count_of(const struct rig *r, unsigned int site, unsigned int worker,
		      enum omni_stat which)
{
	return r->site[site].stats[worker].count[which];
}

uint64_t rig_count(const struct rig *r, unsigned int site, enum omni_stat which)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < r->site[site].workers; i++)
		sum += rig_count_of(r, site, i, which);
	return sum;
}

uint64_t rig_drops(const struct rig *r, unsigned int site)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
		if (strncmp(omni_stat_name(i), "drop_", 5) == 0)
			sum += rig_count(r, site, i);
	return sum;
}

void rig_print(const struct rig *r, unsigned int site)
{
	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
		if (rig_count(r, site, i) != 0)
			print_message("site %u: %s %" PRIu64 "\n", site, omni_stat_name(i),
				      rig_count(r, site, i));
}

unsigned int rig_events(const struct rig *r, unsigned int site, enum omni_event_type type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->site[site].n_events; i++)
		n += r->site[site].event[i].type == type;
	return n;
}

void rig_forget_events(struct rig *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		r->site[i].n_events = 0;
}

void rig_mac(uint8_t mac[6], unsigned int h)
{
	const uint8_t host[6] = {2, 0, 0, 1, (uint8_t)(h >> 8), (uint8_t)h};

	if (h == 0)
		memset(mac, 0xff, 6);
	else
		memcpy(mac, host, 6);
}

static void fill(uint8_t *at, unsigned int dst, unsigned int src, uint16_t len, uint8_t seed)
{
	rig_mac(at, dst);
	rig_mac(at + 6, src);
	omni_store_be16(at + 12, 0x88b5);
	for (unsigned int i = OMNI_ETHER_HDR_LEN; i < len; i++)
		at[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

struct rte_mbuf *rig_frame(struct rig *r, unsigned int dst, unsigned int src, uint16_t len,
			   uint8_t seed)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	assert_non_null(m);
	fill((uint8_t *)rte_pktmbuf_append(m, len), dst, src, len, seed);
	return m;
}

void rig_assert_frame(struct rte_mbuf *m, unsigned int dst, unsigned int src, uint16_t len,
		      uint8_t seed)
{
	uint8_t want[FRAME_MAX];

	assert_non_null(m);
	fill(want, dst, src, len, seed);
	assert_int_equal(rte_pktmbuf_data_len(m), len);
	assert_int_equal(rte_pktmbuf_pkt_len(m), len);
	assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), want, len);
}

void rig_in_queue(struct omni_port *port, uint16_t queue, struct rte_mbuf *m)
{
	assert_int_equal(omni_ring_port_far_tx(port, queue, &m, 1), 1);
}

void rig_in(struct omni_port *port, struct rte_mbuf *m)
{
	rig_in_queue(port, 0, m);
}

struct rte_mbuf *rig_out_queue(struct omni_port *port, uint16_t queue)
{
	struct rte_mbuf *m;

	return omni_ring_port_far_rx(port, queue, &m, 1) == 1 ? m : NULL;
}

struct rte_mbuf *rig_out(struct omni_port *port)
{
	struct rte_mbuf *m = NULL;

	for (uint16_t queue = 0; queue < WORKERS && m == NULL; queue++)
		m = rig_out_queue(port, queue);
	return m;
}

unsigned int rig_intercept(struct rig *r, unsigned int site, struct rte_mbuf **m)
{
	unsigned int n = 0;

	r->unplugged = true;
	rig_run(r);
	while ((m[n] = rig_out(r->site[site].uplink)) != NULL)
		n++;
	r->unplugged = false;
	return n;
}

void rig_expect(struct omni_port *port, unsigned int dst, unsigned int src, uint16_t len,
		uint8_t seed)
{
	struct rte_mbuf *m = rig_out(port);

	rig_assert_frame(m, dst, src, len, seed);
	rte_pktmbuf_free(m);
}

void rig_expect_nothing(struct omni_port *port)
{
	assert_null(rig_out(port));
}

static void discard_all(struct rig *r)
{
	struct rte_mbuf *m;

	for (unsigned int i = 0; i < r->n; i++)
		for (unsigned int j = 0; j < LOCALS; j++)
			while ((m = rig_out(r->site[i].local[j])) != NULL)
				rte_pktmbuf_free(m);
}

void rig_introduce(struct rig *r, struct omni_port *at_a, unsigned int a, struct omni_port *at_b,
		   unsigned int b)
{
	rig_in(at_a, rig_frame(r, 0, a, 60, 1));
	rig_run(r);
	rig_in(at_b, rig_frame(r, 0, b, 60, 2));
	rig_run(r);
	discard_all(r);
	for (unsigned int i = 0; i < r->n; i++)
		memset(r->site[i].stats, 0, sizeof(r->site[i].stats));
	rig_forget_events(r);
}

struct rte_mbuf *rig_datagram(struct rig *r, unsigned int from, unsigned int to,
			      const void *payload, uint16_t len)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 9, 9};
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	struct omni_path path = {0};
	uint8_t *at;

	assert_non_null(m);
	omni_path_build(&path, mac, mac, &r->site[from].address, &r->site[to].address);
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(path.hdr_len + len));
	assert_non_null(at);
	omni_path_write(&path, at, len, 0);
	if (len > 0)
		memcpy(at + path.hdr_len, payload, len);
	return m;
}

struct rte_mbuf *rig_sealed(struct rig *r, unsigned int from, unsigned int to,
			    const struct forge *f, const void *plain, uint16_t len)
{
	const struct omni_keypair *kp = r->site[from].key[to];
	uint8_t datagram[OMNI_DATA_OVERHEAD + FRAME_MAX] = {0};
	struct omni_data_hdr *h = (struct omni_data_hdr *)datagram;
	struct omni_aead_op op = {
		.key = kp->tx_key,
		.aad = datagram,
		.aad_len = sizeof(*h),
		.src = datagram + sizeof(*h),
		.dst = datagram + sizeof(*h),
		.tag = datagram + sizeof(*h) + len,
		.len = len,
	};

	omni_store_be64(h->session_id, f->session != 0 ? f->session : kp->remote_id);
	omni_store_be64(h->sequence, f->sequence);
	omni_store_be16(h->lane, f->lane);
	h->kind = f->kind;
	h->flags = f->flags;
	h->zero18[1] = f->zero18;
	h->zero22[0] = f->zero22;
	if (len > 0)
		memcpy(h + 1, plain, len);
	omni_aead_op_nonce(&op, h->lane, h->sequence);
	omni_aead_seal_burst(r->site[from].control_aead, &op, 1);
	return rig_datagram(r, from, to, datagram, (uint16_t)(len + OMNI_DATA_OVERHEAD));
}
