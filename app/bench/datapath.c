/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * datapath: the stages of workers over memory ports. In a pass each sends BENCH_BUFFERS frames
 * through, each in a buffer of its own; what a pass leaves behind is put right between passes,
 * outside the measurement. A run is the middle one of a few passes; reported are the median of
 * the runs and how far they lie apart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "datapath_rig.h"

#define RUNS 5
#define RUNS_QUICK 3
#define PASSES 3 /* of a run */
#define PASSES_QUICK 1
#define WARM_UP 2 /* passes that are not counted */
#define IMIX_MAX 1420
#define FRAME_SMALL 1518
#define FRAME_LARGE 9018

static const unsigned int sizes[] = {64, 128, 256, 512, 1024, 1420, 8900, BENCH_IMIX};

/* Of all workers together: as many cycles as frames of one worker's number would take. */
struct pass {
	uint64_t cycles, aead;
	uint64_t own; /* cycles of a worker, the mean */
	uint64_t stage[OMNI_STAGE_COUNT];
};

static bool is_large(unsigned int size)
{
	return size > FRAME_SMALL && size != BENCH_IMIX;
}

/* Rates add up, so cycles of equal work do as resistances side by side. */
static uint64_t side_by_side(const struct bench_rig *r, unsigned int n, size_t field)
{
	double rates = 0;

	for (unsigned int i = 0; i < n; i++)
		rates +=
			1 / (double)*(const uint64_t *)(const void *)((const uint8_t *)&r->worker[i]
									      ->pass +
								      field);
	return (uint64_t)(1 / rates);
}

static void add_up(const struct bench_rig *r, unsigned int n, struct pass *pass)
{
	memset(pass, 0, sizeof(*pass));
	pass->cycles = side_by_side(r, n, offsetof(struct bench_pass, cycles));
	if (r->worker[0]->pass.aead != 0)
		pass->aead = side_by_side(r, n, offsetof(struct bench_pass, aead));
	for (unsigned int i = 0; i < n; i++) {
		pass->own += r->worker[i]->pass.cycles / n;
		for (unsigned int j = 0; j < OMNI_STAGE_COUNT; j++)
			pass->stage[j] += r->worker[i]->pass.stage[j] / n;
	}
}

/* By the first n workers. */
static int one_pass(struct bench_rig *r, struct bench_result *res, unsigned int n,
		    struct pass *pass)
{
	if (!bench_pass_run(r, res->op, res->size, n)) {
		fprintf(stderr, "omni-bench: frames were lost in %s\n", bench_op_name(res->op));
		return 1;
	}
	res->datagrams = 0;
	for (unsigned int i = 0; i < n; i++)
		res->datagrams += r->worker[i]->datagrams;
	add_up(r, n, pass);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* One field of all passes in ascending order. */
static void sorted(uint64_t *v, const struct pass *pass, unsigned int n, size_t field)
{
	for (unsigned int i = 0; i < n; i++)
		v[i] = *(const uint64_t *)(const void *)((const uint8_t *)&pass[i] + field);
	qsort(v, n, sizeof(v[0]), by_value);
}

/* The median of each field. */
static struct pass middle(const struct pass *pass, unsigned int n)
{
	struct pass out = {0};
	uint64_t v[RUNS] = {0};

	for (size_t at = 0; at < sizeof(out); at += sizeof(uint64_t)) {
		sorted(v, pass, n, at);
		memcpy((uint8_t *)&out + at, &v[n / 2], sizeof(uint64_t));
	}
	return out;
}

static double mpps(uint64_t cycles)
{
	return (double)rte_get_tsc_hz() / (double)cycles * BENCH_BUFFERS / 1e6;
}

static void conclude(struct bench_result *res, const struct pass *run, unsigned int n)
{
	struct pass m = middle(run, n);
	double bits = bench_size_mean(res->size) * 8;
	uint64_t v[RUNS] = {0};

	sorted(v, run, n, offsetof(struct pass, cycles));
	res->runs = n;
	res->mpps = mpps(m.cycles);
	res->mpps_min = mpps(v[n - 1]);
	res->mpps_max = mpps(v[0]);
	res->cycles_per_frame = (double)m.own / BENCH_BUFFERS;
	res->gbps = res->mpps * bits / 1e3;
	if (m.aead > 0) {
		res->aead_gbps = mpps(m.aead) * bits / 1e3;
		res->ratio = res->gbps / res->aead_gbps;
	}
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		res->stage[i] = (double)m.stage[i] / BENCH_BUFFERS;
}

/* By the first n workers, the others idle. */
static int measure(struct bench_rig *r, const struct bench_options *o, unsigned int n,
		   struct bench_result *res)
{
	unsigned int runs = o->quick ? RUNS_QUICK : RUNS;
	unsigned int passes = o->quick ? PASSES_QUICK : PASSES;
	struct pass run[RUNS], pass[PASSES];
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < WARM_UP; i++)
		rc = one_pass(r, res, n, &pass[0]);
	for (unsigned int i = 0; i < runs; i++) {
		for (unsigned int j = 0; rc == 0 && j < passes; j++)
			rc = one_pass(r, res, n, &pass[j]);
		if (rc != 0)
			return rc;
		run[i] = middle(pass, passes);
	}
	conclude(res, run, runs);
	return 0;
}

static int measure_workers(struct bench_rig *r, const struct bench_options *o,
			   struct bench_result *res)
{
	struct bench_result one = *res;
	int rc = r->n_workers > 1 ? measure(r, o, 1, &one) : 0;

	if (rc == 0)
		rc = measure(r, o, r->n_workers, res);
	if (r->n_workers > 1)
		res->one_mpps = one.mpps;
	return rc;
}

/* Bundles go over paths that carry no frame beyond their own datagrams. */
static bool is_carried(const struct bench_options *o, unsigned int size)
{
	unsigned int overhead = o->v6 ? OMNI_OVERHEAD_V6 : OMNI_OVERHEAD_V4;

	if (!o->bundles)
		return true;
	return (size == BENCH_IMIX ? IMIX_MAX : size) + overhead <= BENCH_BUNDLES_MTU;
}

/* All sizes of one kind of buffers for one cipher (none: forward alone). */
static int run_rig(const struct bench_options *o, unsigned int cipher, bool large,
		   struct bench_report *report)
{
	struct omni_err err;
	struct bench_rig *r = bench_rig_create(cipher != 0 ? cipher : OMNI_CIPHER_CHACHAPOLY,
					       large ? FRAME_LARGE : FRAME_SMALL, o, &err);
	int rc = 0;

	if (r == NULL) {
		fprintf(stderr, "omni-bench: %s\n", err.text);
		return 1;
	}
	if (cipher != 0 && (o->size != 0 || !large))
		report->memory[report->n_memory++] = r->memory;
	for (int op = BENCH_SEAL; op <= BENCH_FORWARD; op++) {
		if ((o->op >= 0 && o->op != op) || (o->bundles && op == BENCH_FORWARD) ||
		    (op == BENCH_FORWARD) != (cipher == 0))
			continue;
		if (r->routes > 0 && !bench_routes_lead(r, op != BENCH_FORWARD)) {
			fprintf(stderr, "omni-bench: no memory for the routes\n");
			rc = 1;
		}
		for (unsigned int i = 0; rc == 0 && i < OMNI_ARRAY_SIZE(sizes); i++) {
			unsigned int size = o->size != 0 ? o->size : sizes[i];
			struct bench_result *res = &report->result[report->n];

			if (is_large(size) != large || (o->size != 0 && i > 0) ||
			    !is_carried(o, size))
				continue;
			*res = (struct bench_result){
				.op = (enum bench_op)op,
				.cipher = cipher,
				.size = size,
				.bundles = r->bundles,
				.v6 = r->v6,
				.wireguard = r->wireguard,
				.peers = r->n_peers,
				.hosts = r->hosts,
				.flows = r->flows,
				.routes = r->routes,
				.workers = r->n_workers,
			};
			rc = measure_workers(r, o, res);
			report->n += rc == 0;
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

static int run_all(const struct bench_options *o, struct bench_report *report)
{
	struct omni_aead *aead = omni_aead_create(0);
	int rc = 0;

	for (unsigned int cipher = 0; rc == 0 && cipher < OMNI_CIPHER_COUNT; cipher++) {
		if (o->bundles && cipher == 0)
			continue;
		if (o->wireguard && cipher != OMNI_CIPHER_CHACHAPOLY)
			continue;
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
			if (o->size == 0 || is_large(o->size) == large)
				rc = run_rig(o, cipher, large, report);
	}
	omni_aead_free(aead);
	return rc;
}

int bench_datapath(const struct bench_options *o)
{
	struct bench_report report = {.n = 0};
	int rc;

	if (o->size != 0 && !is_carried(o, o->size)) {
		fprintf(stderr, "omni-bench: paths with bundles carry no frame of %u bytes whole\n",
			o->size == BENCH_IMIX ? IMIX_MAX : o->size);
		return 1;
	}
	rc = run_all(o, &report);
	if (rc != 0)
		return rc;
	qsort(report.result, report.n, sizeof(report.result[0]), by_name);
	if (o->json)
		bench_print_json(&report);
	else
		bench_print_table(&report);
	return 0;
}
