/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Management methods: one handler each, by subject in rpc_*.c. */
#ifndef CTL_RPC_H
#define CTL_RPC_H

#include <jansson.h>

#include <omni_mgmt.h>

#include "ctl_priv.h"

#define RPC_TEXT_LEN 512

#define RPC_HANDLER(name) \
	int name(void *ctx, const json_t *params, json_t **result, struct omni_err *err)

RPC_HANDLER(rpc_status);
RPC_HANDLER(rpc_peers);
RPC_HANDLER(rpc_sessions);
RPC_HANDLER(rpc_ports);
RPC_HANDLER(rpc_pools);
RPC_HANDLER(rpc_fdb);
RPC_HANDLER(rpc_fdb_flush);
RPC_HANDLER(rpc_stats);
RPC_HANDLER(rpc_stages);
RPC_HANDLER(rpc_routes);
RPC_HANDLER(rpc_neighbours);
RPC_HANDLER(rpc_config);
RPC_HANDLER(rpc_log_level);
RPC_HANDLER(rpc_peer_add);
RPC_HANDLER(rpc_peer_remove);
RPC_HANDLER(rpc_peer_allow);
RPC_HANDLER(rpc_peer_set);
RPC_HANDLER(rpc_nucleus_forget);
RPC_HANDLER(rpc_version);

/*
 * The parameters are an object (or none), and each is among the names, which stand separated by
 * spaces; else -EINVAL and a sentence.
 */
int rpc_params(const json_t *params, const char *names, struct omni_err *err) OMNI_MUST_CHECK;

/* A cluster named by the parameter "cluster": 0 (NULL where it is not given), -EINVAL, -ENOENT. */
int rpc_param_cluster(struct omni_ctl *ctl, const json_t *params, struct ctl_cluster **cluster,
		      struct omni_err *err) OMNI_MUST_CHECK;

/* A peer by its name or base64 key, in one cluster or (NULL) in any; NULL. */
struct ctl_peer *rpc_find_peer(struct omni_ctl *ctl, const struct ctl_cluster *only,
			       const char *name);
/*
 * The peer that `peer` (and `cluster`, if it is there) names, and what it was called; 0, or -errno
 * with a sentence.
 */
int rpc_param_peer(struct omni_ctl *ctl, const json_t *params, struct ctl_peer **peer,
		   const char **name, struct omni_err *err);

/* Parameters of peers: 0 also where there is none (but -ENOENT of a key), or -EINVAL. */
int rpc_take_key(const json_t *params, const char *name, struct omni_key *key,
		 struct omni_err *err) OMNI_MUST_CHECK;
int rpc_take_endpoint(const json_t *params, struct omni_config_peer *p,
		      struct omni_err *err) OMNI_MUST_CHECK;
int rpc_take_number(const json_t *params, const char *name, json_int_t min, json_int_t max,
		    uint16_t *out, struct omni_err *err) OMNI_MUST_CHECK;

/* New JSON values. A text that is none is null. */
json_t *rpc_key(const struct omni_key *key);
json_t *rpc_ip(const struct omni_ip *ip);
json_t *rpc_endpoint(const struct omni_endpoint *ep);
json_t *rpc_mac(const uint8_t mac[6]);
/* Whole seconds from then until now; null where then is 0 ("never"). */
json_t *rpc_age(const struct omni_ctl *ctl, uint64_t then_ns);

/*
 * What is routed to each peer, as lists of texts by its index; NULL: no memory. rpc_allowed_of
 * gives a peer's as a new value, or an empty list.
 */
json_t **rpc_allowed_read(const struct omni_ctl *ctl);
json_t *rpc_allowed_of(json_t **list, const struct ctl_peer *peer);
void rpc_allowed_free(const struct omni_ctl *ctl, json_t **list);

/* The parameter "allowed_ips", a text or a list: the caller frees *out. 0, -ENOENT, -errno. */
int rpc_allowed_param(const json_t *params, struct omni_prefix **out, unsigned int *n,
		      struct omni_err *err) OMNI_MUST_CHECK;

/* Hand the (new or NULL) value over as the result: 0 or -ENOMEM. */
int rpc_give(json_t **result, json_t *value);

/* Words for why the way to an address is not there; false (and "") where it is. */
bool rpc_no_way(struct omni_ctl *ctl, const struct omni_endpoint *ep, char out[RPC_TEXT_LEN]);

const char *rpc_mode_name(enum omni_mode mode);

#endif
