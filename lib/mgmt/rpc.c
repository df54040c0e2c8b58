/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* JSON-RPC 2.0: a line in, a line out. No sockets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt.h"

static const struct omni_mgmt_method *find(const struct omni_mgmt *mgmt, const char *name)
{
	for (size_t i = 0; i < mgmt->n_methods; i++) {
		if (strcmp(mgmt->methods[i].name, name) == 0)
			return &mgmt->methods[i];
	}
	return NULL;
}

int omni_mgmt_register(struct omni_mgmt *mgmt, const struct omni_mgmt_method *method)
{
	if (find(mgmt, method->name) != NULL)
		return -EEXIST;
	if (mgmt->n_methods == OMNI_MGMT_METHODS_MAX)
		return -ENOSPC;
	mgmt->methods[mgmt->n_methods++] = *method;
	return 0;
}

static int list_methods(void *ctx, const json_t *params, json_t **result, struct omni_err *err)
{
	const struct omni_mgmt *mgmt = ctx;

	(void)params;
	(void)err;
	*result = json_array();
	for (size_t i = 0; i < mgmt->n_methods; i++) {
		const struct omni_mgmt_method *m = &mgmt->methods[i];

		json_array_append_new(*result,
				      json_pack("{s:s, s:s, s:s}", "method", m->name, "params",
						m->params, "description", m->description));
	}
	return 0;
}

struct omni_mgmt *omni_mgmt_create(uv_loop_t *loop)
{
	struct omni_mgmt *mgmt = calloc(1, sizeof(*mgmt));

	if (mgmt == NULL)
		return NULL;
	mgmt->loop = loop;
	mgmt->methods[mgmt->n_methods++] = (struct omni_mgmt_method){
		.name = "methods",
		.description = "List the methods of this server.",
		.params = "",
		.handler = list_methods,
		.ctx = mgmt,
	};
	return mgmt;
}

/* Takes over data; id is borrowed, NULL stands for null. */
static json_t *error_answer(const json_t *id, int code, const char *message, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
	json_t *copy = id != NULL ? json_deep_copy(id) : json_null();

	/* A sentence that is not UTF-8 does not pack. */
	if (error == NULL)
		error = json_pack("{s:i, s:s}", "code", code, "message", "failed");
	if (data != NULL)
		json_object_set_new(error, "data", data);
	return json_pack("{s:s, s:o, s:o}", "jsonrpc", "2.0", "error", error, "id", copy);
}

static json_t *failure(const json_t *id, int rc, const struct omni_err *err)
{
	const char *message = err->text[0] != '\0' ? err->text : strerror(-rc);
	const char *name = strerrorname_np(-rc);

	if (rc == -EINVAL)
		return error_answer(id, OMNI_MGMT_INVALID_PARAMS, message, NULL);
	if (rc == -ENOENT)
		return error_answer(id, OMNI_MGMT_NOT_FOUND, message, NULL);
	if (rc == -ENOMEM)
		return error_answer(id, OMNI_MGMT_INTERNAL_ERROR, message, NULL);
	return error_answer(id, OMNI_MGMT_FAILED, message,
			    json_pack("{s:s}", "errno", name != NULL ? name : "?"));
}

/* The answer to one well-formed call, whether it is wanted or not. */
static json_t *call(struct omni_mgmt *mgmt, const json_t *id, const char *name,
		    const json_t *params)
{
	const struct omni_mgmt_method *method = find(mgmt, name);
	struct omni_err err = {0};
	json_t *result = NULL, *answer;
	int rc;

	if (method == NULL) {
		omni_fail(&err, 0, "there is no method \"%.64s\" (methods lists them)", name);
		return error_answer(id, OMNI_MGMT_METHOD_NOT_FOUND, err.text, NULL);
	}
	rc = method->handler(method->ctx, params, &result, &err);
	if (rc != 0) {
		json_decref(result);
		return failure(id, rc, &err);
	}
	if (result == NULL)
		return error_answer(id, OMNI_MGMT_INTERNAL_ERROR, "the method gave no result",
				    NULL);
	answer = json_pack("{s:s, s:o}", "jsonrpc", "2.0", "result", result);
	json_object_set_new(answer, "id", id != NULL ? json_deep_copy(id) : json_null());
	return answer;
}

static bool id_ok(const json_t *id)
{
	return id == NULL || json_is_string(id) || json_is_number(id) || json_is_null(id);
}

/* NULL for a notification. */
static json_t *one(struct omni_mgmt *mgmt, const json_t *request)
{
	const json_t *id = json_object_get(request, "id");
	const json_t *params = json_object_get(request, "params");
	const char *version = json_string_value(json_object_get(request, "jsonrpc"));
	const char *method = json_string_value(json_object_get(request, "method"));
	json_t *answer;

	if (!json_is_object(request) || version == NULL || strcmp(version, "2.0") != 0 ||
	    method == NULL || !id_ok(id) ||
	    (params != NULL && !json_is_object(params) && !json_is_array(params)))
		return error_answer(id_ok(id) ? id : NULL, OMNI_MGMT_INVALID_REQUEST,
				    "not a JSON-RPC 2.0 request: expected {\"jsonrpc\": \"2.0\", "
				    "\"method\": NAME, \"params\": {...}, \"id\": ID}",
				    NULL);
	answer = call(mgmt, id, method, params);
	if (id == NULL) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static json_t *batch(struct omni_mgmt *mgmt, const json_t *requests)
{
	json_t *answers, *answer;
	const json_t *request;
	size_t i;

	if (json_array_size(requests) == 0 || json_array_size(requests) > OMNI_MGMT_BATCH_MAX)
		return error_answer(NULL, OMNI_MGMT_INVALID_REQUEST,
				    "a batch holds 1 to 64 requests", NULL);
	answers = json_array();
	json_array_foreach(requests, i, request)
	{
		answer = one(mgmt, request);
		if (answer != NULL)
			json_array_append_new(answers, answer);
	}
	if (json_array_size(answers) > 0)
		return answers;
	json_decref(answers);
	return NULL;
}

/* jansson recurses: bound the depth before it does. */
static bool too_deep(const char *line, size_t len)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (text && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			text = !text;
		else if (!text && (line[i] == '[' || line[i] == '{'))
			depth++;
		else if (!text && (line[i] == ']' || line[i] == '}'))
			depth--;
		if (depth > OMNI_MGMT_DEPTH_MAX)
			return true;
	}
	return false;
}

char *omni_mgmt_answer(struct omni_mgmt *mgmt, const char *line, size_t len)
{
	json_t *request = NULL, *answer;
	json_error_t error = {.text = "is nested too deep"};
	char *text = NULL;

	if (!too_deep(line, len))
		request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (json_is_array(request))
		answer = batch(mgmt, request);
	else if (request != NULL)
		answer = one(mgmt, request);
	else
		answer = error_answer(NULL, OMNI_MGMT_PARSE_ERROR, error.text, NULL);
	if (answer != NULL)
		text = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(answer);
	json_decref(request);
	return text;
}

int omni_mgmt_param_string(const json_t *params, const char *name, const char **value,
			   struct omni_err *err)
{
	const json_t *param = json_object_get(params, name);

	if (param == NULL)
		return -ENOENT;
	if (!json_is_string(param))
		return omni_fail(err, -EINVAL, "%s: expected a string", name);
	*value = json_string_value(param);
	return 0;
}

int omni_mgmt_param_int(const json_t *params, const char *name, json_int_t min, json_int_t max,
			json_int_t *value, struct omni_err *err)
{
	const json_t *param = json_object_get(params, name);

	if (param == NULL)
		return -ENOENT;
	if (!json_is_integer(param) || json_integer_value(param) < min ||
	    json_integer_value(param) > max)
		return omni_fail(err, -EINVAL,
				 "%s: expected a number from %" JSON_INTEGER_FORMAT
				 " to %" JSON_INTEGER_FORMAT,
				 name, min, max);
	*value = json_integer_value(param);
	return 0;
}

int omni_mgmt_param_bool(const json_t *params, const char *name, bool *value, struct omni_err *err)
{
	const json_t *param = json_object_get(params, name);

	if (param == NULL)
		return -ENOENT;
	if (!json_is_boolean(param))
		return omni_fail(err, -EINVAL, "%s: expected true or false", name);
	*value = json_is_true(param);
	return 0;
}
