/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A responder of the Omni dialect, and the X25519 operations that bound every dialect. */
#include <stdint.h>

#include <omni_crypto.h>
#include <omni_handshake.h>
#include <omni_secret.h>

#include "handshake.h"

#define DH_PER_HANDSHAKE 5 /* es, ss, ee, se and the ephemeral public key */
#define TOP_BIT (UINT64_C(1) << 63)

static struct {
	struct omni_dh_pair self;
	struct omni_key proof, psk;
	struct omni_initiation in[HANDSHAKE_INITIATORS];
} r;

static void make_pair(struct omni_dh_pair *pair)
{
	omni_random(&pair->secret, sizeof(pair->secret));
	omni_x25519_public(&pair->public, &pair->secret);
}

static bool initiate(struct omni_initiation *out)
{
	struct omni_hs_offer offer = {
		.mode = OMNI_MODE_L2,
		.version = 1,
		.ciphers = {OMNI_CIPHER_AESGCM},
		.lanes_send = 2,
		.lanes_accept = 2,
		.largest_frame = 1518,
	};
	struct omni_dh_pair self;
	struct omni_key ephemeral;
	const struct omni_hs_start start = {
		.purpose = OMNI_HS_PEER,
		.self = &self,
		.remote = &r.self.public,
		.ephemeral = &ephemeral,
		.proof_key = &r.proof,
		.offer = &offer,
		.session_id = TOP_BIT | 1,
		.now_ns = 1,
	};
	struct omni_hs hs;

	make_pair(&self);
	omni_random(&ephemeral, sizeof(ephemeral));
	return omni_hs_initiation_create(&hs, out, &start) == 0;
}

static bool respond(unsigned int i)
{
	static const struct omni_hs_policy policy = {
		.mode = OMNI_MODE_L2,
		.version = 1,
		.ciphers = {[OMNI_CIPHER_AESGCM] = true},
		.lanes_send = 2,
		.lanes_accept = 2,
		.largest_frame = 1518,
	};
	const struct omni_initiation *in = &r.in[i];
	struct omni_hs_answer answer;
	struct omni_hs_offer offer;
	struct omni_noise_keys keys;
	struct omni_response out;
	struct omni_key ephemeral;
	struct omni_hs hs;
	const struct omni_hs_reply reply = {.psk = &r.psk,
					    .ephemeral = &ephemeral,
					    .answer = &answer,
					    .session_id = TOP_BIT | 2,
					    .now_ns = 1};

	if (!omni_hs_initiation_mac1_valid(in, &r.self.public) ||
	    omni_hs_initiation_open(&hs, &offer, in, OMNI_HS_PEER, &r.self) != 0 ||
	    !omni_hs_proof_valid(&hs, &r.proof))
		return false;
	omni_hs_negotiate(&answer, &offer, &policy);
	omni_random(&ephemeral, sizeof(ephemeral));
	return answer.result == OMNI_RESULT_ACCEPTED &&
	       omni_hs_response_create(&hs, &out, &keys, &reply) == 0;
}

static bool five_dh(unsigned int i)
{
	struct omni_key shared;
	bool good = true;

	(void)i;
	for (unsigned int j = 0; j < DH_PER_HANDSHAKE; j++)
		good &= omni_x25519(&shared, &r.self.secret, &r.self.public) == 0;
	return good;
}

bool handshake_omni_prepare(void)
{
	make_pair(&r.self);
	omni_random(&r.proof, sizeof(r.proof));
	omni_random(&r.psk, sizeof(r.psk));
	for (unsigned int i = 0; i < HANDSHAKE_INITIATORS; i++)
		if (!initiate(&r.in[i]))
			return false;
	return true;
}

/* In this order: what measure() sets in proportion to each other. */
const struct handshake_row handshake_omni[] = {
	{"handshakes_per_s", "Omni, responder: initiation to response and keys", respond, 1},
	{"x25519_limit_per_s", "five X25519 operations alone", five_dh, 1},
	{NULL, NULL, NULL, 0},
};
