/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FIB_ADJACENCY_H
#define FIB_ADJACENCY_H

#include "fib.h"

/* 0, or -1: no memory. */
int fib_adjacencies_open(struct omni_fib *fib, uint32_t n);
void fib_adjacencies_close(struct omni_fib *fib);

#endif
