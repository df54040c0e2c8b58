/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_errno.h>

#include <omni_log.h>
#include <omni_secret.h>

#include "gateway.h"
#include "guard.h"

#define EXIT_CONFIG 2
/* Receive indices: three keys and a handshake in flight for each peer, and some that rest. */
#define IDS_PER_PEER 4
#define IDS_EXTRA 256
/* Places of peers that were removed a moment ago, so that others find one in a full table. */
/* Hosts on the links of L3 ports. */
#define NEIGHBOURS 8192
#define LEAVING 64

static_assert(OMNI_CONFIG_CLUSTERS_MAX <= OMNI_BRIDGES_MAX, "a bridge domain for each cluster");

/* ---- Tables ---- */

static int tables_create(struct gateway *gw, struct omni_err *err)
{
	const struct omni_config *config = gw->config;
	/* A session with a Nucleus stands in the same tables, one per server and cluster. */
	uint32_t peers = config->limits.peers + config->n_nucleus * config->n_clusters + LEAVING;

	if (omni_meta_register() < 0)
		return omni_fail(err, -rte_errno, "no room in the mbuf for the frame's facts");
	gw->rcu = omni_rcu_create(gw->n_workers);
	if (gw->rcu == NULL)
		goto fail;
	gw->sessions = omni_sessions_create(
		OMNI_MIN(peers * IDS_PER_PEER + IDS_EXTRA, OMNI_SESSION_INDEX_MAX + 1));
	gw->peers = omni_peers_create(peers);
	gw->bridges = omni_bridges_create();
	gw->fdb = omni_fdb_create(config->limits.fdb, gw->rcu);
	gw->fib = omni_fib_create(config->limits.routes, NEIGHBOURS, gw->rcu);
	gw->aead = gateway_aead_create();
	if (gw->aead == NULL && errno == EINVAL)
		return omni_fail(err, -EINVAL, "OMNI_CPU_MASK: expected aes, avx512, avx2, own");
	if (gw->sessions == NULL || gw->peers == NULL || gw->bridges == NULL || gw->fdb == NULL ||
	    gw->fib == NULL || gw->aead == NULL)
		goto fail;
	gw->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (gw->bell < 0)
		return omni_fail(err, -errno, "no eventfd: %s", strerror(errno));
	return 0;
fail:
	return omni_fail(err, -ENOMEM, "no memory for the tables (limits in the configuration)");
}

static void tables_free(struct gateway *gw)
{
	omni_aead_free(gw->aead);
	omni_fib_free(gw->fib);
	omni_fdb_free(gw->fdb);
	omni_bridges_free(gw->bridges);
	omni_rcu_free(gw->rcu);
	omni_peers_free(gw->peers);
	omni_sessions_free(gw->sessions);
	if (gw->bell >= 0)
		close(gw->bell);
}

/* ---- Signals ---- */

/* Not when the last request is done: a thread may be in a look-up of a name for half a minute. */
static void closed(uv_handle_t *handle)
{
	uv_stop(handle->loop);
}

static void stopped(void *arg)
{
	struct gateway *gw = arg;

	for (unsigned int i = 0; i < GATEWAY_SIGNALS; i++)
		uv_close((uv_handle_t *)&gw->signals[i], i == 0 ? closed : NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct gateway *gw = signal->data;

	if (gw->stopping)
		return;
	gw->stopping = true;
	omni_log_info("gateway", "stopping", "signal=%d", number);
	omni_ctl_stop(gw->ctl, stopped, gw);
}

/* Who started us to outlive a terminal (nohup) has SIGHUP ignored, and it stays so. */
static bool is_ignored(int number)
{
	struct sigaction now;

	return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void signals_start(struct gateway *gw)
{
	static const int numbers[GATEWAY_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	for (unsigned int i = 0; i < GATEWAY_SIGNALS; i++) {
		uv_signal_init(gw->loop, &gw->signals[i]);
		gw->signals[i].data = gw;
		if (numbers[i] != SIGHUP || !is_ignored(SIGHUP))
			uv_signal_start(&gw->signals[i], on_signal, numbers[i]);
	}
}

/* ---- The ladder ---- */

static int control_create(struct gateway *gw, struct omni_err *err)
{
	static struct omni_stats *stats[OMNI_NODE_WORKERS_MAX];
	struct omni_ctl_conf conf = {
		.loop = gw->loop,
		.config = gw->config,
		.identity = &gw->identity,
		.ports = &gw->ports,
		.sessions = gw->sessions,
		.peers = gw->peers,
		.bridges = gw->bridges,
		.fdb = gw->fdb,
		.fib = gw->fib,
		.rcu = gw->rcu,
		.aead = gw->aead,
		.pool = gw->control_pool,
		.xrings = gw->xrings,
		.worker_stats = stats,
		.n_workers = gw->n_workers,
		.bell = gw->bell,
		.version = OMNI_VERSION,
	};

	if (gw->lane_ports)
		conf.lane_ports = gw->lane_port;
	for (unsigned int i = 0; i < gw->n_workers; i++)
		stats[i] = gw->worker[i].stats;
	gw->ctl = omni_ctl_create(&conf, err);
	omni_config_wipe_secrets(gw->config);
	return gw->ctl == NULL ? -rte_errno : 0;
}

/* From its file, or the key that the configuration brought. */
static int identity_obtain(struct gateway *gw, struct omni_err *err)
{
	struct omni_config *config = gw->config;
	int rc;

	if (config->has_key) {
		rc = omni_identity_from_wireguard(&gw->identity, &config->key);
		omni_wipe(&config->key, sizeof(config->key));
		if (rc < 0)
			return omni_fail(err, rc, "%s: the private key is all zero",
					 config->identity);
	} else {
		rc = omni_identity_load(&gw->identity, config->identity, err);
	}
	if (rc == 0)
		omni_config_drop_own(config, &gw->identity.dh.public);
	if (rc == 0 && !gw->identity.has_sign)
		rc = omni_config_check_wireguard(config, err);
	return rc;
}

/* A UDP port that nobody has, where the configuration names none. */
static int listen_obtain(struct gateway *gw, struct omni_err *err)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(sa);
	int fd, rc = 0;

	if (gw->config->underlay.listen != 0)
		return 0;
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && errno == EAFNOSUPPORT) {
		sa.sin6_family = AF_INET; /* the port stands in the same place */
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		rc = omni_fail(err, -errno, "no UDP port is free: %s", strerror(errno));
	else
		gw->config->underlay.listen = ntohs(sa.sin6_port);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* What can be known to be wrong before DPDK starts, which cannot be tried twice. */
static int prepare(struct gateway *gw, struct omni_err *err)
{
	int rc = identity_obtain(gw, err);

	if (rc == 0)
		rc = listen_obtain(gw, err);
	return rc < 0 ? rc : gateway_ports_check(gw, err);
}

/* Where the driver has no sockets of the kernel's on our ports, such ones keep them. */
static int guards_open(struct gateway *gw, struct omni_err *err)
{
	if (gw->port_of[gw->config->underlay.port]->info.holds_ports)
		return 0;
	gw->guard = guard_open(gw->config->underlay.listen, err);
	if (gw->guard < 0)
		return gw->guard;
	for (unsigned int i = 0; gw->lane_ports && i < gw->n_workers; i++) {
		gw->lane_guard[i] = guard_open(gw->lane_port[i], err);
		if (gw->lane_guard[i] < 0)
			return gw->lane_guard[i];
	}
	return 0;
}

static void guards_close(struct gateway *gw)
{
	if (gw->guard >= 0)
		close(gw->guard);
	for (unsigned int i = 0; i < OMNI_NODE_WORKERS_MAX; i++)
		if (gw->lane_guard[i] >= 0)
			close(gw->lane_guard[i]);
}

static int build(struct gateway *gw, int argc, char **argv, struct omni_err *err)
{
	int rc;

	rc = gateway_eal_start(gw, argc, argv, err);
	if (rc < 0)
		return rc;
	rc = tables_create(gw, err);
	if (rc < 0)
		return rc;
	rc = gateway_ports_open(gw, err);
	if (rc < 0)
		return rc;
	rc = guards_open(gw, err);
	if (rc < 0)
		return rc;
	rc = gateway_workers_create(gw, err);
	if (rc < 0)
		return rc;
	return control_create(gw, err);
}

static int run(struct gateway *gw, struct omni_err *err)
{
	int rc = gateway_workers_launch(gw, err);

	if (rc < 0)
		return rc;
	signals_start(gw);
	rc = omni_ctl_start(gw->ctl, err);
	if (rc < 0) {
		stopped(gw);
		uv_run(gw->loop, UV_RUN_DEFAULT);
		return rc;
	}
	omni_log_info("gateway", "running", "version=%s workers=%u hugepages=%s idle=%s",
		      OMNI_VERSION, gw->n_workers, gw->eal.hugepages ? "yes" : "no",
		      gw->worker[0].idle.adaptive ? "adaptive" : "poll");
	uv_run(gw->loop, UV_RUN_DEFAULT);
	return 0;
}

/* In the reverse order of build(); every step knows whether its counterpart was taken. */
static void take_down(struct gateway *gw)
{
	gateway_workers_join(gw);
	omni_ctl_free(gw->ctl);
	gateway_workers_free(gw);
	gateway_ports_close(gw);
	guards_close(gw);
	tables_free(gw);
	gateway_pools_free(gw);
	gateway_eal_stop(gw);
	omni_identity_wipe(&gw->identity);
	omni_config_free(gw->config);
}

int gateway_run(struct omni_config *config, int eal_argc, char **eal_argv, bool *lingers)
{
	struct gateway *gw = calloc(1, sizeof(*gw));
	struct omni_err err = {""};
	int rc, status;

	if (gw == NULL) {
		omni_config_free(config);
		return EXIT_FAILURE;
	}
	gw->config = config;
	gw->bell = -1;
	gw->guard = -1;
	memset(gw->lane_guard, 0xff, sizeof(gw->lane_guard));
	gw->loop = uv_default_loop();
	omni_log_set_level(config->log_level);
	for (unsigned int i = 0; i < config->n_warnings; i++)
		omni_log_warn("config", config->warnings[i], "%s", "");
	rc = prepare(gw, &err);
	status = rc < 0 ? EXIT_CONFIG : EXIT_FAILURE;
	if (rc == 0)
		rc = build(gw, eal_argc, eal_argv, &err);
	if (rc == 0)
		rc = run(gw, &err);
	if (rc < 0)
		omni_log_error("gateway", "cannot run", "reason=\"%s\"%s", err.text,
			       geteuid() != 0 ? " hint=\"not run as root\"" : "");
	take_down(gw);
	*lingers = uv_loop_close(gw->loop) == UV_EBUSY;
	free(gw);
	if (rc == 0)
		omni_log_info("gateway", "stopped", "%s", "");
	return rc < 0 ? status : EXIT_SUCCESS;
}
