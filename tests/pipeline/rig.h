/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A few gateways in one process: for each its tables and one worker or several, which take their
 * turns one after the other; an uplink and local ports that are rings. The rig is the underlay (it
 * carries datagrams by their outer address) and control (it learns what workers report); keys are
 * made here, without handshakes.
 */
#ifndef OMNI_TESTS_RIG_H
#define OMNI_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <omni_cursor.h>
#include <omni_drivers.h>
#include <omni_node.h>

#define SITES 4
#define LOCALS 3
#define WORKERS 7
#define EVENTS 4096
#define DOMAIN 5
#define UDP_PORT 51820
#define LANE_PORT 40000 /* of worker 0; the others count on from it */
#define FRAME_MAX 9000
#define POOL_SIZE 16383
#define ALL_FEATURES (OMNI_FEATURE_FRAGMENTS | OMNI_FEATURE_BUNDLES)

struct site {
	unsigned int number;
	struct omni_port_table ports;
	struct omni_port *uplink, *local[LOCALS];
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_fib *fib;
	struct omni_rcu *rcu;
	struct omni_aead *control_aead;
	unsigned int workers;
	struct omni_xring *xrings[WORKERS], *xring; /* xring, worker: of the first one */
	struct omni_worker *worker_of[WORKERS], *worker;
	struct omni_stats stats[WORKERS];
	struct omni_aead *aead[WORKERS];
	struct omni_endpoint address;
	struct omni_peer *peer[SITES]; /* by the other site's number */
	struct omni_keypair *key[SITES];
	struct omni_key secret[SITES];	 /* what it seals with */
	struct omni_event event[EVENTS]; /* all since the last rig_forget_events */
	unsigned int n_events;
	int bell;
};

struct rig {
	struct rte_mempool *pool;
	unsigned int n, free_before;
	struct site site[SITES];
	bool no_control; /* events are recorded, and nothing is learned from them */
	bool unplugged;	 /* datagrams stay in the uplinks' rings */
};

/* What the two ends of a connection agree on. Zero: cipher AES-GCM, MTU 1500, 2 lanes. */
struct link {
	uint8_t cipher;
	uint16_t mtu, lanes, features;
	uint16_t frame_max;
	bool v6;
	uint8_t checksum; /* enum omni_checksum; 0: as omni_path_build has it */
	bool unconfirmed; /* at b */
	uint8_t dialect;  /* enum omni_dialect; WireGuard: the cipher and one lane are its own */
};

/* cmocka group fixtures: EAL and the pool. */
int rig_group_setup(void **state);
int rig_group_teardown(void **state);

/* cmocka fixtures: *state is a rig of SITES unconnected sites; at the end no mbuf is missing. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Let the site have n workers from here on, and the port queues for so many of them. */
void rig_set_workers(struct rig *r, unsigned int site, unsigned int n);
void rig_set_queues(struct omni_port *port, uint16_t queues, uint16_t first_worker);

/* Keys and paths between two sites, and each in the other's flood list. */
void rig_connect(struct rig *r, unsigned int a, unsigned int b, const struct link *link);

/* Another path from one to the other, which are connected: mtu, v6 and checksum of link. */
void rig_set_path(struct rig *r, unsigned int from, unsigned int to, const struct link *link);

/* New keys between them; the old ones (a's, b's) still open until they are retired. */
void rig_rekey(struct rig *r, unsigned int a, unsigned int b, const struct link *link,
	       struct omni_keypair *old[2]);
void rig_retire(struct rig *r, unsigned int site, struct omni_keypair *old);

/* Turns of all workers, carrying datagrams and learning, until nothing moves. */
void rig_run(struct rig *r);
/* One turn of one worker, and its events; nothing is carried. */
void rig_turn(struct rig *r, unsigned int site);
void rig_turn_of(struct rig *r, unsigned int site, unsigned int worker);

/* The sum of a counter over one site, of one of its workers, and all drops of a site. */
uint64_t rig_count(const struct rig *r, unsigned int site, enum omni_stat which);
uint64_t rig_count_of(const struct rig *r, unsigned int site, unsigned int worker,
		      enum omni_stat which);
uint64_t rig_drops(const struct rig *r, unsigned int site);
void rig_print(const struct rig *r, unsigned int site);
unsigned int rig_events(const struct rig *r, unsigned int site, enum omni_event_type type);
void rig_forget_events(struct rig *r);

/* MAC address of host h. */
void rig_mac(uint8_t mac[6], unsigned int h);

/* A frame of len bytes from host to host (0: broadcast), filled from seed. */
struct rte_mbuf *rig_frame(struct rig *r, unsigned int dst, unsigned int src, uint16_t len,
			   uint8_t seed);
void rig_assert_frame(struct rte_mbuf *m, unsigned int dst, unsigned int src, uint16_t len,
		      uint8_t seed);

/*
 * Put frames in at a local port or uplink, on its first queue or another; take one out of any
 * queue (NULL: none there) or of one.
 */
void rig_in(struct omni_port *port, struct rte_mbuf *m);
void rig_in_queue(struct omni_port *port, uint16_t queue, struct rte_mbuf *m);
struct rte_mbuf *rig_out(struct omni_port *port);
struct rte_mbuf *rig_out_queue(struct omni_port *port, uint16_t queue);
/*
 * Run, and take all that the site's uplink sends off the wire: into m, with NULL behind the last.
 * How many; they are the caller's.
 */
unsigned int rig_intercept(struct rig *r, unsigned int site, struct rte_mbuf **m);
/* Take one out, compare and free it. */
void rig_expect(struct omni_port *port, unsigned int dst, unsigned int src, uint16_t len,
		uint8_t seed);
void rig_expect_nothing(struct omni_port *port);
/* Both directions, so that all tables know both hosts. */
void rig_introduce(struct rig *r, struct omni_port *at_a, unsigned int a, struct omni_port *at_b,
		   unsigned int b);

/* A datagram with outer headers from one site's address to another's. */
struct rte_mbuf *rig_datagram(struct rig *r, unsigned int from, unsigned int to,
			      const void *payload, uint16_t len);

/*
 * A sealed datagram from one site to another with any header fields. The key is that of the
 * connection; sequence and lane are the caller's.
 */
struct forge {
	uint64_t session; /* 0: the right one */
	uint64_t sequence;
	uint16_t lane;
	uint8_t kind, flags;
	uint8_t zero18, zero22;
};
struct rte_mbuf *rig_sealed(struct rig *r, unsigned int from, unsigned int to,
			    const struct forge *f, const void *plain, uint16_t len);

#endif
