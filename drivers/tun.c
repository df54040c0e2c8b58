/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A TUN interface of our own making: the TAP driver with packets instead of frames. What the
 * pipeline gets and gives are Ethernet frames all the same: their link header is made up, from
 * the kernel's side to the port's address, and says no more than the version of IP.
 */
#include <string.h>

#include "tap.h"

static const uint8_t made_up_mac[6] = {2, 0, 0, 0, 0, 2};

static int tun_open(struct omni_port *port, const struct omni_port_conf *conf,
		    struct rte_mempool *pool, struct omni_err *err)
{
	uint8_t link[RTE_ETHER_HDR_LEN] = {0};

	memcpy(link, conf->has_mac ? conf->mac : made_up_mac, 6);
	memcpy(link + 6, link, 6);
	link[11] ^= 1;
	return tap_open_as(port, conf, pool, link, err);
}

const struct omni_port_ops omni_driver_tun = {
	.driver = "tun",
	.check = tap_check,
	.open = tun_open,
	.close = tap_close,
	.rx = tap_rx,
	.tx = tap_tx,
	.whole = tap_whole,
	.rx_fd = tap_rx_fd,
	.arm = tap_arm,
	.stats = tap_stats,
	.refresh = tap_refresh,
};
