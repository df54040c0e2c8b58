/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Primitives over libsodium and libb2: X25519, BLAKE2s and what is built on it, one-shot AEAD,
 * Ed25519. All functions may be called from any thread once omni_crypto_init() has returned.
 * Buffers of secrets that the functions use inside are wiped before they return.
 */
#ifndef OMNI_CRYPTO_H
#define OMNI_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_base.h>
#include <omni_wire.h>

/* Prepare the libraries underneath. Once, before other threads start; again does nothing. -EIO. */
int omni_crypto_init(void) OMNI_MUST_CHECK;

/* True where this CPU has AES and carry-less multiplication, and they are not masked. */
bool omni_crypto_has_aes(void);

/* Behave for the whole process as if the CPU had no AES (true), or no longer (false). */
void omni_crypto_mask_aes(bool masked);

/* ---- X25519, RFC 7748 ---- */

/* A Diffie-Hellman key pair. */
struct omni_dh_pair {
	struct omni_key secret, public;
};

/* shared = secret * public. -EINVAL for a point of low order; shared is then all zero. */
int omni_x25519(struct omni_key *shared, const struct omni_key *secret,
		const struct omni_key *public) OMNI_MUST_CHECK;

void omni_x25519_public(struct omni_key *public, const struct omni_key *secret);

/* ---- BLAKE2s, RFC 7693 ---- */

#define OMNI_HASH_LEN 32

/* A hash under way. Opaque. */
struct omni_blake2s {
	uint64_t state[23];
};

/* key_len 0 to 32 (0: plain hash), out_len 1 to 32; out_len is part of what is hashed. */
void omni_blake2s_init(struct omni_blake2s *s, size_t out_len, const void *key, size_t key_len);
void omni_blake2s_update(struct omni_blake2s *s, const void *in, size_t len);
/* Write the out_len bytes that init named, and wipe s. */
void omni_blake2s_final(struct omni_blake2s *s, uint8_t *out);

/* Plain hash of one string; 32 bytes. out may be in. */
void omni_hash(uint8_t out[OMNI_HASH_LEN], const void *in, size_t len);
/* Plain hash of a || b; 32 bytes. out may be a or b. */
void omni_hash2(uint8_t out[OMNI_HASH_LEN], const void *a, size_t a_len, const void *b,
		size_t b_len);
/* Keyed hash of one string (key_len 1 to 32), out_len 1 to 32 bytes. */
void omni_mac(uint8_t *out, size_t out_len, const void *key, size_t key_len, const void *in,
	      size_t len);

/* ---- HMAC (RFC 2104) and HKDF (RFC 5869) with BLAKE2s ---- */

/* HMAC of a || b. out may be key, a or b. */
void omni_hmac2(uint8_t out[OMNI_HASH_LEN], const void *key, size_t key_len, const void *a,
		size_t a_len, const void *b, size_t b_len);
void omni_hmac(uint8_t out[OMNI_HASH_LEN], const void *key, size_t key_len, const void *in,
	       size_t len);

/* Extract with salt (salt_len may be 0), expand with info to out_len bytes, at most 255 * 32. */
void omni_hkdf(uint8_t *out, size_t out_len, const void *salt, size_t salt_len, const void *ikm,
	       size_t ikm_len, const void *info, size_t info_len);

/*
 * Noise's HKDF with one, two or three outputs of 32 bytes (WireGuard's KDF1, KDF2, KDF3): b and
 * c may be NULL (c whenever b is). Any output may be chaining_key or input.
 */
void omni_kdf(uint8_t *a, uint8_t *b, uint8_t *c, const uint8_t chaining_key[OMNI_HASH_LEN],
	      const void *input, size_t len);

/* ---- AEAD, one message ---- */

/*
 * Seal len bytes of plain into out, which takes len + OMNI_TAG_LEN bytes and may be plain.
 * -ENOTSUP: AES-256-GCM on a CPU without AES (or masked). Any other cipher than the two: asserts.
 */
int omni_aead_seal(enum omni_cipher cipher, uint8_t *out, const struct omni_key *key,
		   const uint8_t nonce[OMNI_NONCE_LEN], const void *aad, size_t aad_len,
		   const void *plain, size_t len) OMNI_MUST_CHECK;

/*
 * Open len bytes (tag included) of sealed into out, which takes len - OMNI_TAG_LEN bytes and may
 * be sealed. -EBADMSG: too short or not authentic, nothing of out may be used. -ENOTSUP as above.
 */
int omni_aead_open(enum omni_cipher cipher, uint8_t *out, const struct omni_key *key,
		   const uint8_t nonce[OMNI_NONCE_LEN], const void *aad, size_t aad_len,
		   const void *sealed, size_t len) OMNI_MUST_CHECK;

#define OMNI_XNONCE_LEN 24

/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), otherwise like the two above. */
void omni_xaead_seal(uint8_t *out, const struct omni_key *key, const uint8_t nonce[OMNI_XNONCE_LEN],
		     const void *aad, size_t aad_len, const void *plain, size_t len);
int omni_xaead_open(uint8_t *out, const struct omni_key *key, const uint8_t nonce[OMNI_XNONCE_LEN],
		    const void *aad, size_t aad_len, const void *sealed,
		    size_t len) OMNI_MUST_CHECK;

/* ---- Ed25519, RFC 8032 ---- */

#define OMNI_SIGNATURE_LEN 64

/* Seed and public key, as libsodium keeps an Ed25519 secret key. */
struct omni_sign_secret {
	uint8_t b[64];
};

void omni_sign_from_seed(struct omni_sign_secret *secret, struct omni_key *public,
			 const struct omni_key *seed);

/* Signature over prefix || msg; prefix_len + len at most OMNI_SIGN_MAX. */
#define OMNI_SIGN_MAX 4096
void omni_sign(uint8_t signature[OMNI_SIGNATURE_LEN], const void *prefix, size_t prefix_len,
	       const void *msg, size_t len, const struct omni_sign_secret *secret);
/* True where signature is public's over prefix || msg. False too when that is over OMNI_SIGN_MAX.
 */
bool omni_sign_verify(const uint8_t signature[OMNI_SIGNATURE_LEN], const void *prefix,
		      size_t prefix_len, const void *msg, size_t len,
		      const struct omni_key *public) OMNI_MUST_CHECK;

/* The X25519 key of an Ed25519 public key. -EINVAL: not a point of the prime-order group. */
int omni_sign_public_to_dh(struct omni_key *dh, const struct omni_key *public) OMNI_MUST_CHECK;
void omni_sign_secret_to_dh(struct omni_key *dh, const struct omni_sign_secret *secret);

#endif
