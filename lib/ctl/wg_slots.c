/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The key slots of a WireGuard peer. An initiator seals with its new key at once; a responder
 * waits for data on its own, which shows that the initiator has it.
 */
#include <rte_errno.h>

#include "wg.h"

static struct ctl_session *new_session(struct omni_ctl *ctl, struct ctl_peer *peer,
				       const struct ctl_wg_done *done)
{
	struct omni_keypair_conf conf = {
		.local_id = done->local_id,
		.remote_id = done->remote_id,
		.created_ns = ctl_now(ctl),
		.peer = peer->pub->index,
		.peer_gen = peer->pub->generation,
		.cluster = peer->cluster->number,
		.lanes_tx = 1,
		.lanes_rx = 1,
		.frame_max = UINT16_MAX,
		.cipher = OMNI_CIPHER_CHACHAPOLY,
		.dialect = OMNI_DIALECT_WIREGUARD,
		.initiator = done->initiator,
		.confirmed = done->initiator,
		.rx_key = &done->keys->recv,
		.tx_key = &done->keys->send,
	};
	struct ctl_session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	s->kp = omni_keypair_create(ctl->conf.aead, &conf);
	if (s->kp == NULL) {
		free(s);
		return NULL;
	}
	omni_sessions_publish(ctl->conf.sessions, s->kp);
	return s;
}

/* There is a key to send with: everything that waited for one is settled. */
static void session_up(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_session *s = peer->slot[CTL_CURRENT];
	char key[OMNI_KEY_B64_LEN], ep[OMNI_ENDPOINT_TEXT_LEN];

	ctl_count(ctl, OMNI_STAT_ctl_handshakes_done);
	ctl_peer_series_end(ctl, peer);
	peer->confirmed_ns = ctl_now(ctl);
	peer->confirmed_real_ns = ctl_real_now(ctl);
	peer->wg->renewed_late = peer->wg->wanted = false;
	peer->wg->trouble = WG_FINE;
	peer->wg->answers = 0;
	ctl_peer_due(peer, peer->confirmed_ns);
	omni_log_info(LOG_CTL, "session up",
		      "cluster=%s peer=%s endpoint=%s dialect=wireguard by=%s",
		      peer->cluster->conf->name, ctl_peer_text(key, peer),
		      omni_endpoint_text(ep, &peer->endpoint), s->kp->initiator ? "us" : "it");
}

static void move_slot(struct ctl_peer *peer, enum ctl_slot to, enum ctl_slot from)
{
	peer->slot[to] = peer->slot[from];
	peer->slot[from] = NULL;
}

/*
 * A key of the other side's that waits for data may be in use there already, where both began at
 * once: it goes on opening.
 */
static void add_initiated(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_session *s)
{
	struct ctl_session *old = peer->slot[CTL_CURRENT];

	peer->slot[CTL_CURRENT] = s;
	ctl_slots_publish_tx(ctl, peer); /* nobody seals with the old one when that is dropped */
	ctl_slot_drop(ctl, peer, CTL_PREVIOUS);
	peer->slot[CTL_PREVIOUS] = old;
	if (peer->slot[CTL_NEXT] != NULL) {
		ctl_slot_drop(ctl, peer, CTL_PREVIOUS);
		atomic_fetch_and(&peer->slot[CTL_NEXT]->kp->marks,
				 ~(uint32_t)OMNI_KEYPAIR_UNCONFIRMED);
		move_slot(peer, CTL_PREVIOUS, CTL_NEXT);
	}
	session_up(ctl, peer);
	/* The other side sends nothing before it has seen data on this key. */
	ctl_wg_keepalive(ctl, peer);
}

int ctl_wg_slots_add(struct omni_ctl *ctl, struct ctl_peer *peer, const struct ctl_wg_done *done)
{
	struct ctl_session *s = new_session(ctl, peer, done);

	if (s == NULL)
		return -rte_errno;
	peer->wg->wipe_ns = ctl_now(ctl) + CTL_WIPE_AFTER_NS;
	ctl_peer_due(peer, ctl_now(ctl));
	if (done->initiator) {
		add_initiated(ctl, peer, s);
		return 0;
	}
	ctl_slot_drop(ctl, peer, CTL_PREVIOUS);
	ctl_slot_drop(ctl, peer, CTL_NEXT);
	peer->slot[CTL_NEXT] = s;
	return 0;
}

void ctl_wg_slots_confirmed(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_session *s = peer->slot[CTL_NEXT];

	atomic_fetch_and(&s->kp->marks, ~(uint32_t)OMNI_KEYPAIR_UNCONFIRMED);
	ctl_slot_drop(ctl, peer, CTL_PREVIOUS);
	move_slot(peer, CTL_PREVIOUS, CTL_CURRENT);
	move_slot(peer, CTL_CURRENT, CTL_NEXT);
	ctl_slots_publish_tx(ctl, peer);
	session_up(ctl, peer);
}
