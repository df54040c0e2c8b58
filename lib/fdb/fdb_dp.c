/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fdb_priv.h"

void omni_fdb_lookup(const struct omni_fdb *fdb, const uint64_t *key, unsigned int n,
		     omni_dest *dest, uint32_t *slot)
{
	const void *keys[RTE_HASH_LOOKUP_BULK_MAX];
	int32_t position[RTE_HASH_LOOKUP_BULK_MAX];

	if (n == 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		keys[i] = &key[i];
	rte_hash_lookup_bulk(fdb->hash, keys, n, position);
	for (unsigned int i = 0; i < n; i++) {
		if (position[i] < 0) {
			dest[i] = OMNI_DEST_MISS;
			slot[i] = OMNI_FDB_MISS;
			continue;
		}
		slot[i] = (uint32_t)position[i];
		dest[i] = atomic_load_explicit(&fdb->entry[position[i]].dest, memory_order_acquire);
	}
}

void omni_fdb_touch(struct omni_fdb *fdb, uint32_t slot, uint32_t now_s)
{
	struct entry *e = &fdb->entry[slot];

	if (atomic_load_explicit(&e->stamp_s, memory_order_relaxed) != now_s)
		atomic_store_explicit(&e->stamp_s, now_s, memory_order_relaxed);
}

bool omni_fdb_is_damped(const struct omni_fdb *fdb, uint32_t slot)
{
	return atomic_load_explicit(&fdb->entry[slot].damped, memory_order_relaxed);
}
