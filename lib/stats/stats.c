/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <omni_stats.h>

static const struct {
	const char *name, *text;
} stats[] =
	{
#define X(name, text) {#name, text},
		OMNI_STATS_LIST(X)
#undef X
},
  stages[] = {
#define X(name, text) {#name, text},
	  OMNI_STAGES_LIST(X)
#undef X
};

static uint64_t load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

void omni_stats_sum(struct omni_stats *sum, const struct omni_stats *s)
{
	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++)
		sum->count[i] += load(&s->count[i]);
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++) {
		sum->stage[i].cycles += load(&s->stage[i].cycles);
		sum->stage[i].frames += load(&s->stage[i].frames);
		sum->stage[i].bursts += load(&s->stage[i].bursts);
	}
}

struct omni_stats omni_stats_read(const struct omni_stats *s)
{
	struct omni_stats copy = {0};

	omni_stats_sum(&copy, s);
	return copy;
}

const char *omni_stat_name(enum omni_stat which)
{
	return which < OMNI_STAT_COUNT ? stats[which].name : "?";
}

const char *omni_stat_text(enum omni_stat which)
{
	return which < OMNI_STAT_COUNT ? stats[which].text : "?";
}

const char *omni_stage_name(enum omni_stage which)
{
	return which < OMNI_STAGE_COUNT ? stages[which].name : "?";
}

const char *omni_stage_text(enum omni_stage which)
{
	return which < OMNI_STAGE_COUNT ? stages[which].text : "?";
}
