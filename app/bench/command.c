/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"

int command_bad(const char *what, const char *value, const char *want)
{
	fprintf(stderr, "omni-bench: %s \"%s\": expected %s\n", what, value, want);
	return COMMAND_USAGE;
}

int command_number(const char *what, const char *text, unsigned int low, unsigned int high,
		   unsigned int *out)
{
	char *end, want[64];
	unsigned long v = strtoul(text, &end, 10);

	*out = (unsigned int)v;
	if (*text >= '0' && *text <= '9' && *end == '\0' && v >= low && v <= high)
		return 0;
	snprintf(want, sizeof(want), "a number from %u to %u", low, high);
	return command_bad(what, text, want);
}
