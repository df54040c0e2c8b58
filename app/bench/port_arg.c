/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A port on the command line: the keys of the configuration, separated by commas. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

enum {
	K_DRIVER,
	K_INTERFACE,
	K_MODE,
	K_SOCKET,
	K_ID,
	K_MTU,
	K_MAC,
	K_ROLE,
	K_DEVICE,
	K_COUNT,
};

static const char *const keys[K_COUNT] = {"driver", "interface", "mode", "socket", "id",
					  "mtu",    "mac",	 "role", "device"};

static int put_text(char *to, size_t len, const char *key, const char *value, struct omni_err *err)
{
	if (snprintf(to, len, "%s", value) < (int)len)
		return 0;
	return omni_fail(err, -EINVAL, "%s=%s is too long", key, value);
}

static int put_number(uint32_t *to, const char *key, const char *value, uint32_t max,
		      struct omni_err *err)
{
	char *end;
	unsigned long long v = strtoull(value, &end, 10);

	*to = (uint32_t)v;
	if (*value >= '0' && *value <= '9' && *end == '\0' && v <= max)
		return 0;
	return omni_fail(err, -EINVAL, "%s=%s: expected a number up to %u", key, value, max);
}

static int put_mac(struct omni_port_conf *conf, const char *value, struct omni_err *err)
{
	uint8_t *m = conf->mac;
	int end = 0;

	conf->has_mac = true;
	if (sscanf(value, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1], &m[2], &m[3],
		   &m[4], &m[5], &end) == 6 &&
	    value[end] == '\0')
		return 0;
	return omni_fail(err, -EINVAL, "mac=%s: expected one like 02:00:00:00:00:01", value);
}

static int put_role(struct omni_port_conf *conf, const char *value, struct omni_err *err)
{
	conf->server = strcmp(value, "server") == 0;
	if (conf->server || strcmp(value, "client") == 0)
		return 0;
	return omni_fail(err, -EINVAL, "role=%s: expected server or client", value);
}

static int put(struct omni_port_conf *c, int key, const char *value, struct omni_err *err)
{
	uint32_t v = 0;
	int rc;

	switch (key) {
	case K_DRIVER:
		return put_text(c->driver, sizeof(c->driver), keys[key], value, err);
	case K_INTERFACE:
		return put_text(c->interface, sizeof(c->interface), keys[key], value, err);
	case K_MODE:
		return put_text(c->mode, sizeof(c->mode), keys[key], value, err);
	case K_SOCKET:
		return put_text(c->socket, sizeof(c->socket), keys[key], value, err);
	case K_ID:
		return put_number(&c->memif_id, keys[key], value, UINT32_MAX, err);
	case K_MTU:
		rc = put_number(&v, keys[key], value, OMNI_PORT_MTU_MAX, err);
		c->mtu = (uint16_t)v;
		return rc;
	case K_MAC:
		return put_mac(c, value, err);
	case K_ROLE:
		return put_role(c, value, err);
	default:
		return put_text(c->device, sizeof(c->device), keys[key], value, err);
	}
}

/* KEY=VALUE, or server alone. */
static int take(struct omni_port_conf *conf, char *word, struct omni_err *err)
{
	char *value = strchr(word, '=');

	if (strcmp(word, "server") == 0) {
		conf->server = true;
		return 0;
	}
	if (value != NULL)
		*value++ = '\0';
	for (int i = 0; value != NULL && i < K_COUNT; i++)
		if (strcmp(word, keys[i]) == 0)
			return put(conf, i, value, err);
	return omni_fail(err, -EINVAL,
			 "\"%s\" is not known, expected KEY=VALUE with driver, interface, mode, "
			 "socket, id, role, mtu, mac or (last of all) device",
			 word);
}

int port_arg_parse(struct omni_port_conf *conf, const char *name, const char *text,
		   struct omni_err *err)
{
	char copy[512], *at = copy;
	int rc = 0;

	memset(conf, 0, sizeof(*conf));
	snprintf(conf->name, sizeof(conf->name), "%s", name);
	conf->queues = 1;
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return omni_fail(err, -EINVAL, "the description of a port is too long");
	while (rc == 0 && at != NULL && *at != '\0') {
		/* Devargs have commas of their own. */
		char *comma = strncmp(at, "device=", 7) == 0 ? NULL : strchr(at, ',');

		if (comma != NULL)
			*comma++ = '\0';
		rc = take(conf, at, err);
		at = comma;
	}
	if (rc == 0 && conf->driver[0] == '\0')
		return omni_fail(err, -EINVAL, "no driver, expected driver=NAME among the keys");
	return rc;
}
