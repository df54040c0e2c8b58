/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the drivers share among themselves. */
#ifndef OMNI_DRIVERS_PRIVATE_H
#define OMNI_DRIVERS_PRIVATE_H

#include <omni_drivers.h>

extern const struct omni_port_ops omni_driver_af_xdp;
extern const struct omni_port_ops omni_driver_auto;
extern const struct omni_port_ops omni_driver_ethdev;
extern const struct omni_port_ops omni_driver_memif;
extern const struct omni_port_ops omni_driver_null;
extern const struct omni_port_ops omni_driver_pci;
extern const struct omni_port_ops omni_driver_ring;
extern const struct omni_port_ops omni_driver_tap;
extern const struct omni_port_ops omni_driver_tun;
extern const struct omni_port_ops omni_driver_udp;
extern const struct omni_port_ops omni_driver_vhost;
extern const struct omni_port_ops omni_driver_virtio_user;

/* Largest burst that a driver handles at once on its stack. */
#define DRIVER_BURST 64

/*
 * Counters are written by the queue's owner and read by control at the same time: whole words,
 * no order. Only one thread writes, so an addition needs no atomic operation.
 */
static inline void driver_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t driver_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Queues to open where the interface has so many at most: as configured, or one per worker. */
static inline uint16_t driver_queues(const struct omni_port_conf *conf, unsigned int most)
{
	unsigned int workers = OMNI_MAX(conf->workers, 1u);

	return conf->queues != 0 ? conf->queues : (uint16_t)OMNI_MIN(workers, most);
}

/* Totals over queues have a name each; static. */
static inline void driver_extra(struct omni_port_stats *stats, const char *name, uint64_t value)
{
	if (stats->n_extra < OMNI_PORT_EXTRA_MAX)
		stats->extra[stats->n_extra++] =
			(struct omni_port_extra){.name = name, .value = value};
}

#endif
