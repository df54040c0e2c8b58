/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The rig as an L3 cluster: --routes of them, each a host somewhere (one: a quarter of all
 * addresses), behind the peers in turn or on the link of local port 1, and the hosts of local port
 * 0. Packets go to or come from another route each than the one before.
 */
#include <string.h>

#include <rte_ether.h>

#include <omni_cursor.h>
#include <omni_sum.h>

#include "datapath_rig.h"

#define FAR_FIRST 0x40000000U /* 64.0.0.0/2, and all routes are in it */
#define FAR_BITS 29
#define NEAR_FIRST 0x0a010000U /* 10.1.0.0/16 */
#define NEAR_LEN 16
#define TTL 64
#define PROTO_UDP 17
#define IPV4_TTL 8
#define IPV4_PROTO 9
#define IPV4_SUM 10
#define IPV4_SOURCE 12
#define IPV4_DEST 16
/* Of our side of the links. */
#define OUR_HOST 0xffffff

/* Address of the route's host: no two have the same, and neighbours have nothing in common. */
static uint32_t far_host(const struct bench_rig *r, unsigned int host)
{
	uint32_t x = host * 0x9e3779b1U & ((1U << FAR_BITS) - 1);

	return FAR_FIRST + (r->routes > 1 ? x ^ x >> (FAR_BITS / 2 + 1) : host);
}

static uint32_t near_host(const struct bench_rig *r, unsigned int host)
{
	return NEAR_FIRST + 1 + host % r->flows;
}

static struct omni_prefix prefix(uint32_t v4, uint8_t len)
{
	return (struct omni_prefix){.ip = omni_ip_from_v4(__builtin_bswap32(v4)), .len = len};
}

static omni_dest host_on(struct bench_rig *r, unsigned int port, enum bench_side side)
{
	uint8_t mac[6];

	bench_mac(mac, side, 0);
	bench_mac(r->local[port]->info.l3_mac, side, OUR_HOST);
	return omni_fib_adjacency_add(r->fib, r->local[port]->id, mac);
}

bool bench_routes_create(struct bench_rig *r)
{
	const struct omni_l3 conf = {.v4 = {10, 1, 0, 0}, .dscp = OMNI_FIB_DSCP_COPY};
	const struct omni_prefix near = prefix(NEAR_FIRST, NEAR_LEN);
	omni_dest dest = host_on(r, 0, BENCH_AT_PORT0);

	r->far_link = host_on(r, 1, BENCH_AT_PORT1);
	return omni_fib_set_cluster(r->fib, BENCH_DOMAIN, &conf) == 0 &&
	       omni_fib_set(r->fib, BENCH_DOMAIN, &near, dest) == 0;
}

/* Behind the peers, or on the second port's link. */
bool bench_routes_lead(struct bench_rig *r, bool to_peers)
{
	bool ok = true;

	for (unsigned int i = 0; ok && i < r->routes; i++) {
		const struct omni_peer *pub = r->peer[i % r->n_peers].pub;
		const struct omni_prefix p = prefix(far_host(r, i), r->routes > 1 ? 32 : 2);
		omni_dest peer = omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation);

		ok = omni_fib_set(r->fib, BENCH_DOMAIN, &p, to_peers ? peer : r->far_link) == 0;
	}
	return ok;
}

static void put_packet(uint8_t *ip, unsigned int len, uint32_t from, uint32_t to)
{
	uint16_t sum;

	memset(ip, 0, OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN);
	ip[0] = 0x45;
	omni_store_be16(ip + 2, (uint16_t)len);
	ip[IPV4_TTL] = TTL;
	ip[IPV4_PROTO] = PROTO_UDP;
	omni_store_be32(ip + IPV4_SOURCE, from);
	omni_store_be32(ip + IPV4_DEST, to);
	sum = (uint16_t)~omni_sum_fold(omni_sum(ip, OMNI_IPV4_HDR_LEN));
	memcpy(ip + IPV4_SUM, &sum, sizeof(sum));
}

unsigned int bench_put_packet(const struct bench_worker *w, enum bench_op op, uint8_t *to,
			      unsigned int len)
{
	const struct bench_rig *r = w->rig;
	uint32_t near = near_host(r, w->host), far = far_host(r, w->host);

	if (op == BENCH_OPEN) {
		put_packet(to, len, far, near);
		return len;
	}
	memcpy(to, r->local[0]->info.l3_mac, 6);
	bench_mac(to + 6, BENCH_AT_PORT0, w->host % r->flows);
	omni_store_be16(to + 12, RTE_ETHER_TYPE_IPV4);
	put_packet(to + OMNI_ETHER_HDR_LEN, len, near, far);
	return OMNI_ETHER_HDR_LEN + len;
}
