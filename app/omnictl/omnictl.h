/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operator's command line: a client of the management socket without logic of its own. */
#ifndef OMNICTL_H
#define OMNICTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <omni_base.h>

#define OMNICTL_SOCKET "/run/omni/gateway.sock"

enum exit_status {
	EXIT_OK = 0,
	EXIT_REFUSED = 1, /* the gateway answered an error, or a local command failed */
	EXIT_USAGE = 2,
	EXIT_NO_GATEWAY = 3,
};

/*
 * Call method at the socket and wait for the answer. EXIT_OK and a new reference in *result, or
 * another status with a sentence in err. params is borrowed, NULL for none.
 */
enum exit_status client_call(const char *path, const char *method, json_t *params, json_t **result,
			     struct omni_err *err);

/*
 * Print a result for people: an array of objects as a table, an object as a list. columns (names
 * separated by spaces, or NULL) are the heading of an empty table; zeros: print members that are
 * 0 too. 0 or -ENOMEM.
 */
int print_result(FILE *out, const json_t *result, const char *columns, bool zeros);

/*
 * Bring out what was printed: status, or EXIT_REFUSED and a sentence where standard output does not
 * take it.
 */
enum exit_status print_done(enum exit_status status);

/* A secret is about to go to standard output: say so where that is a file that others can read. */
void local_warn_if_open(void);

/* Commands that need no gateway. */
enum exit_status local_gensecret(void);
enum exit_status local_genkey(void);
/* Of the identity file at path; NULL: of the private key on standard input. */
enum exit_status local_pubkey(const char *path);

extern const char help_text[];

#endif
