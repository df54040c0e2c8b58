/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* WireGuard peers: what they have beside others, and how a handshake finds them. */
#include "wg.h"

int ctl_wg_init(struct ctl_peer *peer)
{
	peer->wg = calloc(1, sizeof(*peer->wg));
	if (peer->wg == NULL)
		return -ENOMEM;
	peer->wg->peer = peer;
	return 0;
}

void ctl_wg_fini(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (peer->wg == NULL)
		return;
	ctl_wg_cancel(ctl, peer);
	omni_wipe(peer->wg, sizeof(*peer->wg));
	free(peer->wg);
	peer->wg = NULL;
}

const struct omni_key *ctl_wg_shared(const struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_key *shared = &peer->wg->shared;

	if (omni_is_zero_ct(shared, sizeof(*shared)) &&
	    omni_x25519(shared, &ctl->conf.identity->dh.secret, &peer->key) < 0)
		return NULL; /* a key of low order: its handshakes fail */
	return shared;
}

void ctl_wg_called(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip)
{
	if (omni_ip_equal(&peer->wg->local, ip))
		return;
	peer->wg->local = *ip;
	if (atomic_load(&peer->pub->path) != NULL)
		ctl_peer_publish_path(ctl, peer, NULL);
}

void ctl_wg_answer_from(struct omni_ctl *ctl, const struct ctl_wg *wg, struct omni_path *path)
{
	struct omni_endpoint routed;

	omni_path_local(path, &routed);
	if (ctl_nexthop_may_answer(ctl, &wg->local, &routed.ip))
		ctl_path_from(ctl, path, &wg->local);
}

void ctl_wg_addresses(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (!omni_ip_is_none(&peer->wg->local) && !ctl_nexthop_is_own(ctl, &peer->wg->local))
		peer->wg->local = (struct omni_ip){0};
}

struct ctl_peer *ctl_wg_find(struct omni_ctl *ctl, const struct omni_key *key, bool *other)
{
	*other = false;
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_peer *peer;

		if (ctl->cluster[i].conf->mode != OMNI_MODE_L3)
			continue;
		peer = ctl_peer_find(ctl, &ctl->cluster[i], key);
		if (peer != NULL && peer->wg != NULL)
			return peer;
		*other |= peer != NULL;
	}
	return NULL;
}
