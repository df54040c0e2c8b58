/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_identity.h>
#include <omni_keytree.h>
#include <omni_secret.h>

#include "vectors.h"

static char folder[] = "/tmp/omni-identity-XXXXXX";
static char path[64];

#define GOOD "omni-identity-v1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n"

static void put(const char *text, size_t len, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Loading fails with code and a sentence that holds path and words; nothing is left in id. */
static void refused(int code, const char *words)
{
	struct omni_identity id;
	struct omni_err err;

	memset(&id, 0xff, sizeof(id));
	assert_int_equal(omni_identity_load(&id, path, &err), code);
	if (strstr(err.text, words) == NULL || strstr(err.text, path) == NULL)
		fail_msg("\"%s\" does not say \"%s\" of %s", err.text, words, path);
	assert_true(omni_is_zero_ct(&id, sizeof(id)));
	assert_int_equal(omni_identity_load(&id, path, NULL), code);
}

static void round_trip(void **state)
{
	struct omni_identity made, loaded;
	struct omni_key seed;
	struct omni_err err;
	struct stat st;

	(void)state;
	for (uint8_t i = 0; i < sizeof(seed); i++)
		seed.b[i] = i + 1;
	umask(0);
	assert_int_equal(omni_identity_create(&made, path, &seed, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, strlen(GOOD));
	assert_int_equal(omni_identity_load(&loaded, path, &err), 0);
	assert_memory_equal(&made, &loaded, sizeof(made));
	put(GOOD, strlen(GOOD), 0600);
	assert_int_equal(omni_identity_load(&loaded, path, &err), 0);
	assert_memory_equal(&made, &loaded, sizeof(made));
	put(GOOD, strlen(GOOD) - 1, 0400); /* no line feed, not even writable */
	assert_int_equal(omni_identity_load(&loaded, path, NULL), 0);
	omni_identity_wipe(&loaded);
	assert_true(omni_is_zero_ct(&loaded, sizeof(loaded)));
}

static void create_replaces_nothing(void **state)
{
	static const struct omni_key seed;
	struct omni_identity id;
	struct omni_err err;
	char other[80];

	(void)state;
	put("precious", 8, 0644);
	assert_int_equal(omni_identity_create(&id, path, &seed, &err), -EEXIST);
	assert_non_null(strstr(err.text, "exists already"));
	assert_true(omni_is_zero_ct(&id, sizeof(id)));
	unlink(path);
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(omni_identity_create(&id, path, &seed, &err), -EEXIST);
	assert_int_equal(access(other, F_OK), -1);
	snprintf(other, sizeof(other), "%s/none/key", folder);
	assert_int_equal(omni_identity_create(&id, other, &seed, &err), -ENOENT);
	assert_non_null(strstr(err.text, "No such file"));
}

static void modes(void **state)
{
	static const mode_t wide[] = {0640, 0604, 0610, 0601, 0620, 0602, 0644, 0666, 0777};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(wide); i++) {
		put(GOOD, strlen(GOOD), wide[i]);
		refused(-EACCES, "chmod 600");
	}
}

static void owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	put(GOOD, strlen(GOOD), 0600);
	assert_int_equal(chown(path, 12345, 12345), 0);
	refused(-EPERM, "belongs to user 12345");
}

static void truncated(void **state)
{
	(void)state;
	for (size_t len = 0; len + 1 < strlen(GOOD); len++) {
		put(GOOD, len, 0600);
		refused(-ENODATA, "truncated");
	}
}

static void not_an_identity(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"omni-identity-v2 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n", "must begin"},
		{"hello\n", "must begin"},
		{GOOD "\n", "more than one line"},
		{GOOD GOOD, "more than one line"},
		{"omni-identity-v1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA= ", "more than one"},
		{"omni-identity-v1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy!=\n", "base64"},
		{"omni-identity-v1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==\n", "base64"},
		{"omni-identity-v1 AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n", "base64"},
	};

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		put(bad[i].text, strlen(bad[i].text), 0600);
		refused(-EINVAL, bad[i].words);
	}
}

static void wireguard_keys(void **state)
{
	static const char secret[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
	static const char public[] = "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=";
	char line[64], text[OMNI_KEY_B64_LEN];
	struct omni_identity id;

	(void)state;
	for (int feed = 0; feed < 2; feed++) {
		snprintf(line, sizeof(line), "%s%s", secret, feed ? "\n" : "");
		put(line, strlen(line), 0600);
		assert_int_equal(omni_identity_load(&id, path, NULL), 0);
		assert_false(id.has_sign);
		assert_true(omni_is_zero_ct(&id.sign_secret, sizeof(id.sign_secret)));
		assert_string_equal(omni_key_text(text, &id.dh.public), public);
		assert_int_equal(id.dh.secret.b[31], 0x5f);
	}
	put(line, strlen(line), 0640);
	refused(-EACCES, "chmod 600");
	snprintf(line, sizeof(line), "%s\nmore", secret);
	put(line, strlen(line), 0600);
	refused(-EINVAL, "not an identity file");
	snprintf(line, sizeof(line), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
	put(line, strlen(line), 0600);
	refused(-EINVAL, "all zero");
}

static void not_a_file(void **state)
{
	char other[80];

	(void)state;
	unlink(path);
	refused(-ENOENT, "no such file");
	snprintf(other, sizeof(other), "%s/other", folder);
	put(GOOD, strlen(GOOD), 0600);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	refused(-ELOOP, "symbolic link");
	unlink(path);
	unlink(other);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(-EINVAL, "not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(-EINVAL, "not a regular file");
	assert_int_equal(rmdir(path), 0);
}

static void identities_as_python_has_them(void **state)
{
	struct omni_key seed, want, dh;
	struct omni_identity id;
	struct omni_ip vip, got;
	unsigned int count = 0;
	struct vec v;

	(void)state;
	vec_open(&v, "keytree.txt");
	while (vec_next(&v)) {
		if (strcmp(v.field[0], "identity") != 0)
			continue;
		vec_exact(&v, 1, &seed, sizeof(seed));
		omni_identity_from_seed(&id, &seed);
		vec_exact(&v, 2, &want, sizeof(want));
		assert_memory_equal(&id.sign_public, &want, sizeof(want));
		vec_exact(&v, 3, &want, sizeof(want));
		assert_memory_equal(&id.dh.secret, &want, sizeof(want));
		vec_exact(&v, 4, &want, sizeof(want));
		assert_memory_equal(&id.dh.public, &want, sizeof(want));
		assert_int_equal(omni_sign_public_to_dh(&dh, &id.sign_public), 0);
		assert_memory_equal(&dh, &want, sizeof(want));
		vec_exact(&v, 5, &vip, sizeof(vip));
		got = omni_vip_auto(&id.dh.public);
		assert_memory_equal(&got, &vip, sizeof(vip));
		count++;
	}
	vec_close(&v);
	assert_int_equal(count, 4);
}

static enum omni_cluster_kind kind_of(const char *text)
{
	return strcmp(text, "secret") == 0 ? OMNI_CLUSTER_SECRET
	       : strcmp(text, "open") == 0 ? OMNI_CLUSTER_OPEN
					   : OMNI_CLUSTER_STATIC;
}

static void check_cluster(const struct vec *v)
{
	static const char record[] = "omni record v1\0a record's bytes";
	enum omni_cluster_kind kind = kind_of(v->field[1]);
	uint8_t secret[512], want_sig[OMNI_SIGNATURE_LEN], sig[OMNI_SIGNATURE_LEN];
	struct omni_key want, a, b, psk;
	struct omni_keytree tree;
	char name[65] = "";
	size_t len;

	vec_hex(v, 2, name, sizeof(name) - 1);
	len = vec_hex(v, 3, secret, sizeof(secret));
	assert_int_equal(omni_keytree_make(&tree, kind, name, len > 0 ? secret : NULL, len, NULL),
			 0);
	vec_exact(v, 4, &want, sizeof(want));
	assert_memory_equal(&tree.cluster_id, &want, sizeof(want));
	vec_exact(v, 6, &a, sizeof(a));
	vec_exact(v, 7, &b, sizeof(b));
	vec_exact(v, 8, &want, sizeof(want));
	omni_keytree_psk(&psk, &tree, &a, &b);
	assert_memory_equal(&psk, &want, sizeof(want));
	omni_keytree_psk(&psk, &tree, &b, &a);
	assert_memory_equal(&psk, &want, sizeof(want));
	if (kind == OMNI_CLUSTER_STATIC) {
		assert_true(omni_is_zero_ct(&psk, sizeof(psk)));
		assert_true(omni_is_zero_ct(&tree.proof_key, sizeof(tree.proof_key)));
		assert_true(omni_is_zero_ct(&tree.sign_secret, sizeof(tree.sign_secret)));
		return;
	}
	vec_exact(v, 5, &want, sizeof(want));
	assert_memory_equal(&tree.proof_key, &want, sizeof(want));
	vec_exact(v, 9, want_sig, sizeof(want_sig));
	omni_sign(sig, record, 15, record + 15, sizeof(record) - 1 - 15, &tree.sign_secret);
	assert_memory_equal(sig, want_sig, sizeof(sig));
	assert_true(omni_sign_verify(sig, record, 15, record + 15, sizeof(record) - 1 - 15,
				     &tree.cluster_id));
	omni_keytree_wipe(&tree);
	assert_true(omni_is_zero_ct(&tree, sizeof(tree)));
}

static void clusters_as_python_has_them(void **state)
{
	unsigned int count = 0;
	struct vec v;

	(void)state;
	vec_open(&v, "keytree.txt");
	while (vec_next(&v)) {
		if (strcmp(v.field[0], "cluster") != 0)
			continue;
		check_cluster(&v);
		count++;
	}
	vec_close(&v);
	assert_int_equal(count, 7);
}

static void bad_cluster(enum omni_cluster_kind kind, const char *name, const char *secret,
			const char *words)
{
	struct omni_keytree tree;
	struct omni_err err;

	memset(&tree, 0xff, sizeof(tree));
	assert_int_equal(omni_keytree_make(&tree, kind, name, secret,
					   secret != NULL ? strlen(secret) : 0, &err),
			 -EINVAL);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
	assert_true(omni_is_zero_ct(&tree, sizeof(tree)));
}

static void bad_clusters(void **state)
{
	static const char *const not_utf8[] = {"\x80",
					       "a\xff",
					       "\xc3",
					       "\xc0\x80",
					       "\xe0\x80\x80",
					       "\xe2\x98",
					       "\xed\xa0\x80",
					       "\xf8\x88\x80\x80\x80",
					       "\xf4\x90\x80\x80",
					       "\xf0\x80\x80\x80"};
	char name[66];

	(void)state;
	bad_cluster(OMNI_CLUSTER_SECRET, "a", NULL, "under 16");
	bad_cluster(OMNI_CLUSTER_SECRET, "a", "", "under 16");
	bad_cluster(OMNI_CLUSTER_SECRET, "a", "123456789012345", "gensecret");
	bad_cluster(OMNI_CLUSTER_SECRET, "a", "open:robotics-and-more", "may not begin");
	bad_cluster(OMNI_CLUSTER_SECRET, "", "1234567890123456", "0 bytes");
	memset(name, 'n', 65);
	name[65] = '\0';
	bad_cluster(OMNI_CLUSTER_STATIC, name, NULL, "65 bytes");
	bad_cluster(OMNI_CLUSTER_OPEN, name, NULL, "1 to 64");
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(not_utf8); i++)
		bad_cluster(OMNI_CLUSTER_STATIC, not_utf8[i], NULL, "UTF-8");
}

static int setup(void **state)
{
	(void)state;
	if (omni_crypto_init() < 0 || mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/key", folder);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(round_trip, clear),
		cmocka_unit_test_teardown(create_replaces_nothing, clear),
		cmocka_unit_test_teardown(modes, clear),
		cmocka_unit_test_teardown(owner, clear),
		cmocka_unit_test_teardown(truncated, clear),
		cmocka_unit_test_teardown(not_an_identity, clear),
		cmocka_unit_test_teardown(wireguard_keys, clear),
		cmocka_unit_test_teardown(not_a_file, clear),
		cmocka_unit_test(identities_as_python_has_them),
		cmocka_unit_test(clusters_as_python_has_them),
		cmocka_unit_test(bad_clusters),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
