/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "value.h"

static int copy_text(char *out, size_t room, const char *text, const char *what,
		     struct omni_err *err)
{
	size_t len = strlen(text);

	if (len == 0)
		return omni_fail(err, -EINVAL, "is empty, expected %s", what);
	if (len >= room)
		return omni_fail(err, -EINVAL,
				 "is too long (%zu bytes), expected %s of at most %zu", len, what,
				 room - 1);
	memcpy(out, text, len + 1);
	return 0;
}

int value_path(void *target, const char *text, struct omni_err *err)
{
	return copy_text(target, OMNI_CONFIG_PATH_LEN, text, "a path", err);
}

int value_socket(void *target, const char *text, struct omni_err *err)
{
	return copy_text(target, OMNI_CONFIG_SOCKET_LEN, text, "the path of a unix socket", err);
}

int value_device(void *target, const char *text, struct omni_err *err)
{
	return copy_text(target, OMNI_CONFIG_DEVICE_LEN, text, "a device", err);
}

int value_name(void *target, const char *text, struct omni_err *err)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			return omni_fail(err, -EINVAL,
					 "\"%s\" is no name, expected letters, digits and . _ -",
					 text);
	}
	return copy_text(target, OMNI_CONFIG_NAME_LEN, text, "a name", err);
}

/* Length of the UTF-8 sequence at p (RFC 3629), 0 when it is none. */
static size_t utf8_len(const unsigned char *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t code = len == 1 ? p[0] : p[0] & (0xffU >> (len + 1));

	if (len == 0 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return len;
}

int value_cluster_name(void *target, const char *text, struct omni_err *err)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n;

	for (; *p != '\0'; p += n) {
		n = utf8_len(p);
		if (n == 0 || *p < ' ' || *p == 0x7f)
			return omni_fail(err, -EINVAL,
					 "is no cluster's name, expected UTF-8 text without "
					 "control characters");
	}
	return copy_text(target, OMNI_CLUSTER_NAME_MAX + 1, text, "a cluster's name", err);
}

int value_interface(void *target, const char *text, struct omni_err *err)
{
	bool bad = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;

	for (const char *p = text; *p != '\0'; p++)
		bad |= !isgraph((unsigned char)*p) || strchr("/:%", *p) != NULL;
	if (bad)
		return omni_fail(err, -EINVAL,
				 "\"%s\" cannot be a network interface, expected a name such as "
				 "eth0",
				 text);
	return copy_text(target, IFNAMSIZ, text, "the name of a network interface", err);
}

int value_mac(void *target, const char *text, struct omni_err *err)
{
	unsigned int b[6];
	uint8_t *mac = target;
	int end = 0;

	if (strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    end != 17)
		return omni_fail(err, -EINVAL,
				 "\"%s\" is no MAC address, expected one such as "
				 "\"02:00:00:00:00:01\"",
				 text);
	if ((b[0] & 1) != 0 || (b[0] | b[1] | b[2] | b[3] | b[4] | b[5]) == 0)
		return omni_fail(err, -EINVAL,
				 "%s is a group address or zero, expected one interface's MAC "
				 "address",
				 text);
	for (size_t i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

int value_key(void *target, const char *text, struct omni_err *err)
{
	struct omni_key key;

	if (omni_key_parse(&key, text) != 0)
		return omni_fail(err, -EINVAL,
				 "is no key, expected 44 characters of base64 (an X25519 public "
				 "key, as omnictl pubkey prints it)");
	*(struct omni_key *)target = key;
	return 0;
}

int value_idle(void *target, const char *text, struct omni_err *err)
{
	enum omni_config_idle *idle = target;

	if (strcmp(text, "adaptive") == 0)
		*idle = OMNI_IDLE_ADAPTIVE;
	else if (strcmp(text, "poll") == 0)
		*idle = OMNI_IDLE_POLL;
	else
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected adaptive or poll",
				 text);
	return 0;
}

int value_log_level(void *target, const char *text, struct omni_err *err)
{
	if (omni_log_level_parse(text, target) != 0)
		return omni_fail(err, -EINVAL,
				 "\"%s\" is not known, expected error, warn, info or debug", text);
	return 0;
}

int value_cipher(void *target, const char *text, struct omni_err *err)
{
	enum omni_cipher *cipher = target;

	if (strcmp(text, "auto") == 0)
		*cipher = OMNI_CIPHER_NONE;
	else if (strcmp(text, "aesgcm") == 0)
		*cipher = OMNI_CIPHER_AESGCM;
	else if (strcmp(text, "chachapoly") == 0)
		*cipher = OMNI_CIPHER_CHACHAPOLY;
	else
		return omni_fail(err, -EINVAL,
				 "\"%s\" is not known, expected auto, aesgcm or chachapoly", text);
	return 0;
}

int value_prefix(void *target, const char *text, struct omni_err *err)
{
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, 32, 128) != 0)
		return omni_fail(err, -EINVAL,
				 "\"%s\" is no IP address, expected ADDRESS or ADDRESS/LENGTH",
				 text);
	*(struct omni_prefix *)target = prefix;
	return 0;
}

int value_route(void *target, const char *text, struct omni_err *err)
{
	struct omni_prefix *prefix = target;
	int rc = value_prefix(prefix, text, err);

	if (rc == 0)
		config_mask(prefix);
	return rc;
}

static int host_prefix(struct omni_prefix *out, const char *text, uint8_t v4, uint8_t v6,
		       const char *expected, struct omni_err *err)
{
	struct omni_prefix prefix;

	if (omni_prefix_parse(&prefix, text, v4, v6) != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is no IP address, expected %s", text,
				 expected);
	if (!omni_ip_is_unicast(&prefix.ip) || prefix.len == 0 ||
	    omni_prefix_is_edge(&prefix, &prefix.ip))
		return omni_fail(err, -EINVAL,
				 "%s cannot be the address of one host (loopback, multicast, "
				 "network or broadcast), expected %s",
				 text, expected);
	*out = prefix;
	return 0;
}

int value_address(void *target, const char *text, struct omni_err *err)
{
	return host_prefix(target, text, OMNI_CONFIG_VIP_LEN_V4, OMNI_CONFIG_VIP_LEN_V6,
			   "ADDRESS/LENGTH such as 192.0.2.1/24", err);
}

int value_vip(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_cluster *cluster = target;
	int rc;

	if (strcmp(text, "auto") == 0) {
		cluster->vip_auto = true;
		memset(&cluster->vip, 0, sizeof(cluster->vip));
		cluster->vip.len = OMNI_CONFIG_VIP_LEN_AUTO;
		return 0;
	}
	rc = host_prefix(&cluster->vip, text, OMNI_CONFIG_VIP_LEN_V4, OMNI_CONFIG_VIP_LEN_V6,
			 "auto or ADDRESS[/LENGTH] such as 10.200.0.1/24", err);
	if (rc == 0)
		cluster->vip_auto = false;
	return rc;
}

int value_peer_vip(void *target, const char *text, struct omni_err *err)
{
	struct omni_prefix prefix;
	int rc;

	if (strchr(text, '/') != NULL)
		return omni_fail(err, -EINVAL, "%s is a prefix, expected one address", text);
	rc = host_prefix(&prefix, text, 32, 128, "one address such as 10.200.0.2", err);
	if (rc == 0)
		*(struct omni_ip *)target = prefix.ip;
	return rc;
}

/* A literal address or what may be a DNS name. */
static bool host_ok(const char *host)
{
	struct omni_ip ip;
	bool letter = false;

	if (omni_ip_parse(&ip, host) == 0)
		return !omni_ip_is_none(&ip) && !(omni_ip_is_v4(&ip) && ip.b[12] == 0) &&
		       !(omni_ip_is_v4(&ip) && ip.b[12] >= 224) && ip.b[0] != 0xff;
	if (!isalnum((unsigned char)host[0]))
		return false;
	for (const char *p = host; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && strchr(".-_", *p) == NULL)
			return false;
		letter |= isalpha((unsigned char)*p) != 0;
	}
	return letter;
}

static int host_port(char host[OMNI_HOST_LEN], uint16_t *port, const char *text, uint16_t def,
		     struct omni_err *err)
{
	if (omni_host_port_split(host, port, text, def) != 0 || !host_ok(host))
		return omni_fail(err, -EINVAL,
				 "\"%s\" is no address, expected HOST:PORT such as "
				 "site.example.com:51820, 192.0.2.1:51820 or [2001:db8::1]:51820",
				 text);
	return 0;
}

int value_endpoint(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_peer *peer = target;

	return host_port(peer->host, &peer->port, text, 0, err);
}

int value_nucleus(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_nucleus *nucleus = target;
	const char *at = strchr(text, '@');
	char key[OMNI_KEY_B64_LEN];
	int rc;

	if (at != NULL) {
		snprintf(key, sizeof(key), "%.*s", (int)OMNI_MIN(at - text, OMNI_KEY_B64_LEN - 1),
			 text);
		if (at - text >= OMNI_KEY_B64_LEN)
			key[0] = '\0';
		rc = value_key(&nucleus->key, key, err);
		if (rc != 0)
			return rc;
		nucleus->has_key = true;
		text = at + 1;
	}
	return host_port(nucleus->host, &nucleus->port, text, OMNI_WIRE_DEFAULT_PORT, err);
}

int value_fwmark(void *target, const char *text, struct omni_err *err)
{
	bool hex = strncmp(text, "0x", 2) == 0;
	const char *digits = hex ? text + 2 : text;
	unsigned long long mark = 0;
	char *end = NULL;

	if (strcasecmp(text, "off") != 0) {
		mark = strtoull(digits, &end, hex ? 16 : 10);
		if (!isxdigit((unsigned char)*digits) || *end != '\0' || mark > UINT32_MAX)
			return omni_fail(err, -EINVAL,
					 "\"%s\" is no mark, expected off or a number up to "
					 "0xffffffff",
					 text);
	}
	*(uint32_t *)target = (uint32_t)mark;
	return 0;
}

bool value_is_kernel_table(uint32_t n)
{
	return n >= RT_TABLE_DEFAULT && n <= RT_TABLE_LOCAL;
}

int value_number(uint64_t *out, const char *text, uint64_t min, uint64_t max, struct omni_err *err)
{
	const char *p = text;
	uint64_t v = 0;

	for (; isdigit((unsigned char)*p); p++)
		v = v > UINT64_MAX / 16 ? v : v * 10 + (uint64_t)(*p - '0');
	if (p == text || *p != '\0')
		return omni_fail(err, -EINVAL,
				 "\"%s\" is no number, expected one from %" PRIu64 " to %" PRIu64,
				 text, min, max);
	if (v < min || v > max)
		return omni_fail(err, -EINVAL,
				 "%s is out of range, expected a number from %" PRIu64
				 " to %" PRIu64,
				 text, min, max);
	*out = v;
	return 0;
}
