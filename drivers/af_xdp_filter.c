/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads drivers/bpf/omni_xdp.bpf.c, which is embedded in the program, and attaches it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <rte_byteorder.h>
#include <rte_errno.h>

#include <omni_log.h>

#include "af_xdp.h"

extern const unsigned char omni_xdp_object[];
extern const size_t omni_xdp_object_len;

/* A link of a process that just ended may take the kernel some milliseconds. */
#define ATTACH_TRIES 100
#define ATTACH_PAUSE_US 5000
#define CPUS_MAX 1024

struct xdp_filter {
	struct bpf_object *object;
	int link; /* -1: none */
	int xsks, ports, mac, limited;
	bool all; /* the port has the interface for itself */
};

static int print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];

	if (level > LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	omni_log_debug("af_xdp", "libbpf", "text=%s", line);
	return 0;
}

static int load(struct xdp_filter *f, const struct omni_port_conf *conf)
{
	const uint8_t one = 1;
	int rc;

	libbpf_set_print(print);
	f->object = bpf_object__open_mem(omni_xdp_object, omni_xdp_object_len, NULL);
	if (f->object == NULL)
		return -errno;
	rc = bpf_object__load(f->object);
	if (rc < 0)
		return rc;
	f->xsks = bpf_object__find_map_fd_by_name(f->object, "omni_xsks");
	f->ports = bpf_object__find_map_fd_by_name(f->object, "omni_ports");
	f->mac = bpf_object__find_map_fd_by_name(f->object, "omni_mac");
	f->limited = bpf_object__find_map_fd_by_name(f->object, "omni_limited");
	for (unsigned int i = 0; i < conf->n_udp_ports; i++) {
		uint16_t port = rte_cpu_to_be_16(conf->udp_ports[i]);

		rc = bpf_map_update_elem(f->ports, &port, &one, BPF_ANY);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int attach(struct xdp_filter *f, unsigned int ifindex, bool generic)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(f->object, "omni_xdp");
	const struct bpf_link_create_opts opts = {
		.sz = sizeof(opts),
		.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE,
	};

	for (int tries = 0; tries < ATTACH_TRIES; tries++) {
		f->link = bpf_link_create(bpf_program__fd(program), (int)ifindex, BPF_XDP, &opts);
		if (f->link >= 0)
			return 0;
		if (f->link != -EBUSY)
			break;
		usleep(ATTACH_PAUSE_US);
	}
	return f->link;
}

int xdp_filter_set_mac(struct xdp_filter *filter, const uint8_t mac[6])
{
	const uint32_t zero = 0;
	uint8_t value[8] = {0};

	memcpy(value, mac, 6);
	value[6] = filter->all;
	return bpf_map_update_elem(filter->mac, &zero, value, BPF_ANY);
}

struct xdp_filter *xdp_filter_open(const struct omni_port_conf *conf, unsigned int ifindex,
				   const uint8_t mac[6], bool generic, struct omni_err *err)
{
	struct xdp_filter *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL) {
		rte_errno = ENOMEM;
		omni_fail(err, -ENOMEM, "no memory");
		return NULL;
	}
	f->link = -1;
	f->all = conf->n_udp_ports == 0;
	rc = load(f, conf);
	if (rc == 0)
		rc = xdp_filter_set_mac(f, mac);
	if (rc < 0) {
		omni_fail(err, rc, "cannot load the XDP program: %s", strerror(-rc));
		goto fail;
	}
	rc = attach(f, ifindex, generic);
	if (rc < 0) {
		omni_fail(err, rc, "cannot attach the XDP program to %s (%s mode): %s",
			  conf->interface, generic ? "generic" : "native",
			  rc == -EBUSY ? "another XDP program is attached" : strerror(-rc));
		goto fail;
	}
	return f;
fail:
	xdp_filter_close(f);
	rte_errno = -rc;
	return NULL;
}

uint64_t xdp_filter_limited(const struct xdp_filter *filter)
{
	const uint32_t zero = 0;
	int cpus = libbpf_num_possible_cpus();
	uint64_t value[CPUS_MAX], sum = 0;

	if (filter == NULL || cpus <= 0 || cpus > CPUS_MAX ||
	    bpf_map_lookup_elem(filter->limited, &zero, value) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += value[i];
	return sum;
}

int xdp_filter_add(struct xdp_filter *filter, uint32_t queue, int fd)
{
	return bpf_map_update_elem(filter->xsks, &queue, &fd, BPF_ANY);
}

void xdp_filter_close(struct xdp_filter *filter)
{
	if (filter == NULL)
		return;
	if (filter->link >= 0)
		close(filter->link);
	bpf_object__close(filter->object);
	free(filter);
}
