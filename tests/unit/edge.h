/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An edge for tests of a Nucleus: the client's side of hello, handshake and requests. */
#ifndef EDGE_H
#define EDGE_H

#include <string.h>

#include <omni_clock.h>
#include <omni_cursor.h>
#include <omni_handshake.h>
#include <omni_nucleus.h>
#include <omni_record.h>
#include <omni_signal.h>

struct cluster {
	struct omni_sign_secret secret;
	struct omni_key id;
};

struct edge {
	struct omni_identity identity;
	const struct cluster *cluster;
	struct omni_endpoint at;
	struct omni_ip vip;
	struct omni_cookie cookie;
	struct omni_key nucleus;
	struct omni_noise_keys keys;
	uint64_t local_id, remote_id, sequence;
	uint64_t registration;
	struct omni_epoch epoch;
	uint32_t id;
	size_t sent, received;		    /* CBOR bytes of the last exchange */
	uint8_t last[OMNI_NUCLEUS_OUT_MAX]; /* the last datagram sent */
	size_t last_len;
};

/* The Nucleus under test, its time, and what it answered last. */
static struct omni_nucleus *nucleus;
static struct omni_nucleus_time now;
static uint8_t reply[OMNI_NUCLEUS_OUT_MAX];

static uint64_t random_state;

/* splitmix64: the same sequence in every run. */
static inline uint64_t next_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline void test_random(void *p, size_t len)
{
	uint8_t *at = p;

	for (; len > 0; len--)
		*at++ = (uint8_t)next_random();
}

static inline size_t input(const struct omni_endpoint *from, const void *bytes, size_t len)
{
	return omni_nucleus_input(nucleus, &now, from, bytes, len, reply);
}

static inline void cluster_make(struct cluster *c, uint8_t seed_byte)
{
	struct omni_key seed;

	memset(&seed, seed_byte, sizeof(seed));
	omni_sign_from_seed(&c->secret, &c->id, &seed);
}

/* Edge number i, at an address of its own, with VIP 10.200.x.y. */
static inline void edge_make(struct edge *e, const struct cluster *c, uint32_t i)
{
	struct omni_key seed = {.b = {0xed}};

	memset(e, 0, sizeof(*e));
	memcpy(seed.b + 4, &i, sizeof(i));
	omni_identity_from_seed(&e->identity, &seed);
	e->cluster = c;
	e->at.ip = omni_ip_from_v4(__builtin_bswap32(0xc6120000 + i)); /* 198.18.0.0/15 */
	e->at.port = 40000;
	e->vip = omni_ip_from_v4(__builtin_bswap32(0x0ac80000 + i));
	e->epoch.counter = 0;
}

static inline bool edge_hello(struct edge *e)
{
	struct omni_hello ask = {.type = OMNI_TYPE_HELLO, .code = OMNI_HELLO_ASK};
	const struct omni_hello_answer *answer = (const void *)reply;

	test_random(ask.nonce, sizeof(ask.nonce));
	if (input(&e->at, &ask, sizeof(ask)) != sizeof(*answer) ||
	    memcmp(answer->nonce, ask.nonce, sizeof(ask.nonce)) != 0)
		return false;
	memcpy(&e->nucleus, answer->nucleus_key, sizeof(e->nucleus));
	omni_cookie_hold(&e->cookie, answer->cookie, now.boot_ns);
	return true;
}

static inline void edge_initiation(struct edge *e, struct omni_hs *hs, struct omni_initiation *out)
{
	struct omni_hs_offer offer = {
		.cluster_id = e->cluster->id,
		.mode = OMNI_MODE_L2,
		.version = OMNI_WIRE_VERSION,
		.ciphers = {OMNI_CIPHER_CHACHAPOLY},
		.lanes_send = 1,
		.lanes_accept = 1,
		.largest_frame = OMNI_CBOR_MAX,
	};
	struct omni_hs_start start = {
		.purpose = OMNI_HS_NUCLEUS,
		.self = &e->identity.dh,
		.remote = &e->nucleus,
		.cookie = &e->cookie,
		.offer = &offer,
		.now_ns = now.boot_ns,
	};
	struct omni_key ephemeral;
	int rc;

	omni_tai64n_from_real_ns(offer.timestamp, now.boot_ns);
	test_random(&ephemeral, sizeof(ephemeral));
	start.ephemeral = &ephemeral;
	start.session_id = next_random() | UINT64_C(1) << 63;
	rc = omni_hs_initiation_create(hs, out, &start);
	if (rc != 0)
		abort();
}

/* Returns the response's result, or -1 without one. */
static inline int edge_handshake(struct edge *e)
{
	struct omni_initiation initiation;
	struct omni_hs_answer answer;
	struct omni_hs hs;

	now.boot_ns++; /* a label of its own */
	edge_initiation(e, &hs, &initiation);
	if (input(&e->at, &initiation, sizeof(initiation)) != OMNI_RESPONSE_LEN ||
	    omni_hs_response_open(&hs, &answer, &e->keys, (const void *)reply, &e->identity.dh,
				  NULL) != 0)
		return -1;
	e->local_id = hs.local_id;
	e->remote_id = hs.remote_id;
	e->sequence = 0;
	return answer.result;
}

/* Seal a data message into e->last. */
static inline void edge_seal(struct edge *e, uint8_t kind, const void *plain, size_t len)
{
	struct omni_data_hdr *h = (void *)e->last;
	uint8_t nonce[OMNI_NONCE_LEN];

	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, e->remote_id);
	omni_store_be64(h->sequence, e->sequence++);
	h->kind = kind;
	omni_wire_nonce(nonce, h);
	if (omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, e->last + sizeof(*h), &e->keys.send, nonce, h,
			   sizeof(*h), plain, len) != 0)
		abort();
	e->last_len = len + OMNI_DATA_OVERHEAD;
}

/* Open the Nucleus's answer of len bytes into m; false where it is none for this edge. */
static inline bool edge_open(struct edge *e, size_t len, struct omni_signal *m)
{
	static uint8_t plain[OMNI_CBOR_MAX];
	const struct omni_data_hdr *h = (const void *)reply;
	uint8_t nonce[OMNI_NONCE_LEN];

	if (len < OMNI_DATA_OVERHEAD || omni_load_be64(h->session_id) != e->local_id ||
	    h->kind != OMNI_KIND_CONTROL)
		return false;
	omni_wire_nonce(nonce, h);
	e->received = len - OMNI_DATA_OVERHEAD;
	return omni_aead_open(OMNI_CIPHER_CHACHAPOLY, plain, &e->keys.recv, nonce, h, sizeof(*h),
			      h + 1, len - sizeof(*h)) == 0 &&
	       omni_signal_decode(m, plain, e->received) == 0;
}

/* Send ask and open the answer into m. Returns its type, or 0 without one. */
static inline unsigned int edge_ask(struct edge *e, struct omni_signal *ask, struct omni_signal *m)
{
	uint8_t plain[OMNI_CBOR_MAX];
	size_t answer;
	int len;

	ask->id = ++e->id;
	len = omni_signal_encode(plain, ask);
	if (len < 0)
		abort();
	e->sent = (size_t)len;
	e->received = 0;
	edge_seal(e, OMNI_KIND_CONTROL, plain, e->sent);
	answer = input(&e->at, e->last, e->last_len);
	if (answer == 0)
		return 0;
	return edge_open(e, answer, m) && m->id == ask->id ? (unsigned int)m->type : 0;
}

static inline size_t edge_record(const struct edge *e, uint64_t issued,
				 uint8_t out[OMNI_RECORD_MAX])
{
	struct omni_record rec = {
		.cluster_id = e->cluster->id,
		.ed25519 = e->identity.sign_public,
		.vip = e->vip,
		.dialects = OMNI_DIALECT_OMNI,
		.n_candidates = 1,
		.candidates = {e->at},
		.issued = issued,
		.expires = issued + OMNI_RECORD_LIFE_S,
	};
	int len = omni_record_create(out, &rec, &e->identity.sign_secret, &e->cluster->secret);

	if (len < 0)
		abort();
	return (size_t)len;
}

/* Returns the REGISTER_ACK's result, or -1 without one. */
static inline int edge_register_with(struct edge *e, const uint8_t *record, size_t len)
{
	struct omni_signal ask = {
		.type = OMNI_SIGNAL_REGISTER, .record = record, .record_len = len};
	struct omni_signal m;

	if (edge_ask(e, &ask, &m) != OMNI_SIGNAL_REGISTER_ACK)
		return -1;
	if (m.result == OMNI_SIGNAL_OK) {
		e->registration = m.registration;
		e->epoch = m.epoch;
	}
	return (int)m.result;
}

static inline int edge_register(struct edge *e)
{
	uint8_t record[OMNI_RECORD_MAX];
	size_t len = edge_record(e, now.real_s, record);

	return edge_register_with(e, record, len);
}

/* Returns the answer's type: HEARTBEAT_ACK, or ERROR. */
static inline unsigned int edge_heartbeat(struct edge *e, struct omni_signal *m)
{
	struct omni_signal ask = {.type = OMNI_SIGNAL_HEARTBEAT,
				  .registration = e->registration,
				  .count = 999,
				  .epoch = e->epoch};
	unsigned int type = edge_ask(e, &ask, m);

	if (type == OMNI_SIGNAL_HEARTBEAT_ACK)
		e->epoch = m->epoch;
	return type;
}

#endif
