/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ChaCha20-Poly1305: packets of like length go eight at a time side by side, those that would
 * leave too many lanes empty one by one. The longest come first, so that it is the shortest that
 * share a group with nobody.
 */
#include "aead_chacha8.h"

#define BLOCK 64
#define LANES AEAD_CHACHA8_LANES

/*
 * Cycles, for the comparison alone: of a group, by the turns of ChaCha20 that its longest packet
 * takes, and of intel-ipsec-mb for one packet, by its length. Measured (docs/performance.md).
 */
#define GROUP_BASE 110
#define GROUP_TURN 460
#define SINGLE_BASE 420
#define SINGLE_PER_256_BYTES 108

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
static inline bool together(const struct omni_aead_op *ops, const uint8_t *list, unsigned int n)
{
	uint64_t turns = 1 + ((uint64_t)ops[list[0]].len + BLOCK - 1) / (2 * BLOCK);
	uint64_t single = (uint64_t)n * SINGLE_BASE;

	for (unsigned int i = 0; i < n; i++)
		single += (uint64_t)ops[list[i]].len * SINGLE_PER_256_BYTES / 256;
	return GROUP_BASE + GROUP_TURN * turns < single;
}

static inline void run(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		       unsigned int n, aead_run *group, aead_run *single)
{
	uint8_t sorted[OMNI_AEAD_BURST_MAX], lone[OMNI_AEAD_BURST_MAX];
	unsigned int grouped = 0, alone = 0;

	sort(sorted, ops, list, n);
	for (unsigned int i = 0; i < n; i += LANES) {
		unsigned int lanes = n - i < LANES ? n - i : LANES;

		if (single == NULL || together(ops, sorted + i, lanes)) {
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

static void seal(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	run(aead, ops, list, n, aead_chacha8_seal, aead->mgr != NULL ? aead_chacha.seal : NULL);
}

static void open(struct omni_aead *aead, const struct omni_aead_op *ops, const uint8_t *list,
		 unsigned int n)
{
	run(aead, ops, list, n, aead_chacha8_open, aead->mgr != NULL ? aead_chacha.open : NULL);
}

const struct aead_backend aead_chacha_burst = {.seal = seal, .open = open};
