/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Who has a VIP (docs/protocol.md, "Identity"): a binding in the configuration; else the key
 * with a live confirmed session; else the key whose record came first and is still valid.
 */
#include "l3.h"

enum rank {
	CLAIMS, /* and no more: holds nothing */
	HAS_RECORD,
	HAS_SESSION,
	IS_BOUND,
};

static enum rank rank_of(const struct omni_ctl *ctl, const struct ctl_peer *peer)
{
	if (peer->vip_bound)
		return IS_BOUND;
	if (peer->vip_held)
		return HAS_SESSION;
	if (peer->record_seq != 0 && peer->record_expires > ctl_real_now(ctl) / OMNI_NS_PER_S)
		return HAS_RECORD;
	return CLAIMS;
}

static bool comes_first(const struct omni_ctl *ctl, const struct ctl_peer *a,
			const struct ctl_peer *b)
{
	enum rank ra = rank_of(ctl, a), rb = rank_of(ctl, b);

	return ra != rb ? ra > rb : a->record_seq < b->record_seq;
}

static uint64_t hash_of(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const struct omni_ip *vip)
{
	return ctl_index_hash(&ctl->peers_by_vip, vip, sizeof(*vip), c->number);
}

struct ctl_peer *ctl_peer_by_vip(struct omni_ctl *ctl, const struct ctl_cluster *c,
				 const struct omni_ip *vip)
{
	struct ctl_peer *best = NULL;
	struct ctl_link *l;

	for (l = ctl_index_first(&ctl->peers_by_vip, hash_of(ctl, c, vip)); l != NULL;
	     l = ctl_index_next(l)) {
		struct ctl_peer *peer = ctl_container(l, struct ctl_peer, by_vip);

		if (peer->cluster != c || !omni_ip_equal(&peer->vip, vip))
			continue;
		if (best == NULL || comes_first(ctl, peer, best))
			best = peer;
	}
	return best;
}

/*
 * With `vip: auto` an address of that form belongs to the key that it follows from, whatever
 * anybody says. In an L3 cluster members choose how they get theirs: there it is so for all
 * that are not in our own subnet.
 */
static bool is_derived_from_another(const struct ctl_cluster *c, const struct omni_ip *vip,
				    const struct omni_key *claimant)
{
	struct omni_ip derived;

	if (vip->b[0] != 0xfd || (!c->conf->vip_auto && (c->conf->mode == OMNI_MODE_L2 ||
							 omni_prefix_contains(&c->conf->vip, vip))))
		return false;
	derived = omni_vip_auto(claimant);
	return !omni_ip_equal(vip, &derived);
}

int ctl_vip_check(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		  const struct omni_key *claimant)
{
	struct ctl_peer *holder = ctl_peer_find(ctl, c, claimant);

	if (omni_ip_is_none(vip))
		return 0;
	if (omni_ip_equal(vip, &c->vip) || ctl_l3_is_ours(c, vip))
		return -EADDRINUSE;
	if (holder != NULL && holder->vip_bound)
		return omni_ip_equal(&holder->vip, vip) ? 0 : -EADDRINUSE;
	if (is_derived_from_another(c, vip, claimant))
		return -EADDRINUSE;
	holder = ctl_peer_by_vip(ctl, c, vip);
	if (holder == NULL || rank_of(ctl, holder) == CLAIMS)
		return 0;
	return memcmp(&holder->key, claimant, sizeof(*claimant)) == 0 ? 0 : -EADDRINUSE;
}

void ctl_vip_clear(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_ip was = peer->vip;

	if (peer->has_vip)
		ctl_index_del(&ctl->peers_by_vip, &peer->by_vip);
	peer->has_vip = peer->vip_held = false;
	peer->vip = (struct omni_ip){0};
	ctl_l3_vip(ctl, peer->cluster, &was);
}

void ctl_vip_set(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *vip, bool held)
{
	if (peer->has_vip && !omni_ip_equal(&peer->vip, vip)) {
		if (peer->vip_bound)
			return;
		ctl_vip_clear(ctl, peer);
	}
	if (omni_ip_is_none(vip))
		return;
	if (!peer->has_vip)
		ctl_index_add(&ctl->peers_by_vip, &peer->by_vip, hash_of(ctl, peer->cluster, vip));
	peer->has_vip = true;
	peer->vip = *vip;
	peer->vip_held = held;
	ctl_l3_vip(ctl, peer->cluster, vip);
}
