/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "moved.h"

#include "worker.h"

static void give_up(struct omni_worker *w)
{
	struct omni_peer *peer = peer_get(w, w->moved.peer, w->moved.generation);

	w->moved.until = 0;
	if (peer == NULL || (omni_peer_marks(peer) & OMNI_PEER_MOVES) == 0)
		return;
	omni_peer_unmark(peer, OMNI_PEER_MOVES);
	omni_fib_touch(w->conf.fib);
}

void omni_node_moves(struct omni_worker *w, struct omni_peer *peer, const struct omni_path *path,
		     const struct omni_keypair *kp, enum moved_cause cause)
{
	struct moved *moved = &w->moved;
	bool same = moved->peer == peer->index && moved->generation == kp->peer_gen &&
		    moved->path == path && moved->kp == kp;

	if (same && (moved->causes & cause) != 0)
		return;
	if (!same && moved->until != 0)
		give_up(w);
	*moved = (struct moved){
		.until = w->turn_tsc + w->hz / 1000 * OMNI_ROAM_WAIT_MS,
		.peer = peer->index,
		.generation = kp->peer_gen,
		.path = path,
		.kp = kp,
		.causes = cause | (same ? moved->causes : 0),
	};
	omni_peer_mark(peer, OMNI_PEER_MOVES);
}

void omni_node_moved_expire(struct omni_worker *w)
{
	if (unlikely(w->moved.until != 0 && w->turn_tsc >= w->moved.until))
		give_up(w);
}
