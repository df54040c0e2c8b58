/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef AEAD_CHACHA8_H
#define AEAD_CHACHA8_H

#include "aead_priv.h"

#define AEAD_CHACHA8_LANES 8

/* n >= 1 packets of list in groups of eight, in list's order. Only where the CPU allows it. */
aead_run aead_chacha8_seal, aead_chacha8_open;

#endif
