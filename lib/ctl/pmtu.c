/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Path MTU by padded PROBEs with DF set (RFC 8899): the first link's MTU at once, then what nearly
 * every path carries, then by halves between what was echoed and what was not. While data is sent,
 * what was echoed is asked for again: a path that shrinks says nothing. Trusts no ICMP.
 */
#include "ctl_priv.h"

#define TRY_NS (400 * OMNI_NS_PER_MS)
#define TRIES 3 /* of one token: round trips may take as long as all of them */
#define CONFIRM_NS (2 * OMNI_NS_PER_S)
#define CLOSE_ENOUGH 8 /* bytes */

static void finish(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	char key[OMNI_KEY_B64_LEN];

	peer->pmtu.again_ns = ctl_now(ctl) + CONFIRM_NS;
	peer->pmtu.searching = false;
	peer->pmtu.done = true;
	peer->pmtu.probe.waiting = peer->pmtu.any.waiting = false;
	if (peer->pmtu.told == peer->pmtu.low)
		return;
	peer->pmtu.told = peer->pmtu.low;
	omni_log_info(LOG_CTL, "path MTU measured", "cluster=%s peer=%s mtu=%u",
		      peer->cluster->conf->name, ctl_peer_text(key, peer), peer->pmtu.low);
}

static void probe_send(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_probe *probe,
		       uint8_t tries)
{
	if (tries == 0)
		(void)ctl_probe_send(ctl, peer, probe, NULL);
	else
		(void)ctl_probe_repeat(ctl, peer, probe, NULL);
	probe->sent_ns = ctl_now(ctl);
	probe->waiting = true;
	probe->tries = (uint8_t)(tries + 1);
}

static void ask(struct omni_ctl *ctl, struct ctl_peer *peer, uint16_t size)
{
	struct ctl_pmtu *p = &peer->pmtu;
	uint8_t tries = p->probe.size == size ? p->probe.tries : 0;

	p->any.waiting = false;
	p->probe.size = size;
	probe_send(ctl, peer, &p->probe, tries);
}

/*
 * Without padding. What was echoed before, and 1280 bytes, which nearly every path carries, count
 * as lost only where this comes back, and nothing of that size that left before it.
 */
static void ask_any(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_probe *any = &peer->pmtu.any;

	probe_send(ctl, peer, any, any->waiting ? any->tries : 0);
}

static void next_size(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (!p->sure)
		ask(ctl, peer, p->low);
	else if (p->high == p->low)
		finish(ctl, peer);
	else if (p->high == peer->link_mtu) /* a path that grew again mostly has all of it */
		ask(ctl, peer, p->high);
	else if (p->high - p->low < CLOSE_ENOUGH)
		finish(ctl, peer);
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

/* Ask for what was measured; where it is still carried, for more up to high. */
static void verify(struct omni_ctl *ctl, struct ctl_peer *peer, uint16_t high)
{
	struct ctl_pmtu *p = &peer->pmtu;

	p->searching = p->verifying = true;
	p->high = high;
	p->probe.size = 0;
	ctl_peer_due(peer, ctl_now(ctl));
	ask(ctl, peer, p->low);
}

void ctl_pmtu_verify(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct ctl_pmtu *p = &peer->pmtu;

	if (p->searching || (p->done && peer->path_mtu != 0))
		return;
	if (p->done && p->sure)
		verify(ctl, peer, peer->link_mtu);
	else
		ctl_pmtu_start(ctl, peer);
}

static void confirm(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	const struct ctl_pmtu *p = &peer->pmtu;

	if (p->done && p->sure && now >= p->again_ns && now - peer->tx_data_ns < CONFIRM_NS &&
	    ctl_peer_has_key(peer))
		verify(ctl, peer, p->low);
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
	if (!p->verifying) {
		p->low = OMNI_MAX(p->low, p->probe.size);
		ctl_peer_republish(ctl, peer);
	}
	p->verifying = false;
	p->sure = true;
	next_size(ctl, peer);
}

void ctl_pmtu_echo_any(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (!peer->pmtu.searching)
		return;
	shrunk(ctl, peer);
	next_size(ctl, peer);
}

void ctl_pmtu_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now)
{
	struct ctl_pmtu *p = &peer->pmtu;
	const struct ctl_probe *last;

	if (!p->searching)
		confirm(ctl, peer, now);
	last = p->any.waiting ? &p->any : &p->probe;
	if (!p->searching || now < last->sent_ns + TRY_NS)
		return;
	if (!ctl_peer_has_key(peer)) {
		p->searching = false; /* begins anew with the next session */
		return;
	}
	if (last == &p->any && last->tries < TRIES) {
		ask_any(ctl, peer);
	} else if (last == &p->any) { /* the other side says nothing at all */
		p->verifying = false;
		finish(ctl, peer);
	} else if (last->tries < TRIES) {
		ask(ctl, peer, last->size);
	} else if (p->verifying || (last->size == p->low && p->low <= OMNI_PATH_MTU_DEFAULT)) {
		ask_any(ctl, peer);
	} else {
		too_long(ctl, peer);
		next_size(ctl, peer);
	}
}
