/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The bursts against an independent one-shot AEAD (lib/crypto's), vectors and forgeries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include <cmocka.h>
#include <omni_aead.h>
#include <omni_crypto.h>
#include <omni_wire.h>

#include "vectors.h"

static_assert((int)OMNI_AEAD_AESGCM == (int)OMNI_CIPHER_AESGCM, "number of the wire");
static_assert((int)OMNI_AEAD_CHACHAPOLY == (int)OMNI_CIPHER_CHACHAPOLY, "number of the wire");
static_assert(OMNI_AEAD_NONCE_LEN == OMNI_NONCE_LEN, "nonce");
static_assert(OMNI_AEAD_TAG_LEN == OMNI_TAG_LEN, "tag");

#define LEN_MAX 9000
#define LEN_EACH 2100 /* up to here every length, beyond it those around block edges */
#define AAD_LEN 24
#define AAD_MAX 1024
#define AAD_EACH 64
#define PAGE 4096
#define SHIFTS 64 /* buffers begin anywhere in a line */
#define GUARD 64  /* bytes around each buffer that must stay as they were */
#define GUARD_BYTE 0xa5

/* One packet, its buffers between guards: the cipher is assembly, ASan does not see its writes. */
struct packet {
	struct omni_key secret;
	unsigned int cipher;
	uint32_t len, aad_len;
	uint8_t nonce[OMNI_AEAD_NONCE_LEN];
	uint8_t aad[AAD_MAX];
	uint8_t plain[LEN_MAX], sealed[LEN_MAX + OMNI_AEAD_TAG_LEN];
	uint8_t src[SHIFTS + GUARD + LEN_MAX + GUARD], dst[SHIFTS + GUARD + LEN_MAX + GUARD];
	uint8_t tag[SHIFTS + GUARD + OMNI_AEAD_TAG_LEN + GUARD];
	uint8_t *src_at, *dst_at, *tag_at;
	struct omni_aead_key *key;
};

/*
 * Every backend, forced; best: what the CPU has. Without AES there is no intel-ipsec-mb, so own_512
 * and own_256 are our wide code alone, and masked is nothing but libsodium.
 */
static struct {
	struct omni_aead *best, *no_own, *no_avx512, *no_avx2, *own_512, *own_256, *masked;
} ctx;

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

static void rnd_fill(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)rnd(256);
}

/* What the twin makes of the packet: ciphertext and tag in p->sealed. */
static void twin_seal(struct packet *p)
{
	assert_int_equal(omni_aead_seal((enum omni_cipher)p->cipher, p->sealed, &p->secret,
					p->nonce, p->aad, p->aad_len, p->plain, p->len),
			 0);
}

static void packet_init(struct packet *p, struct omni_aead *aead, unsigned int cipher, uint32_t len,
			uint32_t aad_len)
{
	p->cipher = cipher;
	p->len = len;
	p->aad_len = aad_len;
	rnd_fill(p->secret.b, sizeof(p->secret.b));
	rnd_fill(p->nonce, sizeof(p->nonce));
	rnd_fill(p->aad, aad_len);
	rnd_fill(p->plain, len);
	twin_seal(p);
	assert_int_equal(omni_aead_key_create(&p->key, aead, cipher, &p->secret), 0);
	assert_int_equal(omni_aead_key_cipher(p->key), cipher);
}

/* Load in into the packet's buffers, guards around it, and make the op. */
static void packet_load(struct packet *p, struct omni_aead_op *op, const uint8_t *in, bool in_place)
{
	memset(p->src, GUARD_BYTE, sizeof(p->src));
	memset(p->dst, GUARD_BYTE, sizeof(p->dst));
	memset(p->tag, GUARD_BYTE, sizeof(p->tag));
	p->src_at = p->src + GUARD + rnd(SHIFTS);
	p->dst_at = p->dst + GUARD + rnd(SHIFTS);
	p->tag_at = p->tag + GUARD + rnd(SHIFTS);
	memcpy(p->src_at, in, p->len);
	op->key = p->key;
	op->aad = p->aad_len != 0 ? p->aad : NULL;
	op->aad_len = p->aad_len;
	op->src = p->src_at;
	op->dst = in_place ? p->src_at : p->dst_at;
	op->len = p->len;
	op->tag = p->tag_at;
	omni_aead_op_nonce(op, p->nonce, p->nonce + 4);
	assert_memory_equal(op->nonce, p->nonce, sizeof(p->nonce));
}

static void assert_guards(const uint8_t *buf, size_t len)
{
	for (ptrdiff_t i = 0; i < GUARD; i++) {
		assert_int_equal(buf[i - GUARD], GUARD_BYTE);
		assert_int_equal(buf[(ptrdiff_t)len + i], GUARD_BYTE);
	}
}

static void packet_check(const struct packet *p, const struct omni_aead_op *op, const uint8_t *in,
			 const uint8_t *out)
{
	assert_memory_equal(op->dst, out, p->len);
	if (op->src != op->dst)
		assert_memory_equal(op->src, in, p->len);
	assert_memory_equal(op->tag, p->sealed + p->len, OMNI_AEAD_TAG_LEN);
	assert_guards(p->src_at, p->len);
	assert_guards(p->dst_at, p->len);
	assert_guards(p->tag_at, OMNI_AEAD_TAG_LEN);
}

/* Seal and open n packets as one burst, compare all with the twin. */
static void check_burst(struct omni_aead *aead, struct packet *p, unsigned int n, bool in_place)
{
	struct omni_aead_op ops[OMNI_AEAD_BURST_MAX] = {0};

	for (unsigned int i = 0; i < n; i++)
		packet_load(&p[i], &ops[i], p[i].plain, in_place);
	omni_aead_seal_burst(aead, ops, n);
	for (unsigned int i = 0; i < n; i++)
		packet_check(&p[i], &ops[i], p[i].plain, p[i].sealed);

	for (unsigned int i = 0; i < n; i++) {
		packet_load(&p[i], &ops[i], p[i].sealed, in_place);
		memcpy(ops[i].tag, p[i].sealed + p[i].len, OMNI_AEAD_TAG_LEN);
	}
	assert_true(omni_aead_open_burst(aead, ops, n) == (n == 64 ? ~0ull : (1ull << n) - 1));
	for (unsigned int i = 0; i < n; i++)
		packet_check(&p[i], &ops[i], p[i].sealed, p[i].plain);
}

/* All lengths, then those next to a multiple of a ChaCha20 block and some between. */
static uint32_t next_length(uint32_t len)
{
	if (len < LEN_EACH)
		return len + 1;
	return len % 64 < 63 && len % 64 > 1 ? len + 63 - len % 64
					     : len + 1 + rnd(4) * (len % 64 == 1);
}

static void every_length_matches_the_twin(struct omni_aead *aead, unsigned int cipher)
{
	struct packet *p = malloc(sizeof(*p));

	assert_non_null(p);
	for (uint32_t len = 0; len <= LEN_MAX; len = next_length(len)) {
		packet_init(p, aead, cipher, len, AAD_LEN);
		check_burst(aead, p, 1, true);
		check_burst(aead, p, 1, false);
		omni_aead_key_free(p->key);
	}
	for (uint32_t i = 0; i < 4 * (AAD_EACH + 1); i++) {
		packet_init(p, aead, cipher, i % 4 == 0 ? rnd(200) : rnd(1500), i / 4);
		check_burst(aead, p, 1, true);
		check_burst(aead, p, 1, false);
		omni_aead_key_free(p->key);
	}
	free(p);
}

static bool no_aes(void)
{
	return !omni_aead_has(ctx.best, OMNI_AEAD_AESGCM) || !omni_crypto_has_aes();
}

static void gcm_matches_its_twin_at_every_length(void **state)
{
	(void)state;
	if (no_aes())
		skip();
	every_length_matches_the_twin(ctx.best, OMNI_AEAD_AESGCM);
}

static void chacha_matches_its_twin_at_every_length(void **state)
{
	(void)state;
	every_length_matches_the_twin(ctx.best, OMNI_AEAD_CHACHAPOLY);
}

static void other_chacha_backends_match_the_twin_at_every_length(void **state)
{
	(void)state;
	every_length_matches_the_twin(ctx.own_512, OMNI_AEAD_CHACHAPOLY);
	every_length_matches_the_twin(ctx.own_256, OMNI_AEAD_CHACHAPOLY);
	every_length_matches_the_twin(ctx.no_own, OMNI_AEAD_CHACHAPOLY);
	every_length_matches_the_twin(ctx.no_avx512, OMNI_AEAD_CHACHAPOLY);
	every_length_matches_the_twin(ctx.no_avx2, OMNI_AEAD_CHACHAPOLY);
	every_length_matches_the_twin(ctx.masked, OMNI_AEAD_CHACHAPOLY);
}

static void other_gcm_backends_match_the_twin_at_every_length(void **state)
{
	(void)state;
	if (no_aes())
		skip();
	every_length_matches_the_twin(ctx.no_own, OMNI_AEAD_AESGCM);
	every_length_matches_the_twin(ctx.no_avx512, OMNI_AEAD_AESGCM);
	every_length_matches_the_twin(ctx.no_avx2, OMNI_AEAD_AESGCM);
}

/* A length as bursts have them: of a few sizes, near an edge, small, or any. */
static uint32_t mixed_length(unsigned int turn)
{
	static const uint32_t usual[] = {64, 576, 1420, 60};

	switch (turn % 5) {
	case 0:
		return usual[rnd(OMNI_ARRAY_SIZE(usual))];
	case 1:
		return 64 * rnd(34) + rnd(3);
	case 2:
		return rnd(200);
	case 3:
		return 1400 + rnd(2);
	default:
		return rnd(rnd(8) == 0 ? LEN_MAX + 1 : LEN_EACH);
	}
}

static void mixed_bursts(struct omni_aead *aead, unsigned int turns)
{
	struct packet *p = calloc(OMNI_AEAD_BURST_MAX, sizeof(*p));
	bool aes = !no_aes() && omni_aead_has(aead, OMNI_AEAD_AESGCM);

	assert_non_null(p);
	for (unsigned int turn = 0; turn < turns; turn++) {
		unsigned int n = turn <= OMNI_AEAD_BURST_MAX ? turn : rnd(OMNI_AEAD_BURST_MAX + 1);

		for (unsigned int i = 0; i < n; i++)
			packet_init(&p[i], aead,
				    aes && turn % 2 == 0 && rnd(2) == 0 ? OMNI_AEAD_AESGCM
									: OMNI_AEAD_CHACHAPOLY,
				    mixed_length(turn),
				    rnd(3) != 0 ? AAD_LEN : rnd(rnd(4) == 0 ? AAD_MAX : 65));
		check_burst(aead, p, n, turn / 2 % 2 == 0);
		for (unsigned int i = 0; i < n; i++)
			omni_aead_key_free(p[i].key);
	}
	free(p);
}

static void mixed_bursts_match_the_twin(void **state)
{
	(void)state;
	mixed_bursts(ctx.best, 300);
	mixed_bursts(ctx.own_512, 150);
	mixed_bursts(ctx.own_256, 150);
	mixed_bursts(ctx.no_avx512, 150);
	mixed_bursts(ctx.no_own, 70);
	mixed_bursts(ctx.masked, 70);
}

/* Eight packets of each length side by side, next to others that end before and after them. */
static void every_length_in_a_group(struct omni_aead *aead)
{
	struct packet *p = calloc(8, sizeof(*p));

	assert_non_null(p);
	for (uint32_t len = 0; len <= LEN_EACH; len++) {
		for (unsigned int i = 0; i < 8; i++)
			packet_init(&p[i], aead, OMNI_AEAD_CHACHAPOLY, i < 6 ? len : rnd(len + 130),
				    i != 3 ? AAD_LEN : len % 65);
		check_burst(aead, p, 8, len % 2 == 0);
		for (unsigned int i = 0; i < 8; i++)
			omni_aead_key_free(p[i].key);
	}
	free(p);
}

static void every_length_matches_in_a_group(void **state)
{
	(void)state;
	every_length_in_a_group(ctx.own_512);
	every_length_in_a_group(ctx.own_256);
	every_length_in_a_group(ctx.masked);
}

/* Every bit of text and tag, flipped in each lane in turn: that lane alone is refused. */
static void flip_every_bit(struct omni_aead *aead, unsigned int cipher)
{
	static const uint32_t lens[] = {1, 16, 63, 64, 130, 257};
	struct packet *p = calloc(8, sizeof(*p));
	struct omni_aead_op ops[8];

	assert_non_null(p);
	for (unsigned int l = 0; l < OMNI_ARRAY_SIZE(lens); l++) {
		unsigned int bits = 8 * (lens[l] + OMNI_AEAD_TAG_LEN);

		for (unsigned int i = 0; i < 8; i++)
			packet_init(&p[i], aead, cipher, lens[l], AAD_LEN);
		for (unsigned int bit = 0; bit < 8 * bits; bit++) {
			unsigned int lane = bit % 8, at = bit / 8;

			for (unsigned int i = 0; i < 8; i++) {
				packet_load(&p[i], &ops[i], p[i].sealed, true);
				memcpy(ops[i].tag, p[i].sealed + lens[l], OMNI_AEAD_TAG_LEN);
			}
			if (at < 8 * lens[l])
				ops[lane].dst[at / 8] ^= (uint8_t)(1u << at % 8);
			else
				ops[lane].tag[at / 8 - lens[l]] ^= (uint8_t)(1u << at % 8);
			assert_true(omni_aead_open_burst(aead, ops, 8) == (0xffu ^ 1u << lane));
		}
		for (unsigned int i = 0; i < 8; i++)
			omni_aead_key_free(p[i].key);
	}
	free(p);
}

static void every_flipped_bit_fails_in_its_lane(void **state)
{
	(void)state;
	flip_every_bit(ctx.own_512, OMNI_AEAD_CHACHAPOLY);
	flip_every_bit(ctx.own_256, OMNI_AEAD_CHACHAPOLY);
	flip_every_bit(ctx.masked, OMNI_AEAD_CHACHAPOLY);
	if (!no_aes())
		flip_every_bit(ctx.best, OMNI_AEAD_AESGCM);
}

/* A page between two that must not be touched. */
static uint8_t *guarded_page(void)
{
	uint8_t *page =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(mprotect(page, PAGE, PROT_NONE), 0);
	assert_int_equal(mprotect(page + 2 * PAGE, PAGE, PROT_NONE), 0);
	return page + PAGE;
}

/* Where len bytes begin that end where the page does, or begin there. */
static uint8_t *at_edge(uint8_t *page, uint32_t len, bool at_end)
{
	return at_end ? page + PAGE - len : page;
}

/* src, dst, aad and tag each end, or begin, where the readable memory does, in a burst of n. */
static void run_at_the_edge(struct omni_aead *aead, unsigned int cipher, unsigned int n,
			    uint32_t len, uint32_t aad_len, uint8_t *const page[8][4])
{
	struct packet *p = calloc(n, sizeof(*p));
	struct omni_aead_op ops[8];
	bool at_end = rnd(4) != 0;

	assert_non_null(p);
	for (unsigned int i = 0; i < n; i++) {
		packet_init(&p[i], aead, cipher, len, aad_len);
		packet_load(&p[i], &ops[i], p[i].plain, false);
		ops[i].src = memcpy(at_edge(page[i][0], len, at_end), p[i].plain, len);
		ops[i].dst = at_edge(page[i][1], len, at_end);
		ops[i].aad = memcpy(at_edge(page[i][2], aad_len, at_end), p[i].aad, aad_len);
		ops[i].tag = at_edge(page[i][3], OMNI_AEAD_TAG_LEN, at_end);
	}
	omni_aead_seal_burst(aead, ops, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_memory_equal(ops[i].dst, p[i].sealed, len);
		assert_memory_equal(ops[i].tag, p[i].sealed + len, OMNI_AEAD_TAG_LEN);
		ops[i].src = ops[i].dst;
	}
	assert_true(omni_aead_open_burst(aead, ops, n) == (1u << n) - 1);
	for (unsigned int i = 0; i < n; i++) {
		assert_memory_equal(ops[i].dst, p[i].plain, len);
		omni_aead_key_free(p[i].key);
	}
	free(p);
}

static void nothing_beyond_a_buffer_is_touched(void **state)
{
	struct omni_aead *const chacha[] = {ctx.own_512, ctx.own_256, ctx.masked};
	uint8_t *page[8][4];

	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		page[i / 4][i % 4] = guarded_page();
	for (uint32_t len = 0; len <= LEN_EACH; len += 1 + rnd(len < 300 ? 3 : 20)) {
		for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(chacha); i++)
			run_at_the_edge(chacha[i], OMNI_AEAD_CHACHAPOLY, 8, len,
					len % (AAD_EACH + 1), page);
		run_at_the_edge(ctx.best, OMNI_AEAD_CHACHAPOLY, 1 + rnd(8), len, AAD_LEN, page);
		if (no_aes())
			continue;
		run_at_the_edge(ctx.best, OMNI_AEAD_AESGCM, 1 + rnd(8), len, AAD_LEN, page);
		run_at_the_edge(ctx.best, OMNI_AEAD_AESGCM, 1 + rnd(8), len, rnd(AAD_EACH + 1),
				page);
	}
	for (unsigned int i = 0; i < 32; i++)
		munmap(page[i / 4][i % 4] - PAGE, 3 * PAGE);
}

/* One read-only frame sealed for many peers, each with its own key and buffer. */
static void one_source_seals_for_many(void **state)
{
	struct packet *p = calloc(OMNI_AEAD_BURST_MAX, sizeof(*p));
	struct omni_aead_op ops[OMNI_AEAD_BURST_MAX];
	uint8_t frame[777];

	(void)state;
	assert_non_null(p);
	rnd_fill(frame, sizeof(frame));
	for (unsigned int i = 0; i < OMNI_AEAD_BURST_MAX; i++) {
		unsigned int cipher =
			i % 3 == 0 && !no_aes() ? OMNI_AEAD_AESGCM : OMNI_AEAD_CHACHAPOLY;

		packet_init(&p[i], ctx.best, cipher, sizeof(frame), AAD_LEN);
		memcpy(p[i].plain, frame, sizeof(frame));
		twin_seal(&p[i]);
		packet_load(&p[i], &ops[i], frame, false);
		ops[i].src = frame;
	}
	omni_aead_seal_burst(ctx.best, ops, OMNI_AEAD_BURST_MAX);
	for (unsigned int i = 0; i < OMNI_AEAD_BURST_MAX; i++) {
		packet_check(&p[i], &ops[i], p[i].plain, p[i].sealed);
		omni_aead_key_free(p[i].key);
	}
	free(p);
}

/* Open p once for each of the len bytes at target, that byte changed by one bit; none may pass. */
static void flip_each(struct omni_aead *aead, struct packet *p, uint8_t *target, size_t len)
{
	struct omni_aead_op op;

	for (size_t i = 0; i < len; i++) {
		uint8_t bit = (uint8_t)(1u << rnd(8));

		target[i] ^= bit;
		packet_load(p, &op, p->sealed, i % 2 == 0);
		memcpy(op.tag, p->sealed + p->len, OMNI_AEAD_TAG_LEN);
		assert_true(omni_aead_open_burst(aead, &op, 1) == 0);
		target[i] ^= bit;
	}
	packet_load(p, &op, p->sealed, true);
	memcpy(op.tag, p->sealed + p->len, OMNI_AEAD_TAG_LEN);
	assert_true(omni_aead_open_burst(aead, &op, 1) == 1);
}

static void forgeries_fail(struct omni_aead *aead, unsigned int cipher)
{
	static const uint32_t lens[] = {0, 1, 15, 16, 64, 129, 257, 300, 513, 833, 1420};
	struct packet *p = malloc(sizeof(*p));

	assert_non_null(p);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(lens); i++) {
		packet_init(p, aead, cipher, lens[i], AAD_LEN);
		flip_each(aead, p, p->sealed, lens[i] + OMNI_AEAD_TAG_LEN);
		flip_each(aead, p, p->aad, AAD_LEN);
		flip_each(aead, p, p->nonce, sizeof(p->nonce));
		omni_aead_key_free(p->key);
	}
	free(p);
}

static void every_flipped_byte_fails_with_gcm(void **state)
{
	(void)state;
	if (no_aes())
		skip();
	forgeries_fail(ctx.best, OMNI_AEAD_AESGCM);
}

static void every_flipped_byte_fails_with_chacha(void **state)
{
	(void)state;
	forgeries_fail(ctx.best, OMNI_AEAD_CHACHAPOLY);
	forgeries_fail(ctx.own_512, OMNI_AEAD_CHACHAPOLY);
	forgeries_fail(ctx.own_256, OMNI_AEAD_CHACHAPOLY);
	forgeries_fail(ctx.masked, OMNI_AEAD_CHACHAPOLY);
}

/* Every bit of the tag counts, and each verdict lands at its own packet's bit. */
static void verdicts_belong_to_their_packets(void **state)
{
	struct packet *p = calloc(OMNI_AEAD_BURST_MAX, sizeof(*p));
	struct omni_aead_op ops[OMNI_AEAD_BURST_MAX];
	uint64_t want = 0;

	(void)state;
	assert_non_null(p);
	for (unsigned int i = 0; i < OMNI_AEAD_BURST_MAX; i++)
		packet_init(&p[i], ctx.best,
			    i % 5 < 2 && !no_aes() ? OMNI_AEAD_AESGCM : OMNI_AEAD_CHACHAPOLY,
			    rnd(500), AAD_LEN);
	for (unsigned int turn = 0; turn < 8 * OMNI_AEAD_TAG_LEN; turn++) {
		want = ~0ull;
		for (unsigned int i = 0; i < OMNI_AEAD_BURST_MAX; i++) {
			packet_load(&p[i], &ops[i], p[i].sealed, true);
			memcpy(ops[i].tag, p[i].sealed + p[i].len, OMNI_AEAD_TAG_LEN);
			if (i != turn % OMNI_AEAD_BURST_MAX && rnd(2) == 0)
				continue;
			ops[i].tag[turn / 8] ^= (uint8_t)(1u << turn % 8);
			want &= ~(1ull << i);
		}
		assert_true(omni_aead_open_burst(ctx.best, ops, OMNI_AEAD_BURST_MAX) == want);
	}
	for (unsigned int i = 0; i < OMNI_AEAD_BURST_MAX; i++)
		omni_aead_key_free(p[i].key);
	free(p);
}

static void a_mask_refuses_gcm(void **state)
{
	struct omni_aead_key *key = (struct omni_aead_key *)&ctx;
	struct omni_key secret = {{1}};

	(void)state;
	assert_false(omni_aead_has(ctx.masked, OMNI_AEAD_AESGCM));
	assert_true(omni_aead_has(ctx.masked, OMNI_AEAD_CHACHAPOLY));
	assert_int_equal(omni_aead_key_create(&key, ctx.masked, OMNI_AEAD_AESGCM, &secret),
			 -ENOTSUP);
	assert_null(key);
	assert_string_equal(omni_aead_arch(ctx.masked, OMNI_AEAD_CHACHAPOLY), "libsodium");
	assert_string_equal(omni_aead_arch(ctx.masked, OMNI_AEAD_AESGCM), "none");
}

static void masks_are_lists_of_names(void **state)
{
	uint32_t flags = 99;

	(void)state;
	assert_int_equal(omni_aead_flags(&flags, NULL), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(omni_aead_flags(&flags, ""), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(omni_aead_flags(&flags, "avx512"), 0);
	assert_int_equal(flags, OMNI_AEAD_NO_AVX512);
	assert_int_equal(omni_aead_flags(&flags, "aes,avx2"), 0);
	assert_int_equal(flags, OMNI_AEAD_NO_AES | OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_AVX2);
	assert_int_equal(omni_aead_flags(&flags, "own"), 0);
	assert_int_equal(flags, OMNI_AEAD_NO_OWN);
	assert_int_equal(omni_aead_flags(&flags, "avx"), -EINVAL);
	assert_int_equal(omni_aead_flags(&flags, "aes,"), -EINVAL);
	assert_int_equal(omni_aead_flags(&flags, ",aes"), -EINVAL);
	assert_int_equal(omni_aead_flags(&flags, "aes avx2"), -EINVAL);
}

static void a_mask_takes_the_wide_code_away(void **state)
{
	(void)state;
	assert_string_not_equal(omni_aead_arch(ctx.no_avx512, OMNI_AEAD_CHACHAPOLY), "avx512-ifma");
	assert_string_not_equal(omni_aead_arch(ctx.no_avx2, OMNI_AEAD_CHACHAPOLY), "avx512-ifma");
	assert_string_not_equal(omni_aead_arch(ctx.no_avx2, OMNI_AEAD_CHACHAPOLY), "avx2");
	assert_string_not_equal(omni_aead_arch(ctx.no_own, OMNI_AEAD_CHACHAPOLY), "avx512-ifma");
	assert_string_not_equal(omni_aead_arch(ctx.no_own, OMNI_AEAD_CHACHAPOLY), "avx2");
	if (no_aes())
		skip();
	assert_string_not_equal(omni_aead_arch(ctx.no_own, OMNI_AEAD_AESGCM), "vaes");
	assert_string_not_equal(omni_aead_arch(ctx.no_avx512, OMNI_AEAD_AESGCM), "vaes");
	assert_string_not_equal(omni_aead_arch(ctx.no_avx512, OMNI_AEAD_AESGCM), "ipsec-mb avx512");
	assert_string_equal(omni_aead_arch(ctx.no_avx2, OMNI_AEAD_AESGCM), "ipsec-mb sse");
}

/* Two keys side by side in memory of ours: neither writes beyond its size, and wiped are all of it.
 */
static void keys_fit_memory_of_the_caller(struct omni_aead *aead, unsigned int cipher)
{
	size_t size = omni_aead_key_size(aead, cipher);
	uint8_t *memory = aligned_alloc(OMNI_AEAD_KEY_ALIGN, 2 * size + OMNI_AEAD_KEY_ALIGN);
	struct packet *p = calloc(1, sizeof(*p));
	struct omni_key other = {{7}};
	struct omni_aead_op op;

	assert_non_null(p);
	assert_non_null(memory);
	assert_int_equal(size % OMNI_AEAD_KEY_ALIGN, 0);
	memset(memory, GUARD_BYTE, 2 * size + OMNI_AEAD_KEY_ALIGN);
	packet_init(p, aead, cipher, 300, AAD_LEN);
	omni_aead_key_free(p->key);
	p->key = (struct omni_aead_key *)(void *)memory;
	assert_int_equal(omni_aead_key_init(p->key, aead, cipher, &p->secret), 0);
	assert_int_equal(memory[size], GUARD_BYTE);
	assert_int_equal(omni_aead_key_init((void *)(memory + size), aead, cipher, &other), 0);
	assert_int_equal(memory[2 * size], GUARD_BYTE);
	packet_load(p, &op, p->plain, true);
	omni_aead_seal_burst(aead, &op, 1);
	packet_check(p, &op, p->plain, p->sealed);
	omni_aead_key_wipe(p->key);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(memory[i], 0);
	assert_int_equal(omni_aead_key_cipher((void *)(memory + size)), cipher);
	free(memory);
	free(p);
}

static void keys_live_where_the_caller_says(void **state)
{
	struct omni_aead *const backend[] = {ctx.best, ctx.no_own, ctx.own_512, ctx.own_256};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(backend); i++)
		for (unsigned int cipher = 1; cipher <= OMNI_AEAD_CHACHAPOLY; cipher++)
			if (omni_aead_has(backend[i], cipher))
				keys_fit_memory_of_the_caller(backend[i], cipher);
}

static void other_ciphers_are_refused(void **state)
{
	static const unsigned int bad[] = {0, 3, 255, 257};
	struct omni_aead_key *key;
	struct omni_key secret = {{1}};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		assert_false(omni_aead_has(ctx.best, bad[i]));
		assert_int_equal(omni_aead_key_create(&key, ctx.best, bad[i], &secret), -EINVAL);
		assert_null(key);
	}
	omni_aead_key_free(NULL);
	omni_aead_free(NULL);
}

/* The fields of tests/vectors: tcId result key nonce aad msg ct tag flags. */
static void vector_load(struct packet *p, const struct vec *v)
{
	vec_exact(v, 2, p->secret.b, sizeof(p->secret.b));
	vec_exact(v, 3, p->nonce, sizeof(p->nonce));
	p->aad_len = (uint32_t)vec_hex(v, 4, p->aad, sizeof(p->aad));
	p->len = (uint32_t)vec_hex(v, 5, p->plain, sizeof(p->plain));
	assert_int_equal(vec_hex(v, 6, p->sealed, LEN_MAX), p->len);
	vec_exact(v, 7, p->sealed + p->len, OMNI_AEAD_TAG_LEN);
}

static void check_vectors(struct omni_aead *aead, unsigned int cipher, const char *file,
			  unsigned int want_valid, unsigned int want_invalid)
{
	struct packet *p = calloc(1, sizeof(*p));
	unsigned int valid = 0, invalid = 0;
	struct omni_aead_op op;
	struct vec v;

	assert_non_null(p);
	vec_open(&v, file);
	while (vec_next(&v)) {
		vector_load(p, &v);
		assert_int_equal(omni_aead_key_create(&p->key, aead, cipher, &p->secret), 0);
		if (strcmp(v.field[1], "valid") == 0) {
			check_burst(aead, p, 1, valid++ % 2 == 0);
		} else {
			packet_load(p, &op, p->sealed, invalid++ % 2 == 0);
			memcpy(op.tag, p->sealed + p->len, OMNI_AEAD_TAG_LEN);
			assert_true(omni_aead_open_burst(aead, &op, 1) == 0);
		}
		omni_aead_key_free(p->key);
	}
	vec_close(&v);
	assert_int_equal(valid, want_valid);
	assert_int_equal(invalid, want_invalid);
	free(p);
}

static void gcm_agrees_with_wycheproof(void **state)
{
	(void)state;
	if (no_aes())
		skip();
	check_vectors(ctx.best, OMNI_AEAD_AESGCM, "aes256_gcm.txt", 39, 27);
	check_vectors(ctx.no_avx512, OMNI_AEAD_AESGCM, "aes256_gcm.txt", 39, 27);
	check_vectors(ctx.no_avx2, OMNI_AEAD_AESGCM, "aes256_gcm.txt", 39, 27);
	check_vectors(ctx.no_own, OMNI_AEAD_AESGCM, "aes256_gcm.txt", 39, 27);
}

static void chacha_agrees_with_wycheproof(void **state)
{
	(void)state;
	check_vectors(ctx.best, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
	check_vectors(ctx.own_512, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
	check_vectors(ctx.own_256, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
	check_vectors(ctx.no_avx512, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
	check_vectors(ctx.no_avx2, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
	check_vectors(ctx.masked, OMNI_AEAD_CHACHAPOLY, "chacha20_poly1305.txt", 256, 60);
}

/* A burst of nothing does nothing; len and aad_len 0 may come with NULL. */
static void empty_is_allowed(void **state)
{
	struct packet *p = malloc(sizeof(*p));
	struct omni_aead_op op;

	(void)state;
	assert_non_null(p);
	omni_aead_seal_burst(ctx.best, NULL, 0);
	assert_true(omni_aead_open_burst(ctx.best, NULL, 0) == 0);
	for (unsigned int cipher = no_aes() ? 2 : 1; cipher <= 2; cipher++) {
		packet_init(p, ctx.best, cipher, 0, 0);
		packet_load(p, &op, p->plain, false);
		op.src = op.aad = NULL;
		op.dst = NULL;
		omni_aead_seal_burst(ctx.best, &op, 1);
		assert_memory_equal(op.tag, p->sealed, OMNI_AEAD_TAG_LEN);
		assert_true(omni_aead_open_burst(ctx.best, &op, 1) == 1);
		omni_aead_key_free(p->key);
	}
	free(p);
}

static int set_up(void **state)
{
	(void)state;
	if (omni_crypto_init() < 0)
		return -1;
	ctx.best = omni_aead_create(0);
	ctx.no_own = omni_aead_create(OMNI_AEAD_NO_OWN);
	ctx.no_avx512 = omni_aead_create(OMNI_AEAD_NO_AVX512);
	ctx.no_avx2 = omni_aead_create(OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_AVX2);
	ctx.own_512 = omni_aead_create(OMNI_AEAD_NO_AES);
	ctx.own_256 = omni_aead_create(OMNI_AEAD_NO_AES | OMNI_AEAD_NO_AVX512);
	ctx.masked = omni_aead_create(OMNI_AEAD_NO_AES | OMNI_AEAD_NO_OWN);
	return ctx.best != NULL && ctx.no_own != NULL && ctx.no_avx512 != NULL &&
			       ctx.no_avx2 != NULL && ctx.own_512 != NULL && ctx.own_256 != NULL &&
			       ctx.masked != NULL
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	(void)state;
	omni_aead_free(ctx.best);
	omni_aead_free(ctx.no_own);
	omni_aead_free(ctx.no_avx512);
	omni_aead_free(ctx.no_avx2);
	omni_aead_free(ctx.own_512);
	omni_aead_free(ctx.own_256);
	omni_aead_free(ctx.masked);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcm_agrees_with_wycheproof),
		cmocka_unit_test(chacha_agrees_with_wycheproof),
		cmocka_unit_test(gcm_matches_its_twin_at_every_length),
		cmocka_unit_test(chacha_matches_its_twin_at_every_length),
		cmocka_unit_test(other_chacha_backends_match_the_twin_at_every_length),
		cmocka_unit_test(other_gcm_backends_match_the_twin_at_every_length),
		cmocka_unit_test(mixed_bursts_match_the_twin),
		cmocka_unit_test(every_length_matches_in_a_group),
		cmocka_unit_test(every_flipped_bit_fails_in_its_lane),
		cmocka_unit_test(nothing_beyond_a_buffer_is_touched),
		cmocka_unit_test(one_source_seals_for_many),
		cmocka_unit_test(every_flipped_byte_fails_with_gcm),
		cmocka_unit_test(every_flipped_byte_fails_with_chacha),
		cmocka_unit_test(verdicts_belong_to_their_packets),
		cmocka_unit_test(a_mask_refuses_gcm),
		cmocka_unit_test(masks_are_lists_of_names),
		cmocka_unit_test(a_mask_takes_the_wide_code_away),
		cmocka_unit_test(keys_live_where_the_caller_says),
		cmocka_unit_test(other_ciphers_are_refused),
		cmocka_unit_test(empty_is_allowed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
