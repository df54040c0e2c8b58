/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bridge domains (one per L2 cluster) and the table of MAC addresses. Workers look up and stamp
 * ages; control learns, moves, ages and flushes.
 */
#ifndef OMNI_FDB_H
#define OMNI_FDB_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni_base.h>
#include <omni_dest.h>
#include <omni_rcu.h>

#define OMNI_BRIDGES_MAX 256

/* ---- MAC table ---- */

/* Key: bridge domain in the upper 16 bits, MAC in the lower 48 as a big-endian number. */
static inline uint64_t omni_fdb_key(uint16_t domain, const uint8_t mac[6])
{
	return (uint64_t)domain << 48 | (uint64_t)mac[0] << 40 | (uint64_t)mac[1] << 32 |
	       (uint64_t)mac[2] << 24 | (uint64_t)mac[3] << 16 | (uint64_t)mac[4] << 8 | mac[5];
}

struct omni_fdb;

/* limit: entries at most. NULL with rte_errno. Control. */
struct omni_fdb *omni_fdb_create(uint32_t limit, struct omni_rcu *rcu);
void omni_fdb_free(struct omni_fdb *fdb);

#define OMNI_FDB_MISS UINT32_MAX
#define OMNI_FDB_BULK 64 /* keys in one call */

/*
 * Look up n <= OMNI_FDB_BULK keys: dest[i] is OMNI_DEST_MISS where unknown. Worker or control.
 */
void omni_fdb_lookup(const struct omni_fdb *fdb, const uint64_t *key, unsigned int n,
		     omni_dest *dest);

/*
 * n <= OMNI_FDB_BULK addresses were seen as senders at from[i]. Those that live there get their
 * age stamped with now_s (any clock in whole seconds, the same as omni_fdb_age gets): a relaxed
 * store, and only where the second differs. Bit i of the result: the table does not have key[i]
 * there. Worker.
 */
uint64_t omni_fdb_seen(struct omni_fdb *fdb, const uint64_t *key, const omni_dest *from,
		       unsigned int n, uint32_t now_s);

/* What the table says of an address that it does not have where it was seen. */
enum omni_fdb_where {
	OMNI_FDB_NOWHERE, /* unknown */
	OMNI_FDB_ELSEWHERE,
	OMNI_FDB_HELD, /* elsewhere, and its moves are refused just now: its frames are dropped */
};

/* Worker. */
enum omni_fdb_where omni_fdb_where(const struct omni_fdb *fdb, uint64_t key);

enum omni_fdb_verdict {
	OMNI_FDB_SAME,	  /* known there already */
	OMNI_FDB_LEARNED, /* new */
	OMNI_FDB_MOVED,	  /* was elsewhere */
	OMNI_FDB_DAMPED,  /* moves too often: stays for a while, then forgotten and learned anew */
	OMNI_FDB_FULL,	  /* not learned */
};

/* Moves of one MAC within OMNI_FDB_MOVE_WINDOW_S beyond this many are refused. */
#define OMNI_FDB_MOVES_MAX 5
#define OMNI_FDB_MOVE_WINDOW_S 10
#define OMNI_FDB_DAMP_S 10

/*
 * The domain may have limit entries (0: as many as there is room for), of which no single peer
 * gets more than one in OMNI_FDB_PEER_SHARE: a member that invents addresses leaves room for the
 * others and for local ports. Control.
 */
#define OMNI_FDB_PEER_SHARE 4
void omni_fdb_set_limit(struct omni_fdb *fdb, uint16_t domain, uint32_t limit);

/* Control. */
enum omni_fdb_verdict omni_fdb_learn(struct omni_fdb *fdb, uint64_t key, omni_dest dest,
				     uint32_t now_s);

/* Forget entries of the domain (OMNI_FDB_ANY: all) older than ageing_s; how many. Control. */
unsigned int omni_fdb_age(struct omni_fdb *fdb, uint16_t domain, uint32_t now_s, uint32_t ageing_s);

/*
 * Forget entries: of the domain (or all where domain is OMNI_FDB_ANY), with that destination
 * (kind and index; OMNI_DEST_MISS: any), with that key (0: any). Returns how many. Control.
 */
#define OMNI_FDB_ANY UINT16_MAX
unsigned int omni_fdb_flush(struct omni_fdb *fdb, uint16_t domain, omni_dest dest, uint64_t key);

struct omni_fdb_entry {
	uint64_t key;
	omni_dest dest;
	uint32_t age_s; /* the stamp: subtract from now */
};

/* Call fn for each entry; return of non-zero stops. Control. */
void omni_fdb_walk(const struct omni_fdb *fdb, int (*fn)(const struct omni_fdb_entry *, void *arg),
		   void *arg);
uint32_t omni_fdb_count(const struct omni_fdb *fdb);

/* ---- Bridge domains ---- */

#define OMNI_BRIDGE_PORTS_MAX 16

/* Who gets a flooded frame: immutable, control replaces the whole list. */
struct omni_flood {
	struct omni_rcu_node rcu; /* control's */
	uint32_t n_peers;
	uint16_t n_ports;
	uint16_t port[OMNI_BRIDGE_PORTS_MAX];
	struct {
		uint32_t index, generation;
	} peer[];
};

#define OMNI_MSS_OFF 0
#define OMNI_MSS_AUTO UINT16_MAX

struct omni_bridge {
	_Atomic(struct omni_flood *) flood; /* control writes, workers read; NULL: unused domain */
	_Atomic uint32_t flood_rate; /* frames per second each worker may flood; 0: no limit */
	_Atomic uint16_t tcp_mss;    /* the most; OMNI_MSS_AUTO: by the peer's path; _OFF */
	_Atomic bool bundles;	     /* short frames to a peer may share a datagram */
};

#define OMNI_BRIDGE_NONE UINT16_MAX
#define OMNI_BRIDGE_PORT_SLOTS 64

struct omni_bridges {
	struct omni_bridge at[OMNI_BRIDGES_MAX];	  /* by domain = cluster number */
	_Atomic uint16_t of_port[OMNI_BRIDGE_PORT_SLOTS]; /* domain of a local port, or NONE */
};

/* Control. */
struct omni_bridges *omni_bridges_create(void);
void omni_bridges_free(struct omni_bridges *b);

/* Replace the domain's flood list by a copy of what is given; 0 or -ENOMEM. Control. */
int omni_bridge_set(struct omni_bridges *b, uint16_t domain, const uint16_t *ports,
		    uint16_t n_ports, const uint32_t *peer_index, const uint32_t *peer_gen,
		    uint32_t n_peers, struct omni_rcu *rcu);

static inline const struct omni_flood *omni_bridge_flood(const struct omni_bridges *b,
							 uint16_t domain)
{
	if (domain >= OMNI_BRIDGES_MAX)
		return NULL;
	return atomic_load_explicit(&b->at[domain].flood, memory_order_acquire);
}

#endif
