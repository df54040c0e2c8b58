/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <time.h>

#include <omni_clock.h>
#include <omni_cursor.h>

/* 2^62 (the TAI64 epoch) plus the ten leap seconds of 1972 that WireGuard counts. */
#define TAI64_EPOCH UINT64_C(0x400000000000000a)

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * OMNI_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t omni_clock_boot_ns(void)
{
	return read_ns(CLOCK_BOOTTIME);
}

uint64_t omni_clock_real_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

void omni_tai64n_from_real_ns(uint8_t out[OMNI_TAI64N_LEN], uint64_t real_ns)
{
	omni_store_be64(out, TAI64_EPOCH + real_ns / OMNI_NS_PER_S);
	omni_store_be32(out + 8, (uint32_t)(real_ns % OMNI_NS_PER_S));
}

void omni_tai64n_increment(uint8_t label[OMNI_TAI64N_LEN])
{
	uint32_t ns = omni_load_be32(label + 8) + 1;

	if (ns >= OMNI_NS_PER_S) {
		ns = 0;
		omni_store_be64(label, omni_load_be64(label) + 1);
	}
	omni_store_be32(label + 8, ns);
}
