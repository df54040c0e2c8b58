/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Transposing: rows, each of one packet, to lanes, each of one word of every packet, and back. */
#ifndef LANES_AVX2_H
#define LANES_AVX2_H

#include <immintrin.h>

#define LANES_INLINE static inline __attribute__((always_inline))

/* 4 rows of 4 words of 64 bits. */
LANES_INLINE void transpose_4x4(__m256i x[4])
{
	__m256i low01 = _mm256_unpacklo_epi64(x[0], x[1]);
	__m256i high01 = _mm256_unpackhi_epi64(x[0], x[1]);
	__m256i low23 = _mm256_unpacklo_epi64(x[2], x[3]);
	__m256i high23 = _mm256_unpackhi_epi64(x[2], x[3]);

	x[0] = _mm256_permute2x128_si256(low01, low23, 0x20);
	x[1] = _mm256_permute2x128_si256(high01, high23, 0x20);
	x[2] = _mm256_permute2x128_si256(low01, low23, 0x31);
	x[3] = _mm256_permute2x128_si256(high01, high23, 0x31);
}

/* 8 rows of 8 words of 32 bits. */
LANES_INLINE void transpose_8x8(__m256i x[8])
{
	__m256i t[8];

	for (int i = 0; i < 8; i += 4) {
		__m256i low01 = _mm256_unpacklo_epi32(x[i], x[i + 1]);
		__m256i high01 = _mm256_unpackhi_epi32(x[i], x[i + 1]);
		__m256i low23 = _mm256_unpacklo_epi32(x[i + 2], x[i + 3]);
		__m256i high23 = _mm256_unpackhi_epi32(x[i + 2], x[i + 3]);

		t[i] = _mm256_unpacklo_epi64(low01, low23);
		t[i + 1] = _mm256_unpackhi_epi64(low01, low23);
		t[i + 2] = _mm256_unpacklo_epi64(high01, high23);
		t[i + 3] = _mm256_unpackhi_epi64(high01, high23);
	}
	for (int i = 0; i < 4; i++) {
		x[i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x20);
		x[4 + i] = _mm256_permute2x128_si256(t[i], t[4 + i], 0x31);
	}
}

#endif
