/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Looks at every frame that arrives, and counts it once. */
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include "generate.h"

static void count_order(struct receiver *r, const struct traffic_seen *seen, uint32_t len,
			uint64_t now)
{
	struct direction *d = r->d;
	uint32_t distance = 0;
	int32_t age = (int32_t)((uint32_t)(now >> TRAFFIC_TSC_SHIFT) - seen->tsc);

	switch (sequence_take(&r->sequence, seen->flow, seen->number, &distance)) {
	case SEQUENCE_DUPLICATE:
		d->duplicates++;
		return;
	case SEQUENCE_STALE:
		d->stale++;
		return;
	case SEQUENCE_LATE:
		d->late++;
		d->late_max = OMNI_MAX(d->late_max, (uint64_t)distance);
		break;
	case SEQUENCE_NEW:
		break;
	}
	d->received++;
	d->received_bytes += len;
	/* Clocks of two cores differ by some ticks at most. */
	histogram_add(&d->latency, age > 0 ? (uint64_t)age : 0);
}

static void count(struct receiver *r, const struct rte_mbuf *m, uint64_t now)
{
	struct traffic_seen seen;
	struct direction *d = r->d;

	switch (traffic_read(r->traffic, r->epoch, rte_pktmbuf_mtod(m, const uint8_t *),
			     m->data_len, &seen)) {
	case TRAFFIC_GOOD:
		if ((int)seen.direction == r->expects)
			count_order(r, &seen, m->data_len, now);
		else
			d->returned++;
		break;
	case TRAFFIC_CORRUPT:
		d->corrupt++;
		break;
	case TRAFFIC_OLD:
		d->old++;
		break;
	case TRAFFIC_FOREIGN:
		d->foreign++;
		break;
	case TRAFFIC_LEARNING:
		break;
	}
}

unsigned int receiver_turn(struct receiver *r, struct side *side)
{
	struct rte_mbuf *m[GENERATE_BURST];
	uint16_t n = omni_port_rx(side->port, 0, m, GENERATE_BURST);
	uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], const void *));
	for (uint16_t i = 0; i < n; i++)
		count(r, m[i], now);
	rte_pktmbuf_free_bulk(m, n);
	return n;
}
