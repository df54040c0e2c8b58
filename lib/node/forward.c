/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * forward: by destination address. Frames to peers pass on, ready for encap; frames to local
 * ports leave in w->local; broadcast, multicast and unknown ones in w->flood, within their
 * cluster's budget. What came from a peer never goes to a peer.
 */
#include "worker.h"

/* A cluster may flood this part of a second's budget at once, and a burst at least. */
#define FLOOD_BURST_SHIFT 3

void omni_node_want_key(struct omni_worker *w, const struct omni_peer *peer)
{
	const struct omni_event ev = {
		.type = OMNI_EVENT_WANT_KEY,
		.cluster = peer->cluster,
		.peer = peer->index,
		.peer_gen = peer->generation,
	};

	if (w->want_s[peer->index] == w->now_s)
		return;
	w->want_s[peer->index] = w->now_s;
	omni_node_event(w, &ev);
}

unsigned int omni_node_address(struct omni_worker *w, struct rte_mbuf *m, struct omni_peer *peer,
			       const uint8_t *src, uint32_t len)
{
	struct omni_keypair *kp = atomic_load_explicit(&peer->tx, memory_order_acquire);
	const struct omni_path *path = atomic_load_explicit(&peer->path, memory_order_acquire);

	if (unlikely(kp == NULL || (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) != 0)) {
		omni_node_want_key(w, peer);
		return OMNI_STAT_drop_no_key;
	}
	if (unlikely(path == NULL))
		return OMNI_STAT_drop_no_path;
	if (unlikely(omni_is_segment(m))) {
		set_out(w, m, peer, kp, src, m->pkt_len);
		omni_meta(m)->kind = OMNI_KIND_SEGMENT;
		omni_meta(m)->flags |= OMNI_META_CUT;
		w->must_cut = true;
		return KEEP;
	}
	if (unlikely(len > kp->frame_max))
		return OMNI_STAT_drop_too_long;
	set_out(w, m, peer, kp, src, len);
	if (likely(len <= text_for(path, kp)))
		return KEEP;
	if ((kp->features & OMNI_FEATURE_FRAGMENTS) == 0)
		return OMNI_STAT_drop_too_long;
	omni_meta(m)->flags |= OMNI_META_CUT;
	w->must_cut = true;
	return KEEP;
}

/* One frame of the domain's budget; false where it is used up. */
static bool may_flood(struct omni_worker *w, uint16_t domain)
{
	uint64_t rate =
		atomic_load_explicit(&w->conf.bridges->at[domain].flood_rate, memory_order_relaxed);
	struct flood_budget *b = &w->budget[domain];
	uint64_t most = OMNI_MAX(rate >> FLOOD_BURST_SHIFT, BURST) * w->hz;
	uint64_t passed = OMNI_MIN(w->turn_tsc - b->tsc, w->hz);

	if (rate == 0)
		return true;
	b->credit = OMNI_MIN(b->credit + passed * rate, most);
	b->tsc = w->turn_tsc;
	if (b->credit < w->hz)
		return false;
	b->credit -= w->hz;
	return true;
}

static unsigned int flood(struct omni_worker *w, struct rte_mbuf *m)
{
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t domain = omni_meta(m)->cluster;

	/* IEEE 802.1Q table 8-1: bridges do not forward these. */
	if (omni_load_be32(eth) == 0x0180c200 && eth[4] == 0 && eth[5] < 0x10)
		return OMNI_STAT_drop_link_local;
	if (omni_bridge_flood(w->conf.bridges, domain) == NULL)
		return OMNI_STAT_drop_no_cluster;
	/* split let it pass, so it had one destination a moment ago. */
	if (unlikely(omni_is_segment(m)))
		return OMNI_STAT_drop_too_long;
	if (!may_flood(w, domain))
		return OMNI_STAT_drop_flood_budget;
	w->flood.m[w->flood.n++] = m;
	return PUNT;
}

/* The way to a destination, looked up once for the frames that follow each other to it. */
struct way {
	omni_dest dest;
	uint16_t cluster;
	uint32_t most; /* bytes of a frame for which nothing more is to be asked */
	struct omni_peer *peer;
	struct omni_keypair *kp;
	const struct omni_port *port;
};

/* most stays 0 where there is something to say about every frame. */
static void to_peer_way(const struct omni_worker *w, struct way *way)
{
	struct omni_peer *peer = peer_get(w, omni_dest_index(way->dest), omni_dest_gen(way->dest));
	const struct omni_path *path;

	if (unlikely(peer == NULL || peer->cluster != way->cluster))
		return;
	way->peer = peer;
	way->kp = atomic_load_explicit(&peer->tx, memory_order_acquire);
	path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (unlikely(way->kp == NULL || path == NULL ||
		     (omni_keypair_marks(way->kp) & OMNI_KEYPAIR_NO_TX) != 0))
		return;
	way->most = room_for(path, way->kp);
}

static void to_port_way(const struct omni_worker *w, struct way *way)
{
	uint32_t id = omni_dest_index(way->dest);
	const struct omni_port *port = id < OMNI_PORTS_MAX ? port_get(w, (uint16_t)id) : NULL;

	if (port == NULL || port->generation != omni_dest_gen(way->dest) ||
	    domain_of_port(w, port->id) != way->cluster)
		return;
	way->port = port;
	way->most = (uint32_t)port->info.mtu + OMNI_PORT_L2_OVERHEAD;
}

static inline void find_way(const struct omni_worker *w, struct way *way, omni_dest dest,
			    uint16_t cluster)
{
	if (likely(way->dest == dest && way->cluster == cluster))
		return;
	*way = (struct way){.dest = dest, .cluster = cluster};
	if (omni_dest_kind(dest) == OMNI_DEST_PEER)
		to_peer_way(w, way);
	else if (omni_dest_kind(dest) == OMNI_DEST_PORT)
		to_port_way(w, way);
}

static inline unsigned int to_port(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	struct omni_meta *meta = omni_meta(m);

	if (unlikely(way->port->id == meta->port && (meta->flags & OMNI_META_FROM_PEER) == 0))
		return OMNI_STAT_drop_same_port;
	if (unlikely(omni_is_segment(m) ? !port_carries_segment(way->port, m)
					: rte_pktmbuf_data_len(m) > way->most))
		return OMNI_STAT_drop_too_long;
	meta->port = way->port->id;
	w->local.m[w->local.n++] = m;
	return PUNT;
}

static inline unsigned int to_peer(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	struct omni_meta *meta = omni_meta(m);
	uint32_t len = rte_pktmbuf_data_len(m);

	if (unlikely((meta->flags & OMNI_META_FROM_PEER) != 0))
		return OMNI_STAT_drop_split_horizon;
	if (unlikely(len > way->most || omni_is_segment(m)))
		return omni_node_address(w, m, way->peer, NULL, len);
	set_out(w, m, way->peer, way->kp, NULL, len);
	return KEEP;
}

static inline unsigned int place(struct omni_worker *w, struct rte_mbuf *m, const struct way *way)
{
	if (way->peer != NULL)
		return to_peer(w, m, way);
	return way->port != NULL ? to_port(w, m, way) : flood(w, m);
}

/* Destinations of the burst's frames. Multicast addresses are never in the table. */
static inline void look_up(const struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			   omni_dest *dest)
{
	uint64_t key[BURST] = {0};

	for (unsigned int i = 0; i < n; i++)
		key[i] = fdb_key(omni_meta(m[i])->cluster, rte_pktmbuf_mtod(m[i], uint8_t *));
	omni_fdb_lookup(w->conf.fdb, key, n, dest);
}

/* Where headers and tag will be written: lines of the frame's that nobody read. */
static inline void fetch_ends(const struct rte_mbuf *m)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	__builtin_prefetch(data - 1, 0, 2);
	__builtin_prefetch(data - OMNI_DATA_HDR_LEN - OMNI_OUTER_HDR_MAX, 0, 2);
	__builtin_prefetch(data + rte_pktmbuf_data_len(m) + OMNI_TAG_LEN - 1, 0, 2);
}

/*
 * What stands behind different peers is fetched in passes over the burst, each of them for what
 * the one before it made known, so that a burst to many peers waits for memory a few times and
 * not once a frame. All of it goes to the second level: it is more than the first one holds, and
 * the first one has few misses on their way at a time.
 */
static void fetch(const struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
		  const omni_dest *dest)
{
	const struct omni_peer *peer[BURST];
	const struct omni_keypair *kp;
	unsigned int of[BURST], peers = 0;
	omni_dest last = OMNI_DEST_MISS;
	bool shared;

	for (unsigned int i = 0; i < n; i++) {
		if (likely(dest[i] == last) || omni_dest_kind(dest[i]) != OMNI_DEST_PEER)
			continue;
		last = dest[i];
		peer[peers] = omni_peers_fetch(w->conf.peers, omni_dest_index(last));
		of[peers++] = i;
	}
	if (likely(peers < FETCH_MIN))
		return;
	for (unsigned int i = 0; i < peers; i++) {
		omni_keypair_fetch(atomic_load_explicit(&peer[i]->tx, memory_order_acquire));
		omni_path_fetch(atomic_load_explicit(&peer[i]->path, memory_order_acquire));
		fetch_ends(m[of[i]]);
	}
	for (unsigned int i = 0; i < peers; i++) {
		kp = atomic_load_explicit(&peer[i]->tx, memory_order_acquire);
		if (likely(kp != NULL))
			omni_keypair_fetch_tx(kp, lane_of(w, kp, &shared),
					      rte_pktmbuf_data_len(m[of[i]]));
	}
}

unsigned int omni_node_forward(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	/* A miss as well as a first way: to nowhere. */
	struct way way = {.dest = OMNI_DEST_MISS};
	omni_dest dest[BURST];
	unsigned int left = 0;

	w->must_cut = false;
	w->n_short = 0;
	look_up(w, m, n, dest);
	if (unlikely(many_peers(w)))
		fetch(w, m, n, dest);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int why;

		find_way(w, &way, dest[i], omni_meta(m[i])->cluster);
		why = place(w, m[i], &way);

		if (likely(why == KEEP))
			m[left++] = m[i];
		else if (why != PUNT)
			omni_node_drop(w, m[i], why);
	}
	stage_end(w, OMNI_STAGE_forward, n);
	return left;
}
