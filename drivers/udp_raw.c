/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * IP fragments on a udp port. The kernel cuts a datagram by the MTU of its own route, which knows
 * nothing of a path that control knows, so they come cut; raw sockets take them as they are.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <omni_log.h>

#include "udp.h"

static int open_one(const char *interface, int family, uint32_t mark)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);

	if (fd >= 0 && interface[0] != '\0' &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
		       (socklen_t)strlen(interface) + 1) < 0) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0 && mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		omni_log_debug("udp", "no fragments will be sent", "reason=\"%s\"",
			       strerror(errno));
	return fd;
}

void udp_raw_open(struct udp_port *p, uint32_t mark)
{
	p->raw_v4 = open_one(p->interface, AF_INET, mark);
	p->raw_v6 = open_one(p->interface, AF_INET6, mark);
}

void udp_raw_close(struct udp_port *p)
{
	if (p->raw_v4 >= 0)
		close(p->raw_v4);
	if (p->raw_v6 >= 0)
		close(p->raw_v6);
	p->raw_v4 = p->raw_v6 = -1;
}

/* Where it goes to, and the control message that says from where. */
struct address {
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t to_len, control_len;
	union udp_control control;
};

static void put_control(struct address *a, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = &a->control.align;

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	a->control_len = CMSG_SPACE(len);
}

static void read_v4(struct address *a, const uint8_t *ip)
{
	struct in_pktinfo from = {0};

	a->to.v4.sin_family = AF_INET;
	a->to_len = sizeof(a->to.v4);
	memcpy(&from.ipi_spec_dst, ip + 12, 4);
	memcpy(&a->to.v4.sin_addr, ip + 16, 4);
	put_control(a, SOL_IP, IP_PKTINFO, &from, sizeof(from));
}

static void read_v6(struct address *a, const uint8_t *ip)
{
	struct in6_pktinfo from = {0};

	a->to.v6.sin6_family = AF_INET6;
	a->to_len = sizeof(a->to.v6);
	memcpy(&from.ipi6_addr, ip + 8, 16);
	memcpy(&a->to.v6.sin6_addr, ip + 24, 16);
	put_control(a, SOL_IPV6, IPV6_PKTINFO, &from, sizeof(from));
}

/* 0, or the error. */
static int send_one(const struct udp_port *p, const struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, UDP_ETHER_LEN);
	bool v6 = ip[0] >> 4 == 6;
	struct iovec iov = {.iov_base = ip, .iov_len = m->data_len - UDP_ETHER_LEN};
	struct address a = {0};
	struct msghdr msg = {.msg_name = &a.to, .msg_iov = &iov, .msg_iovlen = 1};
	int fd = v6 ? p->raw_v6 : p->raw_v4;

	if (fd < 0)
		return EPERM;
	if (v6)
		read_v6(&a, ip);
	else
		read_v4(&a, ip);
	msg.msg_namelen = a.to_len;
	msg.msg_control = &a.control;
	msg.msg_controllen = a.control_len;
	return sendmsg(fd, &msg, MSG_DONTWAIT) < 0 ? errno : 0;
}

uint16_t udp_raw_tx(const struct udp_port *p, struct udp_queue *q, struct rte_mbuf **m, uint16_t n)
{
	uint16_t done = 0;

	while (done < n && udp_is_fragment(m[done])) {
		int rc = send_one(p, m[done]);

		if (udp_tx_failed(q, rc))
			break;
		if (rc == 0)
			udp_tx_sent(q, 1, m[done]->pkt_len);
		rte_pktmbuf_free(m[done++]);
	}
	return done;
}
