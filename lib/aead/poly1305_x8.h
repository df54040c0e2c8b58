/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Poly1305 (RFC 8439 section 2.5) over eight messages side by side: one 64-bit lane each. A
 * number below 2^130 is three limbs of 44, 44 and 42 bits, so that the products of the 52-bit
 * multiplier (AVX-512 IFMA) and their sums fit its lanes. Modulo p = 2^130 - 5, what is carried
 * out of the top comes back times 5; the limb above the third weighs 2^132, that is 20.
 *
 * Message blocks are queued, and multiplied in wherever the ChaCha20 rounds of other packets
 * leave the multiplier idle. All blocks are whole: AEAD pads them with zeros (section 2.8).
 */
#ifndef POLY1305_X8_H
#define POLY1305_X8_H

#include <stdint.h>

#include "lanes_avx512.h"

#define POLY1305_QUEUE 10 /* blocks of each message: as many as ChaCha20 has double rounds */

#define MASK44 _mm512_set1_epi64((INT64_C(1) << 44) - 1)
#define MASK42 _mm512_set1_epi64((INT64_C(1) << 42) - 1)

struct poly1305_x8 {
	__m512i a[3];		       /* accumulator; limbs not quite reduced */
	__m512i r[3];		       /* clamped */
	__m512i r20[3];		       /* 20 r; r20[0] is not needed */
	__m512i s[2];		       /* 64-bit halves */
	unsigned int count;	       /* blocks in the queue */
	__mmask8 live[POLY1305_QUEUE]; /* messages that have this block */
	__m512i n[POLY1305_QUEUE][2];  /* blocks, 64-bit halves */
};

/* x times 5. */
LANES_INLINE __m512i times5(__m512i x)
{
	return _mm512_add_epi64(x, _mm512_slli_epi64(x, 2));
}

/* The two 64-bit halves of a 128-bit number as limbs. */
LANES_INLINE void to_limbs(__m512i limb[3], __m512i low, __m512i high)
{
	limb[0] = _mm512_and_si512(low, MASK44);
	limb[1] = _mm512_and_si512(
		_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)), MASK44);
	limb[2] = _mm512_srli_epi64(high, 24);
}

/* Section 2.5.1: r, clamped, and s from the halves of the one-time keys. */
LANES_INLINE void poly1305_init(struct poly1305_x8 *p, const __m512i r[2], const __m512i s[2])
{
	const __m512i clamp_low = _mm512_set1_epi64(INT64_C(0x0ffffffc0fffffff));
	const __m512i clamp_high = _mm512_set1_epi64(INT64_C(0x0ffffffc0ffffffc));

	to_limbs(p->r, _mm512_and_si512(r[0], clamp_low), _mm512_and_si512(r[1], clamp_high));
	for (int i = 0; i < 3; i++) {
		p->r20[i] = _mm512_slli_epi64(times5(p->r[i]), 2);
		p->a[i] = _mm512_setzero_si512();
	}
	p->s[0] = s[0];
	p->s[1] = s[1];
	p->count = 0;
}

/* The sum of x[i] y[i], i from 2 down to 0: a[2] is ready before a[1] and a[0]. */
LANES_INLINE void sum3(__m512i *low, __m512i *high, const __m512i x[3], __m512i y0, __m512i y1,
		       __m512i y2)
{
	const __m512i zero = _mm512_setzero_si512();

	*low = _mm512_madd52lo_epu64(zero, x[2], y2);
	*high = _mm512_madd52hi_epu64(zero, x[2], y2);
	*low = _mm512_madd52lo_epu64(*low, x[0], y0);
	*high = _mm512_madd52hi_epu64(*high, x[0], y0);
	*low = _mm512_madd52lo_epu64(*low, x[1], y1);
	*high = _mm512_madd52hi_epu64(*high, x[1], y1);
}

/* What limb i (low, and high at weight 2^52) has above its own bits. */
#define CARRY(i, bits) \
	_mm512_add_epi64(_mm512_srli_epi64(low[i], bits), _mm512_slli_epi64(high[i], 52 - (bits)))

/* Section 2.5.1, one turn of the loop with block i of the queue: a = (a + n) * r mod p. */
LANES_INLINE void poly1305_block(struct poly1305_x8 *p, unsigned int i)
{
	const __m512i top = _mm512_set1_epi64(INT64_C(1) << 40); /* 2^128, in the third limb */
	const __mmask8 live = p->live[i];
	__m512i x[3], low[3], high[3], c;

	to_limbs(x, p->n[i][0], p->n[i][1]);
	x[2] = _mm512_add_epi64(_mm512_or_si512(x[2], top), p->a[2]);
	x[0] = _mm512_add_epi64(x[0], p->a[0]);
	x[1] = _mm512_add_epi64(x[1], p->a[1]);
	sum3(&low[0], &high[0], x, p->r[0], p->r20[2], p->r20[1]);
	sum3(&low[1], &high[1], x, p->r[1], p->r[0], p->r20[2]);
	sum3(&low[2], &high[2], x, p->r[2], p->r[1], p->r[0]);
	low[1] = _mm512_add_epi64(low[1], CARRY(0, 44));
	low[2] = _mm512_add_epi64(low[2], CARRY(1, 44));
	c = times5(CARRY(2, 42));
	low[0] = _mm512_add_epi64(_mm512_and_si512(low[0], MASK44), c);
	low[1] = _mm512_and_si512(low[1], MASK44);
	p->a[2] = _mm512_mask_and_epi64(p->a[2], live, low[2], MASK42);
	p->a[1] = _mm512_mask_add_epi64(p->a[1], live, low[1], _mm512_srli_epi64(low[0], 44));
	p->a[0] = _mm512_mask_and_epi64(p->a[0], live, low[0], MASK44);
}

/* Queue one block of those messages that are live. */
LANES_INLINE void poly1305_queue(struct poly1305_x8 *p, __m512i low, __m512i high, __mmask8 live)
{
	p->n[p->count][0] = low;
	p->n[p->count][1] = high;
	p->live[p->count++] = live;
}

/* All that waits in the queue. */
static inline void poly1305_drain(struct poly1305_x8 *p)
{
	for (unsigned int i = 0; i < p->count; i++)
		poly1305_block(p, i);
	p->count = 0;
}

/* Carry limb i of x into limb j. */
#define CARRY_ON(x, i, j, bits, mask)                                               \
	do {                                                                        \
		(x)[j] = _mm512_add_epi64((x)[j], _mm512_srli_epi64((x)[i], bits)); \
		(x)[i] = _mm512_and_si512((x)[i], mask);                            \
	} while (0)

/* a mod p, without a branch: a, or a - p where that is not negative. */
LANES_INLINE void poly1305_reduce(__m512i a[3])
{
	const __m512i top = _mm512_set1_epi64(INT64_C(1) << 42);
	__m512i b[3];
	__mmask8 over;

	CARRY_ON(a, 1, 2, 44, MASK44);
	a[0] = _mm512_add_epi64(a[0], times5(_mm512_srli_epi64(a[2], 42)));
	a[2] = _mm512_and_si512(a[2], MASK42);
	CARRY_ON(a, 0, 1, 44, MASK44);
	CARRY_ON(a, 1, 2, 44, MASK44);
	b[0] = _mm512_add_epi64(a[0], _mm512_set1_epi64(5)); /* a + 5 - 2^130 = a - p */
	b[1] = a[1];
	b[2] = a[2];
	CARRY_ON(b, 0, 1, 44, MASK44);
	CARRY_ON(b, 1, 2, 44, MASK44);
	over = _mm512_cmpge_epu64_mask(b[2], top);
	b[2] = _mm512_and_si512(b[2], MASK42);
	for (int i = 0; i < 3; i++)
		a[i] = _mm512_mask_mov_epi64(a[i], over, b[i]);
}

/* Section 2.5.1, the end: tag = a + s mod 2^128, in 64-bit halves. */
LANES_INLINE void poly1305_final(struct poly1305_x8 *p, __m512i tag[2])
{
	__m512i *a = p->a;
	__mmask8 carry;

	poly1305_drain(p);
	poly1305_reduce(a);
	tag[0] = _mm512_or_si512(a[0], _mm512_slli_epi64(a[1], 44));
	tag[1] = _mm512_or_si512(_mm512_srli_epi64(a[1], 20), _mm512_slli_epi64(a[2], 24));
	tag[0] = _mm512_add_epi64(tag[0], p->s[0]);
	carry = _mm512_cmplt_epu64_mask(tag[0], p->s[0]);
	tag[1] = _mm512_add_epi64(tag[1], p->s[1]);
	tag[1] = _mm512_mask_add_epi64(tag[1], carry, tag[1], _mm512_set1_epi64(1));
}

#endif
