/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Source ports of lanes (docs/protocol.md). While a session carries data, its lanes leave from
 * their workers' own UDP ports as long as PROBEs from there, as long as the path's datagrams may
 * be, are echoed; else from the main port. And the other way round: from which ports a peer's
 * lanes come, so that they are not taken for new addresses.
 */
#include <inttypes.h>

#include "ctl_priv.h"

#define EVERY_NS (2 * OMNI_NS_PER_S) /* between the probes of a port */
#define TRY_NS (400 * OMNI_NS_PER_MS)
#define TRIES 3
#define REST_NS (30 * OMNI_NS_PER_S) /* a port that was not echoed is left alone for so long */
#define IDLE_NS (20 * OMNI_NS_PER_S) /* without data or echo: what a NAT knew may be gone */

/* One lane's own port; the port of its worker is in ctl->conf.lane_ports. */
struct lane {
	struct ctl_probe probe;
	uint16_t proven; /* longest IP datagram echoed; 0: it uses the main port */
	uint64_t echoed_ns, due_ns;
};

struct ctl_lanes {
	uint64_t used_tsc, used_ns;   /* newest data, and when it was seen */
	uint64_t key;		      /* local id of the key to send with */
	bool settled;		      /* its lanes left from their ports from the beginning, or a
				       * key of which that holds was asked for */
	bool waiting;		      /* a probe is on its way */
	bool far;		      /* ports.far has some */
	struct omni_lane_ports ports; /* own: as last asked for */
	unsigned int n;
	struct lane lane[]; /* by worker: lane i + 1 */
};

static struct ctl_lanes *lanes_of(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	unsigned int n = ctl->conf.lane_ports != NULL ? ctl->conf.n_workers : 0;

	if (peer->lanes == NULL) {
		peer->lanes = calloc(1, sizeof(*peer->lanes) + n * sizeof(struct lane));
		if (peer->lanes != NULL)
			peer->lanes->n = n;
	}
	return peer->lanes;
}

void ctl_lanes_end(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (peer->lanes == NULL)
		return;
	free(peer->lanes);
	peer->lanes = NULL;
	ctl_peer_republish(ctl, peer);
}

bool ctl_lanes_waiting(const struct ctl_peer *peer)
{
	return peer->lanes != NULL && peer->lanes->waiting;
}

const struct omni_lane_ports *ctl_lanes_ports(const struct ctl_peer *peer, uint16_t mtu)
{
	struct ctl_lanes *lanes = peer->lanes;

	if (lanes == NULL)
		return NULL;
	lanes->ports.own = 0;
	for (unsigned int i = 0; i < lanes->n; i++)
		if (lanes->lane[i].proven >= mtu)
			lanes->ports.own |= UINT64_C(1) << (i + 1);
	return lanes->ports.own != 0 || lanes->far ? &lanes->ports : NULL;
}

/* ---- Ours ---- */

/* A lane that several workers share has no port of its own: theirs differ. */
static bool is_exclusive(const struct omni_ctl *ctl, const struct omni_keypair *kp,
			 unsigned int lane)
{
	unsigned int last = kp->lanes_tx - 1U;

	return lane < last || (lane == last && ctl->conf.n_workers <= last);
}

static void ask(struct omni_ctl *ctl, struct ctl_peer *peer, unsigned int i, uint8_t tries)
{
	struct lane *l = &peer->lanes->lane[i];
	struct omni_path path = *(const struct omni_path *)atomic_load(&peer->pub->path);

	omni_path_set_source(&path, ctl->conf.lane_ports[i]);
	l->probe.size = path.mtu;
	l->probe.tries = tries;
	(void)ctl_probe_send(ctl, peer, &l->probe, &path);
	l->probe.sent_ns = ctl_now(ctl);
	l->probe.waiting = true;
}

static void back_to_main(struct omni_ctl *ctl, struct ctl_peer *peer, unsigned int i)
{
	struct lane *l = &peer->lanes->lane[i];

	if (l->proven == 0)
		return;
	l->proven = 0;
	ctl_peer_republish(ctl, peer);
}

static void unanswered(struct omni_ctl *ctl, struct ctl_peer *peer, unsigned int i, uint64_t now)
{
	struct lane *l = &peer->lanes->lane[i];

	if (l->probe.tries < TRIES) {
		ask(ctl, peer, i, (uint8_t)(l->probe.tries + 1));
		return;
	}
	l->probe.waiting = false;
	l->due_ns = now + REST_NS;
	if (l->proven == 0)
		return;
	ctl_count(ctl, OMNI_STAT_ctl_lane_ports_lost);
	back_to_main(ctl, peer, i);
	/* Or the whole path carries less than it did. */
	ctl_pmtu_verify(ctl, peer);
}

static void look(struct omni_ctl *ctl, struct ctl_peer *peer, unsigned int i, uint64_t now)
{
	const struct omni_keypair *kp = atomic_load(&peer->pub->tx);
	const struct omni_path *path = atomic_load(&peer->pub->path);
	struct lane *l = &peer->lanes->lane[i];

	if (l->probe.waiting) {
		if (now >= l->probe.sent_ns + TRY_NS)
			unanswered(ctl, peer, i, now);
		return;
	}
	if (!is_exclusive(ctl, kp, i + 1)) {
		back_to_main(ctl, peer, i);
		return;
	}
	if (now < l->due_ns && (l->proven == 0 || l->proven >= path->mtu))
		return;
	if (now - peer->lanes->used_ns < IDLE_NS)
		ask(ctl, peer, i, 1);
	else if (now - l->echoed_ns >= IDLE_NS)
		back_to_main(ctl, peer, i);
}

/* When a worker last sent data; 0: never. */
static uint64_t newest_data(const struct omni_ctl *ctl, const struct omni_keypair *kp)
{
	uint64_t newest = 0;

	for (unsigned int lane = 1; lane <= ctl->conf.n_workers && lane < kp->lanes_tx; lane++)
		newest =
			OMNI_MAX(newest, __atomic_load_n(&kp->tx[lane].last_tsc, __ATOMIC_RELAXED));
	return newest;
}

static void observe(struct ctl_lanes *lanes, const struct omni_keypair *kp, uint64_t newest,
		    uint64_t now)
{
	if (newest != 0 && newest != lanes->used_tsc) {
		lanes->used_tsc = newest;
		lanes->used_ns = now;
	}
	if (lanes->key == kp->local_id)
		return;
	lanes->key = kp->local_id;
	lanes->settled = lanes->n > 0;
	for (unsigned int i = 0; i < lanes->n && i + 1 < kp->lanes_tx; i++)
		lanes->settled &= lanes->lane[i].proven != 0;
}

/*
 * A lane belongs to the worker that opened its first message, for the life of the key.
 * Where that came from the main port, all lanes are one worker's: new keys let them spread.
 */
static void settle(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_keypair *kp)
{
	struct ctl_lanes *lanes = peer->lanes;
	bool used = false, own = false;

	if (lanes->settled || lanes->waiting)
		return;
	for (unsigned int i = 0; i < lanes->n; i++) {
		if (lanes->lane[i].proven == 0)
			continue;
		own = true;
		used |= __atomic_load_n(&kp->tx[i + 1].sequence, __ATOMIC_RELAXED) != 0;
	}
	lanes->settled = own;
	if (used && peer->attempt_ns == 0)
		ctl_peer_initiate(ctl, peer);
}

void ctl_lanes_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	const struct omni_keypair *kp = atomic_load(&peer->pub->tx);
	struct ctl_lanes *lanes;
	uint64_t newest;

	/* What a port has to carry is not known before the path's MTU is. */
	if (ctl->conf.lane_ports == NULL || kp == NULL || peer->pmtu.searching ||
	    atomic_load(&peer->pub->path) == NULL)
		return;
	newest = newest_data(ctl, kp);
	/* Peers that only have a session cost nothing. */
	lanes = newest != 0 ? lanes_of(ctl, peer) : peer->lanes;
	if (lanes == NULL)
		return;
	observe(lanes, kp, newest, now);
	lanes->waiting = false;
	for (unsigned int i = 0; i < lanes->n; i++) {
		look(ctl, peer, i, now);
		lanes->waiting |= lanes->lane[i].probe.waiting;
	}
	settle(ctl, peer, kp);
}

static void echoed(struct omni_ctl *ctl, struct ctl_peer *peer, unsigned int i)
{
	struct lane *l = &peer->lanes->lane[i];
	uint16_t before = l->proven;

	l->proven = l->probe.size;
	l->echoed_ns = ctl_now(ctl);
	l->due_ns = l->echoed_ns + EVERY_NS;
	if (before == 0)
		ctl_count(ctl, OMNI_STAT_ctl_lane_ports_proven);
	if (before != l->proven)
		ctl_peer_republish(ctl, peer);
}

bool ctl_lanes_echo(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *echo,
		    const struct omni_endpoint *from)
{
	for (unsigned int i = 0; peer->lanes != NULL && i < peer->lanes->n; i++) {
		if (!ctl_probe_answers(&peer->lanes->lane[i].probe, echo, from))
			continue;
		echoed(ctl, peer, i);
		return true;
	}
	return false;
}

void ctl_lanes_moved(struct ctl_peer *peer)
{
	struct ctl_lanes *lanes = peer->lanes;

	if (lanes == NULL)
		return;
	lanes->waiting = false;
	lanes->far = false;
	memset(&lanes->ports, 0, sizeof(lanes->ports));
	memset(lanes->lane, 0, lanes->n * sizeof(lanes->lane[0]));
}

/* ---- The peer's ---- */

bool ctl_lanes_is_far(const struct ctl_peer *peer, const struct omni_endpoint *ep)
{
	if (peer->lanes == NULL || !omni_ip_equal(&ep->ip, &peer->endpoint.ip))
		return false;
	for (unsigned int i = 1; i < OMNI_LANES_MAX; i++)
		if (peer->lanes->ports.far[i] == ep->port)
			return true;
	return false;
}

void ctl_lanes_learn_far(struct omni_ctl *ctl, struct ctl_peer *peer, uint8_t lane,
			 const struct omni_endpoint *ep)
{
	struct ctl_lanes *lanes;

	if (lane == 0 || lane >= OMNI_LANES_MAX || !omni_ip_equal(&ep->ip, &peer->endpoint.ip))
		return;
	lanes = lanes_of(ctl, peer);
	if (lanes == NULL || lanes->ports.far[lane] == ep->port)
		return;
	lanes->ports.far[lane] = ep->port;
	lanes->far = true;
	ctl_peer_republish(ctl, peer);
}
