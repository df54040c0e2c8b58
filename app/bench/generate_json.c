/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a program reads. Rates in frames and bits per second, times in nanoseconds. */
#include <math.h>
#include <stdio.h>

#include <jansson.h>

#include "generate.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *rounded(double v)
{
	return json_real(round(v * 1000) / 1000);
}

static json_t *size_json(const struct generate_size *size)
{
	return size->imix ? json_string("imix") : json_integer(size->bytes);
}

/* [low, high, count] of each bucket that counted something. */
static json_t *buckets_json(const struct histogram *h)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (h->bucket[i] > 0)
			json_array_append_new(
				list,
				json_pack("[o,o,o]", rounded(generate_ns((double)histogram_low(i))),
					  rounded(generate_ns((double)histogram_high(i))),
					  number(h->bucket[i])));
	return list;
}

static json_t *latency_json(const struct histogram *h)
{
	static const struct {
		const char *name;
		double percent;
	} points[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}};
	json_t *o = json_object();

	json_object_set_new(o, "count", number(h->count));
	json_object_set_new(o, "min", rounded(h->count > 0 ? generate_ns((double)h->min) : 0));
	json_object_set_new(o, "mean", rounded(generate_ns(histogram_mean(h))));
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(points); i++)
		json_object_set_new(
			o, points[i].name,
			rounded(generate_ns((double)histogram_percentile(h, points[i].percent))));
	json_object_set_new(o, "max", rounded(generate_ns((double)h->max)));
	json_object_set_new(o, "buckets", buckets_json(h));
	return o;
}

static json_t *direction_json(const struct direction *d)
{
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{"target", d->target},
		{"sent", d->sent},
		{"sent_bytes", d->sent_bytes},
		{"missed", d->missed},
		{"tx_dropped", d->tx_dropped},
		{"received", d->received},
		{"received_bytes", d->received_bytes},
		{"rx_dropped", d->rx_dropped},
		{"duplicates", d->duplicates},
		{"reordered", d->late},
		{"reordered_by_most", d->late_max},
		{"corrupt", d->corrupt},
		{"too_old", d->stale},
		{"of_earlier_trials", d->old},
		{"returned", d->returned},
		{"foreign", d->foreign},
	};
	uint64_t offered = d->sent - OMNI_MIN(d->sent, d->tx_dropped);
	json_t *o = json_object();

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(counters); i++)
		json_object_set_new(o, counters[i].name, number(counters[i].value));
	json_object_set_new(o, "lost", number(offered > d->received ? offered - d->received : 0));
	json_object_set_new(o, "loss", json_real(direction_loss(d)));
	json_object_set_new(o, "seconds", json_real(d->seconds));
	json_object_set_new(o, "offered_pps", rounded(direction_offered(d)));
	json_object_set_new(o, "delivered_pps", rounded(direction_delivered(d)));
	json_object_set_new(
		o, "delivered_bps",
		rounded(d->seconds > 0 ? (double)d->received_bytes * 8 / d->seconds : 0));
	json_object_set_new(o, "latency_ns", latency_json(&d->latency));
	return o;
}

static json_t *trial_json(const struct trial *t, bool search)
{
	json_t *o = json_object(), *list = json_array();

	for (unsigned int i = 0; i < t->directions; i++)
		json_array_append_new(list, direction_json(&t->d[i]));
	json_object_set_new(o, "size", size_json(&t->size));
	json_object_set_new(o, "asked_pps", t->asked > 0 ? rounded(t->asked) : json_null());
	if (search)
		json_object_set_new(o, "passed", json_boolean(t->passed));
	json_object_set_new(o, "directions", list);
	return o;
}

static json_t *throughput_json(const struct report *r)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < r->throughputs; i++) {
		const struct throughput *t = &r->throughput[i];
		double wire = t->pps * (t->size_mean + TRAFFIC_WIRE_EXTRA) * 8;

		json_array_append_new(
			list,
			json_pack("{s:o,s:o,s:o,s:o,s:i,s:b}", "size", size_json(&t->size), "pps",
				  rounded(t->pps), "bps", rounded(t->pps * t->size_mean * 8),
				  "part_of_line", json_real(wire / r->o->line_bps), "trials",
				  (int)t->trials, "limited_by_generator", t->limited));
	}
	return list;
}

static json_t *ports_json(const struct report *r)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < r->o->ports; i++)
		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:s,s:i}", "role", i == 0 ? "tx" : "rx",
						"driver", r->info[i]->driver, "mode",
						r->info[i]->mode, "mtu", (int)r->info[i]->mtu));
	return list;
}

static json_t *options_json(const struct generate_options *o)
{
	static const char *const kinds[] = {"l2", "udp4", "udp6"};

	return json_pack("{s:s,s:i,s:i,s:i,s:i,s:b,s:f,s:f,s:f,s:f,s:f}", "traffic",
			 kinds[o->traffic.kind], "flows", (int)o->traffic.flows, "macs",
			 (int)o->traffic.macs, "vlan", o->traffic.vlan, "burst", (int)o->burst,
			 "bidirectional", o->bidirectional, "duration", o->duration, "warm_up",
			 o->warm_up, "settle", o->settle, "line_bps", o->line_bps, "loss_bound",
			 o->loss);
}

int generate_print_json(const struct report *r)
{
	static const char *const modes[] = {"run", "ramp", "rfc2544"};
	bool search = r->o->mode == GENERATE_RFC2544;
	json_t *o = json_object(), *list = json_array();
	int rc;

	for (unsigned int i = 0; i < r->trials; i++)
		json_array_append_new(list, trial_json(&r->trial[i], search));
	json_object_set_new(o, "program", json_string("omni-bench " OMNI_VERSION));
	json_object_set_new(o, "mode", json_string(modes[r->o->mode]));
	json_object_set_new(o, "interrupted", json_boolean(r->interrupted));
	json_object_set_new(o, "ports", ports_json(r));
	json_object_set_new(o, "options", options_json(r->o));
	if (search)
		json_object_set_new(o, "throughput", throughput_json(r));
	json_object_set_new(o, "trials", list);
	rc = json_dumpf(o, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	json_decref(o);
	printf("\n");
	if (rc == 0 && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "omni-bench: cannot write the result\n");
	return 1;
}
