/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers, paths and keypairs as the workers see them. Control creates, publishes and destroys
 * all of them (one writer); workers only read, but for the fields marked "worker".
 */
#ifndef OMNI_SESSION_H
#define OMNI_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_aead.h>
#include <omni_base.h>
#include <omni_rcu.h>
#include <omni_replay.h>
#include <omni_wire.h>

struct rte_mbuf;

#define OMNI_CACHE_LINE 64
#define OMNI_OUTER_HDR_MAX (OMNI_ETHER_HDR_LEN + OMNI_IPV6_HDR_LEN + OMNI_UDP_HDR_LEN)
#define OMNI_NO_OWNER 0

/*
 * One lane of the sending direction. Worker: all fields, by the lane's one sender; where workers
 * share it, atomically. WireGuard's one lane is shared by workers and control.
 */
struct omni_lane_tx {
	uint64_t sequence; /* next to use; never repeated under this key */
	uint64_t blocks;   /* AES-GCM blocks sealed, see OMNI_GCM_BLOCKS_STOP */
	uint64_t frames;
	uint64_t bytes;	   /* inner payload; WireGuard: with its padding */
	uint64_t last_tsc; /* of the last payload (not keepalive) sent */
	uint64_t last_any; /* of the last datagram sent */
	uint32_t frame_id; /* of the next fragmented frame */
} __attribute__((aligned(OMNI_CACHE_LINE)));

/* One lane of the receiving direction. Worker: all fields but owner, by the lane's owner. */
struct omni_lane_rx {
	_Atomic uint32_t owner; /* worker number + 1; claimed once by compare-and-swap */
	uint64_t frames;
	uint64_t bytes;
	uint64_t last_tsc; /* of the last authenticated payload (not keepalive) */
	uint64_t last_any; /* of the last authenticated datagram */
	struct omni_replay window;
} __attribute__((aligned(OMNI_CACHE_LINE)));

/*
 * True where the lane is the worker's from now on, or was already: the first one to ask has it for
 * the life of the key. Only after a datagram of it was authenticated. Worker.
 */
static inline bool omni_lane_claim(struct omni_lane_rx *lane, uint32_t worker)
{
	uint32_t me = worker + 1, owner = atomic_load_explicit(&lane->owner, memory_order_relaxed);

	if (__builtin_expect(owner == me, 1))
		return true;
	owner = OMNI_NO_OWNER;
	return atomic_compare_exchange_strong(&lane->owner, &owner, me) || owner == me;
}

/* The next sequence of a lane that workers share, and its counters. Worker. */
static inline uint64_t omni_lane_take_shared(struct omni_lane_tx *lane, uint64_t blocks,
					     uint64_t bytes, uint64_t now_tsc)
{
	__atomic_store_n(&lane->last_any, now_tsc, __ATOMIC_RELAXED);
	__atomic_store_n(&lane->last_tsc, now_tsc, __ATOMIC_RELAXED);
	__atomic_fetch_add(&lane->blocks, blocks, __ATOMIC_RELAXED);
	__atomic_fetch_add(&lane->frames, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&lane->bytes, bytes, __ATOMIC_RELAXED);
	return __atomic_fetch_add(&lane->sequence, 1, __ATOMIC_RELAXED);
}

/* A counter or time stamp that its one writer changes and control reads. */
static inline void omni_lane_set(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

/* A run of messages that the lane's one sender sealed; sequence: the next one. Worker. */
static inline void omni_lane_sent(struct omni_lane_tx *lane, uint64_t sequence, uint64_t blocks,
				  uint64_t frames, uint64_t bytes, uint64_t now_tsc)
{
	omni_lane_set(&lane->last_any, now_tsc);
	omni_lane_set(&lane->last_tsc, now_tsc);
	omni_lane_set(&lane->sequence, sequence);
	omni_lane_set(&lane->blocks, lane->blocks + blocks);
	omni_lane_set(&lane->frames, lane->frames + frames);
	omni_lane_set(&lane->bytes, lane->bytes + bytes);
}

/* A run of authenticated datagrams; payload: not all were keepalives. The lane's owner. */
static inline void omni_lane_received(struct omni_lane_rx *lane, uint64_t frames, uint64_t bytes,
				      bool payload, uint64_t now_tsc)
{
	omni_lane_set(&lane->frames, lane->frames + frames);
	omni_lane_set(&lane->bytes, lane->bytes + bytes);
	omni_lane_set(&lane->last_any, now_tsc);
	if (payload)
		omni_lane_set(&lane->last_tsc, now_tsc);
}

/*
 * The first of n sequences in a row of a WireGuard session. Worker or control; the caller looks at
 * the limit before and after, see omni_lane_has_run.
 */
static inline uint64_t omni_lane_take_run(struct omni_lane_tx *lane, uint32_t n)
{
	return __atomic_fetch_add(&lane->sequence, n, __ATOMIC_RELAXED);
}

/*
 * True where n sequences from first on are allowed. All who take at the same time stay far below
 * the room that the limit leaves, so that looking first keeps the counter from coming round.
 */
static inline bool omni_lane_has_run(uint64_t first, uint32_t n)
{
	return first < OMNI_WG_REJECT_AFTER_MESSAGES && OMNI_WG_REJECT_AFTER_MESSAGES - first >= n;
}

/* Marks that control sets and workers read. */
#define OMNI_KEYPAIR_NO_RX 0x1	     /* past reject-after: nothing is opened any more */
#define OMNI_KEYPAIR_NO_TX 0x2	     /* past reject-after or worn out: nothing is sealed */
#define OMNI_KEYPAIR_CUT 0x8	     /* the peer wants no whole segments: some were lost */
#define OMNI_KEYPAIR_UNCONFIRMED 0x4 /* responder's key before the first data: report it */

/*
 * The two transport keys of one handshake with their ids and counters: born and destroyed
 * together, and one piece of memory: the keypair, lanes and key to send with, key and lanes to
 * receive with, and WireGuard's replay window. Immutable after publication but for `marks` and the
 * lanes. What is read for each frame, either way, stands in the first cache line.
 */
struct omni_keypair {
	uint64_t local_id;  /* ours, in what we receive; host order. WireGuard: the index */
	uint64_t remote_id; /* the peer's, in what we send; host order */
	_Atomic uint32_t marks;
	uint32_t peer;	   /* index in the peer table */
	uint32_t peer_gen; /* that peer's generation */
	uint16_t cluster;
	uint16_t lanes_tx;  /* granted to us, lane 0 included */
	uint16_t lanes_rx;  /* granted to the peer */
	uint16_t frame_max; /* largest inner frame that both sides take */
	uint16_t features;  /* what the peer sends and takes: OMNI_FEATURE_* */
	uint8_t cipher;	    /* enum omni_cipher */
	uint8_t dialect;    /* enum omni_dialect; from a Nucleus only kind control is accepted */
	struct omni_aead_key *tx_key, *rx_key;
	struct omni_lane_rx *rx; /* lanes_rx of them */
	/* Control's. */
	bool initiator;	     /* we began this handshake */
	uint64_t created_ns; /* omni_clock_boot_ns() */
	struct omni_rcu_node rcu;
	struct omni_lane_tx tx[]; /* lanes_tx of them */
} __attribute__((aligned(OMNI_CACHE_LINE)));

static_assert(offsetof(struct omni_keypair, initiator) == OMNI_CACHE_LINE, "one line for workers");

/* Of a WireGuard session, whose one lane uses it instead of its own. Worker: the lane's owner. */
static inline struct omni_replay_wide *omni_keypair_window(const struct omni_keypair *kp)
{
	return (struct omni_replay_wide *)(void *)(kp->rx + 1);
}

/*
 * What omni_keypair_create needs. WireGuard: one lane each way, ChaCha20-Poly1305, ids of 32 bits.
 * Keys are copied into schedules; the caller wipes its own. */
struct omni_keypair_conf {
	uint64_t local_id, remote_id, created_ns;
	uint32_t peer, peer_gen;
	uint16_t cluster, lanes_tx, lanes_rx, frame_max, features;
	uint8_t cipher;
	uint8_t dialect; /* enum omni_dialect; 0: Omni */
	bool initiator, confirmed;
	const struct omni_key *rx_key, *tx_key;
};

/* Control. NULL with rte_errno: ENOMEM, ENOTSUP (cipher not available on this CPU), EINVAL. */
struct omni_keypair *omni_keypair_create(struct omni_aead *aead,
					 const struct omni_keypair_conf *conf);

/* Wipes the keys. No worker may see it any more: defer it by omni_rcu_defer. NULL is fine. */
void omni_keypair_free(void *keypair);

/*
 * Start fetching the keypair; then, once it is there, what a message of len bytes on that lane
 * needs of it. For bursts with many of them. Worker.
 */
static inline void omni_keypair_fetch(const struct omni_keypair *kp)
{
	__builtin_prefetch(kp, 0, 2);
}

void omni_keypair_fetch_tx(const struct omni_keypair *kp, uint16_t lane, uint32_t len);
void omni_keypair_fetch_rx(const struct omni_keypair *kp, uint16_t lane, uint32_t len);

static inline uint32_t omni_keypair_marks(const struct omni_keypair *kp)
{
	return atomic_load_explicit(&kp->marks, memory_order_relaxed);
}

/* Sums over lanes, for timers and output. Bytes of WireGuard are whole messages. Control. */
struct omni_keypair_use {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, tx_blocks, tx_messages;
	uint64_t rx_last_tsc, tx_last_tsc; /* newest payload of all lanes; 0: never */
	uint64_t rx_any_tsc, tx_any_tsc;   /* newest datagram of all lanes; 0: never */
};

void omni_keypair_use(const struct omni_keypair *kp, struct omni_keypair_use *use);

/* ---- Receive index: session id to keypair, one table for the whole process ---- */

struct omni_sessions {
	uint32_t size;			      /* slots; at most OMNI_SESSION_INDEX_MAX + 1 */
	_Atomic(struct omni_keypair *) *slot; /* control writes, workers read */
	struct omni_session_ids *ids;	      /* control only: free list and resting ids */
};

/* Control. size slots; NULL with rte_errno. */
struct omni_sessions *omni_sessions_create(uint32_t size);
void omni_sessions_free(struct omni_sessions *s);

/*
 * Reserve an id (top bit one, free index, 40 fresh random bits). The index that was released
 * longest ago is taken first, and always comes back with other random bits: with 40 of them an
 * id does not come again within OMNI_SESSION_ID_REST_S. 0 when all are taken. Control.
 */
uint64_t omni_sessions_reserve(struct omni_sessions *s);

/*
 * The same for WireGuard: an index of 32 bits, the place in the table and 9 random bits. 0 when all
 * are taken. It is published and released as any id. Control.
 */
uint32_t omni_sessions_reserve_wg(struct omni_sessions *s);

/* Let workers find kp under kp->local_id, which was reserved. Control. */
void omni_sessions_publish(struct omni_sessions *s, struct omni_keypair *kp);

/* Unpublish the id (if it was published) and give its index back. Control. */
void omni_sessions_release(struct omni_sessions *s, uint64_t id);

#define OMNI_WG_INDEX_RANDOM_BITS (32 - OMNI_SESSION_INDEX_BITS)

static inline uint32_t omni_session_index(uint64_t id)
{
	return (uint32_t)(id >> 40) & OMNI_SESSION_INDEX_MAX;
}

/* Whatever keypair stands where one of that WireGuard index would; NULL. Worker. */
static inline struct omni_keypair *omni_sessions_at_wg(const struct omni_sessions *s, uint32_t id)
{
	uint32_t index = id >> OMNI_WG_INDEX_RANDOM_BITS;

	return index < s->size ? atomic_load_explicit(&s->slot[index], memory_order_acquire) : NULL;
}

/* The keypair of a WireGuard index, or NULL. Valid until the end of the turn. Worker or control. */
static inline struct omni_keypair *omni_sessions_lookup_wg(const struct omni_sessions *s,
							   uint32_t id)
{
	struct omni_keypair *kp = omni_sessions_at_wg(s, id);

	return kp != NULL && kp->local_id == id ? kp : NULL;
}

/* Whatever keypair stands where one of that id would; NULL. Worker. */
static inline struct omni_keypair *omni_sessions_at(const struct omni_sessions *s, uint64_t id)
{
	uint32_t index = omni_session_index(id);

	return index < s->size ? atomic_load_explicit(&s->slot[index], memory_order_acquire) : NULL;
}

/* The keypair of an id, or NULL. Valid until the end of the turn. Worker or control. */
static inline struct omni_keypair *omni_sessions_lookup(const struct omni_sessions *s, uint64_t id)
{
	struct omni_keypair *kp = omni_sessions_at(s, id);

	return kp != NULL && kp->local_id == id ? kp : NULL;
}

/* ---- Peers ---- */

enum omni_checksum {
	OMNI_CHECKSUM_NONE, /* nobody, or the kernel that sends */
	OMNI_CHECKSUM_OURS, /* whoever finishes the datagram */
	OMNI_CHECKSUM_PORT, /* the port's device; control still makes it itself */
};

/*
 * How to reach a peer: immutable; control replaces the whole object. What is read to send over
 * IPv4, and to see that a datagram comes from there, stands in the first cache line.
 */
struct omni_path {
	uint16_t port;	  /* index of the uplink in the port table */
	uint16_t mtu;	  /* largest IP datagram */
	uint16_t tcp_mtu; /* for TCP connections that begin now; 0: mtu. See ctl's path.c */
	uint8_t hdr_len;  /* of hdr: 42 (IPv4) or 62 (IPv6) */
	bool v6;
	uint32_t ip_sum;  /* IPv4: sum of the header's constant 16-bit words, host order */
	uint16_t udp_sum; /* of the pseudo header without the length, as omni_sum has it */
	uint8_t checksum; /* who makes the outer UDP checksum: enum omni_checksum */
	bool lane_ports;  /* struct omni_lane_ports stands behind it: of a published path alone */
	/* Ethernet, IP and UDP with lengths, id and checksums zero (IPv4: checksum seed above) */
	uint8_t hdr[OMNI_OUTER_HDR_MAX];
	struct omni_endpoint remote;
	struct omni_rcu_node rcu;
};

/* Lanes that do not use the main UDP ports. */
struct omni_lane_ports {
	uint64_t own; /* bits of the lanes that leave from their worker's own port */
	uint16_t far[OMNI_LANES_MAX]; /* of remote's address, where the lane comes from; 0: main */
};

/*
 * A copy of path at the start of a cache line, to be published, with the ports (NULL: none); NULL:
 * no memory. Control.
 */
struct omni_path *omni_path_copy(const struct omni_path *path, const struct omni_lane_ports *ports);

/* Of a published path; NULL: none. Valid as long as the path. Worker or control. */
static inline const struct omni_lane_ports *omni_path_lane_ports(const struct omni_path *path)
{
	return path->lane_ports ? (const struct omni_lane_ports *)(const void *)(path + 1) : NULL;
}

/* Send from another UDP port of ours. Control. */
void omni_path_set_source(struct omni_path *path, uint16_t port);

/* The address that path sends from. Control. */
void omni_path_local(const struct omni_path *path, struct omni_endpoint *local);

/* Start fetching what sending, or a look at the remote address, reads. Worker. */
static inline void omni_path_fetch(const struct omni_path *path)
{
	__builtin_prefetch(path, 0, 2);
}

/* Fill hdr, hdr_len, v6, both sums and checksum (ours on IPv6) from addresses and MACs. Control. */
void omni_path_build(struct omni_path *path, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		     const struct omni_endpoint *local, const struct omni_endpoint *remote);

/*
 * Write the outer header in front of a UDP payload of payload_len bytes: copies hdr and patches
 * lengths, id and the IPv4 header checksum; the UDP checksum stays zero. at: start of
 * path->hdr_len bytes directly before the payload. Worker or control.
 */
void omni_path_write(const struct omni_path *path, uint8_t *at, uint16_t payload_len,
		     uint16_t ip_id);

/*
 * Compute the UDP checksum (RFC 8200 section 8.1) of a datagram whose header omni_path_write
 * wrote at `at` and whose payload is final. Call it once, unless path->checksum says none.
 */
void omni_path_checksum(const struct omni_path *path, uint8_t *at, uint16_t payload_len);

/*
 * Have the port's device compute it instead: m begins with the header that omni_path_write wrote
 * and gets the sum of the pseudo header, and what the device has to know.
 */
void omni_path_ask_checksum(const struct omni_path *path, struct rte_mbuf *m);

/*
 * A peer as the data path knows it, at its place in the table. Control owns it; workers read it.
 * One that was removed leaves its place to another only after the workers' turns, so that what a
 * worker reads behind a generation is of that peer, or nothing.
 */
struct omni_peer {
	_Atomic uint32_t generation; /* 0: nobody is here */
	uint32_t index;
	uint32_t last;	  /* control only: generation of the last one here */
	uint16_t cluster; /* OMNI_NO_CLUSTER for a Nucleus */
	bool taken;	  /* control only: by a peer, or by one that was removed a moment ago */
	_Atomic uint8_t marks;		   /* OMNI_PEER_* */
	_Atomic(struct omni_path *) path;  /* NULL: no address known */
	_Atomic(struct omni_keypair *) tx; /* key to send with; NULL: none */
};

static_assert(OMNI_CACHE_LINE % sizeof(struct omni_peer) == 0, "none in two cache lines");

/* It has no address until it calls: nobody waits for one. Control. */
#define OMNI_PEER_UNREACHABLE 1U
/*
 * It was heard from elsewhere, or with a new key, and control has not acted yet: what goes to it
 * waits. Set by workers, cleared by control, or by the worker after a while.
 */
#define OMNI_PEER_MOVES 2U

#define OMNI_NO_CLUSTER UINT16_MAX

struct omni_peers {
	uint32_t size;
	uint32_t next;		/* control only: where to look for a free place */
	_Atomic uint32_t count; /* of those that are there; control writes, workers read */
	struct omni_peer *at;
	struct omni_rcu_node *rcu; /* control only: of the removed, by place */
};

/* Control. NULL with rte_errno. */
struct omni_peers *omni_peers_create(uint32_t size);
void omni_peers_free(struct omni_peers *peers);

/*
 * Control. A new published peer without path or key; NULL (rte_errno ENOSPC: all places are taken,
 * maybe by some that were just removed).
 */
struct omni_peer *omni_peers_add(struct omni_peers *peers, uint16_t cluster);

/*
 * Unpublish; after the workers' turns, free the path and the place. Keypairs are the caller's; rcu
 * is freed before peers.
 */
void omni_peers_remove(struct omni_peers *peers, struct omni_peer *peer, struct omni_rcu *rcu);

/* Publish path (of omni_path_copy, takes ownership; NULL: none) and free the old one after the
 * workers' turns. */
void omni_peer_set_path(struct omni_peer *peer, struct omni_path *path, struct omni_rcu *rcu);

static inline void omni_peer_set_tx(struct omni_peer *peer, struct omni_keypair *kp)
{
	atomic_store_explicit(&peer->tx, kp, memory_order_release);
}

/* Any thread. */
static inline void omni_peer_mark(struct omni_peer *peer, unsigned int marks)
{
	atomic_fetch_or_explicit(&peer->marks, (uint8_t)marks, memory_order_release);
}

static inline void omni_peer_unmark(struct omni_peer *peer, unsigned int marks)
{
	atomic_fetch_and_explicit(&peer->marks, (uint8_t)~marks, memory_order_release);
}

/* Any thread. Before path and tx are read: they are at least as new as an unmarking. */
static inline unsigned int omni_peer_marks(const struct omni_peer *peer)
{
	return atomic_load_explicit(&peer->marks, memory_order_acquire);
}

/* Worker or control. NULL where no such peer is (any more). Valid until the end of the turn. */
static inline struct omni_peer *omni_peers_get(const struct omni_peers *peers, uint32_t index)
{
	struct omni_peer *peer = &peers->at[index];

	if (index >= peers->size ||
	    atomic_load_explicit(&peer->generation, memory_order_acquire) == 0)
		return NULL;
	return peer;
}

/* The peer that index and generation name; else as above. */
static inline struct omni_peer *omni_peers_find(const struct omni_peers *peers, uint32_t index,
						uint32_t generation)
{
	struct omni_peer *peer = omni_peers_get(peers, index);

	return peer != NULL && peer->generation == generation ? peer : NULL;
}

/*
 * Start fetching the peer; returns its place, where path and tx are NULL if nobody is there. For
 * bursts to many of them. Worker.
 */
static inline const struct omni_peer *omni_peers_fetch(const struct omni_peers *peers,
						       uint32_t index)
{
	const struct omni_peer *place = &peers->at[index < peers->size ? index : 0];

	__builtin_prefetch(place, 0, 2);
	return place;
}

/* ---- What control seals ---- */

/*
 * Build one whole datagram in m (empty, headroom at least OMNI_OUTER_HDR_MAX +
 * OMNI_DATA_HDR_LEN): outer header of path, data header on lane 0 with the next sequence,
 * payload sealed, tag. WireGuard knows no kinds: without payload it is a keepalive, else a packet,
 * and is padded. 0; -EKEYREJECTED when the key may not seal; -EMSGSIZE when m is too small.
 * Control only.
 */
int omni_keypair_seal_control(struct omni_keypair *kp, struct omni_aead *aead,
			      const struct omni_path *path, uint8_t kind, const void *payload,
			      size_t len, struct rte_mbuf *m) OMNI_MUST_CHECK;

#endif
