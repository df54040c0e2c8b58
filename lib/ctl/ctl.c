/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Start and stop of the control plane, and its place on the event loop. */
#include <inttypes.h>
#include <unistd.h>

#include <rte_errno.h>

#include "neighbours.h"

#define DRAIN_EVERY_MS 10

static uint64_t system_boot_ns(void *arg)
{
	(void)arg;
	return omni_clock_boot_ns();
}

static uint64_t system_real_ns(void *arg)
{
	(void)arg;
	return omni_clock_real_ns();
}

static int find_uplink(struct omni_ctl *ctl, struct omni_err *err)
{
	const struct omni_config *config = ctl->conf.config;
	const char *name = config->ports[config->underlay.port].name;
	const struct omni_port *port = omni_port_find(ctl->conf.ports, name);

	if (port == NULL)
		return omni_fail(err, -ENODEV, "underlay: port %s is not open", name);
	ctl->uplink = port->id;
	ctl->listen = config->underlay.listen;
	return 0;
}

static int make_tables(struct omni_ctl *ctl, struct omni_err *err)
{
	uint32_t size = ctl->conf.peers->size;

	ctl->peer = calloc(size, sizeof(void *));
	ctl->stamps = ctl_stamps_create();
	if (ctl->peer == NULL || ctl->stamps == NULL ||
	    ctl_index_init(&ctl->peers_by_key, size) < 0 ||
	    ctl_index_init(&ctl->peers_by_vip, size) < 0 ||
	    ctl_index_init(&ctl->pending, size) < 0 || ctl_index_init(&ctl->wg_pending, size) < 0 ||
	    ctl_limits_init(ctl) < 0)
		return omni_fail(err, -ENOMEM, "no memory for %" PRIu32 " peers", size);
	return 0;
}

static int build(struct omni_ctl *ctl, struct omni_err *err)
{
	int rc = find_uplink(ctl, err);

	if (rc == 0)
		rc = make_tables(ctl, err);
	if (rc == 0)
		rc = ctl_nexthop_init(ctl, err);
	if (rc == 0)
		rc = ctl_clusters_init(ctl, err);
	if (rc == 0)
		rc = ctl_kernel_init(ctl, err);
	if (rc == 0)
		rc = ctl_neighbours_init(ctl, err);
	if (rc == 0)
		rc = ctl_asks_init(ctl, err);
	if (rc == 0)
		rc = ctl_nucleus_init(ctl, err);
	return rc;
}

struct omni_ctl *omni_ctl_create(const struct omni_ctl_conf *conf, struct omni_err *err)
{
	struct omni_ctl *ctl = aligned_alloc(OMNI_CACHE_LINE, sizeof(*ctl));
	int rc;

	if (ctl == NULL) {
		rte_errno = ENOMEM;
		(void)omni_fail(err, -ENOMEM, "no memory for the control plane");
		return NULL;
	}
	memset(ctl, 0, sizeof(*ctl));
	ctl->conf = *conf;
	if (ctl->conf.world.boot_ns == NULL)
		ctl->conf.world.boot_ns = system_boot_ns;
	if (ctl->conf.world.real_ns == NULL)
		ctl->conf.world.real_ns = system_real_ns;
	ctl->started_ns = ctl_now(ctl);
	omni_random(&ctl->cookies.secret, sizeof(ctl->cookies.secret));
	ctl_state_load(ctl);
	rc = build(ctl, err);
	if (rc == 0)
		return ctl;
	omni_ctl_free(ctl);
	rte_errno = -rc;
	return NULL;
}

struct omni_stats *omni_ctl_stats(struct omni_ctl *ctl)
{
	return &ctl->stats;
}

/* ---- On the loop ---- */

static void on_tick(uv_timer_t *timer)
{
	ctl_tick(timer->data);
}

/* One batch a turn of the loop, so that timers and the sockets get theirs. */
static void on_more(uv_idle_t *idle)
{
	if (!ctl_rings_poll(idle->data))
		uv_idle_stop(idle);
}

static void on_bell(uv_poll_t *poll, int status, int events)
{
	struct omni_ctl *ctl = poll->data;
	uint64_t rung;

	(void)status;
	(void)events;
	if (read(ctl->conf.bell, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
		return;
	if (ctl_rings_poll(ctl))
		uv_idle_start(&ctl->more, on_more);
}

static int loop_start(struct omni_ctl *ctl)
{
	uv_loop_t *loop = ctl->conf.loop;
	int rc;

	ctl->tick.data = ctl->bell.data = ctl->more.data = ctl->drain.data = ctl;
	rc = uv_poll_init(loop, &ctl->bell, ctl->conf.bell);
	if (rc < 0)
		return rc;
	uv_timer_init(loop, &ctl->tick);
	uv_timer_init(loop, &ctl->drain);
	uv_idle_init(loop, &ctl->more);
	ctl->handles += 4;
	rc = uv_poll_start(&ctl->bell, UV_READABLE, on_bell);
	if (rc == 0)
		rc = uv_timer_start(&ctl->tick, on_tick, CTL_TICK_MS, CTL_TICK_MS);
	return rc;
}

/* ---- Start and stop ---- */

static void finish(struct omni_ctl *ctl)
{
	if (ctl->done_cb != NULL)
		ctl->done_cb(ctl->done_arg);
}

void ctl_handle_closed(uv_handle_t *handle)
{
	struct omni_ctl *ctl = handle->data;

	if (--ctl->handles == 0)
		finish(ctl);
}

static void close_handles(struct omni_ctl *ctl)
{
	ctl->running = false;
	ctl_rpc_stop(ctl);
	ctl_names_stop(ctl);
	ctl_nexthop_stop(ctl);
	if (ctl->conf.loop == NULL) {
		finish(ctl);
		return;
	}
	uv_close((uv_handle_t *)&ctl->bell, ctl_handle_closed);
	uv_close((uv_handle_t *)&ctl->tick, ctl_handle_closed);
	uv_close((uv_handle_t *)&ctl->drain, ctl_handle_closed);
	uv_close((uv_handle_t *)&ctl->more, ctl_handle_closed);
}

/* Everybody whose address is known is called at once: they may still send to what we were. */
static void call_peers(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_peer *peer;

		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry)
			ctl_peer_look_up(ctl, peer);
	}
}

int omni_ctl_start(struct omni_ctl *ctl, struct omni_err *err)
{
	int rc = ctl->conf.loop != NULL ? loop_start(ctl) : 0;

	if (rc < 0)
		return omni_fail(err, rc, "event loop: %s", uv_strerror(rc));
	ctl->running = true;
	ctl_state_tick(ctl);
	rc = ctl_nexthop_start(ctl, err);
	if (rc == 0)
		rc = ctl_rpc_init(ctl, err);
	if (rc < 0) {
		close_handles(ctl);
		return rc;
	}
	call_peers(ctl);
	ctl_nucleus_start(ctl);
	return 0;
}

/* Until the worker took what we said from its ring, and had a turn to send it. */
static void on_drain(uv_timer_t *timer)
{
	struct omni_ctl *ctl = timer->data;

	ctl->drained_ms += DRAIN_EVERY_MS;
	if (rte_ring_count(ctl->conf.xrings[0]->tx) > 0)
		ctl->drain_empty = false;
	else if (!ctl->drain_empty)
		ctl->drain_empty = true;
	else
		ctl->drained_ms = OMNI_CTL_DRAIN_MS;
	if (ctl->drained_ms < OMNI_CTL_DRAIN_MS)
		return;
	uv_timer_stop(timer);
	close_handles(ctl);
}

static void close_sessions(struct omni_ctl *ctl)
{
	for (unsigned int i = 0; i < ctl->n_clusters; i++) {
		struct ctl_peer *peer;

		TAILQ_FOREACH (peer, &ctl->cluster[i].peers, entry) {
			ctl_peer_say_close(ctl, peer, OMNI_CLOSE_LEAVING);
			ctl_peer_series_end(ctl, peer);
		}
	}
}

void omni_ctl_stop(struct omni_ctl *ctl, void (*done_cb)(void *arg), void *arg)
{
	ctl->stopping = true;
	ctl->done_cb = done_cb;
	ctl->done_arg = arg;
	ctl_nucleus_bye(ctl);
	close_sessions(ctl);
	if (ctl->conf.loop == NULL) {
		close_handles(ctl);
		return;
	}
	uv_timer_stop(&ctl->tick);
	uv_timer_start(&ctl->drain, on_drain, DRAIN_EVERY_MS, DRAIN_EVERY_MS);
}

void omni_ctl_free(struct omni_ctl *ctl)
{
	if (ctl == NULL)
		return;
	ctl->running = false;
	ctl->stopping = true;
	ctl_nucleus_fini(ctl);
	ctl_kernel_fini(ctl);
	ctl_neighbours_fini(ctl);
	ctl_asks_fini(ctl);
	ctl_holders_fini(ctl);
	ctl_clusters_fini(ctl);
	ctl_nexthop_fini(ctl);
	ctl_names_fini(ctl);
	ctl_limits_fini(ctl);
	ctl_stamps_free(ctl->stamps);
	ctl_index_fini(&ctl->wg_pending);
	ctl_index_fini(&ctl->pending);
	ctl_index_fini(&ctl->peers_by_vip);
	ctl_index_fini(&ctl->peers_by_key);
	free(ctl->peer);
	(void)omni_rcu_poll(ctl->conf.rcu);
	omni_wipe(ctl, sizeof(*ctl));
	free(ctl);
}
