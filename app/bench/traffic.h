/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Test frames. Frame k of a direction belongs to flow k % flows and has the number k / flows
 * there, so the sink knows of each frame what it must look like:
 *
 *	Ethernet [VLAN] [IPv4 or IPv6, UDP] stamp body
 *
 * MAC addresses, TTL and checksums may change on the way; everything else is checked. Sizes
 * count from the Ethernet header on, without the 4-byte FCS, as DPDK counts them. Pure.
 */
#ifndef OMNI_BENCH_TRAFFIC_H
#define OMNI_BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_base.h>

#define TRAFFIC_FRAME_MIN 60
#define TRAFFIC_FRAME_MAX 9234
#define TRAFFIC_FLOWS_MAX 1048576
#define TRAFFIC_SIZES_MAX 12
#define TRAFFIC_HEAD_MAX 96
#define TRAFFIC_TSC_SHIFT 2 /* time stamps count four ticks each, and wrap after 2^34 ticks */
/* Preamble, FCS and the gap between two frames: bytes of the wire that no size counts. */
#define TRAFFIC_WIRE_EXTRA 24

enum traffic_kind {
	TRAFFIC_L2,
	TRAFFIC_UDP4,
	TRAFFIC_UDP6,
};

struct traffic_conf {
	enum traffic_kind kind;
	bool imix;	/* 7:4:1 of 64, 576 and 1420 bytes, instead of size */
	uint16_t size;	/* bytes of every frame */
	int vlan;	/* id; -1: no tag */
	uint32_t flows; /* UDP addresses and ports, or MAC pairs */
	uint32_t macs;	/* pairs of MAC addresses; flow f uses pair f % macs */
	bool has_to[2]; /* all frames of that direction go to one MAC: a router's */
	uint8_t to[2][6];
	uint32_t key; /* of this run: another run's frames are not ours */
};

/* Behind the headers. Integers in network order. */
struct traffic_stamp {
	uint8_t magic[2];
	uint8_t epoch;	 /* of the trial */
	uint8_t flow[3]; /* the highest bit is the direction */
	uint8_t number[4];
	uint8_t tsc[4];
	uint8_t check[4]; /* over what L3 and L4 must not change, and the fields above */
};

struct traffic {
	struct traffic_conf conf;
	uint16_t head_len;		  /* up to the stamp */
	uint16_t size[TRAFFIC_SIZES_MAX]; /* frame k has size[k % sizes] */
	uint32_t sizes;
	double size_mean;
	/* Headers of direction d and each of the sizes, for flow 0. */
	uint8_t head[2][TRAFFIC_SIZES_MAX][TRAFFIC_HEAD_MAX];
	uint8_t body[TRAFFIC_FRAME_MAX];
};

/* Where frame k stands. */
struct traffic_place {
	uint32_t flow, number;
	uint32_t which; /* of the sizes */
};

static inline struct traffic_place traffic_place(const struct traffic *t, uint64_t k)
{
	return (struct traffic_place){(uint32_t)(k % t->conf.flows), (uint32_t)(k / t->conf.flows),
				      (uint32_t)(k % t->sizes)};
}

/* From frame k to the next, without a division. */
static inline void traffic_step(const struct traffic *t, struct traffic_place *p)
{
	if (++p->flow == t->conf.flows) {
		p->flow = 0;
		p->number++;
	}
	if (++p->which == t->sizes)
		p->which = 0;
}

/* 0, or -EINVAL with a sentence in err: a size does not hold the headers. */
int traffic_init(struct traffic *t, const struct traffic_conf *conf, struct omni_err *err);

/* MAC address number i of the hosts on side 0 (where direction 0 begins) or 1. */
void traffic_mac(uint8_t mac[6], unsigned int side, uint32_t i);

/* The frame of that place and direction at frame, complete but for its stamp; its size. */
uint16_t traffic_write(const struct traffic *t, unsigned int direction,
		       const struct traffic_place *place, uint8_t *frame);

/* The stamp of that frame, and what checksums depend on it. tsc: now. */
void traffic_stamp(const struct traffic *t, unsigned int direction,
		   const struct traffic_place *place, uint8_t epoch, uint64_t tsc, uint8_t *frame);

/* A frame of side's MAC i, to the other side's, that bridges on the way learn from; its size. */
uint16_t traffic_write_learning(const struct traffic *t, unsigned int side, uint32_t i,
				uint8_t *frame);

enum traffic_verdict {
	TRAFFIC_GOOD,
	TRAFFIC_CORRUPT,  /* ours, and not as it was sent */
	TRAFFIC_OLD,	  /* of another trial */
	TRAFFIC_LEARNING, /* ours, not to be counted */
	TRAFFIC_FOREIGN,  /* none of ours */
};

struct traffic_seen {
	unsigned int direction;
	uint32_t flow, number;
	uint32_t tsc; /* in units of 2^TRAFFIC_TSC_SHIFT ticks */
};

/* What a received frame of len bytes is; seen is filled where it is good. Any bytes are fine. */
enum traffic_verdict traffic_read(const struct traffic *t, uint8_t epoch, const uint8_t *frame,
				  uint32_t len, struct traffic_seen *seen);

#endif
