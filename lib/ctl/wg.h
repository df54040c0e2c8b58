/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers that speak WireGuard: handshakes, key slots and timers as the whitepaper has them
 * (sections 5 and 6). Nothing of Omni's own is said to them: no probes, no CLOSE.
 *
 * Such a peer is silent when idle. A handshake begins where there is something to send: a worker
 * has a packet and no key (OMNI_EVENT_WANT_KEY), a keepalive is due, a key grows old in use, or
 * nothing came back.
 */
#ifndef CTL_WG_H
#define CTL_WG_H

#include <omni_wg.h>

#include "ctl_priv.h"

#define WG_SECONDS(s) ((uint64_t)(s)*OMNI_NS_PER_S)
#define WG_RETRY_NS WG_SECONDS(OMNI_REKEY_TIMEOUT_S)
/* Initiations of one series; each waits for its answer as long as WG_RETRY_NS and a little. */
#define WG_TRIES_MAX (OMNI_REKEY_ATTEMPT_S / OMNI_REKEY_TIMEOUT_S)
/* Data was sent, and nothing came back. */
#define WG_UNANSWERED_NS WG_SECONDS(OMNI_KEEPALIVE_S + OMNI_REKEY_TIMEOUT_S)
/* The initiator's key is renewed on sending, or on receiving. */
#define WG_REKEY_SEND_NS WG_SECONDS(OMNI_REKEY_AFTER_S)
#define WG_REKEY_RECEIVE_NS \
	WG_SECONDS(OMNI_REJECT_AFTER_S - OMNI_KEEPALIVE_S - OMNI_REKEY_TIMEOUT_S)
/* Initiations of one peer are at least so far apart. */
#define WG_FLOOD_NS (OMNI_NS_PER_S / 50)
/* A peer that has a name and did not answer for so long is looked for where that leads. */
#define WG_PATIENCE_NS (2 * WG_RETRY_NS)
/* A peer's datagrams carry this much where nobody said what its path does. */
#define WG_PATH_MTU 1500

/* An initiation that came too soon: the newest one waits for its time. */
struct ctl_wg_soon {
	bool waits;
	struct omni_wg hs;
	struct omni_endpoint from, to;
	struct omni_path back; /* the way that it came by */
};

/* What a peer of this dialect has beside struct ctl_peer. Deadlines: 0 is "not armed". */
struct ctl_wg {
	struct ctl_link link; /* in ctl->wg_pending while id != 0 */
	struct ctl_peer *peer;
	struct omni_wg hs; /* ours, waiting for a response */
	uint32_t id;	   /* its index; 0: none in flight */
	struct omni_wg_initiation packet;
	bool unsent;	       /* packet waits for the neighbour's address */
	bool wanted;	       /* a handshake waits for the peer's address */
	bool moves;	       /* it was said to be elsewhere: where its name leads, from then on */
	struct omni_ip local;  /* of ours, that it called; none: by the routes */
	struct omni_wg answer; /* of our newest response: a cookie may answer it */
	struct omni_key shared; /* X25519 of both static keys; zero before the first handshake */
	uint64_t handshake_ns;	/* data was sent, and nothing came back */
	uint64_t keepalive_ns;	/* data came, and nothing was sent */
	bool keepalive_again;	/* more of it came while that was armed */
	uint64_t persistent_ns;
	uint64_t wipe_ns;     /* every key is wiped */
	bool renewed_late;    /* the current key made us begin anew on receiving */
	uint64_t consumed_ns; /* its last initiation that was answered */
	struct ctl_wg_soon soon;
	uint8_t trouble;      /* enum ctl_wg_trouble since the last session */
	unsigned int answers; /* of ours since then, none of them confirmed */
	uint64_t looked_ns;   /* the lanes' stamps were read */
	uint64_t traffic_ns;  /* the newest of them */
};

/* 0 or -ENOMEM. */
int ctl_wg_init(struct ctl_peer *peer);
void ctl_wg_fini(struct omni_ctl *ctl, struct ctl_peer *peer);

/*
 * The WireGuard peer of that key, in any L3 cluster; NULL. other: the key is there, but speaks
 * Omni.
 */
struct ctl_peer *ctl_wg_find(struct omni_ctl *ctl, const struct omni_key *key, bool *other);

/* The X25519 of both static keys, kept from then on; NULL where there is none. */
const struct omni_key *ctl_wg_shared(const struct omni_ctl *ctl, struct ctl_peer *peer);

static inline uint64_t ctl_wg_jitter(void)
{
	uint64_t r;

	omni_random(&r, sizeof(r));
	return r % CTL_RETRY_JITTER_NS;
}

/*
 * It called ip of ours, and is answered from there; none: the routes say from where, as nothing was
 * heard for long.
 */
void ctl_wg_called(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip);
/*
 * path leads where the routes say: have it leave from the address that the peer called, unless that
 * is another interface's than the one they choose.
 */
void ctl_wg_answer_from(struct omni_ctl *ctl, const struct ctl_wg *wg, struct omni_path *path);
/* Our addresses are other ones. */
void ctl_wg_addresses(struct omni_ctl *ctl, struct ctl_peer *peer);

/* ---- As initiator: wg_initiate.c ---- */

/* Something is to be sent, or a key to be renewed: begin, unless that was done a moment ago. */
void ctl_wg_initiate(struct omni_ctl *ctl, struct ctl_peer *peer);
/* The time of peer->retry_ns has come: the next try, or the end of the series. */
void ctl_wg_retry(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Drop the handshake in flight. */
void ctl_wg_cancel(struct omni_ctl *ctl, struct ctl_peer *peer);
/* The peer's neighbour may be known now. */
void ctl_wg_resend(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip);
/* Its name was resolved (or its address configured): n addresses. */
void ctl_wg_located(struct omni_ctl *ctl, struct ctl_peer *peer);
/* A Nucleus told us where it is: call it, wait_ns later if it has not called until then. */
void ctl_wg_introduced(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t wait_ns);
void ctl_wg_response(struct omni_ctl *ctl, struct rte_mbuf *m, const struct omni_wg_response *in,
		     const struct omni_endpoint *from, const struct omni_endpoint *to);
void ctl_wg_cookie(struct omni_ctl *ctl, const struct omni_wg_cookie_reply *in);

/* ---- As responder: wg_respond.c ---- */

void ctl_wg_initiation(struct omni_ctl *ctl, struct rte_mbuf *m,
		       const struct omni_wg_initiation *in, const struct omni_endpoint *from,
		       const struct omni_endpoint *to);
/* The time of an initiation that came too soon has come. */
void ctl_wg_answer_late(struct omni_ctl *ctl, struct ctl_peer *peer);
/* When that is; 0: there is none. */
static inline uint64_t ctl_wg_answer_ns(const struct ctl_wg *wg)
{
	return wg->soon.waits ? wg->consumed_ns + WG_FLOOD_NS : 0;
}
/*
 * Under load: does msg (of len bytes, with a valid mac1) carry the cookie of its sender, within
 * that one's rate? Else it is answered with the cookie, or counted.
 */
bool ctl_wg_passes_load(struct omni_ctl *ctl, struct rte_mbuf *m, const void *msg, size_t len,
			const uint8_t sender[4], const uint8_t mac1[OMNI_MAC_LEN],
			const struct omni_endpoint *from, const struct omni_endpoint *to);

/* ---- What keeps a peer from having a session, as far as it shows here: wg_trouble.c ---- */

enum ctl_wg_trouble {
	WG_FINE,
	WG_BAD_ANSWERS, /* they decrypt with another pre-shared key alone */
	WG_OLD_CALLS,	/* older than its newest */
	WG_UNCONFIRMED, /* our answers to its calls */
};

/* Answers to a peer that are lost by chance alone are fewer. */
#define WG_ANSWERS_LOST 3

/* For people; NULL: nothing is known. */
const char *ctl_wg_trouble_text(const struct ctl_peer *peer);
/* It goes into the log, once until the next session. */
void ctl_wg_set_trouble(struct ctl_peer *peer, enum ctl_wg_trouble trouble);
/* Calls of whom nobody knows, and for whom we are not, in the log: some of them. */
void ctl_wg_tell_stranger(struct omni_ctl *ctl, const struct omni_key *key,
			  const struct omni_endpoint *from, bool other_dialect);
void ctl_wg_tell_misdirected(struct omni_ctl *ctl, const struct omni_endpoint *from);

/* ---- Key slots: wg_slots.c ---- */

/* A handshake is done; ids and keys are the slots' where 0 is returned. */
struct ctl_wg_done {
	uint32_t local_id, remote_id;
	const struct omni_noise_keys *keys;
	bool initiator;
};

/* As initiator: current at once. As responder: next. 0 or -errno. */
int ctl_wg_slots_add(struct omni_ctl *ctl, struct ctl_peer *peer, const struct ctl_wg_done *done);
/* The first data came on next. */
void ctl_wg_slots_confirmed(struct omni_ctl *ctl, struct ctl_peer *peer);

/* ---- Changes at run time, which its session outlives: wg_set.c ---- */

/* Send there (a name or an address) from now on, or as soon as the name has led somewhere. 0,
 * -ENOMEM. */
int ctl_wg_set_host(struct omni_ctl *ctl, struct ctl_peer *peer, const char *host, uint16_t port);
void ctl_wg_set_keepalive(struct omni_ctl *ctl, struct ctl_peer *peer,
			  uint16_t seconds);				/* 0: none */
void ctl_wg_set_psk(struct ctl_peer *peer, const struct omni_key *psk); /* NULL: none */

/* ---- Timers and events: wg_timers.c ---- */

void ctl_wg_event(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_event *ev);
/* Send an empty packet; without a key begin a handshake. */
void ctl_wg_keepalive(struct omni_ctl *ctl, struct ctl_peer *peer);
/* A handshake message (or an empty packet) left, or came and was authentic. */
void ctl_wg_sent(struct omni_ctl *ctl, struct ctl_peer *peer);
void ctl_wg_received(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Our own address towards the peer is another one: let it know, if it talks with us. */
void ctl_wg_moved(struct omni_ctl *ctl, struct ctl_peer *peer);

#endif
