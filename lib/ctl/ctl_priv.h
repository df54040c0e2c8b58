/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the files of lib/ctl share. Everything runs on the control thread. Times are nanoseconds
 * of ctl_now() (CLOCK_BOOTTIME) unless a name says otherwise; 0 is "never".
 */
#ifndef CTL_PRIV_H
#define CTL_PRIV_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <omni_clock.h>
#include <omni_control.h>
#include <omni_cookie.h>
#include <omni_ctl.h>
#include <omni_handshake.h>
#include <omni_keytree.h>
#include <omni_log.h>
#include <omni_record.h>
#include <omni_secret.h>
#include <omni_signal.h>

#define LOG_CTL "ctl"

/* ---- Limits and times (those of the wire stand in omni_wire.h) ---- */

#define CTL_TICK_MS 100
#define CTL_RETRY_JITTER_NS (OMNI_NS_PER_S / 3) /* beside OMNI_REKEY_TIMEOUT_S */
/* Beside OMNI_REKEY_AFTER_S: 5 s. */
#define CTL_REKEY_JITTER_NS (OMNI_REKEY_AFTER_S * OMNI_NS_PER_S / 24)
#define CTL_ANSWER_NS (6 * OMNI_NS_PER_S)	  /* a try's; longer than between the first tries */
#define CTL_BACKOFF_STATIC_NS (8 * OMNI_NS_PER_S) /* between tries, once given up */
#define CTL_BACKOFF_MEMBER_NS (60 * OMNI_NS_PER_S)
#define CTL_REFUSED_NS (30 * OMNI_NS_PER_S)	/* before a peer that refused us is asked again */
#define CTL_PUNCHED_NS (300 * OMNI_NS_PER_MS)	/* L3: for the call of who is about to call us */
#define CTL_HIGHER_WAITS_NS (2 * OMNI_NS_PER_S) /* mesh: the lower key starts */
#define CTL_WIPE_AFTER_NS (3 * (uint64_t)OMNI_REJECT_AFTER_S * OMNI_NS_PER_S)
#define CTL_ALIVE_AFTER_NS (3 * OMNI_NS_PER_S) /* silence after traffic that is looked into */
#define CTL_ALIVE_SENDING_NS OMNI_NS_PER_S     /* the same while we go on sending */
#define CTL_ALIVE_EVERY_NS OMNI_NS_PER_S
#define CTL_ALIVE_TRIES 3
#define CTL_UNCONFIRMED_MAX 1024
#define CTL_UNCONFIRMED_NS (30 * OMNI_NS_PER_S)
#define CTL_STAMPS_MAX 4096 /* newest timestamps kept of keys that are no peers */
#define CTL_CANDIDATES_MAX (OMNI_RECORD_CANDIDATES_MAX + 2)
#define CTL_SHOTS_MAX 5	    /* datagrams of one attempt towards unconfirmed addresses */
#define CTL_PATIENT_TRIES 1 /* with the confirmed address alone, before all candidates */
#define CTL_CROSSINGS_MAX 2 /* initiations ignored in favour of ours, in a row */
/* Handshakes that wait, from which on cookies are asked for: what takes about 0.4 s to answer. */
#define CTL_LOAD_WAITING (OMNI_PUNT_HANDSHAKE_SIZE / 2)
#define CTL_SOURCE_PER_S 20 /* handshakes of one source under load */
#define CTL_SOURCE_BURST 40
#define CTL_STRANGER_S 60
#define CTL_STRANGERS_PER_S 4000 /* heard under load without a cookie: a DH each */
#define CTL_SOURCE_BURST_WG 5
#define CTL_PROBES_PER_S 200  /* towards unconfirmed addresses */
#define CTL_ECHOES_PER_S 2000 /* answers to probes */
#define CTL_BATCH 64	      /* of one ring in one turn */
#define CTL_CLOCK_JUMP_NS (5 * OMNI_NS_PER_S)
#define CTL_CLOCK_MARK_NS (3600 * OMNI_NS_PER_S)

/* ---- Intrusive hash table: fixed buckets, chains ---- */

struct ctl_link {
	struct ctl_link *next;
	uint64_t hash;
};

struct ctl_index {
	struct ctl_link **bucket;
	uint32_t mask, count;
	uint64_t seed;
};

/* want: entries expected. 0 or -ENOMEM. */
int ctl_index_init(struct ctl_index *index, uint32_t want);
void ctl_index_fini(struct ctl_index *index);
uint64_t ctl_index_hash(const struct ctl_index *index, const void *key, size_t len, uint32_t salt);
void ctl_index_add(struct ctl_index *index, struct ctl_link *link, uint64_t hash);
void ctl_index_del(struct ctl_index *index, struct ctl_link *link);
/* First link of that hash, and the next one after link; the caller compares keys. */
struct ctl_link *ctl_index_first(const struct ctl_index *index, uint64_t hash);
struct ctl_link *ctl_index_next(const struct ctl_link *link);

#define ctl_container(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* ---- Token bucket ---- */

struct ctl_bucket {
	uint64_t filled_ns;
	uint64_t tokens_ns; /* credit, in nanoseconds */
};

/* Take one of rate a second, burst at most; false: none left. A zeroed bucket is full. */
bool ctl_bucket_take(struct ctl_bucket *b, uint64_t now_ns, uint32_t rate, uint32_t burst);

int ctl_limits_init(struct omni_ctl *ctl);
void ctl_limits_fini(struct omni_ctl *ctl);
/* One more handshake came, with so many waiting behind it: are cookies to be asked for? */
bool ctl_limits_loaded(struct omni_ctl *ctl, unsigned int waiting);
/*
 * Under load, before anything is proven: was nothing of this address looked at for CTL_STRANGER_S?
 * Then one initiation is, without a cookie, for whoever calls in the middle of a flood of others
 * would wait for 5 s with it. Bounded for all of them.
 */
bool ctl_limits_stranger(struct omni_ctl *ctl, const struct omni_ip *ip);
/* Under load: may this (proven) source have a handshake looked at? */
bool ctl_limits_source(struct omni_ctl *ctl, const struct omni_ip *ip);
/* The same at WireGuard's rate: of an IPv4 address, or the /64 of an IPv6 one. */
bool ctl_limits_source_wg(struct omni_ctl *ctl, const struct omni_ip *ip);

/* ---- Clusters ---- */

TAILQ_HEAD(ctl_peer_list, ctl_peer);

struct ctl_cluster {
	uint16_t number; /* bridge domain, and index in ctl->cluster */
	const struct omni_config_cluster *conf;
	struct omni_keytree tree;
	struct omni_ip vip; /* ours */
	uint8_t ciphers[2]; /* by preference */
	bool cipher_allowed[OMNI_CIPHER_COUNT];
	uint16_t frame_max; /* largest Ethernet frame of its ports; L3: packet */
	bool segments;	    /* one of them takes TCP segments whole */
	uint16_t port[OMNI_BRIDGE_PORTS_MAX];
	uint16_t n_ports;
	struct ctl_peer_list peers;
	uint32_t n_peers;
	uint32_t n_sessions; /* peers with a key to send with */
	bool flood_dirty;    /* the flood list is to be published again */
	bool mesh_full;	     /* limits.mesh was met, and said so */
	struct ctl_l3 *l3;   /* l3.h; NULL: an L2 cluster */
};

int ctl_clusters_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_clusters_fini(struct omni_ctl *ctl);
/* By what an initiation or a record names; NULL. */
struct ctl_cluster *ctl_cluster_by_id(struct omni_ctl *ctl, const struct omni_key *id);
struct ctl_cluster *ctl_cluster_by_name(struct omni_ctl *ctl, const char *name);
bool ctl_cluster_denies(const struct ctl_cluster *c, const struct omni_key *key);
/* Publish the flood lists that changed. */
void ctl_clusters_flush(struct omni_ctl *ctl);

/* ---- Handshakes in flight, as initiator: of a peer or of a Nucleus's session ---- */

struct ctl_hs;

/* What the response said. keys are wiped by the caller of `done` after it returned. */
struct ctl_hs_done {
	uint64_t local_id, remote_id; /* local_id is the callee's now: publish or release it */
	const struct omni_hs_answer *answer;
	const struct omni_noise_keys *keys;
	struct omni_endpoint from, to;
};

struct ctl_hs_conf {
	enum omni_hs_purpose purpose;
	struct omni_key remote;
	struct omni_key psk; /* zero towards a Nucleus */
	const struct omni_key *proof_key;
	struct omni_cookie *cookie; /* of this remote: read now, written by a cookie reply */
	struct omni_hs_offer offer; /* timestamp is filled in */
	/*
	 * The response came (accepted or refused); hs is freed when it returns. Its id is
	 * released by the driver where answer->result refuses.
	 */
	void (*done)(struct omni_ctl *ctl, void *owner, const struct ctl_hs_done *done);
	void *owner;
};

struct ctl_hs {
	struct ctl_link link; /* in ctl->pending, by hs.local_id */
	struct ctl_hs_conf conf;
	struct omni_hs hs;
	struct omni_initiation packet; /* as sent: sent again where it crossed another */
	uint64_t id;		       /* hs.local_id, which a wiped hs forgets */
	uint64_t sent_ns;
	bool unsent;  /* to an address at least: its neighbour is being asked for */
	bool crossed; /* by one of the other side's at least */
};

/* Reserve an id, write the initiation. NULL (rte_errno) when no id, no memory, or a bad key. */
struct ctl_hs *ctl_hs_start(struct omni_ctl *ctl, const struct ctl_hs_conf *conf);
/* Send hs's initiation to an address: 0, -EAGAIN (neighbour being asked for), -errno. */
int ctl_hs_send(struct omni_ctl *ctl, struct ctl_hs *hs, const struct omni_endpoint *to);
/* Release the id, wipe, free. NULL is fine. */
void ctl_hs_cancel(struct omni_ctl *ctl, struct ctl_hs *hs);
/* A response or cookie reply came. */
void ctl_hs_response(struct omni_ctl *ctl, const struct omni_response *in,
		     const struct omni_endpoint *from, const struct omni_endpoint *to);
void ctl_hs_cookie(struct omni_ctl *ctl, const struct omni_cookie_reply *in);

/* TAI64N of what we send: max(clock, last + 1); state.c keeps its mark on disk. */
void ctl_timestamp(struct omni_ctl *ctl, uint8_t out[OMNI_TAI64N_LEN]);
void ctl_state_load(struct omni_ctl *ctl);
void ctl_state_tick(struct omni_ctl *ctl);

/* ---- Peers ---- */

enum ctl_origin {
	CTL_ORIGIN_STATIC,  /* configuration or peer.add */
	CTL_ORIGIN_NUCLEUS, /* a member that a Nucleus introduced */
	CTL_ORIGIN_CALLED,  /* it called us and proved membership */
};

enum ctl_slot {
	CTL_PREVIOUS,
	CTL_CURRENT,
	CTL_NEXT, /* as responder: not confirmed yet */
	CTL_SLOTS,
};

/* One key of a peer's, and what its handshake said. */
struct ctl_session {
	struct omni_keypair *kp;
	struct omni_endpoint from; /* where its handshake came from */
	struct omni_path reflect;  /* the way back, where routes do not know it yet */
	struct omni_ip vip;	   /* claimed in its handshake */
	uint64_t rekey_ns;	   /* initiator: when to begin again */
};

/* Roaming and path MTU: probe.c. */
struct ctl_probe {
	uint64_t sent_ns;
	uint8_t token[OMNI_CONTROL_TOKEN_LEN];
	struct omni_endpoint to;
	uint16_t size; /* of the IP datagram; 0: not padded */
	uint8_t tries;
	bool waiting, echoed;
};

struct ctl_pmtu {
	struct ctl_probe probe, any; /* of a size; and without padding, where that stays silent */
	uint16_t told;		     /* last logged */
	uint16_t low, high;	     /* echoed, or believed until asked; not yet known to fail */
	bool sure;		     /* low is more than a belief */
	bool verifying;		     /* what was measured: a path may have shrunk */
	bool searching, done;
	uint64_t again_ns; /* not verified earlier, but at a new session */
};

struct ctl_roam {
	struct ctl_probe at_new, at_old;
	bool running;
	bool asked; /* MOVE: the peer itself wants it */
	uint64_t until_ns;
	uint8_t lane;			/* that came from the new one */
	struct omni_endpoint validated; /* echoed while the old one was: not probed again soon */
	uint64_t validated_ns;
};

/*
 * Of these there are as many as members, most of them without a session: what only a session or
 * a round of probes needs is allocated for its time.
 */
struct ctl_peer {
	TAILQ_ENTRY(ctl_peer) entry; /* cluster->peers */
	struct ctl_link by_key;	     /* ctl->peers_by_key: (cluster, key) */
	struct ctl_link by_vip;	     /* ctl->peers_by_vip: (cluster, vip); linked where has_vip */
	struct ctl_cluster *cluster;
	struct omni_peer *pub; /* what workers see */
	enum ctl_origin origin;
	char name[OMNI_CONFIG_NAME_LEN]; /* "" where it has none */
	struct omni_key key;
	struct omni_key psk;
	bool has_psk; /* configured, not derived */
	bool lower;   /* its key is lower than ours */

	/* VIP: vip.c */
	struct omni_ip vip;
	bool has_vip;	     /* vip is claimed or bound */
	bool vip_bound;	     /* by configuration */
	bool vip_held;	     /* by a confirmed session */
	uint64_t record_seq; /* order in which records of members came; 0: none */
	uint64_t record_issued, record_expires; /* seconds since 1970 */

	struct omni_endpoint *candidate; /* addresses to try, n_candidates of them */
	unsigned int n_candidates, next_candidate;
	struct omni_endpoint endpoint; /* where we send; port 0: unknown */
	bool endpoint_confirmed;       /* authenticated data came from there */
	uint16_t path_mtu;	       /* configured; 0: probed */
	uint16_t link_mtu;	       /* of the way's first link */
	bool path_pending;	       /* the next hop is not known yet */
	uint16_t keepalive_s;	       /* 0: none */
	char *host;		       /* configured; NULL: none */
	uint16_t host_port;
	struct ctl_name *dns; /* resolve.c: host is a name, being looked up; NULL */

	/* Keys: slots.c */
	struct ctl_session *slot[CTL_SLOTS]; /* NULL: empty */
	uint8_t newest[OMNI_TAI64N_LEN];     /* of its initiations */
	uint8_t refused;		     /* enum omni_result of the last answer to us */
	bool refused_by_us;		     /* refused says why we refused it */
	uint64_t confirmed_ns;		     /* of the current session */
	uint64_t confirmed_real_ns;	     /* the same, CLOCK_REALTIME then */
	uint64_t created_ns;
	bool unconfirmed; /* counted in ctl->n_unconfirmed */

	/* Handshake: handshake_init.c */
	struct ctl_hs *hs; /* in flight */
	struct omni_cookie cookie;
	uint64_t attempt_ns;	/* of the first try of this series; 0: no series */
	uint64_t last_start_ns; /* of the newest try */
	uint64_t retry_ns;	/* when to try (again) */
	uint64_t not_before_ns; /* it refused us: not asked again before */
	unsigned int tries, crossings;
	uint64_t cut_ns;   /* last request for frames instead of segments */
	uint64_t stale_ns; /* last answer to a stale initiation */

	/* Life: timers.c */
	uint64_t due_ns;				   /* nothing to do before */
	uint64_t rx_tsc, tx_tsc, rx_data_tsc, tx_data_tsc; /* as last seen */
	uint64_t rx_ns, tx_ns, rx_data_ns, tx_data_ns;	   /* when that was new */
	uint64_t owe_ns;		       /* data came and nothing was sent since */
	uint64_t past_rx_bytes, past_tx_bytes; /* of keys that are gone */
	bool alive_armed; /* there was traffic since the last sign of life was asked for */
	struct ctl_probe alive;
	struct ctl_pmtu pmtu;
	struct ctl_roam *roam;	   /* NULL: nothing came from elsewhere */
	struct ctl_lanes *lanes;   /* source ports: lanes.c; NULL: none but the main ones */
	struct ctl_routes *routes; /* prefixes behind it: advertise.c; NULL: none are told */
	struct ctl_bucket echoes;

	struct ctl_wg *wg; /* wg.h; NULL: it speaks Omni's dialect */
};

/* With what else a member has while it has no session (path, entries of tables) under 1 KiB. */
static_assert(sizeof(struct ctl_peer) <= 768, "a member without a session is small");

/* The key in a slot; NULL. */
static inline struct omni_keypair *ctl_peer_kp(const struct ctl_peer *peer, enum ctl_slot slot)
{
	return peer->slot[slot] != NULL ? peer->slot[slot]->kp : NULL;
}

struct ctl_peer *ctl_peer_find(struct omni_ctl *ctl, const struct ctl_cluster *c,
			       const struct omni_key *key);
struct ctl_peer *ctl_peer_of_index(struct omni_ctl *ctl, uint32_t index, uint32_t generation);
/* It counts as unconfirmed no more: data came, a Nucleus listed it, or it goes. */
void ctl_peer_is_known(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Any confirmed or bound holder of an address first; NULL. */
struct ctl_peer *ctl_peer_by_vip(struct omni_ctl *ctl, const struct ctl_cluster *c,
				 const struct omni_ip *vip);
/* NULL with rte_errno: ENOSPC (limits.peers), ENOMEM. */
struct ctl_peer *ctl_peer_new(struct omni_ctl *ctl, struct ctl_cluster *c,
			      const struct omni_key *key, enum ctl_origin origin);
/* A static peer, from the YAML or peer.add; 0, -EEXIST, -ENOSPC, -EINVAL with err. */
int ctl_peer_add(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_config_peer *conf,
		 struct omni_err *err) OMNI_MUST_CHECK;
/* CLOSE its sessions with the reason, forget what was learned behind it, free. */
void ctl_peer_remove(struct omni_ctl *ctl, struct ctl_peer *peer, enum omni_close_reason reason);
/* CLOSE on the current key, if there is one. */
void ctl_peer_say_close(struct omni_ctl *ctl, struct ctl_peer *peer, enum omni_close_reason reason);
/* Key of the peer's text form, for logs: "name" or its base64 key. Static buffer of the call. */
const char *ctl_peer_text(char out[OMNI_KEY_B64_LEN], const struct ctl_peer *peer);
/* The peer's address is known (name resolved); call it if there is no session. */
void ctl_peer_set_endpoints(struct omni_ctl *ctl, struct ctl_peer *peer,
			    const struct omni_endpoint *ep, unsigned int n);
/* One more address where it may be, unless that is known. */
void ctl_peer_candidate_add(struct ctl_peer *peer, const struct omni_endpoint *ep);
void ctl_peer_candidates_forget(struct ctl_peer *peer);
/*
 * A Nucleus introduced a member (record checked by omni_record_open; seen may be NULL): make or
 * refresh the peer, and see to a session. 0; -EADDRINUSE: its VIP is another's; -EACCES: denied;
 * -ENOSPC: mesh or table full; -EALREADY: it is ourselves; -EPROTONOSUPPORT:
 * its record lists no dialect that we speak with it; -EEXIST: it speaks WireGuard with us in
 * another cluster; -ENOMEM.
 */
int ctl_peer_learned(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		     const struct omni_endpoint *seen);
/* The same of one that is about to call us: call it if it has not got through soon. */
int ctl_peer_punched(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_record *rec,
		     const struct omni_endpoint *seen);
/* No Nucleus lists it any more: a live session stays, without one the peer goes. */
void ctl_peer_withdrawn(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Send to ep from now on (port 0: nowhere). confirmed: authenticated data came from there. */
void ctl_peer_set_endpoint(struct omni_ctl *ctl, struct ctl_peer *peer,
			   const struct omni_endpoint *ep, bool confirmed,
			   const struct omni_path *reflect);
/* peer->endpoint (or a next hop, or the measured MTU) changed: publish its path anew. */
void ctl_peer_publish_path(struct omni_ctl *ctl, struct ctl_peer *peer,
			   const struct omni_path *reflect);
/* What was found out about the path changed: peer->pmtu, peer->lanes. */
void ctl_peer_republish(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Find out where the configured host is, if it is not known yet. */
void ctl_peer_look_up(struct omni_ctl *ctl, struct ctl_peer *peer);
bool ctl_peer_has_key(const struct ctl_peer *peer);

/* Newest timestamps of keys that are no peers: stamps.c. */
struct ctl_stamps;
struct ctl_stamps *ctl_stamps_create(void);
void ctl_stamps_free(struct ctl_stamps *s);
/* False where ts is not newer than what is remembered; else remembered. */
bool ctl_stamps_newer(struct ctl_stamps *s, uint16_t cluster, const struct omni_key *key,
		      const uint8_t ts[OMNI_TAI64N_LEN]);
/* Copy what is remembered (zeros: nothing). */
void ctl_stamps_get(struct ctl_stamps *s, uint16_t cluster, const struct omni_key *key,
		    uint8_t ts[OMNI_TAI64N_LEN]);

/* ---- Allowed IPs: allowed.c ---- */

/*
 * Route the prefixes to the peer, wherever they went before, and let packets with such sources
 * come from there: WireGuard's cryptokey routing. 0, or -errno of omni_fib_set: then none is.
 */
int ctl_allowed_add(struct omni_ctl *ctl, const struct ctl_peer *peer,
		    const struct omni_prefix *prefix, unsigned int n) OMNI_MUST_CHECK;
/* These, and its VIP, instead of what was routed there; or, where that fails, nothing is changed.
 */
int ctl_allowed_replace(struct omni_ctl *ctl, const struct ctl_peer *peer,
			const struct omni_prefix *prefix, unsigned int n) OMNI_MUST_CHECK;
/* Nothing goes there any more. */
void ctl_allowed_drop(struct omni_ctl *ctl, const struct ctl_peer *peer);

/* ---- Handshake driver ---- */

/* Begin a handshake with the peer now, unless one was begun a moment ago. */
void ctl_peer_initiate(struct omni_ctl *ctl, struct ctl_peer *peer);
/* As above at at_ns, if nothing earlier is planned. */
void ctl_peer_initiate_at(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t at_ns);
/* No handshake is wanted any more: there is a session, or no reason to have one. */
void ctl_peer_series_end(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Drop the handshake in flight; the series goes on at its next try. */
void ctl_peer_hs_cancel(struct omni_ctl *ctl, struct ctl_peer *peer);
/* The same where it was sent CTL_ANSWER_NS ago: the next try may be a minute away. */
void ctl_peer_hs_expire(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);
/* Its next hop may be known now: send what could not be sent. ip NULL: any. */
void ctl_peer_hs_resend(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *ip);
/* Bits of enum omni_dialect that our record lists. */
static inline unsigned int ctl_cluster_dialects(const struct ctl_cluster *c)
{
	return c->l3 != NULL ? c->conf->dialects : OMNI_DIALECT_OMNI;
}
/* A member of an L3 cluster, which is known as long as there is traffic. */
static inline bool ctl_peer_is_on_demand(const struct ctl_peer *peer)
{
	return peer->cluster->conf->mode == OMNI_MODE_L3 && peer->origin != CTL_ORIGIN_STATIC;
}
/* True where the peer is kept without a session: configured, or listed by a Nucleus. */
static inline bool ctl_peer_is_kept(const struct ctl_peer *peer)
{
	return peer->origin != CTL_ORIGIN_CALLED && !ctl_peer_is_on_demand(peer);
}
void ctl_handshake_initiation(struct omni_ctl *ctl, struct rte_mbuf *m,
			      const struct omni_initiation *in, const struct omni_endpoint *from,
			      const struct omni_endpoint *to);
/* Offer and policy of a cluster. */
void ctl_cluster_offer(const struct omni_ctl *ctl, const struct ctl_cluster *c,
		       struct omni_hs_offer *offer);
void ctl_cluster_policy(const struct omni_ctl *ctl, const struct ctl_cluster *c,
			struct omni_hs_policy *policy);

/* ---- Key slots: slots.c ---- */

/* As initiator: becomes current, usable at once. As responder: becomes next. 0 or -errno. */
int ctl_slots_initiated(struct omni_ctl *ctl, struct ctl_peer *peer,
			const struct ctl_hs_done *done);
int ctl_slots_answered(struct omni_ctl *ctl, struct ctl_peer *peer,
		       const struct omni_keypair_conf *conf, const struct ctl_session *s);
/* The first data came on next: it becomes current. */
void ctl_slots_confirmed(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Unpublish, wipe after the workers' turns. */
void ctl_slot_drop(struct omni_ctl *ctl, struct ctl_peer *peer, enum ctl_slot slot);
void ctl_slots_drop_all(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Tell the cluster that the peer has (no) key to send with. */
void ctl_slots_publish_tx(struct omni_ctl *ctl, struct ctl_peer *peer);

/* ---- VIPs: vip.c ---- */

/* 0, or -EADDRINUSE where somebody other than claimant holds vip. none is always free. */
int ctl_vip_check(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		  const struct omni_key *claimant);
/* peer now claims (held: has shown by data) vip. */
void ctl_vip_set(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_ip *vip, bool held);
void ctl_vip_clear(struct omni_ctl *ctl, struct ctl_peer *peer);

/* ---- L3 clusters: l3.c (more in l3.h) ---- */

struct ctl_l3;
int ctl_l3_init(struct omni_ctl *ctl, struct ctl_cluster *c, struct omni_err *err);
void ctl_l3_fini(struct omni_ctl *ctl, struct ctl_cluster *c);
/* Ports were looked at: MAC addresses and links may be others. */
void ctl_l3_ports(struct omni_ctl *ctl);
/* Somebody claims vip, or does so no more: route it to whose it is. */
void ctl_l3_vip(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_ip *vip);
/* ARP or neighbour discovery came in on an L3 port. neighbours.c */
void ctl_neighbour_frame(struct omni_ctl *ctl, struct rte_mbuf *m);
/* A packet is for a host on a link that is not known. */
void ctl_neighbour_want(struct omni_ctl *ctl, uint16_t cluster, const struct omni_ip *ip);
/* Prefixes behind members: advertise.c. There is a session (again), time passed, it has ended. */
void ctl_advertise_session(struct omni_ctl *ctl, struct ctl_peer *peer);
void ctl_advertise_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now, bool idle);
void ctl_routes_drop(struct omni_ctl *ctl, struct ctl_peer *peer);
/* The prefix is one of its allowed IPs from now on, and no more what it told of. */
void ctl_routes_configured(const struct ctl_peer *peer, const struct omni_prefix *prefix);
/* ROUTES and WANT_ROUTES came. */
void ctl_routes_heard(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *m);
void ctl_routes_wanted(struct omni_ctl *ctl, struct ctl_peer *peer);
/* A packet is for a member that is not known. ask.c */
void ctl_ask_want(struct omni_ctl *ctl, uint16_t cluster, const struct omni_ip *vip);
/* Where datagrams go is another address: look at the kernel's routes again. */
void ctl_kernel_touch(struct omni_ctl *ctl);

/* ---- Timers: timers.c ---- */

/* Everything that time asks for; CTL_TICK_MS apart. */
void ctl_tick(struct omni_ctl *ctl);
/* Look at the peer again no later than at_ns. */
void ctl_peer_due(struct ctl_peer *peer, uint64_t at_ns);
void ctl_peer_timers(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);
/* The same of one that speaks WireGuard: wg_timers.c. */
void ctl_wg_timers(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);

/* ---- From workers: punt.c, events.c ---- */

/* Take what the rings hold, at most a batch of each; true: more is waiting. */
bool ctl_rings_poll(struct omni_ctl *ctl);
void ctl_event(struct omni_ctl *ctl, const struct omni_event *ev);
/* Ask the peer for frames: a piece of one of its segments is missing. */
void ctl_peer_say_cut(struct omni_ctl *ctl, struct ctl_peer *peer);
/* A control message of a peer's session. */
void ctl_probe_message(struct omni_ctl *ctl, struct ctl_peer *peer, struct omni_keypair *kp,
		       const struct rte_mbuf *m, const uint8_t *payload, size_t len);

/* ---- Probes: probe.c, roam.c, pmtu.c ---- */

/* Measure from the beginning: the path is another one. */
void ctl_pmtu_start(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Is what was measured still so? At each new session. */
void ctl_pmtu_verify(struct omni_ctl *ctl, struct ctl_peer *peer);
void ctl_pmtu_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);
void ctl_pmtu_echo(struct omni_ctl *ctl, struct ctl_peer *peer);
void ctl_pmtu_echo_any(struct omni_ctl *ctl, struct ctl_peer *peer);
/* A datagram of that lane came from elsewhere; asked: it was a MOVE. */
void ctl_roam_seen(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_endpoint *from,
		   uint8_t lane, uint32_t datagram_len, bool asked);
/* True where the echo was to a probe of this file's. */
bool ctl_roam_echo(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *echo,
		   const struct omni_endpoint *from);
void ctl_roam_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);
/* Forget the round that runs, and what the one before it found. */
void ctl_roam_end(struct ctl_peer *peer);
static inline bool ctl_roam_runs(const struct ctl_peer *peer)
{
	return peer->roam != NULL && peer->roam->running;
}
/* Send a PROBE (new token) on the current key; path NULL: the peer's. 0 or -errno. */
int ctl_probe_send(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_probe *probe,
		   const struct omni_path *path);
/* The same with the token of before, so that an ECHO of the first counts, however late. */
int ctl_probe_repeat(struct omni_ctl *ctl, struct ctl_peer *peer, struct ctl_probe *probe,
		     const struct omni_path *path);
/* Say MOVE: we are elsewhere, and the peer need not wait for the old address's silence. */
void ctl_move_ask(struct omni_ctl *ctl, struct ctl_peer *peer);
/* Does it answer probe, from where that went? Then probe waits no more. */
bool ctl_probe_answers(struct ctl_probe *probe, const struct omni_control *echo,
		       const struct omni_endpoint *from);

/* ---- Source ports of lanes: lanes.c ---- */

void ctl_lanes_tick(struct omni_ctl *ctl, struct ctl_peer *peer, uint64_t now);
/* True where the echo was to a probe from a lane's port. */
bool ctl_lanes_echo(struct omni_ctl *ctl, struct ctl_peer *peer, const struct omni_control *echo,
		    const struct omni_endpoint *from);
/* The path is another one: nothing is known of it. */
void ctl_lanes_moved(struct ctl_peer *peer);
/* There is no session: forget everything, and send from the main port. */
void ctl_lanes_end(struct omni_ctl *ctl, struct ctl_peer *peer);
bool ctl_lanes_waiting(const struct ctl_peer *peer);
/* What a path for datagrams of mtu is to be published with; NULL: every lane has the main port. */
const struct omni_lane_ports *ctl_lanes_ports(const struct ctl_peer *peer, uint16_t mtu);
/* The peer's lane comes from that port of its address, which leads to the peer, too. */
void ctl_lanes_learn_far(struct omni_ctl *ctl, struct ctl_peer *peer, uint8_t lane,
			 const struct omni_endpoint *ep);
bool ctl_lanes_is_far(const struct ctl_peer *peer, const struct omni_endpoint *ep);

/* ---- Sending: send.c ---- */

/* Path to remote; its mtu is the first link's: 0, -EAGAIN, -ENETUNREACH, -ELOOP. */
int ctl_resolve(struct omni_ctl *ctl, const struct omni_endpoint *remote, struct omni_path *path);
/* The way back of a punted datagram, by its own outer headers. mtu OMNI_PATH_MTU_DEFAULT. */
void ctl_reflect(const struct omni_ctl *ctl, const struct rte_mbuf *m, struct omni_path *path);
/* Send from ip, one of ours, instead, where it is of the path's family. none: as it is. */
void ctl_path_from(struct omni_ctl *ctl, struct omni_path *path, const struct omni_ip *ip);
/* Path to remote as above, or the way back of m where its neighbour is not known yet. */
int ctl_resolve_or_reflect(struct omni_ctl *ctl, const struct omni_endpoint *remote,
			   const struct rte_mbuf *m, struct omni_path *path);
/* One datagram with payload in the clear (handshakes, hello). 0, -ENOMEM, -ENOBUFS. */
int ctl_send_plain(struct omni_ctl *ctl, const struct omni_path *path, const void *payload,
		   size_t len);
/* The size of a datagram of path that carries a sealed payload of 0 bytes. */
static inline uint16_t ctl_path_overhead(const struct omni_path *path)
{
	return path->v6 ? OMNI_OVERHEAD_V6 : OMNI_OVERHEAD_V4;
}

/* One sealed message on lane 0 of kp. 0, -ENOMEM, -ENOBUFS, -EKEYREJECTED, -EMSGSIZE. */
int ctl_send_sealed(struct omni_ctl *ctl, struct omni_keypair *kp, const struct omni_path *path,
		    uint8_t kind, const void *payload, size_t len);
/* The same on a peer's current key and path. -ENOKEY, -EDESTADDRREQ. */
int ctl_send_peer(struct omni_ctl *ctl, struct ctl_peer *peer, uint8_t kind, const void *payload,
		  size_t len);

/* ---- Next hops: nexthop*.c ---- */

int ctl_nexthop_init(struct omni_ctl *ctl, struct omni_err *err);
int ctl_nexthop_start(struct omni_ctl *ctl, struct omni_err *err);
void ctl_nexthop_stop(struct omni_ctl *ctl);		   /* closes its handles */
void ctl_nexthop_fini(struct omni_ctl *ctl);		   /* after the loop ran them out */
void ctl_nexthop_tick(struct omni_ctl *ctl, uint64_t now); /* from ctl_tick */
/*
 * Port, MACs and our own address towards remote, and the port's MTU in path->mtu:
 * omni_path_build. 0; -EAGAIN: the neighbour is being asked for, ctl_nexthop_changed follows;
 * -ENETUNREACH; -ELOOP: the way leads into a port of ours.
 */
int ctl_nexthop_resolve(struct omni_ctl *ctl, const struct omni_endpoint *remote,
			struct omni_path *path);
/* Who makes the UDP checksums of a path that omni_path_build made. */
void ctl_path_checksum(const struct omni_ctl *ctl, struct omni_path *path);
/* An address is in use: keep its neighbour fresh. Counted. */
void ctl_nexthop_hold(struct omni_ctl *ctl, const struct omni_ip *ip);
void ctl_nexthop_release(struct omni_ctl *ctl, const struct omni_ip *ip);
/* True where ip is one of this box's addresses. */
bool ctl_nexthop_is_own(struct omni_ctl *ctl, const struct omni_ip *ip);
/*
 * May what was sent to one address of ours be answered from there, where the routes choose another
 * one? Not where it is another interface's, unless that is the loopback interface.
 */
bool ctl_nexthop_may_answer(const struct omni_ctl *ctl, const struct omni_ip *called,
			    const struct omni_ip *routed);
/* Addresses that others may reach the underlay's interface at; returns how many of max. */
unsigned int ctl_nexthop_addresses(struct omni_ctl *ctl, struct omni_ip *out, unsigned int max);
/* Called by nexthop*.c: the way to ip (NULL: to any address) may be another now. In peer.c. */
void ctl_nexthop_changed(struct omni_ctl *ctl, const struct omni_ip *ip);

/* ---- Names: resolve*.c ---- */

struct ctl_name;
/*
 * Resolve host (name or literal; a literal is answered at once, from inside the call) now and
 * again periodically; found is called with what it is each time that changed.
 */
struct ctl_name *ctl_name_add(struct omni_ctl *ctl, const char *host, uint16_t port,
			      void (*found)(struct omni_ctl *ctl, void *arg,
					    const struct omni_endpoint *ep, unsigned int n),
			      void *arg);
void ctl_name_del(struct omni_ctl *ctl, struct ctl_name *name);
/* It does not answer there: look the name up again soon. NULL is fine. */
void ctl_name_again(struct omni_ctl *ctl, struct ctl_name *name);
void ctl_names_tick(struct omni_ctl *ctl, uint64_t now); /* from ctl_tick */
/* At stop: nothing is called back any more; all names are gone but for their memory. */
void ctl_names_stop(struct omni_ctl *ctl);
void ctl_names_fini(struct omni_ctl *ctl); /* after the last ctl_name_del */

/* ---- Nucleus's client: nucleus_client*.c ---- */

int ctl_nucleus_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_nucleus_start(struct omni_ctl *ctl);
void ctl_nucleus_bye(struct omni_ctl *ctl); /* at stop: BYE on every session */
void ctl_nucleus_fini(struct omni_ctl *ctl);
void ctl_nucleus_tick(struct omni_ctl *ctl, uint64_t now); /* from ctl_tick */
/* Somebody is looked for in an L3 cluster: ask now, where the rate allows it. */
void ctl_nucleus_ask(struct omni_ctl *ctl, const struct ctl_cluster *c);
/* The servers (bits) that have registered us in the cluster. */
uint32_t ctl_nucleus_servers(const struct omni_ctl *ctl, const struct ctl_cluster *c);
/* Where the servers are; returns how many of max. */
unsigned int ctl_nucleus_addresses(const struct omni_ctl *ctl, struct omni_ip *out,
				   unsigned int max);
/* Called by nexthop*.c, as ctl_nexthop_changed. */
void ctl_nucleus_nexthop_changed(struct omni_ctl *ctl, const struct omni_ip *ip);
void ctl_nucleus_hello_answer(struct omni_ctl *ctl, const struct omni_hello_answer *in,
			      const struct omni_endpoint *from);
/* A decrypted message on a keypair with a Nucleus. */
void ctl_nucleus_message(struct omni_ctl *ctl, struct omni_keypair *kp, const uint8_t *payload,
			 size_t len, const struct omni_endpoint *from);
/* An event (CONFIRM, WANT_KEY, WORN) about a peer with cluster OMNI_NO_CLUSTER. */
void ctl_nucleus_event(struct omni_ctl *ctl, const struct omni_event *ev);

/* ---- Management: rpc*.c ---- */

int ctl_rpc_init(struct omni_ctl *ctl, struct omni_err *err);
void ctl_rpc_stop(struct omni_ctl *ctl);

/* ---- The whole ---- */

struct omni_ctl {
	struct omni_ctl_conf conf;
	struct omni_stats stats;
	uint16_t uplink; /* id of the underlay's port */
	uint16_t listen; /* UDP */
	uint64_t started_ns;
	struct ctl_cluster *cluster; /* n_clusters */
	unsigned int n_clusters;

	struct ctl_peer **peer; /* by index in conf.peers */
	struct ctl_index peers_by_key, peers_by_vip;
	struct ctl_index pending;    /* struct ctl_hs by local id */
	struct ctl_index wg_pending; /* struct ctl_wg by index */
	struct ctl_stamps *stamps;
	uint32_t n_unconfirmed;
	uint64_t record_seq;

	struct omni_cookie_maker cookies;
	unsigned int hs_waiting; /* handshakes behind the present one */
	uint64_t loaded_until_ns;
	struct ctl_source *sources; /* rate limits under load: limits.c */
	uint32_t *strangers;	    /* seconds when they were last heard without a cookie */
	struct ctl_bucket strangers_heard;
	uint64_t stranger_told_ns, misdirected_told_ns; /* wg_trouble.c: not again before */
	struct omni_key source_seed;
	struct ctl_bucket probes;

	uint8_t last_stamp[OMNI_TAI64N_LEN];
	uint64_t mark_real_ns; /* what the state file says */
	int64_t clock_gap_ns;  /* CLOCK_REALTIME - CLOCK_BOOTTIME at the last tick */
	uint64_t aged_s;
	enum ctl_link_told {
		CTL_LINK_UNTOLD,
		CTL_LINK_UP,
		CTL_LINK_DOWN
	} told[OMNI_PORTS_MAX];
	bool running, stopping;

	uv_timer_t tick;
	uv_poll_t bell;
	uv_idle_t more; /* rings were not emptied in one turn */
	uv_timer_t drain;
	unsigned int drained_ms;
	bool drain_empty;
	unsigned int handles; /* open on the loop */
	void (*done_cb)(void *arg);
	void *done_arg;

	struct ctl_nexthops *nexthops;
	struct ctl_names *names;
	struct ctl_nucleus *nucleus;
	struct ctl_kernel *kernel;	   /* kernel_routes.c */
	struct ctl_neighbours *neighbours; /* neighbours.c */
	struct ctl_asks *asks;		   /* ask.c */
	struct ctl_holders *holders;	   /* holders.c; NULL: not needed yet */
	struct omni_mgmt *mgmt;
};

static inline uint64_t ctl_now(const struct omni_ctl *ctl)
{
	return ctl->conf.world.boot_ns(ctl->conf.world.arg);
}

static inline uint64_t ctl_real_now(const struct omni_ctl *ctl)
{
	return ctl->conf.world.real_ns(ctl->conf.world.arg);
}

static inline void ctl_count(struct omni_ctl *ctl, enum omni_stat which)
{
	omni_stats_add(&ctl->stats, which, 1);
}

/* Handle closed on the loop: when the last one is, the stop is done. */
void ctl_handle_closed(uv_handle_t *handle);

#endif
