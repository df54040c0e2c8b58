/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * AEAD over bursts of packets: AES-256-GCM (NIST SP 800-38D, 96-bit IV) and ChaCha20-Poly1305
 * (RFC 8439), both with a 12-byte nonce and a 16-byte tag. One burst may mix keys and ciphers.
 *
 * A worker fills an array of omni_aead_op and calls omni_aead_seal_burst or omni_aead_open_burst
 * once for all of it. Everything is done when the call returns; nothing is kept between calls.
 */
#ifndef OMNI_AEAD_H
#define OMNI_AEAD_H

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <omni_base.h>

#define OMNI_AEAD_BURST_MAX 64 /* operations in one call */
#define OMNI_AEAD_NONCE_LEN 12
#define OMNI_AEAD_TAG_LEN 16

/* The numbers of the wire (enum omni_cipher). */
enum omni_aead_cipher {
	OMNI_AEAD_AESGCM = 1,
	OMNI_AEAD_CHACHAPOLY = 2,
};

/* A thread's own cipher state. Not shared: one per thread that seals, opens or makes keys. */
struct omni_aead;

/* A key made ready for its cipher. Never changes once created; any number of threads use it. */
struct omni_aead_key;

/*
 * One packet, one cache line. The library reads the op and never writes it.
 *
 * dst is src (in place), or a buffer that does not overlap it. Buffers of different ops of one
 * burst do not overlap, except that many may read the same src (one frame sealed for many
 * peers) or the same aad. No alignment is asked of src, dst, aad and tag. tag is written by
 * seal and only read by open; it is not part of dst[0..len). Nothing else is read or written:
 * no byte beyond src[0..len), dst[0..len), aad[0..aad_len) and tag, not even to put it back.
 *
 * Speed: the cipher loads the nonce and the aad with 16-byte loads. Where these bytes were
 * written shortly before in smaller pieces, each packet waits about 50 cycles. So write the
 * nonce with omni_aead_op_nonce (one aligned 16-byte store), and the headers of the whole burst
 * before the call; the stage that prepares the burst does both.
 */
struct omni_aead_op {
	alignas(64) const struct omni_aead_key *key;
	const uint8_t *aad; /* aad_len bytes of additional data; NULL only where it is 0 */
	const uint8_t *src; /* len bytes; NULL only where len is 0 */
	uint8_t *dst;	    /* len bytes */
	uint8_t *tag;	    /* OMNI_AEAD_TAG_LEN bytes */
	uint32_t len;
	uint32_t aad_len;
	alignas(16) uint8_t nonce[16]; /* OMNI_AEAD_NONCE_LEN used, the rest not looked at */
};

static_assert(sizeof(struct omni_aead_op) == 64, "an op is one cache line");

/*
 * Set op's nonce to the 4 bytes at head, then the 8 bytes at tail, with one store. For a data
 * message these are bytes 16-19 and 8-15 of its header. Any thread.
 */
static inline void omni_aead_op_nonce(struct omni_aead_op *op, const void *head, const void *tail)
{
	typedef uint64_t slot __attribute__((vector_size(16), may_alias));
	uint32_t h;
	uint64_t t;

	memcpy(&h, head, sizeof(h));
	memcpy(&t, tail, sizeof(t));
	*(slot *)(void *)op->nonce = (slot){h | t << 32, t >> 32};
}

/* Flags of omni_aead_create. */
#define OMNI_AEAD_NO_AES 0x1u	 /* act as on a CPU without AES instructions */
#define OMNI_AEAD_NO_AVX512 0x2u /* the same, without AVX-512 */
#define OMNI_AEAD_NO_AVX2 0x4u	 /* the same, without AVX2 */
#define OMNI_AEAD_NO_OWN 0x8u	 /* libraries only */

/*
 * The flags that mask, names parted by commas, asks for: "aes", "avx512", "avx2" (then no AVX-512
 * either), "own". NULL and "" ask for none. 0, or -EINVAL for a name that is none of these. Any
 * thread.
 */
int omni_aead_flags(uint32_t *flags, const char *mask) OMNI_MUST_CHECK;

/*
 * State for one thread, on the fastest code that the CPU has. NULL with errno ENOMEM, or ENOTSUP
 * where a crypto library does not start. Not for workers: control makes it and hands it to the
 * worker before that starts.
 */
struct omni_aead *omni_aead_create(uint32_t flags) OMNI_MUST_CHECK;

/* Wipe and free; NULL is fine. */
void omni_aead_free(struct omni_aead *aead);

/*
 * True where keys of cipher can be made: ChaCha20-Poly1305 always, AES-256-GCM only with the
 * CPU's AES instructions. Any thread.
 */
bool omni_aead_has(const struct omni_aead *aead, unsigned int cipher);

/*
 * Name of the code in use for cipher, for people: "avx512-ifma" and "avx2" (ChaCha20-Poly1305
 * of our own, eight packets side by side), "vaes" (AES-256-GCM of our own), "ipsec-mb avx512",
 * "ipsec-mb avx2", "ipsec-mb avx", "ipsec-mb sse", "libsodium", "none".
 */
const char *omni_aead_arch(const struct omni_aead *aead, unsigned int cipher);

/*
 * Make a key for cipher into *out, for states that were created with the same flags as aead. The
 * caller owns it, still owns (and wipes) key, and frees *out with omni_aead_key_free once no
 * thread can use it any more. 0, -ENOMEM, -ENOTSUP where omni_aead_has says no, -EINVAL for an
 * unknown cipher; *out is NULL then. Not for workers.
 */
int omni_aead_key_create(struct omni_aead_key **out, struct omni_aead *aead, unsigned int cipher,
			 const struct omni_key *key) OMNI_MUST_CHECK;

/* Wipe and free; NULL is fine. Not for workers. */
void omni_aead_key_free(struct omni_aead_key *key);

/*
 * The same in memory of the caller's: omni_aead_key_size bytes, a multiple of
 * OMNI_AEAD_KEY_ALIGN, at a multiple of that. _wipe leaves zeros and frees nothing.
 */
#define OMNI_AEAD_KEY_ALIGN 64 /* a line of the cache */
size_t omni_aead_key_size(const struct omni_aead *aead, unsigned int cipher);
int omni_aead_key_init(struct omni_aead_key *at, struct omni_aead *aead, unsigned int cipher,
		       const struct omni_key *key) OMNI_MUST_CHECK;
void omni_aead_key_wipe(struct omni_aead_key *key);

/*
 * Start fetching what a packet of len bytes will read of a key of that cipher: for bursts with
 * many keys, which otherwise wait for memory one after the other. Any thread.
 */
void omni_aead_key_fetch(const struct omni_aead_key *key, unsigned int cipher, uint32_t len);

/* The cipher of a key. Any thread. */
unsigned int omni_aead_key_cipher(const struct omni_aead_key *key);

/*
 * Encrypt n <= OMNI_AEAD_BURST_MAX packets: src to dst, and the tag of aad and ciphertext to
 * tag. That no (key, nonce) comes twice is the caller's duty. Cannot fail. Owner of aead.
 */
void omni_aead_seal_burst(struct omni_aead *aead, const struct omni_aead_op *ops, unsigned int n);

/*
 * Decrypt n <= OMNI_AEAD_BURST_MAX packets and check their tags in constant time. Bit i of the
 * result is set where packet i is authentic. Where it is not, dst holds garbage that an attacker
 * may have chosen, in place the ciphertext is gone: drop the packet, look at nothing in it.
 * Bits from n on are zero. Owner of aead.
 */
uint64_t omni_aead_open_burst(struct omni_aead *aead, const struct omni_aead_op *ops,
			      unsigned int n) OMNI_MUST_CHECK;

#endif
