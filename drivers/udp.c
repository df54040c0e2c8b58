/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Kernel UDP sockets as an uplink: opening, closing and reporting. The kernel routes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netdev.h"
#include "udp.h"

static int check(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->n_udp_ports == 0 || conf->n_udp_ports > OMNI_PORT_UDP_PORTS_MAX)
		return omni_fail(err, -EINVAL,
				 "port %s: udp takes 1 to %d UDP ports, not %u: it is for "
				 "the underlay",
				 conf->name, OMNI_PORT_UDP_PORTS_MAX, conf->n_udp_ports);
	return conf->interface[0] != '\0' ? netdev_check(conf->interface, err) : 0;
}

static void refresh(struct omni_port *port)
{
	struct udp_port *p = port->priv;
	struct netdev dev;

	if (p->interface[0] == '\0')
		return;
	if (netdev_read(p->interface, &dev) < 0) {
		port->info.link_up = false;
		return;
	}
	if (port->info.ifindex != dev.ifindex && port->info.ifindex != 0)
		udp_sockets_rebind(p);
	port->info.ifindex = dev.ifindex;
	port->info.link_up = dev.running;
	port->info.mtu = OMNI_MIN(dev.mtu, (uint16_t)OMNI_PORT_MTU_MAX);
	memcpy(port->info.mac, dev.mac, sizeof(dev.mac));
}

/* Carrier may come later, as with every other port. */
static bool is_down(const struct omni_port_conf *conf)
{
	struct netdev dev;

	return conf->interface[0] != '\0' && (netdev_read(conf->interface, &dev) < 0 || !dev.up);
}

/* What is there to open, without opening. */
static int describe(struct omni_port *port, const struct omni_port_conf *conf, struct omni_err *err)
{
	struct omni_port_info *info = &port->info;

	snprintf(info->mode, sizeof(info->mode), "socket");
	snprintf(info->offloads, sizeof(info->offloads), "segmentation join checksum");
	info->queues = conf->queues != 0 ? conf->queues : OMNI_MAX(conf->workers, 1);
	info->mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	info->frame_max = (uint16_t)omni_pool_frame_max(port->pool, OMNI_POOL_PLAIN);
	info->kernel_routes = true;
	info->holds_ports = true;
	info->link_up = true;
	refresh(port);
	if (!is_down(conf))
		return 0;
	return omni_fail(err, -ENETDOWN, "port %s: %s is down (ip link set %s up)", conf->name,
			 conf->interface, conf->interface);
}

static int allocate(struct udp_port *p, struct omni_err *err)
{
	p->q = aligned_alloc(RTE_CACHE_LINE_SIZE, p->queues * sizeof(*p->q));
	if (p->q == NULL)
		return omni_fail(err, -ENOMEM, "no memory");
	memset(p->q, 0, p->queues * sizeof(*p->q));
	for (uint16_t i = 0; i < p->queues; i++) {
		struct udp_rx *rx = &p->q[i].rx;

		rx->spill = calloc(UDP_RX_MESSAGES, sizeof(*rx->spill));
		if (rx->spill == NULL)
			return omni_fail(err, -ENOMEM, "no memory");
		rx->guess = p->payload_max;
		rx->per_call = 1;
	}
	return 0;
}

static void release(struct udp_port *p)
{
	for (uint16_t i = 0; p->q != NULL && i < p->queues; i++) {
		udp_rx_free(&p->q[i]);
		free(p->q[i].rx.spill);
	}
	udp_filter_close(p->filter);
	udp_raw_close(p);
	free(p->q);
	free(p);
}

static int open_port(struct omni_port *port, const struct omni_port_conf *conf,
		     struct rte_mempool *pool, struct omni_err *err)
{
	struct udp_port *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	port->priv = p;
	p->raw_v4 = p->raw_v6 = -1;
	memcpy(p->interface, conf->interface, sizeof(p->interface));
	p->pool = pool;
	p->udp_port = conf->udp_ports[0];
	p->n_lanes = (uint16_t)(conf->n_udp_ports - 1);
	p->payload_max = (uint16_t)(rte_pktmbuf_data_room_size(pool) - UDP_PAYLOAD_AT - UDP_TAIL);
	rc = describe(port, conf, err);
	p->queues = port->info.queues;
	if (rc == 0)
		rc = allocate(p, err);
	if (rc == 0) {
		p->filter = udp_filter_open();
		udp_raw_open(p, conf->fwmark);
		rc = udp_sockets_open(p, conf, err);
	}
	if (rc < 0)
		release(p);
	return rc;
}

static void close_port(struct omni_port *port)
{
	struct udp_port *p = port->priv;

	udp_sockets_close(p);
	release(p);
}

static int rx_fd(struct omni_port *port, uint16_t queue)
{
	return ((struct udp_port *)port->priv)->q[queue].wait_fd;
}

static void add_up(struct udp_counters *sum, const struct udp_counters *one)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)one;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += driver_read(&from[i]);
}

static void stats(struct omni_port *port, struct omni_port_stats *out)
{
	const struct udp_port *p = port->priv;
	struct udp_counters c = {0};

	for (uint16_t i = 0; i < p->queues; i++)
		add_up(&c, &p->q[i].count);
	out->rx_frames = c.rx_frames;
	out->rx_bytes = c.rx_bytes;
	out->tx_frames = c.tx_frames;
	out->tx_bytes = c.tx_bytes;
	out->rx_dropped =
		c.rx_truncated + c.rx_bad + udp_sockets_dropped(p) + udp_filter_limited(p->filter);
	out->tx_dropped =
		c.tx_too_long + c.tx_no_route + c.tx_no_source + c.tx_denied + c.tx_failed;
	driver_extra(out, "rx_no_buffer", c.rx_no_buffer);
	driver_extra(out, "rx_truncated", c.rx_truncated);
	driver_extra(out, "rx_bad", c.rx_bad);
	driver_extra(out, "rx_filtered", udp_filter_dropped(p->filter));
	driver_extra(out, "rx_flood_limited", udp_filter_limited(p->filter));
	driver_extra(out, "rx_copied", c.rx_copied);
	driver_extra(out, "rx_joined", c.rx_joined);
	driver_extra(out, "rx_failed", c.rx_failed);
	driver_extra(out, "tx_runs", c.tx_runs);
	driver_extra(out, "tx_full", c.tx_full);
	driver_extra(out, "tx_apart", c.tx_apart);
	driver_extra(out, "tx_too_long", c.tx_too_long);
	driver_extra(out, "tx_no_route", c.tx_no_route);
	driver_extra(out, "tx_no_source", c.tx_no_source);
	driver_extra(out, "tx_denied", c.tx_denied);
	driver_extra(out, "tx_failed", c.tx_failed);
}

const struct omni_port_ops omni_driver_udp = {
	.driver = "udp",
	.check = check,
	.open = open_port,
	.close = close_port,
	.rx = udp_rx,
	.tx = udp_tx,
	.rx_fd = rx_fd,
	.arm = udp_arm,
	.stats = stats,
	.refresh = refresh,
};
