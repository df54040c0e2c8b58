/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Section `ports`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"
#include "value.h"

enum {
	P_DRIVER,
	P_INTERFACE,
	P_MODE,
	P_QUEUES,
	P_MTU,
	P_MAC,
	P_SOCKET,
	P_ID,
	P_ROLE,
	P_DEVICE,
	P_DEVARGS,
	P_ADDRESS,
	P_ROUTES,
	P_VIA,
	P_GENERATE,
	P_OFFLOAD,
	P_COUNT,
};

#define BIT(f) (1U << (f))

/* Which keys fit which driver, and which it cannot do without. */
struct driver {
	const char *name;
	unsigned int fits, needs;
};

static const struct driver drivers[] = {
	{"af_xdp",
	 BIT(P_INTERFACE) | BIT(P_MODE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_ADDRESS) | BIT(P_VIA),
	 BIT(P_INTERFACE)},
	{"udp", BIT(P_INTERFACE) | BIT(P_QUEUES) | BIT(P_MTU), 0},
	{"auto", BIT(P_INTERFACE) | BIT(P_QUEUES) | BIT(P_MTU), BIT(P_INTERFACE)},
	{"tap",
	 BIT(P_INTERFACE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_MAC) | BIT(P_ADDRESS) | BIT(P_VIA) |
		 BIT(P_ROUTES) | BIT(P_OFFLOAD),
	 BIT(P_INTERFACE)},
	{"tun",
	 BIT(P_INTERFACE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_ADDRESS) | BIT(P_ROUTES) |
		 BIT(P_OFFLOAD),
	 BIT(P_INTERFACE)},
	{"memif",
	 BIT(P_SOCKET) | BIT(P_ID) | BIT(P_ROLE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_MAC) |
		 BIT(P_ADDRESS) | BIT(P_VIA),
	 BIT(P_SOCKET)},
	{"vhost",
	 BIT(P_SOCKET) | BIT(P_ROLE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_OFFLOAD) |
		 BIT(P_ADDRESS) | BIT(P_VIA),
	 BIT(P_SOCKET)},
	{"virtio-user",
	 BIT(P_SOCKET) | BIT(P_INTERFACE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_MAC) |
		 BIT(P_OFFLOAD) | BIT(P_ADDRESS) | BIT(P_VIA),
	 0},
	{"pci", BIT(P_DEVICE) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_ADDRESS) | BIT(P_VIA),
	 BIT(P_DEVICE)},
	{"ethdev", BIT(P_DEVARGS) | BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_ADDRESS) | BIT(P_VIA),
	 BIT(P_DEVARGS)},
	{"null",
	 BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_MAC) | BIT(P_GENERATE) | BIT(P_ADDRESS) | BIT(P_VIA),
	 0},
	{"ring", BIT(P_QUEUES) | BIT(P_MTU) | BIT(P_MAC) | BIT(P_ADDRESS) | BIT(P_VIA), 0},
};

#define DRIVERS "af_xdp, udp, auto, tap, tun, memif, vhost, virtio-user, pci, ethdev, null or ring"

static int parse_driver(void *target, const char *text, struct omni_err *err)
{
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(drivers); i++) {
		if (strcmp(drivers[i].name, text) == 0) {
			memcpy(target, text, strlen(text) + 1);
			return 0;
		}
	}
	return omni_fail(err, -EINVAL, "\"%s\" is not known, expected " DRIVERS, text);
}

static int parse_mode(void *target, const char *text, struct omni_err *err)
{
	static const char *const modes[] = {"zero-copy", "copy", "generic"};

	if (strcmp(text, "auto") == 0) {
		*(char *)target = '\0';
		return 0;
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i], text) == 0) {
			memcpy(target, text, strlen(text) + 1);
			return 0;
		}
	}
	return omni_fail(err, -EINVAL,
			 "\"%s\" is not known, expected auto, zero-copy, copy or generic", text);
}

static int parse_mac(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_port *port = target;

	port->has_mac = true;
	return value_mac(port->mac, text, err);
}

static int parse_role(void *target, const char *text, struct omni_err *err)
{
	bool *server = target;

	*server = strcmp(text, "server") == 0;
	if (!*server && strcmp(text, "client") != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected server or client",
				 text);
	return 0;
}

static int parse_offload(void *target, const char *text, struct omni_err *err)
{
	bool *none = target;

	*none = strcmp(text, "off") == 0;
	if (!*none && strcmp(text, "on") != 0)
		return omni_fail(err, -EINVAL, "\"%s\" is not known, expected on or off", text);
	return 0;
}

static int parse_carries(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_port *port = target;

	if (strcmp(text, "vip") == 0) {
		port->carries = OMNI_ADDRESS_VIP;
		return 0;
	}
	if (strcmp(text, "none") == 0) {
		port->carries = OMNI_ADDRESS_NONE;
		return 0;
	}
	port->carries = OMNI_ADDRESS_OWN;
	return value_address(&port->address, text, err);
}

static int parse_table(void *target, const char *text, struct omni_err *err)
{
	uint32_t *table = target;
	uint64_t n;

	if (strcmp(text, "auto") == 0)
		*table = OMNI_CONFIG_TABLE_MAIN;
	else if (strcmp(text, "default") == 0)
		*table = OMNI_CONFIG_TABLE_DEFAULT;
	else if (strcmp(text, "off") == 0)
		*table = OMNI_CONFIG_TABLE_NONE;
	else if (text[0] < '0' || text[0] > '9')
		return omni_fail(
			err, -EINVAL,
			"\"%s\" is not known, expected auto, default, off or the number of a "
			"table",
			text);
	else if (value_number(&n, text, 1, OMNI_CONFIG_TABLE_DEFAULT - 1, err) != 0)
		return -EINVAL;
	else
		*table = (uint32_t)n;
	return 0;
}

#define AT(member) offsetof(struct omni_config_port, member)

static const struct field fields[P_COUNT] = {
	[P_DRIVER] = {"driver", FIELD_WORD, AT(driver), parse_driver},
	[P_INTERFACE] = {"interface", FIELD_TEXT, AT(interface), value_interface},
	[P_MODE] = {"mode", FIELD_TEXT, AT(mode), parse_mode},
	[P_QUEUES] = {"queues", FIELD_U16, AT(queues), NULL, 1, OMNI_CONFIG_QUEUES_MAX},
	[P_MTU] = {"mtu", FIELD_U16, AT(mtu), NULL, OMNI_CONFIG_MTU_MIN, OMNI_CONFIG_MTU_MAX},
	[P_MAC] = {"mac", FIELD_TEXT, 0, parse_mac},
	[P_SOCKET] = {"socket", FIELD_TEXT, AT(socket), value_socket},
	[P_ID] = {"id", FIELD_U32, AT(memif_id), NULL, 0, UINT32_MAX},
	[P_ROLE] = {"role", FIELD_TEXT, AT(server), parse_role},
	[P_DEVICE] = {"device", FIELD_TEXT, AT(device), value_device},
	[P_DEVARGS] = {"devargs", FIELD_TEXT, AT(device), value_device},
	[P_ADDRESS] = {"address", FIELD_TEXT, 0, parse_carries},
	[P_ROUTES] = {"routes", FIELD_TEXT, AT(routes_table), parse_table},
	[P_VIA] = {"via", FIELD_NODE},
	[P_GENERATE] = {"generate", FIELD_NODE},
	[P_OFFLOAD] = {"offload", FIELD_WORD, AT(no_offload), parse_offload},
};

static int check_driver(const struct doc *d, const yaml_node_t *node,
			const struct omni_config_port *port, const struct found *found)
{
	const struct driver *driver = drivers;

	if (found[P_DRIVER].key == NULL)
		return doc_fail(d, node, "port %s has no driver, expected driver: " DRIVERS,
				port->name);
	while (strcmp(driver->name, port->driver) != 0)
		driver++;
	for (size_t i = P_DRIVER + 1; i < P_COUNT; i++) {
		if (found[i].key != NULL && (driver->fits & BIT(i)) == 0)
			return doc_fail(d, found[i].key,
					"port %s: key \"%s\" does not go with driver %s, expected "
					"it to be left out",
					port->name, fields[i].name, driver->name);
		if (found[i].key == NULL && (driver->needs & BIT(i)) != 0)
			return doc_fail(d, node,
					"port %s: driver %s needs the key \"%s\", expected it here",
					port->name, driver->name, fields[i].name);
	}
	if (port->carries == OMNI_ADDRESS_VIP && !omni_config_is_host(port))
		return doc_fail(d, found[P_ADDRESS].value,
				"port %s: the VIP is carried by an interface of driver tap or tun, "
				"expected ADDRESS/LENGTH or none",
				port->name);
	if (strcmp(driver->name, "virtio-user") == 0 &&
	    (found[P_SOCKET].key != NULL) == (found[P_INTERFACE].key != NULL))
		return doc_fail(d, node,
				"port %s: driver virtio-user needs one of the keys \"socket\" and "
				"\"interface\", expected it here",
				port->name);
	return 0;
}

int read_ports(const struct doc *d, const yaml_node_t *node, struct omni_config *config)
{
	int n = doc_map_len(d, node, "ports", OMNI_CONFIG_PORTS_MAX);
	struct unique names[OMNI_CONFIG_PORTS_MAX], netdevs[OMNI_CONFIG_PORTS_MAX];
	struct found found[P_COUNT];
	size_t n_netdevs = 0;

	for (int i = 0; i < n; i++) {
		const yaml_node_t *key = doc_key(d, node, i), *value = doc_value(d, node, i);
		struct omni_config_port *port = config_add_port(config);

		if (doc_parse(d, key, "name of a port", value_name, port->name) != 0 ||
		    doc_read_map(d, value, port->name, fields, P_COUNT, port, found) != 0 ||
		    check_driver(d, value, port, found) != 0 ||
		    (found[P_GENERATE].key != NULL &&
		     read_generate(d, found[P_GENERATE].value, &port->generate) != 0) ||
		    (found[P_VIA].key != NULL && read_via(d, found[P_VIA].value, port) != 0))
			return -EINVAL;
		names[i] = (struct unique){port->name, strlen(port->name), key};
		if (port->interface[0] != '\0')
			netdevs[n_netdevs++] = (struct unique){
				port->interface, strlen(port->interface), found[P_INTERFACE].value};
	}
	if (n < 0 || doc_check_unique(d, names, (size_t)n, "name of a port") != 0)
		return -EINVAL;
	return doc_check_unique(d, netdevs, n_netdevs, "interface");
}

int read_port_name(const struct doc *d, const yaml_node_t *node, const struct omni_config *config,
		   const char *what)
{
	const char *name = doc_text(d, node, what);
	char have[256] = "none";
	size_t at = 0;

	if (name == NULL)
		return -EINVAL;
	for (unsigned int i = 0; i < config->n_ports; i++) {
		if (strcmp(config->ports[i].name, name) == 0)
			return (int)i;
	}
	for (unsigned int i = 0; i < config->n_ports && at < sizeof(have); i++)
		at += (size_t)snprintf(have + at, sizeof(have) - at, "%s%s", i > 0 ? ", " : "",
				       config->ports[i].name);
	return doc_fail(d, node, "%s: there is no port \"%.64s\", expected one of ports: %s", what,
			name, have);
}
