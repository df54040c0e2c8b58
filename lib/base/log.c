/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <omni_log.h>

#define LINE_LEN 1024

static const char *const names[] = {"error", "warn", "info", "debug"};
static _Atomic int current = OMNI_LOG_INFO;

void omni_log_set_level(enum omni_log_level level)
{
	atomic_store_explicit(&current, (int)level, memory_order_relaxed);
}

enum omni_log_level omni_log_get_level(void)
{
	return (enum omni_log_level)atomic_load_explicit(&current, memory_order_relaxed);
}

const char *omni_log_level_name(enum omni_log_level level)
{
	return names[level];
}

int omni_log_level_parse(const char *text, enum omni_log_level *level)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*level = (enum omni_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Control characters from foreign input must not reach the terminal or forge lines. */
static void escape(char *line)
{
	for (; *line != '\0'; line++) {
		if ((unsigned char)*line < ' ' || (unsigned char)*line > '~')
			*line = '?';
	}
}

void omni_log(enum omni_log_level level, const char *component, const char *message,
	      const char *fmt, ...)
{
	char line[LINE_LEN];
	struct timespec ts;
	struct tm tm;
	size_t n;
	va_list ap;

	if (level > omni_log_get_level())
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %-5s %s: %s",
			      ts.tv_nsec / 1000000, names[level], component, message);
	if (n < sizeof(line) - 1 && fmt[0] != '\0') {
		line[n++] = ' ';
		va_start(ap, fmt);
		vsnprintf(line + n, sizeof(line) - n, fmt, ap);
		va_end(ap);
		if (line[n] == '\0')
			line[n - 1] = '\0';
	}
	escape(line);
	n = strnlen(line, sizeof(line) - 1);
	line[n++] = '\n';
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
