/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* peer.set */
#include "rpc.h"
#include "wg.h"

/* What is asked for; without has_*: it stays as it is. */
struct wish {
	struct omni_config_peer to; /* its host, keepalive and psk */
	bool has_endpoint, has_keepalive, has_psk;
};

static bool is_given(const json_t *params, const char *name)
{
	return json_object_get(params, name) != NULL;
}

/* "" is none. */
static int take_psk(const json_t *params, struct wish *wish, struct omni_err *err)
{
	const char *text;
	int rc = omni_mgmt_param_string(params, "psk", &text, err);

	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	wish->has_psk = true;
	wish->to.has_psk = text[0] != '\0';
	return wish->to.has_psk ? rpc_take_key(params, "psk", &wish->to.psk, err) : 0;
}

static int take(const json_t *params, struct wish *wish, struct omni_err *err)
{
	int rc = take_psk(params, wish, err);

	wish->has_endpoint = is_given(params, "endpoint");
	wish->has_keepalive = is_given(params, "keepalive");
	if (rc == 0)
		rc = rpc_take_endpoint(params, &wish->to, err);
	if (rc == 0)
		rc = rpc_take_number(params, "keepalive", 0, UINT16_MAX, &wish->to.keepalive_s,
				     err);
	if (rc == 0 && !wish->has_endpoint && !wish->has_keepalive && !wish->has_psk)
		rc = omni_fail(err, -EINVAL, "endpoint, keepalive or psk: one was expected");
	return rc;
}

static int fulfil(struct omni_ctl *ctl, struct ctl_peer *peer, const struct wish *wish,
		  struct omni_err *err)
{
	if (wish->has_endpoint && ctl_wg_set_host(ctl, peer, wish->to.host, wish->to.port) < 0)
		return omni_fail(err, -ENOMEM, "no memory");
	if (wish->has_psk)
		ctl_wg_set_psk(peer, wish->to.has_psk ? &wish->to.psk : NULL);
	if (wish->has_keepalive)
		ctl_wg_set_keepalive(ctl, peer, wish->to.keepalive_s);
	return 0;
}

RPC_HANDLER(rpc_peer_set)
{
	struct omni_ctl *ctl = ctx;
	struct ctl_peer *peer = NULL;
	const char *name = NULL;
	struct wish wish = {0};
	int rc = rpc_params(params, "peer cluster endpoint keepalive psk", err);

	if (rc == 0)
		rc = rpc_param_peer(ctl, params, &peer, &name, err);
	if (rc != 0)
		return rc;
	if (peer->origin != CTL_ORIGIN_STATIC || peer->wg == NULL)
		return omni_fail(err, -EPERM, "%.64s is no WireGuard peer: remove and add it",
				 name);
	rc = take(params, &wish, err);
	if (rc == 0)
		rc = fulfil(ctl, peer, &wish, err);
	omni_wipe(&wish, sizeof(wish));
	if (rc != 0)
		return rc;
	return rpc_give(result, json_pack("{s:o, s:o, s:i, s:b}", "key", rpc_key(&peer->key),
					  "endpoint", rpc_endpoint(&peer->endpoint), "keepalive_s",
					  peer->keepalive_s, "psk", peer->has_psk));
}
