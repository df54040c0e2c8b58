/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths and tables that control keeps: path MTU, roaming, members, MAC addresses, the mark. */
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl_rig.h"

static struct site *a, *b;

/* a calls b, which learns where a is. */
static void make_pair(void)
{
	a = site_new("192.0.2.1:51820", "10.200.0.1/24");
	b = site_new("192.0.2.2:51820", "10.200.0.2/24");
	(void)site_lists(a, b, true);
	(void)site_lists(b, a, false);
}

static void start_pair(void)
{
	site_start(a);
	site_start(b);
	net_settle();
	assert_true(has_session(a, b));
	assert_true(has_session(b, a));
}

static unsigned int mtu_to(const struct site *s, const struct site *other)
{
	const struct omni_path *path = atomic_load(&peer_of(s, other)->pub->path);

	return path->mtu;
}

static void full_mtu_is_found_at_once(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	assert_int_equal(mtu_to(a, b), 1500);
	assert_int_equal(mtu_to(b, a), 1500);
	assert_int_equal(a->max_datagram, 1500);
}

static void smaller_mtu_is_searched(void **state)
{
	(void)state;
	make_pair();
	net.path_mtu = 1420;
	start_pair();
	assert_int_equal(mtu_to(a, b), OMNI_PATH_MTU_DEFAULT);
	rig_run(20000);
	assert_in_range(mtu_to(a, b), 1420 - 8, 1420);
	assert_in_range(mtu_to(b, a), 1420 - 8, 1420);
	assert_true(a->max_datagram <= 1420);
	assert_false(peer_of(a, b)->pmtu.searching);
}

/* Who makes checksums, with these facts about the uplink, over IPv4 and over IPv6. */
/* Less than what is believed before anything was echoed. */
static void small_mtu(unsigned int mtu)
{
	make_pair();
	net.path_mtu = mtu;
	start_pair();
	rig_run(20000);
	assert_in_range(mtu_to(a, b), OMNI_MAX(mtu - 8, 576U), mtu);
	assert_in_range(mtu_to(b, a), OMNI_MAX(mtu - 8, 576U), mtu);
	assert_false(peer_of(a, b)->pmtu.searching);
	/* And nothing longer is tried but at the next session. */
	a->max_datagram = 0;
	rig_run(60000);
	assert_true(a->max_datagram <= mtu);
}

static void mtu_of_1124(void **state)
{
	(void)state;
	small_mtu(1124);
}

static void mtu_of_576(void **state)
{
	(void)state;
	small_mtu(576);
}

/* Under a session that was measured, and up again. */
static void path_shrinks_below_the_default(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	net.path_mtu = 600;
	rig_run(140000);
	assert_in_range(mtu_to(a, b), 600 - 8, 600);
	assert_true(has_session(a, b));
	net.path_mtu = 1500;
	rig_run(140000);
	assert_in_range(mtu_to(a, b), 1500 - 8, 1500);
}

static void assert_checksum(bool kernel, bool device, bool always, enum omni_checksum v4,
			    enum omni_checksum v6)
{
	static const char *const remotes[] = {"192.0.2.2:1", "[2001:db8::2]:1"};
	static const char *const locals[] = {"192.0.2.1:1", "[2001:db8::1]:1"};
	static const uint8_t mac[6];
	struct omni_path path = {0};

	a->up.info.kernel_routes = kernel;
	a->up.info.udp_checksum = device;
	a->config.underlay.udp_checksum = always;
	for (unsigned int i = 0; i < 2; i++) {
		struct omni_endpoint local, remote;

		assert_int_equal(omni_endpoint_parse(&local, locals[i]), 0);
		assert_int_equal(omni_endpoint_parse(&remote, remotes[i]), 0);
		omni_path_build(&path, mac, mac, &local, &remote);
		ctl_path_checksum(a->ctl, &path);
		assert_int_equal(path.checksum, i == 0 ? v4 : v6);
	}
}

static void port_and_configuration_say_who_makes_checksums(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	assert_checksum(false, false, false, OMNI_CHECKSUM_NONE, OMNI_CHECKSUM_OURS);
	assert_checksum(false, false, true, OMNI_CHECKSUM_OURS, OMNI_CHECKSUM_OURS);
	assert_checksum(false, true, false, OMNI_CHECKSUM_PORT, OMNI_CHECKSUM_PORT);
	assert_checksum(false, true, true, OMNI_CHECKSUM_PORT, OMNI_CHECKSUM_PORT);
	assert_checksum(true, false, true, OMNI_CHECKSUM_NONE, OMNI_CHECKSUM_NONE);
}

static void no_more_than_the_default_is_believed(void **state)
{
	(void)state;
	make_pair();
	net.path_mtu = 1280;
	start_pair();
	rig_run(30000);
	assert_int_equal(mtu_to(a, b), OMNI_PATH_MTU_DEFAULT);
	assert_true(has_session(a, b));
	assert_true(frame(a, b));
}

static void configured_mtu_is_believed(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].path_mtu = 1400;
	start_pair();
	assert_int_equal(mtu_to(a, b), 1400);
	assert_true(b->max_datagram < 600); /* no padded probe */
}

static void shrinking_path_is_noticed(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	rig_run(2000);
	assert_int_equal(mtu_to(a, b), 1500);
	net.path_mtu = 1400;
	rig_run(140000); /* the next session measures again */
	assert_in_range(mtu_to(a, b), 1400 - 8, 1400);
	net.path_mtu = 1500;
	rig_run(130000);
	assert_int_equal(mtu_to(a, b), 1500);
}

/* Both sides send a frame twice a second. */
static void run_with_data(unsigned int seconds)
{
	for (unsigned int i = 0; i < 2 * seconds; i++) {
		(void)frame(a, b);
		(void)frame(b, a);
		rig_run(500);
	}
}

static void shrinking_path_is_noticed_under_data(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	run_with_data(5);
	net.path_mtu = 1400;
	run_with_data(5);
	assert_true(mtu_to(a, b) <= 1400);
	assert_true(mtu_to(b, a) <= 1400);
	run_with_data(20);
	assert_in_range(mtu_to(a, b), 1400 - 8, 1400);
	/* And nothing longer is tried but at the next session. */
	a->max_datagram = b->max_datagram = 0;
	net.path_mtu = 1500;
	run_with_data(20);
	assert_true(OMNI_MAX(a->max_datagram, b->max_datagram) <= 1400);
}

/* Where nothing comes through, nothing is said about lengths. */
static void outage_leaves_what_was_measured(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	run_with_data(5);
	net.path_mtu = 0;
	run_with_data(10);
	assert_int_equal(mtu_to(a, b), 1500);
	net.path_mtu = 1500;
	run_with_data(1);
	assert_int_equal(mtu_to(a, b), 1500);
}

/* The first search ends in an outage: the next session begins it anew. */
static void outage_of_the_first_search(void **state)
{
	(void)state;
	make_pair();
	net.path_mtu = 800; /* handshakes, and no PROBE */
	start_pair();
	net.path_mtu = 0;
	rig_run(5000);
	assert_false(peer_of(a, b)->pmtu.searching);
	assert_int_equal(mtu_to(a, b), OMNI_PATH_MTU_DEFAULT);
	net.path_mtu = 1500;
	rig_run(140000);
	assert_int_equal(mtu_to(a, b), 1500);
}

/* What b says on a session is on its way for as long as nobody lets it go. */
static struct {
	uint8_t bytes[8][2048];
	size_t len[8];
	unsigned int n;
} late;

static bool is_late(const struct site *from, const struct site *to, const uint8_t *p, size_t len)
{
	(void)to;
	if (from != b || (p[0] & OMNI_TYPE_DATA_BIT) == 0 || late.n == 8)
		return false;
	memcpy(late.bytes[late.n], p, len);
	late.len[late.n++] = len;
	return true;
}

static void late_ones_arrive(unsigned int n)
{
	net.drops = NULL;
	for (unsigned int i = 0; i < n; i++)
		inject(a, &b->address, late.bytes[i], late.len[i]);
	net_settle();
}

static void long_round_trips_are_waited_for(void **state)
{
	unsigned int first;

	(void)state;
	make_pair();
	late.n = 0;
	net.drops = is_late;
	site_start(a);
	site_start(b);
	net_settle();
	first = late.n;
	rig_run(600); /* a asks for the second time */
	late_ones_arrive(first);
	assert_int_equal(mtu_to(a, b), 1500);
}

/* A PROBE without padding is on its way too, and its ECHO comes behind theirs. */
static void late_echoes_are_no_lost_ones(void **state)
{
	const struct ctl_pmtu *p;

	(void)state;
	make_pair();
	start_pair();
	p = &peer_of(a, b)->pmtu;
	late.n = 0;
	net.drops = is_late;
	for (unsigned int i = 0; i < 100 && !p->any.waiting; i++) {
		(void)frame(a, b);
		rig_run(50);
	}
	assert_true(p->any.waiting);
	late_ones_arrive(late.n);
	assert_int_equal(mtu_to(a, b), 1500);
	assert_false(p->searching);
}

static void renumber(struct site *s, const char *to)
{
	assert_int_equal(omni_endpoint_parse(&s->address, to), 0);
}

static void peer_moves_when_the_old_address_is_silent(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	rig_run(5000);
	renumber(a, "198.51.100.7:4000");
	assert_true(frame(a, b)); /* from elsewhere now */
	assert_false(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	rig_run(2000);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 1);
	assert_true(frame(b, a));
	rig_run(3000);
	assert_int_equal(mtu_to(b, a), 1500); /* measured again */
}

/* Who knows that it moved says so: nobody waits whether the old address is silent. */
static void our_own_move_is_told(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	rig_run(5000);
	renumber(a, "198.51.100.7:51820");
	ctl_nexthop_changed(a->ctl, NULL);
	rig_run(200);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 1);
}

/* A copy of a datagram from elsewhere moves nothing while the true address answers. */
static void copies_do_not_move_a_peer(void **state)
{
	struct omni_endpoint before;
	struct ctl_peer *peer;
	struct omni_event ev;

	(void)state;
	make_pair();
	start_pair();
	rig_run(2000);
	peer = peer_of(b, a);
	before = peer->endpoint;
	ev = (struct omni_event){
		.type = OMNI_EVENT_ROAM,
		.peer = peer->pub->index,
		.peer_gen = peer->pub->generation,
		.datagram_len = 200,
	};
	assert_int_equal(omni_endpoint_parse(&ev.from, "203.0.113.9:1"), 0);
	ctl_event(b->ctl, &ev);
	assert_true(ctl_roam_runs(peer));
	rig_run(2000);
	assert_false(ctl_roam_runs(peer));
	assert_true(omni_endpoint_equal(&peer->endpoint, &before));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 0);
	/* What caused it was shorter than a probe: nothing is sent there. */
	ev.datagram_len = OMNI_DATA_MIN_LEN;
	ctl_event(b->ctl, &ev);
	assert_false(ctl_roam_runs(peer));
}

/* Whoever misses a piece asks for frames, and gets them until the next key. */
static void broken_segments_are_cut(void **state)
{
	struct omni_keypair *kp;
	struct omni_event ev;

	(void)state;
	make_pair();
	start_pair();
	kp = atomic_load(&peer_of(a, b)->pub->tx);
	assert_int_equal(omni_keypair_marks(kp) & OMNI_KEYPAIR_CUT, 0);
	ev = (struct omni_event){
		.type = OMNI_EVENT_BROKEN,
		.peer = peer_of(b, a)->pub->index,
		.peer_gen = peer_of(b, a)->pub->generation,
	};
	for (int i = 0; i < 10; i++)
		ctl_event(b->ctl, &ev);
	rig_run(50);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_cuts_received), 1);
	assert_int_equal(omni_keypair_marks(kp) & OMNI_KEYPAIR_CUT, OMNI_KEYPAIR_CUT);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_cuts_received), 0);
	rig_run(100);
	ctl_event(b->ctl, &ev);
	rig_run(50);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_cuts_received), 2);
	rig_run((OMNI_REKEY_AFTER_S + 10) * 1000);
	assert_true(atomic_load(&peer_of(a, b)->pub->tx) != kp);
	kp = atomic_load(&peer_of(a, b)->pub->tx);
	assert_int_equal(omni_keypair_marks(kp) & OMNI_KEYPAIR_CUT, 0);
}

static void probes_to_strangers_are_limited(void **state)
{
	uint64_t before;

	(void)state;
	make_pair();
	start_pair();
	before = count_of(b, OMNI_STAT_ctl_probes_sent);
	for (unsigned int i = 0; i < 1000; i++) {
		struct omni_endpoint from = {.port = (uint16_t)(1 + i)};

		assert_int_equal(omni_ip_parse(&from.ip, "203.0.113.9"), 0);
		ctl_roam_end(peer_of(b, a));
		ctl_roam_seen(b->ctl, peer_of(b, a), &from, 0, 100, false);
		net_settle();
	}
	assert_int_equal(count_of(b, OMNI_STAT_ctl_probes_limited), 1000 - CTL_PROBES_PER_S);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_probes_sent) - before, 1000 + CTL_PROBES_PER_S);
}

/* ---- Members ---- */

static struct omni_record record_of(const struct site *s)
{
	struct omni_record rec = {
		.key = s->identity.dh.public,
		.ed25519 = s->identity.sign_public,
		.vip = s->cluster.vip.ip,
		.dialects = OMNI_DIALECT_OMNI,
		.n_candidates = 1,
		.candidates = {s->address, s->address, s->address},
		.issued = rig_real_ns(NULL) / OMNI_NS_PER_S,
	};

	rec.expires = rec.issued + OMNI_RECORD_LIFE_S;
	return rec;
}

static int learns(struct site *s, const struct omni_record *rec)
{
	return ctl_peer_learned(s->ctl, &s->ctl->cluster[0], rec, NULL);
}

static void members_meet_once(void **state)
{
	struct omni_record ra, rb;

	(void)state;
	make_pair();
	a->cluster.n_peers = b->cluster.n_peers = 0;
	site_start(a);
	site_start(b);
	ra = record_of(a);
	rb = record_of(b);
	assert_int_equal(learns(a, &ra), -EALREADY);
	rb.dialects = OMNI_DIALECT_WIREGUARD;
	assert_int_equal(learns(a, &rb), -EPROTONOSUPPORT);
	rb = record_of(b);
	assert_int_equal(learns(a, &rb), 0);
	assert_int_equal(learns(b, &ra), 0);
	net_settle();
	rig_run(4000);
	assert_true(has_session(a, b));
	assert_true(frame(a, b));
	/* The lower key called, the other had no reason to. */
	assert_int_equal(a->n_initiations + b->n_initiations, 1);
	/* Off the list, but the session lives; then it ends, and the member is forgotten. */
	ctl_peer_withdrawn(a->ctl, peer_of(a, b));
	rig_run(10000);
	assert_true(has_session(a, b));
	site_kill(b);
	rig_run(600000);
	assert_null(peer_of(a, b));
}

/* What the allocator gave, and a place in each table, which were made for the limits. */
static size_t memory_of_members(size_t before, unsigned int n)
{
	size_t place = sizeof(struct omni_peer) + sizeof(struct omni_rcu_node) +
		       sizeof(struct ctl_peer *) + 2 * sizeof(struct ctl_link *);

	return place + (mallinfo2().uordblks - before) / n;
}

static void members_without_a_session_are_small(void **state)
{
	struct omni_record rec;
	size_t before;

	(void)state;
	make_pair();
	a->cluster.n_peers = 0;
	site_start(a);
	rec = record_of(b);
	rec.n_candidates = 3;
	before = mallinfo2().uordblks;
	if (before == 0)
		skip(); /* a sanitizer's allocator */
	for (unsigned int i = 0; i < PEERS; i++) {
		omni_random(&rec.key, sizeof(rec.key));
		rec.vip.b[15]++;
		for (unsigned int j = 0; j < rec.n_candidates; j++)
			rec.candidates[j].port = (uint16_t)(i + j + 1);
		assert_int_equal(learns(a, &rec), 0);
	}
	/* After a while the tries are a minute apart, and one that got no answer is forgotten. */
	rig_run(1000000);
	for (unsigned int s = 0; s < 60 && a->ctl->pending.count > 0; s++)
		rig_run(1000);
	assert_int_equal(a->ctl->pending.count, 0);
	assert_int_equal(a->ctl->peers_by_key.count, PEERS);
	assert_in_range(memory_of_members(before, PEERS), sizeof(struct ctl_peer), 1024);
}

static void idle_mesh_keeps_its_sessions(void **state)
{
	uint64_t sent;

	(void)state;
	make_pair();
	start_pair();
	rig_run(5000);
	sent = b->datagrams_in;
	rig_run(100000);
	assert_in_range(b->datagrams_in - sent, 3, 12);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 1);
	rig_run(3600000);
	assert_true(frame(a, b));
	assert_true(frame(b, a));
	assert_in_range(count_of(a, OMNI_STAT_ctl_handshakes_done), 28, 32);
}

static void first_record_holds_the_vip(void **state)
{
	struct omni_record rb, rc;
	struct site *c;

	(void)state;
	make_pair();
	c = site_new("192.0.2.3:51820", "10.200.0.2/24");
	a->cluster.n_peers = 0;
	site_start(a);
	rb = record_of(b);
	rc = record_of(c);
	assert_int_equal(learns(a, &rb), 0);
	assert_int_equal(learns(a, &rc), -EADDRINUSE);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_vip_conflict), 1);
	assert_ptr_equal(ctl_peer_by_vip(a->ctl, &a->ctl->cluster[0], &rb.vip), peer_of(a, b));
	rc.vip = a->cluster.vip.ip; /* ours */
	assert_int_equal(learns(a, &rc), -EADDRINUSE);
}

static void impossible_candidates_are_left_out(void **state)
{
	struct omni_record rb;

	(void)state;
	make_pair();
	a->cluster.n_peers = 0;
	site_start(a);
	rb = record_of(b);
	rb.n_candidates = 4;
	assert_int_equal(omni_endpoint_parse(&rb.candidates[1], "127.0.0.1:51820"), 0);
	assert_int_equal(omni_endpoint_parse(&rb.candidates[2], "224.0.0.1:51820"), 0);
	assert_int_equal(omni_endpoint_parse(&rb.candidates[3], "10.200.0.9:51820"), 0);
	assert_int_equal(learns(a, &rb), 0);
	assert_int_equal(peer_of(a, b)->n_candidates, 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_candidates_filtered), 3);
}

static void derived_vips_belong_to_their_keys(void **state)
{
	struct omni_record rb;

	(void)state;
	make_pair();
	a->cluster.n_peers = 0;
	a->cluster.vip_auto = true;
	site_start(a);
	rb = record_of(b);
	rb.vip = omni_vip_auto(&b->identity.dh.public);
	rb.vip.b[15] ^= 1;
	assert_int_equal(learns(a, &rb), -EADDRINUSE);
	rb.vip.b[15] ^= 1;
	assert_int_equal(learns(a, &rb), 0);
}

static void mesh_has_a_limit(void **state)
{
	struct omni_record rb, rc;
	struct site *c;

	(void)state;
	make_pair();
	c = site_new("192.0.2.3:51820", "10.200.0.3/24");
	a->cluster.n_peers = 0;
	a->config.limits.mesh = 1;
	site_start(a);
	rb = record_of(b);
	rc = record_of(c);
	assert_int_equal(learns(a, &rb), 0);
	assert_int_equal(learns(a, &rc), -ENOSPC);
	ctl_peer_withdrawn(a->ctl, peer_of(a, b));
	assert_null(peer_of(a, b));
	assert_int_equal(learns(a, &rc), 0);
}

/* ---- MAC addresses ---- */

static omni_dest where(const struct site *s, uint64_t mac)
{
	omni_dest dest;

	omni_fdb_lookup(s->fdb, &mac, 1, &dest);
	return dest;
}

static void macs_live_as_long_as_their_peer(void **state)
{
	struct omni_peer *pub;
	struct omni_event ev;

	(void)state;
	make_pair();
	start_pair();
	pub = peer_of(a, b)->pub;
	ev = (struct omni_event){
		.type = OMNI_EVENT_LEARN,
		.mac = UINT64_C(0x020000000005),
		.dest = omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation + 1),
	};
	ctl_event(a->ctl, &ev); /* a peer that has gone */
	assert_int_equal(where(a, ev.mac), OMNI_DEST_MISS);
	ev.dest = omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation);
	ctl_event(a->ctl, &ev);
	assert_int_equal(where(a, ev.mac), ev.dest);
	assert_int_equal(count_of(a, OMNI_STAT_fdb_learned), 1);
	ev.type = OMNI_EVENT_MOVE;
	ev.dest = omni_dest_make(OMNI_DEST_PORT, 1, 1);
	ctl_event(a->ctl, &ev);
	assert_int_equal(where(a, ev.mac), ev.dest);
	ev.dest = omni_dest_make(OMNI_DEST_PORT, 0, 1); /* the uplink is in no bridge */
	ctl_event(a->ctl, &ev);
	assert_int_equal(count_of(a, OMNI_STAT_fdb_moved), 1);
	ev.dest = omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation);
	ctl_event(a->ctl, &ev);
	omni_ctl_stop(b->ctl, NULL, NULL);
	net_settle();
	assert_int_equal(where(a, ev.mac), OMNI_DEST_MISS);
}

static void macs_age(void **state)
{
	struct omni_event ev = {.type = OMNI_EVENT_LEARN, .mac = 5};

	(void)state;
	make_pair();
	site_start(a);
	ev.dest = omni_dest_make(OMNI_DEST_PORT, 1, 1);
	ctl_event(a->ctl, &ev);
	rig_run(299000);
	assert_int_equal(where(a, 5), ev.dest);
	rig_run(5000);
	assert_int_equal(where(a, 5), OMNI_DEST_MISS);
	assert_int_equal(count_of(a, OMNI_STAT_fdb_aged), 1);
}

/* ---- Timestamps ---- */

static void timestamps_grow_over_restarts(void **state)
{
	uint8_t before[OMNI_TAI64N_LEN], after[OMNI_TAI64N_LEN];
	char dir[] = "/tmp/omni-path-XXXXXX", mark[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	make_pair();
	snprintf(a->config.identity, sizeof(a->config.identity), "%s/id", dir);
	snprintf(mark, sizeof(mark), "%s/id.clock", dir);
	site_start(a);
	ctl_timestamp(a->ctl, before);
	ctl_timestamp(a->ctl, after);
	assert_true(memcmp(after, before, sizeof(after)) > 0);
	assert_int_equal(stat(mark, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	for (unsigned int i = 0; i < 3; i++) { /* set back by a day, and started again and again */
		memcpy(before, after, sizeof(before));
		site_kill(a);
		net.real_offset_ns -= i == 0 ? 86400 * OMNI_NS_PER_S : 0;
		site_start(a);
		ctl_timestamp(a->ctl, after);
		assert_true(memcmp(after, before, sizeof(after)) > 0);
	}
	site_kill(a);
	assert_int_equal(unlink(mark), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(full_mtu_is_found_at_once),
		T(smaller_mtu_is_searched),
		T(mtu_of_1124),
		T(mtu_of_576),
		T(path_shrinks_below_the_default),
		T(port_and_configuration_say_who_makes_checksums),
		T(no_more_than_the_default_is_believed),
		T(configured_mtu_is_believed),
		T(shrinking_path_is_noticed),
		T(shrinking_path_is_noticed_under_data),
		T(outage_leaves_what_was_measured),
		T(outage_of_the_first_search),
		T(long_round_trips_are_waited_for),
		T(late_echoes_are_no_lost_ones),
		T(peer_moves_when_the_old_address_is_silent),
		T(our_own_move_is_told),
		T(copies_do_not_move_a_peer),
		T(broken_segments_are_cut),
		T(probes_to_strangers_are_limited),
		T(members_meet_once),
		T(members_without_a_session_are_small),
		T(idle_mesh_keeps_its_sessions),
		T(first_record_holds_the_vip),
		T(impossible_candidates_are_left_out),
		T(derived_vips_belong_to_their_keys),
		T(mesh_has_a_limit),
		T(macs_live_as_long_as_their_peer),
		T(macs_age),
		T(timestamps_grow_over_restarts),
	};

	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
