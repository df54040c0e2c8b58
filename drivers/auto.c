/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The better driver for an uplink on a kernel interface: af_xdp where the interface's driver
 * gives zero-copy, else udp. AF_XDP that copies carries less than a socket. From open on the
 * port is that driver's; why says what was missing.
 */
#include <stdio.h>
#include <string.h>

#include "drivers.h"
#include "netdev.h"

static int check(const struct omni_port_conf *conf, struct omni_err *err)
{
	int rc = omni_driver_udp.check(conf, err);

	return rc < 0 ? rc : netdev_check(conf->interface, err);
}

static void become(struct omni_port *port, const struct omni_port_ops *ops)
{
	port->ops = ops;
	memset(&port->info, 0, sizeof(port->info));
	snprintf(port->info.driver, sizeof(port->info.driver), "%s", ops->driver);
}

static int open_port(struct omni_port *port, const struct omni_port_conf *conf,
		     struct rte_mempool *pool, struct omni_err *err)
{
	struct omni_port_conf zero_copy = *conf;
	struct omni_err why = {0};
	int rc;

	snprintf(zero_copy.mode, sizeof(zero_copy.mode), "zero-copy");
	become(port, &omni_driver_af_xdp);
	if (port->ops->open(port, &zero_copy, pool, &why) == 0)
		return 0;
	become(port, &omni_driver_udp);
	rc = port->ops->open(port, conf, pool, err);
	snprintf(port->info.why, sizeof(port->info.why), "%.*s", (int)sizeof(port->info.why) - 1,
		 why.text);
	return rc;
}

/* The rest is the chosen driver's. */
const struct omni_port_ops omni_driver_auto = {
	.driver = "auto",
	.check = check,
	.open = open_port,
};
