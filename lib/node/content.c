/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The headers of a packet that ends here, which nobody has looked at but for the first one. */
#include "content.h"

#define EXTENSIONS_MAX 8

static void look_in_v4(struct content *c, const uint8_t *ip)
{
	uint16_t frag = omni_load_be16(ip + 6);

	*c = (struct content){
		.proto = ip[9],
		.known = true,
		.fragment = (frag & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET)) != 0,
		.later = (frag & IPV4_OFFSET) != 0,
		.at = v4_header_len(ip),
	};
}

/* Behind hop-by-hop and destination options, routing, and a fragment's header. */
static void look_in_v6(struct content *c, const uint8_t *ip, uint32_t len)
{
	*c = (struct content){.proto = ip[6], .at = OMNI_IPV6_HDR_LEN};
	for (unsigned int i = 0; i < EXTENSIONS_MAX; i++) {
		const uint8_t *h = ip + c->at;

		if (c->proto != 0 && c->proto != 43 && c->proto != 60 && c->proto != 44) {
			c->known = true;
			return;
		}
		if (c->at + 8 > len)
			return;
		if (c->proto == 44) {
			c->fragment = true;
			c->later |= (omni_load_be16(h + 2) & 0xfff8) != 0;
			c->at += 8;
		} else {
			c->at += (h[1] + 1U) * 8;
		}
		c->proto = h[0];
	}
}

void omni_node_look_in(struct content *c, struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (is_v6(ip))
		look_in_v6(c, ip, rte_pktmbuf_data_len(m));
	else
		look_in_v4(c, ip);
	c->readable = c->known && c->at + ICMP_HDR_LEN <= rte_pktmbuf_data_len(m);
}
