/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames as they arrive. */
#include <string.h>

#include <omni_cursor.h>

#include "traffic_priv.h"

/* Learning frames have no UDP header, whatever the test frames have. */
static bool is_learning(const struct traffic *t, const uint8_t *frame, uint32_t len)
{
	const uint8_t *type = frame + (t->conf.vlan >= 0 ? 16 : 12);

	return type + 4 <= frame + len && omni_load_be16(type) == TRAFFIC_ETHERTYPE &&
	       omni_load_be16(type + 2) == MAGIC_LEARN;
}

/* Length and bytes of flow's frame of that number are what they were. */
static bool is_whole(const struct traffic *t, const struct traffic_seen *seen, const uint8_t *frame,
		     uint32_t len)
{
	size_t body = t->head_len + sizeof(struct traffic_stamp);
	uint64_t k = (uint64_t)seen->number * t->conf.flows + seen->flow;
	uint16_t size = t->size[t->sizes > 1 ? k % t->sizes : 0];

	return seen->flow < t->conf.flows && len == size &&
	       memcmp(frame + body, t->body, len - body) == 0;
}

enum traffic_verdict traffic_read(const struct traffic *t, uint8_t epoch, const uint8_t *frame,
				  uint32_t len, struct traffic_seen *seen)
{
	const struct traffic_stamp *s = (const struct traffic_stamp *)(frame + t->head_len);
	uint32_t flow;

	if (is_learning(t, frame, len))
		return TRAFFIC_LEARNING;
	if (len < t->head_len + sizeof(*s) || omni_load_be16(s->magic) != MAGIC_TEST)
		return TRAFFIC_FOREIGN;
	if (omni_load_be32(s->check) != traffic_check(t, frame))
		return TRAFFIC_CORRUPT;
	flow = (uint32_t)s->flow[0] << 16 | omni_load_be16(s->flow + 1);
	seen->direction = flow >> DIRECTION_SHIFT;
	seen->flow = flow & ((1U << DIRECTION_SHIFT) - 1);
	seen->number = omni_load_be32(s->number);
	seen->tsc = omni_load_be32(s->tsc);
	if (s->epoch != epoch)
		return TRAFFIC_OLD;
	return is_whole(t, seen, frame, len) ? TRAFFIC_GOOD : TRAFFIC_CORRUPT;
}
