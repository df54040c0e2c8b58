/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_mgmt.h>

#define BIG_LEN (1024 * 1024)

static char dir[] = "/tmp/omni-mgmt-XXXXXX";
static char path[108];

static int echo(void *ctx, const json_t *params, json_t **result, struct omni_err *err)
{
	(void)err;
	++*(int *)ctx;
	*result = params != NULL ? json_deep_copy(params) : json_null();
	return 0;
}

static int fails(void *ctx, const json_t *params, json_t **result, struct omni_err *err)
{
	json_int_t code;

	(void)ctx;
	(void)result;
	if (omni_mgmt_param_int(params, "errno", 1, 200, &code, err) != 0)
		return -EINVAL;
	return omni_fail(err, -(int)code, "went wrong");
}

static int big(void *ctx, const json_t *params, json_t **result, struct omni_err *err)
{
	static char text[BIG_LEN];

	(void)ctx;
	(void)params;
	(void)err;
	memset(text, 'x', sizeof(text));
	*result = json_stringn(text, sizeof(text));
	return 0;
}

static int calls;

static struct omni_mgmt *make(uv_loop_t *loop)
{
	static const struct omni_mgmt_method methods[] = {
		{"echo", "Give back.", "anything", echo, &calls},
		{"fails", "Fail.", "errno", fails, NULL},
		{"big", "A megabyte.", "", big, NULL},
	};
	struct omni_mgmt *mgmt = omni_mgmt_create(loop);

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(methods); i++)
		assert_int_equal(omni_mgmt_register(mgmt, &methods[i]), 0);
	assert_int_equal(omni_mgmt_register(mgmt, &methods[0]), -EEXIST);
	return mgmt;
}

static void every_line_has_its_answer(void **state)
{
#define E(code) "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":" #code ","
	static const struct {
		const char *line, *answer; /* begins so; NULL: none */
	} table[] = {
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[1],\"id\":7}",
		 "{\"jsonrpc\":\"2.0\",\"result\":[1],\"id\":7}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":\"a\"}",
		 "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":\"a\"}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":null}",
		 "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":null}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}", NULL},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\"}", NULL},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"none\"}", NULL},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"none\",\"id\":1}", E(-32601)},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\",\"id\":1}", E(-32602)},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\",\"params\":{\"errno\":\"x\"},\"id\":1}",
		 E(-32602) "\"message\":\"errno: expected a number from 1 to 200\"},\"id\":1}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\",\"params\":{\"errno\":2},\"id\":1}",
		 E(-32001) "\"message\":\"went wrong\"}"},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\",\"params\":{\"errno\":12},\"id\":1}",
		 E(-32603)},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"fails\",\"params\":{\"errno\":16},\"id\":1}",
		 E(-32000) "\"message\":\"went wrong\",\"data\":{\"errno\":\"EBUSY\"}}"},
		{"{\"jsonrpc\":\"1.0\",\"method\":\"echo\",\"id\":1}", E(-32600)},
		{"{\"method\":\"echo\",\"id\":1}", E(-32600)},
		{"{\"jsonrpc\":\"2.0\",\"method\":5,\"id\":1}", E(-32600)},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":5,\"id\":1}", E(-32600)},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":{}}", E(-32600)},
		{"{}", E(-32600)},
		{"[]", E(-32600)},
		{"[1,2]", "[" E(-32600)},
		{"[{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}]", NULL},
		{"[{\"jsonrpc\":\"2.0\",\"method\":\"echo\"},"
		 "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":2}]",
		 "[{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":2}]"},
		{"5", E(-32700)},
		{"nonsense", E(-32700)},
		{"{\"jsonrpc\":", E(-32700)},
		{"{\"a\":1,\"a\":2}", E(-32700)},
		{"{\"a\":\"\xff\"}", E(-32700)},
		{"{\"a\":\"\\u0000\"}", E(-32700)},
		{"{\"a\":1} x", E(-32700)},
		{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", E(-32700)},
	};
	struct omni_mgmt *mgmt = make(NULL);

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(table); i++) {
		char *answer = omni_mgmt_answer(mgmt, table[i].line, strlen(table[i].line));

		if (table[i].answer == NULL
			    ? answer != NULL
			    : answer == NULL || strncmp(answer, table[i].answer,
							strlen(table[i].answer)) != 0)
			fail_msg("%s\nexpected %s\ngot      %s", table[i].line, table[i].answer,
				 answer);
		free(answer);
	}
	omni_mgmt_close(mgmt);
}

static void damaged_lines_do_no_harm(void **state)
{
	static const char line[] = "[{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":"
				   "{\"a\":[1.5,true,null,\"\\u00e9\"]},\"id\":7}]";
	struct omni_mgmt *mgmt = make(NULL);
	char copy[sizeof(line)];

	(void)state;
	for (size_t at = 0; at < sizeof(line) - 1; at++) {
		for (int byte = 0; byte < 256; byte += 3) {
			memcpy(copy, line, sizeof(line));
			copy[at] = (char)byte;
			free(omni_mgmt_answer(mgmt, copy, sizeof(line) - 1));
		}
		free(omni_mgmt_answer(mgmt, line, at));
	}
	omni_mgmt_close(mgmt);
}

static int dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void turn(uv_loop_t *loop, int times)
{
	for (int i = 0; i < times; i++)
		uv_run(loop, UV_RUN_NOWAIT);
}

/* Run the loop until fd has something, an end included. Bytes received; 0 at the end. */
static ssize_t receive(uv_loop_t *loop, int fd, char *out, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int i = 0; i < 1000; i++) {
		turn(loop, 1);
		if (poll(&p, 1, 1) > 0) {
			ssize_t n = recv(fd, out, len, 0);

			return n < 0 ? 0 : n;
		}
	}
	fail_msg("no answer");
	return -1;
}

struct world {
	uv_loop_t loop;
	struct omni_mgmt *mgmt;
};

static struct world *open_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct omni_err err = {0};

	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->mgmt = make(&w->loop);
	if (omni_mgmt_listen(w->mgmt, path, &err) != 0)
		fail_msg("%s", err.text);
	return w;
}

static void close_world(struct world *w)
{
	struct stat st;

	omni_mgmt_close(w->mgmt);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	assert_int_not_equal(stat(path, &st), 0);
	free(w);
}

static void the_socket_is_ours_alone(void **state)
{
	struct world *w = open_world();
	struct omni_mgmt *second;
	struct omni_err err;
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	second = omni_mgmt_create(&w->loop);
	assert_int_equal(omni_mgmt_listen(second, path, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another gateway is listening there"));
	omni_mgmt_close(second);
	assert_int_equal(stat(path, &st), 0);
	close_world(w);
}

static void a_dead_process_leaves_nothing_in_the_way(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct omni_mgmt *mgmt;
	struct omni_err err;
	struct world *w;
	uv_loop_t loop;

	(void)state;
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	w = open_world();
	close(dial());
	close_world(w);

	/* What is no socket stays. */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	uv_loop_init(&loop);
	mgmt = omni_mgmt_create(&loop);
	assert_int_equal(omni_mgmt_listen(mgmt, path, &err), -ENOTSOCK);
	omni_mgmt_close(mgmt);
	uv_loop_close(&loop);
	assert_int_equal(unlink(path), 0);
}

static void lines_may_come_in_pieces_or_together(void **state)
{
	static const char two[] = "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":1}\r\n\n"
				  "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"id\":2}\n";
	static const char answers[] = "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}\n"
				      "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":2}\n";
	struct world *w = open_world();
	char got[256];
	int fd = dial();

	(void)state;
	for (int together = 0; together < 2; together++) {
		size_t n = 0;

		for (size_t i = 0; !together && i < strlen(two); i++) {
			assert_int_equal(send(fd, two + i, 1, 0), 1);
			turn(&w->loop, 2);
		}
		if (together)
			assert_int_equal(send(fd, two, strlen(two), 0), strlen(two));
		while (n < strlen(answers))
			n += (size_t)receive(&w->loop, fd, got + n, sizeof(got) - n);
		assert_int_equal(n, strlen(answers));
		assert_memory_equal(got, answers, n);
	}
	close(fd);
	close_world(w);
}

static void a_line_without_end_ends_the_client(void **state)
{
	struct world *w = open_world();
	char *junk = malloc(65536), got[16];
	int fd = dial(), other = dial();
	ssize_t n = 1;

	(void)state;
	memset(junk, 'x', 65536);
	for (int i = 0; i < 200 && n > 0; i++) {
		n = send(fd, junk, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			n = 1;
		turn(&w->loop, 4);
	}
	assert_int_equal(n, -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(send(other, "{}\n", 3, 0), 3);
	assert_true(receive(&w->loop, other, got, sizeof(got)) > 0);
	close(fd);
	close(other);
	free(junk);
	close_world(w);
}

static void who_does_not_read_is_dropped(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"big\",\"id\":1}\n";
	struct world *w = open_world();
	ssize_t n = 1;
	int fd = dial();

	(void)state;
	for (int i = 0; i < 64 && n > 0; i++) {
		n = send(fd, ask, strlen(ask), MSG_NOSIGNAL);
		turn(&w->loop, 3);
	}
	assert_int_equal(n, -1);
	close(fd);
	close_world(w);
}

/* As the peers of a full table are. */
static void a_long_answer_arrives(void **state)
{
	enum {
		TIMES = 20
	};
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"method\":\"big\",\"id\":1}";
	struct world *w = open_world();
	char *got = malloc(BIG_LEN);
	size_t sum = 0;
	ssize_t n = 1;
	int fd = dial();

	(void)state;
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(send(fd, i == 0 ? "[" : ",", 1, 0), 1);
		assert_int_equal(send(fd, ask, strlen(ask), 0), strlen(ask));
	}
	assert_int_equal(send(fd, "]\n", 2, 0), 2);
	while (n > 0 && (sum == 0 || got[n - 1] != '\n')) {
		n = receive(&w->loop, fd, got, BIG_LEN);
		sum += (size_t)n;
	}
	assert_true(n > 0 && sum > (size_t)TIMES * BIG_LEN);
	free(got);
	close(fd);
	close_world(w);
}

static void clients_are_bounded(void **state)
{
	int fd[OMNI_MGMT_CLIENTS_MAX + 1];
	struct world *w = open_world();
	char got[256];

	(void)state;
	for (size_t i = 0; i <= OMNI_MGMT_CLIENTS_MAX; i++) {
		fd[i] = dial();
		turn(&w->loop, 3);
	}
	assert_int_equal(receive(&w->loop, fd[OMNI_MGMT_CLIENTS_MAX], got, sizeof(got)), 0);
	assert_int_equal(send(fd[0], "{}\n", 3, 0), 3);
	assert_true(receive(&w->loop, fd[0], got, sizeof(got)) > 0);
	/* A place that is left is free again. */
	close(fd[1]);
	turn(&w->loop, 5);
	fd[1] = dial();
	assert_int_equal(send(fd[1], "{}\n", 3, 0), 3);
	assert_true(receive(&w->loop, fd[1], got, sizeof(got)) > 0);
	for (size_t i = 0; i <= OMNI_MGMT_CLIENTS_MAX; i++)
		close(fd[i]);
	close_world(w);
}

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/run/omni/test.sock", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char *slash;

	(void)state;
	while ((slash = strrchr(path, '/')) != NULL && strlen(path) > strlen(dir)) {
		*slash = '\0';
		if (rmdir(path) != 0)
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_has_its_answer),
		cmocka_unit_test(damaged_lines_do_no_harm),
		cmocka_unit_test(the_socket_is_ours_alone),
		cmocka_unit_test(a_dead_process_leaves_nothing_in_the_way),
		cmocka_unit_test(lines_may_come_in_pieces_or_together),
		cmocka_unit_test(a_line_without_end_ends_the_client),
		cmocka_unit_test(who_does_not_read_is_dropped),
		cmocka_unit_test(a_long_answer_arrives),
		cmocka_unit_test(clients_are_bounded),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
