/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <omni_cursor.h>
#include <omni_secret.h>
#include <omni_wg.h>

static_assert(offsetof(struct omni_wg_initiation, mac1) + OMNI_MACS_LEN == OMNI_WG_INITIATION_LEN,
	      "macs are last");
static_assert(offsetof(struct omni_wg_response, mac1) + OMNI_MACS_LEN == OMNI_WG_RESPONSE_LEN,
	      "macs are last");

/* Message type and its three reserved bytes, which WireGuard reads as one integer. */
static bool header_is(const uint8_t *msg, enum omni_wire_type type)
{
	return msg[0] == type && (msg[1] | msg[2] | msg[3]) == 0;
}

static void start_noise(struct omni_noise *s, const struct omni_key *responder)
{
	omni_noise_init(s, OMNI_WG_IDENTIFIER, sizeof(OMNI_WG_IDENTIFIER) - 1, responder);
}

/* Wipe all that only the handshake needed. */
static void finish(struct omni_wg *hs)
{
	struct omni_key remote = hs->remote;
	uint32_t local = hs->local_index, other = hs->remote_index;

	omni_wg_wipe(hs);
	hs->remote = remote;
	hs->local_index = local;
	hs->remote_index = other;
}

/* A cookie reply names the index and answers the mac1 of the message that was sent last. */
static void await_cookie(struct omni_wg *hs, const uint8_t mac1[OMNI_MAC_LEN])
{
	memcpy(hs->mac1, mac1, sizeof(hs->mac1));
	hs->awaits_cookie = true;
}

/* ---- Initiation ---- */

int omni_wg_initiation_create(struct omni_wg *hs, struct omni_wg_initiation *out,
			      const struct omni_wg_start *start)
{
	struct omni_key e;
	int rc;

	memset(hs, 0, sizeof(*hs));
	memset(out, 0, sizeof(*out));
	start_noise(&hs->noise, start->remote);
	rc = omni_noise_write_1(&hs->noise, &e, out->enc_static, start->self, start->remote,
				start->ephemeral, start->shared); /* -> e, es, s, ss */
	if (rc < 0) {
		omni_wg_wipe(hs);
		memset(out, 0, sizeof(*out));
		return rc;
	}
	out->type = OMNI_TYPE_WG_INITIATION;
	omni_store_le32(out->sender, start->index);
	memcpy(out->ephemeral, &e, sizeof(out->ephemeral));
	omni_noise_seal(&hs->noise, out->enc_timestamp, start->timestamp, OMNI_TAI64N_LEN);
	omni_macs_write((uint8_t *)out, sizeof(*out), start->remote, start->cookie, start->now_ns);

	hs->remote = *start->remote;
	hs->local_index = start->index;
	hs->awaits_response = true;
	await_cookie(hs, out->mac1);
	return 0;
}

bool omni_wg_initiation_mac1_valid(const struct omni_wg_initiation *in, const struct omni_key *self)
{
	return header_is(&in->type, OMNI_TYPE_WG_INITIATION) &&
	       omni_mac1_valid((const uint8_t *)in, sizeof(*in), self);
}

int omni_wg_initiation_identify(struct omni_wg *hs, const struct omni_wg_initiation *in,
				const struct omni_dh_pair *self)
{
	struct omni_key e;
	int rc;

	memset(hs, 0, sizeof(*hs));
	if (!omni_wg_initiation_mac1_valid(in, &self->public))
		return -EBADMSG;
	start_noise(&hs->noise, &self->public);
	memcpy(&e, in->ephemeral, sizeof(e));
	rc = omni_noise_read_1(&hs->noise, &e, in->enc_static, self); /* -> e, es, s */
	if (rc < 0) {
		omni_wg_wipe(hs);
		return rc;
	}
	hs->remote = hs->noise.rs;
	hs->remote_index = omni_load_le32(in->sender);
	return 0;
}

int omni_wg_initiation_verify(struct omni_wg *hs, uint8_t timestamp[OMNI_TAI64N_LEN],
			      const struct omni_wg_initiation *in, const struct omni_dh_pair *self,
			      const struct omni_key *shared)
{
	int rc = omni_noise_read_1_ss(&hs->noise, self, shared); /* ss */

	if (rc == 0)
		rc = omni_noise_open(&hs->noise, timestamp, OMNI_TAI64N_LEN, in->enc_timestamp);
	if (rc < 0) {
		memset(timestamp, 0, OMNI_TAI64N_LEN);
		omni_wg_wipe(hs);
	}
	return rc;
}

int omni_wg_initiation_open(struct omni_wg *hs, uint8_t timestamp[OMNI_TAI64N_LEN],
			    const struct omni_wg_initiation *in, const struct omni_dh_pair *self)
{
	int rc = omni_wg_initiation_identify(hs, in, self);

	if (rc < 0)
		return rc;
	return omni_wg_initiation_verify(hs, timestamp, in, self, NULL);
}

/* ---- Response ---- */

int omni_wg_response_create(struct omni_wg *hs, struct omni_wg_response *out,
			    struct omni_noise_keys *keys, const struct omni_wg_reply *reply)
{
	struct omni_key e;
	int rc;

	assert(!hs->awaits_response);
	memset(keys, 0, sizeof(*keys));
	memset(out, 0, sizeof(*out));
	rc = omni_noise_write_2(&hs->noise, &e, reply->psk,
				reply->ephemeral); /* <- e, ee, se, psk */
	if (rc < 0) {
		omni_wg_wipe(hs);
		return rc;
	}
	out->type = OMNI_TYPE_WG_RESPONSE;
	omni_store_le32(out->sender, reply->index);
	omni_store_le32(out->receiver, hs->remote_index);
	memcpy(out->ephemeral, &e, sizeof(out->ephemeral));
	omni_noise_seal(&hs->noise, out->enc_nothing, NULL, 0);
	omni_macs_write((uint8_t *)out, sizeof(*out), &hs->remote, reply->cookie, reply->now_ns);
	omni_noise_split(&hs->noise, false, keys);

	hs->local_index = reply->index;
	finish(hs);
	await_cookie(hs, out->mac1);
	return 0;
}

bool omni_wg_response_mac1_valid(const struct omni_wg_response *in, const struct omni_key *self)
{
	return header_is(&in->type, OMNI_TYPE_WG_RESPONSE) &&
	       omni_mac1_valid((const uint8_t *)in, sizeof(*in), self);
}

static int read_response(struct omni_noise *noise, const struct omni_wg_response *in,
			 const struct omni_dh_pair *self, const struct omni_key *psk)
{
	uint8_t nothing[1];
	struct omni_key e;
	int rc;

	memcpy(&e, in->ephemeral, sizeof(e));
	rc = omni_noise_read_2(noise, &e, self, psk); /* <- e, ee, se, psk */
	if (rc < 0)
		return rc;
	return omni_noise_open(noise, nothing, 0, in->enc_nothing);
}

int omni_wg_response_open(struct omni_wg *hs, struct omni_noise_keys *keys,
			  const struct omni_wg_response *in, const struct omni_dh_pair *self,
			  const struct omni_key *psk)
{
	struct omni_noise noise;
	int rc;

	memset(keys, 0, sizeof(*keys));
	if (!hs->awaits_response || omni_load_le32(in->receiver) != hs->local_index ||
	    !omni_wg_response_mac1_valid(in, &self->public))
		return -EBADMSG;
	noise = hs->noise; /* hs survives a forged response */
	rc = read_response(&noise, in, self, psk);
	if (rc == 0) {
		omni_noise_split(&noise, true, keys);
		hs->remote_index = omni_load_le32(in->sender);
		finish(hs);
	}
	omni_wipe(&noise, sizeof(noise));
	return rc;
}

/* ---- Cookies ---- */

void omni_wg_cookie_reply(struct omni_wg_cookie_reply *out, const struct omni_cookie_maker *maker,
			  const uint8_t sender[4], const uint8_t mac1[OMNI_MAC_LEN],
			  const struct omni_key *self, const struct omni_endpoint *from,
			  const uint8_t nonce[OMNI_XNONCE_LEN], uint64_t now_ns)
{
	uint8_t value[OMNI_COOKIE_VALUE_LEN];

	memset(out, 0, sizeof(*out));
	out->type = OMNI_TYPE_WG_COOKIE;
	memcpy(out->receiver, sender, sizeof(out->receiver));
	memcpy(out->nonce, nonce, sizeof(out->nonce));
	omni_cookie_make(value, maker, from, now_ns);
	omni_cookie_seal(out->enc_cookie, value, self, nonce, mac1);
	omni_wipe(value, sizeof(value));
}

int omni_wg_cookie_open(struct omni_wg *hs, struct omni_cookie *cookie,
			const struct omni_wg_cookie_reply *in, uint64_t now_ns)
{
	uint8_t value[OMNI_COOKIE_VALUE_LEN];

	if (!hs->awaits_cookie || !header_is(&in->type, OMNI_TYPE_WG_COOKIE) ||
	    omni_load_le32(in->receiver) != hs->local_index ||
	    omni_cookie_open(value, in->enc_cookie, &hs->remote, in->nonce, hs->mac1) < 0)
		return -EBADMSG;
	omni_cookie_hold(cookie, value, now_ns);
	omni_wipe(value, sizeof(value));
	hs->awaits_cookie = false;
	return 0;
}

void omni_wg_wipe(struct omni_wg *hs)
{
	omni_wipe(hs, sizeof(*hs));
}
