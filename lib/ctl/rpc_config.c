/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config: what is in effect, defaults included. Secrets are named as set, never shown. */
#include <stdio.h>
#include <unistd.h>

#include "rpc.h"

/* NULL where the port does not say. */
static json_t *address_json(const struct omni_config_port *p)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	switch (p->carries) {
	case OMNI_ADDRESS_VIP:
		return json_string("vip");
	case OMNI_ADDRESS_OWN:
		return json_string(omni_prefix_text(text, &p->address));
	case OMNI_ADDRESS_NONE:
		return json_string("none");
	default:
		return json_null();
	}
}

static json_t *generate_json(const struct omni_config_generate *g)
{
	json_t *o = json_pack("{s:i, s:o}", "flows", (int)g->flows, "to", rpc_mac(g->to));

	json_object_set_new(o, "size", g->size != 0 ? json_integer(g->size) : json_string("imix"));
	if (g->rate != 0)
		json_object_set_new(o, "rate", json_integer(g->rate));
	return o;
}

static json_t *via_json(const struct omni_config_port *p)
{
	char text[OMNI_PREFIX_TEXT_LEN];
	json_t *list = json_array();

	for (unsigned int i = 0; i < p->n_via; i++)
		json_array_append_new(list, json_pack("{s:s, s:o}", "to",
						      omni_prefix_text(text, &p->via[i].to),
						      "gateway", rpc_ip(&p->via[i].gateway)));
	return list;
}

static json_t *port_json(const struct omni_config_port *p)
{
	json_t *o = json_pack("{s:s, s:i}", "driver", p->driver, "queues", (int)p->queues);

	if (p->interface[0] != '\0')
		json_object_set_new(o, "interface", json_string(p->interface));
	if (p->mode[0] != '\0')
		json_object_set_new(o, "mode", json_string(p->mode));
	if (p->mtu != 0)
		json_object_set_new(o, "mtu", json_integer(p->mtu));
	if (p->has_mac)
		json_object_set_new(o, "mac", rpc_mac(p->mac));
	if (omni_config_is_host(p) || p->carries == OMNI_ADDRESS_OWN)
		json_object_set_new(o, "address", address_json(p));
	if (p->n_via > 0)
		json_object_set_new(o, "via", via_json(p));
	if (omni_config_is_host(p)) {
		bool by_rules = p->routes_table == OMNI_CONFIG_TABLE_DEFAULT;

		json_object_set_new(
			o, "routes_table",
			json_integer(by_rules ? OMNI_CONFIG_TABLE_MAIN : p->routes_table));
		json_object_set_new(o, "default_route", json_boolean(by_rules));
	}
	if (strcmp(p->driver, "memif") == 0) {
		json_object_set_new(o, "socket", json_string(p->socket));
		json_object_set_new(o, "id", json_integer(p->memif_id));
		json_object_set_new(o, "server", json_boolean(p->server));
	}
	if (p->generate.flows != 0)
		json_object_set_new(o, "generate", generate_json(&p->generate));
	return o;
}

static json_t *ports_json(const struct omni_config *config)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < config->n_ports; i++)
		json_object_set_new(o, config->ports[i].name, port_json(&config->ports[i]));
	return o;
}

static json_t *underlay_json(const struct omni_config *config)
{
	const struct omni_config_underlay *u = &config->underlay;
	json_t *o = json_pack("{s:s, s:i, s:I}", "port", config->ports[u->port].name, "listen",
			      (int)u->listen, "fwmark", (json_int_t)u->fwmark);
	char text[OMNI_PREFIX_TEXT_LEN];
	json_t *hops;

	if (!u->has_address)
		return o;
	json_object_set_new(o, "address", json_string(omni_prefix_text(text, &u->address)));
	hops = json_array();
	for (unsigned int i = 0; i < u->n_next_hops; i++) {
		const struct omni_config_next_hop *h = &u->next_hops[i];

		json_array_append_new(hops,
				      json_pack("{s:s, s:o}", "to",
						h->any ? "any" : omni_prefix_text(text, &h->to),
						"mac", rpc_mac(h->mac)));
	}
	json_object_set_new(o, "next_hops", hops);
	return o;
}

static json_t *host_json(const char *host, uint16_t port)
{
	const char *f = strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u";
	char text[OMNI_HOST_LEN + 10];

	if (host[0] == '\0')
		return json_null();
	snprintf(text, sizeof(text), f, host, port);
	return json_string(text);
}

static json_t *nucleus_json(const struct omni_config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->n_nucleus; i++) {
		const struct omni_config_nucleus *n = &config->nucleus[i];

		json_array_append_new(list, json_pack("{s:o, s:o}", "endpoint",
						      host_json(n->host, n->port), "key",
						      n->has_key ? rpc_key(&n->key) : json_null()));
	}
	return list;
}

static json_t *prefixes_json(const struct omni_prefix *list, unsigned int n)
{
	char text[OMNI_PREFIX_TEXT_LEN];
	json_t *a = json_array();

	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(a, json_string(omni_prefix_text(text, &list[i])));
	return a;
}

static json_t *peer_json(const struct omni_config_peer *p)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:b, s:s, s:i, s:i}", "key", rpc_key(&p->key),
			      "endpoint", host_json(p->host, p->port), "vip", rpc_ip(&p->vip),
			      "psk", (int)p->has_psk, "dialect",
			      p->dialect == OMNI_DIALECT_WIREGUARD ? "wireguard" : "omni",
			      "keepalive", (int)p->keepalive_s, "path_mtu", (int)p->path_mtu);

	if (p->n_allowed > 0)
		json_object_set_new(o, "allowed_ips", prefixes_json(p->allowed, p->n_allowed));
	return o;
}

static json_t *vip_json(const struct omni_config_cluster *c)
{
	char text[OMNI_PREFIX_TEXT_LEN];

	return json_string(c->vip_auto ? "auto" : omni_prefix_text(text, &c->vip));
}

static json_t *mss_json(uint16_t mss)
{
	if (mss == OMNI_CONFIG_MSS_OFF || mss == OMNI_CONFIG_MSS_AUTO)
		return json_string(mss == OMNI_CONFIG_MSS_OFF ? "off" : "auto");
	return json_integer(mss);
}

static void add_l3(json_t *o, const struct omni_config_cluster *c)
{
	json_object_set_new(o, "addresses", prefixes_json(c->addresses, c->n_addresses));
	json_object_set_new(o, "advertise", prefixes_json(c->advertise, c->n_advertise));
	json_object_set_new(o, "accept", prefixes_json(c->accept, c->n_accept));
	json_object_set_new(o, "mtu", json_integer(c->mtu));
	json_object_set_new(o, "dialect",
			    json_string(c->dialects == OMNI_DIALECT_OMNI	? "omni"
					: c->dialects == OMNI_DIALECT_WIREGUARD ? "wireguard"
										: "auto"));
	json_object_set_new(o, "relay",
			    c->relay == OMNI_RELAY_HOST
				    ? json_string("host")
				    : json_boolean(c->relay == OMNI_RELAY_PEERS));
	json_object_set_new(o, "ecn", json_boolean(c->ecn));
	json_object_set_new(o, "dscp",
			    c->dscp == OMNI_CONFIG_DSCP_COPY ? json_string("copy")
							     : json_integer(c->dscp));
}

static json_t *cluster_json(const struct omni_config *config, const struct omni_config_cluster *c)
{
	json_t *ports = json_array(), *peers = json_object(), *deny = json_array(), *o;

	for (unsigned int i = 0; i < c->n_ports; i++)
		json_array_append_new(ports, json_string(config->ports[c->ports[i]].name));
	for (unsigned int i = 0; i < c->n_peers; i++)
		json_object_set_new(peers, c->peers[i].name, peer_json(&c->peers[i]));
	for (unsigned int i = 0; i < c->n_deny; i++)
		json_array_append_new(deny, rpc_key(&c->deny[i]));
	o = json_pack("{s:s, s:b, s:b, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:I, s:I, s:I}", "mode",
		      rpc_mode_name(c->mode), "secret", (int)(c->secret != NULL), "open",
		      (int)c->open, "vip", vip_json(c), "cipher",
		      c->cipher == OMNI_CIPHER_NONE ? "auto" : omni_cipher_name(c->cipher), "ports",
		      ports, "peers", peers, "deny", deny, "bundles", c->bundles ? "auto" : "off",
		      "tcp_mss", mss_json(c->tcp_mss), "flood_fps", (json_int_t)c->flood_fps,
		      "fdb_ageing_s", (json_int_t)c->fdb_ageing_s, "fdb_limit",
		      (json_int_t)c->fdb_limit);
	if (c->mode == OMNI_MODE_L3)
		add_l3(o, c);
	return o;
}

static json_t *clusters_json(const struct omni_config *config)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < config->n_clusters; i++)
		json_object_set_new(o, config->clusters[i].name,
				    cluster_json(config, &config->clusters[i]));
	return o;
}

static json_t *limits_json(const struct omni_config *config)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I}", "peers", (json_int_t)config->limits.peers,
		"clusters", (json_int_t)config->limits.clusters, "fdb",
		(json_int_t)config->limits.fdb, "lanes", (json_int_t)config->limits.lanes, "mesh",
		(json_int_t)config->limits.mesh, "routes", (json_int_t)config->limits.routes);
}

/* Who asks is in another folder. */
static json_t *file_json(const struct omni_config *config)
{
	char folder[OMNI_CONFIG_PATH_LEN];

	if (config->path[0] == '\0' || config->path[0] == '/' ||
	    getcwd(folder, sizeof(folder)) == NULL)
		return json_string(config->path);
	return json_sprintf("%s/%s", folder, config->path);
}

RPC_HANDLER(rpc_config)
{
	const struct omni_ctl *ctl = ctx;
	const struct omni_config *config = ctl->conf.config;
	int rc = rpc_params(params, "", err);

	if (rc != 0)
		return rc;
	return rpc_give(result,
			json_pack("{s:o, s:s, s:{s:s}, s:o, s:o, s:o, s:o, s:o, s:{s:s}, s:s}",
				  "file", file_json(config), "identity", config->identity,
				  "workers", "idle",
				  config->idle == OMNI_IDLE_POLL ? "poll" : "adaptive", "ports",
				  ports_json(config), "underlay", underlay_json(config), "nucleus",
				  nucleus_json(config), "clusters", clusters_json(config), "limits",
				  limits_json(config), "management", "socket", config->socket,
				  "log_level", omni_log_level_name(config->log_level)));
}
