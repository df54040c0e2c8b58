/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is changed of a WireGuard peer while it runs, as wg(8) does: its session goes on. */
#include "wg.h"

int ctl_wg_set_host(struct omni_ctl *ctl, struct ctl_peer *peer, const char *host, uint16_t port)
{
	char *copy = strdup(host);

	if (copy == NULL)
		return -ENOMEM;
	ctl_name_del(ctl, peer->dns);
	peer->dns = NULL;
	free(peer->host);
	peer->host = copy;
	peer->host_port = port;
	peer->wg->moves = true;
	ctl_peer_look_up(ctl, peer);
	return 0;
}

/* The first one leaves at once. */
void ctl_wg_set_keepalive(struct omni_ctl *ctl, struct ctl_peer *peer, uint16_t seconds)
{
	uint16_t old = peer->keepalive_s;

	if (seconds == old)
		return;
	peer->keepalive_s = seconds;
	peer->wg->persistent_ns = seconds != 0 ? ctl_now(ctl) + WG_SECONDS(seconds) : 0;
	if (seconds == 0)
		return;
	ctl_peer_due(peer, peer->wg->persistent_ns);
	if (old == 0)
		ctl_wg_keepalive(ctl, peer);
}

/* From the next handshake on. */
void ctl_wg_set_psk(struct ctl_peer *peer, const struct omni_key *psk)
{
	peer->has_psk = psk != NULL;
	omni_wipe(&peer->psk, sizeof(peer->psk));
	if (psk != NULL)
		peer->psk = *psk;
	peer->wg->trouble = WG_FINE;
	peer->wg->answers = 0;
}
