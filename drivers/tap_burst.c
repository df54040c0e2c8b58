/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames between a TAP descriptor and mbufs: one system call each. Runs on the queue's worker. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "tap.h"

#define UDP_CHECKSUM_OFFSET 6

bool tap_finish_checksum(uint8_t *frame, uint32_t len, uint16_t start, uint16_t offset)
{
	uint16_t sum;

	if ((uint32_t)start + offset + sizeof(sum) > len)
		return false;
	/* The field holds the sum of the pseudo header, so it is part of what is added. */
	sum = (uint16_t)~rte_raw_cksum(frame + start, len - start);
	if (sum == 0 && offset == UDP_CHECKSUM_OFFSET)
		sum = 0xffff;
	memcpy(frame + start + offset, &sum, sizeof(sum));
	return true;
}

/* True where the frame of len bytes in m is one that may go on. */
static bool accept_frame(struct tap_port *p, struct tap_queue *q, struct rte_mbuf *m,
			 const struct virtio_net_hdr *h, size_t len)
{
	if (len < RTE_ETHER_HDR_LEN || len > p->frame_max) {
		driver_count(&q->count.rx_bad_len, 1);
		return false;
	}
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		goto bad_offload;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (!tap_finish_checksum(rte_pktmbuf_mtod(m, uint8_t *), (uint32_t)len,
					 h->csum_start, h->csum_offset))
			goto bad_offload;
		driver_count(&q->count.rx_checksums, 1);
	}
	return true;
bad_offload:
	driver_count(&q->count.rx_offload, 1);
	return false;
}

/* 1: a frame in *out; 0: one was dropped; -1: none is waiting. */
static int read_one(struct omni_port *port, struct tap_queue *q, struct rte_mbuf **out)
{
	struct tap_port *p = port->priv;
	struct virtio_net_hdr_mrg_rxbuf h;
	struct rte_mbuf *m = q->next;
	/* One byte more than a frame may have: it shows that one was cut off. */
	struct iovec part[] = {
		{.iov_base = &h, .iov_len = sizeof(h)},
		{.iov_base = rte_pktmbuf_mtod(m, void *), .iov_len = p->frame_max + 1u},
	};
	ssize_t n = readv(q->fd, part, 2);

	if (n < 0)
		return -1;
	if (n < (ssize_t)sizeof(h) || !accept_frame(p, q, m, &h.hdr, (size_t)n - sizeof(h)))
		return 0;
	m->data_len = (uint16_t)((size_t)n - sizeof(h));
	m->pkt_len = m->data_len;
	m->port = port->id;
	q->next = NULL;
	*out = m;
	return 1;
}

uint16_t tap_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct tap_port *p = port->priv;
	struct tap_queue *q = &p->q[queue];
	uint64_t bytes = 0;
	uint16_t got = 0;

	for (uint16_t tries = 0; tries < n; tries++) {
		int rc;

		if (q->next == NULL)
			q->next = rte_pktmbuf_alloc(p->pool);
		if (q->next == NULL) {
			driver_count(&q->count.rx_no_buffer, 1);
			break;
		}
		rc = read_one(port, q, &m[got]);
		if (rc < 0)
			break;
		if (rc > 0)
			bytes += m[got++]->pkt_len;
	}
	driver_count(&q->count.rx_frames, got);
	driver_count(&q->count.rx_bytes, bytes);
	return got;
}

/* 0, or the error of the write. */
static int write_one(const struct tap_queue *q, const struct rte_mbuf *m)
{
	static const struct virtio_net_hdr_mrg_rxbuf none;
	struct iovec part[1 + TAP_SEGMENTS_MAX];
	int count = 0;

	part[count++] = (struct iovec){.iov_base = RTE_PTR_ADD(&none, 0), .iov_len = sizeof(none)};
	if (m->nb_segs > TAP_SEGMENTS_MAX)
		return EMSGSIZE;
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next)
		part[count++] = (struct iovec){.iov_base = rte_pktmbuf_mtod(s, void *),
					       .iov_len = s->data_len};
	return writev(q->fd, part, count) < 0 ? errno : 0;
}

uint16_t tap_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct tap_queue *q = &((struct tap_port *)port->priv)->q[queue];
	uint64_t frames = 0, bytes = 0;
	uint16_t taken = 0;

	for (; taken < n; taken++) {
		int rc = write_one(q, m[taken]);

		if (rc == EAGAIN)
			break;
		if (rc == 0) {
			frames++;
			bytes += m[taken]->pkt_len;
		} else {
			driver_count(&q->count.tx_failed, 1);
		}
		rte_pktmbuf_free(m[taken]);
	}
	driver_count(&q->count.tx_frames, frames);
	driver_count(&q->count.tx_bytes, bytes);
	return taken;
}
