/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-bench: measures the data path. */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <omni_eal.h>
#include <omni_wire.h>
#include <omni_xring.h>

#include "bench.h"

#define EXIT_USAGE 2
#define MEMORY_MB 320
#define FLOWS_DEFAULT 16
#define FLOWS_MAX 4096
#define FRAME_MIN 64
#define FRAME_MAX 9000

static void usage(FILE *out)
{
	fprintf(out,
		"usage: omni-bench datapath [options]\n"
		"\n"
		"Runs the real stages of one worker over memory ports, on one core, and prints\n"
		"rates of inner frames beside the bare cipher's over as many cold buffers.\n"
		"\n"
		"  --json            machine-readable\n"
		"  --op OP           seal, open or forward only\n"
		"  --cipher CIPHER   aesgcm or chachapoly only\n"
		"  --size BYTES      this frame size only (%d to %d)\n"
		"  --flows N         pairs of hosts whose frames take turns (default %d)\n"
		"  --quick           fewer repetitions\n"
		"  -h, --help\n",
		FRAME_MIN, FRAME_MAX, FLOWS_DEFAULT);
}

static int bad(const char *what, const char *value, const char *want)
{
	fprintf(stderr, "omni-bench: %s \"%s\": expected %s\n", what, value, want);
	return EXIT_USAGE;
}

static bool number(const char *text, unsigned int low, unsigned int high, unsigned int *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*out = (unsigned int)v;
	return *text != 0 && *end == 0 && v >= low && v <= high;
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
	case 'o':
		for (o->op = BENCH_SEAL; o->op <= BENCH_FORWARD; o->op++)
			if (strcmp(value, bench_op_name((enum bench_op)o->op)) == 0)
				return 0;
		return bad("--op", value, "seal, open or forward");
	case 'c':
		for (o->cipher = OMNI_CIPHER_AESGCM; o->cipher < OMNI_CIPHER_COUNT; o->cipher++)
			if (strcmp(value, omni_cipher_name(o->cipher)) == 0)
				return 0;
		return bad("--cipher", value, "aesgcm or chachapoly");
	case 's':
		return number(value, FRAME_MIN, FRAME_MAX, &o->size)
			       ? 0
			       : bad("--size", value, "64 to 9000");
	case 'f':
		return number(value, 1, FLOWS_MAX, &o->flows) ? 0
							      : bad("--flows", value, "1 to 4096");
	default:
		usage(stderr);
		return EXIT_USAGE;
	}
}

static int parse(int argc, char **argv, struct bench_options *o)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},	{"quick", no_argument, NULL, 'q'},
		{"op", required_argument, NULL, 'o'},	{"cipher", required_argument, NULL, 'c'},
		{"size", required_argument, NULL, 's'}, {"flows", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},	{NULL, 0, NULL, 0},
	};
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		rc = set_option(o, c, optarg);
	}
	if (rc != 0)
		return rc;
	if (optind + 1 != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[optind], "datapath") != 0)
		return bad("scenario", argv[optind], "datapath");
	return 0;
}

/* The last CPU that we may use: interrupts and the shell like the first ones. */
static int last_cpu(void)
{
	cpu_set_t set;
	int last = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			last = i;
	return last;
}

static int start_eal(char *program, struct omni_eal_args *args)
{
	char lcores[16], dash_l[] = "-l", level[] = "--log-level=4";
	char *argv[] = {program, dash_l, lcores, level, NULL};
	const struct omni_eal_request request = {
		.argc = OMNI_ARRAY_SIZE(argv) - 1,
		.argv = argv,
		.mem_mb = MEMORY_MB,
		.free_huge_mb = omni_eal_free_huge_mb(),
	};
	struct omni_err err;

	snprintf(lcores, sizeof(lcores), "%d", last_cpu());
	if (omni_eal_build_args(args, &request, &err) != 0) {
		fprintf(stderr, "omni-bench: %s\n", err.text);
		return 1;
	}
	if (rte_eal_init(args->argc, args->argv) < 0 || omni_meta_register() != 0) {
		fprintf(stderr, "omni-bench: cannot start DPDK: %s\n", rte_strerror(rte_errno));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options o = {.op = -1, .flows = FLOWS_DEFAULT};
	struct omni_eal_args args;
	int rc = parse(argc, argv, &o);

	if (rc == 0)
		rc = start_eal(argv[0], &args);
	if (rc != 0)
		return rc;
	rc = bench_datapath(&o);
	rte_eal_cleanup();
	omni_eal_cleanup(&args);
	return rc;
}
