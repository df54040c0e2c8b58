/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* omni-bench generate: its options. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <omni_secret.h>

#include "command.h"
#include "generate.h"

#define LINE_GBPS 10.0
#define DURATION_S 10.0
#define TRIAL_S 60.0 /* RFC 2544, section 24 */
#define WARM_UP_S 0.5
#define SETTLE_S 0.5
#define WAIT_S 5.0
#define RESOLUTION 0.01
#define FLOWS 16
#define SECONDS_MAX 86400.0
#define LINE_GBPS_MAX 1000.0

/* RFC 2544, section 9.1, without the FCS that it counts. */
static const uint16_t rfc2544_sizes[] = {60, 124, 252, 508, 1020, 1276, 1514};

enum {
	O_TX = 256,
	O_RX,
	O_BIDIRECTIONAL,
	O_TRAFFIC,
	O_SIZE,
	O_FLOWS,
	O_MACS,
	O_VLAN,
	O_TO,
	O_NO_LEARNING,
	O_RATE,
	O_LINE,
	O_BURST,
	O_DURATION,
	O_WARM_UP,
	O_SETTLE,
	O_WAIT,
	O_RAMP,
	O_RFC2544,
	O_LOSS,
	O_RESOLUTION,
	O_JSON,
	O_PLOT,
	O_HELP,
};

static const struct option options[] = {
	{"tx", required_argument, NULL, O_TX},
	{"rx", required_argument, NULL, O_RX},
	{"bidirectional", no_argument, NULL, O_BIDIRECTIONAL},
	{"traffic", required_argument, NULL, O_TRAFFIC},
	{"size", required_argument, NULL, O_SIZE},
	{"flows", required_argument, NULL, O_FLOWS},
	{"macs", required_argument, NULL, O_MACS},
	{"vlan", required_argument, NULL, O_VLAN},
	{"to", required_argument, NULL, O_TO},
	{"no-learning", no_argument, NULL, O_NO_LEARNING},
	{"rate", required_argument, NULL, O_RATE},
	{"line", required_argument, NULL, O_LINE},
	{"burst", required_argument, NULL, O_BURST},
	{"duration", required_argument, NULL, O_DURATION},
	{"warm-up", required_argument, NULL, O_WARM_UP},
	{"settle", required_argument, NULL, O_SETTLE},
	{"wait", required_argument, NULL, O_WAIT},
	{"ramp", required_argument, NULL, O_RAMP},
	{"rfc2544", no_argument, NULL, O_RFC2544},
	{"loss", required_argument, NULL, O_LOSS},
	{"resolution", required_argument, NULL, O_RESOLUTION},
	{"json", no_argument, NULL, O_JSON},
	{"plot", required_argument, NULL, O_PLOT},
	{"help", no_argument, NULL, O_HELP},
	{NULL, 0, NULL, 0},
};

static int real(const char *what, const char *text, double low, double high, double *out)
{
	char *end, want[64];

	*out = strtod(text, &end);
	if (end != text && *end == '\0' && *out >= low && *out <= high)
		return 0;
	snprintf(want, sizeof(want), "a number from %g to %g", low, high);
	return command_bad(what, text, want);
}

static int said(const char *what, const struct omni_err *err)
{
	fprintf(stderr, "omni-bench: %s: %s\n", what, err->text);
	return COMMAND_USAGE;
}

static int take_port(struct generate_options *o, unsigned int i, const char *value)
{
	static const char *const names[] = {"tx", "rx"};
	struct omni_err err;

	if (port_arg_parse(&o->port[i], names[i], value, &err) != 0)
		return said(i == 0 ? "--tx" : "--rx", &err);
	o->ports = OMNI_MAX(o->ports, i + 1);
	return 0;
}

static int take_sizes(struct generate_options *o, const char *value)
{
	char copy[256], *rest = NULL;

	o->sizes = 0;
	snprintf(copy, sizeof(copy), "%s", value);
	for (char *one = strtok_r(copy, ",", &rest); one != NULL;
	     one = strtok_r(NULL, ",", &rest)) {
		struct generate_size *size = &o->size[o->sizes];
		unsigned int bytes = 0;

		if (o->sizes == GENERATE_SIZES_MAX)
			return command_bad("--size", value, "16 sizes at most");
		size->imix = strcmp(one, "imix") == 0;
		if (!size->imix && command_number("--size", one, TRAFFIC_FRAME_MIN,
						  TRAFFIC_FRAME_MAX, &bytes) != 0)
			return COMMAND_USAGE;
		size->bytes = (uint16_t)bytes;
		o->sizes++;
	}
	return o->sizes > 0 ? 0 : command_bad("--size", value, "bytes or imix");
}

static int take_kind(struct generate_options *o, const char *value)
{
	static const char *const kinds[] = {"l2", "udp4", "udp6"};

	for (size_t i = 0; i < OMNI_ARRAY_SIZE(kinds); i++)
		if (strcmp(value, kinds[i]) == 0) {
			o->traffic.kind = (enum traffic_kind)i;
			return 0;
		}
	return command_bad("--traffic", value, "l2, udp4 or udp6");
}

/* MAC of direction 0, or of both behind each other. */
static int take_to(struct generate_options *o, const char *value)
{
	const char *at = value;

	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *m = o->traffic.to[i];
		int end = 0;

		if (sscanf(at, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1], &m[2], &m[3],
			   &m[4], &m[5], &end) != 6)
			break;
		o->traffic.has_to[i] = true;
		at += end;
		if (*at == '\0')
			return 0;
		if (*at++ != ',')
			break;
	}
	return command_bad("--to", value, "MAC or MAC,MAC");
}

static int take_rate(struct generate_options *o, int c, const char *value)
{
	struct omni_err err;
	int n;

	if (c == O_RATE) {
		o->has_rate = true;
		return rate_parse(&o->rate, value, &err) == 0 ? 0 : said("--rate", &err);
	}
	o->mode = GENERATE_RAMP;
	n = rate_parse_steps(o->step, value, &err);
	o->steps = n > 0 ? (unsigned int)n : 0;
	return n > 0 ? 0 : said("--ramp", &err);
}

static int take_percent(double *part, const char *what, const char *value, double low)
{
	int rc = real(what, value, low, 50, part);

	*part /= 100;
	return rc;
}

static int take_traffic(struct generate_options *o, int c, const char *value)
{
	unsigned int v = 0;
	int rc;

	switch (c) {
	case O_TRAFFIC:
		return take_kind(o, value);
	case O_SIZE:
		return take_sizes(o, value);
	case O_FLOWS:
		rc = command_number("--flows", value, 1, TRAFFIC_FLOWS_MAX, &v);
		o->traffic.flows = v;
		return rc;
	case O_MACS:
		rc = command_number("--macs", value, 1, TRAFFIC_FLOWS_MAX, &v);
		o->traffic.macs = v;
		return rc;
	case O_VLAN:
		rc = command_number("--vlan", value, 0, 4094, &v);
		o->traffic.vlan = (int)v;
		return rc;
	default:
		return take_to(o, value);
	}
}

static int take_time(struct generate_options *o, int c, const char *value)
{
	switch (c) {
	case O_DURATION:
		return real("--duration", value, 0.01, SECONDS_MAX, &o->duration);
	case O_WARM_UP:
		return real("--warm-up", value, 0, SECONDS_MAX, &o->warm_up);
	case O_SETTLE:
		return real("--settle", value, 0, 60, &o->settle);
	default:
		return real("--wait", value, 0, SECONDS_MAX, &o->wait);
	}
}

static int take(struct generate_options *o, int c, const char *value)
{
	switch (c) {
	case O_TX:
	case O_RX:
		return take_port(o, (unsigned int)(c - O_TX), value);
	case O_BIDIRECTIONAL:
		o->bidirectional = true;
		return 0;
	case O_TRAFFIC:
	case O_SIZE:
	case O_FLOWS:
	case O_MACS:
	case O_VLAN:
	case O_TO:
		return take_traffic(o, c, value);
	case O_NO_LEARNING:
		o->no_learning = true;
		return 0;
	case O_RATE:
	case O_RAMP:
		return take_rate(o, c, value);
	case O_LINE:
		return real("--line", value, 0.001, LINE_GBPS_MAX, &o->line_bps);
	case O_BURST:
		return command_number("--burst", value, 1, GENERATE_BURST, &o->burst);
	case O_DURATION:
	case O_WARM_UP:
	case O_SETTLE:
	case O_WAIT:
		return take_time(o, c, value);
	case O_RFC2544:
		o->mode = GENERATE_RFC2544;
		return 0;
	case O_LOSS:
		return take_percent(&o->loss, "--loss", value, 0);
	case O_RESOLUTION:
		return take_percent(&o->resolution, "--resolution", value, 0.01);
	case O_JSON:
		o->json = true;
		return 0;
	case O_PLOT:
		o->plot = value;
		return 0;
	default:
		fprintf(stderr, "omni-bench: see omni-bench generate --help\n");
		return COMMAND_USAGE;
	}
}

static void fill_sizes(struct generate_options *o)
{
	if (o->sizes > 0)
		return;
	if (o->mode != GENERATE_RFC2544) {
		o->size[o->sizes++].bytes =
			o->traffic.kind == TRAFFIC_UDP6 ? 84 : TRAFFIC_FRAME_MIN + 4;
		return;
	}
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(rfc2544_sizes); i++)
		o->size[o->sizes++].bytes = rfc2544_sizes[i];
}

/* What one option leaves to the others; whether they go together. */
static int complete(struct generate_options *o)
{
	if (o->ports == 0 || o->port[0].driver[0] == '\0')
		return command_bad("--tx", "", "a port to send from");
	if (o->bidirectional && o->ports < 2)
		return command_bad("--bidirectional", "", "--rx and another port beside it");
	if (o->mode == GENERATE_RUN && !o->has_rate)
		return command_bad("--rate", "",
				   "a rate (or max), or --ramp, or --rfc2544 in its place");
	if (o->mode == GENERATE_RAMP && o->has_rate)
		return command_bad("--ramp", "", "no --rate beside it");
	fill_sizes(o);
	if (o->traffic.macs == 0)
		o->traffic.macs = o->traffic.kind == TRAFFIC_L2 ? o->traffic.flows : 1;
	if (o->traffic.macs > o->traffic.flows)
		return command_bad("--macs", "", "no more pairs of addresses than flows");
	if (o->duration <= 0)
		o->duration = o->mode == GENERATE_RFC2544 ? TRIAL_S : DURATION_S;
	o->line_bps *= 1e9;
	omni_random(&o->traffic.key, sizeof(o->traffic.key));
	return 0;
}

static int parse(const struct command_line *line, struct generate_options *o, bool *help)
{
	int c, rc = 0;

	*o = (struct generate_options){
		.traffic = {.kind = TRAFFIC_UDP4, .vlan = -1, .flows = FLOWS},
		.line_bps = LINE_GBPS,
		.warm_up = WARM_UP_S,
		.settle = SETTLE_S,
		.wait = WAIT_S,
		.resolution = RESOLUTION,
		.burst = 1,
	};
	while (rc == 0 && (c = getopt_long(line->argc, line->argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == O_HELP) {
			*help = true;
			return 0;
		}
		rc = take(o, c, optarg);
	}
	if (rc == 0 && optind != line->argc)
		return command_bad("word", line->argv[optind], "nothing there");
	return rc != 0 ? rc : complete(o);
}

static void on_signal(int number)
{
	(void)number;
	generate_stop = 1;
}

int bench_command_generate(const struct command_line *line)
{
	static struct generate_options o;
	struct command_eal eal = {0};
	bool help = false;
	int rc = parse(line, &o, &help);

	if (rc != 0)
		return rc;
	if (help) {
		fputs(generate_help(), stdout);
		return 0;
	}
	eal.lcores = o.ports;
	eal.memory_mb = generator_memory_mb(&o);
	for (unsigned int i = 0; i < o.ports; i++)
		if (strcmp(o.port[i].driver, "pci") == 0)
			eal.allow[i] = o.port[i].device;
	rc = command_eal_start(&eal, line);
	if (rc == 0) {
		const struct sigaction action = {.sa_handler = on_signal};

		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		rc = generate(&o);
	}
	command_eal_stop(&eal);
	return rc;
}
