/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-pingpong: round trips of one UDP datagram at a time, by CLOCK_MONOTONIC. No DPDK. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define SIZE_MIN 16
#define SIZE_MAX_UDP 9000
#define COUNT_MAX 10000000
#define TIMEOUT_MS 200

struct options {
	bool echo, fifo;
	int cpu; /* -1: any */
	struct sockaddr_in addr;
	unsigned int count, interval_us, size;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void usage(FILE *out)
{
	fprintf(out, "usage: omni-pingpong [options] ADDRESS PORT\n"
		     "\n"
		     "Sends a UDP datagram, waits for it to come back, and prints the round trips\n"
		     "in nanoseconds, a line each; what is lost is a line \"lost\".\n"
		     "\n"
		     "  --echo          answer at ADDRESS and PORT instead\n"
		     "  --count N       round trips (default 1000)\n"
		     "  --interval US   from the answer to the next datagram (default 1000)\n"
		     "  --size BYTES    of payload (default 64)\n"
		     "  --cpu N         run there\n"
		     "  --fifo          real-time priority: do not wait behind busy programs\n");
}

static bool number(const char *text, unsigned int low, unsigned int high, unsigned int *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*out = (unsigned int)v;
	return *text != '\0' && *end == '\0' && v >= low && v <= high;
}

static bool set_option(struct options *o, int c, const char *arg)
{
	unsigned int cpu;

	switch (c) {
	case 'e':
		return o->echo = true;
	case 'f':
		return o->fifo = true;
	case 'n':
		return number(arg, 1, COUNT_MAX, &o->count);
	case 'i':
		return number(arg, 0, 60000000, &o->interval_us);
	case 's':
		return number(arg, SIZE_MIN, SIZE_MAX_UDP, &o->size);
	case 'c':
		if (!number(arg, 0, CPU_SETSIZE - 1, &cpu))
			return false;
		o->cpu = (int)cpu;
		return true;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		return false;
	}
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option list[] = {
		{"echo", 0, NULL, 'e'}, {"fifo", 0, NULL, 'f'}, {"count", 1, NULL, 'n'},
		{"size", 1, NULL, 's'}, {"cpu", 1, NULL, 'c'},	{"interval", 1, NULL, 'i'},
		{"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0},
	};
	unsigned int port;
	int c;

	while ((c = getopt_long(argc, argv, "h", list, NULL)) != -1)
		if (!set_option(o, c, optarg))
			return false;
	if (optind + 2 != argc || inet_pton(AF_INET, argv[optind], &o->addr.sin_addr) != 1 ||
	    !number(argv[optind + 1], 1, UINT16_MAX, &port))
		return false;
	o->addr.sin_family = AF_INET;
	o->addr.sin_port = htons((uint16_t)port);
	return true;
}

static int place(const struct options *o)
{
	const struct sched_param priority = {.sched_priority = 50};
	cpu_set_t set;

	CPU_ZERO(&set);
	if (o->cpu >= 0)
		CPU_SET((size_t)o->cpu, &set);
	if (o->cpu >= 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
		return -1;
	return o->fifo ? sched_setscheduler(0, SCHED_FIFO, &priority) : 0;
}

static int answer(int fd, const struct options *o)
{
	static uint8_t data[SIZE_MAX_UDP];
	struct sockaddr_in from;

	if (bind(fd, (const struct sockaddr *)&o->addr, sizeof(o->addr)) < 0)
		return -1;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		if (n > 0)
			(void)sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

/* Nanoseconds, or 0 where no answer came in time. Late answers to others are passed over. */
static uint64_t round_trip(int fd, const struct options *o, uint64_t serial)
{
	static uint8_t data[SIZE_MAX_UDP];
	uint64_t begin, end;

	memcpy(data, &serial, sizeof(serial));
	begin = now_ns();
	if (send(fd, data, o->size, 0) < 0)
		return 0;
	while (recv(fd, data, sizeof(data), 0) > 0) {
		end = now_ns();
		if (memcmp(data, &serial, sizeof(serial)) == 0)
			return end - begin;
		if (end - begin > TIMEOUT_MS * (NS_PER_S / 1000))
			break;
	}
	return 0;
}

static int ask(int fd, const struct options *o)
{
	const struct timeval timeout = {.tv_usec = TIMEOUT_MS * 1000};
	const struct timespec pause = {.tv_sec = o->interval_us / 1000000,
				       .tv_nsec = o->interval_us % 1000000 * 1000};
	uint64_t *ns = calloc(o->count, sizeof(*ns));

	if (ns == NULL || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&o->addr, sizeof(o->addr)) < 0) {
		free(ns);
		return -1;
	}
	for (unsigned int i = 0; i < o->count; i++) {
		if (o->interval_us > 0)
			nanosleep(&pause, NULL);
		ns[i] = round_trip(fd, o, i);
	}
	for (unsigned int i = 0; i < o->count; i++) {
		if (ns[i] == 0)
			puts("lost");
		else
			printf("%lu\n", ns[i]);
	}
	free(ns);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.cpu = -1, .count = 1000, .interval_us = 1000, .size = 64};
	int fd, rc;

	if (!parse(&o, argc, argv)) {
		usage(stderr);
		return 2;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 || place(&o) < 0 ? -1 : o.echo ? answer(fd, &o) : ask(fd, &o);
	if (rc < 0)
		fprintf(stderr, "omni-pingpong: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc < 0;
}
