/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BLAKE2s over libb2, and HMAC, HKDF and Noise's KDF built on it. */
#include <assert.h>
#include <string.h>

#include <blake2.h>

#include <omni_crypto.h>
#include <omni_secret.h>

#define BLOCK_LEN BLAKE2S_BLOCKBYTES
#define EXPAND_MAX (255 * OMNI_HASH_LEN)

static_assert(sizeof(blake2s_state) <= sizeof(struct omni_blake2s), "room for libb2's state");
static_assert(BLAKE2S_OUTBYTES == OMNI_HASH_LEN, "digest");

static blake2s_state *inner(struct omni_blake2s *s)
{
	return (blake2s_state *)(void *)s;
}

void omni_blake2s_init(struct omni_blake2s *s, size_t out_len, const void *key, size_t key_len)
{
	int rc;

	assert(out_len >= 1 && out_len <= OMNI_HASH_LEN && key_len <= BLAKE2S_KEYBYTES);
	if (key_len > 0)
		rc = blake2s_init_key(inner(s), out_len, key, key_len);
	else
		rc = blake2s_init(inner(s), out_len);
	assert(rc == 0);
	(void)rc;
}

void omni_blake2s_update(struct omni_blake2s *s, const void *in, size_t len)
{
	if (len > 0)
		blake2s_update(inner(s), in, len);
}

void omni_blake2s_final(struct omni_blake2s *s, uint8_t *out)
{
	blake2s_final(inner(s), out, inner(s)->outlen);
	omni_wipe(s, sizeof(*s));
}

void omni_hash2(uint8_t out[OMNI_HASH_LEN], const void *a, size_t a_len, const void *b,
		size_t b_len)
{
	struct omni_blake2s s;

	omni_blake2s_init(&s, OMNI_HASH_LEN, NULL, 0);
	omni_blake2s_update(&s, a, a_len);
	omni_blake2s_update(&s, b, b_len);
	omni_blake2s_final(&s, out);
}

void omni_hash(uint8_t out[OMNI_HASH_LEN], const void *in, size_t len)
{
	omni_hash2(out, in, len, NULL, 0);
}

void omni_mac(uint8_t *out, size_t out_len, const void *key, size_t key_len, const void *in,
	      size_t len)
{
	struct omni_blake2s s;

	assert(key_len > 0);
	omni_blake2s_init(&s, out_len, key, key_len);
	omni_blake2s_update(&s, in, len);
	omni_blake2s_final(&s, out);
}

/* An HMAC under way. */
struct hmac {
	struct omni_blake2s hash;
	uint8_t outer[BLOCK_LEN];
};

static void hmac_init(struct hmac *m, const void *key, size_t key_len)
{
	uint8_t block[BLOCK_LEN] = {0};

	if (key_len > BLOCK_LEN)
		omni_hash(block, key, key_len);
	else if (key_len > 0)
		memcpy(block, key, key_len);
	for (size_t i = 0; i < BLOCK_LEN; i++) {
		m->outer[i] = block[i] ^ 0x5c;
		block[i] ^= 0x36;
	}
	omni_blake2s_init(&m->hash, OMNI_HASH_LEN, NULL, 0);
	omni_blake2s_update(&m->hash, block, sizeof(block));
	omni_wipe(block, sizeof(block));
}

static void hmac_final(struct hmac *m, uint8_t out[OMNI_HASH_LEN])
{
	uint8_t digest[OMNI_HASH_LEN];

	omni_blake2s_final(&m->hash, digest);
	omni_hash2(out, m->outer, sizeof(m->outer), digest, sizeof(digest));
	omni_wipe(digest, sizeof(digest));
	omni_wipe(m, sizeof(*m));
}

void omni_hmac2(uint8_t out[OMNI_HASH_LEN], const void *key, size_t key_len, const void *a,
		size_t a_len, const void *b, size_t b_len)
{
	struct hmac m;

	hmac_init(&m, key, key_len);
	omni_blake2s_update(&m.hash, a, a_len);
	omni_blake2s_update(&m.hash, b, b_len);
	hmac_final(&m, out);
}

void omni_hmac(uint8_t out[OMNI_HASH_LEN], const void *key, size_t key_len, const void *in,
	       size_t len)
{
	omni_hmac2(out, key, key_len, in, len, NULL, 0);
}

void omni_hkdf(uint8_t *out, size_t out_len, const void *salt, size_t salt_len, const void *ikm,
	       size_t ikm_len, const void *info, size_t info_len)
{
	uint8_t prk[OMNI_HASH_LEN], block[OMNI_HASH_LEN];
	size_t block_len = 0;
	struct hmac m;

	assert(out_len <= EXPAND_MAX);
	omni_hmac(prk, salt, salt_len, ikm, ikm_len);
	for (uint8_t i = 1; out_len > 0; i++) {
		size_t n = OMNI_MIN(out_len, sizeof(block));

		hmac_init(&m, prk, sizeof(prk));
		omni_blake2s_update(&m.hash, block, block_len);
		omni_blake2s_update(&m.hash, info, info_len);
		omni_blake2s_update(&m.hash, &i, 1);
		hmac_final(&m, block);
		block_len = sizeof(block);
		memcpy(out, block, n);
		out += n;
		out_len -= n;
	}
	omni_wipe(prk, sizeof(prk));
	omni_wipe(block, sizeof(block));
}

void omni_kdf(uint8_t *a, uint8_t *b, uint8_t *c, const uint8_t chaining_key[OMNI_HASH_LEN],
	      const void *input, size_t len)
{
	static const uint8_t one = 1, two = 2, three = 3;
	uint8_t temp[OMNI_HASH_LEN], last[OMNI_HASH_LEN];

	assert(a != NULL && (c == NULL || b != NULL));
	omni_hmac(temp, chaining_key, OMNI_HASH_LEN, input, len);
	omni_hmac(last, temp, sizeof(temp), &one, 1);
	memcpy(a, last, sizeof(last));
	if (b != NULL) {
		omni_hmac2(last, temp, sizeof(temp), last, sizeof(last), &two, 1);
		memcpy(b, last, sizeof(last));
	}
	if (c != NULL) {
		omni_hmac2(last, temp, sizeof(temp), last, sizeof(last), &three, 1);
		memcpy(c, last, sizeof(last));
	}
	omni_wipe(temp, sizeof(temp));
	omni_wipe(last, sizeof(last));
}
