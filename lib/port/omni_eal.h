/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The arguments of rte_eal_init, which cannot be tried twice: built once, from facts. */
#ifndef OMNI_EAL_H
#define OMNI_EAL_H

#include <stdbool.h>
#include <stddef.h>

#include <omni_base.h>

#define OMNI_EAL_ARGS_MAX 64
#define OMNI_EAL_PREFIX_LEN 64

struct omni_eal_request {
	int argc;		   /* the user's own: program name and options before "--" */
	char *const *argv;	   /* must live as long as the arguments built from it */
	unsigned int mem_mb;	   /* memory that pools and tables need */
	unsigned int free_huge_mb; /* omni_eal_free_huge_mb() */
	bool pci;		   /* a port of kind pci is configured */
};

struct omni_eal_args {
	int argc;
	char *argv[OMNI_EAL_ARGS_MAX + 1]; /* zero-terminated; for rte_eal_init */
	bool hugepages;			   /* what was chosen */
	bool own_prefix; /* prefix is ours: omni_eal_cleanup removes its directory */
	char prefix[OMNI_EAL_PREFIX_LEN];
	char warning[256]; /* sentence to log; "" for none */
	char text[384];	   /* storage of the arguments that were added */
};

/* Megabytes of 2 MB and 1 GB hugepages that are free now. */
unsigned int omni_eal_free_huge_mb(void);

/*
 * Lcores that -l, -c or --lcores ask for, for sizing memory before EAL starts; 0 where none of
 * them is given or it says nothing that EAL would take. Pure.
 */
unsigned int omni_eal_count_lcores(int argc, char *const *argv);

/*
 * Build the arguments: the user's, then what they did not choose themselves. With enough free
 * hugepages --in-memory --single-file-segments --iova-mode=va, without any --no-huge -m N
 * --no-shconf --iova-mode=va and a warning; --no-pci unless pci; --no-telemetry; EAL's
 * warnings only; a file prefix of our own. 0, or -E2BIG, or -EINVAL for contradictions, with a
 * sentence in err. Pure.
 */
int omni_eal_build_args(struct omni_eal_args *out, const struct omni_eal_request *request,
			struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Remove what EAL leaves in /run/dpdk (or XDG_RUNTIME_DIR/dpdk) under our own prefix, and what
 * processes of ours that no longer run left there. After rte_eal_cleanup. A prefix the user
 * chose stays.
 */
void omni_eal_cleanup(const struct omni_eal_args *args);

#endif
