/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A hash table of pointers to structs that hold their key: open addressing, linear probing,
 * removal by shifting back, so that no tombstones gather. Hashed with a secret, because most
 * keys are chosen by strangers. The items stay the caller's.
 */
#ifndef NUCLEUS_TABLE_H
#define NUCLEUS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <omni_base.h>

struct table_slot {
	uint64_t hash;
	void *item; /* NULL: free */
};

struct table {
	struct table_slot *slots;
	size_t size; /* a power of two, or 0 before the first insert */
	size_t used;
	size_t key_at, key_len; /* where an item holds its key */
	const struct omni_key *secret;
};

void table_init(struct table *t, size_t key_at, size_t key_len, const struct omni_key *secret);
/* Free the slots, not the items. */
void table_free(struct table *t);
/* The item with this key, or NULL. */
void *table_find(const struct table *t, const void *key);
/* Add an item whose key is not there yet. 0 or -ENOMEM. */
int table_insert(struct table *t, void *item) OMNI_MUST_CHECK;
/* Take out an item that is there. */
void table_remove(struct table *t, const void *item);

/* Walk: the next item at or after *at, which is moved behind it; NULL at the end. */
static inline void *table_next(const struct table *t, size_t *at)
{
	while (*at < t->size) {
		void *item = t->slots[(*at)++].item;

		if (item != NULL)
			return item;
	}
	return NULL;
}

#endif
