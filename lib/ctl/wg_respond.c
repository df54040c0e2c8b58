/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Initiations of WireGuard peers. Order of checks: mac1, load and cookie, decrypt, known key,
 * timestamp, rate. Whatever fails is met with silence; of those that come too soon after one
 * another the newest is answered a moment later. A peer that waits for an answer knows its last one
 * alone, and a box that stood still finds all of them at once.
 */
#include "wg.h"

/* What came from `from` is answered from where it went to. */
struct way {
	const struct omni_path *back; /* by which it came: while its neighbour is not known */
	const struct omni_endpoint *from, *to;
};

static void reply_plain(struct omni_ctl *ctl, const struct way *way, const void *p, size_t len)
{
	struct omni_path path;
	int rc = ctl_resolve(ctl, way->from, &path);

	if (rc == -EAGAIN)
		path = *way->back;
	else if (rc < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
		return;
	}
	ctl_path_from(ctl, &path, &way->to->ip);
	(void)ctl_send_plain(ctl, &path, p, len);
}

bool ctl_wg_passes_load(struct omni_ctl *ctl, struct rte_mbuf *m, const void *msg, size_t len,
			const uint8_t sender[4], const uint8_t mac1[OMNI_MAC_LEN],
			const struct omni_endpoint *from, const struct omni_endpoint *to)
{
	struct omni_path back;
	const struct way way = {&back, from, to};
	struct omni_wg_cookie_reply reply;
	uint8_t nonce[OMNI_XNONCE_LEN];
	uint64_t now = ctl_now(ctl);

	if (!ctl_limits_loaded(ctl, ctl->hs_waiting))
		return true;
	if (omni_mac2_valid(&ctl->cookies, msg, len, from, now)) {
		if (ctl_limits_source_wg(ctl, &from->ip))
			return true;
		ctl_count(ctl, OMNI_STAT_ctl_rate_limited);
		return false;
	}
	omni_random(nonce, sizeof(nonce));
	ctl_reflect(ctl, m, &back);
	omni_wg_cookie_reply(&reply, &ctl->cookies, sender, mac1, &ctl->conf.identity->dh.public,
			     from, nonce, now);
	reply_plain(ctl, &way, &reply, sizeof(reply));
	ctl_count(ctl, OMNI_STAT_ctl_under_load);
	return false;
}

/* Newer than its newest; then it is remembered. */
static bool is_newer(struct omni_ctl *ctl, struct ctl_peer *peer,
		     const uint8_t timestamp[OMNI_TAI64N_LEN])
{
	int order = memcmp(timestamp, peer->newest, OMNI_TAI64N_LEN);

	if (order <= 0) {
		ctl_count(ctl, OMNI_STAT_ctl_stale);
		if (order < 0)
			ctl_wg_set_trouble(peer, WG_OLD_CALLS);
		return false;
	}
	memcpy(peer->newest, timestamp, OMNI_TAI64N_LEN);
	return true;
}

static int write_response(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_wg *hs,
			  uint32_t id, struct omni_wg_response *out, struct omni_noise_keys *keys)
{
	struct omni_key ephemeral;
	struct omni_wg_reply reply = {
		.psk = &peer->psk,
		.ephemeral = &ephemeral,
		.cookie = &peer->cookie,
		.index = id,
		.now_ns = ctl_now(ctl),
	};
	int rc;

	omni_random(&ephemeral, sizeof(ephemeral));
	rc = omni_wg_response_create(hs, out, keys, &reply);
	omni_wipe(&ephemeral, sizeof(ephemeral));
	return rc;
}

static void answer(struct omni_ctl *ctl, const struct way *way, struct ctl_peer *peer,
		   struct omni_wg *hs)
{
	struct omni_noise_keys keys;
	struct omni_wg_response out;
	struct ctl_wg_done done = {
		.local_id = omni_sessions_reserve_wg(ctl->conf.sessions),
		.remote_id = hs->remote_index,
		.keys = &keys,
	};
	struct ctl_wg *wg = peer->wg;

	if (done.local_id == 0) {
		ctl_count(ctl, OMNI_STAT_ctl_peers_full);
		return;
	}
	if (write_response(ctl, peer, hs, done.local_id, &out, &keys) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
		omni_sessions_release(ctl->conf.sessions, done.local_id);
	} else if (ctl_wg_slots_add(ctl, peer, &done) < 0) {
		omni_sessions_release(ctl->conf.sessions, done.local_id);
	} else {
		wg->answer = *hs;
		peer->last_start_ns = ctl_now(ctl);
		ctl_wg_sent(ctl, peer);
		peer->past_tx_bytes += sizeof(out);
		reply_plain(ctl, way, &out, sizeof(out));
		if (++wg->answers > WG_ANSWERS_LOST)
			ctl_wg_set_trouble(peer, WG_UNCONFIRMED);
	}
	omni_wipe(&keys, sizeof(keys));
}

/* Identified as a peer of ours; NULL and counted. Nothing says yet that it is that peer. */
static struct ctl_peer *who(struct omni_ctl *ctl, const struct omni_wg *hs,
			    const struct omni_endpoint *from)
{
	bool other;
	struct ctl_peer *peer = ctl_wg_find(ctl, &hs->remote, &other);

	if (peer != NULL)
		return peer;
	ctl_count(ctl, other ? OMNI_STAT_ctl_wrong_dialect : OMNI_STAT_ctl_unknown_key);
	ctl_wg_tell_stranger(ctl, &hs->remote, from, other);
	return NULL;
}

static void settle(struct omni_ctl *ctl, const struct way *way, struct ctl_peer *peer,
		   struct omni_wg *hs)
{
	peer->wg->consumed_ns = ctl_now(ctl);
	ctl_wg_received(ctl, peer);
	ctl_peer_set_endpoint(ctl, peer, way->from, true, way->back);
	ctl_wg_called(ctl, peer, &way->to->ip);
	answer(ctl, way, peer, hs);
}

static void put_off(struct omni_ctl *ctl, const struct way *way, struct ctl_peer *peer,
		    const struct omni_wg *hs)
{
	struct ctl_wg_soon *soon = &peer->wg->soon;

	if (soon->waits)
		ctl_count(ctl, OMNI_STAT_ctl_flood);
	*soon = (struct ctl_wg_soon){
		.waits = true, .hs = *hs, .from = *way->from, .to = *way->to, .back = *way->back};
	ctl_peer_due(peer, ctl_wg_answer_ns(peer->wg));
}

void ctl_wg_answer_late(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_wg_soon soon = peer->wg->soon;
	const struct way way = {&soon.back, &soon.from, &soon.to};

	omni_wipe(&peer->wg->soon, sizeof(peer->wg->soon));
	if (!ctl->stopping)
		settle(ctl, &way, peer, &soon.hs);
	omni_wipe(&soon, sizeof(soon));
}

static void hear(struct omni_ctl *ctl, const struct way *way, struct omni_wg *hs,
		 const struct omni_wg_initiation *in)
{
	uint8_t timestamp[OMNI_TAI64N_LEN];
	struct ctl_peer *peer = who(ctl, hs, way->from);

	if (peer == NULL)
		return;
	if (omni_wg_initiation_verify(hs, timestamp, in, &ctl->conf.identity->dh,
				      ctl_wg_shared(ctl, peer)) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
		return;
	}
	if (!is_newer(ctl, peer, timestamp))
		return;
	peer->past_rx_bytes += sizeof(struct omni_wg_initiation);
	if (peer->wg->consumed_ns != 0 && ctl_now(ctl) - peer->wg->consumed_ns < WG_FLOOD_NS)
		put_off(ctl, way, peer, hs);
	else
		settle(ctl, way, peer, hs);
}

void ctl_wg_initiation(struct omni_ctl *ctl, struct rte_mbuf *m,
		       const struct omni_wg_initiation *in, const struct omni_endpoint *from,
		       const struct omni_endpoint *to)
{
	struct omni_path back;
	const struct way way = {&back, from, to};
	const struct omni_dh_pair *self = &ctl->conf.identity->dh;
	struct omni_wg hs;

	if (ctl->stopping)
		return;
	if (!omni_wg_initiation_mac1_valid(in, &self->public)) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_mac1);
		ctl_wg_tell_misdirected(ctl, from);
		return;
	}
	if (!(ctl_limits_loaded(ctl, ctl->hs_waiting) && ctl_limits_stranger(ctl, &from->ip)) &&
	    !ctl_wg_passes_load(ctl, m, in, sizeof(*in), in->sender, in->mac1, from, to))
		return;
	ctl_reflect(ctl, m, &back);
	if (omni_wg_initiation_identify(&hs, in, self) < 0)
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
	else
		hear(ctl, &way, &hs, in);
	omni_wg_wipe(&hs);
}
