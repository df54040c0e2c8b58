/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One cluster of section `clusters`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"
#include "value.h"

#define DSCP_MAX 63

enum {
	C_MODE,
	C_SECRET_FILE,
	C_SECRET,
	C_OPEN,
	C_VIP,
	C_CIPHER,
	C_PORTS,
	C_PEERS,
	C_DENY,
	C_BUNDLES,
	C_TCP_MSS,
	C_FLOOD,
	C_FDB,
	C_ADDRESSES,
	C_ADVERTISE,
	C_ACCEPT,
	C_MTU,
	C_RELAY,
	C_DIALECT,
	C_ECN,
	C_DSCP,
	C_COUNT,
};

static int parse_mode(void *target, const char *text, struct omni_err *err)
{
	enum omni_mode *mode = target;

	*mode = strcmp(text, "l2") == 0 ? OMNI_MODE_L2 : OMNI_MODE_L3;
	if (*mode == OMNI_MODE_L3 && strcmp(text, "l3") != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected l2 or l3", text);
	return 0;
}

static int parse_dscp(void *target, const char *text, struct omni_err *err)
{
	uint8_t *dscp = target;
	struct omni_err why;
	uint64_t v = OMNI_CONFIG_DSCP_COPY;

	if (strcmp(text, "copy") != 0 && value_number(&v, text, 0, DSCP_MAX, &why) != 0)
		return omni_fail(err, -EINVAL,
				 "\"%s\" is not known, expected copy or a number from 0 to %d",
				 text, DSCP_MAX);
	*dscp = (uint8_t)v;
	return 0;
}

static int parse_bundles(void *target, const char *text, struct omni_err *err)
{
	bool *bundles = target;

	*bundles = strcmp(text, "auto") == 0;
	if (!*bundles && strcmp(text, "off") != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected auto or off", text);
	return 0;
}

static int parse_tcp_mss(void *target, const char *text, struct omni_err *err)
{
	uint16_t *mss = target;
	struct omni_err why;
	uint64_t bytes;

	if (strcmp(text, "auto") == 0)
		*mss = OMNI_CONFIG_MSS_AUTO;
	else if (strcmp(text, "off") == 0)
		*mss = OMNI_CONFIG_MSS_OFF;
	else if (value_number(&bytes, text, OMNI_CONFIG_MSS_MIN, OMNI_CONFIG_MSS_MAX, &why) == 0)
		*mss = (uint16_t)bytes;
	else
		return omni_fail(err, -EINVAL,
				 "\"%s\" is not known, expected auto, off or bytes from %d to %d",
				 text, OMNI_CONFIG_MSS_MIN, OMNI_CONFIG_MSS_MAX);
	return 0;
}

static int parse_relay(void *target, const char *text, struct omni_err *err)
{
	enum omni_config_relay *relay = target;

	if (strcmp(text, "false") == 0)
		*relay = OMNI_RELAY_NEVER;
	else if (strcmp(text, "true") == 0)
		*relay = OMNI_RELAY_PEERS;
	else if (strcmp(text, "host") == 0)
		*relay = OMNI_RELAY_HOST;
	else
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected true, false or host",
				 text);
	return 0;
}

static int parse_dialects(void *target, const char *text, struct omni_err *err)
{
	unsigned int *dialects = target;

	if (strcmp(text, "auto") == 0)
		*dialects = OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD;
	else if (strcmp(text, "omni") == 0)
		*dialects = OMNI_DIALECT_OMNI;
	else if (strcmp(text, "wireguard") == 0)
		*dialects = OMNI_DIALECT_WIREGUARD;
	else
		return omni_fail(err, -EINVAL,
				 "\"%s\" is not known, expected auto, omni or wireguard", text);
	return 0;
}

#define AT(member) offsetof(struct omni_config_cluster, member)

static const struct field fields[C_COUNT] = {
	[C_MODE] = {"mode", FIELD_TEXT, AT(mode), parse_mode},
	[C_SECRET_FILE] = {"secret-file", FIELD_NODE},
	[C_SECRET] = {"secret", FIELD_NODE},
	[C_OPEN] = {"open", FIELD_BOOL, AT(open)},
	[C_VIP] = {"vip", FIELD_TEXT, 0, value_vip},
	[C_CIPHER] = {"cipher", FIELD_TEXT, AT(cipher), value_cipher},
	[C_PORTS] = {"ports", FIELD_NODE},
	[C_PEERS] = {"peers", FIELD_NODE},
	[C_DENY] = {"deny", FIELD_NODE},
	[C_BUNDLES] = {"bundles", FIELD_TEXT, AT(bundles), parse_bundles},
	[C_TCP_MSS] = {"tcp-mss", FIELD_TEXT, AT(tcp_mss), parse_tcp_mss},
	[C_FLOOD] = {"flood", FIELD_NODE},
	[C_FDB] = {"fdb", FIELD_NODE},
	[C_ADDRESSES] = {"addresses", FIELD_NODE},
	[C_ADVERTISE] = {"advertise", FIELD_NODE},
	[C_ACCEPT] = {"accept", FIELD_NODE},
	[C_MTU] = {"mtu", FIELD_U16, AT(mtu), NULL, OMNI_CONFIG_MTU_MIN, OMNI_CONFIG_MTU_MAX},
	[C_RELAY] = {"relay", FIELD_TEXT, AT(relay), parse_relay},
	[C_DIALECT] = {"dialect", FIELD_TEXT, AT(dialects), parse_dialects},
	[C_ECN] = {"ecn", FIELD_BOOL, AT(ecn)},
	[C_DSCP] = {"dscp", FIELD_TEXT, AT(dscp), parse_dscp},
};

static const struct field flood_fields[] = {
	{"frames-per-second", FIELD_U32, AT(flood_fps), NULL, 1, 100000000},
};

enum {
	F_AGEING,
	F_LIMIT,
	F_COUNT
};

static const struct field fdb_fields[F_COUNT] = {
	[F_AGEING] = {"ageing", FIELD_U32, AT(fdb_ageing_s), NULL, 10, 1000000},
	[F_LIMIT] = {"limit", FIELD_U32, AT(fdb_limit), NULL, 1, UINT32_MAX},
};

static int read_secret_file(const struct doc *d, const yaml_node_t *node,
			    struct omni_config_cluster *cluster)
{
	const char *name = doc_text(d, node, "secret-file");
	char path[OMNI_CONFIG_PATH_LEN];
	struct omni_err why;

	if (name == NULL)
		return -EINVAL;
	if (read_join_path(path, d, name) != 0)
		return doc_fail(d, node, "secret-file: is too long, expected a path of at most %d",
				OMNI_CONFIG_PATH_LEN - 1);
	cluster->secret = omni_config_secret_read(path, &why);
	return cluster->secret != NULL ? 0 : doc_fail(d, node, "%s", why.text);
}

static int read_secret(const struct doc *d, const yaml_node_t *node,
		       struct omni_config_cluster *cluster)
{
	const char *text = doc_text(d, node, "secret");
	struct omni_err why;

	if (text == NULL)
		return -EINVAL;
	cluster->secret = omni_config_secret_copy(text, &why);
	return cluster->secret != NULL ? 0 : doc_fail(d, node, "%s", why.text);
}

/* At most one of secret, secret-file and open: true. */
static int read_membership(const struct doc *d, struct omni_config_cluster *cluster,
			   const struct found *found)
{
	const yaml_node_t *file = found[C_SECRET_FILE].value, *secret = found[C_SECRET].value;

	if (file != NULL && secret != NULL)
		return doc_fail(d, found[C_SECRET].key,
				"cluster %s has both secret-file and secret, expected one of them",
				cluster->name);
	if (cluster->open && (file != NULL || secret != NULL))
		return doc_fail(d, found[C_OPEN].key,
				"cluster %s is open and has a secret, expected one of them",
				cluster->name);
	if (file != NULL)
		return read_secret_file(d, file, cluster);
	return secret != NULL ? read_secret(d, secret, cluster) : 0;
}

/* Keys that say nothing in the cluster's mode. */
static int check_mode(const struct doc *d, const struct omni_config_cluster *cluster,
		      const struct found *found)
{
	bool l3 = cluster->mode == OMNI_MODE_L3;
	size_t from = l3 ? C_FLOOD : C_ADDRESSES, to = l3 ? C_FDB : C_DSCP;

	for (size_t i = from; i <= to; i++) {
		if (found[i].key != NULL)
			return doc_fail(d, found[i].key,
					"cluster %s: key \"%s\" is for mode: %s, expected it to be "
					"left out",
					cluster->name, fields[i].name, l3 ? "l2" : "l3");
	}
	return 0;
}

/* Addresses and subnets of an L3 cluster. */
static int read_l3(const struct doc *d, struct omni_config_cluster *cluster,
		   const struct found *found)
{
	if (found[C_ADDRESSES].key != NULL &&
	    read_prefixes(d, found[C_ADDRESSES].value, "addresses", value_address,
			  &cluster->addresses, &cluster->n_addresses) != 0)
		return -EINVAL;
	if (found[C_ADVERTISE].key != NULL &&
	    read_prefixes(d, found[C_ADVERTISE].value, "advertise", value_route,
			  &cluster->advertise, &cluster->n_advertise) != 0)
		return -EINVAL;
	if (cluster->n_advertise > OMNI_CONFIG_ADVERTISE_MAX)
		return doc_fail(d, found[C_ADVERTISE].value,
				"advertise has %u prefixes, expected at most %d",
				cluster->n_advertise, OMNI_CONFIG_ADVERTISE_MAX);
	return found[C_ACCEPT].key == NULL
		       ? 0
		       : read_prefixes(d, found[C_ACCEPT].value, "accept", value_route,
				       &cluster->accept, &cluster->n_accept);
}

/* Whether a cluster of this mode can have the port. */
static int check_port(const struct doc *d, const yaml_node_t *node,
		      const struct omni_config_port *port,
		      const struct omni_config_cluster *cluster)
{
	if (strcmp(port->driver, "udp") == 0 || strcmp(port->driver, "auto") == 0)
		return doc_fail(d, node,
				"port %s has driver %s, which is for the underlay alone, expected "
				"another for cluster %s",
				port->name, port->driver, cluster->name);
	if (strcmp(port->driver, "tun") == 0 && cluster->mode != OMNI_MODE_L3)
		return doc_fail(d, node,
				"port %s has driver tun, which carries IP packets and no Ethernet, "
				"expected driver tap or mode: l3 in cluster %s",
				port->name, cluster->name);
	if (cluster->mode == OMNI_MODE_L3)
		return 0;
	if (port->routes_table != OMNI_CONFIG_TABLE_UNSET)
		return doc_fail(
			d, node,
			"port %s has the key \"routes\", expected it to be left out or mode: "
			"l3 in cluster %s",
			port->name, cluster->name);
	if (port->n_via > 0)
		return doc_fail(
			d, node,
			"port %s has the key \"via\", expected it to be left out or mode: l3 in "
			"cluster %s",
			port->name, cluster->name);
	if (!omni_config_is_host(port) && port->carries == OMNI_ADDRESS_OWN)
		return doc_fail(
			d, node,
			"port %s has an address, but no interface of the kernel's to carry it, "
			"expected driver tap or mode: l3 in cluster %s",
			port->name, cluster->name);
	return 0;
}

static int read_cluster_ports(const struct doc *d, const yaml_node_t *node,
			      struct omni_config *config, struct omni_config_cluster *cluster)
{
	int n = doc_seq_len(d, node, "ports of a cluster", OMNI_CONFIG_PORTS_MAX);
	int self = (int)(cluster - config->clusters);

	for (int i = 0; i < n; i++) {
		const yaml_node_t *item = doc_item(d, node, i);
		int index = read_port_name(d, item, config, "ports of a cluster");
		struct omni_config_port *port;

		if (index < 0)
			return -EINVAL;
		port = &config->ports[index];
		if ((unsigned int)index == config->underlay.port)
			return doc_fail(d, item,
					"port %s is the underlay's, expected another for cluster "
					"%s",
					port->name, cluster->name);
		if (check_port(d, item, port, cluster) != 0)
			return -EINVAL;
		if (port->cluster >= 0)
			return doc_fail(d, item,
					"port %s is in cluster %s already, expected it once",
					port->name, config->clusters[port->cluster].name);
		port->cluster = self;
		cluster->ports[cluster->n_ports++] = (unsigned int)index;
	}
	return n < 0 ? n : 0;
}

static int read_deny(const struct doc *d, const yaml_node_t *node, size_t limit,
		     struct omni_config_cluster *cluster)
{
	int n = doc_seq_len(d, node, "deny", limit);

	if (n <= 0)
		return n;
	cluster->deny = calloc((size_t)n, sizeof(*cluster->deny));
	if (cluster->deny == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	for (int i = 0; i < n; i++) {
		struct omni_key *key = &cluster->deny[cluster->n_deny++];

		if (doc_parse(d, doc_item(d, node, i), "deny", value_key, key) != 0)
			return -EINVAL;
	}
	return 0;
}

/* A peer that is listed and denied. By sorting both: lists are long where files are hostile. */
static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, OMNI_KEY_LEN);
}

static int check_denied(const struct doc *d, const yaml_node_t *node,
			struct omni_config_cluster *cluster)
{
	if (cluster->n_deny > 1)
		qsort(cluster->deny, cluster->n_deny, sizeof(*cluster->deny), compare_keys);
	for (unsigned int i = 0; cluster->n_deny > 0 && i < cluster->n_peers; i++) {
		const struct omni_config_peer *peer = &cluster->peers[i];

		if (bsearch(&peer->key, cluster->deny, cluster->n_deny, sizeof(*cluster->deny),
			    compare_keys) != NULL)
			return doc_fail(d, node,
					"cluster %s lists and denies peer %s, expected one of "
					"them",
					cluster->name, peer->name);
	}
	return 0;
}

static int read_budgets(const struct doc *d, const struct omni_config *config,
			struct omni_config_cluster *cluster, const struct found *found)
{
	struct found in[F_COUNT];

	if (found[C_FLOOD].key != NULL &&
	    doc_read_map(d, found[C_FLOOD].value, "flood", flood_fields, 1, cluster, in) != 0)
		return -EINVAL;
	if (found[C_FDB].key == NULL)
		return 0;
	if (doc_read_map(d, found[C_FDB].value, "fdb", fdb_fields, F_COUNT, cluster, in) != 0)
		return -EINVAL;
	if (cluster->fdb_limit > config->limits.fdb)
		return doc_fail(d, in[F_LIMIT].value,
				"limit: %u is more than limits: fdb, expected at most %u",
				cluster->fdb_limit, config->limits.fdb);
	return 0;
}

/* The kernel forwards between peers through its interface alone. */
static int check_relay(const struct doc *d, const yaml_node_t *node,
		       const struct omni_config *config, const struct omni_config_cluster *cluster)
{
	for (unsigned int i = 0; i < cluster->n_ports; i++)
		if (omni_config_is_host(&config->ports[cluster->ports[i]]))
			return 0;
	return cluster->relay != OMNI_RELAY_HOST
		       ? 0
		       : doc_fail(d, node,
				  "relay: host needs the kernel, expected a tun or tap port in "
				  "cluster %s",
				  cluster->name);
}

int read_cluster(const struct doc *d, const yaml_node_t *node, struct omni_config *config,
		 struct omni_config_cluster *cluster, size_t peers_left)
{
	struct found found[C_COUNT];
	char what[OMNI_CLUSTER_NAME_MAX + 16];

	snprintf(what, sizeof(what), "cluster %s", cluster->name);
	if (doc_read_map(d, node, what, fields, C_COUNT, cluster, found) != 0 ||
	    check_mode(d, cluster, found) != 0 || read_membership(d, cluster, found) != 0 ||
	    read_l3(d, cluster, found) != 0 ||
	    (found[C_PORTS].key != NULL &&
	     read_cluster_ports(d, found[C_PORTS].value, config, cluster) != 0) ||
	    check_relay(d, found[C_RELAY].value, config, cluster) != 0 ||
	    (found[C_PEERS].key != NULL &&
	     read_peers(d, found[C_PEERS].value, cluster, peers_left) != 0) ||
	    (found[C_DENY].key != NULL &&
	     read_deny(d, found[C_DENY].value, config->limits.peers, cluster) != 0) ||
	    read_budgets(d, config, cluster, found) != 0)
		return -EINVAL;
	if (found[C_DENY].key != NULL && check_denied(d, found[C_DENY].value, cluster) != 0)
		return -EINVAL;
	/* peers: {} in an L3 cluster: they come while it runs. */
	if (cluster->secret == NULL && !cluster->open && cluster->n_peers == 0 &&
	    (cluster->mode == OMNI_MODE_L2 || found[C_PEERS].key == NULL))
		return doc_fail(d, node,
				"cluster %s has no secret, is not open and lists no peers, "
				"expected secret-file: (omnictl gensecret makes a secret), "
				"open: true or peers:",
				cluster->name);
	return 0;
}
