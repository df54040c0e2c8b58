/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Routes change under workers that look them up, on plain threads as in test_threads.c. A route
 * that stays is always found, whatever comes and goes beside, above and below it, and what is
 * found holds the address.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_cursor.h>
#include <omni_fib.h>

#define WORKERS 3
#define ROUTES 256 /* that come and go; route i has the number i + FIRST */
#define FIRST 16   /* numbers below are those of routes that stay */
#define CHANGES 60000
#define BURST 32
#define PLACES 4

static struct omni_rcu *rcu;
static struct omni_fib *fib;
static _Atomic bool stop;
static _Atomic unsigned int looking; /* workers that have begun */
static struct omni_prefix all4, all6, kept4, kept6;

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct omni_prefix prefix_of(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

/* Routes nested in each other and in those that stay, of both families. */
static struct omni_prefix route(unsigned int i)
{
	struct omni_prefix p = {.len = (uint8_t)(17 + i / 2 % 16)};
	uint64_t seed = i / 32 + 1;
	uint32_t bits;

	(void)draw(&seed);
	bits = (uint32_t)draw(&seed);
	if (i % 2 == 0) {
		p.ip = omni_ip_from_v4(__builtin_bswap32(0x0a000000 | (bits & 0xffffff)));
	} else {
		omni_store_be32(p.ip.b, 0xfd000000 | (bits & 0xffffff));
		p.len = (uint8_t)(2 * p.len);
		omni_store_be64(p.ip.b + 4, seed);
	}
	return p;
}

static omni_dest dest_of(unsigned int number)
{
	return omni_dest_make(OMNI_DEST_PEER, number, 1);
}

/* May dest be where ip leads? */
static bool is_right(const struct omni_ip *ip, bool v4, omni_dest dest)
{
	uint32_t number = omni_dest_index(dest);
	struct omni_prefix p;

	if (omni_prefix_contains(v4 ? &kept4 : &kept6, ip))
		return number == 2 || number == 3;
	if (number < FIRST)
		return number == 1;
	if (number >= FIRST + ROUTES)
		return false;
	p = route(number - FIRST);
	return omni_ip_is_v4(&p.ip) == v4 && omni_prefix_contains(&p, ip);
}

static struct omni_ip draw_ip(uint64_t *seed, bool v4)
{
	struct omni_prefix p = route((unsigned int)(draw(seed) % (ROUTES / 2)) * 2 + !v4);

	if (draw(seed) % 4 == 0)
		p = v4 ? kept4 : kept6;
	p.ip.b[v4 ? 15 : 7] ^= (uint8_t)(draw(seed) % 4);
	return p.ip;
}

static bool look_once(uint64_t *seed, bool v4)
{
	struct omni_ip ip[BURST];
	const uint8_t *v6[BURST];
	uint32_t host[BURST];
	omni_dest dest[BURST];
	bool good = true;

	for (unsigned int i = 0; i < BURST; i++) {
		ip[i] = draw_ip(seed, v4);
		host[i] = omni_load_be32(ip[i].b + 12);
		v6[i] = ip[i].b;
	}
	if (v4)
		omni_fib_lookup4(fib, 0, host, BURST, dest);
	else
		omni_fib_lookup6(fib, 0, v6, BURST, dest);
	for (unsigned int i = 0; i < BURST; i++)
		good &= is_right(&ip[i], v4, dest[i]);
	return good;
}

/* A host that is found is all there: its address was made from its port. */
static bool look_at_host(void)
{
	const uint32_t v4 = 0xc0000201;
	const struct omni_adjacency *a;
	omni_dest dest;

	omni_fib_lookup4(fib, 1, &v4, 1, &dest);
	a = omni_fib_adjacency(fib, dest);
	return a == NULL || (a->mac[4] == a->port >> 8 && a->mac[5] == (a->port & 0xff));
}

static void *look_up(void *arg)
{
	uintptr_t number = (uintptr_t)arg;
	uint64_t seed = number + 1, bursts = 0;

	omni_rcu_join(rcu, (unsigned int)number);
	atomic_fetch_add(&looking, 1);
	while (!atomic_load(&stop)) {
		if (!look_once(&seed, true) || !look_once(&seed, false) || !look_at_host())
			return NULL;
		bursts++;
		rte_rcu_qsbr_quiescent(omni_rcu_qsbr(rcu), (unsigned int)number);
		sched_yield();
	}
	omni_rcu_leave(rcu, (unsigned int)number);
	return (void *)(bursts + 1);
}

static void change_host(unsigned int i)
{
	const uint8_t mac[6] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
	struct omni_prefix p = prefix_of("192.0.2.1/32");
	omni_dest old = omni_fib_get(fib, 1, &p);
	omni_dest dest = omni_fib_adjacency_add(fib, (uint16_t)i, mac);

	if (dest == OMNI_DEST_MISS)
		return;
	assert_int_equal(omni_fib_set(fib, 1, &p, dest), 0);
	omni_fib_adjacency_del(fib, old);
}

static void change_all(void)
{
	uint64_t seed = 99;

	for (unsigned int i = 0; i < CHANGES; i++) {
		unsigned int n = (unsigned int)(draw(&seed) % ROUTES);
		struct omni_prefix p = route(n);

		if (omni_prefix_contains(&kept4, &p.ip) || omni_prefix_contains(&kept6, &p.ip))
			continue;
		if (draw(&seed) % 2 == 0)
			assert_int_equal(omni_fib_set(fib, 0, &p, dest_of(FIRST + n)), 0);
		else
			(void)omni_fib_del(fib, 0, &p, OMNI_DEST_MISS);
		/* A route moves from one peer to another and is never at none. */
		assert_int_equal(omni_fib_set(fib, 0, &kept4, dest_of(2 + i % 2)), 0);
		assert_int_equal(omni_fib_set(fib, 0, &kept6, dest_of(2 + i % 2)), 0);
		if (i % 8 == 0)
			change_host(i);
		if (i % 16 == 0)
			sched_yield();
	}
}

static void routes_come_and_go(void **state)
{
	pthread_t t[WORKERS];
	void *ok;

	(void)state;
	rcu = omni_rcu_create(WORKERS);
	fib = omni_fib_create(ROUTES + FIRST, PLACES, rcu);
	assert_non_null(fib);
	all4 = prefix_of("0.0.0.0/0");
	all6 = prefix_of("::/0");
	kept4 = prefix_of("10.200.7.0/24");
	kept6 = prefix_of("fdc8:700::/30");
	assert_int_equal(omni_fib_set(fib, 0, &all4, dest_of(1)), 0);
	assert_int_equal(omni_fib_set(fib, 0, &all6, dest_of(1)), 0);
	assert_int_equal(omni_fib_set(fib, 0, &kept4, dest_of(2)), 0);
	assert_int_equal(omni_fib_set(fib, 0, &kept6, dest_of(2)), 0);
	for (uintptr_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, look_up, (void *)i), 0);
	while (atomic_load(&looking) < WORKERS)
		sched_yield();
	change_all();
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(t[i], &ok);
		assert_non_null(ok);
	}
	/* Old nodes were used again. */
	assert_true(omni_fib_bytes(fib) < 4 << 20);
	omni_fib_free(fib);
	omni_rcu_free(rcu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(routes_come_and_go)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
