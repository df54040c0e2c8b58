/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * source_check: packets of peers. The longest prefix that has a packet's source must be the very
 * peer whose key opened it, as with WireGuard's allowed IPs; nothing else says who sent it. Then
 * the outer header's ECN bits are brought together with the packet's.
 */
#include "clamp.h"
#include "ecn.h"
#include "l3.h"

#define V4_SOURCE 12
#define V6_SOURCE 8

/* Those of m that a router takes. */
static unsigned int drop_bad(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0;
	bool syn = false;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int why = check_ip(m[i]);

		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		syn |= may_be_syn_packet(rte_pktmbuf_mtod(m[i], const uint8_t *));
		m[left++] = m[i];
	}
	w->any_syn = syn;
	return left;
}

/* The n packets of m, which are of one cluster; those that pass go to out. */
static unsigned int check(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
			  struct rte_mbuf **out)
{
	unsigned int left = 0;
	struct lookups from;

	look_up(w, omni_meta(m[0])->cluster, m, n, V4_SOURCE, V6_SOURCE, &from);
	for (unsigned int i = 0; i < n; i++) {
		struct omni_meta *meta = omni_meta(m[i]);
		omni_dest peer = omni_dest_make(OMNI_DEST_PEER, meta->peer, meta->kp->peer_gen);
		uint8_t *ip = rte_pktmbuf_mtod(m[i], uint8_t *);
		unsigned int why = OMNI_STAT_drop_source_address;

		if (likely(dest_of(&from, i, is_v6(ip)) == peer))
			why = ecn_arrived(ip, meta->flags >> OMNI_META_ECN_SHIFT);
		if (unlikely(why != KEEP)) {
			omni_node_drop(w, m[i], why);
			continue;
		}
		meta->sequence = 0;
		out[left++] = m[i];
	}
	return left;
}

unsigned int omni_node_source_check(struct omni_worker *w, struct rte_mbuf **m, unsigned int n)
{
	unsigned int left = 0, taken = drop_bad(w, m, n);

	for (unsigned int i = 0, run; i < taken; i += run) {
		run = same_cluster(m + i, taken - i);
		left += check(w, m + i, run, m + left);
	}
	stage_end(w, OMNI_STAGE_source_check, n);
	return left;
}
