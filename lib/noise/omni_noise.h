/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (https://noiseprotocol.org/noise.html, revision 34):
 * the core that every dialect shares. A dialect adds its prologue, its message layout and its
 * payloads. Pure: bytes, ephemeral secrets and keys in, bytes or a verdict out.
 *
 * A message is written (or read) in two steps, keys and then payload, because a dialect may
 * need the handshake hash, or the peer's static key, between the two. After an error the state
 * must not be used again but wiped: who wants to survive a forged message works on a copy.
 */
#ifndef OMNI_NOISE_H
#define OMNI_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include <omni_base.h>
#include <omni_crypto.h>
#include <omni_wire.h>

#define OMNI_NOISE_STATIC_LEN (OMNI_KEY_LEN + OMNI_TAG_LEN)

struct omni_noise {
	uint8_t ck[OMNI_HASH_LEN]; /* chaining key */
	uint8_t h[OMNI_HASH_LEN];  /* handshake hash */
	struct omni_key k;	   /* cipher key; with nonce n */
	uint64_t n;
	struct omni_key e_secret; /* own ephemeral */
	struct omni_key re;	  /* the other's ephemeral public key */
	struct omni_key rs;	  /* the other's static public key */
};

/* Transport keys of Split, as their holder uses them. */
struct omni_noise_keys {
	struct omni_key send, recv;
};

/* Start; responder is the responder's static public key on both sides ("<- s"). */
void omni_noise_init(struct omni_noise *s, const void *prologue, size_t prologue_len,
		     const struct omni_key *responder);

/*
 * Message 1, "-> e, es, s, ss". ephemeral is a fresh secret, 32 random bytes. Writers fill e and
 * enc_static; the reader finds the initiator's static key in s->rs after the first of its two
 * steps, and may turn away whom it does not know before the second DH. shared is the X25519 of
 * both static keys (omni_x25519), where the caller keeps it; NULL: computed here. -EINVAL: a point
 * of low order; -EBADMSG: not authentic.
 */
int omni_noise_write_1(struct omni_noise *s, struct omni_key *e,
		       uint8_t enc_static[OMNI_NOISE_STATIC_LEN], const struct omni_dh_pair *self,
		       const struct omni_key *responder, const struct omni_key *ephemeral,
		       const struct omni_key *shared) OMNI_MUST_CHECK;
int omni_noise_read_1(struct omni_noise *s, const struct omni_key *e,
		      const uint8_t enc_static[OMNI_NOISE_STATIC_LEN],
		      const struct omni_dh_pair *self) OMNI_MUST_CHECK;
int omni_noise_read_1_ss(struct omni_noise *s, const struct omni_dh_pair *self,
			 const struct omni_key *shared) OMNI_MUST_CHECK;

/* Message 2, "<- e, ee, se, psk". psk may be NULL: zeros. Errors as above. */
int omni_noise_write_2(struct omni_noise *s, struct omni_key *e, const struct omni_key *psk,
		       const struct omni_key *ephemeral) OMNI_MUST_CHECK;
int omni_noise_read_2(struct omni_noise *s, const struct omni_key *e,
		      const struct omni_dh_pair *self, const struct omni_key *psk) OMNI_MUST_CHECK;

/*
 * The payload of the message whose keys were just written or read. sealed holds
 * len + OMNI_TAG_LEN bytes; len (of the plain text) may be 0, as WireGuard's response has it.
 */
void omni_noise_seal(struct omni_noise *s, uint8_t *sealed, const void *plain, size_t len);
/* -EBADMSG: not authentic. */
int omni_noise_open(struct omni_noise *s, void *plain, size_t len,
		    const uint8_t *sealed) OMNI_MUST_CHECK;

/* After message 2: the transport keys. Wipes s. */
void omni_noise_split(struct omni_noise *s, bool initiator, struct omni_noise_keys *keys);

#endif
