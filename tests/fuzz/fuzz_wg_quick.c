/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A file of wg-quick's: every text becomes a configuration or is refused with a sentence. */
#include <omni_wg_quick.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct omni_err err = {.text = ""};
	struct omni_wg_quick *wg = omni_wg_quick_parse((const char *)p, len, "/etc/wg0.conf", &err);
	struct omni_config *config = NULL;

	REQUIRE(wg != NULL || err.text[0] != '\0');
	if (wg != NULL) {
		config = omni_config_from_wg_quick(wg, "/etc/wg0.conf", &err);
		REQUIRE(config != NULL && omni_config_check_wireguard(config, &err) == 0);
	}
	omni_wg_quick_free(wg);
	omni_config_free(config);
	return 0;
}
