/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Initiations of others. Order of checks: mac1, load and cookie, source, decrypt, cluster, proof,
 * timestamp, deny, version, cipher and mode, VIP, room. What fails before the proof held is met
 * with silence; what fails after it with a refusal.
 */
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "ctl_priv.h"

/* One initiation on its way through the checks. */
struct call {
	struct rte_mbuf *m;
	const struct omni_initiation *in;
	const struct omni_endpoint *from, *to;
	struct omni_hs hs;
	struct omni_hs_offer offer;
	struct omni_hs_answer answer;
	struct ctl_cluster *c;
	struct ctl_peer *peer; /* NULL: not known yet */
};

static void reply_plain(struct omni_ctl *ctl, const struct call *call, const void *p, size_t len)
{
	struct omni_path path;

	if (ctl_resolve_or_reflect(ctl, call->from, call->m, &path) == 0)
		(void)ctl_send_plain(ctl, &path, p, len);
	else
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
}

static bool passes_load(struct omni_ctl *ctl, const struct call *call)
{
	const struct omni_initiation *in = call->in;
	struct omni_cookie_reply reply;
	uint8_t nonce[OMNI_XNONCE_LEN];
	uint64_t now = ctl_now(ctl);

	if (!ctl_limits_loaded(ctl, ctl->hs_waiting) || ctl_limits_stranger(ctl, &call->from->ip))
		return true;
	if (omni_mac2_valid(&ctl->cookies, (const uint8_t *)in, sizeof(*in), call->from, now)) {
		if (ctl_limits_source(ctl, &call->from->ip))
			return true;
		ctl_count(ctl, OMNI_STAT_ctl_rate_limited);
		return false;
	}
	omni_random(nonce, sizeof(nonce));
	omni_hs_cookie_reply(&reply, &ctl->cookies, in->sender_id, in->mac1,
			     &ctl->conf.identity->dh.public, call->from, nonce, now);
	reply_plain(ctl, call, &reply, sizeof(reply));
	ctl_count(ctl, OMNI_STAT_ctl_under_load);
	return false;
}

static bool proof_holds(const struct call *call)
{
	if (call->c->tree.kind == OMNI_CLUSTER_STATIC)
		return call->peer != NULL && call->peer->origin == CTL_ORIGIN_STATIC &&
		       omni_hs_proof_is_zero(&call->hs);
	return omni_hs_proof_valid(&call->hs, &call->c->tree.proof_key);
}

/* Remembers the timestamp; false: not newer than the newest. */
static bool is_newer(struct omni_ctl *ctl, const struct call *call)
{
	const uint8_t *ts = call->offer.timestamp;

	if (call->peer == NULL)
		return ctl_stamps_newer(ctl->stamps, call->c->number, &call->hs.remote, ts);
	if (memcmp(ts, call->peer->newest, OMNI_TAI64N_LEN) <= 0)
		return false;
	memcpy(call->peer->newest, ts, OMNI_TAI64N_LEN);
	return true;
}

/*
 * A recorded initiation, or a peer whose clock was set back: the second one hears from us,
 * where we last knew it, unless it has a session.
 */
static void answer_stale(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	uint64_t now = ctl_now(ctl);

	ctl_count(ctl, OMNI_STAT_ctl_stale);
	if (peer == NULL || ctl_peer_has_key(peer) || peer->slot[CTL_NEXT] != NULL)
		return;
	if (peer->stale_ns != 0 && now - peer->stale_ns < OMNI_REKEY_TIMEOUT_S * OMNI_NS_PER_S)
		return;
	peer->stale_ns = now;
	ctl_peer_initiate(ctl, peer);
}

static bool there_is_room(struct omni_ctl *ctl, const struct call *call)
{
	if (call->peer != NULL)
		return true;
	return ctl->n_unconfirmed < CTL_UNCONFIRMED_MAX &&
	       ctl->peers_by_key.count < ctl->conf.config->limits.peers &&
	       (call->c->tree.kind == OMNI_CLUSTER_STATIC || call->c->l3 != NULL ||
		call->c->n_peers < ctl->conf.config->limits.mesh);
}

static void judge(struct omni_ctl *ctl, struct call *call)
{
	struct omni_hs_answer *a = &call->answer;
	struct omni_hs_policy policy;

	ctl_cluster_policy(ctl, call->c, &policy);
	omni_hs_negotiate(a, &call->offer, &policy);
	if (ctl_cluster_denies(call->c, &call->hs.remote)) {
		a->result = OMNI_RESULT_DENIED;
		ctl_count(ctl, OMNI_STAT_ctl_denied);
	} else if (a->result != OMNI_RESULT_ACCEPTED) {
		return;
	} else if (ctl_vip_check(ctl, call->c, &call->offer.vip, &call->hs.remote) < 0) {
		a->result = OMNI_RESULT_VIP_HELD;
		ctl_count(ctl, OMNI_STAT_ctl_vip_conflict);
	} else if (!there_is_room(ctl, call)) {
		a->result = OMNI_RESULT_FULL;
		ctl_count(ctl, OMNI_STAT_ctl_peers_full);
	}
}

/*
 * Both sides called at once: the lower key's initiation wins. Ours is sent again to where
 * theirs came from. Ours does not win for ever: it may be one that the other side cannot accept.
 * But a box that stood still finds all of the other side's calls of that time at once, which
 * nobody waits for any more: they count as one, and while we answer them ours may be answered.
 */
static bool crosses(struct omni_ctl *ctl, const struct call *call)
{
	struct ctl_peer *peer = call->peer;

	if (peer == NULL || peer->hs == NULL || !peer->hs->hs.awaits_response)
		return false;
	ctl_count(ctl, OMNI_STAT_ctl_crossed);
	if (peer->lower)
		return false;
	if (peer->crossings >= CTL_CROSSINGS_MAX) {
		ctl_peer_hs_cancel(ctl, peer);
		return false;
	}
	peer->crossings += !peer->hs->crossed;
	peer->hs->crossed = true;
	(void)ctl_hs_send(ctl, peer->hs, call->from);
	return true;
}

static int write_response(struct omni_ctl *ctl, struct call *call, uint64_t id,
			  struct omni_response *out, struct omni_noise_keys *keys)
{
	struct omni_key ephemeral, psk;
	struct omni_hs_reply reply = {
		.psk = &psk,
		.ephemeral = &ephemeral,
		.answer = &call->answer,
		.session_id = id,
		.now_ns = ctl_now(ctl),
	};
	int rc;

	if (call->peer != NULL)
		psk = call->peer->psk;
	else
		omni_keytree_psk(&psk, &call->c->tree, &ctl->conf.identity->dh.public,
				 &call->hs.remote);
	omni_random(&ephemeral, sizeof(ephemeral));
	rc = omni_hs_response_create(&call->hs, out, keys, &reply);
	omni_wipe(&ephemeral, sizeof(ephemeral));
	omni_wipe(&psk, sizeof(psk));
	return rc;
}

static void refuse(struct omni_ctl *ctl, struct call *call)
{
	uint64_t id = omni_sessions_reserve(ctl->conf.sessions);
	struct omni_noise_keys keys;
	struct omni_response out;
	char key[OMNI_KEY_B64_LEN];

	if (call->peer != NULL && !ctl_peer_has_key(call->peer)) {
		call->peer->refused = call->answer.result;
		call->peer->refused_by_us = true;
	}
	omni_log_info(LOG_CTL, "handshake refused", "cluster=%s key=%s reason=\"%s\"",
		      call->c->conf->name, omni_key_text(key, &call->hs.remote),
		      omni_result_name(call->answer.result));
	ctl_count(ctl, OMNI_STAT_ctl_refused);
	if (id == 0)
		return;
	if (write_response(ctl, call, id, &out, &keys) == 0)
		reply_plain(ctl, call, &out, sizeof(out));
	omni_wipe(&keys, sizeof(keys));
	omni_sessions_release(ctl->conf.sessions, id);
}

static int install(struct omni_ctl *ctl, const struct call *call, uint64_t id, uint64_t remote_id,
		   const struct omni_noise_keys *keys)
{
	const struct omni_hs_answer *a = &call->answer;
	struct omni_keypair_conf conf = {
		.local_id = id,
		.remote_id = remote_id,
		.created_ns = ctl_now(ctl),
		.peer = call->peer->pub->index,
		.peer_gen = call->peer->pub->generation,
		.cluster = call->c->number,
		.lanes_tx = a->lanes_i_send,
		.lanes_rx = a->lanes_you_send,
		.frame_max = a->largest_frame,
		.features = call->offer.features,
		.cipher = a->cipher,
		.rx_key = &keys->recv,
		.tx_key = &keys->send,
	};
	struct ctl_session s = {.from = *call->from, .vip = call->offer.vip};

	ctl_reflect(ctl, call->m, &s.reflect);
	return ctl_slots_answered(ctl, call->peer, &conf, &s);
}

static void accept_call(struct omni_ctl *ctl, struct call *call)
{
	uint64_t id = omni_sessions_reserve(ctl->conf.sessions), remote_id = call->hs.remote_id;
	struct omni_noise_keys keys;
	struct omni_response out;

	if (call->peer == NULL && id != 0) {
		call->peer = ctl_peer_new(ctl, call->c, &call->hs.remote, CTL_ORIGIN_CALLED);
		if (call->peer != NULL)
			memcpy(call->peer->newest, call->offer.timestamp, OMNI_TAI64N_LEN);
	}
	if (call->peer == NULL || id == 0) {
		omni_sessions_release(ctl->conf.sessions, id);
		ctl_count(ctl, OMNI_STAT_ctl_peers_full);
		call->answer.result = OMNI_RESULT_FULL;
		refuse(ctl, call);
		return;
	}
	if (write_response(ctl, call, id, &out, &keys) == 0 &&
	    install(ctl, call, id, remote_id, &keys) == 0)
		reply_plain(ctl, call, &out, sizeof(out));
	else
		omni_sessions_release(ctl->conf.sessions, id);
	omni_wipe(&keys, sizeof(keys));
}

/* Configured so, or a member that may. */
static bool speaks_omni(const struct call *call)
{
	if (call->peer != NULL && call->peer->origin == CTL_ORIGIN_STATIC)
		return call->peer->wg == NULL;
	return (ctl_cluster_dialects(call->c) & OMNI_DIALECT_OMNI) != 0 &&
	       (call->peer == NULL || call->peer->wg == NULL);
}

static void hear(struct omni_ctl *ctl, struct call *call)
{
	call->c = ctl_cluster_by_id(ctl, &call->offer.cluster_id);
	if (call->c == NULL) {
		ctl_count(ctl, OMNI_STAT_ctl_unknown_cluster);
		return;
	}
	call->peer = ctl_peer_find(ctl, call->c, &call->hs.remote);
	if (!speaks_omni(call)) {
		ctl_count(ctl, OMNI_STAT_ctl_wrong_dialect);
		return;
	}
	if (!proof_holds(call)) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_proof);
		return;
	}
	if (!is_newer(ctl, call)) {
		answer_stale(ctl, call->peer);
		return;
	}
	judge(ctl, call);
	if (call->answer.result != OMNI_RESULT_ACCEPTED)
		refuse(ctl, call);
	else if (!crosses(ctl, call))
		accept_call(ctl, call);
}

void ctl_handshake_initiation(struct omni_ctl *ctl, struct rte_mbuf *m,
			      const struct omni_initiation *in, const struct omni_endpoint *from,
			      const struct omni_endpoint *to)
{
	const struct omni_dh_pair *self = &ctl->conf.identity->dh;
	struct call call = {.m = m, .in = in, .from = from, .to = to};
	int rc;

	if (ctl->stopping)
		return;
	if (!omni_hs_initiation_mac1_valid(in, &self->public)) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_mac1);
		return;
	}
	if (!passes_load(ctl, &call))
		return;
	rc = omni_hs_initiation_open(&call.hs, &call.offer, in, OMNI_HS_PEER, self);
	if (rc == 0 && memcmp(&call.hs.remote, &self->public, sizeof(self->public)) == 0)
		rc = -EBADMSG; /* our own, reflected */
	if (rc < 0)
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
	else
		hear(ctl, &call);
	omni_hs_wipe(&call.hs);
}
