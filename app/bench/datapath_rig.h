/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One gateway made of memory, with one worker, one peer and a session to it. */
#ifndef OMNI_BENCH_DATAPATH_RIG_H
#define OMNI_BENCH_DATAPATH_RIG_H

#include <omni_node.h>

#include "bench.h"

struct bench_rig {
	struct omni_port_table ports;
	struct omni_port *uplink, *local[2];
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_rcu *rcu;
	struct omni_xring *xring;
	struct omni_stats *stats;
	struct omni_aead *aead;	      /* the worker's */
	struct omni_aead *far_aead;   /* the other side's, and the bare measurement's */
	struct omni_keypair *key;     /* ours */
	struct omni_keypair *far_key; /* the same session from the other side */
	struct omni_path *far_path;   /* from there to us */
	struct rte_mempool *pool;
	struct omni_worker *worker;
	struct rte_mbuf *m[BENCH_BUFFERS];
	uint64_t sequence; /* of the other side's next datagram */
};

/* NULL with a sentence in err. frame: the largest that is measured. */
struct bench_rig *bench_rig_create(unsigned int cipher, unsigned int frame, unsigned int flows,
				   struct omni_err *err);
void bench_rig_free(struct bench_rig *r);

/* Addresses of the hosts at local port 0, local port 1 and behind the peer. */
enum bench_side {
	BENCH_AT_PORT0,
	BENCH_AT_PORT1,
	BENCH_AT_PEER,
};
void bench_mac(uint8_t mac[6], enum bench_side side, unsigned int flow);

#endif
