/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The workers' side of the routes. */
#include <string.h>

#include "fib.h"

const struct omni_l3 *omni_fib_cluster(const struct omni_fib *fib, uint16_t cluster)
{
	return cluster < OMNI_FIB_CLUSTERS_MAX
		       ? atomic_load_explicit(&fib->cluster[cluster], memory_order_acquire)
		       : NULL;
}

static omni_dest lookup(const struct omni_fib *fib, uint16_t cluster, const struct omni_ip *ip)
{
	const struct routes *r;

	if (cluster >= OMNI_FIB_CLUSTERS_MAX)
		return OMNI_DEST_MISS;
	r = atomic_load_explicit(&fib->routes[cluster], memory_order_acquire);
	for (uint32_t i = 0; r != NULL && i < r->n; i++)
		if (omni_prefix_contains(&r->at[i].prefix, ip))
			return r->at[i].dest;
	return OMNI_DEST_MISS;
}

void omni_fib_lookup4(const struct omni_fib *fib, uint16_t cluster, const uint32_t *v4,
		      unsigned int n, omni_dest *dest)
{
	for (unsigned int i = 0; i < n; i++) {
		struct omni_ip ip = omni_ip_from_v4(__builtin_bswap32(v4[i]));

		dest[i] = lookup(fib, cluster, &ip);
	}
}

void omni_fib_lookup6(const struct omni_fib *fib, uint16_t cluster, const uint8_t *const *v6,
		      unsigned int n, omni_dest *dest)
{
	for (unsigned int i = 0; i < n; i++) {
		struct omni_ip ip;

		memcpy(ip.b, v6[i], sizeof(ip.b));
		dest[i] = lookup(fib, cluster, &ip);
	}
}

uint32_t omni_fib_version(const struct omni_fib *fib)
{
	return atomic_load_explicit(&fib->version, memory_order_acquire);
}

const struct omni_adjacency *omni_fib_adjacency(const struct omni_fib *fib, omni_dest dest)
{
	uint32_t index = omni_dest_index(dest);
	const struct omni_adjacency *a;

	if (omni_dest_kind(dest) != OMNI_DEST_HOST || index >= fib->n_adjacencies)
		return NULL;
	a = &fib->adjacency[index];
	return atomic_load_explicit(&a->generation, memory_order_acquire) == omni_dest_gen(dest)
		       ? a
		       : NULL;
}
