/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>

#include "drivers.h"

static const struct omni_port_ops *const drivers[] = {
	&omni_driver_af_xdp, &omni_driver_udp,	  &omni_driver_auto,  &omni_driver_tap,
	&omni_driver_tun,    &omni_driver_memif,  &omni_driver_vhost, &omni_driver_virtio_user,
	&omni_driver_pci,    &omni_driver_ethdev, &omni_driver_ring,  &omni_driver_null,
};

#define NAMES "af_xdp, udp, auto, tap, tun, memif, vhost, virtio-user, pci, ethdev, ring, null"

static const char *const names[] = {"af_xdp", "udp",   "auto",	      "tap", "tun",
				    "memif",  "vhost", "virtio-user", "pci", "ethdev",
				    "ring",   "null",  NULL};

const char *const *omni_driver_names(void)
{
	return names;
}

const struct omni_port_ops *omni_driver_find(const char *name, struct omni_err *err)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->driver, name) == 0)
			return drivers[i];
	omni_fail(err, -EINVAL, "unknown driver \"%s\" (have: " NAMES ")", name);
	rte_errno = EINVAL;
	return NULL;
}
