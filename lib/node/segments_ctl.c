/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing what whole segments need. */
#include <errno.h>

#include <rte_malloc.h>

#include "segments.h"

int omni_node_segments_init(struct omni_worker *w)
{
	w->segments = omni_node_zalloc(&w->conf, "omni_segments", sizeof(*w->segments));
	if (w->segments == NULL)
		return -ENOMEM;
	w->segments->timeout = w->hz / 1000 * OMNI_REASSEMBLY_TIMEOUT_MS;
	return 0;
}

void omni_node_segments_fini(struct omni_worker *w)
{
	struct segments *s = w->segments;

	for (unsigned int i = 0; s != NULL && i < OMNI_GATHER_MAX; i++)
		rte_pktmbuf_free(s->at_work[i].head);
	rte_free(s);
}
