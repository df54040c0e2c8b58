/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Everything one gateway process owns, and the ladders that build it up and take it down. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <uv.h>

#include <omni_config.h>
#include <omni_ctl.h>
#include <omni_eal.h>
#include <omni_identity.h>
#include <omni_port.h>

#include "worker.h"

#define GATEWAY_SIGNALS 3 /* SIGTERM, SIGINT, SIGHUP */

/*
 * All fields belong to control. Workers see the tables through their omni_worker_conf; what they
 * may write there, docs/architecture.md lists.
 */
struct gateway {
	struct omni_config *config;
	struct omni_identity identity;
	struct omni_eal_args eal;
	bool eal_started;
	struct rte_mempool *uplink_pool, *local_pool, *control_pool;
	struct omni_port_table ports;
	struct omni_port *port_of[OMNI_CONFIG_PORTS_MAX]; /* by index in config->ports */
	struct omni_rcu *rcu;
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_fdb *fdb;
	struct omni_fib *fib;
	struct omni_aead *aead; /* control's own */
	struct omni_stats ctl_stats;
	int bell;  /* eventfd: a worker put something on a ring */
	int guard; /* kernel's socket on our UDP port */
	/* Source port of each worker's lane; lane_ports: there are some. Kernel's sockets there. */
	bool lane_ports;
	uint16_t lane_port[OMNI_NODE_WORKERS_MAX];
	int lane_guard[OMNI_NODE_WORKERS_MAX];
	unsigned int n_workers; /* before EAL runs: as its options say */
	struct worker worker[OMNI_NODE_WORKERS_MAX];
	struct omni_xring *xrings[OMNI_NODE_WORKERS_MAX]; /* the workers', by id */
	uv_loop_t *loop;
	uv_signal_t signals[GATEWAY_SIGNALS]; /* each stops it */
	struct omni_ctl *ctl;
	bool stopping;
};

/*
 * Run a gateway until SIGTERM or SIGINT. eal_argv: program name and EAL's options as the user
 * gave them. Takes ownership of config. Returns the exit status; errors are logged. lingers: a
 * thread is still looking up a name, and exit() would wait for it.
 */
int gateway_run(struct omni_config *config, int eal_argc, char **eal_argv, bool *lingers);

/* ports.c: check all configured ports without opening one. 0 or -errno, sentence in err. */
int gateway_ports_check(const struct gateway *gw, struct omni_err *err) OMNI_MUST_CHECK;

/* ports.c: make the pools, open and publish all ports, give TAPs their addresses. */
int gateway_ports_open(struct gateway *gw, struct omni_err *err) OMNI_MUST_CHECK;

/* ports.c: the ports that are ours, the main one first; returns how many. */
unsigned int gateway_udp_ports(const struct gateway *gw, uint16_t out[OMNI_PORT_UDP_PORTS_MAX]);

/* ports.c: no worker runs any more. */
void gateway_ports_close(struct gateway *gw);

/* ports.c: every mbuf is back. */
void gateway_pools_free(struct gateway *gw);

/* ports.c: megabytes that pools of the configured ports need. */
unsigned int gateway_pools_mb(const struct gateway *gw);

/* workers.c: make a worker for each worker lcore; nothing of it runs yet. */
int gateway_workers_create(struct gateway *gw, struct omni_err *err) OMNI_MUST_CHECK;

/* workers.c: start all of them. */
int gateway_workers_launch(struct gateway *gw, struct omni_err *err) OMNI_MUST_CHECK;

/* workers.c: until all have left their last turn. */
void gateway_workers_join(struct gateway *gw);
void gateway_workers_free(struct gateway *gw);

/*
 * workers.c: OMNI_CPU_MASK=aes,avx512,avx2,own: act as without them. NULL and errno, which is
 * EINVAL where it says anything else.
 */
struct omni_aead *gateway_aead_create(void);

/* eal.c: build EAL's arguments and start it; checks the number of lcores. */
int gateway_eal_start(struct gateway *gw, int argc, char **argv,
		      struct omni_err *err) OMNI_MUST_CHECK;
void gateway_eal_stop(struct gateway *gw);

#endif
