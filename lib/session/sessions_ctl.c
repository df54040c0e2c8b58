/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>

#include <omni_secret.h>
#include <omni_session.h>

#define ID_TOP_BIT (UINT64_C(1) << 63)
#define RANDOM_BITS 40
#define WG_RANDOM_MASK ((UINT64_C(1) << OMNI_WG_INDEX_RANDOM_BITS) - 1)
#define RANDOM_MASK ((UINT64_C(1) << RANDOM_BITS) - 1)

/*
 * Free indices in the order of their release: the one that has rested longest is taken first.
 * last[] keeps the random bits of the id before, so that no id follows itself.
 */
struct omni_session_ids {
	uint32_t head, count; /* of the ring of free indices */
	uint32_t *free;
	uint64_t *last;
	bool *taken;
};

struct omni_sessions *omni_sessions_create(uint32_t size)
{
	struct omni_sessions *s = calloc(1, sizeof(*s));

	if (size == 0 || size > OMNI_SESSION_INDEX_MAX + 1)
		goto fail;
	if (s == NULL)
		goto fail;
	s->size = size;
	s->slot = calloc(size, sizeof(*s->slot));
	s->ids = calloc(1, sizeof(*s->ids));
	if (s->slot == NULL || s->ids == NULL)
		goto fail;
	s->ids->free = calloc(size, sizeof(*s->ids->free));
	s->ids->last = calloc(size, sizeof(*s->ids->last));
	s->ids->taken = calloc(size, sizeof(*s->ids->taken));
	if (s->ids->free == NULL || s->ids->last == NULL || s->ids->taken == NULL)
		goto fail;
	for (uint32_t i = 0; i < size; i++)
		s->ids->free[i] = i;
	s->ids->count = size;
	return s;
fail:
	omni_sessions_free(s);
	rte_errno = ENOMEM;
	return NULL;
}

void omni_sessions_free(struct omni_sessions *s)
{
	if (s == NULL)
		return;
	if (s->ids != NULL) {
		free(s->ids->free);
		free(s->ids->last);
		free(s->ids->taken);
	}
	free(s->ids);
	free(s->slot);
	free(s);
}

/* A free place, and random bits that differ from those of the id before. False: all are taken. */
static bool take(struct omni_sessions *s, uint64_t mask, uint32_t *index, uint64_t *random)
{
	struct omni_session_ids *ids = s->ids;

	if (ids->count == 0)
		return false;
	*index = ids->free[ids->head];
	ids->head = ids->head + 1 == s->size ? 0 : ids->head + 1;
	ids->count--;
	do {
		omni_random(random, sizeof(*random));
		*random &= mask;
	} while (*random == (ids->last[*index] & mask));
	ids->last[*index] = *random;
	ids->taken[*index] = true;
	return true;
}

uint64_t omni_sessions_reserve(struct omni_sessions *s)
{
	uint64_t random;
	uint32_t index;

	return take(s, RANDOM_MASK, &index, &random)
		       ? ID_TOP_BIT | (uint64_t)index << RANDOM_BITS | random
		       : 0;
}

uint32_t omni_sessions_reserve_wg(struct omni_sessions *s)
{
	uint64_t random;
	uint32_t index, id;

	do {
		if (!take(s, WG_RANDOM_MASK, &index, &random))
			return 0;
		id = index << OMNI_WG_INDEX_RANDOM_BITS | (uint32_t)random;
		if (id == 0)
			omni_sessions_release(s, id);
	} while (id == 0);
	return id;
}

/* Where an id of either kind stands; its random bits. */
static uint32_t place(uint64_t id, uint64_t *random)
{
	if ((id & ID_TOP_BIT) != 0) {
		*random = id & RANDOM_MASK;
		return omni_session_index(id);
	}
	*random = id & WG_RANDOM_MASK;
	return (uint32_t)id >> OMNI_WG_INDEX_RANDOM_BITS;
}

void omni_sessions_publish(struct omni_sessions *s, struct omni_keypair *kp)
{
	uint64_t random;

	atomic_store_explicit(&s->slot[place(kp->local_id, &random)], kp, memory_order_release);
}

void omni_sessions_release(struct omni_sessions *s, uint64_t id)
{
	struct omni_session_ids *ids = s->ids;
	uint64_t random;
	uint32_t index = place(id, &random), tail;

	if (index >= s->size || !ids->taken[index] || ids->last[index] != random)
		return;
	atomic_store_explicit(&s->slot[index], NULL, memory_order_release);
	ids->taken[index] = false;
	tail = ids->head + ids->count;
	ids->free[tail >= s->size ? tail - s->size : tail] = index;
	ids->count++;
}
