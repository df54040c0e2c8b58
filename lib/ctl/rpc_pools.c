/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pools: the buffers, and how many of them are free. */
#include <rte_mempool.h>

#include "rpc.h"

static bool listed(const json_t *list, const char *name)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "pool")), name) == 0)
			return true;
	}
	return false;
}

/* Walks the caches of all lcores: exact only where no worker takes or gives just then. */
static void add(json_t *list, const struct rte_mempool *pool)
{
	unsigned int idle;

	if (pool == NULL || listed(list, pool->name))
		return;
	idle = rte_mempool_avail_count(pool);
	json_array_append_new(list,
			      json_pack("{s:s, s:i, s:i, s:i, s:i}", "pool", pool->name, "buffers",
					(int)pool->size, "free", (int)idle, "in_use",
					(int)(pool->size - OMNI_MIN(idle, pool->size)),
					"buffer_bytes", (int)pool->elt_size));
}

RPC_HANDLER(rpc_pools)
{
	const struct omni_ctl *ctl = ctx;
	json_t *list;
	int rc = rpc_params(params, "", err);

	if (rc != 0)
		return rc;
	list = json_array();
	for (unsigned int i = 0; i < OMNI_PORTS_MAX; i++) {
		if (ctl->conf.ports->open[i] != NULL)
			add(list, ctl->conf.ports->open[i]->pool);
	}
	add(list, ctl->conf.pool);
	return rpc_give(result, list);
}
