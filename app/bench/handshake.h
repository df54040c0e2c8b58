/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What omni-bench handshake measures: one row for each thing that cryptography does. */
#ifndef OMNI_BENCH_HANDSHAKE_H
#define OMNI_BENCH_HANDSHAKE_H

#include <stdbool.h>

#define HANDSHAKE_INITIATORS 64

/* One of many initiators' turn, by its number; false where it failed. */
struct handshake_row {
	const char *key, *text; /* in JSON; for people */
	bool (*once)(unsigned int i);
	unsigned int weight; /* turns of this row in the time of a handshake, about */
};

/* Ends with a row of no key. prepare: false where no message could be made. */
extern const struct handshake_row handshake_omni[], handshake_wg[];
bool handshake_omni_prepare(void);
bool handshake_wg_prepare(void);

#endif
