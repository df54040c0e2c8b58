/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * decap_commit: what an authenticated message changes, in the order of arrival: the lane's
 * claim, its replay window, and the events that make control confirm a key or look at a new
 * address. Frames, bundles and fragments pass on without their headers; control messages leave
 * at punt.
 */
#include "worker.h"

static void report(struct omni_worker *w, struct rte_mbuf *m, enum omni_event_type type)
{
	const struct omni_meta *meta = omni_meta(m);
	const struct omni_keypair *kp = meta->kp;
	struct omni_endpoint to;
	struct omni_event ev = {
		.type = (uint8_t)type,
		.lane = (uint8_t)meta->lane,
		.cluster = kp->cluster,
		.peer = kp->peer,
		.peer_gen = kp->peer_gen,
		.datagram_len = meta->payload_len,
		.session_id = kp->local_id,
	};

	omni_punt_addresses(m, &ev.from, &to);
	ev.to = to.ip;
	omni_node_event(w, &ev);
}

/* A lane may come from another port of the same address. */
static bool is_lane_port(const struct omni_path *path, uint16_t lane, const uint8_t *udp)
{
	const struct omni_lane_ports *ports = omni_path_lane_ports(path);

	return ports != NULL && ports->far[lane] == omni_load_be16(udp);
}

/* Our own template says where that is, in the path's first cache line. */
static inline bool same_source(const struct omni_path *path, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	const uint8_t *udp =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->payload_off - OMNI_UDP_HDR_LEN);
	const uint8_t *to = path->hdr + OMNI_ETHER_HDR_LEN;
	bool v6 = (meta->flags & OMNI_META_V6) != 0;

	if (v6 != path->v6)
		return false;
	if (v6 ? memcmp(to + 24, ip + 8, 16) != 0 : memcmp(to + 16, ip + 12, 4) != 0)
		return false;
	to += (v6 ? OMNI_IPV6_HDR_LEN : OMNI_IPV4_HDR_LEN) + 2;
	return memcmp(to, udp, 2) == 0 || is_lane_port(path, meta->lane, udp);
}

/* WireGuard answers from the address that was called. */
static inline bool same_called(const struct omni_path *path, struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	const uint8_t *own = path->hdr + OMNI_ETHER_HDR_LEN;

	return path->v6 ? memcmp(own + 8, ip + 24, 16) == 0 : memcmp(own + 12, ip + 16, 4) == 0;
}

/*
 * What the messages of a lane have in common, looked up once for those that follow each other;
 * and the lane's counters, which are written back at the end of the run.
 */
struct run {
	struct omni_keypair *kp;
	struct omni_lane_rx *lane;
	uint64_t frames, bytes;
	bool ours;    /* the lane */
	bool payload; /* not keepalives and control messages alone */
	bool wireguard;
	uint16_t hdr_len, overhead; /* of the data header, and with the tag */
	uint16_t frame_max;
	uint8_t flags, keep;	/* of what passes on, and those of the datagram's that stay */
	struct omni_peer *peer; /* that lives: messages from elsewhere than path are reported */
	const struct omni_path *path;
};

/* Where the cluster wants it, source_check looks at the outer ECN bits of its packets. */
static inline void set_dialect(struct omni_worker *w, struct run *r, const struct omni_keypair *kp)
{
	const struct omni_l3 *l3 =
		w->conf.fib != NULL ? omni_fib_cluster(w->conf.fib, kp->cluster) : NULL;

	r->wireguard = kp->dialect == OMNI_DIALECT_WIREGUARD;
	r->hdr_len = r->wireguard ? OMNI_WG_DATA_HDR_LEN : OMNI_DATA_HDR_LEN;
	r->overhead = (uint16_t)(r->hdr_len + OMNI_TAG_LEN);
	/* The padding comes off, and the packet's own length is looked at, later. */
	r->frame_max = r->wireguard ? UINT16_MAX : kp->frame_max;
	r->flags = OMNI_META_FROM_PEER;
	if (l3 == NULL)
		return;
	w->has_l3 = true;
	r->flags |= OMNI_META_L3;
	r->keep = l3->ecn ? (uint8_t)(3U << OMNI_META_ECN_SHIFT) : 0;
}

static void begin_run(struct omni_worker *w, struct run *r, struct omni_keypair *kp,
		      struct omni_lane_rx *lane)
{
	struct omni_peer *peer = peer_get(w, kp->peer, kp->peer_gen);

	*r = (struct run){.kp = kp, .lane = lane, .peer = peer};
	set_dialect(w, r, kp);
	r->ours = omni_lane_claim(lane, w->conf.id);
	if (likely(peer != NULL))
		r->path = atomic_load_explicit(&peer->path, memory_order_acquire);
}

static void end_run(const struct omni_worker *w, const struct run *r)
{
	if (r->frames == 0)
		return;
	omni_lane_received(r->lane, r->frames, r->bytes, r->payload, w->turn_tsc);
}

/* Events are levels, so one per key and burst does; *seen is the key of the last ones. */
static inline void watch(struct omni_worker *w, struct rte_mbuf *m, const struct run *r,
			 const struct omni_keypair **confirmed, const struct omni_keypair **roamed)
{
	if (unlikely((omni_keypair_marks(r->kp) & OMNI_KEYPAIR_UNCONFIRMED) != 0) &&
	    *confirmed != r->kp) {
		*confirmed = r->kp;
		if (r->wireguard && r->peer != NULL)
			omni_node_moves(w, r->peer, r->path, r->kp, MOVED_KEY);
		report(w, m, OMNI_EVENT_CONFIRM);
	}
	if (likely(r->path != NULL && same_source(r->path, m) &&
		   (!r->wireguard || same_called(r->path, m))))
		return;
	if (r->peer != NULL && *roamed != r->kp) {
		*roamed = r->kp;
		if (r->wireguard)
			omni_node_moves(w, r->peer, r->path, r->kp, MOVED_WAY);
		report(w, m, OMNI_EVENT_ROAM);
	}
}

/* By kind: what passes on, KEEP; PUNT; or why not. len: of the plain text. */
static inline unsigned int sort(struct omni_worker *w, const struct run *r,
				const struct omni_meta *meta, unsigned int len)
{
	if (unlikely(r->kp->dialect == OMNI_DIALECT_NUCLEUS && meta->kind != OMNI_KIND_CONTROL))
		return OMNI_STAT_drop_bad_kind;
	switch (meta->kind) {
	case OMNI_KIND_FRAME:
		return likely(len <= r->frame_max) ? KEEP : OMNI_STAT_drop_too_long;
	case OMNI_KIND_BUNDLE:
		w->has_bundles = true;
		return KEEP;
	case OMNI_KIND_FRAGMENT:
		w->has_fragments = true;
		return KEEP;
	case OMNI_KIND_SEGMENT:
		w->has_pieces = true;
		return KEEP;
	case OMNI_KIND_CONTROL:
		return likely(meta->lane == 0) ? PUNT : OMNI_STAT_drop_control_lane;
	case OMNI_KIND_KEEPALIVE:
		return len == 0 ? OMNI_STAT_keepalives_received : OMNI_STAT_drop_bad_length;
	default:
		return OMNI_STAT_drop_bad_kind;
	}
}

static inline unsigned int commit(struct omni_worker *w, struct run *r, struct omni_meta *meta)
{
	unsigned int len = meta->payload_len - r->overhead;

	if (unlikely(!r->ours))
		return OMNI_STAT_drop_lane_owner;
	if (unlikely(!(r->wireguard
			       ? omni_replay_wide_mark(omni_keypair_window(r->kp), meta->sequence)
			       : omni_replay_mark(&r->lane->window, meta->sequence))))
		return OMNI_STAT_drop_replayed;
	r->frames++;
	r->bytes += len;
	r->payload |= meta->kind <= OMNI_KIND_FRAGMENT || meta->kind == OMNI_KIND_SEGMENT;
	return sort(w, r, meta, len);
}

unsigned int omni_node_decap_commit(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	const struct omni_keypair *confirmed = NULL, *roamed = NULL;
	struct run run = {.kp = NULL};
	unsigned int left = 0;

	w->has_bundles = w->has_fragments = w->has_pieces = w->has_l3 = false;
	for (unsigned int i = 0; i < n; i++) {
		struct omni_meta *meta = omni_meta(m[i]);
		struct omni_lane_rx *lane = &meta->kp->rx[meta->lane];
		unsigned int why;

		if (lane != run.lane) {
			end_run(w, &run);
			begin_run(w, &run, meta->kp, lane);
		}
		why = commit(w, &run, meta);
		if (likely(why != OMNI_STAT_drop_lane_owner && why != OMNI_STAT_drop_replayed))
			watch(w, m[i], &run, &confirmed, &roamed);
		if (unlikely(why != KEEP && why != PUNT)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		meta->payload_off += run.hdr_len;
		meta->payload_len -= run.overhead;
		if (unlikely(why == PUNT)) {
			w->punt.m[w->punt.n++] = m[i];
			continue;
		}
		m[i]->data_off += meta->payload_off;
		m[i]->data_len = meta->payload_len;
		m[i]->pkt_len = meta->payload_len;
		meta->peer = meta->kp->peer;
		meta->cluster = meta->kp->cluster;
		meta->flags = (meta->flags & run.keep) | run.flags;
		m[left++] = m[i];
	}
	end_run(w, &run);
	stage_end(w, OMNI_STAGE_decap_commit, n);
	return left;
}
