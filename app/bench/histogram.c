/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <math.h>
#include <string.h>

#include "histogram.h"

#define SUB (1U << HISTOGRAM_SUB_BITS)

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

uint64_t histogram_low(unsigned int i)
{
	return i < SUB ? i : (uint64_t)(SUB + i % SUB) << (i / SUB - 1);
}

uint64_t histogram_high(unsigned int i)
{
	return i < SUB ? i : histogram_low(i) + (UINT64_C(1) << (i / SUB - 1)) - 1;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (h->count == 0 || from->min < h->min)
		h->min = from->min;
	if (from->max > h->max)
		h->max = from->max;
	h->count += from->count;
	h->sum += from->sum;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] += from->bucket[i];
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	uint64_t rank = (uint64_t)ceil(percent / 100 * (double)h->count), seen = 0;

	if (h->count == 0)
		return 0;
	if (rank >= h->count)
		return h->max;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->bucket[i];
		if (seen >= rank && seen > 0) {
			uint64_t high = histogram_high(i);

			return high < h->max ? high : h->max;
		}
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
