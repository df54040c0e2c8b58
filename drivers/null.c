/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Swallows what is sent and receives nothing; mode "source" receives empty frames endlessly. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ethdev.h"

static int null_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	if (conf->mode[0] != '\0' && strcmp(conf->mode, "source") != 0)
		return omni_fail(err, -EINVAL, "port %s: mode %s of a null port is not source",
				 conf->name, conf->mode);
	return 0;
}

static int null_open(struct omni_port *port, const struct omni_port_conf *conf,
		     struct rte_mempool *pool, struct omni_err *err)
{
	char device[32], args[32];

	snprintf(device, sizeof(device), "net_null%u", port->id);
	snprintf(args, sizeof(args), "size=64,copy=0,no-rx=%d", conf->mode[0] == '\0');
	return ethdev_open(port, conf, pool,
			   &(struct ethdev_device){.bus = "vdev", .name = device, .args = args},
			   err);
}

const struct omni_port_ops omni_driver_null = {
	.driver = "null",
	.check = null_check,
	.open = null_open,
	.close = ethdev_close,
	.rx = ethdev_rx,
	.tx = ethdev_tx,
	.rx_fd = ethdev_rx_fd,
	.stats = ethdev_stats,
	.refresh = ethdev_refresh,
};
