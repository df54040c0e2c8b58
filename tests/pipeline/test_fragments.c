/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames in pieces: over narrow paths and back together, and what hostile pieces come to. */
#include <rte_cycles.h>

#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

static void introduce(struct rig *r, const struct link *link)
{
	rig_connect(r, 0, 1, link);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
}

static void over_mtu(struct rig *r, const struct link *link, uint16_t max)
{
	struct site *a = &r->site[0], *b = &r->site[1];
	uint16_t step = max > 2000 ? 97 : 13;

	introduce(r, link);
	for (uint16_t len = 14; len <= max; len += step) {
		rig_in(a->local[0], rig_frame(r, 22, 11, len, (uint8_t)len));
		rig_in(b->local[0], rig_frame(r, 11, 22, max - len + 14, (uint8_t)len));
	}
	rig_run(r);
	for (uint16_t len = 14; len <= max; len += step) {
		rig_expect(b->local[0], 22, 11, len, (uint8_t)len);
		rig_expect(a->local[0], 11, 22, max - len + 14, (uint8_t)len);
	}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	assert_true(rig_count(r, 0, OMNI_STAT_fragments_sent) > 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig_count(r, i, OMNI_STAT_fragments_sent),
				 rig_count(r, 1 - i, OMNI_STAT_fragments_received));
		assert_int_equal(omni_node_deadline(r->site[i].worker), 0);
	}
}

static void mtu_1500(void **state)
{
	static const struct link link = {.mtu = 1500};

	over_mtu(*state, &link, 1514);
}

static void mtu_1280(void **state)
{
	static const struct link link = {.mtu = 1280, .cipher = OMNI_CIPHER_CHACHAPOLY};

	over_mtu(*state, &link, 1514);
}

static void mtu_576(void **state)
{
	static const struct link link = {.mtu = 576};

	over_mtu(*state, &link, FRAME_MAX);
}

static void mtu_1280_ipv6(void **state)
{
	static const struct link link = {.mtu = 1280, .v6 = true};

	over_mtu(*state, &link, FRAME_MAX);
}

/* No datagram exceeds the path, no piece but the last is under 256 bytes, ids count. */
static void pieces_as_promised(void **state)
{
	static const struct link link = {.mtu = 576};
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct rte_mbuf *m;

	introduce(r, &link);
	r->unplugged = true;
	for (uint16_t len = 480; len <= FRAME_MAX; len++) {
		uint16_t sum = 0, pieces = 0;

		rig_in(a->local[0], rig_frame(r, 22, 11, len, 1));
		rig_run(r);
		while ((m = rig_out(a->uplink)) != NULL) {
			uint16_t size = (uint16_t)(rte_pktmbuf_data_len(m) - 14 - OMNI_OVERHEAD_V4);

			assert_in_range(rte_pktmbuf_data_len(m), 14 + OMNI_OVERHEAD_V4, 14 + 576);
			pieces++;
			sum = (uint16_t)(sum + size);
			if (len > 576 - OMNI_OVERHEAD_V4) {
				sum = (uint16_t)(sum - OMNI_FRAGMENT_HDR_LEN);
				assert_true(size - OMNI_FRAGMENT_HDR_LEN >= 256 || sum == len);
			}
			rte_pktmbuf_free(m);
		}
		assert_int_equal(sum, len);
		assert_int_equal(pieces, len <= 508 ? 1 : (len + 499) / 500);
	}
	assert_int_equal(a->key[1]->tx[1].frame_id, FRAME_MAX - 508);
}

/* Big and small frames of one flow arrive in the order of their sending. */
static void order_is_kept(void **state)
{
	static const struct link link = {.mtu = 1280};
	struct rig *r = *state;

	introduce(r, &link);
	for (unsigned int i = 0; i < 500; i++)
		rig_in(r->site[0].local[0],
		       rig_frame(r, 22, 11, i % 3 == 0 ? 1514 : 60, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 500; i++)
		rig_expect(r->site[1].local[0], 22, 11, i % 3 == 0 ? 1514 : 60, (uint8_t)i);
}

static void flooded_in_pieces(void **state)
{
	struct rig *r = *state;
	const uint16_t mtu[SITES] = {0, 1500, 9200, 576};

	for (unsigned int i = 1; i < SITES; i++) {
		const struct link link = {.mtu = mtu[i]};

		rig_connect(r, 0, i, &link);
	}
	for (unsigned int i = 0; i < 70; i++)
		rig_in(r->site[0].local[0], rig_frame(r, 0, 11, 1514, (uint8_t)i));
	rig_run(r);
	for (unsigned int i = 0; i < 70; i++) {
		for (unsigned int s = 1; s < SITES; s++)
			for (unsigned int j = 0; j < LOCALS; j++)
				rig_expect(r->site[s].local[j], 0, 11, 1514, (uint8_t)i);
		rig_expect(r->site[0].local[1], 0, 11, 1514, (uint8_t)i);
		rig_expect(r->site[0].local[2], 0, 11, 1514, (uint8_t)i);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_fragments_sent), 70 * (2 + 4));
	assert_int_equal(rig_drops(r, 0), 0);
}

static void peer_without_fragments(void **state)
{
	static const struct link link = {.features = OMNI_FEATURE_BUNDLES};
	struct rig *r = *state;

	introduce(r, &link);
	rig_in(r->site[0].local[0], rig_frame(r, 22, 11, 1514, 1));
	rig_in(r->site[0].local[0], rig_frame(r, 22, 11, 1500 - OMNI_OVERHEAD_V4, 1));
	rig_run(r);
	rig_expect(r->site[1].local[0], 22, 11, 1500 - OMNI_OVERHEAD_V4, 1);
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 1);
}

/* ---- Pieces made by hand: from site 1 to host 11 behind site 0 ---- */

static uint64_t sequence;

struct piece {
	uint32_t id;
	uint16_t offset, whole, len;
};

static void put(struct rig *r, struct piece p)
{
	const struct forge f = {
		.sequence = ++sequence + 1000, .lane = 1, .kind = OMNI_KIND_FRAGMENT};
	uint8_t plain[OMNI_FRAGMENT_HDR_LEN + FRAME_MAX] = {0}, *frame = plain + 8;

	omni_store_be32(plain, p.id);
	omni_store_be16(plain + 4, p.offset);
	omni_store_be16(plain + 6, p.whole);
	if (p.offset == 0) {
		rig_mac(frame, 11);
		rig_mac(frame + 6, 22);
	}
	rig_in(r->site[0].uplink, rig_sealed(r, 1, 0, &f, plain, OMNI_FRAGMENT_HDR_LEN + p.len));
	rig_run(r);
}

static unsigned int arrived(struct rig *r)
{
	unsigned int n = 0;
	struct rte_mbuf *m;

	while ((m = rig_out(r->site[0].local[0])) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

static void any_order(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	put(r, (struct piece){.id = 1, .offset = 600, .whole = 1000, .len = 400});
	put(r, (struct piece){.id = 2, .offset = 0, .whole = 700, .len = 300});
	put(r, (struct piece){.id = 1, .offset = 300, .whole = 1000, .len = 300});
	assert_int_equal(arrived(r), 0);
	put(r, (struct piece){.id = 1, .offset = 0, .whole = 1000, .len = 300});
	assert_int_equal(arrived(r), 1);
	put(r, (struct piece){.id = 2, .offset = 300, .whole = 700, .len = 400});
	assert_int_equal(arrived(r), 1);
	put(r, (struct piece){.id = 3, .offset = 0, .whole = 100, .len = 100});
	assert_int_equal(arrived(r), 1);
	assert_int_equal(rig_drops(r, 0), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_reassembled), 3);
}

/* Each begins a good frame, ends it badly, and then sends what was missing: nothing comes. */
static void contradictions(void **state)
{
	static const struct piece bad[] = {
		{.offset = 300, .whole = 1001, .len = 400}, /* another length */
		{.offset = 299, .whole = 1000, .len = 400}, /* overlaps the first */
		{.offset = 0, .whole = 1000, .len = 300},   /* again */
	};
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		struct piece p = bad[i];

		p.id = i;
		put(r, (struct piece){.id = i, .offset = 0, .whole = 1000, .len = 300});
		put(r, p);
		assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_fragment), 2 * i + 1);
		put(r, (struct piece){.id = i, .offset = 300, .whole = 1000, .len = 700});
		assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_fragment), 2 * i + 2);
		assert_int_equal(arrived(r), 0);
	}
	assert_int_equal(rig_drops(r, 0), 2 * OMNI_ARRAY_SIZE(bad));
}

static void impossible_pieces(void **state)
{
	static const struct link link = {.frame_max = 1514};
	static const struct piece bad[] = {
		{.offset = 0, .whole = 1000, .len = 0},	    /* empty */
		{.offset = 1000, .whole = 1000, .len = 0},  /* empty at the end */
		{.offset = 0, .whole = 1000, .len = 255},   /* tiny, and not the last */
		{.offset = 800, .whole = 1000, .len = 201}, /* over the whole */
		{.offset = 0, .whole = 0, .len = 1},
		{.offset = 65535, .whole = 65535, .len = 300},
		{.offset = 65400, .whole = 200, .len = 336}, /* wraps */
	};
	struct rig *r = *state;

	introduce(r, &link);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		put(r, bad[i]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_fragment), OMNI_ARRAY_SIZE(bad));
	/* Longer than was negotiated. */
	put(r, (struct piece){.offset = 0, .whole = 1515, .len = 1000});
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 1);
	assert_int_equal(rig_drops(r, 0), OMNI_ARRAY_SIZE(bad) + 1);
	assert_int_equal(omni_node_deadline(r->site[0].worker), 0);
	/* A header that is not all there. */
	for (uint16_t len = 0; len < OMNI_FRAGMENT_HDR_LEN; len++) {
		const struct forge f = {
			.sequence = 500000u + len, .lane = 1, .kind = OMNI_KIND_FRAGMENT};
		const uint8_t zero[8] = {0};

		rig_in(r->site[0].uplink, rig_sealed(r, 1, 0, &f, zero, len));
	}
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_fragment),
			 OMNI_ARRAY_SIZE(bad) + OMNI_FRAGMENT_HDR_LEN);
	assert_int_equal(arrived(r), 0);
}

static void bounds_per_peer_and_time(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	unsigned int held, free_before;
	uint64_t deadline;

	introduce(r, NULL);
	free_before = rte_mempool_avail_count(r->pool);
	for (unsigned int i = 0; i < 4 * OMNI_REASSEMBLY_PEER_MAX; i++)
		put(r, (struct piece){.id = i, .offset = 0, .whole = 1000, .len = 300});
	held = free_before - rte_mempool_avail_count(r->pool);
	assert_int_equal(held, OMNI_REASSEMBLY_PEER_MAX);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_reassembly_full),
			 3 * OMNI_REASSEMBLY_PEER_MAX);
	deadline = omni_node_deadline(a->worker);
	assert_true(deadline > rte_rdtsc());
	while (rte_rdtsc() < deadline + rte_get_tsc_hz() / 5)
		rte_pause();
	rig_run(r);
	assert_int_equal(omni_node_deadline(a->worker), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_reassembly_timeout),
			 OMNI_REASSEMBLY_PEER_MAX);
	assert_int_equal(rte_mempool_avail_count(r->pool), free_before);
	/* And it works again. */
	put(r, (struct piece){.id = 1, .offset = 300, .whole = 1000, .len = 700});
	put(r, (struct piece){.id = 1, .offset = 0, .whole = 1000, .len = 300});
	assert_int_equal(arrived(r), 1);
}

/* Far more frames than there are entries, one after the other. */
static void entries_are_used_again(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < 4 * OMNI_REASSEMBLY_MAX; i++) {
		put(r, (struct piece){.id = i * 7, .offset = 300, .whole = 1000, .len = 700});
		put(r, (struct piece){.id = i * 7, .offset = 0, .whole = 1000, .len = 300});
		assert_int_equal(arrived(r), 1);
	}
	assert_int_equal(rig_drops(r, 0), 0);
}

/* The same ids on two lanes, and from two peers, are different frames. */
static void ids_belong_to_lanes(void **state)
{
	const struct forge f = {.sequence = 1, .lane = 0, .kind = OMNI_KIND_FRAGMENT};
	struct rig *r = *state;
	uint8_t plain[OMNI_FRAGMENT_HDR_LEN + 700] = {0};

	introduce(r, NULL);
	put(r, (struct piece){.id = 7, .offset = 0, .whole = 1000, .len = 300});
	omni_store_be32(plain, 7);
	omni_store_be16(plain + 4, 300);
	omni_store_be16(plain + 6, 1000);
	rig_in(r->site[0].uplink, rig_sealed(r, 1, 0, &f, plain, sizeof(plain)));
	rig_run(r);
	assert_int_equal(arrived(r), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_fragments_received), 2);
	assert_int_equal(rig_drops(r, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mtu_1500),
		TEST(mtu_1280),
		TEST(mtu_576),
		TEST(mtu_1280_ipv6),
		TEST(pieces_as_promised),
		TEST(order_is_kept),
		TEST(flooded_in_pieces),
		TEST(peer_without_fragments),
		TEST(any_order),
		TEST(contradictions),
		TEST(impossible_pieces),
		TEST(bounds_per_peer_and_time),
		TEST(entries_are_used_again),
		TEST(ids_belong_to_lanes),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
