/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads drivers/bpf/omni_udp.bpf.c, which is embedded in the program, for the sockets of a port. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <omni_log.h>

#include "udp.h"

extern const unsigned char omni_udp_object[];
extern const size_t omni_udp_object_len;

struct udp_filter {
	struct bpf_object *object;
	int program, dropped, limited;
	int cpus;
	uint64_t value[]; /* of each CPU, as read last */
};

static struct udp_filter *allocate(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct udp_filter *f = cpus > 0 ? calloc(1, sizeof(*f) + (size_t)cpus * 8) : NULL;

	if (f != NULL)
		f->cpus = cpus;
	return f;
}

static int load(struct udp_filter *f)
{
	int rc;

	f->object = bpf_object__open_mem(omni_udp_object, omni_udp_object_len, NULL);
	if (f->object == NULL)
		return -errno;
	rc = bpf_object__load(f->object);
	if (rc < 0)
		return rc;
	f->program = bpf_program__fd(bpf_object__find_program_by_name(f->object, "omni_udp"));
	f->dropped = bpf_object__find_map_fd_by_name(f->object, "omni_dropped");
	f->limited = bpf_object__find_map_fd_by_name(f->object, "omni_limited");
	return 0;
}

struct udp_filter *udp_filter_open(void)
{
	struct udp_filter *f = allocate();
	int rc = f != NULL ? load(f) : -ENOMEM;

	if (rc == 0)
		return f;
	omni_log_debug("udp", "no filter on the sockets", "reason=\"%s\"", strerror(-rc));
	udp_filter_close(f);
	return NULL;
}

void udp_filter_attach(const struct udp_filter *f, int fd)
{
	if (f != NULL)
		(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &f->program, sizeof(f->program));
}

static uint64_t sum_of(struct udp_filter *f, int map)
{
	const uint32_t zero = 0;
	uint64_t sum = 0;

	if (bpf_map_lookup_elem(map, &zero, f->value) < 0)
		return 0;
	for (int i = 0; i < f->cpus; i++)
		sum += f->value[i];
	return sum;
}

uint64_t udp_filter_dropped(struct udp_filter *f)
{
	return f != NULL ? sum_of(f, f->dropped) : 0;
}

uint64_t udp_filter_limited(struct udp_filter *f)
{
	return f != NULL ? sum_of(f, f->limited) : 0;
}

void udp_filter_close(struct udp_filter *f)
{
	if (f == NULL)
		return;
	bpf_object__close(f->object);
	free(f);
}
