/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One-shot AEAD over libsodium. */
#include <assert.h>
#include <errno.h>

#include <sodium.h>

#include <omni_crypto.h>

static_assert(crypto_aead_aes256gcm_ABYTES == OMNI_TAG_LEN, "GCM tag");
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == OMNI_TAG_LEN, "Poly1305 tag");
static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == OMNI_XNONCE_LEN, "XChaCha nonce");

int omni_aead_seal(enum omni_cipher cipher, uint8_t *out, const struct omni_key *key,
		   const uint8_t nonce[OMNI_NONCE_LEN], const void *aad, size_t aad_len,
		   const void *plain, size_t len)
{
	assert(cipher == OMNI_CIPHER_AESGCM || cipher == OMNI_CIPHER_CHACHAPOLY);
	if (cipher == OMNI_CIPHER_CHACHAPOLY) {
		crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, aad, aad_len, NULL,
							  nonce, key->b);
		return 0;
	}
	if (!omni_crypto_has_aes())
		return -ENOTSUP;
	crypto_aead_aes256gcm_encrypt(out, NULL, plain, len, aad, aad_len, NULL, nonce, key->b);
	return 0;
}

int omni_aead_open(enum omni_cipher cipher, uint8_t *out, const struct omni_key *key,
		   const uint8_t nonce[OMNI_NONCE_LEN], const void *aad, size_t aad_len,
		   const void *sealed, size_t len)
{
	int rc;

	assert(cipher == OMNI_CIPHER_AESGCM || cipher == OMNI_CIPHER_CHACHAPOLY);
	if (len < OMNI_TAG_LEN)
		return -EBADMSG;
	if (cipher == OMNI_CIPHER_CHACHAPOLY)
		rc = crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, aad,
							       aad_len, nonce, key->b);
	else if (omni_crypto_has_aes())
		rc = crypto_aead_aes256gcm_decrypt(out, NULL, NULL, sealed, len, aad, aad_len,
						   nonce, key->b);
	else
		return -ENOTSUP;
	return rc != 0 ? -EBADMSG : 0;
}

void omni_xaead_seal(uint8_t *out, const struct omni_key *key, const uint8_t nonce[OMNI_XNONCE_LEN],
		     const void *aad, size_t aad_len, const void *plain, size_t len)
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, len, aad, aad_len, NULL, nonce,
						   key->b);
}

int omni_xaead_open(uint8_t *out, const struct omni_key *key, const uint8_t nonce[OMNI_XNONCE_LEN],
		    const void *aad, size_t aad_len, const void *sealed, size_t len)
{
	if (len < OMNI_TAG_LEN)
		return -EBADMSG;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, aad, aad_len,
						       nonce, key->b) != 0)
		return -EBADMSG;
	return 0;
}
