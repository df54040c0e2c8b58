/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of this library share. A backend is one file with one struct aead_backend. */
#ifndef AEAD_PRIV_H
#define AEAD_PRIV_H

#include <intel-ipsec-mb.h>

#include <omni_aead.h>

typedef uint8_t aead_tag[OMNI_AEAD_TAG_LEN];

/*
 * One cipher's way through a burst. list holds the n positions in ops that are of this cipher.
 * Seal writes each op's tag; open writes to computed[position] the tag that the op should have
 * had, or, where it learns no more than that the tag is wrong, one that differs from it.
 */
typedef void aead_run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n);

struct aead_backend {
	aead_run *seal, *open;
};

struct omni_aead {
	IMB_MGR *mgr;			/* NULL where intel-ipsec-mb refuses the CPU */
	const struct aead_backend *gcm; /* NULL where there are no AES instructions */
	const struct aead_backend *chacha;
	alignas(64) struct gcm_context_data scratch; /* of one AES-GCM call */
	alignas(64) aead_tag computed[OMNI_AEAD_BURST_MAX];
};

/* What goes the way of short packets, and the powers of H that the longest of these needs. */
#define AEAD_GCM_SHORT_MAX 256
#define AEAD_GCM_SHORT_AAD_MAX 32
#define AEAD_GCM_POWERS 19
#define AEAD_GCM_POWERS_PAD 3 /* zeros, because four are loaded at a time */

/* Only the member of its cipher is allocated. */
struct omni_aead_key {
	alignas(64) uint8_t cipher; /* enum omni_aead_cipher */
	union {
		alignas(32) uint8_t chacha[OMNI_KEY_LEN];
		struct {
			struct gcm_key_data gcm;
			/* H^19 to H^1; only where the CPU can use them */
			alignas(16) uint8_t power[AEAD_GCM_POWERS + AEAD_GCM_POWERS_PAD][16];
		};
	};
};

extern const struct aead_backend aead_gcm;
extern const struct aead_backend aead_gcm_burst;
extern const struct aead_backend aead_chacha;
extern const struct aead_backend aead_chacha_burst;
extern const struct aead_backend aead_chacha_sodium;

#endif
