/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Members that a Nucleus introduces: what their records say becomes peers. */
#include "wg.h"

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
	if (ep->port == 0 || !omni_ip_is_unicast(&ep->ip) || in_own_prefix(ctl, &ep->ip) ||
	    (ctl->conf.world.resolve == NULL && ctl_nexthop_is_own(ctl, &ep->ip))) {
		ctl_count(ctl, OMNI_STAT_ctl_candidates_filtered);
		return;
	}
	ctl_peer_candidate_add(peer, ep);
}

/* What both speak: Omni where both do (docs/protocol.md, "Records"); 0: nothing. */
static enum omni_dialect dialect_with(const struct ctl_cluster *c, const struct omni_record *rec)
{
	unsigned int both = ctl_cluster_dialects(c) & rec->dialects;

	if ((both & OMNI_DIALECT_OMNI) != 0)
		return OMNI_DIALECT_OMNI;
	return both & OMNI_DIALECT_WIREGUARD;
}

/* A new one that speaks WireGuard, whose handshakes name a key alone. */
static int speak_wireguard(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	bool other;
	int rc = ctl_wg_find(ctl, &peer->key, &other) == NULL ? ctl_wg_init(peer) : -EEXIST;

	if (rc < 0)
		ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
	return rc;
}

static int member_peer(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		       enum omni_dialect dialect, struct ctl_peer **peer)
{
	bool wireguard = dialect == OMNI_DIALECT_WIREGUARD;

	*peer = ctl_peer_find(ctl, c, &rec->key);
	/* It speaks another dialect than before. */
	if (*peer != NULL && (*peer)->origin != CTL_ORIGIN_STATIC &&
	    ((*peer)->wg != NULL) != wireguard) {
		ctl_peer_remove(ctl, *peer, OMNI_CLOSE_REMOVED);
		*peer = NULL;
	}
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
		if (wireguard)
			return speak_wireguard(ctl, *peer);
	}
	if ((*peer)->origin == CTL_ORIGIN_CALLED) {
		ctl_peer_is_known(ctl, *peer);
		(*peer)->origin = CTL_ORIGIN_NUCLEUS;
	}
	return 0;
}

/* There is news of it: try as if for the first time. */
static void call(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t wait_ns)
{
	peer->attempt_ns = 0;
	if (peer->wg != NULL) {
		ctl_wg_introduced(ctl, peer, wait_ns);
		return;
	}
	/* On demand, whoever asked begins; where both do, their initiations cross. */
	if (peer->lower && peer->cluster->l3 == NULL)
		wait_ns = CTL_HIGHER_WAITS_NS;
	ctl_peer_initiate_at(ctl, peer, ctl_now(ctl) + wait_ns);
}

static int learned(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		   const struct omni_endpoint *seen, uint64_t wait_ns)
{
	struct ctl_peer *peer = ctl_peer_find(ctl, c, &rec->key);
	enum omni_dialect dialect = dialect_with(c, rec);
	int rc;

	if (memcmp(&rec->key, &ctl->conf.identity->dh.public, sizeof(rec->key)) == 0)
		return -EALREADY;
	if (ctl_cluster_denies(c, &rec->key))
		return -EACCES;
	if (peer != NULL && peer->origin == CTL_ORIGIN_STATIC) {
		if (peer->wg != NULL)
			return 0;			     /* all about it is configured */
		dialect = rec->dialects & OMNI_DIALECT_OMNI; /* as configured, or nothing */
	}
	if (dialect == 0) {
		ctl_count(ctl, OMNI_STAT_ctl_wrong_dialect);
		return -EPROTONOSUPPORT;
	}
	if (ctl_vip_check(ctl, c, &rec->vip, &rec->key) < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_vip_conflict);
		return -EADDRINUSE;
	}
	rc = member_peer(ctl, c, rec, dialect, &peer);
	if (rc < 0)
		return rc;
	if (peer->record_seq == 0)
		peer->record_seq = ++ctl->record_seq;
	peer->record_issued = rec->issued;
	peer->record_expires = rec->expires;
	ctl_vip_set(ctl, peer, &rec->vip, peer->vip_held);
	if (peer->origin == CTL_ORIGIN_NUCLEUS)
		ctl_peer_candidates_forget(peer);
	if (seen != NULL)
		add_candidate(ctl, peer, seen);
	for (size_t i = 0; i < rec->n_candidates; i++)
		add_candidate(ctl, peer, &rec->candidates[i]);
	if (!ctl_peer_has_key(peer) && !ctl->stopping)
		call(ctl, peer, wait_ns);
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
