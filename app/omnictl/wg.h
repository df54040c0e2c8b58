/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omnictl wg: what operators of WireGuard know from wg and wg-quick. */
#ifndef WG_H
#define WG_H

#include "omnictl.h"

/*
 * Write FILE.yaml and the key files that it names into dir, or with dir NULL print the YAML. What
 * is not applied goes to standard error.
 */
enum exit_status wg_import(const char *path, const char *dir);

/*
 * Print what wg show prints, of the interface or cluster named which, or of "all", or their names
 * ("interfaces"); word as in wg show INTERFACE WORD, or NULL.
 */
enum exit_status wg_show(const char *socket, const char *which, const char *word);

#endif
