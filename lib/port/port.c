/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_port.h>

static int check_conf(const struct omni_port_table *table, const struct omni_port_conf *conf,
		      struct omni_err *err)
{
	assert(memchr(conf->name, 0, sizeof(conf->name)) != NULL);
	assert(memchr(conf->interface, 0, sizeof(conf->interface)) != NULL);
	assert(memchr(conf->socket, 0, sizeof(conf->socket)) != NULL);
	if (conf->name[0] == '\0')
		return omni_fail(err, -EINVAL, "a port needs a name");
	if (omni_port_find(table, conf->name) != NULL)
		return omni_fail(err, -EEXIST, "port %s is open already", conf->name);
	if (conf->queues > OMNI_PORT_QUEUES_MAX)
		return omni_fail(err, -EINVAL, "port %s: %u queues, at most %u are possible",
				 conf->name, conf->queues, OMNI_PORT_QUEUES_MAX);
	if (conf->mtu != 0 && (conf->mtu < OMNI_PORT_MTU_MIN || conf->mtu > OMNI_PORT_MTU_MAX))
		return omni_fail(err, -EINVAL, "port %s: MTU %u is not in %u to %u", conf->name,
				 conf->mtu, OMNI_PORT_MTU_MIN, OMNI_PORT_MTU_MAX);
	return 0;
}

/* What is longer than a buffer is lost without a word later: refuse it now. */
static int check_frame(const struct omni_port *port, struct omni_err *err)
{
	unsigned int need = port->info.mtu + OMNI_PORT_L2_OVERHEAD;

	if (port->info.frame_max >= need)
		return 0;
	return omni_fail(err, -EMSGSIZE,
			 "port %s: MTU %u needs frames of %u bytes, its buffers hold %u",
			 port->name, port->info.mtu, need, port->info.frame_max);
}

static int free_id(const struct omni_port_table *table)
{
	for (int id = 0; id < OMNI_PORTS_MAX; id++)
		if (table->open[id] == NULL)
			return id;
	return -ENOSPC;
}

static bool is_zero(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return memcmp(mac, zero, sizeof(zero)) == 0;
}

/* Locally administered, and the same at each start. */
static void make_mac(uint8_t mac[6], const char *name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619U;
	mac[0] = 0x06;
	mac[1] = 0;
	memcpy(mac + 2, &hash, sizeof(hash));
}

/* Another one than the other side's, made from it. */
static void set_l3_mac(struct omni_port *port)
{
	uint8_t mac[6];

	memcpy(mac, port->info.mac, sizeof(mac));
	if (is_zero(mac))
		make_mac(mac, port->name);
	else if (port->info.mac_is_far)
		mac[0] = (mac[0] | 0x02) ^ 0x04;
	if (memcmp(port->info.l3_mac, mac, sizeof(mac)) != 0)
		memcpy(port->info.l3_mac, mac, sizeof(mac)); /* workers read it */
}

static int open_at(struct omni_port *port, const struct omni_port_conf *conf, struct omni_err *err)
{
	int rc = port->ops->open(port, conf, port->pool, err);

	if (rc < 0)
		return rc;
	port->queues = port->info.queues;
	set_l3_mac(port);
	rc = check_frame(port, err);
	if (rc < 0)
		port->ops->close(port);
	return rc;
}

struct omni_port *omni_port_open(struct omni_port_table *table, const struct omni_port_ops *ops,
				 const struct omni_port_conf *conf, struct rte_mempool *pool,
				 struct omni_err *err)
{
	struct omni_port *port = NULL;
	int rc = check_conf(table, conf, err), id = -1;

	if (rc == 0)
		rc = ops->check(conf, err);
	if (rc == 0) {
		id = free_id(table);
		if (id < 0)
			rc = omni_fail(err, id, "port %s: all %u ports are taken", conf->name,
				       OMNI_PORTS_MAX);
	}
	if (rc < 0)
		goto fail;
	port = calloc(1, sizeof(*port));
	if (port == NULL) {
		rc = omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
		goto fail;
	}
	port->ops = ops;
	port->pool = pool;
	port->id = (uint16_t)id;
	port->generation = ++table->next_generation;
	memcpy(port->name, conf->name, sizeof(port->name));
	strncpy(port->info.driver, ops->driver, sizeof(port->info.driver) - 1);
	rc = open_at(port, conf, err);
	if (rc < 0)
		goto fail;
	table->open[id] = port;
	return port;
fail:
	free(port);
	rte_errno = -rc;
	return NULL;
}

void omni_port_publish(struct omni_port_table *table, struct omni_port *port)
{
	assert(table->open[port->id] == port);
	__atomic_store_n(&table->slot[port->id], port, __ATOMIC_RELEASE);
}

void omni_port_unpublish(struct omni_port_table *table, struct omni_port *port)
{
	assert(table->open[port->id] == port);
	__atomic_store_n(&table->slot[port->id], NULL, __ATOMIC_RELEASE);
}

void omni_port_close(struct omni_port_table *table, struct omni_port *port)
{
	if (port == NULL)
		return;
	omni_port_unpublish(table, port);
	table->open[port->id] = NULL;
	port->ops->close(port);
	free(port);
}

struct omni_port *omni_port_find(const struct omni_port_table *table, const char *name)
{
	for (int id = 0; id < OMNI_PORTS_MAX; id++)
		if (table->open[id] != NULL && strcmp(table->open[id]->name, name) == 0)
			return table->open[id];
	return NULL;
}

void omni_port_read_stats(struct omni_port *port, struct omni_port_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	port->ops->stats(port, stats);
}

void omni_port_refresh(struct omni_port *port)
{
	if (port->ops->refresh != NULL)
		port->ops->refresh(port);
	set_l3_mac(port);
}
