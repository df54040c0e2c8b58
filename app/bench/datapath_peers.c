/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The peers of the rig, the hosts behind them, and what all this takes. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_secret.h>

#include "datapath_rig.h"

#define HOSTS_PER_PEER 10
/* Prime, so that it comes round to every host; neighbours in turn are far apart. */
#define STRIDE 7919

void bench_mac(uint8_t mac[6], enum bench_side side, unsigned int host)
{
	const uint8_t m[6] = {
		2, 0, (uint8_t)side, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host,
	};

	memcpy(mac, m, sizeof(m));
}

static struct omni_endpoint endpoint(const struct bench_rig *r, unsigned int number)
{
	/* Ours; the peers' follow. */
	static const struct omni_ip v4 = {{[10] = 0xff, 0xff, 10, 0, 0, 1}};
	static const struct omni_ip v6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	struct omni_endpoint ep = {.ip = r->v6 ? v6 : v4, .port = BENCH_UDP_PORT};

	omni_store_be32(ep.ip.b + 12, omni_load_be32(ep.ip.b + 12) + number);
	return ep;
}

static void build_path(const struct bench_rig *r, struct omni_path *path, unsigned int from,
		       unsigned int to)
{
	static const uint8_t mac[6] = {2, 0, 0, 9, 9, 9};
	const struct omni_endpoint local = endpoint(r, from), remote = endpoint(r, to);

	omni_path_build(path, mac, mac, &local, &remote);
	path->port = r->uplink->id;
	path->mtu = r->bundles ? BENCH_BUNDLES_MTU : BENCH_MTU;
}

static bool add_peer(struct bench_rig *r, unsigned int number)
{
	struct bench_peer *p = &r->peer[number];
	struct omni_path path = {0}, *copy;

	p->pub = omni_peers_add(r->peers, BENCH_DOMAIN);
	if (p->pub == NULL)
		return false;
	build_path(r, &path, 0, number + 1);
	build_path(r, &p->far_path, number + 1, 0);
	copy = omni_path_copy(&path, NULL);
	if (copy != NULL)
		omni_peer_set_path(p->pub, copy, r->rcu);
	return copy != NULL;
}

static bool add_session(struct bench_rig *r, struct bench_peer *p, unsigned int cipher)
{
	struct omni_key rx, tx;
	uint16_t lanes = r->wireguard ? 1 : (uint16_t)(r->n_workers + 1);
	const struct omni_keypair_conf conf = {
		.local_id = r->wireguard ? omni_sessions_reserve_wg(r->sessions)
					 : omni_sessions_reserve(r->sessions),
		.remote_id = r->wireguard ? p->pub->index + 1 : UINT64_C(1) << 63 | p->pub->index,
		.dialect = r->wireguard ? OMNI_DIALECT_WIREGUARD : OMNI_DIALECT_OMNI,
		.peer = p->pub->index,
		.peer_gen = p->pub->generation,
		.cluster = BENCH_DOMAIN,
		.lanes_tx = lanes,
		.lanes_rx = lanes,
		.frame_max = BENCH_MTU,
		.cipher = (uint8_t)cipher,
		.confirmed = true,
		.rx_key = &rx,
		.tx_key = &tx,
	};

	omni_random(&rx, sizeof(rx));
	omni_random(&tx, sizeof(tx));
	p->key = omni_keypair_create(r->worker[0]->far_aead, &conf);
	omni_wipe(&rx, sizeof(rx));
	omni_wipe(&tx, sizeof(tx));
	if (p->key == NULL)
		return false;
	omni_sessions_publish(r->sessions, p->key);
	omni_peer_set_tx(p->pub, p->key);
	return true;
}

static bool learn(struct bench_rig *r, enum bench_side side, unsigned int host, omni_dest dest)
{
	uint32_t now_s = (uint32_t)(omni_clock_boot_ns() / OMNI_NS_PER_S);
	uint8_t mac[6];

	bench_mac(mac, side, host);
	return omni_fdb_learn(r->fdb, omni_fdb_key(BENCH_DOMAIN, mac), dest, now_s) ==
	       OMNI_FDB_LEARNED;
}

static bool learn_hosts(struct bench_rig *r)
{
	bool ok = true;

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(r->local); i++)
		for (unsigned int host = 0; host < r->flows; host++)
			ok &= learn(r, i == 0 ? BENCH_AT_PORT0 : BENCH_AT_PORT1, host,
				    omni_dest_make(OMNI_DEST_PORT, r->local[i]->id,
						   r->local[i]->generation));
	for (unsigned int host = 0; host < r->hosts; host++) {
		const struct omni_peer *pub = r->peer[host % r->n_peers].pub;

		ok &= learn(r, BENCH_AT_PEER, host,
			    omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation));
	}
	return ok;
}

/* Bytes that malloc and DPDK's heap have given out. */
static double taken(void)
{
	struct rte_malloc_socket_stats eal = {0};
	struct mallinfo2 libc = mallinfo2();

	rte_malloc_get_socket_stats(0, &eal);
	return (double)(libc.uordblks + libc.hblkhd + eal.heap_allocsz_bytes);
}

bool bench_peers_create(struct bench_rig *r, unsigned int cipher, const struct bench_options *o)
{
	double before, between;
	bool ok = true;

	r->flows = o->flows;
	r->bundles = o->bundles;
	r->v6 = o->v6;
	r->wireguard = o->wireguard;
	atomic_store(&r->bridges->at[BENCH_DOMAIN].bundles, o->bundles);
	r->n_peers = o->peers;
	r->routes = o->routes;
	r->hosts = o->routes > 1 ? o->routes : o->peers > 1 ? HOSTS_PER_PEER * o->peers : o->flows;
	r->stride = o->peers > 1 || o->routes > 1 ? STRIDE : 1;
	r->peer = calloc(r->n_peers, sizeof(*r->peer));
	if (r->peer == NULL)
		return false;
	before = taken();
	for (unsigned int i = 0; ok && i < r->n_peers; i++)
		ok = add_peer(r, i);
	between = taken();
	for (unsigned int i = 0; ok && i < r->n_peers; i++)
		ok = add_session(r, &r->peer[i], cipher);
	r->memory = (struct bench_memory){
		.cipher = cipher,
		.peers = r->n_peers,
		.peer = (between - before) / r->n_peers,
		.session = (taken() - between) / r->n_peers,
	};
	return ok && (r->routes > 0 ? bench_routes_create(r) : learn_hosts(r));
}

void bench_peers_free(struct bench_rig *r)
{
	for (unsigned int i = 0; r->peer != NULL && i < r->n_peers; i++)
		omni_keypair_free(r->peer[i].key);
	free(r->peer);
}
