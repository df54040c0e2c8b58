/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Why there is no session with a WireGuard peer. The protocol meets what is wrong with silence;
 * whoever runs this box is told what can be seen of it.
 */
#include "wg.h"

/* Between two lines about calls that anybody can make. */
#define STRANGER_NS WG_SECONDS(10)
#define MISDIRECTED_NS WG_SECONDS(60)

static const char *const texts[] = {
	[WG_BAD_ANSWERS] = "its answers do not decrypt: the pre-shared keys differ",
	[WG_OLD_CALLS] = "its calls are older than its newest: its clock was set back, or "
			 "somebody repeats them",
	[WG_UNCONFIRMED] = "it calls, but takes none of our answers: the pre-shared keys differ, "
			   "or they do not reach it",
};

const char *ctl_wg_trouble_text(const struct ctl_peer *peer)
{
	return peer->wg != NULL ? texts[peer->wg->trouble] : NULL;
}

void ctl_wg_set_trouble(struct ctl_peer *peer, enum ctl_wg_trouble trouble)
{
	char key[OMNI_KEY_B64_LEN], ep[OMNI_ENDPOINT_TEXT_LEN];

	if (peer->wg->trouble == trouble)
		return;
	peer->wg->trouble = (uint8_t)trouble;
	omni_log_warn(LOG_CTL, texts[trouble], "cluster=%s peer=%s endpoint=%s",
		      peer->cluster->conf->name, ctl_peer_text(key, peer),
		      omni_endpoint_text(ep, &peer->endpoint));
}

static bool is_time(uint64_t *next_ns, uint64_t now, uint64_t apart)
{
	if (now < *next_ns)
		return false;
	*next_ns = now + apart;
	return true;
}

void ctl_wg_tell_stranger(struct omni_ctl *ctl, const struct omni_key *key,
			  const struct omni_endpoint *from, bool other_dialect)
{
	char text[OMNI_KEY_B64_LEN], ep[OMNI_ENDPOINT_TEXT_LEN];

	if (is_time(&ctl->stranger_told_ns, ctl_now(ctl), STRANGER_NS))
		omni_log_info(LOG_CTL,
			      other_dialect ? "WireGuard from a peer that is configured for Omni"
					    : "WireGuard from a key that is no peer's",
			      "key=%s endpoint=%s", omni_key_text(text, key),
			      omni_endpoint_text(ep, from));
}

void ctl_wg_tell_misdirected(struct omni_ctl *ctl, const struct omni_endpoint *from)
{
	char ep[OMNI_ENDPOINT_TEXT_LEN];

	if (is_time(&ctl->misdirected_told_ns, ctl_now(ctl), MISDIRECTED_NS))
		omni_log_info(LOG_CTL, "WireGuard for another public key than ours", "endpoint=%s",
			      omni_endpoint_text(ep, from));
}
