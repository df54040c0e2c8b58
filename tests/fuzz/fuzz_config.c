/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A gateway's configuration: every text either loads whole or is refused with a sentence. */
#include <omni_config.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct omni_err err = {.text = ""};
	struct omni_config *config = omni_config_parse((const char *)p, len, "fleet.yaml", &err);

	REQUIRE(config != NULL || err.text[0] != '\0');
	omni_config_free(config);
	return 0;
}
