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

/* Whose packets they are, once for those that follow each other under a key. */
struct sender {
	const struct omni_keypair *kp;
	omni_dest peer;
};

static inline omni_dest peer_of(struct sender *s, const struct omni_keypair *kp)
{
	if (unlikely(s->kp != kp))
		*s = (struct sender){kp, omni_dest_make(OMNI_DEST_PEER, kp->peer, kp->peer_gen)};
	return s->peer;
}

/* The n packets of m, which are of one cluster; those that pass go to out. */
static inline unsigned int check(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				 const struct lookups *from, struct rte_mbuf **out)
{
	struct sender sender = {.kp = NULL};
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct omni_meta *meta = omni_meta(m[i]);
		omni_dest peer = peer_of(&sender, meta->kp);
		uint8_t *ip = rte_pktmbuf_mtod(m[i], uint8_t *);
		unsigned int why = OMNI_STAT_drop_source_address;

		if (likely(dest_of(from, i, is_v6(ip)) == peer))
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
	struct lookups from;

	for (unsigned int i = 0, run; i < taken; i += run) {
		run = look_up(w, m + i, taken - i, V4_SOURCE, V6_SOURCE, &from);
		left += check(w, m + i, run, &from, m + left);
	}
	stage_end(w, OMNI_STAGE_source_check, n);
	return left;
}
