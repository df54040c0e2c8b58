/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clocks. Protocol cores take the time as an argument; only programs and lib/ctl read it here. */
#ifndef OMNI_CLOCK_H
#define OMNI_CLOCK_H

#include <stdint.h>

#define OMNI_NS_PER_S UINT64_C(1000000000)
#define OMNI_NS_PER_MS UINT64_C(1000000)

/* Nanoseconds of CLOCK_BOOTTIME: counts suspended time too, so key ages stay true. */
uint64_t omni_clock_boot_ns(void);

/* Seconds and nanoseconds since 1970 of CLOCK_REALTIME, as nanoseconds. */
uint64_t omni_clock_real_ns(void);

#define OMNI_TAI64N_LEN 12

/*
 * TAI64N label (https://cr.yp.to/libtai/tai64.html) of a CLOCK_REALTIME time in nanoseconds,
 * with WireGuard's constant 10 s offset. Labels compare with memcmp.
 */
void omni_tai64n_from_real_ns(uint8_t out[OMNI_TAI64N_LEN], uint64_t real_ns);

/* Add one nanosecond, carrying into the seconds. */
void omni_tai64n_increment(uint8_t label[OMNI_TAI64N_LEN]);

#endif
