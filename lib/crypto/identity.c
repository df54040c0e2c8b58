/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_identity.h>
#include <omni_secret.h>

#define MAGIC "omni-identity-v1 "
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define SEED_TEXT_LEN (OMNI_KEY_B64_LEN - 1)
/* The line without its line feed, and the file with it. */
#define LINE_LEN (MAGIC_LEN + SEED_TEXT_LEN)
#define FILE_LEN (LINE_LEN + 1)

void omni_identity_from_seed(struct omni_identity *id, const struct omni_key *seed)
{
	memset(id, 0, sizeof(*id));
	id->has_sign = true;
	omni_sign_from_seed(&id->sign_secret, &id->sign_public, seed);
	omni_sign_secret_to_dh(&id->dh.secret, &id->sign_secret);
	omni_x25519_public(&id->dh.public, &id->dh.secret);
}

int omni_identity_from_wireguard(struct omni_identity *id, const struct omni_key *secret)
{
	memset(id, 0, sizeof(*id));
	if (omni_is_zero_ct(secret, sizeof(*secret)))
		return -EINVAL;
	id->dh.secret = *secret;
	/* As WireGuard keeps it; X25519 would take it so anyway. */
	id->dh.secret.b[0] &= 248;
	id->dh.secret.b[31] = (uint8_t)((id->dh.secret.b[31] & 127) | 64);
	omni_x25519_public(&id->dh.public, &id->dh.secret);
	return 0;
}

void omni_identity_wipe(struct omni_identity *id)
{
	omni_wipe(id, sizeof(*id));
}

static int check_file(int fd, const char *path, struct omni_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return omni_fail(err, -errno, "identity %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return omni_fail(err, -EINVAL, "identity %s: not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return omni_fail(err, -EPERM,
				 "identity %s: belongs to user %u, not to the user running this",
				 path, (unsigned int)st.st_uid);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return omni_fail(err, -EACCES,
				 "identity %s: mode %04o lets others at the key; chmod 600 it",
				 path, (unsigned int)(st.st_mode & 07777));
	return 0;
}

/* Read up to len bytes, to the end of the file. */
static ssize_t read_all(int fd, char *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, buf + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* A seed in our own form. */
static int parse_line(struct omni_key *seed, char *text, size_t len, const char *path,
		      struct omni_err *err)
{
	if (len < LINE_LEN)
		return omni_fail(err, -ENODATA, "identity %s: truncated (%zu bytes of %zu)", path,
				 len, FILE_LEN);
	if (len > FILE_LEN || (len == FILE_LEN && text[LINE_LEN] != '\n'))
		return omni_fail(err, -EINVAL, "identity %s: more than one line of %zu characters",
				 path, LINE_LEN);
	text[LINE_LEN] = '\0';
	if (omni_key_parse(seed, text + MAGIC_LEN) < 0)
		return omni_fail(err, -EINVAL, "identity %s: the seed is not base64 of 32 bytes",
				 path);
	return 0;
}

/* A private key of WireGuard's, alone in its line. -EINVAL: it is none. */
static int parse_wireguard(struct omni_key *secret, char *text, size_t len)
{
	if (len < SEED_TEXT_LEN || len > SEED_TEXT_LEN + 1 ||
	    (len > SEED_TEXT_LEN && text[SEED_TEXT_LEN] != '\n'))
		return -EINVAL;
	text[SEED_TEXT_LEN] = '\0';
	return omni_key_parse(secret, text);
}

static int take_text(struct omni_identity *id, char *text, size_t len, const char *path,
		     struct omni_err *err)
{
	struct omni_key key;
	int rc;

	if (memcmp(text, MAGIC, OMNI_MIN(len, MAGIC_LEN)) == 0) {
		rc = parse_line(&key, text, len, path, err);
		if (rc == 0)
			omni_identity_from_seed(id, &key);
	} else if (parse_wireguard(&key, text, len) == 0) {
		rc = omni_identity_from_wireguard(id, &key);
		if (rc != 0)
			omni_fail(err, rc, "identity %s: the private key is all zero", path);
	} else {
		rc = omni_fail(err, -EINVAL,
			       "identity %s: not an identity file (must begin with \"%s\", or "
			       "hold a WireGuard private key alone)",
			       path, MAGIC);
	}
	omni_wipe(&key, sizeof(key));
	return rc;
}

int omni_identity_load(struct omni_identity *id, const char *path, struct omni_err *err)
{
	char text[FILE_LEN + 1]; /* room to see that a file is too long */
	ssize_t len;
	int fd, rc;

	memset(id, 0, sizeof(*id));
	/* O_NONBLOCK: a FIFO in its place must not hang the start. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return omni_fail(err, -ENOENT, "identity %s: no such file; --init makes one", path);
	if (fd < 0 && errno == ELOOP)
		return omni_fail(err, -ELOOP, "identity %s: a symbolic link is not followed", path);
	if (fd < 0)
		return omni_fail(err, -errno, "identity %s: %s", path, strerror(errno));
	rc = check_file(fd, path, err);
	if (rc == 0) {
		len = read_all(fd, text, sizeof(text));
		rc = len < 0 ? omni_fail(err, (int)len, "identity %s: %s", path,
					 strerror((int)-len))
			     : take_text(id, text, (size_t)len, path, err);
	}
	close(fd);
	omni_wipe(text, sizeof(text));
	return rc;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The new name is on disk only when its folder is. */
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fchmod(fd, 0600) < 0 ? -errno : write_all(fd, text, len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_folder(path);
	if (rc < 0)
		unlink(path);
	return rc;
}

int omni_identity_create(struct omni_identity *id, const char *path, const struct omni_key *seed,
			 struct omni_err *err)
{
	char text[FILE_LEN + 1], seed_text[OMNI_KEY_B64_LEN];
	int rc;

	memset(id, 0, sizeof(*id));
	snprintf(text, sizeof(text), MAGIC "%s\n", omni_key_text(seed_text, seed));
	rc = write_file(path, text, FILE_LEN);
	omni_wipe(text, sizeof(text));
	omni_wipe(seed_text, sizeof(seed_text));
	if (rc == -EEXIST)
		return omni_fail(err, rc, "identity %s: exists already and is not replaced", path);
	if (rc < 0)
		return omni_fail(err, rc, "identity %s: %s", path, strerror(-rc));
	omni_identity_from_seed(id, seed);
	return 0;
}
