/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * When and where this box calls a peer: a series of tries, 5 s and a little apart, each with a
 * new initiation; after 90 s more rarely, and only for peers that are kept.
 */
#include "wg.h"

#define RETRY_NS (OMNI_REKEY_TIMEOUT_S * OMNI_NS_PER_S)
#define ATTEMPT_NS (OMNI_REKEY_ATTEMPT_S * OMNI_NS_PER_S)

static uint64_t jitter(void)
{
	uint64_t r;

	omni_random(&r, sizeof(r));
	return r % CTL_RETRY_JITTER_NS;
}

void ctl_peer_hs_cancel(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (peer->wg != NULL)
		ctl_wg_cancel(ctl, peer);
	ctl_hs_cancel(ctl, peer->hs);
	peer->hs = NULL;
}

void ctl_peer_hs_expire(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	/* Begun in this very tick, it is newer than the tick's time. */
	if (peer->hs != NULL && !peer->hs->unsent && now >= peer->last_start_ns + CTL_ANSWER_NS)
		ctl_peer_hs_cancel(ctl, peer);
}

void ctl_peer_series_end(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	ctl_peer_hs_cancel(ctl, peer);
	peer->attempt_ns = peer->retry_ns = 0;
	peer->tries = peer->crossings = 0;
}

static void was_refused(struct omni_ctl *ctl, struct ctl_peer *peer, uint8_t result, bool by_us)
{
	uint64_t now = ctl_now(ctl);
	char key[OMNI_KEY_B64_LEN];

	if (peer->refused != result || peer->refused_by_us != by_us)
		omni_log_warn(LOG_CTL, by_us ? "peer's answer refused" : "refused by peer",
			      "cluster=%s peer=%s reason=\"%s\"", peer->cluster->conf->name,
			      ctl_peer_text(key, peer), omni_result_name(result));
	ctl_peer_series_end(ctl, peer);
	peer->refused = result;
	peer->refused_by_us = by_us;
	peer->not_before_ns = now + CTL_REFUSED_NS;
	if (ctl_peer_is_kept(peer))
		ctl_peer_initiate_at(ctl, peer, peer->not_before_ns);
}

static void answered(struct omni_ctl *ctl, void *owner, const struct ctl_hs_done *done)
{
	struct ctl_peer *peer = owner;

	peer->hs = NULL;
	if (done->answer->result != OMNI_RESULT_ACCEPTED) {
		ctl_count(ctl, OMNI_STAT_ctl_was_refused);
		was_refused(ctl, peer, done->answer->result, false);
	} else if (ctl_vip_check(ctl, peer->cluster, &done->answer->vip, &peer->key) < 0) {
		omni_sessions_release(ctl->conf.sessions, done->local_id);
		ctl_count(ctl, OMNI_STAT_ctl_vip_conflict);
		was_refused(ctl, peer, OMNI_RESULT_VIP_HELD, true);
	} else if (ctl_slots_initiated(ctl, peer, done) < 0) {
		omni_sessions_release(ctl->conf.sessions, done->local_id);
	}
}

static struct ctl_hs *new_hs(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct ctl_cluster *c = peer->cluster;
	struct ctl_hs_conf conf = {
		.purpose = OMNI_HS_PEER,
		.remote = peer->key,
		.psk = peer->psk,
		.proof_key = c->tree.kind == OMNI_CLUSTER_STATIC ? NULL : &c->tree.proof_key,
		.cookie = &peer->cookie,
		.done = answered,
		.owner = peer,
	};
	struct ctl_hs *hs;

	ctl_cluster_offer(ctl, c, &conf.offer);
	hs = ctl_hs_start(ctl, &conf);
	omni_wipe(&conf, sizeof(conf));
	return hs;
}

static bool is_candidate(const struct ctl_peer *peer, const struct omni_endpoint *ep)
{
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (omni_endpoint_equal(&peer->candidate[i], ep))
			return true;
	return false;
}

/* The same initiation to the address that worked, then to all that are known. */
static void shoot(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	bool known = peer->endpoint.port != 0;
	unsigned int shots = 0;

	if (known && !is_candidate(peer, &peer->endpoint)) {
		(void)ctl_hs_send(ctl, peer->hs, &peer->endpoint);
		shots++;
	} else if (known && peer->tries < CTL_PATIENT_TRIES) {
		(void)ctl_hs_send(ctl, peer->hs, &peer->endpoint);
	}
	if (known && peer->endpoint_confirmed && peer->tries < CTL_PATIENT_TRIES)
		return;
	for (unsigned int i = 0; i < peer->n_candidates && shots < CTL_SHOTS_MAX; i++, shots++) {
		unsigned int at = peer->next_candidate++ % peer->n_candidates;

		(void)ctl_hs_send(ctl, peer->hs, &peer->candidate[at]);
	}
}

static uint64_t next_try(const struct ctl_peer *peer, uint64_t now)
{
	uint64_t wait = RETRY_NS, over = now - peer->attempt_ns;

	if (over >= ATTEMPT_NS)
		wait = peer->origin == CTL_ORIGIN_STATIC
			       ? CTL_BACKOFF_STATIC_NS
			       : OMNI_MIN(over / 8, CTL_BACKOFF_MEMBER_NS);
	return now + wait + jitter();
}

static void try_now(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	bool first = peer->attempt_ns == 0;

	ctl_peer_hs_cancel(ctl, peer);
	peer->retry_ns = 0;
	if (peer->n_candidates == 0 && peer->endpoint.port == 0)
		return;
	if (first) {
		peer->attempt_ns = now;
		peer->tries = peer->crossings = 0;
	} else if (now - peer->attempt_ns >= ATTEMPT_NS && !ctl_peer_is_kept(peer)) {
		ctl_peer_series_end(ctl, peer);
		return;
	}
	if (peer->tries == CTL_PATIENT_TRIES + 1)
		ctl_name_again(ctl, peer->dns);
	peer->last_start_ns = now;
	peer->retry_ns = next_try(peer, now);
	ctl_peer_due(peer, peer->retry_ns);
	peer->hs = new_hs(ctl, peer);
	if (peer->hs != NULL)
		shoot(ctl, peer);
	peer->tries++;
}

void ctl_peer_initiate_at(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t at_ns)
{
	uint64_t now = ctl_now(ctl);

	if (ctl->stopping || !ctl->running)
		return;
	if (peer->wg != NULL) {
		ctl_wg_initiate(ctl, peer);
		return;
	}
	if (peer->last_start_ns != 0)
		at_ns = OMNI_MAX(at_ns, peer->last_start_ns + RETRY_NS);
	at_ns = OMNI_MAX(at_ns, peer->not_before_ns);
	if (at_ns <= now) {
		try_now(ctl, peer, now);
		return;
	}
	if (peer->retry_ns == 0 || at_ns < peer->retry_ns)
		peer->retry_ns = at_ns;
	ctl_peer_due(peer, peer->retry_ns);
}

void ctl_peer_initiate(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	ctl_peer_initiate_at(ctl, peer, ctl_now(ctl));
}

void ctl_peer_hs_resend(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip)
{
	if (peer->wg != NULL)
		ctl_wg_resend(ctl, peer, ip);
	if (peer->hs == NULL || !peer->hs->unsent)
		return;
	peer->hs->unsent = false;
	if (peer->endpoint.port != 0 && !is_candidate(peer, &peer->endpoint) &&
	    (ip == NULL || omni_ip_equal(ip, &peer->endpoint.ip)))
		(void)ctl_hs_send(ctl, peer->hs, &peer->endpoint);
	for (unsigned int i = 0; i < peer->n_candidates; i++) {
		if (ip == NULL || omni_ip_equal(ip, &peer->candidate[i].ip))
			(void)ctl_hs_send(ctl, peer->hs, &peer->candidate[i]);
		else
			peer->hs->unsent = true;
	}
}
