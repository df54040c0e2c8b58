/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What writing and reading test frames share. */
#ifndef OMNI_BENCH_TRAFFIC_PRIV_H
#define OMNI_BENCH_TRAFFIC_PRIV_H

#include "traffic.h"

#define MAGIC_TEST 0x4f42
#define MAGIC_LEARN 0x4f4c
#define TRAFFIC_ETHERTYPE 0x88b5 /* IEEE 802, local experiments */
#define DIRECTION_SHIFT 23

/* The check of a complete frame, its own field left out. */
uint32_t traffic_check(const struct traffic *t, const uint8_t *frame);

#endif
