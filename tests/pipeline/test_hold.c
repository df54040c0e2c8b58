/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets that wait for a key, a member or a neighbour: kept, tried again, given up. */
#include <unistd.h>

#include "packets.h"

static struct packet there(bool v6)
{
	return (struct packet){
		.v6 = v6, .from_site = 0, .from = 10, .to_site = 1, .to = 11, .len = 100};
}

static void in(struct rig *r, struct packet *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		p->seed = (uint8_t)i;
		packet_in(r, 0, 0, p);
	}
	rig_run(r);
}

static void expect(struct rig *r, unsigned int site, unsigned int local, struct packet *p,
		   unsigned int n, unsigned int hops)
{
	for (unsigned int i = 0; i < n; i++) {
		p->seed = (uint8_t)i;
		expect_packet(r, site, local, p, hops);
	}
	rig_expect_nothing(r->site[site].local[local]);
}

/* Deadlines are of the CPU's clock. */
static void pass_time(struct rig *r, unsigned int ms)
{
	uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;

	while (rte_rdtsc() < until)
		usleep(20000);
	rig_run(r);
}

/* No key: eight wait, control hears once, and they leave in order when it is there. */
static void for_a_key(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet p = there(false), q = there(true);
	struct omni_keypair *kp;

	join(r, NULL, NULL);
	kp = atomic_load(&s->peer[1]->tx);
	omni_peer_set_tx(s->peer[1], NULL);
	in(r, &p, 4);
	in(r, &q, 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 8);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WANT_KEY), 1);
	assert_int_equal(s->event[0].peer, s->peer[1]->index);
	rig_expect_nothing(r->site[1].local[0]);
	assert_true(omni_node_deadline(s->worker) > rte_rdtsc());
	assert_true(omni_node_deadline(s->worker) < rte_rdtsc() + rte_get_tsc_hz() / 100);
	/* Nothing happens before the version moves; then they are still in vain. */
	rig_run(r);
	omni_fib_touch(s->fib);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 0);
	assert_int_equal(rig_drops(r, 0), 0);
	omni_peer_set_tx(s->peer[1], kp);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 0);
	omni_fib_touch(s->fib);
	rig_run(r);
	for (unsigned int i = 0; i < 4; i++) {
		p.seed = (uint8_t)i;
		expect_packet(r, 1, 0, &p, 2);
	}
	expect(r, 1, 0, &q, 4, 2);
	assert_int_equal(omni_node_deadline(s->worker), 0);
}

/* An address of a cluster with a Nucleus: who it is, control finds out. */
static void for_a_member(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	const omni_dest ask = omni_dest_make(OMNI_DEST_ASK, 0, 0);

	join(r, NULL, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0);
		struct omni_ip ip;

		no_route_to(r, 0, v6 != 0 ? "fd00:1::/64" : "10.0.1.0/24");
		route_to(r, 0, v6 != 0 ? "fd00::/16" : "10.0.0.0/16", ask);
		rig_forget_events(r);
		in(r, &p, 9);
		assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_full), 1 + v6);
		assert_int_equal(rig_events(r, 0, OMNI_EVENT_WANT_ROUTE), 1);
		assert_int_equal(omni_ip_parse(&ip, v6 != 0 ? "fd00:1::b" : "10.0.1.11"), 0);
		assert_memory_equal(&s->event[0].from.ip, &ip, sizeof(ip));
		assert_int_equal(s->event[0].cluster, DOMAIN);
		allow(r, 0, 1);
		rig_run(r);
		expect(r, 1, 0, &p, 8, 2);
	}
}

/* A host on a port: control asks for its link address. Also for a packet of a peer. */
static void for_a_neighbour(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[1];

	join(r, NULL, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0);
		struct omni_ip ip;

		p.to = 77;
		rig_forget_events(r);
		in(r, &p, 8);
		assert_int_equal(rig_events(r, 1, OMNI_EVENT_WANT_NEIGHBOUR), 1);
		assert_int_equal(omni_ip_parse(&ip, v6 != 0 ? "fd00:1::4d" : "10.0.1.77"), 0);
		assert_memory_equal(&s->event[0].from.ip, &ip, sizeof(ip));
		assert_true(s->event[0].dest == port_dest(r, 1, 0));
		(void)add_host(r, 1, 0, v6 != 0, 77);
		rig_run(r);
		expect(r, 1, 0, &p, 8, 2);
	}
	assert_int_equal(rig_drops(r, 1), 0);
}

/* The same of a WireGuard peer, whose sessions have another kind of id. */
static void by_wireguard(void **state)
{
	static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};
	struct rig *r = *state;
	struct packet p = there(true);

	join(r, &wireguard, NULL);
	p.to = 77;
	in(r, &p, 8);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_WANT_NEIGHBOUR), 1);
	(void)add_host(r, 1, 0, true, 77);
	rig_run(r);
	expect(r, 1, 0, &p, 8, 2);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* The peer whose packet waits loses its key, or itself, meanwhile. */
static void the_sender_goes(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);
	struct omni_keypair *old[2];

	join(r, NULL, NULL);
	p.to = 77;
	in(r, &p, 4);
	rig_rekey(r, 0, 1, NULL, old);
	omni_fib_touch(r->site[1].fib);
	rig_run(r);
	assert_int_equal(rig_drops(r, 1), 0);
	rig_retire(r, 1, old[1]);
	rig_retire(r, 0, old[0]);
	rig_run(r);
	(void)add_host(r, 1, 0, false, 77);
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_no_session), 4);
	rig_expect_nothing(r->site[1].local[0]);
}

/* Send to another address than where the peer is; returns the way that led there. */
static struct omni_path *lead_astray(struct rig *r)
{
	struct site *s = &r->site[0];
	const struct omni_path *old = atomic_load(&s->peer[1]->path);
	struct omni_path *right = omni_path_copy(old, NULL), wrong = *old;
	struct omni_endpoint local;

	assert_non_null(right);
	omni_path_local(old, &local);
	omni_path_build(&wrong, old->hdr + 6, old->hdr, &local, &r->site[3].address);
	wrong.checksum = old->checksum;
	omni_peer_set_path(s->peer[1], omni_path_copy(&wrong, NULL), s->rcu);
	return right;
}

/* Site 0 calls site 1 from another address of its own. */
static void send_from_elsewhere(struct rig *r)
{
	struct site *s = &r->site[0];
	const struct omni_path *old = atomic_load(&s->peer[1]->path);
	struct omni_path moved = *old;

	omni_path_build(&moved, old->hdr + 6, old->hdr, &r->site[3].address, &old->remote);
	moved.checksum = old->checksum;
	omni_peer_set_path(s->peer[1], omni_path_copy(&moved, NULL), s->rcu);
}

/* As control does when it has acted. */
static void follow(struct site *s, unsigned int peer)
{
	omni_peer_unmark(s->peer[peer], OMNI_PEER_MOVES);
	omni_fib_touch(s->fib);
}

/*
 * A WireGuard peer called from elsewhere: what goes to it waits for control to follow it, for an
 * answer by the old way would call it back there. Once for a way, and not for long.
 */
static void for_a_way(void **state)
{
	static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet out_ = there(false);
	struct packet back = {.from_site = 1, .from = 11, .to_site = 0, .to = 10, .len = 100};
	struct omni_path *right;

	join(r, &wireguard, NULL);
	right = lead_astray(r);
	packet_in(r, 1, 0, &back);
	rig_run(r);
	expect_packet(r, 0, 0, &back, 2);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 1);
	in(r, &out_, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 0);
	omni_peer_set_path(s->peer[1], right, s->rcu);
	follow(s, 1);
	rig_run(r);
	expect_packet(r, 1, 0, &out_, 2);
	/* Control does not act: the time is over soon, and that way is not waited for again. */
	right = lead_astray(r);
	packet_in(r, 1, 0, &back);
	rig_run(r);
	expect_packet(r, 0, 0, &back, 2);
	in(r, &out_, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 2);
	pass_time(r, OMNI_ROAM_WAIT_MS + 5);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 2);
	packet_in(r, 1, 0, &back);
	rig_run(r);
	expect_packet(r, 0, 0, &back, 2);
	in(r, &out_, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 3);
	omni_peer_set_path(s->peer[1], right, s->rcu);
}

/* What another worker heard of it holds for all. */
static void as_another_worker_heard(void **state)
{
	static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};
	struct rig *r = *state;
	struct packet out = there(false);

	join(r, &wireguard, NULL);
	omni_peer_mark(r->site[0].peer[1], OMNI_PEER_MOVES);
	in(r, &out, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 0);
	follow(&r->site[0], 1);
	rig_run(r);
	expect_packet(r, 1, 0, &out, 2);
}

/* Its first data on a new key came: under the old one it may hear nothing any more. */
static void for_a_confirmed_key(void **state)
{
	static const struct link new_key = {.dialect = OMNI_DIALECT_WIREGUARD, .unconfirmed = true};
	struct rig *r = *state;
	struct site *s = &r->site[1];
	struct packet out = there(false);
	struct packet back = {.from_site = 1, .from = 11, .to_site = 0, .to = 10, .len = 100};

	join(r, &new_key, NULL);
	omni_peer_set_tx(r->site[0].peer[1], r->site[0].key[1]);
	omni_peer_set_tx(s->peer[0], s->key[0]);
	in(r, &out, 1);
	expect_packet(r, 1, 0, &out, 2);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_CONFIRM), 1);
	packet_in(r, 1, 0, &back);
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_held), 1);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_sealed), 0);
	follow(s, 0);
	rig_run(r);
	expect_packet(r, 0, 0, &back, 2);
	/* By that key and way it moves later: another wait. */
	send_from_elsewhere(r);
	in(r, &out, 1);
	expect_packet(r, 1, 0, &out, 2);
	packet_in(r, 1, 0, &back);
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_held), 2);
	follow(s, 0);
	rig_run(r);
	expect_packet(r, 0, 0, &back, 2);
}

/* What TCP sends at once to a peer without a key, beside as many strangers as there may be. */
static void a_burst_for_a_key(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet p = there(false);
	struct omni_keypair *kp;

	join(r, NULL, NULL);
	kp = atomic_load(&s->peer[1]->tx);
	omni_peer_set_tx(s->peer[1], NULL);
	for (unsigned int i = 0; i < OMNI_HOLD_PEER_MAX + 3; i++) {
		p.seed = (uint8_t)i;
		packet_in(r, 0, 0, &p);
		rig_run(r);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), OMNI_HOLD_PEER_MAX);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_full), 3);
	omni_peer_set_tx(s->peer[1], kp);
	omni_fib_touch(s->fib);
	rig_run(r);
	expect(r, 1, 0, &p, OMNI_HOLD_PEER_MAX, 2);
	rig_expect_nothing(r->site[1].local[0]);
}

/* However many destinations: bounded, and peers keep their part. */
static void bounds(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet p = there(false);
	struct omni_keypair *kp;
	struct rte_mbuf *m;

	join(r, NULL, NULL);
	route_to(r, 0, "10.7.0.0/16", omni_dest_make(OMNI_DEST_ASK, 0, 0));
	for (unsigned int i = 0; i < 1000; i++) {
		uint8_t to[4] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i};

		p.dst = to;
		packet_in(r, 0, 0, &p);
		rig_run(r);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), OMNI_HOLD_STRANGERS_MAX);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_full), 1000 - OMNI_HOLD_STRANGERS_MAX);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WANT_ROUTE), OMNI_HOLD_STRANGERS_MAX);
	kp = atomic_load(&s->peer[1]->tx);
	omni_peer_set_tx(s->peer[1], NULL);
	p.dst = NULL;
	in(r, &p, 8);
	omni_peer_set_tx(s->peer[1], kp);
	omni_fib_touch(s->fib);
	rig_run(r);
	expect(r, 1, 0, &p, 8, 2);
	assert_int_equal(rig_drops(r, 0), 1000 - OMNI_HOLD_STRANGERS_MAX);
	/* Their route says no at last: each sender hears so, up to the limit. */
	route_to(r, 0, "10.7.0.0/16", omni_dest_make(OMNI_DEST_REJECT, 0, 0));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_rejected), OMNI_HOLD_STRANGERS_MAX);
	while ((m = rig_out(s->local[0])) != NULL)
		rte_pktmbuf_free(m);
}

/* A peer that has no address until it calls: the sender hears so at once. */
static void for_nothing(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet p = there(false);
	unsigned int len;
	const uint8_t *ip;

	join(r, NULL, NULL);
	omni_peer_set_tx(s->peer[1], NULL);
	omni_peer_mark(s->peer[1], OMNI_PEER_UNREACHABLE);
	in(r, &p, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_path), 1);
	ip = take_packet(s->local[0], &len);
	assert_non_null(ip);
	assert_memory_equal(ip + 20, ((const uint8_t[]){3, 1}), 2);
	omni_peer_unmark(s->peer[1], OMNI_PEER_UNREACHABLE);
	in(r, &p, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 1);
}

/* In vain: host unreachable, once the time is over; not about whom control does not ask for. */
static void timeouts(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	unsigned int len;
	const uint8_t *ip;

	join(r, NULL, NULL);
	omni_peer_set_tx(s->peer[1], NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0);

		in(r, &p, 2);
		p.to_site = 0;
		p.to = 255;
		in(r, &p, 1);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 6);
	pass_time(r, OMNI_HOLD_TIMEOUT_MS - 1000);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 0);
	/* Trying again does not make it young. */
	omni_fib_touch(s->fib);
	rig_run(r);
	pass_time(r, 1100);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 4);
	for (unsigned int i = 0; i < 4; i++) {
		ip = take_packet(s->local[0], &len);
		assert_non_null(ip);
		if (ip[0] >> 4 == 4)
			assert_memory_equal(ip + 20, ((const uint8_t[]){3, 1}), 2);
		else
			assert_memory_equal(ip + 40, ((const uint8_t[]){1, 3}), 2);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_timeout), 2);
}

/*
 * The last ones to a peer stay when their senders were told: they leave when it answers after all.
 * Control is not asked for their sake, and they take no place of others'.
 */
static void the_last_ones_stay(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct packet p = there(false);
	struct omni_keypair *kp;
	struct rte_mbuf *m;
	unsigned int told = 0;

	join(r, NULL, NULL);
	kp = atomic_load(&s->peer[1]->tx);
	omni_peer_set_tx(s->peer[1], NULL);
	in(r, &p, OMNI_HOLD_DEST_MAX);
	pass_time(r, OMNI_HOLD_TIMEOUT_MS + 100);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), OMNI_HOLD_DEST_MAX);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_timeout),
			 OMNI_HOLD_DEST_MAX - OMNI_HOLD_LATE_DEST_MAX);
	for (; (m = rig_out(s->local[0])) != NULL; told++)
		rte_pktmbuf_free(m);
	assert_int_equal(told, OMNI_HOLD_DEST_MAX);
	assert_true(omni_node_deadline(s->worker) > rte_rdtsc() + rte_get_tsc_hz() / 100);
	rig_forget_events(r);
	omni_fib_touch(s->fib);
	rig_run(r);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WANT_KEY), 0);
	in(r, &p, OMNI_HOLD_DEST_MAX);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_full), 0);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WANT_KEY), 1);
	omni_peer_set_tx(s->peer[1], kp);
	omni_fib_touch(s->fib);
	rig_run(r);
	for (unsigned int i = OMNI_HOLD_LATE_DEST_MAX; i < OMNI_HOLD_DEST_MAX; i++) {
		p.seed = (uint8_t)i;
		expect_packet(r, 1, 0, &p, 2);
	}
	expect(r, 1, 0, &p, OMNI_HOLD_DEST_MAX, 2);
	assert_int_equal(omni_node_deadline(s->worker), 0);
}

/* What is still held goes with the worker: fresh and late. */
static void an_end_with_packets(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);

	join(r, NULL, NULL);
	omni_peer_set_tx(r->site[0].peer[1], NULL);
	in(r, &p, 3);
	pass_time(r, OMNI_HOLD_TIMEOUT_MS + 100);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 3);
	in(r, &p, 3);
}

/* An answer of ours waits too, and nobody is told of its end. */
static void our_own(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);

	join(r, NULL, NULL);
	p.from = 99; /* a neighbour that is not known */
	p.ttl = 1;
	in(r, &p, 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 1);
	pass_time(r, OMNI_HOLD_TIMEOUT_MS + 100);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_held_timeout), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 1);
	in(r, &p, 1);
	(void)add_host(r, 0, 0, false, 99);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_local_tx), 1);
	rte_pktmbuf_free(rig_out(r->site[0].local[0]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(for_a_key),
		TEST(for_a_member),
		TEST(for_a_neighbour),
		TEST(the_sender_goes),
		TEST(by_wireguard),
		TEST(a_burst_for_a_key),
		TEST(bounds),
		TEST(for_a_way),
		TEST(as_another_worker_heard),
		TEST(for_a_confirmed_key),
		TEST(for_nothing),
		TEST(timeouts),
		TEST(our_own),
		TEST(the_last_ones_stay),
		TEST(an_end_with_packets),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
