/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copies of short frames, in whole vectors. */
#ifndef OMNI_NODE_COPY_H
#define OMNI_NODE_COPY_H

#include <stdint.h>

/* copy_slack reads and writes up to so many bytes too much. */
#define COPY_SLACK 63

/* Copy len > 0 bytes, where both buffers go on for COPY_SLACK bytes behind them. */
static inline void copy_slack(uint8_t *dst, const uint8_t *src, uint32_t len)
{
	typedef uint8_t vector __attribute__((vector_size(16), aligned(1), may_alias));

	for (uint32_t at = 0; at < len; at += 4 * sizeof(vector)) {
		const vector *from = (const vector *)(const void *)(src + at);
		vector *to = (vector *)(void *)(dst + at);
		vector a = from[0], b = from[1], c = from[2], d = from[3];

		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = d;
	}
}

#endif
