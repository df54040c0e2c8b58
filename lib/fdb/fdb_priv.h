/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef OMNI_FDB_PRIV_H
#define OMNI_FDB_PRIV_H

#include <rte_hash.h>

#include <omni_fdb.h>

/* One MAC address, at its key's position in the hash. */
struct entry {
	_Atomic omni_dest dest;	  /* control writes, workers read; MISS while unused */
	_Atomic uint32_t stamp_s; /* workers write (relaxed), control reads */
	_Atomic bool damped;	  /* control writes, workers read */
	uint8_t moves;		  /* control */
	uint32_t window_s;	  /* control: start of the window that `moves` counts in */
	uint32_t damped_until_s;  /* control */
};

/*
 * The position of a deleted key is given out again only after every worker's turn (rte_hash's
 * defer queue), and its dest is MISS from the deletion on: a worker that still holds the
 * position reads "unknown", never another address's destination.
 */
struct omni_fdb {
	struct rte_hash *hash;
	struct entry *entry;
	uint32_t count; /* control; rte_hash_count would include keys that wait to be freed */
	struct domain {
		uint32_t count, limit; /* limit 0: none */
	} domain[OMNI_BRIDGES_MAX];
	uint32_t *of_peer; /* control: entries behind each peer index below n_of_peer */
	uint32_t n_of_peer;
};

#endif
