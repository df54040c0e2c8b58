/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bursts that mix many sessions, and tables that change while they pass. */
#include "rig.h"

#define HUB 0
#define BURSTS 4
#define FRAMES (BURSTS * OMNI_NODE_BURST)
#define HOST(site) (20 + (site))
#define MANY 10000

/*
 * IPv4 and IPv6, both ciphers; the hub is connected to all others, and fetches ahead as a box with
 * many peers does.
 */
static void connect_all(struct rig *r)
{
	static const struct link links[SITES] = {
		[1] = {.cipher = OMNI_CIPHER_AESGCM},
		[2] = {.cipher = OMNI_CIPHER_AESGCM, .v6 = true},
		[3] = {.cipher = OMNI_CIPHER_CHACHAPOLY},
	};

	for (unsigned int i = 1; i < SITES; i++)
		rig_connect(r, HUB, i, &links[i]);
	for (unsigned int i = 1; i < SITES; i++)
		rig_introduce(r, r->site[HUB].local[0], HOST(HUB), r->site[i].local[0], HOST(i));
	atomic_store(&r->site[HUB].peers->count, MANY);
}

static unsigned int site_of(unsigned int i)
{
	return 1 + i % (SITES - 1);
}

static uint16_t len_of(unsigned int i)
{
	return i % 5 == 0 ? 1400 : (uint16_t)(60 + i % 7);
}

/* Frames [from, to) of a series that takes the sites in turn. */
static void series(struct rig *r, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		rig_in(r->site[HUB].local[0],
		       rig_frame(r, HOST(site_of(i)), HOST(HUB), len_of(i), (uint8_t)i));
}

static void expect(struct rig *r, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		rig_expect(r->site[site_of(i)].local[0], HOST(site_of(i)), HOST(HUB), len_of(i),
			   (uint8_t)i);
	for (unsigned int i = 1; i < SITES; i++)
		rig_expect_nothing(r->site[i].local[0]);
}

static void one_burst_to_many_peers(void **state)
{
	struct rig *r = *state;
	uint64_t before;

	connect_all(r);
	before = r->site[HUB].key[1]->tx[1].frames;
	series(r, 0, FRAMES);
	rig_run(r);
	expect(r, 0, FRAMES);
	for (unsigned int i = 0; i < SITES; i++)
		assert_int_equal(rig_drops(r, i), 0);
	assert_int_equal(r->site[HUB].key[1]->tx[1].frames - before, (FRAMES + 2) / 3);
}

/* Their datagrams wait in the hub's uplink, and come in together. */
static void one_burst_from_many_peers(void **state)
{
	struct rig *r = *state;

	connect_all(r);
	for (unsigned int i = 0; i < FRAMES; i++) {
		struct site *s = &r->site[site_of(i)];
		struct rte_mbuf *m;

		rig_in(s->local[0],
		       rig_frame(r, HOST(HUB), HOST(site_of(i)), len_of(i), (uint8_t)i));
		rig_turn(r, site_of(i));
		m = rig_out(s->uplink);
		assert_non_null(m);
		rig_in(r->site[HUB].uplink, m);
	}
	rig_run(r);
	for (unsigned int i = 0; i < FRAMES; i++)
		rig_expect(r->site[HUB].local[0], HOST(HUB), HOST(site_of(i)), len_of(i),
			   (uint8_t)i);
	assert_int_equal(rig_drops(r, HUB), 0);
	assert_int_equal(rig_events(r, HUB, OMNI_EVENT_ROAM), 0);
}

/* Nothing is lost or overtaken where a key follows another; the old one still opens. */
static void a_key_is_replaced_on_the_way(void **state)
{
	struct rig *r = *state;
	struct omni_keypair *old[2];

	connect_all(r);
	series(r, 0, OMNI_NODE_BURST);
	rig_turn(r, HUB);
	rig_rekey(r, HUB, 2, NULL, old);
	series(r, OMNI_NODE_BURST, FRAMES);
	rig_run(r);
	expect(r, 0, FRAMES);
	assert_true(old[0]->tx[1].frames > 0 && r->site[HUB].key[2]->tx[1].frames > 0);
	rig_retire(r, HUB, old[0]);
	rig_retire(r, 2, old[1]);
	series(r, 0, OMNI_NODE_BURST);
	rig_run(r);
	expect(r, 0, OMNI_NODE_BURST);
	for (unsigned int i = 0; i < SITES; i++)
		assert_int_equal(rig_drops(r, i), 0);
}

/* Its addresses stand in the table still: they are unknown ones from the next turn on. */
static void a_peer_is_removed(void **state)
{
	struct rig *r = *state;
	struct site *hub = &r->site[HUB];

	connect_all(r);
	series(r, 0, OMNI_NODE_BURST);
	rig_run(r);
	expect(r, 0, OMNI_NODE_BURST);
	omni_peers_remove(hub->peers, hub->peer[3], hub->rcu);
	series(r, 0, 3);
	rig_run(r);
	rig_expect(r->site[1].local[0], HOST(1), HOST(HUB), len_of(0), 0);
	rig_expect(r->site[2].local[0], HOST(2), HOST(HUB), len_of(1), 1);
	/* The third was flooded to those that are left. */
	rig_expect(r->site[1].local[0], HOST(3), HOST(HUB), len_of(2), 2);
	rig_expect(r->site[2].local[0], HOST(3), HOST(HUB), len_of(2), 2);
	rig_expect_nothing(r->site[3].local[0]);
	assert_int_equal(rig_count(r, HUB, OMNI_STAT_drop_no_peer), 1);
}

/* What moves to another peer is sent there from the next turn on, in the middle of a series. */
static void an_address_moves(void **state)
{
	struct rig *r = *state;
	struct site *hub = &r->site[HUB];
	uint64_t before;
	uint8_t mac[6];

	connect_all(r);
	before = hub->key[3]->tx[1].frames;
	rig_mac(mac, HOST(1));
	for (unsigned int i = 0; i < 4; i++)
		rig_in(hub->local[0], rig_frame(r, HOST(1 + i % 2), HOST(HUB), 60, (uint8_t)i));
	rig_turn(r, HUB);
	omni_fdb_learn(
		hub->fdb, omni_fdb_key(DOMAIN, mac),
		omni_dest_make(OMNI_DEST_PEER, hub->peer[3]->index, hub->peer[3]->generation), 1);
	for (unsigned int i = 4; i < 8; i++)
		rig_in(hub->local[0], rig_frame(r, HOST(1 + i % 2), HOST(HUB), 60, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 4; i += 2)
		rig_expect(r->site[1].local[0], HOST(1), HOST(HUB), 60, (uint8_t)i);
	for (unsigned int i = 1; i < 8; i += 2)
		rig_expect(r->site[2].local[0], HOST(2), HOST(HUB), 60, (uint8_t)i);
	assert_int_equal(hub->key[3]->tx[1].frames - before, 2);
	rig_expect_nothing(r->site[1].local[0]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_burst_to_many_peers),
		TEST(one_burst_from_many_peers),
		TEST(a_key_is_replaced_on_the_way),
		TEST(a_peer_is_removed),
		TEST(an_address_moves),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
