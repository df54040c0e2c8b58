/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From a TAP descriptor to mbufs: one system call for a frame or for a segment of up to 64 KB,
 * which is cut here. The first bytes of a read go into an mbuf, where a single frame is at its
 * place, and what is left of a segment into the queue's room. Pieces that the caller has no place
 * for wait there. Runs on the queue's worker.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_ether.h>

#include "tap.h"

static void set_frame(const struct omni_port *port, struct rte_mbuf *m, uint32_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	m->port = port->id;
}

/* A single frame of len bytes in q->next: true where it may go on. */
static bool accept_frame(struct tap_queue *q, const struct virtio_net_hdr *h, uint32_t len)
{
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0)
		return true;
	if (!omni_finish_checksum(rte_pktmbuf_mtod(q->next, uint8_t *), len, h->csum_start,
				  h->csum_offset)) {
		driver_count(&q->count.rx_offload, 1);
		return false;
	}
	driver_count(&q->count.rx_checksums, 1);
	return true;
}

/* A segment of len bytes, head_len of them in q->next: its pieces may be taken from now on. */
static void begin_segment(const struct tap_port *p, struct tap_queue *q,
			  const struct virtio_net_hdr *h, uint32_t head_len, uint32_t len)
{
	const uint8_t *head = rte_pktmbuf_mtod(q->next, const uint8_t *);
	struct omni_split *s = &q->split;
	uint32_t in_head;

	if (!p->join || omni_split_begin(s, h, head, head_len, len) < 0) {
		driver_count(&q->count.rx_offload, 1);
		s->pieces = q->piece = 0;
		return;
	}
	q->piece = 0;
	if (s->hdr_len + omni_split_payload(s, 0) > p->frame_max) {
		driver_count(&q->count.rx_bad_len, 1);
		s->pieces = 0;
		return;
	}
	in_head = head_len - s->hdr_len;
	q->payload = memcpy(q->room + p->front_len - in_head, head + s->hdr_len, in_head);
	q->expected = s->pieces;
	driver_count(&q->count.rx_segments, 1);
}

/* 1: a frame in *out; 0: a segment was begun or something dropped; -1: none is waiting. */
static int read_one(struct omni_port *port, struct tap_queue *q, struct rte_mbuf **out)
{
	struct tap_port *p = port->priv;
	struct virtio_net_hdr_mrg_rxbuf h;
	struct iovec part[] = {
		{.iov_base = &h, .iov_len = sizeof(h)},
		{.iov_base = rte_pktmbuf_mtod(q->next, void *), .iov_len = p->frame_max},
		/* One byte more than a segment may have: it shows that one was cut off. */
		{.iov_base = q->room + p->front_len, .iov_len = OMNI_SEGMENT_MAX + 1},
	};
	ssize_t n = readv(q->fd, part, 3);
	uint32_t len = n < (ssize_t)sizeof(h) ? 0 : (uint32_t)n - (uint32_t)sizeof(h);

	if (n < 0)
		return -1;
	if (len >= RTE_ETHER_HDR_LEN && h.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		begin_segment(p, q, &h.hdr, RTE_MIN(len, p->frame_max), len);
		return 0;
	}
	q->expected = 1;
	if (len < RTE_ETHER_HDR_LEN || len > p->frame_max) {
		driver_count(&q->count.rx_bad_len, 1);
		return 0;
	}
	if (!accept_frame(q, &h.hdr, len))
		return 0;
	set_frame(port, q->next, len);
	*out = q->next;
	q->next = NULL;
	return 1;
}

/* Up to n pieces of the segment that was begun. */
static uint16_t take_pieces(struct omni_port *port, struct tap_queue *q, struct rte_mbuf **m,
			    uint16_t n)
{
	uint32_t take = RTE_MIN(q->split.pieces - q->piece, n);

	if (take == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(port->pool, m, take) != 0) {
		driver_count(&q->count.rx_no_buffer, 1);
		return 0;
	}
	for (uint32_t i = 0; i < take; i++)
		set_frame(port, m[i],
			  omni_split_piece(&q->split, q->piece + i, q->payload,
					   rte_pktmbuf_mtod(m[i], uint8_t *)));
	q->piece += take;
	return (uint16_t)take;
}

static bool has_pieces(const struct tap_queue *q)
{
	return q->piece < q->split.pieces;
}

/* Is there a buffer for the next read? */
static bool have_buffer(struct omni_port *port, struct tap_queue *q)
{
	if (q->next == NULL)
		q->next = rte_pktmbuf_alloc(port->pool);
	if (q->next == NULL)
		driver_count(&q->count.rx_no_buffer, 1);
	return q->next != NULL;
}

static void count_frames(struct tap_queue *q, struct rte_mbuf **m, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += m[i]->pkt_len;
	driver_count(&q->count.rx_frames, n);
	driver_count(&q->count.rx_bytes, bytes);
}

uint16_t tap_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct tap_queue *q = &((struct tap_port *)port->priv)->q[queue];
	uint16_t got = take_pieces(port, q, m, n);

	for (uint16_t tries = 0; tries < n && !has_pieces(q); tries++) {
		int rc;

		/* A segment that would not fit whole stays with the kernel until the next call. */
		if (got == n || (got > 0 && got + q->expected > n) || !have_buffer(port, q))
			break;
		rc = read_one(port, q, &m[got]);
		if (rc < 0)
			break;
		got = (uint16_t)(got + rc);
		got = (uint16_t)(got + take_pieces(port, q, m + got, (uint16_t)(n - got)));
	}
	count_frames(q, m, got);
	return got;
}

bool tap_arm(struct omni_port *port, uint16_t queue)
{
	return has_pieces(&((struct tap_port *)port->priv)->q[queue]);
}
