/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unix_path.h"

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

int unix_path_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->socket[0] != '/')
		return omni_fail(err, -EINVAL, "port %s: the socket of a %s port is a full path",
				 conf->name, conf->driver);
	if (strpbrk(conf->socket, ",=") != NULL)
		return omni_fail(err, -EINVAL,
				 "port %s: no comma or = can be in a %s socket's path", conf->name,
				 conf->driver);
	return check_folder(conf, err);
}

int unix_path_free(const struct omni_port_conf *conf, struct omni_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, rc;

	if (lstat(conf->socket, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return omni_fail(err, -EEXIST, "port %s: %s exists and is no socket", conf->name,
				 conf->socket);
	/*
	 * Asked with a socket of another type, which the kernel refuses with EPROTOTYPE: DPDK's
	 * memif server panics when a client leaves at once.
	 */
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
