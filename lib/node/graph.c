/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The way of a frame: the stages in the order in which they are met, and a worker's turn. */
#include <omni_clock.h>

#include "clamp.h"
#include "segments.h"

/* The clock of the FDB's ages is read this many times a second. */
#define CLOCK_READS_SHIFT 3
/*
 * Bursts of a port in a turn, where full ones wait: what they become leaves together, which a port
 * that lives from system calls takes in few of them.
 */
#define BURSTS 4
/* So many frames of a burst to a peer are a segment that was cut. */
#define SEGMENT_FRAMES 8
/* Of what other workers handed over, so many a turn: they are many, and the rest waits. */
#define INBOX_TURN (4 * BURST)

/* Frames to peers are of one burst, and that is of one cluster. */
static bool may_bundle(const struct omni_worker *w, struct rte_mbuf *m)
{
	const struct omni_bridge *b = &w->conf.bridges->at[omni_meta(m)->cluster];

	return atomic_load_explicit(&b->bundles, memory_order_relaxed);
}

/* Sealed datagrams, of which some are too long for their path. */
static void tx_long(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *out[BURST];

	w->outer.m = m;
	w->outer.n = n;
	w->outer.at = 0;
	while ((n = omni_node_outer_fragment(w, out, BURST)) > 0)
		omni_node_tx(w, out, n);
}

static void to_peers(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	if (n == 0)
		return;
	if (w->n_short > 1)
		n = omni_node_bundle(w, m, n);
	n = omni_node_encap_prepare(w, m, n);
	n = omni_node_seal(w, m, n);
	if (unlikely(w->long_datagrams))
		tx_long(w, m, n);
	else
		omni_node_tx(w, m, n);
}

/* Frames to peers, of which some are too long for their path. */
static void cut_to_peers(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *out[BURST];

	if (likely(!w->must_cut)) {
		to_peers(w, m, n);
		return;
	}
	w->cut.m = m;
	w->cut.n = n;
	w->cut.at = 0;
	while ((n = omni_node_fragment(w, out, BURST)) > 0)
		to_peers(w, out, n);
}

static void to_everybody(struct omni_worker *w)
{
	struct rte_mbuf *copy[BURST];
	unsigned int n;

	w->copy.at = 0;
	w->copy.peer = 0;
	while ((n = omni_node_replicate(w, copy, BURST)) > 0) {
		if (unlikely(w->any_syn))
			omni_node_clamp(w, copy, n);
		cut_to_peers(w, copy, n);
	}
	omni_node_replicate_local(w);
}

/* Inner frames, wherever they came from. */
static void bridge(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	w->bundling = may_bundle(w, m[0]);
	n = omni_node_learn(w, m, n);
	n = omni_node_forward(w, m, n);
	if (n >= SEGMENT_FRAMES && w->rx.asks)
		omni_node_split_ask(w, m[n - 1]);
	if (unlikely(w->any_syn)) {
		omni_node_clamp(w, w->local.m, w->local.n);
		omni_node_clamp(w, w->flood.m, w->flood.n);
		omni_node_clamp(w, m, n);
	}
	omni_node_tx(w, w->local.m, w->local.n);
	w->local.n = 0;
	cut_to_peers(w, m, n);
	if (unlikely(w->flood.n > 0))
		to_everybody(w);
}

/* One burst of packets of L3 clusters. */
static void route(struct omni_worker *w, struct rte_mbuf **m, unsigned int n, enum route_pass pass)
{
	if (n == 0)
		return;
	w->pass = pass;
	w->bundling = may_bundle(w, m[0]);
	n = omni_node_route(w, m, n);
	if (n >= SEGMENT_FRAMES && w->rx.asks)
		omni_node_split_ask(w, m[n - 1]);
	if (unlikely(w->any_syn))
		omni_node_clamp(w, m, n);
	omni_node_tx(w, w->local.m, w->local.n);
	w->local.n = 0;
	cut_to_peers(w, m, n);
	w->long_datagrams = false;
}

/* What route took aside becomes packets that are routed once more: messages, and fragments. */
static void route_again(struct omni_worker *w)
{
	struct rte_mbuf *out[BURST];
	unsigned int n;

	w->any_syn = false;
	if (w->icmp.n > 0) {
		n = omni_node_icmp(w, w->icmp.m, w->icmp.n);
		for (unsigned int i = 0; i < n; i++)
			out[i] = w->icmp.m[i];
		w->icmp.n = 0;
		route(w, out, n, ROUTE_OWN);
	}
	w->chop_at = w->chop_off = 0;
	while ((n = omni_node_ip_fragment(w, out, BURST)) > 0)
		route(w, out, n, ROUTE_PIECES);
	w->chop.n = 0;
}

static void route_all(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
		      enum route_pass pass)
{
	route(w, m, n, pass);
	if (unlikely(w->icmp.n > 0 || w->chop.n > 0))
		route_again(w);
}

/* Packets that were checked: those of peers are what clamp finds something to do for. */
static void route_checked(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	if (unlikely(w->any_syn))
		omni_node_clamp(w, m, n);
	route_all(w, m, n, ROUTE_FIRST);
}

/* The same where whole segments may be among them. */
static void route_segments(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *out[BURST];
	bool syn = w->any_syn;

	w->segments->m = m;
	w->segments->n = n;
	w->segments->at = 0;
	while ((n = omni_node_split(w, out, BURST)) > 0) {
		w->any_syn = syn;
		route_checked(w, out, n);
	}
}

/* The packets among frames and packets of peers; returns how many frames are left in m. */
static unsigned int route_packets(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *packet[BURST];
	unsigned int packets = 0, left = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (likely((omni_meta(m[i])->flags & OMNI_META_L3) != 0))
			packet[packets++] = m[i];
		else
			m[left++] = m[i];
	}
	packets = omni_node_source_check(w, packet, packets);
	if (w->has_pieces)
		route_segments(w, packet, packets);
	else
		route_checked(w, packet, packets);
	return left;
}

/* Packets that waited. */
static void from_hold(struct omni_worker *w)
{
	struct rte_mbuf *m[BURST];
	unsigned int n;

	omni_node_moved_expire(w);
	omni_node_hold_expire(w);
	if (unlikely(w->icmp.n > 0))
		route_again(w);
	if (likely(!omni_node_hold_due(w)))
		return;
	while ((n = omni_node_hold_again(w, m, BURST)) > 0) {
		w->any_syn = true; /* nobody looked at them in this turn */
		route_all(w, m, n, w->pass);
	}
}

/* The same, where whole segments may be among them. */
static void bridge_segments(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *out[BURST];

	w->segments->m = m;
	w->segments->n = n;
	w->segments->at = 0;
	while ((n = omni_node_split(w, out, BURST)) > 0)
		bridge(w, out, n);
}

static void unbundle_to_bridge(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct rte_mbuf *out[BURST];

	w->split.m = m;
	w->split.n = n;
	w->split.at = 0;
	w->split.frames = 0;
	while ((n = omni_node_unbundle(w, out, BURST)) > 0) {
		if (w->has_l3)
			n = route_packets(w, out, n);
		if (n == 0)
			continue;
		if (unlikely(w->has_pieces))
			bridge_segments(w, out, n);
		else
			bridge(w, out, n);
	}
}

/* Data messages, and what classify put aside for control. */
static void from_peers(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	if (likely(n > 0)) {
		n = omni_node_decap_prepare(w, m, n);
		n = omni_node_open(w, m, n);
		n = omni_node_decap_commit(w, m, n);
		if (w->has_fragments)
			n = omni_node_reassemble(w, m, n);
		if (w->has_pieces)
			n = omni_node_gather(w, m, n);
	}
	if (unlikely(w->punt.n > 0)) {
		omni_node_punt(w, w->punt.m, w->punt.n);
		w->punt.n = 0;
	}
	if (n == 0)
		return;
	if (w->has_bundles) {
		unbundle_to_bridge(w, m, n);
		return;
	}
	if (w->has_l3)
		n = route_packets(w, m, n);
	if (n == 0)
		return;
	if (w->has_pieces)
		bridge_segments(w, m, n);
	else
		bridge(w, m, n);
}

/* The next burst comes from that port; false where it has no queue for us. */
static bool rx_from(struct omni_worker *w, uint16_t id, uint16_t cluster)
{
	w->rx.port = port_get(w, id);
	w->rx.cluster = cluster;
	return w->rx.port != NULL && own_queue(w, w->rx.port, &w->rx.queue);
}

/* IP fragments; what they make up is a datagram like any other, and no fragment. */
static void from_pieces(struct omni_worker *w)
{
	unsigned int n = omni_node_outer_reassemble(w, w->pieces.m, w->pieces.n);

	w->pieces.n = 0;
	if (n > 0)
		from_peers(w, w->pieces.m, omni_node_classify(w, w->pieces.m, n));
}

static unsigned int burst_from_uplink(struct omni_worker *w)
{
	struct rte_mbuf *m[BURST];
	unsigned int n = omni_node_rx(w, m, BURST);

	if (n == 0)
		return 0;
	count(w, OMNI_STAT_uplink_rx, n);
	from_peers(w, m, omni_node_classify(w, m, n));
	if (unlikely(w->pieces.n > 0))
		from_pieces(w);
	return n;
}

static unsigned int from_uplink(struct omni_worker *w)
{
	unsigned int taken = 0, n = 0;

	if (!rx_from(w, w->conf.uplink, OMNI_BRIDGE_NONE))
		return 0;
	for (unsigned int i = 0; i < BURSTS; i++) {
		n = burst_from_uplink(w);
		taken += n;
		/* Less may be all that waits, and to ask again costs a call. */
		if (n < BURST / 4)
			break;
	}
	return taken;
}

/* What other workers handed over. */
static unsigned int from_workers(struct omni_worker *w)
{
	struct rte_mbuf *m[BURST];
	unsigned int taken = 0, n;

	if (likely(w->conf.workers == 1))
		return 0;
	n = OMNI_MIN(rte_ring_count(w->conf.xring->inbox), INBOX_TURN);
	while (taken < n) {
		unsigned int burst = OMNI_MIN(n - taken, BURST);

		from_peers(w, m, omni_node_hand_off(w, m, burst));
		taken += burst;
	}
	return n;
}

static bool is_l3(const struct omni_worker *w, uint16_t cluster)
{
	return w->conf.fib != NULL && omni_fib_cluster(w->conf.fib, cluster) != NULL;
}

/* Packets of a port. */
static void route_local(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	if (w->rx.port->info.segments)
		route_segments(w, m, n);
	else
		route_all(w, m, n, ROUTE_FIRST);
}

static unsigned int burst_from_local(struct omni_worker *w)
{
	struct rte_mbuf *m[BURST];
	unsigned int n = omni_node_rx(w, m, BURST);

	if (n == 0)
		return 0;
	count(w, OMNI_STAT_local_rx, n);
	w->rx.asks = w->rx.port->ops->whole != NULL;
	if (is_l3(w, w->rx.cluster))
		route_local(w, m, omni_node_ip_input(w, m, n));
	else if (w->rx.port->info.segments)
		bridge_segments(w, m, n);
	else
		bridge(w, m, n);
	w->rx.asks = false;
	return n;
}

static unsigned int from_local(struct omni_worker *w, uint16_t id, uint16_t domain)
{
	unsigned int taken = 0, n = BURST;

	if (!rx_from(w, id, domain))
		return 0;
	/* A segment that was cut is less than a burst, and more may wait behind it. */
	for (unsigned int i = 0; i < BURSTS && n >= BURST / 4; i++) {
		n = burst_from_local(w);
		taken += n;
	}
	return taken;
}

/* Ports may come and go between turns: what is there, the tables say. */
static unsigned int from_locals(struct omni_worker *w)
{
	unsigned int n = 0;

	for (uint16_t id = 0; id < OMNI_PORTS_MAX; id++) {
		uint16_t domain = domain_of_port(w, id);

		if (unlikely(domain < OMNI_BRIDGES_MAX) && id != w->conf.uplink)
			n += from_local(w, id, domain);
	}
	return n;
}

static unsigned int from_control(struct omni_worker *w)
{
	struct rte_mbuf *m[BURST];
	unsigned int n = omni_xring_take(w->conf.xring->tx, m, BURST);

	if (unlikely(n > 0)) {
		omni_node_tx(w, m, n);
		count(w, OMNI_STAT_control_sent, n);
	}
	return n;
}

static void read_clocks(struct omni_worker *w)
{
	w->turn_tsc = w->stage_tsc = rte_rdtsc();
	if (likely(w->turn_tsc < w->clock_tsc))
		return;
	w->clock_tsc = w->turn_tsc + (w->hz >> CLOCK_READS_SHIFT);
	w->now_s = (uint32_t)(omni_clock_boot_ns() / OMNI_NS_PER_S);
}

unsigned int omni_node_turn(struct omni_worker *w)
{
	unsigned int n;

	read_clocks(w);
	n = from_control(w);
	n += from_workers(w);
	n += from_uplink(w);
	n += from_locals(w);
	from_hold(w);
	omni_node_reassemble_expire(w);
	omni_node_gather_expire(w);
	omni_node_outer_expire(w);
	omni_node_tx_flush(w);
	omni_node_hand_flush(w);
	omni_node_drop_flush(w);
	omni_xring_bell(w->conf.xring);
	rte_rcu_qsbr_quiescent(omni_rcu_qsbr(w->conf.rcu), w->conf.id);
	return n;
}

unsigned int omni_node_queues(const struct omni_worker *w, struct omni_node_queue *q,
			      unsigned int max)
{
	unsigned int n = 0;

	for (uint16_t id = 0; id < OMNI_PORTS_MAX && n < max; id++) {
		struct omni_port *port = port_get(w, id);
		uint16_t queue;

		if (port == NULL || !own_queue(w, port, &queue) ||
		    (id != w->conf.uplink && domain_of_port(w, id) >= OMNI_BRIDGES_MAX))
			continue;
		q[n++] = (struct omni_node_queue){.port = port, .queue = queue};
	}
	return n;
}

uint64_t omni_node_deadline(const struct omni_worker *w)
{
	const uint64_t at[] = {omni_node_reassemble_deadline(w), omni_node_gather_deadline(w),
			       omni_node_hold_deadline(w), omni_node_outer_deadline(w),
			       w->moved.until};
	uint64_t first = 0;

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(at); i++)
		if (first == 0 || (at[i] != 0 && at[i] < first))
			first = at[i];
	return first;
}
