/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The udp driver's own state: a kernel UDP socket per queue. Towards the worker it speaks whole
 * frames: transmit takes the outer headers off, receive puts some in front, of which the
 * Ethernet addresses are zero.
 */
#ifndef OMNI_UDP_H
#define OMNI_UDP_H

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <rte_mbuf.h>

#include <omni_cursor.h>

#include "drivers.h"

/* Datagrams of one segmented send (the kernel's UDP_SEGMENT takes no more everywhere). */
#define UDP_RUN_MAX 64
/* Largest UDP payload over IPv4, segmented or not. */
#define UDP_PAYLOAD_MAX 65507
/* Frames that one transmit call looks at together; a worker's queue holds as many. */
#define UDP_TX_MAX 256
/* Messages of one receive call, and the most datagrams that one of them is taken for. */
#define UDP_RX_MESSAGES 8
#define UDP_RX_SEGMENTS 128
/* Datagrams received and not yet asked for: one call's worth. */
#define UDP_READY_MAX (UDP_RX_MESSAGES * UDP_RX_SEGMENTS)
/* Behind the buffers of a message: for what they do not hold. */
#define UDP_SPILL_LEN 65536
/* Destinations remembered that take no segmented sends. */
#define UDP_SINGLES 64

#define UDP_ETHER_LEN 14
#define UDP_V4_FRAGMENT 0x3fff /* more fragments, or an offset */
#define UDP_V4_LEN (UDP_ETHER_LEN + 20 + 8)
#define UDP_V6_LEN (UDP_ETHER_LEN + 40 + 8)
/* Where a received payload begins in its buffer: the longest header fits before it. */
#define UDP_PAYLOAD_AT (RTE_PKTMBUF_HEADROOM + UDP_V6_LEN)
/* With the 16 bytes of a tag at the payload's end as much as OMNI_POOL_TAILROOM behind a frame. */
#define UDP_TAIL (OMNI_POOL_TAILROOM - 16)

struct udp_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_no_buffer; /* receives not tried, and datagrams lost, as the pool was empty */
	uint64_t rx_truncated; /* dropped: longer than a buffer, or cut by the kernel */
	uint64_t rx_bad;       /* dropped: no address beside it */
	uint64_t rx_copied;    /* copied, because they did not lie in a buffer each */
	uint64_t rx_joined;    /* messages that held several datagrams */
	uint64_t rx_failed;    /* errors of the receive call */
	uint64_t tx_runs;      /* segmented sends */
	uint64_t tx_full;      /* sends put off, as the socket's buffer was full */
	uint64_t tx_apart;     /* runs that the kernel took as single datagrams only */
	uint64_t tx_too_long;  /* dropped: longer than the interface's MTU */
	uint64_t tx_no_route;  /* dropped: no route, no neighbour, interface down */
	uint64_t tx_no_source; /* dropped: the local address is not this host's */
	uint64_t tx_denied;    /* dropped: packet filter */
	uint64_t tx_failed;    /* dropped: any other error, or no datagram of UDP */
};

/* Ancillary data: local address, size of a segment, TOS or traffic class. */
union udp_control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

/* Where one message is received. */
struct udp_slot {
	uint16_t have; /* buffers in m; those not filled stay for the next message */
	uint16_t size; /* what their iov_len is set to */
	struct rte_mbuf *m[UDP_RUN_MAX];
	struct iovec iov[UDP_RUN_MAX + 1]; /* the last one in use is the spill */
	struct sockaddr_in6 from;
	union udp_control control;
};

struct udp_rx {
	struct udp_slot slot[UDP_RX_MESSAGES];
	struct mmsghdr msg[UDP_RX_MESSAGES];
	uint8_t (*spill)[UDP_SPILL_LEN];
	uint16_t guess;	    /* size of the segments that are expected */
	int32_t trust;	    /* in it, in bytes: grows by what fitted, shrinks by what did not */
	uint16_t per_call;  /* messages to ask for */
	uint16_t at, count; /* of ready: next to give, how many */
	struct rte_mbuf *ready[UDP_READY_MAX];
};

/* A frame as transmit sees it. */
struct udp_frame {
	struct rte_mbuf *m;
	uint16_t len;  /* of the UDP payload */
	uint16_t flow; /* index in udp_tx.flow */
	uint8_t tos;   /* or traffic class */
};

/* What goes to one address from one address. */
struct udp_flow {
	const uint8_t *hdr; /* of its first frame, from the Ethernet header on */
	int fd;		    /* the socket of its source port */
	uint32_t hash;
	bool v6;
	uint16_t first, last; /* frames, linked by next */
	struct sockaddr_in6 to;
	struct in6_pktinfo from;
};

/* One send: frames that follow each other in udp_tx.order. */
struct udp_run {
	uint16_t first, count;
	uint16_t size; /* of all but the last */
	uint16_t flow;
	uint8_t tos; /* of all */
};

struct udp_tx {
	uint16_t frames, flows, runs;
	struct udp_frame frame[UDP_TX_MAX];
	uint16_t next[UDP_TX_MAX];
	uint16_t order[UDP_TX_MAX]; /* frames, flow after flow */
	struct udp_flow flow[UDP_TX_MAX];
	struct udp_run run[UDP_TX_MAX];
	struct iovec iov[UDP_TX_MAX]; /* as order */
	struct mmsghdr msg[UDP_TX_MAX];
	union udp_control control[UDP_TX_MAX];
	struct {
		uint32_t hash;
		uint64_t until; /* TSC; 0: never set */
	} singles[UDP_SINGLES];
};

/* The queue's owner alone uses everything but fd, wait_fd and count. */
struct udp_queue {
	int fd;
	int wait_fd;	    /* to sleep on: fd, or an epoll descriptor over it and lanes' sockets */
	uint64_t lanes_tsc; /* when to look at those next */
	bool v4_only;	    /* the kernel has no IPv6 */
	struct udp_rx rx;
	struct udp_tx tx;
	struct udp_counters count;
} __rte_cache_aligned;

/* A source port of a lane; the kernel takes datagrams of any queue on its socket. */
struct udp_lane {
	int fd;
	uint16_t port; /* host order */
};

struct udp_port {
	char interface[IFNAMSIZ]; /* "": any */
	uint16_t queues;
	uint16_t udp_port;    /* ours, host order */
	uint16_t payload_max; /* bytes of payload that a buffer holds */
	struct rte_mempool *pool;
	struct udp_queue *q;
	uint16_t n_lanes;
	struct udp_lane lane[OMNI_PORT_UDP_PORTS_MAX - 1]; /* received from by queue i mod queues */
	struct udp_filter *filter;			   /* NULL: the kernel allows none */
	int raw_v4, raw_v6; /* for fragments; -1: not allowed. Workers share them */
};

/*
 * What no message of ours can be is dropped by the kernel, before it is queued (udp_filter.c).
 * NULL where the kernel does not allow that, which the other calls take too. Control.
 */
struct udp_filter *udp_filter_open(void);
void udp_filter_attach(const struct udp_filter *filter, int fd);
uint64_t udp_filter_dropped(struct udp_filter *filter);
/* Handshakes in a flood of them, of sources that sent one a moment ago. */
uint64_t udp_filter_limited(struct udp_filter *filter);
void udp_filter_close(struct udp_filter *filter);

/*
 * The sockets of a port (udp_socket.c). Each of `queues` is bound to conf's address and first UDP
 * port; several share them, and the kernel picks one by the datagram's addresses. Further ports
 * have a socket each. Control. 0, or -errno with a sentence in err; then nothing stays open.
 */
int udp_sockets_open(struct udp_port *p, const struct omni_port_conf *conf, struct omni_err *err);
void udp_sockets_close(struct udp_port *p);
/* The interface has come back as another one: bind to it again. Control. */
void udp_sockets_rebind(const struct udp_port *p);
/* Datagrams that the kernel dropped as a socket's buffer was full. Control. */
uint64_t udp_sockets_dropped(const struct udp_port *p);

/*
 * IP fragments (udp_raw.c). The one before a datagram is sent before it, the one behind it after
 * it.
 */
static inline bool udp_is_fragment(const struct rte_mbuf *m)
{
	const uint8_t *hdr = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t at_20 =
		omni_load_be16(hdr + UDP_ETHER_LEN + 6); /* the same line as the addresses */

	return omni_load_be16(hdr + 12) == 0x86dd ? at_20 >> 8 == IPPROTO_FRAGMENT
						  : (at_20 & UDP_V4_FRAGMENT) != 0;
}

void udp_raw_open(struct udp_port *p, uint32_t mark);
void udp_raw_close(struct udp_port *p);
/* Those that m begins with; how many are sent or dropped, which is less where the socket is full.
 */
uint16_t udp_raw_tx(const struct udp_port *p, struct udp_queue *q, struct rte_mbuf **m, uint16_t n);

/* Counts an error of a send (0: none) by its name; true where it is that nothing more is taken. */
bool udp_tx_failed(struct udp_queue *q, int error);
void udp_tx_sent(struct udp_queue *q, uint64_t frames, uint64_t bytes);

uint16_t udp_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
uint16_t udp_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
bool udp_arm(struct omni_port *port, uint16_t queue);

/* Give back the buffers of a queue. No worker runs on it. */
void udp_rx_free(struct udp_queue *q);

#endif
