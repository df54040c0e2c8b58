/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handling of secrets: wiping that the compiler keeps, comparison in constant time, randomness. */
#ifndef OMNI_SECRET_H
#define OMNI_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Overwrite len bytes with zeros; never optimised away. Any thread. */
void omni_wipe(void *p, size_t len);

/* True where the len bytes at a and b are equal; time depends on len only. Any thread. */
bool omni_equal_ct(const void *a, const void *b, size_t len) __attribute__((warn_unused_result));

/* True where len bytes at p are all zero; time depends on len only. Any thread. */
bool omni_is_zero_ct(const void *p, size_t len) __attribute__((warn_unused_result));

/* len random bytes from the kernel (getrandom). Ends the process if the kernel has none. */
void omni_random(void *p, size_t len);

#endif
