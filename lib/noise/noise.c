/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <omni_noise.h>
#include <omni_secret.h>

#define PROTOCOL_NAME "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"

static void mix_hash(struct omni_noise *s, const void *data, size_t len)
{
	omni_hash2(s->h, s->h, sizeof(s->h), data, len);
}

static void mix_key(struct omni_noise *s, const void *input, size_t len)
{
	omni_kdf(s->ck, s->k.b, NULL, s->ck, input, len);
	s->n = 0;
}

static void mix_key_and_hash(struct omni_noise *s, const struct omni_key *psk)
{
	uint8_t temp[OMNI_HASH_LEN];

	omni_kdf(s->ck, temp, s->k.b, s->ck, psk, sizeof(*psk));
	mix_hash(s, temp, sizeof(temp));
	s->n = 0;
	omni_wipe(temp, sizeof(temp));
}

static int mix_dh(struct omni_noise *s, const struct omni_key *secret,
		  const struct omni_key *public)
{
	struct omni_key shared;
	int rc = omni_x25519(&shared, secret, public);

	if (rc == 0)
		mix_key(s, &shared, sizeof(shared));
	omni_wipe(&shared, sizeof(shared));
	return rc;
}

/* "e" of a psk pattern: the public key goes into the hash and the key. */
static void mix_ephemeral(struct omni_noise *s, const struct omni_key *e)
{
	mix_hash(s, e, sizeof(*e));
	mix_key(s, e, sizeof(*e));
}

static void mix_psk(struct omni_noise *s, const struct omni_key *psk)
{
	static const struct omni_key zero;

	mix_key_and_hash(s, psk != NULL ? psk : &zero);
}

/* ChaChaPoly's nonce: four zero bytes, then n, little endian. */
static void next_nonce(struct omni_noise *s, uint8_t nonce[OMNI_NONCE_LEN])
{
	uint64_t n = s->n++;

	memset(nonce, 0, OMNI_NONCE_LEN);
	for (int i = 4; i < OMNI_NONCE_LEN; i++, n >>= 8)
		nonce[i] = (uint8_t)n;
}

void omni_noise_init(struct omni_noise *s, const void *prologue, size_t prologue_len,
		     const struct omni_key *responder)
{
	memset(s, 0, sizeof(*s));
	omni_hash(s->h, PROTOCOL_NAME, sizeof(PROTOCOL_NAME) - 1);
	memcpy(s->ck, s->h, sizeof(s->ck));
	mix_hash(s, prologue, prologue_len);
	mix_hash(s, responder, sizeof(*responder)); /* <- s */
}

void omni_noise_seal(struct omni_noise *s, uint8_t *sealed, const void *plain, size_t len)
{
	uint8_t nonce[OMNI_NONCE_LEN];
	int rc;

	next_nonce(s, nonce);
	rc = omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, sealed, &s->k, nonce, s->h, sizeof(s->h), plain,
			    len);
	(void)rc; /* this cipher is always there */
	mix_hash(s, sealed, len + OMNI_TAG_LEN);
}

int omni_noise_open(struct omni_noise *s, void *plain, size_t len, const uint8_t *sealed)
{
	uint8_t nonce[OMNI_NONCE_LEN], h[OMNI_HASH_LEN];
	int rc;

	memcpy(h, s->h, sizeof(h));
	mix_hash(s, sealed, len + OMNI_TAG_LEN); /* first: plain may be sealed */
	next_nonce(s, nonce);
	rc = omni_aead_open(OMNI_CIPHER_CHACHAPOLY, plain, &s->k, nonce, h, sizeof(h), sealed,
			    len + OMNI_TAG_LEN);
	return rc;
}

/* "ss": by what the caller kept of an earlier one, where it did. */
static int mix_static(struct omni_noise *s, const struct omni_dh_pair *self,
		      const struct omni_key *shared)
{
	if (shared == NULL)
		return mix_dh(s, &self->secret, &s->rs);
	mix_key(s, shared, sizeof(*shared));
	return 0;
}

int omni_noise_write_1(struct omni_noise *s, struct omni_key *e,
		       uint8_t enc_static[OMNI_NOISE_STATIC_LEN], const struct omni_dh_pair *self,
		       const struct omni_key *responder, const struct omni_key *ephemeral,
		       const struct omni_key *shared)
{
	int rc;

	s->rs = *responder;
	s->e_secret = *ephemeral;
	omni_x25519_public(e, &s->e_secret);
	mix_ephemeral(s, e);		      /* e */
	rc = mix_dh(s, &s->e_secret, &s->rs); /* es */
	if (rc < 0)
		return rc;
	omni_noise_seal(s, enc_static, &self->public, OMNI_KEY_LEN); /* s */
	return mix_static(s, self, shared);			     /* ss */
}

int omni_noise_read_1(struct omni_noise *s, const struct omni_key *e,
		      const uint8_t enc_static[OMNI_NOISE_STATIC_LEN],
		      const struct omni_dh_pair *self)
{
	int rc;

	s->re = *e;
	mix_ephemeral(s, &s->re);	       /* e */
	rc = mix_dh(s, &self->secret, &s->re); /* es */
	if (rc < 0)
		return rc;
	return omni_noise_open(s, &s->rs, OMNI_KEY_LEN, enc_static); /* s */
}

int omni_noise_read_1_ss(struct omni_noise *s, const struct omni_dh_pair *self,
			 const struct omni_key *shared)
{
	return mix_static(s, self, shared); /* ss */
}

int omni_noise_write_2(struct omni_noise *s, struct omni_key *e, const struct omni_key *psk,
		       const struct omni_key *ephemeral)
{
	int rc;

	s->e_secret = *ephemeral;
	omni_x25519_public(e, &s->e_secret);
	mix_ephemeral(s, e);		      /* e */
	rc = mix_dh(s, &s->e_secret, &s->re); /* ee */
	if (rc == 0)
		rc = mix_dh(s, &s->e_secret, &s->rs); /* se */
	if (rc == 0)
		mix_psk(s, psk); /* psk */
	return rc;
}

int omni_noise_read_2(struct omni_noise *s, const struct omni_key *e,
		      const struct omni_dh_pair *self, const struct omni_key *psk)
{
	int rc;

	s->re = *e;
	mix_ephemeral(s, &s->re);	      /* e */
	rc = mix_dh(s, &s->e_secret, &s->re); /* ee */
	if (rc == 0)
		rc = mix_dh(s, &self->secret, &s->re); /* se */
	if (rc == 0)
		mix_psk(s, psk); /* psk */
	return rc;
}

void omni_noise_split(struct omni_noise *s, bool initiator, struct omni_noise_keys *keys)
{
	uint8_t *first = initiator ? keys->send.b : keys->recv.b;
	uint8_t *second = initiator ? keys->recv.b : keys->send.b;

	omni_kdf(first, second, NULL, s->ck, NULL, 0);
	omni_wipe(s, sizeof(*s));
}
