/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "ethdev.h"

#define DESCRIPTORS 1024
#define BUS "vdev"

struct ethdev_queue {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_chained;
} __rte_cache_aligned;

struct ethdev_port {
	uint16_t dev; /* DPDK's port id */
	char device[RTE_DEV_NAME_MAX_LEN];
	struct ethdev_queue q[OMNI_PORT_QUEUES_MAX];
};

static int set_up(uint16_t dev, uint16_t queues, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {0};
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = rte_eth_dev_configure(dev, queues, queues, &conf);

	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(dev, &rx, &tx);
	for (uint16_t i = 0; rc == 0 && i < queues; i++) {
		rc = rte_eth_rx_queue_setup(dev, i, rx, SOCKET_ID_ANY, NULL, pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(dev, i, tx, SOCKET_ID_ANY, NULL);
	}
	return rc == 0 ? rte_eth_dev_start(dev) : rc;
}

void ethdev_refresh(struct omni_port *port)
{
	const struct ethdev_port *p = port->priv;
	struct rte_eth_link link = {0};
	struct rte_ether_addr mac;

	if (rte_eth_link_get_nowait(p->dev, &link) == 0)
		port->info.link_up = link.link_status == RTE_ETH_LINK_UP;
	if (rte_eth_macaddr_get(p->dev, &mac) == 0)
		memcpy(port->info.mac, mac.addr_bytes, sizeof(port->info.mac));
}

static int create(struct ethdev_port *p, const char *device, const char *args)
{
	int rc;

	strncpy(p->device, device, sizeof(p->device) - 1);
	rc = rte_eal_hotplug_add(BUS, device, args);
	if (rc < 0)
		return rc == -1 ? -EIO : rc;
	rc = rte_eth_dev_get_port_by_name(device, &p->dev);
	if (rc < 0)
		(void)rte_eal_hotplug_remove(BUS, device);
	return rc;
}

int ethdev_open(struct omni_port *port, const struct omni_port_conf *conf, struct rte_mempool *pool,
		const char *device, const char *args, struct omni_err *err)
{
	struct ethdev_port *p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));
	uint16_t queues = conf->queues != 0 ? conf->queues : 1;
	int rc;

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p));
	rc = create(p, device, args);
	if (rc < 0) {
		free(p);
		return omni_fail(err, rc, "port %s: DPDK does not make device %s,%s: %s",
				 conf->name, device, args, strerror(-rc));
	}
	port->priv = p;
	rc = set_up(p->dev, queues, pool);
	if (rc < 0) {
		ethdev_close(port);
		return omni_fail(err, rc, "port %s: cannot start device %s: %s", conf->name, device,
				 strerror(-rc));
	}
	port->info.queues = queues;
	port->info.mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	port->info.frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_PLAIN);
	strcpy(port->info.mode, "memory");
	ethdev_refresh(port);
	return 0;
}

void ethdev_close(struct omni_port *port)
{
	struct ethdev_port *p = port->priv;

	(void)rte_eth_dev_stop(p->dev);
	(void)rte_eth_dev_close(p->dev);
	(void)rte_eal_hotplug_remove(BUS, p->device);
	free(p);
	port->priv = NULL;
}

uint16_t ethdev_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ethdev_port *p = port->priv;
	struct ethdev_queue *q = &p->q[queue];
	uint16_t got = rte_eth_rx_burst(p->dev, queue, m, n), kept = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < got; i++) {
		/* Longer than a buffer: the other side has a larger MTU. */
		if (unlikely(m[i]->nb_segs != 1)) {
			driver_count(&q->rx_chained, 1);
			rte_pktmbuf_free(m[i]);
			continue;
		}
		m[i]->port = port->id;
		bytes += m[i]->pkt_len;
		m[kept++] = m[i];
	}
	driver_count(&q->rx_frames, kept);
	driver_count(&q->rx_bytes, bytes);
	return kept;
}

uint16_t ethdev_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ethdev_port *p = port->priv;
	struct ethdev_queue *q = &p->q[queue];
	uint64_t bytes = 0;
	uint16_t sent;

	/* A frame that was sent is no longer ours to look at. */
	for (uint16_t i = 0; i < n; i++)
		bytes += m[i]->pkt_len;
	sent = rte_eth_tx_burst(p->dev, queue, m, n);
	for (uint16_t i = sent; i < n; i++)
		bytes -= m[i]->pkt_len;
	driver_count(&q->tx_frames, sent);
	driver_count(&q->tx_bytes, bytes);
	return sent;
}

int ethdev_rx_fd(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

void ethdev_stats(struct omni_port *port, struct omni_port_stats *s)
{
	const struct ethdev_port *p = port->priv;
	struct rte_eth_stats dev = {0};
	uint64_t chained = 0;

	for (uint16_t i = 0; i < port->info.queues; i++) {
		s->rx_frames += driver_read(&p->q[i].rx_frames);
		s->rx_bytes += driver_read(&p->q[i].rx_bytes);
		s->tx_frames += driver_read(&p->q[i].tx_frames);
		s->tx_bytes += driver_read(&p->q[i].tx_bytes);
		chained += driver_read(&p->q[i].rx_chained);
	}
	(void)rte_eth_stats_get(p->dev, &dev);
	s->rx_dropped = dev.imissed + dev.ierrors + dev.rx_nombuf + chained;
	driver_extra(s, "rx_missed", dev.imissed);
	driver_extra(s, "rx_errors", dev.ierrors);
	driver_extra(s, "rx_no_buffer", dev.rx_nombuf);
	driver_extra(s, "rx_bad_len", chained);
	driver_extra(s, "tx_errors", dev.oerrors);
}
