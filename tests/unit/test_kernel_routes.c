/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Routes of the kernel over a tun port, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>

#include <l3.h>
#include <omni_clock.h>

static struct omni_ctl *ctl;
static struct omni_config config;
static struct omni_config_port port_conf[2];
static struct omni_config_cluster cluster_conf;
static struct omni_config_nucleus nucleus_conf;
static struct omni_port up, tun;
static struct omni_port_table ports;
static struct ctl_cluster cluster;
static uint64_t now_ns = 1000 * OMNI_NS_PER_S;

static uint64_t boot_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static const struct omni_port_ops ops = {.driver = "test"};

static void sh(const char *line)
{
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

/* What a command prints, blanks and line ends as one space. */
static const char *out(const char *line)
{
	static char text[1024];
	FILE *f = popen(line, "r");
	size_t n, k = 0;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	pclose(f);
	for (size_t i = 0; i < n; i++) {
		char c = text[i] == '\n' ? ' ' : text[i];

		if (c != ' ' || (k > 0 && text[k - 1] != ' '))
			text[k++] = c;
	}
	text[k - (k > 0 && text[k - 1] == ' ')] = '\0';
	return text;
}

static const char *routes4(void)
{
	return out("ip -4 route show dev t0 proto static");
}

static int group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) != 0) {
		print_message("skipped: no network namespaces for this user\n");
		exit(77);
	}
	sh("ip link add t0 type veth peer name t1 && ip link set t1 up && ip link set t0 up");
	sh("ip addr add 10.0.0.1/24 dev t0");
	sh("ip link add e0 type veth peer name e1 && ip link set e1 up && ip link set e0 up");
	sh("ip addr add 192.0.2.1/24 dev e0");
	sh("ip route add default via 192.0.2.254 dev e0");
	return 0;
}

static struct omni_prefix prefix(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static void set(const char *text, enum omni_dest_kind kind)
{
	struct omni_prefix p = prefix(text);

	assert_int_equal(omni_fib_set(ctl->conf.fib, 0, &p, omni_dest_make(kind, 3, 1)), 0);
}

static void del(const char *text)
{
	struct omni_prefix p = prefix(text);

	assert_int_equal(omni_fib_del(ctl->conf.fib, 0, &p, OMNI_DEST_MISS), 0);
}

static void tick(void)
{
	now_ns += 100 * OMNI_NS_PER_MS;
	ctl_kernel_tick(ctl, now_ns);
}

static void port_init(struct omni_port *p, uint16_t id, const char *name, const char *netdev)
{
	*p = (struct omni_port){.ops = &ops, .id = id, .generation = 7};
	strcpy(p->name, name);
	p->info.ifindex = netdev != NULL ? if_nametoindex(netdev) : 0;
	p->info.link_up = true;
	ports.slot[id] = ports.open[id] = p;
}

static void clusters(void)
{
	memset(&cluster, 0, sizeof(cluster));
	cluster.conf = &cluster_conf;
	cluster.vip = cluster_conf.vip.ip;
	TAILQ_INIT(&cluster.peers);
	ctl->cluster = &cluster;
	ctl->n_clusters = 1;
}

static int begin(void **state)
{
	struct omni_err err = {""};

	(void)state;
	ctl = aligned_alloc(OMNI_CACHE_LINE, sizeof(*ctl));
	assert_non_null(ctl);
	memset(ctl, 0, sizeof(*ctl));
	memset(port_conf, 0, sizeof(port_conf));
	memset(&cluster_conf, 0, sizeof(cluster_conf));
	port_init(&up, 0, "up", NULL);
	up.info.kernel_routes = true;
	port_init(&tun, 1, "t0", "t0");
	tun.info.raw_ip = true;
	strcpy(port_conf[0].name, "up");
	strcpy(port_conf[1].name, "t0");
	strcpy(port_conf[1].driver, "tun");
	port_conf[1].carries = OMNI_ADDRESS_VIP;
	port_conf[1].routes_table = OMNI_CONFIG_TABLE_MAIN;
	config = (struct omni_config){.ports = port_conf, .n_ports = 2, .clusters = &cluster_conf};
	cluster_conf.mode = OMNI_MODE_L3;
	cluster_conf.vip = prefix("10.0.0.1/24");
	cluster_conf.ports[0] = 1;
	cluster_conf.n_ports = 1;
	ctl->conf.config = &config;
	ctl->conf.ports = &ports;
	ctl->conf.world.boot_ns = boot_ns;
	ctl->conf.rcu = omni_rcu_create(1);
	ctl->conf.fib = omni_fib_create(4096, 16, ctl->conf.rcu);
	clusters();
	assert_int_equal(ctl_l3_init(ctl, &cluster, &err), 0);
	assert_int_equal(ctl_kernel_init(ctl, &err), 0);
	assert_string_equal(routes4(), "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	ctl_kernel_fini(ctl);
	ctl_l3_fini(ctl, &cluster);
	omni_fib_free(ctl->conf.fib);
	omni_rcu_free(ctl->conf.rcu);
	free(ctl);
	sh("ip -4 route flush dev t0 proto static; ip -6 route flush dev t0 proto static");
	return 0;
}

static void kernel_follows_the_table(void **state)
{
	(void)state;
	tick();
	assert_string_equal(routes4(), "");
	set("10.1.0.0/16", OMNI_DEST_PEER);
	set("10.1.2.0/24", OMNI_DEST_PEER);
	set("10.9.0.0/16", OMNI_DEST_PORT); /* behind another port */
	set("10.0.0.7/32", OMNI_DEST_PEER); /* in the subnet that the kernel knows */
	set("10.8.0.0/16", OMNI_DEST_REJECT);
	set("fd12::/48", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link 10.1.2.0/24 scope link "
				       "10.9.0.0/16 scope link");
	assert_string_equal(out("ip -6 route show dev t0 proto static"),
			    "fd12::/48 metric 1024 pref medium");
	del("10.1.0.0/16");
	del("fd12::/48");
	set("10.9.0.0/16", OMNI_DEST_REJECT);
	tick();
	assert_string_equal(routes4(), "10.1.2.0/24 scope link");
	assert_string_equal(out("ip -6 route show dev t0 proto static"), "");
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_kernel_routes_refused], 0);
}

static void the_default_route_is_never_set(void **state)
{
	(void)state;
	set("0.0.0.0/0", OMNI_DEST_PEER);
	set("::/0", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "");
	assert_string_equal(out("ip route show default"), "default via 192.0.2.254 dev e0");
}

static void begin_with_default(void)
{
	struct omni_err err = {""};

	ctl_kernel_fini(ctl);
	port_conf[1].routes_table = OMNI_CONFIG_TABLE_DEFAULT;
	config.underlay.fwmark = 51820;
	assert_int_equal(ctl_kernel_init(ctl, &err), 0);
}

/* As wg-quick(8) sets it: what has not our mark, and no longer route, goes to the peer. */
static void the_default_route_by_rules(void **state)
{
	const char *rules = "ip rule show; ip -6 rule show";

	(void)state;
	begin_with_default();
	set("0.0.0.0/0", OMNI_DEST_PEER);
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
	assert_string_equal(out("ip route show table 51820"),
			    "default dev t0 proto static scope link");
	assert_string_equal(out("ip route show default"), "default via 192.0.2.254 dev e0");
	assert_non_null(
		strstr(out("ip rule show"), "from all lookup main suppress_prefixlength 0 "));
	assert_non_null(strstr(out("ip rule show"), "not from all fwmark 0xca6c lookup 51820 "));
	assert_non_null(strstr(out("ip route get 203.0.113.5"), " dev t0 "));
	assert_non_null(strstr(out("ip route get 203.0.113.5 mark 51820"), " dev e0 "));
	assert_null(strstr(out("ip -6 rule show"), "51820"));
	set("::/0", OMNI_DEST_PEER);
	tick();
	assert_non_null(strstr(out("ip -6 rule show"), "not from all fwmark 0xca6c lookup 51820 "));
	del("0.0.0.0/0");
	tick();
	assert_null(strstr(out("ip -4 rule show"), "51820"));
	/* They go at the end, those that an earlier life left behind too. */
	sh("ip rule add not fwmark 51820 table 51820; ip rule add table main suppress_prefixlength 0");
	set("0.0.0.0/0", OMNI_DEST_PEER);
	tick();
	ctl_kernel_fini(ctl);
	assert_null(strstr(out(rules), "51820"));
	assert_null(strstr(out(rules), "suppress"));
	sh("ip route flush table 51820; ip -6 route flush table 51820");
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_kernel_routes_refused], 0);
}

/* The look-up of the peer's name takes the way that the host has without the peer. */
static void the_default_route_waits_for_a_name(void **state)
{
	static struct omni_peer pub = {.index = 3, .generation = 1};
	static struct ctl_peer peer;

	(void)state;
	begin_with_default();
	peer = (struct ctl_peer){.pub = &pub, .dns = (struct ctl_name *)&pub};
	TAILQ_INSERT_TAIL(&cluster.peers, &peer, entry);
	set("0.0.0.0/0", OMNI_DEST_PEER);
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
	assert_null(strstr(out("ip rule show"), "51820"));
	assert_int_equal(omni_endpoint_parse(&peer.endpoint, "203.0.113.9:51820"), 0);
	ctl_kernel_touch(ctl);
	tick();
	assert_non_null(strstr(out("ip rule show"), "51820"));
	sh("ip route flush table 51820");
}

/* The table's default route is somebody else's: so are the rules. */
static void the_default_table_of_others(void **state)
{
	(void)state;
	begin_with_default();
	sh("ip route add default dev e0 table 51820");
	set("0.0.0.0/0", OMNI_DEST_PEER);
	tick();
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_kernel_routes_refused], 1);
	assert_null(strstr(out("ip rule show"), "51820"));
	sh("ip route del default table 51820");
}

static void own_addresses_are_the_interface(void **state)
{
	const struct omni_ip own = prefix("10.0.0.1").ip;

	(void)state;
	assert_true(ctl_l3_lookup(ctl, &cluster, &own) == ctl_l3_port_dest(&tun));
	port_conf[1].carries = OMNI_ADDRESS_NONE;
	struct omni_err err = {""};

	ctl_l3_fini(ctl, &cluster);
	assert_int_equal(ctl_l3_init(ctl, &cluster, &err), 0);
	assert_int_equal(omni_dest_kind(ctl_l3_lookup(ctl, &cluster, &own)), OMNI_DEST_SELF);
}

static void routes_that_would_swallow_the_tunnel(void **state)
{
	static struct ctl_peer peer;

	(void)state;
	memset(&peer, 0, sizeof(peer));
	assert_int_equal(omni_endpoint_parse(&peer.endpoint, "203.0.113.9:51820"), 0);
	TAILQ_INSERT_TAIL(&cluster.peers, &peer, entry);
	set("203.0.112.0/20", OMNI_DEST_PEER); /* longer than the default route */
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_routes_swallowing], 1);
	/* A longer one by the underlay keeps the endpoint out of it. */
	sh("ip route add 203.0.113.0/24 via 192.0.2.253 dev e0");
	ctl_kernel_touch(ctl);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link 203.0.112.0/20 scope link");
	/* The peer moves into a prefix that was set already. */
	assert_int_equal(omni_endpoint_parse(&peer.endpoint, "10.1.7.7:51820"), 0);
	ctl_kernel_touch(ctl);
	tick();
	assert_string_equal(routes4(), "203.0.112.0/20 scope link");
	sh("ip route del 203.0.113.0/24");
}

static void links_go_down_and_come_back(void **state)
{
	(void)state;
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
	sh("ip link set t0 down");
	tun.info.link_up = false;
	tick();
	sh("ip link set t0 up");
	tun.info.link_up = true;
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
}

/* Back before anybody looked. */
static void links_go_down_for_a_moment(void **state)
{
	(void)state;
	begin_with_default();
	set("10.1.0.0/16", OMNI_DEST_PEER);
	set("0.0.0.0/0", OMNI_DEST_PEER);
	tick();
	sh("ip link set t0 down && ip link set t0 up");
	assert_string_equal(routes4(), "");
	tick();
	assert_string_equal(routes4(), "10.1.0.0/16 scope link");
	assert_non_null(strstr(out("ip route get 203.0.113.5"), " dev t0 "));
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_kernel_routes_refused], 0);
	sh("ip route flush table 51820");
}

static void routes_of_others_are_left_alone(void **state)
{
	(void)state;
	sh("ip route add 10.1.0.0/16 via 192.0.2.77 dev e0");
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	tick();
	assert_string_equal(out("ip route show 10.1.0.0/16"), "10.1.0.0/16 via 192.0.2.77 dev e0");
	assert_int_equal(ctl->stats.count[OMNI_STAT_ctl_kernel_routes_refused], 1);
	del("10.1.0.0/16");
	tick();
	assert_string_equal(out("ip route show 10.1.0.0/16"), "10.1.0.0/16 via 192.0.2.77 dev e0");
	sh("ip route del 10.1.0.0/16");
}

static void another_table(void **state)
{
	(void)state;
	port_conf[1].routes_table = 4242;
	set("10.1.0.0/16", OMNI_DEST_PEER);
	tick();
	assert_string_equal(routes4(), "");
	assert_string_equal(out("ip route show table 4242"),
			    "10.1.0.0/16 dev t0 proto static scope link");
	del("10.1.0.0/16");
	tick();
	assert_string_equal(out("ip route show table 4242 2>&1"), "");
}

static void many_routes_take_turns(void **state)
{
	char text[32];

	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", 20 + i / 250, i % 250);
		set(text, OMNI_DEST_PEER);
	}
	now_ns += OMNI_NS_PER_S;
	for (unsigned int i = 0; i < 3; i++)
		tick();
	assert_string_equal(out("ip -4 route show dev t0 proto static | wc -l"), "3000");
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", 20 + i / 250, i % 250);
		del(text);
	}
	now_ns += OMNI_NS_PER_S;
	for (unsigned int i = 0; i < 3; i++)
		tick();
	assert_string_equal(routes4(), "");
}

static void a_nucleus_is_asked_for_the_subnet(void **state)
{
	const struct omni_ip member = prefix("10.0.0.9").ip;
	struct omni_err err = {""};

	(void)state;
	assert_true(ctl_l3_lookup(ctl, &cluster, &member) == OMNI_DEST_MISS);
	config.nucleus[0] = nucleus_conf;
	config.n_nucleus = 1;
	cluster_conf.open = true;
	ctl_l3_fini(ctl, &cluster);
	assert_int_equal(ctl_l3_init(ctl, &cluster, &err), 0);
	assert_int_equal(omni_dest_kind(ctl_l3_lookup(ctl, &cluster, &member)), OMNI_DEST_ASK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(kernel_follows_the_table),
		T(the_default_route_is_never_set),
		T(the_default_route_by_rules),
		T(the_default_route_waits_for_a_name),
		T(the_default_table_of_others),
		T(own_addresses_are_the_interface),
		T(routes_that_would_swallow_the_tunnel),
		T(links_go_down_and_come_back),
		T(links_go_down_for_a_moment),
		T(routes_of_others_are_left_alone),
		T(another_table),
		T(many_routes_take_turns),
		T(a_nucleus_is_asked_for_the_subnet),
#undef T
	};

	return cmocka_run_group_tests_name("kernel_routes", tests, group_setup, NULL);
}
