/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the two dialects' halves of encap_prepare share: the outer headers. */
#ifndef OMNI_NODE_ENCAP_H
#define OMNI_NODE_ENCAP_H

#include "ecn.h"
#include "worker.h"

/*
 * WireGuard's half, in encap_wg.c: the frames at the beginning of m, of n, that leave under the
 * first one's key. They get their operations from w->op[*left] on, and those that pass on their
 * places in out from there. Returns how many they were.
 */
unsigned int omni_node_encap_wg(struct omni_worker *w, struct rte_mbuf **m, unsigned int n,
				struct rte_mbuf **out, unsigned int *left);

static inline void encap_report_worn(struct omni_worker *w, const struct omni_keypair *kp,
				     uint16_t lane)
{
	const struct omni_event ev = {
		.type = OMNI_EVENT_WORN,
		.lane = (uint8_t)lane,
		.cluster = kp->cluster,
		.peer = kp->peer,
		.peer_gen = kp->peer_gen,
		.session_id = kp->local_id,
	};

	omni_node_event(w, &ev);
}

#define IPV6_BEGIN 0x6000 /* no traffic class, no label */

/* Whole vectors, from the path's first cache line. */
#define TEMPLATE_COPY 48

static_assert(TEMPLATE_COPY >= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN &&
		      offsetof(struct omni_path, hdr) + TEMPLATE_COPY <= OMNI_CACHE_LINE,
	      "the template for IPv4, and no other line");
static_assert(TEMPLATE_COPY <= OMNI_ETHER_HDR_LEN + OMNI_IPV4_HDR_LEN + OMNI_UDP_HDR_LEN +
				       OMNI_WG_DATA_HDR_LEN,
	      "the template ends before the payload");

/*
 * omni_path_write for IPv4 without a call, and with a TOS byte or traffic class: what is copied too
 * much of the template lies where the data header comes next.
 */
static inline void put_outer(const struct omni_path *path, uint8_t *at, uint16_t payload_len,
			     uint16_t ip_id, uint8_t tos)
{
	uint32_t udp_len = payload_len + OMNI_UDP_HDR_LEN, len = udp_len + OMNI_IPV4_HDR_LEN;
	uint32_t sum = path->ip_sum + tos + len + ip_id;
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;

	if (unlikely(path->v6)) {
		omni_path_write(path, at, payload_len, ip_id);
		if (tos != 0)
			omni_store_be16(ip, (uint16_t)(IPV6_BEGIN | tos << 4));
		return;
	}
	memcpy(at, path->hdr, TEMPLATE_COPY);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	if (tos != 0)
		ip[1] = tos;
	omni_store_be32(ip + 2, len << 16 | ip_id);
	omni_store_be16(ip + 10, (uint16_t)~sum);
	omni_store_be16(ip + OMNI_IPV4_HDR_LEN + 4, (uint16_t)udp_len);
}

/* The TOS byte or traffic class of outer headers that put_outer made without one. RFC 1624. */
static inline void set_outer_tos(const struct omni_path *path, uint8_t *at, uint8_t tos)
{
	uint8_t *ip = at + OMNI_ETHER_HDR_LEN;
	uint32_t sum;

	if (path->v6) {
		omni_store_be16(ip, (uint16_t)(IPV6_BEGIN | tos << 4));
		return;
	}
	ip[1] = tos;
	sum = (uint32_t)(uint16_t)~omni_load_be16(ip + 10) + tos;
	sum += sum >> 16;
	omni_store_be16(ip + 10, (uint16_t)~sum);
}

/*
 * TOS byte of the outer header. Packets in bundles and fragments do not show what they are: nothing
 * is copied of them. Of a segment's pieces only the first one does, so all of them say it beside.
 */
static inline uint8_t outer_tos(struct tos_policy p, const struct omni_meta *meta,
				const uint8_t *data)
{
	if (p.copy == 0)
		return p.fixed;
	if (meta->kind == OMNI_KIND_SEGMENT)
		return ((uint8_t)meta->tos & p.copy) | p.fixed;
	return meta->kind == OMNI_KIND_FRAME ? (ip_tos(data) & p.copy) | p.fixed : p.fixed;
}

/* The datagram begins front bytes before the text, and ends with the tag. */
static inline void set_datagram(struct rte_mbuf *m, const struct omni_path *path, uint16_t front,
				uint32_t text)
{
	omni_meta(m)->port = path->port;
	m->data_off -= front;
	m->data_len = (uint16_t)(front + text + OMNI_TAG_LEN);
	m->pkt_len = front + text + OMNI_TAG_LEN;
}

#endif
