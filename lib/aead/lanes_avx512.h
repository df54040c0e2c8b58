/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Transposing: rows, each of one packet, to lanes, each of one word of every packet, and back. */
#ifndef LANES_AVX512_H
#define LANES_AVX512_H

#include <immintrin.h>

#define LANES_INLINE static inline __attribute__((always_inline))

/* The 128-bit quarters of four vectors: quarter q of row r becomes quarter r of row q. */
LANES_INLINE void transpose_quarters(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
	__m512i ab_low = _mm512_shuffle_i32x4(*a, *b, 0x44);
	__m512i ab_high = _mm512_shuffle_i32x4(*a, *b, 0xee);
	__m512i cd_low = _mm512_shuffle_i32x4(*c, *d, 0x44);
	__m512i cd_high = _mm512_shuffle_i32x4(*c, *d, 0xee);

	*a = _mm512_shuffle_i32x4(ab_low, cd_low, 0x88);
	*b = _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd);
	*c = _mm512_shuffle_i32x4(ab_high, cd_high, 0x88);
	*d = _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd);
}

/* 8 rows of 8 words of 64 bits. */
LANES_INLINE void transpose_8x8(__m512i x[8])
{
	__m512i t[8];

	for (int i = 0; i < 4; i++) {
		t[i] = _mm512_unpacklo_epi64(x[2 * i], x[2 * i + 1]);
		t[4 + i] = _mm512_unpackhi_epi64(x[2 * i], x[2 * i + 1]);
	}
	for (int i = 0; i < 8; i += 4)
		transpose_quarters(&t[i], &t[i + 1], &t[i + 2], &t[i + 3]);
	for (int i = 0; i < 8; i++)
		x[i] = t[(i & 1) * 4 + i / 2];
}

/* 16 rows of 16 words of 32 bits. */
LANES_INLINE void transpose_16x16(__m512i x[16])
{
	__m512i t[16];

	for (int i = 0; i < 4; i++) {
		const __m512i *r = x + 4 * i;
		__m512i ab_low = _mm512_unpacklo_epi32(r[0], r[1]);
		__m512i ab_high = _mm512_unpackhi_epi32(r[0], r[1]);
		__m512i cd_low = _mm512_unpacklo_epi32(r[2], r[3]);
		__m512i cd_high = _mm512_unpackhi_epi32(r[2], r[3]);

		t[i] = _mm512_unpacklo_epi64(ab_low, cd_low);
		t[4 + i] = _mm512_unpackhi_epi64(ab_low, cd_low);
		t[8 + i] = _mm512_unpacklo_epi64(ab_high, cd_high);
		t[12 + i] = _mm512_unpackhi_epi64(ab_high, cd_high);
	}
	for (int i = 0; i < 16; i += 4)
		transpose_quarters(&t[i], &t[i + 1], &t[i + 2], &t[i + 3]);
	for (int i = 0; i < 16; i++)
		x[i] = t[(i & 3) * 4 + i / 4];
}

#endif
