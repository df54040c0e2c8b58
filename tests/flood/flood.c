/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flood INTERFACE MAC SOURCE SOURCES DESTINATION PORT SIZE FILE RATE SECONDS
 *
 * Frames out of INTERFACE to MAC: UDP over IPv4 from SOURCES addresses counted on from SOURCE, to
 * DESTINATION's PORT, RATE a second. Their payloads are FILE's pieces of SIZE bytes, one after the
 * other. Prints how many frames were sent, and how many of them the other side had room for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define NS_PER_S UINT64_C(1000000000)
#define HEADERS (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define TTL 64
#define SOURCE_PORT 1024

struct flood {
	int fd;
	uint8_t mac[ETH_ALEN];
	uint32_t source, sources, destination; /* addresses in host order */
	uint16_t port;
	size_t size;
	uint64_t rate, seconds;
	uint8_t *frames; /* sources of them, each HEADERS + size */
};

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
	uint16_t words[sizeof(*ip) / 2];
	uint32_t sum = 0;

	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static int open_socket(const char *interface)
{
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};

	if (fd < 0 || at.sll_ifindex == 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		die(interface);
	return fd;
}

/* Headers of frame number i; its payload stands already. */
static void fill(const struct flood *f, uint8_t *frame, uint32_t i)
{
	struct ether_header ether = {.ether_type = htons(ETHERTYPE_IP)};
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .ttl = TTL,
			   .protocol = IPPROTO_UDP,
			   .frag_off = htons(IP_DF),
			   .tot_len =
				   htons((uint16_t)(sizeof(ip) + sizeof(struct udphdr) + f->size)),
			   .saddr = htonl(f->source + i),
			   .daddr = htonl(f->destination)};
	struct udphdr udp = {.source = htons((uint16_t)(SOURCE_PORT + i)),
			     .dest = htons(f->port),
			     .len = htons((uint16_t)(sizeof(udp) + f->size))};

	memcpy(ether.ether_dhost, f->mac, ETH_ALEN);
	memcpy(ether.ether_shost, f->mac, ETH_ALEN);
	ether.ether_shost[ETH_ALEN - 1] ^= 1;
	ip.check = ip_checksum(&ip);
	memcpy(frame, &ether, sizeof(ether));
	memcpy(frame + sizeof(ether), &ip, sizeof(ip));
	memcpy(frame + sizeof(ether) + sizeof(ip), &udp, sizeof(udp));
}

static void prepare(struct flood *f, const char *path)
{
	size_t len = HEADERS + f->size;
	FILE *in = fopen(path, "rb");

	f->frames = calloc(f->sources, len);
	if (in == NULL || f->frames == NULL)
		die(path);
	for (uint32_t i = 0; i < f->sources; i++) {
		uint8_t *frame = f->frames + i * len;

		if (fread(frame + HEADERS, f->size, 1, in) != 1) {
			rewind(in); /* fewer payloads than sources: from the first again */
			if (fread(frame + HEADERS, f->size, 1, in) != 1)
				die(path);
		}
		fill(f, frame, i);
	}
	fclose(in);
}

/* The frames from `first` on; how many were taken. What finds the other side full is gone. */
static unsigned int burst(const struct flood *f, uint64_t first)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec at[BATCH];
	size_t len = HEADERS + f->size;
	unsigned int taken = 0;

	for (unsigned int i = 0; i < BATCH; i++) {
		at[i].iov_base = f->frames + (first + i) % f->sources * len;
		at[i].iov_len = len;
		messages[i].msg_hdr.msg_iov = &at[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned int i = 0; i < BATCH;) {
		int sent = sendmmsg(f->fd, messages + i, BATCH - i, 0);

		if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("send");
		taken += sent > 0 ? (unsigned int)sent : 0;
		i += sent > 0 ? (unsigned int)sent : 1;
	}
	return taken;
}

/* As many as the rate asks for by now; what is not taken is not made up for. Says both. */
static void run(const struct flood *f)
{
	uint64_t began = now_ns(), due, asked = 0, taken = 0, passed;

	while ((passed = now_ns() - began) < f->seconds * NS_PER_S) {
		due = passed / 1000 * f->rate / (NS_PER_S / 1000);
		if (asked + BATCH > due) {
			usleep(50);
			continue;
		}
		taken += burst(f, asked);
		asked += BATCH;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", asked, taken);
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		die(text);
	return ntohl(a.s_addr);
}

int main(int argc, char **argv)
{
	struct flood f = {0};

	if (argc != 11) {
		fprintf(stderr, "usage: flood INTERFACE MAC SOURCE SOURCES DESTINATION PORT SIZE "
				"FILE RATE SECONDS\n");
		return 2;
	}
	f.fd = open_socket(argv[1]);
	if (sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &f.mac[0], &f.mac[1], &f.mac[2],
		   &f.mac[3], &f.mac[4], &f.mac[5]) != ETH_ALEN)
		die(argv[2]);
	f.source = address(argv[3]);
	f.sources = (uint32_t)number(argv[4]);
	f.destination = address(argv[5]);
	f.port = (uint16_t)number(argv[6]);
	f.size = number(argv[7]);
	f.rate = number(argv[9]);
	f.seconds = number(argv[10]);
	prepare(&f, argv[8]);
	run(&f);
	free(f.frames);
	close(f.fd);
	return 0;
}
