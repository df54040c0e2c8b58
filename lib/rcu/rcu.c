/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include <omni_base.h>
#include <omni_rcu.h>

struct omni_rcu {
	struct rte_rcu_qsbr *qsbr;
	STAILQ_HEAD(, omni_rcu_node) queue; /* tokens only grow, so the head is ripe first */
};

struct omni_rcu *omni_rcu_create(unsigned int workers)
{
	struct omni_rcu *rcu = calloc(1, sizeof(*rcu));
	size_t size = RTE_CACHE_LINE_ROUNDUP(rte_rcu_qsbr_get_memsize(workers));

	if (rcu == NULL)
		goto no_memory;
	rcu->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (rcu->qsbr == NULL || rte_rcu_qsbr_init(rcu->qsbr, workers) != 0)
		goto no_memory;
	STAILQ_INIT(&rcu->queue);
	return rcu;

no_memory:
	if (rcu != NULL)
		free(rcu->qsbr);
	free(rcu);
	rte_errno = ENOMEM;
	return NULL;
}

static void run_first(struct omni_rcu *rcu)
{
	struct omni_rcu_node *node = STAILQ_FIRST(&rcu->queue);

	STAILQ_REMOVE_HEAD(&rcu->queue, next);
	node->fn(node->arg); /* the node goes with it */
}

void omni_rcu_free(struct omni_rcu *rcu)
{
	if (rcu == NULL)
		return;
	while (!STAILQ_EMPTY(&rcu->queue))
		run_first(rcu);
	free(rcu->qsbr);
	free(rcu);
}

struct rte_rcu_qsbr *omni_rcu_qsbr(struct omni_rcu *rcu)
{
	return rcu->qsbr;
}

void omni_rcu_join(struct omni_rcu *rcu, unsigned int worker)
{
	rte_rcu_qsbr_thread_register(rcu->qsbr, worker);
	rte_rcu_qsbr_thread_online(rcu->qsbr, worker);
}

void omni_rcu_leave(struct omni_rcu *rcu, unsigned int worker)
{
	rte_rcu_qsbr_thread_offline(rcu->qsbr, worker);
	rte_rcu_qsbr_thread_unregister(rcu->qsbr, worker);
}

void omni_rcu_defer(struct omni_rcu *rcu, struct omni_rcu_node *node, void (*fn)(void *arg),
		    void *arg)
{
	node->fn = fn;
	node->arg = arg;
	node->token = rte_rcu_qsbr_start(rcu->qsbr);
	STAILQ_INSERT_TAIL(&rcu->queue, node, next);
}

unsigned int omni_rcu_poll(struct omni_rcu *rcu)
{
	unsigned int left = 0;
	struct omni_rcu_node *node;

	while ((node = STAILQ_FIRST(&rcu->queue)) != NULL &&
	       rte_rcu_qsbr_check(rcu->qsbr, node->token, false) == 1)
		run_first(rcu);
	STAILQ_FOREACH (node, &rcu->queue, next)
		left++;
	return left;
}
