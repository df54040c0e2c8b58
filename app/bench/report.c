/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdio.h>

#include <omni_wire.h>

#include "bench.h"

const char *bench_op_name(enum bench_op op)
{
	static const char *const names[] = {"seal", "open", "forward"};

	return names[op];
}

static void json_one(const struct bench_result *r)
{
	const char *comma = "";

	printf("{\"op\":\"%s\",\"cipher\":\"%s\",\"size\":%u,\"mpps\":%.3f,\"gbps\":%.3f,"
	       "\"cycles_per_frame\":%.1f,\"aead_gbps\":%.3f,\"ratio\":%.3f,\"stages\":{",
	       bench_op_name(r->op), omni_cipher_name(r->cipher), r->size, r->mpps, r->gbps,
	       r->cycles_per_frame, r->aead_gbps, r->ratio);
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++) {
		if (r->stage[i] == 0)
			continue;
		printf("%s\"%s\":%.1f", comma, omni_stage_name(i), r->stage[i]);
		comma = ",";
	}
	printf("}}");
}

void bench_print_json(const struct bench_result *r, unsigned int n)
{
	printf("{\"results\":[");
	for (unsigned int i = 0; i < n; i++) {
		printf("%s", i > 0 ? ",\n" : "\n");
		json_one(&r[i]);
	}
	printf("\n]}\n");
}

void bench_print_table(const struct bench_result *r, unsigned int n)
{
	printf("%-8s %-11s %5s %8s %8s %8s %10s %6s  %s\n", "OP", "CIPHER", "SIZE", "MPPS", "GB/S",
	       "CYCLES", "AEAD GB/S", "RATIO", "CYCLES PER FRAME AND STAGE");
	for (unsigned int i = 0; i < n; i++, r++) {
		printf("%-8s %-11s %5u %8.2f %8.2f %8.1f ", bench_op_name(r->op),
		       omni_cipher_name(r->cipher), r->size, r->mpps, r->gbps, r->cycles_per_frame);
		if (r->aead_gbps > 0)
			printf("%10.2f %6.2f ", r->aead_gbps, r->ratio);
		else
			printf("%10s %6s ", "-", "-");
		for (unsigned int j = 0; j < OMNI_STAGE_COUNT; j++)
			if (r->stage[j] > 0)
				printf(" %s %.1f", omni_stage_name(j), r->stage[j]);
		printf("\n");
	}
}
