/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames between the rings of an AF_XDP socket and mbufs. Runs on the queue's worker. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <rte_branch_prediction.h>
#include <rte_ether.h>

#include "af_xdp.h"

static void hold(struct xdp_port *p, uint64_t chunk_addr)
{
	p->held[chunk_addr / p->chunk] = 1;
}

static void unhold(struct xdp_port *p, uint64_t chunk_addr)
{
	p->held[chunk_addr / p->chunk] = 0;
}

void xdp_refill(struct xdp_port *p, struct xdp_queue *q)
{
	struct rte_mbuf *m[DRIVER_BURST];

	while (q->fill_missing > 0) {
		uint32_t n = RTE_MIN(q->fill_missing, (uint32_t)DRIVER_BURST), at;

		if (rte_mempool_get_bulk(p->pool, (void **)m, n) < 0) {
			driver_count(&q->count.rx_no_buffer, 1);
			return;
		}
		if (xsk_ring_prod__reserve(&q->fill, n, &at) != n) {
			rte_mempool_put_bulk(p->pool, (void **)m, n);
			return;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint64_t addr = xdp_chunk(p, m[i]);

			hold(p, addr);
			*xsk_ring_prod__fill_addr(&q->fill, at + i) = addr;
		}
		xsk_ring_prod__submit(&q->fill, n);
		q->fill_missing -= n;
	}
}

static void take_completed(struct xdp_port *p, struct xdp_queue *q)
{
	struct rte_mbuf *m[DRIVER_BURST];
	uint32_t n, at;

	while ((n = xsk_ring_cons__peek(&q->completion, DRIVER_BURST, &at)) > 0) {
		for (uint32_t i = 0; i < n; i++) {
			uint64_t addr = xsk_umem__extract_addr(
				*xsk_ring_cons__comp_addr(&q->completion, at + i));

			unhold(p, addr);
			m[i] = xdp_mbuf(p, addr);
		}
		xsk_ring_cons__release(&q->completion, n);
		rte_pktmbuf_free_bulk(m, n);
		q->tx_outstanding -= n;
	}
}

static uint32_t unsent(const struct xdp_queue *q)
{
	return q->tx.cached_prod - __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE);
}

/* Make the kernel send. False: it will not. */
static bool kick(struct xdp_queue *q)
{
	uint32_t left = unsent(q);

	if (left == 0 || !xsk_ring_prod__needs_wakeup(&q->tx))
		return true;
	for (uint32_t tries = 1 + left / XDP_KICK_BATCH; tries > 0; tries--) {
		if (send(q->fd, "", 0, MSG_DONTWAIT) >= 0)
			continue;
		if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) {
			driver_count(&q->count.tx_kick_failed, 1);
			return false;
		}
	}
	return true;
}

uint32_t xdp_flush(struct xdp_port *p, struct xdp_queue *q)
{
	if (q->tx_outstanding > 0) {
		(void)kick(q);
		take_completed(p, q);
	}
	return q->tx_outstanding;
}

/* No frame was there: see that the kernel has what it needs to bring some. */
static uint16_t rx_idle(struct xdp_port *p, struct xdp_queue *q)
{
	char none;

	xdp_refill(p, q);
	xdp_flush(p, q);
	if (xsk_ring_prod__needs_wakeup(&q->fill))
		(void)recv(q->fd, &none, 0, MSG_DONTWAIT);
	return 0;
}

static uint16_t rx_socket(struct omni_port *port, struct xdp_queue *q, struct rte_mbuf **m,
			  uint16_t n)
{
	struct xdp_port *p = port->priv;
	uint64_t bytes = 0;
	uint32_t at, got = xsk_ring_cons__peek(&q->rx, n, &at);

	if (got == 0)
		return rx_idle(p, q);
	for (uint32_t i = 0; i < got; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);
		uint64_t addr = xsk_umem__extract_addr(d->addr);
		uint64_t offset = xsk_umem__extract_offset(d->addr);

		unhold(p, addr);
		m[i] = xdp_mbuf(p, addr);
		rte_pktmbuf_reset(m[i]);
		m[i]->data_off = (uint16_t)(offset - p->data_at);
		m[i]->data_len = (uint16_t)d->len;
		m[i]->pkt_len = d->len;
		m[i]->port = port->id;
		bytes += d->len;
	}
	xsk_ring_cons__release(&q->rx, got);
	q->fill_missing += got;
	xdp_refill(p, q);
	driver_count(&q->count.rx_frames, got);
	driver_count(&q->count.rx_bytes, bytes);
	return (uint16_t)got;
}

/* The socket after s of the same worker queue. */
static uint16_t next_socket(const struct xdp_port *p, uint16_t queue, uint16_t s)
{
	return s + p->queues < p->sockets ? (uint16_t)(s + p->queues) : queue;
}

/* One socket after the other, beginning with another one each time, until the burst is full. */
uint16_t xdp_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct xdp_port *p = port->priv;
	uint16_t first = p->of_worker[queue].first, s = first, got = 0;

	do {
		got = (uint16_t)(got + rx_socket(port, &p->q[s], m + got, (uint16_t)(n - got)));
		s = next_socket(p, queue, s);
	} while (s != first && got < n);
	p->of_worker[queue].first = next_socket(p, queue, first);
	if (queue == 0 && p->kernel != NULL && likely(got < n))
		got = (uint16_t)(got + xdp_kernel_rx(p->kernel, m + got, (uint16_t)(n - got), got));
	return got;
}

/* The frame in a buffer of the UMEM that nobody else holds; NULL: no buffer for the copy. */
static struct rte_mbuf *own_copy(struct xdp_port *p, struct xdp_queue *q, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(p->pool);

	if (copy != NULL && m->pkt_len <= rte_pktmbuf_tailroom(copy)) {
		char *to = rte_pktmbuf_append(copy, (uint16_t)m->pkt_len);
		const void *from = rte_pktmbuf_read(m, 0, m->pkt_len, to);

		if (from != to)
			memcpy(to, from, m->pkt_len);
		driver_count(&q->count.tx_copied, 1);
	} else {
		rte_pktmbuf_free(copy);
		copy = NULL;
		driver_count(&q->count.tx_no_buffer, 1);
	}
	rte_pktmbuf_free(m);
	return copy;
}

static struct rte_mbuf *sendable(struct xdp_port *p, struct xdp_queue *q, struct rte_mbuf *m)
{
	uint32_t max = __atomic_load_n(&p->tx_max, __ATOMIC_RELAXED);

	/* The kernel would refuse these without completing them. */
	if (m->pkt_len < RTE_ETHER_HDR_LEN || m->pkt_len > max) {
		driver_count(&q->count.tx_bad_len, 1);
		rte_pktmbuf_free(m);
		return NULL;
	}
	if (m->pool == p->pool && m->nb_segs == 1 && RTE_MBUF_DIRECT(m) &&
	    rte_mbuf_refcnt_read(m) == 1)
		return m;
	return own_copy(p, q, m);
}

/* At most DRIVER_BURST frames for which the ring has room. */
static void send_some(struct xdp_port *p, struct xdp_queue *q, struct rte_mbuf **m, uint16_t n)
{
	struct rte_mbuf *out[DRIVER_BURST];
	uint32_t count = 0, at;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *one = sendable(p, q, m[i]);

		if (one != NULL)
			out[count++] = one;
	}
	/* The caller saw to it that there is room. */
	if (count == 0 || xsk_ring_prod__reserve(&q->tx, count, &at) != count) {
		driver_count(&q->count.tx_no_buffer, count);
		rte_pktmbuf_free_bulk(out, count);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint64_t addr = xdp_chunk(p, out[i]);
		uint64_t offset = p->data_at + out[i]->data_off;

		hold(p, addr);
		*xsk_ring_prod__tx_desc(&q->tx, at + i) = (struct xdp_desc){
			.addr = addr | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT,
			.len = out[i]->pkt_len,
		};
		bytes += out[i]->pkt_len;
	}
	xsk_ring_prod__submit(&q->tx, count);
	q->tx_outstanding += count;
	driver_count(&q->count.tx_frames, count);
	driver_count(&q->count.tx_bytes, bytes);
}

uint16_t xdp_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct xdp_port *p = port->priv;
	struct xdp_queue *q = &p->q[queue];
	uint16_t sent = 0;

	take_completed(p, q);
	/* Never more than the completion ring holds. */
	n = (uint16_t)RTE_MIN((uint32_t)n, XDP_RING - q->tx_outstanding);
	while (sent < n) {
		uint16_t some = (uint16_t)RTE_MIN(n - sent, DRIVER_BURST);

		send_some(p, q, m + sent, some);
		sent = (uint16_t)(sent + some);
	}
	(void)kick(q);
	return sent;
}

static bool arm_socket(struct xdp_port *p, struct xdp_queue *q)
{
	uint32_t at;

	if (xsk_ring_cons__peek(&q->rx, 1, &at) > 0) {
		xsk_ring_cons__cancel(&q->rx, 1);
		return true;
	}
	rx_idle(p, q);
	/* Nothing would wake us to send the rest, unless the kernel cannot send it anyway. */
	return kick(q) && unsent(q) > 0;
}

bool xdp_arm(struct omni_port *port, uint16_t queue)
{
	struct xdp_port *p = port->priv;
	bool waiting = false;

	for (uint16_t s = queue; s < p->sockets; s = (uint16_t)(s + p->queues))
		waiting |= arm_socket(p, &p->q[s]);
	if (queue == 0 && p->kernel != NULL)
		waiting |= xdp_kernel_arm(p->kernel);
	return waiting;
}
