/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared memory to a container, over DPDK's net_memif; either side of the socket. */
#include <stdio.h>

#include "ethdev.h"
#include "unix_path.h"

#define BUFFER_ALIGN 64
#define RING_LOG2 10

static int memif_open(struct omni_port *port, const struct omni_port_conf *conf,
		      struct rte_mempool *pool, struct omni_err *err)
{
	uint16_t mtu = conf->mtu != 0 ? conf->mtu : OMNI_PORT_MTU_DEFAULT;
	unsigned int buffer =
		RTE_ALIGN_CEIL(RTE_MAX(2048u, mtu + OMNI_PORT_L2_OVERHEAD + 0u), BUFFER_ALIGN);
	const uint8_t *m = conf->mac;
	char device[32], args[OMNI_PORT_PATH_LEN + 128];
	int rc = conf->server ? unix_path_free(conf, err) : 0, len;

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
	return ethdev_open(port, conf, pool,
			   &(struct ethdev_device){.bus = "vdev", .name = device, .args = args},
			   err);
}

const struct omni_port_ops omni_driver_memif = ETHDEV_OPS("memif", unix_path_check, memif_open);
