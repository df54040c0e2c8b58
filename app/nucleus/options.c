/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_log.h>
#include <omni_wire.h>

#include "options.h"

static const char help[] =
	"NAME\n"
	"  omni-nucleus - rendezvous server of dpdk-omni clusters\n"
	"\n"
	"SYNOPSIS\n"
	"  omni-nucleus [--port N] [--listen ADDR] [--allow FILE] [--key FILE]\n"
	"               [--log-level LEVEL]\n"
	"\n"
	"DESCRIPTION\n"
	"  Members of a cluster register here and find one another's keys and addresses.\n"
	"  Traffic between members never passes through. A Nucleus needs no configuration, no\n"
	"  root and no cluster secret: a cluster's id names its room, and members prove to each\n"
	"  other with signed records that they belong. It sees keys, virtual addresses and\n"
	"  endpoints, and who asks for whom.\n"
	"\n"
	"OPTIONS\n"
	"  -p, --port N           UDP port (51820)\n"
	"  -l, --listen ADDR      IPv4 or IPv6 address (every address of both families)\n"
	"  -a, --allow FILE       serve only the clusters whose ids FILE lists: one a line, in\n"
	"                         base64 as `omnictl status` prints it; # begins a comment\n"
	"  -k, --key FILE         identity; made if it is missing ($STATE_DIRECTORY/nucleus.key,\n"
	"                         without that variable /var/lib/omni/nucleus.key)\n"
	"      --log-level LEVEL  error, warn, info or debug (info)\n"
	"  -h, --help             this text\n"
	"  -V, --version          the version\n"
	"\n"
	"SIGNALS\n"
	"  SIGTERM, SIGINT        stop\n"
	"  SIGUSR1                write the counters to the log\n"
	"\n"
	"EXIT STATUS\n"
	"  0 stopped by a signal, 1 could not run, 2 wrong options or files\n"
	"\n"
	"EXAMPLE\n"
	"  omni-nucleus --port 51820\n"
	"  The log names the public key. A gateway that is given `KEY@HOST:PORT` accepts no\n"
	"  other; given `HOST:PORT` it remembers the key of the first contact.\n";

enum {
	OPT_LOG_LEVEL = 256,
};

static const struct option long_options[] = {
	{"port", required_argument, NULL, 'p'},
	{"listen", required_argument, NULL, 'l'},
	{"allow", required_argument, NULL, 'a'},
	{"key", required_argument, NULL, 'k'},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static enum options_verdict wrong(const char *option, const char *value, const char *expected)
{
	fprintf(stderr, "omni-nucleus: %s %s: expected %s\n", option, value, expected);
	return OPTIONS_WRONG;
}

static int port_parse(uint16_t *port, const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v == 0 || v > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

static enum options_verdict take(struct options *o, int opt)
{
	enum omni_log_level level;

	switch (opt) {
	case 'p':
		return port_parse(&o->port, optarg) == 0
			       ? OPTIONS_RUN
			       : wrong("--port", optarg, "a number from 1 to 65535");
	case 'l':
		o->any = false;
		return omni_ip_parse(&o->listen, optarg) == 0
			       ? OPTIONS_RUN
			       : wrong("--listen", optarg, "an IPv4 or IPv6 address");
	case 'a':
		o->allow_file = optarg;
		return OPTIONS_RUN;
	case 'k':
		o->key_file = optarg;
		return OPTIONS_RUN;
	case OPT_LOG_LEVEL:
		if (omni_log_level_parse(optarg, &level) != 0)
			return wrong("--log-level", optarg, "error, warn, info or debug");
		omni_log_set_level(level);
		return OPTIONS_RUN;
	case 'h':
		fputs(help, stdout);
		return OPTIONS_DONE;
	case 'V':
		puts("omni-nucleus " OMNI_VERSION);
		return OPTIONS_DONE;
	default:
		fputs("omni-nucleus: see omni-nucleus --help\n", stderr);
		return OPTIONS_WRONG;
	}
}

enum options_verdict options_parse(struct options *o, int argc, char **argv)
{
	enum options_verdict verdict = OPTIONS_RUN;
	int opt;

	*o = (struct options){.any = true, .port = OMNI_WIRE_DEFAULT_PORT};
	optind = 0; /* another getopt may have run before */
	while (verdict == OPTIONS_RUN &&
	       (opt = getopt_long(argc, argv, "p:l:a:k:hV", long_options, NULL)) != -1)
		verdict = take(o, opt);
	if (verdict == OPTIONS_RUN && optind < argc) {
		fprintf(stderr, "omni-nucleus: %s: unexpected argument, see --help\n",
			argv[optind]);
		return OPTIONS_WRONG;
	}
	return verdict;
}

/* One line without its comment and the white space around; NULL when nothing is left. */
static char *strip(char *line)
{
	char *end;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return *line != '\0' ? line : NULL;
}

static int ids_add(struct omni_key **ids, size_t *n, const struct omni_key *id)
{
	struct omni_key *more = reallocarray(*ids, *n + 1, sizeof(**ids));

	if (more == NULL)
		return -ENOMEM;
	*ids = more;
	more[(*n)++] = *id;
	return 0;
}

int allow_load(struct omni_key **ids, size_t *n, const char *path, struct omni_err *err)
{
	FILE *f = fopen(path, "re");
	unsigned int number = 0;
	char *line = NULL, *text;
	size_t size = 0;
	int rc = 0;

	*ids = NULL;
	*n = 0;
	if (f == NULL)
		return omni_fail(err, -errno, "%s: %s", path, strerror(errno));
	while (rc == 0 && getline(&line, &size, f) >= 0) {
		struct omni_key id;

		number++;
		text = strip(line);
		if (text == NULL)
			continue;
		if (omni_key_parse(&id, text) != 0)
			rc = omni_fail(err, -EINVAL,
				       "%s:%u: expected a cluster id, 32 bytes in base64", path,
				       number);
		else if (ids_add(ids, n, &id) != 0)
			rc = omni_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	free(line);
	fclose(f);
	if (rc == 0 && *n == 0)
		rc = omni_fail(err, -EINVAL, "%s: lists no cluster: nobody could register", path);
	if (rc != 0) {
		free(*ids);
		*ids = NULL;
		*n = 0;
	}
	return rc;
}
