/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The small case without a file: a configuration from flags. */
#ifndef FLAGS_H
#define FLAGS_H

#include <omni_config.h>

enum flag {
	FLAG_NUCLEUS = 256,
	FLAG_CLUSTER,
	FLAG_SECRET_FILE,
	FLAG_SECRET,
	FLAG_OPEN,
	FLAG_VIP,
	FLAG_INTERFACE,
	FLAG_PORT,
	FLAG_CIPHER,
	FLAG_PEER,
	FLAG_END,
};

#define FLAG_PEERS_MAX 64

/* What was said; texts belong to argv, but for the secret. */
struct flags {
	const char *first; /* name of the first flag; NULL: none was said */
	const char *value[FLAG_END - FLAG_NUCLEUS];
	char *secret;
	const char *nucleus[OMNI_CONFIG_NUCLEUS_MAX];
	const char *peers[FLAG_PEERS_MAX];
	unsigned int n_nucleus, n_peers;
};

/* Take one flag; the text of --secret is overwritten. 0 or -EINVAL. */
int flags_take(struct flags *flags, int flag, const char *name, char *arg, struct omni_err *err);

/* Name of a flag that was said, or NULL. */
static inline const char *flags_any(const struct flags *flags)
{
	return flags->first;
}

/* NULL with a sentence in err. */
struct omni_config *flags_build(const struct flags *flags, struct omni_err *err);

void flags_wipe(struct flags *flags);

#endif
