/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Management: the list of methods, and what their handlers share. */
#include <stdio.h>

#include <rte_version.h>

#include "nucleus_client.h"
#include "rpc.h"

static const struct omni_mgmt_method methods[] = {
	{.name = "status",
	 .description = "Identity, clusters, Nucleus sessions, workers and warnings.",
	 .params = "",
	 .handler = rpc_status},
	{.name = "peers",
	 .description =
		 "Peers with their address, state, and the reason where there is no session.",
	 .params = "cluster (optional)",
	 .handler = rpc_peers},
	{.name = "sessions",
	 .description = "Transport keys of each peer, with their cipher, lanes and counts.",
	 .params = "cluster (optional)",
	 .handler = rpc_sessions},
	{.name = "ports",
	 .description = "Ports, what the drivers obtained, and their counts.",
	 .params = "",
	 .handler = rpc_ports},
	{.name = "pools",
	 .description = "Packet buffers: how many there are, and how many are free.",
	 .params = "",
	 .handler = rpc_pools},
	{.name = "fdb",
	 .description = "Learned MAC addresses: where each lives and how old it is.",
	 .params = "cluster (optional)",
	 .handler = rpc_fdb},
	{.name = "fdb.flush",
	 .description = "Forget learned MAC addresses.",
	 .params = "cluster (optional), port (optional), peer (optional), mac (optional)",
	 .handler = rpc_fdb_flush},
	{.name = "routes",
	 .description = "Routes of L3 clusters: what leads to which peer or port.",
	 .params = "cluster (optional)",
	 .handler = rpc_routes},
	{.name = "neighbours",
	 .description = "Hosts on the links of L3 clusters' ports, and how each stands.",
	 .params = "cluster (optional)",
	 .handler = rpc_neighbours},
	{.name = "stats",
	 .description = "Every counter, of workers and control summed.",
	 .params = "per_worker (optional), describe (optional)",
	 .handler = rpc_stats},
	{.name = "stages",
	 .description = "Cycles of each stage of the pipeline per frame.",
	 .params = "per_worker (optional)",
	 .handler = rpc_stages},
	{.name = "config",
	 .description = "The configuration in effect, without its secrets.",
	 .params = "",
	 .handler = rpc_config},
	{.name = "log.level",
	 .description = "Read or set the level of the log.",
	 .params = "level (optional: error, warn, info, debug)",
	 .handler = rpc_log_level},
	{.name = "peer.add",
	 .description = "Add a static peer until the next start.",
	 .params = "cluster, key, name (optional), endpoint (optional), vip (optional), "
		   "psk (optional), keepalive (optional), path_mtu (optional), "
		   "dialect (optional: omni, wireguard), allowed_ips (optional)",
	 .handler = rpc_peer_add},
	{.name = "peer.allow",
	 .description = "Replace the allowed IPs of a static peer in an L3 cluster.",
	 .params = "peer (name or key), allowed_ips, cluster (optional)",
	 .handler = rpc_peer_allow},
	{.name = "peer.set",
	 .description = "Change a static WireGuard peer, whose session goes on.",
	 .params = "peer (name or key), endpoint (optional), keepalive (optional), "
		   "psk (optional; empty: none), cluster (optional)",
	 .handler = rpc_peer_set},
	{.name = "peer.remove",
	 .description = "Close the sessions of a static peer and forget it.",
	 .params = "peer (name or key), cluster (optional)",
	 .handler = rpc_peer_remove},
	{.name = "nucleus.forget",
	 .description = "Forget the remembered key of a Nucleus, so that another is accepted.",
	 .params = "endpoint (optional: HOST:PORT as configured; all where it is not given)",
	 .handler = rpc_nucleus_forget},
	{.name = "version",
	 .description = "Versions of the program and of DPDK.",
	 .params = "",
	 .handler = rpc_version},
};

int ctl_rpc_init(struct omni_ctl *ctl, struct omni_err *err)
{
	int rc = 0;

	if (ctl->conf.loop == NULL || ctl->conf.config->socket[0] == '\0')
		return 0;
	ctl->mgmt = omni_mgmt_create(ctl->conf.loop);
	if (ctl->mgmt == NULL)
		return omni_fail(err, -errno, "no management server: %s", strerror(errno));
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(methods) && rc == 0; i++) {
		struct omni_mgmt_method m = methods[i];

		m.ctx = ctl;
		rc = omni_mgmt_register(ctl->mgmt, &m);
	}
	if (rc != 0)
		return omni_fail(err, rc, "no management server: %s", strerror(-rc));
	return omni_mgmt_listen(ctl->mgmt, ctl->conf.config->socket, err);
}

void ctl_rpc_stop(struct omni_ctl *ctl)
{
	omni_mgmt_close(ctl->mgmt);
	ctl->mgmt = NULL;
}

/* ---- Parameters ---- */

static bool is_among(const char *name, const char *names)
{
	size_t len = strlen(name);

	for (const char *at = names; *at != '\0'; at += *at == ' ' ? 1 : 0) {
		size_t n = strcspn(at, " ");

		if (n == len && strncmp(at, name, n) == 0)
			return true;
		at += n;
	}
	return false;
}

int rpc_params(const json_t *params, const char *names, struct omni_err *err)
{
	const char *name;
	json_t *value;

	if (params == NULL)
		return 0;
	if (!json_is_object(params))
		return omni_fail(err, -EINVAL, "parameters have names: give an object");
	/* jansson iterates over what it does not change, but knows no const. */
	json_object_foreach((json_t *)(uintptr_t)params, name, value)
	{
		if (is_among(name, names))
			continue;
		if (names[0] == '\0')
			return omni_fail(err, -EINVAL, "unknown parameter %.64s: there are none",
					 name);
		return omni_fail(err, -EINVAL, "unknown parameter %.64s (there are: %s)", name,
				 names);
	}
	return 0;
}

int rpc_param_cluster(struct omni_ctl *ctl, const json_t *params, struct ctl_cluster **cluster,
		      struct omni_err *err)
{
	const char *name;
	int rc = omni_mgmt_param_string(params, "cluster", &name, err);

	*cluster = NULL;
	if (rc == -ENOENT)
		return 0;
	if (rc != 0)
		return rc;
	*cluster = ctl_cluster_by_name(ctl, name);
	return *cluster != NULL ? 0 : omni_fail(err, -ENOENT, "no cluster %.64s here", name);
}

struct ctl_peer *rpc_find_peer(struct omni_ctl *ctl, const struct ctl_cluster *only,
			       const char *name)
{
	struct ctl_peer *peer;
	struct omni_key key;
	bool is_key = omni_key_parse(&key, name) == 0;

	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_cluster *c = &ctl->cluster[i];

		if (only != NULL && c != only)
			continue;
		peer = is_key ? ctl_peer_find(ctl, c, &key) : NULL;
		if (peer != NULL)
			return peer;
		TAILQ_FOREACH (peer, &c->peers, entry) {
			if (peer->name[0] != '\0' && strcmp(peer->name, name) == 0)
				return peer;
		}
	}
	return NULL;
}

int rpc_param_peer(struct omni_ctl *ctl, const json_t *params, struct ctl_peer **peer,
		   const char **name, struct omni_err *err)
{
	struct ctl_cluster *only;
	int rc = rpc_param_cluster(ctl, params, &only, err);

	if (rc != 0)
		return rc;
	rc = omni_mgmt_param_string(params, "peer", name, err);
	if (rc == -ENOENT)
		return omni_fail(err, -EINVAL, "peer: a name or key is missing");
	if (rc != 0)
		return rc;
	*peer = rpc_find_peer(ctl, only, *name);
	return *peer != NULL ? 0 : omni_fail(err, -ENOENT, "no peer %.64s here", *name);
}

/* ---- Values ---- */

json_t *rpc_key(const struct omni_key *key)
{
	char text[OMNI_KEY_B64_LEN];

	return json_string(omni_key_text(text, key));
}

json_t *rpc_ip(const struct omni_ip *ip)
{
	char text[OMNI_IP_TEXT_LEN];

	return omni_ip_is_none(ip) ? json_null() : json_string(omni_ip_text(text, ip));
}

json_t *rpc_endpoint(const struct omni_endpoint *ep)
{
	char text[OMNI_ENDPOINT_TEXT_LEN];

	return ep->port == 0 ? json_null() : json_string(omni_endpoint_text(text, ep));
}

json_t *rpc_mac(const uint8_t mac[6])
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]);
}

json_t *rpc_age(const struct omni_ctl *ctl, uint64_t then_ns)
{
	uint64_t now = ctl_now(ctl);

	if (then_ns == 0)
		return json_null();
	return json_integer((json_int_t)(now > then_ns ? (now - then_ns) / OMNI_NS_PER_S : 0));
}

int rpc_give(json_t **result, json_t *value)
{
	*result = value;
	return value != NULL ? 0 : -ENOMEM;
}

bool rpc_no_way(struct omni_ctl *ctl, const struct omni_endpoint *ep, char out[RPC_TEXT_LEN])
{
	char at[OMNI_ENDPOINT_TEXT_LEN];
	struct omni_path path;
	int rc = ctl_resolve(ctl, ep, &path);

	out[0] = '\0';
	if (rc == -EAGAIN)
		snprintf(out, RPC_TEXT_LEN, "the next hop towards %s does not answer",
			 omni_endpoint_text(at, ep));
	else if (rc == -ELOOP)
		snprintf(out, RPC_TEXT_LEN, "the way to %s leads into the overlay itself",
			 omni_endpoint_text(at, ep));
	else if (rc != 0)
		snprintf(out, RPC_TEXT_LEN, "no route to %s out of the underlay",
			 omni_endpoint_text(at, ep));
	return rc != 0;
}

const char *rpc_mode_name(enum omni_mode mode)
{
	return mode == OMNI_MODE_L3 ? "l3" : "l2";
}

/* ---- Small methods ---- */

RPC_HANDLER(rpc_version)
{
	const struct omni_ctl *ctl = ctx;
	int rc = rpc_params(params, "", err);

	if (rc != 0)
		return rc;
	return rpc_give(result, json_pack("{s:s, s:s}", "version", ctl->conf.version, "dpdk",
					  rte_version()));
}

RPC_HANDLER(rpc_log_level)
{
	enum omni_log_level level;
	const char *text;
	int rc = rpc_params(params, "level", err);

	(void)ctx;
	if (rc != 0)
		return rc;
	rc = omni_mgmt_param_string(params, "level", &text, err);
	if (rc == 0) {
		if (omni_log_level_parse(text, &level) != 0)
			return omni_fail(err, -EINVAL,
					 "level: error, warn, info or debug was expected");
		omni_log_set_level(level);
	} else if (rc != -ENOENT) {
		return rc;
	}
	return rpc_give(result,
			json_pack("{s:s}", "level", omni_log_level_name(omni_log_get_level())));
}

RPC_HANDLER(rpc_nucleus_forget)
{
	const char *text = NULL;
	int rc = rpc_params(params, "endpoint", err);

	if (rc == 0)
		rc = omni_mgmt_param_string(params, "endpoint", &text, err);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	rc = nc_pins_forget(ctx, rc == 0 ? text : NULL);
	if (rc < 0)
		return omni_fail(err, rc, "forgotten, but not on disk: %s", strerror(-rc));
	if (rc == 0)
		return omni_fail(err, -ENOENT,
				 "no key is remembered; a key in the configuration stays");
	return rpc_give(result, json_pack("{s:i}", "forgotten", rc));
}
