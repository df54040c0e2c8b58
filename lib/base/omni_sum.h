/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The Internet checksum (RFC 1071), over wide words where the CPU has them. Any thread. */
#ifndef OMNI_SUM_H
#define OMNI_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Sum of len bytes as 16-bit words in memory order, not folded; an odd byte ends with a zero. */
uint64_t omni_sum(const void *data, size_t len);

/* The same while copying; the areas do not overlap. */
uint64_t omni_sum_copy(void *dst, const void *src, size_t len);

/* Folded to 16 bits in memory order, not complemented. */
static inline uint16_t omni_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* A number of 16 bits as the sums have it: in memory order. */
static inline uint16_t omni_sum_of16(uint32_t v)
{
	return __builtin_bswap16((uint16_t)v);
}

#endif
