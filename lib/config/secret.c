/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Secrets: read from closed files, checked, wiped. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_secret.h>

#include "config.h"

/*
 * Read all of fd, at most room - 1 bytes, and end it with a zero. Number of bytes or -errno,
 * -EFBIG for more.
 */
static ssize_t read_all(int fd, char *out, size_t room)
{
	size_t at = 0;

	while (at < room) {
		ssize_t n = read(fd, out + at, room - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			out[at] = '\0';
			return (ssize_t)at;
		}
		at += (size_t)n;
	}
	return -EFBIG;
}

int config_read_closed_file(const char *path, const char *what, char *out, size_t room,
			    struct omni_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return omni_fail(err, -errno, "%s %s: %s", what, path, strerror(errno));
	if (fstat(fd, &st) != 0)
		n = -errno;
	else if (!S_ISREG(st.st_mode))
		n = omni_fail(err, -EINVAL, "%s %s: is not a regular file, expected one", what,
			      path);
	else if ((st.st_mode & 077) != 0)
		n = omni_fail(err, -EACCES,
			      "%s %s: mode %04o lets others read it, expected 0600 "
			      "(chmod 600 %s)",
			      what, path, (unsigned int)(st.st_mode & 07777), path);
	else if ((n = read_all(fd, out, room)) < 0)
		omni_fail(err, (int)n, "%s %s: %s", what, path,
			  n == -EFBIG ? "is too long" : strerror((int)-n));
	close(fd);
	if (n < 0)
		return (int)n;
	if (n > 0 && out[n - 1] == '\n')
		out[--n] = '\0';
	if (n > 0 && out[n - 1] == '\r')
		out[--n] = '\0';
	if (strlen(out) != (size_t)n)
		return omni_fail(err, -EINVAL, "%s %s: holds a zero byte", what, path);
	return 0;
}

char *omni_config_secret_copy(const char *text, struct omni_err *err)
{
	size_t len = strlen(text);
	char *copy;

	if (len < OMNI_SECRET_MIN) {
		omni_fail(err, -EINVAL,
			  "secret has %zu characters, expected %d or more "
			  "(omnictl gensecret makes a good one)",
			  len, OMNI_SECRET_MIN);
		return NULL;
	}
	if (len >= OMNI_CONFIG_SECRET_MAX) {
		omni_fail(err, -EINVAL, "secret is too long, expected at most %d characters",
			  OMNI_CONFIG_SECRET_MAX - 1);
		return NULL;
	}
	if (strncmp(text, "open:", 5) == 0) {
		omni_fail(err, -EINVAL,
			  "secret begins with \"open:\", which is kept for open "
			  "clusters; expected another secret");
		return NULL;
	}
	copy = strdup(text);
	if (copy == NULL)
		omni_fail(err, -ENOMEM, "out of memory");
	return copy;
}

char *omni_config_secret_read(const char *path, struct omni_err *err)
{
	char text[OMNI_CONFIG_SECRET_MAX + 2], *copy = NULL;
	struct omni_err why;
	int rc = config_read_closed_file(path, "secret file", text, sizeof(text), &why);

	if (rc == 0) {
		copy = omni_config_secret_copy(text, &why);
		if (copy == NULL)
			omni_fail(err, -EINVAL, "secret file %s: %s", path, why.text);
	} else if (rc == -ENOENT) {
		omni_fail(err, rc, "%s (umask 077; omnictl gensecret > %s makes one)", why.text,
			  path);
	} else {
		omni_fail(err, rc, "%s", why.text);
	}
	omni_wipe(text, sizeof(text));
	return copy;
}

void omni_config_secret_free(char *secret)
{
	if (secret == NULL)
		return;
	omni_wipe(secret, strlen(secret));
	free(secret);
}
