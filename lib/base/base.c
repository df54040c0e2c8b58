/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <omni_base.h>

int omni_fail(struct omni_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int omni_b64_encode(char *dst, size_t dst_len, const uint8_t *src, size_t len)
{
	size_t need = (len + 2) / 3 * 4, o = 0;

	if (dst_len < need + 1)
		return -ENOSPC;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)src[i] << 16;

		if (i + 1 < len)
			v |= (uint32_t)src[i + 1] << 8;
		if (i + 2 < len)
			v |= src[i + 2];
		dst[o++] = b64_digits[v >> 18];
		dst[o++] = b64_digits[v >> 12 & 63];
		dst[o++] = i + 1 < len ? b64_digits[v >> 6 & 63] : '=';
		dst[o++] = i + 2 < len ? b64_digits[v & 63] : '=';
	}
	dst[o] = '\0';
	return (int)o;
}

static int b64_value(char c)
{
	const char *at = c != '\0' ? strchr(b64_digits, c) : NULL;

	return at != NULL ? (int)(at - b64_digits) : -1;
}

int omni_b64_decode(uint8_t *dst, size_t dst_len, const char *text)
{
	size_t len = strlen(text), pad = 0, o = 0;

	if (len % 4 != 0)
		return -EINVAL;
	if (len > 0 && text[len - 1] == '=')
		pad = text[len - 2] == '=' ? 2 : 1;
	if (len / 4 * 3 - pad > dst_len)
		return -ENOSPC;
	for (size_t i = 0; i < len; i += 4) {
		size_t bytes = i + 4 == len ? 3 - pad : 3;
		uint32_t v = 0;

		for (size_t j = 0; j < 4; j++) {
			int d = j <= bytes ? b64_value(text[i + j]) : 0;

			if (d < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)d;
		}
		if ((bytes < 3 && (v & 0xff)) || (bytes < 2 && (v & 0xff00)))
			return -EINVAL;
		for (size_t j = 0; j < bytes; j++)
			dst[o++] = (uint8_t)(v >> (16 - 8 * j));
	}
	return (int)o;
}

const char *omni_key_text(char out[OMNI_KEY_B64_LEN], const struct omni_key *key)
{
	(void)omni_b64_encode(out, OMNI_KEY_B64_LEN, key->b, sizeof(key->b));
	return out;
}

int omni_key_parse(struct omni_key *key, const char *text)
{
	return omni_b64_decode(key->b, sizeof(key->b), text) == OMNI_KEY_LEN ? 0 : -EINVAL;
}
