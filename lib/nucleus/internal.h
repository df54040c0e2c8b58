/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of lib/nucleus share. */
#ifndef NUCLEUS_INTERNAL_H
#define NUCLEUS_INTERNAL_H

#include <stdbool.h>

#include <omni_clock.h>
#include <omni_cookie.h>
#include <omni_handshake.h>
#include <omni_nucleus.h>
#include <omni_record.h>
#include <omni_replay.h>
#include <omni_signal.h>

#include "table.h"

/* A session is kept this long after its last handshake: longer than its keys and any cookie. */
#define SESSION_LIFE_S 300
/* One that no data message ever confirmed: whoever can answer makes them without end. */
#define UNCONFIRMED_LIFE_S 10
#define KEYS_PER_SESSION 3

/* Rates: one each interval, and a burst. */
#define ANSWER_INTERVAL_NS (OMNI_NS_PER_S / 256) /* hello and STUN, per prefix */
#define ANSWER_BURST 1024
#define HANDSHAKE_INTERVAL_NS (OMNI_NS_PER_S / 256) /* initiations opened, per prefix */
#define HANDSHAKE_BURST 1024
#define REQUEST_INTERVAL_NS (OMNI_NS_PER_S / 100) /* per session */
#define REQUEST_BURST 500
#define REGISTER_INTERVAL_NS (OMNI_NS_PER_S / 256) /* records verified, per prefix */
#define REGISTER_BURST 1024
#define PUNCH_INTERVAL_NS (OMNI_NS_PER_S / 20) /* per asker, and per target */
#define PUNCH_BURST 100
#define RATE_SLOTS 8192 /* prefixes share these by their hash */

/* Entries of one HEARTBEAT_ACK: with IPv6 VIPs they still fit. */
#define DELTA_PEERS_MAX 14
#define DELTA_REMOVED_MAX 20
#define DELTA_STEPS_MAX 256 /* changes looked at, most of which may have been undone */
#define LOG_MIN 64
#define LOG_MAX 8192

/* What a source or an identity has; there as long as any of it is. */
struct owner {
	uint8_t key[OMNI_KEY_LEN];
	uint32_t sessions, members, rooms;
};

struct session;

/* One pair of transport keys. */
struct keys {
	uint64_t id, remote_id; /* ours and the edge's session id */
	struct omni_noise_keys noise;
	uint64_t sequence; /* next to send */
	struct omni_replay replay;
	uint64_t created_ns;
	struct omni_endpoint proved; /* where the initiation came from, with its address cookie */
	bool confirmed;		     /* a data message came */
	struct session *session;
};

/* All of one (cluster, key). */
struct session {
	struct session_name {
		struct omni_key cluster_id, key;
	} name;
	uint8_t newest[OMNI_TAI64N_LEN];
	struct keys *keys[KEYS_PER_SESSION];
	struct omni_endpoint seen;
	uint64_t seen_key_ns; /* age of the keys that seen came under; 0: never confirmed */
	uint64_t handshake_ns;
	uint64_t newest_issued; /* of this key's records */
	uint64_t request_tat, asked_tat, punched_tat;
	struct owner *source, *identity;
	struct member *member; /* NULL: not registered */
};

struct member {
	struct omni_key key;
	struct omni_ip vip;
	uint64_t registration, lease_end_ns;
	uint64_t record_end_s; /* with what clocks may differ */
	size_t index;	       /* in the room's list */
	struct room *room;
	struct session *session;
	size_t record_len;
	uint8_t record[OMNI_RECORD_MAX];
};

/* A change, kept for HEARTBEAT_ACK. */
struct change {
	struct omni_ip vip;
	struct omni_key key;
	bool joined;
};

struct room {
	struct omni_key cluster_id;
	struct omni_epoch epoch; /* of the last change */
	struct table by_key, by_vip;
	struct member **list; /* stable indices, holes are NULL: LIST's cursor */
	size_t list_len, list_size;
	struct change *log; /* of counter c: at c modulo log_size */
	size_t log_size;
	struct owner *source, *identity; /* of who opened it */
};

struct omni_nucleus {
	struct omni_identity identity;
	struct omni_cookie_maker cookies;
	struct omni_key hash_secret;
	struct omni_nucleus_limits limits;
	void (*random)(void *p, size_t len);
	struct omni_key *allow;
	size_t n_allow;
	struct table rooms, sessions, sources, identities;
	size_t n_members, n_keys;
	struct keys **slots; /* by the index in a session id */
	uint64_t *slot_ids;  /* the last id that each had */
	size_t n_slots, first_free;
	uint64_t answer_tat[RATE_SLOTS], handshake_tat[RATE_SLOTS], register_tat[RATE_SLOTS];
	uint64_t counters[OMNI_NUCLEUS_COUNTER_COUNT];
	struct {
		struct omni_endpoint to;
		size_t len; /* 0: none */
		uint8_t datagram[OMNI_NUCLEUS_OUT_MAX];
	} punch;
};

#define COUNT(n, name) ((n)->counters[OMNI_NUCLEUS_##name]++)

/* ---- limit.c ---- */

/* Take one from a rate (generic cell rate algorithm, ITU-T I.371); false: over it. */
bool rate_take(uint64_t *tat, uint64_t now_ns, uint64_t interval_ns, uint64_t burst);
/* The IPv4 address, or the /56 of an IPv6 address, zero-padded. */
void source_key(uint8_t key[OMNI_KEY_LEN], const struct omni_ip *ip);
size_t source_rate_slot(const struct omni_nucleus *n, const struct omni_ip *ip);
/* Find or make; NULL: no memory. An owner that nothing is charged to ends with owner_put(). */
struct owner *owner_get(struct table *t, const uint8_t key[OMNI_KEY_LEN]);
void owner_put(struct table *t, struct owner *o);
bool is_allowed(const struct omni_nucleus *n, const struct omni_key *cluster_id);

/* ---- session.c ---- */

size_t session_initiation(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  const struct omni_endpoint *from, const uint8_t *in,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX]);
size_t session_data(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		    const struct omni_endpoint *from, const uint8_t *in, size_t len,
		    uint8_t out[OMNI_NUCLEUS_OUT_MAX]);
/*
 * Seal the len bytes of CBOR for s and say where to. Returns the datagram's length, 0: it has no
 * key, or where it is was never proved, so that nothing unasked may go there.
 */
size_t session_send(struct session *s, uint64_t now_ns, const uint8_t *cbor, size_t len,
		    struct omni_endpoint *to, uint8_t out[OMNI_NUCLEUS_OUT_MAX]);
void session_free(struct omni_nucleus *n, struct session *s);
/* End keys that are too old; true where the session itself is over. */
bool session_expire(struct omni_nucleus *n, struct session *s, uint64_t now_ns);

/* ---- request.c ---- */

/* Serve the message of len bytes; returns the length of the answer's CBOR in out, 0: none. */
size_t request_serve(struct omni_nucleus *n, const struct omni_nucleus_time *now, struct session *s,
		     const uint8_t *in, size_t len, uint8_t out[OMNI_CBOR_MAX]);

/* ---- room.c ---- */

/* Register or renew; rec was opened from the record_len bytes at record. */
enum omni_signal_result room_join(struct omni_nucleus *n, struct session *s,
				  const struct omni_record *rec, const uint8_t *record,
				  size_t record_len, uint64_t now_ns);
/* Remove a member, and its room with the last one. */
void room_leave(struct omni_nucleus *n, struct member *m);
void room_delta(const struct room *room, const struct member *self, const struct omni_epoch *since,
		struct omni_signal *answer);
void room_list(const struct room *room, uint64_t cursor, struct omni_signal *answer);

/* ---- stun.c ---- */

#define STUN_ANSWER_MAX 44
/* Answer a plain binding request; 0: it is none. The length and magic are already checked. */
size_t stun_answer(uint8_t out[STUN_ANSWER_MAX], const uint8_t *in, size_t len,
		   const struct omni_endpoint *from);

#endif
