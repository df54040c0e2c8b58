/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the workers' rings hold for control: events, decrypted control messages, handshakes, ARP. */
#include <rte_mbuf.h>

#include <omni_cursor.h>

#include "wg.h"

static void handshake(struct omni_ctl *ctl, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->payload_off);
	struct omni_endpoint from, to;

	omni_punt_addresses(m, &from, &to);
	switch (omni_wire_classify(p, meta->payload_len)) {
	case OMNI_CLASS_INITIATION:
		ctl_handshake_initiation(ctl, m, (const struct omni_initiation *)p, &from, &to);
		break;
	case OMNI_CLASS_RESPONSE:
		ctl_hs_response(ctl, (const struct omni_response *)p, &from, &to);
		break;
	case OMNI_CLASS_COOKIE:
		ctl_hs_cookie(ctl, (const struct omni_cookie_reply *)p);
		break;
	case OMNI_CLASS_WG_INITIATION:
		ctl_wg_initiation(ctl, m, (const struct omni_wg_initiation *)p, &from, &to);
		break;
	case OMNI_CLASS_WG_RESPONSE:
		ctl_wg_response(ctl, m, (const struct omni_wg_response *)p, &from, &to);
		break;
	case OMNI_CLASS_WG_COOKIE:
		ctl_wg_cookie(ctl, (const struct omni_wg_cookie_reply *)p);
		break;
	case OMNI_CLASS_HELLO_ANSWER:
		if (ctl->nucleus != NULL)
			ctl_nucleus_hello_answer(ctl, (const struct omni_hello_answer *)p, &from);
		else
			ctl_count(ctl, OMNI_STAT_ctl_unexpected);
		break;
	default:
		ctl_count(ctl, OMNI_STAT_ctl_unexpected);
		break;
	}
}

/* The plain text's header still stands before it, and names the session. */
static void control(struct omni_ctl *ctl, struct rte_mbuf *m)
{
	const struct omni_meta *meta = omni_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, meta->payload_off);
	uint64_t id = omni_load_be64(p - OMNI_DATA_HDR_LEN);
	struct omni_keypair *kp = omni_sessions_lookup(ctl->conf.sessions, id);
	struct omni_endpoint from, to;
	struct ctl_peer *peer;

	if (kp == NULL)
		return; /* dropped since */
	if (kp->dialect == OMNI_DIALECT_NUCLEUS) {
		omni_punt_addresses(m, &from, &to);
		ctl_nucleus_message(ctl, kp, p, meta->payload_len, &from);
		return;
	}
	peer = ctl_peer_of_index(ctl, kp->peer, kp->peer_gen);
	if (peer != NULL)
		ctl_probe_message(ctl, peer, kp, m, p, meta->payload_len);
}

static bool poll_ring(struct omni_ctl *ctl, struct rte_ring *ring,
		      void (*take)(struct omni_ctl *ctl, struct rte_mbuf *m))
{
	struct rte_mbuf *m[CTL_BATCH];
	unsigned int n = omni_xring_take(ring, m, CTL_BATCH);

	for (unsigned int i = 0; i < n; i++) {
		ctl->hs_waiting = rte_ring_count(ring) + n - i;
		take(ctl, m[i]);
		rte_pktmbuf_free(m[i]);
	}
	return n == CTL_BATCH;
}

bool ctl_rings_poll(struct omni_ctl *ctl)
{
	struct omni_event ev[CTL_BATCH];
	bool more = false;

	for (unsigned int w = 0; w < ctl->conf.n_workers; w++) {
		struct omni_xring *x = ctl->conf.xrings[w];
		unsigned int n = omni_xring_take_events(x, ev, CTL_BATCH);

		for (unsigned int i = 0; i < n; i++)
			ctl_event(ctl, &ev[i]);
		more |= n == CTL_BATCH;
		more |= poll_ring(ctl, x->control, control);
		more |= poll_ring(ctl, x->handshake, handshake);
		more |= poll_ring(ctl, x->link, ctl_neighbour_frame);
	}
	ctl_clusters_flush(ctl);
	return more;
}
