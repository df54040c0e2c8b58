/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The Omni dialect of the handshake (docs/protocol.md, "Handshake"): a 512-byte initiation and a
 * 192-byte response around the Noise core. Pure: no sockets; clock, session ids and ephemeral
 * secrets are arguments. Control thread.
 *
 * Initiator: initiation_create, (cookie_open, initiation_create again,) response_open.
 * Responder: initiation_mac1_valid, (mac2, cookie_reply,) initiation_open, look the cluster up by
 * its id, proof_valid, negotiate, response_create. In the responder's hands a struct omni_hs
 * lives between initiation_open and response_create only.
 */
#ifndef OMNI_HANDSHAKE_H
#define OMNI_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_clock.h>
#include <omni_cookie.h>
#include <omni_noise.h>
#include <omni_wire.h>

/* What the handshake is for: it chooses the prologue. */
enum omni_hs_purpose {
	OMNI_HS_PEER,	 /* between members */
	OMNI_HS_NUCLEUS, /* edge to Nucleus: zero PSK, zero proof */
};

/* The initiation's payload. */
struct omni_hs_offer {
	uint8_t timestamp[OMNI_TAI64N_LEN];
	struct omni_key cluster_id;
	struct omni_ip vip;  /* none towards a Nucleus */
	uint8_t mode;	     /* enum omni_mode */
	uint8_t version;     /* highest spoken */
	uint8_t ciphers[2];  /* enum omni_cipher by preference; 0: none */
	uint16_t lanes_send; /* wanted to send on, lane 0 included: 1 to OMNI_LANES_MAX */
	uint16_t lanes_accept;
	uint16_t largest_frame; /* bytes */
	uint16_t features;	/* OMNI_FEATURE_* */
};

/* The response's payload, from the responder's view. */
struct omni_hs_answer {
	uint8_t result; /* enum omni_result; the rest counts only when accepted */
	uint8_t version;
	uint8_t cipher; /* enum omni_cipher */
	uint16_t lanes_you_send, lanes_i_send;
	uint16_t largest_frame; /* the smaller of both sides' */
	uint16_t features;	/* the responder's own */
	struct omni_ip vip;	/* the responder's */
};

/* What a responder speaks, for omni_hs_negotiate. */
struct omni_hs_policy {
	uint8_t mode;
	uint8_t version;		   /* highest spoken; all from 1 on are */
	bool ciphers[OMNI_CIPHER_COUNT];   /* allowed, by enum omni_cipher */
	uint16_t lanes_send, lanes_accept; /* 1 to OMNI_LANES_MAX */
	uint16_t largest_frame;
	uint16_t features;
	struct omni_ip vip;
};

/* A handshake under way; holds secrets. Read remote, local_id and remote_id; the rest is private.
 */
struct omni_hs {
	struct omni_key remote; /* the other's X25519 static key */
	uint64_t local_id;	/* session id that this side chose */
	uint64_t remote_id;	/* session id that the other chose */
	struct omni_noise noise;
	uint8_t proof_hash[OMNI_HASH_LEN]; /* the handshake hash that the proof is made of */
	struct omni_key proof;
	struct omni_hs_offer offer;
	uint8_t mac1[OMNI_MAC_LEN]; /* of the message sent: what a cookie reply answers */
	bool awaits_response;
	bool awaits_cookie;
};

/* Arguments of omni_hs_initiation_create. */
struct omni_hs_start {
	enum omni_hs_purpose purpose;
	const struct omni_dh_pair *self;
	const struct omni_key *remote; /* responder's static key */
	const struct omni_key
		*ephemeral; /* 32 fresh random bytes: used once, wiped by the caller */
	const struct omni_key *proof_key; /* NULL: a proof of zeros (static cluster, Nucleus) */
	const struct omni_cookie *cookie; /* held for this remote, or NULL */
	const struct omni_hs_offer *offer;
	uint64_t session_id; /* top bit set */
	uint64_t now_ns;     /* the clock that cookie ages by */
};

/*
 * Write an initiation and start hs (whatever was in it is overwritten). -EINVAL: remote is a
 * point of low order; hs and out are then all zero.
 */
int omni_hs_initiation_create(struct omni_hs *hs, struct omni_initiation *out,
			      const struct omni_hs_start *start) OMNI_MUST_CHECK;

/* True where header and mac1 fit this receiver. Cheap; for the time before any DH. */
bool omni_hs_initiation_mac1_valid(const struct omni_initiation *in, const struct omni_key *self);

/*
 * Open an initiation: hs->remote is then the initiator's static key and offer (copied out) its
 * authenticated payload. Nothing says yet that it is a member, or that the message is no replay:
 * see omni_hs_proof_valid, and compare offer->timestamp with the newest of that (cluster, key).
 * -EBADMSG: header, mac1, a tag or the header's copy is wrong, -EINVAL: a point of low order,
 * -EPROTO: authentic, but nonsense (lane counts). hs is wiped after an error.
 */
int omni_hs_initiation_open(struct omni_hs *hs, struct omni_hs_offer *offer,
			    const struct omni_initiation *in, enum omni_hs_purpose purpose,
			    const struct omni_dh_pair *self) OMNI_MUST_CHECK;

/* True where the initiator proved that it knows proof_key. Constant time. */
bool omni_hs_proof_valid(const struct omni_hs *hs, const struct omni_key *proof_key);
/* True where the proof is zeros: a static cluster's, or towards a Nucleus. */
bool omni_hs_proof_is_zero(const struct omni_hs *hs);

/*
 * The answer of policy to offer: version the lower of both, cipher the initiator's first that is
 * allowed, lanes and largest frame the smaller. result is accepted, version, cipher or mode;
 * the caller may overwrite it with a refusal of its own.
 */
void omni_hs_negotiate(struct omni_hs_answer *answer, const struct omni_hs_offer *offer,
		       const struct omni_hs_policy *policy);

/* Arguments of omni_hs_response_create. */
struct omni_hs_reply {
	const struct omni_key *psk;	  /* NULL: zeros */
	const struct omni_key *ephemeral; /* 32 fresh random bytes: used once */
	const struct omni_cookie *cookie; /* held for this remote, or NULL */
	const struct omni_hs_answer *answer;
	uint64_t session_id; /* top bit set */
	uint64_t now_ns;
};

/*
 * Write the response and the transport keys (zero unless the answer accepts), wipe hs.
 * -EINVAL: a point of low order; out and keys are then all zero.
 */
int omni_hs_response_create(struct omni_hs *hs, struct omni_response *out,
			    struct omni_noise_keys *keys,
			    const struct omni_hs_reply *reply) OMNI_MUST_CHECK;

/*
 * Open the response to hs, whose local_id is the response's receiver id. On success hs is wiped
 * but for remote, local_id and remote_id; keys are zero where answer refuses.
 * -EBADMSG, -EINVAL: not the response to hs, which still waits: a forged one ends nothing.
 * -EPROTO: authentic, but it accepts what was not offered: hs is wiped.
 */
int omni_hs_response_open(struct omni_hs *hs, struct omni_hs_answer *answer,
			  struct omni_noise_keys *keys, const struct omni_response *in,
			  const struct omni_dh_pair *self,
			  const struct omni_key *psk) OMNI_MUST_CHECK;

/*
 * Responder under load: the cookie reply to a message with a valid mac1. sender_id is that
 * message's, from its network bytes; nonce is random.
 */
void omni_hs_cookie_reply(struct omni_cookie_reply *out, const struct omni_cookie_maker *maker,
			  const uint8_t sender_id[8], const uint8_t mac1[OMNI_MAC_LEN],
			  const struct omni_key *self, const struct omni_endpoint *from,
			  const uint8_t nonce[OMNI_XNONCE_LEN], uint64_t now_ns);

/*
 * Initiator: take the cookie out of a reply to hs's initiation and hold it; then send a new
 * initiation after OMNI_REKEY_TIMEOUT_S. One reply per initiation counts. -EBADMSG: not an
 * answer to it.
 */
int omni_hs_cookie_open(struct omni_hs *hs, struct omni_cookie *cookie,
			const struct omni_cookie_reply *in, uint64_t now_ns) OMNI_MUST_CHECK;

void omni_hs_wipe(struct omni_hs *hs);

#endif
