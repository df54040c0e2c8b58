/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <omni_cursor.h>
#include <omni_handshake.h>
#include <omni_secret.h>

#define INIT_HEADER_LEN offsetof(struct omni_initiation, ephemeral)
#define RESP_HEADER_LEN offsetof(struct omni_response, ephemeral)
#define ID_TOP_BIT (UINT64_C(1) << 63)

static_assert(INIT_HEADER_LEN == sizeof((struct omni_init_payload){0}.header_copy), "copy");
static_assert(RESP_HEADER_LEN == sizeof((struct omni_resp_payload){0}.header_copy), "copy");

static void start_noise(struct omni_noise *s, enum omni_hs_purpose purpose,
			const struct omni_key *responder)
{
	static const char peer[] = "OmniNervous v1", nucleus[] = "OmniNervous v1 nucleus";

	if (purpose == OMNI_HS_NUCLEUS)
		omni_noise_init(s, nucleus, sizeof(nucleus) - 1, responder);
	else
		omni_noise_init(s, peer, sizeof(peer) - 1, responder);
}

static void make_proof(struct omni_key *proof, const struct omni_key *proof_key,
		       const uint8_t hash[OMNI_HASH_LEN])
{
	omni_mac(proof->b, sizeof(proof->b), proof_key, sizeof(*proof_key), hash, OMNI_HASH_LEN);
}

static bool lanes_ok(uint16_t lanes, uint16_t most)
{
	return lanes >= 1 && lanes <= most;
}

/* ---- Initiation ---- */

static void put_offer(struct omni_init_payload *p, const struct omni_hs_offer *offer)
{
	memcpy(p->timestamp, offer->timestamp, sizeof(p->timestamp));
	memcpy(p->cluster_id, &offer->cluster_id, sizeof(p->cluster_id));
	memcpy(p->vip, &offer->vip, sizeof(p->vip));
	p->mode = offer->mode;
	p->version = offer->version;
	memcpy(p->ciphers, offer->ciphers, sizeof(p->ciphers));
	omni_store_be16(p->lanes_send, offer->lanes_send);
	omni_store_be16(p->lanes_accept, offer->lanes_accept);
	omni_store_be16(p->largest_frame, offer->largest_frame);
	omni_store_be16(p->features, offer->features);
}

static void get_offer(struct omni_hs_offer *offer, const struct omni_init_payload *p)
{
	memcpy(offer->timestamp, p->timestamp, sizeof(p->timestamp));
	memcpy(&offer->cluster_id, p->cluster_id, sizeof(p->cluster_id));
	memcpy(&offer->vip, p->vip, sizeof(p->vip));
	offer->mode = p->mode;
	offer->version = p->version;
	memcpy(offer->ciphers, p->ciphers, sizeof(p->ciphers));
	offer->lanes_send = omni_load_be16(p->lanes_send);
	offer->lanes_accept = omni_load_be16(p->lanes_accept);
	offer->largest_frame = omni_load_be16(p->largest_frame);
	offer->features = omni_load_be16(p->features);
}

static void put_init_payload(struct omni_hs *hs, struct omni_initiation *out,
			     const struct omni_hs_start *start)
{
	struct omni_init_payload p = {0};

	memcpy(p.header_copy, out, sizeof(p.header_copy));
	put_offer(&p, start->offer);
	if (start->proof_key != NULL)
		make_proof(&hs->proof, start->proof_key, hs->noise.h);
	memcpy(p.member_proof, &hs->proof, sizeof(p.member_proof));
	omni_noise_seal(&hs->noise, out->enc_payload, &p, sizeof(p));
	omni_wipe(&p, sizeof(p));
}

int omni_hs_initiation_create(struct omni_hs *hs, struct omni_initiation *out,
			      const struct omni_hs_start *start)
{
	struct omni_key e;
	int rc;

	assert((start->session_id & ID_TOP_BIT) != 0);
	memset(hs, 0, sizeof(*hs));
	memset(out, 0, sizeof(*out));
	out->type = OMNI_TYPE_INITIATION;
	out->suite = OMNI_SUITE_25519;
	omni_store_be64(out->sender_id, start->session_id);

	start_noise(&hs->noise, start->purpose, start->remote);
	rc = omni_noise_write_1(&hs->noise, &e, out->enc_static, start->self, start->remote,
				start->ephemeral, NULL); /* -> e, es, s, ss */
	if (rc < 0) {
		omni_hs_wipe(hs);
		memset(out, 0, sizeof(*out));
		return rc;
	}
	memcpy(out->ephemeral, &e, sizeof(out->ephemeral));
	put_init_payload(hs, out, start);
	omni_macs_write((uint8_t *)out, sizeof(*out), start->remote, start->cookie, start->now_ns);

	hs->remote = *start->remote;
	hs->local_id = start->session_id;
	hs->offer = *start->offer;
	memcpy(hs->mac1, out->mac1, sizeof(hs->mac1));
	hs->awaits_response = true;
	hs->awaits_cookie = true;
	return 0;
}

bool omni_hs_initiation_mac1_valid(const struct omni_initiation *in, const struct omni_key *self)
{
	return in->type == OMNI_TYPE_INITIATION && in->suite == OMNI_SUITE_25519 &&
	       omni_is_zero_ct(in->zero2, sizeof(in->zero2)) &&
	       (omni_load_be64(in->sender_id) & ID_TOP_BIT) != 0 &&
	       omni_mac1_valid((const uint8_t *)in, sizeof(*in), self);
}

static int read_initiation(struct omni_hs *hs, struct omni_init_payload *p,
			   const struct omni_initiation *in, const struct omni_dh_pair *self)
{
	struct omni_key e;
	int rc;

	memcpy(&e, in->ephemeral, sizeof(e));
	rc = omni_noise_read_1(&hs->noise, &e, in->enc_static, self); /* -> e, es, s, ss */
	if (rc == 0)
		rc = omni_noise_read_1_ss(&hs->noise, self, NULL);
	if (rc < 0)
		return rc;
	memcpy(hs->proof_hash, hs->noise.h, sizeof(hs->proof_hash));
	rc = omni_noise_open(&hs->noise, p, sizeof(*p), in->enc_payload);
	if (rc < 0)
		return rc;
	if (!omni_equal_ct(p->header_copy, in, sizeof(p->header_copy)))
		return -EBADMSG;
	return 0;
}

int omni_hs_initiation_open(struct omni_hs *hs, struct omni_hs_offer *offer,
			    const struct omni_initiation *in, enum omni_hs_purpose purpose,
			    const struct omni_dh_pair *self)
{
	struct omni_init_payload p;
	int rc;

	memset(hs, 0, sizeof(*hs));
	if (!omni_hs_initiation_mac1_valid(in, &self->public))
		return -EBADMSG;
	start_noise(&hs->noise, purpose, &self->public);
	rc = read_initiation(hs, &p, in, self);
	if (rc == 0) {
		get_offer(&hs->offer, &p);
		memcpy(&hs->proof, p.member_proof, sizeof(hs->proof));
		if (!lanes_ok(hs->offer.lanes_send, OMNI_LANES_MAX) ||
		    !lanes_ok(hs->offer.lanes_accept, OMNI_LANES_MAX))
			rc = -EPROTO;
	}
	omni_wipe(&p, sizeof(p));
	if (rc < 0) {
		omni_hs_wipe(hs);
		return rc;
	}
	hs->remote = hs->noise.rs;
	hs->remote_id = omni_load_be64(in->sender_id);
	*offer = hs->offer;
	return 0;
}

bool omni_hs_proof_valid(const struct omni_hs *hs, const struct omni_key *proof_key)
{
	struct omni_key want;
	bool valid;

	make_proof(&want, proof_key, hs->proof_hash);
	valid = omni_equal_ct(&want, &hs->proof, sizeof(want));
	omni_wipe(&want, sizeof(want));
	return valid;
}

bool omni_hs_proof_is_zero(const struct omni_hs *hs)
{
	return omni_is_zero_ct(&hs->proof, sizeof(hs->proof));
}

/* ---- Response ---- */

static uint8_t pick_cipher(const struct omni_hs_offer *offer, const struct omni_hs_policy *policy)
{
	for (size_t i = 0; i < sizeof(offer->ciphers); i++) {
		uint8_t cipher = offer->ciphers[i];

		if (cipher != OMNI_CIPHER_NONE && cipher < OMNI_CIPHER_COUNT &&
		    policy->ciphers[cipher])
			return cipher;
	}
	return OMNI_CIPHER_NONE;
}

void omni_hs_negotiate(struct omni_hs_answer *answer, const struct omni_hs_offer *offer,
		       const struct omni_hs_policy *policy)
{
	*answer = (struct omni_hs_answer){
		.result = OMNI_RESULT_ACCEPTED,
		.version = OMNI_MIN(offer->version, policy->version),
		.cipher = pick_cipher(offer, policy),
		.lanes_you_send = OMNI_MIN(offer->lanes_send, policy->lanes_accept),
		.lanes_i_send = OMNI_MIN(policy->lanes_send, offer->lanes_accept),
		.largest_frame = OMNI_MIN(offer->largest_frame, policy->largest_frame),
		.features = policy->features,
		.vip = policy->vip,
	};
	if (answer->version == 0)
		answer->result = OMNI_RESULT_VERSION;
	else if (answer->cipher == OMNI_CIPHER_NONE)
		answer->result = OMNI_RESULT_CIPHER;
	else if (offer->mode != policy->mode)
		answer->result = OMNI_RESULT_MODE;
}

static void put_resp_payload(struct omni_noise *noise, struct omni_response *out,
			     const struct omni_hs_answer *answer)
{
	struct omni_resp_payload p = {
		.result = answer->result, .version = answer->version, .cipher = answer->cipher};

	memcpy(p.header_copy, out, sizeof(p.header_copy));
	omni_store_be16(p.lanes_you_send, answer->lanes_you_send);
	omni_store_be16(p.lanes_i_send, answer->lanes_i_send);
	omni_store_be16(p.largest_frame, answer->largest_frame);
	omni_store_be16(p.features, answer->features);
	memcpy(p.vip, &answer->vip, sizeof(p.vip));
	omni_noise_seal(noise, out->enc_payload, &p, sizeof(p));
}

static void get_answer(struct omni_hs_answer *answer, const struct omni_resp_payload *p)
{
	answer->result = p->result;
	answer->version = p->version;
	answer->cipher = p->cipher;
	answer->lanes_you_send = omni_load_be16(p->lanes_you_send);
	answer->lanes_i_send = omni_load_be16(p->lanes_i_send);
	answer->largest_frame = omni_load_be16(p->largest_frame);
	answer->features = omni_load_be16(p->features);
	memcpy(&answer->vip, p->vip, sizeof(p->vip));
}

/* Split; nobody keeps the keys of a refused session. */
static void take_keys(struct omni_noise *noise, bool initiator, uint8_t result,
		      struct omni_noise_keys *keys)
{
	omni_noise_split(noise, initiator, keys);
	if (result != OMNI_RESULT_ACCEPTED)
		omni_wipe(keys, sizeof(*keys));
}

int omni_hs_response_create(struct omni_hs *hs, struct omni_response *out,
			    struct omni_noise_keys *keys, const struct omni_hs_reply *reply)
{
	struct omni_key e;
	int rc;

	assert((reply->session_id & ID_TOP_BIT) != 0 && !hs->awaits_response);
	memset(keys, 0, sizeof(*keys));
	memset(out, 0, sizeof(*out));
	out->type = OMNI_TYPE_RESPONSE;
	out->suite = OMNI_SUITE_25519;
	omni_store_be64(out->sender_id, reply->session_id);
	omni_store_be64(out->receiver_id, hs->remote_id);

	rc = omni_noise_write_2(&hs->noise, &e, reply->psk,
				reply->ephemeral); /* <- e, ee, se, psk */
	if (rc < 0) {
		memset(out, 0, sizeof(*out));
	} else {
		memcpy(out->ephemeral, &e, sizeof(out->ephemeral));
		put_resp_payload(&hs->noise, out, reply->answer);
		omni_macs_write((uint8_t *)out, sizeof(*out), &hs->remote, reply->cookie,
				reply->now_ns);
		take_keys(&hs->noise, false, reply->answer->result, keys);
	}
	omni_hs_wipe(hs);
	return rc;
}

static bool is_response_to(const struct omni_hs *hs, const struct omni_response *in,
			   const struct omni_key *self)
{
	return hs->awaits_response && in->type == OMNI_TYPE_RESPONSE &&
	       in->suite == OMNI_SUITE_25519 && omni_is_zero_ct(in->zero2, sizeof(in->zero2)) &&
	       omni_load_be64(in->receiver_id) == hs->local_id &&
	       (omni_load_be64(in->sender_id) & ID_TOP_BIT) != 0 &&
	       omni_mac1_valid((const uint8_t *)in, sizeof(*in), self);
}

static int read_response(struct omni_noise *noise, struct omni_resp_payload *p,
			 const struct omni_response *in, const struct omni_dh_pair *self,
			 const struct omni_key *psk)
{
	struct omni_key e;
	int rc;

	memcpy(&e, in->ephemeral, sizeof(e));
	rc = omni_noise_read_2(noise, &e, self, psk); /* <- e, ee, se, psk */
	if (rc < 0)
		return rc;
	rc = omni_noise_open(noise, p, sizeof(*p), in->enc_payload);
	if (rc < 0)
		return rc;
	return omni_equal_ct(p->header_copy, in, sizeof(p->header_copy)) ? 0 : -EBADMSG;
}

/* An acceptance keeps within the offer. */
static bool answer_fits(const struct omni_hs_answer *answer, const struct omni_hs_offer *offer)
{
	if (answer->result != OMNI_RESULT_ACCEPTED)
		return true;
	return answer->version >= 1 && answer->version <= offer->version &&
	       answer->cipher != OMNI_CIPHER_NONE &&
	       (answer->cipher == offer->ciphers[0] || answer->cipher == offer->ciphers[1]) &&
	       lanes_ok(answer->lanes_you_send, offer->lanes_send) &&
	       lanes_ok(answer->lanes_i_send, offer->lanes_accept) &&
	       answer->largest_frame <= offer->largest_frame;
}

/* Wipe all that only the handshake needed. */
static void finish(struct omni_hs *hs, uint64_t remote_id)
{
	struct omni_key remote = hs->remote;
	uint64_t local_id = hs->local_id;

	omni_hs_wipe(hs);
	hs->remote = remote;
	hs->local_id = local_id;
	hs->remote_id = remote_id;
}

int omni_hs_response_open(struct omni_hs *hs, struct omni_hs_answer *answer,
			  struct omni_noise_keys *keys, const struct omni_response *in,
			  const struct omni_dh_pair *self, const struct omni_key *psk)
{
	struct omni_noise noise = hs->noise; /* hs survives a forged response */
	struct omni_resp_payload p;
	int rc;

	memset(keys, 0, sizeof(*keys));
	if (!is_response_to(hs, in, &self->public))
		rc = -EBADMSG;
	else
		rc = read_response(&noise, &p, in, self, psk);
	if (rc == 0) {
		get_answer(answer, &p);
		if (answer_fits(answer, &hs->offer)) {
			take_keys(&noise, true, answer->result, keys);
			finish(hs, omni_load_be64(in->sender_id));
		} else {
			omni_hs_wipe(hs);
			rc = -EPROTO;
		}
	}
	omni_wipe(&noise, sizeof(noise));
	omni_wipe(&p, sizeof(p));
	return rc;
}

/* ---- Cookies ---- */

void omni_hs_cookie_reply(struct omni_cookie_reply *out, const struct omni_cookie_maker *maker,
			  const uint8_t sender_id[8], const uint8_t mac1[OMNI_MAC_LEN],
			  const struct omni_key *self, const struct omni_endpoint *from,
			  const uint8_t nonce[OMNI_XNONCE_LEN], uint64_t now_ns)
{
	uint8_t value[OMNI_COOKIE_VALUE_LEN];

	memset(out, 0, sizeof(*out));
	out->type = OMNI_TYPE_COOKIE;
	out->suite = OMNI_SUITE_25519;
	memcpy(out->receiver_id, sender_id, sizeof(out->receiver_id));
	memcpy(out->nonce, nonce, sizeof(out->nonce));
	omni_cookie_make(value, maker, from, now_ns);
	omni_cookie_seal(out->enc_cookie, value, self, nonce, mac1);
	omni_wipe(value, sizeof(value));
}

int omni_hs_cookie_open(struct omni_hs *hs, struct omni_cookie *cookie,
			const struct omni_cookie_reply *in, uint64_t now_ns)
{
	uint8_t value[OMNI_COOKIE_VALUE_LEN];

	if (!hs->awaits_cookie || in->type != OMNI_TYPE_COOKIE || in->suite != OMNI_SUITE_25519 ||
	    !omni_is_zero_ct(in->zero2, sizeof(in->zero2)) ||
	    omni_load_be64(in->receiver_id) != hs->local_id)
		return -EBADMSG;
	if (omni_cookie_open(value, in->enc_cookie, &hs->remote, in->nonce, hs->mac1) < 0)
		return -EBADMSG;
	omni_cookie_hold(cookie, value, now_ns);
	omni_wipe(value, sizeof(value));
	hs->awaits_cookie = false;
	return 0;
}

void omni_hs_wipe(struct omni_hs *hs)
{
	omni_wipe(hs, sizeof(*hs));
}
