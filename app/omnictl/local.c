/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <omni_identity.h>
#include <omni_secret.h>

#include "omnictl.h"

void local_warn_if_open(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		fprintf(stderr, "omnictl: others can read the file that this goes to "
				"(umask 077)\n");
}

/* Print a key or secret, and wipe it. */
static enum exit_status print_secret(struct omni_key *secret)
{
	char text[OMNI_KEY_B64_LEN];
	bool ok;

	local_warn_if_open();
	ok = printf("%s\n", omni_key_text(text, secret)) > 0 && fflush(stdout) == 0;
	omni_wipe(secret, sizeof(*secret));
	omni_wipe(text, sizeof(text));
	if (!ok)
		perror("omnictl: standard output");
	return ok ? EXIT_OK : EXIT_REFUSED;
}

/* 256 random bits in base64: what a cluster's secret and a PSK should be. */
enum exit_status local_gensecret(void)
{
	struct omni_key secret;

	omni_random(secret.b, sizeof(secret.b));
	return print_secret(&secret);
}

/* A private key of WireGuard's. */
enum exit_status local_genkey(void)
{
	struct omni_identity id;
	struct omni_key random;

	do
		omni_random(random.b, sizeof(random.b));
	while (omni_identity_from_wireguard(&id, &random) != 0);
	omni_wipe(&random, sizeof(random));
	return print_secret(&id.dh.secret);
}

/* A private key of WireGuard's from standard input, as wg pubkey takes it. */
static int read_key(struct omni_identity *id, struct omni_err *err)
{
	char text[OMNI_KEY_B64_LEN + 64];
	struct omni_key secret = {0};
	size_t len = fread(text, 1, sizeof(text) - 1, stdin);
	int rc;

	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	text[len] = '\0';
	rc = strlen(text) == len ? omni_key_parse(&secret, text) : -EINVAL;
	if (rc == 0)
		rc = omni_identity_from_wireguard(id, &secret);
	omni_wipe(text, sizeof(text));
	omni_wipe(&secret, sizeof(secret));
	if (rc != 0)
		return omni_fail(err, rc,
				 "standard input holds no private key, expected one line "
				 "of 44 characters of base64");
	return 0;
}

enum exit_status local_pubkey(const char *path)
{
	char text[OMNI_KEY_B64_LEN];
	struct omni_identity id;
	struct omni_err err;

	if ((path != NULL ? omni_identity_load(&id, path, &err) : read_key(&id, &err)) != 0) {
		fprintf(stderr, "omnictl: %s\n", err.text);
		return EXIT_REFUSED;
	}
	printf("%s\n", omni_key_text(text, &id.dh.public));
	omni_identity_wipe(&id);
	return print_done(EXIT_OK);
}
