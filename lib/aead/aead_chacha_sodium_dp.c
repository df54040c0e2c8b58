/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ChaCha20-Poly1305 over libsodium, for CPUs that intel-ipsec-mb refuses: as Debian builds it, it
 * starts on none without AES instructions.
 */
#include <sodium.h>

#include "aead_priv.h"

static void seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	(void)aead;
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		crypto_aead_chacha20poly1305_ietf_encrypt_detached(
			op->dst, op->tag, NULL, op->src, op->len, op->aad, op->aad_len, NULL,
			op->nonce, aead_chacha_key(op->key));
	}
}

static void open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];
		int bad = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
			op->dst, NULL, op->src, op->len, op->tag, op->aad, op->aad_len, op->nonce,
			aead_chacha_key(op->key));

		memcpy(aead->computed[list[i]], op->tag, OMNI_AEAD_TAG_LEN);
		aead->computed[list[i]][0] ^= (uint8_t)(bad & 1);
	}
}

const struct aead_backend aead_chacha_sodium = {.seal = seal, .open = open};
