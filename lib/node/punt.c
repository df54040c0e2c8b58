/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * punt: hand datagrams to control, handshakes (from anybody) on one ring and decrypted control
 * messages on another. The mbuf's data begins at the outer Ethernet header; payload_off and
 * payload_len name the UDP payload of a handshake, or the plain text of a control message,
 * whose data header stands directly before it.
 */
#include "worker.h"

unsigned int omni_node_punt(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	struct omni_xring *x = w->conf.xring;

	for (unsigned int i = 0; i < n; i++) {
		struct omni_meta *meta = omni_meta(m[i]);
		bool control = meta->kp != NULL;

		if (control) {
			meta->peer = meta->kp->peer;
			meta->cluster = meta->kp->cluster;
			meta->kp = NULL; /* it lives for this turn; control finds it by the id */
		}
		if (!omni_xring_punt(x, control ? x->control : x->handshake, m[i]))
			omni_node_drop(w, m[i], OMNI_STAT_drop_punt_full);
		else
			count(w, control ? OMNI_STAT_punted_control : OMNI_STAT_punted_handshake,
			      1);
	}
	stage_end(w, OMNI_STAGE_punt, n);
	return 0;
}
