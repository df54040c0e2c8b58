/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_session.h>

struct omni_peers *omni_peers_create(uint32_t size)
{
	struct omni_peers *peers = calloc(1, sizeof(*peers));
	size_t len = size * sizeof(*peers->at);

	if (peers == NULL)
		goto fail;
	peers->size = size;
	len = (len + OMNI_CACHE_LINE - 1) / OMNI_CACHE_LINE * OMNI_CACHE_LINE;
	peers->at = aligned_alloc(OMNI_CACHE_LINE, len);
	peers->rcu = calloc(size, sizeof(*peers->rcu));
	if (peers->at == NULL || peers->rcu == NULL)
		goto fail;
	memset(peers->at, 0, len);
	return peers;
fail:
	omni_peers_free(peers);
	rte_errno = ENOMEM;
	return NULL;
}

static void vacate(void *arg)
{
	struct omni_peer *peer = arg;

	free(atomic_load_explicit(&peer->path, memory_order_relaxed));
	atomic_store_explicit(&peer->path, NULL, memory_order_relaxed);
	peer->taken = false;
}

void omni_peers_free(struct omni_peers *peers)
{
	if (peers == NULL)
		return;
	for (uint32_t i = 0; peers->at != NULL && i < peers->size; i++)
		vacate(&peers->at[i]);
	free(peers->at);
	free(peers->rcu);
	free(peers);
}

/* Round robin, so that a place is not taken again at once. */
static struct omni_peer *find_free(struct omni_peers *peers)
{
	for (uint32_t n = 0; n < peers->size; n++) {
		struct omni_peer *place = &peers->at[peers->next];

		place->index = peers->next;
		peers->next = peers->next + 1 == peers->size ? 0 : peers->next + 1;
		if (!place->taken)
			return place;
	}
	return NULL;
}

struct omni_peer *omni_peers_add(struct omni_peers *peers, uint16_t cluster)
{
	struct omni_peer *peer = find_free(peers);

	if (peer == NULL) {
		rte_errno = ENOSPC;
		return NULL;
	}
	if (++peer->last == 0)
		peer->last = 1;
	peer->taken = true;
	atomic_fetch_add_explicit(&peers->count, 1, memory_order_relaxed);
	peer->cluster = cluster;
	atomic_store_explicit(&peer->marks, 0, memory_order_relaxed);
	atomic_store_explicit(&peer->generation, peer->last, memory_order_release);
	return peer;
}

void omni_peers_remove(struct omni_peers *peers, struct omni_peer *peer, struct omni_rcu *rcu)
{
	atomic_fetch_sub_explicit(&peers->count, 1, memory_order_relaxed);
	atomic_store_explicit(&peer->generation, 0, memory_order_release);
	atomic_store_explicit(&peer->tx, NULL, memory_order_release);
	omni_rcu_defer(rcu, &peers->rcu[peer->index], vacate, peer);
}

void omni_peer_set_path(struct omni_peer *peer, struct omni_path *path, struct omni_rcu *rcu)
{
	struct omni_path *old = atomic_exchange_explicit(&peer->path, path, memory_order_acq_rel);

	if (old != NULL)
		omni_rcu_defer(rcu, &old->rcu, free, old);
}
