/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The workers' side of the routes. The addresses of a burst go down the tree side by side, a
 * level in each pass, so that the fetches of all of them overlap.
 */
#include <string.h>

#include <rte_prefetch.h>

#include <omni_cursor.h>

#include "fib.h"

/* Bits of the prefixes that hold a slot, as in fib_node.prefixes. */
#define BIT(n) (UINT64_C(1) << (n))
#define P(s)                                                                                       \
	(BIT(1) | BIT(2 | (s) >> 5) | BIT(4 | (s) >> 4) | BIT(8 | (s) >> 3) | BIT(16 | (s) >> 2) | \
	 BIT(32 | (s) >> 1))
#define P4(s) P(s), P((s) + 1), P((s) + 2), P((s) + 3)
#define P16(s) P4(s), P4((s) + 4), P4((s) + 8), P4((s) + 12)

static const uint64_t holding[SLOTS] = {P16(0), P16(16), P16(32), P16(48)};
static const _Atomic omni_dest miss;

/* Addresses of a burst that differ from the one before each, and how far they are. */
struct burst {
	unsigned int n;
	uint8_t first[OMNI_FIB_BULK]; /* of each address: which one of these it is */
	uint8_t busy[OMNI_FIB_BULK];  /* those still on their way */
	uint64_t hi[OMNI_FIB_BULK], lo[OMNI_FIB_BULK];
	uint64_t ref[OMNI_FIB_BULK];
	const _Atomic omni_dest *best[OMNI_FIB_BULK];
};

const struct omni_l3 *omni_fib_cluster(const struct omni_fib *fib, uint16_t cluster)
{
	return cluster < OMNI_FIB_CLUSTERS_MAX
		       ? atomic_load_explicit(&fib->cluster[cluster], memory_order_acquire)
		       : NULL;
}

static inline bool leaf_holds(const struct fib_leaf *l, uint64_t hi, uint64_t lo, bool v6)
{
	return ((hi ^ l->hi) & l->mask_hi) == 0 && (!v6 || ((lo ^ l->lo) & l->mask_lo) == 0);
}

/* The slot of an address; SLOTS or more where its bits above are not the node's. */
static inline uint64_t slot_in(const struct fib_node *n, uint64_t hi, uint64_t lo, bool v6)
{
	unsigned int shift = fib_shift(n->level);
	fib_key differ;

	if (!v6)
		return (hi ^ n->hi) >> (shift - 64);
	differ = fib_key_of(hi ^ n->hi, lo ^ n->lo) >> shift;
	return (uint64_t)(differ >> 64) != 0 ? SLOTS : (uint64_t)differ;
}

/* One step down; false: there is no more to find. */
static inline bool step(struct burst *b, unsigned int i, bool v6)
{
	const struct fib_node *n = fib_node_of(b->ref[i]);
	uint64_t slot, held;
	unsigned int longest;

	if ((b->ref[i] & REF_LEAF) != 0) {
		const struct fib_leaf *l = fib_leaf_of(b->ref[i]);

		if (leaf_holds(l, b->hi[i], b->lo[i], v6))
			b->best[i] = &l->dest;
		return false;
	}
	slot = slot_in(n, b->hi[i], b->lo[i], v6);
	if (slot >= SLOTS)
		return false;
	held = n->prefixes & holding[slot];
	longest = 63 - (unsigned int)__builtin_clzll(held | 1);
	b->best[i] = held != 0 ? &n->entry[fib_prefix_at(n, longest)] : b->best[i];
	if ((n->slots >> slot & 1) == 0)
		return false;
	b->ref[i] = atomic_load_explicit(&n->entry[fib_slot_at(n, (unsigned int)slot)],
					 memory_order_acquire);
	rte_prefetch0((const void *)(uintptr_t)b->ref[i]);
	return true;
}

static inline void descend(struct burst *b, uint64_t root, bool v6)
{
	unsigned int busy = b->n, left;

	for (unsigned int i = 0; i < b->n; i++) {
		b->busy[i] = (uint8_t)i;
		b->ref[i] = root;
		b->best[i] = &miss;
	}
	for (; busy > 0; busy = left) {
		left = 0;
		for (unsigned int j = 0; j < busy; j++) {
			unsigned int i = b->busy[j];

			b->busy[left] = (uint8_t)i;
			left += step(b, i, v6);
		}
	}
}

static inline void take_dests(const struct burst *b, unsigned int n, omni_dest *dest)
{
	for (unsigned int i = 0; i < n; i++)
		dest[i] = atomic_load_explicit(b->best[b->first[i]], memory_order_acquire);
}

static inline uint64_t root_of(const _Atomic uint64_t *root)
{
	return atomic_load_explicit(root, memory_order_acquire);
}

void omni_fib_lookup4(const struct omni_fib *fib, uint16_t cluster, const uint32_t *v4,
		      unsigned int n, omni_dest *dest)
{
	uint64_t root = cluster < OMNI_FIB_CLUSTERS_MAX ? root_of(&fib->root[cluster].v4) : 0;
	struct burst b;

	if (root == 0) {
		memset(dest, 0, n * sizeof(*dest));
		return;
	}
	b.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (i == 0 || v4[i] != v4[i - 1])
			b.hi[b.n++] = (uint64_t)v4[i] << 32;
		b.first[i] = (uint8_t)(b.n - 1);
	}
	descend(&b, root, false);
	take_dests(&b, n, dest);
}

void omni_fib_lookup6(const struct omni_fib *fib, uint16_t cluster, const uint8_t *const *v6,
		      unsigned int n, omni_dest *dest)
{
	uint64_t root = cluster < OMNI_FIB_CLUSTERS_MAX ? root_of(&fib->root[cluster].v6) : 0;
	struct burst b;

	if (root == 0) {
		memset(dest, 0, n * sizeof(*dest));
		return;
	}
	b.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t hi = omni_load_be64(v6[i]), lo = omni_load_be64(v6[i] + 8);

		if (i == 0 || hi != b.hi[b.n - 1] || lo != b.lo[b.n - 1]) {
			b.hi[b.n] = hi;
			b.lo[b.n++] = lo;
		}
		b.first[i] = (uint8_t)(b.n - 1);
	}
	descend(&b, root, true);
	take_dests(&b, n, dest);
}

uint32_t omni_fib_version(const struct omni_fib *fib)
{
	return atomic_load_explicit(&fib->version, memory_order_acquire);
}

const struct omni_adjacency *omni_fib_adjacency(const struct omni_fib *fib, omni_dest dest)
{
	uint32_t index = omni_dest_index(dest);
	const struct omni_adjacency *a;

	if (omni_dest_kind(dest) != OMNI_DEST_HOST || index >= fib->n_adjacencies)
		return NULL;
	a = &fib->adjacency[index];
	return atomic_load_explicit(&a->generation, memory_order_acquire) == omni_dest_gen(dest)
		       ? a
		       : NULL;
}
