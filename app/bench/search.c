/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "search.h"

/* A generator that offers less than this part of the rate asked for cannot reach it. */
#define REACHED 0.99

void search_begin(struct search *s, double limit, double resolution)
{
	*s = (struct search){.high = limit, .resolution = resolution * limit, .rate = limit};
	if (limit <= 0)
		s->resolution = -resolution; /* a part of what the first trial offers */
}

void search_next(struct search *s, double offered, bool passed)
{
	bool reached = s->rate > 0 && offered >= s->rate * REACHED;
	double tried = reached ? s->rate : offered;

	if (s->resolution < 0)
		s->resolution *= -offered;
	if (passed) {
		if (tried > s->low)
			s->low = tried;
		s->limited = !reached;
		s->done = !reached || s->low >= s->high;
	} else if (s->high <= 0 || tried < s->high) {
		s->high = tried;
	}
	if (s->high - s->low <= s->resolution)
		s->done = true;
	s->rate = (s->low + s->high) / 2;
}
