/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * WireGuard peers that control has to follow. An answer by the old way would call a peer that was
 * heard elsewhere back there, and under the old key it may hear nothing any more; so what goes to
 * it waits, whichever worker has it (OMNI_PEER_MOVES), until control has acted. Control may have a
 * reason to stay: nothing waits twice for the same cause, path and key.
 */
#ifndef OMNI_NODE_MOVED_H
#define OMNI_NODE_MOVED_H

#include <omni_session.h>

struct omni_worker;

/* The last one that this worker heard. */
struct moved {
	uint64_t until; /* TSC when control is waited for no longer; 0: it is not */
	uint32_t peer, generation;
	/* Only compared: both may be gone. */
	const struct omni_path *path;
	const struct omni_keypair *kp;
	unsigned int causes; /* enum moved_cause */
};

enum moved_cause {
	MOVED_KEY = 1, /* its first data on a new key came */
	MOVED_WAY = 2, /* it was heard from, or at, another address than path's */
};

void omni_node_moves(struct omni_worker *w, struct omni_peer *peer, const struct omni_path *path,
		     const struct omni_keypair *kp, enum moved_cause cause);
/* Control did not act in time: what waits goes the old way. Once a turn. */
void omni_node_moved_expire(struct omni_worker *w);

#endif
