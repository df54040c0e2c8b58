/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What addresses the peers have, below and inside, in one sorted list: so a prefix that a member
 * tells of is held against all of them in a few steps, not peer by peer. The list is made when
 * it is asked for and a second old; what it names is looked at as it is now.
 */
#include "l3.h"

#define KEEP_NS OMNI_NS_PER_S
#define OF_PEER_MAX (CTL_CANDIDATES_MAX + 2) /* addresses */

enum {
	UNDERLAY, /* the space of all endpoints; VIPs have one for each cluster */
	VIPS
};

struct holder {
	unsigned int space;
	bool v4; /* apart: no prefix of the other family holds it */
	struct omni_ip ip;
	uint32_t peer, generation; /* its index */
};

struct ctl_holders {
	struct holder *at;
	size_t n, max;
	uint64_t made_ns;
};

static int compare(const void *left, const void *right)
{
	const struct holder *a = left, *b = right;

	if (a->space != b->space)
		return a->space < b->space ? -1 : 1;
	if (a->v4 != b->v4)
		return a->v4 ? 1 : -1;
	return memcmp(a->ip.b, b->ip.b, sizeof(a->ip.b));
}

static void add(struct ctl_holders *h, const struct ctl_peer *peer, unsigned int space,
		const struct omni_ip *ip)
{
	h->at[h->n++] = (struct holder){
		.space = space,
		.v4 = omni_ip_is_v4(ip),
		.ip = *ip,
		.peer = peer->pub->index,
		.generation = peer->pub->generation,
	};
}

static void add_peer(struct ctl_holders *h, const struct ctl_peer *peer)
{
	const struct omni_ip *used = peer->endpoint.port != 0 ? &peer->endpoint.ip : NULL;

	if (used != NULL)
		add(h, peer, UNDERLAY, used);
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (used == NULL || !omni_ip_equal(used, &peer->candidate[i].ip))
			add(h, peer, UNDERLAY, &peer->candidate[i].ip);
	if (peer->has_vip && peer->cluster->l3 != NULL)
		add(h, peer, VIPS + peer->cluster->number, &peer->vip);
}

static bool has_room(struct ctl_holders *h, size_t n)
{
	struct holder *more;

	if (h->at != NULL && n <= h->max)
		return true;
	more = realloc(h->at, n * sizeof(*more));
	if (more == NULL)
		return false;
	h->at = more;
	h->max = n;
	return true;
}

static bool make(struct omni_ctl *ctl, struct ctl_holders *h, uint64_t now)
{
	const struct ctl_peer *peer;

	if (!has_room(h, OMNI_MAX(ctl->peers_by_key.count, 1u) * (size_t)OF_PEER_MAX))
		return false;
	h->n = 0;
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry)
			add_peer(h, peer);
	qsort(h->at, h->n, sizeof(h->at[0]), compare);
	h->made_ns = now;
	return true;
}

static const struct ctl_holders *current(struct omni_ctl *ctl)
{
	struct ctl_holders *h = ctl->holders;
	uint64_t now = ctl_now(ctl);

	if (h == NULL)
		h = ctl->holders = calloc(1, sizeof(*h));
	if (h == NULL || (h->made_ns != 0 && now - h->made_ns < KEEP_NS))
		return h;
	return make(ctl, h, now) ? h : NULL;
}

/* The first that is not below it. */
static size_t lower_bound(const struct ctl_holders *h, const struct holder *key)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(&h->at[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * Where datagrams to the peer go, or may have to go. A member lists all addresses of its box, that
 * in the subnet behind it too: of what it tells itself only the one in use counts.
 */
static bool holds_endpoint(const struct omni_prefix *prefix, const struct ctl_peer *peer,
			   const struct ctl_peer *teller)
{
	if (peer->endpoint.port != 0 && omni_prefix_contains(prefix, &peer->endpoint.ip))
		return true;
	if (peer == teller && peer->origin != CTL_ORIGIN_STATIC)
		return false;
	for (unsigned int i = 0; i < peer->n_candidates; i++)
		if (omni_prefix_contains(prefix, &peer->candidate[i].ip))
			return true;
	return false;
}

static bool holds_vip(const struct omni_prefix *prefix, const struct ctl_peer *peer,
		      const struct ctl_peer *teller)
{
	return peer != teller && peer->has_vip && omni_prefix_contains(prefix, &peer->vip);
}

/* Somebody's address in that space is in the prefix. */
static bool is_held(struct omni_ctl *ctl, const struct ctl_holders *h, unsigned int space,
		    const struct omni_prefix *prefix, const struct ctl_peer *teller)
{
	const struct holder key = {
		.space = space, .v4 = omni_ip_is_v4(&prefix->ip), .ip = prefix->ip};

	for (size_t i = lower_bound(h, &key);
	     i < h->n && h->at[i].space == space && omni_prefix_contains(prefix, &h->at[i].ip);
	     i++) {
		const struct ctl_peer *peer =
			ctl_peer_of_index(ctl, h->at[i].peer, h->at[i].generation);

		if (peer != NULL && (space == UNDERLAY ? holds_endpoint(prefix, peer, teller)
						       : holds_vip(prefix, peer, teller)))
			return true;
	}
	return false;
}

const char *ctl_holders_why(struct omni_ctl *ctl, const struct ctl_peer *teller,
			    const struct omni_prefix *prefix)
{
	const struct omni_prefix p = omni_prefix_masked(prefix);
	const struct ctl_holders *h = current(ctl);

	if (h == NULL)
		return "there is no memory to look whose it is";
	if (is_held(ctl, h, UNDERLAY, &p, teller))
		return "it holds the underlay address of a peer";
	if (is_held(ctl, h, VIPS + teller->cluster->number, &p, teller))
		return "it holds the VIP of another member";
	return NULL;
}

void ctl_holders_fini(struct omni_ctl *ctl)
{
	if (ctl->holders != NULL)
		free(ctl->holders->at);
	free(ctl->holders);
	ctl->holders = NULL;
}
