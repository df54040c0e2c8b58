/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Joining: what comes out, cut again, must be what went in. */
#include "frames.h"

struct burst {
	unsigned int n;
	uint8_t *f[OMNI_JOIN_MAX];
	size_t len[OMNI_JOIN_MAX];
	bool damaged[OMNI_JOIN_MAX];
};

static void free_burst(struct burst *b)
{
	for (unsigned int i = 0; i < b->n; i++)
		free(b->f[i]);
	b->n = 0;
}

/* The pieces of a segment, as far as they fit. */
static void add_pieces(struct burst *b, const struct shape *s, uint16_t size)
{
	const struct virtio_net_hdr h = header_for(s, size);
	size_t hdr = headers_of(s), len;
	uint8_t *whole = make(s, &len, true);
	struct omni_split split;

	assert_int_equal(omni_split_begin(&split, &h, whole, (uint32_t)hdr, (uint32_t)len), 0);
	for (uint32_t i = 0; i < split.pieces && b->n < OMNI_JOIN_MAX; i++) {
		uint8_t *f = malloc(hdr + omni_split_payload(&split, i));

		b->len[b->n] = omni_split_piece(&split, i, whole + hdr, f);
		b->damaged[b->n] = false;
		b->f[b->n++] = f;
	}
	free(whole);
}

static void join(struct omni_join *j, const struct burst *b)
{
	omni_join_begin(j);
	for (unsigned int i = 0; i < b->n; i++)
		omni_join_add(j, b->f[i], (uint32_t)b->len[i]);
	assert_int_equal(j->frames, b->n);
}

/* Put a group together as a driver does. */
static uint8_t *assemble(const struct omni_join *j, const struct omni_join_group *g,
			 const struct burst *b, struct virtio_net_hdr *h, size_t *len)
{
	uint8_t head[OMNI_SEGMENT_HDR_MAX], *whole = malloc(OMNI_SEGMENT_MAX);
	uint32_t hdr = omni_join_head(j, g, h, head);

	memcpy(whole, head, hdr);
	*len = hdr;
	for (unsigned int i = g->first; i != OMNI_JOIN_END; i = j->next[i]) {
		assert_true(*len + b->len[i] - hdr <= OMNI_SEGMENT_MAX);
		memcpy(whole + *len, b->f[i] + hdr, b->len[i] - hdr);
		*len += b->len[i] - hdr;
	}
	return whole;
}

/* Cut again, a group must give the frames that it was made of, bit by bit. */
static void assert_group(const struct omni_join *j, const struct omni_join_group *g,
			 const struct burst *b)
{
	struct virtio_net_hdr h;
	struct omni_split split;
	size_t len, l3, l4;
	uint8_t *whole = assemble(j, g, b, &h, &len), *f;
	unsigned int i = g->first;

	l3 = l3_of(whole);
	l4 = l4_of(whole);
	assert_true(len - l3 <= 65535 + (g->v6 ? 40 : 0));
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.csum_start, l4);
	/* What the kernel expects in the field: the folded pseudo header. */
	assert_int_equal(be16(whole + l4 + 16), pseudo(whole, len, 6));
	if (!g->v6)
		assert_int_equal(add(0, whole + l3, l4 - l3), 0xffff);
	assert_int_equal(omni_split_begin(&split, &h, whole, (uint32_t)len, (uint32_t)len), 0);
	assert_int_equal(split.pieces, g->n);
	f = malloc(split.hdr_len + split.size);
	for (uint32_t piece = 0; piece < split.pieces; piece++, i = j->next[i]) {
		assert_int_not_equal(i, OMNI_JOIN_END);
		assert_false(b->damaged[i]);
		assert_int_equal(omni_split_piece(&split, piece, whole + split.hdr_len, f),
				 b->len[i]);
		if (g->same_id) {
			assert_int_equal(be16(b->f[i] + l3 + 4), be16(whole + l3 + 4));
			memcpy(f + l3 + 4, b->f[i] + l3 + 4, 2);
			memcpy(f + l3 + 10, b->f[i] + l3 + 10, 2);
		}
		assert_memory_equal(f, b->f[i], b->len[i]);
	}
	assert_int_equal(i, OMNI_JOIN_END);
	free(f);
	free(whole);
}

/* What a frame's TCP flow is, for the order of frames; 0: none. */
static uint64_t flow_of(const uint8_t *f, size_t len)
{
	size_t l3 = l3_of(f), l4 = l4_of(f);

	if (len < l4 + 20 || proto_of(f) != 6)
		return 0;
	return (uint64_t)(f[l3] >> 4 == 6 ? f[l3 + 23] + 256u : f[l3 + 19]) << 32 | be32(f + l4);
}

static void assert_joined(const struct omni_join *j, const struct burst *b)
{
	uint64_t position[OMNI_JOIN_MAX], count = 0;
	bool seen[OMNI_JOIN_MAX] = {false};

	for (unsigned int k = 0; k < j->n; k++) {
		const struct omni_join_group *g = &j->group[k];
		unsigned int n = 0, before = 0;

		for (unsigned int i = g->first; i != OMNI_JOIN_END; i = j->next[i], n++) {
			assert_true(i < b->n);
			assert_true(n == 0 || i > before);
			assert_false(seen[i]);
			seen[i] = true;
			position[i] = count++;
			before = i;
		}
		assert_int_equal(n, g->n);
		assert_true(n <= OMNI_JOIN_GROUP);
		if (n > 1)
			assert_group(j, g, b);
	}
	assert_int_equal(count, b->n);
	for (unsigned int i = 0; i < b->n; i++)
		for (unsigned int k = i + 1; k < b->n; k++)
			if (flow_of(b->f[i], b->len[i]) != 0 &&
			    flow_of(b->f[i], b->len[i]) == flow_of(b->f[k], b->len[k]))
				assert_true(position[i] < position[k]);
}

static void joins_what_was_cut(void **state)
{
	struct omni_join j;
	struct burst b = {0};

	(void)state;
	for (int round = 0; round < ROUNDS / 4; round++) {
		struct shape s = any_shape();
		uint16_t size = (uint16_t)(20 + rnd(1400));
		unsigned int pieces = 1 + rnd(40);

		s.flags = ACK | (rnd(2) ? PSH : 0);
		s.payload = OMNI_MIN(size * (pieces - 1) + OMNI_GSO_SIZE_MIN + rnd(size - 7u),
				     65535 - headers_of(&s));
		add_pieces(&b, &s, size);
		join(&j, &b);
		assert_int_equal(j.n, 1);
		assert_joined(&j, &b);
		free_burst(&b);
	}
}

/* What one turn receives of a stream: each segment is a group, wherever in the burst it lies. */
static void joins_many_segments(void **state)
{
	struct shape s = {.flags = ACK | PSH, .payload = 43 * 1368 + 500, .tcp_options = 12};
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	for (unsigned int i = 0; i < 5; i++, s.sequence += (uint32_t)s.payload)
		add_pieces(&b, &s, 1368);
	join(&j, &b);
	assert_int_equal(j.n, 5);
	assert_joined(&j, &b);
	free_burst(&b);
}

/* So that neither a chain of buffers nor a list of them is longer than who takes it has room. */
static void groups_are_bounded(void **state)
{
	struct shape s = {.flags = ACK, .payload = 200 * 20, .tcp_options = 12};
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	add_pieces(&b, &s, 20);
	join(&j, &b);
	assert_int_equal(j.n, (200 + OMNI_JOIN_GROUP - 1) / OMNI_JOIN_GROUP);
	assert_joined(&j, &b);
	free_burst(&b);
}

static void joins_flows_beside_each_other(void **state)
{
	struct burst one = {0}, two = {0}, b = {0};
	struct shape s = {.flags = ACK, .payload = 20 * 100, .tcp_options = 12, .flow = 1};
	struct omni_join j;

	(void)state;
	add_pieces(&one, &s, 100);
	s.flow = 2;
	s.v6 = true;
	add_pieces(&two, &s, 100);
	for (unsigned int i = 0; i < 20; i++) {
		b.f[b.n] = one.f[i];
		b.len[b.n++] = one.len[i];
		b.f[b.n] = two.f[i];
		b.len[b.n++] = two.len[i];
	}
	join(&j, &b);
	assert_int_equal(j.n, 2);
	assert_joined(&j, &b);
	free_burst(&b);
}

/* A burst of two frames that belong together, changed by change: are they joined still? */
static bool joined_after(void (*change)(uint8_t *first, uint8_t *second, size_t *len), bool v6)
{
	struct shape s = {.flags = ACK,
			  .payload = 1000,
			  .tcp_options = 12,
			  .window = 500,
			  .v6 = v6,
			  .id = 7,
			  .tags = 1};
	struct burst b = {0};
	struct omni_join j;
	bool joined;

	add_pieces(&b, &s, 500);
	change(b.f[0], b.f[1], &b.len[1]);
	for (int i = 0; i < 2; i++) {
		size_t l3 = l3_of(b.f[i]);

		if (!v6) {
			set16(b.f[i] + l3 + 10, 0);
			set16(b.f[i] + l3 + 10, ~add(0, b.f[i] + l3, 20) & 0xffff);
		}
		put_checksum(b.f[i], b.len[i], false);
	}
	join(&j, &b);
	joined = j.n == 1;
	free_burst(&b);
	return joined;
}

#define CHANGE(name, what)                                             \
	static void name(uint8_t *first, uint8_t *second, size_t *len) \
	{                                                              \
		(void)first;                                           \
		(void)second;                                          \
		(void)len;                                             \
		what;                                                  \
	}

CHANGE(nothing, )
CHANGE(psh_in_first, first[l4_of(first) + 13] |= PSH)
CHANGE(psh_in_second, second[l4_of(second) + 13] |= PSH)
CHANGE(fin, second[l4_of(second) + 13] |= FIN)
CHANGE(syn, second[l4_of(second) + 13] |= SYN)
CHANGE(rst, second[l4_of(second) + 13] |= 0x04)
CHANGE(urg, second[l4_of(second) + 13] |= 0x20)
CHANGE(ece, second[l4_of(second) + 13] |= ECE)
CHANGE(cwr, second[l4_of(second) + 13] |= CWR)
CHANGE(no_ack, second[l4_of(second) + 13] &= (uint8_t)~ACK)
CHANGE(reserved, second[l4_of(second) + 12] |= 1)
CHANGE(other_ack, second[l4_of(second) + 11] ^= 1)
CHANGE(other_window, second[l4_of(second) + 15] ^= 1)
CHANGE(other_stamp, second[l4_of(second) + 27] ^= 1)
CHANGE(other_port, second[l4_of(second) + 1] ^= 1)
CHANGE(gap, second[l4_of(second) + 7] ^= 1)
CHANGE(other_mac, second[11] ^= 1)
CHANGE(other_vlan, second[15] ^= 1)
CHANGE(other_tos, second[l3_of(second) + 1] ^= 0x10)
CHANGE(other_ttl, second[l3_of(second) + (second[18] >> 4 == 6 ? 7 : 8)] ^= 1)
CHANGE(other_source, second[l3_of(second) + 15] ^= 1)
CHANGE(other_id, second[l3_of(second) + 5] ^= 1)
CHANGE(fragment, second[l3_of(second) + 6] = 0x20)
CHANGE(may_fragment, second[l3_of(second) + 6] = 0)
CHANGE(padded, set16(second + l3_of(second) + (second[18] >> 4 == 6 ? 4 : 2), 300))

static void joins_only_what_the_kernel_would(void **state)
{
	static void (*const must_not[])(uint8_t *, uint8_t *, size_t *) = {
		psh_in_first, fin,	  syn,	     rst,	   urg,		 ece,	     cwr,
		no_ack,	      reserved,	  other_ack, other_window, other_stamp,	 other_port, gap,
		other_mac,    other_vlan, other_tos, other_ttl,	   other_source, padded,
	};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		assert_true(joined_after(nothing, v6));
		assert_true(joined_after(psh_in_second, v6));
		for (size_t i = 0; i < OMNI_ARRAY_SIZE(must_not); i++)
			assert_false(joined_after(must_not[i], v6));
	}
	assert_false(joined_after(other_id, false));
	assert_false(joined_after(fragment, false));
	assert_false(joined_after(may_fragment, false));
}

static void never_joins_a_wrong_checksum(void **state)
{
	struct shape s = {.flags = ACK, .payload = 500, .tcp_options = 12};
	struct burst b = {0};
	struct omni_join j;
	size_t bytes;

	(void)state;
	add_pieces(&b, &s, 100);
	bytes = b.len[2] - 14;
	/* Every byte behind Ethernet's header: each is under a checksum or must be the same. */
	for (size_t at = 14; at < 14 + bytes; at++) {
		b.f[2][at] ^= 0x41;
		b.damaged[2] = true;
		join(&j, &b);
		assert_in_range(j.n, 3, 5);
		assert_joined(&j, &b);
		b.f[2][at] ^= 0x41;
	}
	b.f[0][80] ^= 1;
	b.damaged[2] = false;
	b.damaged[0] = true;
	join(&j, &b);
	assert_int_equal(j.n, 2);
	assert_joined(&j, &b);
	free_burst(&b);
}

static void joins_frames_of_one_id(void **state)
{
	struct shape s = {.flags = ACK, .payload = 500};
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	add_pieces(&b, &s, 100);
	for (unsigned int i = 0; i < b.n; i++) {
		set16(b.f[i] + 18, 0);
		set16(b.f[i] + 24, 0);
		set16(b.f[i] + 24, ~add(0, b.f[i] + 14, 20) & 0xffff);
	}
	join(&j, &b);
	assert_int_equal(j.n, 1);
	assert_joined(&j, &b);
	/* Without DF the id is what tells fragments apart. */
	for (unsigned int i = 0; i < b.n; i++) {
		set16(b.f[i] + 20, 0);
		set16(b.f[i] + 24, 0);
		set16(b.f[i] + 24, ~add(0, b.f[i] + 14, 20) & 0xffff);
	}
	join(&j, &b);
	assert_int_equal(j.n, b.n);
	free_burst(&b);
}

static void opaque_frames_are_not_overtaken(void **state)
{
	struct shape s = {.flags = ACK, .payload = 400};
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	add_pieces(&b, &s, 100);
	omni_join_begin(&j);
	omni_join_add(&j, b.f[0], (uint32_t)b.len[0]);
	omni_join_add(&j, b.f[1], (uint32_t)b.len[1]);
	omni_join_add_opaque(&j);
	omni_join_add(&j, b.f[2], (uint32_t)b.len[2]);
	omni_join_add(&j, b.f[3], (uint32_t)b.len[3]);
	assert_int_equal(j.n, 3);
	assert_int_equal(j.group[0].n, 2);
	assert_int_equal(j.group[1].n, 1);
	assert_int_equal(j.group[2].n, 2);
	free_burst(&b);
}

/* One random change: what the network, or somebody with bad intentions, may do to a frame. */
static void disturb(struct burst *b, unsigned int i)
{
	uint8_t *f = b->f[i];
	size_t l3 = l3_of(f), l4 = l4_of(f);

	if (proto_of(f) != 6)
		return;
	switch (rnd(6)) {
	case 0:
		f[rnd((uint32_t)b->len[i] - 14) + 14] ^= (uint8_t)(1 + rnd(255));
		b->damaged[i] = true;
		break;
	case 1:
		f[l4 + 13] |= (uint8_t)(1u << rnd(8));
		put_checksum(f, b->len[i], false);
		break;
	case 2:
		set32(f + l4 + 4, be32(f + l4 + 4) + rnd(3));
		put_checksum(f, b->len[i], false);
		break;
	case 3:
		f[l4 + 15] ^= (uint8_t)rnd(4);
		put_checksum(f, b->len[i], false);
		break;
	case 4:
		b->len[i] = l3 + rnd((uint32_t)(b->len[i] - l3));
		f = malloc(b->len[i] > 0 ? b->len[i] : 1);
		memcpy(f, b->f[i], b->len[i]);
		free(b->f[i]);
		b->f[i] = f;
		b->damaged[i] = true;
		break;
	default:
		break;
	}
}

static void random_flow(struct burst *b)
{
	struct shape s = any_shape();
	uint16_t size = (uint16_t)(OMNI_GSO_SIZE_MIN + rnd(300));

	s.tcp_options = 12;
	s.tags = rnd(2);
	s.flags = (uint8_t)(ACK | (rnd(2) ? PSH : 0));
	s.payload = 1 + rnd(size * 16u);
	s.udp = rnd(10) == 0;
	s.extension = s.v6 && rnd(8) == 0 ? 8 : 0;
	add_pieces(b, &s, size);
}

static void swap(struct burst *b, unsigned int i, unsigned int k)
{
	uint8_t *f = b->f[i];
	size_t len = b->len[i];

	b->f[i] = b->f[k];
	b->len[i] = b->len[k];
	b->f[k] = f;
	b->len[k] = len;
}

static void any_burst_comes_out_whole(void **state)
{
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	for (int round = 0; round < ROUNDS / 2; round++) {
		while (b.n < OMNI_JOIN_MAX)
			random_flow(&b);
		/* Flows come mixed; some frames change places within theirs as well. */
		for (int i = 0; i < 20; i++)
			swap(&b, rnd(b.n), rnd(b.n));
		for (unsigned int i = 0; i < b.n; i++)
			if (rnd(4) == 0)
				disturb(&b, i);
		join(&j, &b);
		/* The order of damaged frames is nobody's, so only the groups are looked at. */
		for (unsigned int k = 0; k < j.n; k++)
			if (j.group[k].n > 1)
				assert_group(&j, &j.group[k], &b);
		free_burst(&b);
	}
}

static void order_of_every_flow_is_kept(void **state)
{
	struct burst b = {0};
	struct omni_join j;

	(void)state;
	for (int round = 0; round < ROUNDS / 2; round++) {
		while (b.n < OMNI_JOIN_MAX)
			random_flow(&b);
		for (int i = 0; i < 20; i++)
			swap(&b, rnd(b.n), rnd(b.n));
		join(&j, &b);
		assert_joined(&j, &b);
		free_burst(&b);
	}
}

static void noise_is_harmless(void **state)
{
	struct omni_split split;
	struct omni_join j;
	struct burst b = {0};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct virtio_net_hdr h;

		for (b.n = 0; b.n < OMNI_JOIN_MAX; b.n++) {
			b.len[b.n] = rnd(120);
			b.f[b.n] = malloc(b.len[b.n] + (b.len[b.n] == 0));
			for (size_t i = 0; i < b.len[b.n]; i++)
				b.f[b.n][i] = (uint8_t)rnd(256);
			if (b.len[b.n] > 20) {
				set16(b.f[b.n] + 12, rnd(2) ? 0x0800 : rnd(2) ? 0x86dd : 0x8100);
				b.f[b.n][14] = rnd(2) ? 0x45 : 0x60;
			}
			if (b.len[b.n] > 40)
				b.f[b.n][23] = b.f[b.n][20] = 6;
			for (size_t i = 0; i < sizeof(h); i++)
				((uint8_t *)&h)[i] = (uint8_t)rnd(rnd(2) ? 256 : 8);
			(void)!omni_split_begin(&split, &h, b.f[b.n], (uint32_t)b.len[b.n],
						(uint32_t)b.len[b.n]);
			(void)omni_finish_checksum(b.f[b.n], (uint32_t)b.len[b.n], h.csum_start,
						   h.csum_offset);
		}
		join(&j, &b);
		free_burst(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(joins_what_was_cut, start),
		cmocka_unit_test_setup(joins_many_segments, start),
		cmocka_unit_test_setup(groups_are_bounded, start),
		cmocka_unit_test_setup(joins_flows_beside_each_other, start),
		cmocka_unit_test_setup(joins_only_what_the_kernel_would, start),
		cmocka_unit_test_setup(never_joins_a_wrong_checksum, start),
		cmocka_unit_test_setup(joins_frames_of_one_id, start),
		cmocka_unit_test_setup(opaque_frames_are_not_overtaken, start),
		cmocka_unit_test_setup(any_burst_comes_out_whole, start),
		cmocka_unit_test_setup(order_of_every_flow_is_kept, start),
		cmocka_unit_test_setup(noise_is_harmless, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
