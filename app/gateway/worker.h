/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The thread of one worker lcore: turns until it is told to stop. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include <omni_node.h>

#include "idle.h"

struct worker {
	struct omni_worker *node;
	struct idle idle;
	struct omni_aead *aead;	  /* this worker's own */
	struct omni_stats *stats; /* worker writes, control reads */
	struct omni_xring *xring;
	unsigned int lcore;
	_Atomic bool stop; /* control writes, worker reads */
	bool running;	   /* control: launched and not yet joined */
};

/* Start the worker on its lcore. 0 or -errno. Control. */
int worker_launch(struct worker *w) OMNI_MUST_CHECK;

/* Tell it to stop, and wake it. Control. */
void worker_tell_to_stop(struct worker *w);

/* Wait until it has left its last turn. Control. */
void worker_join(struct worker *w);

#endif
