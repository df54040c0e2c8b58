/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_common.h>

#include "blocks.h"

/* The first chunk is enough for a few hundred routes; later ones may be huge pages. */
#define CHUNK_FIRST ((size_t)64 << 10)
#define CHUNK ((size_t)2 << 20)
#define RING_FIRST 64

static unsigned int lines_of(size_t len)
{
	return (unsigned int)((len + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE);
}

static void push(struct fib_blocks *b, void *block, unsigned int lines)
{
	*(void **)block = b->free[lines];
	b->free[lines] = block;
}

void fib_blocks_close(struct fib_blocks *b)
{
	void *chunk;

	while ((chunk = b->chunks) != NULL) {
		b->chunks = *(void **)chunk;
		free(chunk);
	}
	free(b->dead);
}

/* What is left of the old chunk becomes blocks; the first line of a new one holds the list. */
static int add_chunk(struct fib_blocks *b)
{
	size_t size = b->chunks == NULL ? CHUNK_FIRST : CHUNK;
	uint8_t *chunk = aligned_alloc(size, size);

	if (chunk == NULL)
		return -ENOMEM;
	if (size == CHUNK)
		(void)madvise(chunk, size, MADV_HUGEPAGE);
	if (b->left > 0)
		push(b, b->at, lines_of(b->left));
	*(void **)chunk = b->chunks;
	b->chunks = chunk;
	b->bytes += size;
	b->at = chunk + RTE_CACHE_LINE_SIZE;
	b->left = size - RTE_CACHE_LINE_SIZE;
	return 0;
}

void *fib_block_new(struct fib_blocks *b, size_t len)
{
	unsigned int lines = lines_of(len);
	size_t size = lines * RTE_CACHE_LINE_SIZE;
	void *block = b->free[lines];

	if (block != NULL) {
		b->free[lines] = *(void **)block;
	} else {
		if (b->left < size && add_chunk(b) < 0)
			return NULL;
		block = b->at;
		b->at += size;
		b->left -= size;
	}
	return memset(block, 0, size);
}

void fib_block_free(struct fib_blocks *b, void *block, size_t len)
{
	push(b, block, lines_of(len));
}

static void collect(struct fib_blocks *b, struct omni_rcu *rcu)
{
	while (b->n > 0) {
		const struct fib_dead *d = &b->dead[b->first & (b->size - 1)];

		if (rte_rcu_qsbr_check(omni_rcu_qsbr(rcu), d->token, false) != 1)
			break;
		push(b, d->block, d->lines);
		b->first++;
		b->n--;
	}
}

int fib_blocks_prepare(struct fib_blocks *b, struct omni_rcu *rcu, unsigned int retire)
{
	uint32_t size = b->size != 0 ? 2 * b->size : RING_FIRST;
	struct fib_dead *dead;

	collect(b, rcu);
	if (b->n + retire <= b->size)
		return 0;
	dead = malloc(size * sizeof(*dead));
	if (dead == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n; i++)
		dead[i] = b->dead[(b->first + i) & (b->size - 1)];
	free(b->dead);
	b->dead = dead;
	b->size = size;
	b->first = 0;
	return 0;
}

void fib_block_retire(struct fib_blocks *b, struct omni_rcu *rcu, void *block, size_t len)
{
	assert(b->n < b->size);
	b->dead[(b->first + b->n++) & (b->size - 1)] = (struct fib_dead){
		.block = block,
		.token = rte_rcu_qsbr_start(omni_rcu_qsbr(rcu)),
		.lines = lines_of(len),
	};
}
