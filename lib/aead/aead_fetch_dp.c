/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys on their way into the cache, ahead of a burst that uses many of them. */
#include "aead_priv.h"

#define LINE 64
/* Up to here a packet needs the round keys, in front, and the lowest powers of the hash's key. */
#define SHORT 256
#define FRONT_LINES 5
#define BACK_LINES 3

static inline void fetch(const void *from, size_t begin, size_t end)
{
	for (size_t at = begin; at < end; at += LINE)
		__builtin_prefetch((const uint8_t *)from + at, 0, 2);
}

void omni_aead_key_fetch(const struct omni_aead_key *key, unsigned int cipher, uint32_t len)
{
	if (cipher != OMNI_AEAD_AESGCM) {
		__builtin_prefetch(key);
		return;
	}
	if (len <= SHORT) {
		fetch(key, 0, FRONT_LINES * LINE);
		fetch(key, sizeof(*key) - BACK_LINES * LINE, sizeof(*key));
		return;
	}
	fetch(key, 0, sizeof(*key));
}
