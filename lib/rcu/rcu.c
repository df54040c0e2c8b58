/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include <omni_base.h>
#include <omni_rcu.h>

struct waiting {
	STAILQ_ENTRY(waiting) next;
	uint64_t token;
	void (*fn)(void *arg);
	void *arg;
};

struct omni_rcu {
	struct rte_rcu_qsbr *qsbr;
	STAILQ_HEAD(, waiting) queue; /* tokens only grow, so the head is ripe first */
};

struct omni_rcu *omni_rcu_create(unsigned int workers)
{
	struct omni_rcu *rcu = calloc(1, sizeof(*rcu));
	size_t size = rte_rcu_qsbr_get_memsize(workers);

	if (rcu == NULL)
		goto no_memory;
	rcu->qsbr = rte_zmalloc("omni_rcu", size, RTE_CACHE_LINE_SIZE);
	if (rcu->qsbr == NULL || rte_rcu_qsbr_init(rcu->qsbr, workers) != 0)
		goto no_memory;
	STAILQ_INIT(&rcu->queue);
	return rcu;

no_memory:
	if (rcu != NULL)
		rte_free(rcu->qsbr);
	free(rcu);
	rte_errno = ENOMEM;
	return NULL;
}

static void run_first(struct omni_rcu *rcu)
{
	struct waiting *w = STAILQ_FIRST(&rcu->queue);

	STAILQ_REMOVE_HEAD(&rcu->queue, next);
	w->fn(w->arg);
	free(w);
}

void omni_rcu_free(struct omni_rcu *rcu)
{
	if (rcu == NULL)
		return;
	while (!STAILQ_EMPTY(&rcu->queue))
		run_first(rcu);
	rte_free(rcu->qsbr);
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

int omni_rcu_defer(struct omni_rcu *rcu, void (*fn)(void *arg), void *arg)
{
	struct waiting *w = malloc(sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->fn = fn;
	w->arg = arg;
	w->token = rte_rcu_qsbr_start(rcu->qsbr);
	STAILQ_INSERT_TAIL(&rcu->queue, w, next);
	return 0;
}

unsigned int omni_rcu_poll(struct omni_rcu *rcu)
{
	unsigned int left = 0;
	struct waiting *w;

	while ((w = STAILQ_FIRST(&rcu->queue)) != NULL &&
	       rte_rcu_qsbr_check(rcu->qsbr, w->token, false) == 1)
		run_first(rcu);
	STAILQ_FOREACH (w, &rcu->queue, next)
		left++;
	return left;
}
