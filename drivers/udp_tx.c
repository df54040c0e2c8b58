/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Transmit: the frames of a burst are sorted by destination, each destination's in their order;
 * datagrams of one size that follow each other leave in one segmented send, of which the last
 * may be shorter. The kernel reads the payloads where they lie. Runs on the queue's worker.
 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include <omni_cursor.h>

#include "udp.h"

#define V4_ADDRESSES (UDP_ETHER_LEN + 12) /* source, destination, ports: 12 bytes */
#define V4_ADDRESSES_LEN 12
#define V6_ADDRESSES (UDP_ETHER_LEN + 8) /* 36 bytes */
#define V6_ADDRESSES_LEN 36
#define NO_FRAME UINT16_MAX
/* A destination that refused a segmented send gets single datagrams for so long. */
#define SINGLES_S 10

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* ---- Sorting ---- */

/* The frame's family, payload and TOS; false where it is no UDP datagram that ends where m ends. */
static inline bool parse(const struct rte_mbuf *m, bool *v6, struct udp_frame *f)
{
	const uint8_t *hdr = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type, front;

	if (unlikely(m->nb_segs != 1 || m->data_len < UDP_V4_LEN))
		return false;
	type = be16(hdr + 12);
	*v6 = type == 0x86dd;
	front = *v6 ? UDP_V6_LEN : UDP_V4_LEN;
	if (unlikely((!*v6 && (type != 0x0800 || hdr[UDP_ETHER_LEN] != 0x45)) ||
		     m->data_len < front || m->data_len - front > UDP_PAYLOAD_MAX))
		return false;
	f->len = (uint16_t)(m->data_len - front);
	f->tos = (uint8_t)(be16(hdr + UDP_ETHER_LEN) >> (*v6 ? 4 : 0));
	return true;
}

static inline bool same_addresses(const struct udp_flow *f, const uint8_t *hdr, bool v6)
{
	if (unlikely(f->v6 != v6))
		return false;
	return v6 ? memcmp(f->hdr + V6_ADDRESSES, hdr + V6_ADDRESSES, V6_ADDRESSES_LEN) == 0
		  : memcmp(f->hdr + V4_ADDRESSES, hdr + V4_ADDRESSES, V4_ADDRESSES_LEN) == 0;
}

static uint32_t hash_of(const uint8_t *hdr, bool v6)
{
	const uint8_t *at = hdr + (v6 ? V6_ADDRESSES : V4_ADDRESSES);
	const uint8_t *end = at + (v6 ? V6_ADDRESSES_LEN : V4_ADDRESSES_LEN);
	uint64_t h = v6;

	for (; at < end; at += sizeof(uint32_t))
		h = (h ^ omni_load_be32(at)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

/*
 * The flow of a frame. `at` is a table by hash that may forget: then one destination stands in two
 * flows, of which the later one holds the later frames, so the order stays.
 */
static uint16_t flow_of(struct udp_tx *tx, uint16_t *at, const uint8_t *hdr, bool v6)
{
	uint32_t hash = hash_of(hdr, v6);
	uint16_t *slot = &at[hash % UDP_TX_MAX];
	struct udp_flow *f;

	if (*slot < tx->flows && same_addresses(&tx->flow[*slot], hdr, v6))
		return *slot;
	*slot = tx->flows++;
	f = &tx->flow[*slot];
	f->hdr = hdr;
	f->hash = hash;
	f->v6 = v6;
	f->first = f->last = NO_FRAME;
	return *slot;
}

static inline void append(struct udp_tx *tx, uint16_t flow, uint16_t frame)
{
	struct udp_flow *f = &tx->flow[flow];

	tx->next[frame] = NO_FRAME;
	if (f->first == NO_FRAME)
		f->first = frame;
	else
		tx->next[f->last] = frame;
	f->last = frame;
}

/*
 * Up to the first fragment, or all; returns how many they are. Frames that are no datagrams are
 * freed and counted.
 */
static uint16_t sort(struct udp_queue *q, struct rte_mbuf **m, uint16_t n)
{
	struct udp_tx *tx = &q->tx;
	uint16_t at[UDP_TX_MAX] = {0}, flow = 0;

	tx->frames = tx->flows = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct udp_frame *f = &tx->frame[tx->frames];
		const uint8_t *hdr = rte_pktmbuf_mtod(m[i], const uint8_t *);
		bool v6;

		if (unlikely(udp_is_fragment(m[i])))
			return i;
		if (unlikely(!parse(m[i], &v6, f))) {
			driver_count(&q->count.tx_failed, 1);
			rte_pktmbuf_free(m[i]);
			continue;
		}
		if (unlikely(tx->flows == 0 || !same_addresses(&tx->flow[flow], hdr, v6)))
			flow = flow_of(tx, at, hdr, v6);
		f->m = m[i];
		f->flow = flow;
		append(tx, flow, tx->frames++);
	}
	return n;
}

/* ---- Runs ---- */

static bool wants_singles(const struct udp_tx *tx, uint32_t hash)
{
	return unlikely(tx->singles[hash % UDP_SINGLES].until != 0) &&
	       tx->singles[hash % UDP_SINGLES].hash == hash &&
	       rte_rdtsc() < tx->singles[hash % UDP_SINGLES].until;
}

static void remember_singles(struct udp_tx *tx, uint32_t hash)
{
	tx->singles[hash % UDP_SINGLES].hash = hash;
	tx->singles[hash % UDP_SINGLES].until = rte_rdtsc() + SINGLES_S * rte_get_tsc_hz();
}

/* One flow's frames after those that are in order already. */
static void cut_flow(struct udp_tx *tx, uint16_t flow, uint16_t *at)
{
	uint16_t most = wants_singles(tx, tx->flow[flow].hash) ? 1 : UDP_RUN_MAX;
	struct udp_run *run = NULL;
	uint32_t bytes = 0;

	for (uint16_t i = tx->flow[flow].first; i != NO_FRAME; i = tx->next[i]) {
		const struct udp_frame *f = &tx->frame[i];

		if (run == NULL || run->count == most || f->len > run->size ||
		    bytes + f->len > UDP_PAYLOAD_MAX || f->len == 0 || f->tos != run->tos) {
			run = &tx->run[tx->runs++];
			*run = (struct udp_run){
				.first = *at, .size = f->len, .flow = flow, .tos = f->tos};
			bytes = 0;
		}
		run->count++;
		bytes += f->len;
		tx->order[*at] = i;
		tx->iov[(*at)++] = (struct iovec){
			.iov_base = rte_pktmbuf_mtod_offset(f->m, void *, f->m->data_len - f->len),
			.iov_len = f->len,
		};
		if (f->len < run->size)
			run = NULL;
	}
}

/* ---- Messages ---- */

static int socket_of(const struct udp_port *p, const struct udp_queue *q, const struct udp_flow *f)
{
	uint16_t port = be16(f->hdr + (f->v6 ? UDP_V6_LEN : UDP_V4_LEN) - 8);

	if (likely(port == p->udp_port))
		return q->fd;
	for (uint16_t i = 0; i < p->n_lanes; i++)
		if (p->lane[i].port == port)
			return p->lane[i].fd;
	return q->fd;
}

static void fill_flow(const struct udp_port *p, const struct udp_queue *q, struct udp_flow *f)
{
	const uint8_t *ip = f->hdr + UDP_ETHER_LEN;

	f->fd = socket_of(p, q, f);
	memset(&f->to, 0, sizeof(f->to));
	memset(&f->from, 0, sizeof(f->from));
	f->to.sin6_family = AF_INET6;
	if (f->v6) {
		memcpy(&f->from.ipi6_addr, ip + 8, 16);
		memcpy(&f->to.sin6_addr, ip + 24, 16);
		memcpy(&f->to.sin6_port, ip + 42, 2);
		return;
	}
	if (q->v4_only) {
		struct sockaddr_in *to = (struct sockaddr_in *)&f->to;

		to->sin_family = AF_INET;
		memcpy(&to->sin_addr, ip + 16, 4);
		memcpy(&to->sin_port, ip + 22, 2);
		return;
	}
	f->from.ipi6_addr.s6_addr[10] = f->from.ipi6_addr.s6_addr[11] = 0xff;
	f->to.sin6_addr.s6_addr[10] = f->to.sin6_addr.s6_addr[11] = 0xff;
	memcpy(f->from.ipi6_addr.s6_addr + 12, ip + 12, 4);
	memcpy(f->to.sin6_addr.s6_addr + 12, ip + 16, 4);
	memcpy(&f->to.sin6_port, ip + 22, 2);
}

static struct cmsghdr *put_source(const struct udp_queue *q, const struct udp_flow *f,
				  struct cmsghdr *c)
{
	struct in_pktinfo v4 = {0};

	if (likely(!q->v4_only)) {
		c->cmsg_level = SOL_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(f->from));
		memcpy(CMSG_DATA(c), &f->from, sizeof(f->from));
		return RTE_PTR_ADD(c, CMSG_SPACE(sizeof(f->from)));
	}
	memcpy(&v4.ipi_spec_dst, f->hdr + V4_ADDRESSES, 4);
	c->cmsg_level = SOL_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(v4));
	memcpy(CMSG_DATA(c), &v4, sizeof(v4));
	return RTE_PTR_ADD(c, CMSG_SPACE(sizeof(v4)));
}

static struct cmsghdr *put_size(struct cmsghdr *c, uint16_t size)
{
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return RTE_PTR_ADD(c, CMSG_SPACE(sizeof(size)));
}

/* What the socket says by itself is 0. */
static struct cmsghdr *put_tos(struct cmsghdr *c, const struct udp_flow *f, int tos)
{
	if (likely(tos == 0))
		return c;
	c->cmsg_level = f->v6 ? SOL_IPV6 : SOL_IP;
	c->cmsg_type = f->v6 ? IPV6_TCLASS : IP_TOS;
	c->cmsg_len = CMSG_LEN(sizeof(tos));
	memcpy(CMSG_DATA(c), &tos, sizeof(tos));
	return RTE_PTR_ADD(c, CMSG_SPACE(sizeof(tos)));
}

static void fill_message(struct udp_queue *q, uint16_t i)
{
	struct udp_tx *tx = &q->tx;
	const struct udp_run *run = &tx->run[i];
	struct udp_flow *f = &tx->flow[run->flow];
	union udp_control *control = &tx->control[i];
	struct cmsghdr *end = put_tos(put_source(q, f, &control->align), f, run->tos);

	if (run->count > 1)
		end = put_size(end, run->size);
	tx->msg[i].msg_hdr = (struct msghdr){
		.msg_name = &f->to,
		.msg_namelen = q->v4_only ? sizeof(struct sockaddr_in) : sizeof(f->to),
		.msg_iov = &tx->iov[run->first],
		.msg_iovlen = run->count,
		.msg_control = control,
		.msg_controllen = (size_t)((uint8_t *)end - control->b),
	};
}

static void prepare(const struct udp_port *p, struct udp_queue *q)
{
	struct udp_tx *tx = &q->tx;
	uint16_t at = 0;

	tx->runs = 0;
	for (uint16_t i = 0; i < tx->flows; i++) {
		fill_flow(p, q, &tx->flow[i]);
		cut_flow(tx, i, &at);
	}
	for (uint16_t i = 0; i < tx->runs; i++)
		fill_message(q, i);
}

/* ---- Sending ---- */

static uint64_t *counter_of(struct udp_counters *c, int error)
{
	switch (error) {
	case EMSGSIZE:
		return &c->tx_too_long;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENODEV:
	case ENXIO:
	case ECONNREFUSED:
		return &c->tx_no_route;
	case EINVAL:
	case EADDRNOTAVAIL:
		return &c->tx_no_source;
	case EPERM:
	case EACCES:
		return &c->tx_denied;
	default:
		return &c->tx_failed;
	}
}

static bool is_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

void udp_tx_sent(struct udp_queue *q, uint64_t frames, uint64_t bytes)
{
	driver_count(&q->count.tx_frames, frames);
	driver_count(&q->count.tx_bytes, bytes);
}

bool udp_tx_failed(struct udp_queue *q, int error)
{
	if (is_full(error))
		driver_count(&q->count.tx_full, 1);
	else if (error != 0)
		driver_count(counter_of(&q->count, error), 1);
	return is_full(error);
}

/* One datagram of a run; 0 or the error. */
static int send_single(struct udp_queue *q, const struct udp_run *run, uint16_t at)
{
	struct udp_tx *tx = &q->tx;
	const struct rte_mbuf *m = tx->frame[tx->order[at]].m;
	struct udp_flow *f = &tx->flow[run->flow];
	union udp_control control;
	struct msghdr msg = {
		.msg_name = &f->to,
		.msg_namelen = q->v4_only ? sizeof(struct sockaddr_in) : sizeof(f->to),
		.msg_iov = &tx->iov[at],
		.msg_iovlen = 1,
		.msg_control = &control,
	};
	struct cmsghdr *end;

	end = put_tos(put_source(q, f, &control.align), f, run->tos);
	msg.msg_controllen = (size_t)((uint8_t *)end - control.b);
	if (sendmsg(f->fd, &msg, MSG_DONTWAIT) < 0)
		return errno;
	udp_tx_sent(q, 1, m->pkt_len);
	return 0;
}

static bool is_about_segments(int error)
{
	return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP;
}

/*
 * A run that the kernel refused whole with error. Where its first datagram is refused alone too,
 * so are the others (too long: its equals); else this destination does not take segmented sends.
 * Returns how many of the run's datagrams are done with.
 */
static uint16_t send_apart(struct udp_queue *q, const struct udp_run *run, int error)
{
	struct udp_tx *tx = &q->tx;
	int refused = run->count == 1 ? error : 0;

	for (uint16_t i = 0; i < run->count; i++) {
		uint16_t at = (uint16_t)(run->first + i);
		bool alike = refused != EMSGSIZE || tx->iov[at].iov_len == run->size;
		int rc = refused != 0 && alike ? refused : send_single(q, run, at);

		if (udp_tx_failed(q, rc))
			return i;
		if (i > 0)
			continue;
		refused = rc;
		if (rc != 0)
			continue;
		driver_count(&q->count.tx_apart, 1);
		if (is_about_segments(error))
			remember_singles(tx, tx->flow[run->flow].hash);
	}
	return run->count;
}

static void count_runs(struct udp_queue *q, uint16_t first, uint16_t n)
{
	const struct udp_tx *tx = &q->tx;
	uint64_t frames = 0, bytes = 0, runs = 0;

	for (uint16_t i = first; i < first + n; i++) {
		const struct udp_run *run = &tx->run[i];

		runs += run->count > 1;
		frames += run->count;
		for (uint16_t k = run->first; k < run->first + run->count; k++)
			bytes += tx->frame[tx->order[k]].m->pkt_len;
	}
	driver_count(&q->count.tx_runs, runs);
	udp_tx_sent(q, frames, bytes);
}

/* Runs from `at` on that leave from one socket. */
static uint16_t one_socket(const struct udp_tx *tx, uint16_t at)
{
	int fd = tx->flow[tx->run[at].flow].fd;
	uint16_t n = 1;

	while (at + n < tx->runs && tx->flow[tx->run[at + n].flow].fd == fd)
		n++;
	return n;
}

/* How many frames, in the order of tx->order, are sent or dropped. */
static uint16_t send_runs(struct udp_queue *q)
{
	struct udp_tx *tx = &q->tx;
	uint16_t at = 0;

	while (at < tx->runs) {
		int fd = tx->flow[tx->run[at].flow].fd;
		int n = sendmmsg(fd, tx->msg + at, one_socket(tx, at), MSG_DONTWAIT);
		int error = errno;
		uint16_t done;

		if (likely(n > 0)) {
			count_runs(q, at, (uint16_t)n);
			at = (uint16_t)(at + n);
			continue;
		}
		if (error == EINTR)
			continue;
		if (is_full(error)) {
			driver_count(&q->count.tx_full, 1);
			return tx->run[at].first;
		}
		done = send_apart(q, &tx->run[at], error);
		if (done < tx->run[at].count)
			return (uint16_t)(tx->run[at].first + done);
		at++;
	}
	return tx->frames;
}

/*
 * The datagrams before the first fragment, of at most UDP_TX_MAX frames, which are *n from here on.
 * Returns how many were taken; the others stand at the end of those.
 */
static uint16_t send_some(const struct udp_port *p, struct udp_queue *q, struct rte_mbuf **m,
			  uint16_t *n)
{
	struct udp_tx *tx = &q->tx;
	struct rte_mbuf *done[UDP_TX_MAX];
	uint16_t sent;

	*n = sort(q, m, *n);
	prepare(p, q);
	sent = send_runs(q);
	for (uint16_t i = 0; i < sent; i++)
		done[i] = tx->frame[tx->order[i]].m;
	rte_pktmbuf_free_bulk(done, sent);
	for (uint16_t i = sent; i < tx->frames; i++)
		m[*n - tx->frames + i] = tx->frame[tx->order[i]].m;
	return (uint16_t)(*n - (tx->frames - sent));
}

uint16_t udp_tx(struct omni_port *port, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	const struct udp_port *p = port->priv;
	struct udp_queue *q = &p->q[queue];
	uint16_t taken = 0;

	while (taken < n) {
		uint16_t some = RTE_MIN((uint16_t)(n - taken), (uint16_t)UDP_TX_MAX);
		uint16_t sent = send_some(p, q, m + taken, &some);

		taken = (uint16_t)(taken + sent);
		if (sent < some)
			break;
		if (likely(taken == n) || !udp_is_fragment(m[taken]))
			continue;
		taken = (uint16_t)(taken + udp_raw_tx(p, q, m + taken, (uint16_t)(n - taken)));
		if (taken < n && udp_is_fragment(m[taken]))
			break;
	}
	return taken;
}
