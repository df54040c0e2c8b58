/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keeps our UDP port in the kernel's books while another driver receives its datagrams. */
#ifndef GATEWAY_GUARD_H
#define GATEWAY_GUARD_H

#include <stdint.h>

#include <omni_base.h>

/*
 * Bind a kernel UDP socket of both families to port, with a filter that drops everything: nobody
 * else takes the port, and the kernel answers nothing that reaches it (no ICMP unreachable).
 * Returns the descriptor, or -errno with a sentence in err. Control.
 */
int guard_open(uint16_t port, struct omni_err *err) OMNI_MUST_CHECK;

/*
 * n ports that nobody has at the moment, in both families. 0, or -errno with a sentence in err.
 * Control.
 */
int guard_choose(uint16_t *port, unsigned int n, struct omni_err *err) OMNI_MUST_CHECK;

#endif
