/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "fdb_priv.h"

struct omni_fdb *omni_fdb_create(const char *name, uint32_t limit, struct omni_rcu *rcu)
{
	struct rte_hash_parameters params = {
		.name = name,
		.entries = limit,
		.key_len = sizeof(uint64_t),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag =
			RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config defer = {
		.v = omni_rcu_qsbr(rcu),
		.mode = RTE_HASH_QSBR_MODE_DQ,
	};
	struct omni_fdb *fdb = calloc(1, sizeof(*fdb));

	if (fdb == NULL)
		goto no_memory;
	fdb->hash = rte_hash_create(&params);
	if (fdb->hash == NULL)
		goto fail;
	if (rte_hash_rcu_qsbr_add(fdb->hash, &defer) != 0)
		goto fail;
	fdb->entry = calloc((size_t)rte_hash_max_key_id(fdb->hash) + 1, sizeof(*fdb->entry));
	if (fdb->entry == NULL)
		goto no_memory;
	return fdb;

no_memory:
	rte_errno = ENOMEM;
fail:
	omni_fdb_free(fdb);
	return NULL;
}

void omni_fdb_free(struct omni_fdb *fdb)
{
	if (fdb == NULL)
		return;
	rte_hash_free(fdb->hash);
	free(fdb->entry);
	free(fdb->of_peer);
	free(fdb);
}

void omni_fdb_set_limit(struct omni_fdb *fdb, uint16_t domain, uint32_t limit)
{
	assert(domain < OMNI_BRIDGES_MAX);
	fdb->domain[domain].limit = limit;
}

static uint16_t domain_of(uint64_t key)
{
	return (uint16_t)(key >> 48);
}

/* Where the entries behind dest are counted; NULL: they are not, or there is no memory. */
static uint32_t *share_of(struct omni_fdb *fdb, omni_dest dest)
{
	uint32_t index = omni_dest_index(dest), n = OMNI_MAX(fdb->n_of_peer, 64U);
	uint32_t *more;

	if (omni_dest_kind(dest) != OMNI_DEST_PEER)
		return NULL;
	if (index < fdb->n_of_peer)
		return &fdb->of_peer[index];
	while (n <= index)
		n *= 2;
	more = realloc(fdb->of_peer, n * sizeof(*more));
	if (more == NULL)
		return NULL;
	memset(more + fdb->n_of_peer, 0, (n - fdb->n_of_peer) * sizeof(*more));
	fdb->of_peer = more;
	fdb->n_of_peer = n;
	return &more[index];
}

/* Has the peer behind dest its share of the domain? Also where it cannot be counted. */
static bool has_share(struct omni_fdb *fdb, uint16_t domain, omni_dest dest)
{
	uint32_t limit = domain < OMNI_BRIDGES_MAX ? fdb->domain[domain].limit : 0;
	const uint32_t *share = share_of(fdb, dest);

	if (omni_dest_kind(dest) != OMNI_DEST_PEER)
		return false;
	return share == NULL || (limit != 0 && *share >= OMNI_MAX(limit / OMNI_FDB_PEER_SHARE, 1U));
}

static bool is_full(const struct omni_fdb *fdb, uint16_t domain)
{
	const struct domain *d = domain < OMNI_BRIDGES_MAX ? &fdb->domain[domain] : NULL;

	return d != NULL && d->limit != 0 && d->count >= d->limit;
}

static void count_dest(struct omni_fdb *fdb, omni_dest dest, int by)
{
	uint32_t *share = share_of(fdb, dest);

	if (share != NULL)
		*share += (uint32_t)by;
}

static void count_entry(struct omni_fdb *fdb, uint64_t key, omni_dest dest, int by)
{
	fdb->count += (uint32_t)by;
	if (domain_of(key) < OMNI_BRIDGES_MAX)
		fdb->domain[domain_of(key)].count += (uint32_t)by;
	count_dest(fdb, dest, by);
}

static void set_dest(struct entry *e, omni_dest dest)
{
	atomic_store_explicit(&e->dest, dest, memory_order_release);
}

static enum omni_fdb_verdict insert(struct omni_fdb *fdb, uint64_t key, omni_dest dest,
				    uint32_t now_s)
{
	int32_t position;
	struct entry *e;

	if (is_full(fdb, domain_of(key)) || has_share(fdb, domain_of(key), dest))
		return OMNI_FDB_FULL;
	position = rte_hash_add_key(fdb->hash, &key);
	if (position < 0)
		return OMNI_FDB_FULL;
	e = &fdb->entry[position];
	atomic_store_explicit(&e->stamp_s, now_s, memory_order_relaxed);
	atomic_store_explicit(&e->damped, false, memory_order_relaxed);
	e->moves = 0;
	e->window_s = now_s;
	set_dest(e, dest);
	count_entry(fdb, key, dest, 1);
	return OMNI_FDB_LEARNED;
}

static bool same_place(omni_dest a, omni_dest b)
{
	return omni_dest_kind(a) == omni_dest_kind(b) && omni_dest_index(a) == omni_dest_index(b);
}

static enum omni_fdb_verdict move(struct omni_fdb *fdb, uint16_t domain, struct entry *e,
				  omni_dest dest, uint32_t now_s)
{
	omni_dest old = atomic_load_explicit(&e->dest, memory_order_relaxed);

	/* Not a peer that has come back as another generation of the same index. */
	if (!same_place(old, dest) && has_share(fdb, domain, dest))
		return OMNI_FDB_FULL;
	if (atomic_load_explicit(&e->damped, memory_order_relaxed))
		return OMNI_FDB_DAMPED;
	if (now_s - e->window_s >= OMNI_FDB_MOVE_WINDOW_S) {
		e->window_s = now_s;
		e->moves = 0;
	}
	if (e->moves >= OMNI_FDB_MOVES_MAX) {
		e->damped_until_s = now_s + OMNI_FDB_DAMP_S;
		atomic_store_explicit(&e->damped, true, memory_order_relaxed);
		return OMNI_FDB_DAMPED;
	}
	e->moves++;
	atomic_store_explicit(&e->stamp_s, now_s, memory_order_relaxed);
	set_dest(e, dest);
	count_dest(fdb, old, -1);
	count_dest(fdb, dest, 1);
	return OMNI_FDB_MOVED;
}

enum omni_fdb_verdict omni_fdb_learn(struct omni_fdb *fdb, uint64_t key, omni_dest dest,
				     uint32_t now_s)
{
	int32_t position = rte_hash_lookup(fdb->hash, &key);
	struct entry *e;

	if (position < 0)
		return insert(fdb, key, dest, now_s);
	e = &fdb->entry[position];
	if (atomic_load_explicit(&e->dest, memory_order_relaxed) == dest)
		return OMNI_FDB_SAME;
	return move(fdb, domain_of(key), e, dest, now_s);
}

static void forget(struct omni_fdb *fdb, uint64_t key, int32_t position)
{
	struct entry *e = &fdb->entry[position];

	count_entry(fdb, key, atomic_load_explicit(&e->dest, memory_order_relaxed), -1);
	set_dest(e, OMNI_DEST_MISS);
	rte_hash_del_key(fdb->hash, &key);
}

static bool in_domain(uint64_t key, uint16_t domain)
{
	return domain == OMNI_FDB_ANY || (uint16_t)(key >> 48) == domain;
}

/* Known without a walk through the table: of a thousand peers that go at once, most. */
static bool nothing_there(const struct omni_fdb *fdb, uint16_t domain, omni_dest dest)
{
	uint32_t index = omni_dest_index(dest);

	if (domain < OMNI_BRIDGES_MAX && fdb->domain[domain].count == 0)
		return true;
	return omni_dest_kind(dest) == OMNI_DEST_PEER &&
	       (index >= fdb->n_of_peer || fdb->of_peer[index] == 0);
}

unsigned int omni_fdb_age(struct omni_fdb *fdb, uint16_t domain, uint32_t now_s, uint32_t ageing_s)
{
	unsigned int gone = 0;
	const void *key_at;
	void *data;
	uint32_t next = 0;
	int32_t position;

	if (nothing_there(fdb, domain, OMNI_DEST_MISS))
		return 0;
	while ((position = rte_hash_iterate(fdb->hash, &key_at, &data, &next)) >= 0) {
		struct entry *e = &fdb->entry[position];
		uint64_t key = *(const uint64_t *)key_at;
		uint32_t stamp = atomic_load_explicit(&e->stamp_s, memory_order_relaxed);

		if (!in_domain(key, domain))
			continue;
		/* A worker's clock may be a second ahead of the caller's: that is no age. */
		if ((int32_t)(now_s - stamp) >= (int32_t)ageing_s) {
			forget(fdb, key, position);
			gone++;
			continue;
		}
		/* Where it is, nobody knows: the next frame to it is flooded and finds out. */
		if (atomic_load_explicit(&e->damped, memory_order_relaxed) &&
		    (int32_t)(now_s - e->damped_until_s) >= 0) {
			forget(fdb, key, position);
			gone++;
		}
	}
	return gone;
}

static unsigned int flush_once(struct omni_fdb *fdb, uint16_t domain, omni_dest dest, uint64_t key)
{
	unsigned int gone = 0;
	const void *key_at;
	void *data;
	uint32_t next = 0;
	int32_t position;

	while ((position = rte_hash_iterate(fdb->hash, &key_at, &data, &next)) >= 0) {
		uint64_t this = *(const uint64_t *)key_at;
		omni_dest at =
			atomic_load_explicit(&fdb->entry[position].dest, memory_order_relaxed);

		if (!in_domain(this, domain) || (key != 0 && this != key) ||
		    (dest != OMNI_DEST_MISS && !same_place(at, dest)))
			continue;
		forget(fdb, this, position);
		gone++;
	}
	return gone;
}

/*
 * A deletion may move a key of an extendable bucket to a place that the iteration has passed,
 * so one pass can miss some; ageing meets those a second later, a flush looks again.
 */
unsigned int omni_fdb_flush(struct omni_fdb *fdb, uint16_t domain, omni_dest dest, uint64_t key)
{
	unsigned int gone, all = 0;

	do {
		gone = nothing_there(fdb, domain, dest) ? 0 : flush_once(fdb, domain, dest, key);
		all += gone;
	} while (gone > 0);
	return all;
}

void omni_fdb_walk(const struct omni_fdb *fdb, int (*fn)(const struct omni_fdb_entry *, void *arg),
		   void *arg)
{
	const void *key_at;
	void *data;
	uint32_t next = 0;
	int32_t position;

	while ((position = rte_hash_iterate(fdb->hash, &key_at, &data, &next)) >= 0) {
		struct entry *e = &fdb->entry[position];
		struct omni_fdb_entry out = {
			.key = *(const uint64_t *)key_at,
			.dest = atomic_load_explicit(&e->dest, memory_order_relaxed),
			.age_s = atomic_load_explicit(&e->stamp_s, memory_order_relaxed),
		};

		if (fn(&out, arg) != 0)
			return;
	}
}

uint32_t omni_fdb_count(const struct omni_fdb *fdb)
{
	return fdb->count;
}
