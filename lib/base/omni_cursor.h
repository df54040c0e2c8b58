/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Bounded reading and writing of byte strings. Going over the end sets `failed` and reads
 * zeros or writes nothing from then on, so a parser checks once, at its end.
 */
#ifndef OMNI_CURSOR_H
#define OMNI_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct omni_reader {
	const uint8_t *p, *end;
	bool failed;
};

struct omni_writer {
	uint8_t *p, *end;
	bool failed;
};

static inline uint16_t omni_load_be16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t omni_load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t omni_load_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void omni_store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void omni_store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void omni_store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* Little-endian, as WireGuard has its integers. */
static inline uint32_t omni_load_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t omni_load_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void omni_store_le32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void omni_store_le64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline struct omni_reader omni_reader_init(const void *p, size_t len)
{
	return (struct omni_reader){.p = p, .end = (const uint8_t *)p + len};
}

static inline struct omni_writer omni_writer_init(void *p, size_t len)
{
	return (struct omni_writer){.p = p, .end = (uint8_t *)p + len};
}

static inline size_t omni_reader_left(const struct omni_reader *r)
{
	return (size_t)(r->end - r->p);
}

static inline size_t omni_writer_left(const struct omni_writer *w)
{
	return (size_t)(w->end - w->p);
}

/* The next len bytes, or NULL (and failed) when fewer are left. */
static inline const uint8_t *omni_read(struct omni_reader *r, size_t len)
{
	const uint8_t *at = r->p;

	if (r->failed || omni_reader_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	r->p += len;
	return at;
}

static inline void omni_read_copy(struct omni_reader *r, void *dst, size_t len)
{
	const uint8_t *at = omni_read(r, len);

	if (at != NULL)
		memcpy(dst, at, len);
	else
		memset(dst, 0, len);
}

static inline uint8_t omni_read_u8(struct omni_reader *r)
{
	const uint8_t *at = omni_read(r, 1);

	return at != NULL ? *at : 0;
}

static inline uint16_t omni_read_be16(struct omni_reader *r)
{
	const uint8_t *at = omni_read(r, 2);

	return at != NULL ? omni_load_be16(at) : 0;
}

static inline uint32_t omni_read_be32(struct omni_reader *r)
{
	const uint8_t *at = omni_read(r, 4);

	return at != NULL ? omni_load_be32(at) : 0;
}

static inline uint64_t omni_read_be64(struct omni_reader *r)
{
	const uint8_t *at = omni_read(r, 8);

	return at != NULL ? omni_load_be64(at) : 0;
}

/* Room for len bytes, or NULL (and failed) when it is not there. */
static inline uint8_t *omni_write_room(struct omni_writer *w, size_t len)
{
	uint8_t *at = w->p;

	if (w->failed || omni_writer_left(w) < len) {
		w->failed = true;
		return NULL;
	}
	w->p += len;
	return at;
}

static inline void omni_write(struct omni_writer *w, const void *src, size_t len)
{
	uint8_t *at = omni_write_room(w, len);

	if (at != NULL && len > 0)
		memcpy(at, src, len);
}

static inline void omni_write_zero(struct omni_writer *w, size_t len)
{
	uint8_t *at = omni_write_room(w, len);

	if (at != NULL)
		memset(at, 0, len);
}

static inline void omni_write_u8(struct omni_writer *w, uint8_t v)
{
	omni_write(w, &v, 1);
}

static inline void omni_write_be16(struct omni_writer *w, uint16_t v)
{
	v = __builtin_bswap16(v);
	omni_write(w, &v, 2);
}

static inline void omni_write_be32(struct omni_writer *w, uint32_t v)
{
	v = __builtin_bswap32(v);
	omni_write(w, &v, 4);
}

static inline void omni_write_be64(struct omni_writer *w, uint64_t v)
{
	v = __builtin_bswap64(v);
	omni_write(w, &v, 8);
}

#endif
