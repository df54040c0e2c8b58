/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a sender hears of packets that end at a gateway: every byte of it. */
#include "packets.h"

/* Rates of icmp.c. */
#define AT_ONCE 50

static struct packet there(bool v6)
{
	return (struct packet){
		.v6 = v6, .from_site = 0, .from = 10, .to_site = 1, .to = 11, .len = 100};
}

static unsigned int pseudo(const uint8_t *ip, unsigned int len)
{
	return sum16(ip + 8, 32) + (len - 40) + 58;
}

/*
 * The port gives one ICMP error of that type, code and value (of its last four bytes) from site's
 * gateway to the sender of p, about p as it arrived there with `hops` fewer.
 */
static void expect_error(struct omni_port *port, unsigned int site, const struct packet *p,
			 unsigned int hops, uint8_t type, uint8_t code, uint32_t value)
{
	unsigned int len = 0, hdr_len = p->v6 ? 40 : 20, most = (p->v6 ? 1280 : 576) - hdr_len - 8;
	const uint8_t *ip = take_packet(port, &len);
	uint8_t want[PACKET_MAX], a[16];
	struct packet quoted = *p;
	unsigned int quote;

	assert_non_null(ip);
	quoted.ttl = (uint8_t)((p->ttl != 0 ? p->ttl : 64) - hops);
	quote = OMNI_MIN(put_packet(want, &quoted), most);
	assert_int_equal(len, hdr_len + 8 + quote);
	assert_int_equal(ip[p->v6 ? 6 : 9], p->v6 ? 58 : 1);
	address(a, p->v6, site, 1);
	assert_memory_equal(ip + (p->v6 ? 8 : 12), a, p->v6 ? 16 : 4);
	assert_memory_equal(ip + (p->v6 ? 24 : 16), want + (p->v6 ? 8 : 12), p->v6 ? 16 : 4);
	assert_true(ip[p->v6 ? 7 : 8] > 60);
	if (!p->v6)
		assert_int_equal(ip[1], 0xc0);
	assert_int_equal(ip[hdr_len], type);
	assert_int_equal(ip[hdr_len + 1], code);
	assert_int_equal((uint32_t)ip[hdr_len + 4] << 24 | (uint32_t)ip[hdr_len + 5] << 16 |
				 (uint32_t)ip[hdr_len + 6] << 8 | ip[hdr_len + 7],
			 value);
	assert_memory_equal(ip + hdr_len + 8, want, quote);
	assert_int_equal(fold16(sum16(ip + hdr_len, len - hdr_len) + (p->v6 ? pseudo(ip, len) : 0)),
			 0xffff);
}

static void forget(struct rig *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		memset(r->site[i].stats, 0, sizeof(r->site[i].stats));
}

/* Put p in at site 0; the error is there, and its reason counted at the site once. */
static void told(struct rig *r, const struct packet *p, unsigned int site, enum omni_stat why,
		 unsigned int hops, uint8_t type, uint8_t code)
{
	packet_in(r, 0, 0, p);
	rig_run(r);
	if (rig_count(r, site, why) != 1)
		rig_print(r, site);
	assert_int_equal(rig_count(r, site, why), 1);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 1);
	assert_int_equal(rig_count(r, site, OMNI_STAT_icmp_sent), 1);
	expect_error(r->site[0].local[0], site, p, hops, type, code, 0);
	rig_expect_nothing(r->site[0].local[0]);
	rig_expect_nothing(r->site[1].local[0]);
	forget(r);
}

static void silent(struct rig *r, const struct packet *p, enum omni_stat why)
{
	packet_in(r, 0, 0, p);
	rig_run(r);
	if (rig_count(r, 0, why) != 1 || rig_count(r, 0, OMNI_STAT_icmp_sent) != 0)
		rig_print(r, 0);
	assert_int_equal(rig_count(r, 0, why), 1);
	assert_int_equal(rig_drops(r, 0), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 0);
	rig_expect_nothing(r->site[0].local[0]);
	rig_expect_nothing(r->site[1].local[0]);
	forget(r);
}

/* Both gateways are seen by a traceroute. */
static void hops(void **state)
{
	struct rig *r = *state;

	join(r, NULL, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint16_t len = 0; len < 1300; len += 199) {
			struct packet p = there(v6 != 0);

			p.proto = 17;
			p.len = OMNI_MIN(len, (uint16_t)1200);
			p.ttl = 1;
			told(r, &p, 0, OMNI_STAT_drop_ttl, 0, v6 != 0 ? 3 : 11, 0);
			p.ttl = 2;
			told(r, &p, 1, OMNI_STAT_drop_ttl, 1, v6 != 0 ? 3 : 11, 0);
			p.ttl = 3;
			packet_in(r, 0, 0, &p);
			rig_run(r);
			expect_packet(r, 1, 0, &p, 2);
		}
}

static void unreachable(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	p.to_site = q.to_site = 3;
	/* As WireGuard's interface says to its host, and as routers say to each other. */
	told(r, &p, 0, OMNI_STAT_drop_no_route, 0, 3, 1);
	told(r, &q, 0, OMNI_STAT_drop_no_route, 0, 1, 3);
	route_to(r, 0, "10.0.3.0/24", peer_dest(r, 0, 1));
	route_to(r, 0, "fd00:3::/64", peer_dest(r, 0, 1));
	told(r, &p, 1, OMNI_STAT_drop_no_route, 1, 3, 0);
	told(r, &q, 1, OMNI_STAT_drop_no_route, 1, 1, 0);
	route_to(r, 0, "10.0.3.0/24", omni_dest_make(OMNI_DEST_REJECT, 0, 0));
	route_to(r, 0, "fd00:3::/64", omni_dest_make(OMNI_DEST_REJECT, 0, 0));
	told(r, &p, 0, OMNI_STAT_drop_rejected, 0, 3, 1);
	told(r, &q, 0, OMNI_STAT_drop_rejected, 0, 1, 3);
	/* A peer that has gone, a port that has, a neighbour that has. */
	route_to(r, 0, "10.0.3.0/24", peer_dest(r, 0, 1) + 1);
	told(r, &p, 0, OMNI_STAT_drop_no_peer, 0, 3, 1);
	route_to(r, 0, "10.0.3.0/24", port_dest(r, 0, 0) + 1);
	told(r, &p, 0, OMNI_STAT_drop_port_gone, 0, 3, 1);
	route_to(r, 0, "10.0.3.0/24", omni_dest_make(OMNI_DEST_HOST, 63, 1));
	told(r, &p, 0, OMNI_STAT_drop_no_neighbour, 0, 3, 1);
	/* To a peer by a gateway that does not relay. */
	rig_connect(r, 1, 2, NULL);
	route_to(r, 0, "10.0.2.0/23", peer_dest(r, 0, 1));
	route_to(r, 0, "fd00:2::/64", peer_dest(r, 0, 1));
	allow(r, 1, 2);
	p.to_site = q.to_site = 2;
	told(r, &p, 1, OMNI_STAT_drop_relay_refused, 1, 3, 13);
	told(r, &q, 1, OMNI_STAT_drop_relay_refused, 1, 1, 1);
}

/* Traceroute's last step, and what nobody serves. */
static void to_us(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	for (unsigned int site = 0; site < 2; site++)
		for (uint8_t proto = 6; proto <= 17; proto = (uint8_t)(proto + 11)) {
			p.to_site = q.to_site = site;
			p.to = q.to = 1;
			p.ttl = q.ttl = (uint8_t)(1 + site);
			p.proto = q.proto = proto;
			told(r, &p, site, OMNI_STAT_drop_not_served, site, 3, 3);
			told(r, &q, site, OMNI_STAT_drop_not_served, site, 1, 4);
		}
	p.to_site = q.to_site = 0;
	p.proto = 47;
	told(r, &p, 0, OMNI_STAT_drop_not_served, 0, 3, 2);
	q.proto = 47;
	silent(r, &q, OMNI_STAT_drop_not_served);
}

/* An echo request's message; its checksum is right. */
static void make_echo(uint8_t *at, const struct packet *p, uint8_t type)
{
	uint8_t whole[PACKET_MAX];

	memset(at, 0, 8);
	at[0] = type;
	at[4] = 0x12;
	at[7] = 7;
	for (unsigned int i = 8; i < p->len; i++)
		at[i] = (uint8_t)(i * 3);
	put_packet(whole, p);
	omni_store_be16(at + 2,
			(uint16_t)~fold16(sum16(at, p->len) +
					  (p->v6 ? sum16(whole + 8, 32) + p->len + 58 : 0)));
}

/* Of all lengths, near and far, with options and without, and with hops to spare or none. */
static void echo(void **state)
{
	struct rig *r = *state;
	uint8_t message[PACKET_MAX], reply[PACKET_MAX];

	join(r, NULL, NULL);
	for (unsigned int i = 0; i < 400; i++) {
		struct packet p = {
			.v6 = i % 2 != 0,
			.from = 10,
			.to_site = i / 2 % 2,
			.to = 1,
			.ttl = (uint8_t)(1 + i / 2 % 2),
			.proto = i % 2 != 0 ? 58 : 1,
			.n_options = i / 4 % 3 * 8,
			.len = (uint16_t)(8 + i * 3),
			.payload = message,
			.tos = 0x2b, /* with ECN's bits, which the answer has not */
			.id = 77,
		};
		struct packet want = p;
		unsigned int len, hdr_len = p.v6 ? 40 : 20;
		const uint8_t *ip;

		memset(p.options, 1, sizeof(p.options));
		make_echo(message, &p, p.v6 ? 128 : 8);
		packet_in(r, 0, 0, &p);
		rig_run(r);
		ip = take_packet(r->site[0].local[0], &len);
		assert_non_null(ip);
		want.from_site = p.to_site;
		want.from = 1;
		want.to_site = 0;
		want.to = 10;
		want.tos = 0x28;
		want.n_options = 0;
		want.ttl = (uint8_t)(64 - p.to_site);
		want.id = p.v6 ? 0 : (uint16_t)(ip[4] << 8 | ip[5]);
		make_echo(reply, &want, p.v6 ? 129 : 0);
		memcpy(message, reply, p.len);
		put_packet(reply, &want);
		assert_int_equal(len, hdr_len + p.len);
		assert_memory_equal(ip, reply, len);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_echoed), 200);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_icmp_echoed), 200);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* Damaged, cut off, in pieces, or no request. */
static void no_echo(void **state)
{
	struct rig *r = *state;
	uint8_t message[64];

	join(r, NULL, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = {.v6 = v6 != 0,
				   .from = 10,
				   .to = 1,
				   .proto = v6 != 0 ? 58 : 1,
				   .len = 40,
				   .payload = message};

		make_echo(message, &p, v6 != 0 ? 128 : 8);
		message[20] ^= 1;
		silent(r, &p, OMNI_STAT_drop_not_served);
		message[20] ^= 1;
		p.len = 7;
		silent(r, &p, OMNI_STAT_drop_not_served);
		p.len = 40;
		make_echo(message, &p, v6 != 0 ? 129 : 0);
		silent(r, &p, OMNI_STAT_drop_not_served);
		make_echo(message, &p, v6 != 0 ? 2 : 3);
		silent(r, &p, OMNI_STAT_drop_not_served);
		if (v6 != 0)
			continue;
		make_echo(message, &p, 8);
		p.frag = 0x2000;
		silent(r, &p, OMNI_STAT_drop_not_served);
		p.frag = 1;
		silent(r, &p, OMNI_STAT_drop_not_served);
	}
}

/* Of errors, later fragments, what cannot be told: nothing is said. */
static void errors_about_errors(void **state)
{
	static const uint8_t v4_errors[] = {3, 4, 5, 11, 12},
			     v6_errors[] = {0, 1, 2, 3, 4, 127, 137};
	static const uint8_t queries[] = {0, 8, 13, 42};
	struct rig *r = *state;
	uint8_t message[64] = {0};
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	p.payload = q.payload = message;
	p.len = q.len = 64;
	p.proto = 1;
	q.proto = 58;
	p.ttl = q.ttl = 1;
	for (unsigned int i = 0; i < sizeof(v4_errors); i++) {
		message[0] = v4_errors[i];
		silent(r, &p, OMNI_STAT_drop_ttl);
	}
	for (unsigned int i = 0; i < sizeof(v6_errors); i++)
		for (unsigned int behind = 0; behind < 2; behind++) {
			message[0] = v6_errors[i];
			q.n_options = behind;
			silent(r, &q, OMNI_STAT_drop_ttl);
		}
	q.n_options = 0;
	for (unsigned int i = 0; i < sizeof(queries); i++) {
		message[0] = queries[i];
		told(r, &p, 0, OMNI_STAT_drop_ttl, 0, 11, 0);
	}
	message[0] = 128;
	told(r, &q, 0, OMNI_STAT_drop_ttl, 0, 3, 0);
	/* Which ICMP it is cannot be seen. */
	p.len = q.len = 0;
	silent(r, &p, OMNI_STAT_drop_ttl);
	silent(r, &q, OMNI_STAT_drop_ttl);
	/* A first fragment is told of, a later one is not. */
	p.len = q.len = 64;
	p.proto = 17;
	p.frag = 0x2000;
	told(r, &p, 0, OMNI_STAT_drop_ttl, 0, 11, 0);
	p.frag = 0x2005;
	silent(r, &p, OMNI_STAT_drop_ttl);
	p.frag = 0x0005;
	silent(r, &p, OMNI_STAT_drop_ttl);
	q.proto = 44;
	message[0] = 17;
	told(r, &q, 0, OMNI_STAT_drop_ttl, 0, 3, 0);
	message[3] = 8;
	silent(r, &q, OMNI_STAT_drop_ttl);
	/* A chain of headers without an end. */
	q.proto = 60;
	memset(message, 0, sizeof(message));
	silent(r, &q, OMNI_STAT_drop_ttl);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_limited), 0);
}

/* A gateway without an address of that family says nothing. */
static void without_an_address(void **state)
{
	static const struct omni_l3 nobody;
	struct rig *r = *state;
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	assert_int_equal(omni_fib_set_cluster(r->site[0].fib, DOMAIN, &nobody), 0);
	p.ttl = q.ttl = 1;
	silent(r, &p, OMNI_STAT_drop_ttl);
	silent(r, &q, OMNI_STAT_drop_ttl);
}

/*
 * The kernel behind a raw port has our addresses: it hears from whom it spoke to, and hears even
 * where we have none.
 */
static void to_a_raw_port(void **state)
{
	static const struct omni_l3 nobody;
	struct rig *r = *state;
	struct omni_port *raw = r->site[0].local[0];
	unsigned int len;

	join(r, NULL, NULL);
	raw->info.raw_ip = true;
	assert_int_equal(omni_fib_set_cluster(r->site[0].fib, DOMAIN, &nobody), 0);
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0);
		uint8_t a[16];
		const uint8_t *ip;

		p.to_site = 3;
		packet_in(r, 0, 0, &p);
		rig_run(r);
		ip = take_packet(raw, &len);
		assert_non_null(ip);
		address(a, v6 != 0, 3, 11);
		assert_memory_equal(ip + (v6 != 0 ? 8 : 12), a, v6 != 0 ? 16 : 4);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), 2);
}

/* Half a hundred at once, then by the clock; echoes are not limited, nor are other senders. */
static void rate(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false), other = {.from_site = 1, .from = 11, .to = 10, .len = 100};
	unsigned int sent, n = 0;
	struct rte_mbuf *m;
	uint64_t begin, ms;

	join(r, NULL, NULL);
	p.ttl = 1;
	for (unsigned int i = 0; i < 64; i++)
		packet_in(r, 0, 0, &p);
	rig_turn(r, 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), AT_ONCE);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_limited), 64 - AT_ONCE);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_ttl), 64);
	other.ttl = 2;
	packet_in(r, 1, 0, &other);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_icmp_sent), AT_ONCE + 1);
	begin = rte_rdtsc();
	do {
		packet_in(r, 0, 0, &p);
		rig_turn(r, 0);
		ms = (rte_rdtsc() - begin) * 1000 / rte_get_tsc_hz();
		while ((m = rig_out(r->site[0].local[0])) != NULL) {
			rte_pktmbuf_free(m);
			n++;
		}
	} while (ms < 100);
	sent = (unsigned int)rig_count(r, 0, OMNI_STAT_icmp_sent) - AT_ONCE - 1;
	assert_in_range(sent, 50, 160);
	assert_int_equal(n, sent + AT_ONCE);
}

/* Whoever has little room in front of the data: errors still fit the longest headers. */
static void to_a_peer_over_ipv6(void **state)
{
	const struct link link = {.v6 = true};
	struct rig *r = *state;
	struct packet p = there(true);

	join(r, &link, NULL);
	p.ttl = 2;
	for (unsigned int bundle = 0; bundle < 2; bundle++) {
		atomic_store(&r->site[0].bridges->at[DOMAIN].bundles, bundle != 0);
		for (unsigned int i = 0; i < 5; i++)
			packet_in(r, 0, 0, &p);
		rig_run(r);
		for (unsigned int i = 0; i < 5; i++)
			expect_error(r->site[0].local[0], 1, &p, 1, 3, 0, 0);
	}
	p.len = 4000;
	packet_in(r, 0, 0, &p);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_big), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hops),
		TEST(unreachable),
		TEST(to_us),
		TEST(echo),
		TEST(no_echo),
		TEST(errors_about_errors),
		TEST(without_an_address),
		TEST(to_a_raw_port),
		TEST(rate),
		TEST(to_a_peer_over_ipv6),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
