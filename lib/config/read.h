/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sections of the file, each read into config. 0 or -EINVAL with the place in d->err. */
#ifndef READ_H
#define READ_H

#include "config.h"
#include "yaml_map.h"

/* Index of the port with the name that stands at node, or -EINVAL. */
int read_port_name(const struct doc *d, const yaml_node_t *node, const struct omni_config *config,
		   const char *what);

int read_ports(const struct doc *d, const yaml_node_t *node, struct omni_config *config);
/* What a null port makes, with its defaults. */
/* `via` of a port: one mapping, or a list of them. */
int read_via(const struct doc *d, const yaml_node_t *node, struct omni_config_port *port);

int read_generate(const struct doc *d, const yaml_node_t *node, struct omni_config_generate *g);
int read_underlay(const struct doc *d, const yaml_node_t *node, struct omni_config *config);
/* After ports, underlay and limits. */
int read_clusters(const struct doc *d, const yaml_node_t *node, struct omni_config *config);

/* Fill cluster, which has its name; all clusters before it are there. */
int read_cluster(const struct doc *d, const yaml_node_t *node, struct omni_config *config,
		 struct omni_config_cluster *cluster, size_t peers_left);

/* Fill peers[] of cluster; limit is for all clusters together. */
int read_peers(const struct doc *d, const yaml_node_t *node, struct omni_config_cluster *cluster,
	       size_t limit);

/*
 * A list of prefixes, each read by parse (value.h): *list, which the cluster owns, and *n. what
 * names the key.
 */
int read_prefixes(const struct doc *d, const yaml_node_t *node, const char *what,
		  int (*parse)(void *, const char *, struct omni_err *), struct omni_prefix **list,
		  unsigned int *n);

/* Every prefix belongs to one peer, and none is an address of ours. node: the peers. */
int read_check_routes(const struct doc *d, const yaml_node_t *node,
		      const struct omni_config_cluster *cluster);

/* dir and path, unless path is absolute. 0 or -ENAMETOOLONG. */
int read_join_path(char out[OMNI_CONFIG_PATH_LEN], const struct doc *d, const char *path);

#endif
