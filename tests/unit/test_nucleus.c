/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni_keytree.h>

#include "nucleus_fixture.h"

static unsigned int query_vip(struct edge *e, const struct omni_ip *vip, struct omni_signal *m)
{
	struct omni_signal ask = {
		.type = OMNI_SIGNAL_QUERY_PEER, .has = 1U << OMNI_FIELD_VIP, .vip = *vip};

	return edge_ask(e, &ask, m);
}

static void bye(struct edge *e)
{
	struct omni_signal ask = {.type = OMNI_SIGNAL_BYE, .registration = e->registration}, m;

	assert_int_equal(edge_ask(e, &ask, &m), 0);
}

/* ---- The whole way of a client ---- */

static void members_find_each_other(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&red, 2);
	struct omni_signal ask = {.type = OMNI_SIGNAL_QUERY_PEER, .has = 1U << OMNI_FIELD_KEY}, m;
	struct omni_record_check check = {.cluster_id = &red.id, .now_s = START_S};
	struct omni_record rec;

	(void)state;
	assert_memory_equal(&a->nucleus, &identity.dh.public, OMNI_KEY_LEN);
	assert_int_equal(query_vip(a, &b->vip, &m), OMNI_SIGNAL_PEER_INFO);
	assert_true(m.found);
	assert_true(omni_endpoint_equal(&m.seen, &b->at));
	check.key = &b->identity.dh.public;
	assert_int_equal(omni_record_open(&rec, m.record, m.record_len, &check), OMNI_RECORD_OK);
	assert_true(omni_ip_equal(&rec.vip, &b->vip));
	ask.key = a->identity.dh.public;
	assert_int_equal(edge_ask(b, &ask, &m), OMNI_SIGNAL_PEER_INFO);
	assert_true(m.found && omni_endpoint_equal(&m.seen, &a->at));
	ask.key.b[0] ^= 1;
	assert_int_equal(edge_ask(b, &ask, &m), OMNI_SIGNAL_PEER_INFO);
	assert_false(m.found);
	assert_count(registered, 2);
	assert_count(handshake, 2);
	assert_int_equal(sizes().rooms, 1);
}

static void register_ack_says_all(void **state)
{
	uint8_t record[OMNI_RECORD_MAX];
	struct omni_signal ask = {.type = OMNI_SIGNAL_REGISTER, .record = record}, m;
	struct edge *e = join(&red, 3);

	(void)state;
	ask.record_len = edge_record(e, START_S, record);
	assert_int_equal(edge_ask(e, &ask, &m), OMNI_SIGNAL_REGISTER_ACK);
	assert_int_equal(m.result, OMNI_SIGNAL_OK);
	assert_true(omni_endpoint_equal(&m.seen, &e->at));
	assert_int_equal(m.lease_s, OMNI_LEASE_S);
	assert_int_equal(m.count, 1);
	assert_true(m.registration == e->registration);
	assert_true(m.epoch.instance == e->epoch.instance && m.epoch.counter == 1);
	assert_count(registered, 1);
}

static void clusters_do_not_see_each_other(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&blue, 2);
	struct omni_signal ask = {.type = OMNI_SIGNAL_LIST}, m;

	(void)state;
	assert_int_equal(query_vip(a, &b->vip, &m), OMNI_SIGNAL_PEER_INFO);
	assert_false(m.found);
	assert_int_equal(edge_ask(a, &ask, &m), OMNI_SIGNAL_LIST_ACK);
	assert_int_equal(m.n_peers, 1);
	assert_memory_equal(&m.peers[0].key, &a->identity.dh.public, OMNI_KEY_LEN);
	assert_int_equal(sizes().rooms, 2);
}

static void seen_address_follows_the_newest_message(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&red, 2);
	struct omni_endpoint old = b->at;
	struct omni_signal m;
	uint8_t late[OMNI_NUCLEUS_OUT_MAX];
	size_t late_len;

	(void)state;
	edge_seal(b, OMNI_KIND_KEEPALIVE, "", 0);
	late_len = b->last_len;
	memcpy(late, b->last, late_len);
	b->at.port++;
	edge_seal(b, OMNI_KIND_KEEPALIVE, "", 0);
	assert_int_equal(input(&b->at, b->last, b->last_len), 0);
	assert_int_equal(input(&old, late, late_len), 0);
	assert_count(keepalive, 2);
	assert_int_equal(query_vip(a, &b->vip, &m), OMNI_SIGNAL_PEER_INFO);
	assert_true(omni_endpoint_equal(&m.seen, &b->at));
}

static void rekey_keeps_the_registration(void **state)
{
	struct edge *e = join(&red, 1);
	struct omni_signal m;

	(void)state;
	for (int i = 0; i < 10; i++) {
		uint64_t registration = e->registration;

		wait_s(60);
		assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
		wait_s(60);
		assert_true(edge_hello(e));
		assert_int_equal(edge_handshake(e), OMNI_RESULT_ACCEPTED);
		assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
		assert_true(registration == e->registration);
	}
	assert_int_equal(sizes().sessions, 1);
	assert_in_range(sizes().keys, 1, 3);
	assert_count(lease_expired, 0);
}

static void keys_end_after_180_s(void **state)
{
	struct edge *e = join(&red, 1);
	struct omni_signal m;

	(void)state;
	for (int i = 0; i < 2; i++) {
		wait_s(60);
		assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	}
	now.boot_ns += 60 * OMNI_NS_PER_S;
	assert_int_equal(edge_heartbeat(e, &m), 0);
	assert_count(drop_key_expired, 1);
	omni_nucleus_tick(nucleus, &now);
	assert_int_equal(edge_heartbeat(e, &m), 0);
	assert_count(drop_session, 1);
	assert_int_equal(sizes().keys, 0);
	wait_s(120);
	assert_int_equal(sizes().sessions, 0);
}

static void unconfirmed_sessions_end_soon(void **state)
{
	struct edge *e = &edges[1];

	(void)state;
	edge_make(e, &red, 1);
	connect_edge(e);
	wait_s(9);
	assert_int_equal(sizes().sessions, 1);
	wait_s(1);
	assert_int_equal(sizes().sessions + sizes().keys, 0);
}

static void an_expired_record_serves_nobody(void **state)
{
	struct edge *e = &edges[1];
	uint8_t record[OMNI_RECORD_MAX];
	struct omni_signal m;

	(void)state;
	edge_make(e, &red, 1);
	connect_edge(e);
	assert_int_equal(
		edge_register_with(e, record, edge_record(e, START_S - OMNI_RECORD_LIFE_S, record)),
		OMNI_SIGNAL_OK);
	now.real_s = START_S + OMNI_RECORD_SKEW_S;
	assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	now.real_s++;
	assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_ERROR);
	assert_int_equal(m.code, OMNI_SIGNAL_E_UNREGISTERED);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_OK);
	assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
}

/* ---- Leases, deltas, lists ---- */

static void lease_ends_and_takes_the_room_along(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&red, 2);
	struct omni_signal m;

	(void)state;
	wait_s(OMNI_LEASE_S - 1);
	assert_int_equal(sizes().members, 2);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	wait_s(1);
	assert_int_equal(sizes().members, 1);
	assert_count(lease_expired, 1);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_int_equal(m.n_peers, 0);
	assert_int_equal(m.n_removed, 1);
	assert_true(omni_ip_equal(&m.removed[0], &b->vip));
	assert_int_equal(edge_heartbeat(b, &m), OMNI_SIGNAL_ERROR);
	assert_int_equal(m.code, OMNI_SIGNAL_E_UNREGISTERED);
	assert_count(error_unregistered, 1);
	wait_s(OMNI_LEASE_S);
	assert_int_equal(sizes().members, 0);
	assert_int_equal(sizes().rooms, 0);
}

static void delta_is_the_net_change(void **state)
{
	struct edge *a = join(&red, 1), *b, *c;
	struct omni_signal m;

	(void)state;
	b = join(&red, 2);
	c = join(&red, 3);
	bye(c);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_int_equal(m.n_peers, 1);
	assert_memory_equal(&m.peers[0].key, &b->identity.dh.public, OMNI_KEY_LEN);
	assert_int_equal(m.n_removed, 1); /* of one that a never heard of: harmless */
	assert_false(m.more || m.resync);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_int_equal(m.n_peers + m.n_removed, 0);
	/* b leaves, and another takes its address. */
	bye(b);
	edge_make(c, &red, 3);
	c->vip = b->vip;
	connect_edge(c);
	assert_int_equal(edge_register(c), OMNI_SIGNAL_OK);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_int_equal(m.n_removed, 0);
	assert_int_equal(m.n_peers, 1);
	assert_memory_equal(&m.peers[0].key, &c->identity.dh.public, OMNI_KEY_LEN);
	assert_count(left, 2);
}

static void member_moves_to_another_vip(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&red, 2);
	struct omni_ip old = b->vip;
	struct omni_signal m;

	(void)state;
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	b->vip = edges[3].vip = omni_ip_from_v4(__builtin_bswap32(0x0ac800ff));
	assert_int_equal(edge_register(b), OMNI_SIGNAL_OK);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_int_equal(m.n_peers, 1);
	assert_true(omni_ip_equal(&m.peers[0].vip, &b->vip));
	assert_int_equal(m.n_removed, 1);
	assert_true(omni_ip_equal(&m.removed[0], &old));
	assert_int_equal(query_vip(a, &old, &m), OMNI_SIGNAL_PEER_INFO);
	assert_false(m.found);
	assert_int_equal(sizes().members, 2);
}

static void epoch_of_another_instance_asks_for_a_resync(void **state)
{
	struct edge *e = join(&red, 1);
	struct omni_epoch good = e->epoch;
	struct omni_signal m;

	(void)state;
	e->epoch.instance ^= 1;
	assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_true(m.resync);
	assert_true(m.epoch.instance == good.instance);
	e->epoch.counter = good.counter + 1;
	assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_true(m.resync);
	/* A room that ended and began again is another instance. */
	bye(e);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_OK);
	assert_true(e->epoch.instance != good.instance);
}

/* Every edge in the list, each once. */
static void list_all(struct edge *e, size_t want)
{
	struct omni_signal ask = {.type = OMNI_SIGNAL_LIST}, m;
	bool seen[EDGES] = {false};
	size_t n = 0;

	do {
		assert_int_equal(edge_ask(e, &ask, &m), OMNI_SIGNAL_LIST_ACK);
		for (size_t i = 0; i < m.n_peers; i++) {
			size_t at = __builtin_bswap32(omni_ip_to_v4(&m.peers[i].vip)) & 0xffff;

			assert_true(at < EDGES && !seen[at]);
			assert_memory_equal(&m.peers[i].key, &edges[at].identity.dh.public,
					    OMNI_KEY_LEN);
			seen[at] = true;
			n++;
		}
		ask.cursor = m.cursor;
	} while (m.cursor != 0);
	assert_int_equal(n, want);
}

/* Deltas until none is left; returns the number of peers, *removed of removals. */
static size_t catch_up(struct edge *e, size_t *removed)
{
	struct omni_signal m;
	size_t peers = 0;

	*removed = 0;
	do {
		assert_int_equal(edge_heartbeat(e, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
		assert_false(m.resync);
		peers += m.n_peers;
		*removed += m.n_removed;
	} while (m.more);
	return peers;
}

static void a_thousand_members(void **state)
{
	struct edge *first;
	struct omni_signal m;
	size_t removed;

	(void)state;
	first = join(&red, 0);
	for (uint32_t i = 1; i < EDGES; i++) {
		now.boot_ns += OMNI_NS_PER_MS;
		join(&red, i);
		if (i % 100 == 0)
			assert_int_equal(catch_up(first, &removed), 100);
	}
	assert_int_equal(catch_up(first, &removed), EDGES - 1 - 900);
	list_all(first, EDGES);
	/* The steady state: what an edge and the Nucleus say to each other in a heartbeat. */
	(void)catch_up(&edges[1], &removed);
	assert_int_equal(edge_heartbeat(&edges[1], &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_in_range(edges[1].sent + edges[1].received, 1, 100);
	print_message("steady heartbeat: %zu + %zu bytes of CBOR\n", edges[1].sent,
		      edges[1].received);
	for (uint32_t i = 500; i < EDGES; i++)
		bye(&edges[i]);
	now.boot_ns += OMNI_NS_PER_S;
	list_all(first, 500);
	assert_int_equal(catch_up(first, &removed), 0);
	assert_int_equal(removed, 500);
	for (uint32_t i = 500; i < 600; i++)
		assert_int_equal(edge_register(&edges[i]), OMNI_SIGNAL_OK);
	list_all(first, 600);
	assert_int_equal(sizes().members, 600);
}

static void who_fell_too_far_behind_lists_again(void **state)
{
	struct edge *a = join(&red, 1), *b = join(&red, 2);
	struct omni_signal m;

	(void)state;
	for (int i = 0; i < 40; i++) {
		bye(b);
		assert_int_equal(edge_register(b), OMNI_SIGNAL_OK);
		now.boot_ns += OMNI_NS_PER_S / 10;
	}
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
	assert_true(m.resync);
	assert_int_equal(m.n_peers, 0);
}

/* ---- Refusals ---- */

static void vip_of_another_is_refused(void **state)
{
	struct edge *a = join(&red, 1), *b = &edges[2];

	(void)state;
	edge_make(b, &red, 2);
	b->vip = a->vip;
	connect_edge(b);
	assert_int_equal(edge_register(b), OMNI_SIGNAL_VIP_HELD);
	assert_count(refused_vip_held, 1);
	assert_int_equal(sizes().members, 1);
	bye(a);
	assert_int_equal(edge_register(b), OMNI_SIGNAL_OK);
	assert_int_equal(edge_register(a), OMNI_SIGNAL_VIP_HELD);
}

/* Whose key an address follows from gets it, from the only member of the room as well. */
static void a_derived_vip_is_its_keys(void **state)
{
	struct edge *a = join(&red, 1), *b = &edges[2];
	struct omni_signal m;

	(void)state;
	edge_make(b, &red, 2);
	b->vip = a->vip = omni_vip_auto(&b->identity.dh.public);
	now.real_s++;
	assert_int_equal(edge_register(a), OMNI_SIGNAL_OK);
	connect_edge(b);
	assert_int_equal(edge_register(b), OMNI_SIGNAL_OK);
	assert_int_equal(sizes().members, 1);
	assert_int_equal(edge_heartbeat(a, &m), OMNI_SIGNAL_ERROR);
	assert_int_equal(edge_register(a), OMNI_SIGNAL_VIP_HELD);
	assert_int_equal(edge_heartbeat(b, &m), OMNI_SIGNAL_HEARTBEAT_ACK);
}

static void bad_records_are_refused_by_name(void **state)
{
	struct edge *a = join(&red, 1), *b = &edges[2];
	uint8_t record[OMNI_RECORD_MAX];
	size_t len;

	(void)state;
	edge_make(b, &red, 2);
	connect_edge(b);
	len = edge_record(a, START_S, record);
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_BAD_RECORD);
	assert_count(refused_other_key, 1);
	len = edge_record(b, START_S, record);
	record[len - 1] ^= 1;
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_FORGED);
	assert_count(refused_forged_cluster, 1);
	record[len - 1] ^= 1;
	record[len - 100] ^= 1;
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_FORGED);
	assert_count(refused_forged_member, 1);
	len = edge_record(b, START_S - OMNI_RECORD_LIFE_S - OMNI_RECORD_SKEW_S - 1, record);
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_EXPIRED);
	assert_count(refused_expired, 1);
	len = edge_record(b, START_S + OMNI_RECORD_SKEW_S + 1, record);
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_EXPIRED);
	assert_count(refused_not_yet, 1);
	b->cluster = &blue;
	len = edge_record(b, START_S, record);
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_OTHER_CLUSTER);
	assert_count(refused_foreign, 1);
	assert_int_equal(edge_register_with(b, (const uint8_t *)"\x80", 1), OMNI_SIGNAL_BAD_RECORD);
	assert_count(refused_malformed, 1);
	b->cluster = &red;
	assert_int_equal(edge_register(b), OMNI_SIGNAL_OK);
	len = edge_record(b, START_S - 1, record);
	assert_int_equal(edge_register_with(b, record, len), OMNI_SIGNAL_OLDER);
	assert_count(refused_older, 1);
	assert_int_equal(sizes().members, 2);
}

static void only_allowed_clusters(void **state)
{
	struct edge *e = &edges[1];

	(void)state;
	start_with(NULL, &red.id, 1);
	join(&red, 2);
	edge_make(e, &blue, 1);
	assert_true(edge_hello(e));
	assert_int_equal(edge_handshake(e), OMNI_RESULT_DENIED);
	assert_count(handshake_denied, 1);
	assert_int_equal(sizes().sessions, 1);
}

static void limits_hold(void **state)
{
	struct omni_nucleus_limits limits;
	struct edge *e = &edges[5];

	(void)state;
	omni_nucleus_limits_default(&limits);
	limits.members_per_room = 2;
	start_with(&limits, NULL, 0);
	join(&red, 1);
	join(&red, 2);
	edge_make(e, &red, 5);
	connect_edge(e);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_FULL);
	assert_count(refused_full, 1);

	omni_nucleus_limits_default(&limits);
	limits.source_rooms = 1;
	start_with(&limits, NULL, 0);
	join(&red, 1);
	edge_make(e, &blue, 5);
	e->at.ip = edges[1].at.ip;
	connect_edge(e);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_FULL);
	bye(&edges[1]);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_OK);

	omni_nucleus_limits_default(&limits);
	limits.source_sessions = 1;
	start_with(&limits, NULL, 0);
	join(&red, 1);
	edge_make(e, &red, 5);
	/* Two addresses of one /56, and one of another. */
	assert_int_equal(omni_ip_parse(&e->at.ip, "2001:db8:0:1::1"), 0);
	connect_edge(e);
	edge_make(e, &red, 6);
	assert_int_equal(omni_ip_parse(&e->at.ip, "2001:db8:0:ff::1"), 0);
	assert_true(edge_hello(e));
	assert_int_equal(edge_handshake(e), OMNI_RESULT_FULL);
	assert_int_equal(omni_ip_parse(&e->at.ip, "2001:db8:0:100::1"), 0);
	connect_edge(e);
	assert_count(handshake_full, 1);

	omni_nucleus_limits_default(&limits);
	limits.key_sessions = 1;
	start_with(&limits, NULL, 0);
	join(&red, 1);
	edges[1].cluster = &blue;
	assert_int_equal(edge_handshake(&edges[1]), OMNI_RESULT_FULL);
}

static void sources_are_forgotten(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		join(i % 2 ? &red : &blue, i);
	wait_s(301);
	assert_int_equal(sizes().sessions + sizes().members + sizes().rooms + sizes().keys, 0);
	for (uint32_t i = 0; i < 20; i++)
		join(i % 2 ? &blue : &red, i);
	assert_int_equal(sizes().members, 20);
}

static void requests_are_limited(void **state)
{
	struct edge *e = join(&red, 1);
	unsigned int errors = 0;
	struct omni_signal m;

	(void)state;
	for (int i = 0; i < 600; i++) {
		unsigned int type = query_vip(e, &e->vip, &m);

		assert_true(type == OMNI_SIGNAL_PEER_INFO || type == OMNI_SIGNAL_ERROR);
		errors += type == OMNI_SIGNAL_ERROR;
	}
	assert_in_range(errors, 50, 150);
	assert_count(error_rate, errors);
}

/* The same record again costs no signature, and is not counted against the source. */
static void renewal_is_cheap(void **state)
{
	uint8_t record[OMNI_RECORD_MAX];
	struct edge *e = join(&red, 1);
	size_t len = edge_record(e, START_S, record);

	(void)state;
	for (int i = 0; i < 2000; i++) {
		now.boot_ns += 10 * OMNI_NS_PER_MS;
		assert_int_equal(edge_register_with(e, record, len), OMNI_SIGNAL_OK);
	}
	wait_s(OMNI_LEASE_S - 1);
	assert_int_equal(sizes().members, 1);
	assert_count(registered, 1);
	now.real_s = START_S + OMNI_RECORD_LIFE_S + OMNI_RECORD_SKEW_S + 1;
	assert_int_equal(edge_register_with(e, record, len), OMNI_SIGNAL_EXPIRED);
}

struct walk {
	unsigned int members;
	uint64_t lease_left_s;
};

static void visit(void *arg, const struct omni_nucleus_member *member)
{
	struct walk *w = arg;

	assert_memory_equal(member->cluster_id, &red.id, OMNI_KEY_LEN);
	assert_true(omni_endpoint_equal(member->seen, &edges[1].at) ||
		    omni_endpoint_equal(member->seen, &edges[2].at));
	w->members++;
	w->lease_left_s += member->lease_left_s;
}

static void members_can_be_walked(void **state)
{
	struct walk w = {0};

	(void)state;
	join(&red, 1);
	wait_s(10);
	join(&red, 2);
	omni_nucleus_foreach(nucleus, &now, visit, &w);
	assert_int_equal(w.members, 2);
	assert_int_equal(w.lease_left_s, 80 + 90 - 1); /* a label took a nanosecond */
}

static void malformed_requests_are_answered(void **state)
{
	struct omni_signal m, ask = {.type = OMNI_SIGNAL_LIST_ACK};
	struct edge *e = join(&red, 1);
	size_t len;

	(void)state;
	edge_seal(e, OMNI_KIND_CONTROL, "\xa0", 1);
	len = input(&e->at, e->last, e->last_len);
	assert_true(edge_open(e, len, &m));
	assert_int_equal(m.type, OMNI_SIGNAL_ERROR);
	assert_int_equal(m.code, OMNI_SIGNAL_E_MALFORMED);
	assert_int_equal(m.id, 0);
	assert_int_equal(edge_ask(e, &ask, &m), OMNI_SIGNAL_ERROR);
	assert_int_equal(m.code, OMNI_SIGNAL_E_UNEXPECTED);
	edge_seal(e, OMNI_KIND_FRAME, "frame", 5);
	assert_int_equal(input(&e->at, e->last, e->last_len), 0);
	assert_count(drop_kind, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(members_find_each_other),
		T(register_ack_says_all),
		T(clusters_do_not_see_each_other),
		T(seen_address_follows_the_newest_message),
		T(rekey_keeps_the_registration),
		T(keys_end_after_180_s),
		T(unconfirmed_sessions_end_soon),
		T(an_expired_record_serves_nobody),
		T(lease_ends_and_takes_the_room_along),
		T(delta_is_the_net_change),
		T(member_moves_to_another_vip),
		T(epoch_of_another_instance_asks_for_a_resync),
		T(a_thousand_members),
		T(who_fell_too_far_behind_lists_again),
		T(vip_of_another_is_refused),
		T(a_derived_vip_is_its_keys),
		T(bad_records_are_refused_by_name),
		T(only_allowed_clusters),
		T(limits_hold),
		T(sources_are_forgotten),
		T(requests_are_limited),
		T(renewal_is_cheap),
		T(members_can_be_walked),
		T(malformed_requests_are_answered),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
