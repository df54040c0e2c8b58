/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * From a TAP or TUN descriptor to mbufs: one system call for a frame or for a segment of up to 64
 * KB. The first bytes of a read go into an mbuf, where a single frame is at its place, and what is
 * left of a segment into the queue's room, where it is cut; pieces that the caller has no place
 * for wait there. Where segments may stay whole, they are read into chains of mbufs. Runs on the
 * queue's worker.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_ether.h>

#include <omni_cursor.h>

#include "tap.h"

/* Shorter buffers would be too many for a segment of 64 KB. */
#define PIECE_MIN ((OMNI_SEGMENT_MAX + OMNI_CHAIN_MAX - 1) / OMNI_CHAIN_MAX)
/* Reads without a segment, after which a single buffer is offered again. */
#define TRUST 32
/* Segments that one call gives whole: their pieces are one send of a worker's queue. */
#define WHOLE_MAX 4

static void set_frame(const struct omni_port *port, struct rte_mbuf *m, uint32_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	m->port = port->id;
}

/* The buffer that a read fills first. */
static struct rte_mbuf *first_of(const struct tap_queue *q)
{
	return q->next[q->have - 1];
}

/* ---- Single frames, and segments that are cut ---- */

/* A single frame of len bytes in the first buffer: true where it may go on. */
static bool accept_frame(struct tap_queue *q, const struct virtio_net_hdr *h, uint32_t len)
{
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0)
		return true;
	if (!omni_finish_checksum(rte_pktmbuf_mtod(first_of(q), uint8_t *), len, h->csum_start,
				  h->csum_offset)) {
		driver_count(&q->count.rx_offload, 1);
		return false;
	}
	driver_count(&q->count.rx_checksums, 1);
	return true;
}

/*
 * A segment of len bytes, head_len of them in the first buffer and the rest in the room: its
 * pieces may be taken from now on.
 */
static void begin_segment(const struct tap_port *p, struct tap_queue *q,
			  const struct virtio_net_hdr *h, uint32_t head_len, uint32_t len)
{
	const uint8_t *head = rte_pktmbuf_mtod(first_of(q), const uint8_t *);
	struct omni_split *s = &q->split;
	uint32_t in_head;

	if (!p->join || omni_split_begin(s, h, head, head_len, len) < 0) {
		driver_count(&q->count.rx_offload, 1);
		s->pieces = q->piece_at = 0;
		return;
	}
	q->piece_at = 0;
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

/* Up to n pieces of the segment that was begun. */
static uint16_t take_pieces(struct omni_port *port, struct tap_queue *q, struct rte_mbuf **m,
			    uint16_t n)
{
	uint32_t take = RTE_MIN(q->split.pieces - q->piece_at, n);

	if (take == 0)
		return 0;
	if (rte_pktmbuf_alloc_bulk(port->pool, m, take) != 0) {
		driver_count(&q->count.rx_no_buffer, 1);
		return 0;
	}
	for (uint32_t i = 0; i < take; i++)
		set_frame(port, m[i],
			  omni_split_piece(&q->split, q->piece_at + i, q->payload,
					   rte_pktmbuf_mtod(m[i], uint8_t *)));
	q->piece_at += take;
	return (uint16_t)take;
}

static bool has_pieces(const struct tap_queue *q)
{
	return q->piece_at < q->split.pieces;
}

/* ---- Reading ---- */

/* Buffers that a segment of 64 KB takes. */
static uint16_t chain_len(const struct tap_queue *q)
{
	return (uint16_t)((OMNI_SEGMENT_MAX + q->piece - 1) / q->piece);
}

/* Is there a buffer for the next read? *chain: there are as many as a segment takes. */
static bool have_buffers(struct omni_port *port, struct tap_queue *q, bool *chain)
{
	uint16_t want = q->trust > 0 && q->piece != 0 ? chain_len(q) : 1;

	if (q->have < want &&
	    rte_pktmbuf_alloc_bulk(port->pool, q->next + q->have, want - q->have) == 0)
		q->have = want;
	*chain = want > 1 && q->have >= want;
	if (q->have == 0)
		driver_count(&q->count.rx_no_buffer, 1);
	return q->have > 0;
}

/*
 * Into one buffer and the room, or into a chain: bytes of the frame, what is made up of it
 * included, of which *head_len are in the first buffer; 0: less than a header; -1: none waits.
 */
static ssize_t read_frame(const struct tap_port *p, struct tap_queue *q, bool chain,
			  struct virtio_net_hdr_mrg_rxbuf *h, uint32_t *head_len)
{
	struct iovec part[1 + OMNI_CHAIN_MAX] = {{.iov_base = h, .iov_len = sizeof(*h)}};
	uint16_t count = 1, room = chain ? chain_len(q) : 1;
	uint32_t len = chain ? q->piece : p->frame_max, first = chain ? len + q->more : len;
	ssize_t n;

	for (; count <= room; count++)
		part[count] = (struct iovec){
			.iov_base = rte_pktmbuf_mtod(q->next[q->have - count], void *),
			.iov_len = len,
		};
	part[1].iov_base = RTE_PTR_ADD(part[1].iov_base, p->made_up);
	part[1].iov_len = first - p->made_up;
	/* One byte more than a segment may have: it shows that one was cut off. */
	if (!chain)
		part[count++] = (struct iovec){.iov_base = q->room + p->front_len,
					       .iov_len = OMNI_SEGMENT_MAX + 1};
	n = readv(q->fd, part, count);
	if (n < 0)
		return -1;
	n = n < (ssize_t)sizeof(*h) ? 0 : n - (ssize_t)sizeof(*h) + p->made_up;
	*head_len = RTE_MIN((uint32_t)n, first);
	return n;
}

/* Bytes [from, len) of what was read into a chain to another place. */
static void copy_rest(const struct tap_queue *q, uint32_t from, uint32_t len, uint8_t *to)
{
	for (uint16_t i = 1; from < len; i++) {
		uint32_t some = RTE_MIN(len - from, q->piece);

		memcpy(to, rte_pktmbuf_mtod(q->next[q->have - 1 - i], void *), some);
		to += some;
		from += some;
	}
}

/* What was read into a chain is that no more: as if it had been read into buffer and room. */
static void unchain(const struct tap_port *p, const struct tap_queue *q, bool single,
		    uint32_t *head_len, uint32_t len)
{
	uint8_t *behind = rte_pktmbuf_mtod_offset(first_of(q), uint8_t *, *head_len);

	if (single && len <= p->frame_max) {
		copy_rest(q, *head_len, len, behind);
		*head_len = len;
	} else if (!single) {
		copy_rest(q, *head_len, len, q->room + p->front_len);
	}
}

/* The segment of len bytes in the chain, whole; NULL where it must be cut. */
static struct rte_mbuf *take_whole(struct omni_port *port, struct tap_queue *q,
				   const struct virtio_net_hdr *h, uint32_t head_len, uint32_t len)
{
	const struct tap_port *p = port->priv;
	struct rte_mbuf *head = first_of(q), *m = head;
	const uint8_t *frame = rte_pktmbuf_mtod(head, const uint8_t *);
	struct omni_split s;
	uint32_t left = len, room = (uint32_t)q->piece + q->more;

	if (len > UINT16_MAX || omni_split_begin(&s, h, frame, head_len, len) < 0 || s.udp ||
	    s.hdr_len + s.size > p->frame_max)
		return NULL;
	head->nb_segs = 0;
	for (;; m = m->next) {
		q->have--;
		head->nb_segs++;
		m->data_len = (uint16_t)RTE_MIN(left, room);
		left -= m->data_len;
		if (left == 0)
			break;
		m->next = first_of(q);
		room = q->piece;
	}
	head->pkt_len = len;
	head->port = port->id;
	omni_segment_mark(head, s.v6, s.size, s.l3, s.l4, s.hdr_len);
	driver_count(&q->count.rx_segments, 1);
	driver_count(&q->count.rx_whole, 1);
	return head;
}

/* A link header in front of the packet, by its version: false where it is no IP. */
static bool make_up_link(const struct tap_port *p, struct tap_queue *q, struct virtio_net_hdr *h,
			 uint32_t len)
{
	uint8_t *frame = rte_pktmbuf_mtod(first_of(q), uint8_t *);
	uint8_t version = len > p->made_up ? frame[p->made_up] >> 4 : 0;

	if (version != 4 && version != 6) {
		driver_count(&q->count.rx_not_ip, 1);
		return false;
	}
	memcpy(frame, p->link, sizeof(p->link));
	omni_store_be16(frame + sizeof(p->link) - 2,
			version == 4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	h->csum_start = (uint16_t)(h->csum_start + p->made_up);
	h->hdr_len = (uint16_t)(h->hdr_len + p->made_up);
	return true;
}

/* 1: a frame or whole segment in *out; 0: a segment to cut or something dropped; -1: none waits. */
static int read_one(struct omni_port *port, struct tap_queue *q, struct rte_mbuf **out, bool chain)
{
	struct tap_port *p = port->priv;
	struct virtio_net_hdr_mrg_rxbuf h;
	uint32_t head_len, len;
	ssize_t n = read_frame(p, q, chain, &h, &head_len);
	bool single;

	if (n < 0)
		return -1;
	len = (uint32_t)n;
	if (p->made_up != 0 && !make_up_link(p, q, &h.hdr, len))
		return 0;
	single = len < RTE_ETHER_HDR_LEN || h.hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE;
	q->trust = single ? q->trust - (q->trust > 0) : TRUST;
	q->expected = 1;
	if (chain && !single && (*out = take_whole(port, q, &h.hdr, head_len, len)) != NULL)
		return 1;
	if (chain)
		unchain(p, q, single, &head_len, len);
	if (!single) {
		begin_segment(p, q, &h.hdr, head_len, len);
		return 0;
	}
	if (len < RTE_ETHER_HDR_LEN || len > p->frame_max) {
		driver_count(&q->count.rx_bad_len, 1);
		return 0;
	}
	if (!accept_frame(q, &h.hdr, len))
		return 0;
	*out = first_of(q);
	q->have--;
	set_frame(port, *out, len);
	return 1;
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
	uint16_t got = take_pieces(port, q, m, n), whole = 0;
	bool chain;

	for (uint16_t tries = 0; tries < n && !has_pieces(q) && whole < WHOLE_MAX; tries++) {
		int rc;

		/* A segment that would not fit whole stays with the kernel until the next call. */
		if (got == n || (got > 0 && got + q->expected > n) ||
		    !have_buffers(port, q, &chain))
			break;
		rc = read_one(port, q, &m[got], chain);
		if (rc < 0)
			break;
		whole = (uint16_t)(whole + (rc > 0 && omni_is_segment(m[got])));
		got = (uint16_t)(got + rc);
		got = (uint16_t)(got + take_pieces(port, q, m + got, (uint16_t)(n - got)));
	}
	count_frames(q, m, got);
	return got;
}

void tap_whole(struct omni_port *port, uint16_t queue, uint16_t piece, uint16_t more)
{
	const struct tap_port *p = port->priv;
	struct tap_queue *q = &((struct tap_port *)port->priv)->q[queue];

	piece = (uint16_t)RTE_MIN(piece, p->frame_max - more);
	q->piece = piece >= PIECE_MIN ? piece : 0;
	q->more = more;
}

bool tap_arm(struct omni_port *port, uint16_t queue)
{
	return has_pieces(&((struct tap_port *)port->priv)->q[queue]);
}
