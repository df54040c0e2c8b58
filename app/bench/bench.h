/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The benchmark rig: scenarios, memory ports and what is reported. */
#ifndef OMNI_BENCH_H
#define OMNI_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_port.h>
#include <omni_stats.h>

/* Frames in flight: more than the caches near the core hold. */
#define BENCH_BUFFERS 8192
#define BENCH_RESULTS_MAX 64

enum bench_op {
	BENCH_SEAL,
	BENCH_OPEN,
	BENCH_FORWARD,
};

struct bench_options {
	bool json, quick;
	int op;		     /* enum bench_op; -1: all */
	unsigned int cipher; /* enum omni_cipher; 0: all */
	unsigned int size;   /* 0: all */
	unsigned int flows;  /* pairs of hosts, in turn */
};

/* One line of the output. Rates count inner frames. */
struct bench_result {
	enum bench_op op;
	unsigned int cipher; /* 0 for forward */
	unsigned int size;
	double mpps, gbps, cycles_per_frame;
	double aead_gbps, ratio;	/* 0 for forward */
	double stage[OMNI_STAGE_COUNT]; /* cycles per frame; 0: the stage is not on the way */
};

/* ---- Memory ports: frames wait in an array, and are collected in another ---- */

struct mem_port {
	struct rte_mbuf *in[BENCH_BUFFERS], *out[BENCH_BUFFERS];
	unsigned int n_in, taken, n_out;
};

extern const struct omni_port_ops bench_mem_port;

static inline struct mem_port *bench_mem(struct omni_port *port)
{
	return port->priv;
}

/* ---- Scenarios: 0, or an exit status and a sentence on stderr ---- */

int bench_datapath(const struct bench_options *o);

/* ---- Report ---- */

const char *bench_op_name(enum bench_op op);
void bench_print_json(const struct bench_result *r, unsigned int n);
void bench_print_table(const struct bench_result *r, unsigned int n);

#endif
