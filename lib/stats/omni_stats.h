/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Counters and cycles. Every thread writes only its own struct omni_stats; control reads all of
 * them (relaxed, so a sum may be a burst behind).
 */
#ifndef OMNI_STATS_H
#define OMNI_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_stats_list.h>

enum omni_stat {
#define X(name, text) OMNI_STAT_##name,
	OMNI_STATS_LIST(X)
#undef X
	OMNI_STAT_COUNT
};

enum omni_stage {
#define X(name, text) OMNI_STAGE_##name,
	OMNI_STAGES_LIST(X)
#undef X
	OMNI_STAGE_COUNT
};

struct omni_stage_stats {
	uint64_t cycles; /* TSC */
	uint64_t frames;
	uint64_t bursts;
};

/* Written by one thread, read by control. */
struct omni_stats {
	uint64_t count[OMNI_STAT_COUNT];
	struct omni_stage_stats stage[OMNI_STAGE_COUNT];
} __attribute__((aligned(64)));

static inline void omni_stats_add(struct omni_stats *s, enum omni_stat which, uint64_t n)
{
	__atomic_store_n(&s->count[which], s->count[which] + n, __ATOMIC_RELAXED);
}

static inline void omni_stats_stage(struct omni_stats *s, enum omni_stage which, uint64_t cycles,
				    uint64_t frames)
{
	struct omni_stage_stats *st = &s->stage[which];

	__atomic_store_n(&st->cycles, st->cycles + cycles, __ATOMIC_RELAXED);
	__atomic_store_n(&st->frames, st->frames + frames, __ATOMIC_RELAXED);
	__atomic_store_n(&st->bursts, st->bursts + 1, __ATOMIC_RELAXED);
}

/* sum += s, field by field. */
void omni_stats_sum(struct omni_stats *sum, const struct omni_stats *s);

/* A copy of what another thread writes; each field is whole, together they are of no one moment. */
struct omni_stats omni_stats_read(const struct omni_stats *s);

/* Lower-case name ("replayed") and one sentence. */
const char *omni_stat_name(enum omni_stat which);
const char *omni_stat_text(enum omni_stat which);
const char *omni_stage_name(enum omni_stage which);
const char *omni_stage_text(enum omni_stage which);

#endif
