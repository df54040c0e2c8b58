/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>

#include "drivers.h"

static const struct omni_port_ops *const drivers[] = {
	&omni_driver_af_xdp, &omni_driver_tap,	       &omni_driver_memif,
	&omni_driver_vhost,  &omni_driver_virtio_user, &omni_driver_pci,
	&omni_driver_ethdev, &omni_driver_ring,	       &omni_driver_null,
};

#define NAMES "af_xdp, tap, memif, vhost, virtio-user, pci, ethdev, ring, null"

static const char *const names[] = {"af_xdp", "tap",	"memif", "vhost", "virtio-user",
				    "pci",    "ethdev", "ring",	 "null",  NULL};

/* Kinds that the configuration knows and that this version does not drive. */
static const char *const other[] = {"udp", "auto", NULL};

const char *const *omni_driver_names(void)
{
	return names;
}

static bool listed(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

const struct omni_port_ops *omni_driver_find(const char *name, struct omni_err *err)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->driver, name) == 0)
			return drivers[i];
	if (listed(other, name))
		omni_fail(err, -ENOTSUP, "driver \"%s\" is not in this version (have: " NAMES ")",
			  name);
	else
		omni_fail(err, -EINVAL, "unknown driver \"%s\" (have: " NAMES ")", name);
	rte_errno = EINVAL;
	return NULL;
}
