/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A file of wg-quick's, as it is: [Interface] and [Peer] sections. What of it a gateway does not
 * do is told in notes; what nobody knows is an error.
 */
#ifndef OMNI_WG_QUICK_H
#define OMNI_WG_QUICK_H

#include <omni_config.h>

#define OMNI_WG_QUICK_NOTES_MAX 10

struct omni_wg_quick {
	char name[IFNAMSIZ]; /* of the interface: the file's without ".conf" */
	struct omni_key key; /* PrivateKey */
	uint16_t listen;     /* 0: any free port */
	uint16_t mtu;	     /* 0: not said */
	uint32_t fwmark;     /* 0: none */
	uint32_t table;	     /* OMNI_CONFIG_TABLE_NONE: off */
	struct omni_prefix *addresses;
	unsigned int n_addresses;
	struct omni_config_peer *peers; /* dialect WireGuard; each prefix at one of them */
	unsigned int n_peers;
	/* "FILE:LINE: " and a sentence on what is not applied. */
	char notes[OMNI_WG_QUICK_NOTES_MAX][OMNI_CONFIG_WARNING_LEN];
	unsigned int n_notes;
};

/* NULL and "FILE:LINE: what is wrong, what was expected" in err. The caller frees. */
struct omni_wg_quick *omni_wg_quick_load(const char *path, struct omni_err *err) OMNI_MUST_CHECK;

/* The same from len bytes at text; path names the interface, and the file in messages. */
struct omni_wg_quick *omni_wg_quick_parse(const char *text, size_t len, const char *path,
					  struct omni_err *err) OMNI_MUST_CHECK;

/* Wipe the keys and free. NULL is fine. */
void omni_wg_quick_free(struct omni_wg_quick *wg);

/*
 * The gateway that does what the file says: a udp uplink on the host's interfaces, one L3 cluster
 * and one tun port, both named as the interface. Takes over peers and addresses of wg. NULL and a
 * sentence in err.
 */
struct omni_config *omni_config_from_wg_quick(struct omni_wg_quick *wg, const char *path,
					      struct omni_err *err) OMNI_MUST_CHECK;

#endif
