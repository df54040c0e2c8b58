/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The timers of WireGuard peers (whitepaper, section 6). What was sent and received is read from
 * the stamps that workers leave in the lanes: each tick while there is traffic, each second while
 * there is none.
 */
#include <rte_cycles.h>

#include "wg.h"

#define TICK_NS (CTL_TICK_MS * OMNI_NS_PER_MS)
#define IDLE_LOOK_NS OMNI_NS_PER_S
#define TRAFFIC_NS WG_SECONDS(30) /* since the last datagram: it may go on any moment */
/* A peer that heard from us or spoke within this time hears of our new address at once. */
#define TALKS_NS WG_SECONDS(OMNI_KEEPALIVE_S)

static bool is_due(uint64_t *at, uint64_t now)
{
	if (*at == 0 || now < *at)
		return false;
	*at = 0;
	return true;
}

/* ---- What happened ---- */

static void traversed(struct ctl_peer *peer, uint64_t at)
{
	struct ctl_wg *wg = peer->wg;

	wg->traffic_ns = OMNI_MAX(wg->traffic_ns, at);
	if (peer->keepalive_s != 0)
		wg->persistent_ns = at + WG_SECONDS(peer->keepalive_s);
}

void ctl_wg_sent(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	peer->wg->keepalive_ns = 0;
	peer->tx_ns = ctl_now(ctl);
	traversed(peer, peer->tx_ns);
}

void ctl_wg_received(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	peer->wg->handshake_ns = 0;
	peer->rx_ns = ctl_now(ctl);
	traversed(peer, peer->rx_ns);
}

static void stamp(uint64_t *tsc, const uint64_t *lane)
{
	*tsc = OMNI_MAX(*tsc, __atomic_load_n(lane, __ATOMIC_RELAXED));
}

struct seen {
	uint64_t rx, tx, rx_data, tx_data; /* TSC */
};

static void look(const struct ctl_peer *peer, struct seen *seen)
{
	*seen = (struct seen){0};
	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		const struct omni_keypair *kp = ctl_peer_kp(peer, (enum ctl_slot)i);

		if (kp == NULL)
			continue;
		stamp(&seen->rx, &kp->rx[0].last_any);
		stamp(&seen->rx_data, &kp->rx[0].last_tsc);
		stamp(&seen->tx, &kp->tx[0].last_any);
		stamp(&seen->tx_data, &kp->tx[0].last_tsc);
	}
}

/* When that was: not before we looked last, for then it was not there. */
static uint64_t time_of(const struct ctl_wg *wg, uint64_t tsc, uint64_t now)
{
	uint64_t hz = rte_get_tsc_hz(), ticks = rte_rdtsc() - tsc;
	uint64_t ago = ticks / hz * OMNI_NS_PER_S + ticks % hz * OMNI_NS_PER_S / hz;

	if ((int64_t)ticks < 0)
		return now;
	return ago > now - wg->looked_ns ? wg->looked_ns : now - ago;
}

/* 0 where nothing new was seen; else when. */
static uint64_t take_new(const struct ctl_wg *wg, uint64_t seen, uint64_t *tsc, uint64_t now)
{
	if ((int64_t)(seen - *tsc) <= 0)
		return 0; /* or older: the key with the newest stamp was dropped */
	*tsc = seen;
	return OMNI_MAX(time_of(wg, seen, now), UINT64_C(1));
}

/* The times of what came and went since the last look; 0: nothing. */
struct news {
	uint64_t rx, tx, rx_data, tx_data;
};

/* Each of two timers is armed by one event and cleared by another: the later one counts. */
static void account(struct ctl_peer *peer, const struct news *n)
{
	struct ctl_wg *wg = peer->wg;

	if (n->rx != 0)
		wg->handshake_ns = 0;
	if (n->tx_data != 0 && n->tx_data >= n->rx && wg->handshake_ns == 0)
		wg->handshake_ns = n->tx_data + WG_UNANSWERED_NS + ctl_wg_jitter();
	if (n->tx != 0 && n->tx > n->rx_data)
		wg->keepalive_ns = 0;
	if (n->rx_data != 0 && n->rx_data >= n->tx) {
		if (n->tx != 0)
			wg->keepalive_ns = 0;
		if (wg->keepalive_ns == 0)
			wg->keepalive_ns = n->rx_data + WG_SECONDS(OMNI_KEEPALIVE_S);
		else
			wg->keepalive_again = true;
	}
	if (n->rx != 0)
		peer->rx_ns = n->rx;
	if (n->tx != 0)
		peer->tx_ns = n->tx;
	if (n->rx != 0 || n->tx != 0)
		traversed(peer, OMNI_MAX(n->rx, n->tx));
}

static void observe(struct ctl_peer *peer, struct news *n, uint64_t now)
{
	struct ctl_wg *wg = peer->wg;
	struct seen seen;

	look(peer, &seen);
	n->rx = take_new(wg, seen.rx, &peer->rx_tsc, now);
	n->tx = take_new(wg, seen.tx, &peer->tx_tsc, now);
	n->rx_data = take_new(wg, seen.rx_data, &peer->rx_data_tsc, now);
	n->tx_data = take_new(wg, seen.tx_data, &peer->tx_data_tsc, now);
	wg->looked_ns = now;
	account(peer, n);
}

/* ---- Keys ---- */

static void expire(struct omni_ctl *ctl, struct ctl_peer *peer, enum ctl_slot slot, uint64_t now)
{
	struct omni_keypair *kp = ctl_peer_kp(peer, slot);

	if (kp == NULL || now - kp->created_ns < WG_SECONDS(OMNI_REJECT_AFTER_S))
		return;
	if (slot != CTL_CURRENT) {
		ctl_slot_drop(ctl, peer, slot);
		return;
	}
	atomic_fetch_or(&kp->marks, OMNI_KEYPAIR_NO_RX | OMNI_KEYPAIR_NO_TX);
	ctl_slots_publish_tx(ctl, peer);
}

static bool is_old(const struct omni_keypair *kp, uint64_t at, uint64_t life)
{
	return kp->initiator && at >= kp->created_ns + life;
}

/* A key that is old or worn begins anew in use alone: a silent peer stays silent. */
static void renew(struct omni_ctl *ctl, struct ctl_peer *peer, const struct news *n)
{
	const struct omni_keypair *kp = ctl_peer_kp(peer, CTL_CURRENT);
	struct ctl_wg *wg = peer->wg;

	if (kp == NULL)
		return;
	if (n->tx != 0 &&
	    (is_old(kp, n->tx, WG_REKEY_SEND_NS) ||
	     __atomic_load_n(&kp->tx[0].sequence, __ATOMIC_RELAXED) > OMNI_MESSAGES_REKEY))
		ctl_wg_initiate(ctl, peer);
	if (n->rx != 0 && !wg->renewed_late && is_old(kp, n->rx, WG_REKEY_RECEIVE_NS)) {
		wg->renewed_late = true;
		ctl_wg_initiate(ctl, peer);
	}
	/* What was sent on a key that ended meanwhile, as after a pause of this box. */
	if (n->tx_data != 0 && !ctl_peer_has_key(peer))
		ctl_wg_initiate(ctl, peer);
}

static void wipe(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	ctl_wg_cancel(ctl, peer);
	omni_wg_wipe(&peer->wg->answer);
	omni_wipe(&peer->wg->soon, sizeof(peer->wg->soon));
	ctl_slots_drop_all(ctl, peer);
}

/* ---- Keepalives ---- */

void ctl_wg_keepalive(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct omni_keypair *kp = ctl_peer_kp(peer, CTL_CURRENT);

	if (!ctl_peer_has_key(peer)) {
		ctl_wg_initiate(ctl, peer);
		return;
	}
	ctl_wg_sent(ctl, peer);
	if (ctl_send_peer(ctl, peer, OMNI_KIND_KEEPALIVE, NULL, 0) < 0)
		return;
	ctl_count(ctl, OMNI_STAT_ctl_keepalives_sent);
	if (is_old(kp, ctl_now(ctl), WG_REKEY_SEND_NS))
		ctl_wg_initiate(ctl, peer);
}

void ctl_wg_moved(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_wg *wg = peer->wg;

	if (ctl_peer_has_key(peer) && wg->traffic_ns != 0 &&
	    ctl_now(ctl) - wg->traffic_ns < TALKS_NS)
		ctl_wg_keepalive(ctl, peer);
}

/* ---- A peer's turn ---- */

/* A key ends on time, even where nobody looks for traffic: the next packet begins a handshake. */
static void due_at_end(struct ctl_peer *peer, const struct omni_keypair *kp, uint64_t now)
{
	uint64_t end = kp != NULL ? kp->created_ns + WG_SECONDS(OMNI_REJECT_AFTER_S) : 0;

	if (end > now)
		ctl_peer_due(peer, end);
}

/* A member that a Nucleus told us of stays as long as its keys, or the attempt to get some. */
static bool is_gone(const struct ctl_peer *peer, uint64_t now)
{
	return !ctl_peer_is_kept(peer) && !ctl_peer_has_key(peer) && peer->slot[CTL_NEXT] == NULL &&
	       peer->retry_ns == 0 && now - peer->created_ns >= CTL_UNCONFIRMED_NS;
}

static void plan(struct ctl_peer *peer, uint64_t now)
{
	const struct ctl_wg *wg = peer->wg;
	const uint64_t at[] = {wg->handshake_ns, wg->keepalive_ns, wg->persistent_ns,
			       wg->wipe_ns,	 peer->retry_ns,   ctl_wg_answer_ns(wg)};
	bool keys = false;

	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		keys |= peer->slot[i] != NULL;
	peer->due_ns = ctl_peer_is_kept(peer) ? UINT64_MAX : now + CTL_UNCONFIRMED_NS;
	if (keys)
		peer->due_ns = now + (now - wg->traffic_ns < TRAFFIC_NS ? TICK_NS : IDLE_LOOK_NS);
	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		due_at_end(peer, ctl_peer_kp(peer, (enum ctl_slot)i), now);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(at); i++) {
		if (at[i] != 0)
			ctl_peer_due(peer, at[i]);
	}
}

void ctl_wg_timers(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct ctl_wg *wg = peer->wg;
	struct news n;

	observe(peer, &n, now);
	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		expire(ctl, peer, (enum ctl_slot)i, now);
	renew(ctl, peer, &n);
	if (wg->soon.waits && now >= ctl_wg_answer_ns(wg))
		ctl_wg_answer_late(ctl, peer);
	if (is_due(&wg->wipe_ns, now))
		wipe(ctl, peer);
	if (is_due(&wg->handshake_ns, now)) {
		ctl_name_again(ctl, peer->dns);
		ctl_wg_called(ctl, peer, &(struct omni_ip){0});
		ctl_wg_initiate(ctl, peer);
	}
	if (is_due(&wg->keepalive_ns, now)) {
		ctl_wg_keepalive(ctl, peer);
		if (wg->keepalive_again)
			wg->keepalive_ns = now + WG_SECONDS(OMNI_KEEPALIVE_S);
		wg->keepalive_again = false;
	}
	if (is_due(&wg->persistent_ns, now) && peer->keepalive_s != 0)
		ctl_wg_keepalive(ctl, peer);
	if (peer->retry_ns != 0 && now >= peer->retry_ns)
		ctl_wg_retry(ctl, peer);
	if (is_gone(peer, now))
		ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
	else
		plan(peer, now);
}

/* ---- Events of workers ---- */

/* An authenticated datagram came from there: that is where the peer is, from now on. */
static void roam(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev)
{
	char key[OMNI_KEY_B64_LEN], a[OMNI_ENDPOINT_TEXT_LEN], b[OMNI_ENDPOINT_TEXT_LEN];
	bool ours = false;

	for (unsigned int i = 0; i < CTL_SLOTS; i++) {
		const struct omni_keypair *kp = ctl_peer_kp(peer, (enum ctl_slot)i);

		ours |= kp != NULL && kp->local_id == ev->session_id;
	}
	if (!ours || ev->from.port == 0)
		return;
	if (!omni_ip_is_none(&ev->to))
		ctl_wg_called(ctl, peer, &ev->to);
	if (omni_endpoint_equal(&ev->from, &peer->endpoint))
		return;
	omni_log_debug(LOG_CTL, "peer moved", "cluster=%s peer=%s from=%s to=%s",
		       peer->cluster->conf->name, ctl_peer_text(key, peer),
		       omni_endpoint_text(a, &peer->endpoint), omni_endpoint_text(b, &ev->from));
	ctl_count(ctl, OMNI_STAT_ctl_roamed);
	ctl_peer_set_endpoint(ctl, peer, &ev->from, true, NULL);
}

static void confirm(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev)
{
	const struct omni_keypair *kp = ctl_peer_kp(peer, CTL_NEXT);

	if (kp == NULL || kp->local_id != ev->session_id)
		return; /* done already */
	roam(ctl, peer, ev);
	ctl_wg_received(ctl, peer);
	ctl_wg_slots_confirmed(ctl, peer);
}

/* Or stayed, for a reason: what goes to the peer waited for us. */
static void followed(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	omni_peer_unmark(peer->pub, OMNI_PEER_MOVES);
	omni_fib_touch(ctl->conf.fib);
}

void ctl_wg_event(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev)
{
	switch (ev->type) {
	case OMNI_EVENT_CONFIRM:
		confirm(ctl, peer, ev);
		followed(ctl, peer);
		break;
	case OMNI_EVENT_ROAM:
		roam(ctl, peer, ev);
		followed(ctl, peer);
		break;
	case OMNI_EVENT_WANT_KEY:
		if (!ctl_peer_has_key(peer))
			ctl_wg_initiate(ctl, peer);
		break;
	case OMNI_EVENT_WORN:
		ctl_wg_initiate(ctl, peer);
		break;
	}
}
