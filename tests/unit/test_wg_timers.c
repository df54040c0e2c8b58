/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The timers of WireGuard peers: each rule of the whitepaper, section 6. */
#include "wg_rig.h"

#define S OMNI_NS_PER_S

static void tries_are_five_seconds_apart_for_ninety(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	watch_for(a, OMNI_TYPE_WG_INITIATION, true);
	want(a, b);
	rig_run(200 * 1000);
	assert_int_equal(wire.n, 18);
	for (unsigned int i = 1; i < wire.n; i++)
		assert_in_range(wire.at[i] - wire.at[i - 1], 5 * S, 5 * S + S / 3 + 2 * STEP_NS);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_given_up), 1);
	want(a, b);
	assert_int_equal(wire.n, 19);
	wire.stop = false;
	rig_run(6000);
	assert_up();
	assert_int_equal(wire.n, 20);
}

static void demand_keeps_the_series_going(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	watch_for(a, OMNI_TYPE_WG_INITIATION, true);
	for (unsigned int i = 0; i < 150; i++) {
		want(a, b);
		rig_run(1000);
	}
	assert_in_range(wire.n, 26, 30);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_given_up), 0);
}

static void data_is_answered_within_ten_seconds(void **state)
{
	uint64_t at;

	(void)state;
	bring_up();
	rig_run(2000);
	assert_true(frame(a, b));
	at = net.now_ns;
	rig_run(9900);
	assert_int_equal(a->keepalives_in, 0);
	rig_run(400);
	assert_int_equal(a->keepalives_in, 1);
	assert_true(net.now_ns - at < 11 * S);
	/* One keepalive answers it all, and no keepalive answers a keepalive. */
	rig_run(60 * 1000);
	assert_int_equal(a->keepalives_in, 1);
	assert_int_equal(b->keepalives_in, 1);
	/* An answer is as good. */
	assert_true(frame(a, b));
	rig_run(3000);
	assert_true(frame(b, a));
	rig_run(8000);
	assert_int_equal(a->keepalives_in, 1);
}

static void unanswered_data_begins_anew(void **state)
{
	(void)state;
	bring_up();
	rig_run(2000);
	watch_for(b, OMNI_TYPE_WG_DATA, true); /* b is heard no more */
	assert_true(frame(a, b));
	rig_run(14900);
	assert_int_equal(b->n_initiations, 1);
	rig_run(800);
	assert_int_equal(b->n_initiations, 2);
	wire.stop = false;
	rig_run(20 * 1000);
	assert_int_equal(b->n_initiations, 2);
	assert_up();
}

/* To the tick, though nothing was heard for long: the next packet is the first of a handshake. */
static void idle_keys_end_on_time(void **state)
{
	uint64_t end;

	(void)state;
	bring_up();
	end = current(a, b)->created_ns + 180 * S;
	rig_run((unsigned int)((end - net.now_ns) / OMNI_NS_PER_MS) - 200);
	assert_up();
	rig_run(300);
	assert_false(has_session(a, b));
	assert_false(has_session(b, a));
}

/* The key with the newest stamps is dropped: what others have is no news. */
static void old_stamps_are_no_news(void **state)
{
	struct ctl_peer *peer;

	(void)state;
	bring_up();
	rig_run(2000);
	assert_true(frame(a, b));
	rig_run(60 * 1000);
	peer = peer_of(a, b);
	assert_int_equal(peer->wg->handshake_ns, 0);
	assert_true(peer->tx_data_tsc != 0);
	peer->tx_data_tsc += 1000; /* as a key had it that is not there any more */
	rig_run(2000);
	assert_int_equal(peer->wg->handshake_ns, 0);
}

static void keys_are_renewed_by_who_began(void **state)
{
	uint64_t old;

	(void)state;
	bring_up();
	old = current(a, b)->local_id;
	rig_run(118000);
	assert_true(frame(b, a));
	assert_true(frame(a, b));
	rig_run(1900);
	assert_int_equal(b->n_initiations, 1);
	rig_run(200);
	assert_true(frame(b, a)); /* the responder's sending renews nothing */
	rig_run(300);
	assert_int_equal(a->n_initiations + b->n_initiations, 1);
	assert_true(frame(a, b));
	rig_run(200);
	assert_int_equal(b->n_initiations, 2);
	assert_true(current(a, b)->local_id != old);
	assert_true(peer_of(a, b)->slot[CTL_PREVIOUS]->kp->local_id == old);
	assert_up();
	assert_int_equal(a->ctl->cluster[0].n_sessions, 1);
}

static void a_receiver_renews_before_the_end(void **state)
{
	(void)state;
	bring_up();
	rig_run(163500);
	assert_true(frame(b, a));
	rig_run(1000);
	assert_int_equal(b->n_initiations, 1);
	peer_of(a, b)->wg->keepalive_ns = 0; /* that would be sending */
	rig_run(700);
	assert_true(frame(b, a));
	rig_run(200);
	assert_int_equal(b->n_initiations, 2);
	assert_up();
}

static void a_worn_key_is_renewed(void **state)
{
	(void)state;
	bring_up();
	rig_run(10 * 1000);
	/* As b is no initiator: the number of messages counts for both. */
	atomic_load(&peer_of(b, a)->pub->tx)->tx[0].sequence = OMNI_MESSAGES_REKEY + 1;
	assert_true(frame(b, a));
	rig_run(200);
	assert_int_equal(a->n_initiations, 1);
	assert_up();
}

static void keys_end(void **state)
{
	(void)state;
	bring_up();
	rig_run(179 * 1000);
	assert_up();
	rig_run(2 * 1000);
	assert_false(has_session(a, b));
	assert_false(has_session(b, a));
	assert_int_equal(a->ctl->cluster[0].n_sessions, 0);
	assert_non_null(peer_of(a, b)->slot[CTL_CURRENT]); /* but it is not wiped yet */
	rig_run(350 * 1000);
	assert_non_null(peer_of(a, b)->slot[CTL_CURRENT]);
	rig_run(15 * 1000);
	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		assert_null(peer_of(a, b)->slot[i]);
		assert_null(peer_of(b, a)->slot[i]);
	}
	assert_int_equal(datagrams(), 3);
	want(b, a);
	assert_up();
}

static void a_long_pause_ends_with_a_handshake(void **state)
{
	(void)state;
	bring_up();
	assert_true(frame(a, b));
	rig_run(20 * 1000);
	net.now_ns += 600 * S;
	rig_run(100);
	assert_false(has_session(a, b));
	want(a, b);
	assert_up();
	assert_true(frame(b, a));
}

static void persistent_keepalives_hold_the_way_open(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].keepalive_s = 25;
	site_start(b);
	site_start(a);
	net_settle();
	assert_up(); /* at once, as there is something to say */
	assert_int_equal(b->keepalives_in, 1);
	rig_run(24 * 1000);
	assert_int_equal(b->keepalives_in, 1);
	rig_run(2 * 1000);
	assert_int_equal(b->keepalives_in, 2);
	/* Through every end of keys, and the death of the other side. */
	for (unsigned int i = 0; i < 100; i++) {
		rig_run(10 * 1000);
		assert_up();
	}
	site_kill(b);
	rig_run(400 * 1000);
	assert_false(has_session(a, b));
	site_start(b);
	rig_run(31 * 1000);
	assert_up();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tries_are_five_seconds_apart_for_ninety),
		TEST(demand_keeps_the_series_going),
		TEST(data_is_answered_within_ten_seconds),
		TEST(unanswered_data_begins_anew),
		TEST(idle_keys_end_on_time),
		TEST(old_stamps_are_no_news),
		TEST(keys_are_renewed_by_who_began),
		TEST(a_receiver_renews_before_the_end),
		TEST(a_worn_key_is_renewed),
		TEST(keys_end),
		TEST(a_long_pause_ends_with_a_handshake),
		TEST(persistent_keepalives_hold_the_way_open),
	};

	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
