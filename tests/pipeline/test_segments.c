/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TCP segments of up to 64 KB: whole from port to port, and in frames where they cannot stay so. */
#include <rte_cycles.h>

#include <omni_chain.h>

#include "frames.h"
#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define PIECE 1420 /* of what goes over IPv4 with 1500 bytes */
#define SIZE 1366
#define A 11
#define B 22

static const struct link both_take = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS};

struct segment {
	uint8_t *bytes;
	size_t len;
};

static void introduce(struct rig *r, const struct link *link)
{
	for (unsigned int i = 0; i < 2; i++)
		r->site[i].local[0]->info.segments = true;
	rig_connect(r, 0, 1, link);
	rig_introduce(r, r->site[0].local[0], A, r->site[1].local[0], B);
	rig_forget_events(r);
}

static struct segment make_segment(const struct shape *shape)
{
	struct segment s;

	s.bytes = make(shape, &s.len, true);
	rig_mac(s.bytes, B);
	rig_mac(s.bytes + 6, A);
	return s;
}

static struct segment plain(size_t payload)
{
	const struct shape shape = {
		.tcp_options = 12, .flags = ACK | PSH, .window = 9, .payload = payload};

	return make_segment(&shape);
}

static struct rte_mbuf *buffer_of(struct rig *r, const struct segment *s, size_t at, uint16_t piece)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	uint16_t len = (uint16_t)RTE_MIN(s->len - at, (size_t)piece);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, len), s->bytes + at, len);
	return m;
}

/* As a port gives it: a chain of buffers of `piece` bytes, marked. */
static struct rte_mbuf *chain_of(struct rig *r, const struct segment *s, uint16_t piece)
{
	struct rte_mbuf *head = buffer_of(r, s, 0, piece);
	uint16_t l3 = (uint16_t)l3_of(s->bytes), l4 = (uint16_t)l4_of(s->bytes);

	for (size_t at = piece; at < s->len; at += piece)
		assert_int_equal(rte_pktmbuf_chain(head, buffer_of(r, s, at, piece)), 0);
	omni_segment_mark(head, s->bytes[l3] >> 4 == 6, SIZE, l3, l4,
			  (uint16_t)(l4 + (s->bytes[l4 + 12] >> 4) * 4));
	return head;
}

static void put(struct rig *r, const struct segment *s)
{
	rig_in(r->site[0].local[0], chain_of(r, s, PIECE));
}

static void expect_whole(struct omni_port *port, const struct segment *s)
{
	struct rte_mbuf *m = rig_out(port);
	struct virtio_net_hdr h;
	size_t at = 0;

	assert_non_null(m);
	assert_true(omni_is_segment(m));
	assert_int_equal(m->pkt_len, s->len);
	omni_segment_describe(m, &h);
	assert_int_equal(h.gso_size, SIZE);
	assert_int_equal(h.csum_start, l4_of(s->bytes));
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN, s->bytes[l3_of(s->bytes)] >> 4 == 6
								       ? VIRTIO_NET_HDR_GSO_TCPV6
								       : VIRTIO_NET_HDR_GSO_TCPV4);
	for (struct rte_mbuf *b = m; b != NULL; at += b->data_len, b = b->next)
		assert_memory_equal(rte_pktmbuf_mtod(b, uint8_t *), s->bytes + at, b->data_len);
	assert_int_equal(at, s->len);
	rte_pktmbuf_free(m);
}

/* Frames with right checksums that carry the segment's payload in order. */
static void expect_frames(struct omni_port *port, const struct segment *s)
{
	size_t hdr =
		s->len - (s->len - l4_of(s->bytes)) + (s->bytes[l4_of(s->bytes) + 12] >> 4) * 4u;
	size_t at = hdr;

	while (at < s->len) {
		struct rte_mbuf *m = rig_out(port);
		const uint8_t *f;

		assert_non_null(m);
		assert_false(omni_is_segment(m));
		assert_int_equal(m->nb_segs, 1);
		f = rte_pktmbuf_mtod(m, const uint8_t *);
		assert_checksums(f, m->data_len);
		assert_true(m->data_len - hdr == SIZE || at + m->data_len - hdr == s->len);
		assert_memory_equal(f + hdr, s->bytes + at, m->data_len - hdr);
		at += m->data_len - hdr;
		rte_pktmbuf_free(m);
	}
	rig_expect_nothing(port);
}

static void no_drops(const struct rig *r)
{
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

static void whole_from_port_to_port(void **state)
{
	struct rig *r = *state;

	introduce(r, &both_take);
	for (int i = 0; i < 300; i++) {
		struct shape shape = any_shape();
		struct segment s;

		shape.payload = 1 + rnd(60000);
		s = make_segment(&shape);
		put(r, &s);
		rig_run(r);
		expect_whole(r->site[1].local[0], &s);
		free(s.bytes);
	}
	no_drops(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_segments_sent), 300);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_segments_received), 300);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_pieces_sent),
			 rig_count(r, 1, OMNI_STAT_pieces_received));
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
}

/* Segments and frames of a burst leave in the order in which they came. */
static void order_is_kept(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(30000);

	introduce(r, &both_take);
	for (uint8_t i = 0; i < 20; i++) {
		rig_in(r->site[0].local[0], rig_frame(r, B, A, 100, i));
		put(r, &s);
	}
	rig_run(r);
	for (uint8_t i = 0; i < 20; i++) {
		rig_expect(r->site[1].local[0], B, A, 100, i);
		expect_whole(r->site[1].local[0], &s);
	}
	no_drops(r);
	free(s.bytes);
}

static void no_datagram_exceeds_the_path(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(60000);
	struct rte_mbuf *m;
	unsigned int n = 0;

	introduce(r, &both_take);
	r->unplugged = true;
	put(r, &s);
	rig_run(r);
	for (; (m = rig_out(r->site[0].uplink)) != NULL; n++) {
		assert_in_range(m->pkt_len, 0, 14 + 1500);
		assert_false(omni_is_segment(m));
		assert_int_equal(m->nb_segs, 1);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, (s.len + PIECE - 1) / PIECE);
	free(s.bytes);
}

/* ---- In frames ---- */

static void in_frames_over(struct rig *r, unsigned int cut_at)
{
	for (int i = 0; i < 20; i++) {
		struct segment s = plain(1 + rnd(60000));

		put(r, &s);
		rig_run(r);
		expect_frames(r->site[1].local[0], &s);
		free(s.bytes);
	}
	no_drops(r);
	assert_int_equal(rig_count(r, cut_at, OMNI_STAT_segments_cut), 20);
	assert_int_equal(rig_count(r, 1 - cut_at, OMNI_STAT_segments_cut), 0);
}

static void peer_does_not_take_them(void **state)
{
	static const struct link link = {.features = ALL_FEATURES};
	struct rig *r = *state;

	introduce(r, &link);
	in_frames_over(r, 0);
}

static void port_does_not_take_them(void **state)
{
	struct rig *r = *state;

	introduce(r, &both_take);
	r->site[1].local[0]->info.segments = false;
	in_frames_over(r, 1);
}

static void peer_asked_for_frames(void **state)
{
	struct rig *r = *state;

	introduce(r, &both_take);
	atomic_fetch_or(&r->site[0].key[1]->marks, OMNI_KEYPAIR_CUT);
	in_frames_over(r, 0);
}

/* Pieces as they were read do not fit the datagrams of this path. */
static void path_is_narrower(void **state)
{
	static const struct link link = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS,
					 .mtu = 1440};
	struct rig *r = *state;

	introduce(r, &link);
	in_frames_over(r, 0);
	assert_true(rig_count(r, 0, OMNI_STAT_fragments_sent) > 0);
}

/* Others send on the same lane, so pieces would not follow each other. */
static void shared_lane(void **state)
{
	static const struct link link = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS,
					 .lanes = 2};
	struct rig *r = *state;

	rig_set_workers(r, 0, 2);
	introduce(r, &link);
	in_frames_over(r, 0);
}

static void between_ports_of_one_site(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	struct segment s = plain(40000);

	a->local[0]->info.segments = a->local[1]->info.segments = true;
	rig_introduce(r, a->local[0], A, a->local[1], B);
	put(r, &s);
	rig_run(r);
	expect_whole(a->local[1], &s);
	a->local[1]->info.segments = false;
	put(r, &s);
	rig_run(r);
	expect_frames(a->local[1], &s);
	assert_int_equal(rig_drops(r, 0), 0);
	free(s.bytes);
}

static void flooded_in_frames(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(20000);

	introduce(r, &both_take);
	rig_mac(s.bytes, 99);
	put(r, &s);
	rig_run(r);
	expect_frames(r->site[1].local[0], &s);
	expect_frames(r->site[0].local[1], &s);
	free(s.bytes);
}

static void no_buffers_to_cut_into(void **state)
{
	static const struct link link = {.features = ALL_FEATURES};
	struct rig *r = *state;
	struct segment s = plain(60000);
	struct rte_mbuf *m, *taken = NULL;

	introduce(r, &link);
	put(r, &s);
	while ((m = rte_pktmbuf_alloc(r->pool)) != NULL) {
		m->next = taken;
		taken = m;
	}
	rig_turn(r, 0);
	for (; taken != NULL; taken = m) {
		m = taken->next;
		taken->next = NULL;
		rte_pktmbuf_free(taken);
	}
	rig_run(r);
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_mbuf), (60000 + SIZE - 1) / SIZE);
	free(s.bytes);
}

/* ---- Pieces that do not come as they should ---- */

/* The datagrams of a segment, on the way. */
static unsigned int sent(struct rig *r, const struct segment *s, struct rte_mbuf **m)
{
	put(r, s);
	return rig_intercept(r, 0, m);
}

static void arrives_again(struct rig *r, const struct segment *s)
{
	put(r, s);
	rig_run(r);
	expect_whole(r->site[1].local[0], s);
	rig_expect_nothing(r->site[1].local[0]);
}

static void lost_piece(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(20000);
	struct rte_mbuf *m[OMNI_CHAIN_MAX + 1];
	unsigned int n, all = 0;

	introduce(r, &both_take);
	for (unsigned int lost = 0; lost < (s.len + PIECE - 1) / PIECE; lost++) {
		rig_forget_events(r);
		n = sent(r, &s, m);
		for (unsigned int i = 0; i < n; i++) {
			if (i == lost)
				rte_pktmbuf_free(m[i]);
			else
				rig_in(r->site[1].uplink, m[i]);
		}
		arrives_again(r, &s);
		all += n - 1;
		assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_broken_segment), all);
		assert_in_range(rig_events(r, 1, OMNI_EVENT_BROKEN), 1, 2);
	}
	assert_int_equal(rig_drops(r, 1), all);
	free(s.bytes);
}

static void exchanged_pieces(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(5000);
	struct rte_mbuf *m[OMNI_CHAIN_MAX + 1], *second;
	unsigned int n;

	introduce(r, &both_take);
	n = sent(r, &s, m);
	second = m[1];
	m[1] = m[2];
	m[2] = second;
	for (unsigned int i = 0; i < n; i++)
		rig_in(r->site[1].uplink, m[i]);
	arrives_again(r, &s);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_broken_segment), n);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_BROKEN), 1);
	free(s.bytes);
}

static void given_up_in_time(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(5000);
	struct rte_mbuf *m[OMNI_CHAIN_MAX + 1];
	unsigned int n;
	uint64_t deadline;

	introduce(r, &both_take);
	n = sent(r, &s, m);
	rig_in(r->site[1].uplink, m[0]);
	for (unsigned int i = 1; i < n; i++)
		rte_pktmbuf_free(m[i]);
	rig_run(r);
	deadline = omni_node_deadline(r->site[1].worker);
	assert_true(deadline > rte_rdtsc());
	while (rte_rdtsc() < deadline)
		rte_pause();
	rig_run(r);
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_broken_segment), 1);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_BROKEN), 1);
	arrives_again(r, &s);
	free(s.bytes);
}

/* A piece with any header, sealed by a peer that may be hostile. */
static void forge_piece(struct rig *r, uint32_t id, uint16_t begin, uint16_t whole, uint16_t size,
			uint16_t zero, const uint8_t *bytes, uint16_t len)
{
	static uint64_t sequence = 1000;
	const struct forge f = {.sequence = sequence++, .lane = 1, .kind = OMNI_KIND_SEGMENT};
	uint8_t piece[OMNI_PIECE_HDR_LEN + PIECE];

	omni_store_be32(piece, id);
	omni_store_be16(piece + 4, begin);
	omni_store_be16(piece + 6, whole);
	omni_store_be16(piece + 8, size);
	omni_store_be16(piece + 10, zero);
	memcpy(piece + OMNI_PIECE_HDR_LEN, bytes, len);
	rig_in(r->site[1].uplink,
	       rig_sealed(r, 0, 1, &f, piece, (uint16_t)(OMNI_PIECE_HDR_LEN + len)));
	rig_run(r);
}

static void hostile_pieces(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(1000);
	uint16_t len = (uint16_t)s.len;
	uint64_t bad = 0;

	introduce(r, &both_take);
	/* As it should be, in one piece. */
	forge_piece(r, 1, 0, len, SIZE, 0, s.bytes, len);
	expect_whole(r->site[1].local[0], &s);
	/* Beyond the whole, reserved bytes, nothing in it, a size that is none. */
	forge_piece(r, 2, 0, len - 1, SIZE, 0, s.bytes, len);
	forge_piece(r, 3, 1, len, SIZE, 0, s.bytes, len);
	forge_piece(r, 4, 0, len, SIZE, 1, s.bytes, len);
	forge_piece(r, 5, 0, len, SIZE, 0, s.bytes, 0);
	forge_piece(r, 6, 0, len, 7, 0, s.bytes, len);
	bad += 5;
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_bad_fragment), bad);
	/* No TCP, headers that overrun it, or that are not all in the first piece. */
	s.bytes[14 + 9] = 17;
	forge_piece(r, 7, 0, len, SIZE, 0, s.bytes, len);
	s.bytes[14 + 9] = 6;
	s.bytes[34 + 12] = 0xf0;
	forge_piece(r, 8, 0, 60, SIZE, 0, s.bytes, 60);
	s.bytes[34 + 12] = 0x80;
	forge_piece(r, 9, 0, len, SIZE, 0, s.bytes, 40);
	forge_piece(r, 9, 40, len, SIZE, 0, s.bytes + 40, (uint16_t)(len - 40));
	bad += 3;
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_bad_fragment), bad);
	rig_expect_nothing(r->site[1].local[0]);
	/* More pieces than there may be. */
	for (uint16_t i = 0; i < OMNI_PIECES_MAX + 1; i++)
		forge_piece(r, 10, (uint16_t)(i * 10), 1000, SIZE, 0, s.bytes + i * 10, 10);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_broken_segment), OMNI_PIECES_MAX + 1);
	/* Whole, size or name change on the way. */
	for (unsigned int i = 0; i < 3; i++) {
		forge_piece(r, 20 + i, 0, len, SIZE, 0, s.bytes, 500);
		forge_piece(r, 20 + i + (i == 0), 500, (uint16_t)(len + (i == 1)),
			    (uint16_t)(SIZE + (i == 2)), 0, s.bytes + 500, 100);
	}
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_broken_segment), OMNI_PIECES_MAX + 7);
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
	free(s.bytes);
}

/* Frames of a size that no buffer of ours holds. */
static void frames_too_long_to_cut(void **state)
{
	struct rig *r = *state;
	struct segment s = plain(20000);

	introduce(r, &both_take);
	for (size_t at = 0; at < s.len; at += PIECE)
		forge_piece(r, 1, (uint16_t)at, (uint16_t)s.len, 15000, 0, s.bytes + at,
			    (uint16_t)RTE_MIN(s.len - at, (size_t)PIECE));
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_too_long), 1);
	free(s.bytes);
}

static int group_setup(void **state)
{
	return start(state) == 0 ? rig_group_setup(state) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_from_port_to_port),
		TEST(order_is_kept),
		TEST(no_datagram_exceeds_the_path),
		TEST(peer_does_not_take_them),
		TEST(port_does_not_take_them),
		TEST(peer_asked_for_frames),
		TEST(path_is_narrower),
		TEST(shared_lane),
		TEST(between_ports_of_one_site),
		TEST(flooded_in_frames),
		TEST(no_buffers_to_cut_into),
		TEST(lost_piece),
		TEST(exchanged_pieces),
		TEST(given_up_in_time),
		TEST(hostile_pieces),
		TEST(frames_too_long_to_cut),
	};

	return cmocka_run_group_tests(tests, group_setup, rig_group_teardown);
}
