/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Routes of L3 clusters, by longest prefix: where an address is, and thereby from whom packets
 * with it as their source may come (WireGuard's allowed IPs). One table for all clusters; control
 * changes it, workers look up. Beside it what workers know of an L3 cluster, and the hosts on the
 * links of its ports (adjacencies).
 */
#ifndef OMNI_FIB_H
#define OMNI_FIB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_dest.h>
#include <omni_rcu.h>

#define OMNI_FIB_CLUSTERS_MAX 256
#define OMNI_FIB_BULK 64 /* addresses in one call */

/* ---- What workers know of an L3 cluster: immutable, control replaces it ---- */

#define OMNI_FIB_DSCP_COPY 0xff

struct omni_l3 {
	struct omni_rcu_node rcu; /* control's */
	uint8_t v4[4];		  /* ours: sources of the errors that we send; zeros: none */
	uint8_t v6[16];
	/*
	 * The kernel behind a tun or tap: what peers send goes there where no route leads
	 * elsewhere, as from WireGuard's interface. OMNI_DEST_MISS: there is none.
	 */
	omni_dest host;
	bool relay;   /* packets from a peer may go to a peer */
	bool by_host; /* and do so through the kernel: what is for a peer goes to `host` too */
	bool ecn;     /* RFC 6040 between inner and outer header */
	uint8_t dscp; /* of outer headers; OMNI_FIB_DSCP_COPY: the inner one's */
	uint16_t mtu; /* largest packet between members, whatever their path carries */
};

/* ---- A host on the link of an Ethernet port ---- */

struct omni_adjacency {
	_Atomic uint32_t generation; /* 0: nobody is here */
	uint16_t port;
	uint8_t mac[6];
};

/* ---- The table ---- */

struct omni_fib;

/* limits: routes of all clusters, adjacencies. NULL with rte_errno. Control. */
struct omni_fib *omni_fib_create(uint32_t routes, uint32_t adjacencies, struct omni_rcu *rcu);
/* No worker may be running. NULL is fine. */
void omni_fib_free(struct omni_fib *fib);

/*
 * A copy of conf is what workers know of the cluster from now on; NULL: it is no L3 cluster.
 * 0, -EINVAL, -ENOMEM. Control.
 */
int omni_fib_set_cluster(struct omni_fib *fib, uint16_t cluster, const struct omni_l3 *conf);

/* NULL: not an L3 cluster. Valid until the end of the turn. Worker or control. */
const struct omni_l3 *omni_fib_cluster(const struct omni_fib *fib, uint16_t cluster);

/*
 * Packets to prefix (host bits are ignored) go to dest from now on, wherever they went before.
 * One atomic change: no lookup finds neither. 0, -ENOSPC (limit), -ENOMEM, -EINVAL. Control.
 */
int omni_fib_set(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest);

/* The same with n prefixes, or none is changed. Control. */
int omni_fib_add(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
		 const struct omni_prefix *prefix, unsigned int n);

/* Remove the route, if it is dest's (OMNI_DEST_MISS: whosever). 0, -ENOENT, -ENOMEM. Control. */
int omni_fib_del(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest);

/* Remove all routes to dest; how many. Control. */
unsigned int omni_fib_flush(struct omni_fib *fib, uint16_t cluster, omni_dest dest);

/*
 * The routes to dest become those of the n prefixes (host bits are ignored), whoever had them
 * before, or none is changed.
 * What is there and stays, is there all the time. 0, -ENOSPC (limit), -ENOMEM, -EINVAL. Control.
 */
int omni_fib_replace(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
		     const struct omni_prefix *prefix, unsigned int n);

/* Where exactly that prefix goes; OMNI_DEST_MISS. Control. */
omni_dest omni_fib_get(const struct omni_fib *fib, uint16_t cluster,
		       const struct omni_prefix *prefix);

/*
 * Longest-prefix matches of n <= OMNI_FIB_BULK addresses: dest[i] is OMNI_DEST_MISS where there is
 * none. v4: in host order. v6: 16 bytes each at v6[i]. Worker or control.
 */
void omni_fib_lookup4(const struct omni_fib *fib, uint16_t cluster, const uint32_t *v4,
		      unsigned int n, omni_dest *dest);
void omni_fib_lookup6(const struct omni_fib *fib, uint16_t cluster, const uint8_t *const *v6,
		      unsigned int n, omni_dest *dest);

struct omni_fib_entry {
	uint16_t cluster;
	struct omni_prefix prefix;
	omni_dest dest;
};

/*
 * Call fn for each route, in order of cluster, family (IPv4 first), address and length; non-zero
 * stops. fn changes nothing in the table. Control.
 */
void omni_fib_walk(const struct omni_fib *fib,
		   int (*fn)(const struct omni_fib_entry *entry, void *arg), void *arg);
uint32_t omni_fib_count(const struct omni_fib *fib);
/* Memory of the routes; of 100 000 about 10 MB, at most 200 bytes each. Control. */
size_t omni_fib_bytes(const struct omni_fib *fib);

/*
 * Changes with every change of the table or of what peers can be reached by (who changes that says
 * so by omni_fib_touch): packets that wait for a route or a key are worth another try. Any thread.
 */
uint32_t omni_fib_version(const struct omni_fib *fib);
void omni_fib_touch(struct omni_fib *fib);

/* ---- Adjacencies ---- */

/* A new one: its destination, for omni_fib_set of a host's route. OMNI_DEST_MISS: full. Control. */
omni_dest omni_fib_adjacency_add(struct omni_fib *fib, uint16_t port, const uint8_t mac[6]);
/* Free it after the workers' turns. Its route is the caller's. Control. */
void omni_fib_adjacency_del(struct omni_fib *fib, omni_dest dest);

/* NULL where it has gone. Valid until the end of the turn. Worker or control. */
const struct omni_adjacency *omni_fib_adjacency(const struct omni_fib *fib, omni_dest dest);

#endif
