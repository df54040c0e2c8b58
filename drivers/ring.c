/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pair of rings per queue: the port's worker at one end, a test or a bench at the other. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ring.h>

#include "drivers.h"

#define RING_SIZE 4096 /* holds one less */

struct ring_queue {
	struct rte_ring *in, *out; /* as the port sees them */
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
} __rte_cache_aligned;

struct ring_port {
	uint16_t queues;
	struct ring_queue q[];
};

static uint64_t total_len(struct rte_mbuf **m, unsigned int n)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += m[i]->pkt_len;
	return sum;
}

static uint16_t ring_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ring_queue *q = &((struct ring_port *)port->priv)->q[queue];

	n = (uint16_t)rte_ring_sc_dequeue_burst(q->in, (void **)m, n, NULL);
	for (uint16_t i = 0; i < n; i++)
		m[i]->port = port->id;
	driver_count(&q->rx_frames, n);
	driver_count(&q->rx_bytes, total_len(m, n));
	return n;
}

static uint16_t ring_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ring_queue *q = &((struct ring_port *)port->priv)->q[queue];
	uint64_t room = rte_ring_free_count(q->out);

	/* Counted before: once enqueued a frame is the far end's. Only we fill this ring. */
	n = (uint16_t)RTE_MIN(room, n);
	driver_count(&q->tx_frames, n);
	driver_count(&q->tx_bytes, total_len(m, n));
	return (uint16_t)rte_ring_sp_enqueue_burst(q->out, (void **)m, n, NULL);
}

uint16_t omni_ring_port_far_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			       uint16_t n)
{
	struct ring_port *p = port->priv;

	assert(port->ops == &omni_driver_ring && queue < p->queues);
	return (uint16_t)rte_ring_sc_dequeue_burst(p->q[queue].out, (void **)m, n, NULL);
}

uint16_t omni_ring_port_far_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
			       uint16_t n)
{
	struct ring_port *p = port->priv;

	assert(port->ops == &omni_driver_ring && queue < p->queues);
	return (uint16_t)rte_ring_sp_enqueue_burst(p->q[queue].in, (void **)m, n, NULL);
}

static int ring_rx_fd(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

static bool ring_arm(struct omni_port *port, uint16_t queue)
{
	return !rte_ring_empty(((struct ring_port *)port->priv)->q[queue].in);
}

static int ring_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	(void)conf;
	(void)err;
	return 0;
}

static void drain(struct rte_ring *r)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
}

static void ring_close(struct omni_port *port)
{
	struct ring_port *p = port->priv;

	for (uint16_t i = 0; i < p->queues; i++) {
		struct rte_ring *both[] = {p->q[i].in, p->q[i].out};

		for (size_t j = 0; j < OMNI_ARRAY_SIZE(both); j++) {
			if (both[j] != NULL)
				drain(both[j]);
			rte_ring_free(both[j]);
		}
	}
	free(p);
	port->priv = NULL;
}

static struct rte_ring *make(void)
{
	static unsigned int serial; /* control's; there may be several tables */
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "omni_port_%u", serial++);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int ring_open(struct omni_port *port, const struct omni_port_conf *conf,
		     struct rte_mempool *pool, struct omni_err *err)
{
	uint16_t queues = conf->queues != 0 ? conf->queues : 1;
	struct ring_port *p =
		aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p) + queues * sizeof(p->q[0]));

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p) + queues * sizeof(p->q[0]));
	p->queues = queues;
	port->priv = p;
	for (uint16_t i = 0; i < queues; i++) {
		p->q[i].in = make();
		p->q[i].out = make();
		if (p->q[i].in == NULL || p->q[i].out == NULL) {
			ring_close(port);
			return omni_fail(err, -rte_errno, "port %s: no memory for its rings",
					 conf->name);
		}
	}
	port->info.queues = queues;
	port->info.mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	port->info.frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_PLAIN);
	port->info.link_up = true;
	if (conf->has_mac)
		memcpy(port->info.mac, conf->mac, sizeof(port->info.mac));
	strcpy(port->info.mode, "memory");
	return 0;
}

static void ring_stats(struct omni_port *port, struct omni_port_stats *stats)
{
	const struct ring_port *p = port->priv;

	for (uint16_t i = 0; i < p->queues; i++) {
		stats->rx_frames += driver_read(&p->q[i].rx_frames);
		stats->rx_bytes += driver_read(&p->q[i].rx_bytes);
		stats->tx_frames += driver_read(&p->q[i].tx_frames);
		stats->tx_bytes += driver_read(&p->q[i].tx_bytes);
	}
}

const struct omni_port_ops omni_driver_ring = {
	.driver = "ring",
	.check = ring_check,
	.open = ring_open,
	.close = ring_close,
	.rx = ring_rx,
	.tx = ring_tx,
	.rx_fd = ring_rx_fd,
	.arm = ring_arm,
	.stats = ring_stats,
};
