/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The messages between an edge and a Nucleus (docs/protocol.md, "Nucleus"): one CBOR map each,
 * at most OMNI_CBOR_MAX bytes, the payload of a data message of kind control on lane 0.
 * Pure, any thread.
 */
#ifndef OMNI_SIGNAL_H
#define OMNI_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_wire.h>

enum omni_signal_type {
	OMNI_SIGNAL_REGISTER = 1, /* edge: id, record */
	OMNI_SIGNAL_REGISTER_ACK =
		2,		   /* id, result; if 0: registration, seen, lease, epoch, count */
	OMNI_SIGNAL_HEARTBEAT = 3, /* edge: id, registration, count, epoch */
	OMNI_SIGNAL_HEARTBEAT_ACK = 4, /* id, epoch, peers?, removed?, more?, resync? */
	OMNI_SIGNAL_LIST = 5,	       /* edge: id, cursor (0 to begin) */
	OMNI_SIGNAL_LIST_ACK = 6,      /* id, epoch, peers, cursor? (none: this was the last) */
	OMNI_SIGNAL_QUERY_PEER = 7,    /* edge: id, vip or key */
	OMNI_SIGNAL_PEER_INFO = 8,     /* id, found; if so: record, seen */
	OMNI_SIGNAL_PUNCH = 9,	       /* Nucleus: record, seen; no id, no answer */
	OMNI_SIGNAL_BYE = 10,	       /* edge: registration; no id, no answer */
	OMNI_SIGNAL_ERROR = 11,	       /* id, code, text? */
	OMNI_SIGNAL_TYPE_COUNT,
};

/* Map keys: one number means the same in every message. Unknown ones are stepped over. */
enum omni_signal_field {
	OMNI_FIELD_TYPE = 0,	     /* enum omni_signal_type */
	OMNI_FIELD_ID = 1,	     /* of the request, repeated by its answer; 32 bits */
	OMNI_FIELD_RECORD = 2,	     /* [bytes, signature, signature]: omni_record.h */
	OMNI_FIELD_RESULT = 3,	     /* enum omni_signal_result */
	OMNI_FIELD_REGISTRATION = 4, /* 64 bits */
	OMNI_FIELD_SEEN = 5,	     /* [address (4 or 16 bytes), port]: as the Nucleus sees it */
	OMNI_FIELD_LEASE = 6,	     /* seconds */
	OMNI_FIELD_EPOCH = 7,	     /* [instance (8 bytes), counter] */
	OMNI_FIELD_COUNT = 8,	     /* members of the room, or peers that the edge knows */
	OMNI_FIELD_PEERS = 9,	     /* [[VIP, X25519 key], ...] */
	OMNI_FIELD_REMOVED = 10,     /* [VIP, ...] */
	OMNI_FIELD_MORE = 11,	     /* true: ask again at once with the epoch given */
	OMNI_FIELD_CURSOR = 12,	     /* opaque but for 0 */
	OMNI_FIELD_VIP = 13,	     /* 4 or 16 bytes */
	OMNI_FIELD_KEY = 14,	     /* X25519, 32 bytes */
	OMNI_FIELD_FOUND = 15,	     /* true or false */
	OMNI_FIELD_CODE = 16,	     /* enum omni_signal_code */
	OMNI_FIELD_TEXT = 17,	     /* at most 80 bytes */
	OMNI_FIELD_RESYNC = 18,	     /* true: the last epoch says nothing here, LIST again */
	OMNI_FIELD_KNOWN,
};

/* Why a REGISTER was refused. */
enum omni_signal_result {
	OMNI_SIGNAL_OK = 0,
	OMNI_SIGNAL_VIP_HELD = 1,      /* another key holds the VIP's lease */
	OMNI_SIGNAL_BAD_RECORD = 2,    /* malformed, or not of this session's key */
	OMNI_SIGNAL_FORGED = 3,	       /* a signature is wrong */
	OMNI_SIGNAL_EXPIRED = 4,       /* or not yet valid: compare the clocks */
	OMNI_SIGNAL_OLDER = 5,	       /* a newer record of this key was seen */
	OMNI_SIGNAL_NOT_ALLOWED = 6,   /* the cluster is not on this Nucleus's list */
	OMNI_SIGNAL_FULL = 7,	       /* a limit of the room, the Nucleus or the source */
	OMNI_SIGNAL_OTHER_CLUSTER = 8, /* this session serves another cluster */
	OMNI_SIGNAL_RESULT_COUNT,
};

/* Codes of ERROR. */
enum omni_signal_code {
	OMNI_SIGNAL_E_MALFORMED = 1,
	OMNI_SIGNAL_E_UNREGISTERED = 2, /* REGISTER first, or again: the lease has ended */
	OMNI_SIGNAL_E_UNEXPECTED = 3,	/* not a message for a Nucleus */
	OMNI_SIGNAL_E_RATE = 4,		/* ask less often */
	OMNI_SIGNAL_CODE_COUNT,
};

/* More than fits in a message is refused; what a Nucleus sends always fits with these. */
#define OMNI_SIGNAL_PEERS_MAX 20
#define OMNI_SIGNAL_REMOVED_MAX 20
#define OMNI_SIGNAL_TEXT_MAX 80

/* The state of a room: entries of one instance are counted from 1. */
struct omni_epoch {
	uint64_t instance;
	uint64_t counter;
};

struct omni_signal_peer {
	struct omni_ip vip;
	struct omni_key key; /* X25519 */
};

/*
 * Every field of every message; which of them a type has stands at omni_signal_type, `has` says
 * which optional ones are there (bit 1 << OMNI_FIELD_...). Encoding takes the required ones
 * without their bits, and arrays by their counts. record is a view: into the decoded bytes, or
 * of what omni_record_create() made.
 */
struct omni_signal {
	enum omni_signal_type type;
	uint32_t has;
	uint32_t id;
	const uint8_t *record;
	size_t record_len;
	enum omni_signal_result result;
	uint64_t registration;
	struct omni_endpoint seen;
	uint32_t lease_s;
	struct omni_epoch epoch;
	uint32_t count;
	size_t n_peers;
	struct omni_signal_peer peers[OMNI_SIGNAL_PEERS_MAX];
	size_t n_removed;
	struct omni_ip removed[OMNI_SIGNAL_REMOVED_MAX];
	bool more;
	bool resync;
	uint64_t cursor; /* LIST_ACK: 0 is none */
	struct omni_ip vip;
	struct omni_key key;
	bool found;
	uint32_t code;
	char text[OMNI_SIGNAL_TEXT_MAX + 1];
};

static inline bool omni_signal_has(const struct omni_signal *m, enum omni_signal_field field)
{
	return (m->has >> field & 1) != 0;
}

/*
 * Encode m into out. Returns the length, or -ENOSPC when it does not fit in OMNI_CBOR_MAX bytes.
 * Asserts that the type is known.
 */
int omni_signal_encode(uint8_t out[OMNI_CBOR_MAX], const struct omni_signal *m) OMNI_MUST_CHECK;

/*
 * Decode len bytes. -EBADMSG: not CBOR, too long, an unknown type, a field missing or of the
 * wrong form. -EILSEQ: not deterministic. -ELOOP: nested too deeply. What a record contains is
 * not looked at: omni_record_open().
 */
int omni_signal_decode(struct omni_signal *m, const uint8_t *p, size_t len) OMNI_MUST_CHECK;

/* Names for people: "REGISTER", "VIP held by another", ...; "?" for a value out of range. */
const char *omni_signal_type_name(unsigned int type);
const char *omni_signal_result_name(unsigned int result);

#endif
