/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wg export: a new peer's configuration file, with a key pair and a pre-shared key made for it.
 * Its private key is printed and forgotten.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <omni_addr.h>
#include <omni_config.h>
#include <omni_identity.h>
#include <omni_secret.h>

#include "qr.h"
#include "wg.h"

#define FILE_LEN 4096
#define LIST_LEN 1024
#define PATH_LEN 512

struct peer {
	const struct wg_export *ask;
	json_t *status, *config, *peers;
	const char *cluster;
	char addresses[LIST_LEN]; /* of the peer, with /32 and /128 */
	char routes[LIST_LEN];	  /* these, and what lies behind it: what we send to it */
	char allowed[LIST_LEN];	  /* what it sends to us */
	char endpoint[OMNI_HOST_LEN + 10];
	struct omni_identity id;
	struct omni_key psk;
	char file[FILE_LEN];
	struct omni_err *err;
};

/* Append to a text of room bytes; false when it is full. */
static bool append(char *text, size_t room, const char *fmt, ...) OMNI_PRINTF(3, 4);
static bool append(char *text, size_t room, const char *fmt, ...)
{
	size_t at = strlen(text);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text + at, room - at, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < room - at;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* ---- The cluster ---- */

static bool is_l3(const json_t *cluster)
{
	const char *mode = text_of(cluster, "mode");

	return mode != NULL && strcmp(mode, "l3") == 0;
}

/* The one that was named, or the only one. */
static int find_cluster(struct peer *p)
{
	json_t *clusters = json_object_get(p->config, "clusters"), *cluster;
	const char *name;
	unsigned int n = 0;

	json_object_foreach(clusters, name, cluster)
	{
		if (!is_l3(cluster) ||
		    (p->ask->cluster != NULL && strcmp(name, p->ask->cluster) != 0))
			continue;
		p->cluster = name;
		n++;
	}
	if (n == 1)
		return 0;
	return omni_fail(p->err, -EINVAL,
			 n == 0 ? "the gateway has no such L3 cluster, expected --cluster NAME"
				: "the gateway has several L3 clusters, expected --cluster NAME");
}

/* The gateway's addresses in the cluster, with their subnets' lengths; NULL behind the last. */
static const char *own_address(const struct peer *p, size_t i)
{
	const json_t *list = json_object_get(p->status, "clusters"), *item;
	size_t at;

	json_array_foreach(list, at, item)
	{
		const char *name = text_of(item, "name");

		if (i == 0 && name != NULL && strcmp(name, p->cluster) == 0)
			return text_of(item, "vip");
	}
	list = json_object_get(json_object_get(json_object_get(p->config, "clusters"), p->cluster),
			       "addresses");
	return i > 0 ? json_string_value(json_array_get(list, i - 1)) : NULL;
}

static void mask(struct omni_prefix *prefix)
{
	unsigned int from = prefix->len + (omni_ip_is_v4(&prefix->ip) ? 96 : 0);

	for (unsigned int bit = from; bit < 128; bit++)
		prefix->ip.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* Append the subnet of an address of ours. */
static void add_subnet(struct peer *p, const char *text)
{
	char out[OMNI_PREFIX_TEXT_LEN];
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, 32, 128) != 0)
		return;
	mask(&prefix);
	append(p->allowed, sizeof(p->allowed), "%s%s", p->allowed[0] != '\0' ? ", " : "",
	       omni_prefix_text(out, &prefix));
}

static void default_allowed(struct peer *p)
{
	const char *text;

	for (size_t i = 0; (text = own_address(p, i)) != NULL; i++)
		add_subnet(p, text);
}

/* ---- Addresses ---- */

/* Is it an address of the gateway's in the cluster? */
static bool is_ours(const struct peer *p, const struct omni_prefix *prefix)
{
	struct omni_prefix own;
	const char *text;

	for (size_t i = 0; (text = own_address(p, i)) != NULL; i++) {
		if (omni_prefix_parse(&own, text, 32, 128) == 0 &&
		    prefix->len == (omni_ip_is_v4(&own.ip) ? 32 : 128) &&
		    omni_ip_equal(&own.ip, &prefix->ip))
			return true;
	}
	return false;
}

/* The name of the peer that has the prefix; NULL. */
static const char *owner(const struct peer *p, const char *prefix)
{
	const json_t *peer, *item;
	size_t i, j;

	json_array_foreach(p->peers, i, peer)
	{
		if (strcmp(text_of(peer, "cluster"), p->cluster) != 0)
			continue;
		json_array_foreach(json_object_get(peer, "allowed_ips"), j, item)
		{
			if (strcmp(json_string_value(item), prefix) == 0)
				return text_of(peer, "name");
		}
	}
	return NULL;
}

/* 0, or who has it already. */
static int check_free(struct peer *p, const char *option, const struct omni_prefix *prefix)
{
	char out[OMNI_PREFIX_TEXT_LEN];
	const char *who = owner(p, omni_prefix_text(out, prefix));

	if (is_ours(p, prefix))
		return omni_fail(p->err, -EEXIST, "%s: the gateway has %s, expected another",
				 option, out);
	if (who != NULL)
		return omni_fail(p->err, -EEXIST, "%s: peer %s has %s, expected another", option,
				 who, out);
	return 0;
}

static void add_route(struct peer *p, const char *prefix)
{
	append(p->routes, sizeof(p->routes), "%s%s", p->routes[0] != '\0' ? ", " : "", prefix);
}

static int add_address(struct peer *p, const char *text)
{
	char out[OMNI_PREFIX_TEXT_LEN];
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, 32, 128) != 0 || !omni_ip_is_unicast(&prefix.ip))
		return omni_fail(p->err, -EINVAL,
				 "--address: \"%.64s\" is no host's address, expected one such as "
				 "10.7.0.5",
				 text);
	prefix.len = omni_ip_is_v4(&prefix.ip) ? 32 : 128;
	omni_prefix_text(out, &prefix);
	if (check_free(p, "--address", &prefix) != 0)
		return -EEXIST;
	append(p->addresses, sizeof(p->addresses), "%s%s", p->addresses[0] != '\0' ? ", " : "",
	       out);
	add_route(p, out);
	return 0;
}

/* Call take for each item between commas; room for the list is in copy. */
static int each(struct peer *p, const char *list, int (*take)(struct peer *, const char *))
{
	char copy[LIST_LEN], *save = NULL;
	int rc = 0;

	if (snprintf(copy, sizeof(copy), "%s", list) >= (int)sizeof(copy))
		return omni_fail(p->err, -EINVAL, "a list is longer than %d bytes", LIST_LEN - 1);
	for (char *item = strtok_r(copy, ", ", &save); item != NULL && rc == 0;
	     item = strtok_r(NULL, ", ", &save))
		rc = take(p, item);
	return rc;
}

static int add_behind(struct peer *p, const char *text)
{
	char out[OMNI_PREFIX_TEXT_LEN];
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, 32, 128) != 0)
		return omni_fail(p->err, -EINVAL,
				 "--behind: \"%.64s\" is no subnet, expected ADDRESS/LENGTH", text);
	mask(&prefix);
	if (check_free(p, "--behind", &prefix) != 0)
		return -EEXIST;
	add_route(p, omni_prefix_text(out, &prefix));
	return 0;
}

static int add_allowed(struct peer *p, const char *text)
{
	char out[OMNI_PREFIX_TEXT_LEN];
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, 32, 128) != 0)
		return omni_fail(p->err, -EINVAL,
				 "--allowed-ips: \"%.64s\" is no IP address, expected "
				 "ADDRESS/LENGTH",
				 text);
	append(p->allowed, sizeof(p->allowed), "%s%s", p->allowed[0] != '\0' ? ", " : "",
	       omni_prefix_text(out, &prefix));
	return 0;
}

static int take_endpoint(struct peer *p)
{
	uint16_t port, listen = (uint16_t)json_integer_value(json_object_get(p->status, "listen"));
	char host[OMNI_HOST_LEN];

	if (p->ask->endpoint == NULL)
		return 0;
	if (omni_host_port_split(host, &port, p->ask->endpoint, listen) != 0 ||
	    strpbrk(host, " \t\r\n#") != NULL)
		return omni_fail(p->err, -EINVAL,
				 "--endpoint: \"%.64s\" is no address, expected HOST[:PORT]",
				 p->ask->endpoint);
	snprintf(p->endpoint, sizeof(p->endpoint), strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u",
		 host, port);
	return 0;
}

/* Letters that cannot end a line or begin a comment in the file. */
static int check_words(struct peer *p)
{
	const char *dns = p->ask->dns != NULL ? p->ask->dns : "", *name = p->ask->name;

	for (const char *c = dns; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && strchr(".:-, ", *c) == NULL)
			return omni_fail(p->err, -EINVAL,
					 "--dns: expected addresses and domains with commas");
	}
	for (const char *c = name; *c != '\0'; c++) {
		if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
			return omni_fail(p->err, -EINVAL,
					 "a peer's name consists of letters, digits and . _ -");
	}
	if (*name == '\0' || strlen(name) >= OMNI_CONFIG_NAME_LEN)
		return omni_fail(p->err, -EINVAL, "a peer's name has 1 to %d characters",
				 OMNI_CONFIG_NAME_LEN - 1);
	return 0;
}

/* A second one of that name would take the first one's lines and its pre-shared key's file. */
static int check_name(struct peer *p)
{
	const json_t *peer;
	size_t i;

	json_array_foreach(p->peers, i, peer)
	{
		if (strcmp(text_of(peer, "cluster"), p->cluster) == 0 &&
		    strcmp(text_of(peer, "name"), p->ask->name) == 0)
			return omni_fail(p->err, -EEXIST,
					 "there is a peer %s in cluster %s already, expected "
					 "another name",
					 p->ask->name, p->cluster);
	}
	return 0;
}

static int prepare(struct peer *p)
{
	int rc = check_words(p);

	if (rc == 0)
		rc = find_cluster(p);
	if (rc == 0)
		rc = check_name(p);
	if (rc == 0)
		rc = each(p, p->ask->address, add_address);
	if (rc == 0 && p->addresses[0] == '\0')
		rc = omni_fail(p->err, -EINVAL, "--address: is empty, expected the peer's address");
	if (rc == 0 && p->ask->behind != NULL)
		rc = each(p, p->ask->behind, add_behind);
	if (rc == 0 && p->ask->allowed != NULL)
		rc = each(p, p->ask->allowed, add_allowed);
	else if (rc == 0)
		default_allowed(p);
	return rc == 0 ? take_endpoint(p) : rc;
}

/* ---- What is made ---- */

static void make_keys(struct peer *p)
{
	struct omni_key random;

	do
		omni_random(&random, sizeof(random));
	while (omni_identity_from_wireguard(&p->id, &random) != 0);
	omni_wipe(&random, sizeof(random));
	omni_random(&p->psk, sizeof(p->psk));
}

static int make_file(struct peer *p)
{
	char key[OMNI_KEY_B64_LEN];
	size_t room = sizeof(p->file);
	bool ok;

	ok = append(p->file, room, "[Interface]\nPrivateKey = %s\nAddress = %s\n",
		    omni_key_text(key, &p->id.dh.secret), p->addresses);
	if (ok && p->ask->dns != NULL)
		ok = append(p->file, room, "DNS = %s\n", p->ask->dns);
	if (ok && p->ask->mtu != 0)
		ok = append(p->file, room, "MTU = %u\n", p->ask->mtu);
	ok = ok &&
	     append(p->file, room,
		    "\n[Peer]\nPublicKey = %s\nPresharedKey = ", text_of(p->status, "identity"));
	ok = ok && append(p->file, room, "%s\nAllowedIPs = %s\n", omni_key_text(key, &p->psk),
			  p->allowed);
	if (ok && p->endpoint[0] != '\0')
		ok = append(p->file, room, "Endpoint = %s\n", p->endpoint);
	if (ok && p->ask->keepalive != 0)
		ok = append(p->file, room, "PersistentKeepalive = %u\n", p->ask->keepalive);
	omni_wipe(key, sizeof(key));
	return ok ? 0
		  : omni_fail(p->err, -EFBIG, "the file would be longer than %d bytes", FILE_LEN);
}

static enum exit_status add_live(struct peer *p, const char *socket)
{
	char key[OMNI_KEY_B64_LEN], psk[OMNI_KEY_B64_LEN], copy[LIST_LEN], *save = NULL;
	json_t *list = json_array(), *params, *result = NULL;
	enum exit_status status;

	memcpy(copy, p->routes, sizeof(copy));
	for (char *item = strtok_r(copy, ", ", &save); item != NULL;
	     item = strtok_r(NULL, ", ", &save))
		json_array_append_new(list, json_string(item));
	params =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "cluster", p->cluster, "name",
			  p->ask->name, "key", omni_key_text(key, &p->id.dh.public), "psk",
			  omni_key_text(psk, &p->psk), "dialect", "wireguard", "allowed_ips", list);
	status = client_call(socket, "peer.add", params, &result, p->err);
	omni_wipe(psk, sizeof(psk));
	json_decref(params);
	json_decref(result);
	return status;
}

/* ---- What is told ---- */

/* Nobody has its private key: it must not stay. */
static void take_back(const struct peer *p, const char *socket)
{
	char key[OMNI_KEY_B64_LEN];
	json_t *params = json_pack("{s:s, s:s}", "cluster", p->cluster, "peer",
				   omni_key_text(key, &p->id.dh.public));
	struct omni_err err = {0};
	json_t *result = NULL;

	if (client_call(socket, "peer.remove", params, &result, &err) != EXIT_OK)
		fprintf(stderr, "omnictl: peer %s was added and stays: %s\n", p->ask->name,
			err.text);
	json_decref(params);
	json_decref(result);
}

/* The folder in which the gateway's key files are looked for. */
static const char *key_folder(const struct peer *p, char path[PATH_LEN])
{
	const char *file = text_of(p->config, "file");

	snprintf(path, PATH_LEN, "%s",
		 file != NULL && *file != '\0' ? file : OMNI_CONFIG_SYSTEM_FILE);
	return dirname(path);
}

/* The same for a gateway that runs from a file of wg-quick's. */
static void tell_section(const struct peer *p)
{
	char key[OMNI_KEY_B64_LEN];

	fprintf(stderr, "    [Peer]\n    # %s\n    PublicKey = %s\n", p->ask->name,
		omni_key_text(key, &p->id.dh.public));
	fprintf(stderr, "    PresharedKey = %s\n    AllowedIPs = %s\n", omni_key_text(key, &p->psk),
		p->routes);
	omni_wipe(key, sizeof(key));
}

static void tell_yaml(const struct peer *p)
{
	char key[OMNI_KEY_B64_LEN], path[PATH_LEN], copy[LIST_LEN], *save = NULL;
	const char *folder = key_folder(p, path);

	fprintf(stderr, "      \"%s\":\n        key: \"%s\"\n        allowed-ips: [", p->ask->name,
		omni_key_text(key, &p->id.dh.public));
	memcpy(copy, p->routes, sizeof(copy));
	for (char *item = strtok_r(copy, ", ", &save); item != NULL;
	     item = strtok_r(NULL, ", ", &save))
		fprintf(stderr, "%s \"%s\"", item != copy ? "," : "", item);
	fprintf(stderr,
		" ]\n        dialect: wireguard\n        psk-file: \"%s-%s.psk\"\n"
		"and keep its pre-shared key there:\n"
		"    (umask 077; echo %s > '%s/%s-%s.psk')\n",
		p->cluster, p->ask->name, omni_key_text(key, &p->psk), folder, p->cluster,
		p->ask->name);
	omni_wipe(key, sizeof(key));
}

static void tell(const struct peer *p)
{
	const char *file = text_of(p->config, "file");
	size_t len = file != NULL ? strlen(file) : 0;
	bool quick = len > 5 && strcmp(file + len - 5, ".conf") == 0;

	if (p->endpoint[0] == '\0')
		fprintf(stderr, "omnictl: the peer is told no endpoint: without --endpoint "
				"HOST[:PORT] it waits for us to call\n");
	fprintf(stderr, "%s to ",
		p->ask->add ? "It is there until the next start. To keep it, add" : "Add");
	if (quick) {
		fprintf(stderr, "%s:\n", file);
		tell_section(p);
	} else {
		fprintf(stderr, "the gateway's configuration, under clusters: %s: peers:\n",
			p->cluster);
		tell_yaml(p);
	}
}

static int write_svg(struct peer *p)
{
	int fd = open(p->ask->svg, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	int rc;

	if (file == NULL)
		return omni_fail(p->err, -errno, "%s: %s", p->ask->svg, strerror(errno));
	rc = qr_svg(file, p->file);
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	return rc == 0 ? 0 : omni_fail(p->err, rc, "%s: %s", p->ask->svg, strerror(-rc));
}

static int show(struct peer *p)
{
	int rc = 0;

	if (p->ask->qr) {
		rc = qr_print(stdout, p->file);
		if (rc != 0)
			omni_fail(p->err, rc, "the file does not fit in a QR code");
	} else if (p->ask->svg == NULL) {
		local_warn_if_open();
		fputs(p->file, stdout);
	}
	if (rc == 0 && p->ask->svg != NULL)
		rc = write_svg(p);
	if (rc == 0 && fflush(stdout) != 0)
		rc = omni_fail(p->err, -errno, "standard output: %s", strerror(errno));
	return rc;
}

static enum exit_status make_and_tell(struct peer *p, const char *socket)
{
	enum exit_status status = client_call(socket, "status", NULL, &p->status, p->err);

	if (status == EXIT_OK)
		status = client_call(socket, "config", NULL, &p->config, p->err);
	if (status == EXIT_OK)
		status = client_call(socket, "peers", NULL, &p->peers, p->err);
	if (status != EXIT_OK)
		return status;
	if (prepare(p) != 0)
		return EXIT_REFUSED;
	make_keys(p);
	if (make_file(p) != 0)
		return EXIT_REFUSED;
	if (p->ask->add && (status = add_live(p, socket)) != EXIT_OK)
		return status;
	if (show(p) != 0) {
		if (p->ask->add)
			take_back(p, socket);
		return EXIT_REFUSED;
	}
	tell(p);
	return EXIT_OK;
}

enum exit_status wg_export(const char *socket, const struct wg_export *ask)
{
	struct omni_err err = {0};
	struct peer p = {.ask = ask, .err = &err};
	enum exit_status status = make_and_tell(&p, socket);

	if (status != EXIT_OK)
		fprintf(stderr, "omnictl: %s\n", err.text);
	json_decref(p.status);
	json_decref(p.config);
	json_decref(p.peers);
	omni_wipe(&p, sizeof(p));
	return status;
}
