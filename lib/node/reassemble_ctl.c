/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing what reassemble keeps between turns. */
#include <errno.h>

#include <rte_malloc.h>
#include <rte_random.h>

#include "reassemble.h"

int omni_node_reassemble_init(struct omni_worker *w)
{
	struct reassembly *r = omni_node_zalloc(&w->conf, "omni_reassembly", sizeof(*r));

	w->reassembly = r;
	if (r == NULL)
		return -ENOMEM;
	r->of_peer = omni_node_zalloc(&w->conf, "omni_of_peer",
				      w->conf.peers->size * sizeof(*r->of_peer));
	if (r->of_peer == NULL)
		return -ENOMEM;
	r->salt = rte_rand();
	r->timeout = w->hz / 1000 * OMNI_REASSEMBLY_TIMEOUT_MS;
	TAILQ_INIT(&r->by_age);
	return 0;
}

void omni_node_reassemble_fini(struct omni_worker *w)
{
	struct reassembly *r = w->reassembly;
	struct frame *f;

	if (r == NULL)
		return;
	TAILQ_FOREACH (f, &r->by_age, by_age)
		rte_pktmbuf_free(f->m);
	rte_free(r->of_peer);
	rte_free(r);
}
