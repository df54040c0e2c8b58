/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The running program. */
#ifndef NUCLEUS_APP_H
#define NUCLEUS_APP_H

#include <uv.h>

#include <omni_identity.h>
#include <omni_nucleus.h>

#define APP_SIGNALS 3

struct app {
	struct omni_identity identity;
	struct omni_nucleus *nucleus;
	int fd;
	uint64_t send_failed; /* answers that the kernel refused */
	uv_loop_t loop;
	uv_poll_t poll;
	uv_timer_t timer;
	uv_signal_t signals[APP_SIGNALS];
};

struct omni_nucleus_time app_now(void);

#endif
