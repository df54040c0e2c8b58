/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Classification, and the handshake's messages. The first byte chooses; for the later choices
 * the input is written over a good message (offset, then bytes), and mac1 is made anew.
 */
#include <string.h>

#include <omni_cookie.h>
#include <omni_crypto.h>
#include <omni_cursor.h>
#include <omni_handshake.h>

#include "fuzz.h"

static struct omni_dh_pair ann, bob;
static const struct omni_key ephemeral = {.b = {7}}, proof_key = {.b = {9}};

static void start(struct omni_hs *hs, struct omni_initiation *out)
{
	struct omni_hs_offer offer = {
		.mode = OMNI_MODE_L2,
		.version = OMNI_WIRE_VERSION,
		.ciphers = {OMNI_CIPHER_AESGCM, OMNI_CIPHER_CHACHAPOLY},
		.lanes_send = 4,
		.lanes_accept = OMNI_LANES_MAX,
		.largest_frame = 1514,
	};
	struct omni_hs_start args = {
		.purpose = OMNI_HS_PEER,
		.self = &ann,
		.remote = &bob.public,
		.ephemeral = &ephemeral,
		.proof_key = &proof_key,
		.offer = &offer,
		.session_id = UINT64_C(1) << 63 | 5,
	};

	REQUIRE(omni_hs_initiation_create(hs, out, &args) == 0);
}

static bool scribble(void *msg, size_t len, struct omni_reader *r)
{
	size_t at = omni_read_be16(r) % len, n = OMNI_MIN(omni_reader_left(r), len - at);
	uint8_t before[OMNI_INITIATION_LEN];

	memcpy(before, msg, len);
	if (!r->failed && n > 0)
		memcpy((uint8_t *)msg + at, omni_read(r, n), n);
	return memcmp(before, msg, len - OMNI_MACS_LEN) != 0;
}

static void initiation(struct omni_reader *r)
{
	struct omni_initiation in;
	struct omni_hs_offer offer;
	struct omni_hs hs;
	bool changed;

	start(&hs, &in);
	changed = scribble(&in, sizeof(in), r);
	omni_macs_write((uint8_t *)&in, sizeof(in), &bob.public, NULL, 0);
	if (omni_hs_initiation_open(&hs, &offer, &in, OMNI_HS_PEER, &bob) != 0)
		REQUIRE(changed);
	else
		REQUIRE(!changed && omni_hs_proof_valid(&hs, &proof_key));
}

static void response(struct omni_reader *r)
{
	struct omni_hs_answer answer = {.cipher = 2, .version = 1};
	struct omni_hs_reply reply = {
		.ephemeral = &ephemeral, .answer = &answer, .session_id = UINT64_C(1) << 63};
	struct omni_initiation in;
	struct omni_response out;
	struct omni_noise_keys keys;
	struct omni_hs_offer offer;
	struct omni_hs a, b;
	bool changed;
	int rc;

	start(&a, &in);
	REQUIRE(omni_hs_initiation_open(&b, &offer, &in, OMNI_HS_PEER, &bob) == 0);
	answer.result = omni_read_u8(r);
	answer.cipher = omni_read_u8(r);
	answer.version = omni_read_u8(r);
	answer.lanes_you_send = omni_read_u8(r);
	answer.lanes_i_send = omni_read_u8(r);
	answer.largest_frame = omni_read_be16(r);
	REQUIRE(omni_hs_response_create(&b, &out, &keys, &reply) == 0);
	changed = scribble(&out, sizeof(out), r);
	omni_macs_write((uint8_t *)&out, sizeof(out), &ann.public, NULL, 0);
	rc = omni_hs_response_open(&a, &answer, &keys, &out, &ann, NULL);
	REQUIRE(!changed || rc != 0);
	if (rc == 0 && answer.result == OMNI_RESULT_ACCEPTED)
		REQUIRE(answer.lanes_you_send >= 1 && answer.lanes_you_send <= 4 &&
			answer.lanes_i_send >= 1 && answer.lanes_i_send <= OMNI_LANES_MAX &&
			answer.largest_frame <= 1514 && answer.version == 1);
}

static void cookie(struct omni_reader *r)
{
	struct omni_cookie_maker maker = {.secret = {.b = {3}}};
	struct omni_endpoint from = {.port = 9};
	static const uint8_t nonce[OMNI_XNONCE_LEN];
	struct omni_cookie_reply reply;
	struct omni_initiation in;
	struct omni_cookie held;
	struct omni_hs hs;
	uint8_t before[sizeof(reply)];

	start(&hs, &in);
	omni_hs_cookie_reply(&reply, &maker, in.sender_id, in.mac1, &bob.public, &from, nonce, 0);
	memcpy(before, &reply, sizeof(reply));
	(void)scribble(&reply, sizeof(reply), r);
	REQUIRE((omni_hs_cookie_open(&hs, &held, &reply, 0) == 0) ==
		(memcmp(before, &reply, sizeof(reply)) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);

	REQUIRE(omni_crypto_init() == 0);
	ann.secret.b[0] = 1;
	bob.secret.b[0] = 2;
	omni_x25519_public(&ann.public, &ann.secret);
	omni_x25519_public(&bob.public, &bob.secret);
	switch (omni_read_u8(&r) % 4) {
	case 0:
		REQUIRE(omni_wire_classify(r.p, omni_reader_left(&r)) <= OMNI_CLASS_UNKNOWN);
		break;
	case 1:
		initiation(&r);
		break;
	case 2:
		response(&r);
		break;
	default:
		cookie(&r);
	}
	return 0;
}
