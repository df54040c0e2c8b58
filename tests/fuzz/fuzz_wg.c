/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * WireGuard's handshake messages. The first byte chooses; the rest is either taken as a message of
 * that kind, or (with bit 7) written over a good one (offset, then bytes), whose macs are then made
 * anew, so that what is behind them is reached.
 */
#include <string.h>

#include <omni_cookie.h>
#include <omni_crypto.h>
#include <omni_cursor.h>
#include <omni_wg.h>

#include "fuzz.h"

#define INIT_INDEX 5
#define RESP_INDEX 0xfffffffe

static struct omni_dh_pair ann, bob;
static const struct omni_key ephemeral = {.b = {7}}, psk = {.b = {9}};
static const struct omni_endpoint from = {.port = 9};
static const struct omni_cookie_maker maker = {.secret = {.b = {3}}};

/* A conversation up to its response. */
struct talk {
	struct omni_wg a, b;
	struct omni_wg_initiation msg1;
	struct omni_wg_response msg2;
	struct omni_noise_keys a_keys, b_keys;
	uint8_t timestamp[OMNI_TAI64N_LEN];
};

static void talk_init(struct talk *t)
{
	const struct omni_wg_start start = {.self = &ann,
					    .remote = &bob.public,
					    .ephemeral = &ephemeral,
					    .timestamp = {0x40, 1},
					    .index = INIT_INDEX};
	const struct omni_wg_reply reply = {
		.psk = &psk, .ephemeral = &ephemeral, .index = RESP_INDEX};

	REQUIRE(omni_wg_initiation_create(&t->a, &t->msg1, &start) == 0);
	REQUIRE(omni_wg_initiation_open(&t->b, t->timestamp, &t->msg1, &bob) == 0);
	REQUIRE(omni_wg_response_create(&t->b, &t->msg2, &t->b_keys, &reply) == 0);
}

/* Change the message as the input says; true where what mac1 covers is not what it was. */
static bool change(void *msg, size_t len, bool over, struct omni_reader *r)
{
	size_t at = over ? omni_read_u8(r) % len : 0;
	size_t n = OMNI_MIN(omni_reader_left(r), len - at);
	uint8_t before[OMNI_WG_INITIATION_LEN];

	memcpy(before, msg, len);
	if (!r->failed && n > 0)
		memcpy((uint8_t *)msg + at, omni_read(r, n), n);
	return memcmp(before, msg, len - OMNI_MACS_LEN) != 0;
}

static void initiation(struct talk *t, bool over, struct omni_reader *r)
{
	uint8_t *raw = (uint8_t *)&t->msg1;
	uint32_t sender;
	struct omni_wg hs;
	bool changed = change(raw, sizeof(t->msg1), over, r);

	if (over)
		omni_macs_write(raw, sizeof(t->msg1), &bob.public, NULL, 0);
	(void)omni_mac2_valid(&maker, raw, sizeof(t->msg1), &from, 0);
	if (omni_wg_initiation_open(&hs, t->timestamp, &t->msg1, &bob) != 0) {
		REQUIRE(changed || !over);
		return;
	}
	/* The sender's index alone is nobody's secret. */
	sender = omni_load_le32(t->msg1.sender);
	REQUIRE(!changed || sender != INIT_INDEX);
	REQUIRE(hs.remote_index == sender);
	REQUIRE(memcmp(&hs.remote, &ann.public, sizeof(hs.remote)) == 0);
}

static void response(struct talk *t, bool over, struct omni_reader *r)
{
	uint8_t *raw = (uint8_t *)&t->msg2;
	bool changed = change(raw, sizeof(t->msg2), over, r);

	if (over)
		omni_macs_write(raw, sizeof(t->msg2), &ann.public, NULL, 0);
	if (omni_wg_response_open(&t->a, &t->a_keys, &t->msg2, &ann, &psk) != 0) {
		REQUIRE((changed || !over) && t->a.awaits_response);
		return;
	}
	REQUIRE(t->a.remote_index == omni_load_le32(t->msg2.sender));
	REQUIRE(!changed || t->a.remote_index != RESP_INDEX);
	REQUIRE(memcmp(&t->a_keys.send, &t->b_keys.recv, OMNI_KEY_LEN) == 0);
	REQUIRE(memcmp(&t->a_keys.recv, &t->b_keys.send, OMNI_KEY_LEN) == 0);
}

/* To the initiation or to the response. */
static void cookie(struct talk *t, bool over, bool to_response, struct omni_reader *r)
{
	static const uint8_t nonce[OMNI_XNONCE_LEN];
	struct omni_wg_cookie_reply reply, before;
	struct omni_cookie held = {0};
	struct omni_wg *hs = to_response ? &t->b : &t->a;
	const uint8_t *sender = to_response ? t->msg2.sender : t->msg1.sender;

	omni_wg_cookie_reply(&reply, &maker, sender, hs->mac1,
			     to_response ? &ann.public : &bob.public, &from, nonce, 0);
	before = reply;
	(void)change(&reply, sizeof(reply), over, r);
	REQUIRE((omni_wg_cookie_open(hs, &held, &reply, 0) == 0) ==
		(memcmp(&before, &reply, sizeof(reply)) == 0));
	REQUIRE(held.held != hs->awaits_cookie);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	uint8_t choice = omni_read_u8(&r);
	bool over = (choice & 0x80) != 0;
	struct talk t;

	REQUIRE(omni_crypto_init() == 0);
	ann.secret.b[0] = 8;
	bob.secret.b[0] = 16;
	omni_x25519_public(&ann.public, &ann.secret);
	omni_x25519_public(&bob.public, &bob.secret);
	talk_init(&t);
	switch (choice % 4) {
	case 0:
		initiation(&t, over, &r);
		break;
	case 1:
		response(&t, over, &r);
		break;
	default:
		cookie(&t, over, choice % 4 == 3, &r);
	}
	return 0;
}
