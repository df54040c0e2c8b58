/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing the queue of packets that wait. */
#include <errno.h>

#include <rte_malloc.h>

#include "hold.h"

/* Between two looks at the routes, where nothing else keeps the worker awake. */
#define NAP_MS 1

int omni_node_hold_init(struct omni_worker *w)
{
	w->hold = omni_node_zalloc(&w->conf, "omni_hold", sizeof(*w->hold));
	if (w->hold == NULL)
		return -ENOMEM;
	w->hold->timeout = w->hz / 1000 * OMNI_HOLD_TIMEOUT_MS;
	w->hold->late_more = w->hz / 1000 * (OMNI_HOLD_LATE_MS - OMNI_HOLD_TIMEOUT_MS);
	w->hold->nap = w->hz / 1000 * NAP_MS;
	w->hold->next = UINT64_MAX;
	return 0;
}

void omni_node_hold_fini(struct omni_worker *w)
{
	for (unsigned int i = 0; w->hold != NULL && i < w->hold->n; i++)
		rte_pktmbuf_free(w->hold->held[i].m);
	rte_free(w->hold);
}
