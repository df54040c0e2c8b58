/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sums of 16-bit words, taken as 32-bit words in 64-bit lanes: since 2^16 is 1 modulo 65535,
 * folding gives the same at the end, and no lane overflows below 2^32 additions.
 */
#include <string.h>

#include "sum.h"

typedef uint64_t wide __attribute__((vector_size(32)));
typedef uint64_t wide_at __attribute__((vector_size(32), aligned(1), may_alias));

#define UDP_CHECKSUM_OFFSET 6
#define STEP (2 * sizeof(wide))

/* dst NULL: do not copy. One body; each twin compiles it for another machine. */
static inline __attribute__((always_inline)) uint64_t run(uint8_t *dst, const uint8_t *src,
							  size_t len)
{
	wide low0 = {0}, low1 = {0}, high0 = {0}, high1 = {0};
	uint64_t sum = 0, x;
	size_t at = 0;

	for (; len - at >= STEP; at += STEP) {
		wide a = *(const wide_at *)(src + at);
		wide b = *(const wide_at *)(src + at + sizeof(wide));

		if (dst != NULL) {
			*(wide_at *)(dst + at) = a;
			*(wide_at *)(dst + at + sizeof(wide)) = b;
		}
		low0 += a & 0xffffffff;
		high0 += a >> 32;
		low1 += b & 0xffffffff;
		high1 += b >> 32;
	}
	low0 += low1 + high0 + high1;
	sum = low0[0] + low0[1] + low0[2] + low0[3];
	for (; len - at >= sizeof(x); at += sizeof(x)) {
		memcpy(&x, src + at, sizeof(x));
		if (dst != NULL)
			memcpy(dst + at, &x, sizeof(x));
		sum += (x & 0xffffffff) + (x >> 32);
	}
	x = 0;
	for (size_t i = 0; at + i < len; i++) {
		x |= (uint64_t)src[at + i] << 8 * i;
		if (dst != NULL)
			dst[at + i] = src[at + i];
	}
	return sum + (x & 0xffffffff) + (x >> 32);
}

uint64_t sum_plain(const void *data, size_t len)
{
	return run(NULL, data, len);
}

uint64_t sum_copy_plain(void *dst, const void *src, size_t len)
{
	return run(dst, src, len);
}

__attribute__((target("avx2"))) uint64_t sum_avx2(const void *data, size_t len)
{
	return run(NULL, data, len);
}

__attribute__((target("avx2"))) uint64_t sum_copy_avx2(void *dst, const void *src, size_t len)
{
	return run(dst, src, len);
}

uint64_t omni_sum(const void *data, size_t len)
{
	return __builtin_cpu_supports("avx2") ? sum_avx2(data, len) : sum_plain(data, len);
}

uint64_t omni_sum_copy(void *dst, const void *src, size_t len)
{
	return __builtin_cpu_supports("avx2") ? sum_copy_avx2(dst, src, len)
					      : sum_copy_plain(dst, src, len);
}

bool omni_finish_checksum(uint8_t *frame, uint32_t len, uint16_t start, uint16_t offset)
{
	uint16_t sum;

	if ((uint32_t)start + offset + sizeof(sum) > len)
		return false;
	/* The field holds the sum of the pseudo header, so it is part of what is added. */
	sum = (uint16_t)~omni_sum_fold(omni_sum(frame + start, len - start));
	if (sum == 0 && offset == UDP_CHECKSUM_OFFSET)
		sum = 0xffff;
	memcpy(frame + start + offset, &sum, sizeof(sum));
	return true;
}
