/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef NUCLEUS_OPTIONS_H
#define NUCLEUS_OPTIONS_H

#include <stdbool.h>

#include <omni_addr.h>

struct options {
	struct omni_ip listen;
	bool any; /* no --listen: every address of both families */
	uint16_t port;
	const char *allow_file, *key_file; /* NULL: not given */
};

enum options_verdict {
	OPTIONS_RUN,
	OPTIONS_DONE, /* --help or --version was answered */
	OPTIONS_WRONG,
};

/* Reads argv; says on standard error what is wrong with it. Sets the log level. */
enum options_verdict options_parse(struct options *o, int argc, char **argv);

/* Read the file of cluster ids. *ids is the caller's to free. 0 or negative errno with a sentence.
 */
int allow_load(struct omni_key **ids, size_t *n, const char *path, struct omni_err *err);

#endif
