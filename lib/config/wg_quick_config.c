/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A wg-quick file as a gateway's configuration. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>
#include <omni_wg_quick.h>

#include "config.h"

/* A port's name has fewer letters to choose from than an interface's. */
static void name_port(char name[OMNI_CONFIG_NAME_LEN], const char *interface)
{
	snprintf(name, OMNI_CONFIG_NAME_LEN, "%s", interface);
	for (char *p = name; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			*p = '_';
	}
}

static void build_ports(struct omni_config *config, const struct omni_wg_quick *wg)
{
	struct omni_config_port *uplink = config_add_port(config);
	struct omni_config_port *tun = config_add_port(config);

	strcpy(uplink->name, "uplink");
	strcpy(uplink->driver, "udp");
	name_port(tun->name, wg->name);
	if (strcmp(tun->name, uplink->name) == 0)
		strcpy(tun->name, "tun");
	strcpy(tun->driver, "tun");
	memcpy(tun->interface, wg->name, sizeof(tun->interface));
	tun->mtu = wg->mtu != 0 ? wg->mtu : OMNI_WG_MTU_DEFAULT;
	tun->carries = wg->n_addresses > 0 ? OMNI_ADDRESS_VIP : OMNI_ADDRESS_NONE;
	tun->routes_table = wg->table;
	tun->cluster = 0;
}

/* The first address is the VIP, the rest stand beside it. */
static void take_addresses(struct omni_config_cluster *cluster, struct omni_wg_quick *wg)
{
	if (wg->n_addresses == 0)
		return;
	cluster->vip_auto = false;
	cluster->vip = wg->addresses[0];
	cluster->addresses = wg->addresses;
	cluster->n_addresses = wg->n_addresses - 1;
	memmove(cluster->addresses, cluster->addresses + 1,
		cluster->n_addresses * sizeof(*cluster->addresses));
	wg->addresses = NULL;
	wg->n_addresses = 0;
}

static void build_cluster(struct omni_config_cluster *cluster, struct omni_wg_quick *wg)
{
	memcpy(cluster->name, wg->name, sizeof(wg->name));
	cluster->mode = OMNI_MODE_L3;
	cluster->mtu = wg->mtu;
	cluster->relay = OMNI_RELAY_HOST;
	cluster->ports[cluster->n_ports++] = 1;
	take_addresses(cluster, wg);
	cluster->peers = wg->peers;
	cluster->n_peers = wg->n_peers;
	wg->peers = NULL;
	wg->n_peers = 0;
}

/* Room for what the file says, and to add to it while it runs. */
static void raise_limits(struct omni_config *config)
{
	const struct omni_config_cluster *cluster = &config->clusters[0];
	uint32_t routes = cluster->n_addresses + cluster->n_peers;

	for (unsigned int i = 0; i < cluster->n_peers; i++)
		routes += cluster->peers[i].n_allowed;
	if (2 * routes > config->limits.routes)
		config->limits.routes = 2 * routes;
	if (2 * cluster->n_peers > config->limits.peers)
		config->limits.peers = 2 * cluster->n_peers;
}

struct omni_config *omni_config_from_wg_quick(struct omni_wg_quick *wg, const char *path,
					      struct omni_err *err)
{
	struct omni_config *config = config_new();
	struct omni_config_cluster *cluster = config != NULL ? config_add_cluster(config) : NULL;

	if (cluster == NULL || strlen(path) >= sizeof(config->path)) {
		omni_fail(err, -ENOMEM, "%.64s: out of memory, or its path is too long", path);
		omni_config_free(config);
		return NULL;
	}
	memcpy(config->path, path, strlen(path) + 1);
	memcpy(config->identity, path, strlen(path) + 1);
	config->has_key = true;
	config->key = wg->key;
	config->underlay.listen = wg->listen;
	config->underlay.fwmark = wg->fwmark;
	build_ports(config, wg);
	build_cluster(cluster, wg);
	raise_limits(config);
	for (unsigned int i = 0; i < wg->n_notes; i++)
		config_warn(config, "%s", wg->notes[i]);
	config_finish(config);
	return config;
}
