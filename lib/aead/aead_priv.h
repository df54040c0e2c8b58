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

/* What each kind of key begins with. */
struct omni_aead_key {
	uint16_t size;	/* of all of the key */
	uint8_t cipher; /* enum omni_aead_cipher */
};

struct aead_chacha_key {
	alignas(64) struct omni_aead_key head;
	alignas(32) uint8_t key[OMNI_KEY_LEN];
};

#define AEAD_AES_ROUNDS 14
#define AEAD_GCM_POWERS 19
#define AEAD_GCM_POWERS_PAD 2 /* read with H^1 where four are loaded; worth nothing */

/* AES-256-GCM for our own code, as small as can be: bursts have many keys. */
struct aead_gcm_key {
	alignas(64) struct omni_aead_key head;
	alignas(16) uint8_t round[AEAD_AES_ROUNDS + 1][16];
	uint8_t power[AEAD_GCM_POWERS + AEAD_GCM_POWERS_PAD][16]; /* H^19 to H^1 */
};

/* AES-256-GCM for intel-ipsec-mb. */
struct aead_gcm_library_key {
	alignas(64) struct omni_aead_key head;
	alignas(64) struct gcm_key_data data; /* as the library has it */
};

static inline const uint8_t *aead_chacha_key(const struct omni_aead_key *key)
{
	return ((const struct aead_chacha_key *)(const void *)key)->key;
}

static inline const struct aead_gcm_key *aead_gcm_key(const struct omni_aead_key *key)
{
	return (const struct aead_gcm_key *)(const void *)key;
}

static inline const struct gcm_key_data *aead_gcm_library_key(const struct omni_aead_key *key)
{
	return &((const struct aead_gcm_library_key *)(const void *)key)->data;
}

extern const struct aead_backend aead_gcm;
extern const struct aead_backend aead_gcm_vaes;
extern const struct aead_backend aead_chacha;
extern const struct aead_backend aead_chacha_avx512;
extern const struct aead_backend aead_chacha_avx2;
extern const struct aead_backend aead_chacha_sodium;

#endif
