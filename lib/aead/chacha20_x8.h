/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ChaCha20 (RFC 8439 sections 2.1 to 2.4): a block of each of eight packets, one 32-bit lane each.
 */
#ifndef CHACHA20_X8_H
#define CHACHA20_X8_H

#include <stdint.h>

#include "lanes_avx2.h"

#define CHACHA20_DOUBLE_ROUNDS 10

/* Section 2.3's matrix: constants, key, block count and nonce; word i of every lane. */
struct chacha20_x8 {
	__m256i word[16];
};

#define ROL(x, bits) _mm256_or_si256(_mm256_slli_epi32(x, bits), _mm256_srli_epi32(x, 32 - (bits)))

/* By 16 and by 8 bits a shuffle of bytes is one instruction instead of three. */
LANES_INLINE __m256i rol16(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_set_epi8(13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1,
						      0, 3, 2, 13, 12, 15, 14, 9, 8, 11, 10, 5, 4,
						      7, 6, 1, 0, 3, 2));
}

LANES_INLINE __m256i rol8(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_set_epi8(14, 13, 12, 15, 10, 9, 8, 11, 6, 5, 4, 7, 2,
						      1, 0, 3, 14, 13, 12, 15, 10, 9, 8, 11, 6, 5,
						      4, 7, 2, 1, 0, 3));
}

/* Section 2.1. */
LANES_INLINE void quarter_round(__m256i *a, __m256i *b, __m256i *c, __m256i *d)
{
	*a = _mm256_add_epi32(*a, *b);
	*d = rol16(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi32(*c, *d);
	*b = _mm256_xor_si256(*b, *c);
	*b = ROL(*b, 12);
	*a = _mm256_add_epi32(*a, *b);
	*d = rol8(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi32(*c, *d);
	*b = _mm256_xor_si256(*b, *c);
	*b = ROL(*b, 7);
}

/* Section 2.3.1, chacha20_block. */
LANES_INLINE void chacha20_block(__m256i out[16], const struct chacha20_x8 *state)
{
	__m256i x[16];

#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		x[i] = state->word[i];
#pragma GCC unroll 1
	for (int i = 0; i < CHACHA20_DOUBLE_ROUNDS; i++) {
		quarter_round(&x[0], &x[4], &x[8], &x[12]);
		quarter_round(&x[1], &x[5], &x[9], &x[13]);
		quarter_round(&x[2], &x[6], &x[10], &x[14]);
		quarter_round(&x[3], &x[7], &x[11], &x[15]);
		quarter_round(&x[0], &x[5], &x[10], &x[15]);
		quarter_round(&x[1], &x[6], &x[11], &x[12]);
		quarter_round(&x[2], &x[7], &x[8], &x[13]);
		quarter_round(&x[3], &x[4], &x[9], &x[14]);
	}
#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		out[i] = _mm256_add_epi32(x[i], state->word[i]);
}

/* The matrix for block 0 of eight packets, of rows of 32 bytes: keys; nonces, with anything behind.
 */
LANES_INLINE void chacha20_init(struct chacha20_x8 *state, __m256i key[8], __m256i nonce[8])
{
	static const int constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	__m256i *w = state->word;

	transpose_8x8(key);
	transpose_8x8(nonce);
	for (int i = 0; i < 4; i++)
		w[i] = _mm256_set1_epi32(constants[i]);
	for (int i = 0; i < 8; i++)
		w[4 + i] = key[i];
	w[12] = _mm256_setzero_si256();
	for (int i = 0; i < 3; i++)
		w[13 + i] = nonce[i];
}

LANES_INLINE void chacha20_next_block(struct chacha20_x8 *state)
{
	state->word[12] = _mm256_add_epi32(state->word[12], _mm256_set1_epi32(1));
}

#endif
