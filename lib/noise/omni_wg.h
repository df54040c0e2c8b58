/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The WireGuard dialect of the handshake, byte for byte (whitepaper, 5.4): a 148-byte initiation
 * and a 92-byte response around the Noise core, and cookie replies. Pure: no sockets; clock,
 * indices and ephemeral secrets are arguments. Control thread.
 *
 * Initiator: initiation_create, (cookie_open, initiation_create again,) response_open.
 * Responder: initiation_mac1_valid, (mac2, cookie_reply,) initiation_identify, look the peer up by
 * remote, initiation_verify, compare the timestamp, response_create.
 */
#ifndef OMNI_WG_H
#define OMNI_WG_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_clock.h>
#include <omni_cookie.h>
#include <omni_noise.h>
#include <omni_wire.h>

#define OMNI_WG_CONSTRUCTION "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
#define OMNI_WG_IDENTIFIER "WireGuard v1 zx2c4 Jason@zx2c4.com"

/* A handshake under way; holds secrets. Read remote and both indices; the rest is private. */
struct omni_wg {
	struct omni_key remote; /* the other's static key */
	uint32_t local_index, remote_index;
	struct omni_noise noise;
	uint8_t mac1[OMNI_MAC_LEN]; /* of the message sent: what a cookie reply answers */
	bool awaits_response;
	bool awaits_cookie;
};

/* Arguments of omni_wg_initiation_create. */
struct omni_wg_start {
	const struct omni_dh_pair *self;
	const struct omni_key *remote;
	const struct omni_key
		*ephemeral;	       /* 32 fresh random bytes: used once, wiped by the caller */
	const struct omni_key *shared; /* X25519 of both static keys where kept, or NULL */
	const struct omni_cookie *cookie; /* held for this remote, or NULL */
	uint8_t timestamp[OMNI_TAI64N_LEN];
	uint32_t index;
	uint64_t now_ns; /* the clock that cookie ages by */
};

/* -EINVAL: remote is a point of low order; hs and out are then all zero. */
int omni_wg_initiation_create(struct omni_wg *hs, struct omni_wg_initiation *out,
			      const struct omni_wg_start *start) OMNI_MUST_CHECK;

/* True where header and mac1 fit this receiver. Cheap; for the time before any DH. */
bool omni_wg_initiation_mac1_valid(const struct omni_wg_initiation *in,
				   const struct omni_key *self);
bool omni_wg_response_mac1_valid(const struct omni_wg_response *in, const struct omni_key *self);

/*
 * Open an initiation: hs->remote and timestamp are then authentic, but may be a replay.
 * -EBADMSG, -EINVAL (low order); hs is wiped after an error.
 */
int omni_wg_initiation_open(struct omni_wg *hs, uint8_t timestamp[OMNI_TAI64N_LEN],
			    const struct omni_wg_initiation *in,
			    const struct omni_dh_pair *self) OMNI_MUST_CHECK;

/*
 * The same in two steps. After identify, hs->remote is known (but not authentic) at the cost of one
 * DH: who is a stranger, or comes too often, costs no more. verify then takes the X25519 of both
 * static keys where the caller keeps it with the peer (NULL: computed), which saves a fifth of a
 * responder's work. Between the two hs must be wiped or verified; errors wipe it.
 */
int omni_wg_initiation_identify(struct omni_wg *hs, const struct omni_wg_initiation *in,
				const struct omni_dh_pair *self) OMNI_MUST_CHECK;
int omni_wg_initiation_verify(struct omni_wg *hs, uint8_t timestamp[OMNI_TAI64N_LEN],
			      const struct omni_wg_initiation *in, const struct omni_dh_pair *self,
			      const struct omni_key *shared) OMNI_MUST_CHECK;

/* Arguments of omni_wg_response_create. */
struct omni_wg_reply {
	const struct omni_key *psk;	  /* NULL: zeros */
	const struct omni_key *ephemeral; /* 32 fresh random bytes: used once */
	const struct omni_cookie *cookie; /* held for this remote, or NULL */
	uint32_t index;
	uint64_t now_ns;
};

/*
 * Write the response and the transport keys. On success hs is wiped but for remote, both indices
 * and what cookie_open needs (a response, too, may be answered by a cookie). -EINVAL: low order.
 */
int omni_wg_response_create(struct omni_wg *hs, struct omni_wg_response *out,
			    struct omni_noise_keys *keys,
			    const struct omni_wg_reply *reply) OMNI_MUST_CHECK;

/*
 * Open the response to hs, whose local_index is the response's receiver. On success hs is wiped but
 * for remote and both indices. -EBADMSG, -EINVAL: not the response to hs, which still waits.
 */
int omni_wg_response_open(struct omni_wg *hs, struct omni_noise_keys *keys,
			  const struct omni_wg_response *in, const struct omni_dh_pair *self,
			  const struct omni_key *psk) OMNI_MUST_CHECK;

/* The cookie reply to a message with a valid mac1 whose sender index is given (4 wire bytes). */
void omni_wg_cookie_reply(struct omni_wg_cookie_reply *out, const struct omni_cookie_maker *maker,
			  const uint8_t sender[4], const uint8_t mac1[OMNI_MAC_LEN],
			  const struct omni_key *self, const struct omni_endpoint *from,
			  const uint8_t nonce[OMNI_XNONCE_LEN], uint64_t now_ns);

/* Take the cookie out of a reply to hs's last message and hold it. -EBADMSG: not an answer to it.
 */
int omni_wg_cookie_open(struct omni_wg *hs, struct omni_cookie *cookie,
			const struct omni_wg_cookie_reply *in, uint64_t now_ns) OMNI_MUST_CHECK;

void omni_wg_wipe(struct omni_wg *hs);

#endif
