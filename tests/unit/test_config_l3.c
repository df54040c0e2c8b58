/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* L3 clusters and WireGuard peers in the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <omni_config.h>

#define KEY_A "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
#define KEY_B "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A="

#define HEAD                                          \
	"ports:\n"                                    \
	"  up: { driver: af_xdp, interface: eth0 }\n" \
	"  tap: { driver: tap, interface: omni0 }\n"  \
	"underlay: { port: up }\n"
#define L3 "clusters: { c: { mode: l3, open: true, "
#define L3_PEERS "clusters:\n c:\n  mode: l3\n  peers:\n"
/* Eighty addresses. */
#define TEN(n)                                                                                 \
	"10." n ".0.1, 10." n ".0.2, 10." n ".0.3, 10." n ".0.4, 10." n ".0.5, 10." n ".0.6, " \
	"10." n ".0.7, 10." n ".0.8, 10." n ".0.9, 10." n ".0.10"
#define TEN_8                                                                                  \
	"[" TEN("1") "," TEN("2") "," TEN("3") "," TEN("4") "," TEN("5") "," TEN("6") "," TEN( \
		"7") "," TEN("8") "]"

static struct omni_config *parse(const char *text, struct omni_err *err)
{
	return omni_config_parse(text, strlen(text), "f.yaml", err);
}

struct bad {
	const char *text;
	const char *message; /* begins so, behind "f.yaml:" */
};

/* clang-format off */
static const struct bad bad[] = {
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", dialect: wireguard }\n",
	 "8:69: peer p: wireguard carries IP packets and no Ethernet, expected omni or mode: l3"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", allowed-ips: [ 10.0.0.2 ] }\n",
	 "8:60: peer p: allowed-ips are for L3 clusters, expected mode: l3 in cluster c"},
	{HEAD "clusters: { c: { open: true, relay: true } }\n",
	 "5:30: cluster c: key \"relay\" is for mode: l3, expected it to be left out"},
	{HEAD "clusters: { c: { dscp: 0, open: true } }\n",
	 "5:18: cluster c: key \"dscp\" is for mode: l3, expected it to be left out"},
	{HEAD "clusters: { c: { open: true, mode: l3, fdb: { limit: 5 } } }\n",
	 "5:40: cluster c: key \"fdb\" is for mode: l2, expected it to be left out"},
	{HEAD "clusters: { c: { flood: {}, open: true, mode: l3 } }\n",
	 "5:18: cluster c: key \"flood\" is for mode: l2, expected it to be left out"},
	{HEAD L3 "dscp: 64 } }\n", "5:46: dscp: \"64\" is not known, expected copy or a number from"},
	{HEAD L3 "dscp: same } }\n", "5:46: dscp: \"same\" is not known, expected copy or a number"},
	{HEAD L3 "mtu: 575 } }\n", "5:45: mtu: 575 is out of range, expected a number from 576 to"},
	{HEAD L3 "relay: yes } }\n",
	 "5:47: relay: \"yes\" is not known, expected true, false or host"},
	{HEAD L3 "relay: host } }\n",
	 "5:47: relay: host needs the kernel, expected a tun or tap port in cluster c"},
	{HEAD L3 "dialect: noise } }\n",
	 "5:49: dialect: \"noise\" is not known, expected auto, omni or wireguard"},
	{HEAD L3 "ecn: on } }\n", "5:45: ecn: \"on\" is not known, expected true or false"},
	{HEAD L3 "addresses: 10.0.0.1 } }\n",
	 "5:51: addresses is a single value, expected a list in brackets"},
	{HEAD L3 "addresses: [ 10.0.0.0/24 ] } }\n",
	 "5:53: addresses: 10.0.0.0/24 cannot be the address of one host"},
	{HEAD L3 "advertise: [ 10.0.0.0/33 ] } }\n",
	 "5:53: advertise: \"10.0.0.0/33\" is no IP address, expected ADDRESS or ADDRESS/LENGTH"},
	{HEAD L3 "accept: [ ten ] } }\n", "5:50: accept: \"ten\" is no IP address"},
	{HEAD L3 "vip: 10.0.0.1, addresses: [ 10.0.0.1/24 ] } }\n",
	 "5:68: address of a cluster is the same as in line 5, expected another"},
	{HEAD L3 "peers: {} }, d: { open: true, cipher: none } }\n", "5:78: cipher: \"none\" is not"},
	{HEAD "clusters: { c: { mode: l3, vip: 10.0.0.1 } }\n",
	 "5:16: cluster c has no secret, is not open and lists no peers, expected secret-file:"},
	{HEAD L3_PEERS "   p: { key: " KEY_A ", allowed-ips: [ 10.0.0.256 ] }\n",
	 "9:75: allowed-ips: \"10.0.0.256\" is no IP address"},
	{HEAD L3_PEERS "   p: { key: " KEY_A ", allowed-ips: 10.0.0.2 }\n",
	 "9:73: allowed-ips is a single value, expected a list"},
	{HEAD L3_PEERS "   p: { key: " KEY_A ", keepalive: 65536 }\n",
	 "9:71: keepalive: 65536 is out of range, expected a number from 0 to 65535"},
	{HEAD L3_PEERS "   p: { key: " KEY_A ", allowed-ips: [ 10.1.2.3/16 ] }\n   q: { key: " KEY_B
		       ", allowed-ips: [ 10.1.0.0/16 ] }\n",
	 "10:73: peer q: 10.1.0.0/16 leads to p already, expected every address at one peer"},
	{HEAD L3_PEERS "   p: { key: " KEY_A ", vip: 10.0.0.2 }\n   q: { key: " KEY_B
		       ", allowed-ips: [ 10.0.0.2 ] }\n",
	 "10:73: peer q: 10.0.0.2/32 leads to p already, expected every address at one peer"},
	{HEAD "clusters:\n c:\n  mode: l3\n  vip: 10.0.0.1\n  peers:\n   p: { key: " KEY_A
	      ", allowed-ips: [ 10.0.0.1 ] }\n",
	 "10:73: peer p: 10.0.0.1/32 leads to ourselves already, expected every address"},
	{HEAD L3_PEERS "   p: { key: " KEY_A " }\n d: { peers: { q: { key: " KEY_A " } } }\n",
	 "10:16: peer q of cluster d has the key of peer p of cluster c, expected another"},
	{"ports:\n up: { driver: udp }\n t: { driver: tap, interface: t, routes: main }\n"
	 "underlay: { port: up }\nclusters: {}\n",
	 "3:42: routes: \"main\" is not known, expected auto, default, off or the number of a table"},
	{"ports:\n up: { driver: udp }\n t: { driver: tap, interface: t, routes: auto }\n"
	 "underlay: { port: up }\nclusters: { c: { open: true, ports: [ t ] } }\n",
	 "5:39: port t has the key \"routes\", expected it to be left out or mode: l3 in cluster c"},
	{"ports:\n up: { driver: udp }\n m: { driver: ring, address: 10.0.0.1/8 }\n"
	 "underlay: { port: up }\nclusters: { c: { open: true, ports: [ m ] } }\n",
	 "5:39: port m has an address, but no interface of the kernel's to carry it, expected"},
	{"ports:\n up: { driver: udp }\n m: { driver: ring, via: { to: 10.0.0.0/8 } }\n"
	 "underlay: { port: up }\nclusters: {}\n",
	 "3:26: via is not whole, expected to: PREFIX, gateway: ADDRESS"},
	{"ports:\n up: { driver: udp }\n m: { driver: ring, via: { to: 10.0.0.0/8, gateway: \"::2\" } "
	 "}\nunderlay: { port: up }\nclusters: {}\n",
	 "3:26: via: subnet and gateway are not of one family, expected"},
	{"ports:\n up: { driver: udp }\n m: { driver: ring, address: vip }\n"
	 "underlay: { port: up }\nclusters: {}\n",
	 "3:30: port m: the VIP is carried by an interface of driver tap or tun, expected"},
	{HEAD "limits: { routes: 64 }\nclusters: { c: { open: true, mode: l3, addresses: " TEN_8
	      " } }\n",
	 "6:11: clusters: 81 routes are more than limits: routes, expected at most 64"},
};
/* clang-format on */

static void contradictions_are_told_where_and_why(void **state)
{
	struct omni_config *config;
	char expected[256];
	struct omni_err err;
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		err.text[0] = '\0';
		config = parse(bad[i].text, &err);
		snprintf(expected, sizeof(expected), "f.yaml:%s", bad[i].message);
		if (config == NULL && strncmp(err.text, expected, strlen(expected)) == 0 &&
		    strstr(err.text, "expected") != NULL)
			continue;
		print_error("---\n%s\nexpected: %s\ngot:      %s\n", bad[i].text, expected,
			    config != NULL ? "a configuration" : err.text);
		omni_config_free(config);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void l3_clusters_have_defaults(void **state)
{
	struct omni_config_cluster *cluster;
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse(HEAD L3_PEERS "   p: { key: " KEY_A " }\n"
				     "   q: { key: " KEY_B ", dialect: omni }\n",
		       &err);
	if (config == NULL)
		fail_msg("%s", err.text);
	cluster = &config->clusters[0];
	assert_int_equal(cluster->mode, OMNI_MODE_L3);
	assert_true(cluster->vip_auto);
	assert_int_equal(cluster->relay, OMNI_RELAY_NEVER);
	assert_true(cluster->ecn);
	assert_int_equal(cluster->dscp, 0);
	assert_int_equal(cluster->mtu, 0);
	assert_int_equal(config->limits.routes, 131072);
	assert_int_equal(cluster->peers[0].dialect, OMNI_DIALECT_WIREGUARD);
	assert_int_equal(cluster->peers[0].keepalive_s, 0);
	assert_int_equal(cluster->peers[1].dialect, OMNI_DIALECT_OMNI);
	assert_int_equal(cluster->peers[1].keepalive_s, 25);
	omni_config_free(config);
	config = parse(HEAD L3 "peers: { p: { key: " KEY_A " } } } }\n", &err);
	assert_non_null(config);
	assert_int_equal(config->clusters[0].peers[0].dialect, OMNI_DIALECT_OMNI);
	omni_config_free(config);
}

static void assert_prefix(const struct omni_prefix *prefix, const char *expected)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	assert_string_equal(omni_prefix_text(text, prefix), expected);
}

static void l3_keys_are_read(void **state)
{
	struct omni_config_cluster *cluster;
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse(HEAD "clusters:\n c:\n  mode: l3\n  vip: 10.7.0.1/24\n  mtu: 1380\n"
			    "  relay: true\n  ecn: false\n  dscp: copy\n"
			    "  addresses: [ fd00:7::1, 10.9.0.1/32 ]\n"
			    "  advertise: [ 10.1.2.3/16, 0.0.0.0/0 ]\n  accept: [ fd00:8::1/33 ]\n"
			    "  peers:\n   p:\n    key: " KEY_A "\n    vip: 10.7.0.2\n"
			    "    keepalive: 65535\n"
			    "    allowed-ips: [ 10.7.0.2, 10.7.77.77/17, \"::/0\", 192.0.2.1 ]\n",
		       &err);
	if (config == NULL)
		fail_msg("%s", err.text);
	cluster = &config->clusters[0];
	assert_int_equal(cluster->mtu, 1380);
	assert_int_equal(cluster->relay, OMNI_RELAY_PEERS);
	assert_false(cluster->ecn);
	assert_int_equal(cluster->dscp, OMNI_CONFIG_DSCP_COPY);
	assert_int_equal(cluster->n_addresses, 2);
	assert_prefix(&cluster->addresses[0], "fd00:7::1/64");
	assert_prefix(&cluster->addresses[1], "10.9.0.1/32");
	assert_int_equal(cluster->n_advertise, 2);
	assert_prefix(&cluster->advertise[0], "10.1.0.0/16");
	assert_prefix(&cluster->advertise[1], "0.0.0.0/0");
	assert_int_equal(cluster->n_accept, 1);
	assert_prefix(&cluster->accept[0], "fd00:8::/33");
	assert_int_equal(cluster->peers[0].keepalive_s, 65535);
	assert_int_equal(cluster->peers[0].n_allowed, 4);
	assert_prefix(&cluster->peers[0].allowed[1], "10.7.0.0/17");
	assert_prefix(&cluster->peers[0].allowed[2], "::/0");
	assert_prefix(&cluster->peers[0].allowed[3], "192.0.2.1/32");
	omni_config_free(config);
}

/* What a box cannot do that has no identity but a WireGuard key. */
static void wireguard_keys_serve_wireguard_alone(void **state)
{
	static const struct bad wrong[] = {
		{HEAD "clusters: { c: { open: true } }\n", "cluster c is L2"},
		{HEAD L3 "} }\n", "cluster c is open"},
		{HEAD "clusters: { c: { mode: l3, secret: 0123456789abcdef } }\n", "has a secret"},
		{HEAD L3_PEERS "   p: { key: " KEY_A ", dialect: omni }\n", "peer p of cluster c"},
		{HEAD L3_PEERS "   p: { key: " KEY_A " }\nnucleus: [ h:1 ]\n", "for a Nucleus"},
		{HEAD L3_PEERS "   p: { key: " KEY_A " }\n", NULL},
	};
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(wrong); i++) {
		config = parse(wrong[i].text, &err);
		assert_non_null(config);
		err.text[0] = '\0';
		assert_int_equal(omni_config_check_wireguard(config, &err),
				 wrong[i].message != NULL ? -EINVAL : 0);
		if (wrong[i].message != NULL && strstr(err.text, wrong[i].message) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", err.text, wrong[i].message);
		omni_config_free(config);
	}
}

static void hosts_interfaces_follow_their_cluster(void **state)
{
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse(
		"ports:\n up: { driver: udp }\n t: { driver: tun, interface: t }\n"
		" u: { driver: tun, interface: u, address: none, mtu: 900 }\n"
		" v: { driver: tap, interface: v, routes: 51820 }\n"
		" w: { driver: tap, interface: w, address: 10.1.0.1/24, routes: off }\n"
		" x: { driver: tap, interface: x }\n"
		" m: { driver: ring, address: 10.2.0.1/16, via: [ { to: 10.9.0.0/16, gateway: "
		"10.2.0.9 }, { to: \"fd00:9::7/32\", gateway: \"fd00::1\" } ] }\n"
		"underlay: { port: up }\nclusters:\n"
		" c: { open: true, mode: l3, mtu: 1300, ports: [ t, u, v, w, m ] }\n"
		" d: { open: true, ports: [ x ] }\n",
		&err);
	if (config == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(config->ports[1].routes_table, 254);
	assert_int_equal(config->ports[1].mtu, 1300);
	assert_int_equal(config->ports[2].routes_table, 0);
	assert_int_equal(config->ports[2].mtu, 900);
	assert_int_equal(config->ports[3].routes_table, 51820);
	assert_int_equal(config->ports[4].routes_table, 0);
	assert_int_equal(config->ports[5].routes_table, 0);
	assert_int_equal(config->ports[5].mtu, 0);
	assert_int_equal(config->ports[6].carries, OMNI_ADDRESS_OWN);
	assert_prefix(&config->ports[6].address, "10.2.0.1/16");
	assert_int_equal(config->ports[6].n_via, 2);
	assert_prefix(&config->ports[6].via[1].to, "fd00:9::/32");
	omni_config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contradictions_are_told_where_and_why),
		cmocka_unit_test(l3_clusters_have_defaults),
		cmocka_unit_test(l3_keys_are_read),
		cmocka_unit_test(wireguard_keys_serve_wireguard_alone),
		cmocka_unit_test(hosts_interfaces_follow_their_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
