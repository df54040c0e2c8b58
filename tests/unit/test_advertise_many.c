/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The longest table of prefixes, told to a gateway that knows thousands of peers. */
#define PEERS 8192
#define RIG_MBUFS 4095

#include "ctl_rig.h"

#include <time.h>

#include <l3.h>

#define OTHERS (PEERS - 8)
#define LIMIT_NS (150 * OMNI_NS_PER_MS)
#define HELD 700 /* this prefix holds a VIP, the one before it an address to try */

static struct site *a, *b;
static struct omni_prefix accepted[1];

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * OMNI_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct site *l3_site(const char *address, const char *vip)
{
	struct site *s = site_new(address, vip);

	s->cluster.mode = OMNI_MODE_L3;
	strcpy(s->port[1].driver, "memif");
	port_init(s, &s->up, 0, "up");
	port_init(s, &s->lan, 1, "lan");
	s->lan.info.link_up = true;
	return s;
}

static struct omni_ip v4(uint32_t host_order)
{
	return omni_ip_from_v4(__builtin_bswap32(host_order));
}

/* A /24 of its own for each. */
static struct omni_prefix told(uint32_t i)
{
	return (struct omni_prefix){.ip = v4(0x0b000000 + (i << 8)), .len = 24};
}

static bool leads_to_a(uint32_t i)
{
	struct omni_prefix p = told(i);

	return omni_fib_get(b->fib, 0, &p) == ctl_l3_peer_dest(peer_of(b, a));
}

/* Members with a VIP, an address in use and two more. */
static struct ctl_peer *add_other(uint32_t i)
{
	struct omni_key key = {.b = {(uint8_t)i, (uint8_t)(i >> 8), 99}};
	struct ctl_peer *peer = ctl_peer_new(b->ctl, &b->ctl->cluster[0], &key, CTL_ORIGIN_NUCLEUS);
	struct omni_ip vip = v4(0x0a400000 + i);

	assert_non_null(peer);
	peer->due_ns = UINT64_MAX;
	peer->endpoint = (struct omni_endpoint){.ip = v4(0xc6120000 + i), .port = 51820};
	ctl_peer_candidate_add(peer, &peer->endpoint);
	for (uint32_t k = 1; k <= 2; k++)
		ctl_peer_candidate_add(peer,
				       &(struct omni_endpoint){.ip = v4(0xac100000 + (k << 16) + i),
							       .port = 51820});
	ctl_vip_set(b->ctl, peer, &vip, false);
	return peer;
}

static void tell_all(uint64_t version)
{
	struct omni_control m = {
		.type = OMNI_CONTROL_ROUTES, .version = version, .total = CTL_ADVERTISE_MAX};

	for (; m.first < m.total; m.first += (uint32_t)m.n_prefixes) {
		m.n_prefixes =
			OMNI_MIN((size_t)(m.total - m.first), (size_t)OMNI_CONTROL_PREFIXES_MAX);
		for (uint32_t i = 0; i < m.n_prefixes; i++)
			m.prefixes[i] = told(m.first + i);
		ctl_routes_heard(b->ctl, peer_of(b, a), &m);
	}
}

static int begin(void **state)
{
	rig_begin(state);
	a = l3_site("198.51.100.1:51820", "10.0.0.1");
	b = l3_site("198.51.100.2:51820", "10.0.0.2");
	site_lists(a, b, true);
	site_lists(b, a, true);
	b->cluster.accept = accepted;
	b->cluster.n_accept = 1;
	assert_int_equal(omni_prefix_parse(accepted, "11.0.0.0/8", 32, 128), 0);
	site_control(a);
	site_control(b);
	net_settle();
	assert_true(frame(a, b) && frame(b, a));
	rig_run(1500);
	return 0;
}

static void a_long_table_among_many_peers(void **state)
{
	struct omni_ip inside = v4(0x0b000007 + (HELD << 8)),
		       below = v4(0x0b0000ff + ((HELD - 1) << 8));
	struct ctl_peer *peer = NULL;
	uint64_t used;

	(void)state;
	for (uint32_t i = 0; i < OTHERS; i++)
		peer = add_other(i);
	ctl_vip_set(b->ctl, peer, &inside, false);
	peer->candidate[1].ip = below;
	used = cpu_ns();
	tell_all(10);
	used = cpu_ns() - used;
	print_message("%u prefixes among %u peers: %.2f ms\n", CTL_ADVERTISE_MAX, OTHERS,
		      (double)used / (double)OMNI_NS_PER_MS);
	for (uint32_t i = 0; i < CTL_ADVERTISE_MAX; i++)
		assert_true(leads_to_a(i) == (i != HELD && i != HELD - 1));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_routes_refused), 2);
	assert_true(used < LIMIT_NS);
	/* Who held them goes: they are taken with the next repetition, and with the next table. */
	ctl_peer_remove(b->ctl, peer, OMNI_CLOSE_REMOVED);
	net.now_ns += OMNI_NS_PER_S;
	used = cpu_ns();
	tell_all(10);
	assert_true(leads_to_a(HELD) && leads_to_a(HELD - 1));
	tell_all(11);
	used = cpu_ns() - used;
	assert_true(used < LIMIT_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_long_table_among_many_peers, begin, rig_end),
	};

	return cmocka_run_group_tests_name("advertise_many", tests, rig_setup, eal_teardown);
}
