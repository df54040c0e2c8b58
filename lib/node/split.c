/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * split: TCP segments that came whole, from a port or a peer, stay so where they go to a peer
 * that takes them over a path that loses none of them, or to a port that does; else they are cut
 * into frames here. One segment may become many frames, so the stage is called until it returns
 * 0: it fills m from w->segments. A port is told what to give from then on.
 */
#include "segments.h"
#include "way.h"

/* Bytes of a segment in one datagram of that path. */
static uint32_t piece_len(const struct omni_path *path)
{
	uint32_t around =
		path->hdr_len - OMNI_ETHER_HDR_LEN + OMNI_DATA_OVERHEAD + OMNI_PIECE_HDR_LEN;

	return path->mtu > around ? path->mtu - around : 0;
}

/* Bytes of segments that a datagram to the peer may carry; 0: they go to it in frames. */
static uint32_t piece_to(const struct omni_worker *w, const struct omni_peer *peer)
{
	const struct omni_keypair *kp = atomic_load_explicit(&peer->tx, memory_order_acquire);
	const struct omni_path *path = atomic_load_explicit(&peer->path, memory_order_acquire);
	bool shared;

	if (kp == NULL || path == NULL || (kp->features & OMNI_FEATURE_SEGMENTS) == 0 ||
	    (omni_keypair_marks(kp) & (OMNI_KEYPAIR_NO_TX | OMNI_KEYPAIR_CUT)) != 0)
		return 0;
	/* Others' pieces would come in between. */
	return lane_of(w, kp, &shared) == 0 || shared ? 0 : piece_len(path);
}

bool omni_node_whole_to_peer(const struct omni_worker *w, const struct rte_mbuf *m,
			     const struct omni_peer *peer)
{
	uint32_t most = piece_to(w, peer);

	if (m->nb_segs > OMNI_PIECES_MAX || m->pkt_len > UINT16_MAX)
		return false;
	/* Another peer's pieces, too, may be longer than the first one. */
	for (const struct rte_mbuf *b = m; b != NULL; b = b->next)
		if (b->data_len > most)
			return false;
	return true;
}

static bool fits_peer(const struct omni_worker *w, const struct rte_mbuf *m, omni_dest dest)
{
	const struct omni_peer *peer = peer_get(w, omni_dest_index(dest), omni_dest_gen(dest));

	return peer != NULL && omni_node_whole_to_peer(w, m, peer);
}

static bool fits_port(const struct omni_worker *w, const struct rte_mbuf *m, omni_dest dest)
{
	uint32_t id = omni_dest_index(dest);
	const struct omni_port *port = id < OMNI_PORTS_MAX ? port_get(w, (uint16_t)id) : NULL;

	return port != NULL && port->info.segments && port_carries_segment(port, m);
}

static bool frame_stays_whole(const struct omni_worker *w, struct rte_mbuf *m)
{
	uint64_t key = fdb_key(omni_meta(m)->cluster, rte_pktmbuf_mtod(m, uint8_t *));
	omni_dest dest;

	omni_fdb_lookup(w->conf.fdb, &key, 1, &dest);
	switch (omni_dest_kind(dest)) {
	case OMNI_DEST_PEER:
		return fits_peer(w, m, dest);
	case OMNI_DEST_PORT:
		return fits_port(w, m, dest);
	default:
		return false;
	}
}

static bool packet_stays_whole(const struct omni_worker *w, struct rte_mbuf *m)
{
	uint16_t cluster = omni_meta(m)->cluster;
	const struct omni_l3 *l3 = omni_fib_cluster(w->conf.fib, cluster);
	struct way way = {.cluster = OMNI_BRIDGE_NONE};
	struct lookups to;

	if (l3 == NULL)
		return false;
	(void)look_up(w, &m, 1, V4_DEST, V6_DEST, &to);
	find_way(w, &way, dest_of(&to, 0, is_v6(rte_pktmbuf_mtod(m, const uint8_t *))), l3,
		 cluster);
	return omni_node_whole_packet(w, m, &way);
}

static bool stays_whole(const struct omni_worker *w, struct rte_mbuf *m)
{
	return (omni_meta(m)->flags & OMNI_META_L3) != 0 ? packet_stays_whole(w, m)
							 : frame_stays_whole(w, m);
}

/* Make m the segment that is being cut; false where it is none. */
static bool begin(struct omni_worker *w, struct rte_mbuf *m)
{
	struct segments *s = w->segments;
	uint8_t *to = s->payload;
	uint32_t off;

	if (omni_node_read_segment(&s->split, m) < 0)
		return false;
	off = s->split.hdr_len;
	for (const struct rte_mbuf *b = m; b != NULL; b = b->next) {
		memcpy(to, rte_pktmbuf_mtod_offset(b, uint8_t *, off), b->data_len - off);
		to += b->data_len - off;
		off = 0;
	}
	s->piece = 0;
	s->cutting = true;
	return true;
}

/* Pieces of the segment that was begun, into at most n of out. */
static unsigned int cut(struct omni_worker *w, const struct omni_meta *meta, struct rte_mbuf **out,
			unsigned int n)
{
	struct segments *s = w->segments;

	n = OMNI_MIN(n, s->split.pieces - s->piece);
	if (rte_pktmbuf_alloc_bulk(w->conf.pool, out, n) != 0) {
		count(w, OMNI_STAT_drop_no_mbuf, s->split.pieces - s->piece);
		s->cutting = false;
		return 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = s->split.hdr_len + omni_split_payload(&s->split, s->piece);

		*omni_meta(out[i]) = *meta;
		(void)omni_split_piece(&s->split, s->piece++, s->payload,
				       rte_pktmbuf_mtod(out[i], uint8_t *));
		out[i]->data_len = (uint16_t)len;
		out[i]->pkt_len = len;
	}
	s->cutting = s->piece < s->split.pieces;
	return n;
}

/* Does a frame of the segment fit a buffer of ours? */
static bool fits_buffer(const struct omni_worker *w, const struct segments *s)
{
	return s->split.hdr_len + s->split.size <=
	       omni_pool_frame_max(w->conf.pool, OMNI_POOL_PLAIN);
}

/* What was read whole and had to be cut: the port shall cut from now on, which costs less. */
static void tell_to_cut(struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);

	if ((meta->flags & OMNI_META_FROM_PEER) == 0 && w->rx.port->ops->whole != NULL)
		w->rx.port->ops->whole(w->rx.port, w->rx.queue, 0, 0);
}

unsigned int omni_node_split(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct segments *s = w->segments;
	unsigned int left = 0;

	while (left < n && s->at < s->n) {
		struct rte_mbuf *frame = s->m[s->at];

		if (!s->cutting && (!omni_is_segment(frame) || stays_whole(w, frame))) {
			m[left++] = frame;
			s->at++;
			continue;
		}
		if (!s->cutting) {
			tell_to_cut(w, frame);
			if (!begin(w, frame) || !fits_buffer(w, s)) {
				s->cutting = false;
				omni_node_drop(w, frame, OMNI_STAT_drop_too_long);
				s->at++;
				continue;
			}
			count(w, OMNI_STAT_segments_cut, 1);
		}
		left += cut(w, omni_meta(frame), m + left, n - left);
		if (s->cutting)
			continue;
		omni_node_release(w, frame);
		s->at++;
	}
	stage_end(w, OMNI_STAGE_split, left);
	return left;
}

void omni_node_split_ask(struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_keypair *kp = omni_meta(m)->kp;
	const struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);
	bool l3 = (omni_meta(m)->flags & OMNI_META_L3) != 0;

	/* The link header comes off, and all datagrams are to be equally long. */
	if (peer != NULL)
		w->rx.port->ops->whole(w->rx.port, w->rx.queue,
				       (uint16_t)OMNI_MIN(piece_to(w, peer), UINT16_MAX),
				       l3 ? OMNI_ETHER_HDR_LEN : 0);
}
