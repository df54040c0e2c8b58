/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pass: the frames of each worker through its stages, and the bare cipher over as many. */
#include <semaphore.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_pause.h>

#include "datapath_rig.h"

static sem_t finished; /* one for each worker that is through */

/* Frames that came out in n buffers. */
static unsigned int frames_out(const struct bench_worker *w, unsigned int n)
{
	return n + (unsigned int)(w->stats->count[OMNI_STAT_bundled_frames] -
				  w->stats->count[OMNI_STAT_bundles_sent]);
}

void bench_meet(struct bench_rig *r)
{
	unsigned int before = atomic_fetch_add(&r->n_here, 1);
	unsigned int all = before - before % r->running + r->running;

	while (atomic_load_explicit(&r->n_here, memory_order_acquire) < all)
		rte_pause();
}

/* False where a frame did not come out. */
static bool through(struct bench_worker *w)
{
	const struct bench_rig *r = w->rig;
	struct mem_port *out = bench_mem(r->op == BENCH_SEAL   ? r->uplink
					 : r->op == BENCH_OPEN ? r->local[0]
							       : r->local[1],
					 w->id);
	uint64_t begin;

	out->n_out = 0;
	memset(w->stats, 0, sizeof(*w->stats));
	bench_meet(w->rig);
	begin = rte_rdtsc_precise();
	while (omni_node_turn(w->node) > 0)
		;
	w->pass.cycles = rte_rdtsc_precise() - begin;
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		w->pass.stage[i] = w->stats->stage[i].cycles;
	memcpy(w->m, out->out, sizeof(w->m));
	w->n_m = out->n_out;
	return frames_out(w, out->n_out) == BENCH_BUFFERS;
}

static void run(struct bench_worker *w)
{
	const struct bench_rig *r = w->rig;

	memset(&w->pass, 0, sizeof(w->pass));
	w->datagrams = bench_load(w, r->op, r->size);
	w->good = through(w);
	if (r->op == BENCH_FORWARD)
		return;
	if (r->op == BENCH_SEAL)
		w->datagrams = w->n_m;
	w->pass.aead = bench_bare(w, r->op, r->size);
	w->good &= w->pass.aead != 0;
}

static int run_on_lcore(void *arg)
{
	run(arg);
	sem_post(&finished);
	return 0;
}

/* DPDK's own wait spins, and each CPU has a worker. */
static void run_on_lcores(struct bench_rig *r)
{
	unsigned int lcore, started = 0;

	sem_init(&finished, 0, 0);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (started == r->running)
			break;
		rte_eal_remote_launch(run_on_lcore, r->worker[started++], lcore);
	}
	for (unsigned int i = 0; i < started; i++)
		while (sem_wait(&finished) != 0)
			;
	rte_eal_mp_wait_lcore();
	sem_destroy(&finished);
}

bool bench_pass_run(struct bench_rig *r, enum bench_op op, unsigned int size, unsigned int n)
{
	bool good = true;

	r->op = op;
	r->size = size;
	r->running = n;
	atomic_store(&r->n_here, 0);
	if (r->n_workers == 1)
		run(r->worker[0]);
	else
		run_on_lcores(r);
	for (unsigned int i = 0; i < n; i++)
		good &= r->worker[i]->good;
	return good;
}
