/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where peers are: candidates, the endpoint in use, and the path that workers read. */
#include "wg.h"

static void hold(struct omni_ctl *ctl, const struct omni_endpoint *ep)
{
	if (ep->port != 0 && ctl->conf.world.resolve == NULL)
		ctl_nexthop_hold(ctl, &ep->ip);
}

static void release(struct omni_ctl *ctl, const struct omni_endpoint *ep)
{
	if (ep->port != 0 && ctl->conf.world.resolve == NULL)
		ctl_nexthop_release(ctl, &ep->ip);
}

static uint16_t mtu_of(const struct ctl_peer *peer, const struct omni_path *path)
{
	uint16_t mtu = peer->wg != NULL ? WG_PATH_MTU : OMNI_PATH_MTU_DEFAULT;

	if (peer->path_mtu != 0)
		mtu = peer->path_mtu;
	else if (peer->pmtu.low != 0)
		mtu = peer->pmtu.low;
	return OMNI_MIN(mtu, path->mtu);
}

/*
 * A TCP connection keeps its MSS for life, so until the link's own MTU was asked for in vain it is
 * fitted to that; from then on to what was echoed.
 */
static uint16_t tcp_mtu_of(const struct ctl_peer *peer, uint16_t mtu)
{
	const struct ctl_pmtu *p = &peer->pmtu;

	if (peer->wg != NULL || peer->path_mtu != 0 || p->done ||
	    (p->high != 0 && p->high < peer->link_mtu))
		return mtu;
	return peer->link_mtu;
}

/* Both addresses and ports, whatever the next hop. */
static bool same_way(const struct omni_path *a, const struct omni_path *b)
{
	const size_t macs = OMNI_ETHER_HDR_LEN - 2;

	return a->port == b->port &&
	       memcmp(a->hdr + macs, b->hdr + macs, sizeof(a->hdr) - macs) == 0;
}

/* The peer is where it was; we are not, or were nowhere. */
static bool we_moved(const struct omni_path *old, const struct omni_path *path)
{
	return old == NULL ||
	       (omni_endpoint_equal(&old->remote, &path->remote) && !same_way(old, path));
}

static void set_path(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_path *path)
{
	omni_peer_set_path(peer->pub, path, ctl->conf.rcu);
	if (peer->cluster->conf->mode == OMNI_MODE_L3)
		omni_fib_touch(ctl->conf.fib); /* packets may wait for it */
}

static void publish(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_path *path)
{
	struct omni_path *old = atomic_load(&peer->pub->path), *copy;
	bool away = we_moved(old, path), first = peer->link_mtu == 0,
	     moved = old == NULL || !same_way(old, path) || peer->link_mtu != path->mtu;

	if (moved) {
		peer->pmtu = (struct ctl_pmtu){0};
		ctl_lanes_moved(peer);
	}
	peer->link_mtu = path->mtu;
	path->mtu = mtu_of(peer, path);
	path->tcp_mtu = tcp_mtu_of(peer, path->mtu);
	if (old != NULL && same_way(old, path) && old->mtu == path->mtu &&
	    old->tcp_mtu == path->tcp_mtu && memcmp(old->hdr, path->hdr, sizeof(old->hdr)) == 0)
		return;
	copy = omni_path_copy(path, ctl_lanes_ports(peer, path->mtu));
	if (copy == NULL)
		return;
	set_path(ctl, peer, copy);
	if (peer->wg != NULL) {
		if (away)
			ctl_wg_moved(ctl, peer);
		return;
	}
	if (!moved || !ctl_peer_has_key(peer))
		return;
	/* The other side may wait for data on this key before it sends any. */
	(void)ctl_send_peer(ctl, peer, OMNI_KIND_KEEPALIVE, NULL, 0);
	if (away && !first)
		ctl_move_ask(ctl, peer);
	ctl_pmtu_start(ctl, peer);
}

void ctl_peer_republish(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	const struct omni_path *old = atomic_load(&peer->pub->path);
	struct omni_path path, *copy;

	if (old == NULL)
		return;
	path = *old;
	path.mtu = peer->link_mtu;
	path.mtu = mtu_of(peer, &path);
	path.tcp_mtu = tcp_mtu_of(peer, path.mtu);
	copy = omni_path_copy(&path, ctl_lanes_ports(peer, path.mtu));
	if (copy != NULL)
		set_path(ctl, peer, copy);
}

void ctl_peer_publish_path(struct omni_ctl *ctl, struct ctl_peer *peer,
			   const struct omni_path *reflect)
{
	struct omni_path *old = atomic_load(&peer->pub->path), path;
	int rc = -EDESTADDRREQ;

	if (peer->endpoint.port != 0)
		rc = ctl_resolve(ctl, &peer->endpoint, &path);
	peer->path_pending = rc == -EAGAIN;
	if (rc == -EAGAIN && reflect != NULL &&
	    omni_endpoint_equal(&reflect->remote, &peer->endpoint)) {
		path = *reflect;
		rc = 0;
	}
	if (rc == 0 && peer->wg != NULL)
		ctl_wg_answer_from(ctl, peer->wg, &path);
	if (rc == 0) {
		publish(ctl, peer, &path);
		return;
	}
	if (rc == -ENETUNREACH)
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
	/* A way that worked is better than none while its neighbour is asked for again. */
	if (old != NULL && (rc != -EAGAIN || !omni_endpoint_equal(&old->remote, &peer->endpoint)))
		omni_peer_set_path(peer->pub, NULL, ctl->conf.rcu);
}

void ctl_peer_set_endpoint(struct omni_ctl *ctl, struct ctl_peer *peer,
			   const struct omni_endpoint *ep, bool confirmed,
			   const struct omni_path *reflect)
{
	bool same = omni_endpoint_equal(&peer->endpoint, ep);

	if (!same) {
		hold(ctl, ep);
		release(ctl, &peer->endpoint);
		peer->endpoint = *ep;
		ctl_kernel_touch(ctl);
		ctl_roam_end(peer);
	}
	if (ep->port != 0)
		omni_peer_unmark(peer->pub, OMNI_PEER_UNREACHABLE);
	peer->endpoint_confirmed = confirmed;
	if (!same || atomic_load(&peer->pub->path) == NULL)
		ctl_peer_publish_path(ctl, peer, reflect);
}

void ctl_peer_candidates_forget(struct ctl_peer *peer)
{
	free(peer->candidate);
	peer->candidate = NULL;
	peer->n_candidates = peer->next_candidate = 0;
}

/* For n candidates, those that are there included. */
static bool has_room(struct ctl_peer *peer, unsigned int n)
{
	struct omni_endpoint *room = realloc(peer->candidate, n * sizeof(*room));

	if (room == NULL)
		return false;
	peer->candidate = room;
	return true;
}

void ctl_peer_set_endpoints(struct omni_ctl *ctl, struct ctl_peer *peer,
			    const struct omni_endpoint *ep, unsigned int n)
{
	n = OMNI_MIN(n, CTL_CANDIDATES_MAX);
	ctl_peer_candidates_forget(peer);
	ctl_kernel_touch(ctl);
	if (n > 0 && has_room(peer, n)) {
		memcpy(peer->candidate, ep, n * sizeof(*ep));
		peer->n_candidates = n;
	}
	if (peer->wg != NULL)
		ctl_wg_located(ctl, peer);
	else if (ctl->running && !ctl_peer_has_key(peer))
		ctl_peer_initiate(ctl, peer);
}

void ctl_peer_candidate_add(struct ctl_peer *peer, const struct omni_endpoint *ep)
{
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (omni_endpoint_equal(&peer->candidate[i], ep))
			return;
	if (peer->n_candidates < CTL_CANDIDATES_MAX && has_room(peer, peer->n_candidates + 1))
		peer->candidate[peer->n_candidates++] = *ep;
}

void ctl_nexthop_changed(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_peer *peer;

		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry) {
			if (ip == NULL && peer->wg != NULL)
				ctl_wg_addresses(ctl, peer);
			if (peer->endpoint.port != 0 &&
			    (ip == NULL || omni_ip_equal(ip, &peer->endpoint.ip)))
				ctl_peer_publish_path(ctl, peer, NULL);
			ctl_peer_hs_resend(ctl, peer, ip);
		}
	}
}
