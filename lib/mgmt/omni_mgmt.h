/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Management: JSON-RPC 2.0 (https://www.jsonrpc.org/specification), one message a line, over a
 * unix stream socket, on the caller's event loop. Control only.
 *
 *	omni_mgmt_create -> omni_mgmt_register (for each method) -> omni_mgmt_listen
 *	-> uv_run -> omni_mgmt_close -> uv_run until its handles are gone
 */
#ifndef OMNI_MGMT_H
#define OMNI_MGMT_H

#include <jansson.h>
#include <uv.h>

#include <omni_base.h>

#define OMNI_MGMT_METHODS_MAX 64
#define OMNI_MGMT_CLIENTS_MAX 32
#define OMNI_MGMT_LINE_MAX (1024 * 1024)
/* A client that leaves more than this unread is dropped. */
#define OMNI_MGMT_QUEUE_MAX (16 * 1024 * 1024)
#define OMNI_MGMT_BATCH_MAX 64
#define OMNI_MGMT_DEPTH_MAX 32 /* of nested arrays and objects in a request */

/* Error codes of the specification, and ours. */
#define OMNI_MGMT_PARSE_ERROR (-32700)
#define OMNI_MGMT_INVALID_REQUEST (-32600)
#define OMNI_MGMT_METHOD_NOT_FOUND (-32601)
#define OMNI_MGMT_INVALID_PARAMS (-32602) /* a handler returned -EINVAL */
#define OMNI_MGMT_INTERNAL_ERROR (-32603) /* -ENOMEM, or no result */
#define OMNI_MGMT_FAILED (-32000)	  /* any other; data holds {"errno": name} */
#define OMNI_MGMT_NOT_FOUND (-32001)	  /* -ENOENT */

/*
 * Answer one call. params is an object or array, borrowed, or NULL when the caller gave none.
 * On success return 0 and put a new reference in *result; else -errno and a sentence in err.
 */
typedef int (*omni_mgmt_handler)(void *ctx, const json_t *params, json_t **result,
				 struct omni_err *err);

struct omni_mgmt_method {
	const char *name;	 /* "fdb.flush"; static */
	const char *description; /* one sentence; static */
	const char *params;	 /* "port (optional), mac (optional)"; "" for none; static */
	omni_mgmt_handler handler;
	void *ctx;
};

struct omni_mgmt;

/* A server without methods but "methods" itself. NULL and errno. */
struct omni_mgmt *omni_mgmt_create(uv_loop_t *loop);

/* method's strings and ctx must outlive the server. -EEXIST, -ENOSPC or 0. */
int omni_mgmt_register(struct omni_mgmt *mgmt,
		       const struct omni_mgmt_method *method) OMNI_MUST_CHECK;

/*
 * Listen at path with mode 0600; its directory is made (0755) when missing. The socket that a
 * dead process left is replaced, a living one refused (-EADDRINUSE). 0, or -errno with a
 * sentence in err.
 */
int omni_mgmt_listen(struct omni_mgmt *mgmt, const char *path,
		     struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Remove the socket, drop all clients and free the server once the loop has run its handles'
 * close callbacks. NULL is fine. Not from inside a handler.
 */
void omni_mgmt_close(struct omni_mgmt *mgmt);

/*
 * What the server answers to one line of len bytes, as one line without its newline, or NULL
 * when nothing is to be answered. The caller frees with free(). For tests and fuzzing.
 */
char *omni_mgmt_answer(struct omni_mgmt *mgmt, const char *line, size_t len);

/* For handlers: a member of params. 0; -ENOENT where it is missing; -EINVAL and err. */
int omni_mgmt_param_string(const json_t *params, const char *name, const char **value,
			   struct omni_err *err) OMNI_MUST_CHECK;
int omni_mgmt_param_int(const json_t *params, const char *name, json_int_t min, json_int_t max,
			json_int_t *value, struct omni_err *err) OMNI_MUST_CHECK;
int omni_mgmt_param_bool(const json_t *params, const char *name, bool *value,
			 struct omni_err *err) OMNI_MUST_CHECK;

#endif
