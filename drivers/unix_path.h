/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unix sockets of memif, vhost and virtio-user ports: their paths. Control. */
#ifndef OMNI_UNIX_PATH_H
#define OMNI_UNIX_PATH_H

#include "drivers.h"

/* 0, or -errno and a sentence where conf->socket cannot be a socket's path. Changes nothing. */
int unix_path_check(const struct omni_port_conf *conf, struct omni_err *err);

/*
 * A server's path must be free: what a dead process left is removed, what somebody listens on
 * or what is no socket is an error. 0 or -errno with a sentence in err.
 */
int unix_path_free(const struct omni_port_conf *conf, struct omni_err *err);

#endif
