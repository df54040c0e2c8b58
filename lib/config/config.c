/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A configuration's life: defaults, parts, end. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "config.h"

void config_mask(struct omni_prefix *prefix)
{
	unsigned int from = prefix->len + (omni_ip_is_v4(&prefix->ip) ? 96 : 0);

	for (unsigned int bit = from; bit < 128; bit++)
		prefix->ip.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

struct omni_config *config_new(void)
{
	struct omni_config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->ports = calloc(OMNI_CONFIG_PORTS_MAX, sizeof(*config->ports));
	if (config->ports == NULL) {
		free(config);
		return NULL;
	}
	strcpy(config->identity, OMNI_CONFIG_IDENTITY);
	strcpy(config->socket, OMNI_CONFIG_SOCKET);
	config->idle = OMNI_IDLE_ADAPTIVE;
	config->log_level = OMNI_LOG_INFO;
	config->underlay.listen = OMNI_WIRE_DEFAULT_PORT;
	config->limits.peers = OMNI_CONFIG_PEERS;
	config->limits.clusters = OMNI_CONFIG_CLUSTERS;
	config->limits.fdb = OMNI_CONFIG_FDB;
	config->limits.routes = OMNI_CONFIG_ROUTES;
	config->limits.lanes = OMNI_CONFIG_LANES;
	config->limits.mesh = OMNI_CONFIG_MESH;
	return config;
}

struct omni_config_port *config_add_port(struct omni_config *config)
{
	struct omni_config_port *port;

	assert(config->n_ports < OMNI_CONFIG_PORTS_MAX);
	port = &config->ports[config->n_ports++];
	port->queues = 0;
	port->cluster = -1;
	port->routes_table = OMNI_CONFIG_TABLE_UNSET;
	return port;
}

struct omni_config_cluster *config_add_cluster(struct omni_config *config)
{
	struct omni_config_cluster *more, *cluster;

	more = calloc(config->n_clusters + 1, sizeof(*more));
	if (more == NULL)
		return NULL;
	if (config->n_clusters > 0)
		memcpy(more, config->clusters, config->n_clusters * sizeof(*more));
	free(config->clusters);
	config->clusters = more;
	cluster = &more[config->n_clusters++];
	cluster->mode = OMNI_MODE_L2;
	cluster->cipher = OMNI_CIPHER_NONE;
	cluster->vip_auto = true;
	cluster->vip.len = OMNI_CONFIG_VIP_LEN_AUTO;
	cluster->bundles = true;
	cluster->tcp_mss = OMNI_CONFIG_MSS_AUTO;
	cluster->flood_fps = OMNI_CONFIG_FLOOD_FPS;
	cluster->fdb_ageing_s = OMNI_CONFIG_FDB_AGEING_S;
	cluster->ecn = true;
	cluster->dialects = OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD;
	return cluster;
}

void config_warn(struct omni_config *config, const char *fmt, ...)
{
	va_list ap;

	if (config->n_warnings == OMNI_CONFIG_WARNINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(config->warnings[config->n_warnings++], OMNI_CONFIG_WARNING_LEN, fmt, ap);
	va_end(ap);
}

/* A cluster's first tap or tun that was not told otherwise carries the VIP. */
static void give_vip_to_tap(struct omni_config *config, const struct omni_config_cluster *cluster)
{
	for (unsigned int i = 0; i < cluster->n_ports; i++) {
		struct omni_config_port *port = &config->ports[cluster->ports[i]];

		if (port->carries == OMNI_ADDRESS_VIP)
			return;
	}
	for (unsigned int i = 0; i < cluster->n_ports; i++) {
		struct omni_config_port *port = &config->ports[cluster->ports[i]];

		if (omni_config_is_host(port) && port->carries == OMNI_ADDRESS_UNSET) {
			port->carries = OMNI_ADDRESS_VIP;
			return;
		}
	}
}

/* What a host's interface has from its L3 cluster, unless it was told otherwise. */
static void finish_port(struct omni_config *config, struct omni_config_port *port)
{
	const struct omni_config_cluster *cluster =
		port->cluster >= 0 ? &config->clusters[port->cluster] : NULL;
	bool routes = cluster != NULL && cluster->mode == OMNI_MODE_L3 && omni_config_is_host(port);

	if (port->carries == OMNI_ADDRESS_UNSET)
		port->carries = OMNI_ADDRESS_NONE;
	if (routes && port->mtu == 0)
		port->mtu = cluster->mtu != 0 ? cluster->mtu : OMNI_WG_MTU_DEFAULT;
	if (port->routes_table == OMNI_CONFIG_TABLE_UNSET)
		port->routes_table = routes && port->carries != OMNI_ADDRESS_NONE
					     ? OMNI_CONFIG_TABLE_MAIN
					     : OMNI_CONFIG_TABLE_NONE;
	if (port->routes_table == OMNI_CONFIG_TABLE_DEFAULT && config->underlay.fwmark == 0)
		config->underlay.fwmark = OMNI_CONFIG_DEFAULT_MARK;
}

void config_finish(struct omni_config *config)
{
	bool rooms = false;

	for (unsigned int i = 0; i < config->n_clusters; i++) {
		struct omni_config_cluster *cluster = &config->clusters[i];

		give_vip_to_tap(config, cluster);
		rooms |= cluster->open || cluster->secret != NULL;
		if (cluster->fdb_limit == 0)
			cluster->fdb_limit = config->limits.fdb;
		if (cluster->open)
			config_warn(config,
				    "cluster %s is open: anyone who knows its name may join",
				    cluster->name);
		if (cluster->n_ports == 0)
			config_warn(config, "cluster %s has no local port", cluster->name);
	}
	for (unsigned int i = 0; i < config->n_ports; i++) {
		struct omni_config_port *port = &config->ports[i];

		finish_port(config, port);
		if (port->cluster < 0 && i != config->underlay.port)
			config_warn(config, "port %s is in no cluster", port->name);
	}
	if (config->n_nucleus > 0 && !rooms)
		config_warn(config, "no cluster has a secret or is open: Nucleus is not asked");
}

static void free_cluster(struct omni_config_cluster *cluster)
{
	omni_config_secret_free(cluster->secret);
	for (unsigned int i = 0; i < cluster->n_peers; i++)
		free(cluster->peers[i].allowed);
	free(cluster->addresses);
	free(cluster->advertise);
	free(cluster->accept);
	if (cluster->peers != NULL)
		omni_wipe(cluster->peers, cluster->n_peers * sizeof(*cluster->peers));
	free(cluster->peers);
	free(cluster->deny);
}

void omni_config_free(struct omni_config *config)
{
	if (config == NULL)
		return;
	for (unsigned int i = 0; i < config->n_clusters; i++)
		free_cluster(&config->clusters[i]);
	free(config->clusters);
	free(config->underlay.next_hops);
	free(config->ports);
	omni_wipe(&config->key, sizeof(config->key));
	free(config);
}

void omni_config_wipe_secrets(struct omni_config *config)
{
	for (unsigned int i = 0; i < config->n_clusters; i++) {
		char *secret = config->clusters[i].secret;

		if (secret != NULL)
			omni_wipe(secret, strlen(secret));
	}
}
