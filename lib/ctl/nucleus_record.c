/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Our own member record. */
#include "nucleus_client.h"

static bool in_cluster(const struct omni_ctl *ctl, const struct omni_ip *ip)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		const struct ctl_cluster *c = &ctl->cluster[i];

		if (omni_ip_equal(&c->vip, ip) ||
		    (!c->conf->vip_auto && omni_prefix_contains(&c->conf->vip, ip)))
			return true;
	}
	return false;
}

/* Where others may reach us: never through the overlay itself. */
static unsigned int candidates(const struct nc_session *s, struct omni_endpoint *out)
{
	struct omni_ip ip[OMNI_RECORD_CANDIDATES_MAX];
	unsigned int n = ctl_nexthop_addresses(s->ctl, ip, OMNI_RECORD_CANDIDATES_MAX), k = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (omni_ip_is_unicast(&ip[i]) && !in_cluster(s->ctl, &ip[i]))
			out[k++] = (struct omni_endpoint){.ip = ip[i], .port = s->ctl->listen};
	}
	if (k == 0 && s->local.port != 0)
		out[k++] = s->local;
	return k;
}

static uint64_t real_s(const struct nc_session *s)
{
	return ctl_real_now(s->ctl) / OMNI_NS_PER_S;
}

static bool same_candidates(const struct nc_session *s)
{
	struct omni_endpoint now[OMNI_RECORD_CANDIDATES_MAX];
	unsigned int n = candidates(s, now);

	return n == s->n_candidates && memcmp(now, s->candidate, n * sizeof(now[0])) == 0;
}

bool nc_record_is_stale(struct nc_session *s)
{
	return s->record_len == 0 || real_s(s) >= s->record_issued + OMNI_RECORD_LIFE_S / 2 ||
	       !same_candidates(s);
}

int nc_record_update(struct nc_session *s)
{
	const struct omni_identity *id = s->ctl->conf.identity;
	struct omni_record rec = {
		.cluster_id = s->cluster->tree.cluster_id,
		.ed25519 = id->sign_public,
		.vip = s->cluster->vip,
		.dialects = ctl_cluster_dialects(s->cluster),
		.issued = OMNI_MAX(real_s(s), s->record_issued),
	};
	int len;

	if (!nc_record_is_stale(s))
		return 0;
	s->n_candidates = candidates(s, s->candidate);
	rec.n_candidates = s->n_candidates;
	memcpy(rec.candidates, s->candidate, s->n_candidates * sizeof(s->candidate[0]));
	rec.expires = rec.issued + OMNI_RECORD_LIFE_S;
	len = omni_record_create(s->record, &rec, &id->sign_secret, &s->cluster->tree.sign_secret);
	s->record_len = len > 0 ? (size_t)len : 0;
	s->record_issued = rec.issued;
	return len > 0 ? 0 : -EINVAL;
}
