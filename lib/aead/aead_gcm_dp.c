/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* AES-256-GCM: one call of intel-ipsec-mb's direct interface a packet. */
#include "aead_priv.h"

static void seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		IMB_AES256_GCM_ENC(aead->mgr, aead_gcm_library_key(op->key), &aead->scratch,
				   op->dst, op->src, op->len, op->nonce, op->aad, op->aad_len,
				   op->tag, OMNI_AEAD_TAG_LEN);
	}
}

static void open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		IMB_AES256_GCM_DEC(aead->mgr, aead_gcm_library_key(op->key), &aead->scratch,
				   op->dst, op->src, op->len, op->nonce, op->aad, op->aad_len,
				   aead->computed[list[i]], OMNI_AEAD_TAG_LEN);
	}
}

const struct aead_backend aead_gcm = {.seal = seal, .open = open};
