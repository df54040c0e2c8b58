/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What goes through the rig: frames of hosts, datagrams of peers, and the cipher without it all. */
#include <string.h>

#include <rte_cycles.h>

#include <omni_cursor.h>

#include "datapath_rig.h"

/* 7:4:1, mixed so that each burst has nearly that many of each. */
static const uint16_t imix[] = {64, 576, 64, 64, 576, 64, 1420, 64, 576, 64, 64, 576};

unsigned int bench_size(unsigned int size, unsigned int i)
{
	return size == BENCH_IMIX ? imix[i % OMNI_ARRAY_SIZE(imix)] : size;
}

double bench_size_mean(unsigned int size)
{
	double sum = 0;

	for (unsigned int i = 0; i < BENCH_BUFFERS; i++)
		sum += bench_size(size, i);
	return sum / BENCH_BUFFERS;
}

static void put_frame(struct rte_mbuf *m, const uint8_t dst[6], const uint8_t src[6],
		      unsigned int size)
{
	uint8_t *eth;

	rte_pktmbuf_reset(m);
	m->data_len = (uint16_t)size;
	m->pkt_len = size;
	eth = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(eth, dst, 6);
	memcpy(eth + 6, src, 6);
	omni_store_be16(eth + 12, 0x88b5);
}

static void set_op(struct omni_aead_op *op, const struct omni_aead_key *key, uint8_t *h,
		   unsigned int len)
{
	*op = (struct omni_aead_op){
		.key = key,
		.aad = h,
		.aad_len = OMNI_DATA_HDR_LEN,
		.src = h + OMNI_DATA_HDR_LEN,
		.dst = h + OMNI_DATA_HDR_LEN,
		.tag = h + OMNI_DATA_HDR_LEN + len,
		.len = len,
	};
	omni_aead_op_nonce(op, h + offsetof(struct omni_data_hdr, lane),
			   h + offsetof(struct omni_data_hdr, sequence));
}

/* The frame that m holds as a peer's datagram; its operation into op. */
static void put_datagram(struct bench_peer *p, struct rte_mbuf *m, struct omni_aead_op *op)
{
	uint16_t len = rte_pktmbuf_data_len(m);
	struct omni_data_hdr *h =
		rte_pktmbuf_mtod_offset(m, struct omni_data_hdr *, -(int)sizeof(*h));

	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, p->key->local_id);
	omni_store_be64(h->sequence, p->sequence++);
	omni_store_be16(h->lane, BENCH_LANE);
	set_op(op, p->key->rx_key, (uint8_t *)h, len);
	rte_pktmbuf_prepend(m, (uint16_t)(sizeof(*h) + p->far_path.hdr_len));
	m->data_len += OMNI_TAG_LEN;
	m->pkt_len += OMNI_TAG_LEN;
	omni_path_write(&p->far_path, rte_pktmbuf_mtod(m, uint8_t *),
			(uint16_t)(len + OMNI_DATA_OVERHEAD), 0);
}

void bench_load(struct bench_rig *r, enum bench_op op, unsigned int size)
{
	struct mem_port *p = bench_mem(op == BENCH_OPEN ? r->uplink : r->local[0]);
	struct omni_aead_op ops[OMNI_NODE_BURST];

	for (unsigned int i = 0; i < BENCH_BUFFERS; i++) {
		uint8_t near[6], far[6];

		bench_mac(near, BENCH_AT_PORT0, r->host % r->flows);
		if (op == BENCH_FORWARD)
			bench_mac(far, BENCH_AT_PORT1, r->host % r->flows);
		else
			bench_mac(far, BENCH_AT_PEER, r->host);
		r->peer_of[i] = r->host % r->n_peers;
		r->host = (r->host + r->stride) % r->hosts;
		put_frame(r->m[i], op == BENCH_OPEN ? near : far, op == BENCH_OPEN ? far : near,
			  bench_size(size, i));
		if (op != BENCH_OPEN)
			continue;
		put_datagram(&r->peer[r->peer_of[i]], r->m[i], &ops[i % OMNI_NODE_BURST]);
		if (i % OMNI_NODE_BURST == OMNI_NODE_BURST - 1)
			omni_aead_seal_burst(r->far_aead, ops, OMNI_NODE_BURST);
	}
	memcpy(p->in, r->m, sizeof(r->m));
	p->n_in = BENCH_BUFFERS;
	p->taken = 0;
}

uint64_t bench_bare(struct bench_rig *r, enum bench_op op, unsigned int size)
{
	struct omni_aead_op ops[OMNI_NODE_BURST];
	uint64_t good = UINT64_MAX, cycles = 0, begin;

	bench_load(r, op, size);
	for (unsigned int i = 0; i < BENCH_BUFFERS; i += OMNI_NODE_BURST) {
		for (unsigned int j = 0; j < OMNI_NODE_BURST; j++) {
			const struct bench_peer *p = &r->peer[r->peer_of[i + j]];
			uint8_t *data = rte_pktmbuf_mtod(r->m[i + j], uint8_t *);

			set_op(&ops[j], op == BENCH_OPEN ? p->key->rx_key : p->key->tx_key,
			       op == BENCH_OPEN ? data + p->far_path.hdr_len
						: data - OMNI_DATA_HDR_LEN,
			       bench_size(size, i + j));
		}
		begin = rte_rdtsc_precise();
		if (op == BENCH_OPEN)
			good &= omni_aead_open_burst(r->far_aead, ops, OMNI_NODE_BURST);
		else
			omni_aead_seal_burst(r->far_aead, ops, OMNI_NODE_BURST);
		cycles += rte_rdtsc_precise() - begin;
	}
	return good == UINT64_MAX ? cycles : 0;
}
