/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ports and their buffers, learning frames, and trials. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <omni_secret.h>

#include "command.h"
#include "generate.h"

#define BUFFERS 8191
#define BUFFER_EXTRA 1024 /* around a frame: mbuf, headroom, rounding */
#define BYTES_PER_MB (1024 * 1024)
#define ETH_LEN 14
#define VLAN_LEN 4
#define START_S 0.01 /* until both lcores are there */
#define LEARN_PPS 5000
#define LEARN_ROUNDS 2
#define LEARN_SETTLE_S 0.1
#define POLL_US 20000

static const char *const names[] = {"tx", "rx"};

static bool is_af_xdp(const struct omni_port_conf *conf)
{
	return strcmp(conf->driver, "af_xdp") == 0;
}

static unsigned int largest(const struct generate_options *o)
{
	unsigned int size = 0;

	for (unsigned int i = 0; i < o->sizes; i++)
		size = OMNI_MAX(size, o->size[i].imix ? 1420u : o->size[i].bytes);
	return size;
}

/* An interface has an MTU of its own; other ports get what the frames need. */
static uint16_t mtu_for(const struct generate_options *o, unsigned int side)
{
	const struct omni_port_conf *conf = &o->port[side];
	int mtu = is_af_xdp(conf) ? omni_driver_interface_mtu(conf->interface) : 0;

	if (conf->mtu != 0)
		return conf->mtu;
	if (mtu > 0)
		return (uint16_t)mtu;
	return (uint16_t)OMNI_MAX((unsigned int)OMNI_PORT_MTU_DEFAULT,
				  OMNI_MIN(largest(o) - ETH_LEN, OMNI_PORT_MTU_MAX + 0u));
}

unsigned int generator_memory_mb(const struct generate_options *o)
{
	unsigned int bytes = 0;

	for (unsigned int i = 0; i < o->ports; i++)
		bytes += mtu_for(o, i) + OMNI_PORT_L2_OVERHEAD + BUFFER_EXTRA;
	return (unsigned int)((uint64_t)bytes * BUFFERS / BYTES_PER_MB) + 16;
}

static int open_side(struct generator *g, unsigned int i)
{
	const struct generate_options *o = g->o;
	struct omni_port_conf conf = o->port[i];
	const struct omni_port_ops *ops;
	struct side *s = &g->side[i];
	struct omni_err err;

	assert(i < OMNI_ARRAY_SIZE(names));
	ops = omni_driver_find(conf.driver, &err);
	if (ops == NULL || ops->check(&conf, &err) < 0)
		goto fail;
	conf.mtu = is_af_xdp(&conf) ? conf.mtu : mtu_for(o, i);
	s->pool = omni_pool_create(names[i], is_af_xdp(&conf) ? OMNI_POOL_AF_XDP : OMNI_POOL_PLAIN,
				   BUFFERS, mtu_for(o, i) + OMNI_PORT_L2_OVERHEAD, 0, &err);
	if (s->pool != NULL)
		s->port = omni_port_open(&g->table, ops, &conf, s->pool, &err);
	if (s->port == NULL)
		goto fail;
	omni_port_publish(&g->table, s->port);
	return 0;
fail:
	fprintf(stderr, "omni-bench: %s\n", err.text);
	return 1;
}

/* A client's port is there before its server is. */
static int wait_for_links(struct generator *g)
{
	double waited = 0;
	unsigned int i = 0;

	while (i < g->sides) {
		omni_port_refresh(g->side[i].port);
		if (g->side[i].port->info.link_up) {
			i++;
			continue;
		}
		if (waited >= g->o->wait || generate_stop != 0) {
			fprintf(stderr,
				"omni-bench: port %s: the link is down (waited %.1f s; --wait "
				"gives it longer)\n",
				g->side[i].port->name, waited);
			return 1;
		}
		usleep(POLL_US);
		waited += POLL_US / 1e6;
	}
	return 0;
}

static void assign(struct generator *g)
{
	for (unsigned int i = 0; i < g->sides; i++) {
		struct side *s = &g->side[i];

		s->sends = i == 0 || g->o->bidirectional;
		s->tx.direction = i;
		s->tx.burst = g->o->burst;
		s->tx.traffic = &g->traffic;
		s->rx.traffic = &g->traffic;
		s->rx.expects = g->sides == 1 || i == 1 ? 0 : g->o->bidirectional ? 1 : -1;
	}
}

int generator_open(struct generator *g, const struct generate_options *o)
{
	memset(g, 0, sizeof(*g));
	g->o = o;
	g->sides = o->ports;
	assign(g);
	for (unsigned int i = 0; i < g->sides; i++) {
		if (sequence_create(&g->side[i].rx.sequence, o->traffic.flows) != 0) {
			fprintf(stderr, "omni-bench: no memory for %u flows\n", o->traffic.flows);
			return 1;
		}
		if (open_side(g, i) != 0)
			return 1;
	}
	return wait_for_links(g);
}

void generator_close(struct generator *g)
{
	for (unsigned int i = 0; i < g->sides; i++) {
		struct side *s = &g->side[i];

		omni_port_close(&g->table, s->port);
		rte_mempool_free(s->pool);
		sequence_free(&s->rx.sequence);
	}
}

int generator_size(struct generator *g, const struct generate_size *size)
{
	struct traffic_conf conf = g->o->traffic;
	struct omni_err err;
	unsigned int most = size->imix ? 1420 : size->bytes;

	conf.imix = size->imix;
	conf.size = size->bytes;
	if (traffic_init(&g->traffic, &conf, &err) != 0) {
		fprintf(stderr, "omni-bench: %s\n", err.text);
		return COMMAND_USAGE;
	}
	for (unsigned int i = 0; i < g->sides; i++) {
		const struct omni_port *port = g->side[i].port;
		unsigned int room = port->info.mtu + ETH_LEN + (conf.vlan >= 0 ? VLAN_LEN : 0u);

		if (most <= room)
			continue;
		fprintf(stderr, "omni-bench: port %s: MTU %u carries no frames of %u bytes\n",
			port->name, port->info.mtu, most);
		return 1;
	}
	return 0;
}

/* ---- Learning ---- */

static void learn_one(struct generator *g, unsigned int i, uint32_t mac)
{
	struct side *s = &g->side[i];
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->pool), *in[GENERATE_BURST];

	if (m != NULL) {
		m->data_len =
			traffic_write_learning(&g->traffic, i, mac, rte_pktmbuf_mtod(m, uint8_t *));
		m->pkt_len = m->data_len;
		if (omni_port_tx(s->port, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
	}
	for (unsigned int j = 0; j < g->sides; j++)
		rte_pktmbuf_free_bulk(in, omni_port_rx(g->side[j].port, 0, in, GENERATE_BURST));
}

static void drain(struct generator *g, double seconds)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	struct rte_mbuf *in[GENERATE_BURST];

	while (rte_rdtsc() < end)
		for (unsigned int j = 0; j < g->sides; j++)
			rte_pktmbuf_free_bulk(in,
					      omni_port_rx(g->side[j].port, 0, in, GENERATE_BURST));
}

void generator_learn(struct generator *g)
{
	/* With one port both hosts would be behind it. */
	if (g->sides < 2 || g->o->no_learning)
		return;
	for (unsigned int round = 0; round < LEARN_ROUNDS; round++) {
		for (uint32_t mac = 0; mac < g->traffic.conf.macs && generate_stop == 0; mac++)
			for (unsigned int i = 0; i < g->sides; i++) {
				learn_one(g, i, mac);
				usleep(1000000 / LEARN_PPS);
			}
		drain(g, LEARN_SETTLE_S);
	}
}

/* ---- Trials ---- */

struct lane {
	struct side *side[2];
	unsigned int sides;
	uint64_t end; /* receiving */
};

static int run_lane(void *arg)
{
	struct lane *lane = arg;
	uint64_t now, settle = lane->end, hz = rte_get_tsc_hz();
	unsigned int got;

	do {
		bool sending = false;

		now = rte_rdtsc();
		got = 0;
		for (unsigned int i = 0; i < lane->sides; i++) {
			struct side *s = lane->side[i];

			if (s->sends)
				sender_turn(&s->tx, s, now);
			sending |= s->sends && !s->tx.done;
			got += receiver_turn(&s->rx, s);
		}
		/* Interrupted: what is on the way still counts. */
		if (generate_stop != 0 && !sending)
			settle = OMNI_MIN(settle, now + hz / 10);
		/* A core that was taken away from us finds in its ports what came in time. */
	} while (now < settle || (got > 0 && now < settle + hz));
	return 0;
}

static void begin(struct generator *g, double pps, double seconds, struct direction *d,
		  uint64_t start, struct omni_port_stats *before)
{
	uint64_t ticks = (uint64_t)(seconds * (double)rte_get_tsc_hz());

	memset(d, 0, (g->o->bidirectional ? 2 : 1) * sizeof(*d));
	g->epoch++;
	for (unsigned int i = 0; i < g->sides; i++) {
		struct side *s = &g->side[i];

		s->rx.epoch = g->epoch;
		s->rx.d = s->rx.expects >= 0 ? &d[s->rx.expects] : &s->idle;
		sequence_clear(&s->rx.sequence);
		omni_port_read_stats(s->port, &before[i]);
		if (!s->sends)
			continue;
		s->tx.epoch = g->epoch;
		s->tx.d = &d[i];
		sender_begin(&s->tx, pps, start, start + ticks);
	}
}

static void end(struct generator *g, struct direction *d, const struct omni_port_stats *before)
{
	for (unsigned int i = 0; i < g->sides; i++) {
		struct side *s = &g->side[i];
		struct omni_port_stats after;

		omni_port_read_stats(s->port, &after);
		s->rx.d->rx_dropped = after.rx_dropped - before[i].rx_dropped;
		if (!s->sends)
			continue;
		d[i].tx_dropped = after.tx_dropped - before[i].tx_dropped;
		d[i].seconds = (double)(s->tx.last - s->tx.first) / (double)rte_get_tsc_hz();
		/* n frames are n - 1 distances; the last one's own time counts too. */
		if (d[i].sent > 1)
			d[i].seconds *= (double)d[i].sent / (double)(d[i].sent - 1);
	}
	/* What a side that expects nothing has seen stands beside what it sent. */
	if (g->sides == 2 && !g->o->bidirectional)
		d[0].returned += g->side[0].idle.returned;
	memset(&g->side[0].idle, 0, sizeof(g->side[0].idle));
}

void generator_trial(struct generator *g, double pps, double seconds, struct direction *d)
{
	uint64_t hz = rte_get_tsc_hz(), start;
	unsigned int worker = rte_get_next_lcore(-1, 1, 0);
	struct omni_port_stats before[2];
	struct lane lane[2] = {0};
	bool two = g->sides == 2 && worker < RTE_MAX_LCORE;

	start = rte_rdtsc() + (uint64_t)(START_S * (double)hz);
	begin(g, pps, seconds, d, start, before);
	for (unsigned int i = 0; i < 2; i++)
		lane[i].end = start + (uint64_t)((seconds + g->o->settle) * (double)hz);
	for (unsigned int i = 0; i < g->sides; i++) {
		struct lane *l = &lane[two ? i : 0];

		l->side[l->sides++] = &g->side[i];
	}
	if (two)
		(void)rte_eal_remote_launch(run_lane, &lane[1], worker);
	(void)run_lane(&lane[0]);
	if (two)
		rte_eal_wait_lcore(worker);
	end(g, d, before);
}
