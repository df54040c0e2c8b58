/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Sending by the clock: frame k is due k / rate seconds after the beginning, counted from there
 * each time, so nothing drifts. What could not be sent within BACKLOG of its time is not sent
 * any more, and reported: a burst of stale frames would be another traffic than was asked for.
 */
#include <math.h>

#include <rte_cycles.h>

#include "generate.h"

#define BACKLOG_S 0.0005
#define GRACE_S 0.1

void sender_begin(struct sender *s, double pps, uint64_t begin, uint64_t end)
{
	double hz = (double)rte_get_tsc_hz();

	s->begin = begin;
	s->end = end;
	s->per_tick = pps / hz;
	s->target = pps > 0 ? (uint64_t)llround((double)(end - begin) * s->per_tick) : 0;
	s->backlog = OMNI_MAX((uint64_t)(pps * BACKLOG_S), (uint64_t)GENERATE_BURST);
	s->place = traffic_place(s->traffic, 0);
	s->first = s->last = 0;
	s->done = false;
	s->d->target = s->target;
}

/* Frames whose time has come and that are neither sent nor given up. */
static uint64_t due(struct sender *s, uint64_t now)
{
	struct direction *d = s->d;
	uint64_t all, left;

	if (s->per_tick <= 0)
		return now < s->end ? GENERATE_BURST : 0;
	all = (uint64_t)((double)(OMNI_MIN(now, s->end) - s->begin) * s->per_tick) + 1;
	left = OMNI_MIN(all, s->target) - d->sent - d->missed;
	if (left > s->backlog) {
		d->missed += left - s->backlog;
		left = s->backlog;
	}
	return left;
}

static void send_burst(struct sender *s, struct side *side, uint16_t n)
{
	struct rte_mbuf *m[GENERATE_BURST];
	struct traffic_place place = s->place;
	uint16_t size[GENERATE_BURST], taken;
	uint64_t now;

	if (rte_pktmbuf_alloc_bulk(side->pool, m, n) != 0)
		return;
	for (uint16_t i = 0; i < n; i++, traffic_step(s->traffic, &place)) {
		size[i] = traffic_write(s->traffic, s->direction, &place,
					rte_pktmbuf_mtod(m[i], uint8_t *));
		m[i]->data_len = size[i];
		m[i]->pkt_len = size[i];
	}
	place = s->place;
	now = rte_rdtsc();
	for (uint16_t i = 0; i < n; i++, traffic_step(s->traffic, &place))
		traffic_stamp(s->traffic, s->direction, &place, s->epoch, now,
			      rte_pktmbuf_mtod(m[i], uint8_t *));
	taken = omni_port_tx(side->port, 0, m, n);
	if (taken > 0 && s->first == 0)
		s->first = now;
	s->last = taken > 0 ? now : s->last;
	for (uint16_t i = 0; i < taken; i++) {
		s->d->sent_bytes += size[i];
		traffic_step(s->traffic, &s->place);
	}
	s->d->sent += taken;
	rte_pktmbuf_free_bulk(m + taken, (unsigned int)(n - taken));
}

static void finish(struct sender *s, uint64_t left)
{
	s->d->missed += left;
	s->done = true;
}

void sender_turn(struct sender *s, struct side *side, uint64_t now)
{
	uint64_t left;

	if (s->done || now < s->begin)
		return;
	if (generate_stop != 0) {
		s->done = true;
		return;
	}
	left = due(s, now);
	if (now >= s->end &&
	    (left == 0 || now > s->end + (uint64_t)(GRACE_S * (double)rte_get_tsc_hz())))
		finish(s, left);
	/* A whole burst at once, or the rest. */
	else if (left >= s->burst || (left > 0 && now >= s->end))
		send_burst(s, side, (uint16_t)OMNI_MIN(left, (uint64_t)GENERATE_BURST));
}
