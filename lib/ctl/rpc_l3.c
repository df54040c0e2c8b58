/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* routes, neighbours: what L3 clusters know. */
#include "neighbours.h"
#include "rpc.h"

/* ---- routes ---- */

struct walk {
	struct omni_ctl *ctl;
	const struct ctl_cluster *only;
	json_t *list;
};

static const char *kind_name(omni_dest dest)
{
	static const char *const names[] = {
		[OMNI_DEST_NONE] = "none",     [OMNI_DEST_PORT] = "port", [OMNI_DEST_PEER] = "peer",
		[OMNI_DEST_HOST] = "host",     [OMNI_DEST_SELF] = "self", [OMNI_DEST_ASK] = "ask",
		[OMNI_DEST_REJECT] = "reject",
	};

	return names[omni_dest_kind(dest)];
}

static json_t *port_name(const struct omni_ctl *ctl, uint32_t id)
{
	const struct omni_port *port =
		id < OMNI_PORTS_MAX ? omni_port_get(ctl->conf.ports, (uint16_t)id) : NULL;

	return port != NULL ? json_string(port->name) : json_null();
}

/* A peer or a port. */
static json_t *via(struct omni_ctl *ctl, omni_dest dest)
{
	const struct omni_adjacency *host;
	const struct ctl_peer *peer;
	char key[OMNI_KEY_B64_LEN];

	switch (omni_dest_kind(dest)) {
	case OMNI_DEST_PEER:
		peer = ctl_peer_of_index(ctl, omni_dest_index(dest), omni_dest_gen(dest));
		return peer != NULL ? json_string(ctl_peer_text(key, peer)) : json_null();
	case OMNI_DEST_PORT:
		return port_name(ctl, omni_dest_index(dest));
	case OMNI_DEST_HOST:
		host = omni_fib_adjacency(ctl->conf.fib, dest);
		return host != NULL ? port_name(ctl, host->port) : json_null();
	default:
		return json_null();
	}
}

static int on_route(const struct omni_fib_entry *e, void *arg)
{
	char text[OMNI_PREFIX_TEXT_LEN];
	struct walk *w = arg;
	struct omni_prefix prefix = omni_prefix_masked(&e->prefix);

	if (e->cluster >= w->ctl->n_clusters ||
	    (w->only != NULL && w->only != &w->ctl->cluster[e->cluster]))
		return 0;
	json_array_append_new(w->list, json_pack("{s:s, s:s, s:s, s:o}", "cluster",
						 w->ctl->cluster[e->cluster].conf->name, "prefix",
						 omni_prefix_text(text, &prefix), "kind",
						 kind_name(e->dest), "via", via(w->ctl, e->dest)));
	return 0;
}

static int of_cluster(struct walk *w, const json_t *params, struct omni_err *err)
{
	struct ctl_cluster *only = NULL;
	int rc = rpc_params(params, "cluster", err);

	if (rc == 0)
		rc = rpc_param_cluster(w->ctl, params, &only, err);
	if (rc != 0)
		return rc;
	w->only = only;
	w->list = json_array();
	return 0;
}

RPC_HANDLER(rpc_routes)
{
	struct walk w = {.ctl = ctx};
	int rc = of_cluster(&w, params, err);

	if (rc != 0)
		return rc;
	omni_fib_walk(w.ctl->conf.fib, on_route, &w);
	return rpc_give(result, w.list);
}

/* ---- neighbours ---- */

static json_t *neigh_json(const struct omni_ctl *ctl, const struct ctl_neigh *n)
{
	static const char *const states[] = {
		[CTL_NEIGH_ASKED] = "asked",
		[CTL_NEIGH_REACHABLE] = "reachable",
		[CTL_NEIGH_STALE] = "stale",
		[CTL_NEIGH_FAILED] = "failed",
	};

	return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o}", "cluster", n->cluster->conf->name,
			 "port", port_name(ctl, n->port), "address", rpc_ip(&n->ip), "mac",
			 n->dest != OMNI_DEST_MISS ? rpc_mac(n->mac) : json_null(), "state",
			 states[n->state], "heard_s", rpc_age(ctl, n->heard_ns));
}

RPC_HANDLER(rpc_neighbours)
{
	struct walk w = {.ctl = ctx};
	const struct ctl_neigh *n;
	int rc = of_cluster(&w, params, err);

	if (rc != 0)
		return rc;
	TAILQ_FOREACH (n, &w.ctl->neighbours->all, entry)
		if (w.only == NULL || w.only == n->cluster)
			json_array_append_new(w.list, neigh_json(w.ctl, n));
	return rpc_give(result, w.list);
}
