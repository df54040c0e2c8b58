/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Control's side of the routes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_cursor.h>

#include "adjacency.h"

struct omni_fib *omni_fib_create(uint32_t routes, uint32_t adjacencies, struct omni_rcu *rcu)
{
	struct omni_fib *fib = calloc(1, sizeof(*fib));

	if (fib == NULL)
		goto fail;
	fib->rcu = rcu;
	fib->limit = routes;
	if (fib_adjacencies_open(fib, adjacencies) < 0)
		goto fail;
	return fib;
fail:
	omni_fib_free(fib);
	rte_errno = ENOMEM;
	return NULL;
}

void omni_fib_free(struct omni_fib *fib)
{
	if (fib == NULL)
		return;
	for (unsigned int i = 0; i < OMNI_FIB_CLUSTERS_MAX; i++)
		free(atomic_load(&fib->cluster[i]));
	fib_adjacencies_close(fib);
	fib_blocks_close(&fib->blocks);
	free(fib);
}

void omni_fib_touch(struct omni_fib *fib)
{
	atomic_fetch_add_explicit(&fib->version, 1, memory_order_release);
}

int omni_fib_set_cluster(struct omni_fib *fib, uint16_t cluster, const struct omni_l3 *conf)
{
	struct omni_l3 *copy = NULL, *old;

	if (cluster >= OMNI_FIB_CLUSTERS_MAX)
		return -EINVAL;
	if (conf != NULL) {
		copy = malloc(sizeof(*copy));
		if (copy == NULL)
			return -ENOMEM;
		*copy = *conf;
		memset(&copy->rcu, 0, sizeof(copy->rcu));
	}
	old = atomic_exchange_explicit(&fib->cluster[cluster], copy, memory_order_acq_rel);
	if (old != NULL)
		omni_rcu_defer(fib->rcu, &old->rcu, free, old);
	omni_fib_touch(fib);
	return 0;
}

static bool is_valid(uint16_t cluster, const struct omni_prefix *prefix)
{
	return cluster < OMNI_FIB_CLUSTERS_MAX &&
	       prefix->len <= (omni_ip_is_v4(&prefix->ip) ? 32 : 128);
}

static fib_key key_of(const struct omni_ip *ip)
{
	if (omni_ip_is_v4(ip))
		return (fib_key)omni_load_be32(ip->b + 12) << 96;
	return fib_key_of(omni_load_be64(ip->b), omni_load_be64(ip->b + 8));
}

/* Constness is the caller's. */
static _Atomic uint64_t *root_of(const struct omni_fib *fib, uint16_t cluster,
				 const struct omni_ip *ip)
{
	return (_Atomic uint64_t *)(uintptr_t)(omni_ip_is_v4(ip) ? &fib->root[cluster].v4
								 : &fib->root[cluster].v6);
}

/* room: may there be one more? */
static int set(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
	       omni_dest dest, bool room)
{
	int rc;

	if (!is_valid(cluster, prefix) || dest == OMNI_DEST_MISS)
		return -EINVAL;
	rc = fib_tree_set(fib, root_of(fib, cluster, &prefix->ip), key_of(&prefix->ip), prefix->len,
			  dest, room);
	if (rc < 0)
		return rc;
	fib->count += (uint32_t)rc;
	omni_fib_touch(fib);
	return 0;
}

int omni_fib_set(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest)
{
	return set(fib, cluster, prefix, dest, fib->count < fib->limit);
}

int omni_fib_del(struct omni_fib *fib, uint16_t cluster, const struct omni_prefix *prefix,
		 omni_dest dest)
{
	int rc;

	if (!is_valid(cluster, prefix))
		return -ENOENT;
	rc = fib_tree_del(fib, root_of(fib, cluster, &prefix->ip), key_of(&prefix->ip), prefix->len,
			  dest);
	if (rc < 0)
		return rc;
	fib->count--;
	omni_fib_touch(fib);
	return 0;
}

omni_dest omni_fib_get(const struct omni_fib *fib, uint16_t cluster,
		       const struct omni_prefix *prefix)
{
	if (!is_valid(cluster, prefix))
		return OMNI_DEST_MISS;
	return fib_tree_get(root_of(fib, cluster, &prefix->ip), key_of(&prefix->ip), prefix->len);
}

/* ---- All routes of a tree ---- */

struct walk {
	struct omni_fib_entry entry;
	bool v4;
	int (*fn)(const struct omni_fib_entry *entry, void *arg);
	void *arg;
};

static int on_route(fib_key key, unsigned int len, omni_dest dest, void *arg)
{
	struct walk *w = arg;

	if (w->v4) {
		w->entry.prefix.ip = omni_ip_from_v4(__builtin_bswap32((uint32_t)(key >> 96)));
	} else {
		omni_store_be64(w->entry.prefix.ip.b, (uint64_t)(key >> 64));
		omni_store_be64(w->entry.prefix.ip.b + 8, (uint64_t)key);
	}
	w->entry.prefix.len = (uint8_t)len;
	w->entry.dest = dest;
	return w->fn(&w->entry, w->arg);
}

static int walk_cluster(const struct omni_fib *fib, uint16_t cluster,
			int (*fn)(const struct omni_fib_entry *entry, void *arg), void *arg)
{
	struct walk w = {.entry.cluster = cluster, .v4 = true, .fn = fn, .arg = arg};
	int rc = fib_tree_walk(atomic_load(&fib->root[cluster].v4), on_route, &w);

	w.v4 = false;
	return rc != 0 ? rc : fib_tree_walk(atomic_load(&fib->root[cluster].v6), on_route, &w);
}

void omni_fib_walk(const struct omni_fib *fib,
		   int (*fn)(const struct omni_fib_entry *entry, void *arg), void *arg)
{
	for (uint16_t c = 0; c < OMNI_FIB_CLUSTERS_MAX; c++)
		if (walk_cluster(fib, c, fn, arg) != 0)
			return;
}

uint32_t omni_fib_count(const struct omni_fib *fib)
{
	return fib->count;
}

size_t omni_fib_bytes(const struct omni_fib *fib)
{
	return fib->blocks.bytes + fib->blocks.size * sizeof(struct fib_dead);
}

/* ---- Flush ---- */

/* Routes that one walk finds. */
#define FLUSH_MAX 1024

/* Prefixes without host bits, sorted. */
struct keep {
	struct omni_prefix *at;
	unsigned int n;
};

struct flush {
	omni_dest dest;
	const struct keep *keep;
	unsigned int n;
	struct omni_prefix found[FLUSH_MAX];
};

static bool is_kept(const struct keep *keep, const struct omni_prefix *p)
{
	return keep->n > 0 &&
	       bsearch(p, keep->at, keep->n, sizeof(*p), omni_prefix_compare) != NULL;
}

static int find_dest(const struct omni_fib_entry *entry, void *arg)
{
	struct flush *f = arg;

	if (entry->dest == f->dest && !is_kept(f->keep, &entry->prefix))
		f->found[f->n++] = entry->prefix;
	return f->n == FLUSH_MAX;
}

static unsigned int flush_but(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
			      const struct keep *keep)
{
	struct flush f = {.dest = dest, .keep = keep};
	unsigned int gone = 0, before;

	if (cluster >= OMNI_FIB_CLUSTERS_MAX)
		return 0;
	do {
		before = gone;
		f.n = 0;
		(void)walk_cluster(fib, cluster, find_dest, &f);
		for (unsigned int i = 0; i < f.n; i++)
			gone += omni_fib_del(fib, cluster, &f.found[i], dest) == 0;
	} while (f.n == FLUSH_MAX && gone > before);
	return gone;
}

unsigned int omni_fib_flush(struct omni_fib *fib, uint16_t cluster, omni_dest dest)
{
	const struct keep none = {0};

	return flush_but(fib, cluster, dest, &none);
}

/* ---- Replacing ---- */

/* Routes to dest but for those that are kept. */
struct others {
	omni_dest dest;
	const struct keep *keep;
	unsigned int n;
};

static int count_other(const struct omni_fib_entry *entry, void *arg)
{
	struct others *o = arg;

	o->n += entry->dest == o->dest && !is_kept(o->keep, &entry->prefix);
	return 0;
}

/* Back to where they went before the first n were set; in reverse, as one may stand there twice. */
static void put_back(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
		     const struct omni_prefix *prefix, const omni_dest *was, unsigned int n)
{
	while (n-- > 0) {
		if (was[n] == OMNI_DEST_MISS)
			(void)omni_fib_del(fib, cluster, &prefix[n], dest);
		else
			(void)set(fib, cluster, &prefix[n], was[n], true);
	}
}

int omni_fib_add(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
		 const struct omni_prefix *prefix, unsigned int n)
{
	omni_dest *was = calloc((size_t)n + 1, sizeof(*was));
	unsigned int done = 0;
	int rc = was != NULL ? 0 : -ENOMEM;

	for (; rc == 0 && done < n; done += rc == 0) {
		was[done] = omni_fib_get(fib, cluster, &prefix[done]);
		rc = omni_fib_set(fib, cluster, &prefix[done], dest);
	}
	if (rc != 0)
		put_back(fib, cluster, dest, prefix, was, done);
	free(was);
	return rc;
}

static int keep_all(struct keep *keep, const struct omni_prefix *prefix, unsigned int n)
{
	keep->at = malloc((n + 1) * sizeof(*keep->at));
	if (keep->at == NULL)
		return -ENOMEM;
	for (; keep->n < n; keep->n++)
		keep->at[keep->n] = omni_prefix_masked(&prefix[keep->n]);
	if (n > 1)
		qsort(keep->at, n, sizeof(*keep->at), omni_prefix_compare);
	return 0;
}

int omni_fib_replace(struct omni_fib *fib, uint16_t cluster, omni_dest dest,
		     const struct omni_prefix *prefix, unsigned int n)
{
	struct keep keep = {0};
	struct others others = {.dest = dest, .keep = &keep};
	omni_dest *was = calloc(n + 1, sizeof(*was));
	unsigned int done = 0;
	int rc = was != NULL ? keep_all(&keep, prefix, n) : -ENOMEM;

	/* The limit holds for what is left in the end. */
	for (; rc == 0 && done < n; done += rc == 0) {
		was[done] = omni_fib_get(fib, cluster, &prefix[done]);
		rc = set(fib, cluster, &prefix[done], dest, true);
	}
	if (rc == 0 && cluster < OMNI_FIB_CLUSTERS_MAX)
		(void)walk_cluster(fib, cluster, count_other, &others);
	if (rc == 0 && fib->count - others.n > fib->limit)
		rc = -ENOSPC;
	if (rc == 0)
		(void)flush_but(fib, cluster, dest, &keep);
	else
		put_back(fib, cluster, dest, prefix, was, done);
	free(keep.at);
	free(was);
	return rc;
}
