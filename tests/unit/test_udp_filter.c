/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The filter on the sockets of a udp port, over loopback. */
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_mbuf.h>

#include <omni_clock.h>
#include <omni_drivers.h>
#include <udp.h>

#include "eal.h"

#define WINDOW_NS (OMNI_NS_PER_S / 10) /* of the filter's count */

static struct rte_mempool *pool;
static struct omni_port_table table;
static struct omni_port *port;
static uint16_t udp_port;

static int free_socket(uint16_t *number)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*number = ntohs(any.sin_port);
	return fd;
}

static int begin(void **state)
{
	struct omni_port_conf conf = {.name = "up", .driver = "udp", .n_udp_ports = 1};
	struct omni_err err = {""};

	if (eal_setup(state) != 0)
		return -1;
	pool = omni_pool_create("filter", OMNI_POOL_PLAIN, 2047, 1518, 0, &err);
	close(free_socket(&udp_port));
	conf.udp_ports[0] = udp_port;
	port = omni_port_open(&table, omni_driver_find("udp", &err), &conf, pool, &err);
	return port != NULL ? 0 : -1;
}

static int end(void **state)
{
	omni_port_close(&table, port);
	rte_mempool_free(pool);
	return eal_teardown(state);
}

static uint64_t counter(const char *name)
{
	struct omni_port_stats s;

	omni_port_read_stats(port, &s);
	for (unsigned int i = 0; i < s.n_extra; i++)
		if (strcmp(s.extra[i].name, name) == 0)
			return s.extra[i].value;
	fail_msg("no such counter");
	return 0;
}

static uint64_t filtered(void)
{
	return counter("rx_filtered");
}

/* A datagram of len bytes that begins with type, in segments of size (0: whole). */
static void throw(uint8_t type, uint16_t len, int size)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(udp_port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t bytes[1024] = {type};
	uint16_t from;
	int fd = free_socket(&from);

	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

static void assert_received(unsigned int n)
{
	struct pollfd fd = {.fd = omni_port_rx_fd(port, 0), .events = POLLIN};
	struct rte_mbuf *in[64];
	unsigned int got = 0;

	while (got < n && poll(&fd, 1, 1000) == 1)
		got += omni_port_rx(port, 0, in + got, (uint16_t)(64 - got));
	assert_int_equal(got, n);
	rte_pktmbuf_free_bulk(in, got);
}

static void impossible_datagrams_wake_nobody(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t len;
	} bad[] = {{0x0a, 100}, {0x7f, 1000}, {0x05, 3}, {0x80, 39}, {0xff, 3}, {0x41, 40}},
	  good[] = {{0x80, 40}, {0xff, 1000}, {0x00, 20}, {0x05, 4}, {0x09, 100}, {0x01, 148}};
	struct pollfd fd = {.fd = omni_port_rx_fd(port, 0), .events = POLLIN};
	struct udp_filter *filter = udp_filter_open();

	(void)state;
	if (filter == NULL)
		skip();
	udp_filter_close(filter);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		throw(bad[i].type, bad[i].len, 0);
	assert_int_equal(poll(&fd, 1, 50), 0);
	assert_int_equal(filtered(), OMNI_ARRAY_SIZE(bad));
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(good); i++)
		throw(good[i].type, good[i].len, 0);
	assert_received(OMNI_ARRAY_SIZE(good));
	/* Joined, one bad one takes no others along. */
	throw(0x41, 400, 100);
	assert_received(4);
	assert_int_equal(filtered(), OMNI_ARRAY_SIZE(bad));
}

/* ---- Floods ---- */

#define MANY 4000 /* as drivers/bpf/flood.bpf.h has it */
#define INITIATION 0x01
#define INITIATION_LEN 148
#define WG_DATA 0x04

/* One datagram from 127.0.0.host. */
static void throw_from(int fd, uint8_t host, uint8_t type)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(udp_port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t bytes[INITIATION_LEN] = {type};
	struct iovec iov = {bytes, sizeof(bytes)};
	union {
		struct cmsghdr align;
		uint8_t b[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = {0};
	struct msghdr msg = {.msg_name = &to,
			     .msg_namelen = sizeof(to),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(0x7f000000U | host)};

	control.align.cmsg_level = SOL_IP;
	control.align.cmsg_type = IP_PKTINFO;
	control.align.cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(&control.align), &from, sizeof(from));
	assert_int_equal(sendmsg(fd, &msg, 0), sizeof(bytes));
}

static unsigned int take_all(void)
{
	struct rte_mbuf *in[64];
	unsigned int got = 0, n;

	while ((n = omni_port_rx(port, 0, in, 64)) > 0) {
		rte_pktmbuf_free_bulk(in, n);
		got += n;
	}
	return got;
}

/* So many from one source, counted on one CPU; returns those that came through. */
static unsigned int flood_from(int fd, uint8_t host, unsigned int n)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < n; i++) {
		throw_from(fd, host, INITIATION);
		if (i % 64 == 63)
			got += take_all();
	}
	return got + take_all();
}

static void floods_of_handshakes_are_thinned_out(void **state)
{
	struct udp_filter *filter = udp_filter_open();
	cpu_set_t one, all;
	bool flooded = false;
	unsigned int tries;
	uint16_t from;
	int fd = free_socket(&from);

	(void)state;
	if (filter == NULL)
		skip();
	udp_filter_close(filter);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	/* As many as an honest reconnect may make, of one address. */
	assert_int_equal(flood_from(fd, 2, MANY / 4), MANY / 4);
	assert_int_equal(counter("rx_flood_limited"), 0);
	/* Then too many: each source is heard once. On a busy machine that may last too long. */
	for (tries = 0; tries < 20 && !flooded; tries++) {
		uint64_t began, limited = counter("rx_flood_limited");
		unsigned int first, second;

		usleep(250000); /* so that a window begins */
		began = omni_clock_boot_ns();
		first = flood_from(fd, 2, 3 * MANY);
		second = flood_from(fd, 3, 100);
		limited = counter("rx_flood_limited") - limited;
		flooded = omni_clock_boot_ns() - began < WINDOW_NS;
		if (!flooded)
			continue;
		assert_in_range(first, MANY / 2, MANY + 1);
		assert_in_range(limited, 2 * MANY - 1, 3 * MANY + 100);
		assert_int_equal(second, 1);
	}
	if (!flooded)
		skip();
	/* Data passes. */
	for (int i = 0; i < 10; i++)
		throw_from(fd, 2, WG_DATA);
	for (int i = 0; i < 10; i++)
		throw_from(fd, 3, 0x80);
	assert_int_equal(take_all(), 20);
	/* And when it is over, everybody is heard again. */
	usleep(250000);
	assert_int_equal(flood_from(fd, 2, 50), 50);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_datagrams_wake_nobody),
		cmocka_unit_test(floods_of_handshakes_are_thinned_out),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
