/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <sum.h>

#include "frames.h"

/* The twins that this CPU can run, besides the one it takes. */
static void check_twins(const uint8_t *from, size_t len, unsigned int want)
{
	assert_int_equal(__builtin_bswap16(omni_sum_fold(sum_plain(from, len))), want);
	if (__builtin_cpu_supports("avx2"))
		assert_int_equal(__builtin_bswap16(omni_sum_fold(sum_avx2(from, len))), want);
	if (__builtin_cpu_supports("avx512bw"))
		assert_int_equal(__builtin_bswap16(omni_sum_fold(sum_avx512(from, len))), want);
}

static void sums_of_every_length(void **state)
{
	(void)state;
	for (size_t len = 0; len < 700; len++) {
		uint8_t *from = malloc(len + 1), *to = malloc(len + 1);
		unsigned int want;

		for (size_t i = 0; i < len; i++)
			from[i] = (uint8_t)(rnd(3) ? rnd(256) : 255);
		want = add(0, from, len);
		assert_int_equal(__builtin_bswap16(omni_sum_fold(omni_sum(from, len))), want);
		check_twins(from, len, want);
		memset(to, 0x5a, len + 1);
		assert_int_equal(__builtin_bswap16(omni_sum_fold(sum_copy_plain(to, from, len))),
				 want);
		assert_memory_equal(to, from, len);
		assert_int_equal(to[len], 0x5a);
		memset(to, 0x5a, len + 1);
		assert_int_equal(__builtin_bswap16(omni_sum_fold(omni_sum_copy(to, from, len))),
				 want);
		assert_memory_equal(to, from, len);
		assert_int_equal(to[len], 0x5a);
		free(from);
		free(to);
	}
}

static void sum_of_ones_does_not_overflow(void **state)
{
	static uint8_t ones[1 << 16];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(omni_sum_fold(omni_sum(ones, sizeof(ones))), 0xffff);
	assert_int_equal(omni_sum_fold(0), 0);
	assert_int_equal(omni_sum_fold(UINT64_MAX), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sums_of_every_length, start),
		cmocka_unit_test_setup(sum_of_ones_does_not_overflow, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
