/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* peers, sessions, peer.add, peer.remove. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "rpc.h"
#include "wg.h"

static const char *const origins[] = {
	[CTL_ORIGIN_STATIC] = "static",
	[CTL_ORIGIN_NUCLEUS] = "nucleus",
	[CTL_ORIGIN_CALLED] = "called",
};

static const char *const slots[CTL_SLOTS] = {
	[CTL_PREVIOUS] = "previous",
	[CTL_CURRENT] = "current",
	[CTL_NEXT] = "next",
};

/* ---- peers ---- */

static const char *peer_state(const struct ctl_peer *peer)
{
	if (ctl_peer_has_key(peer))
		return "up";
	if (peer->refused != OMNI_RESULT_ACCEPTED)
		return "refused";
	return peer->hs != NULL || peer->attempt_ns != 0 ? "connecting" : "waiting";
}

/* Where it was looked for last, or would be first. */
static const struct omni_endpoint *looked_at(const struct ctl_peer *peer)
{
	if (peer->endpoint.port != 0)
		return &peer->endpoint;
	return peer->n_candidates > 0 ? &peer->candidate[0] : NULL;
}

static void why_refused(const struct ctl_peer *peer, char out[RPC_TEXT_LEN])
{
	char vip[OMNI_IP_TEXT_LEN];

	if (peer->refused == OMNI_RESULT_VIP_HELD && !peer->refused_by_us)
		snprintf(out, RPC_TEXT_LEN, "it refused us: our VIP %s is held by another",
			 omni_ip_text(vip, &peer->cluster->vip));
	else
		snprintf(out, RPC_TEXT_LEN, "%s: %s",
			 peer->refused_by_us ? "we refused it" : "it refused us",
			 omni_result_name(peer->refused));
}

static const char *peer_reason(struct omni_ctl *ctl, const struct ctl_peer *peer,
			       char out[RPC_TEXT_LEN])
{
	const struct omni_endpoint *at = looked_at(peer);
	char text[OMNI_ENDPOINT_TEXT_LEN];

	out[0] = '\0';
	if (at != NULL && rpc_no_way(ctl, at, out))
		return out;
	if (ctl_peer_has_key(peer))
		return out;
	if (peer->refused != OMNI_RESULT_ACCEPTED)
		why_refused(peer, out);
	else if (at == NULL)
		snprintf(out, RPC_TEXT_LEN, "%s%s", peer->host != NULL ? peer->host : "",
			 peer->host != NULL ? " does not resolve to an address"
					    : "no address is known: it has to call");
	else if (ctl_wg_trouble_text(peer) != NULL)
		snprintf(out, RPC_TEXT_LEN, "%s", ctl_wg_trouble_text(peer));
	else if (peer->attempt_ns != 0)
		snprintf(out, RPC_TEXT_LEN, "no answer from %s for %" PRIu64 " s",
			 omni_endpoint_text(text, at),
			 (ctl_now(ctl) - peer->attempt_ns) / OMNI_NS_PER_S);
	else if (peer->wg != NULL)
		snprintf(out, RPC_TEXT_LEN, "idle: called when there is something to send");
	else
		snprintf(out, RPC_TEXT_LEN, "no answer from %s: tried again later",
			 omni_endpoint_text(text, at));
	return out;
}

static void peer_bytes(const struct ctl_peer *peer, uint64_t *rx, uint64_t *tx)
{
	struct omni_keypair_use use;

	*rx = peer->past_rx_bytes;
	*tx = peer->past_tx_bytes;
	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		if (peer->slot[i] == NULL)
			continue;
		omni_keypair_use(peer->slot[i]->kp, &use);
		*rx += use.rx_bytes;
		*tx += use.tx_bytes;
	}
}

static int own_ports(const struct omni_path *path)
{
	const struct omni_lane_ports *ports = path != NULL ? omni_path_lane_ports(path) : NULL;

	return ports != NULL ? __builtin_popcountll(ports->own) : 0;
}

/* WireGuard's is told even when its key has gone. */
static uint64_t last_handshake(const struct ctl_peer *peer)
{
	const struct omni_keypair *kp = ctl_peer_kp(peer, CTL_CURRENT);

	if (peer->wg != NULL)
		return peer->confirmed_ns;
	return kp != NULL ? kp->created_ns : 0;
}

/* Seconds since 1970; null as the age is. Told as it was read then: ages are of whole seconds, and
 * what is counted back from them moves by one from call to call. */
static json_t *handshake_at(const struct ctl_peer *peer)
{
	if (last_handshake(peer) == 0)
		return json_null();
	return json_integer((json_int_t)(peer->confirmed_real_ns / OMNI_NS_PER_S));
}

static json_t *peer_json(struct omni_ctl *ctl, const struct ctl_peer *peer)
{
	const struct omni_path *path = atomic_load(&peer->pub->path);
	char reason[RPC_TEXT_LEN];
	uint64_t rx, tx;

	peer_bytes(peer, &rx, &tx);
	return json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:I, s:I, s:s}",
		"cluster", peer->cluster->conf->name, "name", peer->name, "key",
		rpc_key(&peer->key), "vip", peer->has_vip ? rpc_ip(&peer->vip) : json_null(),
		"endpoint", rpc_endpoint(&peer->endpoint), "state", peer_state(peer), "origin",
		origins[peer->origin], "last_handshake_s", rpc_age(ctl, last_handshake(peer)),
		"last_handshake_at", handshake_at(peer), "last_rx_s", rpc_age(ctl, peer->rx_ns),
		"path_mtu", path != NULL ? json_integer(path->mtu) : json_null(), "lane_ports",
		own_ports(path), "rx_bytes", (json_int_t)rx, "tx_bytes", (json_int_t)tx, "reason",
		peer_reason(ctl, peer, reason));
}

static json_t *session_json(const struct omni_ctl *ctl, const struct ctl_peer *peer,
			    enum ctl_slot slot)
{
	const struct omni_keypair *kp = peer->slot[slot]->kp;
	char key[OMNI_KEY_B64_LEN], id[20];
	struct omni_keypair_use use;

	omni_keypair_use(kp, &use);
	snprintf(id, sizeof(id), "%016" PRIx64, kp->local_id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:I, s:I, s:I, s:I}", "cluster",
			 peer->cluster->conf->name, "peer", ctl_peer_text(key, peer), "slot",
			 slots[slot], "id", id, "cipher", omni_cipher_name(kp->cipher), "lanes_tx",
			 (int)kp->lanes_tx, "lanes_rx", (int)kp->lanes_rx, "age_s",
			 rpc_age(ctl, kp->created_ns), "rx_frames", (json_int_t)use.rx_frames,
			 "tx_frames", (json_int_t)use.tx_frames, "rx_bytes",
			 (json_int_t)use.rx_bytes, "tx_bytes", (json_int_t)use.tx_bytes);
}

static void add_peer(struct omni_ctl *ctl, const struct ctl_peer *peer, json_t *list,
		     json_t **allowed)
{
	json_t *o = peer_json(ctl, peer);

	json_object_set_new(o, "dialect", json_string(peer->wg != NULL ? "wireguard" : "omni"));
	json_object_set_new(o, "keepalive_s", json_integer(peer->keepalive_s));
	json_object_set_new(o, "psk", json_boolean(peer->has_psk));
	if (peer->cluster->conf->mode == OMNI_MODE_L3)
		json_object_set_new(o, "allowed_ips", rpc_allowed_of(allowed, peer));
	json_array_append_new(list, o);
}

static void add_sessions(struct omni_ctl *ctl, const struct ctl_peer *peer, json_t *list,
			 json_t **allowed)
{
	(void)allowed;
	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		if (peer->slot[i] != NULL)
			json_array_append_new(list, session_json(ctl, peer, (enum ctl_slot)i));
	}
}

static int each_peer(struct omni_ctl *ctl, const json_t *params, json_t **result,
		     struct omni_err *err,
		     void (*add)(struct omni_ctl *, const struct ctl_peer *, json_t *, json_t **))
{
	json_t **allowed;
	struct ctl_cluster *only;
	struct ctl_peer *peer;
	json_t *list;
	int rc = rpc_params(params, "cluster", err);

	if (rc == 0)
		rc = rpc_param_cluster(ctl, params, &only, err);
	if (rc != 0)
		return rc;
	list = json_array();
	allowed = rpc_allowed_read(ctl);
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		if (only != NULL && only != &ctl->cluster[i])
			continue;
		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry)
			add(ctl, peer, list, allowed);
	}
	rpc_allowed_free(ctl, allowed);
	return rpc_give(result, list);
}

RPC_HANDLER(rpc_peers)
{
	return each_peer(ctx, params, result, err, add_peer);
}

RPC_HANDLER(rpc_sessions)
{
	return each_peer(ctx, params, result, err, add_sessions);
}

/* ---- peer.add ---- */

static int take_name(struct omni_ctl *ctl, const struct ctl_cluster *c, const json_t *params,
		     struct omni_config_peer *p, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, "name", &text, err);

	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	if (text[0] == '\0' || strlen(text) >= sizeof(p->name))
		return omni_fail(err, -EINVAL, "name: 1 to %zu characters were expected",
				 sizeof(p->name) - 1);
	for (const char *at = text; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL)
			return omni_fail(err, -EINVAL,
					 "name: letters, digits, '-', '_' and '.' were expected");
	}
	if (rpc_find_peer(ctl, c, text) != NULL)
		return omni_fail(err, -EINVAL, "name: there is a peer %s in cluster %s already",
				 text, c->conf->name);
	snprintf(p->name, sizeof(p->name), "%s", text);
	return 0;
}

int rpc_take_key(const json_t *params, const char *name, struct omni_key *key, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, name, &text, err);

	if (rc != 0)
		return rc;
	if (omni_key_parse(key, text) != 0)
		return omni_fail(err, -EINVAL, "%s: base64 of 32 bytes was expected", name);
	return 0;
}

int rpc_take_endpoint(const json_t *params, struct omni_config_peer *p, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, "endpoint", &text, err);

	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	if (omni_host_port_split(p->host, &p->port, text, OMNI_WIRE_DEFAULT_PORT) != 0)
		return omni_fail(err, -EINVAL, "endpoint: HOST:PORT was expected");
	return 0;
}

static int take_vip(struct omni_ctl *ctl, const struct ctl_cluster *c, const json_t *params,
		    struct omni_config_peer *p, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, "vip", &text, err);

	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	if (omni_ip_parse(&p->vip, text) != 0 || !omni_ip_is_unicast(&p->vip))
		return omni_fail(err, -EINVAL, "vip: an IPv4 or IPv6 address was expected");
	if (omni_ip_equal(&p->vip, &c->vip))
		return omni_fail(err, -EINVAL, "vip: %s is this box's own in cluster %s", text,
				 c->conf->name);
	if (ctl_vip_check(ctl, c, &p->vip, &p->key) != 0)
		return omni_fail(err, -EADDRINUSE, "vip: %s is held by another peer", text);
	return 0;
}

/* A WireGuard peer is kept alive only where that is asked for. */
static int take_dialect(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const json_t *params, struct omni_config_peer *p, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, "dialect", &text, err);

	if (rc != 0 && rc != -ENOENT)
		return rc;
	p->dialect = omni_config_dialect(c->conf);
	if (rc == 0 && strcmp(text, "wireguard") == 0)
		p->dialect = OMNI_DIALECT_WIREGUARD;
	else if (rc == 0 && strcmp(text, "omni") == 0)
		p->dialect = OMNI_DIALECT_OMNI;
	else if (rc == 0)
		return omni_fail(err, -EINVAL, "dialect: omni or wireguard was expected");
	if (p->dialect == OMNI_DIALECT_OMNI && !ctl->conf.identity->has_sign)
		return omni_fail(err, -EINVAL,
				 "dialect: this box has a WireGuard key, wireguard was expected");
	p->keepalive_s = p->dialect == OMNI_DIALECT_OMNI ? OMNI_MESH_KEEPALIVE_S : 0;
	return 0;
}

static int take_allowed(const struct ctl_cluster *c, const json_t *params,
			struct omni_config_peer *p, struct omni_err *err)
{
	int rc = rpc_allowed_param(params, &p->allowed, &p->n_allowed, err);

	if (rc == 0 && c->conf->mode != OMNI_MODE_L3)
		return omni_fail(err, -EINVAL, "allowed_ips: cluster %s is no L3 cluster",
				 c->conf->name);
	return rc == -ENOENT ? 0 : rc;
}

int rpc_take_number(const json_t *params, const char *name, json_int_t min, json_int_t max,
		    uint16_t *out, struct omni_err *err)
{
	json_int_t v;
	int rc = omni_mgmt_param_int(params, name, min, max, &v, err);

	if (rc == 0)
		*out = (uint16_t)v;
	return rc == -ENOENT ? 0 : rc;
}

static int take_peer(struct omni_ctl *ctl, const struct ctl_cluster *c, const json_t *params,
		     struct omni_config_peer *p, struct omni_err *err)
{
	int rc = rpc_take_key(params, "key", &p->key, err);

	if (rc == -ENOENT)
		return omni_fail(err, -EINVAL, "key: the peer's public key is missing");
	if (rc == 0 && omni_is_zero_ct(&p->key, sizeof(p->key)))
		return omni_fail(err, -EINVAL, "key: it is all zero");
	if (rc == 0)
		rc = take_name(ctl, c, params, p, err);
	if (rc == 0)
		rc = rpc_take_endpoint(params, p, err);
	if (rc == 0)
		rc = take_vip(ctl, c, params, p, err);
	if (rc == 0)
		rc = take_dialect(ctl, c, params, p, err);
	if (rc == 0)
		rc = rpc_take_number(params, "keepalive", 0, UINT16_MAX, &p->keepalive_s, err);
	if (rc == 0)
		rc = rpc_take_number(params, "path_mtu", OMNI_PATH_MTU_MIN, OMNI_CONFIG_MTU_MAX,
				     &p->path_mtu, err);
	if (rc == 0) {
		rc = rpc_take_key(params, "psk", &p->psk, err);
		p->has_psk = rc == 0;
		rc = rc == -ENOENT ? 0 : rc;
	}
	if (rc == 0)
		rc = take_allowed(c, params, p, err);
	return rc;
}

RPC_HANDLER(rpc_peer_add)
{
	struct omni_config_peer p = {0};
	struct omni_ctl *ctl = ctx;
	struct ctl_cluster *c;
	int rc = rpc_params(params,
			    "cluster key name endpoint vip psk keepalive path_mtu "
			    "dialect allowed_ips",
			    err);

	if (rc == 0)
		rc = rpc_param_cluster(ctl, params, &c, err);
	if (rc != 0)
		return rc;
	if (c == NULL)
		return omni_fail(err, -EINVAL, "cluster: the name of a cluster is missing");
	rc = take_peer(ctl, c, params, &p, err);
	if (rc == 0)
		rc = ctl_peer_add(ctl, c, &p, err);
	if (rc == 0)
		rc = rpc_give(result, json_pack("{s:s, s:o, s:s}", "cluster", c->conf->name, "key",
						rpc_key(&p.key), "name", p.name));
	free(p.allowed);
	omni_wipe(&p, sizeof(p));
	return rc;
}

/* ---- peer.remove ---- */

RPC_HANDLER(rpc_peer_remove)
{
	struct omni_ctl *ctl = ctx;
	struct ctl_peer *peer = NULL;
	struct omni_key key;
	const char *name = NULL;
	int rc = rpc_params(params, "peer cluster", err);

	if (rc == 0)
		rc = rpc_param_peer(ctl, params, &peer, &name, err);
	if (rc != 0)
		return rc;
	if (peer->origin != CTL_ORIGIN_STATIC)
		return omni_fail(err, -EPERM,
				 "%.64s is no static peer: it would come back; deny its key in the "
				 "configuration",
				 name);
	key = peer->key;
	ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
	return rpc_give(result, json_pack("{s:o}", "removed", rpc_key(&key)));
}
