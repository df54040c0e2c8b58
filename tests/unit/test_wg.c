/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The WireGuard dialect with itself: what passes, what must fail, what is wiped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_secret.h>
#include <omni_wg.h>

#define NOW (1000 * OMNI_NS_PER_S)
#define INIT_INDEX 0x11223344u
#define RESP_INDEX 0xaabbccddu
#define LOW_ORDER_POINTS 3

/* Two hosts and one handshake between them. */
struct pair {
	struct omni_dh_pair init, resp;
	struct omni_key init_e, resp_e, psk;
	struct omni_wg a, b;
	struct omni_wg_initiation msg1;
	struct omni_wg_response msg2;
	struct omni_noise_keys a_keys, b_keys;
	struct omni_wg_start start;
	struct omni_wg_reply reply;
	uint8_t timestamp[OMNI_TAI64N_LEN];
};

static void dh_pair(struct omni_dh_pair *pair, uint8_t seed)
{
	memset(&pair->secret, seed, sizeof(pair->secret));
	omni_x25519_public(&pair->public, &pair->secret);
}

static void pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	dh_pair(&p->init, 1);
	dh_pair(&p->resp, 2);
	memset(&p->init_e, 3, sizeof(p->init_e));
	memset(&p->resp_e, 4, sizeof(p->resp_e));
	memset(&p->psk, 5, sizeof(p->psk));
	p->start = (struct omni_wg_start){.self = &p->init,
					  .remote = &p->resp.public,
					  .ephemeral = &p->init_e,
					  .timestamp = {0x40, 0, 0, 0, 0x6a, 1, 2, 3, 4, 5, 6, 7},
					  .index = INIT_INDEX,
					  .now_ns = NOW};
	p->reply = (struct omni_wg_reply){
		.psk = &p->psk, .ephemeral = &p->resp_e, .index = RESP_INDEX, .now_ns = NOW};
}

static void send_1(struct pair *p)
{
	assert_int_equal(omni_wg_initiation_create(&p->a, &p->msg1, &p->start), 0);
}

static int read_1(struct pair *p)
{
	return omni_wg_initiation_open(&p->b, p->timestamp, &p->msg1, &p->resp);
}

static void send_2(struct pair *p)
{
	assert_int_equal(omni_wg_response_create(&p->b, &p->msg2, &p->b_keys, &p->reply), 0);
}

static int read_2(struct pair *p)
{
	return omni_wg_response_open(&p->a, &p->a_keys, &p->msg2, &p->init, &p->psk);
}

static void run_to_2(struct pair *p)
{
	send_1(p);
	assert_int_equal(read_1(p), 0);
	send_2(p);
}

#define assert_zero(object) assert_true(omni_is_zero_ct(&(object), sizeof(object)))

static void assert_same_keys(const struct pair *p)
{
	assert_memory_equal(&p->a_keys.send, &p->b_keys.recv, OMNI_KEY_LEN);
	assert_memory_equal(&p->a_keys.recv, &p->b_keys.send, OMNI_KEY_LEN);
	assert_memory_not_equal(&p->a_keys.send, &p->a_keys.recv, OMNI_KEY_LEN);
	assert_false(omni_is_zero_ct(&p->a_keys, sizeof(p->a_keys)));
}

static void round_trip(void **state)
{
	struct pair p;

	(void)state;
	for (int psk = 0; psk <= 1; psk++) {
		pair_init(&p);
		if (!psk) {
			p.reply.psk = NULL;
			memset(&p.psk, 0, sizeof(p.psk)); /* none is a key of zeros */
		}
		run_to_2(&p);
		assert_memory_equal(p.timestamp, p.start.timestamp, OMNI_TAI64N_LEN);
		assert_memory_equal(&p.b.remote, &p.init.public, OMNI_KEY_LEN);
		assert_int_equal(p.b.remote_index, INIT_INDEX);
		assert_int_equal(p.b.local_index, RESP_INDEX);
		assert_true(omni_wg_response_mac1_valid(&p.msg2, &p.init.public));
		assert_int_equal(read_2(&p), 0);
		assert_int_equal(p.a.local_index, INIT_INDEX);
		assert_int_equal(p.a.remote_index, RESP_INDEX);
		assert_same_keys(&p);
	}
}

/* Types, sizes and byte order as the whitepaper's figures have them. */
static void layout(void **state)
{
	static const uint8_t head1[] = {1, 0, 0, 0, 0x44, 0x33, 0x22, 0x11};
	static const uint8_t head2[] = {2, 0, 0, 0, 0xdd, 0xcc, 0xbb, 0xaa, 0x44, 0x33, 0x22, 0x11};
	struct omni_key e;
	struct pair p;

	(void)state;
	pair_init(&p);
	run_to_2(&p);
	assert_int_equal(sizeof(p.msg1), 148);
	assert_int_equal(sizeof(p.msg2), 92);
	assert_int_equal(sizeof(struct omni_wg_cookie_reply), 64);
	assert_memory_equal(&p.msg1, head1, sizeof(head1));
	assert_memory_equal(&p.msg2, head2, sizeof(head2));
	omni_x25519_public(&e, &p.init_e);
	assert_memory_equal(p.msg1.ephemeral, &e, sizeof(e));
	omni_x25519_public(&e, &p.resp_e);
	assert_memory_equal(p.msg2.ephemeral, &e, sizeof(e));
	assert_zero(p.msg1.mac2);
	assert_zero(p.msg2.mac2);
}

/* mac2 alone is nobody's business here: it is looked at under load only. */
static void every_byte_of_the_initiation_counts(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p);
	send_1(&p);
	for (size_t i = 0; i < sizeof(p.msg1); i++) {
		for (int bit = 0; bit < 8; bit++) {
			((uint8_t *)&p.msg1)[i] ^= (uint8_t)(1 << bit);
			if (i < offsetof(struct omni_wg_initiation, mac2)) {
				assert_false(
					omni_wg_initiation_mac1_valid(&p.msg1, &p.resp.public));
				assert_int_equal(read_1(&p), -EBADMSG);
				assert_zero(p.b);
			} else {
				assert_int_equal(read_1(&p), 0);
			}
			((uint8_t *)&p.msg1)[i] ^= (uint8_t)(1 << bit);
		}
	}
}

/* With mac1 made anew, so that what is behind it must notice. */
static void every_sealed_byte_of_the_initiation_counts(void **state)
{
	struct pair p;
	uint8_t *raw;

	(void)state;
	pair_init(&p);
	send_1(&p);
	raw = (uint8_t *)&p.msg1;
	for (size_t i = offsetof(struct omni_wg_initiation, ephemeral);
	     i < offsetof(struct omni_wg_initiation, mac1); i++) {
		raw[i] ^= 1;
		omni_macs_write(raw, sizeof(p.msg1), &p.resp.public, NULL, NOW);
		assert_int_equal(read_1(&p), -EBADMSG);
		assert_zero(p.b);
		raw[i] ^= 1;
	}
}

static void every_byte_of_the_response_counts(void **state)
{
	struct pair p;
	uint8_t *raw;

	(void)state;
	pair_init(&p);
	run_to_2(&p);
	raw = (uint8_t *)&p.msg2;
	for (int forged = 0; forged <= 1; forged++) {
		for (size_t i = 0; i < offsetof(struct omni_wg_response, mac2); i++) {
			raw[i] ^= 1;
			if (forged) /* mac1 needs nothing secret */
				omni_macs_write(raw, sizeof(p.msg2), &p.init.public, NULL, NOW);
			/* The sender's index is not bound by the tag: mac1 alone covers it. */
			if (!forged || i < 4 ||
			    (i >= 8 && i < offsetof(struct omni_wg_response, mac1))) {
				assert_int_equal(read_2(&p), -EBADMSG);
				assert_zero(p.a_keys);
				assert_true(p.a.awaits_response);
			}
			raw[i] ^= 1;
		}
		omni_macs_write(raw, sizeof(p.msg2), &p.init.public, NULL, NOW);
	}
	assert_int_equal(read_2(&p), 0); /* none of these ended anything */
	assert_same_keys(&p);
}

/* Who keeps the DH of both static keys gets the same bytes for less. */
static void a_kept_secret_serves_both_sides(void **state)
{
	struct omni_key shared, wrong = {.b = {1}};
	struct omni_wg_initiation without;
	struct pair p;

	(void)state;
	pair_init(&p);
	send_1(&p);
	without = p.msg1;
	assert_int_equal(omni_x25519(&shared, &p.init.secret, &p.resp.public), 0);
	p.start.shared = &shared;
	send_1(&p);
	assert_memory_equal(&p.msg1, &without, sizeof(without));

	assert_int_equal(omni_wg_initiation_identify(&p.b, &p.msg1, &p.resp), 0);
	assert_memory_equal(&p.b.remote, &p.init.public, OMNI_KEY_LEN);
	assert_int_equal(omni_wg_initiation_verify(&p.b, p.timestamp, &p.msg1, &p.resp, &shared),
			 0);
	assert_memory_equal(p.timestamp, p.start.timestamp, OMNI_TAI64N_LEN);
	send_2(&p);
	assert_int_equal(read_2(&p), 0);
	assert_same_keys(&p);

	send_1(&p);
	assert_int_equal(omni_wg_initiation_identify(&p.b, &p.msg1, &p.resp), 0);
	assert_int_equal(omni_wg_initiation_verify(&p.b, p.timestamp, &p.msg1, &p.resp, &wrong),
			 -EBADMSG);
	assert_zero(p.b);
	assert_zero(p.timestamp);
}

static void wrong_keys_fail(void **state)
{
	struct omni_dh_pair other;
	struct pair p;

	(void)state;
	dh_pair(&other, 9);
	pair_init(&p);
	run_to_2(&p);
	assert_int_equal(omni_wg_initiation_open(&p.b, p.timestamp, &p.msg1, &other), -EBADMSG);
	assert_false(omni_wg_initiation_mac1_valid(&p.msg1, &other.public));
	assert_int_equal(omni_wg_response_open(&p.a, &p.a_keys, &p.msg2, &other, &p.psk), -EBADMSG);
	assert_int_equal(omni_wg_response_open(&p.a, &p.a_keys, &p.msg2, &p.init, NULL), -EBADMSG);
	p.psk.b[31] ^= 1;
	assert_int_equal(read_2(&p), -EBADMSG);
	p.psk.b[31] ^= 1;
	assert_int_equal(read_2(&p), 0);
}

static void a_response_counts_once_and_for_one_initiation(void **state)
{
	struct omni_wg_response first;
	struct pair p;

	(void)state;
	pair_init(&p);
	assert_int_equal(read_2(&p), -EBADMSG); /* none was asked for */
	run_to_2(&p);
	first = p.msg2;
	p.init_e.b[3] ^= 1; /* a new initiation under the same index */
	send_1(&p);
	assert_int_equal(read_2(&p), -EBADMSG);
	assert_int_equal(read_1(&p), 0);
	send_2(&p);
	assert_int_equal(read_2(&p), 0);
	assert_int_equal(read_2(&p), -EBADMSG);
	p.msg2 = first;
	assert_int_equal(read_2(&p), -EBADMSG);
}

/* Points whose product with any scalar is zero: RFC 7748's u = 0, u = 1, and one of order 8. */
static const struct omni_key low_order[LOW_ORDER_POINTS] = {
	{.b = {0}},
	{.b = {1}},
	{.b = {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
	       0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
	       0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}},
};

static void low_order_points_abort(void **state)
{
	struct pair p;

	(void)state;
	for (size_t i = 0; i < LOW_ORDER_POINTS; i++) {
		pair_init(&p);
		p.start.remote = &low_order[i];
		memset(&p.a, 0xff, sizeof(p.a));
		assert_int_equal(omni_wg_initiation_create(&p.a, &p.msg1, &p.start), -EINVAL);
		assert_zero(p.a);
		assert_zero(p.msg1);

		p.start.remote = &p.resp.public;
		send_1(&p);
		memcpy(p.msg1.ephemeral, &low_order[i], OMNI_KEY_LEN);
		omni_macs_write((uint8_t *)&p.msg1, sizeof(p.msg1), &p.resp.public, NULL, NOW);
		assert_int_equal(read_1(&p), -EINVAL);
		assert_zero(p.b);

		pair_init(&p);
		run_to_2(&p);
		memcpy(p.msg2.ephemeral, &low_order[i], OMNI_KEY_LEN);
		omni_macs_write((uint8_t *)&p.msg2, sizeof(p.msg2), &p.init.public, NULL, NOW);
		assert_int_equal(read_2(&p), -EINVAL);
		assert_zero(p.a_keys);
		assert_true(p.a.awaits_response);
	}
}

/* An initiator whose static or ephemeral key is of low order reaches the responder's DHs. */
static void low_order_points_leave_no_response(void **state)
{
	struct pair p;

	(void)state;
	for (int key = 0; key <= 1; key++) {
		pair_init(&p);
		send_1(&p);
		assert_int_equal(read_1(&p), 0);
		*(key == 0 ? &p.b.noise.re : &p.b.noise.rs) = low_order[2];
		memset(&p.b_keys, 0xff, sizeof(p.b_keys));
		assert_int_equal(omni_wg_response_create(&p.b, &p.msg2, &p.b_keys, &p.reply),
				 -EINVAL);
		assert_zero(p.b);
		assert_zero(p.msg2);
		assert_zero(p.b_keys);
	}
}

/* What a finished handshake leaves behind. */
static void secrets_are_wiped(void **state)
{
	struct omni_wg left;
	struct pair p;

	(void)state;
	pair_init(&p);
	run_to_2(&p);
	assert_false(omni_is_zero_ct(&p.a.noise, sizeof(p.a.noise)));
	assert_int_equal(read_2(&p), 0);
	memset(&left, 0, sizeof(left));
	left.remote = p.resp.public;
	left.local_index = INIT_INDEX;
	left.remote_index = RESP_INDEX;
	assert_memory_equal(&p.a, &left, sizeof(left));

	assert_zero(p.b.noise);
	assert_memory_equal(p.b.mac1, p.msg2.mac1, OMNI_MAC_LEN);
	assert_true(p.b.awaits_cookie && !p.b.awaits_response);
	omni_wg_wipe(&p.b);
	assert_zero(p.b);
}

/* ---- Cookies ---- */

static struct omni_endpoint endpoint(const char *text)
{
	struct omni_endpoint ep;

	assert_int_equal(omni_endpoint_parse(&ep, text), 0);
	return ep;
}

static void assert_no_byte_of(struct omni_wg_cookie_reply *reply, struct omni_wg *hs)
{
	struct omni_cookie cookie = {0};

	for (size_t i = 0; i < sizeof(*reply); i++) {
		((uint8_t *)reply)[i] ^= 1;
		assert_int_equal(omni_wg_cookie_open(hs, &cookie, reply, NOW), -EBADMSG);
		((uint8_t *)reply)[i] ^= 1;
		assert_false(cookie.held);
	}
}

static void initiation_under_load(void **state)
{
	struct omni_cookie_maker maker = {.secret = {.b = {1, 2, 3}}};
	struct omni_endpoint from = endpoint("192.0.2.1:51820");
	struct omni_endpoint port = endpoint("192.0.2.1:51821"), addr = endpoint("192.0.2.2:51820");
	const uint8_t nonce[OMNI_XNONCE_LEN] = {5};
	struct omni_wg_cookie_reply reply;
	struct omni_cookie cookie = {0};
	struct pair p;
	uint8_t *raw;

	(void)state;
	pair_init(&p);
	p.start.cookie = &cookie;
	send_1(&p);
	raw = (uint8_t *)&p.msg1;
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &from, NOW));
	omni_wg_cookie_reply(&reply, &maker, p.msg1.sender, p.msg1.mac1, &p.resp.public, &from,
			     nonce, NOW);
	assert_no_byte_of(&reply, &p.a);
	assert_int_equal(omni_wg_cookie_open(&p.a, &cookie, &reply, NOW), 0);
	assert_int_equal(omni_wg_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);

	p.init_e.b[3] ^= 1;
	send_1(&p);
	assert_true(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &from, NOW));
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &port, NOW));
	assert_false(omni_mac2_valid(&maker, raw, sizeof(p.msg1), &addr, NOW));
	assert_int_equal(read_1(&p), 0);
	/* The reply to an earlier initiation does not fit a later one. */
	assert_int_equal(omni_wg_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);

	p.start.now_ns += (OMNI_COOKIE_LIFE_S - OMNI_COOKIE_LATENCY_S) * OMNI_NS_PER_S;
	send_1(&p);
	assert_zero(p.msg1.mac2);
}

/* An initiator under load answers a response with a cookie, and the responder holds it. */
static void response_under_load(void **state)
{
	struct omni_cookie_maker maker = {.secret = {.b = {4}}};
	struct omni_endpoint from = endpoint("[2001:db8::1]:51820");
	const uint8_t nonce[OMNI_XNONCE_LEN] = {6};
	struct omni_wg_cookie_reply reply;
	struct omni_cookie cookie = {0};
	struct pair p;
	uint8_t *raw;

	(void)state;
	pair_init(&p);
	p.reply.cookie = &cookie;
	run_to_2(&p);
	raw = (uint8_t *)&p.msg2;
	omni_wg_cookie_reply(&reply, &maker, p.msg2.sender, p.msg2.mac1, &p.init.public, &from,
			     nonce, NOW);
	assert_no_byte_of(&reply, &p.b);
	assert_int_equal(omni_wg_cookie_open(&p.b, &cookie, &reply, NOW), 0);
	assert_int_equal(omni_wg_cookie_open(&p.b, &cookie, &reply, NOW), -EBADMSG);

	send_1(&p);
	assert_int_equal(read_1(&p), 0);
	send_2(&p);
	assert_true(omni_mac2_valid(&maker, raw, sizeof(p.msg2), &from, NOW));
	assert_int_equal(read_2(&p), 0);
	/* Nothing waits for a cookie any more. */
	assert_int_equal(omni_wg_cookie_open(&p.a, &cookie, &reply, NOW), -EBADMSG);
}

static int init(void **state)
{
	(void)state;
	return omni_crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(layout),
		cmocka_unit_test(every_byte_of_the_initiation_counts),
		cmocka_unit_test(every_sealed_byte_of_the_initiation_counts),
		cmocka_unit_test(every_byte_of_the_response_counts),
		cmocka_unit_test(a_kept_secret_serves_both_sides),
		cmocka_unit_test(wrong_keys_fail),
		cmocka_unit_test(a_response_counts_once_and_for_one_initiation),
		cmocka_unit_test(low_order_points_abort),
		cmocka_unit_test(low_order_points_leave_no_response),
		cmocka_unit_test(secrets_are_wiped),
		cmocka_unit_test(initiation_under_load),
		cmocka_unit_test(response_under_load),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
