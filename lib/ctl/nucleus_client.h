/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The client's side of a Nucleus (docs/protocol.md, "Nucleus"): one session per server and
 * cluster. Two machines run beside each other in a session: keying (HELLO, handshake, and again
 * before the keys are old), and membership (REGISTER, LIST, QUERY_PEER, HEARTBEAT) on whatever
 * keys there are.
 */
#ifndef CTL_NUCLEUS_CLIENT_H
#define CTL_NUCLEUS_CLIENT_H

#include "ctl_priv.h"

#define NC_TRIES 3
#define NC_HELLO_NS OMNI_NS_PER_S
#define NC_HANDSHAKE_NS (2 * OMNI_NS_PER_S)
#define NC_REQUEST_NS OMNI_NS_PER_S
/* Between two series of hellos: a Nucleus that comes back finds its members within 10 s. */
#define NC_BACKOFF_MIN_NS OMNI_NS_PER_S
#define NC_BACKOFF_MAX_NS (8 * OMNI_NS_PER_S)
#define NC_REFUSED_NS (15 * OMNI_NS_PER_S) /* it said no: ask again, less often */
#define NC_UNREGISTERED_NS (5 * OMNI_NS_PER_S)
#define NC_HEARTBEAT_JITTER_NS (4 * OMNI_NS_PER_S) /* earlier than OMNI_HEARTBEAT_S */
#define NC_NAT_HEARTBEAT_NS (20 * OMNI_NS_PER_S)   /* to 25 s */
#define NC_NAT_JITTER_NS (5 * OMNI_NS_PER_S)
#define NC_QUERIES_PER_S 50
#define NC_QUERIES_BURST 20
#define NC_ASKS_PER_S 100 /* of all other requests, whatever the answers say */
#define NC_ASKS_BURST 100
#define NC_REQUESTS 8 /* under way: one of any kind, the others QUERY_PEER */
#define NC_QUERY_AGAIN_NS (60 * OMNI_NS_PER_S) /* of a member without a session */
#define NC_RENEW_S (OMNI_RECORD_LIFE_S / 4)    /* before its record ends */
#define NC_SWEEP 64			       /* members looked at in one tick */
#define NC_FORGET_LEASES 2
#define NC_ADDRESSES_MAX 8
#define NC_TEXT_LEN 512

struct nc_session;

/* Somebody whom the Nucleus has listed. */
struct nc_member {
	struct ctl_link link; /* by key */
	struct ctl_link by_vip;
	TAILQ_ENTRY(nc_member) entry;
	TAILQ_ENTRY(nc_member) wanted; /* while is_wanted */
	struct omni_key key;
	struct omni_ip vip;
	bool has_vip;	/* in by_vip */
	bool is_wanted; /* to be asked for as soon as the rate allows it */
	bool asked;	/* a QUERY_PEER is under way */
	int result;	/* of ctl_peer_learned */
	uint32_t round; /* of the LIST that named it last */
	uint64_t query_ns, unlisted_ns;
	uint64_t renew_s; /* CLOCK_REALTIME: its record should be read again */
};

TAILQ_HEAD(nc_member_list, nc_member);

struct nc_request {
	uint32_t id;
	enum omni_signal_type type; /* 0: free */
	unsigned int tries;
	uint64_t sent_ns;
	struct omni_key key; /* QUERY_PEER */
	struct omni_ip vip;  /* the same, by address; none: by key */
};

struct nc_server {
	const struct omni_config_nucleus *conf;
	char text[OMNI_HOST_LEN + 8]; /* HOST:PORT as configured */
	struct ctl_name *dns;
	struct omni_endpoint address[NC_ADDRESSES_MAX];
	unsigned int n_addresses;
	bool has_pin; /* remembered, where the configuration has none */
	struct omni_key pin;
};

enum nc_keying {
	NC_KEYING_NONE,
	NC_KEYING_HELLO,
	NC_KEYING_HANDSHAKE,
};

struct nc_session {
	struct omni_ctl *ctl;
	struct nc_server *server;
	struct ctl_cluster *cluster;
	struct omni_peer *pub;

	/* Keying */
	enum nc_keying keying;
	unsigned int address, tries; /* address: index in the server's, modulo their number */
	uint64_t start_ns, retry_ns, backoff_ns, rekey_ns;
	uint64_t silent_ns; /* since when nothing is answered; 0: it answers */
	int unsent;	    /* -EAGAIN, -ENETUNREACH of the last try; 0: it went out */
	uint8_t nonce[16];
	struct omni_key key; /* that the answer named */
	struct omni_key wrong_key;
	bool has_key, has_wrong_key;
	uint8_t hs_result; /* enum omni_result */
	struct omni_cookie cookie;
	struct ctl_hs *hs;
	struct omni_keypair *kp[2]; /* current, previous */
	struct omni_endpoint remote, held;

	/* Membership */
	bool registered;
	enum omni_signal_result refused;
	uint64_t registration, register_ns, heartbeat_ns, acked_ns, error_ns;
	uint32_t lease_s;
	struct omni_endpoint local, seen;
	struct omni_epoch epoch, list_epoch;
	bool list_wanted;
	uint64_t cursor;
	uint32_t round, next_id;
	struct nc_request request[NC_REQUESTS];
	struct ctl_bucket queries, asks;
	uint8_t record[OMNI_RECORD_MAX];
	size_t record_len;
	uint64_t record_issued; /* seconds since 1970 */
	struct omni_endpoint candidate[OMNI_RECORD_CANDIDATES_MAX];
	unsigned int n_candidates;

	struct ctl_index by_key, by_vip; /* an address stands once */
	struct nc_member_list members, wanted;
	uint32_t n_members;
	struct nc_member *sweep;
};

struct ctl_nucleus {
	struct nc_server server[OMNI_CONFIG_NUCLEUS_MAX];
	unsigned int n_servers;
	struct nc_session *session;
	unsigned int n_sessions;
	bool started;
};

/* ---- nucleus_client.c ---- */

/* Nothing is answered any more: hello again, and register again with the new keys. */
void nc_lost(struct nc_session *s);
/* Begin anew, as if for the first time. */
void nc_forget_key(struct nc_session *s);
/* Begin with hello no later than at_ns. */
void nc_restart(struct nc_session *s, uint64_t at_ns);
/* One message on the current keys. 0 or -errno. */
int nc_send(struct nc_session *s, const void *payload, size_t len);
/* Index of the server in the configuration. */
uint32_t nc_server_index(const struct nc_session *s);
uint64_t nc_jitter(uint64_t range_ns);

/* ---- nucleus_request.c ---- */

void nc_requests_clear(struct nc_session *s);
void nc_requests_tick(struct nc_session *s, uint64_t now);
void nc_answer(struct nc_session *s, const uint8_t *payload, size_t len);
void nc_bye(struct nc_session *s);

/* ---- nucleus_record.c ---- */

/* Our own record, made anew where it is old or says something that has changed. 0 or -errno. */
int nc_record_update(struct nc_session *s);
/* Is there a reason to register again? */
bool nc_record_is_stale(struct nc_session *s);

/* ---- nucleus_members.c ---- */

struct nc_member *nc_member_find(const struct nc_session *s, const struct omni_key *key);
void nc_member_listed(struct nc_session *s, const struct omni_signal_peer *peer);
void nc_member_removed(struct nc_session *s, const struct omni_ip *vip);
void nc_member_gone(struct nc_session *s, struct nc_member *m);
/* Next one to ask for, and it is no longer wanted; NULL. */
struct nc_member *nc_member_next(struct nc_session *s);
void nc_member_info(struct nc_session *s, const struct omni_key *key, const struct omni_signal *in);
void nc_members_list_begins(struct nc_session *s);
void nc_members_list_ended(struct nc_session *s);
void nc_members_tick(struct nc_session *s, uint64_t now);
void nc_members_clear(struct nc_session *s);
/* The answer to QUERY_PEER by address, in an L3 cluster. */
void nc_vip_info(struct nc_session *s, const struct omni_ip *vip, const struct omni_signal *in);
void nc_punch(struct nc_session *s, const struct omni_signal *in);

/* ---- nucleus_pins.c: keys remembered from first contact ---- */

void nc_pins_load(struct omni_ctl *ctl);
/* The key of s has registered us: remember it. */
void nc_pin_remember(struct nc_session *s);
/* For nucleus.forget; text NULL: all. Returns how many, or -errno of writing the file. */
int nc_pins_forget(struct omni_ctl *ctl, const char *text);

/* ---- nucleus_status.c: for people ---- */

const char *nc_state(const struct nc_session *s);
/* Why it is not "registered", in words; "" where it is. */
const char *nc_reason(const struct nc_session *s, char out[NC_TEXT_LEN]);

#endif
