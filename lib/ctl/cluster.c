/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clusters: their keys, what they offer in handshakes, their ports, and who is flooded to. */
#include <rte_errno.h>

#include "l3.h"

static_assert(OMNI_CONFIG_MSS_OFF == OMNI_MSS_OFF && OMNI_CONFIG_MSS_AUTO == OMNI_MSS_AUTO,
	      "the configuration's numbers are the workers'");

static int set_ciphers(const struct omni_ctl *ctl, struct ctl_cluster *c, struct omni_err *err)
{
	bool aes = omni_aead_has(ctl->conf.aead, OMNI_CIPHER_AESGCM);
	unsigned int n = 0;

	if (c->conf->cipher == OMNI_CIPHER_AESGCM && !aes)
		return omni_fail(err, -ENOTSUP,
				 "cluster %s: cipher aesgcm, but this CPU has no AES instructions",
				 c->conf->name);
	if (c->conf->cipher != OMNI_CIPHER_CHACHAPOLY && aes)
		c->ciphers[n++] = OMNI_CIPHER_AESGCM;
	if (c->conf->cipher != OMNI_CIPHER_AESGCM)
		c->ciphers[n++] = OMNI_CIPHER_CHACHAPOLY;
	for (unsigned int i = 0; i < n; i++)
		c->cipher_allowed[c->ciphers[i]] = true;
	return 0;
}

static int make_keys(struct ctl_cluster *c, struct omni_err *err)
{
	const struct omni_config_cluster *conf = c->conf;

	if (conf->secret != NULL)
		return omni_keytree_make(&c->tree, OMNI_CLUSTER_SECRET, conf->name, conf->secret,
					 strlen(conf->secret), err);
	if (!conf->open)
		return omni_keytree_make(&c->tree, OMNI_CLUSTER_STATIC, conf->name, NULL, 0, err);
	return omni_keytree_make(&c->tree, OMNI_CLUSTER_OPEN, conf->name, NULL, 0, err);
}

static int attach_ports(struct omni_ctl *ctl, struct ctl_cluster *c, struct omni_err *err)
{
	const struct omni_config *config = ctl->conf.config;
	bool is_l3 = c->conf->mode == OMNI_MODE_L3;
	unsigned int around = is_l3 ? 0 : OMNI_PORT_L2_OVERHEAD;

	c->frame_max = (uint16_t)(OMNI_PORT_MTU_DEFAULT + around);
	c->segments = false;
	if (c->conf->n_ports > OMNI_BRIDGE_PORTS_MAX)
		return omni_fail(err, -ENOSPC, "cluster %s: more than %d ports", c->conf->name,
				 OMNI_BRIDGE_PORTS_MAX);
	for (unsigned int i = 0; i < c->conf->n_ports; i++) {
		const char *name = config->ports[c->conf->ports[i]].name;
		struct omni_port *port = omni_port_find(ctl->conf.ports, name);

		if (port == NULL)
			return omni_fail(err, -ENODEV, "cluster %s: port %s is not open",
					 c->conf->name, name);
		c->port[c->n_ports++] = port->id;
		c->segments |= port->info.segments;
		c->frame_max = OMNI_MAX(c->frame_max, (uint16_t)(port->info.mtu + around));
		atomic_store(&ctl->conf.bridges->of_port[port->id], c->number);
	}
	return 0;
}

static int cluster_init(struct omni_ctl *ctl, struct ctl_cluster *c,
			const struct omni_config_cluster *conf, struct omni_err *err)
{
	int rc;

	c->number = (uint16_t)(c - ctl->cluster);
	c->conf = conf;
	TAILQ_INIT(&c->peers);
	c->vip = conf->vip_auto ? omni_vip_auto(&ctl->conf.identity->dh.public) : conf->vip.ip;
	c->flood_dirty = conf->mode == OMNI_MODE_L2;
	rc = make_keys(c, err);
	if (rc == 0)
		rc = set_ciphers(ctl, c, err);
	if (rc == 0)
		rc = attach_ports(ctl, c, err);
	if (rc == 0)
		rc = ctl_l3_init(ctl, c, err);
	if (rc < 0)
		return rc;
	/* Of the cluster's budget each worker has an equal share. */
	atomic_store(&ctl->conf.bridges->at[c->number].flood_rate,
		     OMNI_MAX(conf->flood_fps / ctl->conf.n_workers, 1u));
	atomic_store(&ctl->conf.bridges->at[c->number].bundles, conf->bundles);
	atomic_store(&ctl->conf.bridges->at[c->number].tcp_mss, conf->tcp_mss);
	omni_fdb_set_limit(ctl->conf.fdb, c->number, conf->fdb_limit);
	for (unsigned int i = 0; i < conf->n_peers; i++) {
		rc = ctl_peer_add(ctl, c, &conf->peers[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int ctl_clusters_init(struct omni_ctl *ctl, struct omni_err *err)
{
	const struct omni_config *config = ctl->conf.config;

	if (config->n_clusters > OMNI_BRIDGES_MAX)
		return omni_fail(err, -ENOSPC, "more than %d clusters", OMNI_BRIDGES_MAX);
	ctl->cluster = calloc(config->n_clusters, sizeof(*ctl->cluster));
	if (ctl->cluster == NULL)
		return omni_fail(err, -ENOMEM, "no memory for clusters");
	for (unsigned int i = 0; i < config->n_clusters; i++) {
		ctl->n_clusters = i + 1;
		int rc = cluster_init(ctl, &ctl->cluster[i], &config->clusters[i], err);

		if (rc < 0)
			return rc;
	}
	ctl_clusters_flush(ctl);
	return 0;
}

void ctl_clusters_fini(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_cluster *c = &ctl->cluster[i];
		struct ctl_peer *peer;

		while ((peer = TAILQ_FIRST(&c->peers)) != NULL)
			ctl_peer_remove(ctl, peer, OMNI_CLOSE_LEAVING);
		ctl_l3_fini(ctl, c);
		for (unsigned int p = 0; p < c->n_ports; p++)
			atomic_store(&ctl->conf.bridges->of_port[c->port[p]], OMNI_BRIDGE_NONE);
		omni_keytree_wipe(&c->tree);
	}
	free(ctl->cluster);
	ctl->cluster = NULL;
	ctl->n_clusters = 0;
}

struct ctl_cluster *ctl_cluster_by_id(struct omni_ctl *ctl, const struct omni_key *id)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		if (memcmp(&ctl->cluster[i].tree.cluster_id, id, sizeof(*id)) == 0)
			return &ctl->cluster[i];
	return NULL;
}

struct ctl_cluster *ctl_cluster_by_name(struct omni_ctl *ctl, const char *name)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		if (strcmp(ctl->cluster[i].conf->name, name) == 0)
			return &ctl->cluster[i];
	return NULL;
}

bool ctl_cluster_denies(const struct ctl_cluster *c, const struct omni_key *key)
{
	for (unsigned int i = 0; i < c->conf->n_deny; i++)
		if (memcmp(&c->conf->deny[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

void ctl_cluster_offer(const struct omni_ctl *ctl, const struct ctl_cluster *c,
		       struct omni_hs_offer *offer)
{
	*offer = (struct omni_hs_offer){
		.cluster_id = c->tree.cluster_id,
		.vip = c->vip,
		.mode = (uint8_t)c->conf->mode,
		.version = OMNI_WIRE_VERSION,
		.ciphers = {c->ciphers[0], c->ciphers[1]},
		.lanes_send = (uint16_t)OMNI_MIN(1 + ctl->conf.n_workers, OMNI_LANES_MAX),
		.lanes_accept = (uint16_t)ctl->conf.config->limits.lanes,
		.largest_frame = c->frame_max,
		.features = OMNI_FEATURE_FRAGMENTS | (c->conf->bundles ? OMNI_FEATURE_BUNDLES : 0) |
			    (c->segments ? OMNI_FEATURE_SEGMENTS : 0),
	};
}

void ctl_cluster_policy(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			struct omni_hs_policy *policy)
{
	struct omni_hs_offer offer;

	ctl_cluster_offer(ctl, c, &offer);
	*policy = (struct omni_hs_policy){
		.mode = offer.mode,
		.version = offer.version,
		.lanes_send = offer.lanes_send,
		.lanes_accept = offer.lanes_accept,
		.largest_frame = offer.largest_frame,
		.features = offer.features,
		.vip = offer.vip,
	};
	memcpy(policy->ciphers, c->cipher_allowed, sizeof(policy->ciphers));
}

/* Peers with a key to send with, and the local ports. */
static void publish_flood(struct omni_ctl *ctl, struct ctl_cluster *c)
{
	uint32_t *index = calloc(c->n_peers + 1, sizeof(*index));
	uint32_t *generation = calloc(c->n_peers + 1, sizeof(*generation));
	struct ctl_peer *peer;
	uint32_t n = 0;
	int rc = -ENOMEM;

	if (index == NULL || generation == NULL)
		goto out;
	TAILQ_FOREACH (peer, &c->peers, entry) {
		if (!ctl_peer_has_key(peer))
			continue;
		index[n] = peer->pub->index;
		generation[n++] = peer->pub->generation;
	}
	rc = omni_bridge_set(ctl->conf.bridges, c->number, c->port, c->n_ports, index, generation,
			     n, ctl->conf.rcu);
out:
	c->flood_dirty = rc < 0;
	free(index);
	free(generation);
}

void ctl_clusters_flush(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++)
		if (ctl->cluster[i].flood_dirty)
			publish_flood(ctl, &ctl->cluster[i]);
}
