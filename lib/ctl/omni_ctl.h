/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Ganglion, the control plane: peers, handshakes, timers, paths, the Nucleus's client and
 * management, on the event loop of the main lcore. It is the one writer of every table that it
 * is given; it meets the workers in those tables, in their rings and in their counters only.
 *
 *	omni_ctl_create -> omni_ctl_start -> uv_run -> omni_ctl_stop -> uv_run until done_cb
 *	-> omni_ctl_free
 */
#ifndef OMNI_CTL_H
#define OMNI_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <omni_base.h>
#include <omni_config.h>
#include <omni_fdb.h>
#include <omni_fib.h>
#include <omni_identity.h>
#include <omni_port.h>
#include <omni_rcu.h>
#include <omni_session.h>
#include <omni_stats.h>
#include <omni_xring.h>

struct omni_ctl;

/* Where control reads the time and the way to an address; NULL members: the system's. */
struct omni_ctl_world {
	uint64_t (*boot_ns)(void *arg); /* CLOCK_BOOTTIME */
	uint64_t (*real_ns)(void *arg); /* CLOCK_REALTIME */
	/*
	 * Fill path towards remote, mtu with that of the first link: 0, -EAGAIN (asked for, not
	 * known yet), -ENETUNREACH. Takes the place of routes and neighbours.
	 */
	int (*resolve)(void *arg, const struct omni_endpoint *remote, struct omni_path *path);
	void *arg;
};

/* Everything is borrowed and outlives the control plane. */
struct omni_ctl_conf {
	uv_loop_t *loop; /* NULL: nothing runs by itself (tests call what the loop would) */
	const struct omni_config *config;
	const struct omni_identity *identity;
	struct omni_port_table *ports; /* open and published, by the names of config */
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_fib *fib;
	struct omni_rcu *rcu;
	struct omni_aead *aead;		  /* control's own */
	struct rte_mempool *pool;	  /* control's own: holds datagrams of the uplink's MTU */
	struct omni_xring *const *xrings; /* n_workers; [0] owns the uplink's first queue */
	struct omni_stats *const *worker_stats; /* n_workers */
	unsigned int n_workers;
	const uint16_t
		*lane_ports; /* n_workers: UDP port of each one's lane; NULL: they have none */
	int bell;	     /* eventfd that every xring names as to_control */
	const char *version; /* of the program, for `version` and `status` */
	struct omni_ctl_world world;
};

/*
 * Derive the clusters' keys (about 100 ms each), make the configured peers, attach ports to
 * bridges. Nothing is sent yet. NULL with a sentence in err and rte_errno.
 */
struct omni_ctl *omni_ctl_create(const struct omni_ctl_conf *conf, struct omni_err *err);

/*
 * Begin: timers, the workers' bell, netlink, names, the Nucleus's client, management; peers with
 * an address are called at once. 0, or -errno with a sentence in err (then the loop runs out and
 * only omni_ctl_free is left).
 */
int omni_ctl_start(struct omni_ctl *ctl, struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Say BYE and CLOSE, wait until the workers have sent it (at most OMNI_CTL_DRAIN_MS), close
 * every handle on the loop, then call done_cb from the loop (or at once without one). Workers
 * must still be running. Once.
 */
#define OMNI_CTL_DRAIN_MS 300
void omni_ctl_stop(struct omni_ctl *ctl, void (*done_cb)(void *arg), void *arg);

/* Wipe and free; every table is left without peers and sessions. No worker may be running. */
void omni_ctl_free(struct omni_ctl *ctl);

/* Control's own counters. Control. */
struct omni_stats *omni_ctl_stats(struct omni_ctl *ctl);

#endif
