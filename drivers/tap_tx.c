/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From mbufs to a TAP or TUN descriptor: one system call for each frame, or for all frames of a TCP
 * flow in a burst that may be joined. Payloads are not copied, the joined frame's headers are
 * written beside the frames. Runs on the queue's worker.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <rte_ether.h>

#include "tap.h"

/* May it leave by a TUN, without its link header? */
static bool is_ip(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return m->data_len > sizeof(*eth) && (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
					      eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6));
}

/* Offsets as the kernel sees them. */
static void without_link(const struct tap_port *p, struct virtio_net_hdr *h)
{
	h->csum_start = (uint16_t)(h->csum_start - p->made_up);
	h->hdr_len = (uint16_t)(h->hdr_len - p->made_up);
}

/* 0, or the error of the write. */
static int write_one(const struct tap_port *p, struct tap_queue *q, const struct rte_mbuf *m)
{
	struct virtio_net_hdr_mrg_rxbuf h = {0};
	struct iovec part[1 + OMNI_CHAIN_MAX];
	bool segment = omni_is_segment(m);
	int count = 0;

	part[count++] = (struct iovec){.iov_base = &h, .iov_len = sizeof(h)};
	if (m->nb_segs > OMNI_CHAIN_MAX)
		return EMSGSIZE;
	if (p->made_up != 0 && !is_ip(m))
		return EPROTONOSUPPORT;
	if (segment) {
		omni_segment_describe(m, &h.hdr);
		without_link(p, &h.hdr);
	}
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
		part[count++] = (struct iovec){.iov_base = rte_pktmbuf_mtod(s, void *),
					       .iov_len = s->data_len};
	part[1].iov_base = RTE_PTR_ADD(part[1].iov_base, p->made_up);
	part[1].iov_len -= p->made_up;
	if (writev(q->fd, part, count) < 0)
		return errno;
	driver_count(&q->count.tx_segments, segment);
	driver_count(&q->count.tx_whole, segment);
	return 0;
}

/* The same for a group of frames. */
static int write_group(const struct tap_port *p, struct tap_queue *q, const struct omni_join *j,
		       const struct omni_join_group *g, struct rte_mbuf **m)
{
	struct virtio_net_hdr_mrg_rxbuf h = {0};
	uint8_t front[sizeof(h) + OMNI_SEGMENT_HDR_MAX];
	struct iovec part[1 + OMNI_JOIN_GROUP];
	uint32_t hdr;
	int count = 1;

	if (g->n == 1)
		return write_one(p, q, m[g->first]);
	hdr = omni_join_head(j, g, &h.hdr, front + sizeof(h));
	without_link(p, &h.hdr);
	/* In place of what was made up, right in front of what the kernel knows. */
	part[0] = (struct iovec){
		.iov_base = memcpy(front + p->made_up, &h, sizeof(h)),
		.iov_len = sizeof(h) + hdr - p->made_up,
	};
	for (unsigned int i = g->first; i != OMNI_JOIN_END; i = j->next[i])
		part[count++] = (struct iovec){
			.iov_base = rte_pktmbuf_mtod_offset(m[i], void *, hdr),
			.iov_len = m[i]->data_len - hdr,
		};
	if (writev(q->fd, part, count) < 0)
		return errno;
	driver_count(&q->count.tx_segments, 1);
	return 0;
}

static void find_groups(struct omni_join *j, const struct tap_port *p, struct rte_mbuf **m,
			uint16_t n)
{
	omni_join_begin(j);
	for (uint16_t i = 0; i < n; i++) {
		if (p->join && m[i]->nb_segs == 1 && !omni_is_segment(m[i]) &&
		    (p->made_up == 0 || is_ip(m[i])))
			omni_join_add(j, rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len);
		else
			omni_join_add_opaque(j);
	}
}

/* Frames of the groups from at on back to the caller, who finds them behind those taken. */
static uint16_t give_back(const struct omni_join *j, unsigned int at, struct rte_mbuf **m,
			  uint16_t n)
{
	struct rte_mbuf *left[OMNI_JOIN_MAX] = {NULL};
	uint16_t count = 0;

	for (; at < j->n; at++)
		for (unsigned int i = j->group[at].first; i != OMNI_JOIN_END; i = j->next[i])
			left[count++] = m[i];
	for (uint16_t i = 0; i < count; i++)
		m[n - count + i] = left[i];
	return (uint16_t)(n - count);
}

/* Free the group's frames and add up their bytes. */
static uint64_t free_group(const struct omni_join *j, const struct omni_join_group *g,
			   struct rte_mbuf **m)
{
	struct rte_mbuf *done[OMNI_JOIN_GROUP];
	unsigned int count = 0;
	uint64_t bytes = 0;

	for (unsigned int i = g->first; i != OMNI_JOIN_END; i = j->next[i]) {
		bytes += m[i]->pkt_len;
		done[count++] = m[i];
	}
	rte_pktmbuf_free_bulk(done, count);
	return bytes;
}

/* Up to OMNI_JOIN_MAX frames; returns how many were taken. */
static uint16_t send_some(const struct tap_port *p, struct tap_queue *q, struct rte_mbuf **m,
			  uint16_t n)
{
	struct omni_join j;
	uint64_t frames = 0, bytes = 0;
	unsigned int at = 0;

	find_groups(&j, p, m, n);
	for (; at < j.n; at++) {
		const struct omni_join_group *g = &j.group[at];
		int rc = write_group(p, q, &j, g, m);
		uint64_t len;

		if (rc == EAGAIN)
			break;
		len = free_group(&j, g, m);
		if (rc != 0) {
			driver_count(rc == EPROTONOSUPPORT ? &q->count.tx_not_ip
							   : &q->count.tx_failed,
				     g->n);
			continue;
		}
		frames += g->n;
		bytes += len;
	}
	driver_count(&q->count.tx_frames, frames);
	driver_count(&q->count.tx_bytes, bytes);
	return at < j.n ? give_back(&j, at, m, n) : n;
}

uint16_t tap_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	const struct tap_port *p = port->priv;
	struct tap_queue *q = &((struct tap_port *)port->priv)->q[queue];
	uint16_t taken = 0, some, sent;

	do {
		some = RTE_MIN((uint16_t)(n - taken), (uint16_t)OMNI_JOIN_MAX);
		sent = send_some(p, q, m + taken, some);
		taken = (uint16_t)(taken + sent);
	} while (sent == some && taken < n);
	return taken;
}
