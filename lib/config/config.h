/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the files of this library share. */
#ifndef CONFIG_H
#define CONFIG_H

#include <sys/types.h>

#include <omni_config.h>

/*
 * Read a file that only its owner may read as zero-terminated text of less than room bytes,
 * without its trailing newline. 0, or -errno with a sentence in err that begins with what and
 * path. The caller wipes out.
 */
int config_read_closed_file(const char *path, const char *what, char *out, size_t room,
			    struct omni_err *err);

/*
 * The bytes and the mode of a regular file of at most OMNI_CONFIG_FILE_MAX; NULL with a sentence
 * in err. The caller wipes and frees.
 */
char *config_read_file(const char *path, size_t *len, mode_t *mode, struct omni_err *err);

/* Clear the host bits. */
void config_mask(struct omni_prefix *prefix);

/* A configuration with every default and nothing else; NULL without memory. */
struct omni_config *config_new(void);

/* Remember a sentence for the operator; more than there is room for are left out. */
void config_warn(struct omni_config *config, const char *fmt, ...) OMNI_PRINTF(2, 3);

/* A cluster with its defaults at the end of clusters; NULL without memory. */
struct omni_config_cluster *config_add_cluster(struct omni_config *config);

/* A port with its defaults at the end of ports, of which there is room for all. */
struct omni_config_port *config_add_port(struct omni_config *config);

/* The rest of a sound configuration: what follows from the parts, and its warnings. */
void config_finish(struct omni_config *config);

#endif
