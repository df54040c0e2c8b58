/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_config.h>

#define KEY_A "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
#define KEY_B "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A="

#define PORTS                                         \
	"ports:\n"                                    \
	"  up: { driver: af_xdp, interface: eth0 }\n" \
	"  tap: { driver: tap, interface: omni0 }\n"
#define UNDERLAY "underlay: { port: up }\n"
#define HEAD PORTS UNDERLAY
#define OPEN "clusters: { c: { open: true } }\n"

static char dir[] = "/tmp/omni-config-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void write_file(char path[256], const char *name, const char *text, size_t len, mode_t mode)
{
	FILE *file;

	snprintf(path, 256, "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fchmod(fileno(file), mode), 0);
	assert_int_equal(fclose(file), 0);
}

static struct omni_config *parse(const char *text, struct omni_err *err)
{
	return omni_config_parse(text, strlen(text), "f.yaml", err);
}

/* The file of the source tree, with its secrets' folder changed to ours; the caller frees. */
static char *read_example(const char *name)
{
	char path[512], *text = calloc(1, 32768), *out = calloc(1, 65536), *at = text, *next;
	FILE *file;

	snprintf(path, sizeof(path), "%s/../config/%s", getenv("OMNI_TESTS_DIR"), name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_in_range(fread(text, 1, 32767, file), 1, 32766);
	fclose(file);
	while ((next = strstr(at, "/etc/omni/")) != NULL) {
		strncat(out, at, (size_t)(next - at));
		strcat(out, dir);
		at = next + strlen("/etc/omni");
	}
	strcat(out, at);
	free(text);
	return out;
}

/* The key files that the examples name. */
static void with_keys(bool there)
{
	static const char secret[] = "correct horse battery staple\n";
	char path[256];

	write_file(path, "robotics.secret", secret, strlen(secret), 0600);
	if (!there)
		unlink(path);
	write_file(path, "site-b.psk", KEY_A "\n", strlen(KEY_A) + 1, 0600);
	if (!there)
		unlink(path);
}

struct bad {
	const char *text;
	const char *message; /* begins so, behind "f.yaml:" */
};

/* clang-format off */
static const struct bad bad[] = {
	/* form */
	{"", "1:1: the file is empty, expected"},
	{"# nothing\n", "1:1: the file is empty, expected"},
	{"just text\n", "1:1: the file is a single value, expected a mapping"},
	{"[ 1, 2 ]\n", "1:1: the file is a list, expected a mapping"},
	{"ports: [\n", "2:1: did not find expected node content"},
	{"ports: { a: b\n", "2:1: did not find expected ',' or '}'"},
	{"ports: \"\x01\"\n", "1:9: control characters are not allowed"},
	{"a: b\nports: \xff\n", "2:8: invalid leading UTF-8 octet"},
	{"\tports: 1\n", "1:1: found character that cannot start any token"},
	{HEAD OPEN "---\na: b\n", "7:1: a second document begins"},
	{"ports: *nothing\n", "1:8: found undefined alias"},
	{HEAD "? [ a ]\n: b\n", "5:3: a key is a list, expected a single value"},
	/* keys and types */
	{HEAD OPEN "metric: 1\n", "6:1: the file has no key \"metric\", expected one of identity,"},
	{HEAD OPEN "log: { volume: info }\n",
	 "6:8: log has no key \"volume\", expected one of level"},
	{HEAD OPEN "log: { level: loud }\n",
	 "6:15: level: \"loud\" is not known, expected error, warn, info or debug"},
	{HEAD OPEN "log: debug\n", "6:6: log is a single value, expected a mapping"},
	{HEAD OPEN "log:\n", "6:5: log has no value, expected a mapping"},
	{HEAD OPEN "log: { level: [] }\n", "6:15: level is a list, expected a single value"},
	{HEAD OPEN "log: { level: info, level: info }\n", "6:21: log has the key \"level\" twice"},
	{HEAD OPEN "log: { level: \"in\\0fo\" }\n", "6:15: level holds a zero byte"},
	{HEAD OPEN "log: {}\nlog: {}\n", "7:1: the file has the key \"log\" twice"},
	{HEAD OPEN "limits: { peers: 0 }\n",
	 "6:18: peers: 0 is out of range, expected a number from 1 to 1048576"},
	{HEAD OPEN "limits: { peers: 99999999999999999999999999 }\n",
	 "6:18: peers: 99999999999999999999999999 is out of range"},
	{HEAD OPEN "limits: { peers: many }\n", "6:18: peers: \"many\" is no number"},
	{HEAD OPEN "limits: { peers: -1 }\n", "6:18: peers: \"-1\" is no number"},
	{HEAD OPEN "limits: { peers: \"5\" }\n", "6:18: peers: \"5\" is a text, expected a number"},
	{HEAD OPEN "limits: { lanes: 65 }\n", "6:18: lanes: 65 is out of range"},
	{HEAD OPEN "limits: { clusters: 257 }\n", "6:21: clusters: 257 is out of range"},
	{HEAD OPEN "workers: { idle: lazy }\n",
	 "6:18: idle: \"lazy\" is not known, expected adaptive or poll"},
	{HEAD OPEN "identity: \"\"\n", "6:11: identity: is empty, expected a path"},
	/* ports */
	{UNDERLAY OPEN, "1:1: the file has no \"ports\", expected that section"},
	{"ports: {}\n" UNDERLAY OPEN, "2:19: underlay: there is no port \"up\", expected one of "
				      "ports: none"},
	{"ports: { up: {} }\n", "1:1: the file has no \"underlay\""},
	{"ports: { up: {} }\n" UNDERLAY OPEN, "1:14: port up has no driver, expected driver: "},
	{"ports: { up: { driver: dpdk } }\n" UNDERLAY OPEN,
	 "1:24: driver: \"dpdk\" is not known, expected af_xdp, udp, auto, tap, tun, memif, vhost, "
	 "virtio-user, pci, ethdev, null or ring"},
	{"ports: { up: { driver: ~ } }\n" UNDERLAY OPEN, "1:24: driver has no value"},
	{"ports: { up: { driver: vhost } }\n" UNDERLAY OPEN,
	 "1:14: port up: driver vhost needs the key \"socket\""},
	{"ports: { up: { driver: pci, interface: eth1 } }\n" UNDERLAY OPEN,
	 "1:29: port up: key \"interface\" does not go with driver pci"},
	{"ports: { up: { driver: virtio-user } }\n" UNDERLAY OPEN,
	 "1:14: port up: driver virtio-user needs one of the keys \"socket\" and \"interface\""},
	{"ports: { up: { driver: virtio-user, socket: /s, interface: v } }\n" UNDERLAY OPEN,
	 "1:14: port up: driver virtio-user needs one of the keys"},
	{"ports: { up: { driver: af_xdp } }\n" UNDERLAY OPEN,
	 "1:14: port up: driver af_xdp needs the key \"interface\""},
	{"ports: { up: { driver: null, interface: eth0 } }\n" UNDERLAY OPEN,
	 "1:30: port up: key \"interface\" does not go with driver null"},
	{"ports: { up: { driver: af_xdp, interface: a/b } }\n" UNDERLAY OPEN,
	 "1:43: interface: \"a/b\" cannot be a network interface"},
	{"ports: { up: { driver: af_xdp, interface: sixteencharacters } }\n" UNDERLAY OPEN,
	 "1:43: interface: is too long (17 bytes)"},
	{"ports: { up: { driver: af_xdp, interface: eth0, mtu: 100 } }\n" UNDERLAY OPEN,
	 "1:54: mtu: 100 is out of range, expected a number from 576 to 9216"},
	{"ports: { up: { driver: null, mac: 01:00:00:00:00:01 } }\n" UNDERLAY OPEN,
	 "1:35: mac: 01:00:00:00:00:01 is a group address"},
	{"ports: { up: { driver: null, mac: 02:00:00:00:00 } }\n" UNDERLAY OPEN,
	 "1:35: mac: \"02:00:00:00:00\" is no MAC address"},
	{"ports: { up: { driver: null, generate: { size: 64 } } }\n" UNDERLAY OPEN,
	 "1:40: generate has no destination, expected to: and a MAC address"},
	{"ports: { up: { driver: null, generate: { to: 02:00:00:00:00:01, size: 63 } } }\n" UNDERLAY
		 OPEN,
	 "1:71: size: 63 is out of range, expected a number from 64 to 9216"},
	{"ports: { up: { driver: ring, generate: {} } }\n" UNDERLAY OPEN,
	 "1:30: port up: key \"generate\" does not go with driver ring"},
	{"ports: { \"u p\": { driver: null } }\n" UNDERLAY OPEN,
	 "1:10: name of a port: \"u p\" is no name"},
	{"ports:\n  up: { driver: null }\n  up: { driver: null }\n" UNDERLAY OPEN,
	 "3:3: name of a port is the same as in line 2"},
	{PORTS "  b: { driver: tap, interface: eth0 }\n" UNDERLAY OPEN,
	 "4:32: interface is the same as in line 2"},
	{"ports: { up: { driver: memif, socket: /s, role: master } }\n" UNDERLAY OPEN,
	 "1:49: role: \"master\" is not known, expected server or client"},
	{"ports: { t: { driver: tap, interface: o, offload: some } }\n" UNDERLAY OPEN,
	 "1:51: offload: \"some\" is not known, expected on or off"},
	{"ports: { up: { driver: null, offload: off } }\n" UNDERLAY OPEN,
	 "1:30: port up: key \"offload\" does not go with driver null"},
	{"ports: { t: { driver: tap, interface: o, address: 10.0.0.0/24 } }\n" UNDERLAY OPEN,
	 "1:51: address: 10.0.0.0/24 cannot be the address of one host"},
	/* underlay */
	{PORTS "underlay: { listen: 1 }\n" OPEN, "4:11: underlay has no port"},
	{PORTS "underlay: { port: up, listen: 65536 }\n" OPEN, "4:31: listen: 65536 is out of"},
	{PORTS "underlay: { port: up, udp-checksum: never }\n" OPEN,
	 "4:37: udp-checksum: \"never\" is not known, expected auto or always"},
	{PORTS "underlay: { port: up, fwmark: 5x }\n" OPEN,
	 "4:31: fwmark: \"5x\" is no mark, expected off or a number up to 0xffffffff"},
	{"ports:\n  up: { driver: af_xdp, interface: e0 }\n  t: { driver: tun, interface: t0, routes: "
	 "default }\nunderlay: { port: up }\n" OPEN,
	 "4:11: port t has routes: default, which needs marks on our own datagrams, expected "
	 "driver udp of port up"},
	{"ports:\n  up: { driver: udp }\n  t: { driver: tun, interface: t0, routes: default }\n"
	 "underlay: { port: up, fwmark: 254 }\n" OPEN,
	 "4:11: port t has routes: default in the table whose number is fwmark, expected another "
	 "one than the kernel's 254"},
	{PORTS "underlay: { port: up, fwmark: 0x5 }\n" OPEN,
	 "4:31: fwmark is the kernel's, which sees no datagram of up, expected driver udp"},
	{PORTS "underlay: { port: up, lane-ports: some }\n" OPEN,
	 "4:35: lane-ports: \"some\" is no source of ports, expected auto, off or"},
	{PORTS "underlay: { port: up, lane-ports: 70000 }\n" OPEN,
	 "4:35: lane-ports: \"70000\" is no source of ports, expected auto, off or"},
	{PORTS "underlay: { port: down }\n" OPEN,
	 "4:19: underlay: there is no port \"down\", expected one of ports: up, tap"},
	{PORTS "underlay: { port: tap }\n" OPEN, "4:19: underlay: port tap has driver tap"},
	{PORTS "underlay: { port: up, address: 10.0.0.1/24 }\n" OPEN,
	 "4:23: underlay: the kernel knows the address of eth0"},
	{"ports: { up: { driver: udp, interface: eth0 } }\nunderlay:\n  port: up\n"
	 "  next-hop: { mac: 02:00:00:00:00:01 }\n" OPEN,
	 "4:3: underlay: the kernel knows the next-hop of eth0"},
	{"ports: { up: { driver: udp, mode: copy } }\n" UNDERLAY OPEN,
	 "1:29: port up: key \"mode\" does not go with driver udp"},
	{"ports: { up: { driver: auto } }\n" UNDERLAY OPEN,
	 "1:14: port up: driver auto needs the key \"interface\""},
	{"ports: { up: { driver: auto, interface: eth0 } }\nunderlay:\n  port: up\n"
	 "  address: 10.0.0.1/24\n" OPEN,
	 "4:3: underlay: the kernel knows the address of eth0"},
	{"ports: { up: { driver: udp }, two: { driver: udp } }\n" UNDERLAY
	 "clusters: { c: { open: true, ports: [ two ] } }\n",
	 "3:39: port two has driver udp, which is for the underlay alone"},
	{"ports: { up: { driver: ring } }\n" UNDERLAY OPEN,
	 "2:11: underlay: port up (ring) has no kernel side, expected the key \"address\""},
	{"ports: { up: { driver: ring } }\nunderlay: { port: up, address: 10.0.0.1/24 }\n" OPEN,
	 "2:11: underlay: port up (ring) has no kernel side, expected the key \"next-hop\""},
	{"ports: { up: { driver: ring } }\nunderlay:\n  port: up\n  address: 10.0.0.1/24\n"
	 "  next-hop: [ { mac: 02:00:00:00:00:01 }, { mac: 02:00:00:00:00:02 } ]\n" OPEN,
	 "5:43: next-hop: this is the second for every address"},
	{"ports: { up: { driver: ring } }\nunderlay:\n  port: up\n  address: 10.0.0.1/24\n"
	 "  next-hop: { to: 10.0.0.0/24 }\n" OPEN, "5:13: next-hop has no mac"},
	/* nucleus */
	{HEAD OPEN "nucleus: host:1\n", "6:10: nucleus is a single value, expected a list"},
	{HEAD OPEN "nucleus: [ host:0 ]\n", "6:12: nucleus: \"host:0\" is no address, expected HOST"},
	{HEAD OPEN "nucleus: [ 10.0.0.256:1 ]\n", "6:12: nucleus: \"10.0.0.256:1\" is no address"},
	{HEAD OPEN "nucleus: [ short@h:1 ]\n", "6:12: nucleus: is no key, expected 44 characters"},
	{HEAD OPEN "nucleus: [ h:1, H:1 ]\n", "6:17: nucleus: H:1 stands here twice"},
	{HEAD OPEN "nucleus: [ a, b, c, d, e, f, g, h, i ]\n",
	 "6:10: nucleus has 9 entries, expected at most 8"},
	/* clusters */
	{HEAD, "1:1: the file has no \"clusters\""},
	{HEAD "clusters: {}\n", "5:11: clusters is empty, expected one or more"},
	{HEAD "clusters: { c: {} }\n",
	 "5:16: cluster c has no secret, is not open and lists no peers, expected secret-file:"},
	{HEAD "clusters: { c: { open: false } }\n", "5:16: cluster c has no secret"},
	{HEAD "clusters: { c: { open: yes } }\n",
	 "5:24: open: \"yes\" is not known, expected true or false"},
	{HEAD "clusters: { \"a\\tb\": { open: true } }\n", "5:13: name of a cluster: is no cluster's"},
	{HEAD "clusters:\n  c: { open: true }\n  c: { open: true }\n",
	 "7:3: name of a cluster is the same as in line 6"},
	{HEAD "clusters: { c: { open: true, secret: abcdefghijklmnop } }\n",
	 "5:18: cluster c is open and has a secret"},
	{HEAD "clusters: { c: { secret: abcdefghijklmnop, secret-file: f } }\n",
	 "5:18: cluster c has both secret-file and secret"},
	{HEAD "clusters: { c: { secret: tooshort } }\n",
	 "5:26: secret has 8 characters, expected 16 or more"},
	{HEAD "clusters: { c: { secret: \"open:abcdefghijklmnop\" } }\n",
	 "5:26: secret begins with \"open:\""},
	{HEAD "clusters: { c: { secret-file: /nonexistent/secret } }\n",
	 "5:31: secret file /nonexistent/secret: No such file or directory (umask 077; omnictl"},
	{HEAD "clusters: { c: { secret-file: /dev/null } }\n",
	 "5:31: secret file /dev/null: is not a regular file"},
	{HEAD "clusters: { c: { open: true, mode: l4 } }\n",
	 "5:36: mode: \"l4\" is not known, expected l2 or l3"},
	{HEAD "clusters: { c: { open: true, cipher: aes } }\n",
	 "5:38: cipher: \"aes\" is not known, expected auto, aesgcm or chachapoly"},
	{HEAD "clusters: { c: { open: true, vip: 10.0.0 } }\n",
	 "5:35: vip: \"10.0.0\" is no IP address"},
	{HEAD "clusters: { c: { open: true, vip: 10.0.0.255/24 } }\n",
	 "5:35: vip: 10.0.0.255/24 cannot be the address of one host"},
	{HEAD "clusters: { c: { open: true, vip: 224.0.0.1 } }\n",
	 "5:35: vip: 224.0.0.1 cannot be the address of one host"},
	{HEAD "clusters: { c: { open: true, ports: tap } }\n",
	 "5:37: ports of a cluster is a single value, expected a list"},
	{HEAD "clusters: { c: { open: true, ports: [ tip ] } }\n",
	 "5:39: ports of a cluster: there is no port \"tip\", expected one of ports: up, tap"},
	{HEAD "clusters: { c: { open: true, ports: [ up ] } }\n",
	 "5:39: port up is the underlay's"},
	{HEAD "clusters: { c: { open: true, ports: [ tap, tap ] } }\n",
	 "5:44: port tap is in cluster c already"},
	{HEAD "clusters:\n  a: { open: true, ports: [ tap ] }\n  b: { open: true, ports: [ tap ] }\n",
	 "7:29: port tap is in cluster a already"},
	{HEAD "clusters:\n  a: { open: true, vip: 10.0.0.1 }\n  b: { open: true, vip: 10.0.0.1 }\n",
	 "7:25: address of a cluster is the same as in line 6"},
	{HEAD OPEN "limits: { clusters: 1 }\nnucleus: []\nlog: { level: 1 }\n",
	 "8:15: level: \"1\" is not known"},
	{HEAD "limits: { clusters: 1 }\nclusters: { a: { open: true }, b: { open: true } }\n",
	 "6:11: clusters has 2 entries, expected at most 1"},
	{HEAD "clusters: { c: { open: true, tcp-mss: 100 } }\n",
	 "5:39: tcp-mss: \"100\" is not known, expected auto, off or bytes from 216 to 9176"},
	{HEAD "clusters: { c: { open: true, bundles: on } }\n",
	 "5:39: bundles: \"on\" is not known, expected auto or off"},
	{HEAD "clusters: { c: { open: true, flood: { frames-per-second: 0 } } }\n",
	 "5:58: frames-per-second: 0 is out of range"},
	{HEAD "clusters: { c: { open: true, fdb: { ageing: 1 } } }\n",
	 "5:45: ageing: 1 is out of range, expected a number from 10 to 1000000"},
	{HEAD "clusters: { c: { open: true, fdb: { limit: 131073 } } }\n",
	 "5:44: limit: 131073 is more than limits: fdb, expected at most 131072"},
	/* peers */
	{HEAD "clusters: { c: { peers: { p: {} } } }\n", "5:30: peer p has no key"},
	{HEAD "clusters: { c: { peers: {} } }\n", "5:16: cluster c has no secret"},
	{HEAD "clusters: { c: { peers: { p: { key: AAAA } } } }\n",
	 "5:37: key: is no key, expected 44 characters of base64"},
	{HEAD "clusters: { c: { peers: { p: { key: "
	 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= } } } }\n",
	 "5:37: peer p: the key is all zero"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A " }\n   q: { key: " KEY_A " }\n",
	 "9:14: key of a peer is the same as in line 8"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A " }\n   p: { key: " KEY_B " }\n",
	 "9:4: name of a peer is the same as in line 8"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", vip: 10.0.0.2 }\n   q:\n"
	 "    key: " KEY_B "\n    vip: 10.0.0.2\n",
	 "11:10: VIP of a peer is the same as in line 8"},
	{HEAD "clusters:\n c:\n  vip: 10.0.0.1\n  peers:\n   p: { key: " KEY_A ", vip: 10.0.0.1 }\n",
	 "9:65: peer p: its VIP is our own"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", vip: 10.0.0.1/24 }\n",
	 "8:65: vip: 10.0.0.1/24 is a prefix, expected one address"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", endpoint: host }\n",
	 "8:70: endpoint: \"host\" is no address, expected HOST:PORT"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", dialect: openvpn }\n",
	 "8:69: dialect: \"openvpn\" is not known, expected omni or wireguard"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", keepalive: 3601 }\n",
	 "8:71: keepalive: 3601 is out of range, expected a number from 0 to 3600"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", psk-file: /nonexistent }\n",
	 "8:70: psk-file: PSK file /nonexistent: No such file"},
	{HEAD "clusters:\n c:\n  peers:\n   p: { key: " KEY_A ", path-mtu: 100 }\n",
	 "8:70: path-mtu: 100 is out of range"},
	{HEAD "clusters:\n c:\n  peers: { p: { key: " KEY_A " } }\n  deny: [ " KEY_A " ]\n",
	 "8:9: cluster c lists and denies peer p"},
	{HEAD "limits: { peers: 1 }\nclusters:\n a: { peers: { p: { key: " KEY_A " } } }\n"
	 " b: { peers: { p: { key: " KEY_A " } } }\n",
	 "8:14: peers has 1 entries, expected at most 0"},
	{HEAD "clusters: { c: &c { peers: *c } }\n", "5:"},
};
/* clang-format on */

static void bad_files_are_told_where_and_why(void **state)
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
		    (strstr(err.text, "expected") != NULL ||
		     strstr(err.text, "No such file") != NULL))
			continue;
		print_error("---\n%s\nexpected: %s\ngot:      %s\n", bad[i].text, expected,
			    config != NULL ? "a configuration" : err.text);
		omni_config_free(config);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void udp_checksum_is_read(void **state)
{
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse(PORTS "underlay: { port: up, udp-checksum: always }\n" OPEN, &err);
	assert_non_null(config);
	assert_true(config->underlay.udp_checksum);
	omni_config_free(config);
}

static void defaults_are_filled_in(void **state)
{
	struct omni_config_cluster *cluster;
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse(HEAD "clusters: { c: { open: true, ports: [ tap ] } }\n", &err);
	assert_non_null(config);
	assert_string_equal(config->identity, "/etc/omni/identity.key");
	assert_string_equal(config->socket, "/run/omni/gateway.sock");
	assert_int_equal(config->idle, OMNI_IDLE_ADAPTIVE);
	assert_int_equal(config->log_level, OMNI_LOG_INFO);
	assert_int_equal(config->underlay.listen, 51820);
	assert_int_equal(config->underlay.port, 0);
	assert_false(config->underlay.udp_checksum);
	assert_false(config->underlay.no_lane_ports);
	assert_int_equal(config->underlay.first_lane_port, 0);
	assert_int_equal(config->limits.peers, 16384);
	assert_int_equal(config->limits.fdb, 131072);
	assert_int_equal(config->limits.lanes, 64);
	assert_int_equal(config->n_ports, 2);
	assert_int_equal(config->ports[0].queues, 0);
	assert_int_equal(config->ports[0].cluster, -1);
	assert_int_equal(config->ports[0].carries, OMNI_ADDRESS_NONE);
	assert_int_equal(config->ports[1].cluster, 0);
	assert_int_equal(config->ports[1].carries, OMNI_ADDRESS_VIP);
	assert_false(config->ports[1].no_offload);
	assert_int_equal(config->n_clusters, 1);
	cluster = &config->clusters[0];
	assert_string_equal(cluster->name, "c");
	assert_int_equal(cluster->mode, OMNI_MODE_L2);
	assert_true(cluster->open);
	assert_null(cluster->secret);
	assert_true(cluster->vip_auto);
	assert_true(omni_ip_is_none(&cluster->vip.ip));
	assert_int_equal(cluster->vip.len, 8);
	assert_int_equal(cluster->cipher, OMNI_CIPHER_NONE);
	assert_int_equal(cluster->fdb_ageing_s, 300);
	assert_true(cluster->bundles);
	assert_int_equal(cluster->tcp_mss, OMNI_CONFIG_MSS_AUTO);
	assert_int_equal(cluster->fdb_limit, 131072);
	assert_int_equal(config->n_warnings, 1);
	assert_string_equal(config->warnings[0],
			    "cluster c is open: anyone who knows its name may join");
	omni_config_free(config);
}

static void static_next_hops_are_longest_first(void **state)
{
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	config = parse("ports: { up: { driver: ring, mac: 02:00:00:00:00:0a } }\n"
		       "underlay:\n  port: up\n  address: 10.0.0.1/24\n  next-hop:\n"
		       "    - { mac: \"02:00:00:00:00:01\" }\n"
		       "    - { to: 10.0.0.0/16, mac: 02:00:00:00:00:02 }\n"
		       "    - { to: 10.0.0.9, mac: 02:00:00:00:00:03 }\n" OPEN,
		       &err);
	if (config == NULL)
		fail_msg("%s", err.text);
	assert_true(config->underlay.has_address);
	assert_int_equal(config->underlay.address.len, 24);
	assert_int_equal(config->underlay.n_next_hops, 3);
	assert_int_equal(config->underlay.next_hops[0].mac[5], 3);
	assert_int_equal(config->underlay.next_hops[0].to.len, 32);
	assert_int_equal(config->underlay.next_hops[1].mac[5], 2);
	assert_true(config->underlay.next_hops[2].any);
	assert_true(config->ports[0].has_mac);
	assert_int_equal(config->ports[0].mac[5], 10);
	omni_config_free(config);
}

static void secret_files_must_be_closed_and_long(void **state)
{
	static const char good[] = "correct horse battery staple\n";
	struct omni_err err;
	char path[256], *secret, longer[2000];

	(void)state;
	write_file(path, "s", good, strlen(good), 0640);
	assert_null(omni_config_secret_read(path, &err));
	assert_non_null(strstr(err.text, "mode 0640 lets others read it, expected 0600"));
	chmod(path, 0604);
	assert_null(omni_config_secret_read(path, &err));
	chmod(path, 0400);
	secret = omni_config_secret_read(path, &err);
	assert_string_equal(secret, "correct horse battery staple");
	omni_config_secret_free(secret);
	unlink(path);

	write_file(path, "s", "fifteen chars..\n", 16, 0600);
	assert_null(omni_config_secret_read(path, &err));
	assert_non_null(strstr(err.text, "has 15 characters, expected 16 or more"));
	write_file(path, "s", "sixteen chars ..", 16, 0600);
	secret = omni_config_secret_read(path, &err);
	assert_string_equal(secret, "sixteen chars ..");
	omni_config_secret_free(secret);
	write_file(path, "s", "sixteen\0chars ...", 17, 0600);
	assert_null(omni_config_secret_read(path, &err));
	assert_non_null(strstr(err.text, "zero byte"));
	write_file(path, "s", "", 0, 0600);
	assert_null(omni_config_secret_read(path, &err));
	memset(longer, 'x', sizeof(longer));
	for (size_t len = 1022; len < 1030; len++) {
		write_file(path, "s", longer, len, 0600);
		secret = omni_config_secret_read(path, &err);
		assert_int_equal(secret != NULL, len <= 1023);
		omni_config_secret_free(secret);
	}
	unlink(path);
	assert_null(omni_config_secret_read(dir, &err));
}

static void files_that_cannot_be_read_are_named(void **state)
{
	struct omni_err err;
	char path[256], longer[400];

	(void)state;
	assert_null(omni_config_load("/nonexistent/f.yaml", &err));
	assert_string_equal(err.text, "/nonexistent/f.yaml: No such file or directory");
	assert_null(omni_config_load("/tmp", &err));
	assert_string_equal(err.text, "/tmp: is not a regular file");
	assert_null(omni_config_load("/dev/zero", &err));
	assert_string_equal(err.text, "/dev/zero: is not a regular file");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(omni_config_load(longer, &err));
	write_file(path, "f.yaml", "", 0, 0600);
	assert_int_equal(truncate(path, OMNI_CONFIG_FILE_MAX + 1), 0);
	assert_null(omni_config_load(path, &err));
	assert_non_null(strstr(err.text, "expected at most"));
	unlink(path);
}

static void key_files_lie_beside_the_file(void **state)
{
	static const char text[] = HEAD "identity: me.key\nclusters: { c: { secret-file: s } }\n";
	struct omni_config *config;
	char path[256], secret[256], identity[256];
	struct omni_err err;

	(void)state;
	write_file(secret, "s", "0123456789abcdef\n", 17, 0600);
	write_file(path, "f.yaml", text, strlen(text), 0644);
	config = omni_config_load(path, &err);
	assert_non_null(config);
	assert_string_equal(config->path, path);
	snprintf(identity, sizeof(identity), "%s/me.key", dir);
	assert_string_equal(config->identity, identity);
	assert_string_equal(config->clusters[0].secret, "0123456789abcdef");
	omni_config_free(config);
	unlink(secret);
	unlink(path);
}

static void inline_secrets_in_open_files_are_warned_about(void **state)
{
	static const char text[] = HEAD "clusters: { c: { secret: 0123456789abcdef } }\n";
	struct omni_config *config;
	struct omni_err err;
	char path[256];

	(void)state;
	for (int closed = 0; closed < 2; closed++) {
		bool warned = false;

		write_file(path, "f.yaml", text, strlen(text), closed ? 0600 : 0644);
		config = omni_config_load(path, &err);
		assert_non_null(config);
		for (unsigned int i = 0; i < config->n_warnings; i++)
			warned |= strstr(config->warnings[i], "holds a secret") != NULL;
		assert_int_equal(warned, !closed);
		omni_config_free(config);
		unlink(path);
	}
}

static void examples_are_good(void **state)
{
	static const char *const names[] = {
		"fleet.example.yaml", "examples/two-site-a.yaml", "examples/two-site-b.yaml",
		"examples/static-peers.yaml", "examples/wireguard.yaml"};
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	with_keys(true);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(names); i++) {
		char *text = read_example(names[i]);

		config = omni_config_parse(text, strlen(text), names[i], &err);
		if (config == NULL)
			fail_msg("%s", err.text);
		omni_config_free(config);
		free(text);
	}
	with_keys(false);
}

static void the_full_example_says_what_it_says(void **state)
{
	const char *secret;
	char *text = read_example("fleet.example.yaml");
	struct omni_config_peer *peer;
	struct omni_config *config;
	struct omni_err err;
	char key[OMNI_KEY_B64_LEN];

	(void)state;
	with_keys(true);
	config = omni_config_parse(text, strlen(text), "example", &err);
	assert_non_null(config);
	assert_int_equal(config->n_ports, 12);
	assert_int_equal(config->ports[11].n_via, 1);
	assert_string_equal(config->ports[3].socket, "/run/omni/memif.sock");
	assert_true(config->ports[3].server);
	assert_string_equal(config->ports[4].driver, "vhost");
	assert_string_equal(config->ports[6].device, "0000:03:00.1");
	assert_string_equal(config->ports[7].device, "net_af_packet0,iface=eth3");
	assert_int_equal(config->n_nucleus, 2);
	assert_string_equal(config->nucleus[0].host, "signaling.example.com");
	assert_false(config->nucleus[0].has_key);
	assert_true(config->nucleus[1].has_key);
	assert_int_equal(config->nucleus[1].key.b[31], 32);
	assert_int_equal(config->n_clusters, 3);
	assert_int_equal(config->clusters[2].mode, OMNI_MODE_L3);
	assert_int_equal(config->clusters[2].n_peers, 2);
	assert_int_equal(config->clusters[2].peers[0].dialect, OMNI_DIALECT_WIREGUARD);
	assert_int_equal(config->clusters[2].peers[0].n_allowed, 2);
	assert_string_equal(config->clusters[0].secret, "correct horse battery staple");
	assert_int_equal(config->clusters[0].n_peers, 1);
	peer = &config->clusters[0].peers[0];
	assert_string_equal(peer->name, "site-b");
	assert_string_equal(omni_key_text(key, &peer->key), KEY_A);
	assert_string_equal(peer->host, "site-b.example.com");
	assert_int_equal(peer->port, 51820);
	assert_true(peer->has_psk);
	assert_int_equal(peer->path_mtu, 1500);
	assert_int_equal(config->clusters[0].n_deny, 1);
	assert_true(config->clusters[1].open);
	assert_int_equal(config->clusters[1].n_ports, 3);
	secret = config->clusters[0].secret;
	assert_string_equal(secret, "correct horse battery staple");
	omni_config_wipe_secrets(config);
	assert_ptr_equal(config->clusters[0].secret, secret);
	for (unsigned int i = 0; i < strlen("correct horse battery staple"); i++)
		assert_int_equal(secret[i], 0);
	omni_config_free(config);
	free(text);
	with_keys(false);
}

/* Cut at every byte, and with every byte changed: an answer, never a crash or a leak. */
static void damaged_examples_do_no_harm(void **state)
{
	static const char junk[] = "\0\n\t:{}[]&*!|>'\"%@\xff";
	char *text = read_example("fleet.example.yaml");
	size_t len = strlen(text), good = 0;
	struct omni_config *config;
	struct omni_err err;

	(void)state;
	with_keys(true);
	for (size_t cut = 0; cut <= len; cut++) {
		char *exact = malloc(cut + 1);

		memcpy(exact, text, cut);
		config = omni_config_parse(exact, cut, "cut", &err);
		good += config != NULL;
		omni_config_free(config);
		free(exact);
	}
	for (size_t at = 0; at < len; at++) {
		char was = text[at];

		text[at] = junk[at * 7 % (sizeof(junk) - 1)];
		config = omni_config_parse(text, len, "junk", &err);
		omni_config_free(config);
		text[at] = was;
	}
	assert_in_range(good, 1, len - 1);
	with_keys(false);
	free(text);
}

static void alias_bombs_and_depth_end_soon(void **state)
{
	char *text = calloc(1, 1 << 20);
	struct omni_config *config;
	struct omni_err err;
	size_t at = 0;

	(void)state;
	at += (size_t)sprintf(text + at,
			      HEAD "log: &a0 { level: info }\nnucleus:\n- &b0 [ h:1 ]\n");
	for (int i = 1; i < 64; i++)
		at += (size_t)sprintf(text + at, "- &b%d [ *b%d, *b%d, *b%d ]\n", i, i - 1, i - 1,
				      i - 1);
	config = parse(text, &err);
	assert_null(config);
	memset(text, '[', 1 << 19);
	text[1 << 19] = '\0';
	assert_null(parse(text, &err));
	free(text);
}

static void many_peers_are_read(void **state)
{
	char *text = malloc(4 << 20), b64[OMNI_KEY_B64_LEN];
	struct omni_config *config;
	struct omni_key key = {0};
	struct omni_err err;
	size_t at;

	(void)state;
	at = (size_t)sprintf(text, HEAD "clusters:\n c:\n  peers:\n");
	for (unsigned int i = 1; i <= 16384; i++) {
		memcpy(key.b, &i, sizeof(i));
		at += (size_t)sprintf(text + at, "   p%u: { key: %s, vip: 10.1.%u.%u }\n", i,
				      omni_key_text(b64, &key), i >> 8, i & 255);
	}
	config = omni_config_parse(text, at, "f.yaml", &err);
	if (config == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(config->clusters[0].n_peers, 16384);
	omni_config_free(config);
	at += (size_t)sprintf(text + at, "   more: { key: " KEY_A " }\n");
	assert_null(omni_config_parse(text, at, "f.yaml", &err));
	assert_non_null(strstr(err.text, "peers has 16385 entries, expected at most 16384"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_files_are_told_where_and_why),
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(udp_checksum_is_read),
		cmocka_unit_test(static_next_hops_are_longest_first),
		cmocka_unit_test(secret_files_must_be_closed_and_long),
		cmocka_unit_test(files_that_cannot_be_read_are_named),
		cmocka_unit_test(key_files_lie_beside_the_file),
		cmocka_unit_test(inline_secrets_in_open_files_are_warned_about),
		cmocka_unit_test(examples_are_good),
		cmocka_unit_test(the_full_example_says_what_it_says),
		cmocka_unit_test(damaged_examples_do_no_harm),
		cmocka_unit_test(alias_bombs_and_depth_end_soon),
		cmocka_unit_test(many_peers_are_read),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
