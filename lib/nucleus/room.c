/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rooms: who is a member, under which address, and what changed since when. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <omni_keytree.h>

#include "internal.h"

#define LIST_MIN 8

/* ---- The log of changes ---- */

static struct change *change_at(const struct room *room, uint64_t counter)
{
	return &room->log[counter & (room->log_size - 1)];
}

/* Let the log grow with the room: all of it may leave and come back between two heartbeats. */
static void log_grow(struct room *room)
{
	size_t size = room->log_size * 2;
	struct room wider = *room;

	if (room->epoch.counter < room->log_size || size > LOG_MAX ||
	    size > OMNI_MAX(LOG_MIN, 4 * room->list_size))
		return;
	wider.log = calloc(size, sizeof(*wider.log));
	if (wider.log == NULL)
		return; /* the log stays short, and heartbeats ask for a resync instead */
	wider.log_size = size;
	for (uint64_t i = 0; i < room->log_size; i++) {
		uint64_t counter = room->epoch.counter - i;

		*change_at(&wider, counter) = *change_at(room, counter);
	}
	free(room->log);
	room->log = wider.log;
	room->log_size = size;
}

static void log_add(struct room *room, const struct member *m, bool joined)
{
	log_grow(room);
	room->epoch.counter++;
	*change_at(room, room->epoch.counter) =
		(struct change){.vip = m->vip, .key = m->key, .joined = joined};
}

static bool has_peer(const struct omni_signal *answer, const struct omni_ip *vip)
{
	for (size_t i = 0; i < answer->n_peers; i++) {
		if (omni_ip_equal(&answer->peers[i].vip, vip))
			return true;
	}
	return false;
}

static bool has_removed(const struct omni_signal *answer, const struct omni_ip *vip)
{
	for (size_t i = 0; i < answer->n_removed; i++) {
		if (omni_ip_equal(&answer->removed[i], vip))
			return true;
	}
	return false;
}

/*
 * What a change means now: someone joined who is still there, or an address that nobody holds.
 * Anything else was undone by a later change, which the log still has.
 */
static void delta_add(const struct room *room, const struct member *self, const struct change *c,
		      struct omni_signal *answer)
{
	const struct member *holder = table_find(&room->by_vip, &c->vip);

	if (holder == self)
		return;
	if (c->joined && holder != NULL && memcmp(&holder->key, &c->key, sizeof(c->key)) == 0 &&
	    !has_peer(answer, &c->vip))
		answer->peers[answer->n_peers++] =
			(struct omni_signal_peer){.vip = c->vip, .key = c->key};
	else if (!c->joined && holder == NULL && !has_removed(answer, &c->vip))
		answer->removed[answer->n_removed++] = c->vip;
}

void room_delta(const struct room *room, const struct member *self, const struct omni_epoch *since,
		struct omni_signal *answer)
{
	uint64_t behind = room->epoch.counter - since->counter, steps = 0;

	answer->epoch = room->epoch;
	if (since->instance != room->epoch.instance || since->counter > room->epoch.counter ||
	    behind > room->log_size) {
		answer->resync = true;
		return;
	}
	answer->epoch.counter = since->counter;
	while (answer->epoch.counter < room->epoch.counter && steps++ < DELTA_STEPS_MAX &&
	       answer->n_peers < DELTA_PEERS_MAX && answer->n_removed < DELTA_REMOVED_MAX)
		delta_add(room, self, change_at(room, ++answer->epoch.counter), answer);
	answer->more = answer->epoch.counter < room->epoch.counter;
}

void room_list(const struct room *room, uint64_t cursor, struct omni_signal *answer)
{
	size_t i = cursor < room->list_len ? (size_t)cursor : room->list_len;

	answer->epoch = room->epoch;
	for (; i < room->list_len && answer->n_peers < OMNI_SIGNAL_PEERS_MAX; i++) {
		const struct member *m = room->list[i];

		if (m != NULL)
			answer->peers[answer->n_peers++] =
				(struct omni_signal_peer){.vip = m->vip, .key = m->key};
	}
	answer->cursor = i < room->list_len ? i : 0;
}

/* ---- The list ---- */

static int list_add(struct room *room, struct member *m)
{
	size_t i = 0;

	/* A hole first, so that the list stays as long as the room was full. */
	if (room->by_key.used < room->list_len) {
		while (room->list[i] != NULL)
			i++;
	} else {
		i = room->list_len;
	}
	if (i == room->list_size) {
		size_t size = room->list_size > 0 ? 2 * room->list_size : LIST_MIN;
		struct member **list = reallocarray(room->list, size, sizeof(struct member *));

		if (list == NULL)
			return -ENOMEM;
		room->list = list;
		room->list_size = size;
	}
	room->list[i] = m;
	m->index = i;
	room->list_len = OMNI_MAX(room->list_len, i + 1);
	return 0;
}

static void list_remove(struct room *room, const struct member *m)
{
	room->list[m->index] = NULL;
	while (room->list_len > 0 && room->list[room->list_len - 1] == NULL)
		room->list_len--;
}

/* ---- Rooms ---- */

static void room_free(struct room *room)
{
	table_free(&room->by_key);
	table_free(&room->by_vip);
	free(room->list);
	free(room->log);
	free(room);
}

static struct room *room_open(struct omni_nucleus *n, struct session *s)
{
	struct room *room = calloc(1, sizeof(*room));

	if (room == NULL)
		return NULL;
	room->cluster_id = s->name.cluster_id;
	table_init(&room->by_key, offsetof(struct member, key), OMNI_KEY_LEN, &n->hash_secret);
	table_init(&room->by_vip, offsetof(struct member, vip), OMNI_VIP_LEN, &n->hash_secret);
	n->random(&room->epoch.instance, sizeof(room->epoch.instance));
	room->log_size = LOG_MIN;
	room->log = calloc(room->log_size, sizeof(*room->log));
	if (room->log == NULL || table_insert(&n->rooms, room) != 0) {
		room_free(room);
		return NULL;
	}
	room->source = s->source;
	room->identity = s->identity;
	room->source->rooms++;
	room->identity->rooms++;
	return room;
}

static void room_close(struct omni_nucleus *n, struct room *room)
{
	table_remove(&n->rooms, room);
	room->source->rooms--;
	room->identity->rooms--;
	owner_put(&n->sources, room->source);
	owner_put(&n->identities, room->identity);
	room_free(room);
}

static bool may_open(const struct omni_nucleus *n, const struct session *s)
{
	return n->rooms.used < n->limits.rooms && s->source->rooms < n->limits.source_rooms &&
	       s->identity->rooms < n->limits.key_rooms;
}

static bool may_join(const struct omni_nucleus *n, const struct session *s, const struct room *room)
{
	return n->n_members < n->limits.members &&
	       (room == NULL || room->by_key.used < n->limits.members_per_room) &&
	       s->source->members < n->limits.source_members;
}

/* ---- Members ---- */

static struct member *member_add(struct omni_nucleus *n, struct room *room, struct session *s,
				 const struct omni_ip *vip)
{
	struct member *m = calloc(1, sizeof(*m));
	uint32_t registration;

	if (m == NULL)
		return NULL;
	m->key = s->name.key;
	m->vip = *vip;
	if (list_add(room, m) != 0)
		goto no_list;
	if (table_insert(&room->by_key, m) != 0)
		goto no_key;
	if (table_insert(&room->by_vip, m) != 0)
		goto no_vip;
	n->random(&registration, sizeof(registration));
	m->registration = registration;
	m->room = room;
	m->session = s;
	s->member = m;
	s->source->members++;
	s->identity->members++;
	n->n_members++;
	log_add(room, m, true);
	COUNT(n, registered);
	return m;
no_vip:
	table_remove(&room->by_key, m);
no_key:
	list_remove(room, m);
no_list:
	free(m);
	return NULL;
}

void room_leave(struct omni_nucleus *n, struct member *m)
{
	struct room *room = m->room;

	log_add(room, m, false);
	table_remove(&room->by_vip, m);
	table_remove(&room->by_key, m);
	list_remove(room, m);
	m->session->source->members--;
	m->session->identity->members--;
	m->session->member = NULL;
	n->n_members--;
	free(m);
	if (room->by_key.used == 0)
		room_close(n, room);
}

/* To a VIP that nobody holds. */
static void member_move(struct member *m, const struct omni_ip *vip)
{
	int err;

	log_add(m->room, m, false);
	table_remove(&m->room->by_vip, m);
	m->vip = *vip;
	err = table_insert(&m->room->by_vip, m);
	assert(err == 0); /* room for one was just made: the table did not grow */
	(void)err;
	log_add(m->room, m, true);
}

static struct member *member_new(struct omni_nucleus *n, struct room *room, struct session *s,
				 const struct omni_ip *vip)
{
	struct room *opened = NULL;
	struct member *m;

	if (!may_join(n, s, room) || (room == NULL && !may_open(n, s)))
		return NULL;
	if (room == NULL)
		room = opened = room_open(n, s);
	if (room == NULL)
		return NULL;
	m = member_add(n, room, s, vip);
	if (m == NULL && opened != NULL)
		room_close(n, opened);
	return m;
}

/* It follows from the member's key: whoever else took it gives way. */
static bool is_derived(const struct session *s, const struct omni_ip *vip)
{
	struct omni_ip derived = omni_vip_auto(&s->name.key);

	return omni_ip_equal(vip, &derived);
}

enum omni_signal_result room_join(struct omni_nucleus *n, struct session *s,
				  const struct omni_record *rec, const uint8_t *record,
				  size_t record_len, uint64_t now_ns)
{
	struct room *room = table_find(&n->rooms, &s->name.cluster_id);
	struct member *holder = room != NULL ? table_find(&room->by_vip, &rec->vip) : NULL;
	struct member *m = s->member;

	if (holder != NULL && holder != m) {
		if (!is_derived(s, &rec->vip))
			return OMNI_SIGNAL_VIP_HELD;
		room_leave(n, holder);
		holder = NULL;
		room = table_find(&n->rooms, &s->name.cluster_id); /* it was the last one */
	}
	if (m == NULL)
		m = member_new(n, room, s, &rec->vip);
	else if (holder == NULL)
		member_move(m, &rec->vip);
	if (m == NULL)
		return OMNI_SIGNAL_FULL;
	memcpy(m->record, record, record_len);
	m->record_len = record_len;
	m->record_end_s = rec->expires + OMNI_RECORD_SKEW_S;
	m->lease_end_ns = now_ns + OMNI_LEASE_S * OMNI_NS_PER_S;
	s->newest_issued = rec->issued;
	return OMNI_SIGNAL_OK;
}
