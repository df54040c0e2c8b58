/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What route has to know of a destination: to a peer, or with which link header to a port. */
#include "way.h"

#include "clamp.h"
#include "segments.h"

static void to_peer_way(const struct omni_worker *w, struct way *way)
{
	struct omni_peer *peer = peer_get(w, omni_dest_index(way->dest), omni_dest_gen(way->dest));
	const struct omni_path *path;
	struct omni_keypair *kp;

	if (unlikely(peer == NULL || peer->cluster != way->cluster))
		return;
	way->peer = peer;
	way->moves = (omni_peer_marks(peer) & OMNI_PEER_MOVES) != 0;
	kp = atomic_load_explicit(&peer->tx, memory_order_acquire);
	path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (unlikely(kp == NULL || path == NULL ||
		     (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) != 0))
		return;
	if (unlikely(way->moves))
		return;
	way->kp = kp;
	way->most = room_for(path, kp);
	if (way->l3->mtu != 0)
		way->most = OMNI_MIN(way->most, way->l3->mtu);
}

static void to_mac(const struct omni_worker *w, struct way *way, uint32_t id, const uint8_t *mac)
{
	const struct omni_port *port = id < OMNI_PORTS_MAX ? port_get(w, (uint16_t)id) : NULL;

	if (unlikely(port == NULL || domain_of_port(w, port->id) != way->cluster))
		return;
	way->port = port;
	way->raw = port->info.raw_ip;
	way->most = port->info.mtu;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		memcpy(way->link[v6] + 2, mac != NULL ? mac : port->info.l3_mac, 6);
		memcpy(way->link[v6] + 8, port->info.l3_mac, 6);
		omni_store_be16(way->link[v6] + 14, v6 != 0 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	}
}

/* Without a link layer there are no neighbours: whoever it is, is there. */
static void to_link_way(const struct omni_worker *w, struct way *way)
{
	uint32_t id = omni_dest_index(way->dest);
	const struct omni_port *port = id < OMNI_PORTS_MAX ? port_get(w, (uint16_t)id) : NULL;

	if (port != NULL && port->generation == omni_dest_gen(way->dest) && port->info.raw_ip)
		to_mac(w, way, id, NULL);
}

static void to_host_way(const struct omni_worker *w, struct way *way)
{
	const struct omni_adjacency *host = omni_fib_adjacency(w->conf.fib, way->dest);

	if (likely(host != NULL))
		to_mac(w, way, host->port, host->mac);
}

void omni_node_find_way(const struct omni_worker *w, struct way *way)
{
	switch (omni_dest_kind(way->dest)) {
	case OMNI_DEST_PEER:
		to_peer_way(w, way);
		break;
	case OMNI_DEST_PORT:
		to_link_way(w, way);
		break;
	case OMNI_DEST_HOST:
		to_host_way(w, way);
		break;
	default:
		break;
	}
}

/* From a peer to a peer where the cluster relays, and not back. */
static bool passes_on(const struct omni_meta *meta, const struct way *way)
{
	return (meta->flags & OMNI_META_FROM_PEER) == 0 ||
	       (way->l3->relay &&
		omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen) != way->dest);
}

bool omni_node_whole_packet(const struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *), *tcp = ip + m->l3_len;
	bool to_peer = way->kp != NULL;
	bool hop = to_peer ? (omni_meta(m)->flags & OMNI_META_HOST) == 0 : !way->raw;

	if (omni_segment_hdr_len(m) + m->tso_segsz > way->most || (tcp[TCP_FLAGS] & TCP_SYN) != 0 ||
	    (hop && (is_v6(ip) ? ip[7] : ip[8]) <= 1))
		return false;
	if (to_peer)
		return passes_on(omni_meta(m), way) && omni_node_whole_to_peer(w, m, way->peer);
	return way->port != NULL && way->port->info.segments && rte_pktmbuf_headroom(m) >= LINK_LEN;
}
