/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every structure, size and limit of the wire on one page (docs/protocol.md). All fields are
 * byte arrays in network byte order, so the structs have no padding and any alignment.
 */
#ifndef OMNI_WIRE_H
#define OMNI_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_base.h>

#define OMNI_WIRE_DEFAULT_PORT 51820
#define OMNI_WIRE_VERSION 1

/* First byte of a datagram. */
enum omni_wire_type {
	OMNI_TYPE_WG_INITIATION = 0x01,
	OMNI_TYPE_WG_RESPONSE = 0x02,
	OMNI_TYPE_WG_COOKIE = 0x03,
	OMNI_TYPE_WG_DATA = 0x04,
	OMNI_TYPE_INITIATION = 0x05,
	OMNI_TYPE_RESPONSE = 0x06,
	OMNI_TYPE_COOKIE = 0x07,
	OMNI_TYPE_HELLO = 0x08,
	OMNI_TYPE_CIRCUIT = 0x09,
	OMNI_TYPE_DATA_BIT = 0x80,
};

#define OMNI_SUITE_25519 0
#define OMNI_HELLO_ASK 0
#define OMNI_HELLO_ANSWER 1

#define OMNI_TAG_LEN 16
#define OMNI_MAC_LEN 16
#define OMNI_VIP_LEN 16
#define OMNI_NONCE_LEN 12

/* ---- Omni data ---- */

struct omni_data_hdr {
	uint8_t session_id[8]; /* chosen by the receiver: 1, 23-bit index, 40 random bits */
	uint8_t sequence[8];   /* from 0 per (session, direction, lane) */
	uint8_t lane[2];
	uint8_t zero18[2];
	uint8_t kind;
	uint8_t flags;
	uint8_t zero22[2];
};

enum omni_kind {
	OMNI_KIND_FRAME = 0,
	OMNI_KIND_BUNDLE = 1,
	OMNI_KIND_FRAGMENT = 2,
	OMNI_KIND_CONTROL = 3,
	OMNI_KIND_KEEPALIVE = 4,
	OMNI_KIND_SEGMENT = 5,
	OMNI_KIND_COUNT,
};

#define OMNI_DATA_HDR_LEN 24
#define OMNI_DATA_OVERHEAD (OMNI_DATA_HDR_LEN + OMNI_TAG_LEN)
#define OMNI_DATA_MIN_LEN OMNI_DATA_OVERHEAD

#define OMNI_SESSION_INDEX_BITS 23
#define OMNI_SESSION_INDEX_MAX ((UINT32_C(1) << OMNI_SESSION_INDEX_BITS) - 1)
#define OMNI_LANES_MAX 64
#define OMNI_REPLAY_WINDOW 2048
/* A session id is not given out again for this long. */
#define OMNI_SESSION_ID_REST_S 600

/* AES-256-GCM blocks per key, summed over lanes: ceil(length / 16) + 2 a message. */
#define OMNI_GCM_BLOCKS_REKEY (UINT64_C(1) << 35)
#define OMNI_GCM_BLOCKS_STOP (UINT64_C(1) << 36)
#define OMNI_MESSAGES_REKEY (UINT64_C(1) << 60)

struct omni_fragment_hdr {
	uint8_t frame_id[4];
	uint8_t offset[2];
	uint8_t whole_len[2];
};

/* In front of a piece of a segment. */
struct omni_piece_hdr {
	uint8_t segment_id[4];
	uint8_t offset[2];
	uint8_t whole_len[2];
	uint8_t size[2]; /* payload of each frame that the segment stands for */
	uint8_t zero10[2];
};

#define OMNI_PIECE_HDR_LEN 12
#define OMNI_PIECES_MAX 64 /* of a segment */
#define OMNI_FRAGMENT_HDR_LEN 8
#define OMNI_FRAGMENT_MIN_PIECE 256 /* of every piece but the last */
#define OMNI_FRAGMENT_MAX_PIECES 64
#define OMNI_BUNDLE_LEN_LEN 2

/* ---- Underlay ---- */

#define OMNI_UDP_HDR_LEN 8
#define OMNI_IPV4_HDR_LEN 20
#define OMNI_IPV6_HDR_LEN 40
#define OMNI_ETHER_HDR_LEN 14
#define OMNI_OVERHEAD_V4 (OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN + OMNI_DATA_OVERHEAD)
#define OMNI_OVERHEAD_V6 (OMNI_IPV6_HDR_LEN + OMNI_UDP_HDR_LEN + OMNI_DATA_OVERHEAD)
/* A path's MTU until a padded PROBE was echoed (IP datagram size). */
#define OMNI_PATH_MTU_DEFAULT 1280
#define OMNI_PATH_MTU_MIN 576

/* ---- Omni handshake ---- */

enum omni_mode {
	OMNI_MODE_L2 = 1,
	OMNI_MODE_L3 = 2,
};

enum omni_cipher {
	OMNI_CIPHER_NONE = 0,
	OMNI_CIPHER_AESGCM = 1,	    /* AES-256-GCM */
	OMNI_CIPHER_CHACHAPOLY = 2, /* ChaCha20-Poly1305, RFC 8439 */
};

#define OMNI_CIPHER_COUNT 3 /* of the values above, with none */

/* What a session, a peer or a member speaks; bits, so that a record can list several. */
enum omni_dialect {
	OMNI_DIALECT_OMNI = 1,
	OMNI_DIALECT_WIREGUARD = 2,
	OMNI_DIALECT_NUCLEUS = 4, /* Omni's, with a Nucleus; never in a record */
};

enum omni_result {
	OMNI_RESULT_ACCEPTED = 0,
	OMNI_RESULT_VERSION = 1,
	OMNI_RESULT_CIPHER = 2,
	OMNI_RESULT_MODE = 3,
	OMNI_RESULT_VIP_HELD = 4,
	OMNI_RESULT_FULL = 5,
	OMNI_RESULT_DENIED = 6,
	OMNI_RESULT_COUNT,
};

#define OMNI_FEATURE_FRAGMENTS 0x0001
#define OMNI_FEATURE_BUNDLES 0x0002
#define OMNI_FEATURE_SEGMENTS 0x0004

struct omni_init_payload {
	uint8_t header_copy[16];
	uint8_t timestamp[12]; /* TAI64N */
	uint8_t zero28[4];
	uint8_t cluster_id[32];
	uint8_t member_proof[32];
	uint8_t vip[16];
	uint8_t mode;
	uint8_t version;
	uint8_t ciphers[2];
	uint8_t lanes_send[2];	 /* wanted to send on */
	uint8_t lanes_accept[2]; /* accepted */
	uint8_t largest_frame[2];
	uint8_t features[2];
	uint8_t zero124[244];
};

struct omni_initiation {
	uint8_t type;
	uint8_t suite;
	uint8_t zero2[6];
	uint8_t sender_id[8];
	uint8_t ephemeral[32];
	uint8_t enc_static[32 + OMNI_TAG_LEN];
	uint8_t enc_payload[sizeof(struct omni_init_payload) + OMNI_TAG_LEN];
	uint8_t mac1[OMNI_MAC_LEN];
	uint8_t mac2[OMNI_MAC_LEN];
};

struct omni_resp_payload {
	uint8_t header_copy[24];
	uint8_t result;
	uint8_t version;
	uint8_t cipher;
	uint8_t zero27;
	uint8_t lanes_you_send[2];
	uint8_t lanes_i_send[2];
	uint8_t largest_frame[2];
	uint8_t features[2];
	uint8_t zero36[4];
	uint8_t vip[16];
	uint8_t zero56[32];
};

struct omni_response {
	uint8_t type;
	uint8_t suite;
	uint8_t zero2[6];
	uint8_t sender_id[8];
	uint8_t receiver_id[8];
	uint8_t ephemeral[32];
	uint8_t enc_payload[sizeof(struct omni_resp_payload) + OMNI_TAG_LEN];
	uint8_t mac1[OMNI_MAC_LEN];
	uint8_t mac2[OMNI_MAC_LEN];
};

struct omni_cookie_reply {
	uint8_t type;
	uint8_t suite;
	uint8_t zero2[6];
	uint8_t receiver_id[8];
	uint8_t nonce[24];
	uint8_t enc_cookie[16 + OMNI_TAG_LEN];
};

#define OMNI_INITIATION_LEN 512
#define OMNI_RESPONSE_LEN 192
#define OMNI_COOKIE_LEN 72

/* ---- WireGuard (whitepaper, 5.4). Its integers are little-endian. ---- */

struct omni_wg_initiation {
	uint8_t type;
	uint8_t zero1[3];
	uint8_t sender[4]; /* index */
	uint8_t ephemeral[32];
	uint8_t enc_static[32 + OMNI_TAG_LEN];
	uint8_t enc_timestamp[12 + OMNI_TAG_LEN]; /* TAI64N */
	uint8_t mac1[OMNI_MAC_LEN];
	uint8_t mac2[OMNI_MAC_LEN];
};

struct omni_wg_response {
	uint8_t type;
	uint8_t zero1[3];
	uint8_t sender[4];
	uint8_t receiver[4];
	uint8_t ephemeral[32];
	uint8_t enc_nothing[OMNI_TAG_LEN];
	uint8_t mac1[OMNI_MAC_LEN];
	uint8_t mac2[OMNI_MAC_LEN];
};

struct omni_wg_cookie_reply {
	uint8_t type;
	uint8_t zero1[3];
	uint8_t receiver[4];
	uint8_t nonce[24];
	uint8_t enc_cookie[16 + OMNI_TAG_LEN];
};

/* No additional data; the nonce is 4 zero bytes and the counter as it stands here. */
struct omni_wg_data_hdr {
	uint8_t type;
	uint8_t zero1[3];
	uint8_t receiver[4]; /* index that the receiver chose */
	uint8_t counter[8];
};

#define OMNI_WG_DATA_HDR_LEN 16
#define OMNI_WG_DATA_OVERHEAD (OMNI_WG_DATA_HDR_LEN + OMNI_TAG_LEN)
#define OMNI_WG_PADDING 16 /* plain texts are multiples of it, with zeros at their end */
#define OMNI_WG_OVERHEAD_V4 (OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN + OMNI_WG_DATA_OVERHEAD)
#define OMNI_WG_OVERHEAD_V6 (OMNI_IPV6_HDR_LEN + OMNI_UDP_HDR_LEN + OMNI_WG_DATA_OVERHEAD)
/* The MTU of an interface on an underlay of 1500 bytes, as every WireGuard has it. */
#define OMNI_WG_MTU_DEFAULT 1420
/* A counter this far, or farther, below the newest is refused. */
#define OMNI_WG_REPLAY_WINDOW 8192
#define OMNI_WG_REJECT_AFTER_MESSAGES (UINT64_MAX - OMNI_WG_REPLAY_WINDOW)

#define OMNI_WG_INITIATION_LEN 148
#define OMNI_WG_RESPONSE_LEN 92
#define OMNI_WG_COOKIE_LEN 64
#define OMNI_WG_DATA_MIN_LEN 32

/* ---- Nucleus hello ---- */

struct omni_hello {
	uint8_t type;
	uint8_t code; /* OMNI_HELLO_ASK */
	uint8_t zero2[6];
	uint8_t nonce[16];
	uint8_t zero24[104];
};

struct omni_hello_answer {
	uint8_t type;
	uint8_t code; /* OMNI_HELLO_ANSWER */
	uint8_t zero2[6];
	uint8_t nonce[16];
	uint8_t nucleus_key[32];
	uint8_t cookie[16]; /* address cookie: the key of mac2 */
};

#define OMNI_HELLO_LEN 128
#define OMNI_HELLO_ANSWER_LEN 72

/* ---- Signalling ---- */

#define OMNI_CBOR_MAX 1200
#define OMNI_RECORD_CANDIDATES_MAX 8
#define OMNI_CLUSTER_NAME_MAX 64
#define OMNI_SECRET_MIN 16

/* ---- Timers, in seconds (WireGuard's, and the Nucleus's) ---- */

#ifdef OMNI_SHORT_TIMERS /* meson's option short-timers: for tests alone */
#define OMNI_REKEY_AFTER_S 12
#define OMNI_REJECT_AFTER_S 18
#define OMNI_REKEY_TIMEOUT_S 1
#define OMNI_REKEY_ATTEMPT_S 18
#define OMNI_KEEPALIVE_S 1
#else
#define OMNI_REKEY_AFTER_S 120
#define OMNI_REJECT_AFTER_S 180
#define OMNI_REKEY_TIMEOUT_S 5
#define OMNI_REKEY_ATTEMPT_S 90
#define OMNI_KEEPALIVE_S 10
#endif
#define OMNI_MESH_KEEPALIVE_S 25
#define OMNI_COOKIE_LIFE_S 120
/* Its holder lets go of a cookie this much earlier: it was made before it arrived. */
#define OMNI_COOKIE_LATENCY_S 5
#define OMNI_LEASE_S 90
#define OMNI_HEARTBEAT_S 30
#define OMNI_RECORD_LIFE_S 86400
#define OMNI_RECORD_SKEW_S 600

static_assert(sizeof(struct omni_data_hdr) == OMNI_DATA_HDR_LEN, "data header");
static_assert(offsetof(struct omni_data_hdr, kind) == 20, "kind");
static_assert(sizeof(struct omni_fragment_hdr) == OMNI_FRAGMENT_HDR_LEN, "fragment header");
static_assert(sizeof(struct omni_piece_hdr) == OMNI_PIECE_HDR_LEN, "piece header");
static_assert(sizeof(struct omni_init_payload) == 368, "initiation payload");
static_assert(offsetof(struct omni_init_payload, mode) == 112, "mode");
static_assert(offsetof(struct omni_init_payload, lanes_send) == 116, "lanes");
static_assert(offsetof(struct omni_init_payload, zero124) == 124, "initiation payload's end");
static_assert(sizeof(struct omni_initiation) == OMNI_INITIATION_LEN, "initiation");
static_assert(offsetof(struct omni_initiation, enc_payload) == 96, "initiation payload");
static_assert(offsetof(struct omni_initiation, mac1) == 480, "mac1");
static_assert(sizeof(struct omni_resp_payload) == 88, "response payload");
static_assert(offsetof(struct omni_resp_payload, vip) == 40, "response vip");
static_assert(sizeof(struct omni_response) == OMNI_RESPONSE_LEN, "response");
static_assert(offsetof(struct omni_response, mac1) == 160, "response mac1");
static_assert(sizeof(struct omni_cookie_reply) == OMNI_COOKIE_LEN, "cookie reply");
static_assert(sizeof(struct omni_wg_initiation) == OMNI_WG_INITIATION_LEN, "initiation");
static_assert(sizeof(struct omni_wg_response) == OMNI_WG_RESPONSE_LEN, "response");
static_assert(sizeof(struct omni_wg_cookie_reply) == OMNI_WG_COOKIE_LEN, "cookie reply");
static_assert(sizeof(struct omni_wg_data_hdr) == OMNI_WG_DATA_HDR_LEN, "data header");
static_assert(sizeof(struct omni_hello) == OMNI_HELLO_LEN, "hello");
static_assert(sizeof(struct omni_hello_answer) == OMNI_HELLO_ANSWER_LEN, "hello answer");

/* What a datagram claims to be, by its first bytes and length alone. */
enum omni_wire_class {
	OMNI_CLASS_DATA,
	OMNI_CLASS_INITIATION,
	OMNI_CLASS_RESPONSE,
	OMNI_CLASS_COOKIE,
	OMNI_CLASS_HELLO,
	OMNI_CLASS_HELLO_ANSWER,
	OMNI_CLASS_STUN,
	OMNI_CLASS_WG_DATA,
	OMNI_CLASS_WG_INITIATION,
	OMNI_CLASS_WG_RESPONSE,
	OMNI_CLASS_WG_COOKIE,
	OMNI_CLASS_CIRCUIT,   /* reserved */
	OMNI_CLASS_BAD_SUITE, /* our handshake in a suite we do not speak */
	OMNI_CLASS_BAD_LEN,   /* known type, impossible length */
	OMNI_CLASS_UNKNOWN,
};

/* Classify a UDP payload of len bytes. Reads at most 8 bytes and never beyond len. Pure. */
enum omni_wire_class omni_wire_classify(const uint8_t *p, size_t len);

/* Names for people and JSON; "?" for a value out of range. */
const char *omni_cipher_name(unsigned int cipher); /* "none", "aesgcm", "chachapoly" */
const char *omni_result_name(unsigned int result); /* "accepted", "VIP held by another", ... */
const char *omni_kind_name(unsigned int kind);

/*
 * The AEAD nonce of a data message: bytes 16-19 of its header, then bytes 8-15.
 */
static inline void omni_wire_nonce(uint8_t nonce[OMNI_NONCE_LEN], const struct omni_data_hdr *h)
{
	const uint8_t *p = (const uint8_t *)h;

	__builtin_memcpy(nonce, p + offsetof(struct omni_data_hdr, lane), 4);
	__builtin_memcpy(nonce + 4, h->sequence, 8);
}

#endif
