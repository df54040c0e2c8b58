/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams that leave in IP fragments, put together here by their headers alone. */
#include "packets.h"

#define OUTER_MAX 2048

/* A datagram of which fragments came: its Ethernet and IP header, as if it were whole. */
struct outer {
	uint8_t b[OUTER_MAX];
	unsigned int hdr_len, got, whole, n; /* bytes of payload; whole 0: not known yet */
	uint32_t id;
	bool v6;
};

static unsigned int frag_v4(struct outer *o, const uint8_t *ip, unsigned int *off, bool *more)
{
	unsigned int word = (unsigned int)ip[6] << 8 | ip[7];

	assert_int_equal(word & 0xc000, 0); /* neither reserved, nor do not fragment */
	assert_int_equal(ip[9], 17);
	*off = (word & 0x1fff) * 8;
	*more = (word & 0x2000) != 0;
	if (o->n == 0)
		o->id = (uint32_t)ip[4] << 8 | ip[5];
	assert_int_equal(ip[4] << 8 | ip[5], o->id);
	return 20;
}

static unsigned int frag_v6(struct outer *o, const uint8_t *ip, unsigned int *off, bool *more)
{
	const uint8_t *h = ip + 40;

	assert_int_equal(ip[6], 44);
	assert_memory_equal(h, ((const uint8_t[]){17, 0}), 2);
	*off = (unsigned int)(h[2] << 8 | h[3]) & 0xfff8;
	assert_int_equal(h[3] & 6, 0);
	*more = (h[3] & 1) != 0;
	if (o->n == 0)
		o->id = omni_load_be32(h + 4);
	assert_int_equal(omni_load_be32(h + 4), o->id);
	return 48;
}

/* One fragment, of at most mtu bytes; those of a datagram follow each other. */
static void put_in(struct outer *o, struct rte_mbuf *m, unsigned int mtu)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *), *ip = eth + ETH;
	unsigned int len = rte_pktmbuf_data_len(m) - ETH, off, hdr_len;
	bool more;

	assert_true(len <= mtu);
	assert_int_equal(m->pkt_len, m->data_len);
	assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_UDP_CKSUM, 0);
	assert_whole(ip, len);
	o->v6 = ip[0] >> 4 == 6;
	hdr_len = o->v6 ? frag_v6(o, ip, &off, &more) : frag_v4(o, ip, &off, &more);
	assert_int_equal(off, o->got);
	assert_true(!more || (len - hdr_len) % 8 == 0);
	if (o->n++ == 0) {
		o->hdr_len = ETH + (o->v6 ? 40 : 20);
		memcpy(o->b, eth, o->hdr_len);
	}
	assert_memory_equal(eth, o->b, ETH);
	if (o->v6)
		assert_memory_equal(ip + 8, o->b + ETH + 8, 32);
	else
		assert_memory_equal(ip + 12, o->b + ETH + 12, 8);
	memcpy(o->b + o->hdr_len + off, ip + hdr_len, len - hdr_len);
	o->got += len - hdr_len;
	o->whole = more ? 0 : o->got;
	rte_pktmbuf_free(m);
}

/* IPv6's UDP checksum must be there, whoever makes it of whole datagrams. */
static void check_udp_sum(const struct outer *o)
{
	const uint8_t *udp = o->b + o->hdr_len;

	assert_int_equal(udp[4] << 8 | udp[5], o->whole);
	if (!o->v6 && udp[6] == 0 && udp[7] == 0)
		return;
	assert_int_equal(fold16(sum16(o->b + ETH + (o->v6 ? 8 : 12), o->v6 ? 32 : 8) + 17 +
				o->whole + sum16(udp, o->whole)),
			 0xffff);
}

static struct rte_mbuf *whole_of(struct rig *r, struct outer *o)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	uint8_t *ip = o->b + ETH;

	check_udp_sum(o);
	if (o->v6) {
		omni_store_be16(ip + 4, (uint16_t)o->whole);
		ip[6] = 17;
	} else {
		omni_store_be16(ip + 2, (uint16_t)(20 + o->whole));
		omni_store_be16(ip + 6, 0);
		omni_store_be16(ip + 10, 0);
		omni_store_be16(ip + 10, (uint16_t)~fold16(sum16(ip, 20)));
	}
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)(o->hdr_len + o->whole)), o->b,
	       o->hdr_len + o->whole);
	return m;
}

/* What leaves site 0 is put together and goes to site 1; returns how many fragments it came in. */
static unsigned int across(struct rig *r, unsigned int mtu)
{
	struct rte_mbuf *m = rig_out(r->site[0].uplink);
	struct outer o = {.n = 0};
	unsigned int n = 0;

	assert_non_null(m);
	do {
		put_in(&o, m, mtu);
		n++;
		if (o.whole == 0)
			continue;
		rig_in(r->site[1].uplink, whole_of(r, &o));
		memset(&o, 0, sizeof(o));
	} while ((m = rig_out(r->site[0].uplink)) != NULL);
	assert_int_equal(o.n, 0);
	return n;
}

static struct packet six(unsigned int len, uint8_t seed)
{
	return (struct packet){.v6 = true,
			       .from_site = 0,
			       .from = 10,
			       .to_site = 1,
			       .to = 11,
			       .len = (uint16_t)(len - 40),
			       .seed = seed};
}

static void __attribute__((noinline)) enter(struct rig *r, const struct packet *p)
{
	rig_in(r->site[0].local[0], packet_frame(r, r->site[0].local[0], p, 0));
}

static struct rig *narrow(void **state, struct link *link)
{
	struct rig *r = *state;

	link->dialect = OMNI_DIALECT_WIREGUARD;
	join(r, link, NULL);
	r->unplugged = true;
	return r;
}

/* IPv6's minimum comes through whatever the path carries, over both families. */
static void paths(void **state)
{
	static const uint16_t mtu[] = {576, 1124, 1280, 1300, 1339, 1359};
	struct link link = {.mtu = 1500};
	struct rig *r = narrow(state, &link);
	unsigned int sent = 0;

	for (unsigned int i = 0; i < 4 * OMNI_ARRAY_SIZE(mtu); i++) {
		link.mtu = mtu[i / 4];
		link.v6 = i % 2 != 0;
		link.checksum = i % 4 < 2 ? 0 : OMNI_CHECKSUM_PORT;
		rig_set_path(r, 0, 1, &link);
		for (unsigned int len = link.mtu - (link.v6 ? 79 : 59); len <= 1280; len++) {
			const struct packet p = six(len, (uint8_t)len);

			enter(r, &p);
			rig_run(r);
			sent += across(r, link.mtu);
			assert_int_equal(rig_count(r, 0, OMNI_STAT_outer_fragments_sent), sent);
			rig_run(r);
			expect_packet(r, 1, 0, &p, 2);
		}
	}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* Where the kernel would have made the checksum, it cannot in fragments. */
static void checksum_of_the_kernels(void **state)
{
	struct link link = {.mtu = 1280, .v6 = true};
	struct rig *r = narrow(state, &link);
	const struct packet p = six(1280, 1);

	atomic_load(&r->site[0].peer[1]->path)->checksum = OMNI_CHECKSUM_NONE;
	enter(r, &p);
	rig_run(r);
	assert_int_equal(across(r, 1280), 2);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
}

/* Long ones among short ones leave in their order, and each has an id of its own. */
static void bursts(void **state)
{
	struct link link = {.mtu = 576};
	struct rig *r = narrow(state, &link);
	struct rte_mbuf *m;
	uint32_t id[64], ids = 0;
	struct outer o = {.n = 0};

	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = six(i % 8 == 3 ? 100 : 1280, (uint8_t)i);

		enter(r, &p);
	}
	rig_run(r);
	while ((m = rig_out(r->site[0].uplink)) != NULL) {
		if ((*rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + 6) & 0x40) != 0) {
			assert_int_equal(o.n, 0); /* never in between */
			rig_in(r->site[1].uplink, m);
			continue;
		}
		put_in(&o, m, 576);
		if (o.whole == 0)
			continue;
		for (unsigned int i = 0; i < ids; i++)
			assert_int_not_equal(id[i], o.id);
		id[ids++] = o.id;
		rig_in(r->site[1].uplink, whole_of(r, &o));
		memset(&o, 0, sizeof(o));
	}
	assert_int_equal(ids, 56);
	rig_run(r);
	for (unsigned int i = 0; i < 64; i++) {
		struct packet p = six(i % 8 == 3 ? 100 : 1280, (uint8_t)i);

		expect_packet(r, 1, 0, &p, 2);
	}
}

/* Nothing else does: what may be cut inside is, and who sends more than the minimum is told. */
static void nothing_else(void **state)
{
	struct link link = {.mtu = 1280};
	struct rig *r = narrow(state, &link);
	struct packet p = six(1281, 0);
	unsigned int len;

	enter(r, &p);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_big), 1);
	assert_int_equal(take_packet(r->site[0].local[0], &len)[40], 2);
	p = (struct packet){.from_site = 0, .from = 10, .to_site = 1, .to = 11, .len = 1240};
	enter(r, &p);
	r->unplugged = false;
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_ip_fragments_sent), 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_outer_fragments_sent), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_non_null(take_packet(r->site[1].local[0], &len));
	rig_expect_nothing(r->site[1].local[0]);
	/* And what fits is not touched. */
	p = six(1220, 0);
	enter(r, &p);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_outer_fragments_sent), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths),
		TEST(checksum_of_the_kernels),
		TEST(bursts),
		TEST(nothing_else),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
