/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The WireGuard dialect against recorded conversations and published figures. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_wg.h>

#include "vectors.h"

#define RECORDED_FILE "wireguard.txt"
#define KDF_FILE "wireguard_kdf.txt"
#define NOW (1000 * OMNI_NS_PER_S)
#define DATA_MAX 256

static uint32_t recorded_index(const char *name)
{
	uint8_t b[4];

	vec_value_exact(RECORDED_FILE, name, b, sizeof(b));
	return omni_load_be32(b);
}

/* Value of "<run>_<name>". */
static size_t recorded(const char *run, const char *name, void *out, size_t cap)
{
	char full[96];

	snprintf(full, sizeof(full), "%s_%s", run, name);
	return vec_value(RECORDED_FILE, full, out, cap);
}

static void exact(const char *run, const char *name, void *out, size_t len)
{
	assert_int_equal(recorded(run, name, out, len), len);
}

static void assert_recorded(const char *run, const char *name, const void *got, size_t len)
{
	uint8_t want[DATA_MAX];

	exact(run, name, want, len);
	assert_memory_equal(got, want, len);
}

/* A recorded conversation: what its two sides start from, and what they make. */
struct talk {
	const char *run;
	struct omni_dh_pair init, resp;
	struct omni_key init_e, resp_e, psk;
	struct omni_wg a, b;
	struct omni_wg_initiation msg1;
	struct omni_wg_response msg2;
	struct omni_cookie a_cookie, b_cookie;
	struct omni_noise_keys a_keys, b_keys;
};

static void talk_init(struct talk *t, const char *run)
{
	struct omni_key public;

	memset(t, 0, sizeof(*t));
	t->run = run;
	exact(run, "initiator_secret", &t->init.secret, OMNI_KEY_LEN);
	exact(run, "initiator_public", &t->init.public, OMNI_KEY_LEN);
	exact(run, "responder_secret", &t->resp.secret, OMNI_KEY_LEN);
	exact(run, "responder_public", &t->resp.public, OMNI_KEY_LEN);
	exact(run, "initiator_ephemeral", &t->init_e, OMNI_KEY_LEN);
	exact(run, "responder_ephemeral", &t->resp_e, OMNI_KEY_LEN);
	exact(run, "psk", &t->psk, OMNI_KEY_LEN);
	omni_x25519_public(&public, &t->init.secret);
	assert_memory_equal(&public, &t->init.public, sizeof(public));
}

static void send_1(struct talk *t, const char *want)
{
	struct omni_wg_start start = {.self = &t->init,
				      .remote = &t->resp.public,
				      .ephemeral = &t->init_e,
				      .cookie = &t->a_cookie,
				      .index = recorded_index("initiator_index"),
				      .now_ns = NOW};

	vec_value_exact(RECORDED_FILE, "timestamp", start.timestamp, sizeof(start.timestamp));
	assert_int_equal(omni_wg_initiation_create(&t->a, &t->msg1, &start), 0);
	assert_recorded(t->run, want, &t->msg1, sizeof(t->msg1));
}

static void read_1(struct talk *t)
{
	uint8_t timestamp[OMNI_TAI64N_LEN], want[OMNI_TAI64N_LEN];

	assert_int_equal(omni_wg_initiation_open(&t->b, timestamp, &t->msg1, &t->resp), 0);
	vec_value_exact(RECORDED_FILE, "timestamp", want, sizeof(want));
	assert_memory_equal(timestamp, want, sizeof(want));
	assert_memory_equal(&t->b.remote, &t->init.public, OMNI_KEY_LEN);
	assert_int_equal(t->b.remote_index, recorded_index("initiator_index"));
}

static void send_2(struct talk *t, const char *want)
{
	struct omni_wg_reply reply = {.psk = &t->psk,
				      .ephemeral = &t->resp_e,
				      .cookie = &t->b_cookie,
				      .index = recorded_index("responder_index"),
				      .now_ns = NOW};

	assert_int_equal(omni_wg_response_create(&t->b, &t->msg2, &t->b_keys, &reply), 0);
	assert_recorded(t->run, want, &t->msg2, sizeof(t->msg2));
}

/* A reply as the other side makes it, taken by the sender of the message with mac1. */
static void take_cookie(const char *run, const char *message, struct omni_wg *hs,
			struct omni_cookie *held, const struct omni_key *replier,
			const uint8_t mac1[OMNI_MAC_LEN])
{
	uint8_t value[OMNI_COOKIE_VALUE_LEN], nonce[OMNI_XNONCE_LEN];
	struct omni_wg_cookie_reply reply;
	char name[64];

	snprintf(name, sizeof(name), "%s_cookie", message);
	exact(run, name, value, sizeof(value));
	snprintf(name, sizeof(name), "%s_cookie_nonce", message);
	exact(run, name, nonce, sizeof(nonce));
	snprintf(name, sizeof(name), "%s_cookie_reply", message);
	exact(run, name, &reply, sizeof(reply));
	assert_int_equal(omni_wg_cookie_open(hs, held, &reply, NOW), 0);
	assert_memory_equal(held->value, value, sizeof(value));

	memset(reply.enc_cookie, 0, sizeof(reply.enc_cookie));
	omni_cookie_seal(reply.enc_cookie, value, replier, nonce, mac1);
	assert_memory_equal(reply.nonce, nonce, sizeof(nonce));
	assert_recorded(run, name, &reply, sizeof(reply));
}

/* One message of data under key: sealed as recorded, and opened again. */
static void check_data(const char *run, const char *name, const char *packet,
		       const struct omni_key *key, uint32_t receiver, uint64_t counter)
{
	uint8_t out[DATA_MAX], plain[DATA_MAX] = {0}, nonce[OMNI_NONCE_LEN] = {0};
	struct omni_wg_data_hdr hdr = {.type = OMNI_TYPE_WG_DATA};
	size_t len = packet != NULL ? recorded(run, packet, plain, sizeof(plain)) : 0;

	len = (len + OMNI_WG_PADDING - 1) / OMNI_WG_PADDING * OMNI_WG_PADDING;
	omni_store_le32(hdr.receiver, receiver);
	omni_store_le64(hdr.counter, counter);
	memcpy(nonce + 4, hdr.counter, sizeof(hdr.counter));
	memcpy(out, &hdr, sizeof(hdr));
	assert_int_equal(omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, out + sizeof(hdr), key, nonce, NULL,
					0, plain, len),
			 0);
	assert_recorded(run, name, out, len + OMNI_WG_DATA_OVERHEAD);
}

static void check_talk(const char *run)
{
	struct talk t;

	talk_init(&t, run);
	send_1(&t, "initiation");
	take_cookie(run, "initiation", &t.a, &t.a_cookie, &t.resp.public, t.msg1.mac1);
	send_1(&t, "initiation_with_cookie");
	read_1(&t);
	send_2(&t, "response");
	take_cookie(run, "response", &t.b, &t.b_cookie, &t.init.public, t.msg2.mac1);
	read_1(&t);
	send_2(&t, "response_with_cookie");
	assert_int_equal(omni_wg_response_open(&t.a, &t.a_keys, &t.msg2, &t.init, &t.psk), 0);
	assert_recorded(run, "initiator_sends", &t.a_keys.send, OMNI_KEY_LEN);
	assert_recorded(run, "responder_sends", &t.a_keys.recv, OMNI_KEY_LEN);
	assert_recorded(run, "responder_sends", &t.b_keys.send, OMNI_KEY_LEN);
	assert_recorded(run, "initiator_sends", &t.b_keys.recv, OMNI_KEY_LEN);

	check_data(run, "keepalive", NULL, &t.a_keys.send, t.a.remote_index, 0);
	check_data(run, "data", "packet", &t.a_keys.send, t.a.remote_index, 1);
	check_data(run, "late_data", "packet", &t.b_keys.send, t.b.remote_index,
		   UINT64_C(0x0102030405060708));
}

static void recorded_without_psk(void **state)
{
	(void)state;
	check_talk("plain");
}

static void recorded_with_psk(void **state)
{
	(void)state;
	check_talk("psk");
}

/* HMAC pads a short key with zeros, so the published ones fit a chaining key of 32 bytes. */
static void published_kdf(void **state)
{
	uint8_t key[OMNI_HASH_LEN], input[64], want[3][OMNI_HASH_LEN], got[3][OMNI_HASH_LEN];
	struct vec v;
	int lines = 0;

	(void)state;
	vec_open(&v, KDF_FILE);
	for (; vec_next(&v); lines++) {
		size_t len = vec_hex(&v, 1, input, sizeof(input));

		memset(key, 0, sizeof(key));
		vec_hex(&v, 0, key, sizeof(key));
		for (int i = 0; i < 3; i++)
			vec_exact(&v, 2 + i, want[i], sizeof(want[i]));
		for (int n = 1; n <= 3; n++) {
			memset(got, 0, sizeof(got));
			omni_kdf(got[0], n >= 2 ? got[1] : NULL, n >= 3 ? got[2] : NULL, key, input,
				 len);
			assert_memory_equal(got, want, (size_t)n * OMNI_HASH_LEN);
		}
	}
	assert_int_equal(lines, 3);
	vec_close(&v);
}

static int init(void **state)
{
	(void)state;
	return omni_crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_without_psk),
		cmocka_unit_test(recorded_with_psk),
		cmocka_unit_test(published_kdf),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
