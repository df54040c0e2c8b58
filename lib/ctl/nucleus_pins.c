/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys of Nucleus servers that were remembered from first contact: a text file beside the
 * identity, one "HOST:PORT KEY" a line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nucleus_client.h"

#define SUFFIX ".nucleus"
#define SUFFIX_NEW ".nucleus.new"
#define LINE_LEN (OMNI_HOST_LEN + 8 + OMNI_KEY_B64_LEN + 2)
#define PATH_LEN (OMNI_CONFIG_PATH_LEN + sizeof(SUFFIX_NEW))

static struct nc_server *server_of(struct ctl_nucleus *nc, const char *text)
{
	for (unsigned int i = 0; i < nc->n_servers; i++) {
		if (strcmp(nc->server[i].text, text) == 0)
			return &nc->server[i];
	}
	return NULL;
}

static void path_of(const struct omni_ctl *ctl, const char *suffix, char out[PATH_LEN])
{
	snprintf(out, PATH_LEN, "%s%s", ctl->conf.config->identity, suffix);
}

/* Split "HOST:PORT KEY" in place. */
static bool parse(char *line, struct omni_key *key)
{
	char *space = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	if (space == NULL)
		return false;
	*space = '\0';
	return omni_key_parse(key, space + 1) == 0;
}

void nc_pins_load(struct omni_ctl *ctl)
{
	char path[PATH_LEN], line[LINE_LEN];
	struct nc_server *server;
	struct omni_key key;
	FILE *f;

	path_of(ctl, SUFFIX, path);
	f = ctl->conf.config->identity[0] != '\0' ? fopen(path, "re") : NULL;
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (!parse(line, &key)) {
			omni_log_warn(LOG_CTL, "line ignored", "file=%s", path);
			continue;
		}
		server = server_of(ctl->nucleus, line);
		if (server != NULL) {
			server->pin = key;
			server->has_pin = true;
		}
	}
	fclose(f);
}

/* What stands there about servers that this configuration does not name. */
static void copy_others(struct ctl_nucleus *nc, const char *path, FILE *to)
{
	char line[LINE_LEN], text[OMNI_KEY_B64_LEN];
	FILE *f = fopen(path, "re");
	struct omni_key key;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (parse(line, &key) && server_of(nc, line) == NULL)
			fprintf(to, "%s %s\n", line, omni_key_text(text, &key));
	}
	if (f != NULL)
		fclose(f);
}

static int write_file(struct ctl_nucleus *nc, const char *path, const char *path_new)
{
	int fd = open(path_new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), rc;
	char text[OMNI_KEY_B64_LEN];
	FILE *f;

	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (f == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	copy_others(nc, path, f);
	for (unsigned int i = 0; i < nc->n_servers; i++) {
		if (nc->server[i].has_pin)
			fprintf(f, "%s %s\n", nc->server[i].text,
				omni_key_text(text, &nc->server[i].pin));
	}
	rc = fflush(f) == 0 && fsync(fd) == 0 ? 0 : -errno;
	fclose(f);
	if (rc == 0 && rename(path_new, path) != 0)
		rc = -errno;
	if (rc != 0)
		unlink(path_new);
	return rc;
}

static int save(struct omni_ctl *ctl)
{
	char path[PATH_LEN], path_new[PATH_LEN];
	int rc;

	if (ctl->conf.config->identity[0] == '\0')
		return 0;
	path_of(ctl, SUFFIX, path);
	path_of(ctl, SUFFIX_NEW, path_new);
	rc = write_file(ctl->nucleus, path, path_new);
	if (rc != 0)
		omni_log_warn(LOG_CTL, "cannot write the keys of nucleus servers",
			      "file=%s error=\"%s\"", path, strerror(-rc));
	return rc;
}

void nc_pin_remember(struct nc_session *s)
{
	struct nc_server *server = s->server;
	char text[OMNI_KEY_B64_LEN];

	if (server->conf->has_key || server->has_pin)
		return;
	server->pin = s->key;
	server->has_pin = true;
	omni_log_info(LOG_CTL, "nucleus key remembered from first contact", "nucleus=%s key=%s",
		      server->text, omni_key_text(text, &server->pin));
	(void)save(s->ctl); /* kept in memory where the disk does not take it */
}

int nc_pins_forget(struct omni_ctl *ctl, const char *text)
{
	struct ctl_nucleus *nc = ctl->nucleus;
	int n = 0, rc;

	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++) {
		struct nc_session *s = &nc->session[i];

		if (s->server->has_pin && (text == NULL || strcmp(text, s->server->text) == 0))
			nc_forget_key(s);
	}
	for (unsigned int i = 0; nc != NULL && i < nc->n_servers; i++) {
		struct nc_server *server = &nc->server[i];

		if (!server->has_pin || (text != NULL && strcmp(text, server->text) != 0))
			continue;
		server->has_pin = false;
		n++;
	}
	rc = n > 0 ? save(ctl) : 0;
	return rc < 0 ? rc : n;
}
