/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Opens one port and reflects, counts or sends UDP frames. Prints one JSON object per line:
 * "open" when frames can come, "close" with the counters of that round.
 *   port_echo [EAL options] -- --driver af_xdp --interface veth0 --udp-port 51820 [...]
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <omni_drivers.h>
#include <omni_eal.h>

#define POOL_SIZE 16383
#define BURST 32
#define BURST_MAX 256
#define ODD_SIZE 4095
#define MEM_MB 128
#define IDLE_POLLS 200

enum role {
	ROLE_REFLECT,
	ROLE_MIRROR, /* the kernel talks to itself under another address: any protocol over IP */
	ROLE_COUNT,
	ROLE_SEND,
};

struct options {
	struct omni_port_conf conf;
	struct omni_prefix address; /* of a tap or tun */
	bool has_address, sleep;
	uint16_t whole; /* segments come whole, in buffers of so many bytes */
	bool odd;	/* send chains of mbufs of another pool */
	uint64_t left;	/* frames to send */
	enum role role;
	double seconds;
	int rounds;
	uint16_t size, type; /* of a frame that is sent */
	uint16_t burst;
	uint8_t to_mac[6];
	struct omni_ip from, to;
};

static volatile sig_atomic_t stop;
static struct rte_mempool *odd_pool;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool parse_mac(uint8_t mac[6], const char *text)
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6;
}

static bool set_option(struct options *o, int option, const char *arg)
{
	struct omni_port_conf *c = &o->conf;

	switch (option) {
	case 'd':
		return snprintf(c->driver, sizeof(c->driver), "%s", arg) < (int)sizeof(c->driver);
	case 'i':
		return snprintf(c->interface, sizeof(c->interface), "%s", arg) <
		       (int)sizeof(c->interface);
	case 'k':
		return snprintf(c->socket, sizeof(c->socket), "%s", arg) < (int)sizeof(c->socket);
	case 'D':
		return snprintf(c->device, sizeof(c->device), "%s", arg) < (int)sizeof(c->device);
	case 'm':
		return snprintf(c->mode, sizeof(c->mode), "%s", arg) < (int)sizeof(c->mode);
	case 'p':
		c->udp_ports[0] = (uint16_t)atoi(arg);
		c->n_udp_ports = 1;
		return true;
	case 'q':
		c->queues = (uint16_t)atoi(arg);
		return true;
	case 'u':
		c->mtu = (uint16_t)atoi(arg);
		return true;
	case 'M':
		c->has_mac = true;
		return parse_mac(c->mac, arg);
	case 'O':
		c->no_offload = true;
		return true;
	case 'S':
		c->server = true;
		return true;
	case 'a':
		o->has_address = true;
		return omni_prefix_parse(&o->address, arg, 24, 64) == 0;
	case 'r':
		o->role = strcmp(arg, "count") == 0    ? ROLE_COUNT
			  : strcmp(arg, "send") == 0   ? ROLE_SEND
			  : strcmp(arg, "mirror") == 0 ? ROLE_MIRROR
						       : ROLE_REFLECT;
		return true;
	case 's':
		o->seconds = atof(arg);
		return true;
	case 'n':
		o->rounds = atoi(arg);
		return true;
	case 'z':
		o->size = (uint16_t)atoi(arg);
		return o->size >= 60;
	case 'b':
		o->burst = (uint16_t)atoi(arg);
		return o->burst > 0 && o->burst <= BURST_MAX;
	case 'w':
		o->sleep = true;
		return true;
	case 'o':
		o->odd = true;
		return true;
	case 'c':
		o->left = strtoull(arg, NULL, 10);
		return true;
	case 'E':
		o->type = (uint16_t)strtoul(arg, NULL, 16);
		return true;
	case 'H':
		o->whole = (uint16_t)atoi(arg);
		return true;
	case 't':
		return parse_mac(o->to_mac, arg);
	case 'F':
		return omni_ip_parse(&o->from, arg) == 0;
	case 'T':
		return omni_ip_parse(&o->to, arg) == 0;
	default:
		return false;
	}
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option list[] = {
		{"driver", 1, NULL, 'd'},   {"interface", 1, NULL, 'i'},
		{"socket", 1, NULL, 'k'},   {"mode", 1, NULL, 'm'},
		{"udp-port", 1, NULL, 'p'}, {"queues", 1, NULL, 'q'},
		{"mtu", 1, NULL, 'u'},	    {"mac", 1, NULL, 'M'},
		{"server", 0, NULL, 'S'},   {"address", 1, NULL, 'a'},
		{"role", 1, NULL, 'r'},	    {"seconds", 1, NULL, 's'},
		{"rounds", 1, NULL, 'n'},   {"size", 1, NULL, 'z'},
		{"sleep", 0, NULL, 'w'},    {"to-mac", 1, NULL, 't'},
		{"from", 1, NULL, 'F'},	    {"to", 1, NULL, 'T'},
		{"odd", 0, NULL, 'o'},	    {"count", 1, NULL, 'c'},
		{"device", 1, NULL, 'D'},   {"no-offload", 0, NULL, 'O'},
		{"burst", 1, NULL, 'b'},    {"whole", 1, NULL, 'H'},
		{"type", 1, NULL, 'E'},	    {NULL, 0, NULL, 0}};
	int option;

	*o = (struct options){.seconds = 3600,
			      .rounds = 1,
			      .size = 64,
			      .type = RTE_ETHER_TYPE_IPV4,
			      .burst = BURST,
			      .left = UINT64_MAX,
			      .conf.name = "port"};
	optind = 1;
	while ((option = getopt_long(argc, argv, "", list, NULL)) != -1)
		if (!set_option(o, option, optarg))
			return false;
	return optind == argc && o->conf.driver[0] != '\0';
}

/* Back to where it came from: addresses change places, so no checksum changes. */
static void reflect(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr mac = eth->dst_addr;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = RTE_PTR_ADD(ip, (ip->version_ihl & 15) * 4);
	rte_be32_t addr = ip->dst_addr;
	rte_be16_t port;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = mac;
	if (eth->ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) || ip->next_proto_id != 17)
		return;
	ip->dst_addr = ip->src_addr;
	ip->src_addr = addr;
	port = udp->dst_port;
	udp->dst_port = udp->src_port;
	udp->src_port = port;
	udp->dgram_cksum = 0; /* it may have come unfinished */
}

/* The same with all of IP, and nothing behind it: whom it spoke to seems to speak to it. */
static void mirror(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ether_addr mac = eth->dst_addr;
	bool v4 = eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	uint8_t *source = RTE_PTR_ADD(eth + 1, v4 ? 12 : 8), kept[16];
	size_t len = v4 ? 4 : 16;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = mac;
	memcpy(kept, source, len);
	memcpy(source, source + len, len);
	memcpy(source + len, kept, len);
}

static void make_template(const struct options *o, const struct omni_port *port, uint8_t *out)
{
	uint16_t ip_len = (uint16_t)(o->size - RTE_ETHER_HDR_LEN);
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)out;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(out, 0, o->size);
	memcpy(&eth->dst_addr, o->to_mac, 6);
	memcpy(&eth->src_addr, port->info.mac, 6);
	eth->ether_type = rte_cpu_to_be_16(o->type);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
				    .total_length = rte_cpu_to_be_16(ip_len),
				    .time_to_live = 64,
				    .next_proto_id = 17,
				    .src_addr = omni_ip_to_v4(&o->from),
				    .dst_addr = omni_ip_to_v4(&o->to)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = rte_cpu_to_be_16(40000);
	udp->dst_port = rte_cpu_to_be_16(o->conf.udp_ports[0]);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(ip_len - sizeof(*ip)));
	for (uint8_t *p = (uint8_t *)(udp + 1), i = 0; p < out + o->size; p++)
		*p = i++;
}

static struct rte_mbuf *make_frame(const struct options *o, const struct omni_port *port)
{
	static uint8_t template[OMNI_PORT_MTU_MAX + OMNI_PORT_L2_OVERHEAD];
	struct rte_mbuf *m = rte_pktmbuf_alloc(port->pool);
	char *data;

	if (m == NULL)
		return NULL;
	if (template[12] == 0)
		make_template(o, port, template);
	data = rte_pktmbuf_append(m, o->size);
	RTE_VERIFY(data != NULL);
	memcpy(data, template, o->size);
	return m;
}

/* The same frame in two segments of another pool, which a driver cannot send as they are. */
static struct rte_mbuf *make_odd(struct rte_mbuf *whole)
{
	struct rte_mbuf *part[2];
	const char *data = rte_pktmbuf_mtod(whole, const char *);
	uint16_t first = whole->data_len / 2;

	if (rte_pktmbuf_alloc_bulk(odd_pool, part, 2) < 0)
		rte_panic("the second pool is empty\n");
	memcpy(rte_pktmbuf_append(part[0], first), data, first);
	memcpy(rte_pktmbuf_append(part[1], (uint16_t)(whole->data_len - first)), data + first,
	       whole->data_len - first);
	if (rte_pktmbuf_chain(part[0], part[1]) < 0)
		rte_panic("no chain\n");
	rte_pktmbuf_free(whole);
	return part[0];
}

static void send_all(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	uint16_t sent = omni_port_tx(port, queue, m, n);

	rte_pktmbuf_free_bulk(m + sent, (unsigned int)(n - sent));
}

/* Frames handled in this turn. */
static unsigned int turn(struct options *o, struct omni_port *port, uint16_t queue)
{
	struct rte_mbuf *m[BURST_MAX];
	uint16_t n = omni_port_rx(port, queue, m, o->burst), made = 0;

	if (o->role == ROLE_REFLECT || o->role == ROLE_MIRROR) {
		for (uint16_t i = 0; i < n; i++)
			(o->role == ROLE_MIRROR ? mirror : reflect)(m[i]);
		send_all(port, queue, m, n);
		return n;
	}
	rte_pktmbuf_free_bulk(m, n);
	if (o->role == ROLE_SEND) {
		while (made < o->burst && made < o->left &&
		       (m[made] = make_frame(o, port)) != NULL) {
			if (o->odd)
				m[made] = make_odd(m[made]);
			made++;
		}
		o->left -= made;
		send_all(port, queue, m, made);
	}
	return n + made;
}

static void wait_for_frames(struct omni_port *port)
{
	struct pollfd fds[OMNI_PORT_QUEUES_MAX];

	for (uint16_t q = 0; q < port->queues; q++) {
		if (omni_port_arm(port, q))
			return;
		fds[q] = (struct pollfd){.fd = omni_port_rx_fd(port, q), .events = POLLIN};
	}
	(void)poll(fds, port->queues, 100);
}

static void print_close(struct omni_port *port, double seconds)
{
	struct omni_port_stats s;

	omni_port_read_stats(port, &s);
	printf("{\"event\":\"close\",\"rx_frames\":%lu,\"rx_bytes\":%lu,\"tx_frames\":%lu,"
	       "\"tx_bytes\":%lu,\"rx_dropped\":%lu,\"tx_dropped\":%lu,\"rx_mpps\":%.3f,"
	       "\"tx_mpps\":%.3f",
	       s.rx_frames, s.rx_bytes, s.tx_frames, s.tx_bytes, s.rx_dropped, s.tx_dropped,
	       (double)s.rx_frames / seconds / 1e6, (double)s.tx_frames / seconds / 1e6);
	for (unsigned int i = 0; i < s.n_extra; i++)
		printf(",\"%s\":%lu", s.extra[i].name, s.extra[i].value);
}

static int run(struct options *o, struct omni_port_table *table, struct rte_mempool *pool,
	       struct omni_err *err)
{
	const struct omni_port_ops *ops = omni_driver_find(o->conf.driver, err);
	struct omni_port *port =
		ops != NULL ? omni_port_open(table, ops, &o->conf, pool, err) : NULL;
	uint64_t start, left, hz = rte_get_tsc_hz();
	unsigned int idle = 0;
	double seconds;

	if (port == NULL)
		return -1;
	if (o->has_address && omni_tap_set_address(port, &o->address, err) < 0) {
		omni_port_close(table, port);
		return -1;
	}
	for (uint16_t q = 0; o->whole != 0 && q < port->queues; q++)
		port->ops->whole(port, q, o->whole, 0);
	printf("{\"event\":\"open\",\"driver\":\"%s\",\"mode\":\"%s\",\"why\":\"%s\",\"queues\":%u,"
	       "\"mtu\":%u,\"offloads\":\"%s\",\"frame_max\":%u,\"hugepages\":%d,\"link_up\":%d,"
	       "\"raw_ip\":%d}\n",
	       port->info.driver, port->info.mode, port->info.why, port->info.queues,
	       port->info.mtu, port->info.offloads, port->info.frame_max, rte_eal_has_hugepages(),
	       port->info.link_up, port->info.raw_ip);
	start = rte_rdtsc();
	while (!stop && (double)(rte_rdtsc() - start) < o->seconds * (double)hz) {
		unsigned int n = 0;

		for (uint16_t q = 0; q < port->queues; q++)
			n += turn(o, port, q);
		idle = n == 0 ? idle + 1 : 0;
		if (o->sleep && idle > IDLE_POLLS)
			wait_for_frames(port);
	}
	seconds = (double)(rte_rdtsc() - start) / (double)hz;
	left = o->left;
	o->left = 0;
	/* What arrived before the signal counts. */
	for (uint64_t end = rte_rdtsc() + hz / 20; rte_rdtsc() < end;)
		for (uint16_t q = 0; q < port->queues; q++)
			(void)turn(o, port, q);
	o->left = left;
	omni_port_refresh(port);
	print_close(port, seconds);
	printf(",\"link_up\":%d", port->info.link_up);
	omni_port_close(table, port);
	printf(",\"mbufs_missing\":%u}\n", POOL_SIZE + ODD_SIZE - rte_mempool_avail_count(pool) -
						   rte_mempool_avail_count(odd_pool));
	return 0;
}

static int start_eal(struct omni_eal_args *eal, int argc, char **argv, struct omni_err *err)
{
	const struct omni_eal_request request = {.argc = argc,
						 .argv = argv,
						 .mem_mb = MEM_MB,
						 .free_huge_mb = omni_eal_free_huge_mb()};
	int rc = omni_eal_build_args(eal, &request, err);

	if (rc < 0)
		return rc;
	rc = rte_eal_init(eal->argc, eal->argv);
	return rc < 0 ? omni_fail(err, -rte_errno, "EAL: %s", rte_strerror(rte_errno)) : 0;
}

int main(int argc, char **argv)
{
	static struct omni_port_table table;
	struct rte_mempool *pool = NULL;
	struct omni_err err = {0};
	struct omni_eal_args eal;
	struct options o;
	int split = 1, rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	if (split == argc || !parse(&o, argc - split, argv + split)) {
		fprintf(stderr, "port_echo [EAL options] -- --driver D [--interface I] ...\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	rc = start_eal(&eal, split, argv, &err);
	if (rc == 0) {
		pool = omni_pool_create("echo", OMNI_POOL_AF_XDP, POOL_SIZE,
					OMNI_PORT_MTU_DEFAULT + OMNI_PORT_L2_OVERHEAD, 0, &err);
		odd_pool = omni_pool_create("odd", OMNI_POOL_PLAIN, ODD_SIZE, 512, 0, &err);
		for (int i = 0;
		     pool != NULL && odd_pool != NULL && rc == 0 && i < o.rounds && !stop; i++)
			rc = run(&o, &table, pool, &err);
	}
	if (pool == NULL || odd_pool == NULL || rc < 0)
		fprintf(stderr, "port_echo: %s\n", err.text);
	rte_mempool_free(odd_pool);
	rte_mempool_free(pool);
	rte_eal_cleanup();
	omni_eal_cleanup(&eal);
	return pool == NULL || odd_pool == NULL || rc < 0;
}
