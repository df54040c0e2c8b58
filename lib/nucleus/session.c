/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sessions: the handshake as responder, transport keys, and data messages in and out. */
#include <stdlib.h>
#include <string.h>

#include <omni_crypto.h>
#include <omni_cursor.h>
#include <omni_secret.h>

#include "internal.h"

#define ID_TOP_BIT (UINT64_C(1) << 63)
#define ID_INDEX_SHIFT 40
#define ID_RANDOM_MASK ((UINT64_C(1) << ID_INDEX_SHIFT) - 1)
#define SLOTS_MIN 64

/* ---- Transport keys and the table of session ids ---- */

static struct keys *keys_find(const struct omni_nucleus *n, uint64_t id)
{
	size_t i = (size_t)(id >> ID_INDEX_SHIFT) & OMNI_SESSION_INDEX_MAX;
	struct keys *k = i < n->n_slots ? n->slots[i] : NULL;

	return k != NULL && k->id == id ? k : NULL;
}

static bool slots_grow(struct omni_nucleus *n)
{
	size_t size = n->n_slots > 0 ? 2 * n->n_slots : SLOTS_MIN;
	struct keys **slots;
	uint64_t *ids;

	if (size > OMNI_SESSION_INDEX_MAX)
		return false;
	slots = reallocarray(n->slots, size, sizeof(struct keys *));
	if (slots == NULL)
		return false;
	n->slots = slots;
	ids = reallocarray(n->slot_ids, size, sizeof(*ids));
	if (ids == NULL)
		return false;
	n->slot_ids = ids;
	memset(slots + n->n_slots, 0, (size - n->n_slots) * sizeof(struct keys *));
	memset(ids + n->n_slots, 0, (size - n->n_slots) * sizeof(*ids));
	n->n_slots = size;
	return true;
}

/* Give k the next free index, with fresh random bits. */
static bool slot_take(struct omni_nucleus *n, struct keys *k)
{
	size_t i = n->first_free;
	uint64_t bits;

	while (i < n->n_slots && n->slots[i] != NULL)
		i++;
	if (i == n->n_slots && !slots_grow(n))
		return false;
	do {
		n->random(&bits, sizeof(bits));
		k->id = ID_TOP_BIT | (uint64_t)i << ID_INDEX_SHIFT | (bits & ID_RANDOM_MASK);
	} while (k->id == n->slot_ids[i]);
	n->slots[i] = k;
	n->slot_ids[i] = k->id;
	n->first_free = i + 1;
	n->n_keys++;
	return true;
}

static void keys_free(struct omni_nucleus *n, struct keys *k)
{
	size_t i;

	if (k == NULL)
		return;
	i = (size_t)(k->id >> ID_INDEX_SHIFT) & OMNI_SESSION_INDEX_MAX;
	if (k->id != 0) {
		n->slots[i] = NULL;
		n->first_free = OMNI_MIN(n->first_free, i);
		n->n_keys--;
	}
	omni_wipe(k, sizeof(*k));
	free(k);
}

/* The slot for new keys: a free one, else the unconfirmed one, else the oldest. */
static struct keys **keys_place(struct session *s)
{
	struct keys **oldest = &s->keys[0];

	for (size_t i = 0; i < KEYS_PER_SESSION; i++) {
		if (s->keys[i] == NULL || !s->keys[i]->confirmed)
			return &s->keys[i];
		if (s->keys[i]->created_ns < (*oldest)->created_ns)
			oldest = &s->keys[i];
	}
	return oldest;
}

/* ---- Sessions ---- */

void session_free(struct omni_nucleus *n, struct session *s)
{
	for (size_t i = 0; i < KEYS_PER_SESSION; i++)
		keys_free(n, s->keys[i]);
	table_remove(&n->sessions, s);
	s->source->sessions--;
	s->identity->sessions--;
	owner_put(&n->sources, s->source);
	owner_put(&n->identities, s->identity);
	free(s);
}

bool session_expire(struct omni_nucleus *n, struct session *s, uint64_t now_ns)
{
	uint64_t life_s = s->seen_key_ns != 0 ? SESSION_LIFE_S : UNCONFIRMED_LIFE_S;

	for (size_t i = 0; i < KEYS_PER_SESSION; i++) {
		struct keys *k = s->keys[i];

		if (k != NULL && now_ns - k->created_ns >= OMNI_REJECT_AFTER_S * OMNI_NS_PER_S) {
			keys_free(n, k);
			s->keys[i] = NULL;
		}
	}
	return s->member == NULL && now_ns - s->handshake_ns >= life_s * OMNI_NS_PER_S;
}

/* NULL: a limit, or no memory. */
static struct session *session_new(struct omni_nucleus *n, const struct session_name *name,
				   const struct omni_endpoint *from)
{
	struct session *s = NULL;
	struct owner *source, *identity;
	uint8_t key[OMNI_KEY_LEN];

	if (n->sessions.used >= n->limits.sessions)
		return NULL;
	source_key(key, &from->ip);
	source = owner_get(&n->sources, key);
	identity = owner_get(&n->identities, name->key.b);
	if (source == NULL || identity == NULL || source->sessions >= n->limits.source_sessions ||
	    identity->sessions >= n->limits.key_sessions)
		goto refuse;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		goto refuse;
	s->name = *name;
	if (table_insert(&n->sessions, s) != 0)
		goto refuse;
	s->source = source;
	s->identity = identity;
	source->sessions++;
	identity->sessions++;
	return s;
refuse:
	free(s);
	owner_put(&n->sources, source);
	owner_put(&n->identities, identity);
	return NULL;
}

/* ---- Handshake ---- */

/* What this Nucleus answers an authentic initiation, but for its limits. */
static void decide(struct omni_nucleus *n, const struct omni_hs_offer *offer,
		   struct omni_hs_answer *answer)
{
	struct omni_hs_policy policy = {
		.mode = offer->mode, /* of the cluster, in which a Nucleus has no part */
		.version = OMNI_WIRE_VERSION,
		.ciphers = {[OMNI_CIPHER_CHACHAPOLY] = true},
		.lanes_send = 1,
		.lanes_accept = 1,
		.largest_frame = OMNI_CBOR_MAX,
	};

	omni_hs_negotiate(answer, offer, &policy);
	if (answer->result != OMNI_RESULT_ACCEPTED) {
		COUNT(n, handshake_mismatch);
	} else if (!is_allowed(n, &offer->cluster_id)) {
		answer->result = OMNI_RESULT_DENIED;
		COUNT(n, handshake_denied);
	}
}

/* Find or make the session and put empty keys into it; NULL: refused. */
static struct keys *prepare_keys(struct omni_nucleus *n, const struct session_name *name,
				 const struct omni_endpoint *from, uint64_t now_ns)
{
	struct session *s = table_find(&n->sessions, name);
	struct keys *k = calloc(1, sizeof(*k)), **place;

	if (k == NULL || !slot_take(n, k))
		goto no_keys;
	if (s == NULL)
		s = session_new(n, name, from);
	if (s == NULL)
		goto no_keys;
	place = keys_place(s);
	keys_free(n, *place);
	*place = k;
	k->session = s;
	k->created_ns = s->handshake_ns = now_ns;
	k->proved = *from;
	return k;
no_keys:
	keys_free(n, k);
	return NULL;
}

/* Take unfinished keys back out of their session. */
static void keys_drop(struct omni_nucleus *n, struct keys *k)
{
	for (size_t i = 0; k != NULL && i < KEYS_PER_SESSION; i++) {
		if (k->session->keys[i] == k)
			k->session->keys[i] = NULL;
	}
	keys_free(n, k);
}

static size_t respond(struct omni_nucleus *n, struct omni_hs *hs, const struct omni_hs_offer *offer,
		      const struct omni_nucleus_time *now, const struct omni_endpoint *from,
		      struct omni_response *out)
{
	struct session_name name = {.cluster_id = offer->cluster_id, .key = hs->remote};
	struct session *s = table_find(&n->sessions, &name);
	struct omni_noise_keys noise;
	struct omni_hs_answer answer;
	struct omni_key ephemeral;
	struct keys *k = NULL;
	uint64_t remote_id = hs->remote_id;
	int err;

	if (s != NULL && memcmp(offer->timestamp, s->newest, sizeof(s->newest)) <= 0) {
		omni_hs_wipe(hs);
		COUNT(n, drop_stale);
		return 0;
	}
	decide(n, offer, &answer);
	if (answer.result == OMNI_RESULT_ACCEPTED) {
		k = prepare_keys(n, &name, from, now->boot_ns);
		if (k == NULL) {
			answer.result = OMNI_RESULT_FULL;
			COUNT(n, handshake_full);
		}
	}
	n->random(&ephemeral, sizeof(ephemeral));
	err = omni_hs_response_create(
		hs, out, &noise,
		&(struct omni_hs_reply){.ephemeral = &ephemeral,
					.answer = &answer,
					.session_id = k != NULL ? k->id : ID_TOP_BIT,
					.now_ns = now->boot_ns});
	omni_wipe(&ephemeral, sizeof(ephemeral));
	if (k != NULL) {
		k->noise = noise;
		k->remote_id = remote_id;
		memcpy(k->session->newest, offer->timestamp, sizeof(offer->timestamp));
	}
	omni_wipe(&noise, sizeof(noise));
	if (err != 0) {
		keys_drop(n, k);
		COUNT(n, drop_handshake);
		return 0;
	}
	if (k != NULL)
		COUNT(n, handshake);
	return sizeof(*out);
}

size_t session_initiation(struct omni_nucleus *n, const struct omni_nucleus_time *now,
			  const struct omni_endpoint *from, const uint8_t *in,
			  uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	const struct omni_initiation *msg = (const void *)in;
	struct omni_hs_offer offer;
	struct omni_hs hs;
	size_t slot;

	if (!omni_hs_initiation_mac1_valid(msg, &n->identity.dh.public)) {
		COUNT(n, drop_mac1);
		return 0;
	}
	if (!omni_mac2_valid(&n->cookies, in, sizeof(*msg), from, now->boot_ns)) {
		COUNT(n, drop_mac2);
		return 0;
	}
	slot = source_rate_slot(n, &from->ip);
	if (!rate_take(&n->handshake_tat[slot], now->boot_ns, HANDSHAKE_INTERVAL_NS,
		       HANDSHAKE_BURST)) {
		COUNT(n, drop_rate);
		return 0;
	}
	if (omni_hs_initiation_open(&hs, &offer, msg, OMNI_HS_NUCLEUS, &n->identity.dh) != 0) {
		COUNT(n, drop_handshake);
		return 0;
	}
	if (!omni_hs_proof_is_zero(&hs) || !omni_ip_is_none(&offer.vip)) {
		omni_hs_wipe(&hs);
		COUNT(n, drop_handshake);
		return 0;
	}
	return respond(n, &hs, &offer, now, from, (struct omni_response *)(void *)out);
}

/* ---- Data ---- */

static bool header_plain(const struct omni_data_hdr *h)
{
	return (h->lane[0] | h->lane[1] | h->zero18[0] | h->zero18[1] | h->flags | h->zero22[0] |
		h->zero22[1]) == 0;
}

/* The cheap checks; NULL: dropped and counted. */
static struct keys *data_keys(struct omni_nucleus *n, const struct omni_data_hdr *h,
			      uint64_t now_ns)
{
	struct keys *k = keys_find(n, omni_load_be64(h->session_id));

	if (k == NULL) {
		COUNT(n, drop_session);
		return NULL;
	}
	if (now_ns - k->created_ns >= OMNI_REJECT_AFTER_S * OMNI_NS_PER_S) {
		COUNT(n, drop_key_expired);
		return NULL;
	}
	if (!header_plain(h)) {
		COUNT(n, drop_header);
		return NULL;
	}
	if (!omni_replay_peek(&k->replay, omni_load_be64(h->sequence))) {
		COUNT(n, drop_replay);
		return NULL;
	}
	return k;
}

static int aead_open(const struct keys *k, const struct omni_data_hdr *h, size_t len,
		     uint8_t *plain)
{
	uint8_t nonce[OMNI_NONCE_LEN];

	omni_wire_nonce(nonce, h);
	return omni_aead_open(OMNI_CIPHER_CHACHAPOLY, plain, &k->noise.recv, nonce, h, sizeof(*h),
			      h + 1, len - sizeof(*h));
}

/* Seal the len bytes that stand behind the header's place in out. */
static size_t data_seal(struct keys *k, uint8_t *out, size_t len)
{
	struct omni_data_hdr *h = (void *)out;
	uint8_t nonce[OMNI_NONCE_LEN];
	int err;

	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, k->remote_id);
	omni_store_be64(h->sequence, k->sequence++);
	h->kind = OMNI_KIND_CONTROL;
	omni_wire_nonce(nonce, h);
	err = omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, out + sizeof(*h), &k->noise.send, nonce, h,
			     sizeof(*h), out + sizeof(*h), len);
	return err == 0 ? OMNI_DATA_OVERHEAD + len : 0;
}

/* After the tag held: what an authentic message changes. */
static void data_accept(struct keys *k, uint64_t sequence, const struct omni_endpoint *from)
{
	struct session *s = k->session;

	k->confirmed = true;
	if (sequence == k->replay.top && k->created_ns >= s->seen_key_ns) {
		s->seen = *from;
		s->seen_key_ns = k->created_ns;
	}
}

/*
 * A member can write any source address into its datagrams. To one that no handshake proved goes
 * nothing longer than what came from it; the edge starts over at HELLO, which proves it.
 */
static bool may_reach(const struct keys *k, const struct omni_endpoint *to, size_t asked,
		      size_t answer)
{
	return answer <= asked || omni_endpoint_equal(&k->proved, to);
}

/* The newest keys that the edge has shown to have. */
static struct keys *newest_keys(const struct session *s, uint64_t now_ns)
{
	struct keys *best = NULL;

	for (size_t i = 0; i < KEYS_PER_SESSION; i++) {
		struct keys *k = s->keys[i];

		if (k != NULL && k->confirmed &&
		    now_ns - k->created_ns < OMNI_REJECT_AFTER_S * OMNI_NS_PER_S &&
		    (best == NULL || k->created_ns > best->created_ns))
			best = k;
	}
	return best;
}

size_t session_send(struct session *s, uint64_t now_ns, const uint8_t *cbor, size_t len,
		    struct omni_endpoint *to, uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	struct keys *k = newest_keys(s, now_ns);

	if (k == NULL || !omni_endpoint_equal(&k->proved, &s->seen))
		return 0;
	*to = s->seen;
	memcpy(out + sizeof(struct omni_data_hdr), cbor, len);
	return data_seal(k, out, len);
}

size_t session_data(struct omni_nucleus *n, const struct omni_nucleus_time *now,
		    const struct omni_endpoint *from, const uint8_t *in, size_t len,
		    uint8_t out[OMNI_NUCLEUS_OUT_MAX])
{
	const struct omni_data_hdr *h = (const void *)in;
	struct keys *k = data_keys(n, h, now->boot_ns);
	uint8_t plain[OMNI_CBOR_MAX];
	size_t plain_len = len - OMNI_DATA_OVERHEAD, answer;

	if (k == NULL)
		return 0;
	if (plain_len > sizeof(plain)) {
		COUNT(n, drop_length);
		return 0;
	}
	if (aead_open(k, h, len, plain) != 0) {
		COUNT(n, drop_tag);
		return 0;
	}
	if (!omni_replay_mark(&k->replay, omni_load_be64(h->sequence))) {
		COUNT(n, drop_replay);
		return 0;
	}
	data_accept(k, omni_load_be64(h->sequence), from);
	if (h->kind == OMNI_KIND_KEEPALIVE && plain_len == 0) {
		COUNT(n, keepalive);
		return 0;
	}
	if (h->kind != OMNI_KIND_CONTROL) {
		COUNT(n, drop_kind);
		return 0;
	}
	answer = request_serve(n, now, k->session, plain, plain_len,
			       out + sizeof(struct omni_data_hdr));
	if (answer == 0)
		return 0;
	if (!may_reach(k, from, plain_len, answer)) {
		COUNT(n, unproved);
		return 0;
	}
	return data_seal(k, out, answer);
}
