/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A Nucleus and its input: a row of steps, each an order byte and what it takes. Datagrams come
 * raw, or with what only a computation can give them (macs, seals, signatures) put right, so that
 * the fuzzer reaches what stands behind these.
 */
#include <stdlib.h>

#include <omni_crypto.h>

#include "../unit/edge.h"

#include "fuzz.h"

#define EDGES 4

struct steps {
	struct omni_reader r;
	struct cluster cluster[2];
	struct edge edge[EDGES];
};

static const uint8_t *take(struct steps *s, size_t *len)
{
	size_t want = omni_read_u8(&s->r);

	if (want == 255)
		want = omni_read_be16(&s->r);
	*len = s->r.failed ? 0 : OMNI_MIN(want, omni_reader_left(&s->r));
	return omni_read(&s->r, *len);
}

static void check(size_t answer, size_t asked)
{
	REQUIRE(answer <= sizeof(reply));
	REQUIRE((reply[0] & 0x80) != 0 || answer <= asked || (reply[0] == 1 && answer <= 44));
}

static void raw(struct steps *s, struct edge *e)
{
	size_t len;
	const uint8_t *p = take(s, &len);
	/* A buffer of its very length, so that every read beyond it is seen. */
	uint8_t *exact = malloc(len + 1);

	REQUIRE(exact != NULL);
	if (len > 0)
		memcpy(exact, p, len);
	check(input(&e->at, exact, len), len);
	free(exact);
}

static void sealed(struct steps *s, struct edge *e, uint8_t kind)
{
	size_t len;
	const uint8_t *p = take(s, &len);

	len = OMNI_MIN(len, (size_t)OMNI_CBOR_MAX);
	edge_seal(e, kind, p, len);
	check(input(&e->at, e->last, e->last_len), e->last_len);
}

/* A good initiation with bytes changed where its macs are then made anew. */
static void initiation(struct steps *s, struct edge *e)
{
	struct omni_initiation in;
	struct omni_hs hs;
	size_t len;
	const uint8_t *p = take(s, &len);
	size_t at = omni_read_be16(&s->r) % sizeof(in);

	edge_initiation(e, &hs, &in);
	len = OMNI_MIN(len, sizeof(in) - at);
	if (len > 0)
		memcpy((uint8_t *)&in + at, p, len);
	omni_macs_write((uint8_t *)&in, sizeof(in), &e->nucleus, &e->cookie, now.boot_ns);
	check(input(&e->at, &in, sizeof(in)), sizeof(in));
}

static void ask(struct steps *s, struct edge *e)
{
	struct omni_signal m = {.type = 1 + omni_read_u8(&s->r) % (OMNI_SIGNAL_TYPE_COUNT - 1)},
			   got;
	uint8_t record[OMNI_RECORD_MAX];

	m.has = UINT32_C(1) << (omni_read_u8(&s->r) % 2 ? OMNI_FIELD_VIP : OMNI_FIELD_KEY);
	m.vip = s->edge[omni_read_u8(&s->r) % EDGES].vip;
	m.key = s->edge[omni_read_u8(&s->r) % EDGES].identity.dh.public;
	m.registration = e->registration;
	m.epoch = e->epoch;
	m.epoch.counter += (uint64_t)(int8_t)omni_read_u8(&s->r);
	m.cursor = omni_read_u8(&s->r);
	m.record = record;
	m.record_len = edge_record(e, now.real_s - omni_read_u8(&s->r), record);
	(void)edge_ask(e, &m, &got);
}

static void step(struct steps *s)
{
	uint8_t order = omni_read_u8(&s->r);
	struct edge *e = &s->edge[order >> 6];
	uint8_t n;

	switch (order & 15) {
	case 0:
		return raw(s, e);
	case 1:
		return sealed(s, e, OMNI_KIND_CONTROL);
	case 2:
		return sealed(s, e, omni_read_u8(&s->r));
	case 3:
		return initiation(s, e);
	case 4:
		(void)edge_hello(e);
		return;
	case 5:
		(void)edge_handshake(e);
		return;
	case 6:
		n = omni_read_u8(&s->r);
		e->vip.b[15] = n % 8;
		(void)edge_register(e);
		return;
	case 7:
		return ask(s, e);
	case 8:
		e->at.port = 40000 + omni_read_u8(&s->r) % 2;
		return;
	case 9:
		n = omni_read_u8(&s->r);
		now.boot_ns += n * OMNI_NS_PER_S;
		now.real_s += n;
		omni_nucleus_tick(nucleus, &now);
		return;
	default:
		e->cluster = &s->cluster[order >> 4 & 1];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static struct omni_identity identity;
	static struct steps s;
	struct omni_nucleus_config config = {.identity = &identity, .random = test_random};
	struct omni_key seed = {.b = {1}};

	REQUIRE(omni_crypto_init() == 0);
	if (identity.dh.public.b[0] == 0 && identity.dh.public.b[31] == 0) {
		omni_identity_from_seed(&identity, &seed);
		cluster_make(&s.cluster[0], 0x11);
		cluster_make(&s.cluster[1], 0x22);
	}
	omni_nucleus_limits_default(&config.limits);
	random_state = 42;
	now = (struct omni_nucleus_time){.boot_ns = 1000 * OMNI_NS_PER_S, .real_s = 1700000000};
	nucleus = omni_nucleus_create(&config);
	REQUIRE(nucleus != NULL);
	for (uint32_t i = 0; i < EDGES; i++) {
		edge_make(&s.edge[i], &s.cluster[0], i);
		s.edge[i].nucleus = identity.dh.public;
	}
	s.r = omni_reader_init(p, len);
	while (omni_reader_left(&s.r) > 0 && !s.r.failed)
		step(&s);
	omni_nucleus_free(nucleus);
	return 0;
}
