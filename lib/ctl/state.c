/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The timestamps of our handshakes: TAI64N, max(clock, last + 1). A mark one hour ahead lies on
 * disk beside the identity; it is used where the clock at start is more than an hour behind it,
 * for then the clock was set back and peers would take every initiation of ours for a replay.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl_priv.h"

#define SUFFIX ".clock"
#define HEAD "omni-clock-v1 "

static bool file_name(const struct omni_ctl *ctl, char *out, size_t len, const char *suffix)
{
	const char *identity = ctl->conf.config->identity;

	return identity[0] != '\0' && snprintf(out, len, "%s%s", identity, suffix) < (int)len;
}

void ctl_timestamp(struct omni_ctl *ctl, uint8_t out[OMNI_TAI64N_LEN])
{
	uint8_t now[OMNI_TAI64N_LEN];

	omni_tai64n_from_real_ns(now, ctl_real_now(ctl));
	omni_tai64n_increment(ctl->last_stamp);
	if (memcmp(now, ctl->last_stamp, OMNI_TAI64N_LEN) > 0)
		memcpy(ctl->last_stamp, now, OMNI_TAI64N_LEN);
	memcpy(out, ctl->last_stamp, OMNI_TAI64N_LEN);
}

/* What the file says; 0 where there is none. */
static uint64_t read_mark(const char *path)
{
	char text[64] = {0};
	uint64_t mark = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, HEAD "%" SCNu64, &mark) != 1)
		mark = 0;
	close(fd);
	return mark;
}

static int write_mark(const char *path, const char *temporary, uint64_t mark)
{
	char text[64];
	int len = snprintf(text, sizeof(text), HEAD "%" PRIu64 "\n", mark);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok;

	if (fd < 0)
		return -errno;
	ok = write(fd, text, (size_t)len) == len;
	ok = close(fd) == 0 && ok;
	if (ok && rename(temporary, path) == 0)
		return 0;
	(void)unlink(temporary);
	return -EIO;
}

static void save(const struct omni_ctl *ctl)
{
	char path[OMNI_CONFIG_PATH_LEN + sizeof(SUFFIX)];
	char temporary[OMNI_CONFIG_PATH_LEN + sizeof(SUFFIX) + 4];

	if (!file_name(ctl, path, sizeof(path), SUFFIX) ||
	    !file_name(ctl, temporary, sizeof(temporary), SUFFIX ".new"))
		return;
	if (write_mark(path, temporary, ctl->mark_real_ns) < 0)
		omni_log_warn(LOG_CTL, "cannot write the clock's mark", "path=%s", path);
}

void ctl_state_load(struct omni_ctl *ctl)
{
	char path[OMNI_CONFIG_PATH_LEN + sizeof(SUFFIX)];
	uint64_t now = ctl_real_now(ctl), mark;

	ctl->clock_gap_ns = (int64_t)(now - ctl_now(ctl));
	if (!file_name(ctl, path, sizeof(path), SUFFIX))
		return;
	mark = read_mark(path);
	if (mark <= now + CTL_CLOCK_MARK_NS)
		return;
	omni_log_warn(LOG_CTL, "the clock was set back: handshakes go on from their old time",
		      "seconds=%" PRIu64, (mark - now) / OMNI_NS_PER_S);
	omni_tai64n_from_real_ns(ctl->last_stamp, mark);
	/* Ahead of what is used from now on, for a start that comes before the clock is right. */
	ctl->mark_real_ns = mark + CTL_CLOCK_MARK_NS;
	save(ctl);
}

/* Keep the mark between half an hour and an hour ahead of what was used. */
void ctl_state_tick(struct omni_ctl *ctl)
{
	uint64_t now = ctl_real_now(ctl);

	if (ctl->mark_real_ns >= now + CTL_CLOCK_MARK_NS / 2)
		return;
	ctl->mark_real_ns = now + CTL_CLOCK_MARK_NS;
	save(ctl);
}
