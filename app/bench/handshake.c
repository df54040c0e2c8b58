/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * handshake: what the cryptography of handshakes costs on one core, from a message's bytes to the
 * answer and the transport keys, one initiator after the other; the tables are not in it.
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <omni_clock.h>

#include "command.h"
#include "handshake.h"

#define ROUNDS 5
#define PASSES 32 /* over all initiators in a round */
#define PASSES_QUICK 4
#define ROWS_MAX 8

static void usage(FILE *out)
{
	fprintf(out,
		"usage: omni-bench handshake [options]\n"
		"\n"
		"Handshakes per second that cryptography allows on one core, in both dialects, beside\n"
		"the five X25519 operations that each of them needs; and what it costs a responder to\n"
		"look at mac1 and to answer with cookies under load.\n"
		"\n"
		"  --json            machine-readable\n"
		"  --quick           fewer repetitions\n"
		"  -h, --help\n");
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Turns of a row per second in one round; 0 where one failed. */
static double per_second(const struct handshake_row *row, unsigned int passes)
{
	unsigned int turns = passes * row->weight * HANDSHAKE_INITIATORS;
	uint64_t begin = omni_clock_boot_ns();

	for (unsigned int i = 0; i < turns; i++)
		if (!row->once(i % HANDSHAKE_INITIATORS))
			return 0;
	return turns * 1e9 / (double)(omni_clock_boot_ns() - begin);
}

/* Medians into rate; the rows take turns in each round. False where a turn failed. */
static bool measure(const struct handshake_row *rows, double *rate, unsigned int passes)
{
	double found[ROWS_MAX][ROUNDS];

	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; rows[i].key != NULL; i++) {
			found[i][round] = per_second(&rows[i], passes);
			if (found[i][round] == 0) {
				fprintf(stderr, "omni-bench: %s: failed\n", rows[i].text);
				return false;
			}
		}
	for (unsigned int i = 0; rows[i].key != NULL; i++) {
		qsort(found[i], ROUNDS, sizeof(found[i][0]), by_value);
		rate[i] = found[i][ROUNDS / 2];
	}
	return true;
}

static void print_json(const double *omni, const double *wg)
{
	putchar('{');
	for (unsigned int i = 0; handshake_omni[i].key != NULL; i++)
		printf("\"%s\":%.0f,", handshake_omni[i].key, omni[i]);
	printf("\"ratio\":%.3f,\"wireguard\":{", omni[0] / omni[1]);
	for (unsigned int i = 0; handshake_wg[i].key != NULL; i++)
		printf("\"%s\":%.0f,", handshake_wg[i].key, wg[i]);
	printf("\"ratio\":%.3f}}\n", wg[0] / omni[1]);
}

static void print_rows(const struct handshake_row *rows, const double *rate)
{
	for (unsigned int i = 0; rows[i].key != NULL; i++)
		printf("%9.0f a second  %s\n", rate[i], rows[i].text);
}

static int report(unsigned int passes, bool json)
{
	double omni[ROWS_MAX], wg[ROWS_MAX];

	if (!handshake_omni_prepare() || !handshake_wg_prepare()) {
		fprintf(stderr, "omni-bench: no initiation could be made\n");
		return 1;
	}
	if (!measure(handshake_omni, omni, passes) || !measure(handshake_wg, wg, passes))
		return 1;
	if (json) {
		print_json(omni, wg);
		return 0;
	}
	print_rows(handshake_omni, omni);
	print_rows(handshake_wg, wg);
	printf("Beside five X25519: %.2f (Omni), %.2f (WireGuard)\n", omni[0] / omni[1],
	       wg[0] / omni[1]);
	return 0;
}

int bench_command_handshake(const struct command_line *line)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"quick", no_argument, NULL, 'q'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	unsigned int passes = PASSES;
	bool json = false;
	int c;

	while ((c = getopt_long(line->argc, line->argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == '?') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : COMMAND_USAGE;
		}
		json |= c == 'j';
		passes = c == 'q' ? PASSES_QUICK : passes;
	}
	return report(passes, json);
}
