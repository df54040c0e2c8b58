/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Static peers of a cluster. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "read.h"
#include "value.h"

#define KEEPALIVE_MAX 3600 /* of Omni peers */

enum {
	R_KEY,
	R_ENDPOINT,
	R_VIP,
	R_PSK_FILE,
	R_DIALECT,
	R_KEEPALIVE,
	R_PATH_MTU,
	R_ALLOWED,
	R_COUNT,
};

static int parse_dialect(void *target, const char *text, struct omni_err *err)
{
	enum omni_dialect *dialect = target;

	*dialect = strcmp(text, "omni") == 0 ? OMNI_DIALECT_OMNI : OMNI_DIALECT_WIREGUARD;
	if (*dialect == OMNI_DIALECT_WIREGUARD && strcmp(text, "wireguard") != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected omni or wireguard",
				 text);
	return 0;
}

#define AT(member) offsetof(struct omni_config_peer, member)

static const struct field fields[R_COUNT] = {
	[R_KEY] = {"key", FIELD_TEXT, AT(key), value_key},
	[R_ENDPOINT] = {"endpoint", FIELD_TEXT, 0, value_endpoint},
	[R_VIP] = {"vip", FIELD_TEXT, AT(vip), value_peer_vip},
	[R_PSK_FILE] = {"psk-file", FIELD_NODE},
	[R_DIALECT] = {"dialect", FIELD_TEXT, AT(dialect), parse_dialect},
	[R_KEEPALIVE] = {"keepalive", FIELD_U16, AT(keepalive_s), NULL, 0, UINT16_MAX},
	[R_PATH_MTU] = {"path-mtu", FIELD_U16, AT(path_mtu), NULL, OMNI_PATH_MTU_MIN,
			OMNI_CONFIG_MTU_MAX},
	[R_ALLOWED] = {"allowed-ips", FIELD_NODE},
};

int read_join_path(char out[OMNI_CONFIG_PATH_LEN], const struct doc *d, const char *path)
{
	int n = snprintf(out, OMNI_CONFIG_PATH_LEN, "%s%s", path[0] == '/' ? "" : d->dir, path);

	return n < OMNI_CONFIG_PATH_LEN ? 0 : -ENAMETOOLONG;
}

static int read_psk(const struct doc *d, const yaml_node_t *node, struct omni_config_peer *peer)
{
	char path[OMNI_CONFIG_PATH_LEN], text[128];
	const char *name = doc_text(d, node, "psk-file");
	struct omni_err why;
	int rc = 0;

	if (name == NULL)
		return -EINVAL;
	if (read_join_path(path, d, name) != 0)
		return doc_fail(d, node, "psk-file: is too long, expected a path of at most %d",
				OMNI_CONFIG_PATH_LEN - 1);
	if (config_read_closed_file(path, "PSK file", text, sizeof(text), &why) != 0)
		rc = doc_fail(d, node, "psk-file: %s", why.text);
	else if (omni_key_parse(&peer->psk, text) != 0)
		rc = doc_fail(d, node,
			      "psk-file: %s holds no key, expected one line of 44 characters of "
			      "base64",
			      path);
	peer->has_psk = rc == 0;
	omni_wipe(text, sizeof(text));
	return rc;
}

enum omni_dialect omni_config_dialect(const struct omni_config_cluster *cluster)
{
	if (cluster->dialects == OMNI_DIALECT_WIREGUARD || cluster->dialects == OMNI_DIALECT_OMNI)
		return cluster->dialects;
	return cluster->mode == OMNI_MODE_L3 && cluster->secret == NULL && !cluster->open
		       ? OMNI_DIALECT_WIREGUARD
		       : OMNI_DIALECT_OMNI;
}

/* What goes with the dialect and with the cluster's mode. */
static int check_dialect(const struct doc *d, const struct omni_config_cluster *cluster,
			 struct omni_config_peer *peer, const struct found *found)
{
	bool wireguard = peer->dialect == OMNI_DIALECT_WIREGUARD;

	if (wireguard && cluster->mode != OMNI_MODE_L3)
		return doc_fail(d, found[R_DIALECT].value,
				"peer %s: wireguard carries IP packets and no Ethernet, expected "
				"omni or mode: l3 in cluster %s",
				peer->name, cluster->name);
	if (found[R_ALLOWED].key != NULL && cluster->mode != OMNI_MODE_L3)
		return doc_fail(d, found[R_ALLOWED].key,
				"peer %s: allowed-ips are for L3 clusters, expected mode: l3 in "
				"cluster %s",
				peer->name, cluster->name);
	if (found[R_KEEPALIVE].key == NULL)
		peer->keepalive_s = wireguard ? 0 : OMNI_MESH_KEEPALIVE_S;
	if (!wireguard && peer->keepalive_s > KEEPALIVE_MAX)
		return doc_fail(d, found[R_KEEPALIVE].value,
				"keepalive: %u is out of range, expected a number from 0 to %d",
				peer->keepalive_s, KEEPALIVE_MAX);
	return found[R_ALLOWED].key == NULL
		       ? 0
		       : read_prefixes(d, found[R_ALLOWED].value, "allowed-ips", value_route,
				       &peer->allowed, &peer->n_allowed);
}

static int read_peer(const struct doc *d, const yaml_node_t *node,
		     const struct omni_config_cluster *cluster, struct omni_config_peer *peer,
		     struct found *found)
{
	peer->dialect = omni_config_dialect(cluster);
	if (doc_read_map(d, node, peer->name, fields, R_COUNT, peer, found) != 0)
		return -EINVAL;
	if (found[R_KEY].key == NULL)
		return doc_fail(d, node, "peer %s has no key, expected key: and its public key",
				peer->name);
	if (omni_is_zero_ct(peer->key.b, sizeof(peer->key.b)))
		return doc_fail(d, found[R_KEY].value,
				"peer %s: the key is all zero, expected its public key",
				peer->name);
	if (check_dialect(d, cluster, peer, found) != 0)
		return -EINVAL;
	return found[R_PSK_FILE].key != NULL ? read_psk(d, found[R_PSK_FILE].value, peer) : 0;
}

/* Names, keys and VIPs, ours among the latter, each only once in a cluster. */
static int check_peers(const struct doc *d, const yaml_node_t *node,
		       const struct omni_config_cluster *cluster, const struct found *keys,
		       const struct found *vips, struct unique *all)
{
	size_t n_vips = 0;

	for (unsigned int i = 0; i < cluster->n_peers; i++) {
		const char *name = cluster->peers[i].name;

		all[i] = (struct unique){name, strlen(name), doc_key(d, node, (int)i)};
	}
	if (doc_check_unique(d, all, cluster->n_peers, "name of a peer") != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < cluster->n_peers; i++)
		all[i] = (struct unique){cluster->peers[i].key.b, OMNI_KEY_LEN, keys[i].value};
	if (doc_check_unique(d, all, cluster->n_peers, "key of a peer") != 0)
		return -EINVAL;
	for (unsigned int i = 0; i < cluster->n_peers; i++) {
		const struct omni_config_peer *peer = &cluster->peers[i];

		if (vips[i].value == NULL)
			continue;
		if (!cluster->vip_auto && omni_ip_equal(&peer->vip, &cluster->vip.ip))
			return doc_fail(d, vips[i].value,
					"peer %s: its VIP is our own, expected another",
					peer->name);
		all[n_vips++] = (struct unique){peer->vip.b, sizeof(peer->vip.b), vips[i].value};
	}
	return doc_check_unique(d, all, n_vips, "VIP of a peer");
}

static int read_all(const struct doc *d, const yaml_node_t *node,
		    struct omni_config_cluster *cluster, int n, struct found *keys,
		    struct found *vips)
{
	struct found found[R_COUNT];

	for (int i = 0; i < n; i++) {
		struct omni_config_peer *peer = &cluster->peers[cluster->n_peers++];

		if (doc_parse(d, doc_key(d, node, i), "name of a peer", value_name, peer->name) !=
			    0 ||
		    read_peer(d, doc_value(d, node, i), cluster, peer, found) != 0)
			return -EINVAL;
		keys[i] = found[R_KEY];
		vips[i] = found[R_VIP];
	}
	return 0;
}

int read_peers(const struct doc *d, const yaml_node_t *node, struct omni_config_cluster *cluster,
	       size_t limit)
{
	int rc = -ENOMEM, n = doc_map_len(d, node, "peers", limit);
	struct found *keys, *vips;
	struct unique *all;

	if (n <= 0)
		return n;
	cluster->peers = calloc((size_t)n, sizeof(*cluster->peers));
	keys = calloc((size_t)n, sizeof(*keys));
	vips = calloc((size_t)n, sizeof(*vips));
	all = calloc((size_t)n, sizeof(*all));
	if (cluster->peers == NULL || keys == NULL || vips == NULL || all == NULL)
		omni_fail(d->err, rc, "%s: out of memory", d->name);
	else if ((rc = read_all(d, node, cluster, n, keys, vips)) == 0 &&
		 (rc = check_peers(d, node, cluster, keys, vips, all)) == 0)
		rc = read_check_routes(d, node, cluster);
	free(all);
	free(vips);
	free(keys);
	return rc;
}
