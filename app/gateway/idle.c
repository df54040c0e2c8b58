/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "idle.h"

#define IDLE_SLEEP_MAX_NS 100000000L
#define IDLE_NAP_NS 100000L
#define MS_PER_S 1000
#define US_PER_S 1000000

/* One queue of each port, and the bell. */
#define FDS_MAX (OMNI_PORTS_MAX + 1)

/* Nanoseconds that a sleep may last: until the worker's next deadline, at most max. */
static long limit_ns(const struct idle *idle, long max)
{
	uint64_t deadline = omni_node_deadline(idle->node), now = rte_rdtsc();

	if (deadline == 0)
		return max;
	if (deadline <= now)
		return 0;
	return (long)OMNI_MIN((double)(deadline - now) * 1e9 / (double)rte_get_tsc_hz(),
			      (double)max);
}

/*
 * Ask every port to wake us and fill fds with what to sleep on. Returns how many, or 0 where a
 * port has frames waiting; *naps is set where a port has no descriptor.
 */
static nfds_t arm(const struct idle *idle, struct pollfd *fds, bool *naps)
{
	struct omni_node_queue q[OMNI_PORTS_MAX];
	unsigned int queues = omni_node_queues(idle->node, q, OMNI_PORTS_MAX);
	bool waiting = false;
	nfds_t n = 1;

	*naps = false;
	for (unsigned int i = 0; i < queues; i++) {
		int fd = omni_port_rx_fd(q[i].port, q[i].queue);

		waiting |= omni_port_arm(q[i].port, q[i].queue);
		if (fd >= 0)
			fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
		else
			*naps = true;
	}
	return waiting ? 0 : n;
}

/* Where nothing woke us but descriptors of interfaces that are gone: leave those out. */
static bool all_broken(struct pollfd *fds, nfds_t n)
{
	bool all = true;

	for (nfds_t i = 0; i < n; i++) {
		if ((fds[i].revents & POLLIN) != 0)
			all = false;
		else if ((fds[i].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
			fds[i].fd = -1;
	}
	return all;
}

static void sleep_on(const struct idle *idle, struct pollfd *fds, nfds_t n, bool naps)
{
	const struct omni_worker_conf *conf = omni_node_worker_conf(idle->node);
	struct rte_rcu_qsbr *qsbr = omni_rcu_qsbr(conf->rcu);
	struct timespec limit = {.tv_nsec = limit_ns(idle, naps ? IDLE_NAP_NS : IDLE_SLEEP_MAX_NS)};
	uint64_t bell;

	/* No table is looked at while asleep, so control need not wait for us. */
	rte_rcu_qsbr_thread_offline(qsbr, conf->id);
	if (ppoll(fds, n, &limit, NULL) > 0 && all_broken(fds, n))
		ppoll(fds, n, &limit, NULL);
	rte_rcu_qsbr_thread_online(qsbr, conf->id);
	/* Empty the bell; that it was not rung is no error. */
	if ((fds[0].revents & POLLIN) != 0 && read(fds[0].fd, &bell, sizeof(bell)) < 0)
		return;
}

/* early: only where frames wake us; a nap would make them wait. */
static void try_to_sleep(const struct idle *idle, bool early)
{
	struct omni_xring *x = omni_node_worker_conf(idle->node)->xring;
	struct pollfd fds[FDS_MAX];
	bool naps;
	nfds_t n;

	fds[0] = (struct pollfd){.fd = x->to_worker, .events = POLLIN};
	n = arm(idle, fds, &naps);
	if (n > 0 && !(early && naps) && omni_xring_may_sleep(x))
		sleep_on(idle, fds, n, naps);
	omni_xring_awake(x);
}

static void pause_a_little(const struct idle *idle)
{
	if (idle->yields)
		sched_yield();
	else
		rte_pause();
}

/* Has the kernel given the CPU to others a moment ago? Then spinning takes it from them again. */
static bool is_pushed(struct idle *idle, uint64_t now)
{
	uint64_t hz = rte_get_tsc_hz();
	struct rusage use;

	if (now < idle->look_at)
		return now < idle->no_spin_until;
	idle->look_at = now + hz / US_PER_S * IDLE_LOOK_US;
	if (getrusage(RUSAGE_THREAD, &use) == 0 && use.ru_nivcsw != idle->pushed) {
		idle->pushed = use.ru_nivcsw;
		idle->no_spin_until = now + hz / MS_PER_S * IDLE_PUSHED_MS;
	}
	return now < idle->no_spin_until;
}

void idle_after_turn(struct idle *idle, unsigned int frames)
{
	uint64_t now;
	bool spun;

	if (frames > 0) {
		idle->empty_since = 0;
		return;
	}
	now = rte_rdtsc();
	if (idle->empty_since == 0)
		idle->empty_since = now;
	spun = now - idle->empty_since >= idle->spin_cycles;
	if (!idle->adaptive || (!spun && !is_pushed(idle, now))) {
		pause_a_little(idle);
		return;
	}
	try_to_sleep(idle, !spun);
}
