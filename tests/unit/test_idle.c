/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* When a worker without frames sleeps. The kernel's answers are the test's. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include <rte_cycles.h>

#include "../../app/gateway/idle.h"

#define HZ UINT64_C(2000000000)
#define LONG (HZ * 100) /* however slow the machine is */

static unsigned int sleeps;
static long pushed;
static int fd;

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask);
int __wrap_getrusage(__rusage_who_t who, struct rusage *use);
uint64_t __wrap_rte_get_tsc_hz(void);

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask)
{
	(void)fds;
	(void)n;
	(void)limit;
	(void)mask;
	sleeps++;
	return 0;
}

int __wrap_getrusage(__rusage_who_t who, struct rusage *use)
{
	assert_int_equal(who, RUSAGE_THREAD);
	memset(use, 0, sizeof(*use));
	use->ru_nivcsw = pushed;
	return 0;
}

uint64_t __wrap_rte_get_tsc_hz(void)
{
	return HZ;
}

static int rx_fd(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return fd;
}

static struct rte_ring empty;
static struct omni_xring xring = {.tx = &empty, .inbox = &empty};
static struct omni_worker_conf conf = {.xring = &xring};
static const struct omni_port_ops ops = {.rx_fd = rx_fd};
static struct omni_port port = {.ops = &ops};

const struct omni_worker_conf *omni_node_worker_conf(const struct omni_worker *w)
{
	(void)w;
	return &conf;
}

uint64_t omni_node_deadline(const struct omni_worker *w)
{
	(void)w;
	return 0;
}

unsigned int omni_node_queues(const struct omni_worker *w, struct omni_node_queue *q,
			      unsigned int max)
{
	(void)w;
	assert_true(max > 0);
	q[0] = (struct omni_node_queue){.port = &port};
	return 1;
}

static struct idle idle;

static int setup(void **state)
{
	(void)state;
	sleeps = 0;
	pushed = 7;
	fd = 0;
	idle = (struct idle){.adaptive = true, .spin_cycles = LONG, .pushed = pushed};
	return 0;
}

/* One with frames, then an empty one. */
static void turns(void)
{
	idle_after_turn(&idle, 1);
	idle_after_turn(&idle, 0);
}

/* Nothing came for that long. */
static void spin_out(void)
{
	idle.empty_since -= LONG;
	idle_after_turn(&idle, 0);
}

static void spins_first(void **state)
{
	(void)state;
	turns();
	assert_int_equal(sleeps, 0);
	spin_out();
	assert_int_equal(sleeps, 1);
}

/* Others want the CPU: the next empty turn is a sleep, for a while. */
static void sleeps_at_once_where_it_was_pushed(void **state)
{
	(void)state;
	turns();
	assert_int_equal(sleeps, 0);
	pushed++;
	idle.look_at = 0;
	turns();
	assert_int_equal(sleeps, 1);
	assert_in_range(idle.no_spin_until - idle.look_at, 1, HZ / 1000 * IDLE_PUSHED_MS);
	idle.no_spin_until += LONG;
	turns();
	assert_int_equal(sleeps, 2);
	idle.no_spin_until = idle.look_at = 0;
	turns();
	assert_int_equal(sleeps, 2);
}

/* A nap would keep frames waiting that nobody wakes us for. */
static void naps_no_earlier(void **state)
{
	(void)state;
	fd = -1;
	pushed++;
	turns();
	assert_int_equal(sleeps, 0);
	spin_out();
	assert_int_equal(sleeps, 1);
}

static void poll_never_sleeps(void **state)
{
	(void)state;
	idle.adaptive = false;
	pushed++;
	turns();
	spin_out();
	assert_int_equal(sleeps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(spins_first, setup),
		cmocka_unit_test_setup(sleeps_at_once_where_it_was_pushed, setup),
		cmocka_unit_test_setup(naps_no_earlier, setup),
		cmocka_unit_test_setup(poll_never_sleeps, setup),
	};

	conf.rcu = omni_rcu_create(1);
	assert_non_null(conf.rcu);
	omni_rcu_join(conf.rcu, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
