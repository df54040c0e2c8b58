/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * open: decrypt the burst. What fails is dropped here and looked at by nobody: its bytes are
 * what a forger chose.
 */
#include "worker.h"

unsigned int omni_node_open(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	uint64_t good = omni_aead_open_burst(w->conf.aead, w->op, n);
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (likely((good >> i & 1) != 0))
			m[left++] = m[i];
		else
			omni_node_drop(w, m[i], OMNI_STAT_drop_bad_tag);
	}
	count(w, OMNI_STAT_opened, left);
	stage_end(w, OMNI_STAGE_open, n);
	return left;
}
