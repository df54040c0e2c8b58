/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-nucleus: options, identity, socket, loop; and the way back. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include <omni_clock.h>
#include <omni_crypto.h>
#include <omni_log.h>
#include <omni_nucleus.h>
#include <omni_nucleus_app.h>
#include <omni_secret.h>

#include "app.h"
#include "options.h"
#include "udp.h"

#define LOG "nucleus"
#define STATE_DIR "/var/lib/omni"
#define TICK_MS 1000
/* Datagrams taken per turn of the loop, so that signals and timers are never starved. */
#define BURST 64
#define DATAGRAM_MAX 2048 /* longer ones are cut, and so of impossible length */

struct omni_nucleus_time app_now(void)
{
	return (struct omni_nucleus_time){
		.boot_ns = omni_clock_boot_ns(),
		.real_s = omni_clock_real_ns() / OMNI_NS_PER_S,
	};
}

/* No core dumps, no other process of this user looking in. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		omni_log_warn(LOG, "core dumps stay possible", "error=\"%s\"", strerror(errno));
#ifndef OMNI_SANITIZE /* the leak checker has to look in */
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		omni_log_warn(LOG, "the process stays dumpable", "error=\"%s\"", strerror(errno));
#endif
}

static int key_path(char *path, size_t len, const struct options *o)
{
	const char *dir = getenv("STATE_DIRECTORY");
	int n;

	if (o->key_file != NULL)
		n = snprintf(path, len, "%s", o->key_file);
	else
		n = snprintf(path, len, "%s/nucleus.key", dir != NULL ? dir : STATE_DIR);
	if (n < 0 || (size_t)n >= len)
		return -ENAMETOOLONG;
	if (o->key_file == NULL && dir == NULL && mkdir(STATE_DIR, 0700) != 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int identity_obtain(struct omni_identity *id, const struct options *o, struct omni_err *err)
{
	char path[4096];
	struct omni_key seed;
	int rc = key_path(path, sizeof(path), o);

	if (rc != 0)
		return omni_fail(err, rc, "%s: %s; --key names another file", STATE_DIR,
				 strerror(-rc));
	rc = omni_identity_load(id, path, err);
	if (rc == 0 && !id->has_sign) {
		omni_identity_wipe(id);
		return omni_fail(err, -EINVAL,
				 "identity %s: a WireGuard key is no Nucleus's identity, expected "
				 "one that we make where there is no file",
				 path);
	}
	if (rc != -ENOENT)
		return rc;
	omni_random(&seed, sizeof(seed));
	rc = omni_identity_create(id, path, &seed, err);
	omni_wipe(&seed, sizeof(seed));
	if (rc == 0)
		omni_log_info(LOG, "made a new identity", "file=%s", path);
	return rc;
}

static int nucleus_make(struct app *app, const struct options *o, struct omni_err *err)
{
	struct omni_nucleus_config config = {.identity = &app->identity, .random = omni_random};
	struct omni_key *allow = NULL;
	int rc = 0;

	omni_nucleus_limits_default(&config.limits);
	if (o->allow_file != NULL)
		rc = allow_load(&allow, &config.n_allow, o->allow_file, err);
	if (rc != 0)
		return rc;
	config.allow = allow;
	app->nucleus = omni_nucleus_create(&config);
	free(allow);
	return app->nucleus != NULL ? 0 : omni_fail(err, -ENOMEM, "out of memory");
}

static void log_counters(const struct app *app)
{
	struct omni_nucleus_sizes sizes;

	omni_nucleus_sizes(app->nucleus, &sizes);
	omni_log_info(LOG, "sizes", "rooms=%zu members=%zu sessions=%zu keys=%zu", sizes.rooms,
		      sizes.members, sizes.sessions, sizes.keys);
	for (int c = 0; c < OMNI_NUCLEUS_COUNTER_COUNT; c++) {
		uint64_t v = omni_nucleus_counter(app->nucleus, (enum omni_nucleus_counter)c);

		if (v > 0)
			omni_log_info(LOG, "counter", "%s=%" PRIu64 " text=\"%s\"",
				      omni_nucleus_counter_name((enum omni_nucleus_counter)c), v,
				      omni_nucleus_counter_text((enum omni_nucleus_counter)c));
	}
	if (app->send_failed > 0)
		omni_log_info(LOG, "counter", "send_failed=%" PRIu64, app->send_failed);
}

/* ---- The loop ---- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct app *app = poll->data;
	struct omni_nucleus_time now = app_now();
	uint8_t in[DATAGRAM_MAX], out[OMNI_NUCLEUS_OUT_MAX];
	struct omni_endpoint from;
	struct arrival a;

	(void)status;
	(void)events;
	for (int i = 0; i < BURST; i++) {
		int n = udp_receive(app->fd, in, sizeof(in), &a);
		size_t answer;

		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n < 0 || omni_endpoint_from_sockaddr(&from, &a.from) != 0)
			continue; /* an ICMP error of an earlier answer */
		answer = omni_nucleus_input(app->nucleus, &now, &from, in, (size_t)n, out);
		if (answer > 0 && udp_answer(app->fd, out, answer, &a) != 0)
			app->send_failed++;
		answer = omni_nucleus_punch(app->nucleus, &from, out);
		if (answer > 0 && udp_send(app->fd, out, answer, &from, &a) != 0)
			app->send_failed++;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct app *app = timer->data;
	struct omni_nucleus_time now = app_now();

	omni_nucleus_tick(app->nucleus, &now);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct app *app = signal->data;

	if (number == SIGUSR1) {
		log_counters(app);
		return;
	}
	omni_log_info(LOG, "stopping", "signal=%d", number);
	uv_stop(&app->loop);
}

static int signals_start(struct app *app)
{
	static const int numbers[APP_SIGNALS] = {SIGTERM, SIGINT, SIGUSR1};
	int rc = 0;

	for (int i = 0; i < APP_SIGNALS && rc == 0; i++) {
		app->signals[i].data = app;
		rc = uv_signal_init(&app->loop, &app->signals[i]);
		if (rc == 0)
			rc = uv_signal_start(&app->signals[i], on_signal, numbers[i]);
	}
	return rc;
}

static int loop_start(struct app *app)
{
	int rc = signals_start(app);

	app->poll.data = app;
	app->timer.data = app;
	if (rc == 0)
		rc = uv_poll_init(&app->loop, &app->poll, app->fd);
	if (rc == 0)
		rc = uv_poll_start(&app->poll, UV_READABLE, on_readable);
	if (rc == 0)
		rc = uv_timer_init(&app->loop, &app->timer);
	if (rc == 0)
		rc = uv_timer_start(&app->timer, on_tick, TICK_MS, TICK_MS);
	return rc;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void log_start(const struct app *app, const struct options *o)
{
	struct omni_endpoint at = {.ip = o->listen, .port = o->port};
	char text[OMNI_ENDPOINT_TEXT_LEN], key[OMNI_KEY_B64_LEN];

	if (o->any)
		snprintf(text, sizeof(text), "*:%u", o->port);
	else
		omni_endpoint_text(text, &at);
	omni_log_info(LOG, "listening", "address=%s key=%s version=%s allow=%s", text,
		      omni_key_text(key, &app->identity.dh.public), OMNI_VERSION,
		      o->allow_file != NULL ? o->allow_file : "all");
}

static int run(struct app *app, const struct options *o, struct omni_err *err)
{
	int rc = uv_loop_init(&app->loop);

	if (rc != 0)
		return omni_fail(err, rc, "event loop: %s", uv_strerror(rc));
	rc = loop_start(app);
	if (rc != 0)
		omni_fail(err, rc, "event loop: %s", uv_strerror(rc));
	if (rc == 0) {
		log_start(app, o);
		uv_run(&app->loop, UV_RUN_DEFAULT);
		log_counters(app);
	}
	uv_walk(&app->loop, close_handle, NULL);
	uv_run(&app->loop, UV_RUN_DEFAULT);
	uv_loop_close(&app->loop);
	return rc;
}

static int fail(const struct omni_err *err, int status)
{
	fprintf(stderr, "omni-nucleus: %s\n", err->text);
	return status;
}

int omni_nucleus_main(int argc, char **argv)
{
	static struct app app;
	struct options o;
	struct omni_err err = {.text = ""};
	int status = 0;

	switch (options_parse(&o, argc, argv)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_WRONG:
		return 2;
	case OPTIONS_RUN:
		break;
	}
	harden();
	signal(SIGPIPE, SIG_IGN); /* what standard error leads to may end before us */
	if (omni_crypto_init() != 0)
		return fail(&(struct omni_err){.text = "libsodium does not start"}, 1);
	if (identity_obtain(&app.identity, &o, &err) != 0)
		return fail(&err, 2);
	if (nucleus_make(&app, &o, &err) != 0) {
		status = fail(&err, 2);
		goto no_nucleus;
	}
	app.fd = udp_open(&o.listen, o.any, o.port, &err);
	if (app.fd < 0) {
		status = fail(&err, 1);
		goto no_socket;
	}
	if (run(&app, &o, &err) != 0)
		status = fail(&err, 1);
	close(app.fd);
no_socket:
	omni_nucleus_free(app.nucleus);
no_nucleus:
	omni_identity_wipe(&app.identity);
	return status;
}
