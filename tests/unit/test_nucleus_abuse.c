/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What members who hold valid keys, and strangers in numbers, cannot make a Nucleus do. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge.h"

#define START_NS (1000 * OMNI_NS_PER_S)
#define START_S UINT64_C(1700000000)

static struct cluster red;
static struct omni_identity identity;

static uint64_t count(enum omni_nucleus_counter c)
{
	return omni_nucleus_counter(nucleus, c);
}

static int setup(void **state)
{
	struct omni_nucleus_config config = {.identity = &identity, .random = test_random};
	struct omni_key seed = {.b = {1}};

	(void)state;
	assert_int_equal(omni_crypto_init(), 0);
	omni_identity_from_seed(&identity, &seed);
	cluster_make(&red, 0x11);
	omni_nucleus_limits_default(&config.limits);
	random_state = 42;
	now = (struct omni_nucleus_time){.boot_ns = START_NS, .real_s = START_S};
	nucleus = omni_nucleus_create(&config);
	assert_non_null(nucleus);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	omni_nucleus_free(nucleus);
	nucleus = NULL;
	return 0;
}

static void pass_ms(uint64_t ms)
{
	now.boot_ns += ms * (OMNI_NS_PER_S / 1000);
}

static void connect_edge(struct edge *e, uint32_t i)
{
	edge_make(e, &red, i);
	assert_true(edge_hello(e));
	assert_int_equal(edge_handshake(e), OMNI_RESULT_ACCEPTED);
}

static void join(struct edge *e, uint32_t i)
{
	connect_edge(e, i);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_OK);
}

static unsigned int list(struct edge *e, struct omni_signal *m)
{
	struct omni_signal ask = {.type = OMNI_SIGNAL_LIST};

	return edge_ask(e, &ask, m);
}

static void nothing_long_goes_to_an_address_not_proved(void **state)
{
	struct edge e, other;
	struct omni_signal m;

	(void)state;
	for (uint32_t i = 2; i < 20; i++)
		join(&other, i);
	join(&e, 1);
	assert_int_equal(list(&e, &m), OMNI_SIGNAL_LIST_ACK);
	assert_true(e.received > 10 * e.sent);
	e.at.port++;
	assert_int_equal(list(&e, &m), 0);
	assert_int_equal(count(OMNI_NUCLEUS_unproved), 1);
	/* What a NAT's new port needs most still works. */
	assert_int_equal(edge_heartbeat(&e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_true(e.received <= e.sent);
	assert_true(edge_hello(&e));
	assert_int_equal(edge_handshake(&e), OMNI_RESULT_ACCEPTED);
	assert_int_equal(list(&e, &m), OMNI_SIGNAL_LIST_ACK);
	assert_int_equal(count(OMNI_NUCLEUS_unproved), 1);
}

static void records_of_one_source_share_a_rate(void **state)
{
	struct omni_endpoint at = {.ip = omni_ip_from_v4(0x01020304), .port = 1000};
	uint8_t record[OMNI_RECORD_MAX];
	size_t len = 0, answered = 0;
	struct edge e;

	(void)state;
	for (uint32_t i = 1; i <= 5; i++) {
		edge_make(&e, &red, i);
		e.at = at;
		assert_true(edge_hello(&e));
		assert_int_equal(edge_handshake(&e), OMNI_RESULT_ACCEPTED);
		len = edge_record(&e, START_S, record);
		record[len - 1] ^= 1;
		for (int n = 0; n < 300; n++)
			answered += edge_register_with(&e, record, len) == OMNI_SIGNAL_FORGED;
	}
	assert_int_equal(answered, 1024);
	assert_int_equal(count(OMNI_NUCLEUS_error_rate), 1500 - 1024);
	join(&e, 9); /* from elsewhere */
	pass_ms(1000);
	e.at = at;
	assert_int_equal(edge_handshake(&e), -1); /* its cookie is of another address */
	assert_true(edge_hello(&e));
	assert_int_equal(edge_handshake(&e), OMNI_RESULT_ACCEPTED);
	assert_int_equal(edge_register(&e), OMNI_SIGNAL_OK);
}

static void a_long_delta_comes_in_steps(void **state)
{
	static struct edge e[140];
	struct omni_signal m;
	uint64_t before, rounds = 0;

	(void)state;
	for (uint32_t i = 0; i < 140; i++)
		join(&e[i], i + 1);
	assert_int_equal(edge_heartbeat(&e[0], &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	while (m.more)
		assert_int_equal(edge_heartbeat(&e[0], &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	before = e[0].epoch.counter;
	for (uint32_t i = 0; i < 400; i++) {
		e[1].vip = omni_ip_from_v4(__builtin_bswap32(0x0ad00000 + i % 2));
		pass_ms(10);
		assert_int_equal(edge_register(&e[1]), OMNI_SIGNAL_OK);
	}
	do {
		assert_int_equal(edge_heartbeat(&e[0], &m), OMNI_SIGNAL_HEARTBEAT_ACK);
		assert_true(m.epoch.counter - before <= 256);
		before = m.epoch.counter;
		rounds++;
	} while (m.more);
	assert_false(m.resync);
	assert_int_equal(rounds, 4); /* 800 changes */
}

static void endless_addresses_of_one_member_take_no_memory(void **state)
{
	struct omni_nucleus_sizes sizes;
	struct edge e;
	size_t used = 0;

	(void)state;
	join(&e, 1);
	for (uint32_t i = 0; i < 3000; i++) {
		e.vip = omni_ip_from_v4(__builtin_bswap32(0x0ad00000 + i));
		pass_ms(10);
		assert_int_equal(edge_register(&e), OMNI_SIGNAL_OK);
		if (i == 1000)
			used = mallinfo2().uordblks;
	}
	omni_nucleus_sizes(nucleus, &sizes);
	assert_int_equal(sizes.members, 1);
	assert_int_equal(sizes.rooms, 1);
	assert_int_equal(mallinfo2().uordblks, used);
}

static void strangers_take_no_memory(void **state)
{
	struct omni_hello hello = {.type = OMNI_TYPE_HELLO, .code = OMNI_HELLO_ASK};
	struct omni_nucleus_sizes sizes;
	struct omni_initiation initiation;
	struct omni_endpoint from = {.port = 7};
	struct omni_hs hs;
	struct edge e;
	size_t used;

	(void)state;
	edge_make(&e, &red, 1);
	assert_true(edge_hello(&e));
	edge_initiation(&e, &hs, &initiation);
	used = mallinfo2().uordblks;
	for (int i = 0; i < 50000; i++) {
		test_random(&from.ip, sizeof(from.ip));
		(void)input(&from, &hello, sizeof(hello));
		assert_int_equal(input(&from, &initiation, sizeof(initiation)), 0);
	}
	assert_int_equal(count(OMNI_NUCLEUS_drop_mac2), 50000);
	omni_nucleus_sizes(nucleus, &sizes);
	assert_int_equal(sizes.sessions + sizes.keys + sizes.rooms, 0);
	assert_int_equal(mallinfo2().uordblks, used);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_long_goes_to_an_address_not_proved),
		T(records_of_one_source_share_a_rate),
		T(a_long_delta_comes_in_steps),
		T(endless_addresses_of_one_member_take_no_memory),
		T(strangers_take_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
