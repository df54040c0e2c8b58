/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* RFC 2544, section 26.1: the highest rate without loss, by halving. Rates in any unit. Pure. */
#ifndef OMNI_BENCH_SEARCH_H
#define OMNI_BENCH_SEARCH_H

#include <stdbool.h>

struct search {
	double low;	   /* the highest rate that passed; 0: none did */
	double high;	   /* the lowest that failed; the limit while none did */
	double resolution; /* the search ends when high and low are this close */
	double rate;	   /* to be tried next; 0: as fast as can be */
	bool limited;	   /* the generator ended it, not the device */
	bool done;
};

/*
 * limit is the highest rate to try, 0 where it is whatever the generator reaches. resolution is
 * a part of that limit, over 0 and under 1.
 */
void search_begin(struct search *s, double limit, double resolution);

/* Result of a trial at s->rate of which so much was offered; then s->rate is the next one. */
void search_next(struct search *s, double offered, bool passed);

#endif
