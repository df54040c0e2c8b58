/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Next hops from the kernel, in network namespaces of the test's own: u0 here, u1 in that of a
 * child, and from the configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctl_priv.h>
#include <omni_clock.h>

static const uint8_t far_mac[6] = {2, 0, 0, 0, 0, 0xf1};
static const uint8_t near_mac[6] = {2, 0, 0, 0, 0, 0xa1};

static pid_t child;
static struct omni_ctl *ctl;
static struct omni_config config;
static struct omni_port port;
static struct omni_port_table ports;
static uv_loop_t loop;

static uint64_t boot_ns(void *arg)
{
	(void)arg;
	return omni_clock_boot_ns();
}

static void refresh(struct omni_port *p)
{
	p->info.link_up = true;
}

static const struct omni_port_ops ops = {.driver = "test", .refresh = refresh};

/* One command line, here or in the child's namespace (@). */
static void sh(const char *fmt, ...)
{
	char line[256], whole[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (line[0] == '@')
		snprintf(whole, sizeof(whole), "nsenter -t %d -n %s", (int)child, line + 1);
	else
		snprintf(whole, sizeof(whole), "%s", line);
	if (system(whole) != 0)
		fail_msg("failed: %s", whole);
}

/* False where this user may have no namespaces. */
static bool namespaces(void)
{
	int ready[2];
	char byte;

	if (unshare(CLONE_NEWNET) != 0 || pipe(ready) != 0)
		return false;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	return child > 0 && read(ready[0], &byte, 1) == 1;
}

static void network(void)
{
	sh("ip link add u0 address 02:00:00:00:00:a1 type veth peer name u1 address "
	   "02:00:00:00:00:f1");
	sh("ip link set u1 netns %d", (int)child);
	sh("ip addr add 192.0.2.1/24 dev u0");
	sh("ip addr add fd00:1::1/64 dev u0 nodad");
	sh("ip link set u0 up");
	sh("@ip addr add 192.0.2.2/24 dev u1");
	sh("@ip addr add fd00:1::2/64 dev u1 nodad");
	sh("@ip link set u1 up");
	sh("ip link add other type veth peer name other1");
	sh("ip link set other1 up");
	sh("ip addr add 198.18.0.1/24 dev other");
	sh("ip link set other up");
}

static int group_setup(void **state)
{
	(void)state;
	if (!namespaces()) {
		print_message("skipped: no network namespaces for this user\n");
		exit(77);
	}
	network();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	ctl = aligned_alloc(OMNI_CACHE_LINE, sizeof(*ctl));
	assert_non_null(ctl);
	memset(ctl, 0, sizeof(*ctl));
	memset(&config, 0, sizeof(config));
	assert_int_equal(uv_loop_init(&loop), 0);
	port = (struct omni_port){.ops = &ops, .name = "up", .info.mtu = 1500};
	memcpy(port.info.mac, near_mac, sizeof(near_mac));
	port.info.ifindex = if_nametoindex("u0");
	ports.slot[0] = &port;
	ctl->conf.loop = &loop;
	ctl->conf.config = &config;
	ctl->conf.ports = &ports;
	ctl->conf.world.boot_ns = boot_ns;
	ctl->listen = 51820;
	return 0;
}

static int end(void **state)
{
	(void)state;
	ctl_nexthop_stop(ctl);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(ctl->handles, 0);
	ctl_nexthop_fini(ctl);
	assert_int_equal(uv_loop_close(&loop), 0);
	free(ctl);
	return 0;
}

static void start(void)
{
	struct omni_err err = {""};

	if (ctl_nexthop_init(ctl, &err) != 0 || ctl_nexthop_start(ctl, &err) != 0)
		fail_msg("%s", err.text);
}

static struct omni_endpoint ep(const char *text)
{
	struct omni_endpoint e;

	assert_int_equal(omni_endpoint_parse(&e, text), 0);
	return e;
}

static int resolve(const char *text, struct omni_path *path)
{
	struct omni_endpoint to = ep(text);

	memset(path, 0, sizeof(*path));
	return ctl_nexthop_resolve(ctl, &to, path);
}

/* Let the kernel's news come in until the answer is rc, for at most 5 s. */
static void wait_for(const char *text, int rc, struct omni_path *path)
{
	for (unsigned int i = 0; i < 250; i++) {
		if (resolve(text, path) == rc)
			return;
		usleep(20000);
		uv_run(&loop, UV_RUN_NOWAIT);
		ctl_nexthop_tick(ctl, omni_clock_boot_ns());
	}
	fail_msg("%s: %d where %d was expected", text, resolve(text, path), rc);
}

static void assert_path(const struct omni_path *path, const char *local, const uint8_t mac[6])
{
	struct omni_endpoint want = ep(local), got;

	omni_path_local(path, &got);
	assert_memory_equal(path->hdr, mac, 6);
	assert_memory_equal(path->hdr + 6, near_mac, 6);
	assert_true(omni_endpoint_equal(&got, &want));
	assert_int_equal(path->mtu, 1500);
}

static void neighbour_on_the_link(void **state)
{
	struct omni_path path;

	(void)state;
	start();
	sh("ip neigh flush dev u0");
	assert_int_equal(resolve("192.0.2.2:51820", &path), -EAGAIN);
	wait_for("192.0.2.2:51820", 0, &path);
	assert_path(&path, "192.0.2.1:51820", far_mac);
	wait_for("[fd00:1::2]:51820", 0, &path);
	assert_path(&path, "[fd00:1::1]:51820", far_mac);
	assert_true(path.v6);
	/* Nobody there: asked for, and never known. */
	wait_for("192.0.2.77:51820", -EAGAIN, &path);
}

static void address_behind_a_gateway(void **state)
{
	struct omni_path path;

	(void)state;
	start();
	assert_int_equal(resolve("203.0.113.5:51820", &path), -ENETUNREACH);
	sh("ip route add default via 192.0.2.2 dev u0");
	wait_for("203.0.113.5:51820", 0, &path);
	assert_path(&path, "192.0.2.1:51820", far_mac);
	sh("ip route del default");
	wait_for("203.0.113.5:51820", -ENETUNREACH, &path);
}

static void route_by_another_interface_is_none(void **state)
{
	struct omni_path path;

	(void)state;
	start();
	sh("ip route add default via 198.18.0.2 dev other");
	assert_int_equal(resolve("203.0.113.6:51820", &path), -ENETUNREACH);
	/* A second default route, by the underlay, serves although it is the worse one. */
	sh("ip route add default via 192.0.2.2 dev u0 metric 500");
	wait_for("203.0.113.6:51820", 0, &path);
	assert_path(&path, "192.0.2.1:51820", far_mac);
	sh("ip route del default dev u0");
	sh("ip route del default dev other");
}

/* Where the kernel routes what the sockets send, and a port of ours is the way. */
static void a_way_into_the_overlay_is_none(void **state)
{
	static struct omni_port overlay;
	struct omni_path path;

	(void)state;
	overlay = (struct omni_port){.ops = &ops, .name = "tun", .id = 1};
	overlay.info.ifindex = if_nametoindex("other");
	ports.slot[1] = &overlay;
	port.info.ifindex = 0;
	port.info.kernel_routes = true;
	start();
	wait_for("192.0.2.2:51820", 0, &path);
	sh("ip route add 203.0.113.0/24 dev other");
	wait_for("203.0.113.9:51820", -ELOOP, &path);
	assert_true(ctl->stats.count[OMNI_STAT_ctl_routing_loop] > 0);
	/* The peer's own link is none of ours. */
	sh("ip route add 203.0.113.9/32 via 192.0.2.2 dev u0");
	wait_for("203.0.113.9:51820", 0, &path);
	sh("ip route del 203.0.113.9/32");
	sh("ip route del 203.0.113.0/24");
	ports.slot[1] = NULL;
}

static void our_address_changes(void **state)
{
	struct omni_ip ip[8];
	struct omni_endpoint own;
	struct omni_path path;

	(void)state;
	start();
	wait_for("192.0.2.2:51820", 0, &path);
	own = ep("192.0.2.1:1");
	assert_true(ctl_nexthop_is_own(ctl, &own.ip));
	sh("ip addr add 192.0.2.9/24 dev u0");
	sh("ip addr del 192.0.2.1/24 dev u0");
	sh("ip addr add 192.0.2.9/24 dev u0 2>/dev/null || true");
	for (unsigned int i = 0; i < 100 && ctl_nexthop_is_own(ctl, &own.ip); i++) {
		usleep(20000);
		uv_run(&loop, UV_RUN_NOWAIT);
		ctl_nexthop_tick(ctl, omni_clock_boot_ns());
	}
	assert_false(ctl_nexthop_is_own(ctl, &own.ip));
	wait_for("192.0.2.2:51820", 0, &path);
	assert_path(&path, "192.0.2.9:51820", far_mac);
	assert_int_equal(ctl_nexthop_addresses(ctl, ip, 8), 2); /* and the IPv6 one */
	sh("ip addr del 192.0.2.9/24 dev u0");
	sh("ip addr add 192.0.2.1/24 dev u0");
}

static void neighbour_changes(void **state)
{
	static const uint8_t other[6] = {2, 0, 0, 0, 0, 0xee};
	struct omni_endpoint to = ep("192.0.2.2:51820");
	struct omni_path path;

	(void)state;
	start();
	wait_for("192.0.2.2:51820", 0, &path);
	ctl_nexthop_hold(ctl, &to.ip);
	sh("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:ee nud permanent dev u0");
	for (unsigned int i = 0; i < 100 && memcmp(path.hdr, other, 6) != 0; i++) {
		usleep(20000);
		uv_run(&loop, UV_RUN_NOWAIT);
		assert_int_equal(resolve("192.0.2.2:51820", &path), 0);
	}
	assert_path(&path, "192.0.2.1:51820", other);
	/* Gone from the kernel: the last one known serves until there is another. */
	sh("ip neigh del 192.0.2.2 dev u0");
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(resolve("192.0.2.2:51820", &path), 0);
	for (unsigned int i = 0; i < 200 && memcmp(path.hdr, far_mac, 6) != 0; i++) {
		usleep(20000);
		uv_run(&loop, UV_RUN_NOWAIT);
		ctl_nexthop_tick(ctl, omni_clock_boot_ns());
		assert_int_equal(resolve("192.0.2.2:51820", &path), 0);
	}
	assert_path(&path, "192.0.2.1:51820", far_mac);
	ctl_nexthop_release(ctl, &to.ip);
}

static void many_addresses_are_bounded(void **state)
{
	struct omni_endpoint to = ep("192.0.2.2:51820");
	struct omni_path path;
	char text[32];

	(void)state;
	start();
	wait_for("192.0.2.2:51820", 0, &path);
	ctl_nexthop_hold(ctl, &to.ip);
	sh("ip route add 10.0.0.0/8 via 192.0.2.2 dev u0");
	wait_for("10.0.0.1:1", 0, &path);
	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u:9", i >> 8, i & 255);
		assert_int_equal(resolve(text, &path), 0);
	}
	assert_int_equal(resolve("192.0.2.2:51820", &path), 0);
	sh("ip route del 10.0.0.0/8");
}

static void configured_next_hops(void **state)
{
	static struct omni_config_next_hop hops[2] = {{.mac = {2, 0, 0, 0, 1, 1}},
						      {.mac = {2, 0, 0, 0, 1, 2}, .any = true}};
	struct omni_endpoint own = ep("192.0.2.1:1");
	struct omni_path path;

	(void)state;
	port.info.ifindex = 0;
	assert_int_equal(omni_prefix_parse(&config.underlay.address, "192.0.2.1", 24, 64), 0);
	assert_int_equal(omni_prefix_parse(&hops[0].to, "198.51.100.0/24", 32, 128), 0);
	config.underlay.has_address = true;
	config.underlay.next_hops = hops;
	config.underlay.n_next_hops = 1;
	start();
	assert_int_equal(resolve("198.51.100.7:5", &path), 0);
	assert_path(&path, "192.0.2.1:51820", hops[0].mac);
	assert_int_equal(resolve("203.0.113.1:5", &path), -ENETUNREACH);
	config.underlay.n_next_hops = 2;
	assert_int_equal(resolve("203.0.113.1:5", &path), 0);
	assert_path(&path, "192.0.2.1:51820", hops[1].mac);
	assert_int_equal(resolve("[fd00::1]:5", &path), -ENETUNREACH);
	assert_true(ctl_nexthop_is_own(ctl, &own.ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(neighbour_on_the_link),
		T(address_behind_a_gateway),
		T(route_by_another_interface_is_none),
		T(a_way_into_the_overlay_is_none),
		T(our_address_changes),
		T(neighbour_changes),
		T(many_addresses_are_bounded),
		T(configured_next_hops),
#undef T
	};

	return cmocka_run_group_tests_name("nexthop", tests, group_setup, group_teardown);
}
