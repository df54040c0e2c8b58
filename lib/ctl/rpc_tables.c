/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ports, fdb, fdb.flush, stats, stages. */
#include <math.h>
#include <stdio.h>

#include "rpc.h"

/* ---- ports ---- */

static json_t *cluster_of_port(const struct omni_ctl *ctl, const struct omni_port *port)
{
	uint16_t domain = OMNI_BRIDGE_NONE;

	if (port->id < OMNI_BRIDGE_PORT_SLOTS)
		domain = atomic_load(&ctl->conf.bridges->of_port[port->id]);
	return domain < ctl->n_clusters ? json_string(ctl->cluster[domain].conf->name)
					: json_null();
}

static json_t *port_json(struct omni_ctl *ctl, struct omni_port *port)
{
	const struct omni_port_info *info = &port->info;
	struct omni_port_stats st;
	json_t *o;

	omni_port_refresh(port);
	omni_port_read_stats(port, &st);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:o, s:s, s:o}", "name", port->name,
		      "role", port->id == ctl->uplink ? "underlay" : "local", "driver",
		      info->driver, "mode", info->mode, "why", info->why, "queues",
		      (int)info->queues, "mtu", (int)info->mtu, "offloads", info->offloads, "mac",
		      rpc_mac(info->mac), "link", info->link_up ? "up" : "down", "cluster",
		      cluster_of_port(ctl, port));
	if (o == NULL)
		return NULL;
	json_object_set_new(o, "rx_frames", json_integer((json_int_t)st.rx_frames));
	json_object_set_new(o, "tx_frames", json_integer((json_int_t)st.tx_frames));
	json_object_set_new(o, "rx_bytes", json_integer((json_int_t)st.rx_bytes));
	json_object_set_new(o, "tx_bytes", json_integer((json_int_t)st.tx_bytes));
	json_object_set_new(o, "rx_dropped", json_integer((json_int_t)st.rx_dropped));
	json_object_set_new(o, "tx_dropped", json_integer((json_int_t)st.tx_dropped));
	for (unsigned int i = 0; i < st.n_extra; i++)
		json_object_set_new(o, st.extra[i].name,
				    json_integer((json_int_t)st.extra[i].value));
	return o;
}

RPC_HANDLER(rpc_ports)
{
	struct omni_ctl *ctl = ctx;
	json_t *list;
	int rc = rpc_params(params, "", err);

	if (rc != 0)
		return rc;
	list = json_array();
	for (unsigned int i = 0; i < OMNI_PORTS_MAX; i++) {
		if (ctl->conf.ports->open[i] != NULL)
			json_array_append_new(list, port_json(ctl, ctl->conf.ports->open[i]));
	}
	return rpc_give(result, list);
}

/* ---- fdb ---- */

struct fdb_walk {
	struct omni_ctl *ctl;
	const struct ctl_cluster *only;
	json_t *list;
};

static json_t *via_json(struct omni_ctl *ctl, omni_dest dest)
{
	const struct ctl_peer *peer;
	const struct omni_port *port;
	char key[OMNI_KEY_B64_LEN];

	if (omni_dest_kind(dest) == OMNI_DEST_PORT) {
		port = omni_port_get(ctl->conf.ports, (uint16_t)omni_dest_index(dest));
		return port != NULL ? json_string(port->name) : json_null();
	}
	peer = ctl_peer_of_index(ctl, omni_dest_index(dest), omni_dest_gen(dest));
	return peer != NULL ? json_string(ctl_peer_text(key, peer)) : json_null();
}

static int on_entry(const struct omni_fdb_entry *e, void *arg)
{
	struct fdb_walk *w = arg;
	uint16_t domain = (uint16_t)(e->key >> 48);
	uint32_t now_s = (uint32_t)(ctl_now(w->ctl) / OMNI_NS_PER_S);
	uint8_t mac[6];

	if (domain >= w->ctl->n_clusters ||
	    (w->only != NULL && w->only != &w->ctl->cluster[domain]))
		return 0;
	for (unsigned int i = 0; i < sizeof(mac); i++)
		mac[i] = (uint8_t)(e->key >> (40 - 8 * i));
	json_array_append_new(
		w->list, json_pack("{s:s, s:o, s:o, s:s, s:I}", "cluster",
				   w->ctl->cluster[domain].conf->name, "mac", rpc_mac(mac), "via",
				   via_json(w->ctl, e->dest), "kind",
				   omni_dest_kind(e->dest) == OMNI_DEST_PORT ? "port" : "peer",
				   "age_s", (json_int_t)(now_s > e->age_s ? now_s - e->age_s : 0)));
	return 0;
}

RPC_HANDLER(rpc_fdb)
{
	struct fdb_walk w = {.ctl = ctx};
	struct ctl_cluster *only;
	int rc = rpc_params(params, "cluster", err);

	if (rc == 0)
		rc = rpc_param_cluster(ctx, params, &only, err);
	if (rc != 0)
		return rc;
	w.only = only;
	w.list = json_array();
	omni_fdb_walk(w.ctl->conf.fdb, on_entry, &w);
	return rpc_give(result, w.list);
}

/* ---- fdb.flush ---- */

static int take_mac(const json_t *params, uint8_t mac[6], struct omni_err *err)
{
	const char *text;
	int end = 0, rc = omni_mgmt_param_string(params, "mac", &text, err);

	if (rc != 0)
		return rc;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    text[end] != '\0' || strlen(text) != 17)
		return omni_fail(err, -EINVAL, "mac: AA:BB:CC:DD:EE:FF was expected");
	return 0;
}

/* The destination that port or peer names; OMNI_DEST_MISS where neither is given. */
static int take_dest(struct omni_ctl *ctl, const struct ctl_cluster *c, const json_t *params,
		     omni_dest *dest, struct omni_err *err)
{
	const struct omni_port *port;
	const struct ctl_peer *peer;
	const char *text, *other;
	int rc = omni_mgmt_param_string(params, "port", &text, err);

	*dest = OMNI_DEST_MISS;
	if (rc == 0) {
		if (omni_mgmt_param_string(params, "peer", &other, err) != -ENOENT)
			return omni_fail(err, -EINVAL, "give port or peer, not both");
		port = omni_port_find(ctl->conf.ports, text);
		if (port == NULL)
			return omni_fail(err, -ENOENT, "no port %.64s here", text);
		*dest = omni_dest_make(OMNI_DEST_PORT, port->id, port->generation);
		return 0;
	}
	if (rc != -ENOENT)
		return rc;
	rc = omni_mgmt_param_string(params, "peer", &text, err);
	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	peer = rpc_find_peer(ctl, c, text);
	if (peer == NULL)
		return omni_fail(err, -ENOENT, "no peer %.64s here", text);
	*dest = omni_dest_make(OMNI_DEST_PEER, peer->pub->index, peer->pub->generation);
	return 0;
}

RPC_HANDLER(rpc_fdb_flush)
{
	struct omni_ctl *ctl = ctx;
	unsigned int first = 0, last = ctl->n_clusters, n = 0;
	struct ctl_cluster *c;
	omni_dest dest;
	uint8_t mac[6];
	bool has_mac;
	int rc = rpc_params(params, "cluster port peer mac", err);

	if (rc == 0)
		rc = rpc_param_cluster(ctl, params, &c, err);
	if (rc == 0)
		rc = take_dest(ctl, c, params, &dest, err);
	if (rc != 0)
		return rc;
	rc = take_mac(params, mac, err);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	has_mac = rc == 0;
	if (c != NULL) {
		first = c->number;
		last = first + 1;
	}
	for (unsigned int i = first; i < last; i++)
		n += omni_fdb_flush(ctl->conf.fdb, (uint16_t)i, dest,
				    has_mac ? omni_fdb_key((uint16_t)i, mac) : 0);
	return rpc_give(result, json_pack("{s:I}", "flushed", (json_int_t)n));
}

/* ---- stats ---- */

static json_t *stats_json(const struct omni_stats *s, bool describe)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < OMNI_STAT_COUNT; i++) {
		json_t *value = json_integer((json_int_t)s->count[i]);

		if (describe)
			value = json_pack("{s:o, s:s}", "value", value, "text",
					  omni_stat_text((enum omni_stat)i));
		json_object_set_new(o, omni_stat_name((enum omni_stat)i), value);
	}
	return o;
}

static int take_flag(const json_t *params, const char *name, bool *flag, struct omni_err *err)
{
	int rc = omni_mgmt_param_bool(params, name, flag, err);

	if (rc == -ENOENT)
		*flag = false;
	return rc == -ENOENT ? 0 : rc;
}

RPC_HANDLER(rpc_stats)
{
	struct omni_ctl *ctl = ctx;
	bool per_worker, describe;
	struct omni_stats sum;
	json_t *list;
	int rc = rpc_params(params, "per_worker describe", err);

	if (rc == 0)
		rc = take_flag(params, "per_worker", &per_worker, err);
	if (rc == 0)
		rc = take_flag(params, "describe", &describe, err);
	if (rc != 0)
		return rc;
	if (!per_worker) {
		memset(&sum, 0, sizeof(sum));
		omni_stats_sum(&sum, &ctl->stats);
		for (unsigned int i = 0; i < ctl->conf.n_workers; i++)
			omni_stats_sum(&sum, ctl->conf.worker_stats[i]);
		return rpc_give(result, stats_json(&sum, describe));
	}
	list = json_array();
	for (unsigned int i = 0; i < ctl->conf.n_workers; i++) {
		sum = omni_stats_read(ctl->conf.worker_stats[i]);
		json_array_append_new(list, stats_json(&sum, describe));
	}
	return rpc_give(result, json_pack("{s:o, s:o}", "control",
					  stats_json(&ctl->stats, describe), "workers", list));
}

/* ---- stages ---- */

/* a / b in steps of 1 / steps, as a person reads it; 0 where there is nothing to divide by. */
static double ratio(double a, double b, int steps)
{
	return b > 0 ? rint(a / b * steps) / steps : 0.0;
}

/* worker 0: the sum of all, which is nobody's. */
static void add_stages(json_t *list, const struct omni_stats *s, unsigned int worker)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++)
		all += s->stage[i].cycles;
	for (unsigned int i = 0; i < OMNI_STAGE_COUNT; i++) {
		const struct omni_stage_stats *st = &s->stage[i];
		double cycles = (double)st->cycles;
		json_t *o = json_pack("{s:s, s:I, s:I, s:f, s:f}", "stage",
				      omni_stage_name((enum omni_stage)i), "frames",
				      (json_int_t)st->frames, "bursts", (json_int_t)st->bursts,
				      "cycles_per_frame", ratio(cycles, (double)st->frames, 10),
				      "share", ratio(cycles, (double)all, 1000));

		if (worker > 0)
			json_object_set_new(o, "worker", json_integer(worker));
		json_array_append_new(list, o);
	}
}

RPC_HANDLER(rpc_stages)
{
	struct omni_ctl *ctl = ctx;
	struct omni_stats sum, one;
	bool per_worker;
	json_t *list;
	int rc = rpc_params(params, "per_worker", err);

	if (rc == 0)
		rc = take_flag(params, "per_worker", &per_worker, err);
	if (rc != 0)
		return rc;
	list = json_array();
	memset(&sum, 0, sizeof(sum));
	for (unsigned int i = 0; i < ctl->conf.n_workers; i++) {
		one = omni_stats_read(ctl->conf.worker_stats[i]);
		if (per_worker)
			add_stages(list, &one, i + 1);
		omni_stats_sum(&sum, &one);
	}
	add_stages(list, &sum, 0);
	return rpc_give(result, list);
}
