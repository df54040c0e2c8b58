/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Several workers on one set of tables, driven one turn after the other: who claims a lane, what
 * is handed to whom, in which order, and what happens to what was handed when its key is gone.
 */
#include <poll.h>

#include "rig.h"
#include "worker.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* Site 0 with several workers and queues, connected to site 1; hosts 11 and 22 are known. */
static struct site *several(struct rig *r, unsigned int workers, uint16_t lanes)
{
	const struct link link = {.lanes = lanes};
	struct site *a = &r->site[0];

	rig_connect(r, 0, 1, &link);
	rig_introduce(r, a->local[0], 11, r->site[1].local[0], 22);
	rig_set_workers(r, 0, workers);
	rig_set_queues(a->uplink, (uint16_t)workers, 0);
	rig_set_queues(a->local[0], (uint16_t)workers, 0);
	for (unsigned int i = 0; i < lanes; i++)
		atomic_store(&a->key[1]->rx[i].owner, OMNI_NO_OWNER);
	return a;
}

/* A frame of host 22 to host 11, told apart by its seed. */
static struct rte_mbuf *sealed(struct rig *r, const struct forge *f, uint8_t seed)
{
	struct rte_mbuf *plain = rig_frame(r, 11, 22, 60, seed), *m;

	m = rig_sealed(r, 1, 0, f, rte_pktmbuf_mtod(plain, void *), 60);
	rte_pktmbuf_free(plain);
	return m;
}

/* Sequence 0 of lane 1 went when the hosts were introduced. */
static struct rte_mbuf *on_lane(struct rig *r, uint16_t lane, uint64_t number)
{
	return sealed(r, &(struct forge){.lane = lane, .sequence = number + 1}, (uint8_t)number);
}

static unsigned int owner_of(const struct site *a, uint16_t lane)
{
	return atomic_load(&a->key[1]->rx[lane].owner);
}

static void first_to_authenticate_owns(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	rig_in_queue(a->uplink, 1, on_lane(r, 1, 100));
	rig_run(r);
	assert_int_equal(owner_of(a, 1), 2);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_opened), 1);
	rig_expect(a->local[0], 11, 22, 60, 100);
	/* The other lane, from the other side. */
	rig_in_queue(a->uplink, 0, on_lane(r, 2, 200));
	rig_run(r);
	assert_int_equal(owner_of(a, 2), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_handed_datagrams), 0);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void others_hand_over(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	rig_in_queue(a->uplink, 1, on_lane(r, 1, 100));
	rig_turn_of(r, 0, 1);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 101));
	rig_turn_of(r, 0, 0);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_handed_datagrams), 1);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_opened), 0);
	assert_int_equal(a->key[1]->rx[1].window.top, 101);
	rig_turn_of(r, 0, 1);
	assert_int_equal(a->key[1]->rx[1].window.top, 102);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_opened), 2);
	/* It went out where its owner has a queue. */
	for (unsigned int i = 100; i < 102; i++) {
		struct rte_mbuf *m = rig_out_queue(a->local[0], 1);

		rig_assert_frame(m, 11, 22, 60, (uint8_t)i);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig_drops(r, 0), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_rx), 2);
	assert_true(a->stats[0].stage[OMNI_STAGE_hand_off].frames == 1);
	assert_true(a->stats[1].stage[OMNI_STAGE_hand_off].frames == 1);
}

/* A copy, a forgery and a lane beyond the grant: the owner says no, or nobody is asked. */
static void owner_still_checks(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	struct rte_mbuf *bad;

	rig_in_queue(a->uplink, 1, on_lane(r, 1, 100));
	rig_run(r);
	rig_expect(a->local[0], 11, 22, 60, 100);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 100));
	rig_run(r);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_drop_replayed), 1);
	bad = on_lane(r, 1, 101);
	*rte_pktmbuf_mtod_offset(bad, uint8_t *, 42 + 40) ^= 1;
	rig_in_queue(a->uplink, 0, bad);
	rig_run(r);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_drop_bad_tag), 1);
	rig_in_queue(a->uplink, 0, on_lane(r, 3, 0));
	rig_run(r);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_drop_bad_lane), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_handed_datagrams), 2);
	assert_int_equal(rig_drops(r, 0), 3);
	rig_expect_nothing(a->local[0]);
}

/* Both find the lane unowned and open a datagram; one claims it, the other drops its own. */
static void race_for_a_lane(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	struct omni_worker *w = a->worker_of[0];
	struct rte_mbuf *m = on_lane(r, 1, 100);
	unsigned int n;

	w->rx.port = a->uplink;
	*omni_meta(m) = (struct omni_meta){.port = a->uplink->id, .cluster = OMNI_BRIDGE_NONE};
	n = omni_node_classify(w, &m, 1);
	n = omni_node_decap_prepare(w, &m, n);
	n = omni_node_open(w, &m, n);
	assert_int_equal(n, 1);
	rig_in_queue(a->uplink, 1, on_lane(r, 1, 101));
	rig_turn_of(r, 0, 1);
	assert_int_equal(owner_of(a, 1), 2);
	assert_int_equal(omni_node_decap_commit(w, &m, n), 0);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_drop_lane_owner), 1);
	assert_int_equal(owner_of(a, 1), 2);
	omni_node_drop_flush(w);
	rig_expect(a->local[0], 11, 22, 60, 101);
	/* From now on it hands over. */
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 102));
	rig_run(r);
	rig_expect(a->local[0], 11, 22, 60, 102);
	assert_int_equal(rig_drops(r, 0), 1);
}

static void handed_once(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	atomic_store(&a->key[1]->rx[1].owner, 2);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 100));
	rig_turn_of(r, 0, 0);
	atomic_store(&a->key[1]->rx[1].owner, 1);
	rig_turn_of(r, 0, 1);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_drop_lane_owner), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_handed_datagrams), 1);
	assert_int_equal(rig_drops(r, 0), 1);
}

/* The key is gone when the owner looks: what waits holds no pointer to it. */
static void key_gone_in_the_inbox(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	struct omni_keypair *kp = a->key[1];

	atomic_store(&kp->rx[1].owner, 2);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 100));
	rig_turn_of(r, 0, 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_handed_datagrams), 1);
	omni_peer_set_tx(a->peer[1], NULL);
	omni_sessions_release(a->sessions, kp->local_id);
	a->key[1] = NULL;
	omni_keypair_free(kp);
	rig_turn_of(r, 0, 1);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_drop_no_session), 1);
	assert_int_equal(rig_drops(r, 0), 1);
}

/* A key that follows is claimed afresh; the old one stays with its owner. */
static void rekeyed(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	struct omni_keypair *mine = a->key[1], *theirs = r->site[1].key[0];

	atomic_store(&mine->rx[1].owner, 2);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 100));
	rig_turn_of(r, 0, 0);
	rig_connect(r, 0, 1, &(struct link){.lanes = 3});
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 0));
	rig_turn_of(r, 0, 0);
	assert_int_equal(owner_of(a, 1), 1);
	assert_int_equal(atomic_load(&mine->rx[1].owner), 2);
	rig_turn_of(r, 0, 1);
	assert_int_equal(mine->rx[1].window.top, 101);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 2);
	assert_int_equal(rig_drops(r, 0), 0);
	omni_sessions_release(a->sessions, mine->local_id);
	omni_sessions_release(r->site[1].sessions, theirs->local_id);
	omni_keypair_free(mine);
	omni_keypair_free(theirs);
}

/* A flow over a lane of another worker, of bursts of all sizes: nothing overtakes. */
static void handed_in_order(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 3, 3);
	unsigned int sent = 0, got = 0, burst = 1;
	struct rte_mbuf *m;

	atomic_store(&a->key[1]->rx[1].owner, 3);
	while (sent < 1500) {
		for (unsigned int i = 0; i < burst; i++, sent++)
			rig_in_queue(a->uplink, 0, on_lane(r, 1, sent));
		rig_turn_of(r, 0, 0);
		if (burst % 3 == 0)
			rig_turn_of(r, 0, 2);
		burst = burst % 61 + 7;
	}
	rig_run(r);
	while ((m = rig_out_queue(a->local[0], 2)) != NULL) {
		rig_assert_frame(m, 11, 22, 60, (uint8_t)got++);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(got, sent);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_handed_datagrams), sent);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void full_inbox(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	const unsigned int more = 100;
	struct rte_mbuf *m;
	unsigned int n = 0;

	atomic_store(&a->key[1]->rx[1].owner, 2);
	for (unsigned int i = 0; i < OMNI_INBOX_SIZE + more; i++) {
		rig_in_queue(a->uplink, 0, on_lane(r, 1, i));
		rig_turn_of(r, 0, 0);
	}
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_handed_datagrams), OMNI_INBOX_SIZE);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_drop_inbox_full), more);
	rig_run(r);
	while ((m = rig_out(a->local[0])) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	assert_int_equal(n, OMNI_INBOX_SIZE);
	assert_int_equal(rig_drops(r, 0), more);
}

/* What still lies in an inbox at the end goes back to the pool: the rig looks. */
static void left_in_the_inbox(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	atomic_store(&a->key[1]->rx[1].owner, 2);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 1));
	rig_turn_of(r, 0, 0);
	assert_int_equal(rte_ring_count(a->xrings[1]->inbox), 1);
}

static void bell_wakes_a_sleeper(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);
	struct pollfd bell = {.fd = a->xrings[1]->to_worker, .events = POLLIN};

	atomic_store(&a->key[1]->rx[1].owner, 2);
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 1));
	rig_turn_of(r, 0, 0);
	assert_int_equal(poll(&bell, 1, 0), 0);
	assert_false(omni_xring_may_sleep(a->xrings[1]));
	omni_xring_awake(a->xrings[1]);
	rig_run(r);
	assert_true(omni_xring_may_sleep(a->xrings[1]));
	rig_in_queue(a->uplink, 0, on_lane(r, 1, 2));
	rig_turn_of(r, 0, 0);
	assert_int_equal(poll(&bell, 1, 0), 1);
	omni_xring_awake(a->xrings[1]);
}

/* Fragments come together at the lane's owner, whichever queue they came in on. */
static void fragments_through_an_inbox(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3), *b = &r->site[1];
	struct rte_mbuf *m;
	unsigned int n = 0;

	atomic_store(&a->key[1]->rx[1].owner, 2);
	r->unplugged = true;
	for (uint8_t i = 0; i < 10; i++)
		rig_in(b->local[0], rig_frame(r, 11, 22, (uint16_t)(4000 + 100 * i), i));
	rig_run(r);
	while ((m = rig_out(b->uplink)) != NULL)
		rig_in_queue(a->uplink, n++ % 2, m);
	assert_true(n >= 30);
	rig_run(r);
	for (uint8_t i = 0; i < 10; i++)
		rig_expect(a->local[0], 11, 22, (uint16_t)(4000 + 100 * i), i);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_reassembled), 10);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_handed_datagrams), (n + 1) / 2);
	assert_int_equal(rig_drops(r, 0), 0);
}

/* Each worker sends on the lane after its own number, whichever worker sends the datagram. */
static void a_lane_for_each_worker(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 3, 4), *b = &r->site[1];

	rig_set_queues(a->uplink, 1, 0);
	for (uint16_t queue = 0; queue < 3; queue++)
		for (unsigned int i = 0; i <= queue; i++)
			rig_in_queue(a->local[0], queue, rig_frame(r, 22, 11, 60, (uint8_t)queue));
	rig_run(r);
	for (uint16_t queue = 0; queue < 3; queue++) {
		assert_int_equal(a->key[1]->tx[1 + queue].frames, queue + 1 + (queue == 0));
		assert_int_equal(b->key[0]->rx[1 + queue].frames, queue + 1 + (queue == 0));
	}
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_uplink_tx), 6);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_handed_frames), 0);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_handed_frames), 2);
	assert_int_equal(rig_count_of(r, 0, 2, OMNI_STAT_handed_frames), 3);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	for (unsigned int i = 0; i < 6; i++) {
		struct rte_mbuf *m = rig_out(b->local[0]);

		assert_non_null(m);
		rte_pktmbuf_free(m);
	}
}

static struct omni_path *path_of(const struct site *s, unsigned int other)
{
	return atomic_load(&s->peer[other]->path);
}

static void publish(struct site *s, unsigned int other, const struct omni_lane_ports *ports)
{
	struct omni_path *path = omni_path_copy(path_of(s, other), ports);

	assert_non_null(path);
	omni_peer_set_path(s->peer[other], path, s->rcu);
}

/* Lanes that a's path has ports for, and the ports that b's path knows lanes 1 and 3 to come from.
 */
static void set_ports(struct rig *r, uint64_t own, uint16_t far1, uint16_t far3)
{
	const struct omni_lane_ports ours = {.own = own};
	const struct omni_lane_ports theirs = {.far = {[1] = far1, [3] = far3}};

	publish(&r->site[0], 1, &ours);
	publish(&r->site[1], 0, &theirs);
}

/* The UDP source port of what that worker of a sends next; b gets it. */
static unsigned int source_port(struct rig *r, uint16_t worker)
{
	struct site *a = &r->site[0], *b = &r->site[1];
	struct rte_mbuf *m;
	unsigned int port;
	uint8_t *hdr;

	r->unplugged = true;
	rig_in_queue(a->local[0], worker, rig_frame(r, 22, 11, 60, (uint8_t)worker));
	rig_run(r);
	m = rig_out_queue(a->uplink, worker);
	assert_non_null(m);
	hdr = rte_pktmbuf_mtod(m, uint8_t *);
	port = omni_load_be16(hdr + path_of(a, 1)->hdr_len - OMNI_UDP_HDR_LEN);
	if (path_of(a, 1)->v6) {
		uint8_t copy[256];

		assert_true(m->data_len <= sizeof(copy));
		memcpy(copy, hdr, m->data_len);
		memset(copy + OMNI_OUTER_HDR_MAX - 2, 0, 2);
		omni_path_checksum(path_of(a, 1), copy,
				   (uint16_t)(m->data_len - OMNI_OUTER_HDR_MAX));
		assert_memory_equal(copy, hdr, m->data_len);
	}
	rig_in(b->uplink, m);
	rig_run(r);
	rig_expect(b->local[0], 22, 11, 60, (uint8_t)worker);
	return port;
}

/* A lane leaves from its worker's port where the path has it, else from the main one. */
static void lanes_leave_from_their_ports(void **state)
{
	struct rig *r = *state;

	(void)several(r, 3, 4);
	assert_int_equal(source_port(r, 0), UDP_PORT);
	set_ports(r, 1 << 1 | 1 << 3, 0, 0);
	rig_forget_events(r);
	assert_int_equal(source_port(r, 0), LANE_PORT);
	assert_int_equal(source_port(r, 1), UDP_PORT);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_ROAM), 1);
	assert_int_equal(r->site[1].event[0].lane, 1);
	assert_int_equal(source_port(r, 2), LANE_PORT + 2);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_ROAM), 2);
	/* Where the path knows them, they are nothing new; another lane's port is. */
	set_ports(r, 1 << 1 | 1 << 2 | 1 << 3, LANE_PORT, LANE_PORT + 2);
	assert_int_equal(source_port(r, 0), LANE_PORT);
	assert_int_equal(source_port(r, 2), LANE_PORT + 2);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_ROAM), 2);
	assert_int_equal(source_port(r, 1), LANE_PORT + 1);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_ROAM), 3);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

static void lanes_leave_from_their_ports_over_ipv6(void **state)
{
	const struct link link = {.v6 = true};
	struct rig *r = *state;
	struct site *a = &r->site[0];

	rig_connect(r, 0, 1, &link);
	rig_introduce(r, a->local[0], 11, r->site[1].local[0], 22);
	set_ports(r, 1 << 1, 0, 0);
	assert_int_equal(source_port(r, 0), LANE_PORT);
}

/* What two workers send on is no lane of either. */
static void a_shared_lane_leaves_from_the_main_port(void **state)
{
	struct rig *r = *state;

	(void)several(r, 3, 3);
	set_ports(r, 1 << 1 | 1 << 2, 0, 0);
	assert_int_equal(source_port(r, 0), LANE_PORT);
	assert_int_equal(source_port(r, 1), UDP_PORT);
	assert_int_equal(source_port(r, 2), UDP_PORT);
}

/* Datagrams to the port of any lane are taken, those to other ports are not. */
static void lane_ports_are_ours(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	for (uint16_t i = 0; i < 3; i++) {
		struct rte_mbuf *m = on_lane(r, 1, i);

		omni_store_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, 36),
				(uint16_t)(LANE_PORT + i));
		rig_in(a->uplink, m);
	}
	rig_run(r);
	rig_expect(a->local[0], 11, 22, 60, 0);
	rig_expect(a->local[0], 11, 22, 60, 1);
	rig_expect_nothing(a->local[0]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_not_ours), 1);
}

/* A port of one queue is served by one worker; frames of the others reach it in order. */
static void port_of_one_queue(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 3, 4);
	unsigned int seed = 0;
	struct rte_mbuf *m;

	rig_set_queues(a->local[0], 1, 2);
	for (unsigned int i = 0; i < 300; i++) {
		rig_in_queue(a->uplink, 1, on_lane(r, 1, i));
		if (i % 50 == 49)
			rig_run(r);
	}
	while ((m = rig_out_queue(a->local[0], 0)) != NULL) {
		rig_assert_frame(m, 11, 22, 60, (uint8_t)seed++);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(seed, 300);
	assert_int_equal(rig_count_of(r, 0, 2, OMNI_STAT_local_tx), 300);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_handed_frames), 300);
	/* What comes in there is that worker's. */
	rig_in_queue(a->local[0], 0, rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count_of(r, 0, 2, OMNI_STAT_local_rx), 1);
	assert_int_equal(rig_drops(r, 0), 0);
	rig_expect(r->site[1].local[0], 22, 11, 60, 1);
}

/* Everybody has something to do: queues of ports go round among the workers. */
static void queues_are_shared_out(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 3, 4);
	struct omni_node_queue q[OMNI_PORTS_MAX];

	rig_set_queues(a->uplink, 2, 0);
	rig_set_queues(a->local[0], 2, 2);
	rig_set_queues(a->local[1], 1, 1);
	rig_set_queues(a->local[2], 3, 0);
	assert_int_equal(omni_node_queues(a->worker_of[0], q, OMNI_PORTS_MAX), 3);
	assert_ptr_equal(q[0].port, a->uplink);
	assert_int_equal(q[0].queue, 0);
	assert_ptr_equal(q[1].port, a->local[0]);
	assert_int_equal(q[1].queue, 1);
	assert_int_equal(omni_node_queues(a->worker_of[1], q, OMNI_PORTS_MAX), 3);
	assert_ptr_equal(q[1].port, a->local[1]);
	assert_int_equal(q[1].queue, 0);
	assert_int_equal(omni_node_queues(a->worker_of[2], q, OMNI_PORTS_MAX), 2);
	assert_ptr_equal(q[0].port, a->local[0]);
	assert_int_equal(q[0].queue, 0);
	assert_int_equal(q[1].queue, 2);
}

static void port_gone_in_the_inbox(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	rig_set_queues(a->local[0], 1, 0);
	rig_in_queue(a->uplink, 1, on_lane(r, 1, 1));
	rig_turn_of(r, 0, 1);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_handed_frames), 1);
	omni_port_unpublish(&a->ports, a->local[0]);
	rig_turn_of(r, 0, 0);
	assert_int_equal(rig_count_of(r, 0, 0, OMNI_STAT_drop_port_gone), 1);
	omni_port_publish(&a->ports, a->local[0]);
}

/* A flooded frame reaches ports of which its worker has no queue. */
static void flood_to_ports_of_others(void **state)
{
	struct rig *r = *state;
	struct site *a = several(r, 2, 3);

	for (unsigned int i = 0; i < LOCALS; i++)
		rig_set_queues(a->local[i], 1, (uint16_t)(i % 2));
	rig_in(a->local[1], rig_frame(r, 0, 12, 60, 9));
	rig_run(r);
	rig_expect(a->local[0], 0, 12, 60, 9);
	rig_expect(a->local[2], 0, 12, 60, 9);
	rig_expect_nothing(a->local[1]);
	rig_expect(r->site[1].local[0], 0, 12, 60, 9);
	assert_int_equal(rig_count_of(r, 0, 1, OMNI_STAT_handed_frames), 2);
	assert_int_equal(rig_drops(r, 0), 0);
}

/* Fewer lanes than workers: some share the last one, and no nonce comes twice. */
static void share_a_lane(struct rig *r, unsigned int workers, uint16_t lanes)
{
	struct site *a = several(r, workers, lanes), *b = &r->site[1];
	const unsigned int each = 100;
	uint64_t frames = 0;
	struct rte_mbuf *m;

	for (unsigned int i = 0; i < each; i++)
		for (uint16_t w = 0; w < workers; w++)
			rig_in_queue(a->local[0], w,
				     rig_frame(r, 22, 11, i % 2 == 0 ? 60 : 1514, 1));
	rig_run(r);
	for (uint16_t lane = 1; lane < lanes; lane++)
		frames += a->key[1]->tx[lane].frames;
	/* One was sent when the hosts were introduced, and a long frame goes in two. */
	assert_int_equal(frames, 1 + each * workers * 3 / 2);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_opened), each * workers * 3 / 2);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_reassembled), each / 2 * workers);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	for (frames = 0; (m = rig_out(b->local[0])) != NULL; frames++)
		rte_pktmbuf_free(m);
	assert_int_equal(frames, each * workers);
}

static void two_share_a_lane(void **state)
{
	share_a_lane(*state, 2, 2);
}

static void seven_share_two_lanes(void **state)
{
	share_a_lane(*state, 7, 3);
}

static void seven_with_a_lane_each(void **state)
{
	share_a_lane(*state, 7, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_to_authenticate_owns),
		TEST(others_hand_over),
		TEST(owner_still_checks),
		TEST(race_for_a_lane),
		TEST(handed_once),
		TEST(key_gone_in_the_inbox),
		TEST(rekeyed),
		TEST(handed_in_order),
		TEST(full_inbox),
		TEST(left_in_the_inbox),
		TEST(bell_wakes_a_sleeper),
		TEST(fragments_through_an_inbox),
		TEST(a_lane_for_each_worker),
		TEST(lanes_leave_from_their_ports),
		TEST(lanes_leave_from_their_ports_over_ipv6),
		TEST(a_shared_lane_leaves_from_the_main_port),
		TEST(lane_ports_are_ours),
		TEST(port_of_one_queue),
		TEST(queues_are_shared_out),
		TEST(port_gone_in_the_inbox),
		TEST(flood_to_ports_of_others),
		TEST(two_share_a_lane),
		TEST(seven_share_two_lanes),
		TEST(seven_with_a_lane_each),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
