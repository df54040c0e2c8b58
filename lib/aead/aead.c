/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing of thread states and keys. */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include <omni_secret.h>

#include "aead_gcm_vaes.h"

#define KEY_ALIGN OMNI_AEAD_KEY_ALIGN

static_assert(alignof(struct aead_gcm_key) == KEY_ALIGN &&
		      alignof(struct aead_gcm_library_key) == KEY_ALIGN &&
		      alignof(struct aead_chacha_key) == KEY_ALIGN,
	      "all keys begin with a line");

static const struct {
	const char *name;
	uint32_t flag;
} masks[] = {
	{"aes", OMNI_AEAD_NO_AES},
	{"own", OMNI_AEAD_NO_OWN},
	{"avx512", OMNI_AEAD_NO_AVX512},
	{"avx2", OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_AVX2},
};

/* The flag of the len bytes at name, 0 where there is none. */
static uint32_t mask_flag(const char *name, size_t len)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(masks); i++)
		if (strlen(masks[i].name) == len && memcmp(masks[i].name, name, len) == 0)
			return masks[i].flag;
	return 0;
}

int omni_aead_flags(uint32_t *flags, const char *mask)
{
	*flags = 0;
	if (mask == NULL || *mask == 0)
		return 0;
	for (;;) {
		size_t len = strcspn(mask, ",");
		uint32_t flag = mask_flag(mask, len);

		if (flag == 0)
			return -EINVAL;
		*flags |= flag;
		if (mask[len] == 0)
			return 0;
		mask += len + 1;
	}
}

/* Everything that aead_chacha_avx512_dp.c is compiled for, in the CPU and in the kernel. */
static bool has_avx512(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
	       __builtin_cpu_supports("avx512vl") != 0 &&
	       __builtin_cpu_supports("avx512ifma") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

/* The same for aead_chacha_avx2_dp.c. */
static bool has_avx2(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") != 0;
}

/* The same for aead_gcm_vaes_dp.c. */
static bool has_vaes(void)
{
	const unsigned int wanted = bit_VAES | bit_VPCLMULQDQ;
	unsigned int a, b, c = 0, d;

	/* Not by name: clang 14 knows neither of the two. */
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (c & wanted) != wanted)
		return false;
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
	       __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("bmi2") != 0;
}

static void init_mb_mgr(IMB_MGR *mgr, uint32_t flags, IMB_ARCH *arch)
{
	const uint64_t avx2 = IMB_FEATURE_AVX2;

	init_mb_mgr_auto(mgr, arch);
	if (*arch == IMB_ARCH_NONE)
		return;
	if ((flags & OMNI_AEAD_NO_AVX2) != 0)
		init_mb_mgr_sse(mgr);
	else if ((flags & OMNI_AEAD_NO_AVX512) != 0 && (mgr->features & avx2) != 0)
		init_mb_mgr_avx2(mgr);
}

/* 0 with mgr NULL where the CPU cannot run the library, -ENOMEM. */
static int start_ipsec_mb(struct omni_aead *aead, uint32_t flags)
{
	IMB_ARCH arch = IMB_ARCH_NONE;

	aead->mgr = alloc_mb_mgr(0);
	if (aead->mgr == NULL)
		return imb_get_errno(NULL) == ENOMEM ? -ENOMEM : 0;
	init_mb_mgr(aead->mgr, flags, &arch);
	if (arch == IMB_ARCH_NONE || imb_get_errno(aead->mgr) != 0) {
		free_mb_mgr(aead->mgr);
		aead->mgr = NULL;
	}
	return 0;
}

static const struct aead_backend *chacha_backend(const struct omni_aead *aead, uint32_t flags)
{
	const uint32_t no_avx2 = OMNI_AEAD_NO_AVX2 | OMNI_AEAD_NO_OWN;
	const uint32_t no_avx512 = no_avx2 | OMNI_AEAD_NO_AVX512;

	if ((flags & no_avx512) == 0 && has_avx512())
		return &aead_chacha_avx512;
	if ((flags & no_avx2) == 0 && has_avx2())
		return &aead_chacha_avx2;
	return aead->mgr != NULL ? &aead_chacha : &aead_chacha_sodium;
}

struct omni_aead *omni_aead_create(uint32_t flags)
{
	const uint32_t no_wide = OMNI_AEAD_NO_AVX512 | OMNI_AEAD_NO_OWN;
	struct omni_aead *aead;

	if (sodium_init() < 0) {
		errno = ENOTSUP;
		return NULL;
	}
	aead = aligned_alloc(alignof(struct omni_aead), sizeof(*aead));
	if (aead == NULL)
		return NULL;
	memset(aead, 0, sizeof(*aead));
	if ((flags & OMNI_AEAD_NO_AES) == 0 && start_ipsec_mb(aead, flags) < 0) {
		free(aead);
		errno = ENOMEM;
		return NULL;
	}
	if (aead->mgr != NULL && (aead->mgr->features & IMB_FEATURE_AESNI) != 0)
		aead->gcm = (flags & no_wide) == 0 && has_vaes() ? &aead_gcm_vaes : &aead_gcm;
	aead->chacha = chacha_backend(aead, flags);
	return aead;
}

void omni_aead_free(struct omni_aead *aead)
{
	if (aead == NULL)
		return;
	if (aead->mgr != NULL)
		free_mb_mgr(aead->mgr);
	omni_wipe(aead, sizeof(*aead));
	free(aead);
}

bool omni_aead_has(const struct omni_aead *aead, unsigned int cipher)
{
	return cipher == OMNI_AEAD_CHACHAPOLY || (cipher == OMNI_AEAD_AESGCM && aead->gcm != NULL);
}

static const char *ipsec_mb_arch(const struct omni_aead *aead)
{
	switch ((IMB_ARCH)aead->mgr->used_arch) {
	case IMB_ARCH_AVX512:
		return "ipsec-mb avx512";
	case IMB_ARCH_AVX2:
		return "ipsec-mb avx2";
	case IMB_ARCH_AVX:
		return "ipsec-mb avx";
	default:
		return "ipsec-mb sse";
	}
}

const char *omni_aead_arch(const struct omni_aead *aead, unsigned int cipher)
{
	if (!omni_aead_has(aead, cipher))
		return "none";
	if (cipher == OMNI_AEAD_AESGCM && aead->gcm == &aead_gcm_vaes)
		return "vaes";
	if (cipher == OMNI_AEAD_CHACHAPOLY && aead->chacha == &aead_chacha_avx512)
		return "avx512-ifma";
	if (cipher == OMNI_AEAD_CHACHAPOLY && aead->chacha == &aead_chacha_avx2)
		return "avx2";
	if (cipher == OMNI_AEAD_CHACHAPOLY && aead->chacha == &aead_chacha_sodium)
		return "libsodium";
	return ipsec_mb_arch(aead);
}

size_t omni_aead_key_size(const struct omni_aead *aead, unsigned int cipher)
{
	if (cipher == OMNI_AEAD_CHACHAPOLY)
		return sizeof(struct aead_chacha_key);
	if (aead->gcm == &aead_gcm_vaes)
		return sizeof(struct aead_gcm_key);
	return sizeof(struct aead_gcm_library_key);
}

static void make_chacha(struct omni_aead_key *at, const struct omni_key *key)
{
	struct aead_chacha_key *k = (struct aead_chacha_key *)(void *)at;

	memcpy(k->key, key->b, sizeof(k->key));
}

static void make_gcm_library(struct omni_aead_key *at, struct omni_aead *aead,
			     const struct omni_key *key)
{
	struct aead_gcm_library_key *k = (struct aead_gcm_library_key *)(void *)at;

	IMB_AES256_GCM_PRE(aead->mgr, key->b, &k->data);
}

static void make_gcm(struct omni_aead_key *at, struct omni_aead *aead, const struct omni_key *key)
{
	struct aead_gcm_key *k = (struct aead_gcm_key *)(void *)at;
	alignas(16) uint8_t decrypt[sizeof(k->round)];

	IMB_AES_KEYEXP_256(aead->mgr, key->b, k->round, decrypt);
	omni_wipe(decrypt, sizeof(decrypt));
	aead_gcm_vaes_init(k);
}

int omni_aead_key_init(struct omni_aead_key *at, struct omni_aead *aead, unsigned int cipher,
		       const struct omni_key *key)
{
	size_t size = omni_aead_key_size(aead, cipher);

	if (cipher != OMNI_AEAD_AESGCM && cipher != OMNI_AEAD_CHACHAPOLY)
		return -EINVAL;
	if (!omni_aead_has(aead, cipher))
		return -ENOTSUP;
	memset(at, 0, size);
	*at = (struct omni_aead_key){.size = (uint16_t)size, .cipher = (uint8_t)cipher};
	if (cipher == OMNI_AEAD_CHACHAPOLY)
		make_chacha(at, key);
	else if (aead->gcm == &aead_gcm_vaes)
		make_gcm(at, aead, key);
	else
		make_gcm_library(at, aead, key);
	return 0;
}

void omni_aead_key_wipe(struct omni_aead_key *key)
{
	omni_wipe(key, key->size);
}

int omni_aead_key_create(struct omni_aead_key **out, struct omni_aead *aead, unsigned int cipher,
			 const struct omni_key *key)
{
	struct omni_aead_key *k = aligned_alloc(KEY_ALIGN, omni_aead_key_size(aead, cipher));
	int rc = k != NULL ? omni_aead_key_init(k, aead, cipher, key) : -ENOMEM;

	*out = rc == 0 ? k : NULL;
	if (rc != 0)
		free(k);
	return rc;
}

void omni_aead_key_free(struct omni_aead_key *key)
{
	if (key == NULL)
		return;
	omni_aead_key_wipe(key);
	free(key);
}

unsigned int omni_aead_key_cipher(const struct omni_aead_key *key)
{
	return key->cipher;
}
