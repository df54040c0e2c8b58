/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-bench datapath: its options and its help. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <rte_lcore.h>

#include <omni_node.h>
#include <omni_wire.h>
#include <omni_xring.h>

#include "bench.h"
#include "command.h"

#define MEMORY_MB 384
#define MEMORY_MB_WORKER 128 /* another worker */
#define FLOWS_DEFAULT 16
#define FLOWS_MAX 4096
#define PEERS_MAX 16000
#define ROUTES_MAX 100000
#define FRAME_MIN 64
#define FRAME_MAX 9000

static void usage(FILE *out)
{
	fprintf(out,
		"usage: omni-bench [EAL OPTIONS --] datapath [options]\n"
		"\n"
		"Runs the real stages of workers over memory ports, each on one core, and prints\n"
		"rates of inner frames beside the bare cipher's over as many cold buffers.\n"
		"\n"
		"  --json            machine-readable\n"
		"  --op OP           seal, open or forward only\n"
		"  --cipher CIPHER   aesgcm or chachapoly only\n"
		"  --size BYTES      this frame size only (%d to %d), or imix: 64, 576 and 1420\n"
		"                    bytes, 7:4:1\n"
		"  --flows N         pairs of hosts whose frames take turns (default %d)\n"
		"  --peers N         peers with live sessions (default 1); more than one have ten\n"
		"                    hosts each, and each frame goes to another peer than the one\n"
		"                    before it\n"
		"  --routes N        an L3 cluster with N routes (1 to 100000): random hosts, to or\n"
		"                    from which packets go in turn; sizes are then those of IP\n"
		"  --wireguard       sessions of an L3 cluster in WireGuard's dialect: one lane, and\n"
		"                    padding; seal and open alone, by one worker\n"
		"  --bundles         short frames share datagrams, over paths of 1500 bytes; seal\n"
		"                    and open alone\n"
		"  --workers N       N workers on as many CPUs at once, each on its lane of every\n"
		"                    session (default 1); beside their sum the ratio to one of\n"
		"                    them while the others are idle (TO 1)\n"
		"  --ipv6            the underlay is IPv6: each datagram has a UDP checksum\n"
		"  --quick           fewer repetitions\n"
		"  -h, --help\n",
		FRAME_MIN, FRAME_MAX, FLOWS_DEFAULT);
}

static int set_option(struct bench_options *o, int c, const char *value)
{
	switch (c) {
	case 'j':
		o->json = true;
		return 0;
	case 'q':
		o->quick = true;
		return 0;
	case 'b':
		o->bundles = true;
		return 0;
	case 'g':
		o->wireguard = true;
		return 0;
	case '6':
		o->v6 = true;
		return 0;
	case 'o':
		for (o->op = BENCH_SEAL; o->op <= BENCH_FORWARD; o->op++)
			if (strcmp(value, bench_op_name((enum bench_op)o->op)) == 0)
				return 0;
		return command_bad("--op", value, "seal, open or forward");
	case 'c':
		for (o->cipher = OMNI_CIPHER_AESGCM; o->cipher < OMNI_CIPHER_COUNT; o->cipher++)
			if (strcmp(value, omni_cipher_name(o->cipher)) == 0)
				return 0;
		return command_bad("--cipher", value, "aesgcm or chachapoly");
	case 's':
		if (strcmp(value, "imix") == 0) {
			o->size = BENCH_IMIX;
			return 0;
		}
		return command_number("--size", value, FRAME_MIN, FRAME_MAX, &o->size);
	case 'f':
		return command_number("--flows", value, 1, FLOWS_MAX, &o->flows);
	case 'p':
		return command_number("--peers", value, 1, PEERS_MAX, &o->peers);
	case 'r':
		return command_number("--routes", value, 1, ROUTES_MAX, &o->routes);
	case 'w':
		return command_number("--workers", value, 1, OMNI_NODE_WORKERS_MAX, &o->workers);
	default:
		usage(stderr);
		return COMMAND_USAGE;
	}
}

static int parse(const struct command_line *line, struct bench_options *o, bool *help)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},	   {"quick", no_argument, NULL, 'q'},
		{"bundles", no_argument, NULL, 'b'},	   {"op", required_argument, NULL, 'o'},
		{"cipher", required_argument, NULL, 'c'},  {"size", required_argument, NULL, 's'},
		{"flows", required_argument, NULL, 'f'},   {"peers", required_argument, NULL, 'p'},
		{"workers", required_argument, NULL, 'w'}, {"ipv6", no_argument, NULL, '6'},
		{"routes", required_argument, NULL, 'r'},  {"wireguard", no_argument, NULL, 'g'},
		{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0},
	};
	int c, rc = 0;

	while (rc == 0 && !*help &&
	       (c = getopt_long(line->argc, line->argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			*help = true;
		else
			rc = set_option(o, c, optarg);
	}
	if (rc == 0 && !*help && optind != line->argc)
		return command_bad("word", line->argv[optind], "nothing there");
	if (rc == 0 && o->wireguard &&
	    (o->workers > 1 || o->op == BENCH_FORWARD || o->cipher == OMNI_CIPHER_AESGCM))
		return command_bad("--wireguard", "", "seal or open by one worker, chachapoly");
	if (rc == 0 && o->wireguard && o->routes == 0)
		o->routes = o->peers;
	if (rc == 0 && o->routes > 0 && o->bundles)
		return command_bad("--bundles", "", "one of --bundles and --routes");
	if (rc == 0 && o->routes > 0 && o->routes < o->peers)
		return command_bad("--routes", "", "one for each of --peers at least");
	return rc;
}

int bench_command_datapath(const struct command_line *line)
{
	struct bench_options o = {.op = -1, .flows = FLOWS_DEFAULT, .peers = 1, .workers = 1};
	struct command_eal eal = {0};
	bool help = false;
	int rc = parse(line, &o, &help);

	if (rc != 0)
		return rc;
	if (help) {
		usage(stdout);
		return 0;
	}
	eal.main_sleeps = o.workers > 1;
	eal.lcores = o.workers + eal.main_sleeps;
	eal.memory_mb = MEMORY_MB + (o.workers - 1) * MEMORY_MB_WORKER;
	rc = command_eal_start(&eal, line);
	if (rc == 0 && rte_lcore_count() < eal.lcores) {
		fprintf(stderr, "omni-bench: %u lcores are wanted, EAL has %u\n", eal.lcores,
			rte_lcore_count());
		rc = COMMAND_USAGE;
	}
	if (rc == 0 && omni_meta_register() != 0) {
		fprintf(stderr, "omni-bench: no room in the mbuf for the frame's facts\n");
		rc = 1;
	}
	if (rc == 0)
		rc = bench_datapath(&o);
	command_eal_stop(&eal);
	return rc;
}
