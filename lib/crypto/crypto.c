/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* X25519 and Ed25519 over libsodium, and what the CPU can do. */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <sodium.h>

#include <omni_crypto.h>
#include <omni_secret.h>

static atomic_bool aes_masked;

static_assert(crypto_scalarmult_curve25519_BYTES == OMNI_KEY_LEN, "X25519");
static_assert(crypto_sign_ed25519_SECRETKEYBYTES == sizeof(struct omni_sign_secret), "Ed25519");
static_assert(crypto_sign_ed25519_BYTES == OMNI_SIGNATURE_LEN, "Ed25519 signature");

int omni_crypto_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

bool omni_crypto_has_aes(void)
{
	return crypto_aead_aes256gcm_is_available() != 0 && !atomic_load(&aes_masked);
}

void omni_crypto_mask_aes(bool masked)
{
	atomic_store(&aes_masked, masked);
}

int omni_x25519(struct omni_key *shared, const struct omni_key *secret,
		const struct omni_key *public)
{
	struct omni_key out;
	int rc = crypto_scalarmult_curve25519(out.b, secret->b, public->b);

	/* libsodium knows the low-order points by list; the product decides in any case. */
	if (rc != 0 || omni_is_zero_ct(out.b, sizeof(out.b))) {
		memset(shared, 0, sizeof(*shared));
		omni_wipe(&out, sizeof(out));
		return -EINVAL;
	}
	*shared = out;
	omni_wipe(&out, sizeof(out));
	return 0;
}

void omni_x25519_public(struct omni_key *public, const struct omni_key *secret)
{
	int rc = crypto_scalarmult_curve25519_base(public->b, secret->b);

	assert(rc == 0);
	(void)rc;
}

void omni_sign_from_seed(struct omni_sign_secret *secret, struct omni_key *public,
			 const struct omni_key *seed)
{
	crypto_sign_ed25519_seed_keypair(public->b, secret->b, seed->b);
}

void omni_sign(uint8_t signature[OMNI_SIGNATURE_LEN], const void *prefix, size_t prefix_len,
	       const void *msg, size_t len, const struct omni_sign_secret *secret)
{
	uint8_t whole[OMNI_SIGN_MAX];

	assert(prefix_len <= sizeof(whole) && len <= sizeof(whole) - prefix_len);
	if (prefix_len > 0)
		memcpy(whole, prefix, prefix_len);
	if (len > 0)
		memcpy(whole + prefix_len, msg, len);
	crypto_sign_ed25519_detached(signature, NULL, whole, prefix_len + len, secret->b);
}

bool omni_sign_verify(const uint8_t signature[OMNI_SIGNATURE_LEN], const void *prefix,
		      size_t prefix_len, const void *msg, size_t len, const struct omni_key *public)
{
	uint8_t whole[OMNI_SIGN_MAX];

	if (prefix_len > sizeof(whole) || len > sizeof(whole) - prefix_len)
		return false;
	if (prefix_len > 0)
		memcpy(whole, prefix, prefix_len);
	if (len > 0)
		memcpy(whole + prefix_len, msg, len);
	return crypto_sign_ed25519_verify_detached(signature, whole, prefix_len + len, public->b) ==
	       0;
}

int omni_sign_public_to_dh(struct omni_key *dh, const struct omni_key *public)
{
	return crypto_sign_ed25519_pk_to_curve25519(dh->b, public->b) != 0 ? -EINVAL : 0;
}

void omni_sign_secret_to_dh(struct omni_key *dh, const struct omni_sign_secret *secret)
{
	crypto_sign_ed25519_sk_to_curve25519(dh->b, secret->b);
}
