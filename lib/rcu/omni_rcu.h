/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Read-copy-update between control (the one writer of every table) and the workers (readers):
 * a thin wrapper over rte_rcu_qsbr with a queue of what waits to be freed.
 */
#ifndef OMNI_RCU_H
#define OMNI_RCU_H

#include <sys/queue.h>

#include <rte_rcu_qsbr.h>

struct omni_rcu;

/* NULL with rte_errno set when memory is short. workers: highest worker number plus one. */
struct omni_rcu *omni_rcu_create(unsigned int workers);

/* Runs everything still waiting. No worker may be running. NULL is fine. Control. */
void omni_rcu_free(struct omni_rcu *rcu);

/* The variable itself, for tables that wait for readers on their own. */
struct rte_rcu_qsbr *omni_rcu_qsbr(struct omni_rcu *rcu);

/* A worker announces itself before its first turn, and takes leave after its last. Worker. */
void omni_rcu_join(struct omni_rcu *rcu, unsigned int worker);
void omni_rcu_leave(struct omni_rcu *rcu, unsigned int worker);

/* Part of whatever is deferred, so that deferring it needs no memory. Zeroed at first. */
struct omni_rcu_node {
	STAILQ_ENTRY(omni_rcu_node) next;
	uint64_t token;
	void (*fn)(void *arg);
	void *arg;
};

/*
 * Call fn(arg) once every worker that may hold a pointer has finished its turn. The caller has
 * unpublished arg before; node is its own until then. Never blocks, never fails. Control.
 */
void omni_rcu_defer(struct omni_rcu *rcu, struct omni_rcu_node *node, void (*fn)(void *arg),
		    void *arg);

/* Run what is ripe; returns how many are still waiting. Control, from a timer. */
unsigned int omni_rcu_poll(struct omni_rcu *rcu);

#endif
