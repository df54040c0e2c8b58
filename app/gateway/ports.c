/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include <omni_drivers.h>
#include <omni_keytree.h>
#include <omni_log.h>

#include "gateway.h"
#include "guard.h"

/*
 * Buffers: two AF_XDP rings of 2048 and what is on its way, twice over; reassembly and bursts on
 * the local side; control's own few, so that a flood of traffic cannot silence it.
 */
#define UPLINK_MBUFS 16383
#define LOCAL_MBUFS 16383
#define CONTROL_MBUFS 2047
/* A worker more: its AF_XDP rings or inbox, its mempool caches, what it has in hand. */
#define UPLINK_MBUFS_WORKER 4096
#define LOCAL_MBUFS_WORKER 2048
#define BYTES_PER_MB (1024 * 1024)
/* Around a frame: mbuf, object header, AF_XDP's headroom, tailroom, rounding. */
#define MBUF_EXTRA 1024

/*
 * A tap keeps its address over restarts, or the other site's neighbour tables would point
 * nowhere for half a minute: locally administered, from this box's key and the port's name.
 */
static void stable_mac(uint8_t mac[6], const struct gateway *gw, const char *name)
{
	const struct omni_key *key = &gw->identity.dh.public;

	omni_mac(mac, 6, key->b, sizeof(key->b), name, strlen(name));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static_assert(OMNI_NODE_WORKERS_MAX < OMNI_PORT_UDP_PORTS_MAX, "the main port, and one for each");

unsigned int gateway_udp_ports(const struct gateway *gw, uint16_t out[OMNI_PORT_UDP_PORTS_MAX])
{
	unsigned int n = 0;

	out[n++] = gw->config->underlay.listen;
	for (unsigned int i = 0; gw->lane_ports && i < gw->n_workers; i++)
		out[n++] = gw->lane_port[i];
	return n;
}

static int configured_lane_ports(struct gateway *gw, struct omni_err *err)
{
	const struct omni_config_underlay *u = &gw->config->underlay;
	unsigned int first = u->first_lane_port, last = first + gw->n_workers - 1;

	if (last > UINT16_MAX || (u->listen >= first && u->listen <= last))
		return omni_fail(err, -EINVAL,
				 "underlay: lane-ports %u to %u, one for each worker, have to end "
				 "at %u and leave out listen, %u",
				 first, last, UINT16_MAX, u->listen);
	for (unsigned int i = 0; i < gw->n_workers; i++)
		gw->lane_port[i] = (uint16_t)(first + i);
	return 0;
}

/* One for each worker's lane; one worker has nobody to share a tunnel with. */
static int choose_lane_ports(struct gateway *gw, struct omni_err *err)
{
	int rc;

	if (gw->config->underlay.no_lane_ports || gw->n_workers == 1)
		return 0;
	rc = gw->config->underlay.first_lane_port != 0
		     ? configured_lane_ports(gw, err)
		     : guard_choose(gw->lane_port, gw->n_workers, err);
	gw->lane_ports = rc == 0;
	if (rc == 0)
		omni_log_info("gateway", "lanes may leave from ports of their own",
			      "workers=%u first=%u", gw->n_workers, gw->lane_port[0]);
	return rc;
}

static void conf_of(struct omni_port_conf *out, const struct gateway *gw, unsigned int index)
{
	const struct omni_config *config = gw->config;
	const struct omni_config_port *port = &config->ports[index];

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", port->name);
	snprintf(out->driver, sizeof(out->driver), "%s", port->driver);
	snprintf(out->interface, sizeof(out->interface), "%s", port->interface);
	snprintf(out->mode, sizeof(out->mode), "%s", port->mode);
	snprintf(out->socket, sizeof(out->socket), "%s", port->socket);
	snprintf(out->device, sizeof(out->device), "%s", port->device);
	out->workers = (uint16_t)gw->n_workers;
	out->queues = port->queues;
	out->mtu = port->mtu;
	out->has_mac = port->has_mac;
	memcpy(out->mac, port->mac, sizeof(out->mac));
	if (!port->has_mac && strcmp(port->driver, "tap") == 0) {
		out->has_mac = true;
		stable_mac(out->mac, gw, port->name);
	}
	out->memif_id = port->memif_id;
	out->server = port->server;
	out->generate = (struct omni_port_generate){.size = port->generate.size,
						    .flows = port->generate.flows,
						    .rate = port->generate.rate};
	memcpy(out->generate.to, port->generate.to, sizeof(out->generate.to));
	out->no_offload = port->no_offload;
	if (index == config->underlay.port) {
		out->n_udp_ports = gateway_udp_ports(gw, out->udp_ports);
		out->fwmark = config->underlay.fwmark;
		if (config->underlay.has_address)
			out->address = config->underlay.address.ip;
	}
}

int gateway_ports_check(const struct gateway *gw, struct omni_err *err)
{
	for (unsigned int i = 0; i < gw->config->n_ports; i++) {
		struct omni_port_conf conf;
		const struct omni_port_ops *ops;
		struct omni_err why;
		int rc;

		conf_of(&conf, gw, i);
		ops = omni_driver_find(conf.driver, &why);
		rc = ops == NULL ? -ENOENT : ops->check(&conf, &why);
		if (rc < 0)
			return omni_fail(err, rc, "%s", why.text);
	}
	return 0;
}

/* May become a socket of AF_XDP. */
static bool is_af_xdp(const struct omni_config_port *port)
{
	return strcmp(port->driver, "af_xdp") == 0 || strcmp(port->driver, "auto") == 0;
}

/* Has an interface that is there already. */
static bool has_interface(const struct omni_config_port *port)
{
	return port->interface[0] != '\0' && (is_af_xdp(port) || strcmp(port->driver, "udp") == 0);
}

/* The interface's own MTU where the configuration leaves it to that. */
static unsigned int mtu_of(const struct omni_config_port *port)
{
	int mtu = 0;

	if (port->mtu != 0)
		return port->mtu;
	if (has_interface(port))
		mtu = omni_driver_interface_mtu(port->interface);
	return mtu > 0 ? OMNI_MIN((unsigned int)mtu, OMNI_PORT_MTU_MAX) : OMNI_PORT_MTU_DEFAULT;
}

/* The largest frame that any port of that side carries, in bytes from the Ethernet header on. */
static unsigned int frame_max(const struct gateway *gw, bool uplink)
{
	unsigned int mtu = OMNI_PORT_MTU_DEFAULT;

	for (unsigned int i = 0; i < gw->config->n_ports; i++) {
		if ((i == gw->config->underlay.port) == uplink)
			mtu = OMNI_MAX(mtu, mtu_of(&gw->config->ports[i]));
	}
	return mtu + OMNI_PORT_L2_OVERHEAD;
}

static enum omni_pool_kind kind_of_side(const struct gateway *gw, bool uplink)
{
	for (unsigned int i = 0; i < gw->config->n_ports; i++) {
		if ((i == gw->config->underlay.port) == uplink && is_af_xdp(&gw->config->ports[i]))
			return OMNI_POOL_AF_XDP;
	}
	return OMNI_POOL_PLAIN;
}

/*
 * One pool for both sides where the uplink's buffers hold the local frames too: what a local port
 * received is then sealed in place and sent from where it lies.
 */
static bool sides_share(const struct gateway *gw)
{
	return frame_max(gw, false) <= frame_max(gw, true) &&
	       kind_of_side(gw, false) == OMNI_POOL_PLAIN;
}

static unsigned int uplink_mbufs(const struct gateway *gw)
{
	return UPLINK_MBUFS + (gw->n_workers - 1) * UPLINK_MBUFS_WORKER;
}

static unsigned int local_mbufs(const struct gateway *gw)
{
	return LOCAL_MBUFS + (gw->n_workers - 1) * LOCAL_MBUFS_WORKER;
}

unsigned int gateway_pools_mb(const struct gateway *gw)
{
	unsigned int uplink = frame_max(gw, true) + MBUF_EXTRA,
		     local = sides_share(gw) ? 0 : frame_max(gw, false) + MBUF_EXTRA;

	return (uplink_mbufs(gw) * uplink + local_mbufs(gw) * local + CONTROL_MBUFS * uplink) /
		       BYTES_PER_MB +
	       1;
}

/* The NUMA node of all workers; SOCKET_ID_ANY where they are on several. */
static int node_of_workers(void)
{
	int node = SOCKET_ID_ANY;
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		int its = (int)rte_lcore_to_socket_id(lcore);

		if (node != SOCKET_ID_ANY && its != node)
			return SOCKET_ID_ANY;
		node = its;
	}
	return node;
}

static int pools_create(struct gateway *gw, struct omni_err *err)
{
	int node = node_of_workers();

	gw->uplink_pool = omni_pool_create_on("uplink", kind_of_side(gw, true), uplink_mbufs(gw),
					      frame_max(gw, true), 0, node, err);
	if (gw->uplink_pool == NULL)
		return -rte_errno;
	gw->local_pool = sides_share(gw) ? gw->uplink_pool
					 : omni_pool_create_on("local", kind_of_side(gw, false),
							       local_mbufs(gw),
							       frame_max(gw, false), 0, node, err);
	if (gw->local_pool == NULL)
		return -rte_errno;
	gw->control_pool = omni_pool_create("control", OMNI_POOL_PLAIN, CONTROL_MBUFS,
					    frame_max(gw, true), 0, err);
	return gw->control_pool == NULL ? -rte_errno : 0;
}

void gateway_pools_free(struct gateway *gw)
{
	rte_mempool_free(gw->control_pool);
	if (gw->local_pool != gw->uplink_pool)
		rte_mempool_free(gw->local_pool);
	rte_mempool_free(gw->uplink_pool);
}

static int open_one(struct gateway *gw, unsigned int index, struct omni_err *err)
{
	bool uplink = index == gw->config->underlay.port;
	const struct omni_port_ops *ops;
	struct omni_port_conf conf;
	struct omni_port *port;
	struct omni_err why;

	conf_of(&conf, gw, index);
	ops = omni_driver_find(conf.driver, &why);
	if (ops == NULL)
		return omni_fail(err, -ENOENT, "%s", why.text);
	if (conf.queues > gw->n_workers) {
		omni_log_warn("port", "more queues than workers: one for each worker is used",
			      "name=%s queues=%u workers=%u", conf.name, conf.queues,
			      gw->n_workers);
		conf.queues = (uint16_t)gw->n_workers;
	}
	port = omni_port_open(&gw->ports, ops, &conf, uplink ? gw->uplink_pool : gw->local_pool,
			      &why);
	if (port == NULL)
		return omni_fail(err, -rte_errno, "%s", why.text);
	gw->port_of[index] = port;
	omni_log_info("port", "open", "name=%s driver=%s%s%s mode=%s queues=%u mtu=%u%s%s",
		      port->name, port->info.driver, conf.interface[0] != '\0' ? " interface=" : "",
		      conf.interface, port->info.mode, port->queues, port->info.mtu,
		      port->info.why[0] != '\0' ? " why=" : "", port->info.why);
	return 0;
}

/* VIP, and what a cluster has beside it. */
static int give_vip(struct gateway *gw, unsigned int index, struct omni_err *err)
{
	const struct omni_config_cluster *cluster =
		&gw->config->clusters[gw->config->ports[index].cluster];
	struct omni_prefix prefix = cluster->vip;
	int rc;

	if (cluster->vip_auto)
		prefix.ip = omni_vip_auto(&gw->identity.dh.public);
	rc = omni_tap_set_address(gw->port_of[index], &prefix, err);
	for (unsigned int i = 0; rc == 0 && i < cluster->n_addresses; i++)
		rc = omni_tap_set_address(gw->port_of[index], &cluster->addresses[i], err);
	return rc;
}

/* The kernel's side of a TAP or TUN carries its own address, or its cluster's. */
static int give_address(struct gateway *gw, unsigned int index, struct omni_err *err)
{
	const struct omni_config_port *port = &gw->config->ports[index];

	if (!omni_config_is_host(port))
		return 0;
	if (port->carries == OMNI_ADDRESS_OWN)
		return omni_tap_set_address(gw->port_of[index], &port->address, err);
	if (port->carries != OMNI_ADDRESS_VIP || port->cluster < 0)
		return 0;
	return give_vip(gw, index, err);
}

/*
 * Ports with fewer queues than there are workers begin where the one before ended, behind the
 * uplink, so that no worker has all of them.
 */
static void share_out(const struct gateway *gw)
{
	const struct omni_port *uplink = gw->port_of[gw->config->underlay.port];
	unsigned int next = uplink->queues;

	for (unsigned int i = 0; i < gw->config->n_ports; i++) {
		struct omni_port *port = gw->port_of[i];

		if (port == uplink || port->queues >= gw->n_workers)
			continue;
		port->first_worker = (uint16_t)(next % gw->n_workers);
		next += port->queues;
	}
}

int gateway_ports_open(struct gateway *gw, struct omni_err *err)
{
	int rc = choose_lane_ports(gw, err);

	if (rc == 0)
		rc = pools_create(gw, err);
	for (unsigned int i = 0; rc == 0 && i < gw->config->n_ports; i++) {
		rc = open_one(gw, i, err);
		if (rc == 0)
			rc = give_address(gw, i, err);
	}
	if (rc < 0)
		return rc;
	share_out(gw);
	for (unsigned int i = 0; i < gw->config->n_ports; i++)
		omni_port_publish(&gw->ports, gw->port_of[i]);
	return 0;
}

void gateway_ports_close(struct gateway *gw)
{
	for (unsigned int i = 0; i < OMNI_CONFIG_PORTS_MAX; i++) {
		omni_port_close(&gw->ports, gw->port_of[i]);
		gw->port_of[i] = NULL;
	}
}
