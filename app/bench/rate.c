/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rate.h"
#include "traffic.h"

static const struct {
	const char *name;
	enum rate_unit unit;
	double factor;
} units[] = {
	{"pps", RATE_PPS, 1},	 {"kpps", RATE_PPS, 1e3}, {"mpps", RATE_PPS, 1e6},
	{"kbps", RATE_BPS, 1e3}, {"mbps", RATE_BPS, 1e6}, {"gbps", RATE_BPS, 1e9},
	{"%", RATE_PART, 0.01},
};

int rate_parse(struct rate *rate, const char *text, struct omni_err *err)
{
	char *end;
	double v = strtod(text, &end);

	if (strcasecmp(text, "max") == 0) {
		*rate = (struct rate){.unit = RATE_MAX};
		return 0;
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(units); i++) {
		if (end == text || strcasecmp(end, units[i].name) != 0)
			continue;
		*rate = (struct rate){units[i].unit, v * units[i].factor};
		if (v > 0 && v < 1e12 && (rate->unit != RATE_PART || v <= 100))
			return 0;
	}
	return omni_fail(err, -EINVAL,
			 "\"%s\" is no rate, expected max or a number over zero with pps, kpps, "
			 "mpps, kbps, mbps, gbps or %% (up to 100) behind it",
			 text);
}

/* FROM..TO/N */
static int parse_range(struct rate steps[RATE_STEPS_MAX], char *text, struct omni_err *err)
{
	char *to = strstr(text, ".."), *slash = strchr(to, '/'), *end = NULL;
	struct rate from, last;
	unsigned long n = slash != NULL ? strtoul(slash + 1, &end, 10) : 0;

	if (slash == NULL || *end != '\0' || n < 2 || n > RATE_STEPS_MAX)
		return omni_fail(err, -EINVAL, "\"%s\": expected FROM..TO/N with N from 2 to %d",
				 text, RATE_STEPS_MAX);
	*to = '\0';
	*slash = '\0';
	if (rate_parse(&from, text, err) != 0 || rate_parse(&last, to + 2, err) != 0)
		return -EINVAL;
	if (from.unit != last.unit || from.unit == RATE_MAX)
		return omni_fail(err, -EINVAL, "%s and %s: expected two rates of one unit", text,
				 to + 2);
	for (unsigned long i = 0; i < n; i++)
		steps[i] =
			(struct rate){from.unit, from.value + (last.value - from.value) *
								      (double)i / (double)(n - 1)};
	return (int)n;
}

int rate_parse_steps(struct rate steps[RATE_STEPS_MAX], const char *text, struct omni_err *err)
{
	char copy[1024], *rest = NULL;
	int n = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return omni_fail(err, -EINVAL, "the list of rates is too long");
	if (strstr(copy, "..") != NULL)
		return parse_range(steps, copy, err);
	for (char *one = strtok_r(copy, ",", &rest); one != NULL;
	     one = strtok_r(NULL, ",", &rest)) {
		if (n == RATE_STEPS_MAX)
			return omni_fail(err, -EINVAL, "more than %d rates", RATE_STEPS_MAX);
		if (rate_parse(&steps[n++], one, err) != 0)
			return -EINVAL;
	}
	return n > 0 ? n : omni_fail(err, -EINVAL, "no rate, expected a list of them");
}

double rate_pps(const struct rate *rate, double size, double line_bps)
{
	switch (rate->unit) {
	case RATE_PPS:
		return rate->value;
	case RATE_BPS:
		return rate->value / 8 / size;
	case RATE_PART:
		return rate->value * line_bps / 8 / (size + TRAFFIC_WIRE_EXTRA);
	default:
		return 0;
	}
}
