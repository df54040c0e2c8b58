/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a person reads. */
#include <inttypes.h>
#include <stdio.h>

#include "generate.h"

const char *generate_size_text(char out[8], const struct generate_size *size)
{
	if (size->imix)
		snprintf(out, 8, "imix");
	else
		snprintf(out, 8, "%u", size->bytes);
	return out;
}

void generate_print_head(const struct generate_options *o)
{
	(void)o;
	printf("%5s %3s %11s %11s %11s %9s %9s %9s | %8s %8s %8s %8s %8s %8s %8s\n", "SIZE", "DIR",
	       "ASKED PPS", "OFFERED", "DELIVERED", "GB/S", "LOST", "LOSS %", "MIN us", "P50",
	       "P90", "P99", "P99.9", "P99.99", "MAX");
	fflush(stdout);
}

static void print_latency(const struct histogram *h)
{
	static const double percent[] = {50, 90, 99, 99.9, 99.99};

	if (h->count == 0) {
		printf("no frame came\n");
		return;
	}
	printf("%8.2f", generate_ns((double)h->min) / 1e3);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(percent); i++)
		printf(" %8.2f", generate_ns((double)histogram_percentile(h, percent[i])) / 1e3);
	printf(" %8.2f\n", generate_ns((double)h->max) / 1e3);
}

static void note(const char *what, uint64_t n)
{
	if (n > 0)
		printf("      %12" PRIu64 " %s\n", n, what);
}

static void print_notes(const struct direction *d)
{
	note("frames of the rate asked for were not offered: no time, or no room in the port",
	     d->missed);
	note("frames dropped by our own port while sending", d->tx_dropped);
	note("frames dropped by our own port while receiving", d->rx_dropped);
	note("duplicates", d->duplicates);
	note("frames behind one that was sent after them", d->late);
	note("frames of ours that were changed on the way", d->corrupt);
	note("frames too old to tell whether they are duplicates", d->stale);
	note("frames of an earlier trial", d->old);
	note("frames that came out where they do not belong", d->returned);
	note("frames that are none of ours", d->foreign);
}

void generate_print_trial(const struct trial *t)
{
	char size[8], asked[24] = "max";

	if (t->asked > 0)
		snprintf(asked, sizeof(asked), "%.0f", t->asked);
	generate_size_text(size, &t->size);
	for (unsigned int i = 0; i < t->directions; i++) {
		const struct direction *d = &t->d[i];
		uint64_t offered = d->sent - OMNI_MIN(d->sent, d->tx_dropped);
		double gbps = d->seconds > 0 ? (double)d->received_bytes * 8 / d->seconds / 1e9 : 0;

		printf("%5s %3s %11s %11.0f %11.0f %9.4f %9" PRIu64 " %9.5f | ", size,
		       i == 0 ? "->" : "<-", asked, direction_offered(d), direction_delivered(d),
		       gbps, offered > d->received ? offered - d->received : 0,
		       direction_loss(d) * 100);
		print_latency(&d->latency);
		print_notes(d);
	}
	fflush(stdout);
}

static void print_throughput(const struct report *r)
{
	char size[8];

	printf("\nThroughput per direction, RFC 2544, loss at most %g %%\n", r->o->loss * 100);
	printf("%5s %12s %10s %10s %7s\n", "SIZE", "PPS", "GB/S", "% OF LINE", "TRIALS");
	for (unsigned int i = 0; i < r->throughputs; i++) {
		const struct throughput *t = &r->throughput[i];
		double wire = t->pps * (t->size_mean + TRAFFIC_WIRE_EXTRA) * 8;

		printf("%5s %12.0f %10.4f %10.2f %7u%s\n", generate_size_text(size, &t->size),
		       t->pps, t->pps * t->size_mean * 8 / 1e9, wire / r->o->line_bps * 100,
		       t->trials, t->limited ? "  the generator reaches no more" : "");
	}
}

void generate_print_end(const struct report *r)
{
	if (r->o->mode == GENERATE_RFC2544)
		print_throughput(r);
	if (r->interrupted)
		printf("\ninterrupted: these are the figures so far\n");
	fflush(stdout);
}
