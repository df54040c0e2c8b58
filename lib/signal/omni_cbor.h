/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Deterministic CBOR (RFC 8949 section 4.2.1): definite lengths, shortest heads, map keys in
 * bytewise order and once each. Reading points into the caller's bytes and never allocates,
 * whatever a length claims. Pure, any thread.
 */
#ifndef OMNI_CBOR_H
#define OMNI_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_cursor.h>

/* Arrays, maps and tags within one another. */
#define OMNI_CBOR_DEPTH_MAX 8

/*
 * Check that the len bytes at p are exactly one well-formed item in its deterministic form, by
 * encoding every head again. 0, or -EBADMSG (not well-formed, or bytes are left over), -EILSEQ
 * (well-formed, but not the deterministic form), -ELOOP (nested too deeply).
 */
int omni_cbor_check(const uint8_t *p, size_t len) OMNI_MUST_CHECK;

/* ---- Writing: over the end sets w->failed, as in omni_cursor.h ---- */

void omni_cbor_put_uint(struct omni_writer *w, uint64_t v);
void omni_cbor_put_bool(struct omni_writer *w, bool v);
void omni_cbor_put_bytes(struct omni_writer *w, const void *p, size_t len);
/* A byte string of len zeros. */
void omni_cbor_put_zeros(struct omni_writer *w, size_t len);
void omni_cbor_put_text(struct omni_writer *w, const char *text);
/* Heads; the items, or pairs in the order of their encoded keys, follow. */
void omni_cbor_put_array(struct omni_writer *w, size_t items);
void omni_cbor_put_map(struct omni_writer *w, size_t pairs);
/* An address is a byte string of 4 (IPv4) or 16 bytes. */
void omni_cbor_put_ip(struct omni_writer *w, const struct omni_ip *ip);
/* [address, port] */
void omni_cbor_put_endpoint(struct omni_writer *w, const struct omni_endpoint *ep);

/*
 * ---- Reading ----
 * Only what passed omni_cbor_check. Another type than the one asked for sets r->failed and
 * reads zero, as in omni_cursor.h.
 */

uint64_t omni_cbor_get_uint(struct omni_reader *r);
/* As above; more than max fails. */
uint64_t omni_cbor_get_uint_max(struct omni_reader *r, uint64_t max);
bool omni_cbor_get_bool(struct omni_reader *r);
/* A view into the reader's bytes. */
const uint8_t *omni_cbor_get_bytes(struct omni_reader *r, size_t *len);
/* A byte string of exactly len bytes, copied to dst. */
void omni_cbor_get_copy(struct omni_reader *r, void *dst, size_t len);
/* A text, cut to what out_len holds and ended by zero. */
void omni_cbor_get_text(struct omni_reader *r, char *out, size_t out_len);
/* Number of items or pairs; more than max fails. */
size_t omni_cbor_get_array(struct omni_reader *r, size_t max);
size_t omni_cbor_get_map(struct omni_reader *r, size_t max);
/* An IPv4 address in 16 bytes fails: there is one form for each address. */
void omni_cbor_get_ip(struct omni_reader *r, struct omni_ip *ip);
void omni_cbor_get_endpoint(struct omni_reader *r, struct omni_endpoint *ep);
/* Step over one item of any type; returns where it began. */
const uint8_t *omni_cbor_skip(struct omni_reader *r);

#endif
