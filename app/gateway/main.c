/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dpdk-omni: the gateway's command. What it runs is in gateway.c. */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_cli.h>
#include <omni_crypto.h>
#include <omni_log.h>
#include <omni_nucleus_app.h>
#include <omni_secret.h>

#include "gateway.h"

#define EXIT_USAGE 2

/* Keys live in memory: no core file, and no other process of this user may look in. */
static void forbid_core_dumps(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef OMNI_SANITIZE /* the leak checker needs ptrace */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* The folder that path is in; what it will hold is for its owner alone. */
static int make_folder(const char *path)
{
	char copy[OMNI_CONFIG_PATH_LEN];

	snprintf(copy, sizeof(copy), "%s", path);
	return mkdir(dirname(copy), 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_identity(const char *path)
{
	char dh[OMNI_KEY_B64_LEN], sign[OMNI_KEY_B64_LEN];
	struct omni_identity id;
	struct omni_key seed;
	struct omni_err err;
	int rc;

	rc = make_folder(path);
	if (rc < 0) {
		fprintf(stderr, "dpdk-omni: cannot make the folder of %s: %s\n", path,
			strerror(-rc));
		return EXIT_FAILURE;
	}
	omni_random(&seed, sizeof(seed));
	rc = omni_identity_create(&id, path, &seed, &err);
	omni_wipe(&seed, sizeof(seed));
	if (rc < 0) {
		fprintf(stderr, "dpdk-omni: %s\n", err.text);
		return EXIT_FAILURE;
	}
	printf("identity: %s\nkey: %s\ned25519: %s\n", path, omni_key_text(dh, &id.dh.public),
	       omni_key_text(sign, &id.sign_public));
	omni_identity_wipe(&id);
	return EXIT_SUCCESS;
}

static int act(struct omni_cli *cli, const struct omni_cli_split *split, bool *lingers)
{
	struct omni_config *config = cli->config;

	switch (cli->action) {
	case OMNI_CLI_HELP:
		fputs(omni_cli_help(), stdout);
		return EXIT_SUCCESS;
	case OMNI_CLI_VERSION:
		printf("dpdk-omni %s\n", OMNI_VERSION);
		return EXIT_SUCCESS;
	case OMNI_CLI_TEST:
		for (unsigned int i = 0; i < config->n_warnings; i++)
			fprintf(stderr, "dpdk-omni: %s\n", config->warnings[i]);
		printf("%s: configuration is good\n",
		       config->path[0] != '\0' ? config->path : "flags");
		return EXIT_SUCCESS;
	case OMNI_CLI_INIT:
		return make_identity(cli->identity);
	case OMNI_CLI_NUCLEUS:
		return omni_nucleus_main(cli->argc, cli->argv);
	case OMNI_CLI_RUN:
		break;
	}
	cli->config = NULL;
	return gateway_run(config, split->eal_argc, split->eal_argv, lingers);
}

int main(int argc, char **argv)
{
	struct omni_cli_split split;
	struct omni_cli cli;
	struct omni_err err;
	bool lingers = false;
	int status;

	forbid_core_dumps();
	signal(SIGPIPE, SIG_IGN); /* a management client that went away is an error of its write */
	if (omni_crypto_init() < 0) {
		fprintf(stderr, "dpdk-omni: libsodium did not start\n");
		return EXIT_FAILURE;
	}
	if (omni_cli_split(&split, argc, argv, &err) < 0 ||
	    omni_cli_parse(&cli, split.argc, split.argv, &err) < 0) {
		fprintf(stderr, "dpdk-omni: %s\n", err.text);
		return EXIT_USAGE;
	}
	status = act(&cli, &split, &lingers);
	omni_cli_free(&cli);
	if (lingers && fflush(NULL) == 0)
		_exit(status);
	return status;
}
