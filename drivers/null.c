/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Swallows what is sent. Receives nothing, or frames of flows that it makes itself: a source and
 * sink for measuring that costs little beside what is measured.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "drivers.h"

#define HEADER 64 /* Ethernet, IPv4, UDP and what fills a cache line */
#define PATTERN 12
#define UDP_DISCARD 9
#define NET_FROM UINT32_C(0xc6120000) /* RFC 2544, appendix C.2.2 */
#define NET_TO UINT32_C(0xc6130000)

/* Lengths in turn: 7 : 4 : 1. */
static const uint16_t imix[PATTERN] = {64, 576, 64, 64, 576, 64, 64, 576, 64, 1420, 64, 576};

struct null_queue {
	uint32_t flow, step; /* of the next frame */
	uint64_t due;	     /* TSC; with a rate */
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_no_buffer;
} __rte_cache_aligned;

struct null_port {
	uint16_t size[PATTERN];
	uint32_t flows;	   /* 0: receives nothing */
	uint64_t interval; /* TSC cycles from frame to frame of a queue; 0: at once */
	struct null_queue q[OMNI_PORT_QUEUES_MAX];
	uint8_t payload[OMNI_PORT_MTU_MAX];
	uint8_t (*header)[HEADER]; /* of each flow, without the lengths */
};

static int null_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	unsigned int mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;

	if (conf->generate.flows != 0 && conf->generate.size > mtu + RTE_ETHER_HDR_LEN)
		return omni_fail(err, -EINVAL,
				 "port %s: frames of %u bytes do not fit the MTU of %u", conf->name,
				 conf->generate.size, mtu);
	return 0;
}

/* An address counted on in its last two bytes. */
static void mac_of(uint8_t mac[6], const uint8_t base[6], uint32_t flow)
{
	uint32_t low = (uint32_t)(base[4] << 8 | base[5]) + flow;

	memcpy(mac, base, 4);
	mac[4] = (uint8_t)(low >> 8);
	mac[5] = (uint8_t)low;
}

static void make_header(uint8_t *header, const uint8_t from[6], const uint8_t to[6], uint32_t flow)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)header;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	mac_of(eth->dst_addr.addr_bytes, to, flow);
	mac_of(eth->src_addr.addr_bytes, from, flow);
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(NET_FROM + flow);
	ip->dst_addr = rte_cpu_to_be_32(NET_TO + flow);
	udp->src_port = rte_cpu_to_be_16(UDP_DISCARD);
	udp->dst_port = rte_cpu_to_be_16(UDP_DISCARD);
	/* Of length zero; each frame adds its own. */
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void make_frame(const struct null_port *p, struct null_queue *q, struct rte_mbuf *m)
{
	uint16_t size = p->size[q->step], ip_len = (uint16_t)(size - RTE_ETHER_HDR_LEN);
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint32_t sum;

	memcpy(eth, p->header[q->flow], HEADER);
	memcpy((uint8_t *)eth + HEADER, p->payload, (size_t)(size - HEADER));
	ip->total_length = rte_cpu_to_be_16(ip_len);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(ip_len - sizeof(*ip)));
	/* RFC 1624: the checksum of the header with its length. */
	sum = (uint32_t)(uint16_t)~ip->hdr_checksum + ip->total_length;
	ip->hdr_checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
	m->data_len = size;
	m->pkt_len = size;
	q->flow = q->flow + 1 == p->flows ? 0 : q->flow + 1;
	q->step = q->step + 1 == PATTERN ? 0 : q->step + 1;
}

/* How many of n frames it is time for. More than a burst of them is not made up for. */
static uint16_t due(const struct null_port *p, struct null_queue *q, uint16_t n)
{
	uint64_t now;
	uint16_t k = 0;

	if (p->interval == 0)
		return n;
	now = rte_rdtsc();
	if (q->due + n * p->interval < now)
		q->due = now;
	for (; k < n && q->due <= now; k++)
		q->due += p->interval;
	return k;
}

static uint16_t null_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct null_port *p = port->priv;
	struct null_queue *q = &p->q[queue];
	uint64_t bytes = 0;

	if (p->flows == 0 || (n = due(p, q, n)) == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(port->pool, m, n) != 0) {
		driver_count(&q->rx_no_buffer, n);
		return 0;
	}
	for (uint16_t i = 0; i < n; i++) {
		make_frame(p, q, m[i]);
		m[i]->port = port->id;
		bytes += m[i]->pkt_len;
	}
	driver_count(&q->rx_frames, n);
	driver_count(&q->rx_bytes, bytes);
	return n;
}

static uint16_t null_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct null_queue *q = &((struct null_port *)port->priv)->q[queue];
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += m[i]->pkt_len;
	rte_pktmbuf_free_bulk(m, n);
	driver_count(&q->tx_frames, n);
	driver_count(&q->tx_bytes, bytes);
	return n;
}

static void make_flows(struct null_port *p, const struct omni_port_conf *conf,
		       const uint8_t from[6])
{
	const struct omni_port_generate *g = &conf->generate;

	p->flows = g->flows;
	p->interval = g->rate != 0 ? rte_get_tsc_hz() / g->rate : 0;
	for (unsigned int i = 0; i < PATTERN; i++)
		p->size[i] = g->size != 0 ? g->size : imix[i];
	for (size_t i = 0; i < sizeof(p->payload); i++)
		p->payload[i] = (uint8_t)i;
	for (uint32_t i = 0; i < p->flows; i++)
		make_header(p->header[i], from, g->to, i);
}

static int null_open(struct omni_port *port, const struct omni_port_conf *conf,
		     struct rte_mempool *pool, struct omni_err *err)
{
	struct null_port *p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p));
	p->header = calloc((size_t)conf->generate.flows + 1, sizeof(p->header[0]));
	if (p->header == NULL) {
		free(p);
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	}
	port->priv = p;
	port->info.queues = conf->queues != 0 ? conf->queues : 1;
	port->info.mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	port->info.frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_PLAIN);
	port->info.link_up = true;
	if (conf->has_mac)
		memcpy(port->info.mac, conf->mac, sizeof(port->info.mac));
	else
		rte_eth_random_addr(port->info.mac);
	strcpy(port->info.mode, "memory");
	make_flows(p, conf, port->info.mac);
	return 0;
}

static void null_close(struct omni_port *port)
{
	struct null_port *p = port->priv;

	free(p->header);
	free(p);
	port->priv = NULL;
}

static int null_rx_fd(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

static void null_stats(struct omni_port *port, struct omni_port_stats *s)
{
	const struct null_port *p = port->priv;
	uint64_t no_buffer = 0;

	for (uint16_t i = 0; i < port->info.queues; i++) {
		s->rx_frames += driver_read(&p->q[i].rx_frames);
		s->rx_bytes += driver_read(&p->q[i].rx_bytes);
		s->tx_frames += driver_read(&p->q[i].tx_frames);
		s->tx_bytes += driver_read(&p->q[i].tx_bytes);
		no_buffer += driver_read(&p->q[i].rx_no_buffer);
	}
	driver_extra(s, "rx_no_buffer", no_buffer);
}

const struct omni_port_ops omni_driver_null = {
	.driver = "null",
	.check = null_check,
	.open = null_open,
	.close = null_close,
	.rx = null_rx,
	.tx = null_tx,
	.rx_fd = null_rx_fd,
	.stats = null_stats,
};
