/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The words behind omnictl wg. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "wg.h"

#define KEEPALIVE 25 /* seconds: phones are behind NAT */

static enum exit_status usage(const char *what, const char *arg)
{
	fprintf(stderr, "omnictl: %s%s (omnictl -h lists the commands)\n", what, arg);
	return EXIT_USAGE;
}

static bool take_number(unsigned int *out, const char *text, unsigned long min)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (unsigned int)n;
	return *text >= '0' && *text <= '9' && *end == '\0' && n <= UINT16_MAX &&
	       (n == 0 || n >= min);
}

static bool take_option(struct wg_export *ask, int option, const char *arg)
{
	switch (option) {
	case 'c':
		ask->cluster = arg;
		return true;
	case 'a':
		ask->address = arg;
		return true;
	case 'b':
		ask->behind = arg;
		return true;
	case 'i':
		ask->allowed = arg;
		return true;
	case 'e':
		ask->endpoint = arg;
		return true;
	case 'd':
		ask->dns = arg;
		return true;
	case 'm':
		return take_number(&ask->mtu, arg, 576);
	case 'k':
		return take_number(&ask->keepalive, arg, 0);
	case 'A':
		ask->add = true;
		return true;
	case 'q':
		ask->qr = true;
		return true;
	case 's':
		ask->svg = arg;
		return true;
	default:
		return false;
	}
}

static enum exit_status run_export(const char *socket, int argc, char **argv)
{
	static const struct option options[] = {
		{"cluster", required_argument, NULL, 'c'},
		{"address", required_argument, NULL, 'a'},
		{"behind", required_argument, NULL, 'b'},
		{"allowed-ips", required_argument, NULL, 'i'},
		{"endpoint", required_argument, NULL, 'e'},
		{"dns", required_argument, NULL, 'd'},
		{"mtu", required_argument, NULL, 'm'},
		{"keepalive", required_argument, NULL, 'k'},
		{"add", no_argument, NULL, 'A'},
		{"qr", no_argument, NULL, 'q'},
		{"svg", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	struct wg_export ask = {.keepalive = KEEPALIVE};
	int option, which = 0;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, &which)) != -1) {
		if (option == '?' || option == ':')
			return usage("does not fit here, or lacks its value: ", argv[optind - 1]);
		if (!take_option(&ask, option, optarg))
			return usage("expected a number that fits behind --", options[which].name);
	}
	if (argc - optind != 1 || ask.address == NULL)
		return usage("wg export takes NAME and --address ADDRESS", "");
	ask.name = argv[optind];
	return wg_export(socket, &ask);
}

enum exit_status wg_run(const char *socket, int argc, char **argv)
{
	if (argc == 0)
		return usage("wg what? show, import or export", "");
	if (strcmp(argv[0], "show") == 0)
		return argc <= 3 ? wg_show(socket, argc > 1 ? argv[1] : "all",
					   argc > 2 ? argv[2] : NULL)
				 : usage("does not fit here: ", argv[3]);
	if (strcmp(argv[0], "import") == 0)
		return argc == 2 || argc == 3 ? wg_import(argv[1], argc == 3 ? argv[2] : NULL)
					      : usage("wg import takes FILE.conf [DIR]", "");
	if (strcmp(argv[0], "export") == 0)
		return run_export(socket, argc, argv);
	return usage("no such command: wg ", argv[0]);
}
