/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef NUCLEUS_UDP_H
#define NUCLEUS_UDP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <omni_addr.h>

/* Which of our addresses a datagram came to: the answer leaves from there. */
struct arrival {
	struct sockaddr_storage from;
	socklen_t from_len;
	uint8_t control[64];
	size_t control_len; /* 0: not known */
};

/*
 * Open and bind the socket, non-blocking. any: both families where the kernel has IPv6, else
 * IPv4. Returns it, or negative errno with a sentence.
 */
int udp_open(const struct omni_ip *listen, bool any, uint16_t port, struct omni_err *err);

/* Returns a datagram's length, or negative errno (-EAGAIN: none). Too long ones are cut. */
int udp_receive(int fd, uint8_t *buf, size_t len, struct arrival *a);

/*
 * To somebody else than who a is from, but from the address that a came to where both are of one
 * family. Returns 0 or negative errno.
 */
int udp_send(int fd, const void *buf, size_t len, const struct omni_endpoint *to,
	     const struct arrival *a);

/* Returns 0 or negative errno. */
int udp_answer(int fd, const void *buf, size_t len, struct arrival *a);

#endif
