/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <string.h>

#include <omni_identity.h>
#include <omni_secret.h>

#include "omnictl.h"

/* 256 random bits in base64: what a cluster's secret should be. */
enum exit_status local_gensecret(void)
{
	char text[OMNI_KEY_B64_LEN];
	struct omni_key secret;
	bool ok;

	omni_random(secret.b, sizeof(secret.b));
	omni_key_text(text, &secret);
	ok = printf("%s\n", text) > 0 && fflush(stdout) == 0;
	omni_wipe(&secret, sizeof(secret));
	omni_wipe(text, sizeof(text));
	if (!ok)
		perror("omnictl: standard output");
	return ok ? EXIT_OK : EXIT_REFUSED;
}

/* The name of the box whose identity stands in the file. */
enum exit_status local_pubkey(const char *path)
{
	char text[OMNI_KEY_B64_LEN];
	struct omni_identity id;
	struct omni_err err;

	if (omni_identity_load(&id, path, &err) != 0) {
		fprintf(stderr, "omnictl: %s\n", err.text);
		return EXIT_REFUSED;
	}
	printf("%s\n", omni_key_text(text, &id.dh.public));
	omni_identity_wipe(&id);
	return EXIT_OK;
}
