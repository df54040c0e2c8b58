/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Everything that reads CBOR: Nucleus messages, control messages, member records. What decodes
 * is encoded again, and must then decode to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <omni_control.h>
#include <omni_crypto.h>
#include <omni_record.h>
#include <omni_signal.h>

#include "fuzz.h"

static void message(const uint8_t *p, size_t len)
{
	uint8_t first[OMNI_CBOR_MAX], second[OMNI_CBOR_MAX];
	struct omni_signal m, again;
	int n;

	if (omni_signal_decode(&m, p, len) != 0)
		return;
	n = omni_signal_encode(first, &m);
	REQUIRE(n > 0 && (size_t)n <= len);
	REQUIRE(omni_signal_decode(&again, first, (size_t)n) == 0);
	REQUIRE(omni_signal_encode(second, &again) == n);
	REQUIRE(memcmp(first, second, (size_t)n) == 0);
}

static void control(const uint8_t *p, size_t len)
{
	uint8_t first[OMNI_CONTROL_MAX], second[OMNI_CONTROL_MAX];
	struct omni_control m, again;
	int n;

	if (omni_control_decode(&m, p, len) != 0)
		return;
	n = omni_control_encode(first, sizeof(first), &m, 0);
	REQUIRE(n > 0 && omni_control_decode(&again, first, (size_t)n) == 0);
	/* Keys of other types' are not told again. */
	REQUIRE(again.type == m.type &&
		omni_control_encode(second, sizeof(second), &again, 0) == n);
	REQUIRE(memcmp(first, second, (size_t)n) == 0);
	if (len >= OMNI_CONTROL_PADDED_MIN && m.type != OMNI_CONTROL_ROUTES)
		REQUIRE(omni_control_encode(first, sizeof(first), &m, len) == (int)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct omni_record_check check = {.now_s = 1700000000};
	struct omni_record rec;
	enum omni_record_verdict verdict;

	REQUIRE(omni_crypto_init() == 0);
	message(p, len);
	control(p, len);
	verdict = omni_record_open(&rec, p, len, &check);
	REQUIRE(verdict < OMNI_RECORD_VERDICT_COUNT);
	REQUIRE(verdict == OMNI_RECORD_MALFORMED || rec.n_candidates <= OMNI_RECORD_CANDIDATES_MAX);
	return 0;
}
