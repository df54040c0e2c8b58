/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ChaCha20-Poly1305: packets of like length go eight at a time side by side, those that would
 * leave too many lanes empty one by one. The longest come first, so that it is the shortest that
 * share a group with nobody.
 */
#include "aead_chacha_group.h"

#define BLOCK 64
#define LANES AEAD_CHACHA_LANES

/*
 * Cycles, for the comparison alone: of a group, by the turns of ChaCha20 that its longest packet
 * takes, and of intel-ipsec-mb for one packet, by its length. Measured (docs/performance.md); a
 * turn with AVX-512 lies between what Zen 4 and Zen 5 take, as multiples of the library.
 */
struct costs {
	uint32_t group, turn, turn_blocks, single, single_256_bytes;
};

static const struct costs avx512 = {
	.group = 110, .turn = 520, .turn_blocks = 2, .single = 420, .single_256_bytes = 108};
static const struct costs avx2 = {
	.group = 200, .turn = 715, .turn_blocks = 1, .single = 510, .single_256_bytes = 310};

/* Positions, longest packet first; almost no work where all are of one length. */
static inline void sort(uint8_t *sorted, const struct omni_aead_op *ops, const uint8_t *list,
			unsigned int n)
{
	uint32_t blocks[OMNI_AEAD_BURST_MAX];

	for (unsigned int i = 0; i < n; i++) {
		uint32_t b = ops[list[i]].len / BLOCK + (ops[list[i]].len % BLOCK != 0);
		unsigned int at = i;

		for (; at > 0 && blocks[at - 1] < b; at--) {
			blocks[at] = blocks[at - 1];
			sorted[at] = sorted[at - 1];
		}
		blocks[at] = b;
		sorted[at] = list[i];
	}
}

/* Whether the n packets, of which the first one is the longest, are faster side by side. */
static inline bool together(const struct costs *c, const struct omni_aead_op *ops,
			    const uint8_t *list, unsigned int n)
{
	uint32_t blocks = 1 + ops[list[0]].len / BLOCK + (ops[list[0]].len % BLOCK != 0);
	uint64_t turns = (blocks + c->turn_blocks - 1) / c->turn_blocks;
	uint64_t single = (uint64_t)n * c->single;

	for (unsigned int i = 0; i < n; i++)
		single += (uint64_t)ops[list[i]].len * c->single_256_bytes / 256;
	return c->group + c->turn * turns < single;
}

static inline void run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		       unsigned int n, const struct costs *costs, aead_run *group, aead_run *single)
{
	uint8_t sorted[OMNI_AEAD_BURST_MAX], lone[OMNI_AEAD_BURST_MAX];
	unsigned int grouped = 0, alone = 0;

	sort(sorted, ops, list, n);
	for (unsigned int i = 0; i < n; i += LANES) {
		unsigned int lanes = n - i < LANES ? n - i : LANES;

		if (aead->mgr == NULL || together(costs, ops, sorted + i, lanes)) {
			memmove(sorted + grouped, sorted + i, lanes);
			grouped += lanes;
		} else {
			memcpy(lone + alone, sorted + i, lanes);
			alone += lanes;
		}
	}
	if (grouped > 0)
		group(aead, ops, sorted, grouped);
	if (alone > 0)
		single(aead, ops, lone, alone);
}

static void avx512_seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
			unsigned int n)
{
	run(aead, ops, list, n, &avx512, aead_chacha_avx512_seal, aead_chacha.seal);
}

static void avx512_open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
			unsigned int n)
{
	run(aead, ops, list, n, &avx512, aead_chacha_avx512_open, aead_chacha.open);
}

static void avx2_seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n)
{
	run(aead, ops, list, n, &avx2, aead_chacha_avx2_seal, aead_chacha.seal);
}

static void avx2_open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		      unsigned int n)
{
	run(aead, ops, list, n, &avx2, aead_chacha_avx2_open, aead_chacha.open);
}

const struct aead_backend aead_chacha_avx512 = {.seal = avx512_seal, .open = avx512_open};
const struct aead_backend aead_chacha_avx2 = {.seal = avx2_seal, .open = avx2_open};
