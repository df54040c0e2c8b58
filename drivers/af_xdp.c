/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AF_XDP over libxdp on a DPDK mbuf pool: opening, closing and reporting. Order of preference:
 * native program with zero-copy sockets, native with copying ones, generic program.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "af_xdp.h"
#include "netdev.h"

/* The kernel frees the sockets of a queue some milliseconds after their process. */
#define BIND_TRIES 200
#define BIND_PAUSE_US 5000
/* Frames in flight at close are waited for this long. */
#define DRAIN_TRIES 50
#define DRAIN_PAUSE_US 2000
#define PAGE 4096

enum xdp_mode {
	MODE_ZERO_COPY,
	MODE_COPY,
	MODE_GENERIC,
	MODE_COUNT,
};

static const char *const mode_names[MODE_COUNT] = {"zero-copy", "copy", "generic"};

static int xdp_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	bool known = conf->mode[0] == '\0';

	for (int i = 0; i < MODE_COUNT; i++)
		known = known || strcmp(conf->mode, mode_names[i]) == 0;
	if (!known)
		return omni_fail(err, -EINVAL, "port %s: mode %s is not zero-copy, copy or generic",
				 conf->name, conf->mode);
	if (conf->n_udp_ports > OMNI_PORT_UDP_PORTS_MAX)
		return omni_fail(err, -EINVAL, "port %s: af_xdp takes at most %d UDP ports, not %u",
				 conf->name, OMNI_PORT_UDP_PORTS_MAX, conf->n_udp_ports);
	return netdev_check(conf->interface, err);
}

/*
 * A socket for each receive queue of the interface, because the frames of a queue without one
 * would pass us by unseen; shared out over the queues that workers poll.
 */
static int choose_queues(struct xdp_port *p, const struct omni_port_conf *conf,
			 const struct netdev *dev, struct omni_err *err)
{
	p->sockets = dev->rx_queues != 0 ? dev->rx_queues : 1;
	p->queues = driver_queues(conf, OMNI_MIN(p->sockets, OMNI_PORT_QUEUES_MAX));
	if (p->sockets > XDP_SOCKETS_MAX)
		return omni_fail(err, -EINVAL,
				 "port %s: %s has %u receive queues, at most %d can be used "
				 "(ethtool -L %s combined N)",
				 conf->name, conf->interface, p->sockets, XDP_SOCKETS_MAX,
				 conf->interface);
	if (p->queues <= p->sockets && p->queues <= OMNI_PORT_QUEUES_MAX)
		return 0;
	return omni_fail(
		err, -EINVAL, "port %s: %u queues, but %s has %u (ethtool -L %s combined %u)",
		conf->name, p->queues, conf->interface, p->sockets, conf->interface, p->queues);
}

static int lay_out(struct xdp_port *p, struct rte_mempool *pool, struct omni_err *err)
{
	uint32_t priv = rte_pktmbuf_priv_size(pool);
	uintptr_t start;
	size_t len;

	if (omni_pool_region(pool, &start, &len) < 0)
		return omni_fail(err, -EINVAL, "the pool's memory is not one region");
	p->pool = pool;
	p->base = start & ~(uintptr_t)(PAGE - 1);
	p->umem_len = RTE_ALIGN_CEIL(start + len - p->base, PAGE);
	p->mbuf_at = pool->header_size;
	p->data_at = p->mbuf_at + (uint32_t)sizeof(struct rte_mbuf) + priv;
	p->chunk = p->data_at + rte_pktmbuf_data_room_size(pool);
	if (p->chunk < XDP_RING || p->chunk > PAGE)
		return omni_fail(err, -EINVAL,
				 "the pool's objects have %u bytes, AF_XDP wants 2048 to 4096",
				 p->chunk);
	/* A quarter of the pool at most lies in fill rings. */
	p->fill_want = RTE_MIN((uint32_t)XDP_RING, pool->size / 4 / p->sockets);
	p->held_len = p->umem_len / p->chunk + 1;
	p->held = calloc(p->held_len, 1);
	return p->held != NULL ? 0 : omni_fail(err, -ENOMEM, "no memory");
}

static int open_socket(struct xdp_port *p, uint16_t i, enum xdp_mode mode)
{
	const struct xsk_socket_config config = {
		.rx_size = XDP_RING,
		.tx_size = XDP_RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)((mode == MODE_ZERO_COPY ? XDP_ZEROCOPY : XDP_COPY) |
					 XDP_USE_NEED_WAKEUP),
	};
	struct xdp_queue *q = &p->q[i];
	int rc = xsk_socket__create_shared(&q->xsk, p->interface, i, p->umem, &q->rx, &q->tx,
					   &q->fill, &q->completion, &config);

	if (rc < 0)
		return rc;
	q->fd = xsk_socket__fd(q->xsk);
	q->fill_missing = p->fill_want;
	q->tx_outstanding = 0;
	xdp_refill(p, q);
	return 0;
}

static void give_back(struct rte_mempool *pool, void *opaque, void *object, unsigned int i)
{
	struct xdp_port *p = opaque;
	uint64_t at = ((uintptr_t)object - p->mbuf_at - p->base) / p->chunk;

	(void)pool;
	(void)i;
	if (p->held[at] == 0)
		return;
	p->held[at] = 0;
	rte_pktmbuf_free_seg(object);
}

static void close_sockets(struct xdp_port *p, bool zero_copy)
{
	for (uint16_t i = p->sockets; i-- > 0;) {
		if (p->q[i].xsk != NULL)
			xsk_socket__delete(p->q[i].xsk);
		p->q[i].xsk = NULL;
		p->q[i].fd = -1;
	}
	if (p->umem != NULL)
		(void)xsk_umem__delete(p->umem);
	p->umem = NULL;
	/* A driver with zero-copy stops its DMA a moment after the socket is gone. */
	if (zero_copy)
		usleep(BIND_PAUSE_US * 4);
	/* Whatever ring it was in: nobody but us has it now. */
	rte_mempool_obj_iter(p->pool, give_back, p);
}

static int open_sockets_once(struct xdp_port *p, enum xdp_mode mode)
{
	const struct xsk_umem_config config = {
		.fill_size = XDP_RING,
		.comp_size = XDP_RING,
		.frame_size = p->chunk,
		.frame_headroom = p->data_at,
		.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG,
	};
	int rc = xsk_umem__create(&p->umem, (void *)p->base, p->umem_len, &p->q[0].fill,
				  &p->q[0].completion, &config);

	if (rc < 0)
		p->umem = NULL;
	for (uint16_t i = 0; rc == 0 && i < p->sockets; i++)
		rc = open_socket(p, i, mode);
	if (rc < 0)
		close_sockets(p, mode == MODE_ZERO_COPY);
	return rc;
}

static int open_sockets(struct xdp_port *p, enum xdp_mode mode)
{
	int rc = -EBUSY;

	for (int tries = 0; tries < BIND_TRIES; tries++) {
		rc = open_sockets_once(p, mode);
		if (rc != -EBUSY)
			break;
		usleep(BIND_PAUSE_US);
	}
	return rc;
}

static int open_mode(struct xdp_port *p, const struct omni_port_conf *conf,
		     const struct netdev *dev, enum xdp_mode mode, struct omni_err *err)
{
	int rc;

	if (mode == MODE_ZERO_COPY && !rte_eal_has_hugepages())
		return omni_fail(err, -EOPNOTSUPP, "zero-copy needs hugepages");
	p->filter = xdp_filter_open(conf, dev->ifindex, dev->mac, mode == MODE_GENERIC, err);
	if (p->filter == NULL)
		return -rte_errno;
	rc = open_sockets(p, mode);
	if (rc < 0)
		omni_fail(err, rc, "cannot bind a %s AF_XDP socket to %s: %s%s", mode_names[mode],
			  conf->interface, strerror(-rc),
			  rc == -EBUSY ? " (another process has the queue)" : "");
	for (uint16_t i = 0; rc == 0 && i < p->sockets; i++) {
		rc = xdp_filter_add(p->filter, i, p->q[i].fd);
		if (rc < 0) {
			omni_fail(err, rc, "cannot give frames to the socket: %s", strerror(-rc));
			close_sockets(p, mode == MODE_ZERO_COPY);
		}
	}
	if (rc < 0) {
		xdp_filter_close(p->filter);
		p->filter = NULL;
	}
	return rc;
}

/* The best mode that works; why is the reason that the one before it did not. */
static int open_best(struct xdp_port *p, struct omni_port *port, const struct omni_port_conf *conf,
		     const struct netdev *dev, struct omni_err *err)
{
	struct omni_err why = {0};
	int rc = -EINVAL;

	for (int mode = 0; mode < MODE_COUNT; mode++) {
		if (conf->mode[0] != '\0' && strcmp(conf->mode, mode_names[mode]) != 0)
			continue;
		rc = open_mode(p, conf, dev, (enum xdp_mode)mode, &why);
		if (rc == 0) {
			snprintf(port->info.mode, sizeof(port->info.mode), "%s", mode_names[mode]);
			snprintf(port->info.why, sizeof(port->info.why), "%.*s",
				 (int)sizeof(port->info.why) - 1, why.text);
			return 0;
		}
		if (rc == -EBUSY) /* somebody else's; another mode does not change that */
			break;
	}
	return omni_fail(err, rc, "port %s: %s", conf->name, why.text);
}

static void xdp_refresh(struct omni_port *port)
{
	struct xdp_port *p = port->priv;
	struct netdev dev;
	uint32_t room;

	if (netdev_read(p->interface, &dev) < 0 || dev.ifindex != port->info.ifindex) {
		port->info.link_up = false;
		return;
	}
	port->info.link_up = dev.running;
	port->info.mtu = dev.mtu;
	if (memcmp(port->info.mac, dev.mac, sizeof(dev.mac)) != 0) {
		memcpy(port->info.mac, dev.mac, sizeof(dev.mac));
		(void)xdp_filter_set_mac(p->filter, dev.mac);
	}
	room = rte_pktmbuf_data_room_size(p->pool);
	__atomic_store_n(&p->tx_max, RTE_MIN(dev.mtu + (uint32_t)OMNI_PORT_L2_OVERHEAD, room),
			 __ATOMIC_RELAXED);
}

static void drop_fds(struct xdp_port *p)
{
	for (uint16_t i = 0; i < p->queues; i++)
		if (p->of_worker[i].fd > 0 && p->of_worker[i].fd != p->q[i].fd)
			close(p->of_worker[i].fd);
}

static int wake_by(int epoll, int fd, struct omni_err *err)
{
	struct epoll_event ev = {.events = EPOLLIN};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	return omni_fail(err, -errno, "no descriptor to sleep on: %s", strerror(errno));
}

/* What a worker sleeps on: its only socket, or a descriptor that stands for all of its own. */
static int gather_fds(struct xdp_port *p, struct omni_err *err)
{
	int rc = 0;

	for (uint16_t i = 0; rc == 0 && i < p->queues; i++) {
		bool kernel = i == 0 && p->kernel != NULL;
		int fd;

		p->of_worker[i].fd = p->q[i].fd;
		p->of_worker[i].first = i;
		if (i + p->queues >= p->sockets && !kernel)
			continue;
		fd = p->of_worker[i].fd = epoll_create1(EPOLL_CLOEXEC);
		for (uint16_t s = i; rc == 0 && s < p->sockets; s = (uint16_t)(s + p->queues))
			rc = wake_by(fd, p->q[s].fd, err);
		if (rc == 0 && kernel)
			rc = wake_by(fd, xdp_kernel_fd(p->kernel), err);
	}
	return rc;
}

/* The kernel's part of a port that shares the interface with it. */
static int open_kernel(struct xdp_port *p, struct omni_port *port,
		       const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->n_udp_ports == 0)
		return 0;
	p->kernel = xdp_kernel_open(port, conf, p->pool, err);
	if (p->kernel == NULL)
		return -rte_errno;
	port->info.holds_ports = true;
	return 0;
}

static void close_all(struct xdp_port *p, const struct omni_port *port)
{
	drop_fds(p);
	xdp_kernel_close(p->kernel);
	if (p->promiscuous >= 0)
		close(p->promiscuous);
	if (p->filter != NULL)
		xdp_filter_close(p->filter);
	for (uint16_t i = 0; p->umem != NULL && i < p->sockets; i++)
		for (int tries = 0; tries < DRAIN_TRIES && xdp_flush(p, &p->q[i]) > 0; tries++)
			usleep(DRAIN_PAUSE_US);
	if (p->umem != NULL)
		close_sockets(p, strcmp(port->info.mode, mode_names[MODE_ZERO_COPY]) == 0);
	free(p->held);
	free(p);
}

/* A port that has the interface for itself: frames to any MAC, while the descriptor is open. */
static int take_every_mac(struct xdp_port *p, const struct netdev *dev, struct omni_err *err)
{
	p->promiscuous = netdev_promiscuous(dev->ifindex);
	return p->promiscuous >= 0 ? 0
				   : omni_fail(err, p->promiscuous, "%s: no promiscuous mode: %s",
					       p->interface, strerror(-p->promiscuous));
}

static int xdp_open(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err)
{
	struct xdp_port *p;
	struct netdev dev;
	int rc = netdev_read(conf->interface, &dev);

	if (rc < 0)
		return omni_fail(err, rc, "port %s: cannot read %s: %s", conf->name,
				 conf->interface, strerror(-rc));
	if (!dev.up)
		return omni_fail(err, -ENETDOWN, "port %s: %s is down (ip link set %s up)",
				 conf->name, conf->interface, conf->interface);
	if (conf->mtu != 0 && conf->mtu != dev.mtu)
		return omni_fail(err, -EINVAL,
				 "port %s: MTU %u, but %s has %u (ip link set %s mtu %u)",
				 conf->name, conf->mtu, conf->interface, dev.mtu, conf->interface,
				 conf->mtu);
	p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));
	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p));
	memcpy(p->interface, conf->interface, sizeof(p->interface));
	p->promiscuous = -1;
	rc = choose_queues(p, conf, &dev, err);
	if (rc == 0)
		rc = lay_out(p, pool, err);
	if (rc == 0)
		rc = open_best(p, port, conf, &dev, err);
	if (rc == 0)
		rc = open_kernel(p, port, conf, err);
	if (rc == 0)
		rc = gather_fds(p, err);
	if (rc == 0 && conf->n_udp_ports == 0)
		rc = take_every_mac(p, &dev, err);
	if (rc < 0) {
		close_all(p, port);
		return rc;
	}
	port->priv = p;
	port->info.queues = p->queues;
	port->info.ifindex = dev.ifindex;
	port->info.frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_AF_XDP);
	memcpy(port->info.mac, dev.mac, sizeof(dev.mac));
	xdp_refresh(port);
	return 0;
}

static void xdp_close(struct omni_port *port)
{
	close_all(port->priv, port);
	port->priv = NULL;
}

static int xdp_rx_fd(struct omni_port *port, uint16_t queue)
{
	return ((struct xdp_port *)port->priv)->of_worker[queue].fd;
}

static void add_queue(struct xdp_counters *sum, struct xdp_statistics *kernel,
		      const struct xdp_queue *q)
{
	struct xdp_statistics st = {0};
	socklen_t len = sizeof(st);
	const uint64_t *from = (const uint64_t *)&q->count;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += driver_read(from + i);
	if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &st, &len) < 0)
		return;
	kernel->rx_dropped += st.rx_dropped;
	kernel->rx_invalid_descs += st.rx_invalid_descs;
	kernel->tx_invalid_descs += st.tx_invalid_descs;
	kernel->rx_ring_full += st.rx_ring_full;
	kernel->rx_fill_ring_empty_descs += st.rx_fill_ring_empty_descs;
	kernel->tx_ring_empty_descs += st.tx_ring_empty_descs;
}

static void xdp_stats(struct omni_port *port, struct omni_port_stats *s)
{
	const struct xdp_port *p = port->priv;
	struct xdp_counters c = {0};
	struct xdp_statistics k = {0};

	for (uint16_t i = 0; i < p->sockets; i++)
		add_queue(&c, &k, &p->q[i]);
	s->rx_frames = c.rx_frames;
	s->rx_bytes = c.rx_bytes;
	s->tx_frames = c.tx_frames;
	s->tx_bytes = c.tx_bytes;
	s->rx_dropped = k.rx_dropped + k.rx_ring_full + xdp_filter_limited(p->filter);
	s->tx_dropped = c.tx_no_buffer + c.tx_bad_len + k.tx_invalid_descs;
	if (p->kernel != NULL)
		xdp_kernel_stats(p->kernel, s);
	driver_extra(s, "xdp_rx_dropped", k.rx_dropped);
	driver_extra(s, "xdp_rx_ring_full", k.rx_ring_full);
	driver_extra(s, "xdp_fill_ring_empty", k.rx_fill_ring_empty_descs);
	driver_extra(s, "xdp_rx_invalid", k.rx_invalid_descs);
	driver_extra(s, "xdp_tx_invalid", k.tx_invalid_descs);
	driver_extra(s, "rx_flood_limited", xdp_filter_limited(p->filter));
	driver_extra(s, "rx_no_buffer", c.rx_no_buffer);
	driver_extra(s, "tx_copied", c.tx_copied);
	driver_extra(s, "tx_no_buffer", c.tx_no_buffer);
	driver_extra(s, "tx_bad_len", c.tx_bad_len);
	driver_extra(s, "tx_kick_failed", c.tx_kick_failed);
}

const struct omni_port_ops omni_driver_af_xdp = {
	.driver = "af_xdp",
	.check = xdp_check,
	.open = xdp_open,
	.close = xdp_close,
	.rx = xdp_rx,
	.tx = xdp_tx,
	.rx_fd = xdp_rx_fd,
	.arm = xdp_arm,
	.stats = xdp_stats,
	.refresh = xdp_refresh,
};
