/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rates as a person writes them, and in frames per second. Pure. */
#ifndef OMNI_BENCH_RATE_H
#define OMNI_BENCH_RATE_H

#include <omni_base.h>

enum rate_unit {
	RATE_MAX,  /* as fast as the port takes frames */
	RATE_PPS,  /* frames per second */
	RATE_BPS,  /* bits of frames per second, without what only the wire counts */
	RATE_PART, /* percent of the line rate */
};

struct rate {
	enum rate_unit unit;
	double value;
};

#define RATE_STEPS_MAX 64

/* "1000pps", "2.5mpps", "400mbps", "9.4gbps", "60%" or "max". 0, or -EINVAL with a sentence. */
int rate_parse(struct rate *rate, const char *text, struct omni_err *err);

/*
 * Steps of a ramp: a list "10%,50%,90%", or "FROM..TO/N" for N steps from one to the other of
 * one unit. Their number, or -EINVAL with a sentence.
 */
int rate_parse_steps(struct rate steps[RATE_STEPS_MAX], const char *text, struct omni_err *err);

/* Frames per second for frames of that mean size on a line of line_bps; 0 for RATE_MAX. */
double rate_pps(const struct rate *rate, double size, double line_bps);

#endif
