/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nucleus_fixture.h"

/* ---- Who is nobody yet ---- */

static void initiation_needs_the_cookie_of_its_address(void **state)
{
	struct edge *e = &edges[1];

	(void)state;
	edge_make(e, &red, 1);
	assert_true(edge_hello(e));
	e->at.port++;
	assert_int_equal(edge_handshake(e), -1);
	assert_count(drop_mac2, 1);
	e->at.port--;
	memset(&e->cookie, 0, sizeof(e->cookie));
	assert_int_equal(edge_handshake(e), -1);
	assert_count(drop_mac2, 2);
	e->nucleus.b[0] ^= 1;
	assert_int_equal(edge_handshake(e), -1);
	assert_count(drop_mac1, 1);
	assert_true(edge_hello(e));
	wait_s(2 * OMNI_COOKIE_LIFE_S);
	e->cookie.received_ns = now.boot_ns;
	assert_int_equal(edge_handshake(e), -1);
	assert_count(drop_mac2, 3);
	assert_true(edge_hello(e));
	assert_int_equal(edge_handshake(e), OMNI_RESULT_ACCEPTED);
	assert_int_equal(sizes().sessions, 1);
}

static void replays_do_nothing(void **state)
{
	struct omni_initiation initiation;
	struct edge *e = join(&red, 1);
	struct omni_hs hs;

	(void)state;
	assert_int_equal(input(&e->at, e->last, e->last_len), 0);
	assert_count(drop_replay, 1);
	now.boot_ns++;
	edge_initiation(e, &hs, &initiation);
	assert_int_equal(input(&e->at, &initiation, sizeof(initiation)), OMNI_RESPONSE_LEN);
	assert_int_equal(input(&e->at, &initiation, sizeof(initiation)), 0);
	assert_count(drop_stale, 1);
	assert_int_equal(sizes().sessions, 1);
}

static void every_flipped_bit_is_dropped(void **state)
{
	struct omni_initiation initiation;
	struct edge *e = join(&red, 1);
	struct omni_hs hs;

	(void)state;
	edge_seal(e, OMNI_KIND_KEEPALIVE, "", 0);
	for (size_t bit = 0; bit < 8 * e->last_len; bit++) {
		e->last[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(input(&e->at, e->last, e->last_len), 0);
		e->last[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_count(keepalive, 0);
	assert_int_equal(input(&e->at, e->last, e->last_len), 0);
	assert_count(keepalive, 1);
	now.boot_ns++;
	edge_initiation(e, &hs, &initiation);
	for (size_t bit = 0; bit < 8 * sizeof(initiation); bit++) {
		uint8_t *at = (uint8_t *)&initiation + bit / 8;

		*at ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(input(&e->at, &initiation, sizeof(initiation)), 0);
		*at ^= (uint8_t)(1 << bit % 8);
	}
	assert_count(handshake, 1);
}

static void stun_binding(void **state)
{
	static const uint8_t request[20] = {0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 1,	2,
					    3,	  4,	5,    6,    7,	  8,	9,    10,   11, 12};
	/* 192.0.2.1:32853, the address of RFC 5769 section 2.2. */
	static const uint8_t want[12] = {0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
					 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43};
	struct omni_endpoint from;
	uint8_t other[28];

	(void)state;
	assert_int_equal(omni_endpoint_parse(&from, "192.0.2.1:32853"), 0);
	assert_int_equal(input(&from, request, sizeof(request)), 32);
	assert_memory_equal(reply, "\x01\x01\x00\x0c", 4);
	assert_memory_equal(reply + 4, request + 4, 16);
	assert_memory_equal(reply + 20, want, sizeof(want));
	assert_int_equal(omni_endpoint_parse(&from, "[2001:db8::1]:1"), 0);
	assert_int_equal(input(&from, request, sizeof(request)), 44);
	assert_int_equal(reply[25], 2);
	assert_int_equal(reply[28], 0x20 ^ 0x21);
	memcpy(other, request, sizeof(request));
	other[1] = 0x11; /* an indication */
	assert_int_equal(input(&from, other, 20), 0);
	other[1] = 0x01;
	memcpy(other + 20, "\x00\x03\x00\x04\x00\x00\x00\x02", 8); /* CHANGE-REQUEST */
	other[3] = 8;
	assert_int_equal(input(&from, other, 28), 0);
	assert_count(drop_stun, 2);
	assert_count(stun, 2);
}

static void unauthenticated_answers_are_limited(void **state)
{
	struct omni_endpoint other;
	struct edge *e = &edges[1];
	unsigned int answered = 0;

	(void)state;
	edge_make(e, &red, 1);
	for (int i = 0; i < 3000; i++) {
		e->at.port = (uint16_t)(1 + i);
		answered += edge_hello(e);
	}
	assert_in_range(answered, 1, 1100);
	assert_int_equal(count(OMNI_NUCLEUS_drop_rate), 3000 - answered);
	other = e->at;
	e->at.ip.b[13] ^= 1;
	assert_true(edge_hello(e));
	e->at = other;
	wait_s(1);
	assert_true(edge_hello(e));
}

/* Every drop has a name: what came in is what was answered, taken or dropped. */
static uint64_t accounted(void)
{
	uint64_t sum = 0;

	for (int c = OMNI_NUCLEUS_hello; c <= OMNI_NUCLEUS_keepalive; c++)
		sum += count((enum omni_nucleus_counter)c);
	for (int c = OMNI_NUCLEUS_drop_unknown; c < OMNI_NUCLEUS_COUNTER_COUNT; c++)
		sum += count((enum omni_nucleus_counter)c);
	return sum;
}

static void check_answer(const uint8_t *in, size_t len, size_t answer)
{
	if (answer == 0)
		return;
	if (in[0] == OMNI_TYPE_HELLO)
		assert_true(len == OMNI_HELLO_LEN && answer == OMNI_HELLO_ANSWER_LEN);
	else if (in[0] == 0)
		assert_true(answer <= 44);
	else
		fail_msg("an answer to type %u", in[0]);
}

/* An allocation of exactly its size, so that a sanitizer sees any byte read beyond. */
static void throw(const uint8_t *bytes, size_t len)
{
	struct omni_endpoint from = edges[1].at;
	uint8_t *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, bytes, len);
	check_answer(copy, len, input(&from, copy, len));
	free(copy);
}

static void noise_of_every_length(void **state)
{
	static const uint8_t types[] = {0, 1, 4, 5, 6, 7, 8, 9, 0x80, 0xff};
	uint8_t bytes[2001];
	uint64_t before;
	struct omni_nucleus_sizes s;

	(void)state;
	join(&red, 1);
	s = sizes();
	before = count(OMNI_NUCLEUS_rx);
	for (size_t len = 0; len <= 2000; len++) {
		now.boot_ns += OMNI_NS_PER_MS;
		for (size_t t = 0; t <= sizeof(types); t++) {
			test_random(bytes, sizeof(bytes));
			if (t < sizeof(types)) {
				bytes[0] = types[t];
				memset(bytes + 1, 0, 3);
			}
			throw(bytes, len);
		}
	}
	assert_int_equal(count(OMNI_NUCLEUS_rx) - before, 2001 * (sizeof(types) + 1));
	assert_int_equal(accounted(), count(OMNI_NUCLEUS_rx));
	assert_int_equal(sizes().sessions, s.sessions);
	assert_int_equal(sizes().keys, s.keys);
}

/* Sealed under good keys, so that what is inside reaches the parsers. */
static void authentic_noise(void **state)
{
	struct edge *e = join(&red, 1);
	uint8_t plain[OMNI_CBOR_MAX], record[OMNI_RECORD_MAX];
	struct omni_signal ask = {.type = OMNI_SIGNAL_REGISTER, .record = record}, m;
	size_t record_len = edge_record(e, START_S, record);

	(void)state;
	join(&red, 2);
	for (unsigned int turn = 0; turn < 20000; turn++) {
		int len;

		ask.type = (enum omni_signal_type)(1 + turn % (OMNI_SIGNAL_TYPE_COUNT - 1));
		ask.record_len = record_len;
		ask.registration = e->registration;
		ask.has = 1U << OMNI_FIELD_VIP;
		ask.vip = edges[2].vip;
		len = omni_signal_encode(plain, &ask);
		assert_true(len > 0);
		for (unsigned int flips = 1 + turn % 3; flips > 0; flips--)
			plain[next_random() % (uint64_t)len] ^= (uint8_t)(1 << next_random() % 8);
		edge_seal(e, OMNI_KIND_CONTROL, plain, (size_t)len);
		now.boot_ns += 2 * OMNI_NS_PER_MS;
		len = (int)input(&e->at, e->last, e->last_len);
		if (len > 0)
			assert_true(edge_open(e, (size_t)len, &m));
	}
	assert_int_equal(accounted(), count(OMNI_NUCLEUS_rx));
	assert_in_range(sizes().members, 1, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(initiation_needs_the_cookie_of_its_address),
		T(replays_do_nothing),
		T(every_flipped_bit_is_dropped),
		T(stun_binding),
		T(unauthenticated_answers_are_limited),
		T(noise_of_every_length),
		T(authentic_noise),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
