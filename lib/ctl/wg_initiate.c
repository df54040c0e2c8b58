/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Handshakes that this box begins with WireGuard peers: a series of at most WG_TRIES_MAX
 * initiations, 5 s and a little apart; then silence until there is something to send again.
 */
#include <omni_cursor.h>

#include "wg.h"

static uint64_t hash_of(const struct omni_ctl *ctl, uint32_t id)
{
	return ctl_index_hash(&ctl->wg_pending, &id, sizeof(id), 0);
}

static struct ctl_wg *find(const struct omni_ctl *ctl, uint32_t id)
{
	struct ctl_link *l;

	for (l = ctl_index_first(&ctl->wg_pending, hash_of(ctl, id)); l != NULL;
	     l = ctl_index_next(l)) {
		struct ctl_wg *wg = ctl_container(l, struct ctl_wg, link);

		if (wg->id == id)
			return wg;
	}
	return NULL;
}

/* It waits no more; its index stays reserved. */
static void take_out(struct omni_ctl *ctl, struct ctl_wg *wg)
{
	if (wg->id != 0)
		ctl_index_del(&ctl->wg_pending, &wg->link);
	wg->id = 0;
	wg->unsent = false;
	omni_wg_wipe(&wg->hs);
}

void ctl_wg_cancel(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	uint32_t id = peer->wg->id;

	take_out(ctl, peer->wg);
	if (id != 0)
		omni_sessions_release(ctl->conf.sessions, id);
}

static int write_packet(struct omni_ctl *ctl, struct ctl_peer *peer, uint32_t id)
{
	struct omni_key ephemeral;
	struct omni_wg_start start = {
		.self = &ctl->conf.identity->dh,
		.remote = &peer->key,
		.ephemeral = &ephemeral,
		.shared = ctl_wg_shared(ctl, peer),
		.cookie = &peer->cookie,
		.index = id,
		.now_ns = ctl_now(ctl),
	};
	int rc;

	ctl_timestamp(ctl, start.timestamp);
	omni_random(&ephemeral, sizeof(ephemeral));
	rc = omni_wg_initiation_create(&peer->wg->hs, &peer->wg->packet, &start);
	omni_wipe(&ephemeral, sizeof(ephemeral));
	return rc;
}

static void send_packet(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_wg *wg = peer->wg;
	struct omni_path path;
	int rc = ctl_resolve(ctl, &peer->endpoint, &path);

	wg->unsent = rc == -EAGAIN;
	if (rc == 0)
		ctl_wg_answer_from(ctl, wg, &path);
	if (rc == 0 && ctl_send_plain(ctl, &path, &wg->packet, sizeof(wg->packet)) == 0)
		peer->past_tx_bytes += sizeof(wg->packet);
	else if (rc != 0 && rc != -EAGAIN)
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
}

/* One that has several addresses, or another one since: when the one in use does not answer. */
static void choose_endpoint(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	bool known = peer->endpoint.port != 0;

	if (peer->n_candidates == 0)
		return;
	if (known && ((peer->dns == NULL && peer->origin == CTL_ORIGIN_STATIC) ||
		      peer->attempt_ns == 0 || ctl_now(ctl) - peer->attempt_ns < WG_PATIENCE_NS))
		return;
	if (known)
		ctl_name_again(ctl, peer->dns);
	ctl_peer_set_endpoint(ctl, peer,
			      &peer->candidate[peer->next_candidate++ % peer->n_candidates], false,
			      NULL);
}

/*
 * Many peers may be called in one turn, as at start: what would not fit on the ring goes with the
 * next tick, not after the 5 s of a lost initiation.
 */
static bool is_crowded(const struct omni_ctl *ctl)
{
	return rte_ring_free_count(ctl->conf.xrings[0]->tx) < OMNI_CTL_TX_SIZE / 4;
}

static void start(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_wg *wg = peer->wg;
	uint64_t now = ctl_now(ctl);
	uint32_t id;

	ctl_wg_cancel(ctl, peer);
	peer->retry_ns = 0;
	choose_endpoint(ctl, peer);
	if (peer->endpoint.port == 0) {
		wg->wanted = true;
		return;
	}
	wg->wanted = false;
	if (peer->attempt_ns == 0) {
		peer->attempt_ns = now;
		wg->trouble = WG_FINE;
	}
	if (is_crowded(ctl)) {
		peer->retry_ns = now;
		ctl_peer_due(peer, now);
		return;
	}
	peer->last_start_ns = now;
	peer->retry_ns = now + WG_RETRY_NS + ctl_wg_jitter();
	peer->tries++;
	ctl_peer_due(peer, peer->retry_ns);
	id = omni_sessions_reserve_wg(ctl->conf.sessions);
	if (id == 0)
		return;
	if (write_packet(ctl, peer, id) < 0) {
		omni_sessions_release(ctl->conf.sessions, id);
		return;
	}
	wg->id = id;
	ctl_index_add(&ctl->wg_pending, &wg->link, hash_of(ctl, id));
	ctl_count(ctl, OMNI_STAT_ctl_handshakes_sent);
	ctl_wg_sent(ctl, peer);
	send_packet(ctl, peer);
}

void ctl_wg_initiate(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	uint64_t now = ctl_now(ctl), at = peer->last_start_ns + WG_RETRY_NS;

	if (ctl->stopping || !ctl->running)
		return;
	peer->tries = 0;
	if (peer->last_start_ns == 0 || now >= at) {
		start(ctl, peer);
		return;
	}
	/* A handshake message left a moment ago: what it brings may settle this. */
	if (peer->retry_ns == 0)
		peer->retry_ns = at;
	ctl_peer_due(peer, peer->retry_ns);
}

void ctl_wg_retry(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_wg *wg = peer->wg;
	char key[OMNI_KEY_B64_LEN];

	peer->retry_ns = 0;
	if (ctl->stopping || !ctl->running)
		return;
	if (peer->tries < WG_TRIES_MAX) {
		ctl_wg_called(ctl, peer, &(struct omni_ip){0});
		start(ctl, peer);
		return;
	}
	omni_log_info(LOG_CTL, "no answer to handshakes: given up until there is something to send",
		      "cluster=%s peer=%s tries=%u", peer->cluster->conf->name,
		      ctl_peer_text(key, peer), peer->tries);
	ctl_count(ctl, OMNI_STAT_ctl_given_up);
	ctl_peer_series_end(ctl, peer);
	wg->keepalive_ns = 0;
	if (wg->wipe_ns == 0)
		wg->wipe_ns = ctl_now(ctl) + CTL_WIPE_AFTER_NS;
}

void ctl_wg_resend(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip)
{
	if (peer->wg->id != 0 && peer->wg->unsent &&
	    (ip == NULL || omni_ip_equal(ip, &peer->endpoint.ip)))
		send_packet(ctl, peer);
}

void ctl_wg_located(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if ((peer->endpoint.port == 0 || peer->wg->moves) && peer->n_candidates > 0) {
		peer->wg->moves = false;
		ctl_peer_set_endpoint(ctl, peer, &peer->candidate[0], false, NULL);
	}
	if (!ctl_peer_has_key(peer) && peer->attempt_ns == 0 &&
	    (peer->wg->wanted || peer->keepalive_s != 0))
		ctl_wg_initiate(ctl, peer);
}

void ctl_wg_introduced(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t wait_ns)
{
	if (peer->wg->id != 0 || ctl->stopping || !ctl->running)
		return; /* a handshake is under way */
	peer->tries = 0;
	if (peer->endpoint.port == 0 && peer->n_candidates > 0)
		ctl_peer_set_endpoint(ctl, peer, &peer->candidate[0], false, NULL);
	if (wait_ns == 0)
		ctl_wg_initiate(ctl, peer);
	else
		peer->retry_ns = ctl_now(ctl) + wait_ns;
	if (peer->retry_ns != 0)
		ctl_peer_due(peer, peer->retry_ns);
}

/* ---- Answers ---- */

static void take_response(struct omni_ctl *ctl, struct ctl_wg *wg,
			  const struct omni_wg_response *in, struct rte_mbuf *m,
			  const struct omni_endpoint *from, const struct omni_endpoint *to)
{
	struct ctl_peer *peer = wg->peer;
	struct omni_noise_keys keys;
	struct omni_path reflect;
	struct ctl_wg_done done = {.local_id = wg->id, .keys = &keys, .initiator = true};

	if (omni_wg_response_open(&wg->hs, &keys, in, &ctl->conf.identity->dh, &peer->psk) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
		ctl_wg_set_trouble(peer, WG_BAD_ANSWERS);
		return;
	}
	peer->past_rx_bytes += sizeof(*in);
	done.remote_id = wg->hs.remote_index;
	take_out(ctl, wg);
	ctl_reflect(ctl, m, &reflect);
	ctl_wg_received(ctl, peer);
	ctl_peer_set_endpoint(ctl, peer, from, true, &reflect);
	ctl_wg_called(ctl, peer, &to->ip);
	if (ctl_wg_slots_add(ctl, peer, &done) < 0)
		omni_sessions_release(ctl->conf.sessions, done.local_id);
	omni_wipe(&keys, sizeof(keys));
}

void ctl_wg_response(struct omni_ctl *ctl, struct rte_mbuf *m, const struct omni_wg_response *in,
		     const struct omni_endpoint *from, const struct omni_endpoint *to)
{
	struct ctl_wg *wg = find(ctl, omni_load_le32(in->receiver));

	if (wg == NULL) {
		ctl_count(ctl, OMNI_STAT_ctl_unexpected);
	} else if (!omni_wg_response_mac1_valid(in, &ctl->conf.identity->dh.public)) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_mac1);
	} else if (ctl_wg_passes_load(ctl, m, in, sizeof(*in), in->sender, in->mac1, from, to)) {
		take_response(ctl, wg, in, m, from, to);
	}
}

/* Of the peer whose response it answers; NULL. */
static struct ctl_wg *answered(struct omni_ctl *ctl, uint32_t id)
{
	const struct omni_keypair *kp = omni_sessions_lookup_wg(ctl->conf.sessions, id);
	struct ctl_peer *peer = kp != NULL ? ctl_peer_of_index(ctl, kp->peer, kp->peer_gen) : NULL;

	return peer != NULL && peer->wg != NULL && peer->wg->answer.local_index == id ? peer->wg
										      : NULL;
}

void ctl_wg_cookie(struct omni_ctl *ctl, const struct omni_wg_cookie_reply *in)
{
	uint32_t id = omni_load_le32(in->receiver);
	struct ctl_wg *wg = find(ctl, id);
	struct omni_wg *hs = wg != NULL ? &wg->hs : NULL;

	if (wg == NULL) {
		wg = answered(ctl, id);
		hs = wg != NULL ? &wg->answer : NULL;
	}
	if (hs == NULL || omni_wg_cookie_open(hs, &wg->peer->cookie, in, ctl_now(ctl)) < 0)
		ctl_count(ctl, OMNI_STAT_ctl_unexpected);
}
