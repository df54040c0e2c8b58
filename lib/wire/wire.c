/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <string.h>

#include <omni_cursor.h>
#include <omni_wire.h>

#define STUN_MAGIC UINT32_C(0x2112a442)
#define STUN_HDR_LEN 20

static bool is_stun(const uint8_t *p, size_t len)
{
	return len >= STUN_HDR_LEN && len % 4 == 0 && omni_load_be32(p + 4) == STUN_MAGIC &&
	       omni_load_be16(p + 2) == len - STUN_HDR_LEN;
}

static enum omni_wire_class exact(size_t len, size_t want, enum omni_wire_class class)
{
	return len == want ? class : OMNI_CLASS_BAD_LEN;
}

static enum omni_wire_class classify_wireguard(const uint8_t *p, size_t len)
{
	switch (p[0]) {
	case OMNI_TYPE_WG_INITIATION:
		return exact(len, OMNI_WG_INITIATION_LEN, OMNI_CLASS_WG_INITIATION);
	case OMNI_TYPE_WG_RESPONSE:
		return exact(len, OMNI_WG_RESPONSE_LEN, OMNI_CLASS_WG_RESPONSE);
	case OMNI_TYPE_WG_COOKIE:
		return exact(len, OMNI_WG_COOKIE_LEN, OMNI_CLASS_WG_COOKIE);
	default:
		/* Of any length: packets as long as the sender's MTU are not padded beyond it. */
		return len >= OMNI_WG_DATA_MIN_LEN ? OMNI_CLASS_WG_DATA : OMNI_CLASS_BAD_LEN;
	}
}

static enum omni_wire_class classify_handshake(const uint8_t *p, size_t len)
{
	if (p[2] != 0 || p[3] != 0)
		return OMNI_CLASS_UNKNOWN;
	if (p[1] != OMNI_SUITE_25519)
		return OMNI_CLASS_BAD_SUITE;
	switch (p[0]) {
	case OMNI_TYPE_INITIATION:
		return exact(len, OMNI_INITIATION_LEN, OMNI_CLASS_INITIATION);
	case OMNI_TYPE_RESPONSE:
		return exact(len, OMNI_RESPONSE_LEN, OMNI_CLASS_RESPONSE);
	default:
		return exact(len, OMNI_COOKIE_LEN, OMNI_CLASS_COOKIE);
	}
}

static enum omni_wire_class classify_hello(const uint8_t *p, size_t len)
{
	if (p[2] != 0 || p[3] != 0)
		return OMNI_CLASS_UNKNOWN;
	if (p[1] == OMNI_HELLO_ASK)
		return exact(len, OMNI_HELLO_LEN, OMNI_CLASS_HELLO);
	if (p[1] == OMNI_HELLO_ANSWER)
		return exact(len, OMNI_HELLO_ANSWER_LEN, OMNI_CLASS_HELLO_ANSWER);
	return OMNI_CLASS_UNKNOWN;
}

enum omni_wire_class omni_wire_classify(const uint8_t *p, size_t len)
{
	if (len < 4)
		return len > 0 && p[0] >= OMNI_TYPE_DATA_BIT ? OMNI_CLASS_BAD_LEN
							     : OMNI_CLASS_UNKNOWN;
	if (p[0] >= OMNI_TYPE_DATA_BIT)
		return len >= OMNI_DATA_MIN_LEN ? OMNI_CLASS_DATA : OMNI_CLASS_BAD_LEN;
	if (p[0] == 0x00 || (p[0] == 0x01 && p[1] != 0))
		return is_stun(p, len) ? OMNI_CLASS_STUN : OMNI_CLASS_UNKNOWN;
	if (p[0] <= OMNI_TYPE_WG_DATA)
		return p[1] == 0 && p[2] == 0 && p[3] == 0 ? classify_wireguard(p, len)
							   : OMNI_CLASS_UNKNOWN;
	if (p[0] <= OMNI_TYPE_COOKIE)
		return classify_handshake(p, len);
	if (p[0] == OMNI_TYPE_HELLO)
		return classify_hello(p, len);
	return p[0] == OMNI_TYPE_CIRCUIT ? OMNI_CLASS_CIRCUIT : OMNI_CLASS_UNKNOWN;
}

const char *omni_cipher_name(unsigned int cipher)
{
	static const char *const names[] = {"none", "aesgcm", "chachapoly"};

	return cipher < OMNI_ARRAY_SIZE(names) ? names[cipher] : "?";
}

const char *omni_result_name(unsigned int result)
{
	static const char *const names[OMNI_RESULT_COUNT] = {
		"accepted", "version", "cipher", "mode", "VIP held by another", "full", "denied",
	};

	return result < OMNI_RESULT_COUNT ? names[result] : "?";
}

const char *omni_kind_name(unsigned int kind)
{
	static const char *const names[OMNI_KIND_COUNT] = {
		"frame", "bundle", "fragment", "control", "keepalive", "segment",
	};

	return kind < OMNI_KIND_COUNT ? names[kind] : "?";
}
