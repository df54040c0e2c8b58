/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sums of 16-bit words, taken as 32-bit words in 64-bit lanes: since 2^16 is 1 modulo 65535,
 * folding gives the same at the end, and no lane overflows below 2^32 additions.
 */
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "sum.h"

typedef uint64_t wide __attribute__((vector_size(32)));
typedef uint64_t wide_at __attribute__((vector_size(32), aligned(1), may_alias));

#define INLINE inline __attribute__((always_inline))
/* Tuned for the first CPUs that had it, else gcc loads 32 bytes in two halves. */
#define WITH_AVX2 __attribute__((target("avx2,tune=haswell")))
#define WITH_AVX512 __attribute__((target("avx512bw")))

/* Add the wide word at src; dst NULL: do not copy it. */
static INLINE void take_wide(wide *sum, uint8_t *dst, const uint8_t *src)
{
	wide v = *(const wide_at *)src;

	if (dst != NULL)
		*(wide_at *)dst = v;
	*sum += (v & 0xffffffff) + (v >> 32);
}

/* The last bytes, fewer than eight. */
static INLINE uint64_t take_tail(uint8_t *dst, const uint8_t *src, size_t len)
{
	uint32_t four = 0;
	uint16_t two = 0;
	uint8_t one = 0;
	size_t at = 0;

	if ((len & 4) != 0) {
		memcpy(&four, src, 4);
		if (dst != NULL)
			memcpy(dst, &four, 4);
		at = 4;
	}
	if ((len & 2) != 0) {
		memcpy(&two, src + at, 2);
		if (dst != NULL)
			memcpy(dst + at, &two, 2);
		at += 2;
	}
	if ((len & 1) != 0) {
		one = src[at];
		if (dst != NULL)
			dst[at] = one;
	}
	return (uint64_t)four + two + one;
}

/* dst NULL: do not copy. One body; each twin compiles it for another machine. */
static INLINE uint64_t run(uint8_t *dst, const uint8_t *src, size_t len)
{
	wide sum0 = {0}, sum1 = {0};
	uint64_t sum = 0, x;
	size_t at = 0;

	for (; len - at >= 2 * sizeof(wide); at += 2 * sizeof(wide)) {
		take_wide(&sum0, dst != NULL ? dst + at : NULL, src + at);
		take_wide(&sum1, dst != NULL ? dst + at + sizeof(wide) : NULL,
			  src + at + sizeof(wide));
	}
	if (len - at >= sizeof(wide)) {
		take_wide(&sum1, dst != NULL ? dst + at : NULL, src + at);
		at += sizeof(wide);
	}
	sum0 += sum1;
	for (unsigned int i = 0; i < 3 && len - at >= sizeof(x); i++, at += sizeof(x)) {
		memcpy(&x, src + at, sizeof(x));
		if (dst != NULL)
			memcpy(dst + at, &x, sizeof(x));
		sum += (x & 0xffffffff) + (x >> 32);
	}
	sum += take_tail(dst != NULL ? dst + at : NULL, src + at, len - at);
	return sum + sum0[0] + sum0[1] + sum0[2] + sum0[3];
}

uint64_t sum_plain(const void *data, size_t len)
{
	return run(NULL, data, len);
}

uint64_t sum_copy_plain(void *dst, const void *src, size_t len)
{
	return run(dst, src, len);
}

WITH_AVX2 uint64_t sum_avx2(const void *data, size_t len)
{
	return run(NULL, data, len);
}

WITH_AVX2 uint64_t sum_copy_avx2(void *dst, const void *src, size_t len)
{
	return run(dst, src, len);
}

/* The last bytes by a masked load: what is short takes two loads and no branch on its length. */
WITH_AVX512 uint64_t sum_avx512(const void *data, size_t len)
{
	const __m512i low = _mm512_set1_epi64(UINT32_MAX);
	__m512i sum0 = _mm512_setzero_si512(), sum1 = sum0, v;
	const uint8_t *src = data;

	for (; len > sizeof(v); len -= sizeof(v), src += sizeof(v)) {
		v = _mm512_loadu_si512(src);
		sum0 = _mm512_add_epi64(sum0, _mm512_and_si512(v, low));
		sum1 = _mm512_add_epi64(sum1, _mm512_srli_epi64(v, 32));
	}
	v = _mm512_maskz_loadu_epi8(len == 0 ? 0 : UINT64_MAX >> (sizeof(v) - len), src);
	sum0 = _mm512_add_epi64(sum0, _mm512_and_si512(v, low));
	sum1 = _mm512_add_epi64(sum1, _mm512_srli_epi64(v, 32));
	return (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(sum0, sum1));
}

static INLINE bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

uint64_t omni_sum(const void *data, size_t len)
{
	if (__builtin_cpu_supports("avx512bw"))
		return sum_avx512(data, len);
	return has_avx2() ? sum_avx2(data, len) : sum_plain(data, len);
}

uint64_t omni_sum_copy(void *dst, const void *src, size_t len)
{
	return has_avx2() ? sum_copy_avx2(dst, src, len) : sum_copy_plain(dst, src, len);
}
