/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "internal.h"

/* Defaults: a /32 may hide a site's thousand boxes behind its NAT. */
#define ROOMS 4096
#define MEMBERS_PER_ROOM 4096
#define MEMBERS 65536
#define SESSIONS 131072
#define SOURCE_ROOMS 256
#define SOURCE_MEMBERS 4096
#define SOURCE_SESSIONS 8192
#define KEY_ROOMS 64
#define KEY_SESSIONS 128

void omni_nucleus_limits_default(struct omni_nucleus_limits *limits)
{
	*limits = (struct omni_nucleus_limits){
		.rooms = ROOMS,
		.members_per_room = MEMBERS_PER_ROOM,
		.members = MEMBERS,
		.sessions = SESSIONS,
		.source_rooms = SOURCE_ROOMS,
		.source_members = SOURCE_MEMBERS,
		.source_sessions = SOURCE_SESSIONS,
		.key_rooms = KEY_ROOMS,
		.key_sessions = KEY_SESSIONS,
	};
}

struct omni_nucleus *omni_nucleus_create(const struct omni_nucleus_config *config)
{
	struct omni_nucleus *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	if (config->n_allow > 0) {
		n->allow = calloc(config->n_allow, sizeof(*n->allow));
		if (n->allow == NULL) {
			free(n);
			return NULL;
		}
		memcpy(n->allow, config->allow, config->n_allow * sizeof(*n->allow));
		n->n_allow = config->n_allow;
	}
	n->identity = *config->identity;
	n->limits = config->limits;
	n->random = config->random;
	n->random(&n->cookies.secret, sizeof(n->cookies.secret));
	n->random(&n->hash_secret, sizeof(n->hash_secret));
	table_init(&n->rooms, offsetof(struct room, cluster_id), OMNI_KEY_LEN, &n->hash_secret);
	table_init(&n->sessions, offsetof(struct session, name), sizeof(struct session_name),
		   &n->hash_secret);
	table_init(&n->sources, offsetof(struct owner, key), OMNI_KEY_LEN, &n->hash_secret);
	table_init(&n->identities, offsetof(struct owner, key), OMNI_KEY_LEN, &n->hash_secret);
	return n;
}

/* Sessions whose time has come, or all of them, with their members. */
static void end_sessions(struct omni_nucleus *n, uint64_t now_ns, bool all)
{
	struct session *s;
	size_t at = 0;

	while ((s = table_next(&n->sessions, &at)) != NULL) {
		if (s->member != NULL && (all || s->member->lease_end_ns <= now_ns)) {
			room_leave(n, s->member);
			COUNT(n, lease_expired);
		}
		if (all || session_expire(n, s, now_ns)) {
			session_free(n, s);
			at--; /* the table may have shifted another one here */
		}
	}
}

void omni_nucleus_free(struct omni_nucleus *n)
{
	if (n == NULL)
		return;
	/* One walk can miss what shifted around the table's end. */
	while (n->sessions.used > 0)
		end_sessions(n, 0, true);
	table_free(&n->sessions);
	table_free(&n->rooms);
	table_free(&n->sources);
	table_free(&n->identities);
	free(n->slots);
	free(n->slot_ids);
	free(n->allow);
	omni_wipe(n, sizeof(*n));
	free(n);
}

void omni_nucleus_tick(struct omni_nucleus *n, const struct omni_nucleus_time *now)
{
	end_sessions(n, now->boot_ns, false);
}

static bool may_answer(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		       const struct omni_endpoint *from)
{
	size_t slot = source_rate_slot(n, &from->ip);

	if (rate_take(&n->answer_tat[slot], now->boot_ns, ANSWER_INTERVAL_NS, ANSWER_BURST))
		return true;
	COUNT(n, drop_rate);
	return false;
}

static size_t hello(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		    const struct omni_endpoint *from, const uint8_t *in, uint8_t *out)
{
	const struct omni_hello *ask = (const void *)in;
	struct omni_hello_answer *answer = (void *)out;

	if (!may_answer(n, now, from))
		return 0;
	memset(answer, 0, sizeof(*answer));
	answer->type = OMNI_TYPE_HELLO;
	answer->code = OMNI_HELLO_ANSWER;
	memcpy(answer->nonce, ask->nonce, sizeof(answer->nonce));
	memcpy(answer->nucleus_key, &n->identity.dh.public, sizeof(answer->nucleus_key));
	omni_cookie_make(answer->cookie, &n->cookies, from, now->boot_ns);
	COUNT(n, hello);
	return sizeof(*answer);
}

static size_t stun(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		   const struct omni_endpoint *from, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t answer[STUN_ANSWER_MAX];
	size_t answer_len = stun_answer(answer, in, len, from);

	if (answer_len == 0) {
		COUNT(n, drop_stun);
		return 0;
	}
	if (!may_answer(n, now, from))
		return 0;
	memcpy(out, answer, answer_len);
	COUNT(n, stun);
	return answer_len;
}

static size_t dispatch(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		       const struct omni_endpoint *from, const uint8_t *in, size_t len,
		       uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	switch (omni_wire_classify(in, len)) {
	case OMNI_CLASS_DATA:
		return session_data(n, now, from, in, len, out);
	case OMNI_CLASS_INITIATION:
		return session_initiation(n, now, from, in, out);
	case OMNI_CLASS_HELLO:
		return hello(n, now, from, in, out);
	case OMNI_CLASS_STUN:
		return stun(n, now, from, in, len, out);
	case OMNI_CLASS_BAD_LEN:
		COUNT(n, drop_length);
		return 0;
	case OMNI_CLASS_BAD_SUITE:
		COUNT(n, drop_suite);
		return 0;
	default:
		COUNT(n, drop_unknown);
		return 0;
	}
}

size_t omni_nucleus_input(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  const struct omni_endpoint *from, const uint8_t *in, size_t len,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	size_t answer;

	COUNT(n, rx);
	n->punch.len = 0;
	if (from->port == 0) {
		COUNT(n, drop_source);
		return 0;
	}
	answer = dispatch(n, now, from, in, len, out);
	if (answer > 0)
		COUNT(n, tx);
	return answer;
}

size_t omni_nucleus_punch(struct omni_nucleus *n, struct omni_endpoint *to,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	size_t len = n->punch.len;

	n->punch.len = 0;
	if (len == 0)
		return 0;
	*to = n->punch.to;
	memcpy(out, n->punch.datagram, len);
	return len;
}

void omni_nucleus_sizes(const struct omni_nucleus *n, struct omni_nucleus_sizes *sizes)
{
	*sizes = (struct omni_nucleus_sizes){
		.rooms = n->rooms.used,
		.members = n->n_members,
		.sessions = n->sessions.used,
		.keys = n->n_keys,
	};
}

uint64_t omni_nucleus_counter(const struct omni_nucleus *n, enum omni_nucleus_counter c)
{
	return n->counters[c];
}

const char *omni_nucleus_counter_name(enum omni_nucleus_counter c)
{
	static const char *const names[] = {
#define X(name, text) #name,
		OMNI_NUCLEUS_COUNTERS(X)
#undef X
	};

	return names[c];
}

const char *omni_nucleus_counter_text(enum omni_nucleus_counter c)
{
	static const char *const texts[] = {
#define X(name, text) text,
		OMNI_NUCLEUS_COUNTERS(X)
#undef X
	};

	return texts[c];
}

void omni_nucleus_foreach(const struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  void (*cb)(void *arg, const struct omni_nucleus_member *member),
			  void *arg)
{
	const struct session *s;
	size_t at = 0;

	while ((s = table_next(&n->sessions, &at)) != NULL) {
		const struct member *m = s->member;

		if (m == NULL || m->lease_end_ns <= now->boot_ns)
			continue;
		cb(arg, &(struct omni_nucleus_member){
				.cluster_id = &s->name.cluster_id,
				.key = &m->key,
				.vip = &m->vip,
				.seen = &s->seen,
				.lease_left_s = (m->lease_end_ns - now->boot_ns) / OMNI_NS_PER_S,
			});
	}
}
