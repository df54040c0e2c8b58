/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* seal: encrypt the burst, and finish the UDP checksums that must be there. */
#include "worker.h"

unsigned int omni_node_seal(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	omni_aead_seal_burst(w->conf.aead, w->op, n);
	for (unsigned int i = 0; i < n; i++) {
		const struct omni_path *path = w->path[i];

		if (unlikely(path->udp_checksum))
			omni_path_checksum(path, rte_pktmbuf_mtod(m[i], uint8_t *),
					   (uint16_t)(rte_pktmbuf_data_len(m[i]) - path->hdr_len));
	}
	count(w, OMNI_STAT_sealed, n);
	stage_end(w, OMNI_STAGE_seal, n);
	return n;
}
