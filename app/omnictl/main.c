/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <fnmatch.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omnictl.h"
#include "wg.h"

#define IDENTITY "/etc/omni/identity.key"

/* What a command's words mean to the gateway. Lists are separated by spaces. */
struct command {
	const char *first, *second; /* words; second may be NULL */
	const char *method;
	const char *positional; /* name of the parameter that follows, or NULL */
	bool needed;
	const char *options; /* --NAME VALUE */
	const char *columns; /* heading when there is no row */
};

/* Options that no value follows. */
#define FLAGS "per-worker"

static const struct command commands[] = {
	{"fdb", "flush", "fdb.flush", NULL, false, "cluster port peer mac", NULL},
	{"peer", "add", "peer.add", NULL, false,
	 "cluster key name endpoint vip psk keepalive path-mtu dialect allowed-ips", NULL},
	{"peer", "allow", "peer.allow", "peer", true, "cluster allowed-ips", NULL},
	{"peer", "set", "peer.set", "peer", true, "cluster endpoint keepalive psk", NULL},
	{"peer", "remove", "peer.remove", "peer", true, "cluster", NULL},
	{"nucleus", "forget", "nucleus.forget", "endpoint", false, "", NULL},
	{"log-level", NULL, "log.level", "level", false, "", NULL},
	{"status", NULL, "status", NULL, false, "", NULL},
	{"peers", NULL, "peers", NULL, false, "cluster",
	 "cluster name key vip endpoint state origin last_handshake_s last_rx_s path_mtu "
	 "lane_ports rx_bytes tx_bytes reason dialect keepalive_s psk"},
	{"sessions", NULL, "sessions", NULL, false, "cluster",
	 "cluster peer slot id cipher lanes_tx lanes_rx age_s rx_frames tx_frames rx_bytes "
	 "tx_bytes"},
	{"ports", NULL, "ports", NULL, false, "",
	 "name role driver mode why queues mtu offloads mac link cluster rx_frames tx_frames "
	 "rx_bytes tx_bytes rx_dropped tx_dropped"},
	{"pools", NULL, "pools", NULL, false, "", "pool buffers free in_use buffer_bytes"},
	{"fdb", NULL, "fdb", NULL, false, "cluster", "cluster mac via kind age_s"},
	{"routes", NULL, "routes", NULL, false, "cluster", "cluster prefix kind via"},
	{"neighbours", NULL, "neighbours", NULL, false, "cluster",
	 "cluster port address mac state heard_s"},
	{"stages", NULL, "stages", NULL, false, "per-worker",
	 "stage frames bursts cycles_per_frame share"},
	{"config", NULL, "config", NULL, false, "", NULL},
	{"version", NULL, "version", NULL, false, "", NULL},
	{"methods", NULL, "methods", NULL, false, "", "method params description"},
};

struct request {
	const char *socket;
	bool json;
};

static enum exit_status usage(const char *what, const char *arg)
{
	fprintf(stderr, "omnictl: %s%s (omnictl -h lists the commands)\n", what, arg);
	return EXIT_USAGE;
}

static enum exit_status show(const struct request *r, const json_t *result, const char *columns,
			     bool zeros)
{
	bool ok;

	if (r->json) {
		json_dumpf(result, stdout,
			   JSON_ENCODE_ANY | JSON_INDENT(2) | JSON_REAL_PRECISION(12));
		putchar('\n');
		ok = true;
	} else {
		ok = print_result(stdout, result, columns, zeros) == 0;
	}
	if (!ok || fflush(stdout) != 0) {
		perror("omnictl: standard output");
		return EXIT_REFUSED;
	}
	return EXIT_OK;
}

static enum exit_status ask(const struct request *r, const char *method, json_t *params,
			    json_t **result)
{
	struct omni_err err = {0};
	enum exit_status status = client_call(r->socket, method, params, result, &err);

	if (status != EXIT_OK)
		fprintf(stderr, "omnictl: %s\n", err.text);
	return status;
}

static enum exit_status ask_and_show(const struct request *r, const char *method, json_t *params,
				     const char *columns)
{
	json_t *result = NULL;
	enum exit_status status = ask(r, method, params, &result);

	if (status == EXIT_OK)
		status = show(r, result, columns, true);
	json_decref(result);
	return status;
}

static bool is_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; len > 0 && (at = strstr(at, word)) != NULL; at += len) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* Parameter names have no hyphens on the socket. */
static void name_param(char *name, size_t len, const char *option)
{
	snprintf(name, len, "%s", option);
	for (char *p = name; *p != '\0'; p++)
		*p = *p == '-' ? '_' : *p;
}

static void set_flag(json_t *params, const char *option)
{
	char name[32];

	name_param(name, sizeof(name), option);
	json_object_set_new(params, name, json_true());
}

/* Values that count are numbers. */
static void set_param(json_t *params, const char *option, const char *text)
{
	bool number = is_in("keepalive path-mtu", option);
	char name[32], *end;
	long long n = strtoll(text, &end, 10);

	name_param(name, sizeof(name), option);
	number = number && *text != '\0' && *end == '\0';
	json_object_set_new(params, name, number ? json_integer(n) : json_string(text));
}

static enum exit_status run(const struct request *r, const struct command *c, int argc, char **argv)
{
	const char *positional = c->positional;
	json_t *params = json_object();
	enum exit_status status = EXIT_OK;

	for (int i = 0; i < argc && status == EXIT_OK; i++) {
		bool option = strncmp(argv[i], "--", 2) == 0 && is_in(c->options, argv[i] + 2);

		if (option && is_in(FLAGS, argv[i] + 2)) {
			set_flag(params, argv[i] + 2);
		} else if (option) {
			if (i + 1 == argc)
				status = usage("a value must follow ", argv[i]);
			else
				set_param(params, argv[i] + 2, argv[i + 1]);
			i++;
		} else if (positional != NULL && argv[i][0] != '-') {
			set_param(params, positional, argv[i]);
			positional = NULL;
		} else {
			status = usage("does not fit here: ", argv[i]);
		}
	}
	if (status == EXIT_OK && positional != NULL && c->needed)
		status = usage("missing: ", positional);
	if (status == EXIT_OK)
		status = ask_and_show(r, c->method, json_object_size(params) > 0 ? params : NULL,
				      c->columns);
	json_decref(params);
	return status;
}

/* Counters by pattern; without one, those that are not zero. */
static enum exit_status run_stats(const struct request *r, int argc, char **argv)
{
	bool all = argc > 0 && strcmp(argv[0], "--all") == 0;
	const char *pattern = argc > 0 && !all ? argv[0] : NULL, *key;
	enum exit_status status;
	json_t *result = NULL, *value;
	void *next;

	if (argc > 1 || (pattern != NULL && pattern[0] == '-'))
		return usage("stats takes a pattern or --all, not ", argv[argc - 1]);
	status = ask(r, "stats", NULL, &result);
	if (status != EXIT_OK)
		return status;
	json_object_foreach_safe(result, next, key, value)
	{
		if (pattern != NULL && !json_is_object(value) && !json_is_array(value) &&
		    fnmatch(pattern, key, 0) != 0)
			json_object_del(result, key);
	}
	status = show(r, result, NULL, all || pattern != NULL);
	json_decref(result);
	return status;
}

static enum exit_status run_call(const struct request *r, int argc, char **argv)
{
	enum exit_status status;
	json_t *params = NULL;
	json_error_t error;

	if (argc < 1 || argc > 2)
		return usage("call takes METHOD [JSON]", "");
	if (argc == 2) {
		params = json_loads(argv[1], JSON_REJECT_DUPLICATES, &error);
		if (params == NULL)
			return usage("the parameters are no JSON: ", error.text);
	}
	status = ask_and_show(r, argv[0], params, NULL);
	json_decref(params);
	return status;
}

/* Of a file; of the key on standard input; of the box, where nothing is on it. */
static enum exit_status run_pubkey(int argc, char **argv)
{
	if (argc > 2)
		return usage("does not fit here: ", argv[2]);
	if (argc == 2)
		return local_pubkey(argv[1]);
	return local_pubkey(isatty(STDIN_FILENO) ? IDENTITY : NULL);
}

static enum exit_status dispatch(const struct request *r, int argc, char **argv)
{
	bool first = false;

	if (argc == 0)
		return usage("which command?", "");
	if (strcmp(argv[0], "gensecret") == 0)
		return argc == 1 ? local_gensecret() : usage("does not fit here: ", argv[1]);
	if (strcmp(argv[0], "genpsk") == 0)
		return argc == 1 ? local_gensecret() : usage("does not fit here: ", argv[1]);
	if (strcmp(argv[0], "genkey") == 0)
		return argc == 1 ? local_genkey() : usage("does not fit here: ", argv[1]);
	if (strcmp(argv[0], "pubkey") == 0)
		return run_pubkey(argc, argv);
	if (strcmp(argv[0], "wg") == 0)
		return wg_run(r->socket, argc - 1, argv + 1);
	if (strcmp(argv[0], "stats") == 0)
		return run_stats(r, argc - 1, argv + 1);
	if (strcmp(argv[0], "call") == 0)
		return run_call(r, argc - 1, argv + 1);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->first, argv[0]) != 0)
			continue;
		first = true;
		if (c->second == NULL)
			return run(r, c, argc - 1, argv + 1);
		if (argc > 1 && strcmp(c->second, argv[1]) == 0)
			return run(r, c, argc - 2, argv + 2);
	}
	return first ? usage("what about it? ", argv[0]) : usage("no such command: ", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct request r = {.socket = OMNICTL_SOCKET};
	int c;

	/* Options behind the command are the command's; --json may stand there too. */
	while ((c = getopt_long(argc, argv, "+s:jhV", options, NULL)) != -1) {
		switch (c) {
		case 's':
			r.socket = optarg;
			break;
		case 'j':
			r.json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return EXIT_OK;
		case 'V':
			printf("omnictl %s\n", OMNI_VERSION);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (argc > optind && is_in("-h --help", argv[argc - 1])) {
		fputs(help_text, stdout);
		return EXIT_OK;
	}
	if (argc > optind && strcmp(argv[argc - 1], "--json") == 0) {
		r.json = true;
		argc--;
	}
	return (int)dispatch(&r, argc - optind, argv + optind);
}
