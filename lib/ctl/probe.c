/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Control messages between peers: PROBE and its ECHO, MOVE, CUT, CLOSE. */
#include <rte_mbuf.h>

#include <omni_cursor.h>

#include "ctl_priv.h"

#define SMALL 64
/* CUT is not said again so soon: the first one may be on its way. */
#define CUT_AGAIN_NS (100 * OMNI_NS_PER_MS)

static int send_control(struct omni_ctl *ctl, struct omni_keypair *kp, const struct omni_path *path,
			const struct omni_control *msg, size_t size)
{
	uint8_t small[SMALL], *out = small;
	int len, rc;

	if (size > sizeof(small)) {
		out = malloc(size);
		if (out == NULL)
			return -ENOMEM;
	}
	len = omni_control_encode(out, OMNI_MAX(size, sizeof(small)), msg, size);
	rc = len < 0 ? len : ctl_send_sealed(ctl, kp, path, OMNI_KIND_CONTROL, out, (size_t)len);
	if (out != small)
		free(out);
	return rc;
}

int ctl_probe_send(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_probe *probe,
		   const struct omni_path *path)
{
	omni_random(probe->token, sizeof(probe->token));
	return ctl_probe_repeat(ctl, peer, probe, path);
}

int ctl_probe_repeat(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_probe *probe,
		     const struct omni_path *path)
{
	struct omni_keypair *kp = atomic_load(&peer->pub->tx);
	struct omni_control msg = {.type = OMNI_CONTROL_PROBE};
	size_t size = 0;
	int rc;

	if (path == NULL)
		path = atomic_load(&peer->pub->path);
	if (kp == NULL || path == NULL)
		return kp == NULL ? -ENOKEY : -EDESTADDRREQ;
	memcpy(msg.token, probe->token, sizeof(msg.token));
	if (probe->size != 0)
		size = (size_t)probe->size - ctl_path_overhead(path);
	probe->to = path->remote;
	probe->sent_ns = ctl_now(ctl);
	probe->waiting = true;
	probe->echoed = false;
	rc = send_control(ctl, kp, path, &msg, size);
	if (rc == 0)
		ctl_count(ctl, OMNI_STAT_ctl_probes_sent);
	return rc;
}

/* An answer is no longer than the question, and goes to where that came from. */
static void answer_probe(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_keypair *kp,
			 const struct rte_mbuf *m, const struct omni_endpoint *from,
			 const struct omni_control *probe)
{
	struct omni_control echo = {.type = OMNI_CONTROL_ECHO};
	const struct omni_path *known = atomic_load(&peer->pub->path);
	struct omni_path path;

	ctl_count(ctl, OMNI_STAT_ctl_probes_received);
	if (!ctl_bucket_take(&peer->echoes, ctl_now(ctl), CTL_ECHOES_PER_S, CTL_ECHOES_PER_S)) {
		ctl_count(ctl, OMNI_STAT_ctl_probes_limited);
		return;
	}
	memcpy(echo.token, probe->token, sizeof(echo.token));
	if (known != NULL && omni_endpoint_equal(&known->remote, from))
		path = *known;
	else if (ctl_resolve_or_reflect(ctl, from, m, &path) < 0)
		return;
	/* In the session that the probe came in, so that it also proves that one. */
	if ((omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) == 0)
		(void)send_control(ctl, kp, &path, &echo, 0);
}

bool ctl_probe_answers(struct ctl_probe *probe, const struct omni_control *echo,
		       const struct omni_endpoint *from)
{
	if (!probe->waiting || !omni_equal_ct(probe->token, echo->token, sizeof(echo->token)) ||
	    !omni_endpoint_equal(&probe->to, from))
		return false;
	probe->waiting = false;
	probe->echoed = true;
	return true;
}

static void take_echo(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *echo,
		      const struct omni_endpoint *from)
{
	ctl_count(ctl, OMNI_STAT_ctl_echoes_received);
	if (ctl_probe_answers(&peer->pmtu.probe, echo, from)) {
		ctl_pmtu_echo(ctl, peer);
	} else if (ctl_probe_answers(&peer->pmtu.any, echo, from)) {
		ctl_pmtu_echo_any(ctl, peer);
	} else if (ctl_probe_answers(&peer->alive, echo, from)) {
		peer->alive.tries = 0;
		peer->alive_armed = false;
	} else if (!ctl_roam_echo(ctl, peer, echo, from)) {
		(void)ctl_lanes_echo(ctl, peer, echo, from);
	}
}

static void closed(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_keypair *kp,
		   uint32_t reason)
{
	uint64_t now = ctl_now(ctl), wait = OMNI_REKEY_TIMEOUT_S * OMNI_NS_PER_S;
	char key[OMNI_KEY_B64_LEN];

	ctl_count(ctl, OMNI_STAT_ctl_closes_received);
	omni_log_info(LOG_CTL, "session closed by peer", "cluster=%s peer=%s reason=%u",
		      peer->cluster->conf->name, ctl_peer_text(key, peer), reason);
	for (unsigned int i = 0; i < CTL_SLOTS; i++)
		if (ctl_peer_kp(peer, (enum ctl_slot)i) == kp)
			ctl_slot_drop(ctl, peer, (enum ctl_slot)i);
	if (reason == OMNI_CLOSE_LEAVING && !ctl_peer_has_key(peer)) {
		/* It ends all of them; what came before the last key will hear no more. */
		ctl_slots_drop_all(ctl, peer);
	}
	if (!ctl_peer_has_key(peer) && ctl_peer_is_kept(peer))
		ctl_peer_initiate_at(ctl, peer, now + wait);
	ctl_peer_due(peer, now);
	ctl_clusters_flush(ctl);
}

/* Until the next key, under which it is tried again. */
static void cut_segments(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_keypair *kp)
{
	char key[OMNI_KEY_B64_LEN];

	ctl_count(ctl, OMNI_STAT_ctl_cuts_received);
	if ((atomic_fetch_or(&kp->marks, OMNI_KEYPAIR_CUT) & OMNI_KEYPAIR_CUT) == 0)
		omni_log_info(LOG_CTL, "segments no longer sent whole: some were lost",
			      "cluster=%s peer=%s", peer->cluster->conf->name,
			      ctl_peer_text(key, peer));
}

void ctl_move_ask(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_control m = {.type = OMNI_CONTROL_MOVE};
	uint8_t out[SMALL];
	int len;

	omni_random(m.token, sizeof(m.token));
	len = omni_control_encode(out, sizeof(out), &m, 0);
	if (len >= 0)
		(void)ctl_send_peer(ctl, peer, OMNI_KIND_CONTROL, out, (size_t)len);
}

void ctl_peer_say_cut(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct omni_control m = {.type = OMNI_CONTROL_CUT};
	uint64_t now = ctl_now(ctl);
	uint8_t out[16];
	int len = omni_control_encode(out, sizeof(out), &m, 0);

	if (len < 0 || now < peer->cut_ns + CUT_AGAIN_NS)
		return;
	peer->cut_ns = now;
	(void)ctl_send_peer(ctl, peer, OMNI_KIND_CONTROL, out, (size_t)len);
}

void ctl_probe_message(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_keypair *kp,
		       const struct rte_mbuf *m, const uint8_t *payload, size_t len)
{
	struct omni_endpoint from, to;
	struct omni_control msg;

	if (omni_control_decode(&msg, payload, len) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_control);
		return;
	}
	omni_punt_addresses(m, &from, &to);
	switch (msg.type) {
	case OMNI_CONTROL_PROBE:
		answer_probe(ctl, peer, kp, m, &from, &msg);
		break;
	case OMNI_CONTROL_ECHO:
		take_echo(ctl, peer, &msg, &from);
		break;
	case OMNI_CONTROL_MOVE:
		ctl_roam_seen(ctl, peer, &from, 0, OMNI_DATA_OVERHEAD + (uint32_t)len, true);
		break;
	case OMNI_CONTROL_CUT:
		cut_segments(ctl, peer, kp);
		break;
	case OMNI_CONTROL_CLOSE:
		closed(ctl, peer, kp, msg.reason);
		break;
	case OMNI_CONTROL_ROUTES:
		ctl_routes_heard(ctl, peer, &msg);
		break;
	case OMNI_CONTROL_WANT_ROUTES:
		ctl_routes_wanted(ctl, peer);
		break;
	case OMNI_CONTROL_TYPE_COUNT:
		break;
	}
}
