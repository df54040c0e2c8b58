/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Replay windows over 64-bit sequence numbers, rings of bit words as in RFC 6479: moving the
 * window clears whole words and shifts nothing. Written by the one thread that owns the lane,
 * read by nobody else. Pure and inline: workers call them twice per frame.
 *
 * Two sizes of one ring: omni_replay for a lane, omni_replay_wide for WireGuard.
 */
#ifndef OMNI_REPLAY_H
#define OMNI_REPLAY_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <omni_base.h>
#include <omni_wire.h>

#define OMNI_REPLAY_WORD_BITS 64
/* One word more than the window, because the newest word is only partly used. */
#define OMNI_REPLAY_WORDS 64
/* Numbers less than this below the newest are still told apart. */
#define OMNI_REPLAY_SPAN ((OMNI_REPLAY_WORDS - 1) * OMNI_REPLAY_WORD_BITS)

/* WireGuard's window is a figure of its protocol: the ring is the next power of two above it. */
#define OMNI_REPLAY_WIDE_WORDS 256
#define OMNI_REPLAY_WIDE_SPAN OMNI_WG_REPLAY_WINDOW

static_assert((OMNI_REPLAY_WORDS & (OMNI_REPLAY_WORDS - 1)) == 0, "ring of a power of two");
static_assert(OMNI_REPLAY_SPAN >= OMNI_REPLAY_WINDOW, "window as promised");
static_assert((OMNI_REPLAY_WIDE_WORDS & (OMNI_REPLAY_WIDE_WORDS - 1)) == 0, "likewise");
static_assert((OMNI_REPLAY_WIDE_WORDS - 1) * OMNI_REPLAY_WORD_BITS >= OMNI_REPLAY_WIDE_SPAN,
	      "likewise");

struct omni_replay {
	uint64_t top; /* the highest number marked; 0 also before the first */
	uint64_t seen[OMNI_REPLAY_WORDS];
};

struct omni_replay_wide {
	uint64_t top;
	uint64_t seen[OMNI_REPLAY_WIDE_WORDS];
};

/* ---- The ring, of a number of words and a span that the compiler knows ---- */

/* Position of a number's word in the ring, and its bit in that word. */
OMNI_INLINE uint64_t omni_replay_at(uint64_t seq, uint64_t words)
{
	return seq / OMNI_REPLAY_WORD_BITS % words;
}

OMNI_INLINE uint64_t omni_replay_bit(uint64_t seq)
{
	return UINT64_C(1) << (seq % OMNI_REPLAY_WORD_BITS);
}

OMNI_INLINE bool omni_replay_ring_peek(uint64_t top, const uint64_t *seen, uint64_t words,
				       uint64_t span, uint64_t seq)
{
	if (seq > top)
		return true;
	if (top - seq >= span)
		return false;
	return (seen[omni_replay_at(seq, words)] & omni_replay_bit(seq)) == 0;
}

/* Clear the words between the newest and seq's, all at most once. */
OMNI_INLINE void omni_replay_ring_advance(uint64_t *top, uint64_t *seen, uint64_t words,
					  uint64_t seq)
{
	uint64_t from = *top / OMNI_REPLAY_WORD_BITS;
	uint64_t steps = seq / OMNI_REPLAY_WORD_BITS - from;

	if (steps > words)
		steps = words;
	for (uint64_t i = 1; i <= steps; i++)
		seen[(from + i) % words] = 0;
	*top = seq;
}

OMNI_INLINE bool omni_replay_ring_mark(uint64_t *top, uint64_t *seen, uint64_t words, uint64_t span,
				       uint64_t seq)
{
	uint64_t *word, bit;

	if (seq > *top)
		omni_replay_ring_advance(top, seen, words, seq);
	else if (*top - seq >= span)
		return false;
	word = &seen[omni_replay_at(seq, words)];
	bit = omni_replay_bit(seq);
	if ((*word & bit) != 0)
		return false;
	*word |= bit;
	return true;
}

/* ---- A lane's window ---- */

static inline void omni_replay_init(struct omni_replay *w)
{
	memset(w, 0, sizeof(*w));
}

/* Start fetching the word that the next numbers fall into. */
static inline void omni_replay_fetch(const struct omni_replay *w)
{
	__builtin_prefetch(&w->seen[omni_replay_at(w->top + 1, OMNI_REPLAY_WORDS)], 0, 2);
}

/* True where mark(seq) would accept: before decrypting, so it changes nothing. */
static inline bool omni_replay_peek(const struct omni_replay *w, uint64_t seq)
{
	return omni_replay_ring_peek(w->top, w->seen, OMNI_REPLAY_WORDS, OMNI_REPLAY_SPAN, seq);
}

/*
 * Test and set, after the tag held: true for a number that was never marked and is not older
 * than the window; false (and no change) otherwise.
 */
static inline bool omni_replay_mark(struct omni_replay *w, uint64_t seq)
{
	return omni_replay_ring_mark(&w->top, w->seen, OMNI_REPLAY_WORDS, OMNI_REPLAY_SPAN, seq);
}

/* ---- WireGuard's: the same, and no counter from REJECT_AFTER_MESSAGES on ---- */

static inline void omni_replay_wide_init(struct omni_replay_wide *w)
{
	memset(w, 0, sizeof(*w));
}

static inline void omni_replay_wide_fetch(const struct omni_replay_wide *w)
{
	__builtin_prefetch(&w->seen[omni_replay_at(w->top + 1, OMNI_REPLAY_WIDE_WORDS)], 0, 2);
}

static inline bool omni_replay_wide_peek(const struct omni_replay_wide *w, uint64_t counter)
{
	return counter < OMNI_WG_REJECT_AFTER_MESSAGES &&
	       omni_replay_ring_peek(w->top, w->seen, OMNI_REPLAY_WIDE_WORDS, OMNI_REPLAY_WIDE_SPAN,
				     counter);
}

static inline bool omni_replay_wide_mark(struct omni_replay_wide *w, uint64_t counter)
{
	return counter < OMNI_WG_REJECT_AFTER_MESSAGES &&
	       omni_replay_ring_mark(&w->top, w->seen, OMNI_REPLAY_WIDE_WORDS,
				     OMNI_REPLAY_WIDE_SPAN, counter);
}

#endif
