/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A wg-quick file as a whole: keys, names, and each prefix at the last peer that claims it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "value.h"
#include "wg_quick.h"

#define GONE UINT8_MAX /* length of a prefix that a later peer took */

static void printable(char *text)
{
	/* What a file holds must not steer a terminal. */
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
}

int wg_fail(const struct wg_reader *r, const char *fmt, ...)
{
	char text[OMNI_ERR_TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printable(text);
	return omni_fail(r->err, -EINVAL, "%s:%zu: %s", r->file, r->line, text);
}

void wg_note(struct wg_reader *r, const char *fmt, ...)
{
	struct omni_wg_quick *wg = r->wg;
	char text[OMNI_CONFIG_WARNING_LEN - 64];
	va_list ap;

	/* The last is for who loads the file. */
	if (wg->n_notes >= OMNI_WG_QUICK_NOTES_MAX - 1)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printable(text);
	snprintf(wg->notes[wg->n_notes++], OMNI_CONFIG_WARNING_LEN, "%.32s:%zu: %s", r->file,
		 r->line, text);
}

char *wg_trim(char *text)
{
	size_t len;

	text += strspn(text, WG_BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(WG_BLANKS, text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

char *wg_squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		if (strchr(WG_BLANKS, *from) == NULL)
			*to++ = *from;
	}
	*to = '\0';
	return text;
}

int wg_check_peer(const struct wg_reader *r)
{
	if (!omni_is_zero_ct(&r->peer->key, sizeof(r->peer->key)))
		return 0;
	return wg_fail(r, "the [Peer] before this has no PublicKey, expected one");
}

/* ---- Prefixes ---- */

struct claim {
	struct omni_prefix *prefix;
	unsigned int peer;
};

static int compare_claims(const void *x, const void *y)
{
	const struct claim *a = x, *b = y;
	int c = memcmp(a->prefix->ip.b, b->prefix->ip.b, sizeof(a->prefix->ip.b));

	if (c == 0)
		c = (int)a->prefix->len - (int)b->prefix->len;
	return c != 0 ? c : (a->prefix > b->prefix) - (a->prefix < b->prefix);
}

static bool same(const struct claim *a, const struct claim *b)
{
	return a->prefix->len == b->prefix->len && omni_ip_equal(&a->prefix->ip, &b->prefix->ip);
}

static void compact(struct omni_config_peer *peer)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < peer->n_allowed; i++) {
		if (peer->allowed[i].len != GONE)
			peer->allowed[n++] = peer->allowed[i];
	}
	peer->n_allowed = n;
}

/* An address that stands twice counts once: own has what settle() left of each. */
static void compact_own(struct omni_wg_quick *wg, const struct omni_prefix *own)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < wg->n_addresses; i++) {
		if (own[i].len != GONE)
			wg->addresses[n++] = wg->addresses[i];
	}
	wg->n_addresses = n;
}

/* Everybody's claims: the peers', and ours to own, our addresses alone. How many. */
static size_t collect(struct omni_wg_quick *wg, struct claim *all, struct omni_prefix *own)
{
	size_t n = 0;

	for (unsigned int i = 0; i < wg->n_peers; i++) {
		for (unsigned int j = 0; j < wg->peers[i].n_allowed; j++)
			all[n++] = (struct claim){&wg->peers[i].allowed[j], i};
	}
	for (unsigned int i = 0; i < wg->n_addresses; i++) {
		own[i] = wg->addresses[i];
		own[i].len = omni_ip_is_v4(&own[i].ip) ? 32 : 128;
		all[n++] = (struct claim){&own[i], wg->n_peers};
	}
	return n;
}

/* Of those n who claim the same prefix the last peer gets it, as with wg, but for what is ours. */
static void choose(struct wg_reader *r, struct claim *all, size_t n)
{
	char text[OMNI_PREFIX_TEXT_LEN];
	size_t winner = 0;

	for (size_t i = 1; i < n; i++)
		winner = all[i].peer > all[winner].peer ? i : winner;
	for (size_t i = 0; i < n; i++) {
		if (i == winner)
			continue;
		if (all[winner].peer == r->wg->n_peers && all[i].peer != r->wg->n_peers)
			wg_note(r, "AllowedIPs %s is left out: it is this box's own address",
				omni_prefix_text(text, all[i].prefix));
		all[i].prefix->len = GONE;
	}
}

static int settle(struct wg_reader *r)
{
	struct omni_wg_quick *wg = r->wg;
	size_t n = wg->n_addresses, first = 0;
	struct omni_prefix *own = calloc(n + 1, sizeof(*own));
	struct claim *all;

	for (unsigned int i = 0; i < wg->n_peers; i++)
		n += wg->peers[i].n_allowed;
	all = calloc(n + 1, sizeof(*all));
	if (own == NULL || all == NULL) {
		free(own);
		free(all);
		return -ENOMEM;
	}
	n = collect(wg, all, own);
	if (n > 1)
		qsort(all, n, sizeof(*all), compare_claims);
	for (size_t i = 0; i < n; i = first) {
		for (first = i + 1; first < n && same(&all[i], &all[first]);)
			first++;
		choose(r, &all[i], first - i);
	}
	for (unsigned int i = 0; i < wg->n_peers; i++)
		compact(&wg->peers[i]);
	compact_own(wg, own);
	free(own);
	free(all);
	return 0;
}

/* ---- Keys and names ---- */

static int compare_keys(const void *x, const void *y)
{
	const struct omni_config_peer *const *a = x, *const *b = y;

	int c = memcmp((*a)->key.b, (*b)->key.b, OMNI_KEY_LEN);

	return c != 0 ? c : (*a > *b) - (*a < *b);
}

static int compare_names(const void *x, const void *y)
{
	const struct omni_config_peer *const *a = x, *const *b = y;
	int c = strcmp((*a)->name, (*b)->name);

	return c != 0 ? c : (*a > *b) - (*a < *b);
}

/* What a later section of the same peer does not say stays, but for its prefixes. */
static void take_over(struct wg_reader *r, struct omni_config_peer *to,
		      struct omni_config_peer *from)
{
	struct wg_said *said = &r->said[to - r->wg->peers];
	const struct wg_said *before = &r->said[from - r->wg->peers];

	if (to->host[0] == '\0') {
		memcpy(to->host, from->host, sizeof(to->host));
		to->port = from->port;
	}
	if (!said->psk) {
		to->has_psk = from->has_psk;
		to->psk = from->psk;
	}
	if (!said->keepalive)
		to->keepalive_s = from->keepalive_s;
	said->psk |= before->psk;
	said->keepalive |= before->keepalive;
	if (to->name[0] == '\0')
		memcpy(to->name, from->name, sizeof(to->name));
	free(from->allowed);
	omni_wipe(from, sizeof(*from));
}

/* As with wg, where each section of a peer changes what the ones before it said. */
static void join_twins(struct wg_reader *r, struct omni_config_peer **all)
{
	struct omni_wg_quick *wg = r->wg;
	unsigned int n = wg->n_peers, left = 0;

	if (n > 1)
		qsort(all, n, sizeof(struct omni_config_peer *), compare_keys);
	for (unsigned int i = 1; i < n; i++) {
		char text[OMNI_KEY_B64_LEN];

		if (memcmp(&all[i - 1]->key, &all[i]->key, OMNI_KEY_LEN) != 0)
			continue;
		wg_note(r, "several [Peer] sections have the PublicKey %s: the last one holds",
			omni_key_text(text, &all[i]->key));
		take_over(r, all[i], all[i - 1]);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (omni_is_zero_ct(&wg->peers[i].key, sizeof(wg->peers[i].key)))
			continue;
		if (i != left) {
			wg->peers[left] = wg->peers[i];
			omni_wipe(&wg->peers[i], sizeof(wg->peers[i]));
		}
		left++;
	}
	wg->n_peers = left;
}

/* A number for those without a name, and for the later of two with the same. */
static void give_names(struct omni_wg_quick *wg, struct omni_config_peer **all, size_t n)
{
	char last[OMNI_CONFIG_NAME_LEN] = "";

	if (n > 1)
		qsort(all, n, sizeof(struct omni_config_peer *), compare_names);
	for (size_t i = 0; i < n; i++) {
		bool numbered = strncmp(all[i]->name, "peer", 4) == 0 || all[i]->name[0] == '\0';
		bool twice = strcmp(all[i]->name, last) == 0;

		memcpy(last, all[i]->name, sizeof(last));
		if (numbered || twice)
			snprintf(all[i]->name, sizeof(all[i]->name), "peer%zu",
				 (size_t)(all[i] - wg->peers) + 1);
	}
}

static const struct omni_prefix *default_route(const struct omni_wg_quick *wg)
{
	for (unsigned int i = 0; i < wg->n_peers; i++)
		for (unsigned int j = 0; j < wg->peers[i].n_allowed; j++)
			if (wg->peers[i].allowed[j].len == 0)
				return &wg->peers[i].allowed[j];
	return NULL;
}

/* A peer that has everything gets everything but the tunnel's own datagrams, as with wg-quick. */
static void take_default_route(struct wg_reader *r)
{
	const struct omni_prefix *all = default_route(r->wg);
	char text[OMNI_PREFIX_TEXT_LEN];

	if (all == NULL || r->wg->table != OMNI_CONFIG_TABLE_MAIN)
		return;
	if (value_is_kernel_table(r->wg->fwmark))
		wg_note(r,
			"AllowedIPs %s: the default route is not changed, since a table with the "
			"FwMark's number is the kernel's own",
			omni_prefix_text(text, all));
	else
		r->wg->table = OMNI_CONFIG_TABLE_DEFAULT;
}

int wg_finish(struct wg_reader *r)
{
	struct omni_wg_quick *wg = r->wg;
	struct omni_config_peer **all;

	if (r->section && r->peer != NULL && wg_check_peer(r) != 0)
		return -EINVAL;
	if (!r->has_key || omni_is_zero_ct(&wg->key, sizeof(wg->key)))
		return wg_fail(r, "[Interface] has no PrivateKey, expected one");
	all = calloc(wg->n_peers + 1, sizeof(struct omni_config_peer *));
	if (all == NULL)
		return omni_fail(r->err, -ENOMEM, "%s: out of memory", r->file);
	for (unsigned int i = 0; i < wg->n_peers; i++)
		all[i] = &wg->peers[i];
	join_twins(r, all);
	for (unsigned int i = 0; i < wg->n_peers; i++)
		all[i] = &wg->peers[i];
	give_names(wg, all, wg->n_peers);
	free(all);
	if (settle(r) != 0)
		return omni_fail(r->err, -ENOMEM, "%s: out of memory", r->file);
	take_default_route(r);
	return 0;
}
