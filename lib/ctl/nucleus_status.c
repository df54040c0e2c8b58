/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The state of a session with a Nucleus, for people. */
#include <stdio.h>

#include "nucleus_client.h"

const char *nc_state(const struct nc_session *s)
{
	if (s->registered)
		return "registered";
	if (s->server->n_addresses == 0)
		return "resolving";
	if (s->unsent != 0)
		return "unreachable";
	if (s->has_wrong_key)
		return "wrong-key";
	if (s->silent_ns != 0)
		return "silent";
	if (s->refused != OMNI_SIGNAL_OK || s->hs_result != OMNI_RESULT_ACCEPTED)
		return "refused";
	return s->kp[0] != NULL ? "registering" : "connecting";
}

static void refused_text(const struct nc_session *s, char *out)
{
	char vip[OMNI_IP_TEXT_LEN], key[OMNI_KEY_B64_LEN];
	const struct ctl_peer *holder;

	if (s->refused != OMNI_SIGNAL_VIP_HELD) {
		snprintf(out, NC_TEXT_LEN, "refused by %s: %s", s->server->text,
			 s->refused != OMNI_SIGNAL_OK ? omni_signal_result_name(s->refused)
						      : omni_result_name(s->hs_result));
		return;
	}
	holder = ctl_peer_by_vip(s->ctl, s->cluster, &s->cluster->vip);
	snprintf(out, NC_TEXT_LEN, "refused by %s: VIP %s is held by %s", s->server->text,
		 omni_ip_text(vip, &s->cluster->vip),
		 holder != NULL ? omni_key_text(key, &holder->key) : "another member");
}

const char *nc_reason(const struct nc_session *s, char out[NC_TEXT_LEN])
{
	char at[OMNI_ENDPOINT_TEXT_LEN], key[OMNI_KEY_B64_LEN];
	uint64_t silent_s = (ctl_now(s->ctl) - s->silent_ns) / OMNI_NS_PER_S;

	out[0] = '\0';
	omni_endpoint_text(at, &s->remote);
	if (s->server->n_addresses == 0)
		snprintf(out, NC_TEXT_LEN, "%s does not resolve to an address",
			 s->server->conf->host);
	else if (s->unsent == -EAGAIN)
		snprintf(out, NC_TEXT_LEN, "the next hop towards %s does not answer", at);
	else if (s->unsent != 0)
		snprintf(out, NC_TEXT_LEN, "no route to %s out of the underlay", at);
	else if (s->has_wrong_key)
		snprintf(out, NC_TEXT_LEN,
			 "%s answers with key %s, which is not the pinned one (nucleus.forget)",
			 s->server->text, omni_key_text(key, &s->wrong_key));
	else if (s->silent_ns != 0 && (silent_s > 0 || !s->registered))
		snprintf(out, NC_TEXT_LEN, "no answer from %s for %llu s", at,
			 (unsigned long long)silent_s);
	else if (!s->registered &&
		 (s->refused != OMNI_SIGNAL_OK || s->hs_result != OMNI_RESULT_ACCEPTED))
		refused_text(s, out);
	return out;
}
