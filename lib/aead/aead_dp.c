/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A burst, split by cipher; and the verdict over its tags. */
#include "aead_priv.h"

struct split {
	unsigned int gcm_n, chacha_n;
	uint8_t gcm[OMNI_AEAD_BURST_MAX], chacha[OMNI_AEAD_BURST_MAX];
};

static inline void split_by_cipher(struct split *s, const struct omni_aead_op *ops, unsigned int n)
{
	assert(n <= OMNI_AEAD_BURST_MAX);
	s->gcm_n = s->chacha_n = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (ops[i].key->cipher == OMNI_AEAD_AESGCM)
			s->gcm[s->gcm_n++] = (uint8_t)i;
		else
			s->chacha[s->chacha_n++] = (uint8_t)i;
	}
}

/* No branch and no early exit: time depends on nothing but the burst's length. */
static inline uint64_t tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	x[0] = (x[0] ^ y[0]) | (x[1] ^ y[1]);
	return ((x[0] | -x[0]) >> 63) ^ 1;
}

void omni_aead_seal_burst(struct omni_aead *aead, const struct omni_aead_op *ops, unsigned int n)
{
	struct split s;

	split_by_cipher(&s, ops, n);
	if (s.gcm_n > 0)
		aead->gcm->seal(aead, ops, s.gcm, s.gcm_n);
	if (s.chacha_n > 0)
		aead->chacha->seal(aead, ops, s.chacha, s.chacha_n);
}

uint64_t omni_aead_open_burst(struct omni_aead *aead, const struct omni_aead_op *ops,
			      unsigned int n)
{
	uint64_t ok = 0;
	struct split s;

	split_by_cipher(&s, ops, n);
	if (s.gcm_n > 0)
		aead->gcm->open(aead, ops, s.gcm, s.gcm_n);
	if (s.chacha_n > 0)
		aead->chacha->open(aead, ops, s.chacha, s.chacha_n);
	for (unsigned int i = 0; i < n; i++)
		ok |= tag_equal(ops[i].tag, aead->computed[i]) << i;
	return ok;
}
