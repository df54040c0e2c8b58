/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The table of MAC addresses: buckets of one cache line, three addresses each, with all that a
 * worker reads or writes about them. An address stands in the bucket that its hash names, or,
 * where that is full, in one of the next; every bucket counts the addresses that had to pass it.
 * So a lookup ends at the first bucket that nobody passed, nearly always the first of all.
 * Addresses never move.
 */
#ifndef OMNI_FDB_PRIV_H
#define OMNI_FDB_PRIV_H

#include <stdalign.h>

#include <omni_fdb.h>

#define WAYS 3
#define WAY_SHIFT 2 /* a slot is bucket << WAY_SHIFT | way */
/* An address stands at most so many buckets behind its own, at a load of a third: always. */
#define REACH 16

struct bucket {
	alignas(64) _Atomic uint64_t key[WAYS]; /* control writes, workers read; 0: unused */
	_Atomic omni_dest dest[WAYS];		/* control writes, workers read; unused: MISS */
	_Atomic uint32_t stamp_s[WAYS];		/* workers write (relaxed), control reads */
	_Atomic uint32_t passed;		/* control writes, workers read */
};

static_assert(sizeof(struct bucket) == 64, "one cache line");

/* What control alone keeps about a slot; workers read damped. */
struct entry {
	uint64_t token;	   /* of when it was last cleared; 0: never */
	uint32_t window_s; /* start of the window that `moves` counts in */
	uint32_t damped_until_s;
	uint8_t moves;
	_Atomic bool damped;
};

/*
 * A cleared slot is used again only after every worker's turn: a worker that found its key reads
 * MISS behind it, never another address's destination.
 */
struct omni_fdb {
	struct bucket *bucket;
	uint32_t mask; /* buckets - 1 */
	unsigned int shift;
	uint64_t seed;	     /* so that nobody can choose addresses of one bucket */
	struct entry *entry; /* by slot */
	uint64_t *used;	     /* control: a bit for each slot */
	struct rte_rcu_qsbr *qsbr;
	uint32_t count, limit; /* control */
	struct domain {
		uint32_t count, limit; /* limit 0: none */
	} domain[OMNI_BRIDGES_MAX];
	uint32_t *of_peer; /* control: entries behind each peer index below n_of_peer */
	uint32_t n_of_peer;
};

/*
 * The bucket of a key: murmur3's finalizer, shortened. One multiplication is not enough: numbers
 * that follow each other, as addresses of one maker do, then crowd in places for some factors.
 */
static inline uint32_t home_of(const struct omni_fdb *fdb, uint64_t key)
{
	uint64_t x = (key ^ fdb->seed) * UINT64_C(0xff51afd7ed558ccd);

	return (uint32_t)((x ^ x >> 32) * UINT64_C(0xc4ceb9fe1a85ec53) >> fdb->shift);
}

/* Slot of a key, whose bucket is home and which is not its first; OMNI_FDB_MISS. */
static inline uint32_t find_further(const struct omni_fdb *fdb, uint64_t key, uint32_t home)
{
	for (unsigned int i = 0; i < REACH; i++, home = (home + 1) & fdb->mask) {
		const struct bucket *b = &fdb->bucket[home];
		unsigned int hit = 0;

		for (unsigned int way = 0; way < WAYS; way++)
			hit |= (unsigned int)(atomic_load_explicit(&b->key[way],
								   memory_order_acquire) == key)
			       << way;
		if (__builtin_expect(hit != 0, 1))
			return home << WAY_SHIFT | (unsigned int)__builtin_ctz(hit);
		if (__builtin_expect(atomic_load_explicit(&b->passed, memory_order_relaxed) == 0,
				     1))
			break;
	}
	return OMNI_FDB_MISS;
}

/* Slot of a key, whose bucket is home; OMNI_FDB_MISS. Worker or control. */
static inline uint32_t find(const struct omni_fdb *fdb, uint64_t key, uint32_t home)
{
	const struct bucket *b = &fdb->bucket[home];

	/* Most stand alone in their bucket. */
	if (__builtin_expect(atomic_load_explicit(&b->key[0], memory_order_acquire) == key, 1))
		return home << WAY_SHIFT;
	return find_further(fdb, key, home);
}

static inline struct bucket *bucket_of(const struct omni_fdb *fdb, uint32_t slot)
{
	return &fdb->bucket[slot >> WAY_SHIFT];
}

static inline unsigned int way_of(uint32_t slot)
{
	return slot & ((1U << WAY_SHIFT) - 1);
}

static inline omni_dest dest_at(const struct omni_fdb *fdb, uint32_t slot)
{
	return atomic_load_explicit(&bucket_of(fdb, slot)->dest[way_of(slot)],
				    memory_order_acquire);
}

/* ---- slots.c: control ---- */

/* Room for limit addresses; 0 or -ENOMEM. */
int slots_init(struct omni_fdb *fdb, uint32_t limit);
void slots_fini(struct omni_fdb *fdb);
/* Slot of a new key with its first values; OMNI_FDB_MISS: no room near its bucket. */
uint32_t slots_add(struct omni_fdb *fdb, uint64_t key, omni_dest dest, uint32_t now_s);
void slots_remove(struct omni_fdb *fdb, uint32_t slot);
/* The first slot in use from slot on; OMNI_FDB_MISS: none. */
uint32_t slots_next(const struct omni_fdb *fdb, uint32_t slot);

#endif
