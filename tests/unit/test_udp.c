/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The udp driver over loopback: two ports of it, and plain sockets opposite it. The kernel's
 * refusals are made by wrapping its calls.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <omni_drivers.h>
#include <omni_port.h>
#include <udp.h>

#include "eal.h"
#include "udp_frames.h"

#define POOL_SIZE 8191
#define MTU 1500

static struct omni_port_table table;
static struct omni_err err;
static struct omni_port *a, *b;
static uint16_t port_b;

/* ---- The kernel's calls, which tests may refuse ---- */

int __real_sendmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_recvmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags, struct timespec *t);
int __wrap_recvmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags, struct timespec *t);

static struct {
	int refuse_runs;    /* this error for a segmented send */
	int refuse_len;	    /* EMSGSIZE for datagrams of more than so many bytes */
	int full_after;	    /* EAGAIN after so many messages; -1: never */
	int recv_error;	    /* once */
	unsigned int calls; /* of sendmmsg and sendmsg */
} kernel;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	/* What these tests send is no message of ours. */
	if (level == SOL_SOCKET && name == SO_ATTACH_BPF) {
		errno = EPERM;
		return -1;
	}
	return __real_setsockopt(fd, level, name, value, len);
}

static void kernel_is_kind(void)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.full_after = -1;
}

static bool segmented(const struct msghdr *msg)
{
	struct msghdr *m = RTE_PTR_ADD(msg, 0);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

static int verdict(const struct msghdr *msg)
{
	if (kernel.full_after == 0)
		return EAGAIN;
	if (kernel.refuse_runs != 0 && segmented(msg))
		return kernel.refuse_runs;
	if (kernel.refuse_len != 0 && msg->msg_iov[0].iov_len > (size_t)kernel.refuse_len)
		return EMSGSIZE;
	if (kernel.full_after > 0)
		kernel.full_after--;
	return 0;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags)
{
	unsigned int good = 0;

	kernel.calls++;
	while (good < n && (errno = verdict(&msg[good].msg_hdr)) == 0)
		good++;
	return good == 0 ? -1 : __real_sendmmsg(fd, msg, good, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	kernel.calls++;
	errno = verdict(msg);
	return errno != 0 ? -1 : __real_sendmsg(fd, msg, flags);
}

int __wrap_recvmmsg(int fd, struct mmsghdr *msg, unsigned int n, int flags, struct timespec *t)
{
	errno = kernel.recv_error;
	kernel.recv_error = 0;
	return errno != 0 ? -1 : __real_recvmmsg(fd, msg, n, flags, t);
}

/* ---- Ports and sockets ---- */

static int plain_socket(uint16_t *port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*port = ntohs(any.sin6_port);
	return fd;
}

static struct omni_port *open_port(uint16_t udp_port, uint16_t queues)
{
	struct omni_port_conf conf = {
		.driver = "udp", .queues = queues, .udp_ports = {udp_port}, .n_udp_ports = 1};

	snprintf(conf.name, sizeof(conf.name), "up%u", udp_port);
	return omni_port_open(&table, omni_driver_find("udp", &err), &conf, pool, &err);
}

/* A port of the driver on a UDP port that was free a moment ago. */
static struct omni_port *open_free(uint16_t *udp_port)
{
	int fd = plain_socket(udp_port);

	close(fd);
	return open_port(*udp_port, 1);
}

static int open_both(void **state)
{
	(void)state;
	kernel_is_kind();
	a = open_free(&port_a);
	b = open_free(&port_b);
	return a != NULL && b != NULL ? 0 : -1;
}

static int close_both(void **state)
{
	(void)state;
	omni_port_close(&table, a);
	omni_port_close(&table, b);
	return rte_mempool_avail_count(pool) == POOL_SIZE ? 0 : -1;
}

static uint64_t extra(struct omni_port *port, const char *name)
{
	struct omni_port_stats s;

	omni_port_read_stats(port, &s);
	for (unsigned int i = 0; i < s.n_extra; i++)
		if (strcmp(s.extra[i].name, name) == 0)
			return s.extra[i].value;
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- Sending and receiving ---- */

static void send_all(struct rte_mbuf **m, uint16_t n)
{
	assert_int_equal(omni_port_tx(a, 0, m, n), n);
}

/* What came, until nothing more does; asked for `burst` at a time. */
static unsigned int receive(struct omni_port *port, struct rte_mbuf **m, unsigned int max,
			    uint16_t burst)
{
	unsigned int n = 0;
	uint16_t got;

	do {
		got = omni_port_rx(port, 0, m + n, (uint16_t)OMNI_MIN(burst, max - n));
		n += got;
	} while (got > 0 && n < max);
	return n;
}

/* Send datagrams of these sizes to b, and see that they come as they were, in order. */
static void cross(const uint16_t *len, unsigned int n, uint16_t burst)
{
	struct rte_mbuf *out[512], *in[512];

	assert_true(n <= 512);
	for (unsigned int i = 0; i < n; i++)
		out[i] = v4_frame(port_b, len[i], i);
	send_all(out, (uint16_t)n);
	assert_int_equal(receive(b, in, 512, burst), n);
	for (unsigned int i = 0; i < n; i++)
		assert_frame(in[i], false, port_a, port_b, len[i], i);
	rte_pktmbuf_free_bulk(in, n);
}

static void fill(uint16_t *len, unsigned int n, uint16_t value)
{
	for (unsigned int i = 0; i < n; i++)
		len[i] = value;
}

/* ---- Tests ---- */

static void a_run_leaves_and_comes_in_one_call(void **state)
{
	uint16_t len[41];

	(void)state;
	fill(len, 41, 1400);
	len[40] = 300;
	cross(len, 41, 64);
	assert_int_equal(kernel.calls, 1);
	assert_int_equal(extra(a, "tx_runs"), 1);
	assert_int_equal(extra(b, "rx_joined"), 1);
	/* Now the size is known: no datagram is copied. */
	uint64_t copied = extra(b, "rx_copied");

	cross(len, 41, 64);
	cross(len, 40, 64);
	assert_int_equal(extra(b, "rx_copied"), copied);
	assert_int_equal(extra(b, "rx_joined"), 3);
}

static void longest_datagram_of_the_mtu(void **state)
{
	const uint16_t len[] = {MTU - 28, MTU - 28, MTU - 28};

	(void)state;
	cross(len, 1, 64);
	assert_int_equal(extra(b, "rx_copied"), 0);
	cross(len, 3, 64);
	assert_int_equal(extra(b, "rx_truncated"), 0);
}

static void cross_with_tos(bool v6)
{
	static const uint8_t tos[] = {0, 0, 0x02, 0x02, 0xb9, 0x03, 0, 0xff};
	struct rte_mbuf *out[8], *in[8];

	for (unsigned int i = 0; i < 8; i++) {
		out[i] = frame(v6, v6 ? &lo6 : &lo4, v6 ? &lo6 : &lo4, port_b, 500, i);
		set_tos(out[i], v6, tos[i]);
	}
	send_all(out, 8);
	assert_int_equal(receive(b, in, 8, 8), 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_frame(in[i], v6, port_a, port_b, 500, i);
		assert_int_equal(get_tos(in[i], v6), tos[i]);
	}
	rte_pktmbuf_free_bulk(in, 8);
}

/* Of equal ones a run is made, of others not; and the order stays. */
static void tos_goes_along(void **state)
{
	(void)state;
	cross_with_tos(false);
	cross_with_tos(true);
	assert_int_equal(extra(a, "tx_runs"), 4);
	/* Where the kernel takes single datagrams alone, too. */
	kernel.refuse_runs = EINVAL;
	cross_with_tos(false);
	cross_with_tos(true);
}

static void sizes_of_every_kind_stay_in_order(void **state)
{
	uint16_t len[300];

	(void)state;
	srand(7);
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 300; i++) {
			if (i > 0 && rand() % 4 != 0)
				len[i] = len[i - 1];
			else
				len[i] = (uint16_t)(rand() % (MTU - 27));
		}
		cross(len, 300, (uint16_t)(1 + rand() % 64));
	}
}

static void runs_are_bounded(void **state)
{
	uint16_t len[200];

	(void)state;
	fill(len, 200, 20);
	cross(len, 200, 64);
	assert_int_equal(extra(a, "tx_runs"), 4); /* 64, 64, 64, 8 */
	fill(len, 60, 1472);
	cross(len, 60, 64); /* 44 of them are 64 768 bytes */
	assert_int_equal(extra(a, "tx_runs"), 6);
}

static void a_wrong_guess_is_copied_apart(void **state)
{
	static const uint16_t size[] = {1400, 100, 100, 1000, 7, 1472, 1, 1400};
	uint16_t len[64];

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(size); i++) {
		fill(len, 44, size[i]);
		len[43] = (uint16_t)(size[i] / 2 + 1);
		cross(len, 44, 64);
	}
	assert_true(extra(b, "rx_copied") > 0);
	assert_int_equal(extra(b, "rx_truncated"), 0);
}

static void what_a_burst_has_no_room_for_is_kept(void **state)
{
	struct rte_mbuf *out[44], *in[44];

	(void)state;
	for (unsigned int i = 0; i < 44; i++)
		out[i] = v4_frame(port_b, 500, i);
	send_all(out, 44);
	assert_int_equal(omni_port_rx(b, 0, in, 10), 10);
	assert_true(omni_port_arm(b, 0));
	assert_int_equal(omni_port_rx(b, 0, in + 10, 64), 34);
	assert_false(omni_port_arm(b, 0));
	for (unsigned int i = 0; i < 44; i++)
		assert_frame(in[i], false, port_a, port_b, 500, i);
	rte_pktmbuf_free_bulk(in, 44);
}

static void ipv6_too(void **state)
{
	struct rte_mbuf *out[20], *in[20];

	(void)state;
	for (unsigned int i = 0; i < 20; i++)
		out[i] = frame(true, &lo6, &lo6, port_b, 1200, i);
	if (omni_port_tx(a, 0, out, 20) != 20 || extra(a, "tx_no_route") > 0 ||
	    extra(a, "tx_no_source") > 0)
		skip(); /* a host without ::1 */
	assert_int_equal(receive(b, in, 20, 64), 20);
	for (unsigned int i = 0; i < 20; i++)
		assert_frame(in[i], true, port_a, port_b, 1200, i);
	rte_pktmbuf_free_bulk(in, 20);
	assert_int_equal(extra(a, "tx_runs"), 1);
}

/*
 * A third port. Its frames and b's may share a place in the sender's table, by a chance of one in
 * 256, and then leave in more calls than a test counts: another port is taken.
 */
static struct omni_port *open_beside_b(uint16_t *udp_port)
{
	for (unsigned int tries = 0; tries < 8; tries++) {
		struct omni_port *c = open_free(udp_port);
		uint64_t runs = extra(a, "tx_runs");
		struct rte_mbuf *m[4];

		assert_non_null(c);
		for (unsigned int i = 0; i < 4; i++)
			m[i] = v4_frame(i % 2 == 0 ? port_b : *udp_port, 200, i);
		send_all(m, 4);
		assert_int_equal(receive(b, m, 2, 64), 2);
		assert_int_equal(receive(c, m + 2, 2, 64), 2);
		rte_pktmbuf_free_bulk(m, 4);
		if (extra(a, "tx_runs") == runs + 2)
			return c;
		omni_port_close(&table, c);
	}
	fail();
	return NULL;
}

static void destinations_are_sorted_and_keep_their_order(void **state)
{
	uint16_t port_c;
	struct omni_port *c = open_beside_b(&port_c);
	uint64_t runs = extra(a, "tx_runs");
	struct rte_mbuf *out[100], *in[100];

	(void)state;
	kernel_is_kind();
	for (unsigned int i = 0; i < 100; i++)
		out[i] = v4_frame(i % 3 == 0 ? port_c : port_b, 900, i);
	send_all(out, 100);
	assert_int_equal(kernel.calls, 1);
	assert_int_equal(extra(a, "tx_runs"), runs + 3); /* 66 and 34 */
	assert_int_equal(receive(b, in, 100, 64), 66);
	for (unsigned int i = 0, k = 0; i < 100; i++)
		if (i % 3 != 0)
			assert_frame(in[k++], false, port_a, port_b, 900, i);
	rte_pktmbuf_free_bulk(in, 66);
	assert_int_equal(receive(c, in, 100, 64), 34);
	for (unsigned int i = 0; i < 34; i++)
		assert_frame(in[i], false, port_a, port_c, 900, i * 3);
	rte_pktmbuf_free_bulk(in, 34);
	omni_port_close(&table, c);
}

static void full_socket_leaves_frames_with_the_caller(void **state)
{
	struct rte_mbuf *out[10], *in[10];
	uint16_t n;

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		out[i] = v4_frame(port_b, (uint16_t)(100 + i), i); /* ten messages */
	kernel.full_after = 4;
	n = omni_port_tx(a, 0, out, 10);
	assert_int_equal(n, 4);
	assert_int_equal(extra(a, "tx_full"), 1);
	assert_int_equal(omni_port_tx(a, 0, out + n, (uint16_t)(10 - n)), 0);
	kernel.full_after = -1;
	assert_int_equal(omni_port_tx(a, 0, out + n, (uint16_t)(10 - n)), 6);
	assert_int_equal(receive(b, in, 10, 64), 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_frame(in[i], false, port_a, port_b, (uint16_t)(100 + i), i);
	rte_pktmbuf_free_bulk(in, 10);
}

static void full_socket_amid_sorted_destinations(void **state)
{
	struct rte_mbuf *out[8], *in[8];
	uint16_t port_c, n;
	struct omni_port *c = open_beside_b(&port_c);

	(void)state;
	kernel_is_kind();
	for (unsigned int i = 0; i < 8; i++)
		out[i] = v4_frame(i % 2 == 0 ? port_b : port_c, 200, i);
	kernel.full_after = 1; /* the four for b leave in one run */
	n = omni_port_tx(a, 0, out, 8);
	assert_int_equal(n, 4);
	kernel_is_kind();
	assert_int_equal(omni_port_tx(a, 0, out + n, 4), 4);
	assert_int_equal(receive(b, in, 8, 64), 4);
	rte_pktmbuf_free_bulk(in, 4);
	assert_int_equal(receive(c, in, 8, 64), 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_frame(in[i], false, port_a, port_c, 200, i * 2 + 1);
	rte_pktmbuf_free_bulk(in, 4);
	omni_port_close(&table, c);
}

static void a_refused_run_goes_in_single_datagrams(void **state)
{
	static const int errors[] = {EINVAL, EIO, EMSGSIZE, EOPNOTSUPP};
	uint16_t len[30];

	(void)state;
	fill(len, 30, 700);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(errors); i++) {
		kernel_is_kind();
		kernel.refuse_runs = errors[i];
		cross(len, 30, 64);
		/* Remembered: one sendmmsg with 30 messages from now on. */
		kernel.calls = 0;
		cross(len, 30, 64);
		assert_int_equal(kernel.calls, 1);
		assert_int_equal(extra(a, "tx_apart"), 1);
		close_both(NULL);
		assert_int_equal(open_both(NULL), 0);
	}
}

static void full_socket_within_a_refused_run(void **state)
{
	struct rte_mbuf *out[10], *in[10];
	uint16_t n;

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		out[i] = v4_frame(port_b, 700, i);
	kernel.refuse_runs = EIO;
	kernel.full_after = 3;
	n = omni_port_tx(a, 0, out, 10);
	assert_int_equal(n, 3);
	kernel.full_after = -1;
	assert_int_equal(omni_port_tx(a, 0, out + n, 7), 7);
	assert_int_equal(receive(b, in, 10, 64), 10);
	for (unsigned int i = 0; i < 10; i++)
		assert_frame(in[i], false, port_a, port_b, 700, i);
	rte_pktmbuf_free_bulk(in, 10);
}

static void too_long_for_the_link_is_dropped_alone(void **state)
{
	static const uint16_t len[] = {1400, 1400, 1400, 500, 1400, 300};
	struct rte_mbuf *out[6], *in[6];
	struct omni_port_stats s;

	(void)state;
	kernel.refuse_len = 1000;
	for (unsigned int i = 0; i < 6; i++)
		out[i] = v4_frame(port_b, len[i], i);
	send_all(out, 6);
	assert_int_equal(receive(b, in, 6, 64), 2);
	assert_frame(in[0], false, port_a, port_b, 500, 3);
	assert_frame(in[1], false, port_a, port_b, 300, 5);
	rte_pktmbuf_free_bulk(in, 2);
	assert_int_equal(extra(a, "tx_too_long"), 4);
	omni_port_read_stats(a, &s);
	assert_int_equal(s.tx_dropped, 4);
	assert_int_equal(s.tx_frames, 2);
}

static void refusals_by_name_do_not_stop_the_rest(void **state)
{
	struct omni_ip bad, nowhere;
	struct rte_mbuf *out[4], *in[4];

	(void)state;
	assert_int_equal(omni_ip_parse(&bad, "192.0.2.77"), 0);
	assert_int_equal(omni_ip_parse(&nowhere, "255.255.255.255"), 0);
	out[0] = v4_frame(port_b, 100, 0);
	out[1] = frame(false, &bad, &lo4, port_b, 100, 1);
	out[2] = frame(false, &lo4, &nowhere, port_b, 100, 2); /* broadcast: not permitted */
	out[3] = v4_frame(port_b, 100, 3);
	send_all(out, 4);
	assert_int_equal(receive(b, in, 4, 64), 2);
	assert_frame(in[0], false, port_a, port_b, 100, 0);
	assert_frame(in[1], false, port_a, port_b, 100, 3);
	rte_pktmbuf_free_bulk(in, 2);
	assert_int_equal(extra(a, "tx_no_source") + extra(a, "tx_no_route"), 1);
	assert_int_equal(extra(a, "tx_denied"), 1);
}

static void what_is_no_datagram_is_dropped(void **state)
{
	struct rte_mbuf *out[4], *in[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		out[i] = v4_frame(port_b, 100, i);
	put16(rte_pktmbuf_mtod_offset(out[0], uint8_t *, 12), 0x0806);
	out[1]->data_len = out[1]->pkt_len = 20;
	out[2]->nb_segs = 1;
	rte_pktmbuf_mtod(out[2], uint8_t *)[14] = 0x46; /* IP options */
	send_all(out, 4);
	assert_int_equal(receive(b, in, 4, 64), 1);
	assert_frame(in[0], false, port_a, port_b, 100, 3);
	rte_pktmbuf_free_bulk(in, 1);
	assert_int_equal(extra(a, "tx_failed"), 3);
}

static void too_long_for_a_buffer_is_counted(void **state)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port_b)};
	static char big[9000];
	uint16_t port;
	int fd = plain_socket(&port);
	struct rte_mbuf *in[4];

	(void)state;
	memcpy(&to.sin6_addr, lo4.b, 16);
	for (unsigned int k = 0; k < 9000; k++)
		big[k] = (char)pattern(0, k);
	assert_int_equal(sendto(fd, big, 9000, 0, (struct sockaddr *)&to, sizeof(to)), 9000);
	assert_int_equal(sendto(fd, big, 600, 0, (struct sockaddr *)&to, sizeof(to)), 600);
	assert_int_equal(sendto(fd, big, 0, 0, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(receive(b, in, 4, 64), 2);
	assert_frame(in[0], false, port, port_b, 600, 0);
	assert_frame(in[1], false, port, port_b, 0, 0);
	rte_pktmbuf_free_bulk(in, 2);
	assert_int_equal(extra(b, "rx_truncated"), 1);
	close(fd);
}

static void more_segments_than_one_of_ours(void **state)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port_b)};
	uint8_t data[128];
	uint16_t port;
	int fd = plain_socket(&port), size = 1;
	struct rte_mbuf *in[128];

	(void)state;
	memcpy(&to.sin6_addr, lo4.b, 16);
	for (unsigned int i = 0; i < 128; i++)
		data[i] = pattern(i, 0);
	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	if (sendto(fd, data, 128, 0, (struct sockaddr *)&to, sizeof(to)) != 128) {
		close(fd);
		skip(); /* a kernel that stops at 64 */
	}
	assert_int_equal(receive(b, in, 128, 50), 128);
	for (unsigned int i = 0; i < 128; i++)
		assert_frame(in[i], false, port, port_b, 1, i);
	rte_pktmbuf_free_bulk(in, 128);
	close(fd);
}

static void errors_of_the_socket_lose_nothing(void **state)
{
	struct rte_mbuf *out[3], *in[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		out[i] = v4_frame(port_b, 50, i);
	send_all(out, 3);
	kernel.recv_error = ECONNREFUSED;
	assert_int_equal(receive(b, in, 3, 64), 3);
	rte_pktmbuf_free_bulk(in, 3);
	assert_int_equal(extra(b, "rx_failed"), 1);
}

static void an_empty_pool_is_counted_and_left_behind(void **state)
{
	static struct rte_mbuf *held[POOL_SIZE];
	struct rte_mbuf *out[3], *in[3];
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		out[i] = v4_frame(port_b, 50, i);
	while ((held[n] = rte_pktmbuf_alloc(pool)) != NULL)
		n++;
	kernel.full_after = -1;
	assert_int_equal(omni_port_rx(b, 0, in, 3), 0);
	assert_true(extra(b, "rx_no_buffer") > 0);
	rte_pktmbuf_free_bulk(held, n);
	send_all(out, 3);
	assert_int_equal(receive(b, in, 3, 64), 3);
	rte_pktmbuf_free_bulk(in, 3);
}

static void the_descriptor_wakes(void **state)
{
	struct pollfd fd = {.fd = omni_port_rx_fd(b, 0), .events = POLLIN};
	struct rte_mbuf *m = v4_frame(port_b, 50, 0);

	(void)state;
	assert_int_equal(poll(&fd, 1, 0), 0);
	send_all(&m, 1);
	assert_int_equal(poll(&fd, 1, 1000), 1);
	assert_int_equal(fd.revents, POLLIN);
	assert_int_equal(omni_port_rx(b, 0, &m, 1), 1);
	rte_pktmbuf_free(m);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

static void several_queues_share_a_port(void **state)
{
	uint16_t udp_port, from;
	int fd = plain_socket(&udp_port);
	struct omni_port *port;
	unsigned int got[4] = {0}, sum = 0;

	(void)state;
	/* Ours alone: neither taken from another, nor lent. */
	assert_null(open_port(udp_port, 4));
	assert_non_null(strstr(err.text, "another gateway"));
	close(fd);
	port = open_port(udp_port, 4);
	assert_non_null(port);
	assert_int_equal(port->queues, 4);
	for (int i = 0; i < 64; i++) {
		struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(udp_port)};

		memcpy(&to.sin6_addr, lo4.b, 16);
		fd = plain_socket(&from);
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
		close(fd);
	}
	for (uint16_t q = 0; q < 4; q++) {
		struct rte_mbuf *in[64];

		got[q] = omni_port_rx(port, q, in, 64);
		rte_pktmbuf_free_bulk(in, got[q]);
		sum += got[q];
	}
	assert_int_equal(sum, 64);
	assert_true(got[0] < 64 && got[1] < 64);
	omni_port_close(&table, port);
}

static void says_what_it_is(void **state)
{
	struct omni_port_conf conf = {.driver = "udp", .name = "u"};
	const struct omni_port_ops *ops = omni_driver_find("udp", &err);

	(void)state;
	assert_true(a->info.kernel_routes);
	assert_string_equal(a->info.mode, "socket");
	assert_int_equal(a->info.mtu, MTU);
	assert_int_equal(ops->check(&conf, &err), -EINVAL);
	conf.n_udp_ports = 1;
	assert_int_equal(ops->check(&conf, &err), 0);
	strcpy(conf.interface, "no-such0");
	assert_int_equal(ops->check(&conf, &err), -ENODEV);
}

static int begin(void **state)
{
	if (eal_setup(state) != 0)
		return -1;
	assert_int_equal(omni_ip_parse(&lo4, "127.0.0.1"), 0);
	assert_int_equal(omni_ip_parse(&lo6, "::1"), 0);
	pool = omni_pool_create("test", OMNI_POOL_PLAIN, POOL_SIZE, MTU + OMNI_PORT_L2_OVERHEAD, 0,
				&err);
	return pool != NULL ? 0 : -1;
}

static int end(void **state)
{
	rte_mempool_free(pool);
	return eal_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_leaves_and_comes_in_one_call),
		TEST(tos_goes_along),
		TEST(longest_datagram_of_the_mtu),
		TEST(sizes_of_every_kind_stay_in_order),
		TEST(runs_are_bounded),
		TEST(a_wrong_guess_is_copied_apart),
		TEST(what_a_burst_has_no_room_for_is_kept),
		TEST(ipv6_too),
		TEST(destinations_are_sorted_and_keep_their_order),
		TEST(full_socket_leaves_frames_with_the_caller),
		TEST(full_socket_amid_sorted_destinations),
		TEST(a_refused_run_goes_in_single_datagrams),
		TEST(full_socket_within_a_refused_run),
		TEST(too_long_for_the_link_is_dropped_alone),
		TEST(refusals_by_name_do_not_stop_the_rest),
		TEST(what_is_no_datagram_is_dropped),
		TEST(too_long_for_a_buffer_is_counted),
		TEST(more_segments_than_one_of_ours),
		TEST(errors_of_the_socket_lose_nothing),
		TEST(an_empty_pool_is_counted_and_left_behind),
		TEST(the_descriptor_wakes),
		TEST(several_queues_share_a_port),
		TEST(says_what_it_is),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
