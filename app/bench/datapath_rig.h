/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One gateway made of memory with its workers, and sessions to its peers. */
#ifndef OMNI_BENCH_DATAPATH_RIG_H
#define OMNI_BENCH_DATAPATH_RIG_H

#include <stdatomic.h>

#include <omni_node.h>
#include <omni_wire.h>

#include "bench.h"

#define BENCH_DOMAIN 1
#define BENCH_MTU 9216
#define BENCH_BUNDLES_MTU 1500 /* of paths, where short frames are bundled */
#define BENCH_UDP_PORT OMNI_WIRE_DEFAULT_PORT

/* A peer, and what it knows itself. Its keys are ours, the other way round. */
struct bench_peer {
	struct omni_peer *pub;
	struct omni_keypair *key;
	struct omni_path far_path; /* from there to us */
};

/* One worker's frames through the stages: TSC cycles of all of them. */
struct bench_pass {
	uint64_t cycles, aead;
	uint64_t stage[OMNI_STAGE_COUNT];
};

/* A worker, and the far sides of its lane. Its own thread alone touches it while that runs. */
struct bench_worker {
	struct bench_rig *rig;
	unsigned int id;
	struct omni_worker *node;
	struct omni_stats *stats;
	struct omni_xring *xring;
	struct omni_aead *aead;	    /* the worker's */
	struct omni_aead *far_aead; /* the other sides', and the bare measurement's */
	unsigned int host;	    /* whose turn it is */
	uint64_t *sequence;	    /* by peer: of its next datagram to us, on our lane */

	struct bench_pass pass;
	unsigned int datagrams;
	bool good;

	unsigned int n_m;
	struct rte_mbuf *m[BENCH_BUFFERS];   /* the n_m that are not the pool's */
	unsigned int peer_of[BENCH_BUFFERS]; /* whom m[i] goes to or comes from */
};

struct bench_rig {
	struct omni_port_table ports;
	struct omni_port *uplink, *local[2];
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_fib *fib;
	struct omni_rcu *rcu;
	struct rte_mempool *pool;
	struct bench_memory memory;

	unsigned int n_workers;
	struct bench_worker *worker[OMNI_NODE_WORKERS_MAX];
	struct omni_xring *xrings[OMNI_NODE_WORKERS_MAX];

	unsigned int n_peers, flows; /* flows: hosts at each local port */
	unsigned int hosts;	     /* behind all peers; host h is behind peer h mod n_peers */
	unsigned int stride;	     /* from the host whose turn it is to the next */
	struct bench_peer *peer;
	unsigned int routes; /* 0: the cluster is of Ethernet */
	omni_dest far_link;  /* with routes: the host on local port 1's link */

	bool bundles, v6, wireguard;
	enum bench_op op; /* of the running pass, and the frames' size */
	unsigned int size;
	unsigned int running;	     /* workers that take part in it */
	_Atomic unsigned int n_here; /* those who have come to the next meeting, ever */
};

/* NULL with a sentence in err. frame: the largest that is measured. */
struct bench_rig *bench_rig_create(unsigned int cipher, unsigned int frame,
				   const struct bench_options *o, struct omni_err *err);
void bench_rig_free(struct bench_rig *r);

/* Sessions, paths and addresses of all peers; false: no memory. */
bool bench_peers_create(struct bench_rig *r, unsigned int cipher, const struct bench_options *o);
void bench_peers_free(struct bench_rig *r);

/* An L3 cluster, and where its routes lead from now on. False: no memory. */
bool bench_routes_create(struct bench_rig *r);
bool bench_routes_lead(struct bench_rig *r, bool to_peers);
/* A packet of len bytes, where it comes from a local port with a link header; bytes in all. */
unsigned int bench_put_packet(const struct bench_worker *w, enum bench_op op, uint8_t *to,
			      unsigned int len);

/* Addresses of the hosts at local port 0, local port 1 and behind the peers. */
enum bench_side {
	BENCH_AT_PORT0,
	BENCH_AT_PORT1,
	BENCH_AT_PEER,
};
void bench_mac(uint8_t mac[6], enum bench_side side, unsigned int host);

/*
 * A pass of the first n workers at once; this thread sleeps where they are several. False where
 * a frame did not come out, or the bare cipher refused one.
 */
bool bench_pass_run(struct bench_rig *r, enum bench_op op, unsigned int size, unsigned int n);

/* Wait for all workers of the running pass. Worker. */
void bench_meet(struct bench_rig *r);

/*
 * BENCH_BUFFERS frames for op (size: bytes or BENCH_IMIX), waiting where they come in: each in a
 * buffer, but where bundles are to be opened. Returns the number of buffers.
 */
unsigned int bench_load(struct bench_worker *w, enum bench_op op, unsigned int size);

/*
 * The cipher alone over all frames (with bundles: over as many bundles as carry them) in place,
 * with the same keys: the cycles, or 0 where it refused a frame. What is opened is sealed before,
 * uncounted.
 */
uint64_t bench_bare(struct bench_worker *w, enum bench_op op, unsigned int size);

#endif
