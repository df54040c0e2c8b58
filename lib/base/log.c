/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <omni_log.h>

#define LINE_LEN 1024
#define MESSAGES_MAX 256 /* constant sentences of one program; what is beyond is not limited */

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

/* By the address of its constant sentence. */
struct rate {
	const char *message;
	time_t filled_s; /* CLOCK_MONOTONIC */
	unsigned int left, suppressed;
};

static pthread_mutex_t rates_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rate rates[MESSAGES_MAX];

static struct rate *rate_of(const char *message)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(rates); i++) {
		struct rate *r = &rates[i];

		if (r->message == message)
			return r;
		if (r->message == NULL) {
			*r = (struct rate){.message = message, .left = OMNI_LOG_BURST};
			return r;
		}
	}
	return NULL;
}

/* May it be written? *suppressed: how many were not, since the last one that was. */
static bool take(const char *message, unsigned int *suppressed)
{
	struct timespec now;
	struct rate *r;
	bool ok = true;

	*suppressed = 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&rates_lock);
	r = rate_of(message);
	if (r != NULL) {
		if (now.tv_sec > r->filled_s)
			r->left = (unsigned int)OMNI_MIN(r->left + (now.tv_sec - r->filled_s),
							 (time_t)OMNI_LOG_BURST);
		r->filled_s = now.tv_sec;
		ok = r->left > 0;
		if (ok) {
			r->left--;
			*suppressed = r->suppressed;
			r->suppressed = 0;
		} else {
			r->suppressed++;
		}
	}
	pthread_mutex_unlock(&rates_lock);
	return ok;
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
	unsigned int suppressed = 0;

	if (level > omni_log_get_level())
		return;
	if ((level == OMNI_LOG_WARN || level == OMNI_LOG_INFO) && !take(message, &suppressed))
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
	n = strnlen(line, sizeof(line) - 1);
	if (suppressed > 0)
		snprintf(line + n, sizeof(line) - n, " suppressed=%u", suppressed);
	escape(line);
	n = strnlen(line, sizeof(line) - 1);
	line[n++] = '\n';
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
