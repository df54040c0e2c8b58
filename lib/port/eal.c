/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include <omni_eal.h>

#define HUGE_DIR "/sys/kernel/mm/hugepages"
/* EAL itself, rings and hash tables that are not in anybody's sum. */
#define SPARE_MB 32
#define PREFIX "omni-"

struct build {
	struct omni_eal_args *out;
	const struct omni_eal_request *request;
	size_t text_len;
	bool failed;
};

/* True where the user gave the option, as NAME, NAME=VALUE or (short ones) NAMEVALUE. */
static bool given(const struct build *b, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < b->request->argc; i++) {
		const char *arg = b->request->argv[i];

		if (strncmp(arg, name, len) != 0)
			continue;
		if (arg[len] == '\0' || arg[len] == '=' || name[1] != '-')
			return true;
	}
	return false;
}

static bool given_any(const struct build *b, const char *const *names)
{
	for (; *names != NULL; names++)
		if (given(b, *names))
			return true;
	return false;
}

static void put(struct build *b, char *arg)
{
	if (b->out->argc >= OMNI_EAL_ARGS_MAX) {
		b->failed = true;
		return;
	}
	b->out->argv[b->out->argc++] = arg;
	b->out->argv[b->out->argc] = NULL;
}

/* Add an option unless the user gave one of that name. */
static void add(struct build *b, const char *name, const char *fmt, ...) OMNI_PRINTF(3, 4);
static void add(struct build *b, const char *name, const char *fmt, ...)
{
	char *at = b->out->text + b->text_len;
	size_t room = sizeof(b->out->text) - b->text_len;
	va_list ap;
	int len;

	if (given(b, name))
		return;
	va_start(ap, fmt);
	len = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room) {
		b->failed = true;
		return;
	}
	b->text_len += (size_t)len + 1;
	put(b, at);
}

static void add_huge(struct build *b)
{
	/* Options that --in-memory is refused together with. */
	static const char *const files[] = {"--huge-dir", "--huge-unlink", "--legacy-mem",
					    "--proc-type", NULL};

	if (!given_any(b, files))
		add(b, "--in-memory", "--in-memory");
	if (!given(b, "--legacy-mem"))
		add(b, "--single-file-segments", "--single-file-segments");
}

static void add_no_huge(struct build *b)
{
	add(b, "--no-huge", "--no-huge");
	if (!given(b, "-m")) {
		add(b, "-m", "-m");
		add(b, "-m", "%u", b->request->mem_mb + SPARE_MB);
	}
	add(b, "--no-shconf", "--no-shconf");
}

static void add_prefix(struct build *b)
{
	struct omni_eal_args *out = b->out;

	out->own_prefix = !given(b, "--file-prefix");
	if (!out->own_prefix)
		return;
	snprintf(out->prefix, sizeof(out->prefix), PREFIX "%d", (int)getpid());
	add(b, "--file-prefix", "--file-prefix=%s", out->prefix);
}

static void choose_memory(struct build *b)
{
	static const char *const wants_huge[] = {"--in-memory",	 "--huge-dir",	 "--huge-unlink",
						 "--legacy-mem", "--socket-mem", NULL};
	const struct omni_eal_request *r = b->request;
	bool enough = r->free_huge_mb >= r->mem_mb + SPARE_MB;

	b->out->hugepages = !given(b, "--no-huge") && (enough || given_any(b, wants_huge));
	if (b->out->hugepages || given(b, "--no-huge"))
		return;
	snprintf(b->out->warning, sizeof(b->out->warning),
		 "%u MB of hugepages are free and %u MB are needed: running without hugepages, "
		 "which is slower (echo %u > " HUGE_DIR "/hugepages-2048kB/nr_hugepages)",
		 r->free_huge_mb, r->mem_mb + SPARE_MB, (r->mem_mb + SPARE_MB + 1) / 2);
}

int omni_eal_build_args(struct omni_eal_args *out, const struct omni_eal_request *request,
			struct omni_err *err)
{
	static const char *const pci_options[] = {"-a", "--allow", "-b", "--block", "-w", NULL};
	struct build b = {.out = out, .request = request};

	memset(out, 0, sizeof(*out));
	if (given(&b, "--no-huge") && given(&b, "--in-memory"))
		return omni_fail(err, -EINVAL, "--no-huge and --in-memory exclude each other");
	for (int i = 0; i < request->argc; i++)
		put(&b, request->argv[i]);
	choose_memory(&b);
	if (out->hugepages)
		add_huge(&b);
	else
		add_no_huge(&b);
	add(&b, "--iova-mode", "--iova-mode=va");
	if (!request->pci && !given_any(&b, pci_options))
		add(&b, "--no-pci", "--no-pci");
	if (!given(&b, "--telemetry"))
		add(&b, "--no-telemetry", "--no-telemetry");
	/* Notices about CPUs, NUMA nodes and each step of a frontend would hide our own lines. */
	add(&b, "--log-level", "--log-level=lib.eal:warning");
	add(&b, "--log-level", "--log-level=lib.vhost.*:warning");
	add(&b, "--log-level", "--log-level=pmd.net.vhost*:warning");
	add_prefix(&b);
	if (b.failed)
		return omni_fail(err, -E2BIG, "more than %d EAL options", OMNI_EAL_ARGS_MAX);
	return 0;
}

static unsigned long read_number(const char *dir, const char *file)
{
	char path[512];
	unsigned long v = 0;
	FILE *f;

	snprintf(path, sizeof(path), HUGE_DIR "/%s/%s", dir, file);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

unsigned int omni_eal_free_huge_mb(void)
{
	DIR *d = opendir(HUGE_DIR);
	const struct dirent *e;
	unsigned long kb = 0;

	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL) {
		unsigned long size;

		if (sscanf(e->d_name, "hugepages-%lukB", &size) == 1)
			kb += size * read_number(e->d_name, "free_hugepages");
	}
	closedir(d);
	return (unsigned int)(kb / 1024);
}

/* A folder of plain files. */
static void remove_folder(const char *path)
{
	const struct dirent *e;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(path);
}

/* What gateways that were killed left behind. */
static void remove_stale(const char *parent)
{
	const struct dirent *e;
	char path[512];
	DIR *d = opendir(parent);
	int pid;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (sscanf(e->d_name, PREFIX "%d", &pid) != 1 || kill(pid, 0) == 0 ||
		    errno != ESRCH)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", parent, e->d_name) < (int)sizeof(path))
			remove_folder(path);
	}
	closedir(d);
}

void omni_eal_cleanup(const struct omni_eal_args *args)
{
	char path[256];
	char *last;

	if (!args->own_prefix ||
	    snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir()) >= (int)sizeof(path))
		return;
	last = strrchr(path, '/');
	if (last == NULL || strcmp(last + 1, args->prefix) != 0)
		return;
	remove_folder(path);
	*last = '\0';
	remove_stale(path);
}
