/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One line of JSON-RPC: it is answered by one line of JSON, or by nothing. */
#include <string.h>

#include <omni_mgmt.h>

#include "fuzz.h"

static int echo(void *ctx, const json_t *params, json_t **result, struct omni_err *err)
{
	const char *text;
	json_int_t number;

	(void)ctx;
	if (omni_mgmt_param_string(params, "text", &text, err) == -EINVAL ||
	    omni_mgmt_param_int(params, "number", -5, 5, &number, err) == -EINVAL)
		return -EINVAL;
	*result = json_deep_copy(params);
	return *result != NULL ? 0 : -ENOENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const struct omni_mgmt_method method = {
		.name = "echo", .description = "Echo.", .params = "", .handler = echo};
	static struct omni_mgmt *mgmt;
	static uv_loop_t loop;
	char *answer;

	if (mgmt == NULL) {
		REQUIRE(uv_loop_init(&loop) == 0);
		mgmt = omni_mgmt_create(&loop);
		REQUIRE(mgmt != NULL && omni_mgmt_register(mgmt, &method) == 0);
	}
	answer = omni_mgmt_answer(mgmt, (const char *)p, len);
	if (answer != NULL) {
		json_t *json = json_loads(answer, 0, NULL);

		REQUIRE(json != NULL && strchr(answer, '\n') == NULL);
		json_decref(json);
	}
	free(answer);
	return 0;
}
