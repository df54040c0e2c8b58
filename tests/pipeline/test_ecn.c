/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TOS byte and traffic class between a packet and its datagram, both dialects and families. */
#include "packets.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

#define OUTER_V4 14
#define DROP 4

static const struct link links[] = {
	{.dialect = OMNI_DIALECT_WIREGUARD},
	{.dialect = OMNI_DIALECT_WIREGUARD, .v6 = true},
	{.cipher = OMNI_CIPHER_CHACHAPOLY},
	{.cipher = OMNI_CIPHER_CHACHAPOLY, .v6 = true},
};

/* RFC 6040, figure 4: by inner and outer bits, those of the packet that comes out. */
static const uint8_t figure4[4][4] = {
	{0, 0, 0, DROP}, /* Not-ECT */
	{1, 1, 1, 3},
	{2, 1, 2, 3},
	{3, 3, 3, 3}, /* CE */
};

static struct packet there(bool v6, uint8_t tos)
{
	return (struct packet){.v6 = v6,
			       .from_site = 0,
			       .from = 10,
			       .to_site = 1,
			       .to = 11,
			       .tos = tos,
			       .len = 50};
}

static uint8_t outer_tos(struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OUTER_V4);

	if (ip[0] == 0x45) {
		assert_int_equal(fold16(sum16(ip, 20)), 0xffff);
		return ip[1];
	}
	assert_int_equal(ip[0] >> 4, 6);
	assert_int_equal(ip[1] & 0xf, 0);
	assert_int_equal(omni_load_be16(ip + 2), 0);
	return (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

/* Routers on the way set the bits, and IPv4's checksum. */
static void mark(struct rte_mbuf *m, uint8_t ecn)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, OUTER_V4);

	if (ip[0] == 0x45) {
		ip[1] = (uint8_t)((ip[1] & ~3) | ecn);
		memset(ip + 10, 0, 2);
		omni_store_be16(ip + 10, (uint16_t)~fold16(sum16(ip, 20)));
	} else {
		ip[1] = (uint8_t)((ip[1] & ~0x30) | ecn << 4);
	}
}

/* The datagram of a packet that site 0 sends. */
static struct rte_mbuf *datagram_of(struct rig *r, const struct packet *p)
{
	struct rte_mbuf *m;

	r->unplugged = true;
	packet_in(r, 0, 0, p);
	rig_run(r);
	r->unplugged = false;
	m = rig_out(r->site[0].uplink);
	assert_non_null(m);
	return m;
}

static void all_sixteen(struct rig *r, const struct link *link, bool v6)
{
	static const struct omni_l3 conf = {.ecn = true, .dscp = OMNI_FIB_DSCP_COPY};
	unsigned int dropped = 0;

	join(r, link, &conf);
	for (uint8_t inner = 0; inner < 4; inner++)
		for (uint8_t outer = 0; outer < 4; outer++) {
			struct packet p = there(v6, 0xb8 | inner);
			struct rte_mbuf *m = datagram_of(r, &p);

			assert_int_equal(outer_tos(m), p.tos);
			mark(m, outer);
			rig_in(r->site[1].uplink, m);
			rig_run(r);
			if (figure4[inner][outer] == DROP) {
				dropped++;
				rig_expect_nothing(r->site[1].local[0]);
				continue;
			}
			p.tos = 0xb8 | figure4[inner][outer];
			expect_packet(r, 1, 0, &p, 2);
		}
	assert_int_equal(dropped, 1);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_ecn), 1);
	assert_int_equal(rig_drops(r, 1), 1);
}

static void figure_4_wireguard(void **state)
{
	all_sixteen(*state, &links[0], false);
}

static void figure_4_wireguard_v6(void **state)
{
	all_sixteen(*state, &links[1], true);
}

static void figure_4_omni(void **state)
{
	all_sixteen(*state, &links[2], true);
}

static void figure_4_omni_v6(void **state)
{
	all_sixteen(*state, &links[3], false);
}

/* Fixed or copied code points, with and without ECN. */
static void policies(struct rig *r, const struct link *link)
{
	static const struct omni_l3 none = {.dscp = 0};
	static const struct {
		uint8_t dscp;
		bool ecn;
		uint8_t inner, want;
	} cases[] = {
		{OMNI_FIB_DSCP_COPY, true, 0xb9, 0xb9},
		{OMNI_FIB_DSCP_COPY, false, 0xb9, 0xb8},
		{0, true, 0xb9, 0x01},
		{0, false, 0xbb, 0x00},
		{46, true, 0x23, 0xbb},
		{46, false, 0xff, 0xb8},
		{63, true, 0x00, 0xfc},
		{OMNI_FIB_DSCP_COPY, true, 0, 0},
	};

	join(r, link, &none);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(cases); i++)
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			struct omni_l3 conf = {.dscp = cases[i].dscp, .ecn = cases[i].ecn};
			struct packet p = there(v6 != 0, cases[i].inner);
			struct rte_mbuf *m;

			for (unsigned int site = 0; site < 2; site++)
				assert_int_equal(
					omni_fib_set_cluster(r->site[site].fib, DOMAIN, &conf), 0);
			m = datagram_of(r, &p);
			assert_int_equal(outer_tos(m), cases[i].want);
			if (!conf.ecn)
				mark(m, 3);
			rig_in(r->site[1].uplink, m);
			rig_run(r);
			/* Where ECN is not spoken, marks on the way say nothing. */
			expect_packet(r, 1, 0, &p, 2);
		}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

static void policies_wireguard(void **state)
{
	policies(*state, &links[0]);
}

static void policies_omni(void **state)
{
	policies(*state, &links[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(figure_4_wireguard), TEST(figure_4_wireguard_v6), TEST(figure_4_omni),
		TEST(figure_4_omni_v6),	  TEST(policies_wireguard),    TEST(policies_omni),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
