/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bridging: who gets which frame, what is learned, and what is refused. */
#include "rig.h"

static void unicast_both_ways(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, b->local[1], 22);
	for (uint8_t i = 0; i < 100; i++) {
		rig_in(a->local[0], rig_frame(r, 22, 11, 60 + i, i));
		rig_in(b->local[1], rig_frame(r, 11, 22, 1000 - i, i));
	}
	rig_run(r);
	for (uint8_t i = 0; i < 100; i++) {
		rig_expect(b->local[1], 22, 11, 60 + i, i);
		rig_expect(a->local[0], 11, 22, 1000 - i, i);
	}
	rig_expect_nothing(b->local[0]);
	rig_expect_nothing(a->local[1]);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig_count(r, i, OMNI_STAT_local_rx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_local_tx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_sealed), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_opened), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_uplink_rx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_uplink_tx), 100);
		assert_int_equal(rig_drops(r, i), 0);
	}
}

static void both_ciphers_and_families(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	const struct link links[] = {
		{.cipher = OMNI_CIPHER_CHACHAPOLY},
		{.v6 = true},
		{.cipher = OMNI_CIPHER_CHACHAPOLY, .v6 = true, .lanes = 64},
	};

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(links); i++) {
		unsigned int host = 100 + i;
		struct site *b = &r->site[i + 1];

		rig_connect(r, 0, i + 1, &links[i]);
		rig_introduce(r, a->local[0], 11, b->local[0], host);
		for (uint16_t len = 14; len < 1400; len += 13)
			rig_in(a->local[0], rig_frame(r, host, 11, len, (uint8_t)len));
		rig_run(r);
		for (uint16_t len = 14; len < 1400; len += 13)
			rig_expect(b->local[0], host, 11, len, (uint8_t)len);
		assert_int_equal(rig_drops(r, 0) + rig_drops(r, i + 1), 0);
	}
}

/* What leaves the uplink: headers as protocol.md says, on lane 1, counted from 0. */
static void datagram_as_promised(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	const uint8_t *p;
	struct rte_mbuf *m;

	rig_connect(r, 0, 1, NULL);
	r->unplugged = true;
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t sum = 0;

		rig_in(a->local[0], rig_frame(r, 0, 11, 100, 1));
		rig_run(r);
		m = rig_out(a->uplink);
		assert_non_null(m);
		assert_int_equal(rte_pktmbuf_data_len(m), 14 + 100 + OMNI_OVERHEAD_V4);
		p = rte_pktmbuf_mtod(m, const uint8_t *);
		assert_int_equal(omni_load_be16(p + 12), 0x0800);
		assert_int_equal(omni_load_be16(p + 16), 100 + OMNI_OVERHEAD_V4);
		assert_int_equal(omni_load_be16(p + 20), 0x4000);
		for (unsigned int j = 0; j < 20; j += 2)
			sum += omni_load_be16(p + 14 + j);
		assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
		assert_int_equal(omni_load_be16(p + 36), UDP_PORT);
		assert_int_equal(omni_load_be16(p + 38), 8 + 24 + 100 + 16);
		assert_int_equal(omni_load_be64(p + 42), a->key[1]->remote_id);
		assert_int_equal(omni_load_be64(p + 50), i);
		assert_int_equal(omni_load_be64(p + 58), UINT64_C(1) << 48);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(rig_out(a->local[1]));
		rte_pktmbuf_free(rig_out(a->local[2]));
	}
	assert_int_equal(a->key[1]->tx[1].sequence, 3);
	assert_int_equal(a->key[1]->tx[1].frames, 3);
	assert_int_equal(a->key[1]->tx[1].bytes, 300);
	assert_int_equal(a->key[1]->tx[1].blocks, 3 * (7 + 2));
	assert_int_equal(a->key[1]->tx[0].sequence, 0);
}

static void connect_all(struct rig *r, unsigned int to)
{
	for (unsigned int i = 1; i < to; i++)
		rig_connect(r, 0, i, NULL);
}

static void broadcast_reaches_everybody_once(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	const unsigned int frames = 70;

	connect_all(r, SITES);
	rig_connect(r, 1, 2, NULL);
	for (unsigned int i = 0; i < frames; i++)
		rig_in(a->local[1], rig_frame(r, 0, 11, 200, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < frames; i++) {
		rig_expect(a->local[0], 0, 11, 200, (uint8_t)i);
		rig_expect(a->local[2], 0, 11, 200, (uint8_t)i);
		for (unsigned int s = 1; s < SITES; s++)
			for (unsigned int j = 0; j < LOCALS; j++)
				rig_expect(r->site[s].local[j], 0, 11, 200, (uint8_t)i);
	}
	/* Not back where it came from, and not from a peer to a peer. */
	rig_expect_nothing(a->local[1]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_flooded), frames * (SITES - 1 + LOCALS - 1));
	for (unsigned int s = 1; s < SITES; s++) {
		assert_int_equal(rig_count(r, s, OMNI_STAT_uplink_tx), 0);
		assert_int_equal(rig_count(r, s, OMNI_STAT_opened), frames);
		assert_int_equal(rig_count(r, s, OMNI_STAT_flooded), frames * LOCALS);
		assert_int_equal(rig_drops(r, s), 0);
	}
	assert_int_equal(rig_drops(r, 0), 0);
}

static void unknown_unicast_is_flooded_until_learned(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1], *c = &r->site[2];

	connect_all(r, 3);
	rig_in(a->local[0], rig_frame(r, 22, 11, 90, 1));
	rig_run(r);
	rig_expect(b->local[0], 22, 11, 90, 1);
	rig_expect(c->local[0], 22, 11, 90, 1);
	rig_in(b->local[0], rig_frame(r, 11, 22, 90, 2));
	rig_run(r);
	rig_expect(a->local[0], 11, 22, 90, 2);
	rig_in(a->local[0], rig_frame(r, 22, 11, 90, 3));
	rig_run(r);
	for (unsigned int i = 1; i < LOCALS; i++) {
		rig_expect(a->local[i], 22, 11, 90, 1);
		rig_expect(b->local[i], 22, 11, 90, 1);
		rig_expect(c->local[i], 22, 11, 90, 1);
	}
	rig_expect(b->local[0], 22, 11, 90, 3);
	rig_expect_nothing(b->local[1]);
	rig_expect_nothing(c->local[0]);
}

static void split_horizon(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1], *c = &r->site[2];

	connect_all(r, 3);
	rig_introduce(r, b->local[0], 22, c->local[0], 33);
	/* a knows both behind peers; b knows nothing of c's and sends to a. */
	rig_in(b->local[0], rig_frame(r, 33, 22, 90, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_split_horizon), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_tx), 0);
	rig_expect_nothing(a->local[0]);
	rig_expect_nothing(c->local[0]);
	for (unsigned int i = 1; i < LOCALS; i++)
		rig_expect(b->local[i], 33, 22, 90, 1);
}

static void between_local_ports(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];

	rig_introduce(r, a->local[0], 11, a->local[1], 12);
	rig_in(a->local[0], rig_frame(r, 12, 11, 1500, 1));
	rig_in(a->local[0], rig_frame(r, 11, 13, 60, 2));
	rig_run(r);
	rig_expect(a->local[1], 12, 11, 1500, 1);
	rig_expect_nothing(a->local[2]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_same_port), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_local_tx), 1);
}

static void learn_and_move(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	const struct omni_event *ev = &a->event[0];

	rig_connect(r, 0, 1, NULL);
	rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
	rig_run(r);
	assert_int_equal(a->n_events, 1);
	assert_int_equal(ev->type, OMNI_EVENT_LEARN);
	assert_int_equal(ev->cluster, DOMAIN);
	assert_int_equal(ev->mac, UINT64_C(0x02000001000b));
	assert_int_equal(ev->dest,
			 omni_dest_make(OMNI_DEST_PORT, a->local[0]->id, a->local[0]->generation));
	rig_forget_events(r);
	rig_introduce(r, a->local[2], 19, b->local[2], 29);
	/* The host moves from site a to site b. */
	rig_in(b->local[0], rig_frame(r, 29, 11, 60, 2));
	rig_in(b->local[0], rig_frame(r, 19, 11, 60, 2));
	rig_run(r);
	assert_int_equal(a->n_events, 1);
	assert_int_equal(ev->type, OMNI_EVENT_MOVE);
	assert_int_equal(ev->dest,
			 omni_dest_make(OMNI_DEST_PEER, a->peer[1]->index, a->peer[1]->generation));
	rig_expect(b->local[2], 29, 11, 60, 2);
	rig_expect(a->local[2], 19, 11, 60, 2);
	rig_in(a->local[2], rig_frame(r, 11, 19, 60, 3));
	rig_run(r);
	rig_expect(b->local[0], 11, 19, 60, 3);
	rig_expect_nothing(a->local[0]);
}

static void moves_are_damped(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	const unsigned int rounds = 30;

	rig_introduce(r, a->local[0], 11, a->local[2], 12);
	for (unsigned int i = 0; i < rounds; i++) {
		rig_in(a->local[(i + 1) % 2], rig_frame(r, 12, 11, 60, 1));
		rig_run(r);
	}
	/* Five moves, the sixth damps; then its frames pass only from where it stayed. */
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_MOVE), OMNI_FDB_MOVES_MAX + 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_local_tx) +
				 rig_count(r, 0, OMNI_STAT_drop_mac_damped),
			 rounds);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_mac_damped),
			 (rounds - OMNI_FDB_MOVES_MAX - 1) / 2);
	for (unsigned int i = rig_count(r, 0, OMNI_STAT_local_tx); i > 0; i--)
		rig_expect(a->local[2], 12, 11, 60, 1);
}

static void events_are_levels(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m;

	r->no_control = true;
	for (unsigned int i = 0; i < 10; i++) {
		rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
		rig_run(r);
	}
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_LEARN), 10);
	for (unsigned int i = 0; i < 40; i++) {
		for (unsigned int j = 0; j < 64; j++)
			rig_in(a->local[0], rig_frame(r, 1, 100 + j, 60, 1));
		omni_node_turn(a->worker);
		for (unsigned int j = 1; j < LOCALS; j++)
			while ((m = rig_out(a->local[j])) != NULL)
				rte_pktmbuf_free(m);
	}
	/* A full ring loses events, and only counts. */
	assert_int_equal(rig_count(r, 0, OMNI_STAT_event_lost), 40 * 64 - OMNI_EVENTS_SIZE);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void refused_addresses(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m;
	uint8_t *eth;

	rig_connect(r, 0, 1, NULL);
	rig_in(a->local[0], rig_frame(r, 5, 0, 60, 1)); /* source ff:ff:ff:ff:ff:ff */
	m = rig_frame(r, 5, 6, 60, 1);
	memset(rte_pktmbuf_mtod_offset(m, uint8_t *, 6), 0, 6);
	rig_in(a->local[0], m);
	m = rig_frame(r, 5, 6, 60, 1);
	rte_pktmbuf_trim(m, 60 - 13);
	rig_in(a->local[0], m);
	for (unsigned int i = 0; i < 17; i++) {
		m = rig_frame(r, 5, 6, 60, 1);
		eth = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(eth, (const uint8_t[6]){1, 0x80, 0xc2, 0, 0, (uint8_t)i}, 6);
		rig_in(a->local[0], m);
	}
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_source), 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_runt), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_link_local), 16);
	assert_int_equal(rig_drops(r, 0), 19);
	/* 01:80:c2:00:00:10 is no bridge group address. */
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 1);
	for (unsigned int i = 0; i < LOCALS; i++) {
		while ((m = rig_out(a->local[i])) != NULL)
			rte_pktmbuf_free(m);
		while ((m = rig_out(r->site[1].local[i])) != NULL)
			rte_pktmbuf_free(m);
	}
}

static void flood_budget(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m;
	uint64_t passed;

	atomic_store(&a->bridges->at[DOMAIN].flood_rate, 1000);
	for (unsigned int i = 0; i < 1000; i++) {
		rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
		if (i % 64 == 63)
			rig_run(r);
	}
	rig_run(r);
	passed = rig_count(r, 0, OMNI_STAT_flooded) / 2;
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_flood_budget) + passed, 1000);
	/* An eighth of a second's budget at once, and what a slow machine's time adds. */
	assert_in_range(passed, 125, 600);
	for (unsigned int i = 1; i < LOCALS; i++)
		while ((m = rig_out(a->local[i])) != NULL)
			rte_pktmbuf_free(m);
}

static void nobody_there(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];

	assert_int_equal(
		omni_bridge_set(a->bridges, DOMAIN, &a->local[0]->id, 1, NULL, NULL, 0, a->rcu), 0);
	rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_nobody), 1);
	assert_int_equal(rig_drops(r, 0), 1);
}

static void without_key_or_path(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, b->local[0], 22);
	omni_peer_set_tx(a->peer[1], NULL);
	for (unsigned int i = 0; i < 100; i++)
		rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_key), 100);
	/* At most one event a second. */
	assert_in_range(rig_events(r, 0, OMNI_EVENT_WANT_KEY), 1, 2);
	assert_int_equal(a->event[0].peer, a->peer[1]->index);
	assert_int_equal(a->event[0].peer_gen, a->peer[1]->generation);
	omni_peer_set_tx(a->peer[1], a->key[1]);
	atomic_store(&a->key[1]->marks, OMNI_KEYPAIR_NO_TX);
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_key), 101);
	atomic_store(&a->key[1]->marks, 0);
	omni_peer_set_path(a->peer[1], NULL, a->rcu);
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_path), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_tx), 0);
}

static void worn_key(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	struct omni_lane_tx *lane;

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, b->local[0], 22);
	lane = &a->key[1]->tx[1];
	lane->blocks = OMNI_GCM_BLOCKS_REKEY;
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	rig_expect(b->local[0], 22, 11, 60, 1);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WORN), 1);
	assert_int_equal(a->event[0].session_id, a->key[1]->local_id);
	lane->blocks = OMNI_GCM_BLOCKS_STOP;
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_worn), 1);
	rig_expect_nothing(b->local[0]);
}

static void no_lane_for_workers(void **state)
{
	static const struct link link = {.lanes = 1};
	struct rig *r = *state;
	struct site *a = &r->site[0];

	rig_connect(r, 0, 1, &link);
	rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_lane), 1);
	assert_int_equal(a->key[1]->tx[0].sequence, 0);
	rte_pktmbuf_free(rig_out(a->local[1]));
	rte_pktmbuf_free(rig_out(a->local[2]));
}

/* Fewer lanes than workers: the last one is shared, and counts on for all of them. */
static void shared_lane(void **state)
{
	static const struct link link = {.lanes = 3, .mtu = 1500};
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	struct omni_worker_conf conf = *omni_node_worker_conf(a->worker);
	struct omni_lane_tx *lane;

	rig_connect(r, 0, 1, &link);
	rig_introduce(r, a->local[0], 11, b->local[0], 22);
	lane = &a->key[1]->tx[2];
	assert_int_equal(lane->sequence, 0);
	/* As one of 63 workers on two lanes: lane 2 would be shared, lane 1 stays our own. */
	for (unsigned int workers = 1; workers <= 63; workers += 62) {
		uint64_t own = a->key[1]->tx[1].sequence;

		omni_node_worker_free(a->worker);
		conf.workers = workers;
		a->worker = omni_node_worker_create(&conf);
		assert_non_null(a->worker);
		rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
		rig_run(r);
		rig_expect(b->local[0], 22, 11, 60, 1);
		assert_int_equal(a->key[1]->tx[1].sequence, own + 1);
	}
	assert_int_equal(lane->sequence, 0);
	/* With one lane for workers and two workers, the first shares it. */
	rig_connect(r, 0, 2, NULL);
	rig_introduce(r, a->local[0], 11, r->site[2].local[0], 33);
	omni_node_worker_free(a->worker);
	conf.workers = 2;
	a->worker = omni_node_worker_create(&conf);
	assert_non_null(a->worker);
	lane = &a->key[2]->tx[1];
	lane->frames = lane->bytes = 0;
	lane->sequence = 1000;
	for (unsigned int i = 0; i < 100; i++)
		rig_in(a->local[0], rig_frame(r, 33, 11, i % 2 == 0 ? 60 : 1514, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 100; i++)
		rig_expect(r->site[2].local[0], 33, 11, i % 2 == 0 ? 60 : 1514, (uint8_t)i);
	assert_int_equal(lane->sequence, 1150);
	assert_int_equal(lane->frames, 150);
	assert_int_equal(lane->bytes, 50 * (60 + 1514 + 2 * OMNI_FRAGMENT_HDR_LEN));
	assert_int_equal(lane->frame_id, 50);
}

/* Another peer with the same index, or a port with the same id: the address is unknown. */
static void stale_destinations(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	const uint8_t mac[6] = {2, 0, 0, 1, 0, 44};
	uint64_t key = omni_fdb_key(DOMAIN, mac);

	rig_connect(r, 0, 1, NULL);
	omni_fdb_learn(
		a->fdb, key,
		omni_dest_make(OMNI_DEST_PEER, a->peer[1]->index, a->peer[1]->generation + 1), 1);
	rig_in(a->local[0], rig_frame(r, 44, 11, 60, 1));
	rig_run(r);
	for (unsigned int i = 0; i < LOCALS; i++)
		rig_expect(b->local[i], 44, 11, 60, 1);
	omni_fdb_learn(a->fdb, key,
		       omni_dest_make(OMNI_DEST_PORT, a->local[2]->id, a->local[2]->generation + 1),
		       1);
	rig_in(a->local[0], rig_frame(r, 44, 11, 60, 2));
	rig_run(r);
	for (unsigned int i = 0; i < LOCALS; i++)
		rig_expect(b->local[i], 44, 11, 60, 2);
	for (uint8_t i = 1; i < 3; i++) {
		rig_expect(a->local[1], 44, 11, 60, i);
		rig_expect(a->local[2], 44, 11, 60, i);
	}
	assert_int_equal(rig_drops(r, 0), 0);
}

/* A port of another cluster hears nothing, and may not be a destination. */
static void clusters_are_apart(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[2], 13, b->local[0], 22);
	atomic_store(&a->bridges->of_port[a->local[2]->id], DOMAIN + 1);
	rig_in(b->local[0], rig_frame(r, 0, 22, 60, 1));
	rig_run(r);
	rig_in(b->local[0], rig_frame(r, 13, 22, 60, 2));
	rig_run(r);
	rig_expect_nothing(a->local[2]);
	rig_in(a->local[2], rig_frame(r, 22, 13, 60, 3));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_cluster), 1);
	rig_expect_nothing(b->local[0]);
	for (unsigned int i = 0; i < 2; i++) {
		rig_expect(a->local[i], 0, 22, 60, 1);
		rig_expect(a->local[i], 13, 22, 60, 2);
		rig_expect(b->local[i + 1], 0, 22, 60, 1);
		rig_expect_nothing(b->local[i + 1]);
	}
}

static void a_port_goes_and_comes(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	struct omni_node_queue q[OMNI_PORTS_MAX];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, b->local[0], 22);
	assert_int_equal(omni_node_queues(a->worker, q, OMNI_PORTS_MAX), 1 + LOCALS);
	omni_port_unpublish(&a->ports, a->local[0]);
	assert_int_equal(omni_node_queues(a->worker, q, OMNI_PORTS_MAX), LOCALS);
	rig_in(b->local[0], rig_frame(r, 11, 22, 60, 1));
	rig_run(r);
	rig_expect_nothing(a->local[0]);
	rig_expect(a->local[1], 11, 22, 60, 1);
	rig_expect(a->local[2], 11, 22, 60, 1);
	omni_port_publish(&a->ports, a->local[0]);
	rig_in(b->local[0], rig_frame(r, 11, 22, 60, 2));
	rig_run(r);
	rig_expect(a->local[0], 11, 22, 60, 2);
	omni_port_unpublish(&a->ports, a->uplink);
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 3));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_port_gone), 1);
}

static void full_port(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	const unsigned int all = 4100;
	struct rte_mbuf *m;

	rig_introduce(r, a->local[0], 11, a->local[1], 12);
	for (unsigned int i = 0; i < all; i++) {
		rig_in(a->local[0], rig_frame(r, 12, 11, 60, 1));
		if (i % 64 == 0)
			rig_run(r);
	}
	rig_run(r);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_tx_full) > 0);
	assert_int_equal(
		rig_count(r, 0, OMNI_STAT_drop_tx_full) + rig_count(r, 0, OMNI_STAT_local_tx), all);
	while ((m = rig_out(a->local[1])) != NULL)
		rte_pktmbuf_free(m);
}

static void empty_pool(void **state)
{
	static struct rte_mbuf *all[POOL_SIZE];
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *frame;
	unsigned int n = 0;

	connect_all(r, SITES);
	frame = rig_frame(r, 0, 11, 100, 1);
	while ((all[n] = rte_pktmbuf_alloc(r->pool)) != NULL)
		n++;
	rig_in(a->local[0], frame);
	rig_run(r);
	/* A copy for each peer and one port is missing; the frame itself goes to the last one. */
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_mbuf), SITES - 1 + 1);
	assert_int_equal(rig_drops(r, 0), SITES);
	assert_ptr_equal(rig_out(a->local[2]), frame);
	rte_pktmbuf_free(frame);
	rte_pktmbuf_free_bulk(all, n);
}

static void control_sends(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m = rig_datagram(r, 0, 1, "x", 1);

	r->unplugged = true;
	omni_meta(m)->port = a->uplink->id;
	assert_int_equal(omni_xring_send(a->xring, m), 0);
	rig_run(r);
	assert_ptr_equal(rig_out(a->uplink), m);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_control_sent), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_tx), 1);
	rte_pktmbuf_free(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unicast_both_ways),
		TEST(both_ciphers_and_families),
		TEST(datagram_as_promised),
		TEST(broadcast_reaches_everybody_once),
		TEST(unknown_unicast_is_flooded_until_learned),
		TEST(split_horizon),
		TEST(between_local_ports),
		TEST(learn_and_move),
		TEST(moves_are_damped),
		TEST(events_are_levels),
		TEST(refused_addresses),
		TEST(flood_budget),
		TEST(nobody_there),
		TEST(without_key_or_path),
		TEST(worn_key),
		TEST(no_lane_for_workers),
		TEST(shared_lane),
		TEST(stale_destinations),
		TEST(clusters_are_apart),
		TEST(a_port_goes_and_comes),
		TEST(full_port),
		TEST(empty_pool),
		TEST(control_sends),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
