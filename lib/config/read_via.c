/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `via` of a port: subnets behind routers on its link. */
#include <errno.h>

#include "read.h"
#include "value.h"

enum {
	V_TO,
	V_GATEWAY,
	V_COUNT
};

#define AT(member) offsetof(struct omni_config_via, member)

static const struct field fields[V_COUNT] = {
	[V_TO] = {"to", FIELD_TEXT, AT(to), value_route},
	[V_GATEWAY] = {"gateway", FIELD_TEXT, AT(gateway), value_peer_vip},
};

static int read_one(const struct doc *d, const yaml_node_t *node, struct omni_config_via *via)
{
	struct found found[V_COUNT];

	if (doc_read_map(d, node, "via", fields, V_COUNT, via, found) != 0)
		return -EINVAL;
	if (found[V_TO].key == NULL || found[V_GATEWAY].key == NULL)
		return doc_fail(d, node, "via is not whole, expected to: PREFIX, gateway: ADDRESS");
	if (omni_ip_is_v4(&via->to.ip) != omni_ip_is_v4(&via->gateway))
		return doc_fail(d, node,
				"via: subnet and gateway are not of one family, expected that");
	return 0;
}

int read_via(const struct doc *d, const yaml_node_t *node, struct omni_config_port *port)
{
	bool list = node->type == YAML_SEQUENCE_NODE;
	int n = list ? doc_seq_len(d, node, "via", OMNI_CONFIG_VIA_MAX) : 1;

	for (int i = 0; i < n; i++) {
		if (read_one(d, list ? doc_item(d, node, i) : node, &port->via[i]) != 0)
			return -EINVAL;
		port->n_via++;
	}
	return n < 0 ? n : 0;
}
