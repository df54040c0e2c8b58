/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The newest handshake timestamp of keys that are no peers: refused ones, and peers that went.
 * Without it a recorded initiation could be replayed to draw an answer again and again.
 */
#include "ctl_priv.h"

struct stamp {
	struct ctl_link link;
	TAILQ_ENTRY(stamp) entry; /* least recently renewed first */
	uint16_t cluster;
	struct omni_key key;
	uint8_t ts[OMNI_TAI64N_LEN];
};

struct ctl_stamps {
	struct ctl_index index;
	TAILQ_HEAD(, stamp) queue;
};

struct ctl_stamps *ctl_stamps_create(void)
{
	struct ctl_stamps *s = calloc(1, sizeof(*s));

	if (s == NULL || ctl_index_init(&s->index, CTL_STAMPS_MAX) < 0) {
		free(s);
		return NULL;
	}
	TAILQ_INIT(&s->queue);
	return s;
}

static void forget(struct ctl_stamps *s, struct stamp *st)
{
	TAILQ_REMOVE(&s->queue, st, entry);
	ctl_index_del(&s->index, &st->link);
	free(st);
}

void ctl_stamps_free(struct ctl_stamps *s)
{
	struct stamp *st;

	if (s == NULL)
		return;
	while ((st = TAILQ_FIRST(&s->queue)) != NULL)
		forget(s, st);
	ctl_index_fini(&s->index);
	free(s);
}

static struct stamp *find(struct ctl_stamps *s, uint64_t hash, uint16_t cluster,
			  const struct omni_key *key)
{
	struct ctl_link *l;

	for (l = ctl_index_first(&s->index, hash); l != NULL; l = ctl_index_next(l)) {
		struct stamp *st = ctl_container(l, struct stamp, link);

		if (st->cluster == cluster && memcmp(&st->key, key, sizeof(*key)) == 0)
			return st;
	}
	return NULL;
}

bool ctl_stamps_newer(struct ctl_stamps *s, uint16_t cluster, const struct omni_key *key,
		      const uint8_t ts[OMNI_TAI64N_LEN])
{
	uint64_t hash = ctl_index_hash(&s->index, key, sizeof(*key), cluster);
	struct stamp *st = find(s, hash, cluster, key);

	if (st != NULL && memcmp(ts, st->ts, OMNI_TAI64N_LEN) <= 0)
		return false;
	if (st == NULL) {
		if (s->index.count >= CTL_STAMPS_MAX)
			forget(s, TAILQ_FIRST(&s->queue));
		st = calloc(1, sizeof(*st));
		if (st == NULL)
			return true;
		st->cluster = cluster;
		st->key = *key;
		ctl_index_add(&s->index, &st->link, hash);
	} else {
		TAILQ_REMOVE(&s->queue, st, entry);
	}
	memcpy(st->ts, ts, OMNI_TAI64N_LEN);
	TAILQ_INSERT_TAIL(&s->queue, st, entry);
	return true;
}

void ctl_stamps_get(struct ctl_stamps *s, uint16_t cluster, const struct omni_key *key,
		    uint8_t ts[OMNI_TAI64N_LEN])
{
	struct stamp *st =
		find(s, ctl_index_hash(&s->index, key, sizeof(*key), cluster), cluster, key);

	if (st != NULL)
		memcpy(ts, st->ts, OMNI_TAI64N_LEN);
	else
		memset(ts, 0, OMNI_TAI64N_LEN);
}
