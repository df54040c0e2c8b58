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

struct wg_export {
	const char *name;
	const char *cluster;  /* NULL: the only one */
	const char *address;  /* list, of the peer */
	const char *behind;   /* list, subnets behind the peer; NULL: none */
	const char *allowed;  /* list, what it sends to us; NULL: the cluster's subnets */
	const char *endpoint; /* ours, as the peer sees it; NULL: it is told none */
	const char *dns;      /* NULL: none */
	unsigned int mtu;     /* 0: not said */
	unsigned int keepalive;
	bool add; /* to the running gateway */
	bool qr;  /* print a QR code instead of the file */
	const char *svg;
};

/* Make a peer's keys and configuration file; print it, and what the gateway's lacks for it. */
enum exit_status wg_export(const char *socket, const struct wg_export *ask);

/* The words behind wg. */
enum exit_status wg_run(const char *socket, int argc, char **argv);

#endif
