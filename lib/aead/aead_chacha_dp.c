/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ChaCha20-Poly1305: intel-ipsec-mb's burst interface, which costs about half of its direct one.
 * The library computes each such job where it is submitted, one after the other, so a burst is
 * complete when it has been submitted. Were that ever not so, plaintext would leave the box: the
 * process ends instead.
 */
#include "aead_priv.h"

static void fill(IMB_JOB *job, const struct omni_aead_op *op, IMB_CIPHER_DIRECTION dir,
		 uint8_t *tag)
{
	job->enc_keys = aead_chacha_key(op->key);
	job->dec_keys = aead_chacha_key(op->key);
	job->key_len_in_bytes = OMNI_KEY_LEN;
	job->src = op->src;
	job->dst = op->dst;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = op->len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = op->len;
	job->iv = op->nonce;
	job->iv_len_in_bytes = OMNI_AEAD_NONCE_LEN;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = OMNI_AEAD_TAG_LEN;
	job->u.CHACHA20_POLY1305.aad = op->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = op->aad_len;
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = dir;
	job->chain_order = dir == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
}

static void run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		unsigned int n, IMB_CIPHER_DIRECTION dir)
{
	IMB_JOB *jobs[OMNI_AEAD_BURST_MAX];

	if (IMB_GET_NEXT_BURST(aead->mgr, n, jobs) != n)
		__builtin_trap();
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_aead_op *op = &ops[list[i]];

		fill(jobs[i], op, dir, dir == IMB_DIR_ENCRYPT ? op->tag : aead->computed[list[i]]);
	}
	if (IMB_SUBMIT_BURST_NOCHECK(aead->mgr, n, jobs) != n)
		__builtin_trap();
}

static void seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	run(aead, ops, list, n, IMB_DIR_ENCRYPT);
}

static void open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	run(aead, ops, list, n, IMB_DIR_DECRYPT);
}

const struct aead_backend aead_chacha = {.seal = seal, .open = open};
