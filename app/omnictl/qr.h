/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* QR codes for phones. */
#ifndef QR_H
#define QR_H

#include <stdio.h>

/*
 * Print text as a QR code, two modules a character cell (UTF-8 half blocks), light on dark; with
 * colours where out is a terminal, so that any theme shows it. 0, -ENOMEM, -EFBIG (text is too
 * long for a code) or -EINVAL.
 */
int qr_print(FILE *out, const char *text);

/* The same as an SVG document. */
int qr_svg(FILE *out, const char *text);

#endif
