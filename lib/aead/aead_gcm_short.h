/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef AEAD_GCM_SHORT_H
#define AEAD_GCM_SHORT_H

#include "aead_priv.h"

/* Packets of list, none longer than the limits in aead_priv.h. Only where the CPU allows it. */
aead_run aead_gcm_short_seal, aead_gcm_short_open;

/* The powers of H, from the round keys that stand in key->gcm. */
void aead_gcm_short_init(struct omni_aead_key *key);

#endif
