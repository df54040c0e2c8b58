/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_base.h>
#include <omni_replay.h>

#define SPAN ((uint64_t)OMNI_REPLAY_SPAN)
#define TOP UINT64_MAX

/* WireGuard's window, and its counters: LAST is the last that is taken. */
#define WIDE ((uint64_t)8192)
#define RING ((uint64_t)OMNI_REPLAY_WIDE_WORDS * OMNI_REPLAY_WORD_BITS)
#define LAST (TOP - WIDE - 1)

struct step {
	uint64_t seq;
	bool accept;
};

static void run(const char *name, const struct step *steps, size_t count)
{
	struct omni_replay w;

	omni_replay_init(&w);
	for (size_t i = 0; i < count; i++) {
		struct omni_replay before = w;

		if (omni_replay_peek(&w, steps[i].seq) != steps[i].accept)
			fail_msg("%s: peek of step %zu", name, i);
		assert_memory_equal(&w, &before, sizeof(w));
		if (omni_replay_mark(&w, steps[i].seq) != steps[i].accept)
			fail_msg("%s: mark of step %zu", name, i);
		if (!steps[i].accept)
			assert_memory_equal(&w, &before, sizeof(w));
		if (omni_replay_peek(&w, steps[i].seq))
			fail_msg("%s: step %zu is not remembered", name, i);
	}
}

static void run_wide(const char *name, const struct step *steps, size_t count)
{
	struct omni_replay_wide w;

	omni_replay_wide_init(&w);
	for (size_t i = 0; i < count; i++) {
		struct omni_replay_wide before = w;

		if (omni_replay_wide_peek(&w, steps[i].seq) != steps[i].accept)
			fail_msg("%s: peek of step %zu", name, i);
		assert_memory_equal(&w, &before, sizeof(w));
		if (omni_replay_wide_mark(&w, steps[i].seq) != steps[i].accept)
			fail_msg("%s: mark of step %zu", name, i);
		if (!steps[i].accept)
			assert_memory_equal(&w, &before, sizeof(w));
		if (omni_replay_wide_peek(&w, steps[i].seq))
			fail_msg("%s: step %zu is not remembered", name, i);
	}
}

#define RUN_WIDE(...)                                                  \
	do {                                                           \
		static const struct step steps[] = {__VA_ARGS__};      \
		run_wide(#__VA_ARGS__, steps, OMNI_ARRAY_SIZE(steps)); \
	} while (0)

#define RUN(...)                                                  \
	do {                                                      \
		static const struct step steps[] = {__VA_ARGS__}; \
		run(#__VA_ARGS__, steps, OMNI_ARRAY_SIZE(steps)); \
	} while (0)

static void edges(void **state)
{
	(void)state;
	/* The first numbers, and each twice. */
	RUN({0, true}, {0, false}, {1, true}, {1, false}, {0, false});
	RUN({1, true}, {0, true}, {0, false}, {1, false});
	RUN({63, true}, {64, true}, {62, true}, {65, true}, {63, false}, {64, false});
	/* The promised window of 2048, at its far edge. */
	RUN({2047, true}, {0, true}, {0, false});
	RUN({5000, true}, {5000 - 2047, true}, {5000 - 2047, false});
	/* The whole window: the oldest number is in, the one before is out. */
	RUN({SPAN - 1, true}, {0, true}, {0, false});
	RUN({SPAN, true}, {0, false}, {1, true}, {1, false});
	RUN({0, true}, {SPAN, true}, {0, false});
	RUN({100000, true}, {100000 - SPAN, false}, {100000 - SPAN + 1, true});
	/* A jump by one ring length meets the same word and bit: it must have been cleared. */
	RUN({7, true}, {7 + 4096, true}, {7 + 4096, false}, {7, false}, {7 + 4096 - 64, true});
	RUN({7, true}, {7 + 4095, true}, {7 + 4096, true}, {8 + 4096, true});
	/* A jump over everything forgets everything inside the new window. */
	RUN({1, true}, {2, true}, {3, true}, {1000000, true}, {999999, true}, {3, false});
	RUN({1000, true}, {UINT64_C(1) << 40, true}, {(UINT64_C(1) << 40) - 1, true});
}

static void top_of_the_range(void **state)
{
	(void)state;
	RUN({TOP, true}, {TOP, false}, {TOP - 1, true}, {TOP - 1, false}, {0, false});
	RUN({TOP - 1, true}, {TOP, true}, {TOP, false}, {TOP - SPAN, false},
	    {TOP - SPAN + 1, true});
	RUN({0, true}, {TOP, true}, {0, false}, {1, false}, {TOP - 2047, true});
	RUN({TOP - 64, true}, {TOP, true}, {TOP - 63, true}, {TOP - 64, false});
}

static void wide_edges(void **state)
{
	(void)state;
	/* The first numbers, and each twice; the words' borders in any order. */
	RUN_WIDE({0, true}, {0, false}, {1, true}, {1, false}, {0, false});
	RUN_WIDE({1, true}, {0, true}, {0, false}, {1, false});
	RUN_WIDE({64, true}, {63, true}, {65, true}, {0, true}, {127, true}, {128, true},
		 {63, false}, {64, false}, {126, true}, {128, false});
	/* 8191 below the newest is in, 8192 is out, wherever the newest stands in its word. */
	RUN_WIDE({WIDE - 1, true}, {0, true}, {0, false});
	RUN_WIDE({WIDE, true}, {0, false}, {1, true}, {1, false});
	RUN_WIDE({WIDE + 1, true}, {0, false}, {1, false}, {2, true});
	RUN_WIDE({0, true}, {WIDE, true}, {0, false}, {WIDE + 1, true}, {1, false}, {2, true});
	RUN_WIDE({WIDE + 63, true}, {63, false}, {64, true}, {WIDE + 64, true}, {64, false},
		 {65, true});
	RUN_WIDE({100000, true}, {100000 - WIDE, false}, {100000 - WIDE + 1, true},
		 {100000 - WIDE + 1, false}, {99999, true});
	/* Closed from its far end as the newest moves on by one. */
	RUN_WIDE({20000, true}, {20000 - WIDE + 1, true}, {20001, true}, {20000 - WIDE + 1, false},
		 {20000 - WIDE + 2, true});
}

/* Jumps by a word, by the window and by the ring: what comes round must have been cleared. */
static void wide_jumps(void **state)
{
	(void)state;
	RUN_WIDE({7, true}, {7 + 64, true}, {7, false}, {8, true}, {6 + 64, true}, {7 + 128, true});
	RUN_WIDE({7, true}, {7 + WIDE - 1, true}, {7, false}, {8, true}, {7 + WIDE, true},
		 {7 + 2 * WIDE, true}, {7 + WIDE, false}, {8 + WIDE, true});
	RUN_WIDE({7, true}, {7 + RING, true}, {7 + RING, false}, {7, false}, {7 + RING - 64, true},
		 {7 + RING - WIDE, false}, {7 + RING - WIDE + 1, true});
	RUN_WIDE({7, true}, {6 + RING, true}, {7 + RING, true}, {8 + RING, true});
	RUN_WIDE({7, true}, {RING - 1, true}, {RING, true}, {RING + 7, true}, {RING + 6, true});
	RUN_WIDE({7, true}, {70, true}, {7 + RING - 64, true}, {7 + RING, true}, {70 + RING, true});
	RUN_WIDE({1, true}, {2, true}, {1000000, true}, {999999, true}, {1000000 - WIDE + 1, true},
		 {3, false});
	RUN_WIDE({1000, true}, {UINT64_C(1) << 60, true}, {(UINT64_C(1) << 60) - 1, true},
		 {(UINT64_C(1) << 60) - WIDE, false}, {1000, false}, {1001, false});
}

/* No counter from 2^64 - 2^13 - 1 on: they move nothing, whatever else was seen. */
static void wide_end_of_a_key(void **state)
{
	(void)state;
	assert_true(LAST + 1 == OMNI_WG_REJECT_AFTER_MESSAGES);
	assert_true(OMNI_WG_REJECT_AFTER_MESSAGES == UINT64_C(0xffffffffffffdfff));
	RUN_WIDE({LAST, true}, {LAST, false}, {LAST + 1, false}, {TOP, false}, {LAST - 1, true},
		 {LAST - WIDE + 1, true}, {LAST - WIDE, false}, {0, false});
	RUN_WIDE({LAST + 1, false}, {TOP, false}, {TOP - 1, false}, {0, true}, {1, true});
	RUN_WIDE({LAST - 1, true}, {TOP, false}, {LAST, true}, {LAST - 64, true});
}

static void two_copies_in_one_burst(void **state)
{
	struct omni_replay w;

	(void)state;
	omni_replay_init(&w);
	assert_true(omni_replay_peek(&w, 9));
	assert_true(omni_replay_peek(&w, 9));
	assert_true(omni_replay_mark(&w, 9));
	assert_false(omni_replay_mark(&w, 9));
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Against the plainest model there is: a byte for each number. */
static void agrees_with_a_model(void **state)
{
	enum {
		NUMBERS = 60000
	};
	static uint8_t seen[NUMBERS];
	static const uint64_t bases[] = {0, UINT64_C(1) << 32, TOP - NUMBERS + 1};
	uint64_t x = 88172645463325252u;

	(void)state;
	for (size_t b = 0; b < OMNI_ARRAY_SIZE(bases); b++) {
		uint64_t front = 0, newest = 0;
		struct omni_replay w;
		bool any = false;

		memset(seen, 0, sizeof(seen));
		omni_replay_init(&w);
		for (int i = 0; i < 200000; i++) {
			uint64_t r = next_random(&x), back = (r >> 8) % (SPAN + 200);
			uint64_t at;
			bool want;

			front += (r & 0xff) == 0 ? (r >> 32) % 300 : (r & 3) == 0;
			front = OMNI_MIN(front, (uint64_t)NUMBERS - 1);
			at = (r & 0x30) == 0 || back > front ? front : front - back;
			want = seen[at] == 0 && (!any || at > newest || newest - at < SPAN);
			assert_int_equal(omni_replay_peek(&w, bases[b] + at), want);
			assert_int_equal(omni_replay_mark(&w, bases[b] + at), want);
			if (want) {
				seen[at] = 1;
				newest = any ? OMNI_MAX(newest, at) : at;
				any = true;
			}
		}
	}
}

/* WireGuard's likewise: a list of what was seen, and the rule of its whitepaper. */
static void wide_agrees_with_a_model(void **state)
{
	enum {
		NUMBERS = 200000
	};
	static uint8_t seen[NUMBERS];
	static const uint64_t bases[] = {0, 1, 63, UINT64_C(1) << 32, LAST - NUMBERS + 101};
	uint64_t x = 88172645463325252u;

	(void)state;
	for (size_t b = 0; b < OMNI_ARRAY_SIZE(bases); b++) {
		uint64_t front = 0, newest = 0;
		struct omni_replay_wide w;
		bool any = false;

		memset(seen, 0, sizeof(seen));
		omni_replay_wide_init(&w);
		for (int i = 0; i < 400000; i++) {
			uint64_t r = next_random(&x), back = (r >> 8) % (WIDE + 300);
			uint64_t at;
			bool want;

			front += (r & 0x1fff) == 0 ? (r >> 32) % (RING + 300) : (r & 3) == 0;
			front = OMNI_MIN(front, (uint64_t)NUMBERS - 1);
			at = (r & 0x30) == 0 || back > front ? front : front - back;
			want = seen[at] == 0 && (!any || at > newest || newest - at < WIDE) &&
			       bases[b] + at <= LAST;
			assert_int_equal(omni_replay_wide_peek(&w, bases[b] + at), want);
			assert_int_equal(omni_replay_wide_mark(&w, bases[b] + at), want);
			if (want) {
				seen[at] = 1;
				newest = any ? OMNI_MAX(newest, at) : at;
				any = true;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(top_of_the_range),
		cmocka_unit_test(wide_edges),
		cmocka_unit_test(wide_jumps),
		cmocka_unit_test(wide_end_of_a_key),
		cmocka_unit_test(two_copies_in_one_burst),
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(wide_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
