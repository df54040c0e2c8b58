/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams that come in IP fragments, made here of what a gateway sent whole. */
#include <stdlib.h>
#include <unistd.h>

#include "packets.h"

#define DATAGRAM_MAX 2048
#define ID 77

/* A whole datagram from site 0, with its Ethernet header. */
struct datagram {
	uint8_t b[DATAGRAM_MAX];
	unsigned int hdr_len, payload; /* Ethernet and IP; the rest */
	bool v6;
	uint32_t id;
};

static struct packet inner(unsigned int len, uint8_t seed)
{
	return (struct packet){.from_site = 0,
			       .from = 10,
			       .to_site = 1,
			       .to = 11,
			       .len = (uint16_t)(len - 20),
			       .seed = seed};
}

static void __attribute__((noinline)) enter(struct rig *r, const struct packet *p)
{
	rig_in(r->site[0].local[0], packet_frame(r, r->site[0].local[0], p, 0));
}

static struct datagram sealed(struct rig *r, const struct packet *p, uint32_t id)
{
	struct datagram d = {.id = id};
	struct rte_mbuf *m;

	r->unplugged = true;
	enter(r, p);
	rig_run(r);
	m = rig_out(r->site[0].uplink);
	assert_non_null(m);
	assert_true(m->data_len <= sizeof(d.b));
	memcpy(d.b, rte_pktmbuf_mtod(m, const void *), m->data_len);
	d.v6 = d.b[ETH] >> 4 == 6;
	d.hdr_len = ETH + (d.v6 ? 40 : 20);
	d.payload = m->data_len - d.hdr_len;
	rte_pktmbuf_free(m);
	return d;
}

/* Bytes [begin, end) of its payload, in a fragment that says what it is told to. */
static struct rte_mbuf *fragment(struct rig *r, const struct datagram *d, unsigned int begin,
				 unsigned int end, bool more)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	unsigned int ext = d->v6 ? 8 : 0, len = end - begin;
	uint8_t *at, *ip;

	assert_non_null(m);
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(d->hdr_len + ext + len));
	assert_non_null(at);
	ip = at + ETH;
	memcpy(at, d->b, d->hdr_len);
	memcpy(at + d->hdr_len + ext, d->b + d->hdr_len + begin, len);
	if (d->v6) {
		omni_store_be16(ip + 4, (uint16_t)(8 + len));
		ip[6] = 44;
		ip[40] = 17;
		ip[41] = 0;
		omni_store_be16(ip + 42, (uint16_t)(begin | more));
		omni_store_be32(ip + 44, d->id);
		return m;
	}
	omni_store_be16(ip + 2, (uint16_t)(20 + len));
	omni_store_be16(ip + 4, (uint16_t)d->id);
	omni_store_be16(ip + 6, (uint16_t)(begin / 8 | (more ? 0x2000 : 0)));
	omni_store_be16(ip + 10, 0);
	omni_store_be16(ip + 10, (uint16_t)~fold16(sum16(ip, 20)));
	return m;
}

static void give(struct rig *r, struct rte_mbuf *m)
{
	rig_in(r->site[1].uplink, m);
	rig_run(r);
}

static void part(struct rig *r, const struct datagram *d, unsigned int begin, unsigned int end)
{
	give(r, fragment(r, d, begin, end, end < d->payload));
}

static struct rig *joined(void **state, bool v6, uint8_t dialect)
{
	const struct link link = {.mtu = 1500, .v6 = v6, .dialect = dialect};
	struct rig *r = *state;

	join(r, &link, NULL);
	return r;
}

/* Pieces of any size in any order, both families and dialects. */
static void any_order(struct rig *r)
{
	for (unsigned int i = 0; i < 200; i++) {
		const struct packet p = inner(100 + (unsigned int)rand() % 1200, (uint8_t)i);
		struct datagram d = sealed(r, &p, i);
		unsigned int cut[5] = {0}, n = 1, order[4];

		while (n < 4 && cut[n - 1] + 8 < d.payload) {
			unsigned int rest = (d.payload - cut[n - 1] - 1) / 8;

			cut[n] = cut[n - 1] + 8 + 8 * ((unsigned int)rand() % rest);
			n++;
		}
		cut[n] = d.payload;
		for (unsigned int k = 0; k < n; k++) {
			unsigned int with = (unsigned int)rand() % (k + 1);

			order[k] = order[with];
			order[with] = k;
		}
		for (unsigned int k = 0; k < n; k++) {
			rig_expect_nothing(r->site[1].local[0]);
			if (cut[order[k]] < cut[order[k] + 1])
				part(r, &d, cut[order[k]], cut[order[k] + 1]);
		}
		expect_packet(r, 1, 0, &p, 2);
		assert_int_equal(rig_count(r, 1, OMNI_STAT_outer_reassembled), i + 1);
	}
	assert_int_equal(rig_drops(r, 1), 0);
}

static void ipv4(void **state)
{
	any_order(joined(state, false, 0));
}

static void ipv6(void **state)
{
	any_order(joined(state, true, 0));
}

static void wireguard(void **state)
{
	any_order(joined(state, true, OMNI_DIALECT_WIREGUARD));
}

/* Both gateways alike: IPv6's minimum over a path of 576 bytes and no kernel in sight. */
static void two_gateways(void **state)
{
	const struct link link = {.mtu = 576, .dialect = OMNI_DIALECT_WIREGUARD};
	struct rig *r = *state;

	join(r, &link, NULL);
	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = inner(1260, (uint8_t)i);

		p.v6 = true;
		enter(r, &p);
	}
	rig_run(r);
	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = inner(1260, (uint8_t)i);

		p.v6 = true;
		expect_packet(r, 1, 0, &p, 2);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_outer_fragments_sent), 64 * 3);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_outer_fragments_received), 64 * 3);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* What overlaps is dead, whatever comes after it; what comes twice as it is does no harm. */
static void overlaps(void **state)
{
	static const uint16_t second[][2] = {{392, 800}, {0, 392}, {8, 400}, {0, 408}, {200, 1000}};
	struct rig *r = joined(state, false, 0);
	const struct packet p = inner(900, 1);
	unsigned int drops = 0;

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(second); i++) {
		struct datagram d = sealed(r, &p, 100 + i);

		part(r, &d, 0, 400);
		give(r,
		     fragment(r, &d, second[i][0], OMNI_MIN(second[i][1], d.payload & ~7U), true));
		assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), ++drops);
		part(r, &d, 400, d.payload);
		assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), ++drops);
		rig_expect_nothing(r->site[1].local[0]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct datagram d = sealed(r, &p, 200 + i);
		unsigned int begin = i * 400, end = i == 0 ? 400 : d.payload;

		part(r, &d, begin, end);
		part(r, &d, begin, end);
		assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), ++drops);
		part(r, &d, 400 - begin, i == 0 ? d.payload : 400);
		expect_packet(r, 1, 0, &p, 2);
	}
}

/* Ends that contradict each other, lengths that cannot be, more pieces than are remembered. */
static void nonsense(void **state)
{
	struct rig *r = joined(state, false, 0);
	const struct packet p = inner(1200, 1);
	struct datagram d = sealed(r, &p, 1);
	struct rte_mbuf *m;

	give(r, fragment(r, &d, 0, 401, true)); /* not by eights */
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 1);
	d.id = 2;
	give(r, fragment(r, &d, 400, 800, false));
	give(r, fragment(r, &d, 800, 900, false));
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 2);
	d.id = 3;
	give(r, fragment(r, &d, 800, 904, true));
	give(r, fragment(r, &d, 8, 400, false));
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 3);
	d.id = 4;
	m = fragment(r, &d, 0, 800, true);
	omni_store_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 6), 0x1fff); /* beyond 64 KB */
	give(r, m);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 4);
	d.id = 5;
	m = fragment(r, &d, 0, 800, true);
	omni_store_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 6), 0x1f00); /* any buffer */
	give(r, m);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 5);
	d.id = 6;
	for (unsigned int i = 0; i < 17; i++)
		give(r, fragment(r, &d, 16 * i, 16 * i + 8, true));
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 6);
}

static void no_udp(void **state)
{
	struct rig *r = joined(state, true, 0);
	const struct packet p = inner(1200, 1);
	struct datagram d = sealed(r, &p, 1);
	struct rte_mbuf *m = fragment(r, &d, 0, 400, true);

	*rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 40) = 6;
	give(r, m);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 1);
	m = fragment(r, &d, 0, 400, true);
	omni_store_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 4), 7);
	give(r, m);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_fragment), 2);
	assert_int_equal(rig_drops(r, 1), 2);
}

/* A mark on one is a mark on all. */
static void marked(struct rig *r, bool v6)
{
	static const struct omni_l3 conf = {.ecn = true};

	set_l3(r, 0, &conf);
	set_l3(r, 1, &conf);
	for (unsigned int which = 0; which < 3; which++) {
		struct packet p = inner(900, 1);
		struct datagram d;

		p.tos = 2;
		d = sealed(r, &p, which);
		for (unsigned int i = 0; i < 2; i++) {
			struct rte_mbuf *m =
				fragment(r, &d, i * 400, i == 0 ? 400 : d.payload, i == 0);

			if (which == i)
				*rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 1) |= v6 ? 0x30 : 3;
			give(r, m);
		}
		p.tos = which < 2 ? 3 : 2;
		expect_packet(r, 1, 0, &p, 2);
	}
}

static void ecn_v4(void **state)
{
	marked(joined(state, false, 0), false);
}

static void ecn_v6(void **state)
{
	marked(joined(state, true, 0), true);
}

/* What waits is bounded, for each source and in all; what is new comes through all the same. */
static void bounds(void **state)
{
	struct rig *r = joined(state, false, 0);
	const struct packet p = inner(900, 1);
	struct datagram d = sealed(r, &p, 0), whole;
	unsigned int n = 0, most = 0;

	for (; n < 2000; n++) {
		unsigned int gone = (unsigned int)rig_count(r, 1, OMNI_STAT_drop_outer_full);

		if (n == 200)
			most = n - gone;
		if (n >= 200) {
			d.b[ETH + 13] = (uint8_t)n;
			d.b[ETH + 14] = (uint8_t)(n >> 8);
		}
		d.id = n;
		part(r, &d, 0, 400);
		if (n % 100 != 99)
			continue;
		whole = sealed(r, &p, 10000 + n);
		part(r, &whole, 400, whole.payload);
		part(r, &whole, 0, 400);
		expect_packet(r, 1, 0, &p, 2);
	}
	assert_in_range(most, OMNI_OUTER_SOURCE_MAX / 2, OMNI_OUTER_SOURCE_MAX);
	assert_in_range(n - rig_count(r, 1, OMNI_STAT_drop_outer_full), OMNI_OUTER_MAX / 2,
			OMNI_OUTER_MAX);
	usleep((OMNI_REASSEMBLY_TIMEOUT_MS + 50) * 1000);
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_outer_timeout) +
				 rig_count(r, 1, OMNI_STAT_drop_outer_full),
			 n);
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
}

/* Nothing that anybody sends does more than wait or be dropped. */
static void noise(void **state)
{
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct rig *r = *state;
		const struct packet p = inner(900, 1);
		const struct link link = {.v6 = v6 != 0};
		struct datagram d;

		if (v6 == 0)
			join(r, &link, NULL);
		else
			rig_set_path(r, 0, 1, &link);
		d = sealed(r, &p, 0);
		for (unsigned int i = 0; i < 50000; i++) {
			struct rte_mbuf *m =
				fragment(r, &d, 0, 8 * (unsigned int)(rand() % 100), 0);
			uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETH);
			unsigned int word = (unsigned int)(rand() % 200) << (v6 != 0 ? 3 : 0);

			if (rand() % 2 == 0)
				word |= v6 != 0 ? 1 : 0x2000;
			omni_store_be16(ip + (v6 != 0 ? 42 : 6), (uint16_t)word);
			ip[v6 != 0 ? 47 : 5] = (uint8_t)(rand() % 16);
			if (rand() % 8 == 0)
				ip[rand() % 48] ^= (uint8_t)(1 << rand() % 8);
			if (rand() % 16 == 0)
				rte_pktmbuf_trim(m, (uint16_t)(rand() % m->data_len));
			give(r, m);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ipv4),	TEST(ipv6),	TEST(wireguard), TEST(two_gateways),
		TEST(overlaps), TEST(nonsense), TEST(no_udp),	 TEST(ecn_v4),
		TEST(ecn_v6),	TEST(bounds),	TEST(noise),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
