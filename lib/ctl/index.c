/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A hash table of links inside other structs. Keys may come from strangers, so the hash is keyed
 * with random bits.
 */
#include <assert.h>

#include <rte_jhash.h>

#include "ctl_priv.h"

#define KEY_MAX 32

int ctl_index_init(struct ctl_index *index, uint32_t want)
{
	uint32_t size = 64;

	while (size < want && size < UINT32_C(1) << 24)
		size <<= 1;
	index->bucket = calloc(size, sizeof(void *));
	if (index->bucket == NULL)
		return -ENOMEM;
	index->mask = size - 1;
	index->count = 0;
	omni_random(&index->seed, sizeof(index->seed));
	return 0;
}

void ctl_index_fini(struct ctl_index *index)
{
	free(index->bucket);
	*index = (struct ctl_index){0};
}

uint64_t ctl_index_hash(const struct ctl_index *index, const void *key, size_t len, uint32_t salt)
{
	uint32_t low = (uint32_t)index->seed ^ salt, high = (uint32_t)(index->seed >> 32);
	uint32_t aligned[KEY_MAX / sizeof(uint32_t)]; /* jhash loads words */

	assert(len <= sizeof(aligned));
	memcpy(aligned, key, len);
	rte_jhash_2hashes(aligned, (uint32_t)len, &low, &high);
	return (uint64_t)high << 32 | low;
}

void ctl_index_add(struct ctl_index *index, struct ctl_link *link, uint64_t hash)
{
	struct ctl_link **at = &index->bucket[hash & index->mask];

	link->hash = hash;
	link->next = *at;
	*at = link;
	index->count++;
}

void ctl_index_del(struct ctl_index *index, struct ctl_link *link)
{
	struct ctl_link **at = &index->bucket[link->hash & index->mask];

	while (*at != NULL && *at != link)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = link->next;
	link->next = NULL;
	index->count--;
}

static struct ctl_link *same_hash(struct ctl_link *link, uint64_t hash)
{
	while (link != NULL && link->hash != hash)
		link = link->next;
	return link;
}

struct ctl_link *ctl_index_first(const struct ctl_index *index, uint64_t hash)
{
	return same_hash(index->bucket[hash & index->mask], hash);
}

struct ctl_link *ctl_index_next(const struct ctl_link *link)
{
	return same_hash(link->next, link->hash);
}
