/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hosts on a link: frames in, frames and routes out, with a clock that the test moves. */
#include "ctl_rig.h"

#include <l3.h>
#include <link_frame.h>
#include <neighbours.h>
#include <rpc.h>

static const uint8_t our_mac[6] = {6, 0, 0, 0, 0, 0x33};
static const uint8_t host_mac[6] = {2, 0, 0, 0, 0, 0x11};
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 0x22};
static const uint8_t kernel_mac[6] = {2, 0, 0, 0, 0, 0x33};

static struct site *s;
static struct omni_prefix extra[1];

static struct omni_ip ip(const char *text)
{
	struct omni_ip a;

	assert_int_equal(omni_ip_parse(&a, text), 0);
	return a;
}

/* Drop what was sent. */
static void drain(void)
{
	struct rte_mbuf *m;

	while (omni_xring_take(s->xring->tx, &m, 1) == 1)
		rte_pktmbuf_free(m);
}

static void start(const char *driver, enum omni_config_address carries)
{
	s = site_new("192.0.2.1:51820", "10.0.0.1/24");
	s->cluster.mode = OMNI_MODE_L3;
	s->cluster.open = true;
	s->cluster.addresses = extra;
	s->cluster.n_addresses = 1;
	assert_int_equal(omni_prefix_parse(&extra[0], "fd00:1::1/64", 24, 64), 0);
	strcpy(s->port[1].driver, driver);
	s->port[1].carries = carries;
	if (carries == OMNI_ADDRESS_OWN)
		assert_int_equal(omni_prefix_parse(&s->port[1].address, "10.2.0.1/16", 24, 64), 0);
	port_init(s, &s->up, 0, "up");
	port_init(s, &s->lan, 1, "lan");
	s->lan.info.mac_is_far = strcmp(driver, "tap") == 0;
	memcpy(s->lan.info.mac, s->lan.info.mac_is_far ? kernel_mac : our_mac, 6);
	omni_port_refresh(&s->lan);
	assert_memory_equal(s->lan.info.l3_mac, our_mac, 6);
	s->lan.info.link_up = true;
	site_control(s);
}

/* The same without what is said at the beginning. */
static void start_quiet(const char *driver, enum omni_config_address carries)
{
	start(driver, carries);
	for (unsigned int i = 0; i < 35; i++) {
		net.now_ns += STEP_NS;
		ctl_tick(s->ctl);
	}
	drain();
}

static struct omni_prefix subnet(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static void route(const char *text, enum omni_dest_kind kind, uint32_t index)
{
	struct omni_prefix p = subnet(text);

	assert_int_equal(omni_fib_set(s->fib, 0, &p, omni_dest_make(kind, index, 1)), 0);
}

static void in_raw(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(net.pool);

	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	memset(omni_meta(m), 0, sizeof(*omni_meta(m)));
	omni_meta(m)->port = 1;
	assert_true(omni_xring_punt(s->xring, s->xring->link, m));
	while (ctl_rings_poll(s->ctl))
		;
}

static void in(const struct link_frame *f)
{
	uint8_t frame[LINK_FRAME_MAX];

	in_raw(frame, link_frame_build(frame, f));
}

/* A question from a host; from NULL: it has no address yet. */
static void asks(const char *from, const uint8_t mac[6], const char *target)
{
	struct link_frame f = {.kind = LINK_ASK, .target = ip(target)};

	memcpy(f.mac, mac, 6);
	memcpy(f.from_mac, mac, 6);
	memset(f.to_mac, 0xff, 6);
	if (from != NULL)
		f.from = ip(from);
	link_solicited_node(&f.to, f.to_mac, &f.target);
	in(&f);
}

static void says(const char *target, const uint8_t mac[6], bool override)
{
	struct link_frame f = {
		.kind = LINK_ANSWER,
		.from = ip(target),
		.target = ip(target),
		.to = ip(strchr(target, ':') != NULL ? "fe80::400:ff:fe00:33" : "10.0.0.1"),
		.solicited = true,
		.override = override};

	memcpy(f.mac, mac, 6);
	memcpy(f.from_mac, mac, 6);
	memcpy(f.to_mac, our_mac, 6);
	in(&f);
}

/* The one frame that was sent. */
static void out(struct link_frame *f)
{
	struct rte_mbuf *m;

	assert_int_equal(omni_xring_take(s->xring->tx, &m, 1), 1);
	assert_int_equal(omni_meta(m)->port, 1);
	assert_int_equal(link_frame_parse(f, rte_pktmbuf_mtod(m, uint8_t *), m->data_len), 0);
	rte_pktmbuf_free(m);
	assert_memory_equal(f->from_mac, our_mac, 6);
}

static void out_nothing(void)
{
	assert_true(rte_ring_empty(s->xring->tx));
}

static void assert_answer(const char *target, const uint8_t to[6], bool ours)
{
	struct omni_ip want = ip(target);
	struct link_frame f;

	out(&f);
	assert_int_equal(f.kind, LINK_ANSWER);
	assert_true(omni_ip_equal(&f.target, &want));
	assert_memory_equal(f.mac, our_mac, 6);
	assert_memory_equal(f.to_mac, to, 6);
	if (!omni_ip_is_v4(&want))
		assert_int_equal(f.override, ours);
	out_nothing();
}

static void assert_question(const char *target)
{
	struct omni_ip want = ip(target);
	struct link_frame f;

	out(&f);
	assert_int_equal(f.kind, LINK_ASK);
	assert_true(omni_ip_equal(&f.target, &want));
	out_nothing();
}

static omni_dest dest_of(const char *text)
{
	struct omni_ip a = ip(text);

	return ctl_l3_lookup(s->ctl, &s->ctl->cluster[0], &a);
}

static const uint8_t *mac_of(const char *text)
{
	const struct omni_adjacency *a = omni_fib_adjacency(s->fib, dest_of(text));

	return a != NULL ? a->mac : NULL;
}

static void want(const char *text)
{
	struct omni_ip a = ip(text);

	ctl_neighbour_want(s->ctl, 0, &a);
}

static void run(unsigned int ms)
{
	for (uint64_t end = net.now_ns + ms * OMNI_NS_PER_MS; net.now_ns < end;) {
		net.now_ns += STEP_NS;
		ctl_tick(s->ctl);
	}
}

static void our_addresses_are_answered_for(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.0.0.1"); /* VIP */
	assert_answer("10.0.0.1", host_mac, true);
	asks("10.2.0.5", host_mac, "10.2.0.1"); /* the port's */
	assert_answer("10.2.0.1", host_mac, true);
	asks("fe80::5", host_mac, "fd00:1::1");
	assert_answer("fd00:1::1", host_mac, true);
	asks("fe80::5", host_mac, "fe80::400:ff:fe00:33"); /* of the link alone */
	assert_answer("fe80::400:ff:fe00:33", host_mac, true);
	asks("10.2.0.5", host_mac, "10.2.0.77"); /* somebody else on the link */
	asks("10.2.0.5", host_mac, "172.16.0.1");
	out_nothing();
	/* Is it taken? Yes. */
	asks(NULL, other_mac, "10.2.0.1");
	assert_answer("10.2.0.1", other_mac, true);
	asks(NULL, other_mac, "fd00:1::1");
	assert_answer("fd00:1::1", (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, true);
}

static void what_is_behind_us_is_answered_for(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	route("10.0.0.7/32", OMNI_DEST_PEER, 4);
	route("10.0.0.0/24", OMNI_DEST_ASK, 0);
	route("10.5.0.0/16", OMNI_DEST_REJECT, 0);
	route("fd00:9::/48", OMNI_DEST_PEER, 4);
	asks("10.2.0.5", host_mac, "10.0.0.7");
	assert_answer("10.0.0.7", host_mac, false);
	asks("10.2.0.5", host_mac, "10.0.0.9");
	assert_answer("10.0.0.9", host_mac, false);
	asks("fe80::5", host_mac, "fd00:9::1");
	assert_answer("fd00:9::1", host_mac, false);
	asks("10.2.0.5", host_mac, "10.5.0.1");
	asks(NULL, host_mac, "10.0.0.7");	/* looks for a free one */
	asks("10.0.0.7", host_mac, "10.0.0.7"); /* has found one (RFC 5227, section 2.3) */
	out_nothing();
}

static void the_kernel_side_of_a_tap_has_the_vip(void **state)
{
	(void)state;
	start_quiet("tap", OMNI_ADDRESS_VIP);
	assert_memory_equal(mac_of("10.0.0.1"), kernel_mac, 6);
	assert_memory_equal(mac_of("fd00:1::1"), kernel_mac, 6);
	asks(NULL, kernel_mac, "10.0.0.1"); /* it looks whether its own is free */
	asks("10.0.0.1", kernel_mac, "10.0.0.1");
	out_nothing();
	assert_int_equal(count_of(s, OMNI_STAT_ctl_neighbours_duplicate), 0);
	route("10.0.0.7/32", OMNI_DEST_PEER, 4);
	asks("10.0.0.1", kernel_mac, "10.0.0.7");
	assert_answer("10.0.0.7", kernel_mac, false);
	/* Its MAC changes. */
	memcpy(s->lan.info.mac, other_mac, 6);
	run(1100);
	assert_memory_equal(mac_of("10.0.0.1"), other_mac, 6);
}

static void hosts_are_asked_for(void **state)
{
	uint32_t version;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_PORT);
	want("10.2.0.5");
	assert_question("10.2.0.5");
	want("10.2.0.5"); /* is being asked for */
	want("10.0.0.99");
	want("10.2.0.1");
	out_nothing();
	version = omni_fib_version(s->fib);
	says("10.2.0.5", host_mac, true);
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	assert_true(omni_fib_version(s->fib) != version);
	/* It has another MAC now, and says so. */
	says("10.2.0.5", other_mac, true);
	assert_memory_equal(mac_of("10.2.0.5"), other_mac, 6);
	assert_int_equal(s->ctl->neighbours->port[1].n, 1);
	assert_int_equal(s->ctl->neighbours->port[1].asked, 0);
}

/* Neither asked for nor believed, and no error follows. */
static void broadcasts_are_nobodys(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	want("10.2.255.255");
	want("10.2.0.0");
	out_nothing();
	asks("10.2.255.255", host_mac, "10.2.0.1");
	assert_answer("10.2.0.1", host_mac, true);
	assert_int_equal(s->ctl->neighbours->port[1].n, 0);
	run(10000);
	assert_int_equal(omni_dest_kind(dest_of("10.2.255.255")), OMNI_DEST_PORT);
	want("10.2.1.0");
	assert_question("10.2.1.0");
}

static void who_asks_us_is_remembered(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	asks("10.2.0.6", other_mac, "10.2.0.77"); /* not us */
	assert_null(mac_of("10.2.0.6"));
	asks("10.9.0.6", other_mac, "10.2.0.1"); /* not of this link */
	assert_null(mac_of("10.9.0.6"));
	says("10.2.0.8", other_mac, true); /* nobody asked */
	assert_null(mac_of("10.2.0.8"));
	assert_int_equal(s->ctl->neighbours->port[1].n, 1);
}

static void who_is_not_there_is_given_up(void **state)
{
	struct rte_mbuf *m;
	unsigned int asked = 0;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	want("10.2.0.5");
	run(2900);
	while (omni_xring_take(s->xring->tx, &m, 1) == 1) {
		rte_pktmbuf_free(m);
		asked++;
	}
	assert_int_equal(asked, NEIGH_TRIES);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_PORT);
	run(300);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_REJECT);
	assert_int_equal(count_of(s, OMNI_STAT_ctl_neighbours_failed), 1);
	want("10.2.0.5");
	out_nothing();
	run(5100);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_PORT);
	assert_int_equal(s->ctl->neighbours->port[1].n, 0);
	/* One that comes while it is refused is there at once. */
	want("10.2.0.5");
	run(3500);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_REJECT);
	drain();
	asks("10.2.0.5", host_mac, "10.2.0.1");
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
}

/* An address that a peer has by now stays with it, whatever becomes of the host. */
static void what_a_peer_has_is_not_taken_back(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	want("10.2.0.5");
	says("10.2.0.5", host_mac, true);
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	route("10.2.0.5/32", OMNI_DEST_PEER, 4);
	run(34 * 1000); /* it is asked for and does not answer */
	assert_int_equal(count_of(s, OMNI_STAT_ctl_neighbours_failed), 1);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_PEER);
	run(6000);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_PEER);
}

static void hosts_are_looked_after(void **state)
{
	struct link_frame f;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	drain();
	run(29000);
	out_nothing();
	run(1200);
	out(&f);
	assert_memory_equal(f.to_mac, host_mac, 6); /* to it alone */
	says("10.2.0.5", host_mac, true);
	run(30100);
	drain();
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6); /* while it is asked */
	run(4000);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.5")), OMNI_DEST_REJECT);
}

static void ipv6_hosts_on_the_link(void **state)
{
	struct link_frame f;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_NONE);
	route("fd00:2::/64", OMNI_DEST_PORT, 1);
	want("fd00:2::5");
	out(&f);
	assert_int_equal(f.kind, LINK_ASK);
	assert_memory_equal(f.to_mac, ((const uint8_t[]){0x33, 0x33, 0xff, 0, 0, 5}), 6);
	assert_true(f.from.b[0] == 0xfe && f.from.b[1] == 0x80);
	says("fd00:2::5", host_mac, false);
	assert_memory_equal(mac_of("fd00:2::5"), host_mac, 6);
	/* Without the override flag another MAC is a reason to look, not to believe. */
	says("fd00:2::5", other_mac, false);
	assert_memory_equal(mac_of("fd00:2::5"), host_mac, 6);
	run(100);
	assert_question("fd00:2::5");
	says("fd00:2::5", other_mac, true);
	assert_memory_equal(mac_of("fd00:2::5"), other_mac, 6);
}

static void we_say_who_we_are(void **state)
{
	unsigned int v4 = 0, v6 = 0;
	struct rte_mbuf *m;
	struct link_frame f;

	(void)state;
	start("memif", OMNI_ADDRESS_OWN);
	run(5000);
	while (omni_xring_take(s->xring->tx, &m, 1) == 1) {
		assert_int_equal(link_frame_parse(&f, rte_pktmbuf_mtod(m, uint8_t *), m->data_len),
				 0);
		v4 += omni_ip_is_v4(&f.target);
		v6 += !omni_ip_is_v4(&f.target);
		assert_memory_equal(f.mac, our_mac, 6);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(v4, 2 * NEIGH_ANNOUNCED); /* VIP, the port's own */
	assert_int_equal(v6, NEIGH_ANNOUNCED);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	drain();
	s->lan.info.link_up = false;
	run(1100);
	assert_null(mac_of("10.2.0.5"));
	out_nothing();
	s->lan.info.link_up = true;
	run(1100);
	assert_false(rte_ring_empty(s->xring->tx));
}

static void addresses_of_ours_elsewhere_are_told(void **state)
{
	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.1", other_mac, "10.2.0.5");
	says("10.0.0.1", other_mac, true);
	says("fd00:1::1", other_mac, true);
	assert_int_equal(count_of(s, OMNI_STAT_ctl_neighbours_duplicate), 3);
	assert_int_equal(omni_dest_kind(dest_of("10.2.0.1")), OMNI_DEST_SELF);
	assert_int_equal(omni_dest_kind(dest_of("10.0.0.1")), OMNI_DEST_SELF);
}

static void floods_are_bounded(void **state)
{
	struct rte_mbuf *m;
	unsigned int sent = 0;
	char text[32];

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	drain();
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.2.%u.%u", 1 + i / 250, 1 + i % 250);
		want(text);
		if (i % 25 == 0)
			run(100);
		while (omni_xring_take(s->xring->tx, &m, 1) == 1) {
			rte_pktmbuf_free(m);
			sent++;
		}
		assert_true(s->ctl->neighbours->port[1].asked <= NEIGH_ASKED_MAX);
	}
	assert_true(s->ctl->neighbours->port[1].n <= NEIGH_PORT_MAX);
	assert_true(count_of(s, OMNI_STAT_ctl_link_limited) > 0);
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	/* Hosts that claim to be many. */
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.2.%u.%u", 100 + i / 250, 1 + i % 250);
		asks(text, other_mac, "10.2.0.1");
		drain();
	}
	assert_true(s->ctl->neighbours->port[1].n <= NEIGH_PORT_MAX);
	assert_true(count_of(s, OMNI_STAT_ctl_neighbours_full) > 0);
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	run(60000);
	drain();
	run(20000);
	drain();
	assert_int_equal(s->ctl->neighbours->port[1].n, 0);
}

/* Hosts get in however many addresses another one has, and stay. */
static void who_is_many_locks_nobody_out(void **state)
{
	uint8_t mac[6] = {2, 0, 0, 0, 9, 0};
	char text[32];

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.2.%u.%u", 100 + i / 250, 1 + i % 250);
		asks(text, other_mac, "10.2.0.1");
		if (i % 100 == 0)
			run(100); /* what was forgotten is freed */
		drain();
	}
	assert_int_equal(s->ctl->neighbours->port[1].n, NEIGH_PORT_MAX);
	for (uint8_t i = 0; i < 200; i++) {
		mac[5] = i;
		snprintf(text, sizeof(text), "10.2.50.%u", 1 + i);
		if (i % 2 == 0) {
			asks(text, mac, "10.2.0.1");
		} else {
			want(text);
			says(text, mac, true);
		}
		drain();
	}
	assert_int_equal(s->ctl->neighbours->port[1].n, NEIGH_PORT_MAX);
	for (uint8_t i = 0; i < 200; i++) {
		mac[5] = i;
		snprintf(text, sizeof(text), "10.2.50.%u", 1 + i);
		assert_non_null(mac_of(text));
		assert_memory_equal(mac_of(text), mac, 6);
	}
	assert_memory_equal(mac_of("10.2.0.5"), host_mac, 6);
	/* Of its own the newest are left. */
	assert_memory_equal(mac_of("10.2.111.250"), other_mac, 6);
	assert_null(mac_of("10.2.100.1"));
}

/* Every byte of every frame, changed: nothing breaks, and nothing is answered to nobody. */
static void damaged_frames_do_no_harm(void **state)
{
	static const char *const targets[] = {"10.2.0.1", "fd00:1::1"};
	uint8_t frame[LINK_FRAME_MAX], bad[LINK_FRAME_MAX];
	struct link_frame f;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	for (unsigned int k = 0; k < 2; k++) {
		size_t len;

		f = (struct link_frame){.kind = LINK_ASK, .target = ip(targets[k])};
		f.from = ip(k == 0 ? "10.2.0.5" : "fe80::5");
		memcpy(f.mac, host_mac, 6);
		memcpy(f.from_mac, host_mac, 6);
		link_solicited_node(&f.to, f.to_mac, &f.target);
		len = link_frame_build(frame, &f);
		for (size_t i = 0; i < len; i++)
			for (unsigned int bit = 0; bit < 8; bit++) {
				memcpy(bad, frame, len);
				bad[i] ^= (uint8_t)(1U << bit);
				in_raw(bad, len);
				drain();
			}
		for (size_t cut = 0; cut < len; cut++) {
			in_raw(frame, cut == 0 ? 1 : cut);
			drain();
		}
	}
	assert_true(count_of(s, OMNI_STAT_ctl_link_malformed) > 0);
	/* Through a router: RFC 4861 wants a hop limit of 255. A wrong checksum, a zero option. */
	assert_int_equal(link_frame_parse(&f, frame, 86), 0);
	frame[14 + 7] = 254;
	assert_int_equal(link_frame_parse(&f, frame, 86), -EBADMSG);
	frame[14 + 7] = 255;
	frame[14 + 40 + 25] = 0;
	assert_int_equal(link_frame_parse(&f, frame, 86), -EBADMSG);
}

static void routers_on_the_link(void **state)
{
	(void)state;
	start("memif", OMNI_ADDRESS_OWN);
	s->port[1].via[0] = (struct omni_config_via){subnet("10.9.0.0/16"), ip("10.2.0.254")};
	s->port[1].via[1] = (struct omni_config_via){subnet("10.9.5.0/24"), ip("10.3.0.1")};
	s->port[1].n_via = 2;
	site_kill(s);
	site_control(s);
	for (unsigned int i = 0; i < 35; i++) {
		net.now_ns += STEP_NS;
		ctl_tick(s->ctl);
	}
	drain();
	want("10.9.1.1");
	assert_question("10.2.0.254");
	says("10.2.0.254", host_mac, true);
	assert_memory_equal(mac_of("10.9.1.1"), host_mac, 6);
	assert_memory_equal(mac_of("10.9.255.1"), host_mac, 6);
	/* One that is in no subnet of ours. */
	assert_int_equal(omni_dest_kind(dest_of("10.9.5.1")), OMNI_DEST_PORT);
	want("10.9.5.1");
	assert_question("10.3.0.1");
	says("10.3.0.1", other_mac, true);
	assert_memory_equal(mac_of("10.9.5.1"), other_mac, 6);
	asks("10.2.0.5", host_mac, "10.9.1.1"); /* on the link itself */
	out_nothing();
	/* Both go. */
	run(34500);
	drain();
	assert_int_equal(omni_dest_kind(dest_of("10.9.1.1")), OMNI_DEST_REJECT);
	run(5100);
	drain();
	assert_int_equal(omni_dest_kind(dest_of("10.9.1.1")), OMNI_DEST_PORT);
	want("10.9.5.1");
	assert_question("10.3.0.1");
}

static json_t *call(int (*handler)(void *ctx, const json_t *params, json_t **result,
				   struct omni_err *err))
{
	struct omni_err err = {""};
	json_t *result = NULL;

	if (handler(s->ctl, NULL, &result, &err) != 0)
		fail_msg("%s", err.text);
	return result;
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "";
}

static void tables_are_shown(void **state)
{
	json_t *list, *row;

	(void)state;
	start_quiet("memif", OMNI_ADDRESS_OWN);
	asks("10.2.0.5", host_mac, "10.2.0.1");
	want("10.2.0.9");
	drain();
	list = call(rpc_neighbours);
	assert_int_equal(json_array_size(list), 2);
	row = json_array_get(list, 0);
	assert_string_equal(text_of(row, "address"), "10.2.0.5");
	assert_string_equal(text_of(row, "mac"), "02:00:00:00:00:11");
	assert_string_equal(text_of(row, "state"), "reachable");
	assert_string_equal(text_of(row, "port"), "lan");
	row = json_array_get(list, 1);
	assert_string_equal(text_of(row, "state"), "asked");
	assert_true(json_is_null(json_object_get(row, "mac")));
	json_decref(list);
	list = call(rpc_routes);
	assert_int_equal(json_array_size(list), 5);
	for (unsigned int i = 0; i < 5; i++) {
		row = json_array_get(list, i);
		if (strcmp(text_of(row, "prefix"), "10.2.0.0/16") == 0)
			assert_string_equal(text_of(row, "kind"), "port");
		else if (strcmp(text_of(row, "prefix"), "10.2.0.5/32") == 0)
			assert_string_equal(text_of(row, "kind"), "host");
		else
			assert_string_equal(text_of(row, "kind"), "self");
	}
	json_decref(list);
}

static void bytes_are_as_published(void **state)
{
	/* A solicitation written down by hand from RFC 4861, section 4.3. */
	static const uint8_t ns[] = {
		51, 51, 0xff, 0,    0,	  1,	2,    0,    0,	  0,	0, 17,	 0x86, 0xdd, 96,
		0,  0,	0,    0,    32,	  58,	0xff, 0xfe, 0x80, 0,	0, 0,	 0,    0,    0,
		0,  0,	0,    0xff, 0xfe, 0,	0,    17,   0xff, 2,	0, 0,	 0,    0,    0,
		0,  0,	0,    0,    1,	  0xff, 0,    0,    1,	  0x87, 0, 0x7c, 0xf8, 0,    0,
		0,  0,	0xfd, 0,    0,	  1,	0,    0,    0,	  0,	0, 0,	 0,    0,    0,
		0,  0,	1,    1,    1,	  2,	0,    0,    0,	  0,	17};
	/* RFC 826: request of 10.2.0.5 for 10.2.0.1. */
	static const uint8_t arp[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0,
				      0x11, 8,	  6,	0,    1,    8,	  0,  6, 4, 0, 1,
				      2,    0,	  0,	0,    0,    0x11, 10, 2, 0, 5, 0,
				      0,    0,	  0,	0,    0,    10,	  2,  0, 1};
	uint8_t frame[LINK_FRAME_MAX];
	struct link_frame f;

	(void)state;
	assert_int_equal(link_frame_parse(&f, ns, sizeof(ns)), 0);
	f.to = ip("ff02::1:ff00:1");
	assert_int_equal(link_frame_build(frame, &f), sizeof(ns));
	assert_memory_equal(frame, ns, sizeof(ns));
	assert_int_equal(link_frame_parse(&f, arp, sizeof(arp)), 0);
	assert_int_equal(link_frame_build(frame, &f), LINK_FRAME_MIN);
	assert_memory_equal(frame, arp, sizeof(arp));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
		T(our_addresses_are_answered_for),
		T(what_is_behind_us_is_answered_for),
		T(the_kernel_side_of_a_tap_has_the_vip),
		T(hosts_are_asked_for),
		T(broadcasts_are_nobodys),
		T(who_asks_us_is_remembered),
		T(who_is_not_there_is_given_up),
		T(what_a_peer_has_is_not_taken_back),
		T(hosts_are_looked_after),
		T(ipv6_hosts_on_the_link),
		T(we_say_who_we_are),
		T(addresses_of_ours_elsewhere_are_told),
		T(floods_are_bounded),
		T(who_is_many_locks_nobody_out),
		T(damaged_frames_do_no_harm),
		T(routers_on_the_link),
		T(tables_are_shown),
		T(bytes_are_as_published),
#undef T
	};

	return cmocka_run_group_tests_name("neighbours", tests, rig_setup, NULL);
}
