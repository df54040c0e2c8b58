/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * omni-bench generate: frames out of one port, through whatever is there, into the same or
 * another one.
 *
 * A side is a port with what it sends and expects. Direction 0 goes from side 0 to side 1 (to
 * side 0 itself where there is one port only), direction 1 back. A side belongs to one lcore at
 * a time: to its own during a trial, to main between trials.
 */
#ifndef OMNI_BENCH_GENERATE_H
#define OMNI_BENCH_GENERATE_H

#include <signal.h>

#include <omni_drivers.h>
#include <omni_port.h>

#include "histogram.h"
#include "rate.h"
#include "search.h"
#include "sequence.h"
#include "traffic.h"

#define GENERATE_BURST 64
#define GENERATE_SIZES_MAX 16
#define GENERATE_TRIALS_MAX 1024

/* Exit statuses beside 0, 1 and COMMAND_USAGE. */
#define GENERATE_NOTHING_BACK 3
#define GENERATE_INTERRUPTED 4

enum generate_mode {
	GENERATE_RUN,
	GENERATE_RAMP,
	GENERATE_RFC2544,
};

struct generate_size {
	bool imix;
	uint16_t bytes;
};

struct generate_options {
	enum generate_mode mode;
	struct omni_port_conf port[2];
	unsigned int ports; /* 2: another one receives */
	bool bidirectional, no_learning, json;
	struct traffic_conf traffic; /* size and imix: set for each run */
	struct generate_size size[GENERATE_SIZES_MAX];
	unsigned int sizes;
	bool has_rate;
	struct rate rate, step[RATE_STEPS_MAX];
	unsigned int steps;
	double line_bps;
	double duration, warm_up, settle, wait; /* seconds */
	double loss, resolution;		/* parts of one */
	unsigned int burst;
	const char *plot; /* file; NULL: none */
};

/* What became of one direction in one trial. */
struct direction {
	uint64_t target; /* frames that the rate asks for; 0: as many as can be */
	uint64_t sent, sent_bytes;
	uint64_t missed;     /* of the target: there was no time, or no room in the port */
	uint64_t tx_dropped; /* of sent: by our own port */
	uint64_t received, received_bytes; /* each frame once */
	uint64_t late;			   /* of received: behind a frame sent after it */
	uint64_t late_max;		   /* by how many frames of its flow at most */
	uint64_t duplicates, corrupt, stale;
	uint64_t old, foreign, returned; /* other trials', nobody's, of the other direction */
	uint64_t rx_dropped;		 /* by our own port, whatever they were */
	double seconds;			 /* from the first frame to the last */
	struct histogram latency;	 /* in units of 2^TRAFFIC_TSC_SHIFT ticks */
};

struct trial {
	struct generate_size size;
	double size_mean;
	double asked; /* frames per second and direction; 0: as fast as can be */
	unsigned int directions;
	struct direction *d; /* directions of them */
	bool passed;	     /* rfc2544: loss within the bound */
};

/* Result of a search for one size. */
struct throughput {
	struct generate_size size;
	double size_mean;
	double pps; /* per direction */
	unsigned int trials;
	bool limited; /* by the generator */
};

struct report {
	const struct generate_options *o;
	const struct omni_port_info *info[2];
	struct trial *trial;
	unsigned int trials;
	struct throughput throughput[GENERATE_SIZES_MAX];
	unsigned int throughputs;
	bool interrupted;
};

/* ---- Sending and receiving: called by the lcore that has the side ---- */

struct sender {
	const struct traffic *traffic;
	struct traffic_place place; /* of frame sent */
	struct direction *d;
	unsigned int direction, burst;
	uint8_t epoch;
	uint64_t begin, end; /* ticks */
	uint64_t target, backlog;
	double per_tick; /* frames; 0: as fast as can be */
	uint64_t first, last;
	bool done;
};

struct receiver {
	const struct traffic *traffic;
	struct sequence sequence;
	struct direction *d;
	int expects; /* a direction; -1: none */
	uint8_t epoch;
};

struct side {
	struct omni_port *port;
	struct rte_mempool *pool;
	bool sends;
	struct sender tx;
	struct receiver rx;
	struct direction idle; /* what came in at a side that expects nothing */
} __attribute__((aligned(64)));

/* pps 0: as fast as can be. Between begin and end, in ticks. */
void sender_begin(struct sender *s, double pps, uint64_t begin, uint64_t end);
/* Send what is due, at most one burst. */
void sender_turn(struct sender *s, struct side *side, uint64_t now);
/* Take one burst. Number of frames. */
unsigned int receiver_turn(struct receiver *r, struct side *side);

struct generator {
	const struct generate_options *o;
	struct omni_port_table table;
	struct traffic traffic;
	struct side side[2];
	unsigned int sides;
	uint8_t epoch;
};

extern volatile sig_atomic_t generate_stop;

/* Ports and buffers. 0, or an exit status and a sentence on stderr; close in any case. */
int generator_open(struct generator *g, const struct generate_options *o);
void generator_close(struct generator *g);
unsigned int generator_memory_mb(const struct generate_options *o);
/* Frames of that size from here on. 0, or an exit status and a sentence on stderr. */
int generator_size(struct generator *g, const struct generate_size *size);
/* Let bridges on the way learn where the hosts are. */
void generator_learn(struct generator *g);
/* Send for so long at that rate, and receive a while longer. d: o->bidirectional + 1 of them. */
void generator_trial(struct generator *g, double pps, double seconds, struct direction *d);

/* The whole command after its options. The exit status. */
int generate(const struct generate_options *o);

/* ---- What is printed ---- */

/* Nanoseconds of that many units of latency. */
double generate_ns(double units);
double direction_loss(const struct direction *d);      /* part of what was offered; 0 to 1 */
double direction_offered(const struct direction *d);   /* frames per second */
double direction_delivered(const struct direction *d); /* the same */
/* The size as it stands in tables: "imix" or bytes. */
const char *generate_size_text(char out[8], const struct generate_size *size);

void generate_print_head(const struct generate_options *o);
void generate_print_trial(const struct trial *t);
void generate_print_end(const struct report *r);
int generate_print_json(const struct report *r);
/* Latency curves and rates as SVG. 0, or 1 and a sentence on stderr. */
int generate_plot(const struct report *r);

/* "driver=memif,socket=/run/x.sock,id=0,server". 0, or -EINVAL with a sentence. */
int port_arg_parse(struct omni_port_conf *conf, const char *name, const char *text,
		   struct omni_err *err);

const char *generate_help(void);

#endif
