/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Allowed IPs of static peers in L3 clusters: routes to the peer, and thereby the sources that
 * packets of it may have. A prefix leads to one peer, the last one that it was given to; removing
 * that one gives it to nobody.
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl_priv.h"

static omni_dest dest_of(const struct ctl_peer *peer)
{
	return omni_dest_make(OMNI_DEST_PEER, peer->pub->index, peer->pub->generation);
}

/* Our own addresses, and what lies behind our ports, are not for peers to have. */
static bool is_ours(const struct omni_ctl *ctl, const struct ctl_peer *peer,
		    const struct omni_prefix *prefix)
{
	switch (omni_dest_kind(omni_fib_get(ctl->conf.fib, peer->cluster->number, prefix))) {
	case OMNI_DEST_SELF:
	case OMNI_DEST_PORT:
	case OMNI_DEST_HOST:
		return true;
	default:
		return false;
	}
}

/* May the peer have it? Where not, the log says so. */
static bool is_given(const struct omni_ctl *ctl, const struct ctl_peer *peer,
		     const struct omni_prefix *prefix)
{
	char key[OMNI_KEY_B64_LEN], text[OMNI_PREFIX_TEXT_LEN];

	if (!is_ours(ctl, peer, prefix))
		return true;
	omni_log_warn(LOG_CTL, "allowed IPs left out: they are this box's own",
		      "cluster=%s peer=%s prefix=%s", peer->cluster->conf->name,
		      ctl_peer_text(key, peer), omni_prefix_text(text, prefix));
	return false;
}

/* What of the n prefixes the peer may have, with room for one more; NULL: no memory. To be freed.
 */
static struct omni_prefix *all_given(const struct omni_ctl *ctl, const struct ctl_peer *peer,
				     const struct omni_prefix *prefix, unsigned int n,
				     unsigned int *given)
{
	struct omni_prefix *all = malloc(((size_t)n + 1) * sizeof(*all));

	*given = 0;
	for (unsigned int i = 0; all != NULL && i < n; i++)
		if (is_given(ctl, peer, &prefix[i]))
			all[(*given)++] = prefix[i];
	return all;
}

/* They are routed to it: whatever it told of them counts no more. */
static void configured(const struct ctl_peer *peer, const struct omni_prefix *prefix,
		       unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ctl_routes_configured(peer, &prefix[i]);
}

int ctl_allowed_add(struct omni_ctl *ctl, const struct ctl_peer *peer,
		    const struct omni_prefix *prefix, unsigned int n)
{
	unsigned int given;
	struct omni_prefix *all = all_given(ctl, peer, prefix, n, &given);
	int rc;

	if (all == NULL)
		return -ENOMEM;
	rc = omni_fib_add(ctl->conf.fib, peer->cluster->number, dest_of(peer), all, given);
	if (rc == 0)
		configured(peer, all, given);
	free(all);
	return rc;
}

void ctl_allowed_drop(struct omni_ctl *ctl, const struct ctl_peer *peer)
{
	/*
	 * Looking for them among all takes long: not at the end, when all go at once, and not for
	 * members, whose VIP and told prefixes go one by one.
	 */
	if (peer->cluster->conf->mode == OMNI_MODE_L3 && peer->origin == CTL_ORIGIN_STATIC &&
	    !ctl->stopping)
		(void)omni_fib_flush(ctl->conf.fib, peer->cluster->number, dest_of(peer));
}

int ctl_allowed_replace(struct omni_ctl *ctl, const struct ctl_peer *peer,
			const struct omni_prefix *prefix, unsigned int n)
{
	unsigned int given;
	struct omni_prefix *all = all_given(ctl, peer, prefix, n, &given), vip;
	int rc;

	if (all == NULL)
		return -ENOMEM;
	vip = (struct omni_prefix){.ip = peer->vip, .len = omni_ip_is_v4(&peer->vip) ? 32 : 128};
	if (peer->has_vip && is_given(ctl, peer, &vip))
		all[given++] = vip;
	rc = omni_fib_replace(ctl->conf.fib, peer->cluster->number, dest_of(peer), all, given);
	if (rc == 0)
		configured(peer, all, given);
	free(all);
	return rc;
}
