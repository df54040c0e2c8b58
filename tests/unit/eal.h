/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Starts DPDK for a unit test: ordinary memory, one lcore, nothing left behind. */
#ifndef TESTS_EAL_H
#define TESTS_EAL_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

static inline int eal_setup(void **state)
{
	static char text[256];
	char *argv[32], *save = NULL;
	int argc = 0;

	(void)state;
	snprintf(text, sizeof(text),
		 "test --no-huge -m 256 --no-shconf --no-pci --iova-mode=va --no-telemetry -l 0 "
		 "--log-level lib.eal:error --file-prefix=omni_unit_%d",
		 (int)getpid());
	for (char *at = strtok_r(text, " ", &save); at != NULL; at = strtok_r(NULL, " ", &save))
		argv[argc++] = at;
	argv[argc] = NULL;
	return rte_eal_init(argc, argv) < 0 ? -1 : 0;
}

static inline int eal_teardown(void **state)
{
	char dir[96];

	(void)state;
	rte_eal_cleanup();
	snprintf(dir, sizeof(dir), "/run/dpdk/omni_unit_%d", (int)getpid());
	rmdir(dir);
	return 0;
}

#endif
