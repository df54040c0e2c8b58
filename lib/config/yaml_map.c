/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value.h"
#include "yaml_map.h"

int doc_fail(const struct doc *d, const yaml_node_t *at, const char *fmt, ...)
{
	char text[OMNI_ERR_TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What a file holds must not steer a terminal. */
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return omni_fail(d->err, -EINVAL, "%s:%zu:%zu: %s", d->name, at->start_mark.line + 1,
			 at->start_mark.column + 1, text);
}

static const char *type_name(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_MAPPING_NODE:
		return "a mapping";
	case YAML_SEQUENCE_NODE:
		return "a list";
	case YAML_SCALAR_NODE:
		return "a single value";
	case YAML_NO_NODE:
	default:
		return "nothing";
	}
}

static bool is_null(const yaml_node_t *node)
{
	static const char *const null[] = {"", "~", "null", "Null", "NULL"};

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(null); i++) {
		if (strcmp((const char *)node->data.scalar.value, null[i]) == 0)
			return true;
	}
	return false;
}

static int wrong_type(const struct doc *d, const yaml_node_t *node, const char *what,
		      const char *expected)
{
	if (is_null(node))
		return doc_fail(d, node, "%s has no value, expected %s", what, expected);
	return doc_fail(d, node, "%s is %s, expected %s", what, type_name(node), expected);
}

const char *doc_text(const struct doc *d, const yaml_node_t *node, const char *what)
{
	const char *text = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE || is_null(node)) {
		wrong_type(d, node, what, "a single value");
		return NULL;
	}
	if (strlen(text) != node->data.scalar.length) {
		doc_fail(d, node, "%s holds a zero byte, expected plain text", what);
		return NULL;
	}
	return text;
}

static int parse_word(const struct doc *d, const yaml_node_t *node, const struct field *f, void *at)
{
	struct omni_err why;

	if (!is_null(node) || strcmp((const char *)node->data.scalar.value, "null") != 0)
		return doc_parse(d, node, f->name, f->parse, at);
	return f->parse(at, "null", &why) == 0 ? 0 : doc_fail(d, node, "%s: %s", f->name, why.text);
}

int doc_parse(const struct doc *d, const yaml_node_t *node, const char *what,
	      int (*parse)(void *, const char *, struct omni_err *), void *target)
{
	const char *text = doc_text(d, node, what);
	struct omni_err why;

	if (text == NULL)
		return -EINVAL;
	if (parse(target, text, &why) != 0)
		return doc_fail(d, node, "%s: %s", what, why.text);
	return 0;
}

static int read_number(const struct doc *d, const yaml_node_t *node, const struct field *f,
		       void *target)
{
	const char *text = doc_text(d, node, f->name);
	struct omni_err why;
	uint64_t v;

	if (text == NULL)
		return -EINVAL;
	if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return doc_fail(d, node,
				"%s: \"%s\" is a text, expected a number from %u to %u "
				"(without quotes)",
				f->name, text, f->min, f->max);
	if (value_number(&v, text, f->min, f->max, &why) != 0)
		return doc_fail(d, node, "%s: %s", f->name, why.text);
	if (f->type == FIELD_U16)
		*(uint16_t *)target = (uint16_t)v;
	else
		*(uint32_t *)target = (uint32_t)v;
	return 0;
}

static int read_bool(const struct doc *d, const yaml_node_t *node, const struct field *f,
		     bool *target)
{
	const char *text = doc_text(d, node, f->name);

	if (text == NULL)
		return -EINVAL;
	*target = strcmp(text, "true") == 0;
	if ((!*target && strcmp(text, "false") != 0) ||
	    node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return doc_fail(d, node, "%s: \"%s\" is not known, expected true or false", f->name,
				text);
	return 0;
}

static int read_field(const struct doc *d, const yaml_node_t *node, const struct field *f,
		      void *target)
{
	uint8_t *at = (uint8_t *)target + f->offset;

	switch (f->type) {
	case FIELD_TEXT:
		return doc_parse(d, node, f->name, f->parse, at);
	case FIELD_WORD:
		return parse_word(d, node, f, at);
	case FIELD_BOOL:
		return read_bool(d, node, f, (bool *)at);
	case FIELD_U16:
	case FIELD_U32:
		return read_number(d, node, f, at);
	case FIELD_NODE:
	default:
		return 0;
	}
}

static int unknown_key(const struct doc *d, const yaml_node_t *key, const char *what,
		       const struct field *fields, size_t n)
{
	char names[OMNI_ERR_TEXT_LEN / 2];
	size_t at = 0;

	names[0] = '\0';
	for (size_t i = 0; i < n && at < sizeof(names); i++)
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? ", " : "",
				       fields[i].name);
	return doc_fail(d, key, "%s has no key \"%.64s\", expected one of %s", what,
			(const char *)key->data.scalar.value, names);
}

int doc_read_map(const struct doc *d, const yaml_node_t *node, const char *what,
		 const struct field *fields, size_t n, void *target, struct found *found)
{
	memset(found, 0, n * sizeof(*found));
	if (node->type != YAML_MAPPING_NODE)
		return wrong_type(d, node, what, "a mapping of keys to values");
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(d->yaml, pair->key);
		const yaml_node_t *value = yaml_document_get_node(d->yaml, pair->value);
		const char *name = doc_text(d, key, "a key");
		size_t i = 0;

		if (name == NULL)
			return -EINVAL;
		while (i < n && strcmp(fields[i].name, name) != 0)
			i++;
		if (i == n)
			return unknown_key(d, key, what, fields, n);
		if (found[i].key != NULL)
			return doc_fail(d, key, "%s has the key \"%s\" twice, expected it once",
					what, name);
		found[i] = (struct found){.key = key, .value = value};
		if (read_field(d, value, &fields[i], target) != 0)
			return -EINVAL;
	}
	return 0;
}

int doc_map_len(const struct doc *d, const yaml_node_t *node, const char *what, size_t max)
{
	size_t n;

	if (node->type != YAML_MAPPING_NODE)
		return wrong_type(d, node, what, "a mapping of names to values");
	n = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (n > max)
		return doc_fail(d, node, "%s has %zu entries, expected at most %zu", what, n, max);
	return (int)n;
}

int doc_seq_len(const struct doc *d, const yaml_node_t *node, const char *what, size_t max)
{
	size_t n;

	if (node->type != YAML_SEQUENCE_NODE)
		return wrong_type(d, node, what, "a list in brackets");
	n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (n > max)
		return doc_fail(d, node, "%s has %zu entries, expected at most %zu", what, n, max);
	return (int)n;
}

const yaml_node_t *doc_key(const struct doc *d, const yaml_node_t *map, int i)
{
	return yaml_document_get_node(d->yaml, map->data.mapping.pairs.start[i].key);
}

const yaml_node_t *doc_value(const struct doc *d, const yaml_node_t *map, int i)
{
	return yaml_document_get_node(d->yaml, map->data.mapping.pairs.start[i].value);
}

const yaml_node_t *doc_item(const struct doc *d, const yaml_node_t *seq, int i)
{
	return yaml_document_get_node(d->yaml, seq->data.sequence.items.start[i]);
}

const yaml_node_t *doc_find(const struct doc *d, const yaml_node_t *map, const char *name)
{
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(d->yaml, pair->key);

		if (strcmp((const char *)key->data.scalar.value, name) == 0)
			return yaml_document_get_node(d->yaml, pair->value);
	}
	return NULL;
}

static int compare_bytes(const struct unique *a, const struct unique *b)
{
	int c = memcmp(a->bytes, b->bytes, OMNI_MIN(a->len, b->len));

	return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

/* By content, then by place. */
static int compare(const void *x, const void *y)
{
	const struct unique *a = x, *b = y;
	int c = compare_bytes(a, b);

	if (c != 0)
		return c;
	return (a->node->start_mark.index > b->node->start_mark.index) -
	       (a->node->start_mark.index < b->node->start_mark.index);
}

int doc_check_unique(const struct doc *d, struct unique *all, size_t n, const char *what)
{
	if (n > 1)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n; i++) {
		if (compare_bytes(&all[i - 1], &all[i]) == 0)
			return doc_fail(d, all[i].node,
					"%s is the same as in line %zu, expected another", what,
					all[i - 1].node->start_mark.line + 1);
	}
	return 0;
}
