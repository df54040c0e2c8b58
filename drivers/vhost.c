/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Virtio queues in shared memory, over DPDK's net_vhost and net_virtio_user. A vhost port is the
 * backend, a virtual machine its frontend; a virtio-user port is the frontend of another
 * process's backend, or of the kernel's (vhost-net).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_eth_vhost.h>
#include <rte_ethdev.h>
#include <rte_vhost.h>

#include "ethdev.h"
#include "unix_path.h"

#define UFO (1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_GUEST_UFO)
#define TSO_OUT (1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6)
#define VHOST_NET "/dev/vhost-net"
#define VIRTIO_QUEUE_SIZE 1024
#define ARGS_LEN (OMNI_PORT_PATH_LEN + 160)

static uint16_t queues_of(const struct omni_port_conf *conf)
{
	return conf->queues != 0 ? conf->queues : 1;
}

/* The guest says when it connects; it may be another one each time. */
static bool guest_takes_segments(uint16_t dev)
{
	int vid = rte_eth_vhost_get_vid_from_port_id(dev);
	uint64_t features = 0;

	return vid >= 0 && rte_vhost_get_negotiated_features(vid, &features) == 0 &&
	       (features & TSO_OUT) == TSO_OUT;
}

static int vhost_open(struct omni_port *port, const struct omni_port_conf *conf,
		      struct rte_mempool *pool, struct omni_err *err)
{
	char name[32], args[ARGS_LEN];
	int rc = conf->server ? unix_path_free(conf, err) : 0;

	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "net_vhost%u", port->id);
	snprintf(args, sizeof(args), "iface=%s,queues=%u,client=%d,tso=%d", conf->socket,
		 queues_of(conf), !conf->server, !conf->no_offload);
	rc = ethdev_open(port, conf, pool,
			 &(struct ethdev_device){
				 .bus = "vdev",
				 .name = name,
				 .args = args,
				 .interrupts = true,
				 /* Its offer is a loop over the bytes in software. */
				 .checksums = false,
				 .segments = !conf->no_offload,
				 .takes_segments = guest_takes_segments,
			 },
			 err);
	/* Large UDP datagrams to be cut into IP fragments are nobody's wish any more. */
	if (rc == 0)
		(void)rte_vhost_driver_disable_features(conf->socket, UFO);
	return rc;
}

static int virtio_user_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->socket[0] != '\0' && conf->interface[0] != '\0')
		return omni_fail(err, -EINVAL,
				 "port %s: a virtio-user port has a socket or an interface, not "
				 "both",
				 conf->name);
	if (conf->interface[0] == '\0')
		return unix_path_check(conf, err);
	if (access(VHOST_NET, R_OK | W_OK) < 0)
		return omni_fail(err, -errno,
				 "port %s: " VHOST_NET ": %s (modprobe vhost-net, or driver: tap)",
				 conf->name, strerror(errno));
	return 0;
}

static void virtio_user_args(char args[ARGS_LEN], const struct omni_port_conf *conf)
{
	const uint8_t *m = conf->mac;
	int len = snprintf(args, ARGS_LEN, "path=%s,queues=%u,queue_size=%d%s%s",
			   conf->interface[0] != '\0' ? VHOST_NET : conf->socket, queues_of(conf),
			   VIRTIO_QUEUE_SIZE, conf->interface[0] != '\0' ? ",iface=" : "",
			   conf->interface);

	if (conf->has_mac)
		snprintf(args + len, ARGS_LEN - (size_t)len, ",mac=%02x:%02x:%02x:%02x:%02x:%02x",
			 m[0], m[1], m[2], m[3], m[4], m[5]);
}

/*
 * The backend must be there first: as a server, DPDK's virtio-user would not return from its
 * start before somebody connects.
 */
static int check_backend(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->socket[0] == '\0' || access(conf->socket, F_OK) == 0)
		return 0;
	return omni_fail(err, -ENOENT,
			 "port %s: no vhost-user backend has made %s yet: start it first",
			 conf->name, conf->socket);
}

static int virtio_user_open(struct omni_port *port, const struct omni_port_conf *conf,
			    struct rte_mempool *pool, struct omni_err *err)
{
	char name[32], args[ARGS_LEN];
	int rc = check_backend(conf, err);

	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "net_virtio_user%u", port->id);
	virtio_user_args(args, conf);
	return ethdev_open(port, conf, pool,
			   &(struct ethdev_device){
				   .bus = "vdev",
				   .name = name,
				   .args = args,
				   .interrupts = true,
				   .checksums = !conf->no_offload,
				   .segments = !conf->no_offload,
			   },
			   err);
}

const struct omni_port_ops omni_driver_vhost = ETHDEV_OPS("vhost", unix_path_check, vhost_open);
const struct omni_port_ops omni_driver_virtio_user =
	ETHDEV_OPS("virtio-user", virtio_user_check, virtio_user_open);
