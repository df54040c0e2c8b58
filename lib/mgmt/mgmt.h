/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of this library share. Control only. */
#ifndef MGMT_H
#define MGMT_H

#include <sys/types.h>

#include <omni_mgmt.h>

#define MGMT_READ_LEN 65536

struct client;

struct omni_mgmt {
	uv_loop_t *loop;
	struct omni_mgmt_method methods[OMNI_MGMT_METHODS_MAX];
	size_t n_methods;
	struct client *clients[OMNI_MGMT_CLIENTS_MAX];
	uv_pipe_t listener;
	bool listening, closing;
	unsigned int handles; /* open in the loop: freed when closing and none is left */
	char path[108];
	dev_t dev; /* of the socket's file, so that only ours is removed */
	ino_t ino;
	char chunk[MGMT_READ_LEN]; /* one read at a time: the loop has one thread */
};

#endif
