/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <omni_crypto.h>

#include "table.h"

#define SIZE_MIN 8

void table_init(struct table *t, size_t key_at, size_t key_len, const struct omni_key *secret)
{
	*t = (struct table){.key_at = key_at, .key_len = key_len, .secret = secret};
}

void table_free(struct table *t)
{
	free(t->slots);
	t->slots = NULL;
	t->size = t->used = 0;
}

static uint64_t hash_of(const struct table *t, const void *key)
{
	uint64_t hash;

	omni_mac((uint8_t *)&hash, sizeof(hash), t->secret, sizeof(*t->secret), key, t->key_len);
	return hash;
}

static const void *key_of(const struct table *t, const void *item)
{
	return (const char *)item + t->key_at;
}

/* The slot of key, or the free one where it would go. */
static size_t probe(const struct table *t, uint64_t hash, const void *key)
{
	size_t mask = t->size - 1, i = hash & mask;

	for (; t->slots[i].item != NULL; i = (i + 1) & mask) {
		if (t->slots[i].hash == hash &&
		    memcmp(key_of(t, t->slots[i].item), key, t->key_len) == 0)
			break;
	}
	return i;
}

void *table_find(const struct table *t, const void *key)
{
	if (t->used == 0)
		return NULL;
	return t->slots[probe(t, hash_of(t, key), key)].item;
}

static int grow(struct table *t)
{
	size_t size = t->size > 0 ? t->size * 2 : SIZE_MIN;
	struct table_slot *slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++) {
		size_t to = t->slots[i].hash & (size - 1);

		if (t->slots[i].item == NULL)
			continue;
		while (slots[to].item != NULL)
			to = (to + 1) & (size - 1);
		slots[to] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->size = size;
	return 0;
}

int table_insert(struct table *t, void *item)
{
	const void *key = key_of(t, item);
	uint64_t hash = hash_of(t, key);
	size_t i;

	/* At most three quarters full. */
	if (4 * (t->used + 1) > 3 * t->size && grow(t) != 0)
		return -ENOMEM;
	i = probe(t, hash, key);
	assert(t->slots[i].item == NULL);
	t->slots[i] = (struct table_slot){.hash = hash, .item = item};
	t->used++;
	return 0;
}

void table_remove(struct table *t, const void *item)
{
	const void *key = key_of(t, item);
	size_t mask = t->size - 1, hole, i;

	assert(t->used > 0);
	hole = probe(t, hash_of(t, key), key);
	assert(t->slots[hole].item == item);
	/* Move up what the hole would hide: items whose home is not between it and their slot. */
	for (i = (hole + 1) & mask; t->slots[i].item != NULL; i = (i + 1) & mask) {
		size_t home = t->slots[i].hash & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			t->slots[hole] = t->slots[i];
			hole = i;
		}
	}
	t->slots[hole].item = NULL;
	t->used--;
}
