/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_handshake.h>
#include <omni_secret.h>

#include "vectors.h"

#define PUBLIC_FILE "noise_ikpsk2.txt"
#define RECORDED_FILE "omni_handshake.txt"
#define NOW (1000 * OMNI_NS_PER_S)
#define INIT_ID UINT64_C(0x8000011122334455)
#define RESP_ID UINT64_C(0x80000299aabbccdd)

/* ---- The core ---- */

struct public_vector {
	struct omni_dh_pair init, resp;
	struct omni_key init_e, resp_e, psk;
	uint8_t prologue[64], payload[2][64], message[2][256], hash[OMNI_HASH_LEN];
	size_t prologue_len, payload_len[2], message_len[2];
};

static void read_public_vector(struct public_vector *v)
{
	vec_value_exact(PUBLIC_FILE, "init_static", &v->init.secret, OMNI_KEY_LEN);
	vec_value_exact(PUBLIC_FILE, "resp_static", &v->resp.secret, OMNI_KEY_LEN);
	omni_x25519_public(&v->init.public, &v->init.secret);
	omni_x25519_public(&v->resp.public, &v->resp.secret);
	vec_value_exact(PUBLIC_FILE, "init_ephemeral", &v->init_e, OMNI_KEY_LEN);
	vec_value_exact(PUBLIC_FILE, "resp_ephemeral", &v->resp_e, OMNI_KEY_LEN);
	vec_value_exact(PUBLIC_FILE, "init_psk", &v->psk, OMNI_KEY_LEN);
	vec_value_exact(PUBLIC_FILE, "handshake_hash", v->hash, sizeof(v->hash));
	v->prologue_len = vec_value(PUBLIC_FILE, "init_prologue", v->prologue, 64);
	v->payload_len[0] = vec_value(PUBLIC_FILE, "payload_1", v->payload[0], 64);
	v->payload_len[1] = vec_value(PUBLIC_FILE, "payload_2", v->payload[1], 64);
	v->message_len[0] = vec_value(PUBLIC_FILE, "ciphertext_1", v->message[0], 256);
	v->message_len[1] = vec_value(PUBLIC_FILE, "ciphertext_2", v->message[1], 256);
}

/* Messages 3 to 6 are transport messages, from initiator and responder in turn. */
static void check_transport(const struct omni_noise_keys *keys)
{
	uint8_t plain[64], want[128], sealed[128], nonce[OMNI_NONCE_LEN] = {0};
	char name[32];

	for (int i = 3; i <= 6; i++) {
		const struct omni_key *key = i % 2 == 1 ? &keys->send : &keys->recv;
		size_t len;

		snprintf(name, sizeof(name), "payload_%d", i);
		len = vec_value(PUBLIC_FILE, name, plain, sizeof(plain));
		snprintf(name, sizeof(name), "ciphertext_%d", i);
		vec_value_exact(PUBLIC_FILE, name, want, len + OMNI_TAG_LEN);
		nonce[4] = (uint8_t)((i - 3) / 2); /* little endian, as ChaChaPoly has it */
		assert_int_equal(omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, sealed, key, nonce, NULL, 0,
						plain, len),
				 0);
		assert_memory_equal(sealed, want, len + OMNI_TAG_LEN);
	}
}

static void core_passes_the_public_vector(void **state)
{
	struct omni_noise_keys init_keys, resp_keys;
	uint8_t msg[256], plain[64];
	struct omni_noise a, b;
	struct public_vector v;
	struct omni_key e;

	(void)state;
	read_public_vector(&v);
	omni_noise_init(&a, v.prologue, v.prologue_len, &v.resp.public);
	omni_noise_init(&b, v.prologue, v.prologue_len, &v.resp.public);

	assert_int_equal(
		omni_noise_write_1(&a, &e, msg + 32, &v.init, &v.resp.public, &v.init_e, NULL), 0);
	memcpy(msg, &e, sizeof(e));
	omni_noise_seal(&a, msg + 80, v.payload[0], v.payload_len[0]);
	assert_int_equal(v.message_len[0], 80 + v.payload_len[0] + OMNI_TAG_LEN);
	assert_memory_equal(msg, v.message[0], v.message_len[0]);
	assert_int_equal(omni_noise_read_1(&b, &e, msg + 32, &v.resp), 0);
	assert_int_equal(omni_noise_read_1_ss(&b, &v.resp, NULL), 0);
	assert_memory_equal(&b.rs, &v.init.public, OMNI_KEY_LEN);
	assert_int_equal(omni_noise_open(&b, plain, v.payload_len[0], msg + 80), 0);
	assert_memory_equal(plain, v.payload[0], v.payload_len[0]);

	assert_int_equal(omni_noise_write_2(&b, &e, &v.psk, &v.resp_e), 0);
	memcpy(msg, &e, sizeof(e));
	omni_noise_seal(&b, msg + 32, v.payload[1], v.payload_len[1]);
	assert_int_equal(v.message_len[1], 32 + v.payload_len[1] + OMNI_TAG_LEN);
	assert_memory_equal(msg, v.message[1], v.message_len[1]);
	assert_int_equal(omni_noise_read_2(&a, &e, &v.init, &v.psk), 0);
	assert_int_equal(omni_noise_open(&a, plain, v.payload_len[1], msg + 32), 0);
	assert_memory_equal(plain, v.payload[1], v.payload_len[1]);

	assert_memory_equal(a.h, v.hash, sizeof(v.hash));
	assert_memory_equal(b.h, v.hash, sizeof(v.hash));
	omni_noise_split(&a, true, &init_keys);
	omni_noise_split(&b, false, &resp_keys);
	assert_memory_equal(&init_keys.send, &resp_keys.recv, OMNI_KEY_LEN);
	assert_memory_equal(&init_keys.recv, &resp_keys.send, OMNI_KEY_LEN);
	assert_true(omni_is_zero_ct(&a, sizeof(a)));
	check_transport(&init_keys);
}

/* WireGuard's prologue and payloads: 12 bytes, then none. */
static void core_takes_another_dialect(void **state)
{
	static const char prologue[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";
	uint8_t enc_static[OMNI_NOISE_STATIC_LEN], stamp[12 + OMNI_TAG_LEN], tag[OMNI_TAG_LEN];
	struct omni_noise a, b;
	struct public_vector v;
	struct omni_key e;

	(void)state;
	read_public_vector(&v);
	omni_noise_init(&a, prologue, sizeof(prologue) - 1, &v.resp.public);
	omni_noise_init(&b, prologue, sizeof(prologue) - 1, &v.resp.public);
	assert_int_equal(
		omni_noise_write_1(&a, &e, enc_static, &v.init, &v.resp.public, &v.init_e, NULL),
		0);
	omni_noise_seal(&a, stamp, "012345678901", 12);
	assert_int_equal(omni_noise_read_1(&b, &e, enc_static, &v.resp), 0);
	assert_int_equal(omni_noise_read_1_ss(&b, &v.resp, NULL), 0);
	assert_int_equal(omni_noise_open(&b, stamp, 12, stamp), 0);
	assert_memory_equal(stamp, "012345678901", 12);
	assert_int_equal(omni_noise_write_2(&b, &e, NULL, &v.resp_e), 0);
	omni_noise_seal(&b, tag, NULL, 0);
	assert_int_equal(omni_noise_read_2(&a, &e, &v.init, NULL), 0);
	assert_int_equal(omni_noise_open(&a, NULL, 0, tag), 0);
	assert_memory_equal(a.h, b.h, sizeof(a.h));
	assert_memory_equal(a.ck, b.ck, sizeof(a.ck));
}

/* ---- A pair of members ---- */

struct pair {
	struct omni_dh_pair init, resp;
	struct omni_key init_e, resp_e, proof_key, psk;
	struct omni_hs_offer offer, got;
	struct omni_hs_answer answer;
	struct omni_hs_start start;
	struct omni_hs_reply reply;
	struct omni_hs a, b;
	struct omni_initiation msg1;
	struct omni_response msg2;
	struct omni_noise_keys init_keys, resp_keys;
};

static void recorded(enum omni_hs_purpose purpose, const char *name, void *out, size_t len)
{
	char full[64];

	snprintf(full, sizeof(full), "%s_%s", purpose == OMNI_HS_NUCLEUS ? "nucleus" : "peer",
		 name);
	vec_value_exact(RECORDED_FILE, full, out, len);
}

/* The fields of tests/vectors/make_handshake.py. */
static void fill_payloads(struct pair *p, bool nucleus)
{
	p->offer = (struct omni_hs_offer){
		.mode = OMNI_MODE_L2,
		.version = 1,
		.ciphers = {nucleus ? 2 : 1, nucleus ? 0 : 2},
		.lanes_send = nucleus ? 1 : 3,
		.lanes_accept = nucleus ? 1 : 64,
		.largest_frame = nucleus ? 1200 : 9000,
		.features = nucleus ? 0 : OMNI_FEATURE_FRAGMENTS | OMNI_FEATURE_BUNDLES,
	};
	p->answer = (struct omni_hs_answer){
		.result = OMNI_RESULT_ACCEPTED,
		.version = 1,
		.cipher = nucleus ? OMNI_CIPHER_CHACHAPOLY : OMNI_CIPHER_AESGCM,
		.lanes_you_send = nucleus ? 1 : 2,
		.lanes_i_send = nucleus ? 1 : 4,
		.largest_frame = nucleus ? 1200 : 1514,
		.features = nucleus ? 0 : OMNI_FEATURE_FRAGMENTS,
	};
	if (!nucleus) {
		assert_int_equal(omni_ip_parse(&p->offer.vip, "10.200.0.1"), 0);
		assert_int_equal(omni_ip_parse(&p->answer.vip, "10.200.0.2"), 0);
	}
	vec_value_exact(RECORDED_FILE, "timestamp", p->offer.timestamp, OMNI_TAI64N_LEN);
}

static void pair_init(struct pair *p, enum omni_hs_purpose purpose)
{
	bool nucleus = purpose == OMNI_HS_NUCLEUS;

	memset(p, 0, sizeof(*p));
	fill_payloads(p, nucleus);
	recorded(purpose, "initiator_secret", &p->init.secret, OMNI_KEY_LEN);
	recorded(purpose, "responder_secret", &p->resp.secret, OMNI_KEY_LEN);
	omni_x25519_public(&p->init.public, &p->init.secret);
	omni_x25519_public(&p->resp.public, &p->resp.secret);
	recorded(purpose, "initiator_ephemeral", &p->init_e, OMNI_KEY_LEN);
	recorded(purpose, "responder_ephemeral", &p->resp_e, OMNI_KEY_LEN);
	recorded(purpose, "cluster_id", &p->offer.cluster_id, OMNI_KEY_LEN);
	recorded(purpose, "psk", &p->psk, OMNI_KEY_LEN);
	if (!nucleus)
		recorded(purpose, "proof_key", &p->proof_key, OMNI_KEY_LEN);
	p->start = (struct omni_hs_start){
		.purpose = purpose,
		.self = &p->init,
		.remote = &p->resp.public,
		.ephemeral = &p->init_e,
		.proof_key = nucleus ? NULL : &p->proof_key,
		.offer = &p->offer,
		.session_id = INIT_ID,
		.now_ns = NOW,
	};
	p->reply = (struct omni_hs_reply){
		.psk = nucleus ? NULL : &p->psk,
		.ephemeral = &p->resp_e,
		.answer = &p->answer,
		.session_id = RESP_ID,
		.now_ns = NOW,
	};
}

static void send_1(struct pair *p)
{
	assert_int_equal(omni_hs_initiation_create(&p->a, &p->msg1, &p->start), 0);
}

static int read_1(struct pair *p)
{
	return omni_hs_initiation_open(&p->b, &p->got, &p->msg1, p->start.purpose, &p->resp);
}

static void send_2(struct pair *p)
{
	assert_int_equal(omni_hs_response_create(&p->b, &p->msg2, &p->resp_keys, &p->reply), 0);
}

static int read_2(struct pair *p, struct omni_hs_answer *answer)
{
	return omni_hs_response_open(&p->a, answer, &p->init_keys, &p->msg2, &p->init,
				     p->reply.psk);
}

/* To where the response has been written. */
static void run_to_2(struct pair *p)
{
	pair_init(p, OMNI_HS_PEER);
	send_1(p);
	assert_int_equal(read_1(p), 0);
	send_2(p);
}

static void assert_keys(const struct pair *p, bool some)
{
	assert_memory_equal(&p->init_keys.send, &p->resp_keys.recv, OMNI_KEY_LEN);
	assert_memory_equal(&p->init_keys.recv, &p->resp_keys.send, OMNI_KEY_LEN);
	assert_int_equal(omni_is_zero_ct(&p->init_keys, sizeof(p->init_keys)), !some);
}

static void assert_same_offer(const struct omni_hs_offer *a, const struct omni_hs_offer *b)
{
	assert_memory_equal(a->timestamp, b->timestamp, sizeof(a->timestamp));
	assert_memory_equal(&a->cluster_id, &b->cluster_id, sizeof(a->cluster_id));
	assert_true(omni_ip_equal(&a->vip, &b->vip));
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->version, b->version);
	assert_memory_equal(a->ciphers, b->ciphers, sizeof(a->ciphers));
	assert_int_equal(a->lanes_send, b->lanes_send);
	assert_int_equal(a->lanes_accept, b->lanes_accept);
	assert_int_equal(a->largest_frame, b->largest_frame);
	assert_int_equal(a->features, b->features);
}

static void assert_same_answer(const struct omni_hs_answer *a, const struct omni_hs_answer *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->version, b->version);
	assert_int_equal(a->cipher, b->cipher);
	assert_int_equal(a->lanes_you_send, b->lanes_you_send);
	assert_int_equal(a->lanes_i_send, b->lanes_i_send);
	assert_int_equal(a->largest_frame, b->largest_frame);
	assert_int_equal(a->features, b->features);
	assert_true(omni_ip_equal(&a->vip, &b->vip));
}

/* ---- The recorded transcript ---- */

static void check_recorded(enum omni_hs_purpose purpose)
{
	uint8_t want[OMNI_INITIATION_LEN], value[OMNI_COOKIE_VALUE_LEN];
	struct omni_cookie cookie = {0};
	struct omni_cookie_reply reply;
	struct omni_hs_answer answer;
	struct pair p;

	pair_init(&p, purpose);
	send_1(&p);
	recorded(purpose, "initiation_no_cookie", want, OMNI_INITIATION_LEN);
	assert_memory_equal(&p.msg1, want, OMNI_INITIATION_LEN);
	recorded(purpose, "cookie_reply", &reply, sizeof(reply));
	assert_int_equal(omni_hs_cookie_open(&p.a, &cookie, &reply, NOW), 0);
	recorded(purpose, "cookie", value, sizeof(value));
	assert_memory_equal(cookie.value, value, sizeof(value));

	p.start.cookie = &cookie;
	send_1(&p);
	recorded(purpose, "initiation", want, OMNI_INITIATION_LEN);
	assert_memory_equal(&p.msg1, want, OMNI_INITIATION_LEN);
	assert_int_equal(read_1(&p), 0);
	assert_memory_equal(&p.b.remote, &p.init.public, OMNI_KEY_LEN);
	assert_true(p.b.remote_id == INIT_ID);
	assert_same_offer(&p.got, &p.offer);
	assert_int_equal(omni_hs_proof_is_zero(&p.b), purpose == OMNI_HS_NUCLEUS);
	if (purpose == OMNI_HS_PEER)
		assert_true(omni_hs_proof_valid(&p.b, &p.proof_key));

	send_2(&p);
	recorded(purpose, "response", want, OMNI_RESPONSE_LEN);
	assert_memory_equal(&p.msg2, want, OMNI_RESPONSE_LEN);
	assert_int_equal(read_2(&p, &answer), 0);
	assert_same_answer(&answer, &p.answer);
	assert_true(p.a.remote_id == RESP_ID && p.a.local_id == INIT_ID);
	assert_keys(&p, true);
	recorded(purpose, "initiator_sends", want, OMNI_KEY_LEN);
	assert_memory_equal(&p.init_keys.send, want, OMNI_KEY_LEN);
	recorded(purpose, "responder_sends", want, OMNI_KEY_LEN);
	assert_memory_equal(&p.init_keys.recv, want, OMNI_KEY_LEN);
}

static void recorded_between_peers(void **state)
{
	(void)state;
	check_recorded(OMNI_HS_PEER);
}

static void recorded_towards_a_nucleus(void **state)
{
	(void)state;
	check_recorded(OMNI_HS_NUCLEUS);
}

/* ---- What must fail ---- */

static void every_byte_of_the_initiation_counts(void **state)
{
	uint8_t *raw;
	struct pair p;

	(void)state;
	pair_init(&p, OMNI_HS_PEER);
	send_1(&p);
	raw = (uint8_t *)&p.msg1;
	for (size_t i = 0; i < offsetof(struct omni_initiation, mac2); i++) {
		raw[i] ^= 1;
		assert_false(omni_hs_initiation_mac1_valid(&p.msg1, &p.resp.public));
		assert_int_equal(read_1(&p), -EBADMSG);
		/* The same by someone who knows the responder's key, and so can make mac1. */
		if (i < offsetof(struct omni_initiation, mac1)) {
			omni_macs_write(raw, sizeof(p.msg1), &p.resp.public, NULL, NOW);
			memset(&p.b, 0xff, sizeof(p.b));
			assert_true(read_1(&p) < 0);
			assert_true(omni_is_zero_ct(&p.b, sizeof(p.b)));
		}
		raw[i] ^= 1;
		omni_macs_write(raw, sizeof(p.msg1), &p.resp.public, NULL, NOW);
	}
	assert_int_equal(read_1(&p), 0);
}

static void every_byte_of_the_response_counts(void **state)
{
	struct omni_hs_answer answer;
	uint8_t *raw;
	struct pair p;

	(void)state;
	run_to_2(&p);
	raw = (uint8_t *)&p.msg2;
	for (size_t i = 0; i < offsetof(struct omni_response, mac2); i++) {
		raw[i] ^= 1;
		assert_int_equal(read_2(&p, &answer), -EBADMSG);
		if (i < offsetof(struct omni_response, mac1)) {
			omni_macs_write(raw, sizeof(p.msg2), &p.init.public, NULL, NOW);
			assert_true(read_2(&p, &answer) < 0);
		}
		assert_true(omni_is_zero_ct(&p.init_keys, sizeof(p.init_keys)));
		raw[i] ^= 1;
		omni_macs_write(raw, sizeof(p.msg2), &p.init.public, NULL, NOW);
	}
	/* After all that the right one is still awaited, once. */
	assert_int_equal(read_2(&p, &answer), 0);
	assert_keys(&p, true);
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
}

static void wrong_keys_fail(void **state)
{
	struct omni_hs_answer answer;
	struct omni_key other;
	struct pair p;

	(void)state;
	run_to_2(&p);
	other = p.psk;
	other.b[31] ^= 1;
	p.reply.psk = &other;
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
	p.reply.psk = NULL;
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
	p.reply.psk = &p.psk;
	p.init.secret.b[5] ^= 1;
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
	p.init.secret.b[5] ^= 1;
	assert_int_equal(read_2(&p, &answer), 0);

	/* Another responder, and a responder of the other purpose. */
	send_1(&p);
	assert_int_equal(omni_hs_initiation_open(&p.b, &p.got, &p.msg1, OMNI_HS_PEER, &p.init),
			 -EBADMSG);
	assert_int_equal(omni_hs_initiation_open(&p.b, &p.got, &p.msg1, OMNI_HS_NUCLEUS, &p.resp),
			 -EBADMSG);
	p.resp.secret.b[5] ^= 1;
	assert_int_equal(read_1(&p), -EBADMSG);
}

static void a_response_belongs_to_one_initiation(void **state)
{
	struct omni_hs_answer answer;
	struct pair p;

	(void)state;
	run_to_2(&p);
	p.init_e.b[7] ^= 1;
	send_1(&p); /* the next attempt, under the same session id */
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
	p.start.session_id = INIT_ID + 1;
	send_1(&p);
	assert_int_equal(read_2(&p, &answer), -EBADMSG);
}

static void proofs(void **state)
{
	struct omni_key other;
	struct pair p;

	(void)state;
	pair_init(&p, OMNI_HS_PEER);
	send_1(&p);
	assert_int_equal(read_1(&p), 0);
	other = p.proof_key;
	assert_true(omni_hs_proof_valid(&p.b, &other));
	other.b[0] ^= 1;
	assert_false(omni_hs_proof_valid(&p.b, &other));
	assert_false(omni_hs_proof_is_zero(&p.b));

	p.start.proof_key = &other;
	send_1(&p);
	assert_int_equal(read_1(&p), 0);
	assert_false(omni_hs_proof_valid(&p.b, &p.proof_key));

	p.start.proof_key = NULL;
	send_1(&p);
	assert_int_equal(read_1(&p), 0);
	assert_false(omni_hs_proof_valid(&p.b, &p.proof_key));
	assert_true(omni_hs_proof_is_zero(&p.b));
}

static void low_order_points_abort(void **state)
{
	static const struct omni_key zero, one = {.b = {1}};
	struct omni_hs_answer answer;
	struct omni_key remote = zero;
	struct pair p;

	(void)state;
	pair_init(&p, OMNI_HS_PEER);
	p.start.remote = &remote;
	assert_int_equal(omni_hs_initiation_create(&p.a, &p.msg1, &p.start), -EINVAL);
	assert_true(omni_is_zero_ct(&p.a, sizeof(p.a)) && omni_is_zero_ct(&p.msg1, sizeof(p.msg1)));

	p.start.remote = &p.resp.public;
	send_1(&p);
	memcpy(p.msg1.ephemeral, &one, sizeof(one));
	omni_macs_write((uint8_t *)&p.msg1, sizeof(p.msg1), &p.resp.public, NULL, NOW);
	assert_int_equal(read_1(&p), -EINVAL);

	/* A static key of low order, rightly encrypted: ss catches it. */
	memset(&p.init.public, 0, OMNI_KEY_LEN);
	send_1(&p);
	assert_int_equal(read_1(&p), -EINVAL);

	run_to_2(&p);
	memcpy(p.msg2.ephemeral, &zero, sizeof(zero));
	omni_macs_write((uint8_t *)&p.msg2, sizeof(p.msg2), &p.init.public, NULL, NOW);
	assert_int_equal(read_2(&p, &answer), -EINVAL);
	assert_true(p.a.awaits_response);
}

/* ---- Answers ---- */

static void a_refusal_leaves_no_keys(void **state)
{
	struct omni_hs_answer answer;
	struct pair p;

	(void)state;
	for (uint8_t result = 1; result <= OMNI_RESULT_COUNT; result++) {
		pair_init(&p, OMNI_HS_PEER);
		p.answer = (struct omni_hs_answer){.result = result, .version = 9, .cipher = 7};
		send_1(&p);
		assert_int_equal(read_1(&p), 0);
		send_2(&p);
		assert_true(omni_is_zero_ct(&p.b, sizeof(p.b)));
		assert_int_equal(read_2(&p, &answer), 0);
		assert_int_equal(answer.result, result);
		assert_keys(&p, false);
		assert_true(omni_is_zero_ct(&p.a.noise, sizeof(p.a.noise)));
	}
}

static int answer_with(const struct omni_hs_answer *answer)
{
	struct omni_hs_answer got;
	struct pair p;
	int rc;

	pair_init(&p, OMNI_HS_PEER);
	send_1(&p);
	assert_int_equal(read_1(&p), 0);
	p.answer = *answer;
	send_2(&p);
	rc = read_2(&p, &got);
	if (rc < 0) {
		assert_true(omni_is_zero_ct(&p.a, sizeof(p.a)));
		assert_true(omni_is_zero_ct(&p.init_keys, sizeof(p.init_keys)));
	}
	return rc;
}

static void an_acceptance_keeps_within_the_offer(void **state)
{
	struct omni_hs_answer good, bad;
	struct pair p;

	(void)state;
	pair_init(&p, OMNI_HS_PEER);
	good = p.answer;
	good.lanes_you_send = 3;
	good.lanes_i_send = 64;
	good.largest_frame = 9000;
	assert_int_equal(answer_with(&good), 0);
#define REFUSED(field, value)                                 \
	do {                                                  \
		bad = good;                                   \
		bad.field = (value);                          \
		assert_int_equal(answer_with(&bad), -EPROTO); \
	} while (0)
	REFUSED(version, 0);
	REFUSED(version, 2);
	REFUSED(cipher, 0);
	REFUSED(cipher, 3);
	REFUSED(lanes_you_send, 0);
	REFUSED(lanes_you_send, 4);
	REFUSED(lanes_i_send, 0);
	REFUSED(lanes_i_send, 65);
	REFUSED(largest_frame, 9001);
}

static void offers_of_no_lanes_are_nonsense(void **state)
{
	static const uint16_t bad[] = {0, OMNI_LANES_MAX + 1, UINT16_MAX};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		pair_init(&p, OMNI_HS_PEER);
		p.offer.lanes_send = bad[i];
		send_1(&p);
		assert_int_equal(read_1(&p), -EPROTO);
		p.offer.lanes_send = 1;
		p.offer.lanes_accept = bad[i];
		send_1(&p);
		assert_int_equal(read_1(&p), -EPROTO);
	}
}

static void negotiation(void **state)
{
	static const struct {
		uint8_t version, mode, ciphers[2];
		bool aes, chacha;
		uint8_t result, cipher;
	} cases[] = {
		{1, 1, {1, 2}, true, true, OMNI_RESULT_ACCEPTED, 1},
		{1, 1, {2, 1}, true, true, OMNI_RESULT_ACCEPTED, 2},
		{1, 1, {1, 2}, false, true, OMNI_RESULT_ACCEPTED, 2},
		{7, 1, {2, 0}, true, true, OMNI_RESULT_ACCEPTED, 2},
		{1, 1, {1, 0}, false, true, OMNI_RESULT_CIPHER, 0},
		{1, 1, {0, 0}, true, true, OMNI_RESULT_CIPHER, 0},
		{1, 1, {3, 255}, true, true, OMNI_RESULT_CIPHER, 0},
		{1, 1, {2, 2}, true, false, OMNI_RESULT_CIPHER, 0},
		{0, 1, {1, 2}, true, true, OMNI_RESULT_VERSION, 1},
		{1, 2, {1, 2}, true, true, OMNI_RESULT_MODE, 1},
		{1, 0, {1, 2}, true, true, OMNI_RESULT_MODE, 1},
	};
	struct omni_hs_answer answer;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		struct omni_hs_policy policy = {.mode = OMNI_MODE_L2,
						.version = 1,
						.ciphers = {false, cases[i].aes, cases[i].chacha},
						.lanes_send = 4,
						.lanes_accept = 2,
						.largest_frame = 1514,
						.features = 3};
		struct omni_hs_offer offer = {.mode = cases[i].mode,
					      .version = cases[i].version,
					      .ciphers = {cases[i].ciphers[0], cases[i].ciphers[1]},
					      .lanes_send = 8,
					      .lanes_accept = 3,
					      .largest_frame = 9000};

		omni_hs_negotiate(&answer, &offer, &policy);
		assert_int_equal(answer.result, cases[i].result);
		assert_int_equal(answer.cipher, cases[i].cipher);
		assert_int_equal(answer.version, cases[i].version > 0);
		assert_int_equal(answer.lanes_you_send, 2);
		assert_int_equal(answer.lanes_i_send, 3);
		assert_int_equal(answer.largest_frame, 1514);
	}
}

/* ---- Cookies ---- */

static struct omni_endpoint endpoint(const char *text)
{
	struct omni_endpoint ep;

	assert_int_equal(omni_endpoint_parse(&ep, text), 0);
	return ep;
}

static void cookie_flow(void **state)
{
	struct omni_cookie_maker maker = {.secret = {.b = {1, 2, 3}}};
	struct omni_endpoint from = endpoint("192.0.2.1:51820");
	struct omni_endpoint port = endpoint("192.0.2.1:51821"), addr = endpoint("192.0.2.2:51820");
	const uint8_t nonce[OMNI_XNONCE_LEN] = {5};
	struct omni_cookie cookie = {0};
	struct omni_cookie_reply reply;
	struct pair p;
	uint8_t *raw;

	(void)state;
	pair_init(&p, OMNI_HS_PEER);
	p.start.cookie = &cookie; /* nothing held yet */
	send_1(&p);
	raw = (uint8_t *)&p.msg1;
	assert_true(omni_is_zero_ct(p.msg1.mac2, OMNI_MAC_LEN));
	assert_true(omni_hs_initiation_mac1_valid(&p.msg1, &p.resp.public));
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &from, NOW));

	omni_hs_cookie_reply(&reply, &maker, p.msg1.sender_id, p.msg1.mac1, &p.resp.public, &from,
			     nonce, NOW);
	for (size_t i = 0; i < sizeof(reply); i++) {
		((uint8_t *)&reply)[i] ^= 1;
		assert_int_equal(omni_hs_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);
		((uint8_t *)&reply)[i] ^= 1;
		assert_false(cookie.held);
	}
	assert_int_equal(omni_hs_cookie_open(&p.a, &cookie, &reply, NOW), 0);
	assert_int_equal(omni_hs_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);

	send_1(&p);
	assert_true(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &from, NOW));
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &port, NOW));
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &addr, NOW));
	for (size_t i = 0; i < sizeof(p.msg1); i++) {
		raw[i] ^= 1;
		assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &from, NOW));
		raw[i] ^= 1;
	}
	/* The reply to an earlier initiation does not fit a later one. */
	p.init_e.b[3] ^= 1;
	send_1(&p);
	assert_int_equal(omni_hs_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);
}

static void cookies_age(void **state)
{
	const uint64_t life = OMNI_COOKIE_LIFE_S * OMNI_NS_PER_S;
	const uint64_t hold = life - OMNI_COOKIE_LATENCY_S * OMNI_NS_PER_S;
	struct omni_cookie_maker maker = {.secret = {.b = {9}}}, other = {.secret = {.b = {8}}};
	struct omni_endpoint from = endpoint("[2001:db8::1]:4000");
	uint8_t value[OMNI_COOKIE_VALUE_LEN];
	struct omni_cookie cookie = {0};

	(void)state;
	for (uint64_t start = 0; start < 2 * life; start += life / 4) {
		uint64_t periods = (start / life + 2) * life; /* the end of the next period */

		omni_cookie_make(value, &maker, &from, start);
		assert_true(omni_cookie_valid(&maker, value, &from, start));
		assert_true(omni_cookie_valid(&maker, value, &from, start + life));
		assert_true(omni_cookie_valid(&maker, value, &from, periods - 1));
		assert_false(omni_cookie_valid(&maker, value, &from, periods));
		assert_false(omni_cookie_valid(&other, value, &from, start));
		omni_cookie_hold(&cookie, value, start);
		assert_true(omni_cookie_fresh(&cookie, start));
		assert_true(omni_cookie_fresh(&cookie, start + hold - 1));
		assert_false(omni_cookie_fresh(&cookie, start + hold));
	}
}

/* A Nucleus's address cookie: handed out in the clear, then the key of mac2. */
static void address_cookie_is_the_key_of_mac2(void **state)
{
	struct omni_cookie_maker maker = {.secret = {.b = {7}}};
	struct omni_endpoint from = endpoint("198.51.100.7:1024");
	uint8_t value[OMNI_COOKIE_VALUE_LEN];
	struct omni_cookie cookie = {0};
	struct pair p;

	(void)state;
	pair_init(&p, OMNI_HS_NUCLEUS);
	omni_cookie_make(value, &maker, &from, NOW);
	omni_cookie_hold(&cookie, value, NOW);
	p.start.cookie = &cookie;
	send_1(&p);
	assert_true(omni_mac2_valid(&maker, (uint8_t *)&p.msg1, sizeof(p.msg1), &from, NOW));
	assert_int_equal(read_1(&p), 0);
	p.start.now_ns = NOW + OMNI_COOKIE_LIFE_S * OMNI_NS_PER_S;
	send_1(&p);
	assert_true(omni_is_zero_ct(p.msg1.mac2, OMNI_MAC_LEN));
}

static int init(void **state)
{
	(void)state;
	return omni_crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_passes_the_public_vector),
		cmocka_unit_test(core_takes_another_dialect),
		cmocka_unit_test(recorded_between_peers),
		cmocka_unit_test(recorded_towards_a_nucleus),
		cmocka_unit_test(every_byte_of_the_initiation_counts),
		cmocka_unit_test(every_byte_of_the_response_counts),
		cmocka_unit_test(wrong_keys_fail),
		cmocka_unit_test(a_response_belongs_to_one_initiation),
		cmocka_unit_test(proofs),
		cmocka_unit_test(low_order_points_abort),
		cmocka_unit_test(a_refusal_leaves_no_keys),
		cmocka_unit_test(an_acceptance_keeps_within_the_offer),
		cmocka_unit_test(offers_of_no_lanes_are_nonsense),
		cmocka_unit_test(negotiation),
		cmocka_unit_test(cookie_flow),
		cmocka_unit_test(cookies_age),
		cmocka_unit_test(address_cookie_is_the_key_of_mac2),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
