/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TCP segments of up to 64 KB in L3 clusters: whole, and in packets where there is more to say. */
#include <omni_chain.h>

#include "packets.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
#define PIECE 1420 /* of what goes over IPv4 with 1500 bytes */
#define SIZE 1348
#define TCP_LEN 32
#define DF 0x4000
#define SYN 0x02
#define ACK 0x10

static const struct link both_take = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS};
/* Packets of SIZE fit its datagrams, pieces of PIECE do not. */
static const struct link narrower = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS, .mtu = 1490};

struct segment {
	struct packet p;
	uint8_t tcp[65536], ip[65536];
	unsigned int len, hdr_len; /* from the IP header on */
};

static uint32_t random_below(uint32_t below)
{
	static uint64_t seed = 20240501;

	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % below);
}

/* Of payload bytes; p's addresses, hops and so on. */
static struct segment *segment_of(const struct packet *p, unsigned int payload)
{
	static struct segment s;

	s.p = *p;
	s.p.proto = 6;
	s.p.frag = DF;
	s.p.id = 100;
	s.p.len = (uint16_t)(TCP_LEN + payload);
	s.p.payload = s.tcp;
	memset(s.tcp, 0, TCP_LEN);
	omni_store_be32(s.tcp, UINT32_C(40000) << 16 | 5201);
	omni_store_be32(s.tcp + 4, 7000);
	s.tcp[12] = TCP_LEN / 4 << 4;
	s.tcp[13] = ACK;
	memset(s.tcp + 20, 1, 12);
	for (unsigned int i = 0; i < payload; i++)
		s.tcp[TCP_LEN + i] = (uint8_t)random_below(256);
	s.len = put_packet(s.ip, &s.p);
	s.hdr_len = header_len(&s.p) + TCP_LEN;
	return &s;
}

static struct packet there(bool v6)
{
	return (struct packet){.v6 = v6, .from_site = 0, .from = 10, .to_site = 1, .to = 11};
}

static struct segment *plain(bool v6, unsigned int payload)
{
	const struct packet p = there(v6);

	return segment_of(&p, payload);
}

static struct rte_mbuf *buffer_of(struct rig *r, const uint8_t *bytes, unsigned int len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	return m;
}

/* As a port gives it: so many bytes in each buffer, and the link header in the first. */
static struct rte_mbuf *chain_of(struct rig *r, const struct omni_port *port,
				 const struct segment *s, unsigned int piece)
{
	uint8_t front[ETH + PIECE];
	unsigned int first = OMNI_MIN(piece, s->len), at = first;
	struct rte_mbuf *head;

	memcpy(front, port->info.l3_mac, 6);
	rig_mac(front + 6, 200 + s->p.from);
	omni_store_be16(front + 12, s->p.v6 ? 0x86dd : 0x0800);
	memcpy(front + ETH, s->ip, first);
	head = buffer_of(r, front, ETH + first);
	for (unsigned int some; at < s->len; at += some) {
		some = OMNI_MIN(piece, s->len - at);
		assert_int_equal(rte_pktmbuf_chain(head, buffer_of(r, s->ip + at, some)), 0);
	}
	omni_segment_mark(head, s->p.v6, SIZE, ETH, (uint16_t)(ETH + header_len(&s->p)),
			  (uint16_t)(ETH + s->hdr_len));
	return head;
}

static void put(struct rig *r, const struct segment *s)
{
	struct omni_port *port = r->site[0].local[0];

	rig_in(port, chain_of(r, port, s, PIECE));
}

static void start(struct rig *r, const struct link *link, const struct omni_l3 *conf)
{
	for (unsigned int i = 0; i < SITES; i++)
		for (unsigned int k = 0; k < LOCALS; k++)
			r->site[i].local[k]->info.segments = true;
	join(r, link, conf);
	rig_forget_events(r);
}

/* The same segment leaves, with so many hops fewer and that TOS. */
static void expect_whole_tos(struct omni_port *port, const struct segment *s, unsigned int hops,
			     uint8_t tos)
{
	struct rte_mbuf *m = rig_out(port);
	static uint8_t want[65536];
	struct packet p = s->p;
	struct virtio_net_hdr h;
	unsigned int at;
	const uint8_t *f;

	assert_non_null(m);
	assert_true(omni_is_segment(m));
	p.ttl = (uint8_t)((p.ttl != 0 ? p.ttl : 64) - hops);
	p.tos = tos;
	assert_int_equal(put_packet(want, &p), s->len);
	assert_int_equal(m->pkt_len, ETH + s->len);
	omni_segment_describe(m, &h);
	assert_int_equal(h.gso_size, SIZE);
	assert_int_equal(h.csum_start, ETH + header_len(&p));
	assert_int_equal(h.hdr_len, ETH + s->hdr_len);
	f = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_memory_equal(f + 6, port->info.l3_mac, 6);
	assert_int_equal(omni_load_be16(f + 12), p.v6 ? 0x86dd : 0x0800);
	assert_memory_equal(f + ETH, want, m->data_len - ETH);
	at = m->data_len - ETH;
	for (const struct rte_mbuf *b = m->next; b != NULL; at += b->data_len, b = b->next)
		assert_memory_equal(rte_pktmbuf_mtod(b, const uint8_t *), want + at, b->data_len);
	assert_int_equal(at, s->len);
	rte_pktmbuf_free(m);
}

static void expect_whole(struct omni_port *port, const struct segment *s, unsigned int hops)
{
	expect_whole_tos(port, s, hops, s->p.tos);
}

static void assert_tcp_sum(const uint8_t *ip, unsigned int len)
{
	bool v6 = ip[0] >> 4 == 6;
	unsigned int at = v6 ? 40 : 20;
	uint32_t sum = fold16(sum16(ip + (v6 ? 8 : 12), v6 ? 32 : 8)) + 6 + len - at;

	assert_int_equal(fold16(sum + fold16(sum16(ip + at, len - at))), 0xffff);
}

static unsigned int packets_of(const struct segment *s)
{
	return (s->len - s->hdr_len + SIZE - 1) / SIZE;
}

/* Packets with right checksums that carry the payload in order; nothing else comes out. */
static void expect_packets(struct omni_port *port, const struct segment *s, unsigned int hops)
{
	unsigned int len, at = s->hdr_len, hdr = s->hdr_len;

	for (unsigned int i = 0; i < packets_of(s); i++) {
		const uint8_t *ip = take_packet(port, &len);

		assert_non_null(ip);
		assert_int_equal(len, hdr + OMNI_MIN((unsigned int)SIZE, s->len - at));
		assert_tcp_sum(ip, len);
		assert_int_equal(s->p.v6 ? ip[7] : ip[8], 64 - hops);
		assert_int_equal(omni_load_be32(ip + header_len(&s->p) + 4),
				 7000 + i * (uint32_t)SIZE);
		assert_memory_equal(ip + hdr, s->ip + at, len - hdr);
		at += len - hdr;
	}
	rig_expect_nothing(port);
}

static void no_drops(const struct rig *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		assert_int_equal(rig_drops(r, i), 0);
}

static void forget(struct rig *r)
{
	for (unsigned int i = 0; i < r->n; i++)
		memset(r->site[i].stats, 0, sizeof(r->site[i].stats));
}

/* ---- Whole ---- */

static void whole_from_port_to_port(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start(r, &both_take, NULL);
	for (unsigned int i = 0; i < 200; i++) {
		s = plain(i % 2 != 0, 1 + random_below(60000));
		put(r, s);
		rig_run(r);
		expect_whole(r->site[1].local[0], s, 2);
	}
	no_drops(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_segments_sent), 200);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_segments_received), 200);
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
}

/* No hop is taken at either end. */
static void raw_ports(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start(r, &both_take, NULL);
	r->site[0].local[0]->info.raw_ip = r->site[1].local[0]->info.raw_ip = true;
	for (unsigned int i = 0; i < 2; i++) {
		struct packet p = there(i != 0);

		p.ttl = 1;
		s = segment_of(&p, 30000);
		put(r, s);
		rig_run(r);
		expect_whole(r->site[1].local[0], s, 0);
	}
	no_drops(r);
}

/* All datagrams are as long as the first, but the last: they are one segmented send. */
static void datagrams_are_equally_long(void **state)
{
	struct rig *r = *state;
	struct rte_mbuf *m;
	unsigned int n = 0, last = 14 + 1500;
	struct segment *s;

	start(r, &both_take, NULL);
	s = plain(false, 50000);
	r->unplugged = true;
	put(r, s);
	rig_run(r);
	for (; (m = rig_out(r->site[0].uplink)) != NULL; n++) {
		assert_int_equal(last, 14 + 1500);
		last = m->pkt_len;
		assert_true(last <= 14 + 1500);
		assert_int_equal(m->nb_segs, 1);
		assert_false(omni_is_segment(m));
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, (s->len + PIECE - 1) / PIECE);
}

static void between_ports_of_one_site(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);
	struct segment *s;

	start(r, &both_take, NULL);
	route_to(r, 0, "10.0.9.0/24", port_dest(r, 0, 1));
	r->site[0].local[1]->info.raw_ip = true;
	p.to_site = 9;
	s = segment_of(&p, 40000);
	put(r, s);
	rig_run(r);
	expect_whole(r->site[0].local[1], s, 0);
	r->site[0].local[1]->info.segments = false;
	put(r, s);
	rig_run(r);
	expect_packets(r->site[0].local[1], s, 0);
	no_drops(r);
}

static struct {
	unsigned int calls;
	uint16_t piece, more;
} told;

static void fake_whole(struct omni_port *port, uint16_t queue, uint16_t piece, uint16_t more)
{
	(void)port;
	(void)queue;
	told.calls++;
	told.piece = piece;
	told.more = more;
}

/* Turns with a port that gives segments whole; rings of the rig do not hear of it. */
static void run_telling(struct rig *r, struct omni_port *port)
{
	const struct omni_port_ops *was = port->ops;
	struct omni_port_ops ops = *was;

	memset(&told, 0, sizeof(told));
	ops.whole = fake_whole;
	port->ops = &ops;
	rig_run(r);
	port->ops = was;
}

/* A port hears where its packets go, and how long the buffers are that fit; and when to cut. */
static void port_is_told(void **state)
{
	struct rig *r = *state;
	struct omni_port *port = r->site[0].local[0];
	struct packet p = there(false);

	start(r, &both_take, NULL);
	p.len = 100;
	for (unsigned int i = 0; i < 8; i++)
		packet_in(r, 0, 0, &p);
	run_telling(r, port);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.piece, PIECE);
	assert_int_equal(told.more, ETH);
	atomic_fetch_or(&r->site[0].key[1]->marks, OMNI_KEYPAIR_CUT);
	put(r, plain(false, 30000));
	run_telling(r, port);
	assert_int_equal(told.calls, 2); /* at the segment, and at its packets */
	assert_int_equal(told.piece, 0);
	for (struct rte_mbuf *m; (m = rig_out(r->site[1].local[0])) != NULL;)
		rte_pktmbuf_free(m);
}

/* ---- In packets ---- */

static void in_packets_over(struct rig *r, unsigned int cut_at)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct segment *s = plain(i % 2 != 0, SIZE + random_below(55000));

		put(r, s);
		rig_run(r);
		expect_packets(r->site[1].local[0], s, 2);
	}
	no_drops(r);
	assert_int_equal(rig_count(r, cut_at, OMNI_STAT_segments_cut), 20);
	assert_int_equal(rig_count(r, 1 - cut_at, OMNI_STAT_segments_cut), 0);
}

static void peer_does_not_take_them(void **state)
{
	static const struct link link = {.features = ALL_FEATURES};

	start(*state, &link, NULL);
	in_packets_over(*state, 0);
}

static void wireguard_peer(void **state)
{
	static const struct link link = {.dialect = OMNI_DIALECT_WIREGUARD};

	start(*state, &link, NULL);
	in_packets_over(*state, 0);
}

static void port_does_not_take_them(void **state)
{
	struct rig *r = *state;

	start(r, &both_take, NULL);
	r->site[1].local[0]->info.segments = false;
	in_packets_over(r, 1);
}

static void peer_asked_for_frames(void **state)
{
	struct rig *r = *state;

	start(r, &both_take, NULL);
	atomic_fetch_or(&r->site[0].key[1]->marks, OMNI_KEYPAIR_CUT);
	in_packets_over(r, 0);
}

/* Its packets fit, buffers as they were read do not. */
static void path_is_narrower(void **state)
{
	start(*state, &narrower, NULL);
	in_packets_over(*state, 0);
}

static void shared_lane(void **state)
{
	static const struct link link = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS,
					 .lanes = 2};

	rig_set_workers(*state, 0, 2);
	start(*state, &link, NULL);
	in_packets_over(*state, 0);
}

/* ---- What is said, is said of each packet ---- */

/* The answer about a packet of the segment. */
static void expect_error(struct rig *r, const struct segment *s, uint8_t type4, uint8_t type6,
			 unsigned int value)
{
	unsigned int len, quoted;
	const uint8_t *ip = take_packet(r->site[0].local[0], &len);

	assert_non_null(ip);
	if (s->p.v6) {
		assert_int_equal(ip[40], type6);
		assert_int_equal(omni_load_be32(ip + 44), value);
		quoted = 40 + omni_load_be16(ip + 48 + 4);
	} else {
		assert_int_equal(ip[20], type4);
		assert_int_equal(omni_load_be16(ip + 26), value);
		quoted = omni_load_be16(ip + 28 + 2);
	}
	assert_int_equal(quoted, s->hdr_len + SIZE);
}

static void too_big(struct rig *r, unsigned int site, bool v6, unsigned int mtu)
{
	struct segment *s = plain(v6, 10 * SIZE);

	forget(r);
	put(r, s);
	rig_run(r);
	assert_int_equal(rig_count(r, site, OMNI_STAT_drop_too_big), 10);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 10);
	for (unsigned int i = 0; i < 10; i++)
		expect_error(r, s, 3, 2, mtu);
	rig_expect_nothing(r->site[0].local[0]);
	rig_expect_nothing(r->site[1].local[0]);
}

static void too_big_for_the_path(void **state)
{
	static const struct link link = {.features = ALL_FEATURES | OMNI_FEATURE_SEGMENTS,
					 .mtu = 1400};

	start(*state, &link, NULL);
	too_big(*state, 0, false, 1400 - 68);
	too_big(*state, 0, true, 1400 - 68);
}

static void too_big_for_the_cluster(void **state)
{
	static const struct omni_l3 conf = {.mtu = 1300};

	start(*state, &both_take, &conf);
	too_big(*state, 0, false, 1300);
	too_big(*state, 0, true, 1300);
}

static void too_big_for_the_far_port(void **state)
{
	struct rig *r = *state;

	start(r, &both_take, NULL);
	r->site[1].local[0]->info.mtu = 1290;
	too_big(r, 1, false, 1290);
	too_big(r, 1, true, 1290);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_segments_sent), 1);
}

static void last_hop(void **state)
{
	struct rig *r = *state;

	start(r, &both_take, NULL);
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (uint8_t ttl = 1; ttl < 3; ttl++) {
			struct packet p = there(v6 != 0);
			struct segment *s;

			forget(r);
			p.ttl = ttl;
			s = segment_of(&p, 3 * SIZE);
			put(r, s);
			rig_run(r);
			assert_int_equal(rig_count(r, ttl - 1, OMNI_STAT_drop_ttl), 3);
			for (unsigned int i = 0; i < 3; i++)
				expect_error(r, s, 11, 3, 0);
			rig_expect_nothing(r->site[1].local[0]);
		}
}

/* A chain never waits: its packets do. */
static void waits_in_packets(void **state)
{
	struct rig *r = *state;
	struct segment *s;
	struct omni_keypair *kp;
	unsigned int len, n = 0;

	start(r, &both_take, NULL);
	kp = atomic_exchange(&r->site[0].peer[1]->tx, NULL);
	s = plain(false, 20 * SIZE);
	put(r, s);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_held), 20);
	atomic_store(&r->site[0].peer[1]->tx, kp);
	route_to(r, 0, "10.9.0.0/16", peer_dest(r, 0, 1)); /* something changed */
	rig_run(r);
	while (take_packet(r->site[1].local[0], &len) != NULL)
		n++;
	assert_int_equal(n, 20);
}

/* Odd, but a kernel may be told to make them: each is fitted to the path. */
static void segment_with_syn(void **state)
{
	static const uint8_t mss[] = {2, 4, 0xff, 0xff};
	struct rig *r = *state;
	struct segment *s;

	start(r, &both_take, NULL);
	atomic_store(&r->site[0].bridges->at[DOMAIN].tcp_mss, OMNI_MSS_AUTO);
	for (unsigned int i = 0; i < 2; i++) {
		s = plain(i != 0, 3 * SIZE);
		s->tcp[13] |= SYN;
		memcpy(s->tcp + 20, mss, sizeof(mss));
		(void)put_packet(s->ip, &s->p);
		put(r, s);
		rig_run(r);
		for (unsigned int k = 0; k < 3; k++) {
			unsigned int len = 0, at = header_len(&s->p);
			const uint8_t *ip = take_packet(r->site[1].local[0], &len);

			assert_non_null(ip);
			assert_int_equal(omni_load_be16(ip + at + 22), 1432 - 20 - at);
			assert_tcp_sum(ip, len);
		}
	}
	no_drops(r);
}

/* ---- ECN ---- */

static unsigned int sent(struct rig *r, const struct segment *s, struct rte_mbuf **m)
{
	put(r, s);
	return rig_intercept(r, 0, m);
}

static void mark(struct rte_mbuf *m, uint8_t ecn)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETH);

	ip[1] = (uint8_t)((ip[1] & ~3) | ecn);
	memset(ip + 10, 0, 2);
	omni_store_be16(ip + 10, (uint16_t)~fold16(sum16(ip, 20)));
}

/* Every datagram shows the segment's TOS, and one mark on any of them marks the segment. */
static void ecn_of_datagrams(void **state)
{
	static const struct omni_l3 conf = {.ecn = true, .dscp = OMNI_FIB_DSCP_COPY};
	struct rte_mbuf *m[OMNI_CHAIN_MAX + 1];
	struct rig *r = *state;

	start(r, &both_take, &conf);
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t inner = i & 3;
		struct packet p = there((i & 4) != 0);
		struct segment *s;
		unsigned int n;

		p.tos = 0xb8 | inner;
		s = segment_of(&p, 9000);
		n = sent(r, s, m);
		assert_int_equal(n, (s->len + PIECE - 1) / PIECE);
		for (unsigned int k = 0; k < n; k++) {
			assert_int_equal(rte_pktmbuf_mtod(m[k], uint8_t *)[ETH + 1], p.tos);
			if ((i & 8) != 0 && k == i % n)
				mark(m[k], 3);
			rig_in(r->site[1].uplink, m[k]);
		}
		rig_run(r);
		if ((i & 8) != 0 && inner == 0) {
			rig_expect_nothing(r->site[1].local[0]);
			continue;
		}
		expect_whole_tos(r->site[1].local[0], s, 2, (i & 8) != 0 ? p.tos | 3 : p.tos);
	}
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_ecn), 2);
	assert_int_equal(rig_drops(r, 1), 2);
}

/* ---- Relays ---- */

static void start_relay(struct rig *r, const struct link *onward, bool relay)
{
	const struct omni_l3 conf = {.relay = relay};

	start(r, &both_take, &conf);
	rig_connect(r, 1, 2, onward);
	set_l3(r, 2, NULL);
	allow(r, 1, 2);
	route_to(r, 0, "10.0.2.0/24", peer_dest(r, 0, 1));
	route_to(r, 2, "10.0.0.0/24", peer_dest(r, 2, 1));
}

static struct segment *onward_segment(unsigned int payload)
{
	struct packet p = there(false);

	p.to_site = 2;
	return segment_of(&p, payload);
}

static void relayed_whole(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start_relay(r, &both_take, true);
	s = onward_segment(40000);
	put(r, s);
	rig_run(r);
	expect_whole(r->site[2].local[0], s, 3);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_segments_cut), 0);
	no_drops(r);
}

/* To who takes none, and where pieces do not fit. */
static void relayed_in_packets(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start_relay(r, &narrower, true);
	s = onward_segment(40000);
	put(r, s);
	rig_run(r);
	expect_packets(r->site[2].local[0], s, 3);
	no_drops(r);
}

static void relay_refused(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start_relay(r, &both_take, false);
	s = onward_segment(3 * SIZE);
	put(r, s);
	rig_run(r);
	rig_expect_nothing(r->site[2].local[0]);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_relay_refused), 3);
	for (unsigned int i = 0; i < 3; i++)
		expect_error(r, s, 3, 1, 0);
}

/* ---- What a peer may send ---- */

static void forge_piece(struct rig *r, uint32_t id, const struct segment *s, unsigned int begin,
			unsigned int len, uint16_t size)
{
	static uint64_t sequence = 1000;
	const struct forge f = {.sequence = sequence++, .lane = 1, .kind = OMNI_KIND_SEGMENT};
	uint8_t piece[OMNI_PIECE_HDR_LEN + FRAME_MAX];

	omni_store_be32(piece, id);
	omni_store_be16(piece + 4, (uint16_t)begin);
	omni_store_be16(piece + 6, (uint16_t)s->len);
	omni_store_be32(piece + 8, (uint32_t)size << 16);
	memcpy(piece + OMNI_PIECE_HDR_LEN, s->ip + begin, len);
	rig_in(r->site[1].uplink,
	       rig_sealed(r, 0, 1, &f, piece, (uint16_t)(OMNI_PIECE_HDR_LEN + len)));
	rig_run(r);
}

/* In pieces of PIECE bytes behind a first one of that length. */
static void forge(struct rig *r, uint32_t id, const struct segment *s, unsigned int first,
		  uint16_t size)
{
	unsigned int some = OMNI_MIN(first, s->len);

	for (unsigned int at = 0; at < s->len; at += some, some = OMNI_MIN(s->len - at, PIECE))
		forge_piece(r, id, s, at, some, size);
}

static void dropped_as(struct rig *r, enum omni_stat why)
{
	rig_expect_nothing(r->site[1].local[0]);
	assert_int_equal(rig_count(r, 1, why), 1);
	assert_int_equal(rig_drops(r, 1), 1);
	forget(r);
}

static void hostile_segments(void **state)
{
	struct rig *r = *state;
	struct packet p = there(false);
	struct segment *s;

	start(r, &both_take, NULL);
	s = plain(false, 3000);
	forge(r, 1, s, PIECE, SIZE);
	expect_whole(r->site[1].local[0], s, 1);
	/* Lengths in the header that are not the segment's, in several buffers and in one. */
	for (unsigned int i = 0; i < 4; i++) {
		s = plain(false, i < 2 ? 3000 : 500);
		omni_store_be16(s->ip + 2, (uint16_t)(s->len + (i % 2 != 0 ? 1 : -1)));
		memset(s->ip + 10, 0, 2);
		omni_store_be16(s->ip + 10, (uint16_t)~fold16(sum16(s->ip, 20)));
		forge(r, 10 + i, s, PIECE, SIZE);
		dropped_as(r, OMNI_STAT_drop_bad_ip);
	}
	s = plain(true, 3000);
	omni_store_be16(s->ip + 4, 40);
	forge(r, 20, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_bad_ip);
	s = plain(false, 3000);
	s->ip[10] ^= 1;
	forge(r, 21, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_ip_checksum);
	p.from_site = 7;
	s = segment_of(&p, 3000);
	forge(r, 22, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_source_address);
	/* A fragment, another protocol, another version, headers beyond the first piece. */
	s = plain(false, 3000);
	s->ip[6] = 0x20;
	forge(r, 23, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_bad_fragment);
	s = plain(false, 3000);
	s->ip[9] = 17;
	forge(r, 24, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_bad_fragment);
	s = plain(false, 3000);
	s->ip[0] = 0x75;
	forge(r, 25, s, PIECE, SIZE);
	dropped_as(r, OMNI_STAT_drop_bad_fragment);
	s = plain(false, 3000);
	forge(r, 26, s, 50, SIZE);
	dropped_as(r, OMNI_STAT_drop_bad_fragment);
	/* Packets longer than the agreed frame. */
	s = plain(false, 20000);
	forge(r, 27, s, PIECE, FRAME_MAX);
	dropped_as(r, OMNI_STAT_drop_too_long);
	assert_int_equal(omni_node_deadline(r->site[1].worker), 0);
}

/* The first piece is short, the others do not fit the next path: they are cut, not sent. */
static void hostile_pieces_to_a_narrow_path(void **state)
{
	struct rig *r = *state;
	struct segment *s;

	start_relay(r, &narrower, true);
	s = onward_segment(20000);
	forge(r, 1, s, 100, SIZE);
	expect_packets(r->site[2].local[0], s, 2);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_segments_cut), 1);
	no_drops(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_from_port_to_port),
		TEST(raw_ports),
		TEST(datagrams_are_equally_long),
		TEST(between_ports_of_one_site),
		TEST(port_is_told),
		TEST(peer_does_not_take_them),
		TEST(wireguard_peer),
		TEST(port_does_not_take_them),
		TEST(peer_asked_for_frames),
		TEST(path_is_narrower),
		TEST(shared_lane),
		TEST(too_big_for_the_path),
		TEST(too_big_for_the_cluster),
		TEST(too_big_for_the_far_port),
		TEST(last_hop),
		TEST(waits_in_packets),
		TEST(segment_with_syn),
		TEST(ecn_of_datagrams),
		TEST(relayed_whole),
		TEST(relayed_in_packets),
		TEST(relay_refused),
		TEST(hostile_segments),
		TEST(hostile_pieces_to_a_narrow_path),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
