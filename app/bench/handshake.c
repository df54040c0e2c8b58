/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * handshake: what a responder's cryptography costs, from an initiation's bytes to the response
 * and the transport keys, one initiator after the other; the tables are not in it.
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <omni_clock.h>
#include <omni_crypto.h>
#include <omni_handshake.h>
#include <omni_secret.h>

#include "command.h"

#define INITIATORS 64
#define ROUNDS 5
#define PASSES 32 /* over all initiators in a round */
#define PASSES_QUICK 4
#define DH_PER_HANDSHAKE 5 /* es, ss, ee, se and the ephemeral public key */
#define TOP_BIT (UINT64_C(1) << 63)

struct responder {
	struct omni_dh_pair self;
	struct omni_key proof, psk;
	struct omni_initiation in[INITIATORS];
};

static void usage(FILE *out)
{
	fprintf(out, "usage: omni-bench handshake [options]\n"
		     "\n"
		     "Handshakes per second that the responder's cryptography allows on one core,\n"
		     "beside the five X25519 operations that each of them needs.\n"
		     "\n"
		     "  --json            machine-readable\n"
		     "  --quick           fewer repetitions\n"
		     "  -h, --help\n");
}

static void make_pair(struct omni_dh_pair *pair)
{
	omni_random(&pair->secret, sizeof(pair->secret));
	omni_x25519_public(&pair->public, &pair->secret);
}

static bool initiate(struct responder *r, struct omni_initiation *out)
{
	struct omni_hs_offer offer = {
		.mode = OMNI_MODE_L2,
		.version = 1,
		.ciphers = {OMNI_CIPHER_AESGCM},
		.lanes_send = 2,
		.lanes_accept = 2,
		.largest_frame = 1518,
	};
	struct omni_dh_pair self;
	struct omni_key ephemeral;
	const struct omni_hs_start start = {
		.purpose = OMNI_HS_PEER,
		.self = &self,
		.remote = &r->self.public,
		.ephemeral = &ephemeral,
		.proof_key = &r->proof,
		.offer = &offer,
		.session_id = TOP_BIT | 1,
		.now_ns = 1,
	};
	struct omni_hs hs;

	make_pair(&self);
	omni_random(&ephemeral, sizeof(ephemeral));
	return omni_hs_initiation_create(&hs, out, &start) == 0;
}

static bool respond(const struct responder *r, const struct omni_initiation *in)
{
	static const struct omni_hs_policy policy = {
		.mode = OMNI_MODE_L2,
		.version = 1,
		.ciphers = {[OMNI_CIPHER_AESGCM] = true},
		.lanes_send = 2,
		.lanes_accept = 2,
		.largest_frame = 1518,
	};
	struct omni_hs_answer answer;
	struct omni_hs_offer offer;
	struct omni_noise_keys keys;
	struct omni_response out;
	struct omni_key ephemeral;
	struct omni_hs hs;
	const struct omni_hs_reply reply = {.psk = &r->psk,
					    .ephemeral = &ephemeral,
					    .answer = &answer,
					    .session_id = TOP_BIT | 2,
					    .now_ns = 1};

	if (!omni_hs_initiation_mac1_valid(in, &r->self.public) ||
	    omni_hs_initiation_open(&hs, &offer, in, OMNI_HS_PEER, &r->self) != 0 ||
	    !omni_hs_proof_valid(&hs, &r->proof))
		return false;
	omni_hs_negotiate(&answer, &offer, &policy);
	omni_random(&ephemeral, sizeof(ephemeral));
	return answer.result == OMNI_RESULT_ACCEPTED &&
	       omni_hs_response_create(&hs, &out, &keys, &reply) == 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Handshakes, or five X25519 operations, per second in one round; 0 where one failed. */
static double per_second(struct responder *r, unsigned int passes, bool dh)
{
	uint64_t begin = omni_clock_boot_ns();
	struct omni_key shared;

	for (unsigned int i = 0; i < passes * INITIATORS; i++) {
		bool good = dh ? true : respond(r, &r->in[i % INITIATORS]);

		for (unsigned int j = 0; dh && j < DH_PER_HANDSHAKE; j++)
			good &= omni_x25519(&shared, &r->self.secret, &r->self.public) == 0;
		if (!good)
			return 0;
	}
	return passes * INITIATORS * 1e9 / (double)(omni_clock_boot_ns() - begin);
}

static int measure(struct responder *r, unsigned int passes, bool json)
{
	double rate[ROUNDS], limit[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		rate[i] = per_second(r, passes, false);
		limit[i] = per_second(r, passes, true);
		if (rate[i] == 0 || limit[i] == 0) {
			fprintf(stderr, "omni-bench: a handshake failed\n");
			return 1;
		}
	}
	qsort(rate, ROUNDS, sizeof(rate[0]), by_value);
	qsort(limit, ROUNDS, sizeof(limit[0]), by_value);
	printf(json ? "{\"handshakes_per_s\":%.0f,\"x25519_limit_per_s\":%.0f,\"ratio\":%.3f}\n"
		    : "%.0f handshakes a second; five X25519 alone: %.0f; ratio %.2f\n",
	       rate[ROUNDS / 2], limit[ROUNDS / 2], rate[ROUNDS / 2] / limit[ROUNDS / 2]);
	return 0;
}

int bench_command_handshake(const struct command_line *line)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"quick", no_argument, NULL, 'q'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	static struct responder r;
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
	make_pair(&r.self);
	omni_random(&r.proof, sizeof(r.proof));
	omni_random(&r.psk, sizeof(r.psk));
	for (unsigned int i = 0; i < INITIATORS; i++)
		if (!initiate(&r, &r.in[i])) {
			fprintf(stderr, "omni-bench: no initiation could be made\n");
			return 1;
		}
	return measure(&r, passes, json);
}
