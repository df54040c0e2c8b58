/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the subcommands of omni-bench share: their table, numbers on the command line, EAL. */
#ifndef OMNI_BENCH_COMMAND_H
#define OMNI_BENCH_COMMAND_H

#include <stdbool.h>

#include <omni_eal.h>

/* Exit statuses: 0, 1 for what went wrong while it ran, and this for a wrong command line. */
#define COMMAND_USAGE 2

/* argv[0] is the subcommand's name, for getopt_long; optind stands at 1. */
struct command_line {
	int argc;
	char **argv;
	int eal_argc; /* the program's name and what stood before "--" */
	char **eal_argv;
};

/* One file each; the exit status comes back. */
int bench_command_datapath(const struct command_line *line);
int bench_command_generate(const struct command_line *line);
int bench_command_aead(const struct command_line *line);
int bench_command_handshake(const struct command_line *line);

/* Say what is wrong with an option and what was expected: COMMAND_USAGE. */
int command_bad(const char *what, const char *value, const char *want);

/* A whole number from low to high into out: 0 or COMMAND_USAGE, said on stderr. */
int command_number(const char *what, const char *text, unsigned int low, unsigned int high,
		   unsigned int *out);

/* What a subcommand wants of DPDK unless the user says otherwise. */
struct command_eal {
	unsigned int lcores; /* each on one of the last CPUs that we may use */
	bool main_sleeps;    /* so it shares the first CPU of the others */
	unsigned int memory_mb;
	const char *allow[2]; /* PCI devices to look at; NULL: none */
	bool started;
	struct omni_eal_args args;
};

/* 0, or an exit status and a sentence on stderr. */
int command_eal_start(struct command_eal *eal, const struct command_line *line);
void command_eal_stop(struct command_eal *eal);

#endif
