/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sessions between control planes: who gets one, how it lives and ends. See ctl_rig.h. */
#include "ctl_rig.h"

static struct site *a, *b;

/* Two sites that list each other with addresses. */
static void make_pair(void)
{
	a = site_new("192.0.2.1:51820", "10.200.0.1/24");
	b = site_new("192.0.2.2:51820", "10.200.0.2/24");
	(void)site_lists(a, b, true);
	(void)site_lists(b, a, true);
}

static void start_pair(void)
{
	site_start(a);
	site_start(b);
}

static void assert_up(void)
{
	assert_true(has_session(a, b));
	assert_true(has_session(b, a));
	assert_true(frame(a, b));
	assert_true(frame(b, a));
}

static void assert_down(void)
{
	assert_false(has_session(a, b));
	assert_false(has_session(b, a));
}

static unsigned int flooded_to(const struct site *s)
{
	return omni_bridge_flood(s->bridges, 0)->n_peers;
}

static void one_side_calls(void **state)
{
	(void)state;
	a = site_new("192.0.2.1:51820", "10.200.0.1/24");
	b = site_new("192.0.2.2:51820", "10.200.0.2/24");
	(void)site_lists(a, b, true);
	start_pair();
	assert_int_equal(flooded_to(a), 0);
	net_settle();
	assert_up();
	assert_int_equal(b->n_initiations, 1);
	assert_int_equal(a->n_answers, 1);
	assert_int_equal(peer_of(b, a)->origin, CTL_ORIGIN_CALLED);
	assert_int_equal(b->ctl->n_unconfirmed, 0);
	assert_int_equal(flooded_to(a), 1);
	assert_int_equal(flooded_to(b), 1);
	assert_true(omni_ip_equal(&peer_of(b, a)->vip, &a->cluster.vip.ip));
	assert_true(peer_of(b, a)->vip_held);
	rig_run(2000);
	assert_true(peer_of(a, b)->vip_held);
	assert_int_equal(atomic_load(&peer_of(a, b)->pub->tx)->lanes_tx, 2);
}

static void negotiates(enum omni_cipher of_a, enum omni_cipher of_b, enum omni_cipher got)
{
	make_pair();
	a->cluster.cipher = of_a;
	b->cluster.cipher = of_b;
	start_pair();
	net_settle();
	assert_up();
	assert_int_equal(atomic_load(&peer_of(a, b)->pub->tx)->cipher, got);
	assert_int_equal(atomic_load(&peer_of(b, a)->pub->tx)->cipher, got);
}

static void both_ciphers(void **state)
{
	(void)state;
	negotiates(OMNI_CIPHER_NONE, OMNI_CIPHER_CHACHAPOLY, OMNI_CIPHER_CHACHAPOLY);
	if (!omni_crypto_has_aes())
		return;
	(void)rig_end(NULL);
	(void)rig_begin(NULL);
	negotiates(OMNI_CIPHER_AESGCM, OMNI_CIPHER_NONE, OMNI_CIPHER_AESGCM);
}

static void another_secret_is_met_with_silence(void **state)
{
	(void)state;
	make_pair();
	memcpy(b->secret, "another horse and battery", 26);
	start_pair();
	rig_run(20000);
	assert_down();
	assert_true(count_of(a, OMNI_STAT_ctl_unknown_cluster) >= 3);
	assert_true(count_of(b, OMNI_STAT_ctl_unknown_cluster) >= 3);
	assert_int_equal(a->n_answers + b->n_answers + a->n_cookies + b->n_cookies, 0);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 0);
}

/* What an outsider makes who knows the cluster's id, but not its secret. */
static void wrong_proof_is_met_with_silence(void **state)
{
	struct omni_key wrong = {.b = {9}}, ephemeral = {.b = {3}};
	struct omni_endpoint from = {.port = 9999};
	struct omni_identity stranger;
	struct omni_initiation packet;
	struct omni_hs_offer offer;
	struct omni_hs hs;
	struct omni_hs_start start = {
		.self = &stranger.dh,
		.ephemeral = &ephemeral,
		.proof_key = &wrong,
		.offer = &offer,
		.session_id = UINT64_C(1) << 63 | 1,
	};

	(void)state;
	make_pair();
	site_start(a);
	net_settle();
	omni_identity_from_seed(&stranger, &wrong);
	ctl_cluster_offer(a->ctl, &a->ctl->cluster[0], &offer);
	offer.vip = (struct omni_ip){0};
	omni_tai64n_from_real_ns(offer.timestamp, rig_real_ns(NULL));
	start.remote = &a->identity.dh.public;
	assert_int_equal(omni_hs_initiation_create(&hs, &packet, &start), 0);
	assert_int_equal(omni_ip_parse(&from.ip, "192.0.2.77"), 0);
	inject(a, &from, &packet, sizeof(packet));
	ctl_rings_poll(a->ctl);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_bad_proof), 1);
	packet.mac1[0] ^= 1;
	inject(a, &from, &packet, sizeof(packet));
	packet.mac1[0] ^= 1;
	packet.enc_payload[7] ^= 1;
	omni_macs_write((uint8_t *)&packet, sizeof(packet), start.remote, NULL, 0);
	inject(a, &from, &packet, sizeof(packet));
	ctl_rings_poll(a->ctl);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_bad_mac1), 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_bad_handshake), 1);
	assert_int_equal(a->ctl->n_unconfirmed, 0);
	assert_int_equal(rte_ring_count(a->xring->tx), 0);
}

static void one_vip_for_two(void **state)
{
	(void)state;
	make_pair();
	b->cluster.vip = a->cluster.vip;
	site_start(a);
	rig_run(100);
	site_start(b);
	rig_run(1000);
	assert_down();
	assert_int_equal(peer_of(b, a)->refused, OMNI_RESULT_VIP_HELD);
	assert_false(peer_of(b, a)->refused_by_us);
	assert_true(count_of(b, OMNI_STAT_ctl_was_refused) >= 1);
	assert_true(count_of(a, OMNI_STAT_ctl_vip_conflict) >= 1);
	rig_run(20000);
	assert_int_equal(a->n_initiations, 1); /* a refused peer is not asked again at once */
}

static void third_claims_the_vip_of_a_session(void **state)
{
	struct site *c;

	(void)state;
	make_pair();
	c = site_new("192.0.2.3:51820", "10.200.0.2/24");
	(void)site_lists(c, a, true);
	start_pair();
	net_settle();
	site_start(c);
	rig_run(1000);
	assert_false(has_session(c, a));
	assert_int_equal(peer_of(c, a)->refused, OMNI_RESULT_VIP_HELD);
	assert_up();
	/* It is free again once its holder's session has ended. */
	omni_ctl_stop(b->ctl, NULL, NULL);
	net_settle();
	assert_false(has_session(a, b));
	rig_run(40000);
	assert_true(has_session(a, c));
}

static void refuses(enum omni_result why)
{
	start_pair();
	rig_run(1000);
	assert_down();
	assert_int_equal(peer_of(b, a)->refused, why);
	assert_true(count_of(a, OMNI_STAT_ctl_refused) + count_of(b, OMNI_STAT_ctl_refused) >= 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 0);
}

static void cipher_mismatch_is_refused(void **state)
{
	(void)state;
	if (!omni_crypto_has_aes())
		skip();
	make_pair();
	a->cluster.cipher = OMNI_CIPHER_AESGCM;
	b->cluster.cipher = OMNI_CIPHER_CHACHAPOLY;
	refuses(OMNI_RESULT_CIPHER);
}

/* Only version 1 exists: an initiation that speaks none is made by hand. */
static void version_mismatch_is_refused(void **state)
{
	struct omni_key seed = {.b = {77}}, ephemeral = {.b = {3}}, psk;
	struct omni_endpoint from = {.port = 9999};
	struct omni_identity member;
	struct omni_initiation packet;
	struct omni_noise_keys keys;
	struct omni_hs_answer answer;
	struct omni_hs_offer offer;
	const struct omni_keytree *tree;
	struct rte_mbuf *m;
	struct omni_hs hs;
	struct omni_hs_start start = {
		.self = &member.dh,
		.ephemeral = &ephemeral,
		.offer = &offer,
		.session_id = UINT64_C(1) << 63 | 1,
	};

	(void)state;
	make_pair();
	a->cluster.n_peers = 0;
	site_start(a);
	tree = &a->ctl->cluster[0].tree;
	omni_identity_from_seed(&member, &seed);
	ctl_cluster_offer(a->ctl, &a->ctl->cluster[0], &offer);
	offer.vip = (struct omni_ip){0};
	offer.version = 0;
	omni_tai64n_from_real_ns(offer.timestamp, rig_real_ns(NULL));
	start.remote = &a->identity.dh.public;
	start.proof_key = &tree->proof_key;
	assert_int_equal(omni_hs_initiation_create(&hs, &packet, &start), 0);
	assert_int_equal(omni_ip_parse(&from.ip, "192.0.2.77"), 0);
	inject(a, &from, &packet, sizeof(packet));
	ctl_rings_poll(a->ctl);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_refused), 1);
	assert_int_equal(omni_xring_take(a->xring->tx, &m, 1), 1);
	omni_keytree_psk(&psk, tree, start.remote, &member.dh.public);
	assert_int_equal(omni_hs_response_open(&hs, &answer, &keys,
					       rte_pktmbuf_mtod_offset(m, void *, 42), &member.dh,
					       &psk),
			 0);
	assert_int_equal(answer.result, OMNI_RESULT_VERSION);
	assert_true(omni_is_zero_ct(&keys, sizeof(keys)));
	rte_pktmbuf_free(m);
	assert_int_equal(a->ctl->peers_by_key.count, 0);
}

static void mode_mismatch_is_refused(void **state)
{
	(void)state;
	make_pair();
	b->cluster.mode = OMNI_MODE_L3;
	refuses(OMNI_RESULT_MODE);
}

static void denied_key_is_refused(void **state)
{
	(void)state;
	make_pair();
	a->cluster.n_peers = 0;
	a->deny[0] = b->identity.dh.public;
	a->cluster.n_deny = 1;
	start_pair();
	rig_run(1000);
	assert_null(peer_of(a, b));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_denied), 1);
	assert_int_equal(peer_of(b, a)->refused, OMNI_RESULT_DENIED);
	/* The recorded call draws no second answer. */
	inject(a, &net.last_initiation_from, net.last_initiation, OMNI_INITIATION_LEN);
	net_settle();
	assert_int_equal(count_of(a, OMNI_STAT_ctl_refused), 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_stale), 1);
}

static void crossing_calls_make_one_session(void **state)
{
	struct site *lower;

	(void)state;
	make_pair();
	net.hold_initiations = true;
	start_pair();
	(void)net_turn();
	assert_int_equal(net.held, 2);
	net.hold_initiations = false;
	for (unsigned int i = 0; i < 2; i++) {
		struct omni_endpoint from, to;

		omni_punt_addresses(net.hold[i], &from, &to);
		arrive(site_at(&to), net.hold[i], &from);
	}
	net.held = 0;
	net_settle();
	assert_up();
	lower = memcmp(&a->identity.dh.public, &b->identity.dh.public, OMNI_KEY_LEN) < 0 ? a : b;
	assert_true(atomic_load(&peer_of(lower, lower == a ? b : a)->pub->tx)->initiator);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_crossed) + count_of(b, OMNI_STAT_ctl_crossed),
			 2);
	assert_int_equal(count_of(lower, OMNI_STAT_ctl_handshakes_done), 1);
}

/* The calls of a minute lie in its socket, and it calls itself before it reads them. */
static void wakes_up(struct site *asleep, struct site *other, bool calls)
{
	uint64_t old = atomic_load(&peer_of(asleep, other)->pub->tx)->local_id;

	net.hold_initiations = true;
	for (unsigned int i = 0; i < 4; i++) {
		rig_run(6000);
		ctl_peer_initiate(other->ctl, peer_of(other, asleep));
	}
	(void)net_turn();
	if (!calls) /* not any more */
		ctl_peer_series_end(other->ctl, peer_of(other, asleep));
	ctl_peer_initiate(asleep->ctl, peer_of(asleep, other));
	(void)net_turn();
	assert_in_range(net.held, 5, OMNI_ARRAY_SIZE(net.hold));
	net.hold_initiations = false;
	for (unsigned int i = 0; i < net.held; i++) {
		struct omni_endpoint from, to;

		omni_punt_addresses(net.hold[i], &from, &to);
		arrive(site_at(&to), net.hold[i], &from);
	}
	net.held = 0;
	net_settle();
	assert_up();
	assert_true(atomic_load(&peer_of(asleep, other)->pub->tx)->local_id != old);
}

static void calls_of_long_ago_give_way(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net_settle();
	wakes_up(a, b, true);
	wakes_up(b, a, true);
	wakes_up(a, b, false);
	wakes_up(b, a, false);
}

/* Both sides rekey at once, again and again, and every frame arrives. */
static void crossing_rekeys_lose_nothing(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net_settle();
	for (unsigned int round = 0; round < 20; round++) {
		rig_run(6000);
		net.hold_initiations = true;
		ctl_peer_initiate(a->ctl, peer_of(a, b));
		ctl_peer_initiate(b->ctl, peer_of(b, a));
		(void)net_turn();
		assert_int_equal(net.held, 2);
		assert_true(frame(a, b));
		assert_true(frame(b, a));
		net.hold_initiations = false;
		for (unsigned int i = 0; i < 2; i++) {
			struct omni_endpoint from, to;

			omni_punt_addresses(net.hold[i], &from, &to);
			arrive(site_at(&to), net.hold[i], &from);
			ctl_rings_poll(a->ctl);
			ctl_rings_poll(b->ctl);
			assert_true(frame(a, b));
			assert_true(frame(b, a));
		}
		net.held = 0;
		net_settle();
		assert_up();
	}
}

static void initiator_rekeys_at_120_s(void **state)
{
	uint64_t first, done;

	(void)state;
	make_pair();
	b->peer[0].host[0] = '\0'; /* a alone calls */
	start_pair();
	net_settle();
	first = atomic_load(&peer_of(a, b)->pub->tx)->local_id;
	rig_run(119000);
	assert_int_equal(atomic_load(&peer_of(a, b)->pub->tx)->local_id, first);
	for (unsigned int i = 0; i < 80; i++) {
		rig_run(100);
		assert_true(frame(a, b));
		assert_true(frame(b, a));
	}
	assert_true(atomic_load(&peer_of(a, b)->pub->tx)->local_id != first);
	done = count_of(b, OMNI_STAT_ctl_handshakes_done);
	assert_int_equal(done, 2);
	rig_run(600000);
	assert_up();
	/* 600 s in rounds of 120 s and a little more. */
	assert_in_range(count_of(b, OMNI_STAT_ctl_handshakes_done), 6, 7);
	assert_int_equal(a->n_initiations, 0);
}

static bool drops_handshakes(const struct site *from, const struct site *to, const uint8_t *p,
			     size_t len)
{
	(void)from;
	(void)to;
	(void)len;
	return p[0] < OMNI_TYPE_DATA_BIT;
}

static void keys_end_at_180_s_and_are_wiped(void **state)
{
	struct omni_keypair *kp;
	uint64_t wiped;

	(void)state;
	make_pair();
	start_pair();
	net_settle();
	net.drops = drops_handshakes;
	rig_run(178000);
	assert_up();
	kp = atomic_load(&peer_of(a, b)->pub->tx);
	rig_run(4000);
	assert_down();
	assert_int_equal(omni_keypair_marks(kp), OMNI_KEYPAIR_NO_RX | OMNI_KEYPAIR_NO_TX);
	assert_int_equal(flooded_to(a), 0);
	wiped = count_of(a, OMNI_STAT_ctl_keys_wiped);
	rig_run(361000);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_keys_wiped), wiped + 1);
	net.drops = NULL; /* and it comes back by itself, hours later too */
	rig_run(9000);
	assert_up();
}

static void tries_go_on_at_their_pace(void **state)
{
	unsigned int calls;

	(void)state;
	make_pair();
	site_start(a);
	rig_run(90000);
	calls = (unsigned int)count_of(a, OMNI_STAT_ctl_handshakes_sent);
	assert_in_range(calls, 16, 19);
	rig_run(600000);
	calls = (unsigned int)count_of(a, OMNI_STAT_ctl_handshakes_sent) - calls;
	assert_in_range(calls, 60, 76);
	site_start(b);
	net_settle();
	rig_run(1000);
	assert_up();
}

static void cookies_are_asked_for_under_load(void **state)
{
	(void)state;
	make_pair();
	b->cluster.n_peers = 0;
	site_start(b);
	b->ctl->loaded_until_ns = net.now_ns + 3600 * OMNI_NS_PER_S;
	assert_true(ctl_limits_stranger(b->ctl, &a->address.ip)); /* heard a moment ago */
	site_start(a);
	net_settle();
	assert_down();
	assert_int_equal(a->n_cookies, 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_under_load), 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_unexpected), 0);
	rig_run(6000);
	assert_up();
	assert_int_equal(a->n_cookies, 1);
	/* Replayed, from the proven source: limited. */
	for (unsigned int i = 0; i < 2 * CTL_SOURCE_BURST; i++) {
		inject(b, &net.last_initiation_from, net.last_initiation, OMNI_INITIATION_LEN);
		ctl_rings_poll(b->ctl);
	}
	assert_true(count_of(b, OMNI_STAT_ctl_rate_limited) >= CTL_SOURCE_BURST - 1);
	assert_int_equal(a->n_cookies, 1);
}

static void stale_call_makes_us_call(void **state)
{
	uint8_t recorded[OMNI_INITIATION_LEN];
	struct omni_endpoint from;
	uint64_t before;

	(void)state;
	make_pair();
	b->peer[0].host[0] = '\0';
	start_pair();
	net_settle();
	assert_up();
	memcpy(recorded, net.last_initiation, sizeof(recorded));
	from = net.last_initiation_from;
	before = count_of(b, OMNI_STAT_ctl_handshakes_sent);
	inject(b, &from, recorded, sizeof(recorded));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_handshakes_sent), before);
	/* Without a session: one call of ours to where the peer was, at most every 5 s. */
	site_kill(a);
	ctl_slots_drop_all(b->ctl, peer_of(b, a));
	ctl_peer_series_end(b->ctl, peer_of(b, a));
	rig_run(6000);
	ctl_peer_series_end(b->ctl, peer_of(b, a));
	before = count_of(b, OMNI_STAT_ctl_handshakes_sent);
	for (unsigned int i = 0; i < 40; i++) {
		inject(b, &from, recorded, sizeof(recorded));
		rig_run(100);
	}
	assert_int_equal(count_of(b, OMNI_STAT_ctl_handshakes_sent), before + 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 41);
}

static void restarted_side_calls_at_once(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net_settle();
	rig_run(30000);
	site_kill(a);
	rig_run(3000);
	site_start(a);
	rig_run(1000);
	assert_up();
}

/* Only the survivor knows an address, and only the restarted side would send. */
static void survivor_finds_the_restarted_side(void **state)
{
	(void)state;
	make_pair();
	b->peer[0].host[0] = '\0';
	start_pair();
	net_settle();
	rig_run(30000);
	assert_up();
	site_kill(b);
	rig_run(1000);
	site_start(b);
	rig_run(10000);
	assert_up();
	site_kill(b); /* sooner, where it is sent to */
	site_start(b);
	for (unsigned int i = 0; i < 50; i++) {
		(void)frame(a, b);
		rig_run(100);
	}
	assert_up();
}

/* Time passes within a tick too: what it begins is not given up, or asked twice, in its turn. */
static void what_a_tick_begins_outlives_it(void **state)
{
	uint64_t probes;

	(void)state;
	make_pair();
	b->peer[0].host[0] = '\0';
	net.look_ns = 1000;
	start_pair();
	net_settle();
	rig_run(30000);
	assert_up();
	/* The measured path is asked for again, with one probe at a time. */
	probes = count_of(a, OMNI_STAT_ctl_probes_sent);
	for (unsigned int i = 0; i < 10; i++) {
		assert_true(frame(a, b) && frame(b, a));
		rig_run(1000);
	}
	assert_in_range(count_of(a, OMNI_STAT_ctl_probes_sent) - probes, 3, 6);
	site_kill(b);
	rig_run(1000);
	site_start(b);
	rig_run(7000);
	assert_up();
	assert_int_equal(count_of(a, OMNI_STAT_ctl_unexpected), 0);
}

static void clock_set_back_heals(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net_settle();
	rig_run(1000);
	site_kill(a);
	rig_run(1000);
	net.real_offset_ns -= 1800 * OMNI_NS_PER_S;
	site_start(a);
	rig_run(30000);
	assert_up();
}

static void closes_when_it_stops(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net_settle();
	omni_ctl_stop(a->ctl, NULL, NULL);
	net_settle();
	assert_false(has_session(b, a));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_closes_received), 1);
	assert_int_equal(flooded_to(b), 0);
	site_kill(a);
	rig_run(2000);
	site_start(a);
	rig_run(1000);
	assert_up();
}

static void jumping_clock_drops_send_keys(void **state)
{
	struct omni_keypair *old;

	(void)state;
	make_pair();
	start_pair();
	net_settle();
	rig_run(10000);
	old = atomic_load(&peer_of(a, b)->pub->tx);
	net.real_offset_ns += 3600 * OMNI_NS_PER_S;
	rig_run(200);
	assert_true((omni_keypair_marks(old) & OMNI_KEYPAIR_NO_TX) != 0 ||
		    atomic_load(&peer_of(a, b)->pub->tx) != old);
	rig_run(6000);
	assert_up();
	assert_true(atomic_load(&peer_of(a, b)->pub->tx) != old);
}

static void unanswered_neighbour_delays_only(void **state)
{
	(void)state;
	make_pair();
	b->peer[0].host[0] = '\0';
	a->no_neighbour = true;
	start_pair();
	rig_run(1000);
	assert_int_equal(b->n_initiations, 0);
	a->no_neighbour = false;
	ctl_nexthop_changed(a->ctl, &b->address.ip);
	net_settle();
	assert_up();
}

static void table_full_is_refused(void **state)
{
	struct site *c;

	(void)state;
	make_pair();
	c = site_new("192.0.2.3:51820", "10.200.0.3/24");
	b->cluster.n_peers = 0;
	b->config.limits.peers = 1;
	(void)site_lists(c, b, true);
	start_pair();
	net_settle();
	assert_up();
	site_start(c);
	net_settle();
	assert_int_equal(peer_of(c, b)->refused, OMNI_RESULT_FULL);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_peers_full), 1);
	assert_null(peer_of(b, c));
}

/* A member that never sends data is forgotten. */
static void unconfirmed_peers_age(void **state)
{
	(void)state;
	make_pair();
	b->cluster.n_peers = 0;
	site_start(b);
	net.hold_initiations = true;
	site_start(a);
	(void)net_turn();
	assert_int_equal(net.held, 1);
	site_kill(a);
	arrive(b, net.hold[0], &a->address);
	net.held = 0;
	net.hold_initiations = false;
	net_settle();
	assert_int_equal(b->ctl->n_unconfirmed, 1);
	assert_int_equal(flooded_to(b), 0);
	assert_null(atomic_load(&peer_of(b, a)->pub->path));
	rig_run(31000);
	assert_int_equal(b->ctl->n_unconfirmed, 0);
	assert_null(peer_of(b, a));
	/* Its recorded call is still an old one. */
	inject(b, &a->address, net.last_initiation, OMNI_INITIATION_LEN);
	net_settle();
	assert_null(peer_of(b, a));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 1);
}

static void open_cluster_needs_its_name_only(void **state)
{
	(void)state;
	make_pair();
	a->cluster.secret = b->cluster.secret = NULL;
	a->cluster.open = b->cluster.open = true;
	b->cluster.n_peers = 0;
	start_pair();
	net_settle();
	assert_up();
}

static void static_cluster_knows_its_list_only(void **state)
{
	struct site *c;

	(void)state;
	make_pair();
	c = site_new("192.0.2.3:51820", "10.200.0.3/24");
	(void)site_lists(c, a, true);
	a->cluster.secret = b->cluster.secret = c->cluster.secret = NULL;
	start_pair();
	site_start(c);
	rig_run(1000);
	assert_up();
	assert_false(has_session(c, a));
	assert_null(peer_of(a, c));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_bad_proof), 1);
	assert_int_equal(c->n_answers, 0);
}

static void psk_of_two_replaces_the_derived_one(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].has_psk = b->peer[0].has_psk = true;
	a->peer[0].psk.b[0] = b->peer[0].psk.b[0] = 5;
	start_pair();
	net_settle();
	assert_up();
	(void)rig_end(NULL);
	(void)rig_begin(NULL);
	make_pair();
	a->peer[0].has_psk = b->peer[0].has_psk = true;
	a->peer[0].psk.b[0] = 6;
	start_pair();
	rig_run(1000);
	assert_down();
	assert_true(count_of(a, OMNI_STAT_ctl_bad_handshake) +
			    count_of(b, OMNI_STAT_ctl_bad_handshake) >=
		    1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(one_side_calls),
		T(both_ciphers),
		T(another_secret_is_met_with_silence),
		T(wrong_proof_is_met_with_silence),
		T(one_vip_for_two),
		T(third_claims_the_vip_of_a_session),
		T(cipher_mismatch_is_refused),
		T(version_mismatch_is_refused),
		T(mode_mismatch_is_refused),
		T(denied_key_is_refused),
		T(crossing_calls_make_one_session),
		T(calls_of_long_ago_give_way),
		T(crossing_rekeys_lose_nothing),
		T(initiator_rekeys_at_120_s),
		T(keys_end_at_180_s_and_are_wiped),
		T(tries_go_on_at_their_pace),
		T(cookies_are_asked_for_under_load),
		T(stale_call_makes_us_call),
		T(restarted_side_calls_at_once),
		T(survivor_finds_the_restarted_side),
		T(what_a_tick_begins_outlives_it),
		T(clock_set_back_heals),
		T(closes_when_it_stops),
		T(jumping_clock_drops_send_keys),
		T(unanswered_neighbour_delays_only),
		T(table_full_is_refused),
		T(unconfirmed_peers_age),
		T(open_cluster_needs_its_name_only),
		T(static_cluster_knows_its_list_only),
		T(psk_of_two_replaces_the_derived_one),
	};

	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
