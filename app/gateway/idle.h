/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a worker does between turns that found nothing. */
#ifndef GATEWAY_IDLE_H
#define GATEWAY_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_node.h>

/* Spin so long after the last frame before the first sleep. */
#define IDLE_SPIN_US 20
/*
 * A worker that was pushed off its CPU does not spin for so long: others want it, among them those
 * that its frames come from. It looks so often whether it was.
 */
#define IDLE_PUSHED_MS 10
#define IDLE_LOOK_US 500

struct idle {
	bool adaptive; /* else poll without end */
	bool yields;   /* other workers want the same CPU */
	struct omni_worker *node;
	uint64_t spin_cycles;
	uint64_t empty_since; /* TSC of the first empty turn in a row; 0: the last one had work */
	/* Others on the CPU: how often the kernel has preferred them, what follows; TSC. */
	long pushed;
	uint64_t look_at, no_spin_until;
};

/*
 * After a turn that handled `frames` frames: return at once, pause, or sleep until a port's
 * descriptor or control's bell wakes us. Where a port has no descriptor, nap instead: its frames
 * are looked for every IDLE_NAP_US. Worker.
 */
void idle_after_turn(struct idle *idle, unsigned int frames);

#endif
