/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Which sequence numbers of which flow have arrived. A flow counts from 0 without a gap; a
 * window behind its highest number tells late frames from duplicates. Reordering as in RFC 4737:
 * a frame is late where a higher number came before it. One thread.
 */
#ifndef OMNI_BENCH_SEQUENCE_H
#define OMNI_BENCH_SEQUENCE_H

#include <stdint.h>

enum sequence_verdict {
	SEQUENCE_NEW,	    /* the highest so far */
	SEQUENCE_LATE,	    /* first time, but a higher one was here before */
	SEQUENCE_DUPLICATE, /* was here before */
	SEQUENCE_STALE,	    /* older than the window: nobody can tell */
};

struct sequence {
	uint32_t flows;
	uint32_t window; /* numbers remembered per flow, a power of two */
	uint32_t *next;	 /* highest so far and one */
	uint64_t *seen;	 /* window bits per flow, by number modulo window */
};

/* 0 or -ENOMEM. The window shrinks as flows grow: 65536 for one, 64 for a million. */
int sequence_create(struct sequence *s, uint32_t flows);
void sequence_free(struct sequence *s);

/* Begin from 0 again. */
void sequence_clear(struct sequence *s);

/* flow < s->flows. For a late frame *distance is by how much it comes behind the highest. */
enum sequence_verdict sequence_take(struct sequence *s, uint32_t flow, uint32_t number,
				    uint32_t *distance);

#endif
