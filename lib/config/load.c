/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The file as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_secret.h>

#include "config.h"
#include "read.h"
#include "value.h"

#define DEPTH_MAX 64

enum {
	T_IDENTITY,
	T_WORKERS,
	T_PORTS,
	T_UNDERLAY,
	T_NUCLEUS,
	T_CLUSTERS,
	T_LIMITS,
	T_MANAGEMENT,
	T_LOG,
	T_COUNT,
};

enum {
	L_PEERS,
	L_CLUSTERS,
	L_FDB,
	L_LANES,
	L_MESH,
	L_ROUTES,
	L_COUNT
};

#define AT(member) offsetof(struct omni_config, member)

static const struct field top[T_COUNT] = {
	[T_IDENTITY] = {"identity", FIELD_TEXT, AT(identity), value_path},
	[T_WORKERS] = {"workers", FIELD_NODE},
	[T_PORTS] = {"ports", FIELD_NODE},
	[T_UNDERLAY] = {"underlay", FIELD_NODE},
	[T_NUCLEUS] = {"nucleus", FIELD_NODE},
	[T_CLUSTERS] = {"clusters", FIELD_NODE},
	[T_LIMITS] = {"limits", FIELD_NODE},
	[T_MANAGEMENT] = {"management", FIELD_NODE},
	[T_LOG] = {"log", FIELD_NODE},
};

static const struct field worker_fields[] = {
	{"idle", FIELD_TEXT, AT(idle), value_idle},
};
static const struct field management_fields[] = {
	{"socket", FIELD_TEXT, AT(socket), value_socket},
};
static const struct field log_fields[] = {
	{"level", FIELD_TEXT, AT(log_level), value_log_level},
};
static const struct field limit_fields[L_COUNT] = {
	[L_PEERS] = {"peers", FIELD_U32, AT(limits.peers), NULL, 1, 1 << 20},
	[L_CLUSTERS] = {"clusters", FIELD_U32, AT(limits.clusters), NULL, 1,
			OMNI_CONFIG_CLUSTERS_MAX},
	[L_FDB] = {"fdb", FIELD_U32, AT(limits.fdb), NULL, 64, 1 << 24},
	[L_LANES] = {"lanes", FIELD_U32, AT(limits.lanes), NULL, 1, OMNI_LANES_MAX},
	[L_MESH] = {"mesh", FIELD_U32, AT(limits.mesh), NULL, 1, 1 << 20},
	[L_ROUTES] = {"routes", FIELD_U32, AT(limits.routes), NULL, 64, 1 << 22},
};

static int read_nucleus(const struct doc *d, const yaml_node_t *node, struct omni_config *config)
{
	int n = doc_seq_len(d, node, "nucleus", OMNI_CONFIG_NUCLEUS_MAX);

	for (int i = 0; i < n; i++) {
		const yaml_node_t *item = doc_item(d, node, i);
		struct omni_config_nucleus *new = &config->nucleus[config->n_nucleus];

		if (doc_parse(d, item, "nucleus", value_nucleus, new) != 0)
			return -EINVAL;
		for (unsigned int j = 0; j < config->n_nucleus; j++) {
			if (config->nucleus[j].port == new->port &&
			    strcasecmp(config->nucleus[j].host, new->host) == 0)
				return doc_fail(d, item,
						"nucleus: %s:%u stands here twice, "
						"expected it once",
						new->host, new->port);
		}
		config->n_nucleus++;
	}
	return n < 0 ? n : 0;
}

/* A section that is one small table. */
static int read_small(const struct doc *d, const struct found *found, const char *what,
		      const struct field *fields, size_t n, struct omni_config *config)
{
	struct found in[FIELDS_MAX];

	return found->key == NULL ? 0 : doc_read_map(d, found->value, what, fields, n, config, in);
}

/* Relative to the file's folder, as every path of a key file. */
static int place_identity(const struct doc *d, const struct found *found,
			  struct omni_config *config)
{
	char path[OMNI_CONFIG_PATH_LEN];

	if (found->key == NULL)
		return 0;
	if (read_join_path(path, d, config->identity) != 0)
		return doc_fail(d, found->value,
				"identity: is too long, expected a path of at most %d",
				OMNI_CONFIG_PATH_LEN - 1);
	memcpy(config->identity, path, sizeof(path));
	return 0;
}

/* In the order in which one section names things of another. */
static int read_document(const struct doc *d, const yaml_node_t *root, struct omni_config *config)
{
	struct found found[T_COUNT];

	if (doc_read_map(d, root, "the file", top, T_COUNT, config, found) != 0 ||
	    place_identity(d, &found[T_IDENTITY], config) != 0 ||
	    read_small(d, &found[T_WORKERS], "workers", worker_fields, 1, config) != 0 ||
	    read_small(d, &found[T_MANAGEMENT], "management", management_fields, 1, config) != 0 ||
	    read_small(d, &found[T_LOG], "log", log_fields, 1, config) != 0 ||
	    read_small(d, &found[T_LIMITS], "limits", limit_fields, L_COUNT, config) != 0)
		return -EINVAL;
	for (size_t i = T_PORTS; i <= T_CLUSTERS; i++) {
		if (found[i].key == NULL && i != T_NUCLEUS)
			return doc_fail(d, root, "the file has no \"%s\", expected that section",
					top[i].name);
	}
	if (read_ports(d, found[T_PORTS].value, config) != 0 ||
	    read_underlay(d, found[T_UNDERLAY].value, config) != 0 ||
	    (found[T_NUCLEUS].key != NULL && read_nucleus(d, found[T_NUCLEUS].value, config) != 0))
		return -EINVAL;
	return read_clusters(d, found[T_CLUSTERS].value, config);
}

/* libyaml gives a byte offset, not a mark, where the text is not even UTF-8. */
static void yaml_error(const yaml_parser_t *parser, const char *text, size_t len, const char *name,
		       struct omni_err *err)
{
	size_t line = parser->problem_mark.line, column = parser->problem_mark.column;

	if (parser->error == YAML_MEMORY_ERROR) {
		omni_fail(err, -ENOMEM, "%s: out of memory", name);
		return;
	}
	if (parser->error == YAML_READER_ERROR) {
		line = column = 0;
		for (size_t i = 0; i < len && i < parser->problem_offset; i++) {
			column = text[i] == '\n' ? 0 : column + 1;
			line += text[i] == '\n';
		}
	}
	omni_fail(err, -EINVAL, "%s:%zu:%zu: %s%s%s, expected YAML in UTF-8", name, line + 1,
		  column + 1, parser->problem != NULL ? parser->problem : "is no YAML",
		  parser->context != NULL ? " " : "",
		  parser->context != NULL ? parser->context : "");
}

/* Inline secrets stand in the document and in the parser's buffers. */
static void wipe_document(yaml_document_t *document)
{
	for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++) {
		if (node->type == YAML_SCALAR_NODE)
			omni_wipe(node->data.scalar.value, node->data.scalar.length);
	}
	yaml_document_delete(document);
}

static void wipe_parser(yaml_parser_t *parser)
{
	if (parser->buffer.start != NULL)
		omni_wipe(parser->buffer.start,
			  (size_t)(parser->buffer.end - parser->buffer.start));
	if (parser->raw_buffer.start != NULL)
		omni_wipe(parser->raw_buffer.start,
			  (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	yaml_parser_delete(parser);
}

/*
 * libyaml takes quadratic time over open brackets. Counted in the bare text, brackets in quotes
 * and comments included: nobody writes so many of those either.
 */
static int check_depth(const char *text, size_t len, const char *name, struct omni_err *err)
{
	unsigned int depth = 0;
	size_t line = 1;

	for (size_t i = 0; i < len; i++) {
		line += text[i] == '\n';
		if (text[i] == '[' || text[i] == '{')
			depth++;
		else if ((text[i] == ']' || text[i] == '}') && depth > 0)
			depth--;
		if (depth > DEPTH_MAX)
			return omni_fail(err, -EINVAL,
					 "%s:%zu:1: more than %d brackets are open, expected each "
					 "to be closed",
					 name, line, DEPTH_MAX);
	}
	return 0;
}

/* The one document that the file may hold. 0, -EINVAL or -ENOMEM; then document is empty. */
static int load_document(yaml_parser_t *parser, yaml_document_t *document, const char *text,
			 size_t len, const char *name, struct omni_err *err)
{
	const yaml_node_t *root;
	yaml_document_t second;

	if (check_depth(text, len, name, err) != 0)
		return -EINVAL;
	yaml_parser_set_input_string(parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(parser, document)) {
		yaml_error(parser, text, len, name, err);
		return -EINVAL;
	}
	if (yaml_document_get_root_node(document) == NULL) {
		wipe_document(document);
		return omni_fail(err, -EINVAL,
				 "%s:1:1: the file is empty, expected ports, "
				 "underlay and clusters",
				 name);
	}
	if (!yaml_parser_load(parser, &second)) {
		yaml_error(parser, text, len, name, err);
		wipe_document(document);
		return -EINVAL;
	}
	root = yaml_document_get_root_node(&second);
	if (root != NULL) {
		omni_fail(err, -EINVAL, "%s:%zu:%zu: a second document begins, expected one", name,
			  root->start_mark.line + 1, root->start_mark.column + 1);
		wipe_document(document);
	}
	wipe_document(&second);
	return root != NULL ? -EINVAL : 0;
}

static struct omni_config *parse(const char *text, size_t len, const char *name, const char *dir,
				 struct omni_err *err)
{
	struct omni_config *config = config_new();
	yaml_document_t document;
	struct doc d = {.yaml = &document, .name = name, .dir = dir, .err = err};
	yaml_parser_t parser;
	int rc;

	if (config == NULL || !yaml_parser_initialize(&parser)) {
		omni_fail(err, -ENOMEM, "%s: out of memory", name);
		omni_config_free(config);
		return NULL;
	}
	rc = load_document(&parser, &document, text, len, name, err);
	if (rc == 0) {
		rc = read_document(&d, yaml_document_get_root_node(&document), config);
		wipe_document(&document);
	}
	wipe_parser(&parser);
	if (rc != 0) {
		omni_config_free(config);
		errno = EINVAL;
		return NULL;
	}
	config_finish(config);
	return config;
}

struct omni_config *omni_config_parse(const char *text, size_t len, const char *name,
				      struct omni_err *err)
{
	return parse(text, len, name, "", err);
}

static bool has_inline_secret(const char *text, size_t len)
{
	return memmem(text, len, "secret:", 7) != NULL;
}

char *config_read_file(const char *path, size_t *len, mode_t *mode, struct omni_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	struct stat st;
	char *text = NULL;

	if (file == NULL || fstat(fd, &st) != 0)
		omni_fail(err, -errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		omni_fail(err, -EINVAL, "%s: is not a regular file", path);
	else if (st.st_size > OMNI_CONFIG_FILE_MAX)
		omni_fail(err, -EFBIG, "%s: has %lld bytes, expected at most %d", path,
			  (long long)st.st_size, OMNI_CONFIG_FILE_MAX);
	else if ((text = malloc((size_t)st.st_size + 1)) == NULL)
		omni_fail(err, -ENOMEM, "%s: out of memory", path);
	if (text != NULL) {
		setvbuf(file, NULL, _IONBF, 0);
		*len = fread(text, 1, (size_t)st.st_size, file);
		*mode = st.st_mode;
		if (ferror(file)) {
			omni_fail(err, -EIO, "%s: cannot be read", path);
			free(text);
			text = NULL;
		}
	}
	if (file != NULL)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	return text;
}

struct omni_config *omni_config_load(const char *path, struct omni_err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[OMNI_CONFIG_PATH_LEN];
	struct omni_config *config;
	mode_t mode = 0;
	bool exposed;
	size_t len = 0;
	char *text;

	if (strlen(path) >= sizeof(dir)) {
		omni_fail(err, -ENAMETOOLONG, "%.40s...: the path is too long", path);
		errno = ENAMETOOLONG;
		return NULL;
	}
	text = config_read_file(path, &len, &mode, err);
	if (text == NULL)
		return NULL;
	exposed = (mode & 077) != 0 && has_inline_secret(text, len);
	snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path + 1) : 0, path);
	config = parse(text, len, path, dir, err);
	omni_wipe(text, len);
	free(text);
	if (config == NULL)
		return NULL;
	snprintf(config->path, sizeof(config->path), "%s", path);
	if (exposed)
		config_warn(config, "%.100s holds a secret and others can read it: chmod 600",
			    path);
	return config;
}
