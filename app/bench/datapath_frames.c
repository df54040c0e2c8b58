/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What goes through the rig: frames of hosts, datagrams of peers, and the cipher without it all. */
#include <string.h>

#include <rte_cycles.h>
#include <rte_debug.h>

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

void bench_set_op(struct omni_aead_op *op, const struct omni_aead_key *key, uint8_t *h,
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

void bench_set_op_wg(struct omni_aead_op *op, const struct omni_aead_key *key, uint8_t *h,
		     unsigned int len)
{
	static const uint8_t zeros[4];

	*op = (struct omni_aead_op){
		.key = key,
		.src = h + OMNI_WG_DATA_HDR_LEN,
		.dst = h + OMNI_WG_DATA_HDR_LEN,
		.tag = h + OMNI_WG_DATA_HDR_LEN + len,
		.len = len,
	};
	omni_aead_op_nonce(op, zeros, h + offsetof(struct omni_wg_data_hdr, counter));
}

/* Of WireGuard's packets, with their padding. */
static unsigned int padded(unsigned int len)
{
	return (len + OMNI_WG_PADDING - 1) / OMNI_WG_PADDING * OMNI_WG_PADDING;
}

/* A frame at eth: from the host whose turn it is, or to it. */
static void put_frame(const struct bench_worker *w, enum bench_op op, uint8_t *eth)
{
	const struct bench_rig *r = w->rig;
	uint8_t near[6], far[6];

	bench_mac(near, BENCH_AT_PORT0, w->host % r->flows);
	if (op == BENCH_FORWARD)
		bench_mac(far, BENCH_AT_PORT1, w->host % r->flows);
	else
		bench_mac(far, BENCH_AT_PEER, w->host);
	memcpy(eth, op == BENCH_OPEN ? near : far, 6);
	memcpy(eth + 6, op == BENCH_OPEN ? far : near, 6);
	omni_store_be16(eth + 12, 0x88b5);
}

/* Bytes of what a port or peer brings as a frame of len. */
static unsigned int put_single(const struct bench_worker *w, enum bench_op op, uint8_t *to,
			       unsigned int len)
{
	if (w->rig->routes > 0)
		return bench_put_packet(w, op, to, len);
	put_frame(w, op, to);
	return len;
}

static void next_host(struct bench_worker *w)
{
	w->host = (w->host + w->rig->stride) % w->rig->hosts;
}

/*
 * Into m the frame of size, or a bundle of it and those that follow, all of one peer; returns how
 * many.
 */
static unsigned int put_frames(struct bench_worker *w, enum bench_op op, struct rte_mbuf *m,
			       unsigned int size, unsigned int first, bool bundle)
{
	const unsigned int overhead = w->rig->v6 ? OMNI_OVERHEAD_V6 : OMNI_OVERHEAD_V4;
	unsigned int n = 0, len = bench_size(size, first), at = 0;

	rte_pktmbuf_reset(m);
	while (bundle && first + n < BENCH_BUFFERS && len <= OMNI_NODE_BUNDLE_FRAME_MAX &&
	       at + OMNI_BUNDLE_LEN_LEN + len <= BENCH_BUNDLES_MTU - overhead) {
		uint8_t *to = rte_pktmbuf_mtod_offset(m, uint8_t *, at);

		omni_store_be16(to, (uint16_t)len);
		put_frame(w, op, to + OMNI_BUNDLE_LEN_LEN);
		if (w->rig->n_peers == 1)
			next_host(w);
		at += OMNI_BUNDLE_LEN_LEN + len;
		len = bench_size(size, first + ++n);
	}
	if (n == 0) {
		at = put_single(w, op, rte_pktmbuf_mtod(m, uint8_t *), len);
		n = 1;
		next_host(w);
	} else if (w->rig->n_peers > 1) {
		next_host(w);
	}
	m->data_len = (uint16_t)at;
	m->pkt_len = at;
	return n;
}

/* What m holds as a datagram of that peer; its operation into op. */
static void put_datagram(struct bench_worker *w, unsigned int peer, struct rte_mbuf *m,
			 struct omni_aead_op *op, bool bundle)
{
	const struct bench_peer *p = &w->rig->peer[peer];
	uint16_t len = rte_pktmbuf_data_len(m);
	struct omni_data_hdr *h =
		rte_pktmbuf_mtod_offset(m, struct omni_data_hdr *, -(int)sizeof(*h));

	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, p->key->local_id);
	omni_store_be64(h->sequence, w->sequence[peer]++);
	omni_store_be16(h->lane, (uint16_t)(w->id + 1));
	h->kind = bundle ? OMNI_KIND_BUNDLE : OMNI_KIND_FRAME;
	bench_set_op(op, p->key->rx_key, (uint8_t *)h, len);
	rte_pktmbuf_prepend(m, (uint16_t)(sizeof(*h) + p->far_path.hdr_len));
	m->data_len += OMNI_TAG_LEN;
	m->pkt_len += OMNI_TAG_LEN;
	omni_path_write(&p->far_path, rte_pktmbuf_mtod(m, uint8_t *),
			(uint16_t)(len + OMNI_DATA_OVERHEAD), 0);
}

/* The same in WireGuard's dialect. */
static void put_datagram_wg(struct bench_worker *w, unsigned int peer, struct rte_mbuf *m,
			    struct omni_aead_op *op)
{
	const struct bench_peer *p = &w->rig->peer[peer];
	unsigned int was = rte_pktmbuf_data_len(m), len = padded(was);
	struct omni_wg_data_hdr *h =
		rte_pktmbuf_mtod_offset(m, struct omni_wg_data_hdr *, -(int)sizeof(*h));

	memset(rte_pktmbuf_append(m, (uint16_t)(len - was + OMNI_TAG_LEN)), 0, len - was);
	memset(h, 0, sizeof(*h));
	h->type = OMNI_TYPE_WG_DATA;
	omni_store_le32(h->receiver, (uint32_t)p->key->local_id);
	omni_store_le64(h->counter, w->sequence[peer]++);
	bench_set_op_wg(op, p->key->rx_key, (uint8_t *)h, len);
	rte_pktmbuf_prepend(m, (uint16_t)(sizeof(*h) + p->far_path.hdr_len));
	omni_path_write(&p->far_path, rte_pktmbuf_mtod(m, uint8_t *),
			(uint16_t)(len + OMNI_WG_DATA_OVERHEAD), 0);
}

/* Buffers out of the pool, or back. */
static void hold(struct bench_worker *w, unsigned int n)
{
	if (w->n_m > n)
		rte_pktmbuf_free_bulk(w->m + n, w->n_m - n);
	else if (rte_pktmbuf_alloc_bulk(w->rig->pool, w->m + w->n_m, n - w->n_m) != 0)
		rte_panic("buffers of the pool are missing\n");
	w->n_m = n;
}

/* All frames for op into buffers, of which some stay unused where there are bundles. */
static unsigned int fill(struct bench_worker *w, enum bench_op op, unsigned int size, bool bundle)
{
	struct omni_aead_op ops[OMNI_NODE_BURST];
	unsigned int n = 0, in_op = 0;

	hold(w, BENCH_BUFFERS);
	for (unsigned int i = 0, frames; i < BENCH_BUFFERS; i += frames, n++) {
		w->peer_of[n] = w->host % w->rig->n_peers;
		frames = put_frames(w, op, w->m[n], size, i, bundle);
		if (op != BENCH_OPEN)
			continue;
		if (w->rig->wireguard)
			put_datagram_wg(w, w->peer_of[n], w->m[n], &ops[in_op++]);
		else
			put_datagram(w, w->peer_of[n], w->m[n], &ops[in_op++],
				     bundle && bench_size(size, i) <= OMNI_NODE_BUNDLE_FRAME_MAX);
		if (in_op == OMNI_NODE_BURST || i + frames == BENCH_BUFFERS) {
			omni_aead_seal_burst(w->far_aead, ops, in_op);
			in_op = 0;
		}
	}
	return n;
}

unsigned int bench_load(struct bench_worker *w, enum bench_op op, unsigned int size)
{
	const struct bench_rig *r = w->rig;
	struct mem_port *p = bench_mem(op == BENCH_OPEN ? r->uplink : r->local[0], w->id);

	p->n_in = fill(w, op, size, r->bundles && op == BENCH_OPEN);
	p->taken = 0;
	memcpy(p->in, w->m, sizeof(w->m));
	hold(w, p->n_in);
	return p->n_in;
}

/* The operation over what buffer i holds. */
static void bare_op(struct bench_worker *w, enum bench_op op, unsigned int i,
		    struct omni_aead_op *out)
{
	const struct bench_peer *p = &w->rig->peer[w->peer_of[i]];
	unsigned int link = w->rig->routes > 0 && op != BENCH_OPEN ? OMNI_ETHER_HDR_LEN : 0;
	uint8_t *data = rte_pktmbuf_mtod_offset(w->m[i], uint8_t *, link);
	unsigned int len = rte_pktmbuf_data_len(w->m[i]) - link;

	if (w->rig->wireguard && op == BENCH_OPEN)
		bench_set_op_wg(out, p->key->rx_key, data + p->far_path.hdr_len,
				len - p->far_path.hdr_len - OMNI_WG_DATA_OVERHEAD);
	else if (w->rig->wireguard)
		bench_set_op_wg(out, p->key->tx_key, data - OMNI_WG_DATA_HDR_LEN, padded(len));
	else if (op == BENCH_OPEN)
		bench_set_op(out, p->key->rx_key, data + p->far_path.hdr_len,
			     len - p->far_path.hdr_len - OMNI_DATA_OVERHEAD);
	else
		bench_set_op(out, p->key->tx_key, data - OMNI_DATA_HDR_LEN, len);
}

uint64_t bench_bare(struct bench_worker *w, enum bench_op op, unsigned int size)
{
	unsigned int n = fill(w, op, size, w->rig->bundles);
	struct omni_aead_op ops[OMNI_NODE_BURST];
	uint64_t cycles = 0, begin;
	bool good = true;

	bench_meet(w->rig);
	for (unsigned int i = 0; i < n; i += OMNI_NODE_BURST) {
		unsigned int burst = OMNI_MIN(n - i, OMNI_NODE_BURST);
		/* A burst is never empty. */
		uint64_t all = UINT64_MAX >> ((OMNI_NODE_BURST - burst) & 63);

		for (unsigned int j = 0; j < burst; j++)
			bare_op(w, op, i + j, &ops[j]);
		begin = rte_rdtsc_precise();
		if (op == BENCH_OPEN)
			good &= omni_aead_open_burst(w->far_aead, ops, burst) == all;
		else
			omni_aead_seal_burst(w->far_aead, ops, burst);
		cycles += rte_rdtsc_precise() - begin;
	}
	return good ? cycles : 0;
}
