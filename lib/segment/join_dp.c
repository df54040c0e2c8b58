/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Joining frames of one TCP flow, by the rules of the kernel's own: each continues the one
 * before in sequence, their headers differ in sequence, length, id, PSH and checksums only, all
 * but the last have the same payload length, PSH ends a group. A joined frame has no checksum of
 * the sender any more, so each frame's is checked first; a wrong one leaves alone, as it came.
 */
#include "headers.h"

/* No group: no frame of such a flow in this burst. */
#define NONE UINT16_MAX

/* What is read of a frame that may be joined. */
struct tcp {
	const uint8_t *frame;
	uint16_t l3, l4, hdr_len;
	bool v6;
	bool joinable; /* nothing in it that forbids to join */
	uint32_t len, payload, sequence;
};

enum kind {
	KIND_TCP,   /* of a known flow */
	KIND_OTHER, /* no TCP */
	KIND_ANY,   /* cannot be told: may belong to any flow */
};

static enum kind read_ipv4(struct tcp *t)
{
	const uint8_t *ip = t->frame + t->l3;

	if (!reaches(t->len, t->l3 + OMNI_IPV4_HDR_LEN))
		return KIND_ANY;
	if (ip[IPV4_PROTO] != PROTO_TCP)
		return KIND_OTHER;
	if (ip[0] != 0x45 || (omni_load_be16(ip + IPV4_FRAG) & IPV4_FRAGMENT_MASK) != 0)
		return KIND_ANY;
	t->l4 = t->l3 + OMNI_IPV4_HDR_LEN;
	t->joinable = omni_load_be16(ip + IPV4_LEN) == t->len - t->l3;
	return KIND_TCP;
}

static enum kind read_ipv6(struct tcp *t)
{
	const uint8_t *ip = t->frame + t->l3;

	if (!reaches(t->len, t->l3 + OMNI_IPV6_HDR_LEN))
		return KIND_ANY;
	if (ip[IPV6_NEXT] == PROTO_UDP)
		return KIND_OTHER;
	if (ip[IPV6_NEXT] != PROTO_TCP || ip[0] >> 4 != 6)
		return KIND_ANY;
	t->l4 = t->l3 + OMNI_IPV6_HDR_LEN;
	t->joinable = omni_load_be16(ip + IPV6_LEN) == t->len - t->l4;
	return KIND_TCP;
}

static enum kind read_frame(struct tcp *t)
{
	uint16_t type = ether_type(t->frame, t->len, &t->l3), flags;
	enum kind kind;

	if (type == 0 || type == TYPE_VLAN || type == TYPE_QINQ)
		return KIND_ANY;
	if (type != TYPE_IPV4 && type != TYPE_IPV6)
		return KIND_OTHER;
	t->v6 = type == TYPE_IPV6;
	kind = t->v6 ? read_ipv6(t) : read_ipv4(t);
	if (kind != KIND_TCP)
		return kind;
	if (!reaches(t->len, t->l4 + TCP_HDR_LEN))
		return KIND_ANY;
	flags = omni_load_be16(t->frame + t->l4 + TCP_FLAGS);
	t->hdr_len = (uint16_t)(t->l4 + (flags >> 12) * 4);
	t->sequence = omni_load_be32(t->frame + t->l4 + TCP_SEQUENCE);
	if (t->hdr_len < t->l4 + TCP_HDR_LEN || !reaches(t->len, t->hdr_len + OMNI_GSO_SIZE_MIN))
		t->joinable = false;
	t->payload = t->joinable ? t->len - t->hdr_len : 0;
	t->joinable &= (flags & TCP_FLAGS_MASK & ~TCP_PSH) == TCP_ACK_BIT;
	return KIND_TCP;
}

static bool has_psh(const struct tcp *t)
{
	return (t->frame[t->l4 + TCP_FLAGS + 1] & TCP_PSH) != 0;
}

/* Where the latest group of the flow may stand: flows that meet in a slot close each other. */
static unsigned int slot_of(const struct tcp *t)
{
	const uint8_t *ip = t->frame + t->l3;
	uint64_t h = omni_load_be32(t->frame + t->l4) * UINT64_C(0x9e3779b97f4a7c15);

	if (t->v6)
		h += omni_load_be64(ip + 16) ^ omni_load_be64(ip + 32);
	else
		h += omni_load_be64(ip + IPV4_ADDRESSES);
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h >> 57;
}

static_assert(OMNI_JOIN_SLOTS == 1 << 7, "slot_of leaves seven bits");
static_assert(NONE == 0xffff, "close_all writes bytes");

static bool same(const uint8_t *a, const uint8_t *b, unsigned int from, unsigned int to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

static bool same_ip(const uint8_t *a, const uint8_t *b, bool v6)
{
	if (v6)
		return same(a, b, 0, IPV6_LEN) && same(a, b, IPV6_NEXT, OMNI_IPV6_HDR_LEN);
	return same(a, b, 0, IPV4_LEN) && same(a, b, IPV4_FRAG, IPV4_SUM) &&
	       same(a, b, IPV4_ADDRESSES, OMNI_IPV4_HDR_LEN);
}

/* Everything but the flags, which are known to be ACK and perhaps PSH. */
static bool same_tcp(const uint8_t *a, const uint8_t *b, unsigned int len)
{
	return same(a, b, 0, TCP_SEQUENCE) && same(a, b, TCP_ACK, TCP_FLAGS + 1) &&
	       same(a, b, TCP_WINDOW, TCP_SUM) && same(a, b, TCP_SUM + 2, len);
}

/* May ids go on like this? Counting up, or all the same where nothing can be fragmented. */
static bool id_fits(struct omni_join_group *g, const uint8_t *first, const uint8_t *ip)
{
	uint16_t id = omni_load_be16(ip + IPV4_ID);

	if (g->n == 1)
		g->same_id = id == g->last_id && (omni_load_be16(first + IPV4_FRAG) & IPV4_DF) != 0;
	return id == (g->same_id ? g->last_id : (uint16_t)(g->last_id + 1));
}

static bool checksums_hold(const uint8_t *frame, uint16_t l3, uint16_t l4, uint32_t len, bool v6)
{
	const uint8_t *ip = frame + l3;
	uint64_t sum;

	if (!v6 && omni_sum_fold(omni_sum(ip, OMNI_IPV4_HDR_LEN)) != 0xffff)
		return false;
	sum = pseudo_sum(ip, v6, PROTO_TCP) + omni_sum_of16(len - l4) +
	      omni_sum(frame + l4, len - l4);
	return omni_sum_fold(sum) == 0xffff;
}

static bool holds(const struct tcp *t)
{
	return checksums_hold(t->frame, t->l3, t->l4, t->len, t->v6);
}

/* Do the headers and the place in the stream allow to append t? */
static bool continues(struct omni_join_group *g, const uint8_t *first, const struct tcp *t)
{
	const uint8_t *f = t->frame;

	return t->joinable && g->n < OMNI_JOIN_GROUP && t->sequence == g->end &&
	       t->payload <= g->size && t->v6 == g->v6 && t->l4 == g->l4 &&
	       t->hdr_len == g->hdr_len &&
	       g->hdr_len - t->l3 + g->payload + t->payload <= UINT16_MAX &&
	       same(first, f, 0, t->l3) && same_ip(first + t->l3, f + t->l3, t->v6) &&
	       same_tcp(first + t->l4, f + t->l4, (unsigned int)(t->hdr_len - t->l4)) &&
	       (t->v6 || id_fits(g, first + t->l3, f + t->l3));
}

/* Is the first frame's checksum right, so that it may be joined? Asked once. */
static bool first_holds(const struct omni_join *j, struct omni_join_group *g)
{
	if (!g->verified)
		g->open = g->verified =
			checksums_hold(j->frame[g->first], g->l3, g->l4, j->len[g->first], g->v6);
	return g->verified;
}

static void append(struct omni_join *j, struct omni_join_group *g, unsigned int i,
		   const struct tcp *t)
{
	j->next[g->last] = (uint16_t)i;
	g->last = (uint16_t)i;
	g->n++;
	g->end += t->payload;
	g->payload += t->payload;
	if (!t->v6)
		g->last_id = omni_load_be16(t->frame + t->l3 + IPV4_ID);
	g->open = t->payload == g->size && !has_psh(t);
}

static void close_all(struct omni_join *j)
{
	memset(j->slot, 0xff, sizeof(j->slot));
}

static struct omni_join_group *begin_group(struct omni_join *j, unsigned int i)
{
	struct omni_join_group *g = &j->group[j->n++];

	*g = (struct omni_join_group){.first = (uint16_t)i, .last = (uint16_t)i, .n = 1};
	return g;
}

static void begin_flow(struct omni_join *j, unsigned int i, const struct tcp *t)
{
	struct omni_join_group *g = begin_group(j, i);

	g->open = t->joinable && !has_psh(t);
	g->v6 = t->v6;
	g->l3 = t->l3;
	g->l4 = t->l4;
	g->hdr_len = t->hdr_len;
	g->size = (uint16_t)t->payload;
	g->payload = t->payload;
	g->end = t->sequence + t->payload;
	if (!t->v6)
		g->last_id = omni_load_be16(t->frame + t->l3 + IPV4_ID);
}

static unsigned int take_frame(struct omni_join *j, const uint8_t *frame, uint32_t len)
{
	unsigned int i = j->frames++;

	j->frame[i] = frame;
	j->len[i] = len;
	j->next[i] = OMNI_JOIN_END;
	return i;
}

void omni_join_begin(struct omni_join *j)
{
	j->n = 0;
	j->frames = 0;
	close_all(j);
}

void omni_join_add(struct omni_join *j, const uint8_t *frame, uint32_t len)
{
	struct tcp t = {.frame = frame, .len = len};
	unsigned int i = take_frame(j, frame, len);
	enum kind kind = read_frame(&t);
	struct omni_join_group *g;
	uint16_t *slot;

	if (kind != KIND_TCP) {
		begin_group(j, i);
		if (kind == KIND_ANY)
			close_all(j);
		return;
	}
	slot = &j->slot[slot_of(&t)];
	g = *slot != NONE ? &j->group[*slot] : NULL;
	if (g != NULL && g->open && continues(g, j->frame[g->first], &t) && first_holds(j, g) &&
	    holds(&t)) {
		append(j, g, i, &t);
		return;
	}
	*slot = (uint16_t)j->n;
	begin_flow(j, i, &t);
}

void omni_join_add_opaque(struct omni_join *j)
{
	begin_group(j, take_frame(j, NULL, 0));
	close_all(j);
}

static void put_ip(const struct omni_join_group *g, uint8_t *ip, uint32_t l4_len)
{
	if (g->v6) {
		omni_store_be16(ip + IPV6_LEN, (uint16_t)l4_len);
		return;
	}
	omni_store_be16(ip + IPV4_LEN, (uint16_t)(OMNI_IPV4_HDR_LEN + l4_len));
	put_sum(ip + IPV4_SUM, 0);
	put_sum(ip + IPV4_SUM, (uint16_t)~omni_sum_fold(omni_sum(ip, OMNI_IPV4_HDR_LEN)));
}

uint32_t omni_join_head(const struct omni_join *j, const struct omni_join_group *g,
			struct virtio_net_hdr *h, uint8_t *head)
{
	uint32_t l4_len = g->hdr_len - g->l4 + g->payload;
	uint8_t *tcp = head + g->l4;

	memcpy(head, j->frame[g->first], g->hdr_len);
	put_ip(g, head + g->l3, l4_len);
	tcp[TCP_FLAGS + 1] |= j->frame[g->last][g->l4 + TCP_FLAGS + 1] & TCP_PSH;
	put_sum(tcp + TCP_SUM,
		omni_sum_fold(pseudo_sum(head + g->l3, g->v6, PROTO_TCP) + omni_sum_of16(l4_len)));
	*h = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = g->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = g->hdr_len,
		.gso_size = g->size,
		.csum_start = g->l4,
		.csum_offset = TCP_SUM,
	};
	return g->hdr_len;
}
