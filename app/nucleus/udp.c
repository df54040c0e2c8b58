/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The UDP socket: both families on one descriptor, answers from the address that was asked. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "udp.h"

#define RECEIVE_BUFFER (4 << 20) /* a site's heartbeats at once; the kernel may grant less */

static int set_flag(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int configure(int fd, int family, bool any)
{
	if (family == AF_INET6 && (set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? 0 : 1) != 0 ||
				   set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) != 0))
		return -errno;
	if (family == AF_INET && set_flag(fd, IPPROTO_IP, IP_PKTINFO, 1) != 0)
		return -errno;
	(void)set_flag(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	return 0;
}

static int open_family(int family, const struct omni_endpoint *at, bool any)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;
	struct sockaddr_storage sa;
	socklen_t len = omni_endpoint_to_sockaddr(at, family == AF_INET6, &sa);

	if (fd < 0)
		return -errno;
	rc = configure(fd, family, any);
	if (rc == 0 && bind(fd, (struct sockaddr *)&sa, len) != 0)
		rc = -errno;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

int udp_open(const struct omni_ip *listen, bool any, uint16_t port, struct omni_err *err)
{
	struct omni_endpoint at = {.port = port};
	char text[OMNI_ENDPOINT_TEXT_LEN];
	int fd;

	if (!any)
		at.ip = *listen;
	fd = open_family(any || !omni_ip_is_v4(&at.ip) ? AF_INET6 : AF_INET, &at, any);
	if (any && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
		at.ip = omni_ip_from_v4(INADDR_ANY);
		fd = open_family(AF_INET, &at, any);
	}
	if (fd < 0)
		return omni_fail(err, fd, "UDP socket on %s: %s", omni_endpoint_text(text, &at),
				 strerror(-fd));
	return fd;
}

/* Turn the ancillary data of a datagram into that of its answer. */
static void keep_arrival(struct arrival *a, struct msghdr *msg)
{
	struct cmsghdr *c;

	a->control_len = 0;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (void *)CMSG_DATA(c);

			/* Routes choose the interface, but for an address of one link. */
			if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (void *)CMSG_DATA(c);

			info->ipi_spec_dst = info->ipi_addr;
			info->ipi_ifindex = 0;
		} else {
			continue;
		}
		a->control_len = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));
		memmove(a->control, c, c->cmsg_len);
		return;
	}
}

int udp_receive(int fd, uint8_t *buf, size_t len, struct arrival *a)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[sizeof(a->control)];
	} control;
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr msg = {
		.msg_name = &a->from,
		.msg_namelen = sizeof(a->from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return -errno;
	a->from_len = msg.msg_namelen;
	keep_arrival(a, &msg);
	return (int)n;
}

int udp_answer(int fd, const void *buf, size_t len, struct arrival *a)
{
	/* The kernel reads only; the interface is older than const. */
	union {
		const void *in;
		void *out;
	} bytes = {.in = buf};
	union {
		struct cmsghdr align;
		uint8_t bytes[sizeof(a->control)];
	} control;
	struct iovec iov = {.iov_base = bytes.out, .iov_len = len};
	struct msghdr msg = {
		.msg_name = &a->from,
		.msg_namelen = a->from_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = a->control_len > 0 ? control.bytes : NULL,
		.msg_controllen = a->control_len,
	};

	memcpy(control.bytes, a->control, sizeof(control.bytes));
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

int udp_send(int fd, const void *buf, size_t len, const struct omni_endpoint *to,
	     const struct arrival *a)
{
	struct arrival to_other = *a;
	struct omni_endpoint from;

	if (omni_endpoint_from_sockaddr(&from, &a->from) != 0 ||
	    omni_ip_is_v4(&from.ip) != omni_ip_is_v4(&to->ip))
		to_other.control_len = 0;
	to_other.from_len =
		omni_endpoint_to_sockaddr(to, a->from.ss_family == AF_INET6, &to_other.from);
	return udp_answer(fd, buf, len, &to_other);
}
