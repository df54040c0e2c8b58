/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Gateways' control planes with a Nucleus between them, over a wire without packets lost. */
#include "ctl_rig.h"

#include <unistd.h>

#include <nucleus_client.h>

#include "edge.h"

#define SERVER "192.0.2.1"
#define EDGES 50 /* more than two pages of a list hold */

/* `nucleus` of edge.h is the server. */
static struct {
	struct omni_endpoint at;
	bool up;
	unsigned int lose_every, carried;
} server;

static struct site *a, *b, *c;

/* ---- The Nucleus ---- */

static void set_clock(void)
{
	now = (struct omni_nucleus_time){.boot_ns = net.now_ns,
					 .real_s = rig_real_ns(NULL) / OMNI_NS_PER_S};
}

static bool is_lost(void)
{
	return server.lose_every != 0 && ++server.carried % server.lose_every == 0;
}

static void to_server(const struct omni_endpoint *from, const struct omni_endpoint *to,
		      const uint8_t *p, size_t len)
{
	static uint8_t out[OMNI_NUCLEUS_OUT_MAX];
	struct site *s = site_at(from);
	size_t n;

	if (!server.up || !omni_endpoint_equal(to, &server.at) || is_lost())
		return;
	set_clock();
	n = omni_nucleus_input(nucleus, &now, from, p, len, out);
	if (n > 0 && s != NULL && s->ctl != NULL && !is_lost())
		inject(s, &server.at, out, n);
}

static void server_start(uint8_t seed_byte)
{
	struct omni_key seed = {.b = {seed_byte}};
	struct omni_identity id;
	struct omni_nucleus_config config = {.identity = &id, .random = omni_random};

	omni_identity_from_seed(&id, &seed);
	omni_nucleus_limits_default(&config.limits);
	omni_nucleus_free(nucleus);
	nucleus = omni_nucleus_create(&config);
	assert_non_null(nucleus);
	server.up = true;
}

static void run_s(unsigned int seconds)
{
	for (; seconds > 0; seconds--) {
		rig_run(1000);
		set_clock();
		omni_nucleus_tick(nucleus, &now);
	}
}

static size_t members(void)
{
	struct omni_nucleus_sizes sizes;

	omni_nucleus_sizes(nucleus, &sizes);
	return sizes.members;
}

static struct site *site_with_nucleus(const char *address, const char *vip)
{
	struct site *s = site_new(address, vip);
	struct omni_config_nucleus *n = &s->config.nucleus[s->config.n_nucleus++];

	strcpy(n->host, SERVER);
	n->port = server.at.port;
	return s;
}

static const struct nc_session *session_of(const struct site *s)
{
	return &s->ctl->nucleus->session[0];
}

static bool is_registered(const struct site *s)
{
	return session_of(s)->registered;
}

static void assert_reason(const struct site *s, const char *part)
{
	char text[NC_TEXT_LEN];

	nc_reason(session_of(s), text);
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static int begin(void **state)
{
	rig_begin(state);
	memset(&server, 0, sizeof(server));
	assert_int_equal(omni_endpoint_parse(&server.at, SERVER ":51820"), 0);
	server_start(0xaa);
	net.elsewhere = to_server;
	a = site_with_nucleus("198.51.100.1:51820", "10.200.0.1");
	b = site_with_nucleus("198.51.100.2:51820", "10.200.0.2");
	c = site_with_nucleus("198.51.100.3:51820", "10.200.0.3");
	return 0;
}

static int end(void **state)
{
	int rc = rig_end(state);

	omni_nucleus_free(nucleus);
	nucleus = NULL;
	return rc;
}

static void start_three(void)
{
	site_start(a);
	site_start(b);
	site_start(c);
	run_s(8);
	assert_int_equal(members(), 3);
	assert_true(has_session(a, b) && has_session(a, c) && has_session(b, c));
}

static uint64_t counter(enum omni_nucleus_counter which)
{
	return omni_nucleus_counter(nucleus, which);
}

/* ---- Members ---- */

static void members_find_each_other(void **state)
{
	(void)state;
	start_three();
	assert_int_equal(session_of(a)->n_members, 2);
	assert_string_equal(nc_state(session_of(a)), "registered");
	assert_reason(a, "");
	assert_true(frame(a, b) && frame(b, a) && frame(a, c) && frame(c, b));
	assert_true(omni_endpoint_equal(&session_of(a)->seen, &a->address));
	assert_int_equal(peer_of(a, b)->origin, CTL_ORIGIN_NUCLEUS);
}

static void restarted_gateway_finds_peers_soon(void **state)
{
	(void)state;
	start_three();
	site_kill(c);
	run_s(3);
	site_start(c);
	run_s(6);
	assert_true(has_session(c, a) && has_session(c, b));
	assert_true(frame(c, a) && frame(a, c));
}

static void who_leaves_is_withdrawn(void **state)
{
	(void)state;
	start_three();
	omni_ctl_stop(c->ctl, NULL, NULL);
	net_settle();
	site_kill(c);
	assert_int_equal(members(), 2);
	run_s(35);
	assert_int_equal(session_of(a)->n_members, 1);
	assert_null(peer_of(a, c));
	assert_true(frame(a, b));
}

static void newcomer_is_found(void **state)
{
	(void)state;
	site_start(a);
	site_start(b);
	run_s(60);
	site_start(c);
	run_s(6);
	assert_true(has_session(a, c) && has_session(b, c));
	run_s(35);
	assert_int_equal(session_of(a)->n_members, 2);
}

static void long_list_is_read_in_pages(void **state)
{
	static struct edge edges[EDGES];
	struct cluster cluster;
	const struct nc_session *s;

	(void)state;
	site_start(a);
	cluster.id = a->ctl->cluster[0].tree.cluster_id;
	cluster.secret = a->ctl->cluster[0].tree.sign_secret;
	set_clock();
	for (unsigned int i = 0; i < EDGES; i++) {
		edge_make(&edges[i], &cluster, 1000 + i);
		assert_true(edge_hello(&edges[i]));
		assert_int_equal(edge_handshake(&edges[i]), OMNI_RESULT_ACCEPTED);
		assert_int_equal(edge_register(&edges[i]), OMNI_SIGNAL_OK);
	}
	run_s(4);
	s = session_of(a);
	assert_int_equal(s->n_members, EDGES);
	/* The mesh takes what the configuration allows, and says so. */
	assert_int_equal(a->ctl->cluster[0].n_peers, PEERS - 1);
	for (unsigned int i = 0; i < EDGES; i++)
		assert_int_equal(nc_member_find(s, &edges[i].identity.dh.public)->result,
				 i < PEERS - 1 ? 0 : -ENOSPC);
	run_s(120); /* edges that never said another word */
	assert_int_equal(s->n_members, 0);
	assert_int_equal(a->ctl->cluster[0].n_peers, 0);
}

/* A page of a list that names one member, as a Nucleus would say it; was it asked for? */
static bool page(struct nc_session *s, uint64_t cursor, uint8_t vip, uint8_t key)
{
	struct omni_signal m = {
		.type = OMNI_SIGNAL_LIST_ACK,
		.id = s->request[0].id,
		.epoch = s->epoch,
		.n_peers = 1,
		.peers = {{.vip = {.b = {[10] = 0xff, 0xff, 10, 9, 9, vip}}, .key = {.b = {key}}}},
		.cursor = cursor,
		.has = UINT32_C(1) << OMNI_FIELD_CURSOR};
	uint8_t out[OMNI_CBOR_MAX];
	int len = omni_signal_encode(out, &m);

	assert_true(len > 0);
	if (s->request[0].type != OMNI_SIGNAL_LIST)
		return false;
	nc_answer(s, out, (size_t)len);
	return true;
}

static void endless_list_is_read_slowly(void **state)
{
	struct omni_signal_peer peer;
	struct nc_session *s;
	unsigned int pages = 0;

	(void)state;
	site_start(a);
	run_s(3);
	s = &a->ctl->nucleus->session[0];
	s->list_wanted = true;
	s->cursor = 0;
	nc_requests_tick(s, net.now_ns);
	while (pages < 10000 && page(s, pages + 1, 1, (uint8_t)(1 + pages % 2)))
		pages++;
	assert_in_range(pages, NC_ASKS_BURST / 2, NC_ASKS_BURST);
	/* An address has one holder, the last one named. */
	assert_int_equal(s->n_members, 1);
	assert_int_equal(s->by_vip.count, 1);
	peer.vip = TAILQ_FIRST(&s->members)->vip;
	peer.key = TAILQ_FIRST(&s->members)->key;
	peer.vip.b[15] = 2; /* it has another address now, and the old one is free */
	nc_member_listed(s, &peer);
	assert_int_equal(s->n_members, 1);
	assert_int_equal(s->by_vip.count, 1);
	nc_member_removed(s, &peer.vip);
	assert_int_equal(s->n_members, 0);
	assert_int_equal(s->by_vip.count, 0);
}

/* ---- The Nucleus comes and goes ---- */

static void nucleus_restart_is_noticed(void **state)
{
	(void)state;
	start_three();
	run_s(20);
	server_start(0xaa);
	run_s(38);
	assert_int_equal(members(), 3);
	assert_true(is_registered(a) && is_registered(b) && is_registered(c));
	run_s(60);
	assert_int_equal(session_of(a)->n_members, 2);
	assert_true(frame(a, b) && frame(c, a));
}

/* Who does not come back to a new Nucleus is forgotten after two leases, unless it is alive. */
static void unlisted_member_is_forgotten_late(void **state)
{
	const struct nc_session *s;

	(void)state;
	start_three();
	c->config.nucleus[0].port = 1;
	site_kill(c); /* silent; b and a still list it */
	server_start(0xaa);
	run_s(60);
	s = session_of(a);
	assert_true(s->registered);
	assert_int_equal(s->n_members, 2);
	run_s(2 * OMNI_LEASE_S + 10);
	assert_int_equal(session_of(a)->n_members, 1);
	assert_null(peer_of(a, c));
	assert_true(frame(a, b));
}

static void nucleus_gone_changes_nothing_for_peers(void **state)
{
	(void)state;
	start_three();
	server.up = false;
	for (unsigned int i = 0; i < 10; i++) {
		run_s(60);
		assert_true(frame(a, b) && frame(b, c) && frame(c, a));
	}
	assert_int_equal(session_of(a)->n_members, 2);
	assert_false(is_registered(a));
	assert_string_equal(nc_state(session_of(a)), "silent");
	assert_reason(a, "no answer from 192.0.2.1:51820 for ");
	assert_true(count_of(a, OMNI_STAT_ctl_nucleus_timeouts) > 0);
	server.up = true;
	run_s(10);
	assert_true(is_registered(a) && is_registered(b) && is_registered(c));
	assert_int_equal(members(), 3);
}

static void keys_are_renewed(void **state)
{
	(void)state;
	start_three();
	run_s(1200);
	assert_int_equal(members(), 3);
	assert_int_equal(counter(OMNI_NUCLEUS_lease_expired), 0);
	assert_int_equal(counter(OMNI_NUCLEUS_registered), 3);
	/* Three sessions, every 120 to 125 s. */
	assert_in_range(counter(OMNI_NUCLEUS_handshake), 3 * 10, 3 * 11);
	assert_int_equal(counter(OMNI_NUCLEUS_drop_key_expired), 0);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_nucleus_timeouts), 0);
}

static void losses_are_made_good(void **state)
{
	(void)state;
	server.lose_every = 4;
	site_start(a);
	site_start(b);
	run_s(20);
	for (unsigned int i = 0; i < 10; i++) {
		run_s(60);
		assert_true(frame(a, b) && frame(b, a));
	}
	assert_int_equal(members(), 2);
	assert_int_equal(counter(OMNI_NUCLEUS_lease_expired), 0);
	assert_int_equal(counter(OMNI_NUCLEUS_drop_tag), 0);
}

/* ---- Refusals ---- */

static void held_vip_is_refused_with_its_reason(void **state)
{
	(void)state;
	b->cluster.vip = a->cluster.vip;
	site_start(a);
	run_s(5);
	site_start(b);
	run_s(60);
	assert_true(is_registered(a));
	assert_false(is_registered(b));
	assert_string_equal(nc_state(session_of(b)), "refused");
	assert_reason(b, "refused by 192.0.2.1:51820: VIP 10.200.0.1 is held by ");
	assert_in_range(count_of(b, OMNI_STAT_ctl_nucleus_refused), 3, 5);
	assert_int_equal(members(), 1);
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	site_kill(a);
	run_s(17);
	assert_true(is_registered(b));
	assert_reason(b, "");
}

static void pinned_key_is_waited_for(void **state)
{
	struct omni_key seed = {.b = {0xbb}};
	struct omni_identity other;

	(void)state;
	omni_identity_from_seed(&other, &seed);
	a->config.nucleus[0].has_key = true;
	a->config.nucleus[0].key = other.dh.public;
	site_start(a);
	run_s(20);
	assert_false(is_registered(a));
	assert_string_equal(nc_state(session_of(a)), "wrong-key");
	assert_reason(a, "which is not the pinned one");
	assert_true(count_of(a, OMNI_STAT_ctl_nucleus_wrong_key) >= 3);
	assert_int_equal(counter(OMNI_NUCLEUS_handshake), 0);
	server_start(0xbb);
	run_s(12);
	assert_true(is_registered(a));
}

static void first_key_is_remembered_until_forgotten(void **state)
{
	char file[sizeof(a->config.identity) + 16];

	(void)state;
	snprintf(a->config.identity, sizeof(a->config.identity), "/tmp/omni_unit_%d.key",
		 (int)getpid());
	snprintf(file, sizeof(file), "%s.nucleus", a->config.identity);
	site_start(a);
	run_s(3);
	assert_true(is_registered(a));
	assert_int_equal(access(file, R_OK), 0);
	site_kill(a);
	server_start(0xbb); /* not the one that we know */
	site_start(a);
	run_s(20);
	assert_false(is_registered(a));
	assert_string_equal(nc_state(session_of(a)), "wrong-key");
	assert_int_equal(nc_pins_forget(a->ctl, "192.0.2.9:1"), 0);
	assert_int_equal(nc_pins_forget(a->ctl, SERVER ":51820"), 1);
	run_s(3);
	assert_true(is_registered(a));
	assert_int_equal(nc_pins_forget(a->ctl, NULL), 1);
	assert_int_equal(unlink(file), 0);
	snprintf(file, sizeof(file), "%s.clock", a->config.identity);
	assert_int_equal(unlink(file), 0);
}

/* ---- Addresses ---- */

static void seen_of_a(void *arg, const struct omni_nucleus_member *m)
{
	if (memcmp(m->key, &a->identity.dh.public, sizeof(*m->key)) == 0)
		*(struct omni_endpoint *)arg = *m->seen;
}

static void new_address_reaches_the_nucleus(void **state)
{
	struct omni_endpoint seen = {0};

	(void)state;
	start_three();
	assert_int_equal(omni_endpoint_parse(&a->address, "203.0.113.9:51820"), 0);
	ctl_nexthop_changed(a->ctl, NULL);
	ctl_nucleus_nexthop_changed(a->ctl, NULL);
	run_s(1);
	set_clock();
	omni_nucleus_foreach(nucleus, &now, seen_of_a, &seen);
	assert_true(omni_endpoint_equal(&seen, &a->address));
	run_s(8);
	assert_true(frame(a, b) && frame(c, a));
}

/* A neighbour that answers late costs no time. */
static void unknown_neighbour_is_waited_for(void **state)
{
	(void)state;
	a->no_neighbour = true;
	site_start(a);
	run_s(5);
	assert_string_equal(nc_state(session_of(a)), "unreachable");
	assert_reason(a, "the next hop towards 192.0.2.1:51820 does not answer");
	a->no_neighbour = false;
	ctl_nucleus_nexthop_changed(a->ctl, &server.at.ip);
	net_settle();
	assert_true(is_registered(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(members_find_each_other),
		T(restarted_gateway_finds_peers_soon),
		T(who_leaves_is_withdrawn),
		T(newcomer_is_found),
		T(long_list_is_read_in_pages),
		T(endless_list_is_read_slowly),
		T(nucleus_restart_is_noticed),
		T(unlisted_member_is_forgotten_late),
		T(nucleus_gone_changes_nothing_for_peers),
		T(keys_are_renewed),
		T(losses_are_made_good),
		T(held_vip_is_refused_with_its_reason),
		T(pinned_key_is_waited_for),
		T(first_key_is_remembered_until_forgotten),
		T(new_address_reaches_the_nucleus),
		T(unknown_neighbour_is_waited_for),
#undef T
	};

	return cmocka_run_group_tests_name("nucleus_client", tests, rig_setup, eal_teardown);
}
