/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wg show: L3 clusters as wg prints interfaces, word for word, so that people and scripts find
 * what they know. Keys that the gateway keeps to itself are "(hidden)" everywhere.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wg.h"
#include "wg_text.h"

/* An L3 cluster as an interface. */
struct interface {
	const char *name; /* of the host's interface; the cluster's where it has none */
	const char *cluster;
	const char *key;
	int listen;
	unsigned int mark;    /* 0: none */
	const json_t **peers; /* WireGuard peers, in the order of the configuration */
	size_t n_peers;
};

struct view {
	json_t *status, *config, *peers;
	struct interface *list;
	size_t n;
};

/* ---- What the gateway says ---- */

static const char *text_of(const json_t *o, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text != NULL ? text : otherwise;
}

static json_int_t number_of(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* When the last handshake was, in seconds since 1970; 0: there was none. */
static json_int_t handshake_of(const json_t *peer)
{
	return number_of(peer, "last_handshake_at");
}

static int newer_first(const void *x, const void *y)
{
	json_int_t a = handshake_of(*(const json_t *const *)x);
	json_int_t b = handshake_of(*(const json_t *const *)y);

	return (a < b) - (a > b);
}

/* The interface that the host sees of a cluster. */
static const char *host_interface(const json_t *config, const char *cluster)
{
	const json_t *all = json_object_get(config, "ports"), *port;
	const json_t *names = json_object_get(
		json_object_get(json_object_get(config, "clusters"), cluster), "ports");
	size_t i;

	json_array_foreach(names, i, port)
	{
		const json_t *p = json_object_get(all, json_string_value(port));
		const char *driver = text_of(p, "driver", "");

		if (strcmp(driver, "tun") == 0 || strcmp(driver, "tap") == 0)
			return text_of(p, "interface", cluster);
	}
	return cluster;
}

static int fill(struct view *v, struct interface *in)
{
	const json_t *peer;
	size_t i;

	in->name = host_interface(v->config, in->cluster);
	in->key = text_of(v->status, "identity", "(none)");
	in->listen = (int)number_of(v->status, "listen");
	in->mark = (unsigned int)number_of(json_object_get(v->config, "underlay"), "fwmark");
	in->peers = calloc(json_array_size(v->peers) + 1, sizeof(const json_t *));
	if (in->peers == NULL)
		return -1;
	json_array_foreach(v->peers, i, peer)
	{
		if (strcmp(text_of(peer, "cluster", ""), in->cluster) == 0 &&
		    strcmp(text_of(peer, "dialect", ""), "wireguard") == 0)
			in->peers[in->n_peers++] = peer;
	}
	return 0;
}

static int find_interfaces(struct view *v)
{
	json_t *clusters = json_object_get(v->config, "clusters"), *cluster;
	const char *name;

	v->list = calloc(json_object_size(clusters) + 1, sizeof(*v->list));
	if (v->list == NULL)
		return -1;
	json_object_foreach(clusters, name, cluster)
	{
		if (strcmp(text_of(cluster, "mode", ""), "l3") != 0)
			continue;
		v->list[v->n].cluster = name;
		if (fill(v, &v->list[v->n]) != 0)
			return -1;
		v->n++;
	}
	return 0;
}

static enum exit_status ask_all(struct view *v, const char *socket, struct omni_err *err)
{
	enum exit_status status = client_call(socket, "status", NULL, &v->status, err);

	if (status == EXIT_OK)
		status = client_call(socket, "config", NULL, &v->config, err);
	if (status == EXIT_OK)
		status = client_call(socket, "peers", NULL, &v->peers, err);
	if (status == EXIT_OK && find_interfaces(v) != 0) {
		omni_fail(err, 0, "out of memory");
		status = EXIT_REFUSED;
	}
	return status;
}

static void view_free(struct view *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->list[i].peers);
	free(v->list);
	json_decref(v->status);
	json_decref(v->config);
	json_decref(v->peers);
}

/* ---- For people ---- */

static void print_allowed(const json_t *peer, const char *between)
{
	const json_t *list = json_object_get(peer, "allowed_ips"), *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		printf("%s%s", i > 0 ? between : "", json_string_value(item));
	}
	if (json_array_size(list) == 0)
		printf("(none)");
}

static void print_peer(const json_t *peer)
{
	const char *endpoint = json_string_value(json_object_get(peer, "endpoint"));
	json_int_t rx = number_of(peer, "rx_bytes"), tx = number_of(peer, "tx_bytes");
	json_int_t keepalive = number_of(peer, "keepalive_s");
	const json_t *age = json_object_get(peer, "last_handshake_s");
	char text[WG_TEXT_LEN], more[WG_TEXT_LEN];

	printf("peer: %s\n", text_of(peer, "key", "(none)"));
	if (json_is_true(json_object_get(peer, "psk")))
		printf("  preshared key: (hidden)\n");
	if (endpoint != NULL)
		printf("  endpoint: %s\n", endpoint);
	printf("  allowed ips: ");
	print_allowed(peer, ", ");
	printf("\n");
	if (json_is_integer(age))
		printf("  latest handshake: %s\n",
		       wg_text_ago(text, (uint64_t)json_integer_value(age)));
	if (rx > 0 || tx > 0)
		printf("  transfer: %s received, %s sent\n", wg_text_bytes(text, (uint64_t)rx),
		       wg_text_bytes(more, (uint64_t)tx));
	if (keepalive > 0)
		printf("  persistent keepalive: every %s\n",
		       wg_text_time(text, (uint64_t)keepalive));
}

static void print_interface(const struct interface *in)
{
	printf("interface: %s\n  public key: %s\n  private key: (hidden)\n  listening port: %d\n",
	       in->name, in->key, in->listen);
	if (in->mark != 0)
		printf("  fwmark: 0x%x\n", in->mark);
	if (in->n_peers > 1)
		qsort(in->peers, in->n_peers, sizeof(const json_t *), newer_first);
	for (size_t i = 0; i < in->n_peers; i++) {
		printf("\n");
		print_peer(in->peers[i]);
	}
}

/* ---- For scripts ---- */

static void each_peers(const json_t *peer, const struct view *v)
{
	(void)peer;
	(void)v;
}

static void each_psk(const json_t *peer, const struct view *v)
{
	(void)v;
	printf("\t%s", json_is_true(json_object_get(peer, "psk")) ? "(hidden)" : "(none)");
}

static void each_endpoint(const json_t *peer, const struct view *v)
{
	(void)v;
	printf("\t%s", text_of(peer, "endpoint", "(none)"));
}

static void each_allowed(const json_t *peer, const struct view *v)
{
	(void)v;
	printf("\t");
	print_allowed(peer, " ");
}

static void each_handshake(const json_t *peer, const struct view *v)
{
	(void)v;
	printf("\t%" JSON_INTEGER_FORMAT, handshake_of(peer));
}

static void each_transfer(const json_t *peer, const struct view *v)
{
	(void)v;
	printf("\t%" JSON_INTEGER_FORMAT "\t%" JSON_INTEGER_FORMAT, number_of(peer, "rx_bytes"),
	       number_of(peer, "tx_bytes"));
}

static void each_keepalive(const json_t *peer, const struct view *v)
{
	json_int_t seconds = number_of(peer, "keepalive_s");

	(void)v;
	if (seconds > 0)
		printf("\t%" JSON_INTEGER_FORMAT, seconds);
	else
		printf("\toff");
}

static void each_dump(const json_t *peer, const struct view *v)
{
	each_psk(peer, v);
	each_endpoint(peer, v);
	printf("\t");
	print_allowed(peer, ",");
	each_handshake(peer, v);
	each_transfer(peer, v);
	each_keepalive(peer, v);
}

/* One word of wg show: what it says of the interface, or of each peer behind its key. */
static const struct word {
	const char *name;
	void (*each)(const json_t *peer, const struct view *v);
} words[] = {
	{"public-key", NULL},
	{"private-key", NULL},
	{"listen-port", NULL},
	{"fwmark", NULL},
	{"peers", each_peers},
	{"preshared-keys", each_psk},
	{"endpoints", each_endpoint},
	{"allowed-ips", each_allowed},
	{"latest-handshakes", each_handshake},
	{"transfer", each_transfer},
	{"persistent-keepalive", each_keepalive},
	{"dump", each_dump},
};

/* The line about the interface itself. */
static void print_own(const struct interface *in, const char *word, const char *prefix)
{
	const char *tab = prefix[0] != '\0' ? "\t" : "";
	char mark[16] = "off";

	if (in->mark != 0)
		snprintf(mark, sizeof(mark), "0x%x", in->mark);
	if (strcmp(word, "dump") == 0)
		printf("%s%s(hidden)\t%s\t%d\t%s\n", prefix, tab, in->key, in->listen, mark);
	else if (strcmp(word, "public-key") == 0)
		printf("%s%s%s\n", prefix, tab, in->key);
	else if (strcmp(word, "private-key") == 0)
		printf("%s%s(hidden)\n", prefix, tab);
	else if (strcmp(word, "listen-port") == 0)
		printf("%s%s%d\n", prefix, tab, in->listen);
	else if (strcmp(word, "fwmark") == 0)
		printf("%s%s%s\n", prefix, tab, mark);
}

static void print_word(const struct view *v, const struct interface *in, const struct word *w,
		       bool all)
{
	const char *prefix = all ? in->name : "";

	print_own(in, w->name, prefix);
	for (size_t i = 0; w->each != NULL && i < in->n_peers; i++) {
		printf("%s%s%s", prefix, all ? "\t" : "", text_of(in->peers[i], "key", "(none)"));
		w->each(in->peers[i], v);
		printf("\n");
	}
}

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(words); i++) {
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	}
	return NULL;
}

static enum exit_status usage(void)
{
	fprintf(stderr, "usage: omnictl wg show { INTERFACE | CLUSTER | all | interfaces } [");
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(words); i++)
		fprintf(stderr, "%s%s", i > 0 ? " | " : "", words[i].name);
	fprintf(stderr, "]\n");
	return EXIT_USAGE;
}

static void print_names(const struct view *v)
{
	for (size_t i = 0; i < v->n; i++)
		printf("%s%s", i > 0 ? " " : "", v->list[i].name);
	if (v->n > 0)
		printf("\n");
}

static bool is_called(const struct interface *in, const char *which)
{
	return (in->name != NULL && strcmp(in->name, which) == 0) ||
	       (in->cluster != NULL && strcmp(in->cluster, which) == 0);
}

/* How many were printed. */
static size_t print_view(const struct view *v, const char *which, const struct word *word)
{
	bool all = strcmp(which, "all") == 0;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		const struct interface *in = &v->list[i];

		if (!all && !is_called(in, which))
			continue;
		if (word != NULL) {
			print_word(v, in, word, all);
		} else {
			if (n > 0)
				printf("\n");
			print_interface(in);
		}
		n++;
	}
	return n;
}

enum exit_status wg_show(const char *socket, const char *which, const char *word)
{
	const struct word *w = word != NULL ? find_word(word) : NULL;
	struct omni_err err = {0};
	enum exit_status status;
	struct view v = {0};

	if (word != NULL && w == NULL)
		return usage();
	status = ask_all(&v, socket, &err);
	if (status != EXIT_OK)
		fprintf(stderr, "omnictl: %s\n", err.text);
	else if (strcmp(which, "interfaces") == 0 && w == NULL)
		print_names(&v);
	else if (print_view(&v, which, w) == 0 && strcmp(which, "all") != 0) {
		fprintf(stderr, "omnictl: there is no L3 cluster or interface %s\n", which);
		status = EXIT_REFUSED;
	}
	view_free(&v);
	return print_done(status);
}
