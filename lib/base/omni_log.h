/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Structured log lines on standard error: time, level, component, message, key=value pairs.
 * For control and tools only: workers never log.
 */
#ifndef OMNI_LOG_H
#define OMNI_LOG_H

#include <omni_base.h>

enum omni_log_level {
	OMNI_LOG_ERROR,
	OMNI_LOG_WARN,
	OMNI_LOG_INFO,
	OMNI_LOG_DEBUG,
};

/* Lines less important than level are dropped. Default: OMNI_LOG_INFO. */
void omni_log_set_level(enum omni_log_level level);
enum omni_log_level omni_log_get_level(void);

/* "error", "warn", "info", "debug" to a level; -EINVAL for anything else. */
int omni_log_level_parse(const char *text, enum omni_log_level *level) OMNI_MUST_CHECK;
const char *omni_log_level_name(enum omni_log_level level);

/*
 * Write one line. message is a constant sentence, fmt formats the key=value part ("" for none):
 * omni_log(OMNI_LOG_INFO, "ctl", "session up", "peer=%s lanes=%u", name, lanes).
 * Nothing secret, ever. Bytes outside printable ASCII are escaped.
 *
 * Strangers cause many of the lines, so those of one message that follow each other fast are
 * left out (OMNI_LOG_BURST, then one a second) and told as suppressed=N in the next one that is
 * written. Not so for errors and debug.
 */
#define OMNI_LOG_BURST 50
void omni_log(enum omni_log_level level, const char *component, const char *message,
	      const char *fmt, ...) OMNI_PRINTF(4, 5);

#define omni_log_error(c, m, ...) omni_log(OMNI_LOG_ERROR, c, m, __VA_ARGS__)
#define omni_log_warn(c, m, ...) omni_log(OMNI_LOG_WARN, c, m, __VA_ARGS__)
#define omni_log_info(c, m, ...) omni_log(OMNI_LOG_INFO, c, m, __VA_ARGS__)
#define omni_log_debug(c, m, ...) omni_log(OMNI_LOG_DEBUG, c, m, __VA_ARGS__)

#endif
