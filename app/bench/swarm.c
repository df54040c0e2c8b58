/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * omni-swarm: many WireGuard peers in one program, each with an address of its own, for measuring
 * how a gateway copes with all of them at once. No DPDK. They do handshakes, and one keepalive.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <omni_clock.h>
#include <omni_crypto.h>
#include <omni_cursor.h>
#include <omni_secret.h>
#include <omni_wg.h>

#include "command.h"

#define PEERS_MAX 60000
#define BASE 0x0a320000U /* 10.50.0.0: peer i is there and i + 1 more */
#define SOCKET_BUFFER (64 * 1024 * 1024)
#define RETRY_NS (OMNI_REKEY_TIMEOUT_S * OMNI_NS_PER_S)
#define MESSAGE_MAX 2048
#define AHEAD_MAX 1000000

struct peer {
	struct omni_dh_pair dh;
	struct omni_key shared; /* of both static keys */
	struct omni_wg hs;
	struct omni_noise_keys keys;
	struct omni_cookie cookie;
	uint64_t sent_ns;
	uint32_t remote_index;
	bool up;
};

static struct {
	unsigned int peers, rate, seconds;
	bool call, print;
	struct omni_key gateway;
	struct sockaddr_in at;
} o = {.peers = 1000, .seconds = 10};

/* A call that is made before the time begins, so that what is measured is the gateway. */
struct ahead {
	struct omni_wg hs;
	struct omni_wg_initiation message;
};

static struct peer *peer;
static struct ahead *ahead;
static int fd;
static struct {
	uint64_t first_ns, last_ns, begin_ns;
	unsigned int up, sent, answers, cookies;
} seen;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * OMNI_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- Peers ---- */

static void peer_make(unsigned int i)
{
	struct peer *p = &peer[i];

	omni_hash2(p->dh.secret.b, "omni swarm", 10, &i, sizeof(i));
	omni_x25519_public(&p->dh.public, &p->dh.secret);
}

static bool peers_make(void)
{
	peer = calloc(o.peers, sizeof(*peer));
	if (peer == NULL)
		return false;
	for (unsigned int i = 0; i < o.peers; i++)
		peer_make(i);
	return true;
}

static void print_peers(void)
{
	char text[OMNI_KEY_B64_LEN], address[INET_ADDRSTRLEN];

	for (unsigned int i = 0; i < o.peers; i++) {
		struct in_addr in = {.s_addr = htonl(BASE + i + 1)};

		printf("%s %s\n", omni_key_text(text, &peer[i].dh.public),
		       inet_ntop(AF_INET, &in, address, sizeof(address)));
	}
}

/* ---- Datagrams ---- */

static bool open_socket(uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, size = SOCKET_BUFFER;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	return fd >= 0 && setsockopt(fd, SOL_IP, IP_PKTINFO, &on, sizeof(on)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0 &&
	       bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
}

union control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void send_from(const struct peer *p, const void *data, size_t len)
{
	union control control = {0};
	struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(BASE + (uint32_t)(p - peer) + 1)};
	struct iovec iov = {(void *)(uintptr_t)data, len};
	struct msghdr msg = {.msg_name = &o.at,
			     .msg_namelen = sizeof(o.at),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};

	control.align.cmsg_level = SOL_IP;
	control.align.cmsg_type = IP_PKTINFO;
	control.align.cmsg_len = CMSG_LEN(sizeof(from));
	memcpy(CMSG_DATA(&control.align), &from, sizeof(from));
	(void)sendmsg(fd, &msg, 0);
}

/* The peer that a datagram is for; NULL: nothing came, or it is for none. */
static struct peer *receive(uint8_t *data, size_t *len)
{
	union control control;
	struct iovec iov = {data, MESSAGE_MAX};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, 0);
	struct in_pktinfo to = {0};
	uint32_t i;

	*len = n > 0 ? (size_t)n : 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); n > 0 && c != NULL; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&to, CMSG_DATA(c), sizeof(to));
	i = ntohl(to.ipi_addr.s_addr) - BASE - 1;
	return n > 0 && i < o.peers ? &peer[i] : NULL;
}

/* ---- Handshakes ---- */

static void is_up(struct peer *p)
{
	if (p->up)
		return;
	p->up = true;
	seen.up++;
	seen.last_ns = now_ns();
}

static bool make_call(struct peer *p, uint32_t index, struct omni_wg_initiation *out)
{
	struct omni_key ephemeral;
	struct omni_wg_start start = {.self = &p->dh,
				      .remote = &o.gateway,
				      .ephemeral = &ephemeral,
				      .shared = &p->shared,
				      .cookie = &p->cookie,
				      .index = index,
				      .now_ns = now_ns()};

	omni_tai64n_from_real_ns(start.timestamp, omni_clock_real_ns());
	omni_random(&ephemeral, sizeof(ephemeral));
	return omni_wg_initiation_create(&p->hs, out, &start) == 0;
}

static void send_call(struct peer *p, const struct omni_wg_initiation *out)
{
	p->sent_ns = now_ns();
	seen.sent++;
	send_from(p, out, sizeof(*out));
}

static void call(struct peer *p)
{
	struct omni_wg_initiation out;

	if (make_call(p, (uint32_t)(p - peer) + 1, &out))
		send_call(p, &out);
}

static struct peer *caller(unsigned int i)
{
	return &peer[i % OMNI_MAX(o.peers, 1U)];
}

static bool make_calls_ahead(void)
{
	unsigned int n = o.rate * o.seconds;

	ahead = calloc(n, sizeof(*ahead));
	for (unsigned int i = 0; ahead != NULL && i < n; i++) {
		if (!make_call(caller(i), i + 1, &ahead[i].message))
			return false;
		ahead[i].hs = caller(i)->hs;
	}
	return ahead != NULL;
}

static void call_made_ahead(unsigned int i)
{
	struct peer *p = caller(i);

	p->hs = ahead[i].hs; /* for a cookie in answer */
	/* There may be a cookie by now. */
	omni_macs_write((uint8_t *)&ahead[i].message, sizeof(ahead[i].message), &o.gateway,
			&p->cookie, now_ns());
	send_call(p, &ahead[i].message);
}

static void answer(struct peer *p, const struct omni_wg_initiation *in)
{
	struct omni_wg_response out;
	uint8_t timestamp[OMNI_TAI64N_LEN];
	struct omni_key ephemeral;
	struct omni_wg_reply reply = {
		.ephemeral = &ephemeral, .index = (uint32_t)(p - peer) + 1, .now_ns = now_ns()};

	omni_random(&ephemeral, sizeof(ephemeral));
	if (omni_wg_initiation_open(&p->hs, timestamp, in, &p->dh) < 0 ||
	    omni_wg_response_create(&p->hs, &out, &p->keys, &reply) < 0)
		return;
	send_from(p, &out, sizeof(out));
}

/* A keepalive, which confirms the key. */
static void confirm(struct peer *p)
{
	uint8_t out[OMNI_WG_DATA_OVERHEAD] = {OMNI_TYPE_WG_DATA};
	const uint8_t nonce[OMNI_NONCE_LEN] = {0};

	omni_store_le32(out + 4, p->hs.remote_index);
	if (omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, out + OMNI_WG_DATA_HDR_LEN, &p->keys.send, nonce,
			   NULL, 0, NULL, 0) == 0)
		send_from(p, out, sizeof(out));
}

/* Of calls made ahead each has an index of its own: answers may be late. */
static void take_response(struct peer *p, const struct omni_wg_response *in)
{
	uint32_t index = omni_load_le32(in->receiver);

	if (ahead != NULL && index - 1 < o.rate * o.seconds)
		p->hs = ahead[index - 1].hs;
	if (omni_wg_response_open(&p->hs, &p->keys, in, &p->dh, NULL) < 0)
		return;
	seen.answers++;
	confirm(p);
	is_up(p);
}

/* Data on the key that we made: the gateway has it, too. */
static void take_data(struct peer *p, const uint8_t *data, size_t len)
{
	uint8_t nonce[OMNI_NONCE_LEN] = {0}, plain[MESSAGE_MAX];

	memcpy(nonce + 4, data + 8, 8);
	if (omni_aead_open(OMNI_CIPHER_CHACHAPOLY, plain, &p->keys.recv, nonce, NULL, 0,
			   data + OMNI_WG_DATA_HDR_LEN, len - OMNI_WG_DATA_HDR_LEN) == 0)
		is_up(p);
}

static void hear(struct peer *p, const uint8_t *data, size_t len)
{
	if (seen.first_ns == 0)
		seen.first_ns = now_ns();
	switch (omni_wire_classify(data, len)) {
	case OMNI_CLASS_WG_INITIATION:
		answer(p, (const struct omni_wg_initiation *)data);
		break;
	case OMNI_CLASS_WG_RESPONSE:
		take_response(p, (const struct omni_wg_response *)data);
		break;
	case OMNI_CLASS_WG_COOKIE:
		seen.cookies += omni_wg_cookie_open(&p->hs, &p->cookie,
						    (const struct omni_wg_cookie_reply *)data,
						    now_ns()) == 0;
		break;
	case OMNI_CLASS_WG_DATA:
		take_data(p, data, len);
		break;
	default:
		break;
	}
}

/* ---- Runs ---- */

static void hear_all(int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	static uint8_t data[MESSAGE_MAX];
	struct peer *to;
	size_t len;

	if (poll(&p, 1, wait_ms) <= 0)
		return;
	do {
		to = receive(data, &len);
		if (to != NULL)
			hear(to, data, len);
	} while (len > 0);
}

static void call_silent_ones(void)
{
	uint64_t now = now_ns();

	for (unsigned int i = 0; i < o.peers; i++) {
		if (!peer[i].up && (peer[i].sent_ns == 0 || now - peer[i].sent_ns >= RETRY_NS))
			call(&peer[i]);
		if (i % 16 == 15)
			hear_all(0);
	}
}

/* Until all are up, or the time is. */
static void run_once(void)
{
	while (seen.up < o.peers && now_ns() - seen.begin_ns < o.seconds * OMNI_NS_PER_S) {
		if (o.call)
			call_silent_ones();
		hear_all(10);
	}
}

/* Handshakes at a rate, one peer after the other. */
static void run_rate(void)
{
	uint64_t end = seen.begin_ns + o.seconds * OMNI_NS_PER_S, now;

	while ((now = now_ns()) < end) {
		uint64_t due = (now - seen.begin_ns) / 1000 * o.rate / 1000000;

		if (seen.sent < due)
			call_made_ahead(seen.sent);
		hear_all(seen.sent < due ? 0 : 1);
	}
	hear_all(100);
}

static void report(void)
{
	printf("{\"peers\": %u, \"up\": %u, \"sent\": %u, \"answers\": %u, \"cookies\": %u, "
	       "\"begin_ns\": %llu, \"first_ns\": %llu, \"last_ns\": %llu, \"end_ns\": %llu}\n",
	       o.peers, seen.up, seen.sent, seen.answers, seen.cookies,
	       (unsigned long long)seen.begin_ns, (unsigned long long)seen.first_ns,
	       (unsigned long long)seen.last_ns, (unsigned long long)now_ns());
}

/* ---- Command line ---- */

static void usage(FILE *out)
{
	fprintf(out,
		"usage: omni-swarm [options] KEY ADDRESS PORT\n"
		"       omni-swarm --print [--peers N]\n"
		"\n"
		"WireGuard peers 10.50.0.1 and on, of the gateway with the public KEY at ADDRESS and\n"
		"PORT, on the same UDP port. They answer its handshakes until all have a session;\n"
		"then, or when the time is over, a line of JSON says how it went (times by\n"
		"CLOCK_MONOTONIC). The addresses must be local: ip route add local 10.50.0.0/16 dev lo\n"
		"\n"
		"  --peers N     how many (default 1000)\n"
		"  --call        call the gateway, all at once, instead of waiting for it\n"
		"  --rate N      call it N times a second, one peer after the other, for the whole time,\n"
		"                by messages that were made before: a million in all at most\n"
		"  --seconds N   time (default 10)\n"
		"  --print       print their public keys and addresses, and end\n");
}

static int parse_gateway(char **argv)
{
	unsigned int port;

	if (omni_key_parse(&o.gateway, argv[0]) < 0)
		return command_bad("KEY", argv[0], "a public key in base64");
	o.at.sin_family = AF_INET;
	if (inet_pton(AF_INET, argv[1], &o.at.sin_addr) != 1)
		return command_bad("ADDRESS", argv[1], "an IPv4 address");
	if (command_number("PORT", argv[2], 1, UINT16_MAX, &port) != 0)
		return COMMAND_USAGE;
	o.at.sin_port = htons((uint16_t)port);
	return 0;
}

static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"peers", required_argument, NULL, 'p'},
		{"call", no_argument, NULL, 'c'},
		{"rate", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"print", no_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c, rc = 0;

	while (rc == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'p')
			rc = command_number("--peers", optarg, 1, PEERS_MAX, &o.peers);
		else if (c == 'r')
			rc = command_number("--rate", optarg, 1, 1000000, &o.rate);
		else if (c == 's')
			rc = command_number("--seconds", optarg, 1, 3600, &o.seconds);
		else if (c == 'c')
			o.call = true;
		else if (c == 'P')
			o.print = true;
		else
			rc = c == 'h' ? 1 : COMMAND_USAGE;
	}
	if (rc == 0 && (uint64_t)o.rate * o.seconds > AHEAD_MAX)
		rc = COMMAND_USAGE;
	if (rc != 0 || o.print)
		return rc;
	return argc - optind == 3 ? parse_gateway(argv + optind) : COMMAND_USAGE;
}

int main(int argc, char **argv)
{
	int rc = parse(argc, argv);

	if (rc != 0) {
		usage(rc == 1 ? stdout : stderr);
		return rc == 1 ? 0 : rc;
	}
	if (!peers_make())
		return 1;
	if (o.print) {
		print_peers();
		return 0;
	}
	if (!open_socket(ntohs(o.at.sin_port))) {
		fprintf(stderr, "omni-swarm: UDP port %u: %s\n", ntohs(o.at.sin_port),
			strerror(errno));
		return 1;
	}
	for (unsigned int i = 0; i < o.peers; i++)
		if (omni_x25519(&peer[i].shared, &peer[i].dh.secret, &o.gateway) < 0)
			return 1;
	if (o.rate != 0 && !make_calls_ahead())
		return 1;
	puts("ready");
	fflush(stdout);
	seen.begin_ns = now_ns();
	if (o.rate != 0)
		run_rate();
	else
		run_once();
	report();
	return 0;
}
