/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rx: take a burst from a port, and start fetching what the next stages read. */
#include "worker.h"

unsigned int omni_node_rx(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	uint16_t port = w->rx.port->id;

	n = omni_port_rx(w->rx.port, w->rx.queue, m, (uint16_t)n);
	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++) {
		rte_prefetch0(omni_meta(m[i]));
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	}
	for (unsigned int i = 0; i < n; i++)
		*omni_meta(m[i]) = (struct omni_meta){.port = port, .cluster = w->rx.cluster};
	stage_end(w, OMNI_STAGE_rx, n);
	return n;
}
