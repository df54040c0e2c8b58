/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_lcore.h>

#include <omni_drivers.h>
#include <omni_eal.h>
#include <omni_port.h>

#define POOL_SIZE 8191
#define FRAME 1518

static struct rte_mempool *pool;
static struct omni_port_table table;
static struct omni_err err;

static struct omni_port *open_port(const struct omni_port_conf *conf)
{
	const struct omni_port_ops *ops = omni_driver_find(conf->driver, &err);

	assert_non_null(ops);
	return omni_port_open(&table, ops, conf, pool, &err);
}

static void make_burst(struct rte_mbuf **m, unsigned int n, uint16_t len)
{
	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, m, n), 0);
	for (unsigned int i = 0; i < n; i++)
		memset(rte_pktmbuf_append(m[i], len), (int)i, len);
}

static void assert_all_back(void)
{
	assert_int_equal(rte_mempool_avail_count(pool), POOL_SIZE);
}

/* ---- EAL arguments ---- */

static bool has(const struct omni_eal_args *a, const char *arg)
{
	for (int i = 0; i < a->argc; i++)
		if (strcmp(a->argv[i], arg) == 0)
			return true;
	return false;
}

static int build(struct omni_eal_args *out, unsigned int free_mb, bool pci, int argc, char **argv)
{
	const struct omni_eal_request r = {
		.argc = argc, .argv = argv, .mem_mb = 100, .free_huge_mb = free_mb, .pci = pci};
	int rc = omni_eal_build_args(out, &r, &err);

	if (rc == 0) {
		assert_string_equal(out->argv[0], argv[0]);
		assert_null(out->argv[out->argc]);
	}
	return rc;
}

#define ARGS(...)                                                   \
	(int)OMNI_ARRAY_SIZE(((char *[]){__VA_ARGS__})), (char *[]) \
	{                                                           \
		__VA_ARGS__                                         \
	}

static char prog[] = "prog", opt_l[] = "-l", val_l[] = "0-1", opt_m[] = "-m64";
static char no_huge[] = "--no-huge", in_memory[] = "--in-memory", legacy[] = "--legacy-mem";
static char prefix[] = "--file-prefix=mine", allow[] = "-a", pci_addr[] = "0000:03:00.1";
static char iova[] = "--iova-mode=pa";

static void eal_args_with_hugepages(void **state)
{
	struct omni_eal_args a;

	(void)state;
	assert_int_equal(build(&a, 1024, false, ARGS(prog, opt_l, val_l)), 0);
	assert_true(a.hugepages);
	assert_true(a.own_prefix);
	assert_true(has(&a, "-l") && has(&a, "0-1") && has(&a, "--in-memory"));
	assert_true(has(&a, "--single-file-segments") && has(&a, "--iova-mode=va"));
	assert_true(has(&a, "--no-pci") && has(&a, "--no-telemetry"));
	assert_false(has(&a, "--no-huge") || has(&a, "-m") || has(&a, "--no-shconf"));
	assert_string_equal(a.warning, "");
}

static void eal_args_without_hugepages(void **state)
{
	struct omni_eal_args a;

	(void)state;
	assert_int_equal(build(&a, 64, true, ARGS(prog)), 0);
	assert_false(a.hugepages);
	assert_true(has(&a, "--no-huge") && has(&a, "-m") && has(&a, "--no-shconf"));
	assert_true(has(&a, "--iova-mode=va"));
	assert_false(has(&a, "--in-memory") || has(&a, "--no-pci"));
	assert_non_null(strstr(a.warning, "without hugepages"));
}

static void eal_args_keep_what_the_user_gave(void **state)
{
	struct omni_eal_args a;

	(void)state;
	assert_int_equal(build(&a, 1024, false, ARGS(prog, no_huge, opt_m, prefix, iova)), 0);
	assert_false(a.hugepages || a.own_prefix);
	assert_false(has(&a, "-m") || has(&a, "--iova-mode=va"));
	assert_string_equal(a.warning, "");

	assert_int_equal(build(&a, 0, false, ARGS(prog, in_memory, allow, pci_addr)), 0);
	assert_true(a.hugepages);
	assert_false(has(&a, "--no-huge") || has(&a, "--no-pci"));

	assert_int_equal(build(&a, 0, false, ARGS(prog, legacy)), 0);
	assert_false(has(&a, "--in-memory") || has(&a, "--single-file-segments"));

	assert_int_equal(build(&a, 0, false, ARGS(prog, no_huge, in_memory)), -EINVAL);
}

/* As EAL counts them: what stands before an @ are lcores, behind it are CPUs. */
static void lcores_are_counted(void **state)
{
	static const struct {
		char option[2][24];
		unsigned int lcores;
	} row[] = {
		{{"-l", "0-7"}, 8},
		{{"-l0,2,4-6"}, 5},
		{{"--lcores", "(0-7)@(0-1)"}, 8},
		{{"--lcores=0@0,1@0"}, 2},
		{{"--lcores", "0@0,(1-64)@1"}, 65},
		{{"--lcores", "(0,2-3)@(0,1),4,5-6@1"}, 6},
		{{"-c", "0xff"}, 8},
		{{"-c3"}, 2},
		{{"--no-huge"}, 0},
		{{"-l"}, 0},
		{{"-l", "nonsense"}, 0},
		{{"--lcores", "(((("}, 0},
		{{"--lcores", "@,@,("}, 0},
	};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(row); i++) {
		char one[24], two[24], *argv[] = {one, one, two, NULL};

		memcpy(one, row[i].option[0], sizeof(one));
		memcpy(two, row[i].option[1], sizeof(two));
		assert_int_equal(omni_eal_count_lcores(two[0] != 0 ? 3 : 2, argv), row[i].lcores);
	}
}

static void eal_args_are_bounded(void **state)
{
	char *many[OMNI_EAL_ARGS_MAX + 2];
	struct omni_eal_args a;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(many); i++)
		many[i] = prog;
	assert_int_equal(build(&a, 0, false, OMNI_ARRAY_SIZE(many), many), -E2BIG);
}

/* ---- Pools ---- */

static void pool_of_af_xdp_is_one_region(void **state)
{
	uintptr_t start;
	size_t len;

	(void)state;
	assert_int_equal(omni_pool_region(pool, &start, &len), 0);
	assert_true(len >= (size_t)POOL_SIZE * 2048);
	assert_true(omni_pool_frame_max(pool, OMNI_POOL_AF_XDP) >= FRAME);
	assert_true(rte_pktmbuf_data_room_size(pool) >=
		    OMNI_POOL_XDP_HEADROOM + FRAME + OMNI_POOL_TAILROOM);
}

static void pool_refuses_frames_that_do_not_fit(void **state)
{
	struct rte_mempool *other;

	(void)state;
	assert_null(omni_pool_create("jumbo", OMNI_POOL_AF_XDP, 256, 9018, 0, &err));
	assert_int_equal(rte_errno, EMSGSIZE);
	assert_non_null(strstr(err.text, "9018"));
	other = omni_pool_create("jumbo", OMNI_POOL_PLAIN, 256, 9018, 64, &err);
	assert_non_null(other);
	assert_true(omni_pool_frame_max(other, OMNI_POOL_PLAIN) >= 9018);
	assert_int_equal(rte_pktmbuf_priv_size(other), 64);
	rte_mempool_free(other);
	assert_null(omni_pool_create("vast", OMNI_POOL_PLAIN, 1u << 24, 9018, 0, &err));
	assert_non_null(strstr(err.text, "vast"));
}

static void pool_lies_on_its_node_or_on_any(void **state)
{
	int here = (int)rte_lcore_to_socket_id(rte_lcore_id());
	struct rte_mempool *other;

	(void)state;
	other = omni_pool_create_on("here", OMNI_POOL_PLAIN, 256, 1518, 0, here, &err);
	assert_non_null(other);
	assert_int_equal(other->socket_id, here);
	rte_mempool_free(other);
	other = omni_pool_create_on("far", OMNI_POOL_PLAIN, 256, 1518, 0, RTE_MAX_NUMA_NODES - 1,
				    &err);
	assert_non_null(other);
	assert_int_equal(other->socket_id, SOCKET_ID_ANY);
	rte_mempool_free(other);
}

/* ---- The table ---- */

static void ids_and_generations(void **state)
{
	struct omni_port_conf conf = {.name = "a", .driver = "ring"};
	struct omni_port *a, *b;
	uint32_t generation;

	(void)state;
	a = open_port(&conf);
	assert_non_null(a);
	assert_null(omni_port_get(&table, a->id));
	omni_port_publish(&table, a);
	assert_ptr_equal(omni_port_get(&table, a->id), a);
	assert_null(omni_port_get(&table, OMNI_PORTS_MAX));
	assert_null(open_port(&conf));
	assert_int_equal(rte_errno, EEXIST);
	strcpy(conf.name, "b");
	b = open_port(&conf);
	assert_non_null(b);
	assert_int_not_equal(a->id, b->id);
	assert_ptr_equal(omni_port_find(&table, "b"), b);
	generation = a->generation;
	omni_port_close(&table, a);
	assert_null(omni_port_get(&table, 0));
	strcpy(conf.name, "c");
	a = open_port(&conf);
	assert_int_equal(a->id, 0);
	assert_true(a->generation > generation);
	omni_port_close(&table, a);
	omni_port_close(&table, b);
	omni_port_close(&table, NULL);
	assert_all_back();
}

static void refuses_bad_conf(void **state)
{
	struct omni_port_conf conf = {.name = "x", .driver = "ring", .mtu = 100};

	(void)state;
	assert_null(open_port(&conf));
	assert_int_equal(rte_errno, EINVAL);
	conf.mtu = 9000;
	assert_null(open_port(&conf));
	assert_int_equal(rte_errno, EMSGSIZE);
	assert_non_null(strstr(err.text, "9018"));
	conf.mtu = 0;
	conf.queues = OMNI_PORT_QUEUES_MAX + 1;
	assert_null(open_port(&conf));
	conf.queues = 0;
	conf.name[0] = '\0';
	assert_null(open_port(&conf));
	assert_null(omni_driver_find("floppy", &err));
	assert_non_null(strstr(err.text, "unknown driver"));
	assert_all_back();
}

static int check(const struct omni_port_conf *conf)
{
	return omni_driver_find(conf->driver, &err)->check(conf, &err);
}

static void checks_name_what_is_wrong(void **state)
{
	struct omni_port_conf xdp = {.name = "u",
				     .driver = "af_xdp",
				     .interface = "nosuch0",
				     .udp_ports = {51820},
				     .n_udp_ports = 1};
	struct omni_port_conf tap = {.name = "t", .driver = "tap", .interface = "lo"};
	struct omni_port_conf memif = {.name = "m", .driver = "memif", .socket = "relative"};

	(void)state;
	assert_int_equal(check(&xdp), -ENODEV);
	assert_non_null(strstr(err.text, "no such interface nosuch0 (have: "));
	assert_non_null(strstr(err.text, "lo"));
	strcpy(xdp.interface, "lo");
	assert_int_equal(check(&xdp), 0);
	strcpy(xdp.mode, "fast");
	assert_int_equal(check(&xdp), -EINVAL);
	xdp.mode[0] = '\0';
	xdp.n_udp_ports = 0; /* the whole interface */
	assert_int_equal(check(&xdp), 0);
	xdp.n_udp_ports = OMNI_PORT_UDP_PORTS_MAX + 1;
	assert_int_equal(check(&xdp), -EINVAL);

	assert_int_equal(check(&tap), -EEXIST);
	strcpy(tap.interface, "a/b");
	assert_int_equal(check(&tap), -EINVAL);
	strcpy(tap.interface, "freshtap0");
	assert_int_equal(check(&tap), 0);

	strcpy(tap.driver, "tun");
	assert_int_equal(check(&tap), 0);
	strcpy(tap.interface, "lo");
	assert_int_equal(check(&tap), -EEXIST);

	assert_int_equal(check(&memif), -EINVAL);
	strcpy(memif.socket, "/nosuchfolder/m.sock");
	assert_int_equal(check(&memif), -ENOENT);
	strcpy(memif.socket, "/tmp/m,x.sock");
	assert_int_equal(check(&memif), -EINVAL);
}

/* ---- Memory ports ---- */

static void ring_carries_frames_both_ways(void **state)
{
	const struct omni_port_conf conf = {.name = "r", .driver = "ring", .queues = 2};
	struct omni_port *port = open_port(&conf);
	struct rte_mbuf *m[32], *got[64];
	struct omni_port_stats s;

	(void)state;
	assert_non_null(port);
	assert_int_equal(port->queues, 2);
	assert_int_equal(omni_port_rx_fd(port, 0), -1);
	assert_false(omni_port_arm(port, 1));
	make_burst(m, 32, 100);
	assert_int_equal(omni_ring_port_far_tx(port, 1, m, 32), 32);
	assert_true(omni_port_arm(port, 1));
	assert_int_equal(omni_port_rx(port, 0, got, 64), 0);
	assert_int_equal(omni_port_rx(port, 1, got, 64), 32);
	for (int i = 0; i < 32; i++) {
		assert_ptr_equal(got[i], m[i]);
		assert_int_equal(got[i]->port, port->id);
	}
	assert_int_equal(omni_port_tx(port, 0, got, 32), 32);
	assert_int_equal(omni_ring_port_far_rx(port, 0, m, 16), 16);
	rte_pktmbuf_free_bulk(m, 16);
	omni_port_read_stats(port, &s);
	assert_int_equal(s.rx_frames, 32);
	assert_int_equal(s.rx_bytes, 3200);
	assert_int_equal(s.tx_frames, 32);
	assert_int_equal(s.tx_bytes, 3200);
	/* Sixteen still lie in the ring: closing gives them back. */
	omni_port_close(&table, port);
	assert_all_back();
}

static void full_ring_leaves_frames_with_the_caller(void **state)
{
	const struct omni_port_conf conf = {.name = "r", .driver = "ring"};
	struct omni_port *port = open_port(&conf);
	struct rte_mbuf *m[64];
	unsigned int total = 0;
	uint16_t n;

	(void)state;
	do {
		make_burst(m, 64, 60);
		n = omni_port_tx(port, 0, m, 64);
		total += n;
		rte_pktmbuf_free_bulk(m + n, 64u - n);
	} while (n == 64);
	assert_int_equal(total, 4095);
	omni_port_close(&table, port);
	assert_all_back();
}

static void null_swallows(void **state)
{
	struct omni_port_conf conf = {.name = "n", .driver = "null"};
	struct rte_mbuf *m[32];
	struct omni_port_stats s;
	struct omni_port *port;

	(void)state;
	for (int round = 0; round < 3; round++) {
		port = open_port(&conf);
		assert_non_null(port);
		assert_string_equal(port->info.driver, "null");
		make_burst(m, 32, 60);
		assert_int_equal(omni_port_tx(port, 0, m, 32), 32);
		assert_int_equal(omni_port_rx(port, 0, m, 32), 0);
		omni_port_read_stats(port, &s);
		assert_int_equal(s.tx_frames, 32);
		assert_int_equal(s.tx_bytes, 32 * 60);
		omni_port_close(&table, port);
		assert_all_back();
	}
}

static void check_made(const struct rte_mbuf *m, unsigned int flow, unsigned int size)
{
	const uint8_t from[] = {2, 0, 0, 1, (uint8_t)((0xff + flow) >> 8), (uint8_t)(0xff + flow)};
	const uint8_t to[] = {2, 0, 0, 2, 0, (uint8_t)flow};
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);

	assert_int_equal(m->pkt_len, size);
	assert_int_equal(m->data_len, size);
	assert_memory_equal(&eth->src_addr, from, 6);
	assert_memory_equal(&eth->dst_addr, to, 6);
	assert_int_equal(rte_be_to_cpu_16(ip->total_length), size - 14);
	assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
	assert_int_equal(rte_be_to_cpu_32(ip->src_addr) & 0xffff, flow);
}

static void null_makes_frames(void **state)
{
	struct omni_port_conf conf = {.name = "n",
				      .driver = "null",
				      .has_mac = true,
				      .mac = {2, 0, 0, 1, 0, 0xff},
				      .generate = {.size = 100, .flows = 3, .to = {2, 0, 0, 2}}};
	struct rte_mbuf *m[32];
	struct omni_port_stats s;
	struct omni_port *port = open_port(&conf);

	(void)state;
	assert_non_null(port);
	assert_int_equal(omni_port_rx(port, 0, m, 32), 32);
	for (unsigned int i = 0; i < 32; i++)
		check_made(m[i], i % 3, 100);
	assert_int_equal(m[0]->port, port->id);
	assert_int_equal(omni_port_tx(port, 0, m, 32), 32);
	omni_port_read_stats(port, &s);
	assert_int_equal(s.rx_frames, 32);
	assert_int_equal(s.rx_bytes, 3200);
	assert_int_equal(s.tx_bytes, 3200);
	omni_port_close(&table, port);
	assert_all_back();
	conf.generate.size = 1515;
	assert_null(open_port(&conf));
	assert_non_null(strstr(err.text, "do not fit the MTU of 1500"));
}

static void null_makes_a_mix_of_sizes(void **state)
{
	struct omni_port_conf conf = {
		.name = "n", .driver = "null", .generate = {.flows = 1, .to = {2, 0, 0, 2}}};
	unsigned int small = 0, medium = 0, large = 0;
	struct rte_mbuf *m[24];
	struct omni_port *port = open_port(&conf);

	(void)state;
	assert_non_null(port);
	assert_int_equal(omni_port_rx(port, 0, m, 24), 24);
	for (unsigned int i = 0; i < 24; i++) {
		small += m[i]->pkt_len == 64;
		medium += m[i]->pkt_len == 576;
		large += m[i]->pkt_len == 1420;
	}
	assert_int_equal(small, 14);
	assert_int_equal(medium, 8);
	assert_int_equal(large, 2);
	rte_pktmbuf_free_bulk(m, 24);
	omni_port_close(&table, port);
	assert_all_back();
}

/* One at once, whatever time has passed before. */
static void null_keeps_to_a_rate(void **state)
{
	struct omni_port_conf conf = {
		.name = "n", .driver = "null", .generate = {.size = 64, .flows = 1, .rate = 1}};
	struct rte_mbuf *m[32];
	struct omni_port *port = open_port(&conf);

	(void)state;
	assert_non_null(port);
	assert_int_equal(omni_port_rx(port, 0, m, 32), 1);
	rte_pktmbuf_free(m[0]);
	omni_port_close(&table, port);
	assert_all_back();
}

static void memif_server_opens_and_reports_no_link(void **state)
{
	struct omni_port_conf conf = {.name = "m",
				      .driver = "memif",
				      .server = true,
				      .has_mac = true,
				      .mac = {2, 0, 0, 0, 0, 9}};
	char dir[] = "/tmp/omni-test-port-XXXXXX", name[64];
	struct rte_mbuf *m[4];
	struct omni_port *port;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/m.sock", dir);
	strcpy(conf.socket, name);
	for (int round = 0; round < 2; round++) {
		port = open_port(&conf);
		assert_non_null(port);
		omni_port_refresh(port);
		assert_false(port->info.link_up);
		assert_int_equal(port->info.mac[5], 9);
		assert_int_equal(omni_port_rx(port, 0, m, 4), 0);
		omni_port_close(&table, port);
		assert_all_back();
	}
	/* A file that is no socket is not removed. */
	(void)remove(name);
	fclose(fopen(name, "w"));
	assert_null(open_port(&conf));
	assert_non_null(strstr(err.text, "is no socket"));
	assert_int_equal(remove(name), 0);
	assert_int_equal(remove(dir), 0);
}

static int start_eal(void **state)
{
	char m[] = "-m", mb[] = "192", shconf[] = "--no-shconf", va[] = "--iova-mode=va",
	     tele[] = "--no-telemetry", nopci[] = "--no-pci", l[] = "-l", core[] = "0",
	     level[] = "--log-level=error";
	char *argv[] = {prog, no_huge, m, mb, shconf, va, tele, nopci, l, core, level, NULL};

	(void)state;
	if (rte_eal_init((int)OMNI_ARRAY_SIZE(argv) - 1, argv) < 0)
		return -1;
	pool = omni_pool_create("test", OMNI_POOL_AF_XDP, POOL_SIZE, FRAME, 0, &err);
	return pool != NULL ? 0 : -1;
}

static int stop_eal(void **state)
{
	(void)state;
	rte_mempool_free(pool);
	/* Without rte_eal_cleanup, as the gateway: see app/gateway/eal.c. */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eal_args_with_hugepages),
		cmocka_unit_test(eal_args_without_hugepages),
		cmocka_unit_test(eal_args_keep_what_the_user_gave),
		cmocka_unit_test(eal_args_are_bounded),
		cmocka_unit_test(lcores_are_counted),
		cmocka_unit_test(pool_of_af_xdp_is_one_region),
		cmocka_unit_test(pool_refuses_frames_that_do_not_fit),
		cmocka_unit_test(pool_lies_on_its_node_or_on_any),
		cmocka_unit_test(ids_and_generations),
		cmocka_unit_test(refuses_bad_conf),
		cmocka_unit_test(checks_name_what_is_wrong),
		cmocka_unit_test(ring_carries_frames_both_ways),
		cmocka_unit_test(full_ring_leaves_frames_with_the_caller),
		cmocka_unit_test(null_swallows),
		cmocka_unit_test(null_makes_frames),
		cmocka_unit_test(null_makes_a_mix_of_sizes),
		cmocka_unit_test(null_keeps_to_a_rate),
		cmocka_unit_test(memif_server_opens_and_reports_no_link),
	};

	return cmocka_run_group_tests(tests, start_eal, stop_eal);
}
