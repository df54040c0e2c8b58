/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Receive: the kernel joins datagrams of one size from one address and hands them over as one
 * message. The message is received into buffers that are each as long as a datagram is expected
 * to be, so that each one lies in a buffer of its own; where the guess was wrong, they are copied
 * apart. Runs on the queue's worker.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include "udp.h"

/* So many bytes that fitted outweigh as many that do not, before the guess follows those. */
#define TRUST_MAX (256 * 1024)
/* The sockets of lanes get echoes of probes alone: a look at them each so often will do. */
#define LANES_PER_S 1000

static inline uint8_t *payload_of(const struct rte_mbuf *m)
{
	return RTE_PTR_ADD(m->buf_addr, UDP_PAYLOAD_AT);
}

/* ---- Buffers of a message ---- */

static uint16_t wanted(uint16_t size)
{
	return (uint16_t)RTE_MIN(UINT16_MAX / RTE_MAX(size, 1) + 1, UDP_RUN_MAX);
}

/* As many buffers as a message of that size needs; false where there is none. */
static bool fill_slot(const struct udp_port *p, struct udp_queue *q, struct udp_slot *s,
		      uint8_t *spill)
{
	uint16_t want = wanted(q->rx.guess), missing = (uint16_t)(want - s->have);

	if (s->have < want && rte_pktmbuf_alloc_bulk(p->pool, s->m + s->have, missing) == 0) {
		s->have = want;
	} else if (s->have == 0) {
		s->m[0] = rte_pktmbuf_alloc(p->pool);
		if (s->m[0] == NULL)
			return false;
		s->have = 1;
	}
	for (uint16_t i = 0; i < s->have; i++)
		s->iov[i] = (struct iovec){payload_of(s->m[i]), q->rx.guess};
	s->iov[s->have] = (struct iovec){spill, UDP_SPILL_LEN};
	s->size = q->rx.guess;
	return true;
}

static void set_message(struct udp_slot *s, struct mmsghdr *msg)
{
	msg->msg_hdr = (struct msghdr){
		.msg_name = &s->from,
		.msg_namelen = sizeof(s->from),
		.msg_iov = s->iov,
		.msg_iovlen = s->have + 1u,
		.msg_control = &s->control,
		.msg_controllen = sizeof(s->control),
	};
}

/* The first n buffers of the message are somebody else's now. */
static void used(struct udp_slot *s, uint16_t n)
{
	s->have = (uint16_t)(s->have - n);
	for (uint16_t i = 0; i < s->have; i++)
		s->m[i] = s->m[n + i];
}

void udp_rx_free(struct udp_queue *q)
{
	struct udp_rx *rx = &q->rx;

	for (int i = 0; i < UDP_RX_MESSAGES; i++) {
		rte_pktmbuf_free_bulk(rx->slot[i].m, rx->slot[i].have);
		rx->slot[i].have = 0;
	}
	rte_pktmbuf_free_bulk(rx->ready + rx->at, rx->count);
	rx->at = rx->count = 0;
}

/* ---- What stands beside a message ---- */

struct facts {
	uint16_t size; /* of a segment; 0: the kernel joined nothing */
	bool has_to;
	uint8_t tos;	    /* or traffic class */
	struct in6_addr to; /* IPv4 in its mapped form */
};

static void map_v4(struct in6_addr *out, const void *v4)
{
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(out->s6_addr + 12, v4, 4);
}

static void read_control(struct msghdr *msg, struct facts *f)
{
	*f = (struct facts){0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int size;

			memcpy(&size, CMSG_DATA(c), sizeof(size));
			f->size = (uint16_t)size;
		} else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&f->to, CMSG_DATA(c) + offsetof(struct in6_pktinfo, ipi6_addr),
			       sizeof(f->to));
			f->has_to = true;
		} else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
			map_v4(&f->to, CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_addr));
			f->has_to = true;
		} else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS) ||
			   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
			f->tos = *CMSG_DATA(c); /* a byte, or an int of which it is the lowest */
		}
	}
}

/* ---- The header that a frame would have had ---- */

struct header {
	uint8_t b[UDP_V6_LEN + 2];
	uint16_t len; /* of b in use */
	bool v6;
};

static inline void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void build_header(struct header *h, const struct sockaddr_in6 *from, const struct facts *f,
			 uint16_t port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	struct in6_addr source = from->sin6_addr;
	uint8_t *ip = h->b + UDP_ETHER_LEN, *udp;

	if (from->sin6_family == AF_INET)
		map_v4(&source, &v4->sin_addr);
	memset(h->b, 0, sizeof(h->b));
	h->v6 = !IN6_IS_ADDR_V4MAPPED(&source);
	h->len = h->v6 ? UDP_V6_LEN : UDP_V4_LEN;
	put16(h->b + 12, h->v6 ? 0x86dd : 0x0800);
	udp = h->b + h->len - 8;
	if (h->v6) {
		put16(ip, 0x6000U | (uint32_t)f->tos << 4);
		ip[6] = IPPROTO_UDP;
		memcpy(ip + 8, &source, 16);
		memcpy(ip + 24, &f->to, 16);
	} else {
		put16(ip, 0x4500U | f->tos);
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, source.s6_addr + 12, 4);
		memcpy(ip + 16, f->to.s6_addr + 12, 4);
	}
	memcpy(udp, &from->sin6_port, 2); /* both families have it there */
	put16(udp + 2, port);
}

static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
	      "a port is where it is");

/* In front of the len bytes of payload that lie in m. */
static inline void put_header(struct rte_mbuf *m, const struct header *h, uint16_t len)
{
	uint8_t *at = payload_of(m) - h->len, *udp = at + h->len - 8;

	memcpy(at, h->b, h->len);
	put16(udp + 4, len + 8u);
	put16(at + UDP_ETHER_LEN + (h->v6 ? 4 : 2), h->v6 ? len + 8u : len + 28u);
	m->data_off = (uint16_t)(UDP_PAYLOAD_AT - h->len);
	m->data_len = (uint16_t)(h->len + len);
	m->pkt_len = m->data_len;
}

/* ---- Taking a message apart ---- */

static void give(struct omni_port *port, struct udp_queue *q, struct rte_mbuf *m,
		 const struct header *h, uint16_t len)
{
	m->port = port->id;
	put_header(m, h, len);
	q->rx.ready[q->rx.at + q->rx.count++] = m;
}

/* Bytes [from, from + len) of the message, wherever they lie. */
static void copy_out(const struct udp_slot *s, const uint8_t *spill, uint32_t from, uint32_t len,
		     uint8_t *to)
{
	while (len > 0) {
		uint32_t i = from / s->size, at = from % s->size, some = len;

		if (i >= s->have) {
			memcpy(to, spill + (from - (uint32_t)s->have * s->size), len);
			return;
		}
		some = RTE_MIN(len, s->size - at);
		memcpy(to, payload_of(s->m[i]) + at, some);
		to += some;
		from += some;
		len -= some;
	}
}

static void follow(struct udp_rx *rx, uint16_t size, uint32_t bytes, bool fitted)
{
	if (fitted) {
		rx->trust = (int32_t)RTE_MIN(rx->trust + (int64_t)bytes, TRUST_MAX);
		return;
	}
	rx->trust -= (int32_t)bytes;
	if (rx->trust > 0)
		return;
	rx->trust = 0;
	rx->guess = size;
}

/* The segments lie across the buffers: each gets one of its own. */
static void copy_apart(struct omni_port *port, struct udp_queue *q, struct udp_slot *s,
		       const uint8_t *spill, const struct header *h, uint32_t len, uint16_t size)
{
	const struct udp_port *p = port->priv;
	uint32_t n = 0, lost = 0;

	for (uint32_t at = 0; at < len; at += size, n++) {
		uint16_t some = (uint16_t)RTE_MIN(len - at, (uint32_t)size);
		struct rte_mbuf *m = n < UDP_RX_SEGMENTS ? rte_pktmbuf_alloc(p->pool) : NULL;

		if (m == NULL) {
			lost++;
			continue;
		}
		copy_out(s, spill, at, some, payload_of(m));
		give(port, q, m, h, some);
	}
	driver_count(&q->count.rx_copied, n - lost);
	driver_count(&q->count.rx_no_buffer, lost);
}

static void take(struct omni_port *port, struct udp_queue *q, unsigned int i, uint16_t udp_port)
{
	const struct udp_port *p = port->priv;
	struct udp_slot *s = &q->rx.slot[i];
	struct mmsghdr *msg = &q->rx.msg[i];
	uint32_t len = msg->msg_len, n;
	struct header h;
	struct facts f;
	uint16_t size;

	read_control(&msg->msg_hdr, &f);
	size = f.size != 0 ? f.size : (uint16_t)len;
	n = size != 0 ? (len + size - 1) / size : 1;
	if (unlikely(!f.has_to)) {
		driver_count(&q->count.rx_bad, n);
		return;
	}
	if (unlikely(size > p->payload_max || (msg->msg_hdr.msg_flags & MSG_TRUNC) != 0)) {
		driver_count(&q->count.rx_truncated, n);
		return;
	}
	driver_count(&q->count.rx_joined, n > 1);
	build_header(&h, &s->from, &f, udp_port);
	if (likely(n == 1 ? len <= s->size : size == s->size && n <= s->have)) {
		for (uint32_t k = 0; k < n; k++)
			give(port, q, s->m[k], &h,
			     (uint16_t)RTE_MIN(len - k * size, (uint32_t)size));
		used(s, (uint16_t)n);
		follow(&q->rx, size, len, true);
		return;
	}
	copy_apart(port, q, s, q->rx.spill[i], &h, len, size);
	follow(&q->rx, size, len, false);
}

/* ---- Calls ---- */

static unsigned int prepare(const struct udp_port *p, struct udp_queue *q)
{
	struct udp_rx *rx = &q->rx;
	unsigned int n = 0;

	while (n < rx->per_call && fill_slot(p, q, &rx->slot[n], rx->spill[n])) {
		set_message(&rx->slot[n], &rx->msg[n]);
		n++;
	}
	if (n == 0)
		driver_count(&q->count.rx_no_buffer, 1);
	return n;
}

/*
 * An error is one that waited on the socket (an ICMP message, an interface that went down), is
 * gone with being told, and says nothing about what waits behind it.
 */
static int call(struct udp_queue *q, int fd, unsigned int messages)
{
	int n = -1;

	for (int tries = 0; tries < 2 && n < 0; tries++) {
		n = recvmmsg(fd, q->rx.msg, messages, MSG_DONTWAIT, NULL);
		if (n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		driver_count(&q->count.rx_failed, errno != EINTR);
	}
	return n;
}

/* Single datagrams are asked for in numbers, joined ones one message at a time. */
static void adapt(struct udp_rx *rx, unsigned int asked, unsigned int messages, uint16_t got)
{
	if (got > 4 * messages)
		rx->per_call = 1;
	else if (messages == asked)
		rx->per_call = (uint16_t)RTE_MIN(rx->per_call * 2, UDP_RX_MESSAGES);
}

/* False where nothing more waits. */
static bool receive(struct omni_port *port, struct udp_queue *q, int fd, uint16_t udp_port)
{
	struct udp_rx *rx = &q->rx;
	unsigned int asked = prepare(port->priv, q);
	uint16_t before = rx->count;
	int n = asked != 0 ? call(q, fd, asked) : 0;

	if (n <= 0)
		return false;
	for (int i = 0; i < n; i++)
		take(port, q, (unsigned int)i, udp_port);
	adapt(rx, asked, (unsigned int)n, (uint16_t)(rx->count - before));
	return (unsigned int)n == asked;
}

/* True where something came. */
static bool receive_lanes(struct omni_port *port, uint16_t queue)
{
	const struct udp_port *p = port->priv;
	struct udp_queue *q = &p->q[queue];

	q->lanes_tsc = rte_rdtsc() + rte_get_tsc_hz() / LANES_PER_S;
	for (unsigned int i = queue; i < p->n_lanes; i += p->queues) {
		(void)receive(port, q, p->lane[i].fd, p->lane[i].port);
		if (q->rx.count == 0)
			continue;
		q->lanes_tsc = 0; /* the next one waits for its turn, but not long */
		return true;
	}
	return false;
}

/* False where nothing more waits. */
static bool refill(struct omni_port *port, uint16_t queue)
{
	const struct udp_port *p = port->priv;
	struct udp_queue *q = &p->q[queue];

	q->rx.at = 0;
	if (queue < p->n_lanes && rte_rdtsc() >= q->lanes_tsc && receive_lanes(port, queue))
		return true;
	return receive(port, q, q->fd, p->udp_port);
}

static uint16_t give_ready(struct udp_rx *rx, struct rte_mbuf **m, uint16_t n)
{
	n = RTE_MIN(n, rx->count);
	for (uint16_t i = 0; i < n; i++)
		m[i] = rx->ready[rx->at + i];
	rx->at = (uint16_t)(rx->at + n);
	rx->count = (uint16_t)(rx->count - n);
	return n;
}

uint16_t udp_rx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct udp_queue *q = &((struct udp_port *)port->priv)->q[queue];
	struct udp_rx *rx = &q->rx;
	uint64_t bytes = 0;
	uint16_t got = 0;
	bool more = true;

	/* As many calls at most as frames are wanted: what is dropped must not keep us here. */
	for (uint16_t calls = 0; more && got < n && calls < n; calls++) {
		if (rx->count == 0)
			more = refill(port, queue);
		got = (uint16_t)(got + give_ready(rx, m + got, (uint16_t)(n - got)));
	}
	for (uint16_t i = 0; i < got; i++)
		bytes += m[i]->pkt_len;
	driver_count(&q->count.rx_frames, got);
	driver_count(&q->count.rx_bytes, bytes);
	return got;
}

bool udp_arm(struct omni_port *port, uint16_t queue)
{
	return ((struct udp_port *)port->priv)->q[queue].rx.count > 0;
}
