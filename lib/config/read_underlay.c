/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Section `underlay`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"
#include "value.h"

#define NEXT_HOPS_MAX 1024

enum {
	U_PORT,
	U_LISTEN,
	U_ADDRESS,
	U_NEXT_HOP,
	U_UDP_CHECKSUM,
	U_LANE_PORTS,
	U_FWMARK,
	U_COUNT
};
enum {
	H_MAC,
	H_TO,
	H_COUNT
};

static int parse_address(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_underlay *underlay = target;

	underlay->has_address = true;
	return value_address(&underlay->address, text, err);
}

static int parse_to(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_next_hop *hop = target;

	hop->any = false;
	return value_prefix(&hop->to, text, err);
}

static int parse_checksum(void *target, const char *text, struct omni_err *err)
{
	bool *always = target;

	*always = strcmp(text, "always") == 0;
	if (*always || strcmp(text, "auto") == 0)
		return 0;
	return omni_fail(err, -EINVAL, "\"%s\" is not known, expected auto or always", text);
}

static int parse_lane_ports(void *target, const char *text, struct omni_err *err)
{
	struct omni_config_underlay *underlay = target;
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	underlay->no_lane_ports = strcmp(text, "off") == 0;
	if (underlay->no_lane_ports || strcmp(text, "auto") == 0)
		return 0;
	if (*text < '0' || *text > '9' || *end != '\0' || port == 0 || port > UINT16_MAX)
		return omni_fail(
			err, -EINVAL,
			"\"%s\" is no source of ports, expected auto, off or the first port", text);
	underlay->first_lane_port = (uint16_t)port;
	return 0;
}

static const struct field fields[U_COUNT] = {
	[U_PORT] = {"port", FIELD_NODE},
	[U_LISTEN] = {"listen", FIELD_U16, offsetof(struct omni_config_underlay, listen), NULL, 0,
		      UINT16_MAX},
	[U_ADDRESS] = {"address", FIELD_TEXT, 0, parse_address},
	[U_NEXT_HOP] = {"next-hop", FIELD_NODE},
	[U_UDP_CHECKSUM] = {"udp-checksum", FIELD_TEXT,
			    offsetof(struct omni_config_underlay, udp_checksum), parse_checksum},
	[U_LANE_PORTS] = {"lane-ports", FIELD_TEXT, 0, parse_lane_ports},
	[U_FWMARK] = {"fwmark", FIELD_TEXT, offsetof(struct omni_config_underlay, fwmark),
		      value_fwmark},
};

static const struct field hop_fields[H_COUNT] = {
	[H_MAC] = {"mac", FIELD_TEXT, offsetof(struct omni_config_next_hop, mac), value_mac},
	[H_TO] = {"to", FIELD_TEXT, 0, parse_to},
};

static int read_hop(const struct doc *d, const yaml_node_t *node, struct omni_config_next_hop *hop)
{
	struct found found[H_COUNT];

	hop->any = true;
	if (doc_read_map(d, node, "next-hop", hop_fields, H_COUNT, hop, found) != 0)
		return -EINVAL;
	if (found[H_MAC].key == NULL)
		return doc_fail(d, node, "next-hop has no mac, expected mac: and a MAC address");
	return 0;
}

static int longer_first(const void *x, const void *y)
{
	const struct omni_config_next_hop *a = x, *b = y;

	if (a->any != b->any)
		return a->any ? 1 : -1;
	return (int)b->to.len - (int)a->to.len;
}

/* One mapping, or a list of them. */
static int read_hops(const struct doc *d, const yaml_node_t *node, struct omni_config_underlay *u)
{
	bool list = node->type == YAML_SEQUENCE_NODE;
	int n = list ? doc_seq_len(d, node, "next-hop", NEXT_HOPS_MAX) : 1;
	unsigned int any = 0;

	if (n < 0)
		return -EINVAL;
	u->next_hops = calloc((size_t)n + 1, sizeof(*u->next_hops));
	if (u->next_hops == NULL)
		return omni_fail(d->err, -ENOMEM, "%s: out of memory", d->name);
	for (int i = 0; i < n; i++) {
		const yaml_node_t *item = list ? doc_item(d, node, i) : node;

		if (read_hop(d, item, &u->next_hops[i]) != 0)
			return -EINVAL;
		any += u->next_hops[i].any;
		if (any > 1)
			return doc_fail(d, item,
					"next-hop: this is the second for every address, expected "
					"to: ADDRESS[/LENGTH]");
	}
	u->n_next_hops = (unsigned int)n;
	if (n > 1)
		qsort(u->next_hops, (size_t)n, sizeof(*u->next_hops), longer_first);
	return 0;
}

/* The kernel knows addresses, routes and neighbours; a socket may be told which address to use. */
static bool has_kernel_side(const struct omni_config_port *port, size_t key)
{
	if (strcmp(port->driver, "udp") == 0)
		return key != U_ADDRESS;
	return strcmp(port->driver, "af_xdp") == 0 || strcmp(port->driver, "auto") == 0;
}

static bool lacks_kernel_side(const struct omni_config_port *port, size_t key)
{
	return !has_kernel_side(port, key) && strcmp(port->driver, "udp") != 0;
}

/* What has a kernel side takes its addresses and next hops from there; the rest from here. */
static int check_kernel_side(const struct doc *d, const yaml_node_t *node,
			     const struct omni_config_port *port, const struct found *found)
{
	if (omni_config_is_host(port))
		return doc_fail(d, found[U_PORT].value,
				"underlay: port %s has driver %s, expected a port that is no %s",
				port->name, port->driver, port->driver);
	for (size_t i = U_ADDRESS; i <= U_NEXT_HOP; i++) {
		if (has_kernel_side(port, i) && found[i].key != NULL)
			return doc_fail(d, found[i].key,
					"underlay: the kernel knows the %s of %s, expected it to "
					"be left out",
					fields[i].name,
					port->interface[0] != '\0' ? port->interface : port->name);
		if (lacks_kernel_side(port, i) && found[i].key == NULL)
			return doc_fail(d, node,
					"underlay: port %s (%s) has no kernel side, expected the "
					"key \"%s\" here",
					port->name, port->driver, fields[i].name);
	}
	return 0;
}

/* Its rules tell our own datagrams from the host's by their mark, which udp alone sets. */
static int check_default_routes(const struct doc *d, const yaml_node_t *node,
				const struct omni_config *config)
{
	const struct omni_config_underlay *u = &config->underlay;

	for (unsigned int i = 0; i < config->n_ports; i++) {
		if (config->ports[i].routes_table != OMNI_CONFIG_TABLE_DEFAULT)
			continue;
		if (strcmp(config->ports[u->port].driver, "udp") != 0)
			return doc_fail(d, node,
					"port %s has routes: default, which needs marks on our own "
					"datagrams, expected driver udp of port %s",
					config->ports[i].name, config->ports[u->port].name);
		if (value_is_kernel_table(u->fwmark))
			return doc_fail(d, node,
					"port %s has routes: default in the table whose number is "
					"fwmark, expected another one than the kernel's %u",
					config->ports[i].name, u->fwmark);
	}
	return 0;
}

int read_underlay(const struct doc *d, const yaml_node_t *node, struct omni_config *config)
{
	struct omni_config_underlay *u = &config->underlay;
	struct found found[U_COUNT];
	int port;

	if (doc_read_map(d, node, "underlay", fields, U_COUNT, u, found) != 0)
		return -EINVAL;
	if (found[U_PORT].key == NULL)
		return doc_fail(d, node,
				"underlay has no port, expected port: and the name of one "
				"of ports");
	port = read_port_name(d, found[U_PORT].value, config, "underlay");
	if (port < 0)
		return -EINVAL;
	u->port = (unsigned int)port;
	if (check_kernel_side(d, node, &config->ports[port], found) != 0)
		return -EINVAL;
	if (u->fwmark != 0 && strcmp(config->ports[port].driver, "udp") != 0)
		return doc_fail(d, found[U_FWMARK].value,
				"fwmark is the kernel's, which sees no datagram of %s, expected "
				"driver udp",
				config->ports[port].name);
	if (check_default_routes(d, node, config) != 0)
		return -EINVAL;
	return found[U_NEXT_HOP].key != NULL ? read_hops(d, found[U_NEXT_HOP].value, u) : 0;
}
