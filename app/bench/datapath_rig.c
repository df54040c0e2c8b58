/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "datapath_rig.h"

/* As large as a gateway's by default. */
#define SESSIONS_SIZE 65536
#define PEERS_SIZE 16384
#define ROUTES (128 * 1024)
#define FDB_SIZE 131072
/* Of each worker: in the caches of lcores, and in its hands. */
#define SPARE_BUFFERS 1024

static struct omni_port *open_port(struct bench_rig *r, const char *name, struct omni_err *err)
{
	struct omni_port_conf conf = {.mtu = BENCH_MTU, .queues = (uint16_t)r->n_workers};
	struct omni_port *port;

	snprintf(conf.name, sizeof(conf.name), "%s", name);
	snprintf(conf.driver, sizeof(conf.driver), "%s", bench_mem_port.driver);
	port = omni_port_open(&r->ports, &bench_mem_port, &conf, r->pool, err);
	if (port != NULL)
		omni_port_publish(&r->ports, port);
	return port;
}

static bool open_ports(struct bench_rig *r, struct omni_err *err)
{
	r->uplink = open_port(r, "uplink", err);
	for (unsigned int i = 0; r->uplink != NULL && i < OMNI_ARRAY_SIZE(r->local); i++) {
		r->local[i] = open_port(r, i == 0 ? "local0" : "local1", err);
		if (r->local[i] == NULL)
			return false;
		atomic_store(&r->bridges->of_port[r->local[i]->id], BENCH_DOMAIN);
	}
	return r->uplink != NULL;
}

static bool make_tables(struct bench_rig *r)
{
	r->sessions = omni_sessions_create(SESSIONS_SIZE);
	r->peers = omni_peers_create(PEERS_SIZE);
	r->bridges = omni_bridges_create();
	r->rcu = omni_rcu_create(r->n_workers);
	r->fdb = r->rcu != NULL ? omni_fdb_create(FDB_SIZE, r->rcu) : NULL;
	r->fib = r->rcu != NULL ? omni_fib_create(ROUTES, 64, r->rcu) : NULL;
	return r->sessions != NULL && r->peers != NULL && r->bridges != NULL && r->fdb != NULL &&
	       r->fib != NULL;
}

/* All but what needs the ports. */
static bool make_parts(struct bench_rig *r, unsigned int id, unsigned int peers)
{
	struct bench_worker *w = aligned_alloc(OMNI_CACHE_LINE, sizeof(*w));
	char name[16];

	r->worker[id] = w;
	if (w == NULL)
		return false;
	memset(w, 0, sizeof(*w));
	w->rig = r;
	w->id = id;
	w->stats = aligned_alloc(OMNI_CACHE_LINE, sizeof(*w->stats));
	if (w->stats != NULL)
		memset(w->stats, 0, sizeof(*w->stats));
	w->sequence = calloc(peers, sizeof(*w->sequence));
	snprintf(name, sizeof(name), "bench%u", id);
	r->xrings[id] = w->xring = omni_xring_create(name, -1);
	w->aead = omni_aead_create(0);
	w->far_aead = omni_aead_create(0);
	return w->stats != NULL && w->sequence != NULL && w->xring != NULL && w->aead != NULL &&
	       w->far_aead != NULL;
}

static bool make_worker(struct bench_rig *r, struct bench_worker *w)
{
	const struct omni_worker_conf conf = {
		.id = w->id,
		.workers = r->n_workers,
		.ports = &r->ports,
		.sessions = r->sessions,
		.peers = r->peers,
		.bridges = r->bridges,
		.fdb = r->fdb,
		.fib = r->fib,
		.rcu = r->rcu,
		.xring = w->xring,
		.xrings = r->xrings,
		.stats = w->stats,
		.aead = w->aead,
		.pool = r->pool,
		.uplink = r->uplink->id,
		.udp_port = {BENCH_UDP_PORT},
		.n_udp_ports = 1,
	};

	w->node = omni_node_worker_create(&conf);
	if (w->node == NULL || rte_pktmbuf_alloc_bulk(r->pool, w->m, BENCH_BUFFERS) != 0)
		return false;
	w->n_m = BENCH_BUFFERS;
	omni_rcu_join(r->rcu, w->id);
	return true;
}

static bool make_workers(struct bench_rig *r)
{
	bool ok = true;

	for (unsigned int i = 0; ok && i < r->n_workers; i++)
		ok = make_worker(r, r->worker[i]);
	return ok;
}

struct bench_rig *bench_rig_create(unsigned int cipher, unsigned int frame,
				   const struct bench_options *o, struct omni_err *err)
{
	struct bench_rig *r = calloc(1, sizeof(*r));
	bool ok = r != NULL;

	if (ok) {
		r->n_workers = o->workers;
		ok = make_tables(r);
	}
	for (unsigned int i = 0; ok && i < o->workers; i++)
		ok = make_parts(r, i, o->peers);
	if (!ok) {
		omni_fail(err, -ENOMEM, "no memory for the tables");
		goto fail;
	}
	r->pool = omni_pool_create("bench", OMNI_POOL_PLAIN,
				   r->n_workers * (BENCH_BUFFERS + SPARE_BUFFERS), frame, 0, err);
	if (r->pool == NULL || !open_ports(r, err))
		goto fail;
	if (!bench_peers_create(r, cipher, o) || !make_workers(r)) {
		omni_fail(err, -rte_errno, "cannot make the sessions and their workers: %s",
			  rte_strerror(rte_errno));
		goto fail;
	}
	return r;
fail:
	bench_rig_free(r);
	return NULL;
}

/* The worker, and the frames that it has. */
static void stop_worker(struct bench_rig *r, struct bench_worker *w)
{
	if (w == NULL)
		return;
	if (w->node != NULL)
		omni_rcu_leave(r->rcu, w->id);
	omni_node_worker_free(w->node);
	rte_pktmbuf_free_bulk(w->m, w->n_m);
}

static void free_parts(struct bench_worker *w)
{
	if (w == NULL)
		return;
	omni_aead_free(w->aead);
	omni_aead_free(w->far_aead);
	omni_xring_free(w->xring);
	free(w->sequence);
	free(w->stats);
	free(w);
}

void bench_rig_free(struct bench_rig *r)
{
	if (r == NULL)
		return;
	for (unsigned int i = 0; i < r->n_workers; i++)
		stop_worker(r, r->worker[i]);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(r->local); i++)
		omni_port_close(&r->ports, r->local[i]);
	omni_port_close(&r->ports, r->uplink);
	bench_peers_free(r);
	for (unsigned int i = 0; i < r->n_workers; i++)
		free_parts(r->worker[i]);
	omni_fib_free(r->fib);
	omni_fdb_free(r->fdb);
	omni_rcu_free(r->rcu);
	omni_bridges_free(r->bridges);
	omni_peers_free(r->peers);
	omni_sessions_free(r->sessions);
	rte_mempool_free(r->pool);
	free(r);
}
