/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the XDP program leaves to the kernel and is ours all the same: datagrams in IP fragments, of
 * which the first alone says for which port they are. The kernel puts them together and bounds what
 * that may take; a kernel socket of the udp driver on our ports takes them in. They are rare: the
 * socket is looked at a thousand times a second, and wakes who sleeps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_errno.h>

#include "af_xdp.h"
#include "udp.h"

#define LOOKS_PER_S 1000
/* Bursts from the rings after which it is looked at without a look at the clock. */
#define LOOK_BURSTS 64

struct xdp_kernel {
	struct omni_port port; /* of the udp driver, with one queue; in no table */
	uint64_t next;	       /* TSC of the next look */
	uint16_t bursts;       /* from the rings until then at most */
};

struct xdp_kernel *xdp_kernel_open(const struct omni_port *port, const struct omni_port_conf *conf,
				   struct rte_mempool *pool, struct omni_err *err)
{
	struct omni_port_conf udp = *conf;
	struct xdp_kernel *k = calloc(1, sizeof(*k));
	int rc;

	if (k == NULL) {
		rte_errno = ENOMEM;
		omni_fail(err, -ENOMEM, "port %s: no memory", conf->name);
		return NULL;
	}
	/* To any address of ours, as the program in front has it. */
	memset(&udp.address, 0, sizeof(udp.address));
	udp.queues = 1;
	k->port.ops = &omni_driver_udp;
	k->port.pool = pool;
	k->port.id = port->id;
	k->bursts = LOOK_BURSTS;
	rc = omni_driver_udp.open(&k->port, &udp, pool, err);
	if (rc == 0)
		return k;
	free(k);
	rte_errno = -rc;
	return NULL;
}

void xdp_kernel_close(struct xdp_kernel *k)
{
	if (k == NULL)
		return;
	k->port.ops->close(&k->port);
	free(k);
}

int xdp_kernel_fd(struct xdp_kernel *k)
{
	return omni_port_rx_fd(&k->port, 0);
}

static bool is_due(struct xdp_kernel *k, uint16_t from_rings)
{
	return likely(from_rings > 0) ? --k->bursts == 0 : rte_rdtsc() >= k->next;
}

uint16_t xdp_kernel_rx(struct xdp_kernel *k, struct rte_mbuf **m, uint16_t n, uint16_t from_rings)
{
	uint16_t got;

	if (likely(!is_due(k, from_rings)))
		return 0;
	got = omni_port_rx(&k->port, 0, m, n);
	/* More may be on the way. */
	k->bursts = got > 0 ? 1 : LOOK_BURSTS;
	k->next = got > 0 ? 0 : rte_rdtsc() + rte_get_tsc_hz() / LOOKS_PER_S;
	return got;
}

bool xdp_kernel_arm(struct xdp_kernel *k)
{
	k->next = 0;
	return omni_port_arm(&k->port, 0);
}

void xdp_kernel_stats(struct xdp_kernel *k, struct omni_port_stats *s)
{
	struct omni_port_stats udp = {0};

	k->port.ops->stats(&k->port, &udp);
	s->rx_frames += udp.rx_frames;
	s->rx_bytes += udp.rx_bytes;
	s->rx_dropped += udp.rx_dropped;
	driver_extra(s, "rx_by_kernel", udp.rx_frames);
}
