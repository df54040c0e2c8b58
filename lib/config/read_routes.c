/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prefixes of L3 clusters: lists of them, and that each leads to one place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"
#include "value.h"

int read_prefixes(const struct doc *d, const yaml_node_t *node, const char *what,
		  int (*parse)(void *, const char *, struct omni_err *), struct omni_prefix **list,
		  unsigned int *n)
{
	int len = doc_seq_len(d, node, what, OMNI_CONFIG_PREFIXES_MAX);

	if (len <= 0)
		return len;
	*list = calloc((size_t)len, sizeof(**list));
	if (*list == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	for (int i = 0; i < len; i++) {
		if (doc_parse(d, doc_item(d, node, i), what, parse, &(*list)[i]) != 0)
			return -EINVAL;
	}
	*n = (unsigned int)len;
	return 0;
}

/* Where a prefix leads: a peer, or ourselves. */
struct route {
	struct omni_prefix prefix;
	int peer; /* -1: ours */
};

static int compare(const void *x, const void *y)
{
	const struct route *a = x, *b = y;
	int c = memcmp(a->prefix.ip.b, b->prefix.ip.b, sizeof(a->prefix.ip.b));

	if (c == 0)
		c = (int)a->prefix.len - (int)b->prefix.len;
	return c != 0 ? c : a->peer - b->peer;
}

static bool same_prefix(const struct omni_prefix *a, const struct omni_prefix *b)
{
	return a->len == b->len && omni_ip_equal(&a->ip, &b->ip);
}

static struct route host_route(const struct omni_ip *ip, int peer)
{
	return (struct route){{*ip, omni_ip_is_v4(ip) ? 32 : 128}, peer};
}

static size_t collect(const struct omni_config_cluster *cluster, struct route *all)
{
	size_t n = 0;

	if (!cluster->vip_auto)
		all[n++] = host_route(&cluster->vip.ip, -1);
	for (unsigned int i = 0; i < cluster->n_addresses; i++)
		all[n++] = host_route(&cluster->addresses[i].ip, -1);
	for (unsigned int i = 0; i < cluster->n_peers; i++) {
		const struct omni_config_peer *peer = &cluster->peers[i];

		if (!omni_ip_is_none(&peer->vip))
			all[n++] = host_route(&peer->vip, (int)i);
		for (unsigned int j = 0; j < peer->n_allowed; j++)
			all[n++] = (struct route){peer->allowed[j], (int)i};
	}
	return n;
}

static size_t most_routes(const struct omni_config_cluster *cluster)
{
	size_t n = 1 + (size_t)cluster->n_addresses + cluster->n_peers;

	for (unsigned int i = 0; i < cluster->n_peers; i++)
		n += cluster->peers[i].n_allowed;
	return n;
}

static int fail_twice(const struct doc *d, const yaml_node_t *node,
		      const struct omni_config_cluster *cluster, const struct route *first,
		      const struct route *second)
{
	const yaml_node_t *peer = doc_value(d, node, second->peer);
	const yaml_node_t *list = doc_find(d, peer, "allowed-ips");
	const char *owner = first->peer < 0 ? "ourselves" : cluster->peers[first->peer].name;
	char text[OMNI_PREFIX_TEXT_LEN];

	return doc_fail(d, list != NULL ? list : peer,
			"peer %s: %s leads to %s already, expected every address at one peer",
			cluster->peers[second->peer].name, omni_prefix_text(text, &second->prefix),
			owner);
}

int read_check_routes(const struct doc *d, const yaml_node_t *node,
		      const struct omni_config_cluster *cluster)
{
	struct route *all;
	size_t n;
	int rc = 0;

	if (cluster->mode != OMNI_MODE_L3)
		return 0;
	all = calloc(most_routes(cluster), sizeof(*all));
	if (all == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	n = collect(cluster, all);
	if (n > 1)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n && rc == 0; i++) {
		if (same_prefix(&all[i - 1].prefix, &all[i].prefix) &&
		    all[i - 1].peer != all[i].peer)
			rc = fail_twice(d, node, cluster, &all[i - 1], &all[i]);
	}
	free(all);
	return rc;
}
