/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include <omni_log.h>

#include "gateway.h"

#define USER_ARGS_MAX 32
/* The user's, lcores, and two for each NIC. */
#define ARGS_MAX (USER_ARGS_MAX + 1 + 2 * OMNI_CONFIG_PORTS_MAX)
/* Tables at their default limits: MAC table, RCU, rings. */
#define TABLES_MB 96
/* A worker's lists, reassembly and rings. */
#define WORKER_MB 2

/* True where the user says which CPUs to use. */
static bool has_lcore_option(int argc, char **argv)
{
	static const char *const shorts[] = {"-l", "-c", "-s", "-S"};

	for (int i = 1; i < argc; i++) {
		for (size_t j = 0; j < OMNI_ARRAY_SIZE(shorts); j++) {
			if (strncmp(argv[i], shorts[j], 2) == 0)
				return true;
		}
		if (strncmp(argv[i], "--lcores", 8) == 0)
			return true;
	}
	return false;
}

/* Control and one worker on the first two CPUs that we may use, or both on the only one. */
static int default_lcores(char *out, size_t len)
{
	int cpu[2] = {-1, -1};
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	for (int i = 0, n = 0; i < CPU_SETSIZE && n < 2; i++) {
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	}
	if (cpu[1] < 0)
		cpu[1] = cpu[0];
	snprintf(out, len, "--lcores=0@%d,1@%d", cpu[0], cpu[1]);
	return 0;
}

static int take_lcores(struct gateway *gw, struct omni_err *err)
{
	unsigned int workers = rte_lcore_count() - 1;

	if (workers < 1)
		return omni_fail(
			err, -EINVAL,
			"one lcore is not enough: control needs one and the worker another, "
			"for example -l 0-1 (on one CPU: --lcores '0@0,1@0')");
	if (workers > OMNI_NODE_WORKERS_MAX)
		return omni_fail(err, -EINVAL,
				 "%u worker lcores were asked for, and %d is the most: a session "
				 "has %d lanes, one for control and one for each worker",
				 workers, OMNI_NODE_WORKERS_MAX, OMNI_LANES_MAX);
	gw->n_workers = workers;
	return 0;
}

/* -a ADDRESS for each NIC of our own; DPDK leaves the others alone. */
static void allow_pci(struct omni_eal_request *request, char **args, const struct gateway *gw)
{
	static char dash_a[] = "-a";

	for (unsigned int i = 0; i < gw->config->n_ports; i++) {
		struct omni_config_port *port = &gw->config->ports[i];

		if (strcmp(port->driver, "pci") != 0)
			continue;
		args[request->argc++] = dash_a;
		args[request->argc++] = port->device;
		request->pci = true;
	}
}

/* As the options say, for the size of memory; EAL says in the end how many there are. */
static unsigned int count_workers(int argc, char **argv)
{
	unsigned int n = omni_eal_count_lcores(argc, argv);

	return n < 2 ? 1 : OMNI_MIN(n - 1, OMNI_NODE_WORKERS_MAX);
}

int gateway_eal_start(struct gateway *gw, int argc, char **argv, struct omni_err *err)
{
	static char *args[ARGS_MAX];
	static char lcores[32];
	struct omni_eal_request request = {
		.argv = args,
		.free_huge_mb = omni_eal_free_huge_mb(),
	};
	int rc;

	if (argc > USER_ARGS_MAX)
		return omni_fail(err, -E2BIG, "more than %d arguments before --", USER_ARGS_MAX);
	memcpy(args, argv, (size_t)argc * sizeof(*argv));
	request.argc = argc;
	if (!has_lcore_option(argc, argv)) {
		rc = default_lcores(lcores, sizeof(lcores));
		if (rc < 0)
			return omni_fail(err, rc, "cannot read the CPU affinity: %s",
					 strerror(-rc));
		args[request.argc++] = lcores;
	}
	allow_pci(&request, args, gw);
	gw->n_workers = count_workers(request.argc, args);
	request.mem_mb = TABLES_MB + gw->n_workers * WORKER_MB + gateway_pools_mb(gw);
	rc = omni_eal_build_args(&gw->eal, &request, err);
	if (rc < 0)
		return rc;
	if (gw->eal.warning[0] != '\0')
		omni_log_warn("eal", gw->eal.warning, "%s", "");
	if (rte_eal_init(gw->eal.argc, gw->eal.argv) < 0)
		return omni_fail(err, -rte_errno,
				 "DPDK did not start: %s (its own lines above say more)",
				 rte_strerror(rte_errno));
	gw->eal_started = true;
	return take_lcores(gw, err);
}

void gateway_eal_stop(struct gateway *gw)
{
	if (!gw->eal_started)
		return;
	/*
	 * Not rte_eal_cleanup: it unmaps memory in which EAL's interrupt thread, awake because
	 * of the same clean-up, still walks the handlers that memif leaves (one exit in ten
	 * crashed). The memory goes with the process; nothing of it is in files.
	 */
	omni_eal_cleanup(&gw->eal);
}
