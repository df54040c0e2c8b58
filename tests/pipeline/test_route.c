/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets of L3 clusters: in at one site's port, out at another's, or why not. */
#include "packets.h"

/* From host 10 of site 0 to host 11 of site 1. */
static struct packet there(bool v6)
{
	return (struct packet){
		.v6 = v6, .from_site = 0, .from = 10, .to_site = 1, .to = 11, .len = 100};
}

static void assert_dropped(struct rig *r, unsigned int site, enum omni_stat why)
{
	rig_run(r);
	if (rig_count(r, site, why) != 1 || rig_drops(r, site) != 1)
		rig_print(r, site);
	assert_int_equal(rig_count(r, site, why), 1);
	assert_int_equal(rig_drops(r, site), 1);
	memset(r->site[site].stats, 0, sizeof(r->site[site].stats));
}

/* Both families, every way, hops counted at both gateways. */
static void ways(void **state)
{
	static const uint8_t ciphers[] = {OMNI_CIPHER_AESGCM, OMNI_CIPHER_CHACHAPOLY};
	struct rig *r = *state;
	const struct link link = {.cipher = ciphers[1]};

	join(r, &link, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint16_t len = 0; len < 1200; len += 37) {
			struct packet p = there(v6 != 0), back = p;

			p.len = back.len = len;
			back.from_site = 1;
			back.to_site = 0;
			back.from = 11;
			back.to = 10;
			packet_in(r, 0, 0, &p);
			packet_in(r, 1, 0, &back);
			rig_run(r);
			expect_packet(r, 1, 0, &p, 2);
			expect_packet(r, 0, 0, &back, 2);
			rig_expect_nothing(r->site[1].local[1]);
		}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* The same between peers that speak WireGuard: its padding does not arrive. */
static void by_wireguard(void **state)
{
	static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};
	struct rig *r = *state;

	join(r, &wireguard, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint16_t len = 0; len < 1380; len++) {
			struct packet p = there(v6 != 0);

			p.len = len;
			packet_in(r, 0, 0, &p);
			rig_run(r);
			expect_packet(r, 1, 0, &p, 2);
		}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* An Omni peer, a WireGuard peer and hosts, in one burst of the uplink and one of the port. */
static void both_dialects(void **state)
{
	static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};
	static const struct omni_l3 relays = {.relay = true};
	struct rig *r = *state;
	struct packet p[60];

	join(r, NULL, &relays);
	rig_connect(r, 0, 2, &wireguard);
	set_l3(r, 2, NULL);
	allow(r, 0, 2);
	route_to(r, 2, "10.0.0.0/8", peer_dest(r, 2, 0));
	route_to(r, 1, "10.0.0.0/8", peer_dest(r, 1, 0));
	atomic_store(&r->site[0].bridges->at[DOMAIN].bundles, true);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(p); i++) {
		p[i] = there(false);
		p[i].from_site = i % 3;
		p[i].to_site = (i / 3 + 1 + i) % 3;
		p[i].seed = (uint8_t)i;
		packet_in(r, p[i].from_site, 0, &p[i]);
	}
	rig_run(r);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1) + rig_drops(r, 2), 0);
	for (unsigned int site = 0; site < 3; site++) {
		struct rte_mbuf *m;
		unsigned int n = 0;

		while ((m = rig_out(r->site[site].local[0])) != NULL) {
			const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, ETH);

			assert_whole(ip, rte_pktmbuf_data_len(m) - ETH);
			assert_int_equal(ip[18], site);
			n++;
			rte_pktmbuf_free(m);
		}
		assert_int_equal(n, 20);
	}
}

/* In bursts: more than one, both families and dialect-free destinations mixed. */
static void bursts(void **state)
{
	struct rig *r = *state;
	struct packet p[150];

	join(r, NULL, NULL);
	atomic_store(&r->site[0].bridges->at[DOMAIN].bundles, true);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(p); i++) {
		p[i] = there(i % 3 == 0);
		p[i].seed = (uint8_t)i;
		p[i].to = 10 + i % 3;
		packet_in(r, 0, 0, &p[i]);
	}
	rig_run(r);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(p); i++)
		expect_packet(r, 1, 0, &p[i], 2);
	assert_true(rig_count(r, 0, OMNI_STAT_bundles_sent) > 0);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* From a port to a port of the same site, and back out where it came in: one hop. */
static void between_ports(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);

	join(r, NULL, NULL);
	(void)add_host(r, 0, 2, false, 20);
	p.to_site = 0;
	p.to = 20;
	packet_in(r, 0, 0, &p);
	p.to = 11;
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 0, 0, &p, 1);
	p.to = 20;
	expect_packet(r, 0, 2, &p, 1);
	assert_int_equal(rig_drops(r, 0), 0);
}

/* Ethernet's padding goes, options stay. */
static void padding_and_options(void **state)
{
	struct rig *r = *state;
	struct omni_port *port = r->site[0].local[0];

	join(r, NULL, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (unsigned int n = 0; n <= 40; n++) {
			struct packet p = there(v6 != 0);

			p.len = (uint16_t)n;
			p.n_options = n;
			for (unsigned int i = 0; i < n; i++)
				p.options[i] = 1;
			rig_in(port, packet_frame(r, port, &p, n));
			rig_run(r);
			expect_packet(r, 1, 0, &p, 2);
		}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
}

/* A packet whose byte at off is exchanged, with a right checksum again or not. */
static struct rte_mbuf *spoilt(struct rig *r, const struct packet *p, unsigned int off, uint8_t v,
			       bool sum)
{
	struct rte_mbuf *m = packet_frame(r, r->site[0].local[0], p, 0);
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETH);

	ip[off] = v;
	if (sum) {
		memset(ip + 10, 0, 2);
		omni_store_be16(ip + 10, (uint16_t)~fold16(sum16(ip, 20)));
	}
	return m;
}

static void bad_headers(void **state)
{
	static const uint8_t sources4[][4] = {{0, 0, 0, 0},   {0, 1, 2, 3},	    {127, 0, 0, 1},
					      {224, 0, 0, 1}, {255, 255, 255, 255}, {240, 0, 0, 1}};
	static const uint8_t sources6[][16] = {
		{0}, {[15] = 1}, {0xff, 2}, {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}};
	struct rig *r = *state;
	struct omni_port *port = r->site[0].local[0];
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	for (unsigned int off = 0; off < 20; off++) {
		struct rte_mbuf *m = packet_frame(r, port, &p, 0);

		*rte_pktmbuf_mtod_offset(m, uint8_t *, ETH + off) ^= 0x10;
		rig_in(port, m);
		rig_run(r);
		assert_int_equal(rig_drops(r, 0), off + 1);
	}
	memset(r->site[0].stats, 0, sizeof(r->site[0].stats));
	rig_in(port, spoilt(r, &p, 0, 0x44, true)); /* header length */
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	rig_in(port, spoilt(r, &p, 0, 0x55, true)); /* version */
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	rig_in(port, spoilt(r, &p, 0, 0x65, true)); /* the other's version */
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	rig_in(port, spoilt(r, &p, 3, 121, true)); /* longer than the frame */
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	rig_in(port, spoilt(r, &p, 3, 19, true)); /* shorter than the header */
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	rig_in(port, spoilt(r, &p, 10, 0, false));
	assert_dropped(r, 0, OMNI_STAT_drop_ip_checksum);
	rig_in(port, spoilt(r, &q, 5, 101, false));
	assert_dropped(r, 0, OMNI_STAT_drop_bad_ip);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(sources4); i++) {
		p.src = sources4[i];
		packet_in(r, 0, 0, &p);
		assert_dropped(r, 0, OMNI_STAT_drop_ip_source);
	}
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(sources6); i++) {
		q.src = sources6[i];
		packet_in(r, 0, 0, &q);
		assert_dropped(r, 0, OMNI_STAT_drop_ip_source);
	}
	/* Ours, of somebody on the link. */
	p = there(false);
	q = there(true);
	p.from = q.from = 1;
	packet_in(r, 0, 0, &p);
	assert_dropped(r, 0, OMNI_STAT_drop_ip_source);
	packet_in(r, 0, 0, &q);
	assert_dropped(r, 0, OMNI_STAT_drop_ip_source);
	rig_expect_nothing(r->site[1].local[0]);
	rig_expect_nothing(port);
}

static void bad_destinations(void **state)
{
	static const struct {
		uint8_t a[16];
		bool v6;
		enum omni_stat why;
	} to[] = {
		{{224, 0, 0, 5}, false, OMNI_STAT_drop_multicast},
		{{239, 1, 2, 3}, false, OMNI_STAT_drop_multicast},
		{{255, 255, 255, 255}, false, OMNI_STAT_drop_multicast},
		{{0, 0, 0, 0}, false, OMNI_STAT_drop_ip_dest},
		{{127, 0, 0, 1}, false, OMNI_STAT_drop_ip_dest},
		{{0xff, 2, [15] = 1}, true, OMNI_STAT_drop_multicast},
		{{0xff, 0x0e, [15] = 1}, true, OMNI_STAT_drop_multicast},
		{{0}, true, OMNI_STAT_drop_ip_dest},
		{{[15] = 1}, true, OMNI_STAT_drop_ip_dest},
		{{0xfe, 0x80, [15] = 1}, true, OMNI_STAT_drop_ip_link_local},
		{{0xfe, 0xbf, [15] = 1}, true, OMNI_STAT_drop_ip_link_local},
	};
	struct rig *r = *state;

	join(r, NULL, NULL);
	route_to(r, 0, "0.0.0.0/0", peer_dest(r, 0, 1));
	route_to(r, 0, "::/0", peer_dest(r, 0, 1));
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(to); i++) {
		struct packet p = there(to[i].v6);

		p.dst = to[i].a;
		packet_in(r, 0, 0, &p);
		assert_dropped(r, 0, to[i].why);
	}
	rig_expect_nothing(r->site[0].local[0]);
}

/* Other stations' frames, groups, other protocols; ARP and neighbour discovery go to control. */
static void links(void **state)
{
	struct rig *r = *state;
	struct site *s = &r->site[0];
	struct omni_port *port = s->local[0];
	struct packet p = there(false), q = there(true);
	struct rte_mbuf *m;
	uint8_t ns[24] = {135};

	join(r, NULL, NULL);
	m = packet_frame(r, port, &p, 0);
	rte_pktmbuf_mtod(m, uint8_t *)[5] ^= 1;
	rig_in(port, m);
	assert_dropped(r, 0, OMNI_STAT_drop_not_our_mac);
	m = packet_frame(r, port, &p, 0);
	memset(rte_pktmbuf_mtod(m, uint8_t *), 0xff, 6);
	rig_in(port, m);
	assert_dropped(r, 0, OMNI_STAT_drop_multicast);
	m = packet_frame(r, port, &p, 0);
	rte_pktmbuf_mtod(m, uint8_t *)[12] = 0x81;
	rig_in(port, m);
	assert_dropped(r, 0, OMNI_STAT_drop_not_routed);
	m = packet_frame(r, port, &p, 0);
	rte_pktmbuf_trim(m, rte_pktmbuf_data_len(m) - 13);
	rig_in(port, m);
	assert_dropped(r, 0, OMNI_STAT_drop_runt);
	/* ARP, to us and to all. */
	for (unsigned int all = 0; all < 2; all++) {
		m = packet_frame(r, port, &p, 0);
		if (all != 0)
			memset(rte_pktmbuf_mtod(m, uint8_t *), 0xff, 6);
		rte_pktmbuf_mtod(m, uint8_t *)[13] = 6;
		rig_in(port, m);
		rig_run(r);
		assert_int_equal(omni_xring_take(s->xring->link, &m, 1), 1);
		assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[13], 6);
		assert_int_equal(omni_meta(m)->port, port->id);
		assert_int_equal(omni_meta(m)->cluster, DOMAIN);
		rte_pktmbuf_free(m);
	}
	q.proto = 58;
	q.payload = ns;
	q.len = sizeof(ns);
	for (unsigned int i = 133; i <= 137; i++) {
		ns[0] = (uint8_t)i;
		q.ttl = 255;
		packet_in(r, 0, 0, &q);
		rig_run(r);
		assert_int_equal(omni_xring_take(s->xring->link, &m, 1), 1);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_punted_link), 7);
	q.ttl = 254; /* came from afar */
	packet_in(r, 0, 0, &q);
	rig_run(r);
	assert_int_equal(omni_xring_take(s->xring->link, &m, 1), 0);
	expect_packet(r, 1, 0, &q, 2);
	/* The ring is bounded. */
	for (unsigned int i = 0; i <= OMNI_PUNT_LINK_SIZE; i++) {
		q.ttl = 255;
		packet_in(r, 0, 0, &q);
		rig_run(r);
	}
	assert_true(rig_count(r, 0, OMNI_STAT_drop_punt_full) >= 1);
}

/* The longest prefix of the source must be the sender's: moved, removed, somebody else's. */
static void sources(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false), q = there(true);

	join(r, NULL, NULL);
	rig_connect(r, 0, 2, NULL);
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
	no_route_to(r, 1, "10.0.0.0/24");
	packet_in(r, 0, 0, &p);
	assert_dropped(r, 1, OMNI_STAT_drop_source_address);
	route_to(r, 1, "10.0.0.0/8", peer_dest(r, 1, 0));
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
	/* A longer one is another's. */
	rig_connect(r, 1, 2, NULL);
	route_to(r, 1, "10.0.0.10/32", peer_dest(r, 1, 2));
	packet_in(r, 0, 0, &p);
	assert_dropped(r, 1, OMNI_STAT_drop_source_address);
	p.from = 11;
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 1, 0, &p, 2);
	/* Our own, and an older generation's. */
	route_to(r, 1, "10.0.0.11/32", omni_dest_make(OMNI_DEST_SELF, 0, 0));
	packet_in(r, 0, 0, &p);
	assert_dropped(r, 1, OMNI_STAT_drop_source_address);
	route_to(r, 1, "10.0.0.11/32", peer_dest(r, 1, 0) + 1);
	packet_in(r, 0, 0, &p);
	assert_dropped(r, 1, OMNI_STAT_drop_source_address);
	no_route_to(r, 1, "fd00:0::/64");
	packet_in(r, 0, 0, &q);
	assert_dropped(r, 1, OMNI_STAT_drop_source_address);
	rig_expect_nothing(r->site[1].local[0]);
}

/* In a burst, some of them may pass and some not, in any order. */
static void sources_in_a_burst(void **state)
{
	struct rig *r = *state;
	struct packet p[60];

	join(r, NULL, NULL);
	rig_connect(r, 1, 2, NULL);
	route_to(r, 1, "10.0.0.11", peer_dest(r, 1, 2));
	route_to(r, 1, "fd00:0::b", peer_dest(r, 1, 2));
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(p); i++) {
		p[i] = there(i / 3 % 2 != 0);
		p[i].from = i % 7 == 2 || i % 5 == 1 ? 11 : 10;
		p[i].seed = (uint8_t)i;
		packet_in(r, 0, 0, &p[i]);
	}
	rig_run(r);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(p); i++)
		if (p[i].from == 10)
			expect_packet(r, 1, 0, &p[i], 2);
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_drops(r, 1), rig_count(r, 1, OMNI_STAT_drop_source_address));
}

/* From peer to peer only where the cluster relays, and never back. */
static void relay(void **state)
{
	static const struct omni_l3 relays = {.relay = true};
	struct rig *r = *state;

	rig_connect(r, 0, 1, NULL);
	rig_connect(r, 1, 2, NULL);
	for (unsigned int i = 0; i < 3; i++)
		set_l3(r, i, i == 1 ? &relays : NULL);
	allow(r, 1, 0);
	allow(r, 1, 2);
	route_to(r, 0, "0.0.0.0/0", peer_dest(r, 0, 1));
	route_to(r, 0, "::/0", peer_dest(r, 0, 1));
	route_to(r, 2, "0.0.0.0/0", peer_dest(r, 2, 1));
	route_to(r, 2, "::/0", peer_dest(r, 2, 1));
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct packet p = there(v6 != 0);

		p.to_site = 2;
		packet_in(r, 0, 0, &p);
		rig_run(r);
		expect_packet(r, 2, 0, &p, 3);
		assert_int_equal(rig_drops(r, 1), 0);
		/* Back to where it came from. */
		p.to_site = 0;
		p.from = 12;
		no_route_to(r, 0, v6 != 0 ? "fd00:0::b" : "10.0.0.11");
		route_to(r, 0, v6 != 0 ? "fd00:0::b" : "10.0.0.11", peer_dest(r, 0, 1));
		packet_in(r, 0, 0, &p);
		assert_dropped(r, 1, OMNI_STAT_drop_same_peer);
		set_l3(r, 1, NULL);
		p.to_site = 2;
		packet_in(r, 0, 0, &p);
		assert_dropped(r, 1, OMNI_STAT_drop_relay_refused);
		rig_expect_nothing(r->site[2].local[0]);
		set_l3(r, 1, &relays);
		rte_pktmbuf_free(rig_out(r->site[0].local[0])); /* the errors about that */
	}
}

/* A raw port's host is no hop away: what it sends and gets keeps its hops. */
static void raw_ports(void **state)
{
	struct rig *r = *state;
	struct omni_port *raw = r->site[1].local[1];

	raw->info.raw_ip = true;
	join(r, NULL, NULL);
	route_to(r, 1, "10.0.1.0/24", port_dest(r, 1, 1));
	route_to(r, 1, "10.0.1.11", port_dest(r, 1, 1));
	route_to(r, 1, "fe80::b", port_dest(r, 1, 1));
	for (uint8_t ttl = 2; ttl < 5; ttl++) {
		struct packet p = there(false), back = p;

		p.ttl = back.ttl = ttl;
		packet_in(r, 0, 0, &p);
		back.from_site = 1;
		back.from = 11;
		back.to_site = 0;
		back.to = 10;
		packet_in(r, 1, 1, &back);
		rig_run(r);
		expect_packet(r, 1, 1, &p, 1);
		expect_packet(r, 0, 0, &back, 1);
	}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	/* Not back into it, and nothing is asked for there. */
	{
		struct packet p = there(false);

		p.from_site = 1;
		packet_in(r, 1, 1, &p);
		assert_dropped(r, 1, OMNI_STAT_drop_same_port);
	}
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_WANT_NEIGHBOUR), 0);
}

/* As from WireGuard's interface: what nobody else has, the kernel behind the raw port gets. */
static void the_kernel_has_the_rest(void **state)
{
	static const uint8_t elsewhere4[] = {198, 51, 100, 7};
	static const uint8_t elsewhere6[16] = {0x20, 1, 0x0d, 0xb8, [15] = 7};
	static const uint8_t group4[] = {224, 0, 0, 5}, group6[16] = {0xff, 2, [15] = 5};
	const uint8_t *const to[2][2] = {{elsewhere4, group4}, {elsewhere6, group6}};
	struct rig *r = *state;
	struct omni_l3 l3 = {.relay = true};

	r->site[1].local[1]->info.raw_ip = true;
	r->site[0].local[1]->info.raw_ip = true;
	join(r, NULL, NULL);
	l3.host = port_dest(r, 1, 1);
	set_l3(r, 1, &l3);
	route_to(r, 0, "0.0.0.0/0", peer_dest(r, 0, 1));
	route_to(r, 0, "::/0", peer_dest(r, 0, 1));
	for (unsigned int i = 0; i < 4; i++) {
		struct packet p = there(i / 2 != 0);

		p.dst = to[i / 2][i % 2];
		p.ttl = 1;
		packet_in(r, 0, 1, &p);
		rig_run(r);
		expect_packet(r, 1, 1, &p, 0);
		assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
		/* From the kernel there is no more of it; from a link no group goes on. */
		packet_in(r, 1, 1, &p);
		if (i % 2 == 0)
			assert_dropped(r, 1, OMNI_STAT_drop_no_route);
		else
			assert_dropped(r, 1, OMNI_STAT_drop_multicast);
		rte_pktmbuf_free(rig_out(r->site[1].local[1])); /* the error about that */
		if (i % 2 == 0)
			continue;
		packet_in(r, 0, 0, &p);
		assert_dropped(r, 0, OMNI_STAT_drop_multicast);
	}
	rig_expect_nothing(r->site[1].local[0]);
}

/* The kernel forwards between peers, or does not. */
static void relay_by_the_kernel(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false), back = p;
	struct omni_l3 l3 = {.by_host = true};

	r->site[1].local[1]->info.raw_ip = true;
	join(r, NULL, NULL);
	rig_connect(r, 1, 2, NULL);
	set_l3(r, 2, NULL);
	allow(r, 1, 2);
	route_to(r, 0, "10.0.0.0/8", peer_dest(r, 0, 1));
	route_to(r, 2, "10.0.0.0/8", peer_dest(r, 2, 1));
	l3.host = port_dest(r, 1, 1);
	set_l3(r, 1, &l3);
	p.to_site = 2;
	packet_in(r, 0, 0, &p);
	rig_run(r);
	expect_packet(r, 1, 1, &p, 1);
	packet_in(r, 1, 1, &p);
	rig_run(r);
	expect_packet(r, 2, 0, &p, 1);
	/* What is behind our own port goes there as ever. */
	back.from_site = 2;
	back.from = 12;
	back.to_site = 1;
	packet_in(r, 2, 0, &back);
	rig_run(r);
	expect_packet(r, 1, 0, &back, 2);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1) + rig_drops(r, 2), 0);
}

/* Several workers: who has no queue of the port hands the frame over. */
static void workers(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);

	join(r, NULL, NULL);
	rig_set_workers(r, 1, 2);
	rig_set_queues(r->site[1].local[0], 1, 1);
	for (unsigned int i = 0; i < 5; i++)
		packet_in(r, 0, 0, &p);
	rig_run(r);
	for (unsigned int i = 0; i < 5; i++)
		expect_packet(r, 1, 0, &p, 2);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_handed_frames), 5);
	assert_int_equal(rig_drops(r, 1), 0);
}

/* An L2 cluster on the same gateway, in the same bursts of its uplink. */
static void beside_l2(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);

	/* Site 1 is L2 to site 0, which sends it a packet as a frame. */
	rig_connect(r, 0, 1, NULL);
	set_l3(r, 0, NULL);
	allow(r, 0, 1);
	p.len = 300;
	packet_in(r, 0, 0, &p);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_sealed), 1);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_opened), 1);
	for (unsigned int i = 0; i < LOCALS; i++)
		rte_pktmbuf_free(rig_out(r->site[1].local[i]));
	/* And a frame as a packet. */
	rig_in(r->site[1].local[0], rig_frame(r, 0, 22, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_ip), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ways),
		TEST(by_wireguard),
		TEST(both_dialects),
		TEST(bursts),
		TEST(between_ports),
		TEST(padding_and_options),
		TEST(bad_headers),
		TEST(bad_destinations),
		TEST(links),
		TEST(sources),
		TEST(sources_in_a_burst),
		TEST(relay),
		TEST(raw_ports),
		TEST(the_kernel_has_the_rest),
		TEST(relay_by_the_kernel),
		TEST(workers),
		TEST(beside_l2),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
