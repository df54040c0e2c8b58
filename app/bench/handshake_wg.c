/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Both roles of the WireGuard dialect, and what a flood costs the one who sees it. */
#include <stdint.h>

#include <omni_crypto.h>
#include <omni_secret.h>
#include <omni_wg.h>

#include "handshake.h"

struct initiator {
	struct omni_dh_pair self;
	struct omni_key ephemeral, shared;
	struct omni_wg_initiation msg1;
	struct omni_wg_response msg2;
};

static struct {
	struct omni_dh_pair self;
	struct omni_key psk;
	struct omni_cookie_maker maker;
	struct initiator of[HANDSHAKE_INITIATORS];
} r;

static void make_pair(struct omni_dh_pair *pair)
{
	omni_random(&pair->secret, sizeof(pair->secret));
	omni_x25519_public(&pair->public, &pair->secret);
}

static struct omni_endpoint endpoint(unsigned int i)
{
	return (struct omni_endpoint){.ip = omni_ip_from_v4(i), .port = 51820};
}

static bool send_1(const struct initiator *self, const struct omni_key *shared, struct omni_wg *hs,
		   struct omni_wg_initiation *out)
{
	const struct omni_wg_start start = {.self = &self->self,
					    .remote = &r.self.public,
					    .ephemeral = &self->ephemeral,
					    .shared = shared,
					    .timestamp = {0x40},
					    .index = 1,
					    .now_ns = 1};

	return omni_wg_initiation_create(hs, out, &start) == 0;
}

static bool respond_to(const struct omni_wg_initiation *in, const struct omni_key *shared,
		       struct omni_wg_response *out)
{
	uint8_t timestamp[OMNI_TAI64N_LEN];
	struct omni_noise_keys keys;
	struct omni_key ephemeral;
	struct omni_wg hs;
	const struct omni_wg_reply reply = {
		.psk = &r.psk, .ephemeral = &ephemeral, .index = 2, .now_ns = 1};

	if (!omni_wg_initiation_mac1_valid(in, &r.self.public) ||
	    omni_wg_initiation_identify(&hs, in, &r.self) != 0 ||
	    omni_wg_initiation_verify(&hs, timestamp, in, &r.self, shared) != 0)
		return false;
	omni_random(&ephemeral, sizeof(ephemeral));
	return omni_wg_response_create(&hs, out, &keys, &reply) == 0;
}

static bool respond(unsigned int i)
{
	struct omni_wg_response out;

	return respond_to(&r.of[i].msg1, &r.of[i].shared, &out);
}

static bool respond_first(unsigned int i)
{
	struct omni_wg_response out;

	return respond_to(&r.of[i].msg1, NULL, &out);
}

/* With the ephemeral key of the recorded initiation, so that the recorded response fits. */
static bool initiate(unsigned int i)
{
	const struct initiator *self = &r.of[i];
	struct omni_wg_initiation out;
	struct omni_noise_keys keys;
	struct omni_wg hs;

	return send_1(self, &self->shared, &hs, &out) &&
	       omni_wg_response_open(&hs, &keys, &self->msg2, &self->self, &r.psk) == 0;
}

/* The key is found in the message, and then nobody knows it. */
static bool meet_stranger(unsigned int i)
{
	const struct omni_wg_initiation *in = &r.of[i].msg1;
	struct omni_wg hs;
	bool found = omni_wg_initiation_mac1_valid(in, &r.self.public) &&
		     omni_wg_initiation_identify(&hs, in, &r.self) == 0;

	omni_wg_wipe(&hs);
	return found;
}

static bool check_mac1(unsigned int i)
{
	return omni_wg_initiation_mac1_valid(&r.of[i].msg1, &r.self.public);
}

/* Under load, to a message without mac2: both macs looked at, a cookie made and sealed. */
static bool reply_cookie(unsigned int i)
{
	const struct omni_wg_initiation *in = &r.of[i].msg1;
	const struct omni_endpoint from = endpoint(i);
	struct omni_wg_cookie_reply out;
	uint8_t nonce[OMNI_XNONCE_LEN];

	if (!check_mac1(i) || omni_mac2_valid(&r.maker, (const uint8_t *)in, sizeof(*in), &from, 1))
		return false;
	omni_random(nonce, sizeof(nonce));
	omni_wg_cookie_reply(&out, &r.maker, in->sender, in->mac1, &r.self.public, &from, nonce, 1);
	return true;
}

bool handshake_wg_prepare(void)
{
	make_pair(&r.self);
	omni_random(&r.psk, sizeof(r.psk));
	omni_random(&r.maker, sizeof(r.maker));
	for (unsigned int i = 0; i < HANDSHAKE_INITIATORS; i++) {
		struct initiator *one = &r.of[i];
		struct omni_wg hs;

		make_pair(&one->self);
		omni_random(&one->ephemeral, sizeof(one->ephemeral));
		if (omni_x25519(&one->shared, &r.self.secret, &one->self.public) != 0 ||
		    !send_1(one, NULL, &hs, &one->msg1) ||
		    !respond_to(&one->msg1, NULL, &one->msg2))
			return false;
	}
	return true;
}

const struct handshake_row handshake_wg[] = {
	{"responder_per_s", "WireGuard, responder: initiation to response and keys", respond, 1},
	{"first_per_s", "the same where the DH of both static keys is not kept", respond_first, 1},
	{"initiator_per_s", "WireGuard, initiator: initiation, then response to keys", initiate, 1},
	{"strangers_per_s", "initiation of an unknown key, found out", meet_stranger, 3},
	{"mac1_per_s", "mac1 looked at, nothing else", check_mac1, 200},
	{"cookie_replies_per_s", "under load: macs looked at, cookie reply", reply_cookie, 20},
	{NULL, NULL, NULL, 0},
};
