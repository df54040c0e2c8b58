/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel sockets of a udp port: how they are bound and set. Control. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "udp.h"

/* A burst of several megabytes waits while the worker does other work; memory is taken as used. */
#define SOCKET_BUFFER (8 * 1024 * 1024)

struct option {
	int level, name, value;
	bool needed;
	const char *what;
};

static int set_options(int fd, const struct option *o, size_t n, struct omni_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (setsockopt(fd, o[i].level, o[i].name, &o[i].value, sizeof(o[i].value)) == 0 ||
		    !o[i].needed)
			continue;
		return omni_fail(err, -errno, "UDP socket: %s: %s", o[i].what, strerror(errno));
	}
	return 0;
}

/* DF is set and the kernel's idea of the path MTU is not asked: paths are measured by control. */
static int set_up(int fd, bool v4_only, struct omni_err *err)
{
	static const struct option both[] = {
		{SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER, false, "receive buffer"},
		{SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER, false, "send buffer"},
		{SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER, false, "receive buffer"},
		{SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER, false, "send buffer"},
		{SOL_UDP, UDP_GRO, 1, false, "receive several datagrams at once"},
		{SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, true, "set the DF bit"},
		{SOL_IP, IP_RECVTOS, 1, true, "tell the TOS byte"},
	};
	static const struct option v4[] = {{SOL_IP, IP_PKTINFO, 1, true, "tell local addresses"}};
	static const struct option v6[] = {
		{SOL_IPV6, IPV6_V6ONLY, 0, true, "receive both families"},
		{SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, true, "measure paths"},
		{SOL_IPV6, IPV6_RECVPKTINFO, 1, true, "tell local addresses"},
		{SOL_IPV6, IPV6_RECVTCLASS, 1, true, "tell the traffic class"},
	};
	int rc = set_options(fd, both, OMNI_ARRAY_SIZE(both), err);

	if (rc < 0)
		return rc;
	return v4_only ? set_options(fd, v4, OMNI_ARRAY_SIZE(v4), err)
		       : set_options(fd, v6, OMNI_ARRAY_SIZE(v6), err);
}

static int bind_to(int fd, bool v4_only, const struct omni_ip *address, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	/* The address of no family is also the one that stands for any. */
	memcpy(&v6.sin6_addr, address->b, sizeof(v6.sin6_addr));
	if (omni_ip_is_v4(address))
		v4.sin_addr.s_addr = omni_ip_to_v4(address);
	return v4_only ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
		       : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
}

/* A socket of both families, or of IPv4 where the kernel has no IPv6. */
static int new_socket(bool *v4_only)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*v4_only = fd < 0;
	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd;
}

static int bind_device(int fd, const char *interface)
{
	if (interface[0] == '\0')
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
			  (socklen_t)strlen(interface) + 1);
}

static int set_mark(int fd, uint32_t mark)
{
	return mark != 0 ? setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) : 0;
}

static int open_one(const struct omni_port_conf *conf, uint16_t port, bool share, bool *v4_only,
		    struct omni_err *err)
{
	int fd = new_socket(v4_only), on = 1, rc;

	if (fd < 0)
		return omni_fail(err, -errno, "port %s: no UDP socket: %s", conf->name,
				 strerror(errno));
	rc = set_up(fd, *v4_only, err);
	if (rc == 0 && bind_device(fd, conf->interface) < 0)
		rc = omni_fail(err, -errno, "port %s: cannot bind a socket to %s: %s", conf->name,
			       conf->interface, strerror(errno));
	if (rc == 0 && set_mark(fd, conf->fwmark) < 0)
		rc = omni_fail(err, -errno, "port %s: cannot mark datagrams: %s", conf->name,
			       strerror(errno));
	if (rc == 0 && share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		rc = omni_fail(err, -errno, "port %s: cannot share a UDP port: %s", conf->name,
			       strerror(errno));
	if (rc == 0 && bind_to(fd, *v4_only, &conf->address, port) < 0) {
		rc = -errno;
		omni_fail(err, rc, "port %s: UDP port %u: %s%s", conf->name, port, strerror(-rc),
			  rc == -EADDRINUSE ? " (another gateway, or WireGuard?)" : "");
	}
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* Sharing is among our own sockets: another process of ours would be let in without a word. */
static int check_free(const struct omni_port_conf *conf, struct omni_err *err)
{
	bool v4_only;
	int fd = open_one(conf, conf->udp_ports[0], false, &v4_only, err);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int open_lanes(struct udp_port *p, const struct omni_port_conf *conf, struct omni_err *err)
{
	for (uint16_t i = 0; i < p->n_lanes; i++) {
		struct udp_lane *lane = &p->lane[i];
		bool v4_only;

		lane->port = conf->udp_ports[i + 1];
		lane->fd = open_one(conf, lane->port, false, &v4_only, err);
		if (lane->fd < 0)
			return lane->fd;
		udp_filter_attach(p->filter, lane->fd);
	}
	return 0;
}

static int wait_for(int epoll, int fd, struct omni_err *err)
{
	struct epoll_event ev = {.events = EPOLLIN};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	return omni_fail(err, -errno, "no descriptor to sleep on: %s", strerror(errno));
}

/* What the queue's worker sleeps on: its only socket, or a descriptor that stands for all. */
static int gather(struct udp_port *p, uint16_t queue, struct omni_err *err)
{
	struct udp_queue *q = &p->q[queue];
	int rc;

	q->wait_fd = q->fd;
	if (queue >= p->n_lanes)
		return 0;
	q->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (q->wait_fd < 0)
		return omni_fail(err, -errno, "no descriptor to sleep on: %s", strerror(errno));
	rc = wait_for(q->wait_fd, q->fd, err);
	for (unsigned int i = queue; rc == 0 && i < p->n_lanes; i += p->queues)
		rc = wait_for(q->wait_fd, p->lane[i].fd, err);
	return rc;
}

int udp_sockets_open(struct udp_port *p, const struct omni_port_conf *conf, struct omni_err *err)
{
	bool share = p->queues > 1;
	int rc = share ? check_free(conf, err) : 0;

	for (uint16_t i = 0; i < p->queues; i++)
		p->q[i].fd = p->q[i].wait_fd = -1;
	for (uint16_t i = 0; i < p->n_lanes; i++)
		p->lane[i].fd = -1;
	for (uint16_t i = 0; rc == 0 && i < p->queues; i++) {
		p->q[i].fd = open_one(conf, conf->udp_ports[0], share, &p->q[i].v4_only, err);
		if (p->q[i].fd < 0)
			rc = p->q[i].fd;
		else
			udp_filter_attach(p->filter, p->q[i].fd);
	}
	if (rc == 0)
		rc = open_lanes(p, conf, err);
	for (uint16_t i = 0; rc == 0 && i < p->queues; i++)
		rc = gather(p, i, err);
	if (rc < 0)
		udp_sockets_close(p);
	return rc;
}

void udp_sockets_close(struct udp_port *p)
{
	for (uint16_t i = 0; i < p->queues; i++) {
		if (p->q[i].wait_fd >= 0 && p->q[i].wait_fd != p->q[i].fd)
			close(p->q[i].wait_fd);
		if (p->q[i].fd >= 0)
			close(p->q[i].fd);
		p->q[i].fd = p->q[i].wait_fd = -1;
	}
	for (uint16_t i = 0; i < p->n_lanes; i++) {
		if (p->lane[i].fd >= 0)
			close(p->lane[i].fd);
		p->lane[i].fd = -1;
	}
}

void udp_sockets_rebind(const struct udp_port *p)
{
	for (uint16_t i = 0; i < p->queues; i++)
		(void)bind_device(p->q[i].fd, p->interface);
	for (uint16_t i = 0; i < p->n_lanes; i++)
		(void)bind_device(p->lane[i].fd, p->interface);
	(void)bind_device(p->raw_v4, p->interface);
	(void)bind_device(p->raw_v6, p->interface);
}

static uint64_t dropped(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

uint64_t udp_sockets_dropped(const struct udp_port *p)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < p->queues; i++)
		sum += dropped(p->q[i].fd);
	for (uint16_t i = 0; i < p->n_lanes; i++)
		sum += dropped(p->lane[i].fd);
	return sum;
}
