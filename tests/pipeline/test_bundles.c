/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Short frames that share datagrams: what leaves, read here byte by byte, and what arrives. */
#include <stdlib.h>

#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define V4_FRONT 42 /* Ethernet, IP, UDP */
#define V6_FRONT 62
#define HDR 24
#define TAG 16

/* One datagram as it was read. */
struct seen {
	unsigned int kind, ip_len, plain_len, front;
	uint8_t plain[FRAME_MAX];
};

static void set_bundles(struct rig *r, bool on)
{
	for (unsigned int i = 0; i < SITES; i++)
		atomic_store(&r->site[i].bridges->at[DOMAIN].bundles, on);
}

static void introduce(struct rig *r, const struct link *link)
{
	rig_connect(r, 0, 1, link);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
	set_bundles(r, true);
}

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* Opens the datagram with the receiver's key, by offsets from the document. */
static void read_datagram(struct rig *r, unsigned int from, unsigned int to, struct rte_mbuf *m,
			  struct seen *s)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *), *h;
	bool v6 = be16(d + 12) == 0x86dd;
	struct omni_aead_op op;
	uint8_t nonce[12];

	s->front = v6 ? V6_FRONT : V4_FRONT;
	s->ip_len = v6 ? be16(d + 18) + 40 : be16(d + 16);
	h = d + s->front;
	assert_int_equal(s->ip_len + 14, rte_pktmbuf_data_len(m));
	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(rte_pktmbuf_pkt_len(m), rte_pktmbuf_data_len(m));
	s->kind = h[20];
	s->plain_len = rte_pktmbuf_data_len(m) - s->front - HDR - TAG;
	op = (struct omni_aead_op){
		.key = r->site[to].key[from]->rx_key,
		.aad = h,
		.aad_len = HDR,
		.src = h + HDR,
		.dst = s->plain,
		.tag = rte_pktmbuf_mtod_offset(m, uint8_t *, s->front + HDR + s->plain_len),
		.len = s->plain_len,
	};
	memcpy(nonce, h + 16, 4);
	memcpy(nonce + 4, h + 8, 8);
	omni_aead_op_nonce(&op, nonce, nonce + 4);
	assert_int_equal(omni_aead_open_burst(r->site[to].control_aead, &op, 1), 1);
}

/* The next frame of the plain text at *at: its bytes; its length in *len. */
static const uint8_t *next_frame(const struct seen *s, unsigned int *at, unsigned int *len)
{
	const uint8_t *p = s->plain + *at;

	if (s->kind == OMNI_KIND_FRAME) {
		*len = s->plain_len;
		*at = s->plain_len;
		return p;
	}
	assert_int_equal(s->kind, OMNI_KIND_BUNDLE);
	assert_true(*at + 2 <= s->plain_len);
	*len = be16(p);
	assert_in_range(*len, 1, s->plain_len - *at - 2);
	*at += 2 + *len;
	return p + 2;
}

static void assert_bytes(const uint8_t *p, unsigned int len, unsigned int dst, unsigned int src,
			 uint8_t seed)
{
	uint8_t mac[12];

	rig_mac(mac, dst);
	rig_mac(mac + 6, src);
	assert_memory_equal(p, mac, 12);
	for (unsigned int i = 14; i < len; i++)
		assert_int_equal(p[i], (uint8_t)(seed + i * 7 + (i >> 8)));
}

/* n frames of these lengths into site 0 for site 1, seeds counting; nothing is carried. */
static void put(struct rig *r, const uint16_t *len, unsigned int n)
{
	r->unplugged = true;
	for (unsigned int i = 0; i < n; i++)
		rig_in(r->site[0].local[0], rig_frame(r, 22, 11, len[i], (uint8_t)i));
	rig_run(r);
}

/*
 * All datagrams of site 0: the n frames in their order, in as few datagrams as one look ahead
 * allows. Returns how many they were.
 */
static unsigned int take(struct rig *r, const uint16_t *len, unsigned int n, unsigned int mtu)
{
	unsigned int datagrams = 0, i = 0;
	struct rte_mbuf *m;
	struct seen s;

	while ((m = rig_out(r->site[0].uplink)) != NULL) {
		unsigned int at = 0, got = 0, frames = 0;

		read_datagram(r, 0, 1, m, &s);
		rte_pktmbuf_free(m);
		assert_in_range(s.ip_len, 1, mtu);
		datagrams++;
		while (at < s.plain_len && i < n) {
			const uint8_t *p = next_frame(&s, &at, &got);

			assert_int_equal(got, len[i]);
			assert_bytes(p, got, 22, 11, (uint8_t)i);
			i++;
			frames++;
		}
		assert_int_equal(at, s.plain_len);
		assert_true(s.kind == OMNI_KIND_FRAME || frames > 1);
		/* The burst's end aside, what could have come with it did not leave alone. */
		if (s.kind == OMNI_KIND_BUNDLE && i < n && i % OMNI_NODE_BURST != 0 &&
		    len[i] <= OMNI_NODE_BUNDLE_FRAME_MAX)
			assert_true(s.ip_len + 2 + len[i] > mtu);
	}
	assert_int_equal(i, n);
	return datagrams;
}

static void a_burst_of_one_size(void **state)
{
	struct rig *r = *state;
	uint16_t len[OMNI_NODE_BURST];

	introduce(r, NULL);
	for (unsigned int i = 0; i < OMNI_NODE_BURST; i++)
		len[i] = 64;
	put(r, len, OMNI_NODE_BURST);
	/* (1500 - 68) / 66 = 21, three times, and a lone one. */
	assert_int_equal(take(r, len, OMNI_NODE_BURST, 1500), 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_sent), 3);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundled_frames), 63);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 4);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void every_mix_and_mtu(void **state)
{
	static const uint16_t mtu[] = {576, 700, 1280, 1500, 8900};
	struct rig *r = *state;

	introduce(r, NULL);
	srand(1);
	for (unsigned int i = 0; i < 200; i++) {
		struct omni_path *path = atomic_load(&r->site[0].peer[1]->path);
		unsigned int n = 1 + (unsigned int)rand() % 100, most = 14 + i * 12 / 5;
		uint16_t len[100];

		path->mtu = mtu[i % OMNI_ARRAY_SIZE(mtu)];
		for (unsigned int j = 0; j < n; j++)
			len[j] = (uint16_t)(14 + (unsigned int)rand() % (most - 13));
		put(r, len, n);
		take(r, len, n, path->mtu);
	}
	assert_int_equal(rig_drops(r, 0), 0);
}

static void the_last_byte_of_the_path(void **state)
{
	struct rig *r = *state;
	uint16_t len[2] = {300, 0};

	introduce(r, NULL);
	for (uint16_t mtu = 576; mtu < 640; mtu++) {
		struct omni_path *path = atomic_load(&r->site[0].peer[1]->path);
		uint16_t second = (uint16_t)(mtu - 68 - 2 - 300 - 2);

		path->mtu = mtu;
		len[1] = second;
		put(r, len, 2);
		assert_int_equal(take(r, len, 2, mtu), 1);
		len[1] = (uint16_t)(second + 1);
		put(r, len, 2);
		assert_int_equal(take(r, len, 2, mtu), 2);
	}
}

static void long_frames_pass_alone_and_in_order(void **state)
{
	const uint16_t max = OMNI_NODE_BUNDLE_FRAME_MAX, over = max + 1;
	const uint16_t len[] = {60, 60, over, 60, 60, 1000, 60, max, 1400, 1400, 60};
	struct rig *r = *state;

	introduce(r, NULL);
	put(r, len, OMNI_ARRAY_SIZE(len));
	assert_int_equal(take(r, len, OMNI_ARRAY_SIZE(len), 1500), 8);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_sent), 3);
}

static void lone_frames_stay_frames(void **state)
{
	static const uint16_t one[] = {60}, mixed[] = {60, 1400, 60, 1400, 60};
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < 5; i++) {
		put(r, one, 1);
		assert_int_equal(take(r, one, 1, 1500), 1);
	}
	put(r, mixed, 5);
	assert_int_equal(take(r, mixed, 5, 1500), 5);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_sent), 0);
}

static void nothing_waits_for_another_burst(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < 4; i++) {
		rig_in(r->site[0].local[0], rig_frame(r, 22, 11, 60, 1));
		rig_turn(r, 0);
		rig_in(r->site[0].local[1], rig_frame(r, 22, 12, 60, 1));
		rig_turn(r, 0);
	}
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 8);
	for (unsigned int i = 0; i < 8; i++)
		rte_pktmbuf_free(rig_out(r->site[1].local[0]));
	rig_expect_nothing(r->site[1].local[0]);
}

static void off_means_off(void **state)
{
	static const uint16_t len[] = {60, 60, 60, 60};
	struct rig *r = *state;

	introduce(r, NULL);
	set_bundles(r, false);
	put(r, len, 4);
	assert_int_equal(take(r, len, 4, 1500), 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_sent), 0);
}

/* ---- And arrive ---- */

static void through(struct rig *r, const struct link *link)
{
	struct site *a = &r->site[0], *b = &r->site[1];
	uint16_t len[900];

	introduce(r, link);
	srand(2);
	for (unsigned int i = 0; i < 900; i++) {
		len[i] = (uint16_t)(rand() % 8 == 0 ? 14 + rand() % 1500 : 14 + rand() % 120);
		rig_in(a->local[0], rig_frame(r, 22, 11, len[i], (uint8_t)i));
		rig_in(b->local[0], rig_frame(r, 11, 22, len[i], (uint8_t)(i + 1)));
	}
	rig_run(r);
	for (unsigned int i = 0; i < 900; i++) {
		rig_expect(b->local[0], 22, 11, len[i], (uint8_t)i);
		rig_expect(a->local[0], 11, 22, len[i], (uint8_t)(i + 1));
	}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	assert_true(rig_count(r, 0, OMNI_STAT_bundles_sent) > 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(rig_count(r, i, OMNI_STAT_bundles_sent),
				 rig_count(r, 1 - i, OMNI_STAT_bundles_received));
}

static void arrive_in_order(void **state)
{
	through(*state, NULL);
}

static void arrive_over_ipv6(void **state)
{
	static const struct link link = {.v6 = true, .mtu = 1280};

	through(*state, &link);
}

static void arrive_over_a_narrow_path(void **state)
{
	static const struct link link = {.mtu = 576, .cipher = OMNI_CIPHER_CHACHAPOLY};

	through(*state, &link);
	assert_true(rig_count(*state, 0, OMNI_STAT_fragments_sent) > 0);
}

static void replayed_bundles_are_dropped(void **state)
{
	static const uint16_t len[] = {60, 70, 80};
	struct rig *r = *state;
	struct rte_mbuf *m, *again;

	introduce(r, NULL);
	put(r, len, 3);
	m = rig_out(r->site[0].uplink);
	assert_non_null(m);
	again = rte_pktmbuf_copy(m, r->pool, 0, UINT32_MAX);
	rig_in(r->site[1].uplink, m);
	rig_in(r->site[1].uplink, again);
	rig_run(r);
	for (unsigned int i = 0; i < 3; i++)
		rig_expect(r->site[1].local[0], 22, 11, len[i], (uint8_t)i);
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_replayed), 1);
}

/* Frames to three peers take turns; each peer gets its own bundles, in order. */
static void several_peers(void **state)
{
	struct rig *r = *state;

	for (unsigned int i = 1; i < SITES; i++) {
		rig_connect(r, 0, i, NULL);
		rig_introduce(r, r->site[0].local[0], 11, r->site[i].local[0], 20 + i);
	}
	set_bundles(r, true);
	for (unsigned int i = 0; i < 300; i++)
		rig_in(r->site[0].local[0],
		       rig_frame(r, 21 + i % 3, 11, i % 50 < 3 ? 900 : 60 + i % 40, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 300; i++)
		rig_expect(r->site[1 + i % 3].local[0], 21 + i % 3, 11,
			   i % 50 < 3 ? 900 : 60 + i % 40, (uint8_t)i);
	assert_int_equal(rig_drops(r, 0), 0);
	for (unsigned int i = 1; i < SITES; i++)
		assert_true(rig_count(r, i, OMNI_STAT_bundles_received) >= 5);
}

/* Copies of broadcast frames are bundled too, each peer's over its own path. */
static void flooded_frames(void **state)
{
	struct rig *r = *state;
	const uint16_t mtu[SITES] = {0, 1500, 9000, 576};

	for (unsigned int i = 1; i < SITES; i++) {
		const struct link link = {.mtu = mtu[i], .v6 = i == 2};

		rig_connect(r, 0, i, &link);
	}
	set_bundles(r, true);
	for (unsigned int i = 0; i < 60; i++)
		rig_in(r->site[0].local[0],
		       rig_frame(r, 0, 11, i % 20 == 7 ? 800 : 60 + i, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 60; i++) {
		uint16_t len = i % 20 == 7 ? 800 : 60 + (uint16_t)i;

		for (unsigned int s = 1; s < SITES; s++)
			for (unsigned int j = 0; j < LOCALS; j++)
				rig_expect(r->site[s].local[j], 0, 11, len, (uint8_t)i);
		rig_expect(r->site[0].local[1], 0, 11, len, (uint8_t)i);
		rig_expect(r->site[0].local[2], 0, 11, len, (uint8_t)i);
	}
	assert_int_equal(rig_drops(r, 0), 0);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_bundles_received), 6);
	assert_int_equal(rig_count(r, 2, OMNI_STAT_bundles_received), 6);
	assert_true(rig_count(r, 3, OMNI_STAT_bundles_received) > 6);
}

/* Frames that lie at the very end of their buffers, or have hardly any headroom. */
static void buffers_without_slack(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < 120; i++) {
		struct rte_mbuf *m = rig_frame(r, 22, 11, 60, (uint8_t)i);
		unsigned int to = i % 3 == 0   ? m->data_off
				  : i % 3 == 1 ? m->buf_len - 60u - TAG - i % 48
					       : V4_FRONT + HDR + i % 2;

		memmove((uint8_t *)m->buf_addr + to, rte_pktmbuf_mtod(m, void *), 60);
		m->data_off = (uint16_t)to;
		rig_in(r->site[0].local[0], m);
	}
	rig_run(r);
	for (unsigned int i = 0; i < 120; i++)
		rig_expect(r->site[1].local[0], 22, 11, 60, (uint8_t)i);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	assert_true(rig_count(r, 0, OMNI_STAT_bundles_sent) > 0);
}

/* ---- Bundles made by hand: from site 1 to host 11 behind site 0 ---- */

static unsigned int add(uint8_t *bundle, unsigned int at, uint16_t len)
{
	memset(bundle + at, 0, 2u + len);
	omni_store_be16(bundle + at, len);
	rig_mac(bundle + at + 2, 11);
	rig_mac(bundle + at + 8, 22);
	return at + 2 + len;
}

static unsigned int arrived(struct rig *r, const uint8_t *bundle, unsigned int len)
{
	static uint64_t sequence = 1000;
	const struct forge f = {.sequence = ++sequence, .lane = 1, .kind = OMNI_KIND_BUNDLE};
	unsigned int n = 0;
	struct rte_mbuf *m;

	rig_in(r->site[0].uplink, rig_sealed(r, 1, 0, &f, bundle, (uint16_t)len));
	rig_run(r);
	while ((m = rig_out(r->site[0].local[0])) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

/* A frame over what was negotiated is its own fault, wherever it stands. */
static void too_long_in_a_bundle(void **state)
{
	static const struct link link = {.frame_max = 1514};
	struct rig *r = *state;
	uint8_t bundle[6000];

	introduce(r, &link);
	for (unsigned int bad = 0; bad < 3; bad++) {
		unsigned int len = 0;

		for (unsigned int i = 0; i < 3; i++)
			len = add(bundle, len, i == bad ? 1515 : 1514);
		assert_int_equal(arrived(r, bundle, len), 2);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 3);
	assert_int_equal(rig_drops(r, 0), 3);
}

/* Every number of frames around the size of a burst, and a lone one. */
static void any_number_of_frames(void **state)
{
	struct rig *r = *state;
	uint8_t bundle[FRAME_MAX];

	introduce(r, NULL);
	for (unsigned int n = 1; n <= 140; n++) {
		unsigned int len = 0;

		for (unsigned int i = 0; i < n; i++)
			len = add(bundle, len, 60);
		assert_int_equal(arrived(r, bundle, len), n);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_received), 140);
	assert_int_equal(rig_drops(r, 0), 0);
}

/* What earlier frames left in the buffers of the pool is not in the frames of a bundle. */
static void buffers_of_earlier_frames(void **state)
{
	static struct rte_mbuf *held[POOL_SIZE];
	struct rig *r = *state;
	struct rte_mbuf *m;
	uint8_t bundle[FRAME_MAX];
	unsigned int len = 0, n = 0;

	introduce(r, NULL);
	while ((m = rte_pktmbuf_alloc(r->pool)) != NULL) {
		m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_TX_TCP_SEG;
		m->packet_type = RTE_PTYPE_L4_TCP;
		m->vlan_tci = m->vlan_tci_outer = 5;
		m->tx_offload = 6;
		m->data_off = 7;
		held[n++] = m;
	}
	rte_pktmbuf_free_bulk(held, n);
	for (unsigned int i = 0; i < 20; i++)
		len = add(bundle, len, (uint16_t)(60 + i));
	rig_in(r->site[0].uplink,
	       rig_sealed(r, 1, 0,
			  &(struct forge){.sequence = 1, .lane = 1, .kind = OMNI_KIND_BUNDLE},
			  bundle, (uint16_t)len));
	rig_run(r);
	for (unsigned int i = 0; i < 20; i++) {
		m = rig_out(r->site[0].local[0]);
		assert_non_null(m);
		assert_int_equal(m->ol_flags, 0);
		assert_int_equal(m->packet_type | m->vlan_tci | m->vlan_tci_outer, 0);
		assert_int_equal(m->tx_offload, 0);
		assert_int_equal(m->nb_segs, 1);
		assert_null(m->next);
		assert_int_equal(rte_mbuf_refcnt_read(m), 1);
		assert_int_equal(rte_pktmbuf_pkt_len(m), 60 + i);
		assert_int_equal(rte_pktmbuf_data_len(m), 60 + i);
		rte_pktmbuf_free(m);
	}
}

/* Where the pool gives few buffers or none, what fits arrives and the rest is counted. */
static void pool_runs_dry(void **state)
{
	static struct rte_mbuf *held[POOL_SIZE];
	struct rig *r = *state;
	uint8_t bundle[FRAME_MAX];
	unsigned int len = 0, n_held = 0;

	introduce(r, NULL);
	for (unsigned int i = 0; i < 20; i++)
		len = add(bundle, len, 60);
	for (unsigned int left = 0; left < 4; left++) {
		uint64_t lost = rig_count(r, 0, OMNI_STAT_drop_no_mbuf);
		struct rte_mbuf *m;

		while ((m = rte_pktmbuf_alloc(r->pool)) != NULL)
			held[n_held++] = m;
		/* One for the datagram. */
		for (unsigned int i = 0; i < left + 1; i++)
			rte_pktmbuf_free(held[--n_held]);
		assert_int_equal(arrived(r, bundle, len), left + 1);
		assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_mbuf) - lost, 19 - left);
	}
	rte_pktmbuf_free_bulk(held, n_held);
	assert_int_equal(arrived(r, bundle, len), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_burst_of_one_size),
		TEST(every_mix_and_mtu),
		TEST(the_last_byte_of_the_path),
		TEST(long_frames_pass_alone_and_in_order),
		TEST(lone_frames_stay_frames),
		TEST(nothing_waits_for_another_burst),
		TEST(off_means_off),
		TEST(arrive_in_order),
		TEST(arrive_over_ipv6),
		TEST(arrive_over_a_narrow_path),
		TEST(replayed_bundles_are_dropped),
		TEST(several_peers),
		TEST(flooded_frames),
		TEST(buffers_without_slack),
		TEST(too_long_in_a_bundle),
		TEST(any_number_of_frames),
		TEST(buffers_of_earlier_frames),
		TEST(pool_runs_dry),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
