/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_clock.h>
#include <omni_secret.h>

#include "datapath_rig.h"

#define DOMAIN 1
#define TABLE_SIZE 64
#define FDB_SIZE 16384
#define MTU 9216
#define UDP_PORT OMNI_WIRE_DEFAULT_PORT
#define SPARE_BUFFERS 512

void bench_mac(uint8_t mac[6], enum bench_side side, unsigned int flow)
{
	const uint8_t m[6] = {2, 0, 0, (uint8_t)side, (uint8_t)(flow >> 8), (uint8_t)flow};

	memcpy(mac, m, sizeof(m));
}

static struct omni_port *open_port(struct bench_rig *r, const char *name, struct omni_err *err)
{
	struct omni_port_conf conf = {.mtu = MTU};
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
		atomic_store(&r->bridges->of_port[r->local[i]->id], DOMAIN);
	}
	return r->uplink != NULL;
}

static bool make_tables(struct bench_rig *r)
{
	r->stats = aligned_alloc(OMNI_CACHE_LINE, sizeof(*r->stats));
	if (r->stats != NULL)
		memset(r->stats, 0, sizeof(*r->stats));
	r->sessions = omni_sessions_create(TABLE_SIZE);
	r->peers = omni_peers_create(TABLE_SIZE);
	r->bridges = omni_bridges_create();
	r->rcu = omni_rcu_create(1);
	r->fdb = r->rcu != NULL ? omni_fdb_create("bench", FDB_SIZE, r->rcu) : NULL;
	r->xring = omni_xring_create("bench", -1);
	r->aead = omni_aead_create(0);
	r->far_aead = omni_aead_create(0);
	return r->stats != NULL && r->sessions != NULL && r->peers != NULL && r->bridges != NULL &&
	       r->fdb != NULL && r->xring != NULL && r->aead != NULL && r->far_aead != NULL;
}

static struct omni_path *make_path(const struct bench_rig *r, bool from_us)
{
	static const uint8_t mac[6] = {2, 0, 0, 9, 9, 9};
	struct omni_path *path = calloc(1, sizeof(*path));
	struct omni_endpoint us, them;

	if (path == NULL || omni_endpoint_parse(&us, "192.0.2.1:51820") != 0 ||
	    omni_endpoint_parse(&them, "192.0.2.2:51820") != 0) {
		free(path);
		return NULL;
	}
	omni_path_build(path, mac, mac, from_us ? &us : &them, from_us ? &them : &us);
	path->port = r->uplink->id;
	path->mtu = MTU;
	return path;
}

static struct omni_keypair *make_key(struct bench_rig *r, const struct omni_peer *peer,
				     unsigned int cipher, uint64_t local, uint64_t remote,
				     const struct omni_key *rx, const struct omni_key *tx)
{
	const struct omni_keypair_conf conf = {
		.local_id = local,
		.remote_id = remote,
		.peer = peer->index,
		.peer_gen = peer->generation,
		.cluster = DOMAIN,
		.lanes_tx = 2,
		.lanes_rx = 2,
		.frame_max = MTU,
		.cipher = (uint8_t)cipher,
		.confirmed = true,
		.rx_key = rx,
		.tx_key = tx,
	};

	return omni_keypair_create(r->far_aead, &conf);
}

static bool make_session(struct bench_rig *r, unsigned int cipher)
{
	uint64_t id = omni_sessions_reserve(r->sessions), far_id = UINT64_C(1) << 63 | 1;
	struct omni_peer *peer = omni_peers_add(r->peers, DOMAIN);
	struct omni_path *path = make_path(r, true);
	struct omni_key a, b;

	r->far_path = make_path(r, false);
	if (peer == NULL || path == NULL || r->far_path == NULL) {
		free(path);
		return false;
	}
	omni_peer_set_path(peer, path, r->rcu);
	omni_random(&a, sizeof(a));
	omni_random(&b, sizeof(b));
	r->key = make_key(r, peer, cipher, id, far_id, &a, &b);
	r->far_key = make_key(r, peer, cipher, far_id, id, &b, &a);
	omni_wipe(&a, sizeof(a));
	omni_wipe(&b, sizeof(b));
	if (r->key == NULL || r->far_key == NULL)
		return false;
	omni_sessions_publish(r->sessions, r->key);
	omni_peer_set_tx(peer, r->key);
	return true;
}

static void learn_hosts(struct bench_rig *r, unsigned int flows)
{
	const struct omni_peer *peer = omni_peers_get(r->peers, r->key->peer);
	const omni_dest dest[] = {
		[BENCH_AT_PORT0] =
			omni_dest_make(OMNI_DEST_PORT, r->local[0]->id, r->local[0]->generation),
		[BENCH_AT_PORT1] =
			omni_dest_make(OMNI_DEST_PORT, r->local[1]->id, r->local[1]->generation),
		[BENCH_AT_PEER] = omni_dest_make(OMNI_DEST_PEER, peer->index, peer->generation),
	};
	uint32_t now_s = (uint32_t)(omni_clock_boot_ns() / OMNI_NS_PER_S);
	uint8_t mac[6];

	for (unsigned int side = 0; side < OMNI_ARRAY_SIZE(dest); side++)
		for (unsigned int i = 0; i < flows; i++) {
			bench_mac(mac, (enum bench_side)side, i);
			omni_fdb_learn(r->fdb, omni_fdb_key(DOMAIN, mac), dest[side], now_s);
		}
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
		.udp_port = {UDP_PORT},
		.n_udp_ports = 1,
	};

	r->worker = omni_node_worker_create(&conf);
	if (r->worker == NULL)
		return false;
	omni_rcu_join(r->rcu, 0);
	return true;
}

struct bench_rig *bench_rig_create(unsigned int cipher, unsigned int frame, unsigned int flows,
				   struct omni_err *err)
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
	if (!make_session(r, cipher) || !make_worker(r) ||
	    rte_pktmbuf_alloc_bulk(r->pool, r->m, BENCH_BUFFERS) != 0) {
		omni_fail(err, -rte_errno, "cannot make the session and its worker: %s",
			  rte_strerror(rte_errno));
		goto fail;
	}
	learn_hosts(r, flows);
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
	if (r->m[0] != NULL)
		rte_pktmbuf_free_bulk(r->m, BENCH_BUFFERS);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(r->local); i++)
		omni_port_close(&r->ports, r->local[i]);
	omni_port_close(&r->ports, r->uplink);
	omni_keypair_free(r->key);
	omni_keypair_free(r->far_key);
	free(r->far_path);
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
