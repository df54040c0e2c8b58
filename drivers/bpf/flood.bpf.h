/* SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only */
/*
 * Handshakes cost the box more than their sender, and a flood of them would fill what honest ones
 * wait in. While more come than any honest reconnect makes, each source gets one message a
 * second through; a new one is heard at once. Data messages are never limited.
 */
#ifndef FLOOD_BPF_H
#define FLOOD_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define FLOOD_WINDOW_NS 100000000ULL
#define FLOOD_MANY 4000 /* handshake messages in a window, on one CPU */
#define FLOOD_SOURCE_NS 1000000000ULL
#define FLOOD_SOURCES 65536 /* remembered; the longest unheard is forgotten first */
/* As in lib/wire/omni_wire.h, which this compiler does not read. */
#define TYPE_WG_DATA 0x04

struct flood_window {
	__u64 since_ns;
	__u32 count, before; /* in this window and in the one before */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood_window);
} omni_window SEC(".maps");

/*
 * Whoever has an IPv6 address has its /64, so that is one source; IPv4 in the first word, with the
 * other zero.
 */
struct flood_source {
	__u32 word[2];
};

/* When the last message of a source passed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOOD_SOURCES);
	__type(key, struct flood_source);
	__type(value, __u64);
} omni_sources SEC(".maps");

/* Messages that were dropped, by CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} omni_limited SEC(".maps");

static __always_inline void flood_count(void)
{
	const __u32 zero = 0;
	__u64 *limited = bpf_map_lookup_elem(&omni_limited, &zero);

	if (limited)
		(*limited)++;
}

/* One more came: are there too many? */
static __always_inline int flood_is_on(__u64 now)
{
	const __u32 zero = 0;
	struct flood_window *w = bpf_map_lookup_elem(&omni_window, &zero);

	if (!w)
		return 0;
	if (now - w->since_ns >= FLOOD_WINDOW_NS) {
		w->before = now - w->since_ns < 2 * FLOOD_WINDOW_NS ? w->count : 0;
		w->count = 0;
		w->since_ns = now;
	}
	w->count++;
	return w->count > FLOOD_MANY || w->before > FLOOD_MANY;
}

/* Is this handshake message of the source to be dropped? */
static __always_inline int flood_refuses(const struct flood_source *source)
{
	__u64 now = bpf_ktime_get_ns(), *last;

	if (!flood_is_on(now))
		return 0;
	last = bpf_map_lookup_elem(&omni_sources, source);
	if (last && now - *last < FLOOD_SOURCE_NS) {
		flood_count();
		return 1;
	}
	bpf_map_update_elem(&omni_sources, source, &now, BPF_ANY);
	return 0;
}

#endif
