/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rates: token buckets, the load of handshakes, and the share of each source under load. */
#include "ctl_priv.h"

#define SOURCES 65536 /* buckets; sources that meet in one share it */

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

int ctl_limits_init(struct omni_ctl *ctl)
{
	ctl->sources = calloc(SOURCES, sizeof(*ctl->sources));
	omni_random(&ctl->source_seed, sizeof(ctl->source_seed));
	return ctl->sources != NULL ? 0 : -ENOMEM;
}

void ctl_limits_fini(struct omni_ctl *ctl)
{
	free(ctl->sources);
	ctl->sources = NULL;
}

bool ctl_limits_loaded(struct omni_ctl *ctl, unsigned int waiting)
{
	uint64_t now = ctl_now(ctl);

	if (waiting > CTL_LOAD_WAITING)
		ctl->loaded_until_ns = now + OMNI_NS_PER_S;
	return now < ctl->loaded_until_ns;
}

/* Who has the first v6_len bytes of an IPv6 address is one source. */
static bool take_of(struct omni_ctl *ctl, const struct omni_ip *ip, size_t v6_len, uint32_t burst)
{
	size_t len = omni_ip_is_v4(ip) ? sizeof(ip->b) : v6_len;
	uint8_t mac[4];
	uint32_t slot;

	omni_mac(mac, sizeof(mac), ctl->source_seed.b, sizeof(ctl->source_seed.b), ip->b, len);
	memcpy(&slot, mac, sizeof(slot));
	return ctl_bucket_take(&ctl->sources[slot % SOURCES].bucket, ctl_now(ctl), CTL_SOURCE_PER_S,
			       burst);
}

bool ctl_limits_source(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	return take_of(ctl, ip, 7, CTL_SOURCE_BURST);
}

bool ctl_limits_source_wg(struct omni_ctl *ctl, const struct omni_ip *ip)
{
	return take_of(ctl, ip, 8, CTL_SOURCE_BURST_WG);
}
