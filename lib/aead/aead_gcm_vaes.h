/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef AEAD_GCM_VAES_H
#define AEAD_GCM_VAES_H

#include "aead_priv.h"

/* The powers of H, from the round keys that stand in key. */
void aead_gcm_vaes_init(struct aead_gcm_key *key);

#endif
