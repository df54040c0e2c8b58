/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Control messages between peers: the payload of a data message of kind control on lane 0, one
 * deterministic CBOR map. Pure, any thread.
 */
#ifndef OMNI_CONTROL_H
#define OMNI_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_wire.h>

enum omni_control_type {
	OMNI_CONTROL_PROBE = 1,	 /* token; answer ECHO with it, to where it came from */
	OMNI_CONTROL_ECHO = 2,	 /* token */
	OMNI_CONTROL_MOVE = 3,	 /* token; send to where this came from, once it echoes a PROBE */
	OMNI_CONTROL_CLOSE = 4,	 /* reason; ends the session that it came in, and only that */
	OMNI_CONTROL_CUT = 5,	 /* of a segment a piece was missing: send frames in this session */
	OMNI_CONTROL_ROUTES = 6, /* version, first, total, prefixes: what is behind us */
	OMNI_CONTROL_WANT_ROUTES = 7, /* say all of it again */
	OMNI_CONTROL_TYPE_COUNT,
};

/* Map keys. Unknown ones are stepped over. */
enum omni_control_field {
	OMNI_CONTROL_F_TYPE = 0,
	OMNI_CONTROL_F_TOKEN = 1,  /* 8 random bytes */
	OMNI_CONTROL_F_REASON = 2, /* enum omni_close_reason */
	OMNI_CONTROL_F_PAD = 3,	   /* zero bytes, as many as wanted */
	OMNI_CONTROL_F_EVEN = 4,   /* 0: two bytes more, where no length of PAD gives the size */
	OMNI_CONTROL_F_VERSION = 5,
	OMNI_CONTROL_F_FIRST = 6,    /* place of the first prefix in the whole table */
	OMNI_CONTROL_F_TOTAL = 7,    /* prefixes of the whole table */
	OMNI_CONTROL_F_PREFIXES = 8, /* [[address, length], ...] */
};

enum omni_close_reason {
	OMNI_CLOSE_LEAVING = 0,	 /* the peer stops */
	OMNI_CLOSE_REMOVED = 1,	 /* configuration: no longer a peer */
	OMNI_CLOSE_REPLACED = 2, /* another session took over */
	OMNI_CLOSE_REASON_COUNT,
};

#define OMNI_CONTROL_TOKEN_LEN 8
/* Longest message, padding included: the payload of a datagram of 65535 bytes holds it. */
#define OMNI_CONTROL_MAX 65000
/* Padding reaches every size from here. */
#define OMNI_CONTROL_PADDED_MIN 24
/* In one message, which the datagrams of every path hold. */
#define OMNI_CONTROL_PREFIXES_MAX 20

struct omni_control {
	enum omni_control_type type;
	uint8_t token[OMNI_CONTROL_TOKEN_LEN];
	uint32_t reason;
	uint64_t version;
	uint32_t first, total;
	size_t n_prefixes;
	struct omni_prefix prefixes[OMNI_CONTROL_PREFIXES_MAX]; /* host bits are zero */
};

/*
 * Encode m. size 0: no padding. Otherwise the result is exactly size bytes, at least
 * OMNI_CONTROL_PADDED_MIN and at most OMNI_CONTROL_MAX. Returns the length; -ENOSPC when out_len
 * is too short, -EINVAL for another size. A PROBE that is to make a datagram of n bytes (IP
 * header included) has size n - OMNI_OVERHEAD_V4 or _V6.
 */
int omni_control_encode(uint8_t *out, size_t out_len, const struct omni_control *m,
			size_t size) OMNI_MUST_CHECK;

/* -EBADMSG, -EILSEQ and -ELOOP as omni_signal_decode(). */
int omni_control_decode(struct omni_control *m, const uint8_t *p, size_t len) OMNI_MUST_CHECK;

/* "PROBE", ...; "?" for a value out of range. */
const char *omni_control_type_name(unsigned int type);

#endif
