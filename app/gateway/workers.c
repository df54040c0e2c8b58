/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The workers: one on each worker lcore, everything of theirs in memory near it. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>

#include <omni_log.h>

#include "gateway.h"

struct omni_aead *gateway_aead_create(void)
{
	uint32_t flags;

	if (omni_aead_flags(&flags, getenv("OMNI_CPU_MASK")) != 0) {
		errno = EINVAL;
		return NULL;
	}
	return omni_aead_create(flags);
}

/* True where workers are more than the CPUs that they may run on. */
static bool cpus_are_shared(void)
{
	unsigned int lcore, workers = 0;
	cpu_set_t all;

	CPU_ZERO(&all);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		rte_cpuset_t set = rte_lcore_cpuset(lcore);

		CPU_OR(&all, &all, &set);
		workers++;
	}
	return workers > (unsigned int)CPU_COUNT(&all);
}

static int parts_create(struct gateway *gw, struct worker *w, unsigned int id)
{
	int socket = (int)rte_lcore_to_socket_id(w->lcore);
	char name[8];

	snprintf(name, sizeof(name), "w%u", id);
	w->aead = gateway_aead_create();
	w->stats = rte_zmalloc_socket("omni_stats", sizeof(*w->stats), RTE_CACHE_LINE_SIZE, socket);
	if (w->stats == NULL)
		w->stats = rte_zmalloc("omni_stats", sizeof(*w->stats), RTE_CACHE_LINE_SIZE);
	w->xring = omni_xring_create_on(name, gw->bell, socket);
	gw->xrings[id] = w->xring;
	return w->aead == NULL || w->stats == NULL || w->xring == NULL ? -ENOMEM : 0;
}

static int worker_create(struct gateway *gw, unsigned int id, struct omni_err *err)
{
	struct worker *w = &gw->worker[id];
	struct omni_worker_conf conf = {
		.id = id,
		.workers = gw->n_workers,
		.lcore = w->lcore,
		.socket = (int)rte_lcore_to_socket_id(w->lcore),
		.ports = &gw->ports,
		.sessions = gw->sessions,
		.peers = gw->peers,
		.bridges = gw->bridges,
		.fdb = gw->fdb,
		.fib = gw->fib,
		.rcu = gw->rcu,
		.xrings = gw->xrings,
		.pool = gw->local_pool,
		.uplink = gw->port_of[gw->config->underlay.port]->id,
		.lane_port = gw->lane_port[id],
	};

	if (parts_create(gw, w, id) < 0)
		return omni_fail(err, -ENOMEM, "no memory for worker %u", id + 1);
	conf.n_udp_ports = gateway_udp_ports(gw, conf.udp_port);
	conf.aead = w->aead;
	conf.stats = w->stats;
	conf.xring = w->xring;
	w->node = omni_node_worker_create(&conf);
	if (w->node == NULL)
		return omni_fail(err, -rte_errno, "worker %u: %s", id + 1, rte_strerror(rte_errno));
	return 0;
}

int gateway_workers_create(struct gateway *gw, struct omni_err *err)
{
	bool adaptive = gw->config->idle == OMNI_IDLE_ADAPTIVE, shared = cpus_are_shared();
	unsigned int lcore, id = 0;
	int rc = 0;

	if (shared && !adaptive)
		omni_log_warn("gateway", "workers share CPUs and never sleep: they take turns",
			      "workers=%u hint=\"a CPU for each worker, or idle: adaptive\"",
			      gw->n_workers);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct worker *w = &gw->worker[id];

		w->lcore = lcore;
		w->idle.adaptive = adaptive;
		w->idle.yields = shared;
		rc = worker_create(gw, id++, err);
		if (rc < 0)
			break;
	}
	return rc;
}

int gateway_workers_launch(struct gateway *gw, struct omni_err *err)
{
	for (unsigned int i = 0; i < gw->n_workers; i++) {
		int rc = worker_launch(&gw->worker[i]);

		if (rc < 0)
			return omni_fail(err, rc, "worker %u did not start: %s", i + 1,
					 strerror(-rc));
	}
	return 0;
}

void gateway_workers_join(struct gateway *gw)
{
	for (unsigned int i = 0; i < gw->n_workers; i++)
		worker_tell_to_stop(&gw->worker[i]);
	for (unsigned int i = 0; i < gw->n_workers; i++)
		worker_join(&gw->worker[i]);
}

void gateway_workers_free(struct gateway *gw)
{
	for (unsigned int i = 0; i < gw->n_workers; i++) {
		struct worker *w = &gw->worker[i];

		omni_node_worker_free(w->node);
		omni_xring_free(w->xring);
		rte_free(w->stats);
		omni_aead_free(w->aead);
	}
}
