/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Finishing checksums, and cutting of segments. */
#include <errno.h>

#include "frames.h"

/* ---- Checksums ---- */

static void finishes_checksums(void **state)
{
	/* RFC 1071's example: 0001 f203 f4f5 f6f7 sum up to ddf2. */
	uint8_t frame[12] = {0xaa, 0xaa, 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0, 0};
	uint8_t ones[8] = {0xff, 0xff, 0, 0, 0, 0, 0, 0};

	(void)state;
	assert_true(omni_finish_checksum(frame, 12, 2, 8));
	assert_int_equal(be16(frame + 10), 0x220d);
	/* A UDP checksum of zero is sent as ones, another one as it is. */
	assert_true(omni_finish_checksum(ones, 8, 0, 6));
	assert_int_equal(be16(ones + 6), 0xffff);
	memcpy(ones, (const uint8_t[]){0xff, 0xff, 0, 0, 0, 0, 0, 0}, 8);
	assert_true(omni_finish_checksum(ones, 8, 0, 4));
	assert_int_equal(be16(ones + 4), 0);
	assert_false(omni_finish_checksum(frame, 12, 2, 9));
	assert_false(omni_finish_checksum(frame, 12, 0xffff, 0xffff));
	for (int i = 0; i < ROUNDS; i++) {
		struct shape s = any_shape();
		size_t len, l4;
		uint8_t *f;

		s.udp = rnd(2);
		s.payload = rnd(1500);
		f = make(&s, &len, true);
		l4 = l4_of(f);
		assert_true(omni_finish_checksum(f, (uint32_t)len, (uint16_t)l4, s.udp ? 6 : 16));
		assert_checksums(f, len);
		free(f);
	}
}

/* ---- Cutting ---- */

static void assert_piece(const struct shape *s, const uint8_t *whole, const uint8_t *f, size_t len,
			 uint32_t piece, uint32_t pieces, uint16_t size)
{
	size_t hdr = headers_of(s), l3 = l3_of(f), l4 = l4_of(f), from = (size_t)piece * size;
	bool last = piece + 1 == pieces;
	uint8_t flags = s->flags;

	assert_int_equal(len - hdr, last ? s->payload - from : size);
	assert_memory_equal(f + hdr, whole + hdr + from, len - hdr);
	assert_memory_equal(f, whole, l3);
	assert_checksums(f, len);
	if (!s->v6)
		assert_int_equal(be16(f + l3 + 4), (s->id + piece) & 0xffff);
	if (s->udp) {
		assert_int_equal(be16(f + l4 + 4), len - l4);
		assert_memory_equal(f + l4, whole + l4, 4);
		return;
	}
	if (piece > 0)
		flags &= (uint8_t)~CWR;
	if (!last)
		flags &= (uint8_t) ~(PSH | FIN);
	assert_int_equal(be32(f + l4 + 4), (uint32_t)(s->sequence + from));
	assert_int_equal(f[l4 + 13], flags);
	assert_memory_equal(f + l4 + 8, whole + l4 + 8, 5);
	assert_memory_equal(f + l4 + 14, whole + l4 + 14, 2);
	assert_memory_equal(f + l4 + 18, whole + l4 + 18, hdr - l4 - 18);
}

/* The same from the IP header on, and the same packets. */
static void assert_without_link(const struct omni_split *split, uint16_t size, const uint8_t *whole,
				uint32_t hdr, uint32_t len)
{
	const uint8_t *ip = whole + split->l3;
	uint8_t *f = malloc((size_t)hdr + size), *g = malloc((size_t)hdr + size);
	struct omni_split bare;
	uint32_t n;

	assert_int_equal(omni_split_packet(&bare, size, ip, hdr - split->l3, len - split->l3), 0);
	assert_int_equal(bare.l3, 0);
	assert_int_equal(bare.l4, split->l4 - split->l3);
	assert_int_equal(bare.hdr_len, split->hdr_len - split->l3);
	assert_int_equal(bare.pieces, split->pieces);
	for (uint32_t i = 0; i < bare.pieces; i++) {
		n = omni_split_piece(&bare, i, whole + hdr, g);
		assert_int_equal(omni_split_piece(split, i, whole + hdr, f), n + split->l3);
		assert_memory_equal(f + split->l3, g, n);
	}
	assert_int_equal(omni_split_packet(&bare, size, ip, hdr - split->l3 - 1, len - split->l3),
			 -EINVAL);
	assert_int_equal(omni_split_packet(&bare, OMNI_GSO_SIZE_MIN - 1, ip, hdr - split->l3,
					   len - split->l3),
			 -EINVAL);
	assert_int_equal(omni_split_packet(&bare, size, ip, 0, len - split->l3), -EINVAL);
	assert_int_equal(omni_split_packet(&bare, size, whole, hdr, len), -EINVAL);
	free(f);
	free(g);
}

static void cut_and_check(const struct shape *s, uint16_t size)
{
	struct virtio_net_hdr h = header_for(s, size);
	size_t hdr = headers_of(s), len, room = hdr + size;
	uint8_t *whole = make(s, &len, true), *f = malloc(room);
	struct omni_split split, bare;

	if ((s->flags & CWR) != 0)
		h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h.hdr_len = (uint16_t)rnd(2) ? h.hdr_len : (uint16_t)rnd((uint32_t)len);
	assert_int_equal(omni_split_begin(&split, &h, whole, (uint32_t)hdr, (uint32_t)len), 0);
	assert_int_equal(split.pieces, (s->payload + size - 1) / size);
	assert_int_equal(split.hdr_len, hdr);
	/* Without the header that describes it, the same is found. */
	if (!s->udp) {
		assert_int_equal(omni_split_tcp(&bare, size, whole, (uint32_t)hdr, (uint32_t)len),
				 0);
		assert_int_equal(bare.l3, split.l3);
		assert_int_equal(bare.l4, split.l4);
		assert_int_equal(bare.hdr_len, split.hdr_len);
		assert_int_equal(bare.pieces, split.pieces);
		assert_int_equal(
			omni_split_tcp(&bare, size, whole, (uint32_t)hdr - 1, (uint32_t)len),
			-EINVAL);
		assert_int_equal(omni_split_tcp(&bare, OMNI_GSO_SIZE_MIN - 1, whole, (uint32_t)hdr,
						(uint32_t)len),
				 -EINVAL);
		assert_without_link(&split, size, whole, (uint32_t)hdr, (uint32_t)len);
	}
	for (uint32_t i = 0; i < split.pieces; i++) {
		uint32_t n = omni_split_piece(&split, i, whole + hdr, f);

		assert_true(n <= room);
		assert_piece(s, whole, f, n, i, split.pieces, size);
	}
	free(whole);
	free(f);
}

static void cuts_segments(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct shape s = any_shape();

		s.udp = rnd(4) == 0;
		s.ip_options = s.v6 ? 0 : 4 * rnd(11);
		s.extension = s.v6 ? 8 * rnd(3) : 0;
		s.flags = (uint8_t)(ACK | (rnd(256) & (PSH | FIN | CWR | ECE)));
		s.payload = 1 + rnd(rnd(4) ? 3000 : (uint32_t)(65535 - headers_of(&s)));
		cut_and_check(&s, (uint16_t)(OMNI_GSO_SIZE_MIN + rnd(rnd(2) ? 1500 : 200)));
	}
}

static void cuts_the_largest_segment(void **state)
{
	struct shape s = {.flags = ACK | PSH, .tcp_options = 12, .id = 0xfff0, .tags = 2};

	(void)state;
	s.payload = 65535 - 52;
	cut_and_check(&s, 1448);
	cut_and_check(&s, 8);
	s.v6 = true;
	s.payload = 65535 - 32;
	cut_and_check(&s, 1428);
}

static int try_split(const struct shape *s, const struct virtio_net_hdr *h, size_t head, int cut)
{
	size_t len;
	uint8_t *f = make(s, &len, true), *part;
	struct omni_split split;
	int rc;

	head = head < len ? head : len;
	part = malloc(head);
	memcpy(part, f, head);
	rc = omni_split_begin(&split, h, part, (uint32_t)head, (uint32_t)(len - (size_t)cut));
	free(part);
	free(f);
	return rc;
}

static void refuses_segments_that_contradict_themselves(void **state)
{
	struct shape s = {.flags = ACK, .payload = 4000, .tcp_options = 12};
	const struct virtio_net_hdr good = header_for(&s, 1000);
	struct virtio_net_hdr h = good;

	(void)state;
	assert_int_equal(try_split(&s, &h, 9999, 0), 0);
	assert_int_equal(try_split(&s, &h, 66, 0), 0);
	for (size_t head = 0; head < 66; head++)
		assert_int_equal(try_split(&s, &h, head, 0), -EINVAL);
	assert_int_equal(try_split(&s, &h, 9999, 4000), -EINVAL);
	h.gso_size = 0;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h.gso_size = OMNI_GSO_SIZE_MIN - 1;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h = good;
	h.hdr_len = 5000;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h = good;
	h.flags = 0;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h = good;
	h.csum_start = 60000;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h.csum_start = good.csum_start - 2;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h = good;
	h.csum_offset = 6;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h.csum_offset = 0xffff;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	h = good;
	for (unsigned int type = 0; type < 256; type++) {
		h.gso_type = (uint8_t)type;
		assert_int_equal(try_split(&s, &h, 9999, 0),
				 (type & 0x7f) == VIRTIO_NET_HDR_GSO_TCPV4 ? 0 : -EINVAL);
	}
	s.v6 = true;
	h = good;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
	s.v6 = false;
	s.udp = true;
	assert_int_equal(try_split(&s, &h, 9999, 0), -EINVAL);
}

static void refuses_fragments_and_bad_headers(void **state)
{
	struct shape s = {.flags = ACK, .payload = 4000};
	const struct virtio_net_hdr h = header_for(&s, 1000);
	struct omni_split split;
	size_t len;
	uint8_t *f = make(&s, &len, true);

	(void)state;
	set16(f + 20, 0x2000);
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), -EINVAL);
	set16(f + 20, 0x4001);
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), -EINVAL);
	set16(f + 20, 0);
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), 0);
	f[14] = 0x44;
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), -EINVAL);
	f[14] = 0x65;
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), -EINVAL);
	f[14] = 0x45;
	f[46] = 0x40;
	assert_int_equal(omni_split_begin(&split, &h, f, 100, (uint32_t)len), -EINVAL);
	f[46] = 0xf0;
	assert_int_equal(omni_split_begin(&split, &h, f, 90, (uint32_t)len), -EINVAL);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finishes_checksums, start),
		cmocka_unit_test_setup(cuts_segments, start),
		cmocka_unit_test_setup(cuts_the_largest_segment, start),
		cmocka_unit_test_setup(refuses_segments_that_contradict_themselves, start),
		cmocka_unit_test_setup(refuses_fragments_and_bad_headers, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
