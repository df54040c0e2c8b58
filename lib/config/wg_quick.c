/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wg-quick's file format: sections of KEY = VALUE lines. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <omni_secret.h>
#include <omni_wg_quick.h>

#include "config.h"
#include "value.h"
#include "wg_quick.h"

/* ---- Values ---- */

/* A key that is no public one. */
static int secret_key(struct omni_key *key, const char *text, const char *maker,
		      struct omni_err *why)
{
	if (value_key(key, text, NULL) == 0)
		return 0;
	return omni_fail(why, -EINVAL,
			 "is no key, expected 44 characters of base64, as omnictl %s prints it",
			 maker);
}

static int set_private_key(struct wg_reader *r, const char *text, struct omni_err *why)
{
	r->has_key = true;
	return secret_key(&r->wg->key, text, "genkey", why);
}

static int set_listen(struct wg_reader *r, const char *text, struct omni_err *why)
{
	uint64_t port = 0;
	int rc = value_number(&port, text, 0, UINT16_MAX, why);

	r->wg->listen = (uint16_t)port;
	return rc;
}

static int set_mtu(struct wg_reader *r, const char *text, struct omni_err *why)
{
	uint64_t mtu = 0;
	int rc = *text == '\0'
			 ? 0 /* as left out */
			 : value_number(&mtu, text, OMNI_CONFIG_MTU_MIN, OMNI_CONFIG_MTU_MAX, why);

	r->wg->mtu = (uint16_t)mtu;
	return rc;
}

static int set_fwmark(struct wg_reader *r, const char *text, struct omni_err *why)
{
	return value_fwmark(&r->wg->fwmark, text, why);
}

static int set_table(struct wg_reader *r, const char *text, struct omni_err *why)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (*text == '\0' || strcasecmp(text, "auto") == 0 || strcmp(text, "main") == 0)
		r->wg->table = OMNI_CONFIG_TABLE_MAIN;
	else if (strcasecmp(text, "off") == 0)
		r->wg->table = OMNI_CONFIG_TABLE_NONE;
	else if (isdigit((unsigned char)text[0]) && *end == '\0' && n > 0 &&
		 n < OMNI_CONFIG_TABLE_DEFAULT)
		r->wg->table = (uint32_t)n;
	else
		return omni_fail(why, -EINVAL,
				 "\"%s\" is not known, expected auto, off or the number of a table",
				 text);
	return 0;
}

static int add_prefix(struct omni_prefix **list, unsigned int *n, const struct omni_prefix *prefix,
		      struct omni_err *why)
{
	struct omni_prefix *more;

	if (*n == OMNI_CONFIG_PREFIXES_MAX)
		return omni_fail(why, -EINVAL, "more than %d in one list, expected fewer",
				 OMNI_CONFIG_PREFIXES_MAX);
	if ((*n & (*n - 1)) == 0) {
		more = realloc(*list, (*n == 0 ? 1 : 2 * (size_t)*n) * sizeof(**list));
		if (more == NULL)
			return omni_fail(why, -ENOMEM, "out of memory");
		*list = more;
	}
	(*list)[(*n)++] = *prefix;
	return 0;
}

/* The next item of a list with commas or blanks; NULL behind the last. */
static char *next_item(char **rest)
{
	char *item = *rest + strspn(*rest, "," WG_BLANKS);
	size_t len = strcspn(item, "," WG_BLANKS);

	*rest = item + len;
	if (len == 0)
		return NULL;
	if (item[len] != '\0')
		(*rest)++;
	item[len] = '\0';
	return item;
}

static int add_list(const char *text, struct omni_prefix **list, unsigned int *n, bool mask,
		    struct omni_err *why)
{
	char *copy = strdup(text), *rest = copy, *item;
	struct omni_prefix prefix;
	int rc = 0;

	if (copy == NULL)
		return omni_fail(why, -ENOMEM, "out of memory");
	while (rc == 0 && (item = next_item(&rest)) != NULL) {
		rc = mask ? value_route(&prefix, item, why) : value_prefix(&prefix, item, why);
		if (rc == 0 && !mask && !omni_ip_is_unicast(&prefix.ip))
			rc = omni_fail(why, -EINVAL,
				       "%s cannot be the address of one host, expected another",
				       item);
		if (rc == 0)
			rc = add_prefix(list, n, &prefix, why);
	}
	free(copy);
	return rc;
}

static int set_address(struct wg_reader *r, const char *text, struct omni_err *why)
{
	return add_list(text, &r->wg->addresses, &r->wg->n_addresses, false, why);
}

static int set_public_key(struct wg_reader *r, const char *text, struct omni_err *why)
{
	int rc = value_key(&r->peer->key, text, why);

	if (rc == 0 && omni_is_zero_ct(&r->peer->key, sizeof(r->peer->key)))
		return omni_fail(why, -EINVAL, "is all zero, expected the peer's public key");
	return rc;
}

static int set_psk(struct wg_reader *r, const char *text, struct omni_err *why)
{
	int rc = secret_key(&r->peer->psk, text, "genpsk", why);

	r->said[r->peer - r->wg->peers].psk = true;
	r->peer->has_psk = rc == 0 && !omni_is_zero_ct(&r->peer->psk, sizeof(r->peer->psk));
	return rc;
}

static int set_allowed(struct wg_reader *r, const char *text, struct omni_err *why)
{
	return add_list(text, &r->peer->allowed, &r->peer->n_allowed, true, why);
}

/* The port stands behind the last colon, whether an IPv6 address has brackets or not. */
static int set_endpoint(struct wg_reader *r, const char *text, struct omni_err *why)
{
	const char *colon = strrchr(text, ':');
	char bracketed[OMNI_HOST_LEN + 16];

	if (text[0] != '[' && colon != strchr(text, ':') && strlen(text) < OMNI_HOST_LEN) {
		snprintf(bracketed, sizeof(bracketed), "[%.*s]%s", (int)(colon - text), text,
			 colon);
		if (value_endpoint(r->peer, bracketed, NULL) == 0)
			return 0;
	}
	return value_endpoint(r->peer, text, why);
}

static int set_keepalive(struct wg_reader *r, const char *text, struct omni_err *why)
{
	uint64_t seconds = 0;
	int rc =
		strcasecmp(text, "off") == 0 ? 0 : value_number(&seconds, text, 0, UINT16_MAX, why);

	r->said[r->peer - r->wg->peers].keepalive = true;
	r->peer->keepalive_s = (uint16_t)seconds;
	return rc;
}

/* ---- Keys ---- */

struct key {
	const char *name;
	bool peer; /* of a [Peer] section */
	bool wg;   /* wg's own, which takes all blanks away, rather than wg-quick's */
	int (*set)(struct wg_reader *r, const char *text, struct omni_err *why);
	const char *note; /* why it is not applied */
};

#define HOOK "is not applied: a gateway runs no commands"

static const struct key keys[] = {
	{"PrivateKey", false, true, set_private_key, NULL},
	{"ListenPort", false, true, set_listen, NULL},
	{"Address", false, false, set_address, NULL},
	{"MTU", false, false, set_mtu, NULL},
	{"Table", false, false, set_table, NULL},
	{"DNS", false, false, NULL, "is not applied: the host's resolver stays as it is"},
	{"FwMark", false, true, set_fwmark, NULL},
	{"SaveConfig", false, false, NULL, "is not applied: the file is never written"},
	{"PreUp", false, false, NULL, HOOK},
	{"PostUp", false, false, NULL, HOOK},
	{"PreDown", false, false, NULL, HOOK},
	{"PostDown", false, false, NULL, HOOK},
	{"PublicKey", true, true, set_public_key, NULL},
	{"PresharedKey", true, true, set_psk, NULL},
	{"AllowedIPs", true, true, set_allowed, NULL},
	{"Endpoint", true, true, set_endpoint, NULL},
	{"PersistentKeepalive", true, true, set_keepalive, NULL},
};

/*
 * What may be shown of a line that was not understood: never what may be a key without its name,
 * nor what stands behind a section's.
 */
static const char *word(char out[24], const char *line)
{
	size_t len = *line == '[' ? strcspn(line, "]") + 1 : strcspn(line, " \t=");

	snprintf(out, 24, "%.*s", (int)len, len < 24 ? line : "...");
	return out;
}

static int fail_key(struct wg_reader *r, const char *name)
{
	char names[256], shown[24];
	size_t at = 0;

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(keys); i++) {
		if (keys[i].peer == (r->peer != NULL) && at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
					       at > 0 ? ", " : "", keys[i].name);
	}
	return wg_fail(r, "[%s] has no key \"%s\", expected one of %s",
		       r->peer != NULL ? "Peer" : "Interface", word(shown, name), names);
}

/* Once for each key: a second PostUp says nothing new. */
static void note(struct wg_reader *r, size_t key, const char *value)
{
	if (r->noted[key] || *value == '\0' || strcasecmp(value, "false") == 0 ||
	    strcasecmp(value, "off") == 0 || strcmp(value, "0") == 0)
		return;
	r->noted[key] = true;
	wg_note(r, "%s %s", keys[key].name, keys[key].note);
}

static int take_key(struct wg_reader *r, const char *name, char *value)
{
	struct omni_err why;

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(keys); i++) {
		if (strcasecmp(keys[i].name, name) != 0 || keys[i].peer != (r->peer != NULL))
			continue;
		value = keys[i].wg ? wg_squeeze(value) : wg_trim(value);
		if (keys[i].set == NULL)
			note(r, i, value);
		else if (keys[i].set(r, value, &why) != 0)
			return wg_fail(r, "%s: %s", keys[i].name, why.text);
		return 0;
	}
	return fail_key(r, name);
}

/* ---- Lines ---- */

static int take_section(struct wg_reader *r, const char *line)
{
	char shown[24];

	if (strcasecmp(line, "[Interface]") == 0) {
		r->section = true;
		r->peer = NULL;
		return 0;
	}
	if (strcasecmp(line, "[Peer]") != 0)
		return wg_fail(r, "\"%s\" is not known, expected [Interface] or [Peer]",
			       word(shown, line));
	if (r->section && r->peer != NULL && wg_check_peer(r) != 0)
		return -EINVAL;
	r->section = true;
	r->peer = &r->wg->peers[r->wg->n_peers++];
	r->peer->dialect = OMNI_DIALECT_WIREGUARD;
	snprintf(r->peer->name, sizeof(r->peer->name), "%s", r->comment);
	return 0;
}

/* A comment beside [Peer] that could be a name is the peer's name. */
static void take_comment(struct wg_reader *r, const char *text, bool alone)
{
	char name[OMNI_CONFIG_NAME_LEN];

	r->comment[0] = '\0';
	text += strspn(text, "# \t");
	if (!alone || *text == '\0' || value_name(name, text, NULL) != 0)
		return;
	if (r->fresh && r->peer != NULL && r->peer->name[0] == '\0')
		memcpy(r->peer->name, name, sizeof(name));
	else
		memcpy(r->comment, name, sizeof(name));
}

static int take_line(struct wg_reader *r, char *text)
{
	char *hash = strchr(text, '#'), *line, *value, shown[24];
	int rc;

	if (hash != NULL) {
		char *comment = wg_trim(hash + 1);

		*hash = '\0';
		line = wg_trim(text);
		take_comment(r, comment, *line == '\0');
	} else {
		line = wg_trim(text);
	}
	if (*line == '\0')
		return 0;
	r->fresh = *line == '[';
	if (*line == '[') {
		rc = take_section(r, wg_squeeze(line));
		r->comment[0] = '\0';
		return rc;
	}
	r->comment[0] = '\0';
	value = strchr(line, '=');
	if (value == NULL)
		return wg_fail(r, "\"%s\" is no setting, expected KEY = VALUE", word(shown, line));
	*value++ = '\0';
	if (!r->section)
		return wg_fail(r, "\"%s\" stands in no section, expected [Interface] first",
			       word(shown, line));
	return take_key(r, wg_squeeze(line), value);
}

static int take_lines(struct wg_reader *r, const char *text, size_t len)
{
	char *line = malloc(len + 1); /* long lists of prefixes stand in one line */
	int rc = 0;

	if (line == NULL)
		return omni_fail(r->err, -ENOMEM, "%s: out of memory", r->file);
	for (size_t at = 0; at < len && rc == 0; at++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - text) - at : len - at;

		r->line++;
		if (memchr(text + at, '\0', n) != NULL) {
			rc = wg_fail(r, "holds a zero byte, expected lines of text");
			break;
		}
		memcpy(line, text + at, n);
		line[n] = '\0';
		rc = take_line(r, line);
		at += n;
	}
	omni_wipe(line, len + 1);
	free(line);
	return rc;
}

/* The interface's name. */
static int take_name(struct omni_wg_quick *wg, const char *path, struct omni_err *err)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	size_t len = strlen(base);
	char name[64];
	struct omni_err why;

	if (len > 5 && strcmp(base + len - 5, ".conf") == 0)
		len -= 5;
	snprintf(name, sizeof(name), "%.*s", (int)len, base);
	if (value_interface(wg->name, name, &why) != 0)
		return omni_fail(err, -EINVAL,
				 "%s: the interface gets the file's name, and \"%s\" can be none: "
				 "%s",
				 path, name, why.text);
	return 0;
}

static size_t count_sections(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '[';
	return n;
}

struct omni_wg_quick *omni_wg_quick_parse(const char *text, size_t len, const char *path,
					  struct omni_err *err)
{
	struct omni_wg_quick *wg = calloc(1, sizeof(*wg));
	const char *slash = strrchr(path, '/');
	struct wg_reader r = {.wg = wg, .file = slash != NULL ? slash + 1 : path, .err = err};
	bool good = false;
	size_t peers;

	if (wg == NULL) {
		omni_fail(err, -ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	wg->table = OMNI_CONFIG_TABLE_MAIN;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	peers = count_sections(text, len);
	wg->peers = calloc(peers + 1, sizeof(*wg->peers));
	r.said = calloc(peers + 1, sizeof(*r.said));
	if (wg->peers == NULL || r.said == NULL)
		omni_fail(err, -ENOMEM, "%s: out of memory", path);
	else
		good = take_name(wg, path, err) == 0 && take_lines(&r, text, len) == 0 &&
		       wg_finish(&r) == 0;
	free(r.said);
	if (good)
		return wg;
	omni_wg_quick_free(wg);
	return NULL;
}

struct omni_wg_quick *omni_wg_quick_load(const char *path, struct omni_err *err)
{
	struct omni_wg_quick *wg;
	mode_t mode = 0;
	size_t len = 0;
	char *text = config_read_file(path, &len, &mode, err);

	if (text == NULL)
		return NULL;
	wg = omni_wg_quick_parse(text, len, path, err);
	omni_wipe(text, len);
	free(text);
	if (wg != NULL && (mode & 077) != 0)
		snprintf(wg->notes[wg->n_notes++], OMNI_CONFIG_WARNING_LEN,
			 "%.100s holds a private key and others can read it: chmod 600", path);
	return wg;
}

void omni_wg_quick_free(struct omni_wg_quick *wg)
{
	if (wg == NULL)
		return;
	for (unsigned int i = 0; wg->peers != NULL && i < wg->n_peers; i++) {
		free(wg->peers[i].allowed);
		omni_wipe(&wg->peers[i], sizeof(wg->peers[i]));
	}
	free(wg->peers);
	free(wg->addresses);
	omni_wipe(wg, sizeof(*wg));
	free(wg);
}
