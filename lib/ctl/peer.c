/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Peers: making, finding and removing them, and what the workers see of them. */
#include <rte_errno.h>

#include "wg.h"

static uint64_t hash_of(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			const struct omni_key *key)
{
	return ctl_index_hash(&ctl->peers_by_key, key, sizeof(*key), c->number);
}

struct ctl_peer *ctl_peer_find(struct omni_ctl *ctl, const struct ctl_cluster *c,
			       const struct omni_key *key)
{
	struct ctl_link *l;

	for (l = ctl_index_first(&ctl->peers_by_key, hash_of(ctl, c, key)); l != NULL;
	     l = ctl_index_next(l)) {
		struct ctl_peer *peer = ctl_container(l, struct ctl_peer, by_key);

		if (peer->cluster == c && memcmp(&peer->key, key, sizeof(*key)) == 0)
			return peer;
	}
	return NULL;
}

struct ctl_peer *ctl_peer_of_index(struct omni_ctl *ctl, uint32_t index, uint32_t generation)
{
	struct ctl_peer *peer = index < ctl->conf.peers->size ? ctl->peer[index] : NULL;

	return peer != NULL && peer->pub->generation == generation ? peer : NULL;
}

const char *ctl_peer_text(char out[OMNI_KEY_B64_LEN], const struct ctl_peer *peer)
{
	return peer->name[0] != '\0' ? peer->name : omni_key_text(out, &peer->key);
}

static void set_origin(struct omni_ctl *ctl, struct ctl_peer *peer, enum ctl_origin origin)
{
	peer->origin = origin;
	if (origin != CTL_ORIGIN_CALLED)
		ctl_peer_is_known(ctl, peer);
}

void ctl_peer_is_known(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	if (peer->unconfirmed)
		ctl->n_unconfirmed--;
	peer->unconfirmed = false;
}

struct ctl_peer *ctl_peer_new(struct omni_ctl *ctl, struct ctl_cluster *c,
			      const struct omni_key *key, enum ctl_origin origin)
{
	const struct omni_key *self = &ctl->conf.identity->dh.public;
	struct ctl_peer *peer;

	/* The table holds more: sessions with a Nucleus have entries there too. */
	if (ctl->peers_by_key.count >= ctl->conf.config->limits.peers) {
		rte_errno = ENOSPC;
		return NULL;
	}
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	peer->pub = omni_peers_add(ctl->conf.peers, c->number);
	if (peer->pub == NULL) {
		free(peer);
		return NULL;
	}
	peer->cluster = c;
	peer->key = *key;
	peer->lower = memcmp(key, self, sizeof(*key)) < 0;
	peer->origin = origin;
	peer->created_ns = ctl_now(ctl);
	peer->keepalive_s = ctl_peer_is_on_demand(peer) ? 0 : OMNI_MESH_KEEPALIVE_S;
	peer->unconfirmed = origin == CTL_ORIGIN_CALLED;
	ctl->n_unconfirmed += peer->unconfirmed;
	omni_keytree_psk(&peer->psk, &c->tree, self, key);
	ctl_stamps_get(ctl->stamps, c->number, key, peer->newest);
	ctl->peer[peer->pub->index] = peer;
	ctl_index_add(&ctl->peers_by_key, &peer->by_key, hash_of(ctl, c, key));
	TAILQ_INSERT_TAIL(&c->peers, peer, entry);
	c->n_peers++;
	return peer;
}

void ctl_peer_say_close(struct omni_ctl *ctl, struct ctl_peer *peer, enum omni_close_reason reason)
{
	struct omni_control m = {.type = OMNI_CONTROL_CLOSE, .reason = reason};
	uint8_t out[64];
	int len = omni_control_encode(out, sizeof(out), &m, 0);

	if (len > 0 && peer->wg == NULL && ctl_peer_has_key(peer))
		(void)ctl_send_peer(ctl, peer, OMNI_KIND_CONTROL, out, (size_t)len);
}

void ctl_peer_remove(struct omni_ctl *ctl, struct ctl_peer *peer, enum omni_close_reason reason)
{
	struct ctl_cluster *c = peer->cluster;
	struct omni_endpoint none = {0};

	if (ctl->running)
		ctl_peer_say_close(ctl, peer, reason);
	ctl_peer_series_end(ctl, peer);
	ctl_slots_drop_all(ctl, peer);
	ctl_routes_drop(ctl, peer);
	ctl_allowed_drop(ctl, peer);
	ctl_wg_fini(ctl, peer);
	ctl_peer_is_known(ctl, peer);
	ctl_name_del(ctl, peer->dns);
	ctl_peer_set_endpoint(ctl, peer, &none, false, NULL);
	ctl_vip_clear(ctl, peer);
	if (!omni_is_zero_ct(peer->newest, sizeof(peer->newest)))
		(void)ctl_stamps_newer(ctl->stamps, c->number, &peer->key, peer->newest);
	ctl_index_del(&ctl->peers_by_key, &peer->by_key);
	TAILQ_REMOVE(&c->peers, peer, entry);
	c->n_peers--;
	ctl->peer[peer->pub->index] = NULL;
	omni_peers_remove(ctl->conf.peers, peer->pub, ctl->conf.rcu);
	ctl_roam_end(peer);
	ctl_lanes_end(ctl, peer);
	free(peer->candidate);
	free(peer->host);
	omni_wipe(peer, sizeof(*peer));
	free(peer);
}

static void name_found(struct omni_ctl *ctl, void *arg, const struct omni_endpoint *ep,
		       unsigned int n)
{
	ctl_peer_set_endpoints(ctl, arg, ep, n);
}

void ctl_peer_look_up(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	struct omni_endpoint ep = {.port = peer->host_port};

	if (peer->host == NULL || peer->dns != NULL)
		return;
	if (omni_ip_parse(&ep.ip, peer->host) == 0)
		ctl_peer_set_endpoints(ctl, peer, &ep, 1);
	else if (ctl->running)
		peer->dns = ctl_name_add(ctl, peer->host, peer->host_port, name_found, peer);
}

/*
 * A WireGuard handshake names a key and no cluster. 0, or why such a peer cannot be here.
 */
static int check_wireguard(struct omni_ctl *ctl, const struct ctl_cluster *c,
			   const struct omni_config_peer *conf, struct omni_err *err)
{
	const struct ctl_peer *there;
	bool other;

	if (conf->dialect != OMNI_DIALECT_WIREGUARD)
		return 0;
	if (c->conf->mode != OMNI_MODE_L3)
		return omni_fail(err, -EINVAL, "peer %s: WireGuard is spoken in L3 clusters alone",
				 conf->name);
	there = ctl_wg_find(ctl, &conf->key, &other);
	if (there != NULL && there->cluster != c)
		return omni_fail(err, -EEXIST, "peer %s: its key is that of a peer in cluster %s",
				 conf->name, there->cluster->conf->name);
	return 0;
}

/* Nothing that was agreed on in the other dialect holds. */
static int speak_wireguard(struct omni_ctl *ctl, struct ctl_peer *peer)
{
	ctl_peer_series_end(ctl, peer);
	ctl_slots_drop_all(ctl, peer);
	ctl_roam_end(peer);
	peer->pmtu = (struct ctl_pmtu){0};
	memset(&peer->psk, 0, sizeof(peer->psk));
	return ctl_wg_init(peer);
}

/* Its VIP and its allowed IPs, or none of them: who had them before keeps them. */
static int route(struct omni_ctl *ctl, const struct ctl_peer *peer,
		 const struct omni_config_peer *conf)
{
	struct omni_prefix *all = malloc(((size_t)conf->n_allowed + 1) * sizeof(*all));
	unsigned int n = 0;
	int rc;

	if (all == NULL)
		return -ENOMEM;
	if (!omni_ip_is_none(&conf->vip))
		all[n++] = (struct omni_prefix){.ip = conf->vip,
						.len = omni_ip_is_v4(&conf->vip) ? 32 : 128};
	for (unsigned int i = 0; i < conf->n_allowed; i++)
		all[n++] = conf->allowed[i];
	rc = ctl_allowed_add(ctl, peer, all, n);
	free(all);
	return rc;
}

/* The dialect, and what is routed to the peer. Without all of it, it is not there. */
static int add_l3(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_config_peer *conf,
		  struct omni_err *err)
{
	int rc = 0;

	if (peer->cluster->conf->mode != OMNI_MODE_L3)
		return 0;
	if (conf->dialect == OMNI_DIALECT_WIREGUARD)
		rc = speak_wireguard(ctl, peer);
	if (rc == 0)
		rc = route(ctl, peer, conf);
	if (rc == 0)
		return 0;
	ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
	omni_fail(err, rc, "peer %s: %s", conf->name,
		  rc == -ENOSPC ? "the table of routes is full" : "no memory");
	return rc == -ENOSPC ? -ENOSPC : -ENOMEM;
}

int ctl_peer_add(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_config_peer *conf,
		 struct omni_err *err)
{
	struct ctl_peer *peer = ctl_peer_find(ctl, c, &conf->key);
	char *host = NULL;
	int rc = check_wireguard(ctl, c, conf, err);

	if (rc < 0)
		return rc;
	if (memcmp(&conf->key, &ctl->conf.identity->dh.public, sizeof(conf->key)) == 0)
		return omni_fail(err, -EINVAL, "peer %s: that is this box's own key", conf->name);
	if (ctl_cluster_denies(c, &conf->key))
		return omni_fail(err, -EINVAL, "peer %s: its key is denied", conf->name);
	if (peer != NULL && peer->origin == CTL_ORIGIN_STATIC)
		return omni_fail(err, -EEXIST, "peer %s: its key is configured already",
				 conf->name);
	if (conf->host[0] != '\0' && (host = strdup(conf->host)) == NULL)
		return omni_fail(err, -ENOMEM, "peer %s: no memory", conf->name);
	/* Introduced as a WireGuard peer: nothing of that holds for a configured one. */
	if (peer != NULL && peer->wg != NULL) {
		ctl_peer_remove(ctl, peer, OMNI_CLOSE_REMOVED);
		peer = NULL;
	}
	if (peer == NULL)
		peer = ctl_peer_new(ctl, c, &conf->key, CTL_ORIGIN_STATIC);
	if (peer == NULL) {
		free(host);
		return omni_fail(err, -rte_errno, "peer %s: the table of peers is full",
				 conf->name);
	}
	set_origin(ctl, peer, CTL_ORIGIN_STATIC);
	memcpy(peer->name, conf->name, sizeof(peer->name));
	peer->host = host;
	peer->host_port = conf->port;
	peer->path_mtu = conf->path_mtu;
	peer->keepalive_s = conf->keepalive_s;
	rc = add_l3(ctl, peer, conf, err);
	if (rc < 0)
		return rc;
	peer->has_psk = conf->has_psk;
	if (conf->has_psk)
		peer->psk = conf->psk;
	if (!omni_ip_is_none(&conf->vip)) {
		ctl_vip_set(ctl, peer, &conf->vip, peer->vip_held);
		peer->vip_bound = true;
		ctl_l3_vip(ctl, c, &conf->vip);
	}
	if (peer->wg != NULL && host == NULL && peer->endpoint.port == 0)
		omni_peer_mark(peer->pub, OMNI_PEER_UNREACHABLE);
	ctl_peer_look_up(ctl, peer);
	return 0;
}

bool ctl_peer_has_key(const struct ctl_peer *peer)
{
	return atomic_load_explicit(&peer->pub->tx, memory_order_relaxed) != NULL;
}
