/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include <omni_cbor.h>
#include <omni_control.h>

#define FIELDS_MAX 16 /* in a received map, unknown ones counted */

#define BIT(f) (1U << OMNI_CONTROL_F_##f)

/* The fields that a message of that type has beside its type. */
static uint32_t fields_of(enum omni_control_type type)
{
	switch (type) {
	case OMNI_CONTROL_CLOSE:
		return BIT(REASON);
	case OMNI_CONTROL_CUT:
	case OMNI_CONTROL_WANT_ROUTES:
		return 0;
	case OMNI_CONTROL_ROUTES:
		return BIT(VERSION) | BIT(FIRST) | BIT(TOTAL) | BIT(PREFIXES);
	default:
		return BIT(TOKEN);
	}
}

static void put_uint(struct omni_writer *w, enum omni_control_field field, uint64_t v)
{
	omni_cbor_put_uint(w, field);
	omni_cbor_put_uint(w, v);
}

static void put_prefixes(struct omni_writer *w, const struct omni_control *m)
{
	omni_cbor_put_uint(w, OMNI_CONTROL_F_PREFIXES);
	omni_cbor_put_array(w, m->n_prefixes);
	for (size_t i = 0; i < m->n_prefixes; i++) {
		omni_cbor_put_array(w, 2);
		omni_cbor_put_ip(w, &m->prefixes[i].ip);
		omni_cbor_put_uint(w, m->prefixes[i].len);
	}
}

static void put_token(struct omni_writer *w, const struct omni_control *m)
{
	omni_cbor_put_uint(w, OMNI_CONTROL_F_TOKEN);
	omni_cbor_put_bytes(w, m->token, sizeof(m->token));
}

/* Keys up to those of the padding; put_tail writes those behind it. */
static void put_body(struct omni_writer *w, const struct omni_control *m, size_t extra_fields)
{
	uint32_t fields = fields_of(m->type);

	omni_cbor_put_map(w, 1 + (size_t)__builtin_popcount(fields) + extra_fields);
	put_uint(w, OMNI_CONTROL_F_TYPE, m->type);
	if ((fields & BIT(TOKEN)) != 0)
		put_token(w, m);
	if ((fields & BIT(REASON)) != 0)
		put_uint(w, OMNI_CONTROL_F_REASON, m->reason);
}

static void put_tail(struct omni_writer *w, const struct omni_control *m)
{
	if (m->type != OMNI_CONTROL_ROUTES)
		return;
	put_uint(w, OMNI_CONTROL_F_VERSION, m->version);
	put_uint(w, OMNI_CONTROL_F_FIRST, m->first);
	put_uint(w, OMNI_CONTROL_F_TOTAL, m->total);
	put_prefixes(w, m);
}

/* Length of a byte string that takes n bytes with its head, or -1 where none does. */
static long pad_len(size_t n)
{
	if (n >= 1 && n <= 24)
		return (long)n - 1;
	if (n >= 26 && n <= 257)
		return (long)n - 2;
	return n >= 259 ? (long)n - 3 : -1;
}

int omni_control_encode(uint8_t *out, size_t out_len, const struct omni_control *m, size_t size)
{
	struct omni_writer w = omni_writer_init(out, out_len);
	size_t even = 0;
	long pad;

	assert(m->type > 0 && m->type < OMNI_CONTROL_TYPE_COUNT);
	if (size != 0 && (size < OMNI_CONTROL_PADDED_MIN || size > OMNI_CONTROL_MAX))
		return -EINVAL;
	if (size > out_len)
		return -ENOSPC;
	put_body(&w, m, 0);
	put_tail(&w, m);
	if (size == 0 || w.failed)
		return w.failed ? -ENOSPC : (int)(out_len - omni_writer_left(&w));
	if (m->type == OMNI_CONTROL_ROUTES)
		return -EINVAL; /* nobody measures with it */
	/* What is left for the byte string, after its key. */
	size -= out_len - omni_writer_left(&w) + 1;
	pad = pad_len(size);
	if (pad < 0) {
		even = 1;
		pad = pad_len(size - 2);
	}
	w = omni_writer_init(out, out_len);
	put_body(&w, m, 1 + even);
	omni_cbor_put_uint(&w, OMNI_CONTROL_F_PAD);
	omni_cbor_put_zeros(&w, (size_t)pad);
	if (even) {
		omni_cbor_put_uint(&w, OMNI_CONTROL_F_EVEN);
		omni_cbor_put_uint(&w, 0);
	}
	return w.failed ? -ENOSPC : (int)(out_len - omni_writer_left(&w));
}

/* Deterministic: an address has one form, and no bits behind its length. */
static void get_prefix(struct omni_reader *r, struct omni_prefix *prefix)
{
	size_t items = omni_cbor_get_array(r, 2);
	unsigned int bits;

	omni_cbor_get_ip(r, &prefix->ip);
	bits = omni_ip_is_v4(&prefix->ip) ? 32 : 128;
	prefix->len = (uint8_t)omni_cbor_get_uint_max(r, bits);
	for (unsigned int i = prefix->len + 128 - bits; i < 128; i++)
		r->failed |= (prefix->ip.b[i / 8] >> (7 - i % 8) & 1) != 0;
	r->failed |= items != 2;
}

static void get_prefixes(struct omni_reader *r, struct omni_control *m)
{
	m->n_prefixes = omni_cbor_get_array(r, OMNI_CONTROL_PREFIXES_MAX);
	for (size_t i = 0; i < m->n_prefixes && !r->failed; i++)
		get_prefix(r, &m->prefixes[i]);
}

static void get_field(struct omni_control *m, uint32_t *has, struct omni_reader *r)
{
	uint64_t field = omni_cbor_get_uint(r);

	switch (field) {
	case OMNI_CONTROL_F_TYPE:
		m->type = (enum omni_control_type)omni_cbor_get_uint_max(
			r, OMNI_CONTROL_TYPE_COUNT - 1);
		break;
	case OMNI_CONTROL_F_TOKEN:
		omni_cbor_get_copy(r, m->token, sizeof(m->token));
		break;
	case OMNI_CONTROL_F_REASON:
		m->reason = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_CONTROL_F_VERSION:
		m->version = omni_cbor_get_uint(r);
		break;
	case OMNI_CONTROL_F_FIRST:
		m->first = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_CONTROL_F_TOTAL:
		m->total = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_CONTROL_F_PREFIXES:
		get_prefixes(r, m);
		break;
	default:
		omni_cbor_skip(r);
		return;
	}
	*has |= 1U << field;
}

int omni_control_decode(struct omni_control *m, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	uint32_t has = 0, need = BIT(TYPE);
	int err = len <= OMNI_CONTROL_MAX ? omni_cbor_check(p, len) : -EBADMSG;
	size_t fields;

	memset(m, 0, sizeof(*m));
	if (err != 0)
		return err;
	fields = omni_cbor_get_map(&r, FIELDS_MAX);
	for (; fields > 0 && !r.failed; fields--)
		get_field(m, &has, &r);
	need |= fields_of(m->type);
	if (r.failed || m->type == 0 || (has & need) != need)
		return -EBADMSG;
	if (m->type == OMNI_CONTROL_ROUTES &&
	    (m->first > m->total || m->n_prefixes > m->total - m->first))
		return -EBADMSG;
	return 0;
}

const char *omni_control_type_name(unsigned int type)
{
	static const char *const names[OMNI_CONTROL_TYPE_COUNT] = {
		"?", "PROBE", "ECHO", "MOVE", "CLOSE", "CUT", "ROUTES", "WANT_ROUTES"};

	return type < OMNI_CONTROL_TYPE_COUNT ? names[type] : "?";
}
