/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The field of GHASH (NIST SP 800-38D section 6.3), four elements at a time (VPCLMULQDQ).
 *
 * Elements stand byte-reversed in registers, so bit 127 is the coefficient of x^0. The product of
 * two such numbers is one bit too far right; the powers of H are kept one to the left.
 */
#ifndef GHASH_VAES_H
#define GHASH_VAES_H

#include <stdint.h>

#include <immintrin.h>

#define GHASH_INLINE static inline __attribute__((always_inline))
#define XOR3 0x96 /* of ternary logic */

/* The bytes of each block in the other order. */
GHASH_INLINE __m512i reversed(__m512i x)
{
	const __m512i order = _mm512_broadcast_i32x4(
		_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

	return _mm512_shuffle_epi8(x, order);
}

/* A sum of products, not reduced: weights x^0, x^64 and x^128. */
struct ghash_sum {
	__m512i low, middle, high;
};

GHASH_INLINE void ghash_add_middle(__m512i *middle, __m512i x, __m512i h)
{
	*middle = _mm512_ternarylogic_epi64(*middle, _mm512_clmulepi64_epi128(x, h, 0x01),
					    _mm512_clmulepi64_epi128(x, h, 0x10), XOR3);
}

/* The low, or the high, products of two. */
GHASH_INLINE void ghash_add_two_low(__m512i *sum, __m512i x0, __m512i h0, __m512i x1, __m512i h1)
{
	*sum = _mm512_ternarylogic_epi64(*sum, _mm512_clmulepi64_epi128(x0, h0, 0x00),
					 _mm512_clmulepi64_epi128(x1, h1, 0x00), XOR3);
}

GHASH_INLINE void ghash_add_two_high(__m512i *sum, __m512i x0, __m512i h0, __m512i x1, __m512i h1)
{
	*sum = _mm512_ternarylogic_epi64(*sum, _mm512_clmulepi64_epi128(x0, h0, 0x11),
					 _mm512_clmulepi64_epi128(x1, h1, 0x11), XOR3);
}

GHASH_INLINE void ghash_add(struct ghash_sum *s, __m512i x, __m512i h)
{
	s->low = _mm512_xor_si512(s->low, _mm512_clmulepi64_epi128(x, h, 0x00));
	s->high = _mm512_xor_si512(s->high, _mm512_clmulepi64_epi128(x, h, 0x11));
	ghash_add_middle(&s->middle, x, h);
}

/* x^128 + x^7 + x^2 + x + 1 without x^128, reversed. */
GHASH_INLINE __m128i ghash_polynomial(void)
{
	return _mm_set_epi64x((long long)0xc200000000000000, 1);
}

/* Modulo the polynomial, each of the four by itself: from the right, 64 bits at a time. */
GHASH_INLINE __m512i ghash_reduce(const struct ghash_sum *s)
{
	const __m512i p = _mm512_broadcast_i32x4(ghash_polynomial());
	__m512i t = _mm512_ternarylogic_epi64(_mm512_shuffle_epi32(s->low, 0x4e),
					      _mm512_clmulepi64_epi128(s->low, p, 0x10), s->middle,
					      XOR3);

	return _mm512_ternarylogic_epi64(_mm512_shuffle_epi32(t, 0x4e),
					 _mm512_clmulepi64_epi128(t, p, 0x10), s->high, XOR3);
}

GHASH_INLINE __m128i ghash_xor_of_four(__m512i x)
{
	__m256i y = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

/* x times h, where h stands one bit to the left. */
GHASH_INLINE __m128i ghash_multiply(__m128i x, __m128i h)
{
	struct ghash_sum s = {0};

	ghash_add(&s, _mm512_zextsi128_si512(x), _mm512_zextsi128_si512(h));
	return _mm512_castsi512_si128(ghash_reduce(&s));
}

/* One bit to the left, what falls out at the top folded back. */
GHASH_INLINE __m128i ghash_one_left(__m128i x)
{
	uint64_t low = (uint64_t)_mm_cvtsi128_si64(x), high = (uint64_t)_mm_extract_epi64(x, 1);
	__m128i out = _mm_set_epi64x((int64_t)(high << 1 | low >> 63), (int64_t)(low << 1));
	__m128i all_or_none = _mm_set1_epi64x(-(int64_t)(high >> 63));

	return _mm_xor_si128(out, _mm_and_si128(all_or_none, ghash_polynomial()));
}

#endif
