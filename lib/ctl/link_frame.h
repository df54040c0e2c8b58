/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ARP (RFC 826) and neighbour discovery (RFC 4861) as bytes: checked and taken apart, or built.
 * No state, no clock.
 */
#ifndef CTL_LINK_FRAME_H
#define CTL_LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <omni_addr.h>

#define LINK_FRAME_MAX 96 /* of those that are built; the shortest are padded to 60 */
#define LINK_FRAME_MIN 60

enum link_kind {
	LINK_ASK,    /* ARP request, neighbour solicitation */
	LINK_ANSWER, /* ARP reply, neighbour advertisement */
};

struct link_frame {
	enum link_kind kind;
	uint8_t to_mac[6], from_mac[6]; /* of the Ethernet header */
	struct omni_ip from;		/* who asks or answers; none: has no address yet */
	bool has_mac;
	uint8_t mac[6]; /* that `from` (ASK) or `target` (ANSWER) says it has */
	struct omni_ip target;
	bool solicited, override; /* ANSWER of IPv6 */
	bool router;
	struct omni_ip to; /* IPv6: where it goes; building alone */
};

/* 0; -EBADMSG: malformed, or what no honest neighbour sends; -ENOMSG: none of the above. */
int link_frame_parse(struct link_frame *f, const uint8_t *p, size_t len);

/*
 * Write f to out; returns its length. An ARP request asks with `from` and `mac`, an answer has
 * target at mac and goes to `from`'s address `to`. IPv6 likewise.
 */
size_t link_frame_build(uint8_t out[LINK_FRAME_MAX], const struct link_frame *f);

/* The multicast group and MAC of those who may have an IPv6 address. */
void link_solicited_node(struct omni_ip *group, uint8_t mac[6], const struct omni_ip *ip);

/* fe80:: with an interface id made from mac (RFC 4291, appendix A). */
struct omni_ip link_local(const uint8_t mac[6]);

#endif
