/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The one STUN exchange a Nucleus knows: Binding, RFC 8489 sections 6 and 14.2. */
#include <string.h>

#include <omni_cursor.h>

#include "internal.h"

#define BINDING_REQUEST 0x0001
#define BINDING_SUCCESS 0x0101
#define XOR_MAPPED_ADDRESS 0x0020
#define COMPREHENSION_OPTIONAL 0x8000
#define HDR_LEN 20
#define FAMILY_V4 1
#define FAMILY_V6 2

/* Plain: no attribute that the answerer would have to understand. */
static bool is_plain(const uint8_t *in, size_t len)
{
	struct omni_reader r = omni_reader_init(in + HDR_LEN, len - HDR_LEN);

	while (omni_reader_left(&r) > 0) {
		uint16_t type = omni_read_be16(&r), value_len = omni_read_be16(&r);

		(void)omni_read(&r, (value_len + 3U) & ~3U);
		if (r.failed || type < COMPREHENSION_OPTIONAL)
			return false;
	}
	return true;
}

size_t stun_answer(uint8_t out[STUN_ANSWER_MAX], const uint8_t *in, size_t len,
		   const struct omni_endpoint *from)
{
	bool v4 = omni_ip_is_v4(&from->ip);
	const uint8_t *ip = v4 ? from->ip.b + 12 : from->ip.b;
	uint16_t ip_len = v4 ? 4 : 16;

	if (omni_load_be16(in) != BINDING_REQUEST || !is_plain(in, len))
		return 0;
	omni_store_be16(out, BINDING_SUCCESS);
	omni_store_be16(out + 2, (uint16_t)(8 + ip_len));
	memcpy(out + 4, in + 4, 16); /* magic and transaction id */
	omni_store_be16(out + 20, XOR_MAPPED_ADDRESS);
	omni_store_be16(out + 22, (uint16_t)(4 + ip_len));
	omni_store_be16(out + 24, v4 ? FAMILY_V4 : FAMILY_V6);
	omni_store_be16(out + 26, from->port ^ omni_load_be16(in + 4));
	for (size_t i = 0; i < ip_len; i++)
		out[28 + i] = ip[i] ^ in[4 + i];
	return 28U + ip_len;
}
