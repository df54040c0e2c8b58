/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two charts in one SVG: latency over percentiles for each trial (both axes logarithmic, the
 * lower one in nines), and what was delivered over what was offered. No other program needed.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "generate.h"

#define WIDTH 760
#define PANEL 400 /* height of a chart with its title and labels */
#define LEFT 80
#define RIGHT 580 /* the legend stands beyond */
#define TOP 40
#define BOTTOM 340
#define NINES 5	 /* 99.999 % at the right end */
#define STEPS 20 /* points of a curve for each nine */
#define CURVES_MAX 16

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#3d8361", "#8e5ea2",
				      "#b8860b", "#444444", "#d6588f", "#4fa3a5"};

struct axis {
	double low, high; /* logarithms, or plain values */
};

static double x_at(const struct axis *a, double v)
{
	return LEFT + (RIGHT - LEFT) * (v - a->low) / (a->high - a->low);
}

static double y_at(const struct axis *a, double v)
{
	return BOTTOM - (BOTTOM - TOP) * (v - a->low) / (a->high - a->low);
}

static void text(FILE *f, double x, double y, const char *anchor, const char *fmt, ...)
	OMNI_PRINTF(5, 6);
static void text(FILE *f, double x, double y, const char *anchor, const char *fmt, ...)
{
	va_list ap;

	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputs("</text>\n", f);
}

static void grid_x(FILE *f, double x)
{
	fprintf(f, "<path class=\"grid\" d=\"M%.1f %d V%d\"/>\n", x, TOP, BOTTOM);
}

static void grid_y(FILE *f, double y)
{
	fprintf(f, "<path class=\"grid\" d=\"M%d %.1f H%d\"/>\n", LEFT, y, RIGHT);
}

static void open_panel(FILE *f, unsigned int i, const char *title, const char *below)
{
	fprintf(f, "<g transform=\"translate(0 %u)\">\n", i * PANEL);
	text(f, LEFT, TOP - 14, "start", "%s", title);
	text(f, (LEFT + RIGHT) / 2.0, BOTTOM + 40, "middle", "%s", below);
}

static void legend(FILE *f, unsigned int i, const struct trial *t, unsigned int direction)
{
	const struct direction *d = &t->d[direction];
	char size[8];

	fprintf(f, "<path stroke=\"%s\" class=\"curve\" d=\"M%d %u h16\"/>\n",
		colours[i % OMNI_ARRAY_SIZE(colours)], RIGHT + 14, TOP + 10 + i * 17);
	text(f, RIGHT + 36, TOP + 14 + i * 17, "start", "%s %s %.4g Mpps",
	     generate_size_text(size, &t->size), direction == 0 ? "&#8594;" : "&#8592;",
	     direction_offered(d) / 1e6);
}

/* ---- Latency ---- */

static struct axis latency_range(const struct report *r)
{
	struct axis a = {.low = INFINITY, .high = -INFINITY};

	for (unsigned int i = 0; i < r->trials; i++)
		for (unsigned int j = 0; j < r->trial[i].directions; j++) {
			const struct histogram *h = &r->trial[i].d[j].latency;

			if (h->count == 0)
				continue;
			a.low = fmin(a.low, log10(generate_ns((double)OMNI_MAX(h->min, 1u))));
			a.high = fmax(a.high, log10(generate_ns((double)OMNI_MAX(h->max, 1u))));
		}
	if (a.low > a.high)
		a = (struct axis){.low = 3, .high = 4};
	return (struct axis){.low = floor(a.low), .high = fmax(ceil(a.high), floor(a.low) + 1)};
}

static void latency_grid(FILE *f, const struct axis *x, const struct axis *y)
{
	static const char *const percent[] = {"0", "90", "99", "99.9", "99.99", "99.999"};

	for (unsigned int i = 0; i < OMNI_ARRAY_SIZE(percent); i++) {
		grid_x(f, x_at(x, i));
		text(f, x_at(x, i), BOTTOM + 18, "middle", "%s", percent[i]);
	}
	for (int d = (int)y->low; d <= (int)y->high; d++) {
		grid_y(f, y_at(y, d));
		text(f, LEFT - 8, y_at(y, d) + 4, "end", "%g", pow(10, d - 3));
	}
}

static void latency_curve(FILE *f, unsigned int colour, const struct histogram *h,
			  const struct axis *x, const struct axis *y)
{
	char step = 'M';

	fprintf(f, "<path class=\"curve\" stroke=\"%s\" d=\"",
		colours[colour % OMNI_ARRAY_SIZE(colours)]);
	for (int i = 0; i <= NINES * STEPS; i++) {
		double nines = (double)i / STEPS;
		double v = (double)histogram_percentile(h, 100 * (1 - pow(10, -nines)));

		fprintf(f, "%c%.1f %.1f", step, x_at(x, nines),
			y_at(y, log10(generate_ns(fmax(v, 1)))));
		step = 'L';
	}
	fputs("\"/>\n", f);
}

static void plot_latency(FILE *f, const struct report *r)
{
	const struct axis x = {.low = 0, .high = NINES}, y = latency_range(r);
	unsigned int n = 0;

	open_panel(f, 0, "Latency, microseconds", "percentile");
	latency_grid(f, &x, &y);
	for (unsigned int i = 0; i < r->trials; i++)
		for (unsigned int j = 0; j < r->trial[i].directions && n < CURVES_MAX; j++) {
			const struct direction *d = &r->trial[i].d[j];

			if (d->latency.count == 0)
				continue;
			latency_curve(f, n, &d->latency, &x, &y);
			legend(f, n++, &r->trial[i], j);
		}
	fputs("</g>\n", f);
}

/* ---- Rates ---- */

static double highest_rate(const struct report *r)
{
	double high = 1;

	for (unsigned int i = 0; i < r->trials; i++)
		for (unsigned int j = 0; j < r->trial[i].directions; j++)
			high = fmax(high, direction_offered(&r->trial[i].d[j]));
	return high;
}

/* One, two or five times a power of ten, about a fifth of the range. */
static double tick(double range)
{
	double power = pow(10, floor(log10(range / 5))), part = range / 5 / power;

	return power * (part < 2 ? 1 : part < 5 ? 2 : 5);
}

static void plot_rates(FILE *f, const struct report *r)
{
	const struct axis a = {.low = 0, .high = highest_rate(r) * 1.05};
	double every = tick(a.high);

	open_panel(f, 1, "Delivered, Mpps (the line: without loss)", "offered, Mpps");
	for (int i = 0; i * every <= a.high; i++) {
		double v = i * every;

		grid_x(f, x_at(&a, v));
		grid_y(f, y_at(&a, v));
		text(f, x_at(&a, v), BOTTOM + 18, "middle", "%g", v / 1e6);
		text(f, LEFT - 8, y_at(&a, v) + 4, "end", "%g", v / 1e6);
	}
	fprintf(f, "<path class=\"grid\" d=\"M%d %d L%d %d\"/>\n", LEFT, BOTTOM, RIGHT, TOP);
	for (unsigned int i = 0; i < r->trials; i++)
		for (unsigned int j = 0; j < r->trial[i].directions; j++) {
			const struct direction *d = &r->trial[i].d[j];

			fprintf(f,
				"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>%.5f %% "
				"lost</title></circle>\n",
				x_at(&a, direction_offered(d)), y_at(&a, direction_delivered(d)),
				d->received == d->sent ? colours[2] : colours[1],
				direction_loss(d) * 100);
		}
	text(f, RIGHT + 36, TOP + 14, "start", "no loss");
	text(f, RIGHT + 36, TOP + 31, "start", "loss");
	for (unsigned int i = 0; i < 2; i++)
		fprintf(f, "<circle cx=\"%d\" cy=\"%u\" r=\"4\" fill=\"%s\"/>\n", RIGHT + 22,
			TOP + 10 + i * 17, colours[2 - i]);
	fputs("</g>\n", f);
}

int generate_plot(const struct report *r)
{
	FILE *f = fopen(r->o->plot, "we");
	bool bad;

	if (f == NULL) {
		fprintf(stderr, "omni-bench: cannot write %s: %s\n", r->o->plot, strerror(errno));
		return 1;
	}
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\">\n"
		"<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd;fill:none}"
		".curve{stroke-width:1.6;fill:none}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, 2 * PANEL);
	plot_latency(f, r);
	plot_rates(f, r);
	fputs("</svg>\n", f);
	bad = ferror(f) != 0;
	if (fclose(f) != 0 || bad) {
		fprintf(stderr, "omni-bench: cannot write %s\n", r->o->plot);
		return 1;
	}
	return 0;
}
