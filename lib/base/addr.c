/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <omni_addr.h>

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
static const struct omni_ip none;

bool omni_ip_is_v4(const struct omni_ip *ip)
{
	return memcmp(ip->b, v4_mapped, sizeof(v4_mapped)) == 0;
}

bool omni_ip_is_none(const struct omni_ip *ip)
{
	return memcmp(ip, &none, sizeof(none)) == 0;
}

bool omni_ip_equal(const struct omni_ip *a, const struct omni_ip *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool omni_endpoint_equal(const struct omni_endpoint *a, const struct omni_endpoint *b)
{
	return a->port == b->port && omni_ip_equal(&a->ip, &b->ip);
}

struct omni_ip omni_ip_from_v4(uint32_t be)
{
	struct omni_ip ip;

	memcpy(ip.b, v4_mapped, sizeof(v4_mapped));
	memcpy(ip.b + 12, &be, sizeof(be));
	return ip;
}

uint32_t omni_ip_to_v4(const struct omni_ip *ip)
{
	uint32_t be;

	memcpy(&be, ip->b + 12, sizeof(be));
	return be;
}

bool omni_prefix_contains(const struct omni_prefix *prefix, const struct omni_ip *ip)
{
	bool v4 = omni_ip_is_v4(&prefix->ip);
	unsigned int bits = prefix->len + (v4 ? 96U : 0U), bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff00U >> bits % 8);

	if (v4 != omni_ip_is_v4(ip) || memcmp(prefix->ip.b, ip->b, bytes) != 0)
		return false;
	return bits % 8 == 0 || ((prefix->ip.b[bytes] ^ ip->b[bytes]) & mask) == 0;
}

bool omni_prefix_is_edge(const struct omni_prefix *subnet, const struct omni_ip *ip)
{
	uint32_t v4, host;

	if (!omni_ip_is_v4(ip) || subnet->len > 30 || !omni_prefix_contains(subnet, ip))
		return false;
	v4 = __builtin_bswap32(omni_ip_to_v4(ip));
	host = UINT32_MAX >> subnet->len;
	return (v4 & host) == 0 || (v4 & host) == host;
}

bool omni_ip_is_unicast(const struct omni_ip *ip)
{
	static const struct omni_ip loopback6 = {.b = {[15] = 1}};

	if (omni_ip_is_v4(ip)) {
		uint8_t first = ip->b[12];

		return first != 0 && first != 127 && first < 224;
	}
	return !omni_ip_is_none(ip) && !omni_ip_equal(ip, &loopback6) && ip->b[0] != 0xff;
}

int omni_ip_parse(struct omni_ip *ip, const char *text)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*ip = omni_ip_from_v4(v4.s_addr);
		return 0;
	}
	return inet_pton(AF_INET6, text, ip->b) == 1 ? 0 : -EINVAL;
}

/* Decimal digits only, at most max; no sign, no space. */
static int number_parse(unsigned int *v, const char *text, unsigned int max)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n > max)
		return -EINVAL;
	*v = (unsigned int)n;
	return 0;
}

int omni_prefix_parse(struct omni_prefix *prefix, const char *text, uint8_t default_v4,
		      uint8_t default_v6)
{
	char addr[OMNI_IP_TEXT_LEN];
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned int len;
	bool v4;

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (omni_ip_parse(&prefix->ip, addr) < 0)
		return -EINVAL;
	v4 = omni_ip_is_v4(&prefix->ip);
	/* In the mapped form it would be a prefix of IPv6, which no packet's address is in. */
	if (v4 && strchr(addr, ':') != NULL)
		return -EINVAL;
	len = v4 ? default_v4 : default_v6;
	if (slash != NULL && number_parse(&len, slash + 1, v4 ? 32 : 128) < 0)
		return -EINVAL;
	prefix->len = (uint8_t)len;
	return 0;
}

struct omni_prefix omni_prefix_masked(const struct omni_prefix *prefix)
{
	struct omni_prefix out = *prefix;
	unsigned int bits = prefix->len + (omni_ip_is_v4(&prefix->ip) ? 96U : 0U);

	for (unsigned int i = bits / 8; i < sizeof(out.ip.b); i++)
		out.ip.b[i] &= i == bits / 8 ? (uint8_t)(0xff00U >> bits % 8) : 0;
	return out;
}

int omni_prefix_compare(const void *a, const void *b)
{
	const struct omni_prefix *x = a, *y = b;
	int c = memcmp(x->ip.b, y->ip.b, sizeof(x->ip.b));

	return c != 0 ? c : (int)x->len - (int)y->len;
}

int omni_host_port_split(char host[OMNI_HOST_LEN], uint16_t *port, const char *text,
			 uint16_t default_port)
{
	const char *from = text, *to, *rest;
	unsigned int p = default_port;

	if (text[0] == '[') {
		from = text + 1;
		to = strchr(from, ']');
		if (to == NULL)
			return -EINVAL;
		rest = to + 1;
	} else {
		to = strrchr(text, ':');
		/* Two colons and no brackets: an IPv6 literal without a port. */
		if (to == NULL || strchr(text, ':') != to)
			to = text + strlen(text);
		rest = to;
	}
	if (*rest != '\0' && (*rest != ':' || number_parse(&p, rest + 1, UINT16_MAX) < 0))
		return -EINVAL;
	if (to == from || to - from >= OMNI_HOST_LEN || p == 0)
		return -EINVAL;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	*port = (uint16_t)p;
	return 0;
}

int omni_endpoint_parse(struct omni_endpoint *ep, const char *text)
{
	char host[OMNI_HOST_LEN];

	memset(ep, 0, sizeof(*ep));
	if (omni_host_port_split(host, &ep->port, text, 0) < 0)
		return -EINVAL;
	return omni_ip_parse(&ep->ip, host);
}

const char *omni_ip_text(char out[OMNI_IP_TEXT_LEN], const struct omni_ip *ip)
{
	if (omni_ip_is_v4(ip))
		inet_ntop(AF_INET, ip->b + 12, out, OMNI_IP_TEXT_LEN);
	else
		inet_ntop(AF_INET6, ip->b, out, OMNI_IP_TEXT_LEN);
	return out;
}

const char *omni_prefix_text(char out[OMNI_PREFIX_TEXT_LEN], const struct omni_prefix *prefix)
{
	char ip[OMNI_IP_TEXT_LEN];

	snprintf(out, OMNI_PREFIX_TEXT_LEN, "%s/%u", omni_ip_text(ip, &prefix->ip), prefix->len);
	return out;
}

const char *omni_endpoint_text(char out[OMNI_ENDPOINT_TEXT_LEN], const struct omni_endpoint *ep)
{
	char ip[OMNI_IP_TEXT_LEN];

	omni_ip_text(ip, &ep->ip);
	snprintf(out, OMNI_ENDPOINT_TEXT_LEN, omni_ip_is_v4(&ep->ip) ? "%s:%u" : "[%s]:%u", ip,
		 ep->port);
	return out;
}

int omni_endpoint_from_sockaddr(struct omni_endpoint *ep, const struct sockaddr_storage *sa)
{
	memset(ep, 0, sizeof(*ep));
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		ep->ip = omni_ip_from_v4(in->sin_addr.s_addr);
		ep->port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		memcpy(ep->ip.b, &in6->sin6_addr, sizeof(ep->ip.b));
		ep->port = ntohs(in6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

unsigned int omni_endpoint_to_sockaddr(const struct omni_endpoint *ep, bool v6_socket,
				       struct sockaddr_storage *sa)
{
	memset(sa, 0, sizeof(*sa));
	if (!v6_socket && omni_ip_is_v4(&ep->ip)) {
		struct sockaddr_in *in = (void *)sa;

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = omni_ip_to_v4(&ep->ip);
		in->sin_port = htons(ep->port);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)sa;

	in6->sin6_family = AF_INET6;
	memcpy(&in6->sin6_addr, ep->ip.b, sizeof(ep->ip.b));
	in6->sin6_port = htons(ep->port);
	return sizeof(*in6);
}
