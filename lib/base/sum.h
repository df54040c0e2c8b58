/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The twins of omni_sum and omni_sum_copy: which one is taken depends on the CPU. */
#ifndef OMNI_BASE_SUM_H
#define OMNI_BASE_SUM_H

#include <omni_sum.h>

uint64_t sum_plain(const void *data, size_t len);
uint64_t sum_copy_plain(void *dst, const void *src, size_t len);
/* Only where the CPU has AVX2. */
uint64_t sum_avx2(const void *data, size_t len);
uint64_t sum_copy_avx2(void *dst, const void *src, size_t len);
/* Only where the CPU has AVX-512 BW. */
uint64_t sum_avx512(const void *data, size_t len);

#endif
