/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <omni_secret.h>

#include "qr.h"

#define QUIET 4 /* light modules around the code that readers rely on (ISO/IEC 18004) */
#define LIGHT_ON_DARK "\033[97;40m"
#define RESET "\033[0m"

static bool is_light(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return true;
	return (code->data[y * code->width + x] & 1) == 0;
}

/* Level L: a screen is not scratched, and fewer modules are easier to read. */
static int encode(QRcode **code, const char *text)
{
	*code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (*code != NULL)
		return 0;
	return errno == ERANGE ? -EFBIG : errno == ENOMEM ? -ENOMEM : -EINVAL;
}

static void code_free(QRcode *code)
{
	omni_wipe(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}

static void print_line(FILE *out, const QRcode *code, int y)
{
	static const char *const cells[2][2] = {{" ", "\u2584"}, {"\u2580", "\u2588"}};

	for (int x = -QUIET; x < code->width + QUIET; x++)
		fputs(cells[is_light(code, x, y)]
			   [y + 1 < code->width + QUIET && is_light(code, x, y + 1)],
		      out);
}

int qr_print(FILE *out, const char *text)
{
	bool colours = isatty(fileno(out)) != 0;
	QRcode *code;
	int rc = encode(&code, text);

	if (rc != 0)
		return rc;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		fputs(colours ? LIGHT_ON_DARK : "", out);
		print_line(out, code, y);
		fputs(colours ? RESET "\n" : "\n", out);
	}
	code_free(code);
	return 0;
}

int qr_svg(FILE *out, const char *text)
{
	QRcode *code;
	int rc = encode(&code, text), size;

	if (rc != 0)
		return rc;
	size = code->width + 2 * QUIET;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">\n"
		"<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>\n<path d=\"",
		8 * size, 8 * size, size, size, size, size);
	for (int y = 0; y < code->width; y++) {
		for (int x = 0; x < code->width; x++) {
			if (!is_light(code, x, y))
				fprintf(out, "M%d %dh1v1h-1z", x + QUIET, y + QUIET);
		}
	}
	fprintf(out, "\"/>\n</svg>\n");
	code_free(code);
	return 0;
}
