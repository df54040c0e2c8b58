/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The Nucleus: the rendezvous service's registry and its protocol (docs/protocol.md, "Nucleus"),
 * without sockets: a datagram and the time in, at most one datagram out, to where the first came
 * from, and at most one to a member that it asked for. One thread.
 */
#ifndef OMNI_NUCLEUS_H
#define OMNI_NUCLEUS_H

#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_identity.h>
#include <omni_wire.h>

/* Every counter: name, sentence. What comes in ends in exactly one of the drops, or is served. */
#define OMNI_NUCLEUS_COUNTERS(X)                                                                \
	X(rx, "datagrams received")                                                             \
	X(tx, "datagrams answered")                                                             \
	X(hello, "hellos answered")                                                             \
	X(stun, "STUN binding requests answered")                                               \
	X(handshake, "handshakes completed")                                                    \
	X(handshake_denied, "handshakes refused: the cluster is not on the list")               \
	X(handshake_full, "handshakes refused: a limit is reached")                             \
	X(handshake_mismatch, "handshakes refused: no version or cipher in common")             \
	X(request, "requests served")                                                           \
	X(keepalive, "keepalives received")                                                     \
	X(registered, "members registered, renewals not counted")                               \
	X(left, "members that said BYE")                                                        \
	X(lease_expired, "members whose lease ended")                                           \
	X(punched, "members told of another that is about to contact them")                     \
	X(punch_limited, "members not told so because of a rate, or at an unproved address")    \
	X(refused_vip_held, "registrations refused: VIP held by another key")                   \
	X(refused_malformed, "registrations refused: record malformed")                         \
	X(refused_foreign, "registrations refused: record of another cluster")                  \
	X(refused_other_key, "registrations refused: record of another key than the session's") \
	X(refused_forged_member, "registrations refused: the identity's signature is wrong")    \
	X(refused_forged_cluster, "registrations refused: the cluster's signature is wrong")    \
	X(refused_expired, "registrations refused: record expired")                             \
	X(refused_not_yet, "registrations refused: record issued in the future")                \
	X(refused_older, "registrations refused: record older than one seen before")            \
	X(refused_full, "registrations refused: a limit is reached")                            \
	X(error_unregistered, "requests answered with an error: not registered")                \
	X(error_malformed, "requests answered with an error: malformed")                        \
	X(error_unexpected, "requests answered with an error: not a request")                   \
	X(error_rate, "requests answered with an error: too many")                              \
	X(unproved, "answers withheld: longer than their request, to an address not proved")    \
	X(drop_unknown, "dropped: not of this protocol, or not for a Nucleus")                  \
	X(drop_length, "dropped: impossible length for its type")                               \
	X(drop_suite, "dropped: handshake in a suite not spoken here")                          \
	X(drop_source, "dropped: from port 0, which cannot be answered")                        \
	X(drop_rate, "dropped: unauthenticated, over the rate of its prefix")                   \
	X(drop_stun, "dropped: STUN, but not a plain binding request")                          \
	X(drop_mac1, "dropped: initiation not made for this Nucleus")                           \
	X(drop_mac2, "dropped: initiation without the address cookie")                          \
	X(drop_handshake, "dropped: initiation not authentic, or not for a Nucleus")            \
	X(drop_stale, "dropped: initiation not newer than the last of its key")                 \
	X(drop_session, "dropped: data for no session")                                         \
	X(drop_key_expired, "dropped: data under a key that is too old")                        \
	X(drop_header, "dropped: data header with a lane, flag or reserved byte set")           \
	X(drop_replay, "dropped: replayed, or older than the window")                           \
	X(drop_tag, "dropped: data not authentic")                                              \
	X(drop_kind, "dropped: authentic, of a kind that a Nucleus does not take")              \
	X(drop_memory, "dropped: out of memory")

enum omni_nucleus_counter {
#define X(name, text) OMNI_NUCLEUS_##name,
	OMNI_NUCLEUS_COUNTERS(X)
#undef X
	OMNI_NUCLEUS_COUNTER_COUNT,
};

/* Bounds; all at least 1. omni_nucleus_limits_default() fills them. */
struct omni_nucleus_limits {
	uint32_t rooms, members_per_room, members, sessions;
	/* Per source: an IPv4 address or an IPv6 /56. */
	uint32_t source_rooms, source_members, source_sessions;
	/* Per identity (X25519 key), over all clusters. */
	uint32_t key_rooms, key_sessions;
};

struct omni_nucleus_config {
	const struct omni_identity *identity; /* copied */
	const struct omni_key *allow;	      /* cluster ids to serve, copied; n_allow 0: all */
	size_t n_allow;
	struct omni_nucleus_limits limits;
	void (*random)(void *p, size_t len); /* omni_random, or a test's own */
};

struct omni_nucleus_time {
	uint64_t boot_ns; /* CLOCK_BOOTTIME: leases, keys, rates */
	uint64_t real_s;  /* CLOCK_REALTIME: validity of records */
};

/* Longest datagram that omni_nucleus_input() writes. */
#define OMNI_NUCLEUS_OUT_MAX (OMNI_DATA_OVERHEAD + OMNI_CBOR_MAX)

struct omni_nucleus;

void omni_nucleus_limits_default(struct omni_nucleus_limits *limits);

/* NULL when out of memory. The config may go after the call. */
struct omni_nucleus *omni_nucleus_create(const struct omni_nucleus_config *config);
/* Wipes the keys. NULL does nothing. */
void omni_nucleus_free(struct omni_nucleus *n);

/*
 * Take one datagram of len bytes from `from`. Returns the length of the answer in out, to be sent
 * to from; 0: none. Counts what happened.
 */
size_t omni_nucleus_input(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  const struct omni_endpoint *from, const uint8_t *in, size_t len,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX]);

/*
 * What the last datagram made to be sent to somebody else: a member hears of another that is
 * about to contact it (PUNCH). Returns its length, 0: nothing; once.
 */
size_t omni_nucleus_punch(struct omni_nucleus *n, struct omni_endpoint *to,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX]);

/* End leases, keys, sessions and rooms whose time has come. Call about once a second. */
void omni_nucleus_tick(struct omni_nucleus *n, const struct omni_nucleus_time *now);

struct omni_nucleus_sizes {
	size_t rooms, members, sessions, keys;
};

void omni_nucleus_sizes(const struct omni_nucleus *n, struct omni_nucleus_sizes *sizes);

/* A counter's present value, its name and its sentence. */
uint64_t omni_nucleus_counter(const struct omni_nucleus *n, enum omni_nucleus_counter c);
const char *omni_nucleus_counter_name(enum omni_nucleus_counter c);
const char *omni_nucleus_counter_text(enum omni_nucleus_counter c);

/* One member, for management. Views; valid during the call only. */
struct omni_nucleus_member {
	const struct omni_key *cluster_id, *key;
	const struct omni_ip *vip;
	const struct omni_endpoint *seen;
	uint64_t lease_left_s;
};

/* Call cb for every member. cb must not call into the Nucleus. */
void omni_nucleus_foreach(const struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  void (*cb)(void *arg, const struct omni_nucleus_member *member),
			  void *arg);

#endif
