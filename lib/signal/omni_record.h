/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Member records (docs/protocol.md, "Identity"): what a member says about itself, signed by its
 * identity and by the cluster's key. It travels as a CBOR array [bytes, signature of the
 * identity, signature of the cluster]; bytes is a deterministic CBOR map, and both signatures
 * are Ed25519 over OMNI_RECORD_CONTEXT (with its zero byte) followed by bytes as they came.
 * Pure (the time is an argument), any thread.
 */
#ifndef OMNI_RECORD_H
#define OMNI_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_crypto.h>
#include <omni_wire.h>

#define OMNI_RECORD_CONTEXT "omni record v1" /* its terminating zero is signed too */
#define OMNI_RECORD_CONTEXT_LEN sizeof(OMNI_RECORD_CONTEXT)
#define OMNI_RECORD_VERSION 1
/* Room for the longest record with its signatures. */
#define OMNI_RECORD_MAX 512

/* Map keys. Unknown ones are stepped over (and signed). */
enum omni_record_field {
	OMNI_RECORD_F_VERSION = 0,
	OMNI_RECORD_F_CLUSTER = 1,    /* 32 bytes */
	OMNI_RECORD_F_ED25519 = 2,    /* 32 bytes */
	OMNI_RECORD_F_VIP = 3,	      /* 4 or 16 bytes */
	OMNI_RECORD_F_DIALECTS = 4,   /* bits of enum omni_dialect */
	OMNI_RECORD_F_CANDIDATES = 5, /* [[address, port], ...], at most 8 */
	OMNI_RECORD_F_ISSUED = 6,     /* seconds since 1970 */
	OMNI_RECORD_F_EXPIRES = 7,
	OMNI_RECORD_F_KNOWN,
};

struct omni_record {
	struct omni_key cluster_id;
	struct omni_key ed25519;
	struct omni_key key; /* X25519, from ed25519: the member's name. Set by open, not read */
	struct omni_ip vip;
	uint32_t dialects;
	size_t n_candidates;
	struct omni_endpoint candidates[OMNI_RECORD_CANDIDATES_MAX];
	uint64_t issued, expires; /* seconds since 1970 */
};

enum omni_record_verdict {
	OMNI_RECORD_OK,
	OMNI_RECORD_MALFORMED,	   /* not deterministic CBOR, a field missing or out of range */
	OMNI_RECORD_FOREIGN,	   /* of another cluster */
	OMNI_RECORD_OTHER_KEY,	   /* Ed25519 key does not convert to the expected X25519 key */
	OMNI_RECORD_FORGED_MEMBER, /* the identity's signature is wrong */
	OMNI_RECORD_FORGED_CLUSTER,
	OMNI_RECORD_EXPIRED,
	OMNI_RECORD_NOT_YET, /* issued in the future, beyond what clocks may differ */
	OMNI_RECORD_OLDER,   /* than the newest seen of this key */
	OMNI_RECORD_VERDICT_COUNT,
};

struct omni_record_check {
	const struct omni_key *cluster_id; /* the record must be of this cluster; NULL: any */
	const struct omni_key *key;	   /* X25519 key it must belong to; NULL: any */
	uint64_t now_s;			   /* seconds since 1970 */
	uint64_t newest_issued;		   /* of this key so far; 0: none seen */
};

/*
 * Make a record of what rec says (its key is not read) and sign it. Returns the length.
 * -EINVAL: a field that omni_record_open() would refuse, or keys that do not fit the record.
 */
int omni_record_create(uint8_t out[OMNI_RECORD_MAX], const struct omni_record *rec,
		       const struct omni_sign_secret *identity,
		       const struct omni_sign_secret *cluster) OMNI_MUST_CHECK;

/*
 * Check the len bytes at p (the whole array) against check, cheap checks first, and fill rec.
 * Candidates that can be no host's address are left out of rec (omni_ip_is_unicast(), port not
 * 0), not refused. On any other verdict than OMNI_RECORD_OK rec is not to be used, but for
 * OMNI_RECORD_FOREIGN and later, where its fields stand as claimed.
 */
enum omni_record_verdict omni_record_open(struct omni_record *rec, const uint8_t *p, size_t len,
					  const struct omni_record_check *check) OMNI_MUST_CHECK;

/* A sentence's end for people and counters: "forged_member", ... */
const char *omni_record_verdict_name(enum omni_record_verdict verdict);

#endif
