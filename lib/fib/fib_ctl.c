/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Control's side of the routes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "fib.h"

struct omni_fib *omni_fib_create(uint32_t routes, uint32_t adjacencies, struct omni_rcu *rcu)
{
	struct omni_fib *fib = calloc(1, sizeof(*fib));

	if (fib == NULL)
		goto fail;
	fib->rcu = rcu;
	fib->limit = routes;
	fib->n_adjacencies = adjacencies;
	fib->adjacency = calloc(adjacencies, sizeof(*fib->adjacency));
	if (fib->adjacency == NULL && adjacencies > 0)
		goto fail;
	return fib;
fail:
	omni_fib_free(fib);
	rte_errno = ENOMEM;
	return NULL;
}

void omni_fib_free(struct omni_fib *fib)
{
	if (fib == NULL)
		return;
	for (unsigned int i = 0; i < OMNI_FIB_CLUSTERS_MAX; i++) {
		free(atomic_load(&fib->cluster[i]));
		free(atomic_load(&fib->routes[i]));
	}
	free(fib->adjacency);
	free(fib);
}

void omni_fib_touch(struct omni_fib *fib)
{
	atomic_fetch_add_explicit(&fib->version, 1, memory_order_release);
}

int omni_fib_set_cluster(struct omni_fib *fib, uint16_t cluster, const struct omni_l3 *conf)
{
	struct omni_l3 *copy = NULL, *old;

	if (cluster >= OMNI_FIB_CLUSTERS_MAX)
		return -EINVAL;
	if (conf != NULL) {
		copy = malloc(sizeof(*copy));
		if (copy == NULL)
			return -ENOMEM;
		*copy = *conf;
		memset(&copy->rcu, 0, sizeof(copy->rcu));
	}
	old = atomic_exchange_explicit(&fib->cluster[cluster], copy, memory_order_acq_rel);
	if (old != NULL)
		omni_rcu_defer(fib->rcu, &old->rcu, free, old);
	omni_fib_touch(fib);
	return 0;
}

static bool same_prefix(const struct omni_prefix *a, const struct omni_prefix *b)
{
	return a->len == b->len && omni_ip_is_v4(&a->ip) == omni_ip_is_v4(&b->ip) &&
	       omni_prefix_contains(a, &b->ip);
}

static struct routes *copy_routes(const struct routes *old, uint32_t room)
{
	struct routes *r = calloc(1, sizeof(*r) + room * sizeof(r->at[0]));

	if (r != NULL && old != NULL) {
		r->n = old->n;
		memcpy(r->at, old->at, old->n * sizeof(r->at[0]));
	}
	return r;
}

static void publish(struct omni_fib *fib, uint16_t cluster, struct routes *r)
{
	struct routes *old =
		atomic_exchange_explicit(&fib->routes[cluster], r, memory_order_acq_rel);

	if (old != NULL)
		omni_rcu_defer(fib->rcu, &old->rcu, free, old);
	omni_fib_touch(fib);
}

static uint32_t find(const struct routes *r, const struct omni_prefix *prefix)
{
	uint32_t i = 0;

	while (r != NULL && i < r->n && !same_prefix(&r->at[i].prefix, prefix))
		i++;
	return i;
}

static bool is_valid(uint16_t cluster, const struct omni_prefix *prefix)
{
	return cluster < OMNI_FIB_CLUSTERS_MAX &&
	       prefix->len <= (omni_ip_is_v4(&prefix->ip) ? 32 : 128);
}

int omni_fib_set(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest)
{
	const struct routes *old;
	struct routes *r;
	uint32_t at, n;

	if (!is_valid(cluster, prefix))
		return -EINVAL;
	old = atomic_load(&fib->routes[cluster]);
	n = old != NULL ? old->n : 0;
	at = find(old, prefix);
	if (at == n && fib->count >= fib->limit)
		return -ENOSPC;
	r = copy_routes(old, n + 1);
	if (r == NULL)
		return -ENOMEM;
	if (at == n) {
		for (at = 0; at < n && r->at[at].prefix.len >= prefix->len; at++)
			;
		memmove(&r->at[at + 1], &r->at[at], (n - at) * sizeof(r->at[0]));
		r->n++;
		fib->count++;
	}
	r->at[at] = (struct omni_fib_entry){.cluster = cluster, .prefix = *prefix, .dest = dest};
	publish(fib, cluster, r);
	return 0;
}

int omni_fib_del(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest)
{
	const struct routes *old;
	struct routes *r;
	uint32_t at;

	if (!is_valid(cluster, prefix))
		return -ENOENT;
	old = atomic_load(&fib->routes[cluster]);
	at = find(old, prefix);
	if (old == NULL || at == old->n || (dest != OMNI_DEST_MISS && old->at[at].dest != dest))
		return -ENOENT;
	r = copy_routes(old, old->n);
	if (r == NULL)
		return -ENOMEM;
	memmove(&r->at[at], &r->at[at + 1], (r->n - at - 1) * sizeof(r->at[0]));
	r->n--;
	fib->count--;
	publish(fib, cluster, r);
	return 0;
}

unsigned int omni_fib_flush(struct omni_fib *fib, uint16_t cluster, omni_dest dest)
{
	const struct routes *old =
		cluster < OMNI_FIB_CLUSTERS_MAX ? atomic_load(&fib->routes[cluster]) : NULL;
	struct routes *r = old != NULL ? copy_routes(old, old->n) : NULL;
	uint32_t n = 0;

	if (r == NULL)
		return 0;
	for (uint32_t i = 0; i < old->n; i++)
		if (old->at[i].dest != dest)
			r->at[n++] = old->at[i];
	r->n = n;
	n = old->n - n;
	fib->count -= n;
	publish(fib, cluster, r);
	return n;
}

omni_dest omni_fib_get(const struct omni_fib *fib, uint16_t cluster,
		       const struct omni_prefix *prefix)
{
	const struct routes *r;
	uint32_t at;

	if (!is_valid(cluster, prefix))
		return OMNI_DEST_MISS;
	r = atomic_load(&fib->routes[cluster]);
	at = find(r, prefix);
	return r != NULL && at < r->n ? r->at[at].dest : OMNI_DEST_MISS;
}

void omni_fib_walk(const struct omni_fib *fib,
		   int (*fn)(const struct omni_fib_entry *entry, void *arg), void *arg)
{
	for (unsigned int c = 0; c < OMNI_FIB_CLUSTERS_MAX; c++) {
		const struct routes *r = atomic_load(&fib->routes[c]);

		for (uint32_t i = 0; r != NULL && i < r->n; i++)
			if (fn(&r->at[i], arg) != 0)
				return;
	}
}

uint32_t omni_fib_count(const struct omni_fib *fib)
{
	return fib->count;
}

omni_dest omni_fib_adjacency_add(struct omni_fib *fib, uint16_t port, const uint8_t mac[6])
{
	for (uint32_t i = 0; i < fib->n_adjacencies; i++) {
		struct omni_adjacency *a = &fib->adjacency[i];

		if (atomic_load(&a->generation) != 0)
			continue;
		a->port = port;
		memcpy(a->mac, mac, sizeof(a->mac));
		if (++fib->next_generation == 0)
			fib->next_generation = 1;
		atomic_store_explicit(&a->generation, fib->next_generation, memory_order_release);
		return omni_dest_make(OMNI_DEST_HOST, i, fib->next_generation);
	}
	return OMNI_DEST_MISS;
}

void omni_fib_adjacency_del(struct omni_fib *fib, omni_dest dest)
{
	if (omni_fib_adjacency(fib, dest) != NULL)
		atomic_store(&fib->adjacency[omni_dest_index(dest)].generation, 0);
}
