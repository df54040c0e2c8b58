/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The keys of a peer: previous, current, and next (made as responder, not confirmed by data).
 * All three open what comes; current alone seals.
 */
#include <rte_errno.h>

#include "ctl_priv.h"

static void forget_behind(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	omni_dest dest = omni_dest_make(OMNI_DEST_PEER, peer->pub->index, peer->pub->generation);

	if (peer->cluster->conf->mode == OMNI_MODE_L2)
		(void)omni_fdb_flush(ctl->conf.fdb, peer->cluster->number, dest, 0);
}

void ctl_slots_publish_tx(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_keypair *old = atomic_load(&peer->pub->tx);
	struct omni_keypair *kp = ctl_peer_kp(peer, CTL_CURRENT);
	bool is_l3 = peer->cluster->conf->mode == OMNI_MODE_L3;

	if (kp != NULL && (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) != 0)
		kp = NULL;
	if (kp == old)
		return;
	omni_peer_set_tx(peer->pub, kp);
	if (is_l3)
		omni_fib_touch(ctl->conf.fib); /* packets may wait for a key */
	if ((kp == NULL) == (old == NULL))
		return;
	peer->cluster->flood_dirty |= !is_l3;
	if (kp != NULL) {
		peer->cluster->n_sessions++;
	} else {
		peer->cluster->n_sessions--;
		peer->vip_held = false;
		ctl_roam_end(peer);
		ctl_lanes_end(ctl, peer);
		ctl_routes_drop(ctl, peer);
		forget_behind(ctl, peer);
	}
}

void ctl_slot_drop(struct omni_ctl *ctl, struct ctl_peer *peer, enum ctl_slot slot)
{
	struct omni_keypair *kp = ctl_peer_kp(peer, slot);
	struct omni_keypair_use use;

	if (kp == NULL)
		return;
	omni_keypair_use(kp, &use);
	peer->past_rx_bytes += use.rx_bytes;
	peer->past_tx_bytes += use.tx_bytes;
	free(peer->slot[slot]);
	peer->slot[slot] = NULL;
	if (slot == CTL_CURRENT)
		ctl_slots_publish_tx(ctl, peer);
	omni_sessions_release(ctl->conf.sessions, kp->local_id);
	omni_rcu_defer(ctl->conf.rcu, &kp->rcu, omni_keypair_free, kp);
	ctl_count(ctl, OMNI_STAT_ctl_keys_wiped);
}

void ctl_slots_drop_all(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		ctl_slot_drop(ctl, peer, (enum ctl_slot)i);
}

/* s is the peer's from now on. */
static void rotate_in(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_session *s)
{
	ctl_slot_drop(ctl, peer, CTL_PREVIOUS);
	peer->slot[CTL_PREVIOUS] = peer->slot[CTL_CURRENT];
	peer->slot[CTL_CURRENT] = s;
	ctl_slots_publish_tx(ctl, peer);
}

/* There is a session: everything that waited for one is settled. */
static void session_up(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_session *s = peer->slot[CTL_CURRENT];
	char key[OMNI_KEY_B64_LEN], ep[OMNI_ENDPOINT_TEXT_LEN];
	uint64_t now = ctl_now(ctl);

	ctl_count(ctl, OMNI_STAT_ctl_handshakes_done);
	ctl_peer_series_end(ctl, peer);
	ctl_peer_is_known(ctl, peer);
	peer->refused = OMNI_RESULT_ACCEPTED;
	peer->refused_by_us = false;
	peer->not_before_ns = 0;
	peer->confirmed_ns = peer->rx_ns = now;
	peer->confirmed_real_ns = ctl_real_now(ctl);
	peer->alive = (struct ctl_probe){0};
	peer->alive_armed = true;
	ctl_peer_set_endpoint(ctl, peer, &s->from, true, &s->reflect);
	ctl_peer_due(peer, now);
	ctl_clusters_flush(ctl);
	omni_log_info(LOG_CTL, "session up", "cluster=%s peer=%s endpoint=%s cipher=%s lanes=%u/%u",
		      peer->cluster->conf->name, ctl_peer_text(key, peer),
		      omni_endpoint_text(ep, &s->from), omni_cipher_name(s->kp->cipher),
		      s->kp->lanes_tx, s->kp->lanes_rx);
	ctl_pmtu_verify(ctl, peer);
	ctl_advertise_session(ctl, peer);
}

/* What s says with a key by conf, which workers find from now on; NULL with rte_errno. */
static struct ctl_session *new_session(struct omni_ctl *ctl, const struct omni_keypair_conf *conf,
				       const struct ctl_session *s)
{
	struct ctl_session *copy = malloc(sizeof(*copy));

	if (copy == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	*copy = *s;
	copy->kp = omni_keypair_create(ctl->conf.aead, conf);
	if (copy->kp == NULL) {
		free(copy);
		return NULL;
	}
	omni_sessions_publish(ctl->conf.sessions, copy->kp);
	return copy;
}

int ctl_slots_initiated(struct omni_ctl *ctl, struct ctl_peer *peer, const struct ctl_hs_done *done)
{
	const struct omni_hs_answer *a = done->answer;
	uint64_t now = ctl_now(ctl), jitter;
	struct omni_keypair_conf conf = {
		.local_id = done->local_id,
		.remote_id = done->remote_id,
		.created_ns = now,
		.peer = peer->pub->index,
		.peer_gen = peer->pub->generation,
		.cluster = peer->cluster->number,
		.lanes_tx = a->lanes_you_send,
		.lanes_rx = a->lanes_i_send,
		.frame_max = a->largest_frame,
		.features = a->features,
		.cipher = a->cipher,
		.initiator = true,
		.confirmed = true,
		.rx_key = &done->keys->recv,
		.tx_key = &done->keys->send,
	};
	struct ctl_session s = {.from = done->from, .vip = a->vip}, *mine;

	omni_random(&jitter, sizeof(jitter));
	s.rekey_ns = now + OMNI_REKEY_AFTER_S * OMNI_NS_PER_S + jitter % CTL_REKEY_JITTER_NS;
	mine = new_session(ctl, &conf, &s);
	if (mine == NULL)
		return -rte_errno;
	rotate_in(ctl, peer, mine);
	ctl_vip_set(ctl, peer, &a->vip, false);
	/* First, for the other side may send nothing before it has seen data on this key. */
	ctl_peer_set_endpoint(ctl, peer, &done->from, true, NULL);
	(void)ctl_send_peer(ctl, peer, OMNI_KIND_KEEPALIVE, NULL, 0);
	session_up(ctl, peer);
	return 0;
}

int ctl_slots_answered(struct omni_ctl *ctl, struct ctl_peer *peer,
		       const struct omni_keypair_conf *conf, const struct ctl_session *s)
{
	struct ctl_session *next = new_session(ctl, conf, s);

	if (next == NULL)
		return -rte_errno;
	ctl_slot_drop(ctl, peer, CTL_NEXT);
	peer->slot[CTL_NEXT] = next;
	/* Packets follow right behind the data that confirms, sooner than control hears of it. */
	if (peer->cluster->l3 != NULL && !peer->has_vip)
		ctl_vip_set(ctl, peer, &s->vip, false);
	ctl_peer_due(peer, ctl_now(ctl));
	return 0;
}

void ctl_slots_confirmed(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_session *s = peer->slot[CTL_NEXT];

	if (s == NULL)
		return;
	if (ctl_vip_check(ctl, peer->cluster, &s->vip, &peer->key) < 0) {
		/* Somebody else was confirmed with it since. */
		ctl_count(ctl, OMNI_STAT_ctl_vip_conflict);
		ctl_slot_drop(ctl, peer, CTL_NEXT);
		return;
	}
	peer->slot[CTL_NEXT] = NULL;
	atomic_fetch_and(&s->kp->marks, ~(uint32_t)OMNI_KEYPAIR_UNCONFIRMED);
	rotate_in(ctl, peer, s);
	ctl_vip_set(ctl, peer, &s->vip, true);
	session_up(ctl, peer);
}
