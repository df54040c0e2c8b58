/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Control planes that speak WireGuard with each other: handshakes, key slots, cookies, roaming. */
#include "wg_rig.h"

#include <rpc.h>

#define S OMNI_NS_PER_S

/* ---- Handshakes ---- */

static void two_sites_shake_hands(void **state)
{
	const struct omni_keypair *kp;

	(void)state;
	bring_up();
	kp = current(a, b);
	assert_int_equal(kp->dialect, OMNI_DIALECT_WIREGUARD);
	assert_int_equal(kp->cipher, OMNI_CIPHER_CHACHAPOLY);
	assert_true(kp->initiator);
	assert_false(current(b, a)->initiator);
	assert_int_equal(kp->remote_id, current(b, a)->local_id);
	assert_int_equal(a->n_answers, 1);
	assert_int_equal(b->n_initiations, 1);
	assert_int_equal(b->keepalives_in, 1); /* it confirmed the key */
	assert_int_equal(a->ctl->cluster[0].n_sessions, 1);
	assert_true(frame(a, b));
	assert_true(frame(b, a));
	assert_true(route(a, "10.1.0.2") == dest_of(a, b));
	assert_true(route(b, "10.1.0.1") == dest_of(b, a));
}

static void nothing_is_said_without_need(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	rig_run(600 * 1000);
	assert_int_equal(datagrams(), 0);
	want(a, b);
	assert_up();
	assert_int_equal(datagrams(), 3);
	rig_run(1000 * 1000);
	assert_int_equal(datagrams(), 3);
}

static void a_responder_waits_for_data(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	watch_for(a, OMNI_TYPE_WG_DATA, true); /* the keepalive that confirms is lost */
	want(a, b);
	assert_true(has_session(a, b));
	assert_false(has_session(b, a));
	assert_non_null(peer_of(b, a)->slot[CTL_NEXT]);
	assert_null(peer_of(b, a)->slot[CTL_CURRENT]);
	wire.stop = false;
	assert_true(frame(a, b));
	assert_up();
	assert_null(peer_of(b, a)->slot[CTL_NEXT]);
}

static void psk_must_agree(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].has_psk = b->peer[0].has_psk = true;
	a->peer[0].psk.b[0] = 1;
	b->peer[0].psk.b[0] = 2;
	start_pair();
	want(a, b);
	assert_false(has_session(a, b));
	assert_int_equal(count_of(a, OMNI_STAT_ctl_bad_handshake), 1);
	ctl_peer_remove(b->ctl, peer_of(b, a), OMNI_CLOSE_REMOVED);
	b->peer[0].psk.b[0] = 1;
	assert_int_equal(ctl_peer_add(b->ctl, &b->ctl->cluster[0], &b->peer[0], NULL), 0);
	rig_run(6000);
	assert_up();
}

static void crossing_initiations_both_complete(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	assert_true(omni_xring_event(a->xring, &(struct omni_event){
						       .type = OMNI_EVENT_WANT_KEY,
						       .peer = peer_of(a, b)->pub->index,
						       .peer_gen = peer_of(a, b)->pub->generation,
					       }));
	want(b, a);
	assert_up();
	assert_int_equal(a->n_initiations + b->n_initiations, 2);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(frame(a, b));
		assert_true(frame(b, a));
		rig_run(1000);
	}
	assert_int_equal(a->n_initiations + b->n_initiations, 2);
}

static void replays_and_floods_are_refused(void **state)
{
	uint8_t first[OMNI_WG_INITIATION_LEN];

	(void)state;
	make_pair();
	start_pair();
	watch_for(a, OMNI_TYPE_WG_INITIATION, false);
	want(a, b);
	memcpy(first, wire.last, sizeof(first));
	inject(b, &a->address, first, sizeof(first));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 1);
	assert_int_equal(a->n_answers, 1);
	/* From elsewhere: the address in use stays. */
	inject(b, &b->address, first, sizeof(first));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 2);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	/* Two new ones, a moment after the one before: the last one is answered, in time. */
	rig_run(6000);
	for (unsigned int i = 0; i < 2; i++) {
		peer_of(b, a)->wg->consumed_ns = net.now_ns - WG_FLOOD_NS / 2;
		peer_of(a, b)->last_start_ns = 0;
		ctl_wg_initiate(a->ctl, peer_of(a, b));
		net_settle();
		assert_int_equal(count_of(b, OMNI_STAT_ctl_flood), i);
		assert_int_equal(a->n_answers, 1);
	}
	rig_run(200);
	assert_int_equal(a->n_answers, 2);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_done), 2);
	/* Neither may come again. */
	inject(b, &a->address, wire.last, sizeof(wire.last));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_stale), 3);
}

/*
 * A box that stood still finds a minute's initiations at once. The caller waits for the answer to
 * its last one, and has it before it would call again.
 */
static void the_last_of_many_initiations_counts(void **state)
{
	uint8_t call[12][OMNI_WG_INITIATION_LEN];

	(void)state;
	make_pair();
	start_pair();
	watch_for(a, OMNI_TYPE_WG_INITIATION, true);
	want(a, b);
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(call); i++) {
		for (unsigned int t = 0; wire.n <= i && t < 60; t++)
			rig_run(100);
		assert_int_equal(wire.n, i + 1);
		memcpy(call[i], wire.last, sizeof(call[i]));
	}
	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(call); i++)
		inject(b, &a->address, call[i], sizeof(call[i]));
	net_settle();
	assert_false(has_session(a, b));
	rig_run(200);
	assert_up();
	assert_int_equal(wire.n, OMNI_ARRAY_SIZE(call));
	assert_int_equal(a->n_answers, 2);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_flood), OMNI_ARRAY_SIZE(call) - 2);
}

static void strangers_meet_silence(void **state)
{
	struct site *c;
	uint8_t bad[OMNI_WG_INITIATION_LEN];

	(void)state;
	make_pair();
	c = wg_site("192.0.2.3:51820", "10.1.0.3");
	lists(c, b, "10.1.0.2", true);
	start_pair();
	site_start(c);
	watch_for(c, OMNI_TYPE_WG_INITIATION, false);
	want(c, b);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_unknown_key), 1);
	for (unsigned int i = 0; i < sizeof(bad); i++) {
		memcpy(bad, wire.last, sizeof(bad));
		bad[i] ^= 1;
		if (i > 0 && i < 4)
			continue; /* another type */
		if (i == 0)
			continue;
		inject(b, &c->address, bad, sizeof(bad));
		net_settle();
	}
	assert_int_equal(c->datagrams_in, 0);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_bad_mac1), sizeof(bad) - 4 - OMNI_MAC_LEN);
}

static void dialects_do_not_mix(void **state)
{
	(void)state;
	make_pair();
	b->peer[0].dialect = OMNI_DIALECT_OMNI;
	b->peer[0].host[0] = '\0';
	start_pair();
	want(a, b);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_wrong_dialect), 1);
	assert_int_equal(a->datagrams_in, 0);
	site_kill(a);
	site_kill(b);
	/* And the other way round. */
	a->peer[0].dialect = OMNI_DIALECT_OMNI;
	b->peer[0].dialect = OMNI_DIALECT_WIREGUARD;
	start_pair();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_wrong_dialect), 1);
	assert_int_equal(a->datagrams_in, 0);
}

static void members_of_l3_clusters_speak_omni(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].dialect = b->peer[0].dialect = OMNI_DIALECT_OMNI;
	start_pair();
	assert_up();
	assert_int_equal(current(a, b)->dialect, OMNI_DIALECT_OMNI);
	assert_int_equal(current(a, b)->frame_max, 1500);
	assert_true(route(a, "10.1.0.2") == dest_of(a, b));
}

static void a_key_is_in_one_cluster(void **state)
{
	struct omni_config_cluster two[2];
	struct omni_config_peer p;
	struct omni_err err;

	(void)state;
	make_pair();
	two[0] = two[1] = a->cluster;
	memcpy(two[1].name, "lab2", 5);
	two[1].n_peers = two[1].n_ports = 0;
	assert_int_equal(omni_ip_parse(&two[1].vip.ip, "10.2.0.1"), 0);
	a->config.clusters = two;
	a->config.n_clusters = 2;
	site_start(a);
	p = a->peer[0];
	assert_int_equal(ctl_peer_add(a->ctl, &a->ctl->cluster[1], &p, &err), -EEXIST);
	assert_non_null(strstr(err.text, "cluster lab"));
	p.dialect = OMNI_DIALECT_OMNI;
	assert_int_equal(ctl_peer_add(a->ctl, &a->ctl->cluster[1], &p, &err), 0);
	site_kill(a);
}

/* ---- Cookies ---- */

static void under_load_cookies_are_asked_for(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	b->ctl->loaded_until_ns = net.now_ns + 3600 * S;
	assert_true(ctl_limits_stranger(b->ctl, &a->address.ip)); /* heard a moment ago */
	want(a, b);
	assert_int_equal(a->n_cookies, 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_under_load), 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_unexpected), 0);
	assert_false(has_session(a, b));
	watch_for(a, OMNI_TYPE_WG_INITIATION, false);
	rig_run(6000);
	assert_up();
	assert_int_equal(a->n_cookies, 1);
	/* The cookie is the address's. */
	assert_true(ctl_limits_stranger(b->ctl, &b->address.ip));
	inject(b, &b->address, wire.last, sizeof(wire.last));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_under_load), 2);
	/* From the proven one: as many as its rate allows. */
	for (unsigned int i = 0; i < 20; i++)
		inject(b, &a->address, wire.last, sizeof(wire.last));
	net_settle();
	assert_int_equal(count_of(b, OMNI_STAT_ctl_rate_limited), 20 - CTL_SOURCE_BURST_WG);
}

/* Whoever was not heard for a minute is heard at once, in the middle of a flood of others. */
static void strangers_are_heard_under_load(void **state)
{
	struct omni_ip other = omni_ip_from_v4(htonl(0xc6336401));

	(void)state;
	make_pair();
	start_pair();
	b->ctl->loaded_until_ns = net.now_ns + 3600 * S;
	want(a, b);
	assert_up();
	assert_int_equal(a->n_cookies, 0);
	assert_false(ctl_limits_stranger(b->ctl, &a->address.ip));
	rig_run(CTL_STRANGER_S * 1000);
	assert_true(ctl_limits_stranger(b->ctl, &a->address.ip));
	/* Not any number of them in a second. */
	for (unsigned int i = 0; i < 2 * CTL_STRANGERS_PER_S; i++) {
		other.b[14] = (uint8_t)(i >> 8);
		other.b[15] = (uint8_t)i;
		(void)ctl_limits_stranger(b->ctl, &other);
	}
	other.b[13]++;
	assert_false(ctl_limits_stranger(b->ctl, &other));
}

static void responses_need_cookies_too(void **state)
{
	(void)state;
	make_pair();
	start_pair();
	a->ctl->loaded_until_ns = net.now_ns + 3600 * S;
	want(a, b);
	assert_int_equal(b->n_cookies, 1);
	assert_int_equal(count_of(b, OMNI_STAT_ctl_unexpected), 0);
	assert_false(has_session(a, b));
	rig_run(6000);
	assert_up();
	assert_int_equal(b->n_cookies, 1);
}

/* ---- Addresses ---- */

static void the_newest_datagram_says_where_a_peer_is(void **state)
{
	struct omni_endpoint before;

	(void)state;
	bring_up();
	before = a->address;
	assert_int_equal(omni_endpoint_parse(&a->address, "198.51.100.7:1234"), 0);
	assert_true(frame(a, b));
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_roamed), 1);
	assert_true(frame(b, a));
	assert_int_equal(count_of(b, OMNI_STAT_ctl_probes_sent), 0);
	a->address = before;
	assert_true(frame(a, b));
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &before));
	assert_true(frame(b, a));
}

static void nothing_forged_moves_a_peer(void **state)
{
	static const uint8_t junk[64] = {OMNI_TYPE_WG_DATA};
	struct omni_endpoint elsewhere;
	uint8_t data[64] = {OMNI_TYPE_WG_DATA};

	(void)state;
	bring_up();
	assert_int_equal(omni_endpoint_parse(&elsewhere, "198.51.100.7:1234"), 0);
	omni_store_le32(data + 4, (uint32_t)current(b, a)->local_id);
	inject(b, &elsewhere, junk, sizeof(junk));
	inject(b, &elsewhere, data, sizeof(data));
	net_settle();
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
}

static void our_new_address_is_told_to_who_talks(void **state)
{
	unsigned int before;

	(void)state;
	bring_up();
	rig_run(60 * 1000);
	before = datagrams();
	a->address.ip.b[15] = 9;
	ctl_nexthop_changed(a->ctl, NULL);
	net_settle();
	assert_int_equal(datagrams(), before); /* idle: silence */
	assert_true(frame(a, b));
	rig_run(1000);
	before = b->keepalives_in;
	a->address.ip.b[15] = 10;
	ctl_nexthop_changed(a->ctl, NULL);
	net_settle();
	assert_int_equal(b->keepalives_in, before + 1);
	assert_true(omni_endpoint_equal(&peer_of(b, a)->endpoint, &a->address));
	assert_true(frame(b, a));
	/* The same with a moment between, in which there is no address. */
	a->no_route = true;
	ctl_nexthop_changed(a->ctl, NULL);
	assert_false(frame(a, b));
	rig_run(1000);
	a->address.ip.b[15] = 11;
	a->no_route = false;
	ctl_nexthop_changed(a->ctl, NULL);
	net_settle();
	assert_int_equal(b->keepalives_in, before + 2);
	assert_true(frame(b, a));
}

static void paths_are_not_probed(void **state)
{
	const struct omni_path *path;

	(void)state;
	make_pair();
	b->peer[0].path_mtu = 1280;
	start_pair();
	want(a, b);
	path = atomic_load(&peer_of(a, b)->pub->path);
	assert_int_equal(path->mtu, 1500);
	assert_int_equal(path->tcp_mtu, 1500);
	path = atomic_load(&peer_of(b, a)->pub->path);
	assert_int_equal(path->mtu, 1280);
	rig_run(100 * 1000);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_probes_sent), 0);
	assert_int_equal(datagrams(), 3);
}

static void a_name_is_looked_up_where_nobody_answers(void **state)
{
	struct omni_endpoint old, now;

	(void)state;
	make_pair();
	memcpy(a->peer[0].host, "peer.example", 13);
	start_pair();
	want(a, b); /* it does not resolve yet */
	assert_int_equal(datagrams(), 0);
	old = now = b->address;
	old.ip.b[15] = 77;
	ctl_peer_set_endpoints(a->ctl, peer_of(a, b), &old, 1);
	assert_int_equal(count_of(a, OMNI_STAT_ctl_handshakes_sent), 1);
	ctl_peer_set_endpoints(a->ctl, peer_of(a, b), &now, 1);
	rig_run(20 * 1000);
	assert_up();
	/* Where it moved to is where it is, whatever its name says. */
	b->address.port = 999;
	assert_true(frame(b, a));
	ctl_peer_set_endpoints(a->ctl, peer_of(a, b), &now, 1);
	assert_true(omni_endpoint_equal(&peer_of(a, b)->endpoint, &b->address));
}

static void neighbours_may_be_unknown_at_first(void **state)
{
	(void)state;
	make_pair();
	a->no_neighbour = true;
	start_pair();
	want(a, b);
	assert_int_equal(datagrams(), 0);
	a->no_neighbour = false;
	ctl_nexthop_changed(a->ctl, NULL);
	net_settle();
	assert_up();
}

/* ---- Allowed IPs ---- */

/* More than the table of routes holds, a prefix of somebody else's first. */
static void refuse_many(struct omni_config_peer *conf, const struct omni_prefix *first)
{
	enum {
		MANY = 5000
	};
	struct omni_prefix *many = calloc(MANY, sizeof(*many));
	struct omni_err err;

	assert_non_null(many);
	for (uint32_t i = 1; i < MANY; i++) {
		many[i] = (struct omni_prefix){.ip = first->ip, .len = 30};
		omni_store_be32(many[i].ip.b + 12, 0xac100000 + 4 * i);
	}
	many[0] = *first;
	conf->allowed = many;
	conf->n_allowed = MANY;
	assert_int_equal(ctl_peer_add(a->ctl, &a->ctl->cluster[0], conf, &err), -ENOSPC);
	free(many);
}

static void allowed_ips_move(void **state)
{
	struct omni_prefix nets[2], all;
	struct omni_config_peer more = {.name = "third", .dialect = OMNI_DIALECT_WIREGUARD};
	struct ctl_peer *third;

	(void)state;
	make_pair();
	assert_int_equal(omni_prefix_parse(&nets[0], "10.9.0.0/16", 32, 128), 0);
	assert_int_equal(omni_prefix_parse(&nets[1], "fd09::/64", 32, 128), 0);
	assert_int_equal(omni_prefix_parse(&all, "0.0.0.0/0", 32, 128), 0);
	a->peer[0].allowed = nets;
	a->peer[0].n_allowed = 2;
	start_pair();
	assert_true(route(a, "10.9.0.0/16") == dest_of(a, b));
	assert_true(route(a, "fd09::/64") == dest_of(a, b));
	more.key.b[0] = 9;
	more.allowed = nets;
	more.n_allowed = 1;
	assert_int_equal(ctl_peer_add(a->ctl, &a->ctl->cluster[0], &more, NULL), 0);
	third = ctl_peer_find(a->ctl, &a->ctl->cluster[0], &more.key);
	assert_true(omni_dest_index(route(a, "10.9.0.0/16")) == third->pub->index);
	assert_true(route(a, "fd09::/64") == dest_of(a, b));
	ctl_peer_remove(a->ctl, third, OMNI_CLOSE_REMOVED);
	assert_true(route(a, "10.9.0.0/16") == OMNI_DEST_MISS);
	assert_int_equal(ctl_allowed_add(a->ctl, peer_of(a, b), &nets[0], 1), 0);
	refuse_many(&more, nets);
	assert_true(route(a, "10.9.0.0/16") == dest_of(a, b));
	assert_int_equal(ctl_allowed_add(a->ctl, peer_of(a, b), &all, 1), 0);
	assert_true(route(a, "0.0.0.0/0") == dest_of(a, b));
	ctl_peer_remove(a->ctl, peer_of(a, b), OMNI_CLOSE_REMOVED);
	assert_int_equal(omni_fib_count(a->fib), 1); /* our own */
	assert_int_equal(datagrams(), 0);	     /* and nobody was told */
}

/* ---- Management ---- */

static json_t *call(int (*method)(void *, const json_t *, json_t **, struct omni_err *),
		    const char *params, int want)
{
	json_t *in = json_loads(params, 0, NULL), *out = NULL;
	struct omni_err err;

	assert_non_null(in);
	assert_int_equal(method(a->ctl, in, &out, &err), want);
	json_decref(in);
	return out;
}

static json_t *row(const char *name)
{
	json_t *list = call(rpc_peers, "{}", 0), *p, *found = NULL;
	size_t i;

	json_array_foreach(list, i, p) if (strcmp(json_string_value(json_object_get(p, "name")),
						  name) == 0) found = json_incref(p);
	json_decref(list);
	assert_non_null(found);
	return found;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static size_t n_allowed(const json_t *o)
{
	return json_array_size(json_object_get(o, "allowed_ips"));
}

#define KEY "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="

static void management_shows_and_changes_peers(void **state)
{
	json_int_t at;
	json_t *p;

	(void)state;
	bring_up();
	rig_run(3000);
	p = row("site1");
	assert_string_equal(text_of(p, "dialect"), "wireguard");
	assert_string_equal(text_of(p, "state"), "up");
	assert_int_equal(json_integer_value(json_object_get(p, "last_handshake_s")), 3);
	at = json_integer_value(json_object_get(p, "last_handshake_at"));
	assert_int_equal(at, (json_int_t)(rig_real_ns(NULL) / OMNI_NS_PER_S) - 3);
	assert_int_equal(n_allowed(p), 1);
	json_decref(p);
	rig_run(1000 * 1000);
	p = row("site1");
	assert_string_equal(text_of(p, "state"), "waiting");
	assert_int_equal(json_integer_value(json_object_get(p, "last_handshake_s")), 1003);
	assert_int_equal(json_integer_value(json_object_get(p, "last_handshake_at")), at);
	json_decref(p);
	json_decref(call(rpc_peer_add,
			 "{\"cluster\": \"lab\", \"key\": \"" KEY "\", \"name\": \"new\", "
			 "\"dialect\": \"wireguard\", \"allowed_ips\": \"10.9.0.0/16, ::/0\"}",
			 0));
	p = row("new");
	assert_int_equal(n_allowed(p), 2);
	assert_int_equal(json_integer_value(json_object_get(p, "keepalive_s")), 0);
	json_decref(p);
	json_decref(call(rpc_peer_allow,
			 "{\"peer\": \"site1\", \"allowed_ips\": [\"10.9.0.0/16\"]}", 0));
	p = row("new");
	assert_int_equal(n_allowed(p), 1);
	json_decref(p);
	assert_true(route(a, "10.9.0.0/16") == dest_of(a, b));
	assert_true(route(a, "10.1.0.2") == dest_of(a, b));
	call(rpc_peer_allow, "{\"peer\": \"site1\", \"allowed_ips\": \"10.9.0.0/33\"}", -EINVAL);
	call(rpc_peer_allow, "{\"peer\": \"site1\"}", -EINVAL);
	call(rpc_peer_allow, "{\"peer\": \"nobody\", \"allowed_ips\": \"\"}", -ENOENT);
	assert_true(route(a, "10.9.0.0/16") == dest_of(a, b));
}

/* As in the configuration. */
static void a_peer_speaks_wireguard_where_nothing_is_said(void **state)
{
	json_t *p;

	(void)state;
	make_pair();
	start_pair();
	json_decref(call(rpc_peer_add,
			 "{\"cluster\": \"lab\", \"key\": \"" KEY "\", \"name\": \"new\"}", 0));
	p = row("new");
	assert_string_equal(text_of(p, "dialect"), "wireguard");
	assert_int_equal(json_integer_value(json_object_get(p, "keepalive_s")), 0);
	json_decref(p);
	json_decref(call(rpc_peer_remove, "{\"peer\": \"new\"}", 0));
	json_decref(call(rpc_peer_add,
			 "{\"cluster\": \"lab\", \"key\": \"" KEY "\", \"name\": \"new\", "
			 "\"dialect\": \"omni\"}",
			 0));
	p = row("new");
	assert_string_equal(text_of(p, "dialect"), "omni");
	assert_int_equal(json_integer_value(json_object_get(p, "keepalive_s")),
			 OMNI_MESH_KEEPALIVE_S);
	json_decref(p);
	json_decref(call(rpc_peer_remove, "{\"peer\": \"new\"}", 0));
	a->identity.has_sign = false;
	call(rpc_peer_add, "{\"cluster\": \"lab\", \"key\": \"" KEY "\", \"dialect\": \"omni\"}",
	     -EINVAL);
	call(rpc_peer_add,
	     "{\"cluster\": \"lab\", \"key\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
	     -EINVAL);
}

static void management_changes_peers_in_place(void **state)
{
	struct omni_endpoint elsewhere;
	const struct omni_keypair *kp;
	struct site *c;

	(void)state;
	bring_up();
	kp = current(a, b);
	c = wg_site("192.0.2.3:51820", "10.1.0.3");
	/* Elsewhere: the session goes on there, and back again. */
	json_decref(
		call(rpc_peer_set, "{\"peer\": \"site1\", \"endpoint\": \"192.0.2.3:51820\"}", 0));
	assert_true(omni_endpoint_equal(&peer_of(a, b)->endpoint, &c->address));
	assert_int_equal(omni_endpoint_parse(&elsewhere, "192.0.2.2:51820"), 0);
	json_decref(
		call(rpc_peer_set, "{\"peer\": \"site1\", \"endpoint\": \"192.0.2.2:51820\"}", 0));
	assert_true(omni_endpoint_equal(&peer_of(a, b)->endpoint, &elsewhere));
	assert_true(frame(a, b));
	/* A keepalive: the first one at once. */
	net_settle();
	watch_for(a, OMNI_TYPE_WG_DATA, false);
	json_decref(call(rpc_peer_set, "{\"peer\": \"site1\", \"keepalive\": 7}", 0));
	net_settle();
	assert_int_equal(wire.n, 1);
	rig_run(7200);
	assert_int_equal(wire.n, 2);
	json_decref(call(rpc_peer_set, "{\"peer\": \"site1\", \"keepalive\": 0}", 0));
	rig_run(20 * 1000);
	assert_int_equal(wire.n, 2);
	/* A key: from the next handshake on, which needs it at both. */
	json_decref(call(rpc_peer_set, "{\"peer\": \"site1\", \"psk\": \"" KEY "\"}", 0));
	assert_ptr_equal(current(a, b), kp);
	assert_true(frame(a, b));
	ctl_wg_initiate(a->ctl, peer_of(a, b));
	net_settle();
	assert_ptr_equal(current(a, b), kp);
	ctl_wg_set_psk(peer_of(b, a), &peer_of(a, b)->psk);
	rig_run(6000);
	assert_ptr_not_equal(current(a, b), kp);
	assert_up();
	json_decref(call(rpc_peer_set, "{\"peer\": \"site1\", \"psk\": \"\"}", 0));
	assert_false(peer_of(a, b)->has_psk);
	assert_true(omni_is_zero_ct(&peer_of(a, b)->psk, sizeof(struct omni_key)));
	call(rpc_peer_set, "{\"peer\": \"site1\"}", -EINVAL);
	call(rpc_peer_set, "{\"peer\": \"site1\", \"psk\": \"short\"}", -EINVAL);
	call(rpc_peer_set, "{\"peer\": \"site1\", \"endpoint\": \":\", \"keepalive\": 9}", -EINVAL);
	call(rpc_peer_set, "{\"peer\": \"site1\", \"keepalive\": 65536}", -EINVAL);
	call(rpc_peer_set, "{\"peer\": \"nobody\", \"keepalive\": 1}", -ENOENT);
	assert_int_equal(peer_of(a, b)->keepalive_s, 0);
}

static void an_omni_peer_is_not_changed(void **state)
{
	(void)state;
	make_pair();
	a->peer[0].dialect = b->peer[0].dialect = OMNI_DIALECT_OMNI;
	start_pair();
	call(rpc_peer_set, "{\"peer\": \"site1\", \"keepalive\": 1}", -EPERM);
}

static void assert_reason(const struct site *s, const struct site *other, const char *begin)
{
	const char *text = ctl_wg_trouble_text(peer_of(s, other));

	assert_non_null(text);
	assert_memory_equal(text, begin, strlen(begin));
}

static void what_is_wrong_is_told(void **state)
{
	json_t *p;

	(void)state;
	make_pair();
	a->peer[0].has_psk = b->peer[0].has_psk = true;
	a->peer[0].psk.b[0] = 1;
	b->peer[0].psk.b[0] = 2;
	start_pair();
	want(a, b);
	p = row("site1");
	assert_string_equal(text_of(p, "reason"),
			    "its answers do not decrypt: the pre-shared keys differ");
	json_decref(p);
	assert_null(ctl_wg_trouble_text(peer_of(b, a)));
	rig_run(20 * 1000);
	assert_reason(b, a, "it calls, but takes none of our answers");
	peer_of(b, a)->psk = a->peer[0].psk;
	rig_run(6 * 1000);
	assert_up();
	assert_null(ctl_wg_trouble_text(peer_of(a, b)));
	assert_null(ctl_wg_trouble_text(peer_of(b, a)));
	/* Its clock is behind what it was. */
	memset(peer_of(b, a)->newest, 0xff, OMNI_TAI64N_LEN);
	rig_run(1000 * 1000);
	want(a, b);
	assert_false(has_session(a, b));
	assert_reason(b, a, "its calls are older than its newest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_sites_shake_hands),
		TEST(nothing_is_said_without_need),
		TEST(a_responder_waits_for_data),
		TEST(psk_must_agree),
		TEST(crossing_initiations_both_complete),
		TEST(replays_and_floods_are_refused),
		TEST(the_last_of_many_initiations_counts),
		TEST(strangers_meet_silence),
		TEST(dialects_do_not_mix),
		TEST(members_of_l3_clusters_speak_omni),
		TEST(a_key_is_in_one_cluster),
		TEST(under_load_cookies_are_asked_for),
		TEST(strangers_are_heard_under_load),
		TEST(responses_need_cookies_too),
		TEST(the_newest_datagram_says_where_a_peer_is),
		TEST(nothing_forged_moves_a_peer),
		TEST(our_new_address_is_told_to_who_talks),
		TEST(paths_are_not_probed),
		TEST(a_name_is_looked_up_where_nobody_answers),
		TEST(neighbours_may_be_unknown_at_first),
		TEST(allowed_ips_move),
		TEST(management_shows_and_changes_peers),
		TEST(a_peer_speaks_wireguard_where_nothing_is_said),
		TEST(management_changes_peers_in_place),
		TEST(an_omni_peer_is_not_changed),
		TEST(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, rig_setup, eal_teardown);
}
