/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_log.h>

static void b64_round_trips_every_length(void **state)
{
	uint8_t in[64], out[64];
	char text[96];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 37);
	for (size_t len = 0; len <= sizeof(in); len++) {
		assert_int_equal(omni_b64_encode(text, sizeof(text), in, len), (len + 2) / 3 * 4);
		assert_int_equal(omni_b64_decode(out, sizeof(out), text), len);
		assert_memory_equal(in, out, len);
	}
}

static size_t logged(int fd, char *out, size_t len)
{
	size_t lines = 0;
	ssize_t n = read(fd, out, len - 1);

	out[n > 0 ? n : 0] = '\0';
	for (char *p = out; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	return lines;
}

/* One message that a stranger can cause does not fill the log, nor silence another. */
static void logs_are_limited_by_message(void **state)
{
	static char text[32768];
	int fd[2], old = dup(STDERR_FILENO);
	size_t first, second;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	for (int i = 0; i < 1000; i++)
		omni_log_info("test", "often", "i=%d", i);
	omni_log_warn("test", "seldom", "%s", "");
	first = logged(fd[0], text, sizeof(text));
	sleep(2);
	omni_log_info("test", "often", "i=%d", 1000);
	for (int i = 0; i < 100; i++)
		omni_log_error("test", "errors are not", "i=%d", i);
	dup2(old, STDERR_FILENO);
	assert_non_null(strstr(text, "seldom"));
	assert_in_range(first, OMNI_LOG_BURST + 1, OMNI_LOG_BURST + 3);
	second = logged(fd[0], text, sizeof(text));
	assert_non_null(strstr(text, "i=1000 suppressed=9"));
	assert_int_equal(second, 101);
	close(fd[0]);
	close(fd[1]);
	close(old);
}

static void b64_refuses_what_is_not_canonical(void **state)
{
	static const char *const bad[] = {"A",	  "AA",	  "AAA",  "AB==",  "AAB=",    "A===",
					  "====", "AA=A", "AAA ", "AA\n=", "AAAA=AAA"};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		assert_int_equal(omni_b64_decode(out, sizeof(out), bad[i]), -EINVAL);
	assert_int_equal(omni_b64_decode(out, 2, "AAAA"), -ENOSPC);
}

static void endpoints_parse_and_print(void **state)
{
	static const char *const good[] = {"192.0.2.1:51820", "[2001:db8::1]:1", "0.0.0.0:65535"};
	static const char *const bad[] = {"192.0.2.1",
					  "192.0.2.1:0",
					  "192.0.2.1:65536",
					  "192.0.2.1:+1",
					  "2001:db8::1",
					  "[2001:db8::1]",
					  "[2001:db8::1:1",
					  "name:1",
					  "",
					  ":1",
					  "192.0.2.1: 1",
					  "1.2.3.4:1x"};
	char text[OMNI_ENDPOINT_TEXT_LEN];
	struct omni_endpoint ep;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(good); i++) {
		assert_int_equal(omni_endpoint_parse(&ep, good[i]), 0);
		assert_string_equal(omni_endpoint_text(text, &ep), good[i]);
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		assert_int_equal(omni_endpoint_parse(&ep, bad[i]), -EINVAL);
}

static void prefixes_contain_their_own(void **state)
{
	static const struct {
		const char *prefix, *ip;
		bool in;
	} cases[] = {
		{"10.200.0.1/24", "10.200.0.255", true},
		{"10.200.0.1/24", "10.200.1.0", false},
		{"10.200.0.1/32", "10.200.0.1", true},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"::/0", "fd00::1", true},
	};
	struct omni_prefix prefix;
	struct omni_ip ip;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		assert_int_equal(omni_prefix_parse(&prefix, cases[i].prefix, 24, 64), 0);
		assert_int_equal(omni_ip_parse(&ip, cases[i].ip), 0);
		assert_int_equal(omni_prefix_contains(&prefix, &ip), cases[i].in);
	}
	assert_int_equal(omni_prefix_parse(&prefix, "10.0.0.1", 24, 64), 0);
	assert_int_equal(prefix.len, 24);
	assert_int_equal(omni_prefix_parse(&prefix, "10.0.0.1/33", 24, 64), -EINVAL);
	assert_int_equal(omni_prefix_parse(&prefix, "10.0.0.1/", 24, 64), -EINVAL);
	assert_int_equal(omni_prefix_parse(&prefix, "::ffff:10.0.0.1", 24, 64), -EINVAL);
	assert_int_equal(omni_prefix_parse(&prefix, "::ffff:10.0.0.0/24", 24, 64), -EINVAL);
}

static void host_and_port_split(void **state)
{
	char host[OMNI_HOST_LEN];
	uint16_t port;

	(void)state;
	assert_int_equal(omni_host_port_split(host, &port, "nucleus.example.com", 51820), 0);
	assert_string_equal(host, "nucleus.example.com");
	assert_int_equal(port, 51820);
	assert_int_equal(omni_host_port_split(host, &port, "[::1]:7", 0), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(omni_host_port_split(host, &port, "2001:db8::1", 9), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(omni_host_port_split(host, &port, "a", 0), -EINVAL);
	assert_int_equal(omni_host_port_split(host, &port, ":7", 0), -EINVAL);
}

static void cursor_stops_at_the_end(void **state)
{
	uint8_t bytes[4] = {1, 2, 3, 4};
	struct omni_reader r = omni_reader_init(bytes, sizeof(bytes));
	struct omni_writer w = omni_writer_init(bytes, 3);

	(void)state;
	assert_int_equal(omni_read_be16(&r), 0x0102);
	assert_int_equal(omni_read_be32(&r), 0);
	assert_true(r.failed);
	assert_int_equal(omni_read_u8(&r), 0);
	omni_write_be16(&w, 0xaabb);
	omni_write_be16(&w, 0xccdd);
	assert_true(w.failed);
	assert_int_equal(bytes[2], 3);
}

static void tai64n_orders_and_carries(void **state)
{
	uint8_t a[OMNI_TAI64N_LEN], b[OMNI_TAI64N_LEN];

	(void)state;
	omni_tai64n_from_real_ns(a, 999999999);
	omni_tai64n_from_real_ns(b, 1000000000);
	assert_int_equal(omni_load_be64(a), 0x400000000000000aULL);
	assert_true(memcmp(a, b, sizeof(a)) < 0);
	omni_tai64n_increment(a);
	assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_are_limited_by_message),
		cmocka_unit_test(b64_round_trips_every_length),
		cmocka_unit_test(b64_refuses_what_is_not_canonical),
		cmocka_unit_test(endpoints_parse_and_print),
		cmocka_unit_test(prefixes_contain_their_own),
		cmocka_unit_test(host_and_port_split),
		cmocka_unit_test(cursor_stops_at_the_end),
		cmocka_unit_test(tai64n_orders_and_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
