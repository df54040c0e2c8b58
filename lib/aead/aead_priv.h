/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of this library share. A cipher's backend is one file with two functions. */
#ifndef AEAD_PRIV_H
#define AEAD_PRIV_H

#include <intel-ipsec-mb.h>

#include <omni_aead.h>

typedef uint8_t aead_tag[OMNI_AEAD_TAG_LEN];

struct omni_aead {
	IMB_MGR *mgr;
	bool has_aes;
	alignas(64) struct gcm_context_data gcm; /* scratch of one AES-GCM call */
	alignas(64) aead_tag computed[OMNI_AEAD_BURST_MAX];
};

/* Only the member of its cipher is allocated. */
struct omni_aead_key {
	alignas(64) uint8_t cipher; /* enum omni_aead_cipher */
	union {
		alignas(16) uint8_t chacha[OMNI_KEY_LEN];
		struct gcm_key_data gcm;
	};
};

/*
 * Backends. list holds the n positions in ops that are theirs. Seal writes each op's tag;
 * open writes the tag that it should have had to computed[position].
 */
void aead_gcm_seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		   unsigned int n);
void aead_gcm_open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		   unsigned int n);
void aead_chacha_seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n);
void aead_chacha_open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n);

#endif
