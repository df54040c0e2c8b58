/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What arrives sealed: the order of checks, what each refuses, and what changes when. */
#include <omni_replay.h>

#include "rig.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* A frame from host 22 at site 1 to host 11 at site 0's first port. */
static void plain(uint8_t frame[60])
{
	memset(frame, 0, 60);
	rig_mac(frame, 11);
	rig_mac(frame + 6, 22);
	omni_store_be16(frame + 12, 0x88b5);
}

static struct site *receiver(struct rig *r, const struct link *link)
{
	rig_connect(r, 0, 1, link);
	rig_introduce(r, r->site[0].local[0], 11, r->site[1].local[0], 22);
	return &r->site[0];
}

/* Forge from site 1, and say how many frames came out of site 0's first port. */
static unsigned int deliver(struct rig *r, struct rte_mbuf *m)
{
	unsigned int n = 0;

	rig_in(r->site[0].uplink, m);
	rig_run(r);
	while ((m = rig_out(r->site[0].local[0])) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

static unsigned int forge(struct rig *r, struct forge f)
{
	uint8_t frame[60];

	plain(frame);
	return deliver(r, rig_sealed(r, 1, 0, &f, frame, sizeof(frame)));
}

static void replayed_and_reordered(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	const uint64_t top = 100000;

	assert_int_equal(forge(r, (struct forge){.sequence = top, .lane = 1}), 1);
	assert_int_equal(forge(r, (struct forge){.sequence = top, .lane = 1}), 0);
	for (uint64_t i = 1; i < 100; i++)
		assert_int_equal(forge(r, (struct forge){.sequence = top - i, .lane = 1}), 1);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(forge(r, (struct forge){.sequence = top - i, .lane = 1}), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), 101);
	assert_int_equal(
		forge(r, (struct forge){.sequence = top - OMNI_REPLAY_WINDOW + 1, .lane = 1}), 1);
	assert_int_equal(forge(r, (struct forge){.sequence = top - OMNI_REPLAY_SPAN, .lane = 1}),
			 0);
	assert_int_equal(forge(r, (struct forge){.sequence = 0, .lane = 1}), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), 103);
	/* The windows of lanes know nothing of each other. */
	assert_int_equal(forge(r, (struct forge){.sequence = 0, .lane = 0}), 1);
	assert_int_equal(rig_drops(r, 0), 103);
	assert_int_equal(a->key[1]->rx[1].window.top, top);
}

/* Both copies pass the peek, because none is marked yet; one comes through. */
static void twice_in_one_burst(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	const struct forge f = {.sequence = 7, .lane = 1};
	uint8_t frame[60];

	plain(frame);
	rig_in(a->uplink, rig_sealed(r, 1, 0, &f, frame, 60));
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, frame, 60)), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_replayed), 1);
}

/* Each byte that is authenticated, flipped: nothing passes, and nothing has changed. */
static void every_byte_flipped(void **state)
{
	struct rig *r = *state;
	const struct link link = {.cipher = OMNI_CIPHER_CHACHAPOLY};
	const struct forge f = {.sequence = 1000, .lane = 1};
	struct site *a = receiver(r, &link);
	uint64_t top = a->key[1]->rx[1].window.top;
	uint8_t frame[60];

	plain(frame);
	for (unsigned int at = 8; at < OMNI_DATA_OVERHEAD + 60; at++) {
		struct rte_mbuf *m = rig_sealed(r, 1, 0, &f, frame, 60);

		*rte_pktmbuf_mtod_offset(m, uint8_t *, 42 + at) ^= 0x10;
		assert_int_equal(deliver(r, m), 0);
		assert_int_equal(rig_drops(r, 0), at - 7);
		assert_int_equal(a->key[1]->rx[1].window.top, top);
	}
	assert_int_equal(a->n_events, 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_tag) +
				 rig_count(r, 0, OMNI_STAT_drop_bad_header) +
				 rig_count(r, 0, OMNI_STAT_drop_bad_lane),
			 rig_drops(r, 0));
	/* Five reserved bytes, two of the lane; the rest is the tag's. */
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_header), 5);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_lane), 2);
	assert_int_equal(forge(r, f), 1);
}

static void headers_refused(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	uint64_t id = a->key[1]->local_id;
	struct forge f = {.sequence = 50, .lane = 2};

	assert_int_equal(forge(r, f), 0);
	f.lane = UINT16_MAX;
	assert_int_equal(forge(r, f), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_lane), 2);
	f = (struct forge){.sequence = 50, .lane = 1, .flags = 1};
	assert_int_equal(forge(r, f), 0);
	f = (struct forge){.sequence = 50, .lane = 1, .zero18 = 1};
	assert_int_equal(forge(r, f), 0);
	f = (struct forge){.sequence = 50, .lane = 1, .zero22 = 1};
	assert_int_equal(forge(r, f), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_header), 3);
	f = (struct forge){.sequence = 50, .lane = 1, .session = id ^ 1};
	assert_int_equal(forge(r, f), 0);
	f.session = id ^ UINT64_C(1) << 40; /* another slot */
	assert_int_equal(forge(r, f), 0);
	f.session = UINT64_MAX; /* beyond the table */
	assert_int_equal(forge(r, f), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 3);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 0);
	f = (struct forge){.sequence = 50, .lane = 1, .kind = OMNI_KIND_COUNT};
	assert_int_equal(forge(r, f), 0);
	f = (struct forge){.sequence = 51, .lane = 1, .kind = 255};
	assert_int_equal(forge(r, f), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_kind), 2);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 2);
	assert_int_equal(rig_drops(r, 0), 10);
}

static void expired_key(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);

	atomic_store(&a->key[1]->marks, OMNI_KEYPAIR_NO_TX);
	assert_int_equal(forge(r, (struct forge){.sequence = 50, .lane = 1}), 1);
	atomic_store(&a->key[1]->marks, OMNI_KEYPAIR_NO_RX | OMNI_KEYPAIR_NO_TX);
	assert_int_equal(forge(r, (struct forge){.sequence = 51, .lane = 1}), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_key_expired), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_opened), 1);
	omni_sessions_release(a->sessions, a->key[1]->local_id);
	assert_int_equal(forge(r, (struct forge){.sequence = 52, .lane = 1}), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_no_session), 1);
}

static void lane_of_another_worker(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	_Atomic uint32_t *owner = &a->key[1]->rx[0].owner;

	assert_int_equal(atomic_load(&a->key[1]->rx[1].owner), 1);
	assert_int_equal(atomic_load(owner), OMNI_NO_OWNER);
	atomic_store(owner, 2);
	assert_int_equal(forge(r, (struct forge){.sequence = 0, .lane = 0}), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_lane_owner), 1);
	assert_int_equal(atomic_load(owner), 2);
	assert_int_equal(forge(r, (struct forge){.sequence = 100, .lane = 1}), 1);
}

/* The event comes with each burst until control has acted, and first of all from data. */
static void confirmation_is_a_level(void **state)
{
	static const struct link link = {.unconfirmed = true};
	struct rig *r = *state;
	struct site *a = &r->site[0], *b = &r->site[1];

	rig_connect(r, 0, 1, &link);
	rig_in(b->local[0], rig_frame(r, 0, 22, 60, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_sealed), 0);
	assert_int_equal(rig_count(r, 1, OMNI_STAT_drop_no_key), 1);
	for (unsigned int i = 0; i < 3; i++) {
		rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
		rig_run(r);
	}
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_CONFIRM), 3);
	atomic_store(&b->key[0]->marks, 0);
	omni_peer_set_tx(b->peer[0], b->key[0]);
	rig_in(a->local[0], rig_frame(r, 0, 11, 60, 1));
	rig_run(r);
	assert_int_equal(rig_events(r, 1, OMNI_EVENT_CONFIRM), 3);
	for (unsigned int i = 0; i < b->n_events; i++) {
		if (b->event[i].type != OMNI_EVENT_CONFIRM)
			continue;
		assert_int_equal(b->event[i].session_id, b->key[0]->local_id);
		assert_int_equal(b->event[i].peer, b->peer[0]->index);
		assert_int_equal(b->event[i].peer_gen, b->peer[0]->generation);
		assert_true(omni_endpoint_equal(&b->event[i].from, &a->address));
	}
	for (unsigned int s = 0; s < 2; s++)
		for (unsigned int i = 0; i < LOCALS; i++) {
			struct rte_mbuf *m;

			while ((m = rig_out(r->site[s].local[i])) != NULL)
				rte_pktmbuf_free(m);
		}
}

static void another_address(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	const struct forge f = {.sequence = 70, .lane = 1}, g = {.sequence = 71, .lane = 1};
	struct omni_endpoint was = r->site[1].address;
	uint8_t frame[60];

	plain(frame);
	assert_int_equal(forge(r, (struct forge){.sequence = 69, .lane = 1}), 1);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 0);
	r->site[1].address = r->site[3].address;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, frame, 60)), 1);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 1);
	assert_true(omni_endpoint_equal(&a->event[0].from, &r->site[3].address));
	assert_int_equal(a->event[0].lane, 1);
	assert_int_equal(a->event[0].datagram_len, 60 + OMNI_DATA_OVERHEAD);
	assert_int_equal(a->event[0].session_id, a->key[1]->local_id);
	r->site[1].address = was;
	r->site[1].address.port++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &g, frame, 60)), 1);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 2);
	/* A replay from elsewhere says nothing. */
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, frame, 60)), 0);
	assert_int_equal(rig_events(r, 0, OMNI_EVENT_ROAM), 2);
	r->site[1].address = was;
}

static void control_and_keepalive(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	const struct forge f = {.sequence = 0, .lane = 0, .kind = OMNI_KIND_CONTROL};
	const struct forge k = {.sequence = 1, .lane = 0, .kind = OMNI_KIND_KEEPALIVE};
	const struct forge bad = {.sequence = 2, .lane = 0, .kind = OMNI_KIND_KEEPALIVE};
	const struct forge lane1 = {.sequence = 77, .lane = 1, .kind = OMNI_KIND_CONTROL};
	struct omni_endpoint from, to;
	struct omni_meta *meta;
	struct rte_mbuf *m;

	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, "hello", 5)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_punted_control), 1);
	assert_int_equal(omni_xring_take(a->xring->control, &m, 1), 1);
	meta = omni_meta(m);
	assert_int_equal(meta->payload_len, 5);
	assert_int_equal(meta->kind, OMNI_KIND_CONTROL);
	assert_int_equal(meta->peer, a->peer[1]->index);
	assert_int_equal(meta->cluster, DOMAIN);
	assert_null(meta->kp);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, uint8_t *, meta->payload_off), "hello", 5);
	assert_int_equal(omni_load_be64(rte_pktmbuf_mtod_offset(
				 m, uint8_t *, meta->payload_off - OMNI_DATA_HDR_LEN)),
			 a->key[1]->local_id);
	omni_punt_addresses(m, &from, &to);
	assert_true(omni_endpoint_equal(&from, &r->site[1].address));
	assert_true(omni_endpoint_equal(&to, &a->address));
	rte_pktmbuf_free(m);
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &k, NULL, 0)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_keepalives_received), 1);
	assert_int_equal(rig_drops(r, 0), 0);
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &bad, "x", 1)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_length), 1);
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &lane1, "hello", 5)), 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_control_lane), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_punted_control), 1);
	/* Payload moves the clock of payload, the rest only that of any datagram. */
	assert_int_equal(a->key[1]->rx[0].last_tsc, 0);
	assert_true(a->key[1]->rx[0].last_any > 0);
	assert_true(a->key[1]->rx[1].last_tsc > 0);
}

static void nucleus_sends_control_only(void **state)
{
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	struct rte_mbuf *m;

	a->key[1]->dialect = OMNI_DIALECT_NUCLEUS;
	assert_int_equal(forge(r, (struct forge){.sequence = 50, .lane = 1}), 0);
	for (unsigned int kind = 0; kind < OMNI_KIND_COUNT; kind++)
		assert_int_equal(forge(r, (struct forge){.sequence = 60 + kind,
							 .lane = kind != OMNI_KIND_CONTROL,
							 .kind = (uint8_t)kind}),
				 0);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_kind), OMNI_KIND_COUNT);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_punted_control), 1);
	assert_int_equal(omni_xring_take(a->xring->control, &m, 1), 1);
	rte_pktmbuf_free(m);
}

static void handshakes_are_punted(void **state)
{
	static const struct {
		uint8_t head[4];
		uint16_t len;
		enum omni_stat want;
	} cases[] = {
		{{5}, OMNI_INITIATION_LEN, OMNI_STAT_punted_handshake},
		{{6}, OMNI_RESPONSE_LEN, OMNI_STAT_punted_handshake},
		{{7}, OMNI_COOKIE_LEN, OMNI_STAT_punted_handshake},
		{{8, 1}, OMNI_HELLO_ANSWER_LEN, OMNI_STAT_punted_handshake},
		{{8, 0}, OMNI_HELLO_LEN, OMNI_STAT_drop_hello},
		{{1}, OMNI_WG_INITIATION_LEN, OMNI_STAT_punted_handshake},
		{{4}, 96, OMNI_STAT_drop_no_session},
		{{9}, 50, OMNI_STAT_drop_circuit},
		{{5, 1}, OMNI_INITIATION_LEN, OMNI_STAT_drop_bad_suite},
		{{5}, OMNI_INITIATION_LEN - 1, OMNI_STAT_drop_bad_length},
		{{0x80}, OMNI_DATA_MIN_LEN - 1, OMNI_STAT_drop_bad_length},
		{{0x80}, OMNI_DATA_MIN_LEN, OMNI_STAT_drop_no_session},
		{{0x7f}, 100, OMNI_STAT_drop_unknown_type},
		{{0}, 0, OMNI_STAT_drop_unknown_type},
	};
	struct rig *r = *state;
	struct site *a = &r->site[0];
	uint8_t payload[OMNI_INITIATION_LEN];

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		uint64_t before = rig_count(r, 0, cases[i].want);
		struct rte_mbuf *m;

		memset(payload, 0, sizeof(payload));
		memcpy(payload, cases[i].head, 4);
		rig_in(a->uplink, rig_datagram(r, 1, 0, payload, cases[i].len));
		rig_run(r);
		assert_int_equal(rig_count(r, 0, cases[i].want), before + 1);
		if (cases[i].want != OMNI_STAT_punted_handshake)
			continue;
		assert_int_equal(omni_xring_take(a->xring->handshake, &m, 1), 1);
		assert_int_equal(omni_meta(m)->payload_len, cases[i].len);
		assert_memory_equal(
			rte_pktmbuf_mtod_offset(m, uint8_t *, omni_meta(m)->payload_off), payload,
			cases[i].len);
		rte_pktmbuf_free(m);
	}
	/* Nobody takes them: the ring fills, the rest is dropped by name. */
	for (unsigned int i = 0; i < OMNI_PUNT_HANDSHAKE_SIZE + 10; i++) {
		payload[0] = OMNI_TYPE_INITIATION;
		rig_in(a->uplink, rig_datagram(r, 1, 0, payload, OMNI_INITIATION_LEN));
		if (i % 64 == 0)
			rig_run(r);
	}
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_punt_full), 10);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_uplink_tx), 0);
}

static void outer(struct rig *r, unsigned int at, uint8_t value, enum omni_stat want)
{
	const uint8_t payload[64] = {0x80};
	struct rte_mbuf *m = rig_datagram(r, 1, 0, payload, sizeof(payload));
	uint64_t before = rig_count(r, 0, want);

	*rte_pktmbuf_mtod_offset(m, uint8_t *, at) = value;
	rig_in(r->site[0].uplink, m);
	rig_run(r);
	assert_int_equal(rig_count(r, 0, want), before + 1);
}

static void outer_headers(void **state)
{
	struct rig *r = *state;
	const uint8_t payload[64] = {0x80};
	struct rte_mbuf *m;

	outer(r, 13, 6, OMNI_STAT_drop_not_ip);	      /* ARP */
	outer(r, 12, 0x81, OMNI_STAT_drop_not_ip);    /* a tag */
	outer(r, 14, 0x65, OMNI_STAT_drop_malformed); /* version */
	outer(r, 14, 0x44, OMNI_STAT_drop_malformed); /* header length */
	outer(r, 14, 0x4f, OMNI_STAT_drop_not_ours);  /* options: its port is in our payload */
	outer(r, 16, 1, OMNI_STAT_drop_malformed);    /* total length over the frame */
	outer(r, 17, 19, OMNI_STAT_drop_malformed);   /* and under the header */
	outer(r, 23, 6, OMNI_STAT_drop_not_udp);      /* TCP */
	outer(r, 37, 1, OMNI_STAT_drop_not_ours);     /* another port */
	outer(r, 39, 7, OMNI_STAT_drop_malformed);    /* UDP length under its header */
	outer(r, 38, 1, OMNI_STAT_drop_malformed);    /* and over the packet */
	m = rig_datagram(r, 1, 0, payload, sizeof(payload));
	rte_pktmbuf_trim(m, 1);
	rig_in(r->site[0].uplink, m);
	rig_run(r);
	assert_int_equal(rig_drops(r, 0), 12);
}

static void padding_is_cut_off(void **state)
{
	struct rig *r = *state;
	const struct forge f = {.sequence = 50, .lane = 1};
	struct site *a = receiver(r, NULL);
	struct rte_mbuf *m;
	uint8_t frame[60];

	plain(frame);
	m = rig_sealed(r, 1, 0, &f, frame, sizeof(frame));
	memset(rte_pktmbuf_append(m, 33), 0xee, 33);
	rig_in(a->uplink, m);
	rig_run(r);
	m = rig_out(a->local[0]);
	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_data_len(m), sizeof(frame));
	assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), frame, sizeof(frame));
	rte_pktmbuf_free(m);
}

static void inner_lengths(void **state)
{
	static const struct link link = {.frame_max = 1514};
	struct rig *r = *state;
	uint8_t frame[1515] = {0};

	receiver(r, &link);
	plain(frame);
	for (uint16_t len = 0; len < OMNI_ETHER_HDR_LEN; len++) {
		const struct forge f = {.sequence = 100 + len, .lane = 1};

		assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, frame, len)), 0);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_runt), OMNI_ETHER_HDR_LEN);
	for (uint16_t len = 1514; len <= 1515; len++) {
		const struct forge f = {.sequence = len, .lane = 1};

		assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, frame, len)), len == 1514);
	}
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 1);
	rig_in(r->site[0].local[0], rig_frame(r, 22, 11, 1515, 1));
	rig_in(r->site[0].local[0], rig_frame(r, 22, 11, 1514, 1));
	rig_run(r);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_too_long), 2);
	rig_expect(r->site[1].local[0], 22, 11, 1514, 1);
}

/* ---- Bundles ---- */

static uint16_t add(uint8_t *bundle, uint16_t at, uint16_t len)
{
	uint8_t frame[200];

	memset(frame, (int)len, sizeof(frame));
	plain(frame);
	omni_store_be16(bundle + at, len);
	memcpy(bundle + at + 2, frame, len);
	return (uint16_t)(at + 2 + len);
}

static void bundles(void **state)
{
	const struct forge f = {.sequence = 50, .lane = 1, .kind = OMNI_KIND_BUNDLE};
	const struct forge g = {.sequence = 51, .lane = 1};
	struct rig *r = *state;
	struct site *a = receiver(r, NULL);
	uint8_t bundle[8000], frame[60];
	uint16_t len = 0;
	struct rte_mbuf *m;

	/* 110 frames in one datagram, then a frame on its own: in this order. */
	for (uint16_t i = 60; i < 170; i++)
		len = len + 2 + i < 8000 ? add(bundle, len, 60 + i % 10) : len;
	plain(frame);
	frame[59] = 0x77;
	rig_in(a->uplink, rig_sealed(r, 1, 0, &f, bundle, len));
	rig_in(a->uplink, rig_sealed(r, 1, 0, &g, frame, 60));
	rig_run(r);
	for (uint16_t i = 60; i < 170; i++) {
		m = rig_out(a->local[0]);
		assert_non_null(m);
		assert_int_equal(rte_pktmbuf_data_len(m), 60 + i % 10);
		rte_pktmbuf_free(m);
	}
	m = rig_out(a->local[0]);
	assert_non_null(m);
	assert_int_equal(*rte_pktmbuf_mtod_offset(m, uint8_t *, 59), 0x77);
	rte_pktmbuf_free(m);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_received), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_local_tx), 111);
	assert_int_equal(rig_drops(r, 0), 0);
}

static void bad_bundles(void **state)
{
	struct forge f = {.sequence = 50, .lane = 1, .kind = OMNI_KIND_BUNDLE};
	struct rig *r = *state;
	uint8_t bundle[300];
	uint16_t len;

	receiver(r, NULL);
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, NULL, 0)), 0); /* empty */
	len = add(bundle, 0, 60);
	bundle[len] = 0;
	f.sequence++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, bundle, len + 1)), 0); /* trailing */
	memset(bundle + len, 0, 2);
	f.sequence++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, bundle, len + 2)), 0); /* zero */
	len = add(bundle, len, 60);
	f.sequence++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, bundle, len - 1)), 0); /* overrun */
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_bad_bundle), 4);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_bundles_received), 0);
	f.sequence++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, bundle, len)), 2);
	/* A runt in a bundle is only its own fault. */
	len = add(bundle, 0, 13);
	len = add(bundle, len, 60);
	f.sequence++;
	assert_int_equal(deliver(r, rig_sealed(r, 1, 0, &f, bundle, len)), 1);
	assert_int_equal(rig_count(r, 0, OMNI_STAT_drop_runt), 1);
	assert_int_equal(rig_drops(r, 0), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replayed_and_reordered),
		TEST(twice_in_one_burst),
		TEST(every_byte_flipped),
		TEST(headers_refused),
		TEST(expired_key),
		TEST(lane_of_another_worker),
		TEST(confirmation_is_a_level),
		TEST(another_address),
		TEST(control_and_keepalive),
		TEST(nucleus_sends_control_only),
		TEST(handshakes_are_punted),
		TEST(outer_headers),
		TEST(padding_is_cut_off),
		TEST(inner_lengths),
		TEST(bundles),
		TEST(bad_bundles),
	};

	return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
