/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Management methods, called as the server calls them. */
#include "ctl_rig.h"

#include <rpc.h>

static struct site *a, *b;
static struct omni_err err;

static int end(void **state)
{
	return rig_end(state);
}

static int none(struct omni_port *port, uint16_t queue)
{
	(void)port;
	(void)queue;
	return -1;
}

static void port_stats(struct omni_port *port, struct omni_port_stats *stats)
{
	(void)port;
	stats->rx_frames = 17;
	stats->extra[stats->n_extra++] = (struct omni_port_extra){"rx_full", 3};
}

static const struct omni_port_ops ops = {.driver = "ring", .rx_fd = none, .stats = port_stats};

static int begin(void **state)
{
	rig_begin(state);
	a = site_new("198.51.100.1:51820", "10.200.0.1");
	b = site_new("198.51.100.2:51820", "10.200.0.2");
	site_lists(a, b, true);
	site_lists(b, a, true);
	site_start(a);
	site_start(b);
	a->up.ops = a->lan.ops = &ops;
	rig_run(3000);
	assert_true(frame(a, b) && frame(b, a));
	return 0;
}

/* params: JSON with ' for ", or NULL. Returns a new reference, or NULL with *rc. */
static json_t *call_rc(int (*handler)(void *, const json_t *, json_t **, struct omni_err *),
		       const char *params, int *rc)
{
	json_t *p = NULL, *result = NULL;
	char text[512];

	if (params != NULL) {
		snprintf(text, sizeof(text), "%s", params);
		for (char *at = text; *at != '\0'; at++)
			*at = *at == '\'' ? '"' : *at;
		p = json_loads(text, 0, NULL);
		assert_non_null(p);
	}
	err.text[0] = '\0';
	*rc = handler(a->ctl, p, &result, &err);
	json_decref(p);
	return result;
}

#define call(handler, params)                                \
	({                                                   \
		int rc_;                                     \
		json_t *r_ = call_rc(handler, params, &rc_); \
		if (rc_ != 0)                                \
			fail_msg("%d: %s", rc_, err.text);   \
		assert_non_null(r_);                         \
		r_;                                          \
	})

#define refused(handler, params, code, part)                                    \
	do {                                                                    \
		int rc_;                                                        \
		json_t *r_ = call_rc(handler, params, &rc_);                    \
		assert_null(r_);                                                \
		assert_int_equal(rc_, code);                                    \
		if (strstr(err.text, part) == NULL)                             \
			fail_msg("\"%s\" does not say \"%s\"", err.text, part); \
	} while (0)

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	if (text == NULL)
		fail_msg("no text %s", name);
	return text;
}

static long number_of(const json_t *o, const char *name)
{
	if (!json_is_integer(json_object_get(o, name)))
		fail_msg("no number %s", name);
	return (long)json_integer_value(json_object_get(o, name));
}

/* As a worker counts what it seals. */
static void count_sent(unsigned int bytes)
{
	struct omni_keypair *kp = atomic_load(&peer_of(a, b)->pub->tx);

	kp->tx[0].frames++;
	kp->tx[0].bytes += bytes;
}

static void status_says_what_is(void **state)
{
	json_t *s = call(rpc_status, NULL), *c = json_array_get(json_object_get(s, "clusters"), 0);
	char key[OMNI_KEY_B64_LEN];

	(void)state;
	assert_string_equal(text_of(s, "version"), "test");
	assert_string_equal(text_of(s, "identity"), omni_key_text(key, &a->identity.dh.public));
	assert_int_equal(number_of(s, "uptime_s"), 3);
	assert_true(json_is_false(json_object_get(s, "open")));
	assert_string_equal(text_of(c, "name"), "lab");
	assert_string_equal(text_of(c, "vip"), "10.200.0.1/24");
	assert_string_equal(text_of(c, "mode"), "l2");
	assert_string_equal(text_of(c, "state"), "up");
	assert_int_equal(number_of(c, "peers"), 1);
	assert_int_equal(number_of(c, "sessions"), 1);
	assert_int_equal(json_array_size(json_object_get(s, "workers")), 1);
	json_decref(s);
}

static void peers_and_sessions_are_listed(void **state)
{
	json_t *list, *p, *sessions, *s;

	(void)state;
	count_sent(1000);
	list = call(rpc_peers, "{'cluster': 'lab'}");
	p = json_array_get(list, 0);
	sessions = call(rpc_sessions, NULL);
	s = json_array_get(sessions, 0);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_of(p, "name"), "site1");
	assert_string_equal(text_of(p, "state"), "up");
	assert_string_equal(text_of(p, "origin"), "static");
	assert_string_equal(text_of(p, "endpoint"), "198.51.100.2:51820");
	assert_string_equal(text_of(p, "vip"), "10.200.0.2");
	assert_string_equal(text_of(p, "reason"), "");
	assert_true(number_of(p, "tx_bytes") >= 1000);
	assert_in_range(number_of(p, "last_handshake_s"), 0, 3);
	assert_string_equal(text_of(s, "slot"), "current");
	assert_string_equal(text_of(s, "peer"), "site1");
	assert_int_equal(strlen(text_of(s, "id")), 16);
	assert_true(number_of(s, "tx_frames") >= 1);
	json_decref(list);
	json_decref(sessions);
}

static void silent_peer_says_since_when(void **state)
{
	json_t *list, *p;

	(void)state;
	site_kill(b);
	for (unsigned int i = 0; i < 20; i++) {
		(void)frame(a, b);
		rig_run(10000);
	}
	list = call(rpc_peers, NULL);
	p = json_array_get(list, 0);
	assert_string_not_equal(text_of(p, "state"), "up");
	assert_non_null(strstr(text_of(p, "reason"), "no answer from 198.51.100.2:51820"));
	json_decref(list);
}

static void bytes_outlive_their_keys(void **state)
{
	json_t *list;
	long before, after;

	(void)state;
	count_sent(250);
	list = call(rpc_peers, NULL);
	before = number_of(json_array_get(list, 0), "tx_bytes");
	assert_true(before >= 250);
	json_decref(list);
	rig_run(600000);
	list = call(rpc_peers, NULL);
	after = number_of(json_array_get(list, 0), "tx_bytes");
	assert_true(after >= before);
	json_decref(list);
}

static void ports_are_listed(void **state)
{
	json_t *list = call(rpc_ports, NULL), *up = json_array_get(list, 0);
	json_t *lan = json_array_get(list, 1);

	(void)state;
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_of(up, "role"), "underlay");
	assert_true(json_is_null(json_object_get(up, "cluster")));
	assert_string_equal(text_of(lan, "name"), "lan");
	assert_string_equal(text_of(lan, "cluster"), "lab");
	assert_int_equal(number_of(lan, "rx_frames"), 17);
	assert_int_equal(number_of(lan, "rx_full"), 3);
	json_decref(list);
}

static void pools_are_listed(void **state)
{
	json_t *list = call(rpc_pools, NULL), *pool = json_array_get(list, 0);

	(void)state;
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_of(pool, "pool"), "rig");
	assert_int_equal(number_of(pool, "buffers"), 1023);
	assert_int_equal(number_of(pool, "free") + number_of(pool, "in_use"), 1023);
	json_decref(list);
}

static long flush(const char *params)
{
	json_t *r = call(rpc_fdb_flush, params);
	long n = number_of(r, "flushed");

	json_decref(r);
	return n;
}

static void learn(uint8_t last, omni_dest dest)
{
	uint8_t mac[6] = {2, 0, 0, 0, 0, last};

	assert_int_equal(omni_fdb_learn(a->fdb, omni_fdb_key(0, mac), dest,
					(uint32_t)(net.now_ns / OMNI_NS_PER_S) - 5),
			 OMNI_FDB_LEARNED);
}

static void addresses_are_listed_and_flushed(void **state)
{
	const struct omni_peer *pub = peer_of(a, b)->pub;
	json_t *list, *e;

	(void)state;
	learn(1, omni_dest_make(OMNI_DEST_PORT, 1, 1));
	learn(2, omni_dest_make(OMNI_DEST_PORT, 1, 1));
	learn(3, omni_dest_make(OMNI_DEST_PEER, pub->index, pub->generation));
	list = call(rpc_fdb, NULL);
	assert_int_equal(json_array_size(list), 3);
	for (unsigned int i = 0; i < 3; i++) {
		e = json_array_get(list, i);
		assert_string_equal(text_of(e, "cluster"), "lab");
		assert_int_equal(number_of(e, "age_s"), 5);
		assert_string_equal(text_of(e, "via"),
				    strcmp(text_of(e, "mac"), "02:00:00:00:00:03") == 0 ? "site1"
											: "lan");
	}
	json_decref(list);
	assert_int_equal(flush("{'mac': '02:00:00:00:00:09'}"), 0);
	assert_int_equal(flush("{'mac': '02:00:00:00:00:01'}"), 1);
	assert_int_equal(flush("{'peer': 'site1'}"), 1);
	assert_int_equal(flush("{'cluster': 'lab', 'port': 'lan'}"), 1);
	assert_int_equal(flush(NULL), 0);
	refused(rpc_fdb_flush, "{'mac': '2:0:0:0:0:1'}", -EINVAL, "was expected");
	refused(rpc_fdb_flush, "{'mac': 7}", -EINVAL, "mac");
	refused(rpc_fdb_flush, "{'port': 'nowhere'}", -ENOENT, "no port nowhere");
	refused(rpc_fdb_flush, "{'port': 'lan', 'peer': 'site1'}", -EINVAL, "not both");
	refused(rpc_fdb_flush, "{'vlan': 1}", -EINVAL, "unknown parameter vlan");
}

static void counters_are_summed(void **state)
{
	json_t *s;

	(void)state;
	omni_stats_add(&a->worker, OMNI_STAT_ctl_unexpected, 5);
	omni_stats_add(omni_ctl_stats(a->ctl), OMNI_STAT_ctl_unexpected, 2);
	s = call(rpc_stats, NULL);
	assert_int_equal(json_object_size(s), OMNI_STAT_COUNT);
	assert_int_equal(number_of(s, "ctl_unexpected"), 7);
	json_decref(s);
	s = call(rpc_stats, "{'per_worker': true, 'describe': true}");
	assert_int_equal(number_of(json_object_get(json_array_get(json_object_get(s, "workers"), 0),
						   "ctl_unexpected"),
				   "value"),
			 5);
	json_decref(s);
	refused(rpc_stats, "{'describe': 'yes'}", -EINVAL, "describe");
}

static void stages_share_the_cycles(void **state)
{
	json_t *list, *e;

	(void)state;
	omni_stats_stage(&a->worker, OMNI_STAGE_rx, 300, 10);
	omni_stats_stage(&a->worker, OMNI_STAGE_tx, 100, 10);
	list = call(rpc_stages, NULL);
	e = json_array_get(list, OMNI_STAGE_rx);
	assert_int_equal(json_array_size(list), OMNI_STAGE_COUNT);
	assert_string_equal(text_of(e, "stage"), "rx");
	assert_true(json_real_value(json_object_get(e, "cycles_per_frame")) == 30.0);
	assert_true(json_real_value(json_object_get(e, "share")) == 0.75);
	assert_null(json_object_get(e, "worker"));
	json_decref(list);
	list = call(rpc_stages, "{'per_worker': true}");
	assert_int_equal(json_array_size(list), 2 * OMNI_STAGE_COUNT);
	assert_int_equal(number_of(json_array_get(list, OMNI_STAGE_rx), "worker"), 1);
	e = json_array_get(list, OMNI_STAGE_COUNT + OMNI_STAGE_rx);
	assert_null(json_object_get(e, "worker"));
	assert_int_equal(number_of(e, "frames"), 10);
	json_decref(list);
}

static void configuration_hides_secrets(void **state)
{
	json_t *s = call(rpc_config, NULL);
	char *text = json_dumps(s, 0);

	(void)state;
	assert_null(strstr(text, SECRET));
	assert_non_null(strstr(text, "\"secret\": true"));
	assert_non_null(strstr(text, "\"endpoint\": \"198.51.100.2:51820\""));
	free(text);
	json_decref(s);
}

static void log_level_is_set(void **state)
{
	enum omni_log_level was = omni_log_get_level();
	json_t *r = call(rpc_log_level, "{'level': 'error'}");

	(void)state;
	assert_string_equal(text_of(r, "level"), "error");
	json_decref(r);
	refused(rpc_log_level, "{'level': 'loud'}", -EINVAL, "was expected");
	assert_int_equal(omni_log_get_level(), OMNI_LOG_ERROR);
	omni_log_set_level(was);
}

#define KEY "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="

static void peer_is_added_and_removed(void **state)
{
	json_t *r = call(rpc_peer_add, "{'cluster': 'lab', 'key': '" KEY "', 'name': 'new', "
				       "'endpoint': '198.51.100.9:7', 'vip': '10.200.0.9'}");
	const struct ctl_peer *peer = rpc_find_peer(a->ctl, NULL, "new");

	(void)state;
	assert_string_equal(text_of(r, "key"), KEY);
	json_decref(r);
	assert_non_null(peer);
	assert_ptr_equal(peer, rpc_find_peer(a->ctl, NULL, KEY));
	assert_int_equal(peer->origin, CTL_ORIGIN_STATIC);
	assert_int_equal(peer->candidate[0].port, 7);
	refused(rpc_peer_add, "{'cluster': 'lab', 'key': '" KEY "'}", -EEXIST, "");
	r = call(rpc_peer_remove, "{'peer': 'new'}");
	json_decref(r);
	assert_null(rpc_find_peer(a->ctl, NULL, KEY));
	refused(rpc_peer_remove, "{'peer': 'new'}", -ENOENT, "no peer new");
	refused(rpc_peer_remove, "{}", -EINVAL, "missing");
}

static void wrong_peer_changes_nothing(void **state)
{
	static const struct {
		const char *params, *part;
		int code;
	} wrong[] = {
		{"{'key': '" KEY "'}", "cluster", -EINVAL},
		{"{'cluster': 'nope', 'key': '" KEY "'}", "no cluster nope", -ENOENT},
		{"{'cluster': 'lab'}", "key", -EINVAL},
		{"{'cluster': 'lab', 'key': 'AAAA'}", "32 bytes", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'name': 'a b'}", "name", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'name': 'site1'}", "already", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'endpoint': ':'}", "HOST:PORT", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'vip': 'x'}", "address", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'vip': '10.200.0.1'}", "own", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'vip': '10.200.0.2'}", "held", -EADDRINUSE},
		{"{'cluster': 'lab', 'key': '" KEY "', 'keepalive': 70000}", "keepalive", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'path_mtu': 10}", "path_mtu", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'psk': 'short'}", "psk", -EINVAL},
		{"{'cluster': 'lab', 'key': '" KEY "', 'colour': 1}", "unknown", -EINVAL},
		{"['lab']", "object", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(wrong); i++)
		refused(rpc_peer_add, wrong[i].params, wrong[i].code, wrong[i].part);
	assert_int_equal(a->ctl->cluster[0].n_peers, 1);
	assert_true(frame(a, b));
}

static void small_methods_answer(void **state)
{
	json_t *r = call(rpc_version, NULL);

	(void)state;
	assert_string_equal(text_of(r, "version"), "test");
	assert_non_null(strstr(text_of(r, "dpdk"), "DPDK"));
	json_decref(r);
	refused(rpc_version, "{'x': 1}", -EINVAL, "there are none");
	refused(rpc_nucleus_forget, NULL, -ENOENT, "no key is remembered");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(status_says_what_is),
		T(peers_and_sessions_are_listed),
		T(silent_peer_says_since_when),
		T(bytes_outlive_their_keys),
		T(ports_are_listed),
		T(pools_are_listed),
		T(addresses_are_listed_and_flushed),
		T(counters_are_summed),
		T(stages_share_the_cycles),
		T(configuration_hides_secrets),
		T(log_level_is_set),
		T(peer_is_added_and_removed),
		T(wrong_peer_changes_nothing),
		T(small_methods_answer),
#undef T
	};

	return cmocka_run_group_tests_name("rpc", tests, rig_setup, eal_teardown);
}
