/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Roaming (docs/protocol.md): authenticated packets from another address than the one that we
 * send to. Both addresses are probed; traffic moves when the new one answers and the old one does
 * not, or when the new one answers and the peer itself asked to be moved. A peer's lanes may come
 * from ports of their own; it answers from the one that it is to be reached at.
 */
#include "ctl_priv.h"

#define ROUND_NS OMNI_NS_PER_S
#define AGAIN_NS (500 * OMNI_NS_PER_MS) /* the second probe of a round */
#define VALIDATED_NS (10 * OMNI_NS_PER_S)
/* Shortest datagram that carries a PROBE: map of two, type, token of 8 bytes. */
#define PROBE_LEN (OMNI_DATA_OVERHEAD + 13)

static struct ctl_roam *roam_of(struct ctl_peer *peer)
{
	if (peer->roam == NULL)
		peer->roam = calloc(1, sizeof(*peer->roam));
	return peer->roam;
}

void ctl_roam_end(struct ctl_peer *peer)
{
	free(peer->roam);
	peer->roam = NULL;
}

static void move(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_endpoint to = peer->roam->at_new.to;
	char key[OMNI_KEY_B64_LEN], a[OMNI_ENDPOINT_TEXT_LEN], b[OMNI_ENDPOINT_TEXT_LEN];

	omni_log_info(LOG_CTL, "peer moved", "cluster=%s peer=%s from=%s to=%s",
		      peer->cluster->conf->name, ctl_peer_text(key, peer),
		      omni_endpoint_text(a, &peer->endpoint), omni_endpoint_text(b, &to));
	ctl_count(ctl, OMNI_STAT_ctl_roamed);
	ctl_peer_set_endpoint(ctl, peer, &to, true, NULL);
}

/* Towards an address that nobody confirmed: not often, whoever asks for it. */
static void probe_new(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_endpoint *to)
{
	struct omni_path path;

	if (!ctl_bucket_take(&ctl->probes, ctl_now(ctl), CTL_PROBES_PER_S, CTL_PROBES_PER_S)) {
		ctl_count(ctl, OMNI_STAT_ctl_probes_limited);
		return;
	}
	if (ctl_resolve(ctl, to, &path) == 0)
		(void)ctl_probe_send(ctl, peer, &peer->roam->at_new, &path);
}

/* It leads to the peer as well as the address in use does, and moves nothing. */
static void validate(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_roam *r = peer->roam;

	r->running = false;
	r->validated = r->at_new.to;
	r->validated_ns = ctl_now(ctl);
	ctl_lanes_learn_far(ctl, peer, r->lane, &r->validated);
}

static bool is_validated(struct omni_ctl *ctl, struct ctl_peer *peer,
			 const struct omni_endpoint *from, uint8_t lane)
{
	const struct ctl_roam *r = peer->roam;

	if (omni_endpoint_equal(from, &r->validated) &&
	    ctl_now(ctl) - r->validated_ns < VALIDATED_NS) {
		ctl_lanes_learn_far(ctl, peer, lane, from);
		return true;
	}
	return lane == 0 && ctl_lanes_is_far(peer, from);
}

void ctl_roam_seen(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_endpoint *from,
		   uint8_t lane, uint32_t datagram_len, bool asked)
{
	uint64_t now = ctl_now(ctl);
	struct ctl_roam *r;

	if (!ctl_peer_has_key(peer) || omni_endpoint_equal(from, &peer->endpoint))
		return;
	r = roam_of(peer);
	if (r == NULL)
		return;
	if (r->running) {
		r->asked |= asked && omni_endpoint_equal(from, &r->at_new.to);
		return;
	}
	if (datagram_len < PROBE_LEN || (!asked && is_validated(ctl, peer, from, lane)))
		return;
	r->running = true;
	r->asked = asked;
	r->lane = lane;
	r->until_ns = now + ROUND_NS;
	r->at_new = (struct ctl_probe){.to = *from};
	r->at_old = (struct ctl_probe){.to = peer->endpoint};
	probe_new(ctl, peer, from);
	r->at_new.to = *from;
	(void)ctl_probe_send(ctl, peer, &r->at_old, NULL);
	r->at_old.tries = 1;
	ctl_peer_due(peer, now);
}

void ctl_roam_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct ctl_roam *r = peer->roam;

	if (!ctl_roam_runs(peer))
		return;
	if (r->at_new.echoed && r->asked) {
		move(ctl, peer); /* ends the round */
		return;
	}
	if (r->at_old.tries == 1 && now + AGAIN_NS >= r->until_ns) {
		struct omni_endpoint to = r->at_new.to;

		if (!r->at_new.echoed)
			probe_new(ctl, peer, &to);
		if (!r->at_old.echoed)
			(void)ctl_probe_send(ctl, peer, &r->at_old, NULL);
		r->at_old.tries = 2;
	}
	if (now < r->until_ns)
		return;
	r->running = false;
	if (r->at_new.echoed && !r->at_old.echoed) {
		move(ctl, peer);
	} else if (r->at_new.echoed) {
		validate(ctl, peer);
	}
}

/*
 * The probe to the new address was answered from another one, at which the peer says to be: the
 * one in use, or a new one that is probed in its turn.
 */
static void answered_from(struct omni_ctl *ctl, struct ctl_peer *peer,
			  const struct omni_endpoint *from)
{
	struct ctl_roam *r = peer->roam;

	if (omni_endpoint_equal(from, &peer->endpoint)) {
		validate(ctl, peer);
		return;
	}
	r->lane = 0;
	r->at_new = (struct ctl_probe){.to = *from};
	probe_new(ctl, peer, from);
	r->at_new.to = *from;
}

bool ctl_roam_echo(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *echo,
		   const struct omni_endpoint *from)
{
	struct ctl_roam *r = peer->roam;
	struct omni_endpoint to;

	if (r == NULL)
		return false;
	if (ctl_probe_answers(&r->at_new, echo, from) ||
	    ctl_probe_answers(&r->at_old, echo, from)) {
		ctl_roam_tick(ctl, peer, ctl_now(ctl));
		return true;
	}
	/* As if it had gone where the answer comes from: the token is what counts. */
	to = r->at_new.to;
	r->at_new.to = *from;
	if (r->running && ctl_probe_answers(&r->at_new, echo, from)) {
		r->at_new.to = to;
		answered_from(ctl, peer, from);
		return true;
	}
	r->at_new.to = to;
	return false;
}
