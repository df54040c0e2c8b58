/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <omni_wire.h>

#include "guard.h"

static int drop_everything(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog filter = {.len = OMNI_ARRAY_SIZE(code), .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

static int bind_both_families(int fd, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0;

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static int bind_ipv4(int fd, uint16_t port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};

	return bind(fd, (struct sockaddr *)&any, sizeof(any));
}

/* The port that fd is bound to. */
static int port_of(int fd, uint16_t *port)
{
	struct sockaddr_in6 at = {0};
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return -errno;
	*port = ntohs(at.sin6_port); /* an IPv4 socket has it there, too */
	return 0;
}

int guard_choose(uint16_t *port, unsigned int n, struct omni_err *err)
{
	int fd[OMNI_LANES_MAX], rc = 0;
	unsigned int held = 0;

	assert(n <= OMNI_LANES_MAX);
	/* All at once, so that they differ. */
	while (rc == 0 && held < n) {
		fd[held] = guard_open(0, err);
		if (fd[held] < 0)
			rc = fd[held];
		else
			rc = port_of(fd[held], &port[held]);
		held += fd[held] >= 0;
	}
	while (held > 0)
		close(fd[--held]);
	return rc;
}

int guard_open(uint16_t port, struct omni_err *err)
{
	bool v6 = true;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* A kernel without IPv6. */
	if (fd < 0) {
		v6 = false;
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return omni_fail(err, -errno, "no UDP socket: %s", strerror(errno));
	if (drop_everything(fd) < 0 || (v6 ? bind_both_families : bind_ipv4)(fd, port) < 0) {
		int rc = -errno;

		close(fd);
		return omni_fail(err, rc, "UDP port %u: %s%s", port, strerror(-rc),
				 rc == -EADDRINUSE ? " (another gateway, or WireGuard?)" : "");
	}
	return fd;
}
