/* SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only */
/*
 * The filter on the sockets of a udp port: a datagram whose first byte and length no message of
 * ours has is dropped before it is queued, so that it wakes nobody. What the kernel joined is let
 * through whole: a forged datagram in front must not take those behind it along. The doubtful is
 * the worker's to judge.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

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

static __always_inline int is_possible(struct __sk_buff *skb)
{
	__u32 len = skb->len - UDP_HDR_LEN;
	__u8 type;

	if (skb->gso_segs > 1)
		return 1;
	if (skb->len < UDP_HDR_LEN + MESSAGE_MIN_LEN)
		return 0;
	if (bpf_skb_load_bytes(skb, UDP_HDR_LEN, &type, sizeof(type)) < 0)
		return 1;
	return type >= DATA_BIT ? len >= DATA_MIN_LEN : type <= TYPE_LAST;
}

SEC("socket")
int omni_udp(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	__u64 *dropped;

	if (is_possible(skb))
		return skb->len;
	dropped = bpf_map_lookup_elem(&omni_dropped, &zero);
	if (dropped)
		(*dropped)++;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
