/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <omni_cbor.h>
#include <omni_signal.h>

#define FIELDS_MAX 32 /* in a received map, unknown ones counted */
#define BIT(field) (UINT32_C(1) << OMNI_FIELD_##field)

/* What a type must have, and may have, beside its own number. */
static const struct shape {
	const char *name;
	uint32_t must, may;
} shapes[OMNI_SIGNAL_TYPE_COUNT] = {
	[OMNI_SIGNAL_REGISTER] = {"REGISTER", BIT(ID) | BIT(RECORD), 0},
	[OMNI_SIGNAL_REGISTER_ACK] = {"REGISTER_ACK", BIT(ID) | BIT(RESULT),
				      BIT(REGISTRATION) | BIT(SEEN) | BIT(LEASE) | BIT(EPOCH) |
					      BIT(COUNT)},
	[OMNI_SIGNAL_HEARTBEAT] = {"HEARTBEAT",
				   BIT(ID) | BIT(REGISTRATION) | BIT(EPOCH) | BIT(COUNT), 0},
	[OMNI_SIGNAL_HEARTBEAT_ACK] = {"HEARTBEAT_ACK", BIT(ID) | BIT(EPOCH),
				       BIT(PEERS) | BIT(REMOVED) | BIT(MORE) | BIT(RESYNC)},
	[OMNI_SIGNAL_LIST] = {"LIST", BIT(ID) | BIT(CURSOR), 0},
	[OMNI_SIGNAL_LIST_ACK] = {"LIST_ACK", BIT(ID) | BIT(EPOCH) | BIT(PEERS), BIT(CURSOR)},
	[OMNI_SIGNAL_QUERY_PEER] = {"QUERY_PEER", BIT(ID), BIT(VIP) | BIT(KEY)},
	[OMNI_SIGNAL_PEER_INFO] = {"PEER_INFO", BIT(ID) | BIT(FOUND), BIT(RECORD) | BIT(SEEN)},
	[OMNI_SIGNAL_PUNCH] = {"PUNCH", BIT(RECORD) | BIT(SEEN), 0},
	[OMNI_SIGNAL_BYE] = {"BYE", BIT(REGISTRATION), 0},
	[OMNI_SIGNAL_ERROR] = {"ERROR", BIT(ID) | BIT(CODE), BIT(TEXT)},
};

#define REGISTERED (BIT(REGISTRATION) | BIT(SEEN) | BIT(LEASE) | BIT(EPOCH) | BIT(COUNT))

/* The bits of a map to write: optional ones by `has`, arrays and flags by their content. */
static uint32_t fields_to_put(const struct omni_signal *m)
{
	uint32_t fields = shapes[m->type].must;
	uint32_t has =
		m->has & ~(BIT(PEERS) | BIT(REMOVED) | BIT(MORE) | BIT(RESYNC) | BIT(CURSOR));

	has |= m->n_peers > 0 ? BIT(PEERS) : 0;
	has |= m->n_removed > 0 ? BIT(REMOVED) : 0;
	has |= m->more ? BIT(MORE) : 0;
	has |= m->resync ? BIT(RESYNC) : 0;
	has |= m->cursor != 0 ? BIT(CURSOR) : 0;
	if (m->type == OMNI_SIGNAL_REGISTER_ACK)
		has = m->result == OMNI_SIGNAL_OK ? REGISTERED : 0;
	else if (m->type == OMNI_SIGNAL_PEER_INFO)
		has = m->found ? BIT(RECORD) | BIT(SEEN) : 0;
	return fields | (has & shapes[m->type].may);
}

static void put_peers(struct omni_writer *w, const struct omni_signal *m)
{
	omni_cbor_put_array(w, m->n_peers);
	for (size_t i = 0; i < m->n_peers; i++) {
		omni_cbor_put_array(w, 2);
		omni_cbor_put_ip(w, &m->peers[i].vip);
		omni_cbor_put_bytes(w, m->peers[i].key.b, OMNI_KEY_LEN);
	}
}

static void put_removed(struct omni_writer *w, const struct omni_signal *m)
{
	omni_cbor_put_array(w, m->n_removed);
	for (size_t i = 0; i < m->n_removed; i++)
		omni_cbor_put_ip(w, &m->removed[i]);
}

static void put_epoch(struct omni_writer *w, const struct omni_epoch *epoch)
{
	uint8_t instance[8];

	omni_store_be64(instance, epoch->instance);
	omni_cbor_put_array(w, 2);
	omni_cbor_put_bytes(w, instance, sizeof(instance));
	omni_cbor_put_uint(w, epoch->counter);
}

static void put_value(struct omni_writer *w, const struct omni_signal *m,
		      enum omni_signal_field field)
{
	switch (field) {
	case OMNI_FIELD_TYPE:
		return omni_cbor_put_uint(w, m->type);
	case OMNI_FIELD_ID:
		return omni_cbor_put_uint(w, m->id);
	case OMNI_FIELD_RECORD:
		return omni_write(w, m->record, m->record_len);
	case OMNI_FIELD_RESULT:
		return omni_cbor_put_uint(w, m->result);
	case OMNI_FIELD_REGISTRATION:
		return omni_cbor_put_uint(w, m->registration);
	case OMNI_FIELD_SEEN:
		return omni_cbor_put_endpoint(w, &m->seen);
	case OMNI_FIELD_LEASE:
		return omni_cbor_put_uint(w, m->lease_s);
	case OMNI_FIELD_EPOCH:
		return put_epoch(w, &m->epoch);
	case OMNI_FIELD_COUNT:
		return omni_cbor_put_uint(w, m->count);
	case OMNI_FIELD_PEERS:
		return put_peers(w, m);
	case OMNI_FIELD_REMOVED:
		return put_removed(w, m);
	case OMNI_FIELD_CURSOR:
		return omni_cbor_put_uint(w, m->cursor);
	case OMNI_FIELD_VIP:
		return omni_cbor_put_ip(w, &m->vip);
	case OMNI_FIELD_KEY:
		return omni_cbor_put_bytes(w, m->key.b, sizeof(m->key.b));
	case OMNI_FIELD_FOUND:
		return omni_cbor_put_bool(w, m->found);
	case OMNI_FIELD_CODE:
		return omni_cbor_put_uint(w, m->code);
	case OMNI_FIELD_TEXT:
		return omni_cbor_put_text(w, m->text);
	case OMNI_FIELD_MORE:
	case OMNI_FIELD_RESYNC:
	case OMNI_FIELD_KNOWN:
		break;
	}
	omni_cbor_put_bool(w, true);
}

int omni_signal_encode(uint8_t out[OMNI_CBOR_MAX], const struct omni_signal *m)
{
	struct omni_writer w = omni_writer_init(out, OMNI_CBOR_MAX);
	uint32_t fields;

	assert(m->type > 0 && m->type < OMNI_SIGNAL_TYPE_COUNT);
	assert(m->n_peers <= OMNI_SIGNAL_PEERS_MAX && m->n_removed <= OMNI_SIGNAL_REMOVED_MAX);
	fields = fields_to_put(m) | BIT(TYPE);
	omni_cbor_put_map(&w, (size_t)__builtin_popcount(fields));
	for (unsigned int f = 0; f < OMNI_FIELD_KNOWN; f++) {
		if ((fields >> f & 1) == 0)
			continue;
		omni_cbor_put_uint(&w, f);
		put_value(&w, m, (enum omni_signal_field)f);
	}
	return w.failed ? -ENOSPC : (int)(OMNI_CBOR_MAX - omni_writer_left(&w));
}

static void get_peers(struct omni_reader *r, struct omni_signal *m)
{
	m->n_peers = omni_cbor_get_array(r, OMNI_SIGNAL_PEERS_MAX);
	for (size_t i = 0; i < m->n_peers; i++) {
		r->failed |= omni_cbor_get_array(r, 2) != 2;
		omni_cbor_get_ip(r, &m->peers[i].vip);
		omni_cbor_get_copy(r, m->peers[i].key.b, OMNI_KEY_LEN);
	}
}

static void get_removed(struct omni_reader *r, struct omni_signal *m)
{
	m->n_removed = omni_cbor_get_array(r, OMNI_SIGNAL_REMOVED_MAX);
	for (size_t i = 0; i < m->n_removed; i++)
		omni_cbor_get_ip(r, &m->removed[i]);
}

static void get_epoch(struct omni_reader *r, struct omni_epoch *epoch)
{
	uint8_t instance[8];

	r->failed |= omni_cbor_get_array(r, 2) != 2;
	omni_cbor_get_copy(r, instance, sizeof(instance));
	epoch->instance = omni_load_be64(instance);
	epoch->counter = omni_cbor_get_uint(r);
}

static void get_record(struct omni_reader *r, struct omni_signal *m)
{
	m->record = omni_cbor_skip(r);
	m->record_len = (size_t)(r->p - m->record);
}

static void get_value(struct omni_reader *r, struct omni_signal *m, enum omni_signal_field field)
{
	switch (field) {
	case OMNI_FIELD_TYPE:
		m->type = (enum omni_signal_type)omni_cbor_get_uint_max(r,
									OMNI_SIGNAL_TYPE_COUNT - 1);
		break;
	case OMNI_FIELD_ID:
		m->id = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_FIELD_RECORD:
		return get_record(r, m);
	case OMNI_FIELD_RESULT:
		m->result = (enum omni_signal_result)omni_cbor_get_uint_max(r, UINT8_MAX);
		break;
	case OMNI_FIELD_REGISTRATION:
		m->registration = omni_cbor_get_uint(r);
		break;
	case OMNI_FIELD_SEEN:
		return omni_cbor_get_endpoint(r, &m->seen);
	case OMNI_FIELD_LEASE:
		m->lease_s = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_FIELD_EPOCH:
		return get_epoch(r, &m->epoch);
	case OMNI_FIELD_COUNT:
		m->count = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_FIELD_PEERS:
		return get_peers(r, m);
	case OMNI_FIELD_REMOVED:
		return get_removed(r, m);
	case OMNI_FIELD_MORE:
		m->more = omni_cbor_get_bool(r);
		break;
	case OMNI_FIELD_CURSOR:
		m->cursor = omni_cbor_get_uint(r);
		break;
	case OMNI_FIELD_VIP:
		return omni_cbor_get_ip(r, &m->vip);
	case OMNI_FIELD_KEY:
		return omni_cbor_get_copy(r, m->key.b, sizeof(m->key.b));
	case OMNI_FIELD_FOUND:
		m->found = omni_cbor_get_bool(r);
		break;
	case OMNI_FIELD_CODE:
		m->code = (uint32_t)omni_cbor_get_uint_max(r, UINT32_MAX);
		break;
	case OMNI_FIELD_TEXT:
		return omni_cbor_get_text(r, m->text, sizeof(m->text));
	case OMNI_FIELD_RESYNC:
		m->resync = omni_cbor_get_bool(r);
		break;
	case OMNI_FIELD_KNOWN:
		break;
	}
}

/* What must be there given the values of the others. */
static bool complete(const struct omni_signal *m)
{
	uint32_t must = shapes[m->type].must;

	if (m->type == OMNI_SIGNAL_REGISTER_ACK && m->result == OMNI_SIGNAL_OK)
		must |= REGISTERED;
	if (m->type == OMNI_SIGNAL_PEER_INFO && m->found)
		must |= BIT(RECORD) | BIT(SEEN);
	if (m->type == OMNI_SIGNAL_QUERY_PEER &&
	    omni_signal_has(m, OMNI_FIELD_VIP) == omni_signal_has(m, OMNI_FIELD_KEY))
		return false;
	return (m->has & must) == must;
}

int omni_signal_decode(struct omni_signal *m, const uint8_t *p, size_t len)
{
	struct omni_reader r = omni_reader_init(p, len);
	int err = len <= OMNI_CBOR_MAX ? omni_cbor_check(p, len) : -EBADMSG;
	uint32_t known;
	size_t fields;

	memset(m, 0, sizeof(*m));
	if (err != 0)
		return err;
	fields = omni_cbor_get_map(&r, FIELDS_MAX);
	for (; fields > 0 && !r.failed; fields--) {
		uint64_t field = omni_cbor_get_uint(&r);

		if (field >= OMNI_FIELD_KNOWN) {
			omni_cbor_skip(&r);
			continue;
		}
		get_value(&r, m, (enum omni_signal_field)field);
		m->has |= UINT32_C(1) << field;
	}
	if (r.failed || m->type == 0)
		return -EBADMSG;
	known = shapes[m->type].must | shapes[m->type].may | BIT(TYPE);
	return (m->has & ~known) == 0 && complete(m) ? 0 : -EBADMSG;
}

const char *omni_signal_type_name(unsigned int type)
{
	return type > 0 && type < OMNI_SIGNAL_TYPE_COUNT ? shapes[type].name : "?";
}

const char *omni_signal_result_name(unsigned int result)
{
	static const char *const names[OMNI_SIGNAL_RESULT_COUNT] = {
		"registered",
		"VIP held by another",
		"record malformed or of another key",
		"record forged",
		"record expired or not yet valid",
		"record older than one already seen",
		"cluster not allowed on this Nucleus",
		"Nucleus full",
		"session serves another cluster",
	};

	return result < OMNI_SIGNAL_RESULT_COUNT ? names[result] : "?";
}
