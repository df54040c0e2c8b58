/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Texts that stand in a file or on the command line, to values. Each returns 0 or -EINVAL with
 * "what is wrong, what was expected" in err, so that the caller only adds the place.
 */
#ifndef VALUE_H
#define VALUE_H

#include <omni_config.h>

/* target: what the name says. All have the same shape, so that tables can hold them. */
int value_path(void *target, const char *text, struct omni_err *err);	/* IDENTITY's size */
int value_socket(void *target, const char *text, struct omni_err *err); /* SOCKET_LEN */
int value_device(void *target, const char *text, struct omni_err *err); /* DEVICE_LEN */
int value_name(void *target, const char *text, struct omni_err *err);	/* NAME_LEN */
int value_cluster_name(void *target, const char *text, struct omni_err *err);
int value_interface(void *target, const char *text, struct omni_err *err); /* IFNAMSIZ */
int value_mac(void *target, const char *text, struct omni_err *err);	   /* 6 bytes */
int value_key(void *target, const char *text, struct omni_err *err);	   /* struct omni_key */
int value_idle(void *target, const char *text, struct omni_err *err);
int value_log_level(void *target, const char *text, struct omni_err *err);
int value_cipher(void *target, const char *text, struct omni_err *err);
int value_vip(void *target, const char *text, struct omni_err *err);	  /* cluster */
int value_nucleus(void *target, const char *text, struct omni_err *err);  /* nucleus */
int value_endpoint(void *target, const char *text, struct omni_err *err); /* peer */
int value_peer_vip(void *target, const char *text, struct omni_err *err); /* struct omni_ip */
int value_prefix(void *target, const char *text, struct omni_err *err);	  /* struct omni_prefix */
int value_route(void *target, const char *text, struct omni_err *err);	  /* the same, masked */
int value_address(void *target, const char *text, struct omni_err *err);  /* the same, a host's */

/* off, or a mark of the kernel's: decimal, or hexadecimal behind 0x. A uint32_t. */
int value_fwmark(void *target, const char *text, struct omni_err *err);
/* The number of a routing table that the kernel has itself: default, main, local. */
bool value_is_kernel_table(uint32_t n);
/* A decimal number from min to max. */
int value_number(uint64_t *out, const char *text, uint64_t min, uint64_t max, struct omni_err *err);

#endif
