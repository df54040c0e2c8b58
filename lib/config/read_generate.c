/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `generate` of a null port. */
#include <errno.h>
#include <string.h>

#include "read.h"
#include "value.h"

enum {
	G_SIZE,
	G_FLOWS,
	G_TO,
	G_RATE,
	G_COUNT
};

#define AT(member) offsetof(struct omni_config_generate, member)

static int parse_size(void *target, const char *text, struct omni_err *err)
{
	uint64_t size;

	*(uint16_t *)target = 0;
	if (strcmp(text, "imix") == 0)
		return 0;
	if (value_number(&size, text, OMNI_CONFIG_GENERATE_MIN, OMNI_CONFIG_MTU_MAX, err) != 0)
		return -EINVAL;
	*(uint16_t *)target = (uint16_t)size;
	return 0;
}

static const struct field fields[G_COUNT] = {
	[G_SIZE] = {"size", FIELD_TEXT, AT(size), parse_size},
	[G_FLOWS] = {"flows", FIELD_U16, AT(flows), NULL, 1, OMNI_CONFIG_GENERATE_FLOWS_MAX},
	[G_TO] = {"to", FIELD_TEXT, AT(to), value_mac},
	[G_RATE] = {"rate", FIELD_U32, AT(rate), NULL, 1, UINT32_MAX},
};

int read_generate(const struct doc *d, const yaml_node_t *node, struct omni_config_generate *g)
{
	struct found found[G_COUNT];

	g->size = OMNI_CONFIG_GENERATE_MIN;
	g->flows = OMNI_CONFIG_GENERATE_FLOWS;
	if (doc_read_map(d, node, "generate", fields, G_COUNT, g, found) != 0)
		return -EINVAL;
	if (found[G_TO].key == NULL)
		return doc_fail(d, node,
				"generate has no destination, expected to: and a MAC address");
	return 0;
}
