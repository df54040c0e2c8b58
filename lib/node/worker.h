/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the stages share: the worker, its scratch lists, and small helpers. After
 * omni_node_worker_create the worker's thread alone reads and writes everything here but conf,
 * which is constant; control sees a worker only through its stats, rings and RCU.
 */
#ifndef OMNI_NODE_WORKER_H
#define OMNI_NODE_WORKER_H

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include <omni_chain.h>
#include <omni_cursor.h>
#include <omni_node.h>
#include <omni_sum.h>
#include <omni_wire.h>

#include "moved.h"

#define BURST OMNI_NODE_BURST
/* Frames collected for one port; it is flushed early when they are more. */
#define TX_QUEUE 256
/* Freed together. */
#define DROP_QUEUE 128

static_assert(BURST <= OMNI_AEAD_BURST_MAX, "one AEAD call per burst");
/* Peers of a burst from which on their tables are fetched ahead; fewer are in the cache. */
#define FETCH_MIN 4
/* Peers of the box up to which all that frames read of them stays in the second level cache. */
#define FETCH_PEERS 256

static_assert(BURST <= OMNI_FDB_BULK, "one lookup per burst");
static_assert(OMNI_PORTS_MAX <= 64, "ports are bits of a word");
static_assert(OMNI_PORTS_MAX <= OMNI_BRIDGE_PORT_SLOTS, "every port may be in a bridge");

/* A stage's answer about one frame: the reason of its drop, or one of these. */
#define KEEP ((unsigned int)OMNI_STAT_COUNT)
#define PUNT (KEEP + 1)
#define HAND (KEEP + 2)
#define PIECE (KEEP + 3)

struct burst {
	unsigned int n;
	struct rte_mbuf *m[BURST];
};

struct tx_queue {
	unsigned int n;
	struct rte_mbuf *m[TX_QUEUE];
};

/*
 * Token bucket of one bridge domain, or of ICMP errors; tokens count in frames times TSC ticks of a
 * second.
 */
struct flood_budget {
	uint64_t credit;
	uint64_t tsc;
};

struct reassembly;  /* reassemble.c */
struct segments;    /* gather.c, split.c */
struct hold;	    /* hold.c */
struct outer_table; /* outer_reassemble.c */

/* What route is given. */
enum route_pass {
	ROUTE_FIRST,  /* packets from elsewhere */
	ROUTE_OWN,    /* messages that icmp made */
	ROUTE_PIECES, /* fragments that ip_fragment made */
};

struct omni_worker {
	struct omni_worker_conf conf;
	uint64_t hz;

	/* Time: of the turn's begin, and where the running stage began. */
	uint64_t turn_tsc, stage_tsc;
	uint64_t clock_tsc; /* when now_s is read again */
	uint32_t now_s;

	/* rx: where the burst comes from. */
	struct {
		struct omni_port *port;
		uint16_t queue, cluster;
		bool asks; /* it is a port that may be told to give segments whole, or not */
	} rx;

	/* From a prepare stage to open or seal and on: by the frame's place in the burst. */
	struct omni_aead_op op[BURST];
	const struct omni_path *path[BURST];

	/* Sideways exits of classify, decap_commit and forward. */
	struct burst punt;		 /* for control */
	struct burst pieces;		 /* IP fragments, for outer_reassemble */
	struct burst local;		 /* to local ports, meta->port set */
	struct burst flood;		 /* to everybody in the cluster */
	bool has_fragments, has_bundles; /* decap_commit saw some in this burst */
	bool has_pieces;		 /* the same, of whole segments */
	bool has_l3;			 /* the same, of L3 clusters */
	bool must_cut;			 /* forward or replicate marked OMNI_META_CUT */
	bool long_datagrams;		 /* route let some pass that their path does not carry */
	bool any_syn;			 /* clamp is to look at this burst */
	bool bundling;			 /* short frames to peers in this burst may be bundled */
	unsigned int n_short;		 /* and so many are */

	/* Stages that make many frames of one are called until they return 0. */
	struct {
		struct rte_mbuf **m;
		unsigned int n, at;
	} cut, outer; /* fragment, outer_fragment */
	struct {
		unsigned int at;
		uint32_t peer;
		const struct omni_flood *to;
	} copy; /* replicate */
	struct {
		struct rte_mbuf **m;
		unsigned int n, at;
		unsigned int off, frames; /* of the bundle at `at`: where to go on, how many */
	} split;			  /* unbundle */

	/* Packets of L3 clusters that route took aside, and what it says about them. */
	enum route_pass pass;
	struct burst icmp, chop;
	uint8_t icmp_why[BURST]; /* enum icmp_cause */
	uint16_t icmp_mtu[BURST], chop_mtu[BURST];
	unsigned int chop_at; /* ip_fragment: where it goes on */
	uint32_t chop_off;
	struct flood_budget icmp_all, icmp_from[64]; /* by sender; some share one */
	struct hold *hold;

	uint16_t ip_id, fragment_id;
	uint64_t tx_pending;   /* ports that have frames in txq */
	uint64_t hand_pending; /* workers that have datagrams in hand */
	uint64_t handed_to;    /* workers to wake at the end of the turn */
	unsigned int n_dropped;
	struct rte_mbuf *dropped[DROP_QUEUE];
	uint32_t *want_s; /* by peer: when WANT_KEY was last raised */
	struct moved moved;
	struct reassembly *reassembly;
	struct outer_table *outer_table;
	struct segments *segments;
	struct flood_budget budget[OMNI_BRIDGES_MAX];
	struct tx_queue txq[OMNI_PORTS_MAX];
	struct burst hand[OMNI_NODE_WORKERS_MAX]; /* datagrams of lanes that others own */
};

static_assert(OMNI_NODE_WORKERS_MAX <= 64, "workers are bits of a word");

/*
 * A stage: takes the n <= BURST frames of m, compacts those that it passes on to the front and
 * returns how many they are. Each adds its cycles and frames to the stats once per burst.
 */
typedef unsigned int stage_fn(struct omni_worker *w, struct rte_mbuf **m, unsigned int n);

stage_fn omni_node_rx;		     /* fills m from w->rx */
stage_fn omni_node_classify;	     /* sideways: w->punt, w->pieces */
stage_fn omni_node_outer_reassemble; /* passes on datagrams, for classify */
stage_fn omni_node_hand_off;	     /* fills m from the inbox; sideways: tx */
stage_fn omni_node_decap_prepare;    /* fills w->op; sideways: w->hand */
stage_fn omni_node_open;
stage_fn omni_node_decap_commit; /* sideways: w->punt */
stage_fn omni_node_reassemble;
stage_fn omni_node_gather;
stage_fn omni_node_split;    /* fills m from w->segments, again and again until 0 */
stage_fn omni_node_unbundle; /* fills m from w->split, again and again until 0 */
stage_fn omni_node_punt;     /* takes all */
stage_fn omni_node_ip_input; /* sideways: control */
stage_fn omni_node_source_check;
stage_fn omni_node_route; /* passes packets to peers; sideways: w->local, icmp, chop, hold */
stage_fn omni_node_icmp;
stage_fn omni_node_ip_fragment; /* fills m from w->chop, again and again until 0 */
stage_fn omni_node_hold_again;	/* fills m and w->pass from the queue, again and again until 0 */
stage_fn omni_node_learn;
stage_fn omni_node_forward; /* passes frames to peers; sideways: w->local, w->flood */
stage_fn omni_node_clamp;
stage_fn omni_node_replicate; /* fills m from w->flood, again and again until 0 */
stage_fn omni_node_fragment;  /* fills m from w->cut, again and again until 0 */
stage_fn omni_node_bundle;
stage_fn omni_node_encap_prepare; /* fills w->op and w->path */
stage_fn omni_node_seal;
stage_fn omni_node_outer_fragment; /* fills m from w->outer, again and again until 0 */
stage_fn omni_node_tx;		   /* takes all */

/* The frames of w->flood to local ports, once every peer's copy is sealed. Empties w->flood. */
void omni_node_replicate_local(struct omni_worker *w);

/* Send what omni_node_tx collected, one burst per port. */
void omni_node_tx_flush(struct omni_worker *w);

/* A datagram that classify passed, of a lane that another worker owns. */
void omni_node_hand_datagram(struct omni_worker *w, struct rte_mbuf *m, unsigned int to);
/* Finished frames to the worker that has the queue; returns how many it took, frees none. */
unsigned int omni_node_hand_frames(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				   unsigned int to);
/* Hand over what was collected, and wake those who got something. */
void omni_node_hand_flush(struct omni_worker *w);

/* Zeroed memory near the worker where there is some, else anywhere; NULL. Control. */
void *omni_node_zalloc(const struct omni_worker_conf *conf, const char *name, size_t len);

/* Give up frames whose pieces did not come in time. */
void omni_node_reassemble_expire(struct omni_worker *w);
int omni_node_reassemble_init(struct omni_worker *w);
void omni_node_reassemble_fini(struct omni_worker *w);
uint64_t omni_node_reassemble_deadline(const struct omni_worker *w);

/* The same for datagrams in IP fragments. */
void omni_node_outer_expire(struct omni_worker *w);
uint64_t omni_node_outer_deadline(const struct omni_worker *w);
int omni_node_outer_init(struct omni_worker *w);
void omni_node_outer_fini(struct omni_worker *w);

/* The same for segments of which pieces are missing. */
void omni_node_gather_expire(struct omni_worker *w);
uint64_t omni_node_gather_deadline(const struct omni_worker *w);
int omni_node_segments_init(struct omni_worker *w);
void omni_node_segments_fini(struct omni_worker *w);

/*
 * Packets that wait: are they to be tried again? Those whose time is over go to w->icmp, which has
 * room. TSC at which to come again; 0: nobody waits.
 */
bool omni_node_hold_due(struct omni_worker *w);
void omni_node_hold_expire(struct omni_worker *w);
uint64_t omni_node_hold_deadline(const struct omni_worker *w);
int omni_node_hold_init(struct omni_worker *w);
void omni_node_hold_fini(struct omni_worker *w);

/* m is the last of many frames from w->rx to one peer: the port may give their segments whole. */
void omni_node_split_ask(struct omni_worker *w, struct rte_mbuf *m);

/* Count one frame that vanishes, and free it at the latest at the end of the turn. */
void omni_node_drop(struct omni_worker *w, struct rte_mbuf *m, unsigned int why);
/* Free m, whose content went elsewhere, at the latest at the end of the turn. */
void omni_node_release(struct omni_worker *w, struct rte_mbuf *m);
void omni_node_drop_flush(struct omni_worker *w);

/*
 * A frame of its own with the facts of meta and a copy of len bytes; NULL (and counted) where
 * the pool is empty or its mbufs are too small.
 */
struct rte_mbuf *omni_node_copy(struct omni_worker *w, const struct omni_meta *meta,
				const uint8_t *data, uint32_t len);

/* Raise an event; where the ring is full it is counted and lost. */
void omni_node_event(struct omni_worker *w, const struct omni_event *ev);

/* The end of one stage is the beginning of the next: one clock reading each. */
static inline void stage_end(struct omni_worker *w, enum omni_stage stage, unsigned int frames)
{
	uint64_t now = rte_rdtsc();

	omni_stats_stage(w->conf.stats, stage, now - w->stage_tsc, frames);
	w->stage_tsc = now;
}

static inline void count(struct omni_worker *w, enum omni_stat which, unsigned int n)
{
	if (n != 0)
		omni_stats_add(w->conf.stats, which, n);
}

/* Key in the FDB of the MAC address at p; reads 8 bytes. */
static inline uint64_t fdb_key(uint16_t domain, const uint8_t *p)
{
	return (uint64_t)domain << 48 | omni_load_be64(p) >> 16;
}

/* Published port of that id; NULL. Valid until the end of the turn. */
static inline struct omni_port *port_get(const struct omni_worker *w, uint16_t id)
{
	return omni_port_get(w->conf.ports, id);
}

/* The place of this worker among those who share out the port's queues. */
static inline unsigned int place_at(const struct omni_worker *w, const struct omni_port *port)
{
	unsigned int id = w->conf.id, first = port->first_worker;

	return id >= first ? id - first : id + w->conf.workers - first;
}

/* True where the worker has a queue of the port: *queue; without one it must not touch it. */
static inline bool own_queue(const struct omni_worker *w, const struct omni_port *port,
			     uint16_t *queue)
{
	unsigned int place = place_at(w, port);

	*queue = (uint16_t)place;
	return place < port->queues;
}

/* The worker that sends for this one, which has no queue of the port. Always the same one. */
static inline unsigned int sender_for(const struct omni_worker *w, const struct omni_port *port)
{
	return (port->first_worker + place_at(w, port) % port->queues) % w->conf.workers;
}

static inline uint16_t domain_of_port(const struct omni_worker *w, uint16_t id)
{
	return atomic_load_explicit(&w->conf.bridges->of_port[id], memory_order_acquire);
}

/* The live peer that index and generation name; NULL. Valid until the end of the turn. */
static inline struct omni_peer *peer_get(const struct omni_worker *w, uint32_t index, uint32_t gen)
{
	return omni_peers_find(w->conf.peers, index, gen);
}

/* Where a frame fits that a port carries: its MTU and the Ethernet header with one tag. */
static inline bool port_carries(const struct omni_port *port, uint32_t len)
{
	return len <= (uint32_t)port->info.mtu + OMNI_PORT_L2_OVERHEAD;
}

/* The same for the frames that a whole segment stands for. */
static inline bool port_carries_segment(const struct omni_port *port, const struct rte_mbuf *m)
{
	return port->info.segments && port_carries(port, omni_segment_hdr_len(m) + m->tso_segsz);
}

/* Is it worth to fetch ahead what a burst reads of its peers? */
static inline bool many_peers(const struct omni_worker *w)
{
	return atomic_load_explicit(&w->conf.peers->count, memory_order_relaxed) > FETCH_PEERS;
}

/*
 * Lane to send on: our own where the peer granted it, else the last one granted to workers. Lane
 * 0 (control's) where it granted workers none. *shared: other workers send on it too.
 */
static inline uint16_t lane_of(const struct omni_worker *w, const struct omni_keypair *kp,
			       bool *shared)
{
	uint16_t last = (uint16_t)(kp->lanes_tx - 1);
	uint16_t own = (uint16_t)(w->conf.id + 1);

	*shared = w->conf.workers > last && own >= last;
	return own < last ? own : last;
}

/* Data header and tag around a plain text under that key. */
static inline uint32_t overhead_of(const struct omni_keypair *kp)
{
	return kp->dialect == OMNI_DIALECT_WIREGUARD ? OMNI_WG_DATA_OVERHEAD : OMNI_DATA_OVERHEAD;
}

/* Bytes of plain text that one datagram of the path carries under that key. */
static inline uint32_t text_for(const struct omni_path *path, const struct omni_keypair *kp)
{
	uint32_t around = path->hdr_len - OMNI_ETHER_HDR_LEN + overhead_of(kp);

	return path->mtu > around ? path->mtu - around : 0;
}

/*
 * The largest frame or packet that goes in one datagram. WireGuard's padding takes nothing of it:
 * the longest ones have less of it, as in every WireGuard.
 */
static inline uint32_t room_for(const struct omni_path *path, const struct omni_keypair *kp)
{
	return OMNI_MIN(text_for(path, kp), kp->frame_max);
}

/* Bytes of headers in front of the frame, as encap_prepare writes them, into the cache. */
static inline void fetch_front(struct rte_mbuf *m)
{
	const uint8_t *front =
		rte_pktmbuf_mtod(m, uint8_t *) - OMNI_DATA_HDR_LEN - OMNI_OUTER_HDR_MAX;

	__builtin_prefetch(front, 1);
	__builtin_prefetch(front + RTE_CACHE_LINE_SIZE, 1);
}

/* What encap_prepare and the stages before it want to know of a frame or packet to a peer. */
static inline void set_out(struct omni_worker *w, struct rte_mbuf *m, const struct omni_peer *peer,
			   struct omni_keypair *kp, const uint8_t *src, uint32_t len)
{
	struct omni_meta *meta = omni_meta(m);

	meta->kp = kp;
	meta->src = src;
	meta->peer = peer->index;
	meta->kind = OMNI_KIND_FRAME;
	if (w->bundling && len <= OMNI_NODE_BUNDLE_FRAME_MAX)
		w->n_short++; /* most of them get no headers of their own */
	else
		fetch_front(m);
}

/* Have control make a key: once a second and peer. */
void omni_node_want_key(struct omni_worker *w, const struct omni_peer *peer);

/*
 * Ready m, a frame of len bytes, for a peer: sets peer, kp, kind, src and the mark for
 * fragment. KEEP, or why it cannot go there.
 */
unsigned int omni_node_address(struct omni_worker *w, struct rte_mbuf *m, struct omni_peer *peer,
			       const uint8_t *src, uint32_t len);

#endif
