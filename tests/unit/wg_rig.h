/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two control planes that are WireGuard peers of each other, and a look at what they say. */
#ifndef TESTS_WG_RIG_H
#define TESTS_WG_RIG_H

#include "ctl_rig.h"

#include <wg.h>

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_begin, rig_end)

static struct site *a, *b;

/* What went over the wire, as the test wants it. */
static struct {
	struct site *from;
	uint8_t type, last[OMNI_WG_INITIATION_LEN], kept[OMNI_WG_INITIATION_LEN];
	uint64_t at[64];
	unsigned int n;
	bool stop; /* messages of that type from that site */
} wire;

static inline bool watch(const struct site *from, const struct site *to, const uint8_t *p,
			 size_t len)
{
	(void)to;
	if (from != wire.from || p[0] != wire.type)
		return false;
	if (len <= sizeof(wire.last))
		memcpy(wire.last, p, len);
	if (wire.n < OMNI_ARRAY_SIZE(wire.at))
		wire.at[wire.n] = net.now_ns;
	wire.n++;
	return wire.stop;
}

static inline void watch_for(struct site *from, uint8_t type, bool stop)
{
	memset(&wire, 0, sizeof(wire));
	wire.from = from;
	wire.type = type;
	wire.stop = stop;
	net.drops = watch;
}

static inline struct site *wg_site(const char *address, const char *vip)
{
	struct site *s = site_new(address, vip);

	s->cluster.mode = OMNI_MODE_L3;
	s->cluster.secret = NULL;
	return s;
}

static inline struct omni_config_peer *lists(struct site *s, const struct site *other,
					     const char *vip, bool with_address)
{
	struct omni_config_peer *p = site_lists(s, other, with_address);

	p->dialect = OMNI_DIALECT_WIREGUARD;
	p->keepalive_s = 0;
	assert_int_equal(omni_ip_parse(&p->vip, vip), 0);
	return p;
}

static inline void make_pair(void)
{
	a = wg_site("192.0.2.1:51820", "10.1.0.1");
	b = wg_site("192.0.2.2:51820", "10.1.0.2");
	lists(a, b, "10.1.0.2", true);
	lists(b, a, "10.1.0.1", true);
}

static inline void start_pair(void)
{
	site_start(a);
	site_start(b);
	net_settle();
}

/* A worker has a packet for the other and no key. */
static inline void want(struct site *s, const struct site *other)
{
	const struct ctl_peer *peer = peer_of(s, other);
	struct omni_event ev = {
		.type = OMNI_EVENT_WANT_KEY,
		.peer = peer->pub->index,
		.peer_gen = peer->pub->generation,
	};

	assert_true(omni_xring_event(s->xring, &ev));
	net_settle();
}

static inline void assert_up(void)
{
	assert_true(has_session(a, b));
	assert_true(has_session(b, a));
}

/* a is the initiator. */
static inline void bring_up(void)
{
	make_pair();
	start_pair();
	want(a, b);
	assert_up();
}

static inline unsigned int datagrams(void)
{
	return a->datagrams_in + b->datagrams_in;
}

static inline const struct omni_keypair *current(const struct site *s, const struct site *other)
{
	return ctl_peer_kp(peer_of(s, other), CTL_CURRENT);
}

static inline omni_dest dest_of(const struct site *s, const struct site *other)
{
	const struct ctl_peer *peer = peer_of(s, other);

	return omni_dest_make(OMNI_DEST_PEER, peer->pub->index, peer->pub->generation);
}

static inline omni_dest route(const struct site *s, const char *text)
{
	struct omni_prefix prefix;

	assert_int_equal(omni_prefix_parse(&prefix, text, 32, 128), 0);
	return omni_fib_get(s->fib, 0, &prefix);
}

#endif
