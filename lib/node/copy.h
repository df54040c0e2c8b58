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
	typedef uint8_t vector __attribute__((vector_size(64), aligned(1), may_alias));

	for (uint32_t at = 0; at < len; at += sizeof(vector))
		*(vector *)(void *)(dst + at) = *(const vector *)(const void *)(src + at);
}

#endif
