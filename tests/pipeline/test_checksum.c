/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The UDP checksum of what leaves by the uplink: none, made here, or left to the device. */
#include <rte_ip.h>

#include "rig.h"

static const uint16_t lengths[] = {60, 61, 300, 1400};

static uint16_t udp_sum(const struct rte_mbuf *m, bool v6)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);

	return v6 ? rte_ipv6_udptcp_cksum((const void *)ip, ip + OMNI_IPV6_HDR_LEN)
		  : rte_ipv4_udptcp_cksum((const void *)ip, ip + OMNI_IPV4_HDR_LEN);
}

static uint16_t pseudo_sum(const struct rte_mbuf *m, bool v6)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);

	return v6 ? rte_ipv6_phdr_cksum((const void *)ip, 0)
		  : rte_ipv4_phdr_cksum((const void *)ip, 0);
}

static void check(const struct rte_mbuf *m, enum omni_checksum who, bool v6)
{
	const uint16_t front = v6 ? OMNI_IPV6_HDR_LEN : OMNI_IPV4_HDR_LEN;
	const uint64_t asked =
		RTE_MBUF_F_TX_UDP_CKSUM | (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4);
	uint16_t field;

	memcpy(&field, rte_pktmbuf_mtod_offset(m, uint8_t *, OMNI_ETHER_HDR_LEN + front + 6), 2);
	assert_int_equal(m->ol_flags, who == OMNI_CHECKSUM_PORT ? asked : 0);
	if (who == OMNI_CHECKSUM_NONE) {
		assert_int_equal(field, 0);
	} else if (who == OMNI_CHECKSUM_OURS) {
		/* With the checksum among what is summed: the other form of zero. */
		assert_int_not_equal(field, 0);
		assert_int_equal(udp_sum(m, v6), UINT16_MAX);
	} else {
		assert_int_equal(field, pseudo_sum(m, v6));
		assert_int_equal(m->l2_len, OMNI_ETHER_HDR_LEN);
		assert_int_equal(m->l3_len, front);
	}
}

static void sent_with(struct rig *r, enum omni_checksum who, bool v6)
{
	const struct link link = {.v6 = v6, .checksum = who, .mtu = 1280};
	struct rte_mbuf *m;
	unsigned int sent = 0;

	rig_connect(r, 0, 1, &link);
	rig_introduce(r, r->site[0].local[0], 1, r->site[1].local[0], 2);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		rig_in(r->site[0].local[0], rig_frame(r, 2, 1, lengths[i], (uint8_t)i));
	rig_turn(r, 0);
	while ((m = rig_out(r->site[0].uplink)) != NULL) {
		check(m, who, v6);
		rte_pktmbuf_free(m);
		sent++;
	}
	/* The longest one goes in two pieces. */
	assert_int_equal(sent, sizeof(lengths) / sizeof(lengths[0]) + 1);
}

static void none_over_ipv4(void **state)
{
	sent_with(*state, OMNI_CHECKSUM_NONE, false);
}

static void ours_over_ipv4(void **state)
{
	sent_with(*state, OMNI_CHECKSUM_OURS, false);
}

static void ours_over_ipv6(void **state)
{
	sent_with(*state, OMNI_CHECKSUM_OURS, true);
}

static void the_ports_over_ipv4(void **state)
{
	sent_with(*state, OMNI_CHECKSUM_PORT, false);
}

static void the_ports_over_ipv6(void **state)
{
	sent_with(*state, OMNI_CHECKSUM_PORT, true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(none_over_ipv4),	   TEST(ours_over_ipv4),      TEST(ours_over_ipv6),
		TEST(the_ports_over_ipv4), TEST(the_ports_over_ipv6),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
