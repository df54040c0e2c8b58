/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mac1, mac2 and cookies: WireGuard's defence of the responder (whitepaper, 5.3 and 5.4.4), for
 * every dialect: each handshake message ends with mac1 and mac2. Whether a box is under load is
 * the caller's decision. Pure: clock and randomness are arguments.
 *
 * A Nucleus hands the cookie out in its hello's answer (an address cookie), unencrypted; from
 * there on it is used alike: as the key of mac2.
 */
#ifndef OMNI_COOKIE_H
#define OMNI_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_crypto.h>
#include <omni_wire.h>

#define OMNI_COOKIE_VALUE_LEN 16

/*
 * The maker's side. The secret of each period of OMNI_COOKIE_LIFE_S follows from this one, so
 * there is nothing to rotate and checking changes nothing. From random bytes at start.
 */
struct omni_cookie_maker {
	struct omni_key secret;
};

/* The holder's side, one per remote. All zero: none held. */
struct omni_cookie {
	uint8_t value[OMNI_COOKIE_VALUE_LEN];
	uint64_t received_ns;
	bool held;
};

/* mac1 and mac2 of a message of len bytes are its last 32. */
#define OMNI_MACS_LEN (2 * OMNI_MAC_LEN)

/* Write both macs of the message to receiver; mac2 is zero unless cookie (or NULL) is fresh. */
void omni_macs_write(uint8_t *msg, size_t len, const struct omni_key *receiver,
		     const struct omni_cookie *cookie, uint64_t now_ns);

/* True where mac1 was made for this receiver. Two BLAKE2s, no DH: check it first. */
bool omni_mac1_valid(const uint8_t *msg, size_t len, const struct omni_key *receiver);

/*
 * True where mac2 was made with the cookie that now's or the previous period's secret gives
 * the address and port of from.
 */
bool omni_mac2_valid(const struct omni_cookie_maker *maker, const uint8_t *msg, size_t len,
		     const struct omni_endpoint *from, uint64_t now_ns);

/* The cookie of an address and port, in the present period. */
void omni_cookie_make(uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_cookie_maker *maker,
		      const struct omni_endpoint *from, uint64_t now_ns);

/* True where value is the cookie of from, in the present or the previous period. */
bool omni_cookie_valid(const struct omni_cookie_maker *maker,
		       const uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_endpoint *from,
		       uint64_t now_ns);

/* Keep a cookie that was received at now_ns; it serves for its life less the latency. */
void omni_cookie_hold(struct omni_cookie *cookie, const uint8_t value[OMNI_COOKIE_VALUE_LEN],
		      uint64_t now_ns);
bool omni_cookie_fresh(const struct omni_cookie *cookie, uint64_t now_ns);

/*
 * Seal value (with a random nonce) as the cookie reply to a message whose mac1 is given; self is
 * the replier's static public key. And its inverse on the other side: -EBADMSG.
 */
void omni_cookie_seal(uint8_t sealed[OMNI_COOKIE_VALUE_LEN + OMNI_TAG_LEN],
		      const uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_key *self,
		      const uint8_t nonce[OMNI_XNONCE_LEN], const uint8_t mac1[OMNI_MAC_LEN]);
int omni_cookie_open(uint8_t value[OMNI_COOKIE_VALUE_LEN],
		     const uint8_t sealed[OMNI_COOKIE_VALUE_LEN + OMNI_TAG_LEN],
		     const struct omni_key *replier, const uint8_t nonce[OMNI_XNONCE_LEN],
		     const uint8_t mac1[OMNI_MAC_LEN]) OMNI_MUST_CHECK;

#endif
