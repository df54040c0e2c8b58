/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * UDP checksums that a device makes, over the one that is everywhere: virtio queues between a
 * virtio-user uplink and a vhost uplink of this process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_ip.h>
#include <rte_log.h>
#include <rte_udp.h>

#include <omni_drivers.h>
#include <omni_session.h>

#include "eal.h"

#define PAYLOAD 1000
#define TRIES 2000
#define PAUSE_US 1000

static struct rte_mempool *pool;
static struct omni_port_table table;
static struct omni_port *vhost, *virtio;
static char socket_path[64];

static struct omni_port *open_uplink(const char *driver, bool server)
{
	struct omni_port_conf conf = {.server = server, .udp_ports = {51820}, .n_udp_ports = 1};
	const struct omni_port_ops *ops;
	struct omni_err err = {""};
	struct omni_port *port;

	snprintf(conf.name, sizeof(conf.name), "%s", driver);
	snprintf(conf.driver, sizeof(conf.driver), "%s", driver);
	snprintf(conf.socket, sizeof(conf.socket), "%s", socket_path);
	ops = omni_driver_find(driver, &err);
	assert_non_null(ops);
	port = omni_port_open(&table, ops, &conf, pool, &err);
	if (port == NULL)
		fail_msg("%s", err.text);
	omni_port_publish(&table, port);
	return port;
}

static int setup(void **state)
{
	struct omni_err err = {""};

	if (eal_setup(state) < 0)
		return -1;
	rte_log_set_global_level(RTE_LOG_WARNING);
	pool = omni_pool_create("offload", OMNI_POOL_PLAIN, 8191, 2048, 0, &err);
	if (pool == NULL)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "/tmp/omni-offload-%d.sock", getpid());
	vhost = open_uplink("vhost", true);
	virtio = open_uplink("virtio-user", false);
	for (int i = 0; i < TRIES && !(vhost->info.link_up && virtio->info.link_up); i++) {
		usleep(PAUSE_US);
		omni_port_refresh(vhost);
		omni_port_refresh(virtio);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	omni_port_close(&table, virtio);
	omni_port_close(&table, vhost);
	(void)unlink(socket_path);
	return 0;
}

static struct rte_mbuf *datagram(const char *local, const char *remote, struct omni_path *path)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct omni_endpoint from, to;
	uint8_t *at;

	assert_int_equal(omni_endpoint_parse(&from, local), 0);
	assert_int_equal(omni_endpoint_parse(&to, remote), 0);
	omni_path_build(path, mac, mac, &from, &to);
	assert_non_null(m);
	at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(path->hdr_len + PAYLOAD));
	assert_non_null(at);
	omni_path_write(path, at, PAYLOAD, 7);
	for (unsigned int i = 0; i < PAYLOAD; i++)
		at[path->hdr_len + i] = (uint8_t)(i * 31 + 5);
	return m;
}

/* With the checksum among what is summed, the sum is UDP's other form of zero. */
static bool checksum_holds(const uint8_t *at, bool v6)
{
	const uint8_t *ip = at + OMNI_ETHER_HDR_LEN;

	return (v6 ? rte_ipv6_udptcp_cksum((const void *)ip, ip + OMNI_IPV6_HDR_LEN)
		   : rte_ipv4_udptcp_cksum((const void *)ip, ip + OMNI_IPV4_HDR_LEN)) == UINT16_MAX;
}

static struct rte_mbuf *receive(struct omni_port *port)
{
	struct rte_mbuf *m;

	for (int i = 0; i < TRIES; i++) {
		if (omni_port_rx(port, 0, &m, 1) == 1)
			return m;
		usleep(PAUSE_US);
	}
	fail_msg("port %s received nothing", port->name);
	return NULL;
}

/* What left with the pseudo header's sum alone arrives with a checksum, the rest as it was. */
static void device_finishes(struct omni_port *from, struct omni_port *to, const char *local,
			    const char *remote)
{
	struct omni_path path;
	struct rte_mbuf *m = datagram(local, remote, &path), *got;
	uint16_t sum_at = (uint16_t)(path.hdr_len - 2);
	uint8_t sent[PAYLOAD + OMNI_OUTER_HDR_MAX];

	omni_path_ask_checksum(&path, m);
	memcpy(sent, rte_pktmbuf_mtod(m, void *), m->data_len);
	assert_false(checksum_holds(sent, path.v6));
	assert_int_equal(omni_port_tx(from, 0, &m, 1), 1);
	got = receive(to);
	assert_int_equal(got->data_len, path.hdr_len + PAYLOAD);
	assert_true(checksum_holds(rte_pktmbuf_mtod(got, uint8_t *), path.v6));
	assert_memory_not_equal(rte_pktmbuf_mtod_offset(got, uint8_t *, sum_at), sent + sum_at, 2);
	memcpy(sent + sum_at, rte_pktmbuf_mtod_offset(got, uint8_t *, sum_at), 2);
	assert_memory_equal(rte_pktmbuf_mtod(got, uint8_t *), sent, got->data_len);
	rte_pktmbuf_free(got);
}

static void virtio_user_finishes_checksums(void **state)
{
	(void)state;
	assert_true(virtio->info.udp_checksum);
	assert_non_null(strstr(virtio->info.offloads, "udp-checksum"));
	device_finishes(virtio, vhost, "192.0.2.1:51820", "192.0.2.2:51820");
	device_finishes(virtio, vhost, "[2001:db8::1]:51820", "[2001:db8::2]:51820");
}

/* What vhost offers is software: it is not asked. */
static void vhost_is_not_asked(void **state)
{
	(void)state;
	assert_false(vhost->info.udp_checksum);
	assert_null(strstr(vhost->info.offloads, "udp-checksum"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(virtio_user_finishes_checksums),
		cmocka_unit_test(vhost_is_not_asked),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
