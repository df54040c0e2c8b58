/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A YAML document against tables of keys: every error says FILE:LINE:COLUMN. What the tables
 * do not know does not pass. Depth is that of the tables, so a document cannot recurse.
 */
#ifndef YAML_MAP_H
#define YAML_MAP_H

#include <yaml.h>

#include <omni_base.h>

struct doc {
	yaml_document_t *yaml;
	const char *name; /* of the file, in messages */
	const char *dir;  /* where relative paths begin; "" or with a slash at its end */
	struct omni_err *err;
};

enum field_type {
	FIELD_NODE, /* only remembered */
	FIELD_TEXT, /* by parse, see value.h */
	FIELD_WORD, /* the same; null is a word like others */
	FIELD_BOOL,
	FIELD_U16,
	FIELD_U32,
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset; /* in the target */
	int (*parse)(void *target, const char *text, struct omni_err *err);
	uint32_t min, max; /* of numbers */
};

/* Where a field was found; NULLs where it was not. */
struct found {
	const yaml_node_t *key, *value;
};

#define FIELDS_MAX 24

/* Write "FILE:LINE:COLUMN: " and the sentence to d->err; returns -EINVAL. */
int doc_fail(const struct doc *d, const yaml_node_t *at, const char *fmt, ...) OMNI_PRINTF(3, 4);

/*
 * Fill target from the mapping at node by the n fields; found (n of them) receives the places.
 * what names the mapping in messages. 0 or -EINVAL.
 */
int doc_read_map(const struct doc *d, const yaml_node_t *node, const char *what,
		 const struct field *fields, size_t n, void *target, struct found *found);

/* Text of a scalar, without zero bytes; NULL after an error. what names it in messages. */
const char *doc_text(const struct doc *d, const yaml_node_t *node, const char *what);

/* Call parse on a scalar's text and put the place in front of its complaint. */
int doc_parse(const struct doc *d, const yaml_node_t *node, const char *what,
	      int (*parse)(void *, const char *, struct omni_err *), void *target);

/* Number of pairs or items, or -EINVAL where node is no mapping or sequence, or has over max. */
int doc_map_len(const struct doc *d, const yaml_node_t *node, const char *what, size_t max);
int doc_seq_len(const struct doc *d, const yaml_node_t *node, const char *what, size_t max);

/* Pair or item i of those. */
const yaml_node_t *doc_key(const struct doc *d, const yaml_node_t *map, int i);
const yaml_node_t *doc_value(const struct doc *d, const yaml_node_t *map, int i);
const yaml_node_t *doc_item(const struct doc *d, const yaml_node_t *seq, int i);

/* Value of a key of the mapping at map; NULL: it is not there. */
const yaml_node_t *doc_find(const struct doc *d, const yaml_node_t *map, const char *name);

/* One thing of which there may be no second: its bytes and its place. */
struct unique {
	const void *bytes;
	size_t len;
	const yaml_node_t *node;
};

/* Sort all and fail at the later of two that are equal. */
int doc_check_unique(const struct doc *d, struct unique *all, size_t n, const char *what);

#endif
