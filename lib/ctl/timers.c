/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What time asks for (WireGuard's timers, whitepaper section 6): rekey, reject, wipe, retry,
 * keepalives, and looking after peers that fell silent.
 */
#include <inttypes.h>

#include "neighbours.h"

#define SECONDS(s) ((uint64_t)(s)*OMNI_NS_PER_S)
#define LOOK_NS OMNI_NS_PER_S		       /* at the counters of a peer with a session */
#define BUSY_NS (CTL_TICK_MS * OMNI_NS_PER_MS) /* at one with probes on the way */
#define SILENT_NS SECONDS(OMNI_MESH_KEEPALIVE_S + OMNI_KEEPALIVE_S)

void ctl_peer_due(struct ctl_peer *peer, uint64_t at_ns)
{
	peer->due_ns = OMNI_MIN(peer->due_ns, at_ns);
}

/* ---- Keys ---- */

static void expire(struct omni_ctl *ctl, struct ctl_peer *peer, enum ctl_slot slot, uint64_t now)
{
	struct omni_keypair *kp = ctl_peer_kp(peer, slot);
	uint64_t age;

	if (kp == NULL)
		return;
	age = now - kp->created_ns;
	if (age < SECONDS(OMNI_REJECT_AFTER_S))
		return;
	if (slot != CTL_CURRENT || age >= CTL_WIPE_AFTER_NS) {
		ctl_slot_drop(ctl, peer, slot);
		return;
	}
	atomic_fetch_or(&kp->marks, OMNI_KEYPAIR_NO_RX | OMNI_KEYPAIR_NO_TX);
	ctl_slots_publish_tx(ctl, peer);
}

/* Nobody has sent anything for half of a key's life: it may end. */
static bool is_idle(const struct ctl_peer *peer, uint64_t now)
{
	return ctl_peer_is_on_demand(peer) &&
	       now - OMNI_MAX(OMNI_MAX(peer->rx_data_ns, peer->tx_data_ns), peer->confirmed_ns) >=
		       SECONDS(OMNI_REKEY_AFTER_S / 2);
}

static void rekey(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	const struct ctl_session *s = peer->slot[CTL_CURRENT];
	struct omni_keypair_use use;
	bool worn;

	if (s == NULL)
		return;
	omni_keypair_use(s->kp, &use);
	worn = use.tx_messages >= OMNI_MESSAGES_REKEY ||
	       (s->kp->cipher == OMNI_CIPHER_AESGCM && use.tx_blocks >= OMNI_GCM_BLOCKS_REKEY);
	if (s->kp->cipher == OMNI_CIPHER_AESGCM && use.tx_blocks >= OMNI_GCM_BLOCKS_STOP) {
		atomic_fetch_or(&s->kp->marks, OMNI_KEYPAIR_NO_TX);
		ctl_slots_publish_tx(ctl, peer);
	}
	if (peer->attempt_ns == 0 &&
	    (worn || (s->kp->initiator && now >= s->rekey_ns && !is_idle(peer, now))))
		ctl_peer_initiate(ctl, peer);
}

/* ---- Signs of life ---- */

struct seen {
	uint64_t rx, tx, rx_data, tx_data; /* TSC */
};

static void look(const struct ctl_peer *peer, struct seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		struct omni_keypair_use use;

		if (peer->slot[i] == NULL)
			continue;
		omni_keypair_use(peer->slot[i]->kp, &use);
		seen->rx = OMNI_MAX(seen->rx, use.rx_any_tsc);
		seen->tx = OMNI_MAX(seen->tx, use.tx_any_tsc);
		seen->rx_data = OMNI_MAX(seen->rx_data, use.rx_last_tsc);
		seen->tx_data = OMNI_MAX(seen->tx_data, use.tx_last_tsc);
	}
}

static bool newer(uint64_t seen, uint64_t *tsc, uint64_t *ns, uint64_t now)
{
	if (seen == 0 || seen == *tsc)
		return false;
	*tsc = seen;
	*ns = now;
	return true;
}

/* The first data on a key that we began shows that the other side holds its VIP. */
static void hold_vip(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_session *s = peer->slot[CTL_CURRENT];

	if (peer->vip_held || s == NULL || !ctl_peer_has_key(peer))
		return;
	if (ctl_vip_check(ctl, peer->cluster, &s->vip, &peer->key) == 0)
		ctl_vip_set(ctl, peer, &s->vip, true);
}

static void observe(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct seen seen;
	bool data;

	look(peer, &seen);
	data = newer(seen.rx_data, &peer->rx_data_tsc, &peer->rx_data_ns, now);
	if (newer(seen.tx, &peer->tx_tsc, &peer->tx_ns, now))
		peer->owe_ns = 0;
	if (data && peer->rx_data_tsc > peer->tx_tsc && peer->owe_ns == 0)
		peer->owe_ns = now;
	data |= newer(seen.tx_data, &peer->tx_data_tsc, &peer->tx_data_ns, now);
	if (newer(seen.rx, &peer->rx_tsc, &peer->rx_ns, now)) {
		peer->alive.waiting = false;
		peer->alive.tries = 0;
		hold_vip(ctl, peer);
	}
	peer->alive_armed |= data;
}

static void keepalive(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	bool owed = peer->owe_ns != 0 && now - peer->owe_ns >= SECONDS(OMNI_KEEPALIVE_S);
	bool idle = peer->keepalive_s != 0 && now - peer->tx_ns >= SECONDS(peer->keepalive_s);

	if (!ctl_peer_has_key(peer) || (!owed && !idle))
		return;
	peer->owe_ns = 0;
	peer->tx_ns = now;
	(void)ctl_send_peer(ctl, peer, OMNI_KIND_KEEPALIVE, NULL, 0);
}

/*
 * Silence after traffic, or for longer than the other side's keepalives allow: ask whether it
 * is still there, and call it anew when it is not. A peer that was restarted knows our old
 * session no more and answers nothing in it.
 */
static void look_after(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	bool sending = peer->tx_data_ns > peer->rx_ns;
	uint64_t silent = now - peer->rx_ns;

	if (!ctl_peer_has_key(peer) || peer->attempt_ns != 0)
		return;
	if (silent >= SILENT_NS && peer->keepalive_s != 0)
		peer->alive_armed = true;
	if (!peer->alive_armed || silent < (sending ? CTL_ALIVE_SENDING_NS : CTL_ALIVE_AFTER_NS))
		return;
	if (peer->alive.waiting && now - peer->alive.sent_ns < CTL_ALIVE_EVERY_NS)
		return;
	if (peer->alive.tries < CTL_ALIVE_TRIES) {
		uint8_t tries = peer->alive.tries;

		(void)ctl_probe_send(ctl, peer, &peer->alive, NULL);
		peer->alive.tries = (uint8_t)(tries + 1);
		return;
	}
	peer->alive = (struct ctl_probe){0};
	peer->alive_armed = false;
	ctl_peer_initiate(ctl, peer);
}

/* ---- A peer's turn ---- */

static bool is_busy(const struct ctl_peer *peer)
{
	return peer->pmtu.searching || ctl_roam_runs(peer) || peer->alive.waiting ||
	       ctl_lanes_waiting(peer);
}

static void plan(struct ctl_peer *peer, uint64_t now)
{
	bool keys = false;

	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		keys |= peer->slot[i] != NULL;
	peer->due_ns = is_busy(peer) ? now + BUSY_NS : keys ? now + LOOK_NS : UINT64_MAX;
	if (!ctl_peer_is_kept(peer))
		ctl_peer_due(peer, now + LOOK_NS);
	if (peer->retry_ns != 0)
		ctl_peer_due(peer, peer->retry_ns);
	if (peer->hs != NULL && !peer->hs->unsent)
		ctl_peer_due(peer, peer->last_start_ns + CTL_ANSWER_NS);
}

/* Neither configured nor listed: it stays as long as its session, and a moment without one. */
static bool is_gone(const struct ctl_peer *peer, uint64_t now)
{
	if (ctl_peer_is_kept(peer))
		return false;
	if (peer->confirmed_ns == 0)
		return now - peer->created_ns >= CTL_UNCONFIRMED_NS;
	return !ctl_peer_has_key(peer) && peer->slot[CTL_NEXT] == NULL && peer->hs == NULL;
}

void ctl_peer_timers(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	bool had_key = ctl_peer_has_key(peer);

	if (peer->wg != NULL) {
		ctl_wg_timers(ctl, peer, now);
		return;
	}
	observe(ctl, peer, now);
	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		expire(ctl, peer, (enum ctl_slot)i, now);
	if (is_gone(peer, now)) {
		ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
		return;
	}
	rekey(ctl, peer, now);
	keepalive(ctl, peer, now);
	look_after(ctl, peer, now);
	ctl_pmtu_tick(ctl, peer, now);
	ctl_roam_tick(ctl, peer, now);
	ctl_lanes_tick(ctl, peer, now);
	ctl_advertise_tick(ctl, peer, now, is_idle(peer, now));
	ctl_peer_hs_expire(ctl, peer, now);
	if (had_key && !ctl_peer_has_key(peer) && ctl_peer_is_kept(peer) && peer->attempt_ns == 0)
		ctl_peer_initiate(ctl, peer);
	if (peer->retry_ns != 0 && now >= peer->retry_ns) {
		peer->retry_ns = 0;
		ctl_peer_initiate(ctl, peer);
	}
	plan(peer, now);
}

/* ---- The tick ---- */

/* Local ports whose interface went down, came up, or was deleted under us. */
static void look_at_ports(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < OMNI_PORTS_MAX; i++) {
		struct omni_port *port = ctl->conf.ports->open[i];
		enum ctl_link_told is, was = ctl->told[i];

		if (port == NULL || port->id == ctl->uplink)
			continue;
		omni_port_refresh(port); /* management does so too: compare with what was told */
		is = port->info.link_up ? CTL_LINK_UP : CTL_LINK_DOWN;
		ctl->told[i] = is;
		if (was != CTL_LINK_UNTOLD && was != is)
			omni_log_warn(LOG_CTL,
				      is == CTL_LINK_UP ? "local port is up" : "local port is down",
				      "port=%s", port->name);
	}
}

static void each_second(struct omni_ctl *ctl, uint64_t now)
{
	uint32_t now_s = (uint32_t)(now / OMNI_NS_PER_S);

	if (ctl->aged_s == now_s)
		return;
	ctl->aged_s = now_s;
	look_at_ports(ctl);
	ctl_l3_ports(ctl);
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		const struct ctl_cluster *c = &ctl->cluster[i];

		omni_stats_add(
			&ctl->stats, OMNI_STAT_fdb_aged,
			omni_fdb_age(ctl->conf.fdb, c->number, now_s, c->conf->fdb_ageing_s));
	}
}

/*
 * The clocks jumped apart: this may be a machine brought back from a snapshot, whose send
 * counters were used already. No key of before seals again.
 */
static void drop_send_keys(struct omni_ctl *ctl, int64_t moved_ns)
{
	struct ctl_peer *peer;

	omni_log_warn(LOG_CTL, "clocks jumped apart: new keys for every peer", "seconds=%" PRId64,
		      moved_ns / (int64_t)OMNI_NS_PER_S);
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry) {
			for (unsigned int s = 0; s < CTL_SLOTS; s++)
				if (peer->slot[s] != NULL)
					atomic_fetch_or(&peer->slot[s]->kp->marks,
							OMNI_KEYPAIR_NO_TX);
			/* What is neither confirmed nor sealed with yet would be sealed with. */
			ctl_slot_drop(ctl, peer, CTL_NEXT);
			ctl_slots_publish_tx(ctl, peer);
			if (peer->wg == NULL)
				ctl_peer_initiate(ctl, peer);
		}
}

static void check_clocks(struct omni_ctl *ctl, uint64_t now)
{
	int64_t gap = (int64_t)(ctl_real_now(ctl) - now), moved = gap - ctl->clock_gap_ns;

	ctl->clock_gap_ns = gap;
	if (moved > (int64_t)CTL_CLOCK_JUMP_NS || moved < -(int64_t)CTL_CLOCK_JUMP_NS)
		drop_send_keys(ctl, moved);
}

void ctl_tick(struct omni_ctl *ctl)
{
	uint64_t now = ctl_now(ctl);

	check_clocks(ctl, now);
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_peer *peer, *next;

		for (peer = TAILQ_FIRST(&ctl->cluster[i].peers); peer != NULL; peer = next) {
			next = TAILQ_NEXT(peer, entry);
			if (now >= peer->due_ns)
				ctl_peer_timers(ctl, peer, now);
		}
	}
	ctl_nexthop_tick(ctl, now);
	ctl_names_tick(ctl, now);
	if (ctl->nucleus != NULL)
		ctl_nucleus_tick(ctl, now);
	each_second(ctl, now);
	ctl_asks_tick(ctl, now);
	ctl_neighbours_tick(ctl, now);
	ctl_kernel_tick(ctl, now);
	ctl_state_tick(ctl);
	ctl_clusters_flush(ctl);
	(void)omni_rcu_poll(ctl->conf.rcu);
}
