/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory of the routes' nodes: blocks of whole cache lines from chunks that are kept to the end.
 * A block that readers may still look at is used again once all of them have gone on. Control.
 */
#ifndef FIB_BLOCKS_H
#define FIB_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include <omni_rcu.h>

#define FIB_LINES_MAX 17 /* of a block: a node with everything in it */

struct fib_dead {
	void *block;
	uint64_t token;
	unsigned int lines;
};

struct fib_blocks {
	void *free[FIB_LINES_MAX + 1]; /* each holds the next one's address; by lines */
	void *chunks;		       /* the same */
	uint8_t *at;		       /* what is left of the newest one */
	size_t left;
	size_t bytes; /* of all chunks */
	/* A ring of those that wait for readers; its size is a power of two. */
	struct fib_dead *dead;
	uint32_t size, first, n;
};

void fib_blocks_close(struct fib_blocks *b);

/*
 * Collect what no reader looks at any more, and make room for retiring so many. 0 or -ENOMEM.
 */
int fib_blocks_prepare(struct fib_blocks *b, struct omni_rcu *rcu, unsigned int retire);

/* Zeroed. NULL: no memory. */
void *fib_block_new(struct fib_blocks *b, size_t len);
/* Nobody has seen it yet. */
void fib_block_free(struct fib_blocks *b, void *block, size_t len);
/* It has just been unpublished; there is room by fib_blocks_prepare. */
void fib_block_retire(struct fib_blocks *b, struct omni_rcu *rcu, void *block, size_t len);

#endif
