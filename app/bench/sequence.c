/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sequence.h"

#define WINDOW_MAX 65536
#define WINDOW_MIN 64
#define BITS_TOTAL (UINT64_C(1) << 26) /* 8 MB */

static uint32_t window_for(uint32_t flows)
{
	uint32_t window = WINDOW_MAX;

	while (window > WINDOW_MIN && (uint64_t)window * flows > BITS_TOTAL)
		window /= 2;
	return window;
}

int sequence_create(struct sequence *s, uint32_t flows)
{
	s->flows = flows;
	s->window = window_for(flows);
	s->next = calloc(flows, sizeof(*s->next));
	s->seen = calloc((size_t)flows * s->window / 64, sizeof(*s->seen));
	if (s->next != NULL && s->seen != NULL)
		return 0;
	sequence_free(s);
	return -ENOMEM;
}

void sequence_free(struct sequence *s)
{
	free(s->next);
	free(s->seen);
	s->next = NULL;
	s->seen = NULL;
}

void sequence_clear(struct sequence *s)
{
	memset(s->next, 0, s->flows * sizeof(*s->next));
	memset(s->seen, 0, (size_t)s->flows * s->window / 8);
}

static uint64_t *word(const struct sequence *s, uint32_t flow, uint32_t number)
{
	return &s->seen[((size_t)flow * s->window + (number & (s->window - 1))) / 64];
}

static uint64_t bit(uint32_t number)
{
	return UINT64_C(1) << (number % 64);
}

/* Numbers from next up to number are not here yet; what they were a window ago is forgotten. */
static void forget(const struct sequence *s, uint32_t flow, uint32_t next, uint32_t number)
{
	if (number - next >= s->window)
		memset(word(s, flow, 0), 0, s->window / 8);
	else
		for (; next != number; next++)
			*word(s, flow, next) &= ~bit(next);
}

enum sequence_verdict sequence_take(struct sequence *s, uint32_t flow, uint32_t number,
				    uint32_t *distance)
{
	uint32_t next = s->next[flow], behind = next - number;
	uint64_t *w = word(s, flow, number), b = bit(number);

	if ((int32_t)(number - next) >= 0) {
		forget(s, flow, next, number);
		*w |= b;
		s->next[flow] = number + 1;
		return SEQUENCE_NEW;
	}
	if (behind > s->window)
		return SEQUENCE_STALE;
	if ((*w & b) != 0)
		return SEQUENCE_DUPLICATE;
	*w |= b;
	*distance = behind - 1;
	return SEQUENCE_LATE;
}
