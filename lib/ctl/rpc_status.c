/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* status: what somebody reads first when something does not work. */
#include <rte_eal.h>

#include "nucleus_client.h"
#include "rpc.h"

/* The first session that is not registered, unless another one of the cluster is. */
static const struct nc_session *troubled(const struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	const struct nc_session *found = NULL;

	for (unsigned int i = 0; ctl->nucleus != NULL && i < ctl->nucleus->n_sessions; i++) {
		const struct nc_session *s = &ctl->nucleus->session[i];

		if (s->cluster == c && s->registered)
			return NULL;
		if (s->cluster == c && found == NULL)
			found = s;
	}
	return found;
}

/* The first peer that refused our handshake; NULL where none did. */
static const struct ctl_peer *refuser(const struct ctl_cluster *c)
{
	const struct ctl_peer *peer;

	TAILQ_FOREACH (peer, &c->peers, entry) {
		if (peer->refused != OMNI_RESULT_ACCEPTED && !peer->refused_by_us &&
		    !ctl_peer_has_key(peer))
			return peer;
	}
	return NULL;
}

/* Why a cluster has no session where nobody is in trouble. */
static const char *quiet_reason(const struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	if (c->n_peers > 0)
		return "no peer has answered yet";
	for (unsigned int i = 0; ctl->nucleus != NULL && i < ctl->nucleus->n_sessions; i++)
		if (ctl->nucleus->session[i].cluster == c && c->conf->mode == OMNI_MODE_L3)
			return "no traffic for a member yet: each is looked up then";
	return "no peers are known";
}

static json_t *cluster_json(struct omni_ctl *ctl, struct ctl_cluster *c)
{
	const struct nc_session *trouble = troubled(ctl, c);
	struct omni_prefix vip = {.ip = c->vip, .len = c->conf->vip.len};
	char vip_text[OMNI_PREFIX_TEXT_LEN], reason[NC_TEXT_LEN] = "", key[OMNI_KEY_B64_LEN];
	const char *state = c->n_sessions > 0 ? "up" : "waiting";
	const struct ctl_peer *no = refuser(c);

	if (trouble != NULL) {
		nc_reason(trouble, reason);
		if (c->n_sessions == 0 && (trouble->refused != OMNI_SIGNAL_OK ||
					   trouble->hs_result != OMNI_RESULT_ACCEPTED))
			state = "refused";
	} else if (no != NULL) {
		snprintf(reason, sizeof(reason), "refused by %s: %s",
			 no->name[0] != '\0' ? no->name : omni_key_text(key, &no->key),
			 omni_result_name(no->refused));
		if (c->n_sessions == 0)
			state = "refused";
	} else if (c->n_sessions == 0) {
		snprintf(reason, sizeof(reason), "%s", quiet_reason(ctl, c));
	}
	return json_pack(
		"{s:s, s:o, s:s, s:s, s:s, s:b, s:I, s:I, s:s, s:s}", "name", c->conf->name, "id",
		rpc_key(&c->tree.cluster_id), "mode", rpc_mode_name(c->conf->mode), "vip",
		omni_prefix_text(vip_text, &vip), "cipher",
		c->conf->cipher == OMNI_CIPHER_NONE ? "auto" : omni_cipher_name(c->conf->cipher),
		"open", (int)c->conf->open, "peers", (json_int_t)c->n_peers, "sessions",
		(json_int_t)c->n_sessions, "state", state, "reason", reason);
}

static json_t *lease_json(const struct nc_session *s)
{
	uint64_t end = s->acked_ns + s->lease_s * OMNI_NS_PER_S, now = ctl_now(s->ctl);

	if (!s->registered)
		return json_null();
	return json_integer((json_int_t)(end > now ? (end - now) / OMNI_NS_PER_S : 0));
}

static json_t *nucleus_json(const struct nc_session *s)
{
	const struct nc_server *server = s->server;
	const struct omni_key *key = server->conf->has_key ? &server->conf->key
				     : server->has_pin	   ? &server->pin
							   : NULL;
	char reason[NC_TEXT_LEN];

	if (key == NULL && s->has_key)
		key = &s->key;
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:I, s:s}", "endpoint", server->text,
			 "cluster", s->cluster->conf->name, "key",
			 key != NULL ? rpc_key(key) : json_null(), "state", nc_state(s), "lease_s",
			 lease_json(s), "seen",
			 s->registered ? rpc_endpoint(&s->seen) : json_null(), "members",
			 (json_int_t)s->n_members, "reason", nc_reason(s, reason));
}

static json_t *workers_json(const struct omni_ctl *ctl)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < ctl->conf.n_workers; i++) {
		const struct omni_stats st = omni_stats_read(ctl->conf.worker_stats[i]);
		const struct omni_stage_stats *rx = &st.stage[OMNI_STAGE_rx];

		json_array_append_new(list,
				      json_pack("{s:i, s:I, s:I, s:I}", "worker", (int)i + 1,
						"frames", (json_int_t)rx->frames, "opened",
						(json_int_t)st.count[OMNI_STAT_opened], "sealed",
						(json_int_t)st.count[OMNI_STAT_sealed]));
	}
	return list;
}

static json_t *warnings_json(const struct omni_ctl *ctl)
{
	const struct omni_config *config = ctl->conf.config;
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->n_warnings; i++)
		json_array_append_new(list, json_string(config->warnings[i]));
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		const struct ctl_cluster *c = &ctl->cluster[i];

		if (c->mesh_full)
			json_array_append_new(
				list, json_sprintf("cluster %s: members beyond limits.mesh (%u) "
						   "are left out",
						   c->conf->name, config->limits.mesh));
	}
	if (!rte_eal_has_hugepages())
		json_array_append_new(list, json_string("no hugepages: ordinary memory is used, "
							"which costs speed"));
	return list;
}

static bool any_open(const struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		if (ctl->cluster[i].conf->open)
			return true;
	}
	return false;
}

RPC_HANDLER(rpc_status)
{
	struct omni_ctl *ctl = ctx;
	json_t *clusters = json_array(), *nucleus = json_array();
	int rc = rpc_params(params, "", err);

	if (rc != 0) {
		json_decref(clusters);
		json_decref(nucleus);
		return rc;
	}
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		json_array_append_new(clusters, cluster_json(ctl, &ctl->cluster[i]));
	for (unsigned int i = 0; ctl->nucleus != NULL && i < ctl->nucleus->n_sessions; i++)
		json_array_append_new(nucleus, nucleus_json(&ctl->nucleus->session[i]));
	return rpc_give(result, json_pack("{s:s, s:o, s:s, s:o, s:b, s:b, s:i, s:o, s:o, s:o, s:o}",
					  "version", ctl->conf.version, "uptime_s",
					  rpc_age(ctl, ctl->started_ns), "mode", "gateway",
					  "identity", rpc_key(&ctl->conf.identity->dh.public),
					  "open", (int)any_open(ctl), "hugepages",
					  rte_eal_has_hugepages(), "listen", (int)ctl->listen,
					  "workers", workers_json(ctl), "clusters", clusters,
					  "nucleus", nucleus, "warnings", warnings_json(ctl)));
}
