/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The command line: what is ours, what it asks for. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <omni_cli.h>
#include <omni_secret.h>
#include <omni_wg_quick.h>

#include "config.h"
#include "flags.h"
#include "value.h"

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"wg", required_argument, NULL, 'w'},
	{"test", no_argument, NULL, 't'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"init", no_argument, NULL, 'i'},
	{"mode", required_argument, NULL, 'm'},
	{"identity", required_argument, NULL, 'I'},
	{"socket", required_argument, NULL, 'S'},
	{"log-level", required_argument, NULL, 'L'},
	{"nucleus", required_argument, NULL, FLAG_NUCLEUS},
	{"cluster", required_argument, NULL, FLAG_CLUSTER},
	{"secret-file", required_argument, NULL, FLAG_SECRET_FILE},
	{"secret", required_argument, NULL, FLAG_SECRET},
	{"open", no_argument, NULL, FLAG_OPEN},
	{"vip", required_argument, NULL, FLAG_VIP},
	{"interface", required_argument, NULL, FLAG_INTERFACE},
	{"port", required_argument, NULL, FLAG_PORT},
	{"cipher", required_argument, NULL, FLAG_CIPHER},
	{"peer", required_argument, NULL, FLAG_PEER},
	{NULL, 0, NULL, 0},
};

/* Everything that was said, before it is put together. */
struct said {
	bool help, version, init, test;
	const char *config, *wg, *identity, *socket, *log_level;
	struct flags flags;
};

/* Options that answer without DPDK and so may stand alone, without "--". */
static bool is_alone(const char *arg)
{
	static const char *const alone[] = {"--help",	 "-h",	    "--version", "--init",
					    "--test",	 "-t",	    "--config",	 "--mode",
					    "--config=", "--mode=", "--wg",	 "--wg="};

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(alone); i++) {
		size_t len = strlen(alone[i]);

		if (strncmp(arg, alone[i], len) == 0 &&
		    (arg[len] == '\0' || alone[i][len - 1] == '='))
			return true;
	}
	return false;
}

/* A long option of ours; EAL knows none of them but --help and --version. */
static bool is_ours(const char *arg)
{
	size_t len = strcspn(arg, "=");

	if (strncmp(arg, "--", 2) != 0)
		return false;
	for (const struct option *o = options; o->name != NULL; o++) {
		if (strlen(o->name) == len - 2 && strncmp(o->name, arg + 2, len - 2) == 0)
			return true;
	}
	return false;
}

/* EAL's -c takes a mask of cores in hexadecimal; a file's name is meant for us. */
static bool is_file_for_coremask(const char *arg, const char *next)
{
	return strcmp(arg, "-c") == 0 && next != NULL && strpbrk(next, "./_-yml") != NULL;
}

int omni_cli_split(struct omni_cli_split *out, int argc, char **argv, struct omni_err *err)
{
	int at = 1;

	while (at < argc && strcmp(argv[at], "--") != 0)
		at++;
	*out = (struct omni_cli_split){
		.eal_argc = OMNI_MIN(at, argc), .eal_argv = argv, .argv = argv + argc};
	if (at < argc) {
		out->argc = argc - at - 1;
		out->argv = argv + at + 1;
		return 0;
	}
	if (argc > 1 && is_alone(argv[1])) {
		out->eal_argc = 1;
		out->argc = argc - 1;
		out->argv = argv + 1;
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		if (is_ours(argv[i]) ||
		    is_file_for_coremask(argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			return omni_fail(err, -EINVAL,
					 "%.*s stands where DPDK's own options are expected: write "
					 "-- before ours, as in dpdk-omni -l 0-1 -- %.*s ...",
					 (int)strcspn(argv[i], "="), argv[i],
					 (int)strcspn(argv[i], "="), argv[i]);
	}
	return 0;
}

/* True (and the two words left out) where --mode nucleus is said. */
static bool take_nucleus(struct omni_cli *cli, int argc, char **argv)
{
	int found = -1, words = 0;

	for (int i = 0; i < argc && found < 0; i++) {
		if (strcmp(argv[i], "--mode=nucleus") == 0)
			found = i, words = 1;
		else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc &&
			 strcmp(argv[i + 1], "nucleus") == 0)
			found = i, words = 2;
	}
	if (found < 0)
		return false;
	cli->action = OMNI_CLI_NUCLEUS;
	cli->argv[cli->argc++] = cli->program;
	for (int i = 0; i < argc; i++) {
		if (i < found || i >= found + words)
			cli->argv[cli->argc++] = argv[i];
	}
	return true;
}

static int set_once(const char **slot, const char *name, const char *value, struct omni_err *err)
{
	if (*slot != NULL)
		return omni_fail(err, -EINVAL, "--%s stands twice, expected it once", name);
	*slot = value;
	return 0;
}

static int take_option(struct said *said, int c, const char *name, char *arg, struct omni_err *err)
{
	switch (c) {
	case 'c':
		return set_once(&said->config, "config", arg, err);
	case 'w':
		return set_once(&said->wg, "wg", arg, err);
	case 'I':
		return set_once(&said->identity, "identity", arg, err);
	case 'S':
		return set_once(&said->socket, "socket", arg, err);
	case 'L':
		return set_once(&said->log_level, "log-level", arg, err);
	case 't':
		said->test = true;
		return 0;
	case 'h':
		said->help = true;
		return 0;
	case 'V':
		said->version = true;
		return 0;
	case 'i':
		said->init = true;
		return 0;
	case 'm':
		if (strcmp(arg, "gateway") == 0)
			return 0;
		return omni_fail(err, -EINVAL,
				 "--mode: \"%s\" is not known, expected gateway or nucleus", arg);
	default:
		return flags_take(&said->flags, c, name, arg, err);
	}
}

static int scan(struct said *said, int argc, char **argv, struct omni_err *err)
{
	int c, rc, which;

	opterr = 0;
	optind = 0;
	while (which = -1, (c = getopt_long(argc, argv, ":c:th", options, &which)) != -1) {
		if (c == '?' || c == ':')
			return omni_fail(err, -EINVAL, "%.*s %s, see dpdk-omni --help",
					 (int)strcspn(argv[optind - 1], "="), argv[optind - 1],
					 c == '?' ? "is no option of ours or does not fit"
						  : "needs a value");
		rc = take_option(said, c, which >= 0 ? options[which].name : "", optarg, err);
		if (rc != 0)
			return rc;
	}
	if (optind < argc && said->test && said->config == NULL)
		said->config = argv[optind++];
	if (optind < argc)
		return omni_fail(err, -EINVAL, "\"%s\" is one word too many, see dpdk-omni --help",
				 argv[optind]);
	return 0;
}

/* The file that is there although nobody named it; NULL and a hint when there is none. */
static const char *find_file(char path[OMNI_CONFIG_PATH_LEN], struct omni_err *err)
{
	const char *home = getenv("HOME");

	if (access(OMNI_CONFIG_SYSTEM_FILE, F_OK) == 0)
		return OMNI_CONFIG_SYSTEM_FILE;
	if (home != NULL &&
	    snprintf(path, OMNI_CONFIG_PATH_LEN, "%s/%s", home, OMNI_CONFIG_HOME_FILE) <
		    OMNI_CONFIG_PATH_LEN &&
	    access(path, F_OK) == 0)
		return path;
	omni_fail(err, -ENOENT,
		  "no configuration: there is neither " OMNI_CONFIG_SYSTEM_FILE
		  " nor ~/" OMNI_CONFIG_HOME_FILE ". Name a file (dpdk-omni -- -c FILE) or say it "
		  "with flags (dpdk-omni -- --nucleus HOST:PORT --cluster NAME --secret-file "
		  "FILE), see dpdk-omni --help");
	return NULL;
}

static struct omni_config *from_wg(const char *path, struct omni_err *err)
{
	struct omni_wg_quick *wg = omni_wg_quick_load(path, err);
	struct omni_config *config;

	if (wg == NULL)
		return NULL;
	config = omni_config_from_wg_quick(wg, path, err);
	omni_wg_quick_free(wg);
	return config;
}

static struct omni_config *get_config(const struct said *said, struct omni_err *err)
{
	char path[OMNI_CONFIG_PATH_LEN];
	const char *file = said->config;

	if (flags_any(&said->flags))
		return flags_build(&said->flags, err);
	if (said->wg != NULL)
		return from_wg(said->wg, err);
	if (file == NULL)
		file = find_file(path, err);
	return file != NULL ? omni_config_load(file, err) : NULL;
}

/* What may be said beside a file too. */
static int override(struct omni_config *config, const struct said *said, struct omni_err *err)
{
	struct omni_err why;

	if (said->identity != NULL && value_path(config->identity, said->identity, &why) != 0)
		return omni_fail(err, -EINVAL, "--identity: %s", why.text);
	if (said->socket != NULL && value_socket(config->socket, said->socket, &why) != 0)
		return omni_fail(err, -EINVAL, "--socket: %s", why.text);
	if (said->log_level != NULL &&
	    value_log_level(&config->log_level, said->log_level, &why) != 0)
		return omni_fail(err, -EINVAL, "--log-level: %s", why.text);
	return 0;
}

static int decide_init(struct omni_cli *cli, const struct said *said, struct omni_err *err)
{
	struct omni_err why;

	cli->action = OMNI_CLI_INIT;
	if (said->config != NULL || said->wg != NULL || said->test || flags_any(&said->flags))
		return omni_fail(err, -EINVAL,
				 "--init goes with --identity only, expected no other option");
	if (value_path(cli->identity,
		       said->identity != NULL ? said->identity : OMNI_CONFIG_IDENTITY, &why) != 0)
		return omni_fail(err, -EINVAL, "--identity: %s", why.text);
	return 0;
}

static int decide(struct omni_cli *cli, const struct said *said, struct omni_err *err)
{
	const char *flag = flags_any(&said->flags);

	if (said->help || said->version) {
		cli->action = said->help ? OMNI_CLI_HELP : OMNI_CLI_VERSION;
		return 0;
	}
	if (said->init)
		return decide_init(cli, said, err);
	if (said->config != NULL && flag != NULL)
		return omni_fail(err, -EINVAL,
				 "--%s does not go with a file (%s), expected one or the other",
				 flag, said->config);
	if (said->wg != NULL && (said->config != NULL || flag != NULL || said->identity != NULL))
		return omni_fail(err, -EINVAL,
				 "--%s does not go with --wg (%s), expected one or the other",
				 said->config != NULL ? "config"
				 : flag != NULL	      ? flag
						      : "identity",
				 said->wg);
	cli->action = said->test ? OMNI_CLI_TEST : OMNI_CLI_RUN;
	cli->config = get_config(said, err);
	if (cli->config == NULL || override(cli->config, said, err) != 0)
		return -EINVAL;
	memcpy(cli->identity, cli->config->identity, sizeof(cli->identity));
	return 0;
}

int omni_cli_parse(struct omni_cli *cli, int argc, char **argv, struct omni_err *err)
{
	struct said said = {0};
	int rc = -ENOMEM;

	memset(cli, 0, sizeof(*cli));
	strcpy(cli->program, "dpdk-omni");
	cli->argv = calloc((size_t)argc + 2, sizeof(*cli->argv));
	if (cli->argv == NULL)
		return omni_fail(err, rc, "out of memory");
	if (take_nucleus(cli, argc, argv))
		return 0;
	cli->argv[0] = cli->program;
	if (argc > 0)
		memcpy(cli->argv + 1, argv, (size_t)argc * sizeof(*argv));
	rc = scan(&said, argc + 1, cli->argv, err);
	if (rc == 0)
		rc = decide(cli, &said, err);
	flags_wipe(&said.flags);
	if (rc != 0)
		omni_cli_free(cli);
	return rc;
}

void omni_cli_free(struct omni_cli *cli)
{
	omni_config_free(cli->config);
	free(cli->argv);
	cli->config = NULL;
	cli->argv = NULL;
	cli->argc = 0;
}
