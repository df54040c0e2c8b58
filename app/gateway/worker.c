/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>

#include "worker.h"

#define US_PER_S 1000000
/* The kernel's default of 50 us would be added to every short nap. */
#define TIMER_SLACK_NS 1

static int run(void *arg)
{
	struct worker *w = arg;
	const struct omni_worker_conf *conf = omni_node_worker_conf(w->node);

	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	omni_rcu_join(conf->rcu, conf->id);
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed))
		idle_after_turn(&w->idle, omni_node_turn(w->node));
	omni_rcu_leave(conf->rcu, conf->id);
	return 0;
}

int worker_launch(struct worker *w)
{
	int rc;

	w->idle.node = w->node;
	w->idle.spin_cycles = rte_get_tsc_hz() / US_PER_S * IDLE_SPIN_US;
	rc = rte_eal_remote_launch(run, w, w->lcore);
	w->running = rc == 0;
	return rc;
}

void worker_tell_to_stop(struct worker *w)
{
	uint64_t one = 1;

	if (!w->running)
		return;
	atomic_store_explicit(&w->stop, true, memory_order_relaxed);
	/* A write that fails finds the bell rung already. */
	(void)!write(w->xring->to_worker, &one, sizeof(one));
}

void worker_join(struct worker *w)
{
	if (!w->running)
		return;
	rte_eal_wait_lcore(w->lcore);
	w->running = false;
}
