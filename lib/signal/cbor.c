/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <cbor.h>

#include <omni_cbor.h>

/* Major types, the three high bits of a head (RFC 8949 section 3.1). */
enum major {
	UNSIGNED,
	NEGATIVE,
	BYTES,
	TEXT,
	ARRAY,
	MAP,
	TAG,
	SIMPLE,
};

#define HEAD_MAX 9
#define INFO_1 24 /* the value follows in one byte; 25: two, 26: four, 27: eight */
#define INFO_8 27

struct head {
	enum major major;
	unsigned int info;
	uint64_t value;
};

/* ---- Writing ---- */

static void put(struct omni_writer *w, const uint8_t *head, size_t len)
{
	omni_write(w, head, len);
}

void omni_cbor_put_uint(struct omni_writer *w, uint64_t v)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_uint(v, h, sizeof(h)));
}

void omni_cbor_put_bool(struct omni_writer *w, bool v)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_bool(v, h, sizeof(h)));
}

void omni_cbor_put_bytes(struct omni_writer *w, const void *p, size_t len)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_bytestring_start(len, h, sizeof(h)));
	omni_write(w, p, len);
}

void omni_cbor_put_zeros(struct omni_writer *w, size_t len)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_bytestring_start(len, h, sizeof(h)));
	omni_write_zero(w, len);
}

void omni_cbor_put_text(struct omni_writer *w, const char *text)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_string_start(strlen(text), h, sizeof(h)));
	omni_write(w, text, strlen(text));
}

void omni_cbor_put_array(struct omni_writer *w, size_t items)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_array_start(items, h, sizeof(h)));
}

void omni_cbor_put_map(struct omni_writer *w, size_t pairs)
{
	uint8_t h[HEAD_MAX];

	put(w, h, cbor_encode_map_start(pairs, h, sizeof(h)));
}

void omni_cbor_put_ip(struct omni_writer *w, const struct omni_ip *ip)
{
	if (omni_ip_is_v4(ip))
		omni_cbor_put_bytes(w, ip->b + 12, 4);
	else
		omni_cbor_put_bytes(w, ip->b, 16);
}

void omni_cbor_put_endpoint(struct omni_writer *w, const struct omni_endpoint *ep)
{
	omni_cbor_put_array(w, 2);
	omni_cbor_put_ip(w, &ep->ip);
	omni_cbor_put_uint(w, ep->port);
}

/* ---- Heads ---- */

/* The next head; indefinite lengths and the reserved values fail. */
static struct head read_head(struct omni_reader *r)
{
	uint8_t first = omni_read_u8(r);
	struct head h = {.major = first >> 5, .info = first & 31, .value = first & 31};

	switch (h.info) {
	case INFO_1:
		h.value = omni_read_u8(r);
		break;
	case INFO_1 + 1:
		h.value = omni_read_be16(r);
		break;
	case INFO_1 + 2:
		h.value = omni_read_be32(r);
		break;
	case INFO_8:
		h.value = omni_read_be64(r);
		break;
	default:
		r->failed |= h.info > INFO_8;
	}
	return h;
}

/* True where a float of `bits` (16, 32 or 64) is the shortest that keeps its value. */
static bool float_is_shortest(uint64_t v, unsigned int bits)
{
	unsigned int mant = bits == 64 ? 52 : bits == 32 ? 23 : 10;
	unsigned int exp_max = (1U << (bits - 1 - mant)) - 1;
	unsigned int next_mant = bits == 64 ? 23 : 10;
	int next_bias = bits == 64 ? 127 : 15;
	uint64_t m = v & ((UINT64_C(1) << mant) - 1);
	unsigned int e = (unsigned int)(v >> mant) & exp_max;
	int exponent = (int)e - (int)(exp_max >> 1), lost;

	if (e == exp_max && m != 0) /* not a number: one form only */
		return bits == 16 && v == 0x7e00;
	if (bits == 16)
		return true;
	if (e == exp_max || (e == 0 && m == 0))
		return false; /* infinities and zeros are halves */
	if (e == 0 || exponent > next_bias)
		return true;
	/* Bits that the next shorter mantissa cannot hold; more of them where it is subnormal. */
	lost = (int)(mant - next_mant);
	if (exponent < 1 - next_bias)
		lost += 1 - next_bias - exponent;
	if (lost > (int)mant) /* not even the leading one is left */
		return true;
	return (m & ((UINT64_C(1) << lost) - 1)) != 0;
}

/* Encode the head again and return its length; 0 for what has no deterministic form. */
static size_t encode_head(const struct head *h, uint8_t out[HEAD_MAX])
{
	switch (h->major) {
	case UNSIGNED:
		return cbor_encode_uint(h->value, out, HEAD_MAX);
	case NEGATIVE:
		return cbor_encode_negint(h->value, out, HEAD_MAX);
	case BYTES:
		return cbor_encode_bytestring_start((size_t)h->value, out, HEAD_MAX);
	case TEXT:
		return cbor_encode_string_start((size_t)h->value, out, HEAD_MAX);
	case ARRAY:
		return cbor_encode_array_start((size_t)h->value, out, HEAD_MAX);
	case MAP:
		return cbor_encode_map_start((size_t)h->value, out, HEAD_MAX);
	case TAG:
		return cbor_encode_tag(h->value, out, HEAD_MAX);
	default:
		return 0;
	}
}

/* 0, -EBADMSG or -EILSEQ for major type 7: simple values and floats. */
static int check_simple(const struct head *h)
{
	if (h->info < INFO_1)
		return 0;
	if (h->info == INFO_1)
		return h->value >= 32 ? 0 : -EBADMSG;
	return float_is_shortest(h->value, 16U << (h->info - INFO_1 - 1)) ? 0 : -EILSEQ;
}

static bool is_utf8(const uint8_t *p, size_t len)
{
	static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};

	for (size_t i = 0; i < len;) {
		uint8_t b = p[i++];
		unsigned int more = b < 0x80 ? 0 : b >> 5 == 6 ? 1 : b >> 4 == 14 ? 2 : 3;
		uint32_t c = more == 0 ? b : b & (0x3fU >> more);

		if (b >= 0xf8 || (b & 0xc0) == 0x80 || len - i < more)
			return false;
		for (unsigned int j = 0; j < more; j++, i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i] & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
	}
	return true;
}

/* ---- The check: one walk over the items ---- */

static int check_item(struct omni_reader *r, unsigned int depth);

static int check_string(struct omni_reader *r, const struct head *h)
{
	const uint8_t *p;

	if (h->value > omni_reader_left(r))
		return -EBADMSG;
	p = omni_read(r, (size_t)h->value);
	return h->major == BYTES || is_utf8(p, (size_t)h->value) ? 0 : -EBADMSG;
}

static int check_items(struct omni_reader *r, uint64_t n, unsigned int depth)
{
	int err = 0;

	/* Each item has at least a byte: a claim of more ends here, not after n turns. */
	if (n > omni_reader_left(r))
		return -EBADMSG;
	for (; n > 0 && err == 0; n--)
		err = check_item(r, depth);
	return err;
}

/* True where the key a comes before the key b, byte by byte. */
static bool key_before(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int c = memcmp(a, b, OMNI_MIN(a_len, b_len));

	return c != 0 ? c < 0 : a_len < b_len;
}

static int check_map(struct omni_reader *r, uint64_t pairs, unsigned int depth)
{
	const uint8_t *last = NULL, *key;
	size_t last_len = 0, key_len;
	bool unsorted = false;
	int err;

	if (pairs > omni_reader_left(r) / 2)
		return -EBADMSG;
	for (; pairs > 0; pairs--) {
		key = r->p;
		err = check_item(r, depth);
		if (err != 0)
			return err;
		key_len = (size_t)(r->p - key);
		unsorted |= last != NULL && !key_before(last, last_len, key, key_len);
		last = key;
		last_len = key_len;
		err = check_item(r, depth);
		if (err != 0)
			return err;
	}
	return unsorted ? -EILSEQ : 0;
}

static int check_item(struct omni_reader *r, unsigned int depth)
{
	const uint8_t *at = r->p;
	uint8_t again[HEAD_MAX];
	struct head h = read_head(r);
	size_t len = (size_t)(r->p - at);

	if (r->failed) /* an indefinite length is well-formed, but never deterministic */
		return at < r->end && (*at & 31) == 31 && *at != 0xff ? -EILSEQ : -EBADMSG;
	if (h.major == SIMPLE)
		return check_simple(&h);
	if (encode_head(&h, again) != len || memcmp(at, again, len) != 0)
		return -EILSEQ;
	if (h.major == UNSIGNED || h.major == NEGATIVE)
		return 0;
	if (h.major == BYTES || h.major == TEXT)
		return check_string(r, &h);
	if (depth == OMNI_CBOR_DEPTH_MAX)
		return -ELOOP;
	if (h.major == MAP)
		return check_map(r, h.value, depth + 1);
	return check_items(r, h.major == ARRAY ? h.value : 1, depth + 1);
}

int omni_cbor_check(const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	int err = check_item(&r, 0);

	if (err != 0)
		return err;
	return omni_reader_left(&r) == 0 ? 0 : -EBADMSG;
}

/* ---- Reading ---- */

static uint64_t get(struct omni_reader *r, enum major major, uint64_t max)
{
	struct head h = read_head(r);

	if (r->failed || h.major != major || h.value > max) {
		r->failed = true;
		return 0;
	}
	return h.value;
}

uint64_t omni_cbor_get_uint(struct omni_reader *r)
{
	return get(r, UNSIGNED, UINT64_MAX);
}

uint64_t omni_cbor_get_uint_max(struct omni_reader *r, uint64_t max)
{
	return get(r, UNSIGNED, max);
}

bool omni_cbor_get_bool(struct omni_reader *r)
{
	struct head h = read_head(r);

	/* By the head: half floats carry such values too. */
	r->failed |= h.major != SIMPLE || (h.info != CBOR_CTRL_FALSE && h.info != CBOR_CTRL_TRUE);
	return !r->failed && h.info == CBOR_CTRL_TRUE;
}

static const uint8_t *get_string(struct omni_reader *r, enum major major, size_t *len)
{
	const uint8_t *p;

	*len = (size_t)get(r, major, omni_reader_left(r));
	p = omni_read(r, *len);
	if (p == NULL)
		*len = 0;
	return p;
}

const uint8_t *omni_cbor_get_bytes(struct omni_reader *r, size_t *len)
{
	return get_string(r, BYTES, len);
}

void omni_cbor_get_copy(struct omni_reader *r, void *dst, size_t len)
{
	size_t got;
	const uint8_t *p = get_string(r, BYTES, &got);

	if (p == NULL || got != len) {
		r->failed = true;
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, p, len);
}

void omni_cbor_get_text(struct omni_reader *r, char *out, size_t out_len)
{
	size_t len;
	const uint8_t *p = get_string(r, TEXT, &len);

	len = OMNI_MIN(len, out_len - 1);
	if (len > 0)
		memcpy(out, p, len);
	out[len] = '\0';
}

size_t omni_cbor_get_array(struct omni_reader *r, size_t max)
{
	return (size_t)get(r, ARRAY, max);
}

size_t omni_cbor_get_map(struct omni_reader *r, size_t max)
{
	return (size_t)get(r, MAP, max);
}

void omni_cbor_get_ip(struct omni_reader *r, struct omni_ip *ip)
{
	size_t len;
	const uint8_t *p = get_string(r, BYTES, &len);
	uint32_t v4;

	memset(ip, 0, sizeof(*ip));
	if (len == sizeof(v4)) {
		memcpy(&v4, p, sizeof(v4));
		*ip = omni_ip_from_v4(v4);
	} else if (len == sizeof(ip->b)) {
		memcpy(ip->b, p, sizeof(ip->b));
		r->failed |= omni_ip_is_v4(ip);
	} else {
		r->failed = true;
	}
}

void omni_cbor_get_endpoint(struct omni_reader *r, struct omni_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	r->failed |= omni_cbor_get_array(r, 2) != 2;
	omni_cbor_get_ip(r, &ep->ip);
	ep->port = (uint16_t)omni_cbor_get_uint_max(r, UINT16_MAX);
}

static void skip_items(struct omni_reader *r, uint64_t n, unsigned int depth)
{
	while (n > 0 && !r->failed) {
		struct head h = read_head(r);

		n--;
		if (h.major == BYTES || h.major == TEXT)
			(void)omni_read(r, (size_t)h.value);
		else if (h.major >= ARRAY && h.major <= TAG && depth == OMNI_CBOR_DEPTH_MAX)
			r->failed = true;
		else if (h.major >= ARRAY && h.major <= TAG)
			skip_items(r, h.major == TAG ? 1 : h.value << (h.major == MAP), depth + 1);
	}
}

const uint8_t *omni_cbor_skip(struct omni_reader *r)
{
	const uint8_t *at = r->p;

	skip_items(r, 1, 0);
	return at;
}
