/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdio.h>

#include <omni_wire.h>

#include "bench.h"

const char *bench_op_name(enum bench_op op)
{
	static const char *const names[] = {"seal", "open", "forward"};

	return names[op];
}

static const char *frames_name(char out[8], unsigned int size)
{
	snprintf(out, 8, size == BENCH_IMIX ? "imix" : "%u", size);
	return out;
}

static double spread(const struct bench_result *r)
{
	return (r->mpps_max - r->mpps_min) / r->mpps;
}

static void json_result(const struct bench_result *r)
{
	const char *comma = "";
	char frames[8];

	printf("{\"op\":\"%s\",\"cipher\":\"%s\",\"frames\":\"%s\",\"size\":%.0f,\"peers\":%u,"
	       "\"hosts\":%u,\"flows\":%u,\"bundles\":%s,\"ipv6\":%s,"
	       "\"datagrams\":%u,\"routes\":%u,\"dialect\":\"%s\",",
	       bench_op_name(r->op), omni_cipher_name(r->cipher), frames_name(frames, r->size),
	       bench_size_mean(r->size), r->peers, r->hosts, r->flows,
	       r->bundles ? "true" : "false", r->v6 ? "true" : "false", r->datagrams, r->routes,
	       r->wireguard ? "wireguard" : "omni");
	printf("\"workers\":%u,", r->workers);
	if (r->one_mpps > 0)
		printf("\"one_mpps\":%.3f,\"ratio_to_one\":%.3f,", r->one_mpps,
		       r->mpps / r->one_mpps);
	printf("\"runs\":%u,\"mpps\":%.3f,\"mpps_min\":%.3f,\"mpps_max\":%.3f,\"spread\":%.3f,"
	       "\"gbps\":%.3f,\"cycles_per_frame\":%.1f,\"aead_gbps\":%.3f,\"ratio\":%.3f,"
	       "\"stages\":{",
	       r->runs, r->mpps, r->mpps_min, r->mpps_max, spread(r), r->gbps, r->cycles_per_frame,
	       r->aead_gbps, r->ratio);
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++) {
		if (r->stage[i] == 0)
			continue;
		printf("%s\"%s\":%.1f", comma, omni_stage_name(i), r->stage[i]);
		comma = ",";
	}
	printf("}}");
}

static void json_memory(const struct bench_memory *m)
{
	printf("{\"cipher\":\"%s\",\"peers\":%u,\"bytes_per_peer\":%.0f,"
	       "\"bytes_per_session\":%.0f}",
	       omni_cipher_name(m->cipher), m->peers, m->peer, m->session);
}

void bench_print_json(const struct bench_report *r)
{
	printf("{\"results\":[");
	for (unsigned int i = 0; i < r->n; i++) {
		printf("%s", i > 0 ? ",\n" : "\n");
		json_result(&r->result[i]);
	}
	printf("\n],\n\"memory\":[");
	for (unsigned int i = 0; i < r->n_memory; i++) {
		printf("%s", i > 0 ? ",\n" : "\n");
		json_memory(&r->memory[i]);
	}
	printf("\n]}\n");
}

static void table_row(const struct bench_result *r)
{
	char frames[8];

	printf("%-8s %-11s %5s %6u %6u %7u %8.2f %6.1f%% %8.2f %8.1f ", bench_op_name(r->op),
	       r->wireguard ? "wireguard" : omni_cipher_name(r->cipher),
	       frames_name(frames, r->size), r->peers, r->routes, r->workers, r->mpps,
	       spread(r) * 100, r->gbps, r->cycles_per_frame);
	if (r->aead_gbps > 0)
		printf("%10.2f %6.2f ", r->aead_gbps, r->ratio);
	else
		printf("%10s %6s ", "-", "-");
	if (r->one_mpps > 0)
		printf("%6.2f ", r->mpps / r->one_mpps);
	else
		printf("%6s ", "-");
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		if (r->stage[i] > 0)
			printf(" %s %.1f", omni_stage_name(i), r->stage[i]);
	printf("\n");
}

void bench_print_table(const struct bench_report *r)
{
	printf("%-8s %-11s %5s %6s %6s %7s %8s %7s %8s %8s %10s %6s %6s  %s\n", "OP", "CIPHER",
	       "SIZE", "PEERS", "ROUTES", "WORKERS", "MPPS", "SPREAD", "GB/S", "CYCLES",
	       "AEAD GB/S", "RATIO", "TO 1", "CYCLES PER FRAME AND STAGE");
	for (unsigned int i = 0; i < r->n; i++)
		table_row(&r->result[i]);
	for (unsigned int i = 0; i < r->n_memory; i++)
		printf("%s: %.0f bytes a peer and %.0f a session (%u of them)\n",
		       omni_cipher_name(r->memory[i].cipher), r->memory[i].peer,
		       r->memory[i].session, r->memory[i].peers);
}
