/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Files of wg-quick's, as they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_secret.h>
#include <omni_wg_quick.h>

#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_A "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
#define KEY_B "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpbXF1eX2A="
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define IF "[Interface]\nPrivateKey = " SECRET "\n"
#define PEER_A "[Peer]\nPublicKey = " KEY_A "\n"
#define PEER_B "[Peer]\nPublicKey = " KEY_B "\n"

static struct omni_wg_quick *parse(const char *text)
{
	struct omni_err err;
	struct omni_wg_quick *wg =
		omni_wg_quick_parse(text, strlen(text), "/etc/wireguard/wg0.conf", &err);

	if (wg == NULL)
		fail_msg("%s", err.text);
	return wg;
}

static void assert_prefix(const struct omni_prefix *prefix, const char *expected)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	assert_string_equal(omni_prefix_text(text, prefix), expected);
}

static const char full[] = "\xef\xbb\xbf# made by somebody\r\n"
			   "[interface]\r\n"
			   "  Address = 10.7.0.2/24, fd00:7::2/64  # ours\r\n"
			   "Address=10.9.0.1\r\n"
			   "PRIVATEKEY = " SECRET "\r\n"
			   "listenport=51999\r\n"
			   "MTU = 1380\r\n"
			   "Table = 0x4d2\r\n"
			   "DNS = 10.7.0.1, example.com\r\n"
			   "FwMark = 0xca6c\r\n"
			   "SaveConfig = true\r\n"
			   "PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo a=b\r\n"
			   "PostUp = ip rule add\r\n"
			   "PreDown = ip rule del\r\n"
			   "\r\n"
			   "# office\r\n"
			   "[Peer]\r\n"
			   "PublicKey = " KEY_A "\r\n"
			   "PresharedKey = " SECRET "\r\n"
			   "Endpoint = [2001:db8::1]:51820\r\n"
			   "AllowedIPs = 10.7.0.1, 10.20.1.2/16\r\n"
			   "AllowedIPs = ::/0,,\r\n"
			   "PersistentKeepalive = 25\r\n"
			   "[PEER]\r\n"
			   "#phone\r\n"
			   "PublicKey=" KEY_B "\r\n"
			   "PresharedKey = " ZERO "\r\n"
			   "Endpoint = vpn.example.com:443\r\n"
			   "AllowedIPs =\r\n"
			   "PersistentKeepalive = off";

static void a_full_file_is_read(void **state)
{
	struct omni_wg_quick *wg = parse(full);
	const struct omni_config_peer *p = wg->peers;
	char text[OMNI_KEY_B64_LEN];

	(void)state;
	assert_string_equal(wg->name, "wg0");
	assert_string_equal(omni_key_text(text, &wg->key), SECRET);
	assert_int_equal(wg->listen, 51999);
	assert_int_equal(wg->mtu, 1380);
	assert_int_equal(wg->table, 1234);
	assert_int_equal(wg->fwmark, 0xca6c);
	assert_int_equal(wg->n_addresses, 3);
	assert_prefix(&wg->addresses[0], "10.7.0.2/24");
	assert_prefix(&wg->addresses[1], "fd00:7::2/64");
	assert_prefix(&wg->addresses[2], "10.9.0.1/32");
	assert_int_equal(wg->n_peers, 2);
	assert_string_equal(p[0].name, "office");
	assert_string_equal(omni_key_text(text, &p[0].key), KEY_A);
	assert_true(p[0].has_psk);
	assert_string_equal(p[0].host, "2001:db8::1");
	assert_int_equal(p[0].port, 51820);
	assert_int_equal(p[0].keepalive_s, 25);
	assert_int_equal(p[0].n_allowed, 3);
	assert_prefix(&p[0].allowed[0], "10.7.0.1/32");
	assert_prefix(&p[0].allowed[1], "10.20.0.0/16");
	assert_prefix(&p[0].allowed[2], "::/0");
	assert_string_equal(p[1].name, "phone");
	assert_false(p[1].has_psk);
	assert_string_equal(p[1].host, "vpn.example.com");
	assert_int_equal(p[1].keepalive_s, 0);
	assert_int_equal(p[1].n_allowed, 0);
	omni_wg_quick_free(wg);
}

static void what_is_not_applied_is_told(void **state)
{
	static const char *const expected[] = {
		"wg0.conf:9: DNS is not applied",
		"wg0.conf:11: SaveConfig is not applied",
		"wg0.conf:12: PostUp is not applied",
		"wg0.conf:14: PreDown is not applied",
	};
	struct omni_wg_quick *wg = parse(full);

	(void)state;
	assert_int_equal(wg->n_notes, OMNI_ARRAY_SIZE(expected));
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(expected); i++) {
		if (strstr(wg->notes[i], expected[i]) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", wg->notes[i], expected[i]);
	}
	omni_wg_quick_free(wg);
	wg = parse(IF "SaveConfig = false\nFwMark = off\n" PEER_A "AllowedIPs = ::/0\n");
	assert_int_equal(wg->n_notes, 0);
	assert_int_equal(wg->table, OMNI_CONFIG_TABLE_DEFAULT);
	omni_wg_quick_free(wg);
	wg = parse(IF "FwMark = 0xfe\n" PEER_A "AllowedIPs = ::/0\n");
	assert_int_equal(wg->n_notes, 1);
	assert_non_null(strstr(wg->notes[0], "AllowedIPs ::/0: the default route is not changed"));
	assert_int_equal(wg->table, OMNI_CONFIG_TABLE_MAIN);
	omni_wg_quick_free(wg);
}

static void a_small_file_has_defaults(void **state)
{
	struct omni_wg_quick *wg = parse(IF);

	(void)state;
	assert_int_equal(wg->listen, 0);
	assert_int_equal(wg->mtu, 0);
	assert_int_equal(wg->table, OMNI_CONFIG_TABLE_MAIN);
	assert_int_equal(wg->n_addresses, 0);
	assert_int_equal(wg->n_peers, 0);
	omni_wg_quick_free(wg);
	wg = parse(IF "Table = off\n" PEER_A "AllowedIPs = 0.0.0.0/0, 10.0.0.0/8\n" PEER_B
		      "AllowedIPs = 10.1.2.3/8, 10.0.0.1/32, 10.0.0.1\n");
	assert_int_equal(wg->table, OMNI_CONFIG_TABLE_NONE);
	assert_string_equal(wg->peers[0].name, "peer1");
	assert_string_equal(wg->peers[1].name, "peer2");
	/* The later claim wins, as with wg. */
	assert_int_equal(wg->peers[0].n_allowed, 1);
	assert_prefix(&wg->peers[0].allowed[0], "0.0.0.0/0");
	assert_int_equal(wg->peers[1].n_allowed, 2);
	assert_prefix(&wg->peers[1].allowed[0], "10.0.0.0/8");
	omni_wg_quick_free(wg);
}

/* As the gateway does at a start, and our YAML would not take it. */
static void our_addresses_count_once(void **state)
{
	struct omni_wg_quick *wg = parse(
		IF
		"Address = 10.0.0.1/24, fd00::1\nAddress = 10.0.0.1/32\nAddress = 10.0.0.1/24\n" PEER_A
		"AllowedIPs = 10.0.0.1, 10.0.0.1/24, fd00::1, fd00::2\n");

	(void)state;
	assert_int_equal(wg->n_addresses, 2);
	assert_prefix(&wg->addresses[0], "10.0.0.1/24");
	assert_prefix(&wg->addresses[1], "fd00::1/128");
	assert_int_equal(wg->peers[0].n_allowed, 2);
	assert_prefix(&wg->peers[0].allowed[0], "10.0.0.0/24");
	assert_prefix(&wg->peers[0].allowed[1], "fd00::2/128");
	assert_int_equal(wg->n_notes, 2);
	assert_non_null(strstr(wg->notes[0], "AllowedIPs 10.0.0.1/32 is left out"));
	omni_wg_quick_free(wg);
}

static void a_line_may_be_long(void **state)
{
	enum {
		MANY = 12000
	};
	char *text = malloc(sizeof(IF PEER_A "AllowedIPs = ") + MANY * sizeof("10.255.255.0/24, "));
	struct omni_wg_quick *wg;
	size_t at;

	(void)state;
	assert_non_null(text);
	at = (size_t)sprintf(text, "%s", IF PEER_A "AllowedIPs = ");
	for (unsigned int i = 0; i < MANY; i++)
		at += (size_t)sprintf(text + at, "10.%u.%u.0/24, ", i >> 8, i & 255);
	wg = parse(text);
	assert_int_equal(wg->peers[0].n_allowed, MANY);
	omni_wg_quick_free(wg);
	free(text);
}

static void names_come_from_comments(void **state)
{
	struct omni_wg_quick *wg = parse(IF "# twin\n" PEER_A "# twin\n" PEER_B "#off\n");

	(void)state;
	assert_string_equal(wg->peers[0].name, "twin");
	assert_string_equal(wg->peers[1].name, "peer2");
	omni_wg_quick_free(wg);
	wg = parse(IF "# peer2\n" PEER_A "[Peer]\n# no name at all\n#PresharedKey = x\n"
		      "PublicKey=" KEY_B "\n");
	assert_string_equal(wg->peers[0].name, "peer1");
	assert_string_equal(wg->peers[1].name, "peer2");
	omni_wg_quick_free(wg);
}

/* wg takes all blanks out of a line, wg-quick splits addresses at them. */
static void blanks_are_where_people_put_them(void **state)
{
	struct omni_wg_quick *wg = parse(
		" [ Interface ]\t\r\nPrivate Key = AAECAwQFBgcICQoLDA0O DxAREhMUFRYXGBkaGxwdHh8=\n"
		"Address = 10.0.0.1/24 10.0.0.2/24,fd00::1/64 ,\nMTU =\nTable = \nDNS =\n"
		"[ peer ]\nPublicKey = " KEY_A "\nAllowedIPs = 10.0.0.0 / 8 , fd00:: / 8\n"
		"Endpoint = 192.0.2.1 : 51820\n");
	char text[OMNI_KEY_B64_LEN];

	(void)state;
	assert_string_equal(omni_key_text(text, &wg->key), SECRET);
	assert_int_equal(wg->n_addresses, 3);
	assert_prefix(&wg->addresses[1], "10.0.0.2/24");
	assert_prefix(&wg->addresses[2], "fd00::1/64");
	assert_int_equal(wg->mtu, 0);
	assert_int_equal(wg->table, OMNI_CONFIG_TABLE_MAIN);
	assert_int_equal(wg->n_notes, 0);
	assert_int_equal(wg->peers[0].n_allowed, 2);
	assert_prefix(&wg->peers[0].allowed[0], "10.0.0.0/8");
	assert_prefix(&wg->peers[0].allowed[1], "fd00::/8");
	assert_string_equal(wg->peers[0].host, "192.0.2.1");
	assert_int_equal(wg->peers[0].port, 51820);
	omni_wg_quick_free(wg);
}

static void an_address_needs_no_brackets(void **state)
{
	struct omni_wg_quick *wg = parse(IF PEER_A "Endpoint = 2001:db8::1:51820\n");

	(void)state;
	assert_string_equal(wg->peers[0].host, "2001:db8::1");
	assert_int_equal(wg->peers[0].port, 51820);
	omni_wg_quick_free(wg);
}

/* Each section changes what those before it said, and always the prefixes. */
static void sections_of_one_peer_are_joined(void **state)
{
	struct omni_wg_quick *wg =
		parse(IF "# office\n" PEER_A "PresharedKey = " SECRET "\nPersistentKeepalive = 25\n"
			 "Endpoint = 192.0.2.1:1\nAllowedIPs = 10.0.0.1, 10.0.0.2\n" PEER_B
			 "AllowedIPs = 10.0.0.2, 10.0.0.3\n" PEER_A "AllowedIPs = 10.0.0.3\n" PEER_A
			 "Endpoint = 192.0.2.2:2\nAllowedIPs = 10.0.0.3\n");
	const struct omni_config_peer *p = wg->peers;
	char text[OMNI_KEY_B64_LEN];

	(void)state;
	assert_int_equal(wg->n_peers, 2);
	assert_string_equal(omni_key_text(text, &p[0].key), KEY_B);
	assert_int_equal(p[0].n_allowed, 1);
	assert_prefix(&p[0].allowed[0], "10.0.0.2/32");
	assert_string_equal(omni_key_text(text, &p[1].key), KEY_A);
	assert_string_equal(p[1].name, "office");
	assert_string_equal(p[1].host, "192.0.2.2");
	assert_int_equal(p[1].port, 2);
	assert_int_equal(p[1].keepalive_s, 25);
	assert_true(p[1].has_psk);
	assert_string_equal(omni_key_text(text, &p[1].psk), SECRET);
	assert_int_equal(p[1].n_allowed, 1);
	assert_prefix(&p[1].allowed[0], "10.0.0.3/32");
	assert_non_null(strstr(wg->notes[0], "several [Peer] sections have the PublicKey " KEY_A));
	omni_wg_quick_free(wg);
	/* None is a value too. */
	wg = parse(IF PEER_A "PresharedKey = " SECRET "\nPersistentKeepalive = 25\n" PEER_A
			     "PresharedKey = " ZERO "\nPersistentKeepalive = off\n" PEER_A);
	assert_false(wg->peers[0].has_psk);
	assert_int_equal(wg->peers[0].keepalive_s, 0);
	omni_wg_quick_free(wg);
}

struct bad {
	const char *text, *message;
};

static const struct bad bad[] = {
	{"", "wg0.conf:0: [Interface] has no PrivateKey, expected one"},
	{"[Interface]\nAddress = 10.0.0.1\n", "wg0.conf:2: [Interface] has no PrivateKey"},
	{"[Interface]\nPrivateKey = " ZERO "\n", "wg0.conf:2: [Interface] has no PrivateKey"},
	{"[Interface]\nPrivateKey = short\n",
	 "wg0.conf:2: PrivateKey: is no key, expected 44 characters of base64, as omnictl genkey"},
	{"PrivateKey = " SECRET "\n", "wg0.conf:1: \"PrivateKey\" stands in no section"},
	{IF "Frobnicate = 1\n",
	 "wg0.conf:3: [Interface] has no key \"Frobnicate\", expected one of PrivateKey, "},
	{IF "AllowedIPs = 10.0.0.0/8\n", "wg0.conf:3: [Interface] has no key \"AllowedIPs\""},
	{IF PEER_A "Address = 10.0.0.1\n",
	 "wg0.conf:5: [Peer] has no key \"Address\", expected one of PublicKey, PresharedKey, "},
	/* What may be a key is not shown. */
	{IF "ListenPort 51820=\n",
	 "wg0.conf:3: [Interface] has no key \"ListenPort51820\", expected"},
	{IF "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
	 "wg0.conf:3: [Interface] has no key \"...\", expected"},
	{"PrivateKey yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
	 "wg0.conf:1: \"PrivateKey\" stands in no section"},
	{IF "nothing\n", "wg0.conf:3: \"nothing\" is no setting, expected KEY = VALUE"},
	{IF "[Peers]\n", "wg0.conf:3: \"[Peers]\" is not known, expected [Interface] or [Peer]"},
	{"[Interface]\rPrivateKey=" SECRET "\r", "wg0.conf:1: \"[Interface]\" is not known"},
	{"[Interface PrivateKey = " SECRET "]\n", "wg0.conf:1: \"...\" is not known"},
	{IF "Address = 10.0.0.256/8\n", "wg0.conf:3: Address: \"10.0.0.256/8\" is no IP address"},
	{IF "Address = 224.0.0.1\n", "wg0.conf:3: Address: 224.0.0.1 cannot be the address"},
	{IF "MTU = 100\n", "wg0.conf:3: MTU: 100 is out of range"},
	{IF "ListenPort = 70000\n", "wg0.conf:3: ListenPort: 70000 is out of range"},
	{IF "FwMark = mine\n", "wg0.conf:3: FwMark: \"mine\" is no mark, expected off or a number"},
	{IF "FwMark = 0x1ffffffff\n", "wg0.conf:3: FwMark: \"0x1ffffffff\" is no mark"},
	{IF "Table = mine\n", "wg0.conf:3: Table: \"mine\" is not known, expected auto, off or"},
	{IF "[Peer]\n", "wg0.conf:3: the [Peer] before this has no PublicKey"},
	{IF "[Peer]\n" PEER_B, "wg0.conf:4: the [Peer] before this has no PublicKey"},
	{IF "[Peer]\nPublicKey = " ZERO "\n", "wg0.conf:4: PublicKey: is all zero"},
	{IF PEER_A "AllowedIPs = 10.0.0.1 10.0.0.2\n",
	 "wg0.conf:5: AllowedIPs: \"10.0.0.110.0.0.2\" is no IP address"},
	{IF PEER_A "Endpoint = 192.0.2.1\n", "wg0.conf:5: Endpoint: \"192.0.2.1\" is no address"},
	{IF PEER_A "AllowedIPs = 10.0.0.0/33\n", "wg0.conf:5: AllowedIPs: \"10.0.0.0/33\" is no"},
	{IF PEER_A "PersistentKeepalive = 65536\n",
	 "wg0.conf:5: PersistentKeepalive: 65536 is out"},
	{IF PEER_A "PresharedKey = \x1b[2J\n",
	 "wg0.conf:5: PresharedKey: is no key, expected 44 characters of base64, as omnictl "
	 "genpsk"},
};

static void bad_files_are_told_where_and_why(void **state)
{
	struct omni_err err;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		assert_null(
			omni_wg_quick_parse(bad[i].text, strlen(bad[i].text), "a/wg0.conf", &err));
		if (strncmp(err.text, bad[i].message, strlen(bad[i].message)) != 0)
			fail_msg("---\n%s\nexpected: %s\ngot:      %s", bad[i].text, bad[i].message,
				 err.text);
		assert_null(strchr(err.text, 0x1b));
		assert_null(strstr(err.text, "AAEC"));
	}
	assert_null(omni_wg_quick_parse(IF, strlen(IF), "a/no interface.conf", &err));
	assert_non_null(strstr(err.text, "the interface gets the file's name"));
	assert_null(omni_wg_quick_parse(IF, strlen(IF), "sixteencharacter.conf", &err));
	assert_null(omni_wg_quick_parse(IF "\0\n", strlen(IF) + 2, "wg0.conf", &err));
	assert_non_null(strstr(err.text, "zero byte"));
	assert_null(omni_wg_quick_load("/nonexistent/wg0.conf", &err));
}

static void a_gateway_follows_from_it(void **state)
{
	struct omni_wg_quick *wg = parse(full);
	struct omni_config *config;
	struct omni_config_cluster *cluster;
	struct omni_err err;

	(void)state;
	config = omni_config_from_wg_quick(wg, "/etc/wireguard/wg0.conf", &err);
	omni_wg_quick_free(wg);
	assert_non_null(config);
	assert_true(config->has_key);
	assert_int_equal(omni_config_check_wireguard(config, &err), 0);
	assert_int_equal(config->underlay.listen, 51999);
	assert_int_equal(config->underlay.fwmark, 0xca6c);
	assert_int_equal(config->n_ports, 2);
	assert_string_equal(config->ports[config->underlay.port].driver, "udp");
	assert_string_equal(config->ports[1].name, "wg0");
	assert_string_equal(config->ports[1].driver, "tun");
	assert_string_equal(config->ports[1].interface, "wg0");
	assert_int_equal(config->ports[1].mtu, 1380);
	assert_int_equal(config->ports[1].carries, OMNI_ADDRESS_VIP);
	assert_int_equal(config->ports[1].routes_table, 1234);
	assert_int_equal(config->n_clusters, 1);
	cluster = &config->clusters[0];
	assert_string_equal(cluster->name, "wg0");
	assert_int_equal(cluster->mode, OMNI_MODE_L3);
	assert_int_equal(cluster->mtu, 1380);
	assert_int_equal(cluster->relay, OMNI_RELAY_HOST);
	assert_false(cluster->vip_auto);
	assert_prefix(&cluster->vip, "10.7.0.2/24");
	assert_int_equal(cluster->n_addresses, 2);
	assert_prefix(&cluster->addresses[1], "10.9.0.1/32");
	assert_int_equal(cluster->n_peers, 2);
	assert_int_equal(cluster->peers[1].dialect, OMNI_DIALECT_WIREGUARD);
	assert_int_equal(config->n_warnings, 4);
	omni_config_free(config);
	wg = parse(IF);
	config = omni_config_from_wg_quick(wg, "/etc/wireguard/wg0.conf", &err);
	omni_wg_quick_free(wg);
	assert_int_equal(config->ports[1].carries, OMNI_ADDRESS_NONE);
	assert_int_equal(config->ports[1].mtu, 1420);
	assert_int_equal(config->underlay.listen, 0);
	omni_config_free(config);
}

/* One list of peers for all boxes of a network. */
static void a_peer_with_our_own_key_is_left_out(void **state)
{
	struct omni_wg_quick *wg = parse(full);
	struct omni_config *config;
	struct omni_err err;
	struct omni_key own;

	(void)state;
	own = wg->peers[0].key;
	config = omni_config_from_wg_quick(wg, "/etc/wireguard/wg0.conf", &err);
	omni_wg_quick_free(wg);
	assert_non_null(config);
	omni_config_drop_own(config, &own);
	assert_int_equal(config->clusters[0].n_peers, 1);
	assert_string_equal(config->clusters[0].peers[0].name, "phone");
	assert_string_equal(config->warnings[config->n_warnings - 1],
			    "peer office is left out: its key is this box's own");
	omni_config_drop_own(config, &own);
	assert_int_equal(config->clusters[0].n_peers, 1);
	omni_config_free(config);
}

/* Cut at every byte, and with every byte changed: an answer, never a crash or a leak. */
static void damaged_files_do_no_harm(void **state)
{
	static const char junk[] = "\0\n[]=#, \xff";
	char *text = malloc(sizeof(full));
	struct omni_wg_quick *wg;
	struct omni_err err;

	(void)state;
	for (size_t cut = 0; cut < sizeof(full); cut++) {
		memcpy(text, full, cut);
		wg = omni_wg_quick_parse(text, cut, "wg0.conf", &err);
		omni_wg_quick_free(wg);
	}
	memcpy(text, full, sizeof(full));
	for (size_t at = 0; at < sizeof(full) - 1; at++) {
		text[at] = junk[at * 7 % (sizeof(junk) - 1)];
		wg = omni_wg_quick_parse(text, sizeof(full) - 1, "wg0.conf", &err);
		omni_wg_quick_free(wg);
		text[at] = full[at];
	}
	free(text);
}

static void open_files_are_warned_about(void **state)
{
	char folder[] = "/tmp/omni-wg-XXXXXX", path[64];
	struct omni_wg_quick *wg;
	struct omni_err err;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/wg1.conf", folder);
	file = fopen(path, "w");
	fputs(IF, file);
	fclose(file);
	for (int open = 0; open < 2; open++) {
		chmod(path, open ? 0644 : 0600);
		wg = omni_wg_quick_load(path, &err);
		assert_non_null(wg);
		assert_string_equal(wg->name, "wg1");
		assert_int_equal(wg->n_notes, open);
		omni_wg_quick_free(wg);
	}
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_file_is_read),
		cmocka_unit_test(what_is_not_applied_is_told),
		cmocka_unit_test(a_small_file_has_defaults),
		cmocka_unit_test(our_addresses_count_once),
		cmocka_unit_test(a_line_may_be_long),
		cmocka_unit_test(names_come_from_comments),
		cmocka_unit_test(blanks_are_where_people_put_them),
		cmocka_unit_test(an_address_needs_no_brackets),
		cmocka_unit_test(sections_of_one_peer_are_joined),
		cmocka_unit_test(bad_files_are_told_where_and_why),
		cmocka_unit_test(a_gateway_follows_from_it),
		cmocka_unit_test(a_peer_with_our_own_key_is_left_out),
		cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(open_files_are_warned_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
