/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Between one worker and control: events that carry ids and generations, packets for control,
 * packets from control; and between workers: an inbox. Full rings drop and count; nobody waits.
 */
#ifndef OMNI_XRING_H
#define OMNI_XRING_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <omni_addr.h>
#include <omni_base.h>

/* ---- Per-frame facts, in the mbuf ---- */

struct omni_keypair;

/*
 * Travels at OMNI_META_OFFSET of every mbuf in the pipeline. `kp` is valid for the turn only.
 */
struct omni_meta {
	union {
		uint64_t sequence;  /* decap */
		const uint8_t *src; /* encap: the frame to seal, elsewhere; NULL: the mbuf's own */
	};
	struct omni_keypair *kp;
	uint32_t peer;	  /* where it came from (decap) or goes to (encap): index */
	uint16_t port;	  /* where it came in, or goes out: port index */
	uint16_t cluster; /* bridge domain */
	uint16_t lane;
	uint16_t payload_off; /* from the mbuf's data to the UDP payload, or to the plain text */
	union {
		uint16_t payload_len; /* decap */
		uint16_t tos;	      /* encap: of the segment of which this is a piece */
	};
	uint8_t kind;  /* enum omni_kind */
	uint8_t flags; /* OMNI_META_* */
};

#define OMNI_META_FROM_PEER 0x01 /* split horizon: came from a peer */
#define OMNI_META_V6 0x02	 /* the outer header is IPv6 */
#define OMNI_META_CUT 0x04	 /* longer than the path's datagrams: goes in fragments */
#define OMNI_META_HANDED 0x08	 /* in an inbox: a datagram to open; without: a finished frame */
#define OMNI_META_WG 0x10	 /* a datagram in WireGuard's dialect */
#define OMNI_META_L3 0x20	 /* an IP packet of an L3 cluster */
#define OMNI_META_HOST 0x02	 /* L3, from a local port: its host's own link, which is no hop */
#define OMNI_META_ECN_SHIFT 6	 /* decap: two bits, the outer header's ECN field */
#define OMNI_META_OFFSET 96	 /* the last 32 bytes of struct rte_mbuf's dynamic field area */

static_assert(sizeof(struct omni_meta) == 32, "the mbuf's dynamic field area has 36 bytes");
static_assert(offsetof(struct rte_mbuf, dynfield1) <= OMNI_META_OFFSET &&
		      OMNI_META_OFFSET + sizeof(struct omni_meta) <= sizeof(struct rte_mbuf),
	      "meta lies in the dynamic field area");

static inline struct omni_meta *omni_meta(struct rte_mbuf *m)
{
	return (struct omni_meta *)((uint8_t *)m + OMNI_META_OFFSET);
}

/* Reserve the field with DPDK. Once, after rte_eal_init. 0 or -errno. */
int omni_meta_register(void);

/* ---- Events, worker to control ---- */

enum omni_event_type {
	OMNI_EVENT_CONFIRM,	   /* first authenticated data on a key marked UNCONFIRMED */
	OMNI_EVENT_LEARN,	   /* unknown source MAC */
	OMNI_EVENT_MOVE,	   /* known source MAC came from elsewhere */
	OMNI_EVENT_ROAM,	   /* authenticated datagram from another address than the path's */
	OMNI_EVENT_WANT_KEY,	   /* a frame had no key to leave with */
	OMNI_EVENT_BROKEN,	   /* a piece of a whole segment is missing */
	OMNI_EVENT_WORN,	   /* a key has reached OMNI_GCM_BLOCKS_REKEY or _STOP */
	OMNI_EVENT_WANT_ROUTE,	   /* L3: a packet waits for the member with the address `from` */
	OMNI_EVENT_WANT_NEIGHBOUR, /* the same, for a host on the port `dest` */
};

struct omni_event {
	uint8_t type;
	uint8_t lane;
	uint16_t cluster;
	uint32_t peer, peer_gen; /* all but LEARN and MOVE */
	uint32_t datagram_len;	 /* ROAM: UDP payload length of the datagram seen */
	uint64_t session_id;	 /* CONFIRM, ROAM, WORN: our local id */
	union {
		struct {
			uint64_t mac;  /* LEARN, MOVE: low 48 bits, as in omni_fdb_key */
			uint64_t dest; /* LEARN, MOVE: where it was seen; WANT_ROUTE, _NEIGHBOUR:
					  the route's */
		};
		struct omni_ip to; /* CONFIRM, ROAM: our address that it was sent to */
	};
	struct omni_endpoint from; /* ROAM: address it came from; WANT_ROUTE, WANT_NEIGHBOUR */
	uint8_t zero[6];
};

static_assert(sizeof(struct omni_event) == 64, "a cache line, and a multiple of 4");

/* ---- The rings of one worker ---- */

#define OMNI_EVENTS_SIZE 1024
#define OMNI_PUNT_SIZE 512
#define OMNI_CTL_TX_SIZE 512
/* Punted handshakes that may wait at most; they come from anybody. */
#define OMNI_PUNT_HANDSHAKE_SIZE 4096
#define OMNI_PUNT_LINK_SIZE 256
#define OMNI_INBOX_SIZE 2048

struct omni_xring {
	struct rte_ring *events;    /* struct omni_event; worker produces */
	struct rte_ring *handshake; /* mbufs nobody vouched for; worker produces */
	struct rte_ring *control;   /* mbufs with decrypted control messages; worker produces */
	struct rte_ring *link;	/* mbufs of L3 ports: ARP, neighbour discovery; worker produces */
	struct rte_ring *tx;	/* finished frames, meta->port set; control produces */
	struct rte_ring *inbox; /* mbufs of other workers, which produce */
	int to_control;		/* eventfd that control polls; shared by all workers */
	int to_worker;		/* eventfd in the sleeping worker's set */
	_Atomic bool worker_sleeps; /* the worker sets and clears it, who rings clears it */
	bool ring_bell;		    /* worker: something was put for control in this turn */
};

/* name: unique, short. to_control: eventfd owned by the caller. NULL with rte_errno. Control. */
struct omni_xring *omni_xring_create(const char *name, int to_control);
/* The same with its rings in the memory of a NUMA node; SOCKET_ID_ANY: in any. */
struct omni_xring *omni_xring_create_on(const char *name, int to_control, int socket);
/* Frees every mbuf still on a ring. No worker may be running. NULL is fine. */
void omni_xring_free(struct omni_xring *x);

/* Worker. False (and nothing changed) where the ring is full. */
static inline bool omni_xring_event(struct omni_xring *x, const struct omni_event *ev)
{
	x->ring_bell = true;
	return rte_ring_sp_enqueue_elem(x->events, (void *)(uintptr_t)ev, sizeof(*ev)) == 0;
}

static inline bool omni_xring_punt(struct omni_xring *x, struct rte_ring *r, struct rte_mbuf *m)
{
	x->ring_bell = true;
	return rte_ring_sp_enqueue(r, m) == 0;
}

/* Worker, at the end of a turn: wake control if something was put. */
void omni_xring_bell(struct omni_xring *x);

/*
 * Hand mbufs to the worker of x; they stay in order. Returns how many its inbox took; the others
 * still belong to the caller. omni_xring_wake must follow. Another worker.
 */
static inline unsigned int omni_xring_hand(struct omni_xring *x, struct rte_mbuf **m,
					   unsigned int n)
{
	return rte_ring_mp_rts_enqueue_burst(x->inbox, (void *const *)m, n, NULL);
}

/* Ring the worker of x if it sleeps, after something was put on one of its rings. Anybody. */
void omni_xring_wake(struct omni_xring *x);

/*
 * The worker is about to sleep on to_worker: false where something waits on its rings already, and
 * it must not. In both cases omni_xring_awake ends it. Worker.
 */
static inline bool omni_xring_may_sleep(struct omni_xring *x)
{
	atomic_store_explicit(&x->worker_sleeps, true, memory_order_relaxed);
	/* Pairs with the fence in omni_xring_wake: we see the mbuf, or who put it sees us. */
	atomic_thread_fence(memory_order_seq_cst);
	return rte_ring_empty(x->tx) && rte_ring_empty(x->inbox);
}

static inline void omni_xring_awake(struct omni_xring *x)
{
	atomic_store_explicit(&x->worker_sleeps, false, memory_order_relaxed);
}

/* Control: take up to n. */
static inline unsigned int omni_xring_take_events(struct omni_xring *x, struct omni_event *ev,
						  unsigned int n)
{
	return rte_ring_sc_dequeue_burst_elem(x->events, ev, sizeof(*ev), n, NULL);
}

static inline unsigned int omni_xring_take(struct rte_ring *r, struct rte_mbuf **m, unsigned int n)
{
	return rte_ring_sc_dequeue_burst(r, (void **)m, n, NULL);
}

/*
 * Control: hand a finished frame (meta->port set) to the worker and wake it if it sleeps.
 * 0, or -ENOBUFS when the ring is full; then m still belongs to the caller.
 */
int omni_xring_send(struct omni_xring *x, struct rte_mbuf *m) OMNI_MUST_CHECK;

/*
 * Addresses of a punted datagram from its outer headers (mbuf data begins at the Ethernet
 * header). The headers were checked by classify. Control.
 */
void omni_punt_addresses(const struct rte_mbuf *m, struct omni_endpoint *from,
			 struct omni_endpoint *to);

#endif
