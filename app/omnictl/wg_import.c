/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wg import: a wg-quick file to our YAML and its key files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_identity.h>
#include <omni_secret.h>
#include <omni_wg_quick.h>

#include "omnictl.h"
#include "wg.h"

#define PATH_LEN 512

/* ---- YAML ---- */

static void write_prefixes(FILE *out, const char *indent, const char *key,
			   const struct omni_prefix *list, unsigned int n)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	if (n == 0)
		return;
	fprintf(out, "%s%s: [ ", indent, key);
	for (unsigned int i = 0; i < n; i++)
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", omni_prefix_text(text, &list[i]));
	fprintf(out, " ]\n");
}

static void write_peer(FILE *out, const struct omni_config_peer *p, const char *cluster)
{
	char key[OMNI_KEY_B64_LEN];

	fprintf(out, "      \"%s\":\n        key: \"%s\"\n", p->name, omni_key_text(key, &p->key));
	if (p->host[0] != '\0')
		fprintf(out,
			strchr(p->host, ':') != NULL ? "        endpoint: \"[%s]:%u\"\n"
						     : "        endpoint: \"%s:%u\"\n",
			p->host, p->port);
	write_prefixes(out, "        ", "allowed-ips", p->allowed, p->n_allowed);
	if (p->has_psk)
		fprintf(out, "        psk-file: \"%s-%s.psk\"\n", cluster, p->name);
	if (p->keepalive_s > 0)
		fprintf(out, "        keepalive: %u\n", p->keepalive_s);
}

static void write_port(FILE *out, const struct omni_config_port *p)
{
	fprintf(out, "  \"%s\":\n    driver: %s\n", p->name, p->driver);
	if (p->interface[0] == '\0')
		return;
	fprintf(out, "    interface: \"%s\"\n    mtu: %u\n", p->interface, p->mtu);
	if (p->carries == OMNI_ADDRESS_NONE)
		fprintf(out, "    address: none\n");
	if (p->routes_table == OMNI_CONFIG_TABLE_NONE)
		fprintf(out, "    routes: off\n");
	else if (p->routes_table == OMNI_CONFIG_TABLE_MAIN)
		fprintf(out, "    routes: auto\n");
	else if (p->routes_table == OMNI_CONFIG_TABLE_DEFAULT)
		fprintf(out, "    routes: default\n");
	else
		fprintf(out, "    routes: %u\n", p->routes_table);
}

static void write_cluster(FILE *out, const struct omni_config_cluster *c,
			  const struct omni_config_port *port)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	fprintf(out, "  \"%s\":\n    mode: l3\n", c->name);
	if (!c->vip_auto)
		fprintf(out, "    vip: \"%s\"\n", omni_prefix_text(text, &c->vip));
	write_prefixes(out, "    ", "addresses", c->addresses, c->n_addresses);
	if (c->mtu != 0)
		fprintf(out, "    mtu: %u\n", c->mtu);
	if (c->relay == OMNI_RELAY_HOST)
		fprintf(out, "    relay: host\n");
	fprintf(out, "    ports: [ \"%s\" ]\n    peers:%s\n", port->name,
		c->n_peers == 0 ? " {}" : "");
	for (unsigned int i = 0; i < c->n_peers; i++)
		write_peer(out, &c->peers[i], c->name);
}

static void write_yaml(FILE *out, const struct omni_config *config)
{
	const struct omni_config_cluster *c = &config->clusters[0];

	fprintf(out, "identity: \"%s.key\"\nports:\n", c->name);
	for (unsigned int i = 0; i < config->n_ports; i++)
		write_port(out, &config->ports[i]);
	fprintf(out, "underlay: { port: \"%s\", listen: %u",
		config->ports[config->underlay.port].name, config->underlay.listen);
	if (config->underlay.fwmark != 0)
		fprintf(out, ", fwmark: 0x%x", config->underlay.fwmark);
	fprintf(out, " }\nclusters:\n");
	write_cluster(out, c, &config->ports[c->ports[0]]);
	if (config->limits.routes != OMNI_CONFIG_ROUTES ||
	    config->limits.peers != OMNI_CONFIG_PEERS)
		fprintf(out, "limits: { peers: %u, routes: %u }\n", config->limits.peers,
			config->limits.routes);
}

/* ---- Files ---- */

/* A new file for its owner alone; NULL with a sentence on standard error. */
static FILE *create(const char *dir, const char *name)
{
	char path[PATH_LEN];
	FILE *file = NULL;
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		errno = ENAMETOOLONG;
	else
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (file == NULL) {
		fprintf(stderr, "omnictl: %s: %s%s\n", path, strerror(errno),
			errno == EEXIST ? ", and is not replaced" : "");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	setvbuf(file, NULL, _IONBF, 0); /* keys stay in no buffer */
	printf("%s\n", path);
	return file;
}

static bool finish(FILE *file)
{
	bool bad = ferror(file) != 0;

	if (fclose(file) == 0 && !bad)
		return true;
	perror("omnictl");
	return false;
}

static bool write_key(const char *dir, const char *name, const struct omni_key *key)
{
	FILE *file = create(dir, name);
	char text[OMNI_KEY_B64_LEN];

	if (file == NULL)
		return false;
	fprintf(file, "%s\n", omni_key_text(text, key));
	omni_wipe(text, sizeof(text));
	return finish(file);
}

static void psk_name(char name[PATH_LEN], const struct omni_config *config,
		     const struct omni_config_peer *peer)
{
	snprintf(name, PATH_LEN, "%s-%s.psk", config->clusters[0].name, peer->name);
}

static bool write_keys(const char *dir, const struct omni_config *config)
{
	const struct omni_config_cluster *c = &config->clusters[0];
	char name[PATH_LEN];

	snprintf(name, sizeof(name), "%s.key", c->name);
	if (!write_key(dir, name, &config->key))
		return false;
	for (unsigned int i = 0; i < c->n_peers; i++) {
		psk_name(name, config, &c->peers[i]);
		if (c->peers[i].has_psk && !write_key(dir, name, &c->peers[i].psk))
			return false;
	}
	return true;
}

/* What was written must be what the gateway reads. */
static enum exit_status check(const char *path)
{
	struct omni_err err;
	struct omni_config *config = omni_config_load(path, &err);

	omni_config_free(config);
	if (config != NULL)
		return EXIT_OK;
	fprintf(stderr, "omnictl: what the file says does not go in ours: %s\n", err.text);
	return EXIT_REFUSED;
}

static enum exit_status write_all(const char *dir, const struct omni_config *config)
{
	char name[PATH_LEN], path[2 * PATH_LEN];
	FILE *file;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		fprintf(stderr, "omnictl: %s: %s\n", dir, strerror(errno));
		return EXIT_REFUSED;
	}
	snprintf(name, sizeof(name), "%s.yaml", config->clusters[0].name);
	if (!write_keys(dir, config))
		return EXIT_REFUSED;
	file = create(dir, name);
	if (file == NULL)
		return EXIT_REFUSED;
	write_yaml(file, config);
	if (!finish(file))
		return EXIT_REFUSED;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return check(path);
}

/* Without a folder nothing is written: the YAML, and what would stand beside it. */
static enum exit_status print_all(const struct omni_config *config)
{
	const struct omni_config_cluster *c = &config->clusters[0];

	write_yaml(stdout, config);
	fprintf(stderr,
		"omnictl: a folder behind the file's name would get this as %s.yaml, with "
		"%s.key",
		c->name, c->name);
	for (unsigned int i = 0; i < c->n_peers; i++) {
		char name[PATH_LEN];

		psk_name(name, config, &c->peers[i]);
		if (c->peers[i].has_psk)
			fprintf(stderr, ", %s", name);
	}
	fputc('\n', stderr);
	return print_done(EXIT_OK);
}

static void drop_own(struct omni_config *config)
{
	struct omni_identity id;

	if (omni_identity_from_wireguard(&id, &config->key) == 0)
		omni_config_drop_own(config, &id.dh.public);
	omni_identity_wipe(&id);
}

enum exit_status wg_import(const char *path, const char *dir)
{
	struct omni_config *config = NULL;
	enum exit_status status;
	struct omni_wg_quick *wg;
	struct omni_err err;

	wg = omni_wg_quick_load(path, &err);
	if (wg != NULL)
		config = omni_config_from_wg_quick(wg, path, &err);
	omni_wg_quick_free(wg);
	if (config == NULL) {
		fprintf(stderr, "omnictl: %s\n", err.text);
		return EXIT_REFUSED;
	}
	drop_own(config);
	status = dir != NULL ? write_all(dir, config) : print_all(config);
	for (unsigned int i = 0; i < config->n_warnings; i++)
		fprintf(stderr, "omnictl: %s\n", config->warnings[i]);
	omni_config_free(config);
	return status;
}
