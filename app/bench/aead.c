/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * omni-bench aead: the ciphers alone, every code that this CPU can run, through the calls of the
 * data path. As there, a packet is a data header, its payload and its tag, each in a buffer of
 * its own of which there are more than fit the near caches; only the cipher's call is counted.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include <rte_cycles.h>

#include <omni_aead.h>
#include <omni_cursor.h>
#include <omni_wire.h>

#include "bench.h"
#include "command.h"

#define STRIDE 2176 /* of a buffer; longer packets have fewer buffers, further apart */
#define STRIDE_LONG 9216
#define BYTES ((size_t)BENCH_BUFFERS * STRIDE)
#define PASSES 15
#define PASSES_QUICK 5

static const unsigned int sizes[] = {64, 128, 256, 512, 1024, 1420, 8900, BENCH_IMIX};

static const uint32_t masks[] = {
	0,
	OMNI_AEAD_NO_OWN,
	OMNI_AEAD_NO_AVX512,
	OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_OWN,
	OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_AVX2,
	OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_AVX2 | OMNI_AEAD_NO_AES,
};

struct options {
	unsigned int burst;
	bool quick, help;
};

struct run {
	struct omni_aead *aead;
	struct omni_aead_key *key;
	uint8_t *memory;
	unsigned int burst, passes;
	uint64_t sequence; /* of the next packet, its nonce */
};

static void usage(FILE *out)
{
	fprintf(out,
		"usage: omni-bench aead [options]\n"
		"\n"
		"The ciphers alone: cycles a packet, by size, of every code this CPU can run.\n"
		"The last column is a mix of 64, 576 and 1420 bytes, 7:4:1.\n"
		"\n"
		"  --burst N         packets in one call (1 to 64, default 64)\n"
		"  --quick           fewer repetitions\n"
		"  -h, --help\n");
}

static void prepare(struct run *r, struct omni_aead_op *ops, size_t first, unsigned int size)
{
	size_t stride = size == BENCH_IMIX || size <= STRIDE - 128 ? STRIDE : STRIDE_LONG;

	for (unsigned int i = 0; i < r->burst; i++) {
		uint8_t *h = r->memory + (first + i) % (BYTES / stride) * stride + 40;
		unsigned int len = bench_size(size, (unsigned int)(first + i));

		memset(h, 0, OMNI_DATA_HDR_LEN);
		omni_store_be64(h + offsetof(struct omni_data_hdr, sequence), r->sequence);
		bench_set_op(&ops[i], r->key, h, len);
		r->sequence++;
	}
}

/* All buffers once; cycles a packet, and whether all that was opened was authentic. */
static double pass(struct run *r, bool open, unsigned int size, bool *good)
{
	size_t stride = size == BENCH_IMIX || size <= STRIDE - 128 ? STRIDE : STRIDE_LONG;
	uint64_t cycles = 0, begin, all = UINT64_MAX >> (OMNI_AEAD_BURST_MAX - r->burst);
	struct omni_aead_op ops[OMNI_AEAD_BURST_MAX];
	size_t done = 0;

	for (; done + r->burst <= BYTES / stride; done += r->burst) {
		prepare(r, ops, done, size);
		begin = rte_rdtsc_precise();
		if (open)
			*good &= omni_aead_open_burst(r->aead, ops, r->burst) == all;
		else
			omni_aead_seal_burst(r->aead, ops, r->burst);
		cycles += rte_rdtsc_precise() - begin;
	}
	return (double)cycles / (double)done;
}

/* One pass of an operation; what is opened is sealed before, uncounted. */
static double measure(struct run *r, bool open, unsigned int size, bool *good)
{
	uint64_t sequence = r->sequence;
	double cycles = pass(r, false, size, good);

	if (!open)
		return cycles;
	r->sequence = sequence;
	return pass(r, true, size, good);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static bool row(struct run *r, unsigned int cipher, bool open)
{
	bool good = true;

	printf("%-5s %-11s %-16s", open ? "open" : "seal", omni_cipher_name(cipher),
	       omni_aead_arch(r->aead, cipher));
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(sizes); i++) {
		double cycles[PASSES] = {0};

		measure(r, open, sizes[i], &good);
		for (unsigned int j = 0; j < r->passes; j++)
			cycles[j] = measure(r, open, sizes[i], &good);
		qsort(cycles, r->passes, sizeof(cycles[0]), by_value);
		printf(" %7.0f", cycles[r->passes / 2]);
	}
	printf("\n");
	return good;
}

/* Seal and open of one cipher with one mask, unless an earlier mask gave the same code. */
static int rows(struct run *r, unsigned int cipher, uint32_t mask, const char **before)
{
	const struct omni_key secret = {{1, 2, 3}};
	const char *arch;
	int rc = 0;

	r->aead = omni_aead_create(mask);
	if (r->aead == NULL)
		return 1;
	arch = omni_aead_arch(r->aead, cipher);
	if (omni_aead_has(r->aead, cipher) && (*before == NULL || strcmp(arch, *before) != 0)) {
		rc = omni_aead_key_create(&r->key, r->aead, cipher, &secret) == 0 ? 0 : 1;
		for (int open = 0; rc == 0 && open <= 1; open++)
			rc = row(r, cipher, open != 0) ? 0 : 1;
		omni_aead_key_free(r->key);
		r->key = NULL;
		*before = arch;
	}
	omni_aead_free(r->aead);
	return rc;
}

static int run(const struct options *o)
{
	struct run r = {.burst = o->burst, .passes = o->quick ? PASSES_QUICK : PASSES};
	void *memory;
	int rc = 0;

	memory = mmap(NULL, BYTES + STRIDE_LONG, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, BYTES, MADV_HUGEPAGE);
	r.memory = memset(memory, 7, BYTES);
	printf("%-5s %-11s %-16s", "OP", "CIPHER", "CODE");
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(sizes); i++)
		if (sizes[i] == BENCH_IMIX)
			printf(" %7s\n", "IMIX");
		else
			printf(" %7u", sizes[i]);
	for (unsigned int cipher = OMNI_CIPHER_AESGCM; cipher < OMNI_CIPHER_COUNT; cipher++) {
		const char *before = NULL;

		for (unsigned int i = 0; rc == 0 && i < OMNI_ARRAY_SIZE(masks); i++)
			rc = rows(&r, cipher, masks[i], &before);
	}
	munmap(memory, BYTES + STRIDE_LONG);
	return rc;
}

static int parse(const struct command_line *line, struct options *o)
{
	static const struct option options[] = {
		{"burst", required_argument, NULL, 'b'},
		{"quick", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(line->argc, line->argv, "h", options, NULL)) != -1) {
		if (c == 'b') {
			rc = command_number("--burst", optarg, 1, OMNI_AEAD_BURST_MAX, &o->burst);
		} else if (c == 'q') {
			o->quick = true;
		} else if (c == 'h') {
			o->help = true;
		} else {
			usage(stderr);
			rc = COMMAND_USAGE;
		}
	}
	if (rc == 0 && !o->help && optind != line->argc)
		return command_bad("word", line->argv[optind], "nothing there");
	return rc;
}

int bench_command_aead(const struct command_line *line)
{
	struct options o = {.burst = OMNI_AEAD_BURST_MAX};
	int rc = parse(line, &o);

	if (rc != 0)
		return rc;
	if (o.help) {
		usage(stdout);
		return 0;
	}
	rc = run(&o);
	if (rc != 0)
		fprintf(stderr,
			"omni-bench: no memory, a cipher that does not start, or that refuses its own"
			" packets\n");
	return rc;
}
