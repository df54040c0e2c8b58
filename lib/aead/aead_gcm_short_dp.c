/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AES-256-GCM (NIST SP 800-38D) of short packets; needs AVX-512 F, BW and VL, VAES and
 * VPCLMULQDQ, for which this file alone is compiled.
 *
 * A short packet is bound by latency: 14 rounds, then a hash. Here one packet is about a hundred
 * instructions without a branch that its bytes or its neighbours' lengths decide, so that the CPU
 * has several packets under way at once. GHASH is one sum of products with powers of H, reduced
 * once.
 *
 * Field elements stand byte-reversed in registers, so bit 127 is the coefficient of x^0. The
 * product of two such numbers is one bit too far right; the powers of H are kept one to the left.
 */
#include <immintrin.h>

#include "aead_gcm_short.h"

#define BLOCK 16
#define VECTOR 64 /* bytes: four blocks */
#define ROUNDS 14
#define VECTORS_MAX (AEAD_GCM_SHORT_MAX / VECTOR)
#define FIRST_COUNT 2 /* of the payload's counter blocks; 1 is the tag's */

#define INLINE static inline __attribute__((always_inline))

static_assert(FIRST_COUNT + AEAD_GCM_SHORT_MAX / BLOCK < 256, "a count is one byte");
static_assert(AEAD_GCM_POWERS == AEAD_GCM_SHORT_MAX / BLOCK + AEAD_GCM_SHORT_AAD_MAX / BLOCK + 1,
	      "a power for each block of the longest packet, and the one of lengths");

/* The bytes of each block in the other order. */
INLINE __m512i reversed(__m512i x)
{
	const __m512i order = _mm512_broadcast_i32x4(
		_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

	return _mm512_shuffle_epi8(x, order);
}

/* The reduction polynomial, x^128 + x^7 + x^2 + x + 1, without x^128. */
INLINE __m128i polynomial(void)
{
	return _mm_set_epi64x((long long)0xc200000000000000, 1);
}

/* A product of 256 bits, modulo the polynomial: 64 bits from the right at a time. */
INLINE __m128i reduce(__m128i low, __m128i high)
{
	for (int i = 0; i < 2; i++)
		low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e),
				    _mm_clmulepi64_si128(low, polynomial(), 0x10));
	return _mm_xor_si128(low, high);
}

/* ---- Powers of H ---- */

/* One bit to the left, what falls out at the top folded back. */
INLINE __m128i one_left(__m128i x)
{
	uint64_t low = (uint64_t)_mm_cvtsi128_si64(x), high = (uint64_t)_mm_extract_epi64(x, 1);
	__m128i out = _mm_set_epi64x((int64_t)(high << 1 | low >> 63), (int64_t)(low << 1));
	__m128i all_or_none = _mm_set1_epi64x(-(int64_t)(high >> 63));

	return _mm_xor_si128(out, _mm_and_si128(all_or_none, polynomial()));
}

/* x times h, where h stands one bit to the left. */
INLINE __m128i multiply(__m128i x, __m128i h)
{
	__m128i low = _mm_clmulepi64_si128(x, h, 0x00), high = _mm_clmulepi64_si128(x, h, 0x11);
	__m128i middle =
		_mm_xor_si128(_mm_clmulepi64_si128(x, h, 0x01), _mm_clmulepi64_si128(x, h, 0x10));

	return reduce(_mm_xor_si128(low, _mm_slli_si128(middle, 8)),
		      _mm_xor_si128(high, _mm_srli_si128(middle, 8)));
}

INLINE __m128i round_key(const struct omni_aead_key *key, int i)
{
	return _mm_loadu_si128((const __m128i *)(const void *)(key->gcm.expanded_keys + i * BLOCK));
}

/* SP 800-38D section 6.4: H is the cipher of the block of zeros. */
void aead_gcm_short_init(struct omni_aead_key *key)
{
	__m128i h = round_key(key, 0), power;

	for (int i = 1; i < ROUNDS; i++)
		h = _mm_aesenc_si128(h, round_key(key, i));
	h = _mm_aesenclast_si128(h, round_key(key, ROUNDS));
	power = _mm512_castsi512_si128(reversed(_mm512_castsi128_si512(h)));
	h = one_left(power);
	for (int i = AEAD_GCM_POWERS - 1; i >= 0; i--) {
		_mm_storeu_si128((__m128i *)(void *)key->power[i], one_left(power));
		power = multiply(power, h);
	}
}

/* Four powers, the first of which is H^n; what follows H^1 is zero. */
INLINE const uint8_t *powers_from(const struct omni_aead_key *key, uint32_t n)
{
	return key->power[AEAD_GCM_POWERS - n];
}

/* ---- GHASH, section 6.4, as one sum ---- */

struct sum {
	__m512i low, middle, high;
};

/* Add the products of four blocks and four powers. */
INLINE void add(struct sum *s, __m512i x, __m512i h)
{
	s->low = _mm512_xor_si512(s->low, _mm512_clmulepi64_epi128(x, h, 0x00));
	s->high = _mm512_xor_si512(s->high, _mm512_clmulepi64_epi128(x, h, 0x11));
	s->middle = _mm512_ternarylogic_epi64(s->middle, _mm512_clmulepi64_epi128(x, h, 0x01),
					      _mm512_clmulepi64_epi128(x, h, 0x10), 0x96);
}

INLINE __m128i xor_of_quarters(__m512i x)
{
	__m256i y = _mm256_xor_si256(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

INLINE __m128i total(const struct sum *s)
{
	__m512i low = _mm512_xor_si512(s->low, _mm512_bslli_epi128(s->middle, 8));
	__m512i high = _mm512_xor_si512(s->high, _mm512_bsrli_epi128(s->middle, 8));

	return reduce(xor_of_quarters(low), xor_of_quarters(high));
}

/*
 * Section 7.1, the additional data A and the lengths of it and of the ciphertext C, which is
 * blocks long: in one vector, two blocks of A, the block of lengths, and nothing.
 */
INLINE void add_frame(struct sum *s, const struct omni_aead_op *op, uint32_t blocks)
{
	uint32_t aad_blocks = (op->aad_len + BLOCK - 1) / BLOCK;
	__mmask64 mask = _bzhi_u64(UINT64_MAX, op->aad_len);
	__m512i a = reversed(_mm512_maskz_loadu_epi8(mask, op->aad));
	__m128i bits = _mm_set_epi64x((long long)op->aad_len * 8, (long long)op->len * 8);
	__m512i h = _mm512_castsi256_si512(_mm256_loadu_si256(
		(const __m256i *)(const void *)powers_from(op->key, aad_blocks + blocks + 1)));
	__m128i h1 = _mm_loadu_si128((const __m128i *)(const void *)powers_from(op->key, 1));

	add(s, _mm512_inserti32x4(a, bits, 2), _mm512_inserti32x4(h, h1, 2));
}

/* ---- One packet ---- */

/* Section 6.5: the key stream for n vectors of payload, and the block that masks the tag. */
INLINE __m128i key_stream(__m512i *x, const struct omni_aead_op *op, const int n)
{
	const __m512i count =
		_mm512_set_epi32((FIRST_COUNT + 3) << 24, 0, 0, 0, (FIRST_COUNT + 2) << 24, 0, 0, 0,
				 (FIRST_COUNT + 1) << 24, 0, 0, 0, FIRST_COUNT << 24, 0, 0, 0);
	const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi32(4 << 24, 0, 0, 0));
	__m128i iv = _mm_maskz_loadu_epi32(0x7, op->nonce);
	__m512i key = _mm512_broadcast_i32x4(round_key(op->key, 0));
	__m512i next = _mm512_or_si512(_mm512_broadcast_i32x4(iv), count);
	__m128i y0 = _mm_or_si128(iv, _mm_set_epi32(1 << 24, 0, 0, 0));

	y0 = _mm_xor_si128(y0, _mm512_castsi512_si128(key));
	for (int v = 0; v < n; v++) {
		x[v] = _mm512_xor_si512(next, key);
		next = _mm512_add_epi32(next, four);
	}
#pragma GCC unroll 13
	for (int i = 1; i < ROUNDS; i++) {
		key = _mm512_broadcast_i32x4(round_key(op->key, i));
		y0 = _mm_aesenc_si128(y0, _mm512_castsi512_si128(key));
		for (int v = 0; v < n; v++)
			x[v] = _mm512_aesenc_epi128(x[v], key);
	}
	key = _mm512_broadcast_i32x4(round_key(op->key, ROUNDS));
	for (int v = 0; v < n; v++)
		x[v] = _mm512_aesenclast_epi128(x[v], key);
	return _mm_aesenclast_si128(y0, _mm512_castsi512_si128(key));
}

/* Encrypt or decrypt a vector of which mask is there; returned is the ciphertext. */
INLINE __m512i crypt(const struct omni_aead_op *op, uint32_t off, __mmask64 mask, __m512i stream,
		     bool opening)
{
	__m512i in = _mm512_maskz_loadu_epi8(mask, op->src + off);
	__m512i out = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(in, stream));

	_mm512_mask_storeu_epi8(op->dst + off, mask, out);
	return opening ? in : out;
}

/* Sections 7.1 and 7.2 for a packet of n vectors, the last of which may be short. */
INLINE void packet(const struct omni_aead_op *op, uint8_t *tag, const int n, bool opening)
{
	uint32_t blocks = (op->len + BLOCK - 1) / BLOCK;
	struct sum s = {0};
	__m512i x[VECTORS_MAX];
	__m128i y0 = key_stream(x, op, n), hash;

	add_frame(&s, op, blocks);
	for (int v = 0; v < n; v++) {
		uint32_t off = (uint32_t)v * VECTOR;
		__mmask64 mask = v == n - 1 ? _bzhi_u64(UINT64_MAX, op->len - off) : UINT64_MAX;
		__m512i c = crypt(op, off, mask, x[v], opening);

		add(&s, reversed(c),
		    _mm512_loadu_si512(
			    powers_from(op->key, blocks + 1 - (uint32_t)v * (VECTOR / BLOCK))));
	}
	hash = _mm512_castsi512_si128(reversed(_mm512_castsi128_si512(total(&s))));
	_mm_storeu_si128((__m128i *)(void *)tag, _mm_xor_si128(hash, y0));
}

INLINE void one(const struct omni_aead_op *op, uint8_t *tag, bool opening)
{
	assert(op->len <= AEAD_GCM_SHORT_MAX && op->aad_len <= AEAD_GCM_SHORT_AAD_MAX);
	switch ((op->len + VECTOR - 1) / VECTOR) {
	case 0:
		packet(op, tag, 0, opening);
		break;
	case 1:
		packet(op, tag, 1, opening);
		break;
	case 2:
		packet(op, tag, 2, opening);
		break;
	case 3:
		packet(op, tag, 3, opening);
		break;
	default:
		packet(op, tag, 4, opening);
		break;
	}
}

static_assert(VECTORS_MAX == 4, "a case for each number of vectors");

void aead_gcm_short_seal(struct omni_aead *aead, const struct omni_aead_op *ops,
			 const uint8_t *list, unsigned int n)
{
	(void)aead;
	for (unsigned int i = 0; i < n; i++)
		one(&ops[list[i]], ops[list[i]].tag, false);
}

void aead_gcm_short_open(struct omni_aead *aead, const struct omni_aead_op *ops,
			 const uint8_t *list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		one(&ops[list[i]], aead->computed[list[i]], true);
}
