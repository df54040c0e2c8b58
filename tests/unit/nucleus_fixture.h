/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The Nucleus under test, its clusters and its edges. After cmocka.h. */
#ifndef NUCLEUS_FIXTURE_H
#define NUCLEUS_FIXTURE_H

#include "edge.h"

#define START_NS (1000 * OMNI_NS_PER_S)
#define START_S UINT64_C(1700000000)
#define EDGES 1000

static struct cluster red, blue;
static struct edge *edges;
static struct omni_identity identity;

static inline uint64_t count(enum omni_nucleus_counter c)
{
	return omni_nucleus_counter(nucleus, c);
}

#define assert_count(name, n) assert_int_equal(count(OMNI_NUCLEUS_##name), n)

static inline void wait_s(uint64_t s)
{
	for (; s > 0; s--) {
		now.boot_ns += OMNI_NS_PER_S;
		now.real_s++;
		omni_nucleus_tick(nucleus, &now);
	}
}

static inline struct omni_nucleus_sizes sizes(void)
{
	struct omni_nucleus_sizes s;

	omni_nucleus_sizes(nucleus, &s);
	return s;
}

static inline void start_with(const struct omni_nucleus_limits *limits,
			      const struct omni_key *allow, size_t n_allow)
{
	struct omni_nucleus_config config = {
		.identity = &identity, .allow = allow, .n_allow = n_allow, .random = test_random};

	omni_nucleus_free(nucleus);
	if (limits != NULL)
		config.limits = *limits;
	else
		omni_nucleus_limits_default(&config.limits);
	random_state = 42;
	now = (struct omni_nucleus_time){.boot_ns = START_NS, .real_s = START_S};
	nucleus = omni_nucleus_create(&config);
	assert_non_null(nucleus);
}

static inline int setup(void **state)
{
	(void)state;
	start_with(NULL, NULL, 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	omni_nucleus_free(nucleus);
	nucleus = NULL;
	return 0;
}

static inline int group_setup(void **state)
{
	struct omni_key seed = {.b = {1}};

	(void)state;
	assert_int_equal(omni_crypto_init(), 0);
	omni_identity_from_seed(&identity, &seed);
	cluster_make(&red, 0x11);
	cluster_make(&blue, 0x22);
	edges = calloc(EDGES, sizeof(*edges));
	assert_non_null(edges);
	return 0;
}

static inline int group_teardown(void **state)
{
	(void)state;
	free(edges);
	return 0;
}

static inline void connect_edge(struct edge *e)
{
	assert_true(edge_hello(e));
	assert_int_equal(edge_handshake(e), OMNI_RESULT_ACCEPTED);
}

/* Edge i of a cluster, registered. */
static inline struct edge *join(const struct cluster *c, uint32_t i)
{
	struct edge *e = &edges[i];

	edge_make(e, c, i);
	connect_edge(e);
	assert_int_equal(edge_register(e), OMNI_SIGNAL_OK);
	return e;
}

#endif
