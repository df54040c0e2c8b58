/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ARP and neighbour discovery. What parses is built again, and parses to the same. */
#include <string.h>

#include <link_frame.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct link_frame f, again;
	uint8_t out[LINK_FRAME_MAX], mac[6];
	size_t n;

	if (link_frame_parse(&f, p, len) != 0)
		return 0;
	REQUIRE(omni_ip_is_unicast(&f.target));
	if (!f.has_mac && !omni_ip_is_none(&f.from))
		return 0; /* what is built always says who it is */
	f.to = f.target;
	if (f.kind == LINK_ASK && !omni_ip_is_v4(&f.target))
		link_solicited_node(&f.to, mac, &f.target);
	n = link_frame_build(out, &f);
	REQUIRE(n >= LINK_FRAME_MIN && n <= LINK_FRAME_MAX);
	REQUIRE(link_frame_parse(&again, out, n) == 0);
	REQUIRE(again.kind == f.kind && omni_ip_equal(&again.target, &f.target));
	REQUIRE(memcmp(again.mac, f.mac, sizeof(f.mac)) == 0 && again.override == f.override);
	return 0;
}
