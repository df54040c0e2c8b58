/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys on their way into the cache, ahead of a burst that uses many of them. */
#include <stddef.h>

#include "aead_priv.h"

#define LINE 64
/* Up to here a packet needs the round keys, in front, and the lowest powers of the hash's key. */
#define SHORT 128
#define SHORT_POWERS 11 /* of its blocks, two of additional data, and the one of lengths */

static inline void fetch(const struct aead_gcm_key *key, size_t begin, size_t end)
{
	for (size_t at = begin / LINE * LINE; at < end; at += LINE)
		__builtin_prefetch((const uint8_t *)key + at, 0, 2);
}

/* The library's keys are larger, but what most packets need of them is in front. */
void omni_aead_key_fetch(const struct omni_aead_key *key, unsigned int cipher, uint32_t len)
{
	const struct aead_gcm_key *gcm = aead_gcm_key(key);
	const size_t low = offsetof(struct aead_gcm_key, power[AEAD_GCM_POWERS - SHORT_POWERS]);
	const size_t powers = offsetof(struct aead_gcm_key, power);

	if (cipher != OMNI_AEAD_AESGCM) {
		__builtin_prefetch(key);
		return;
	}
	fetch(gcm, 0, powers);
	fetch(gcm, len <= SHORT ? low : powers, sizeof(*gcm));
}
