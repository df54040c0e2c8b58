/* SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only */
/*
 * The filter in front of an AF_XDP port: UDP datagrams to one of our ports and to this host go
 * to the socket of their receive queue; everything else, and every doubt, goes to the kernel.
 * Floods of handshakes are thinned out. A port without UDP ports has the interface for itself:
 * every frame goes to the socket.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.bpf.h"

#define DATA_BIT 0x80
#define AF_INET 2
#define AF_INET6 10
#define IP_FRAGMENT 0x3fff /* more fragments, or an offset */

/* Sockets by receive queue. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} omni_xsks SEC(".maps");

/* UDP destination ports that are ours, in network order. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u16);
	__type(value, __u8);
} omni_ports SEC(".maps");

struct mac {
	__u8 b[6];
	__u8 all; /* take every frame */
	__u8 unused;
};

/* The interface's own MAC address, and whether that matters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mac);
} omni_mac SEC(".maps");

static __always_inline int is_our_mac(const struct mac *mac, const struct ethhdr *eth)
{
	return __builtin_memcmp(mac->b, eth->h_dest, 4) == 0 && mac->b[4] == eth->h_dest[4] &&
	       mac->b[5] == eth->h_dest[5];
}

static __always_inline int is_our_port(const struct udphdr *udp)
{
	__u16 port = udp->dest;

	return bpf_map_lookup_elem(&omni_ports, &port) != 0;
}

/*
 * The kernel's own routes say whose an address is: what it would forward to another host is
 * not ours. Where it forwards nothing, all that comes to our MAC is for this host.
 */
static __always_inline int is_local(struct xdp_md *ctx, struct bpf_fib_lookup *fib)
{
	long rc;

	fib->ifindex = ctx->ingress_ifindex;
	fib->l4_protocol = IPPROTO_UDP;
	rc = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	return rc == BPF_FIB_LKUP_RET_NOT_FWDED || rc == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

enum verdict {
	NOT_OURS,
	OURS,
	TOO_MUCH,
};

/* A datagram for us; source is its sender. */
static __always_inline enum verdict judge(const struct udphdr *udp, const void *end,
					  const struct flood_source *source)
{
	const __u8 *type = (const void *)(udp + 1);

	if ((const void *)(type + 1) > end || *type >= DATA_BIT || *type == TYPE_WG_DATA)
		return OURS;
	return flood_refuses(source) ? TOO_MUCH : OURS;
}

static __always_inline enum verdict is_ours_v4(struct xdp_md *ctx, const void *at, const void *end)
{
	const struct iphdr *ip = at;
	struct bpf_fib_lookup fib = {.family = AF_INET};
	struct flood_source source = {};
	const struct udphdr *udp;

	if ((const void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return NOT_OURS;
	if (ip->protocol != IPPROTO_UDP || (ip->frag_off & bpf_htons(IP_FRAGMENT)))
		return NOT_OURS;
	udp = at + ip->ihl * 4;
	if ((const void *)(udp + 1) > end || !is_our_port(udp))
		return NOT_OURS;
	fib.ipv4_src = ip->saddr;
	fib.ipv4_dst = ip->daddr;
	source.word[0] = ip->saddr;
	return is_local(ctx, &fib) ? judge(udp, end, &source) : NOT_OURS;
}

static __always_inline enum verdict is_ours_v6(struct xdp_md *ctx, const void *at, const void *end)
{
	const struct ipv6hdr *ip = at;
	struct bpf_fib_lookup fib = {.family = AF_INET6};
	struct flood_source source;
	const struct udphdr *udp = (const void *)(ip + 1);

	if ((const void *)(udp + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return NOT_OURS;
	if (!is_our_port(udp))
		return NOT_OURS;
	__builtin_memcpy(fib.ipv6_src, &ip->saddr, sizeof(fib.ipv6_src));
	__builtin_memcpy(fib.ipv6_dst, &ip->daddr, sizeof(fib.ipv6_dst));
	__builtin_memcpy(source.word, &ip->saddr, sizeof(source.word));
	return is_local(ctx, &fib) ? judge(udp, end, &source) : NOT_OURS;
}

SEC("xdp")
int omni_xdp(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = data;
	const __u32 zero = 0;
	const struct mac *mac = bpf_map_lookup_elem(&omni_mac, &zero);
	enum verdict verdict = NOT_OURS;

	if (!mac || (const void *)(eth + 1) > end)
		return XDP_PASS;
	if (mac->all)
		return bpf_redirect_map(&omni_xsks, ctx->rx_queue_index, XDP_PASS);
	if (!is_our_mac(mac, eth))
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		verdict = is_ours_v4(ctx, eth + 1, end);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		verdict = is_ours_v6(ctx, eth + 1, end);
	if (verdict == TOO_MUCH)
		return XDP_DROP;
	return verdict == OURS ? bpf_redirect_map(&omni_xsks, ctx->rx_queue_index, XDP_PASS)
			       : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
