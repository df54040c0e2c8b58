/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8) over groups of eight packets side by side; needs
 * AVX2, for which this file alone is compiled. A packet is a lane, and a group takes as long as
 * its longest packet, as in aead_chacha_avx512_dp.c. There are too few registers here to mix the
 * two algorithms by hand: they take turns.
 */
#include <omni_secret.h>

#include "aead_chacha_group.h"
#include "chacha20_x8.h"
#include "poly1305_x4.h"

#define LANES AEAD_CHACHA_LANES
#define HALF 4 /* lanes of Poly1305 */
#define CHACHA_BLOCK 64
#define POLY_BLOCK 16
#define ROW 32 /* bytes in a register */

/* A group; lanes that no packet has are packets of nothing. */
struct group {
	const struct omni_aead_op *op[LANES];
	uint8_t *tag[LANES];
	int64_t len[LANES], aad_len[LANES];
	uint32_t len_min, len_max, aad_len_max;
	struct poly1305_x4 poly[2];
	uint64_t s[LANES][2]; /* second half of the one-time key */
};

struct scratch {
	struct chacha20_x8 state;
	struct group group;
	__m256i key_stream[2][LANES]; /* of each packet the first 32 bytes, and those behind */
	struct omni_aead_op vacant;
	aead_tag nowhere;
	alignas(ROW) uint8_t tail[CHACHA_BLOCK];
};

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

LANES_INLINE __m256i load_row(const void *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

LANES_INLINE void store_row(void *p, __m256i x)
{
	_mm256_storeu_si256((__m256i *)p, x);
}

/* Up to LANES packets of list into the lanes. */
static void fill(struct group *g, struct scratch *s, struct omni_aead *aead,
		 const struct omni_aead_op *ops, const uint8_t *list, unsigned int n, bool opening)
{
	g->len_min = UINT32_MAX;
	g->len_max = g->aad_len_max = 0;
	for (unsigned int i = 0; i < LANES; i++) {
		const struct omni_aead_op *op = i < n ? &ops[list[i]] : &s->vacant;

		g->op[i] = op;
		g->tag[i] = i < n && opening ? aead->computed[list[i]] : op->tag;
		g->len[i] = op->len;
		g->aad_len[i] = op->aad_len;
		g->len_min = min_u32(g->len_min, op->len);
		g->len_max = max_u32(g->len_max, op->len);
		g->aad_len_max = max_u32(g->aad_len_max, op->aad_len);
	}
}

/* Section 2.3: the matrix of every lane. */
LANES_INLINE void init_state(struct chacha20_x8 *state, const struct group *g)
{
	__m256i key[LANES], nonce[LANES];

	for (int i = 0; i < LANES; i++) {
		key[i] = load_row(aead_chacha_key(g->op[i]->key));
		nonce[i] = _mm256_castsi128_si256(
			_mm_load_si128((const __m128i *)(const void *)g->op[i]->nonce));
	}
	chacha20_init(state, key, nonce);
}

/* Section 2.4.1: the next block of each packet's key stream, in rows. */
LANES_INLINE void next_key_stream(struct scratch *s)
{
	__m256i x[16];

	chacha20_block(x, &s->state);
	chacha20_next_block(&s->state);
	transpose_8x8(x);
	transpose_8x8(x + LANES);
	for (int i = 0; i < LANES; i++) {
		s->key_stream[0][i] = x[i];
		s->key_stream[1][i] = x[LANES + i];
	}
}

/* Section 2.6: the one-time keys are the first half of block 0. */
LANES_INLINE void poly1305_key_gen(struct group *g, const __m256i row[LANES])
{
	for (int i = 0; i < LANES; i++)
		_mm_storeu_si128((__m128i *)(void *)g->s[i], _mm256_extracti128_si256(row[i], 1));
	for (int h = 0; h < 2; h++) {
		__m256i x[HALF];

		for (int i = 0; i < HALF; i++)
			x[i] = row[h * HALF + i];
		transpose_4x4(x);
		poly1305_init(&g->poly[h], x[0], x[1]);
	}
}

/* Which of four lanes, of these lengths, have bytes at off. */
LANES_INLINE __m256i live_at(const int64_t len[HALF], uint32_t off)
{
	return _mm256_cmpgt_epi64(load_row(len), _mm256_set1_epi64x(off));
}

/* Hash 32 bytes of each lane, from off on of len; zeros stand where a lane has no more. */
LANES_INLINE void hash_rows(struct group *g, const __m256i row[LANES], const int64_t len[LANES],
			    uint32_t len_max, uint32_t off)
{
	__m256i x[LANES];

	for (int i = 0; i < LANES; i++)
		x[i] = row[i];
	transpose_4x4(x);
	transpose_4x4(x + HALF);
	for (uint32_t i = 0; i < ROW / POLY_BLOCK && off + i * POLY_BLOCK < len_max; i++)
		for (int h = 0; h < 2; h++) {
			const __m256i *half = x + h * HALF + 2 * i;

			poly1305_block(&g->poly[h], half[0], half[1],
				       live_at(len + h * HALF, off + i * POLY_BLOCK));
		}
}

/* Section 2.8: the additional data, padded. */
LANES_INLINE void hash_aad(struct group *g)
{
	for (uint32_t off = 0; off < g->aad_len_max; off += ROW) {
		__m256i row[LANES];

		for (int i = 0; i < LANES; i++) {
			const struct omni_aead_op *op = g->op[i];
			alignas(ROW) uint8_t padded[ROW] = {0};

			if (op->aad_len > off)
				memcpy(padded, op->aad + off, min_u32(op->aad_len - off, ROW));
			row[i] = load_row(padded);
		}
		hash_rows(g, row, g->aad_len, g->aad_len_max, off);
	}
}

/* Section 2.8: the block of the two lengths. */
LANES_INLINE void hash_lengths(struct group *g)
{
	for (int h = 0; h < 2; h++)
		poly1305_block(&g->poly[h], load_row(g->aad_len + h * HALF),
			       load_row(g->len + h * HALF), _mm256_set1_epi64x(-1));
}

/* Section 2.4, 64 bytes; the ciphertext takes the place of the key stream. */
LANES_INLINE void crypt_whole(const uint8_t *src, uint8_t *dst, __m256i *low, __m256i *high,
			      bool opening)
{
	__m256i in_low = load_row(src), in_high = load_row(src + ROW);
	__m256i out_low = _mm256_xor_si256(in_low, *low);
	__m256i out_high = _mm256_xor_si256(in_high, *high);

	store_row(dst, out_low);
	store_row(dst + ROW, out_high);
	*low = opening ? in_low : out_low;
	*high = opening ? in_high : out_high;
}

/* The same for the last len bytes of a packet: no byte beyond is read or written. */
static void crypt_tail(uint8_t tail[CHACHA_BLOCK], const struct omni_aead_op *op, uint32_t off,
		       uint32_t len, __m256i *low, __m256i *high, bool opening)
{
	memset(tail, 0, CHACHA_BLOCK);
	if (len == 0) {
		*low = *high = _mm256_setzero_si256();
		return;
	}
	memcpy(tail, op->src + off, len);
	crypt_whole(tail, tail, low, high, opening);
	memcpy(op->dst + off, tail, len);
	if (opening)
		return;
	memset(tail + len, 0, CHACHA_BLOCK - len);
	*low = load_row(tail);
	*high = load_row(tail + ROW);
}

/* One block of every lane that has it. */
LANES_INLINE void crypt_block(struct scratch *s, struct group *g, uint32_t off, bool opening)
{
	for (int i = 0; i < LANES; i++) {
		const struct omni_aead_op *op = g->op[i];
		__m256i *low = &s->key_stream[0][i], *high = &s->key_stream[1][i];

		if (op->len >= off + CHACHA_BLOCK)
			crypt_whole(op->src + off, op->dst + off, low, high, opening);
		else
			crypt_tail(s->tail, op, off, op->len > off ? op->len - off : 0, low, high,
				   opening);
	}
	hash_rows(g, s->key_stream[0], g->len, g->len_max, off);
	hash_rows(g, s->key_stream[1], g->len, g->len_max, off + ROW);
}

/* Section 2.5.1, the end: the sum of the hash and s is the tag. */
static void finish(struct group *g)
{
	for (int h = 0; h < 2; h++) {
		uint64_t low[HALF], high[HALF];
		__m256i x, y;

		poly1305_final(&g->poly[h], &x, &y);
		store_row(low, x);
		store_row(high, y);
		for (int i = 0; i < HALF; i++) {
			const uint64_t *s = g->s[h * HALF + i];
			uint64_t sum[2] = {low[i] + s[0], high[i] + s[1]};

			sum[1] += sum[0] < s[0];
			memcpy(g->tag[h * HALF + i], sum, sizeof(sum));
		}
	}
}

/* Section 2.8.1, chacha20_aead_encrypt, for each packet of the list. */
LANES_INLINE void run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n, bool opening)
{
	static const struct aead_chacha_key no_key;
	struct scratch s;
	struct group *g = &s.group;

	s.vacant = (struct omni_aead_op){.key = &no_key.head, .tag = s.nowhere};
	for (unsigned int at = 0; at < n; at += LANES) {
		fill(g, &s, aead, ops, list + at, min_u32(n - at, LANES), opening);
		init_state(&s.state, g);
		next_key_stream(&s);
		poly1305_key_gen(g, s.key_stream[0]);
		hash_aad(g);
		for (uint32_t off = 0; off < g->len_max; off += CHACHA_BLOCK) {
			next_key_stream(&s);
			crypt_block(&s, g, off, opening);
		}
		hash_lengths(g);
		finish(g);
	}
	omni_wipe(&s, sizeof(s));
}

void aead_chacha_avx2_seal(struct omni_aead *aead, const struct omni_aead_op *ops,
			   const uint8_t *list, unsigned int n)
{
	run(aead, ops, list, n, false);
}

void aead_chacha_avx2_open(struct omni_aead *aead, const struct omni_aead_op *ops,
			   const uint8_t *list, unsigned int n)
{
	run(aead, ops, list, n, true);
}
