/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Names to addresses, on libuv's thread pool, again and again: the address behind a name may
 * change while we run.
 */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

#include "ctl_priv.h"

#define NAME_ADDRESSES_MAX 8
#define NAME_EVERY_NS (60 * OMNI_NS_PER_S)
#define NAME_AGAIN_NS (5 * OMNI_NS_PER_S) /* between two look-ups that were asked for */
#define NAME_FAILED_NS (2 * OMNI_NS_PER_S)
#define NAME_FAILED_MAX_NS (60 * OMNI_NS_PER_S)

struct ctl_names {
	TAILQ_HEAD(, ctl_name) all;
	bool stopped;
};

/* In flight; outlives a name that was deleted meanwhile. */
struct lookup {
	uv_getaddrinfo_t req;
	struct ctl_name *name;
};

struct ctl_name {
	TAILQ_ENTRY(ctl_name) entry;
	struct omni_ctl *ctl;
	char host[OMNI_HOST_LEN];
	uint16_t port;
	void (*found)(struct omni_ctl *ctl, void *arg, const struct omni_endpoint *ep,
		      unsigned int n);
	void *arg;
	bool literal;
	struct lookup *lookup;
	struct omni_endpoint ep[NAME_ADDRESSES_MAX];
	unsigned int n;
	uint64_t asked_ns, next_ns, backoff_ns;
};

/* getaddrinfo sorts by preference (RFC 6724): keep its order. */
static unsigned int take(const struct ctl_name *name, const struct addrinfo *ai,
			 struct omni_endpoint *ep)
{
	unsigned int n = 0;

	for (; ai != NULL && n < NAME_ADDRESSES_MAX; ai = ai->ai_next) {
		struct sockaddr_storage sa = {0};
		bool known = false;

		memcpy(&sa, ai->ai_addr, OMNI_MIN((size_t)ai->ai_addrlen, sizeof(sa)));
		memset(&ep[n], 0, sizeof(ep[n]));
		if (omni_endpoint_from_sockaddr(&ep[n], &sa) != 0 ||
		    !omni_ip_is_unicast(&ep[n].ip)) {
			ctl_count(name->ctl, OMNI_STAT_ctl_candidates_filtered);
			continue;
		}
		ep[n].port = name->port;
		for (unsigned int i = 0; i < n; i++)
			known |= omni_endpoint_equal(&ep[i], &ep[n]);
		n += known ? 0 : 1;
	}
	return n;
}

static bool same(const struct ctl_name *name, const struct omni_endpoint *ep, unsigned int n)
{
	if (name->n != n)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		bool found = false;

		/* Servers rotate their answers: another order is no change. */
		for (unsigned int k = 0; k < n; k++)
			found |= omni_endpoint_equal(&name->ep[k], &ep[i]);
		if (!found)
			return false;
	}
	return true;
}

static void failed(struct ctl_name *name, const char *why)
{
	uint64_t now = ctl_now(name->ctl);

	if (name->backoff_ns == 0)
		omni_log_warn(LOG_CTL, "name does not resolve", "host=%s error=\"%s\"", name->host,
			      why);
	name->backoff_ns = name->backoff_ns == 0
				   ? NAME_FAILED_NS
				   : OMNI_MIN(2 * name->backoff_ns, NAME_FAILED_MAX_NS);
	name->next_ns = now + name->backoff_ns;
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct lookup *l = ctl_container(req, struct lookup, req);
	struct ctl_name *name = l->name;
	struct omni_endpoint ep[NAME_ADDRESSES_MAX];
	unsigned int n;

	free(l);
	if (name == NULL)
		goto out;
	name->lookup = NULL;
	n = status == 0 ? take(name, res, ep) : 0;
	if (n == 0) {
		failed(name, status != 0 ? uv_strerror(status) : "no usable address");
		goto out;
	}
	name->backoff_ns = 0;
	name->next_ns = ctl_now(name->ctl) + NAME_EVERY_NS;
	if (same(name, ep, n))
		goto out;
	memcpy(name->ep, ep, n * sizeof(ep[0]));
	name->n = n;
	name->found(name->ctl, name->arg, ep, n); /* may delete the name */
out:
	uv_freeaddrinfo(res);
}

static void look_up(struct ctl_name *name)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct lookup *l;
	int rc;

	if (name->literal || name->lookup != NULL || name->ctl->conf.loop == NULL ||
	    name->ctl->names->stopped)
		return;
	name->asked_ns = ctl_now(name->ctl);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return failed(name, "out of memory");
	rc = uv_getaddrinfo(name->ctl->conf.loop, &l->req, on_answer, name->host, NULL, &hints);
	if (rc != 0) {
		free(l);
		return failed(name, uv_strerror(rc));
	}
	l->name = name;
	name->lookup = l;
}

static struct ctl_names *names_get(struct omni_ctl *ctl)
{
	if (ctl->names == NULL) {
		ctl->names = calloc(1, sizeof(*ctl->names));
		if (ctl->names != NULL)
			TAILQ_INIT(&ctl->names->all);
	}
	return ctl->names;
}

struct ctl_name *ctl_name_add(struct omni_ctl *ctl, const char *host, uint16_t port,
			      void (*found)(struct omni_ctl *ctl, void *arg,
					    const struct omni_endpoint *ep, unsigned int n),
			      void *arg)
{
	struct ctl_names *names = names_get(ctl);
	struct ctl_name *name = calloc(1, sizeof(*name));
	struct omni_endpoint ep = {.port = port};

	if (names == NULL || name == NULL) {
		free(name);
		return NULL;
	}
	name->ctl = ctl;
	name->port = port;
	name->found = found;
	name->arg = arg;
	snprintf(name->host, sizeof(name->host), "%s", host);
	TAILQ_INSERT_TAIL(&names->all, name, entry);
	if (omni_ip_parse(&ep.ip, host) == 0) {
		name->literal = true;
		name->ep[name->n++] = ep;
		found(ctl, arg, &ep, 1);
		return name;
	}
	look_up(name);
	return name;
}

/* A look-up that a thread is in cannot be stopped: its answer finds no name. */
static void forget_lookup(struct ctl_name *name)
{
	if (name->lookup == NULL)
		return;
	name->lookup->name = NULL;
	uv_cancel((uv_req_t *)&name->lookup->req);
	name->lookup = NULL;
}

void ctl_name_del(struct omni_ctl *ctl, struct ctl_name *name)
{
	if (name == NULL)
		return;
	forget_lookup(name);
	TAILQ_REMOVE(&ctl->names->all, name, entry);
	free(name);
}

void ctl_name_again(struct omni_ctl *ctl, struct ctl_name *name)
{
	uint64_t at;

	(void)ctl;
	if (name == NULL || name->literal || name->lookup != NULL)
		return;
	at = name->asked_ns + OMNI_MAX(NAME_AGAIN_NS, name->backoff_ns);
	name->next_ns = OMNI_MIN(name->next_ns, at);
}

void ctl_names_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_name *name;

	if (ctl->names == NULL)
		return;
	TAILQ_FOREACH (name, &ctl->names->all, entry) {
		if (now >= name->next_ns)
			look_up(name);
	}
}

void ctl_names_stop(struct omni_ctl *ctl)
{
	struct ctl_name *name;

	if (ctl->names == NULL)
		return;
	ctl->names->stopped = true;
	TAILQ_FOREACH (name, &ctl->names->all, entry) {
		forget_lookup(name);
	}
}

void ctl_names_fini(struct omni_ctl *ctl)
{
	struct ctl_name *name, *next;

	if (ctl->names == NULL)
		return;
	for (name = TAILQ_FIRST(&ctl->names->all); name != NULL; name = next) {
		next = TAILQ_NEXT(name, entry);
		forget_lookup(name);
		free(name);
	}
	free(ctl->names);
	ctl->names = NULL;
}
