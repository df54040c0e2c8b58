/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* DPDK for a subcommand: the user's own options, and what they leave open. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "command.h"

#define ARGS_MAX (OMNI_EAL_ARGS_MAX - 16)

static bool has_option(const struct command_line *line, const char *const *names)
{
	for (int i = 1; i < line->eal_argc; i++)
		for (const char *const *name = names; *name != NULL; name++)
			if (strncmp(line->eal_argv[i], *name, strlen(*name)) == 0)
				return true;
	return false;
}

/* The last CPUs that we may use: interrupts and the shell like the first ones. */
static void last_cpus(char *out, size_t len, unsigned int n)
{
	int cpu[2] = {0, 0};
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int i = 0; i < CPU_SETSIZE; i++)
			if (CPU_ISSET(i, &set)) {
				cpu[0] = cpu[1];
				cpu[1] = i;
			}
	if (n == 1)
		snprintf(out, len, "--lcores=0@%d", cpu[1]);
	else
		snprintf(out, len, "--lcores=0@%d,1@%d", cpu[0], cpu[1]);
}

int command_eal_start(struct command_eal *eal, const struct command_line *line)
{
	static const char *const lcore_options[] = {"-l", "-c", "-s", "-S", "--lcores", NULL};
	static const char *const log_options[] = {"--log-level", NULL};
	static char allow[] = "-a", pci[2][256];
	static char lcores[40], level[] = "--log-level=4";
	static char *argv[OMNI_EAL_ARGS_MAX];
	struct omni_eal_request request = {
		.argv = argv,
		.mem_mb = eal->memory_mb,
		.free_huge_mb = omni_eal_free_huge_mb(),
	};
	struct omni_err err;

	if (line->eal_argc > ARGS_MAX) {
		fprintf(stderr, "omni-bench: more than %d words before --\n", ARGS_MAX);
		return COMMAND_USAGE;
	}
	memcpy(argv, line->eal_argv, (size_t)line->eal_argc * sizeof(*argv));
	request.argc = line->eal_argc;
	if (!has_option(line, lcore_options)) {
		last_cpus(lcores, sizeof(lcores), eal->lcores);
		argv[request.argc++] = lcores;
	}
	if (!has_option(line, log_options))
		argv[request.argc++] = level;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(eal->allow); i++) {
		if (eal->allow[i] == NULL)
			continue;
		snprintf(pci[i], sizeof(pci[i]), "%s", eal->allow[i]);
		argv[request.argc++] = allow;
		argv[request.argc++] = pci[i];
		request.pci = true;
	}
	if (omni_eal_build_args(&eal->args, &request, &err) != 0) {
		fprintf(stderr, "omni-bench: %s\n", err.text);
		return COMMAND_USAGE;
	}
	if (rte_eal_init(eal->args.argc, eal->args.argv) < 0) {
		fprintf(stderr, "omni-bench: cannot start DPDK: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	eal->started = true;
	return 0;
}

void command_eal_stop(struct command_eal *eal)
{
	/* Not rte_eal_cleanup: memif's interrupt handlers may still run (app/gateway/eal.c). */
	if (eal->started)
		omni_eal_cleanup(&eal->args);
}
