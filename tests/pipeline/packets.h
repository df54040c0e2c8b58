/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * IP packets for the tests of L3 clusters: made, and read back without any of the gateway's own
 * code. Site s has the addresses 10.0.s.0/24 and fd00:s::/64: host 1 is the gateway itself, the
 * others are behind its first local port.
 */
#ifndef OMNI_TESTS_PACKETS_H
#define OMNI_TESTS_PACKETS_H

#include "rig.h"

#define PACKET_MAX 9000
#define ETH 14

struct packet {
	bool v6;
	unsigned int from_site, from, to_site, to; /* addresses, by site and host */
	const uint8_t *src, *dst;		   /* instead of them */
	uint8_t ttl, proto;			   /* 0: 64; an unknown one */
	uint8_t tos;
	uint16_t id, frag; /* IPv4 */
	uint8_t options[40];
	unsigned int n_options; /* IPv4: bytes; IPv6: a hop-by-hop header where not 0 */
	uint16_t len;		/* of the payload */
	uint8_t seed;
	const uint8_t *payload; /* NULL: made from seed */
};

static inline uint32_t sum16(const uint8_t *at, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	return sum;
}

static inline uint16_t fold16(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline void address(uint8_t *at, bool v6, unsigned int site, unsigned int host)
{
	if (v6) {
		memset(at, 0, 16);
		at[0] = 0xfd;
		at[3] = (uint8_t)site;
		at[15] = (uint8_t)host;
		return;
	}
	at[0] = 10;
	at[1] = 0;
	at[2] = (uint8_t)site;
	at[3] = (uint8_t)host;
}

static inline unsigned int header_len(const struct packet *p)
{
	return p->v6 ? 40 + (p->n_options != 0 ? 8 : 0) : 20 + (p->n_options + 3) / 4 * 4;
}

static inline void put_v6(uint8_t *at, const struct packet *p)
{
	unsigned int ext = p->n_options != 0 ? 8 : 0;

	at[0] = (uint8_t)(0x60 | p->tos >> 4);
	at[1] = (uint8_t)(p->tos << 4);
	omni_store_be16(at + 4, (uint16_t)(ext + p->len));
	at[6] = ext != 0 ? 0 : p->proto != 0 ? p->proto : 253;
	at[7] = p->ttl != 0 ? p->ttl : 64;
	address(at + 8, true, p->from_site, p->from);
	address(at + 24, true, p->to_site, p->to);
	if (p->src != NULL)
		memcpy(at + 8, p->src, 16);
	if (p->dst != NULL)
		memcpy(at + 24, p->dst, 16);
	if (ext != 0) {
		at[40] = p->proto != 0 ? p->proto : 253;
		at[42] = 1; /* PadN */
		at[43] = 4;
	}
}

static inline void put_v4(uint8_t *at, const struct packet *p)
{
	at[0] = (uint8_t)(0x40 | header_len(p) / 4);
	at[1] = p->tos;
	omni_store_be16(at + 2, (uint16_t)(header_len(p) + p->len));
	omni_store_be16(at + 4, p->id);
	omni_store_be16(at + 6, p->frag);
	at[8] = p->ttl != 0 ? p->ttl : 64;
	at[9] = p->proto != 0 ? p->proto : 253;
	address(at + 12, false, p->from_site, p->from);
	address(at + 16, false, p->to_site, p->to);
	if (p->src != NULL)
		memcpy(at + 12, p->src, 4);
	if (p->dst != NULL)
		memcpy(at + 16, p->dst, 4);
	memcpy(at + 20, p->options, p->n_options);
	omni_store_be16(at + 10, (uint16_t)~fold16(sum16(at, header_len(p))));
}

/* The packet's bytes; returns how many. */
static inline unsigned int put_packet(uint8_t *at, const struct packet *p)
{
	unsigned int hdr_len = header_len(p);

	memset(at, 0, hdr_len);
	if (p->v6)
		put_v6(at, p);
	else
		put_v4(at, p);
	for (unsigned int i = 0; i < p->len; i++)
		at[hdr_len + i] =
			p->payload != NULL ? p->payload[i] : (uint8_t)(p->seed + i * 13 + (i >> 8));
	return hdr_len + p->len;
}

/* In a frame to that port, with so many bytes of padding behind it. */
static inline struct rte_mbuf *packet_frame(struct rig *r, const struct omni_port *port,
					    const struct packet *p, unsigned int padding)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->pool);
	uint8_t *at, buf[PACKET_MAX];
	unsigned int len = put_packet(buf, p);

	assert_non_null(m);
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(ETH + len + padding));
	assert_non_null(at);
	memcpy(at, port->info.l3_mac, 6);
	rig_mac(at + 6, 200 + p->from);
	omni_store_be16(at + 12, p->v6 ? 0x86dd : 0x0800);
	memcpy(at + ETH, buf, len);
	memset(at + ETH + len, 0x99, padding);
	return m;
}

/* Put it in at the site's local port. */
static inline void packet_in(struct rig *r, unsigned int site, unsigned int local,
			     const struct packet *p)
{
	struct omni_port *port = r->site[site].local[local];

	rig_in(port, packet_frame(r, port, p, 0));
}

/* Is that IPv4 header's checksum right, and do the lengths agree? */
static inline void assert_whole(const uint8_t *ip, unsigned int len)
{
	if (ip[0] >> 4 == 6) {
		assert_int_equal(40 + (ip[4] << 8 | ip[5]), len);
		return;
	}
	assert_int_equal(ip[0] >> 4, 4);
	assert_int_equal(ip[2] << 8 | ip[3], len);
	assert_int_equal(fold16(sum16(ip, (ip[0] & 15U) * 4)), 0xffff);
}

/*
 * Take a frame out of that port: its packet is p with `hops` fewer, its link header is from the
 * port to host `to` of the link.
 */
static inline void expect_packet(struct rig *r, unsigned int site, unsigned int local,
				 const struct packet *p, unsigned int hops)
{
	struct omni_port *port = r->site[site].local[local];
	struct rte_mbuf *m = rig_out(port);
	struct packet want = *p;
	uint8_t mac[6], buf[PACKET_MAX];
	const uint8_t *f;
	unsigned int len;

	assert_non_null(m);
	f = rte_pktmbuf_mtod(m, const uint8_t *);
	want.ttl = (uint8_t)((p->ttl != 0 ? p->ttl : 64) - hops);
	len = put_packet(buf, &want);
	rig_mac(mac, 200 + p->to);
	if (!port->info.raw_ip)
		assert_memory_equal(f, mac, 6);
	assert_memory_equal(f + 6, port->info.l3_mac, 6);
	assert_int_equal(f[12] << 8 | f[13], p->v6 ? 0x86dd : 0x0800);
	assert_int_equal(rte_pktmbuf_data_len(m), ETH + len);
	assert_int_equal(rte_pktmbuf_pkt_len(m), ETH + len);
	assert_whole(f + ETH, len);
	assert_memory_equal(f + ETH, buf, len);
	rte_pktmbuf_free(m);
}

/* What came out of a port, its link header off; the bytes stay in a static buffer. */
static inline const uint8_t *take_packet(struct omni_port *port, unsigned int *len)
{
	static uint8_t buf[PACKET_MAX + ETH];
	struct rte_mbuf *m = rig_out(port);

	if (m == NULL)
		return NULL;
	*len = rte_pktmbuf_data_len(m) - ETH;
	memcpy(buf, rte_pktmbuf_mtod_offset(m, const uint8_t *, ETH), *len);
	rte_pktmbuf_free(m);
	assert_whole(buf, *len);
	return buf;
}

static inline struct omni_prefix prefix_of(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static inline void route_to(struct rig *r, unsigned int site, const char *prefix, omni_dest dest)
{
	struct omni_prefix p = prefix_of(prefix);

	assert_int_equal(omni_fib_set(r->site[site].fib, DOMAIN, &p, dest), 0);
}

static inline void no_route_to(struct rig *r, unsigned int site, const char *prefix)
{
	struct omni_prefix p = prefix_of(prefix);

	assert_int_equal(omni_fib_del(r->site[site].fib, DOMAIN, &p, OMNI_DEST_MISS), 0);
}

static inline omni_dest peer_dest(const struct rig *r, unsigned int site, unsigned int other)
{
	const struct omni_peer *peer = r->site[site].peer[other];

	return omni_dest_make(OMNI_DEST_PEER, peer->index, peer->generation);
}

static inline omni_dest port_dest(const struct rig *r, unsigned int site, unsigned int local)
{
	const struct omni_port *port = r->site[site].local[local];

	return omni_dest_make(OMNI_DEST_PORT, port->id, port->generation);
}

/* A neighbour on a local port: route and link address. */
static inline omni_dest add_host(struct rig *r, unsigned int site, unsigned int local, bool v6,
				 unsigned int host)
{
	char text[64];
	uint8_t mac[6];
	omni_dest dest;

	rig_mac(mac, 200 + host);
	dest = omni_fib_adjacency_add(r->site[site].fib, r->site[site].local[local]->id, mac);
	assert_true(dest != OMNI_DEST_MISS);
	snprintf(text, sizeof(text), v6 ? "fd00:%u::%x" : "10.0.%u.%u", site, host);
	route_to(r, site, text, dest);
	return dest;
}

/* Make the site's cluster an L3 one: its own addresses, and the subnet on its first port. */
static inline void set_l3(struct rig *r, unsigned int site, const struct omni_l3 *conf)
{
	struct omni_l3 l3 = {0};
	char text[64];

	if (conf != NULL)
		l3 = *conf;
	address(l3.v4, false, site, 1);
	address(l3.v6, true, site, 1);
	assert_int_equal(omni_fib_set_cluster(r->site[site].fib, DOMAIN, &l3), 0);
	snprintf(text, sizeof(text), "10.0.%u.0/24", site);
	route_to(r, site, text, port_dest(r, site, 0));
	snprintf(text, sizeof(text), "fd00:%u::/64", site);
	route_to(r, site, text, port_dest(r, site, 0));
	snprintf(text, sizeof(text), "10.0.%u.1", site);
	route_to(r, site, text, omni_dest_make(OMNI_DEST_SELF, 0, 0));
	snprintf(text, sizeof(text), "fd00:%u::1", site);
	route_to(r, site, text, omni_dest_make(OMNI_DEST_SELF, 0, 0));
	for (unsigned int v6 = 0; v6 < 2; v6++)
		for (unsigned int host = 10; host < 13; host++)
			(void)add_host(r, site, 0, v6 != 0, host);
}

/* What site a's workers know of b's subnets: they are b's peer's. */
static inline void allow(struct rig *r, unsigned int a, unsigned int b)
{
	char text[64];

	snprintf(text, sizeof(text), "10.0.%u.0/24", b);
	route_to(r, a, text, peer_dest(r, a, b));
	snprintf(text, sizeof(text), "fd00:%u::/64", b);
	route_to(r, a, text, peer_dest(r, a, b));
}

/* Sites 0 and 1 joined, each the router of its subnet. */
static inline void join(struct rig *r, const struct link *link, const struct omni_l3 *conf)
{
	rig_connect(r, 0, 1, link);
	set_l3(r, 0, conf);
	set_l3(r, 1, conf);
	allow(r, 0, 1);
	allow(r, 1, 0);
}

#endif
