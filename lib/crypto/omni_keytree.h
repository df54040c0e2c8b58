/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Keys of a cluster, from its secret and its name (docs/protocol.md, "Keys of a cluster").
 * omni_keytree_make takes about 100 ms and 64 MiB; the rest is cheap. Any thread.
 */
#ifndef OMNI_KEYTREE_H
#define OMNI_KEYTREE_H

#include <stdbool.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_crypto.h>

enum omni_cluster_kind {
	OMNI_CLUSTER_SECRET, /* members know the secret */
	OMNI_CLUSTER_OPEN,   /* anyone who knows the name */
	OMNI_CLUSTER_STATIC, /* the listed peers only: no secret, no Nucleus, zero proofs */
};

struct omni_keytree {
	enum omni_cluster_kind kind;
	struct omni_key cluster_id;	     /* Ed25519 public key, or a hash for a static one */
	struct omni_sign_secret sign_secret; /* the id's secret key; zero in a static cluster */
	struct omni_key proof_key;	     /* of member proofs; zero in a static cluster */
	struct omni_key root; /* kept for the pairwise keys; zero in a static cluster */
};

/*
 * Derive the keys. secret and secret_len only for OMNI_CLUSTER_SECRET (NULL and 0 otherwise).
 * -EINVAL with a sentence in err: a name that is not UTF-8 of 1 to 64 bytes, a secret under 16
 * characters or beginning with "open:". -ENOMEM: no 64 MiB. On failure tree is all zero.
 */
int omni_keytree_make(struct omni_keytree *tree, enum omni_cluster_kind kind, const char *name,
		      const void *secret, size_t secret_len, struct omni_err *err) OMNI_MUST_CHECK;

/* The pre-shared key of two members (X25519 keys, either order). Zero in a static cluster. */
void omni_keytree_psk(struct omni_key *psk, const struct omni_keytree *tree,
		      const struct omni_key *a, const struct omni_key *b);

void omni_keytree_wipe(struct omni_keytree *tree);

/* The address that `vip: auto` gives to an X25519 key: in fd00::/8. */
struct omni_ip omni_vip_auto(const struct omni_key *dh_public);

#endif
