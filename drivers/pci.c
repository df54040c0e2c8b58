/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Dedicated NICs by PCI address (`pci`), and any other DPDK device by its devargs (`ethdev`).
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethdev.h"

#define PCI_DEVICES "/sys/bus/pci/devices/"

/* Kernel drivers beside which, or through which, DPDK works with a NIC. */
static const char *const usable[] = {"vfio-pci",  "igb_uio",   "uio_pci_generic",
				     "mlx5_core", "mlx4_core", "virtio-pci"};

static bool is_usable(const char *driver)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(usable); i++)
		if (strcmp(driver, usable[i]) == 0)
			return true;
	return false;
}

/* Name of the kernel driver that has the device; "" for none. */
static void kernel_driver(char *out, size_t len, const char *device)
{
	char path[64 + OMNI_PORT_DEVICE_LEN], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "%s/driver", device);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	snprintf(out, len, "%s", n < 0 ? "" : basename(target));
}

static bool is_address(const char *text)
{
	unsigned int domain, bus, device, function;
	int end = 0;

	return sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 &&
	       text[end] == '\0' && strlen(text) == strlen("0000:00:00.0");
}

static int pci_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	char path[64 + OMNI_PORT_DEVICE_LEN], driver[64];

	if (!is_address(conf->device))
		return omni_fail(err, -EINVAL,
				 "port %s: \"%s\" is no PCI address, expected one like "
				 "0000:03:00.1",
				 conf->name, conf->device);
	snprintf(path, sizeof(path), PCI_DEVICES "%s", conf->device);
	if (access(path, F_OK) < 0)
		return omni_fail(err, -ENODEV, "port %s: there is no PCI device %s (lspci -D)",
				 conf->name, conf->device);
	kernel_driver(driver, sizeof(driver), conf->device);
	if (is_usable(driver))
		return 0;
	return omni_fail(err, -EBUSY,
			 "port %s: %s is with the kernel's driver \"%s\" (dpdk-devbind.py -b "
			 "vfio-pci %s)",
			 conf->name, conf->device, driver[0] != '\0' ? driver : "none",
			 conf->device);
}

static int pci_open(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err)
{
	return ethdev_open(port, conf, pool,
			   &(struct ethdev_device){
				   .bus = "pci",
				   .name = conf->device,
				   .args = "",
				   .interrupts = true,
				   .checksums = true,
			   },
			   err);
}

/* The name of a virtual device ends at the first comma of its devargs. */
static int devargs_check(const struct omni_port_conf *conf, struct omni_err *err)
{
	size_t len = strcspn(conf->device, ",");

	if (strncmp(conf->device, "net_", 4) == 0 && len < sizeof(conf->name))
		return 0;
	return omni_fail(err, -EINVAL,
			 "port %s: devargs \"%s\" name no virtual device of DPDK's, expected "
			 "net_NAME and arguments (NICs: driver: pci)",
			 conf->name, conf->device);
}

static int devargs_open(struct omni_port *port, const struct omni_port_conf *conf,
			struct rte_mempool *pool, struct omni_err *err)
{
	size_t len = strcspn(conf->device, ",");
	char name[OMNI_PORT_DEVICE_LEN];

	memcpy(name, conf->device, sizeof(name));
	name[len] = '\0';
	return ethdev_open(port, conf, pool,
			   &(struct ethdev_device){
				   .bus = "vdev",
				   .name = name,
				   .args = conf->device[len] == ',' ? conf->device + len + 1 : "",
				   .checksums = true,
			   },
			   err);
}

const struct omni_port_ops omni_driver_pci = ETHDEV_OPS("pci", pci_check, pci_open);
const struct omni_port_ops omni_driver_ethdev = ETHDEV_OPS("ethdev", devargs_check, devargs_open);
