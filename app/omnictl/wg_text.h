/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Times and sizes in the words of wg show. */
#ifndef WG_TEXT_H
#define WG_TEXT_H

#include <stdint.h>

#define WG_TEXT_LEN 128

/* "1 minute, 2 seconds". Each returns out. */
const char *wg_text_time(char out[WG_TEXT_LEN], uint64_t seconds);
/* "1 minute, 2 seconds ago", "Now". */
const char *wg_text_ago(char out[WG_TEXT_LEN], uint64_t seconds);
/* "148 B", "1.23 MiB". */
const char *wg_text_bytes(char out[WG_TEXT_LEN], uint64_t bytes);

#endif
