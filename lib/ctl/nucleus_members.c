/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whom a Nucleus has listed: asked for one by one, refreshed, forgotten. */
#include "l3.h"
#include "nucleus_client.h"

#define MEMBERS_MAX 65536 /* a Nucleus may name keys without end */
#define AGAIN_JITTER_NS (10 * OMNI_NS_PER_S)
#define RENEW_JITTER_S 3600

static uint64_t hash_of(const struct nc_session *s, const struct omni_key *key)
{
	return ctl_index_hash(&s->by_key, key, sizeof(*key), 0);
}

static uint64_t hash_of_vip(const struct nc_session *s, const struct omni_ip *vip)
{
	return ctl_index_hash(&s->by_vip, vip, sizeof(*vip), 0);
}

struct nc_member *nc_member_find(const struct nc_session *s, const struct omni_key *key)
{
	struct ctl_link *l = ctl_index_first(&s->by_key, hash_of(s, key));

	for (; l != NULL; l = ctl_index_next(l)) {
		struct nc_member *m = ctl_container(l, struct nc_member, link);

		if (memcmp(&m->key, key, sizeof(*key)) == 0)
			return m;
	}
	return NULL;
}

static struct nc_member *find_vip(const struct nc_session *s, const struct omni_ip *vip)
{
	struct ctl_link *l = ctl_index_first(&s->by_vip, hash_of_vip(s, vip));

	for (; l != NULL; l = ctl_index_next(l)) {
		struct nc_member *m = ctl_container(l, struct nc_member, by_vip);

		if (omni_ip_equal(&m->vip, vip))
			return m;
	}
	return NULL;
}

/* Nobody else in the list has vip. */
static void set_vip(struct nc_session *s, struct nc_member *m, const struct omni_ip *vip)
{
	if (m->has_vip)
		ctl_index_del(&s->by_vip, &m->by_vip);
	m->has_vip = true;
	m->vip = *vip;
	ctl_index_add(&s->by_vip, &m->by_vip, hash_of_vip(s, vip));
}

static void want(struct nc_session *s, struct nc_member *m)
{
	if (m->is_wanted)
		return;
	m->is_wanted = true;
	TAILQ_INSERT_TAIL(&s->wanted, m, wanted);
}

static void unwant(struct nc_session *s, struct nc_member *m)
{
	if (!m->is_wanted)
		return;
	m->is_wanted = false;
	TAILQ_REMOVE(&s->wanted, m, wanted);
}

static void member_free(struct nc_session *s, struct nc_member *m)
{
	unwant(s, m);
	if (s->sweep == m)
		s->sweep = TAILQ_NEXT(m, entry);
	TAILQ_REMOVE(&s->members, m, entry);
	ctl_index_del(&s->by_key, &m->link);
	if (m->has_vip)
		ctl_index_del(&s->by_vip, &m->by_vip);
	s->n_members--;
	free(m);
}

static bool others_list(const struct nc_session *self, const struct omni_key *key)
{
	const struct ctl_nucleus *nc = self->ctl->nucleus;

	for (unsigned int i = 0; i < nc->n_sessions; i++) {
		const struct nc_session *s = &nc->session[i];

		if (s != self && s->cluster == self->cluster && nc_member_find(s, key) != NULL)
			return true;
	}
	return false;
}

void nc_member_gone(struct nc_session *s, struct nc_member *m)
{
	struct ctl_peer *peer = ctl_peer_find(s->ctl, s->cluster, &m->key);
	bool elsewhere = others_list(s, &m->key);

	member_free(s, m);
	if (peer != NULL && !elsewhere)
		ctl_peer_withdrawn(s->ctl, peer);
}

void nc_member_listed(struct nc_session *s, const struct omni_signal_peer *peer)
{
	struct nc_member *m = nc_member_find(s, &peer->key), *holder;

	if (memcmp(&peer->key, &s->ctl->conf.identity->dh.public, sizeof(peer->key)) == 0)
		return;
	if (s->cluster->l3 != NULL) {
		ctl_ask_news(s->ctl, s->cluster, &peer->vip);
		return; /* asked for when packets are */
	}
	holder = find_vip(s, &peer->vip);
	if (holder != NULL && holder != m)
		nc_member_gone(s, holder); /* an address has one holder: this one is newer */
	if (m == NULL) {
		m = s->n_members < MEMBERS_MAX ? calloc(1, sizeof(*m)) : NULL;
		if (m == NULL)
			return;
		m->key = peer->key;
		ctl_index_add(&s->by_key, &m->link, hash_of(s, &m->key));
		TAILQ_INSERT_TAIL(&s->members, m, entry);
		s->n_members++;
		want(s, m);
	} else if (!omni_ip_equal(&m->vip, &peer->vip)) {
		want(s, m);
	}
	if (!m->has_vip || !omni_ip_equal(&m->vip, &peer->vip))
		set_vip(s, m, &peer->vip);
	m->round = s->round;
	m->unlisted_ns = 0;
}

void nc_member_removed(struct nc_session *s, const struct omni_ip *vip)
{
	struct nc_member *m = find_vip(s, vip);
	struct ctl_peer *peer =
		s->cluster->l3 != NULL ? ctl_peer_by_vip(s->ctl, s->cluster, vip) : NULL;

	if (m != NULL)
		nc_member_gone(s, m);
	if (peer != NULL)
		ctl_peer_withdrawn(s->ctl, peer);
}

struct nc_member *nc_member_next(struct nc_session *s)
{
	struct nc_member *m = TAILQ_FIRST(&s->wanted);

	if (m != NULL)
		unwant(s, m);
	return m;
}

void nc_members_list_begins(struct nc_session *s)
{
	s->round++;
}

void nc_members_list_ended(struct nc_session *s)
{
	struct nc_member *m;

	TAILQ_FOREACH (m, &s->members, entry) {
		if (m->round != s->round && m->unlisted_ns == 0)
			m->unlisted_ns = ctl_now(s->ctl);
	}
}

/* ---- Records ---- */

static enum omni_record_verdict open_record(struct nc_session *s, const struct omni_key *key,
					    const struct omni_signal *in, struct omni_record *rec)
{
	static const enum omni_stat counter[OMNI_RECORD_VERDICT_COUNT] = {
		[OMNI_RECORD_MALFORMED] = OMNI_STAT_ctl_record_bad,
		[OMNI_RECORD_FOREIGN] = OMNI_STAT_ctl_record_foreign,
		[OMNI_RECORD_OTHER_KEY] = OMNI_STAT_ctl_record_bad,
		[OMNI_RECORD_FORGED_MEMBER] = OMNI_STAT_ctl_record_forged,
		[OMNI_RECORD_FORGED_CLUSTER] = OMNI_STAT_ctl_record_forged,
		[OMNI_RECORD_EXPIRED] = OMNI_STAT_ctl_record_expired,
		[OMNI_RECORD_NOT_YET] = OMNI_STAT_ctl_record_expired,
		[OMNI_RECORD_OLDER] = OMNI_STAT_ctl_record_old,
	};
	const struct ctl_peer *peer = key != NULL ? ctl_peer_find(s->ctl, s->cluster, key) : NULL;
	struct omni_record_check check = {
		.cluster_id = &s->cluster->tree.cluster_id,
		.key = key,
		.now_s = ctl_real_now(s->ctl) / OMNI_NS_PER_S,
		.newest_issued = peer != NULL ? peer->record_issued : 0,
	};
	enum omni_record_verdict verdict =
		omni_record_open(rec, in->record, in->record_len, &check);

	if (verdict == OMNI_RECORD_OK)
		return verdict;
	ctl_count(s->ctl, counter[verdict]);
	omni_log_warn(LOG_CTL, "member record refused", "nucleus=%s cluster=%s reason=%s",
		      s->server->text, s->cluster->conf->name, omni_record_verdict_name(verdict));
	return verdict;
}

static const struct omni_endpoint *seen_of(const struct omni_signal *in)
{
	return in->seen.port != 0 && omni_ip_is_unicast(&in->seen.ip) ? &in->seen : NULL;
}

static void tell_refusal(const struct nc_session *s, const struct omni_record *rec, int rc)
{
	char key[OMNI_KEY_B64_LEN], vip[OMNI_IP_TEXT_LEN];

	if (rc == -EADDRINUSE)
		omni_log_warn(LOG_CTL, "member claims an address that another holds",
			      "cluster=%s vip=%s key=%s", s->cluster->conf->name,
			      omni_ip_text(vip, &rec->vip), omni_key_text(key, &rec->key));
	else if (rc == -EACCES)
		omni_log_info(LOG_CTL, "member is denied", "cluster=%s key=%s",
			      s->cluster->conf->name, omni_key_text(key, &rec->key));
}

static void learned(struct nc_session *s, struct nc_member *m, const struct omni_record *rec,
		    const struct omni_signal *in)
{
	int rc = ctl_peer_learned(s->ctl, s->cluster, rec, seen_of(in));
	int was = m->result;

	m->result = rc;
	m->renew_s = rec->expires - NC_RENEW_S - nc_jitter(RENEW_JITTER_S);
	if (rc != was)
		tell_refusal(s, rec, rc);
}

void nc_member_info(struct nc_session *s, const struct omni_key *key, const struct omni_signal *in)
{
	struct nc_member *m = nc_member_find(s, key);
	struct omni_record rec;

	if (m == NULL)
		return; /* it left meanwhile */
	m->asked = false;
	m->query_ns = ctl_now(s->ctl) + NC_QUERY_AGAIN_NS + nc_jitter(AGAIN_JITTER_NS);
	if (!in->found)
		nc_member_gone(s, m);
	else if (open_record(s, key, in, &rec) == OMNI_RECORD_OK)
		learned(s, m, &rec, in);
}

void nc_vip_info(struct nc_session *s, const struct omni_ip *vip, const struct omni_signal *in)
{
	struct omni_record rec;
	bool found = in->found && open_record(s, NULL, in, &rec) == OMNI_RECORD_OK;
	const struct ctl_peer *peer;

	/* A record of somebody else is no answer. */
	if (found && !omni_ip_equal(&rec.vip, vip)) {
		ctl_count(s->ctl, OMNI_STAT_ctl_record_foreign);
		omni_log_warn(LOG_CTL, "member record refused",
			      "nucleus=%s cluster=%s reason=\"of another address\"",
			      s->server->text, s->cluster->conf->name);
		found = false;
	}
	peer = found ? ctl_peer_find(s->ctl, s->cluster, &rec.key) : NULL;
	if (peer != NULL && rec.issued < peer->record_issued) {
		ctl_count(s->ctl, OMNI_STAT_ctl_record_old);
		found = false;
	}
	if (found) {
		int rc = ctl_peer_learned(s->ctl, s->cluster, &rec, seen_of(in));

		tell_refusal(s, &rec, rc);
		found = rc == 0;
	}
	ctl_ask_answered(s->ctl, s->cluster, vip, nc_server_index(s), found);
}

void nc_punch(struct nc_session *s, const struct omni_signal *in)
{
	struct omni_record rec;
	struct ctl_peer *peer;

	if (open_record(s, NULL, in, &rec) != OMNI_RECORD_OK)
		return;
	peer = ctl_peer_find(s->ctl, s->cluster, &rec.key);
	if (peer != NULL && rec.issued < peer->record_issued) {
		ctl_count(s->ctl, OMNI_STAT_ctl_record_old);
		return;
	}
	if (ctl_peer_punched(s->ctl, s->cluster, &rec, seen_of(in)) != 0)
		return;
	peer = ctl_peer_find(s->ctl, s->cluster, &rec.key);
	if (peer != NULL && s->cluster->l3 == NULL && !ctl_peer_has_key(peer))
		ctl_peer_initiate(s->ctl, peer);
}

/* ---- Time ---- */

static bool is_due(const struct nc_session *s, const struct nc_member *m, uint64_t now)
{
	const struct ctl_peer *peer;

	if (m->is_wanted || m->asked || now < m->query_ns || m->result == -EACCES)
		return false;
	peer = ctl_peer_find(s->ctl, s->cluster, &m->key);
	return peer == NULL || !ctl_peer_has_key(peer) ||
	       ctl_real_now(s->ctl) / OMNI_NS_PER_S >= m->renew_s;
}

void nc_members_tick(struct nc_session *s, uint64_t now)
{
	uint64_t lease_ns = s->lease_s * OMNI_NS_PER_S;

	/* While the Nucleus is away or the list is not whole, nothing is known to be gone. */
	if (!s->registered || s->list_wanted || s->silent_ns != 0)
		return;
	for (unsigned int i = 0; i < NC_SWEEP; i++) {
		struct nc_member *m = s->sweep != NULL ? s->sweep : TAILQ_FIRST(&s->members);

		if (m == NULL)
			return;
		s->sweep = TAILQ_NEXT(m, entry);
		if (m->unlisted_ns != 0 && now - m->unlisted_ns >= NC_FORGET_LEASES * lease_ns)
			nc_member_gone(s, m);
		else if (is_due(s, m, now))
			want(s, m);
		if (s->sweep == NULL)
			return;
	}
}

void nc_members_clear(struct nc_session *s)
{
	struct nc_member *m;

	while ((m = TAILQ_FIRST(&s->members)) != NULL)
		member_free(s, m);
}
