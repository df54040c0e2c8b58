/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The transcript of docs/protocol.md, which is that of tests/vectors/omni_protocol.txt. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <omni_control.h>
#include <omni_crypto.h>
#include <omni_cursor.h>
#include <omni_handshake.h>
#include <omni_identity.h>
#include <omni_keytree.h>
#include <omni_record.h>
#include <omni_signal.h>

#include "vectors.h"

#define FILE_NAME "omni_protocol.txt"
#define ISSUED UINT64_C(1700000000)

static size_t value(const char *name, uint8_t *out, size_t cap)
{
	return vec_value(FILE_NAME, name, out, cap);
}

static void assert_value(const char *name, const void *got, size_t len)
{
	uint8_t want[2048];

	assert_int_equal(value(name, want, sizeof(want)), len);
	assert_memory_equal(want, got, len);
}

/* ---- The document prints what the file holds ---- */

static char *document_without_spaces(void)
{
	const char *dir = getenv("OMNI_TESTS_DIR");
	size_t cap = 1 << 20, len = 0;
	char path[4096], *text = malloc(cap);
	FILE *f;
	int c;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/../docs/protocol.md", dir != NULL ? dir : "tests");
	f = fopen(path, "r");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF && len + 1 < cap)
		if (!isspace(c))
			text[len++] = (char)c;
	text[len] = '\0';
	fclose(f);
	return text;
}

static void document_prints_the_file(const char *file, const char *text)
{
	struct vec v;

	vec_open(&v, file);
	while (vec_next(&v)) {
		char line[4096];

		snprintf(line, sizeof(line), "%s%s", v.field[0], v.field[1]);
		if (strstr(text, line) == NULL)
			fail_msg("docs/protocol.md does not print %s", v.field[0]);
	}
	vec_close(&v);
}

static void document_prints_the_vectors(void **state)
{
	char *text = document_without_spaces();

	(void)state;
	document_prints_the_file(FILE_NAME, text);
	document_prints_the_file("omni_handshake.txt", text);
	free(text);
}

/* ---- Keys ---- */

static void make_cluster(struct omni_keytree *tree)
{
	static const char secret[] = "correct horse battery staple";
	struct omni_err err;

	assert_int_equal(omni_keytree_make(tree, OMNI_CLUSTER_SECRET, "robotics", secret,
					   strlen(secret), &err),
			 0);
}

static void make_identity(struct omni_identity *id, const char *seed_name)
{
	struct omni_key seed;

	assert_int_equal(value(seed_name, seed.b, sizeof(seed)), sizeof(seed));
	omni_identity_from_seed(id, &seed);
}

static void keys_are_as_printed(void **state)
{
	struct omni_keytree tree, other;
	struct omni_identity a, b;
	struct omni_key psk;
	struct omni_err err;
	struct omni_ip vip;

	(void)state;
	make_cluster(&tree);
	assert_value("root", &tree.root, 32);
	assert_value("cluster_seed", &tree.sign_secret, 32);
	assert_value("cluster_id", &tree.cluster_id, 32);
	assert_value("proof_key", &tree.proof_key, 32);
	assert_int_equal(omni_keytree_make(&other, OMNI_CLUSTER_OPEN, "robotics", NULL, 0, &err),
			 0);
	assert_value("open_cluster_id", &other.cluster_id, 32);
	assert_int_equal(omni_keytree_make(&other, OMNI_CLUSTER_STATIC, "robotics", NULL, 0, &err),
			 0);
	assert_value("static_cluster_id", &other.cluster_id, 32);
	make_identity(&a, "a_seed");
	make_identity(&b, "b_seed");
	assert_value("a_ed25519", &a.sign_public, 32);
	assert_value("a_x25519_secret", &a.dh.secret, 32);
	assert_value("a_x25519", &a.dh.public, 32);
	assert_value("b_x25519", &b.dh.public, 32);
	vip = omni_vip_auto(&a.dh.public);
	assert_value("a_vip_auto", &vip, 16);
	omni_keytree_psk(&psk, &tree, &b.dh.public, &a.dh.public);
	assert_value("psk_a_b", &psk, 32);
}

static void record_is_as_printed(void **state)
{
	struct omni_keytree tree;
	struct omni_identity a;
	struct omni_record rec = {.dialects = OMNI_DIALECT_OMNI,
				  .n_candidates = 2,
				  .issued = ISSUED,
				  .expires = ISSUED + OMNI_RECORD_LIFE_S},
			   got;
	struct omni_record_check check = {.now_s = ISSUED};
	uint8_t out[OMNI_RECORD_MAX];
	int len;

	(void)state;
	make_cluster(&tree);
	make_identity(&a, "a_seed");
	rec.cluster_id = tree.cluster_id;
	rec.ed25519 = a.sign_public;
	assert_int_equal(omni_ip_parse(&rec.vip, "10.200.0.1"), 0);
	assert_int_equal(omni_endpoint_parse(&rec.candidates[0], "192.0.2.1:51820"), 0);
	assert_int_equal(omni_endpoint_parse(&rec.candidates[1], "[2001:db8::1]:51820"), 0);
	len = omni_record_create(out, &rec, &a.sign_secret, &tree.sign_secret);
	assert_true(len > 0);
	assert_value("record", out, (size_t)len);
	check.cluster_id = &tree.cluster_id;
	check.key = &a.dh.public;
	assert_int_equal(omni_record_open(&got, out, (size_t)len, &check), OMNI_RECORD_OK);
}

/* ---- Messages ---- */

static void messages_are_as_printed(void **state)
{
	static const char *const names[] = {
		"register",
		"register_ack",
		"register_refused",
		"heartbeat",
		"list",
		"heartbeat_ack",
		"list_ack",
		"heartbeat_ack_resync",
		"query_vip",
		"query_key",
		"peer_info",
		"peer_info_none",
		"punch",
		"bye",
		"error",
	};
	uint8_t bytes[OMNI_CBOR_MAX], again[OMNI_CBOR_MAX];
	struct omni_signal m;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(names); i++) {
		size_t len = value(names[i], bytes, sizeof(bytes));

		assert_int_equal(omni_signal_decode(&m, bytes, len), 0);
		assert_int_equal(omni_signal_encode(again, &m), len);
		assert_memory_equal(bytes, again, len);
	}
	assert_int_equal(omni_signal_decode(&m, bytes, value("register_ack", bytes, sizeof(bytes))),
			 0);
	assert_int_equal(m.type, OMNI_SIGNAL_REGISTER_ACK);
	assert_int_equal(m.registration, 0x12345678);
	assert_int_equal(m.seen.port, 40000);
	assert_int_equal(m.lease_s, OMNI_LEASE_S);
	assert_int_equal(m.epoch.instance, UINT64_C(0x0102030405060708));
	assert_int_equal(m.epoch.counter, 7);
	assert_int_equal(m.count, 2);
	assert_int_equal(
		omni_signal_decode(&m, bytes, value("heartbeat_ack", bytes, sizeof(bytes))), 0);
	assert_true(m.n_peers == 1 && m.n_removed == 1 && m.more && !m.resync);
	assert_int_equal(omni_signal_decode(&m, bytes, value("list_ack", bytes, sizeof(bytes))), 0);
	assert_int_equal(m.cursor, 20);
	assert_int_equal(omni_signal_decode(&m, bytes, value("error", bytes, sizeof(bytes))), 0);
	assert_int_equal(m.code, OMNI_SIGNAL_E_UNREGISTERED);
	assert_string_equal(m.text, "not registered");
}

static void controls_are_as_printed(void **state)
{
	static const struct {
		const char *name;
		enum omni_control_type type;
		size_t size;
	} row[] = {
		{"probe", OMNI_CONTROL_PROBE, 0},
		{"probe_of_24", OMNI_CONTROL_PROBE, 24},
		{"probe_of_39", OMNI_CONTROL_PROBE, 39},
		{"probe_of_40", OMNI_CONTROL_PROBE, 40},
		{"echo", OMNI_CONTROL_ECHO, 0},
		{"move", OMNI_CONTROL_MOVE, 0},
		{"close", OMNI_CONTROL_CLOSE, 0},
		{"cut", OMNI_CONTROL_CUT, 0},
		{"want_routes", OMNI_CONTROL_WANT_ROUTES, 0},
	};
	struct omni_control m = {.token = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8},
				 .reason = OMNI_CLOSE_REMOVED};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(row); i++) {
		int len;

		m.type = row[i].type;
		len = omni_control_encode(out, sizeof(out), &m, row[i].size);
		assert_true(len > 0);
		assert_value(row[i].name, out, (size_t)len);
	}
}

static void routes_are_as_printed(void **state)
{
	struct omni_control m = {.type = OMNI_CONTROL_ROUTES, .version = 7, .total = 4};
	uint8_t out[64];
	int len = omni_control_encode(out, sizeof(out), &m, 0);

	(void)state;
	assert_true(len > 0);
	assert_value("routes_version", out, (size_t)len);
	m.first = 1;
	m.n_prefixes = 2;
	assert_int_equal(omni_prefix_parse(&m.prefixes[0], "10.1.0.0/16", 32, 128), 0);
	assert_int_equal(omni_prefix_parse(&m.prefixes[1], "fd00:1::/32", 32, 128), 0);
	len = omni_control_encode(out, sizeof(out), &m, 0);
	assert_true(len > 0);
	assert_value("routes", out, (size_t)len);
}

static void hello_is_as_printed(void **state)
{
	struct omni_hello ask;
	struct omni_hello_answer answer;

	(void)state;
	vec_value_exact(FILE_NAME, "hello", (uint8_t *)&ask, sizeof(ask));
	vec_value_exact(FILE_NAME, "hello_answer", (uint8_t *)&answer, sizeof(answer));
	assert_int_equal(omni_wire_classify((uint8_t *)&ask, sizeof(ask)), OMNI_CLASS_HELLO);
	assert_int_equal(omni_wire_classify((uint8_t *)&answer, sizeof(answer)),
			 OMNI_CLASS_HELLO_ANSWER);
	assert_memory_equal(ask.nonce, answer.nonce, sizeof(ask.nonce));
	vec_value_exact("omni_handshake.txt", "nucleus_responder_public", (uint8_t *)&ask, 32);
	assert_memory_equal(answer.nucleus_key, &ask, 32);
	vec_value_exact("omni_handshake.txt", "nucleus_cookie", (uint8_t *)&ask, 16);
	assert_memory_equal(answer.cookie, &ask, 16);
}

/* That these are what the recorded handshakes carry, test_noise holds; here, where it stands. */
static void payloads_are_as_printed(void **state)
{
	struct omni_init_payload init;
	struct omni_resp_payload resp;

	(void)state;
	vec_value_exact(FILE_NAME, "peer_initiation_payload", (uint8_t *)&init, sizeof(init));
	assert_int_equal(init.vip[15], 1);
	assert_int_equal(init.mode, OMNI_MODE_L2);
	assert_int_equal(init.ciphers[0], OMNI_CIPHER_AESGCM);
	assert_int_equal(omni_load_be16(init.lanes_send), 3);
	assert_int_equal(omni_load_be16(init.lanes_accept), 64);
	assert_int_equal(omni_load_be16(init.largest_frame), 9000);
	assert_int_equal(omni_load_be16(init.features), 3);
	vec_value_exact(FILE_NAME, "peer_response_payload", (uint8_t *)&resp, sizeof(resp));
	assert_int_equal(resp.result, OMNI_RESULT_ACCEPTED);
	assert_int_equal(resp.cipher, OMNI_CIPHER_AESGCM);
	assert_int_equal(omni_load_be16(resp.lanes_you_send), 2);
	assert_int_equal(omni_load_be16(resp.lanes_i_send), 4);
	assert_int_equal(omni_load_be16(resp.largest_frame), 1514);
	assert_int_equal(omni_load_be16(resp.features), 1);
	assert_int_equal(resp.vip[15], 2);
}

/* ---- Data ---- */

static void seal_as(const char *name, const char *suffix, enum omni_cipher cipher,
		    const struct omni_key *key, const struct omni_data_hdr *h, const uint8_t *plain,
		    size_t len)
{
	uint8_t out[512], nonce[OMNI_NONCE_LEN];
	char full[64];

	omni_wire_nonce(nonce, h);
	memcpy(out, h, sizeof(*h));
	if (omni_aead_seal(cipher, out + sizeof(*h), key, nonce, h, sizeof(*h), plain, len) != 0) {
		assert_int_equal(cipher, OMNI_CIPHER_AESGCM);
		assert_false(omni_crypto_has_aes());
		return;
	}
	snprintf(full, sizeof(full), "%s_%s", name, suffix);
	assert_value(full, out, len + OMNI_DATA_OVERHEAD);
}

static void data_is_as_printed(void **state)
{
	static const struct {
		const char *name;
		enum omni_kind kind;
		uint16_t lane;
		uint64_t sequence;
	} row[] = {
		{"frame", OMNI_KIND_FRAME, 2, 5},	  {"bundle", OMNI_KIND_BUNDLE, 1, 6},
		{"fragment_1", OMNI_KIND_FRAGMENT, 1, 7}, {"fragment_2", OMNI_KIND_FRAGMENT, 1, 8},
		{"segment_1", OMNI_KIND_SEGMENT, 1, 9},	  {"segment_2", OMNI_KIND_SEGMENT, 1, 10},
		{"control", OMNI_KIND_CONTROL, 0, 0},	  {"keepalive", OMNI_KIND_KEEPALIVE, 0, 1},
	};
	struct omni_key key;

	(void)state;
	vec_value_exact(FILE_NAME, "data_key", key.b, sizeof(key));
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(row); i++) {
		struct omni_data_hdr h = {.kind = (uint8_t)row[i].kind};
		uint8_t plain[400], nonce[OMNI_NONCE_LEN];
		char full[64];
		size_t len;

		vec_value_exact(FILE_NAME, "data_session_id", h.session_id, 8);
		omni_store_be64(h.sequence, row[i].sequence);
		omni_store_be16(h.lane, row[i].lane);
		snprintf(full, sizeof(full), "%s_header", row[i].name);
		assert_value(full, &h, sizeof(h));
		omni_wire_nonce(nonce, &h);
		snprintf(full, sizeof(full), "%s_nonce", row[i].name);
		assert_value(full, nonce, sizeof(nonce));
		snprintf(full, sizeof(full), "%s_plain", row[i].name);
		len = value(full, plain, sizeof(plain));
		seal_as(row[i].name, "aesgcm", OMNI_CIPHER_AESGCM, &key, &h, plain, len);
		seal_as(row[i].name, "chachapoly", OMNI_CIPHER_CHACHAPOLY, &key, &h, plain, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_prints_the_vectors),
		cmocka_unit_test(keys_are_as_printed),
		cmocka_unit_test(record_is_as_printed),
		cmocka_unit_test(messages_are_as_printed),
		cmocka_unit_test(controls_are_as_printed),
		cmocka_unit_test(routes_are_as_printed),
		cmocka_unit_test(hello_is_as_printed),
		cmocka_unit_test(payloads_are_as_printed),
		cmocka_unit_test(data_is_as_printed),
	};

	if (omni_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
