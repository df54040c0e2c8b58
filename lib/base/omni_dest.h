/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where a frame goes: one 64-bit value, so that a table changes its mind with one store. */
#ifndef OMNI_DEST_H
#define OMNI_DEST_H

#include <stdint.h>

enum omni_dest_kind {
	OMNI_DEST_NONE = 0,
	OMNI_DEST_PORT = 1, /* a local port; routes: the subnet on its link */
	OMNI_DEST_PEER = 2,
	OMNI_DEST_HOST = 3,   /* routes: a host on a port's link, index of its adjacency */
	OMNI_DEST_SELF = 4,   /* routes: an address of ours */
	OMNI_DEST_ASK = 5,    /* routes: members may be here that we do not know yet */
	OMNI_DEST_REJECT = 6, /* routes: nobody is here, and the sender hears so */
};

/* kind 8 bits, index 24, generation 32 */
typedef uint64_t omni_dest;

#define OMNI_DEST_MISS UINT64_C(0)

static inline omni_dest omni_dest_make(enum omni_dest_kind kind, uint32_t index, uint32_t gen)
{
	return (uint64_t)kind << 56 | (uint64_t)(index & 0xffffff) << 32 | gen;
}

static inline enum omni_dest_kind omni_dest_kind(omni_dest d)
{
	return (enum omni_dest_kind)(d >> 56);
}

static inline uint32_t omni_dest_index(omni_dest d)
{
	return (uint32_t)(d >> 32) & 0xffffff;
}

static inline uint32_t omni_dest_gen(omni_dest d)
{
	return (uint32_t)d;
}

#endif
