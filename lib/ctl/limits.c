/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rates: token buckets, the load of handshakes, and the share of each source under load. */
#include "ctl_priv.h"

#define SOURCES 65536 /* buckets; sources that meet in one share it */
#define STRANGERS (1 << 18)
#define PAGE 4096

struct ctl_source {
	struct ctl_bucket bucket;
};

bool ctl_bucket_take(struct ctl_bucket *b, uint64_t now_ns, uint32_t rate, uint32_t burst)
{
	uint64_t cost = OMNI_NS_PER_S / rate, full = cost * burst;

	if (b->filled_ns == 0 || now_ns - b->filled_ns >= full)
		b->tokens_ns = full;
	else
		b->tokens_ns = OMNI_MIN(full, b->tokens_ns + (now_ns - b->filled_ns));
	b->filled_ns = now_ns;
	if (b->tokens_ns < cost)
		return false;
	b->tokens_ns -= cost;
	return true;
}

/* What a flood would touch bit by bit is there from the start: no flood makes the box grow. */
static void *resident(size_t n, size_t size)
{
	volatile uint8_t *p = calloc(n, size);

	for (size_t i = 0; p != NULL && i < n * size; i += PAGE)
		p[i] = 0;
	return (void *)(uintptr_t)p;
}

int ctl_limits_init(struct omni_ctl *ctl)
{
	ctl->sources = resident(SOURCES, sizeof(*ctl->sources));
	ctl->strangers = resident(STRANGERS, sizeof(*ctl->strangers));
	omni_random(&ctl->source_seed, sizeof(ctl->source_seed));
	return ctl->sources != NULL && ctl->strangers != NULL ? 0 : -ENOMEM;
}

void ctl_limits_fini(struct omni_ctl *ctl)
{
	free(ctl->sources);
	free(ctl->strangers);
	ctl->sources = NULL;
	ctl->strangers = NULL;
}

bool ctl_limits_loaded(struct omni_ctl *ctl, unsigned int waiting)
{
	uint64_t now = ctl_now(ctl);

	if (waiting > CTL_LOAD_WAITING)
		ctl->loaded_until_ns = now + OMNI_NS_PER_S;
	return now < ctl->loaded_until_ns;
}

/* Who has the first v6_len bytes of an IPv6 address is one source. */
static uint32_t slot_of(const struct omni_ctl *ctl, const struct omni_ip *ip, size_t v6_len)
{
	size_t len = omni_ip_is_v4(ip) ? sizeof(ip->b) : v6_len;
	uint8_t mac[4];
	uint32_t slot;

	omni_mac(mac, sizeof(mac), ctl->source_seed.b, sizeof(ctl->source_seed.b), ip->b, len);
	memcpy(&slot, mac, sizeof(slot));
	return slot;
}

static bool take_of(struct omni_ctl *ctl, const struct omni_ip *ip, size_t v6_len, uint32_t burst)
{
	struct ctl_source *source = &ctl->sources[slot_of(ctl, ip, v6_len) % SOURCES];

	return ctl_bucket_take(&source->bucket, ctl_now(ctl), CTL_SOURCE_PER_S, burst);
}

bool ctl_limits_stranger(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	uint32_t *heard_s = &ctl->strangers[slot_of(ctl, ip, 8) % STRANGERS];
	uint32_t now_s = (uint32_t)(ctl_now(ctl) / OMNI_NS_PER_S) + 1;

	if (*heard_s != 0 && now_s - *heard_s < CTL_STRANGER_S)
		return false;
	if (!ctl_bucket_take(&ctl->strangers_heard, ctl_now(ctl), CTL_STRANGERS_PER_S,
			     CTL_STRANGERS_PER_S))
		return false;
	*heard_s = now_s;
	return true;
}

bool ctl_limits_source(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	return take_of(ctl, ip, 7, CTL_SOURCE_BURST);
}

bool ctl_limits_source_wg(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	return take_of(ctl, ip, 8, CTL_SOURCE_BURST_WG);
}
