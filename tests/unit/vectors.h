/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Reads the files of tests/vectors: one record a line, fields separated by one space, byte strings
 * in hexadecimal, "-" for an empty one, "#" for comments. Any fault ends the test program.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VEC_FIELDS_MAX 16

struct vec {
	FILE *f;
	char *line;
	size_t cap;
	const char *field[VEC_FIELDS_MAX];
	int fields;
};

static inline void vec_die(const char *what, const char *detail)
{
	fprintf(stderr, "vectors: %s: %s\n", what, detail);
	abort();
}

/* Open vectors/NAME under the folder that OMNI_TESTS_DIR names. */
static inline void vec_open(struct vec *v, const char *name)
{
	const char *dir = getenv("OMNI_TESTS_DIR");
	char path[4096];

	memset(v, 0, sizeof(*v));
	snprintf(path, sizeof(path), "%s/vectors/%s", dir != NULL ? dir : "tests", name);
	v->f = fopen(path, "r");
	if (v->f == NULL)
		vec_die("cannot open", path);
}

static inline void vec_close(struct vec *v)
{
	fclose(v->f);
	free(v->line);
}

/* The next record, split into at most max fields (the last takes the rest); false at the end. */
static inline bool vec_next_max(struct vec *v, int max)
{
	char *at;

	do {
		if (getline(&v->line, &v->cap, v->f) < 0)
			return false;
	} while (v->line[0] == '#' || v->line[0] == '\n');
	v->line[strcspn(v->line, "\n")] = '\0';
	v->fields = 0;
	for (at = v->line; at != NULL && v->fields < max; v->fields++) {
		char *space = v->fields + 1 < max ? strchr(at, ' ') : NULL;

		v->field[v->fields] = at;
		if (space != NULL)
			*space++ = '\0';
		at = space;
	}
	return true;
}

static inline bool vec_next(struct vec *v)
{
	return vec_next_max(v, VEC_FIELDS_MAX);
}

/* Decode text into at most cap bytes; returns their number. */
static inline size_t vec_unhex(const char *text, void *out, size_t cap)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(text) / 2;
	uint8_t *dst = out;

	if (strcmp(text, "-") == 0)
		return 0;
	if (strlen(text) % 2 != 0 || len > cap)
		vec_die("bad length", text);
	for (size_t i = 0; i < len; i++) {
		const char *hi = strchr(digits, text[2 * i]);
		const char *lo = strchr(digits, text[2 * i + 1]);

		if (hi == NULL || lo == NULL)
			vec_die("not hexadecimal", text);
		dst[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return len;
}

/* Field number i of the record, likewise. */
static inline size_t vec_hex(const struct vec *v, int i, void *out, size_t cap)
{
	if (i >= v->fields)
		vec_die("missing field", v->line);
	return vec_unhex(v->field[i], out, cap);
}

/* The same, of exactly len bytes. */
static inline void vec_exact(const struct vec *v, int i, void *out, size_t len)
{
	if (vec_hex(v, i, out, len) != len)
		vec_die("short field", v->field[i]);
}

/* In a file of "name value" lines: the value of name. */
static inline size_t vec_value(const char *file, const char *name, void *out, size_t cap)
{
	size_t len = 0;
	bool found = false;
	struct vec v;

	vec_open(&v, file);
	while (!found && vec_next(&v)) {
		if (strcmp(v.field[0], name) != 0)
			continue;
		len = vec_hex(&v, 1, out, cap);
		found = true;
	}
	if (!found)
		vec_die("no such value", name);
	vec_close(&v);
	return len;
}

static inline void vec_value_exact(const char *file, const char *name, void *out, size_t len)
{
	if (vec_value(file, name, out, len) != len)
		vec_die("short value", name);
}

#endif
