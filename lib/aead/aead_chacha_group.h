/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ChaCha20-Poly1305 of eight packets side by side, by what the CPU has for it. */
#ifndef AEAD_CHACHA_GROUP_H
#define AEAD_CHACHA_GROUP_H

#include "aead_priv.h"

#define AEAD_CHACHA_LANES 8

/* n packets of list in groups of eight, in list's order: AVX-512 with IFMA. */
aead_run aead_chacha_avx512_seal, aead_chacha_avx512_open;

/* The same with AVX2. */
aead_run aead_chacha_avx2_seal, aead_chacha_avx2_open;

#endif
