/* SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only */
/*
 * The filter on the sockets of a udp port: a datagram whose first byte and length no message of
 * ours has is dropped before it is queued, so that it wakes nobody. What the kernel joined is let
 * through whole: a forged datagram in front must not take those behind it along. The doubtful is
 * the worker's to judge. Floods of handshakes are thinned out.
 */
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_helpers.h>

#include "flood.bpf.h"

#define UDP_HDR_LEN 8
#define DATA_BIT 0x80
/* As in lib/wire/omni_wire.h, which this compiler does not read. */
#define DATA_MIN_LEN 40
#define TYPE_LAST 0x09 /* STUN begins with 0 or 1 */
#define MESSAGE_MIN_LEN 4

/* Dropped, by CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} omni_dropped SEC(".maps");

static __always_inline int is_possible(__u8 type, __u32 len)
{
	return type >= DATA_BIT ? len >= DATA_MIN_LEN : type <= TYPE_LAST;
}

static __always_inline int is_handshake(__u8 type)
{
	return type < DATA_BIT && type != TYPE_WG_DATA;
}

/* The sender's address; what cannot be read counts as one source. */
static __always_inline void read_source(struct __sk_buff *skb, struct flood_source *source)
{
	__u8 first = 0;

	(void)bpf_skb_load_bytes_relative(skb, 0, &first, sizeof(first), BPF_HDR_START_NET);
	if (first >> 4 == 4)
		(void)bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, saddr), source->word,
						  4, BPF_HDR_START_NET);
	else
		(void)bpf_skb_load_bytes_relative(skb, offsetof(struct ipv6hdr, saddr),
						  source->word, sizeof(source->word),
						  BPF_HDR_START_NET);
}

static __always_inline void count_dropped(void)
{
	const __u32 zero = 0;
	__u64 *dropped = bpf_map_lookup_elem(&omni_dropped, &zero);

	if (dropped)
		(*dropped)++;
}

SEC("socket")
int omni_udp(struct __sk_buff *skb)
{
	struct flood_source source = {};
	__u8 type;

	if (skb->gso_segs > 1)
		return skb->len;
	if (skb->len < UDP_HDR_LEN + MESSAGE_MIN_LEN) {
		count_dropped();
		return 0;
	}
	if (bpf_skb_load_bytes(skb, UDP_HDR_LEN, &type, sizeof(type)) < 0)
		return skb->len;
	if (!is_possible(type, skb->len - UDP_HDR_LEN)) {
		count_dropped();
		return 0;
	}
	if (!is_handshake(type))
		return skb->len;
	read_source(skb, &source);
	return flood_refuses(&source) ? 0 : skb->len;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
