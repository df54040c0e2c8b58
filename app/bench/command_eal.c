/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* DPDK for a subcommand: the user's own options, and what they leave open. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "command.h"

#define ARGS_MAX (OMNI_EAL_ARGS_MAX - 16)
#define LCORES_LEN (RTE_MAX_LCORE * (sizeof("1234@1234,") - 1) + sizeof("--lcores="))

static bool has_option(const struct command_line *line, const char *const *names)
{
	for (int i = 1; i < line->eal_argc; i++)
		for (const char *const *name = names; *name != NULL; name++)
			if (strncmp(line->eal_argv[i], *name, strlen(*name)) == 0)
				return true;
	return false;
}

/* A place of its own for each lcore: the n last CPUs of set, in ascending order. */
static void put_cpus(char *out, size_t len, const cpu_set_t *set, unsigned int n, bool main_sleeps)
{
	unsigned int skip = (unsigned int)CPU_COUNT(set) - n, lcore = 0;
	int at = snprintf(out, len, "--lcores=");

	for (int cpu = 0; cpu < CPU_SETSIZE && lcore < n + main_sleeps; cpu++) {
		if (!CPU_ISSET(cpu, set) || skip > 0) {
			skip -= CPU_ISSET(cpu, set) != 0;
			continue;
		}
		if (lcore == 0 && main_sleeps)
			at += snprintf(out + at, len - (size_t)at, "%u@%d,", lcore++, cpu);
		at += snprintf(out + at, len - (size_t)at, "%u@%d,", lcore++, cpu);
	}
	out[at - 1] = '\0';
}

/* The last CPUs that we may use: interrupts and the shell like the first ones. */
static int choose_cpus(char *out, size_t len, const struct command_eal *eal)
{
	unsigned int n = eal->lcores - eal->main_sleeps, have;
	cpu_set_t set;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	have = (unsigned int)CPU_COUNT(&set);
	if (have >= n) {
		put_cpus(out, len, &set, n, eal->main_sleeps);
		return 0;
	}
	fprintf(stderr, "omni-bench: %u CPUs are wanted, %u may be used\n", n, have);
	return COMMAND_USAGE;
}

int command_eal_start(struct command_eal *eal, const struct command_line *line)
{
	static const char *const lcore_options[] = {"-l", "-c", "-s", "-S", "--lcores", NULL};
	static const char *const log_options[] = {"--log-level", NULL};
	static char allow[] = "-a", pci[2][256];
	static char lcores[LCORES_LEN], level[] = "--log-level=4";
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
		int rc = choose_cpus(lcores, sizeof(lcores), eal);

		if (rc != 0)
			return rc;
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
