/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "fdb_priv.h"

struct omni_fdb *omni_fdb_create(uint32_t limit, struct omni_rcu *rcu)
{
	struct omni_fdb *fdb = calloc(1, sizeof(*fdb));

	if (fdb == NULL || slots_init(fdb, limit) != 0) {
		omni_fdb_free(fdb);
		rte_errno = ENOMEM;
		return NULL;
	}
	fdb->qsbr = omni_rcu_qsbr(rcu);
	return fdb;
}

void omni_fdb_free(struct omni_fdb *fdb)
{
	if (fdb == NULL)
		return;
	slots_fini(fdb);
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

	return fdb->count >= fdb->limit || (d != NULL && d->limit != 0 && d->count >= d->limit);
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

static void set_dest(struct omni_fdb *fdb, uint32_t slot, omni_dest dest)
{
	atomic_store_explicit(&bucket_of(fdb, slot)->dest[way_of(slot)], dest,
			      memory_order_release);
}

static uint64_t key_at(const struct omni_fdb *fdb, uint32_t slot)
{
	return atomic_load_explicit(&bucket_of(fdb, slot)->key[way_of(slot)], memory_order_relaxed);
}

static uint32_t stamp_at(const struct omni_fdb *fdb, uint32_t slot)
{
	return atomic_load_explicit(&bucket_of(fdb, slot)->stamp_s[way_of(slot)],
				    memory_order_relaxed);
}

static enum omni_fdb_verdict insert(struct omni_fdb *fdb, uint64_t key, omni_dest dest,
				    uint32_t now_s)
{
	if (is_full(fdb, domain_of(key)) || has_share(fdb, domain_of(key), dest))
		return OMNI_FDB_FULL;
	if (slots_add(fdb, key, dest, now_s) == OMNI_FDB_MISS)
		return OMNI_FDB_FULL;
	count_entry(fdb, key, dest, 1);
	return OMNI_FDB_LEARNED;
}

static bool same_place(omni_dest a, omni_dest b)
{
	return omni_dest_kind(a) == omni_dest_kind(b) && omni_dest_index(a) == omni_dest_index(b);
}

static enum omni_fdb_verdict move(struct omni_fdb *fdb, uint16_t domain, uint32_t slot,
				  omni_dest dest, uint32_t now_s)
{
	struct entry *e = &fdb->entry[slot];
	omni_dest old = dest_at(fdb, slot);

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
	atomic_store_explicit(&bucket_of(fdb, slot)->stamp_s[way_of(slot)], now_s,
			      memory_order_relaxed);
	set_dest(fdb, slot, dest);
	count_dest(fdb, old, -1);
	count_dest(fdb, dest, 1);
	return OMNI_FDB_MOVED;
}

enum omni_fdb_verdict omni_fdb_learn(struct omni_fdb *fdb, uint64_t key, omni_dest dest,
				     uint32_t now_s)
{
	uint32_t slot = key != 0 ? find(fdb, key, home_of(fdb, key)) : OMNI_FDB_MISS;

	if (slot == OMNI_FDB_MISS)
		return insert(fdb, key, dest, now_s);
	if (dest_at(fdb, slot) == dest)
		return OMNI_FDB_SAME;
	return move(fdb, domain_of(key), slot, dest, now_s);
}

static void forget(struct omni_fdb *fdb, uint32_t slot)
{
	count_entry(fdb, key_at(fdb, slot), dest_at(fdb, slot), -1);
	slots_remove(fdb, slot);
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

/*
 * Silent for too long; or damped, and the time is over: where it is, nobody knows, the next frame
 * to it is flooded and finds out.
 */
static bool is_over(const struct omni_fdb *fdb, uint32_t slot, uint32_t now_s, uint32_t ageing_s)
{
	const struct entry *e = &fdb->entry[slot];

	/* A worker's clock may be a second ahead of the caller's: that is no age. */
	if ((int32_t)(now_s - stamp_at(fdb, slot)) >= (int32_t)ageing_s)
		return true;
	return atomic_load_explicit(&e->damped, memory_order_relaxed) &&
	       (int32_t)(now_s - e->damped_until_s) >= 0;
}

#define FOREACH_SLOT(fdb, slot)                                    \
	for ((slot) = slots_next(fdb, 0); (slot) != OMNI_FDB_MISS; \
	     (slot) = slots_next(fdb, (slot) + 1))

unsigned int omni_fdb_age(struct omni_fdb *fdb, uint16_t domain, uint32_t now_s, uint32_t ageing_s)
{
	unsigned int gone = 0;
	uint32_t slot;

	if (nothing_there(fdb, domain, OMNI_DEST_MISS))
		return 0;
	FOREACH_SLOT(fdb, slot)
	{
		if (!in_domain(key_at(fdb, slot), domain) || !is_over(fdb, slot, now_s, ageing_s))
			continue;
		forget(fdb, slot);
		gone++;
	}
	return gone;
}

unsigned int omni_fdb_flush(struct omni_fdb *fdb, uint16_t domain, omni_dest dest, uint64_t key)
{
	unsigned int gone = 0;
	uint32_t slot;

	if (nothing_there(fdb, domain, dest))
		return 0;
	FOREACH_SLOT(fdb, slot)
	{
		uint64_t this = key_at(fdb, slot);

		if (!in_domain(this, domain) || (key != 0 && this != key) ||
		    (dest != OMNI_DEST_MISS && !same_place(dest_at(fdb, slot), dest)))
			continue;
		forget(fdb, slot);
		gone++;
	}
	return gone;
}

void omni_fdb_walk(const struct omni_fdb *fdb, int (*fn)(const struct omni_fdb_entry *, void *arg),
		   void *arg)
{
	uint32_t slot;

	FOREACH_SLOT(fdb, slot)
	{
		const struct omni_fdb_entry out = {
			.key = key_at(fdb, slot),
			.dest = dest_at(fdb, slot),
			.age_s = stamp_at(fdb, slot),
		};

		if (fn(&out, arg) != 0)
			return;
	}
}

uint32_t omni_fdb_count(const struct omni_fdb *fdb)
{
	return fdb->count;
}
