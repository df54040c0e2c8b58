/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <omni_base.h>

#include "wg_text.h"

const char *wg_text_time(char out[WG_TEXT_LEN], uint64_t seconds)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"year", UINT64_C(365) * 86400},
		     {"day", 86400},
		     {"hour", 3600},
		     {"minute", 60},
		     {"second", 1}};
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < OMNI_ARRAY_SIZE(units) && at < WG_TEXT_LEN; i++) {
		uint64_t n = seconds / units[i].seconds;

		seconds %= units[i].seconds;
		if (n > 0)
			at += (size_t)snprintf(out + at, WG_TEXT_LEN - at, "%s%" PRIu64 " %s%s",
					       at > 0 ? ", " : "", n, units[i].name,
					       n == 1 ? "" : "s");
	}
	return out;
}

const char *wg_text_ago(char out[WG_TEXT_LEN], uint64_t seconds)
{
	size_t len;

	if (seconds == 0) {
		snprintf(out, WG_TEXT_LEN, "Now");
		return out;
	}
	len = strlen(wg_text_time(out, seconds));
	snprintf(out + len, WG_TEXT_LEN - len, " ago");
	return out;
}

const char *wg_text_bytes(char out[WG_TEXT_LEN], uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double size = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, WG_TEXT_LEN, "%" PRIu64 " B", bytes);
		return out;
	}
	while (i + 1 < OMNI_ARRAY_SIZE(units) && bytes >> (10 * (i + 2)) != 0) {
		size /= 1024;
		i++;
	}
	snprintf(out, WG_TEXT_LEN, "%.2f %s", size, units[i]);
	return out;
}
