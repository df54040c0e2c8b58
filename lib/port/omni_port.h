/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Ports: where frames enter and leave. One table of open ports, one struct of operations per
 * kind of port (drivers/). Control opens, closes and publishes; the worker that owns a queue
 * calls rx and tx on it, nobody else does.
 */
#ifndef OMNI_PORT_H
#define OMNI_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <omni_addr.h>
#include <omni_base.h>

#define OMNI_PORTS_MAX 64
#define OMNI_PORT_QUEUES_MAX 16
#define OMNI_PORT_UDP_PORTS_MAX 64
#define OMNI_PORT_EXTRA_MAX 16
#define OMNI_PORT_NAME_LEN 32
#define OMNI_PORT_DRIVER_LEN 16
#define OMNI_PORT_PATH_LEN 108 /* of a unix socket */
#define OMNI_PORT_DEVICE_LEN 256
#define OMNI_PORT_MTU_MIN 576
#define OMNI_PORT_MTU_MAX 9216
#define OMNI_PORT_MTU_DEFAULT 1500
#define OMNI_PORT_MTU_TUN 1420 /* what wg-quick chooses: IPv6, UDP and WireGuard in 1500 */
/* Ethernet header and one VLAN tag around an MTU. */
#define OMNI_PORT_L2_OVERHEAD 18

/* null: frames that the port makes itself. */
struct omni_port_generate {
	uint16_t size;	/* bytes from the Ethernet header on; 0: 64, 576 and 1420 as 7 to 4 to 1 */
	uint16_t flows; /* 0: none are made */
	uint32_t rate;	/* frames per second and queue; 0: as many as are taken */
	uint8_t to[6];	/* destination of the first flow; the others count on from it */
};

/* What the configuration says about one port. Zeroed fields: the driver's default. */
struct omni_port_conf {
	char name[OMNI_PORT_NAME_LEN];	   /* ours: key in the YAML */
	char driver[OMNI_PORT_DRIVER_LEN]; /* a name of omni_driver_names() */
	/*
	 * af_xdp, auto: existing netdev; udp: the same, or "" for any; tap, tun: netdev to
	 * create; virtio-user: the same, by vhost-net
	 */
	char interface[IFNAMSIZ];
	uint16_t queues;  /* 0: one for each worker where the kind has so many, or 1 */
	uint16_t workers; /* that poll queues; 0: 1 */
	uint16_t mtu;	  /* 0: the interface's own where there is one; tun: 1420; else 1500 */
	/* Host order. af_xdp: what to redirect; udp: the one to listen on, then those of lanes. */
	uint16_t udp_ports[OMNI_PORT_UDP_PORTS_MAX];
	unsigned int n_udp_ports;	   /* af_xdp: 0: every frame, and the kernel gets none */
	char mode[12];			   /* af_xdp: "" best, "zero-copy", "copy", "generic" */
	char socket[OMNI_PORT_PATH_LEN];   /* memif, vhost, virtio-user: path of the unix socket */
	char device[OMNI_PORT_DEVICE_LEN]; /* pci: its address; ethdev: devargs */
	uint32_t memif_id;
	bool server;	 /* with socket: listen instead of connect */
	bool no_offload; /* tap, tun, vhost, virtio-user: whole frames with finished checksums only
			  */
	bool has_mac;	 /* tap, tun, memif, virtio-user, null, ring: use mac */
	uint8_t mac[6];
	struct omni_port_generate generate; /* null */
	struct omni_ip address;		    /* udp: what to bind to; none: any */
	uint32_t fwmark;		    /* udp: of what is sent; 0: none */
};

/* What was obtained. Written by control (open, omni_port_refresh), read by anyone. */
struct omni_port_info {
	char driver[OMNI_PORT_DRIVER_LEN];
	char mode[24];	      /* "zero-copy", "copy", "generic", "memory", "descriptor", "socket" */
	char why[128];	      /* why this mode and not a better one; "" where it is the best */
	char offloads[64];    /* names separated by spaces; "" for none */
	uint16_t queues;      /* usable queue ids are 0 .. queues - 1 */
	_Atomic uint16_t mtu; /* largest IP packet; changes while workers read it */
	uint16_t frame_max;   /* largest frame received, bytes from the Ethernet header on */
	uint8_t mac[6];	      /* zero where the port has none */
	bool mac_is_far;      /* it is that of the other side: the kernel's of a tap */
	unsigned int ifindex; /* kernel's side; 0: none */
	bool link_up;
	/*
	 * The kernel sends: it knows the way to every address, so no next hop is needed, and it
	 * computes all checksums.
	 */
	bool kernel_routes;
	bool holds_ports; /* kernel sockets of the driver's are bound to our UDP ports */
	/* Finishes the UDP checksum of a frame with RTE_MBUF_F_TX_UDP_CKSUM. */
	bool udp_checksum;
	/*
	 * The other side speaks IP without a link layer: the Ethernet header of received frames is
	 * made up (to mac), that of sent ones is taken off whatever its addresses. No ARP, no
	 * neighbours, and no frames but IPv4 and IPv6.
	 */
	bool raw_ip;
	/*
	 * Our address on its link, where hosts send packets of an L3 cluster to. It is mac, but for
	 * taps, whose mac is the kernel's side's, and for ports that have none.
	 */
	uint8_t l3_mac[6];
	bool segments; /* transmit takes TCP segments whole: chains that omni_is_segment() tells */
};

struct omni_port_extra {
	const char *name; /* static, snake_case */
	uint64_t value;
};

/* Totals since open. A burst's counters are added once per burst by the queue's owner. */
struct omni_port_stats {
	uint64_t rx_frames, rx_bytes;
	uint64_t tx_frames, tx_bytes;
	uint64_t rx_dropped; /* arrived and lost before the worker saw them */
	uint64_t tx_dropped; /* taken from the worker and not sent */
	unsigned int n_extra;
	struct omni_port_extra extra[OMNI_PORT_EXTRA_MAX]; /* driver's own */
};

struct omni_port;

struct omni_port_ops {
	const char *driver;
	/*
	 * Check names and arguments without opening anything. 0, or -errno with a sentence in
	 * err ("no such interface eth7 (have: eth0, lo)"). Control.
	 */
	int (*check)(const struct omni_port_conf *conf, struct omni_err *err);
	/*
	 * Fill port->priv and port->info. Received frames come from pool. On an error nothing
	 * stays behind. Control.
	 */
	int (*open)(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err);
	/* Give back every mbuf and everything else. No worker may use the port. Control. */
	void (*close)(struct omni_port *port);
	/*
	 * Up to n frames from a queue; the caller owns them. Each is one segment, with
	 * RTE_PKTMBUF_HEADROOM or more in front, m->port = port->id, finished checksums where
	 * the driver says so (af_xdp: never verified nor finished). Owner of the queue.
	 */
	uint16_t (*rx)(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
	/*
	 * Send up to n frames; returns how many were taken (sent or dropped and counted). What
	 * was not taken still belongs to the caller. Owner of the queue.
	 */
	uint16_t (*tx)(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n);
	/* Descriptor that poll() finds readable when a frame waits; -1: none, nap by time. */
	int (*rx_fd)(struct omni_port *port, uint16_t queue);
	/*
	 * Before sleeping on rx_fd: flush what is pending, ask for a wake-up. True: frames are
	 * waiting already, do not sleep. May be NULL. Owner of the queue.
	 */
	bool (*arm)(struct omni_port *port, uint16_t queue);
	/*
	 * Give TCP segments whole from now on where that can be, as chains of buffers with
	 * piece bytes each, `more` more in the first, and the rest in the last; piece 0: cut into
	 * frames again. NULL: the driver gives none. Owner of the queue.
	 */
	void (*whole)(struct omni_port *port, uint16_t queue, uint16_t piece, uint16_t more);
	/* Totals; counters of workers are read while they count. Control. */
	void (*stats)(struct omni_port *port, struct omni_port_stats *stats);
	/* Read MTU, link and addresses again into port->info. May be NULL. Control. */
	void (*refresh)(struct omni_port *port);
};

/*
 * One open port. Everything but info is constant from open to close. Workers read it; only
 * control writes.
 */
struct omni_port {
	const struct omni_port_ops *ops;
	void *priv;  /* the driver's */
	uint16_t id; /* index in the table */
	uint16_t queues;
	uint16_t
		first_worker; /* has queue 0; the next ones have the next queues, round in a ring */
	uint32_t generation;  /* differs for each port that ever had this id */
	char name[OMNI_PORT_NAME_LEN];
	struct omni_port_info info;
	struct rte_mempool *pool;
};

/*
 * The table. slot[id] is written by control alone (release) and read by workers (acquire). A
 * worker keeps a pointer for one turn at most; control unpublishes, waits for every worker's
 * quiescent state, then closes.
 */
struct omni_port_table {
	struct omni_port *slot[OMNI_PORTS_MAX];
	struct omni_port *open[OMNI_PORTS_MAX]; /* control's: published or not */
	uint32_t next_generation;		/* control's */
};

static inline struct omni_port *omni_port_get(const struct omni_port_table *table, uint16_t id)
{
	return id < OMNI_PORTS_MAX ? __atomic_load_n(&table->slot[id], __ATOMIC_ACQUIRE) : NULL;
}

static inline uint16_t omni_port_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
				    uint16_t n)
{
	return port->ops->rx(port, queue, m, n);
}

static inline uint16_t omni_port_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m,
				    uint16_t n)
{
	return port->ops->tx(port, queue, m, n);
}

static inline int omni_port_rx_fd(struct omni_port *port, uint16_t queue)
{
	return port->ops->rx_fd(port, queue);
}

static inline bool omni_port_arm(struct omni_port *port, uint16_t queue)
{
	return port->ops->arm != NULL && port->ops->arm(port, queue);
}

/*
 * Check conf against ops, open the port and give it the lowest free id; not yet published. The
 * port takes its frames from pool, whose frames must hold the port's MTU. NULL and rte_errno
 * with a sentence in err. Control.
 */
struct omni_port *omni_port_open(struct omni_port_table *table, const struct omni_port_ops *ops,
				 const struct omni_port_conf *conf, struct rte_mempool *pool,
				 struct omni_err *err);

/* Let workers see the port. Control. */
void omni_port_publish(struct omni_port_table *table, struct omni_port *port);

/* Hide it again; the id stays taken until omni_port_close. Control. */
void omni_port_unpublish(struct omni_port_table *table, struct omni_port *port);

/*
 * Unpublish if needed and close. No worker may hold the pointer any more. NULL is fine. Control.
 */
void omni_port_close(struct omni_port_table *table, struct omni_port *port);

/* Port of that name, published or not; NULL. Control. */
struct omni_port *omni_port_find(const struct omni_port_table *table, const char *name);

/* Totals since open; zeroed first. Control. */
void omni_port_read_stats(struct omni_port *port, struct omni_port_stats *stats);

/* Read MTU, link state and addresses again into port->info. Control. */
void omni_port_refresh(struct omni_port *port);

/* ---- Pools ---- */

enum omni_pool_kind {
	OMNI_POOL_PLAIN,  /* memory ports and copies */
	OMNI_POOL_AF_XDP, /* may become a UMEM: one region, objects of 2048 to 4096 bytes */
};

/* Behind the largest frame, for the tag and the padding of vector code. */
#define OMNI_POOL_TAILROOM 64
/* AF_XDP writes a frame behind so many bytes of mbuf headroom. */
#define OMNI_POOL_XDP_HEADROOM 256

/*
 * Pool of count mbufs that each hold a frame of frame_len bytes (Ethernet header included)
 * behind the headroom, OMNI_POOL_TAILROOM bytes behind it, and priv_len bytes (multiple of 8)
 * of private area. Works with hugepages and with --no-huge. NULL and rte_errno with a sentence
 * in err (object over 4096 bytes for AF_XDP, memory not in one region, no memory). Free with
 * rte_mempool_free. Control.
 */
struct rte_mempool *omni_pool_create(const char *name, enum omni_pool_kind kind, unsigned int count,
				     unsigned int frame_len, unsigned int priv_len,
				     struct omni_err *err);

/* The same in the memory of a NUMA node where that has enough, else in any. Control. */
struct rte_mempool *omni_pool_create_on(const char *name, enum omni_pool_kind kind,
					unsigned int count, unsigned int frame_len,
					unsigned int priv_len, int socket, struct omni_err *err);

/* Largest frame that a port can receive into mbufs of the pool. Any thread. */
unsigned int omni_pool_frame_max(const struct rte_mempool *pool, enum omni_pool_kind kind);

/* Lowest address and length of the memory that holds all objects. 0 or -EINVAL. Control. */
int omni_pool_region(const struct rte_mempool *pool, uintptr_t *start, size_t *len);

#endif
