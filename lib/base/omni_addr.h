/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* IP addresses, prefixes and UDP endpoints of both families in one fixed-size form. */
#ifndef OMNI_ADDR_H
#define OMNI_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include <omni_base.h>

/* An IPv6 address; an IPv4 address stands as ::ffff:a.b.c.d. All zero: none. */
struct omni_ip {
	uint8_t b[16];
};

struct omni_prefix {
	struct omni_ip ip;
	uint8_t len; /* bits, counted in the address's own family: 0-32 or 0-128 */
};

/* A UDP address. Fixed layout without padding, so that it compares with memcmp. */
struct omni_endpoint {
	struct omni_ip ip;
	uint16_t port; /* host order */
};

#define OMNI_IP_TEXT_LEN 46	  /* longest IPv6 text and zero */
#define OMNI_PREFIX_TEXT_LEN 50	  /* and "/128" */
#define OMNI_ENDPOINT_TEXT_LEN 54 /* "[" IPv6 "]:65535" and zero */
#define OMNI_HOST_LEN 254	  /* longest DNS name and zero */

struct sockaddr_storage;

bool omni_ip_is_v4(const struct omni_ip *ip);
bool omni_ip_is_none(const struct omni_ip *ip);
bool omni_ip_equal(const struct omni_ip *a, const struct omni_ip *b);
bool omni_endpoint_equal(const struct omni_endpoint *a, const struct omni_endpoint *b);

/* From and to an IPv4 address in network order as the kernel's structs hold it. */
struct omni_ip omni_ip_from_v4(uint32_t be);
uint32_t omni_ip_to_v4(const struct omni_ip *ip);

/* True where ip lies in prefix (of the same family). */
bool omni_prefix_contains(const struct omni_prefix *prefix, const struct omni_ip *ip);

/* The prefix without host bits. */
struct omni_prefix omni_prefix_masked(const struct omni_prefix *prefix);

/* The order of two struct omni_prefix, by address, then length, for qsort() and bsearch(). */
int omni_prefix_compare(const void *a, const void *b);

/* True where ip is IPv4 and no host's in that subnet, but the subnet's own or its broadcast. */
bool omni_prefix_is_edge(const struct omni_prefix *subnet, const struct omni_ip *ip);

/*
 * True where ip can be the address of another host on an underlay: not unspecified, loopback,
 * multicast, broadcast or IPv4's class E.
 */
bool omni_ip_is_unicast(const struct omni_ip *ip);

/* Parse an address literal. 0 or -EINVAL. */
int omni_ip_parse(struct omni_ip *ip, const char *text) OMNI_MUST_CHECK;

/*
 * Parse ADDR or ADDR/LEN, IPv4 not in its mapped form; without a length it is default_v4 or
 * default_v6. 0 or -EINVAL.
 */
int omni_prefix_parse(struct omni_prefix *prefix, const char *text, uint8_t default_v4,
		      uint8_t default_v6) OMNI_MUST_CHECK;

/* Parse "A.B.C.D:PORT" or "[V6]:PORT" with literal addresses. 0 or -EINVAL. */
int omni_endpoint_parse(struct omni_endpoint *ep, const char *text) OMNI_MUST_CHECK;

/*
 * Split "HOST:PORT" or "[V6]:PORT" or "HOST" (then port is default_port; 0 makes it mandatory).
 * HOST may be a name or a literal. 0 or -EINVAL.
 */
int omni_host_port_split(char host[OMNI_HOST_LEN], uint16_t *port, const char *text,
			 uint16_t default_port) OMNI_MUST_CHECK;

const char *omni_ip_text(char out[OMNI_IP_TEXT_LEN], const struct omni_ip *ip);
const char *omni_prefix_text(char out[OMNI_PREFIX_TEXT_LEN], const struct omni_prefix *prefix);
const char *omni_endpoint_text(char out[OMNI_ENDPOINT_TEXT_LEN], const struct omni_endpoint *ep);

/* 0 or -EAFNOSUPPORT. */
int omni_endpoint_from_sockaddr(struct omni_endpoint *ep, const struct sockaddr_storage *sa);
/*
 * Fill sa and return its length. v6_socket: write an IPv4 address in mapped form, as a
 * dual-stack socket wants it.
 */
unsigned int omni_endpoint_to_sockaddr(const struct omni_endpoint *ep, bool v6_socket,
				       struct sockaddr_storage *sa);

#endif
