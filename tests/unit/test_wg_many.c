/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thousand WireGuard peers that all come back at once, as responders and as initiators. */
#define PEERS 1024
#define RIG_MBUFS 4095

#include "wg_rig.h"

#include <time.h>

#define MANY 1000
#define LIMIT_NS (3 * OMNI_NS_PER_S)

/* One that is no control plane: its keys, and its handshake. */
static struct fake {
	struct omni_identity identity;
	struct omni_endpoint address;
	struct omni_wg hs;
	struct omni_noise_keys keys;
	uint32_t key_index;
} fake[MANY];

static struct omni_config_peer conf[MANY];
static uint64_t fake_ns; /* their work, not to be counted */
static unsigned int n_up;

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * OMNI_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct fake *fake_at(const struct omni_endpoint *ep)
{
	unsigned int i = (unsigned int)ep->ip.b[14] << 8 | ep->ip.b[15];

	return i < MANY && omni_endpoint_equal(&fake[i].address, ep) ? &fake[i] : NULL;
}

static void fake_make(unsigned int i)
{
	struct omni_key seed = {.b = {(uint8_t)i, (uint8_t)(i >> 8), 99}};
	char text[32];

	memset(&fake[i], 0, sizeof(fake[i]));
	memset(&conf[i], 0, sizeof(conf[i]));
	omni_identity_from_seed(&fake[i].identity, &seed);
	snprintf(text, sizeof(text), "198.18.%u.%u:51820", i >> 8, i & 255);
	assert_int_equal(omni_endpoint_parse(&fake[i].address, text), 0);
	snprintf(conf[i].name, sizeof(conf[i].name), "p%u", i);
	*strchr(text, ':') = '\0';
	memcpy(conf[i].host, text, sizeof(text));
	conf[i].port = 51820;
	conf[i].key = fake[i].identity.dh.public;
	conf[i].dialect = OMNI_DIALECT_WIREGUARD;
	conf[i].vip = fake[i].address.ip;
}

static void fake_answer(struct fake *f, const struct omni_wg_initiation *in)
{
	struct omni_wg_response out;
	uint8_t timestamp[OMNI_TAI64N_LEN];
	struct omni_key ephemeral;
	struct omni_wg_reply reply = {
		.ephemeral = &ephemeral, .index = (uint32_t)(f - fake), .now_ns = net.now_ns};

	omni_random(&ephemeral, sizeof(ephemeral));
	assert_int_equal(omni_wg_initiation_open(&f->hs, timestamp, in, &f->identity.dh), 0);
	assert_int_equal(omni_wg_response_create(&f->hs, &out, &f->keys, &reply), 0);
	inject(a, &f->address, &out, sizeof(out));
}

static void fake_hears(const struct omni_endpoint *from, const struct omni_endpoint *to,
		       const uint8_t *p, size_t len)
{
	struct fake *f = fake_at(to);
	uint64_t begin = cpu_ns();

	(void)from;
	assert_non_null(f);
	switch (omni_wire_classify(p, len)) {
	case OMNI_CLASS_WG_INITIATION:
		fake_answer(f, (const struct omni_wg_initiation *)p);
		break;
	case OMNI_CLASS_WG_RESPONSE:
		assert_int_equal(omni_wg_response_open(&f->hs, &f->keys,
						       (const struct omni_wg_response *)p,
						       &f->identity.dh, &conf[0].psk),
				 0);
		n_up++;
		break;
	case OMNI_CLASS_WG_DATA: /* an initiator's confirmation */
		n_up++;
		break;
	default:
		fail_msg("a cookie, or something else that costs another 5 s");
	}
	fake_ns += cpu_ns() - begin;
}

static void make(uint16_t keepalive_s)
{
	a = wg_site("192.0.2.1:51820", "10.1.0.1");
	for (unsigned int i = 0; i < MANY; i++) {
		fake_make(i);
		conf[i].keepalive_s = keepalive_s;
	}
	a->cluster.peers = conf;
	a->cluster.n_peers = MANY;
	net.elsewhere = fake_hears;
	fake_ns = n_up = 0;
}

/* As if a worker ran beside: what is on the ring to it never waits for long. */
static void settle(void)
{
	bool more = true;

	while (more) {
		struct rte_mbuf *m;

		more = ctl_rings_poll(a->ctl);
		while (omni_xring_take(a->xring->tx, &m, 1)) {
			carry(a, m);
			more = true;
		}
	}
}

static void all_are_called_and_come_up(void **state)
{
	uint64_t begin, spent, started;

	(void)state;
	make(25);
	site_start(a);
	begin = cpu_ns();
	started = net.now_ns;
	settle();
	while (n_up < MANY && net.now_ns - started < 10 * OMNI_NS_PER_S) {
		net.now_ns += STEP_NS;
		ctl_tick(a->ctl);
		settle();
	}
	spent = cpu_ns() - begin - fake_ns;
	print_message("initiator: %.0f us a handshake, %.1f s\n", (double)spent / MANY / 1e3,
		      (double)(net.now_ns - started) / 1e9);
	assert_int_equal(n_up, MANY);
	assert_true(net.now_ns - started + spent < LIMIT_NS);
	assert_int_equal(a->ctl->cluster[0].n_sessions, MANY);
}

static void all_call_and_are_answered(void **state)
{
	struct omni_wg_initiation out;
	uint64_t begin, spent;

	(void)state;
	make(0);
	site_start(a);
	for (unsigned int i = 0; i < MANY; i++) {
		struct omni_key ephemeral;
		struct omni_wg_start start = {.self = &fake[i].identity.dh,
					      .remote = &a->identity.dh.public,
					      .ephemeral = &ephemeral,
					      .timestamp = {1},
					      .index = i};

		omni_random(&ephemeral, sizeof(ephemeral));
		assert_int_equal(omni_wg_initiation_create(&fake[i].hs, &out, &start), 0);
		inject(a, &fake[i].address, &out, sizeof(out));
	}
	begin = cpu_ns();
	settle();
	spent = cpu_ns() - begin - fake_ns;
	print_message("responder: %.0f us a handshake, %.0f a second\n", (double)spent / MANY / 1e3,
		      MANY * 1e9 / (double)spent);
	assert_int_equal(n_up, MANY);
	assert_true(spent < LIMIT_NS);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_under_load), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_are_called_and_come_up),
		TEST(all_call_and_are_answered),
	};

	omni_log_set_level(OMNI_LOG_WARN);
	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
