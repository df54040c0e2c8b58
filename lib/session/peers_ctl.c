/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_session.h>

struct omni_peers *omni_peers_create(uint32_t size)
{
	struct omni_peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		goto fail;
	peers->size = size;
	peers->at = calloc(size, sizeof(*peers->at));
	peers->generation = calloc(size, sizeof(*peers->generation));
	if (peers->at == NULL || peers->generation == NULL)
		goto fail;
	return peers;
fail:
	omni_peers_free(peers);
	rte_errno = ENOMEM;
	return NULL;
}

static void peer_free(void *arg)
{
	struct omni_peer *peer = arg;

	free(atomic_load_explicit(&peer->path, memory_order_relaxed));
	free(peer);
}

void omni_peers_free(struct omni_peers *peers)
{
	if (peers == NULL)
		return;
	for (uint32_t i = 0; peers->at != NULL && i < peers->size; i++) {
		struct omni_peer *peer = omni_peers_get(peers, i);

		if (peer != NULL)
			peer_free(peer);
	}
	free(peers->at);
	free(peers->generation);
	free(peers);
}

/* Round robin, so that an index is not used again at once. */
static int64_t find_free(struct omni_peers *peers)
{
	for (uint32_t n = 0; n < peers->size; n++) {
		uint32_t index = peers->next;

		peers->next = index + 1 == peers->size ? 0 : index + 1;
		if (omni_peers_get(peers, index) == NULL)
			return index;
	}
	return -1;
}

struct omni_peer *omni_peers_add(struct omni_peers *peers, uint16_t cluster)
{
	int64_t index = find_free(peers);
	struct omni_peer *peer;

	if (index < 0) {
		rte_errno = ENOSPC;
		return NULL;
	}
	peer = aligned_alloc(OMNI_CACHE_LINE, sizeof(*peer));
	if (peer == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	memset(peer, 0, sizeof(*peer));
	peer->index = (uint32_t)index;
	peer->generation = ++peers->generation[index];
	peer->cluster = cluster;
	atomic_store_explicit(&peers->at[index], peer, memory_order_release);
	return peer;
}

void omni_peers_remove(struct omni_peers *peers, struct omni_peer *peer, struct omni_rcu *rcu)
{
	atomic_store_explicit(&peers->at[peer->index], NULL, memory_order_release);
	omni_rcu_defer(rcu, &peer->rcu, peer_free, peer);
}

void omni_peer_set_path(struct omni_peer *peer, struct omni_path *path, struct omni_rcu *rcu)
{
	struct omni_path *old = atomic_exchange_explicit(&peer->path, path, memory_order_acq_rel);

	if (old != NULL)
		omni_rcu_defer(rcu, &old->rcu, free, old);
}
