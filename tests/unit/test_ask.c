/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Members of an L3 cluster, found by their address when a packet waits for them. */
#include "ctl_rig.h"

#include <l3.h>
#include <nucleus_client.h>

#include "edge.h"

#define SERVER "192.0.2.1"
#define SERVERS 2

/* `nucleus` of edge.h is the first server. */
static struct {
	struct omni_nucleus *nucleus;
	struct omni_endpoint at;
	bool up;
} server[SERVERS];

static struct site *a, *b;

static void set_clock(void)
{
	now = (struct omni_nucleus_time){.boot_ns = net.now_ns,
					 .real_s = rig_real_ns(NULL) / OMNI_NS_PER_S};
}

static void to_server(const struct omni_endpoint *from, const struct omni_endpoint *to,
		      const uint8_t *p, size_t len)
{
	static uint8_t out[OMNI_NUCLEUS_OUT_MAX];
	struct site *s = site_at(from);
	struct omni_endpoint other;

	for (unsigned int i = 0; i < SERVERS; i++) {
		size_t n = 0;

		if (!server[i].up || !omni_endpoint_equal(to, &server[i].at))
			continue;
		set_clock();
		n = omni_nucleus_input(server[i].nucleus, &now, from, p, len, out);
		if (n > 0 && s != NULL && s->ctl != NULL)
			inject(s, &server[i].at, out, n);
		n = omni_nucleus_punch(server[i].nucleus, &other, out);
		s = n > 0 ? site_at(&other) : NULL;
		if (s != NULL && s->ctl != NULL)
			inject(s, &server[i].at, out, n);
	}
}

static void server_start(unsigned int i)
{
	struct omni_key seed = {.b = {(uint8_t)(0xaa + i)}};
	struct omni_identity id;
	struct omni_nucleus_config config = {.identity = &id, .random = omni_random};

	omni_identity_from_seed(&id, &seed);
	omni_nucleus_limits_default(&config.limits);
	server[i].nucleus = omni_nucleus_create(&config);
	assert_non_null(server[i].nucleus);
	server[i].up = true;
	assert_int_equal(
		omni_endpoint_parse(&server[i].at, i == 0 ? SERVER ":51820" : SERVER ":51821"), 0);
}

static void run_s(unsigned int seconds)
{
	for (; seconds > 0; seconds--) {
		rig_run(1000);
		set_clock();
		for (unsigned int i = 0; i < SERVERS; i++)
			if (server[i].nucleus != NULL)
				omni_nucleus_tick(server[i].nucleus, &now);
	}
}

static struct site *l3_site(const char *address, const char *vip, unsigned int n_servers)
{
	struct site *s = site_new(address, vip != NULL ? vip : "10.200.0.1");

	s->cluster.mode = OMNI_MODE_L3;
	if (vip == NULL) {
		s->cluster.vip_auto = true;
		s->cluster.vip = (struct omni_prefix){.len = OMNI_CONFIG_VIP_LEN_AUTO};
	}
	for (unsigned int i = 0; i < n_servers; i++) {
		struct omni_config_nucleus *n = &s->config.nucleus[s->config.n_nucleus++];

		strcpy(n->host, SERVER);
		n->port = server[i].at.port;
	}
	return s;
}

static int begin(void **state)
{
	rig_begin(state);
	memset(server, 0, sizeof(server));
	for (unsigned int i = 0; i < SERVERS; i++)
		server_start(i);
	net.elsewhere = to_server;
	return 0;
}

static int end(void **state)
{
	int rc = rig_end(state);

	for (unsigned int i = 0; i < SERVERS; i++)
		omni_nucleus_free(server[i].nucleus);
	return rc;
}

static struct omni_ip ip(const char *text)
{
	struct omni_ip x;

	assert_int_equal(omni_ip_parse(&x, text), 0);
	return x;
}

/* A worker of s holds a packet for vip. */
static void want(struct site *s, const struct omni_ip *vip)
{
	struct omni_event ev = {.type = OMNI_EVENT_WANT_ROUTE, .from.ip = *vip};

	assert_true(omni_xring_event(s->xring, &ev));
	net_settle();
}

static enum omni_dest_kind kind(const struct site *s, const struct omni_ip *vip)
{
	return omni_dest_kind(ctl_l3_lookup(s->ctl, &s->ctl->cluster[0], vip));
}

static void start_two(const char *vip_a, const char *vip_b, unsigned int n_servers)
{
	a = l3_site("198.51.100.1:51820", vip_a, n_servers);
	b = l3_site("198.51.100.2:51820", vip_b, n_servers);
	site_start(a);
	site_start(b);
	run_s(5);
	assert_int_equal(ctl_nucleus_servers(a->ctl, &a->ctl->cluster[0]), (1U << n_servers) - 1);
}

static void the_first_packet_asks(void **state)
{
	const struct omni_ip vip_a = ip("10.200.0.1"), vip_b = ip("10.200.0.2");

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	/* There is no mesh. */
	assert_null(peer_of(a, b));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_ASK);
	run_s(60);
	assert_null(peer_of(a, b));
	want(a, &vip_b);
	assert_true(has_session(a, b) && has_session(b, a)); /* no time has passed */
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PEER);
	assert_true(frame(a, b));
	assert_int_equal(kind(b, &vip_a), OMNI_DEST_PEER); /* shown by data */
	assert_true(frame(b, a));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks), 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_asks), 0);
}

static void idle_members_are_forgotten(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");
	unsigned int sent;

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	want(a, &vip_b);
	assert_true(frame(a, b));
	run_s(30); /* what is owed for the data is sent */
	sent = b->datagrams_in;
	run_s(60);
	assert_true(b->datagrams_in - sent <= 5); /* heartbeats' answers alone */
	run_s(120);
	assert_null(peer_of(a, b));
	assert_null(peer_of(b, a));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_ASK);
	want(a, &vip_b);
	assert_true(frame(a, b));
}

static void members_with_traffic_stay(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	want(a, &vip_b);
	for (unsigned int i = 0; i < 100; i++) {
		assert_true(frame(a, b));
		run_s(5);
	}
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks), 1);
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PEER);
}

/* No mesh is kept, so its limit is none for members that call. */
static void callers_are_no_mesh(void **state)
{
	struct omni_config_peer *other;

	(void)state;
	a = l3_site("198.51.100.1:51820", "10.200.0.1", 0);
	b = l3_site("198.51.100.2:51820", "10.200.0.2", 0);
	site_lists(a, b, true);
	other = site_lists(b, a, false);
	other->key.b[0] ^= 1;
	b->config.limits.mesh = 1;
	site_start(a);
	site_start(b);
	rig_run(1000);
	assert_true(has_session(a, b) && has_session(b, a));
}

static struct ctl_peer *member(struct site *of, const struct site *other)
{
	return ctl_peer_find(of->ctl, &of->ctl->cluster[0], &other->identity.dh.public);
}

static void start_dialects(unsigned int of_a, unsigned int of_b)
{
	a = l3_site("198.51.100.1:51820", "10.200.0.1", 1);
	b = l3_site("198.51.100.2:51820", "10.200.0.2", 1);
	a->cluster.dialects = of_a;
	b->cluster.dialects = of_b;
	site_start(a);
	site_start(b);
	run_s(5);
}

/* They speak what both records list: Omni, else WireGuard. */
static void members_that_speak_wireguard_alone(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2"), vip_a = ip("10.200.0.1");
	uint64_t before;

	(void)state;
	start_dialects(OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD, OMNI_DIALECT_WIREGUARD);
	before = count_of(a, OMNI_STAT_ctl_handshakes_done) +
		 count_of(b, OMNI_STAT_ctl_handshakes_done);
	want(a, &vip_b);
	rig_run(1000);
	assert_non_null(member(a, b));
	assert_non_null(member(a, b)->wg);
	assert_non_null(member(b, a)->wg);
	assert_true(ctl_peer_has_key(member(a, b)));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done) +
				 count_of(b, OMNI_STAT_ctl_handshakes_done) - before,
			 2);
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PEER);
	assert_int_equal(kind(b, &vip_a), OMNI_DEST_PEER);
	/* Without traffic they forget each other when the key ends, and find each other again. */
	run_s(OMNI_REJECT_AFTER_S + 40);
	assert_null(member(a, b));
	assert_null(member(b, a));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_ASK);
	want(a, &vip_b);
	rig_run(1000);
	assert_true(ctl_peer_has_key(member(a, b)));
}

static void members_without_a_common_dialect(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	start_dialects(OMNI_DIALECT_OMNI, OMNI_DIALECT_WIREGUARD);
	want(a, &vip_b);
	assert_null(member(a, b));
	assert_null(member(b, a));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_REJECT);
	assert_true(count_of(a, OMNI_STAT_ctl_wrong_dialect) >= 1);
	/* Nor is a call of the other dialect answered. */
	site_lists(a, b, true);
	assert_int_equal(
		ctl_peer_add(a->ctl, &a->ctl->cluster[0], &a->peer[0], &(struct omni_err){""}), 0);
	rig_run(1000);
	assert_null(member(b, a));
	assert_true(count_of(b, OMNI_STAT_ctl_wrong_dialect) >= 1);
}

/* What is configured of it since holds, whatever it was introduced as. */
static void a_member_that_is_configured(void **state)
{
	static const enum omni_dialect dialects[] = {OMNI_DIALECT_WIREGUARD, OMNI_DIALECT_OMNI};
	const struct omni_ip vip_b = ip("10.200.0.2");
	struct omni_config_peer *p;
	struct omni_err err = {""};

	(void)state;
	start_dialects(OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD, OMNI_DIALECT_WIREGUARD);
	p = site_lists(a, b, true);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(dialects); i++) {
		want(a, &vip_b);
		rig_run(1000);
		assert_non_null(member(a, b)->wg);
		p->dialect = dialects[i];
		assert_int_equal(ctl_peer_add(a->ctl, &a->ctl->cluster[0], p, &err), 0);
		assert_int_equal(member(a, b)->wg != NULL, i == 0);
		ctl_peer_remove(a->ctl, member(a, b), OMNI_CLOSE_REMOVED);
		run_s(20);
	}
}

/* The record changes: so does the dialect. */
static void a_member_changes_its_dialect(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	start_dialects(OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD, OMNI_DIALECT_WIREGUARD);
	want(a, &vip_b);
	rig_run(1000);
	assert_non_null(member(a, b)->wg);
	site_kill(b);
	b->cluster.dialects = OMNI_DIALECT_OMNI | OMNI_DIALECT_WIREGUARD;
	site_start(b);
	run_s(5);
	want(b, &(const struct omni_ip){.b = {[10] = 0xff, [11] = 0xff, 10, 200, 0, 1}});
	rig_run(2000);
	assert_null(member(a, b)->wg);
	assert_true(has_session(a, b));
}

static void unknown_members_are_refused_for_a_while(void **state)
{
	const struct omni_ip nobody = ip("10.200.0.77");

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 2);
	want(a, &nobody);
	assert_int_equal(kind(a, &nobody), OMNI_DEST_REJECT);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks_in_vain), 1);
	want(a, &nobody);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks), 1);
	run_s(11);
	assert_int_equal(kind(a, &nobody), OMNI_DEST_ASK);
	/* Neither us nor what is outside of the subnet. */
	want(a, &(struct omni_ip){.b = {[10] = 0xff, [11] = 0xff, 10, 200, 0, 1}});
	want(a, &(struct omni_ip){.b = {[10] = 0xff, [11] = 0xff, 10, 201, 0, 1}});
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks), 1);
}

static void one_server_of_two_knows(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	a = l3_site("198.51.100.1:51820", "10.200.0.1", 2);
	b = l3_site("198.51.100.2:51820", "10.200.0.2", 2);
	b->config.nucleus[0] = b->config.nucleus[1];
	b->config.n_nucleus = 1;
	site_start(a);
	site_start(b);
	run_s(5);
	want(a, &vip_b);
	assert_true(has_session(a, b));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks_in_vain), 0);
}

/* Who became a peer while a server was being asked is not refused for what that says. */
static void who_called_meanwhile_is_not_refused(void **state)
{
	const struct omni_ip vip = ip("10.200.0.77");
	struct omni_prefix host = ctl_l3_host(&vip);

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	server[0].up = false;
	want(a, &vip);
	assert_int_equal(omni_fib_set(a->fib, 0, &host, omni_dest_make(OMNI_DEST_PEER, 5, 1)), 0);
	ctl_ask_answered(a->ctl, &a->ctl->cluster[0], &vip, 0, false);
	assert_int_equal(kind(a, &vip), OMNI_DEST_PEER);
	run_s(12);
	assert_int_equal(kind(a, &vip), OMNI_DEST_PEER);
}

/* A part of the VIPs' subnet that is on a link of ours is not for members to claim. */
static void addresses_on_our_link_are_not_claimed(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.77");

	(void)state;
	a = l3_site("198.51.100.1:51820", "10.200.0.1", 1);
	a->port[1].carries = OMNI_ADDRESS_OWN;
	assert_int_equal(omni_prefix_parse(&a->port[1].address, "10.200.0.65/26", 32, 64), 0);
	b = l3_site("198.51.100.2:51820", "10.200.0.77", 1);
	site_start(a);
	site_start(b);
	run_s(5);
	site_lists(b, a, true);
	assert_int_equal(
		ctl_peer_add(b->ctl, &b->ctl->cluster[0], &b->peer[0], &(struct omni_err){""}), 0);
	net_settle();
	assert_true(frame(b, a));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PORT);
}

static void without_a_server_nobody_is_refused(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	server[0].up = false;
	want(a, &vip_b);
	run_s(7);
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_ASK);
	server[0].up = true;
	run_s(20);
	want(a, &vip_b);
	assert_true(has_session(a, b));
}

static void derived_addresses_prove_their_keys(void **state)
{
	struct omni_ip vip_a, vip_b;
	struct omni_key other = {.b = {1, 2, 3}};

	(void)state;
	start_two(NULL, NULL, 1);
	vip_a = omni_vip_auto(&a->identity.dh.public);
	vip_b = omni_vip_auto(&b->identity.dh.public);
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_ASK);
	want(a, &vip_b);
	assert_true(frame(a, b));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PEER);
	assert_int_equal(kind(b, &vip_a), OMNI_DEST_PEER);
	assert_int_equal(ctl_vip_check(a->ctl, &a->ctl->cluster[0], &vip_b, &other), -EADDRINUSE);
}

static void derived_addresses_beside_chosen_ones(void **state)
{
	struct omni_ip vip_b, vip_a = ip("10.200.0.1");
	struct omni_key other = {.b = {1, 2, 3}};

	(void)state;
	start_two("10.200.0.1", NULL, 1);
	vip_b = omni_vip_auto(&b->identity.dh.public);
	/* b calls: its address is believed, since it follows from its key. */
	site_lists(b, a, true);
	assert_int_equal(
		ctl_peer_add(b->ctl, &b->ctl->cluster[0], &b->peer[0], &(struct omni_err){""}), 0);
	net_settle();
	assert_true(frame(b, a));
	assert_int_equal(kind(a, &vip_b), OMNI_DEST_PEER);
	assert_int_equal(ctl_vip_check(a->ctl, &a->ctl->cluster[0], &vip_b, &other), -EADDRINUSE);
	/* The static peer's claim of a chosen address counts in our own subnet alone. */
	assert_true(frame(a, b));
	assert_int_equal(kind(b, &vip_a), OMNI_DEST_NONE);
}

/* b is behind a NAT that lets nobody in whom b has not sent to. */
static bool nat_is_open;

static bool nat(const struct site *from, const struct site *to, const uint8_t *p, size_t len)
{
	(void)p;
	(void)len;
	nat_is_open |= from == b;
	return to == b && !nat_is_open;
}

static void members_behind_a_nat_are_reached(void **state)
{
	const struct omni_ip vip_b = ip("10.200.0.2");

	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	nat_is_open = false;
	net.drops = nat;
	want(a, &vip_b);
	assert_false(has_session(a, b));
	rig_run(500); /* b was told, and calls */
	assert_true(has_session(a, b) && has_session(b, a));
	assert_true(frame(a, b));
}

static void many_questions_are_bounded(void **state)
{
	(void)state;
	start_two("10.200.0.1", "10.200.0.2", 1);
	for (unsigned int i = 3; i < 250; i++) {
		struct omni_ip x = ip("10.200.0.0");

		x.b[15] = (uint8_t)i;
		want(a, &x);
	}
	assert_int_equal(count_of(a, OMNI_STAT_ctl_asks), CTL_ASKS_BURST);
	assert_true(count_of(a, OMNI_STAT_ctl_asks_limited) > 0);
	run_s(20);
	assert_int_equal(kind(a, &(struct omni_ip){.b = {[10] = 0xff, [11] = 0xff, 10, 200, 0, 3}}),
			 OMNI_DEST_ASK);
	assert_true(ctl_nucleus_servers(a->ctl, &a->ctl->cluster[0]) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(the_first_packet_asks),
		T(idle_members_are_forgotten),
		T(members_with_traffic_stay),
		T(callers_are_no_mesh),
		T(members_that_speak_wireguard_alone),
		T(members_without_a_common_dialect),
		T(a_member_that_is_configured),
		T(a_member_changes_its_dialect),
		T(unknown_members_are_refused_for_a_while),
		T(one_server_of_two_knows),
		T(who_called_meanwhile_is_not_refused),
		T(addresses_on_our_link_are_not_claimed),
		T(without_a_server_nobody_is_refused),
		T(derived_addresses_prove_their_keys),
		T(derived_addresses_beside_chosen_ones),
		T(members_behind_a_nat_are_reached),
		T(many_questions_are_bounded),
#undef T
	};

	return cmocka_run_group_tests_name("ask", tests, rig_setup, eal_teardown);
}
