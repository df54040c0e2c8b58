/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* seal: encrypt the burst, and see to the UDP checksums that must be there. */
#include "worker.h"

static void checksum(const struct omni_path *path, struct rte_mbuf *m)
{
	if (path->checksum == OMNI_CHECKSUM_PORT)
		omni_path_ask_checksum(path, m);
	else
		omni_path_checksum(path, rte_pktmbuf_mtod(m, uint8_t *),
				   (uint16_t)(rte_pktmbuf_data_len(m) - path->hdr_len));
}

unsigned int omni_node_seal(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	omni_aead_seal_burst(w->conf.aead, w->op, n);
	for (unsigned int i = 0; i < n; i++)
		if (unlikely(w->path[i]->checksum != OMNI_CHECKSUM_NONE))
			checksum(w->path[i], m[i]);
	count(w, OMNI_STAT_sealed, n);
	stage_end(w, OMNI_STAGE_seal, n);
	return n;
}
