/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_fdb.h>

struct omni_bridges *omni_bridges_create(void)
{
	struct omni_bridges *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	for (unsigned int i = 0; i < OMNI_BRIDGE_PORT_SLOTS; i++)
		atomic_init(&b->of_port[i], OMNI_BRIDGE_NONE);
	return b;
}

void omni_bridges_free(struct omni_bridges *b)
{
	if (b == NULL)
		return;
	for (unsigned int i = 0; i < OMNI_BRIDGES_MAX; i++)
		free(atomic_load(&b->at[i].flood));
	free(b);
}

int omni_bridge_set(struct omni_bridges *b, uint16_t domain, const uint16_t *ports,
		    uint16_t n_ports, const uint32_t *peer_index, const uint32_t *peer_gen,
		    uint32_t n_peers, struct omni_rcu *rcu)
{
	struct omni_flood *list, *old;

	if (domain >= OMNI_BRIDGES_MAX || n_ports > OMNI_BRIDGE_PORTS_MAX)
		return -EINVAL;
	list = calloc(1, sizeof(*list) + n_peers * sizeof(list->peer[0]));
	if (list == NULL)
		return -ENOMEM;
	list->n_ports = n_ports;
	list->n_peers = n_peers;
	if (n_ports > 0)
		memcpy(list->port, ports, n_ports * sizeof(*ports));
	for (uint32_t i = 0; i < n_peers; i++) {
		list->peer[i].index = peer_index[i];
		list->peer[i].generation = peer_gen[i];
	}
	old = atomic_exchange_explicit(&b->at[domain].flood, list, memory_order_acq_rel);
	if (old != NULL)
		omni_rcu_defer(rcu, &old->rcu, free, old);
	return 0;
}
