/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What stands behind a packet's IP headers. */
#ifndef OMNI_NODE_CONTENT_H
#define OMNI_NODE_CONTENT_H

#include "l3.h"

#define ICMP_HDR_LEN 8

/* What a packet carries, as far as it can be seen. */
struct content {
	uint8_t proto;
	bool known;    /* proto and at; else the headers go on too long, or break off */
	bool readable; /* its first bytes are there */
	bool fragment; /* a part of something */
	bool later;    /* and not its first one */
	uint32_t at;   /* where it begins */
};

void omni_node_look_in(struct content *c, struct rte_mbuf *m);

#endif
