/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <omni_cbor.h>
#include <omni_record.h>
#include <omni_secret.h>

#define FIELDS_MAX 16 /* in a received record, unknown ones counted */
#define MUST ((1U << OMNI_RECORD_F_KNOWN) - 1)

static size_t put_body(uint8_t *out, const struct omni_record *rec)
{
	struct omni_writer w = omni_writer_init(out, OMNI_RECORD_MAX);

	omni_cbor_put_map(&w, OMNI_RECORD_F_KNOWN);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_VERSION);
	omni_cbor_put_uint(&w, OMNI_RECORD_VERSION);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_CLUSTER);
	omni_cbor_put_bytes(&w, rec->cluster_id.b, OMNI_KEY_LEN);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_ED25519);
	omni_cbor_put_bytes(&w, rec->ed25519.b, OMNI_KEY_LEN);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_VIP);
	omni_cbor_put_ip(&w, &rec->vip);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_DIALECTS);
	omni_cbor_put_uint(&w, rec->dialects);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_CANDIDATES);
	omni_cbor_put_array(&w, rec->n_candidates);
	for (size_t i = 0; i < rec->n_candidates; i++)
		omni_cbor_put_endpoint(&w, &rec->candidates[i]);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_ISSUED);
	omni_cbor_put_uint(&w, rec->issued);
	omni_cbor_put_uint(&w, OMNI_RECORD_F_EXPIRES);
	omni_cbor_put_uint(&w, rec->expires);
	return w.failed ? 0 : OMNI_RECORD_MAX - omni_writer_left(&w);
}

/* Values that no honest member writes. */
static bool fields_sane(const struct omni_record *rec)
{
	return omni_ip_is_unicast(&rec->vip) && rec->expires > rec->issued &&
	       rec->expires - rec->issued <= OMNI_RECORD_LIFE_S && rec->dialects != 0 &&
	       rec->n_candidates <= OMNI_RECORD_CANDIDATES_MAX;
}

int omni_record_create(uint8_t out[OMNI_RECORD_MAX], const struct omni_record *rec,
		       const struct omni_sign_secret *identity,
		       const struct omni_sign_secret *cluster)
{
	struct omni_writer w = omni_writer_init(out, OMNI_RECORD_MAX);
	uint8_t body[OMNI_RECORD_MAX], member_sig[OMNI_SIGNATURE_LEN];
	uint8_t cluster_sig[OMNI_SIGNATURE_LEN];
	size_t len;

	/* libsodium keeps the public key in the second half of the secret. */
	if (!fields_sane(rec) || memcmp(rec->ed25519.b, identity->b + 32, OMNI_KEY_LEN) != 0 ||
	    memcmp(rec->cluster_id.b, cluster->b + 32, OMNI_KEY_LEN) != 0)
		return -EINVAL;
	len = put_body(body, rec);
	omni_sign(member_sig, OMNI_RECORD_CONTEXT, OMNI_RECORD_CONTEXT_LEN, body, len, identity);
	omni_sign(cluster_sig, OMNI_RECORD_CONTEXT, OMNI_RECORD_CONTEXT_LEN, body, len, cluster);
	omni_cbor_put_array(&w, 3);
	omni_cbor_put_bytes(&w, body, len);
	omni_cbor_put_bytes(&w, member_sig, sizeof(member_sig));
	omni_cbor_put_bytes(&w, cluster_sig, sizeof(cluster_sig));
	return len == 0 || w.failed ? -EINVAL : (int)(OMNI_RECORD_MAX - omni_writer_left(&w));
}

static void get_candidates(struct omni_reader *r, struct omni_record *rec)
{
	size_t n = omni_cbor_get_array(r, OMNI_RECORD_CANDIDATES_MAX);
	struct omni_endpoint ep;

	for (; n > 0; n--) {
		omni_cbor_get_endpoint(r, &ep);
		if (omni_ip_is_unicast(&ep.ip) && ep.port != 0)
			rec->candidates[rec->n_candidates++] = ep;
	}
}

static void get_value(struct omni_reader *r, struct omni_record *rec, uint64_t field)
{
	switch (field) {
	case OMNI_RECORD_F_VERSION:
		r->failed |= omni_cbor_get_uint(r) != OMNI_RECORD_VERSION;
		break;
	case OMNI_RECORD_F_CLUSTER:
		return omni_cbor_get_copy(r, rec->cluster_id.b, OMNI_KEY_LEN);
	case OMNI_RECORD_F_ED25519:
		return omni_cbor_get_copy(r, rec->ed25519.b, OMNI_KEY_LEN);
	case OMNI_RECORD_F_VIP:
		return omni_cbor_get_ip(r, &rec->vip);
	case OMNI_RECORD_F_DIALECTS:
		rec->dialects = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_RECORD_F_CANDIDATES:
		return get_candidates(r, rec);
	case OMNI_RECORD_F_ISSUED:
		rec->issued = omni_cbor_get_uint(r);
		break;
	case OMNI_RECORD_F_EXPIRES:
		rec->expires = omni_cbor_get_uint(r);
		break;
	default:
		omni_cbor_skip(r);
	}
}

static bool parse_body(struct omni_record *rec, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	uint32_t has = 0;
	size_t fields;

	if (omni_cbor_check(p, len) != 0)
		return false;
	fields = omni_cbor_get_map(&r, FIELDS_MAX);
	for (; fields > 0 && !r.failed; fields--) {
		uint64_t field = omni_cbor_get_uint(&r);

		get_value(&r, rec, field);
		if (field < OMNI_RECORD_F_KNOWN)
			has |= 1U << field;
	}
	return !r.failed && has == MUST && fields_sane(rec);
}

/* The array's three strings. */
struct envelope {
	const uint8_t *body, *member_sig, *cluster_sig;
	size_t body_len;
};

static bool parse_envelope(struct envelope *e, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	size_t member_len, cluster_len;

	if (len > OMNI_RECORD_MAX || omni_cbor_check(p, len) != 0 ||
	    omni_cbor_get_array(&r, 3) != 3)
		return false;
	e->body = omni_cbor_get_bytes(&r, &e->body_len);
	e->member_sig = omni_cbor_get_bytes(&r, &member_len);
	e->cluster_sig = omni_cbor_get_bytes(&r, &cluster_len);
	return !r.failed && member_len == OMNI_SIGNATURE_LEN && cluster_len == OMNI_SIGNATURE_LEN;
}

static enum omni_record_verdict check_time(const struct omni_record *rec,
					   const struct omni_record_check *check)
{
	if (rec->issued > check->now_s && rec->issued - check->now_s > OMNI_RECORD_SKEW_S)
		return OMNI_RECORD_NOT_YET;
	if (check->now_s > rec->expires && check->now_s - rec->expires > OMNI_RECORD_SKEW_S)
		return OMNI_RECORD_EXPIRED;
	return rec->issued < check->newest_issued ? OMNI_RECORD_OLDER : OMNI_RECORD_OK;
}

static bool signed_by(const uint8_t *sig, const struct envelope *e, const struct omni_key *public)
{
	return omni_sign_verify(sig, OMNI_RECORD_CONTEXT, OMNI_RECORD_CONTEXT_LEN, e->body,
				e->body_len, public);
}

enum omni_record_verdict omni_record_open(struct omni_record *rec, const uint8_t *p, size_t len,
					  const struct omni_record_check *check)
{
	struct envelope e;

	memset(rec, 0, sizeof(*rec));
	if (!parse_envelope(&e, p, len) || !parse_body(rec, e.body, e.body_len) ||
	    omni_sign_public_to_dh(&rec->key, &rec->ed25519) != 0)
		return OMNI_RECORD_MALFORMED;
	if (check->cluster_id != NULL &&
	    memcmp(&rec->cluster_id, check->cluster_id, sizeof(rec->cluster_id)) != 0)
		return OMNI_RECORD_FOREIGN;
	if (check->key != NULL && memcmp(&rec->key, check->key, sizeof(rec->key)) != 0)
		return OMNI_RECORD_OTHER_KEY;
	if (!signed_by(e.member_sig, &e, &rec->ed25519))
		return OMNI_RECORD_FORGED_MEMBER;
	if (!signed_by(e.cluster_sig, &e, &rec->cluster_id))
		return OMNI_RECORD_FORGED_CLUSTER;
	return check_time(rec, check);
}

const char *omni_record_verdict_name(enum omni_record_verdict verdict)
{
	static const char *const names[OMNI_RECORD_VERDICT_COUNT] = {
		"ok",	   "malformed", "foreign", "other_key", "forged_member", "forged_cluster",
		"expired", "not_yet",	"older",
	};

	return verdict < OMNI_RECORD_VERDICT_COUNT ? names[verdict] : "?";
}
