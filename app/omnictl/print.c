/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* JSON to aligned text. libsmartcols escapes what would steer a terminal. */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "omnictl.h"

#define COLUMNS_MAX 64

/* Text of one cell; the caller frees. */
static char *cell(const json_t *value)
{
	char *text = NULL, *item;
	const json_t *part;
	size_t i, size;
	FILE *out;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (value == NULL || json_is_null(value))
		return strdup("-");
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	if (json_is_real(value))
		return asprintf(&text, "%.6g", json_real_value(value)) >= 0 ? text : NULL;
	if (!json_is_array(value))
		return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	json_array_foreach(value, i, part)
	{
		item = cell(part);
		fprintf(out, "%s%s", i > 0 ? ", " : "", item != NULL ? item : "");
		free(item);
	}
	if (i == 0)
		fputc('-', out);
	fclose(out);
	return text;
}

static bool is_table(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* All rows of a column are numbers, or not there. */
static bool is_numeric(const json_t *rows, const char *column)
{
	const json_t *row, *value;
	bool any = false;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		value = json_object_get(row, column);
		if (value != NULL && !json_is_null(value) && !json_is_number(value))
			return false;
		any |= json_is_number(value);
	}
	return any;
}

/* Names in the order in which they first come. */
static size_t find_columns(const json_t *rows, const char *columns[COLUMNS_MAX])
{
	size_t i, n = 0;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		const char *key;
		json_t *value;

		json_object_foreach(row, key, value)
		{
			size_t c = 0;

			while (c < n && strcmp(columns[c], key) != 0)
				c++;
			if (c == n && n < COLUMNS_MAX)
				columns[n++] = key;
		}
	}
	return n;
}

static struct libscols_table *new_table(FILE *out)
{
	struct libscols_table *table = scols_new_table();

	if (table == NULL)
		return NULL;
	scols_table_set_stream(table, out);
	/* Never cut keys to the width of a terminal. */
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	return table;
}

static void set_cell(struct libscols_line *line, size_t column, const json_t *value)
{
	char *text = cell(value);

	if (line != NULL && text != NULL)
		scols_line_set_data(line, column, text);
	free(text);
}

static int print_table(FILE *out, const json_t *rows, const char *heading)
{
	struct libscols_table *table = new_table(out);
	const char *columns[COLUMNS_MAX];
	char *names = NULL, *save = NULL;
	size_t i, n = find_columns(rows, columns);
	json_t *row;

	if (table == NULL)
		return -ENOMEM;
	for (size_t c = 0; c < n; c++)
		scols_table_new_column(table, columns[c], 0.0,
				       is_numeric(rows, columns[c]) ? SCOLS_FL_RIGHT : 0);
	json_array_foreach(rows, i, row)
	{
		struct libscols_line *line = scols_table_new_line(table, NULL);

		for (size_t c = 0; c < n; c++)
			set_cell(line, c, json_object_get(row, columns[c]));
	}
	scols_print_table(table);
	scols_unref_table(table);
	/* libsmartcols prints nothing where there is no row. */
	if (n == 0 && heading != NULL && (names = strdup(heading)) != NULL) {
		for (char *w = strtok_r(names, " ", &save); w; w = strtok_r(NULL, " ", &save))
			fprintf(out, "%s%s", w == names ? "" : "  ", w);
		fputc('\n', out);
	}
	free(names);
	return 0;
}

static bool is_zero(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) == 0;
}

/* The flat members as a list, then each table under its name. */
static int print_object(FILE *out, json_t *object, bool zeros)
{
	struct libscols_table *table = new_table(out);
	bool numeric = true;
	const char *key;
	json_t *value;
	int rc = 0;

	if (table == NULL)
		return -ENOMEM;
	json_object_foreach(object, key, value) numeric &= json_is_number(value);
	scols_table_enable_noheadings(table, 1);
	scols_table_new_column(table, "name", 0.0, 0);
	scols_table_new_column(table, "value", 0.0, numeric ? SCOLS_FL_RIGHT : 0);
	json_object_foreach(object, key, value)
	{
		struct libscols_line *line;

		if (is_table(value) || json_is_object(value) || (!zeros && is_zero(value)))
			continue;
		line = scols_table_new_line(table, NULL);
		if (line != NULL)
			scols_line_set_data(line, 0, key);
		set_cell(line, 1, value);
	}
	scols_print_table(table);
	scols_unref_table(table);
	json_object_foreach(object, key, value)
	{
		if (!is_table(value) && !json_is_object(value))
			continue;
		fprintf(out, "\n%s:\n", key);
		rc |= print_result(out, value, NULL, zeros);
	}
	return rc;
}

int print_result(FILE *out, const json_t *result, const char *columns, bool zeros)
{
	char *text;

	if (is_table(result) || (json_is_array(result) && json_array_size(result) == 0))
		return print_table(out, result, columns);
	if (json_is_object(result)) {
		json_t *copy = json_copy((json_t *)(uintptr_t)result);
		int rc = print_object(out, copy, zeros);

		json_decref(copy);
		return rc;
	}
	text = cell(result);
	if (text == NULL)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}

enum exit_status print_done(enum exit_status status)
{
	if (fflush(stdout) == 0)
		return status;
	perror("omnictl: standard output");
	return EXIT_REFUSED;
}
