/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets of L3 clusters that are longer than what is ahead, and TCP that is told in time. */
#include "packets.h"

#define AROUND_V4 (20 + 8 + 24 + 16)
#define AROUND_V6 (40 + 8 + 24 + 16)
#define AROUND_WG_V4 (20 + 8 + 16 + 16)
#define AROUND_WG_V6 (40 + 8 + 16 + 16)
#define DF 0x4000

static struct packet there(bool v6, unsigned int len)
{
	struct packet p = {.v6 = v6, .from_site = 0, .from = 10, .to_site = 1, .to = 11};

	p.len = (uint16_t)(len - header_len(&p));
	return p;
}

static void forget(struct rig *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		memset(r->site[i].stats, 0, sizeof(r->site[i].stats));
}

/* It does not go: that MTU is told. */
static void too_big(struct rig *r, const struct packet *p, unsigned int mtu)
{
	unsigned int len;
	const uint8_t *ip;

	packet_in(r, 0, 0, p);
	rig_run(r);
	if (rig_drops(r, 0) + rig_drops(r, 1) != 1)
		rig_print(r, 0);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_big) +
				 rig_count(r, 1, OMNI_STAT_drop_too_big),
			 1);
	rig_expect_nothing(r->site[1].local[0]);
	ip = take_packet(r->site[0].local[0], &len);
	assert_non_null(ip);
	if (p->v6) {
		assert_int_equal(len, 1280);
		assert_memory_equal(ip + 40, ((const uint8_t[]){2, 0}), 2);
		assert_int_equal(ip[44] << 24 | ip[45] << 16 | ip[46] << 8 | ip[47], mtu);
	} else {
		assert_int_equal(len, OMNI_MIN(576U, 28U + header_len(p) + p->len));
		assert_memory_equal(ip + 20, ((const uint8_t[]){3, 4, [4] = 0, 0}), 2);
		assert_int_equal(ip[24] << 8 | ip[25], 0);
		assert_int_equal(ip[26] << 8 | ip[27], mtu);
	}
	forget(r);
}

static void goes(struct rig *r, const struct packet *p)
{
	packet_in(r, 0, 0, p);
	rig_run(r);
	expect_packet(r, 1, 0, p, 2);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

static unsigned int around(bool wireguard, bool v6)
{
	if (wireguard)
		return v6 ? AROUND_WG_V6 : AROUND_WG_V4;
	return v6 ? AROUND_V6 : AROUND_V4;
}

/* Up to the last byte of the path in one datagram; a byte more is too long. */
static void paths(struct rig *r, bool wireguard)
{
	static const uint16_t mtu[] = {1500, 1400, 9000, 1368};
	struct link link = {.dialect = wireguard ? OMNI_DIALECT_WIREGUARD : 0};

	join(r, &link, NULL);
	for (unsigned int outer = 0; outer < 2; outer++)
		for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(mtu); i++) {
			unsigned int most = mtu[i] - around(wireguard, outer != 0);

			link.mtu = mtu[i];
			link.v6 = outer != 0;
			rig_set_path(r, 0, 1, &link);
			for (unsigned int v6 = 0; v6 < 2; v6++) {
				struct packet p = there(v6 != 0, most);

				p.frag = DF;
				goes(r, &p);
				assert_int_equal(rig_count(r, 0, OMNI_STAT_fragments_sent), 0);
				p.len++;
				too_big(r, &p, OMNI_MAX(most, v6 != 0 ? 1280U : 0U));
			}
		}
}

static void the_path(void **state)
{
	paths(*state, false);
}

/* WireGuard's padding takes nothing of it. */
static void wireguards_path(void **state)
{
	paths(*state, true);
}

/* What may be cut goes in the overlay's fragments; IPv6's minimum always does. */
static void overlay_fragments(void **state)
{
	const struct link link = {.mtu = 576};
	struct rig *r = *state;
	struct packet p;

	join(r, &link, NULL);
	for (unsigned int len = 100; len < 8000; len += 333) {
		p = there(false, len);
		goes(r, &p);
	}
	for (unsigned int len = 100; len <= 1280; len += 59) {
		p = there(true, len);
		goes(r, &p);
		p = there(false, len);
		p.frag = DF;
		if (len <= 576 - AROUND_V4)
			goes(r, &p);
		else
			too_big(r, &p, 576 - AROUND_V4);
	}
	p = there(true, 1280);
	goes(r, &p);
	p.len++;
	forget(r);
	too_big(r, &p, 1280);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_ip_fragments_sent), 0);
}

/* The cluster's own MTU holds whatever the path carries. */
static void the_cluster(void **state)
{
	static const struct omni_l3 small = {.mtu = 1300};
	const struct link link = {.mtu = 9000};
	struct rig *r = *state;

	join(r, &link, &small);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0, 1300);

		p.frag = DF;
		goes(r, &p);
		p.len++;
		too_big(r, &p, 1300);
	}
}

/*
 * Fragments of IPv4 out of that port, put together by their headers alone, are p; none is longer
 * than mtu. Returns how many they were.
 */
static unsigned int put_together(struct rig *r, unsigned int site, const struct packet *p,
				 unsigned int mtu, unsigned int hops)
{
	struct omni_port *port = r->site[site].local[0];
	unsigned int len, n = 0, got = 0, whole = 0;
	uint8_t data[PACKET_MAX], want[PACKET_MAX];
	const uint8_t *ip;

	put_packet(want, p);
	while ((ip = take_packet(port, &len)) != NULL) {
		unsigned int hdr_len = (ip[0] & 15U) * 4, frag = (unsigned int)ip[6] << 8 | ip[7];
		unsigned int off = (frag & 0x1fff) * 8 - (p->frag & 0x1fffU) * 8;

		assert_true(len <= mtu);
		assert_memory_equal(ip + 4, want + 4, 2);
		assert_int_equal(ip[8], 64 - hops);
		assert_memory_equal(ip + 12, want + 12, 8);
		if (off == 0) {
			assert_int_equal(hdr_len, header_len(p));
			assert_memory_equal(ip + 20, want + 20, hdr_len - 20);
		}
		if ((frag & 0x2000) == 0 || off + len - hdr_len == p->len)
			whole = off + len - hdr_len;
		else
			assert_int_equal((len - hdr_len) % 8, 0);
		if (off + len - hdr_len == p->len)
			assert_int_equal(frag & 0x2000, p->frag & 0x2000);
		else
			assert_int_equal(frag & 0x2000, 0x2000);
		assert_int_equal(off, got); /* in order */
		memcpy(data + off, ip + hdr_len, len - hdr_len);
		got += len - hdr_len;
		n++;
	}
	assert_int_equal(whole, p->len);
	assert_int_equal(got, p->len);
	assert_memory_equal(data, want + header_len(p), p->len);
	return n;
}

/* A port's MTU: from a peer, cut by IP's rules or told to its sender through the overlay. */
static void the_port(void **state)
{
	const struct link link = {.mtu = 9000};
	struct rig *r = *state;
	struct packet p;

	join(r, &link, NULL);
	r->site[1].local[0]->info.mtu = 1300;
	for (unsigned int len = 1301; len < 8000; len += 501) {
		for (unsigned int options = 0; options <= 40; options += 8) {
			p = there(false, len - options);
			p.n_options = options;
			p.id = (uint16_t)len;
			/* One that goes with every fragment, one that does not, and none. */
			memcpy(p.options, ((const uint8_t[]){0x94, 4, 0, 0, 7, 4, 4, 0, 1}), 9);
			packet_in(r, 0, 0, &p);
			rig_run(r);
			assert_true(put_together(r, 1, &p, 1300, 2) >= 2);
		}
		assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
		p = there(false, len);
		p.frag = DF;
		forget(r);
		too_big(r, &p, 1300);
	}
	p = there(true, 1301);
	too_big(r, &p, 1300);
	p.len--;
	goes(r, &p);
	/* What is a fragment already, the last one or not. */
	for (unsigned int more = 0; more < 2; more++) {
		p = there(false, 3020);
		p.frag = (uint16_t)(more * 0x2000 + 100);
		packet_in(r, 0, 0, &p);
		rig_run(r);
		assert_int_equal(put_together(r, 1, &p, 1300, 2), 3);
	}
}

/* Who takes no fragments of the overlay's, as WireGuard: IP's own, or the sender hears. */
static void without_the_overlays(struct rig *r, uint8_t dialect)
{
	const struct link link = {
		.mtu = 1280, .features = OMNI_FEATURE_BUNDLES, .dialect = dialect};
	unsigned int most = 1280 - around(dialect != 0, false), n = 0;

	join(r, &link, NULL);
	for (unsigned int len = most + 1; len < 8900; len += 777) {
		struct packet p = there(false, len);

		packet_in(r, 0, 0, &p);
		rig_run(r);
		n += put_together(r, 1, &p, most, 2);
		assert_int_equal(rig_count(r, 0, OMNI_STAT_ip_fragments_sent), n);
		assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	}
	/* IPv6 has a minimum, which this path does not carry: see test_outer.c for WireGuard. */
	for (unsigned int len = dialect != 0 ? 1281 : 1280; len < 1282; len++) {
		struct packet p = there(true, len);
		unsigned int got;

		packet_in(r, 0, 0, &p);
		rig_run(r);
		assert_int_equal(rig_count(r, 0,
					   len > 1280 ? OMNI_STAT_drop_too_big
						      : OMNI_STAT_drop_under_minimum),
				 1);
		assert_int_equal(take_packet(r->site[0].local[0], &got)[40], 2);
	}
	forget(r);
	/* A burst of them. */
	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = there(false, 8000);

		packet_in(r, 0, 0, &p);
	}
	rig_run(r);
	for (unsigned int i = 0; i < 64 * 7; i++)
		rte_pktmbuf_free(rig_out(r->site[1].local[0]));
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

static void fragments_of_ip(void **state)
{
	without_the_overlays(*state, 0);
}

static void to_wireguard(void **state)
{
	without_the_overlays(*state, OMNI_DIALECT_WIREGUARD);
}

/* ---- TCP ---- */

static void make_syn(uint8_t *tcp, const struct packet *p, uint16_t mss, uint8_t flags)
{
	uint8_t whole[PACKET_MAX];
	unsigned int addresses = p->v6 ? 8 : 12;

	memset(tcp, 0, 24);
	omni_store_be16(tcp, 1234);
	omni_store_be16(tcp + 2, 80);
	tcp[12] = 0x60;
	tcp[13] = flags;
	tcp[20] = 2;
	tcp[21] = 4;
	omni_store_be16(tcp + 22, mss);
	put_packet(whole, p);
	omni_store_be16(tcp + 16, (uint16_t)~fold16(sum16(tcp, 24) + 24 + 6 +
						    sum16(whole + addresses, p->v6 ? 32 : 8)));
}

/* The SYN arrives with that MSS, and a right checksum. */
static void arrives_with(struct rig *r, bool v6, uint16_t mss, uint16_t want)
{
	uint8_t tcp[24], clamped[24];
	struct packet p = {.v6 = v6,
			   .from = 10,
			   .to_site = 1,
			   .to = 11,
			   .proto = 6,
			   .len = 24,
			   .payload = tcp};

	make_syn(tcp, &p, mss, 0x02);
	packet_in(r, 0, 0, &p);
	rig_run(r);
	make_syn(clamped, &p, want, 0x02);
	memcpy(tcp, clamped, sizeof(tcp));
	expect_packet(r, 1, 0, &p, 2);
}

static void set_mss(struct rig *r, uint16_t mss)
{
	for (unsigned int i = 0; i < 2; i++)
		atomic_store(&r->site[i].bridges->at[DOMAIN].tcp_mss, mss);
}

static void mss(struct rig *r, uint8_t dialect)
{
	struct link link = {.mtu = 1500, .dialect = dialect};
	const uint16_t most = (uint16_t)(1500 - around(dialect != 0, false));
	const uint16_t v4 = (uint16_t)(most - 40), v6 = (uint16_t)(most - 60);
	const int less = dialect != 0 ? 120 + (most - 120) % OMNI_WG_PADDING : 120;

	join(r, &link, NULL);
	set_mss(r, OMNI_MSS_OFF);
	arrives_with(r, false, 1460, 1460);
	set_mss(r, OMNI_MSS_AUTO);
	arrives_with(r, false, 1460, v4);
	arrives_with(r, true, 1440, v6);
	arrives_with(r, false, v4, v4);
	arrives_with(r, true, v6 - 1, v6 - 1);
	set_mss(r, 1000);
	arrives_with(r, false, 1460, 1000);
	set_mss(r, OMNI_MSS_AUTO);
	/* The other end's path is the shorter one: clamped where it arrives, with room for padding.
	 */
	link.mtu = 1380;
	rig_set_path(r, 1, 0, &link);
	arrives_with(r, false, 1460, (uint16_t)(v4 - less));
	arrives_with(r, true, 1440, (uint16_t)(v6 - less));
	link.mtu = 1500;
	rig_set_path(r, 1, 0, &link);
	/* By the cluster's MTU, where that is less. */
	set_l3(r, 0, &(const struct omni_l3){.mtu = 1300});
	arrives_with(r, false, 1460, 1260);
	arrives_with(r, true, 1440, 1240);
}

static void mss_to_omni(void **state)
{
	mss(*state, 0);
}

static void mss_to_wireguard(void **state)
{
	mss(*state, OMNI_DIALECT_WIREGUARD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_path),	    TEST(wireguards_path), TEST(overlay_fragments),
		TEST(the_cluster),  TEST(the_port),	   TEST(fragments_of_ip),
		TEST(to_wireguard), TEST(mss_to_omni),	   TEST(mss_to_wireguard),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
