/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ways to the destinations of L3 clusters, as the worker's tables have them in this turn. */
#ifndef OMNI_NODE_WAY_H
#define OMNI_NODE_WAY_H

#include "l3.h"

#define LINK_LEN 16 /* a link header in one store, from two bytes before it on */

/* The way to a destination, looked up once for the packets that follow each other to it. */
struct way {
	omni_dest dest;
	const struct omni_l3 *l3;
	uint16_t cluster;
	bool raw;      /* the port's other side is a host, and the link no hop */
	bool moves;    /* the peer does: control will say where to */
	uint32_t most; /* bytes of a packet that goes as it is */
	struct omni_peer *peer;
	struct omni_keypair *kp;      /* NULL: nothing can be sent to the peer */
	const struct omni_port *port; /* NULL: and nobody on the port is known */
	uint8_t link[2][LINK_LEN];    /* IPv4's and IPv6's */
};

/* Of one that has dest, l3 and cluster, all else. */
void omni_node_find_way(const struct omni_worker *w, struct way *way);

/*
 * May m, a whole segment, go that way as it is? What is to be said about it (too long, the last
 * hop, nobody there) is said of the packets that it stands for, so it is cut first.
 */
bool omni_node_whole_packet(const struct omni_worker *w, struct rte_mbuf *m, const struct way *way);

static inline void find_way(const struct omni_worker *w, struct way *way, omni_dest dest,
			    const struct omni_l3 *l3, uint16_t cluster)
{
	if (likely(way->dest == dest && way->cluster == cluster))
		return;
	*way = (struct way){.dest = dest, .cluster = cluster, .l3 = l3};
	omni_node_find_way(w, way);
}

#endif
