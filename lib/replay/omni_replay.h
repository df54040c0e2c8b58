/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Replay window over 64-bit sequence numbers, a ring of bit words as in RFC 6479: moving the
 * window clears whole words and shifts nothing. Written by the one thread that owns the lane,
 * read by nobody else. Pure and inline: workers call it twice per frame.
 */
#ifndef OMNI_REPLAY_H
#define OMNI_REPLAY_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define OMNI_REPLAY_WORD_BITS 64
/* One word more than the window, because the newest word is only partly used. */
#define OMNI_REPLAY_WORDS 64
/* Numbers less than this below the newest are still told apart. */
#define OMNI_REPLAY_SPAN ((OMNI_REPLAY_WORDS - 1) * OMNI_REPLAY_WORD_BITS)

static_assert((OMNI_REPLAY_WORDS & (OMNI_REPLAY_WORDS - 1)) == 0, "ring of a power of two");
static_assert(OMNI_REPLAY_SPAN >= 2048, "window as promised");

struct omni_replay {
	uint64_t top; /* the highest number marked; 0 also before the first */
	uint64_t seen[OMNI_REPLAY_WORDS];
};

static inline void omni_replay_init(struct omni_replay *w)
{
	memset(w, 0, sizeof(*w));
}

/* Position of a number's word in the ring, and its bit in that word. */
static inline uint64_t *omni_replay_word(struct omni_replay *w, uint64_t seq)
{
	return &w->seen[(seq / OMNI_REPLAY_WORD_BITS) % OMNI_REPLAY_WORDS];
}

static inline uint64_t omni_replay_bit(uint64_t seq)
{
	return UINT64_C(1) << (seq % OMNI_REPLAY_WORD_BITS);
}

/* Start fetching the word that the next numbers fall into. */
static inline void omni_replay_fetch(const struct omni_replay *w)
{
	const uint64_t word = (w->top + 1) / OMNI_REPLAY_WORD_BITS % OMNI_REPLAY_WORDS;

	__builtin_prefetch(&w->seen[word], 0, 2);
}

/* True where mark(seq) would accept: before decrypting, so it changes nothing. */
static inline bool omni_replay_peek(const struct omni_replay *w, uint64_t seq)
{
	uint64_t word;

	if (seq > w->top)
		return true;
	if (w->top - seq >= OMNI_REPLAY_SPAN)
		return false;
	word = w->seen[(seq / OMNI_REPLAY_WORD_BITS) % OMNI_REPLAY_WORDS];
	return (word & omni_replay_bit(seq)) == 0;
}

/* Clear the words between the newest and seq's, all at most once. */
static inline void omni_replay_advance(struct omni_replay *w, uint64_t seq)
{
	uint64_t from = w->top / OMNI_REPLAY_WORD_BITS;
	uint64_t steps = seq / OMNI_REPLAY_WORD_BITS - from;

	if (steps > OMNI_REPLAY_WORDS)
		steps = OMNI_REPLAY_WORDS;
	for (uint64_t i = 1; i <= steps; i++)
		w->seen[(from + i) % OMNI_REPLAY_WORDS] = 0;
	w->top = seq;
}

/*
 * Test and set, after the tag held: true for a number that was never marked and is not older
 * than the window; false (and no change) otherwise.
 */
static inline bool omni_replay_mark(struct omni_replay *w, uint64_t seq)
{
	uint64_t *word, bit;

	if (seq > w->top)
		omni_replay_advance(w, seq);
	else if (w->top - seq >= OMNI_REPLAY_SPAN)
		return false;
	word = omni_replay_word(w, seq);
	bit = omni_replay_bit(seq);
	if ((*word & bit) != 0)
		return false;
	*word |= bit;
	return true;
}

#endif
