/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <omni_secret.h>

#include "fdb_priv.h"

#define SLOTS_PER_WORD 64
#define HUGE_PAGE ((size_t)2 << 20)

/* At most one address a bucket on average, so that hardly any has to pass one. */
static uint32_t buckets_for(uint32_t limit)
{
	uint32_t n = SLOTS_PER_WORD;

	while (n < limit)
		n *= 2;
	return n;
}

static uint32_t capacity(const struct omni_fdb *fdb)
{
	return (fdb->mask + 1) << WAY_SHIFT;
}

/* Zeroed. Looked into at random: on huge pages where it is that large and the kernel has some. */
static struct bucket *alloc_buckets(size_t size)
{
	bool large = size % HUGE_PAGE == 0;
	struct bucket *b = aligned_alloc(large ? HUGE_PAGE : alignof(struct bucket), size);

	if (b == NULL)
		return NULL;
	if (large)
		(void)madvise(b, size, MADV_HUGEPAGE);
	memset(b, 0, size);
	return b;
}

int slots_init(struct omni_fdb *fdb, uint32_t limit)
{
	uint32_t n = buckets_for(limit);

	fdb->limit = limit;
	fdb->mask = n - 1;
	fdb->shift = 64 - (unsigned int)__builtin_ctz(n);
	omni_random(&fdb->seed, sizeof(fdb->seed));
	fdb->bucket = alloc_buckets(n * sizeof(*fdb->bucket));
	fdb->entry = calloc(capacity(fdb), sizeof(*fdb->entry));
	fdb->used = calloc(capacity(fdb) / SLOTS_PER_WORD, sizeof(*fdb->used));
	if (fdb->bucket == NULL || fdb->entry == NULL || fdb->used == NULL)
		return -ENOMEM;
	return 0;
}

void slots_fini(struct omni_fdb *fdb)
{
	free(fdb->bucket);
	free(fdb->entry);
	free(fdb->used);
}

static bool is_used(const struct omni_fdb *fdb, uint32_t slot)
{
	return (fdb->used[slot / SLOTS_PER_WORD] >> slot % SLOTS_PER_WORD & 1) != 0;
}

static void set_used(struct omni_fdb *fdb, uint32_t slot, bool used)
{
	uint64_t bit = UINT64_C(1) << slot % SLOTS_PER_WORD;
	uint64_t *word = &fdb->used[slot / SLOTS_PER_WORD];

	*word = used ? *word | bit : *word & ~bit;
}

/* May nobody look at the slot any more? */
static bool is_ready(struct omni_fdb *fdb, uint32_t slot)
{
	struct entry *e = &fdb->entry[slot];

	if (is_used(fdb, slot))
		return false;
	if (e->token != 0 && rte_rcu_qsbr_check(fdb->qsbr, e->token, false) != 1)
		return false;
	e->token = 0;
	return true;
}

static uint32_t find_ready(struct omni_fdb *fdb, uint32_t home)
{
	for (unsigned int i = 0; i < REACH; i++) {
		uint32_t first = ((home + i) & fdb->mask) << WAY_SHIFT;

		for (uint32_t slot = first; slot < first + WAYS; slot++)
			if (is_ready(fdb, slot))
				return slot;
	}
	return OMNI_FDB_MISS;
}

/* All buckets from the key's own to the one before its slot's. */
static void count_passed(struct omni_fdb *fdb, uint64_t key, uint32_t slot, int by)
{
	for (uint32_t at = home_of(fdb, key); at != slot >> WAY_SHIFT; at = (at + 1) & fdb->mask) {
		struct bucket *b = &fdb->bucket[at];
		uint32_t passed = atomic_load_explicit(&b->passed, memory_order_relaxed);

		atomic_store_explicit(&b->passed, passed + (uint32_t)by, memory_order_relaxed);
	}
}

uint32_t slots_add(struct omni_fdb *fdb, uint64_t key, omni_dest dest, uint32_t now_s)
{
	uint32_t slot = key != 0 ? find_ready(fdb, home_of(fdb, key)) : OMNI_FDB_MISS;
	struct bucket *b;

	if (slot == OMNI_FDB_MISS)
		return slot;
	b = bucket_of(fdb, slot);
	fdb->entry[slot] = (struct entry){.window_s = now_s};
	set_used(fdb, slot, true);
	count_passed(fdb, key, slot, 1);
	atomic_store_explicit(&b->stamp_s[way_of(slot)], now_s, memory_order_relaxed);
	atomic_store_explicit(&b->dest[way_of(slot)], dest, memory_order_release);
	atomic_store_explicit(&b->key[way_of(slot)], key, memory_order_release);
	return slot;
}

void slots_remove(struct omni_fdb *fdb, uint32_t slot)
{
	struct bucket *b = bucket_of(fdb, slot);
	uint64_t key = atomic_load_explicit(&b->key[way_of(slot)], memory_order_relaxed);

	atomic_store_explicit(&b->dest[way_of(slot)], OMNI_DEST_MISS, memory_order_release);
	atomic_store_explicit(&b->key[way_of(slot)], 0, memory_order_release);
	count_passed(fdb, key, slot, -1);
	set_used(fdb, slot, false);
	fdb->entry[slot].token = rte_rcu_qsbr_start(fdb->qsbr);
}

uint32_t slots_next(const struct omni_fdb *fdb, uint32_t slot)
{
	while (slot < capacity(fdb)) {
		uint64_t word = fdb->used[slot / SLOTS_PER_WORD] >> slot % SLOTS_PER_WORD;

		if (word != 0)
			return slot + (uint32_t)__builtin_ctzll(word);
		slot = (slot / SLOTS_PER_WORD + 1) * SLOTS_PER_WORD;
	}
	return OMNI_FDB_MISS;
}
