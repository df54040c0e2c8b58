/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sessions with a Nucleus: where it is, hello, handshake, keys. */
#include <rte_errno.h>
#include <stdio.h>

#include "nucleus_client.h"

uint64_t nc_jitter(uint64_t range_ns)
{
	uint64_t r;

	omni_random(&r, sizeof(r));
	return r % range_ns;
}

/* ---- Where it is ---- */

static void set_held(struct nc_session *s, const struct omni_endpoint *ep)
{
	if (omni_endpoint_equal(&s->held, ep))
		return;
	if (ep->port != 0)
		ctl_nexthop_hold(s->ctl, &ep->ip);
	if (s->held.port != 0)
		ctl_nexthop_release(s->ctl, &s->held.ip);
	s->held = *ep;
}

/* Workers compare where data comes from with the path, and nothing more. */
static void publish_path(struct nc_session *s)
{
	struct omni_path path, *copy;

	if (ctl_resolve(s->ctl, &s->remote, &path) != 0)
		return;
	copy = omni_path_copy(&path, NULL);
	if (copy == NULL)
		return;
	omni_path_local(&path, &s->local);
	omni_peer_set_path(s->pub, copy, s->ctl->conf.rcu);
}

/* ---- Keys ---- */

static void kp_drop(struct nc_session *s, unsigned int which)
{
	struct omni_keypair *kp = s->kp[which];

	if (kp == NULL)
		return;
	s->kp[which] = NULL;
	if (which == 0)
		omni_peer_set_tx(s->pub, NULL);
	omni_sessions_release(s->ctl->conf.sessions, kp->local_id);
	omni_rcu_defer(s->ctl->conf.rcu, &kp->rcu, omni_keypair_free, kp);
	ctl_count(s->ctl, OMNI_STAT_ctl_keys_wiped);
}

static bool kp_is_over(const struct omni_keypair *kp, uint64_t now)
{
	return kp != NULL && now - kp->created_ns >= OMNI_REJECT_AFTER_S * OMNI_NS_PER_S;
}

static struct omni_keypair *kp_make(struct nc_session *s, const struct ctl_hs_done *done)
{
	struct omni_keypair_conf conf = {
		.local_id = done->local_id,
		.remote_id = done->remote_id,
		.created_ns = ctl_now(s->ctl),
		.peer = s->pub->index,
		.peer_gen = s->pub->generation,
		.cluster = OMNI_NO_CLUSTER,
		.lanes_tx = 1,
		.lanes_rx = 1,
		.frame_max = OMNI_CBOR_MAX,
		.cipher = OMNI_CIPHER_CHACHAPOLY,
		.initiator = true,
		.dialect = OMNI_DIALECT_NUCLEUS,
		.confirmed = true,
		.rx_key = &done->keys->recv,
		.tx_key = &done->keys->send,
	};

	return omni_keypair_create(s->ctl->conf.aead, &conf);
}

int nc_send(struct nc_session *s, const void *payload, size_t len)
{
	struct omni_path path;
	int rc;

	if (s->kp[0] == NULL)
		return -ENOKEY;
	rc = ctl_resolve(s->ctl, &s->remote, &path);
	s->unsent = rc;
	if (rc != 0)
		return rc;
	return ctl_send_sealed(s->ctl, s->kp[0], &path, OMNI_KIND_CONTROL, payload, len);
}

/* ---- Keying ---- */

void nc_restart(struct nc_session *s, uint64_t at_ns)
{
	ctl_hs_cancel(s->ctl, s->hs);
	s->hs = NULL;
	s->keying = NC_KEYING_NONE;
	s->rekey_ns = 0;
	s->start_ns = at_ns;
}

void nc_lost(struct nc_session *s)
{
	if (s->registered)
		omni_log_warn(LOG_CTL, "nucleus does not answer any more", "nucleus=%s cluster=%s",
			      s->server->text, s->cluster->conf->name);
	s->registered = false;
	s->register_ns = 0;
	nc_requests_clear(s);
	nc_restart(s, ctl_now(s->ctl));
}

void nc_forget_key(struct nc_session *s)
{
	s->registered = false;
	s->has_key = s->has_wrong_key = false;
	s->wrong_key = (struct omni_key){0};
	s->backoff_ns = 0;
	nc_lost(s);
}

/* Once, where it never answered since the start. */
static void tell_silence(const struct nc_session *s)
{
	char at[OMNI_ENDPOINT_TEXT_LEN];

	if (s->backoff_ns == 0 && s->silent_ns != 0 && s->acked_ns == 0 && !s->has_wrong_key)
		omni_log_warn(LOG_CTL, "nucleus does not answer",
			      "nucleus=%s endpoint=%s cluster=%s", s->server->text,
			      omni_endpoint_text(at, &s->remote), s->cluster->conf->name);
}

static void keying_failed(struct nc_session *s, uint64_t wait_ns)
{
	tell_silence(s);
	s->backoff_ns = s->backoff_ns == 0 ? NC_BACKOFF_MIN_NS
					   : OMNI_MIN(2 * s->backoff_ns, NC_BACKOFF_MAX_NS);
	if (wait_ns == 0)
		wait_ns = s->backoff_ns / 2 + nc_jitter(s->backoff_ns / 2);
	nc_restart(s, ctl_now(s->ctl) + wait_ns);
	s->address++;
	ctl_name_again(s->ctl, s->server->dns);
}

static void hello_send(struct nc_session *s, uint64_t now)
{
	struct omni_hello hello = {.type = OMNI_TYPE_HELLO, .code = OMNI_HELLO_ASK};
	struct omni_path path;

	s->retry_ns = now + NC_HELLO_NS;
	s->tries++;
	if (s->silent_ns == 0)
		s->silent_ns = now;
	memcpy(hello.nonce, s->nonce, sizeof(hello.nonce));
	s->unsent = ctl_resolve(s->ctl, &s->remote, &path);
	if (s->unsent == 0)
		(void)ctl_send_plain(s->ctl, &path, &hello, sizeof(hello));
}

static void hello_begin(struct nc_session *s, uint64_t now)
{
	const struct nc_server *server = s->server;

	if (server->n_addresses == 0) {
		s->start_ns = now + NC_HELLO_NS;
		return;
	}
	/* A session in use stays where it is, unless it has gone silent. */
	if (s->kp[0] == NULL || s->silent_ns != 0 || !s->registered)
		s->remote = server->address[s->address % server->n_addresses];
	set_held(s, &s->remote);
	s->keying = NC_KEYING_HELLO;
	s->tries = 0;
	s->has_wrong_key = false;
	omni_random(s->nonce, sizeof(s->nonce)); /* for the whole series: a late answer counts */
	hello_send(s, now);
}

static void hs_done(struct omni_ctl *ctl, void *owner, const struct ctl_hs_done *done);

static void handshake_send(struct nc_session *s, uint64_t now)
{
	struct ctl_hs_conf conf = {
		.purpose = OMNI_HS_NUCLEUS,
		.remote = s->key,
		.cookie = &s->cookie,
		.offer = {.cluster_id = s->cluster->tree.cluster_id,
			  .mode = (uint8_t)s->cluster->conf->mode,
			  .version = OMNI_WIRE_VERSION,
			  .ciphers = {OMNI_CIPHER_CHACHAPOLY, OMNI_CIPHER_NONE},
			  .lanes_send = 1,
			  .lanes_accept = 1,
			  .largest_frame = OMNI_CBOR_MAX},
		.done = hs_done,
		.owner = s,
	};

	/* A new one each time: its time stamp must be newer than that of one that did arrive. */
	ctl_hs_cancel(s->ctl, s->hs);
	s->hs = ctl_hs_start(s->ctl, &conf);
	if (s->hs == NULL) {
		omni_log_warn(LOG_CTL, "no handshake with the nucleus", "nucleus=%s error=\"%s\"",
			      s->server->text, strerror(rte_errno));
		keying_failed(s, NC_REFUSED_NS);
		return;
	}
	s->tries++;
	s->retry_ns = now + NC_HANDSHAKE_NS;
	s->unsent = ctl_hs_send(s->ctl, s->hs, &s->remote);
}

static void hs_done(struct omni_ctl *ctl, void *owner, const struct ctl_hs_done *done)
{
	struct nc_session *s = owner;
	uint64_t now = ctl_now(ctl);
	struct omni_keypair *kp;

	s->hs = NULL; /* freed by the caller */
	s->hs_result = done->answer->result;
	s->silent_ns = 0;
	if (s->hs_result != OMNI_RESULT_ACCEPTED) {
		ctl_count(ctl, OMNI_STAT_ctl_was_refused);
		omni_log_warn(LOG_CTL, "nucleus refused the handshake",
			      "nucleus=%s cluster=%s reason=\"%s\"", s->server->text,
			      s->cluster->conf->name, omni_result_name(s->hs_result));
		keying_failed(s, NC_REFUSED_NS);
		return;
	}
	kp = kp_make(s, done);
	if (kp == NULL) {
		omni_sessions_release(ctl->conf.sessions, done->local_id);
		keying_failed(s, 0);
		return;
	}
	kp_drop(s, 1);
	s->kp[1] = s->kp[0];
	s->kp[0] = kp;
	omni_sessions_publish(ctl->conf.sessions, kp);
	omni_peer_set_tx(s->pub, kp);
	publish_path(s);
	ctl_count(ctl, OMNI_STAT_ctl_handshakes_done);
	s->keying = NC_KEYING_NONE;
	s->backoff_ns = 0;
	s->rekey_ns = now + OMNI_REKEY_AFTER_S * OMNI_NS_PER_S + nc_jitter(CTL_REKEY_JITTER_NS);
	nc_requests_tick(s, now);
}

static void keying_retry(struct nc_session *s, uint64_t now)
{
	if (now < s->retry_ns)
		return;
	if (s->tries >= NC_TRIES) {
		keying_failed(s, 0);
		return;
	}
	if (s->keying == NC_KEYING_HELLO)
		hello_send(s, now);
	else
		handshake_send(s, now);
}

static void keying_tick(struct nc_session *s, uint64_t now)
{
	if (kp_is_over(s->kp[1], now))
		kp_drop(s, 1);
	if (kp_is_over(s->kp[0], now)) {
		kp_drop(s, 0);
		nc_lost(s);
	}
	if (s->keying != NC_KEYING_NONE)
		keying_retry(s, now);
	else if (now >= s->start_ns && now >= s->rekey_ns)
		hello_begin(s, now);
}

static const struct omni_key *pinned(const struct nc_server *server)
{
	if (server->conf->has_key)
		return &server->conf->key;
	return server->has_pin ? &server->pin : NULL;
}

static void hello_taken(struct nc_session *s, const struct omni_hello_answer *in)
{
	const struct omni_key *pin = pinned(s->server);
	char text[OMNI_KEY_B64_LEN];
	struct omni_key key;

	memcpy(key.b, in->nucleus_key, sizeof(key.b));
	if (pin != NULL && memcmp(pin, &key, sizeof(key)) != 0) {
		ctl_count(s->ctl, OMNI_STAT_ctl_nucleus_wrong_key);
		if (memcmp(&s->wrong_key, &key, sizeof(key)) != 0)
			omni_log_warn(
				LOG_CTL, "nucleus answers with another key than the pinned one",
				"nucleus=%s key=%s", s->server->text, omni_key_text(text, &key));
		s->has_wrong_key = true;
		s->wrong_key = key;
		return; /* the right one may answer yet */
	}
	s->key = key;
	s->has_key = true;
	omni_cookie_hold(&s->cookie, in->cookie, ctl_now(s->ctl));
	s->keying = NC_KEYING_HANDSHAKE;
	s->tries = 0;
	handshake_send(s, ctl_now(s->ctl));
}

void ctl_nucleus_hello_answer(struct omni_ctl *ctl, const struct omni_hello_answer *in,
			      const struct omni_endpoint *from)
{
	struct ctl_nucleus *nc = ctl->nucleus;

	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++) {
		struct nc_session *s = &nc->session[i];

		if (s->keying == NC_KEYING_HELLO && omni_endpoint_equal(&s->remote, from) &&
		    omni_equal_ct(s->nonce, in->nonce, sizeof(s->nonce))) {
			hello_taken(s, in);
			return;
		}
	}
	ctl_count(ctl, OMNI_STAT_ctl_unexpected);
}

/* ---- From workers ---- */

static struct nc_session *session_of_peer(const struct ctl_nucleus *nc, uint32_t index,
					  uint32_t generation)
{
	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++) {
		const struct omni_peer *pub = nc->session[i].pub;

		if (pub->index == index && pub->generation == generation)
			return &nc->session[i];
	}
	return NULL;
}

void ctl_nucleus_message(struct omni_ctl *ctl, struct omni_keypair *kp, const uint8_t *payload,
			 size_t len, const struct omni_endpoint *from)
{
	struct nc_session *s = session_of_peer(ctl->nucleus, kp->peer, kp->peer_gen);

	(void)from; /* it is authentic: where it came from moves nothing */
	if (s != NULL && (kp == s->kp[0] || kp == s->kp[1]))
		nc_answer(s, payload, len);
}

void ctl_nucleus_event(struct omni_ctl *ctl, const struct omni_event *ev)
{
	struct nc_session *s = session_of_peer(ctl->nucleus, ev->peer, ev->peer_gen);

	/* A key worn out is the only one of them that asks for something here. */
	if (s != NULL && ev->type == OMNI_EVENT_WORN && s->keying == NC_KEYING_NONE)
		s->rekey_ns = 0;
}

/* The way to it is known now, or another; our own address may be another too. */
void ctl_nucleus_nexthop_changed(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	struct ctl_nucleus *nc = ctl->nucleus;
	uint64_t now = ctl_now(ctl);

	for (unsigned int i = 0; nc != NULL && nc->started && i < nc->n_sessions; i++) {
		struct nc_session *s = &nc->session[i];
		struct omni_endpoint was = s->local;

		if (ip != NULL && !omni_ip_equal(ip, &s->remote.ip))
			continue;
		if (s->kp[0] != NULL) {
			publish_path(s);
			if (!omni_endpoint_equal(&was, &s->local))
				s->heartbeat_ns = now; /* so that it sees the new address */
		}
		if (s->unsent != 0 && s->keying == NC_KEYING_NONE && s->kp[0] == NULL)
			nc_restart(s, now);
		if (s->unsent != 0 && s->keying != NC_KEYING_NONE) {
			s->tries -= s->tries > 0 ? 1 : 0; /* it never left */
			s->retry_ns = now;
			keying_tick(s, now);
		}
	}
}

void ctl_nucleus_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_nucleus *nc = ctl->nucleus;

	if (nc == NULL || !nc->started || ctl->stopping)
		return;
	for (unsigned int i = 0; i < nc->n_sessions; i++) {
		keying_tick(&nc->session[i], now);
		nc_requests_tick(&nc->session[i], now);
		nc_members_tick(&nc->session[i], now);
	}
}

/* ---- Begin and end ---- */

static void on_addresses(struct omni_ctl *ctl, void *arg, const struct omni_endpoint *ep,
			 unsigned int n)
{
	struct nc_server *server = arg;

	server->n_addresses = OMNI_MIN(n, NC_ADDRESSES_MAX);
	memcpy(server->address, ep, server->n_addresses * sizeof(ep[0]));
	for (unsigned int i = 0; i < ctl->nucleus->n_sessions; i++) {
		struct nc_session *s = &ctl->nucleus->session[i];

		if (s->server == server && s->keying == NC_KEYING_NONE && s->kp[0] == NULL)
			s->start_ns = 0;
	}
}

static int session_init(struct omni_ctl *ctl, struct nc_session *s, struct nc_server *server,
			struct ctl_cluster *c)
{
	s->ctl = ctl;
	s->server = server;
	s->cluster = c;
	TAILQ_INIT(&s->members);
	TAILQ_INIT(&s->wanted);
	s->pub = omni_peers_add(ctl->conf.peers, OMNI_NO_CLUSTER);
	if (s->pub == NULL)
		return -rte_errno;
	omni_random(&s->next_id, sizeof(s->next_id));
	if (ctl_index_init(&s->by_vip, ctl->conf.config->limits.mesh) < 0)
		return -ENOMEM;
	return ctl_index_init(&s->by_key, ctl->conf.config->limits.mesh);
}

int ctl_nucleus_init(struct omni_ctl *ctl, struct omni_err *err)
{
	const struct omni_config *config = ctl->conf.config;
	struct ctl_nucleus *nc;

	if (config->n_nucleus == 0)
		return 0;
	nc = ctl->nucleus = calloc(1, sizeof(*nc));
	if (nc == NULL)
		return omni_fail(err, -ENOMEM, "out of memory");
	nc->session = calloc((size_t)config->n_nucleus * ctl->n_clusters, sizeof(*nc->session));
	if (nc->session == NULL)
		return omni_fail(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < config->n_nucleus; i++) {
		struct nc_server *server = &nc->server[nc->n_servers++];
		const char *f = strchr(config->nucleus[i].host, ':') != NULL ? "[%s]:%u" : "%s:%u";

		server->conf = &config->nucleus[i];
		snprintf(server->text, sizeof(server->text), f, server->conf->host,
			 server->conf->port);
		for (unsigned int k = 0; k < ctl->n_clusters; k++) {
			struct ctl_cluster *c = &ctl->cluster[k];
			int rc;

			if (c->tree.kind == OMNI_CLUSTER_STATIC)
				continue;
			rc = session_init(ctl, &nc->session[nc->n_sessions], server, c);
			nc->n_sessions += nc->session[nc->n_sessions].pub != NULL ? 1 : 0;
			if (rc != 0)
				return omni_fail(err, rc,
						 "no room for the sessions with Nucleus servers");
		}
	}
	nc_pins_load(ctl);
	return 0;
}

void ctl_nucleus_start(struct omni_ctl *ctl)
{
	struct ctl_nucleus *nc = ctl->nucleus;

	if (nc == NULL)
		return;
	for (unsigned int i = 0; i < nc->n_servers; i++) {
		struct nc_server *server = &nc->server[i];

		server->dns = ctl_name_add(ctl, server->conf->host, server->conf->port,
					   on_addresses, server);
	}
	nc->started = true;
	ctl_nucleus_tick(ctl, ctl_now(ctl));
}

uint32_t nc_server_index(const struct nc_session *s)
{
	return (uint32_t)(s->server - s->ctl->nucleus->server);
}

uint32_t ctl_nucleus_servers(const struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	const struct ctl_nucleus *nc = ctl->nucleus;
	uint32_t servers = 0;

	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++)
		if (nc->session[i].cluster == c && nc->session[i].registered)
			servers |= UINT32_C(1) << nc_server_index(&nc->session[i]);
	return servers;
}

unsigned int ctl_nucleus_addresses(const struct omni_ctl *ctl, struct omni_ip *out,
				   unsigned int max)
{
	const struct ctl_nucleus *nc = ctl->nucleus;
	unsigned int n = 0;

	for (unsigned int i = 0; nc != NULL && i < nc->n_servers; i++)
		for (unsigned int k = 0; k < nc->server[i].n_addresses && n < max; k++)
			out[n++] = nc->server[i].address[k].ip;
	return n;
}

void ctl_nucleus_ask(struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	struct ctl_nucleus *nc = ctl->nucleus;
	uint64_t now = ctl_now(ctl);

	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++)
		if (nc->session[i].cluster == c)
			nc_requests_tick(&nc->session[i], now);
}

void ctl_nucleus_bye(struct omni_ctl *ctl)
{
	struct ctl_nucleus *nc = ctl->nucleus;

	for (unsigned int i = 0; nc != NULL && i < nc->n_sessions; i++)
		nc_bye(&nc->session[i]);
}

static void session_fini(struct nc_session *s)
{
	ctl_hs_cancel(s->ctl, s->hs);
	s->hs = NULL;
	kp_drop(s, 0);
	kp_drop(s, 1);
	set_held(s, &(struct omni_endpoint){0});
	nc_members_clear(s);
	ctl_index_fini(&s->by_key);
	ctl_index_fini(&s->by_vip);
	omni_peers_remove(s->ctl->conf.peers, s->pub, s->ctl->conf.rcu);
	omni_wipe(s, sizeof(*s));
}

void ctl_nucleus_fini(struct omni_ctl *ctl)
{
	struct ctl_nucleus *nc = ctl->nucleus;

	if (nc == NULL)
		return;
	for (unsigned int i = 0; i < nc->n_sessions; i++)
		session_fini(&nc->session[i]);
	for (unsigned int i = 0; i < nc->n_servers; i++)
		ctl_name_del(ctl, nc->server[i].dns);
	free(nc->session);
	free(nc);
	ctl->nucleus = NULL;
}
