/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The identity of a box: an Ed25519 seed in a file of one line, "omni-identity-v1 BASE64SEED",
 * and the keys that follow from it; or a private key of WireGuard's, in base64 alone, from which
 * no key to sign with follows. Control thread only (file access).
 */
#ifndef OMNI_IDENTITY_H
#define OMNI_IDENTITY_H

#include <omni_base.h>
#include <omni_crypto.h>

struct omni_identity {
	bool has_sign; /* else the first two are all zero: no Nucleus, no record */
	struct omni_sign_secret sign_secret; /* Ed25519: seed and public key */
	struct omni_key sign_public;
	struct omni_dh_pair dh; /* X25519, derived: the static key of Noise, and the box's name */
};

void omni_identity_from_seed(struct omni_identity *id, const struct omni_key *seed);

/* From an X25519 private key. 0; -EINVAL: it is all zero, and so is id. */
int omni_identity_from_wireguard(struct omni_identity *id,
				 const struct omni_key *secret) OMNI_MUST_CHECK;

/*
 * Read the file at path. The last part of path may not be a symbolic link; the file must be a
 * regular one, belong to this user (or root) and be closed to group and others.
 * -ENOENT missing, -ELOOP a link, -EPERM foreign owner, -EACCES mode too wide, -ENODATA
 * truncated or empty, -EINVAL anything else that is no identity, or what open and read say.
 * err receives a sentence that names the file and what to do. On failure id is all zero.
 */
int omni_identity_load(struct omni_identity *id, const char *path,
		       struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Make a new identity from seed (random bytes of the caller's) in a new file with mode 0600.
 * Never replaces a file (-EEXIST); the file is on disk when 0 is returned, and not there at all
 * after an error.
 */
int omni_identity_create(struct omni_identity *id, const char *path, const struct omni_key *seed,
			 struct omni_err *err) OMNI_MUST_CHECK;

void omni_identity_wipe(struct omni_identity *id);

#endif
