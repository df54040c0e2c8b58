/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_fdb.h>

#include "eal.h"

#define LIMIT 1000

static struct omni_rcu *rcu;
static struct omni_fdb *fdb;

static int setup(void **state)
{
	(void)state;
	rcu = omni_rcu_create(1);
	fdb = omni_fdb_create(LIMIT, rcu);
	return rcu != NULL && fdb != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	omni_fdb_free(fdb);
	omni_rcu_free(rcu);
	return 0;
}

static uint64_t key_of(uint16_t domain, uint32_t n)
{
	const uint8_t mac[6] = {2, 0, n >> 24, n >> 16, n >> 8, n};

	return omni_fdb_key(domain, mac);
}

static omni_dest look(uint64_t key)
{
	omni_dest dest;

	omni_fdb_lookup(fdb, &key, 1, &dest);
	return dest;
}

/* True where it lives at from. */
static bool seen(uint64_t key, omni_dest from, uint32_t now_s)
{
	return omni_fdb_seen(fdb, &key, &from, 1, now_s) == 0;
}

static const omni_dest port1 = (uint64_t)OMNI_DEST_PORT << 56 | UINT64_C(1) << 32 | 7;
static const omni_dest peer5 = (uint64_t)OMNI_DEST_PEER << 56 | UINT64_C(5) << 32 | 9;

static void destinations_keep_their_parts(void **state)
{
	omni_dest d = omni_dest_make(OMNI_DEST_PEER, 0xabcdef, 0x12345678);

	(void)state;
	assert_int_equal(omni_dest_kind(d), OMNI_DEST_PEER);
	assert_int_equal(omni_dest_index(d), 0xabcdef);
	assert_int_equal(omni_dest_gen(d), 0x12345678);
}

static void learns_moves_and_keeps_domains_apart(void **state)
{
	uint64_t key = key_of(1, 1);

	(void)state;
	assert_int_equal(look(key), OMNI_DEST_MISS);
	assert_int_equal(omni_fdb_learn(fdb, key, port1, 100), OMNI_FDB_LEARNED);
	assert_int_equal(omni_fdb_learn(fdb, key, port1, 100), OMNI_FDB_SAME);
	assert_int_equal(look(key), port1);
	assert_int_equal(look(key_of(2, 1)), OMNI_DEST_MISS);
	assert_int_equal(omni_fdb_learn(fdb, key, peer5, 101), OMNI_FDB_MOVED);
	assert_int_equal(look(key), peer5);
	assert_int_equal(omni_fdb_count(fdb), 1);
}

static void ages_only_what_is_silent(void **state)
{
	(void)state;
	omni_fdb_learn(fdb, key_of(1, 1), port1, 100);
	omni_fdb_learn(fdb, key_of(1, 2), port1, 100);
	omni_fdb_learn(fdb, key_of(2, 1), port1, 100);
	assert_true(seen(key_of(1, 2), port1, 350));
	/* Elsewhere is no sign of life here. */
	assert_false(seen(key_of(1, 1), peer5, 350));
	assert_int_equal(omni_fdb_age(fdb, 1, 399, 300), 0);
	assert_int_equal(omni_fdb_age(fdb, 1, 400, 300), 1);
	assert_int_equal(look(key_of(1, 1)), OMNI_DEST_MISS);
	assert_int_equal(look(key_of(1, 2)), port1);
	assert_int_equal(look(key_of(2, 1)), port1);
	/* A stamp from a clock slightly ahead is young, not ancient. */
	assert_true(seen(key_of(1, 2), port1, 402));
	assert_int_equal(omni_fdb_age(fdb, 1, 401, 300), 0);
}

static void moves_are_damped_and_forgiven(void **state)
{
	uint64_t key = key_of(1, 1);
	uint32_t now = 1000;
	unsigned int moves = 0;

	(void)state;
	assert_int_equal(omni_fdb_where(fdb, key), OMNI_FDB_NOWHERE);
	omni_fdb_learn(fdb, key, port1, now);
	assert_int_equal(omni_fdb_where(fdb, key), OMNI_FDB_ELSEWHERE);
	for (unsigned int i = 0; i < 20; i++) {
		enum omni_fdb_verdict v = omni_fdb_learn(fdb, key, i % 2 ? port1 : peer5, now);

		if (v == OMNI_FDB_MOVED)
			moves++;
		else
			assert_true(v == OMNI_FDB_DAMPED || v == OMNI_FDB_SAME);
	}
	assert_int_equal(moves, OMNI_FDB_MOVES_MAX);
	assert_int_equal(omni_fdb_where(fdb, key), OMNI_FDB_HELD);
	omni_fdb_age(fdb, 1, now + OMNI_FDB_DAMP_S - 1, 300);
	assert_int_equal(omni_fdb_where(fdb, key), OMNI_FDB_HELD);
	omni_fdb_age(fdb, 1, now + OMNI_FDB_DAMP_S, 300);
	/* After a loop the last place may be the wrong one, and its host silent. */
	assert_true(look(key) == OMNI_DEST_MISS);
	assert_int_equal(omni_fdb_learn(fdb, key, peer5, now + OMNI_FDB_DAMP_S), OMNI_FDB_LEARNED);
	assert_int_equal(omni_fdb_where(fdb, key), OMNI_FDB_ELSEWHERE);
}

static int count_entry(const struct omni_fdb_entry *e, void *arg)
{
	(void)e;
	(*(unsigned int *)arg)++;
	return 0;
}

static void fills_to_its_limit_and_flushes(void **state)
{
	unsigned int learned = 0, walked = 0;

	(void)state;
	for (uint32_t i = 0; i < LIMIT + 200; i++) {
		if (omni_fdb_learn(fdb, key_of(i % 2, i), i % 3 ? port1 : peer5, 1) ==
		    OMNI_FDB_LEARNED)
			learned++;
	}
	assert_int_equal(learned, LIMIT);
	assert_int_equal(omni_fdb_learn(fdb, key_of(1, 999999), port1, 1), OMNI_FDB_FULL);
	omni_fdb_walk(fdb, count_entry, &walked);
	assert_int_equal(walked, learned);
	assert_int_equal(omni_fdb_flush(fdb, 0, peer5, 0), 167);
	assert_int_equal(omni_fdb_flush(fdb, OMNI_FDB_ANY, OMNI_DEST_MISS, key_of(1, 1)), 1);
	assert_int_equal(omni_fdb_flush(fdb, OMNI_FDB_ANY, OMNI_DEST_MISS, 0), learned - 168);
	assert_int_equal(omni_fdb_count(fdb), 0);
	/* Slots come back: no worker holds one. */
	assert_int_equal(omni_fdb_learn(fdb, key_of(1, 5), port1, 1), OMNI_FDB_LEARNED);
}

/* Of one maker, or of one maker's machines, whatever the table's seed is. */
static void addresses_in_rows_find_room(void **state)
{
	static const uint32_t stride[] = {1, 2, 16, 257, 4096};
	const uint32_t all = 2048;

	(void)state;
	for (unsigned int seed = 0; seed < 600; seed++) {
		uint32_t step = stride[seed % OMNI_ARRAY_SIZE(stride)];
		struct omni_fdb *table = omni_fdb_create(all, rcu);

		assert_non_null(table);
		for (uint32_t i = 0; i < all; i++)
			assert_int_equal(omni_fdb_learn(table, key_of(1, i * step), port1, 1),
					 OMNI_FDB_LEARNED);
		omni_fdb_free(table);
	}
}

/* A domain has its limit, a peer its share of that; what goes or moves makes room. */
static void domains_and_peers_have_limits(void **state)
{
	const omni_dest peer900 = omni_dest_make(OMNI_DEST_PEER, 900, 1);

	(void)state;
	omni_fdb_set_limit(fdb, 6, 40);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(omni_fdb_learn(fdb, key_of(6, i), peer5, 100),
				 i < 10 ? OMNI_FDB_LEARNED : OMNI_FDB_FULL);
	assert_int_equal(omni_fdb_learn(fdb, key_of(6, 100), peer900, 100), OMNI_FDB_LEARNED);
	assert_int_equal(omni_fdb_learn(fdb, key_of(6, 100), peer5, 100), OMNI_FDB_FULL);
	assert_true(look(key_of(6, 100)) == peer900);
	assert_int_equal(omni_fdb_learn(fdb, key_of(6, 0), peer900, 100), OMNI_FDB_MOVED);
	assert_int_equal(omni_fdb_learn(fdb, key_of(6, 10), peer5, 100), OMNI_FDB_LEARNED);
	/* A peer that came back as another generation holds what it held. */
	assert_int_equal(
		omni_fdb_learn(fdb, key_of(6, 1), omni_dest_make(OMNI_DEST_PEER, 5, 10), 100),
		OMNI_FDB_MOVED);
	for (uint32_t i = 200; i < 240; i++)
		assert_int_equal(omni_fdb_learn(fdb, key_of(6, i), port1, 100),
				 i < 228 ? OMNI_FDB_LEARNED : OMNI_FDB_FULL);
	assert_int_equal(omni_fdb_learn(fdb, key_of(7, 1), port1, 100), OMNI_FDB_LEARNED);
	assert_int_equal(omni_fdb_flush(fdb, 6, peer5, 0), 10);
	assert_int_equal(omni_fdb_learn(fdb, key_of(6, 50), peer5, 100), OMNI_FDB_LEARNED);
	assert_int_equal(omni_fdb_flush(fdb, OMNI_FDB_ANY, OMNI_DEST_MISS, 0), 32);
	assert_int_equal(omni_fdb_count(fdb), 0);
}

static void bulk_lookup_keeps_the_order(void **state)
{
	uint64_t key[64], mask = 0;
	omni_dest dest[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		key[i] = key_of(3, i);
		if (i % 2 == 0)
			omni_fdb_learn(fdb, key[i], omni_dest_make(OMNI_DEST_PORT, i, 1), 1);
	}
	omni_fdb_lookup(fdb, key, 64, dest);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(dest[i],
				 i % 2 ? OMNI_DEST_MISS : omni_dest_make(OMNI_DEST_PORT, i, 1));
	for (uint32_t i = 0; i < 64; i++)
		dest[i] = i % 3 ? omni_dest_make(OMNI_DEST_PORT, i, 1) : peer5;
	for (uint32_t i = 0; i < 64; i++)
		mask |= (uint64_t)(i % 2 != 0 || i % 3 == 0) << i;
	assert_true(omni_fdb_seen(fdb, key, dest, 64, 2) == mask);
}

/* The place of what was forgotten is empty until the worker's turn is over. */
static void a_place_is_used_again_after_the_turn(void **state)
{
	const uint32_t all = 64; /* slots: 4 times as many */
	struct omni_fdb *small = omni_fdb_create(all, rcu);
	uint32_t learned = 0, again = 0;

	(void)state;
	assert_non_null(small);
	omni_rcu_join(rcu, 0);
	/* Nothing ends the worker's turn, so sooner or later no place is left. */
	for (uint32_t i = 1; i <= 8 * all; i++) {
		uint64_t key = key_of(1, i);

		learned += omni_fdb_learn(small, key, port1, 1) == OMNI_FDB_LEARNED;
		omni_fdb_flush(small, 1, OMNI_DEST_MISS, key);
	}
	assert_true(learned >= all && learned < 4 * all);
	assert_int_equal(omni_fdb_count(small), 0);
	rte_rcu_qsbr_quiescent(omni_rcu_qsbr(rcu), 0);
	for (uint32_t i = 1; i <= all; i++)
		again += omni_fdb_learn(small, key_of(2, i), peer5, 1) == OMNI_FDB_LEARNED;
	assert_int_equal(again, all);
	omni_rcu_leave(rcu, 0);
	omni_fdb_free(small);
}

/* Against an array that does the same without a hash. */
static void does_what_a_plain_array_does(void **state)
{
	omni_dest model[3 * LIMIT / 4] = {0};
	uint64_t x = 88172645463325252;

	(void)state;
	for (unsigned int step = 0; step < 200000; step++) {
		uint32_t i;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		i = (uint32_t)(x >> 8) % OMNI_ARRAY_SIZE(model);
		if ((x & 7) == 0) {
			assert_int_equal(omni_fdb_flush(fdb, 1, OMNI_DEST_MISS, key_of(1, i)),
					 model[i] != 0);
			model[i] = 0;
		} else if (model[i] == 0) {
			model[i] = omni_dest_make(OMNI_DEST_PORT, i, step);
			assert_int_equal(omni_fdb_learn(fdb, key_of(1, i), model[i], 1),
					 OMNI_FDB_LEARNED);
		} else {
			assert_true(look(key_of(1, i)) == model[i]);
			assert_true(seen(key_of(1, i), model[i], 1));
		}
	}
	for (uint32_t i = 0; i < OMNI_ARRAY_SIZE(model); i++)
		assert_true(look(key_of(1, i)) == model[i]);
}

static void flood_lists_are_replaced_whole(void **state)
{
	struct omni_bridges *b = omni_bridges_create();
	uint16_t ports[2] = {1, 2};
	uint32_t index[3] = {10, 11, 12}, gen[3] = {1, 1, 2};

	(void)state;
	assert_null(omni_bridge_flood(b, 4));
	assert_int_equal(omni_bridge_set(b, 4, ports, 2, index, gen, 3, rcu), 0);
	assert_int_equal(omni_bridge_flood(b, 4)->n_peers, 3);
	assert_int_equal(omni_bridge_flood(b, 4)->peer[2].generation, 2);
	assert_int_equal(omni_bridge_set(b, 4, ports, 1, NULL, NULL, 0, rcu), 0);
	assert_int_equal(omni_bridge_flood(b, 4)->n_ports, 1);
	assert_int_equal(omni_bridge_set(b, OMNI_BRIDGES_MAX, ports, 1, NULL, NULL, 0, rcu),
			 -EINVAL);
	assert_int_equal(omni_rcu_poll(rcu), 0);
	omni_bridges_free(b);
}

#define WITH_FDB(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destinations_keep_their_parts),
		WITH_FDB(learns_moves_and_keeps_domains_apart),
		WITH_FDB(ages_only_what_is_silent),
		WITH_FDB(moves_are_damped_and_forgiven),
		WITH_FDB(fills_to_its_limit_and_flushes),
		WITH_FDB(addresses_in_rows_find_room),
		WITH_FDB(domains_and_peers_have_limits),
		WITH_FDB(bulk_lookup_keeps_the_order),
		WITH_FDB(a_place_is_used_again_after_the_turn),
		WITH_FDB(does_what_a_plain_array_does),
		WITH_FDB(flood_lists_are_replaced_whole),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
