/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The gateway's command line: EAL's arguments, "--", ours. Nothing here starts DPDK.
 *
 *	omni_cli_split -> omni_cli_parse -> by action; omni_cli_free
 */
#ifndef OMNI_CLI_H
#define OMNI_CLI_H

#include <stdbool.h>

#include <omni_config.h>

enum omni_cli_action {
	OMNI_CLI_RUN,	  /* config is there */
	OMNI_CLI_TEST,	  /* config is there: it was good; nothing to do but say so */
	OMNI_CLI_INIT,	  /* create the identity at `identity` */
	OMNI_CLI_HELP,	  /* print omni_cli_help() */
	OMNI_CLI_VERSION, /* print the version */
	OMNI_CLI_NUCLEUS, /* run omni-nucleus with argc and argv */
};

struct omni_cli_split {
	int eal_argc;	 /* program name and everything before "--" */
	char **eal_argv; /* the caller's argv */
	int argc;	 /* everything behind it */
	char **argv;
};

struct omni_cli {
	enum omni_cli_action action;
	struct omni_config *config; /* RUN, TEST; owned until taken (set it to NULL) */
	char identity[OMNI_CONFIG_PATH_LEN];
	int argc; /* NUCLEUS: arguments, program name first; else 0 */
	char **argv;
	char program[16];
};

/*
 * Divide the command line at the first "--". Without one, only --help, --version, --init,
 * --test, --config and what may follow them are ours; anything else is EAL's, and where it
 * looks like ours err says to put "--" in front. 0 or -EINVAL. Pure.
 */
int omni_cli_split(struct omni_cli_split *out, int argc, char **argv,
		   struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Parse our own arguments (no program name in front) and load or build the configuration.
 * The text of --secret is overwritten in argv as soon as it is read. 0; -EINVAL for a wrong
 * command line or configuration, with a sentence in err. Before any thread is started.
 */
int omni_cli_parse(struct omni_cli *cli, int argc, char **argv,
		   struct omni_err *err) OMNI_MUST_CHECK;

/* Free what cli owns, wiping secrets. */
void omni_cli_free(struct omni_cli *cli);

/* The manual page that --help prints. */
const char *omni_cli_help(void);

/*
 * Name of the interface of the default route with the lowest metric, from files in the form of
 * /proc/net/route and /proc/net/ipv6_route; the second counts where the first has none.
 * 0, or -ENOENT with a sentence in err.
 */
int omni_cli_default_interface(char out[IFNAMSIZ], const char *route, const char *ipv6_route,
			       struct omni_err *err) OMNI_MUST_CHECK;

#endif
