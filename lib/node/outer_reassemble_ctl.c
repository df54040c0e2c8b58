/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing what outer_reassemble keeps between turns. */
#include <errno.h>

#include <rte_malloc.h>
#include <rte_random.h>

#include "outer_reassemble.h"

int omni_node_outer_init(struct omni_worker *w)
{
	struct outer_table *t = omni_node_zalloc(&w->conf, "omni_outer", sizeof(*t));

	w->outer_table = t;
	if (t == NULL)
		return -ENOMEM;
	t->salt = rte_rand();
	t->timeout = w->hz / 1000 * OMNI_REASSEMBLY_TIMEOUT_MS;
	TAILQ_INIT(&t->by_age);
	return 0;
}

void omni_node_outer_fini(struct omni_worker *w)
{
	struct outer_entry *e;

	if (w->outer_table == NULL)
		return;
	TAILQ_FOREACH (e, &w->outer_table->by_age, by_age)
		rte_pktmbuf_free(e->m);
	rte_free(w->outer_table);
}
