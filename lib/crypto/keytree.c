/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include <omni_keytree.h>
#include <omni_secret.h>

#define LABEL_SALT "omni cluster v1"
#define LABEL_SIGNAL "omni signal v1"
#define LABEL_MEMBER "omni member v1"
#define LABEL_PSK "omni psk v1"
#define LABEL_STATIC "omni static v1"
#define LABEL_VIP "omni vip v1"
#define OPEN_PREFIX "open:"
#define OPEN_PREFIX_LEN (sizeof(OPEN_PREFIX) - 1)

#define ARGON_PASSES 3
#define ARGON_MEMORY (UINT32_C(64) << 20)

/* Length in bytes of the UTF-8 character at p (RFC 3629, no surrogates), 0 if it is none. */
static size_t utf8_len(const uint8_t *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80	     ? 1
		     : (p[0] & 0xe0) == 0xc0 ? 2
		     : (p[0] & 0xf0) == 0xe0 ? 3
		     : (p[0] & 0xf8) == 0xf0 ? 4
					     : 0;
	uint32_t c = p[0] & (0x7f >> len);

	if (len <= 1)
		return len;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the terminating zero too */
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

static bool is_utf8(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	while (*p != 0) {
		size_t len = utf8_len(p);

		if (len == 0)
			return false;
		p += len;
	}
	return true;
}

static int check_name(const char *name, struct omni_err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > OMNI_CLUSTER_NAME_MAX)
		return omni_fail(err, -EINVAL, "cluster name: %zu bytes, must be 1 to %d", len,
				 OMNI_CLUSTER_NAME_MAX);
	if (!is_utf8(name))
		return omni_fail(err, -EINVAL, "cluster name: not UTF-8");
	return 0;
}

static int check_secret(const uint8_t *secret, size_t len, struct omni_err *err)
{
	if (secret == NULL || len < OMNI_SECRET_MIN)
		return omni_fail(err, -EINVAL,
				 "cluster secret: under %d characters; `omnictl gensecret` prints "
				 "a good one",
				 OMNI_SECRET_MIN);
	if (memcmp(secret, OPEN_PREFIX, OPEN_PREFIX_LEN) == 0)
		return omni_fail(err, -EINVAL, "cluster secret: may not begin with \"%s\"",
				 OPEN_PREFIX);
	return 0;
}

static void derive(struct omni_key *out, const struct omni_key *root, const void *info, size_t len)
{
	omni_hkdf(out->b, sizeof(out->b), NULL, 0, root, sizeof(*root), info, len);
}

static int derive_root(struct omni_key *root, const char *name, const void *secret, size_t len)
{
	uint8_t digest[OMNI_HASH_LEN];

	static_assert(crypto_pwhash_argon2id_SALTBYTES == 16, "salt");
	omni_hash2(digest, LABEL_SALT, strlen(LABEL_SALT), name, strlen(name));
	if (crypto_pwhash_argon2id(root->b, sizeof(root->b), secret, len, digest, ARGON_PASSES,
				   ARGON_MEMORY, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
		return -ENOMEM;
	return 0;
}

static int derive_tree(struct omni_keytree *tree, const char *name, const void *secret, size_t len,
		       struct omni_err *err)
{
	struct omni_key seed;
	int rc = derive_root(&tree->root, name, secret, len);

	if (rc < 0)
		return omni_fail(err, rc, "cluster %s: no 64 MiB of memory to derive its keys",
				 name);
	derive(&seed, &tree->root, LABEL_SIGNAL, strlen(LABEL_SIGNAL));
	omni_sign_from_seed(&tree->sign_secret, &tree->cluster_id, &seed);
	omni_wipe(&seed, sizeof(seed));
	derive(&tree->proof_key, &tree->root, LABEL_MEMBER, strlen(LABEL_MEMBER));
	return 0;
}

int omni_keytree_make(struct omni_keytree *tree, enum omni_cluster_kind kind, const char *name,
		      const void *secret, size_t secret_len, struct omni_err *err)
{
	char open_secret[OPEN_PREFIX_LEN + OMNI_CLUSTER_NAME_MAX + 1];
	int rc = check_name(name, err);

	memset(tree, 0, sizeof(*tree));
	if (rc < 0)
		return rc;
	tree->kind = kind;
	switch (kind) {
	case OMNI_CLUSTER_STATIC:
		assert(secret == NULL);
		omni_hash2(tree->cluster_id.b, LABEL_STATIC, strlen(LABEL_STATIC), name,
			   strlen(name));
		return 0;
	case OMNI_CLUSTER_OPEN:
		assert(secret == NULL);
		snprintf(open_secret, sizeof(open_secret), "%s%s", OPEN_PREFIX, name);
		rc = derive_tree(tree, name, open_secret, strlen(open_secret), err);
		break;
	case OMNI_CLUSTER_SECRET:
		rc = check_secret(secret, secret_len, err);
		if (rc == 0)
			rc = derive_tree(tree, name, secret, secret_len, err);
		break;
	}
	if (rc < 0)
		omni_keytree_wipe(tree);
	return rc;
}

void omni_keytree_psk(struct omni_key *psk, const struct omni_keytree *tree,
		      const struct omni_key *a, const struct omni_key *b)
{
	uint8_t info[sizeof(LABEL_PSK) - 1 + 2 * OMNI_KEY_LEN];
	const struct omni_key *lower = memcmp(a, b, sizeof(*a)) < 0 ? a : b;
	const struct omni_key *higher = lower == a ? b : a;

	if (tree->kind == OMNI_CLUSTER_STATIC) {
		memset(psk, 0, sizeof(*psk));
		return;
	}
	memcpy(info, LABEL_PSK, sizeof(LABEL_PSK) - 1);
	memcpy(info + sizeof(LABEL_PSK) - 1, lower, OMNI_KEY_LEN);
	memcpy(info + sizeof(LABEL_PSK) - 1 + OMNI_KEY_LEN, higher, OMNI_KEY_LEN);
	derive(psk, &tree->root, info, sizeof(info));
}

void omni_keytree_wipe(struct omni_keytree *tree)
{
	omni_wipe(tree, sizeof(*tree));
}

struct omni_ip omni_vip_auto(const struct omni_key *dh_public)
{
	uint8_t digest[OMNI_HASH_LEN];
	struct omni_ip vip = {.b = {0xfd}};

	omni_hash2(digest, LABEL_VIP, strlen(LABEL_VIP), dh_public, sizeof(*dh_public));
	memcpy(vip.b + 1, digest, sizeof(vip.b) - 1);
	return vip;
}
