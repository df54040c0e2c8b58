/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What fits a box that has a WireGuard key and no identity of ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "config.h"

#define OTHERWISE "(dpdk-omni --init)"

static int check_cluster(const struct omni_config *config,
			 const struct omni_config_cluster *cluster, struct omni_err *err)
{
	const char *name = cluster->name;

	if (cluster->mode != OMNI_MODE_L3)
		return omni_fail(
			err, -EINVAL,
			"identity %s holds a WireGuard key, and cluster %s is L2: expected "
			"mode: l3, or an identity of ours " OTHERWISE,
			config->identity, name);
	if (cluster->secret != NULL || cluster->open)
		return omni_fail(err, -EINVAL,
				 "identity %s holds a WireGuard key, and cluster %s %s: expected "
				 "listed peers alone, or an identity of ours " OTHERWISE,
				 config->identity, name,
				 cluster->open ? "is open" : "has a secret");
	for (unsigned int i = 0; i < cluster->n_peers; i++) {
		if (cluster->peers[i].dialect != OMNI_DIALECT_WIREGUARD)
			return omni_fail(
				err, -EINVAL,
				"identity %s holds a WireGuard key, and peer %s of cluster "
				"%s is an Omni peer: expected dialect: wireguard, or an "
				"identity of ours " OTHERWISE,
				config->identity, cluster->peers[i].name, name);
	}
	return 0;
}

static void drop_own(struct omni_config *config, struct omni_config_cluster *cluster,
		     const struct omni_key *own)
{
	for (unsigned int i = 0; i < cluster->n_peers; i++) {
		struct omni_config_peer *peer = &cluster->peers[i];

		if (memcmp(&peer->key, own, sizeof(*own)) != 0)
			continue;
		config_warn(config, "peer %s is left out: its key is this box's own", peer->name);
		free(peer->allowed);
		omni_wipe(peer, sizeof(*peer));
		cluster->n_peers--;
		memmove(peer, peer + 1, (cluster->n_peers - i) * sizeof(*peer));
		return; /* a key stands once */
	}
}

void omni_config_drop_own(struct omni_config *config, const struct omni_key *own)
{
	for (unsigned int i = 0; config->has_key && i < config->n_clusters; i++)
		drop_own(config, &config->clusters[i], own);
}

int omni_config_check_wireguard(const struct omni_config *config, struct omni_err *err)
{
	if (config->n_nucleus > 0)
		return omni_fail(err, -EINVAL,
				 "identity %s holds a WireGuard key, with which nothing can be "
				 "signed for a Nucleus: expected nucleus: to be left out, or an "
				 "identity of ours " OTHERWISE,
				 config->identity);
	for (unsigned int i = 0; i < config->n_clusters; i++) {
		if (check_cluster(config, &config->clusters[i], err) != 0)
			return -EINVAL;
	}
	return 0;
}
