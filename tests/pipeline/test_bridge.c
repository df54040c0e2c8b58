/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bridging: who gets which frame, what is learned, and what is refused. */
#include "rig.h"

static void unicast_both_ways(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];

	rig_connect(r, 0, 1, NULL);
	rig_introduce(r, a->local[0], 11, b->local[1], 22);
	for (uint8_t i = 0; i < 100; i++) {
		rig_in(a->local[0], rig_frame(r, 22, 11, 60 + i, i));
		rig_in(b->local[1], rig_frame(r, 11, 22, 1000 - i, i));
	}
	rig_run(r);
	for (uint8_t i = 0; i < 100; i++) {
		rig_expect(b->local[1], 22, 11, 60 + i, i);
		rig_expect(a->local[0], 11, 22, 1000 - i, i);
	}
	rig_expect_nothing(b->local[0]);
	rig_expect_nothing(a->local[1]);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(rig_count(r, i, OMNI_STAT_local_rx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_local_tx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_sealed), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_opened), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_uplink_rx), 100);
		assert_int_equal(rig_count(r, i, OMNI_STAT_uplink_tx), 100);
		assert_int_equal(rig_drops(r, i), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unicast_both_ways, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
