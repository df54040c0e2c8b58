/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is asked of a Nucleus, and what its answers change. */
#include "l3.h"
#include "nucleus_client.h"

#define MAIN 0 /* request slot of everything but QUERY_PEER */

static bool is_by_vip(const struct nc_request *r)
{
	return !omni_ip_is_none(&r->vip);
}

void nc_requests_clear(struct nc_session *s)
{
	for (unsigned int i = 0; i < NC_REQUESTS; i++) {
		struct nc_member *m = NULL;

		if (s->request[i].type == OMNI_SIGNAL_QUERY_PEER && is_by_vip(&s->request[i]))
			ctl_ask_lost(s->ctl, s->cluster, &s->request[i].vip, nc_server_index(s));
		else if (s->request[i].type == OMNI_SIGNAL_QUERY_PEER)
			m = nc_member_find(s, &s->request[i].key);
		if (m != NULL)
			m->asked = false; /* asked again when its time comes */
		s->request[i].type = 0;
	}
}

/* ---- Sending ---- */

static int fill(struct nc_session *s, const struct nc_request *r, struct omni_signal *m)
{
	*m = (struct omni_signal){.type = r->type, .id = r->id};
	switch (r->type) {
	case OMNI_SIGNAL_REGISTER:
		if (nc_record_update(s) != 0)
			return -EINVAL;
		m->record = s->record;
		m->record_len = s->record_len;
		return 0;
	case OMNI_SIGNAL_HEARTBEAT:
		m->registration = s->registration;
		m->count = s->cluster->n_sessions;
		m->epoch = s->epoch;
		return 0;
	case OMNI_SIGNAL_LIST:
		m->cursor = s->cursor;
		return 0;
	default: /* QUERY_PEER */
		m->key = r->key;
		m->vip = r->vip;
		m->has = UINT32_C(1) << (is_by_vip(r) ? OMNI_FIELD_VIP : OMNI_FIELD_KEY);
		return 0;
	}
}

static void send_request(struct nc_session *s, struct nc_request *r, uint64_t now)
{
	struct omni_signal m;
	uint8_t out[OMNI_CBOR_MAX];
	int len = fill(s, r, &m);

	r->tries++;
	r->sent_ns = now;
	if (len == 0)
		len = omni_signal_encode(out, &m);
	if (len > 0)
		(void)nc_send(s, out, (size_t)len); /* what does not leave is tried again */
}

static void ask(struct nc_session *s, struct nc_request *r, enum omni_signal_type type,
		uint64_t now)
{
	r->type = type;
	r->id = s->next_id++;
	r->tries = 0;
	send_request(s, r, now);
}

static bool main_is_due(struct nc_session *s, uint64_t now)
{
	if (!s->registered)
		return now >= s->register_ns;
	return nc_record_is_stale(s) || now >= s->heartbeat_ns || s->list_wanted;
}

/* Something is due. */
static void ask_main(struct nc_session *s, uint64_t now)
{
	struct nc_request *r = &s->request[MAIN];

	if (!s->registered || nc_record_is_stale(s)) {
		ask(s, r, OMNI_SIGNAL_REGISTER, now);
	} else if (now >= s->heartbeat_ns) {
		ask(s, r, OMNI_SIGNAL_HEARTBEAT, now);
	} else {
		if (s->cursor == 0)
			nc_members_list_begins(s);
		ask(s, r, OMNI_SIGNAL_LIST, now);
	}
}

static void ask_members(struct nc_session *s, uint64_t now)
{
	for (unsigned int i = MAIN + 1; i < NC_REQUESTS && !TAILQ_EMPTY(&s->wanted); i++) {
		struct nc_request *r = &s->request[i];
		struct nc_member *m;

		if (r->type != 0)
			continue;
		if (!ctl_bucket_take(&s->queries, now, NC_QUERIES_PER_S, NC_QUERIES_BURST))
			return;
		m = nc_member_next(s);
		m->asked = true;
		r->key = m->key;
		r->vip = (struct omni_ip){0};
		ask(s, r, OMNI_SIGNAL_QUERY_PEER, now);
	}
}

/* L3: whom packets wait for. */
static void ask_vips(struct nc_session *s, uint64_t now)
{
	uint32_t self = nc_server_index(s);
	struct ctl_ask *a;

	for (unsigned int i = MAIN + 1; i < NC_REQUESTS; i++) {
		struct nc_request *r = &s->request[i];

		if (r->type != 0)
			continue;
		a = ctl_ask_next(s->ctl, s->cluster, self);
		if (a == NULL ||
		    !ctl_bucket_take(&s->queries, now, NC_QUERIES_PER_S, NC_QUERIES_BURST))
			return;
		a->asked |= UINT32_C(1) << self;
		r->vip = a->vip;
		ask(s, r, OMNI_SIGNAL_QUERY_PEER, now);
	}
}

/* False where the session is lost. */
static bool try_again(struct nc_session *s, uint64_t now)
{
	for (unsigned int i = 0; i < NC_REQUESTS; i++) {
		struct nc_request *r = &s->request[i];

		if (r->type == 0 || (int64_t)(now - r->sent_ns) < (int64_t)NC_REQUEST_NS)
			continue;
		ctl_count(s->ctl, OMNI_STAT_ctl_nucleus_timeouts);
		if (s->silent_ns == 0)
			s->silent_ns = r->sent_ns;
		if (r->tries >= NC_TRIES) {
			nc_lost(s);
			return false;
		}
		send_request(s, r, now);
	}
	return true;
}

void nc_requests_tick(struct nc_session *s, uint64_t now)
{
	if (s->ctl->stopping || s->kp[0] == NULL || !try_again(s, now))
		return;
	if (s->registered && now - s->acked_ns >= s->lease_s * OMNI_NS_PER_S) {
		nc_lost(s);
		return;
	}
	if (s->silent_ns != 0)
		return; /* nothing new is asked before there is an answer, or are other keys */
	if (s->request[MAIN].type == 0 && main_is_due(s, now) &&
	    ctl_bucket_take(&s->asks, now, NC_ASKS_PER_S, NC_ASKS_BURST))
		ask_main(s, now);
	if (s->registered && s->cluster->l3 != NULL)
		ask_vips(s, now);
	else if (s->registered)
		ask_members(s, now);
}

void nc_bye(struct nc_session *s)
{
	struct omni_signal m = {.type = OMNI_SIGNAL_BYE, .registration = s->registration};
	uint8_t out[OMNI_CBOR_MAX];
	int len;

	if (!s->registered)
		return;
	len = omni_signal_encode(out, &m);
	if (len > 0)
		(void)nc_send(s, out, (size_t)len);
	s->registered = false;
}

/* ---- Answers ---- */

static uint64_t next_heartbeat(const struct nc_session *s, uint64_t now)
{
	if (!omni_endpoint_equal(&s->seen, &s->local))
		return now + NC_NAT_HEARTBEAT_NS + nc_jitter(NC_NAT_JITTER_NS);
	return now + OMNI_HEARTBEAT_S * OMNI_NS_PER_S - nc_jitter(NC_HEARTBEAT_JITTER_NS);
}

/* L2: everybody is listed from the beginning. L3: nobody, and what changes counts from now on. */
static void want_list(struct nc_session *s, const struct omni_epoch *epoch)
{
	s->list_wanted = s->cluster->l3 == NULL;
	s->cursor = 0;
	if (!s->list_wanted)
		s->epoch = *epoch;
}

static void refused(struct nc_session *s, const struct omni_signal *m, uint64_t now)
{
	char vip[OMNI_IP_TEXT_LEN];

	ctl_count(s->ctl, OMNI_STAT_ctl_nucleus_refused);
	if (s->refused != m->result)
		omni_log_warn(LOG_CTL, "nucleus refused to register us",
			      "nucleus=%s cluster=%s vip=%s reason=\"%s\"", s->server->text,
			      s->cluster->conf->name, omni_ip_text(vip, &s->cluster->vip),
			      omni_signal_result_name(m->result));
	s->refused = m->result;
	s->registered = false;
	s->register_ns = now + NC_REFUSED_NS + nc_jitter(NC_BACKOFF_MIN_NS);
}

static void on_register_ack(struct nc_session *s, const struct omni_signal *m, uint64_t now)
{
	char seen[OMNI_ENDPOINT_TEXT_LEN];

	if (m->result != OMNI_SIGNAL_OK) {
		refused(s, m, now);
		return;
	}
	s->seen = m->seen;
	if (!s->registered)
		omni_log_info(LOG_CTL, "registered", "nucleus=%s cluster=%s seen=%s members=%u",
			      s->server->text, s->cluster->conf->name,
			      omni_endpoint_text(seen, &m->seen), m->count);
	s->refused = OMNI_SIGNAL_OK;
	/* What happened while we were away is in the deltas, unless it is another instance. */
	if (m->epoch.instance != s->epoch.instance)
		want_list(s, &m->epoch);
	s->heartbeat_ns = s->registered || s->list_wanted ? next_heartbeat(s, now) : now;
	s->registered = true;
	s->registration = m->registration;
	s->lease_s = m->lease_s;
	s->acked_ns = now;
	nc_pin_remember(s);
}

static void on_heartbeat_ack(struct nc_session *s, const struct omni_signal *m, uint64_t now)
{
	s->acked_ns = now;
	s->heartbeat_ns = m->more ? now : next_heartbeat(s, now);
	if (m->resync || m->epoch.instance != s->epoch.instance) {
		if (!s->list_wanted)
			want_list(s, &m->epoch);
		return;
	}
	for (size_t i = 0; i < m->n_peers; i++)
		nc_member_listed(s, &m->peers[i]);
	for (size_t i = 0; i < m->n_removed; i++)
		nc_member_removed(s, &m->removed[i]);
	s->epoch = m->epoch;
}

static void on_list_ack(struct nc_session *s, const struct omni_signal *m)
{
	if (!s->list_wanted)
		return;
	if (s->cursor == 0) {
		s->list_epoch = m->epoch; /* what comes later is in the deltas since this one */
	} else if (m->epoch.instance != s->list_epoch.instance) {
		want_list(s, &m->epoch);
		return;
	}
	for (size_t i = 0; i < m->n_peers; i++)
		nc_member_listed(s, &m->peers[i]);
	if (m->cursor > s->cursor) {
		s->cursor = m->cursor;
		return;
	}
	s->list_wanted = false;
	s->cursor = 0;
	s->epoch = s->list_epoch;
	nc_members_list_ended(s);
}

static void on_error(struct nc_session *s, struct nc_request *r, const struct omni_signal *m,
		     uint64_t now)
{
	ctl_count(s->ctl, OMNI_STAT_ctl_nucleus_refused);
	if (m->code == OMNI_SIGNAL_E_RATE) {
		r->tries = 0;
		r->sent_ns = now + NC_REQUEST_NS; /* as if it went out then */
		return;
	}
	omni_log_debug(LOG_CTL, "nucleus answers with an error",
		       "nucleus=%s request=%s code=%u text=\"%s\"", s->server->text,
		       omni_signal_type_name(r->type), m->code, m->text);
	nc_requests_clear(s);
	if (m->code == OMNI_SIGNAL_E_UNREGISTERED) {
		s->registered = false;
		s->register_ns = now - s->error_ns < NC_UNREGISTERED_NS && s->error_ns != 0
					 ? now + NC_UNREGISTERED_NS
					 : now;
		s->error_ns = now;
		return;
	}
	/* It does not understand us: nothing that haste would mend. */
	s->registered = false;
	s->register_ns = now + NC_REFUSED_NS;
}

/* The request that an answer belongs to; NULL. */
static struct nc_request *request_of(struct nc_session *s, const struct omni_signal *m)
{
	static const enum omni_signal_type asks[OMNI_SIGNAL_TYPE_COUNT] = {
		[OMNI_SIGNAL_REGISTER_ACK] = OMNI_SIGNAL_REGISTER,
		[OMNI_SIGNAL_HEARTBEAT_ACK] = OMNI_SIGNAL_HEARTBEAT,
		[OMNI_SIGNAL_LIST_ACK] = OMNI_SIGNAL_LIST,
		[OMNI_SIGNAL_PEER_INFO] = OMNI_SIGNAL_QUERY_PEER,
	};

	for (unsigned int i = 0; i < NC_REQUESTS; i++) {
		struct nc_request *r = &s->request[i];

		if (r->type != 0 && r->id == m->id &&
		    (m->type == OMNI_SIGNAL_ERROR || r->type == asks[m->type]))
			return r;
	}
	return NULL;
}

static void take_answer(struct nc_session *s, struct nc_request *r, const struct omni_signal *m,
			uint64_t now)
{
	struct omni_key key = r->key;
	struct omni_ip vip = r->vip;

	if (m->type == OMNI_SIGNAL_ERROR) {
		on_error(s, r, m, now);
		return;
	}
	r->type = 0;
	switch (m->type) {
	case OMNI_SIGNAL_REGISTER_ACK:
		on_register_ack(s, m, now);
		break;
	case OMNI_SIGNAL_HEARTBEAT_ACK:
		on_heartbeat_ack(s, m, now);
		break;
	case OMNI_SIGNAL_LIST_ACK:
		on_list_ack(s, m);
		break;
	default: /* PEER_INFO */
		if (omni_ip_is_none(&vip))
			nc_member_info(s, &key, m);
		else
			nc_vip_info(s, &vip, m);
		break;
	}
}

void nc_answer(struct nc_session *s, const uint8_t *payload, size_t len)
{
	uint64_t now = ctl_now(s->ctl);
	struct nc_request *r;
	struct omni_signal m;

	if (omni_signal_decode(&m, payload, len) != 0) {
		ctl_count(s->ctl, OMNI_STAT_ctl_bad_control);
		return;
	}
	if (m.type == OMNI_SIGNAL_PUNCH) {
		nc_punch(s, &m);
		return;
	}
	r = request_of(s, &m);
	if (r == NULL)
		return; /* the answer to an earlier try, or to a session before this one */
	if (s->keying == NC_KEYING_NONE)
		s->silent_ns = 0;
	take_answer(s, r, &m, now);
	nc_requests_tick(s, now);
}
