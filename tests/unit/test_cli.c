/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <omni_cli.h>

#define WORDS_MAX 32
#define KEY "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A="
#define JOIN "--cluster c --secret 0123456789abcdef --interface lo "

/* Words of a line, in memory of their own as argv is. */
struct line {
	char text[1024];
	char *argv[WORDS_MAX + 1];
	int argc;
};

static void words(struct line *line, const char *text)
{
	char *save = NULL;

	memset(line, 0, sizeof(*line));
	snprintf(line->text, sizeof(line->text), "%s", text);
	for (char *w = strtok_r(line->text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		line->argv[line->argc++] = w;
}

static int run(struct omni_cli *cli, struct line *line, const char *text, struct omni_err *err)
{
	words(line, text);
	err->text[0] = '\0';
	return omni_cli_parse(cli, line->argc, line->argv, err);
}

static void lines_divide_at_the_dashes(void **state)
{
	static const struct {
		const char *line;
		int eal, ours;
		const char *first;
	} good[] = {
		{"dpdk-omni", 1, 0, NULL},
		{"dpdk-omni -l 0-1", 3, 0, NULL},
		{"dpdk-omni -c 0x3", 3, 0, NULL},
		{"dpdk-omni -l 0-1 --", 3, 0, NULL},
		{"dpdk-omni -l 0-1 -- -c f.yaml", 3, 2, "-c"},
		{"dpdk-omni -- --nucleus h:1 -- x", 1, 4, "--nucleus"},
		{"dpdk-omni --help", 1, 1, "--help"},
		{"dpdk-omni --version", 1, 1, "--version"},
		{"dpdk-omni --init --identity f", 1, 3, "--init"},
		{"dpdk-omni -t f.yaml", 1, 2, "-t"},
		{"dpdk-omni --test f.yaml", 1, 2, "--test"},
		{"dpdk-omni --config f.yaml", 1, 2, "--config"},
		{"dpdk-omni --config=f.yaml", 1, 1, "--config=f.yaml"},
		{"dpdk-omni --mode nucleus --port 5", 1, 4, "--mode"},
	};
	static const char *const wrong[] = {
		"dpdk-omni --nucleus h:1",     "dpdk-omni -l 0-1 --cluster=c",
		"dpdk-omni -c fleet.yaml",     "dpdk-omni -l 0-1 -c /etc/omni/fleet.yaml",
		"dpdk-omni -l 0-1 --config f", "dpdk-omni --secret verysecret",
	};
	struct omni_cli_split split;
	struct omni_err err;
	struct line line;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(good); i++) {
		words(&line, good[i].line);
		assert_int_equal(omni_cli_split(&split, line.argc, line.argv, &err), 0);
		assert_int_equal(split.eal_argc, good[i].eal);
		assert_int_equal(split.argc, good[i].ours);
		if (good[i].first != NULL)
			assert_string_equal(split.argv[0], good[i].first);
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(wrong); i++) {
		words(&line, wrong[i]);
		assert_int_equal(omni_cli_split(&split, line.argc, line.argv, &err), -EINVAL);
		assert_non_null(strstr(err.text, "write -- before ours"));
		assert_null(strstr(err.text, "verysecret"));
	}
	assert_int_equal(omni_cli_split(&split, 0, line.argv, &err), 0);
}

static void flags_make_a_configuration(void **state)
{
	struct omni_config *config;
	struct omni_err err;
	struct omni_cli cli;
	struct line line;

	(void)state;
	if (run(&cli, &line,
		"--nucleus 192.0.2.1:51820 --cluster robotics --secret 0123456789abcdef --vip "
		"10.200.0.1 --interface eth7 --port 4000 --cipher chachapoly --socket /s "
		"--log-level debug --identity /i --peer " KEY "@h:5",
		&err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(cli.action, OMNI_CLI_RUN);
	config = cli.config;
	assert_string_equal(config->path, "");
	assert_string_equal(config->identity, "/i");
	assert_string_equal(cli.identity, "/i");
	assert_string_equal(config->socket, "/s");
	assert_int_equal(config->log_level, OMNI_LOG_DEBUG);
	assert_int_equal(config->n_ports, 2);
	assert_string_equal(config->ports[0].driver, "af_xdp");
	assert_string_equal(config->ports[0].interface, "eth7");
	assert_int_equal(config->underlay.port, 0);
	assert_int_equal(config->underlay.listen, 4000);
	assert_string_equal(config->ports[1].driver, "tap");
	assert_string_equal(config->ports[1].interface, "omni0");
	assert_int_equal(config->ports[1].carries, OMNI_ADDRESS_VIP);
	assert_int_equal(config->ports[1].cluster, 0);
	assert_int_equal(config->n_nucleus, 1);
	assert_string_equal(config->nucleus[0].host, "192.0.2.1");
	assert_int_equal(config->n_clusters, 1);
	assert_string_equal(config->clusters[0].name, "robotics");
	assert_string_equal(config->clusters[0].secret, "0123456789abcdef");
	assert_int_equal(config->clusters[0].vip.len, 24);
	assert_int_equal(config->clusters[0].cipher, OMNI_CIPHER_CHACHAPOLY);
	assert_int_equal(config->clusters[0].n_ports, 1);
	assert_int_equal(config->clusters[0].n_peers, 1);
	assert_int_equal(config->clusters[0].peers[0].port, 5);
	/* Gone from the process list, and said so. */
	assert_string_equal(line.argv[5], "");
	assert_non_null(strstr(config->warnings[config->n_warnings - 1], "--secret-file"));
	omni_cli_free(&cli);
}

static void secrets_leave_the_command_line(void **state)
{
	static const char *const lines[] = {
		"--secret=0123456789abcdef --cluster c --interface lo",
		"--secret 0123456789abcdef --cluster c --interface lo",
		"--secret 0123456789abcdef --nonsense",
		"--cluster c --secret 0123456789abcdef --vip nonsense --interface lo",
	};
	struct omni_err err;
	struct omni_cli cli;
	struct line line;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(lines); i++) {
		if (run(&cli, &line, lines[i], &err) == 0)
			omni_cli_free(&cli);
		assert_null(memmem(line.text, sizeof(line.text), "0123456789abcdef", 16));
		assert_null(strstr(err.text, "0123456789abcdef"));
	}
}

static void open_and_v6_have_their_defaults(void **state)
{
	struct omni_err err;
	struct omni_cli cli;
	struct line line;

	(void)state;
	assert_int_equal(run(&cli, &line, "--cluster c --open --vip fd00::1 --interface lo", &err),
			 0);
	assert_true(cli.config->clusters[0].open);
	assert_int_equal(cli.config->clusters[0].vip.len, 64);
	assert_int_equal(cli.config->n_warnings, 1);
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "--cluster c --interface lo --peer " KEY, &err), 0);
	assert_true(cli.config->clusters[0].vip_auto);
	assert_null(cli.config->clusters[0].secret);
	omni_cli_free(&cli);
}

static void wrong_lines_are_told_why(void **state)
{
	static const struct {
		const char *line, *message;
	} bad[] = {
		{"--nonsense", "--nonsense is no option of ours"},
		{"-x", "is no option of ours"},
		{"word", "\"word\" is one word too many"},
		{"--config", "--config needs a value"},
		{"-c f word", "\"word\" is one word too many"},
		{"-c a -c b", "--config stands twice"},
		{"-c f --nucleus h:1", "--nucleus does not go with a file (f)"},
		{"-c f --open", "--open does not go with a file (f)"},
		{"-c /nonexistent/f", "/nonexistent/f: No such file or directory"},
		{"-t /nonexistent/f", "/nonexistent/f: No such file or directory"},
		{"--nucleus h:1", "--nucleus alone names no cluster, expected --cluster NAME"},
		{"--nucleus h:1 --cluster c --interface lo",
		 "make one (umask 077; omnictl gensecret"},
		{"--nucleus h:1 --cluster c --interface lo", "--open to let anyone join"},
		{"--cluster c --open --secret 0123456789abcdef", "exclude each other"},
		{"--cluster c --open --secret-file f", "exclude each other"},
		{"--cluster c --secret short", "secret has 5 characters, expected 16 or more"},
		{"--cluster c --secret open:0123456789abcdef", "begins with \"open:\""},
		{"--cluster c --secret-file /nonexistent",
		 "secret file /nonexistent: No such file"},
		{JOIN "--secret-file f", "exclude each other"},
		{JOIN "--cluster d", "--cluster stands twice"},
		{JOIN "--secret 0123456789abcdef", "--secret stands twice"},
		{JOIN "--vip 1.2.3", "--vip: \"1.2.3\" is no IP address"},
		{JOIN "--port 0", "--port: 0 is out of range"},
		{JOIN "--port http", "--port: \"http\" is no number"},
		{JOIN "--cipher des", "--cipher: \"des\" is not known"},
		{JOIN "--nucleus h:0", "--nucleus: \"h:0\" is no address"},
		{JOIN "--peer short", "--peer: is no key"},
		{JOIN "--peer " KEY "@h", "--peer: \"h\" is no address"},
		{JOIN "--peer " KEY " --peer " KEY, "is the key of two peers"},
		{JOIN "--log-level loud", "--log-level: \"loud\" is not known"},
		{"--cluster c --open --interface a/b", "--interface: \"a/b\" cannot be"},
		{"--cluster \xff --open --interface lo", "--cluster: is no cluster's name"},
		{"--mode router", "--mode: \"router\" is not known"},
		{"--init -c f", "--init goes with --identity only"},
		{"--init --open", "--init goes with --identity only"},
	};
	struct omni_err err;
	struct omni_cli cli;
	struct line line;

	(void)state;
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(bad); i++) {
		if (run(&cli, &line, bad[i].line, &err) == 0)
			fail_msg("%s: was taken", bad[i].line);
		if (strstr(err.text, bad[i].message) == NULL)
			fail_msg("%s: \"%s\" is not in \"%s\"", bad[i].line, bad[i].message,
				 err.text);
	}
}

static void actions_are_told_apart(void **state)
{
	struct omni_err err;
	struct omni_cli cli;
	struct line line;

	(void)state;
	assert_int_equal(run(&cli, &line, "--help --nonsense", &err), -EINVAL);
	assert_int_equal(run(&cli, &line, "-h", &err), 0);
	assert_int_equal(cli.action, OMNI_CLI_HELP);
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "--version", &err), 0);
	assert_int_equal(cli.action, OMNI_CLI_VERSION);
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "--init", &err), 0);
	assert_int_equal(cli.action, OMNI_CLI_INIT);
	assert_string_equal(cli.identity, OMNI_CONFIG_IDENTITY);
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "--init --identity /x", &err), 0);
	assert_string_equal(cli.identity, "/x");
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "-t " JOIN, &err), 0);
	assert_int_equal(cli.action, OMNI_CLI_TEST);
	omni_cli_free(&cli);
	assert_int_equal(run(&cli, &line, "--port 5 --mode nucleus --allow f", &err), 0);
	assert_int_equal(cli.action, OMNI_CLI_NUCLEUS);
	assert_int_equal(cli.argc, 5);
	assert_string_equal(cli.argv[1], "--port");
	assert_string_equal(cli.argv[3], "--allow");
	assert_null(cli.argv[5]);
	omni_cli_free(&cli);
	assert_non_null(strstr(omni_cli_help(), "--secret-file"));
}

static void the_default_route_names_the_uplink(void **state)
{
	static const char table[] =
		"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
		"eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"
		"wlan0\t00000000\t0101000A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
		"eth1\t00000000\t0101000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
		"down0\t00000000\t0101000A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n";
	static const char table6[] =
		"fd010000000000000000000000000000 40 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 00000001 00000001 00000000 00000001     lan0\n"
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		"fd010000000000000000000000000001 00000400 00000001 00000000 00000003     wan6\n";
	char path[] = "/tmp/omni-route-XXXXXX", path6[] = "/tmp/omni-route-XXXXXX", name[IFNAMSIZ];
	int fd = mkstemp(path), fd6 = mkstemp(path6);
	struct omni_err err;

	(void)state;
	assert_int_equal(write(fd, table, strlen(table)), (ssize_t)strlen(table));
	assert_int_equal(write(fd6, table6, strlen(table6)), (ssize_t)strlen(table6));
	assert_int_equal(omni_cli_default_interface(name, path, path6, &err), 0);
	assert_string_equal(name, "eth1");
	assert_int_equal(ftruncate(fd, 130), 0);
	assert_int_equal(omni_cli_default_interface(name, path, path6, &err), 0);
	assert_string_equal(name, "wan6");
	assert_int_equal(ftruncate(fd6, strlen(table6) * 2 / 3), 0);
	assert_int_equal(omni_cli_default_interface(name, path, path6, &err), -ENOENT);
	assert_non_null(strstr(err.text, "expected --interface IF"));
	close(fd);
	close(fd6);
	unlink(path);
	unlink(path6);
	assert_int_equal(omni_cli_default_interface(name, path, path6, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_divide_at_the_dashes),
		cmocka_unit_test(flags_make_a_configuration),
		cmocka_unit_test(secrets_leave_the_command_line),
		cmocka_unit_test(open_and_v6_have_their_defaults),
		cmocka_unit_test(wrong_lines_are_told_why),
		cmocka_unit_test(actions_are_told_apart),
		cmocka_unit_test(the_default_route_names_the_uplink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
