/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sessions in WireGuard's dialect, whose datagrams the tests open and seal themselves, with
 * libsodium and from the words of the whitepaper (5.4.6): what is sent, what arrives, and what of
 * it is refused.
 */
#include <sodium.h>

#include <omni_sum.h>

#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

#define OUTER_LEN 42
#define NONCE_LEN 12
#define TEXT_MAX 2000

static const struct link wireguard = {.dialect = OMNI_DIALECT_WIREGUARD};

struct message {
	uint32_t receiver;
	uint64_t counter;
	uint16_t len; /* of the plain text */
	uint8_t text[TEXT_MAX];
};

static void set_nonce(uint8_t nonce[NONCE_LEN], uint64_t counter)
{
	memset(nonce, 0, 4);
	for (unsigned int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static uint64_t le(const uint8_t *p, unsigned int len)
{
	uint64_t v = 0;

	while (len-- > 0)
		v = v << 8 | p[len];
	return v;
}

/* A datagram of site from's to site to, as its receiver sees it; m is freed. */
static void opened(struct rig *r, unsigned int from, unsigned int to, struct rte_mbuf *m,
		   struct message *msg)
{
	const uint8_t *h;
	uint8_t nonce[NONCE_LEN];
	unsigned long long len;

	assert_non_null(m);
	assert_true(rte_pktmbuf_data_len(m) >= OUTER_LEN + 32);
	h = rte_pktmbuf_mtod_offset(m, const uint8_t *, OUTER_LEN);
	assert_int_equal(le(h, 4), 4);
	msg->receiver = (uint32_t)le(h + 4, 4);
	msg->counter = le(h + 8, 8);
	assert_int_equal(msg->receiver, r->site[to].key[from]->local_id);
	set_nonce(nonce, msg->counter);
	assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(
				 msg->text, &len, NULL, h + 16,
				 rte_pktmbuf_data_len(m) - OUTER_LEN - 16U, NULL, 0, nonce,
				 r->site[from].secret[to].b),
			 0);
	msg->len = (uint16_t)len;
	rte_pktmbuf_free(m);
}

/* The other way round, as it is: to any index, with any text. */
static struct rte_mbuf *sealed_as(struct rig *r, unsigned int from, unsigned int to,
				  uint32_t receiver, uint64_t counter, const uint8_t *text,
				  uint16_t len)
{
	uint8_t datagram[TEXT_MAX + 32] = {4}, nonce[NONCE_LEN];
	unsigned long long sealed_len;

	for (unsigned int i = 0; i < 4; i++)
		datagram[4 + i] = (uint8_t)(receiver >> (8 * i));
	for (unsigned int i = 0; i < 8; i++)
		datagram[8 + i] = (uint8_t)(counter >> (8 * i));
	set_nonce(nonce, counter);
	assert_int_equal(crypto_aead_chacha20poly1305_ietf_encrypt(datagram + 16, &sealed_len, text,
								   len, NULL, 0, NULL, nonce,
								   r->site[from].secret[to].b),
			 0);
	return rig_datagram(r, from, to, datagram, (uint16_t)(16 + sealed_len));
}

static struct rte_mbuf *sealed(struct rig *r, unsigned int from, unsigned int to, uint64_t counter,
			       const uint8_t *text, uint16_t len)
{
	return sealed_as(r, from, to, (uint32_t)r->site[to].key[from]->local_id, counter, text,
			 len);
}

/* A frame from host 22 at site 1 to host 11 at site 0's first port. */
static void plain(uint8_t frame[64], uint8_t mark)
{
	memset(frame, mark, 64);
	rig_mac(frame, 11);
	rig_mac(frame + 6, 22);
	omni_store_be16(frame + 12, 0x88b5);
}

static struct site *receiver(struct rig *r)
{
	rig_connect(r, 0, 1, &wireguard);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
	return &r->site[0];
}

static unsigned int came_out(struct rig *r)
{
	struct rte_mbuf *m;
	unsigned int n = 0;

	rig_run(r);
	while ((m = rig_out(r->site[0].local[0])) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

static unsigned int deliver(struct rig *r, struct rte_mbuf *m)
{
	rig_in(r->site[0].uplink, m);
	return came_out(r);
}

static unsigned int forge(struct rig *r, uint64_t counter)
{
	uint8_t frame[64];

	plain(frame, 1);
	return deliver(r, sealed(r, 1, 0, counter, frame, sizeof(frame)));
}

/* ---- What is sent ---- */

/* One frame from host 11 at site 0 to host 22, opened; false where none left. */
static bool sent(struct rig *r, uint16_t len, struct message *msg)
{
	struct rte_mbuf *m;

	r->unplugged = true;
	rig_in(r->site[0].local[0], rig_frame(r, 22, 11, len, (uint8_t)len));
	rig_run(r);
	m = rig_out(r->site[0].uplink);
	r->unplugged = false;
	if (m == NULL)
		return false;
	opened(r, 0, 1, m, msg);
	return true;
}

static void assert_text(struct rig *r, const struct message *msg, uint16_t len)
{
	struct rte_mbuf *want = rig_frame(r, 22, 11, len, (uint8_t)len);

	assert_memory_equal(msg->text, rte_pktmbuf_mtod(want, uint8_t *), len);
	for (unsigned int i = len; i < msg->len; i++)
		assert_int_equal(msg->text[i], 0);
	rte_pktmbuf_free(want);
}

static void padded_to_sixteen(void **state)
{
	struct rig *r = *state;
	uint64_t counter = receiver(r)->key[1]->tx[0].sequence;
	struct message msg;

	for (uint16_t len = OMNI_ETHER_HDR_LEN; len <= 130; len++) {
		assert_true(sent(r, len, &msg));
		assert_int_equal(msg.counter, counter++);
		assert_int_equal(msg.len, (len + 15) / 16 * 16);
		assert_text(r, &msg, len);
	}
	assert_int_equal(rig_drops(r, 0), 0);
}

/* Up to the last byte that the path carries, and padding never goes beyond it. */
static void padded_within_the_path(void **state)
{
	struct rig *r = *state;
	struct message msg;

	for (uint16_t mtu = 1280; mtu < 1297; mtu++) {
		struct link link = {.dialect = OMNI_DIALECT_WIREGUARD, .mtu = mtu};
		uint16_t room = mtu - 20 - 8 - 32;
		struct omni_path path;

		if (mtu == 1280) {
			rig_connect(r, 0, 1, &link);
			rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
		}
		path = *atomic_load(&r->site[0].peer[1]->path);
		path.mtu = mtu;
		omni_peer_set_path(r->site[0].peer[1], omni_path_copy(&path, NULL), r->site[0].rcu);
		for (uint16_t len = room - 20; len <= room; len++) {
			uint16_t want = (uint16_t)((len + 15) / 16 * 16);

			assert_true(sent(r, len, &msg));
			assert_int_equal(msg.len, want < room ? want : room);
			assert_text(r, &msg, len);
		}
		assert_false(sent(r, room + 1, &msg));
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 17);
	assert_int_equal(rig_drops(r, 0), 17);
}

static void outer_headers_are_right(void **state)
{
	static const struct link v6 = {.dialect = OMNI_DIALECT_WIREGUARD, .v6 = true};
	struct rig *r = *state;
	const uint8_t *ip;
	struct rte_mbuf *m;

	receiver(r);
	rig_connect(r, 0, 2, &v6);
	r->unplugged = true;
	rig_in(r->site[0].local[0], rig_frame(r, 0, 11, 70, 7));
	rig_run(r);
	for (unsigned int i = 0; i < 2; i++) {
		m = rig_out(r->site[0].uplink);
		assert_non_null(m);
		ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, 14);
		if (ip[0] == 0x45) {
			assert_int_equal(ip[1], 0);
			assert_int_equal(omni_load_be16(ip + 2), 20 + 8 + 80 + 32);
			assert_int_equal(omni_load_be16(ip + 6), 0x4000);
			assert_int_equal(omni_sum_fold(omni_sum(ip, 20)), 0xffff);
			assert_int_equal(omni_load_be16(ip + 20 + 4), 8 + 80 + 32);
		} else {
			assert_int_equal(omni_load_be32(ip), 0x60000000);
			assert_int_equal(omni_load_be16(ip + 4), 8 + 80 + 32);
			assert_int_not_equal(omni_load_be16(ip + 40 + 6), 0);
		}
		rte_pktmbuf_free(m);
	}
	rig_expect_nothing(r->site[0].uplink);
}

static void limits_of_messages(void **state)
{
	const uint64_t last = UINT64_MAX - 8192 - 1; /* 2^64 - 2^13 - 1 is refused */
	struct rig *r = *state;
	struct site *a = receiver(r);
	struct omni_lane_tx *tx = &a->key[1]->tx[0];
	struct message msg;

	tx->sequence = OMNI_MESSAGES_REKEY - 1;
	assert_true(sent(r, 64, &msg));
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WORN), 0);
	assert_true(sent(r, 64, &msg));
	assert_int_equal(msg.counter, OMNI_MESSAGES_REKEY);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_WORN), 1);
	tx->sequence = last;
	assert_true(sent(r, 64, &msg));
	assert_int_equal(msg.counter, last);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(sent(r, 64, &msg));
	assert_int_equal(tx->sequence, last + 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_worn), 3);
	/* A run is sent whole or not at all. */
	tx->sequence = last - 1;
	for (unsigned int i = 0; i < 3; i++)
		rig_in(a->local[0], rig_frame(r, 22, 11, 64, 1));
	assert_false(sent(r, 64, &msg));
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_worn), 7);
	assert_int_equal(tx->sequence, last - 1);
}

/* Control and all workers take their numbers from one counter. */
static void one_counter_for_all(void **state)
{
	enum {
		N = 5
	};
	struct rig *r = *state;
	struct site *a = receiver(r);
	uint64_t first = a->key[1]->tx[0].sequence, seen = 0;
	struct omni_keypair_use use;
	struct rte_mbuf *m;
	struct message msg;

	rig_set_workers(r, 0, 3);
	rig_set_queues(a->local[0], 3, 0);
	rig_set_queues(a->uplink, 3, 0);
	r->unplugged = true;
	for (uint16_t i = 0; i < N * 3; i++)
		rig_in_queue(a->local[0], i % 3, rig_frame(r, 22, 11, 64, 1));
	rig_run(r);
	m = rte_pktmbuf_alloc(r->pool);
	assert_int_equal(omni_keypair_seal_control(a->key[1], a->control_aead,
						   atomic_load(&a->peer[1]->path),
						   OMNI_KIND_KEEPALIVE, NULL, 0, m),
			 0);
	opened(r, 0, 1, m, &msg);
	assert_int_equal(msg.len, 0);
	assert_int_equal(msg.counter, first + N * 3);
	for (unsigned int i = 0; i < N * 3; i++) {
		opened(r, 0, 1, rig_out(a->uplink), &msg);
		assert_int_equal(seen >> (msg.counter - first) & 1, 0);
		seen |= UINT64_C(1) << (msg.counter - first);
	}
	assert_int_equal(seen, (1U << N * 3) - 1);
	omni_keypair_use(a->key[1], &use);
	assert_int_equal(use.tx_messages, first + N * 3 + 1);
	assert_int_equal(use.tx_frames, first + N * 3);
	assert_true(use.tx_last_tsc > 0);
}

/* ---- What arrives ---- */

static void both_ways(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r), *b = &r->site[1];

	for (uint16_t len = 16; len <= 1424; len += 16) {
		rig_in(a->local[0], rig_frame(r, 22, 11, len, 3));
		rig_in(b->local[0], rig_frame(r, 11, 22, len, 4));
		rig_run(r);
		rig_expect(b->local[0], 22, 11, len, 3);
		rig_expect(a->local[0], 11, 22, len, 4);
	}
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 0);
	/* With what was sent to make both known. */
	assert_int_equal(a->key[1]->rx[0].frames, 90);
}

static void replay_edges(void **state)
{
	static const struct {
		uint64_t counter;
		unsigned int want;
	} steps[] = {
		{20000, 1},
		{20000, 0},
		{20000 - 8191, 1},
		{20000 - 8191, 0},
		{20000 - 8192, 0},
		{0, 0},
		{20001, 1},
		{20001 - 8191, 1},
		{20000 - 8191, 0},
		{20001 - 8192, 0},
		{28193, 1},
		{20001, 0},
		{20002, 1},
		{28192, 1},
		{28193, 0},
		{1000000, 1},
		{991809, 1},
		{991808, 0},
		{999999, 1},
		{UINT64_MAX - 8192, 0},
		{UINT64_MAX, 0},
		{1000001, 1},
		{UINT64_MAX - 8193, 1},
		{1000002, 0},
		{UINT64_MAX - 8193, 0},
		{UINT64_MAX - 8193 - 8191, 1},
	};
	struct rig *r = *state;
	unsigned int refused = 0, expired = 0;

	receiver(r);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(steps); i++) {
		if (forge(r, steps[i].counter) != steps[i].want)
			fail_msg("step %u", i);
		if (steps[i].counter >= UINT64_MAX - 8192)
			expired++;
		else
			refused += steps[i].want == 0;
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), refused);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_expired), expired);
	assert_int_equal(rig_drops(r, 0), refused + expired);
}

/* All orders within the window, over many bursts: each number once. */
static void reordered_over_bursts(void **state)
{
	enum {
		N = 2000
	};
	struct rig *r = *state;
	unsigned int out = 0;
	uint8_t frame[64];

	receiver(r);
	plain(frame, 1);
	for (unsigned int round = 0; round < 2; round++)
		for (unsigned int i = 0; i < N; i++) {
			rig_in(r->site[0].uplink,
			       sealed(r, 1, 0, 100 + i * 1009 % N, frame, sizeof(frame)));
			if (i % 100 == 99)
				out += came_out(r);
		}
	assert_int_equal(out, N);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), N);
	assert_int_equal(rig_drops(r, 0), N);
}

static void twice_in_one_burst(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r);
	uint8_t frame[64];

	plain(frame, 1);
	rig_in(a->uplink, sealed(r, 1, 0, 70, frame, 64));
	assert_int_equal(deliver(r, sealed(r, 1, 0, 70, frame, 64)), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), 1);
}

static void every_byte_flipped(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r);
	const uint64_t top = omni_keypair_window(a->key[1])->top;
	uint8_t frame[64];

	plain(frame, 1);
	for (unsigned int at = 0; at < 16 + 64 + 16; at++) {
		struct rte_mbuf *m = sealed(r, 1, 0, 1000, frame, 64);

		*rte_pktmbuf_mtod_offset(m, uint8_t *, OUTER_LEN + at) ^= 0x10;
		assert_int_equal(deliver(r, m), 0);
		assert_int_equal(rig_drops(r, 0), at + 1);
		assert_int_equal(omni_keypair_window(a->key[1])->top, top);
	}
	assert_int_equal(a->n_events, 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_unknown_type), 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_tag), 16 + 64 + 16 - 8);
	assert_int_equal(forge(r, 1000), 1);
}

static void keepalives(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r);
	struct rte_mbuf *m;

	a->key[1]->rx[0].last_tsc = 0;
	assert_int_equal(deliver(r, sealed(r, 1, 0, 50, NULL, 0)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_keepalives_received), 1);
	assert_int_equal(a->key[1]->rx[0].last_tsc, 0);
	assert_true(a->key[1]->rx[0].last_any > 0);
	assert_int_equal(deliver(r, sealed(r, 1, 0, 50, NULL, 0)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), 1);
	/* One of ours, at the other end. */
	m = rte_pktmbuf_alloc(r->pool);
	assert_int_equal(omni_keypair_seal_control(a->key[1], a->control_aead,
						   atomic_load(&a->peer[1]->path),
						   OMNI_KIND_KEEPALIVE, NULL, 0, m),
			 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), OUTER_LEN + 32);
	rig_in(r->site[1].uplink, m);
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_keepalives_received), 1);
	assert_int_equal(rig_drops(r, 0) + rig_drops(r, 1), 1);
}

/* An index of one dialect says nothing in the other one, wherever it points. */
static void ids_of_the_other_dialect(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r);
	uint8_t frame[64];
	uint64_t wg, omni;

	rig_connect(r, 0, 2, NULL);
	wg = a->key[1]->local_id;
	omni = a->key[2]->local_id;
	plain(frame, 1);
	for (unsigned int bit = 0; bit < 32; bit++)
		assert_int_equal(deliver(r, sealed_as(r, 1, 0, (uint32_t)wg ^ 1U << bit, 50 + bit,
						      frame, 64)),
				 0);
	assert_int_equal(deliver(r, sealed_as(r, 1, 0, 0, 90, frame, 64)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 33);
	/* At Omni's place, with its low bits; at WireGuard's, with its own. */
	assert_int_equal(deliver(r, sealed_as(r, 1, 0, (uint32_t)omni, 91, frame, 64)), 0);
	assert_int_equal(
		deliver(r, sealed_as(r, 1, 0, omni_session_index(omni) << OMNI_WG_INDEX_RANDOM_BITS,
				     92, frame, 64)),
		0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 35);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t place = wg >> OMNI_WG_INDEX_RANDOM_BITS << 40;
		const struct forge f = {.session = UINT64_C(1) << 63 | place | (i == 0 ? wg : 0),
					.lane = 1};

		assert_int_equal(deliver(r, rig_sealed(r, 2, 0, &f, frame, 64)), 0);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 37);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 0);
	assert_int_equal(forge(r, 93), 1);
}

static void mixed_bursts(void **state)
{
	static const uint8_t who[] = {1, 2, 1, 1, 2, 2, 3, 1, 3, 3, 2, 1};
	struct rig *r = *state;
	struct site *a = receiver(r);
	uint64_t counter[SITES] = {0, 500, 500, 500};
	uint8_t frame[64];

	rig_connect(r, 0, 2, NULL);
	rig_connect(r, 0, 3, &(struct link){.cipher = OMNI_CIPHER_CHACHAPOLY});
	for (uint8_t i = 0; i < 120; i++) {
		unsigned int from = who[i % OMNI_ARRAY_SIZE(who)];
		const struct forge f = {.sequence = counter[from], .lane = 1};

		plain(frame, i);
		rig_in(a->uplink, from == 1 ? sealed(r, 1, 0, counter[from], frame, 64)
					    : rig_sealed(r, from, 0, &f, frame, 64));
		counter[from]++;
	}
	rig_run(r);
	for (uint8_t i = 0; i < 120; i++) {
		struct rte_mbuf *m = rig_out(a->local[0]);

		assert_non_null(m);
		assert_int_equal(rte_pktmbuf_data_len(m), 64);
		assert_int_equal(*rte_pktmbuf_mtod_offset(m, uint8_t *, 63), i);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig_drops(r, 0), 0);
	/* And out: the same frames to all of them, each in its own dialect. */
	rig_in(a->local[0], rig_frame(r, 0, 11, 96, 9));
	rig_run(r);
	for (unsigned int i = 1; i < SITES; i++)
		rig_expect(r->site[i].local[0], 0, 11, 96, 9);
}

static void confirmed_and_roamed(void **state)
{
	static const struct link link = {.dialect = OMNI_DIALECT_WIREGUARD, .unconfirmed = true};
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];
	struct omni_endpoint was = b->address;

	rig_connect(r, 1, 0, &link);
	assert_int_equal(deliver(r, sealed(r, 1, 0, 0, NULL, 0)), 0);
	assert_int_equal(
		rig_events(r, 0, OMNI_EVENT_CONFIRM) + rig_events(r, 1, OMNI_EVENT_CONFIRM), 0);
	rig_in(b->uplink, sealed(r, 0, 1, 0, NULL, 0));
	rig_run(r);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_CONFIRM), 1);
	assert_int_equal(b->event[0].session_id, b->key[0]->local_id);
	rig_forget_events(r);
	b->address = r->site[3].address;
	assert_int_equal(deliver(r, sealed(r, 1, 0, 1, NULL, 0)), 0);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 1);
	assert_true(omni_endpoint_equal(&a->event[0].from, &r->site[3].address));
	assert_int_equal(a->event[0].session_id, a->key[1]->local_id);
	assert_int_equal(a->event[0].datagram_len, 32);
	/* What was seen before says nothing. */
	assert_int_equal(deliver(r, sealed(r, 1, 0, 1, NULL, 0)), 0);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 1);
	b->address = was;
}

/* The worker that opened the first one opens all of them. */
static void owner_opens(void **state)
{
	struct rig *r = *state;
	struct site *a = &r->site[0];
	uint8_t frame[64];

	rig_set_workers(r, 0, 3);
	rig_set_queues(a->uplink, 3, 0);
	receiver(r);
	rig_set_queues(a->local[0], 3, 0);
	plain(frame, 1);
	for (uint16_t i = 0; i < 30; i++)
		rig_in_queue(a->uplink, i % 3, sealed(r, 1, 0, 100 + i, frame, 64));
	assert_int_equal(came_out(r), 30);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_handed_datagrams), 20);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 30);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void expired_key(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r);

	assert_int_equal(forge(r, 50), 1);
	atomic_store(&a->key[1]->marks, OMNI_KEYPAIR_NO_RX);
	assert_int_equal(forge(r, 51), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_expired), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 1);
}

static void handshakes_are_punted(void **state)
{
	static const uint16_t len[] = {0, OMNI_WG_INITIATION_LEN, OMNI_WG_RESPONSE_LEN,
				       OMNI_WG_COOKIE_LEN};
	struct rig *r = *state;
	uint8_t payload[OMNI_WG_INITIATION_LEN + 1] = {0};
	struct rte_mbuf *m;

	for (uint8_t type = 1; type <= 3; type++) {
		payload[0] = type;
		rig_in(r->site[0].uplink, rig_datagram(r, 1, 0, payload, len[type]));
		rig_in(r->site[0].uplink, rig_datagram(r, 1, 0, payload, len[type] + 1));
		rig_run(r);
		assert_int_equal(omni_xring_take(r->site[0].xring->handshake, &m, 1), 1);
		assert_int_equal(omni_meta(m)->payload_len, len[type]);
		rte_pktmbuf_free(m);
	}
	payload[0] = 4;
	rig_in(r->site[0].uplink, rig_datagram(r, 1, 0, payload, 31));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_punted_handshake), 3);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_length), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(padded_to_sixteen),
		TEST(padded_within_the_path),
		TEST(outer_headers_are_right),
		TEST(limits_of_messages),
		TEST(one_counter_for_all),
		TEST(both_ways),
		TEST(replay_edges),
		TEST(reordered_over_bursts),
		TEST(twice_in_one_burst),
		TEST(every_byte_flipped),
		TEST(keepalives),
		TEST(ids_of_the_other_dialect),
		TEST(mixed_bursts),
		TEST(confirmed_and_roamed),
		TEST(owner_opens),
		TEST(expired_key),
		TEST(handshakes_are_punted),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
