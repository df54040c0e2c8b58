/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_wire.h>

static void first_bytes_and_length_decide(void **state)
{
	static const struct {
		uint8_t head[8];
		size_t len;
		enum omni_wire_class class;
	} cases[] = {
		{{0x05}, 512, OMNI_CLASS_INITIATION},
		{{0x05}, 511, OMNI_CLASS_BAD_LEN},
		{{0x05, 1}, 512, OMNI_CLASS_BAD_SUITE},
		{{0x05, 0, 1}, 512, OMNI_CLASS_UNKNOWN},
		{{0x06}, 192, OMNI_CLASS_RESPONSE},
		{{0x07}, 72, OMNI_CLASS_COOKIE},
		{{0x08, 0}, 128, OMNI_CLASS_HELLO},
		{{0x08, 1}, 72, OMNI_CLASS_HELLO_ANSWER},
		{{0x08, 2}, 72, OMNI_CLASS_UNKNOWN},
		{{0x08, 0, 0, 1}, 128, OMNI_CLASS_UNKNOWN},
		{{0x09}, 100, OMNI_CLASS_CIRCUIT},
		{{0x80}, 40, OMNI_CLASS_DATA},
		{{0xff}, 39, OMNI_CLASS_BAD_LEN},
		{{0x80}, 1, OMNI_CLASS_BAD_LEN},
		{{0x01}, 148, OMNI_CLASS_WG_INITIATION},
		{{0x01}, 149, OMNI_CLASS_BAD_LEN},
		{{0x04}, 48, OMNI_CLASS_WG_DATA},
		{{0x04}, 1420 + 32, OMNI_CLASS_WG_DATA},
		{{0x04}, 32, OMNI_CLASS_WG_DATA},
		{{0x04}, 31, OMNI_CLASS_BAD_LEN},
		{{0x04, 0, 0, 1}, 48, OMNI_CLASS_UNKNOWN},
		{{0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42}, 20, OMNI_CLASS_STUN},
		{{0x01, 0x01, 0, 4, 0x21, 0x12, 0xa4, 0x42}, 24, OMNI_CLASS_STUN},
		{{0x01, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42}, 24, OMNI_CLASS_UNKNOWN},
		{{0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x43}, 20, OMNI_CLASS_UNKNOWN},
		{{0x0a}, 100, OMNI_CLASS_UNKNOWN},
		{{0x05}, 3, OMNI_CLASS_UNKNOWN},
		{{0x05}, 0, OMNI_CLASS_UNKNOWN},
	};
	uint8_t bytes[2048];

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, cases[i].head, 8);
		assert_int_equal(omni_wire_classify(bytes, cases[i].len), cases[i].class);
	}
}

static void nonce_is_lane_then_sequence(void **state)
{
	static const struct omni_data_hdr h = {
		.sequence = {1, 2, 3, 4, 5, 6, 7, 8}, .lane = {9, 10}, .kind = 3};
	static const uint8_t want[OMNI_NONCE_LEN] = {9, 10, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t nonce[OMNI_NONCE_LEN];

	(void)state;
	omni_wire_nonce(nonce, &h);
	assert_memory_equal(nonce, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes_and_length_decide),
		cmocka_unit_test(nonce_is_lane_then_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
