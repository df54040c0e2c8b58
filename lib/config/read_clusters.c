/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Section `clusters`: all of them, and what may stand in one of them only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"
#include "value.h"

static int check_names(const struct doc *d, const yaml_node_t *node,
		       const struct omni_config *config, struct unique *all)
{
	for (unsigned int i = 0; i < config->n_clusters; i++) {
		const char *name = config->clusters[i].name;

		all[i] = (struct unique){name, strlen(name), doc_key(d, node, (int)i)};
	}
	return doc_check_unique(d, all, config->n_clusters, "name of a cluster");
}

/* An address of ours stands in one cluster only: who carries it would not know which. */
static int check_addresses(const struct doc *d, const yaml_node_t *node,
			   const struct omni_config *config, struct unique *all)
{
	size_t n = 0;

	for (unsigned int i = 0; i < config->n_clusters; i++) {
		const struct omni_config_cluster *cluster = &config->clusters[i];
		const yaml_node_t *at = doc_value(d, node, (int)i);
		const yaml_node_t *more = doc_find(d, at, "addresses");

		if (!cluster->vip_auto)
			all[n++] = (struct unique){cluster->vip.ip.b, sizeof(cluster->vip.ip.b),
						   doc_find(d, at, "vip")};
		for (unsigned int j = 0; j < cluster->n_addresses; j++)
			all[n++] = (struct unique){cluster->addresses[j].ip.b,
						   sizeof(cluster->addresses[j].ip.b),
						   doc_item(d, more, (int)j)};
	}
	return doc_check_unique(d, all, n, "address of a cluster");
}

/* A peer, for sorting by key. */
struct who {
	const struct omni_config_peer *peer;
	unsigned int cluster;
};

static int compare(const void *x, const void *y)
{
	const struct who *a = x, *b = y;
	int c = memcmp(a->peer->key.b, b->peer->key.b, OMNI_KEY_LEN);

	return c != 0 ? c : (a->cluster > b->cluster) - (a->cluster < b->cluster);
}

static int fail_key(const struct doc *d, const yaml_node_t *node, const struct omni_config *config,
		    const struct who *first, const struct who *second)
{
	const struct omni_config_cluster *cluster = &config->clusters[second->cluster];
	const yaml_node_t *peers = doc_find(d, doc_value(d, node, (int)second->cluster), "peers");

	return doc_fail(d, doc_key(d, peers, (int)(second->peer - cluster->peers)),
			"peer %s of cluster %s has the key of peer %s of cluster %s, expected "
			"another: a WireGuard handshake names no cluster",
			second->peer->name, cluster->name, first->peer->name,
			config->clusters[first->cluster].name);
}

static int check_who(const struct doc *d, const yaml_node_t *node, const struct omni_config *config,
		     struct who *all, size_t n)
{
	if (n > 1)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n; i++) {
		const struct who *a = &all[i - 1], *b = &all[i];

		if (memcmp(a->peer->key.b, b->peer->key.b, OMNI_KEY_LEN) == 0 &&
		    (a->peer->dialect == OMNI_DIALECT_WIREGUARD ||
		     b->peer->dialect == OMNI_DIALECT_WIREGUARD))
			return fail_key(d, node, config, a, b);
	}
	return 0;
}

/* Which peer a WireGuard handshake comes from is told by the key alone. */
static int check_keys(const struct doc *d, const yaml_node_t *node,
		      const struct omni_config *config)
{
	struct who *all;
	size_t n = 0;
	int rc;

	for (unsigned int i = 0; i < config->n_clusters; i++)
		n += config->clusters[i].n_peers;
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	n = 0;
	for (unsigned int i = 0; i < config->n_clusters; i++) {
		for (unsigned int j = 0; j < config->clusters[i].n_peers; j++)
			all[n++] = (struct who){&config->clusters[i].peers[j], i};
	}
	rc = check_who(d, node, config, all, n);
	free(all);
	return rc;
}

static int check_limit(const struct doc *d, const yaml_node_t *node,
		       const struct omni_config *config)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < config->n_clusters; i++) {
		const struct omni_config_cluster *cluster = &config->clusters[i];

		if (cluster->mode != OMNI_MODE_L3)
			continue;
		n += (uint64_t)cluster->n_addresses + cluster->n_advertise + cluster->n_peers + 1;
		for (unsigned int j = 0; j < cluster->n_peers; j++)
			n += cluster->peers[j].n_allowed;
	}
	if (n > config->limits.routes)
		return doc_fail(d, node,
				"clusters: %llu routes are more than limits: routes, expected at "
				"most %u",
				(unsigned long long)n, config->limits.routes);
	return 0;
}

static int check_clusters(const struct doc *d, const yaml_node_t *node,
			  const struct omni_config *config)
{
	size_t n = config->n_clusters;
	struct unique *all;
	int rc;

	for (unsigned int i = 0; i < config->n_clusters; i++)
		n += config->clusters[i].n_addresses;
	all = calloc(n + 1, sizeof(*all));
	if (all == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	rc = check_names(d, node, config, all);
	if (rc == 0)
		rc = check_addresses(d, node, config, all);
	free(all);
	if (rc == 0)
		rc = check_keys(d, node, config);
	return rc != 0 ? rc : check_limit(d, node, config);
}

int read_clusters(const struct doc *d, const yaml_node_t *node, struct omni_config *config)
{
	int n = doc_map_len(d, node, "clusters", config->limits.clusters);
	size_t peers = config->limits.peers;

	if (n < 0)
		return n;
	if (n == 0)
		return doc_fail(d, node, "clusters is empty, expected one or more");
	for (int i = 0; i < n; i++) {
		struct omni_config_cluster *cluster = config_add_cluster(config);

		if (cluster == NULL)
			return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
		if (doc_parse(d, doc_key(d, node, i), "name of a cluster", value_cluster_name,
			      cluster->name) != 0 ||
		    read_cluster(d, doc_value(d, node, i), config, cluster, peers) != 0)
			return -EINVAL;
		peers -= cluster->n_peers;
	}
	return check_clusters(d, node, config);
}
