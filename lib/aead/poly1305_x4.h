/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Poly1305 (RFC 8439 section 2.5) over four messages side by side: one 64-bit lane each. A number
 * below 2^130 is five limbs of 26 bits, so that products of 32 by 32 bits and their sums fit.
 * Modulo p = 2^130 - 5, what is carried out of the top comes back times 5. All blocks are whole:
 * AEAD pads them with zeros (section 2.8).
 */
#ifndef POLY1305_X4_H
#define POLY1305_X4_H

#include <stdint.h>

#include "lanes_avx2.h"

#define POLY1305_LIMBS 5
#define MASK26 _mm256_set1_epi64x((INT64_C(1) << 26) - 1)

struct poly1305_x4 {
	__m256i a[POLY1305_LIMBS];  /* accumulator; limbs not quite reduced */
	__m256i r[POLY1305_LIMBS];  /* clamped */
	__m256i r5[POLY1305_LIMBS]; /* 5 r; r5[0] is not needed */
};

LANES_INLINE __m256i times5(__m256i x)
{
	return _mm256_add_epi64(x, _mm256_slli_epi64(x, 2));
}

/* The two 64-bit halves of a 128-bit number as limbs. */
LANES_INLINE void to_limbs(__m256i limb[POLY1305_LIMBS], __m256i low, __m256i high)
{
	limb[0] = _mm256_and_si256(low, MASK26);
	limb[1] = _mm256_and_si256(_mm256_srli_epi64(low, 26), MASK26);
	limb[2] = _mm256_and_si256(
		_mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12)), MASK26);
	limb[3] = _mm256_and_si256(_mm256_srli_epi64(high, 14), MASK26);
	limb[4] = _mm256_srli_epi64(high, 40);
}

/* Section 2.5.1: r, clamped, from its halves. */
LANES_INLINE void poly1305_init(struct poly1305_x4 *p, __m256i low, __m256i high)
{
	const __m256i clamp_low = _mm256_set1_epi64x(INT64_C(0x0ffffffc0fffffff));
	const __m256i clamp_high = _mm256_set1_epi64x(INT64_C(0x0ffffffc0ffffffc));

	to_limbs(p->r, _mm256_and_si256(low, clamp_low), _mm256_and_si256(high, clamp_high));
	for (int i = 0; i < POLY1305_LIMBS; i++) {
		p->r5[i] = times5(p->r[i]);
		p->a[i] = _mm256_setzero_si256();
	}
}

/* Limb i of x times r, without carries. */
LANES_INLINE __m256i product_limb(const struct poly1305_x4 *p, const __m256i x[POLY1305_LIMBS],
				  const int i)
{
	__m256i sum = _mm256_mul_epu32(x[0], p->r[i]);

	for (int j = 1; j < POLY1305_LIMBS; j++)
		sum = _mm256_add_epi64(
			sum, _mm256_mul_epu32(x[j], j <= i ? p->r[i - j]
							   : p->r5[POLY1305_LIMBS + i - j]));
	return sum;
}

/* What limb i of x has above 26 bits, into limb i + 1, or times 5 into the first one. */
LANES_INLINE void carry(__m256i x[POLY1305_LIMBS], const int i)
{
	__m256i c = _mm256_srli_epi64(x[i], 26);
	const int to = (i + 1) % POLY1305_LIMBS;

	x[i] = _mm256_and_si256(x[i], MASK26);
	x[to] = _mm256_add_epi64(x[to], to == 0 ? times5(c) : c);
}

/* Section 2.5.1, one turn of the loop: a = (a + n) * r mod p, of those messages that are live. */
LANES_INLINE void poly1305_block(struct poly1305_x4 *p, __m256i low, __m256i high, __m256i live)
{
	const __m256i top = _mm256_set1_epi64x(INT64_C(1) << 24); /* 2^128, in the last limb */
	__m256i x[POLY1305_LIMBS], y[POLY1305_LIMBS];

	to_limbs(x, low, high);
	x[4] = _mm256_or_si256(x[4], top);
#pragma GCC unroll 5
	for (int i = 0; i < POLY1305_LIMBS; i++)
		x[i] = _mm256_add_epi64(x[i], p->a[i]);
#pragma GCC unroll 5
	for (int i = 0; i < POLY1305_LIMBS; i++)
		y[i] = product_limb(p, x, i);
	carry(y, 0); /* two chains: from 0 to 3, and from 3 over the top to 1 */
	carry(y, 3);
	carry(y, 1);
	carry(y, 4);
	carry(y, 2);
	carry(y, 0);
	carry(y, 3);
#pragma GCC unroll 5
	for (int i = 0; i < POLY1305_LIMBS; i++)
		p->a[i] = _mm256_blendv_epi8(p->a[i], y[i], live);
}

/* a mod p, without a branch: a, or a - p where that is not negative. */
LANES_INLINE void poly1305_reduce(__m256i a[POLY1305_LIMBS])
{
	__m256i b[POLY1305_LIMBS], over;

	for (int i = 1; i <= POLY1305_LIMBS; i++)
		carry(a, i % POLY1305_LIMBS);
	for (int i = 1; i < POLY1305_LIMBS; i++)
		carry(a, i);
	for (int i = 0; i < POLY1305_LIMBS; i++)
		b[i] = a[i];
	b[0] = _mm256_add_epi64(b[0], _mm256_set1_epi64x(5)); /* a + 5 - 2^130 = a - p */
	for (int i = 0; i < POLY1305_LIMBS - 1; i++)
		carry(b, i);
	over = _mm256_cmpgt_epi64(b[4], MASK26);
	b[4] = _mm256_and_si256(b[4], MASK26);
	for (int i = 0; i < POLY1305_LIMBS; i++)
		a[i] = _mm256_blendv_epi8(a[i], b[i], over);
}

/* Section 2.5.1, the end, but for the addition of s: a mod p mod 2^128 in 64-bit halves. */
LANES_INLINE void poly1305_final(struct poly1305_x4 *p, __m256i *low, __m256i *high)
{
	__m256i *a = p->a;

	poly1305_reduce(a);
	*low = _mm256_or_si256(_mm256_or_si256(a[0], _mm256_slli_epi64(a[1], 26)),
			       _mm256_slli_epi64(a[2], 52));
	*high = _mm256_or_si256(
		_mm256_or_si256(_mm256_srli_epi64(a[2], 12), _mm256_slli_epi64(a[3], 14)),
		_mm256_slli_epi64(a[4], 40));
}

#endif
