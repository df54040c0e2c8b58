/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fdb_priv.h"

/* The buckets of all keys, on their way into the cache together. */
static inline void find_homes(const struct omni_fdb *fdb, const uint64_t *key, unsigned int n,
			      uint32_t *home)
{
	assert(n <= OMNI_FDB_BULK);
	for (unsigned int i = 0; i < n; i++) {
		home[i] = home_of(fdb, key[i]);
		__builtin_prefetch(&fdb->bucket[home[i]], 0, 2);
	}
}

static inline void touch(struct bucket *b, unsigned int way, uint32_t now_s)
{
	if (atomic_load_explicit(&b->stamp_s[way], memory_order_relaxed) != now_s)
		atomic_store_explicit(&b->stamp_s[way], now_s, memory_order_relaxed);
}

void omni_fdb_lookup(const struct omni_fdb *fdb, const uint64_t *key, unsigned int n,
		     omni_dest *dest)
{
	uint32_t home[OMNI_FDB_BULK];

	find_homes(fdb, key, n, home);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t slot = find(fdb, key[i], home[i]);

		dest[i] = slot != OMNI_FDB_MISS ? dest_at(fdb, slot) : OMNI_DEST_MISS;
	}
}

uint64_t omni_fdb_seen(struct omni_fdb *fdb, const uint64_t *key, const omni_dest *from,
		       unsigned int n, uint32_t now_s)
{
	uint32_t home[OMNI_FDB_BULK];
	uint64_t other = 0;

	find_homes(fdb, key, n, home);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t slot = find(fdb, key[i], home[i]);

		if (__builtin_expect(slot != OMNI_FDB_MISS && dest_at(fdb, slot) == from[i], 1))
			touch(bucket_of(fdb, slot), way_of(slot), now_s);
		else
			other |= UINT64_C(1) << i;
	}
	return other;
}

enum omni_fdb_where omni_fdb_where(const struct omni_fdb *fdb, uint64_t key)
{
	uint32_t slot = find(fdb, key, home_of(fdb, key));

	if (slot == OMNI_FDB_MISS || dest_at(fdb, slot) == OMNI_DEST_MISS)
		return OMNI_FDB_NOWHERE;
	return atomic_load_explicit(&fdb->entry[slot].damped, memory_order_relaxed)
		       ? OMNI_FDB_HELD
		       : OMNI_FDB_ELSEWHERE;
}
