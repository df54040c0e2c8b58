/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bad conditions while both hosts send as fast as one core carries it: keys that change, damaged
 * datagrams, full rings, no buffers, ports that vanish, clocks that jump. What is lost is
 * counted, what comes is in order, nothing leaks and nothing stands still afterwards.
 */
#include "gates.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, gates_setup, gates_teardown)

#if defined(__SANITIZE_ADDRESS__)
#define BURSTS 400
#else
#define BURSTS 4000
#endif
#define LEN 600

static uint64_t handshakes(void)
{
	return count_of(gates.gate[0].s, OMNI_STAT_ctl_handshakes_done);
}

static uint64_t drops_of(enum omni_stat which)
{
	return gate_count(&gates.gate[0], which) + gate_count(&gates.gate[1], which);
}

static void assert_in_order(void)
{
	for (unsigned int i = 0; i < GATES; i++) {
		assert_int_equal(gates.gate[i].out_of_turn, 0);
		assert_int_equal(gates.gate[i].damaged, 0);
	}
}

/* Traffic flows again, and not one frame is lost. */
static void assert_well(void)
{
	uint64_t sent, came;

	gates_settle();
	sent = gates_sent();
	came = gates_came();
	gates_traffic(20, LEN);
	gates_settle();
	assert_int_equal(gates_sent() - sent, 20 * GATES_BURST * GATES);
	assert_int_equal(gates_came() - came, gates_sent() - sent);
	assert_in_order();
}

/*
 * A second with a burst. A key is renewed every 120 s; its handshake takes a few turns, so a few
 * seconds. What control says by itself has a turn more: a worker takes no more than a burst in one.
 */
static void second_of_traffic(void)
{
	gates_traffic(1, LEN);
	(void)gates_turn(true);
	gates_tick(1000);
}

static void keys_change(void **state)
{
	uint64_t before = handshakes();

	(void)state;
	for (unsigned int i = 0; i < BURSTS; i++)
		second_of_traffic();
	gates_settle();
	assert_true(handshakes() - before >= BURSTS / 200);
	assert_int_equal(gates_sent(), (uint64_t)BURSTS * GATES_BURST * GATES);
	assert_int_equal(gates_came(), gates_sent());
	assert_int_equal(gates_drops(), 0);
	assert_in_order();
}

static void damaged_datagrams(void **state)
{
	(void)state;
	gates.corrupt = 100;
	gates_traffic(BURSTS, LEN);
	gates_settle();
	gates.corrupt = 0;
	assert_true(gates.corrupted > BURSTS / 2);
	assert_int_equal(gates_came(), gates_sent() - gates.corrupted);
	assert_int_equal(gates_drops(), gates.corrupted);
	assert_in_order();
	assert_well();
}

static void damaged_while_keys_change(void **state)
{
	(void)state;
	gates.corrupt = 100;
	for (unsigned int i = 0; i < BURSTS / 4; i++)
		second_of_traffic();
	gates_settle();
	gates.corrupt = 0;
	/* Probes and keepalives are damaged too. */
	assert_int_equal(gates_drops(), gates.corrupted);
	assert_true(gates_sent() - gates_came() <= gates.corrupted);
	assert_in_order();
	assert_well();
}

static void a_full_uplink(void **state)
{
	uint64_t waiting;

	(void)state;
	gates.unplugged = true;
	gates_traffic(200, LEN);
	for (unsigned int i = 0; i < 100; i++)
		(void)gates_turn(true);
	waiting = gates_sent() - drops_of(OMNI_STAT_drop_tx_full);
	assert_true(waiting < gates_sent());
	assert_int_equal(gates_drops(), gates_sent() - waiting);
	assert_int_equal(gates_came(), 0);
	gates.unplugged = false;
	gates_settle();
	assert_int_equal(gates_came(), waiting);
	assert_in_order();
	assert_well();
}

/* Thousands of new addresses, and control does not look at what workers tell it. */
static void a_full_event_ring(void **state)
{
	struct gate *g = &gates.gate[0];

	(void)state;
	for (unsigned int i = 0; i < 3 * OMNI_EVENTS_SIZE; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(net.pool);
		uint8_t *p;

		assert_non_null(m);
		gate_frame(m, g, g->sent++, 60);
		p = rte_pktmbuf_mtod(m, uint8_t *);
		omni_store_be32(p + 8, UINT32_C(0x20000000) + i);
		assert_int_equal(omni_ring_port_far_tx(g->lan, 0, &m, 1), 1);
		(void)gates_turn(false);
	}
	for (unsigned int i = 0; i < 10; i++)
		(void)gates_turn(false);
	assert_true(gate_count(g, OMNI_STAT_event_lost) > OMNI_EVENTS_SIZE);
	assert_int_equal(gates_came(), gates_sent());
	assert_int_equal(gates_drops(), 0);
	assert_well();
}

static void no_buffers(void **state)
{
	static struct rte_mbuf *held[GATES_POOL];
	unsigned int n = 0;

	(void)state;
	/* Long frames, so that each needs a second buffer for its second piece. */
	while (n < GATES_POOL && (held[n] = rte_pktmbuf_alloc(net.pool)) != NULL)
		n++;
	rte_pktmbuf_free_bulk(held, GATES_BURST);
	for (unsigned int i = 0; i < 100; i++) {
		gate_send(&gates.gate[0], GATES_BURST / 2, 1514);
		(void)gates_turn(true);
	}
	rte_pktmbuf_free_bulk(held + GATES_BURST, n - GATES_BURST);
	gates_settle();
	assert_true(gates_sent() > 0);
	assert_true(drops_of(OMNI_STAT_drop_no_mbuf) > 0);
	assert_true(gates_came() < gates_sent());
	assert_in_order();
	assert_well();
}

static void a_port_goes_and_comes(void **state)
{
	struct gate *g = &gates.gate[1];
	uint64_t came;

	(void)state;
	gates_traffic(50, LEN);
	for (unsigned int i = 0; i < 20; i++) {
		omni_port_unpublish(&g->s->ports, g->lan);
		gates_traffic(10, LEN);
		omni_port_publish(&g->s->ports, g->lan);
		gates_traffic(10, LEN);
	}
	gates_settle();
	came = gates_came();
	assert_true(came < gates_sent());
	/* What came from the host while the port was away was only late. */
	assert_int_equal(gates.gate[0].came, g->sent);
	assert_int_equal(gates_drops(), gates_sent() - came);
	assert_in_order();
	assert_well();
}

static void the_uplink_goes_and_comes(void **state)
{
	struct gate *g = &gates.gate[0];

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		omni_port_unpublish(&g->s->ports, g->up);
		gates_traffic(10, LEN);
		omni_port_publish(&g->s->ports, g->up);
		gates_traffic(10, LEN);
	}
	gates_settle();
	assert_int_equal(gate_count(g, OMNI_STAT_drop_port_gone), gates_drops());
	assert_int_equal(gates_drops() + gates.lost, gates_sent() - gates_came());
	assert_in_order();
	assert_well();
}

static void the_clock_jumps(void **state)
{
	static const int64_t jumps_s[] = {3600, -7200, 86400, -86400};
	uint64_t before = handshakes();

	(void)state;
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(jumps_s); i++) {
		gates_traffic(50, LEN);
		net.real_offset_ns += (uint64_t)(jumps_s[i] * (int64_t)OMNI_NS_PER_S);
		for (unsigned int j = 0; j < 100; j++) {
			gates_tick(100);
			gates_traffic(2, LEN);
		}
	}
	gates_settle();
	assert_true(handshakes() - before >= OMNI_ARRAY_SIZE(jumps_s));
	assert_int_equal(gates_drops(), gates_sent() - gates_came());
	/* A peer without key is flooded to no more, and its addresses are forgotten. */
	assert_int_equal(gates_drops(),
			 drops_of(OMNI_STAT_drop_no_key) + drops_of(OMNI_STAT_drop_nobody));
	assert_in_order();
	assert_well();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_change),
		TEST(damaged_datagrams),
		TEST(damaged_while_keys_change),
		TEST(a_full_uplink),
		TEST(a_full_event_ring),
		TEST(no_buffers),
		TEST(a_port_goes_and_comes),
		TEST(the_uplink_goes_and_comes),
		TEST(the_clock_jumps),
	};

	return cmocka_run_group_tests(tests, gates_group_setup, eal_teardown);
}
