/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AES-256-GCM (NIST SP 800-38D); needs AVX-512 F, BW and VL, VAES and VPCLMULQDQ, for which this
 * file alone is compiled.
 *
 * A packet is vectors of four blocks, the last of which may be short. Up to four vectors are
 * bound by latency: 14 rounds, then a hash. They are about a hundred instructions without a
 * branch that their bytes decide, so that the CPU has several packets under way at once. More
 * vectors go in chunks of eight, or four: first of all one to four that leave a multiple of four,
 * last of all four, from whose end the powers of H count. While one chunk is encrypted, the one
 * before is hashed. And while one packet is worked on, the lines of another are fetched.
 */
#include "aead_gcm_vaes.h"
#include "ghash_vaes.h"

#define BLOCK 16
#define VECTOR 64 /* bytes */
#define VECTOR_BLOCKS (VECTOR / BLOCK)
#define FOUR 4	      /* vectors that are hashed as one sum */
#define CHUNK_MAX 8   /* vectors */
#define AAD_BLOCKS 2  /* at most that many are hashed with the text, others before */
#define FIRST_COUNT 2 /* of the payload's counter blocks; 1 is the tag's */
#define AHEAD 2	      /* packets, from the one at work to the one that is fetched */
#define KEY_AHEAD 4   /* the same, for its key: it may come from memory */

#define INLINE GHASH_INLINE

static_assert(AEAD_GCM_POWERS == FOUR * VECTOR_BLOCKS + AAD_BLOCKS + 1,
	      "a power for each block of a packet of four vectors, and the one of lengths");
static_assert(AEAD_GCM_POWERS_PAD >= VECTOR_BLOCKS - 2, "behind a block's and the lengths'");

INLINE __m128i load_block(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* ---- The key ---- */

INLINE __m128i round_key(const struct aead_gcm_key *key, int i)
{
	return _mm_load_si128((const __m128i *)(const void *)key->round[i]);
}

INLINE __m512i round_keys(const struct aead_gcm_key *key, int i)
{
	return _mm512_broadcast_i32x4(round_key(key, i));
}

/* SP 800-38D section 6.4: H is the cipher of the block of zeros. */
void aead_gcm_vaes_init(struct aead_gcm_key *key)
{
	__m128i h = round_key(key, 0), power;

	for (int i = 1; i < AEAD_AES_ROUNDS; i++)
		h = _mm_aesenc_si128(h, round_key(key, i));
	h = _mm_aesenclast_si128(h, round_key(key, AEAD_AES_ROUNDS));
	power = _mm512_castsi512_si128(reversed(_mm512_castsi128_si512(h)));
	h = ghash_one_left(power);
	for (int i = AEAD_GCM_POWERS - 1; i >= 0; i--) {
		_mm_storeu_si128((__m128i *)(void *)key->power[i], ghash_one_left(power));
		power = ghash_multiply(power, h);
	}
}

/* H^n, and behind it the lower powers. */
INLINE const uint8_t *power(const struct aead_gcm_key *key, uint32_t n)
{
	return key->power[AEAD_GCM_POWERS - n];
}

INLINE __m512i power_four_times(const struct aead_gcm_key *key, uint32_t n)
{
	return _mm512_broadcast_i32x4(load_block(power(key, n)));
}

/* ---- Additional data and lengths, section 7.1 ---- */

/* All of the additional data but its last blocks, at most two, hashed. */
static __attribute__((noinline)) __m128i hash_long_aad(const struct omni_aead_op *op)
{
	__m128i h = load_block(power(aead_gcm_key(op->key), 1)), y = _mm_setzero_si128();

	for (uint32_t at = 0; op->aad_len - at > AAD_BLOCKS * BLOCK; at += BLOCK) {
		__m512i a = reversed(_mm512_zextsi128_si512(load_block(op->aad + at)));

		y = ghash_multiply(_mm_xor_si128(y, _mm512_castsi512_si128(a)), h);
	}
	return y;
}

/* The additional data as its last one or two blocks, or none; what comes before is in the first. */
INLINE __m512i aad_blocks(const struct omni_aead_op *op, uint32_t *blocks)
{
	uint32_t at = 0, left = op->aad_len;
	__m512i before = _mm512_setzero_si512();

	if (__builtin_expect(left > AAD_BLOCKS * BLOCK, 0)) {
		at = (left - 1) / BLOCK * BLOCK - BLOCK;
		left -= at;
		before = _mm512_zextsi128_si512(hash_long_aad(op));
	}
	*blocks = (left + BLOCK - 1) / BLOCK;
	return _mm512_xor_si512(before, reversed(_mm512_maskz_loadu_epi8(
						_bzhi_u64(UINT64_MAX, left), op->aad + at)));
}

/* The block of the two lengths in bits. */
INLINE __m128i lengths(const struct omni_aead_op *op)
{
	int64_t a = op->aad_len, c = op->len;

	return _mm_set_epi64x(a * 8, c * 8);
}

/* ---- GHASH of vectors, four at a time, section 6.4 ---- */

/* Each quarter of the vectors is hashed by itself, as every fourth block. */
struct ghash {
	struct ghash_sum sum;
	__m512i before; /* the hash of all before, for the first one of the next four vectors */
};

#define GHASH_TURNS 9 /* for four vectors */

/* The sum of products: two vectors in four turns. */
INLINE void ghash_products(struct ghash_sum *s, const __m512i c[2], const struct aead_gcm_key *key,
			   uint32_t n, int turn)
{
	__m512i h0 = power_four_times(key, n), h1 = power_four_times(key, n - VECTOR_BLOCKS);

	switch (turn) {
	case 0:
		ghash_add_two_low(&s->low, c[0], h0, c[1], h1);
		break;
	case 1:
		ghash_add_middle(&s->middle, c[0], h0);
		break;
	case 2:
		ghash_add_two_high(&s->high, c[0], h0, c[1], h1);
		break;
	default:
		ghash_add_middle(&s->middle, c[1], h1);
		break;
	}
}

/* One of the turns that hash four vectors; those that need the hash of all before come late. */
INLINE void ghash_turn(struct ghash *g, __m512i c[FOUR], const struct aead_gcm_key *key, int turn)
{
	const int half = FOUR / 2;

	if (turn == GHASH_TURNS - 1) {
		g->before = ghash_reduce(&g->sum);
		g->sum = (struct ghash_sum){0};
		return;
	}
	if (turn == FOUR)
		c[0] = _mm512_xor_si512(c[0], g->before);
	if (turn < FOUR)
		ghash_products(&g->sum, c + half, key, (uint32_t)half * VECTOR_BLOCKS, turn);
	else
		ghash_products(&g->sum, c, key, FOUR * VECTOR_BLOCKS, turn - FOUR);
}

/* ---- Counter mode, section 6.5 ---- */

/* The first four counter blocks of the payload. */
INLINE __m512i first_counts(const struct omni_aead_op *op)
{
	const __m512i first =
		_mm512_set_epi32((FIRST_COUNT + 3) << 24, 0, 0, 0, (FIRST_COUNT + 2) << 24, 0, 0, 0,
				 (FIRST_COUNT + 1) << 24, 0, 0, 0, FIRST_COUNT << 24, 0, 0, 0);
	__m128i iv = _mm_maskz_mov_epi32(0x7, load_block(op->nonce));

	return _mm512_or_si512(_mm512_broadcast_i32x4(iv), first);
}

/* Section 6.2, inc32, by four; where no more than the last byte changes it is one addition. */
INLINE __m512i next_counts(__m512i counts, bool carries)
{
	const __m512i big = _mm512_broadcast_i32x4(_mm_set_epi32(VECTOR_BLOCKS << 24, 0, 0, 0));
	const __m512i little = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, VECTOR_BLOCKS));

	if (!carries)
		return _mm512_add_epi32(counts, big);
	return reversed(_mm512_add_epi32(reversed(counts), little));
}

/* n vectors of counter blocks, ready for the first round; counts are those of the next vector. */
INLINE void start_rounds(__m512i *x, __m512i *counts, const struct aead_gcm_key *key, const int n,
			 bool carries)
{
	for (int v = 0; v < n; v++) {
		x[v] = _mm512_xor_si512(*counts, round_keys(key, 0));
		*counts = next_counts(*counts, carries);
	}
}

/* Round i, from 1 on. */
INLINE __m512i aes_round(__m512i x, const struct aead_gcm_key *key, int i)
{
	if (i < AEAD_AES_ROUNDS)
		return _mm512_aesenc_epi128(x, round_keys(key, i));
	return _mm512_aesenclast_epi128(x, round_keys(key, i));
}

/* The key stream for a packet's first n vectors, and the block that masks the tag. */
INLINE __m128i first_key_stream(__m512i *x, __m512i *counts, const struct omni_aead_op *op,
				const int n)
{
	const struct aead_gcm_key *key = aead_gcm_key(op->key);
	__m128i y0 = _mm_mask_blend_epi32(0x8, load_block(op->nonce), _mm_set1_epi32(1 << 24));

	y0 = _mm_xor_si128(y0, round_key(key, 0));
	start_rounds(x, counts, key, n, false);
#pragma GCC unroll 14
	for (int i = 1; i <= AEAD_AES_ROUNDS; i++) {
		if (i < AEAD_AES_ROUNDS)
			y0 = _mm_aesenc_si128(y0, round_key(key, i));
		for (int v = 0; v < n; v++)
			x[v] = aes_round(x[v], key, i);
	}
	return _mm_aesenclast_si128(y0, round_key(key, AEAD_AES_ROUNDS));
}

/* How many of all turns are due before round i, from 0 on. */
INLINE int share(int turns, int i)
{
	return turns * i / AEAD_AES_ROUNDS;
}

/* The key stream for n vectors from off on, and between its rounds the hash of the m in c. */
INLINE void key_stream_and_hash(__m512i *x, __m512i *counts, uint32_t off, const int n,
				struct ghash *g, __m512i *c, const int m,
				const struct aead_gcm_key *key)
{
	const int turns = GHASH_TURNS * m / FOUR;
	uint8_t last_byte = (uint8_t)(FIRST_COUNT + off / BLOCK);

	if (last_byte + (n + 1) * VECTOR_BLOCKS <= UINT8_MAX + 1)
		start_rounds(x, counts, key, n, false);
	else
		start_rounds(x, counts, key, n, true);
#pragma GCC unroll 14
	for (int i = 0; i < AEAD_AES_ROUNDS; i++) {
		for (int v = 0; v < n; v++)
			x[v] = aes_round(x[v], key, i + 1);
		for (int t = share(turns, i); t < share(turns, i + 1); t++)
			ghash_turn(g, c + t / GHASH_TURNS * FOUR, key, t % GHASH_TURNS);
	}
}

/* ---- Payload ---- */

/* A whole vector encrypted or decrypted; returned is the ciphertext, for the hash. */
INLINE __m512i crypt_whole(const struct omni_aead_op *op, uint32_t off, __m512i stream,
			   bool opening)
{
	__m512i in = _mm512_loadu_si512(op->src + off);
	__m512i out = _mm512_xor_si512(in, stream);

	_mm512_storeu_si512(op->dst + off, out);
	return reversed(opening ? in : out);
}

/* The last vector of a packet: no byte beyond it is read or written, zeros are hashed. */
INLINE __m512i crypt_last(const struct omni_aead_op *op, uint32_t off, __m512i stream, bool opening)
{
	__mmask64 mask = _bzhi_u64(UINT64_MAX, op->len - off);
	__m512i in = _mm512_maskz_loadu_epi8(mask, op->src + off);
	__m512i out = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(in, stream));

	_mm512_mask_storeu_epi8(op->dst + off, mask, out);
	return reversed(opening ? in : out);
}

/* n vectors from off on, the last one of the packet among them or not. */
INLINE void crypt(__m512i *c, const struct omni_aead_op *op, const uint8_t *ahead, uint32_t off,
		  const __m512i *stream, const int n, bool last, bool opening)
{
	for (int v = 0; v < n; v++) {
		uint32_t at = off + (uint32_t)v * VECTOR;

		__builtin_prefetch(ahead + at); /* even beyond its end: a branch costs more */
		if (last && v == n - 1)
			c[v] = crypt_last(op, at, stream[v], opening);
		else
			c[v] = crypt_whole(op, at, stream[v], opening);
	}
}

/* ---- One packet: sections 7.1 and 7.2 ---- */

/* The tag, when the last n vectors, of blocks, have been added to the hash. */
INLINE void finish(const struct omni_aead_op *op, uint8_t *tag, struct ghash_sum *s,
		   const __m512i *c, const int n, uint32_t blocks, __m128i y0)
{
	const struct aead_gcm_key *key = aead_gcm_key(op->key);
	__m128i hash;

	for (int v = 0; v < n; v++)
		ghash_add(s, c[v],
			  _mm512_loadu_si512(power(key, blocks + 1 - (uint32_t)v * VECTOR_BLOCKS)));
	hash = ghash_xor_of_four(ghash_reduce(s));
	hash = _mm512_castsi512_si128(reversed(_mm512_castsi128_si512(hash)));
	_mm_storeu_si128((__m128i *)(void *)tag, _mm_xor_si128(hash, y0));
}

/* A packet of n vectors, at most four. */
INLINE void short_packet(const struct omni_aead_op *op, const uint8_t *ahead, uint8_t *tag,
			 const int n, bool opening)
{
	const struct aead_gcm_key *key = aead_gcm_key(op->key);
	uint32_t blocks = (op->len + BLOCK - 1) / BLOCK, a_blocks;
	__m512i counts = first_counts(op), x[FOUR], c[FOUR], a = aad_blocks(op, &a_blocks), h;
	__m128i y0 = first_key_stream(x, &counts, op, n);
	struct ghash_sum s = {0};

	h = _mm512_castsi256_si512(_mm256_loadu_si256(
		(const __m256i *)(const void *)power(key, a_blocks + blocks + 1)));
	ghash_add(&s, _mm512_inserti32x4(a, lengths(op), 2),
		  _mm512_inserti32x4(h, load_block(power(key, 1)), 2));
	crypt(c, op, ahead, 0, x, n, true, opening);
	finish(op, tag, &s, c, n, blocks, y0);
}

/* The first vectors of a longer one, as the last n of c: those that are not there are zeros. */
INLINE __m128i first_vectors(__m512i c[FOUR], __m512i *counts, const struct omni_aead_op *op,
			     const uint8_t *ahead, const int n, bool opening)
{
	__m512i x[FOUR];
	__m128i y0 = first_key_stream(x, counts, op, n);

	for (int v = 0; v < FOUR - n; v++)
		c[v] = _mm512_setzero_si512();
	crypt(c + FOUR - n, op, ahead, 0, x, n, false, opening);
	return y0;
}

INLINE __m128i first_of(uint32_t n, __m512i c[FOUR], __m512i *counts, const struct omni_aead_op *op,
			const uint8_t *ahead, bool opening)
{
	switch (n) {
	case 1:
		return first_vectors(c, counts, op, ahead, 1, opening);
	case 2:
		return first_vectors(c, counts, op, ahead, 2, opening);
	case 3:
		return first_vectors(c, counts, op, ahead, 3, opening);
	default:
		return first_vectors(c, counts, op, ahead, FOUR, opening);
	}
}

/* A packet of more than four vectors. */
INLINE void long_packet(const struct omni_aead_op *op, const uint8_t *ahead, uint8_t *tag,
			bool opening)
{
	const struct aead_gcm_key *key = aead_gcm_key(op->key);
	uint32_t vectors = (op->len - 1) / VECTOR + 1, first = (vectors - 1) % FOUR + 1, a_blocks;
	uint32_t off = first * VECTOR, last = (vectors - FOUR) * VECTOR;
	__m512i counts = first_counts(op), x[CHUNK_MAX], c[CHUNK_MAX];
	__m512i a = aad_blocks(op, &a_blocks);
	struct ghash g = {0};
	__m128i y0;

	ghash_add(&g.sum, a, power_four_times(key, first * VECTOR_BLOCKS + a_blocks));
	y0 = first_of(first, c, &counts, op, ahead, opening);
	if ((last - off) / VECTOR % CHUNK_MAX != 0) {
		key_stream_and_hash(x, &counts, off, FOUR, &g, c, FOUR, key);
		crypt(c, op, ahead, off, x, FOUR, false, opening);
		off += FOUR * VECTOR;
	}
	if (off < last) {
		key_stream_and_hash(x, &counts, off, CHUNK_MAX, &g, c, FOUR, key);
		crypt(c, op, ahead, off, x, CHUNK_MAX, false, opening);
		for (off += CHUNK_MAX * VECTOR; off < last; off += CHUNK_MAX * VECTOR) {
			key_stream_and_hash(x, &counts, off, CHUNK_MAX, &g, c, CHUNK_MAX, key);
			crypt(c, op, ahead, off, x, CHUNK_MAX, false, opening);
		}
		key_stream_and_hash(x, &counts, off, FOUR, &g, c, CHUNK_MAX, key);
	} else {
		key_stream_and_hash(x, &counts, off, FOUR, &g, c, FOUR, key);
	}
	crypt(c, op, ahead, off, x, FOUR, true, opening);
	c[0] = _mm512_xor_si512(c[0], g.before);
	ghash_add(&g.sum, _mm512_zextsi128_si512(lengths(op)),
		  _mm512_zextsi128_si512(load_block(power(key, 1))));
	finish(op, tag, &g.sum, c, FOUR, (op->len - off + BLOCK - 1) / BLOCK, y0);
}

INLINE void packet(const struct omni_aead_op *op, const uint8_t *ahead, uint8_t *tag, bool opening)
{
	if (op->len > FOUR * VECTOR) {
		long_packet(op, ahead, tag, opening);
		return;
	}
	switch ((op->len + VECTOR - 1) / VECTOR) {
	case 0:
		short_packet(op, ahead, tag, 0, opening);
		break;
	case 1:
		short_packet(op, ahead, tag, 1, opening);
		break;
	case 2:
		short_packet(op, ahead, tag, 2, opening);
		break;
	case 3:
		short_packet(op, ahead, tag, 3, opening);
		break;
	default:
		short_packet(op, ahead, tag, FOUR, opening);
		break;
	}
}

static_assert(FOUR == 4, "a case for each number of vectors");

INLINE const struct omni_aead_op *later(unsigned int i, const struct omni_aead_op *ops,
					const uint8_t *list, unsigned int n)
{
	return &ops[list[i < n ? i : n - 1]];
}

/*
 * What is fetched while the packet at position i of the n in list is worked on: the text of one of
 * the next, here returned, and the key of another, where it has one of its own.
 */
INLINE const uint8_t *ahead_of(unsigned int i, const struct omni_aead_op *ops, const uint8_t *list,
			       unsigned int n)
{
	const struct omni_aead_op *text = later(i + AHEAD, ops, list, n);
	const struct omni_aead_op *key = later(i + KEY_AHEAD, ops, list, n);

	if (key->key != ops[list[i]].key)
		omni_aead_key_fetch(key->key, OMNI_AEAD_AESGCM, key->len);
	return text->len > 0 ? text->dst : ops[list[i]].dst;
}

static void seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	(void)aead;
	for (unsigned int i = 0; i < n; i++)
		packet(&ops[list[i]], ahead_of(i, ops, list, n), ops[list[i]].tag, false);
}

static void open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		packet(&ops[list[i]], ahead_of(i, ops, list, n), aead->computed[list[i]], true);
}

const struct aead_backend aead_gcm_vaes = {.seal = seal, .open = open};
