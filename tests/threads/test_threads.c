/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What threads share, used by plain threads at the same time: made for ThreadSanitizer, which sees
 * each access that nothing orders. Everything here runs without EAL; the rings lie in ordinary
 * memory. A fixed amount of work, facts at the end, no clock.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_crypto.h>
#include <omni_fdb.h>
#include <omni_session.h>
#include <omni_stats.h>
#include <omni_xring.h>

#define WORKERS 3
/* A wake-up that is lost shows as a sleep of this length. */
#define LOST_MS 20000

/*
 * The inbox's relaxed tails are written as one word of 64 bits and read as half of it, which
 * ThreadSanitizer takes for two variables. So what is inside a ring is taken for right, and the
 * order that it gives is told by name; rte_ring_empty is a look through volatile, and the fence
 * beside it orders what follows.
 */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#else
#define __tsan_acquire(addr)
#define __tsan_release(addr)
#endif

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_ring_empty\nrace:__rte_ring_rts_head_wait\n"
	       "race:__rte_ring_enqueue_elems_64\nrace:__rte_ring_dequeue_elems_64\n";
}

static void spawn(pthread_t *t, void *(*run)(void *), void *arg)
{
	assert_int_equal(pthread_create(t, NULL, run, arg), 0);
}

/* ---- Rings of an xring, without memzones ---- */

static struct rte_ring *ring(unsigned int size, unsigned int elem, unsigned int flags)
{
	ssize_t len = rte_ring_get_memsize_elem(elem, size);
	struct rte_ring *r = aligned_alloc(OMNI_CACHE_LINE, RTE_CACHE_LINE_ROUNDUP((size_t)len));

	assert_non_null(r);
	memset(r, 0, (size_t)len);
	assert_int_equal(rte_ring_init(r, "r", size, flags | RING_F_SC_DEQ), 0);
	return r;
}

static void xring_open(struct omni_xring *x)
{
	memset(x, 0, sizeof(*x));
	x->events = ring(64, sizeof(struct omni_event), RING_F_SP_ENQ);
	x->tx = ring(64, sizeof(void *), RING_F_SP_ENQ);
	x->inbox = ring(64, sizeof(void *), RING_F_MP_RTS_ENQ);
	x->to_worker = eventfd(0, EFD_NONBLOCK);
	x->to_control = eventfd(0, EFD_NONBLOCK);
}

static void xring_close(struct omni_xring *x)
{
	free(x->events);
	free(x->tx);
	free(x->inbox);
	close(x->to_worker);
	close(x->to_control);
}

/* ---- Inbox, control's ring, and the bell ---- */

#define FRAMES 4000

struct sender {
	struct omni_xring *x;
	unsigned int number; /* 0: control */
	struct rte_mbuf *m;  /* FRAMES of them */
};

/* One or a few at a time, until all are taken; what is full is tried again. */
static void *send_all(void *arg)
{
	const struct sender *s = arg;

	for (unsigned int i = 0; i < FRAMES;) {
		struct rte_mbuf *m[8];
		unsigned int n = OMNI_MIN(1 + i % 3, FRAMES - i), taken;

		for (unsigned int j = 0; j < n; j++) {
			m[j] = &s->m[i + j];
			m[j]->pkt_len = i + j;
			m[j]->port = (uint16_t)s->number;
		}
		if (s->number == 0) {
			taken = omni_xring_send(s->x, m[0]) == 0;
		} else {
			__tsan_release(s->x->inbox);
			taken = omni_xring_hand(s->x, m, n);
			omni_xring_wake(s->x);
		}
		if (taken == 0)
			sched_yield();
		i += taken;
	}
	return NULL;
}

/* Sleeps as a worker does. False where nobody woke it. */
static bool doze(struct omni_xring *x)
{
	struct pollfd fd = {.fd = x->to_worker, .events = POLLIN};
	bool woken = true;
	uint64_t bell;

	if (omni_xring_may_sleep(x))
		woken = poll(&fd, 1, LOST_MS) == 1;
	omni_xring_awake(x);
	if ((fd.revents & POLLIN) != 0 && read(x->to_worker, &bell, sizeof(bell)) < 0)
		return false;
	return woken;
}

/* Everything arrives once, each sender's in order, and no sleep is missed. */
static void an_inbox_loses_nothing(void **state)
{
	struct sender s[1 + WORKERS];
	unsigned int next[1 + WORKERS] = {0}, left = FRAMES * (1 + WORKERS), sleeps = 0;
	pthread_t t[1 + WORKERS];
	struct omni_xring x;

	(void)state;
	xring_open(&x);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(s); i++) {
		s[i] = (struct sender){
			.x = &x,
			.number = i,
			.m = aligned_alloc(OMNI_CACHE_LINE, FRAMES * sizeof(struct rte_mbuf)),
		};
		assert_non_null(s[i].m);
		spawn(&t[i], send_all, &s[i]);
	}
	while (left > 0) {
		struct rte_mbuf *m[16];
		unsigned int n = omni_xring_take(x.tx, m, 8);

		n += omni_xring_take(x.inbox, m + n, 8);
		__tsan_acquire(x.inbox);
		for (unsigned int i = 0; i < n; i++)
			assert_int_equal(m[i]->pkt_len, next[m[i]->port]++);
		left -= n;
		if (n == 0 && left > 0) {
			sleeps++;
			assert_true(doze(&x));
		}
	}
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(s); i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(next[i], FRAMES);
		free(s[i].m);
	}
	print_message("slept %u times\n", sleeps);
	xring_close(&x);
}

static void *take_events(void *arg)
{
	struct omni_xring *x = arg;
	uintptr_t next = 0;

	while (next < FRAMES) {
		struct pollfd fd = {.fd = x->to_control, .events = POLLIN};
		struct omni_event ev;
		uint64_t bell;

		while (omni_xring_take_events(x, &ev, 1) == 1)
			if (ev.peer != next++ || ev.mac != ev.peer * 3ull)
				return NULL;
		if (next < FRAMES && poll(&fd, 1, LOST_MS) != 1)
			return NULL;
		(void)!read(x->to_control, &bell, sizeof(bell));
	}
	return (void *)next;
}

static void events_arrive_whole(void **state)
{
	struct omni_xring x;
	pthread_t control;
	void *got;

	(void)state;
	xring_open(&x);
	spawn(&control, take_events, &x);
	for (uint32_t i = 0; i < FRAMES;) {
		const struct omni_event ev = {.peer = i, .mac = i * 3ull};

		if (omni_xring_event(&x, &ev))
			i++;
		omni_xring_bell(&x);
	}
	pthread_join(control, &got);
	assert_int_equal((uintptr_t)got, FRAMES);
	xring_close(&x);
}

/* ---- Keys and paths come and go under workers that use them ---- */

#define ROUNDS 300

static struct {
	struct omni_rcu *rcu;
	struct omni_sessions *sessions;
	struct omni_peers *peers;
	struct omni_bridges *bridges;
	struct omni_peer *peer;
	_Atomic uint64_t id;
	_Atomic bool stop;
} world;

struct reader {
	unsigned int number;
	uint64_t found, sum;
};

/* What encap and decap read of a key and a path, within a turn. */
static void look(struct reader *r)
{
	struct omni_keypair *kp = omni_sessions_lookup(world.sessions, atomic_load(&world.id));
	const struct omni_flood *flood = omni_bridge_flood(world.bridges, 1);
	const struct omni_peer *peer = omni_peers_get(world.peers, 0);
	const struct omni_path *path;

	if (kp != NULL && (omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_RX) == 0) {
		r->found++;
		r->sum += kp->remote_id + kp->rx[r->number].window.top + kp->peer;
		if (omni_lane_claim(&kp->rx[0], r->number))
			kp->rx[0].frames++;
	}
	if (flood != NULL)
		for (uint32_t i = 0; i < flood->n_peers; i++)
			r->sum += flood->peer[i].index;
	if (peer == NULL)
		return;
	kp = atomic_load_explicit(&peer->tx, memory_order_acquire);
	path = atomic_load_explicit(&peer->path, memory_order_acquire);
	r->sum += peer->generation + (kp != NULL ? kp->frame_max : 0u);
	if (path != NULL)
		r->sum += path->hdr[path->hdr_len - 1] + path->mtu;
}

static void *read_on(void *arg)
{
	struct rte_rcu_qsbr *qsbr = omni_rcu_qsbr(world.rcu);
	struct reader *r = arg;

	omni_rcu_join(world.rcu, r->number);
	for (unsigned int turn = 0; !atomic_load(&world.stop); turn++) {
		look(r);
		rte_rcu_qsbr_quiescent(qsbr, r->number);
		if (turn % 64 != 63)
			continue;
		/* As a worker that sleeps; and let the others run where CPUs are few. */
		rte_rcu_qsbr_thread_offline(qsbr, r->number);
		sched_yield();
		rte_rcu_qsbr_thread_online(qsbr, r->number);
	}
	omni_rcu_leave(world.rcu, r->number);
	return NULL;
}

static struct omni_keypair *new_key(struct omni_aead *aead)
{
	const struct omni_key key = {{1}};
	const struct omni_keypair_conf conf = {
		.local_id = omni_sessions_reserve(world.sessions),
		.remote_id = UINT64_C(1) << 63,
		.lanes_tx = 2,
		.lanes_rx = WORKERS,
		.cipher = OMNI_CIPHER_CHACHAPOLY,
		.rx_key = &key,
		.tx_key = &key,
	};
	struct omni_keypair *kp = omni_keypair_create(aead, &conf);

	assert_non_null(kp);
	return kp;
}

static void change_path(unsigned int round)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct omni_endpoint from, to;
	struct omni_path path = {0};

	assert_int_equal(omni_endpoint_parse(&from, "192.0.2.1:51820"), 0);
	assert_int_equal(omni_endpoint_parse(&to, "192.0.2.2:51820"), 0);
	omni_path_build(&path, mac, mac, &from, &to);
	path.mtu = (uint16_t)(1280 + round);
	omni_peer_set_path(world.peer, omni_path_copy(&path, NULL), world.rcu);
}

static void change_everything(struct omni_aead *aead)
{
	struct omni_keypair *old = NULL;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		const uint32_t index[] = {0, 1}, gen[] = {1, 1};
		struct omni_keypair *kp = new_key(aead);

		omni_sessions_publish(world.sessions, kp);
		omni_peer_set_tx(world.peer, kp);
		atomic_store(&world.id, kp->local_id);
		change_path(i);
		assert_int_equal(
			omni_bridge_set(world.bridges, 1, NULL, 0, index, gen, i % 3, world.rcu),
			0);
		if (old != NULL) {
			atomic_fetch_or(&old->marks, OMNI_KEYPAIR_NO_RX);
			omni_sessions_release(world.sessions, old->local_id);
			omni_rcu_defer(world.rcu, &old->rcu, omni_keypair_free, old);
		}
		old = kp;
		omni_rcu_poll(world.rcu);
		sched_yield();
	}
	omni_peer_set_tx(world.peer, NULL);
	omni_sessions_release(world.sessions, old->local_id);
	omni_rcu_defer(world.rcu, &old->rcu, omni_keypair_free, old);
}

static void keys_and_paths_change(void **state)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct reader r[WORKERS] = {0};
	pthread_t t[WORKERS];

	(void)state;
	world.rcu = omni_rcu_create(WORKERS);
	world.sessions = omni_sessions_create(64);
	world.peers = omni_peers_create(4);
	world.bridges = omni_bridges_create();
	world.peer = omni_peers_add(world.peers, 1);
	assert_non_null(aead);
	for (unsigned int i = 0; i < WORKERS; i++) {
		r[i].number = i;
		spawn(&t[i], read_on, &r[i]);
	}
	change_everything(aead);
	omni_peers_remove(world.peers, world.peer, world.rcu);
	atomic_store(&world.stop, true);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(omni_rcu_poll(world.rcu), 0);
	omni_rcu_free(world.rcu);
	omni_bridges_free(world.bridges);
	omni_peers_free(world.peers);
	omni_sessions_free(world.sessions);
	omni_aead_free(aead);
}

/* ---- MAC addresses come and go under workers that look them up ---- */

#define MACS 512
#define MACS_ALIVE 200

static struct omni_fdb *fdb;

/* An address lives behind the peer of its own number, so that a mix-up shows. */
static omni_dest dest_of(uint64_t key)
{
	return omni_dest_make(OMNI_DEST_PEER, (uint32_t)key & 0xffff, 1);
}

static uint64_t key_of(unsigned int i)
{
	return UINT64_C(1) << 48 | (i % MACS + 1);
}

static void *look_up(void *arg)
{
	struct rte_rcu_qsbr *qsbr = omni_rcu_qsbr(world.rcu);
	uintptr_t found = 0, number = (uintptr_t)arg;
	unsigned int at = 0;

	omni_rcu_join(world.rcu, (unsigned int)number);
	while (!atomic_load(&world.stop)) {
		uint64_t key[32];
		omni_dest dest[32], from[32];

		for (unsigned int i = 0; i < 32; i++) {
			key[i] = key_of(at += 7);
			from[i] = dest_of(key[i]);
		}
		omni_fdb_lookup(fdb, key, 32, dest);
		for (unsigned int i = 0; i < 32; i++) {
			if (dest[i] != OMNI_DEST_MISS && dest[i] != from[i])
				return NULL;
			found += dest[i] == from[i];
		}
		(void)omni_fdb_seen(fdb, key, from, 32, at);
		(void)omni_fdb_where(fdb, key[0]);
		rte_rcu_qsbr_quiescent(qsbr, (unsigned int)number);
		sched_yield();
	}
	omni_rcu_leave(world.rcu, (unsigned int)number);
	return (void *)(found + 1);
}

/* What is found under an address is its own destination, however often slots change hands. */
static void addresses_come_and_go(void **state)
{
	pthread_t t[WORKERS];
	void *ok;

	(void)state;
	atomic_store(&world.stop, false);
	world.rcu = omni_rcu_create(WORKERS);
	fdb = omni_fdb_create(MACS, world.rcu);
	assert_non_null(fdb);
	for (uintptr_t i = 0; i < WORKERS; i++)
		spawn(&t[i], look_up, (void *)i);
	for (unsigned int i = 0; i < 3 * MACS; i++) {
		(void)omni_fdb_learn(fdb, key_of(i), dest_of(key_of(i)), i);
		if (i >= MACS_ALIVE)
			(void)omni_fdb_flush(fdb, 1, OMNI_DEST_MISS, key_of(i - MACS_ALIVE));
		if (i % 16 == 0)
			sched_yield();
	}
	/* A slot that somebody may still look at is not given out again, so some were refused. */
	assert_in_range(omni_fdb_count(fdb), 1, MACS_ALIVE);
	atomic_store(&world.stop, true);
	for (unsigned int i = 0; i < WORKERS; i++) {
		pthread_join(t[i], &ok);
		assert_non_null(ok);
	}
	omni_fdb_free(fdb);
	omni_rcu_free(world.rcu);
}

/* ---- Lanes ---- */

#define LANES 2000
#define TAKEN 20000

static struct omni_lane_rx *race;
static struct omni_lane_tx shared;

static void *claim_all(void *arg)
{
	uintptr_t mine = 0, worker = (uintptr_t)arg;

	for (unsigned int i = 0; i < LANES; i++) {
		struct omni_lane_rx *lane = &race[i];

		if (!omni_lane_claim(lane, (uint32_t)worker))
			continue;
		/* Nobody else touches what is the owner's. */
		lane->frames++;
		lane->last_any = worker;
		mine += omni_replay_mark(&lane->window, 7);
		assert_true(omni_lane_claim(lane, (uint32_t)worker));
	}
	return (void *)mine;
}

/* Each lane has one owner, however many ask at once. */
static void a_lane_is_claimed_once(void **state)
{
	pthread_t t[WORKERS];
	uintptr_t sum = 0;

	(void)state;
	race = aligned_alloc(OMNI_CACHE_LINE, LANES * sizeof(*race));
	assert_non_null(race);
	memset(race, 0, LANES * sizeof(*race));
	for (uintptr_t i = 0; i < WORKERS; i++)
		spawn(&t[i], claim_all, (void *)i);
	for (unsigned int i = 0; i < WORKERS; i++) {
		void *mine;

		pthread_join(t[i], &mine);
		sum += (uintptr_t)mine;
	}
	assert_int_equal(sum, LANES);
	for (unsigned int i = 0; i < LANES; i++) {
		assert_int_equal(race[i].frames, 1);
		assert_int_equal(atomic_load(&race[i].owner), race[i].last_any + 1);
	}
	free(race);
}

static void *take_all(void *arg)
{
	uint8_t *seen = arg;

	for (unsigned int i = 0; i < TAKEN; i++)
		seen[omni_lane_take_shared(&shared, 2, 10, i)] = 1;
	return NULL;
}

/* No sequence comes twice: each worker marks its own in a list of its own. */
static void a_shared_lane_counts_on(void **state)
{
	static uint8_t seen[WORKERS][WORKERS * TAKEN];
	pthread_t t[WORKERS];

	(void)state;
	for (unsigned int i = 0; i < WORKERS; i++)
		spawn(&t[i], take_all, seen[i]);
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	for (unsigned int at = 0; at < WORKERS * TAKEN; at++)
		assert_int_equal(seen[0][at] + seen[1][at] + seen[2][at], 1);
	assert_int_equal(shared.sequence, WORKERS * TAKEN);
	assert_int_equal(shared.frames, WORKERS * TAKEN);
	assert_int_equal(shared.blocks, 2 * WORKERS * TAKEN);
	assert_int_equal(shared.bytes, 10 * WORKERS * TAKEN);
}

/* ---- What control reads of lanes while their workers count ---- */

#define BURSTS 20000

static struct omni_stats counted;

static void *count_bursts(void *arg)
{
	struct omni_keypair *kp = arg;

	for (uint64_t i = 1; i <= BURSTS; i++) {
		omni_lane_sent(&kp->tx[1], 4 * i, 8, 4, 40, i);
		omni_lane_received(&kp->rx[1], 3, 30, i % 2 == 0, i);
		omni_stats_add(&counted, OMNI_STAT_sealed, 4);
		omni_stats_stage(&counted, OMNI_STAGE_rx, 100, 4);
	}
	return NULL;
}

/* No counter goes back, and the last look has everything. */
static void counters_are_read_while_they_rise(void **state)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct omni_keypair_use use = {0}, last;
	struct omni_keypair *kp;
	struct omni_stats stats;
	pthread_t t;

	(void)state;
	assert_non_null(aead);
	world.sessions = omni_sessions_create(1);
	assert_non_null(world.sessions);
	kp = new_key(aead);
	spawn(&t, count_bursts, kp);
	while (use.rx_any_tsc < BURSTS) {
		last = use;
		omni_keypair_use(kp, &use);
		stats = omni_stats_read(&counted);
		assert_true(use.tx_frames >= last.tx_frames && use.rx_bytes >= last.rx_bytes);
		assert_true(stats.count[OMNI_STAT_sealed] % 4 == 0);
		sched_yield();
	}
	pthread_join(t, NULL);
	omni_keypair_use(kp, &use);
	stats = omni_stats_read(&counted);
	assert_int_equal(use.tx_messages, 4 * BURSTS);
	assert_int_equal(use.tx_blocks, 8 * BURSTS);
	assert_int_equal(use.tx_bytes, 40 * BURSTS);
	assert_int_equal(use.tx_last_tsc, BURSTS);
	assert_int_equal(use.rx_frames, 3 * BURSTS);
	assert_int_equal(use.rx_last_tsc, BURSTS);
	assert_int_equal(stats.count[OMNI_STAT_sealed], 4 * BURSTS);
	assert_int_equal(stats.stage[OMNI_STAGE_rx].bursts, BURSTS);
	omni_keypair_free(kp);
	omni_sessions_free(world.sessions);
	omni_aead_free(aead);
}

/* ---- WireGuard's one lane, from which control and workers take runs ---- */

#define SENDERS 4
#define RUNS_TAKEN 4000
/* More than is there: the last ones are refused. */
#define LEFT (SENDERS * RUNS_TAKEN * 16)

static struct omni_lane_tx counter;
static _Atomic uint8_t numbers[LEFT + 64];
static _Atomic unsigned int refused, beyond;

/* As encap_prepare does: a look, a take, another look. */
static void *take_runs(void *arg)
{
	const uint64_t begin = OMNI_WG_REJECT_AFTER_MESSAGES - LEFT;
	uint32_t len = 1 + (uint32_t)(uintptr_t)arg * 7;

	for (unsigned int i = 0; i < RUNS_TAKEN; i++, len = len * 5 % 64 + 1) {
		uint64_t first = __atomic_load_n(&counter.sequence, __ATOMIC_RELAXED);

		if (!omni_lane_has_run(first, len)) {
			atomic_fetch_add(&refused, 1);
			continue;
		}
		first = omni_lane_take_run(&counter, len);
		if (!omni_lane_has_run(first, len)) {
			atomic_fetch_add(&beyond, 1);
			continue;
		}
		for (uint32_t at = 0; at < len; at++)
			atomic_fetch_add(&numbers[first - begin + at], 1);
	}
	return NULL;
}

static void runs_never_repeat(void **state)
{
	pthread_t t[SENDERS];
	unsigned int taken = 0;

	(void)state;
	counter.sequence = OMNI_WG_REJECT_AFTER_MESSAGES - LEFT;
	for (uintptr_t i = 0; i < SENDERS; i++)
		spawn(&t[i], take_runs, (void *)i);
	for (unsigned int i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	for (unsigned int at = 0; at < LEFT + 64; at++) {
		assert_true(numbers[at] <= 1);
		taken += numbers[at];
	}
	assert_true(taken > LEFT - 64 * (1 + SENDERS) && taken <= LEFT);
	assert_true(refused > 0 && beyond <= SENDERS);
	/* Far from coming round. */
	assert_true(counter.sequence < OMNI_WG_REJECT_AFTER_MESSAGES + 64 * SENDERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inbox_loses_nothing),
		cmocka_unit_test(events_arrive_whole),
		cmocka_unit_test(keys_and_paths_change),
		cmocka_unit_test(a_lane_is_claimed_once),
		cmocka_unit_test(addresses_come_and_go),
		cmocka_unit_test(a_shared_lane_counts_on),
		cmocka_unit_test(runs_never_repeat),
		cmocka_unit_test(counters_are_read_while_they_rise),
	};

	if (omni_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
