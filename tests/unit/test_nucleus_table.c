/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <table.h>

#define ITEMS 3000
#define KEY_LEN 16

struct item {
	int before; /* so that the key is not at 0 */
	uint8_t key[KEY_LEN];
	bool in;
};

static const struct omni_key secret = {.b = {1, 2, 3}};
static struct item items[ITEMS];

static void make_items(void)
{
	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < ITEMS; i++)
		memcpy(items[i].key + 3, &i, sizeof(i));
}

static void all_as_expected(const struct table *t)
{
	size_t in = 0, walked = 0, at = 0;
	const struct item *item;

	for (size_t i = 0; i < ITEMS; i++) {
		assert_ptr_equal(table_find(t, items[i].key), items[i].in ? &items[i] : NULL);
		in += items[i].in;
	}
	while ((item = table_next(t, &at)) != NULL) {
		assert_true(item->in);
		walked++;
	}
	assert_int_equal(t->used, in);
	assert_int_equal(walked, in);
}

static void empty_table_finds_nothing(void **state)
{
	struct table t;
	size_t at = 0;

	(void)state;
	make_items();
	table_init(&t, offsetof(struct item, key), KEY_LEN, &secret);
	assert_null(table_find(&t, items[0].key));
	assert_null(table_next(&t, &at));
	table_free(&t);
}

/* Insertions and removals in a random order, against a plain array. */
static void random_use(void **state)
{
	struct table t;

	(void)state;
	make_items();
	srand(7);
	table_init(&t, offsetof(struct item, key), KEY_LEN, &secret);
	for (int turn = 0; turn < 60000; turn++) {
		/* First fuller, then emptier, in the small and in the large. */
		size_t range = turn < 20000 ? 7 : ITEMS;
		struct item *item = &items[(size_t)rand() % range];

		if (item->in)
			table_remove(&t, item);
		else
			assert_int_equal(table_insert(&t, item), 0);
		item->in = !item->in;
		if (turn % 2000 == 0 || turn < 200)
			all_as_expected(&t);
	}
	all_as_expected(&t);
	for (size_t i = 0; i < ITEMS; i++) {
		if (items[i].in)
			table_remove(&t, &items[i]);
		items[i].in = false;
	}
	all_as_expected(&t);
	table_free(&t);
}

static void never_over_three_quarters(void **state)
{
	struct table t;

	(void)state;
	make_items();
	table_init(&t, offsetof(struct item, key), KEY_LEN, &secret);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_int_equal(table_insert(&t, &items[i]), 0);
		assert_true(4 * t.used <= 3 * t.size);
	}
	table_free(&t);
	assert_int_equal(t.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_table_finds_nothing),
		cmocka_unit_test(random_use),
		cmocka_unit_test(never_over_three_quarters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
