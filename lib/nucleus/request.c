/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a member asks, and the answer. */
#include <string.h>

#include "internal.h"

static void answer_error(struct omni_signal *answer, enum omni_signal_code code, const char *text)
{
	memset(answer, 0, sizeof(*answer));
	answer->type = OMNI_SIGNAL_ERROR;
	answer->code = code;
	answer->has = UINT32_C(1) << OMNI_FIELD_TEXT;
	strncpy(answer->text, text, sizeof(answer->text) - 1);
}

/* Count a verdict on a record and turn it into the reason that the member is told. */
static enum omni_signal_result verdict_result(struct omni_nucleus *n,
					      enum omni_record_verdict verdict)
{
	static const struct {
		enum omni_nucleus_counter counter;
		enum omni_signal_result result;
	} map[OMNI_RECORD_VERDICT_COUNT] = {
		[OMNI_RECORD_MALFORMED] = {OMNI_NUCLEUS_refused_malformed, OMNI_SIGNAL_BAD_RECORD},
		[OMNI_RECORD_FOREIGN] = {OMNI_NUCLEUS_refused_foreign, OMNI_SIGNAL_OTHER_CLUSTER},
		[OMNI_RECORD_OTHER_KEY] = {OMNI_NUCLEUS_refused_other_key, OMNI_SIGNAL_BAD_RECORD},
		[OMNI_RECORD_FORGED_MEMBER] = {OMNI_NUCLEUS_refused_forged_member,
					       OMNI_SIGNAL_FORGED},
		[OMNI_RECORD_FORGED_CLUSTER] = {OMNI_NUCLEUS_refused_forged_cluster,
						OMNI_SIGNAL_FORGED},
		[OMNI_RECORD_EXPIRED] = {OMNI_NUCLEUS_refused_expired, OMNI_SIGNAL_EXPIRED},
		[OMNI_RECORD_NOT_YET] = {OMNI_NUCLEUS_refused_not_yet, OMNI_SIGNAL_EXPIRED},
		[OMNI_RECORD_OLDER] = {OMNI_NUCLEUS_refused_older, OMNI_SIGNAL_OLDER},
	};

	n->counters[map[verdict].counter]++;
	return map[verdict].result;
}

static enum omni_signal_result try_register(struct omni_nucleus *n,
					    const struct omni_nucleus_time *now, struct session *s,
					    const struct omni_signal *m)
{
	struct omni_record_check check = {.cluster_id = &s->name.cluster_id,
					  .key = &s->name.key,
					  .now_s = now->real_s,
					  .newest_issued = s->newest_issued};
	struct omni_record rec;
	enum omni_record_verdict verdict = omni_record_open(&rec, m->record, m->record_len, &check);
	enum omni_signal_result result;

	if (verdict != OMNI_RECORD_OK)
		return verdict_result(n, verdict);
	result = room_join(n, s, &rec, m->record, m->record_len, now->boot_ns);
	if (result == OMNI_SIGNAL_VIP_HELD)
		COUNT(n, refused_vip_held);
	else if (result == OMNI_SIGNAL_FULL)
		COUNT(n, refused_full);
	return result;
}

/* The very record that was verified before: then it need not be again. */
static bool is_renewal(const struct session *s, const struct omni_signal *m,
		       const struct omni_nucleus_time *now)
{
	const struct member *self = s->member;

	return self != NULL && self->lease_end_ns > now->boot_ns &&
	       self->record_end_s >= now->real_s && self->record_len == m->record_len &&
	       memcmp(self->record, m->record, m->record_len) == 0;
}

static void serve_register(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			   struct session *s, const struct omni_signal *m,
			   struct omni_signal *answer)
{
	answer->type = OMNI_SIGNAL_REGISTER_ACK;
	if (is_renewal(s, m, now))
		s->member->lease_end_ns = now->boot_ns + OMNI_LEASE_S * OMNI_NS_PER_S;
	else
		answer->result = try_register(n, now, s, m);
	if (answer->result != OMNI_SIGNAL_OK)
		return;
	answer->registration = s->member->registration;
	answer->seen = s->seen;
	answer->lease_s = OMNI_LEASE_S;
	answer->epoch = s->member->room->epoch;
	answer->count = (uint32_t)s->member->room->by_key.used;
}

static void serve_heartbeat(const struct omni_nucleus_time *now, struct session *s,
			    const struct omni_signal *m, struct omni_signal *answer)
{
	answer->type = OMNI_SIGNAL_HEARTBEAT_ACK;
	s->member->lease_end_ns = now->boot_ns + OMNI_LEASE_S * OMNI_NS_PER_S;
	room_delta(s->member->room, s->member, &m->epoch, answer);
}

/* The target opens its way for the asker: it calls, too. */
static void punch(struct omni_nucleus *n, const struct omni_nucleus_time *now, struct session *s,
		  struct session *target)
{
	struct omni_signal m = {
		.type = OMNI_SIGNAL_PUNCH,
		.record = s->member->record,
		.record_len = s->member->record_len,
		.seen = s->seen,
	};
	uint8_t cbor[OMNI_CBOR_MAX];
	int len = omni_signal_encode(cbor, &m);

	if (s == target || len <= 0)
		return;
	if (rate_take(&s->asked_tat, now->boot_ns, PUNCH_INTERVAL_NS, PUNCH_BURST) &&
	    rate_take(&target->punched_tat, now->boot_ns, PUNCH_INTERVAL_NS, PUNCH_BURST))
		n->punch.len = session_send(target, now->boot_ns, cbor, (size_t)len, &n->punch.to,
					    n->punch.datagram);
	if (n->punch.len > 0)
		COUNT(n, punched);
	else
		COUNT(n, punch_limited);
}

static void serve_query(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			struct session *s, const struct omni_signal *m, struct omni_signal *answer)
{
	const struct room *room = s->member->room;
	const struct member *peer = omni_signal_has(m, OMNI_FIELD_KEY)
					    ? table_find(&room->by_key, &m->key)
					    : table_find(&room->by_vip, &m->vip);

	answer->type = OMNI_SIGNAL_PEER_INFO;
	if (peer == NULL)
		return;
	answer->found = true;
	answer->record = peer->record;
	answer->record_len = peer->record_len;
	answer->seen = peer->session->seen;
	/* By address members of L3 clusters ask, when packets wait; others keep a mesh. */
	if (!omni_signal_has(m, OMNI_FIELD_KEY))
		punch(n, now, s, peer->session);
}

/* A lease may have ended since the last tick; a record that has expired serves nobody. */
static bool is_registered(const struct session *s, const struct omni_signal *m,
			  const struct omni_nucleus_time *now)
{
	if (s->member == NULL || s->member->lease_end_ns <= now->boot_ns ||
	    s->member->record_end_s < now->real_s)
		return false;
	return !omni_signal_has(m, OMNI_FIELD_REGISTRATION) ||
	       m->registration == s->member->registration;
}

static void serve_member(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			 struct session *s, const struct omni_signal *m, struct omni_signal *answer)
{
	switch (m->type) {
	case OMNI_SIGNAL_HEARTBEAT:
		return serve_heartbeat(now, s, m, answer);
	case OMNI_SIGNAL_LIST:
		answer->type = OMNI_SIGNAL_LIST_ACK;
		return room_list(s->member->room, m->cursor, answer);
	case OMNI_SIGNAL_QUERY_PEER:
		return serve_query(n, now, s, m, answer);
	case OMNI_SIGNAL_BYE:
		room_leave(n, s->member);
		COUNT(n, left);
		return;
	default:
		COUNT(n, error_unexpected);
		answer_error(answer, OMNI_SIGNAL_E_UNEXPECTED, "not a request");
	}
}

/* Two signatures to verify: the sessions of one source share a rate. */
static bool may_register(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			 const struct session *s, const struct omni_signal *m)
{
	if (is_renewal(s, m, now))
		return true;
	return rate_take(&n->register_tat[source_rate_slot(n, &s->seen.ip)], now->boot_ns,
			 REGISTER_INTERVAL_NS, REGISTER_BURST);
}

static void answer_rate(struct omni_nucleus *n, struct omni_signal *answer)
{
	COUNT(n, error_rate);
	answer_error(answer, OMNI_SIGNAL_E_RATE, "too many requests");
}

static void serve(struct omni_nucleus *n, const struct omni_nucleus_time *now, struct session *s,
		  const struct omni_signal *m, struct omni_signal *answer)
{
	if (m->type == OMNI_SIGNAL_REGISTER && may_register(n, now, s, m))
		return serve_register(n, now, s, m, answer);
	if (m->type == OMNI_SIGNAL_REGISTER)
		return answer_rate(n, answer);
	if (is_registered(s, m, now))
		return serve_member(n, now, s, m, answer);
	if (m->type == OMNI_SIGNAL_BYE)
		return;
	COUNT(n, error_unregistered);
	answer_error(answer, OMNI_SIGNAL_E_UNREGISTERED, "not registered");
}

size_t request_serve(struct omni_nucleus *n, const struct omni_nucleus_time *now, struct session *s,
		     const uint8_t *in, size_t len, uint8_t out[OMNI_CBOR_MAX])
{
	struct omni_signal m, answer = {0};
	int encoded;

	COUNT(n, request);
	if (omni_signal_decode(&m, in, len) != 0) {
		COUNT(n, error_malformed);
		answer_error(&answer, OMNI_SIGNAL_E_MALFORMED, "malformed");
		m.id = 0;
	} else if (!rate_take(&s->request_tat, now->boot_ns, REQUEST_INTERVAL_NS, REQUEST_BURST)) {
		answer_rate(n, &answer);
	} else {
		serve(n, now, s, &m, &answer);
	}
	if (answer.type == 0)
		return 0;
	answer.id = m.id;
	encoded = omni_signal_encode(out, &answer);
	return encoded > 0 ? (size_t)encoded : 0;
}
