/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TCP's MSS across the cluster: SYNs in, SYNs out, their checksums computed anew. */
#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define SYN 0x02
#define ACK 0x10

struct syn {
	uint8_t flags;
	bool v6;
	unsigned int tags, ip_options; /* IPv4: bytes; IPv6: extension headers of 8 bytes */
	uint8_t options[40];
	unsigned int n_options; /* multiple of 4 */
	uint16_t fragment;	/* IPv4: flags and offset */
	uint8_t extension;	/* IPv6: kind; 0: hop by hop */
	unsigned int payload;
	unsigned int cut; /* bytes missing at the frame's end */
};

static void store16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned int be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint32_t sum(const uint8_t *p, unsigned int len, uint32_t s)
{
	for (unsigned int i = 0; i < len; i++)
		s += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	return s;
}

/* Over the pseudo header and the segment: 0xffff where the checksum holds. */
static unsigned int tcp_sum(const uint8_t *ip, bool v6, const uint8_t *tcp, unsigned int len)
{
	uint32_t s = sum(tcp, len, sum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, 6 + len));

	while (s >> 16 != 0)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static unsigned int tcp_at(const struct syn *s)
{
	return 14 + 4 * s->tags + (s->v6 ? 40 + 8 * s->ip_options : 20 + s->ip_options);
}

static struct rte_mbuf *make(struct rig *r, const struct syn *s, unsigned int dst, unsigned int src)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	unsigned int at = tcp_at(s), tcp_len = 20 + s->n_options + s->payload;
	uint8_t *f = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(at + tcp_len));
	uint8_t *ip = f + 14 + 4 * s->tags, *tcp = f + at;

	memset(f, 0, at + tcp_len);
	rig_mac(f, dst);
	rig_mac(f + 6, src);
	for (unsigned int i = 0; i < s->tags; i++) {
		store16(f + 12 + 4 * i, i + 1 < s->tags ? 0x88a8 : 0x8100);
		store16(f + 14 + 4 * i, 100 + i);
	}
	store16(ip - 2, s->v6 ? 0x86dd : 0x0800);
	if (s->v6) {
		ip[0] = 0x60;
		store16(ip + 4, tcp_len + 8 * s->ip_options);
		ip[6] = s->ip_options > 0 ? s->extension : 6;
		for (unsigned int i = 0; i < s->ip_options; i++)
			ip[40 + 8 * i] = i + 1 < s->ip_options ? 60 : 6;
		memset(ip + 8, 0x21, 32);
	} else {
		ip[0] = (uint8_t)(0x45 + s->ip_options / 4);
		store16(ip + 2, 20 + s->ip_options + tcp_len);
		store16(ip + 6, s->fragment);
		ip[9] = 6;
		memset(ip + 12, 0x0a, 8);
	}
	store16(tcp, 40000);
	store16(tcp + 2, 80);
	tcp[12] = (uint8_t)((20 + s->n_options) / 4 << 4);
	tcp[13] = s->flags;
	memcpy(tcp + 20, s->options, s->n_options);
	for (unsigned int i = 0; i < s->payload; i++)
		tcp[20 + s->n_options + i] = (uint8_t)(i * 3);
	store16(tcp + 16, ~tcp_sum(ip, s->v6, tcp, tcp_len) & 0xffff);
	rte_pktmbuf_trim(m, (uint16_t)s->cut);
	return m;
}

static void set_mss(struct rig *r, uint16_t mss)
{
	for (unsigned int i = 0; i < SITES; i++)
		atomic_store(&r->site[i].bridges->at[DOMAIN].tcp_mss, mss);
}

static void introduce(struct rig *r, const struct link *link)
{
	rig_connect(r, 0, 1, link);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
	set_mss(r, OMNI_MSS_AUTO);
}

/* Through both sites; what arrived differs at most in the checksum and the option at mss_at. */
static void pass(struct rig *r, const struct syn *s, unsigned int mss_at, unsigned int want)
{
	struct rte_mbuf *m = make(r, s, 22, 11);
	unsigned int len = rte_pktmbuf_data_len(m), at = tcp_at(s);
	uint8_t was[2048], *f;

	memcpy(was, rte_pktmbuf_mtod(m, void *), len);
	rig_in(r->site[0].local[0], m);
	rig_run(r);
	m = rig_out(r->site[1].local[0]);
	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_data_len(m), len);
	f = rte_pktmbuf_mtod(m, uint8_t *);
	if (want != 0) {
		assert_int_equal(be16(f + at + mss_at), want);
		assert_int_equal(tcp_sum(f + 14 + 4 * s->tags, s->v6, f + at, len - at), 0xffff);
		store16(was + at + mss_at, want);
		memcpy(was + at + 16, f + at + 16, 2);
	}
	assert_memory_equal(f, was, len);
	rte_pktmbuf_free(m);
}

#define MSS(v) 2, 4, (v) >> 8, (v)&0xff

/* 1500 - 68 - 14 - 40 */
#define FITS_V4 1378
#define FITS_V6 1358

static void ipv4_and_ipv6(void **state)
{
	struct rig *r = *state;
	struct syn s = {.flags = SYN, .options = {MSS(1460)}, .n_options = 4};

	introduce(r, NULL);
	pass(r, &s, 22, FITS_V4);
	s.flags = SYN | ACK;
	pass(r, &s, 22, FITS_V4);
	s.v6 = true;
	pass(r, &s, 22, FITS_V6);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_mss_clamped), 3);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_mss_clamped), 0);
}

/* The side that receives it clamps, too: its path to that peer may be narrower. */
static void on_arrival(void **state)
{
	struct rig *r = *state;
	struct syn s = {.flags = SYN, .options = {MSS(1460)}, .n_options = 4};

	introduce(r, NULL);
	atomic_load(&r->site[1].peer[0]->path)->mtu = 1280;
	pass(r, &s, 22, FITS_V4 - 220);
	atomic_store(&r->site[0].bridges->at[DOMAIN].tcp_mss, OMNI_MSS_OFF);
	pass(r, &s, 22, FITS_V4 - 220);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_mss_clamped), 1);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_mss_clamped), 2);
}

static void tags_and_options(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int tags = 0; tags <= 2; tags++)
		for (unsigned int options = 0; options <= 3; options++) {
			struct syn s = {.flags = SYN,
					.tags = tags,
					.ip_options = options * 4,
					.options = {MSS(1460)},
					.n_options = 4};

			pass(r, &s, 22, FITS_V4 - 4 * tags);
			s.v6 = true;
			s.ip_options = options;
			s.extension = options % 2 == 0 ? 43 : 0;
			pass(r, &s, 22, FITS_V6 - 4 * tags);
		}
}

/* The option at every offset, odd ones included, with payload of any parity. */
static void every_offset(void **state)
{
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int at = 0; at <= 36; at++)
		for (unsigned int payload = 0; payload < 3; payload++) {
			struct syn s = {.flags = SYN, .n_options = 40, .payload = payload};

			memset(s.options, 1, 40);
			memcpy(s.options + at, (uint8_t[]){MSS(1461 + at)}, 4);
			pass(r, &s, 22 + at, FITS_V4);
			s.v6 = true;
			pass(r, &s, 22 + at, FITS_V6);
		}
}

static void behind_other_options(void **state)
{
	struct rig *r = *state;
	struct syn s = {.flags = SYN,
			.options = {4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7, MSS(9000)},
			.n_options = 20};

	introduce(r, NULL);
	pass(r, &s, 20 + 16 + 2, FITS_V4);
}

static void paths(void **state)
{
	struct rig *r = *state;
	struct syn s = {.flags = SYN, .options = {MSS(8960)}, .n_options = 4};
	static const struct link link = {.v6 = true};
	struct omni_path *path[2];

	introduce(r, &link);
	for (unsigned int i = 0; i < 2; i++)
		path[i] = atomic_load(&r->site[i].peer[1 - i]->path);
	pass(r, &s, 22, FITS_V4 - 20);
	for (uint16_t mtu = 576; mtu < 9000; mtu += 401) {
		path[0]->mtu = path[1]->mtu = mtu;
		pass(r, &s, 22, mtu - 88 - 14 - 40);
	}
	/* Not measured yet: what the link carries. */
	path[0]->mtu = path[1]->mtu = 1280;
	path[0]->tcp_mtu = path[1]->tcp_mtu = 1500;
	pass(r, &s, 22, FITS_V4 - 20);
}

/* Small ones, other segments, absent options, off, and a number of bytes. */
static void left_alone(void **state)
{
	struct rig *r = *state;
	struct syn s = {.flags = SYN, .options = {MSS(FITS_V4)}, .n_options = 4};

	introduce(r, NULL);
	pass(r, &s, 0, 0);
	s.options[3]--;
	pass(r, &s, 0, 0);
	s = (struct syn){.flags = ACK, .options = {MSS(1460)}, .n_options = 4};
	pass(r, &s, 0, 0);
	s.flags = SYN;
	s.n_options = 0;
	pass(r, &s, 0, 0);
	s.n_options = 4;
	set_mss(r, OMNI_MSS_OFF);
	pass(r, &s, 0, 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_mss_clamped), 0);
	set_mss(r, 1000);
	pass(r, &s, 22, 1000);
}

static void fragments_and_nonsense(void **state)
{
	static const uint8_t bad[][8] = {
		{2, 0, 5, 0xb4},	     /* length 0 */
		{2, 1, 5, 0xb4},	     /* length 1 */
		{2, 3, 5, 0xb4},	     /* not an MSS's length */
		{2, 9, 5, 0xb4},	     /* over the header */
		{0, 2, 4, 5, 0xb4},	     /* behind the end */
		{1, 1, 1, 2},		     /* cut in two */
		{3, 1, 2, 4, 5, 0xb4, 1, 1}, /* behind a bad one */
		{1, 1, 1, 1, 1, 2, 4, 5},    /* its last byte is not an option any more */
	};
	struct rig *r = *state;

	introduce(r, NULL);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			struct syn s = {.flags = SYN, .v6 = v6 != 0, .n_options = 8};

			memcpy(s.options, bad[i], 8);
			pass(r, &s, 0, 0);
		}
	for (unsigned int cut = 1; cut < 24; cut++) {
		struct syn s = {.flags = SYN, .options = {MSS(1460)}, .n_options = 4, .cut = cut};

		pass(r, &s, 0, 0);
		s.v6 = true;
		pass(r, &s, 0, 0);
	}
	for (unsigned int i = 0; i < 3; i++) {
		static const uint16_t fragment[] = {0x2000, 0x2001, 0x00b9};
		struct syn s = {.flags = SYN,
				.options = {MSS(1460)},
				.n_options = 4,
				.fragment = fragment[i]};

		pass(r, &s, 0, 0);
		s.v6 = true;
		s.ip_options = 1;
		s.extension = i == 0 ? 44 : i == 1 ? 51 : 50;
		pass(r, &s, 0, 0);
	}
	/* A header length that the segment does not have. */
	for (unsigned int words = 0; words < 16; words++) {
		struct syn s = {.flags = SYN, .options = {MSS(1460)}, .n_options = 4};
		struct rte_mbuf *m = make(r, &s, 22, 11);

		if (words == 6) {
			rte_pktmbuf_free(m);
			continue;
		}
		*rte_pktmbuf_mtod_offset(m, uint8_t *, tcp_at(&s) + 12) = (uint8_t)(words << 4);
		rig_in(r->site[0].local[0], m);
		rig_run(r);
		m = rig_out(r->site[1].local[0]);
		assert_int_equal(be16(rte_pktmbuf_mtod_offset(m, uint8_t *, tcp_at(&s) + 22)),
				 1460);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_mss_clamped), 0);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* Every copy by its peer's path; between local ports it stays. */
static void flooded(void **state)
{
	const struct syn s = {.flags = SYN, .options = {MSS(1460)}, .n_options = 4};
	const uint16_t mtu[SITES] = {0, 1500, 1280, 9000};
	const uint16_t want[SITES] = {1460, FITS_V4, FITS_V4 - 220, 1460};
	struct rig *r = *state;

	for (unsigned int i = 1; i < SITES; i++) {
		const struct link link = {.mtu = mtu[i]};

		rig_connect(r, 0, i, &link);
	}
	set_mss(r, OMNI_MSS_AUTO);
	rig_in(r->site[0].local[0], make(r, &s, 99, 11));
	rig_run(r);
	for (unsigned int i = 0; i < SITES; i++) {
		struct rte_mbuf *m = rig_out(r->site[i].local[1]);
		const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);

		assert_int_equal(be16(f + tcp_at(&s) + 22), want[i]);
		assert_int_equal(tcp_sum(f + 14, false, f + tcp_at(&s), 24), 0xffff);
		rte_pktmbuf_free(m);
		for (unsigned int j = 0; j < LOCALS; j++)
			rte_pktmbuf_free(j != 1 ? rig_out(r->site[i].local[j]) : NULL);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_mss_clamped), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ipv4_and_ipv6), TEST(on_arrival), TEST(tags_and_options),
		TEST(every_offset),  TEST(paths),      TEST(behind_other_options),
		TEST(left_alone),    TEST(flooded),    TEST(fragments_and_nonsense),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
