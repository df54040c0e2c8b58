/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni_cbor.h>

#include "vectors.h"

/* In a buffer of exactly its size, so that a sanitizer sees any byte read beyond. */
static int check_exact(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int rc;

	memcpy(copy, bytes, len);
	rc = omni_cbor_check(copy, len);
	free(copy);
	return rc;
}

/* RFC 8949 forbids simple values below 32 in two bytes; its predecessor's examples had one. */
static bool was_withdrawn(const uint8_t *bytes, size_t len)
{
	return len == 2 && bytes[0] == 0xf8 && bytes[1] < 32;
}

static void appendix_a(void **state)
{
	unsigned int taken = 0, refused = 0;
	uint8_t bytes[256];
	struct vec v;

	(void)state;
	vec_open(&v, "cbor.txt");
	while (vec_next_max(&v, 3)) {
		size_t len = vec_hex(&v, 0, bytes, sizeof(bytes));
		bool canonical = v.field[1][0] == '1';
		struct omni_reader r = omni_reader_init(bytes, len);
		int rc = check_exact(bytes, len);

		if (was_withdrawn(bytes, len)) {
			assert_int_equal(rc, -EBADMSG);
			continue;
		}
		if (rc != (canonical ? 0 : -EILSEQ))
			fail_msg("%s: %d", v.field[0], rc);
		taken += canonical;
		refused += !canonical;
		for (size_t cut = 0; cut < len; cut++)
			assert_int_not_equal(check_exact(bytes, cut), 0);
		if (canonical) {
			(void)omni_cbor_skip(&r);
			assert_false(r.failed);
			assert_int_equal(omni_reader_left(&r), 0);
		}
	}
	vec_close(&v);
	assert_in_range(taken, 60, 90);
	assert_in_range(refused, 15, 30);
}

static void one_form_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} cases[] = {
		{"\x18\x17", 2, -EILSEQ},			      /* 23 in two bytes */
		{"\x19\x00\xff", 3, -EILSEQ},			      /* 255 in three */
		{"\x1a\x00\x00\xff\xff", 5, -EILSEQ},		      /* 65535 in five */
		{"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", 9, -EILSEQ}, /* 2^32 - 1 in nine */
		{"\x38\x17", 2, -EILSEQ},
		{"\x58\x01\x00", 3, -EILSEQ},
		{"\x78\x01\x61", 3, -EILSEQ},
		{"\x98\x01\x00", 3, -EILSEQ},
		{"\xb8\x01\x00\x00", 4, -EILSEQ},
		{"\xd8\x01\x00", 3, -EILSEQ},
		{"\xa2\x01\x00\x00\x00", 5, -EILSEQ},	  /* keys 1, 0 */
		{"\xa2\x00\x00\x00\x00", 5, -EILSEQ},	  /* key 0 twice */
		{"\xa2\x0a\x00\x18\x64\x00", 6, 0},	  /* keys 10, 100 */
		{"\xa2\x18\x64\x00\x20\x00", 6, 0},	  /* bytewise: 100 before -1 */
		{"\xa2\x20\x00\x18\x64\x00", 6, -EILSEQ}, /* not by length first */
		{"\xfa\x3f\x80\x00\x00", 5, -EILSEQ},	  /* 1.0 as a single */
		{"\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00", 9, -EILSEQ},
		{"\xfb\x40\xf8\x6a\x00\x00\x00\x00\x00", 9, -EILSEQ}, /* 100000 fits a single */
		{"\xfa\x33\x80\x00\x00", 5, -EILSEQ},		      /* 2^-24, the least half */
		{"\xfa\x33\x00\x00\x00", 5, 0},			      /* 2^-25 */
		{"\xfa\x38\x80\x10\x00", 5, 0}, /* more bits than a subnormal half */
		{"\xfb\x36\xa0\x00\x00\x00\x00\x00\x00", 9, -EILSEQ}, /* 2^-149, least single */
		{"\xfb\x36\x90\x00\x00\x00\x00\x00\x00", 9, 0},	      /* 2^-150 */
		{"\xfa\x00\x00\x00\x00", 5, -EILSEQ},		      /* zero */
		{"\xf9\x7e\x01", 3, -EILSEQ},			      /* another NaN */
		{"\xf8\x1f", 2, -EBADMSG},
		{"\xf8\x20", 2, 0},
		{"\x1c", 1, -EBADMSG}, /* reserved */
		{"\xff", 1, -EBADMSG}, /* a break of nothing */
		{"\x61\xff", 2, -EBADMSG},
		{"\x62\xc0\x80", 3, -EBADMSG},	       /* overlong UTF-8 */
		{"\x63\xed\xa0\x80", 4, -EBADMSG},     /* a surrogate */
		{"\x64\xf4\x90\x80\x80", 5, -EBADMSG}, /* over U+10FFFF */
		{"\x61\xc3", 2, -EBADMSG},
		{"\x00\x00", 2, -EBADMSG},
		{"", 0, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		int rc = check_exact((const uint8_t *)cases[i].bytes, cases[i].len);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d, not %d", i, rc, cases[i].rc);
	}
}

static void depth_is_bounded(void **state)
{
	uint8_t bytes[4096];

	(void)state;
	memset(bytes, 0x81, sizeof(bytes));
	bytes[OMNI_CBOR_DEPTH_MAX] = 0;
	assert_int_equal(check_exact(bytes, OMNI_CBOR_DEPTH_MAX + 1), 0);
	bytes[OMNI_CBOR_DEPTH_MAX] = 0x81;
	bytes[OMNI_CBOR_DEPTH_MAX + 1] = 0;
	assert_int_equal(check_exact(bytes, OMNI_CBOR_DEPTH_MAX + 2), -ELOOP);
	memset(bytes, 0x81, sizeof(bytes));
	assert_int_equal(check_exact(bytes, sizeof(bytes)), -ELOOP);
	memset(bytes, 0xc1, sizeof(bytes));
	assert_int_equal(check_exact(bytes, sizeof(bytes)), -ELOOP);
}

/* A claim of 2^64 - 1 items is refused at once, whatever stands behind it. */
static void claims_cost_nothing(void **state)
{
	uint8_t bytes[64];

	(void)state;
	for (unsigned int major = 2; major <= 5; major++) {
		memset(bytes, 0xff, sizeof(bytes));
		bytes[0] = (uint8_t)(major << 5 | 27);
		assert_int_equal(check_exact(bytes, sizeof(bytes)), -EBADMSG);
		memset(bytes + 9, 0, sizeof(bytes) - 9);
		assert_int_equal(check_exact(bytes, sizeof(bytes)), -EBADMSG);
	}
}

static void reading_another_type_fails(void **state)
{
	static const uint8_t bytes[] = {0x01};
	static const uint8_t half[] = {0xf9, 0x00, 0x15}; /* a float whose bits are true's */
	struct omni_reader r = omni_reader_init(bytes, sizeof(bytes));
	struct omni_endpoint ep;
	struct omni_ip ip;
	char text[4];
	size_t len;

	(void)state;
	assert_null(omni_cbor_get_bytes(&r, &len));
	assert_true(r.failed);
	assert_int_equal(len, 0);
	r = omni_reader_init(bytes, sizeof(bytes));
	assert_false(omni_cbor_get_bool(&r));
	assert_true(r.failed);
	r = omni_reader_init(half, sizeof(half));
	assert_int_equal(omni_cbor_check(half, sizeof(half)), 0);
	assert_false(omni_cbor_get_bool(&r));
	assert_true(r.failed);
	r = omni_reader_init(bytes, sizeof(bytes));
	omni_cbor_get_text(&r, text, sizeof(text));
	assert_true(r.failed);
	assert_string_equal(text, "");
	r = omni_reader_init(bytes, sizeof(bytes));
	omni_cbor_get_ip(&r, &ip);
	assert_true(r.failed);
	r = omni_reader_init(bytes, sizeof(bytes));
	omni_cbor_get_endpoint(&r, &ep);
	assert_true(r.failed);
	r = omni_reader_init(bytes, sizeof(bytes));
	assert_int_equal(omni_cbor_get_uint_max(&r, 0), 0);
	assert_true(r.failed);
	r = omni_reader_init(bytes, sizeof(bytes));
	assert_int_equal(omni_cbor_get_uint(&r), 1);
	assert_false(r.failed);
}

static void noise_never_crashes(void **state)
{
	uint8_t bytes[96];

	(void)state;
	srand(8949);
	for (int turn = 0; turn < 200000; turn++) {
		size_t len = (size_t)rand() % sizeof(bytes);
		struct omni_reader r = omni_reader_init(bytes, len);

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rand();
		if (omni_cbor_check(bytes, len) != 0)
			continue;
		(void)omni_cbor_skip(&r);
		assert_false(r.failed);
		assert_int_equal(omni_reader_left(&r), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appendix_a),
		cmocka_unit_test(one_form_only),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(claims_cost_nothing),
		cmocka_unit_test(reading_another_type_fails),
		cmocka_unit_test(noise_never_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
