/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AES-256-GCM: one call of intel-ipsec-mb's direct interface a packet; and, where the CPU can, our
 * own code for short ones.
 */
#include "aead_gcm_short.h"

static void library_seal(struct omni_aead *aead, const struct omni_aead_op *ops,
			 const uint8_t *list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		IMB_AES256_GCM_ENC(aead->mgr, &op->key->gcm, &aead->scratch, op->dst, op->src,
				   op->len, op->nonce, op->aad, op->aad_len, op->tag,
				   OMNI_AEAD_TAG_LEN);
	}
}

static void library_open(struct omni_aead *aead, const struct omni_aead_op *ops,
			 const uint8_t *list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		IMB_AES256_GCM_DEC(aead->mgr, &op->key->gcm, &aead->scratch, op->dst, op->src,
				   op->len, op->nonce, op->aad, op->aad_len,
				   aead->computed[list[i]], OMNI_AEAD_TAG_LEN);
	}
}

const struct aead_backend aead_gcm = {.seal = library_seal, .open = library_open};

struct by_length {
	unsigned int short_n, long_n;
	uint8_t is_short[OMNI_AEAD_BURST_MAX], is_long[OMNI_AEAD_BURST_MAX];
};

static inline void split_by_length(struct by_length *s, const struct omni_aead_op *ops,
				   const uint8_t *list, unsigned int n)
{
	s->short_n = s->long_n = 0;
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		if (op->len <= AEAD_GCM_SHORT_MAX && op->aad_len <= AEAD_GCM_SHORT_AAD_MAX)
			s->is_short[s->short_n++] = list[i];
		else
			s->is_long[s->long_n++] = list[i];
	}
}

static void burst_seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		       unsigned int n)
{
	struct by_length s;

	split_by_length(&s, ops, list, n);
	aead_gcm_short_seal(aead, ops, s.is_short, s.short_n);
	library_seal(aead, ops, s.is_long, s.long_n);
}

static void burst_open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		       unsigned int n)
{
	struct by_length s;

	split_by_length(&s, ops, list, n);
	aead_gcm_short_open(aead, ops, s.is_short, s.short_n);
	library_open(aead, ops, s.is_long, s.long_n);
}

const struct aead_backend aead_gcm_burst = {.seal = burst_seal, .open = burst_open};
