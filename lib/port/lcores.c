/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How many lcores EAL's options ask for, read before EAL starts. */
#include <stdlib.h>
#include <string.h>

#include <omni_eal.h>

/* Lcores of "2", "2-5" or "2,4-6"; reads up to a closing bracket or the end. */
static unsigned int count_list(const char **at)
{
	unsigned int n = 0;

	for (;;) {
		char *end;
		unsigned long first = strtoul(*at, &end, 10), last = first;

		if (end == *at)
			return 0;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		n += (unsigned int)(last >= first ? last - first : first - last) + 1;
		*at = end;
		if (*end != ',')
			return n;
		(*at)++;
	}
}

/* "0@0,1@1", "(0-7)@(0-1)", "0-3", mixed: what stands before an @ counts. */
static unsigned int count_map(const char *at)
{
	unsigned int n = 0;

	while (*at != '\0') {
		bool bracket = *at == '(';
		char *end;

		if (bracket) {
			at++;
			n += count_list(&at);
		} else {
			unsigned long first = strtoul(at, &end, 10), last = first;

			if (end != at && *end == '-')
				last = strtoul(end + 1, &end, 10);
			n += end != at && last >= first ? (unsigned int)(last - first) + 1 : 0;
		}
		/* On to the next one: past the CPUs, which may stand in brackets too. */
		for (bracket = false; *at != '\0' && (bracket || *at != ','); at++)
			bracket = *at == '(' || (bracket && *at != ')');
		if (*at == ',')
			at++;
	}
	return n;
}

static unsigned int count_mask(const char *mask)
{
	return (unsigned int)__builtin_popcountll(strtoull(mask, NULL, 16));
}

/* The value of an option given as NAME VALUE, NAMEVALUE (short ones) or NAME=VALUE. */
static const char *value_of(int argc, char *const *argv, int i, const char *name)
{
	size_t len = strlen(name);
	const char *arg = argv[i];

	if (arg == NULL || strncmp(arg, name, len) != 0)
		return NULL;
	if (arg[len] == '\0')
		return i + 1 < argc ? argv[i + 1] : NULL;
	if (arg[len] == '=')
		return arg + len + 1;
	return name[1] != '-' ? arg + len : NULL;
}

unsigned int omni_eal_count_lcores(int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++) {
		const char *text;

		if ((text = value_of(argc, argv, i, "--lcores")) != NULL)
			return count_map(text);
		if ((text = value_of(argc, argv, i, "-l")) != NULL)
			return count_map(text);
		if ((text = value_of(argc, argv, i, "-c")) != NULL)
			return count_mask(text);
	}
	return 0;
}
