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
	bool away = we_moved(old, path),
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

static void forget_candidates(struct ctl_peer *peer)
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
	forget_candidates(peer);
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

static bool in_own_prefix(const struct omni_ctl *ctl, const struct omni_ip *ip)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		const struct omni_config_cluster *conf = ctl->cluster[i].conf;

		/* Derived addresses are single ones: their common /8 may well be an underlay's. */
		if (!conf->vip_auto && omni_prefix_contains(&conf->vip, ip))
			return true;
	}
	return false;
}

static void add_candidate(struct omni_ctl *ctl, struct ctl_peer *peer,
			  const struct omni_endpoint *ep)
{
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (omni_endpoint_equal(&peer->candidate[i], ep))
			return;
	if (peer->n_candidates == CTL_CANDIDATES_MAX)
		return;
	if (ep->port == 0 || !omni_ip_is_unicast(&ep->ip) || in_own_prefix(ctl, &ep->ip) ||
	    (ctl->conf.world.resolve == NULL && ctl_nexthop_is_own(ctl, &ep->ip))) {
		ctl_count(ctl, OMNI_STAT_ctl_candidates_filtered);
		return;
	}
	if (has_room(peer, peer->n_candidates + 1))
		peer->candidate[peer->n_candidates++] = *ep;
}

static int member_peer(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		       struct ctl_peer **peer)
{
	*peer = ctl_peer_find(ctl, c, &rec->key);
	if (*peer == NULL) {
		if (c->l3 == NULL && c->n_peers >= ctl->conf.config->limits.mesh) {
			if (!c->mesh_full)
				omni_log_warn(LOG_CTL, "mesh is full: members left out",
					      "cluster=%s limit=%u", c->conf->name,
					      ctl->conf.config->limits.mesh);
			c->mesh_full = true;
			return -ENOSPC;
		}
		*peer = ctl_peer_new(ctl, c, &rec->key, CTL_ORIGIN_NUCLEUS);
		if (*peer == NULL)
			return -ENOSPC;
	}
	if ((*peer)->origin == CTL_ORIGIN_CALLED) {
		ctl_peer_is_known(ctl, *peer);
		(*peer)->origin = CTL_ORIGIN_NUCLEUS;
	}
	return 0;
}

static int learned(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		   const struct omni_endpoint *seen, uint64_t wait_ns)
{
	uint64_t now = ctl_now(ctl);
	struct ctl_peer *peer;
	int rc;

	if (memcmp(&rec->key, &ctl->conf.identity->dh.public, sizeof(rec->key)) == 0)
		return -EALREADY;
	if (ctl_cluster_denies(c, &rec->key))
		return -EACCES;
	peer = ctl_peer_find(ctl, c, &rec->key);
	if (peer != NULL && peer->wg != NULL)
		return 0; /* all about it is configured */
	if ((rec->dialects & OMNI_DIALECT_OMNI) == 0) {
		ctl_count(ctl, OMNI_STAT_ctl_wrong_dialect);
		return -EPROTONOSUPPORT;
	}
	if (ctl_vip_check(ctl, c, &rec->vip, &rec->key) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_vip_conflict);
		return -EADDRINUSE;
	}
	rc = member_peer(ctl, c, rec, &peer);
	if (rc < 0)
		return rc;
	if (peer->record_seq == 0)
		peer->record_seq = ++ctl->record_seq;
	peer->record_issued = rec->issued;
	peer->record_expires = rec->expires;
	ctl_vip_set(ctl, peer, &rec->vip, peer->vip_held);
	if (peer->origin == CTL_ORIGIN_NUCLEUS)
		forget_candidates(peer);
	if (seen != NULL)
		add_candidate(ctl, peer, seen);
	for (size_t i = 0; i < rec->n_candidates; i++)
		add_candidate(ctl, peer, &rec->candidates[i]);
	if (!ctl_peer_has_key(peer) && !ctl->stopping) {
		peer->attempt_ns = 0; /* there is news of it: try as if for the first time */
		/* On demand, whoever asked begins; where both do, their initiations cross. */
		if (peer->lower && c->l3 == NULL)
			wait_ns = CTL_HIGHER_WAITS_NS;
		ctl_peer_initiate_at(ctl, peer, now + wait_ns);
	}
	return 0;
}

int ctl_peer_learned(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		     const struct omni_endpoint *seen)
{
	return learned(ctl, c, rec, seen, 0);
}

int ctl_peer_punched(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		     const struct omni_endpoint *seen)
{
	return learned(ctl, c, rec, seen, c->l3 != NULL ? CTL_PUNCHED_NS : 0);
}

void ctl_peer_withdrawn(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	peer->record_seq = peer->record_expires = 0;
	if (peer->origin != CTL_ORIGIN_NUCLEUS)
		return;
	peer->origin = CTL_ORIGIN_CALLED;
	if (!ctl_peer_has_key(peer))
		ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
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
