/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A TAP or TUN interface of our own making: created at open, gone with its descriptors. Unless
 * the configuration says otherwise the kernel hands over segments of up to 64 KB and frames
 * without checksums, and is handed such segments.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "netdev.h"
#include "tap.h"

#define TUN "/dev/net/tun"
#ifndef IFF_TUN_EXCL
#define IFF_TUN_EXCL 0x8000
#endif
/*
 * Segments that the kernel is asked for, less than 64 KB: on a path of 1500 bytes, 44 frames, which
 * leave in one segmented send of 65507 bytes at most with their headers and tags. With all that
 * TCP would fill, every segment costs a second send of two or three frames.
 */
#define SEGMENT_LEN 60500
/* Runs of UDP datagrams, IPv4 and IPv6; the system's header may be older than the kernel. */
#define OFFLOAD_USO (0x20 | 0x40)
#define MTU_V6 1280 /* at least, RFC 8200 */
#define OFFLOAD_TSO (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* What to ask the kernel for, the best first. */
static const struct {
	unsigned int flags;
	const char *names; /* as in omnictl ports */
} offloads[] = {
	{OFFLOAD_TSO | OFFLOAD_USO, "csum tso4 tso6 uso gro"},
	{OFFLOAD_TSO, "csum tso4 tso6 gro"},
	{0, ""},
};

int tap_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	const char *name = conf->interface;

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strpbrk(name, "/: \t\n%") != NULL)
		return omni_fail(err, -EINVAL, "port %s: \"%s\" is no name for an interface",
				 conf->name, name);
	if (if_nametoindex(name) != 0)
		return omni_fail(
			err, -EEXIST,
			"port %s: interface %s exists already and is not ours (ip link del "
			"%s, or choose another name)",
			conf->name, name, name);
	return 0;
}

/* Descriptor of one queue; the first one creates the interface. */
static int open_queue(const char *name, int kind, bool first, bool several)
{
	struct ifreq ifr = {0};
	int header = TAP_VNET_HDR_LEN, flags = kind | IFF_NO_PI | IFF_VNET_HDR, rc;
	int fd = open(TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (several)
		flags |= IFF_MULTI_QUEUE;
	if (first)
		flags |= IFF_TUN_EXCL;
	ifr.ifr_flags = (short)flags;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static void close_queues(struct tap_port *p)
{
	for (uint16_t i = 0; i < p->queues; i++) {
		if (p->q[i].fd >= 0)
			close(p->q[i].fd);
		rte_pktmbuf_free_bulk(p->q[i].next, p->q[i].have);
		free(p->q[i].room);
	}
}

static int open_queues(struct tap_port *p)
{
	int kind = p->made_up != 0 ? IFF_TUN : IFF_TAP;

	for (uint16_t i = 0; i < p->queues; i++)
		p->q[i].fd = -1;
	for (uint16_t i = 0; i < p->queues; i++) {
		int fd = open_queue(p->interface, kind, i == 0, p->queues > 1);

		if (fd < 0)
			return fd;
		p->q[i].fd = fd;
		p->q[i].room = malloc(p->front_len + OMNI_SEGMENT_MAX + 1);
		if (p->q[i].room == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* The best that the kernel has; returns its names. */
static const char *ask_offloads(struct tap_port *p, bool none)
{
	size_t i = none ? OMNI_ARRAY_SIZE(offloads) - 1 : 0;

	while (ioctl(p->q[0].fd, TUNSETOFFLOAD, offloads[i].flags) < 0 && offloads[i].flags != 0)
		i++;
	p->join = offloads[i].flags != 0;
	return offloads[i].names;
}

/*
 * As WireGuard's interface: no link-local address that nobody set, and no group membership, so that
 * the kernel says nothing by itself that would wake a peer; no redirects to peers whose packets go
 * back out here. A kernel without IPv6 has less to set.
 */
static void be_quiet(const struct tap_port *p)
{
	(void)netdev_set("ipv6", p->interface, "addr_gen_mode", "1");
	(void)netdev_set("ipv4", p->interface, "send_redirects", "0");
	(void)netdev_set("ipv4", "all", "send_redirects", "0");
}

static int set_up(const struct tap_port *p, const struct omni_port_conf *conf, uint16_t mtu)
{
	int rc = netdev_set_mtu(p->interface, mtu);

	if (rc == 0 && conf->has_mac && p->made_up == 0)
		rc = netdev_set_mac(p->interface, conf->mac);
	if (p->made_up != 0)
		be_quiet(p);
	if (rc == 0)
		rc = netdev_set_up(p->interface, p->made_up != 0 ? IFF_MULTICAST : 0);
	/* It is about speed, and a kernel may not know it. */
	if (rc == 0)
		(void)netdev_set_segment_max(p->interface, SEGMENT_LEN);
	return rc;
}

void tap_refresh(struct omni_port *port)
{
	const struct tap_port *p = port->priv;
	struct netdev dev;
	struct ifreq ifr;

	if (netdev_read(p->interface, &dev) < 0) {
		/*
		 * Moved to another namespace: what we knew holds on, only its index means nothing
		 * here. Deleted: the descriptor has no interface any more.
		 */
		port->info.ifindex = 0;
		if (ioctl(p->q[0].fd, TUNGETIFF, &ifr) < 0 && errno == EBADFD)
			port->info.link_up = false;
		return;
	}
	port->info.ifindex = dev.ifindex;
	port->info.mtu = dev.mtu;
	port->info.link_up = dev.up;
	if (p->made_up == 0)
		memcpy(port->info.mac, dev.mac, sizeof(dev.mac));
}

int tap_open_as(struct omni_port *port, const struct omni_port_conf *conf, struct rte_mempool *pool,
		const uint8_t *link, struct omni_err *err)
{
	struct tap_port *p = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*p));
	uint16_t mtu = link != NULL ? OMNI_PORT_MTU_TUN : OMNI_PORT_MTU_DEFAULT;
	int rc;

	if (p == NULL)
		return omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
	memset(p, 0, sizeof(*p));
	memcpy(p->interface, conf->interface, sizeof(p->interface));
	if (link != NULL) {
		p->made_up = sizeof(p->link);
		memcpy(p->link, link, sizeof(p->link));
		memcpy(port->info.mac, link, sizeof(port->info.mac));
	}
	p->queues = driver_queues(conf, OMNI_PORT_QUEUES_MAX);
	p->pool = pool;
	p->frame_max = (uint16_t)omni_pool_frame_max(pool, OMNI_POOL_PLAIN);
	p->front_len = RTE_ALIGN_CEIL((uint32_t)p->frame_max, RTE_CACHE_LINE_SIZE);
	rc = open_queues(p);
	if (rc == 0)
		rc = set_up(p, conf, conf->mtu != 0 ? conf->mtu : mtu);
	if (rc < 0) {
		close_queues(p);
		free(p);
		if (access(TUN, F_OK) < 0)
			return omni_fail(err, rc,
					 "port %s: there is no " TUN
					 " (modprobe tun; in a container: --device " TUN ")",
					 conf->name);
		return omni_fail(err, rc, "port %s: cannot make interface %s: %s%s", conf->name,
				 conf->interface, strerror(-rc),
				 rc == -EPERM || rc == -EACCES ? " (run as root)" : "");
	}
	port->priv = p;
	port->info.queues = p->queues;
	port->info.frame_max = p->frame_max;
	strcpy(port->info.mode, "descriptor");
	snprintf(port->info.offloads, sizeof(port->info.offloads), "%s",
		 ask_offloads(p, conf->no_offload));
	port->info.segments = p->join;
	port->info.raw_ip = link != NULL;
	port->info.mac_is_far = link == NULL;
	tap_refresh(port);
	return 0;
}

static int tap_open(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err)
{
	return tap_open_as(port, conf, pool, NULL, err);
}

void tap_close(struct omni_port *port)
{
	struct tap_port *p = port->priv;

	close_queues(p);
	free(p);
	port->priv = NULL;
}

int tap_rx_fd(struct omni_port *port, uint16_t queue)
{
	return ((struct tap_port *)port->priv)->q[queue].fd;
}

void tap_stats(struct omni_port *port, struct omni_port_stats *s)
{
	const struct tap_port *p = port->priv;
	struct tap_counters c = {0};
	uint64_t *to = (uint64_t *)&c;

	for (uint16_t i = 0; i < p->queues; i++) {
		const uint64_t *from = (const uint64_t *)&p->q[i].count;

		for (size_t j = 0; j < sizeof(c) / sizeof(*to); j++)
			to[j] += driver_read(from + j);
	}
	s->rx_frames = c.rx_frames;
	s->rx_bytes = c.rx_bytes;
	s->tx_frames = c.tx_frames;
	s->tx_bytes = c.tx_bytes;
	s->rx_dropped = c.rx_bad_len + c.rx_not_ip + c.rx_offload;
	s->tx_dropped = c.tx_not_ip + c.tx_failed;
	driver_extra(s, "rx_no_buffer", c.rx_no_buffer);
	driver_extra(s, "rx_bad_len", c.rx_bad_len);
	if (p->made_up != 0)
		driver_extra(s, "rx_not_ip", c.rx_not_ip);
	driver_extra(s, "rx_offload", c.rx_offload);
	driver_extra(s, "rx_checksums", c.rx_checksums);
	driver_extra(s, "rx_segments", c.rx_segments);
	driver_extra(s, "rx_whole", c.rx_whole);
	driver_extra(s, "tx_segments", c.tx_segments);
	driver_extra(s, "tx_whole", c.tx_whole);
	if (p->made_up != 0)
		driver_extra(s, "tx_not_ip", c.tx_not_ip);
	driver_extra(s, "tx_failed", c.tx_failed);
}

/* What the kernel means where it refuses an address of IPv6. */
static const char *why_not(const struct omni_port *port, const struct omni_prefix *prefix, int rc)
{
	if (!omni_ip_is_v4(&prefix->ip) && port->info.mtu < MTU_V6)
		return "IPv6 needs an MTU of 1280";
	if (!omni_ip_is_v4(&prefix->ip) && rc == -EACCES)
		return "IPv6 is turned off here (net.ipv6.conf.*.disable_ipv6)";
	return strerror(-rc);
}

int omni_tap_set_address(struct omni_port *port, const struct omni_prefix *prefix,
			 struct omni_err *err)
{
	const struct tap_port *p = port->priv;
	char text[OMNI_PREFIX_TEXT_LEN];
	unsigned int ifindex = if_nametoindex(p->interface);
	int rc;

	if (port->ops != &omni_driver_tap && port->ops != &omni_driver_tun)
		return omni_fail(err, -EINVAL, "port %s is no tap or tun port", port->name);
	/* So that the interface has IPv6's addresses too when it was down and comes up again. */
	(void)netdev_set("ipv6", p->interface, "keep_addr_on_down", "1");
	rc = ifindex != 0 ? netdev_add_address(ifindex, prefix) : -ENODEV;
	if (rc == 0)
		return 0;
	return omni_fail(err, rc, "port %s: cannot give %s to %s: %s", port->name,
			 omni_prefix_text(text, prefix), p->interface, why_not(port, prefix, rc));
}

const struct omni_port_ops omni_driver_tap = {
	.driver = "tap",
	.check = tap_check,
	.open = tap_open,
	.close = tap_close,
	.rx = tap_rx,
	.tx = tap_tx,
	.whole = tap_whole,
	.rx_fd = tap_rx_fd,
	.arm = tap_arm,
	.stats = tap_stats,
	.refresh = tap_refresh,
};
