/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * datapath: the stages of one worker over memory ports. A pass sends BENCH_BUFFERS frames
 * through, each in a buffer of its own, and is repeated; what a pass leaves behind is put right
 * between passes, outside the measurement. Medians over passes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>

#include <omni_cursor.h>

#include "datapath_rig.h"

#define PASSES 15
#define PASSES_QUICK 5
#define WARM_UP 2 /* passes that are not counted */
#define FRAME_SMALL 1518
#define FRAME_LARGE 9018
#define LANE 1

static const unsigned int sizes[] = {64, 128, 256, 512, 1024, 1420, 8900};

struct pass {
	uint64_t cycles, aead;
	uint64_t stage[OMNI_STAGE_COUNT];
};

static void put_frame(struct rte_mbuf *m, enum bench_side to, enum bench_side from,
		      unsigned int flow, unsigned int size)
{
	uint8_t *eth;

	rte_pktmbuf_reset(m);
	m->data_len = (uint16_t)size;
	m->pkt_len = size;
	eth = rte_pktmbuf_mtod(m, uint8_t *);
	bench_mac(eth, to, flow);
	bench_mac(eth + 6, from, flow);
	omni_store_be16(eth + 12, 0x88b5);
}

/* The frame that m holds as the other side's datagram; its operation into op. */
static void put_datagram(struct bench_rig *r, struct rte_mbuf *m, struct omni_aead_op *op)
{
	uint16_t len = rte_pktmbuf_data_len(m);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	struct omni_data_hdr *h = (struct omni_data_hdr *)(data - sizeof(*h));

	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, r->key->local_id);
	omni_store_be64(h->sequence, r->sequence++);
	omni_store_be16(h->lane, LANE);
	*op = (struct omni_aead_op){
		.key = r->far_key->tx_key,
		.aad = (const uint8_t *)h,
		.aad_len = sizeof(*h),
		.src = data,
		.dst = data,
		.tag = data + len,
		.len = len,
	};
	omni_aead_op_nonce(op, h->lane, h->sequence);
	rte_pktmbuf_prepend(m, (uint16_t)(sizeof(*h) + r->far_path->hdr_len));
	m->data_len += OMNI_TAG_LEN;
	m->pkt_len += OMNI_TAG_LEN;
	omni_path_write(r->far_path, rte_pktmbuf_mtod(m, uint8_t *),
			(uint16_t)(len + OMNI_DATA_OVERHEAD), 0);
}

/* All buffers as frames of size for op, waiting at the port where they come in. */
static void load(struct bench_rig *r, enum bench_op op, unsigned int size, unsigned int flows)
{
	struct mem_port *p = bench_mem(op == BENCH_OPEN ? r->uplink : r->local[0]);
	struct omni_aead_op ops[OMNI_NODE_BURST];

	for (unsigned int i = 0, flow = 0; i < BENCH_BUFFERS; i++) {
		if (op == BENCH_SEAL)
			put_frame(r->m[i], BENCH_AT_PEER, BENCH_AT_PORT0, flow, size);
		else if (op == BENCH_FORWARD)
			put_frame(r->m[i], BENCH_AT_PORT1, BENCH_AT_PORT0, flow, size);
		else
			put_frame(r->m[i], BENCH_AT_PORT0, BENCH_AT_PEER, flow, size);
		flow = flow + 1 == flows ? 0 : flow + 1;
		if (op != BENCH_OPEN)
			continue;
		put_datagram(r, r->m[i], &ops[i % OMNI_NODE_BURST]);
		if (i % OMNI_NODE_BURST == OMNI_NODE_BURST - 1)
			omni_aead_seal_burst(r->far_aead, ops, OMNI_NODE_BURST);
	}
	memcpy(p->in, r->m, sizeof(r->m));
	p->n_in = BENCH_BUFFERS;
	p->taken = 0;
}

/* False where a frame did not come out. */
static bool through(struct bench_rig *r, enum bench_op op, struct pass *pass)
{
	struct mem_port *out = bench_mem(op == BENCH_SEAL   ? r->uplink
					 : op == BENCH_OPEN ? r->local[0]
							    : r->local[1]);
	uint64_t begin;

	out->n_out = 0;
	memset(r->stats, 0, sizeof(*r->stats));
	begin = rte_rdtsc_precise();
	while (omni_node_turn(r->worker) > 0)
		;
	pass->cycles = rte_rdtsc_precise() - begin;
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		pass->stage[i] = r->stats->stage[i].cycles;
	memcpy(r->m, out->out, sizeof(r->m));
	return out->n_out == BENCH_BUFFERS;
}

/* The cipher alone over all buffers in place: what is opened is sealed before, uncounted. */
static bool bare(struct bench_rig *r, enum bench_op op, unsigned int size, struct pass *pass)
{
	struct omni_aead_op ops[OMNI_NODE_BURST];
	uint64_t good = UINT64_MAX, begin;

	load(r, op, size, 1);
	pass->aead = 0;
	for (unsigned int i = 0; i < BENCH_BUFFERS; i += OMNI_NODE_BURST) {
		for (unsigned int j = 0; j < OMNI_NODE_BURST; j++) {
			uint8_t *data = rte_pktmbuf_mtod(r->m[i + j], uint8_t *);
			uint8_t *h = op == BENCH_OPEN ? data + r->far_path->hdr_len
						      : data - OMNI_DATA_HDR_LEN;

			ops[j] = (struct omni_aead_op){
				.key = op == BENCH_OPEN ? r->key->rx_key : r->key->tx_key,
				.aad = h,
				.aad_len = OMNI_DATA_HDR_LEN,
				.src = h + OMNI_DATA_HDR_LEN,
				.dst = h + OMNI_DATA_HDR_LEN,
				.tag = h + OMNI_DATA_HDR_LEN + size,
				.len = size,
			};
			omni_aead_op_nonce(&ops[j], h + 16, h + 8);
		}
		begin = rte_rdtsc_precise();
		if (op == BENCH_OPEN)
			good &= omni_aead_open_burst(r->far_aead, ops, OMNI_NODE_BURST);
		else
			omni_aead_seal_burst(r->far_aead, ops, OMNI_NODE_BURST);
		pass->aead += rte_rdtsc_precise() - begin;
	}
	return good == UINT64_MAX;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Median of one field of all passes, per frame. */
static double median(const struct pass *pass, unsigned int n, size_t field)
{
	uint64_t v[PASSES] = {0};
	unsigned int middle = n / 2;

	for (unsigned int i = 0; i < n; i++)
		v[i] = *(const uint64_t *)(const void *)((const uint8_t *)&pass[i] + field);
	qsort(v, n, sizeof(v[0]), by_value);
	return (double)v[middle] / BENCH_BUFFERS;
}

static void conclude(struct bench_result *res, const struct pass *pass, unsigned int n)
{
	double hz = (double)rte_get_tsc_hz(), bits = res->size * 8.0;
	double aead = median(pass, n, offsetof(struct pass, aead));

	res->cycles_per_frame = median(pass, n, offsetof(struct pass, cycles));
	res->mpps = hz / res->cycles_per_frame / 1e6;
	res->gbps = res->mpps * bits / 1e3;
	if (aead > 0) {
		res->aead_gbps = hz / aead * bits / 1e9;
		res->ratio = res->gbps / res->aead_gbps;
	}
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		res->stage[i] =
			median(pass, n, offsetof(struct pass, stage) + i * sizeof(uint64_t));
}

static int measure(struct bench_rig *r, const struct bench_options *o, struct bench_result *res)
{
	unsigned int n = o->quick ? PASSES_QUICK : PASSES;
	struct pass pass[PASSES] = {0};

	for (unsigned int i = 0; i < WARM_UP + n; i++) {
		struct pass *p = &pass[i < WARM_UP ? 0 : i - WARM_UP];

		load(r, res->op, res->size, o->flows);
		if (!through(r, res->op, p)) {
			fprintf(stderr, "omni-bench: frames were lost in %s\n",
				bench_op_name(res->op));
			return 1;
		}
		if (res->op != BENCH_FORWARD && !bare(r, res->op, res->size, p)) {
			fprintf(stderr, "omni-bench: the bare cipher refused a frame\n");
			return 1;
		}
	}
	conclude(res, pass, n);
	return 0;
}

/* All sizes of one kind of buffers for one cipher (none: forward alone). */
static int run_rig(const struct bench_options *o, unsigned int cipher, bool large,
		   struct bench_result *res, unsigned int *n)
{
	struct omni_err err;
	struct bench_rig *r = bench_rig_create(cipher != 0 ? cipher : OMNI_CIPHER_CHACHAPOLY,
					       large ? FRAME_LARGE : FRAME_SMALL, o->flows, &err);
	int rc = 0;

	if (r == NULL) {
		fprintf(stderr, "omni-bench: %s\n", err.text);
		return 1;
	}
	for (int op = BENCH_SEAL; op <= BENCH_FORWARD; op++) {
		if ((o->op >= 0 && o->op != op) || (op == BENCH_FORWARD) != (cipher == 0))
			continue;
		for (unsigned int i = 0; rc == 0 && i < OMNI_ARRAY_SIZE(sizes); i++) {
			unsigned int size = o->size != 0 ? o->size : sizes[i];

			if ((size > FRAME_SMALL) != large || (o->size != 0 && i > 0))
				continue;
			res[*n] = (struct bench_result){
				.op = (enum bench_op)op, .cipher = cipher, .size = size};
			rc = measure(r, o, &res[*n]);
			*n += rc == 0;
		}
	}
	bench_rig_free(r);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	const struct bench_result *x = a, *y = b;

	if (x->op != y->op)
		return (int)x->op - (int)y->op;
	if (x->cipher != y->cipher)
		return (int)x->cipher - (int)y->cipher;
	return (int)x->size - (int)y->size;
}

int bench_datapath(const struct bench_options *o)
{
	struct bench_result res[BENCH_RESULTS_MAX];
	unsigned int n = 0;
	struct omni_aead *aead = omni_aead_create(0);
	int rc = 0;

	for (unsigned int cipher = 0; rc == 0 && cipher < OMNI_CIPHER_COUNT; cipher++) {
		if (cipher == 0 ? o->op >= 0 && o->op != BENCH_FORWARD : o->op == BENCH_FORWARD)
			continue;
		if (cipher != 0 && o->cipher != 0 && o->cipher != cipher)
			continue;
		if (cipher != 0 && (aead == NULL || !omni_aead_has(aead, cipher))) {
			fprintf(stderr, "omni-bench: this CPU does not allow %s\n",
				omni_cipher_name(cipher));
			continue;
		}
		for (int large = 0; rc == 0 && large <= 1; large++)
			if (o->size == 0 || (o->size > FRAME_SMALL) == large)
				rc = run_rig(o, cipher, large, res, &n);
	}
	omni_aead_free(aead);
	if (rc != 0)
		return rc;
	qsort(res, n, sizeof(res[0]), by_name);
	if (o->json)
		bench_print_json(res, n);
	else
		bench_print_table(res, n);
	return 0;
}
