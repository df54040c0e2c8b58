/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <omni_crypto.h>
#include <omni_secret.h>

#include "vectors.h"

#define LONGEST 8192

static bool has_flag(const struct vec *v, const char *flag)
{
	return strstr(v->field[v->fields - 1], flag) != NULL;
}

static void x25519_wycheproof(void **state)
{
	struct omni_key secret, public, want, shared;
	unsigned int low_order = 0, count = 0;
	struct vec v;

	(void)state;
	vec_open(&v, "x25519.txt");
	for (; vec_next(&v); count++) {
		vec_exact(&v, 2, &secret, sizeof(secret));
		vec_exact(&v, 3, &public, sizeof(public));
		vec_exact(&v, 4, &want, sizeof(want));
		if (has_flag(&v, "ZeroSharedSecret")) {
			memset(&shared, 0xff, sizeof(shared));
			assert_int_equal(omni_x25519(&shared, &secret, &public), -EINVAL);
			assert_true(omni_is_zero_ct(&shared, sizeof(shared)));
			low_order++;
			continue;
		}
		assert_int_equal(omni_x25519(&shared, &secret, &public), 0);
		assert_memory_equal(&shared, &want, sizeof(want));
	}
	vec_close(&v);
	assert_int_equal(count, 518);
	assert_int_equal(low_order, 31);
}

static void x25519_public_is_nine_times_the_secret(void **state)
{
	static const struct omni_key nine = {.b = {9}};
	struct omni_key secret, public, want;

	(void)state;
	memset(&secret, 0x5a, sizeof(secret));
	omni_x25519_public(&public, &secret);
	assert_int_equal(omni_x25519(&want, &secret, &nine), 0);
	assert_memory_equal(&public, &want, sizeof(want));
}

struct aead_case {
	struct omni_key key;
	uint8_t nonce[OMNI_XNONCE_LEN], aad[LONGEST], plain[LONGEST], sealed[LONGEST + 16];
	uint8_t out[LONGEST + 16];
	size_t aad_len, len;
	bool valid;
};

static void read_aead(struct aead_case *c, const struct vec *v, size_t nonce_len)
{
	vec_exact(v, 2, &c->key, sizeof(c->key));
	vec_exact(v, 3, c->nonce, nonce_len);
	c->aad_len = vec_hex(v, 4, c->aad, sizeof(c->aad));
	c->len = vec_hex(v, 5, c->plain, sizeof(c->plain));
	vec_exact(v, 6, c->sealed, c->len);
	vec_exact(v, 7, c->sealed + c->len, OMNI_TAG_LEN);
	c->valid = strcmp(v->field[1], "valid") == 0;
}

static void aead_file(enum omni_cipher cipher, const char *file, unsigned int expected)
{
	static struct aead_case c;
	unsigned int count = 0;
	struct vec v;
	int rc;

	vec_open(&v, file);
	for (; vec_next(&v); count++) {
		read_aead(&c, &v, OMNI_NONCE_LEN);
		rc = omni_aead_open(cipher, c.out, &c.key, c.nonce, c.aad, c.aad_len, c.sealed,
				    c.len + OMNI_TAG_LEN);
		assert_int_equal(rc, c.valid ? 0 : -EBADMSG);
		if (!c.valid)
			continue;
		assert_memory_equal(c.out, c.plain, c.len);
		rc = omni_aead_seal(cipher, c.out, &c.key, c.nonce, c.aad, c.aad_len, c.plain,
				    c.len);
		assert_int_equal(rc, 0);
		assert_memory_equal(c.out, c.sealed, c.len + OMNI_TAG_LEN);
	}
	vec_close(&v);
	assert_int_equal(count, expected);
}

static void chachapoly_wycheproof(void **state)
{
	(void)state;
	aead_file(OMNI_CIPHER_CHACHAPOLY, "chacha20_poly1305.txt", 316);
}

static void aesgcm_wycheproof(void **state)
{
	(void)state;
	if (!omni_crypto_has_aes()) {
		print_message("this CPU has no AES instructions\n");
		skip();
	}
	aead_file(OMNI_CIPHER_AESGCM, "aes256_gcm.txt", 66);
}

static void xchachapoly_wycheproof(void **state)
{
	static struct aead_case c;
	unsigned int count = 0;
	struct vec v;

	(void)state;
	vec_open(&v, "xchacha20_poly1305.txt");
	for (; vec_next(&v); count++) {
		read_aead(&c, &v, OMNI_XNONCE_LEN);
		assert_int_equal(omni_xaead_open(c.out, &c.key, c.nonce, c.aad, c.aad_len, c.sealed,
						 c.len + OMNI_TAG_LEN),
				 c.valid ? 0 : -EBADMSG);
		if (!c.valid)
			continue;
		assert_memory_equal(c.out, c.plain, c.len);
		omni_xaead_seal(c.out, &c.key, c.nonce, c.aad, c.aad_len, c.plain, c.len);
		assert_memory_equal(c.out, c.sealed, c.len + OMNI_TAG_LEN);
	}
	vec_close(&v);
	assert_int_equal(count, 306);
}

/* In place, every short length, and every byte of what is sealed or authenticated flipped. */
static void aead_in_place(enum omni_cipher cipher)
{
	struct omni_key key = {.b = {1, 2, 3}};
	uint8_t nonce[OMNI_NONCE_LEN] = {4}, aad[24], buf[128], copy[128];

	memset(aad, 7, sizeof(aad));
	for (size_t len = 0; len <= 100; len++) {
		memset(buf, 9, sizeof(buf));
		assert_int_equal(omni_aead_seal(cipher, buf, &key, nonce, aad, 24, buf, len), 0);
		for (size_t i = 0; i < len + OMNI_TAG_LEN; i++) {
			memcpy(copy, buf, sizeof(copy));
			copy[i] ^= 0x10;
			assert_int_equal(omni_aead_open(cipher, copy, &key, nonce, aad, 24, copy,
							len + OMNI_TAG_LEN),
					 -EBADMSG);
		}
		memcpy(copy, buf, sizeof(copy));
		assert_int_equal(omni_aead_open(cipher, copy, &key, nonce, aad, 23, copy,
						len + OMNI_TAG_LEN),
				 -EBADMSG);
		assert_int_equal(
			omni_aead_open(cipher, buf, &key, nonce, aad, 24, buf, len + OMNI_TAG_LEN),
			0);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(buf[i], 9);
	}
	for (size_t len = 0; len < OMNI_TAG_LEN; len++)
		assert_int_equal(omni_aead_open(cipher, copy, &key, nonce, aad, 24, buf, len),
				 -EBADMSG);
}

static void aead_edges(void **state)
{
	(void)state;
	aead_in_place(OMNI_CIPHER_CHACHAPOLY);
	if (omni_crypto_has_aes())
		aead_in_place(OMNI_CIPHER_AESGCM);
}

static void aes_can_be_masked(void **state)
{
	static const struct omni_key key;
	static const uint8_t nonce[OMNI_NONCE_LEN];
	bool had = omni_crypto_has_aes();
	uint8_t buf[64] = {0};

	(void)state;
	omni_crypto_mask_aes(true);
	assert_false(omni_crypto_has_aes());
	assert_int_equal(omni_aead_seal(OMNI_CIPHER_AESGCM, buf, &key, nonce, NULL, 0, buf, 8),
			 -ENOTSUP);
	assert_int_equal(omni_aead_open(OMNI_CIPHER_AESGCM, buf, &key, nonce, NULL, 0, buf, 24),
			 -ENOTSUP);
	assert_int_equal(omni_aead_seal(OMNI_CIPHER_CHACHAPOLY, buf, &key, nonce, NULL, 0, buf, 8),
			 0);
	omni_crypto_mask_aes(false);
	assert_int_equal(omni_crypto_has_aes(), had);
}

static void ed25519_wycheproof(void **state)
{
	uint8_t msg[LONGEST], sig[256];
	unsigned int count = 0, whole = 0;
	struct omni_key public;
	struct vec v;

	(void)state;
	vec_open(&v, "ed25519.txt");
	for (; vec_next(&v); count++) {
		bool valid = strcmp(v.field[1], "valid") == 0;
		size_t len, sig_len;

		vec_exact(&v, 2, &public, sizeof(public));
		len = vec_hex(&v, 3, msg, sizeof(msg));
		sig_len = vec_hex(&v, 4, sig, sizeof(sig));
		if (sig_len != OMNI_SIGNATURE_LEN) {
			assert_false(valid); /* no way to express it in this interface */
			continue;
		}
		whole++;
		for (size_t split = 0; split <= len; split += 1 + len / 3)
			assert_int_equal(omni_sign_verify(sig, msg, split, msg + split, len - split,
							  &public),
					 valid);
	}
	vec_close(&v);
	assert_int_equal(count, 151);
	assert_true(whole > 100);
}

static void signing(void **state)
{
	static uint8_t big[OMNI_SIGN_MAX + 1];
	struct omni_key seed = {.b = {42}}, public;
	uint8_t sig[OMNI_SIGNATURE_LEN];
	struct omni_sign_secret secret;

	(void)state;
	omni_sign_from_seed(&secret, &public, &seed);
	omni_sign(sig, "ab", 2, "cd", 2, &secret);
	assert_true(omni_sign_verify(sig, "abc", 3, "d", 1, &public));
	assert_false(omni_sign_verify(sig, "ab", 2, "ce", 2, &public));
	omni_sign(sig, NULL, 0, big, OMNI_SIGN_MAX, &secret);
	assert_true(omni_sign_verify(sig, NULL, 0, big, OMNI_SIGN_MAX, &public));
	assert_false(omni_sign_verify(sig, NULL, 0, big, OMNI_SIGN_MAX + 1, &public));
	assert_false(omni_sign_verify(sig, big, SIZE_MAX, big, 2, &public));
}

static void conversion_refuses_what_is_no_point(void **state)
{
	static const struct omni_key zero, one = {.b = {1}};
	struct omni_key two = {.b = {2}}, dh;

	(void)state;
	assert_int_equal(omni_sign_public_to_dh(&dh, &zero), -EINVAL); /* order 4 */
	assert_int_equal(omni_sign_public_to_dh(&dh, &one), -EINVAL);  /* the neutral element */
	assert_int_equal(omni_sign_public_to_dh(&dh, &two), -EINVAL);  /* not on the curve */
}

static void check_hash(const struct vec *v, uint8_t *key, size_t key_len, uint8_t *in, size_t len)
{
	uint8_t want[32], out[32];
	struct omni_blake2s s;
	size_t out_len = vec_hex(v, 3, want, sizeof(want));

	for (size_t step = 1; step <= len + 1; step += 1 + len / 2) {
		omni_blake2s_init(&s, out_len, key, key_len);
		for (size_t at = 0; at < len; at += step)
			omni_blake2s_update(&s, in + at, OMNI_MIN(step, len - at));
		omni_blake2s_final(&s, out);
		assert_memory_equal(out, want, out_len);
		assert_true(omni_is_zero_ct(&s, sizeof(s)));
	}
	if (key_len > 0) {
		omni_mac(out, out_len, key, key_len, in, len);
		assert_memory_equal(out, want, out_len);
	} else if (out_len == OMNI_HASH_LEN) {
		omni_hash(out, in, len);
		assert_memory_equal(out, want, out_len);
	}
}

static void check_hkdf(const struct vec *v, uint8_t *salt, size_t salt_len, uint8_t *ikm,
		       size_t ikm_len)
{
	static uint8_t info[256], want[255 * 32], out[255 * 32];
	size_t info_len = vec_hex(v, 3, info, sizeof(info));
	size_t out_len = vec_hex(v, 4, want, sizeof(want));

	omni_hkdf(out, out_len, salt, salt_len, ikm, ikm_len, info, info_len);
	assert_memory_equal(out, want, out_len);
}

static void check_kdf(const struct vec *v, uint8_t *ck, uint8_t *in, size_t len)
{
	uint8_t want[3][32], out[3][32];

	for (int i = 0; i < 3; i++)
		vec_exact(v, 3 + i, want[i], 32);
	omni_kdf(out[0], out[1], out[2], ck, in, len);
	assert_memory_equal(out, want, sizeof(want));
	memset(out, 0, sizeof(out));
	omni_kdf(out[0], out[1], NULL, ck, in, len);
	assert_memory_equal(out, want, 64);
	omni_kdf(ck, NULL, NULL, ck, in, len);
	assert_memory_equal(ck, want, 32);
}

static void hashes_as_python_has_them(void **state)
{
	static uint8_t a[512], b[512];
	uint8_t want[32], out[32];
	unsigned int count = 0;
	struct vec v;

	(void)state;
	vec_open(&v, "hash.txt");
	for (; vec_next(&v); count++) {
		size_t a_len = vec_hex(&v, 1, a, sizeof(a)), b_len = vec_hex(&v, 2, b, sizeof(b));

		if (strcmp(v.field[0], "blake2s") == 0) {
			check_hash(&v, a, a_len, b, b_len);
		} else if (strcmp(v.field[0], "hmac") == 0) {
			vec_exact(&v, 3, want, sizeof(want));
			omni_hmac(out, a, a_len, b, b_len);
			assert_memory_equal(out, want, sizeof(want));
			omni_hmac2(out, a, a_len, b, b_len / 2, b + b_len / 2, b_len - b_len / 2);
			assert_memory_equal(out, want, sizeof(want));
		} else if (strcmp(v.field[0], "hkdf") == 0) {
			check_hkdf(&v, a, a_len, b, b_len);
		} else {
			check_kdf(&v, a, b, b_len);
		}
	}
	vec_close(&v);
	assert_int_equal(count, 180 + 28 + 7 + 2);
}

static void blake2s_of_the_rfc(void **state)
{
	static const char *const abc =
		"508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982";
	uint8_t want[32], out[32];

	(void)state;
	vec_unhex(abc, want, sizeof(want));
	omni_hash(out, "abc", 3);
	assert_memory_equal(out, want, sizeof(want));
	omni_hash2(out, "a", 1, "bc", 2);
	assert_memory_equal(out, want, sizeof(want));
}

static int init(void **state)
{
	(void)state;
	return omni_crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_wycheproof),
		cmocka_unit_test(x25519_public_is_nine_times_the_secret),
		cmocka_unit_test(chachapoly_wycheproof),
		cmocka_unit_test(aesgcm_wycheproof),
		cmocka_unit_test(xchachapoly_wycheproof),
		cmocka_unit_test(aead_edges),
		cmocka_unit_test(aes_can_be_masked),
		cmocka_unit_test(ed25519_wycheproof),
		cmocka_unit_test(signing),
		cmocka_unit_test(conversion_refuses_what_is_no_point),
		cmocka_unit_test(blake2s_of_the_rfc),
		cmocka_unit_test(hashes_as_python_has_them),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
