/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni_cbor.h>
#include <omni_control.h>
#include <omni_identity.h>
#include <omni_keytree.h>
#include <omni_record.h>
#include <omni_signal.h>

#define NOW UINT64_C(1700000000)

static struct omni_identity alice, mallory;
static struct omni_sign_secret cluster, other_cluster;
static struct omni_key cluster_id, other_id;
static uint8_t record[OMNI_RECORD_MAX];
static size_t record_len;

static struct omni_ip ip(const char *text)
{
	struct omni_ip v;

	assert_int_equal(omni_ip_parse(&v, text), 0);
	return v;
}

static struct omni_endpoint endpoint(const char *text)
{
	struct omni_endpoint v;

	assert_int_equal(omni_endpoint_parse(&v, text), 0);
	return v;
}

static struct omni_key fill(uint8_t byte)
{
	struct omni_key k;

	memset(&k, byte, sizeof(k));
	return k;
}

static struct omni_record a_record(void)
{
	return (struct omni_record){
		.cluster_id = cluster_id,
		.ed25519 = alice.sign_public,
		.vip = ip("10.200.0.1"),
		.dialects = OMNI_DIALECT_OMNI,
		.n_candidates = 2,
		.candidates = {endpoint("192.0.2.7:51820"), endpoint("[2001:db8::7]:51821")},
		.issued = NOW,
		.expires = NOW + OMNI_RECORD_LIFE_S,
	};
}

static int setup(void **state)
{
	struct omni_key seed = fill(1);
	struct omni_record rec;
	int len;

	(void)state;
	assert_int_equal(omni_crypto_init(), 0);
	omni_identity_from_seed(&alice, &seed);
	seed = fill(2);
	omni_identity_from_seed(&mallory, &seed);
	seed = fill(3);
	omni_sign_from_seed(&cluster, &cluster_id, &seed);
	seed = fill(4);
	omni_sign_from_seed(&other_cluster, &other_id, &seed);
	rec = a_record();
	len = omni_record_create(record, &rec, &alice.sign_secret, &cluster);
	assert_true(len > 0);
	record_len = (size_t)len;
	return 0;
}

/* ---- Messages ---- */

/* One of each type, with everything it can carry at its largest. */
static struct omni_signal sample(enum omni_signal_type type)
{
	struct omni_signal m = {
		.type = type,
		.id = 0xfffffffe,
		.record = record,
		.record_len = record_len,
		.registration = UINT64_MAX,
		.seen = endpoint("[2001:db8::1:2:3]:65535"),
		.lease_s = OMNI_LEASE_S,
		.epoch = {.instance = 0x0102030405060708, .counter = UINT64_MAX},
		.count = UINT32_MAX,
		.key = fill(9),
		.found = true,
		.code = OMNI_SIGNAL_E_RATE,
		.text = "too many requests",
	};

	if (type == OMNI_SIGNAL_LIST || type == OMNI_SIGNAL_LIST_ACK)
		m.cursor = UINT64_MAX;
	if (type == OMNI_SIGNAL_LIST_ACK)
		m.n_peers = OMNI_SIGNAL_PEERS_MAX;
	if (type == OMNI_SIGNAL_HEARTBEAT_ACK) {
		m.n_peers = 14;
		m.n_removed = OMNI_SIGNAL_REMOVED_MAX;
		m.more = m.resync = true;
	}
	if (type == OMNI_SIGNAL_QUERY_PEER)
		m.has = 1U << OMNI_FIELD_KEY;
	if (type == OMNI_SIGNAL_ERROR)
		m.has = 1U << OMNI_FIELD_TEXT;
	for (size_t i = 0; i < m.n_peers; i++)
		m.peers[i] = (struct omni_signal_peer){.vip = ip("2001:db8::1"),
						       .key = fill((uint8_t)i)};
	for (size_t i = 0; i < m.n_removed; i++)
		m.removed[i] = ip("2001:db8::2");
	return m;
}

static void same(const struct omni_signal *a, const struct omni_signal *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->n_peers, b->n_peers);
	assert_memory_equal(a->peers, b->peers, a->n_peers * sizeof(a->peers[0]));
	assert_int_equal(a->n_removed, b->n_removed);
	assert_memory_equal(a->removed, b->removed, a->n_removed * sizeof(a->removed[0]));
	if (omni_signal_has(b, OMNI_FIELD_ID))
		assert_int_equal(a->id, b->id);
	if (omni_signal_has(b, OMNI_FIELD_RECORD)) {
		assert_int_equal(a->record_len, b->record_len);
		assert_memory_equal(a->record, b->record, a->record_len);
	}
	if (omni_signal_has(b, OMNI_FIELD_REGISTRATION))
		assert_true(a->registration == b->registration);
	if (omni_signal_has(b, OMNI_FIELD_SEEN))
		assert_true(omni_endpoint_equal(&a->seen, &b->seen));
	if (omni_signal_has(b, OMNI_FIELD_EPOCH))
		assert_memory_equal(&a->epoch, &b->epoch, sizeof(a->epoch));
	if (omni_signal_has(b, OMNI_FIELD_COUNT))
		assert_int_equal(a->count, b->count);
	if (omni_signal_has(b, OMNI_FIELD_CURSOR))
		assert_true(a->cursor == b->cursor);
	if (omni_signal_has(b, OMNI_FIELD_KEY))
		assert_memory_equal(&a->key, &b->key, sizeof(a->key));
	if (omni_signal_has(b, OMNI_FIELD_TEXT))
		assert_string_equal(a->text, b->text);
	assert_int_equal(a->more, b->more);
	assert_int_equal(a->resync, b->resync);
}

static void messages_round_trip(void **state)
{
	uint8_t bytes[OMNI_CBOR_MAX], again[OMNI_CBOR_MAX];

	(void)state;
	for (unsigned int t = 1; t < OMNI_SIGNAL_TYPE_COUNT; t++) {
		struct omni_signal m = sample((enum omni_signal_type)t), got;
		int len = omni_signal_encode(bytes, &m);

		assert_true(len > 0);
		assert_int_equal(omni_signal_decode(&got, bytes, (size_t)len), 0);
		same(&m, &got);
		assert_int_equal(omni_signal_encode(again, &got), len);
		assert_memory_equal(bytes, again, (size_t)len);
	}
}

static void refusals_carry_no_registration(void **state)
{
	struct omni_signal m = sample(OMNI_SIGNAL_REGISTER_ACK), got;
	uint8_t bytes[OMNI_CBOR_MAX];
	int len;

	(void)state;
	m.result = OMNI_SIGNAL_VIP_HELD;
	len = omni_signal_encode(bytes, &m);
	assert_int_equal(omni_signal_decode(&got, bytes, (size_t)len), 0);
	assert_int_equal(got.result, OMNI_SIGNAL_VIP_HELD);
	assert_false(omni_signal_has(&got, OMNI_FIELD_REGISTRATION));
	m = sample(OMNI_SIGNAL_PEER_INFO);
	m.found = false;
	len = omni_signal_encode(bytes, &m);
	assert_int_equal(omni_signal_decode(&got, bytes, (size_t)len), 0);
	assert_false(got.found || omni_signal_has(&got, OMNI_FIELD_RECORD));
}

/* In a buffer of exactly its size, so that a sanitizer sees any byte read beyond. */
static int decode_exact(struct omni_signal *m, const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int rc;

	memcpy(copy, bytes, len);
	rc = omni_signal_decode(m, copy, len);
	free(copy);
	return rc;
}

static void truncated_and_flipped_never_crash(void **state)
{
	uint8_t bytes[OMNI_CBOR_MAX + 1], again[OMNI_CBOR_MAX];
	struct omni_signal got;

	(void)state;
	for (unsigned int t = 1; t < OMNI_SIGNAL_TYPE_COUNT; t++) {
		struct omni_signal m = sample((enum omni_signal_type)t);
		size_t len = (size_t)omni_signal_encode(bytes, &m);

		for (size_t i = 0; i < len; i++)
			assert_int_not_equal(decode_exact(&got, bytes, i), 0);
		bytes[len] = 0;
		assert_int_not_equal(decode_exact(&got, bytes, len + 1), 0);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			/* What is still taken can be said again, in no more bytes. */
			if (omni_signal_decode(&got, bytes, len) == 0) {
				int n = omni_signal_encode(again, &got);

				assert_true(n > 0 && (size_t)n <= len);
			}
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void hand_made_messages(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} cases[] = {
		{"\xa3\x00\x05\x01\x07\x0c\x00", 7, 0},		     /* LIST, id 7, cursor 0 */
		{"\xa3\x01\x07\x00\x05\x0c\x00", 7, -EILSEQ},	     /* keys not in order */
		{"\xa3\x00\x05\x01\x07\x01\x07", 7, -EILSEQ},	     /* a key twice */
		{"\xa3\x00\x05\x01\x18\x07\x0c\x00", 8, -EILSEQ},    /* 7 in two bytes */
		{"\xbf\x00\x05\x01\x07\x0c\x00\xff", 8, -EILSEQ},    /* indefinite length */
		{"\xa3\x00\x05\x01\x07\x0c\x00\x00", 8, -EBADMSG},   /* a byte left over */
		{"\xa4\x00\x05\x01\x07\x0c\x00\x18\x63\x80", 10, 0}, /* unknown field 99 */
		{"\xa4\x00\x05\x01\x07\x0c\x00\x18\x63\x18\x01", 11, -EILSEQ}, /* in a bad form */
		{"\xa2\x00\x05\x01\x07", 5, -EBADMSG},			       /* no cursor */
		{"\xa3\x00\x05\x01\x07\x0c\x20", 7, -EBADMSG},		       /* cursor -1 */
		{"\xa3\x00\x05\x01\x07\x0c\x40", 7, -EBADMSG},		       /* cursor of bytes */
		{"\xa3\x00\x0c\x01\x07\x0c\x00", 7, -EBADMSG},		       /* type 12 */
		{"\xa3\x00\x00\x01\x07\x0c\x00", 7, -EBADMSG},		       /* type 0 */
		{"\xa3\x00\x05\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00\x0c\x00", 15, -EBADMSG},
		{"\xa4\x00\x05\x01\x07\x0b\xf5\x0c\x00", 9, -EBADMSG}, /* `more` in a LIST */
		{"\xa2\x00\x07\x01\x07", 5, -EBADMSG},		       /* QUERY_PEER for nobody */
		{"\xa3\x00\x07\x01\x07\x0d\x44\x0a\xc8\x00\x01", 11, 0},
		{"\xa3\x00\x07\x01\x07\x0d\x43\x0a\xc8\x00", 10, -EBADMSG}, /* 3-byte address */
		{"\xa3\x00\x07\x01\x07\x0d\x50\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\xc8\x00\x01", 23,
		 -EBADMSG}, /* IPv4 in 16 bytes */
		{"\xa3\x00\x05\x01\x07\x0c\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 15, -EBADMSG},
		{"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9, -EBADMSG},
		{"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9, -EBADMSG},
		{"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01", 11, -ELOOP},
		{"\x05", 1, -EBADMSG},
		{"", 0, -EBADMSG},
	};
	struct omni_signal got;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		int rc = decode_exact(&got, (const uint8_t *)cases[i].bytes, cases[i].len);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d, not %d", i, rc, cases[i].rc);
	}
}

static void over_1200_bytes_is_refused(void **state)
{
	uint8_t bytes[OMNI_CBOR_MAX + 1];
	struct omni_writer w = omni_writer_init(bytes, sizeof(bytes));
	struct omni_signal got;

	(void)state;
	omni_cbor_put_map(&w, 4);
	omni_cbor_put_uint(&w, OMNI_FIELD_TYPE);
	omni_cbor_put_uint(&w, OMNI_SIGNAL_LIST);
	omni_cbor_put_uint(&w, OMNI_FIELD_ID);
	omni_cbor_put_uint(&w, 1);
	omni_cbor_put_uint(&w, OMNI_FIELD_CURSOR);
	omni_cbor_put_uint(&w, 0);
	omni_cbor_put_uint(&w, 24);
	omni_cbor_put_zeros(&w, omni_writer_left(&w) - 3);
	assert_false(w.failed);
	assert_int_equal(omni_writer_left(&w), 0);
	assert_int_equal(omni_cbor_check(bytes, sizeof(bytes)), 0);
	assert_int_equal(omni_signal_decode(&got, bytes, sizeof(bytes)), -EBADMSG);
}

/* ---- Control ---- */

static void control_reaches_every_size(void **state)
{
	static uint8_t bytes[OMNI_CONTROL_MAX];
	struct omni_control m = {.type = OMNI_CONTROL_PROBE, .token = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct omni_control got;

	(void)state;
	for (unsigned int t = 1; t < OMNI_CONTROL_TYPE_COUNT; t++) {
		m.type = (enum omni_control_type)t;
		m.reason = t == OMNI_CONTROL_CLOSE ? OMNI_CLOSE_REPLACED : 0;
		if (t == OMNI_CONTROL_ROUTES) {
			assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, 100),
					 -EINVAL);
			continue;
		}
		for (size_t size = OMNI_CONTROL_PADDED_MIN; size < 3000; size++) {
			assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, size), size);
			assert_int_equal(omni_control_decode(&got, bytes, size), 0);
			assert_int_equal(got.type, t);
			if (t <= OMNI_CONTROL_MOVE)
				assert_memory_equal(got.token, m.token, sizeof(m.token));
			assert_int_equal(got.reason, m.reason);
		}
	}
	m.type = OMNI_CONTROL_PROBE;
	assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, sizeof(bytes)),
			 sizeof(bytes));
	assert_int_equal(omni_control_decode(&got, bytes, sizeof(bytes)), 0);
	assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, 0), 13);
	assert_int_equal(omni_control_encode(bytes, 12, &m, 0), -ENOSPC);
	assert_int_equal(omni_control_encode(bytes, 99, &m, 100), -ENOSPC);
	assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, 23), -EINVAL);
	assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, sizeof(bytes) + 1), -EINVAL);
}

static struct omni_prefix prefix(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static void routes_keep_their_form(void **state)
{
	struct omni_control m = {.type = OMNI_CONTROL_ROUTES, .version = UINT64_MAX, .total = 25};
	static const char *const bad[] = {
		"a5000605010600070108818244 0a010001 1810", /* bits behind the length */
		"a5000605010600070108818244 0a010000 1821", /* 33 bits */
		"a5000605010600070108818144 0a010000",	    /* no length */
		"a500060501060107010881 8244 0a010000 10",  /* one of one, from the second on */
		"a5000605010600070008818244 0a010000 10",   /* one of none */
		"a40006060007010881 8244 0a010000 10",	    /* no version */
		"a5000605010600070108818250 00000000000000000000ffff0a010000 10", /* IPv4 in 16 */
	};
	uint8_t bytes[1024];
	struct omni_control got;
	int n;

	(void)state;
	for (; m.n_prefixes < OMNI_CONTROL_PREFIXES_MAX; m.n_prefixes++)
		m.prefixes[m.n_prefixes] = prefix(m.n_prefixes % 2 ? "10.1.0.0/16" : "fd00::/33");
	m.first = 5;
	n = omni_control_encode(bytes, sizeof(bytes), &m, 0);
	/* The datagram of a path of 576 bytes has room for it. */
	assert_in_range(n, 1, 576 - OMNI_OVERHEAD_V6);
	assert_int_equal(omni_control_decode(&got, bytes, (size_t)n), 0);
	assert_int_equal(got.n_prefixes, m.n_prefixes);
	assert_memory_equal(got.prefixes, m.prefixes, sizeof(m.prefixes));
	assert_true(got.version == m.version && got.first == 5 && got.total == 25);
	for (int i = 0; i < n; i++)
		assert_int_not_equal(omni_control_decode(&got, bytes, (size_t)i), 0);
	for (int bit = 0; bit < 8 * n; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)!omni_control_decode(&got, bytes, (size_t)n);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		size_t len = 0;

		for (const char *at = bad[i]; *at != '\0'; at += *at == ' ' ? 1 : 2)
			if (*at != ' ')
				assert_int_equal(sscanf(at, "%2hhx", &bytes[len++]), 1);
		if (omni_control_decode(&got, bytes, len) == 0)
			fail_msg("taken: %s", bad[i]);
	}
}

static void control_truncated_and_flipped(void **state)
{
	struct omni_control m = {.type = OMNI_CONTROL_ECHO}, got;
	uint8_t bytes[64];

	(void)state;
	assert_int_equal(omni_control_encode(bytes, sizeof(bytes), &m, sizeof(bytes)), 64);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_not_equal(omni_control_decode(&got, bytes, i), 0);
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)!omni_control_decode(&got, bytes, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* ---- Records ---- */

static struct omni_record_check a_check(void)
{
	return (struct omni_record_check){
		.cluster_id = &cluster_id, .key = &alice.dh.public, .now_s = NOW};
}

static enum omni_record_verdict open_with(const struct omni_record_check *check)
{
	struct omni_record rec;

	return omni_record_open(&rec, record, record_len, check);
}

static void record_round_trip(void **state)
{
	struct omni_record_check check = a_check();
	struct omni_record rec, want = a_record();

	(void)state;
	assert_int_equal(omni_record_open(&rec, record, record_len, &check), OMNI_RECORD_OK);
	assert_memory_equal(&rec.cluster_id, &want.cluster_id, OMNI_KEY_LEN);
	assert_memory_equal(&rec.ed25519, &want.ed25519, OMNI_KEY_LEN);
	assert_memory_equal(&rec.key, &alice.dh.public, OMNI_KEY_LEN);
	assert_true(omni_ip_equal(&rec.vip, &want.vip));
	assert_int_equal(rec.dialects, OMNI_DIALECT_OMNI);
	assert_int_equal(rec.n_candidates, 2);
	assert_true(omni_endpoint_equal(&rec.candidates[0], &want.candidates[0]));
	assert_true(omni_endpoint_equal(&rec.candidates[1], &want.candidates[1]));
	assert_true(rec.issued == NOW && rec.expires == NOW + OMNI_RECORD_LIFE_S);
	check.cluster_id = check.key = NULL;
	assert_int_equal(open_with(&check), OMNI_RECORD_OK);
}

static void largest_record_fits(void **state)
{
	struct omni_record rec = a_record(), got;
	struct omni_record_check check = a_check();
	uint8_t out[OMNI_RECORD_MAX];
	int len;

	(void)state;
	rec.vip = ip("fd00:1:2:3:4:5:6:7");
	rec.dialects = UINT32_MAX;
	rec.n_candidates = OMNI_RECORD_CANDIDATES_MAX;
	for (size_t i = 0; i < rec.n_candidates; i++)
		rec.candidates[i] = endpoint("[2001:db8:1:2:3:4:5:6]:65535");
	rec.issued = UINT64_C(1) << 40;
	rec.expires = rec.issued + OMNI_RECORD_LIFE_S;
	len = omni_record_create(out, &rec, &alice.sign_secret, &cluster);
	assert_true(len > 0);
	check.now_s = rec.issued;
	assert_int_equal(omni_record_open(&got, out, (size_t)len, &check), OMNI_RECORD_OK);
	assert_int_equal(got.n_candidates, OMNI_RECORD_CANDIDATES_MAX);
}

static void record_times(void **state)
{
	static const struct {
		uint64_t now, newest;
		enum omni_record_verdict want;
	} cases[] = {
		{NOW - OMNI_RECORD_SKEW_S, 0, OMNI_RECORD_OK},
		{NOW - OMNI_RECORD_SKEW_S - 1, 0, OMNI_RECORD_NOT_YET},
		{NOW + OMNI_RECORD_LIFE_S + OMNI_RECORD_SKEW_S, 0, OMNI_RECORD_OK},
		{NOW + OMNI_RECORD_LIFE_S + OMNI_RECORD_SKEW_S + 1, 0, OMNI_RECORD_EXPIRED},
		{NOW, NOW, OMNI_RECORD_OK},
		{NOW, NOW + 1, OMNI_RECORD_OLDER},
		{0, 0, OMNI_RECORD_NOT_YET},
		{UINT64_MAX, 0, OMNI_RECORD_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(cases); i++) {
		struct omni_record_check check = a_check();

		check.now_s = cases[i].now;
		check.newest_issued = cases[i].newest;
		assert_int_equal(open_with(&check), cases[i].want);
	}
}

static void foreign_and_other_key(void **state)
{
	struct omni_record_check check = a_check();

	(void)state;
	check.cluster_id = &other_id;
	assert_int_equal(open_with(&check), OMNI_RECORD_FOREIGN);
	check = a_check();
	check.key = &mallory.dh.public;
	assert_int_equal(open_with(&check), OMNI_RECORD_OTHER_KEY);
}

/* Where the two signatures stand: the last 64 bytes, and 66 before them. */
static void forged(void **state)
{
	struct omni_record_check check = a_check();
	struct omni_record rec;
	uint8_t bad[OMNI_RECORD_MAX];

	(void)state;
	for (size_t bit = 0; bit < 8 * record_len; bit++) {
		size_t at = bit / 8;
		enum omni_record_verdict v;

		memcpy(bad, record, record_len);
		bad[at] ^= (uint8_t)(1 << bit % 8);
		v = omni_record_open(&rec, bad, record_len, &check);
		assert_int_not_equal(v, OMNI_RECORD_OK);
		if (at >= record_len - 64)
			assert_int_equal(v, OMNI_RECORD_FORGED_CLUSTER);
		else if (at >= record_len - 130 && at < record_len - 66)
			assert_int_equal(v, OMNI_RECORD_FORGED_MEMBER);
	}
	for (size_t len = 0; len < record_len; len++) {
		uint8_t *copy = malloc(len > 0 ? len : 1);

		memcpy(copy, record, len);
		assert_int_equal(omni_record_open(&rec, copy, len, &check), OMNI_RECORD_MALFORMED);
		free(copy);
	}
}

/* Who knows no cluster secret, or not the identity's seed, can sign nothing that passes. */
static void wrong_signers(void **state)
{
	struct omni_record_check check = a_check();
	struct omni_record rec = a_record(), got;
	uint8_t out[OMNI_RECORD_MAX], mixed[OMNI_RECORD_MAX];
	int len;

	(void)state;
	assert_int_equal(omni_record_create(out, &rec, &mallory.sign_secret, &cluster), -EINVAL);
	assert_int_equal(omni_record_create(out, &rec, &alice.sign_secret, &other_cluster),
			 -EINVAL);
	rec.cluster_id = other_id;
	len = omni_record_create(out, &rec, &alice.sign_secret, &other_cluster);
	assert_int_equal(omni_record_open(&got, out, (size_t)len, &check), OMNI_RECORD_FOREIGN);
	/* The signatures of one record under the text of another. */
	rec = a_record();
	rec.vip = ip("10.200.0.2");
	len = omni_record_create(out, &rec, &alice.sign_secret, &cluster);
	assert_int_equal(len, record_len);
	memcpy(mixed, record, record_len);
	memcpy(mixed + record_len - 64, out + len - 64, 64);
	assert_int_equal(omni_record_open(&got, mixed, record_len, &check),
			 OMNI_RECORD_FORGED_CLUSTER);
	memcpy(mixed + record_len - 130, out + len - 130, 130);
	assert_int_equal(omni_record_open(&got, mixed, record_len, &check),
			 OMNI_RECORD_FORGED_MEMBER);
}

static void create_refuses_nonsense(void **state)
{
	struct omni_record rec = a_record();
	uint8_t out[OMNI_RECORD_MAX];

	(void)state;
	rec.expires = rec.issued + OMNI_RECORD_LIFE_S + 1;
	assert_int_equal(omni_record_create(out, &rec, &alice.sign_secret, &cluster), -EINVAL);
	rec.expires = rec.issued;
	assert_int_equal(omni_record_create(out, &rec, &alice.sign_secret, &cluster), -EINVAL);
	rec = a_record();
	rec.vip = ip("224.0.0.1");
	assert_int_equal(omni_record_create(out, &rec, &alice.sign_secret, &cluster), -EINVAL);
	memset(&rec.vip, 0, sizeof(rec.vip));
	assert_int_equal(omni_record_create(out, &rec, &alice.sign_secret, &cluster), -EINVAL);
}

static void insane_candidates_are_left_out(void **state)
{
	static const char *const bad[] = {"0.0.0.0:1",	       "127.0.0.1:1", "224.0.0.1:1",
					  "255.255.255.255:1", "[::]:1",      "[::1]:1",
					  "[ff02::1]:1"};
	struct omni_record_check check = a_check();
	struct omni_record rec = a_record(), got;
	uint8_t out[OMNI_RECORD_MAX];
	int len;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++)
		rec.candidates[i] = endpoint(bad[i]);
	rec.candidates[7] = endpoint("192.0.2.9:9");
	rec.n_candidates = 8;
	len = omni_record_create(out, &rec, &alice.sign_secret, &cluster);
	assert_int_equal(omni_record_open(&got, out, (size_t)len, &check), OMNI_RECORD_OK);
	assert_int_equal(got.n_candidates, 1);
	assert_true(omni_endpoint_equal(&got.candidates[0], &rec.candidates[7]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_round_trip),
		cmocka_unit_test(refusals_carry_no_registration),
		cmocka_unit_test(truncated_and_flipped_never_crash),
		cmocka_unit_test(hand_made_messages),
		cmocka_unit_test(over_1200_bytes_is_refused),
		cmocka_unit_test(control_reaches_every_size),
		cmocka_unit_test(control_truncated_and_flipped),
		cmocka_unit_test(routes_keep_their_form),
		cmocka_unit_test(record_round_trip),
		cmocka_unit_test(largest_record_fits),
		cmocka_unit_test(record_times),
		cmocka_unit_test(foreign_and_other_key),
		cmocka_unit_test(forged),
		cmocka_unit_test(wrong_signers),
		cmocka_unit_test(create_refuses_nonsense),
		cmocka_unit_test(insane_candidates_are_left_out),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
