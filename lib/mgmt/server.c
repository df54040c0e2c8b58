/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The socket and its clients. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mgmt.h"

#define BACKLOG 128
#define LINE_START 4096

struct client {
	uv_pipe_t pipe;
	struct omni_mgmt *mgmt;
	char *line; /* begun and not ended yet */
	size_t len, room;
	bool closing;
};

struct answer {
	uv_write_t write;
	char *text;
};

static void handle_gone(struct omni_mgmt *mgmt)
{
	if (--mgmt->handles == 0 && mgmt->closing)
		free(mgmt);
}

static void client_gone(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct omni_mgmt *mgmt = client->mgmt;

	free(client->line);
	free(client);
	handle_gone(mgmt);
}

static void drop(struct client *client)
{
	struct omni_mgmt *mgmt = client->mgmt;

	if (client->closing)
		return;
	client->closing = true;
	for (size_t i = 0; i < OMNI_MGMT_CLIENTS_MAX; i++) {
		if (mgmt->clients[i] == client)
			mgmt->clients[i] = NULL;
	}
	uv_close((uv_handle_t *)&client->pipe, client_gone);
}

static void written(uv_write_t *write, int status)
{
	struct answer *answer = write->data;
	struct client *client = write->handle->data;

	free(answer->text);
	free(answer);
	if (status < 0)
		drop(client);
}

/* Takes text over. A client that does not read is dropped; one answer may have any length. */
static void send_text(struct client *client, char *text)
{
	struct answer *answer = malloc(sizeof(*answer));
	size_t len = strlen(text);
	uv_buf_t buf;

	if (answer == NULL ||
	    uv_stream_get_write_queue_size((uv_stream_t *)&client->pipe) > OMNI_MGMT_QUEUE_MAX) {
		free(answer);
		free(text);
		drop(client);
		return;
	}
	text[len] = '\n'; /* over its zero: the length goes with it */
	answer->text = text;
	answer->write.data = answer;
	buf = uv_buf_init(text, (unsigned int)len + 1);
	if (uv_write(&answer->write, (uv_stream_t *)&client->pipe, &buf, 1, written) != 0) {
		free(text);
		free(answer);
		drop(client);
	}
}

static void take_line(struct client *client, const char *line, size_t len)
{
	char *text;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return;
	text = omni_mgmt_answer(client->mgmt, line, len);
	if (text != NULL)
		send_text(client, text);
}

/* Keep the beginning of a line. False where it grows beyond the limit or there is no memory. */
static bool keep(struct client *client, const char *data, size_t len)
{
	size_t room = client->room > 0 ? client->room : LINE_START;
	char *more;

	if (client->len + len > OMNI_MGMT_LINE_MAX)
		return false;
	while (room < client->len + len)
		room *= 2;
	if (room > client->room) {
		more = realloc(client->line, room);
		if (more == NULL)
			return false;
		client->line = more;
		client->room = room;
	}
	memcpy(client->line + client->len, data, len);
	client->len += len;
	return true;
}

static void take_bytes(struct client *client, const char *data, size_t len)
{
	const char *end;

	while (!client->closing && len > 0) {
		size_t n;

		end = memchr(data, '\n', len);
		n = end != NULL ? (size_t)(end - data) : len;
		if ((client->len > 0 || end == NULL) && !keep(client, data, n)) {
			drop(client);
			return;
		}
		if (end == NULL)
			return;
		if (client->len > 0)
			take_line(client, client->line, client->len);
		else
			take_line(client, data, n);
		client->len = 0;
		data += n + 1;
		len -= n + 1;
	}
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *client = handle->data;

	(void)suggested;
	*buf = uv_buf_init(client->mgmt->chunk, sizeof(client->mgmt->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;

	if (n < 0)
		drop(client);
	else
		take_bytes(client, buf->base, (size_t)n);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct omni_mgmt *mgmt = listener->data;
	struct client *client = calloc(1, sizeof(*client));
	size_t slot = 0;

	if (status < 0 || client == NULL || uv_pipe_init(mgmt->loop, &client->pipe, 0) != 0) {
		free(client);
		return;
	}
	client->mgmt = mgmt;
	client->pipe.data = client;
	mgmt->handles++;
	while (slot < OMNI_MGMT_CLIENTS_MAX && mgmt->clients[slot] != NULL)
		slot++;
	/* One too many is taken from the queue too, to be closed. */
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 ||
	    slot == OMNI_MGMT_CLIENTS_MAX ||
	    uv_read_start((uv_stream_t *)&client->pipe, give_room, on_read) != 0)
		drop(client);
	else
		mgmt->clients[slot] = client;
}

/* The folder of path, with those above it. */
static int make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *p = folder + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (mkdir(folder, 0755) != 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

/* Make path free for bind: only a socket that nobody listens on is removed. */
static int clear_path(const struct sockaddr_un *sa, struct omni_err *err)
{
	int fd, rc = 0;
	struct stat st;

	if (lstat(sa->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return omni_fail(err, -ENOTSOCK,
				 "management socket %s: something else stands there, expected a "
				 "free path",
				 sa->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return omni_fail(err, -errno, "management socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno != ECONNREFUSED)
		rc = omni_fail(err, -EADDRINUSE,
			       "management socket %s: another gateway is listening there (give "
			       "this one its own: --socket PATH or management: { socket: PATH })",
			       sa->sun_path);
	else if (unlink(sa->sun_path) != 0)
		rc = omni_fail(err, -errno, "management socket %s: %s", sa->sun_path,
			       strerror(errno));
	close(fd);
	return rc;
}

/* A bound descriptor, or -errno. Nobody can connect before listen, so chmod is in time. */
static int bind_path(struct omni_mgmt *mgmt, const struct sockaddr_un *sa)
{
	int rc, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (chmod(sa->sun_path, 0600) != 0 || lstat(sa->sun_path, &st) != 0) {
		rc = -errno;
		unlink(sa->sun_path);
		close(fd);
		return rc;
	}
	mgmt->dev = st.st_dev;
	mgmt->ino = st.st_ino;
	return fd;
}

static void remove_path(const struct omni_mgmt *mgmt)
{
	struct stat st;

	if (lstat(mgmt->path, &st) == 0 && st.st_dev == mgmt->dev && st.st_ino == mgmt->ino)
		unlink(mgmt->path);
}

static void listener_gone(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

/* The loop's side. fd is closed with the listener from here on. */
static int start(struct omni_mgmt *mgmt, int fd)
{
	int rc = uv_pipe_init(mgmt->loop, &mgmt->listener, 0);

	if (rc != 0) {
		close(fd);
		return rc;
	}
	mgmt->handles++;
	mgmt->listener.data = mgmt;
	rc = uv_pipe_open(&mgmt->listener, fd);
	if (rc != 0)
		close(fd);
	else
		rc = uv_listen((uv_stream_t *)&mgmt->listener, BACKLOG, on_connection);
	if (rc != 0)
		uv_close((uv_handle_t *)&mgmt->listener, listener_gone);
	return rc;
}

int omni_mgmt_listen(struct omni_mgmt *mgmt, const char *path, struct omni_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int rc;

	if (path[0] == '\0' || strlen(path) >= sizeof(sa.sun_path))
		return omni_fail(err, -ENAMETOOLONG,
				 "management socket: the path has %zu characters, expected 1 to "
				 "%zu",
				 strlen(path), sizeof(sa.sun_path) - 1);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	snprintf(mgmt->path, sizeof(mgmt->path), "%s", path);
	rc = make_folder(path);
	if (rc == 0) {
		rc = clear_path(&sa, err);
		if (rc != 0)
			return rc;
		rc = bind_path(mgmt, &sa);
	}
	if (rc < 0)
		return omni_fail(err, rc, "management socket %s: %s", path, strerror(-rc));
	rc = start(mgmt, rc);
	if (rc != 0) {
		remove_path(mgmt);
		return omni_fail(err, rc, "management socket %s: %s", path, strerror(-rc));
	}
	mgmt->listening = true;
	return 0;
}

void omni_mgmt_close(struct omni_mgmt *mgmt)
{
	if (mgmt == NULL)
		return;
	mgmt->closing = true;
	if (mgmt->handles == 0) {
		free(mgmt);
		return;
	}
	for (size_t i = 0; i < OMNI_MGMT_CLIENTS_MAX; i++) {
		if (mgmt->clients[i] != NULL)
			drop(mgmt->clients[i]);
	}
	if (mgmt->listening) {
		remove_path(mgmt);
		uv_close((uv_handle_t *)&mgmt->listener, listener_gone);
	}
}
