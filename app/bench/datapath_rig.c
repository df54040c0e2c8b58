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
#define FDB_SIZE 131072
#define SPARE_BUFFERS 512

static struct omni_port *open_port(struct bench_rig *r, const char *name, struct omni_err *err)
{
	struct omni_port_conf conf = {.mtu = BENCH_MTU};
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
	r->stats = aligned_alloc(OMNI_CACHE_LINE, sizeof(*r->stats));
	if (r->stats != NULL)
		memset(r->stats, 0, sizeof(*r->stats));
	r->sessions = omni_sessions_create(SESSIONS_SIZE);
	r->peers = omni_peers_create(PEERS_SIZE);
	r->bridges = omni_bridges_create();
	r->rcu = omni_rcu_create(1);
	r->fdb = r->rcu != NULL ? omni_fdb_create(FDB_SIZE, r->rcu) : NULL;
	r->xring = omni_xring_create("bench", -1);
	r->aead = omni_aead_create(0);
	r->far_aead = omni_aead_create(0);
	return r->stats != NULL && r->sessions != NULL && r->peers != NULL && r->bridges != NULL &&
	       r->fdb != NULL && r->xring != NULL && r->aead != NULL && r->far_aead != NULL;
}

static bool make_worker(struct bench_rig *r)
{
	const struct omni_worker_conf conf = {
		.workers = 1,
		.ports = &r->ports,
		.sessions = r->sessions,
		.peers = r->peers,
		.bridges = r->bridges,
		.fdb = r->fdb,
		.rcu = r->rcu,
		.xring = r->xring,
		.stats = r->stats,
		.aead = r->aead,
		.pool = r->pool,
		.uplink = r->uplink->id,
		.udp_port = {BENCH_UDP_PORT},
		.n_udp_ports = 1,
	};

	r->worker = omni_node_worker_create(&conf);
	if (r->worker == NULL)
		return false;
	omni_rcu_join(r->rcu, 0);
	return true;
}

struct bench_rig *bench_rig_create(unsigned int cipher, unsigned int frame,
				   const struct bench_options *o, struct omni_err *err)
{
	struct bench_rig *r = calloc(1, sizeof(*r));

	if (r == NULL || !make_tables(r)) {
		omni_fail(err, -ENOMEM, "no memory for the tables");
		goto fail;
	}
	r->pool = omni_pool_create("bench", OMNI_POOL_PLAIN, BENCH_BUFFERS + SPARE_BUFFERS, frame,
				   0, err);
	if (r->pool == NULL || !open_ports(r, err))
		goto fail;
	if (!bench_peers_create(r, cipher, o) || !make_worker(r) ||
	    rte_pktmbuf_alloc_bulk(r->pool, r->m, BENCH_BUFFERS) != 0) {
		omni_fail(err, -rte_errno, "cannot make the sessions and their worker: %s",
			  rte_strerror(rte_errno));
		goto fail;
	}
	r->n_m = BENCH_BUFFERS;
	return r;
fail:
	bench_rig_free(r);
	return NULL;
}

void bench_rig_free(struct bench_rig *r)
{
	if (r == NULL)
		return;
	if (r->worker != NULL)
		omni_rcu_leave(r->rcu, 0);
	omni_node_worker_free(r->worker);
	rte_pktmbuf_free_bulk(r->m, r->n_m);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(r->local); i++)
		omni_port_close(&r->ports, r->local[i]);
	omni_port_close(&r->ports, r->uplink);
	bench_peers_free(r);
	omni_aead_free(r->aead);
	omni_aead_free(r->far_aead);
	omni_xring_free(r->xring);
	omni_fdb_free(r->fdb);
	omni_rcu_free(r->rcu);
	omni_bridges_free(r->bridges);
	omni_peers_free(r->peers);
	omni_sessions_free(r->sessions);
	rte_mempool_free(r->pool);
	free(r->stats);
	free(r);
}
