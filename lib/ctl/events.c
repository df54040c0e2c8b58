/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Events of workers. They carry ids and generations, so each is checked against what exists
 * now; what was meant may be gone.
 */
#include "wg.h"

static bool dest_is_there(struct omni_ctl *ctl, const struct omni_event *ev)
{
	uint32_t index = omni_dest_index(ev->dest), gen = omni_dest_gen(ev->dest);
	const struct omni_port *port;
	const struct ctl_peer *peer;

	switch (omni_dest_kind(ev->dest)) {
	case OMNI_DEST_PEER:
		peer = ctl_peer_of_index(ctl, index, gen);
		return peer != NULL && peer->cluster->number == ev->cluster &&
		       ctl_peer_has_key(peer);
	case OMNI_DEST_PORT:
		port = omni_port_get(ctl->conf.ports, (uint16_t)index);
		return port != NULL && port->generation == gen &&
		       atomic_load(&ctl->conf.bridges->of_port[index]) == ev->cluster;
	default:
		break;
	}
	return false;
}

static void learn(struct omni_ctl *ctl, const struct omni_event *ev)
{
	static const enum omni_stat counter[] = {
		[OMNI_FDB_LEARNED] = OMNI_STAT_fdb_learned,
		[OMNI_FDB_MOVED] = OMNI_STAT_fdb_moved,
		[OMNI_FDB_DAMPED] = OMNI_STAT_fdb_damped,
		[OMNI_FDB_FULL] = OMNI_STAT_fdb_full,
	};
	uint64_t key = (uint64_t)ev->cluster << 48 | (ev->mac & UINT64_C(0xffffffffffff));
	enum omni_fdb_verdict verdict;

	if (ev->cluster >= ctl->n_clusters || !dest_is_there(ctl, ev))
		return;
	verdict = omni_fdb_learn(ctl->conf.fdb, key, ev->dest,
				 (uint32_t)(ctl_now(ctl) / OMNI_NS_PER_S));
	if (verdict != OMNI_FDB_SAME)
		ctl_count(ctl, counter[verdict]);
}

static void confirm(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev)
{
	struct ctl_session *s = peer->slot[CTL_NEXT];

	if (s == NULL || s->kp->local_id != ev->session_id)
		return; /* done already: the event is a level */
	/* Where lane 0 comes from is where the peer is. */
	if (ev->from.port != 0 && ev->lane == 0)
		s->from = ev->from;
	ctl_slots_confirmed(ctl, peer);
}

static void worn(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev)
{
	const struct omni_keypair *kp = ctl_peer_kp(peer, CTL_CURRENT);

	if (kp != NULL && kp->local_id == ev->session_id)
		ctl_peer_initiate(ctl, peer);
}

static void of_peer(struct omni_ctl *ctl, const struct omni_event *ev)
{
	struct ctl_peer *peer = ctl_peer_of_index(ctl, ev->peer, ev->peer_gen);

	if (peer == NULL) {
		if (ctl->nucleus != NULL)
			ctl_nucleus_event(ctl, ev);
		return;
	}
	if (peer->wg != NULL) {
		ctl_wg_event(ctl, peer, ev);
		return;
	}
	switch (ev->type) {
	case OMNI_EVENT_CONFIRM:
		confirm(ctl, peer, ev);
		break;
	case OMNI_EVENT_ROAM:
		ctl_roam_seen(ctl, peer, &ev->from, ev->lane, ev->datagram_len, false);
		break;
	case OMNI_EVENT_WANT_KEY:
		if (!ctl_peer_has_key(peer) && peer->retry_ns == 0)
			ctl_peer_initiate(ctl, peer);
		break;
	case OMNI_EVENT_BROKEN:
		ctl_peer_say_cut(ctl, peer);
		break;
	case OMNI_EVENT_WORN:
		worn(ctl, peer, ev);
		break;
	}
}

void ctl_event(struct omni_ctl *ctl, const struct omni_event *ev)
{
	if (ev->type == OMNI_EVENT_WANT_NEIGHBOUR)
		ctl_neighbour_want(ctl, ev->cluster, &ev->from.ip);
	else if (ev->type == OMNI_EVENT_WANT_ROUTE)
		ctl_ask_want(ctl, ev->cluster, &ev->from.ip);
	else if (ev->type == OMNI_EVENT_LEARN || ev->type == OMNI_EVENT_MOVE)
		learn(ctl, ev);
	else
		of_peer(ctl, ev);
}
