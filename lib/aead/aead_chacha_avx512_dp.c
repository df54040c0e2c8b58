/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AEAD_CHACHA20_POLY1305 (RFC 8439 section 2.8) over groups of eight packets side by side; needs
 * AVX-512 F, BW, VL and IFMA. This file alone is compiled with them: nothing in it may run, and
 * nothing of it may be linked elsewhere, before the CPU was asked.
 *
 * A packet is a lane. Lanes of one group may have any keys and lengths; the group takes as long
 * as its longest packet. A group's last blocks wait in its queue, and are multiplied in while
 * the next group's ChaCha20 runs.
 */
#include <omni_secret.h>

#include "aead_chacha_group.h"
#include "chacha20_x16.h"

#define LANES AEAD_CHACHA_LANES
#define CHACHA_BLOCK 64
#define POLY_BLOCK 16

static_assert(POLY1305_QUEUE >= 2 * CHACHA_BLOCK / POLY_BLOCK + 1,
	      "what one turn of ChaCha20 gives, and the block of the lengths");

/* A group; lanes that no packet has are packets of nothing. */
struct group {
	const struct omni_aead_op *op[LANES];
	uint8_t *tag[LANES];
	__m512i len, aad_len;
	uint32_t len_min, len_max, aad_len_max;
	struct poly1305_x8 poly;
};

struct scratch {
	struct chacha20_x16 state;
	__m512i key_stream[16];
	struct group group[2]; /* the one at work, and the one before it */
	struct omni_aead_op vacant;
	aead_tag nowhere;
};

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* The mask of the bytes from off on of a packet of len, at most 64. */
LANES_INLINE __mmask64 bytes_at(uint32_t len, uint32_t off)
{
	return len > off ? _bzhi_u64(UINT64_MAX, min_u32(len - off, CHACHA_BLOCK)) : 0;
}

/* Bytes from off on of each lane's buffer; zeros where it has no more. No byte beyond is read. */
LANES_INLINE __m512i load_at(const uint8_t *p, uint32_t len, uint32_t off)
{
	if (len <= off)
		return _mm512_setzero_si512();
	return _mm512_maskz_loadu_epi8(bytes_at(len, off), p + off);
}

/* The lengths, for the masks. */
LANES_INLINE void measure(struct group *g)
{
	uint64_t len[LANES], aad_len[LANES];

	g->len_min = UINT32_MAX;
	g->len_max = g->aad_len_max = 0;
	for (int i = 0; i < LANES; i++) {
		len[i] = g->op[i]->len;
		aad_len[i] = g->op[i]->aad_len;
		g->len_min = min_u32(g->len_min, g->op[i]->len);
		g->len_max = max_u32(g->len_max, g->op[i]->len);
		g->aad_len_max = max_u32(g->aad_len_max, g->op[i]->aad_len);
	}
	g->len = _mm512_loadu_si512(len);
	g->aad_len = _mm512_loadu_si512(aad_len);
}

/* Up to LANES packets of list into the lanes. */
LANES_INLINE void fill(struct group *g, struct scratch *s, struct omni_aead *aead,
		       const struct omni_aead_op *ops, const uint8_t *list, unsigned int n,
		       bool opening)
{
	for (unsigned int i = 0; i < LANES; i++) {
		g->op[i] = i < n ? &ops[list[i]] : &s->vacant;
		g->tag[i] = i < n && opening ? aead->computed[list[i]] : g->op[i]->tag;
	}
	measure(g);
}

/* Section 2.3: the matrix of every lane. */
LANES_INLINE void init_state(struct chacha20_x16 *state, const struct group *g)
{
	__m512i row[LANES];

	for (int i = 0; i < LANES; i++) {
		const struct omni_aead_op *op = g->op[i];
		__m256i key =
			_mm256_load_si256((const __m256i *)(const void *)aead_chacha_key(op->key));
		__m128i nonce = _mm_load_si128((const __m128i *)(const void *)op->nonce);

		row[i] = _mm512_inserti32x4(_mm512_castsi256_si512(key), nonce, 2);
	}
	chacha20_init(state, row);
}

/* Words i and i + 1 of lanes 0 to 7 as one little-endian number. */
LANES_INLINE __m512i pair(const __m512i x[16], int i)
{
	__m512i low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(x[i]));
	__m512i high = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(x[i + 1]));

	return _mm512_or_si512(low, _mm512_slli_epi64(high, 32));
}

/* Section 2.6: the one-time keys are the first half of block 0. */
LANES_INLINE void poly1305_key_gen(struct poly1305_x8 *poly, const __m512i block[16])
{
	const __m512i r[2] = {pair(block, 0), pair(block, 2)};
	const __m512i s[2] = {pair(block, 4), pair(block, 6)};

	poly1305_init(poly, r, s);
}

/* Queue 64 bytes of each lane, those from off on of len; zeros stand where a lane has no more. */
LANES_INLINE void queue_bytes(struct poly1305_x8 *poly, __m512i row[LANES], __m512i len,
			      uint32_t len_max, uint32_t off)
{
	transpose_8x8(row);
	for (uint32_t i = 0; i < CHACHA_BLOCK / POLY_BLOCK; i++) {
		uint32_t at = off + i * POLY_BLOCK;

		if (at >= len_max)
			break;
		poly1305_queue(poly, row[2 * i], row[2 * i + 1],
			       _mm512_cmpgt_epu64_mask(len, _mm512_set1_epi64(at)));
	}
}

/* Section 2.8: the additional data, padded. */
LANES_INLINE void queue_aad(struct group *g)
{
	__m512i row[LANES];

	for (uint32_t off = 0; off < g->aad_len_max; off += CHACHA_BLOCK) {
		if (off > 0)
			poly1305_drain(&g->poly);
		for (int i = 0; i < LANES; i++)
			row[i] = load_at(g->op[i]->aad, g->op[i]->aad_len, off);
		queue_bytes(&g->poly, row, g->aad_len, g->aad_len_max, off);
	}
}

/* Section 2.8: the block of the two lengths. */
LANES_INLINE void queue_lengths(struct group *g)
{
	poly1305_queue(&g->poly, g->aad_len, g->len, 0xff);
}

/* Section 2.4, 64 bytes of a packet that has them; returned is the ciphertext. */
LANES_INLINE __m512i crypt_whole(const struct omni_aead_op *op, uint32_t off, __m512i key_stream,
				 bool opening)
{
	__m512i in = _mm512_loadu_si512(op->src + off);
	__m512i out = _mm512_xor_si512(in, key_stream);

	_mm512_storeu_si512(op->dst + off, out);
	return opening ? in : out;
}

/* The same where the packet ends, or has ended: no byte beyond is read or written. */
LANES_INLINE __m512i crypt_tail(const struct omni_aead_op *op, uint32_t off, __m512i key_stream,
				bool opening)
{
	__mmask64 mask = bytes_at(op->len, off);
	__m512i in, out;

	if (mask == 0)
		return _mm512_setzero_si512();
	in = _mm512_maskz_loadu_epi8(mask, op->src + off);
	out = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(in, key_stream));
	_mm512_mask_storeu_epi8(op->dst + off, mask, out);
	return opening ? in : out;
}

/* One block of every lane that has it, and its ciphertext into the queue. */
LANES_INLINE void crypt_block(struct group *g, uint32_t off, const __m512i key_stream[LANES],
			      bool opening)
{
	__m512i row[LANES];

	if (g->len_min >= off + CHACHA_BLOCK)
		for (int i = 0; i < LANES; i++)
			row[i] = crypt_whole(g->op[i], off, key_stream[i], opening);
	else
		for (int i = 0; i < LANES; i++)
			row[i] = crypt_tail(g->op[i], off, key_stream[i], opening);
	queue_bytes(&g->poly, row, g->len, g->len_max, off);
}

/*
 * Section 2.4 for the group. In s->key_stream is what the first turn left: block 1 of each packet
 * in rows 8 to 15. Every further turn gives the next two.
 */
LANES_INLINE void crypt(struct scratch *s, struct group *g, bool opening)
{
	__m512i *word12 = &s->state.word[12];

	if (g->len_max == 0)
		return;
	transpose_16x16(s->key_stream);
	crypt_block(g, 0, s->key_stream + LANES, opening);
	for (uint32_t off = CHACHA_BLOCK; off < g->len_max; off += 2 * CHACHA_BLOCK) {
		*word12 = _mm512_add_epi32(*word12, _mm512_set1_epi32(2));
		chacha20_block(s->key_stream, &s->state, &g->poly);
		transpose_16x16(s->key_stream);
		crypt_block(g, off, s->key_stream, opening);
		if (off + CHACHA_BLOCK < g->len_max)
			crypt_block(g, off + CHACHA_BLOCK, s->key_stream + LANES, opening);
	}
}

/* The tags of a group. */
static void finish(struct group *g)
{
	uint64_t low[LANES] = {0}, high[LANES] = {0};
	__m512i tag[2];

	poly1305_final(&g->poly, tag);
	_mm512_storeu_si512(low, tag[0]);
	_mm512_storeu_si512(high, tag[1]);
	for (int i = 0; i < LANES; i++) {
		memcpy(g->tag[i], &low[i], sizeof(low[i]));
		memcpy(g->tag[i] + sizeof(low[i]), &high[i], sizeof(high[i]));
	}
}

/* Section 2.8.1, chacha20_aead_encrypt, for each packet of the list. */
LANES_INLINE void run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n, bool opening)
{
	static const struct aead_chacha_key no_key;
	struct scratch s;
	struct group *g = &s.group[0], *before = &s.group[1];

	if (n == 0)
		return;
	s.vacant = (struct omni_aead_op){.key = &no_key.head, .tag = s.nowhere};
	before->poly.count = 0;
	for (unsigned int at = 0; at < n; at += LANES) {
		fill(g, &s, aead, ops, list + at, min_u32(n - at, LANES), opening);
		init_state(&s.state, g);
		chacha20_block(s.key_stream, &s.state, &before->poly);
		if (at > 0)
			finish(before);
		poly1305_key_gen(&g->poly, s.key_stream);
		queue_aad(g);
		crypt(&s, g, opening);
		queue_lengths(g);
		before = g;
		g = &s.group[g == &s.group[0]];
	}
	finish(before);
	omni_wipe(&s, sizeof(s));
}

void aead_chacha_avx512_seal(struct omni_aead *aead, const struct omni_aead_op *ops,
			     const uint8_t *list, unsigned int n)
{
	run(aead, ops, list, n, false);
}

void aead_chacha_avx512_open(struct omni_aead *aead, const struct omni_aead_op *ops,
			     const uint8_t *list, unsigned int n)
{
	run(aead, ops, list, n, true);
}
