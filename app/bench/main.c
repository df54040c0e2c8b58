/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-bench: finds the subcommand and hands it its part of the command line. */
#include <stdio.h>
#include <string.h>

#include <omni_base.h>

#include "command.h"

static const struct {
	const char *name, *what;
	int (*run)(const struct command_line *line);
} commands[] = {
	{"datapath", "the stages of one worker over memory ports, one core",
	 bench_command_datapath},
	{"generate", "test frames through any device between real ports", bench_command_generate},
	{"aead", "the ciphers alone, every code that this CPU can run, one core",
	 bench_command_aead},
	{"handshake", "the cryptography of handshakes, one core", bench_command_handshake},
};

static void usage(FILE *out)
{
	fprintf(out, "usage: omni-bench [EAL OPTIONS --] SCENARIO [options]\n"
		     "\n"
		     "Measures. Scenarios:\n"
		     "\n");
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
	fprintf(out,
		"\n"
		"omni-bench SCENARIO --help tells its options. What stands before -- goes to\n"
		"DPDK, for example -l 2,3 for the CPUs to use or -a 0000:03:00.1 for a device.\n"
		"\n"
		"Exit status: 0, 1 when something went wrong on the way, 2 for a wrong\n"
		"command line.\n");
}

/* Cut at the first "--"; without one EAL gets the program's name alone. */
static struct command_line split(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	if (at == argc)
		return (struct command_line){argc - 1, argv + 1, 1, argv};
	return (struct command_line){argc - at - 1, argv + at + 1, at, argv};
}

int main(int argc, char **argv)
{
	struct command_line line = split(argc, argv);

	if (line.argc < 1) {
		usage(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(line.argv[0], "--help") == 0 || strcmp(line.argv[0], "-h") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(commands); i++)
		if (strcmp(line.argv[0], commands[i].name) == 0)
			return commands[i].run(&line);
	fprintf(stderr, "omni-bench: there is no scenario \"%s\", see omni-bench --help\n",
		line.argv[0]);
	return COMMAND_USAGE;
}
