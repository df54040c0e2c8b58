/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include <omni_cbor.h>
#include <omni_control.h>

#define FIELDS_MAX 16 /* in a received map, unknown ones counted */

/* The field that a message of that type has beside its type; TYPE itself: none. */
static enum omni_control_field field_of(enum omni_control_type type)
{
	switch (type) {
	case OMNI_CONTROL_CLOSE:
		return OMNI_CONTROL_F_REASON;
	case OMNI_CONTROL_CUT:
		return OMNI_CONTROL_F_TYPE;
	default:
		return OMNI_CONTROL_F_TOKEN;
	}
}

static void put_body(struct omni_writer *w, const struct omni_control *m, size_t extra_fields)
{
	enum omni_control_field field = field_of(m->type);

	omni_cbor_put_map(w, 1 + (field != OMNI_CONTROL_F_TYPE) + extra_fields);
	omni_cbor_put_uint(w, OMNI_CONTROL_F_TYPE);
	omni_cbor_put_uint(w, m->type);
	if (field == OMNI_CONTROL_F_REASON) {
		omni_cbor_put_uint(w, OMNI_CONTROL_F_REASON);
		omni_cbor_put_uint(w, m->reason);
	} else if (field == OMNI_CONTROL_F_TOKEN) {
		omni_cbor_put_uint(w, OMNI_CONTROL_F_TOKEN);
		omni_cbor_put_bytes(w, m->token, sizeof(m->token));
	}
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
	if (size == 0 || w.failed)
		return w.failed ? -ENOSPC : (int)(out_len - omni_writer_left(&w));
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
	default:
		omni_cbor_skip(r);
		return;
	}
	*has |= 1U << field;
}

int omni_control_decode(struct omni_control *m, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	uint32_t has = 0, need = 1U << OMNI_CONTROL_F_TYPE;
	int err = len <= OMNI_CONTROL_MAX ? omni_cbor_check(p, len) : -EBADMSG;
	size_t fields;

	memset(m, 0, sizeof(*m));
	if (err != 0)
		return err;
	fields = omni_cbor_get_map(&r, FIELDS_MAX);
	for (; fields > 0 && !r.failed; fields--)
		get_field(m, &has, &r);
	need |= 1U << field_of(m->type);
	if (r.failed || m->type == 0 || (has & need) != need)
		return -EBADMSG;
	return 0;
}

const char *omni_control_type_name(unsigned int type)
{
	static const char *const names[OMNI_CONTROL_TYPE_COUNT] = {"?",	   "PROBE", "ECHO",
								   "MOVE", "CLOSE", "CUT"};

	return type < OMNI_CONTROL_TYPE_COUNT ? names[type] : "?";
}
