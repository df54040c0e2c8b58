/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared memory to a container, over DPDK's net_memif; either side of the socket. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ethdev.h"

#define BUFFER_ALIGN 64
#define RING_LOG2 10

static int check_folder(const struct omni_port_conf *conf, struct omni_err *err)
{
	char path[OMNI_PORT_PATH_LEN];
	struct stat st;
	const char *dir;

	memcpy(path, conf->socket, sizeof(path));
	dir = dirname(path);
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return omni_fail(err, -ENOENT, "port %s: no folder %s for the socket", conf->name,
				 dir);
	return 0;
}

static int memif_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->socket[0] != '/')
		return omni_fail(err, -EINVAL, "port %s: the socket of a memif port is a full path",
				 conf->name);
	if (strpbrk(conf->socket, ",=") != NULL)
		return omni_fail(err, -EINVAL,
				 "port %s: no comma or = can be in a memif socket's path",
				 conf->name);
	return check_folder(conf, err);
}

/*
 * A server's path must be free: what a dead process left is removed, what somebody listens on
 * or what is no socket is an error. The question is asked with a socket of another type, which
 * the kernel refuses with EPROTOTYPE: DPDK's memif server panics when a client leaves at once.
 */
static int free_path(const struct omni_port_conf *conf, struct omni_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, rc;

	if (lstat(conf->socket, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return omni_fail(err, -EEXIST, "port %s: %s exists and is no socket", conf->name,
				 conf->socket);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return omni_fail(err, -errno, "port %s: no socket", conf->name);
	memcpy(sa.sun_path, conf->socket, sizeof(sa.sun_path));
	rc = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? errno : 0;
	close(fd);
	if (rc != ECONNREFUSED)
		return omni_fail(err, -EADDRINUSE, "port %s: another process has %s", conf->name,
				 conf->socket);
	return unlink(conf->socket) == 0 ? 0
					 : omni_fail(err, -errno, "port %s: cannot remove old %s",
						     conf->name, conf->socket);
}

static int memif_open(struct omni_port *port, const struct omni_port_conf *conf,
		      struct rte_mempool *pool, struct omni_err *err)
{
	uint16_t mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	unsigned int buffer =
		RTE_ALIGN_CEIL(RTE_MAX(2048u, mtu + OMNI_PORT_L2_OVERHEAD + 0u), BUFFER_ALIGN);
	const uint8_t *m = conf->mac;
	char device[32], args[OMNI_PORT_PATH_LEN + 128];
	int rc = conf->server ? free_path(conf, err) : 0, len;

	if (rc < 0)
		return rc;
	snprintf(device, sizeof(device), "net_memif%u", port->id);
	len = snprintf(args, sizeof(args),
		       "role=%s,id=%u,socket=%s,socket-abstract=no,bsize=%u,rsize=%d",
		       conf->server ? "server" : "client", conf->memif_id, conf->socket, buffer,
		       RING_LOG2);
	if (conf->has_mac)
		snprintf(args + len, sizeof(args) - (size_t)len,
			 ",mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return ethdev_open(port, conf, pool, device, args, err);
}

const struct omni_port_ops omni_driver_memif = {
	.driver = "memif",
	.check = memif_check,
	.open = memif_open,
	.close = ethdev_close,
	.rx = ethdev_rx,
	.tx = ethdev_tx,
	.rx_fd = ethdev_rx_fd,
	.stats = ethdev_stats,
	.refresh = ethdev_refresh,
};
