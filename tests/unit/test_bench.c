/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the generator and sink of omni-bench count with: histogram, sequences, search, frames. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"
#include "rate.h"
#include "search.h"
#include "sequence.h"
#include "traffic.h"

static uint64_t state = 88172645463325252ULL;

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* ---- Histogram ---- */

static void buckets_are_one_percent_wide(void **s)
{
	(void)s;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t low = histogram_low(i), high = histogram_high(i);

		assert_int_equal(histogram_index(low), i);
		assert_int_equal(histogram_index(high), i);
		assert_true((double)(high - low) <= 0.01 * (double)low);
		if (i > 0)
			assert_int_equal(low, histogram_high(i - 1) + 1);
	}
	for (int i = 0; i < 100000; i++) {
		uint64_t v = random64() >> (24 + random64() % 40);
		unsigned int b = histogram_index(v);

		assert_in_range(v, histogram_low(b), histogram_high(b));
	}
	assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void percentiles_follow_sorted_samples(void **s)
{
	static const double percent[] = {0.1, 1, 25, 50, 90, 99, 99.9, 99.99, 100};
	static struct histogram h, half[2];
	static uint64_t v[20000];

	(void)s;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(v); i++) {
		v[i] = random64() >> (30 + random64() % 30);
		histogram_add(&h, v[i]);
		histogram_add(&half[i % 2], v[i]);
	}
	qsort(v, OMNI_ARRAY_SIZE(v), sizeof(v[0]), by_value);
	histogram_merge(&half[0], &half[1]);
	assert_memory_equal(&half[0], &h, sizeof(h));
	assert_int_equal(h.min, v[0]);
	assert_int_equal(h.max, v[OMNI_ARRAY_SIZE(v) - 1]);
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(percent); i++) {
		size_t rank = (size_t)ceil(percent[i] / 100 * OMNI_ARRAY_SIZE(v));
		double want = (double)v[rank - 1];
		double got = (double)histogram_percentile(&h, percent[i]);

		assert_true(got >= want && got <= want * 1.01);
	}
}

static void an_empty_histogram_has_no_values(void **s)
{
	static struct histogram h, other;

	(void)s;
	assert_int_equal(histogram_percentile(&h, 50), 0);
	assert_true(histogram_mean(&h) == 0);
	histogram_add(&other, 7);
	histogram_merge(&other, &h);
	assert_int_equal(other.min, 7);
	histogram_merge(&h, &other);
	assert_int_equal(h.min, 7);
	assert_int_equal(histogram_percentile(&h, 50), 7);
	histogram_clear(&h);
	assert_int_equal(h.count, 0);
}

/* ---- Sequences ---- */

static void sequences_tell_late_from_twice(void **s)
{
	struct sequence q;
	uint32_t distance = 99;

	(void)s;
	assert_int_equal(sequence_create(&q, 3), 0);
	assert_int_equal(sequence_take(&q, 1, 0, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 1, 0, &distance), SEQUENCE_DUPLICATE);
	assert_int_equal(sequence_take(&q, 1, 5, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 1, 2, &distance), SEQUENCE_LATE);
	assert_int_equal(distance, 3);
	assert_int_equal(sequence_take(&q, 1, 2, &distance), SEQUENCE_DUPLICATE);
	assert_int_equal(sequence_take(&q, 2, 2, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 1, 5 + q.window, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 1, 5, &distance), SEQUENCE_STALE);
	assert_int_equal(sequence_take(&q, 1, 6, &distance), SEQUENCE_LATE);
	sequence_clear(&q);
	assert_int_equal(sequence_take(&q, 1, 5, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 1, 4, &distance), SEQUENCE_LATE);
	sequence_free(&q);
}

/* Against the plain truth, for orders that a window holds. */
static void sequences_count_exactly(void **s)
{
	enum {
		N = 200000,
		REACH = 50
	};
	struct sequence q;
	uint8_t *times = calloc(N, 1);
	unsigned int verdicts[4] = {0}, twice = 0, late = 0, once = 0;
	uint32_t highest = 0, distance;

	(void)s;
	assert_int_equal(sequence_create(&q, TRAFFIC_FLOWS_MAX), 0);
	assert_int_equal(q.window, 64);
	for (uint32_t i = 0; i + REACH < N; i++) {
		uint32_t number = i + (uint32_t)(random64() % REACH);

		verdicts[sequence_take(&q, 7, number, &distance)]++;
		if (times[number]++ > 0)
			twice++;
		else if (number < highest)
			late++, once++;
		else
			once++;
		if (number >= highest)
			highest = number + 1;
	}
	assert_int_equal(verdicts[SEQUENCE_DUPLICATE], twice);
	assert_int_equal(verdicts[SEQUENCE_LATE], late);
	assert_int_equal(verdicts[SEQUENCE_NEW] + verdicts[SEQUENCE_LATE], once);
	assert_int_equal(verdicts[SEQUENCE_STALE], 0);
	sequence_free(&q);
	free(times);
}

static void sequences_wrap(void **s)
{
	struct sequence q;
	uint32_t distance;

	(void)s;
	assert_int_equal(sequence_create(&q, 1), 0);
	for (uint32_t n = 0; n < 0xf0000000; n += 0x10000000)
		assert_int_equal(sequence_take(&q, 0, n, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 0, 0xffffffff, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 0, 1, &distance), SEQUENCE_NEW);
	assert_int_equal(sequence_take(&q, 0, 0, &distance), SEQUENCE_LATE);
	assert_int_equal(sequence_take(&q, 0, 0xffffffff, &distance), SEQUENCE_DUPLICATE);
	assert_int_equal(sequence_take(&q, 0, 0xfffffffe, &distance), SEQUENCE_LATE);
	sequence_free(&q);
}

/* ---- Search ---- */

/* The result of a search on a device that loses frames above that rate; trials counted. */
static double search(double device, double generator, double limit, double resolution,
		     struct search *q, unsigned int *trials)
{
	*trials = 0;
	search_begin(q, limit, resolution);
	while (!q->done) {
		double offered = q->rate <= 0 || q->rate > generator ? generator : q->rate;

		search_next(q, offered, offered <= device);
		assert_true(++*trials < 40);
	}
	return q->low;
}

static void search_finds_the_device(void **s)
{
	struct search q;
	unsigned int trials;

	(void)s;
	for (double device = 3; device < 1000; device += 7.3) {
		double found = search(device, 1e9, 1000, 0.01, &q, &trials);

		assert_true(found <= device && found >= device - 10);
		assert_false(q.limited);
		found = search(device, 2000, 0, 0.001, &q, &trials);
		assert_true(found <= device && found >= device - 2);
	}
	assert_true(search(5000, 1e9, 1000, 0.01, &q, &trials) == 1000);
	assert_int_equal(trials, 1);
	assert_false(q.limited);
	assert_true(search(0, 1e9, 1000, 0.01, &q, &trials) == 0);
}

static void search_names_a_generator_at_its_end(void **s)
{
	struct search q;
	unsigned int trials;

	(void)s;
	assert_true(search(5000, 700, 1000, 0.01, &q, &trials) == 700);
	assert_true(q.limited);
	assert_true(search(5000, 700, 0, 0.01, &q, &trials) == 700);
	assert_true(q.limited);
	assert_true(search(100, 700, 1000, 0.01, &q, &trials) >= 90);
	assert_false(q.limited);
	assert_true(search(100, 0, 0, 0.01, &q, &trials) == 0);
}

/* ---- Rates ---- */

static void rates_are_read(void **s)
{
	struct rate r, steps[RATE_STEPS_MAX];
	struct omni_err err;

	(void)s;
	assert_int_equal(rate_parse(&r, "1.5mpps", &err), 0);
	assert_true(rate_pps(&r, 64, 0) == 1.5e6);
	assert_int_equal(rate_parse(&r, "1Gbps", &err), 0);
	assert_true(rate_pps(&r, 125, 0) == 1e6);
	assert_int_equal(rate_parse(&r, "100%", &err), 0);
	assert_in_range((uint64_t)rate_pps(&r, 60, 10e9), 14880952, 14880953);
	assert_int_equal(rate_parse(&r, "max", &err), 0);
	assert_true(rate_pps(&r, 60, 10e9) == 0);
	for (const char *const *bad = (const char *const[]){"", "5", "pps", "-1pps", "0pps", "101%",
							    "1xpps", "nanpps", "1e99pps", NULL};
	     *bad != NULL; bad++)
		assert_int_equal(rate_parse(&r, *bad, &err), -EINVAL);
	assert_int_equal(rate_parse_steps(steps, "10%,20%,max", &err), 3);
	assert_int_equal(steps[2].unit, RATE_MAX);
	assert_int_equal(rate_parse_steps(steps, "100kpps..1mpps/10", &err), 10);
	assert_true(steps[9].value == 1e6 && steps[1].value == 2e5);
	for (const char *const *bad =
		     (const char *const[]){"", ",", "1pps,x", "1pps..2pps", "1pps..2%/3",
					   "1pps..2pps/1", "max..1pps/3", "1pps..2pps/99", NULL};
	     *bad != NULL; bad++)
		assert_int_equal(rate_parse_steps(steps, *bad, &err), -EINVAL);
}

/* ---- Frames ---- */

static const struct traffic_conf udp4 = {
	.kind = TRAFFIC_UDP4, .size = 60, .vlan = -1, .flows = 1000, .macs = 4, .key = 0x12345678};

static void frames_are_read_as_written(void **s)
{
	static struct traffic t;
	uint8_t frame[TRAFFIC_FRAME_MAX];
	struct traffic_seen seen;
	struct omni_err err;

	(void)s;
	for (int kind = TRAFFIC_L2; kind <= TRAFFIC_UDP6; kind++)
		for (int vlan = -1; vlan < 20; vlan += 10)
			for (unsigned int d = 0; d < 2; d++) {
				struct traffic_conf c = udp4;
				struct traffic_place p;
				uint64_t k = 123456 + d;

				c.kind = (enum traffic_kind)kind;
				c.vlan = vlan;
				c.size = 84;
				c.imix = kind == TRAFFIC_L2;
				assert_int_equal(traffic_init(&t, &c, &err), 0);
				p = traffic_place(&t, k);
				traffic_write(&t, d, &p, frame);
				traffic_stamp(&t, d, &p, 3, 4000, frame);
				assert_int_equal(traffic_read(&t, 3, frame, t.size[p.which], &seen),
						 TRAFFIC_GOOD);
				assert_int_equal(seen.direction, d);
				assert_int_equal(seen.flow, k % 1000);
				assert_int_equal(seen.number, k / 1000);
				assert_int_equal(seen.tsc, 1000);
				assert_int_equal(traffic_read(&t, 4, frame, t.size[p.which], &seen),
						 TRAFFIC_OLD);
			}
}

/* Every byte behind the MAC addresses but type, TTL and checksums; and every length. */
static void changed_frames_are_noticed(void **s)
{
	static struct traffic t;
	static uint8_t frame[200], copy[200];
	struct traffic_place p;
	struct traffic_conf c = udp4;
	struct traffic_seen seen;
	struct omni_err err;

	(void)s;
	c.size = 150;
	assert_int_equal(traffic_init(&t, &c, &err), 0);
	p = traffic_place(&t, 77);
	traffic_write(&t, 0, &p, frame);
	traffic_stamp(&t, 0, &p, 3, 4000, frame);
	for (unsigned int i = 26; i < 150; i++) {
		enum traffic_verdict v;

		if (i >= 38 && i < 42) /* UDP length and checksum */
			continue;
		memcpy(copy, frame, sizeof(copy));
		copy[i] ^= 1;
		v = traffic_read(&t, 3, copy, 150, &seen);
		assert_int_equal(v, i == 42 || i == 43 ? TRAFFIC_FOREIGN : TRAFFIC_CORRUPT);
	}
	for (uint32_t len = 0; len < 150; len++) {
		/* Of exactly that length, so that a sanitizer sees what is read beyond. */
		uint8_t *cut = malloc(len + 1);

		memcpy(cut, frame, len);
		assert_int_not_equal(traffic_read(&t, 3, cut, len, &seen), TRAFFIC_GOOD);
		free(cut);
	}
	assert_int_equal(traffic_read(&t, 3, frame, 151, &seen), TRAFFIC_CORRUPT);
	t.conf.key++;
	assert_int_equal(traffic_read(&t, 3, frame, 150, &seen), TRAFFIC_CORRUPT);
}

static uint16_t internet_sum(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void checksums_are_right(void **s)
{
	static struct traffic t;
	uint8_t frame[TRAFFIC_FRAME_MAX];
	struct traffic_conf c = udp4;
	struct omni_err err;

	(void)s;
	c.size = 101;
	for (uint64_t k = 0; k < 2000; k += 13) {
		struct traffic_place p;

		c.kind = TRAFFIC_UDP4;
		assert_int_equal(traffic_init(&t, &c, &err), 0);
		p = traffic_place(&t, k);
		traffic_write(&t, 1, &p, frame);
		traffic_stamp(&t, 1, &p, 3, k, frame);
		assert_int_equal(internet_sum(0, frame + 14, 20), 0xffff);
		c.kind = TRAFFIC_UDP6;
		assert_int_equal(traffic_init(&t, &c, &err), 0);
		traffic_write(&t, 1, &p, frame);
		traffic_stamp(&t, 1, &p, 3, k, frame);
		assert_int_equal(internet_sum(17 + 101 - 54, frame + 22, 32 + 101 - 54), 0xffff);
	}
}

static void flows_differ_and_learning_frames_are_known(void **s)
{
	static struct traffic t;
	uint8_t frame[64], other[64], mac[6];
	struct traffic_seen seen;
	struct omni_err err;

	(void)s;
	assert_int_equal(traffic_init(&t, &udp4, &err), 0);
	for (uint64_t k = 1; k < 1000; k++) {
		struct traffic_place p = traffic_place(&t, k), first = traffic_place(&t, 0);

		traffic_write(&t, 0, &first, frame);
		traffic_write(&t, 0, &p, other);
		assert_memory_not_equal(frame + 26, other + 26, 12);
		traffic_mac(mac, 1, (uint32_t)(k % 4));
		assert_memory_equal(other, mac, 6);
	}
	assert_int_equal(traffic_write_learning(&t, 1, 2, frame), 60);
	traffic_mac(mac, 1, 2);
	assert_memory_equal(frame + 6, mac, 6);
	assert_int_equal(traffic_read(&t, 0, frame, 60, &seen), TRAFFIC_LEARNING);
}

static void impossible_sizes_are_refused(void **s)
{
	static struct traffic t;
	struct traffic_conf c = udp4;
	struct omni_err err;

	(void)s;
	c.size = 59;
	assert_int_equal(traffic_init(&t, &c, &err), -EINVAL);
	c.size = TRAFFIC_FRAME_MAX + 1;
	assert_int_equal(traffic_init(&t, &c, &err), -EINVAL);
	c.size = 79;
	c.kind = TRAFFIC_UDP6;
	assert_int_equal(traffic_init(&t, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "expected 80 to"));
	c.imix = true;
	assert_int_equal(traffic_init(&t, &c, &err), -EINVAL);
	c.kind = TRAFFIC_UDP4;
	assert_int_equal(traffic_init(&t, &c, &err), 0);
	assert_true(fabs(t.size_mean - (7 * 64 + 4 * 576 + 1420) / 12.0) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_are_one_percent_wide),
		cmocka_unit_test(percentiles_follow_sorted_samples),
		cmocka_unit_test(an_empty_histogram_has_no_values),
		cmocka_unit_test(sequences_tell_late_from_twice),
		cmocka_unit_test(sequences_count_exactly),
		cmocka_unit_test(sequences_wrap),
		cmocka_unit_test(search_finds_the_device),
		cmocka_unit_test(search_names_a_generator_at_its_end),
		cmocka_unit_test(rates_are_read),
		cmocka_unit_test(frames_are_read_as_written),
		cmocka_unit_test(changed_frames_are_noticed),
		cmocka_unit_test(checksums_are_right),
		cmocka_unit_test(flows_differ_and_learning_frames_are_known),
		cmocka_unit_test(impossible_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
