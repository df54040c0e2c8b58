/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Path MTU by padded PROBEs with DF set (RFC 8899): the first link's MTU at once, then what nearly
 * every path carries, then by halves between what was echoed and what was not. Trusts no ICMP.
 */
#include "ctl_priv.h"

#define TRY_NS (400 * OMNI_NS_PER_MS)
#define TRIES 3
#define CLOSE_ENOUGH 8 /* bytes */
/* Of a PROBE without padding: nearly every path carries 1280 bytes, so one that seems not to has to
 * show that it carries anything. */
#define ANY_SIZE 0

static void finish(struct ctl_peer *peer)
{
	char key[OMNI_KEY_B64_LEN];

	peer->pmtu.searching = false;
	peer->pmtu.done = true;
	peer->pmtu.probe.waiting = false;
	if (peer->pmtu.told == peer->pmtu.low)
		return;
	peer->pmtu.told = peer->pmtu.low;
	omni_log_info(LOG_CTL, "path MTU measured", "cluster=%s peer=%s mtu=%u",
		      peer->cluster->conf->name, ctl_peer_text(key, peer), peer->pmtu.low);
}

static void ask(struct omni_ctl *ctl, struct ctl_peer *peer, uint16_t size)
{
	uint8_t tries = peer->pmtu.probe.size == size ? peer->pmtu.probe.tries : 0;

	peer->pmtu.probe.size = size;
	(void)ctl_probe_send(ctl, peer, &peer->pmtu.probe, NULL);
	peer->pmtu.probe.sent_ns = ctl_now(ctl);
	peer->pmtu.probe.waiting = true;
	peer->pmtu.probe.tries = (uint8_t)(tries + 1);
}

static void next_size(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (!p->sure)
		ask(ctl, peer, p->low);
	else if (p->high - p->low < CLOSE_ENOUGH)
		finish(peer);
	else
		ask(ctl, peer, (uint16_t)((p->low + p->high + 1) / 2));
}

void ctl_pmtu_start(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (atomic_load(&peer->pub->path) == NULL)
		return;
	if (peer->path_mtu != 0) {
		*p = (struct ctl_pmtu){
			.low = OMNI_MIN(peer->path_mtu, peer->link_mtu),
			.done = true,
		};
		return;
	}
	*p = (struct ctl_pmtu){
		.low = OMNI_MIN(OMNI_PATH_MTU_DEFAULT, peer->link_mtu),
		.high = peer->link_mtu,
		.searching = true,
	};
	ctl_peer_due(peer, ctl_now(ctl));
	ask(ctl, peer, p->high);
}

void ctl_pmtu_verify(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (p->searching)
		return;
	if (!p->done) {
		ctl_pmtu_start(ctl, peer);
		return;
	}
	if (peer->path_mtu != 0 || (!p->sure && p->low <= OMNI_PATH_MTU_DEFAULT))
		return;
	p->searching = p->verifying = true;
	p->high = peer->link_mtu;
	p->probe.size = 0;
	ctl_peer_due(peer, ctl_now(ctl));
	ask(ctl, peer, p->low);
}

/*
 * What was carried, or believed to be, is not: from the next lower belief on. Below the smallest
 * there is none, and that one is never doubted.
 */
static void shrunk(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;
	uint16_t failed = p->low;

	p->verifying = false;
	p->high = OMNI_MAX(failed - 1, OMNI_PATH_MTU_MIN);
	p->sure = failed <= OMNI_PATH_MTU_DEFAULT;
	p->low = p->sure ? OMNI_PATH_MTU_MIN : OMNI_PATH_MTU_DEFAULT;
	ctl_peer_republish(ctl, peer);
}

/* The link's own MTU being too much also changes what TCP is told. */
static void too_long(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;
	bool first = p->high == peer->link_mtu;

	p->high = (uint16_t)(p->probe.size - 1);
	if (first)
		ctl_peer_republish(ctl, peer);
}

void ctl_pmtu_echo(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (!p->searching)
		return;
	if (p->probe.size == ANY_SIZE) {
		shrunk(ctl, peer);
		next_size(ctl, peer);
		return;
	}
	if (!p->verifying) {
		p->low = OMNI_MAX(p->low, p->probe.size);
		ctl_peer_republish(ctl, peer);
	}
	p->verifying = false;
	p->sure = true;
	next_size(ctl, peer);
}

void ctl_pmtu_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (!p->searching || now - p->probe.sent_ns < TRY_NS)
		return;
	if (!ctl_peer_has_key(peer)) {
		p->searching = false; /* begins anew with the next session */
		return;
	}
	if (p->probe.tries < TRIES) {
		ask(ctl, peer, p->probe.size);
		return;
	}
	if (p->probe.size == ANY_SIZE) { /* the other side says nothing at all */
		p->verifying = false;
		finish(peer);
		return;
	}
	if (p->probe.size == p->low && p->low <= OMNI_PATH_MTU_DEFAULT) {
		ask(ctl, peer, ANY_SIZE);
		return;
	}
	if (p->verifying)
		shrunk(ctl, peer);
	else
		too_long(ctl, peer);
	next_size(ctl, peer);
}
