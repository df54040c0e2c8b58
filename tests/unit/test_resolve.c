/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Names, against a hosts file of the test's own (in a mount namespace) and a clock that it owns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <ctl_priv.h>

static char hosts[64];
static struct omni_ctl *ctl;
static uv_loop_t loop;
static uint64_t now_ns;

struct answer {
	struct omni_endpoint ep[8];
	unsigned int n, times;
};

static uint64_t boot_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static void hosts_say(const char *text)
{
	FILE *f = fopen(hosts, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int group_setup(void **state)
{
	(void)state;
	snprintf(hosts, sizeof(hosts), "/tmp/omni_unit_hosts_%d", (int)getpid());
	hosts_say("");
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(hosts, "/etc/hosts", NULL, MS_BIND, NULL) == 0)
		return 0;
	unlink(hosts);
	print_message("skipped: no mount namespace for this user\n");
	exit(77);
}

static int group_teardown(void **state)
{
	(void)state;
	return unlink(hosts);
}

static int begin(void **state)
{
	(void)state;
	ctl = aligned_alloc(OMNI_CACHE_LINE, sizeof(*ctl));
	assert_non_null(ctl);
	memset(ctl, 0, sizeof(*ctl));
	assert_int_equal(uv_loop_init(&loop), 0);
	ctl->conf.loop = &loop;
	ctl->conf.world.boot_ns = boot_ns;
	now_ns = 1000 * OMNI_NS_PER_S;
	return 0;
}

static int end(void **state)
{
	(void)state;
	ctl_names_stop(ctl);
	ctl_names_fini(ctl);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	free(ctl);
	return 0;
}

static void found(struct omni_ctl *c, void *arg, const struct omni_endpoint *ep, unsigned int n)
{
	struct answer *a = arg;

	assert_ptr_equal(c, ctl);
	memcpy(a->ep, ep, n * sizeof(*ep));
	a->n = n;
	a->times++;
}

/* What is under way ends, then time passes. */
static void pass(uint64_t seconds)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	now_ns += seconds * OMNI_NS_PER_S;
	ctl_names_tick(ctl, now_ns);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void assert_found(const struct answer *a, unsigned int i, const char *text)
{
	struct omni_endpoint want;

	assert_int_equal(omni_endpoint_parse(&want, text), 0);
	assert_true(i < a->n && omni_endpoint_equal(&a->ep[i], &want));
}

static void literal_is_answered_at_once(void **state)
{
	struct answer four = {0}, six = {0};

	(void)state;
	ctl_name_add(ctl, "192.0.2.7", 51820, found, &four);
	ctl_name_add(ctl, "2001:db8::7", 7, found, &six);
	assert_found(&four, 0, "192.0.2.7:51820");
	assert_found(&six, 0, "[2001:db8::7]:7");
	pass(600);
	assert_int_equal(four.times + six.times, 2);
}

static void name_is_looked_up_again(void **state)
{
	struct answer a = {0};

	(void)state;
	hosts_say("192.0.2.8 gw.example\n192.0.2.9 gw.example\n127.0.0.1 gw.example\n");
	ctl_name_add(ctl, "gw.example", 51820, found, &a);
	assert_int_equal(a.times, 0);
	pass(1);
	assert_int_equal(a.n, 2); /* not the loopback one */
	pass(61);
	assert_int_equal(a.times, 1); /* nothing new */
	hosts_say("192.0.2.99 gw.example\n");
	pass(61);
	assert_int_equal(a.times, 2);
	assert_int_equal(a.n, 1);
	assert_found(&a, 0, "192.0.2.99:51820");
}

static void silence_makes_it_sooner(void **state)
{
	struct answer a = {0};
	struct ctl_name *name;

	(void)state;
	hosts_say("192.0.2.8 gw.example\n");
	name = ctl_name_add(ctl, "gw.example", 51820, found, &a);
	pass(1);
	hosts_say("192.0.2.9 gw.example\n");
	pass(6);
	assert_int_equal(a.times, 1);
	ctl_name_again(ctl, name);
	pass(0);
	assert_found(&a, 0, "192.0.2.9:51820");
	ctl_name_again(ctl, NULL);
}

static void unknown_name_is_tried_less_and_less(void **state)
{
	struct answer a = {0};

	(void)state;
	hosts_say("127.0.0.1 gw.example\n");
	ctl_name_add(ctl, "gw.example", 51820, found, &a);
	pass(3);
	pass(3);
	assert_int_equal(a.times, 0);
	hosts_say("192.0.2.8 gw.example\n");
	pass(0); /* 6 s after the first look-up: failed at 0 and 3, due at 7 */
	assert_int_equal(a.times, 0);
	pass(1);
	assert_int_equal(a.times, 1);
}

static void deleted_name_is_not_called(void **state)
{
	struct answer a = {0}, b = {0};

	(void)state;
	hosts_say("192.0.2.8 gw.example\n");
	ctl_name_del(ctl, ctl_name_add(ctl, "gw.example", 1, found, &a));
	ctl_name_add(ctl, "gw.example", 2, found, &b);
	ctl_names_stop(ctl);
	uv_run(&loop, UV_RUN_DEFAULT);
	ctl_names_tick(ctl, now_ns + 600 * OMNI_NS_PER_S);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a.times + b.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
		T(literal_is_answered_at_once), T(name_is_looked_up_again),
		T(silence_makes_it_sooner),	T(unknown_name_is_tried_less_and_less),
		T(deleted_name_is_not_called),
#undef T
	};

	return cmocka_run_group_tests_name("resolve", tests, group_setup, group_teardown);
}
