/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Datagrams that control sends: built whole in mbufs of its own pool and handed to the worker
 * that owns the uplink's first queue.
 */
#include <rte_mbuf.h>

#include <omni_cursor.h>

#include "ctl_priv.h"

int ctl_resolve(struct omni_ctl *ctl, const struct omni_endpoint *remote, struct omni_path *path)
{
	const struct omni_ctl_world *w = &ctl->conf.world;

	memset(path, 0, sizeof(*path));
	return w->resolve != NULL ? w->resolve(w->arg, remote, path)
				  : ctl_nexthop_resolve(ctl, remote, path);
}

/* What came from a MAC address goes back there: the frame itself proves that way. */
void ctl_reflect(const struct omni_ctl *ctl, const struct rte_mbuf *m, struct omni_path *path)
{
	const uint8_t *ether = rte_pktmbuf_mtod(m, const uint8_t *);
	struct omni_endpoint from, to;

	memset(path, 0, sizeof(*path));
	omni_punt_addresses(m, &from, &to);
	omni_path_build(path, ether, ether + 6, &to, &from);
	ctl_path_checksum(ctl, path);
	path->port = ctl->uplink;
	path->mtu = OMNI_PATH_MTU_DEFAULT;
}

void ctl_path_from(struct omni_ctl *ctl, struct omni_path *path, const struct omni_ip *ip)
{
	struct omni_path was = *path;
	struct omni_endpoint local;

	omni_path_local(path, &local);
	if (omni_ip_is_none(ip) || omni_ip_equal(ip, &local.ip) ||
	    omni_ip_is_v4(ip) != omni_ip_is_v4(&local.ip))
		return;
	local.ip = *ip;
	omni_path_build(path, was.hdr + 6, was.hdr, &local, &was.remote);
	ctl_path_checksum(ctl, path);
	path->port = was.port;
	path->mtu = was.mtu;
}

int ctl_resolve_or_reflect(struct omni_ctl *ctl, const struct omni_endpoint *remote,
			   const struct rte_mbuf *m, struct omni_path *path)
{
	int rc = ctl_resolve(ctl, remote, path);

	if (rc != -EAGAIN)
		return rc;
	ctl_reflect(ctl, m, path);
	return 0;
}

static int hand_over(struct omni_ctl *ctl, const struct omni_path *path, struct rte_mbuf *m)
{
	omni_meta(m)->port = path->port;
	if (omni_xring_send(ctl->conf.xrings[0], m) == 0)
		return 0;
	rte_pktmbuf_free(m);
	ctl_count(ctl, OMNI_STAT_ctl_ring_full);
	return -ENOBUFS;
}

static struct rte_mbuf *take(struct omni_ctl *ctl)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ctl->conf.pool);

	if (m == NULL)
		ctl_count(ctl, OMNI_STAT_ctl_no_mbuf);
	return m;
}

int ctl_send_plain(struct omni_ctl *ctl, const struct omni_path *path, const void *payload,
		   size_t len)
{
	struct rte_mbuf *m = take(ctl);
	uint8_t *at;

	if (m == NULL)
		return -ENOMEM;
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(path->hdr_len + len));
	if (at == NULL) {
		rte_pktmbuf_free(m);
		return -EMSGSIZE;
	}
	omni_path_write(path, at, (uint16_t)len, 0);
	memcpy(at + path->hdr_len, payload, len);
	if (path->checksum != OMNI_CHECKSUM_NONE)
		omni_path_checksum(path, at, (uint16_t)len);
	return hand_over(ctl, path, m);
}

int ctl_send_sealed(struct omni_ctl *ctl, struct omni_keypair *kp, const struct omni_path *path,
		    uint8_t kind, const void *payload, size_t len)
{
	struct rte_mbuf *m = take(ctl);
	int rc;

	if (m == NULL)
		return -ENOMEM;
	rc = omni_keypair_seal_control(kp, ctl->conf.aead, path, kind, payload, len, m);
	if (rc < 0) {
		rte_pktmbuf_free(m);
		return rc;
	}
	return hand_over(ctl, path, m);
}

int ctl_send_peer(struct omni_ctl *ctl, struct ctl_peer *peer, uint8_t kind, const void *payload,
		  size_t len)
{
	struct omni_keypair *kp = atomic_load(&peer->pub->tx);
	const struct omni_path *path = atomic_load(&peer->pub->path);

	if (kp == NULL)
		return -ENOKEY;
	if (path == NULL) {
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
		return -EDESTADDRREQ;
	}
	return ctl_send_sealed(ctl, kp, path, kind, payload, len);
}
