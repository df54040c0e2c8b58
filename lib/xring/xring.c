/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>

#include <omni_cursor.h>
#include <omni_wire.h>
#include <omni_xring.h>

int omni_meta_register(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "omni_meta",
		.size = sizeof(struct omni_meta),
		.align = __alignof__(uint64_t),
	};

	return rte_mbuf_dynfield_register_offset(&field, OMNI_META_OFFSET) == OMNI_META_OFFSET
		       ? 0
		       : -rte_errno;
}

/* Where the rings of one worker are made. */
struct place {
	const char *name;
	int socket;
};

static struct rte_ring *ring(const struct place *at, const char *what, unsigned int size,
			     unsigned int elem, unsigned int producers)
{
	char full[RTE_RING_NAMESIZE];

	snprintf(full, sizeof(full), "%s_%s", at->name, what);
	return rte_ring_create_elem(full, elem, size, at->socket,
				    producers | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

/*
 * Workers may share a CPU, so none of them waits for another that was put off it in the middle of
 * an enqueue: relaxed tails, and no bound on how far they lag.
 */
static struct rte_ring *inbox(const struct place *at)
{
	struct rte_ring *r = ring(at, "in", OMNI_INBOX_SIZE, sizeof(void *), RING_F_MP_RTS_ENQ);

	if (r != NULL)
		(void)rte_ring_set_prod_htd_max(r, rte_ring_get_capacity(r));
	return r;
}

struct omni_xring *omni_xring_create(const char *name, int to_control)
{
	return omni_xring_create_on(name, to_control, SOCKET_ID_ANY);
}

struct omni_xring *omni_xring_create_on(const char *name, int to_control, int socket)
{
	const struct place at = {.name = name, .socket = socket};
	struct omni_xring *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	x->to_control = to_control;
	x->to_worker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (x->to_worker < 0) {
		rte_errno = errno;
		goto fail;
	}
	x->events = ring(&at, "ev", OMNI_EVENTS_SIZE, sizeof(struct omni_event), RING_F_SP_ENQ);
	x->handshake = ring(&at, "hs", OMNI_PUNT_HANDSHAKE_SIZE, sizeof(void *), RING_F_SP_ENQ);
	x->control = ring(&at, "ctl", OMNI_PUNT_SIZE, sizeof(void *), RING_F_SP_ENQ);
	x->link = ring(&at, "ln", OMNI_PUNT_LINK_SIZE, sizeof(void *), RING_F_SP_ENQ);
	x->tx = ring(&at, "tx", OMNI_CTL_TX_SIZE, sizeof(void *), RING_F_SP_ENQ);
	x->inbox = inbox(&at);
	if (x->events != NULL && x->handshake != NULL && x->control != NULL && x->link != NULL &&
	    x->tx != NULL && x->inbox != NULL)
		return x;
fail:
	omni_xring_free(x);
	return NULL;
}

static void drain(struct rte_ring *r)
{
	struct rte_mbuf *m;

	while (r != NULL && omni_xring_take(r, &m, 1) == 1)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

void omni_xring_free(struct omni_xring *x)
{
	if (x == NULL)
		return;
	drain(x->handshake);
	drain(x->control);
	drain(x->link);
	drain(x->tx);
	drain(x->inbox);
	rte_ring_free(x->events);
	if (x->to_worker >= 0)
		close(x->to_worker);
	free(x);
}

/* The counter of an eventfd cannot overflow here, so a failed write means it is set already. */
static void ring_bell(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

void omni_xring_bell(struct omni_xring *x)
{
	if (!x->ring_bell)
		return;
	x->ring_bell = false;
	ring_bell(x->to_control);
}

void omni_xring_wake(struct omni_xring *x)
{
	/* Pairs with the worker's fence between saying that it sleeps and its last look. */
	atomic_thread_fence(memory_order_seq_cst);
	/* One of many that find it asleep rings. */
	if (atomic_load_explicit(&x->worker_sleeps, memory_order_relaxed) &&
	    atomic_exchange_explicit(&x->worker_sleeps, false, memory_order_relaxed))
		ring_bell(x->to_worker);
}

int omni_xring_send(struct omni_xring *x, struct rte_mbuf *m)
{
	if (rte_ring_sp_enqueue(x->tx, m) != 0)
		return -ENOBUFS;
	omni_xring_wake(x);
	return 0;
}

void omni_punt_addresses(const struct rte_mbuf *m, struct omni_endpoint *from,
			 struct omni_endpoint *to)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, OMNI_ETHER_HDR_LEN);
	const uint8_t *udp;
	uint32_t v4;

	if (ip[0] >> 4 == 6) {
		memcpy(from->ip.b, ip + 8, 16);
		memcpy(to->ip.b, ip + 24, 16);
		udp = ip + OMNI_IPV6_HDR_LEN;
	} else {
		memcpy(&v4, ip + 12, 4);
		from->ip = omni_ip_from_v4(v4);
		memcpy(&v4, ip + 16, 4);
		to->ip = omni_ip_from_v4(v4);
		udp = ip + (ip[0] & 0xf) * 4;
	}
	from->port = omni_load_be16(udp);
	to->port = omni_load_be16(udp + 2);
}
