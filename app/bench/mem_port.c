/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A port that costs nothing: what is measured is the pipeline. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static uint16_t mem_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct mem_port *p = bench_mem(port, queue);
	unsigned int left = p->n_in - p->taken;

	if (n > left)
		n = (uint16_t)left;
	memcpy(m, p->in + p->taken, n * sizeof(void *));
	p->taken += n;
	return n;
}

static uint16_t mem_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct mem_port *p = bench_mem(port, queue);

	if (n > BENCH_BUFFERS - p->n_out)
		n = (uint16_t)(BENCH_BUFFERS - p->n_out);
	memcpy(p->out + p->n_out, m, n * sizeof(void *));
	p->n_out += n;
	return n;
}

static int mem_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	(void)conf;
	(void)err;
	return 0;
}

static int mem_open(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err)
{
	size_t len = conf->queues * sizeof(struct mem_port);

	(void)pool;
	port->priv = aligned_alloc(RTE_CACHE_LINE_SIZE, len);
	if (port->priv == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(port->priv, 0, len);
	port->info.queues = conf->queues;
	port->info.mtu = conf->mtu;
	port->info.frame_max = (uint16_t)(conf->mtu + OMNI_PORT_L2_OVERHEAD);
	port->info.link_up = true;
	strcpy(port->info.mode, "memory");
	return 0;
}

static void mem_close(struct omni_port *port)
{
	free(port->priv);
	port->priv = NULL;
}

static int mem_rx_fd(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

static void mem_stats(struct omni_port *port, struct omni_port_stats *stats)
{
	for (unsigned int i = 0; i < port->queues; i++) {
		const struct mem_port *p = bench_mem(port, i);

		stats->rx_frames += p->taken;
		stats->tx_frames += p->n_out;
	}
}

const struct omni_port_ops bench_mem_port = {
	.driver = "bench",
	.check = mem_check,
	.open = mem_open,
	.close = mem_close,
	.rx = mem_rx,
	.tx = mem_tx,
	.rx_fd = mem_rx_fd,
	.stats = mem_stats,
};
