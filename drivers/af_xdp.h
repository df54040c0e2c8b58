/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The AF_XDP driver's own state. The UMEM is the region of the mbuf pool, its chunks are the
 * pool's objects: [object header][mbuf][private area][data room]. In `held` stands a one for
 * each object that the kernel has, so that every buffer comes back however a port ends.
 */
#ifndef OMNI_AF_XDP_H
#define OMNI_AF_XDP_H

#include <linux/if_link.h>
#include <net/if.h>

#include <xdp/xsk.h>

#include "drivers.h"

/* Entries of each of the four rings of a queue. */
#define XDP_RING 2048
/* Receive queues of an interface; a socket stands behind each. */
#define XDP_SOCKETS_MAX 64
/* Descriptors that the kernel's copy mode sends per call. */
#define XDP_KICK_BATCH 32

struct xdp_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_no_buffer;	 /* refills that found the pool empty */
	uint64_t tx_copied;	 /* frames copied into a UMEM buffer first */
	uint64_t tx_no_buffer;	 /* dropped: no buffer for that copy */
	uint64_t tx_bad_len;	 /* dropped: shorter than a header or over the MTU */
	uint64_t tx_kick_failed; /* the kernel refused to send (interface down or gone) */
};

struct xdp_queue {
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod fill, tx;
	struct xsk_socket *xsk;
	int fd;
	uint32_t fill_missing;	 /* buffers that the fill ring lacks */
	uint32_t tx_outstanding; /* frames that the kernel has not completed */
	struct xdp_counters count;
} __rte_cache_aligned;

struct xdp_port {
	char interface[IFNAMSIZ];
	uintptr_t base;	    /* UMEM start, page aligned */
	uint32_t chunk;	    /* bytes of an object that the kernel sees */
	uint32_t mbuf_at;   /* from object start to mbuf */
	uint32_t data_at;   /* from object start to the data room */
	uint32_t tx_max;    /* longest frame to send; control writes */
	uint32_t fill_want; /* buffers kept in a fill ring */
	int promiscuous;    /* descriptor that keeps the interface so; -1: none */
	uint16_t queues;    /* of workers: queue i has the sockets i, i + queues, i + 2 queues... */
	uint16_t sockets;   /* one for each receive queue of the interface */
	uint8_t *
		held; /* by (object - base) / chunk; each byte is written by one thread at a time */
	size_t held_len;
	size_t umem_len;
	struct rte_mempool *pool;
	struct xsk_umem *umem;
	struct xdp_filter *filter;
	struct xdp_kernel *kernel; /* worker of queue 0; NULL: no UDP ports are ours */
	struct xdp_queue q[XDP_SOCKETS_MAX];
	struct {
		int fd;		/* socket's, or an epoll descriptor over all that there is */
		uint16_t first; /* socket to look at first in the next rx; worker */
	} of_worker[OMNI_PORT_QUEUES_MAX];
};

static inline struct rte_mbuf *xdp_mbuf(const struct xdp_port *p, uint64_t chunk_addr)
{
	return (struct rte_mbuf *)(p->base + chunk_addr + p->mbuf_at);
}

static inline uint64_t xdp_chunk(const struct xdp_port *p, const struct rte_mbuf *m)
{
	return (uintptr_t)m - p->mbuf_at - p->base;
}

uint16_t xdp_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
uint16_t xdp_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
bool xdp_arm(struct omni_port *port, uint16_t queue);
/* Put buffers into the fill ring until it has what it wants or the pool is empty. */
void xdp_refill(struct xdp_port *p, struct xdp_queue *q);
/* Take back what was sent and make the kernel send what it has not. Frames still outstanding. */
uint32_t xdp_flush(struct xdp_port *p, struct xdp_queue *q);

/* ---- Datagrams that the kernel put together (af_xdp_kernel.c) ---- */

struct xdp_kernel;

/* A socket on our UDP ports, for the worker of queue 0. NULL with a sentence in err. Control. */
struct xdp_kernel *xdp_kernel_open(const struct omni_port *port, const struct omni_port_conf *conf,
				   struct rte_mempool *pool, struct omni_err *err);
void xdp_kernel_close(struct xdp_kernel *k);
int xdp_kernel_fd(struct xdp_kernel *k);
/* Up to n frames where it is time to look; from_rings came in this burst already. Worker. */
uint16_t xdp_kernel_rx(struct xdp_kernel *k, struct rte_mbuf **m, uint16_t n, uint16_t from_rings);
/* As omni_port_ops has it. Worker. */
bool xdp_kernel_arm(struct xdp_kernel *k);
/* Adds to what stands there. Control. */
void xdp_kernel_stats(struct xdp_kernel *k, struct omni_port_stats *s);

/* ---- The program in front (af_xdp_filter.c). Control. ---- */

struct xdp_filter;

/*
 * Load the program and attach it with a link that ends with the process; native mode, or
 * generic where that is asked for. NULL and rte_errno with a sentence in err.
 */
struct xdp_filter *xdp_filter_open(const struct omni_port_conf *conf, unsigned int ifindex,
				   const uint8_t mac[6], bool generic, struct omni_err *err);
/* Frames of a receive queue go to the socket from here on. 0 or -errno. */
int xdp_filter_add(struct xdp_filter *filter, uint32_t queue, int fd);
int xdp_filter_set_mac(struct xdp_filter *filter, const uint8_t mac[6]);
/* Handshakes that it dropped in floods of them. */
uint64_t xdp_filter_limited(const struct xdp_filter *filter);
void xdp_filter_close(struct xdp_filter *filter);

#endif
