/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "omnictl.h"

#define ANSWER_MAX (64U * 1024 * 1024)
#define WAIT_S 15

static int no_gateway(const char *path, struct omni_err *err)
{
	return omni_fail(err, -errno, "no gateway answers at %s: %s%s", path, strerror(errno),
			 errno == EACCES ? " (run as the gateway's user)"
					 : " (is dpdk-omni running? -s PATH names another socket)");
}

static int dial(const char *path, struct omni_err *err)
{
	struct timeval wait = {.tv_sec = WAIT_S};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return no_gateway(path, err);
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return no_gateway(path, err);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
		no_gateway(path, err);
		close(fd);
		return -1;
	}
	return fd;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* One line; NULL and errno. */
static char *read_line(int fd, size_t *len)
{
	size_t room = 65536, at = 0;
	char *line = malloc(room), *more;

	while (line != NULL) {
		ssize_t n = recv(fd, line + at, room - at, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ECONNRESET : errno == EAGAIN ? ETIMEDOUT : errno;
			break;
		}
		at += (size_t)n;
		if (line[at - 1] == '\n') {
			*len = at - 1;
			return line;
		}
		if (at < room)
			continue;
		room *= 2;
		more = room <= ANSWER_MAX ? realloc(line, room) : NULL;
		if (more == NULL) {
			errno = EMSGSIZE;
			break;
		}
		line = more;
	}
	free(line);
	return NULL;
}

static enum exit_status take_answer(const json_t *answer, json_t **result, struct omni_err *err)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	*result = json_incref(json_object_get(answer, "result"));
	if (*result != NULL)
		return EXIT_OK;
	omni_fail(err, 0, "%s", message != NULL ? message : "the answer is no JSON-RPC");
	return EXIT_REFUSED;
}

enum exit_status client_call(const char *path, const char *method, json_t *params, json_t **result,
			     struct omni_err *err)
{
	json_t *request = json_pack("{s:s, s:s, s:i}", "jsonrpc", "2.0", "method", method, "id", 1);
	enum exit_status status = EXIT_NO_GATEWAY;
	char *text = NULL, *line = NULL;
	json_t *answer = NULL;
	size_t len = 0;
	int fd = -1;

	if (params != NULL)
		json_object_set(request, "params", params);
	text = json_dumps(request, JSON_COMPACT);
	if (text == NULL) {
		omni_fail(err, 0, "the request is no UTF-8");
		status = EXIT_USAGE;
	} else if ((fd = dial(path, err)) >= 0) {
		if (!send_all(fd, text, strlen(text)) || !send_all(fd, "\n", 1) ||
		    (line = read_line(fd, &len)) == NULL) {
			no_gateway(path, err);
		} else {
			answer = json_loadb(line, len, 0, NULL);
			status = take_answer(answer, result, err);
		}
		close(fd);
	}
	json_decref(answer);
	json_decref(request);
	free(line);
	free(text);
	return status;
}
