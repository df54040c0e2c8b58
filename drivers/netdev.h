/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Kernel interfaces: what they are, and the few things we set on our own. Control. */
#ifndef OMNI_NETDEV_H
#define OMNI_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>

struct netdev {
	unsigned int ifindex;
	uint16_t mtu;
	uint16_t rx_queues; /* 0: the interface does not say */
	uint8_t mac[6];
	bool up;      /* administratively */
	bool running; /* and with carrier */
};

/* Facts of an interface of this namespace. 0, -ENODEV, or -errno. */
int netdev_read(const char *name, struct netdev *dev);

/* 0, or -ENODEV with "no such interface X (have: eth0, lo)". */
int netdev_check(const char *name, struct omni_err *err);

/* The changes; 0 or -errno. */
int netdev_set_mtu(const char *name, uint16_t mtu);
int netdev_set_mac(const char *name, const uint8_t mac[6]);
/* without: flags that it loses. */
int netdev_set_up(const char *name, short without);
/* One of the kernel's settings of an interface: net.FAMILY.conf.NAME.KEY. */
int netdev_set(const char *family, const char *name, const char *key, const char *value);
/* The longest segment that the kernel hands over, headers included. */
int netdev_set_segment_max(const char *name, uint32_t len);
/* Frames to any MAC come in while the descriptor that is returned stays open; or -errno. */
int netdev_promiscuous(unsigned int ifindex);
/* Add an address of either family; one that is there already is fine. */
int netdev_add_address(unsigned int ifindex, const struct omni_prefix *prefix);

#endif
