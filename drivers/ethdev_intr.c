/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sleeping on a DPDK device's receive interrupts (virtio-user, vhost, most NICs). Runs on the
 * queue's worker.
 *
 * A queue's interrupt is an eventfd, or with vhost an epoll set that stays readable; so it is
 * watched for edges, by a set of our own. The first arm asks for interrupts and has the queue
 * polled once more, for what came before; the second, with no edge since, lets the worker sleep.
 */
#include <sys/epoll.h>

#include "ethdev_segment.h"

/* Fails where the device has no descriptor, as vhost without frontend: then nothing wakes us. */
static void watch(const struct ethdev_port *p, uint16_t queue)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(p->dev, queue);

	/* It may be another one than last time; the same one is refused. */
	(void)epoll_ctl(p->q[queue].set, EPOLL_CTL_ADD, fd, &event);
}

int ethdev_rx_fd(struct omni_port *port, uint16_t queue)
{
	const struct ethdev_port *p = port->priv;

	return p->interrupts ? p->q[queue].set : -1;
}

bool ethdev_arm(struct omni_port *port, uint16_t queue)
{
	struct ethdev_port *p = port->priv;
	struct ethdev_queue *q = &p->q[queue];
	struct epoll_event event;

	if (ethdev_has_waiting(q))
		return true;
	if (!p->interrupts)
		return false;
	if (q->armed)
		return epoll_wait(q->set, &event, 1, 0) > 0;
	watch(p, queue);
	q->armed = rte_eth_dev_rx_intr_enable(p->dev, queue) == 0;
	return q->armed;
}

void ethdev_disarm(struct ethdev_port *p, uint16_t queue)
{
	p->q[queue].armed = false;
	(void)rte_eth_dev_rx_intr_disable(p->dev, queue);
}
