/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the files of lib/fib share.
 *
 * Routes of a cluster and family stand in a tree of nodes that look at six bits of an address
 * each (decision 028). A node says for each of its 64 slots whether something follows, and for
 * each prefix that ends inside of it (shorter than a slot: 1 + 2 + .. + 32 of them) whether there
 * is a route. Levels at which nothing branches have no node, so a node names the bits above it
 * and an address is compared with them; a route alone in its slot is a leaf, whatever its length.
 *
 * Control builds a new node in place of one that gains or loses an entry and stores one pointer;
 * what a node says of entries never changes, what an entry holds may. Old nodes are used again
 * after the workers' turns.
 *
 * Addresses are numbers of 128 bits, those of IPv4 in the upper 32. The first level has two bits,
 * so that both families end at the end of a level.
 */
#ifndef FIB_H
#define FIB_H

#include <omni_fib.h>

#include "blocks.h"

__extension__ typedef unsigned __int128 fib_key;

#define LEVEL_BITS 6
#define LEVEL_FIRST_BITS 2
#define SLOTS (1u << LEVEL_BITS)
#define KEY_BITS 128

/* A reference: 0, the address of a node, or that of a leaf and this. */
#define REF_LEAF UINT64_C(1)

struct fib_leaf {
	uint64_t hi, lo; /* of the prefix, host bits zero */
	uint64_t mask_hi, mask_lo;
	_Atomic omni_dest dest;
	uint8_t len;
};

/* Entries: references of the slots with something behind them, then destinations of prefixes. */
struct fib_node {
	uint64_t hi, lo;   /* bits above the node's own, the rest zero */
	uint64_t prefixes; /* bit 1: the empty one; 2, 3: of one bit; .. 32 to 63: of five */
	uint64_t slots;
	uint8_t level;
	uint8_t n_slots;
	_Atomic uint64_t entry[];
};

static_assert(sizeof(_Atomic omni_dest) == sizeof(uint64_t), "an entry holds either");
static_assert(offsetof(struct fib_node, entry) == 40, "three entries share the first line");

/* Control's, of freed places. */
struct fib_place {
	uint32_t next;
	uint64_t token;
};

struct omni_fib {
	struct omni_rcu *rcu;
	uint32_t limit, count;
	_Atomic uint32_t version;
	_Atomic(struct omni_l3 *) cluster[OMNI_FIB_CLUSTERS_MAX];
	struct {
		_Atomic uint64_t v4, v6;
	} root[OMNI_FIB_CLUSTERS_MAX];
	struct fib_blocks blocks;
	/* Lists of places: free ones, and those that workers may still look at, oldest first. */
	uint32_t n_adjacencies, next_generation;
	uint32_t free_place, first_waiting, last_waiting;
	struct omni_adjacency *adjacency;
	struct fib_place *place;
};

static inline unsigned int fib_level(unsigned int len)
{
	return (len + LEVEL_BITS - LEVEL_FIRST_BITS) / LEVEL_BITS;
}

/* The level's bits are the lowest of key >> this. */
static inline unsigned int fib_shift(unsigned int level)
{
	return KEY_BITS - LEVEL_FIRST_BITS - LEVEL_BITS * level;
}

static inline fib_key fib_key_of(uint64_t hi, uint64_t lo)
{
	return (fib_key)hi << 64 | lo;
}

static inline uint64_t fib_below(unsigned int bit)
{
	return (UINT64_C(1) << bit) - 1;
}

/* Where the node's entry of a slot or prefix is, or would be. */
static inline unsigned int fib_slot_at(const struct fib_node *n, unsigned int slot)
{
	return (unsigned int)__builtin_popcountll(n->slots & fib_below(slot));
}

static inline unsigned int fib_prefix_at(const struct fib_node *n, unsigned int prefix)
{
	return n->n_slots + (unsigned int)__builtin_popcountll(n->prefixes & fib_below(prefix));
}

static inline const struct fib_leaf *fib_leaf_of(uint64_t ref)
{
	return (const struct fib_leaf *)(uintptr_t)(ref - REF_LEAF);
}

static inline const struct fib_node *fib_node_of(uint64_t ref)
{
	return (const struct fib_node *)(uintptr_t)ref;
}

/* ---- tree_ctl.c ---- */

/* 1 where the route is new, 0, -ENOSPC (it were new, and is not wanted), -ENOMEM. */
int fib_tree_set(struct omni_fib *fib, _Atomic uint64_t *root, fib_key key, unsigned int len,
		 omni_dest dest, bool may_add);
/* 0, -ENOENT (or another's), -ENOMEM. */
int fib_tree_del(struct omni_fib *fib, _Atomic uint64_t *root, fib_key key, unsigned int len,
		 omni_dest dest);
omni_dest fib_tree_get(const _Atomic uint64_t *root, fib_key key, unsigned int len);

/* In order of address, shorter prefixes first; non-zero of fn stops and is returned. */
int fib_tree_walk(uint64_t ref, int (*fn)(fib_key key, unsigned int len, omni_dest dest, void *arg),
		  void *arg);

#endif
