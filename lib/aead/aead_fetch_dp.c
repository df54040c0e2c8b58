/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys on their way into the cache, ahead of a burst that uses many of them. */
#include <stddef.h>

#include "aead_priv.h"

#define LINE 64
#define BLOCK 16
/* Blocks hashed beside the packet's own: two of additional data, and the one of lengths. */
#define MORE_BLOCKS 3

/* To the second level: a burst's keys are more than the first one holds. */
static inline void fetch(const void *from, size_t begin, size_t end)
{
	for (size_t at = begin / LINE * LINE; at < end; at += LINE)
		__builtin_prefetch((const uint8_t *)from + at, 0, 2);
}

/*
 * Round keys, and from H^1 up a power for each block; the library's keys are larger, but what
 * most packets need of them is in front.
 */
void omni_aead_key_fetch(const struct omni_aead_key *key, unsigned int cipher, uint32_t len)
{
	const size_t powers = offsetof(struct aead_gcm_key, power);
	size_t blocks = (len + BLOCK - 1) / BLOCK + MORE_BLOCKS;

	if (cipher != OMNI_AEAD_AESGCM) {
		__builtin_prefetch(key, 0, 2);
		return;
	}
	blocks = OMNI_MIN(blocks, AEAD_GCM_POWERS);
	fetch(key, 0, powers);
	fetch(key, powers + (AEAD_GCM_POWERS - blocks) * BLOCK, sizeof(struct aead_gcm_key));
}
