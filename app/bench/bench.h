/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The benchmark rig: scenarios, memory ports and what is reported. */
#ifndef OMNI_BENCH_H
#define OMNI_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_aead.h>
#include <omni_port.h>
#include <omni_stats.h>

/* Frames in flight: more than the caches near the core hold. */
#define BENCH_BUFFERS 8192
#define BENCH_RESULTS_MAX 64
/* Stands for a number of bytes: frames of three sizes take turns, see bench_size. */
#define BENCH_IMIX UINT16_MAX

enum bench_op {
	BENCH_SEAL,
	BENCH_OPEN,
	BENCH_FORWARD,
};

struct bench_options {
	bool json, quick;
	bool bundles;	     /* seal and open alone: short frames share datagrams */
	bool v6;	     /* the underlay is IPv6 */
	int op;		     /* enum bench_op; -1: all */
	unsigned int cipher; /* enum omni_cipher; 0: all */
	unsigned int size;   /* 0: all; bytes, or BENCH_IMIX */
	unsigned int flows;  /* pairs of hosts, in turn */
	unsigned int peers;  /* with live sessions, in turn */
	unsigned int workers;
	unsigned int routes; /* of an L3 cluster; 0: it is of Ethernet */
	bool wireguard;	     /* its dialect, with routes alone */
};

/*
 * One line of the output: medians of the runs. Rates count inner frames and are the sums of all
 * workers, cycles are those of one of them.
 */
struct bench_result {
	enum bench_op op;
	unsigned int cipher; /* 0 for forward */
	unsigned int size;   /* bytes, or BENCH_IMIX; with routes without Ethernet's header */
	bool bundles, v6, wireguard;
	unsigned int datagrams; /* that all frames of a pass were in */
	unsigned int runs, peers, hosts, flows, workers, routes;
	double mpps, gbps, cycles_per_frame;
	double mpps_min, mpps_max; /* of the runs */
	double aead_gbps, ratio;   /* 0 for forward */
	double one_mpps;	   /* one of several workers, the others idle; 0: there is one */
	double stage[OMNI_STAGE_COUNT]; /* cycles per frame; 0: the stage is not on the way */
};

/* What the heap gave for one peer's part in the data path, in bytes, its bookkeeping included. */
struct bench_memory {
	unsigned int cipher, peers;
	double peer;	/* the peer and its path */
	double session; /* a keypair, its schedules, lane 0 and one lane for data each way */
};

/* ---- Memory ports: frames wait in an array, and are collected in another ---- */

/* One queue. */
struct mem_port {
	struct rte_mbuf *in[BENCH_BUFFERS], *out[BENCH_BUFFERS];
	unsigned int n_in, taken, n_out;
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

extern const struct omni_port_ops bench_mem_port;

static inline struct mem_port *bench_mem(struct omni_port *port, unsigned int queue)
{
	return (struct mem_port *)port->priv + queue;
}

/* ---- Scenarios: 0, or an exit status and a sentence on stderr ---- */

int bench_datapath(const struct bench_options *o);

/* ---- Sizes ---- */

/* Bytes of the i-th frame: always size, or the next of the mix (7:4:1 of 64:576:1420). */
unsigned int bench_size(unsigned int size, unsigned int i);
double bench_size_mean(unsigned int size);

/*
 * The operation on a message of len bytes behind the data header at h, in place; and the same in
 * WireGuard's dialect.
 */
void bench_set_op(struct omni_aead_op *op, const struct omni_aead_key *key, uint8_t *h,
		  unsigned int len);
void bench_set_op_wg(struct omni_aead_op *op, const struct omni_aead_key *key, uint8_t *h,
		     unsigned int len);

/* ---- Report ---- */

struct bench_report {
	unsigned int n, n_memory;
	struct bench_result result[BENCH_RESULTS_MAX];
	struct bench_memory memory[BENCH_RESULTS_MAX];
};

const char *bench_op_name(enum bench_op op);
void bench_print_json(const struct bench_report *r);
void bench_print_table(const struct bench_report *r);

#endif
