/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Allowed IPs of peers: as texts in `peers`, as a parameter of peer.add, and peer.allow. */
#include "rpc.h"

/* ---- Out ---- */

struct walk {
	const struct omni_ctl *ctl;
	json_t **list; /* by index of the peer */
};

static int add_route(const struct omni_fib_entry *entry, void *arg)
{
	const struct walk *w = arg;
	uint32_t index = omni_dest_index(entry->dest);
	char text[OMNI_PREFIX_TEXT_LEN];

	if (omni_dest_kind(entry->dest) != OMNI_DEST_PEER || index >= w->ctl->conf.peers->size)
		return 0;
	if (w->list[index] == NULL)
		w->list[index] = json_array();
	json_array_append_new(w->list[index], json_string(omni_prefix_text(text, &entry->prefix)));
	return 0;
}

json_t **rpc_allowed_read(const struct omni_ctl *ctl)
{
	struct walk w = {.ctl = ctl, .list = calloc(ctl->conf.peers->size, sizeof(void *))};

	if (w.list != NULL)
		omni_fib_walk(ctl->conf.fib, add_route, &w);
	return w.list;
}

json_t *rpc_allowed_of(json_t **list, const struct ctl_peer *peer)
{
	json_t *its = list != NULL ? list[peer->pub->index] : NULL;

	return its != NULL ? json_incref(its) : json_array();
}

void rpc_allowed_free(const struct omni_ctl *ctl, json_t **list)
{
	for (uint32_t i = 0; list != NULL && i < ctl->conf.peers->size; i++)
		json_decref(list[i]);
	free(list);
}

/* ---- In ---- */

static int parse(const char *text, size_t len, struct omni_prefix *out, struct omni_err *err)
{
	char one[OMNI_PREFIX_TEXT_LEN];

	if (len < sizeof(one)) {
		memcpy(one, text, len);
		one[len] = '\0';
		if (omni_prefix_parse(out, one, 32, 128) == 0)
			return 0;
	}
	return omni_fail(err, -EINVAL, "allowed_ips: ADDRESS/LENGTH was expected: %.*s", (int)len,
			 text);
}

/* "10.0.0.0/8, fd00::/8"; "" is none. */
static int parse_text(const char *text, struct omni_prefix *out, unsigned int *n,
		      struct omni_err *err)
{
	int rc = 0;

	for (const char *at = text + strspn(text, " ,"); *at != '\0' && rc == 0;) {
		size_t len = strcspn(at, " ,");

		rc = parse(at, len, &out[(*n)++], err);
		at += len;
		at += strspn(at, " ,");
	}
	return rc;
}

static int parse_list(const json_t *list, struct omni_prefix *out, unsigned int *n,
		      struct omni_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text == NULL)
			return omni_fail(err, -EINVAL, "allowed_ips: a list of texts was expected");
		rc = parse(text, strlen(text), &out[(*n)++], err);
	}
	return rc;
}

int rpc_allowed_param(const json_t *params, struct omni_prefix **out, unsigned int *n,
		      struct omni_err *err)
{
	const json_t *p = json_object_get(params, "allowed_ips");
	const char *text = json_string_value(p);
	size_t most = text != NULL ? strlen(text) : json_array_size(p);
	int rc;

	*out = NULL;
	*n = 0;
	if (p == NULL)
		return -ENOENT;
	if (text == NULL && !json_is_array(p))
		return omni_fail(err, -EINVAL, "allowed_ips: a text or a list was expected");
	*out = calloc(most + 1, sizeof(**out));
	if (*out == NULL)
		return omni_fail(err, -ENOMEM, "allowed_ips: no memory");
	rc = text != NULL ? parse_text(text, *out, n, err) : parse_list(p, *out, n, err);
	if (rc == 0 && *n > OMNI_CONFIG_PREFIXES_MAX)
		rc = omni_fail(err, -EINVAL, "allowed_ips: at most %d were expected",
			       OMNI_CONFIG_PREFIXES_MAX);
	if (rc == 0)
		return 0;
	free(*out);
	*out = NULL;
	return rc;
}

/* ---- peer.allow ---- */

static int allow(struct omni_ctl *ctl, struct ctl_peer *peer, const json_t *params,
		 struct omni_err *err)
{
	struct omni_prefix *list;
	unsigned int n;
	int rc = rpc_allowed_param(params, &list, &n, err);

	if (rc == -ENOENT)
		return omni_fail(err, -EINVAL, "allowed_ips: the prefixes are missing");
	if (rc != 0)
		return rc;
	rc = ctl_allowed_replace(ctl, peer, list, n);
	free(list);
	return rc == 0 ? 0 : omni_fail(err, rc, "the table of routes is full");
}

RPC_HANDLER(rpc_peer_allow)
{
	struct omni_ctl *ctl = ctx;
	struct ctl_peer *peer = NULL;
	const char *name = NULL;
	json_t **list;
	int rc = rpc_params(params, "peer cluster allowed_ips", err);

	if (rc == 0)
		rc = rpc_param_peer(ctl, params, &peer, &name, err);
	if (rc != 0)
		return rc;
	if (peer->origin != CTL_ORIGIN_STATIC || peer->cluster->conf->mode != OMNI_MODE_L3)
		return omni_fail(err, -EPERM, "%.64s is no static peer of an L3 cluster", name);
	rc = allow(ctl, peer, params, err);
	if (rc != 0)
		return rc;
	list = rpc_allowed_read(ctl);
	rc = rpc_give(result, json_pack("{s:o, s:o}", "key", rpc_key(&peer->key), "allowed_ips",
					rpc_allowed_of(list, peer)));
	rpc_allowed_free(ctl, list);
	return rc;
}
