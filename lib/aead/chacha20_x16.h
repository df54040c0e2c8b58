/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ChaCha20 (RFC 8439 sections 2.1 to 2.4): sixteen blocks side by side, one 32-bit lane each.
 * Lanes 0 to 7 are a block of each of eight packets, lanes 8 to 15 the block after it.
 */
#ifndef CHACHA20_X16_H
#define CHACHA20_X16_H

#include <assert.h>

#include "poly1305_x8.h"

#define CHACHA20_DOUBLE_ROUNDS 10

/* Section 2.3's matrix: constants, key, block count and nonce; word i of every lane. */
struct chacha20_x16 {
	__m512i word[16];
};

static_assert(POLY1305_QUEUE <= CHACHA20_DOUBLE_ROUNDS, "one queued block a double round");

/* Where column j's word of a row is; of diagonals (shift 1), where row 0's column has it. */
#define AT(row, j, shift) (4 * (row) + ((j) + (row) * (shift)) % 4)

/*
 * Half of a quarter round (section 2.1), a += b; d = (d ^ a) <<< bits, of rows a, b and d: each
 * step in all four columns before the next one, for the CPU looks only so far ahead.
 */
#define HALF_ROUND(x, a, b, d, bits, shift)                                                   \
	do {                                                                                  \
		for (int j = 0; j < 4; j++)                                                   \
			(x)[AT(a, j, shift)] =                                                \
				_mm512_add_epi32((x)[AT(a, j, shift)], (x)[AT(b, j, shift)]); \
		for (int j = 0; j < 4; j++)                                                   \
			(x)[AT(d, j, shift)] =                                                \
				_mm512_xor_si512((x)[AT(d, j, shift)], (x)[AT(a, j, shift)]); \
		for (int j = 0; j < 4; j++)                                                   \
			(x)[AT(d, j, shift)] = _mm512_rol_epi32((x)[AT(d, j, shift)], bits);  \
	} while (0)

/* Four quarter rounds. */
LANES_INLINE void quarter_rounds(__m512i x[16], const int shift)
{
	HALF_ROUND(x, 0, 1, 3, 16, shift);
	HALF_ROUND(x, 2, 3, 1, 12, shift);
	HALF_ROUND(x, 0, 1, 3, 8, shift);
	HALF_ROUND(x, 2, 3, 1, 7, shift);
}

/* Section 2.3.1, inner_block: columns, then diagonals. */
LANES_INLINE void inner_block(__m512i x[16])
{
	quarter_rounds(x, 0);
	quarter_rounds(x, 1);
}

/*
 * Section 2.3.1, chacha20_block, to out; and between its rounds what waits in poly's queue. The
 * two chains of dependent instructions have nothing in common, so the second one is almost free.
 */
LANES_INLINE void chacha20_block(__m512i out[16], const struct chacha20_x16 *state,
				 struct poly1305_x8 *poly)
{
	__m512i x[16];

#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		x[i] = state->word[i];
#pragma GCC unroll 1
	for (unsigned int i = 0; i < CHACHA20_DOUBLE_ROUNDS; i++) {
		inner_block(x);
		__asm__ volatile("" ::: "memory"); /* x has the registers, poly stays in memory */
		if (i < poly->count)
			poly1305_block(poly, i);
		__asm__ volatile("" ::: "memory");
	}
	poly->count = 0;
#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		out[i] = _mm512_add_epi32(x[i], state->word[i]);
}

/*
 * The matrix of eight packets from rows of 64 bytes: key, nonce, and 20 bytes that do not
 * matter. Counts are 0 in lanes 0 to 7, 1 in lanes 8 to 15.
 */
LANES_INLINE void chacha20_init(struct chacha20_x16 *state, __m512i row[8])
{
	static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	const __m512i even = _mm512_set_epi32(14, 12, 10, 8, 6, 4, 2, 0, 14, 12, 10, 8, 6, 4, 2, 0);
	const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
	__m512i *w = state->word;

	transpose_8x8(row);
	for (int i = 0; i < 4; i++) {
		w[i] = _mm512_set1_epi32((int)constants[i]);
		w[4 + 2 * i] = _mm512_permutexvar_epi32(even, row[i]);
		w[5 + 2 * i] = _mm512_permutexvar_epi32(odd, row[i]);
	}
	w[12] = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
	w[13] = _mm512_permutexvar_epi32(even, row[4]);
	w[14] = _mm512_permutexvar_epi32(odd, row[4]);
	w[15] = _mm512_permutexvar_epi32(even, row[5]);
}

#endif
