/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ports on DPDK's own devices: open, burst, close. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_dev.h>

#include "ethdev_segment.h"

#define DESCRIPTORS 1024
#define RSS_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP)

#define RX_SEGMENTS \
	(RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define TX_SEGMENTS \
	(RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)

/* What the device is asked for: RSS over several queues, an MTU, receive interrupts. */
static struct rte_eth_conf wanted(const struct ethdev_port *p, const struct rte_eth_dev_info *has,
				  uint16_t queues, uint16_t mtu)
{
	struct rte_eth_conf conf = {.intr_conf.rxq = p->interrupts};

	if (queues > 1 && (has->flow_type_rss_offloads & RSS_WANTED) != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = has->flow_type_rss_offloads & RSS_WANTED;
	}
	if (p->segments) {
		conf.rxmode.offloads = RX_SEGMENTS & has->rx_offload_capa;
		conf.txmode.offloads = TX_SEGMENTS & has->tx_offload_capa;
	}
	if (p->checksum)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM & has->tx_offload_capa;
	if (mtu >= has->min_mtu && mtu <= has->max_mtu)
		conf.rxmode.mtu = mtu;
	return conf;
}

static int configure(struct ethdev_port *p, uint16_t queues, uint16_t mtu)
{
	struct rte_eth_dev_info has;
	struct rte_eth_conf conf;
	int rc = rte_eth_dev_info_get(p->dev, &has);

	if (rc < 0)
		return rc;
	if (queues > has.max_rx_queues || queues > has.max_tx_queues)
		return -ERANGE;
	conf = wanted(p, &has, queues, mtu);
	p->checksum = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
	p->tso = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0;
	rc = rte_eth_dev_configure(p->dev, queues, queues, &conf);
	if (rc == 0 || !p->interrupts)
		return rc;
	p->interrupts = false;
	conf.intr_conf.rxq = 0;
	return rte_eth_dev_configure(p->dev, queues, queues, &conf);
}

static int set_up(struct ethdev_port *p, uint16_t queues, uint16_t mtu, struct rte_mempool *pool)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = configure(p, queues, mtu), node = rte_eth_dev_socket_id(p->dev);

	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->dev, &rx, &tx);
	for (uint16_t i = 0; rc == 0 && i < queues; i++) {
		rc = rte_eth_rx_queue_setup(p->dev, i, rx, (unsigned int)node, NULL, pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(p->dev, i, tx, (unsigned int)node, NULL);
	}
	if (rc == 0)
		rc = rte_eth_dev_start(p->dev);
	/* A bridge takes frames for everybody; vdevs that know no such mode do so anyway. */
	if (rc == 0)
		(void)rte_eth_promiscuous_enable(p->dev);
	return rc;
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

static int attach(struct ethdev_port *p, const struct ethdev_device *device)
{
	int rc;

	strncpy(p->bus, device->bus, sizeof(p->bus) - 1);
	strncpy(p->name, device->name, sizeof(p->name) - 1);
	p->interrupts = device->interrupts;
	p->segments = device->segments;
	p->takes_segments = device->takes_segments;
	if (rte_eth_dev_get_port_by_name(device->name, &p->dev) == 0)
		return 0;
	rc = rte_eal_hotplug_add(device->bus, device->name, device->args);
	if (rc < 0)
		return rc == -1 ? -EIO : rc;
	p->created = true;
	rc = rte_eth_dev_get_port_by_name(device->name, &p->dev);
	if (rc < 0)
		(void)rte_eal_hotplug_remove(p->bus, p->name);
	return rc;
}

static int open_queues(struct ethdev_port *p)
{
	for (unsigned int i = 0; p->segments && i < OMNI_PORT_QUEUES_MAX; i++) {
		p->q[i].room = malloc(OMNI_SEGMENT_MAX);
		if (p->q[i].room == NULL)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < OMNI_PORT_QUEUES_MAX; i++)
		p->q[i].set = -1;
	for (unsigned int i = 0; p->interrupts && i < OMNI_PORT_QUEUES_MAX; i++) {
		p->q[i].set = epoll_create1(EPOLL_CLOEXEC);
		if (p->q[i].set < 0)
			return -errno;
	}
	return 0;
}

static void close_queues(struct ethdev_port *p)
{
	for (unsigned int i = 0; i < OMNI_PORT_QUEUES_MAX; i++) {
		ethdev_drop_waiting(&p->q[i]);
		free(p->q[i].room);
		if (p->q[i].set >= 0)
			close(p->q[i].set);
	}
}

static void describe(struct omni_port *port, const struct omni_port_conf *conf, uint16_t queues)
{
	const struct ethdev_port *p = port->priv;

	port->info.queues = queues;
	port->info.mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	port->info.frame_max = (uint16_t)omni_pool_frame_max(port->pool, OMNI_POOL_PLAIN);
	strcpy(port->info.mode, "memory");
	port->info.udp_checksum = p->checksum;
	snprintf(port->info.offloads, sizeof(port->info.offloads), "%s%s%s",
		 p->segments ? "checksum tso4 tso6" : "", p->segments && p->checksum ? " " : "",
		 p->checksum ? "udp-checksum" : "");
	ethdev_refresh(port);
}

int ethdev_open(struct omni_port *port, const struct omni_port_conf *conf, struct rte_mempool *pool,
		const struct ethdev_device *device, struct omni_err *err)
{
	struct ethdev_port *p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));
	uint16_t queues = conf->queues != 0 ? conf->queues : 1;
	int rc;

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p));
	rc = attach(p, device);
	if (rc < 0) {
		free(p);
		return omni_fail(err, rc, "port %s: DPDK does not make device %s%s%s: %s",
				 conf->name, device->name, device->args[0] != '\0' ? "," : "",
				 device->args, strerror(-rc));
	}
	port->priv = p;
	p->frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_PLAIN);
	p->checksum = conf->n_udp_ports != 0 && device->checksums;
	rc = open_queues(p);
	if (rc == 0)
		rc = set_up(p, queues, conf->mtu, pool);
	if (rc == -ERANGE)
		omni_fail(err, rc, "port %s: device %s has not %u queues", conf->name, device->name,
			  queues);
	else if (rc < 0)
		omni_fail(err, rc, "port %s: cannot start device %s: %s", conf->name, device->name,
			  strerror(-rc));
	if (rc < 0)
		ethdev_close(port);
	else
		describe(port, conf, queues);
	return rc;
}

void ethdev_close(struct omni_port *port)
{
	struct ethdev_port *p = port->priv;

	(void)rte_eth_dev_stop(p->dev);
	(void)rte_eth_dev_close(p->dev);
	if (p->created)
		(void)rte_eal_hotplug_remove(p->bus, p->name);
	close_queues(p);
	free(p);
	port->priv = NULL;
}

uint16_t ethdev_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct ethdev_port *p = port->priv;
	struct ethdev_queue *q = &p->q[queue];
	uint16_t got = p->segments ? ethdev_rx_segments(port, queue, m, n)
				   : rte_eth_rx_burst(p->dev, queue, m, n);
	uint16_t kept = 0;
	uint64_t bytes = 0;

	if (unlikely(q->armed) && got > 0)
		ethdev_disarm(p, queue);
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

uint16_t ethdev_send(struct ethdev_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t good = p->checksum ? rte_eth_tx_prepare(p->dev, queue, m, n) : n;
	uint16_t sent = rte_eth_tx_burst(p->dev, queue, m, good);

	if (likely(good == n || sent < good))
		return sent;
	driver_count(&p->q[queue].tx_refused, 1);
	rte_pktmbuf_free(m[good]);
	return (uint16_t)(good + 1);
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
	sent = p->segments ? ethdev_tx_segments(port, queue, m, n) : ethdev_send(p, queue, m, n);
	for (uint16_t i = sent; i < n; i++)
		bytes -= m[i]->pkt_len;
	driver_count(&q->tx_frames, sent);
	driver_count(&q->tx_bytes, bytes);
	return sent;
}

void ethdev_stats(struct omni_port *port, struct omni_port_stats *s)
{
	const struct ethdev_port *p = port->priv;
	struct rte_eth_stats dev = {0};
	uint64_t chained = 0, offload = 0, refused = 0, no_buffer = 0, rx_segments = 0,
		 tx_segments = 0;

	for (uint16_t i = 0; i < port->info.queues; i++) {
		s->rx_frames += driver_read(&p->q[i].rx_frames);
		s->rx_bytes += driver_read(&p->q[i].rx_bytes);
		refused += driver_read(&p->q[i].tx_refused);
		s->tx_frames += driver_read(&p->q[i].tx_frames);
		s->tx_bytes += driver_read(&p->q[i].tx_bytes);
		chained += driver_read(&p->q[i].rx_chained);
		offload += driver_read(&p->q[i].rx_offload);
		no_buffer += driver_read(&p->q[i].rx_no_buffer);
		rx_segments += driver_read(&p->q[i].rx_segments);
		tx_segments += driver_read(&p->q[i].tx_segments);
		s->tx_dropped += driver_read(&p->q[i].tx_full);
	}
	s->tx_dropped += refused;
	(void)rte_eth_stats_get(p->dev, &dev);
	s->rx_dropped = dev.imissed + dev.ierrors + dev.rx_nombuf + chained + offload;
	driver_extra(s, "rx_missed", dev.imissed);
	driver_extra(s, "rx_errors", dev.ierrors);
	driver_extra(s, "rx_no_buffer", dev.rx_nombuf + no_buffer);
	driver_extra(s, "rx_bad_len", chained);
	driver_extra(s, "tx_errors", dev.oerrors);
	driver_extra(s, "tx_refused", refused);
	if (!p->segments)
		return;
	driver_extra(s, "rx_offload", offload);
	driver_extra(s, "rx_segments", rx_segments);
	driver_extra(s, "tx_segments", tx_segments);
}
