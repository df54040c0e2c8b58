/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_cli.h>
#include <omni_secret.h>

#include "config.h"
#include "flags.h"
#include "value.h"

#define ROUTE_FILE "/proc/net/route"
#define IPV6_ROUTE_FILE "/proc/net/ipv6_route"
#define RTF_UP_FLAG 1U
#define RTF_REJECT_FLAG 0x200U

static int take_list(const char **list, unsigned int *n, unsigned int max, const char *name,
		     const char *arg, struct omni_err *err)
{
	if (*n == max)
		return omni_fail(err, -EINVAL,
				 "--%s stands too often, expected it at most %u times", name, max);
	list[(*n)++] = arg;
	return 0;
}

int flags_take(struct flags *flags, int flag, const char *name, char *arg, struct omni_err *err)
{
	const char **slot = &flags->value[flag - FLAG_NUCLEUS];

	if (flags->first == NULL)
		flags->first = name;
	if (flag == FLAG_NUCLEUS)
		return take_list(flags->nucleus, &flags->n_nucleus, OMNI_CONFIG_NUCLEUS_MAX, name,
				 arg, err);
	if (flag == FLAG_PEER)
		return take_list(flags->peers, &flags->n_peers, FLAG_PEERS_MAX, name, arg, err);
	if (flag == FLAG_SECRET && flags->secret == NULL) {
		flags->secret = strdup(arg);
		omni_wipe(arg, strlen(arg));
		return flags->secret != NULL ? 0 : omni_fail(err, -ENOMEM, "out of memory");
	}
	if (*slot != NULL || flag == FLAG_SECRET)
		return omni_fail(err, -EINVAL, "--%s stands twice, expected it once", name);
	*slot = arg != NULL ? arg : "";
	return 0;
}

void flags_wipe(struct flags *flags)
{
	omni_config_secret_free(flags->secret);
	flags->secret = NULL;
}

/* A default route of /proc/net/route: its interface and metric. */
static bool is_default_v4(const char *line, char name[IFNAMSIZ], uint32_t *metric)
{
	uint32_t to, via, flags, mask;

	return sscanf(line, "%15s %" SCNx32 " %" SCNx32 " %" SCNx32 " %*s %*s %" SCNu32 " %" SCNx32,
		      name, &to, &via, &flags, metric, &mask) == 6 &&
	       to == 0 && mask == 0 && (flags & RTF_UP_FLAG) != 0;
}

/* The same of /proc/net/ipv6_route, which also lists routes that reject. */
static bool is_default_v6(const char *line, char name[IFNAMSIZ], uint32_t *metric)
{
	char to[33];
	uint32_t len, flags;

	return sscanf(line, "%32s %" SCNx32 " %*s %*s %*s %" SCNx32 " %*s %*s %" SCNx32 " %15s", to,
		      &len, metric, &flags, name) == 5 &&
	       strspn(to, "0") == 32 && len == 0 && (flags & RTF_UP_FLAG) != 0 &&
	       (flags & RTF_REJECT_FLAG) == 0;
}

/* The default route with the lowest metric in a file; false where it has none. */
static bool find_default(char out[IFNAMSIZ], const char *path,
			 bool (*is_default)(const char *, char[IFNAMSIZ], uint32_t *))
{
	FILE *file = fopen(path, "re");
	char line[256], name[IFNAMSIZ];
	uint32_t metric, best = UINT32_MAX;
	bool found = false;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (!is_default(line, name, &metric) || (found && metric >= best))
			continue;
		snprintf(out, IFNAMSIZ, "%s", name);
		best = metric;
		found = true;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

int omni_cli_default_interface(char out[IFNAMSIZ], const char *route, const char *ipv6_route,
			       struct omni_err *err)
{
	if (find_default(out, route, is_default_v4) || find_default(out, ipv6_route, is_default_v6))
		return 0;
	return omni_fail(err, -ENOENT,
			 "there is no default route to take the uplink from, expected "
			 "--interface IF");
}

static const char *get(const struct flags *flags, enum flag flag)
{
	return flags->value[flag - FLAG_NUCLEUS];
}

/* parse(target, text) where the flag was said. */
static int apply(const struct flags *flags, enum flag flag, const char *name,
		 int (*parse)(void *, const char *, struct omni_err *), void *target,
		 struct omni_err *err)
{
	struct omni_err why;

	if (get(flags, flag) == NULL || parse(target, get(flags, flag), &why) == 0)
		return 0;
	return omni_fail(err, -EINVAL, "--%s: %s", name, why.text);
}

static int build_ports(const struct flags *flags, struct omni_config *config, struct omni_err *err)
{
	struct omni_config_port *uplink = config_add_port(config);
	struct omni_config_port *host = config_add_port(config);
	struct omni_config_cluster *cluster = &config->clusters[0];
	struct omni_err why;
	uint64_t port = OMNI_WIRE_DEFAULT_PORT;

	strcpy(uplink->name, "uplink0");
	strcpy(uplink->driver, "af_xdp");
	strcpy(host->name, "host0");
	strcpy(host->driver, "tap");
	strcpy(host->interface, OMNI_CONFIG_TAP);
	host->cluster = 0;
	cluster->ports[cluster->n_ports++] = 1;
	if (get(flags, FLAG_PORT) != NULL &&
	    value_number(&port, get(flags, FLAG_PORT), 1, UINT16_MAX, &why) != 0)
		return omni_fail(err, -EINVAL, "--port: %s", why.text);
	config->underlay.listen = (uint16_t)port;
	if (get(flags, FLAG_INTERFACE) == NULL)
		return omni_cli_default_interface(uplink->interface, ROUTE_FILE, IPV6_ROUTE_FILE,
						  err);
	return apply(flags, FLAG_INTERFACE, "interface", value_interface, uplink->interface, err);
}

/* KEY or KEY@HOST:PORT */
static int build_peer(const char *text, struct omni_config_peer *peer, struct omni_err *err)
{
	char key[OMNI_KEY_B64_LEN + 1];
	size_t len = strcspn(text, "@");
	struct omni_err why;

	peer->keepalive_s = OMNI_MESH_KEEPALIVE_S;
	peer->dialect = OMNI_DIALECT_OMNI;
	snprintf(key, sizeof(key), "%.*s", (int)OMNI_MIN(len, sizeof(key) - 1), text);
	if (value_key(&peer->key, key, &why) != 0 ||
	    (text[len] == '@' && value_endpoint(peer, text + len + 1, &why) != 0))
		return omni_fail(err, -EINVAL, "--peer: %s", why.text);
	return 0;
}

static int build_peers(const struct flags *flags, struct omni_config_cluster *cluster,
		       struct omni_err *err)
{
	if (flags->n_peers == 0)
		return 0;
	cluster->peers = calloc(flags->n_peers, sizeof(*cluster->peers));
	if (cluster->peers == NULL)
		return omni_fail(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < flags->n_peers; i++) {
		struct omni_config_peer *peer = &cluster->peers[cluster->n_peers++];

		snprintf(peer->name, sizeof(peer->name), "peer%u", i + 1);
		if (build_peer(flags->peers[i], peer, err) != 0)
			return -EINVAL;
		for (unsigned int j = 0; j < i; j++) {
			if (memcmp(&peer->key, &cluster->peers[j].key, sizeof(peer->key)) == 0)
				return omni_fail(err, -EINVAL,
						 "--peer: %s is the key of two peers, expected "
						 "another",
						 flags->peers[i]);
		}
	}
	return 0;
}

static int build_nucleus(const struct flags *flags, struct omni_config *config,
			 struct omni_err *err)
{
	struct omni_err why;

	for (unsigned int i = 0; i < flags->n_nucleus; i++) {
		if (value_nucleus(&config->nucleus[config->n_nucleus++], flags->nucleus[i], &why) !=
		    0)
			return omni_fail(err, -EINVAL, "--nucleus: %s", why.text);
	}
	return 0;
}

static int build_secret(const struct flags *flags, struct omni_config_cluster *cluster,
			struct omni_err *err)
{
	const char *file = get(flags, FLAG_SECRET_FILE);

	cluster->open = get(flags, FLAG_OPEN) != NULL;
	if ((file != NULL) + (flags->secret != NULL) + cluster->open > 1)
		return omni_fail(err, -EINVAL,
				 "--secret-file, --secret and --open exclude each other, expected "
				 "one of them");
	if (file != NULL) {
		cluster->secret = omni_config_secret_read(file, err);
		return cluster->secret != NULL ? 0 : -EINVAL;
	}
	if (flags->secret != NULL) {
		cluster->secret = omni_config_secret_copy(flags->secret, err);
		return cluster->secret != NULL ? 0 : -EINVAL;
	}
	if (!cluster->open && flags->n_peers == 0)
		return omni_fail(err, -EINVAL,
				 "cluster %s has no secret: make one (umask 077; omnictl gensecret "
				 "> FILE) and give it with --secret-file FILE, or say --open to "
				 "let anyone join who knows the name",
				 cluster->name);
	return 0;
}

static int build(const struct flags *flags, struct omni_config *config, struct omni_err *err)
{
	struct omni_config_cluster *cluster = config_add_cluster(config);

	if (cluster == NULL)
		return omni_fail(err, -ENOMEM, "out of memory");
	if (get(flags, FLAG_CLUSTER) == NULL)
		return omni_fail(err, -EINVAL,
				 "--%s alone names no cluster, expected --cluster NAME beside it",
				 flags->first);
	if (apply(flags, FLAG_CLUSTER, "cluster", value_cluster_name, cluster->name, err) != 0 ||
	    apply(flags, FLAG_VIP, "vip", value_vip, cluster, err) != 0 ||
	    apply(flags, FLAG_CIPHER, "cipher", value_cipher, &cluster->cipher, err) != 0 ||
	    build_nucleus(flags, config, err) != 0 || build_peers(flags, cluster, err) != 0 ||
	    build_secret(flags, cluster, err) != 0)
		return -EINVAL;
	return build_ports(flags, config, err);
}

struct omni_config *flags_build(const struct flags *flags, struct omni_err *err)
{
	struct omni_config *config = config_new();

	if (config == NULL) {
		omni_fail(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (build(flags, config, err) != 0) {
		omni_config_free(config);
		return NULL;
	}
	config_finish(config);
	if (flags->secret != NULL)
		config_warn(config, "the secret stood on the command line, where others may have "
				    "seen it: use --secret-file");
	return config;
}
