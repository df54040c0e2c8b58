/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every datagram length from 0 to 2000: random content, mutated valid content, mutated outer
 * headers, and authenticated nonsense. Nothing crashes, nothing is sent in answer, each
 * datagram is counted under a name, memory and mbufs stay. OMNI_FUZZ_SEED repeats a run,
 * OMNI_FUZZ_ROUNDS makes it longer.
 */
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "packets.h"

#define LEN_MAX 2000
#define OUTER_LEN 42

static uint64_t state_of_rng;

/* splitmix64 */
static uint64_t rnd(void)
{
	uint64_t z = state_of_rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)(rnd() % n);
}

static void fill(uint8_t *at, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		at[i] = (uint8_t)rnd();
}

static void flip(uint8_t *at, unsigned int len)
{
	for (unsigned int n = 1 + below(4); len > 0 && n > 0; n--)
		at[below(len)] ^= (uint8_t)(1 << below(8));
}

static uint64_t env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* What counts a datagram or a frame out of one. */
static bool is_a_fate(unsigned int which)
{
	switch (which) {
	case OMNI_STAT_punted_handshake:
	case OMNI_STAT_punted_control:
	case OMNI_STAT_keepalives_received:
	case OMNI_STAT_fragments_received:
	case OMNI_STAT_outer_fragments_received:
	case OMNI_STAT_bundles_received:
	case OMNI_STAT_local_tx:
	case OMNI_STAT_flooded:
		return true;
	default:
		return strncmp(omni_stat_name(which), "drop_", 5) == 0 &&
		       which != OMNI_STAT_drop_reassembly_timeout &&
		       which != OMNI_STAT_drop_outer_timeout && which != OMNI_STAT_drop_outer_full;
	}
}

static uint64_t fates(const struct rig *r)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
		if (is_a_fate(i))
			sum += rig_count(r, 0, i);
	/* The last fragment's is its datagram's. */
	return sum - rig_count(r, 0, OMNI_STAT_outer_reassembled);
}

static void discard(struct rig *r)
{
	struct site *a = &r->site[0];
	struct rte_mbuf *m;

	while (omni_xring_take(a->xring->handshake, &m, 1) == 1)
		rte_pktmbuf_free(m);
	while (omni_xring_take(a->xring->control, &m, 1) == 1)
		rte_pktmbuf_free(m);
	for (unsigned int i = 0; i < LOCALS; i++)
		while ((m = rig_out(a->local[i])) != NULL)
			rte_pktmbuf_free(m);
	a->n_events = 0;
}

/* One datagram, one turn: nothing goes out, and there is a name for what happened. */
static void one(struct rig *r, struct rte_mbuf *m)
{
	uint64_t before = fates(r), opened = rig_count(r, 0, OMNI_STAT_opened), now;
	struct site *a = &r->site[0];

	rig_in(a->uplink, m);
	rig_turn(r, 0);
	now = fates(r);
	if (rig_count(r, 0, OMNI_STAT_opened) == opened)
		assert_int_equal(now - before, 1);
	else
		assert_true(now > before);
	rig_expect_nothing(a->uplink);
	discard(r);
}

/* Something valid of about that length into out; at least len bytes are set. */
static void valid(struct rig *r, uint8_t *out, unsigned int len)
{
	static const uint8_t heads[][4] = {{5}, {6}, {7}, {8, 0}, {8, 1}, {1}, {2}, {3}, {4}, {9}};
	static const uint16_t exact[] = {
		OMNI_INITIATION_LEN,   OMNI_RESPONSE_LEN,      OMNI_COOKIE_LEN,	    OMNI_HELLO_LEN,
		OMNI_HELLO_ANSWER_LEN, OMNI_WG_INITIATION_LEN, OMNI_WG_RESPONSE_LEN};
	unsigned int which = below(16);
	struct rte_mbuf *m;
	struct forge f;

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(exact); i++)
		if (len == exact[i])
			which = i;
	fill(out, LEN_MAX);
	if (which < OMNI_ARRAY_SIZE(heads)) {
		memset(out, 0, 8);
		memcpy(out, heads[which], 4);
		return;
	}
	if (which == 10) { /* STUN */
		memset(out, 0, 8);
		omni_store_be16(out + 2, (uint16_t)(len - 20));
		omni_store_be32(out + 4, 0x2112a442);
		return;
	}
	f = (struct forge){.sequence = rnd() >> below(64),
			   .lane = (uint16_t)below(3),
			   .kind = (uint8_t)below(6)};
	len = len > OMNI_DATA_OVERHEAD ? len - OMNI_DATA_OVERHEAD : 0;
	m = rig_sealed(r, 1, 0, &f, out, (uint16_t)len);
	memcpy(out, rte_pktmbuf_mtod_offset(m, uint8_t *, OUTER_LEN), len + OMNI_DATA_OVERHEAD);
	rte_pktmbuf_free(m);
}

static struct rte_mbuf *random_content(struct rig *r, unsigned int len)
{
	uint8_t payload[LEN_MAX];

	fill(payload, len);
	return rig_datagram(r, 1, 0, payload, (uint16_t)len);
}

static struct rte_mbuf *mutated_content(struct rig *r, unsigned int len)
{
	uint8_t payload[LEN_MAX + OMNI_DATA_OVERHEAD];

	valid(r, payload, len);
	if (below(8) != 0)
		flip(payload, below(2) != 0 ? OMNI_MIN(len, 32) : len);
	return rig_datagram(r, 1, 0, payload, (uint16_t)len);
}

static struct rte_mbuf *mutated_outside(struct rig *r, unsigned int len)
{
	struct rte_mbuf *m = mutated_content(r, len);

	flip(rte_pktmbuf_mtod(m, uint8_t *), below(2) != 0 ? OUTER_LEN : 24);
	if (below(4) == 0)
		rte_pktmbuf_trim(m, (uint16_t)below(rte_pktmbuf_data_len(m)));
	return m;
}

/* What a member may send who wants harm: it decrypts, and means nothing. */
static struct rte_mbuf *authentic_nonsense(struct rig *r, unsigned int len)
{
	static uint64_t sequence = 1u << 20;
	struct forge f = {
		.sequence = ++sequence, .lane = (uint16_t)below(2), .kind = (uint8_t)below(6)};
	uint8_t plain[LEN_MAX];

	fill(plain, sizeof(plain));
	if (f.kind == OMNI_KIND_FRAGMENT && below(2) != 0) {
		omni_store_be32(plain, below(40));
		omni_store_be16(plain + 4, (uint16_t)(below(8) * 256));
		omni_store_be16(plain + 6, (uint16_t)(1024 + below(4) * 256));
	}
	if (f.kind == OMNI_KIND_BUNDLE && below(2) != 0)
		for (unsigned int at = 0, n; at + 2 < sizeof(plain); at += 2 + n) {
			n = 14 + below(60);
			omni_store_be16(plain + at, (uint16_t)n);
		}
	return rig_sealed(r, 1, 0, &f, plain, (uint16_t)len);
}

static void every_length(void **state)
{
	static struct rte_mbuf *(*const make[])(struct rig *, unsigned int) = {
		random_content, mutated_content, mutated_outside, authentic_nonsense};
	struct rig *r = *state;
	uint64_t seed = env("OMNI_FUZZ_SEED", (uint64_t)time(NULL));
	unsigned int rounds = (unsigned int)env("OMNI_FUZZ_ROUNDS", 5), held;
	struct mallinfo2 before, after;

	print_message("OMNI_FUZZ_SEED=%" PRIu64 "\n", seed);
	state_of_rng = seed;
	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
	held = rte_mempool_avail_count(r->pool);
	before = mallinfo2();
	for (unsigned int round = 0; round < rounds; round++)
		for (unsigned int len = 0; len <= LEN_MAX; len++)
			for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(make); i++)
				one(r, make[i](r, len));
	after = mallinfo2();
	held -= rte_mempool_avail_count(r->pool);
	assert_in_range(held, 0, OMNI_REASSEMBLY_PEER_MAX + OMNI_OUTER_MAX);
	assert_int_equal(before.uordblks, after.uordblks);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_rx), 4 * rounds * (LEN_MAX + 1));
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_tx), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 0);
	/* The mutations did reach everything. */
	assert_true(rig_count(r, 0, OMNI_STAT_drop_bad_tag) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_bad_bundle) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_bad_fragment) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_malformed) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_not_ours) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_punted_control) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_punted_handshake) > 0);
}

/* The same in whole bursts, where stages compact what is left. */
static void in_bursts(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, r->site[1].local[0], 22);
	for (unsigned int burst = 0; burst < 400; burst++) {
		for (unsigned int i = 0; i < OMNI_NODE_BURST; i++) {
			unsigned int len = below(LEN_MAX + 1);

			rig_in(a->uplink, below(2) != 0 ? mutated_outside(r, len)
							: authentic_nonsense(r, len));
		}
		rig_turn(r, 0);
		rig_expect_nothing(a->uplink);
		discard(r);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_rx), 400 * OMNI_NODE_BURST);
	/* A session still works after all that. */
	rig_in(a->local[0], rig_frame(r, 22, 11, 60, 1));
	rig_run(r);
	rig_expect(r->site[1].local[0], 22, 11, 60, 1);
}

/* What a host may put into a local port: nothing but what is addressed leaves, unharmed. */
static void local_nonsense(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m;

	rig_connect(r, 0, 1, NULL);
	for (unsigned int len = 0; len <= LEN_MAX; len++) {
		uint64_t before = fates(r) + rig_count(r, 0, OMNI_STAT_sealed);

		m = rte_pktmbuf_alloc(r->pool);
		assert_non_null(m);
		fill((uint8_t *)rte_pktmbuf_append(m, (uint16_t)len), len);
		rig_in(a->local[0], m);
		rig_turn(r, 0);
		assert_true(fates(r) + rig_count(r, 0, OMNI_STAT_sealed) > before);
		while ((m = rig_out(a->uplink)) != NULL)
			rte_pktmbuf_free(m);
		discard(r);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_runt), OMNI_ETHER_HDR_LEN);
}

/* A packet with something wrong in it, or nothing. */
static unsigned int bad_packet(uint8_t *at)
{
	static const uint8_t protos[] = {1, 6, 17, 44, 58, 60, 0};
	struct packet p = {
		.v6 = below(2) != 0,
		.from_site = below(3),
		.from = below(2) != 0 ? 10 : below(256),
		.to_site = below(3),
		.to = below(2) != 0 ? 11 : below(4),
		.ttl = (uint8_t)(below(4) != 0 ? 1 + below(3) : below(256)),
		.proto = protos[below(sizeof(protos))],
		.frag = (uint16_t)(below(4) != 0 ? 0 : rnd()),
		.n_options = below(4) != 0 ? 0 : below(41),
		.len = (uint16_t)below(below(3) != 0 ? 64 : LEN_MAX - 100),
	};
	unsigned int len;
	uint8_t payload[LEN_MAX];

	fill(payload, p.len);
	fill(p.options, sizeof(p.options));
	payload[0] = (uint8_t)(below(2) != 0 ? 128 : below(16));
	p.payload = payload;
	len = put_packet(at, &p);
	if (below(2) != 0)
		flip(at, OMNI_MIN(len, below(2) != 0 ? 40U : 80U));
	if (!p.v6 && below(4) != 0) {
		memset(at + 10, 0, 2);
		omni_store_be16(at + 10, (uint16_t)~fold16(sum16(at, header_len(&p))));
	}
	return below(4) != 0 ? len : below(len + 1);
}

static struct rte_mbuf *bad_packet_frame(struct rig *r, const struct omni_port *port)
{
	struct packet p = {.len = 0};
	struct rte_mbuf *m = packet_frame(r, port, &p, 0);
	uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *), packet[LEN_MAX];
	unsigned int len = bad_packet(packet);

	rte_pktmbuf_trim(m, 20);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), packet, len);
	omni_store_be16(f + 12, len > 0 && packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
	if (below(8) == 0)
		flip(f, ETH);
	return m;
}

static struct rte_mbuf *bad_packet_datagram(struct rig *r)
{
	static uint64_t sequence = 1u << 20;
	struct forge f = {.sequence = ++sequence, .lane = (uint16_t)below(2)};
	uint8_t packet[LEN_MAX];
	unsigned int len = bad_packet(packet);

	if (below(8) == 0)
		f.kind = (uint8_t)below(6);
	return rig_sealed(r, 1, 0, &f, packet, (uint16_t)len);
}

static void take_all(struct rig *r)
{
	struct rte_mbuf *m;

	discard(r);
	while (omni_xring_take(r->site[0].xring->link, &m, 1) == 1)
		rte_pktmbuf_free(m);
	while ((m = rig_out(r->site[0].uplink)) != NULL)
		rte_pktmbuf_free(m);
}

/* L3: whatever a host sends, and whatever a member does. What leaves is a packet. */
static void packets(void **state)
{
	static const struct omni_l3 l3 = {.relay = true, .ecn = true};
	struct rig *r = *state;
	struct site *a = &r->site[0];
	unsigned int len, rounds = (unsigned int)env("OMNI_FUZZ_ROUNDS", 5);
	struct packet p = {.from = 10, .to_site = 1, .to = 11, .len = 50};

	join(r, NULL, &l3);
	rig_connect(r, 0, 2, NULL);
	allow(r, 0, 2);
	atomic_store(&a->bridges->at[DOMAIN].tcp_mss, OMNI_MSS_AUTO);
	a->local[0]->info.mtu = 1300;
	for (unsigned int burst = 0; burst < 200 * rounds; burst++) {
		for (unsigned int i = 0; i < 1 + burst % 70; i++) {
			rig_in(a->local[0], bad_packet_frame(r, a->local[0]));
			rig_in(a->uplink, bad_packet_datagram(r));
		}
		if (below(8) == 0)
			omni_fib_touch(a->fib);
		rig_turn(r, 0);
		while (take_packet(a->local[0], &len) != NULL)
			assert_in_range(len, 20, 1300);
		take_all(r);
	}
	/* Everything was met. */
	assert_true(rig_count(r, 0, OMNI_STAT_drop_bad_ip) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_ip_checksum) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_source_address) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_held_full) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_same_peer) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_ip_fragments_sent) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_icmp_sent) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_icmp_withheld) > 0);
	assert_true(rig_count(r, 0, OMNI_STAT_drop_no_mbuf) == 0);
	/* And it works still. */
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_length),
		TEST(in_bursts),
		TEST(local_nonsense),
		TEST(packets),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
