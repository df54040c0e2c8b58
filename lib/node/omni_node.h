/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The data path. A worker takes bursts from its ports and carries each frame through all stages
 * to transmit or drop; the stages are the files of this folder, their order is graph.c.
 *
 * Control makes a worker and frees it; in between one thread, the worker's lcore, calls
 * omni_node_turn. Nothing here logs, allocates from the heap, locks or makes system calls, but
 * for one clock reading (vDSO) a tenth of a second and the bells of control and of workers that
 * sleep.
 */
#ifndef OMNI_NODE_H
#define OMNI_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_aead.h>
#include <omni_fdb.h>
#include <omni_fib.h>
#include <omni_port.h>
#include <omni_rcu.h>
#include <omni_session.h>
#include <omni_stats.h>
#include <omni_xring.h>

/* Frames in one burst. */
#define OMNI_NODE_BURST 64

/*
 * Longer frames travel alone. Four of this length share a datagram on a path of 1500 bytes, which
 * saves both ends more than the copies cost; with three that is so on some ports and not on others.
 */
#define OMNI_NODE_BUNDLE_FRAME_MAX 356

/* So long at most does what goes to a WireGuard peer that moved wait for control to follow it. */
#define OMNI_ROAM_WAIT_MS 250

/* A frame in pieces is given up so long after its first piece came. */
#define OMNI_REASSEMBLY_TIMEOUT_MS 1000
/* Frames in pieces at once: of one worker, and of one peer on one worker. */
#define OMNI_REASSEMBLY_MAX 512
#define OMNI_REASSEMBLY_PEER_MAX 32

/* TCP segments in pieces at once, of one worker; also given up after that time. */
#define OMNI_GATHER_MAX 16

/*
 * Packets that wait for a key, a member or a neighbour: of one worker, of them those to addresses
 * that no peer has, those to one destination, and those to one peer while half of all is free: as
 * many as WireGuard stages, so that what TCP sends at once outlives a change of keys. And how long:
 * past a handshake that is repeated, as every first one with a box under load is
 * (OMNI_REKEY_TIMEOUT_S and up to a third of a second).
 */
#define OMNI_HOLD_MAX 512
#define OMNI_HOLD_STRANGERS_MAX 128
#define OMNI_HOLD_DEST_MAX 8
#define OMNI_HOLD_PEER_MAX 128
#define OMNI_HOLD_TIMEOUT_MS 6000
/*
 * Of those to a peer the last ones stay when their senders were told, for as long as it is called:
 * what TCP repeats to a peer that was gone for long comes seldom, and should not come in vain. Of
 * all, and those to one peer; they are a part of OMNI_HOLD_MAX.
 */
#define OMNI_HOLD_LATE_MAX 64
#define OMNI_HOLD_LATE_DEST_MAX 4
#define OMNI_HOLD_LATE_MS (OMNI_REKEY_ATTEMPT_S * 1000)

/*
 * Datagrams that come in IP fragments, which nobody vouches for: of one worker at once, and of one
 * source; also given up after OMNI_REASSEMBLY_TIMEOUT_MS.
 */
#define OMNI_OUTER_MAX 128
#define OMNI_OUTER_SOURCE_MAX 32

/* Mbufs of its pool that a worker may hold between two turns. */
#define OMNI_NODE_HELD_MAX \
	(OMNI_REASSEMBLY_MAX + OMNI_GATHER_MAX * OMNI_PIECES_MAX + OMNI_HOLD_MAX + OMNI_OUTER_MAX)

/* Workers of one process: a lane each beside control's. */
#define OMNI_NODE_WORKERS_MAX (OMNI_LANES_MAX - 1)

#define OMNI_NODE_UDP_PORTS_MAX OMNI_PORT_UDP_PORTS_MAX

/*
 * Where a worker finds everything. Constant from create to free; what the pointers lead to
 * belongs to the caller and outlives the worker.
 */
struct omni_worker_conf {
	unsigned int id;      /* 0 .. workers - 1; sends on lane id + 1 */
	unsigned int workers; /* how many there are; where fewer lanes are granted, one is shared */
	unsigned int lcore;   /* for output only */
	int socket;	      /* NUMA node of the lcore, or SOCKET_ID_ANY */
	const struct omni_port_table *ports;
	const struct omni_sessions *sessions;
	const struct omni_peers *peers;
	const struct omni_bridges *bridges;
	struct omni_fdb *fdb; /* ages in seconds of omni_clock_boot_ns */
	struct omni_fib *fib; /* NULL: there are no L3 clusters */
	struct omni_rcu *rcu; /* the worker's thread joins with id before its first turn */
	struct omni_xring *xring;
	struct omni_xring *const *xrings; /* of all workers, by id; may be NULL where they are 1 */
	struct omni_stats *stats;
	struct omni_aead *aead; /* this worker's own */
	/*
	 * Copies, fragments and reassembled frames: plain mbufs that hold the largest frame of any
	 * cluster behind the standard headroom, and OMNI_POOL_TAILROOM bytes behind it.
	 */
	struct rte_mempool *pool;
	uint16_t uplink;			    /* port id; may be published later */
	uint16_t udp_port[OMNI_NODE_UDP_PORTS_MAX]; /* that are ours, host order */
	unsigned int n_udp_ports;
	uint16_t lane_port; /* of them; where our lane leaves from, if the path has it; 0: none */
};

struct omni_worker;

/* Control. NULL with rte_errno ENOMEM or EINVAL. */
struct omni_worker *omni_node_worker_create(const struct omni_worker_conf *conf);

/* Frees what reassembly holds. The worker must have left its loop. NULL is fine. Control. */
void omni_node_worker_free(struct omni_worker *w);

const struct omni_worker_conf *omni_node_worker_conf(const struct omni_worker *w);

/*
 * One turn: what control wants sent, what other workers handed over, one burst from the uplink,
 * one from each local port, all of them through to transmit, another worker or drop. Everything
 * sealed in the turn leaves in it. Reports quiescent once, at its end, and rings the bells of
 * those for whom something was put on a ring. Returns the frames taken in. Worker.
 */
unsigned int omni_node_turn(struct omni_worker *w);

/* A queue that the worker polls. */
struct omni_node_queue {
	struct omni_port *port;
	uint16_t queue;
};

/*
 * The queues that a turn polls just now, the uplink's among them; returns how many. The
 * pointers live until the worker next reports quiescent or goes offline. Worker.
 */
unsigned int omni_node_queues(const struct omni_worker *w, struct omni_node_queue *q,
			      unsigned int max);

/*
 * TSC at which the next turn must come at the latest because something times out, or 0. Worker.
 */
uint64_t omni_node_deadline(const struct omni_worker *w);

#endif
