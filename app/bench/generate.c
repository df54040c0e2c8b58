/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One run, a ramp, or a search, for each size in turn. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "generate.h"

volatile sig_atomic_t generate_stop;

double generate_ns(double units)
{
	return units * (1 << TRAFFIC_TSC_SHIFT) * 1e9 / (double)rte_get_tsc_hz();
}

double direction_loss(const struct direction *d)
{
	uint64_t offered = d->sent - OMNI_MIN(d->tx_dropped, d->sent);

	return offered > d->received ? (double)(offered - d->received) / (double)offered : 0;
}

double direction_offered(const struct direction *d)
{
	uint64_t offered = d->sent - OMNI_MIN(d->tx_dropped, d->sent);

	return d->seconds > 0 ? (double)offered / d->seconds : 0;
}

double direction_delivered(const struct direction *d)
{
	return d->seconds > 0 ? (double)d->received / d->seconds : 0;
}

/* The trial's place in the report, done and printed; NULL where no memory or room is left. */
static struct trial *try(struct generator *g, struct report *r, const struct generate_size *size,
			 double pps)
{
	unsigned int n = g->o->bidirectional ? 2 : 1;
	struct trial *t = &r->trial[r->trials];

	if (r->trials == GENERATE_TRIALS_MAX)
		return NULL;
	*t = (struct trial){.size = *size,
			    .size_mean = g->traffic.size_mean,
			    .asked = pps,
			    .directions = n,
			    .d = calloc(n, sizeof(*t->d))};
	if (t->d == NULL)
		return NULL;
	r->trials++;
	generator_learn(g);
	generator_trial(g, pps, g->o->duration, t->d);
	if (!g->o->json)
		generate_print_trial(t);
	return t;
}

static double worst_loss(const struct trial *t)
{
	double loss = direction_loss(&t->d[0]);

	return t->directions > 1 ? OMNI_MAX(loss, direction_loss(&t->d[1])) : loss;
}

static double least_offered(const struct trial *t)
{
	double pps = direction_offered(&t->d[0]);

	return t->directions > 1 ? OMNI_MIN(pps, direction_offered(&t->d[1])) : pps;
}

static bool all_sent(const struct trial *t)
{
	return t->d[0].sent > 0 && t->d[t->directions - 1].sent > 0;
}

static int search_throughput(struct generator *g, struct report *r,
			     const struct generate_size *size)
{
	const struct generate_options *o = g->o;
	struct throughput *res = &r->throughput[r->throughputs];
	struct search s;

	search_begin(&s, o->has_rate ? rate_pps(&o->rate, g->traffic.size_mean, o->line_bps) : 0,
		     o->resolution);
	*res = (struct throughput){.size = *size, .size_mean = g->traffic.size_mean};
	while (!s.done && generate_stop == 0) {
		struct trial *t = try(g, r, size, s.rate);

		if (t == NULL)
			return 1;
		t->passed = all_sent(t) && worst_loss(t) <= o->loss;
		res->trials++;
		search_next(&s, least_offered(t), t->passed);
	}
	res->pps = s.low;
	res->limited = s.limited;
	r->throughputs += s.done;
	return 0;
}

static int run_steps(struct generator *g, struct report *r, const struct generate_size *size)
{
	const struct generate_options *o = g->o;
	unsigned int n = o->mode == GENERATE_RAMP ? o->steps : 1;

	for (unsigned int i = 0; i < n && generate_stop == 0; i++) {
		const struct rate *rate = o->mode == GENERATE_RAMP ? &o->step[i] : &o->rate;

		if (try(g, r, size, rate_pps(rate, g->traffic.size_mean, o->line_bps)) == NULL)
			return 1;
	}
	return 0;
}

static double first_rate(const struct generator *g)
{
	const struct generate_options *o = g->o;
	const struct rate *rate = o->mode == GENERATE_RAMP ? &o->step[0] : &o->rate;

	return rate_pps(rate, g->traffic.size_mean, o->line_bps);
}

/* Caches, tables and clocks of the device get warm; nothing of it is reported. */
static void warm_up(struct generator *g)
{
	struct direction *d = calloc(2, sizeof(*d));

	if (d == NULL || g->o->warm_up <= 0 || generate_stop != 0)
		goto out;
	generator_learn(g);
	generator_trial(g, first_rate(g), g->o->warm_up, d);
out:
	free(d);
}

static int run_sizes(struct generator *g, struct report *r)
{
	const struct generate_options *o = g->o;
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < o->sizes && generate_stop == 0; i++) {
		rc = generator_size(g, &o->size[i]);
		if (rc != 0)
			break;
		warm_up(g);
		rc = o->mode == GENERATE_RFC2544 ? search_throughput(g, r, &o->size[i])
						 : run_steps(g, r, &o->size[i]);
		if (rc != 0)
			fprintf(stderr, "omni-bench: no memory, or more than %d trials\n",
				GENERATE_TRIALS_MAX);
	}
	return rc;
}

/* Every size before the first frame: an hour later is late for a word on the last one. */
static int check_sizes(struct generator *g)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < g->o->sizes; i++)
		rc = generator_size(g, &g->o->size[i]);
	return rc;
}

static void warn_about_links(struct generator *g)
{
	for (unsigned int i = 0; i < g->sides; i++) {
		omni_port_refresh(g->side[i].port);
		if (!g->side[i].port->info.link_up)
			fprintf(stderr, "omni-bench: port %s: the link is down now\n",
				g->side[i].port->name);
	}
}

static int conclude(struct report *r)
{
	uint64_t received = 0;
	int rc = 0;

	for (unsigned int i = 0; i < r->trials; i++)
		for (unsigned int j = 0; j < r->trial[i].directions; j++)
			received += r->trial[i].d[j].received;
	if (r->o->json)
		rc = generate_print_json(r);
	else
		generate_print_end(r);
	if (rc == 0 && r->o->plot != NULL && r->trials > 0)
		rc = generate_plot(r);
	if (rc != 0)
		return rc;
	if (received == 0 && r->trials > 0) {
		fprintf(stderr, "omni-bench: not one test frame came back\n");
		return GENERATE_NOTHING_BACK;
	}
	return r->interrupted ? GENERATE_INTERRUPTED : 0;
}

static int run(struct generator *g, struct report *r)
{
	int rc;

	assert(g->sides <= OMNI_ARRAY_SIZE(r->info));
	for (unsigned int i = 0; i < g->sides; i++)
		r->info[i] = &g->side[i].port->info;
	rc = check_sizes(g);
	if (rc != 0)
		return rc;
	if (!g->o->json)
		generate_print_head(g->o);
	rc = run_sizes(g, r);
	r->interrupted = generate_stop != 0;
	warn_about_links(g);
	return rc != 0 ? rc : conclude(r);
}

int generate(const struct generate_options *o)
{
	struct generator *g = aligned_alloc(64, sizeof(*g));
	struct report r = {.o = o, .trial = calloc(GENERATE_TRIALS_MAX, sizeof(*r.trial))};
	int rc = 1;

	if (g == NULL || r.trial == NULL) {
		fprintf(stderr, "omni-bench: no memory\n");
		goto out;
	}
	rc = generator_open(g, o);
	if (rc == 0)
		rc = run(g, &r);
	generator_close(g);
	for (unsigned int i = 0; i < r.trials; i++)
		free(r.trial[i].d);
out:
	free(r.trial);
	free(g);
	return rc;
}
