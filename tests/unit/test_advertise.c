/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Prefixes behind members: told, taken, refused, withdrawn. */
#include "ctl_rig.h"

#include <l3.h>

static struct site *a, *b;
static struct omni_prefix advertised[64], accepted[8];

static struct omni_prefix prefix(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static struct site *l3_site(const char *address, const char *vip)
{
	struct site *s = site_new(address, vip);

	s->cluster.mode = OMNI_MODE_L3;
	strcpy(s->port[1].driver, "memif");
	return s;
}

static void advertises(struct site *s, const char *text)
{
	s->cluster.advertise = advertised;
	advertised[s->cluster.n_advertise++] = prefix(text);
}

static void accepts(struct site *s, const char *text)
{
	s->cluster.accept = accepted;
	accepted[s->cluster.n_accept++] = prefix(text);
}

static void start(struct site *s)
{
	port_init(s, &s->up, 0, "up");
	port_init(s, &s->lan, 1, "lan");
	s->lan.info.link_up = true;
	site_control(s);
}

static int begin(void **state)
{
	rig_begin(state);
	a = l3_site("198.51.100.1:51820", "10.0.0.1");
	b = l3_site("198.51.100.2:51820", "10.0.0.2");
	site_lists(a, b, true);
	site_lists(b, a, true);
	return 0;
}

static void start_both(void)
{
	start(a);
	start(b);
	net_settle();
	assert_true(frame(a, b) && frame(b, a));
	rig_run(1500);
}

/* Where b routes it. */
static omni_dest at_b(const char *text)
{
	struct omni_prefix p = prefix(text);

	return omni_fib_get(b->fib, 0, &p);
}

static bool leads_to_a(const char *text)
{
	return at_b(text) == ctl_l3_peer_dest(peer_of(b, a));
}

static void prefixes_are_told_and_taken(void **state)
{
	struct omni_prefix p = prefix("10.1.0.0/16");

	(void)state;
	advertises(a, "10.1.0.0/16");
	advertises(a, "fd00:5::/48");
	accepts(b, "10.0.0.0/8");
	accepts(b, "fd00:5::/32");
	start_both();
	assert_true(leads_to_a("10.1.0.0/16"));
	assert_true(leads_to_a("fd00:5::/48"));
	/* And a knows what it has. */
	assert_int_equal(omni_dest_kind(omni_fib_get(a->fib, 0, &p)), OMNI_DEST_PORT);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_routes_learned), 1);
	/* Nothing changes with keys, or with time. */
	for (unsigned int i = 0; i < 60; i++) {
		assert_true(frame(a, b));
		rig_run(5000);
	}
	assert_true(leads_to_a("10.1.0.0/16"));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_routes_learned), 1);
}

static void what_is_not_accepted_is_not_taken(void **state)
{
	static const char *const texts[] = {
		"10.1.0.0/16",	   /* not in accept */
		"172.16.0.0/12",   /* more than is accepted */
		"172.20.7.0/24",   /* the port's subnet is in it */
		"172.20.7.128/25", /* it is in the port's subnet */
		"172.21.0.0/16",   /* what b has behind it */
		"172.22.0.0/16",   /* another member's VIP */
		"172.23.0.0/16",   /* the other's underlay address */
		"172.24.0.0/16",   /* somebody has it */
		"172.25.0.0/16",
	};
	struct omni_config_peer *other = &b->peer[b->cluster.n_peers++];
	static struct omni_prefix behind, allowed;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(texts); i++)
		advertises(a, texts[i]);
	accepts(b, "172.16.0.0/11");
	accepts(b, "172.20.0.0/14");
	accepts(b, "172.24.0.0/15");
	accepted[0] = prefix("172.20.0.0/15");
	behind = prefix("172.21.4.0/24");
	b->cluster.advertise = &behind;
	b->cluster.n_advertise = 1;
	b->port[1].carries = OMNI_ADDRESS_OWN;
	b->port[1].address = prefix("172.20.7.1/24");
	memset(other, 0, sizeof(*other));
	strcpy(other->name, "other");
	other->key = (struct omni_key){.b = {1, 2, 3, 4}};
	strcpy(other->host, "172.23.9.9");
	other->port = 51820;
	other->vip = prefix("172.22.1.1").ip;
	allowed = prefix("172.24.0.0/16");
	start_both();
	assert_int_equal(omni_fib_set(b->fib, 0, &allowed, omni_dest_make(OMNI_DEST_PEER, 77, 1)),
			 0);
	rig_run(12000);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(texts); i++)
		if (leads_to_a(texts[i]) != (strcmp(texts[i], "172.25.0.0/16") == 0) &&
		    strcmp(texts[i], "172.24.0.0/16") != 0)
			fail_msg("%s", texts[i]);
	assert_true(count_of(b, OMNI_STAT_ctl_routes_refused) > 0);
}

static void nothing_is_taken_without_leave(void **state)
{
	(void)state;
	advertises(a, "10.1.0.0/16");
	start_both();
	assert_true(at_b("10.1.0.0/16") == OMNI_DEST_MISS);
}

static void prefixes_go_with_their_port(void **state)
{
	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	assert_true(leads_to_a("10.1.0.0/16"));
	a->lan.info.link_up = false;
	rig_run(1500);
	assert_true(at_b("10.1.0.0/16") == OMNI_DEST_MISS);
	a->lan.info.link_up = true;
	rig_run(2500);
	assert_true(leads_to_a("10.1.0.0/16"));
}

/* A link that goes and comes at once: the receiver takes one table a second, and hears both. */
static void a_link_that_flaps(void **state)
{
	struct ctl_cluster *c;

	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	assert_true(leads_to_a("10.1.0.0/16"));
	c = &a->ctl->cluster[0];
	c->l3->port[0].up = false;
	ctl_advertise_look(a->ctl, c);
	net_settle();
	assert_true(at_b("10.1.0.0/16") == OMNI_DEST_MISS);
	c->l3->port[0].up = true;
	ctl_advertise_look(a->ctl, c);
	rig_run(2500);
	assert_true(leads_to_a("10.1.0.0/16"));
}

static void prefixes_end_with_the_session(void **state)
{
	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	assert_true(leads_to_a("10.1.0.0/16"));
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	assert_true(at_b("10.1.0.0/16") == OMNI_DEST_MISS);
	site_kill(a);
	rig_run(8000);
	start(a);
	rig_run(12000);
	assert_true(has_session(b, a));
	rig_run(12000);
	assert_true(leads_to_a("10.1.0.0/16"));
}

static unsigned int dropped;

/* The second page of each table. */
static bool loses_a_page(const struct site *from, const struct site *to, const uint8_t *p,
			 size_t len)
{
	(void)to;
	(void)p;
	if (from != a || len < 200 || len > 260)
		return false;
	return ++dropped == 2;
}

static void long_tables_come_in_pages(void **state)
{
	char text[32];

	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.1.%u.0/24", i);
		advertises(a, text);
	}
	accepts(b, "10.1.0.0/16");
	dropped = 0;
	net.drops = loses_a_page;
	net.path_mtu = 576;
	start(a);
	start(b);
	net_settle();
	rig_run(1500);
	rig_run(12000); /* the loss shows, and all of it comes again */
	assert_true(dropped >= 3);
	for (unsigned int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "10.1.%u.0/24", i);
		assert_true(leads_to_a(text));
	}
	assert_int_equal(count_of(b, OMNI_STAT_ctl_routes_learned), 1);
}

static void heard(const struct omni_control *m)
{
	ctl_routes_heard(b->ctl, peer_of(b, a), m);
}

static void versions_count(void **state)
{
	struct omni_control m = {
		.type = OMNI_CONTROL_ROUTES, .version = 10, .total = 1, .n_prefixes = 1};

	(void)state;
	accepts(b, "10.0.0.0/8");
	start_both();
	m.prefixes[0] = prefix("10.1.0.0/16");
	heard(&m);
	assert_true(leads_to_a("10.1.0.0/16"));
	m.version = 9;
	m.prefixes[0] = prefix("10.2.0.0/16");
	rig_run(2000);
	heard(&m);
	assert_true(at_b("10.2.0.0/16") == OMNI_DEST_MISS);
	m.version = 11;
	m.total = 2;
	heard(&m); /* half of it */
	assert_true(leads_to_a("10.1.0.0/16") && !leads_to_a("10.2.0.0/16"));
	m.first = 1;
	m.prefixes[0] = prefix("10.3.0.0/16");
	heard(&m);
	assert_true(at_b("10.1.0.0/16") == OMNI_DEST_MISS);
	assert_true(leads_to_a("10.2.0.0/16") && leads_to_a("10.3.0.0/16"));
	m = (struct omni_control){.type = OMNI_CONTROL_ROUTES, .version = 12};
	rig_run(2000);
	heard(&m);
	assert_true(at_b("10.2.0.0/16") == OMNI_DEST_MISS);
	/* Impossible ones. */
	m.version = 13;
	m.total = UINT32_MAX;
	rig_run(2000);
	heard(&m);
	m.version = 0;
	m.total = 0;
	heard(&m);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_routes_refused), 2);
}

/* Its allowed IPs stay the configuration's. */
static void configured_routes_outlive_the_session(void **state)
{
	struct omni_prefix p = prefix("10.1.0.0/16");

	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start(a);
	start(b);
	assert_int_equal(omni_fib_set(b->fib, 0, &p, ctl_l3_peer_dest(peer_of(b, a))), 0);
	rig_run(3000);
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	assert_true(leads_to_a("10.1.0.0/16"));
}

/* Those as well that it told us of before they were. */
static void told_routes_become_configured_ones(void **state)
{
	struct omni_prefix p[] = {prefix("10.1.0.0/16"), prefix("10.2.0.7/16")};

	(void)state;
	advertises(a, "10.1.0.0/16");
	advertises(a, "10.2.0.0/16");
	advertises(a, "10.3.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	assert_true(leads_to_a("10.1.0.0/16"));
	assert_int_equal(ctl_allowed_add(b->ctl, peer_of(b, a), &p[0], 1), 0);
	assert_int_equal(ctl_allowed_add(b->ctl, peer_of(b, a), &p[1], 1), 0);
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	assert_true(leads_to_a("10.1.0.0/16") && leads_to_a("10.2.0.0/16"));
	assert_true(at_b("10.3.0.0/16") == OMNI_DEST_MISS);
}

/* The same where they replace others. */
static void told_routes_stay_where_they_are_allowed(void **state)
{
	struct omni_prefix p = prefix("10.1.0.0/16");

	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	assert_int_equal(ctl_allowed_replace(b->ctl, peer_of(b, a), &p, 1), 0);
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	assert_true(leads_to_a("10.1.0.0/16"));
}

/* A member that was not configured leaves no route behind, however it goes. */
static void members_take_their_routes_with_them(void **state)
{
	struct omni_control m = {
		.type = OMNI_CONTROL_ROUTES, .version = 10, .total = 1, .n_prefixes = 1};
	struct omni_prefix vip = prefix("10.0.0.1/32");
	uint32_t before;

	(void)state;
	b->cluster.n_peers = 0;
	accepts(b, "10.0.0.0/8");
	start(b);
	before = omni_fib_count(b->fib);
	start(a);
	net_settle();
	m.prefixes[0] = prefix("10.1.0.0/16");
	for (unsigned int i = 0; i < 2; i++) {
		rig_run(12000);
		assert_true(frame(a, b));
		if (i == 1) /* told in a session that sends no more */
			ctl_slots_drop_all(b->ctl, peer_of(b, a));
		heard(&m);
		assert_true(leads_to_a("10.1.0.0/16"));
		assert_true(omni_fib_get(b->fib, 0, &vip) == ctl_l3_peer_dest(peer_of(b, a)));
		ctl_peer_remove(b->ctl, peer_of(b, a), OMNI_CLOSE_REMOVED);
		assert_int_equal(omni_fib_count(b->fib), before);
		net_settle();
	}
}

/* Nor what lies behind a router on our link, though we tell nobody of it. */
static void what_is_via_our_link_is_not_taken(void **state)
{
	struct omni_config_via *via = &b->port[1].via[b->port[1].n_via++];

	(void)state;
	advertises(a, "10.7.1.0/24");
	advertises(a, "10.8.0.0/16");
	accepts(b, "10.0.0.0/8");
	via->to = prefix("10.7.0.0/16");
	via->gateway = prefix("10.9.9.9").ip;
	start_both();
	assert_true(at_b("10.7.1.0/24") == OMNI_DEST_MISS);
	assert_true(leads_to_a("10.8.0.0/16"));
}

/* The table stays, and the next repetition brings back what new allowed IPs swept away. */
static void prefixes_outlive_new_allowed_ips(void **state)
{
	struct omni_prefix p;

	(void)state;
	advertises(a, "10.1.0.0/16");
	accepts(b, "10.0.0.0/8");
	start_both();
	p = prefix("192.0.2.0/24");
	assert_int_equal(ctl_allowed_replace(b->ctl, peer_of(b, a), &p, 1), 0);
	rig_run(12000);
	assert_true(leads_to_a("192.0.2.0/24"));
	assert_true(leads_to_a("10.1.0.0/16"));
}

/* More than the table takes: what was there is there still, and nothing new is. */
static void new_allowed_ips_come_all_or_none(void **state)
{
	enum {
		MANY = 5000
	};
	struct omni_prefix p = prefix("192.0.2.0/24"), *many = calloc(MANY, sizeof(*many));

	(void)state;
	assert_non_null(many);
	start_both();
	assert_int_equal(ctl_allowed_replace(b->ctl, peer_of(b, a), &p, 1), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		many[i] = prefix("172.16.0.0/30");
		omni_store_be32(many[i].ip.b + 12, 0xac100000 + 4 * i);
	}
	assert_int_equal(ctl_allowed_replace(b->ctl, peer_of(b, a), many, MANY), -ENOSPC);
	assert_true(leads_to_a("192.0.2.0/24"));
	assert_true(at_b("172.16.0.0/30") == OMNI_DEST_MISS);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(prefixes_are_told_and_taken),
		T(what_is_not_accepted_is_not_taken),
		T(nothing_is_taken_without_leave),
		T(prefixes_go_with_their_port),
		T(a_link_that_flaps),
		T(prefixes_end_with_the_session),
		T(long_tables_come_in_pages),
		T(versions_count),
		T(what_is_via_our_link_is_not_taken),
		T(prefixes_outlive_new_allowed_ips),
		T(new_allowed_ips_come_all_or_none),
		T(configured_routes_outlive_the_session),
		T(members_take_their_routes_with_them),
		T(told_routes_become_configured_ones),
		T(told_routes_stay_where_they_are_allowed),
#undef T
	};

	return cmocka_run_group_tests_name("advertise", tests, rig_setup, eal_teardown);
}
