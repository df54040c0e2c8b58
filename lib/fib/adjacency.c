/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hosts on links. A place is used again once no worker can look at its last host any more. */
#include <stdlib.h>
#include <string.h>

#include "adjacency.h"

#define NO_PLACE UINT32_MAX

int fib_adjacencies_open(struct omni_fib *fib, uint32_t n)
{
	fib->free_place = fib->first_waiting = fib->last_waiting = NO_PLACE;
	fib->adjacency = calloc(OMNI_MAX(n, 1u), sizeof(*fib->adjacency));
	fib->place = calloc(OMNI_MAX(n, 1u), sizeof(*fib->place));
	if (fib->adjacency == NULL || fib->place == NULL)
		return -1;
	for (uint32_t i = n; i > 0; i--) {
		fib->place[i - 1].next = fib->free_place;
		fib->free_place = i - 1;
	}
	fib->n_adjacencies = n;
	return 0;
}

void fib_adjacencies_close(struct omni_fib *fib)
{
	free(fib->adjacency);
	free(fib->place);
}

static void collect(struct omni_fib *fib)
{
	uint32_t i;

	while ((i = fib->first_waiting) != NO_PLACE &&
	       rte_rcu_qsbr_check(omni_rcu_qsbr(fib->rcu), fib->place[i].token, false) == 1) {
		fib->first_waiting = fib->place[i].next;
		fib->place[i].next = fib->free_place;
		fib->free_place = i;
	}
}

omni_dest omni_fib_adjacency_add(struct omni_fib *fib, uint16_t port, const uint8_t mac[6])
{
	struct omni_adjacency *a;
	uint32_t i;

	collect(fib);
	i = fib->free_place;
	if (i == NO_PLACE)
		return OMNI_DEST_MISS;
	fib->free_place = fib->place[i].next;
	a = &fib->adjacency[i];
	a->port = port;
	memcpy(a->mac, mac, sizeof(a->mac));
	if (++fib->next_generation == 0)
		fib->next_generation = 1;
	atomic_store_explicit(&a->generation, fib->next_generation, memory_order_release);
	return omni_dest_make(OMNI_DEST_HOST, i, fib->next_generation);
}

void omni_fib_adjacency_del(struct omni_fib *fib, omni_dest dest)
{
	uint32_t i = omni_dest_index(dest);

	if (omni_fib_adjacency(fib, dest) == NULL)
		return;
	atomic_store_explicit(&fib->adjacency[i].generation, 0, memory_order_release);
	fib->place[i] = (struct fib_place){
		.next = NO_PLACE,
		.token = rte_rcu_qsbr_start(omni_rcu_qsbr(fib->rcu)),
	};
	if (fib->first_waiting == NO_PLACE)
		fib->first_waiting = i;
	else
		fib->place[fib->last_waiting].next = i;
	fib->last_waiting = i;
}
