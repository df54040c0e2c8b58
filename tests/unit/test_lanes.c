/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Source ports of lanes: when they are used and when not, and what the other side makes of them. */
#include "ctl_rig.h"

#define LANE_PORT 40001

static struct site *a, *b;

/* a calls b; a's worker has a port for its lane. */
static void start(void)
{
	a = site_new("192.0.2.1:51820", "10.200.0.1/24");
	b = site_new("192.0.2.2:51820", "10.200.0.2/24");
	(void)site_lists(a, b, true);
	(void)site_lists(b, a, false);
	a->lane_port = LANE_PORT;
}

static void start_pair(void)
{
	site_start(a);
	site_start(b);
	net_settle();
	assert_true(has_session(a, b));
	rig_run(2000); /* the path's MTU is known then */
}

static const struct omni_path *path_to(const struct site *s, const struct site *other)
{
	return atomic_load(&peer_of(s, other)->pub->path);
}

/* b's worker takes the lane as a's where it comes from that port. */
static bool knows_port(uint16_t lane, uint16_t port)
{
	const struct omni_lane_ports *ports = omni_path_lane_ports(path_to(b, a));

	return ports != NULL && ports->far[lane] == port;
}

static bool uses_lane_port(void)
{
	const struct omni_lane_ports *ports = omni_path_lane_ports(path_to(a, b));

	return ports != NULL && (ports->own & 2) != 0;
}

/* a's worker sends to b on its lane, all the time. */
static void send_for(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 500) {
		struct omni_keypair *kp = atomic_load(&peer_of(a, b)->pub->tx);

		kp->tx[1].last_tsc = rte_rdtsc();
		rig_run(500);
	}
}

/* b's worker saw data of a's lane come from there. */
static void seen_from(const struct omni_endpoint *from, uint8_t lane)
{
	const struct ctl_peer *peer = peer_of(b, a);
	const struct omni_event ev = {
		.type = OMNI_EVENT_ROAM,
		.lane = lane,
		.peer = peer->pub->index,
		.peer_gen = peer->pub->generation,
		.datagram_len = 200,
		.from = *from,
	};

	ctl_event(b->ctl, &ev);
	net_settle();
}

static struct omni_endpoint lane_address(const struct site *s)
{
	struct omni_endpoint ep = s->address;

	ep.port = (uint16_t)(s->lane_port + s->nat);
	return ep;
}

static void a_port_that_is_echoed_is_used(void **state)
{
	struct ctl_peer *peer;

	(void)state;
	start();
	start_pair();
	assert_false(uses_lane_port());
	send_for(2000);
	assert_true(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_proven), 1);
	send_for(60000);
	assert_true(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_proven), 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_lost), 0);
	/* It moves nothing, at either side. */
	peer = peer_of(b, a);
	assert_true(omni_endpoint_equal(&peer->endpoint, &a->address));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_roamed) + count_of(b, OMNI_STAT_ctl_roamed), 0);
	assert_int_equal(path_to(a, b)->mtu, 1500);
}

static void a_lane_without_data_is_not_probed(void **state)
{
	(void)state;
	start();
	start_pair();
	rig_run(20000);
	assert_int_equal(a->from_lane_port, 0);
	assert_null(peer_of(a, b)->lanes);
	send_for(2000);
	assert_true(uses_lane_port());
	rig_run(45000); /* what a NAT knew of it may be gone */
	assert_false(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_lost), 0);
}

/* The first messages came from the main port, so all lanes are one worker's: once, new keys. */
static void lanes_that_began_elsewhere_get_new_keys(void **state)
{
	struct omni_keypair *kp;

	(void)state;
	start();
	start_pair();
	kp = atomic_load(&peer_of(a, b)->pub->tx);
	kp->tx[1].sequence = 1;
	send_for(10000);
	assert_true(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 2);
	kp = atomic_load(&peer_of(a, b)->pub->tx);
	kp->tx[1].sequence = 1;
	send_for(60000);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 2);
	assert_true(uses_lane_port());
}

static void without_echo_the_main_port_is_used(void **state)
{
	(void)state;
	start();
	a->lane_filtered = true;
	start_pair();
	send_for(20000);
	assert_false(uses_lane_port());
	assert_int_equal(a->from_lane_port, 3);
	a->lane_filtered = false; /* tried again after a while */
	send_for(20000);
	assert_true(uses_lane_port());
	assert_true(has_session(a, b));
}

static void echoes_that_stop_lead_back_to_the_main_port(void **state)
{
	(void)state;
	start();
	start_pair();
	send_for(5000);
	assert_true(uses_lane_port());
	a->lane_filtered = true;
	send_for(5000);
	assert_false(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_lost), 1);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_int_equal(path_to(a, b)->mtu, 1500);
}

/* A NAT gives the lane's port another number, and lets the echo back in. */
static void a_nat_may_rewrite_the_port(void **state)
{
	struct omni_endpoint from;

	(void)state;
	start();
	a->nat = 1234;
	start_pair();
	send_for(3000);
	assert_true(uses_lane_port());
	from = lane_address(a);
	seen_from(&from, 1);
	assert_true(knows_port(1, LANE_PORT + 1234));
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
}

static void a_port_that_carries_less_is_not_used(void **state)
{
	(void)state;
	start();
	a->lane_mtu = 1400;
	start_pair();
	send_for(5000);
	assert_false(uses_lane_port());
	assert_int_equal(path_to(a, b)->mtu, 1500);
	a->lane_mtu = 0;
	send_for(40000);
	assert_true(uses_lane_port());
}

static void another_path_is_proven_anew(void **state)
{
	(void)state;
	start();
	start_pair();
	send_for(2000);
	assert_true(uses_lane_port());
	assert_int_equal(omni_endpoint_parse(&b->address, "198.51.100.2:51820"), 0);
	assert_true(frame(b, a));
	rig_run(1500);
	assert_true(omni_endpoint_equal(&path_to(a, b)->remote, &b->address));
	send_for(3000);
	assert_true(uses_lane_port());
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_proven), 2);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_lane_ports_lost), 0);
}

static void a_lane_that_is_seen_elsewhere_is_asked_once(void **state)
{
	struct omni_endpoint from;
	struct ctl_peer *peer;
	uint64_t before;

	(void)state;
	start();
	start_pair();
	from = lane_address(a);
	peer = peer_of(b, a);
	assert_false(knows_port(1, LANE_PORT));
	seen_from(&from, 1);
	assert_false(ctl_roam_runs(peer)); /* a answered, from its main port */
	assert_true(knows_port(1, LANE_PORT));
	assert_false(knows_port(2, LANE_PORT));
	rig_run(15000);
	before = count_of(b, OMNI_STAT_ctl_probes_sent);
	seen_from(&from, 0); /* one of a's probes from there */
	assert_int_equal(count_of(b, OMNI_STAT_ctl_probes_sent), before);
	assert_true(omni_endpoint_equal(&peer->endpoint, &a->address));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 0);
}

/* All of a is elsewhere, and b sees its lane first: b moves to where lane 0 says that a is. */
static void the_address_is_learned_from_lane_0(void **state)
{
	struct omni_endpoint from;

	(void)state;
	start();
	start_pair();
	assert_int_equal(omni_endpoint_parse(&a->address, "198.51.100.7:4000"), 0);
	from = lane_address(a);
	seen_from(&from, 1);
	rig_run(2000);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 1);
	assert_true(frame(b, a));
}

/* The address of a key's first data counts only where that came on lane 0. */
static void a_lane_does_not_say_where_a_new_session_is(void **state)
{
	struct omni_event ev = {.type = OMNI_EVENT_CONFIRM, .lane = 1};
	struct ctl_session *next;

	(void)state;
	start();
	site_start(a);
	site_start(b);
	for (int i = 0; i < 3 && (peer_of(b, a) == NULL || peer_of(b, a)->slot[CTL_NEXT] == NULL);
	     i++)
		(void)net_turn();
	next = peer_of(b, a)->slot[CTL_NEXT];
	assert_non_null(next);
	ev.peer = next->kp->peer;
	ev.peer_gen = next->kp->peer_gen;
	ev.session_id = next->kp->local_id;
	ev.from = lane_address(a);
	ctl_event(b->ctl, &ev);
	assert_true(has_session(b, a));
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(a_port_that_is_echoed_is_used),
		T(a_lane_without_data_is_not_probed),
		T(lanes_that_began_elsewhere_get_new_keys),
		T(without_echo_the_main_port_is_used),
		T(echoes_that_stop_lead_back_to_the_main_port),
		T(a_nat_may_rewrite_the_port),
		T(a_port_that_carries_less_is_not_used),
		T(another_path_is_proven_anew),
		T(a_lane_that_is_seen_elsewhere_is_asked_once),
		T(the_address_is_learned_from_lane_0),
		T(a_lane_does_not_say_where_a_new_session_is),
	};

	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
