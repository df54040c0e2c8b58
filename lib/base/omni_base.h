/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Small things every library uses: compiler helpers, keys as a type, error text. No DPDK.
 */
#ifndef OMNI_BASE_H
#define OMNI_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OMNI_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define OMNI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OMNI_MAX(a, b) ((a) > (b) ? (a) : (b))
#define OMNI_MUST_CHECK __attribute__((warn_unused_result))
/* For functions whose arguments must become constants where they are called. */
#define OMNI_INLINE static inline __attribute__((always_inline))
#define OMNI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define OMNI_KEY_LEN 32
/* Base64 of 32 bytes with padding, and the terminating zero. */
#define OMNI_KEY_B64_LEN 45

/* A 32-byte key or digest. Which one it is, the name of the variable says. */
struct omni_key {
	uint8_t b[OMNI_KEY_LEN];
};

#define OMNI_ERR_TEXT_LEN 512

/* Text for a person about the error that a function returned; always zero-terminated. */
struct omni_err {
	char text[OMNI_ERR_TEXT_LEN];
};

/*
 * Write a formatted sentence to err (which may be NULL) and return code, so that a function
 * can end with `return omni_fail(err, -EINVAL, "...")`. Any thread.
 */
int omni_fail(struct omni_err *err, int code, const char *fmt, ...) OMNI_PRINTF(3, 4);

/*
 * Base64 as RFC 4648 section 4, with padding. dst receives the text and a zero; dst_len must be
 * at least 4 * ceil(len / 3) + 1. Returns the text's length, or -ENOSPC.
 */
int omni_b64_encode(char *dst, size_t dst_len, const uint8_t *src, size_t len);

/*
 * Strict inverse: canonical padding, no white space. Returns the number of bytes written to
 * dst, -EINVAL when text is not base64, -ENOSPC when dst_len bytes do not hold it.
 */
int omni_b64_decode(uint8_t *dst, size_t dst_len, const char *text);

/* Base64 text of a key into out; returns out. */
const char *omni_key_text(char out[OMNI_KEY_B64_LEN], const struct omni_key *key);

/* Parse the base64 text of a 32-byte key. 0 or -EINVAL. */
int omni_key_parse(struct omni_key *key, const char *text) OMNI_MUST_CHECK;

#endif
