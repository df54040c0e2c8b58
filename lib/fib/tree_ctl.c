/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Changes of a tree. Every node has two entries at least: what would have one is a leaf, or is
 * what that entry leads to.
 */
#include <errno.h>

#include <rte_prefetch.h>

#include "fib.h"

/* A change retires a node and a leaf at most. */
#define RETIRE_MAX 2

/* A prefix inside of a node, or a reference in one of its slots. */
struct item {
	bool slot;
	unsigned int at;
	uint64_t value;
};

/* ---- Numbers ---- */

static fib_key mask_of(unsigned int len)
{
	return len == 0 ? 0 : ~(fib_key)0 << (KEY_BITS - len);
}

static unsigned int slot_of(fib_key key, unsigned int level)
{
	return (unsigned int)(key >> fib_shift(level)) & (SLOTS - 1);
}

/* Bits that the levels above look at. */
static unsigned int bits_above(unsigned int level)
{
	return level == 0 ? 0 : LEVEL_BITS * level - (LEVEL_BITS - LEVEL_FIRST_BITS);
}

/* Length of a prefix counted from the level's begin, where the first one begins at -4. */
static unsigned int depth_of(unsigned int len, unsigned int level)
{
	return len + LEVEL_BITS - LEVEL_FIRST_BITS - LEVEL_BITS * level;
}

static unsigned int prefix_of(fib_key key, unsigned int len, unsigned int level)
{
	unsigned int depth = depth_of(len, level);

	return 1u << depth | slot_of(key, level) >> (LEVEL_BITS - depth);
}

/* How many bits two prefixes have in common. */
static unsigned int common(fib_key a, unsigned int a_len, fib_key b, unsigned int b_len)
{
	fib_key differ = a ^ b;
	uint64_t hi = (uint64_t)(differ >> 64), lo = (uint64_t)differ;
	unsigned int same = KEY_BITS;

	if (hi != 0)
		same = (unsigned int)__builtin_clzll(hi);
	else if (lo != 0)
		same = 64 + (unsigned int)__builtin_clzll(lo);
	return OMNI_MIN(same, OMNI_MIN(a_len, b_len));
}

static fib_key node_key(const struct fib_node *n)
{
	return fib_key_of(n->hi, n->lo);
}

static fib_key leaf_key(const struct fib_leaf *l)
{
	return fib_key_of(l->hi, l->lo);
}

/* May the prefix stand in the node or below it? */
static bool is_below(const struct fib_node *n, fib_key key, unsigned int len)
{
	return fib_level(len) >= n->level &&
	       ((key ^ node_key(n)) & mask_of(bits_above(n->level))) == 0;
}

/* ---- Blocks ---- */

static unsigned int entries(const struct fib_node *n)
{
	return n->n_slots + (unsigned int)__builtin_popcountll(n->prefixes);
}

static size_t node_len(unsigned int n)
{
	return offsetof(struct fib_node, entry) + n * sizeof(uint64_t);
}

static_assert(offsetof(struct fib_node, entry) + (2 * SLOTS - 1) * sizeof(uint64_t) <=
		      FIB_LINES_MAX * RTE_CACHE_LINE_SIZE,
	      "a full node is a block");

static uint64_t load(const _Atomic uint64_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

static void publish(_Atomic uint64_t *at, uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_release);
}

static uint64_t new_leaf(struct omni_fib *fib, fib_key key, unsigned int len, omni_dest dest)
{
	struct fib_leaf *l = fib_block_new(&fib->blocks, sizeof(*l));
	fib_key mask = mask_of(len);

	if (l == NULL)
		return 0;
	l->hi = (uint64_t)(key >> 64);
	l->lo = (uint64_t)key;
	l->mask_hi = (uint64_t)(mask >> 64);
	l->mask_lo = (uint64_t)mask;
	l->len = (uint8_t)len;
	atomic_init(&l->dest, dest);
	return (uint64_t)(uintptr_t)l | REF_LEAF;
}

static void free_leaf(struct omni_fib *fib, uint64_t ref)
{
	if (ref != 0)
		fib_block_free(&fib->blocks, (void *)(uintptr_t)(ref - REF_LEAF),
			       sizeof(struct fib_leaf));
}

static void retire_leaf(struct omni_fib *fib, uint64_t ref)
{
	fib_block_retire(&fib->blocks, fib->rcu, (void *)(uintptr_t)(ref - REF_LEAF),
			 sizeof(struct fib_leaf));
}

static void retire_node(struct omni_fib *fib, const struct fib_node *n)
{
	fib_block_retire(&fib->blocks, fib->rcu, (void *)(uintptr_t)n, node_len(entries(n)));
}

/* Its entries are the caller's to fill. */
static struct fib_node *new_node(struct omni_fib *fib, unsigned int level, fib_key key,
				 uint64_t prefixes, uint64_t slots)
{
	unsigned int n_slots = (unsigned int)__builtin_popcountll(slots);
	unsigned int n = n_slots + (unsigned int)__builtin_popcountll(prefixes);
	struct fib_node *node = fib_block_new(&fib->blocks, node_len(n));

	if (node == NULL)
		return NULL;
	key &= mask_of(bits_above(level));
	node->hi = (uint64_t)(key >> 64);
	node->lo = (uint64_t)key;
	node->level = (uint8_t)level;
	node->prefixes = prefixes;
	node->slots = slots;
	node->n_slots = (uint8_t)n_slots;
	return node;
}

static uint64_t bit_if(bool yes, unsigned int at)
{
	return yes ? UINT64_C(1) << at : 0;
}

/* The item's entry, if it has one. */
static _Atomic uint64_t *entry_of(const struct fib_node *n, const struct item *item)
{
	unsigned int at = item->slot ? fib_slot_at(n, item->at) : fib_prefix_at(n, item->at);

	return (_Atomic uint64_t *)(uintptr_t)&n->entry[at];
}

static bool has(const struct fib_node *n, const struct item *item)
{
	return ((item->slot ? n->slots : n->prefixes) >> item->at & 1) != 0;
}

static void copy_entries(struct fib_node *to, const struct fib_node *from, unsigned int to_at,
			 unsigned int from_at, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		atomic_init(&to->entry[to_at + i], load(&from->entry[from_at + i]));
}

/* ---- Adding ---- */

/* The prefix as a node of that level holds it; 0 for its value: no memory. */
static struct item item_of(struct omni_fib *fib, unsigned int level, fib_key key, unsigned int len,
			   omni_dest dest)
{
	if (fib_level(len) == level)
		return (struct item){.at = prefix_of(key, len, level), .value = dest};
	return (struct item){
		.slot = true, .at = slot_of(key, level), .value = new_leaf(fib, key, len, dest)};
}

/* A copy of the node with one entry more takes its place. */
static int add_entry(struct omni_fib *fib, _Atomic uint64_t *ref, fib_key key, unsigned int len,
		     omni_dest dest)
{
	const struct fib_node *old = fib_node_of(load(ref));
	struct item item = item_of(fib, old->level, key, len, dest);
	unsigned int n = entries(old), at;
	struct fib_node *more = NULL;

	if (!item.slot || item.value != 0)
		more = new_node(fib, old->level, node_key(old),
				old->prefixes | bit_if(!item.slot, item.at),
				old->slots | bit_if(item.slot, item.at));
	if (more == NULL) {
		if (item.slot)
			free_leaf(fib, item.value);
		return -ENOMEM;
	}
	at = (unsigned int)(entry_of(more, &item) - more->entry);
	copy_entries(more, old, 0, 0, at);
	atomic_init(&more->entry[at], item.value);
	copy_entries(more, old, at + 1, at, n - at);
	publish(ref, (uint64_t)(uintptr_t)more);
	retire_node(fib, old);
	return 1;
}

/* A node of what stands at ref and the prefix, which part ways at that level. */
static int join(struct omni_fib *fib, _Atomic uint64_t *ref, unsigned int level,
		const struct item *old, fib_key key, unsigned int len, omni_dest dest)
{
	struct item item = item_of(fib, level, key, len, dest);
	struct fib_node *n = NULL;

	if (!item.slot || item.value != 0)
		n = new_node(fib, level, key,
			     bit_if(!item.slot, item.at) | bit_if(!old->slot, old->at),
			     bit_if(item.slot, item.at) | bit_if(old->slot, old->at));
	if (n == NULL) {
		if (item.slot)
			free_leaf(fib, item.value);
		return -ENOMEM;
	}
	atomic_init(entry_of(n, &item), item.value);
	atomic_init(entry_of(n, old), old->value);
	publish(ref, (uint64_t)(uintptr_t)n);
	return 1;
}

static int join_leaf(struct omni_fib *fib, _Atomic uint64_t *ref, fib_key key, unsigned int len,
		     omni_dest dest)
{
	uint64_t old = load(ref);
	const struct fib_leaf *l = fib_leaf_of(old);
	unsigned int level = fib_level(common(key, len, leaf_key(l), l->len));
	struct item item = {.slot = true, .at = slot_of(leaf_key(l), level), .value = old};
	int rc;

	if (fib_level(l->len) == level)
		item = (struct item){.at = prefix_of(leaf_key(l), l->len, level),
				     .value = load(&l->dest)};
	rc = join(fib, ref, level, &item, key, len, dest);
	if (rc > 0 && !item.slot)
		retire_leaf(fib, old);
	return rc;
}

static int join_node(struct omni_fib *fib, _Atomic uint64_t *ref, fib_key key, unsigned int len,
		     omni_dest dest)
{
	uint64_t old = load(ref);
	const struct fib_node *n = fib_node_of(old);
	unsigned int same = common(key, len, node_key(n), bits_above(n->level));
	struct item item = {
		.slot = true, .at = slot_of(node_key(n), fib_level(same)), .value = old};

	return join(fib, ref, fib_level(same), &item, key, len, dest);
}

/* ---- Finding ---- */

/* Where a prefix is, or where the way to it ends. */
struct place {
	_Atomic uint64_t *dest; /* NULL: it is not here */
	_Atomic uint64_t *ref;	/* of the leaf that it is, of the node that it is in, of the end */
	_Atomic uint64_t *up;	/* of the node that holds ref; NULL: ref is the root */
	struct item item;	/* its entry in the node of ref, or in that of up for a leaf */
};

static bool is_leaf_of(uint64_t ref, fib_key key, unsigned int len)
{
	const struct fib_leaf *l = fib_leaf_of(ref);

	return l->len == len && leaf_key(l) == key;
}

static struct place find(const _Atomic uint64_t *root, fib_key key, unsigned int len)
{
	struct place p = {.ref = (_Atomic uint64_t *)(uintptr_t)root};
	uint64_t ref;

	while ((ref = load(p.ref)) != 0) {
		const struct fib_node *n = fib_node_of(ref);

		if ((ref & REF_LEAF) != 0) {
			if (is_leaf_of(ref, key, len))
				p.dest = (_Atomic uint64_t *)(uintptr_t)&fib_leaf_of(ref)->dest;
			break;
		}
		if (!is_below(n, key, len))
			break;
		p.item.slot = fib_level(len) > n->level;
		p.item.at = p.item.slot ? slot_of(key, n->level) : prefix_of(key, len, n->level);
		if (!p.item.slot && has(n, &p.item))
			p.dest = entry_of(n, &p.item);
		if (!p.item.slot || !has(n, &p.item))
			break;
		p.up = p.ref;
		p.ref = entry_of(n, &p.item);
	}
	return p;
}

int fib_tree_set(struct omni_fib *fib, _Atomic uint64_t *root, fib_key key, unsigned int len,
		 omni_dest dest, bool may_add)
{
	struct place p;
	uint64_t ref;

	key &= mask_of(len);
	p = find(root, key, len);
	if (p.dest != NULL) {
		publish(p.dest, dest);
		return 0;
	}
	if (!may_add)
		return -ENOSPC;
	if (fib_blocks_prepare(&fib->blocks, fib->rcu, RETIRE_MAX) < 0)
		return -ENOMEM;
	ref = load(p.ref);
	if (ref == 0) {
		ref = new_leaf(fib, key, len, dest);
		publish(p.ref, ref);
		return ref != 0 ? 1 : -ENOMEM;
	}
	if ((ref & REF_LEAF) != 0)
		return join_leaf(fib, p.ref, key, len, dest);
	if (!is_below(fib_node_of(ref), key, len))
		return join_node(fib, p.ref, key, len, dest);
	return add_entry(fib, p.ref, key, len, dest);
}

omni_dest fib_tree_get(const _Atomic uint64_t *root, fib_key key, unsigned int len)
{
	struct place p = find(root, key & mask_of(len), len);

	return p.dest != NULL ? load(p.dest) : OMNI_DEST_MISS;
}

/* ---- Removing ---- */

/* Address and length of a node's prefix. */
static fib_key key_of_prefix(const struct fib_node *n, unsigned int prefix, unsigned int *len)
{
	unsigned int depth = 31 - (unsigned int)__builtin_clz(prefix);
	unsigned int slot = (prefix - (1u << depth)) << (LEVEL_BITS - depth);

	*len = LEVEL_BITS * n->level + depth - (LEVEL_BITS - LEVEL_FIRST_BITS);
	return node_key(n) | (fib_key)slot << fib_shift(n->level);
}

/* What takes the place of a node that keeps only one entry; 0: no memory. */
static uint64_t last_entry(struct omni_fib *fib, const struct fib_node *n, const struct item *lost)
{
	uint64_t slots = n->slots & ~bit_if(lost->slot, lost->at);
	uint64_t prefixes = n->prefixes & ~bit_if(!lost->slot, lost->at);
	unsigned int prefix, len;
	fib_key key;

	if (slots != 0)
		return load(&n->entry[fib_slot_at(n, (unsigned int)__builtin_ctzll(slots))]);
	prefix = (unsigned int)__builtin_ctzll(prefixes);
	key = key_of_prefix(n, prefix, &len);
	return new_leaf(fib, key, len, load(&n->entry[fib_prefix_at(n, prefix)]));
}

static uint64_t without_entry(struct omni_fib *fib, const struct fib_node *old,
			      const struct item *lost)
{
	unsigned int n = entries(old), at = (unsigned int)(entry_of(old, lost) - old->entry);
	struct fib_node *less = new_node(fib, old->level, node_key(old),
					 old->prefixes & ~bit_if(!lost->slot, lost->at),
					 old->slots & ~bit_if(lost->slot, lost->at));

	if (less == NULL)
		return 0;
	copy_entries(less, old, 0, 0, at);
	copy_entries(less, old, at, at + 1, n - at - 1);
	return (uint64_t)(uintptr_t)less;
}

static int drop_entry(struct omni_fib *fib, _Atomic uint64_t *ref, const struct item *lost)
{
	const struct fib_node *old = fib_node_of(load(ref));
	uint64_t less =
		entries(old) == 2 ? last_entry(fib, old, lost) : without_entry(fib, old, lost);

	if (less == 0)
		return -ENOMEM;
	publish(ref, less);
	retire_node(fib, old);
	return 0;
}

int fib_tree_del(struct omni_fib *fib, _Atomic uint64_t *root, fib_key key, unsigned int len,
		 omni_dest dest)
{
	struct place p = find(root, key & mask_of(len), len);
	uint64_t ref;
	int rc = 0;

	if (p.dest == NULL || (dest != OMNI_DEST_MISS && load(p.dest) != dest))
		return -ENOENT;
	if (fib_blocks_prepare(&fib->blocks, fib->rcu, RETIRE_MAX) < 0)
		return -ENOMEM;
	ref = load(p.ref);
	if ((ref & REF_LEAF) == 0)
		return drop_entry(fib, p.ref, &p.item);
	if (p.up != NULL)
		rc = drop_entry(fib, p.up, &p.item);
	else
		publish(p.ref, 0);
	if (rc == 0)
		retire_leaf(fib, ref);
	return rc;
}

/* ---- All of them ---- */

/* Slots at which something begins: a prefix, or what stands behind the slot. */
static uint64_t beginnings(const struct fib_node *n)
{
	uint64_t found = n->slots;

	for (uint64_t left = n->prefixes; left != 0; left &= left - 1) {
		unsigned int prefix = (unsigned int)__builtin_ctzll(left);
		unsigned int depth = 31 - (unsigned int)__builtin_clz(prefix);

		found |= UINT64_C(1) << ((prefix - (1u << depth)) << (LEVEL_BITS - depth));
	}
	return found;
}

/* The prefixes that begin at a slot, shortest first, then what stands behind it. */
static int walk_slot(const struct fib_node *n, unsigned int slot,
		     int (*fn)(fib_key key, unsigned int len, omni_dest dest, void *arg), void *arg)
{
	int rc = 0;

	for (unsigned int depth = 0; depth < LEVEL_BITS && rc == 0; depth++) {
		struct item item = {.at = 1u << depth | slot >> (LEVEL_BITS - depth)};
		unsigned int len;
		fib_key key;

		if ((slot & ((SLOTS >> depth) - 1)) != 0 || !has(n, &item))
			continue;
		key = key_of_prefix(n, item.at, &len);
		rc = fn(key, len, load(entry_of(n, &item)), arg);
	}
	if (rc == 0 && (n->slots >> slot & 1) != 0)
		rc = fib_tree_walk(load(&n->entry[fib_slot_at(n, slot)]), fn, arg);
	return rc;
}

int fib_tree_walk(uint64_t ref, int (*fn)(fib_key key, unsigned int len, omni_dest dest, void *arg),
		  void *arg)
{
	const struct fib_leaf *l = fib_leaf_of(ref);
	const struct fib_node *n = fib_node_of(ref);
	int rc = 0;

	if (ref == 0)
		return 0;
	if ((ref & REF_LEAF) != 0)
		return fn(leaf_key(l), l->len, load(&l->dest), arg);
	for (unsigned int i = 0; i < n->n_slots; i++)
		rte_prefetch0((const void *)(uintptr_t)load(&n->entry[i]));
	for (uint64_t left = beginnings(n); left != 0 && rc == 0; left &= left - 1)
		rc = walk_slot(n, (unsigned int)__builtin_ctzll(left), fn, arg);
	return rc;
}
