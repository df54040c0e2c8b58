/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of lib/fib share. */
#ifndef FIB_H
#define FIB_H

#include <omni_fib.h>

/* Routes of one cluster, longest prefix first; control replaces the whole list. */
struct routes {
	struct omni_rcu_node rcu;
	uint32_t n;
	struct omni_fib_entry at[];
};

struct omni_fib {
	struct omni_rcu *rcu;
	uint32_t limit, count;
	_Atomic uint32_t version;
	_Atomic(struct omni_l3 *) cluster[OMNI_FIB_CLUSTERS_MAX];
	_Atomic(struct routes *) routes[OMNI_FIB_CLUSTERS_MAX];
	uint32_t n_adjacencies, next_generation;
	struct omni_adjacency *adjacency;
};

#endif
