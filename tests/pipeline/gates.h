/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two whole gateways in one process and one thread: the control plane and a worker each, joined
 * by rings that the test carries datagrams between. Only programs, drivers and the clock are
 * missing; time stands still unless gates_tick() moves it.
 */
#ifndef TESTS_GATES_H
#define TESTS_GATES_H

#include <inttypes.h>
#include <stdlib.h>

#include "../unit/ctl_rig.h"

#include <omni_drivers.h>
#include <omni_node.h>

#define GATES 2
#define GATES_POOL 16383
#define GATES_BURST 64
#define GATES_ETHERTYPE 0x88b5

struct gate {
	struct site *s;
	struct omni_worker *node;
	struct omni_aead *node_aead;
	struct omni_port *up, *lan;
	uint64_t sent, came, next; /* frames of its host: sent; received, and the next expected */
	uint64_t out_of_turn, damaged; /* received so */
};

static struct {
	struct gate gate[GATES];
	unsigned int free_before;
	unsigned int corrupt; /* in 10 000 data messages */
	uint64_t corrupted;
	uint64_t lost;	/* on the wire: the uplink that they were for took no more */
	bool unplugged; /* datagrams stay where they are */
	uint64_t random;
} gates;

static inline uint64_t gates_random(void)
{
	gates.random = gates.random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return gates.random >> 33;
}

static inline int gates_group_setup(void **state)
{
	struct omni_err err = {""};

	if (eal_setup(state) < 0 || omni_meta_register() < 0 || omni_crypto_init() < 0)
		return -1;
	net.pool = omni_pool_create("gates", OMNI_POOL_PLAIN, GATES_POOL, 2048, 0, &err);
	return net.pool != NULL ? 0 : -1;
}

static inline struct omni_port *gate_ring(struct site *s, const char *name)
{
	struct omni_port_conf conf = {.driver = "ring"};
	struct omni_err err;
	struct omni_port *port;

	snprintf(conf.name, sizeof(conf.name), "%s", name);
	port = omni_port_open(&s->ports, omni_driver_find("ring", &err), &conf, net.pool, &err);
	assert_non_null(port);
	omni_port_publish(&s->ports, port);
	return port;
}

static inline void gate_worker(struct gate *g)
{
	struct site *s = g->s;
	const struct omni_worker_conf conf = {
		.workers = 1,
		.ports = &s->ports,
		.sessions = s->sessions,
		.peers = s->peers,
		.bridges = s->bridges,
		.fdb = s->fdb,
		.rcu = s->rcu,
		.xring = s->xring,
		.stats = &s->worker,
		.aead = g->node_aead = omni_aead_create(0),
		.pool = net.pool,
		.uplink = g->up->id,
		.udp_port = {s->address.port},
		.n_udp_ports = 1,
	};

	g->node = omni_node_worker_create(&conf);
	assert_non_null(g->node);
	omni_rcu_join(s->rcu, 0);
}

static inline void gate_open(struct gate *g, const char *address, const char *vip)
{
	memset(g, 0, sizeof(*g));
	g->s = site_new(address, vip);
	g->s->cluster.fdb_ageing_s = 1000000;
	g->s->cluster.flood_fps = 1000000;
}

static inline void gate_start(struct gate *g)
{
	g->up = gate_ring(g->s, "up");
	g->lan = gate_ring(g->s, "lan");
	site_control(g->s);
	gate_worker(g);
}

static inline void gate_close(struct gate *g)
{
	struct site *s = g->s;

	omni_rcu_leave(s->rcu, 0);
	omni_node_worker_free(g->node);
	omni_aead_free(g->node_aead);
	omni_ctl_free(s->ctl);
	omni_port_close(&s->ports, g->lan);
	omni_port_close(&s->ports, g->up);
	site_free_tables(s);
	s->ctl = NULL;
}

/* ---- The wire ---- */

/* One byte of a data message is not what it was: of the header, the payload or the tag. */
static inline void gates_corrupt(struct rte_mbuf *m)
{
	const unsigned int outer = OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN;
	uint8_t *p = rte_pktmbuf_mtod_offset(m, uint8_t *, outer);

	if ((p[0] & 0x80) == 0 || gates_random() % 10000 >= gates.corrupt)
		return;
	/* The first bit says that this is data: it stays. */
	p[1 + gates_random() % (m->data_len - outer - 1)] ^= (uint8_t)(1 + gates_random() % 255);
	gates.corrupted++;
}

static inline unsigned int gate_carry(struct gate *from, struct gate *to)
{
	struct rte_mbuf *m[GATES_BURST];
	uint16_t n = omni_ring_port_far_rx(from->up, 0, m, GATES_BURST), sent;

	for (uint16_t i = 0; i < n; i++)
		gates_corrupt(m[i]);
	sent = omni_ring_port_far_tx(to->up, 0, m, n);
	rte_pktmbuf_free_bulk(m + sent, (unsigned int)(n - sent));
	gates.lost += n - sent;
	return n;
}

/* ---- Hosts ---- */

static inline void gate_frame(struct rte_mbuf *m, const struct gate *g, uint64_t number,
			      uint16_t len)
{
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(m, len);
	uint8_t from = (uint8_t)(g - gates.gate);
	const uint8_t head[OMNI_ETHER_HDR_LEN] = {
		2, 0, 0, 0, 1, (uint8_t)(1 - from), 2, 0, 0, 0, 1, from, 0x88, 0xb5};

	memcpy(p, head, sizeof(head));
	omni_store_be64(p + sizeof(head), number);
	for (unsigned int i = sizeof(head) + 8; i < len; i++)
		p[i] = (uint8_t)(number + i);
}

/* A burst of frames that the host behind g sends. What the port does not take was never sent. */
static inline void gate_send(struct gate *g, unsigned int n, uint16_t len)
{
	struct rte_mbuf *m[GATES_BURST];
	uint16_t taken;

	if (rte_pktmbuf_alloc_bulk(net.pool, m, n) != 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		gate_frame(m[i], g, g->sent + i, len);
	taken = omni_ring_port_far_tx(g->lan, 0, m, (uint16_t)n);
	rte_pktmbuf_free_bulk(m + taken, n - taken);
	g->sent += taken;
}

static inline bool gate_frame_whole(const uint8_t *p, uint32_t len, uint64_t number)
{
	for (uint32_t i = OMNI_ETHER_HDR_LEN + 8; i < len; i++)
		if (p[i] != (uint8_t)(number + i))
			return false;
	return true;
}

/* What the host behind g gets: numbers may be missing, but only ever rise. */
static inline void gate_receive(struct gate *g)
{
	struct rte_mbuf *m[GATES_BURST];
	uint16_t n;

	while ((n = omni_ring_port_far_rx(g->lan, 0, m, GATES_BURST)) > 0) {
		for (uint16_t i = 0; i < n; i++) {
			const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);
			uint64_t number = omni_load_be64(p + OMNI_ETHER_HDR_LEN);

			g->out_of_turn += number < g->next;
			g->damaged += !gate_frame_whole(p, m[i]->data_len, number);
			g->next = number + 1;
			g->came++;
		}
		rte_pktmbuf_free_bulk(m, n);
	}
}

/* ---- Running ---- */

static inline bool gates_turn(bool control)
{
	unsigned int moved = 0;

	for (unsigned int i = 0; i < GATES; i++) {
		struct gate *g = &gates.gate[i];

		moved += omni_node_turn(g->node);
		while (control && ctl_rings_poll(g->s->ctl))
			;
		omni_rcu_poll(g->s->rcu);
		gate_receive(g);
	}
	for (unsigned int i = 0; i < GATES && !gates.unplugged; i++)
		moved += gate_carry(&gates.gate[i], &gates.gate[1 - i]);
	return moved > 0;
}

static inline void gates_settle(void)
{
	for (unsigned int idle = 0; idle < 3;)
		idle = gates_turn(true) ? 0 : idle + 1;
}

static inline void gates_tick(uint64_t ms)
{
	net.now_ns += ms * OMNI_NS_PER_MS;
	for (unsigned int i = 0; i < GATES; i++)
		ctl_tick(gates.gate[i].s->ctl);
}

/* n bursts of each host, both ways at once. */
static inline void gates_traffic(unsigned int n, uint16_t len)
{
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int j = 0; j < GATES; j++)
			gate_send(&gates.gate[j], GATES_BURST, len);
		(void)gates_turn(true);
	}
}

static inline uint64_t gate_count(const struct gate *g, enum omni_stat which)
{
	return g->s->worker.count[which];
}

static inline uint64_t gates_drops(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
		if (strncmp(omni_stat_name(i), "drop_", 5) == 0)
			for (unsigned int j = 0; j < GATES; j++)
				sum += gate_count(&gates.gate[j], i);
	return sum;
}

static inline uint64_t gates_sent(void)
{
	return gates.gate[0].sent + gates.gate[1].sent;
}

static inline uint64_t gates_came(void)
{
	return gates.gate[0].came + gates.gate[1].came;
}

/* Two gateways that have a session and know each other's host. */
static inline int gates_setup(void **state)
{
	(void)rig_begin(state);
	memset(&gates, 0, sizeof(gates));
	gates.random = 42;
	gates.free_before = rte_mempool_avail_count(net.pool);
	gate_open(&gates.gate[0], "10.9.0.1:51820", "10.1.0.1");
	gate_open(&gates.gate[1], "10.9.0.2:51820", "10.1.0.2");
	(void)site_lists(gates.gate[0].s, gates.gate[1].s, true);
	(void)site_lists(gates.gate[1].s, gates.gate[0].s, true);
	for (unsigned int i = 0; i < GATES; i++)
		gate_start(&gates.gate[i]);
	for (unsigned int i = 0; i < 100; i++) {
		gates_tick(100);
		gates_settle();
	}
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int j = 0; j < GATES; j++)
			gate_send(&gates.gate[j], 1, 60);
		gates_settle();
	}
	for (unsigned int i = 0; i < GATES; i++) {
		struct gate *g = &gates.gate[i];

		memset(&g->s->worker, 0, sizeof(g->s->worker));
		g->sent = g->came = g->next = 0;
	}
	return 0;
}

/* For who reads a failure. */
static inline void gates_print(void)
{
	for (unsigned int j = 0; j < GATES; j++) {
		const struct gate *g = &gates.gate[j];

		print_message("gate %u: host sent %" PRIu64 ", got %" PRIu64 "\n", j, g->sent,
			      g->came);
		for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
			if (gate_count(g, i) != 0)
				print_message("gate %u: %s %" PRIu64 "\n", j, omni_stat_name(i),
					      gate_count(g, i));
	}
}

/* Everything ends, and every buffer is back. */
static inline int gates_teardown(void **state)
{
	unsigned int missing;

	(void)state;
	if (getenv("GATES_PRINT") != NULL)
		gates_print();
	for (unsigned int i = 0; i < GATES; i++)
		gate_close(&gates.gate[i]);
	missing = gates.free_before - rte_mempool_avail_count(net.pool);
	if (missing != 0)
		print_error("%u mbufs are missing\n", missing);
	return missing == 0 ? 0 : -1;
}

#endif
