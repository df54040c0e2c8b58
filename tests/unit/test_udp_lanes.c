/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The udp driver's sockets for source ports of lanes, over loopback, against plain sockets. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_errno.h>

#include <omni_cursor.h>
#include <omni_drivers.h>

#include "eal.h"

#define POOL_SIZE 2047
#define MTU 1500
#define HDR 42 /* Ethernet, IPv4 and UDP */
#define LEN 90

static struct rte_mempool *pool;
static struct omni_port_table table;
static struct omni_err err;
static struct omni_port *port;
static uint16_t mine[3], far_port; /* main, and the lanes of two queues */
static int far_fd;

static struct sockaddr_in loopback(uint16_t udp_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(udp_port)};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return at;
}

static int plain_socket(uint16_t *udp_port)
{
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*udp_port = ntohs(at.sin_port);
	return fd;
}

static int open_port(void **state)
{
	struct omni_port_conf conf = {
		.driver = "udp", .name = "lanes", .queues = 2, .n_udp_ports = 3};

	(void)state;
	for (int i = 0; i < 3; i++) {
		close(plain_socket(&mine[i]));
		conf.udp_ports[i] = mine[i];
	}
	far_fd = plain_socket(&far_port);
	port = omni_port_open(&table, omni_driver_find("udp", &err), &conf, pool, &err);
	return port != NULL ? 0 : -1;
}

static int close_port(void **state)
{
	(void)state;
	omni_port_close(&table, port);
	close(far_fd);
	return rte_mempool_avail_count(pool) == POOL_SIZE ? 0 : -1;
}

static struct rte_mbuf *frame(uint16_t from_port, uint8_t number)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *p;

	assert_non_null(m);
	p = (uint8_t *)rte_pktmbuf_append(m, HDR + LEN);
	assert_non_null(p);
	memset(p, 0, HDR);
	for (int k = 0; k < LEN; k++)
		p[HDR + k] = number;
	omni_store_be16(p + 12, 0x0800);
	p[14] = 0x45;
	omni_store_be32(p + 26, INADDR_LOOPBACK);
	omni_store_be32(p + 30, INADDR_LOOPBACK);
	omni_store_be16(p + 34, from_port);
	omni_store_be16(p + 36, far_port);
	omni_store_be16(p + 38, LEN + 8);
	return m;
}

/* Each datagram leaves from its own source port, whichever queue sends it, and in order. */
static void datagrams_leave_from_their_ports(void **state)
{
	struct rte_mbuf *m[30];
	uint8_t next[3] = {0, 1, 2}, got[LEN + 1];

	(void)state;
	for (uint8_t i = 0; i < 30; i++)
		m[i] = frame(mine[i % 3], i);
	assert_int_equal(omni_port_tx(port, 1, m, 30), 30);
	for (int i = 0; i < 30; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		unsigned int k = 0;

		assert_int_equal(recvfrom(far_fd, got, sizeof(got), MSG_DONTWAIT,
					  (struct sockaddr *)&from, &len),
				 LEN);
		while (k < 3 && mine[k] != ntohs(from.sin_port))
			k++;
		assert_true(k < 3);
		assert_int_equal(got[0], next[k]);
		next[k] = (uint8_t)(next[k] + 3);
	}
}

/* What comes to a lane's port wakes its worker, and reaches it with that port. */
static void ports_of_lanes_receive(void **state)
{
	(void)state;
	for (uint16_t queue = 0; queue < 2; queue++) {
		struct pollfd fd = {.fd = omni_port_rx_fd(port, queue), .events = POLLIN};
		struct sockaddr_in to = loopback(mine[1 + queue]);
		struct rte_mbuf *m = NULL;
		uint16_t got = 0;

		assert_int_equal(poll(&fd, 1, 0), 0);
		assert_int_equal(sendto(far_fd, "\5abc", 4, 0, (struct sockaddr *)&to, sizeof(to)),
				 4);
		assert_int_equal(poll(&fd, 1, 1000), 1);
		/* It is looked at a thousand times a second. */
		for (int i = 0; i < 1000 && got == 0; i++) {
			got = omni_port_rx(port, queue, &m, 1);
			usleep(100);
		}
		assert_int_equal(got, 1);
		assert_int_equal(m->data_len, HDR + 4);
		assert_int_equal(omni_load_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, 34)),
				 far_port);
		assert_int_equal(omni_load_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, 36)),
				 mine[1 + queue]);
		rte_pktmbuf_free(m);
		assert_int_equal(poll(&fd, 1, 0), 0);
	}
}

static void a_taken_port_is_told(void **state)
{
	struct omni_port_conf conf = {
		.driver = "udp", .name = "taken", .queues = 1, .n_udp_ports = 2};

	(void)state;
	close(plain_socket(&conf.udp_ports[0]));
	conf.udp_ports[1] = far_port;
	assert_null(omni_port_open(&table, omni_driver_find("udp", &err), &conf, pool, &err));
	assert_int_equal(rte_errno, EADDRINUSE);
}

static int begin(void **state)
{
	if (eal_setup(state) != 0)
		return -1;
	pool = omni_pool_create("test", OMNI_POOL_PLAIN, POOL_SIZE, MTU + OMNI_PORT_L2_OVERHEAD, 0,
				&err);
	return pool != NULL ? 0 : -1;
}

static int end(void **state)
{
	rte_mempool_free(pool);
	return eal_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_port, close_port)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams_leave_from_their_ports),
		TEST(ports_of_lanes_receive),
		TEST(a_taken_port_is_told),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
