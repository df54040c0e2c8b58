/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handshakes that this box began, towards peers and towards a Nucleus: start, send, answers. */
#include <rte_errno.h>

#include <omni_cursor.h>

#include "ctl_priv.h"

static uint64_t hash_of(const struct omni_ctl *ctl, uint64_t id)
{
	return ctl_index_hash(&ctl->pending, &id, sizeof(id), 0);
}

static struct ctl_hs *find(const struct omni_ctl *ctl, uint64_t id)
{
	struct ctl_link *l;

	for (l = ctl_index_first(&ctl->pending, hash_of(ctl, id)); l != NULL;
	     l = ctl_index_next(l)) {
		struct ctl_hs *hs = ctl_container(l, struct ctl_hs, link);

		if (hs->id == id)
			return hs;
	}
	return NULL;
}

static void hs_free(struct omni_ctl *ctl, struct ctl_hs *hs)
{
	ctl_index_del(&ctl->pending, &hs->link);
	omni_wipe(hs, sizeof(*hs));
	free(hs);
}

void ctl_hs_cancel(struct omni_ctl *ctl, struct ctl_hs *hs)
{
	if (hs == NULL)
		return;
	omni_sessions_release(ctl->conf.sessions, hs->id);
	hs_free(ctl, hs);
}

static int write_packet(struct omni_ctl *ctl, struct ctl_hs *hs)
{
	struct omni_key ephemeral;
	struct omni_hs_start start = {
		.purpose = hs->conf.purpose,
		.self = &ctl->conf.identity->dh,
		.remote = &hs->conf.remote,
		.ephemeral = &ephemeral,
		.proof_key = hs->conf.proof_key,
		.cookie = hs->conf.cookie,
		.offer = &hs->conf.offer,
		.session_id = hs->id,
		.now_ns = hs->sent_ns,
	};
	int rc;

	omni_random(&ephemeral, sizeof(ephemeral));
	rc = omni_hs_initiation_create(&hs->hs, &hs->packet, &start);
	omni_wipe(&ephemeral, sizeof(ephemeral));
	return rc;
}

struct ctl_hs *ctl_hs_start(struct omni_ctl *ctl, const struct ctl_hs_conf *conf)
{
	struct ctl_hs *hs = calloc(1, sizeof(*hs));
	int rc;

	if (hs == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	hs->conf = *conf;
	hs->sent_ns = ctl_now(ctl);
	ctl_timestamp(ctl, hs->conf.offer.timestamp);
	hs->id = omni_sessions_reserve(ctl->conf.sessions);
	if (hs->id == 0) {
		rte_errno = ENOSPC;
		free(hs);
		return NULL;
	}
	ctl_index_add(&ctl->pending, &hs->link, hash_of(ctl, hs->id));
	rc = write_packet(ctl, hs);
	if (rc < 0) {
		ctl_hs_cancel(ctl, hs);
		rte_errno = -rc;
		return NULL;
	}
	ctl_count(ctl, OMNI_STAT_ctl_handshakes_sent);
	return hs;
}

int ctl_hs_send(struct omni_ctl *ctl, struct ctl_hs *hs, const struct omni_endpoint *to)
{
	struct omni_path path;
	int rc = ctl_resolve(ctl, to, &path);

	if (rc == 0)
		return ctl_send_plain(ctl, &path, &hs->packet, sizeof(hs->packet));
	if (rc == -EAGAIN)
		hs->unsent = true;
	else
		ctl_count(ctl, OMNI_STAT_ctl_unreachable);
	return rc;
}

void ctl_hs_response(struct omni_ctl *ctl, const struct omni_response *in,
		     const struct omni_endpoint *from, const struct omni_endpoint *to)
{
	struct ctl_hs *hs = find(ctl, omni_load_be64(in->receiver_id));
	struct omni_noise_keys keys;
	struct omni_hs_answer answer;
	struct ctl_hs_done done;
	int rc;

	if (hs == NULL || !hs->hs.awaits_response) {
		ctl_count(ctl, OMNI_STAT_ctl_unexpected);
		return;
	}
	rc = omni_hs_response_open(&hs->hs, &answer, &keys, in, &ctl->conf.identity->dh,
				   &hs->conf.psk);
	if (rc < 0) {
		ctl_count(ctl, OMNI_STAT_ctl_bad_handshake);
		return;
	}
	done = (struct ctl_hs_done){
		.local_id = hs->id,
		.remote_id = hs->hs.remote_id,
		.answer = &answer,
		.keys = &keys,
		.from = *from,
		.to = *to,
	};
	ctl_index_del(&ctl->pending, &hs->link);
	if (answer.result != OMNI_RESULT_ACCEPTED)
		omni_sessions_release(ctl->conf.sessions, hs->id);
	hs->conf.done(ctl, hs->conf.owner, &done);
	omni_wipe(&keys, sizeof(keys));
	omni_wipe(hs, sizeof(*hs));
	free(hs);
}

void ctl_hs_cookie(struct omni_ctl *ctl, const struct omni_cookie_reply *in)
{
	struct ctl_hs *hs = find(ctl, omni_load_be64(in->receiver_id));

	if (hs == NULL || hs->conf.cookie == NULL ||
	    omni_hs_cookie_open(&hs->hs, hs->conf.cookie, in, ctl_now(ctl)) < 0)
		ctl_count(ctl, OMNI_STAT_ctl_unexpected);
}
