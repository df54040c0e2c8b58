/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Log-linear histogram: 128 equal buckets in each power of two, so a bucket is less than 1 %
 * wide at any value. Values are whole numbers of whatever unit the caller counts in. No thread
 * safety; merge what several threads counted.
 */
#ifndef OMNI_BENCH_HISTOGRAM_H
#define OMNI_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_MAX_BITS 40 /* greater values count in the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count, sum;
	uint64_t min, max; /* exact; meaningless while count is 0 */
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned int histogram_index(uint64_t v)
{
	unsigned int shift;

	if (v < 1U << HISTOGRAM_SUB_BITS)
		return (unsigned int)v;
	if (v >> HISTOGRAM_MAX_BITS != 0)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63U - (unsigned int)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) |
	       (unsigned int)((v >> shift) & ((1U << HISTOGRAM_SUB_BITS) - 1));
}

static inline void histogram_add(struct histogram *h, uint64_t v)
{
	if (h->count == 0 || v < h->min)
		h->min = v;
	if (v > h->max)
		h->max = v;
	h->count++;
	h->sum += v;
	h->bucket[histogram_index(v)]++;
}

void histogram_clear(struct histogram *h);

/* Smallest and greatest value that bucket i counts. */
uint64_t histogram_low(unsigned int i);
uint64_t histogram_high(unsigned int i);

/* Add all that from counted. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/*
 * The value that percent (0 to 100) of all values do not exceed, at most 1 % too great; 100 is
 * the exact maximum. 0 without values.
 */
uint64_t histogram_percentile(const struct histogram *h, double percent);

/* 0 without values. */
double histogram_mean(const struct histogram *h);

#endif
